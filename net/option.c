/* SPDX-License-Identifier: Apache-2.0 */
/* setsockopt() and getsockopt(), and multicast groups. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>
#include <pith/time.h>
#include "socket.h"
#include "lwip/igmp.h"
#include "lwip/mld6.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"

/* Linux's defaults (tcp(7), ip(7)). */
void options_init(struct sock_options *o)
{
	o->ttl = 64;
	o->multicast_ttl = 1;
	o->multicast_loop = true;
	o->keep_idle_s = 7200;
	o->keep_interval_s = 75;
	o->keep_count = 9;
}

/* An option by one number: those of levels and options are below 256. */
#define KEY(level, option) ((level) << 8 | (option))

/* --- Options that are a number --------------------------------------------------------------------- */

/* What becomes of a number: it is true or not, loses what is too much, or is refused. */
enum rule_kind { FLAG, LOW_BYTE, AT_LEAST, WITHIN };

static const struct rule {
	uint16_t key;
	uint8_t kind;
	uint8_t place, bytes; /* in struct sock_options */
	uint8_t usual;        /* WITHIN: what -1 means; refused if that is below the least */
	uint16_t least, most;
} rules[] = {
#define PLACE(field)                                   \
	.place = offsetof(struct sock_options, field), \
	.bytes = sizeof(((struct sock_options *)NULL)->field)
    {KEY(SOL_SOCKET, SO_REUSEADDR), FLAG, PLACE(reuse_address)},
    {KEY(SOL_SOCKET, SO_KEEPALIVE), FLAG, PLACE(keep_alive)},
    {KEY(SOL_SOCKET, SO_BROADCAST), FLAG, PLACE(broadcast)},
    {KEY(SOL_SOCKET, SO_SNDBUF), AT_LEAST, PLACE(send_buffer), .least = 2048},
    {KEY(SOL_SOCKET, SO_RCVBUF), AT_LEAST, PLACE(receive_buffer), .least = 2048},
    {KEY(IPPROTO_TCP, TCP_NODELAY), FLAG, PLACE(no_delay)},
    {KEY(IPPROTO_TCP, TCP_KEEPIDLE), WITHIN, PLACE(keep_idle_s), .least = 1, .most = 32767},
    {KEY(IPPROTO_TCP, TCP_KEEPINTVL), WITHIN, PLACE(keep_interval_s), .least = 1, .most = 32767},
    {KEY(IPPROTO_TCP, TCP_KEEPCNT), WITHIN, PLACE(keep_count), .least = 1, .most = 127},
    {KEY(IPPROTO_IP, IP_TTL), WITHIN, PLACE(ttl), .usual = 64, .least = 1, .most = 255},
    {KEY(IPPROTO_IP, IP_TOS), LOW_BYTE, PLACE(tos)},
    {KEY(IPPROTO_IP, IP_MULTICAST_TTL), WITHIN, PLACE(multicast_ttl), .usual = 1, .most = 255},
    {KEY(IPPROTO_IP, IP_MULTICAST_LOOP), FLAG, PLACE(multicast_loop)},
    {KEY(IPPROTO_IPV6, IPV6_V6ONLY), FLAG, PLACE(v6_only)},
    {KEY(IPPROTO_IPV6, IPV6_UNICAST_HOPS), WITHIN, PLACE(ttl), .usual = 64, .most = 255},
    {KEY(IPPROTO_IPV6, IPV6_TCLASS), WITHIN, PLACE(tos), .usual = 0, .most = 255},
    {KEY(IPPROTO_IPV6, IPV6_MULTICAST_HOPS), WITHIN, PLACE(multicast_ttl), .usual = 1, .most = 255},
    {KEY(IPPROTO_IPV6, IPV6_MULTICAST_LOOP), FLAG, PLACE(multicast_loop)},
    {KEY(IPPROTO_IPV6, IPV6_MULTICAST_IF), LOW_BYTE, PLACE(multicast_if)},
};

static const struct rule *find_rule(int key)
{
	for (const struct rule *r = rules; r < rules + LWIP_ARRAYSIZE(rules); r++) {
		if (r->key == key)
			return r;
	}
	return NULL;
}

