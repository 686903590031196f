/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: the whole stack, under the sanitizers and with real threads, passes the program of
 * tests/target/sockets; every frame is verified but for those the device vouches for; checksums
 * that the device is to finish are prepared right; no frame, however damaged, does harm; and after all
 * of that everything is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "net/core.c"
#include <pith/console.h>
#include <pith/entropy.h>
#include <pith/file.h>
#include "lwip/etharp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"

/* --- What the kernel would be --- */

void klog(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void panic(const char *fmt, ...)
{
	klog("panic: %s", fmt);
	abort();
}

const char *bootarg(const char *key)
{
	return strcmp(key, "ip") == 0 ? "10.0.0.2::10.0.0.1:255.255.255.0" : NULL;
}

void memory_info(struct memory_info *info)
{
	*info = (struct memory_info){.total_bytes = 128 << 20};
}

int random_bytes(void *buf, size_t count, bool nonblock)
{
	uint8_t *p = buf;

	(void)nonblock;
	while (count--)
		*p++ = (uint8_t)rand();
	return 0;
}

void stdio_use_descriptors(void)
{
}

struct file *console_file(void)
{
	return NULL;
}

/* --- A network device --- */

#define BUFFERS      64
#define BUFFER_BYTES 2048
#define TX_MAX       512

static struct netdev dev;
static struct netbuf buffers[BUFFERS];
static uint8_t buffer_bytes[BUFFERS][BUFFER_BYTES];
static struct netbuf *spare, *arrived, **arrived_end = &arrived;
static void *in_ring[TX_MAX];
static unsigned int in_ring_count;
static uint8_t last_sent[65536];
static unsigned int sent;

/* What the stack says by itself now and then: neighbour and router discovery, groups. */
static bool is_chatter(const uint8_t *p)
{
	bool ipv6 = p[12] == 0x86 && p[13] == 0xdd;

	return p[0] & 1 || (p[12] == 8 && p[13] == 6) || (ipv6 && p[20] == 58 && p[54] >= 130);
}

/* The frame as it would go over the wire; checks that what the device finishes comes out right. */
static int device_transmit(struct netdev *d, const struct netdev_tx *tx)
{
	size_t bytes = 0;

	(void)d;
	if (in_ring_count == TX_MAX)
		return -ENOBUFS;
	in_ring[in_ring_count++] = tx->cookie;
	if (is_chatter(tx->frags[0].data))
		return 0;
	for (unsigned int i = 0; i < tx->frag_count; i++) {
		memcpy(last_sent + bytes, tx->frags[i].data, tx->frags[i].bytes);
		bytes += tx->frags[i].bytes;
	}
	if (tx->csum_offset) {
		uint16_t sum = (uint16_t)~net_checksum(last_sent + tx->csum_start,
		                                       (int)(bytes - tx->csum_start));

		memcpy(last_sent + tx->csum_start + tx->csum_offset, &sum, 2);
	}
	sent++;
	return 0;
}

static void device_flush(struct netdev *d)
{
	(void)d;
}

static void device_reap(struct netdev *d)
{
	while (in_ring_count)
		d->transmit_done(d, in_ring[--in_ring_count]);
}

static struct netbuf *device_receive(struct netdev *d)
{
	struct netbuf *nb;

	irq_save();
	nb = arrived;
	if (nb) {
		arrived = nb->next;
		if (!arrived)
			arrived_end = &arrived;
		nb->next = NULL;
		d->held_count++;
	}
	irq_restore(0);
	return nb;
}

static void device_refill(struct netdev *d)
{
	irq_save();
	while (d->free_list) {
		struct netbuf *nb = d->free_list;

		d->free_list = nb->next;
		d->free_count--;
		nb->next = spare;
		spare = nb;
	}
	irq_restore(0);
}

static bool device_arm(struct netdev *d)
{
	(void)d;
	return arrived;
}

static const struct netdev_ops device_ops = {
    .transmit = device_transmit,
    .flush = device_flush,
    .reap = device_reap,
    .receive = device_receive,
    .refill = device_refill,
    .arm = device_arm,
};

/* Let a frame arrive. Returns false if the stack has all buffers. */
static bool arrive(const void *frame, size_t bytes, uint32_t flags)
{
	struct netbuf *nb;

	irq_save();
	nb = spare;
	if (nb) {
		spare = nb->next;
		nb->next = NULL;
		nb->bytes = (uint32_t)bytes;
		nb->flags = flags;
		memcpy(nb->data, frame, bytes);
		*arrived_end = nb;
		arrived_end = &nb->next;
	}
	irq_restore(0);
	netdev_signal(&dev);
	return nb;
}

/* Until the net thread has nothing to do. */
static void settle(void)
{
	for (int i = 0; i < 3; i++)
		usleep(2000);
	while (arrived)
		usleep(1000);
	usleep(3000);
}

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < BUFFERS; i++) {
		buffers[i] = (struct netbuf){.dev = &dev, .data = buffer_bytes[i], .next = spare};
		spare = &buffers[i];
	}
	dev = (struct netdev){.name = "eth0",
	                      .ops = &device_ops,
	                      .mac = {2, 0, 0, 0, 0, 2},
	                      .mtu = 1500,
	                      .features = NETDEV_TX_CSUM | NETDEV_RX_CSUM,
	                      .link_up = true,
	                      .rx_buffers = BUFFERS,
	                      .rx_buffer_bytes = BUFFER_BYTES,
	                      .rx_free_low = BUFFERS / 4};
	netdev_register(&dev);
	return net_init();
}

