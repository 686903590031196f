/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: the block layer lets no request through that reaches beyond the device, however its sums
 * wrap, and none that writes to a read-only one or to what is protected; it serializes the rest and
 * hands on what the driver says; devices are found by name, in the order in which they came.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pith/block.h>

static bool locked;
static unsigned int calls;
static int answer;

void mutex_init(struct mutex *m)
{
	(void)m;
}

void mutex_lock(struct mutex *m)
{
	(void)m;
	assert_false(locked);
	locked = true;
}

void mutex_unlock(struct mutex *m)
{
	(void)m;
	assert_true(locked);
	locked = false;
}

static int called(struct block_device *dev, uint64_t lba, uint32_t count)
{
	assert_true(locked);
	assert_true(count != 0 && lba < dev->block_count && lba + count <= dev->block_count);
	calls++;
	return answer;
}

static int do_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	assert_ptr_equal(buf, &calls);
	return called(dev, lba, count);
}

static int do_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf)
{
	assert_ptr_equal(buf, &calls);
	return called(dev, lba, count);
}

static int do_flush(struct block_device *dev)
{
	(void)dev;
	assert_true(locked);
	calls++;
	return answer;
}

#define DEVICE(device_name, blocks)                                                              \
	{                                                                                        \
		.name = device_name, .block_bytes = 512, .block_count = blocks, .read = do_read, \
		.write = do_write, .flush = do_flush                                             \
	}
static struct block_device vda = DEVICE("vda", 100);
static struct block_device vdb = DEVICE("vdb", UINT64_MAX);
static struct block_device empty = DEVICE("empty", 0);

/* Both ways; tells how often the driver was called. */
static unsigned int calls_of(struct block_device *dev, uint64_t lba, uint32_t count, int expected)
{
	calls = 0;
	assert_int_equal(block_read(dev, lba, count, &calls), expected);
	assert_int_equal(block_write(dev, lba, count, &calls), expected);
	assert_false(locked);
	return calls;
}

static void devices_are_found_by_name(void **state)
{
	(void)state;
	assert_null(block_find(NULL));
	assert_null(block_find("vda"));
	block_register(&vda);
	block_register(&vdb);
	block_register(&empty);
	assert_ptr_equal(block_find(NULL), &vda);
	assert_ptr_equal(block_find("vda"), &vda);
	assert_ptr_equal(block_find("empty"), &empty);
	assert_null(block_find("vd"));
}

static void ranges_are_checked(void **state)
{
	(void)state;
	answer = 0;
	assert_int_equal(calls_of(&vda, 0, 1, 0), 2);
	assert_int_equal(calls_of(&vda, 0, 100, 0), 2);
	assert_int_equal(calls_of(&vda, 99, 1, 0), 2);
	assert_int_equal(calls_of(&vda, 0, 101, -EINVAL), 0);
	assert_int_equal(calls_of(&vda, 99, 2, -EINVAL), 0);
	assert_int_equal(calls_of(&vda, 100, 1, -EINVAL), 0);
	assert_int_equal(calls_of(&vda, 1, UINT32_MAX, -EINVAL), 0);
	assert_int_equal(calls_of(&vda, UINT64_MAX, 1, -EINVAL), 0);
	assert_int_equal(calls_of(&vda, UINT64_MAX - 1, UINT32_MAX, -EINVAL), 0);
	assert_int_equal(calls_of(&vdb, UINT64_MAX - 1, 1, 0), 2);
	assert_int_equal(calls_of(&vdb, UINT64_MAX - 1, 2, -EINVAL), 0);
	assert_int_equal(calls_of(&empty, 0, 1, -EINVAL), 0);
}

static void nothing_is_no_work(void **state)
{
	(void)state;
	assert_int_equal(calls_of(&vda, 0, 0, 0), 0);
	assert_int_equal(calls_of(&vda, 100, 0, 0), 0);
	assert_int_equal(calls_of(&vda, 101, 0, -EINVAL), 0);
	assert_int_equal(calls_of(&empty, 0, 0, 0), 0);
}

static void errors_come_through(void **state)
{
	(void)state;
	answer = -EIO;
	assert_int_equal(calls_of(&vda, 0, 1, -EIO), 2);
	assert_int_equal(block_flush(&vda), -EIO);
	answer = 0;
	assert_int_equal(block_flush(&vda), 0);
	assert_false(locked);
}

static void a_read_only_device_is_not_written(void **state)
{
	(void)state;
	vda.read_only = true;
	calls = 0;
	assert_int_equal(block_write(&vda, 0, 1, &calls), -EROFS);
	assert_int_equal(block_write(&vda, 1000, 1, &calls), -EROFS);
	assert_int_equal(calls, 0);
	assert_int_equal(block_read(&vda, 0, 1, &calls), 0);
}

static void what_is_protected_is_not_written(void **state)
{
	struct block_range first = {.lba = 10, .blocks = 5}, last = {.lba = 99, .blocks = 1};

	(void)state;
	vda.read_only = false;
	block_protect(&vda, &first);
	block_protect(&vda, &last);
	calls = 0;
	assert_int_equal(block_write(&vda, 10, 1, &calls), -EPERM);
	assert_int_equal(block_write(&vda, 14, 1, &calls), -EPERM);
	assert_int_equal(block_write(&vda, 9, 2, &calls), -EPERM);
	assert_int_equal(block_write(&vda, 14, 10, &calls), -EPERM);
	assert_int_equal(block_write(&vda, 0, 100, &calls), -EPERM);
	assert_int_equal(block_write(&vda, 99, 1, &calls), -EPERM);
	assert_int_equal(calls, 0);
	assert_int_equal(block_write(&vda, 9, 1, &calls), 0);
	assert_int_equal(block_write(&vda, 15, 84, &calls), 0);
	assert_int_equal(block_read(&vda, 0, 100, &calls), 0);
	assert_int_equal(block_write(&vdb, 10, 1, &calls), 0);
	assert_int_equal(calls, 4);
	assert_false(locked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(devices_are_found_by_name),
	    cmocka_unit_test(ranges_are_checked),
	    cmocka_unit_test(nothing_is_no_work),
	    cmocka_unit_test(errors_come_through),
	    cmocka_unit_test(a_read_only_device_is_not_written),
	    cmocka_unit_test(what_is_protected_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
