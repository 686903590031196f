/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first instructions: Linux arm64 boot protocol, down to EL1, then C with the MMU off (early.c),
 * MMU on, and on to place.c.
 *
 * Until the MMU is on, every access is to Device memory: no unaligned access, no DC ZVA, and what is
 * written bypasses caches that may hold stale lines of it (early.c says how that is dealt with).
 *
 * Sources: Linux Documentation/arch/arm64/booting.rst; Arm ARM DDI 0487 (register names are its own).
 */
#include <arch/asm.h>
#include <arch/boot.h>

	.section .head.code, "ax"
	.global _start
_start:
	b	entry
	.word	0
	.quad	0x200000		/* text_offset: RAM base + 2 MiB spares the Pi's spin tables */
	/* image_size: from the linker script */

	.section .head.rest, "ax"
	.quad	0xa			/* flags: little endian, 4 KiB pages, anywhere in RAM */
	.quad	0
	.quad	0
	.quad	0
	.ascii	"ARM\x64"
	.word	0

/*
 * In: x0 = physical address of the device tree. MMU off, any of EL3, EL2, EL1.
 * Keeps: x21 = device tree, x22 = the exception level of entry.
 */
	.section .text.entry, "ax"
entry:
	mov	x21, x0
	msr	daifset, #0xf
	mrs	x22, CurrentEL
	lsr	x22, x22, #2
	cmp	x22, #3
	b.eq	from_el3
	cmp	x22, #2
	b.eq	from_el2
	/* EL1: whoever was here before may have left anything in SCTLR_EL1. */
	mov_imm	x0, SCTLR_EL1_OFF
	msr	sctlr_el1, x0
	isb
	b	at_el1

/*
 * EL3 is not a place to live: no firmware is left to power off or reset by. Go down as far as it
 * takes to say so (kernel_main reads the entry level).
 */
	.section .text.from_el3, "ax"
from_el3:
	mov	x0, #(SCR_EL3_RES1 | SCR_EL3_NS | SCR_EL3_RW | SCR_EL3_HCE)
	msr	scr_el3, x0
	msr	cptr_el3, xzr
	msr	mdcr_el3, xzr
	mrs	x1, ID_AA64PFR0_EL1
	ubfx	x2, x1, #8, #4		/* EL2 */
	cbz	x2, 1f
	adr	x0, from_el2
	mov	x1, #SPSR_EL2H_MASKED
	b	2f
1:	mov_imm	x0, SCTLR_EL1_OFF
	msr	sctlr_el1, x0
	adr	x0, at_el1
	mov	x1, #SPSR_EL1H_MASKED
2:	msr	elr_el3, x0
	msr	spsr_el3, x1
	isb
	eret

/*
 * Everything in EL2 that has a say over EL1, written in full: reset values are unknown (D24), and
 * what a boot loader left is not ours to guess.
 */
	.section .text.from_el2, "ax"
from_el2:
	/* HCD: nobody would answer an HVC. API, APK: do not trap pointer authentication, where it is. */
	mov_imm	x0, HCR_EL2_RW | HCR_EL2_HCD
	mrs	x1, ID_AA64ISAR1_EL1
	mov_imm	x2, 0xff000ff0		/* GPI, GPA, API, APA */
	tst	x1, x2
	b.eq	1f
	orr	x0, x0, #HCR_EL2_APK
	orr	x0, x0, #HCR_EL2_API
1:	msr	hcr_el2, x0
	isb				/* E2H is 0 from here: it changes what the registers below mean */
	mov	x0, #3			/* EL1PCTEN, EL1PCEN: counter and timer are EL1's */
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mov	x0, #CPTR_EL2_RES1	/* FP and SIMD not trapped */
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	msr	vttbr_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	/* MDCR_EL2.HPMN: all PMU counters are EL1's, where there is a PMU. */
	mrs	x1, ID_AA64DFR0_EL1
	ubfx	x2, x1, #8, #4		/* PMUVer */
	mov	x0, xzr
	sub	x3, x2, #1
	cmp	x3, #0xe		/* 0: none, 0xf: not an architected one */
	b.hs	2f
	mrs	x0, pmcr_el0
	ubfx	x0, x0, #11, #5		/* N */
2:	msr	mdcr_el2, x0
	/* GICv3: system registers for EL1, if the CPU has them and they stick (GIC IHI 0069, 12.5.8). */
	mrs	x1, ID_AA64PFR0_EL1
	ubfx	x2, x1, #24, #4		/* GIC */
	cbz	x2, 3f
	mrs	x0, ICC_SRE_EL2
	orr	x0, x0, #1		/* SRE */
	orr	x0, x0, #8		/* Enable */
	msr	ICC_SRE_EL2, x0
	isb
	mrs	x0, ICC_SRE_EL2
	tbz	x0, #0, 3f
	msr	ICH_HCR_EL2, xzr
