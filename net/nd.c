/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's neighbour discovery (RFC 4861, 4862), with what takes in and makes its messages anew: all five of
 * them have the same form, and their options one reader. So are the tables of neighbours, routers and
 * destinations (net/lwip.patch leaves lwIP's functions out). What these need is private to lwIP's file:
 * that is included here instead of being compiled on its own.
 *
 * An address' prefix is eight bytes, here and in lwIP: no interface has another.
 */
#include "internal.h"
#include "core/ipv6/nd6.c"
#include "lwip/ethip6.h"
#include "netif/ethernet.h"

#define OPTION_UNIT  8 /* bytes; and those of an option with a MAC */
#define PREFIX_UNITS 4
#define MLD_HOPS     1

/* --- Out ----------------------------------------------------------------------------------------- */

err_t net_icmp6_send(struct pbuf *p, const ip6_addr_t *from, const ip6_addr_t *to, u8_t hops,
                     struct netif *netif)
{
	/* For groups' messages: options, of which one tells routers to look at what follows. */
	static const u8_t alert[] = {IP6_NEXTH_ICMP6, 0, IP6_ROUTER_ALERT_OPTION, 2, 0, 0,
	                             IP6_PADN_OPTION, 0};
	struct icmp6_hdr *icmp = p->payload;
	u8_t next = IP6_NEXTH_ICMP6;
	err_t err;

	icmp->chksum = 0;
	icmp->chksum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, from, to);
	if (hops == MLD_HOPS && pbuf_add_header(p, sizeof(alert)) == 0) {
		memcpy(p->payload, alert, sizeof(alert));
		next = IP6_NEXTH_HOPBYHOP;
	}
	err = ip6_output_if_src(p, from, to, hops, 0, next, netif);
	pbuf_free(p);
	return err;
}

/*
 * A message of neighbour discovery, with our MAC where we have an address; or one about a group (RFC 2710),
 * which looks the same. about: an address, or NULL for none.
 */
static err_t say(struct netif *netif, u8_t type, u8_t flags, const ip6_addr_t *from,
                 const ip6_addr_t *to, const ip6_addr_t *about)
{
	unsigned int bytes = about ? sizeof(struct na_header) : sizeof(struct rs_header);
	bool is_nd = type >= ICMP6_TYPE_RS, has_mac = is_nd && !ip6_addr_isany(from);
	/* PBUF_TRANSPORT: with room for options of IP's. */
	struct pbuf *p =
	    pbuf_alloc(PBUF_TRANSPORT, (u16_t)(bytes + has_mac * OPTION_UNIT), PBUF_RAM);
	struct na_header *message;

	if (!p)
		return ERR_MEM;
	message = p->payload;
	memset(message, 0, sizeof(struct rs_header));
	message->type = type;
	message->flags = flags;
	if (about)
		ip6_addr_copy_to_packed(message->target_address, *about);
	if (has_mac) {
		u8_t *option = (u8_t *)message + bytes;

		option[0] = type == ICMP6_TYPE_NA ? ND6_OPTION_TYPE_TARGET_LLADDR
		                                  : ND6_OPTION_TYPE_SOURCE_LLADDR;
		option[1] = 1;
		memcpy(option + 2, netif->hwaddr, ETH_HWADDR_LEN);
	}
	return net_icmp6_send(p, from, to, is_nd ? ND6_HOPLIM : MLD_HOPS, netif);
}

/* The interface's own address there, if it may be used already. */
static const ip6_addr_t *link_local(const struct netif *netif)
{
	return ip6_addr_isvalid(netif_ip6_addr_state(netif, 0)) ? netif_ip6_addr(netif, 0)
	                                                        : IP6_ADDR_ANY6;
}

static const ip6_addr_t *group_on(const struct netif *netif, u32_t third_word, u32_t last_word)
{
	multicast_address.addr[0] = PP_HTONL(0xff020000UL);
	multicast_address.addr[2] = third_word;
	multicast_address.addr[3] = last_word;
	multicast_address.zone = netif_get_index(netif);
	return &multicast_address;
}

/* The group that whoever has an address belongs to. */
static const ip6_addr_t *group_of(const struct netif *netif, const ip6_addr_t *address)
{
	return group_on(netif, PP_HTONL(1), address->addr[3] | PP_HTONL(0xff000000UL));
}

