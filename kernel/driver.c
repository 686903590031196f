/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding drivers for the tree's nodes.
 *
 * All stages are matched in one pass over the tree, which remembers each node's driver in a byte.
 * A tree often repeats itself (32 virtio slots): a node with the same `compatible` as the one
 * before has the same driver.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/driver.h>
#include <pith/log.h>

#define NO_DRIVER 0 /* else 1 + index into the linker's table */
#define PROBED    0xff

extern const struct driver *const __drivers_start[], *const __drivers_end[];

static uint8_t *driver_of; /* by node; disabled ones have none */
static size_t node_count;

static bool driver_has(const struct driver *d, const char *compatible)
{
	for (const char *const *c = d->compatible; *c; c++)
		if (**c == *compatible && !strcmp(*c, compatible))
			return true;
	return false;
}

/* The driver of the first (most specific) string that any driver has. */
static uint8_t match(const char *strings, size_t bytes)
{
	size_t drivers = __drivers_end - __drivers_start;
	const char *end = strings + bytes;

	for (const char *s = strings, *nul; (nul = memchr(s, '\0', end - s)); s = nul + 1)
		for (size_t i = 0; i < drivers; i++)
			if (driver_has(__drivers_start[i], s))
				return i + 1;
	return NO_DRIVER;
}

/* False with no memory. */
static bool match_all(void)
{
	const char *last = NULL;
	size_t last_bytes = 0;
	uint8_t last_driver = NO_DRIVER;

	assert(__drivers_end - __drivers_start < PROBED - 1);
	dt_for_each(n)
		node_count = n + 1;
	driver_of = calloc(node_count, 1);
	if (!driver_of)
		return false;
	dt_for_each(n) {
		size_t bytes;
		const char *strings = dt_prop(n, "compatible", &bytes);

		if (!strings)
			continue;
		if (bytes != last_bytes || memcmp(strings, last, bytes)) {
			last = strings;
			last_bytes = bytes;
			last_driver = match(strings, bytes);
		}
		if (last_driver != NO_DRIVER && dt_enabled(n))
			driver_of[n] = last_driver;
	}
	return true;
}

/* The driver of a node that is to be probed in this stage, or NULL. */
static const struct driver *driver_for(dt_node n, enum driver_stage stage)
{
	const struct driver *d;

	if (driver_of[n] == NO_DRIVER || driver_of[n] == PROBED)
		return NULL;
	d = __drivers_start[driver_of[n] - 1];
	return d->stage == stage ? d : NULL;
}

/* Returns whether it came up. */
static bool probe(dt_node n, const struct driver *d)
{
	int error = d->probe(n);

	driver_of[n] = PROBED;
	if (error && error != -ENODEV)
		klog("%s: %s: error %d", d->name, dt_name(n), -error);
	return !error;
}

/*
 * The interrupt controller to probe before n, or n itself: the furthest in the chain of interrupt
 * parents that has not been probed. A tree's chains have two or three links; a loop in a broken one
 * ends somewhere, which is as good as anywhere.
 */
static dt_node first_in_chain(dt_node n)
{
	struct dt_irq irq;

	for (int links = 0; links < 8; links++) {
		if (dt_irq(n, 0, &irq) || irq.controller == n ||
		    !driver_for(irq.controller, DRV_IRQCHIP))
			break;
		n = irq.controller;
	}
	return n;
}

int drivers_probe(enum driver_stage stage)
{
	int up = 0;

	if (!driver_of && !match_all()) {
		klog("no memory to match drivers");
		return 0;
	}
	for (dt_node n = 0; n < node_count; n++) {
		while (driver_for(n, stage)) {
			dt_node next = stage == DRV_IRQCHIP ? first_in_chain(n) : n;

			up += probe(next, driver_for(next, stage));
		}
	}
	return up;
}
