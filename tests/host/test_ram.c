/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promise of arch/ram.h: after any sequence of additions and removals, a set holds exactly the pages
 * that it should, sorted, merged; and every place that it offers lies wholly inside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <arch/ram.h>
#include <pith/compiler.h>

#define PAGE   UINT64_C(4096)
#define PAGES  256 /* the model: one flag a page */
#define ROUNDS 20000

static bool model[PAGES];

static void check_against_model(const struct ram_map *m)
{
	bool seen[PAGES] = {false};

	for (unsigned int i = 0; i < m->count; i++) {
		const struct ram_extent *e = &m->extent[i];

		assert_true(e->start < e->end);
		assert_int_equal(e->start % PAGE, 0);
		assert_int_equal(e->end % PAGE, 0);
		if (i)
			assert_true(m->extent[i - 1].end < e->start);
		for (uint64_t a = e->start; a < e->end; a += PAGE)
			seen[a / PAGE] = true;
	}
	assert_memory_equal(seen, model, sizeof(model));
}

/* Whole pages of [start, end) are added; every page that it touches is removed. */
static void random_operation(struct ram_map *m)
{
	uint64_t start = (uint64_t)random() % (PAGES * PAGE);
	uint64_t end = start + (uint64_t)random() % (PAGES * PAGE - start) / (1 + random() % 16);
	bool add = random() % 2;

	if (random() % 2) {
		start = ALIGN_DOWN(start, PAGE);
		end = ALIGN_DOWN(end, PAGE);
	}
	if ((add ? ram_add : ram_remove)(m, start, end)) {
		assert_int_equal(m->count, RAM_EXTENTS);
		m->count = 0;
		memset(model, 0, sizeof(model));
		return;
	}
	for (uint64_t p = 0; p < PAGES && start < end; p++) {
		if (add && p * PAGE >= start && (p + 1) * PAGE <= end)
			model[p] = true;
		if (!add && (p + 1) * PAGE > start && p * PAGE < end)
			model[p] = false;
	}
}

static void test_random_operations(void **state)
{
	struct ram_map m = {0};

	(void)state;
	srandom(1);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < ROUNDS; i++) {
		random_operation(&m);
		check_against_model(&m);
	}
}

/* All places, counted by hand, below a limit and not. */
static void test_places(void **state)
{
	struct ram_map m = {0};

	(void)state;
	srandom(2);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 500; i++) {
		uint64_t bytes =
		    PAGE * (uint64_t)(1 + random() % 20) - (uint64_t)(random() % 2) * 100;
		uint64_t limit = random() % 2 ? UINT64_MAX : PAGE * (uint64_t)(random() % PAGES);
		uint64_t wanted = 0, index;

		random_operation(&m);
		for (uint64_t p = 0; p < PAGES; p++) {
			uint64_t last = (p * PAGE + bytes - 1) / PAGE, q = p;

			while (q < PAGES && q <= last && model[q])
				q++;
			if (q > last && p * PAGE + bytes <= limit) {
				index = wanted++;
				assert_int_equal(ram_place(&m, bytes, limit, &index), p * PAGE);
			}
		}
		index = UINT64_MAX;
		assert_int_equal(ram_place(&m, bytes, limit, &index), 0);
		assert_int_equal(index, UINT64_MAX - wanted);
	}
}

static void test_edges_of_the_address_space(void **state)
{
	struct ram_map m = {0};

	(void)state;
	assert_int_equal(ram_add(&m, UINT64_MAX - 100, UINT64_MAX), 0);
	assert_int_equal(m.count, 0);
	assert_int_equal(ram_add(&m, 0x80000000, 0xc0000000), 0);
	assert_int_equal(ram_remove(&m, 0xb0000000, UINT64_MAX), 0);
	assert_int_equal(m.count, 1);
	assert_int_equal(m.extent[0].end, 0xb0000000);
	assert_int_equal(ram_remove(&m, 0, UINT64_MAX), 0);
	assert_int_equal(m.count, 0);
}

static void test_too_many_pieces(void **state)
{
	struct ram_map m = {0};

	(void)state;
	for (uint64_t i = 0; i < RAM_EXTENTS; i++)
		assert_int_equal(ram_add(&m, 2 * i * PAGE, (2 * i + 1) * PAGE), 0);
	assert_int_equal(ram_add(&m, 1000 * PAGE, 1001 * PAGE), -E2BIG);
	assert_int_equal(m.count, RAM_EXTENTS);
	assert_int_equal(ram_add(&m, PAGE, 2 * PAGE), 0); /* fills a gap: one less */
	assert_int_equal(m.count, RAM_EXTENTS - 1);
	m.count = 1;
	m.extent[0] = (struct ram_extent){0, 1000 * PAGE};
	for (uint64_t i = 0; i < RAM_EXTENTS - 1; i++)
		assert_int_equal(ram_remove(&m, (2 * i + 1) * PAGE, (2 * i + 2) * PAGE), 0);
	assert_int_equal(ram_remove(&m, 900 * PAGE, 901 * PAGE), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_operations),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_edges_of_the_address_space),
	    cmocka_unit_test(test_too_many_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
