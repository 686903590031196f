/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of pages in a tree (runtree.h). */
#include <stdbool.h>
#include "runtree.h"

/* Every page number its own number, without pattern: multiply, fold, multiply. */
static uint64_t mix(uintptr_t start)
{
	uint64_t h = start / PAGE_BYTES * UINT64_C(0x9e3779b97f4a7c15);

	return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_above(const struct run *a, const struct run *b)
{
	return a->pages != b->pages ? a->pages > b->pages : mix(a->start) > mix(b->start);
}

struct run **run_find(struct run **root, uintptr_t start)
{
	struct run **link = root;

	while (*link && (*link)->start != start)
		link = start < (*link)->start ? &(*link)->left : &(*link)->right;
	return link;
}

void run_insert(struct run **root, struct run *r)
{
	struct run **link = root, **left = &r->left, **right = &r->right, *below;

	while (*link && is_above(*link, r))
		link = r->start < (*link)->start ? &(*link)->left : &(*link)->right;
	below = *link;
	*link = r;
	/* Part what stood there into what lies before r and what lies after it. */
	while (below)
		if (below->start < r->start) {
			*left = below;
			left = &below->right;
			below = *left;
		} else {
			*right = below;
			right = &below->left;
			below = *right;
		}
	*left = *right = NULL;
}

void run_remove(struct run **link)
{
	struct run *left = (*link)->left, *right = (*link)->right;

	/* Join both sides by size: all of left lies before all of right. */
	while (left && right)
		if (is_above(left, right)) {
			*link = left;
			link = &left->right;
			left = *link;
		} else {
			*link = right;
			link = &right->left;
			right = *link;
		}
	*link = left ? left : right;
}

void run_shrink(struct run **link, size_t pages)
{
	struct run *r = *link;

	r->pages = pages;
	if ((!r->left || is_above(r, r->left)) && (!r->right || is_above(r, r->right)))
		return;
	run_remove(link);
	run_insert(link, r);
}
