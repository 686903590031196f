/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/config.h: of two copies the newer whole one counts, whatever the other holds; no
 * damage is believed; what it says goes before the bootargs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/bootargs.h>
#include <pith/config.h>
#include <pith/crc32.h>
#include <pith/disk.h>
#include <pith/log.h>
#include <pith/machine.h>

const char image_name[] = "app";

static uint8_t copies[2][CONFIG_BYTES];

void klog(const char *fmt, ...)
{
	(void)fmt;
}

const struct boot_disk *boot_disk(void)
{
	return NULL;
}

int block_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	(void)dev, (void)lba, (void)count, (void)buf;
	return -EIO;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void write_copy(int i, uint32_t sequence, const char *text)
{
	memset(copies[i], 0, CONFIG_BYTES);
	put32(copies[i] + 4, sequence);
	strcpy((char *)copies[i] + 8, text);
	put32(copies[i], crc32(0, copies[i] + 4, CONFIG_BYTES - 4));
}

static void test_crc(void **state)
{
	const char check[] = "123456789"; /* the catalogue's check value of CRC-32/ISO-HDLC */

	(void)state;
	assert_int_equal(crc32(0, check, 9), 0xcbf43926);
	assert_int_equal(crc32(crc32(0, check, 4), check + 4, 5), 0xcbf43926);
	assert_int_equal(crc32(0, check, 0), 0);
}

static void test_the_newer_whole_copy_counts(void **state)
{
	(void)state;
	write_copy(0, 7, "a=1\n");
	write_copy(1, 8, "a=2\n");
	assert_string_equal(config_choose(copies), "a=2\n");
	write_copy(0, 9, "a=3\n");
	assert_string_equal(config_choose(copies), "a=3\n");
	copies[0][3000] ^= 1;
	assert_string_equal(config_choose(copies), "a=2\n");
	copies[1][9] ^= 0x80;
	assert_null(config_choose(copies));
}

/* Every single bit of a lone copy. */
static void test_no_damage_is_believed(void **state)
{
	(void)state;
	memset(copies, 0, sizeof(copies));
	copies[1][0] = 1;
	for (unsigned int bit = 0; bit < 8 * CONFIG_BYTES; bit++) {
		write_copy(0, 1, "hostname=x\n");
		copies[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_null(config_choose(copies));
	}
	memset(copies, 0xff, sizeof(copies)); /* an erased card */
	assert_null(config_choose(copies));
}

static void test_text_without_an_end(void **state)
{
	(void)state;
	memset(copies[0], 'x', CONFIG_BYTES);
	put32(copies[0], crc32(0, copies[0] + 4, CONFIG_BYTES - 4));
	memset(copies[1], 0, CONFIG_BYTES);
	copies[1][0] = 1;
	assert_int_equal(strlen(config_choose(copies)), CONFIG_BYTES - 9);
}

static void test_it_goes_before_the_bootargs(void **state)
{
	static char list[] = "NAME=card\0ip=10.0.0.9\0a.b=c\0word\0=x\0EMPTY=";
	char **host_environ = environ;

	(void)state;
	bootargs_init("NAME=line OTHER=1 ip=dhcp panic=halt a.b=d EMPTY=full");
	assert_int_equal(bootargs_override(list, sizeof(list)), 0);
	assert_string_equal(getenv("NAME"), "card");
	assert_string_equal(getenv("OTHER"), "1");
	assert_string_equal(getenv("EMPTY"), "");
	assert_string_equal(bootarg("ip"), "10.0.0.9");
	assert_string_equal(bootarg("a.b"), "c");
	assert_string_equal(bootarg("panic"), "halt");
	environ = host_environ;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crc),
	    cmocka_unit_test(test_the_newer_whole_copy_counts),
	    cmocka_unit_test(test_no_damage_is_believed),
	    cmocka_unit_test(test_text_without_an_end),
	    cmocka_unit_test(test_it_goes_before_the_bootargs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