/* --- Frames --- */

struct frame {
	uint8_t bytes[1514];
	size_t count;
	size_t transport; /* where it starts */
	uint32_t pseudo;  /* its pseudo header's sum */
};

static void put16(struct frame *f, size_t at, unsigned int v)
{
	f->bytes[at] = (uint8_t)(v >> 8);
	f->bytes[at + 1] = (uint8_t)v;
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)(p[0] << 8 | p[1]);
}

static unsigned int fold16(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* Slow and plain, to compare with. */
static uint32_t plain_sum(const uint8_t *p, size_t count)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return fold16(sum);
}

/* Ethernet and IP headers for a payload of that protocol; the payload follows at f->transport. */
static void start4(struct frame *f, int protocol, size_t payload)
{
	static const uint8_t head[] = {2, 0, 0, 0, 0, 2,  2, 0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
	                               0, 0, 1, 0, 0, 64, 0, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2};

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, head, sizeof(head));
	f->bytes[23] = (uint8_t)protocol;
	put16(f, 16, (unsigned int)(20 + payload));
	put16(f, 24, 0xffff & ~plain_sum(f->bytes + 14, 20));
	f->transport = 34;
	f->count = 34 + payload;
	f->pseudo = plain_sum(f->bytes + 26, 8) + (uint32_t)protocol + (uint32_t)payload;
}

/* From fe80::1 to our link-local address. */
static void start6(struct frame *f, int protocol, size_t payload)
{
	static const uint8_t head[] = {2, 0, 0, 0,    0,    2,    2, 0, 0,
	                               0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0};
	static const uint8_t ours[] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 2};

	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, head, sizeof(head));
	put16(f, 18, (unsigned int)payload);
	f->bytes[20] = (uint8_t)protocol;
	f->bytes[21] = 64;
	f->bytes[22] = 0xfe;
	f->bytes[23] = 0x80;
	f->bytes[37] = 1;
	memcpy(f->bytes + 38, ours, 16);
	f->transport = 54;
	f->count = 54 + payload;
	f->pseudo = plain_sum(f->bytes + 22, 32) + (uint32_t)protocol + (uint32_t)payload;
}

/* The transport's checksum, at this offset within it. */
static void finish_sum(struct frame *f, size_t offset, bool pseudo)
{
	uint32_t sum = plain_sum(f->bytes + f->transport, f->count - f->transport);

	put16(f, f->transport + offset, 0xffff & ~fold16(sum + (pseudo ? f->pseudo : 0)));
}

static void udp_frame(struct frame *f, bool ipv6, unsigned int port, size_t payload)
{
	(ipv6 ? start6 : start4)(f, 17, 8 + payload);
	put16(f, f->transport, 1234);
	put16(f, f->transport + 2, port);
	put16(f, f->transport + 4, (unsigned int)(8 + payload));
	memset(f->bytes + f->transport + 8, 'u', payload);
	finish_sum(f, 6, true);
}

