/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, for the MMIO transport, the block and the entropy driver, against a model at register
 * level: the initialization protocol of both versions is kept; an empty slot is passed in silence,
 * and a device that refuses, never resets or never stands still ends in an error, never in a hang;
 * any ring size and feature set carries data; a device that fails, lies, or never answers gives
 * -EIO, is disabled, and says why once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "virtio_model.h"
#include <pith/block.h>

#define F_SIZE_MAX (1ull << 1)
#define F_RO       (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH    (1ull << 9)
#define F_PLATFORM (1ull << 33)
#define F_PACKED   (1ull << 34)
#define F_RINGS    (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* --- The disk ---------------------------------------------------------------------------------- */

#define SECTORS 512
static uint8_t disk[SECTORS * 512];
static unsigned int disk_requests, disk_flushes;
static uint32_t disk_size_max;

/* How the disk answers. */
static enum {
	HONEST,
	FAILS,    /* status 1 */
	SHORT,    /* success, but not all of the data */
	LONG,     /* says that it wrote more than there is room for */
	SILENT,   /* takes the request and does nothing */
	WRONG_ID, /* uses another one */
	ASKS_RESET
} mood;

struct disk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

static uint8_t *at(const struct vring_desc *d)
{
	return (uint8_t *)(uintptr_t)d->pa;
}

static uint8_t disk_do(const struct model_chain *c)
{
	const struct disk_header *h = (const void *)at(&c->piece[0]);
	const struct vring_desc *data = &c->piece[1];

	assert_int_equal(c->piece[0].bytes, sizeof(*h));
	if (h->type == 4) {
		assert_int_equal(c->count, 2);
		disk_flushes++;
		return 0;
	}
	assert_int_equal(c->count, 3);
	assert_true(data->bytes % 512 == 0 && data->bytes <= disk_size_max);
	assert_true(h->sector + data->bytes / 512 <= SECTORS);
	if (h->type == 0)
		memcpy(at(data), disk + h->sector * 512, data->bytes);
	else if (h->type == 1)
		memcpy(disk + h->sector * 512, at(data), data->bytes);
	else
		fail();
	return mood == FAILS;
}

static void disk_run(void)
{
	struct ring_model *r = &model.queue[0].r;
	struct model_chain c;
	uint32_t written;

	while (MODEL_RUNNING && model_take(r, &c)) {
		const struct vring_desc *last = &c.piece[c.count - 1];

		disk_requests++;
		assert_true(last->bytes == 1 && (last->flags & MODEL_WRITE));
		if (mood == SILENT)
			return;
		if (mood == ASKS_RESET) {
			model.status |= 64;
			model_interrupt(2);
			return;
		}
		*at(last) = disk_do(&c);
		written = c.in_bytes;
		if (mood == SHORT)
			written = c.in_bytes > 1 ? c.in_bytes - 2 : 1;
		if (mood == LONG)
			written++;
		model_use(r, &c, written, r->used->idx);
		if (mood == WRONG_ID)
			r->used->ring[r->used->idx % r->size].id = (c.id + 1) % r->size;
		if (model_publish(r, (uint16_t)(r->used->idx + 1)))
			model_interrupt(1);
	}
}

static void disk_begin(uint32_t version, uint64_t offered, uint32_t queue_max)
{
	model_begin(2, version, offered, queue_max);
	*(uint64_t *)model.config = SECTORS;
	*(uint32_t *)(model.config + 8) = 0;
	*(uint32_t *)(model.config + 20) = 512;
	disk_size_max = UINT32_MAX;
	disk_requests = disk_flushes = 0;
	model_while_waiting = disk_run;
	mood = HONEST;
}

static struct block_device *last_device(void)
{
	struct block_device *d = block_find(NULL);

	while (d->next)
		d = d->next;
	return d;
}

static struct block_device *disk_probe(void)
{
	assert_int_equal(model_probe(0), 0);
	assert_true(MODEL_RUNNING);
	return last_device();
}

static void fill(uint8_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)rand();
}