void net_mld_send(struct netif *netif, struct mld_group *group, u8_t type)
{
	if (type == ICMP6_TYPE_MLR)
		group->last_reporter_flag = 1;
	say(netif, type, 0, link_local(netif),
	    type == ICMP6_TYPE_MLD ? group_on(netif, 0, PP_HTONL(2)) : &group->group_address,
	    &group->group_address);
}

static void nd6_send_ns(struct netif *netif, const ip6_addr_t *target, u8_t flags)
{
	const ip_addr_t *from =
	    flags & ND6_SEND_FLAG_ANY_SRC ? IP6_ADDR_ANY : ip6_select_source_address(netif, target);

	if (from)
		say(netif, ICMP6_TYPE_NS, 0, ip_2_ip6(from),
		    flags & ND6_SEND_FLAG_MULTICAST_DEST ? group_of(netif, target) : target,
		    target);
}

static err_t nd6_send_rs(struct netif *netif)
{
	return say(netif, ICMP6_TYPE_RS, 0, link_local(netif), group_on(netif, 0, PP_HTONL(2)),
	           NULL);
}

void nd6_adjust_mld_membership(struct netif *netif, s8_t i, u8_t state)
{
	/* Of those that are being checked, too, but for one that waits for that. */
	const u8_t member = IP6_ADDR_VALID | IP6_ADDR_TENTATIVE_COUNT_MASK;
	bool was = netif_ip6_addr_state(netif, i) & member, is = state & member;

	if (is && !was)
		mld6_joingroup_netif(netif, group_of(netif, netif_ip6_addr(netif, i)));
	else if (was && !is)
		mld6_leavegroup_netif(netif, group_of(netif, netif_ip6_addr(netif, i)));
}

/* --- Neighbours and routers ---------------------------------------------------------------------- */

/* The oldest packet that waits for a neighbour's MAC. */
static struct pbuf *queue_pop(struct nd6_neighbor_cache_entry *n)
{
	struct nd6_q_entry *e = n->q;
	struct pbuf *p = e->p;

	n->q = e->next;
	memp_free(MEMP_ND6_QUEUE, e);
	nd6_queue_size--;
	return p;
}

/*
 * What waits for him is dropped. A router keeps his place: whoever makes him none says so before. He is
 * asked for again when there is something to send by him.
 */
static void nd6_free_neighbor_cache_entry(struct nd6_neighbor_cache_entry *n)
{
	while (n->q)
		pbuf_free(queue_pop(n));
	if (n->isrouter) {
		n->state = ND6_INCOMPLETE;
		n->counter.probes_sent = ND6_GAVE_UP;
	} else {
		memset(n, 0, sizeof(*n));
	}
}

static struct nd6_neighbor_cache_entry *find_neighbour(const ip6_addr_t *who,
                                                       const struct netif *netif)
{
	for (struct nd6_neighbor_cache_entry *n = neighbor_cache;
	     n < neighbor_cache + LWIP_ND6_NUM_NEIGHBORS; n++) {
		if (n->netif == netif && ip6_addr_eq(&n->next_hop_address, who))
			return n;
	}
	return NULL;
}

/*
 * A place for one more: the one that is easiest to do without; NULL if there are but routers. Of two in
 * the same state that is the one that has been in it for longer.
 */
static struct nd6_neighbor_cache_entry *new_neighbour(const ip6_addr_t *who, struct netif *netif)
{
	static const u8_t ranks[] = {
	    [ND6_NO_ENTRY] = 12, [ND6_STALE] = 10,    [ND6_PROBE] = 8,
	    [ND6_DELAY] = 6,     [ND6_REACHABLE] = 4, [ND6_INCOMPLETE] = 2};
	struct nd6_neighbor_cache_entry *best = NULL;
	u64_t best_rank = 0;

	for (struct nd6_neighbor_cache_entry *n = neighbor_cache;
	     n < neighbor_cache + LWIP_ND6_NUM_NEIGHBORS; n++) {
		bool runs_down = n->state == ND6_REACHABLE || n->state == ND6_DELAY;
		u32_t count = runs_down ? ~n->counter.reachable_time : n->counter.stale_time;
		u64_t rank = (u64_t)(ranks[n->state] - (n->q != NULL)) << 32 | count;

		if (!n->isrouter && rank > best_rank) {
			best_rank = rank;
			best = n;
		}
	}
	if (best) {
		nd6_free_neighbor_cache_entry(best);
		best->next_hop_address = *who;
		best->netif = netif;
		best->state = ND6_INCOMPLETE;
	}
	return best;
}

