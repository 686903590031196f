/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of connections (flows.h).
 *
 * Timeouts: TCP by RFC 5382, REQ-5 (2 h 4 min; 4 min while opening or closing), UDP by RFC 4787,
 * REQ-5 (at least 2 min, 5 recommended), ICMP by RFC 5508, REQ-1 (60 s).
 */
#include <errno.h>
#include <stdlib.h>
#include "flows.h"
#include "internet.h"
#include "sip.h"

const uint32_t flow_class_s[FLOW_CLASSES] = {
    [FLOW_TCP] = 7440,      [FLOW_TCP_HALF] = 240, [FLOW_REPLIED] = 300,
    [FLOW_UNREPLIED] = 120, [FLOW_ECHO] = 60,
};
const char *const flow_class_names[FLOW_CLASSES] = {
    [FLOW_TCP] = "tcp",        [FLOW_TCP_HALF] = "tcp opening or closing",
    [FLOW_REPLIED] = "udp",    [FLOW_UNREPLIED] = "udp without answer",
    [FLOW_ECHO] = "icmp echo",
};

/* struct flow, seen: */
#define SEEN_REPLY 1u /* an answer, */
#define SEEN_BOTH  2u /* and something after it: this is no flood of SYNs that a server answers */
#define SEEN_FIN   4u /* the end of the way there; of the way back: 8 */
#define SEEN_FINS  (SEEN_FIN | SEEN_FIN << 1)

#define TTL_CHANGE  0xfffeu /* one off the TTL, the first byte of its word: ~1 */
#define PORTS_TRIED 256     /* in a row, from a random one on */

int flows_init(struct flows *t, unsigned int flow_max, const uint64_t keys[4])
{
	uint32_t chains = 1;

	while (chains < 2 * flow_max) /* as many as there can be ways */
		chains *= 2;
	*t = (struct flows){
	    .chain = calloc(chains, sizeof(struct way *)),
	    .chain_mask = chains - 1,
	    .flow = malloc(flow_max * sizeof(struct flow)),
	    .flow_max = flow_max,
	};
	sip_start(t->hash_start, keys);
	sip_start(t->port_start, keys + 2);
	list_init(&t->free);
	for (int i = 0; i < FLOW_CLASSES; i++)
		list_init(&t->by_age[i]);
	if (t->chain && t->flow)
		return 0;
	flows_free(t);
	return -ENOMEM;
}

void flows_free(struct flows *t)
{
	free(t->chain);
	free(t->flow);
}

/* --- Into the table and out -------------------------------------------------------------------- */

static void link_way(struct flows *t, struct way *w)
{
	struct way **chain = flows_chain(t, w->key);

	w->next = *chain;
	*chain = w;
}

static void unlink_way(struct flows *t, struct way *w)
{
	struct way **at = flows_chain(t, w->key);

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

static void drop(struct flows *t, struct flow *f)
{
	unlink_way(t, &f->way[0]);
	unlink_way(t, &f->way[1]);
	list_remove(&f->by_age);
	t->count[f->class]--;
	f->generation++;
	list_add_head(&t->free, &f->by_age);
}

static struct flow *oldest(struct flows *t, enum flow_class class)
{
	struct list *head = &t->by_age[class];

	return list_empty(head) ? NULL : container_of(head->next, struct flow, by_age);
}

void flows_expire(struct flows *t, uint32_t now_s)
{
	struct flow *f;

	for (int c = 0; c < FLOW_CLASSES; c++) {
		while ((f = oldest(t, (enum flow_class)c)) != NULL && flow_is_over(f, now_s)) {
			drop(t, f);
			t->expired++;
		}
	}
}

void flows_clear(struct flows *t)
{
	struct flow *f;

	for (int c = 0; c < FLOW_CLASSES; c++) {
		while ((f = oldest(t, (enum flow_class)c)) != NULL)
			drop(t, f);
	}
}

/* Make room: the longest silent of those that are not established. */
static bool evict(struct flows *t, uint32_t now_s)
{
	static const enum flow_class spare[] = {FLOW_TCP_HALF, FLOW_UNREPLIED, FLOW_ECHO};
	struct flow *victim = NULL;

	for (size_t i = 0; i < ARRAY_LEN(spare); i++) {
		struct flow *f = oldest(t, spare[i]);

		if (f && (!victim || now_s - f->touched_s > now_s - victim->touched_s))
			victim = f;
	}
	if (!victim)
		return false;
	drop(t, victim);
	t->evicted++;
	return true;
}

static struct flow *take_free(struct flows *t)
{
	struct list *l = t->free.next;

	if (l != &t->free) {
		list_remove(l);
		return container_of(l, struct flow, by_age);
	}
	if (t->fresh == t->flow_max)
		return NULL;
	t->flow[t->fresh].generation = 0;
	return &t->flow[t->fresh++];
}

struct way *flows_end(struct flows *t, struct way *w)
{
	drop(t, flow_of(w));
	t->expired++;
	return NULL;
}

/* --- Opening ------------------------------------------------------------------------------------- */

/* What the way back's packets look like, when those there leave as src and sport. */
static union flow_key answer_to(const union flow_key *key, const struct translation *tr,
                                uint16_t sport)
{
	return (union flow_key){
	    .src = key->dst,
	    .dst = tr->src,
	    .sport = key->dport,
	    .dport = sport,
	    .proto = key->proto,
	    .side = tr->out,
	    .length = SIP_LENGTH,
	};
}

static bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP;
}

