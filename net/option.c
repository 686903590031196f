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

/* --- Values ---------------------------------------------------------------------------------- */

/* An int; of IP-level options also a single byte (ip(7) does not say so, but Linux takes it). */
static int get_int(const void *value, socklen_t bytes, int *out)
{
	if (bytes >= sizeof(int)) {
		memcpy(out, value, sizeof(int));
		return 0;
	}
	if (bytes < 1)
		return -EINVAL;
	*out = *(const uint8_t *)value;
	return 0;
}

static int put(const void *from, size_t count, void *value, socklen_t *bytes)
{
	if (!value || !bytes)
		return -EFAULT;
	*bytes = LWIP_MIN(*bytes, (socklen_t)count);
	memcpy(value, from, *bytes);
	return 0;
}

static int put_int(int v, void *value, socklen_t *bytes)
{
	return put(&v, sizeof(v), value, bytes);
}

static int get_timeout(const void *value, socklen_t bytes, uint64_t *ns)
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

static int put_timeout(uint64_t ns, void *value, socklen_t *bytes)
{
	struct timeval tv = {.tv_sec = (time_t)(ns / NS_PER_S),
	                     .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};

	return put(&tv, sizeof(tv), value, bytes);
}

/* --- SOL_SOCKET ------------------------------------------------------------------------------- */

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

static int set_buffer(uint32_t *buffer, int v)
{
	*buffer = v < 2048 ? 2048 : (uint32_t)v;
	return 0;
}

static int set_socket(struct sock *s, int option, const void *value, socklen_t bytes)
{
	struct sock_options *o = &s->options;
	int v, r;

	if (option == SO_RCVTIMEO)
		return get_timeout(value, bytes, &o->receive_timeout_ns);
	if (option == SO_SNDTIMEO)
		return get_timeout(value, bytes, &o->send_timeout_ns);
	if (option == SO_LINGER)
		return set_linger(o, value, bytes);
	if (bytes < sizeof(int))
		return -EINVAL;
	r = get_int(value, bytes, &v);
	if (r < 0)
		return r;
	switch (option) {
	case SO_REUSEADDR:
		o->reuse_address = v;
		return 0;
	case SO_KEEPALIVE:
		o->keep_alive = v;
		return 0;
	case SO_BROADCAST:
		o->broadcast = v;
		return 0;
	case SO_SNDBUF:
		return set_buffer(&o->send_buffer, v);
	case SO_RCVBUF:
		return set_buffer(&o->receive_buffer, v);
	}
	return -ENOPROTOOPT;
}

static uint32_t buffer_size(uint32_t wanted, uint32_t usual, bool fixed)
{
	return wanted && (!fixed || wanted < usual) ? wanted : usual;
}

static int get_socket(struct sock *s, int option, void *value, socklen_t *bytes)
{
	const struct sock_options *o = &s->options;
	struct linger l = {.l_onoff = o->linger, .l_linger = (int)o->linger_s};
	bool stream = s->ops->type == SOCK_STREAM;

	switch (option) {
	case SO_RCVTIMEO:
		return put_timeout(o->receive_timeout_ns, value, bytes);
	case SO_SNDTIMEO:
		return put_timeout(o->send_timeout_ns, value, bytes);
	case SO_LINGER:
		return put(&l, sizeof(l), value, bytes);
	case SO_REUSEADDR:
		return put_int(o->reuse_address, value, bytes);
	case SO_KEEPALIVE:
		return put_int(o->keep_alive, value, bytes);
	case SO_BROADCAST:
		return put_int(o->broadcast, value, bytes);
	case SO_SNDBUF:
		return put_int((int)buffer_size(o->send_buffer, net_tcp_send_buffer, true), value,
		               bytes);
	case SO_RCVBUF: /* a stream's window is the same for all connections */
		return put_int(
		    (int)buffer_size(stream ? 0 : o->receive_buffer, net_tcp_window, false), value,
		    bytes);
	case SO_TYPE:
		return put_int(s->ops->type, value, bytes);
	case SO_PROTOCOL:
		return put_int(s->ops->protocol, value, bytes);
	case SO_DOMAIN:
		return put_int(s->family, value, bytes);
	case SO_ACCEPTCONN:
		return put_int(s->state == SOCK_LISTENING, value, bytes);
	case SO_ERROR:
		return put_int(-sock_take_error(s), value, bytes);
	}
	return -ENOPROTOOPT;
}

/* --- IPPROTO_TCP ------------------------------------------------------------------------------ */

