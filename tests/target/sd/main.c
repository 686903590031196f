/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SD card against a reference in memory. The words of the command line say what to try:
 * tests/target/test_sd.py has the other half.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/block.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "check.h"

#define BLOCK      512u
#define AREA       1024u /* blocks of the card that are written and compared */
#define AREA_BYTES (AREA * BLOCK)

static uint8_t reference[AREA_BYTES];
/* With room for addresses that fit nothing. */
static uint8_t buffer[AREA_BYTES + 2 * DMA_ALIGN];

static void fill(uint8_t *p, size_t bytes)
{
	static uint32_t state = 1;

	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

/* Aligned for DMA, for words, or for nothing. */
static uint8_t *some_place(void)
{
	uintptr_t aligned = ALIGN_UP((uintptr_t)buffer, (uintptr_t)DMA_ALIGN);
	static const unsigned int offsets[] = {0, 4, 16, 1, 2, 3, 63};

	return (uint8_t *)aligned + offsets[(unsigned int)rand() % ARRAY_LEN(offsets)];
}

static uint32_t some_count(void)
{
	switch (rand() % 4) {
	case 0:
		return 1;
	case 1:
		return 2;
	case 2:
		return 1 + (uint32_t)rand() % 20;
	default:
		return 1 + (uint32_t)rand() % 150;
	}
}

/*
 * One random range, read and compared, or written; the reference is what `start` has on the card.
 */
static bool one_request(struct block_device *d, uint64_t start, uint32_t count)
{
	uint32_t at = (uint32_t)rand() % (AREA - count + 1);
	uint8_t *p = some_place(), *expected = reference + (size_t)at * BLOCK;
	size_t bytes = (size_t)count * BLOCK;

	if (rand() % 2) {
		memset(p, 0x5a, bytes);
		return block_read(d, start + at, count, p) == 0 && memcmp(p, expected, bytes) == 0;
	}
	fill(p, bytes);
	memcpy(expected, p, bytes);
	return block_write(d, start + at, count, p) == 0 && memcmp(p, expected, bytes) == 0;
}

/* Everything at the start or the end of the card. */
static void test_area(struct block_device *d, uint64_t start, int requests)
{
	bool ok = block_read(d, start, AREA, reference) == 0;

	CHECK("a whole area is read", ok);
	for (int i = 0; i < requests && ok; i++)
		ok = one_request(d, start, some_count());
	CHECK("random requests", ok);
	CHECK("flush", block_flush(d) == 0);
	CHECK("the area once more", block_read(d, start, AREA, buffer) == 0);
	CHECK("is as it should be", memcmp(buffer, reference, AREA_BYTES) == 0);
}

static void test_ends(struct block_device *d)
{
	uint64_t end = d->block_count;
	uint8_t *p = some_place();

	CHECK("the last block", block_read(d, end - 1, 1, p) == 0);
	CHECK("the last blocks", block_read(d, end - 7, 7, p) == 0);
	CHECK("the last blocks are written", block_write(d, end - 7, 7, p) == 0);
	CHECK("beyond the end", block_read(d, end, 1, p) == -EINVAL);
	CHECK("across the end", block_write(d, end - 1, 2, p) == -EINVAL);
}

static void *read_a_lot(void *arg)
{
	uint8_t *buf = malloc(8 * BLOCK);
	bool ok = buf != NULL;

	for (uint64_t lba = 0; lba < 50 && ok; lba++)
		ok = block_read(block_find(NULL), lba, 8, buf) == 0;
	free(buf);
	*(bool *)arg = ok;
	return NULL;
}

static void test_threads(void)
{
	struct thread *threads[3];
	bool ok[ARRAY_LEN(threads)];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		threads[i] = thread_create("reader", PRIO_APP - (int)i, 0, read_a_lot, &ok[i]);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		thread_join(threads[i], NULL);
		CHECK("a thread among others reads", ok[i]);
	}
}

/* Whether reading comes to succeed, or to fail. */
static bool becomes(struct block_device *d, int result)
{
	for (int tries = 0; tries < 1000; tries++) {
		if (block_read(d, 5, 3, buffer) == result)
			return true;
		thread_sleep_until(time_now_ns() + 20 * NS_PER_MS);
	}
	return false;
}

/* The host takes the card away, and puts it back, when it is told to. */
static void test_removal(struct block_device *d)
{
	uint64_t begin_ns;

	fill(reference, 3 * BLOCK);
	CHECK("the card is there", block_write(d, 5, 3, reference) == 0);
	printf("take it\n");
	CHECK("a card that is gone is an error", becomes(d, -EIO));
	begin_ns = time_now_ns();
	CHECK("of writes", block_write(d, 5, 3, reference) == -EIO);
	CHECK("and of flushes", block_flush(d) == -EIO);
	CHECK("within reason", time_now_ns() - begin_ns < 30 * NS_PER_S);
	printf("put it back\n");
	CHECK("a card that is back is used", becomes(d, 0));
	CHECK("with what was on it", memcmp(buffer, reference, 3 * BLOCK) == 0);
	CHECK("and written", block_write(d, 8, 1, reference) == 0 && block_flush(d) == 0);
}

/* Whether the host's trouble is told is up to the model of the card: the card must stay usable. */
static void test_trouble(struct block_device *d)
{
	int read_error = block_read(d, 0, 1, buffer), write_error = block_write(d, 0, 1, buffer);

	printf("trouble: read %d, write %d\n", read_error, write_error);
	CHECK("trouble is an error or none",
	      (read_error == 0 || read_error == -EIO) && (write_error == 0 || write_error == -EIO));
	fill(reference, 3 * BLOCK);
	CHECK("other blocks are written", block_write(d, 100, 3, reference) == 0);
	CHECK("and read", block_read(d, 100, 3, buffer) == 0);
	CHECK("as they were written", memcmp(buffer, reference, 3 * BLOCK) == 0);
}

int main(int argc, char **argv)
{
	struct block_device *d = block_find(NULL);

	srand(1);
	if (d)
		printf("%s: %llu blocks of %u bytes\n", d->name, (unsigned long long)d->block_count,
		       (unsigned int)d->block_bytes);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "no-card") == 0)
			CHECK("no card", !d);
		else if (strcmp(argv[i], "card") == 0 && d)
			test_area(d, 0, 50);
		else if (strcmp(argv[i], "end") == 0 && d)
			test_area(d, d->block_count - AREA, 30), test_ends(d);
		else if (strcmp(argv[i], "threads") == 0 && d)
			test_threads();
		else if (strcmp(argv[i], "removal") == 0 && d)
			test_removal(d);
		else if (strcmp(argv[i], "trouble") == 0 && d)
			test_trouble(d);
		else
			CHECK("a word that is known, and a card for it", false);
	}
	return checks_failed != 0;
}
