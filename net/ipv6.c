/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That lwIP's IPv6 is linked; net/without_ipv6.c is in its place where an app omits it. And which interface
 * and address a packet leaves by, which says in half of the bytes what lwIP's own functions did
 * (net/lwip.patch leaves them out).
 */
#include <stdbool.h>
#include "internal.h"
#include "lwip/ip6.h"
#include "lwip/nd6.h"

const bool net_has_ipv6 = true;

/* netif, if it can send; else NULL. */
static struct netif *usable(struct netif *netif)
{
	return netif && net_can_send(netif) ? netif : NULL;
}

struct netif *net_ip6_netif_with(const ip6_addr_t *address, bool or_prefix,
                                 const struct netif *only)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		if (only ? netif != only : !net_can_send(netif))
			continue;
		for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
			const ip6_addr_t *a = netif_ip6_addr(netif, i);

			if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) &&
			    net_ip6_half(a, 0) == net_ip6_half(address, 0) &&
			    ((or_prefix && netif_ip6_addr_isstatic(netif, i)) ||
			     net_ip6_half(a, 1) == net_ip6_half(address, 1)))
				return netif;
		}
	}
	return NULL;
}

/*
 * Packets from or to addresses of one link stay there: on the one whose zone they say, or that the source
 * address is of.
 */
struct netif *ip6_route(const ip6_addr_t *from, const ip6_addr_t *to)
{
	u8_t zone = ip6_addr_zone(to);
	struct netif *netif;

	if (!zone && (ip6_addr_has_scope(to, IP6_UNKNOWN) ||
	              ip6_addr_has_scope(from, IP6_UNICAST) || ip6_addr_isloopback(from))) {
		zone = ip6_addr_zone(from);
		if (!zone)
			return net_ip6_netif_with(from, false, NULL);
	}
	if (zone)
		return usable(netif_get_by_index(zone));
	netif = net_ip6_netif_with(to, true, NULL);
	if (!netif)
		netif = nd6_find_route(to);
	if (!netif)
		netif = net_ip6_netif_with(from, false, NULL);
	return netif ? netif : usable(netif_default);
}

/*
 * RFC 6724, section 3.1; but unique local addresses are of a smaller scope than global ones, which do not
 * reach them.
 */
static unsigned int scope_of(const ip6_addr_t *a)
{
	if (ip6_addr_ismulticast(a))
		return ip6_addr_multicast_scope(a);
	if (ip6_addr_islinklocal(a) || ip6_addr_isloopback(a))
		return IP6_MULTICAST_SCOPE_LINK_LOCAL;
	if (ip6_addr_isuniquelocal(a))
		return IP6_MULTICAST_SCOPE_ORGANIZATION_LOCAL;
	if (ip6_addr_issitelocal(a))
		return IP6_MULTICAST_SCOPE_SITE_LOCAL;
	return IP6_MULTICAST_SCOPE_GLOBAL;
}

/* RFC 6724, section 5: rules 1, 2, 3, and of 8, whether the prefix is the same. */
const ip_addr_t *ip6_select_source_address(struct netif *netif, const ip6_addr_t *to)
{
	unsigned int wanted = scope_of(to), best = 0;
	const ip_addr_t *from = NULL;

	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		const ip6_addr_t *a = netif_ip6_addr(netif, i);
		u8_t state = netif_ip6_addr_state(netif, i);
		bool same = net_ip6_half(a, 0) == net_ip6_half(to, 0);
		unsigned int scope = scope_of(a), rank;

		if (!ip6_addr_isvalid(state))
			continue;
		if (same && net_ip6_half(a, 1) == net_ip6_half(to, 1))
			return netif_ip_addr6(netif, i);
		/* The smallest scope that is large enough, or else the largest. */
		rank = scope >= wanted ? 2 * IP6_MULTICAST_SCOPE_RESERVEDF - scope : scope;
		rank = rank << 2 | ip6_addr_ispreferred(state) << 1 | same;
		if (rank > best) {
			best = rank;
			from = netif_ip_addr6(netif, i);
		}
	}
	return from;
}
