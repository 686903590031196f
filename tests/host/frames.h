/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for tests/host/test_frames.c: built piece by piece, damaged, and made right again.
 */
#ifndef TESTS_HOST_FRAMES_H
#define TESTS_HOST_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_BYTES_MAX 65535

struct frame {
	size_t count;
	unsigned int port;  /* the interface that it arrives at */
	uint32_t flags;     /* NETBUF_* */
	size_t first_bytes; /* of its first fragment; 0: it is in one piece */
	uint8_t bytes[FRAME_BYTES_MAX + 1];
};

/* --- Random numbers: the same for the same seed --- */

static uint64_t random_state;

static uint32_t random32(void)
{
	random_state += 0x9e3779b97f4a7c15;
	uint64_t z = random_state;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)(z >> 16);
}

/* From 0 to n - 1. */
static uint32_t below(size_t n)
{
	return (uint32_t)((uint64_t)random32() * n >> 32);
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

#define ANY_OF(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

/* --- Bytes --- */

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v);
}

/* Append. What does not fit is left out. */
static void put(struct frame *f, const void *bytes, size_t count)
{
	if (count > FRAME_BYTES_MAX - f->count)
		count = FRAME_BYTES_MAX - f->count;
	memcpy(f->bytes + f->count, bytes, count);
	f->count += count;
}

static void put8(struct frame *f, uint32_t v)
{
	put(f, &(uint8_t){(uint8_t)v}, 1);
}

static void put16(struct frame *f, uint32_t v)
{
	put8(f, v >> 8);
	put8(f, v);
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v);
}

/* Some text, as long as that, if it fits. */
static void put_text(struct frame *f, size_t count)
{
	for (size_t i = 0; i < count && f->count < FRAME_BYTES_MAX; i++)
		f->bytes[f->count++] = (uint8_t)('a' + i % 26);
}

/* Room for more bytes at a place, or fewer. */
static void move_bytes(struct frame *f, size_t at, size_t to)
{
	size_t count = f->count - at;

	if (to + count > FRAME_BYTES_MAX)
		return;
	memmove(f->bytes + to, f->bytes + at, count);
	f->count = to + count;
}

/* --- Lengths and checksums --- */

#define ETH_BYTES  14
#define IP4_BYTES  20
#define IP6_BYTES  40
#define TYPE_IP4   0x800
#define TYPE_ARP   0x806
#define TYPE_IP6   0x86dd
#define ICMP       1
#define IGMP       2
#define TCP        6
#define UDP        17
#define ICMP6      58
#define HOP_BY_HOP 0
#define ROUTING    43
#define FRAGMENT   44
#define NOTHING    59
#define OPTIONS    60

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

static uint32_t sum_of(const uint8_t *p, size_t count)
{
	uint32_t sum = 0;

	for (; count > 1; p += 2, count -= 2)
		sum += get16(p);
	return fold(sum + (count ? (uint32_t)*p << 8 : 0));
}

static void finish_transport(uint8_t *p, size_t bytes, uint32_t protocol, uint32_t pseudo,
                             bool lengths)
{
	size_t at = protocol == TCP ? 16 : protocol == UDP ? 6 : 2;

	if (protocol != ICMP && protocol != IGMP && protocol != TCP && protocol != UDP &&
	    protocol != ICMP6)
		return;
	if (bytes < at + 2)
		return;
	if (lengths && protocol == UDP)
		set16(p + 4, (uint32_t)bytes);
	set16(p + at, 0);
	pseudo = protocol == ICMP || protocol == IGMP ? 0 : pseudo + protocol + (uint32_t)bytes;
	pseudo = 0xffff & ~fold(pseudo + sum_of(p, bytes));
	set16(p + at, protocol == UDP && !pseudo ? 0xffff : pseudo);
}

static void finish4(uint8_t *ip, size_t count, bool lengths)
{
	size_t header, end = count;

	if (count < IP4_BYTES)
		return;
	header = (ip[0] & 15) * 4u;
	if (lengths)
		set16(ip + 2, (uint32_t)count);
	else if (get16(ip + 2) < end)
		end = get16(ip + 2);
	if (header < IP4_BYTES || header > end)
		return;
	set16(ip + 10, 0);
	set16(ip + 10, 0xffff & ~sum_of(ip, header));
	if (!(get16(ip + 6) & 0x3fff))
		finish_transport(ip + header, end - header, ip[9], sum_of(ip + 12, 8), lengths);
}

/* Where the transport's header is, and what it is; NOTHING: there is none, or a part of one. */
static size_t skip_extensions(const uint8_t *ip, size_t end, uint8_t *next)
{
	size_t at = IP6_BYTES;

	*next = ip[6];
	while (*next == HOP_BY_HOP || *next == ROUTING || *next == OPTIONS || *next == FRAGMENT) {
		bool fragment = *next == FRAGMENT;

		if (at + 8 > end || (fragment && get16(ip + at + 2) & 0xfff9))
			break;
		*next = ip[at];
		at += fragment ? 8 : 8 * (1u + ip[at + 1]);
	}
	if (at <= end && *next != HOP_BY_HOP && *next != ROUTING && *next != OPTIONS &&
	    *next != FRAGMENT)
		return at;
	*next = NOTHING;
	return end;
}

