/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exception vectors.
 *
 * Threads run on SP_EL0 (EL1t), so every exception arrives on SP_EL1, whatever a thread did to its own
 * stack. What an interrupt handler needs is saved on the interrupted thread's stack; a fault, which may
 * be one of any stack, is reported from the panic stack.
 *
 * The table has a place of 128 bytes for each of four kinds of exception, from EL1t and from EL1h. Its
 * second KiB, for exceptions from a lower level, is never entered, and is ordinary code: EL0 is the
 * only lower level, and is entered by an ERET with SPSR_EL1.M = 0 alone; those below return to where an
 * exception came from. What a place has left is filled with other code, too (image.lds).
 *
 * Source: Arm ARM DDI 0487, D1.4.1 (vector table), D1.2.2 (stack pointer selection).
 */
#include <arch/asm.h>
#include <arch/boot.h>
#include <arch/frame.h>

/* The return address, within its place, says which it is. No EL0 exists to read TPIDRRO: a scratch register. */
	.macro fault_vector number
	.section .vectors.\number, "ax"
	msr	tpidrro_el0, x30
	bl	fault
	.endm

	fault_vector 0		/* EL1t: synchronous */
	fault_vector 2		/* FIQ: masked, always */
	fault_vector 3		/* SError */
	fault_vector 4		/* EL1h: synchronous */
	fault_vector 5		/* IRQ: masked in handlers */
	fault_vector 6
	fault_vector 7

	.section .text.vectors_install, "ax"
FUNCTION(vectors_install)
	adr	x0, vectors
	msr	vbar_el1, x0
	adrp	x0, __irq_stack_top
	msr	spsel, #1
	mov	sp, x0
	msr	spsel, #0
	isb
	ret
END(vectors_install)

/* Fills struct frame. Nothing but x30 is free at first, no stack can be trusted. */
	.section .text.fault, "ax"
fault:
	msr	contextidr_el1, x30	/* for debuggers, of which none looks: a scratch register, too */
	mrs	x30, sctlr_el1
	tbz	x30, #0, early_fault
	adrp	x30, __panic_stack_top
	sub	x30, x30, #FRAME_BYTES
	stp	x0, x1, [x30]
	/* io_probe_read32's load? Neither register is needed after it, nor the flags. */
	mrs	x0, elr_el1
	adr	x1, probe_load
	cmp	x0, x1
	b.eq	probe_aborted
not_probed:
	mov	x0, sp
	mrs	x1, contextidr_el1
	ubfx	x1, x1, #7, #3
	tbnz	x1, #VECTOR_EL1H_BIT, 1f
	mrs	x0, sp_el0
1:	stp	x0, x1, [x30, #FRAME_SP]
	mov	sp, x30
	mrs	x30, tpidrro_el0
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	mrs	x0, elr_el1
	mrs	x1, spsr_el1
	mrs	x2, esr_el1
	mrs	x3, far_el1
	stp	x30, x0, [sp, #240]
	stp	x1, x2, [sp, #256]
	str	x3, [sp, #272]
	mov	x0, sp
	b	exception

/*
 * A read of a device that is not there: an external abort, ESR_EL1.EC 0x25 and DFSC 0x10 (Arm ARM,
 * D24.2.41), becomes an error. Anything else at that instruction is a bug like any other.
 */
	.section .text.probe_aborted, "ax"
probe_aborted:
	mrs	x0, esr_el1
	ubfx	x1, x0, #26, #6		/* EC */
	bfi	x1, x0, #6, #6		/* DFSC */
	cmp	x1, #(0x10 << 6 | 0x25)
	b.ne	not_probed
	adr	x1, probe_load_aborted
	msr	elr_el1, x1
	mrs	x30, tpidrro_el0
	eret

/* With the MMU off no C can report (alignment): stop with reason and syndrome in registers. */
	.section .text.early_fault, "ax"
early_fault:
	mov	x0, #STOP_EXCEPTION_CODE
	mrs	x1, esr_el1
	mrs	x2, elr_el1
	mrs	x3, far_el1
	b	boot_stop

/*
 * An interrupt in a thread: what C functions may clobber (of v8-v15 that is the upper half: a callee
 * keeps the lower ones only, AAPCS64 6.1.2) goes onto the thread's own stack, the
 * handlers run on the interrupt stack, and then, back on the thread's stack, the scheduler may switch
 * to another thread: for it this is a call like any other (switch.S), and one kind of context
 * switch is enough. Interrupts stay masked throughout.
 */
	.section .vectors.1, "ax"
	msr	spsel, #0
	sub	sp, sp, #IRQ_FRAME_BYTES
	stp	x0, x1, [sp]
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x30, [sp, #144]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	mrs	x3, fpsr
	mrs	x4, fpcr
	stp	x29, x1, [sp, #160]	/* a frame record: backtraces go through the interrupt */
	stp	x2, x3, [sp, #176]
	str	x4, [sp, #192]
	add	x29, sp, #160
	stp	q0, q1, [sp, #208]
	stp	q2, q3, [sp, #240]
	stp	q4, q5, [sp, #272]
	stp	q6, q7, [sp, #304]
	stp	q8, q9, [sp, #336]
	stp	q10, q11, [sp, #368]
	stp	q12, q13, [sp, #400]
	stp	q14, q15, [sp, #432]
	stp	q16, q17, [sp, #464]
	stp	q18, q19, [sp, #496]
	stp	q20, q21, [sp, #528]
	b	irq_go_on		/* the place is full */

	.section .text.irq_go_on, "ax"
irq_go_on:
	stp	q22, q23, [sp, #560]
	stp	q24, q25, [sp, #592]
	stp	q26, q27, [sp, #624]
	stp	q28, q29, [sp, #656]
	stp	q30, q31, [sp, #688]
	msr	spsel, #1
	bl	irq_entry
	msr	spsel, #0
	adrp	x0, thread_switch_pending
	ldrb	w0, [x0, :lo12:thread_switch_pending]
	cbz	w0, 1f
	bl	thread_switch
1:	ldp	q0, q1, [sp, #208]
	ldp	q2, q3, [sp, #240]
	ldp	q4, q5, [sp, #272]
	ldp	q6, q7, [sp, #304]
	ldp	q8, q9, [sp, #336]
	ldp	q10, q11, [sp, #368]
	ldp	q12, q13, [sp, #400]
	ldp	q14, q15, [sp, #432]
	ldp	q16, q17, [sp, #464]
	ldp	q18, q19, [sp, #496]
	ldp	q20, q21, [sp, #528]
	ldp	q22, q23, [sp, #560]
	ldp	q24, q25, [sp, #592]
	ldp	q26, q27, [sp, #624]
	ldp	q28, q29, [sp, #656]
	ldp	q30, q31, [sp, #688]
	ldp	x29, x1, [sp, #160]
	ldp	x2, x3, [sp, #176]
	ldr	x4, [sp, #192]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	msr	fpsr, x3
	msr	fpcr, x4
	ldp	x18, x30, [sp, #144]
	ldp	x16, x17, [sp, #128]
	ldp	x14, x15, [sp, #112]
	ldp	x12, x13, [sp, #96]
	ldp	x10, x11, [sp, #80]
	ldp	x8, x9, [sp, #64]
	ldp	x6, x7, [sp, #48]
	ldp	x4, x5, [sp, #32]
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp]
	add	sp, sp, #IRQ_FRAME_BYTES
	eret
