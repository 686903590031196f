/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: typed lines arrive as on a terminal: whole, edited by erase and kill, ended by CR or NL,
 * ^D as end of file; more than fits is dropped, never overwrites; no byte sequence does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "../../kernel/line.h"

static struct line_input in;
static char shown[4096];
static size_t shown_bytes;

static int fresh(void **state)
{
	(void)state;
	memset(&in, 0, sizeof(in));
	shown_bytes = 0;
	return 0;
}

static void type(const char *keys)
{
	for (; *keys; keys++) {
		const char *echo = line_key(&in, *keys);

		assert_in_range(strlen(echo), 0, 3);
		strcpy(shown + shown_bytes, echo);
		shown_bytes += strlen(echo);
	}
}

/* What a read of at most max bytes gives. */
static const char *got(size_t max)
{
	static char buf[4096];

	buf[line_read(&in, buf, max)] = '\0';
	return buf;
}

static void enter_finishes_a_line(void **state)
{
	(void)state;
	type("hello");
	assert_false(line_ready(&in));
	assert_string_equal(got(99), "");
	type("\r");
	assert_true(line_ready(&in));
	assert_string_equal(shown, "hello\n");
	assert_string_equal(got(99), "hello\n");
	assert_false(line_ready(&in));
}

static void one_line_a_read_in_pieces_if_need_be(void **state)
{
	(void)state;
	type("first\rsecond\n\rfourth");
	assert_string_equal(got(3), "fir");
	assert_string_equal(got(99), "st\n");
	assert_string_equal(got(99), "second\n");
	assert_string_equal(got(99), "\n");
	assert_false(line_ready(&in));
}

static void keys_edit_the_line_being_typed_only(void **state)
{
	(void)state;
	type("done\r\b\x7f"
	     "ab\bc\x7f"
	     "d\r");
	assert_string_equal(shown, "done\nab\b \bc\b \bd\n");
	assert_string_equal(got(99), "done\n");
	assert_string_equal(got(99), "ad\n");
	type("wrong\x15right\r");
	assert_string_equal(got(99), "right\n");
	type("wrong\x03");
	assert_non_null(strstr(shown, "^U\n"));
	assert_non_null(strstr(shown, "wrong^C\n"));
	type("\r");
	assert_string_equal(got(99), "\n");
}

static void a_character_of_utf8_goes_whole(void **state)
{
	(void)state;
	type("a\xe2\x82\xac\b"
	     "b\r");
	assert_string_equal(got(99), "ab\n");
	type("\x80\x80\b\r"); /* not UTF-8: no further than the line's start */
	assert_string_equal(got(99), "\n");
}

static void control_d_is_end_of_file(void **state)
{
	(void)state;
	type("\x04");
	assert_true(line_ready(&in));
	assert_string_equal(got(99), "");
	assert_false(line_ready(&in));
	type("half\x04"
	     "rest\r"); /* amid a line: hands over what is there */
	assert_string_equal(got(99), "half");
	assert_string_equal(got(99), "rest\n");
}

static void control_characters_are_ignored_but_tab(void **state)
{
	(void)state;
	type("\x01\t\x1b\r");
	assert_string_equal(got(99), "\t\n");
}

static void too_much_is_dropped_with_a_bell_and_can_be_finished(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < LINE_RING_BYTES - 1; i++)
		type("x");
	assert_null(strchr(shown, '\a'));
	type("y");
	assert_int_equal(shown[shown_bytes - 1], '\a');
	type("\r\r");
	assert_int_equal(shown[shown_bytes - 1], '\a'); /* not even an empty line fits */
	assert_int_equal(strlen(got(2000)), LINE_RING_BYTES);
	type("again\r");
	assert_string_equal(got(99), "again\n");
}

static void random_keys_do_no_harm(void **state)
{
	char buf[64];

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t used;

		/* Many of the interesting keys. */
		line_key(&in, rand() % 3 ? rand() : "\r\n\b\x7f\x04\x15\x03"[rand() % 7]);
		used = in.end - in.read;
		assert_true(used <= LINE_RING_BYTES);
		assert_true(in.ready - in.read <= used);
		if (rand() % 8 == 0)
			line_read(&in, buf, rand() % sizeof(buf));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(enter_finishes_a_line, fresh),
	    cmocka_unit_test_setup(one_line_a_read_in_pieces_if_need_be, fresh),
	    cmocka_unit_test_setup(keys_edit_the_line_being_typed_only, fresh),
	    cmocka_unit_test_setup(a_character_of_utf8_goes_whole, fresh),
	    cmocka_unit_test_setup(control_d_is_end_of_file, fresh),
	    cmocka_unit_test_setup(control_characters_are_ignored_but_tab, fresh),
	    cmocka_unit_test_setup(too_much_is_dropped_with_a_bell_and_can_be_finished, fresh),
	    cmocka_unit_test_setup(random_keys_do_no_harm, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
