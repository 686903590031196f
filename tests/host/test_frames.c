/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promise: whatever frames arrive from the network, nothing is read or written out of bounds, nothing
 * goes on for ever, nothing leaks, no assertion fails, and afterwards the stack answers as ever.
 *
 * The whole stack, under the sanitizers, on one thread and a clock that the test moves. It has two
 * interfaces, one with a fixed address and one with DHCP's, and a program that uses its sockets.
 * Peers send frames of every kind that it looks at, which fit what it has just said (a connection's
 * sequence numbers, a DHCP transaction, a query), as they are or damaged, mostly with the checksums made
 * right again. FRAMES frames (environment; else so many that it takes a quarter of a minute) from a
 * SEED. Each received buffer is memory of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include "frames.h"
#include "net/core.c"
#include <pith/console.h>
#include <pith/entropy.h>
#include <pith/file.h>
#include "lwip/etharp.h"
#include "lwip/ip4_frag.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/tcp.h"

#define ECHO_PORT    7000
#define GROUP4       0xef010203
#define DEFAULT_MANY 1500000

static uint64_t seed = 1, frame_number;

/* --- What the kernel would be: one thread --- */

static uint64_t now_ns = NS_PER_S;
static struct timer *armed[8];

void klog(const char *fmt, ...)
{
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

void lwip_assertion_failed(const char *message, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, message);
	abort();
}

const char *bootarg(const char *key)
{
	return strcmp(key, "ip") == 0 ? "10.0.0.2::10.0.0.1:255.255.255.0:pith:eth0" : NULL;
}

void memory_info(struct memory_info *info)
{
	*info = (struct memory_info){.total_bytes = 32 << 20};
}

int random_bytes(void *buf, size_t count, bool nonblock)
{
	uint8_t *p = buf;

	(void)nonblock;
	while (count--)
		*p++ = (uint8_t)random32();
	return 0;
}

void stdio_use_descriptors(void)
{
}

struct file *console_file(void)
{
	return NULL;
}

uint64_t time_now_ns(void)
{
	return now_ns;
}

void timer_cancel(struct timer *t)
{
	for (unsigned int i = 0; i < LWIP_ARRAYSIZE(armed); i++) {
		if (armed[i] == t)
			armed[i] = NULL;
	}
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	unsigned int i = 0;

	timer_cancel(t);
	t->deadline_ns = deadline_ns;
	while (armed[i])
		assert(++i < LWIP_ARRAYSIZE(armed));
	armed[i] = t;
}

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	(void)q;
	assert(deadline_ns != TIME_FOREVER); /* nobody would ever wake us */
	return -ETIMEDOUT;
}

int waitq_wake_one(struct waitq *q)
{
	(void)q;
	return 0;
}

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	return 0;
}

void mutex_lock(struct mutex *m)
{
	assert(!m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	assert(m->owner);
	m->owner = NULL;
}

bool mutex_held(const struct mutex *m)
{
	return m->owner;
}

void ksem_init(struct ksem *s, unsigned int count)
{
	s->count = count;
}

int ksem_down(struct ksem *s, uint64_t deadline_ns)
{
	return s->count ? (int)(s->count--, 0) : waitq_wait(&s->waiters, deadline_ns);
}

void ksem_up(struct ksem *s)
{
	s->count++;
}

/* Of the network: it is the test that does its work. */
struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *arg), void *arg)
{
	(void)name, (void)priority, (void)stack_bytes, (void)entry;
	return arg ? arg : &now_ns;
}

int thread_detach(struct thread *t)
{
	(void)t;
	return 0;
}

/* Small objects that lwIP asks for are each memory of their own, too: there is no reserve of them. */
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
static uint32_t refuse_one_in; /* 0: never */
static bool starting;

void *__wrap_malloc(size_t bytes)
{
	if (starting && bytes > 20000 && bytes < 30000)
		return NULL;
	return refuse_one_in && one_in(refuse_one_in) ? NULL : __real_malloc(bytes);
}

/* --- Two network devices --- */

#define PORTS      2
#define BUFFERS    96
#define TX_MAX     128
#define WIRE_BYTES 60 /* a driver's buffer is not smaller than that */

static struct device {
	struct netdev netdev;
	struct netbuf buffers[BUFFERS];
	struct netbuf *spare, *arrived, **arrived_end;
	void *in_ring[TX_MAX];
	unsigned int in_ring_count;
	bool full; /* a frame was refused: to be told when there is room again */
} devices[PORTS];

static struct device *device_of(struct netdev *d)
{
	return container_of(d, struct device, netdev);
}

static void look_at(unsigned int port, const uint8_t *frame, size_t bytes);

static int device_transmit(struct netdev *d, const struct netdev_tx *tx)
{
	static uint8_t sent[70000];
	struct device *device = device_of(d);
	size_t bytes = 0;

	if (device->in_ring_count == TX_MAX) {
		device->full = true;
		return -ENOBUFS;
	}
	assert(tx->frag_count <= NETDEV_MAX_FRAGS);
	for (unsigned int i = 0; i < tx->frag_count; i++) {
		assert(bytes + tx->frags[i].bytes <= sizeof(sent));
		memcpy(sent + bytes, tx->frags[i].data, tx->frags[i].bytes);
		bytes += tx->frags[i].bytes;
	}
	assert(bytes >= ETH_BYTES && bytes <= UINT16_MAX + (size_t)ETH_BYTES);
	assert(tx->gso_bytes || bytes <= ETH_BYTES + 1500);
	assert(!tx->csum_offset || tx->csum_start + tx->csum_offset + 2u <= bytes);
	assert(!tx->gso_bytes || tx->header_bytes < bytes);
	assert(!tx->gso_bytes || d->features & NETDEV_TX_TSO4);
	device->in_ring[device->in_ring_count++] = tx->cookie;
	look_at((unsigned int)(device - devices), sent, bytes);
	return 0;
}

static void device_flush(struct netdev *d)
{
	(void)d;
}

static bool honest; /* everybody answers, and nobody lies; the devices work as they should */
static bool slow;   /* the devices do not send at once */

static void device_reap(struct netdev *d)
{
	struct device *device = device_of(d);

	if (slow && !honest)
		return;
	while (device->in_ring_count)
		d->transmit_done(d, device->in_ring[--device->in_ring_count]);
	device->full = false;
}

static struct netbuf *device_receive(struct netdev *d)
{
	struct device *device = device_of(d);
	struct netbuf *nb = device->arrived, *last = nb;

	if (!nb)
		return NULL;
	for (d->held_count++; last->flags & ~0xffu; last = last->next) {
		last->flags &= 0xff; /* a fragment follows */
		d->held_count++;
	}
	device->arrived = last->next;
	last->next = NULL;
	if (!device->arrived)
		device->arrived_end = &device->arrived;
	return nb;
}

static void device_refill(struct netdev *d)
{
	struct device *device = device_of(d);

	while (d->free_list) {
		struct netbuf *nb = d->free_list;

		d->free_list = nb->next;
		d->free_count--;
		free(nb->data);
		nb->data = NULL;
		nb->next = device->spare;
		device->spare = nb;
	}
}

static bool device_arm(struct netdev *d)
{
	return device_of(d)->arrived;
}

static const struct netdev_ops device_ops = {
    .transmit = device_transmit,
    .flush = device_flush,
    .reap = device_reap,
    .receive = device_receive,
    .refill = device_refill,
    .arm = device_arm,
};

/* --- Time, and the net thread's work --- */

static void run(void)
{
	for (int turns = 0; serve(); turns++)
		assert(turns < 1000);
}

static struct timer *first_armed(void)
{
	struct timer *first = NULL;

	for (unsigned int i = 0; i < LWIP_ARRAYSIZE(armed); i++) {
		if (armed[i] && (!first || armed[i]->deadline_ns < first->deadline_ns))
			first = armed[i];
	}
	return first;
}

static void pass_answers(void);

static void pass_ns(uint64_t ns)
{
	uint64_t until = now_ns + ns;
	struct timer *t;

	while ((t = first_armed()) != NULL && t->deadline_ns <= until) {
		now_ns = LWIP_MAX(now_ns, t->deadline_ns);
		timer_cancel(t);
		t->expired(t);
		run();
		pass_answers();
	}
	now_ns = until;
}

static struct netif *netif_at(unsigned int port)
{
	return port ? &ports->next->netif : &ports->netif;
}

/* --- A frame arrives --- */

static struct frame earlier; /* to damage others with */

static bool put_fragment(struct device *device, const uint8_t *bytes, size_t count, uint32_t flags)
{
	struct netbuf *nb = device->spare;

	device->spare = nb->next;
	nb->data = __real_malloc(LWIP_MAX(count, WIRE_BYTES));
	memset(nb->data, 0xa5, LWIP_MAX(count, WIRE_BYTES));
	memcpy(nb->data, bytes, count);
	nb->bytes = (uint32_t)count;
	nb->flags = flags;
	nb->next = NULL;
	*device->arrived_end = nb;
	device->arrived_end = &nb->next;
	return nb;
}

static unsigned int spares(const struct device *device)
{
	unsigned int n = 0;

	for (const struct netbuf *nb = device->spare; nb; nb = nb->next)
		n++;
	return n;
}

/* For who looks why something failed. */
#define HISTORY 8
static struct {
	uint64_t number;
	unsigned int port;
	size_t count;
	uint8_t bytes[512];
} history[HISTORY];

static void remember(const struct frame *f)
{
	unsigned int i = (unsigned int)(frame_number++ % HISTORY);

	history[i].number = frame_number;
	history[i].port = f->port;
	history[i].count = f->count;
	memcpy(history[i].bytes, f->bytes, LWIP_MIN(f->count, sizeof(history[i].bytes)));
}

