/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: what pith/log.h allows in a format is printed as printf prints it, however many arguments
 * there are; text that does not fit is cut, and nothing is written beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "../../kernel/format.h"

static __attribute__((format(printf, 1, 2))) void same(const char *fmt, ...)
{
	char ours[200], theirs[200];
	va_list args;
	size_t count;

	va_start(args, fmt);
	count = format_text(ours, sizeof(ours), fmt, &args);
	va_end(args);
	ours[count] = '\0';
	va_start(args, fmt);
	vsnprintf(theirs, sizeof(theirs), fmt, args);
	va_end(args);
	assert_string_equal(ours, theirs);
}

static void test_text(void **state)
{
	(void)state;
	same("%s", "");
	same("plain, 100 %%, %c%c", 'a', '%');
	same("%s, %12s, %3s, %.4s, %.0s|%12.4s", "a", "right", "longer", "cut here", "none",
	     "both of it");
	same("%.3s", (const char[]){'n', 'o', '0'}); /* not terminated */
}

static void test_numbers(void **state)
{
	static const int64_t values[] = {0,
	                                 1,
	                                 -1,
	                                 9,
	                                 10,
	                                 255,
	                                 -4096,
	                                 INT_MAX,
	                                 INT_MIN,
	                                 UINT_MAX,
	                                 LONG_MAX,
	                                 LONG_MIN,
	                                 1234567890123456789};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int n = (int)values[i];
		long l = values[i];

		same("%d %u %x %c", n, (unsigned int)n, (unsigned int)n, 'x');
		same("%ld %lu %lx %zu", l, (unsigned long)l, (unsigned long)l, (size_t)l);
		same("%lld %llu %llx", (long long)l, (unsigned long long)l, (unsigned long long)l);
		same("%8d|%08d|%2d|%02x|%016lx|%12lx|%02u", n, n, n, (unsigned int)n,
		     (unsigned long)l, (unsigned long)l, (unsigned int)n);
	}
	same("%#x %#lx %#llx %p", 0x10u, 0xfedcba9876543210, 1ull, (void *)0x8000);
}

/* More than registers hold: the rest is on the stack. */
static void test_many_arguments(void **state)
{
	(void)state;
	same("%s %d %lu %x %s %u %c %d %s %lx %d %s", "a", -1, 1ul, 2u, "b", 3u, 'c', -4, "d", 5ul,
	     -6, "e");
}

static size_t into(char *out, size_t bytes, const char *fmt, ...)
{
	va_list args;
	size_t count;

	va_start(args, fmt);
	count = format_text(out, bytes, fmt, &args);
	va_end(args);
	return count;
}

static void test_cut(void **state)
{
	char out[32];

	(void)state;
	for (size_t bytes = 0; bytes <= 20; bytes++) {
		memset(out, '#', sizeof(out));
		assert_int_equal(into(out, bytes, "%s%08x%5d", "text ", 0x1234u, -7),
		                 bytes < 18 ? bytes : 18);
		assert_memory_equal(out, "text 00001234   -7", bytes < 18 ? bytes : 18);
		for (size_t i = bytes < 18 ? bytes : 18; i < sizeof(out); i++)
			assert_int_equal(out[i], '#');
	}
}

static void test_no_string(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(into(out, sizeof(out), "%s", NULL), 6);
	assert_memory_equal(out, "(null)", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),           cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_many_arguments), cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_no_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
