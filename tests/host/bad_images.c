/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damages an update file in very many ways, and verifies each as it is in a slot, by kernel/slotfile.c
 * and all below it: build/host/bad_images FILE COUNT. The last line counts; status 1 if any was taken.
 * tests/host/test_bad_images.py runs it. Built without sanitizers, for speed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/disk.h>
#include <pith/machine.h>
#include <pith/update.h>
#include "../../kernel/slotfile.h"
#include "update_files.h"

const char image_name[] = "hello";

static uint8_t *good;
static uint8_t *slot; /* good, but for what is damaged now */
static size_t file_bytes;
static uint32_t slot_size;
static unsigned int verified, taken;

int block_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	(void)dev;
	memcpy(buf, slot + lba * SECTOR_BYTES, (size_t)count * SECTOR_BYTES);
	return 0;
}

/* The slot as it is now; a whole file of the right length is in it, or false. */
static bool open_slot(struct slotfile *f, uint32_t *fit_bytes)
{
	static uint8_t window[65536];
	static char why[SLOTFILE_WHY_BYTES];
	struct boot_disk disk = {.part[PART_SLOT_A] = {.blocks = slot_size / SECTOR_BYTES}};
	uint32_t bytes;

	slotfile_open(f, &disk, 'A', window, sizeof(window), why);
	return slotfile_measure(f, &bytes, fit_bytes) == 0 && bytes == file_bytes;
}

/* As ota_finish() verifies what it reads back. */
static bool is_taken(void)
{
	uint32_t fit_bytes, version;
	struct slotfile f;

	return open_slot(&f, &fit_bytes) &&
	       slotfile_verify(&f, (uint32_t)file_bytes, &version) == 0;
}

/* Verify what is in the slot now; from..end is what is damaged, and is repaired. */
static void try(const char *how, size_t from, size_t end)
{
	if (memcmp(slot + from, good + from, end - from) == 0)
		return;
	verified++;
	if (is_taken()) {
		taken++;
		printf("taken: %s, in bytes %zu to %zu\n", how, from, end);
	}
	memcpy(slot + from, good + from, end - from);
}

static void flip(const char *how, size_t byte, unsigned int bit)
{
	slot[byte] ^= 1u << bit;
	try(how, byte, byte + 1);
}

static void flip_every_bit(const char *how, size_t from, size_t end)
{
	for (size_t bit = 8 * from; bit < 8 * end; bit++)
		flip(how, bit / 8, bit % 8);
	printf("%s: bytes %zu to %zu, every bit\n", how, from, end);
}

static uint32_t random_below(uint32_t n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 32) * n >> 32);
}

static void flip_one_of_each_sector(size_t from, size_t end)
{
	for (size_t at = from; at < end; at += SECTOR_BYTES)
		flip("image", at + random_below((uint32_t)(end - at < 512 ? end - at : 512)),
		     random_below(8));
	printf("image: bytes %zu to %zu, a bit of every %u bytes\n", from, end, SECTOR_BYTES);
}

/* Less than the whole, and then what an erased card holds, or what was there before. */
static void truncate_everywhere(void)
{
	for (size_t at = 0; at < file_bytes; at += SECTOR_BYTES) {
		memset(slot + at, 0, file_bytes - at);
		try("truncated, zeros", at, file_bytes);
		memset(slot + at, 0xff, file_bytes - at);
		try("truncated, ones", at, file_bytes);
		memmove(slot + at, good, file_bytes - at);
		try("truncated, its beginning", at, file_bytes);
	}
	printf("truncated: at every %u bytes, with zeros, ones and itself behind\n", SECTOR_BYTES);
}

/* Some bytes at a random place become others, move by one, or come from another place. */
static void damage_somewhere(void)
{
	uint32_t size = (uint32_t)file_bytes, at = random_below(size - 1);
	uint32_t count = 1 + random_below(random_below(8) ? 16 : 4096);

	if (count > size - at)
		count = size - at;
	switch (random_below(4)) {
	case 0:
		for (uint32_t i = 0; i < count; i++)
			slot[at + i] = (uint8_t)random_below(256);
		break;
	case 1:
		memset(slot + at, random_below(2) ? 0xff : 0, count);
		break;
	case 2:
		memmove(slot + at + 1, good + at, count - 1);
		break;
	default:
		memcpy(slot + at, good + random_below(size - count + 1), count);
	}
	try("random damage", at, at + count);
}

/* Where the image is in the FIT. */
static void find_image(size_t *from, size_t *end)
{
	uint32_t fit_bytes;
	struct fit_info info;
	struct slotfile f;

	if (!open_slot(&f, &fit_bytes) || fit_info(slotfile_read, &f, fit_bytes, &info)) {
		puts("this is not an update file");
		exit(2);
	}
	*from = info.kernel_offset;
	*end = info.kernel_offset + info.kernel_bytes;
}

static void good_is_taken(void)
{
	if (!is_taken() || memcmp(slot, good, file_bytes)) {
		puts("the undamaged file is refused");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned int before, count = argc == 3 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	size_t image, image_end, trailer;

	if (!count)
		return 2;
	good = read_whole(argv[1], &file_bytes);
	slot_size = (uint32_t)file_bytes + 65536;
	slot = calloc(1, slot_size);
	memcpy(slot, good, file_bytes);
	good_is_taken();
	find_image(&image, &image_end);
	trailer = file_bytes - UPDATE_TRAILER_BYTES;
	flip_every_bit("trailer", trailer, file_bytes);
	flip_every_bit("FIT before the image", 0, image);
	flip_every_bit("FIT behind the image, padding", image_end, trailer);
	flip_one_of_each_sector(image, image_end);
	truncate_everywhere();
	before = verified;
	while (verified < count)
		damage_somewhere();
	printf("random damage: %u times\n", verified - before);
	good_is_taken();
	printf("%u damaged updates, %u taken\n", verified, taken);
	free(good);
	free(slot);
	return taken != 0;
}
