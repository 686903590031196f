# SPDX-License-Identifier: Apache-2.0
# The host tests: HOST_TESTS += name, name_SRCS := the files tested (paths from the root of the
# repository); optionally name_CFLAGS and name_LIBS. The test itself is tests/host/test_<name>.c.

HOST_TESTS  += http
http_SRCS   := net/http.c $(http-parser)/http_parser.c
http_CFLAGS := -isystem $(http-parser)
http_LIBS   := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

HOST_TESTS  += push
push_SRCS   := net/http.c kernel/version.c $(http-parser)/http_parser.c
push_CFLAGS := -I. -isystem $(http-parser)

HOST_TESTS  += pull
pull_SRCS   := net/pull.c net/fetch.c kernel/version.c $(http-parser)/http_parser.c
pull_CFLAGS := -I. -Inet -isystem $(http-parser) -isystem $(jsmn)
pull_LIBS   := -pthread -Wl,--wrap=poll,--wrap=clock_gettime,--wrap=nanosleep

# Memory. test_page.c includes page.c itself.
HOST_TESTS += page
page_SRCS := kernel/runtree.c
HOST_TESTS += malloc
malloc_SRCS := kernel/malloc.c kernel/page.c kernel/runtree.c
# Under other names: the test's own libc keeps its malloc.
malloc_CFLAGS := $(foreach f,malloc free calloc realloc memalign aligned_alloc posix_memalign \
	malloc_usable_size malloc_trim,-D$(f)=pith_$(f))
HOST_TESTS += pagetable
pagetable_SRCS := arch-aarch64/pagetable.c
pagetable_CFLAGS := -Iarch-aarch64/include

HOST_TESTS     += virtqueue
virtqueue_SRCS := drivers/virtqueue.c

# The device tree layer.
HOST_TESTS += dt
dt_SRCS := kernel/dt.c

HOST_TESTS += time line bootargs console format device driver
format_SRCS := kernel/format.c
time_SRCS := kernel/time.c
line_SRCS := kernel/line.c
bootargs_SRCS := kernel/bootargs.c
console_SRCS := $(addprefix kernel/,console.c terminal.c log.c format.c line.c)
device_SRCS := kernel/device.c
driver_SRCS := kernel/driver.c

# apps/web on Linux, over made-up values (tests/host/mock_status.c, mock_ota.c).
build/host/web: $(addprefix apps/web/,main.c status.c update.c) tests/host/mock_status.c \
		tests/host/mock_ota.c kernel/version.c net/push.c \
		build/host/http/net/http.o build/host/http/$(http-parser)/http_parser.o
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) $(host_flags) -o $@ $^
HOST_TESTS       += dt_trees
dt_trees_SRCS    := kernel/dt.c $(addprefix $(libfdt)/libfdt/,fdt.c fdt_check.c fdt_ro.c fdt_strerror.c fdt_wip.c)
dt_trees_CFLAGS  := -isystem $(libfdt)/libfdt
dt_trees_NEEDS   := dtbs

HOST_TESTS += block
block_SRCS := kernel/block.c

HOST_TESTS  += netdev
netdev_SRCS := kernel/netdev.c

HOST_TESTS     += entropy
entropy_SRCS   := $(addprefix $(mbedtls)/library/,chacha20.c platform_util.c sha256.c)
entropy_CFLAGS := -I$(mbedtls)/include -I. -DMBEDTLS_CONFIG_FILE='"kernel/mbedtls_config.h"'

# Device drivers against models of their devices; the tests include the driver itself.
HOST_TESTS += gicv2 gicv3 pl011
gicv2_SRCS := kernel/device.c kernel/irq.c drivers/gic.c
gicv3_SRCS := kernel/device.c kernel/irq.c drivers/gic.c
pl011_SRCS := kernel/device.c drivers/uart.c

# POSIX calls, under other names: the test's own libc keeps its own.
posix_names := $(foreach f,close dup dup2 dup3 fcntl fstat ioctl isatty lseek pipe pipe2 poll ppoll \
	pread pselect pwrite read readv select write writev epoll_create epoll_create1 epoll_ctl \
	epoll_pwait epoll_wait eventfd eventfd_read eventfd_write,-D$(f)=pith_$(f))