int option_set_number(struct sock *s, int key, const void *value, socklen_t bytes)
{
	const struct rule *rule = find_rule(key);
	char *place = (char *)&s->options;
	int v;

	if (!rule)
		return -ENOPROTOOPT;
	/* The type of lwIP's control block depends on it, so only before there is one. */
	if (key == KEY(IPPROTO_IPV6, IPV6_V6ONLY) && (s->bound || s->state != SOCK_NEW))
		return -EINVAL;
	/* An int; of IP's options also a single byte (ip(7) does not say so, but Linux takes it). */
	if (bytes >= sizeof(v))
		memcpy(&v, value, sizeof(v));
	else if (bytes && key < KEY(IPPROTO_IP + 1, 0))
		v = *(const uint8_t *)value;
	else
		return -EINVAL;
	switch (rule->kind) {
	case FLAG:
		v = v != 0;
		break;
	case LOW_BYTE:
		break;
	case AT_LEAST:
		v = LWIP_MAX(v, rule->least);
		break;
	case WITHIN:
		if (v == -1)
			v = rule->usual;
		if (v < rule->least || v > rule->most)
			return -EINVAL;
	}
	place += rule->place;
	if (rule->bytes == 1)
		*place = (char)v;
	else
		memcpy(place, &v, sizeof(v));
	return 0;
}

/* --- Others ---------------------------------------------------------------------------------- */

