/* SPDX-License-Identifier: Apache-2.0 */
/* What a router does with a packet (router.h). Source: RFC 1812, RFC 3022, RFC 5508. */
#include <errno.h>
#include <string.h>
#include "internet.h"
#include "router.h"
#include "sip.h"

#define FRAGMENT_S 30 /* a datagram's fragments come within */
/*
 * Of fragments that are not the first, those that begin before this could overwrite the header that
 * decided about the first (RFC 3128); no network has an MTU that needs them.
 */
#define FRAGMENT_OFFSET_MIN 3u /* times 8 bytes */

const char *const count_names[COUNTS] = {
    [COUNT_FORWARDED] = "forwarded",
    [COUNT_DENIED] = "denied",
    [COUNT_BAD] = "malformed",
    [COUNT_OPTIONS] = "with IP options",
    [COUNT_MARTIAN] = "martian",
    [COUNT_NO_FLOW] = "of no known connection",
    [COUNT_NO_ROUTE] = "without route",
    [COUNT_TTL] = "TTL exceeded",
    [COUNT_TOO_BIG] = "too big",
    [COUNT_FRAGMENT] = "stray fragments",
    [COUNT_FULL] = "connection table full",
    [COUNT_NO_PORT] = "no port left",
    [COUNT_UNRESOLVED] = "next hop silent",
    [COUNT_SLOW] = "forwarded the long way",
    [COUNT_NO_ROOM] = "no room to send",
    [COUNT_ICMP_SENT] = "ICMP errors sent",
};

static enum verdict drop(struct router *r, enum count why)
{
	r->count[why]++;
	return DROP;
}

static enum verdict answer(struct router *r, struct packet *p, enum count why, uint8_t type,
                           uint8_t code)
{
	r->count[why]++;
	p->icmp_type = type;
	p->icmp_code = code;
	return router_may_answer(r, p) ? ANSWER : DROP;
}

/* --- Addresses ------------------------------------------------------------------------------------ */

static bool on_link(const struct place *place, uint32_t address)
{
	return place->address && ((address ^ place->address) & place->mask) == 0;
}

static bool is_broadcast(const struct place *place, uint32_t address)
{
	return on_link(place, address) && (address | place->mask) == UINT32_MAX;
}

/* Ours, or everybody's in the network that it came from. */
static bool is_local(const struct router *r, const struct packet *p, uint32_t address)
{
	uint32_t a = host32(address);

	return address == r->place[LAN].address || address == r->place[WAN].address ||
	       a >= 0xe0000000 || is_broadcast(&r->place[p->side], address);
}

/*
 * Addresses that no packet has that is on its way from one network to another: 0/8, 127/8, 169.254/16,
 * 224/3 (RFC 1812, section 5.3.7; RFC 3927, section 7).
 */
static bool is_martian(uint32_t address)
{
	uint32_t a = host32(address);

	return a >> 24 == 0 || a >> 24 == 127 || a >> 16 == 0xa9fe || a >= 0xe0000000;
}

/* Attached networks, else the gateway's. Returns ANYWHERE: none. */
static enum side route(const struct router *r, uint32_t address)
{
	for (int side = LAN; side < SIDES; side++) {
		if (on_link(&r->place[side], address))
			return (enum side)side;
	}
	return r->place[WAN].gateway ? WAN : r->place[LAN].gateway ? LAN : ANYWHERE;
}

static uint32_t next_hop(const struct router *r, enum side out, uint32_t dst)
{
	return on_link(&r->place[out], dst) ? dst : r->place[out].gateway;
}

/* It comes from where packets to its sender would go (RFC 3704, section 2.2), and is nobody's. */
static bool source_fits(const struct router *r, const struct packet *p)
{
	uint32_t src = load32(p->ip + IPV4_SRC);

	return !is_martian(src) && src != r->place[LAN].address && src != r->place[WAN].address &&
	       !is_broadcast(&r->place[p->side], src) && route(r, src) == p->side;
}

