/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack's timers, running only while something is due.
 *
 * lwIP wants its modules called at fixed intervals, TCP every 50 ms, ARP every second, and so on,
 * whether there is anything to do or not. Here each module is asked after its turn how many intervals
 * from now it has something to do next, and is called again only then; the intervals that passed
 * in between are made up for by its `pass`, which adds to its counters what the calls would have
 * added. A connection that is merely open has nothing due and costs nothing.
 *
 * What is due can change by anything that happens in the stack, so the first activity after a look
 * at all modules orders the next look (timers_alert), LOOK_NS later. Under load that is 20 looks a
 * second; after an isolated packet one.
 */
#include <pith/assert.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include "internal.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"

#define LOOK_NS (50 * NS_PER_MS)

__attribute__((noinline)) uint32_t timer_run_down(uint32_t counter, uint32_t intervals)
{
	return counter && counter != UINT32_MAX ? counter - LWIP_MIN(intervals, counter - 1)
	                                        : counter;
}

/* --- TCP ------------------------------------------------------------------------------------- */

/* Slow ticks until the connection has been left alone for more than idle_ms. */
static uint32_t tcp_left(const struct tcp_pcb *pcb, uint32_t idle_ms)
{
	uint32_t idle = tcp_ticks - pcb->tmr, limit = idle_ms / TCP_SLOW_INTERVAL + 1;

	return idle < limit ? limit - idle : 1;
}

static bool tcp_busy(const struct tcp_pcb *pcb)
{
	return pcb->unacked || pcb->unsent || pcb->ooseq || pcb->refused_data || pcb->poll ||
	       (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR)) ||
	       (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT && pcb->state != FIN_WAIT_2);
}

/* Slow ticks, for a connection on which nothing is on its way. */
static uint32_t tcp_idle_due(const struct tcp_pcb *pcb)
{
	if (pcb->state == FIN_WAIT_2)
		return pcb->flags & TF_RXCLOSED ? tcp_left(pcb, TCP_FIN_WAIT_TIMEOUT) : TIMER_NEVER;
	if (ip_get_option(pcb, SOF_KEEPALIVE))
		return tcp_left(pcb, pcb->keep_idle + pcb->keep_cnt_sent * pcb->keep_intvl);
	return TIMER_NEVER;
}

/* tcp_tmr() does the slow part, in which tcp_ticks counts, on every other call. */
static uint32_t tcp_pass(uint32_t intervals)
{
	static uint32_t half;
	uint32_t ticks = TIMER_NEVER;

	half += intervals;
	tcp_ticks += half / 2;
	half %= 2;
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (tcp_busy(pcb))
			return 1;
		ticks = LWIP_MIN(ticks, tcp_idle_due(pcb));
	}
	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		ticks = LWIP_MIN(ticks, tcp_left(pcb, 2 * TCP_MSL));
	return ticks >= TIMER_NEVER / 2 ? TIMER_NEVER : 2 * ticks - half;
}

/* --- Reassembly ------------------------------------------------------------------------------ */

static uint32_t reassembly4_pass(uint32_t intervals)
{
	(void)intervals;
	return memory_reassembling(false) ? 1 : TIMER_NEVER;
}

static uint32_t reassembly6_pass(uint32_t intervals)
{
	(void)intervals;
	return memory_reassembling(true) ? 1 : TIMER_NEVER;
}

/* --- DHCP ------------------------------------------------------------------------------------ */

static uint32_t dhcp_fine_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);

		if (!dhcp)
			continue;
		dhcp->request_timeout = (u16_t)timer_run_down(dhcp->request_timeout, intervals);
		due = timer_sooner(due, dhcp->request_timeout);
	}
	return due;
}

/* Once a minute while a lease is held. */
static uint32_t dhcp_coarse_pass(uint32_t intervals)
{
	struct netif *netif;

	(void)intervals;
	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);

		if (dhcp && dhcp->t0_timeout)
			return 1;
	}
	return TIMER_NEVER;
}

/* --- Multicast groups -------------------------------------------------------------------------- */

static uint32_t mld_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct mld_group *g = netif_mld6_data(netif); g; g = g->next) {
			g->timer = (u16_t)timer_run_down(g->timer, intervals);
			due = timer_sooner(due, g->timer);
		}
	}
	return due;
}

/* --- IPv6 neighbours, routers, prefixes, addresses ---------------------------------------------- */

/* Those that nd6_tmr() lets run down by one each second. A preferred life of 0 has run out already. */
static uint32_t addresses_pass(struct netif *netif, uint32_t intervals, uint32_t due)
{
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		u32_t *valid = &netif->ip6_addr_valid_life[i];
		u32_t *preferred = &netif->ip6_addr_pref_life[i];

		if (ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)) ||
		    netif_ip6_addr_isstatic(netif, i))
			continue;
		*valid = timer_run_down(*valid, intervals);
		*preferred = timer_run_down(*preferred, intervals);
		due = timer_sooner(timer_sooner(due, *valid), *preferred);
	}
	return due;
}

static bool nd6_netif_busy(const struct netif *netif)
{
	if (!netif_is_up(netif) || !netif_is_link_up(netif))
		return false;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		if (ip6_addr_istentative(netif_ip6_addr_state(netif, i)))
			return true;
	}
	return netif->rs_count && !ip6_addr_isinvalid(netif_ip6_addr_state(netif, 0)) &&
	       !ip6_addr_isduplicated(netif_ip6_addr_state(netif, 0));
}