static int set_timeout(uint64_t *ns, const void *value, socklen_t bytes)
{
	struct timeval tv;

	if (bytes < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	/* A negative time does not wait (socket(7) is silent, Linux does so): the shortest there is. */
	*ns = tv.tv_sec < 0 ? 1
	                    : LWIP_MIN((uint64_t)tv.tv_sec, UINT32_MAX) * NS_PER_S +
	                          (uint64_t)tv.tv_usec * NS_PER_US;
	return 0;
}

static int set_linger(struct sock_options *o, const void *value, socklen_t bytes)
{
	struct linger l;

	if (bytes < sizeof(l))
		return -EINVAL;
	memcpy(&l, value, sizeof(l));
	o->linger = l.l_onoff;
	o->linger_s = l.l_linger < 0 ? 0 : (uint32_t)l.l_linger;
	return 0;
}

/* --- Multicast groups -------------------------------------------------------------------------- */

/* lwIP joins interfaces, not sockets: what a socket has joined is left when it is closed. */
struct membership {
	struct membership *next;
	ip_addr_t group;
	struct netif *netif;
};

static struct membership **find_membership(struct sock *s, const ip_addr_t *group,
                                           const struct netif *netif)
{
	struct membership **m = &s->memberships;

	while (*m && !(ip_addr_eq(&(*m)->group, group) && (*m)->netif == netif))
		m = &(*m)->next;
	return m;
}

static int part(struct sock *s, const ip_addr_t *group, const struct netif *netif)
{
	struct membership **at = find_membership(s, group, netif), *m = *at;

	if (!m)
		return -EADDRNOTAVAIL;
	if (IP_IS_V4(group))
		igmp_leavegroup_netif(m->netif, ip_2_ip4(group));
	else
		mld6_leavegroup_netif(m->netif, ip_2_ip6(group));
	*at = m->next;
	free(m);
	return 0;
}

static void leave_groups(struct sock *s)
{
	while (s->memberships)
		part(s, &s->memberships->group, s->memberships->netif);
}

static int join(struct sock *s, const ip_addr_t *group, struct netif *netif)
{
	struct membership **end = find_membership(s, group, netif);
	struct membership *m;
	err_t err;

	if (*end)
		return -EADDRINUSE;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	err = IP_IS_V4(group) ? igmp_joingroup_netif(netif, ip_2_ip4(group))
	                      : mld6_joingroup_netif(netif, ip_2_ip6(group));
	if (err != ERR_OK) {
		free(m);
		return err == ERR_VAL ? -ENODEV : net_errno(err);
	}
	*m = (struct membership){.group = *group, .netif = netif};
	*end = m;
	s->leave_groups = leave_groups;
	return 0;
}

/* The interface with this index, or this address; with neither, the default one. */
static struct netif *find_netif(unsigned int index, uint32_t address)
{
	struct netif *netif;

	if (index)
		return index <= UINT8_MAX ? netif_get_by_index((u8_t)index) : NULL;
	if (!address)
		return netif_default;
	NETIF_FOREACH(netif)
	{
		if (netif_ip4_addr(netif)->addr == address)
			return netif;
	}
	return NULL;
}

static int set_membership(struct sock *s, bool joining, const ip_addr_t *group, struct netif *netif)
{
	if (!netif)
		return -ENODEV;
	return joining ? join(s, group, netif) : part(s, group, netif);
}

/* struct ip_mreq, or the longer ip_mreqn. */
static int get_mreqn(const void *value, socklen_t bytes, struct ip_mreqn *m)
{
	if (bytes < sizeof(struct ip_mreq))
		return -EINVAL;
	memset(m, 0, sizeof(*m));
	memcpy(m, value, LWIP_MIN(bytes, sizeof(*m)));
	return 0;
}

static int set_membership4(struct sock *s, bool joining, const void *value, socklen_t bytes)
{
	struct ip_mreqn m;
	struct netif *netif;
	ip_addr_t group;
	int r = get_mreqn(value, bytes, &m);

	if (r < 0)
		return r;
	if (!IN_MULTICAST(ntohl(m.imr_multiaddr.s_addr)))
		return -EINVAL;
	netif = find_netif((unsigned int)m.imr_ifindex, m.imr_address.s_addr);
	ip_addr_set_ip4_u32_val(group, m.imr_multiaddr.s_addr);
	return set_membership(s, joining, &group, netif);
}

static int set_membership6(struct sock *s, bool joining, const void *value, socklen_t bytes)
{
	struct ipv6_mreq m;
	struct netif *netif;
	ip_addr_t group = {0};

	if (bytes < sizeof(m))
		return -EINVAL;
	memcpy(&m, value, sizeof(m));
	if (!IN6_IS_ADDR_MULTICAST(&m.ipv6mr_multiaddr))
		return -EINVAL;
	netif = find_netif(m.ipv6mr_interface, 0);
	ip_addr_set_zero_ip6(&group);
	memcpy(ip_2_ip6(&group)->addr, m.ipv6mr_multiaddr.s6_addr, 16);
	if (netif)
		ip6_addr_assign_zone(ip_2_ip6(&group), IP6_MULTICAST, netif);
	return set_membership(s, joining, &group, netif);
}

static int set_multicast_if(struct sock_options *o, unsigned int index, uint32_t address)
{
	struct netif *netif = find_netif(index, address);

	if (!netif)
		return index ? -ENODEV : -EADDRNOTAVAIL;
	o->multicast_if = index || address ? netif_get_index(netif) : 0;
	return 0;
}

static int set_multicast_if4(struct sock_options *o, const void *value, socklen_t bytes)
{
	struct ip_mreqn m = {0};

	if (bytes >= sizeof(struct ip_mreq))
		get_mreqn(value, bytes, &m);
	else if (bytes >= sizeof(m.imr_address))
		memcpy(&m.imr_address, value, sizeof(m.imr_address));
	else
		return -EINVAL;
	return set_multicast_if(o, (unsigned int)m.imr_ifindex, m.imr_address.s_addr);
}

static int set_multicast_if6(struct sock_options *o, const void *value, socklen_t bytes)
{
	unsigned int index;

	if (bytes < sizeof(index))
		return -EINVAL;
	memcpy(&index, value, sizeof(index));
	return set_multicast_if(o, index, 0);
}

/* --- All of them ------------------------------------------------------------------------------- */

/* The option's KEY(), or -ENOPROTOOPT: this socket has no such level. */
static int find_key(const struct sock *s, int level, int option)
{
	if (option < 0 || option > UINT8_MAX)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET || level == IPPROTO_IP ||
	    (level == IPPROTO_TCP && sock_is_stream(s)) ||
	    (level == IPPROTO_IPV6 && s->family == AF_INET6))
		return KEY(level, option);
	return -ENOPROTOOPT;
}

