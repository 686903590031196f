/* SPDX-License-Identifier: Apache-2.0 */
/* For assembly: functions with their size and type, constants of any value. */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

/* clang-format off */ /* assembler, not C */
#define FUNCTION(name)                                                                             \
	.global name;                                                                              \
	.type name, %function;                                                                     \
	name:
#define END(name) .size name, . - name

	/* The shortest movz/movk sequence for a constant. */
	.macro mov_imm reg, value
	movz	\reg, #((\value) & 0xffff)
	.if ((\value) >> 16) & 0xffff
	movk	\reg, #(((\value) >> 16) & 0xffff), lsl #16
	.endif
	.if ((\value) >> 32) & 0xffff
	movk	\reg, #(((\value) >> 32) & 0xffff), lsl #32
	.endif
	.if ((\value) >> 48) & 0xffff
	movk	\reg, #(((\value) >> 48) & 0xffff), lsl #48
	.endif
	.endm

/* Fine-grained trap registers, which the assembler may not know by name (Arm ARM, D24.2). */
#define HFGRTR_EL2  S3_4_C1_C1_4
#define HFGWTR_EL2  S3_4_C1_C1_5
#define HFGITR_EL2  S3_4_C1_C1_6
#define HCRX_EL2    S3_4_C1_C2_2
#define HDFGRTR_EL2 S3_4_C3_C1_4
#define HDFGWTR_EL2 S3_4_C3_C1_5
#define HAFGRTR_EL2 S3_4_C3_C1_6
#define ICC_SRE_EL2 S3_4_C12_C9_5
#define ICH_HCR_EL2 S3_4_C12_C11_0
/* clang-format on */

#endif