static err_t queue(struct nd6_neighbor_cache_entry *n, struct pbuf *p)
{
	struct nd6_q_entry *e = NULL, **end = &n->q;
	const struct pbuf *volatile_part = p;

	/* The oldest ones make room (RFC 4861, section 7.2.2). */
	if (nd6_queue_size == MEMP_NUM_ND6_QUEUE && n->q)
		pbuf_free(queue_pop(n));
	if (nd6_queue_size < MEMP_NUM_ND6_QUEUE)
		e = memp_malloc(MEMP_ND6_QUEUE);
	if (!e)
		return ERR_MEM;
	while (volatile_part && !PBUF_NEEDS_COPY(volatile_part))
		volatile_part = volatile_part->next;
	if (volatile_part)
		p = pbuf_clone(PBUF_LINK, PBUF_RAM, p);
	else
		pbuf_ref(p);
	if (!p) {
		memp_free(MEMP_ND6_QUEUE, e);
		return ERR_MEM;
	}
	e->p = p;
	e->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = e;
	nd6_queue_size++;
	return ERR_OK;
}

/* To a neighbour whose MAC is known. If nothing was heard of him for long, he is asked in a few seconds. */
static err_t send_to(struct nd6_neighbor_cache_entry *n, struct pbuf *p)
{
	if (n->state == ND6_STALE) {
		n->state = ND6_DELAY;
		n->counter.delay_time = LWIP_ND6_DELAY_FIRST_PROBE_TIME / ND6_TMR_INTERVAL;
	}
	return ethernet_output(n->netif, p, (const struct eth_addr *)n->netif->hwaddr,
	                       (const struct eth_addr *)n->lladdr, ETHTYPE_IPV6);
}

/* mac is a neighbour's. */
static void learn(struct nd6_neighbor_cache_entry *n, const u8_t *mac, bool reachable)
{
	memmove(n->lladdr, mac, ETH_HWADDR_LEN);
	n->state = reachable ? ND6_REACHABLE : ND6_STALE;
	n->counter.reachable_time = reachable ? reachable_time : 0;
	while (n->q) {
		struct pbuf *p = queue_pop(n);

		send_to(n, p);
		pbuf_free(p);
	}
}

/* Somebody says in passing what his MAC is (or not, if mac is NULL). That he hears us, it does not say. */
static void heard_of(struct netif *in, const ip6_addr_t *who, const u8_t *mac)
{
	struct nd6_neighbor_cache_entry *n;

	if (!mac)
		return;
	n = find_neighbour(who, in);
	if (!n)
		n = new_neighbour(who, in);
	if (n && (n->state == ND6_INCOMPLETE || memcmp(n->lladdr, mac, ETH_HWADDR_LEN) != 0))
		learn(n, mac, false);
}

/* A neighbour; one that is new is asked for his MAC. NULL: there is no place for him. */
static struct nd6_neighbor_cache_entry *neighbour(const ip6_addr_t *who, struct netif *netif)
{
	struct nd6_neighbor_cache_entry *n = find_neighbour(who, netif);

	if (n)
		return n;
	n = new_neighbour(who, netif);
	if (n) {
		n->counter.probes_sent = 1;
		nd6_send_ns(netif, &n->next_hop_address, ND6_SEND_FLAG_MULTICAST_DEST);
	}
	return n;
}

/* A router's place in the list, if add, perhaps a new one; NULL: there is none. */
static struct nd6_router_list_entry *router(const ip6_addr_t *who, struct netif *in, bool add)
{
	struct nd6_router_list_entry *place = NULL, *r = default_router_list;
	struct nd6_neighbor_cache_entry *n = add ? neighbour(who, in) : find_neighbour(who, in);

	for (; n && r < default_router_list + LWIP_ND6_NUM_ROUTERS; r++) {
		if (r->neighbor_entry == n)
			return r;
		if (add && !r->neighbor_entry && !place)
			place = r;
	}
	if (place) {
		place->neighbor_entry = n;
		n->isrouter = 1;
	}
	return place;
}

/* Is this netif, or if that is NULL, can it send? */
static bool suits(const struct netif *it, const struct netif *netif)
{
	return netif ? it == netif : net_can_send(it);
}

/* A router for packets that leave by netif, if that is not NULL: reachable, known, or in turns. */
static struct nd6_neighbor_cache_entry *select_router(const struct netif *netif)
{
	static int last;
	struct nd6_neighbor_cache_entry *best = NULL;
	int best_rank = 0;

	if (!netif)
		last = (last + 1) % LWIP_ND6_NUM_ROUTERS;
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		struct nd6_neighbor_cache_entry *n = default_router_list[i].neighbor_entry;
		int rank;

