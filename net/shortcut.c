/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual packet's way past lwIP's lower layers: an IPv4 packet to this interface's own address,
 * whole and without options, goes up to TCP or UDP at once; one to the neighbour that was last sent to
 * goes down to the device at once. The rules are those of lwIP's ethernet_input(), ip4_input(),
 * ip4_output_if() and etharp_output(), checked in one place. Whatever is not the usual packet is left
 * to those, with all that may be wrong with it.
 */
#include <string.h>
#include "internal.h"
#include "lwip/etharp.h"
#include "lwip/ip.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/udp.h"
/* Once, not at each place that calls it. */
__attribute__((noinline)) err_t ip4_output_if(struct pbuf *, const ip4_addr_t *, const ip4_addr_t *,
                                              u8_t, u8_t, u8_t, struct netif *);
/* To TCP, UDP, ICMP or IGMP: net/lwip.patch. */
static void hand_up(struct pbuf *p, struct netif *input, struct netif *netif,
                    const struct ip_hdr *ip);
#include "core/ipv4/ip4.c" /* for ip_id, which is private to it */

#define HEADERS (SIZEOF_ETH_HDR + IP_HLEN)

static inline uint32_t word(const void *p, unsigned int index)
{
	uint32_t v;

	memcpy(&v, (const char *)p + 4 * index, sizeof(v));
	return v;
}

static inline bool is_for(const struct eth_hdr *eth, const struct netif *netif)
{
	uint16_t a, b;

	memcpy(&a, &eth->dest.addr[4], sizeof(a));
	memcpy(&b, &netif->hwaddr[4], sizeof(b));
	return word(&eth->dest, 0) == word(netif->hwaddr, 0) && a == b;
}

