/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI host bridge whose configuration space is memory, each function's 4 KiB after the other's.
 *
 * QEMU virt has it, and on it the watchdog. So this looks at function 0 of the devices on the root bus
 * only, beyond no bridge, and gives an address to memory BARs that a driver asks for.
 *
 * Source: PCI Express Base Specification 4.0, section 7.2.2 (ECAM); PCI Local Bus Specification 3.0,
 * sections 6.1 and 6.2.5 (configuration header, BARs); bindings pci/host-generic-pci.yaml and IEEE Std
 * 1275 PCI bus binding, section 2.2.1.1 (the first cell of an address).
 */
#include <errno.h>
#include <stdbool.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/log.h>
#include "pci.h"

#define PCI_ID             0x00 /* vendor; device in the upper half */
#define PCI_COMMAND        0x04 /* 16 bits */
#define PCI_COMMAND_MEMORY 0x2
#define PCI_BAR(n)         (0x10 + 4 * (n))
#define PCI_BAR_IO         0x1
#define PCI_BAR_TYPE       0x6 /* 0: 32 bits */
#define PCI_BAR_FLAGS      0xfu

#define BUS_BYTES      0x100000u
#define FUNCTION_BYTES 0x1000u
#define DEVICES        32u
#define FUNCTIONS      8u

/* An entry of `ranges`: the space in bits 25:24 of its first cell, bus address, CPU address, size. */
#define RANGES_SPACE(hi)  ((hi) >> 24 & 3)
#define RANGES_MEMORY32   2u
#define RANGES_BUS_CELLS  3u
#define RANGES_SIZE_CELLS 2u

struct pci_bridge {
	uint64_t bus, pa, bytes; /* the 32-bit memory window, as far as it is free */
};

static const struct pci_driver *const pci_drivers[] = {&i6300esb_driver};

static struct pci_bridge bridge; /* the first; its functions keep it */

static int cells(dt_node node, unsigned int index, unsigned int count, uint64_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < count; i++) {
		int64_t cell = dt_u32(node, "ranges", index + i);

		if (cell < 0)
			return (int)cell;
		*value = *value << 32 | (uint64_t)cell;
	}
	return 0;
}

/* -ENOENT: it has none. The bridge must be a child of the root, where CPU addresses are. */
static int find_window(dt_node node, struct pci_bridge *b)
{
	int64_t hi, cpu_cells = dt_u32(0, "#address-cells", 0);

	if (cpu_cells < 0)
		cpu_cells = 2;
	if (dt_parent(node) != 0 || cpu_cells < 1 || cpu_cells > 2)
		return -EINVAL;
	for (unsigned int at = 0; (hi = dt_u32(node, "ranges", at)) >= 0;
	     at += RANGES_BUS_CELLS + cpu_cells + RANGES_SIZE_CELLS) {
		if (RANGES_SPACE(hi) != RANGES_MEMORY32)
			continue;
		if (cells(node, at + 1, 2, &b->bus) ||
		    cells(node, at + RANGES_BUS_CELLS, cpu_cells, &b->pa) ||
		    cells(node, at + RANGES_BUS_CELLS + cpu_cells, RANGES_SIZE_CELLS, &b->bytes))
			return -EINVAL;
		return 0;
	}
	return -ENOENT;
}

/* Room for bytes, a power of two, aligned to its size on the bus. */
static bool allocate(struct pci_bridge *b, uint32_t bytes, uint64_t *bus, uint64_t *pa)
{
	uint64_t skip = ALIGN_UP(b->bus, (uint64_t)bytes) - b->bus;

	if (skip > b->bytes || b->bytes - skip < bytes || b->bus + skip + bytes > UINT32_MAX)
		return false;
	*bus = b->bus + skip;
	*pa = b->pa + skip;
	b->bus += skip + bytes;
	b->pa += skip + bytes;
	b->bytes -= skip + bytes;
	return true;
}

void *pci_map_bar(struct pci_function *f, unsigned int bar, size_t at_least)
{
	uint8_t *reg = f->config + PCI_BAR(bar);
	uint16_t command = read16(f->config + PCI_COMMAND);
	uint32_t flags, bytes;
	uint64_t bus, pa;

	/* It must not answer anywhere while its address bits are all ones, which shows its size. */
	write16(f->config + PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
	flags = read32(reg) & PCI_BAR_FLAGS;
	if (flags & (PCI_BAR_IO | PCI_BAR_TYPE))
		return NULL;
	write32(reg, UINT32_MAX);
	bytes = -(read32(reg) & ~PCI_BAR_FLAGS);
	if (bytes < at_least || !allocate(f->bridge, bytes, &bus, &pa))
		return NULL;
	write32(reg, (uint32_t)bus);
	write16(f->config + PCI_COMMAND, command | PCI_COMMAND_MEMORY);
	return io_map(pa, bytes);
}

static void probe_function(struct pci_function *f, uint32_t id)
{
	for (unsigned int i = 0; i < ARRAY_LEN(pci_drivers); i++) {
		const struct pci_driver *d = pci_drivers[i];
		int error;

		if (id != ((uint32_t)d->device << 16 | d->vendor))
			continue;
		error = d->probe(f);
		if (error)
			klog("%s: error %d", d->name, -error);
	}
}

static int ecam_probe(const struct device *dev)
{
	int error = find_window(dev->node, &bridge);

	if (error)
		return error;
	for (unsigned int device = 0; device < DEVICES; device++) {
		struct pci_function f = {dev->regs + device * FUNCTIONS * FUNCTION_BYTES, &bridge};
		int64_t id = io_probe_read32(f.config + PCI_ID);

		if (id < 0)
			return (int)id;
		probe_function(&f, (uint32_t)id);
	}
	return 0;
}

DRIVER(pci_ecam) = {
    .name = "pci-ecam",
    .compatible = "pci-host-ecam-generic\0",
    .stage = DRV_DEVICE,
    .reg_bytes = BUS_BYTES, /* of 256 */
    .probe = ecam_probe,
};