static void random_io(struct block_device *d)
{
	static uint8_t reference[sizeof(disk)], buf[sizeof(disk) + 1];

	memcpy(reference, disk, sizeof(disk));
	for (int i = 0; i < 200; i++) {
		uint32_t count = 1 + (uint32_t)rand() % (rand() % 8 ? 8 : d->block_count);
		uint64_t lba = (uint64_t)rand() % (d->block_count - count + 1);
		size_t bytes = (size_t)count * d->block_bytes, offset = lba * d->block_bytes;
		uint8_t *p = buf + rand() % 2;

		if (rand() % 2) {
			fill(p, bytes);
			memcpy(reference + offset, p, bytes);
			assert_int_equal(block_write(d, lba, count, p), 0);
		} else {
			assert_int_equal(block_read(d, lba, count, p), 0);
			assert_memory_equal(p, reference + offset, bytes);
		}
	}
	assert_memory_equal(disk, reference, sizeof(disk));
	assert_int_equal(model_handler ? log_lines : 0, 1); /* only the line from probe */
}

/* --- Finding devices --------------------------------------------------------------------------- */

static void an_empty_slot_is_passed_in_silence(void **state)
{
	(void)state;
	model_begin(0, 2, 0, 4);
	assert_int_equal(model_probe(0), -ENODEV);
	model_begin(0, 1, 0, 4);
	assert_int_equal(model_probe(0), -ENODEV);
	model_begin(18, 2, 0, 4); /* a device that we have no driver for */
	assert_int_equal(model_probe(0), -ENODEV);
	assert_int_equal(log_lines, 0);
	assert_int_equal(model.resets, 0);
}

static void strange_transports_are_refused(void **state)
{
	(void)state;
	disk_begin(3, F_RINGS, 4);
	assert_int_equal(model_probe(0), -ENOTSUP);
	disk_begin(2, F_RINGS, 4);
	model_reg_bytes = 0x80;
	assert_int_equal(model_probe(0), -EINVAL);
	assert_int_equal(model.resets, 0);
}

static void refused_features_end_in_failed(void **state)
{
	(void)state;
	disk_begin(2, F_RINGS | F_PLATFORM, 4);
	model.refuses_features = true;
	assert_int_equal(model_probe(0), -ENOTSUP);
	assert_true(model.failed);
	assert_int_equal(model.status, 0);
	disk_begin(2, F_RINGS, 4);
	model.offered &= ~VIRTIO_F_VERSION_1;
	assert_int_equal(model_probe(0), -ENOTSUP);
	assert_true(model.failed);
}

static void a_device_that_never_resets_is_given_up(void **state)
{
	uint64_t before = model_now_ns;

	(void)state;
	disk_begin(2, F_RINGS, 4);
	model.never_resets = true;
	model.status = 15;
	assert_int_equal(model_probe(0), -ETIMEDOUT);
	assert_true(model_now_ns - before < 10 * NS_PER_S);
}

static void a_restless_configuration_is_given_up(void **state)
{
	(void)state;
	disk_begin(2, F_RINGS, 4);
	model.restless = true;
	assert_int_equal(model_probe(0), -EIO);
	assert_int_equal(model.status, 0);
}

static void unusable_devices_are_refused_and_reset(void **state)
{
	(void)state;
	disk_begin(2, F_RINGS, 0); /* no queue */
	assert_int_equal(model_probe(0), -ENOENT);
	assert_int_equal(model.status, 0);
	disk_begin(2, F_RINGS, 2); /* no request fits */
	assert_int_equal(model_probe(0), -ENOTSUP);
	assert_int_equal(model.status, 0);
	disk_begin(2, F_RINGS, 4);
	model_irq_error = -ENODEV;
	assert_int_equal(model_probe(0), -ENODEV);
	assert_int_equal(model.status, 0);
	for (uint32_t bytes = 0; bytes < 200000; bytes = bytes * 2 + 100) { /* block sizes */
		disk_begin(2, F_RINGS | F_BLK_SIZE, 4);
		*(uint32_t *)(model.config + 20) = bytes;
		assert_int_equal(model_probe(0), -EINVAL);
	}
	disk_begin(2, F_RINGS | F_SIZE_MAX, 4);
	*(uint32_t *)(model.config + 8) = 511;
	assert_int_equal(model_probe(0), -EINVAL);
}

/* --- Blocks ------------------------------------------------------------------------------------ */

