/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's IGMP, whose file is included here instead of being compiled on its own. Each interface is in
 * the group of all systems, which nobody reports. All the rest, that is the timer and the answers to
 * queries, comes with the first group that is joined, so that an app that joins none does not link it.
 */
#include "internal.h"

#define igmp_joingroup       lwip_igmp_joingroup
#define igmp_joingroup_netif lwip_igmp_joingroup_netif
#define igmp_input           lwip_igmp_input
#define igmp_report_groups   lwip_igmp_report_groups
#include "core/ipv4/igmp.c"
#undef igmp_joingroup
#undef igmp_joingroup_netif
#undef igmp_input
#undef igmp_report_groups

static void (*input)(struct pbuf *p, struct netif *netif, const ip4_addr_t *to);
static void (*report)(struct netif *netif);

static uint32_t igmp_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct igmp_group *g = netif_igmp_data(netif); g; g = g->next) {
			g->timer = (u16_t)timer_run_down(g->timer, intervals);
			due = timer_sooner(due, g->timer);
		}
	}
	return due;
}

static const struct timed igmp_timed = {IGMP_TMR_INTERVAL, igmp_tmr, igmp_pass};

static void joining(void)
{
	input = lwip_igmp_input;
	report = lwip_igmp_report_groups;
	timers_add(&igmp_timed);
}

err_t igmp_joingroup(const ip4_addr_t *address, const ip4_addr_t *group)
{
	joining();
	return lwip_igmp_joingroup(address, group);
}

err_t igmp_joingroup_netif(struct netif *netif, const ip4_addr_t *group)
{
	joining();
	return lwip_igmp_joingroup_netif(netif, group);
}

void igmp_input(struct pbuf *p, struct netif *netif, const ip4_addr_t *to)
{
	if (input)
		input(p, netif, to);
	else
		pbuf_free(p);
}

void igmp_report_groups(struct netif *netif)
{
	if (report)
		report(netif);
}
