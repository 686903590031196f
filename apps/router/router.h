/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a router does with a packet: decide, then translate. Nothing but bytes; forward.c has the
 * devices.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flows.h"
#include "rules.h"

/* The router's place in one of its networks; network byte order; address 0: none yet. */
struct place {
	uint32_t address, mask, gateway;
	uint16_t mtu;
};

struct packet {
	uint8_t *ip;    /* its header, */
	uint32_t bytes; /* and how many of the packet's bytes follow in one piece */
	uint32_t total; /* all of them; afterwards without Ethernet's padding */
	uint8_t side;   /* where it came in */
	/* The transport's checksum holds the pseudo header's sum: the device has to finish it. */
	bool unfinished;

	/* Set by router_decide(): */
	uint8_t *transport; /* the header after IP's; NULL: a fragment without one */
	uint16_t fragment;  /* flags and offset, host order */
	struct way *way;    /* FORWARD: its translation, and where it goes */
	bool is_error;      /* ICMP about a packet of the way back */
	bool too_long;      /* for the way out: to be cut into fragments */
	/* ANSWER: tell the sender so by ICMP. */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_mtu;
};

enum verdict {
	TO_STACK, /* the router's own */
	FORWARD,
	DROP,
	ANSWER, /* drop it, with an ICMP error */
};

/* What became of packets. */
enum count {
	COUNT_FORWARDED,
	COUNT_DENIED,     /* by the rules */
	COUNT_BAD,        /* no IP, or checksum wrong */
	COUNT_OPTIONS,    /* with IP options */
	COUNT_MARTIAN,    /* from or to addresses that cannot be there */
	COUNT_NO_FLOW,    /* of a connection that is not known */
	COUNT_NO_ROUTE,   /* nowhere to send it */
	COUNT_TTL,        /* on the way for too long */
	COUNT_TOO_BIG,    /* for the way out, and not to be cut */
	COUNT_FRAGMENT,   /* whose first one is not known, or too small */
	COUNT_FULL,       /* no room for another connection */
	COUNT_NO_PORT,    /* no port left for translation */
	COUNT_UNRESOLVED, /* next hop does not answer ARP */
	COUNT_SLOW,       /* forwarded by the long way: waiting for ARP, or in fragments */
	COUNT_NO_ROOM,    /* device's ring full, or no memory */
	COUNT_ICMP_SENT,
	COUNTS
};
extern const char *const count_names[COUNTS];

/* Which way the fragments of a datagram go. */
struct fragment {
	uint32_t src, dst;
	uint16_t id;
	uint8_t proto, side;
	struct way *way;
	uint32_t generation, seen_s;
};
#define FRAGMENTS 64

struct router {
	struct place place[SIDES];
	bool masquerade; /* what goes from lan to wan gets our address there */
	uint16_t port_min, port_max;
	struct rules rules;
	struct flows flows;
	struct fragment fragment[FRAGMENTS];
	uint64_t count[COUNTS];
};

/*
 * Decide what to do with a packet. It is not changed. Anything may be in it.
 *
 * p  ip, bytes, total, side, unfinished set
 */
enum verdict router_decide(struct router *r, struct packet *p, uint32_t now_s);

/*
 * The usual case in few steps: a whole packet of TCP or UDP, of a flow that is known, which need only be
 * translated. bytes: from ip on, all of the frame, checksums finished.
 *
 * Returns  its way; NULL: router_decide() has to look at it
 */
struct way *router_known(struct router *r, const uint8_t *ip, uint32_t bytes, uint8_t side,
                         uint32_t now_s);
void router_translate_known(uint8_t *ip, const struct way *w);

/* Change a packet with the verdict FORWARD into what goes out. */
void router_translate(const struct packet *p);

/* May it be answered with an ICMP error at all? RFC 1812, section 4.3.2.7. */
bool router_may_answer(const struct router *r, const struct packet *p);

/* An address has changed, or a network is there or gone. */
void router_place(struct router *r, enum side side, const struct place *place);

#endif
