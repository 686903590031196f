/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/page.h: adding RAM costs the same whatever its size, and touches one page; what is
 * allocated is free RAM, aligned, below its limit, as high as possible, and refused only when no such
 * place exists; what is freed joins its neighbours, until everything is as it was; freeing what is
 * free, or not RAM, stops the machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <death.h>
/* With its statics: each test starts from an empty allocator, and looks at the tree. */
#include "../../kernel/page.c"

#define MIB         (UINT64_C(1) << 20)
#define GIB         (UINT64_C(1) << 30)
#define ANYWHERE    UINT64_MAX
#define ARENA_PAGES 8192

static char *arena; /* 2 MiB-aligned */
static unsigned int logged;

void klog(const char *fmt, ...)
{
	(void)fmt;
	logged++;
}

bool in_irq(void)
{
	return false;
}

/* malloc's spare pages: what it gives back when the last page is asked for. */
static void *spare;
static int trims;

static int give_spare_back(void)
{
	void *page = spare;

	trims++;
	spare = NULL;
	if (page)
		page_free(page, 1);
	return page != NULL;
}

/* Address space without memory behind it: touching it faults until it is made accessible. */
static char *reserve(size_t bytes, size_t align)
{
	char *p = mmap(NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	               -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return (char *)ALIGN_UP((uintptr_t)p, align);
}

static void allow(char *p, size_t bytes)
{
	assert_int_equal(mprotect(p, bytes, PROT_READ | PROT_WRITE), 0);
}

static int empty_allocator(void **state)
{
	(void)state;
	if (!arena) {
		arena = reserve(ARENA_PAGES * PAGE_BYTES, 2 * MIB);
		allow(arena, ARENA_PAGES * PAGE_BYTES);
	}
	free_runs = NULL;
	region_count = 0;
	total_pages = free_pages = used_max_pages = 0;
	page_reclaim = give_spare_back;
	logged = trims = 0;
	srandom(1);
	return 0;
}

static char *page(size_t index)
{
	return arena + index * PAGE_BYTES;
}

static void add(size_t first, size_t end)
{
	page_add((uintptr_t)page(first), (end - first) * PAGE_BYTES);
}

static size_t random_below(size_t n)
{
	return (size_t)random() % n;
}

/* Order by address, order by size, no two runs that touch. Counts runs, pages and the depth. */
struct tree {
	size_t runs, pages, depth;
	uintptr_t last_end;
};

static void check_subtree(struct tree *t, const struct run *r, size_t depth)
{
	if (!r)
		return;
	t->depth = MAX(t->depth, depth);
	assert_true(!r->left || r->left->pages <= r->pages);
	assert_true(!r->right || r->right->pages <= r->pages);
	check_subtree(t, r->left, depth + 1);
	assert_ptr_equal(r, r->start);
	assert_true(r->pages > 0 && r->start > t->last_end);
	t->last_end = run_end(r);
	t->runs++;
	t->pages += r->pages;
	check_subtree(t, r->right, depth + 1);
}

static struct tree check_tree(void)
{
	struct tree t = {0, 0, 0, 0};

	check_subtree(&t, free_runs, 1);
	assert_int_equal(t.pages, free_pages);
	return t;
}

static void adding_8_gib_touches_one_page(void **state)
{
	char *ram = reserve(8 * GIB, 2 * MIB), *p;

	(void)state;
	allow(ram, PAGE_BYTES);
	page_add((uintptr_t)ram, 8 * GIB);
	assert_int_equal(check_tree().pages, 8 * GIB / PAGE_BYTES);
	/* What is allocated is not touched either, only the first page of the free run beyond it. */
	allow(ram + 8 * GIB - 2 * MIB, PAGE_BYTES);
	p = page_alloc(1, PAGE_BYTES, ANYWHERE);
	assert_ptr_equal(p, ram + 8 * GIB - PAGE_BYTES);
	p = page_alloc(GIB / PAGE_BYTES, 2 * MIB, ANYWHERE);
	assert_ptr_equal(p, ram + 7 * GIB - 2 * MIB);
	allow(ram + 4 * GIB, PAGE_BYTES);
	p = page_alloc(4 * GIB / PAGE_BYTES, PAGE_BYTES, (uintptr_t)ram + 4 * GIB);
	assert_ptr_equal(p, ram);
}

static void region_edges_are_trimmed_and_page_zero_left_out(void **state)
{
	struct memory_info info;

	(void)state;
	page_add((uintptr_t)page(0) + 1, PAGE_BYTES - 1);
	page_add((uintptr_t)page(1) + 1, PAGE_BYTES);
	page_add(0, PAGE_BYTES + 1);
	page_add((uintptr_t)page(2), 0);
	page_info(&info);
	assert_int_equal(info.total_bytes, 0);
	page_add((uintptr_t)page(3) + 5, 2 * PAGE_BYTES);
	page_info(&info);
	assert_int_equal(info.total_bytes, PAGE_BYTES);
	assert_ptr_equal(page_alloc(1, PAGE_BYTES, ANYWHERE), page(4));
	assert_null(page_alloc(1, PAGE_BYTES, ANYWHERE));
}

static void regions_that_touch_are_one(void **state)
{
	(void)state;
	add(10, 20);
	add(30, 40);
	assert_null(page_alloc(11, PAGE_BYTES, ANYWHERE));
	add(20, 30);
	assert_int_equal(region_count, 1);
	assert_ptr_equal(page_alloc(30, PAGE_BYTES, ANYWHERE), page(10));
	page_free(page(10), 30);
	assert_int_equal(check_tree().runs, 1);
}

static void a_64th_region_is_used_a_65th_is_logged(void **state)
{
	(void)state;
	for (size_t i = 0; i < 64; i++)
		add(3 * i, 3 * i + 2);
	assert_int_equal(logged, 0);
	add(1000, 2000);
	assert_int_equal(logged, 1);
	assert_int_equal(check_tree().pages, 128);
	for (size_t i = 0; i < 64; i++)
		assert_non_null(page_alloc(2, PAGE_BYTES, ANYWHERE));
	assert_null(page_alloc(1, PAGE_BYTES, ANYWHERE));
}

/*
 * Against a model: one byte a page. What is expected is found by trying every place from the top.
 */
enum { NOT_RAM, FREE, USED };
static uint8_t model[ARENA_PAGES];
static struct piece {
	size_t first, count;
} pieces[ARENA_PAGES];
static size_t piece_count;

static void model_add(size_t first, size_t end)
{
	add(first, end);
	memset(model + first, FREE, end - first);
}

static void *model_highest(size_t count, size_t align, uint64_t below)
{
	size_t run = 0;

	for (size_t i = ARENA_PAGES; i-- > 0;) {
		bool usable = model[i] == FREE && (uintptr_t)page(i + 1) <= below;

		run = usable ? run + 1 : 0;
		if (run >= count && (uintptr_t)page(i) % align == 0)
			return page(i);
	}
	return NULL;
}

static void model_alloc(void)
{
	static const size_t counts[] = {1, 1, 1, 1, 2, 3, 7, 16, 60, 200, 512, 1000};
	size_t count = counts[random_below(ARRAY_LEN(counts))];
	size_t align = PAGE_BYTES << (random_below(3) ? 0 : random_below(12));
	uint64_t below = ANYWHERE;
	size_t first;
	char *p;

	if (random_below(3) == 0)
		below = (uintptr_t)arena + random_below(ARENA_PAGES * PAGE_BYTES);
	p = page_alloc(count, align, below);
	assert_ptr_equal(p, model_highest(count, align, below));
	if (!p)
		return;
	first = (size_t)(p - arena) / PAGE_BYTES;
	memset(model + first, USED, count);
	memset(p, 0xa5, count * PAGE_BYTES); /* all of it is ours, and holds nothing of the tree */
	pieces[piece_count++] = (struct piece){first, count};
}

/* Free a piece, sometimes only a part of it. */
static void model_free(size_t index)
{
	struct piece *p = &pieces[index];
	size_t count = random_below(4) ? p->count : 1 + random_below(p->count);

	page_free(page(p->first), count);
	memset(model + p->first, FREE, count);
	p->first += count;
	p->count -= count;
	if (!p->count)
		*p = pieces[--piece_count];
}

static void model_check(size_t used_max)
{
	struct memory_info info;
	size_t free_count = 0, total = 0;

	for (size_t i = 0; i < ARENA_PAGES; i++) {
		total += model[i] != NOT_RAM;
		free_count += model[i] == FREE;
	}
	check_tree();
	page_info(&info);
	assert_int_equal(info.total_bytes, total * PAGE_BYTES);
	assert_int_equal(info.free_bytes, free_count * PAGE_BYTES);
	assert_int_equal(info.used_max_bytes, used_max);
}

static void random_use_matches_the_model(void **state)
{
	size_t used_max = 0;

	(void)state;
	memset(model, NOT_RAM, sizeof(model));
	piece_count = 0;
	model_add(3, 1000);
	model_add(5000, ARENA_PAGES);
	model_add(1001, 1002);
	model_add(1511, 4096);
	for (int i = 0; i < 30000; i++) {
		bool grow = random_below(2000) < 1000 + (i / 3000 % 2 ? 300 : (size_t)-300);

		if (grow || !piece_count)
			model_alloc();
		else
			model_free(random_below(piece_count));
		used_max = MAX(used_max, (total_pages - free_pages) * PAGE_BYTES);
		if (i % 64 == 0)
			model_check(used_max);
	}
	while (piece_count)
		model_free(random_below(piece_count));
	model_check(used_max);
	assert_int_equal(check_tree().runs, 4);
}

static void exhaustion_gives_null_and_everything_comes_back(void **state)
{
	static size_t order[ARENA_PAGES];

	(void)state;
	add(0, ARENA_PAGES);
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		assert_ptr_equal(page_alloc(1, PAGE_BYTES, ANYWHERE), page(ARENA_PAGES - 1 - i));
		order[i] = i;
	}
	for (int i = 0; i < 3; i++)
		assert_null(page_alloc(1, PAGE_BYTES, ANYWHERE));
	for (size_t i = ARENA_PAGES; i-- > 0;) {
		size_t j = random_below(i + 1), index = order[j];

		order[j] = order[i];
		page_free(page(index), 1);
	}
	assert_int_equal(check_tree().runs, 1);
	assert_ptr_equal(page_alloc(ARENA_PAGES, PAGE_BYTES, ANYWHERE), page(0));
}