static void arrive(const struct frame *f)
{
	struct device *device = &devices[f->port];
	size_t done = 0, count = f->first_bytes ? f->first_bytes : f->count;

	if (spares(device) < 2 + f->count / 2048)
		run();
	if (spares(device) < 2 + f->count / 2048)
		return;
	remember(f);
	while (done + count < f->count) {
		put_fragment(device, f->bytes + done, count, f->flags | 0x100);
		done += count;
		count = LWIP_MIN(f->count - done, 2048);
	}
	put_fragment(device, f->bytes + done, f->count - done, f->flags);
	netdev_signal(&device->netdev);
}

static void arrive_now(const struct frame *f)
{
	arrive(f);
	run();
}

/* --- What they answer to what the stack sends --- */

#define ANSWERS 32
static struct frame *answers[ANSWERS];
static unsigned int answer_count;

static void answer(const struct frame *f)
{
	struct frame *copy;

	if (answer_count == ANSWERS)
		return;
	copy = __real_malloc(offsetof(struct frame, bytes) + f->count + 1);
	memcpy(copy, f, offsetof(struct frame, bytes) + f->count);
	answers[answer_count++] = copy;
}

/* At once, where nobody lies. Else the main loop does, with other things between. */
static void pass_answers(void)
{
	while (honest && answer_count) {
		struct frame *f = answers[0];

		memmove(answers, answers + 1, --answer_count * sizeof(answers[0]));
		arrive_now(f);
		free(f);
	}
}

static struct frame scratch; /* what is being made up as an answer */

static void arp(struct frame *f, unsigned int port, uint32_t operation, uint32_t from, uint32_t to)
{
	struct ip us = ip4_of(to);

	f->count = 0;
	f->port = port;
	f->flags = 0;
	f->first_bytes = 0;
	put_mac_for(f, &us);
	put_peer_mac(f, from & 255);
	put16(f, TYPE_ARP);
	put(f, (const uint8_t[]){0, 1, 8, 0, 6, 4}, 6);
	put16(f, operation);
	put_peer_mac(f, from & 255);
	put32(f, from);
	put_own_mac(f, port);
	put32(f, to);
}

static void answer_arp(unsigned int port, const uint8_t *frame)
{
	if (get16(frame + 20) != 1 || (!honest && one_in(4)))
		return;
	if (memcmp(frame + 28, frame + 38, 4) == 0) /* says who it is itself */
		return;
	arp(&scratch, port, 2, get32(frame + 38), get32(frame + 28));
	answer(&scratch);
}

static struct ip ip6_in(const uint8_t *bytes)
{
	struct ip ip = {.v6 = true};

	memcpy(ip.bytes, bytes, 16);
	return ip;
}

static void nd_option(struct frame *f, uint32_t kind, uint32_t peer)
{
	put8(f, kind);
	put8(f, 1);
	put_peer_mac(f, peer);
}

/* Somebody has that address, or wants it, too. */
static void claim_address(unsigned int port, const struct ip *address)
{
	struct ip none = {.v6 = true}, all = ip6_of(0xff020000, 0, 0, 1),
	          node = ip6_of(0xff020000, 0, 1, 0xff000000 | get32(address->bytes + 12));
	bool wants = one_in(2);

	start_ip(&scratch, port, ICMP6, wants ? &none : address, wants ? &node : &all, 255);
	put32(&scratch, wants ? 135u << 24 : 136u << 24);
	put32(&scratch, wants ? 0 : 0x20000000);
	put(&scratch, address->bytes, 16);
	if (!wants)
		nd_option(&scratch, 2, 9);
	make_right(&scratch, true);
	answer(&scratch);
}

static void answer_solicitation(unsigned int port, const uint8_t *ip)
{
	struct ip from = ip6_in(ip + 48), to = ip6_in(ip + 8);

	if (get32(to.bytes) == 0) { /* is there anybody of that address? */
		if (!honest && one_in(4))
			claim_address(port, &from);
		return;
	}
	if (!honest && one_in(4))
		return;
	start_ip(&scratch, port, ICMP6, &from, &to, 255);
	put32(&scratch, 136u << 24);
	put32(&scratch, 0x60000000);
	put(&scratch, from.bytes, 16);
	nd_option(&scratch, 2, from.bytes[15]);
	make_right(&scratch, true);
	answer(&scratch);
}

/* What was asked of a name server last. */
static struct {
	unsigned int port;
	struct ip from, to;
	uint8_t payload[300];
	size_t count, udp_source;
} query;

static void dhcp_message(struct frame *f, unsigned int port, uint32_t type, uint32_t address)
{
	struct ip server = ip4_of(0xc0a80701), all = ip4_of(0xffffffff);
	const struct dhcp *dhcp = netif_dhcp_data(netif_at(port));

	start_ip(f, port, UDP, &server, &all, 64);
	put16(f, 67);
	put16(f, 68);
	put32(f, 0);
	put32(f, 0x02010600);
	put32(f, dhcp ? dhcp->xid : 0);
	put32(f, 0);
	put32(f, 0);
	put32(f, address);
	put32(f, 0xc0a80701);
	put32(f, 0);
	put_own_mac(f, port);
	for (int i = 0; i < 10 + 64 + 128; i++)
		put8(f, 0);
	put32(f, 0x63825363);
	put16(f, 53 << 8 | 1);
	put8(f, type);
}

static void dhcp_option32(struct frame *f, uint32_t option, uint32_t value)
{
	put8(f, option);
	put8(f, 4);
	put32(f, value);
}

static void answer_dhcp(unsigned int port)
{
	const struct dhcp *dhcp = netif_dhcp_data(netif_at(port));

	if (!dhcp || (!honest && one_in(3)))
		return;
	dhcp_message(&scratch, port, dhcp->state == DHCP_STATE_SELECTING ? 2 : 5, 0xc0a80702);
	dhcp_option32(&scratch, 54, 0xc0a80701);
	dhcp_option32(&scratch, 1, 0xffffff00);
	dhcp_option32(&scratch, 3, 0xc0a80701);
	dhcp_option32(&scratch, 6, 0xc0a80701);
	dhcp_option32(&scratch, 51, honest ? 3600 : one_in(3) ? ANY_OF(edges) : 300);
	put8(&scratch, 255);
	make_right(&scratch, true);
	answer(&scratch);
}

/* Counted, for who waits for an answer. */
static struct {
	unsigned int arp_replies, pings4, pings6, advertisements, datagrams;
	unsigned int last_port, last_mac;
} seen;

/* Of a connection to this port. */
#define CLIENT_PORT 33333
static struct {
	bool any;
	uint32_t seq, ack;
	uint8_t flags;
	size_t bytes; /* of data */
} to_client;

static void look_at_tcp(const uint8_t *tcp, size_t bytes)
{
	size_t header = (tcp[12] >> 4) * 4u;

	assert(bytes >= header && header >= 20);
	if (get16(tcp + 2) != CLIENT_PORT)
		return;
	to_client.any = true;
	to_client.seq = get32(tcp + 4);
	to_client.ack = get32(tcp + 8);
	to_client.flags |= tcp[13];
	to_client.bytes = bytes - header;
}

static void look_at_udp(unsigned int port, const struct ip *from, const struct ip *to,
                        const uint8_t *udp, size_t bytes)
{
	assert(bytes >= 8 && get16(udp + 4) == bytes);
	if (get16(udp + 2) == 67)
		answer_dhcp(port);
	if (get16(udp + 2) == CLIENT_PORT)
		seen.datagrams++;
	if (get16(udp + 2) != 53 || bytes - 8 > sizeof(query.payload))
		return;
	query.port = port;
	query.from = *from;
	query.to = *to;
	query.udp_source = get16(udp);
	query.count = bytes - 8;
	memcpy(query.payload, udp + 8, query.count);
}

static void look_at4(unsigned int port, const uint8_t *ip, size_t bytes)
{
	size_t header = (ip[0] & 15) * 4u;
	struct ip from = ip4_of(get32(ip + 12)), to = ip4_of(get32(ip + 16));

	assert(bytes >= IP4_BYTES && ip[0] >> 4 == 4 && header >= IP4_BYTES && header <= bytes);
	assert(get16(ip + 2) == bytes);
	if (get16(ip + 6) & 0x3fff)
		return;
	if (ip[9] == TCP)
		look_at_tcp(ip + header, bytes - header);
	else if (ip[9] == UDP)
		look_at_udp(port, &from, &to, ip + header, bytes - header);
	else if (ip[9] == ICMP)
		seen.pings4 += ip[header] == 0;
}

static void look_at6(unsigned int port, const uint8_t *ip, size_t bytes)
{
	struct ip from = ip6_in(ip + 8), to = ip6_in(ip + 24);
	uint8_t next;
	size_t at;

	assert(bytes >= IP6_BYTES && ip[0] >> 4 == 6 && get16(ip + 4) + IP6_BYTES == bytes);
	at = skip_extensions(ip, bytes, &next);
	if (next == TCP)
		look_at_tcp(ip + at, bytes - at);
	else if (next == UDP)
		look_at_udp(port, &from, &to, ip + at, bytes - at);
	if (next != ICMP6)
		return;
	if (ip[at] == 135)
		answer_solicitation(port, ip);
	seen.pings6 += ip[at] == 129;
	seen.advertisements += ip[at] == 136;
}

static void look_at(unsigned int port, const uint8_t *frame, size_t bytes)
{
	const uint8_t *rest = frame + ETH_BYTES;

	seen.last_port = port;
	seen.last_mac = frame[5];
	switch (get16(frame + 12)) {
	case TYPE_ARP:
		assert(bytes >= ETH_BYTES + 28);
		seen.arp_replies += get16(frame + 20) == 2;
		answer_arp(port, frame);
		break;
	case TYPE_IP4:
		look_at4(port, rest, bytes - ETH_BYTES);
		break;
	case TYPE_IP6:
		look_at6(port, rest, bytes - ETH_BYTES);
		break;
	default:
		fail_msg("a frame of no known type");
	}
}

/* --- Addresses --- */

static struct ip ip_of(const ip_addr_t *address)
{
	const u32_t *a = ip_2_ip6(address)->addr;

