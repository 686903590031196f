/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those modules of lwIP's whose tables are private to their file, and what timers.c has to know
 * about the tables: lwIP's files are included here instead of being compiled on their own.
 */
#include "internal.h"
#include "core/ipv4/etharp.c"
/* Addresses in digits do not come this far (find_targets() in net/dns.c). */
#undef ipaddr_aton
#define ipaddr_aton(text, address) ((void)(text), (void)(address), 0)
#include "core/dns.c"

const struct eth_addr *arp_neighbour(struct netif *netif, const ip4_addr_t *to)
{
	const struct etharp_entry *e = &arp_table[etharp_cached_entry];
	const ip4_addr_t *hop = to;

	if (!ip4_addr_net_eq(to, netif_ip4_addr(netif), netif_ip4_netmask(netif)) &&
	    !ip4_addr_islinklocal(to))
		hop = netif_ip4_gw(netif);
	if (e->state != ETHARP_STATE_STABLE || e->ctime >= ARP_AGE_REREQUEST_USED_UNICAST ||
	    e->netif != netif || !ip4_addr_eq(hop, &e->ipaddr))
		return NULL;
	return &e->ethaddr;
}

uint32_t arp_due(void)
{
	uint32_t due = TIMER_NEVER;

	for (int i = 0; i < ARP_TABLE_SIZE; i++) {
		if (arp_table[i].state == ETHARP_STATE_EMPTY)
			continue;
		if (arp_table[i].state != ETHARP_STATE_STABLE)
			return 1;
		due = LWIP_MIN(due, (uint32_t)ARP_MAXAGE - arp_table[i].ctime);
	}
	return due;
}

void arp_skip(uint32_t intervals)
{
	for (int i = 0; i < ARP_TABLE_SIZE; i++) {
		if (arp_table[i].state != ETHARP_STATE_EMPTY)
			arp_table[i].ctime =
			    (u16_t)LWIP_MIN(arp_table[i].ctime + intervals, ARP_MAXAGE - 1u);
	}
}

/* Answers that are known grow old by dns_skip(), which is in time before each question. */
uint32_t dns_due(void)
{
	for (int i = 0; i < DNS_TABLE_SIZE; i++) {
		if (dns_table[i].state == DNS_STATE_NEW || dns_table[i].state == DNS_STATE_ASKING)
			return 1;
	}
	return TIMER_NEVER;
}

void dns_skip(uint32_t intervals)
{
	for (int i = 0; i < DNS_TABLE_SIZE; i++) {
		struct dns_table_entry *e = &dns_table[i];

		if (e->state != DNS_STATE_DONE)
			continue;
		if (e->ttl <= intervals)
			e->state = DNS_STATE_UNUSED;
		else
			e->ttl -= intervals;
	}
}