static int set_seconds(uint32_t *field, int v)
{
	if (v < 1 || v > 32767)
		return -EINVAL;
	*field = (uint32_t)v;
	return 0;
}

static int set_tcp(struct sock *s, int option, const void *value, socklen_t bytes)
{
	struct sock_options *o = &s->options;
	int v, r;

	if (s->ops->type != SOCK_STREAM)
		return -ENOPROTOOPT;
	if (bytes < sizeof(int))
		return -EINVAL;
	r = get_int(value, bytes, &v);
	if (r < 0)
		return r;
	switch (option) {
	case TCP_NODELAY:
		o->no_delay = v;
		return 0;
	case TCP_KEEPIDLE:
		return set_seconds(&o->keep_idle_s, v);
	case TCP_KEEPINTVL:
		return set_seconds(&o->keep_interval_s, v);
	case TCP_KEEPCNT:
		return v > 127 ? -EINVAL : set_seconds(&o->keep_count, v);
	}
	return -ENOPROTOOPT;
}

static int get_tcp(struct sock *s, int option, void *value, socklen_t *bytes)
{
	const struct sock_options *o = &s->options;

	if (s->ops->type != SOCK_STREAM)
		return -ENOPROTOOPT;
	switch (option) {
	case TCP_NODELAY:
		return put_int(o->no_delay, value, bytes);
	case TCP_KEEPIDLE:
		return put_int((int)o->keep_idle_s, value, bytes);
	case TCP_KEEPINTVL:
		return put_int((int)o->keep_interval_s, value, bytes);
	case TCP_KEEPCNT:
		return put_int((int)o->keep_count, value, bytes);
	case TCP_MAXSEG:
		return put_int(s->state == SOCK_CONNECTED && s->tcp ? tcp_mss(s->tcp) : TCP_MSS,
		               value, bytes);
	}
	return -ENOPROTOOPT;
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
	return 0;
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

void memberships_drop(struct sock *s)
{
	while (s->memberships)
		part(s, &s->memberships->group, s->memberships->netif);
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

/* struct ip_mreq, or the longer ip_mreqn. */
static int get_mreqn(const void *value, socklen_t bytes, struct ip_mreqn *m)
{
	if (bytes < sizeof(struct ip_mreq))
		return -EINVAL;
	memset(m, 0, sizeof(*m));
	memcpy(m, value, bytes >= sizeof(*m) ? sizeof(*m) : sizeof(struct ip_mreq));
	return 0;
}

static int membership4(struct sock *s, bool joining, const void *value, socklen_t bytes)
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
	if (!netif)
		return -ENODEV;
	ip_addr_set_ip4_u32_val(group, m.imr_multiaddr.s_addr);
	return joining ? join(s, &group, netif) : part(s, &group, netif);
}

static int membership6(struct sock *s, bool joining, const void *value, socklen_t bytes)
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
	if (!netif)
		return -ENODEV;
	ip_addr_set_zero_ip6(&group);
	memcpy(ip_2_ip6(&group)->addr, m.ipv6mr_multiaddr.s6_addr, 16);
	ip6_addr_assign_zone(ip_2_ip6(&group), IP6_MULTICAST, netif);
	return joining ? join(s, &group, netif) : part(s, &group, netif);
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
	struct in_addr address;
	struct ip_mreqn m;

	if (bytes >= sizeof(struct ip_mreq)) {
		get_mreqn(value, bytes, &m);
		return set_multicast_if(o, (unsigned int)m.imr_ifindex, m.imr_address.s_addr);
	}
	if (bytes < sizeof(address))
		return -EINVAL;
	memcpy(&address, value, sizeof(address));
	return set_multicast_if(o, 0, address.s_addr);
}

/* --- IPPROTO_IP, IPPROTO_IPV6 -------------------------------------------------------------------- */

/* -1: back to the default. */
static int set_byte(uint8_t *field, int v, int min, uint8_t usual)
{
	if (v == -1)
		v = usual;
	if (v < min || v > UINT8_MAX)
		return -EINVAL;
	*field = (uint8_t)v;
	return 0;
}

static int set_ip(struct sock *s, int option, const void *value, socklen_t bytes)
{
	struct sock_options *o = &s->options;
	int v, r;

	if (option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP)
		return membership4(s, option == IP_ADD_MEMBERSHIP, value, bytes);
	if (option == IP_MULTICAST_IF)
		return set_multicast_if4(o, value, bytes);
	r = get_int(value, bytes, &v);
	if (r < 0)
		return r;
	switch (option) {
	case IP_TTL:
		return set_byte(&o->ttl, v, 1, 64);
	case IP_TOS:
		o->tos = (uint8_t)v;
		return 0;
	case IP_MULTICAST_TTL:
		return set_byte(&o->multicast_ttl, v, 0, 1);
	case IP_MULTICAST_LOOP:
		o->multicast_loop = v;
		return 0;
	}
	return -ENOPROTOOPT;
}

