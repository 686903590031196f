/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in pages, and the heap on top. Thread-safe; page_alloc and malloc also work before threads.
 */
#ifndef PITH_PAGE_H
#define PITH_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096ul

/*
 * Hand a region of free, mapped RAM to the allocator (boot only; up to 64 that do not touch, more
 * are logged and left unused). Only its first page is touched before it is allocated, whatever its
 * size. Partial pages at its ends and page 0 are left out.
 */
void page_add(uint64_t pa, uint64_t bytes);

/*
 * Allocate pages, contents undefined, from as high as possible.
 *
 * count     pages, contiguous, > 0
 * align     bytes, a power of two >= PAGE_BYTES
 * below_pa  the whole run ends at or below this address (for DMA); UINT64_MAX: anywhere
 * Returns   the address, or NULL. Blocks: no. Not from irq context.
 */
void *page_alloc(size_t count, size_t align, uint64_t below_pa);
/*
 * Who keeps pages for a while sets this: page_alloc() calls it before it gives up. Returns whether it
 * freed any. It is malloc's, which sets it when it gets its first page.
 */
extern int (*page_reclaim)(void);
/* Free pages: all or any part of what was allocated. What is free already, or not RAM, asserts. */
void page_free(void *pages, size_t count);

struct memory_info {
	size_t total_bytes;     /* RAM given to the allocator */
	size_t free_bytes;      /* pages free */
	size_t used_max_bytes;  /* high-water mark of total - free */
	size_t heap_used_bytes; /* malloc: handed out, and its high-water mark */
	size_t heap_used_max_bytes;
};
void memory_info(struct memory_info *info);
/* The pages' part of it (the first three), which is there without malloc, too. */
void page_info(struct memory_info *info);

#endif
