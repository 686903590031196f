/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables as data (arch/pagetable.h).
 *
 * Everything is find(), which follows the tables to what is in the way of an address, and puts something
 * else there: leaves or a table into a hole, a table of smaller leaves in place of a leaf. Runs with the
 * MMU off, too (early.c).
 */
#include <errno.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define ENTRIES 512
#define ROOT_SHIFT \
	30 /* an entry of the root covers 1 GiB, of the next level 2 MiB, of the last a page */
#define LEVEL_BITS 9
#define PAGE_SHIFT 12

#define DATA   (PTE_VALID | PTE_AF | PTE_PXN | PTE_UXN)
#define NORMAL (PTE_ATTRINDX(1) | PTE_SH_INNER)
#define DEVICE PTE_ATTRINDX(0)

/* The only leaves there are: each lacks writing or lacks execution, and nothing is EL0's. */
static const uint64_t leaf_bits[] = {
    [PT_NORMAL_RX] = (DATA & ~PTE_PXN) | NORMAL | PTE_AP_READ_ONLY,
    [PT_NORMAL_RO] = DATA | NORMAL | PTE_AP_READ_ONLY,
    [PT_NORMAL_RW] = DATA | NORMAL,
    [PT_DEVICE] = DATA | DEVICE,
};

static bool is_table(uint64_t entry, unsigned int shift)
{
	return shift > PAGE_SHIFT && (entry & PTE_VALID) && (entry & PTE_TABLE);
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & PTE_ADDRESS);
}

/* Of an entry that covers 1 << shift bytes. */
static uint64_t leaf(uint64_t pa, uint64_t bits, unsigned int shift)
{
	return pa | bits | (shift == PAGE_SHIFT ? PTE_TABLE : 0);
}

/* The leaf or hole that va is in; it covers 1 << shift bytes. */
struct found {
	uint64_t *entry;
	uint64_t shift;
};

static struct found find(const uint64_t *table, uint64_t va)
{
	struct found f = {.shift = ROOT_SHIFT};

	for (;; f.shift -= LEVEL_BITS) {
		f.entry = (uint64_t *)(uintptr_t)&table[(va >> f.shift) % ENTRIES];
		if (!is_table(*f.entry, f.shift))
			return f;
		table = table_of(*f.entry);
	}
}

/*
 * Changing one entry. A single 64-bit store: the table walker never sees half of it.
 */
static void set(struct pagetable *pt, uint64_t *entry, uint64_t value, uint64_t va)
{
	if ((*entry & PTE_VALID) && pt->replace_live)
		pt->replace_live(pt->ctx, entry, value, va);
	else
		__atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

/*
 * Put a table in place of a hole, or one with the same translations in place of a block. The walker may
 * follow it at once, so its contents must be visible before: the walker's reads are ordered by the
 * address they depend on, our stores by the fence.
 */
static int add_table(struct pagetable *pt, struct found f, uint64_t va)
{
	uint64_t *table = pt->alloc_table(pt->ctx), size = UINT64_C(1) << (f.shift - LEVEL_BITS);

	if (!table)
		return -ENOMEM;
	for (unsigned int i = 0; i < ENTRIES && (*f.entry & PTE_VALID); i++)
		table[i] = leaf(*f.entry + i * size, 0, f.shift - LEVEL_BITS);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set(pt, f.entry, (uint64_t)(uintptr_t)table | PTE_VALID | PTE_TABLE, va);
	return 0;
}

/* Map [va, end) with leaves from hole f on, as far as they fit and its table goes. Returns where to go on. */
static uint64_t fill_holes(struct found f, uint64_t va, uint64_t end, uint64_t bits)
{
	uint64_t size = UINT64_C(1) << f.shift, value = leaf(va, bits, f.shift);
	uint64_t room = MIN(ENTRIES - (va >> f.shift) % ENTRIES, (end - va) >> f.shift);

	if (va % size || !room)
		return va;
	do {
		__atomic_store_n(f.entry++, value, __ATOMIC_RELAXED);
		value += size;
	} while (--room && !(*f.entry & PTE_VALID));
	return pagetable_pa(value);
}

/*
 * The interface
 */
int pagetable_map(struct pagetable *pt, uint64_t va, uint64_t bytes, enum pagetable_attrs attrs)
{
	uint64_t start = va, end = va + bytes, next;
	int error = 0;

	if ((va | bytes) % PAGE_BYTES || va > PAGETABLE_VA_END || bytes > PAGETABLE_VA_END - va ||
	    (unsigned int)attrs >= ARRAY_LEN(leaf_bits) || (va == 0 && bytes))
		return -EINVAL;
	for (; va < end && !error; va = next) {
		struct found f = find(pt->root, va);

		next = va;
		if (*f.entry & PTE_VALID)
			error = -EEXIST;
		else if ((next = fill_holes(f, va, end, leaf_bits[attrs])) == va)
			error = add_table(pt, f, va);
	}
	while (error && start < va) {
		struct found f = find(pt->root, start);

		set(pt, f.entry, 0, start);
		start += UINT64_C(1) << f.shift;
	}
	return error;
}

int pagetable_unmap(struct pagetable *pt, uint64_t va)
{
	if (va % PAGE_BYTES || va >= PAGETABLE_VA_END)
		return -EINVAL;
	for (;;) {
		struct found f = find(pt->root, va);

		if (!(*f.entry & PTE_VALID))
			return -ENOENT;
		if (f.shift == PAGE_SHIFT) {
			set(pt, f.entry, 0, va);
			return 0;
		}
		if (add_table(pt, f, ALIGN_DOWN(va, UINT64_C(1) << f.shift)))
			return -ENOMEM;
	}
}

/*
 * Reading
 */
struct walk {
	int (*visit)(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor);
	void *ctx;
};

static int walk_table(const struct walk *w, const uint64_t *table, unsigned int shift, uint64_t va)
{
	uint64_t size = UINT64_C(1) << shift;
	int result = 0;

	for (unsigned int i = 0; i < ENTRIES && !result; i++, va += size) {
		uint64_t entry = table[i];

		if (is_table(entry, shift))
			result = walk_table(w, table_of(entry), shift - LEVEL_BITS, va);
		else if (entry & PTE_VALID)
			result = w->visit(w->ctx, va, size, entry);
	}
	return result;
}

int pagetable_walk(const uint64_t *root,
                   int (*visit)(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor),
                   void *ctx)
{
	struct walk w = {visit, ctx};

	return walk_table(&w, root, ROOT_SHIFT, 0);
}

uint64_t pagetable_lookup(const uint64_t *root, uint64_t va, uint64_t *bytes)
{
	/* Beyond the end is as unmapped as page 0. */
	struct found f = find(root, va < PAGETABLE_VA_END ? va : 0);

	if (bytes)
		*bytes = UINT64_C(1) << f.shift;
	return *f.entry & PTE_VALID ? *f.entry : 0;
}