static int get_ip(struct sock *s, int option, void *value, socklen_t *bytes)
{
	const struct sock_options *o = &s->options;

	switch (option) {
	case IP_TTL:
		return put_int(o->ttl, value, bytes);
	case IP_TOS:
		return put_int(o->tos, value, bytes);
	case IP_MULTICAST_TTL:
		return put_int(o->multicast_ttl, value, bytes);
	case IP_MULTICAST_LOOP:
		return put_int(o->multicast_loop, value, bytes);
	}
	return -ENOPROTOOPT;
}

/* The type of lwIP's control block depends on it, so only before there is one. */
static int set_v6_only(struct sock *s, int v)
{
	if (s->bound || s->state != SOCK_NEW)
		return -EINVAL;
	s->options.v6_only = v;
	return 0;
}

static int set_ip6(struct sock *s, int option, const void *value, socklen_t bytes)
{
	struct sock_options *o = &s->options;
	int v, r;

	if (s->family != AF_INET6)
		return -ENOPROTOOPT;
	if (option == IPV6_JOIN_GROUP || option == IPV6_LEAVE_GROUP)
		return membership6(s, option == IPV6_JOIN_GROUP, value, bytes);
	if (bytes < sizeof(int))
		return -EINVAL;
	r = get_int(value, bytes, &v);
	if (r < 0)
		return r;
	switch (option) {
	case IPV6_V6ONLY:
		return set_v6_only(s, v);
	case IPV6_UNICAST_HOPS:
		return set_byte(&o->ttl, v, 0, 64);
	case IPV6_TCLASS:
		return set_byte(&o->tos, v, 0, 0);
	case IPV6_MULTICAST_HOPS:
		return set_byte(&o->multicast_ttl, v, 0, 1);
	case IPV6_MULTICAST_LOOP:
		o->multicast_loop = v;
		return 0;
	case IPV6_MULTICAST_IF:
		return set_multicast_if(o, (unsigned int)v, 0);
	}
	return -ENOPROTOOPT;
}

static int get_ip6(struct sock *s, int option, void *value, socklen_t *bytes)
{
	const struct sock_options *o = &s->options;

	if (s->family != AF_INET6)
		return -ENOPROTOOPT;
	switch (option) {
	case IPV6_V6ONLY:
		return put_int(o->v6_only, value, bytes);
	case IPV6_UNICAST_HOPS:
		return put_int(o->ttl, value, bytes);
	case IPV6_TCLASS:
		return put_int(o->tos, value, bytes);
	case IPV6_MULTICAST_HOPS:
		return put_int(o->multicast_ttl, value, bytes);
	case IPV6_MULTICAST_LOOP:
		return put_int(o->multicast_loop, value, bytes);
	case IPV6_MULTICAST_IF:
		return put_int(o->multicast_if, value, bytes);
	}
	return -ENOPROTOOPT;
}

/* --- All levels ------------------------------------------------------------------------------- */

int option_get(struct sock *s, int level, int option, void *value, socklen_t *bytes)
{
	switch (level) {
	case SOL_SOCKET:
		return get_socket(s, option, value, bytes);
	case IPPROTO_TCP:
		return get_tcp(s, option, value, bytes);
	case IPPROTO_IP:
		return get_ip(s, option, value, bytes);
	case IPPROTO_IPV6:
		return get_ip6(s, option, value, bytes);
	}
	return -ENOPROTOOPT;
}

static int set_any(struct sock *s, int level, int option, const void *value, socklen_t bytes)
{
	switch (level) {
	case SOL_SOCKET:
		return set_socket(s, option, value, bytes);
	case IPPROTO_TCP:
		return set_tcp(s, option, value, bytes);
	case IPPROTO_IP:
		return set_ip(s, option, value, bytes);
	case IPPROTO_IPV6:
		return set_ip6(s, option, value, bytes);
	}
	return -ENOPROTOOPT;
}

int option_set(struct sock *s, int level, int option, const void *value, socklen_t bytes)
{
	int r;

	if (!value)
		return -EFAULT;
	r = set_any(s, level, option, value, bytes);
	if (r == 0)
		s->ops->apply_options(s);
	return r;
}
