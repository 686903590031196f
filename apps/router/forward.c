/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router's devices.
 *
 * Every IPv4 frame to a device's own address is looked at before the stack sees it (pith/netdev.h,
 * claim). What is forwarded goes from the ring of one device into that of the other in the buffer it
 * came in, and from there back to where that came from. The stack keeps the rest: ARP, DHCP, what is
 * for the router itself; and it does for us what is rare: ARP requests with the packets that wait for
 * the answer, fragmentation, ICMP errors.
 *
 * All of it runs in the network thread under net_lock().
 */
#include <errno.h>
#include <string.h>
#include <net/if.h>
#include <pith/net.h>
#include <pith/time.h>
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/icmp.h"
#include "lwip/ip4.h"
#include "lwip/ip4_frag.h"
#include "lwip/netif.h"
#include "forward.h"
#include "internet.h"

#define NEIGHBOURS         256
#define NEIGHBOUR_S        30 /* then the stack's ARP table is asked again, */
#define NEIGHBOUR_STALE_S  60 /* and while that does not know, the old address is good for so long */
#define NEIGHBOUR_SILENT_S 3  /* without an answer for so long, the sender is told, */
#define NEIGHBOUR_RETRY_S  6  /* until it is tried again */
#define ERRORS_A_SECOND    100                             /* RFC 1812, section 4.3.2.8 */
#define ERROR_QUOTE_BYTES  (576 - IPV4_BYTES - ICMP_BYTES) /* section 4.3.2.3 */
#define COOKIE_OURS        1ul /* bit 0 of a cookie of transmit: a chain of netbufs */

/* Segments larger than the MTU could not be sent on. */
const bool netdev_large_receive = false;

struct neighbour {
	uint32_t address; /* 0: none */
	uint32_t since_s; /* known: when the stack knew it; else since when it is asked for */
	uint32_t asked_s;
	bool known;
	uint8_t ethernet[2 * ETH_HWADDR_LEN]; /* what frames to it begin with: its address, ours */
};

struct port {
	struct netdev *dev;
	struct netif *netif;
	struct port *other; /* where all goes that is forwarded */
	uint8_t side;
	void (*stack_done)(struct netdev *dev, void *cookie);
	struct netbuf *waiting, **waiting_end; /* behind a full ring */
	unsigned int waiting_count;
	struct neighbour neighbour[NEIGHBOURS]; /* by the last byte of the address */
};

static struct port ports[SIDES];
static struct router *router;
static uint32_t now_s; /* when the turn began */

/* How a frame is to be sent: in its first buffer, while we have it. */
struct outgoing {
	struct netbuf *next; /* who waits */
	uint32_t bytes;
	uint16_t csum_start, csum_offset; /* as struct netdev_tx has them */
};
_Static_assert(sizeof(struct outgoing) <= sizeof(((struct netbuf *)NULL)->stack_priv),
               "a netbuf has room for it");

static inline struct outgoing *outgoing_of(struct netbuf *nb)
{
	return (struct outgoing *)nb->stack_priv;
}

static void free_chain(struct netbuf *nb)
{
	while (nb) {
		struct netbuf *next = nb->next;

		netbuf_free(nb);
		nb = next;
	}
}

/* --- Next hops ------------------------------------------------------------------------------------ */

static inline struct neighbour *neighbour(struct port *out, uint32_t address)
{
	return &out->neighbour[address >> 24];
}

static inline bool is_fresh(const struct neighbour *n, uint32_t address)
{
	return n->known && n->address == address && now_s - n->since_s <= NEIGHBOUR_S;
}

/* What does the stack know, if we do not for certain? */
static struct neighbour *ask_stack(struct port *out, uint32_t address)
{
	const ip4_addr_t ip = {address}, *found_ip;
	struct neighbour *n = neighbour(out, address);
	struct eth_addr *found;

