/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and pins: from a device's properties to the driver that provides them. */
#include <errno.h>
#include <stddef.h>
#include <pith/supply.h>

static struct clock_provider *clock_providers;
static struct pin_controller *pin_controllers;

void clock_provider_register(struct clock_provider *p)
{
	p->next = clock_providers;
	clock_providers = p;
}

void pin_controller_register(struct pin_controller *p)
{
	p->next = pin_controllers;
	pin_controllers = p;
}

/* The index-th entry of `clocks`: its provider, and its cell (0 for one that takes none). */
static dt_node clock_entry(dt_node node, unsigned int index, uint32_t *id)
{
	uint32_t phandle, cells;
	dt_node provider;

	for (unsigned int at = 0;; at += 1 + cells) {
		if (dt_u32(node, "clocks", at, &phandle))
			return DT_NONE;
		provider = dt_by_phandle(phandle);
		if (dt_u32(provider, "#clock-cells", 0, &cells) || cells > 1)
			return DT_NONE;
		if (index-- > 0)
			continue;
		*id = 0;
		if (cells && dt_u32(node, "clocks", at + 1, id))
			return DT_NONE;
		return provider;
	}
}

uint32_t clock_rate_hz(dt_node node, unsigned int index)
{
	uint32_t id, freq_hz;
	dt_node provider = clock_entry(node, index, &id);

	if (provider == DT_NONE)
		return 0;
	if (dt_compatible(provider, "fixed-clock"))
		return dt_u32(provider, "clock-frequency", 0, &freq_hz) ? 0 : freq_hz;
	for (struct clock_provider *p = clock_providers; p; p = p->next)
		if (p->node == provider)
			return p->rate_hz(id);
	return 0;
}

int pins_default(dt_node node)
{
	uint32_t phandle;

	for (unsigned int i = 0; !dt_u32(node, "pinctrl-0", i, &phandle); i++) {
		dt_node state = dt_by_phandle(phandle), controller = dt_parent(state);
		struct pin_controller *p = pin_controllers;
		int error;

		while (p && p->node != controller)
			p = p->next;
		if (!p)
			return -ENODEV;
		error = p->apply(p, state);
		if (error)
			return error;
	}
	return 0;
}
