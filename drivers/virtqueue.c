/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues. Source: virtio 1.2, section 2.7. */
#include <errno.h>
#include <stdlib.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/page.h>
#include "virtio.h"

/* struct vring_desc flags: section 2.7.5. */
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u /* struct vring_avail flags: section 2.7.6 */
#define USED_NO_NOTIFY     1u /* struct vring_used flags: section 2.7.8 */

/*
 * Memory is identity-mapped and virtio devices see it as the CPU does, whatever the tree says of their
 * bus: ACCESS_PLATFORM, which would bring dma_map() here, is never negotiated (virtio 1.2, section
 * 6.1).
 */
uint64_t vq_dma(const void *p)
{
	return (uintptr_t)p;
}

/* The device's wish for a notification, and ours for an interrupt, behind the rings:
 * section 2.7.10. */
static uint16_t *avail_event(struct virtqueue *q)
{
	return (uint16_t *)&q->used->ring[q->size];
}

static uint16_t *used_event(struct virtqueue *q)
{
	return &q->avail->ring[q->size];
}

/*
 * Only what is read before it is written needs to be set. The queue begins without interrupts: they
 * are forbidden, and the index to interrupt at is 2^16 away.
 */
static void rings_clear(struct virtqueue *q)
{
	q->avail->flags = AVAIL_NO_INTERRUPT;
	q->avail->idx = 0;
	*used_event(q) = UINT16_MAX;
	q->used->flags = q->used->idx = 0;
	*avail_event(q) = 0;
}

int vq_init(struct virtqueue *q, unsigned int size, size_t used_align, unsigned int table_entries)
{
	size_t avail_at = size * sizeof(struct vring_desc);
	size_t used_at =
	    ALIGN_UP(avail_at + sizeof(struct vring_avail) + (size + 1) * 2, used_align);
	size_t ring_bytes =
	    used_at + sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + 2;
	uint8_t *ring;

	assert(size != 0 && size <= QUEUE_SIZE_MAX && (size & (size - 1)) == 0);
	q->ring_pages = ALIGN_UP(ring_bytes, PAGE_BYTES) / PAGE_BYTES;
	ring = page_alloc(q->ring_pages, PAGE_BYTES, UINT64_MAX);
	q->slots = malloc(size * sizeof(*q->slots));
	if (table_entries != 0)
		q->tables = malloc(size * table_entries * sizeof(*q->tables));
	q->desc = (struct vring_desc *)ring;
	if (!ring || !q->slots || (table_entries != 0 && !q->tables)) {
		vq_free(q);
		return -ENOMEM;
	}
	q->avail = (struct vring_avail *)(ring + avail_at);
	q->used = (struct vring_used *)(ring + used_at);
	q->size = (uint16_t)size;
	q->table_entries = (uint16_t)table_entries;
	q->free_count = (uint16_t)size;
	rings_clear(q);
	return 0;
}

void vq_free(struct virtqueue *q)
{
	if (q->desc)
		page_free(q->desc, q->ring_pages);
	free(q->slots);
	free(q->tables);
	q->desc = NULL;
	q->slots = NULL;
	q->tables = NULL;
}

/*
 * The free list ends in the slots that were never used, in order: they are initialized when first
 * taken, so that a large ring costs nothing at boot.
 */
static inline uint16_t take_descriptor(struct virtqueue *q)
{
	uint16_t id = q->free_head;
	struct vq_slot *s = &q->slots[id];

	if (id == q->fresh) {
		s->count = 0;
		s->next = q->fresh = (uint16_t)(id + 1);
	}
	q->free_head = s->next;
	q->free_count--;
	return id;
}

/* Give the chain at head back to the free list; its links are ours, not the device's. Returns its cookie. */
static inline void *give_chain(struct virtqueue *q, uint16_t head)
{
	struct vq_slot *slots = q->slots, *s = &slots[head], *last = s;
	unsigned int count = s->count;

	for (unsigned int i = 1; i < count; i++)
		last = &slots[last->next];
	last->next = q->free_head;
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + count);
	s->count = 0;
	q->in_flight--;
	return s->cookie;
}

static inline void describe(struct vring_desc *d, const void *data, uint32_t bytes,
                            unsigned int flags, unsigned int next)
{
	d->pa = vq_dma(data);
	d->bytes = bytes;
	d->flags = (uint16_t)flags;
	d->next = (uint16_t)next;
}

/* The chain of count descriptors that starts at head goes to the device with the next vq_kick. */
static inline void enter(struct virtqueue *q, unsigned int head, unsigned int count,
                         uint32_t writable_bytes, void *cookie)
{
	struct vq_slot *s = &q->slots[head];
	uint16_t at = q->avail_idx;

	s->cookie = cookie;
	s->writable_bytes = writable_bytes;
	s->count = (uint16_t)count;
	q->avail->ring[at & (q->size - 1)] = (uint16_t)head;
	q->avail_idx = (uint16_t)(at + 1);
	q->in_flight++;
}

