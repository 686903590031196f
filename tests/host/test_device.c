/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: a driver is called with registers that are there and all mapped, and with zeroed memory;
 * where its device has none of them, or nobody answers, it is not called; a wait
 * for a register ends, and not before a last look at it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/time.h>

#define NODE 7

static uint8_t registers[0x40];
static uint64_t there; /* bytes of `reg` */
static int reg_error;
static bool unmappable, absent;
static unsigned int probes;
static struct device probed;
static uint64_t now_ns;
static unsigned int reads, clear_at; /* the read that finds the register clear */

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	assert_int_equal(n, NODE);
	assert_int_equal(index, 0);
	*pa = 0x1000;
	*bytes = there;
	return reg_error;
}

void *io_map(uint64_t pa, size_t bytes)
{
	assert_int_equal(pa, 0x1000);
	assert_int_equal(bytes, sizeof(registers));
	return unmappable ? NULL : registers;
}

int64_t io_probe_read32(const volatile void *reg)
{
	assert_ptr_equal(reg, registers + 0x18);
	return absent ? -ENXIO : 0;
}

uint64_t time_now_ns(void)
{
	return now_ns += NS_PER_MS;
}

uint64_t model_read(const volatile void *reg, unsigned int bytes)
{
	assert_ptr_equal(reg, registers);
	assert_int_equal(bytes, 4);
	return ++reads == clear_at ? 0x10 : 0x30;
}

void model_write(volatile void *reg, unsigned int bytes, uint64_t value)
{
	(void)reg;
	(void)bytes;
	(void)value;
	fail();
}

static int note(const struct device *dev)
{
	probes++;
	probed = *dev;
	return 0;
}

static const struct driver with_all = {
    .first_read = FIRST_READ(0x18),
    .state_bytes = 100,
    .reg_bytes = sizeof(registers),
    .probe = note,
};
static const struct driver with_nothing = {.probe = note};

static int fresh(void **state)
{
	(void)state;
	there = sizeof(registers);
	reg_error = 0;
	unmappable = absent = false;
	probes = 0;
	return 0;
}

static void a_driver_gets_what_it_wants(void **state)
{
	static const uint8_t zeroes[100];

	(void)state;
	assert_int_equal(device_probe(&with_all, NODE), 0);
	assert_int_equal(probes, 1);
	assert_int_equal(probed.node, NODE);
	assert_ptr_equal(probed.regs, registers);
	assert_memory_equal(probed.state, zeroes, sizeof(zeroes));
}

static void one_that_wants_nothing_is_asked_for_nothing(void **state)
{
	(void)state;
	reg_error = -ENOENT;
	assert_int_equal(device_probe(&with_nothing, NODE), 0);
	assert_int_equal(probes, 1);
	assert_null(probed.state);
}

static void without_registers_it_is_not_called(void **state)
{
	(void)state;
	reg_error = -ENOENT;
	assert_int_equal(device_probe(&with_all, NODE), -ENOENT);
	reg_error = 0;
	there--;
	assert_int_equal(device_probe(&with_all, NODE), -EINVAL);
	there++;
	unmappable = true;
	assert_int_equal(device_probe(&with_all, NODE), -ENXIO);
	unmappable = false;
	absent = true;
	assert_int_equal(device_probe(&with_all, NODE), -ENXIO);
	assert_int_equal(probes, 0);
}

static int wait(uint64_t ns, unsigned int clear_at_read)
{
	reads = 0;
	clear_at = clear_at_read;
	return io_wait32(registers, 0x30, 0x10, now_ns + ns);
}

static void a_wait_ends(void **state)
{
	(void)state;
	assert_int_equal(wait(100 * NS_PER_MS, 1), 0);
	assert_int_equal(reads, 1);
	assert_int_equal(wait(100 * NS_PER_MS, 50), 0);
	assert_int_equal(reads, 50);
	assert_int_equal(wait(100 * NS_PER_MS, 0), -ETIMEDOUT);
	assert_in_range(reads, 100, 103);
}

static void a_wait_looks_once_more_after_its_end(void **state)
{
	(void)state;
	assert_int_equal(wait(0, 2), 0);
	assert_int_equal(wait(0, 3), -ETIMEDOUT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
	    TEST(a_driver_gets_what_it_wants),
	    TEST(one_that_wants_nothing_is_asked_for_nothing),
	    TEST(without_registers_it_is_not_called),
	    TEST(a_wait_ends),
	    TEST(a_wait_looks_once_more_after_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
