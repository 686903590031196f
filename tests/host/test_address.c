/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: addresses are read and written exactly as by the host's C library, given every kind of
 * correct, nearly correct and random text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

/* Ours go by these names (host.mk). */
int pith_inet_pton(int family, const char *text, void *address);
const char *pith_inet_ntop(int family, const void *address, char *text, socklen_t bytes);
int pith_inet_aton(const char *text, struct in_addr *address);
in_addr_t pith_inet_addr(const char *text);
char *pith_inet_ntoa(struct in_addr address);
#undef inet_pton
#undef inet_ntop
#undef inet_aton
#undef inet_addr
#undef inet_ntoa
int inet_pton(int family, const char *text, void *address);
const char *inet_ntop(int family, const void *address, char *text, socklen_t bytes);
int inet_aton(const char *text, struct in_addr *address);
in_addr_t inet_addr(const char *text);

static void compare(const char *text)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct in_addr x = {0}, y = {0};

	for (int i = 0; i < 2; i++) {
		uint8_t ours[16] = {0}, theirs[16] = {0};
		int a = pith_inet_pton(families[i], text, ours);
		int b = inet_pton(families[i], text, theirs);

		if (a != b || memcmp(ours, theirs, 16) != 0)
			fail_msg("inet_pton of '%s': %d, not %d", text, a, b);
	}
	if (pith_inet_aton(text, &x) != inet_aton(text, &y) || x.s_addr != y.s_addr)
		fail_msg("inet_aton of '%s'", text);
	assert_int_equal(pith_inet_addr(text), inet_addr(text));
}

static void test_known(void **state)
{
	static const char *const texts[] = {
	    "",
	    "1.2.3.4",
	    "1.2.3",
	    "1.2.3.4.5",
	    "1.2.3.4 ",
	    " 1.2.3.4",
	    "01.2.3.4",
	    "1.2.3.256",
	    "0.0.0.0",
	    "255.255.255.255",
	    "1..2.3",
	    "1.2.3.",
	    ".1.2.3",
	    "0x7f.1",
	    "017700000001",
	    "0x",
	    "08.1.1.1",
	    "1.65536",
	    "1.16777216",
	    "4294967295",
	    "4294967296",
	    "1.2.3.4x",
	    "::",
	    "::1",
	    "1::",
	    ":::",
	    "1::2::3",
	    "1:2:3:4:5:6:7:8",
	    "1:2:3:4:5:6:7",
	    "1:2:3:4:5:6:7:8:9",
	    "1:2:3:4:5:6:7::",
	    "::2:3:4:5:6:7:8",
	    "1:2:3:4::5:6:7:8",
	    "1:2:3:4:5:6:7:8::",
	    "::1.2.3.4",
	    "::ffff:1.2.3.4",
	    "1:2:3:4:5:6:1.2.3.4",
	    "1:2:3:4:5:6:7:1.2.3.4",
	    "1:2:3:4:5:1.2.3.4",
	    "1.2.3.4::",
	    "12345::",
	    "fe80::1%eth0",
	    "g::",
	    ":1",
	    "1:",
	    "::1:",
	    ":1::",
	    "FFFF::aBcD",
	    "::00001",
	    "::1.2.3",
	    "::1.2.3.4:5",
	    "::1.2.3.400",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		compare(texts[i]);
}

static void test_random(void **state)
{
	static const char letters[] = "0011223489abF::::::...x% ";
	char text[48];

	(void)state;
	for (int n = 0; n < 400000; n++) {
		size_t count = (size_t)rand() % (n % 2 ? 10 : sizeof(text));

		for (size_t i = 0; i < count; i++)
			text[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		text[count] = '\0';
		compare(text);
	}
}

/* Every pattern of zero groups, and the kinds that carry an IPv4 address. */
static void test_written(void **state)
{
	char ours[INET6_ADDRSTRLEN], theirs[INET6_ADDRSTRLEN];

	(void)state;
	for (unsigned int n = 0; n < 256 * 40; n++) {
		uint8_t a[16] = {0};

		for (int g = 0; g < 8; g++) {
			unsigned int v = n >> g & 1 ? (unsigned int)rand() % 0xffff + 1 : 0;

			if (n >> g & 1 && n >= 256 && rand() % 3 == 0)
				v = rand() % 2 ? 0xffff : 1;
			a[2 * g] = (uint8_t)(v >> 8);
			a[2 * g + 1] = (uint8_t)v;
		}
		pith_inet_ntop(AF_INET6, a, ours, sizeof(ours));
		inet_ntop(AF_INET6, a, theirs, sizeof(theirs));
		assert_string_equal(ours, theirs);
		pith_inet_ntop(AF_INET, a, ours, sizeof(ours));
		inet_ntop(AF_INET, a, theirs, sizeof(theirs));
		assert_string_equal(ours, theirs);
		assert_string_equal(pith_inet_ntoa(*(struct in_addr *)a), theirs);
	}
}

static void test_room(void **state)
{
	const uint8_t a[4] = {10, 0, 0, 1};
	char text[16];

	(void)state;
	assert_null(pith_inet_ntop(AF_INET, a, text, 8));
	assert_int_equal(errno, ENOSPC);
	assert_ptr_equal(pith_inet_ntop(AF_INET, a, text, 9), text);
	assert_null(pith_inet_ntop(99, a, text, 16));
	assert_int_equal(errno, EAFNOSUPPORT);
	assert_int_equal(pith_inet_pton(99, "::", text), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_written),
	    cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
