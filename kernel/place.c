/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From where the boot loader put the image to where it will run: check the tree, find the RAM,
 * choose a random place, copy and relocate the image there, build the final translation tables for
 * it, go.
 *
 * Runs on the early tables (early.c), cached, W^X. The final tables belong to the new copy and know
 * nothing of the old one: mmu_enter changes between them with the MMU off, from registers alone.
 */
#include <string.h>
#include <arch/boot.h>
#include <arch/cache.h>
#include <arch/image.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/crash.h>
#include <pith/dma.h>
#include <pith/dt.h>
#include <pith/io.h>
#include <pith/page.h>

/*
 * The image goes below this address, for masters that put out 32 bits, and below what any bus of the
 * tree reaches (dma_reach): static buffers can be given to every device.
 */
#define PLACE_LIMIT_PA UINT64_C(0x100000000)
#define GIB            UINT64_C(0x40000000)

extern uintptr_t __stack_chk_guard;

/* The whole of a /chosen seed property, or NULL. */
static const uint8_t *seed(const char *name, size_t at_least)
{
	struct dt_value v = dt_prop(dt_chosen(), name);

	return v.bytes >= at_least ? v.data : NULL;
}

/*
 * Is "nokaslr" in bootargs, on its own and not among the program's words, after "--"? Quotes do not matter
 * for a word without blanks.
 */
static bool must_stay(void)
{
	static const char word[] = "nokaslr";
	const char *p = dt_bootargs();
	size_t bytes;

	do {
		bytes = strcspn(p, " ");
		if (bytes == sizeof(word) - 1 && !memcmp(p, word, sizeof(word) - 1))
			return true;
		if (bytes == 2 && !memcmp(p, "--", 2))
			return false;
		p += bytes;
	} while (*p++);
	return false;
}

static void find_ram(struct boot_info *info)
{
	uint64_t pa, bytes;
	bool no_map;
	int error = 0;

	info->mapped.count = 0; /* nobody has zeroed this section */
	for (unsigned int i = 0; !dt_memory(i, &pa, &bytes); i++)
		error |= ram_add(&info->mapped, pa, MIN(pa + bytes, PAGETABLE_VA_END));
	ram_remove(&info->mapped, 0, PAGE_BYTES); /* NULL faults, always */
	info->free = info->mapped;
	for (unsigned int i = 0; !dt_reserved(i, &pa, &bytes, &no_map); i++) {
		error |= ram_remove(&info->free, pa, pa + bytes);
		if (no_map)
			error |= ram_remove(&info->mapped, pa, pa + bytes);
	}
	if (!dt_initrd(&pa, &bytes))
		error |= ram_remove(&info->free, pa, bytes);
	error |= ram_remove(&info->free, info->dtb, info->dtb + info->dtb_bytes);
	/* Of the image before this one, and for the next: left alone by those who do not know it, too. */
	if (!dt_memory(0, &pa, &bytes))
		error |= ram_remove(&info->free, pa + CRASH_RAM_OFFSET,
		                    pa + CRASH_RAM_OFFSET + CRASH_RAM_BYTES);
	if (error)
		info->memory_error = "too many pieces of memory";
	else if (!info->mapped.count)
		info->memory_error = "the device tree has no memory node";
}

/* Where to run: a random place, or where we are (and then why in stayed). */
static uint64_t choose(struct boot_info *info, uint64_t here)
{
	const uint8_t *random = seed("kaslr-seed", 8);
	struct ram_map candidates = info->free;
	uint64_t value, index = UINT64_MAX, limit = dma_reach();

	limit = MIN(limit, PLACE_LIMIT_PA);
	if (!random && (random = seed("rng-seed", 16))) {
		random += 8; /* the first 8 are the canary's */
		info->seed_used_bytes = 16;
	}
	if (must_stay()) {
		info->stayed = "nokaslr";
	} else if (!random) {
		info->stayed = "no seed";
	} else if (ram_remove(&candidates, here, here + image_bytes()) ||
	           (ram_place(&candidates, image_bytes(), limit, &index), index == UINT64_MAX)) {
		info->stayed = "no room";
	} else {
		memcpy(&value, random, sizeof(value));
		index = value % (UINT64_MAX - index);
		here = ram_place(&candidates, image_bytes(), limit, &index);
	}
	return here;
}

/* The final tables come one after the other out of the new copy's table area. */
static void *final_table(void *ctx)
{
	struct boot_info *info = ctx;
	uint64_t table = info->table_next;

	if (table >= info->tables_end)
		return NULL;
	info->table_next += PAGE_BYTES;
	return memset((void *)table, 0, PAGE_BYTES);
}