	if (IP_IS_V4(address))
		return ip4_of(lwip_ntohl(ip_2_ip4(address)->addr));
	return ip6_of(lwip_ntohl(a[0]), lwip_ntohl(a[1]), lwip_ntohl(a[2]), lwip_ntohl(a[3]));
}

/* Ours, or if none is there yet, what will be. */
static struct ip our_ip(unsigned int port, bool v6)
{
	const struct netif *netif = netif_at(port);
	int i = (int)below(LWIP_IPV6_NUM_ADDRESSES);

	if (!v6)
		return ip4_of(lwip_ntohl(netif_ip4_addr(netif)->addr));
	if (one_in(2) || ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)))
		i = 0;
	return ip_of(netif_ip_addr6(netif, i));
}

static struct ip peer_ip(unsigned int port, bool v6)
{
	uint32_t number = one_in(2) ? 1 : 3 + below(one_in(16) ? 200 : 4);

	if (!v6) {
		if (one_in(4))
			return ip4_of(0x08080808 + below(3));
		return ip4_of((port ? 0xc0a80700 : 0x0a000000) + number);
	}
	if (one_in(4))
		return ip6_of(0x20010db8, one_in(2) ? port : 0xffff, 0, number);
	return ip6_of(0xfe800000, 0, 0, number);
}

/* One that a packet should not be from. */
static struct ip odd_ip(unsigned int port, bool v6)
{
	static const uint32_t odd4[] = {0,          0xffffffff, 0x7f000001, 0xe0000001, GROUP4,
	                                0x0a0000ff, 0xc0a807ff, 0xf0000001, 0x0a000000};
	static const uint32_t odd6[][4] = {{0, 0, 0, 0},
	                                   {0, 0, 0, 1},
	                                   {0, 0, 0xffff, 0x0a000001},
	                                   {0xff020000, 0, 0, 1},
	                                   {0xff020000, 0, 0, 0x1234},
	                                   {0xff010000, 0, 0, 1},
	                                   {0xff050000, 0, 0, 2},
	                                   {0xfec00000, 0, 0, 1}};
	uint32_t i = below(8);

	if (one_in(3))
		return our_ip(port, v6);
	return v6 ? ip6_of(odd6[i][0], odd6[i][1], odd6[i][2], odd6[i][3]) : ip4_of(ANY_OF(odd4));
}

static struct ip some_source(unsigned int port, bool v6)
{
	return one_in(20) ? odd_ip(port, v6) : peer_ip(port, v6);
}

static struct ip some_group(unsigned int port, bool v6)
{
	static const uint32_t groups4[] = {0xe0000001, GROUP4, 0xffffffff, 0x0a0000ff, 0xc0a807ff};
	struct ip us = our_ip(port, true);

	if (!v6)
		return ip4_of(ANY_OF(groups4));
	switch (below(3)) {
	case 0:
		return ip6_of(0xff020000, 0, 1, 0xff000000 | get32(us.bytes + 12));
	case 1:
		return ip6_of(0xff020000, 0, 0, 0x1234);
	}
	return ip6_of(0xff020000, 0, 0, 1);
}

static struct ip some_destination(unsigned int port, bool v6)
{
	return one_in(20) ? odd_ip(port, v6) : one_in(6) ? some_group(port, v6) : our_ip(port, v6);
}

static void start_some(struct frame *f, uint32_t protocol, bool v6)
{
	unsigned int port = below(PORTS);
	struct ip from = some_source(port, v6), to = some_destination(port, v6);

	start_ip(f, port, protocol, &from, &to, one_in(8) ? below(256) : 64);
}

/* --- Frames of every kind --- */

static void some_arp(struct frame *f)
{
	unsigned int port = below(PORTS);
	struct ip from = some_source(port, false), to = some_destination(port, false);

	arp(f, port, 1 + below(2), get32(from.bytes), get32(to.bytes));
	if (one_in(4))
		set32(f->bytes + 38, get32(from.bytes)); /* about itself */
}

static void dhcp_options(struct frame *f)
{
	static const uint8_t kinds[] = {1,  3,  6,  12, 15, 28, 42, 50, 51, 51,
	                                53, 54, 55, 57, 58, 59, 61, 66, 67, 255};

	for (uint32_t n = below(12); n; n--) {
		uint32_t kind = ANY_OF(kinds), bytes = one_in(3) ? below(40) : 4 * (1 + below(2));

		if (one_in(10)) {
			put8(f, 0);
			continue;
		}
		put8(f, kind);
		put8(f, one_in(30) ? below(256) : bytes);
		for (uint32_t i = 0; i < bytes; i++)
			put8(f, one_in(2) ? random32() : ANY_OF(edges));
	}
}

static void some_dhcp(struct frame *f)
{
	static const uint8_t types[] = {2, 2, 2, 5, 5, 5, 5, 6, 4};

	dhcp_message(f, 1, one_in(30) ? below(10) : ANY_OF(types),
	             one_in(16) ? random32() : 0xc0a80702);
	if (one_in(8)) { /* more options in the other fields */
		put(f, (const uint8_t[]){52, 1, (uint8_t)below(5)}, 3);
		size_t count = f->count;

		f->count = ETH_BYTES + IP4_BYTES + 8 + (one_in(2) ? 44 : 108);
		dhcp_options(f);
		f->count = LWIP_MAX(count, f->count);
	}
	if (!one_in(8))
		dhcp_option32(f, 54, 0xc0a80701);
	if (!one_in(4))
		dhcp_option32(f, 1, one_in(4) ? random32() : 0xffffff00);
	if (!one_in(4))
		dhcp_option32(f, 51, one_in(2) ? ANY_OF(edges) : 60 * below(20));
	if (one_in(3))
		dhcp_option32(f, 58, one_in(2) ? ANY_OF(edges) : 60 * below(20));
	if (one_in(3))
		dhcp_option32(f, 59, one_in(2) ? ANY_OF(edges) : 60 * below(20));
	dhcp_options(f);
	if (!one_in(8))
		put8(f, 255);
}

static void dns_record(struct frame *f, size_t payload)
{
	static const uint8_t types[] = {1, 1, 28, 28, 5, 12, 255, 0};
	uint32_t type = ANY_OF(types);

	if (one_in(3))
		put(f, "\1a\3bcd", 6 + one_in(2));
	if (!one_in(4))
		put16(f, 0xc000 | (one_in(4) ? (uint32_t)(f->count - payload) : 12));
	put16(f, type);
	put16(f, 1);
	put32(f, one_in(2) ? ANY_OF(edges) : 60);
	put16(f, one_in(8) ? below(40) : type == 28 ? 16 : 4);
	for (uint32_t i = 0; i < (type == 28 ? 16 : 4); i++)
		put8(f, random32());
}

static void some_dns(struct frame *f)
{
	uint32_t records = below(one_in(10) ? 300 : 5);
	size_t payload;

	if (!query.count) {
		some_arp(f);
		return;
	}
	start_ip(f, query.port, UDP, &query.to, &query.from, 64);
	put16(f, 53);
	put16(f, (uint32_t)query.udp_source);
	put32(f, 0);
	payload = f->count;
	put(f, query.payload, query.count);
	f->bytes[payload + 2] = 0x81;
	f->bytes[payload + 3] = one_in(4) ? (uint8_t)below(16) : 0x80;
	set16(f->bytes + payload + 6, one_in(8) ? ANY_OF(edges) : records);
	while (records--)
		dns_record(f, payload);
}

static void put_tcp(struct frame *f, const struct tcp_pcb *pcb);
static const struct tcp_pcb *some_connection(void);
static void start_tcp(struct frame *f, const struct tcp_pcb *pcb);

/* What an error is about: a packet of ours, mostly a connection's. */
static void put_quote(struct frame *f, bool v6)
{
	const struct tcp_pcb *pcb = some_connection();
	struct ip from = our_ip(f->port, v6), to = peer_ip(f->port, v6);
	static struct frame quoted;
	uint8_t swap[16];
	uint8_t *addresses = quoted.bytes + ETH_BYTES + (v6 ? 8 : 12);

	if (pcb && !one_in(3)) {
		start_tcp(&quoted, pcb);
		put_tcp(&quoted, pcb);
		size_t n = get16(quoted.bytes + 12) == TYPE_IP6 ? 16 : 4;

		addresses = quoted.bytes + ETH_BYTES + (n == 16 ? 8 : 12);
		memcpy(swap, addresses, n);
		memcpy(addresses, addresses + n, n);
		memcpy(addresses + n, swap, n);
	} else {
		start_ip(&quoted, f->port, one_in(2) ? UDP : ICMP, &from, &to, 64);
		put16(&quoted, ECHO_PORT);
		put16(&quoted, ECHO_PORT);
		put_text(&quoted, 30);
	}
	make_right(&quoted, true);
	put(f, quoted.bytes + ETH_BYTES,
	    one_in(4) ? below(quoted.count - ETH_BYTES) : LWIP_MIN(quoted.count - ETH_BYTES, 600));
}

static const uint32_t mtus[] = {0,    1,    68,   296,  1279,  1280,  1281,
                                1400, 1499, 1500, 1501, 65535, 65536, UINT32_MAX};

static void some_icmp(struct frame *f)
{
	static const uint8_t types[] = {0, 3, 3, 4, 5, 8, 8, 9, 10, 11, 12, 13, 17};
	uint32_t type = ANY_OF(types);

	start_some(f, ICMP, false);
	put8(f, type);
	put8(f, type == 8 ? 0 : below(16));
	put16(f, 0);
	put32(f, one_in(2) ? ANY_OF(mtus) : random32());
	if (type == 8 || type == 0)
		put_text(f, below(one_in(20) ? 9000 : one_in(4) ? 1460 : 64));
	else
		put_quote(f, false);
}

