/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter's rules, about who may open a connection (docs/router.md):
 *
 *	allow tcp from lan to wan port 80; deny any from lan 10.0.0.7 to any
 *
 * The first that fits decides; where none does, the answer is no.
 */
#ifndef ROUTER_RULES_H
#define ROUTER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two networks, and the router itself. */
enum side { LAN, WAN, SIDES, ROUTER = SIDES, ANYWHERE };

extern const char *const side_names[]; /* by enum side; "any" the last */

struct rule_end {
	enum side side;
	uint32_t address, mask; /* network byte order; mask 0: any */
};

struct rule {
	bool allow;
	uint8_t proto; /* 0: any */
	struct rule_end from, to;
	uint16_t port_min, port_max; /* of the destination; 0..65535: any */
};

#define RULES_MAX 32
struct rules {
	unsigned int count;
	struct rule rule[RULES_MAX];
};

/* What is asked: may this be opened? Addresses and port in network byte order. */
struct opening {
	uint8_t proto;
	enum side from, to;
	uint32_t src, dst;
	uint16_t port; /* 0 where the protocol has none */
};

/*
 * Read rules, separated by semicolons.
 *
 * complaint  of a bad one: what is wrong with which
 * Returns    0; -EINVAL; -E2BIG more than RULES_MAX
 */
int rules_parse(const char *text, struct rules *rules, char *complaint, size_t complaint_bytes);
bool rules_allow(const struct rules *rules, const struct opening *o);

/*
 * "10.0.0.1" or "10.0.0.1/24", network byte order; without bits the mask is all ones.
 * Returns 0 or -EINVAL
 */
int network_parse(const char *text, uint32_t *address, uint32_t *mask);

/* "1-65535" or one number, from 1 on. Returns 0 or -EINVAL */
int ports_parse(const char *text, uint16_t *min, uint16_t *max);

#endif