		if (!n || !suits(n->netif, netif))
			continue;
		rank = n->state == ND6_REACHABLE    ? 4
		       : n->state != ND6_INCOMPLETE ? 3
		       : i >= last                  ? 2
		                                    : 1;
		if (rank > best_rank) {
			best_rank = rank;
			best = n;
		}
	}
	return best;
}

/* The interface, as above, on whose link routers say that a prefix is. */
static struct netif *netif_on_link(const ip6_addr_t *to, const struct netif *netif)
{
	for (struct nd6_prefix_list_entry *e = prefix_list; e < prefix_list + LWIP_ND6_NUM_PREFIXES;
	     e++) {
		if (e->netif && suits(e->netif, netif) &&
		    net_ip6_half(&e->prefix, 0) == net_ip6_half(to, 0))
			return e->netif;
	}
	return NULL;
}

struct netif *nd6_find_route(const ip6_addr_t *to)
{
	struct netif *netif = netif_on_link(to, NULL);
	const struct nd6_neighbor_cache_entry *n = netif ? NULL : select_router(NULL);

	return n ? n->netif : netif;
}

/* --- On its way ------------------------------------------------------------------------------------ */

static struct nd6_destination_cache_entry *find_destination(const ip6_addr_t *to)
{
	for (struct nd6_destination_cache_entry *d = destination_cache;
	     d < destination_cache + LWIP_ND6_NUM_DESTINATIONS; d++) {
		if (ip6_addr_eq(&d->destination_addr, to))
			return ip6_addr_isany(to) ? NULL : d; /* not one that is empty */
	}
	return NULL;
}

/* netif: NULL if no packet can be sent there now. */
u16_t nd6_get_destination_mtu(const ip6_addr_t *to, struct netif *netif)
{
	const struct nd6_destination_cache_entry *d = find_destination(to);
	u16_t mtu = netif ? netif_mtu6(netif) : IP6_MIN_MTU_LENGTH;

	return d ? LWIP_MIN(d->pmtu, mtu) : mtu;
}

/* Of the one that was used longest ago, the place. */
static struct nd6_destination_cache_entry *oldest_destination(void)
{
	struct nd6_destination_cache_entry *oldest = destination_cache;

	for (struct nd6_destination_cache_entry *d = destination_cache;
	     d < destination_cache + LWIP_ND6_NUM_DESTINATIONS; d++) {
		if (ip6_addr_isany(&d->destination_addr))
			d->age = UINT32_MAX; /* it is empty */
		if (d->age > oldest->age)
			oldest = d;
	}
	return oldest;
}

static bool is_on_other_link(const ip6_addr_t *address, const struct netif *netif)
{
	return ip6_addr_zone(address) && ip6_addr_zone(address) != netif_get_index(netif);
}

/* The neighbour by whom a packet to a destination goes. NULL: there is none. */
static struct nd6_neighbor_cache_entry *next_hop(const ip6_addr_t *to, struct netif *netif)
{
	struct nd6_destination_cache_entry *d = &destination_cache[nd6_cached_destination_index];
	struct nd6_neighbor_cache_entry *n;

	if (!ip6_addr_eq(&d->destination_addr, to))
		d = find_destination(to);
	if (!d || is_on_other_link(&d->next_hop_addr, netif)) {
		const ip6_addr_t *hop = to;

		/* RFC 5942: an address of our own does not mean that its prefix is on the link. */
		if (!ip6_addr_islinklocal(to) && !netif_on_link(to, netif) &&
		    !net_ip6_netif_with(to, true, netif)) {
			n = select_router(netif);
			if (!n)
				return NULL;
			hop = &n->next_hop_address;
		}
		if (!d)
			d = oldest_destination();
		d->destination_addr = *to;
		d->next_hop_addr = *hop;
		d->pmtu = netif_mtu6(netif);
	}
	nd6_cached_destination_index = (netif_addr_idx_t)(d - destination_cache);
	d->age = 0;
	n = &neighbor_cache[d->cached_neighbor_idx];
	if (n->netif != netif || !ip6_addr_eq(&n->next_hop_address, &d->next_hop_addr)) {
		n = neighbour(&d->next_hop_addr, netif);
		if (n)
			d->cached_neighbor_idx = (u8_t)(n - neighbor_cache);
	}
	return n;
}

