/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int64_t io_probe_read32(const volatile void *reg)
 *
 * The one load that may fail: when it takes an external abort, vectors.S goes on at
 * probe_load_aborted.
 */
#include <arch/asm.h>

	.section .text.io_probe_read32, "ax"
	.global	probe_load, probe_load_aborted
	.hidden	probe_load, probe_load_aborted
FUNCTION(io_probe_read32)
probe_load:
	ldr	w0, [x0]
	dsb	sy		/* an abort that comes late comes here, as an SError: reported */
	ret
probe_load_aborted:
	mov	x0, #-6		/* -ENXIO; mmu.c checks the number */
	ret
END(io_probe_read32)