int vq_add(struct virtqueue *q, const struct vq_piece *pieces, unsigned int out_count,
           unsigned int in_count, void *cookie)
{
	unsigned int count = out_count + in_count, head, id;
	bool indirect = vq_goes_indirect(q, count);
	struct vring_desc *chain = q->desc;
	uint32_t writable_bytes = 0;

	assert(count != 0 && cookie);
	if (!vq_has_room(q, count))
		return -ENOBUFS;
	head = id = take_descriptor(q);
	if (indirect) {
		chain = &q->tables[(size_t)head * q->table_entries];
		describe(&q->desc[head], chain, count * (uint32_t)sizeof(*chain), DESC_INDIRECT, 0);
		id = 0;
	}
	for (unsigned int i = 1;; i++, pieces++) {
		struct vring_desc *d = &chain[id];
		unsigned int flags = 0;

		if (i > out_count) {
			flags = DESC_WRITE;
			writable_bytes += pieces->bytes;
		}
		if (i == count) {
			describe(d, pieces->data, pieces->bytes, flags, 0);
			break;
		}
		id = indirect ? i : take_descriptor(q);
		describe(d, pieces->data, pieces->bytes, flags | DESC_NEXT, id);
	}
	enter(q, head, indirect ? 1 : count, writable_bytes, cookie);
	return 0;
}

FAST int vq_add_one(struct virtqueue *q, const void *data, uint32_t bytes, bool writable,
                    void *cookie)
{
	uint16_t head;

	assert(cookie);
	if (q->free_count == 0)
		return -ENOBUFS;
	head = take_descriptor(q);
	describe(&q->desc[head], data, bytes, writable ? DESC_WRITE : 0, 0);
	enter(q, head, 1, writable ? bytes : 0, cookie);
	return 0;
}

/* Section 2.7.13: descriptors and ring before the index, the index before the look at the event. */
FAST void vq_kick(struct virtqueue *q)
{
	uint16_t before = q->published_idx;
	bool wanted;

	if (before == q->avail_idx || q->dev->broken)
		return;
	q->published_idx = q->avail_idx;
	io_wmb();
	SHARED(q->avail->idx) = q->avail_idx;
	io_mb();
	if (q->event_idx)
		wanted = vq_event_crossed(SHARED(*avail_event(q)), q->avail_idx, before);
	else
		wanted = !(SHARED(q->used->flags) & USED_NO_NOTIFY);
	if (wanted)
		write32(q->notify, q->index);
}

unsigned int vq_pending(struct virtqueue *q)
{
	uint16_t ahead;

	if (q->dev->broken)
		return 0;
	q->used_seen = SHARED(q->used->idx);
	ahead = (uint16_t)(q->used_seen - q->used_idx);
	if (ahead > q->in_flight) {
		virtio_break(q->dev, "it used more buffers than it was given");
		return 0;
	}
	io_rmb(); /* the entries after the index: section 2.7.14 */
	return ahead;
}

FAST void *vq_pop(struct virtqueue *q)
{
	struct vring_used_elem *e;
	uint32_t id, bytes;

	if (q->dev->broken || (q->used_idx == q->used_seen && vq_pending(q) == 0))
		return NULL;
	e = &q->used->ring[q->used_idx & (q->size - 1)];
	id = SHARED(e->id);
	bytes = SHARED(e->bytes);
	if (id >= q->fresh || q->slots[id].count == 0) {
		virtio_break(q->dev, "it used a buffer that it was not given");
		return NULL;
	}
	if (bytes > q->slots[id].writable_bytes) {
		virtio_break(q->dev, "it wrote more than a buffer holds");
		return NULL;
	}
	q->popped_bytes = bytes;
	q->used_idx++;
	return give_chain(q, (uint16_t)id);
}

void *vq_drain(struct virtqueue *q)
{
	if (q->in_flight == 0)
		return NULL;
	for (uint16_t id = 0;; id++) {
		if (q->slots[id].count != 0)
			return give_chain(q, id);
	}
}

FAST bool vq_arm(struct virtqueue *q, unsigned int skip)
{
	if (q->dev->broken)
		return false;
	if (q->event_idx)
		SHARED(*used_event(q)) = (uint16_t)(q->used_idx + skip);
	else
		SHARED(q->avail->flags) = 0;
	io_mb(); /* our wish before the look at the index: section 2.7.7 */
	return vq_pending(q) > skip;
}

/* With an event index an interrupt comes once for each vq_arm: nothing to do. Section 2.7.7.1. */
void vq_hush(struct virtqueue *q)
{
	if (!q->event_idx)
		SHARED(q->avail->flags) = AVAIL_NO_INTERRUPT;
}
