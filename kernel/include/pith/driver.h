/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers: found only through `compatible`, in stages, registered by linker section.
 *
 *	static const char *const pl011_compatible[] = { "arm,pl011", NULL };
 *	DRIVER(pl011) = {
 *		.compatible = pl011_compatible, .stage = DRV_CONSOLE, .probe = pl011_probe,
 *	};
 */
#ifndef PITH_DRIVER_H
#define PITH_DRIVER_H

#include <pith/dt.h>

enum driver_stage {
	DRV_POWER,   /* how to end and reset the machine: before anything can go wrong */
	DRV_IRQCHIP, /* parents before children */
	DRV_TIMER,
	DRV_SUPPLY, /* what the others need: pins, clocks (pith/supply.h) */
	DRV_CONSOLE,
	DRV_DEVICE,
	DRV_STAGES
};

struct driver {
	const char *name;
	const char *const *compatible; /* NULL-terminated */
	enum driver_stage stage;
	/*
	 * Called once per enabled node, may allocate and (from DRV_DEVICE on) block.
	 * Returns 0; -ENODEV nothing there, silently (an empty virtio slot); other negative errno:
	 * the failure is logged and boot goes on.
	 */
	int (*probe)(dt_node node);
};

#define DRIVER(ident)                                                     \
	static const struct driver driver_##ident;                        \
	static const struct driver *const driver_entry_##ident            \
	    __attribute__((used, section(".drivers"))) = &driver_##ident; \
	static const struct driver driver_##ident

/* Probe every node for the drivers of one stage, in tree order. Returns how many came up. */
int drivers_probe(enum driver_stage stage);

#endif
