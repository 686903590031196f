/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue, for host tests: takes what the driver made available and
 * fails the test when the driver breaks a rule (virtio 1.2, section 2.7), uses it, and knows when it
 * would interrupt. The lying is done by the tests.
 */
#ifndef RING_MODEL_H
#define RING_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "../../../drivers/virtio.h"

#define MODEL_NEXT     1u
#define MODEL_WRITE    2u
#define MODEL_INDIRECT 4u
#define MODEL_PIECES   64

struct ring_model {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	unsigned int size;
	bool event_idx, indirect;
	uint16_t avail_seen;
	bool taken[QUEUE_SIZE_MAX]; /* descriptors that we hold */
};

struct model_chain {
	unsigned int id, count, out_count;
	uint32_t out_bytes, in_bytes;
	struct vring_desc piece[MODEL_PIECES];
};

static inline uint16_t *model_used_event(struct ring_model *r)
{
	return &r->avail->ring[r->size];
}

static inline uint16_t *model_avail_event(struct ring_model *r)
{
	return (uint16_t *)&r->used->ring[r->size];
}

/* One piece more, unless the driver broke a rule. */
static inline void model_piece(struct ring_model *r, struct model_chain *c,
                               const struct vring_desc *d)
{
	assert_true(c->count < MODEL_PIECES && c->count < r->size);
	assert_int_not_equal(d->bytes, 0);
	c->piece[c->count++] = *d;
	if (d->flags & MODEL_WRITE) {
		c->in_bytes += d->bytes;
		return;
	}
	assert_int_equal(c->out_count, c->count - 1); /* what we read comes first */
	c->out_count++;
	c->out_bytes += d->bytes;
}

static inline void model_table(struct ring_model *r, struct model_chain *c,
                               const struct vring_desc *d)
{
	const struct vring_desc *table = (const struct vring_desc *)(uintptr_t)d->pa;
	unsigned int entries = d->bytes / sizeof(*table), i = 0;

	assert_true(r->indirect);
	assert_int_equal(d->bytes % sizeof(*table), 0);
	assert_int_equal(d->flags, MODEL_INDIRECT);
	do {
		assert_true(i < entries);
		assert_int_equal(table[i].flags & MODEL_INDIRECT, 0);
		model_piece(r, c, &table[i]);
	} while ((table[i].flags & MODEL_NEXT) && ((i = table[i].next), true));
}

/* The next available chain; false: none. */
static inline bool model_take(struct ring_model *r, struct model_chain *c)
{
	unsigned int id;

	assert_true((uint16_t)(r->avail->idx - r->avail_seen) <= r->size);
	if (r->avail->idx == r->avail_seen)
		return false;
	memset(c, 0, sizeof(*c));
	c->id = id = r->avail->ring[r->avail_seen++ % r->size];
	for (;;) {
		assert_true(id < r->size);
		assert_false(r->taken[id]);
		r->taken[id] = true;
		if (r->desc[id].flags & MODEL_INDIRECT) {
			model_table(r, c, &r->desc[id]);
			return true;
		}
		model_piece(r, c, &r->desc[id]);
		if (!(r->desc[id].flags & MODEL_NEXT))
			return true;
		id = r->desc[id].next;
	}
}

/* Give the chain back. The entry becomes visible with model_publish. */
static inline void model_use(struct ring_model *r, const struct model_chain *c, uint32_t bytes,
                             uint16_t at)
{
	unsigned int id = c->id;

	r->used->ring[at % r->size] = (struct vring_used_elem){c->id, bytes};
	while (r->taken[id] = false, r->desc[id].flags & MODEL_NEXT)
		id = r->desc[id].next;
}

/* Returns whether the driver is to be interrupted. */
static inline bool model_publish(struct ring_model *r, uint16_t idx)
{
	uint16_t before = r->used->idx;

	r->used->idx = idx;
	if (r->event_idx)
		return vq_event_crossed(*model_used_event(r), idx, before);
	return !(r->avail->flags & 1);
}

static inline bool model_use_now(struct ring_model *r, const struct model_chain *c, uint32_t bytes)
{
	model_use(r, c, bytes, r->used->idx);
	return model_publish(r, (uint16_t)(r->used->idx + 1));
}

/* Ask to be notified of what comes next, or not. */
static inline void model_want_notify(struct ring_model *r, bool wanted)
{
	if (r->event_idx)
		*model_avail_event(r) = (uint16_t)(r->avail_seen - (wanted ? 0 : 1));
	else
		r->used->flags = wanted ? 0 : 1;
}

#endif
