/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache maintenance by address (arch/cache.h).
 *
 * In: x0 = start, x1 = bytes. Clobbers x0-x3, uses no stack: the first is called before there is one.
 */
#include <arch/asm.h>

	.macro by_line name, operation
	.section .text.\name, "ax"
FUNCTION(\name)
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4		/* DminLine: log2 of the words of a line */
	mov	x3, #4
	lsl	x3, x3, x2
	add	x1, x0, x1
	sub	x2, x3, #1
	bic	x0, x0, x2
	b	2f
1:	dc	\operation, x0
	add	x0, x0, x3
2:	cmp	x0, x1
	b.lo	1b
	dsb	sy
	ret
END(\name)
	.endm

	by_line	dcache_clean_invalidate, civac
	by_line	dcache_clean, cvac
	by_line	dcache_invalidate, ivac
