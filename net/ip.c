/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, as lwIP copies and compares them (net/arch/ip.h). */
#include "lwip/ip_addr.h"
#include "lwip/ip6.h"
#include "lwip/netif.h"

extern inline u64_t net_ip6_half(const void *address, unsigned int half);
extern inline int net_ip6_eq(const ip6_addr_t *a, const ip6_addr_t *b);
extern inline int net_ip_eq(const ip_addr_t *a, const ip_addr_t *b);
extern inline int net_ip6_isany(const ip6_addr_t *a);
extern inline int net_ip_isany(const ip_addr_t *a);
extern inline int net_ip_ismulticast(const ip_addr_t *a);
extern inline int net_ip_isbroadcast(const ip_addr_t *a, const struct netif *netif);

void net_ip6_set(ip6_addr_t *to, const ip6_addr_t *from)
{
	*to = from ? *from : (ip6_addr_t){0};
}

/* RFC 4007, section 4, and 4291, section 2.7: link-local, and groups of an interface or link. */
int net_ip6_has_scope(u32_t first_word)
{
	const ip6_addr_t a = {.addr = {first_word}};

	return ip6_addr_islinklocal(&a) || ip6_addr_ismulticast_iflocal(&a) ||
	       ip6_addr_ismulticast_linklocal(&a);
}

void net_ip6_assign_zone(ip6_addr_t *a, const struct netif *netif)
{
	a->zone = ip6_addr_has_scope(a, IP6_UNKNOWN) ? netif_get_index(netif) : IP6_NO_ZONE;
}

const ip_addr_t *net_ip_zoned(const ip_addr_t *a)
{
	static ip_addr_t zoned;

	if (!IP_IS_V6(a) || !ip6_addr_lacks_zone(ip_2_ip6(a), IP6_UNKNOWN))
		return a;
	zoned = *a;
	ip6_addr_select_zone(ip_2_ip6(&zoned), ip_2_ip6(&zoned));
	return &zoned;
}
