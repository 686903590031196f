/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that devices read and write.
 *
 * A dma_addr_t is what a device puts on its bus: never a pointer, and on a Raspberry Pi not the
 * physical address either. Between dma_map and dma_unmap a buffer is the device's: the CPU touches
 * none of it, nor of the cache lines it shares (DMA_ALIGN). On a bus that is not dma-coherent these
 * two do the cache maintenance.
 *
 * `make DMA_DEBUG=1` builds with a dma_map that gives the device a copy and fills the buffer with
 * DMA_POISON: what is read without dma_unmap, or written after dma_map, is then wrong on every
 * machine and not only on those with caches (kernel/dma_debug.c).
 *
 * Source: Devicetree Specification v0.4, 2.3.9 (dma-ranges), 2.3.10 (dma-coherent); Arm ARM DDI
 * 0487, D7.5 (cache maintenance to the point of coherency).
 */
#ifndef PITH_DMA_H
#define PITH_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/dt.h>

typedef uint64_t dma_addr_t;
#define DMA_NONE (~(dma_addr_t)0)
/* Buffers that a device writes start and end at multiples of this (no cache line is larger). */
#define DMA_ALIGN  64
#define DMA_POISON 0xdb

enum dma_direction { DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BOTH };

#define DMA_WINDOWS 4
/* How the masters of one device tree node see memory. */
struct dma_bus {
	bool coherent;
	unsigned int window_count;
	struct dt_dma_window windows[DMA_WINDOWS]; /* in the order of bus addresses */
	/* All RAM below can be reached, for page_alloc; UINT64_MAX: all there is. */
	uint64_t limit_pa;
};

/*
 * Read a node's dma-ranges (none: 1:1) and dma-coherent. Of more windows than DMA_WINDOWS the rest
 * is not used.
 *
 * mask     the highest address that the device itself can put out (UINT32_MAX for 32-bit masters)
 * Returns  0; -EINVAL malformed; -ERANGE no RAM is reachable
 */
int dma_bus_init(struct dma_bus *bus, dt_node node, uint64_t mask);

/*
 * The bus address of memory, and nothing else: for memory that CPU and device use at once, on a
 * coherent bus. DMA_NONE: out of the bus's reach, or not contiguous on it. Any context.
 */
dma_addr_t dma_address(const struct dma_bus *bus, const void *buf, size_t bytes);

/*
 * Give a buffer to the device: bytes > 0, and for what the device writes, buf and bytes multiples
 * of DMA_ALIGN. What the CPU wrote is in memory when this returns; writing the register that starts
 * the device needs no barrier more on a bus that is not coherent, and an io_wmb() on one that is.
 *
 * Returns its bus address, or DMA_NONE as dma_address does (bounce it, or allocate below
 * bus->limit_pa). Any context.
 */
dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes,
                   enum dma_direction dir);
/*
 * Take it back; same arguments, but bytes may be less where the device wrote less: then the rest
 * stays unknown. What the device wrote before the CPU learnt that it is done (from a register, or
 * from memory that the CPU has read) is visible after. Any context.
 */
void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir);

/*
 * Memory that the bus reaches, whole pages, contents undefined; NULL with none. Blocks: no. Not
 * from irq context. Give back by dma_free with the same size.
 */
void *dma_alloc(const struct dma_bus *bus, size_t bytes);
void dma_free(void *buf, size_t bytes);

/*
 * The RAM below this address is reached from every bus of the tree; UINT64_MAX: no bus restricts
 * it. Works as soon as the tree is indexed.
 */
uint64_t dma_reach(void);

#endif