HOST_TESTS += fd
fd_SRCS := kernel/fd.c kernel/rw.c
fd_CFLAGS := $(posix_names)

# Virtio drivers against models at register level.
virtio_common   := kernel/device.c drivers/virtio_mmio.c drivers/virtqueue.c
HOST_TESTS      += virtio_blk
virtio_blk_SRCS := $(virtio_common) drivers/virtio_blk.c drivers/virtio_rng.c kernel/block.c
virtio_blk_LIBS := -Wl,-T,tests/host/virtio.lds
HOST_TESTS += epoll
epoll_SRCS := kernel/fd.c kernel/rw.c kernel/epoll.c kernel/poll.c kernel/eventfd.c
epoll_CFLAGS := $(posix_names)
HOST_TESTS      += virtio_net
virtio_net_SRCS := $(virtio_common) drivers/virtio_net.c kernel/netdev.c
virtio_net_LIBS := -Wl,-T,tests/host/virtio.lds

HOST_TESTS += ram
ram_SRCS   := kernel/ram.c
ram_CFLAGS := -Iarch-aarch64/include

# Memory for devices: with caches, and the build that looks for mistakes.
HOST_TESTS += dma dma_debug
dma_SRCS       := kernel/dma.c kernel/dma_map.c kernel/dt.c
dma_debug_SRCS := kernel/dma.c kernel/dma_debug.c

# The network. Addresses under other names, to be compared with the host's.
HOST_TESTS     += address ip_config siphash
address_SRCS   := net/address.c
address_CFLAGS := $(foreach f,inet_pton inet_ntop inet_aton inet_addr inet_ntoa in6addr_any \
	in6addr_loopback,-D$(f)=pith_$(f))
ip_config_SRCS   := net/config.c
ip_config_CFLAGS := -Inet
siphash_SRCS     := net/siphash.c
siphash_CFLAGS   := -Inet

# The whole stack with its sockets, on real threads; core.c is included by the test.
HOST_TESTS     += sockets
sockets_SRCS   := tests/host/parallel.c tests/host/sockets_program.c \
	$(addprefix kernel/,epoll.c fd.c netdev.c pipe.c poll.c rw.c) \
	$(patsubst %,net/%,$(filter-out core.c hostent.c,$(net_objs:.o=.c))) $(lwip_objs:.o=.c) $(ipv6_objs:.o=.c)
sockets_CFLAGS := $(posix_names) $(foreach f,socket socketpair bind listen accept accept4 connect \
	send sendto sendmsg recv recvfrom recvmsg shutdown getsockname getpeername getsockopt \
	setsockopt sockatmark getaddrinfo freeaddrinfo gai_strerror getnameinfo \
	if_nametoindex if_indextoname if_nameindex if_freenameindex getifaddrs freeifaddrs inet_pton \
	inet_ntop inet_aton inet_addr inet_ntoa in6addr_any in6addr_loopback,-D$(f)=pith_$(f)) \
	-include tests/host/parallel.h -I. -Inet -I$(lwip)/src/include -I$(lwip)/src -Itests/target \
	-Wno-unused-result -Wno-array-parameter
sockets_LIBS   := -pthread

# The same on one thread and a clock of the test's own, for frames of every kind, damaged ones too.
HOST_TESTS    += frames
frames_SRCS   := $(filter-out tests/host/%,$(sockets_SRCS))
frames_CFLAGS := $(patsubst tests/host/parallel.h,tests/host/lwip_assert.h,$(sockets_CFLAGS))
frames_LIBS   := -Wl,--wrap=malloc
build/host/test_frames: tests/host/frames.h

# GENET against a model at register level; once more with kernel/dma_debug.c, which the test includes.
genet_common := kernel/device.c drivers/genet.c drivers/phy.c kernel/dma.c kernel/dt.c kernel/netdev.c \
	tests/host/genet_model.c
HOST_TESTS       += genet genet_debug
genet_SRCS       := $(genet_common) kernel/dma_map.c
genet_debug_SRCS := $(genet_common)
genet_LIBS       := -Wl,-T,tests/host/virtio.lds
genet_debug_LIBS := $(genet_LIBS)

