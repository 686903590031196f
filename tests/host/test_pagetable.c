/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of arch/pagetable.h: every address translates to what the calls said and nothing else,
 * also halfway through a change and after one that failed; the largest blocks and the fewest tables;
 * nothing is ever writable and executable, nothing is EL0's; page 0 stays unmapped; on live tables
 * every change of a valid entry, and no other, goes through break-before-make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define KIB4 UINT64_C(0x1000)
#define MIB2 UINT64_C(0x200000)
#define GIB1 UINT64_C(0x40000000)

#define TABLES_MAX 512

static struct pagetable pt;
static void *tables[TABLES_MAX];
static unsigned int table_count, tables_allowed;

static void *alloc_table(void *ctx)
{
	assert_ptr_equal(ctx, &pt);
	if (table_count >= tables_allowed)
		return NULL;
	tables[table_count] = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	return memset(tables[table_count++], 0, PAGE_BYTES);
}

static int new_tables(void **state)
{
	(void)state;
	srandom(1);
	table_count = 0;
	tables_allowed = TABLES_MAX;
	pt = (struct pagetable){.alloc_table = alloc_table, .ctx = &pt};
	pt.root = alloc_table(&pt);
	return 0;
}

static int free_tables(void **state)
{
	(void)state;
	while (table_count)
		free(tables[--table_count]);
	return 0;
}

/*
 * A table walk of our own, by the manual (Arm ARM DDI 0487, D8.2.8, D8.3): bits 38:30, 29:21, 20:12
 * of the address, 0b11 a table (or a page at the last level), 0b01 a block.
 */
static uint64_t walk(uint64_t va, uint64_t *pa)
{
	const uint64_t *table = pt.root;

	for (unsigned int shift = 30;; shift -= 9) {
		uint64_t d = table[va >> shift & 0x1ff], low = va & ((UINT64_C(1) << shift) - 1);

		if (!(d & 1))
			return 0;
		if (shift == 12)
			assert_int_equal(d & 3, 3);
		if (shift == 12 || (d & 3) == 1) {
			*pa = (d & 0x0000fffffffff000) + low;
			/* The address within a block is 0 below its size. */
			assert_int_equal(d & 0x0000fffffffff000 & ((UINT64_C(1) << shift) - 1), 0);
			return d & ~UINT64_C(0x0000fffffffff002);
		}
		assert_int_equal(d & ~UINT64_C(0x0000fffffffff000), 3);
		table = (const uint64_t *)(uintptr_t)(d & 0x0000fffffffff000);
	}
}

/* Upper and lower attributes by hand: UXN 54, PXN 53, AF 10, SH 9:8, AP 7:6, AttrIndx 4:2. */
static const uint64_t expected_bits[] = {
    [PT_NORMAL_RX] = UINT64_C(0x0040000000000785),
    [PT_NORMAL_RO] = UINT64_C(0x0060000000000785),
    [PT_NORMAL_RW] = UINT64_C(0x0060000000000705),
    [PT_DEVICE] = UINT64_C(0x0060000000000401),
};

static void assert_maps(uint64_t va, uint64_t pa, enum pagetable_attrs attrs)
{
	uint64_t actual_pa = 0, bits = walk(va, &actual_pa);

	if (bits != expected_bits[attrs] || actual_pa != pa)
		fail_msg("%#lx -> %#lx %#lx, not %#lx %#lx", va, actual_pa, bits, pa,
		         expected_bits[attrs]);
}

static void assert_unmapped(uint64_t va)
{
	uint64_t pa;

	assert_int_equal(walk(va, &pa), 0);
	assert_int_equal(pagetable_lookup(pt.root, va, NULL), 0);
}

struct count {
	unsigned int gib1, mib2, kib4;
	uint64_t last_end, bytes;
};

static int count_leaf(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor)
{
	struct count *c = ctx;
	uint64_t size = 0;

	assert_true(va >= c->last_end && va % bytes == 0 && pagetable_pa(descriptor) % bytes == 0);
	assert_false(pagetable_writable(descriptor) && pagetable_executable(descriptor));
	assert_int_equal(pagetable_lookup(pt.root, va + bytes - 1, &size), descriptor);
	assert_int_equal(size, bytes);
	c->last_end = va + bytes;
	c->bytes += bytes;
	c->gib1 += bytes == GIB1;
	c->mib2 += bytes == MIB2;
	c->kib4 += bytes == KIB4;
	return 0;
}

