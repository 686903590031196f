/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's ARP, whose table is private to its file: that is included here instead of being compiled on
 * its own. Its etharp_output() looks for the neighbour in three ways, of which one is enough.
 */
#include "internal.h"
#include "core/ipv4/etharp.c"

/* Where a packet goes first: to whom it is for, or to the gateway. */
static inline const ip4_addr_t *next_hop(const struct netif *netif, const ip4_addr_t *to)
{
	bool near = ip4_addr_net_eq(to, netif_ip4_addr(netif), netif_ip4_netmask(netif)) ||
	            ip4_addr_islinklocal(to);

	return near ? to : netif_ip4_gw(netif);
}

const struct eth_addr *arp_neighbour(struct netif *netif, const ip4_addr_t *to)
{
	const struct etharp_entry *e = &arp_table[etharp_cached_entry];
	const ip4_addr_t *hop;

	if (ip4_addr_ismulticast(to) || to->addr == IPADDR_BROADCAST)
		return NULL; /* not by way of the gateway */
	hop = next_hop(netif, to);
	if (e->state != ETHARP_STATE_STABLE || e->ctime >= ARP_AGE_REREQUEST_USED_UNICAST ||
	    e->netif != netif || !ip4_addr_eq(hop, &e->ipaddr))
		return NULL;
	return &e->ethaddr;
}

/* RFC 1112, section 6.4. */
static err_t output_to_group(struct netif *netif, struct pbuf *p, uint32_t group)
{
	struct eth_addr to = {{LL_IP4_MULTICAST_ADDR_0, LL_IP4_MULTICAST_ADDR_1,
	                       LL_IP4_MULTICAST_ADDR_2, group >> 16 & 0x7f, group >> 8, group}};

	return ethernet_output(netif, p, (const struct eth_addr *)netif->hwaddr, &to, ETHTYPE_IP);
}

err_t etharp_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	LWIP_ASSERT_CORE_LOCKED();
	if (ip4_addr_isbroadcast(to, netif))
		return ethernet_output(netif, p, (const struct eth_addr *)netif->hwaddr,
		                       &ethbroadcast, ETHTYPE_IP);
	if (ip4_addr_ismulticast(to))
		return output_to_group(netif, p, lwip_ntohl(to->addr));
	to = next_hop(netif, to);
	return to->addr == IPADDR_ANY ? ERR_RTE : etharp_query(netif, to, p);
}

uint32_t arp_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;

	for (struct etharp_entry *e = arp_table; e < arp_table + ARP_TABLE_SIZE; e++) {
		if (e->state == ETHARP_STATE_EMPTY)
			continue;
		e->ctime = (u16_t)LWIP_MIN(e->ctime + intervals, ARP_MAXAGE - 1u);
		due = LWIP_MIN(
		    due, e->state == ETHARP_STATE_STABLE ? (uint32_t)ARP_MAXAGE - e->ctime : 1);
	}
	return due;
}