err_t ethip6_output(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	struct nd6_neighbor_cache_entry *n;

	if (ip6_addr_ismulticast(to)) {
		static struct eth_addr group = {{0x33, 0x33}};

		memcpy(&group.addr[2], &to->addr[3], 4);
		return ethernet_output(netif, p, (const struct eth_addr *)netif->hwaddr, &group,
		                       ETHTYPE_IPV6);
	}
	n = ip6_addr_isany(to) ? NULL : next_hop(to, netif);
	if (!n)
		return ERR_RTE;
	if (n->state != ND6_INCOMPLETE)
		return send_to(n, p);
	if (n->counter.probes_sent == ND6_GAVE_UP)
		n->counter.probes_sent = 0;
	return queue(n, p);
}

/* --- In ------------------------------------------------------------------------------------------- */

u8_t net_ip6_in_fragments;

/* An address in a message: valid until the next one. */
static ip_addr_t found;

static const ip6_addr_t *address_in(const void *packed, const struct netif *in)
{
	ip6_addr_t *address = ip_2_ip6(&found);

	memcpy(address->addr, packed, sizeof(address->addr));
	ip6_addr_assign_zone(address, IP6_UNKNOWN, in);
	return address;
}

/* RFC 4861, section 7.2.3, and 4862, section 5.4.3. */
static void solicitation(struct netif *in, const ip6_addr_t *target, const u8_t *mac)
{
	s8_t i = netif_get_ip6_addr_match(in, target);
	bool to_all = ip6_addr_isany(ip6_current_src_addr());
	u8_t state;

	if (i < 0 || (to_all && mac))
		return;
	state = netif_ip6_addr_state(in, i);
	if (to_all && ip6_addr_istentative(state))
		nd6_duplicate_addr_detected(in, i);
	if (!ip6_addr_isvalid(state))
		return;
	if (to_all) {
		say(in, ICMP6_TYPE_NA, ND6_FLAG_OVERRIDE, target, group_on(in, 0, PP_HTONL(1)),
		    target);
		return;
	}
	heard_of(in, ip6_current_src_addr(), mac);
	say(in, ICMP6_TYPE_NA, ND6_FLAG_SOLICITED | ND6_FLAG_OVERRIDE, target,
	    ip6_current_src_addr(), target);
}

/* RFC 4861, section 7.2.5, and 4862, section 5.4.4. */
static void advertisement(struct netif *in, const ip6_addr_t *target, const u8_t *mac, u8_t flags)
{
	bool solicited = flags & ND6_FLAG_SOLICITED;
	struct nd6_neighbor_cache_entry *n;
	struct nd6_router_list_entry *r;
	bool incomplete, other;
	s8_t i;

	if (solicited && ip6_addr_ismulticast(ip6_current_dest_addr()))
		return;
	i = netif_get_ip6_addr_match(in, target);
	if (i >= 0) {
		/* One that is in use is known to be ours, whatever somebody says. */
		if (ip6_addr_istentative(netif_ip6_addr_state(in, i)))
			nd6_duplicate_addr_detected(in, i);
		return;
	}
	n = find_neighbour(target, in);
	if (!n)
		return;
	incomplete = n->state == ND6_INCOMPLETE;
	other = mac && memcmp(n->lladdr, mac, ETH_HWADDR_LEN) != 0;
	if (incomplete ? !mac : other && !(flags & ND6_FLAG_OVERRIDE)) {
		if (n->state == ND6_REACHABLE) {
			n->state = ND6_STALE;
			n->counter.stale_time = 0;
		}
		return;
	}
	r = flags & ND6_FLAG_ROUTER ? NULL : router(target, in, false);
	if (r)
		r->invalidation_timer = 1; /* nd6_tmr() takes it off the list */
	if (incomplete || solicited || other)
		learn(n, mac ? mac : n->lladdr, solicited);
}

/* RFC 4861, sections 8.1 and 8.3. */
static void redirect(struct netif *in, const struct redirect_header *message, const u8_t *mac)
{
	struct nd6_destination_cache_entry *to =
	    find_destination(address_in(&message->destination_address, in));
	const ip6_addr_t *target = address_in(&message->target_address, in);

	if (!to || !ip6_addr_eq(&to->next_hop_addr, ip6_current_src_addr()) ||
	    !(ip6_addr_islinklocal(target) || ip6_addr_eq(target, &to->destination_addr)))
		return;
	to->next_hop_addr = *target;
	heard_of(in, target, mac);
}

