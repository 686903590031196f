/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: the command line reaches kernel, environment and argv as Linux would split it for init;
 * the last of several wins; no line, however long or broken, does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/bootargs.h>
#include <pith/log.h>
#include <pith/machine.h>

const char image_name[] = "app";

static char **host_environ;
static unsigned int logged;

void klog(const char *fmt, ...)
{
	(void)fmt;
	logged++;
}

static void boot(const char *line)
{
	logged = 0;
	bootargs_init(line);
}

/* The other tests and cmocka want the real one back. */
static int cleanup(void **state)
{
	(void)state;
	environ = host_environ;
	return 0;
}

static void check_argv(const char *const *expected)
{
	int i;

	for (i = 0; expected[i]; i++) {
		assert_true(i < bootargs_argc);
		assert_string_equal(bootargs_argv[i], expected[i]);
	}
	assert_int_equal(bootargs_argc, i);
	assert_null(bootargs_argv[i]);
}
#define ARGV(...) check_argv((const char *const[]){"app", ##__VA_ARGS__, NULL})

static void an_empty_line_gives_the_name_only(void **state)
{
	(void)state;
	boot("");
	ARGV();
	assert_null(environ[0]);
	assert_null(bootarg("nokaslr"));
	boot(" \t\n ");
	ARGV();
	assert_int_equal(logged, 0);
}

static void words_go_where_they_belong(void **state)
{
	(void)state;
	boot("nokaslr panic=halt ip=dhcp pith.slot=B one HOME=/data two.txt two.x=3 --three");
	ARGV("one", "two.txt", "--three");
	assert_string_equal(environ[0], "HOME=/data");
	assert_null(environ[1]);
	assert_string_equal(bootarg("nokaslr"), "");
	assert_string_equal(bootarg("panic"), "halt");
	assert_string_equal(bootarg("ip"), "dhcp");
	assert_string_equal(bootarg("pith.slot"), "B");
	assert_string_equal(bootarg("two.x"), "3");
	assert_null(bootarg("pith"));
	assert_null(bootarg("pan"));
	assert_null(bootarg("panic="));
}

static void after_two_dashes_all_is_the_apps(void **state)
{
	(void)state;
	boot("a panic=reset -- panic=halt B=1 -- nokaslr");
	ARGV("a", "panic=halt", "B=1", "--", "nokaslr");
	assert_null(environ[0]);
	assert_string_equal(bootarg("panic"), "reset");
	assert_null(bootarg("nokaslr"));
	boot("--");
	ARGV();
}

static void quotes_keep_words_together(void **state)
{
	(void)state;
	boot("NAME=\"two words\" \"A=b c\" \"one arg\" x\"y z\"w \"\" \"open to the end");
	assert_string_equal(getenv("NAME"), "two words");
	assert_string_equal(getenv("A"), "b c");
	ARGV("one arg", "xy zw", "", "open to the end");
}

static void the_last_one_wins(void **state)
{
	(void)state;
	boot("panic=reset A=1 AB=2 panic=halt A=3");
	assert_string_equal(bootarg("panic"), "halt");
	assert_string_equal(getenv("A"), "3");
	assert_string_equal(environ[0], "AB=2");
	assert_string_equal(environ[1], "A=3");
	assert_null(environ[2]);
}

static void odd_words_are_taken_as_they_are(void **state)
{
	(void)state;
	boot("=value key= \"k=v=w\"");
	ARGV("=value");
	assert_string_equal(getenv("key"), "");
	assert_string_equal(getenv("k"), "v=w");
}

static void an_overlong_line_is_cut_and_said_so(void **state)
{
	static char line[20000];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	boot(line);
	assert_int_equal(bootargs_argc, 2);
	assert_int_equal(strlen(bootargs_argv[1]), 4096);
	assert_int_equal(logged, 1);
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		line[i] = i % 2 ? ' ' : 'y';
	boot(line);
	assert_int_equal(bootargs_argc, 1 + 2048);
}

static void random_bytes_do_no_harm(void **state)
{
	static const char likely[] = "  \"=.-ab\t";
	char line[200];

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t bytes = rand() % sizeof(line);

		for (size_t i = 0; i < bytes; i++)
			line[i] =
			    rand() % 4 ? likely[rand() % (sizeof(likely) - 1)] : 1 + rand() % 255;
		line[bytes] = '\0';
		boot(line);
		assert_in_range(bootargs_argc, 1, 101);
		assert_null(bootargs_argv[bootargs_argc]);
		for (char **e = environ; *e; e++)
			assert_non_null(strchr(*e, '='));
		bootarg("a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(an_empty_line_gives_the_name_only, cleanup),
	    cmocka_unit_test_teardown(words_go_where_they_belong, cleanup),
	    cmocka_unit_test_teardown(after_two_dashes_all_is_the_apps, cleanup),
	    cmocka_unit_test_teardown(quotes_keep_words_together, cleanup),
	    cmocka_unit_test_teardown(the_last_one_wins, cleanup),
	    cmocka_unit_test_teardown(odd_words_are_taken_as_they_are, cleanup),
	    cmocka_unit_test_teardown(an_overlong_line_is_cut_and_said_so, cleanup),
	    cmocka_unit_test_teardown(random_bytes_do_no_harm, cleanup),
	};

	host_environ = environ;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The image keeps its command line for ever: not a leak. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
