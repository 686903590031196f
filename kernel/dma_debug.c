/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma_map and dma_unmap for `make DMA_DEBUG=1`: mistakes that only a machine with caches between
 * CPU and device would show fail on every machine.
 *
 * The device gets a copy. Until dma_unmap, a buffer that it writes is full of DMA_POISON for the
 * CPU, and what the CPU writes into a buffer does not reach the device, which is an assertion at
 * dma_unmap. So is taking back what was not given, and giving twice what a device writes.
 */
#include <string.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/irq.h>
#include "dma_sync.h"

/* In front of the copy, in the same pages. */
struct copy {
	struct copy *next;
	const struct dma_bus *bus;
	const void *buf;
	size_t bytes, pages_bytes;
	enum dma_direction dir;
	uint8_t *data;
};

static struct copy *copies;

static bool overlap(const struct copy *c, const void *buf, size_t bytes)
{
	uintptr_t a = (uintptr_t)c->buf, b = (uintptr_t)buf;

	return a < b + bytes && b < a + c->bytes;
}

static void check_not_given(const void *buf, size_t bytes, enum dma_direction dir)
{
	for (const struct copy *c = copies; c; c = c->next)
		assert((dir == DMA_TO_DEVICE && c->dir == DMA_TO_DEVICE) ||
		       !overlap(c, buf, bytes));
}

/* The copy keeps its place in a cache line: devices may have rules about alignment. */
static struct copy *new_copy(const struct dma_bus *bus, const void *buf, size_t bytes)
{
	size_t at = ALIGN_UP(sizeof(struct copy), DMA_ALIGN) + (uintptr_t)buf % DMA_ALIGN;
	size_t pages_bytes = ALIGN_UP(at + bytes, DMA_ALIGN);
	struct copy *c = dma_alloc(bus, pages_bytes);

	if (c)
		*c = (struct copy){
		    .bus = bus,
		    .buf = buf,
		    .bytes = bytes,
		    .pages_bytes = pages_bytes,
		    .data = (uint8_t *)c + at,
		};
	return c;
}

dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	unsigned long daif;
	struct copy *c;

	assert(bytes != 0);
	assert(dir == DMA_TO_DEVICE || (((uintptr_t)buf | bytes) & (DMA_ALIGN - 1)) == 0);
	if (dma_address(bus, buf, bytes) == DMA_NONE)
		return DMA_NONE;
	c = new_copy(bus, buf, bytes);
	if (!c)
		return DMA_NONE;
	c->dir = dir;
	if (dir == DMA_FROM_DEVICE)
		memset(c->data, (uint8_t)~DMA_POISON, bytes);
	else
		memcpy(c->data, buf, bytes);
	if (dir != DMA_TO_DEVICE)
		memset((void *)buf, DMA_POISON, bytes);
	daif = irq_save();
	check_not_given(buf, bytes, dir);
	c->next = copies;
	copies = c;
	irq_restore(daif);
	dma_sync_for_device(bus, c->data, bytes, dir);
	return dma_address(bus, c->data, bytes);
}

/* Off the list, or NULL. The oldest of several that are alike: devices finish in order. */
static struct copy *take(const struct dma_bus *bus, const void *buf, size_t bytes,
                         enum dma_direction dir)
{
	struct copy **found = NULL, *c;

	for (struct copy **p = &copies; *p; p = &(*p)->next) {
		if ((*p)->bus == bus && (*p)->buf == buf && (*p)->dir == dir &&
		    bytes <= (*p)->bytes)
			found = p;
	}
	if (!found)
		return NULL;
	c = *found;
	*found = c->next;
	return c;
}

void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	unsigned long daif = irq_save();
	struct copy *c = take(bus, buf, bytes, dir);

	irq_restore(daif);
	assert(c); /* it was never given */
	dma_sync_for_cpu(bus, c->data, bytes, dir);
	if (dir == DMA_TO_DEVICE)
		assert(!memcmp(buf, c->data, c->bytes)); /* written while the device had it */
	else
		memcpy((void *)buf, c->data, bytes);
	memset(c->data, DMA_POISON, c->bytes); /* for a device that is not done */
	dma_free(c, c->pages_bytes);
}