static void some_igmp(struct frame *f)
{
	static const uint8_t types[] = {0x11, 0x11, 0x11, 0x16, 0x12, 0x17, 0x22};
	unsigned int port = below(PORTS);
	struct ip from = peer_ip(port, false),
	          to = one_in(3) ? ip4_of(GROUP4) : some_destination(port, false);

	if (one_in(2))
		to = ip4_of(0xe0000001);
	start_ip(f, port, IGMP, &from, &to, 1);
	put8(f, ANY_OF(types));
	put8(f, one_in(4) ? 0 : ANY_OF(edges));
	put16(f, 0);
	put32(f, one_in(2) ? 0 : one_in(4) ? random32() : GROUP4);
	if (one_in(3))
		put_text(f, below(40));
	if (one_in(2))
		put_extension(f);
}

static void some_udp(struct frame *f)
{
	bool v6 = one_in(2);

	start_some(f, UDP, v6);
	put16(f, one_in(4) ? CLIENT_PORT : 1024 + below(60000));
	put16(f, one_in(4) ? below(65536) : one_in(4) ? 68 : ECHO_PORT);
	put32(f, 0);
	put_text(f, below(one_in(20) ? 9000 : one_in(4) ? 1464 : 64));
}

static unsigned int port_of_pcb(const struct tcp_pcb *pcb)
{
	if (!IP_IS_V4(&pcb->remote_ip))
		return ip_2_ip6(&pcb->local_ip)->zone == netif_get_index(netif_at(1));
	return pcb->local_ip.u_addr.ip4.addr == netif_ip4_addr(netif_at(1))->addr;
}

/* One of those in the list, or NULL. */
static const struct tcp_pcb *some_connection(void)
{
	const struct tcp_pcb *list = one_in(10) ? tcp_tw_pcbs : tcp_active_pcbs, *pcb;
	uint32_t count = 0;

	for (pcb = list; pcb; pcb = pcb->next)
		count++;
	count = below(count);
	for (pcb = list; pcb && count; pcb = pcb->next)
		count--;
	return pcb;
}

static void start_tcp(struct frame *f, const struct tcp_pcb *pcb)
{
	struct ip from = ip_of(&pcb->remote_ip), to = ip_of(&pcb->local_ip);

	start_ip(f, port_of_pcb(pcb), TCP, &from, &to, 64);
}

static void tcp_options(struct frame *f, size_t header, const struct tcp_pcb *pcb, bool syn)
{
	size_t at = f->count;

	for (uint32_t n = syn ? 1 + below(4) : below(3); n; n--) {
		uint32_t kind = syn ? below(6) : one_in(4) ? random32() % 256 : 5;

		if (kind == 0 && one_in(2))
			break;
		put8(f, kind);
		if (kind <= 1)
			continue;
		put8(f, one_in(20)  ? below(16)
		        : kind == 2 ? 4
		        : kind == 3 ? 3
		        : kind == 4 ? 2
		                    : 10);
		if (kind == 2)
			put16(f, one_in(2) ? ANY_OF(edges) : 1460);
		else if (kind == 3)
			put8(f, one_in(3) ? below(256) : below(15));
		else if (kind == 5)
			for (int i = 0; i < 2; i++)
				put32(f, (pcb ? pcb->lastack : 0) + below(3000));
	}
	while ((f->count - at) % 4)
		put8(f, 1);
	if (f->count - at > 40)
		f->count = at + 40;
	f->bytes[header + 12] = (uint8_t)((5 + (f->count - at) / 4) << 4);
}

/* The next segment of a connection, or one from about there. */
static void put_tcp(struct frame *f, const struct tcp_pcb *pcb)
{
	static const uint8_t some_flags[] = {0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x19,
	                                     0x04, 0x14, 0x02, 0x12, 0x30, 0x00, 0x3f};
	bool right = !one_in(3), fresh = pcb->state == SYN_SENT;
	uint32_t flags = right ? 0x10 | 8 * one_in(2) | one_in(40) : ANY_OF(some_flags),
	         wnd = pcb->rcv_wnd, seq = pcb->rcv_nxt, ack = pcb->snd_nxt;
	size_t header = f->count;

	if (flags & 4 && !one_in(4))
		flags = 0x10;
	if (!right) {
		seq += one_in(2) ? below(3000) : one_in(2) ? wnd + below(5) - 3 : -below(3000);
		if (one_in(8))
			seq = random32();
	}
	if (!right || one_in(4))
		ack = one_in(3)   ? pcb->lastack
		      : one_in(3) ? pcb->lastack + below(pcb->snd_nxt - pcb->lastack + 2)
		      : one_in(4) ? pcb->lastack - below(5)
		      : one_in(4) ? random32()
		                  : pcb->snd_nxt;
	if (fresh && !one_in(4)) {
		flags = one_in(16) ? 2 : 0x12;
		seq = random32();
	}
	put16(f, pcb->remote_port);
	put16(f, pcb->local_port);
	put32(f, seq);
	put32(f, ack);
	put8(f, 0x50);
	put8(f, flags);
	put16(f, one_in(4) ? ANY_OF(edges) : 0x2000 + below(0x8000));
	put32(f, one_in(8) ? random32() & 0xffff : 0);
	if (fresh || one_in(6))
		tcp_options(f, header, pcb, flags & 2);
	if (one_in(2))
		put_text(f, one_in(40)  ? below(60000)
		            : one_in(8) ? LWIP_MIN(wnd, 64000) + below(3)
		                        : below(one_in(2) ? 1461 : 40));
}

/* To the listener, or to nobody. */
static void some_syn(struct frame *f)
{
	struct tcp_pcb none = {.rcv_wnd = 4000};
	size_t header;

	start_some(f, TCP, one_in(2));
	header = f->count;
	none.local_port = (u16_t)(one_in(8) ? below(65536) : ECHO_PORT);
	none.remote_port = (u16_t)(one_in(4) ? below(65536) : 40000 + below(64));
	put_tcp(f, &none);
	if (one_in(4))
		return;
	f->bytes[header + 13] = one_in(16) ? 3 : 2;
	f->count = header + 20;
	tcp_options(f, header, NULL, true);
}

static void some_tcp(struct frame *f)
{
	const struct tcp_pcb *pcb = some_connection();

	if (!pcb || one_in(24)) {
		some_syn(f);
		return;
	}
	start_tcp(f, pcb);
	put_tcp(f, pcb);
}

static void some_icmp6(struct frame *f)
{
	static const uint8_t types[] = {1, 2, 2, 2, 3, 4, 128, 128, 129, 5, 100, 255, 138};
	uint32_t type = ANY_OF(types);

	start_some(f, ICMP6, true);
	put8(f, type);
	put8(f, type >= 128 ? 0 : below(8));
	put16(f, 0);
	put32(f, one_in(2) ? ANY_OF(mtus) : random32());
	if (type >= 128)
		put_text(f, below(one_in(20) ? 9000 : one_in(4) ? 1440 : 64));
	else
		put_quote(f, true);
}

static void ra_options(struct frame *f, unsigned int port)
{
	for (uint32_t n = below(5); n; n--) {
		size_t at = f->count;
		uint32_t units = 1, s = one_in(2) ? ANY_OF(edges) : 600;

		switch (below(7)) {
		case 0:
			nd_option(f, 1, 1);
			break;
		case 1:
			put32(f, 0x05010000);
			put32(f, one_in(2) ? ANY_OF(mtus) : 1280 + below(221));
			break;
		case 2:
		case 3:
			put16(f, 0x0304);
			put8(f, one_in(8) ? below(256) : 64);
			put8(f, one_in(4) ? random32() : 0xc0);
			put32(f, one_in(8) ? UINT32_MAX : one_in(3) ? s : 1200);
			put32(f, one_in(8) ? UINT32_MAX : s);
			put32(f, 0);
			put32(f, one_in(16) ? 0xfe800000 : 0x20010db8);
			put32(f, one_in(16) ? random32() : one_in(2) ? port : below(4));
			put32(f, 0);
			put32(f, 0);
			break;
		case 4:
			units = 1 + 2 * below(6);
			put8(f, 25);
			put8(f, units);
			put16(f, 0);
			put32(f, one_in(3) ? 0 : s);
			for (uint32_t i = 1; i < units; i += 2) {
				struct ip server = peer_ip(port, true);

				put(f, server.bytes, 16);
			}
			break;
		case 5:
			put32(f, 0x18030000 | below(129) << 8);
			put32(f, s);
			put32(f, 0x20010db8);
			put32(f, 0);
			put32(f, 0);
			put32(f, 0);
			break;
		case 6:
			put8(f, below(256));
			put8(f, 1 + below(4));
			while (f->count - at < 8u * f->bytes[at + 1])
				put8(f, random32());
		}
		if (one_in(40))
			f->bytes[at + 1] = (uint8_t)ANY_OF(edges);
	}
}

static struct ip solicited_node(const struct ip *of)
{
	return ip6_of(0xff020000, 0, 1, 0xff000000 | get32(of->bytes + 12));
}

static const struct ip nobody = {.v6 = true};

static void router_message(struct frame *f, unsigned int port)
{
	struct ip router = ip6_of(0xfe800000, 0, 0, one_in(3) ? 1 : 1 + below(8)),
	          all = some_group(port, true);

	if (one_in(2))
		all = ip6_of(0xff020000, 0, 0, 1);
	start_ip(f, port, ICMP6, &router, &all, 255);
	if (one_in(20)) {
		put32(f, 133u << 24);
		put32(f, 0);
		nd_option(f, 1, 1);
		return;
	}
	put32(f, 134u << 24);
	put8(f, 64);
	put8(f, random32());
	put16(f, one_in(3) ? ANY_OF(edges) : 60 + below(600));
	put32(f, one_in(4) ? ANY_OF(edges) << 8 : 0);
	put32(f, 0);
	ra_options(f, port);
}

