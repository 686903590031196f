/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one context switch: a function call that returns in another thread. What the procedure call
 * standard lets a callee keep (x19-x30, d8-d15) and FPCR goes onto the stack, the rest is dead.
 *
 * Source: AAPCS64 6.1.
 */
#include <arch/asm.h>

/*
 * In: x0 = where to store the stack pointer of the thread that stops
 *     x1 = stack pointer of the thread to go on with
 *     x2 = its TLS (TPIDR_EL0), x3 = its struct thread (TPIDR_EL1)
 * Interrupts masked. Each thread's own DAIF is in its caller (irq_save), or in its SPSR.
 */
	.section .text.thread_context_switch, "ax"
FUNCTION(thread_context_switch)
	sub	sp, sp, #176
	stp	x29, x30, [sp]
	mov	x29, sp
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x4, fpcr
	str	x4, [sp, #160]
	mov	x4, sp
	str	x4, [x0]
	mov	sp, x1
	msr	tpidr_el0, x2
	msr	tpidr_el1, x3
	ldr	x4, [sp, #160]
	msr	fpcr, x4
	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp]
	add	sp, sp, #176
	ret
END(thread_context_switch)

/*
 * Serve the interrupt that is pending, masked as it is, on the interrupt stack: what irq_el1t
 * (vectors.S) does, but from C. Interrupts masked. Clobbers what any function may.
 */
	.section .text.irq_take, "ax"
FUNCTION(irq_take)
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
	msr	spsel, #1
	bl	irq_entry
	msr	spsel, #0
	ldp	x29, x30, [sp], #16
	ret
END(irq_take)

/*
 * First return of thread_context_switch in a new thread (thread_stack_init laid it out):
 * x19 = function, x20 = its argument. Interrupts are still masked.
 */
	.section .text.thread_first_entry, "ax"
FUNCTION(thread_first_entry)
	mov	x29, xzr
	mov	x30, xzr
	mov	x0, x20
	msr	daifclr, #2
	blr	x19
	brk	#0			/* thread functions do not return */
END(thread_first_entry)
