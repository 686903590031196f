/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues: buffers go to the device by a ring of descriptors and come back by another.
 * Private to drivers/.
 *
 * The device shares the rings' memory and is not trusted with it. Everything that decides what we do
 * (free descriptors, chains, what is outstanding and how long it may be) is kept in the slots, which
 * the device cannot reach; of what the device writes each word is read once, checked, and only then
 * used. What breaks a rule ends in virtio_break().
 *
 * A queue has no lock: its caller serializes. Only vq_hush() may be called from an interrupt handler
 * meanwhile.
 *
 * Source: virtio 1.2, section 2.7.
 */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_SIZE_MAX 32768u /* section 2.7 */

struct virtio_device;

/* Memory shared with the device: one access each, never repeated or torn by the compiler. */
#define SHARED(lvalue) (*(volatile __typeof__(lvalue) *)&(lvalue))

/* The rings as the device sees them, little-endian (legacy: ours, which is little too). */
struct vring_desc {
	uint64_t pa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* after the last: used_event */
};

struct vring_used_elem {
	uint32_t id;
	uint32_t bytes;
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	struct vring_used_elem ring[]; /* after the last: avail_event */
};

/* What we know about a descriptor. */
struct vq_slot {
	void *cookie;
	uint32_t writable_bytes; /* the device can have written at most this many into the chain */
	uint16_t count;          /* descriptors in the chain that starts here; 0: not outstanding */
	uint16_t next;           /* the next one, of the chain or of the free list */
};

struct virtqueue {
	struct virtio_device *dev;
	void *notify; /* register to write index to */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vq_slot *slots;
	struct vring_desc *tables; /* indirect: table_entries for each descriptor; or NULL */
	uint16_t table_entries;
	uint16_t index, size; /* size is a power of two */
	bool event_idx;
	uint16_t free_head, free_count;
	uint16_t fresh;     /* slots from here on were never used, and are uninitialized */
	uint16_t in_flight; /* chains that are outstanding */
	uint16_t avail_idx; /* next to fill; the device knows of those before published_idx */
	uint16_t published_idx;
	uint16_t used_idx;  /* next to take */
	uint16_t used_seen; /* the device's index when last looked at */
	uint32_t
	    popped_bytes; /* how many the device wrote into the chain that vq_pop returned last */
	size_t ring_pages;
};

/* A piece of memory that the device reads or writes. */
struct vq_piece {
	const void *data;
	uint32_t bytes;
};

/*
 * Lay the rings out in fresh memory. Set dev, notify, index and event_idx before, and all else to 0.
 *
 * size          entries, a power of two up to QUEUE_SIZE_MAX
 * used_align    bytes: 4, or the page size for a legacy device
 * table_entries entries of an indirect table a descriptor, 0: none
 * Returns       0 or -ENOMEM
 */
int vq_init(struct virtqueue *q, unsigned int size, size_t used_align, unsigned int table_entries);
void vq_free(struct virtqueue *q);

/* The address at which the device finds p. The only place that knows. */
uint64_t vq_dma(const void *p);

/*
 * Enter a chain: out_count pieces that the device reads, then in_count that it writes. The device
 * is not told until vq_kick().
 *
 * cookie   comes back from vq_pop; not NULL
 * Returns  0; -ENOBUFS no room now
 */
int vq_add(struct virtqueue *q, const struct vq_piece *pieces, unsigned int out_count,
           unsigned int in_count, void *cookie);

/* The same for a single piece, which the device writes, or reads. */
int vq_add_one(struct virtqueue *q, const void *data, uint32_t bytes, bool writable, void *cookie);

/* A single descriptor is cheaper for both sides than a table of one. */
static inline bool vq_goes_indirect(const struct virtqueue *q, unsigned int pieces)
{
	return pieces > 1 && pieces <= q->table_entries;
}

/* True if vq_add of that many pieces would succeed. */
static inline bool vq_has_room(const struct virtqueue *q, unsigned int pieces)
{
	return q->free_count >= (vq_goes_indirect(q, pieces) ? 1 : pieces);
}

/* The descriptor that the next vq_add will start with: names a place for what lives as long. */
static inline uint16_t vq_next_id(const struct virtqueue *q)
{
	return q->free_head;
}

/* Publish what was added, and notify the device unless it asked not to be. */
void vq_kick(struct virtqueue *q);

/*
 * Take a chain that the device is done with: its cookie, and in q->popped_bytes how many it wrote,
 * from the chain's first writable byte on: never more than there are. NULL: nothing there, or the
 * device is broken.
 */
void *vq_pop(struct virtqueue *q);

/* Whether vq_pop has nothing to return: cheaper than asking it. */
static inline bool vq_is_empty(const struct virtqueue *q)
{
	return q->used_idx == q->used_seen && SHARED(q->used->idx) == q->used_seen;
}

/* How many vq_pop will return without looking at the device's index again, after one look at it. */
unsigned int vq_pending(struct virtqueue *q);

/* After virtio_break: the cookies that are still outstanding, one a call, then NULL. */
void *vq_drain(struct virtqueue *q);

/*
 * Ask for an interrupt when more than skip chains (of those in flight) will have been used.
 * Returns true if they already are: none may come, poll again.
 */
bool vq_arm(struct virtqueue *q, unsigned int skip);

/* No interrupts from now on, as far as the device can be told so cheaply. */
void vq_hush(struct virtqueue *q);

/*
 * Does moving an index from before to after step over event? Modulo 2^16: virtio 1.2, section
 * 2.7.10, used for both directions.
 */
static inline bool vq_event_crossed(uint16_t event, uint16_t after, uint16_t before)
{
	return (uint16_t)(after - event - 1) < (uint16_t)(after - before);
}

#endif
