/* SPDX-License-Identifier: Apache-2.0 */
/* net_status(): everything that can be told about the network, in one struct. */
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <pith/page.h>
#include "internal.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/stats.h"

static const char *dhcp_state(const struct netif *netif)
{
	const struct dhcp *dhcp = netif_dhcp_data(netif);

	if (!dhcp)
		return ip4_addr_isany_val(*netif_ip4_addr(netif)) ? "off" : "static";
	switch (dhcp->state) {
	case DHCP_STATE_BOUND:
		return "bound";
	case DHCP_STATE_RENEWING:
		return "renewing";
	case DHCP_STATE_REBINDING:
		return "rebinding";
	}
	return dhcp->tries > 3 ? "none" : "asking";
}

/* to: of INET6_ADDRSTRLEN bytes. */
static void print(const ip_addr_t *ip, char *to)
{
	inet_ntop(IP_IS_V4(ip) ? AF_INET : AF_INET6, ip_2_ip6(ip)->addr, to, INET6_ADDRSTRLEN);
}

static void add_address(struct net_interface_status *to, const ip_addr_t *ip, unsigned int bits,
                        bool tentative)
{
	unsigned int i = to->address_count++;

	print(ip, to->address[i].text);
	to->address[i].prefix_bits = (uint8_t)bits;
	to->address[i].tentative = tentative;
}

static void addresses(const struct netif *netif, struct net_interface_status *to)
{
	if (!ip4_addr_isany_val(*netif_ip4_addr(netif)))
		add_address(to, netif_ip_addr4(netif),
		            (unsigned int)__builtin_popcount(netif_ip4_netmask(netif)->addr),
		            false);
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		u8_t state = netif_ip6_addr_state(netif, i);

		if (ip6_addr_isvalid(state) || ip6_addr_istentative(state))
			add_address(to, netif_ip_addr6(netif, i), 64, ip6_addr_istentative(state));
	}
}

static void gateways(const struct netif *netif, struct net_interface_status *to)
{
	if (!ip4_addr_isany_val(*netif_ip4_gw(netif)))
		print(netif_ip_gw4(netif), to->gateway);
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		const struct nd6_neighbor_cache_entry *n = default_router_list[i].neighbor_entry;

		if (n && n->netif == netif)
			inet_ntop(AF_INET6, n->next_hop_address.addr, to->gateway6,
			          sizeof(to->gateway6));
	}
}

static void interface(const struct port *port, struct net_interface_status *to)
{
	const struct netif *netif = &port->netif;
	const struct netdev *dev = port->dev;
	const struct dhcp *dhcp = netif_dhcp_data(netif);

	snprintf(to->name, sizeof(to->name), "%s", dev->name);
	memcpy(to->mac, dev->mac, sizeof(to->mac));
	to->mtu = dev->mtu;
	to->link_up = dev->link_up;
	to->broken = dev->broken;
	to->dhcp = dhcp_state(netif);
	to->dhcp_lease_s = dhcp ? dhcp->offered_t0_lease : 0;
	addresses(netif, to);
	gateways(netif, to);
	to->rx_buffers = dev->rx_buffers;
	to->rx_buffers_held = dev->held_count;
	to->rx_buffers_free = dev->free_count;
	to->device = dev->stats;
}

static void protocol(const struct stats_proto *from, struct net_protocol_status *to)
{
	to->received = from->recv;
	to->sent = from->xmit;
	to->dropped = from->drop;
	to->bad_checksum = from->chkerr;
	to->bad = from->lenerr + from->proterr + from->opterr + from->err;
	to->no_memory = from->memerr;
}

static void dns_servers(struct net_status *status)
{
	for (u8_t i = 0; i < DNS_MAX_SERVERS; i++) {
		const ip_addr_t *ip = dns_getserver(i);

		if (!ip_addr_isany(ip))
			print(ip, status->dns[status->dns_count++]);
	}
}

void net_status(struct net_status *status)
{
	struct memory_info memory;

	memset(status, 0, sizeof(*status));
	memory_info(&memory);
	status->connections_max = net_connections_max(memory.total_bytes);
	net_lock();
	for (struct port *p = ports; p && status->interface_count < NET_INTERFACES_MAX; p = p->next)
		interface(p, &status->interface[status->interface_count++]);
	dns_servers(status);
	strcpy(status->hostname, ip_config.hostname);
	memory_status(status);
	status->sockets = socket_count;
	protocol(&lwip_stats.ip, &status->ip4);
	protocol(&lwip_stats.ip6, &status->ip6);
	protocol(&lwip_stats.icmp, &status->icmp4);
	protocol(&lwip_stats.icmp6, &status->icmp6);
	protocol(&lwip_stats.udp, &status->udp);
	protocol(&lwip_stats.tcp, &status->tcp);
	status->udp_overflows = udp_overflows;
	status->timer_wakeups = timers_wakeups;
	net_unlock();
}
