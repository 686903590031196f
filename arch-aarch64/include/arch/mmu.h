/* SPDX-License-Identifier: Apache-2.0 */
/* The live translation tables (mmu.c). */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include <stdbool.h>
#include <stdint.h>
#include <arch/pagetable.h>

/* Take over the tables that place.c built; gives the unused part of the table area to page.c. */
void mmu_init(void);

/*
 * Make the page at va fault on any access (a guard page), or an ordinary RAM page again. Splits what
 * larger block it lies in.
 * Returns 0 or -ENOMEM (no page for a table)
 */
int mmu_guard(void *page);
void mmu_unguard(void *page);

/* Root of the live tables, for pagetable_walk. */
const uint64_t *mmu_root(void);

/* Can the CPU read 8 bytes at va? Asks the MMU, faults never. */
bool mmu_readable(uint64_t va);

#endif