void router_place(struct router *r, enum side side, const struct place *place)
{
	if (memcmp(&r->place[side], place, sizeof(*place)) == 0)
		return;
	r->place[side] = *place;
	flows_clear(&r->flows);
}

bool router_may_answer(const struct router *r, const struct packet *p)
{
	uint32_t src = load32(p->ip + IPV4_SRC);

	if ((p->fragment & FRAGMENT_OFFSET) || is_martian(src) ||
	    is_broadcast(&r->place[p->side], src))
		return false;
	/* Of ICMP only about echo requests: never about an error. */
	return p->ip[IPV4_PROTO] != PROTO_ICMP ||
	       (p->transport && p->transport[ICMP_TYPE] == ICMP_ECHO);
}

/* --- What it looks like ------------------------------------------------------------------------ */

/* Version, lengths, checksum: RFC 1812, section 5.2.2. Sets total and fragment. */
static inline bool check_header(struct packet *p, unsigned int *header_bytes)
{
	unsigned int total;

	if (p->bytes < IPV4_BYTES)
		return false;
	*header_bytes = (p->ip[IPV4_VERSION] & 15u) * 4;
	total = host16(load16(p->ip + IPV4_TOTAL));
	if (p->ip[IPV4_VERSION] >> 4 != 4 || *header_bytes < IPV4_BYTES || total < *header_bytes ||
	    total > p->total || *header_bytes > p->bytes)
		return false;
	p->total = total;
	if (p->bytes > total)
		p->bytes = total;
	p->fragment = host16(load16(p->ip + IPV4_FRAGMENT));
	if (*header_bytes == IPV4_BYTES)
		return ip_sum(p->ip) == 0xffff;
	return sum_bytes(p->ip, *header_bytes) == 0xffff;
}

/* Bytes of a transport header that have to be there. */
static inline unsigned int transport_bytes_min(uint8_t proto)
{
	return proto == PROTO_TCP                          ? TCP_BYTES
	       : proto == PROTO_UDP || proto == PROTO_ICMP ? UDP_BYTES
	                                                   : 0;
}

/*
 * Both ports as they lie in the header (flows.h says which an echo has).
 * Returns false: ICMP that is no echo
 */
static inline bool read_ports(uint8_t proto, const uint8_t *transport, uint32_t *ports)
{
	uint32_t id;

	*ports = 0;
	if (proto == PROTO_TCP || proto == PROTO_UDP) {
		*ports = load32(transport);
	} else if (proto == PROTO_ICMP) {
		id = load16(transport + ICMP_ID);
		*ports = transport[ICMP_TYPE] == ICMP_ECHO ? id : id << 16;
		return transport[ICMP_TYPE] == ICMP_ECHO || transport[ICMP_TYPE] == ICMP_ECHO_REPLY;
	}
	return true;
}

/* Little-endian, as the fields lie in memory. */
static inline union flow_key make_key(uint64_t addresses, uint32_t ports, uint8_t proto,
                                      uint8_t side)
{
	return (union flow_key){.word = {addresses, (uint64_t)SIP_LENGTH << 56 |
	                                                (uint64_t)side << 40 |
	                                                (uint64_t)proto << 32 | ports}};
}

/* What answers to it looks like. */
static uint64_t swap32(uint64_t pair)
{
	return pair >> 32 | pair << 32;
}

static uint32_t swap16(uint32_t pair)
{
	return pair >> 16 | pair << 16;
}

static bool is_icmp_error(const struct packet *p)
{
	uint8_t type = p->transport[ICMP_TYPE];

	return (type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER);
}

/* --- Fragments ------------------------------------------------------------------------------------ */

static struct fragment *fragment_place(struct router *r, const struct packet *p,
                                       struct fragment *wanted)
{
	uint64_t hash = sip15(r->flows.hash_start, load64(p->ip + IPV4_SRC),
	                      (uint64_t)p->ip[IPV4_PROTO] << 32 | load16(p->ip + IPV4_ID), 1, 3);