static void assert_leaves(unsigned int gib1, unsigned int mib2, unsigned int kib4,
                          unsigned int tables_expected)
{
	struct count c = {0, 0, 0, 0, 0};

	assert_int_equal(pagetable_walk(pt.root, count_leaf, &c), 0);
	assert_int_equal(c.gib1, gib1);
	assert_int_equal(c.mib2, mib2);
	assert_int_equal(c.kib4, kib4);
	assert_int_equal(table_count, tables_expected);
}

static void map(uint64_t va, uint64_t bytes, enum pagetable_attrs attrs)
{
	assert_int_equal(pagetable_map(&pt, va, bytes, attrs), 0);
}

static void attributes_are_these_bits(void **state)
{
	(void)state;
	for (int a = PT_NORMAL_RX; a <= PT_DEVICE; a++) {
		uint64_t va = (uint64_t)(a + 1) * KIB4, d;

		map(va, KIB4, a);
		assert_maps(va, va, a);
		d = pagetable_lookup(pt.root, va, NULL);
		assert_int_equal(pagetable_executable(d), a == PT_NORMAL_RX);
		assert_int_equal(pagetable_writable(d), a == PT_NORMAL_RW || a == PT_DEVICE);
		assert_int_equal(pagetable_device(d), a == PT_DEVICE);
	}
	/* Index 0 Device-nGnRE, 1 Normal write-back. */
	assert_int_equal(PAGETABLE_MAIR, 0xff04);
}

static void the_largest_blocks_are_used(void **state)
{
	(void)state;
	map(GIB1, 3 * GIB1, PT_NORMAL_RW);
	assert_leaves(3, 0, 0, 1);
	map(0x8000000, 0x8000000, PT_DEVICE); /* [128 MiB, 256 MiB) */
	assert_leaves(3, 64, 0, 2);
}

/* From one page before a 2 MiB edge before a 1 GiB edge to as far behind one. */
static void ragged_ends_get_small_pages_only_at_the_ends(void **state)
{
	uint64_t start = 2 * GIB1 - MIB2 - KIB4, end = 4 * GIB1 + MIB2 + KIB4;

	(void)state;
	map(start, end - start, PT_NORMAL_RW);
	assert_leaves(2, 2, 2, 1 + 4);
	assert_unmapped(start - 1);
	assert_maps(start, start, PT_NORMAL_RW);
	assert_maps(3 * GIB1 + 12345, 3 * GIB1 + 12345, PT_NORMAL_RW);
	assert_maps(end - 1, end - 1, PT_NORMAL_RW);
	assert_unmapped(end);
}

static void the_last_byte_of_the_space_is_mapped(void **state)
{
	uint64_t end = PAGETABLE_VA_END;

	(void)state;
	map(end - KIB4, KIB4, PT_NORMAL_RO);
	assert_maps(end - 1, end - 1, PT_NORMAL_RO);
	map(end - GIB1, GIB1 - KIB4, PT_NORMAL_RW);
	assert_leaves(0, 511, 512, 3);
}

static void all_but_page_0_can_be_mapped(void **state)
{
	(void)state;
	map(KIB4, PAGETABLE_VA_END - KIB4, PT_NORMAL_RW);
	assert_leaves(511, 511, 511, 3);
}

static void bad_ranges_are_refused(void **state)
{
	static const struct {
		uint64_t va, bytes;
	} bad[] = {
	    {KIB4 + 1, KIB4},
	    {KIB4, KIB4 + 16},
	    {PAGETABLE_VA_END, KIB4},
	    {PAGETABLE_VA_END - KIB4, 2 * KIB4},
	    {KIB4, UINT64_MAX - KIB4 + 1},
	    {UINT64_MAX - KIB4 + 1, 2 * KIB4},
	    {KIB4, PAGETABLE_VA_END},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t va = bad[i].va, bytes = bad[i].bytes;

		assert_int_equal(pagetable_map(&pt, va, bytes, PT_NORMAL_RW), -EINVAL);
	}
	assert_int_equal(pagetable_unmap(&pt, KIB4 + 1), -EINVAL);
	assert_int_equal(pagetable_unmap(&pt, PAGETABLE_VA_END), -EINVAL);
	assert_int_equal(pagetable_unmap(&pt, UINT64_MAX - KIB4 + 1), -EINVAL);
	assert_leaves(0, 0, 0, 1);
	assert_int_equal(pagetable_lookup(pt.root, PAGETABLE_VA_END, NULL), 0);
	assert_int_equal(pagetable_lookup(pt.root, UINT64_MAX, NULL), 0);
}

