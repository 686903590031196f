/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers: found only through `compatible`, in stages, registered by linker section.
 *
 *	DRIVER(pl011) = {
 *		.name = "pl011", .compatible = "arm,pl011\0", .stage = DRV_CONSOLE,
 *		.reg_bytes = UART_BYTES, .state_bytes = sizeof(struct pl011), .probe = pl011_probe,
 *	};
 */
#ifndef PITH_DRIVER_H
#define PITH_DRIVER_H

#include <stddef.h>
#include <stdint.h>
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

/* What a driver gets of a node. */
struct device {
	dt_node node;
	uint8_t *regs; /* the first of its `reg`, mapped; undefined if the driver wants none */
	void *state;   /* zeroed, for good (boot_alloc()); the same */
};

/* struct driver's first_read: the offset of a register that may be read at any time. */
#define FIRST_READ(offset) ((offset) + 1)

struct driver {
	const char *name;
	const char *compatible; /* strings side by side, each ended by a NUL: "arm,a\0arm,b\0" */
	uint8_t stage;          /* enum driver_stage */
	/* FIRST_READ(), of a device that may not be there: then it is not probed, but -ENXIO; or 0 */
	uint8_t first_read;
	uint16_t state_bytes; /* of what the driver keeps about a device, or 0 */
	uint32_t reg_bytes;   /* registers that it uses, of the first `reg`; 0: none */
	/*
	 * Called once per enabled node, may allocate and (from DRV_DEVICE on) block.
	 * Returns 0; -ENODEV nothing there, silently (an empty virtio slot); other negative errno:
	 * the failure is logged and boot goes on.
	 */
	int (*probe)(const struct device *dev);
};

#define DRIVER(ident)                             \
	static const struct driver driver_##ident \
	    __attribute__((used, section(".drivers"), aligned(8)))

/*
 * Map so many bytes of the index-th entry of a node's `reg` (io_map()).
 * Returns 0; what dt_reg() says; -EINVAL the entry has fewer; -ENXIO it cannot be mapped
 */
int device_map(dt_node node, unsigned int index, size_t bytes, uint8_t **regs);

/* Map a node's registers, allocate its state, and call probe. Returns its error, or theirs. */
int device_probe(const struct driver *driver, dt_node node);

/* Probe every node for the drivers of one stage, in tree order. Returns how many came up. */
int drivers_probe(enum driver_stage stage);

#endif