static void data_arrives_whatever_is_negotiated(void **state)
{
	static const uint64_t features[] = {
	    0,
	    VIRTIO_F_EVENT_IDX,
	    VIRTIO_F_INDIRECT_DESC,
	    F_RINGS | F_FLUSH | F_PACKED | F_PLATFORM,
	};

	(void)state;
	for (uint32_t version = 1; version <= 2; version++) {
		for (uint32_t size = 3; size <= 1024; size = size * 3 / 2 + 1) {
			for (size_t i = 0; i < ARRAY_LEN(features); i++) {
				if (size == 3) /* not a power of two: a ring of 2 */
					continue;
				disk_begin(version, features[i], size);
				random_io(disk_probe());
				assert_int_equal(model.accepted & (F_PACKED | F_PLATFORM), 0);
			}
		}
	}
}

static void the_device_s_limits_are_kept(void **state)
{
	struct block_device *d;

	(void)state;
	disk_begin(2, F_RINGS | F_SIZE_MAX | F_BLK_SIZE, 16);
	*(uint32_t *)(model.config + 8) = disk_size_max = 9000;
	*(uint32_t *)(model.config + 20) = 4096;
	d = disk_probe();
	assert_int_equal(d->block_bytes, 4096);
	assert_int_equal(d->block_count, SECTORS / 8);
	random_io(d);
	assert_int_equal(block_read(d, 0, 16, disk), 0); /* in pieces of 8192 */
}

static void flush_reaches_the_device_if_it_caches(void **state)
{
	struct block_device *d;

	(void)state;
	disk_begin(2, F_RINGS | F_FLUSH, 16);
	d = disk_probe();
	assert_int_equal(block_flush(d), 0);
	assert_int_equal(disk_flushes, 1);
	mood = SILENT;
	assert_int_equal(block_flush(d), -EIO);
	disk_begin(2, F_RINGS, 16);
	d = disk_probe();
	assert_int_equal(block_flush(d), 0);
	assert_int_equal(disk_flushes, 0);
}

static void read_only_is_believed(void **state)
{
	struct block_device *d;

	(void)state;
	disk_begin(1, F_RO, 16);
	d = disk_probe();
	assert_int_equal(block_write(d, 0, 1, disk), -EROFS);
	assert_int_equal(disk_requests, 0);
}

static void a_failed_request_is_an_error_and_no_more(void **state)
{
	static uint8_t buf[4096];
	struct block_device *d;

	(void)state;
	disk_begin(2, F_RINGS, 16);
	d = disk_probe();
	mood = FAILS;
	assert_int_equal(block_read(d, 0, 8, buf), -EIO);
	assert_int_equal(block_write(d, 0, 8, buf), -EIO);
	mood = SHORT;
	assert_int_equal(block_read(d, 0, 8, buf), -EIO);
	mood = HONEST;
	random_io(d);
}

static void bad_devices_are_disabled_once(void **state)
{
	static const struct {
		int mood;
		const char *says;
	} cases[] = {
	    {LONG, "more than a buffer"},
	    {WRONG_ID, "not given"},
	    {SILENT, "no answer"},
	    {ASKS_RESET, "needs a reset"},
	};
	static uint8_t buf[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
		struct block_device *d;
		unsigned int requests;

		disk_begin(1 + i % 2, F_FLUSH | (i % 3 ? F_RINGS : 0), 16);
		d = disk_probe();
		mood = cases[i / 2].mood;
		model.resets = log_lines = 0;
		assert_int_equal(block_read(d, 0, 8, buf), -EIO);
		assert_int_equal(log_lines, 1);
		assert_non_null(strstr(log_text, cases[i / 2].says));
		assert_int_equal(model.resets, 1);
		assert_int_equal(model.status, 0);
		requests = disk_requests;
		mood = HONEST;
		assert_int_equal(block_read(d, 0, 8, buf), -EIO);
		assert_int_equal(block_write(d, 0, 8, buf), -EIO);
		assert_int_equal(block_flush(d), -EIO);
		assert_int_equal(disk_requests, requests);
		assert_int_equal(log_lines, 1);
	}
}

/* --- Entropy ----------------------------------------------------------------------------------- */

