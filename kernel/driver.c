/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding drivers for the tree's nodes.
 *
 * All stages are matched in one pass over the tree, which leaves a list of nodes that have drivers.
 * A tree often repeats itself (32 virtio slots): a node with the same `compatible` as the one before
 * has the same driver. Strings are compared by length first: nearly all begin with "arm,".
 */
#include <errno.h>
#include <string.h>
#include <pith/boot_alloc.h>
#include <pith/driver.h>
#include <pith/log.h>

extern const struct driver __drivers_start[], __drivers_end[];

/* A string that a driver knows. */
struct known {
	struct known *next;
	const char *compatible;
	size_t bytes; /* with its NUL */
	const struct driver *driver;
};

/* A node that has a driver; the next one of the tree follows. */
struct match {
	struct match *next;
	const struct driver *driver;
	dt_node node;
	bool probed;
};

static struct match *matches;

/* All strings that drivers know; NULL: no memory. */
static const struct known *list_known(void)
{
	struct known *list = NULL, *k;

	for (const struct driver *d = __drivers_start; d < __drivers_end; d++) {
		for (const char *c = d->compatible; *c; c += k->bytes) {
			k = boot_alloc(sizeof(*k));
			if (!k)
				return NULL;
			*k = (struct known){list, c, strlen(c) + 1, d};
			list = k;
		}
	}
	return list;
}

/* The driver of the first (most specific) of a node's strings that any driver knows, or NULL. */
static const struct driver *find(const struct known *list, const char *strings, size_t bytes)
{
	const char *end = strings + bytes, *nul;

	for (const char *s = strings; (nul = memchr(s, '\0', end - s)); s = nul + 1) {
		size_t s_bytes = nul + 1 - s;

		for (const struct known *k = list; k; k = k->next)
			if (k->bytes == s_bytes && !memcmp(k->compatible, s, s_bytes))
				return k->driver;
	}
	return NULL;
}

/* Returns where the next one goes, NULL with no memory. */
static struct match **add_match(struct match **end, dt_node n, const struct driver *d)
{
	struct match *m = boot_alloc(sizeof(*m));

	if (!m)
		return NULL;
	m->driver = d;
	m->node = n;
	*end = m;
	return &m->next;
}

static void match_all(void)
{
	const struct known *list = list_known();
	const struct driver *driver = NULL;
	const char *last = NULL;
	size_t last_bytes = 0;
	struct match **end = list ? &matches : NULL;

	for (dt_node n = 0; end && n != DT_NONE; n = dt_next(n)) {
		size_t bytes;
		const char *strings = dt_compatible_strings(n, &bytes);

		if (!strings)
			continue;
		if (bytes != last_bytes || memcmp(strings, last, bytes)) {
			last = strings;
			last_bytes = bytes;
			driver = find(list, strings, bytes);
		}
		if (driver && dt_enabled(n))
			end = add_match(end, n, driver);
	}
	if (!end)
		klog("no memory to match all drivers");
}

/* Returns whether it came up. */
static bool probe(struct match *m)
{
	int error = device_probe(m->driver, m->node);

	m->probed = true;
	if (error && error != -ENODEV)
		klog("%s: %s: error %d", m->driver->name, dt_name(m->node), -error);
	return !error;
}

/* The match of a node, if it waits for its probe in this stage; or NULL. */
static struct match *waiting(dt_node n, enum driver_stage stage)
{
	for (struct match *m = matches; m; m = m->next)
		if (m->node == n && m->driver->stage == stage && !m->probed)
			return m;
	return NULL;
}

/*
 * The interrupt controller to probe before m, or m itself: the furthest in the chain of interrupt
 * parents that has not been probed. A tree's chains have two or three links; a loop in a broken one
 * ends somewhere, which is as good as anywhere.
 */
static struct match *first_in_chain(struct match *m)
{
	struct dt_irq irq;

	for (int links = 0; links < 8; links++) {
		struct match *parent;

		if (dt_irq(m->node, 0, &irq) || irq.controller == m->node)
			break;
		parent = waiting(irq.controller, DRV_IRQCHIP);
		if (!parent)
			break;
		m = parent;
	}
	return m;
}

int drivers_probe(enum driver_stage stage)
{
	int up = 0;

	if (!matches)
		match_all();
	for (struct match *m = matches; m; m = m->next)
		while (m->driver->stage == stage && !m->probed)
			up += probe(stage == DRV_IRQCHIP ? first_in_chain(m) : m);
	return up;
}
