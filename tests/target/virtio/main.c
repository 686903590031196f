/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks and random bytes over virtio. The words of the command line say what to try:
 * tests/target/test_virtio.py has the other half.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/block.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "check.h"

#define AREA_BYTES 0x180000u /* more than one request of the driver takes */

static uint8_t written[AREA_BYTES + 8], got[AREA_BYTES + 8];

static void fill(uint8_t *p, size_t bytes)
{
	static uint32_t state = 1;

	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

/* One random range, written and read back at addresses that fit nothing. */
static bool round_trip(struct block_device *d, uint32_t count_max)
{
	uint32_t count = 1 + (uint32_t)rand() % (uint32_t)MIN(count_max, d->block_count);
	uint64_t lba = (uint64_t)rand() % (d->block_count - count + 1);
	size_t bytes = (size_t)count * d->block_bytes;
	uint8_t *from = written + rand() % 8, *to = got + rand() % 8;

	fill(from, bytes);
	return block_write(d, lba, count, from) == 0 && block_read(d, lba, count, to) == 0 &&
	       memcmp(from, to, bytes) == 0;
}

static void test_disk(struct block_device *d)
{
	bool small = true, large = true;

	for (int i = 0; i < 100; i++)
		small &= round_trip(d, 20);
	for (int i = 0; i < 4; i++)
		large &= round_trip(d, AREA_BYTES / d->block_bytes);
	CHECK("what was written is read back", small);
	CHECK("so are many blocks at once", large);
	CHECK("flush", block_flush(d) == 0);
	CHECK("the last block", block_read(d, d->block_count - 1, 1, got) == 0);
	CHECK("beyond the end", block_read(d, d->block_count, 1, got) == -EINVAL);
	CHECK("across the end", block_write(d, d->block_count - 1, 2, got) == -EINVAL);
}

static void test_read_only(struct block_device *d)
{
	CHECK("a read-only disk is read", block_read(d, 0, 1, got) == 0);
	CHECK("a read-only disk is not written", block_write(d, 0, 1, got) == -EROFS);
}

/* The host fails every access to the first block. */
static void test_errors(struct block_device *d)
{
	CHECK("a failed read is an error", block_read(d, 0, 1, got) == -EIO);
	CHECK("a failed write is an error", block_write(d, 0, 1, got) == -EIO);
	CHECK("the next one is not", round_trip(d, 1) || round_trip(d, 1) || round_trip(d, 1));
}

static void *read_a_lot(void *arg)
{
	struct block_device *d = block_find(NULL);
	uint8_t *buf = malloc(8 * d->block_bytes);
	bool ok = buf != NULL;

	for (uint64_t lba = 0; lba < 50 && ok; lba++)
		ok = block_read(d, lba, 8, buf) == 0;
	free(buf);
	*(bool *)arg = ok;
	return NULL;
}

/* One queue, several threads: each gets its own answer. */
static void test_threads(void)
{
	struct thread *threads[4];
	bool ok[ARRAY_LEN(threads)];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		threads[i] = thread_create("reader", PRIO_APP - (int)i, 0, read_a_lot, &ok[i]);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		thread_join(threads[i], NULL);
		CHECK("a thread among others reads", ok[i]);
	}
}

static void test_random(void)
{
	uint8_t a[1000], b[1000];
	unsigned int ones = 0;

	CHECK("random bytes come", random_bytes(a, sizeof(a), false) == 0);
	CHECK("and again", random_bytes(b, sizeof(b), true) == 0);
	CHECK("others", memcmp(a, b, sizeof(a)) != 0);
	for (size_t i = 0; i < sizeof(a); i++)
		ones += (unsigned int)__builtin_popcount(a[i]);
	CHECK("half of the bits are set", ones > 3600 && ones < 4400);
	printf("first bytes %02x%02x%02x%02x%02x%02x%02x%02x\n", a[0], a[1], a[2], a[3], a[4], a[5],
	       a[6], a[7]);
}

static bool waiter_is_done;

static void *wait_for_random(void *arg)
{
	uint8_t byte;

	*(int *)arg = random_bytes(&byte, 1, false);
	waiter_is_done = true;
	return NULL;
}

/* Without any source: who may not wait gets EAGAIN, who may waits until there is a seed. */
static void test_no_random(void)
{
	int result = 1;
	uint8_t byte;
	struct thread *t;

	CHECK("no weak bytes", random_bytes(&byte, 1, true) == -EAGAIN);
	CHECK("not ready", !entropy_ready());
	t = thread_create("waiter", PRIO_APP, 0, wait_for_random, &result);
	thread_sleep_until(time_now_ns() + 200 * NS_PER_MS);
	CHECK("random_bytes waits", !waiter_is_done);
	entropy_add("what a user typed", 17, 128);
	thread_join(t, NULL);
	CHECK("until there is a seed", waiter_is_done && result == 0);
}

int main(int argc, char **argv)
{
	srand(1);
	for (int i = 1; i < argc; i++) {
		struct block_device *d = block_find(NULL);

		if (d)
			printf("%s: %llu blocks of %u bytes\n", d->name,
			       (unsigned long long)d->block_count, (unsigned int)d->block_bytes);
		if (strcmp(argv[i], "no-disk") == 0)
			CHECK("no disk", !d);
		else if (strcmp(argv[i], "disk") == 0 && d)
			test_disk(d);
		else if (strcmp(argv[i], "read-only") == 0 && d)
			test_read_only(d);
		else if (strcmp(argv[i], "errors") == 0 && d)
			test_errors(d);
		else if (strcmp(argv[i], "threads") == 0 && d)
			test_threads();
		else if (strcmp(argv[i], "random") == 0)
			test_random();
		else if (strcmp(argv[i], "no-random") == 0)
			test_no_random();
		else
			CHECK("a word that is known, and a disk for it", false);
	}
	return checks_failed != 0;
}
