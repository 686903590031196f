/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack's timers, running only while something is due.
 *
 * lwIP wants its modules called at fixed intervals, TCP every 50 ms, ARP every second, and so on,
 * whether there is anything to do or not. Here each module is asked after its turn how many intervals
 * from now it has something to do next, and is called again only then; the intervals that passed
 * in between are made up for by its skip function, which adds to its counters what the calls would
 * have added. A connection that is merely open has nothing due and costs nothing.
 *
 * What is due can change by anything that happens in the stack, so the first activity after a look
 * at all modules orders the next look (timers_alert), LOOK_NS later. Under load that is 20 looks a
 * second; after an isolated packet one.
 */
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include "internal.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"

#define LOOK_NS (50 * NS_PER_MS)

struct module {
	uint32_t interval_ms;
	void (*run)(void); /* lwIP's */
	/* Intervals until run() has something to do: at least 1; TIMER_NEVER. */
	uint32_t (*due)(void);
	/* Let so many intervals pass in which nothing is due. */
	void (*skip)(uint32_t intervals);
};

static void skip_nothing(uint32_t intervals)
{
	(void)intervals;
}

/* --- TCP ------------------------------------------------------------------------------------- */

/* tcp_tmr() does the slow part, in which tcp_ticks counts, on every other call. */
static void tcp_skip(uint32_t intervals)
{
	static uint32_t half;

	tcp_ticks += (half + intervals) / 2;
	half = (half + intervals) % 2;
}

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

static uint32_t tcp_due(void)
{
	uint32_t ticks = TIMER_NEVER;

	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (tcp_busy(pcb))
			return 1;
		ticks = LWIP_MIN(ticks, tcp_idle_due(pcb));
	}
	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		ticks = LWIP_MIN(ticks, tcp_left(pcb, 2 * TCP_MSL));
	return ticks >= TIMER_NEVER / 2 ? TIMER_NEVER : 2 * ticks;
}

/* lwIP says that a connection exists: net_lock() has seen to the timers already. */
void tcp_timer_needed(void)
{
}

/* --- Reassembly ------------------------------------------------------------------------------ */

static uint32_t reassembly4_due(void)
{
	return memory_reassembling(false) ? 1 : TIMER_NEVER;
}

static uint32_t reassembly6_due(void)
{
	return memory_reassembling(true) ? 1 : TIMER_NEVER;
}

/* --- DHCP ------------------------------------------------------------------------------------ */

static uint32_t dhcp_fine_due(void)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);

		if (dhcp && dhcp->request_timeout)
			due = LWIP_MIN(due, dhcp->request_timeout);
	}
	return due;
}

static void dhcp_fine_skip(uint32_t intervals)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);

		if (dhcp && dhcp->request_timeout)
			dhcp->request_timeout -= LWIP_MIN(intervals, dhcp->request_timeout - 1u);
	}
}

/* Once a minute while a lease is held. */
static uint32_t dhcp_coarse_due(void)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);

		if (dhcp && dhcp->t0_timeout)
			return 1;
	}
	return TIMER_NEVER;
}

/* --- Multicast groups -------------------------------------------------------------------------- */

static uint32_t igmp_due(void)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct igmp_group *g = netif_igmp_data(netif); g; g = g->next) {
			if (g->timer)
				due = LWIP_MIN(due, g->timer);
		}
	}
	return due;
}

static void igmp_skip(uint32_t intervals)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct igmp_group *g = netif_igmp_data(netif); g; g = g->next) {
			if (g->timer)
				g->timer -= LWIP_MIN(intervals, g->timer - 1u);
		}
	}
}

static uint32_t mld_due(void)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct mld_group *g = netif_mld6_data(netif); g; g = g->next) {
			if (g->timer)
				due = LWIP_MIN(due, g->timer);
		}
	}
	return due;
}

static void mld_skip(uint32_t intervals)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (struct mld_group *g = netif_mld6_data(netif); g; g = g->next) {
			if (g->timer)
				g->timer -= LWIP_MIN(intervals, g->timer - 1u);
		}
	}
}

/* --- IPv6 neighbours, routers, prefixes, addresses ---------------------------------------------- */

/* The counters that nd6_tmr() lets run down by one each second, to be called on each. */
static void nd6_counters(void (*each)(uint32_t *seconds, void *arg), void *arg)
{
	struct netif *netif;

	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		if (default_router_list[i].neighbor_entry)
			each(&default_router_list[i].invalidation_timer, arg);
	}
	for (int i = 0; i < LWIP_ND6_NUM_PREFIXES; i++) {
		if (prefix_list[i].netif)
			each(&prefix_list[i].invalidation_timer, arg);
	}
	NETIF_FOREACH(netif)
	{
		for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
			if (ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)) ||
			    netif_ip6_addr_isstatic(netif, i))
				continue;
			each(&netif->ip6_addr_valid_life[i], arg);
			each(&netif->ip6_addr_pref_life[i], arg);
		}
	}
}

static void nd6_count_min(uint32_t *seconds, void *arg)
{
	uint32_t *due = arg;

	/* A preferred life of 0 has run out already, and has nothing more to do. */
	if (*seconds && !ip6_addr_life_isinfinite(*seconds))
		*due = LWIP_MIN(*due, *seconds);
}

