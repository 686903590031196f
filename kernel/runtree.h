/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of pages in a tree: ordered by address from left to right and by size from top to bottom (a
 * Cartesian tree: C. J. Stephenson, "Fast fits", SOSP 1983). So both questions of an allocator are
 * short walks from the root: what is near this address, and what is large enough (whoever stands
 * below a run that is too small is too small as well).
 *
 * Runs of one size are ordered by a hash, which keeps the many small ones balanced. A path of
 * ever smaller runs is no longer than sqrt(2 * pages of RAM), whatever happens. No walk recurses.
 */
#ifndef KERNEL_RUNTREE_H
#define KERNEL_RUNTREE_H

#include <stddef.h>
#include <stdint.h>
#include <pith/page.h>

struct run {
	struct run *left, *right;
	uintptr_t start;
	size_t pages;
};

static inline uintptr_t run_end(const struct run *r)
{
	return r->start + r->pages * PAGE_BYTES;
}

/* The link (root, or a left or right of another run) that leads to the run at start, or to NULL. */
struct run **run_find(struct run **root, uintptr_t start);
/* start and pages are set, and no run of the tree overlaps them. */
void run_insert(struct run **root, struct run *r);
/* Take out the run that link leads to. */
void run_remove(struct run **link);
/* The run that link leads to loses pages from its end. */
void run_shrink(struct run **link, size_t pages);

#endif