static void neighbour_message(struct frame *f, unsigned int port)
{
	struct ip peer = peer_ip(port, true), us = our_ip(port, true), to = us;
	bool asks = one_in(2), about_us = asks ? !one_in(8) : one_in(50);

	if (asks && one_in(2))
		to = solicited_node(&us);
	if (asks && one_in(20))
		peer = nobody;
	if (!asks && one_in(4))
		to = ip6_of(0xff020000, 0, 0, 1);
	start_ip(f, port, ICMP6, &peer, &to, 255);
	put32(f, asks ? 135u << 24 : 136u << 24);
	put32(f, asks ? 0 : random32() & 0xe0000000);
	put(f, about_us ? us.bytes : peer.bytes, 16);
	while (!one_in(3))
		nd_option(f, one_in(8) ? below(40) : asks ? 1 : 2, 1 + below(8));
}

static void redirect_message(struct frame *f, unsigned int port)
{
	struct ip router = ip6_of(0xfe800000, 0, 0, 1), us = our_ip(port, true),
	          better = peer_ip(port, true), about = peer_ip(port, true);
	int i = (int)below(LWIP_ND6_NUM_DESTINATIONS);

	if (!one_in(3)) { /* what it does send by somebody */
		ip_addr_t to, hop;

		ip_addr_copy_from_ip6(to, destination_cache[i].destination_addr);
		ip_addr_copy_from_ip6(hop, destination_cache[i].next_hop_addr);
		about = ip_of(&to);
		router = ip_of(&hop);
	}
	start_ip(f, port, ICMP6, &router, &us, 255);
	put32(f, 137u << 24);
	put32(f, 0);
	put(f, one_in(3) ? about.bytes : better.bytes, 16);
	put(f, about.bytes, 16);
	if (one_in(2))
		nd_option(f, 2, better.bytes[15]);
	if (one_in(2)) {
		put32(f, 0x04080000);
		put32(f, 0);
		put_quote(f, true);
		f->count -= (f->count - ETH_BYTES - IP6_BYTES) % 8;
	}
}

static void listener_message(struct frame *f, unsigned int port)
{
	static const uint8_t types[] = {130, 130, 130, 131, 132, 143};
	struct ip from = ip6_of(0xfe800000, 0, 0, 1), group = some_group(port, true);

	start_ip(f, port, ICMP6, &from, &group, 1);
	put8(f, ANY_OF(types));
	put8(f, 0);
	put16(f, 0);
	put16(f, ANY_OF(edges));
	put16(f, 0);
	put(f, one_in(2) ? nobody.bytes : group.bytes, 16);
	if (one_in(3))
		put_text(f, below(40));
	if (one_in(2)) {
		move_bytes(f, ETH_BYTES + IP6_BYTES, ETH_BYTES + IP6_BYTES + 8);
		memcpy(f->bytes + ETH_BYTES + IP6_BYTES,
		       (const uint8_t[]){ICMP6, 0, 5, 2, 0, 0, 1, 0}, 8);
		f->bytes[ETH_BYTES + 6] = HOP_BY_HOP;
	}
}

static void some_nd(struct frame *f)
{
	unsigned int port = below(PORTS);

	switch (below(6)) {
	case 0:
	case 1:
		router_message(f, port);
		break;
	case 2:
	case 3:
		neighbour_message(f, port);
		break;
	case 4:
		redirect_message(f, port);
		break;
	case 5:
		listener_message(f, port);
	}
}

static void some_other(struct frame *f)
{
	start_some(f, below(256), one_in(2));
	put_text(f, below(200));
	if (one_in(4))
		set16(f->bytes + 12, random32());
}

static void some_frame(struct frame *f)
{
	static void (*const makers[])(struct frame *) = {
	    some_arp, some_dhcp, some_dns, some_icmp,  some_igmp, some_udp,  some_tcp, some_tcp,
	    some_tcp, some_tcp,  some_tcp, some_nd,    some_nd,   some_nd,   some_nd,  some_tcp,
	    some_syn, some_udp,  some_tcp, some_icmp6, some_dhcp, some_other};

	ANY_OF(makers)(f);
	make_right(f, true);
}

/* --- In fragments --- */

struct piece {
	size_t at, count;
};

static void fragment_header(struct frame *f, const struct frame *whole, const struct piece *piece,
                            bool more, uint32_t id)
{
	bool v6 = get16(whole->bytes + 12) == TYPE_IP6;
	size_t header = ETH_BYTES + (v6 ? IP6_BYTES : (whole->bytes[ETH_BYTES] & 15u) * 4);

	f->count = 0;
	f->port = whole->port;
	f->flags = 0;
	f->first_bytes = 0;
	put(f, whole->bytes, header);
	if (v6) {
		f->bytes[ETH_BYTES + 6] = id % 4 ? FRAGMENT : HOP_BY_HOP;
		if (id % 4 == 0)
			put(f, (const uint8_t[]){id % 8 ? FRAGMENT : OPTIONS, 0, 1, 4, 0, 0, 0, 0},
			    8);
		if (id % 8 == 0)
			put(f, (const uint8_t[]){FRAGMENT, 0, 1, 4, 0, 0, 0, 0}, 8);
		put8(f, whole->bytes[ETH_BYTES + 6]);
		put8(f, 0);
		put16(f, (uint32_t)piece->at | more);
		put32(f, id);
	} else {
		set16(f->bytes + ETH_BYTES + 4, id);
		set16(f->bytes + ETH_BYTES + 6, (uint32_t)piece->at / 8 | (more ? 0x2000 : 0));
	}
	put(f, whole->bytes + header + piece->at, piece->count);
	make_right(f, true);
}

static bool is_open(const struct tcp_pcb *pcb)
{
	const struct tcp_pcb *p = tcp_active_pcbs;

	while (p && p != pcb)
		p = p->next;
	return p;
}

/* Very many short segments, none of which is the next. */
static void arrive_out_of_order(void)
{
	static struct frame f;
	const struct tcp_pcb *pcb = some_connection();

	for (uint32_t n = 60, at = 1; n && is_open(pcb); n--, at += below(20)) {
		start_tcp(&f, pcb);
		put16(&f, pcb->remote_port);
		put16(&f, pcb->local_port);
		put32(&f, pcb->rcv_nxt + at);
		put32(&f, pcb->lastack);
		put32(&f, 0x50101000 + (one_in(60) << 16));
		put32(&f, 0);
		put_text(&f, 1 + below(20));
		make_right(&f, true);
		arrive_now(&f);
	}
}

static void arrive_in_fragments(const struct frame *whole)
{
	static struct frame f;
	static uint32_t last_id;
	bool v6 = get16(whole->bytes + 12) == TYPE_IP6;
	size_t header = ETH_BYTES + (v6 ? IP6_BYTES : (whole->bytes[ETH_BYTES] & 15u) * 4),
	       most = one_in(3)   ? 1400
	              : one_in(2) ? 8
	                          : 8 * (1 + below(40));
	struct piece pieces[64];
	unsigned int count = 0;
	uint32_t id = one_in(20) ? last_id : ++last_id;

	if (whole->count <= header)
		return;
	for (size_t at = 0; at < whole->count - header && count < 64; count++) {
		size_t n = one_in(3) ? 8 * (1 + below(most / 8)) : most;

		pieces[count] = (struct piece){at, LWIP_MIN(n, whole->count - header - at)};
		at += pieces[count].count;
	}
	for (unsigned int left = count; left; left--) {
		unsigned int i = one_in(3) ? below(left) : one_in(2) ? left - 1 : 0;
		struct piece p = pieces[i];
		bool more = p.at + p.count < whole->count - header;

		memmove(pieces + i, pieces + i + 1, (left - i - 1) * sizeof(p));
		if (one_in(30))
			continue;
		if (one_in(30) && p.at >= 8)
			p.at -= 8;
		if (one_in(60))
			p.count = LWIP_MIN(p.count + 8, whole->count - header - p.at);
		fragment_header(&f, whole, &p, one_in(60) ? !more : more, id);
		if (one_in(40))
			damage_some(&f, &earlier);
		arrive_now(&f);
		if (one_in(30))
			arrive_now(&f);
	}
}

/* --- The program on top --- */

#define CONNECTIONS 12
static int listener = -1, datagrams = -1, connections[CONNECTIONS];
static unsigned int asked_names;

static void app_open(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(ECHO_PORT)};
	struct ip_mreqn group4 = {.imr_multiaddr.s_addr = htonl(GROUP4), .imr_ifindex = 2};
	struct ipv6_mreq group6 = {.ipv6mr_interface = 2};

	listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	datagrams = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (void *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(bind(datagrams, (void *)&any, sizeof(any)), 0);
	set32(group6.ipv6mr_multiaddr.s6_addr, 0xff020000);
	set32(group6.ipv6mr_multiaddr.s6_addr + 12, 0x1234);
	setsockopt(datagrams, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group4, sizeof(group4));
	setsockopt(datagrams, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof(group6));
	for (int i = 0; i < CONNECTIONS; i++)
		connections[i] = -1;
}

static void app_close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void app_close(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		app_close_one(&connections[i]);
	app_close_one(&listener);
	app_close_one(&datagrams);
}

static void to_socket_address(struct sockaddr_storage *to, const struct ip *ip, unsigned int port,
                              uint16_t number)
{
	memset(to, 0, sizeof(*to));
	if (!ip->v6) {
		struct sockaddr_in *in = (void *)to;

		in->sin_family = AF_INET;
		in->sin_port = htons(number);
		memcpy(&in->sin_addr, ip->bytes, 4);
	} else {
		struct sockaddr_in6 *in6 = (void *)to;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(number);
		in6->sin6_scope_id = ip->bytes[0] >= 0xfe ? port + 2 : 0;
		memcpy(&in6->sin6_addr, ip->bytes, 16);
	}
}