	*wanted = (struct fragment){
	    .src = load32(p->ip + IPV4_SRC),
	    .dst = load32(p->ip + IPV4_DST),
	    .id = load16(p->ip + IPV4_ID),
	    .proto = p->ip[IPV4_PROTO],
	    .side = p->side,
	};
	return &r->fragment[hash % FRAGMENTS];
}

/* The others of this datagram go the same way. */
static void remember_fragment(struct router *r, const struct packet *p, uint32_t now_s)
{
	struct fragment f, *at = fragment_place(r, p, &f);

	f.way = p->way;
	f.generation = flow_of(p->way)->generation;
	f.seen_s = now_s;
	*at = f;
}

static struct way *find_fragment(struct router *r, const struct packet *p, uint32_t now_s)
{
	struct fragment f, *at = fragment_place(r, p, &f);

	if (!at->way || at->src != f.src || at->dst != f.dst || at->id != f.id ||
	    at->proto != f.proto || at->side != f.side || now_s - at->seen_s > FRAGMENT_S ||
	    at->generation != flow_of(at->way)->generation)
		return NULL;
	return at->way;
}

/* --- Deciding --------------------------------------------------------------------------------------- */

/* The last questions before it goes out by p->way. */
static inline enum verdict leave(struct router *r, struct packet *p)
{
	const struct place *out = &r->place[p->way->out];

	if (p->ip[IPV4_TTL] <= 1)
		return answer(r, p, COUNT_TTL, ICMP_TIME_EXCEEDED, 0);
	p->too_long = p->total > out->mtu;
	if (p->too_long && (p->fragment & FRAGMENT_DONT)) {
		p->icmp_mtu = out->mtu;
		return answer(r, p, COUNT_TOO_BIG, ICMP_UNREACHABLE, ICMP_TOO_BIG);
	}
	return FORWARD;
}