/* A prefix of the link's, or if life_s is 0, no more. */
static void set_on_link(struct netif *in, const ip6_addr_t *prefix, u32_t life_s)
{
	struct nd6_prefix_list_entry *place = NULL, *e = prefix_list;

	for (; e < prefix_list + LWIP_ND6_NUM_PREFIXES; e++) {
		if (!e->netif)
			place = e;
		if (e->netif == in && ip6_addr_net_eq(&e->prefix, prefix)) {
			place = e;
			break;
		}
	}
	if (!place)
		return;
	place->prefix = *prefix;
	place->netif = life_s ? in : NULL;
	place->invalidation_timer = life_s;
}

/* RFC 4862, section 5.5.3: an address of ours that begins with the prefix. */
static void set_address(struct netif *in, const ip6_addr_t *prefix, u32_t valid_s,
                        u32_t preferred_s)
{
	ip6_addr_t *own = ip_2_ip6(&in->ip6_addr[0]), *a;
	u8_t state = netif_ip6_addr_state(in, 0);
	int i, place = 0;

	if (preferred_s > valid_s)
		return;
	for (i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		a = ip_2_ip6(&in->ip6_addr[i]);
		if (ip6_addr_isinvalid(netif_ip6_addr_state(in, i)))
			place = i;
		else if (!ip6_addr_net_eq(prefix, a))
			continue;
		else if (!netif_ip6_addr_isstatic(in, i))
			break;
		else if (net_ip6_half(a, 1) == net_ip6_half(own, 1))
			return; /* somebody gave it to us */
	}
	if (i < LWIP_IPV6_NUM_ADDRESSES) {
		/* Whoever forges an advertisement cannot take the address away sooner than in two hours. */
		in->ip6_addr_valid_life[i] =
		    LWIP_MAX(valid_s, LWIP_MIN(in->ip6_addr_valid_life[i], ND6_2HRS));
		/* 0 would have run out already, before anybody said so. */
		in->ip6_addr_pref_life[i] = LWIP_MAX(preferred_s, 1u);
		if (preferred_s && netif_ip6_addr_state(in, i) == IP6_ADDR_DEPRECATED)
			netif_ip6_addr_set_state(in, (s8_t)i, IP6_ADDR_PREFERRED);
		return;
	}
	if (!place || !valid_s || !in->ip6_autoconfig_enabled || ip6_addr_isinvalid(state) ||
	    ip6_addr_isduplicated(state))
		return;
	a = ip_2_ip6(&in->ip6_addr[place]);
	*a = *own;
	a->addr[0] = prefix->addr[0];
	a->addr[1] = prefix->addr[1];
	a->zone = IP6_NO_ZONE;
	in->ip6_addr_valid_life[place] = valid_s;
	in->ip6_addr_pref_life[place] = preferred_s;
	netif_ip6_addr_set_state(in, (s8_t)place, IP6_ADDR_TENTATIVE);
}

static void prefix_info(struct netif *in, const struct prefix_option *option)
{
	const ip6_addr_t *prefix;
	u32_t valid_s;

	if (option->length != PREFIX_UNITS || option->prefix_length != 64)
		return;
	prefix = address_in(&option->prefix, in);
	valid_s = lwip_ntohl(option->valid_lifetime);
	if (ip6_addr_islinklocal(prefix) || ip6_addr_ismulticast(prefix))
		return;
	if (option->flags & ND6_PREFIX_FLAG_ON_LINK)
		set_on_link(in, prefix, valid_s);
	if (option->flags & ND6_PREFIX_FLAG_AUTONOMOUS)
		set_address(in, prefix, valid_s, lwip_ntohl(option->preferred_lifetime));
}

/* Name servers from number on (RFC 8106). Returns the next number. */
static u8_t name_servers(struct netif *in, const struct rdnss_option *option, u8_t number)
{
	for (int i = 0; i < (option->length - 1) / 2; i++) {
		address_in(&option->rdnss_address[i], in);
		IP_SET_TYPE_VAL(found, IPADDR_TYPE_V6);
		if (option->lifetime && number < DNS_MAX_SERVERS)
			dns_setserver(number++, &found);
		for (u8_t s = 0; s < DNS_MAX_SERVERS && !option->lifetime; s++) {
			if (ip_addr_eq(dns_getserver(s), &found))
				dns_setserver(s, NULL);
		}
	}
	return number;
}

