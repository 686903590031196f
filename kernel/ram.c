/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of address ranges (arch/ram.h): few, sorted, so plain arrays do. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <arch/ram.h>
#include <pith/compiler.h>
#include <pith/page.h>

static int insert(struct ram_map *m, unsigned int at, uint64_t start, uint64_t end)
{
	if (m->count == RAM_EXTENTS)
		return -E2BIG;
	memmove(&m->extent[at + 1], &m->extent[at], (m->count - at) * sizeof(m->extent[0]));
	m->extent[at].start = start;
	m->extent[at].end = end;
	m->count++;
	return 0;
}

static void drop(struct ram_map *m, unsigned int at)
{
	m->count--;
	memmove(&m->extent[at], &m->extent[at + 1], (m->count - at) * sizeof(m->extent[0]));
}

int ram_add(struct ram_map *m, uint64_t start, uint64_t end)
{
	unsigned int i = 0;

	if (start > UINT64_MAX - PAGE_BYTES)
		return 0;
	start = ALIGN_UP(start, PAGE_BYTES);
	end = ALIGN_DOWN(end, PAGE_BYTES);
	if (start >= end)
		return 0;
	while (i < m->count && m->extent[i].end < start)
		i++;
	while (i < m->count && m->extent[i].start <= end) {
		start = MIN(start, m->extent[i].start);
		end = MAX(end, m->extent[i].end);
		drop(m, i);
	}
	return insert(m, i, start, end);
}

int ram_remove(struct ram_map *m, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	start = ALIGN_DOWN(start, PAGE_BYTES);
	end = end > UINT64_MAX - PAGE_BYTES ? UINT64_MAX : ALIGN_UP(end, PAGE_BYTES);
	for (unsigned int i = 0; i < m->count;) {
		struct ram_extent *e = &m->extent[i];
		uint64_t tail = e->end;

		if (e->end <= start || e->start >= end) {
			i++;
			continue;
		}
		if (e->start >= start && e->end <= end) {
			drop(m, i);
			continue;
		}
		if (e->start < start) {
			e->end = start;
			i++;
			if (tail > end)
				return insert(m, i, end, tail);
		} else {
			e->start = end;
		}
	}
	return 0;
}

static uint64_t places_in(const struct ram_extent *e, uint64_t bytes, uint64_t limit_pa)
{
	uint64_t end = MIN(e->end, limit_pa);

	if (e->start >= end || end - e->start < bytes)
		return 0;
	return (end - e->start - bytes) / PAGE_BYTES + 1;
}

uint64_t ram_places(const struct ram_map *m, uint64_t bytes, uint64_t limit_pa)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < m->count; i++)
		n += places_in(&m->extent[i], bytes, limit_pa);
	return n;
}

uint64_t ram_place(const struct ram_map *m, uint64_t bytes, uint64_t limit_pa, uint64_t index)
{
	for (unsigned int i = 0; i < m->count; i++) {
		uint64_t n = places_in(&m->extent[i], bytes, limit_pa);

		if (index < n)
			return m->extent[i].start + index * PAGE_BYTES;
		index -= n;
	}
	return 0; /* not reached: index < ram_places() */
}