/*
 * A port (or echo id) with which the answers can be told apart from those to others: the sender's own
 * if it is free, else the first that is from a random one on (RFC 6056, section 3.3.1).
 */
static int choose_port(struct flows *t, const union flow_key *key, const struct translation *tr,
                       uint32_t now_s, union flow_key *answer)
{
	uint32_t count = (uint32_t)(tr->port_max - tr->port_min) + 1, start;
	uint16_t own = host16(key->sport);
	bool translated = tr->src != key->src;

	*answer = answer_to(key, tr, key->sport);
	if ((!translated || !has_ports(key->proto) || key->proto == PROTO_ICMP ||
	     (own >= tr->port_min && own <= tr->port_max)) &&
	    !flows_find(t, *answer, now_s))
		return 0;
	if (!translated || !has_ports(key->proto))
		return -EADDRINUSE;
	start = (uint32_t)sip15(t->port_start, t->ports_chosen++, 0, 2, 4);
	for (uint32_t i = 0; i < count && i < PORTS_TRIED; i++) {
		answer->dport = host16((uint16_t)(tr->port_min + (start % count + i) % count));
		if (!flows_find(t, *answer, now_s))
			return 0;
	}
	return -EADDRINUSE;
}

/* What w becomes is what the way back, turned round, looks like. */
static void set_up_way(struct way *w, const union flow_key *key, const union flow_key *other,
                       uint8_t out, uint8_t back)
{
	uint64_t ports, addresses;

	w->key = *key;
	w->src = other->dst;
	w->dst = other->src;
	w->sport = other->dport;
	w->dport = other->sport;
	w->out = out;
	w->back = back;
	addresses = sum_change32(key->src, w->src) + sum_change32(key->dst, w->dst);
	ports = (uint64_t)sum_change16(key->sport, w->sport) + sum_change16(key->dport, w->dport);
	w->address_change = sum_fold(addresses);
	w->ip_change = sum_fold(addresses + TTL_CHANGE);
	w->transport_change = sum_fold(key->proto == PROTO_ICMP ? ports : addresses + ports);
}

static enum flow_class first_class(uint8_t proto)
{
	return proto == PROTO_TCP    ? FLOW_TCP_HALF
	       : proto == PROTO_ICMP ? FLOW_ECHO
	                             : FLOW_UNREPLIED;
}

int flows_open(struct flows *t, const union flow_key *key, const struct translation *tr,
               uint32_t now_s, struct way **way)
{
	union flow_key answer;
	struct flow *f;
	int r;

	flows_expire(t, now_s);
	r = choose_port(t, key, tr, now_s, &answer);
	if (r < 0)
		return r;
	f = take_free(t);
	if (!f && evict(t, now_s))
		f = take_free(t);
	if (!f)
		return -ENOSPC;
	set_up_way(&f->way[0], key, &answer, tr->out, 0);
	set_up_way(&f->way[1], &answer, key, key->side, 1);
	f->way[0].next_hop = tr->next_hop;
	f->way[1].next_hop = tr->next_hop_back;
	link_way(t, &f->way[0]);
	link_way(t, &f->way[1]);
	f->class = first_class(key->proto);
	f->seen = 0;
	f->touched_s = now_s;
	list_add_tail(&t->by_age[f->class], &f->by_age);
	t->count[f->class]++;
	t->opened++;
	*way = &f->way[0];
	return 0;
}

/* --- Following ------------------------------------------------------------------------------------ */

static void touch(struct flows *t, struct flow *f, enum flow_class class, uint32_t now_s)
{
	list_remove(&f->by_age);
	list_add_tail(&t->by_age[class], &f->by_age);
	t->count[f->class]--;
	t->count[class]++;
	f->class = class;
	f->touched_s = now_s;
}

/*
 * A RST only shortens the wait, until something else comes: it may be a stranger's (RFC 7857, section
 * 2.2). When both ends have said FIN that lasts, but for a new SYN.
 */
static enum flow_class tcp_class(struct flow *f, const struct way *w, uint8_t flags)
{
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !w->back && (f->seen & SEEN_FINS))
		f->seen = 0;
	if (flags & TCP_RST)
		return FLOW_TCP_HALF;
	if (flags & TCP_FIN)
		f->seen |= (uint8_t)(SEEN_FIN << w->back);
	if (w->back)
		f->seen |= SEEN_REPLY;
	else if (f->seen & SEEN_REPLY)
		f->seen |= SEEN_BOTH;
	return (f->seen & SEEN_BOTH) && (f->seen & SEEN_FINS) != SEEN_FINS ? FLOW_TCP
	                                                                   : FLOW_TCP_HALF;
}

void flows_change(struct flows *t, struct way *w, uint8_t flags, uint32_t now_s)
{
	struct flow *f = flow_of(w);
	enum flow_class class = (enum flow_class)f->class;

	if (w->key.proto == PROTO_TCP) {
		if (class != FLOW_TCP || (flags & (TCP_SYN | TCP_FIN | TCP_RST)))
			class = tcp_class(f, w, flags);
	} else if (class == FLOW_UNREPLIED && w->back) {
		class = FLOW_REPLIED;
	}
	if (class != f->class || f->touched_s != now_s)
		touch(t, f, class, now_s);
}