static void app_connect(int *fd)
{
	unsigned int port = below(PORTS);
	bool v6 = one_in(2);
	struct ip to = peer_ip(port, v6);
	struct sockaddr_storage address;
	int on = 1;

	*fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return;
	to_socket_address(&address, &to, port, (uint16_t)(1000 + below(100)));
	if (one_in(3))
		setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(*fd, (void *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		app_close_one(fd);
}

static void app_send_datagram(void)
{
	static const char bytes[9000];
	unsigned int port = below(PORTS);
	bool v6 = one_in(2);
	struct ip to = one_in(8) ? some_group(port, v6) : peer_ip(port, v6), mapped = to;
	struct sockaddr_storage address;

	if (!v6) { /* by the same socket */
		mapped = ip6_of(0, 0, 0xffff, get32(to.bytes));
	}
	to_socket_address(&address, &mapped, port, ECHO_PORT);
	sendto(datagrams, bytes, below(one_in(4) ? sizeof(bytes) : 1400), 0, (void *)&address,
	       sizeof(address));
}

static void app_answer_datagrams(void)
{
	static char bytes[70000];
	struct sockaddr_storage from;
	socklen_t from_bytes = sizeof(from);
	ssize_t n = recvfrom(datagrams, bytes, sizeof(bytes), 0, (void *)&from, &from_bytes);

	if (n >= 0)
		sendto(datagrams, bytes, (size_t)LWIP_MIN(n, 2000), 0, (void *)&from, from_bytes);
}

static void name_found(const char *name, const ip_addr_t *address, void *arg)
{
	(void)name, (void)address, (void)arg;
	asked_names--;
}

static void app_ask_name(void)
{
	char name[] = "host0.example.org";
	ip_addr_t address;

	name[4] = (char)('0' + below(10));
	net_lock();
	asked_names += dns_gethostbyname_addrtype(name, &address, name_found, NULL,
	                                          (u8_t)below(4)) == ERR_INPROGRESS;
	net_unlock();
}

static void app_serve(int *fd)
{
	static char bytes[20000];
	size_t count = below(one_in(4) ? sizeof(bytes) : 1500);
	ssize_t n;

	switch (below(honest ? 1 : 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		n = recv(*fd, bytes, sizeof(bytes), 0);
		if (n > 0)
			send(*fd, bytes, (size_t)n, MSG_NOSIGNAL);
		else if (n == 0 || errno != EAGAIN)
			app_close_one(fd);
		break;
	case 4:
	case 5:
	case 6:
		send(*fd, bytes, count, MSG_NOSIGNAL);
		break;
	case 7:
	case 8:
	case 9:
		recv(*fd, bytes, count, 0);
		break;
	case 10:
		if (one_in(20))
			shutdown(*fd, (int)below(3));
		break;
	case 11:
		if (one_in(10))
			app_close_one(fd);
		break;
	case 12:
		setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &(int){one_in(2)}, sizeof(int));
	}
}

static void app_accept(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		if (connections[i] >= 0)
			continue;
		connections[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		return;
	}
}

static void app_step(void)
{
	int *fd = &ANY_OF(connections);

	switch (below(12)) {
	case 0:
		app_accept();
		break;
	case 1:
		app_answer_datagrams();
		break;
	case 2:
		if (one_in(4))
			app_send_datagram();
		break;
	case 3:
		if (one_in(4))
			app_ask_name();
		break;
	case 4:
		if (one_in(4) && *fd < 0)
			app_connect(fd);
		break;
	default:
		if (*fd >= 0)
			app_serve(fd);
	}
}

/* --- Checks --- */

static struct frame f;

/* After whatever has been believed: new addresses where others claimed ours, and a new lease. */
static void repair(void)
{
	net_lock();
	for (unsigned int port = 0; port < PORTS; port++) {
		struct netif *netif = netif_at(port);

		for (s8_t i = LWIP_IPV6_NUM_ADDRESSES - 1; i > 0; i--)
			netif_ip6_addr_set_state(netif, i, IP6_ADDR_INVALID);
		if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, 0)))
			netif_ip6_addr_set_state(netif, 0, IP6_ADDR_TENTATIVE);
	}
	dhcp_release_and_stop(netif_at(1));
	dhcp_start(netif_at(1));
	net_unlock();
	run();
	for (int s = 0; s < 200 && !dhcp_supplied_address(netif_at(1)); s++) {
		pass_ns(NS_PER_S);
		pass_answers();
	}
	pass_ns(5 * NS_PER_S);
	assert_int_equal(netif_ip4_addr(netif_at(1))->addr, htonl(0xc0a80702));
}

static void check_addresses(unsigned int port)
{
	struct ip us = our_ip(port, false), peer = ip4_of(port ? 0xc0a80701 : 0x0a000001),
	          peer6 = ip6_of(0xfe800000, 0, 0, 1);
	struct ip us6 = ip_of(netif_ip_addr6(netif_at(port), 0)), node = solicited_node(&us6);

	memset(&seen, 0, sizeof(seen));
	arp(&f, port, 1, get32(peer.bytes), get32(us.bytes));
	arrive_now(&f);
	assert_int_equal(seen.arp_replies, 1);
	start_ip(&f, port, ICMP6, &peer6, &node, 255);
	put32(&f, 135u << 24);
	put32(&f, 0);
	put(&f, us6.bytes, 16);
	nd_option(&f, 1, 1);
	make_right(&f, true);
	arrive_now(&f);
	pass_answers();
	assert_int_equal(seen.advertisements, 1);
	for (int v6 = 0; v6 < 2; v6++) {
		start_ip(&f, port, v6 ? ICMP6 : ICMP, v6 ? &peer6 : &peer, v6 ? &us6 : &us, 64);
		put32(&f, v6 ? 128u << 24 : 8u << 24);
		put32(&f, 1);
		put_text(&f, 56);
		make_right(&f, true);
		arrive_now(&f);
		pass_answers();
		start_ip(&f, port, UDP, v6 ? &peer6 : &peer, v6 ? &us6 : &us, 64);
		put16(&f, CLIENT_PORT);
		put16(&f, ECHO_PORT);
		put32(&f, 0);
		put_text(&f, 40);
		make_right(&f, true);
		arrive_now(&f);
		app_answer_datagrams();
		pass_answers();
	}
	assert_int_equal(seen.pings4, 1);
	assert_int_equal(seen.pings6, 1);
	assert_int_equal(seen.datagrams, 2);
}

/* The client's end of a connection to the program's listener. */
static struct {
	unsigned int port;
	bool v6;
	uint32_t seq, ack, window;
} client;

static void start_client_segment(uint32_t flags)
{
	bool v6 = client.v6;
	struct ip peer = v6 ? ip6_of(0xfe800000, 0, 0, 1)
	                    : ip4_of(client.port ? 0xc0a80701 : 0x0a000001),
	          us = v6 ? ip_of(netif_ip_addr6(netif_at(client.port), 0))
	                  : our_ip(client.port, false);

	start_ip(&f, client.port, TCP, &peer, &us, 64);
	put16(&f, CLIENT_PORT);
	put16(&f, ECHO_PORT);
	put32(&f, client.seq);
	put32(&f, client.ack);
	put16(&f, 0x5000 | flags);
	put16(&f, client.window);
	put32(&f, 0);
}

static void client_segment(uint32_t flags, size_t payload)
{
	start_client_segment(flags);
	put_text(&f, payload);
	make_right(&f, true);
	if (f.count > 2048)
		f.first_bytes = 2048;
	memset(&to_client, 0, sizeof(to_client));
	arrive_now(&f);
	pass_answers();
	client.seq += (uint32_t)payload + (flags & 3 ? 1 : 0);
}

static uint32_t first_window = 8000;

static void client_connect(unsigned int port, bool v6)
{
	client.port = port;
	client.v6 = v6;
	client.seq = random32();
	client.ack = 0;
	client.window = first_window;
	client_segment(2, 0);
	assert_int_equal(to_client.flags, 0x12);
	assert_int_equal(to_client.ack, client.seq);
	client.ack = to_client.seq + 1;
	client_segment(0x10, 0);
	app_accept();
	assert_true(connections[0] >= 0);
}

static void check_connection(unsigned int port, bool v6)
{
	client_connect(port, v6);
	client_segment(0x18, 50);
	app_serve(&connections[0]);
	run();
	assert_int_equal(to_client.bytes, 50);
	assert_int_equal(to_client.ack, client.seq);
	assert_int_equal(to_client.seq, client.ack);
	client.ack += 50;
	client_segment(0x11, 0);
	app_serve(&connections[0]);
	assert_int_equal(connections[0], -1);
	pass_ns(NS_PER_S);
	assert_true(to_client.flags & 1);
	client.ack++;
	client_segment(0x10, 0);
}

static struct net_status usual;

static bool is_given_back(const struct net_status *s)
{
	return !s->tcp_pcbs.used && !s->tcp_segments.used && !s->reassemblies.used &&
	       !s->reassemblies6.used && !s->pbufs.used && !asked_names &&
	       !s->interface[0].rx_buffers_held && !s->interface[1].rx_buffers_held;
}

/* Everything is given back when all is closed and its time is over. */
static void check_leaks(void)
{
	struct net_status s;

	app_close();
	run();
	for (int i = 0; i < 400; i++) {
		pass_ns(10 * NS_PER_S);
		net_status(&s);
		if (is_given_back(&s))
			break;
	}
	assert_int_equal(asked_names, 0);
	assert_int_equal(s.tcp_pcbs.used, 0);
	assert_int_equal(s.tcp_segments.used, 0);
	assert_int_equal(s.tcp_listeners.used, 0);
	assert_int_equal(s.pbufs.used, 0);
	assert_int_equal(s.reassemblies.used, 0);
	assert_int_equal(s.reassemblies6.used, 0);
	assert_int_equal(s.sockets, 0);
	for (unsigned int port = 0; port < PORTS; port++)
		assert_int_equal(s.interface[port].rx_buffers_held, 0);
	repair();
	net_status(&s);
	assert_int_equal(s.udp_pcbs.used, usual.udp_pcbs.used);
	assert_int_equal(s.memory_used_bytes, usual.memory_used_bytes);
}

static void check_all(void)
{
	honest = true;
	refuse_one_in = 0;
	for (unsigned int port = 0; port < PORTS; port++)
		devices[port].netdev.link_up = true;
	run();
	pass_answers();
	check_leaks();
	app_open();
	for (unsigned int port = 0; port < PORTS; port++) {
		check_addresses(port);
		check_connection(port, false);
		check_connection(port, true);
	}
	honest = false;
}

