/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device needs from others before it works: clocks and pins. Their drivers come up in stage
 * DRV_SUPPLY, before consoles and devices.
 *
 * Source: Devicetree bindings clock/clock-bindings.txt and pinctrl/pinctrl-bindings.txt (Linux).
 */
#ifndef PITH_SUPPLY_H
#define PITH_SUPPLY_H

#include <stdint.h>
#include <pith/dt.h>

/*
 * Rate in Hz of the index-th clock that a node's `clocks` names: what the tree says of a fixed-clock,
 * what its provider says of another; 0 if nobody knows. Nothing here starts, stops or changes a
 * clock. Thread or boot.
 */
uint32_t clock_rate_hz(dt_node node, unsigned int index);

/*
 * Set a node's pins as its default state (pinctrl-0) says. Pins that are so already are left alone.
 * Returns 0, also for a node that asks for nothing; -ENODEV no driver for its pin controller;
 *         -EINVAL malformed, or in a form that the driver does not know
 */
int pins_default(dt_node node);

/* The providers' side, from probe. */
struct clock_provider {
	dt_node node;
	/* id: the specifier's only cell, or 0. Returns Hz, 0 unknown. */
	uint32_t (*rate_hz)(uint32_t id);
	struct clock_provider *next;
};
void clock_provider_register(struct clock_provider *p);

struct pin_controller {
	dt_node node;
	/* Set the pins as state, a child of node, says. */
	int (*apply)(struct pin_controller *p, dt_node state);
	struct pin_controller *next;
};
void pin_controller_register(struct pin_controller *p);

#endif
