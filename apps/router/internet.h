/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of IPv4 and what it carries, as bytes in a frame; checksums that follow a change.
 *
 * Addresses and ports stay in network byte order, as loaded, wherever nobody has to calculate with
 * them. Source: RFC 791, 792, 768, 9293; RFC 1624 for the checksums.
 */
#ifndef ROUTER_INTERNET_H
#define ROUTER_INTERNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ETHERNET_BYTES 14
#define IPV4_BYTES     20 /* without options */

/* Offsets in the IP header. */
#define IPV4_VERSION  0
#define IPV4_TOTAL    2
#define IPV4_ID       4
#define IPV4_FRAGMENT 6 /* flags and offset */
#define IPV4_TTL      8
#define IPV4_PROTO    9
#define IPV4_SUM      10
#define IPV4_SRC      12
#define IPV4_DST      16

/* Of IPV4_FRAGMENT, in host order. */
#define FRAGMENT_DONT   0x4000u
#define FRAGMENT_MORE   0x2000u
#define FRAGMENT_OFFSET 0x1fffu /* in units of 8 bytes */

#define PROTO_ICMP 1
#define PROTO_TCP  6
#define PROTO_UDP  17

/* TCP: ports come first, as UDP's. */
#define TCP_BYTES 20
#define TCP_FLAGS 13
#define TCP_SUM   16
#define TCP_FIN   1u
#define TCP_SYN   2u
#define TCP_RST   4u
#define TCP_ACK   16u

#define UDP_BYTES 8
#define UDP_SUM   6

#define ICMP_BYTES 8
#define ICMP_TYPE  0
#define ICMP_SUM   2
#define ICMP_ID    4 /* of echo requests and replies */

#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_ECHO          8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12

#define ICMP_NO_NETWORK    0 /* codes of ICMP_UNREACHABLE */
#define ICMP_NO_HOST       1
#define ICMP_TOO_BIG       4
#define ICMP_NOT_PERMITTED 13 /* RFC 1812, section 5.2.7.1 */

static inline uint16_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* A number in network byte order, as this machine's; and back. */
static inline uint16_t host16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint32_t host32(uint32_t v)
{
	return __builtin_bswap32(v);
}

/* --- Checksums: sums of 16-bit words in memory order, one's complement (RFC 1071) --------------- */

static inline uint16_t sum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

/* What is to be added to a sum when from becomes to (RFC 1624, equation 3: ~m + m'). */
static inline uint32_t sum_change16(uint16_t from, uint16_t to)
{
	return (uint32_t)(uint16_t)~from + to;
}

static inline uint64_t sum_change32(uint32_t from, uint32_t to)
{
	return (uint64_t)(uint32_t)~from + to;
}

/* A sum that is not complemented, and a change of what it covers. */
static inline uint16_t sum_add(uint16_t sum, uint16_t change)
{
	uint32_t s = (uint32_t)sum + change;

	return (uint16_t)(s + (s >> 16));
}

/* A checksum, which is the complement of the sum, after a change of what it covers. */
static inline uint16_t checksum_adjust(uint16_t checksum, uint16_t change)
{
	return (uint16_t)~sum_add((uint16_t)~checksum, change);
}

/* The sum of an IP header without options, its checksum included: 0xffff if that is right. */
static inline uint16_t ip_sum(const uint8_t *ip)
{
	return sum_fold((uint64_t)load32(ip) + load32(ip + 4) + load32(ip + 8) + load32(ip + 12) +
	                load32(ip + 16));
}

/* The sum of count bytes. */
static inline uint16_t sum_bytes(const uint8_t *p, size_t count)
{
	uint64_t sum = 0;

	for (; count >= 4; count -= 4, p += 4)
		sum += load32(p);
	if (count >= 2) {
		sum += load16(p);
		count -= 2, p += 2;
	}
	return sum_fold(sum + (count ? *p : 0)); /* little-endian: as if a zero followed */
}

/*
 * Finish a checksum as a device would: the sum of count bytes from start on, which has the pseudo
 * header's in its place, offset bytes behind start. Never 0, which UDP has another use for (RFC 768).
 */
static inline void checksum_finish(uint8_t *start, size_t count, size_t offset)
{
	uint16_t sum = (uint16_t)~sum_bytes(start, count);

	store16(start + offset, sum ? sum : 0xffff);
}

#endif