static void syn_frame(struct frame *f, bool ipv6, unsigned int port)
{
	(ipv6 ? start6 : start4)(f, 6, 20);
	put16(f, f->transport, 1234);
	put16(f, f->transport + 2, port);
	f->bytes[f->transport + 12] = 0x50;
	f->bytes[f->transport + 13] = 2;
	put16(f, f->transport + 14, 1000);
	finish_sum(f, 16, true);
}

static void ping_frame(struct frame *f, bool ipv6)
{
	(ipv6 ? start6 : start4)(f, ipv6 ? 58 : 1, 64);
	f->bytes[f->transport] = ipv6 ? 128 : 8;
	finish_sum(f, 2, ipv6);
}

/* --- Tests --- */

int sockets_main(void);

static void test_program(void **state)
{
	(void)state;
	assert_int_equal(sockets_main(), 0);
}

static void test_checksum(void **state)
{
	static uint8_t bytes[70000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rand();
	for (int n = 0; n < 3000; n++) {
		size_t at = (size_t)rand() % 16, count = (size_t)rand() % (n % 10 ? 200 : 65536);

		assert_int_equal(lwip_htons(net_checksum(bytes + at, (int)count)) % 0xffff,
		                 plain_sum(bytes + at, count) % 0xffff);
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(net_checksum(bytes, 65534), 0xffff);
	assert_int_equal(net_checksum(bytes, 0), 0);
}

/* Make our peers known, so that answers go out at once. */
static void introduce(void)
{
	static const uint8_t arp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  1, 8, 6,
	                              0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 1,
	                              10,   0,    0,    1,    0,    0,    0, 0, 0, 0, 10, 0, 0, 2};
	struct frame f;

	arrive(arp, sizeof(arp), 0);
	start6(&f, 58, 32); /* a neighbour solicitation for our address */
	f.bytes[f.transport] = 135;
	memcpy(f.bytes + f.transport + 8, f.bytes + 38, 16);
	f.bytes[f.transport + 24] = 1;
	f.bytes[f.transport + 25] = 1;
	memcpy(f.bytes + f.transport + 26, f.bytes + 6, 6);
	f.bytes[21] = 255;
	finish_sum(&f, 2, true);
	arrive(f.bytes, f.count, 0);
	settle();
}

/* Wait for our link-local address to be usable. */
static void wait_for_ipv6(void)
{
	struct net_status s;

	for (int i = 0; i < 100; i++, usleep(50000)) {
		net_status(&s);
		if (s.interface[0].address_count > 1 && !s.interface[0].address[1].tentative)
			return;
	}
	fail();
}

static unsigned int answers_to(const struct frame *f, uint32_t flags)
{
	unsigned int before = sent;

	assert_true(arrive(f->bytes, f->count, flags));
	settle();
	return sent - before;
}

static void damage(struct frame *f, size_t at)
{
	f->bytes[at] ^= 0x40;
}

/* A datagram of a hostile or broken network is counted and dropped, marked or not, as may be. */
static void test_verification(void **state)
{
	struct frame f;

	(void)state;
	wait_for_ipv6();
	introduce();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		ping_frame(&f, ipv6);
		assert_int_equal(answers_to(&f, 0), 1);
		damage(&f, f.count - 1);
		assert_int_equal(answers_to(&f, 0), 0);
		assert_int_equal(answers_to(&f, NETBUF_CSUM_OK), 0); /* is not about ICMP */
		syn_frame(&f, ipv6, 7);                              /* nobody there: a reset */
		assert_int_equal(answers_to(&f, 0), 1);
		damage(&f, f.transport + 5);
		assert_int_equal(answers_to(&f, 0), 0);
		assert_int_equal(answers_to(&f, NETBUF_CSUM_OK), 1);
		udp_frame(&f, ipv6, 7, 400); /* nobody there: port unreachable */
		assert_int_equal(answers_to(&f, 0), 1);
		damage(&f, f.count - 2);
		assert_int_equal(answers_to(&f, 0), 0);
		assert_int_equal(answers_to(&f, NETBUF_CSUM_OK), 1);
	}
	udp_frame(&f, false, 7, 40);
	damage(&f, 22); /* the time to live, in IPv4's own header */
	assert_int_equal(answers_to(&f, NETBUF_CSUM_OK), 0);
}

