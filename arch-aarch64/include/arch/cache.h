/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache maintenance by address, in lines of CTR_EL0.DminLine (Arm ARM DDI 0487, D7.5.9). Works with
 * the MMU on or off. QEMU has no caches: what is missing here shows only on a board.
 */
#ifndef ARCH_CACHE_H
#define ARCH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void dsb_sy(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

/* Write dirty lines back to the point of coherency and drop all: memory holds the only copy. */
void dcache_clean_invalidate(const void *start, size_t bytes);

/* Write dirty lines back to the point of coherency: others than this CPU's data side see them. */
void dcache_clean(const void *start, size_t bytes);

/*
 * Drop lines without writing them back: memory is right, what the lines hold is not. They must hold
 * nothing else that is worth keeping. (A CPU may write back a dirty line all the same: D7.5.9.)
 */
void dcache_invalidate(const void *start, size_t bytes);

static inline bool sctlr_mmu_on(void)
{
	uint64_t sctlr;

	__asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
	return sctlr & 1;
}

#endif
