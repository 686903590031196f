/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How buses see memory: bus addresses, reach, memory within it. Giving buffers to devices and taking
 * them back is in dma_map.c, or in dma_debug.c for a build that looks for mistakes.
 *
 * Source: Devicetree Specification v0.4, 2.3.9, 2.3.10.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/page.h>

/* The part of a window that the device's address lines reach. False: none. */
static bool clip(struct dt_dma_window *w, uint64_t mask)
{
	if (w->bus > mask)
		return false;
	if (w->bytes - 1 > mask - w->bus)
		w->bytes = mask - w->bus + 1;
	return true;
}

static int read_windows(struct dma_bus *bus, dt_node node, uint64_t mask)
{
	struct dt_dma_window *w = bus->windows;
	int error;

	bus->window_count = 0;
	for (unsigned int i = 0; bus->window_count < DMA_WINDOWS; i++) {
		error = dt_dma_window(node, i, w);
		if (error)
			return error == -ENOENT ? 0 : error;
		if (!clip(w, mask))
			return 0; /* as are all that follow */
		w++;
		bus->window_count++;
	}
	return 0;
}

/* The first address from pa on that no window maps. */
static uint64_t reach_from(const struct dma_bus *bus, uint64_t pa)
{
	for (unsigned int i = 0; i < bus->window_count; i++) {
		const struct dt_dma_window *w = &bus->windows[i];

		if (pa >= w->pa && pa - w->pa < w->bytes) {
			if (w->bytes - 1 >= UINT64_MAX - w->pa)
				return UINT64_MAX;
			pa = w->pa + w->bytes;
			i = -1u; /* another may go on where this one ends */
		}
	}
	return pa;
}

static bool reaches_any(const struct dma_bus *bus, uint64_t start, uint64_t bytes)
{
	for (unsigned int i = 0; i < bus->window_count; i++) {
		const struct dt_dma_window *w = &bus->windows[i];

		if (start - w->pa < w->bytes || w->pa - start < bytes)
			return true;
	}
	return false;
}

/* The lowest RAM that is not reached. Returns 0 or -ERANGE. */
static int find_limit(struct dma_bus *bus)
{
	uint64_t pa, bytes;
	bool any = false;

	bus->limit_pa = UINT64_MAX;
	for (unsigned int i = 0; dt_memory(i, &pa, &bytes) == 0; i++) {
		uint64_t end = reach_from(bus, pa);

		if (end < pa + bytes)
			bus->limit_pa = MIN(bus->limit_pa, ALIGN_DOWN(end, PAGE_BYTES));
		any |= reaches_any(bus, pa, bytes);
	}
	return any ? 0 : -ERANGE;
}

int dma_bus_init(struct dma_bus *bus, dt_node node, uint64_t mask)
{
	int error = read_windows(bus, node, mask);

	bus->coherent = dt_dma_coherent(node);
	return error ? error : find_limit(bus);
}

NOINLINE dma_addr_t dma_address(const struct dma_bus *bus, const void *buf, size_t bytes)
{
	uint64_t pa = (uintptr_t)buf; /* memory is mapped 1:1 */

	for (unsigned int i = 0; i < bus->window_count; i++) {
		const struct dt_dma_window *w = &bus->windows[i];
		uint64_t offset = pa - w->pa;

		if (offset < w->bytes && bytes <= w->bytes - offset)
			return w->bus + offset;
	}
	return DMA_NONE;
}

static size_t page_count(size_t bytes)
{
	return ALIGN_UP(bytes, PAGE_BYTES) / PAGE_BYTES;
}

/*
 * page_alloc takes the highest free run that ends in time: if that is not inside a window which ends
 * there, no run is.
 */
void *dma_alloc(const struct dma_bus *bus, size_t bytes)
{
	for (unsigned int i = 0; i < bus->window_count; i++) {
		const struct dt_dma_window *w = &bus->windows[i];
		uint64_t last = w->pa + (w->bytes - 1);
		void *buf = page_alloc(page_count(bytes), PAGE_BYTES,
		                       last == UINT64_MAX || last < w->pa ? UINT64_MAX : last + 1);

		if (!buf)
			continue;
		if (dma_address(bus, buf, bytes) != DMA_NONE)
			return buf;
		dma_free(buf, bytes);
	}
	return NULL;
}

void dma_free(void *buf, size_t bytes)
{
	page_free(buf, page_count(bytes));
}

/* A bus whose windows are malformed has no driver that comes up, so it restricts nobody. */
uint64_t dma_reach(void)
{
	uint64_t limit = UINT64_MAX;

	for (dt_node n = dt_dma_bus(DT_NONE); n != DT_NONE; n = dt_dma_bus(n)) {
		dt_node master = dt_first_child(n);
		struct dma_bus bus;

		/* All children see the same; with none there is nobody to see. */
		if (master != DT_NONE && dma_bus_init(&bus, master, UINT64_MAX) == 0)
			limit = MIN(limit, bus.limit_pa);
	}
	return limit;
}
