# SPDX-License-Identifier: Apache-2.0
# The files of kernel/: obj-y always, obj-$(FEAT_...) with a feature (apps/features.mk).
obj-y += kernel/dt.o

# Base: console, log, devices, time.
obj-y += kernel/bootargs.o kernel/console.o kernel/device.o kernel/driver.o kernel/irq.o
obj-y += kernel/log.o kernel/format.o kernel/machine.o kernel/time.o
obj-y += kernel/supply.o kernel/firmware.o kernel/watchdog.o
obj-y += kernel/page.o kernel/malloc.o kernel/runtree.o kernel/boot_alloc.o

# Devices and memory. DMA_DEBUG=1 finds buffers that are used by both at once.
obj-y += kernel/dma.o $(if $(DMA_DEBUG),kernel/dma_debug.o,kernel/dma_map.o)

# Boot and threads.
obj-y += kernel/main.o kernel/panic.o kernel/place.o kernel/ram.o kernel/thread.o
# Sets the canary of the image that it enters.
$(obj)/kernel/place.o: flags := -fno-stack-protector

# Devices that features bring.
obj-$(FEAT_NET)   += kernel/netdev.o
obj-$(FEAT_BLOCK) += kernel/block.o kernel/disk.o
obj-$(FEAT_GPIO)  += kernel/gpio.o kernel/leds.o
obj-$(FEAT_CONFIG) += kernel/config.o kernel/crc32.o

# Updates.
obj-$(FEAT_OTA) += $(addprefix kernel/,version.o state.o slotfile.o slots.o ota.o)
obj-$(FEAT_OTA) += $(addprefix kernel/,health.o crash.o recovery.o)
$(obj)/kernel/slotfile.o: includes += $(mbedtls_includes)

# Randomness, with the primitives of Mbed TLS under it. Nothing of them is linked unless something
# asks for random bytes.
deps-y += mbedtls
obj-y  += kernel/entropy.o
obj-y  += $(addprefix $(mbedtls)/library/,chacha20.o platform_util.o sha256.o)
# Random numbers hash a few blocks; updates whole images, for which the unrolled rounds pay: 1.3 KB.
mbedtls_includes := -I$(mbedtls)/include -I. -DMBEDTLS_CONFIG_FILE='"kernel/mbedtls_config.h"' \
	$(if $(FEAT_OTA),,-DMBEDTLS_SHA256_SMALLER)
$(obj)/kernel/entropy.o $(obj)/$(mbedtls)/%.o: includes += $(mbedtls_includes)

# Updates. keys.o comes of KEYS= (boards/boards.mk).
obj-$(FEAT_OTA) += kernel/update.o kernel/fit.o keys.o
mbedtls_rsa     := bignum.o bignum_core.o constant_time.o md.o oid.o rsa.o rsa_alt_helpers.o
obj-$(FEAT_OTA) += $(addprefix $(mbedtls)/library/,$(mbedtls_rsa))
# All that is hot of it is bignum_core.o.
$(addprefix $(obj)/$(mbedtls)/library/,$(filter-out bignum_core.o,$(mbedtls_rsa))): flags := -Os
$(obj)/kernel/update.o: includes += $(mbedtls_includes)

# POSIX for apps. Nothing of it is linked unless the app calls it.
obj-y += kernel/terminal.o kernel/line.o kernel/fd.o kernel/rw.o kernel/poll.o kernel/epoll.o
obj-y += kernel/pipe.o kernel/eventfd.o kernel/timerfd.o
obj-y += kernel/open.o kernel/bundle.o kernel/devfile.o
obj-y += kernel/pthread.o kernel/semaphore.o kernel/threads.o
obj-y += kernel/libc.o kernel/stdio.o kernel/clock.o kernel/system.o
# The kernel's objects in storage that the headers declare as plain words.
$(obj)/kernel/pthread.o $(obj)/kernel/semaphore.o: flags := -fno-strict-aliasing

# What runs for every wake-up or call of the app's, but for what is marked FAST in other files.
$(addprefix $(obj)/kernel/,time.o irq.o malloc.o block.o \
	poll.o pipe.o eventfd.o timerfd.o pthread.o semaphore.o): optimize := -O2
$(obj)/$(mbedtls)/library/chacha20.o $(obj)/$(mbedtls)/library/sha256.o: optimize := -O2