static uint32_t neighbour_pass(struct nd6_neighbor_cache_entry *n, uint32_t intervals)
{
	switch (n->state) {
	case ND6_REACHABLE:
		n->counter.reachable_time -=
		    LWIP_MIN(intervals * ND6_TMR_INTERVAL, n->counter.reachable_time);
		return n->counter.reachable_time / ND6_TMR_INTERVAL + 1;
	case ND6_STALE:
		n->counter.stale_time += intervals;
		return TIMER_NEVER;
	case ND6_NO_ENTRY:
		return TIMER_NEVER;
	case ND6_INCOMPLETE:
		return n->counter.probes_sent == ND6_GAVE_UP ? TIMER_NEVER : 1;
	}
	return 1;
}

static uint32_t nd6_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
		due = LWIP_MIN(due, neighbour_pass(&neighbor_cache[i], intervals));
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		destination_cache[i].age += intervals;
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		struct nd6_router_list_entry *r = &default_router_list[i];

		if (!r->neighbor_entry)
			continue;
		r->invalidation_timer = timer_run_down(r->invalidation_timer, intervals);
		due = timer_sooner(due, r->invalidation_timer);
	}
	for (int i = 0; i < LWIP_ND6_NUM_PREFIXES; i++) {
		struct nd6_prefix_list_entry *p = &prefix_list[i];

		if (!p->netif)
			continue;
		p->invalidation_timer = timer_run_down(p->invalidation_timer, intervals);
		due = timer_sooner(due, p->invalidation_timer);
	}
	NETIF_FOREACH(netif)
	{
		due = addresses_pass(netif, intervals, due);
		if (nd6_netif_busy(netif))
			due = 1;
	}
	return due;
}

/* --- All of them ------------------------------------------------------------------------------- */

static const struct timed modules[] = {
    {TCP_TMR_INTERVAL, tcp_tmr, tcp_pass},
    {ARP_TMR_INTERVAL, etharp_tmr, arp_pass},
    {IP_TMR_INTERVAL, ip_reass_tmr, reassembly4_pass},
    {IP6_REASS_TMR_INTERVAL, ip6_reass_tmr, reassembly6_pass},
    {DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr, dhcp_fine_pass},
    {DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr, dhcp_coarse_pass},
    {MLD6_TMR_INTERVAL, mld6_tmr, mld_pass},
    {ND6_TMR_INTERVAL, nd6_tmr, nd6_pass},
};

/* A module and its time. Some come later (timers_add()). */
static struct clock {
	const struct timed *module;
	uint64_t counted_ns; /* intervals up to here have been run or passed */
	uint32_t due;        /* intervals from there, as of the last look */
} clocks[LWIP_ARRAYSIZE(modules) + TIMERS_LATER], *clocks_end = clocks;

bool timers_alert = true; /* a look is ordered, at look_ns; nothing to do before timers_init() */
uint32_t timers_wakeups;
static uint64_t look_ns;
static struct timer wake;
static uint64_t alarm_ns = TIME_FOREVER;

static uint64_t interval_ns(const struct clock *c)
{
	return c->module->interval_ms * NS_PER_MS;
}

static uint64_t due_ns(const struct clock *c)
{
	return c->due == TIMER_NEVER ? TIME_FOREVER : c->counted_ns + c->due * interval_ns(c);
}

/* Only the net thread runs timers, as it may take as long as it takes. */
static void ring(struct timer *t)
{
	(void)t;
	netdev_kick();
}

static void set_alarm(void)
{
	uint64_t when = timers_alert ? look_ns : TIME_FOREVER;

	for (const struct clock *c = clocks; c < clocks_end; c++)
		when = LWIP_MIN(when, due_ns(c));
	if (when == alarm_ns)
		return;
	alarm_ns = when;
	if (when == TIME_FOREVER)
		timer_cancel(&wake);
	else
		timer_arm(&wake, when);
}

/* Count the whole intervals up to now, but not the one in which something is due. */
static void catch_up(struct clock *c, uint64_t now)
{
	uint64_t passed = (now - c->counted_ns) / interval_ns(c);
	uint32_t count = (uint32_t)LWIP_MIN(passed, c->due - 1u);

	if (!count)
		return;
	c->due = c->module->pass(count);
	c->counted_ns += count * interval_ns(c);
}

void timers_activity(void)
{
	uint64_t now = time_now_ns();

	for (struct clock *c = clocks; c < clocks_end; c++)
		catch_up(c, now);
	timers_alert = true;
	look_ns = now + LOOK_NS;
	set_alarm();
}

/* However late we are: one turn, so that a clock that stood still does not make a burst of them. */
static void run_module(struct clock *c, uint64_t now)
{
	c->module->run();
	c->counted_ns = now - (now - due_ns(c)) % interval_ns(c);
}

void timers_run(void)
{
	uint64_t now = time_now_ns();
	bool look = timers_alert && now >= look_ns;

	if (now < alarm_ns)
		return;
	timers_wakeups++;
	for (struct clock *c = clocks; c < clocks_end; c++) {
		catch_up(c, now);
		if (due_ns(c) > now)
			continue;
		run_module(c, now);
		look = true; /* what one module does may give another one something to do */
	}
	if (look) {
		for (struct clock *c = clocks; c < clocks_end; c++)
			c->due = c->module->pass(0);
		timers_alert = false;
	}
	alarm_ns = 0; /* it has gone off: to be armed again in any case */
	set_alarm();
}

void timers_add(const struct timed *module)
{
	for (const struct clock *c = clocks; c < clocks_end; c++) {
		if (c->module == module)
			return;
	}
	assert(clocks_end < clocks + LWIP_ARRAYSIZE(clocks));
	*clocks_end++ = (struct clock){module, time_now_ns(), TIMER_NEVER};
}

void timers_init(void)
{
	for (unsigned int i = 0; i < LWIP_ARRAYSIZE(modules); i++)
		timers_add(&modules[i]);
	wake.expired = ring;
	timers_activity();
}
