/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices. */
#ifndef PITH_BLOCK_H
#define PITH_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/dt.h>
#include <pith/thread.h>

struct block_range {
	uint64_t lba, blocks;
	struct block_range *next;
};

struct block_device {
	const char *name; /* "vda" */
	dt_node node;
	uint32_t block_bytes; /* 512 */
	uint64_t block_count;
	bool read_only;
	/*
	 * Driver's operations; called with the device's lock held, range checked, count > 0, thread
	 * context. 0 or -EIO.
	 */
	int (*read)(struct block_device *dev, uint64_t lba, uint32_t count, void *buf);
	int (*write)(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf);
	int (*flush)(struct block_device *dev);
	/* Set by block_register. */
	struct mutex lock;
	struct block_range *protected;
	struct block_device *next;
};

void block_register(struct block_device *dev);
/* By name, or NULL; name NULL: the first. */
struct block_device *block_find(const char *name);

/*
 * Read count blocks into buf, starting at lba.
 *
 * buf      count * block_bytes bytes, any alignment
 * Blocks   yes (thread only)
 * Returns  0; -EIO device error; -EINVAL range beyond the device
 * Source   virtio 1.2, section 5.2.6
 */
int block_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf);
/* Write; as block_read, and -EROFS, and -EPERM: protected. On the medium only after block_flush. */
int block_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf);
/* Everything written so far is on the medium when this returns 0. */
int block_flush(struct block_device *dev);

/*
 * From now on block_write() writes no block of r: what must survive any mistake above it.
 *
 * r  on the device; stays in use
 */
void block_protect(struct block_device *dev, struct block_range *r);

#endif