/* Two fragments, marked, whose sum is wrong as a whole. */
static void test_marked_fragments(void **state)
{
	struct frame f, second;
	unsigned int before;

	(void)state;
	udp_frame(&f, false, 7, 64);
	damage(&f, f.count - 1);
	second = f;
	put16(&f, 16, 20 + 40);
	put16(&f, 20, 0x2000);
	put16(&f, 24, 0);
	put16(&f, 24, 0xffff & ~plain_sum(f.bytes + 14, 20));
	f.count = 34 + 40;
	memmove(second.bytes + 34, second.bytes + 34 + 40, 32);
	put16(&second, 16, 20 + 32);
	put16(&second, 20, 40 / 8);
	put16(&second, 24, 0);
	put16(&second, 24, 0xffff & ~plain_sum(second.bytes + 14, 20));
	second.count = 34 + 32;
	before = sent;
	arrive(f.bytes, f.count, NETBUF_CSUM_OK);
	arrive(second.bytes, second.count, NETBUF_CSUM_OK);
	settle();
	assert_int_equal(sent, before);
}

/* The checksum of what was sent last, finished by the device or not. */
static bool last_sum_good(void)
{
	const uint8_t *p = last_sent;
	bool ipv6 = get16(p + 12) == 0x86dd;
	size_t transport = ipv6 ? 54 : 34, bytes = ipv6 ? 54 + get16(p + 18) : 14 + get16(p + 16);
	uint32_t sum = plain_sum(ipv6 ? p + 22 : p + 26, ipv6 ? 32 : 8) + p[ipv6 ? 20 : 23] +
	               (uint32_t)(bytes - transport);

	return fold16(sum + plain_sum(p + transport, bytes - transport)) == 0xffff;
}

static void test_sending(void **state)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a000001)};
	static char bytes[3000];
	struct frame f;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	introduce();
	for (int n = 0; n < 2; n++) {
		dev.features = n ? NETDEV_TX_CSUM : 0;
		for (size_t count = 0; count < 1473; count += 211) {
			assert_int_equal(sendto(fd, bytes, count, 0, (void *)&to, sizeof(to)),
			                 count);
			assert_true(last_sum_good());
		}
		/* In fragments: summed by us, as the device cannot. */
		unsigned int before = sent;

		assert_int_equal(sendto(fd, bytes, 3000, 0, (void *)&to, sizeof(to)), 3000);
		assert_int_equal(sent - before, 3);
		for (int ipv6 = 0; ipv6 < 2; ipv6++) {
			syn_frame(&f, ipv6, 7);
			assert_int_equal(answers_to(&f, 0), 1);
			assert_true(last_sum_good());
		}
	}
	close(fd);
}

/* Frames of every kind with bits flipped, cut, or their sums made right again. */
static void test_mutants(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(7000)};
	int u = socket(AF_INET6, SOCK_DGRAM, 0), l = socket(AF_INET6, SOCK_STREAM, 0);
	struct frame f;

	(void)state;
	bind(u, (void *)&any, sizeof(any));
	bind(l, (void *)&any, sizeof(any));
	listen(l, 8);
	for (int n = 0; n < 20000; n++) {
		bool ipv6 = rand() % 2;

		switch (rand() % 3) {
		case 0:
			udp_frame(&f, ipv6, 7000, (size_t)rand() % 1000);
			break;
		case 1:
			syn_frame(&f, ipv6, 7000);
			break;
		default:
			ping_frame(&f, ipv6);
		}
		for (int flips = rand() % 4; flips; flips--)
			f.bytes[12 + (size_t)rand() % (f.count - 12)] = (uint8_t)rand();
		if (get16(f.bytes + 12) == 0x800) {
			put16(&f, 24, 0);
			put16(&f, 24, 0xffff & ~plain_sum(f.bytes + 14, 20));
		}
		if (rand() % 4 == 0)
			f.count = 14 + (size_t)rand() % (f.count - 13);
		while (!arrive(f.bytes, f.count, rand() % 2 ? NETBUF_CSUM_OK : 0))
			usleep(100);
		char c[2000];

		while (recv(u, c, sizeof(c), MSG_DONTWAIT) >= 0)
			;
	}
	settle();
	close(u);
	close(l);
}

