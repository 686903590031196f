# SPDX-License-Identifier: Apache-2.0
# make bench: what Pith costs, in instructions and bytes (docs/performance.md).

counter      := build/bench/count.so
qemu_plugin := $(call dep,qemu)

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
	@$(MAKE) --no-print-directory APP=tests/bench/server
	@tests/bench/bench.py $(if $(KEEP),--keep)
