/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of address ranges: which RAM there is, which of it is free. Pure, tested on the host. */
#ifndef ARCH_RAM_H
#define ARCH_RAM_H

#include <stdint.h>

#define RAM_EXTENTS 64

/* Sorted, disjoint, page-aligned, never touching, never empty. */
struct ram_map {
	unsigned int count;
	struct ram_extent {
		uint64_t start, end;
	} extent[RAM_EXTENTS];
};

/* Add [start, end), shrunk to whole pages; overlaps merge. 0, or -E2BIG: too many pieces. */
int ram_add(struct ram_map *m, uint64_t start, uint64_t end);
/* Take [start, end) away, grown to whole pages. 0, or -E2BIG. */
int ram_remove(struct ram_map *m, uint64_t start, uint64_t end);
/*
 * The *index-th of the page-aligned places where `bytes` fit below limit_pa. Where there are no more than
 * that: 0, and *index is less by how many there are.
 */
uint64_t ram_place(const struct ram_map *m, uint64_t bytes, uint64_t limit_pa, uint64_t *index);

#endif
