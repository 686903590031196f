/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in pages (pith/page.h).
 *
 * Free runs are kept in a tree (runtree.h) whose nodes lie in the first page of each run: nothing
 * is set up per page, so that handing over 8 GiB costs what 4 MiB cost, and the rest of a run stays
 * untouched until allocated. Allocation takes the highest place that fits, from the end of its run:
 * low addresses, which some DMA masters need, last.
 *
 * Physical addresses are pointers: RAM is mapped at its own address.
 */
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include "runtree.h"

#define REGIONS_MAX 64

/* What page_add was given, neighbours joined: only this may ever be freed. */
static struct region {
	uintptr_t start, end;
} regions[REGIONS_MAX];
static unsigned int region_count;

int (*page_reclaim)(void);

static struct run *free_runs;
static size_t total_pages, free_pages, used_max_pages;

/*
 * Freeing
 */
static void insert(uintptr_t start, uintptr_t end)
{
	struct run *r = (struct run *)start;

	r->start = start;
	r->pages = (end - start) / PAGE_BYTES;
	run_insert(&free_runs, r);
}

/* Enter [start, end), joined with what is free on either side. */
static void give(uintptr_t start, uintptr_t end)
{
	struct run *before = NULL, *after = NULL;

	free_pages += (end - start) / PAGE_BYTES;
	for (struct run *r = free_runs; r;)
		if (r->start <= start) {
			before = r;
			r = r->right;
		} else {
			after = r;
			r = r->left;
		}
	assert(!before || run_end(before) <= start); /* else some of it is free already */
	assert(!after || end <= after->start);
	if (after && end == after->start) {
		run_remove(run_find(&free_runs, after->start));
		end = run_end(after);
	}
	if (before && run_end(before) == start) {
		start = before->start;
		if (before == free_runs) { /* the largest may grow where it is */
			before->pages = (end - start) / PAGE_BYTES;
			return;
		}
		run_remove(run_find(&free_runs, start));
	}
	insert(start, end);
}

static bool is_ours(uintptr_t start, size_t count)
{
	for (unsigned int i = 0; i < region_count; i++)
		if (start >= regions[i].start && start < regions[i].end)
			return count <= (regions[i].end - start) / PAGE_BYTES;
	return false;
}

void page_free(void *pages, size_t count)
{
	uintptr_t start = (uintptr_t)pages;
	unsigned long flags;

	assert(!in_irq());
	assert(start % PAGE_BYTES == 0 && count > 0 && is_ours(start, count));
	flags = irq_save();
	give(start, start + count * PAGE_BYTES);
	irq_restore_quiet(flags);
}

void page_add(uint64_t pa, uint64_t bytes)
{
	struct region r = {ALIGN_UP(MAX(pa, PAGE_BYTES), PAGE_BYTES), /* page 0 would be NULL */
	                   ALIGN_DOWN(pa + bytes, PAGE_BYTES)};

	if (r.start >= r.end)
		return;
	if (region_count == REGIONS_MAX) {
		klog("memory: more than %d regions, %#lx-%#lx unused", REGIONS_MAX,
		     (unsigned long)r.start, (unsigned long)r.end - 1);
		return;
	}
	total_pages += (r.end - r.start) / PAGE_BYTES;
	give(r.start, r.end);
	for (unsigned int i = region_count; i-- > 0;)
		if (regions[i].end == r.start || regions[i].start == r.end) {
			r.start = MIN(r.start, regions[i].start);
			r.end = MAX(r.end, regions[i].end);
			regions[i] = regions[--region_count];
		}
	regions[region_count++] = r;
}

/*
 * Allocating
 */

/* Link to the highest run of at least count pages that starts below limit, or NULL. */
static struct run **highest_run(size_t count, uint64_t limit)
{
	struct run **link = &free_runs, **best = NULL;

	while (*link && (*link)->pages >= count)
		if ((*link)->start < limit) {
			best = link;
			link = &(*link)->right;
		} else {
			link = &(*link)->left;
		}
	return best;
}

/* The highest place in a run for so many pages, or 0. */
static uintptr_t fit(const struct run *r, size_t count, size_t align, uint64_t below_pa)
{
	uint64_t end = MIN(run_end(r), below_pa);
	uintptr_t start;

	if ((end - r->start) / PAGE_BYTES < count)
		return 0;
	start = ALIGN_DOWN(end - count * PAGE_BYTES, align);
	return start >= r->start ? start : 0;
}

/* Cut [start, end) out of the run that link leads to. */
static void cut(struct run **link, uintptr_t start, uintptr_t end)
{
	uintptr_t run_start = (*link)->start, after = run_end(*link);

	if (run_start < start)
		run_shrink(link, (start - run_start) / PAGE_BYTES);
	else
		run_remove(link);
	if (end < after)
		insert(end, after);
	free_pages -= (end - start) / PAGE_BYTES;
	used_max_pages = MAX(used_max_pages, total_pages - free_pages);
}

static void *take(size_t count, size_t align, uint64_t below_pa)
{
	unsigned long flags = irq_save();
	uint64_t limit = below_pa;
	uintptr_t start = 0;
	struct run **link;

	while (!start && (link = highest_run(count, limit))) {
		start = fit(*link, count, align, below_pa);
		limit = (*link)->start;
		if (start)
			cut(link, start, start + count * PAGE_BYTES);
	}
	irq_restore_quiet(flags);
	return (void *)start;
}

void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	void *pages;

	assert(!in_irq());
	assert(count > 0 && align >= PAGE_BYTES && (align & (align - 1)) == 0);
	pages = take(count, align, below_pa);
	if (!pages && page_reclaim && page_reclaim())
		pages = take(count, align, below_pa);
	return pages;
}

void page_info(struct memory_info *info)
{
	unsigned long flags = irq_save();

	info->total_bytes = total_pages * PAGE_BYTES;
	info->free_bytes = free_pages * PAGE_BYTES;
	info->used_max_bytes = used_max_pages * PAGE_BYTES;
	irq_restore_quiet(flags);
}