3:	/* Fine-grained traps off (FEAT_FGT). */
	mrs	x1, ID_AA64MMFR0_EL1
	ubfx	x2, x1, #56, #4
	cbz	x2, 4f
	msr	HFGRTR_EL2, xzr
	msr	HFGWTR_EL2, xzr
	msr	HFGITR_EL2, xzr
	msr	HDFGRTR_EL2, xzr
	msr	HDFGWTR_EL2, xzr
	mrs	x1, ID_AA64PFR0_EL1
	ubfx	x2, x1, #44, #4		/* AMU */
	cbz	x2, 4f
	msr	HAFGRTR_EL2, xzr
4:	mrs	x1, ID_AA64MMFR1_EL1
	ubfx	x2, x1, #40, #4		/* HCX */
	cbz	x2, 5f
	msr	HCRX_EL2, xzr
5:	mov_imm	x0, SCTLR_EL1_OFF
	msr	sctlr_el1, x0
	adr	x0, at_el1
	msr	elr_el2, x0
	mov	x0, #SPSR_EL1H_MASKED
	msr	spsr_el2, x0
	isb
	eret

/* EL1, MMU off. */
	.section .text.at_el1, "ax"
at_el1:
	mov	x0, #CPACR_EL1_FPEN	/* FP and SIMD for everybody */
	msr	cpacr_el1, x0
	msr	mdscr_el1, xzr
	msr	tpidr_el1, xzr		/* no thread yet */
	bl	vectors_install		/* a fault stops with a reason from here on */
	adrp	x0, __boot_stack_top
	mov	sp, x0
	/* Stale cache lines of what early_main uses of it must go, as with all that it writes. */
	sub	x0, x0, #EARLY_STACK_BYTES
	mov	x1, #EARLY_STACK_BYTES
	bl	dcache_clean_invalidate
	mov	x29, xzr		/* backtraces end here */
	mov	x30, xzr
	mov	x0, x21
	mov	x1, x22
	bl	early_main		/* does not return without tables: x0 = root */
	adr	x1, place_image
	adrp	x2, __boot_stack_top
	mov	x3, xzr
	b	mmu_enter

/*
 * Put a set of translation tables to work and go on under it.
 *
 * In:   x0 = root table, x1 = where to go on, x2 = stack (SP_EL0),
 *       x3 = how far the image to go on in lies above this one (0: the same)
 * The MMU may be on: it is off for the change, so that neither set of tables must map the other's
 * code. Runs from registers alone; with the MMU off its instructions are fetched from memory, so
 * whoever copied the image cleaned its text to the point of coherency.
 * Source: Arm ARM DDI 0487, D8.17 (TLBI), D24.2 (TCR_EL1, MAIR_EL1, SCTLR_EL1)
 */
	.section .text.mmu_enter, "ax"
FUNCTION(mmu_enter)
	mov_imm	x4, SCTLR_EL1_OFF
	dsb	sy
	msr	sctlr_el1, x4
	isb
	ic	iallu
	tlbi	vmalle1
	dsb	nsh
	isb
	adr	x4, mmu_enter_moved
	add	x4, x4, x3
	br	x4
END(mmu_enter)

	.section .text.mmu_enter_moved, "ax"
mmu_enter_moved:
	mov_imm	x3, MAIR_EL1_VALUE
	msr	mair_el1, x3
	mov_imm	x3, TCR_EL1_VALUE
	mrs	x4, ID_AA64MMFR0_EL1
	and	x4, x4, #7		/* PARange; 6 and 7 (52 bits and more) need larger descriptors */
	mov	x5, #5
	cmp	x4, x5
	csel	x4, x4, x5, lo
	bfi	x3, x4, #32, #3		/* IPS */
	msr	tcr_el1, x3
	msr	ttbr0_el1, x0
	msr	ttbr1_el1, xzr
	isb
	mov_imm	x3, SCTLR_EL1_ON
	msr	sctlr_el1, x3
	isb
	mov	sp, x2
	br	x1

/*
 * Boot cannot go on and no console is known: wait for ever, with the reason (enum boot_stop,
 * arch/boot.h) in x0 and in boot_stop_reason. A debugger finds the CPU at boot_stopped.
 *
 * In: x0 = reason. Any exception level, MMU on or off.
 */
	.section .text.boot_stop, "ax"
FUNCTION(boot_stop)
	adrp	x9, boot_stop_reason
	str	w0, [x9, :lo12:boot_stop_reason]
	mov	x19, x0
#ifdef EARLYCON
	bl	earlycon_stop
#endif
	mov	x0, x19
	.global boot_stopped
boot_stopped:
	wfi
	b	boot_stopped
END(boot_stop)

#ifdef EARLYCON
	.section .text.earlycon_text, "ax"
	.global earlycon_text
earlycon_text:
	.asciz	"\r\npith: boot stopped, reason "
	.balign	4
#endif
