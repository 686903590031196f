/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: the bootarg ip= means what it means to Linux; what cannot be understood is an error and
 * leaves DHCP; nothing that stands there does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"

#define IP(a, b, c, d) htonl((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static struct ip_config c;

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(ip_config_parse(NULL, &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_DHCP);
	assert_int_equal(ip_config_parse("", &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_DHCP);
	for (const char *const *w = (const char *const[]){"dhcp", "on", "any", NULL}; *w; w++) {
		assert_int_equal(ip_config_parse(*w, &c), 0);
		assert_int_equal(c.mode, IP_CONFIG_DHCP);
	}
	for (const char *const *w = (const char *const[]){"off", "none", NULL}; *w; w++) {
		assert_int_equal(ip_config_parse(*w, &c), 0);
		assert_int_equal(c.mode, IP_CONFIG_OFF);
	}
}

static void test_whole(void **state)
{
	(void)state;
	assert_int_equal(
	    ip_config_parse("192.168.1.7:10.9.9.9:192.168.1.1:255.255.255.128:pump:eth0:off:"
	                    "8.8.8.8:1.1.1.1",
	                    &c),
	    0);
	assert_int_equal(c.mode, IP_CONFIG_STATIC);
	assert_int_equal(c.client, IP(192, 168, 1, 7));
	assert_int_equal(c.gateway, IP(192, 168, 1, 1));
	assert_int_equal(c.netmask, IP(255, 255, 255, 128));
	assert_string_equal(c.hostname, "pump");
	assert_string_equal(c.device, "eth0");
	assert_int_equal(c.dns[0], IP(8, 8, 8, 8));
	assert_int_equal(c.dns[1], IP(1, 1, 1, 1));
}

static void test_parts(void **state)
{
	(void)state;
	assert_int_equal(ip_config_parse("10.0.0.2::10.0.0.1:255.255.255.0", &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_STATIC);
	assert_int_equal(c.gateway, IP(10, 0, 0, 1));
	assert_int_equal(c.dns[0], 0);
	assert_int_equal(ip_config_parse("172.20.1.1", &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_STATIC);
	assert_int_equal(c.netmask, IP(255, 255, 0, 0)); /* of its class */
	assert_int_equal(ip_config_parse("::::box::dhcp", &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_DHCP);
	assert_string_equal(c.hostname, "box");
	assert_int_equal(ip_config_parse("::::box:eth1", &c), 0);
	assert_int_equal(c.mode, IP_CONFIG_DHCP);
	assert_string_equal(c.device, "eth1");
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
	    "x",
	    "10.0.0",
	    "10.0.0.256",
	    "10.0.0.2:::255.0.255.0",
	    "10.0.0.2::10.0.0.1:255.255.255.0:h:e:maybe",
	    "1.1.1.1::::::::::",
	    "10.0.0.2:::::a-name-of-a-device-that-is-too-long",
	    "::::a-host-name-of-more-than-sixty-three-characters-is-more-than-dns-would-allow",
	    "::::::::nix",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ip_config_parse(bad[i], &c), -EINVAL);
		assert_int_equal(c.mode, IP_CONFIG_DHCP);
		assert_int_equal(c.client, 0);
	}
}

static void test_anything(void **state)
{
	static const char letters[] = "0123456789:::::....dhcpoffx ";
	char arg[100];

	(void)state;
	for (int n = 0; n < 100000; n++) {
		size_t count = (size_t)rand() % sizeof(arg);

		for (size_t i = 0; i < count; i++)
			arg[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		arg[count ? count - 1 : 0] = '\0';
		ip_config_parse(arg, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_parts),    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