	if (is_fresh(n, address))
		return n;
	if (n->address != address)
		*n = (struct neighbour){.address = address, .since_s = now_s};
	if (etharp_find_addr(out->netif, &ip, &found, &found_ip) >= 0) {
		memcpy(n->ethernet, found, ETH_HWADDR_LEN);
		memcpy(n->ethernet + ETH_HWADDR_LEN, out->dev->mac, ETH_HWADDR_LEN);
		n->known = true;
		n->since_s = now_s;
		return n;
	}
	if (n->known && now_s - n->since_s > NEIGHBOUR_STALE_S) {
		n->known = false;
		n->since_s = now_s;
	}
	if (n->asked_s != now_s)
		etharp_request(out->netif, &ip);
	n->asked_s = now_s;
	return n;
}

/* Asked for long enough without an answer. */
static bool is_silent(struct neighbour *n)
{
	if (now_s - n->since_s >= NEIGHBOUR_RETRY_S)
		n->since_s = now_s;
	return now_s - n->since_s >= NEIGHBOUR_SILENT_S;
}

/* --- ICMP errors ------------------------------------------------------------------------------------ */

static bool may_send_error(void)
{
	static uint32_t second, sent;

	if (second != now_s) {
		second = now_s;
		sent = 0;
	}
	return sent++ < ERRORS_A_SECOND;
}

static void send_error(const struct port *in, const struct packet *p)
{
	size_t quoted = LWIP_MIN(p->bytes, ERROR_QUOTE_BYTES);
	const ip4_addr_t to = {load32(p->ip + IPV4_SRC)};
	struct pbuf *b;
	uint8_t *icmp;

	if (!may_send_error())
		return;
	b = pbuf_alloc(PBUF_IP, (u16_t)(ICMP_BYTES + quoted), PBUF_RAM);
	if (!b)
		return;
	icmp = b->payload;
	memset(icmp, 0, ICMP_BYTES);
	icmp[ICMP_TYPE] = p->icmp_type;
	icmp[ICMP_TYPE + 1] = p->icmp_code;
	if (p->icmp_type == ICMP_UNREACHABLE && p->icmp_code == ICMP_TOO_BIG)
		store16(icmp + 6, host16(p->icmp_mtu)); /* RFC 1191, section 4 */
	memcpy(icmp + ICMP_BYTES, p->ip, quoted);
	store16(icmp + ICMP_SUM, (uint16_t)~sum_bytes(icmp, ICMP_BYTES + quoted));
	router->count[COUNT_ICMP_SENT]++;
	ip4_output_if(b, NULL, &to, ICMP_TTL, 0, IP_PROTO_ICMP, in->netif);
	pbuf_free(b);
}

/* --- Frames ----------------------------------------------------------------------------------------- */

/* A copy of the packet, in one piece, with room for the stack's Ethernet header. */
static struct pbuf *copy_packet(const struct netbuf *nb, struct packet *p)
{
	struct pbuf *b = pbuf_alloc(PBUF_LINK, (u16_t)p->total, PBUF_RAM);
	size_t at = 0, skip = ETHERNET_BYTES;

	if (!b)
		return NULL;
	for (; nb && at < p->total; nb = nb->next, skip = 0) {
		size_t bytes = LWIP_MIN(nb->bytes - skip, p->total - at);

		memcpy((uint8_t *)b->payload + at, nb->data + skip, bytes);
		at += bytes;
	}
	if (p->transport)
		p->transport = (uint8_t *)b->payload + (p->transport - p->ip);
	p->ip = b->payload;
	p->bytes = p->total;
	return b;
}

/* By the stack: its next hop is not known yet, or it is to be cut, or has to be in one piece. */
static void forward_slowly(struct port *out, struct netbuf *nb, struct packet *p, bool finish)
{
	const size_t start = nb->csum_start - ETHERNET_BYTES, offset = nb->csum_offset;
	const ip4_addr_t to = {p->way->next_hop};
	struct pbuf *b = copy_packet(nb, p);
	err_t err = ERR_MEM;

	free_chain(nb);
	if (b) {
		router_translate(p);
		if (finish)
			checksum_finish(p->ip + start, p->total - start, offset);
		if (p->too_long)
			err = ip4_frag(b, out->netif, &to);
		else
			err = out->netif->output(out->netif, b, &to);
		pbuf_free(b);
	}
	router->count[err == ERR_OK ? COUNT_SLOW : COUNT_NO_ROOM]++;
}

