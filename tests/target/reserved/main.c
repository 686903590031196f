/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the tree reserves is nobody's: take every page that there is, overwrite it, and see that
 * none was in a reserved region, that the initrd is what it was, and what is mapped.
 *
 * Arguments: start-end for each region that must not be given out, with "!" behind it if it must not
 * even be mapped, "+" if all of it must be given out (hexadecimal).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <pith/compiler.h>
#include <pith/dt.h>
#include <pith/page.h>
#include "check.h"

#define REGIONS_MAX 8

static struct {
	uint64_t start, end;
	uint64_t pages_given; /* out of it */
	char kind;
} regions[REGIONS_MAX];
static int region_count;

static void count_page(uint64_t pa)
{
	for (int i = 0; i < region_count; i++)
		regions[i].pages_given += pa < regions[i].end && pa + PAGE_BYTES > regions[i].start;
}

/* Chained through their first bytes, so that all can be given back. */
static size_t take_all_pages(void)
{
	void *p, *list = NULL;
	size_t count = 0;

	while ((p = page_alloc(1, PAGE_BYTES, UINT64_MAX))) {
		count_page((uint64_t)p);
		memset(p, 0xee, PAGE_BYTES);
		*(void **)p = list;
		list = p;
		count++;
	}
	while ((p = list)) {
		list = *(void **)p;
		page_free(p, 1);
	}
	return count;
}

static bool initrd_is_whole(uint64_t start, uint64_t end)
{
	const uint8_t *p = (const uint8_t *)start;

	for (uint64_t i = 0; i < end - start; i++) {
		if (p[i] != (uint8_t)(i * 7 + (i >> 8)))
			return false;
	}
	return end > start;
}

/* The image may have chosen its place in a region that is free. */
static uint64_t pages_of_image(uint64_t start, uint64_t end)
{
	start = MAX(start, (uint64_t)__image_start);
	end = MIN(end, (uint64_t)__image_end);
	return start < end ? (end - start + PAGE_BYTES - 1) / PAGE_BYTES : 0;
}

static void check_region(int i)
{
	char name[64];
	uint64_t pages = (regions[i].end - regions[i].start) / PAGE_BYTES;
	bool mapped = pagetable_lookup(mmu_root(), regions[i].start, NULL) != 0;

	snprintf(name, sizeof(name), "region %lx%c given out: %lu pages", regions[i].start,
	         regions[i].kind, regions[i].pages_given);
	CHECK(name, regions[i].kind != '+'
	                ? regions[i].pages_given == 0
	                : regions[i].pages_given >=
	                      pages - pages_of_image(regions[i].start, regions[i].end));
	snprintf(name, sizeof(name), "region %lx%c mapped: %d", regions[i].start, regions[i].kind,
	         mapped);
	CHECK(name, mapped == (regions[i].kind != '!'));
}

int main(int argc, char **argv)
{
	uint64_t initrd_start = 0, initrd_end = 0;
	bool initrd = !dt_initrd(&initrd_start, &initrd_end);

	for (int i = 1; i < argc && region_count < REGIONS_MAX; i++) {
		char *rest;

		regions[region_count].start = strtoull(argv[i], &rest, 16);
		regions[region_count].end = strtoull(rest + 1, &rest, 16);
		regions[region_count++].kind = *rest ? *rest : '-';
	}
	CHECK("there is memory", take_all_pages() > 100);
	if (initrd)
		CHECK("initrd is whole", initrd_is_whole(initrd_start, initrd_end));
	for (int i = 0; i < region_count; i++)
		check_region(i);
	return checks_failed != 0;
}
