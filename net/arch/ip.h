/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lwIP does with addresses by macros, of up to thirty instructions at each of more than a hundred
 * places: as assignments and functions. GCC inlines the inline ones where code is compiled for speed.
 * Included at the end of lwip/ip_addr.h (net/lwip.patch).
 */
#ifndef ARCH_IP_H
#define ARCH_IP_H

#include <string.h>

struct netif;

/* --- Copying. The unused part of an IPv4 address is zero, and is copied. ------------------------- */

#undef ip_addr_copy
#define ip_addr_copy(to, from) ((to) = (from))
#undef ip_addr_set
#define ip_addr_set(to, from) (*(to) = *(from))
#undef ip_addr_copy_from_ip4
#define ip_addr_copy_from_ip4(to, from) ((to) = (ip_addr_t)IPADDR4_INIT((from).addr))
#undef ip6_addr_copy
#define ip6_addr_copy(to, from) ((to) = (from))
#undef ip6_addr_copy_from_packed
#define ip6_addr_copy_from_packed(to, from) \
	(memcpy((to).addr, (from).addr, sizeof((from).addr)), ip6_addr_set_zone(&(to), IP6_NO_ZONE))
#undef ip6_addr_copy_to_packed
#define ip6_addr_copy_to_packed(to, from) memcpy((to).addr, (from).addr, sizeof((to).addr))
#undef ip6_addr_set
#define ip6_addr_set(to, from) net_ip6_set(to, from)
/* from may be NULL: no address. */
void net_ip6_set(ip6_addr_t *to, const ip6_addr_t *from);

/* The packet that is being received is a fragment, or was put together from some. */
extern u8_t net_ip6_in_fragments;

/* --- Comparing ----------------------------------------------------------------------------------- */

/* Eight bytes, which are aligned to four only. */
inline u64_t net_ip6_half(const void *address, unsigned int half)
{
	u64_t v;

	memcpy(&v, (const char *)address + 8 * half, sizeof(v));
	return v;
}

inline int net_ip6_eq(const ip6_addr_t *a, const ip6_addr_t *b)
{
	return net_ip6_half(a, 0) == net_ip6_half(b, 0) &&
	       net_ip6_half(a, 1) == net_ip6_half(b, 1) && ip6_addr_zone_eq(a, b);
}

inline int net_ip_eq(const ip_addr_t *a, const ip_addr_t *b)
{
	return IP_GET_TYPE(a) == IP_GET_TYPE(b) &&
	       (IP_IS_V6_VAL(*a) ? net_ip6_eq(ip_2_ip6(a), ip_2_ip6(b))
	                         : ip4_addr_eq(ip_2_ip4(a), ip_2_ip4(b)));
}

inline int net_ip6_isany(const ip6_addr_t *a)
{
	return (net_ip6_half(a, 0) | net_ip6_half(a, 1)) == 0;
}

inline int net_ip_isany(const ip_addr_t *a)
{
	return !a ||
	       (IP_IS_V6_VAL(*a) ? net_ip6_isany(ip_2_ip6(a)) : ip4_addr_isany_val(*ip_2_ip4(a)));
}

inline int net_ip_ismulticast(const ip_addr_t *a)
{
	return IP_IS_V6(a) ? ip6_addr_ismulticast(ip_2_ip6(a)) : ip4_addr_ismulticast(ip_2_ip4(a));
}

inline int net_ip_isbroadcast(const ip_addr_t *a, const struct netif *netif)
{
	return IP_IS_V4(a) && ip4_addr_isbroadcast(ip_2_ip4(a), netif);
}

/* The same bytes, even if unused: equal. In fewer steps, for where it matters and is mostly so. */
static inline __attribute__((always_inline)) bool net_ip_same(const ip_addr_t *a,
                                                              const ip_addr_t *b)
{
	return ((net_ip6_half(a, 0) ^ net_ip6_half(b, 0)) |
	        (net_ip6_half(a, 1) ^ net_ip6_half(b, 1)) |
	        (unsigned int)(ip_2_ip6(a)->zone ^ ip_2_ip6(b)->zone) |
	        (unsigned int)(IP_GET_TYPE(a) ^ IP_GET_TYPE(b))) == 0;
}

#undef ip6_addr_eq
#define ip6_addr_eq(a, b) net_ip6_eq(a, b)
#undef ip6_addr_net_zoneless_eq
#define ip6_addr_net_zoneless_eq(a, b) (net_ip6_half(a, 0) == net_ip6_half(b, 0))
#undef ip6_addr_nethost_eq
#define ip6_addr_nethost_eq(a, b) (net_ip6_half(a, 1) == net_ip6_half(b, 1))
#undef ip6_addr_zoneless_eq
#define ip6_addr_zoneless_eq(a, b) (ip6_addr_net_zoneless_eq(a, b) && ip6_addr_nethost_eq(a, b))
#undef ip6_addr_packed_eq
#define ip6_addr_packed_eq(a, packed, its_zone) \
	(ip6_addr_zoneless_eq(a, packed) && (a)->zone == (its_zone))
#undef ip_addr_eq
#define ip_addr_eq(a, b) net_ip_eq(a, b)
#undef ip6_addr_isany_val
#define ip6_addr_isany_val(a) net_ip6_isany(&(a))
#undef ip_addr_isany
#define ip_addr_isany(a) net_ip_isany(a)
#undef ip_addr_isany_val
#define ip_addr_isany_val(a) net_ip_isany(&(a))
#undef ip_addr_ismulticast
#define ip_addr_ismulticast(a) net_ip_ismulticast(a)
#undef ip_addr_isbroadcast
#define ip_addr_isbroadcast(a, netif) net_ip_isbroadcast(a, netif)

/* --- Zones: which interface a link-local address belongs to ---------------------------------------- */

/*
 * Does an address that begins with this word belong to one interface only? (Of what type lwIP knows it
 * to be does not matter: there, it does not begin like one of another.)
 */
int net_ip6_has_scope(u32_t first_word);
void net_ip6_assign_zone(ip6_addr_t *a, const struct netif *netif);
/* a; or, if it ought to have a zone and has none, with the one of its route: until the next call. */
const ip_addr_t *net_ip_zoned(const ip_addr_t *a);

#undef ip6_addr_has_scope
#define ip6_addr_has_scope(a, type) net_ip6_has_scope((a)->addr[0])
#undef ip6_addr_assign_zone
#define ip6_addr_assign_zone(a, type, netif) net_ip6_assign_zone(a, netif)

#endif
