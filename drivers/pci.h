/* SPDX-License-Identifier: Apache-2.0 */
/* PCI, as far as one small device needs it: between pci_ecam.c and the drivers of PCI functions. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <stddef.h>
#include <stdint.h>

struct pci_function {
	uint8_t *config; /* its configuration space, 4 KiB of registers */
	struct pci_bridge *bridge;
};

/*
 * Give a memory BAR a place in the bridge's 32-bit window, let the function answer there, map it.
 *
 * bar       0 to 5
 * at_least  bytes that it must have
 * Returns   its registers; NULL: no such BAR, too small, or no room left
 */
void *pci_map_bar(struct pci_function *f, unsigned int bar, size_t at_least);

struct pci_driver {
	const char *name;
	uint16_t vendor, device;
	int (*probe)(struct pci_function *f); /* as a struct driver's */
};

extern const struct pci_driver i6300esb_driver;

#endif
