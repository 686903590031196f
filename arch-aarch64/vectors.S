/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exception vectors.
 *
 * Threads run on SP_EL0 (EL1t), so every exception arrives on SP_EL1, the interrupt stack, whatever
 * a thread did to its own. A fault while already on SP_EL1 (in an interrupt handler, or because the
 * interrupted thread's stack could not take its frame) is reported from the panic stack.
 *
 * Source: Arm ARM DDI 0487, D1.4.1 (vector table), D1.2.2 (stack pointer selection).
 */
#include <arch/asm.h>
#include <arch/boot.h>
#include <arch/frame.h>

	.macro vector label
	.balign	128
	b	\label
	.endm

	.section .text.vectors, "ax"
	.balign	2048
vectors:
	vector	sync_el1t
	vector	irq_el1t
	vector	unexpected	/* FIQ: masked, always */
	vector	serror
	vector	sync_el1h
	vector	unexpected	/* IRQ: masked in handlers */
	vector	unexpected
	vector	serror
	.rept 8
	vector	unexpected	/* there is no lower exception level */
	.endr

FUNCTION(vectors_install)
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	adrp	x0, __irq_stack_top
	msr	spsel, #1
	mov	sp, x0
	msr	spsel, #0
	isb
	ret
END(vectors_install)

/* With the MMU off no C can report (alignment): stop with reason and syndrome in registers. */
	.macro stop_if_mmu_off
	msr	tpidrro_el0, x0		/* no EL0 exists to read it: a scratch register */
	mrs	x0, sctlr_el1
	tbz	x0, #0, early_fault
	mrs	x0, tpidrro_el0
	.endm

/* The rest of struct frame at sp, where x0 and x1 are already; leaves FAR in x2. */
	.macro save_rest
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
	mrs	x2, elr_el1
	stp	x30, x2, [sp, #240]
	mrs	x2, spsr_el1
	mrs	x3, esr_el1
	stp	x2, x3, [sp, #256]
	mrs	x2, far_el1
	str	x2, [sp, #272]
	.endm

/* A fault in a thread: its stack may be the reason, the interrupt stack is good. */
sync_el1t:
	stop_if_mmu_off
	sub	sp, sp, #FRAME_BYTES
	stp	x0, x1, [sp]
	/* io_probe_read32's load? It uses neither register, and changes no flags that matter. */
	mrs	x0, elr_el1
	adrp	x1, probe_load
	add	x1, x1, :lo12:probe_load
	cmp	x0, x1
	b.eq	probe_aborted
3:	save_rest
	mrs	x2, sp_el0
	str	x2, [sp, #FRAME_SP]
	str	xzr, [sp, #FRAME_VECTOR]	/* VECTOR_SYNC */
	mov	x0, sp
	b	exception

/*
 * A read of a device that is not there: an external abort, ESR_EL1.EC 0x25 and DFSC 0x10 (Arm ARM,
 * D24.2.41), becomes an error. Anything else at that instruction is a bug like any other.
 */
probe_aborted:
	mrs	x0, esr_el1
	mov	x1, #0x3f
	movk	x1, #0xfc00, lsl #16	/* EC and DFSC */
	and	x0, x0, x1
	mov	x1, #0x10
	movk	x1, #0x9400, lsl #16	/* EC 0x25 << 26 */
	cmp	x0, x1
	b.ne	3b
	adrp	x1, probe_load_aborted
	add	x1, x1, :lo12:probe_load_aborted
	msr	elr_el1, x1
	add	sp, sp, #FRAME_BYTES
	eret

/* A fault on SP_EL1, which may be what failed: report from the panic stack. */
	.macro on_panic_stack vector
	stop_if_mmu_off
	msr	tpidrro_el0, x0
	adrp	x0, __panic_stack_top
	sub	x0, x0, #FRAME_BYTES
	str	x1, [x0, #8]
	mov	x1, sp
	str	x1, [x0, #FRAME_SP]
	mov	sp, x0
	mrs	x1, tpidrro_el0
	str	x1, [sp]
	save_rest
	mov	x2, #\vector
	str	x2, [sp, #FRAME_VECTOR]
	mov	x0, sp
	b	exception
	.endm

sync_el1h:
	on_panic_stack VECTOR_SYNC_IRQ
serror:
	on_panic_stack VECTOR_SERROR
unexpected:
	on_panic_stack VECTOR_UNEXPECTED

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
irq_el1t:
	stp	x0, x1, [sp, #-16]!
	mrs	x0, sp_el0
	sub	x0, x0, #IRQ_FRAME_BYTES
	stp	x2, x3, [x0, #16]
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0]
	msr	sp_el0, x0
	stp	x4, x5, [x0, #32]
	stp	x6, x7, [x0, #48]
	stp	x8, x9, [x0, #64]
	stp	x10, x11, [x0, #80]
	stp	x12, x13, [x0, #96]
	stp	x14, x15, [x0, #112]
	stp	x16, x17, [x0, #128]
	stp	x18, x30, [x0, #144]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	mrs	x3, fpsr
	mrs	x4, fpcr
	stp	x29, x1, [x0, #160]	/* a frame record: backtraces go through the interrupt */
	stp	x2, x3, [x0, #176]
	str	x4, [x0, #192]
	add	x29, x0, #160
	stp	q0, q1, [x0, #208]
	stp	q2, q3, [x0, #240]
	stp	q4, q5, [x0, #272]
	stp	q6, q7, [x0, #304]
	stp	q8, q9, [x0, #336]
	stp	q10, q11, [x0, #368]
	stp	q12, q13, [x0, #400]
	stp	q14, q15, [x0, #432]
	stp	q16, q17, [x0, #464]
	stp	q18, q19, [x0, #496]
	stp	q20, q21, [x0, #528]
	stp	q22, q23, [x0, #560]
	stp	q24, q25, [x0, #592]
	stp	q26, q27, [x0, #624]
	stp	q28, q29, [x0, #656]
	stp	q30, q31, [x0, #688]
	bl	irq_entry
	msr	spsel, #0
	adrp	x0, thread_switch_pending
	ldrb	w0, [x0, :lo12:thread_switch_pending]
	cbz	w0, 1f
	bl	thread_preempt
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