int option_set_any(struct sock *s, int key, const void *value, socklen_t bytes)
{
	struct sock_options *o = &s->options;

	switch (key) {
	case KEY(SOL_SOCKET, SO_RCVTIMEO):
		return set_timeout(&o->receive_timeout_ns, value, bytes);
	case KEY(SOL_SOCKET, SO_SNDTIMEO):
		return set_timeout(&o->send_timeout_ns, value, bytes);
	case KEY(SOL_SOCKET, SO_LINGER):
		return set_linger(o, value, bytes);
	case KEY(IPPROTO_IP, IP_ADD_MEMBERSHIP):
	case KEY(IPPROTO_IP, IP_DROP_MEMBERSHIP):
		return set_membership4(s, key == KEY(IPPROTO_IP, IP_ADD_MEMBERSHIP), value, bytes);
	case KEY(IPPROTO_IPV6, IPV6_JOIN_GROUP):
	case KEY(IPPROTO_IPV6, IPV6_LEAVE_GROUP):
		return set_membership6(s, key == KEY(IPPROTO_IPV6, IPV6_JOIN_GROUP), value, bytes);
	case KEY(IPPROTO_IP, IP_MULTICAST_IF):
		return set_multicast_if4(o, value, bytes);
	case KEY(IPPROTO_IPV6, IPV6_MULTICAST_IF):
		return set_multicast_if6(o, value, bytes);
	}
	return option_set_number(s, key, value, bytes);
}

int option_set(struct sock *s, int level, int option, const void *value, socklen_t bytes,
               option_setter *set)
{
	int r = find_key(s, level, option);

	if (!value)
		return -EFAULT;
	if (r >= 0)
		r = set(s, r, value, bytes);
	if (r == 0)
		s->ops->apply_options(s);
	return r;
}

/* What getsockopt() tells. */
union told {
	uint32_t number;
	struct linger linger;
	struct timeval time;
};

static socklen_t tell_time(uint64_t ns, union told *t)
{
	t->time = (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S),
	                           .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
	return sizeof(t->time);
}

/* Returns how many bytes, or -ENOPROTOOPT. */
static int tell(struct sock *s, int key, union told *t)
{
	const struct sock_options *o = &s->options;
	const struct rule *rule;

	switch (key) {
	case KEY(SOL_SOCKET, SO_RCVTIMEO):
		return (int)tell_time(o->receive_timeout_ns, t);
	case KEY(SOL_SOCKET, SO_SNDTIMEO):
		return (int)tell_time(o->send_timeout_ns, t);
	case KEY(SOL_SOCKET, SO_LINGER):
		t->linger = (struct linger){.l_onoff = o->linger, .l_linger = (int)o->linger_s};
		return sizeof(t->linger);
	case KEY(SOL_SOCKET, SO_SNDBUF):
		t->number = net_tcp_send_buffer;
		if (o->send_buffer)
			t->number = LWIP_MIN(o->send_buffer, t->number);
		break;
	case KEY(SOL_SOCKET, SO_RCVBUF): /* a stream's window is the same for all connections */
		t->number =
		    sock_is_stream(s) || !o->receive_buffer ? net_tcp_window : o->receive_buffer;
		break;
	case KEY(SOL_SOCKET, SO_TYPE):
		t->number = s->ops->type;
		break;
	case KEY(SOL_SOCKET, SO_PROTOCOL):
		t->number = s->ops->protocol;
		break;
	case KEY(SOL_SOCKET, SO_DOMAIN):
		t->number = s->family;
		break;
	case KEY(SOL_SOCKET, SO_ACCEPTCONN):
		t->number = s->state == SOCK_LISTENING;
		break;
	case KEY(SOL_SOCKET, SO_ERROR):
		t->number = (uint32_t)-sock_take_error(s);
		break;
	case KEY(IPPROTO_TCP, TCP_MAXSEG):
		t->number = s->state == SOCK_CONNECTED && s->tcp ? tcp_mss(s->tcp) : TCP_MSS;
		break;
	default:
		rule = find_rule(key);
		if (!rule)
			return -ENOPROTOOPT;
		t->number = 0;
		memcpy(&t->number, (const char *)o + rule->place, rule->bytes);
	}
	return sizeof(t->number);
}

int option_get(struct sock *s, int level, int option, void *value, socklen_t *bytes)
{
	int r = find_key(s, level, option);
	union told t;

	if (!value || !bytes)
		return -EFAULT;
	if (r >= 0)
		r = tell(s, r, &t);
	if (r < 0)
		return r;
	*bytes = LWIP_MIN(*bytes, (socklen_t)r);
	memcpy(value, &t, *bytes);
	return 0;
}
