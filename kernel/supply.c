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

/* An entry of `clocks`. */
struct clock {
	dt_node provider; /* DT_NONE: there is no such entry */
	uint32_t id;      /* its cell; 0 for one that takes none */
};

static struct clock clock_entry(dt_node node, unsigned int index)
{
	for (unsigned int at = 0;;) {
		int64_t phandle = dt_u32(node, "clocks", at++), id = 0;
		dt_node provider = phandle < 0 ? DT_NONE : dt_by_phandle((uint32_t)phandle);
		int64_t cells = dt_u32(provider, "#clock-cells", 0);

		if (cells < 0 || cells > 1)
			break;
		if (cells)
			id = dt_u32(node, "clocks", at++);
		if (id < 0)
			break;
		if (index-- == 0)
			return (struct clock){provider, (uint32_t)id};
	}
	return (struct clock){DT_NONE, 0};
}

uint32_t clock_rate_hz(dt_node node, unsigned int index)
{
	struct clock clock = clock_entry(node, index);
	int64_t fixed_hz = dt_u32(clock.provider, "clock-frequency", 0);

	if (dt_compatible(clock.provider, "fixed-clock"))
		return fixed_hz < 0 ? 0 : (uint32_t)fixed_hz;
	for (struct clock_provider *p = clock_providers; p; p = p->next)
		if (p->node == clock.provider)
			return p->rate_hz(clock.id);
	return 0;
}

int pins_default(dt_node node)
{
	int64_t phandle;

	for (unsigned int i = 0; (phandle = dt_u32(node, "pinctrl-0", i)) >= 0; i++) {
		dt_node state = dt_by_phandle((uint32_t)phandle), controller = dt_parent(state);
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
