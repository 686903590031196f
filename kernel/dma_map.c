/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers given to devices and taken back (pith/dma.h). */
#include <pith/assert.h>
#include <pith/dma.h>
#include "dma_sync.h"

dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	dma_addr_t address = dma_address(bus, buf, bytes);

	assert(bytes != 0);
	assert(dir == DMA_TO_DEVICE || (((uintptr_t)buf | bytes) & (DMA_ALIGN - 1)) == 0);
	if (address != DMA_NONE)
		dma_sync_for_device(bus, buf, bytes, dir);
	return address;
}

void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	dma_sync_for_cpu(bus, buf, bytes, dir);
}