static struct entropy_source *source; /* the last, and by its links those before */
static uint32_t rng_gives;
static bool rng_lies;

void entropy_source_register(struct entropy_source *s)
{
	s->next = source;
	source = s;
}

static void rng_run(void)
{
	struct model_chain c;

	while (rng_gives != 0 && MODEL_RUNNING && model_take(&model.queue[0].r, &c)) {
		assert_true(c.count == 1 && c.out_count == 0);
		memset(at(&c.piece[0]), 0x5a, MIN(rng_gives, c.in_bytes));
		if (model_use_now(&model.queue[0].r, &c,
		                  rng_lies ? c.in_bytes + 1 : MIN(rng_gives, c.in_bytes)))
			model_interrupt(1);
	}
}

static void rng_begin(uint32_t version, uint32_t gives)
{
	model_begin(4, version, VIRTIO_F_EVENT_IDX, 8);
	model_while_waiting = rng_run;
	rng_gives = gives;
	rng_lies = false;
	assert_int_equal(model_probe(0), 0);
	assert_int_equal(model.queue[0].notified, 1); /* a buffer is out from the start */
}

static void entropy_arrives_in_any_portion(void **state)
{
	uint8_t buf[32], expected[32];

	(void)state;
	memset(expected, 0x5a, sizeof(expected));
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t portion = 1 + i / 2;

		rng_begin(1 + i % 2, portion);
		memset(buf, 0, sizeof(buf));
		for (int n = 0; n < 3; n++)
			assert_int_equal(source->read(source, buf, sizeof(buf), false), portion);
		assert_memory_equal(buf, expected, portion);
		assert_int_equal(source->read(source, buf, 1, false), 1);
	}
}

static void who_may_not_wait_does_not(void **state)
{
	uint8_t buf[32];

	(void)state;
	rng_begin(2, 0);
	assert_int_equal(source->read(source, buf, sizeof(buf), true), -EAGAIN);
	rng_gives = 32;
	rng_run();
	assert_int_equal(source->read(source, buf, sizeof(buf), true), 32);
	assert_int_equal(source->read(source, buf, sizeof(buf), true), -EAGAIN);
}

static void a_late_answer_is_still_taken(void **state)
{
	uint8_t buf[32];

	(void)state;
	rng_begin(2, 0);
	assert_int_equal(source->read(source, buf, sizeof(buf), false), -ETIMEDOUT);
	assert_int_equal(source->read(source, buf, sizeof(buf), false), -ETIMEDOUT);
	rng_gives = 7;
	assert_int_equal(source->read(source, buf, sizeof(buf), false), 7);
	assert_int_equal(log_lines, 0);
}

static void more_entropy_than_asked_for_is_a_lie(void **state)
{
	uint8_t buf[32];

	(void)state;
	rng_begin(2, 32);
	rng_lies = true;
	assert_int_equal(source->read(source, buf, sizeof(buf), false), -EIO);
	assert_int_equal(source->read(source, buf, sizeof(buf), false), -EIO);
	assert_int_equal(source->read(source, buf, sizeof(buf), true), -EIO);
	assert_int_equal(log_lines, 1);
	assert_int_equal(model.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_slot_is_passed_in_silence),
	    cmocka_unit_test(strange_transports_are_refused),
	    cmocka_unit_test(refused_features_end_in_failed),
	    cmocka_unit_test(a_device_that_never_resets_is_given_up),
	    cmocka_unit_test(a_restless_configuration_is_given_up),
	    cmocka_unit_test(unusable_devices_are_refused_and_reset),
	    cmocka_unit_test(data_arrives_whatever_is_negotiated),
	    cmocka_unit_test(the_device_s_limits_are_kept),
	    cmocka_unit_test(flush_reaches_the_device_if_it_caches),
	    cmocka_unit_test(read_only_is_believed),
	    cmocka_unit_test(a_failed_request_is_an_error_and_no_more),
	    cmocka_unit_test(bad_devices_are_disabled_once),
	    cmocka_unit_test(entropy_arrives_in_any_portion),
	    cmocka_unit_test(who_may_not_wait_does_not),
	    cmocka_unit_test(a_late_answer_is_still_taken),
	    cmocka_unit_test(more_entropy_than_asked_for_is_a_lie),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
