/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caches' part of giving memory to a device and taking it back.
 *
 * Why each operation, by the Arm ARM DDI 0487: a device that is not coherent reads and writes at
 * the point of coherency (D7.5.9), so
 *  - what it reads is cleaned to it before (DC CVAC);
 *  - what it writes must have no dirty line, which could be evicted over what the device wrote:
 *    lines are invalidated before (DC IVAC: the buffer has its lines to itself, and nothing in it
 *    is worth keeping; DC CIVAC where the device reads it too);
 *  - a clean line may come back at any time while the device works, by speculation (D7.5.2): they
 *    are invalidated once more after.
 */
#ifndef DMA_SYNC_H
#define DMA_SYNC_H

#include <arch/cache.h>
#include <pith/dma.h>
#include <pith/io.h>

static inline void dma_sync_for_device(const struct dma_bus *bus, const void *buf, size_t bytes,
                                       enum dma_direction dir)
{
	if (bus->coherent)
		return;
	if (dir == DMA_TO_DEVICE)
		dcache_clean(buf, bytes);
	else if (dir == DMA_FROM_DEVICE)
		dcache_invalidate(buf, bytes);
	else
		dcache_clean_invalidate(buf, bytes);
}

/*
 * The barrier puts the read that told us that the device is done before the reads of the buffer,
 * and before the invalidation: maintenance by address is ordered with other addresses by a DMB only
 * (D7.5.9, "Ordering and completion of data and instruction cache instructions").
 */
static inline void dma_sync_for_cpu(const struct dma_bus *bus, const void *buf, size_t bytes,
                                    enum dma_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return;
	io_mb();
	if (!bus->coherent)
		dcache_invalidate(buf, bytes);
}

#endif
