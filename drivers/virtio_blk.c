/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio block device: one request at a time, under the lock of the block layer, from and to the
 * caller's own memory.
 *
 * Source: virtio 1.2, section 5.2.
 */
#include <errno.h>
#include <stdio.h>
#include <pith/block.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "virtio.h"

/* Features: section 5.2.3. */
#define F_SIZE_MAX (1ull << 1)
#define F_RO       (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH    (1ull << 9)
#define F_WANTED \
	(F_SIZE_MAX | F_RO | F_BLK_SIZE | F_FLUSH | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* Configuration: section 5.2.4. */
#define CONFIG_CAPACITY 0  /* 64 bits: sectors of 512 bytes, whatever BLK_SIZE says */
#define CONFIG_SIZE_MAX 8  /* 32 bits: bytes in one descriptor */
#define CONFIG_BLK_SIZE 20 /* 32 bits: bytes */

#define SECTOR_BYTES    512u
#define BLOCK_BYTES_MAX 65536u

/* Requests: section 5.2.6. */
struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};
#define TYPE_IN    0u
#define TYPE_OUT   1u
#define TYPE_FLUSH 4u
#define STATUS_OK  0u

#define PIECES_MAX    3 /* header, data, status */
#define QUEUE_WANTED  4
#define REQUEST_BYTES (1u << 20) /* more goes in several requests */

/* A disk that spins up or a host that is busy takes seconds; one that is gone takes for ever. */
#define ANSWER_TIMEOUT_NS (30 * NS_PER_S)

struct virtio_blk {
	struct virtio_device vdev;
	struct block_device block;
	char name[8];
	struct virtqueue q;
	struct waitq done;
	uint32_t request_bytes_max;
	/* What the device reads and writes of the one request. */
	struct blk_header header;
	uint8_t status;
};

static struct virtio_blk *to_blk(struct block_device *block)
{
	return container_of(block, struct virtio_blk, block);
}

static struct virtio_blk *to_blk_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

/* Wait for the request. Returns the bytes that the device wrote, or -EIO. */
static int64_t wait_answer(struct virtio_blk *b)
{
	uint64_t deadline_ns = time_now_ns() + ANSWER_TIMEOUT_NS;
	unsigned long daif = irq_save();
	int err = 0;

	while (!b->vdev.broken && !vq_arm(&b->q, 0) && err == 0)
		err = waitq_wait(&b->done, deadline_ns);
	irq_restore(daif);
	if (!vq_pop(&b->q)) {
		virtio_break(&b->vdev, "no answer for 30 seconds");
		return -EIO;
	}
	return b->q.popped_bytes;
}

/* data: read by the device for TYPE_OUT, written for TYPE_IN; may be empty. Returns 0 or -EIO. */
static int request(struct virtio_blk *b, uint32_t type, uint64_t sector, struct vq_piece data)
{
	struct vq_piece pieces[PIECES_MAX] = {{&b->header, sizeof(b->header)}};
	unsigned int count = 1;
	int64_t written;

	if (b->vdev.broken)
		return -EIO;
	if (data.bytes != 0)
		pieces[count++] = data;
	pieces[count++] = (struct vq_piece){&b->status, sizeof(b->status)};
	b->header = (struct blk_header){.type = type, .sector = sector};
	b->status = (uint8_t)~STATUS_OK;
	if (type == TYPE_IN)
		vq_add(&b->q, pieces, 1, count - 1, b);
	else
		vq_add(&b->q, pieces, count - 1, 1, b);
	vq_kick(&b->q);
	written = wait_answer(b);
	/* A success that left part of the buffer as it was is none. */
	if (written < 0 || (type == TYPE_IN && written < data.bytes))
		return -EIO;
	return *(volatile uint8_t *)&b->status == STATUS_OK ? 0 : -EIO;
}

/* In as many requests as it takes. data is written for TYPE_IN, read for TYPE_OUT. */
static int transfer(struct block_device *block, uint32_t type, uint64_t lba, uint32_t count,
                    const uint8_t *data)
{
	struct virtio_blk *b = to_blk(block);
	uint64_t left = (uint64_t)count * block->block_bytes;
	uint64_t sector = lba * (block->block_bytes / SECTOR_BYTES);

	while (left != 0) {
		uint32_t bytes = (uint32_t)MIN(left, b->request_bytes_max);
		int err = request(b, type, sector, (struct vq_piece){data, bytes});

		if (err < 0)
			return err;
		data += bytes;
		left -= bytes;
		sector += bytes / SECTOR_BYTES;
	}
	return 0;
}

