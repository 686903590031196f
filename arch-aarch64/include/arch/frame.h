/* SPDX-License-Identifier: Apache-2.0 */
/* What the exception vectors save, as C sees it. */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#define FRAME_BYTES     304 /* struct frame */
#define FRAME_SP        280
#define FRAME_VECTOR    288
#define IRQ_FRAME_BYTES 720 /* x0-x18, x29, x30, elr, spsr, fpsr, fpcr; q0-q31 */

/* Which vector was taken: the kind of exception, and EL1H if in an interrupt handler. */
#define VECTOR_KIND     3
#define VECTOR_SYNC     0
#define VECTOR_SERROR   3
#define VECTOR_EL1H     4
#define VECTOR_EL1H_BIT 2

#ifndef __ASSEMBLY__
#include <stdint.h>

/* A faulting context, complete. */
struct frame {
	uint64_t x[31];
	uint64_t elr, spsr, esr, far, sp;
	uint64_t vector; /* VECTOR_..., 0 to 7 */
	uint64_t pad;
};

/* A fault: report and end. On a stack that is known good. */
void exception(struct frame *f) __attribute__((noreturn));

/* Load VBAR_EL1 and SP_EL1. */
void vectors_install(void);
#endif

#endif