/* The copy of the image: text, constants, data; stacks without the guard page below each. */
static void map_image(struct pagetable *pt, uint64_t distance)
{
	static const char *const guards[] = {__boot_stack_guard, __irq_stack_guard,
	                                     __panic_stack_guard, __main_stack_guard};
	uint64_t text_end = (uint64_t)__text_end + distance;
	uint64_t start = (uint64_t)__rodata_end + distance;

	boot_map(pt, (uint64_t)__image_start + distance, text_end, PT_NORMAL_RX);
	boot_map(pt, text_end, start, PT_NORMAL_RO);
	for (unsigned int i = 0; i < ARRAY_LEN(guards); i++) {
		uint64_t guard = (uint64_t)guards[i] + distance;

		boot_map(pt, start, guard, PT_NORMAL_RW);
		start = guard + PAGE_BYTES;
	}
	boot_map(pt, start, (uint64_t)__image_end + distance, PT_NORMAL_RW);
}

/* Below limit never by 1 GiB blocks, which would have to be split for a guard page (mmu.c). */
static void map_ram(struct pagetable *pt, uint64_t start, uint64_t end, uint64_t limit)
{
	while (start < end) {
		uint64_t piece = start < limit ? ALIGN_DOWN(start, GIB / 2) + GIB / 2 : end;

		piece = MIN(piece, end);
		boot_map(pt, start, piece, PT_NORMAL_RW);
		start = piece;
	}
}

static void build_tables(struct boot_info *info, uint64_t base, uint64_t distance)
{
	struct pagetable pt = {.alloc_table = final_table, .ctx = info};
	struct ram_map rest = info->mapped;
	uint64_t end = base + image_bytes();

	/* Where the image stays, behind the early ones. */
	if (distance)
		info->table_next = (uint64_t)__tables_start + distance;
	info->tables_start = info->table_next;
	info->tables_end = (uint64_t)__tables_end + distance;
	pt.root = final_table(info);
	info->root = (uint64_t)pt.root;
	map_image(&pt, distance);
	/* The tree, should it be outside of what it calls memory itself. */
	if (ram_add(&rest, ALIGN_DOWN(info->dtb, PAGE_BYTES),
	            ALIGN_UP(info->dtb + info->dtb_bytes, PAGE_BYTES)) ||
	    ram_remove(&rest, base, end))
		boot_stop(STOP_TABLES);
	info->block_limit = MAX(PLACE_LIMIT_PA, ALIGN_UP(end, GIB));
	for (unsigned int i = 0; i < rest.count; i++)
		map_ram(&pt, rest.extent[i].start, rest.extent[i].end, info->block_limit);
}

/*
 * A copy of the image at base, ready to run there but for its bss: bytes, relocated; caches written
 * back as far as mmu_enter is fetched with the MMU off (and text for the instruction side).
 */
static void copy_image(uint64_t base, uint64_t distance)
{
	size_t index_bytes;
	const void *index = dt_index_start(&index_bytes);
	struct pagetable early = {.root = (uint64_t *)sysreg_read(ttbr0_el1),
	                          .alloc_table = early_table,
	                          .ctx = &boot_info};

	boot_map(&early, base, base + image_bytes(), PT_NORMAL_RW);
	__asm__ volatile("dsb ishst\n\tisb" ::: "memory"); /* new entries before their first use */
	memcpy((void *)base, __image_start, (size_t)(__data_end - __image_start));
	memcpy((void *)((uint64_t)index + distance), index, index_bytes);
	relocate_image(base, distance);
}

/* Set the canary of the copy at base, hand over what is known, and go on there. */
static void __attribute__((noreturn))
enter(struct boot_info *info, uint64_t base, uint64_t distance)
{
	const uint8_t *canary = seed("rng-seed", 8);
	uint64_t *guard = (uint64_t *)((uint64_t)&__stack_chk_guard + distance);

	if (canary) {
		memcpy(guard, canary, sizeof(*guard));
		info->seed_used_bytes = MAX(info->seed_used_bytes, (uint8_t)8);
	} else {
		*guard = sysreg_read(cntpct_el0) * UINT64_C(0x9e3779b97f4a7c15); /* best effort */
	}
	if (distance)
		memcpy((void *)((uint64_t)info + distance), info, sizeof(*info));
	dcache_clean((void *)base, (size_t)(__text_end - __image_start));
	mmu_enter(info->root, (uint64_t)kernel_main + distance,
	          (uint64_t)__boot_stack_top + distance, distance);
}

void place_image(void)
{
	struct boot_info *info = &boot_info;
	uint64_t here = (uint64_t)__image_start, base, distance;

	info->stayed = info->memory_error = NULL;
	info->seed_used_bytes = 0;
	if (dt_init((const void *)info->dtb, info->dtb_bytes))
		boot_stop(STOP_TREE_BROKEN);
	find_ram(info);
	base = choose(info, here);
	distance = base - here;
	if (distance)
		copy_image(base, distance);
	/* Once, where the image stays: nothing that has run so far has variables there. */
	memset((void *)((uint64_t)__bss_start + distance), 0, (size_t)(__bss_end - __bss_start));
	build_tables(info, base, distance);
	if (ram_remove(&info->free, base, base + image_bytes()))
		info->free.count =
		    0; /* not to be taken for free: there is no memory then, which will be said */
	enter(info, base, distance);
}