# A Raspberry Pi's drivers, with trees of Debian's kernel package; the tests include the drivers.
pi_tests       := pi_irq mini_uart gpio gpio_uses mailbox pi_watchdog pi_rng pi_trees
HOST_TESTS     += $(pi_tests)
pi_irq_SRCS    := kernel/device.c kernel/dt.c kernel/irq.c
mini_uart_SRCS := kernel/device.c kernel/dt.c drivers/uart.c
gpio_SRCS      := drivers/bcm2835_lines.c kernel/device.c kernel/dt.c kernel/gpio.c kernel/supply.c
gpio_uses_SRCS := kernel/device.c kernel/dt.c kernel/gpio.c
mailbox_SRCS   := kernel/device.c kernel/dt.c kernel/gpio.c kernel/supply.c kernel/firmware.c
pi_watchdog_SRCS := kernel/device.c kernel/dt.c kernel/watchdog.c
pi_rng_SRCS    := kernel/device.c kernel/dt.c
pi_trees_SRCS  := $(addprefix kernel/,device.c dt.c driver.c irq.c supply.c gpio.c firmware.c watchdog.c) \
	$(addprefix drivers/,gic.c gicv2.c timer.c pl011.c uart.c bcm2836_l1.c bcm2835_armctrl.c bcm2835_gpio.c bcm2835_lines.c \
	bcm2835_mailbox.c bcm2835_cprman.c mini_uart.c bcm2835_pm.c bcm2835_rng.c iproc_rng200.c word_rng.c \
	raspberrypi_gpio.c gpio_poweroff.c)
pi_trees_LIBS  := -Wl,-T,tests/host/virtio.lds -Wl,--wrap=io_map -Wl,--wrap=irq_attach
$(foreach t,$(pi_tests),$(eval $(t)_NEEDS := dtbs))

# SD cards behind models of their controllers; the tests include the controller's driver.
HOST_TESTS += sdhci sdhost
sdhci_SRCS  := kernel/device.c drivers/sd.c kernel/block.c
sdhost_SRCS := kernel/device.c drivers/sd.c kernel/block.c

# The disk, and updates on it (tests/host/include/memory_disk.h).
HOST_TESTS += disk
disk_SRCS  := kernel/disk.c kernel/block.c
HOST_TESTS += version state
version_SRCS := kernel/version.c
state_SRCS   := kernel/state.c kernel/crc32.c $(disk_SRCS)
HOST_TESTS += ota
ota_SRCS   := kernel/slots.c kernel/slotfile.c $(version_SRCS) $(state_SRCS) \
	$(addprefix $(mbedtls)/library/,platform_util.c sha256.c)
ota_CFLAGS := $(entropy_CFLAGS)
ota_LIBS   := -Wl,--wrap=malloc

HOST_TESTS += config
config_SRCS := kernel/config.c kernel/crc32.c kernel/bootargs.c

HOST_TESTS += health crash
health_SRCS := kernel/recovery.c
crash_SRCS := kernel/crc32.c
crash_CFLAGS := -Iarch-aarch64/include

# Updates, as the tools make them of a file that is no image, with keys of their own.
updates := build/host/updates
$(updates)/keys/current.pub:
	@tools/keys.py new $(@D)
$(updates)/keys.c: $(updates)/keys/current.pub tools/keys.py
	@tools/keys.py source $(<D) $@
$(updates)/%.pith: LICENSE dts/image.its.in tools/fit tools/update tools/disk.py $(updates)/keys/current.pub
	@tools/fit $< $(@:.pith=.itb) --product example --version 1.2.3 --keys $(updates)/keys \
		--sign $(updates)/keys/$*.pem
	@tools/update $(@:.pith=.itb) $@ --keys $(updates)/keys --sign $(updates)/keys/$*.pem

# Of Mbed TLS's RSA, too, what is not called needs what is not configured.
rsa_CFLAGS := $(entropy_CFLAGS) -ffunction-sections
rsa_LIBS   := -Wl,--gc-sections
update_common := kernel/update.c $(updates)/keys.c $(addprefix $(mbedtls)/library/,sha256.c \
	platform_util.c $(mbedtls_rsa:.o=.c))
HOST_TESTS    += update
update_SRCS   := $(update_common)
update_CFLAGS := $(rsa_CFLAGS)
update_LIBS   := $(rsa_LIBS) -Wl,--wrap=calloc
build/host/test_update: | $(updates)/current.pith $(updates)/spare.pith

