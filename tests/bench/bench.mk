# SPDX-License-Identifier: Apache-2.0
# make bench: what Pith costs, in instructions and bytes (docs/performance.md).

counter     := build/bench/count.so
qemu_plugin := $(call dep,qemu)
linux       := build/bench/linux
linux_image := $(linux)/arch/arm64/boot/Image

$(counter): tests/bench/count.c tests/bench/bench.mk | $(qemu_plugin)/.ready
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -fPIC -shared -Wall -Wextra -Werror -fvisibility=hidden \
		-isystem $(qemu_plugin)/include/qemu -o $@ $<

# KEEP=1 writes the figures into docs/performance.md.
.PHONY: bench
bench: | setup-test
	@$(MAKE) --no-print-directory $(counter)
	@$(MAKE) --no-print-directory APP=hello
	@$(MAKE) --no-print-directory APP=web
	@$(MAKE) --no-print-directory APP=router
	@$(MAKE) --no-print-directory APP=tests/bench/server
	@$(MAKE) --no-print-directory APP=tests/bench/server_raw
	@$(MAKE) --no-print-directory APP=tests/bench/server_ipv4
	@$(MAKE) --no-print-directory APP=tests/bench/latency
	@$(if $(wildcard $(linux_image)),$(MAKE) --no-print-directory bench-linux)
	@tests/bench/bench.py $(if $(KEEP),--keep)

# --- A minimal Linux to compare with ----------------------------------------------------------
# The kernel takes minutes, so it is built only when asked for. Its programs are Pith's, from the same
# sources, statically linked with musl.

linux_src := $(call dep,linux)
musl      := $(call dep,musl)

.PHONY: bench-linux
bench-linux: $(linux_image) $(linux)/hello.cpio $(linux)/server.cpio

# The same bytes whoever builds it, and whenever.
linux_make = $(MAKE) -s -C $(linux_src) O=$(abspath $(linux)) ARCH=arm64 \
	CROSS_COMPILE=aarch64-linux-gnu- LOCALVERSION= KBUILD_BUILD_TIMESTAMP=0 \
	KBUILD_BUILD_USER=pith KBUILD_BUILD_HOST=pith

$(linux_image): tests/bench/linux/config | $(linux_src)/.ready setup-disk
	@mkdir -p $(linux)
	$(call say,CONFIG,$<)
	+$(Q)$(linux_make) KCONFIG_ALLCONFIG=$(abspath $<) allnoconfig > $(linux)/config.log
	$(call say,LINUX,$@)
	+$(Q)$(linux_make) Image
	@touch $@

$(linux)/hello: apps/hello/main.c
$(linux)/server: tests/bench/server/main.c
$(linux)/hello $(linux)/server: | $(musl)/.ready
	@mkdir -p $(@D)
	$(call say,MUSLCC,$<)
	$(Q)$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -mno-outline-atomics -fPIE -static-pie -nostdinc \
		-isystem $(musl)/usr/include/aarch64-linux-musl \
		-isystem $$($(CC) -print-file-name=include) -nostdlib -Wl,-z,max-page-size=4096 -o $@ \
		$(addprefix $(musl)/usr/lib/aarch64-linux-musl/,rcrt1.o crti.o) $< \
		$(musl)/usr/lib/aarch64-linux-musl/libc.a -lgcc $(musl)/usr/lib/aarch64-linux-musl/crtn.o

# The kernel itself has /dev and /dev/console in its initial file system.
$(linux)/%.cpio: $(linux)/% $(linux_image)
	$(call say,CPIO,$@)
	$(Q)$(CROSS)strip -o $<.stripped $<
	$(Q)echo 'file /init $<.stripped 0755 0 0' | $(linux)/usr/gen_init_cpio -t 0 - > $@
