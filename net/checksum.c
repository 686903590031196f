/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071) in words of 64 bits, and the sum of a pseudo header.
 */
#include <string.h>
#include "internal.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/nd6.h"
#include "lwip/prot/ip.h"

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

static uint32_t sum_of_addresses(const ip_addr_t *src, const ip_addr_t *dst)
{
	const uint32_t *s = ip_2_ip6(src)->addr, *d = ip_2_ip6(dst)->addr;

	if (IP_IS_V4(dst))
		return fold((uint64_t)ip_2_ip4(src)->addr + ip_2_ip4(dst)->addr);
	return fold((uint64_t)s[0] + s[1] + s[2] + s[3] + d[0] + d[1] + d[2] + d[3]);
}

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

	p->flags &= (uint8_t)~PBUF_FLAG_TX_CHECKSUM;
	if (!port || !(port->dev->features & NETDEV_TX_CSUM) || !fits_frame(netif, p, dst))
		return ip_chksum_pseudo(p, proto, p->tot_len, src, dst);
	p->flags |= PBUF_FLAG_TX_CHECKSUM;
	return (uint16_t)fold((uint64_t)sum_of_addresses(src, dst) + lwip_htons(proto) +
	                      lwip_htons(p->tot_len));
}