/* The fragments of a frame of so many bytes: what is behind them is Ethernet's padding. */
static unsigned int gather(struct netdev_frag *frags, const struct netbuf *nb, size_t bytes)
{
	unsigned int count = 0;

	for (; nb && bytes && count < NETDEV_MAX_FRAGS; nb = nb->next) {
		frags[count] = (struct netdev_frag){nb->data, (uint32_t)LWIP_MIN(nb->bytes, bytes)};
		bytes -= frags[count++].bytes;
	}
	return count;
}

/* In several buffers. */
static __attribute__((noinline)) int transmit_chain(struct netdev *dev, struct netdev_tx *tx,
                                                    const struct netbuf *nb, size_t bytes)
{
	struct netdev_frag frags[NETDEV_MAX_FRAGS];

	tx->frags = frags;
	tx->frag_count = gather(frags, nb, bytes);
	return dev->ops->transmit(dev, tx);
}

static inline int transmit(struct netdev *dev, struct netbuf *nb)
{
	const struct outgoing *o = outgoing_of(nb);
	const struct netdev_frag frag = {nb->data, o->bytes};
	struct netdev_tx tx = {
	    .frags = &frag,
	    .frag_count = 1,
	    .csum_start = o->csum_start,
	    .csum_offset = o->csum_offset,
	    .headroom_bytes = nb->headroom_bytes,
	    .cookie = (uint8_t *)nb + COOKIE_OURS,
	};

	if (!nb->next)
		return dev->ops->transmit(dev, &tx);
	return transmit_chain(dev, &tx, nb, o->bytes);
}

/* The ring is full: a queue behind it evens out bursts. */
static __attribute__((noinline)) void wait_in_line(struct port *out, struct netbuf *nb)
{
	if (out->waiting_count >= nb->dev->rx_buffers / 2) {
		router->count[COUNT_NO_ROOM]++;
		free_chain(nb);
		return;
	}
	outgoing_of(nb)->next = NULL;
	*out->waiting_end = nb;
	out->waiting_end = &outgoing_of(nb)->next;
	out->waiting_count++;
}

/* struct netdev_forwarder, resume: a turn begins, and there may be room for who waits. */
static bool resume(struct netdev *dev)
{
	struct port *out = dev->forwarder_priv;
	unsigned int before = out->waiting_count;

	now_s = (uint32_t)(time_now_ns() / NS_PER_S);
	while (out->waiting) {
		struct netbuf *nb = out->waiting, *next = outgoing_of(nb)->next;
		int r = transmit(dev, nb);

		if (r == -ENOBUFS)
			break;
		if (r < 0)
			free_chain(nb);
		router->count[r < 0 ? COUNT_NO_ROOM : COUNT_FORWARDED]++;
		out->waiting = next;
		out->waiting_count--;
	}
	if (!out->waiting)
		out->waiting_end = &out->waiting;
	return before != out->waiting_count;
}

/* A translated frame, csum_start and csum_offset as set. */
static inline void send_frame(struct port *out, const struct neighbour *n, struct netbuf *nb,
                              uint32_t ip_bytes)
{
	memcpy(nb->data, n->ethernet, sizeof(n->ethernet));
	outgoing_of(nb)->bytes = ETHERNET_BYTES + ip_bytes;
	if (out->waiting || transmit(out->dev, nb) < 0)
		wait_in_line(out, nb);
	else
		router->count[COUNT_FORWARDED]++;
}

/* finish: its checksum is to be, by the device if it can. */
static void forward(struct port *out, const struct neighbour *n, struct netbuf *nb,
                    struct packet *p, bool finish)
{
	struct outgoing *o = outgoing_of(nb);

	router_translate(p);
	o->csum_start = o->csum_offset = 0;
	if (finish && (out->dev->features & NETDEV_TX_CSUM)) {
		o->csum_start = nb->csum_start;
		o->csum_offset = nb->csum_offset;
	} else if (finish) {
		checksum_finish(nb->data + nb->csum_start,
		                ETHERNET_BYTES + p->total - nb->csum_start, nb->csum_offset);
	}
	send_frame(out, n, nb, p->total);
}

