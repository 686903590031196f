/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/disk.h: a disk is Pith's only with exactly its partitions, whole and in order, and
 * nothing on a disk of somebody else is touched; once it was found, nobody can write to its MBR, its
 * boot partition or between partitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <memory_disk.h>
#include "threads.h"

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

static struct boot_disk disk;
static uint8_t buf[4 * SECTOR_BYTES];

static void partition(int i, uint8_t type, uint32_t lba, uint32_t blocks)
{
	uint8_t *entry = memory + 446 + 16 * i;

	entry[4] = type;
	memory_put32(entry + 8, lba);
	memory_put32(entry + 12, blocks);
}

static int read_layout(void)
{
	return disk_read_layout(&memory_device, &disk);
}

static int setup(void **state)
{
	(void)state;
	memory_format();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

static void our_disk_is_read(void **state)
{
	(void)state;
	assert_int_equal(read_layout(), 0);
	assert_ptr_equal(disk.dev, &memory_device);
	assert_int_equal(disk.part[PART_SLOT_B].lba, SLOT_B_LBA);
	assert_int_equal(disk.part[PART_SLOT_B].blocks, SLOT_BLOCKS);
	assert_int_equal(disk_unit_lba(&disk, UNIT_CONFIG_0), DATA_LBA + 2 * 8192);
}

static void every_disk_of_somebody_else_is_refused(void **state)
{
	struct block_device other = memory_device;

	(void)state;
	for (int i = 0; i < 4; i++) { /* one with another type at a time */
		memory[446 + 16 * i + 4] ^= 0x83;
		assert_int_equal(read_layout(), -ENODEV);
		memory[446 + 16 * i + 4] ^= 0x83;
	}
	for (int i = 510; i < 512; i++) {
		memory[i] ^= 1;
		assert_int_equal(read_layout(), -ENODEV);
		memory[i] ^= 1;
	}
	other.block_bytes = 4096;
	assert_int_equal(disk_read_layout(&other, &disk), -ENODEV);
	other.block_bytes = 512;
	other.block_count = 0;
	assert_int_equal(disk_read_layout(&other, &disk), -ENODEV);
	memory_fail_at = memory_op_count + 1;
	assert_int_equal(read_layout(), -EIO);
	assert_int_equal(read_layout(), 0);
}

static void partitions_must_lie_on_the_disk_in_order(void **state)
{
	(void)state;
	partition(0, 0x0c, 0, BOOT_BLOCKS); /* over the MBR */
	assert_int_equal(read_layout(), -ENODEV);
	partition(0, 0x0c, BOOT_LBA, BOOT_BLOCKS + 1); /* into slot A */
	assert_int_equal(read_layout(), -ENODEV);
	partition(0, 0x0c, BOOT_LBA, BOOT_BLOCKS);
	partition(1, 0xda, SLOT_A_LBA, 0);
	assert_int_equal(read_layout(), -ENODEV);
	partition(1, 0xda, SLOT_B_LBA, SLOT_BLOCKS); /* A and B the same */
	assert_int_equal(read_layout(), -ENODEV);
	partition(1, 0xda, SLOT_A_LBA, 0xffffffff);
	assert_int_equal(read_layout(), -ENODEV);
	partition(1, 0xda, SLOT_A_LBA, SLOT_BLOCKS);
	partition(3, 0xda, DATA_LBA, DATA_BLOCKS - 1); /* no room for the crash record */
	assert_int_equal(read_layout(), -ENODEV);
	partition(3, 0xda, DATA_LBA, DATA_BLOCKS + MEMORY_TAIL + 1); /* beyond the disk */
	assert_int_equal(read_layout(), -ENODEV);
	partition(3, 0xda, DATA_LBA, DATA_BLOCKS + MEMORY_TAIL);
	assert_int_equal(read_layout(), 0);
}

static void expect_writes(uint64_t lba, uint32_t count, int result)
{
	memory_op_count = 0;
	assert_int_equal(block_write(&memory_device, lba, count, buf), result);
	assert_int_equal(memory_op_count, result == 0);
}

/* The boot disk is looked for once: all of this is one test. */
static void what_must_survive_cannot_be_written(void **state)
{
	static struct block_device foreign;

	(void)state;
	foreign = memory_device;
	foreign.block_count = 0;
	block_register(&foreign);
	block_register(&memory_device);
	assert_non_null(boot_disk());
	assert_ptr_equal(boot_disk()->dev, &memory_device);
	memory_op_count = 0;
	assert_ptr_equal(boot_disk()->dev, &memory_device);
	assert_int_equal(memory_op_count, 0);

	expect_writes(0, 1, -EPERM);
	expect_writes(1, 1, -EPERM);
	expect_writes(BOOT_LBA, 1, -EPERM);
	expect_writes(SLOT_A_LBA - 1, 1, -EPERM);
	expect_writes(SLOT_A_LBA - 1, 2, -EPERM);
	expect_writes(SLOT_A_LBA, 1, 0);
	expect_writes(SLOT_B_LBA - 1, 1, 0);
	expect_writes(SLOT_B_LBA, 1, 0);
	expect_writes(DATA_LBA, 1, 0);
	expect_writes(DATA_LBA + DATA_BLOCKS - 1, 1, 0);
	expect_writes(DATA_LBA + DATA_BLOCKS - 1, 2, -EPERM);
	expect_writes(MEMORY_BLOCKS - 1, 1, -EPERM);
	expect_writes(MEMORY_BLOCKS, 1, -EINVAL);
	assert_int_equal(block_read(&memory_device, 0, 1, buf), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(our_disk_is_read, setup),
	    cmocka_unit_test_setup(every_disk_of_somebody_else_is_refused, setup),
	    cmocka_unit_test_setup(partitions_must_lie_on_the_disk_in_order, setup),
	    cmocka_unit_test_setup_teardown(what_must_survive_cannot_be_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