static int virtio_blk_read(struct block_device *block, uint64_t lba, uint32_t count, void *buf)
{
	return transfer(block, TYPE_IN, lba, count, buf);
}

static int virtio_blk_write(struct block_device *block, uint64_t lba, uint32_t count,
                            const void *buf)
{
	return transfer(block, TYPE_OUT, lba, count, buf);
}

/* A device without F_FLUSH writes through: section 5.2.6.2. */
static int virtio_blk_flush(struct block_device *block)
{
	struct virtio_blk *b = to_blk(block);

	if (!(b->vdev.features & F_FLUSH))
		return b->vdev.broken ? -EIO : 0;
	return request(b, TYPE_FLUSH, 0, (struct vq_piece){NULL, 0});
}

static void virtio_blk_wake(struct virtio_device *vdev)
{
	struct virtio_blk *b = to_blk_of(vdev);
	unsigned long daif = irq_save();

	vq_hush(&b->q);
	waitq_wake_all(&b->done);
	irq_restore(daif);
}

static bool block_bytes_valid(uint32_t bytes)
{
	return bytes >= SECTOR_BYTES && bytes <= BLOCK_BYTES_MAX && (bytes & (bytes - 1)) == 0;
}

static int read_config(struct virtio_blk *b)
{
	uint64_t features = b->vdev.features;
	struct block_device *block = &b->block;
	uint64_t sectors;
	uint32_t size_max = REQUEST_BYTES;
	int err = virtio_config(&b->vdev, CONFIG_CAPACITY, 4, 2, &sectors);

	block->block_bytes = SECTOR_BYTES;
	if (err == 0 && (features & F_BLK_SIZE))
		err = virtio_config(&b->vdev, CONFIG_BLK_SIZE, 4, 1, &block->block_bytes);
	if (err == 0 && (features & F_SIZE_MAX))
		err = virtio_config(&b->vdev, CONFIG_SIZE_MAX, 4, 1, &size_max);
	if (err < 0)
		return err;
	if (!block_bytes_valid(block->block_bytes) || size_max < block->block_bytes) {
		klog("virtio-blk: blocks of %u bytes, %u in a piece",
		     (unsigned int)block->block_bytes, (unsigned int)size_max);
		return -EINVAL;
	}
	b->request_bytes_max = ALIGN_DOWN(MIN(size_max, REQUEST_BYTES), block->block_bytes);
	block->block_count = sectors / (block->block_bytes / SECTOR_BYTES);
	block->read_only = (features & F_RO) != 0;
	return 0;
}

static int set_up(struct virtio_blk *b)
{
	int err = virtio_negotiate(&b->vdev, F_WANTED);

	if (err == 0)
		err = read_config(b);
	if (err == 0)
		err = virtio_queue(&b->vdev, 0, &b->q, QUEUE_WANTED, PIECES_MAX);
	if (err < 0)
		return err;
	if (b->q.size < PIECES_MAX) /* nor may a chain in a table be longer than the ring */
		return -ENOTSUP;
	return virtio_start(&b->vdev);
}

static int virtio_blk_probe(struct virtio_device *vdev)
{
	static unsigned int count;
	struct virtio_blk *b = to_blk_of(vdev);
	int err;

	waitq_init(&b->done);
	snprintf(b->name, sizeof(b->name), "vd%c", 'a' + count % 26);
	b->block.name = b->name;
	b->block.node = vdev->node;
	b->block.read = virtio_blk_read;
	b->block.write = virtio_blk_write;
	b->block.flush = virtio_blk_flush;
	err = set_up(b);
	if (err < 0) {
		vq_free(&b->q);
		return err;
	}
	count++;
	klog("%s: virtio-blk%s, %llu blocks of %u bytes%s", b->name,
	     vdev->legacy ? " (legacy)" : "", (unsigned long long)b->block.block_count,
	     (unsigned int)b->block.block_bytes, b->block.read_only ? ", read-only" : "");
	block_register(&b->block);
	return 0;
}

VIRTIO_DRIVER(blk) = {
    .name = "virtio-blk",
    .device_id = VIRTIO_ID_BLOCK,
    .state_bytes = sizeof(struct virtio_blk),
    .probe = virtio_blk_probe,
    .queue_interrupt = virtio_blk_wake,
    .broke = virtio_blk_wake,
};