/* The unfinished checksum is the packet's own, and not one of what it carries: a tunnel's packets. */
static bool is_own_checksum(const struct netbuf *nb, const struct packet *p)
{
	uint8_t proto = p->ip[IPV4_PROTO];

	return p->transport && nb->csum_start == p->transport - nb->data &&
	       ((proto == PROTO_TCP && nb->csum_offset == TCP_SUM) ||
	        (proto == PROTO_UDP && nb->csum_offset == UDP_SUM));
}

/* It lies in the packet, as the device said. */
static bool is_checksum_inside(const struct netbuf *nb, const struct packet *p)
{
	return nb->csum_start >= ETHERNET_BYTES + IPV4_BYTES &&
	       (uint32_t)nb->csum_start + nb->csum_offset + 2 <= ETHERNET_BYTES + p->total;
}

static void hand_on(struct port *in, struct netbuf *nb, struct packet *p)
{
	struct port *out = in->other;
	struct neighbour *n = ask_stack(out, p->way->next_hop);
	bool finish = p->unfinished;
	bool can_finish = p->bytes == p->total || (out->dev->features & NETDEV_TX_CSUM);

	p->unfinished = finish && is_own_checksum(nb, p);
	if (finish && !is_checksum_inside(nb, p)) {
		router->count[COUNT_BAD]++;
		free_chain(nb);
	} else if (!n->known && is_silent(n)) {
		router->count[COUNT_UNRESOLVED]++;
		p->icmp_type = ICMP_UNREACHABLE;
		p->icmp_code = ICMP_NO_HOST;
		if (router_may_answer(router, p))
			send_error(in, p);
		free_chain(nb);
	} else if (!n->known || p->too_long || (finish && !can_finish)) {
		forward_slowly(out, nb, p, finish);
	} else {
		forward(out, n, nb, p, finish);
	}
}

static bool is_ipv4(const struct netbuf *nb)
{
	return nb->bytes >= ETHERNET_BYTES + IPV4_BYTES &&
	       load16(nb->data + 12) == host16(ETHTYPE_IP);
}

static bool is_to(const struct port *in, const uint8_t *eth)
{
	const uint8_t *mac = in->dev->mac;

	return load32(eth) == load32(mac) && load16(eth + 4) == load16(mac + 4);
}

/*
 * Not sent to the device's address: the stack does not look at that, and would take what the rules
 * refuse. What is for everybody is so in its IP header, too (RFC 1122, section 3.3.6).
 */
static __attribute__((noinline)) bool claim_astray(struct netbuf *nb)
{
	uint32_t dst = load32(nb->data + ETHERNET_BYTES + IPV4_DST);

	if ((nb->data[0] & 1) && dst != router->place[LAN].address &&
	    dst != router->place[WAN].address)
		return false;
	router->count[COUNT_MARTIAN]++;
	free_chain(nb);
	return true;
}

/* Most packets are of a flow that is known, to a next hop that is. */
static inline bool forward_known(const struct port *in, struct netbuf *nb)
{
	uint8_t *ip = nb->data + ETHERNET_BYTES;
	struct way *w = router_known(router, ip, nb->bytes - ETHERNET_BYTES, in->side, now_s);
	struct neighbour *n;
	struct port *out;

	if (!w)
		return false;
	out = in->other;
	n = neighbour(out, w->next_hop);
	if (!is_fresh(n, w->next_hop))
		return false;
	router_translate_known(ip, w);
	outgoing_of(nb)->csum_start = outgoing_of(nb)->csum_offset = 0;
	send_frame(out, n, nb, host16(load16(ip + IPV4_TOTAL)));
	return true;
}

