/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of address ranges (arch/ram.h): few, sorted, so plain arrays do. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <arch/ram.h>
#include <pith/compiler.h>
#include <pith/page.h>

/*
 * Put [start, end) in, or take it out: of what it overlaps, or touches when it is put in, only the ends
 * beyond it stay, in one piece with it or not.
 */
static int change(struct ram_map *m, uint64_t start, uint64_t end, bool add)
{
	struct ram_extent *e = m->extent;
	unsigned int i = 0, j, n, rest;
	uint64_t first = start, last = end;

	while (i < m->count && e[i].end + add <= start)
		i++;
	for (j = i; j < m->count && e[j].start < end + add; j++) {
		first = MIN(first, e[j].start);
		last = MAX(last, e[j].end);
	}
	if (add)
		start = end = last; /* one end with all in it */
	n = (first < start) + (end < last);
	rest = m->count - j;
	if (i + n + rest > RAM_EXTENTS)
		return -E2BIG;
	m->count = i + n + rest;
	/* Those behind move up by one at the most, so from the last on, or down. */
	if (i + n > j)
		for (unsigned int k = rest; k-- > 0;)
			e[i + n + k] = e[j + k];
	else
		for (unsigned int k = 0; k < rest; k++)
			e[i + n + k] = e[j + k];
	if (first < start)
		e[i++] = (struct ram_extent){first, start};
	if (end < last)
		e[i] = (struct ram_extent){end, last};
	return 0;
}

int ram_add(struct ram_map *m, uint64_t start, uint64_t end)
{
	if (start > UINT64_MAX - PAGE_BYTES)
		return 0;
	start = ALIGN_UP(start, PAGE_BYTES);
	end = ALIGN_DOWN(end, PAGE_BYTES);
	return start < end ? change(m, start, end, true) : 0;
}

int ram_remove(struct ram_map *m, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	end = end > UINT64_MAX - PAGE_BYTES ? UINT64_MAX : ALIGN_UP(end, PAGE_BYTES);
	return change(m, ALIGN_DOWN(start, PAGE_BYTES), end, false);
}

uint64_t ram_place(const struct ram_map *m, uint64_t bytes, uint64_t limit_pa, uint64_t *index)
{
	for (unsigned int i = 0; i < m->count; i++) {
		uint64_t start = m->extent[i].start, end = MIN(m->extent[i].end, limit_pa), places;

		if (start >= end || end - start < bytes)
			continue;
		places = (end - start - bytes) / PAGE_BYTES + 1;
		if (*index < places)
			return start + *index * PAGE_BYTES;
		*index -= places;
	}
	return 0;
}
