/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the place of lwIP's IPv6, for an app that says OMIT := ipv6: no address, no route, no socket, and
 * packets that come are dropped. lwIP itself is compiled as ever, so that one set of headers and objects
 * serves both; what only these files call is not linked.
 */
#include <stdbool.h>
#include "lwip/ethip6.h"
#include "lwip/icmp6.h"
#include "lwip/ip6.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "internal.h"

const bool net_has_ipv6 = false;

struct nd6_neighbor_cache_entry neighbor_cache[LWIP_ND6_NUM_NEIGHBORS];
struct nd6_destination_cache_entry destination_cache[LWIP_ND6_NUM_DESTINATIONS];
struct nd6_prefix_list_entry prefix_list[LWIP_ND6_NUM_PREFIXES];
struct nd6_router_list_entry default_router_list[LWIP_ND6_NUM_ROUTERS];

/* --- In and out ---------------------------------------------------------------------------------- */

err_t ip6_input(struct pbuf *p, struct netif *in)
{
	(void)in;
	pbuf_free(p);
	return ERR_OK;
}

struct netif *ip6_route(const ip6_addr_t *from, const ip6_addr_t *to)
{
	(void)from, (void)to;
	return NULL;
}

const ip_addr_t *ip6_select_source_address(struct netif *netif, const ip6_addr_t *to)
{
	(void)netif, (void)to;
	return NULL;
}

err_t ip6_output_if(struct pbuf *p, const ip6_addr_t *from, const ip6_addr_t *to, u8_t hops,
                    u8_t class, u8_t next, struct netif *netif)
{
	(void)p, (void)from, (void)to, (void)hops, (void)class, (void)next, (void)netif;
	return ERR_RTE;
}

err_t ip6_output_if_src(struct pbuf *p, const ip6_addr_t *from, const ip6_addr_t *to, u8_t hops,
                        u8_t class, u8_t next, struct netif *netif)
{
	return ip6_output_if(p, from, to, hops, class, next, netif);
}

err_t ethip6_output(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)netif, (void)p, (void)to;
	return ERR_RTE;
}

void icmp6_dest_unreach(struct pbuf *p, enum icmp6_dur_code code)
{
	(void)p, (void)code;
}

void ip6_reass_tmr(void)
{
}

/* --- Neighbours and groups ----------------------------------------------------------------------- */

void nd6_tmr(void)
{
}

void nd6_restart_netif(struct netif *netif)
{
	(void)netif;
}

void nd6_cleanup_netif(struct netif *netif)
{
	(void)netif;
}

void nd6_adjust_mld_membership(struct netif *netif, s8_t index, u8_t state)
{
	(void)netif, (void)index, (void)state;
}

void nd6_reachability_hint(const ip6_addr_t *to)
{
	(void)to;
}

u16_t nd6_get_destination_mtu(const ip6_addr_t *to, struct netif *netif)
{
	(void)to;
	return netif->mtu;
}

void mld6_tmr(void)
{
}

err_t mld6_stop(struct netif *netif)
{
	(void)netif;
	return ERR_OK;
}

void mld6_report_groups(struct netif *netif)
{
	(void)netif;
}

err_t mld6_joingroup_netif(struct netif *netif, const ip6_addr_t *group)
{
	(void)netif, (void)group;
	return ERR_VAL;
}

err_t mld6_leavegroup_netif(struct netif *netif, const ip6_addr_t *group)
{
	(void)netif, (void)group;
	return ERR_VAL;
}
