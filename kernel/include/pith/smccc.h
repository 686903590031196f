/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to firmware (EL3, by SMC) or hypervisor (EL2, by HVC).
 *
 * Source: SMC Calling Convention, Arm DEN 0028, version 1.0 and later.
 */
#ifndef PITH_SMCCC_H
#define PITH_SMCCC_H

#include <stdint.h>

/*
 * DEN 0028, section 2.6: function and arguments in x0-x3, result in x0. Version 1.0 firmware may
 * change x4-x17.
 */
#define SMCCC_CALL(instruction, function, a1, a2, a3)                                              \
	({                                                                                         \
		register uint64_t x0_ __asm__("x0") = (function);                                  \
		register uint64_t x1_ __asm__("x1") = (a1);                                        \
		register uint64_t x2_ __asm__("x2") = (a2);                                        \
		register uint64_t x3_ __asm__("x3") = (a3);                                        \
		__asm__ volatile(instruction " #0"                                                 \
		                 : "+r"(x0_), "+r"(x1_), "+r"(x2_), "+r"(x3_)                      \
		                 :                                                                 \
		                 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", \
		                   "x14", "x15", "x16", "x17", "memory");                          \
		(int64_t) x0_;                                                                     \
	})

static inline int64_t smccc_smc(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return SMCCC_CALL("smc", function, a1, a2, a3);
}

static inline int64_t smccc_hvc(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return SMCCC_CALL("hvc", function, a1, a2, a3);
}

#endif