static void the_heap_is_asked_before_giving_up(void **state)
{
	(void)state;
	add(0, 2);
	spare = page_alloc(1, PAGE_BYTES, ANYWHERE);
	assert_ptr_equal(page_alloc(1, PAGE_BYTES, ANYWHERE), page(0));
	assert_int_equal(trims, 0);
	assert_ptr_equal(page_alloc(1, PAGE_BYTES, ANYWHERE), page(1));
	assert_int_equal(trims, 1);
	assert_null(page_alloc(1, PAGE_BYTES, ANYWHERE));
}

static void absurd_requests_are_refused(void **state)
{
	(void)state;
	add(0, ARENA_PAGES);
	assert_null(page_alloc(ARENA_PAGES + 1, PAGE_BYTES, ANYWHERE));
	assert_null(page_alloc(SIZE_MAX, PAGE_BYTES, ANYWHERE));
	assert_null(page_alloc(SIZE_MAX / PAGE_BYTES + 2, PAGE_BYTES, ANYWHERE));
	assert_null(page_alloc(1, PAGE_BYTES, 0));
	assert_null(page_alloc(1, PAGE_BYTES, (uintptr_t)arena));
	assert_null(page_alloc(1, PAGE_BYTES, (uintptr_t)arena + PAGE_BYTES - 1));
	assert_null(page_alloc(1, (size_t)1 << 63, ANYWHERE));
	assert_ptr_equal(page_alloc(1, PAGE_BYTES, (uintptr_t)arena + PAGE_BYTES), arena);
	assert_dies(page_alloc(0, PAGE_BYTES, ANYWHERE));
	assert_dies(page_alloc(1, 0, ANYWHERE));
	assert_dies(page_alloc(1, 3 * PAGE_BYTES, ANYWHERE));
	assert_dies(page_alloc(1, 16, ANYWHERE));
}