static void finish6(uint8_t *ip, size_t count, bool lengths)
{
	size_t at, end = count;
	uint8_t next;

	if (count < IP6_BYTES)
		return;
	if (lengths)
		set16(ip + 4, (uint32_t)(count - IP6_BYTES));
	else if (IP6_BYTES + get16(ip + 4) < end)
		end = IP6_BYTES + get16(ip + 4);
	at = skip_extensions(ip, end, &next);
	finish_transport(ip + at, end - at, next, sum_of(ip + 8, 32), lengths);
}

/* Make all checksums right, and if `lengths`, before that the lengths. */
static void make_right(struct frame *f, bool lengths)
{
	if (f->count < ETH_BYTES)
		return;
	if (get16(f->bytes + 12) == TYPE_IP4)
		finish4(f->bytes + ETH_BYTES, f->count - ETH_BYTES, lengths);
	else if (get16(f->bytes + 12) == TYPE_IP6)
		finish6(f->bytes + ETH_BYTES, f->count - ETH_BYTES, lengths);
}

/* --- Headers --- */

struct ip {
	bool v6;
	uint8_t bytes[16];
};

static struct ip ip4_of(uint32_t address)
{
	struct ip ip = {.v6 = false};

	set32(ip.bytes, address);
	return ip;
}

static struct ip ip6_of(uint32_t first, uint32_t second, uint32_t third, uint32_t last)
{
	struct ip ip = {.v6 = true};

	set32(ip.bytes, first);
	set32(ip.bytes + 4, second);
	set32(ip.bytes + 8, third);
	set32(ip.bytes + 12, last);
	return ip;
}

/* The peer of that number, and our interface. */
static void put_peer_mac(struct frame *f, uint32_t number)
{
	put(f, (const uint8_t[]){2, 0, 0, 0, 9, (uint8_t)number}, 6);
}

static void put_own_mac(struct frame *f, unsigned int port)
{
	put(f, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(2 + port)}, 6);
}

/* To whoever that address belongs. */
static void put_mac_for(struct frame *f, const struct ip *to)
{
	const uint8_t *b = to->bytes;

	if (to->v6 && b[0] == 0xff)
		put(f, (const uint8_t[]){0x33, 0x33, b[12], b[13], b[14], b[15]}, 6);
	else if (!to->v6 && (b[3] == 255 || b[0] == 255))
		put(f, (const uint8_t[]){255, 255, 255, 255, 255, 255}, 6);
	else if (!to->v6 && b[0] >= 224)
		put(f, (const uint8_t[]){1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}, 6);
	else
		put_own_mac(f, f->port);
}

/* Ethernet's and IP's headers. make_right() does the rest. */
static void start_ip(struct frame *f, unsigned int port, uint32_t protocol, const struct ip *from,
                     const struct ip *to, uint32_t hops)
{
	f->count = 0;
	f->port = port;
	f->flags = 0;
	f->first_bytes = 0;
	put_mac_for(f, to);
	put_peer_mac(f, from->bytes[from->v6 ? 15 : 3]);
	put16(f, from->v6 ? TYPE_IP6 : TYPE_IP4);
	if (from->v6) {
		put32(f, 0x60000000);
		put16(f, 0);
		put8(f, protocol);
		put8(f, hops);
		put(f, from->bytes, 16);
		put(f, to->bytes, 16);
	} else {
		put32(f, 0x45000000);
		put32(f, random32() << 16);
		put8(f, hops);
		put8(f, protocol);
		put16(f, 0);
		put(f, from->bytes, 4);
		put(f, to->bytes, 4);
	}
}

/* --- Damage --- */

static const uint32_t edges[] = {0,    1,    2,    3,      4,      5,      7,      8,
                                 0x10, 0x3f, 0x40, 0x7f,   0x80,   0xfe,   0xff,   0x100,
                                 1279, 1280, 1499, 0x1fff, 0x2000, 0x7fff, 0x8000, 0xffff};

/* Where a header rather than the data is, mostly. */
static size_t some_place(const struct frame *f)
{
	size_t most = f->count > 120 && !one_in(8) ? 120 : f->count;

	return most <= 12 || one_in(100) ? below(f->count + 1) : 12 + below(most - 12 + 1);
}