# libfdt is the judge.
HOST_TESTS += fit
fit_SRCS   := kernel/fit.c $(addprefix $(libfdt)/libfdt/,fdt.c fdt_ro.c fdt_strerror.c fdt_sw.c fdt_wip.c)
fit_CFLAGS := -isystem $(libfdt)/libfdt
build/host/test_fit: | $(updates)/current.pith

# Very many damaged updates through the whole verifier: without the sanitizers, for speed
# (tests/host/test_bad_images.py).
bad_images_SRCS := tests/host/bad_images.c kernel/slotfile.c kernel/fit.c kernel/version.c $(update_common)
build/host/bad_images: $(bad_images_SRCS) tests/host/update_files.h $(wildcard kernel/*.h \
		kernel/include/pith/*.h) | $(mbedtls)/.ready
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -Itests/host/include \
		-Ikernel/include $(rsa_CFLAGS) $(rsa_LIBS) -o $@ $(bad_images_SRCS)

# Power cuts: all of the code of updates over a simulated disk, started by a model of U-Boot. The sweep
# (make test-powercut) is the same program, optimised.
HOST_TESTS      += powercut
powercut_images := $(updates)/powercut
powercut_SRCS   := $(addprefix tests/host/,powercut.c cut_disk.c uboot_model.c) $(addprefix kernel/, \
	block.c crc32.c disk.c fit.c health.c ota.c recovery.c slotfile.c slots.c state.c version.c) \
	$(update_common)
powercut_CFLAGS := $(rsa_CFLAGS) -DIMAGES_FOLDER='"$(powercut_images)"'
powercut_LIBS   := $(rsa_LIBS) -Wl,-T,tests/host/powercut.lds \
	$(foreach f,slotfile_verify slots_change update_signature_check,-Wl,--wrap=$(f))
build/host/test_powercut build/host/powercut_sweep: | $(powercut_images)/.made

$(powercut_images)/.made: tests/host/powercut_images.py tools/fit tools/update tools/disk.py \
		dts/image.its.in $(updates)/keys/current.pub
	$(call say,IMAGES,$(@D))
	@mkdir -p $(@D)
	$(Q)tests/host/powercut_images.py $(updates)/keys $(@D) && touch $@

sweep_flags := -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -Itests/host/include \
	-Ikernel/include
sweep_objs  := $(patsubst %.c,build/host/powercut_sweep.o/%.o,tests/host/test_powercut.c $(powercut_SRCS))
build/host/powercut_sweep.o/%.o: %.c Makefile cross.mk tests/host/host.mk | $(mbedtls)/.ready
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) $(sweep_flags) $(powercut_CFLAGS) $(if $(filter build/deps/%,$<),-w) -MMD -MP \
		-c -o $@ $<
build/host/powercut_sweep: $(sweep_objs)
	$(call say,HOSTLD,$@)
	$(Q)$(HOSTCC) -o $@ $^ -lcmocka $(powercut_LIBS)
-include $(sweep_objs:.o=.d)

# The same with one file broken: <file>-<how>.c is from tests/host/test_powercut_mutants.py.
mutants := build/host/powercut_mutants/kernel
$(mutants)/%: $(mutants)/%.c $(sweep_objs) | $(powercut_images)/.made
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) $(sweep_flags) $(powercut_CFLAGS) -Ikernel -Wno-unused -c -o $@.o $<
	$(Q)$(HOSTCC) -o $@ $@.o $(filter-out %/kernel/$(firstword $(subst -, ,$*)).o,$(sweep_objs)) \
		-lcmocka $(powercut_LIBS)

# The model of U-Boot alone, as a table (tests/system/test_uboot_model.py).
build/host/uboot_table: tests/host/uboot_table.c tests/host/uboot_model.c tests/host/uboot_model.h kernel/crc32.c
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) $(host_flags) -o $@ $(filter %.c,$^)

# The router: what it does with packets (apps/router but forward.c and main.c).
HOST_TESTS    += forward
forward_SRCS   := $(addprefix apps/router/,flows.c router.c rules.c) net/siphash.c
forward_CFLAGS := -Iapps/router -Inet