static void freeing_what_is_not_allocated_stops(void **state)
{
	(void)state;
	add(100, 200);
	add(300, 400);
	assert_ptr_equal(page_alloc(10, PAGE_BYTES, ANYWHERE), page(390));
	page_free(page(393), 4);
	assert_dies(page_free(page(393), 1)); /* again: first, last, all of it */
	assert_dies(page_free(page(396), 1));
	assert_dies(page_free(page(393), 4));
	assert_dies(page_free(page(390), 10)); /* some of it */
	assert_dies(page_free(page(390), 4));
	assert_dies(page_free(page(396), 2));
	assert_dies(page_free(page(350), 1)); /* never allocated */
	assert_dies(page_free(page(389), 2));
	assert_dies(page_free(page(398), 3)); /* beyond RAM */
	assert_dies(page_free(page(250), 1)); /* not RAM */
	assert_dies(page_free(page(397), SIZE_MAX / PAGE_BYTES));
	assert_dies(page_free(page(397) + 16, 1));
	assert_dies(page_free(page(397), 0));
	assert_dies(page_free(NULL, 1));
	assert_dies(add(350, 500)); /* RAM given twice */
	page_free(page(390), 3);
	page_free(page(397), 3);
	assert_int_equal(check_tree().runs, 2);
}