/* For the router itself. What opens something is asked about; lwIP knows the rest. */
static enum verdict enter(struct router *r, const struct packet *p, const union flow_key *key)
{
	const uint8_t *t = p->transport;
	struct opening o = {
	    .proto = key->proto,
	    .from = (enum side)p->side,
	    .to = ROUTER,
	    .src = key->src,
	    .dst = key->dst,
	    .port = key->dport,
	};
	bool opens = (o.proto == PROTO_TCP && (t[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN) ||
	             (o.proto == PROTO_ICMP && t[ICMP_TYPE] == ICMP_ECHO);

	if (opens && !rules_allow(&r->rules, &o))
		return drop(r, COUNT_DENIED);
	return TO_STACK;
}

/* Only TCP's SYN and echo requests begin something; of other protocols everything may. */
static bool may_begin(const struct packet *p)
{
	const uint8_t *t = p->transport;

	if (p->ip[IPV4_PROTO] == PROTO_TCP)
		return (t[TCP_FLAGS] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	return p->ip[IPV4_PROTO] != PROTO_ICMP || t[ICMP_TYPE] == ICMP_ECHO;
}

static enum verdict allowed(struct router *r, struct packet *p, const union flow_key *key,
                            enum side out)
{
	const struct opening o = {
	    .proto = key->proto,
	    .from = (enum side)p->side,
	    .to = out,
	    .src = key->src,
	    .dst = key->dst,
	    .port = key->dport,
	};

	if (rules_allow(&r->rules, &o))
		return FORWARD;
	if (p->side == LAN) /* to who is inside it is said */
		return answer(r, p, COUNT_DENIED, ICMP_UNREACHABLE, ICMP_NOT_PERMITTED);
	return drop(r, COUNT_DENIED);
}

/* The first packet of something. */
static enum verdict begin(struct router *r, struct packet *p, const union flow_key *key,
                          uint32_t now_s)
{
	enum side out = route(r, key->dst);
	struct translation tr = {.out = (uint8_t)out, .src = key->src};
	enum verdict v;
	int err;

	if (!source_fits(r, p) || is_martian(key->dst))
		return drop(r, COUNT_MARTIAN);
	if (!may_begin(p))
		return drop(r, COUNT_NO_FLOW);
	if (out == ANYWHERE)
		return answer(r, p, COUNT_NO_ROUTE, ICMP_UNREACHABLE, ICMP_NO_NETWORK);
	if (out == p->side || is_broadcast(&r->place[out], key->dst))
		return drop(r, COUNT_MARTIAN);
	v = allowed(r, p, key, out);
	if (v != FORWARD)
		return v;
	if (p->ip[IPV4_TTL] <= 1) /* before it takes a place in the table */
		return answer(r, p, COUNT_TTL, ICMP_TIME_EXCEEDED, 0);
	tr.port_min = r->port_min;
	tr.port_max = r->port_max;
	if (r->masquerade && out == WAN)
		tr.src = r->place[WAN].address;
	tr.next_hop = next_hop(r, out, key->dst);
	tr.next_hop_back = next_hop(r, (enum side)p->side, key->src);
	if (!tr.src || !tr.next_hop || !tr.next_hop_back)
		return answer(r, p, COUNT_NO_ROUTE, ICMP_UNREACHABLE, ICMP_NO_NETWORK);
	err = flows_open(&r->flows, key, &tr, now_s, &p->way);
	if (err < 0)
		return drop(r, err == -ENOSPC ? COUNT_FULL : COUNT_NO_PORT);
	return FORWARD;
}

/* The packet that an ICMP error is about; all that is needed of it in one piece. */
static const uint8_t *inner_packet(const struct packet *p, unsigned int *header_bytes)
{
	const uint8_t *inner = p->transport + ICMP_BYTES;
	unsigned int here = p->bytes - (unsigned int)(inner - p->ip);

	if (p->bytes < p->total || here < IPV4_BYTES + 8 ||
	    sum_bytes(p->transport, p->bytes - (unsigned int)(p->transport - p->ip)) != 0xffff)
		return NULL;
	*header_bytes = (inner[IPV4_VERSION] & 15u) * 4;
	if (inner[IPV4_VERSION] >> 4 != 4 || *header_bytes < IPV4_BYTES || here < *header_bytes + 8)
		return NULL;
	return inner;
}

/*
 * An ICMP error belongs to the flow of the packet that it is about, and goes the way of its answers:
 * the packet inside, turned round, is what those look like.
 */
static __attribute__((noinline)) enum verdict decide_error(struct router *r, struct packet *p,
                                                           uint32_t now_s)
{
	unsigned int header_bytes = 0;
	const uint8_t *inner = inner_packet(p, &header_bytes);
	union flow_key key;
	uint32_t ports;

	if (!inner || (load16(inner + IPV4_FRAGMENT) & host16(FRAGMENT_OFFSET)))
		return drop(r, COUNT_BAD);
	if (!read_ports(inner[IPV4_PROTO], inner + header_bytes, &ports))
		return drop(r, COUNT_BAD);
	key = make_key(swap32(load64(inner + IPV4_SRC)), swap16(ports), inner[IPV4_PROTO], p->side);
	p->way = flows_find(&r->flows, key, now_s);
	if (!p->way)
		return is_local(r, p, load32(p->ip + IPV4_DST)) ? TO_STACK : drop(r, COUNT_NO_FLOW);
	if (load32(p->ip + IPV4_DST) != key.dst)
		return drop(r, COUNT_BAD);
	if (!source_fits(r, p))
		return drop(r, COUNT_MARTIAN);
	p->is_error = true;
	return leave(r, p);
}

/* A fragment that is not the first. Its datagram's first one has come before, or it is the stack's. */
static __attribute__((noinline)) enum verdict decide_fragment(struct router *r, struct packet *p,
                                                              uint32_t now_s)
{
	if ((p->fragment & FRAGMENT_OFFSET) < FRAGMENT_OFFSET_MIN)
		return drop(r, COUNT_FRAGMENT);
	p->way = find_fragment(r, p, now_s);
	if (p->way)
		return leave(r, p);
	return is_local(r, p, load32(p->ip + IPV4_DST)) ? TO_STACK : drop(r, COUNT_FRAGMENT);
}

/* A packet that begins something, or is the router's own. */
static __attribute__((noinline)) enum verdict decide_unknown(struct router *r, struct packet *p,
                                                             const union flow_key *key,
                                                             bool readable,
                                                             unsigned int header_bytes,
                                                             uint32_t now_s)
{
	if (is_local(r, p, key->dst))
		return enter(r, p, key);
	if (header_bytes > IPV4_BYTES)
		return drop(r, COUNT_OPTIONS);
	if (!readable)
		return drop(r, COUNT_NO_FLOW);
	return begin(r, p, key, now_s);
}

enum verdict router_decide(struct router *r, struct packet *p, uint32_t now_s)
{
	unsigned int header_bytes;
	enum verdict v = FORWARD;
	union flow_key key;
	uint32_t ports;
	bool readable;
	uint8_t proto;

	p->transport = NULL;
	p->is_error = p->too_long = false;
	if (!check_header(p, &header_bytes))
		return drop(r, COUNT_BAD);
	if (p->fragment & FRAGMENT_OFFSET)
		return decide_fragment(r, p, now_s);
	proto = p->ip[IPV4_PROTO];
	if (p->bytes < header_bytes + transport_bytes_min(proto))
		return drop(r, p->fragment & FRAGMENT_MORE ? COUNT_FRAGMENT : COUNT_BAD);
	p->transport = p->ip + header_bytes;
	readable = read_ports(proto, p->transport, &ports);
	if (!readable && is_icmp_error(p))
		return decide_error(r, p, now_s);
	key = make_key(load64(p->ip + IPV4_SRC), ports, proto, p->side);
	p->way = readable ? flows_find(&r->flows, key, now_s) : NULL;
	if (!p->way)
		v = decide_unknown(r, p, &key, readable, header_bytes, now_s);
	else if (header_bytes > IPV4_BYTES)
		v = drop(r, COUNT_OPTIONS);
	if (v == FORWARD)
		v = leave(r, p);
	if (v != FORWARD)
		return v;
	flows_follow(&r->flows, p->way, proto == PROTO_TCP ? p->transport[TCP_FLAGS] : 0, now_s);
	if (p->fragment & FRAGMENT_MORE)
		remember_fragment(r, p, now_s);
	return FORWARD;
}

struct way *router_known(struct router *r, const uint8_t *ip, uint32_t bytes, uint8_t side,
                         uint32_t now_s)
{
	uint32_t total = host16(load16(ip + IPV4_TOTAL));
	uint8_t proto = ip[IPV4_PROTO];
	struct way *w;

	if (ip[IPV4_VERSION] != 0x45 || total > bytes || total < IPV4_BYTES + TCP_BYTES ||
	    (load16(ip + IPV4_FRAGMENT) & host16(FRAGMENT_MORE | FRAGMENT_OFFSET)) ||
	    ip[IPV4_TTL] <= 1 || (proto != PROTO_TCP && proto != PROTO_UDP) || ip_sum(ip) != 0xffff)
		return NULL;
	w = flows_find(&r->flows,
	               make_key(load64(ip + IPV4_SRC), load32(ip + IPV4_BYTES), proto, side),
	               now_s);
	if (!w || total > r->place[w->out].mtu)
		return NULL;
	flows_follow(&r->flows, w, proto == PROTO_TCP ? ip[IPV4_BYTES + TCP_FLAGS] : 0, now_s);
	return w;
}

/* --- Translating ------------------------------------------------------------------------------------ */

static inline void translate_ip(uint8_t *ip, const struct way *w)
{
	store16(ip + IPV4_SUM, checksum_adjust(load16(ip + IPV4_SUM), w->ip_change));
	ip[IPV4_TTL]--;
	store32(ip + IPV4_SRC, w->src);
	store32(ip + IPV4_DST, w->dst);
}

/* 0 means that UDP has no checksum, so a sum of 0 is written as its other self (RFC 768). */
static inline void adjust_udp(uint8_t *sum, uint16_t change)
{
	uint16_t adjusted;

	if (load16(sum) == 0)
		return;
	adjusted = checksum_adjust(load16(sum), change);
	store16(sum, adjusted ? adjusted : 0xffff);
}

static inline void adjust(uint8_t *sum, uint16_t change)
{
	store16(sum, checksum_adjust(load16(sum), change));
}

/* A transport header of TCP or UDP; t: that. */
static inline void translate_ports(uint8_t *t, const struct way *w)
{
	store16(t, w->sport);
	store16(t + 2, w->dport);
	if (w->key.proto == PROTO_TCP)
		adjust(t + TCP_SUM, w->transport_change);
	else
		adjust_udp(t + UDP_SUM, w->transport_change);
}

void router_translate_known(uint8_t *ip, const struct way *w)
{
	translate_ip(ip, w);
	translate_ports(ip + IPV4_BYTES, w);
}

/* Of an unfinished checksum only the addresses are in the field; the device sums up the rest. */
static void translate_transport(const struct packet *p, const struct way *w)
{
	uint8_t *t = p->transport, *sum;

	switch (w->key.proto) {
	case PROTO_TCP:
	case PROTO_UDP:
		sum = t + (w->key.proto == PROTO_TCP ? TCP_SUM : UDP_SUM);
		if (!p->unfinished) {
			translate_ports(t, w);
			break;
		}
		store16(t, w->sport);
		store16(t + 2, w->dport);
		store16(sum, sum_add(load16(sum), w->address_change));
		break;
	case PROTO_ICMP:
		store16(t + ICMP_ID, w->back ? w->dport : w->sport);
		adjust(t + ICMP_SUM, w->transport_change);
		break;
	default:
		break;
	}
}

/*
 * The packet inside an error, one of the other way, becomes what its sender sent: what w's packets
 * become, turned round. The changes are the same (RFC 5508, REQ-4).
 */
static void translate_inner(const struct packet *p, const struct way *w)
{
	uint8_t *inner = p->transport + ICMP_BYTES, *t = inner + (inner[IPV4_VERSION] & 15u) * 4;
	unsigned int here = p->bytes - (unsigned int)(t - p->ip);

	store32(inner + IPV4_SRC, w->dst);
	store32(inner + IPV4_DST, w->src);
	adjust(inner + IPV4_SUM, w->address_change);
	if (w->key.proto == PROTO_TCP || w->key.proto == PROTO_UDP) {
		store16(t, w->dport);
		store16(t + 2, w->sport);
	}
	if (w->key.proto == PROTO_TCP && here >= TCP_SUM + 2)
		adjust(t + TCP_SUM, w->transport_change);
	else if (w->key.proto == PROTO_UDP)
		adjust_udp(t + UDP_SUM, w->transport_change);
	if (w->key.proto == PROTO_ICMP) {
		store16(t + ICMP_ID, w->back ? w->dport : w->sport);
		adjust(t + ICMP_SUM, w->transport_change);
	}
}

/* From a host that packets of this way have another address of, and so do those of its neighbours. */
static void translate_error(const struct packet *p, const struct way *w)
{
	unsigned int bytes = p->total - (unsigned int)(p->transport - p->ip);
	uint8_t *sum = p->transport + ICMP_SUM;
	uint32_t src = load32(p->ip + IPV4_SRC), dst = load32(p->ip + IPV4_DST);
	uint32_t new_src = w->src != w->key.src ? w->src : src;

	translate_inner(p, w);
	store16(sum, 0);
	store16(sum, (uint16_t)~sum_bytes(p->transport, bytes));
	store32(p->ip + IPV4_SRC, new_src);
	store32(p->ip + IPV4_DST, w->dst);
	adjust(p->ip + IPV4_SUM,
	       sum_fold(sum_change32(src, new_src) + sum_change32(dst, w->dst) + (uint16_t)~1));
	p->ip[IPV4_TTL]--;
}

void router_translate(const struct packet *p)
{
	if (p->is_error) {
		translate_error(p, p->way);
		return;
	}
	translate_ip(p->ip, p->way);
	if (p->transport)
		translate_transport(p, p->way);
}