static void nd6_count_down(uint32_t *seconds, void *arg)
{
	if (*seconds && !ip6_addr_life_isinfinite(*seconds))
		*seconds -= LWIP_MIN(*(uint32_t *)arg, *seconds - 1);
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

static uint32_t nd6_due(void)
{
	uint32_t due = TIMER_NEVER;
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		if (nd6_netif_busy(netif))
			return 1;
	}
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		const struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];

		if (n->state == ND6_INCOMPLETE || n->state == ND6_DELAY || n->state == ND6_PROBE)
			return 1;
		if (n->state == ND6_REACHABLE)
			due = LWIP_MIN(due, n->counter.reachable_time / ND6_TMR_INTERVAL + 1);
	}
	nd6_counters(nd6_count_min, &due);
	return due;
}

static void nd6_skip(uint32_t intervals)
{
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];

		if (n->state == ND6_REACHABLE)
			n->counter.reachable_time -=
			    LWIP_MIN(intervals * ND6_TMR_INTERVAL, n->counter.reachable_time);
		else if (n->state == ND6_STALE)
			n->counter.stale_time += intervals;
	}
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		destination_cache[i].age += intervals;
	nd6_counters(nd6_count_down, &intervals);
}

/* --- All of them ------------------------------------------------------------------------------- */

static const struct module modules[] = {
    {TCP_TMR_INTERVAL, tcp_tmr, tcp_due, tcp_skip},
    {ARP_TMR_INTERVAL, etharp_tmr, arp_due, arp_skip},
    {IP_TMR_INTERVAL, ip_reass_tmr, reassembly4_due, skip_nothing},
    {IP6_REASS_TMR_INTERVAL, ip6_reass_tmr, reassembly6_due, skip_nothing},
    {DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr, dhcp_fine_due, dhcp_fine_skip},
    {DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr, dhcp_coarse_due, skip_nothing},
    {IGMP_TMR_INTERVAL, igmp_tmr, igmp_due, igmp_skip},
    {MLD6_TMR_INTERVAL, mld6_tmr, mld_due, mld_skip},
    {ND6_TMR_INTERVAL, nd6_tmr, nd6_due, nd6_skip},
    {DNS_TMR_INTERVAL, dns_tmr, dns_due, dns_skip},
};
#define MODULES LWIP_ARRAYSIZE(modules)

static struct {
	uint64_t counted_ns; /* intervals up to here have been run or skipped */
	uint32_t due;        /* intervals from there, as of the last look */
} state[MODULES];

bool timers_alert = true; /* a look is ordered, at look_ns; nothing to do before timers_init() */
uint32_t timers_wakeups;
static uint64_t look_ns;
static struct timer wake;
static uint64_t alarm_ns = TIME_FOREVER;

static uint64_t interval_ns(unsigned int i)
{
	return modules[i].interval_ms * NS_PER_MS;
}

static uint64_t due_ns(unsigned int i)
{
	return state[i].due == TIMER_NEVER ? TIME_FOREVER
	                                   : state[i].counted_ns + state[i].due * interval_ns(i);
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

	for (unsigned int i = 0; i < MODULES; i++)
		when = LWIP_MIN(when, due_ns(i));
	if (when == alarm_ns)
		return;
	alarm_ns = when;
	if (when == TIME_FOREVER)
		timer_cancel(&wake);
	else
		timer_arm(&wake, when);
}

/* Count the whole intervals up to now, but not the one in which something is due. */
static void catch_up(unsigned int i, uint64_t now)
{
	uint64_t passed = (now - state[i].counted_ns) / interval_ns(i);
	uint32_t skipped = (uint32_t)LWIP_MIN(passed, state[i].due - 1u);

	if (!skipped)
		return;
	modules[i].skip(skipped);
	state[i].counted_ns += skipped * interval_ns(i);
	if (state[i].due != TIMER_NEVER)
		state[i].due -= skipped;
}

void timers_activity(void)
{
	uint64_t now = time_now_ns();

	for (unsigned int i = 0; i < MODULES; i++)
		catch_up(i, now);
	timers_alert = true;
	look_ns = now + LOOK_NS;
	set_alarm();
}

/* However late we are: one turn, so that a clock that stood still does not make a burst of them. */
static void run_module(unsigned int i, uint64_t now)
{
	modules[i].run();
	state[i].counted_ns = due_ns(i);
	state[i].counted_ns += (now - state[i].counted_ns) / interval_ns(i) * interval_ns(i);
}

void timers_run(void)
{
	uint64_t now = time_now_ns();
	bool look = timers_alert && now >= look_ns;

	if (now < alarm_ns)
		return;
	timers_wakeups++;
	for (unsigned int i = 0; i < MODULES; i++) {
		catch_up(i, now);
		if (due_ns(i) > now)
			continue;
		run_module(i, now);
		look = true; /* what one module does may give another one something to do */
	}
	if (look) {
		for (unsigned int i = 0; i < MODULES; i++)
			state[i].due = modules[i].due();
		timers_alert = false;
	}
	alarm_ns = 0; /* it has gone off: to be armed again in any case */
	set_alarm();
}

void timers_init(void)
{
	uint64_t now = time_now_ns();

	for (unsigned int i = 0; i < MODULES; i++) {
		state[i].counted_ns = now;
		state[i].due = TIMER_NEVER;
	}
	wake.expired = ring;
	timers_activity();
}
