/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree, read once.
 *
 * dt_init() checks the whole flattened tree (every offset, every string, nesting, alignment) and
 * builds a compact index of its nodes; everything here is answered from the index and never walks
 * the tree from the root again. Only kernel/dt.c knows the tree's bytes. Nothing here blocks or
 * allocates. Values returned point into the blob, big-endian as stored unless said otherwise.
 *
 * Source: Devicetree Specification v0.4.
 */
#ifndef PITH_DT_H
#define PITH_DT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t dt_node; /* a node's place in pre-order; 0 is the root */
#define DT_NONE ((dt_node)0xffff)

/*
 * Check the tree and index it.
 *
 * blob       8-byte aligned
 * blob_max   bytes that may be read at blob (totalsize must not exceed it)
 * Returns    0; -EINVAL broken (dt_error() says how); -E2BIG more nodes than the index holds
 */
int dt_init(const void *blob, size_t blob_max);

/*
 * What dt_init found wrong, as a short sentence; "" if nothing. Into a buffer of its own. In a
 * debugger, where nothing has linked it: `print dt.fault, dt.fault_at`.
 */
const char *dt_error(void);

/* The blob and its totalsize in bytes; NULL before dt_init succeeded. */
const void *dt_blob(size_t *bytes);

/*
 * Bytes of the index in use, from its start (dt_index_start): what must be copied when the image
 * moves. The index holds no pointers into itself or the image.
 */
void *dt_index_start(size_t *bytes);

/*
 * Structure. Each returns DT_NONE when there is none. Constant time, the three that search aside.
 * DT_NONE may be passed wherever a node is wanted: it has no relatives, properties or interrupts.
 */
dt_node dt_parent(dt_node n);
dt_node dt_first_child(dt_node n);
dt_node dt_next_sibling(dt_node n);
dt_node dt_next(dt_node n); /* pre-order over the whole tree */
/* By path or alias, which ends at its end or at a ':' in it. */
dt_node dt_find(const char *path_or_alias);
dt_node dt_chosen(void); /* noted by dt_init: cheaper than dt_find("/chosen") */
dt_node dt_by_phandle(uint32_t phandle);
/* First enabled node after `after` (DT_NONE: from the start) that is compatible. */
dt_node dt_find_compatible(dt_node after, const char *compatible);

#define dt_for_each(n) for (dt_node n = 0; n != DT_NONE; n = dt_next(n))
#define dt_for_each_child(n, parent) \
	for (dt_node n = dt_first_child(parent); n != DT_NONE; n = dt_next_sibling(n))

/* The node's name with its unit address ("pl011@9000000"; "" for the root). */
const char *dt_name(dt_node n);
/* Full path into buf, always terminated; returns buf. */
char *dt_path(dt_node n, char *buf, size_t buf_bytes);

/* A property's value: in registers, which out parameters would not be. */
struct dt_value {
	const void *data; /* NULL: no such property */
	size_t bytes;     /* then 0 */
};
struct dt_value dt_prop(dt_node n, const char *name);
/* The property's index-th cell in host order; -ENOENT; -EINVAL too short. */
int64_t dt_u32(dt_node n, const char *name, unsigned int index);
/* The property as one number. Returns 0; -ENOENT; -EINVAL */
int dt_u64(dt_node n, const char *name, uint64_t *value); /* 4 or 8 bytes long */
/* The index-th string of a string list; NULL when there is none. */
const char *dt_string(dt_node n, const char *name, unsigned int index);
/* The index of such a string in a string list (interrupt-names, say), or -ENOENT. */
int dt_string_index(dt_node n, const char *name, const char *wanted);
bool dt_compatible(dt_node n, const char *compatible);
/* The whole compatible property: strings side by side, the last maybe not terminated. NULL: none. */
const char *dt_compatible_strings(dt_node n, size_t *bytes);
/* status absent, "okay" or "ok", here and in every parent. */
bool dt_enabled(dt_node n);

/*
 * The index-th reg entry as a CPU physical address, through every parent's ranges.
 *
 * Returns 0; -ENOENT no such entry; -EINVAL malformed; -ENXIO a bus on the way does not map it
 */
int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes);
/* The same by reg-names. */
int dt_reg_by_name(dt_node n, const char *reg_name, uint64_t *pa, uint64_t *bytes);

/*
 * The index-th interrupt, resolved by interrupts-extended, interrupts + interrupt-parent, and
 * interrupt-map, to a controller and its specifier (host order).
 *
 * Returns 0; -ENOENT no such interrupt (or its place is held by phandle 0); -EINVAL malformed, a
 *         circle, or more than 8 cells; -ENXIO an interrupt-map has no entry for it
 */
struct dt_irq {
	dt_node controller;
	unsigned int cell_count;
	uint32_t cells[8];
};
int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq);
unsigned int dt_irq_count(dt_node n);

/*
 * The index-th window of the DMA addresses that n's bus masters use: bus address, CPU address, size,
 * composed through all parents, in the order of bus addresses. A bus with no dma-ranges or an empty
 * one is 1:1; where all are, there is one window of UINT64_MAX bytes.
 * Returns 0; -ENOENT past the last window; -EINVAL
 */
struct dt_dma_window {
	uint64_t bus, pa, bytes;
};
int dt_dma_window(dt_node n, unsigned int index, struct dt_dma_window *w);
/* First enabled node after `after` (DT_NONE: from the start) with a dma-ranges that is not empty. */
dt_node dt_dma_bus(dt_node after);
/* dma-coherent here or in a parent (and no dma-noncoherent nearer). */
bool dt_dma_coherent(dt_node n);

/* RAM: the index-th region of all /memory nodes, empty ones skipped. 0 or -ENOENT. */
int dt_memory(unsigned int index, uint64_t *pa, uint64_t *bytes);
/*
 * What must not be used as RAM: /memreserve/ entries and static /reserved-memory children. Not
 * `reusable` ones, nor those with only a size (both are Linux's CMA: ours to use).
 * no_map  the region must not even be mapped
 * Returns 0 or -ENOENT past the last.
 */
int dt_reserved(unsigned int index, uint64_t *pa, uint64_t *bytes, bool *no_map);

/* The node that stdout-path names (options after ':' in *options, or NULL), or DT_NONE. */
dt_node dt_stdout(const char **options);
/* /chosen's bootargs, "" if none. */
const char *dt_bootargs(void);
/* initrd as [start, end) physical. 0 or -ENOENT. */
int dt_initrd(uint64_t *start_pa, uint64_t *end_pa);
/* Overwrite a property's bytes with zeros (seeds, after use). The blob must be writable. */
void dt_wipe(dt_node n, const char *name);

#endif
