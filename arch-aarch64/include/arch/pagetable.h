/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables as data: building, changing and reading them. Nothing here touches a system
 * register or a TLB, so it is tested on the host; mmu.c makes the tables live.
 *
 * AArch64 stage 1, EL1&0, 4 KiB granule, 39-bit addresses: TCR_EL1.T0SZ = 25 starts the walk at
 * level 1, one root of 512 entries of 1 GiB; level 2 has 2 MiB, level 3 4 KiB (Arm ARM DDI 0487,
 * D8.2 and D8.3). Tables are found at their own physical address (identity map).
 *
 * No page is ever writable and executable: there is no attribute for it.
 */
#ifndef ARCH_PAGETABLE_H
#define ARCH_PAGETABLE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGETABLE_VA_BITS 39
#define PAGETABLE_VA_END  (UINT64_C(1) << PAGETABLE_VA_BITS)

/* MAIR_EL1: index 0 Device-nGnRE (0x04), index 1 Normal write-back, allocating (0xff) */
#define PAGETABLE_MAIR UINT64_C(0xff04)

/* Bits of a descriptor, D8.3.1 and D8.3.2. */
#define PTE_VALID        (UINT64_C(1) << 0)
#define PTE_TABLE        (UINT64_C(1) << 1) /* levels 1, 2: a table, not a block; level 3: must be 1 */
#define PTE_ATTRINDX(i)  ((uint64_t)(i) << 2) /* into MAIR_EL1 */
#define PTE_AP_EL0       (UINT64_C(1) << 6)
#define PTE_AP_READ_ONLY (UINT64_C(1) << 7)
#define PTE_SH_INNER     (UINT64_C(3) << 8)
#define PTE_AF           (UINT64_C(1) << 10) /* set, or the first access faults */
#define PTE_NG           (UINT64_C(1) << 11)
#define PTE_PXN          (UINT64_C(1) << 53)
#define PTE_UXN          (UINT64_C(1) << 54)
#define PTE_ADDRESS      (((UINT64_C(1) << 48) - 1) & ~UINT64_C(0xfff))

enum pagetable_attrs {
	PT_NORMAL_RX, /* text */
	PT_NORMAL_RO, /* constants */
	PT_NORMAL_RW, /* everything else in RAM; never executable */
	PT_DEVICE,    /* registers: nGnRE, read-write, never executable */
};

struct pagetable {
	uint64_t *root; /* PAGE_BYTES, page-aligned, zeroed by the owner */
	/* A zeroed page for one more table, or NULL. Never given back. */
	void *(*alloc_table)(void *ctx);
	/*
	 * Once the tables are live: change an entry that was valid, by break-before-make (D8.14:
	 * store 0, DSB, TLBI of va, DSB, then store value, DSB, ISB). va is the first address that
	 * the entry translates; value may be 0. NULL while no CPU walks these tables: plain stores.
	 */
	void (*replace_live)(void *ctx, uint64_t *entry, uint64_t value, uint64_t va);
	void *ctx;
};

/*
 * Rules for both changes below.
 *
 * va, bytes      multiples of PAGE_BYTES, all below PAGETABLE_VA_END; bytes 0 does nothing
 * Live tables    the caller masks interrupts. An entry that was valid goes through replace_live, so
 *                what it maps (the whole block, if one must be split) is gone for a moment: not for
 *                the code that runs, its stack, or the tables. After an entry that was not valid no
 *                TLB maintenance is due, only DSB ISHST and ISB by the caller, once.
 * On an error    every translation is as it was
 * Returns        0; -EINVAL alignment, range, unknown attributes; -ENOMEM no table; and as said
 */

/*
 * Map 1:1 with the largest blocks that alignment and size allow. All of the range must be unmapped
 * (-EEXIST). Page 0 is refused (-EINVAL): NULL faults, always.
 */
int pagetable_map(struct pagetable *pt, uint64_t va, uint64_t bytes, enum pagetable_attrs attrs);
/* Unmap one page; the block that it is in is split. It must be mapped (-ENOENT). */
int pagetable_unmap(struct pagetable *pt, uint64_t va);

/*
 * Visit every leaf in order of address: va, bytes (1 GiB, 2 MiB, 4 KiB) and the raw descriptor.
 * Stops when visit returns nonzero, and returns that; 0 at the end.
 */
int pagetable_walk(const uint64_t *root,
                   int (*visit)(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor),
                   void *ctx);

/* The leaf that translates va, or 0; *bytes (unless NULL): what it or the hole covers. */
uint64_t pagetable_lookup(const uint64_t *root, uint64_t va, uint64_t *bytes);

/* What a leaf allows at EL1. SCTLR_EL1.WXN would override: these ask for the descriptor alone. */
static inline bool pagetable_writable(uint64_t descriptor)
{
	return !(descriptor & PTE_AP_READ_ONLY);
}

static inline bool pagetable_executable(uint64_t descriptor)
{
	return !(descriptor & PTE_PXN) || !(descriptor & PTE_UXN);
}

static inline bool pagetable_device(uint64_t descriptor)
{
	return !(descriptor & PTE_ATTRINDX(7));
}

static inline uint64_t pagetable_pa(uint64_t descriptor)
{
	return descriptor & PTE_ADDRESS;
}

#endif