/* RFC 4861, section 6.3.4. The options are known to be whole. */
static void router_advertisement(struct netif *in, const struct ra_header *message, const u8_t *end,
                                 const u8_t *mac)
{
	struct nd6_router_list_entry *r;
	u8_t servers = 0;
	u16_t life_s;

	in->rs_count = in->rs_count == LWIP_ND6_MAX_MULTICAST_SOLICIT; /* one at least is sent */
	heard_of(in, ip6_current_src_addr(), mac);
	life_s = lwip_ntohs(message->router_lifetime);
	r = router(ip6_current_src_addr(), in, life_s != 0);
	if (r) {
		r->invalidation_timer = LWIP_MAX(life_s, 1u); /* 1: as above */
		r->flags = message->flags;
	}
	if (message->reachable_time)
		reachable_time = lwip_ntohl(message->reachable_time);
	for (const u8_t *o = (const u8_t *)(message + 1); o < end; o += o[1] * OPTION_UNIT) {
		u32_t mtu;

		switch (o[0]) {
		case ND6_OPTION_TYPE_MTU:
			mtu = lwip_ntohl(((const struct mtu_option *)o)->mtu);
			if (mtu >= IP6_MIN_MTU_LENGTH)
				in->mtu6 = (u16_t)LWIP_MIN(in->mtu6, mtu);
			break;
		case ND6_OPTION_TYPE_PREFIX_INFO:
			prefix_info(in, (const struct prefix_option *)o);
			break;
		case ND6_OPTION_TYPE_RDNSS:
			servers = name_servers(in, (const struct rdnss_option *)o, servers);
		}
	}
}

/* RFC 8201, section 4: of a path. Never up, nor below what every link can do. */
static void too_big(struct netif *in, const struct icmp6_hdr *message)
{
	const struct ip6_hdr *sent = (const struct ip6_hdr *)(message + 1);
	struct nd6_destination_cache_entry *to = find_destination(address_in(&sent->dest, in));
	u32_t mtu = lwip_ntohl(message->data);

	if (to && mtu >= IP6_MIN_MTU_LENGTH && mtu < to->pmtu)
		to->pmtu = (u16_t)mtu;
}

/* RFC 4861, sections 6.1.2, 7.1.1, 7.1.2 and 8.1: what does not keep to them is ignored. */
void nd6_input(struct pbuf *p, struct netif *in)
{
	static const u8_t header_bytes[] = {sizeof(struct ra_header), sizeof(struct ns_header),
	                                    sizeof(struct na_header),
	                                    sizeof(struct redirect_header)};
	const struct na_header *message = p->payload;
	const u8_t *end = (const u8_t *)message + p->len, *o, *mac = NULL;
	u8_t type = message->type;
	const ip6_addr_t *target;

	if (type == ICMP6_TYPE_PTB) {
		if (p->len >= sizeof(struct icmp6_hdr) + IP6_HLEN)
			too_big(in, p->payload);
		return;
	}
	o = (const u8_t *)message + header_bytes[type - ICMP6_TYPE_RA];
	/* In one piece: a fragment is not valid (RFC 6980), and none is longer than a buffer. */
	if (p->next || net_ip6_in_fragments || o > end || message->code ||
	    IP6H_HOPLIM(ip6_current_header()) != ND6_HOPLIM)
		return;
	for (; o < end; o += o[1] * OPTION_UNIT) {
		if (end - o < OPTION_UNIT || !o[1] || o[1] * OPTION_UNIT > end - o)
			return;
		/* In answers and redirects it is of whom they are about; in the others, of who says it. */
		if (o[0] == (type >= ICMP6_TYPE_NA ? ND6_OPTION_TYPE_TARGET_LLADDR
		                                   : ND6_OPTION_TYPE_SOURCE_LLADDR))
			mac = o + 2;
	}
	if (type == ICMP6_TYPE_RA || type == ICMP6_TYPE_RD) {
		if (!ip6_addr_islinklocal(ip6_current_src_addr()))
			return;
		if (type == ICMP6_TYPE_RA)
			router_advertisement(in, p->payload, end, mac);
		else
			redirect(in, p->payload, mac);
		return;
	}
	target = address_in(&message->target_address, in);
	if (type == ICMP6_TYPE_NS)
		solicitation(in, target, mac);
	else
		advertisement(in, target, mac, message->flags);
}

/* --- Each second ------------------------------------------------------------------------------------ */

/* A second less; true if that is the end. */
static bool runs_out(u32_t *life_s)
{
	if (*life_s <= 1) {
		*life_s = 0;
		return true;
	}
	if (*life_s != IP6_ADDR_LIFE_INFINITE)
		--*life_s;
	return false;
}

