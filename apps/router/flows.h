/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of connections: who talks to whom, and how their packets are translated.
 *
 * A flow has two ways, there and back. Each is found by what its packets look like when they come
 * in, and says what they look like when they go out; both are reckoned once, when the flow is opened.
 *
 * Nothing runs for the table's sake: flows that have been silent for too long are dropped when
 * somebody looks at them or wants their place. A full table gives up the flow that was silent the
 * longest among those that are not established; if all are, nothing new is opened.
 */
#ifndef ROUTER_FLOWS_H
#define ROUTER_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/list.h>
#include "internet.h"
#include "rules.h"
#include "sip.h"

/*
 * What a packet looks like. Of an echo request sport is its id and dport 0, of a reply the other way
 * round, so that one looks back from the other. Other protocols than TCP, UDP, ICMP: ports 0.
 */
union flow_key {
	struct {
		uint32_t src, dst; /* network byte order, as the ports */
		uint16_t sport, dport;
		uint8_t proto;
		uint8_t side; /* where it comes in */
		uint8_t zero;
		uint8_t length; /* SIP_LENGTH */
	};
	uint64_t word[2];
};

struct way {
	union flow_key key;
	struct way *next;  /* in its chain */
	uint32_t src, dst; /* what it becomes */
	uint16_t sport, dport;
	uint32_t next_hop;
	uint16_t address_change;   /* what checksums change by: for the addresses alone, */
	uint16_t ip_change;        /* in the IP header, with one off the TTL, */
	uint16_t transport_change; /* in the header after it */
	uint8_t out;               /* enum side: where it goes out */
	uint8_t back;              /* which of its flow's ways it is */
};

/* How long a flow may be silent depends on what it is; flow_class_s[] has the seconds. */
enum flow_class {
	FLOW_TCP,       /* established */
	FLOW_TCP_HALF,  /* opening or closing */
	FLOW_REPLIED,   /* UDP and others, once there was an answer */
	FLOW_UNREPLIED, /* before */
	FLOW_ECHO,      /* ICMP */
	FLOW_CLASSES
};
extern const uint32_t flow_class_s[FLOW_CLASSES];
extern const char *const flow_class_names[FLOW_CLASSES];

struct flow {
	struct way way[2];
	struct list by_age;  /* of its class, the longest silent first */
	uint32_t touched_s;  /* when there was a packet last */
	uint32_t generation; /* how many flows there have been in this place */
	uint8_t class;
	uint8_t seen; /* what came each way: flows.c */
};

struct flows {
	uint64_t hash_start[4], port_start[4]; /* with secret keys */
	uint64_t ports_chosen;
	struct way **chain;
	uint32_t chain_mask;
	struct flow *flow;
	uint32_t flow_max, fresh; /* those from fresh on were never used */
	struct list free;
	struct list by_age[FLOW_CLASSES];
	unsigned int count[FLOW_CLASSES];
	uint64_t opened, expired, evicted;
};

static inline struct flow *flow_of(struct way *w)
{
	return (struct flow *)(w - w->back);
}

/* The way that answers to this one. */
static inline struct way *way_back(struct way *w)
{
	return w->back ? w - 1 : w + 1;
}

/*
 * keys     four random words
 * Returns  0 or -ENOMEM
 */
int flows_init(struct flows *t, unsigned int flow_max, const uint64_t keys[4]);
void flows_free(struct flows *t);
/* Forget all of them: addresses have changed. */
void flows_clear(struct flows *t);
/* Drop what has been silent for too long. */
void flows_expire(struct flows *t, uint32_t now_s);

/* It was silent for too long: always NULL. */
struct way *flows_end(struct flows *t, struct way *w);

static inline bool flow_is_over(const struct flow *f, uint32_t now_s)
{
	return now_s - f->touched_s > flow_class_s[f->class];
}

static inline struct way **flows_chain(const struct flows *t, union flow_key key)
{
	return &t->chain[sip15(t->hash_start, key.word[0], key.word[1], 1, 3) & t->chain_mask];
}

/* The way of packets that look so, or NULL. */
static inline __attribute__((always_inline)) struct way *flows_find(struct flows *t,
                                                                    union flow_key key,
                                                                    uint32_t now_s)
{
	struct way *w = *flows_chain(t, key);

	while (w && (w->key.word[0] != key.word[0] || w->key.word[1] != key.word[1]))
		w = w->next;
	return w && flow_is_over(flow_of(w), now_s) ? flows_end(t, w) : w;
}

/* How a new flow is translated on its way there. */
struct translation {
	uint8_t out;  /* enum side */
	uint32_t src; /* the new source; the old one: none is wanted */
	uint32_t next_hop, next_hop_back;
	uint16_t port_min, port_max; /* where ports may be taken from, host order */
};

/*
 * Open the flow whose first packet looks so.
 *
 * Returns  0; -ENOSPC the table is full of established flows; -EADDRINUSE no port is free
 */
int flows_open(struct flows *t, const union flow_key *key, const struct translation *tr,
               uint32_t now_s, struct way **way);

/* What a packet changes: its flow's age, perhaps its class. */
void flows_change(struct flows *t, struct way *w, uint8_t flags, uint32_t now_s);

/* A packet goes this way. flags: TCP's, 0 of others. */
static inline void flows_follow(struct flows *t, struct way *w, uint8_t flags, uint32_t now_s)
{
	const struct flow *f = flow_of(w);

	if (f->touched_s != now_s || (flags & (TCP_SYN | TCP_FIN | TCP_RST)) ||
	    f->class == FLOW_TCP_HALF || (f->class == FLOW_UNREPLIED && w->back))
		flows_change(t, w, flags, now_s);
}

#endif
