# SPDX-License-Identifier: Apache-2.0
# The files of arch-aarch64/: obj-y always, obj-$(FEAT_...) with a feature (apps/features.mk).
obj-y += arch-aarch64/pagetable.o
obj-y += arch-aarch64/head.o arch-aarch64/early.o arch-aarch64/vectors.o arch-aarch64/switch.o \
	arch-aarch64/probe.o arch-aarch64/cache.o
obj-y += arch-aarch64/mmu.o arch-aarch64/exception.o

# With the MMU off all memory is Device: nothing unaligned, no SIMD, no calls into libc.
$(obj)/arch-aarch64/early.o $(obj)/arch-aarch64/pagetable.o: flags := -mstrict-align -mgeneral-regs-only \
	-fno-stack-protector -fno-tree-loop-distribute-patterns $(if $(EARLYCON),-DEARLYCON=$(EARLYCON))
$(obj)/arch-aarch64/head.o: flags := $(if $(EARLYCON),-DEARLYCON)
