/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071) in words of 64 bits, and the sum of a pseudo header: in place of lwIP's.
 */
#include <string.h>
#include "internal.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/nd6.h"
#include "lwip/prot/ip.h"

/* Compiled for speed, but once. */
#define ONCE __attribute__((noinline, noclone))

static inline uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* One's complement addition: the carry comes back in at the bottom. */
static inline uint64_t add64(uint64_t sum, uint64_t v)
{
	return sum + v + __builtin_add_overflow_p(sum, v, (uint64_t)0);
}

static inline uint32_t fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint32_t)((sum >> 16) + (sum & 0xffff));
}

/* Up to 3 bytes, as if zeros followed. */
static uint32_t load_tail(const uint8_t *p, int count)
{
	uint32_t v = 0;

	memcpy(&v, p, (size_t)count);
	return v;
}

/*
 * The sum of count bytes as 16-bit words in memory order, not complemented.
 *
 * Any alignment: unaligned loads cost nothing where it matters, and the sum is the same modulo byte
 * order whatever the size of the words (RFC 1071, section 2). 32-bit halves are added to two 64-bit
 * sums, which cannot overflow in 2^32 steps: no carries, so that the compiler can use vectors.
 */
uint16_t net_checksum(const void *bytes, int count)
{
	const uint8_t *p = bytes;
	uint64_t low = 0, high = 0;

	for (; count >= 8; count -= 8, p += 8) {
		uint64_t v = load64(p);

		low += (uint32_t)v;
		high += v >> 32;
	}
	if (count >= 4) { /* an IP header without options ends here */
		high += load32(p);
		count -= 4, p += 4;
	}
	if (count > 0)
		low += load_tail(p, count);
	return (uint16_t)fold(add64(low, high));
}

/* Of a sum and a chain, in which what begins at an odd place has its bytes the other way round. */
ONCE static uint16_t checksum(const struct pbuf *p, uint64_t sum)
{
	bool odd = false;

	for (; p; p = p->next) {
		uint16_t part = net_checksum(p->payload, p->len);

		sum += odd ? __builtin_bswap16(part) : part;
		odd ^= p->len & 1;
	}
	return (uint16_t)~fold(sum);
}

/* Of a pseudo header, with addresses of one word or four. */
ONCE static uint64_t sum_of_pseudo(const void *src, const void *dst, unsigned int words,
                                   uint8_t proto, uint16_t bytes)
{
	uint64_t sum = ((uint64_t)proto << 8) + lwip_htons(bytes) + load32(src) + load32(dst);

	for (unsigned int i = 1; i < words; i++)
		sum +=
		    (uint64_t)load32((const char *)src + 4 * i) + load32((const char *)dst + 4 * i);
	return sum;
}

static unsigned int words_of(const ip_addr_t *a)
{
	return IP_IS_V4(a) ? 1 : 4;
}

/* --- In place of lwIP's inet_chksum.c ------------------------------------------------------------- */

uint16_t inet_chksum(const void *bytes, uint16_t count)
{
	return (uint16_t)~net_checksum(bytes, count);
}

uint16_t inet_chksum_pbuf(struct pbuf *p)
{
	return checksum(p, 0);
}

uint16_t ip_chksum_pseudo(struct pbuf *p, uint8_t proto, uint16_t bytes, const ip_addr_t *src,
                          const ip_addr_t *dst)
{
	return checksum(p, sum_of_pseudo(src, dst, words_of(dst), proto, bytes));
}

uint16_t ip6_chksum_pseudo(struct pbuf *p, uint8_t proto, uint16_t bytes, const ip6_addr_t *src,
                           const ip6_addr_t *dst)
{
	return checksum(p, sum_of_pseudo(src, dst, 4, proto, bytes));
}

/* --- Sending ------------------------------------------------------------------------------------- */

/* Whether p with its IP header goes out in one frame: the device cannot sum over fragments. */
static bool fits_frame(struct netif *netif, const struct pbuf *p, const ip_addr_t *dst)
{
	unsigned int bytes = p->tot_len + (IP_IS_V4(dst) ? IP_HLEN : IP6_HLEN);

	if (p->piece_bytes)
		return true;
	if (IP_IS_V4(dst))
		return bytes <= netif->mtu;
	/* 1280: every IPv6 path takes that (RFC 8200, section 5). */
	return bytes <= 1280 || bytes <= nd6_get_destination_mtu(ip_2_ip6(dst), netif);
}

/*
 * What to put into the checksum field of the TCP or UDP packet p (lwip.patch calls this). Where the
 * device computes checksums: the pseudo header's sum, and a mark on p for netif.c; else the whole
 * checksum.
 */
uint16_t net_tx_checksum(struct netif *netif, struct pbuf *p, uint8_t proto, const void *src,
                         const void *dst)
{
	const struct port *port = port_of(netif);
	uint64_t sum = sum_of_pseudo(src, dst, words_of(dst), proto, p->tot_len);

	p->flags &= (uint8_t)~PBUF_FLAG_TX_CHECKSUM;
	if (!port || !(port->dev->features & NETDEV_TX_CSUM) || !fits_frame(netif, p, dst))
		return checksum(p, sum);
	p->flags |= PBUF_FLAG_TX_CHECKSUM;
	return (uint16_t)fold(sum);
}