/* RFC 791: of a whole header it is all ones. */
static inline __attribute__((always_inline)) uint16_t sum_of_header(const struct ip_hdr *ip)
{
	uint64_t sum =
	    (uint64_t)word(ip, 0) + word(ip, 1) + word(ip, 2) + word(ip, 3) + word(ip, 4);

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* RFC 1122, section 3.2.1.3: not everybody's address, nor a group's, nor none. */
static inline bool is_somebody(uint32_t address, const struct netif *netif)
{
	uint32_t mask = netif_ip4_netmask(netif)->addr;
	bool near = ((address ^ netif_ip4_addr(netif)->addr) & mask) == 0;

	return address != 0 && (address & PP_HTONL(0xe0000000)) != PP_HTONL(0xe0000000) &&
	       !(near && (address | mask) == UINT32_MAX);
}

static inline bool is_usual(const struct pbuf *p, const struct netif *netif)
{
	const struct eth_hdr *eth = p->payload;
	const struct ip_hdr *ip = (const void *)(eth + 1);

	return p->len >= HEADERS + sizeof(struct udp_hdr) && eth->type == PP_HTONS(ETHTYPE_IP) &&
	       is_for(eth, netif) && ip->_v_hl == 0x45 &&
	       !(IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) &&
	       lwip_ntohs(IPH_LEN(ip)) == p->tot_len - SIZEOF_ETH_HDR && ip->dest.addr != 0 &&
	       ip->dest.addr == netif_ip4_addr(netif)->addr && netif_is_up(netif) &&
	       is_somebody(ip->src.addr, netif) && sum_of_header(ip) == 0xffff;
}

/* What only one host is asked, it answers if it cannot do it (RFC 1122, section 3.2.2). */
static void refuse(struct pbuf *p, const struct netif *netif, const struct ip_hdr *ip)
{
	if (!ip4_addr_isbroadcast(ip4_current_dest_addr(), netif) &&
	    !ip4_addr_ismulticast(ip4_current_dest_addr())) {
		pbuf_header_force(p, (s16_t)IPH_HL_BYTES(ip));
		icmp_dest_unreach(p, ICMP_DUR_PROTO);
	}
	IP_STATS_INC(ip.proterr);
	IP_STATS_INC(ip.drop);
	pbuf_free(p);
}

static void hand_up(struct pbuf *p, struct netif *input, struct netif *netif,
                    const struct ip_hdr *ip)
{
	ip_data.current_netif = netif;
	ip_data.current_input_netif = input;
	ip_data.current_ip4_header = ip;
	ip_data.current_ip_header_tot_len = IPH_HL_BYTES(ip);
	switch (IPH_PROTO(ip)) {
	case IP_PROTO_TCP:
		tcp_input(p, input);
		break;
	case IP_PROTO_UDP:
		udp_input(p, input);
		break;
	case IP_PROTO_ICMP:
		icmp_input(p, input);
		break;
	case IP_PROTO_IGMP:
		igmp_input(p, input, ip4_current_dest_addr());
		break;
	default:
		refuse(p, netif, ip);
	}
	memset(&ip_data, 0, sizeof(ip_data));
}

bool shortcut_input(struct pbuf *p, struct netif *netif)
{
	const struct ip_hdr *ip = (const void *)((const char *)p->payload + SIZEOF_ETH_HDR);

	if (!is_usual(p, netif) || (IPH_PROTO(ip) != IP_PROTO_TCP && IPH_PROTO(ip) != IP_PROTO_UDP))
		return false;
	IP_STATS_INC(ip.recv);
	p->payload = (char *)p->payload + HEADERS;
	p->len -= HEADERS;
	p->tot_len -= HEADERS;
	if (IPH_PROTO(ip) == IP_PROTO_TCP && predicted_input(p, netif, ip))
		return true;
	p->if_idx = netif_get_index(netif);
	ip_addr_copy_from_ip4(ip_data.current_iphdr_dest, ip->dest);
	ip_addr_copy_from_ip4(ip_data.current_iphdr_src, ip->src);
	hand_up(p, netif, netif, ip);
	return true;
}

/* p behind so many bytes of headers: where they begin. */
static void *add_headers(struct pbuf *p, unsigned int bytes)
{
	p->payload = (char *)p->payload - bytes;
	p->len += bytes;
	p->tot_len += bytes;
	return p->payload;
}

static void fill_ethernet(struct eth_hdr *eth, const struct netif *netif,
                          const struct eth_addr *neighbour)
{
	eth->dest = *neighbour;
	memcpy(&eth->src, netif->hwaddr, sizeof(eth->src));
	eth->type = PP_HTONS(ETHTYPE_IP);
}

err_t shortcut_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	const struct eth_addr *neighbour = arp_neighbour(netif, to);

	if (!neighbour || pbuf_headroom(p) < SIZEOF_ETH_HDR)
		return etharp_output(netif, p, to);
	fill_ethernet(add_headers(p, SIZEOF_ETH_HDR), netif, neighbour);
	return netif->linkoutput(netif, p);
}

int8_t shortcut_ip4_output(struct pbuf *p, const ip4_addr_t *from, const ip4_addr_t *to,
                           uint8_t ttl, uint8_t tos, uint8_t proto, struct netif *netif)
{
	bool fits = p->piece_bytes != 0 || p->tot_len + IP_HLEN <= netif->mtu;
	const struct eth_addr *neighbour = port_of(netif) && fits ? arp_neighbour(netif, to) : NULL;
	struct ip_hdr *ip;

	if (!neighbour || pbuf_headroom(p) < HEADERS || from->addr == 0 ||
	    to->addr == netif_ip4_addr(netif)->addr)
		return ip4_output_if(p, from, to, ttl, tos, proto, netif);
	fill_ethernet(add_headers(p, HEADERS), netif, neighbour);
	ip = (void *)((char *)p->payload + SIZEOF_ETH_HDR);
	*ip = (struct ip_hdr){._v_hl = 0x45,
	                      ._tos = tos,
	                      ._len = lwip_htons(p->tot_len - SIZEOF_ETH_HDR),
	                      ._id = lwip_htons(ip_id),
	                      ._ttl = ttl,
	                      ._proto = proto,
	                      .src.addr = from->addr,
	                      .dest.addr = to->addr};
	ip->_chksum = (uint16_t)~sum_of_header(ip);
	ip_id = (u16_t)(ip_id + 1 + (p->piece_bytes ? p->tot_len / p->piece_bytes : 0));
	IP_STATS_INC(ip.xmit);
	return netif->linkoutput(netif, p);
}
