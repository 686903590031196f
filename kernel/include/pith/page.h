/*
 * RAM in pages, and the heap on top. Thread-safe; page_alloc and malloc also work before threads.
 */
#ifndef PITH_PAGE_H
#define PITH_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096ul

/* Hand a region of free RAM to the allocator (boot only). Not touched until allocated. */
void page_add(uint64_t pa, uint64_t bytes);

/*
 * Allocate pages, contents undefined.
 *
 * count     pages, contiguous
 * align     bytes, a power of two >= PAGE_BYTES
 * below_pa  the whole run ends at or below this address (for DMA); UINT64_MAX: anywhere
 * Returns   the address, or NULL. Blocks: no. Not from irq context.
 */
void *page_alloc(size_t count, size_t align, uint64_t below_pa);
void page_free(void *pages, size_t count);

struct memory_info {
	size_t total_bytes;	/* RAM given to the allocator */
	size_t free_bytes;	/* pages free */
	size_t used_max_bytes;	/* high-water mark of total - free */
	size_t heap_used_bytes; /* malloc: handed out, and its high-water mark */
	size_t heap_used_max_bytes;
};
void memory_info(struct memory_info *info);

#endif