/* The device breaks: who is connected through it, and who sends, is told so. */
/*
 * What follows is not appended to a segment that waits to be sent again, when others are on their
 * way behind that: nor bytes, nor the end.
 */
static void test_behind_a_retransmission(void **state)
{
	struct tcp_seg *first, *third;
	struct tcp_pcb *pcb;
	char bytes[100] = {0};

	(void)state;
	net_lock();
	pcb = tcp_new();
	assert_non_null(pcb);
	pcb->state = ESTABLISHED;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tcp_write(pcb, bytes, sizeof(bytes), TCP_WRITE_FLAG_COPY), ERR_OK);
		*(i ? &pcb->unacked->next : &pcb->unacked) = pcb->unsent;
		pcb->unsent = NULL;
		pcb->unsent_oversize = 0;
	}
	pcb->snd_nxt = pcb->snd_lbb;
	first = pcb->unacked;
	assert_int_equal(tcp_rexmit(pcb), ERR_OK);
	assert_ptr_equal(pcb->unsent, first);
	assert_int_equal(tcp_send_fin(pcb), ERR_OK);
	assert_int_equal(first->len, sizeof(bytes));
	assert_false(TCPH_FLAGS(first->tcphdr) & TCP_FIN);
	assert_non_null(first->next);

	tcp_seg_free(first->next);
	first->next = NULL;
	pcb->flags &= ~TF_FIN;
	pcb->snd_lbb--;
	pcb->snd_queuelen--;
	assert_int_equal(tcp_write(pcb, bytes, sizeof(bytes), TCP_WRITE_FLAG_COPY), ERR_OK);
	third = first->next;
	assert_int_equal(first->len, sizeof(bytes));
	assert_non_null(third);
	assert_int_equal(lwip_ntohl(third->tcphdr->seqno) - lwip_ntohl(first->tcphdr->seqno),
	                 2 * sizeof(bytes));
	pcb->state = CLOSED; /* was in no list */
	tcp_segs_free(pcb->unacked);
	tcp_segs_free(pcb->unsent);
	tcp_free(pcb);
	net_unlock();
}

static void test_broken(void **state)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a000001)};
	int t = socket(AF_INET, SOCK_STREAM, 0), error = 0;
	socklen_t bytes = sizeof(error);

	(void)state;
	fcntl(t, F_SETFL, O_NONBLOCK);
	assert_int_equal(connect(t, (void *)&to, sizeof(to)), -1);
	dev.broken = true;
	netdev_signal(&dev);
	settle();
	getsockopt(t, SOL_SOCKET, SO_ERROR, &error, &bytes);
	assert_int_equal(error, ENETDOWN);
	close(t);
}

/* Nothing is left: no byte of lwIP's, no buffer of the device's, no socket. */
static void test_all_given_back(void **state)
{
	struct net_status s;

	(void)state;
	for (int i = 0; i < 1000; i++) { /* until TIME_WAIT and reassembly are over */
		net_status(&s);
		if (!s.tcp_pcbs.used && !s.reassemblies.used && !s.reassemblies6.used)
			break;
		net_lock();
		for (int n = 0; n < 1000; n++) {
			tcp_tmr();
			ip_reass_tmr();
			ip6_reass_tmr();
			etharp_tmr();
		}
		net_unlock();
		usleep(1000);
	}
	settle();
	net_status(&s);
	assert_int_equal(s.tcp_pcbs.used, 0);
	assert_int_equal(s.tcp_segments.used, 0);
	assert_int_equal(s.tcp_listeners.used, 0);
	assert_int_equal(s.udp_pcbs.used, 0);
	assert_int_equal(s.pbufs.used, 0);
	assert_int_equal(s.sockets, 0);
	assert_int_equal(s.interface[0].rx_buffers_held, 0);
	assert_int_equal(s.memory_refused, 0);
	assert_int_equal(fd_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_checksum),
	    cmocka_unit_test(test_program),
	    cmocka_unit_test(test_verification),
	    cmocka_unit_test(test_marked_fragments),
	    cmocka_unit_test(test_sending),
	    cmocka_unit_test(test_mutants),
	    cmocka_unit_test(test_behind_a_retransmission),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_all_given_back),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