static void damage_lengths(struct frame *f)
{
	uint8_t *ip = f->bytes + ETH_BYTES;
	uint32_t type = get16(f->bytes + 12), by = below(17) - 8;

	if (f->count < ETH_BYTES + IP6_BYTES + 8)
		return;
	switch (below(4)) {
	case 0:
		set16(ip + (type == TYPE_IP4 ? 2 : 4),
		      one_in(2) ? ANY_OF(edges) : get16(ip + 2) + by);
		break;
	case 1:
		ip[type == TYPE_IP4 ? 0 : 41] += (uint8_t)by;
		break;
	case 2:
		ip[type == TYPE_IP4 ? 32 : 46] += (uint8_t)(by << 4); /* a TCP header's */
		break;
	case 3:
		ip[IP6_BYTES + 1 + below(8)] = (uint8_t)ANY_OF(edges);
	}
}

/* In one way. other: what was sent before. */
static void damage(struct frame *f, const struct frame *other)
{
	size_t at = some_place(f), room = f->count - (at < f->count ? at : f->count);
	size_t count = below(one_in(4) ? 512 : 24);

	switch (below(10)) {
	case 0:
	case 1:
		if (room)
			f->bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 2:
		if (room)
			f->bytes[at] = (uint8_t)ANY_OF(edges);
		break;
	case 3:
		if (room > 1)
			set16(f->bytes + (at & ~1ul), ANY_OF(edges));
		break;
	case 4:
		if (room > 3)
			set32(f->bytes + (at & ~1ul),
			      one_in(2) ? ANY_OF(edges) << 16 | ANY_OF(edges) : random32());
		break;
	case 5: /* shorter */
		f->count = one_in(2) ? at : f->count - (count < f->count ? count : 0);
		break;
	case 6: /* longer */
		for (size_t i = 0; i < count; i++)
			put8(f, one_in(2) ? 0 : random32());
		break;
	case 7:
		damage_lengths(f);
		break;
	case 8: /* some of the other, in place of these bytes or between */
		if (count > room || at + count > other->count)
			break;
		if (one_in(2))
			move_bytes(f, at, at + count);
		memcpy(f->bytes + at, other->bytes + at, count);
		break;
	case 9: /* something is left out */
		if (count < room)
			move_bytes(f, at + count, at);
	}
}

static void damage_some(struct frame *f, const struct frame *other)
{
	for (uint32_t n = 1 + below(3); n; n--)
		damage(f, other);
	if (!one_in(6))
		make_right(f, one_in(2));
}

/* Options that fit, mostly, between IPv6's first two bytes of an extension header and its end. */
static void fill_options(uint8_t *at, const uint8_t *end)
{
	static const uint8_t types[] = {0, 1, 1, 5, 0x26, 0x45, 0x8a, 0xc2, 0xc9};

	while (at < end) {
		size_t room = (size_t)(end - at), bytes = 2 + below(room);

		*at = one_in(16) ? ANY_OF(types) : bytes <= room;
		if (room > 1)
			at[1] = (uint8_t)(bytes - 2);
		at += *at ? bytes : 1;
	}
}

static void put_options4(struct frame *f)
{
	uint8_t *ip = f->bytes + ETH_BYTES, *at = ip + IP4_BYTES;
	size_t bytes = 4 * (1 + below(10));

	if ((ip[0] & 15) * 4 + bytes > 60)
		return;
	move_bytes(f, ETH_BYTES + IP4_BYTES, ETH_BYTES + IP4_BYTES + bytes);
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(one_in(4) ? random32() : one_in(2));
	if (one_in(2))
		memcpy(at, (const uint8_t[]){0x94, 4, 0, 0}, 4); /* a router alert */
	ip[0] = (uint8_t)(ip[0] + bytes / 4);
}

static void put_extension6(struct frame *f)
{
	static const uint8_t kinds[] = {HOP_BY_HOP, OPTIONS, ROUTING, FRAGMENT, OPTIONS};
	uint8_t *ip = f->bytes + ETH_BYTES, *at = ip + IP6_BYTES, kind = ANY_OF(kinds);
	size_t bytes = kind == FRAGMENT ? 8 : 8 * (1 + below(one_in(8) ? 64 : 3));

	move_bytes(f, ETH_BYTES + IP6_BYTES, ETH_BYTES + IP6_BYTES + bytes);
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(one_in(4) ? random32() : one_in(2));
	at[0] = ip[6];
	ip[6] = kind;
	at[1] = (uint8_t)(bytes / 8 - 1);
	if (kind == FRAGMENT)
		set16(at + 2, 0);
	else if (kind == ROUTING)
		at[3] = one_in(2);
	else
		fill_options(at + 2, at + bytes);
}

/* An extension header, or options of IPv4's, behind IP's. Then make_right(). */
static void put_extension(struct frame *f)
{
	if (f->count < ETH_BYTES + IP6_BYTES || f->count + 512 > FRAME_BYTES_MAX)
		return;
	if (get16(f->bytes + 12) == TYPE_IP4)
		put_options4(f);
	else if (get16(f->bytes + 12) == TYPE_IP6)
		put_extension6(f);
}

#endif