static void page_zero_is_refused(void **state)
{
	(void)state;
	assert_int_equal(pagetable_map(&pt, 0, KIB4, PT_NORMAL_RW), -EINVAL);
	assert_int_equal(pagetable_map(&pt, 0, GIB1, PT_NORMAL_RW), -EINVAL);
	assert_int_equal(pagetable_map(&pt, 0, 0, PT_NORMAL_RW), 0);
	assert_leaves(0, 0, 0, 1);
}

/* There is no fifth kind, and none of the four is writable and executable. */
static void nothing_else_than_the_four_kinds_is_mapped(void **state)
{
	(void)state;
	map(GIB1, GIB1, PT_NORMAL_RX);
	for (unsigned int a = PT_DEVICE + 1; a < 300; a++)
		assert_int_equal(pagetable_map(&pt, KIB4, KIB4, a), -EINVAL);
	assert_int_equal(pagetable_map(&pt, KIB4, KIB4, (unsigned int)-1), -EINVAL);
	assert_leaves(1, 0, 0, 1);
	for (int a = PT_NORMAL_RX; a <= PT_DEVICE; a++)
		assert_false(!(expected_bits[a] & 1 << 7) &&
		             (~expected_bits[a] & (PTE_PXN | PTE_UXN)));
}

static void nothing_is_mapped_twice(void **state)
{
	(void)state;
	map(MIB2, MIB2, PT_NORMAL_RW);
	assert_int_equal(pagetable_map(&pt, MIB2, MIB2, PT_NORMAL_RW), -EEXIST);
	assert_int_equal(pagetable_map(&pt, MIB2 + KIB4, KIB4, PT_NORMAL_RW), -EEXIST);
	assert_int_equal(pagetable_map(&pt, KIB4, MIB2, PT_NORMAL_RW), -EEXIST);
	assert_int_equal(pagetable_map(&pt, KIB4, GIB1, PT_NORMAL_RW), -EEXIST);
	assert_leaves(0, 1, 0, 3); /* the table for what comes before stays, empty */
}

static void only_what_is_mapped_is_unmapped(void **state)
{
	(void)state;
	map(MIB2, MIB2, PT_NORMAL_RW);
	assert_int_equal(pagetable_unmap(&pt, KIB4), -ENOENT);
	assert_int_equal(pagetable_unmap(&pt, 2 * MIB2), -ENOENT);
	assert_int_equal(pagetable_unmap(&pt, 5 * GIB1), -ENOENT);
	assert_leaves(0, 1, 0, 2);
	assert_maps(2 * MIB2 - 1, 2 * MIB2 - 1, PT_NORMAL_RW);
}

/* One page out of 1 GiB: a table of 2 MiB blocks, one of pages, no more. */
static void a_split_keeps_everything_around(void **state)
{
	uint64_t hole = 2 * GIB1 + 7 * MIB2 + 5 * KIB4;

	(void)state;
	map(2 * GIB1, GIB1, PT_NORMAL_RW);
	assert_int_equal(pagetable_unmap(&pt, hole), 0);
	assert_leaves(0, 511, 511, 3);
	for (uint64_t va = 2 * GIB1; va < 3 * GIB1; va += KIB4)
		if (va == hole)
			assert_unmapped(va);
		else
			assert_maps(va, va, PT_NORMAL_RW);
}

/* Stacks in a block: the first guard page splits it, then others come and go without any more tables. */
static void pages_of_one_block_need_one_table(void **state)
{
	uint64_t zone = GIB1 + 6 * MIB2;

	(void)state;
	map(GIB1, 16 * MIB2, PT_NORMAL_RW);
	tables_allowed = table_count + 1;
	for (unsigned int i = 0; i < 512; i += 5)
		assert_int_equal(pagetable_unmap(&pt, zone + i * KIB4), 0);
	assert_unmapped(zone + 5 * KIB4);
	assert_maps(zone + 6 * KIB4, zone + 6 * KIB4, PT_NORMAL_RW);
	for (unsigned int i = 0; i < 512; i += 5)
		map(zone + i * KIB4, KIB4, PT_NORMAL_RW);
	assert_leaves(0, 15, 512, 3);
}