/* Where this was the next hop, another one is chosen (RFC 4861, sections 6.3.5 and 7.3.3). */
static void leave(const struct nd6_neighbor_cache_entry *n)
{
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++) {
		if (ip6_addr_eq(&destination_cache[i].next_hop_addr, &n->next_hop_address))
			ip6_addr_set_any(&destination_cache[i].destination_addr);
	}
}

static void neighbour_second(struct nd6_neighbor_cache_entry *n)
{
	switch (n->state) {
	case ND6_INCOMPLETE:
	case ND6_PROBE:
		if (n->counter.probes_sent >= LWIP_ND6_MAX_MULTICAST_SOLICIT) {
			leave(n);
			nd6_free_neighbor_cache_entry(n);
			break;
		}
		n->counter.probes_sent++;
		nd6_send_ns(n->netif, &n->next_hop_address,
		            n->state == ND6_INCOMPLETE ? ND6_SEND_FLAG_MULTICAST_DEST : 0);
		break;
	case ND6_REACHABLE:
		if (n->counter.reachable_time > ND6_TMR_INTERVAL) {
			n->counter.reachable_time -= ND6_TMR_INTERVAL;
			break;
		}
		n->state = ND6_STALE;
		n->counter.stale_time = 0;
		break;
	case ND6_STALE:
		n->counter.stale_time++;
		break;
	case ND6_DELAY:
		if (runs_out(&n->counter.delay_time))
			n->state = ND6_PROBE; /* of which none has been sent */
	}
}

static void router_second(struct nd6_router_list_entry *r)
{
	if (!r->neighbor_entry || !runs_out(&r->invalidation_timer))
		return;
	leave(r->neighbor_entry);
	r->neighbor_entry->isrouter = 0;
	r->neighbor_entry = NULL;
}

/* RFC 4862, sections 5.5.4 and 5.4.2. The lives of one that is being checked, or is a duplicate, run, too. */
static void address_second(struct netif *netif, s8_t i)
{
	u8_t state = netif_ip6_addr_state(netif, i);
	bool is_static = netif_ip6_addr_isstatic(netif, i), deprecated = false;

	if (ip6_addr_isinvalid(state))
		return;
	if (!is_static) {
		if (runs_out(&netif->ip6_addr_valid_life[i])) {
			netif->ip6_addr_pref_life[i] = 0;
			netif_ip6_addr_set_state(netif, i, IP6_ADDR_INVALID);
			return;
		}
		deprecated = runs_out(&netif->ip6_addr_pref_life[i]);
		if (deprecated && state == IP6_ADDR_PREFERRED)
			netif_ip6_addr_set_state(netif, i, IP6_ADDR_DEPRECATED);
	}
	if (!ip6_addr_istentative(state))
		return;
	if ((state & IP6_ADDR_TENTATIVE_COUNT_MASK) >= LWIP_IPV6_DUP_DETECT_ATTEMPTS) {
		netif_ip6_addr_set_state(netif, i,
		                         deprecated ? IP6_ADDR_DEPRECATED : IP6_ADDR_PREFERRED);
	} else if (net_can_send(netif)) {
		netif_ip6_addr_set_state(netif, i, state + 1);
		nd6_send_ns(netif, netif_ip6_addr(netif, i),
		            ND6_SEND_FLAG_MULTICAST_DEST | ND6_SEND_FLAG_ANY_SRC);
	}
}

void nd6_tmr(void)
{
	bool ask = nd6_tmr_rs_reduction == 0; /* for routers, every few seconds */
	struct netif *netif;

	nd6_tmr_rs_reduction =
	    ask ? ND6_RTR_SOLICITATION_INTERVAL / ND6_TMR_INTERVAL - 1 : nd6_tmr_rs_reduction - 1;
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
		neighbour_second(&neighbor_cache[i]);
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		destination_cache[i].age++;
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++)
		router_second(&default_router_list[i]);
	for (int i = 0; i < LWIP_ND6_NUM_PREFIXES; i++) {
		if (prefix_list[i].netif && runs_out(&prefix_list[i].invalidation_timer))
			prefix_list[i].netif = NULL;
	}
	NETIF_FOREACH(netif)
	{
		u8_t state;

		for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			address_second(netif, i);
		state = netif_ip6_addr_state(netif, 0);
		if (ask && netif->rs_count && net_can_send(netif) && !ip6_addr_isinvalid(state) &&
		    !ip6_addr_isduplicated(state) && nd6_send_rs(netif) == ERR_OK)
			netif->rs_count--;
	}
}