static __attribute__((noinline)) bool claim_slowly(struct port *in, struct netbuf *nb)
{
	struct packet p;

	p.ip = nb->data + ETHERNET_BYTES;
	p.bytes = p.total = nb->bytes - ETHERNET_BYTES;
	for (const struct netbuf *n = nb->next; n; n = n->next)
		p.total += n->bytes;
	p.side = in->side;
	p.unfinished = nb->flags & NETBUF_CSUM_UNFINISHED;
	switch (router_decide(router, &p, now_s)) {
	case TO_STACK:
		return false;
	case FORWARD:
		hand_on(in, nb, &p);
		return true;
	case ANSWER:
		send_error(in, &p);
		break;
	case DROP:
		break;
	}
	free_chain(nb);
	return true;
}

/* struct netdev_forwarder, claim */
static bool claim(struct netdev *dev, struct netbuf *nb)
{
	struct port *in = dev->forwarder_priv;

	if (!is_ipv4(nb))
		return false;
	if (!is_to(in, nb->data))
		return claim_astray(nb);
	if (!router->place[in->side].address) /* no router yet: it is asking for one */
		return false;
	if (!nb->next && !(nb->flags & NETBUF_CSUM_UNFINISHED) && forward_known(in, nb))
		return true;
	return claim_slowly(in, nb);
}

/* struct netdev, transmit_done: the stack's frames, and ours. */
static void transmit_done(struct netdev *dev, void *cookie)
{
	struct port *port = dev->forwarder_priv;

	if ((uintptr_t)cookie & COOKIE_OURS)
		free_chain((struct netbuf *)((uint8_t *)cookie - COOKIE_OURS));
	else
		port->stack_done(dev, cookie);
}

/* --- Setting up --------------------------------------------------------------------------------------- */

static void tell_place(const struct port *port)
{
	const struct netif *netif = port->netif;
	const struct place place = {
	    .address = netif_ip4_addr(netif)->addr,
	    .mask = netif_ip4_netmask(netif)->addr,
	    .gateway = netif_ip4_gw(netif)->addr,
	    .mtu = netif->mtu,
	};

	router_place(router, (enum side)port->side, &place);
}

static void netif_changed(struct netif *netif, netif_nsc_reason_t reason,
                          const netif_ext_callback_args_t *args)
{
	(void)reason;
	(void)args;
	for (int side = LAN; side < SIDES; side++) {
		if (ports[side].netif == netif)
			tell_place(&ports[side]);
	}
}

static struct netdev *device_named(const char *name)
{
	struct netdev *dev = netdev_first();

	while (dev && strcmp(dev->name, name) != 0)
		dev = dev->next;
	return dev;
}

static void configure(const struct forward_port *c, struct netif *netif)
{
	if (c->dhcp) {
		dhcp_start(netif);
		return;
	}
	dhcp_release_and_stop(netif);
	netif_set_addr(netif, &(ip4_addr_t){c->address}, &(ip4_addr_t){c->mask},
	               &(ip4_addr_t){c->gateway});
}

static const struct netdev_forwarder forwarder = {.resume = resume, .claim = claim};

static void take_over(struct port *port)
{
	struct netdev *dev = port->dev;

	port->stack_done = dev->transmit_done;
	dev->forwarder_priv = port;
	dev->forwarder = &forwarder;
	port->waiting_end = &port->waiting;
	dev->transmit_done = transmit_done;
}

int forward_start(struct router *r, const struct forward_port wanted[SIDES], const char **complaint)
{
	static netif_ext_callback_t callback;
	unsigned int index[SIDES];

	router = r;
	for (int side = LAN; side < SIDES; side++) {
		ports[side].dev = device_named(wanted[side].device);
		ports[side].side = (uint8_t)side;
		ports[side].other = &ports[side == LAN ? WAN : LAN];
		index[side] = if_nametoindex(wanted[side].device);
		if (!ports[side].dev || !index[side]) {
			*complaint = wanted[side].device;
			return -ENODEV;
		}
	}
	net_lock();
	for (int side = LAN; side < SIDES; side++) {
		ports[side].netif = netif_get_by_index((u8_t)index[side]);
		configure(&wanted[side], ports[side].netif);
		tell_place(&ports[side]);
		take_over(&ports[side]);
	}
	netif_set_default(ports[WAN].netif);
	netif_add_ext_callback(&callback, netif_changed);
	net_unlock();
	return 0;
}
