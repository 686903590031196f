/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/version.h: a cell is what tools/disk.py makes of the same text; what is no version
 * is 0; text and cell are each other's inverse; a later version has the greater cell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <pith/version.h>

#define CELL(major, minor, patch) ((uint32_t)(major) << 22 | (minor) << 12 | (patch))

static void versions_are_cells(void **state)
{
	(void)state;
	assert_int_equal(version_parse("1.2.3"), CELL(1, 2, 3));
	assert_int_equal(version_parse("0.0.1"), 1);
	assert_int_equal(version_parse("0.1.0"), CELL(0, 1, 0));
	assert_int_equal(version_parse("1023.1023.4095"), UINT32_MAX);
	assert_int_equal(version_parse("01.002.0003"), CELL(1, 2, 3));
}

static void commits_count_as_patch(void **state)
{
	(void)state;
	assert_int_equal(version_parse("1.2.3-5-gabcdef0"), CELL(1, 2, 8));
	assert_int_equal(version_parse("1.2.4090-5-g0"), CELL(1, 2, 4095));
	assert_int_equal(version_parse("1.2.4090-6-g0"), 0);
}

static void what_is_no_version_is_none(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "1",
	    "1.2",
	    "1.2.",
	    ".2.3",
	    "1..3",
	    "1.2.3.4",
	    "v1.2.3",
	    "1.2.3 ",
	    " 1.2.3",
	    "1.2.-3",
	    "+1.2.3",
	    "1.2.3-5",
	    "1.2.3-5-",
	    "1.2.3-5-g",
	    "1.2.3-5-gxyz",
	    "1.2.3-5-gabc-dirty",
	    "1.2.3--gabc",
	    "1.2.3-rc1",
	    "1024.0.0",
	    "0.1024.0",
	    "0.0.4096",
	    "4294967297.0.0",
	    "0.0.4294967297",
	    "0.0.18446744073709551617",
	    "0.0.1-4294967296-g1",
	    "0.0.0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(version_parse(wrong[i]), 0);
}

static void text_and_cell_are_inverse(void **state)
{
	char text[VERSION_TEXT_BYTES];

	(void)state;
	for (uint64_t cell = 1; cell <= UINT32_MAX; cell += 9973) {
		assert_ptr_equal(version_format((uint32_t)cell, text), text);
		assert_int_equal(version_parse(text), cell);
	}
	assert_string_equal(version_format(UINT32_MAX, text), "1023.1023.4095");
	assert_string_equal(version_format(0, text), "0.0.0");
}

static void later_is_greater(void **state)
{
	static const char *const order[] = {"0.0.1",  "0.0.4095", "0.1.0",  "0.1023.4095",
	                                    "1.0.0",  "1.9.0",    "1.10.0", "2.0.0",
	                                    "10.0.0", "1023.0.0"};

	(void)state;
	for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
		assert_true(version_parse(order[i - 1]) < version_parse(order[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(versions_are_cells),
	    cmocka_unit_test(commits_count_as_patch),
	    cmocka_unit_test(what_is_no_version_is_none),
	    cmocka_unit_test(text_and_cell_are_inverse),
	    cmocka_unit_test(later_is_greater),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