static int stop_at_third(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor)
{
	(void)va, (void)bytes, (void)descriptor;
	return ++*(int *)ctx == 3 ? 42 : 0;
}

static void a_walk_stops_when_told(void **state)
{
	int visits = 0;

	(void)state;
	map(MIB2 - 4 * KIB4, 8 * KIB4, PT_NORMAL_RW);
	assert_int_equal(pagetable_walk(pt.root, stop_at_third, &visits), 42);
	assert_int_equal(visits, 3);
}

static void a_lookup_tells_how_far_it_holds(void **state)
{
	uint64_t bytes;

	(void)state;
	map(GIB1 + MIB2, KIB4, PT_NORMAL_RW);
	pagetable_lookup(pt.root, 0, &bytes);
	assert_int_equal(bytes, GIB1);
	pagetable_lookup(pt.root, GIB1, &bytes);
	assert_int_equal(bytes, MIB2);
	assert_true(pagetable_lookup(pt.root, GIB1 + MIB2 + 5, &bytes));
	assert_int_equal(bytes, KIB4);
	assert_false(pagetable_lookup(pt.root, GIB1 + MIB2 + KIB4, &bytes));
	assert_int_equal(bytes, KIB4);
}

/*
 * Against a model of single pages, on windows across the edges that matter.
 */
#define WINDOW_PAGES 1536
static const uint64_t windows[] = {
    GIB1 - 3 * MIB2 / 2,
    7 * GIB1,
    PAGETABLE_VA_END - 3 * MIB2,
};
#define WINDOWS ARRAY_LEN(windows)
#define HOLE    0xff
static uint8_t model[WINDOWS][WINDOW_PAGES]; /* enum pagetable_attrs, or HOLE */

static struct range {
	size_t window, first, count;
	uint64_t va, bytes;
} change; /* in progress: what replace_live may touch */

static unsigned int replaced;

static void check_model(const struct range *except)
{
	for (size_t w = 0; w < WINDOWS; w++)
		for (size_t i = 0; i < WINDOW_PAGES; i++) {
			uint8_t m = model[w][i];
			uint64_t va = windows[w] + i * KIB4;

			if (except && va >= except->va && va < except->va + except->bytes)
				continue;
			if (m == HOLE)
				assert_unmapped(va);
			else
				assert_maps(va, va, m);
		}
}

/* What the tables held before the change, kept up to date by replace_live. */
#define SHADOWS 64
static uint64_t shadow[SHADOWS][512];
static unsigned int shadow_count;

static void take_shadow(void)
{
	assert_true(table_count <= SHADOWS);
	for (shadow_count = 0; shadow_count < table_count; shadow_count++)
		memcpy(shadow[shadow_count], tables[shadow_count], PAGE_BYTES);
}

static void shadow_replace(const uint64_t *entry, uint64_t value)
{
	for (unsigned int t = 0; t < shadow_count; t++)
		if (entry >= (uint64_t *)tables[t] && entry < (uint64_t *)tables[t] + 512)
			shadow[t][entry - (uint64_t *)tables[t]] = value;
}

/* Whatever was valid has changed in replace_live only. */
static void check_shadow(void)
{
	for (unsigned int t = 0; t < shadow_count; t++)
		for (unsigned int i = 0; i < 512; i++)
			if (shadow[t][i] & PTE_VALID)
				assert_int_equal(((uint64_t *)tables[t])[i], shadow[t][i]);
}

/*
 * As mmu.c does it. In the break, all but the block stays mapped. What the entry becomes agrees with
 * the model outside the change.
 */
static void replace_live(void *ctx, uint64_t *entry, uint64_t value, uint64_t va)
{
	struct range broken = {.va = va, .bytes = KIB4};
	uint64_t bytes;

	assert_ptr_equal(ctx, &pt);
	assert_true(*entry & PTE_VALID);
	assert_true(pagetable_lookup(pt.root, va, &bytes));
	assert_int_equal(va % bytes, 0);
	broken.bytes = bytes;
	*entry = 0;
	if (replaced % 64 == 0 && va + bytes > change.va && va < change.va + change.bytes) {
		broken.va = MIN(va, change.va);
		broken.bytes = MAX(va + bytes, change.va + change.bytes) - broken.va;
		check_model(&broken);
	}
	*entry = value;
	shadow_replace(entry, value);
	replaced++;
}

static size_t random_below(size_t n)
{
	return (size_t)random() % n;
}