/* --- Tests --- */

static void say_where(void)
{
	fprintf(stderr, "SEED=%llu, frame %llu\n", (unsigned long long)seed,
	        (unsigned long long)frame_number);
	for (unsigned int n = 0; n < HISTORY; n++) {
		unsigned int i = (unsigned int)(frame_number + n) % HISTORY;

		fprintf(stderr, "%llu, port %u, %zu bytes:", (unsigned long long)history[i].number,
		        history[i].port, history[i].count);
		for (size_t b = 0; b < LWIP_MIN(history[i].count, sizeof(history[i].bytes)); b++)
			fprintf(stderr, " %02x", history[i].bytes[b]);
		fputc('\n', stderr);
	}
}

void __sanitizer_print_stack_trace(void);
void __sanitizer_set_death_callback(void (*callback)(void));

/* An assertion, or a frame that takes for ever. */
static void died(int number)
{
	fprintf(stderr, "%s\n", strsignal(number));
	__sanitizer_print_stack_trace();
	say_where();
	_exit(1);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

static int set_up(void **state)
{
	int r;

	(void)state;
	random_state = seed;
	__sanitizer_set_death_callback(say_where);
	for (unsigned int n = 0; n < PORTS; n++) {
		struct device *d = &devices[n];

		d->arrived_end = &d->arrived;
		for (int i = 0; i < BUFFERS; i++) {
			d->buffers[i] = (struct netbuf){.dev = &d->netdev, .next = d->spare};
			d->spare = &d->buffers[i];
		}
		d->netdev = (struct netdev){.ops = &device_ops,
		                            .mac = {2, 0, 0, 0, 0, (uint8_t)(2 + n)},
		                            .mtu = 1500,
		                            .features = n ? 0
		                                          : NETDEV_TX_CSUM | NETDEV_RX_CSUM |
		                                                NETDEV_TX_TSO4 | NETDEV_TX_TSO6,
		                            .link_up = true,
		                            .rx_buffers = BUFFERS,
		                            .rx_buffer_bytes = 2048,
		                            .rx_free_low = BUFFERS / 4};
		netdev_name(&d->netdev);
		netdev_register(&d->netdev);
	}
	starting = true;
	r = net_init();
	starting = false;
	honest = true;
	app_open();
	app_close();
	repair();
	pass_ns(300 * NS_PER_S);
	net_status(&usual);
	app_open();
	honest = false;
	return r;
}

/* --- What was found once: the smallest frames that show it --- */

static void begin_case(void)
{
	signal(SIGALRM, died); /* cmocka's handler would say less */
	signal(SIGABRT, died);
	signal(SIGILL, died);
	check_all();
	honest = true;
	memset(&seen, 0, sizeof(seen));
}

/* A router's message to all, up to its options. */
static void start_router_message(unsigned int port, uint32_t type)
{
	struct ip router = ip6_of(0xfe800000, 0, 0, 1), all = ip6_of(0xff020000, 0, 0, 1);

	start_ip(&f, port, ICMP6, &router, &all, 255);
	put32(&f, type << 24);
	put32(&f, type == 134 ? 0x40000258 : 0);
	if (type == 134) {
		put32(&f, 0);
		put32(&f, 0);
	}
}

/* flags: on the link, for addresses. */
static void put_prefix(struct frame *to, uint32_t flags, uint32_t first, uint32_t second)
{
	put32(to, 0x03044000 | flags);
	put32(to, 1200);
	put32(to, 1200);
	put32(to, 0);
	put32(to, first);
	put32(to, second);
	put32(to, 0);
	put32(to, 0);
}

/* Of a destination that nothing was sent to. */
static void test_redirect_of_nothing(void **state)
{
	struct ip us = ip_of(netif_ip_addr6(netif_at(0), 0)), router = ip6_of(0xfe800000, 0, 0, 1),
	          better = ip6_of(0xfe800000, 0, 0, 7), about = ip6_of(0x20010db8, 9, 9, 9);

	(void)state;
	begin_case();
	start_ip(&f, 0, ICMP6, &router, &us, 255);
	put32(&f, 137u << 24);
	put32(&f, 0);
	put(&f, better.bytes, 16);
	put(&f, about.bytes, 16);
	nd_option(&f, 2, 7);
	make_right(&f, true);
	arrive_now(&f);
}

/* A prefix option of 8 bytes: the prefix would be behind the frame's end. */
static void test_short_prefix_option(void **state)
{
	(void)state;
	begin_case();
	start_router_message(0, 134);
	put32(&f, 0x030140c0);
	put32(&f, 1200);
	make_right(&f, true);
	arrive_now(&f);
	assert_true(ip6_addr_isinvalid(netif_ip6_addr_state(netif_at(0), 1)));
}

/* A SYN whose last byte is an option's kind. */
static void test_option_without_length(void **state)
{
	struct ip us = ip_of(netif_ip_addr6(netif_at(0), 0)), peer = ip6_of(0xfe800000, 0, 0, 1);

	(void)state;
	begin_case();
	start_ip(&f, 0, TCP, &peer, &us, 64);
	put16(&f, CLIENT_PORT);
	put16(&f, ECHO_PORT);
	put32(&f, 1);
	put32(&f, 0);
	put32(&f, 0x60021000);
	put32(&f, 0);
	put32(&f, 0x01010102);
	make_right(&f, true);
	to_client.flags = 0;
	arrive_now(&f);
	pass_answers();
	assert_int_equal(to_client.flags, 0x12);
}

/*
 * What came before its turn ends with a FIN within the window; what is in its turn fills the window, and
 * has bytes where that FIN was.
 */
static void test_fin_inside_a_full_window(void **state)
{
	(void)state;
	begin_case();
	client_connect(0, false);
	client.seq += 100;
	client_segment(0x11, 10);
	client.seq -= 111;
	client_segment(0x10, tcp_active_pcbs->rcv_wnd);
	assert_int_equal(tcp_active_pcbs->rcv_nxt, client.seq);
	assert_int_equal(tcp_active_pcbs->state, ESTABLISHED);
}

/* What was sent, was not acknowledged in time, and has no room in the window now. */
static void send_again_without_room(size_t payload)
{
	char bytes[100];

	memset(bytes, 'a', sizeof(bytes));
	client_connect(0, false);
	assert_int_equal(send(connections[0], bytes, payload, 0), payload);
	client_segment(0x10, 1);
	client.window = 0;
	client_segment(0x10, 1);
	pass_ns(3 * NS_PER_S);
	assert_non_null(tcp_active_pcbs->unsent);
	assert_null(tcp_active_pcbs->unacked);
}

/* It is acknowledged then: nothing is left that waits for the window. */
static void test_window_waited_for_in_vain(void **state)
{
	(void)state;
	begin_case();
	send_again_without_room(100);
	client.ack += 100;
	client_segment(0x10, 0);
	assert_null(tcp_active_pcbs->unsent);
	pass_ns(60 * NS_PER_S);
}

/*
 * More bytes are appended to it, then the first ones are acknowledged, and the window has room for a few:
 * these come, and then the rest.
 */
static void test_few_behind_acknowledged(void **state)
{
	char bytes[71];

	(void)state;
	begin_case();
	send_again_without_room(100);
	memset(bytes, 'b', sizeof(bytes));
	assert_int_equal(send(connections[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	client.ack += 100;
	client.window = 3;
	client_segment(0x10, 0);
	pass_ns(60 * NS_PER_S);
	assert_int_equal(to_client.seq + to_client.bytes - client.ack, 3);
	client.ack += 3;
	client.window = 8000;
	client_segment(0x10, 0);
	pass_ns(NS_PER_S);
	assert_int_equal(to_client.seq + to_client.bytes - client.ack, 68);
}

/* Who takes longer and longer to acknowledge, is not waited for much longer than a minute. */
static void test_slow_peer(void **state)
{
	(void)state;
	begin_case();
	client_connect(0, false);
	for (int i = 0; i < 20; i++) {
		send(connections[0], "a", 1, 0);
		client.ack++;
		pass_ns((uint64_t)tcp_active_pcbs->rto * TCP_SLOW_INTERVAL * NS_PER_MS * 9 / 10);
		client_segment(0x10, 0);
	}
	send(connections[0], "a", 1, 0);
	pass_ns(20 * 60 * NS_PER_S);
	assert_null(tcp_active_pcbs);
}

/* What came before its turn waits as long as a peer may, who sends again what was lost. */
static void test_patience_out_of_order(void **state)
{
	(void)state;
	begin_case();
	client_connect(0, false);
	client.seq += 100;
	client_segment(0x18, 50);
	pass_ns(100 * NS_PER_S);
	client.seq -= 150;
	client_segment(0x18, 100);
	assert_int_equal(tcp_active_pcbs->rcv_nxt, client.seq + 50);

	client.seq += 150;
	client_segment(0x18, 50);
	assert_non_null(tcp_active_pcbs->ooseq);
	pass_ns(130 * NS_PER_S);
	assert_null(tcp_active_pcbs->ooseq);
}

/* Ours at the first interface, by the router's prefix. */
static const struct ip global = {true,
                                 {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 2}};

static void ping_from(unsigned int port, const struct ip *peer, uint32_t mac)
{
	struct ip us = port ? ip_of(netif_ip_addr6(netif_at(port), 0)) : global;

	start_ip(&f, port, ICMP6, peer, &us, 255);
	put32(&f, 135u << 24);
	put32(&f, 0);
	put(&f, us.bytes, 16);
	nd_option(&f, 1, mac);
	make_right(&f, true);
	arrive_now(&f);
	start_ip(&f, port, ICMP6, peer, &us, 64);
	put32(&f, 128u << 24);
	put32(&f, 1);
	make_right(&f, true);
	arrive_now(&f);
}

/* Somebody on the other link says that he has a neighbour's address. */
static void test_neighbour_on_other_link(void **state)
{
	struct ip peer = ip6_of(0x20010db8, 0, 0, 9);

	(void)state;
	begin_case();
	start_router_message(0, 134);
	put_prefix(&f, 0xc0, 0x20010db8, 0);
	make_right(&f, true);
	arrive_now(&f);
	pass_ns(5 * NS_PER_S);
	ping_from(0, &peer, 9);
	assert_int_equal(seen.pings6, 1);
	assert_int_equal(seen.last_port, 0);
	ping_from(1, &peer, 66);
	start_ip(&f, 0, ICMP6, &peer, &global, 64);
	put32(&f, 128u << 24);
	put32(&f, 1);
	make_right(&f, true);
	seen.pings6 = 0;
	arrive_now(&f);
	assert_int_equal(seen.pings6, 1);
	assert_int_equal(seen.last_port, 0);
	assert_int_equal(seen.last_mac, 9);
}

/* A problem with a packet to all, while there is no address to say so from. */
static void test_problem_without_address(void **state)
{
	struct ip peer = ip6_of(0xfe800000, 0, 0, 1), all = ip6_of(0xff020000, 0, 0, 1);

	(void)state;
	begin_case();
	net_lock();
	netif_ip6_addr_set_state(netif_at(0), 0, IP6_ADDR_DUPLICATED);
	net_unlock();
	start_ip(&f, 0, OPTIONS, &peer, &all, 64);
	put(&f, (const uint8_t[]){NOTHING, 0, 0x8a, 4, 0, 0, 0, 0}, 8);
	make_right(&f, true);
	arrive_now(&f);
}

static void ping_fragment(uint32_t at, uint32_t count, bool more)
{
	struct ip peer = ip4_of(0x0a000001), us = our_ip(0, false);
	static const uint8_t ping[24] = {8, 0, 0xf7, 0xff};

	start_ip(&f, 0, ICMP, &peer, &us, 64);
	set16(f.bytes + ETH_BYTES + 4, 0x7777);
	set16(f.bytes + ETH_BYTES + 6, at / 8 | (more ? 0x2000 : 0));
	put(&f, ping + at, count);
	make_right(&f, true);
	arrive_now(&f);
}

/* Fragments, of which one is behind the last one. */
static void test_more_behind_the_last(void **state)
{
	(void)state;
	begin_case();
	ping_fragment(0, 16, true);
	ping_fragment(16, 8, false);
	assert_int_equal(seen.pings4, 1);
	ping_fragment(16, 8, true);
	ping_fragment(0, 8, true);
	ping_fragment(8, 8, false);
	assert_int_equal(seen.pings4, 1);
}

/* UDP for somebody else, but its header would be behind the frame's end. */
static void test_nothing_but_options(void **state)
{
	struct ip peer = ip4_of(0x0a000001), other = ip4_of(0x0a000063);

	(void)state;
	begin_case();
	start_ip(&f, 0, UDP, &peer, &other, 64);
	f.bytes[ETH_BYTES] = 0x4f;
	for (int i = 0; i < 40; i++)
		put8(&f, 1);
	make_right(&f, true);
	arrive_now(&f);
}

/* A last byte of options that is no padding, and has no length behind it, nor anything else. */
static void test_option6_without_length(void **state)
{
	struct ip us = ip_of(netif_ip_addr6(netif_at(0), 0)), peer = ip6_of(0xfe800000, 0, 0, 1);

	(void)state;
	begin_case();
	start_ip(&f, 0, OPTIONS, &peer, &us, 64);
	put(&f, (const uint8_t[]){NOTHING, 0, 1, 3, 0, 0, 0, 5}, 8);
	make_right(&f, true);
	arrive_now(&f);
}

/* TIME_WAIT ends even when there is no other connection. */
static void test_time_wait_alone(void **state)
{
	(void)state;
	begin_case();
	client_connect(0, false);
	app_close_one(&connections[0]);
	run();
	client.ack++;
	client_segment(0x11, 0);
	assert_non_null(tcp_tw_pcbs);
	pass_ns(61 * NS_PER_S);
	assert_null(tcp_tw_pcbs);
}

/* Somebody wants to connect, and there is no way back: the cable is out, but not yet all frames in. */
static void test_no_way_back(void **state)
{
	struct ip peer = ip6_of(0xfe800000, 0, 0, 9), us = ip_of(netif_ip_addr6(netif_at(0), 0));

	(void)state;
	begin_case();
	devices[0].netdev.link_up = false;
	run();
	start_ip(&f, 0, TCP, &peer, &us, 64);
	put16(&f, CLIENT_PORT);
	put16(&f, ECHO_PORT);
	put32(&f, 1);
	put32(&f, 0);
	put32(&f, 0x50021000);
	put32(&f, 0);
	make_right(&f, true);
	arrive_now(&f);
}

/* What is to go by a router that does not say where he is does not wait for ever. */
static void test_silent_router(void **state)
{
	struct ip peer = ip6_of(0x20010db8, 0xffff, 0, 9);
	struct net_status before, after;

	(void)state;
	begin_case();
	pass_ns(2000 * NS_PER_S); /* until no other router is known */
	start_router_message(0, 134);
	set16(f.bytes + ETH_BYTES + IP6_BYTES + 6, 0xffff);
	f.bytes[ETH_BYTES + 8 + 15] = 99;
	put_prefix(&f, 0x40, 0x20010db8, 0);
	make_right(&f, true);
	honest = false;
	arrive_now(&f);
	pass_ns(5 * NS_PER_S);
	net_status(&before);
	start_ip(&f, 0, ICMP6, &peer, &global, 64);
	put32(&f, 128u << 24);
	put32(&f, 1);
	make_right(&f, true);
	arrive_now(&f);
	pass_ns(5 * NS_PER_S);
	assert_int_equal(seen.pings6, 0);
	net_status(&after);
	assert_int_equal(after.memory_used_bytes, before.memory_used_bytes);
	while (answer_count)
		free(answers[--answer_count]);
}

/* The window, 0 so far, turns out to be so small that what was written goes out in shorter segments. */
static void test_small_window_at_last(void **state)
{
	static const char bytes[536 + 157]; /* so that there is room for more behind them */

	(void)state;
	begin_case();
	first_window = 0;
	client_connect(1, false);
	first_window = 8000;
	assert_int_equal(send(connections[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	client.window = 60;
	client_segment(0x10, 1);
	assert_int_equal(send(connections[0], bytes, sizeof(bytes), 0), sizeof(bytes));
}

/* --- Very many frames --- */

static void pass_some_time(void)
{
	uint64_t ms = one_in(50000)  ? 3 * 3600 * 1000
	              : one_in(2000) ? below(120000)
	              : one_in(200)  ? below(3000)
	              : one_in(10)   ? below(300)
	                             : below(2);

	pass_ns(ms * NS_PER_MS + below(1000000));
}

/* The devices' turn to make trouble: they do not send, or the cable is out. */
static void next_trouble(void)
{
	struct netdev *dev = &ANY_OF(devices).netdev;

	if (one_in(200))
		slow = !slow;
	if (one_in(5000) || !dev->link_up) {
		dev->link_up = !dev->link_up;
		netdev_signal(dev);
	}
	if (!slow && (devices[0].full || devices[1].full))
		netdev_signal(dev);
}

static void next_frame(void)
{
	bool answers_one = answer_count && one_in(2);

	if (answers_one) {
		struct frame *a = answers[--answer_count];

		memcpy(&f, a, offsetof(struct frame, bytes) + a->count);
		free(a);
	} else {
		some_frame(&f);
	}
	if (one_in(12)) {
		put_extension(&f);
		make_right(&f, true);
	}
	if (!one_in(3))
		damage_some(&f, &earlier);
	if (one_in(8))
		f.flags = NETBUF_CSUM_OK;
	if (f.count > 2048)
		f.first_bytes = 2048;
	else if (one_in(8) && f.count > WIRE_BYTES)
		f.first_bytes = WIRE_BYTES + below(f.count - WIRE_BYTES);
	if (one_in(500))
		arrive_out_of_order();
	else if (one_in(16) && f.count > ETH_BYTES + IP6_BYTES)
		arrive_in_fragments(&f);
	else
		arrive(&f);
	memcpy(&earlier, &f, offsetof(struct frame, bytes) + f.count);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

static void test_many(void **state)
{
	uint64_t count = number_of("FRAMES", DEFAULT_MANY), next_check = frame_number + 20000;

	(void)state;
	begin_case();
	honest = false;
	while (frame_number < count) {
		alarm(60);
		if (frame_number >= next_check) {
			check_all();
			refuse_one_in = one_in(3) ? 50 : 0;
			next_check = frame_number + 20000;
		}
		next_frame();
		next_trouble();
		if (!one_in(4)) {
			run();
			pass_some_time();
		}
		if (one_in(3))
			app_step();
	}
	check_all();
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_redirect_of_nothing),
	    cmocka_unit_test(test_short_prefix_option),
	    cmocka_unit_test(test_option_without_length),
	    cmocka_unit_test(test_fin_inside_a_full_window),
	    cmocka_unit_test(test_window_waited_for_in_vain),
	    cmocka_unit_test(test_few_behind_acknowledged),
	    cmocka_unit_test(test_slow_peer),
	    cmocka_unit_test(test_patience_out_of_order),
	    cmocka_unit_test(test_neighbour_on_other_link),
	    cmocka_unit_test(test_problem_without_address),
	    cmocka_unit_test(test_more_behind_the_last),
	    cmocka_unit_test(test_nothing_but_options),
	    cmocka_unit_test(test_option6_without_length),
	    cmocka_unit_test(test_time_wait_alone),
	    cmocka_unit_test(test_no_way_back),
	    cmocka_unit_test(test_silent_router),
	    cmocka_unit_test(test_small_window_at_last),
	    cmocka_unit_test(test_many),
	};

	seed = number_of("SEED", seed);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
