/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio entropy device: a buffer lies with the device at all times, so that who may not wait finds
 * what has arrived.
 *
 * Source: virtio 1.2, section 5.4.
 */
#include <errno.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "virtio.h"

#define BUFFER_BYTES 32

/* A host may hand out entropy sparingly; one that has none at all is not waited for. */
#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)

struct virtio_rng {
	struct virtio_device vdev;
	struct entropy_source source;
	struct virtqueue q;
	struct waitq done;
	struct mutex lock; /* of the queue and the buffer */
	uint8_t buffer[BUFFER_BYTES];
};

static struct virtio_rng *to_rng(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_rng, vdev);
}

static void post(struct virtio_rng *r)
{
	if (vq_add_one(&r->q, r->buffer, BUFFER_BYTES, true, r) == 0)
		vq_kick(&r->q);
}

/* Until the buffer is back. Returns 0, -EAGAIN, -ETIMEDOUT, or -EIO: never again. */
static int wait_buffer(struct virtio_rng *r, bool nonblock)
{
	uint64_t deadline_ns = time_now_ns() + ANSWER_TIMEOUT_NS;
	unsigned long daif = irq_save();
	int err = 0;

	while (!r->vdev.broken && !vq_arm(&r->q, 0) && err == 0)
		err = nonblock ? -EAGAIN : waitq_wait(&r->done, deadline_ns);
	irq_restore(daif);
	return r->vdev.broken ? -EIO : err;
}

/* Hand over what arrived, keep no copy, and ask for more. */
static int take(struct virtio_rng *r, void *buf, size_t count)
{
	if (!vq_pop(&r->q))
		return -EIO;
	count = MIN(count, r->q.popped_bytes);
	memcpy(buf, r->buffer, count);
	memset(r->buffer, 0, sizeof(r->buffer));
	post(r);
	return (int)count;
}

static int virtio_rng_read(struct entropy_source *s, void *buf, size_t count, bool nonblock)
{
	struct virtio_rng *r = container_of(s, struct virtio_rng, source);
	int got;

	if (!nonblock)
		mutex_lock(&r->lock);
	else if (mutex_trylock(&r->lock) < 0)
		return -EAGAIN;
	got = wait_buffer(r, nonblock);
	if (got == 0)
		got = take(r, buf, count);
	mutex_unlock(&r->lock);
	return got;
}

static void virtio_rng_wake(struct virtio_device *vdev)
{
	struct virtio_rng *r = to_rng(vdev);
	unsigned long daif = irq_save();

	vq_hush(&r->q);
	waitq_wake_all(&r->done);
	irq_restore(daif);
}

static int virtio_rng_probe(struct virtio_device *vdev)
{
	struct virtio_rng *r = to_rng(vdev);
	int err;

	r->source.name = "virtio-rng";
	r->source.read = virtio_rng_read;
	waitq_init(&r->done);
	mutex_init(&r->lock);
	err = virtio_negotiate(vdev, VIRTIO_F_EVENT_IDX);
	if (err == 0)
		err = virtio_queue(vdev, 0, &r->q, 1, 0);
	if (err == 0)
		err = virtio_start(vdev);
	if (err < 0) {
		vq_free(&r->q);
		return err;
	}
	post(r);
	entropy_source_register(&r->source);
	return 0;
}

VIRTIO_DRIVER(rng) = {
    .name = "virtio-rng",
    .device_id = VIRTIO_ID_RNG,
    .state_bytes = sizeof(struct virtio_rng),
    .probe = virtio_rng_probe,
    .queue_interrupt = virtio_rng_wake,
    .broke = virtio_rng_wake,
};