static bool model_is(const struct range *r, bool mapped)
{
	for (size_t i = r->first; i < r->first + r->count; i++)
		if ((model[r->window][i] != HOLE) != mapped)
			return false;
	return true;
}

static void model_set(const struct range *r, int attrs)
{
	memset(&model[r->window][r->first], attrs, r->count);
}

static struct range random_range(void)
{
	static const size_t aligns[] = {1, 1, 512, 256}, counts[] = {1, 4, 600, WINDOW_PAGES};
	size_t align = aligns[random_below(4)], count = counts[random_below(4)];
	struct range r;

	r.window = random_below(WINDOWS);
	r.first = ALIGN_DOWN(random_below(WINDOW_PAGES), align);
	r.count = 1 + random_below(MIN(count, WINDOW_PAGES - r.first));
	if (random_below(3) == 0)
		r.count = MIN(ALIGN_UP(r.count, 512ul), WINDOW_PAGES - r.first);
	r.va = windows[r.window] + r.first * KIB4;
	r.bytes = r.count * KIB4;
	return r;
}

static int random_change(const struct range *r)
{
	enum pagetable_attrs attrs = random_below(4);
	int error;

	if (r->count > 1 || random_below(4) == 0) {
		error = pagetable_map(&pt, r->va, r->bytes, attrs);
		assert_true(error == -ENOMEM || (error == -EEXIST) == !model_is(r, false));
		if (!error)
			model_set(r, (int)attrs);
	} else {
		error = pagetable_unmap(&pt, r->va);
		assert_true((error == -ENOENT) == !model_is(r, true));
		if (!error)
			model_set(r, HOLE);
	}
	return error;
}

/* With no table to be had now and then, on tables that are live or not. */
static void random_changes(bool live)
{
	unsigned int counts[2] = {0, 0}, enomem = 0;

	memset(model, HOLE, sizeof(model));
	pt.replace_live = live ? replace_live : NULL;
	for (int i = 0; i < 1500; i++) {
		int error;

		if (i % 100 == 0) { /* start afresh: tables are never given back */
			free_tables(NULL);
			new_tables(NULL);
			srandom((unsigned int)i + live);
			memset(model, HOLE, sizeof(model));
			pt.replace_live = live ? replace_live : NULL;
		}
		tables_allowed = table_count + (unsigned int)random_below(3);
		change = random_range();
		if (random_below(2))
			change.count = 1, change.bytes = KIB4;
		take_shadow();
		replaced = 0;
		error = random_change(&change);
		assert_true(!error || error == -ENOMEM || error == -EEXIST || error == -ENOENT);
		if (live)
			check_shadow();
		counts[!error]++;
		enomem += error == -ENOMEM;
		check_model(NULL);
	}
	assert_true(counts[1] > 300 && enomem > 50);
}

static void random_changes_match_the_model(void **state)
{
	(void)state;
	random_changes(false);
}

static void random_changes_of_live_tables_match_the_model(void **state)
{
	(void)state;
	random_changes(true);
}

static void new_entries_of_live_tables_need_no_break(void **state)
{
	(void)state;
	pt.replace_live = replace_live;
	replaced = 0;
	map(GIB1 - KIB4, 2 * GIB1, PT_NORMAL_RW);
	map(5 * GIB1, KIB4, PT_DEVICE);
	assert_int_equal(replaced, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_tables, free_tables)
	const struct CMUnitTest tests[] = {
	    TEST(attributes_are_these_bits),
	    TEST(the_largest_blocks_are_used),
	    TEST(ragged_ends_get_small_pages_only_at_the_ends),
	    TEST(the_last_byte_of_the_space_is_mapped),
	    TEST(all_but_page_0_can_be_mapped),
	    TEST(bad_ranges_are_refused),
	    TEST(page_zero_is_refused),
	    TEST(nothing_else_than_the_four_kinds_is_mapped),
	    TEST(nothing_is_mapped_twice),
	    TEST(only_what_is_mapped_is_unmapped),
	    TEST(a_split_keeps_everything_around),
	    TEST(pages_of_one_block_need_one_table),
	    TEST(a_walk_stops_when_told),
	    TEST(a_lookup_tells_how_far_it_holds),
	    TEST(random_changes_match_the_model),
	    TEST(random_changes_of_live_tables_match_the_model),
	    TEST(new_entries_of_live_tables_need_no_break),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
