/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory with Pith's layout, behind the real block layer: what is written and flushed is
 * recorded, and any operation can be made to fail.
 */
#ifndef TESTS_HOST_MEMORY_DISK_H
#define TESTS_HOST_MEMORY_DISK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/disk.h>

/* As on a card, but for its size: slots of 1 MiB, and a data partition of its five units. */
#define SLOT_BLOCKS   2048u
#define BOOT_LBA      8192u
#define BOOT_BLOCKS   64u
#define SLOT_A_LBA    (BOOT_LBA + BOOT_BLOCKS)
#define SLOT_B_LBA    (SLOT_A_LBA + SLOT_BLOCKS)
#define DATA_LBA      (SLOT_B_LBA + SLOT_BLOCKS)
#define DATA_BLOCKS   (UNIT_APP * DISK_UNIT_BLOCKS)
#define MEMORY_TAIL   8u /* behind the last partition */
#define MEMORY_BLOCKS (DATA_LBA + DATA_BLOCKS + MEMORY_TAIL)

enum { DO_READ, DO_WRITE, DO_FLUSH };

struct memory_op {
	int what;
	uint64_t lba;
	uint32_t count;
};

static uint8_t *memory; /* MEMORY_BLOCKS of it */
static struct memory_op memory_ops[4096];
static unsigned int memory_op_count; /* all of them, also those that failed */
static unsigned int memory_fail_at;  /* this one fails, counted from 1; 0: none */
static bool memory_fail_on;          /* and all after it */
static void (*memory_hook)(int what, uint64_t lba, uint32_t count); /* before each */

static int memory_do(int what, uint64_t lba, uint32_t count)
{
	struct memory_op *op = &memory_ops[memory_op_count++ % 4096];

	*op = (struct memory_op){what, lba, count};
	if (memory_hook)
		memory_hook(what, lba, count);
	if (memory_fail_at != 0 && (memory_op_count == memory_fail_at ||
	                            (memory_fail_on && memory_op_count > memory_fail_at)))
		return -EIO;
	return 0;
}

static int memory_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	(void)dev;
	if (memory_do(DO_READ, lba, count))
		return -EIO;
	memcpy(buf, memory + lba * SECTOR_BYTES, count * SECTOR_BYTES);
	return 0;
}

static int memory_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf)
{
	(void)dev;
	if (memory_do(DO_WRITE, lba, count))
		return -EIO;
	memcpy(memory + lba * SECTOR_BYTES, buf, count * SECTOR_BYTES);
	return 0;
}

static int memory_flush(struct block_device *dev)
{
	(void)dev;
	return memory_do(DO_FLUSH, 0, 0);
}

static struct block_device memory_device = {
    .name = "mem",
    .block_bytes = SECTOR_BYTES,
    .block_count = MEMORY_BLOCKS,
    .read = memory_read,
    .write = memory_write,
    .flush = memory_flush,
};

static void memory_put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* An empty disk, but for the partition table. */
static inline void memory_format(void)
{
	static const uint32_t parts[PART_COUNT][3] = {
	    {0x0c, BOOT_LBA, BOOT_BLOCKS},
	    {0xda, SLOT_A_LBA, SLOT_BLOCKS},
	    {0xda, SLOT_B_LBA, SLOT_BLOCKS},
	    {0xda, DATA_LBA, DATA_BLOCKS},
	};

	free(memory);
	memory = calloc(MEMORY_BLOCKS, SECTOR_BYTES);
	memory[510] = 0x55;
	memory[511] = 0xaa;
	for (int i = 0; i < PART_COUNT; i++) {
		uint8_t *entry = memory + 446 + 16 * i;

		entry[4] = (uint8_t)parts[i][0];
		memory_put32(entry + 8, parts[i][1]);
		memory_put32(entry + 12, parts[i][2]);
	}
	memory_op_count = 0;
	memory_fail_at = 0;
	memory_fail_on = false;
	memory_hook = NULL;
}

#endif
