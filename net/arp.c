/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's ARP, whose table is private to its file: that is included here instead of being compiled on
 * its own.
 */
#include "internal.h"
#include "core/ipv4/etharp.c"

const struct eth_addr *arp_neighbour(struct netif *netif, const ip4_addr_t *to)
{
	const struct etharp_entry *e = &arp_table[etharp_cached_entry];
	const ip4_addr_t *hop = to;

	if (ip4_addr_ismulticast(to) || to->addr == IPADDR_BROADCAST)
		return NULL; /* not by way of the gateway */
	if (!ip4_addr_net_eq(to, netif_ip4_addr(netif), netif_ip4_netmask(netif)) &&
	    !ip4_addr_islinklocal(to))
		hop = netif_ip4_gw(netif);
	if (e->state != ETHARP_STATE_STABLE || e->ctime >= ARP_AGE_REREQUEST_USED_UNICAST ||
	    e->netif != netif || !ip4_addr_eq(hop, &e->ipaddr))
		return NULL;
	return &e->ethaddr;
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