/* However many holes there are and however they lie, the tree stays shallow. */
static void the_tree_stays_shallow(void **state)
{
	(void)state;
	for (size_t stride = 2; stride < 40; stride++) {
		size_t holes = 0;

		empty_allocator(state);
		add(0, ARENA_PAGES);
		assert_non_null(page_alloc(ARENA_PAGES, PAGE_BYTES, ANYWHERE));
		for (size_t i = 0; i < ARENA_PAGES; i += stride, holes++)
			page_free(page(i), 1);
		assert_int_equal(check_tree().runs, holes);
		assert_in_range(check_tree().depth, 1, 40); /* 4 * log2(4096) would be 48 */
	}
}

/* The worst there can be: ever smaller runs. Still no deeper than sqrt(2 * pages). */
static void even_ever_smaller_runs_stay_bounded(void **state)
{
	size_t first = 0, count = 126;

	(void)state;
	add(0, ARENA_PAGES);
	assert_non_null(page_alloc(ARENA_PAGES, PAGE_BYTES, ANYWHERE));
	for (; count > 0; first += count-- + 1)
		page_free(page(first), count);
	assert_in_range(check_tree().depth, 126, 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(adding_8_gib_touches_one_page, empty_allocator),
	    cmocka_unit_test_setup(region_edges_are_trimmed_and_page_zero_left_out,
	                           empty_allocator),
	    cmocka_unit_test_setup(regions_that_touch_are_one, empty_allocator),
	    cmocka_unit_test_setup(a_64th_region_is_used_a_65th_is_logged, empty_allocator),
	    cmocka_unit_test_setup(random_use_matches_the_model, empty_allocator),
	    cmocka_unit_test_setup(exhaustion_gives_null_and_everything_comes_back,
	                           empty_allocator),
	    cmocka_unit_test_setup(the_heap_is_asked_before_giving_up, empty_allocator),
	    cmocka_unit_test_setup(absurd_requests_are_refused, empty_allocator),
	    cmocka_unit_test_setup(freeing_what_is_not_allocated_stops, empty_allocator),
	    cmocka_unit_test_setup(the_tree_stays_shallow, empty_allocator),
	    cmocka_unit_test_setup(even_ever_smaller_runs_stay_bounded, empty_allocator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
