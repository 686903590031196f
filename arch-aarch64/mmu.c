/* SPDX-License-Identifier: Apache-2.0 */
/* The live translation tables: device registers and guard pages come and go. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <arch/boot.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <pith/compiler.h>
#include <pith/dt.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/page.h>

/* Pages of the table area that stay for tables, at the least: device mappings need a few. */
#define TABLES_KEPT 6

/*
 * Break-before-make (Arm ARM DDI 0487, D8.14.1): no TLB may hold an old and a new translation of one
 * address. In assembly, so that nothing is touched in between: entry may translate the stack, never
 * the tables themselves, which are in the image and mapped by pages (see new_table).
 */
static void replace_live(void *ctx, uint64_t *entry, uint64_t value, uint64_t va)
{
	(void)ctx;
	__asm__ volatile("str xzr, [%0]\n\t"
	                 "dsb ishst\n\t"
	                 "tlbi vaae1is, %2\n\t"
	                 "dsb ish\n\t"
	                 "str %1, [%0]\n\t"
	                 "dsb ishst\n\t"
	                 "isb"
	                 :
	                 : "r"(entry), "r"(value), "r"(va >> 12)
	                 : "memory");
}

/*
 * A page for a table, from the image's own table area while it lasts. replace_live writes entries
 * through their own mapping, so a table must not lie in a block that one of its entries splits: that
 * holds for level 2 tables of RAM, which are all in the table area (place.c). Tables made here are
 * level 3, or level 2 for devices, whose blocks are never split.
 */
static void *new_table(void *ctx)
{
	struct boot_info *info = ctx;
	void *table = (void *)info->table_next;

	if (info->table_next < info->tables_end)
		info->table_next += PAGE_BYTES;
	else
		table = page_alloc(1, PAGE_BYTES, UINT64_MAX);
	return table ? memset(table, 0, PAGE_BYTES) : NULL;
}

static struct pagetable live = {
    .alloc_table = new_table, .replace_live = replace_live, .ctx = &boot_info};

void mmu_init(void)
{
	struct boot_info *info = &boot_info;
	uint64_t keep_end = info->table_next + TABLES_KEPT * PAGE_BYTES;

	live.root = (uint64_t *)info->root;
	/* What the early tables used, if the image stayed, and what nobody will need. */
	if (info->tables_start > (uint64_t)__tables_start)
		page_add((uint64_t)__tables_start, info->tables_start - (uint64_t)__tables_start);
	if (keep_end < info->tables_end) {
		page_add(keep_end, info->tables_end - keep_end);
		info->tables_end = keep_end;
	}
}

const uint64_t *mmu_root(void)
{
	return live.root;
}

static void barrier(void)
{
	__asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

int mmu_guard(void *page)
{
	unsigned long flags = irq_save();
	int error = pagetable_unmap(&live, (uint64_t)page);

	irq_restore_quiet(flags);
	return error;
}

void mmu_unguard(void *page)
{
	unsigned long flags = irq_save();

	/* Cannot fail: the page has its level 3 entry since mmu_guard. */
	if (pagetable_map(&live, (uint64_t)page, PAGE_BYTES, PT_NORMAL_RW))
		__builtin_trap();
	barrier();
	irq_restore_quiet(flags);
}

/* Does [start, end) touch RAM? Those 2 MiB blocks may not become device blocks. */
static bool near_ram(uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < boot_info.mapped.count; i++) {
		const struct ram_extent *e = &boot_info.mapped.extent[i];

		if (start < e->end && end > e->start)
			return true;
	}
	return false;
}

/* Map one range of registers if it is not mapped as that already. */
static int map_device(uint64_t start, uint64_t end, uint64_t unit)
{
	for (uint64_t a = start; a < end; a += unit) {
		uint64_t leaf = pagetable_lookup(live.root, a, NULL);
		int error = 0;

		if (!leaf)
			error = pagetable_map(&live, a, unit, PT_DEVICE);
		else if (!pagetable_device(leaf))
			error = -EEXIST;
		if (error)
			return error;
	}
	return 0;
}

/* probe.S, which cannot include errno.h, returns it. */
_Static_assert(ENXIO == 6, "probe.S");

void *io_map(uint64_t pa, size_t bytes)
{
	uint64_t start, end, unit = UINT64_C(2) << 20;
	unsigned long flags;
	int error;

	if (!bytes || pa + bytes < pa || pa + bytes > PAGETABLE_VA_END)
		return NULL;
	/*
	 * Whole 2 MiB blocks: one table entry, and neighbours are mapped with it. Not where RAM, a
	 * hole in it (no-map), or page 0 is within: there by pages.
	 */
	for (;; unit = PAGE_BYTES) {
		start = ALIGN_DOWN(pa, unit);
		end = ALIGN_UP(pa + bytes, unit);
		if (start && !near_ram(start, end))
			break;
		if (unit == PAGE_BYTES)
			return NULL;
	}
	flags = irq_save();
	error = map_device(start, end, unit);
	barrier();
	irq_restore_quiet(flags);
	return error ? NULL : (void *)pa;
}

bool mmu_readable(uint64_t va)
{
	uint64_t par;

	/* Arm ARM DDI 0487, AT S1E1R; PAR_EL1.F = 0: the translation succeeded. */
	__asm__ volatile("at s1e1r, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(va) : "memory");
	return va % 8 == 0 && !(par & 1);
}
