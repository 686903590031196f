/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagram sockets on lwIP's raw UDP.
 *
 * Received datagrams are chained one after the other: the last pbuf of each is the one whose length
 * is all that is left (len == tot_len). Where a datagram came from is noted in front of its bytes,
 * where its IP and UDP headers have been: there is room for 28 bytes at least.
 */
#include <errno.h>
#include <string.h>
#include "socket.h"
#include "lwip/ip.h"
#include "lwip/udp.h"

#define DATAGRAM_MAX       65507       /* UINT16_MAX less the headers of IPv4 and UDP */
#define PACKET_OVERHEAD    128         /* what a queued datagram costs beyond its bytes, about */
#define RECEIVE_BUFFER_MIN (72 * 1024) /* the largest datagram, and some */

/* Where a datagram came from. */
_Static_assert(sizeof(struct endpoint) <= IP_HLEN + UDP_HLEN, "takes the headers' place");

static void *origin(const struct pbuf *p)
{
	return (char *)p->payload - sizeof(struct endpoint);
}

uint32_t udp_overflows;
static struct list refused = LIST_INIT(refused); /* sockets that found a device full */

/* --- Receiving ------------------------------------------------------------------------------- */

static uint32_t receive_limit(const struct sock *s)
{
	uint32_t usual = LWIP_MAX(4 * net_tcp_window, RECEIVE_BUFFER_MIN);

	return s->options.receive_buffer ? LWIP_MIN(s->options.receive_buffer, 4 * usual) : usual;
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip,
                        u16_t port)
{
	struct sock *s = arg;

	(void)pcb;
	if (s->shut_read || s->queued_bytes + p->tot_len + PACKET_OVERHEAD > receive_limit(s)) {
		udp_overflows++;
		pbuf_free(p);
		return;
	}
	memcpy(origin(p), &(struct endpoint){*ip, port}, sizeof(struct endpoint));
	s->queued_bytes += p->tot_len + PACKET_OVERHEAD;
	if (s->head)
		s->tail->next = p;
	else
		s->head = p;
	for (; p; p = p->next)
		s->tail = p;
	s->ready |= EPOLLIN;
	ready_notify(&s->file.ready, EPOLLIN);
}

static struct pbuf *last_of(struct pbuf *p)
{
	while (p->len != p->tot_len)
		p = p->next;
	return p;
}

/* Take the first datagram off the queue. */
static void drop_first(struct sock *s)
{
	struct pbuf *p = s->head, *last = last_of(p);

	s->queued_bytes -= p->tot_len + PACKET_OVERHEAD;
	s->head = last->next;
	last->next = NULL;
	pbuf_free(p);
	if (!s->head && !s->shut_read)
		s->ready &= ~EPOLLIN;
}

static size_t copy_out(const struct pbuf *p, const struct transfer *t)
{
	size_t done = 0, bytes = LWIP_MIN((size_t)p->tot_len, t->bytes);

	for (; done < bytes; p = p->next)
		done += iov_put(t->iov, t->iov_count, done, p->payload,
		                LWIP_MIN((size_t)p->len, bytes - done));
	return done;
}

static ssize_t udp_receive(struct sock *s, struct transfer *t)
{
	struct pbuf *p = s->head;
	size_t bytes, total;

	if (s->error)
		return sock_take_error(s);
	if (!p)
		return s->shut_read ? 0 : -EAGAIN;
	if (t->peer)
		memcpy(t->peer, origin(p), sizeof(*t->peer));
	total = p->tot_len;
	bytes = copy_out(p, t);
	t->truncated = bytes < total;
	if (!(t->flags & MSG_PEEK))
		drop_first(s);
	return (ssize_t)(t->flags & MSG_TRUNC ? total : bytes);
}

/* --- lwIP's control block ------------------------------------------------------------------------ */

static void udp_apply_options(struct sock *s)
{
	const struct sock_options *o = &s->options;
	struct udp_pcb *pcb = s->udp;

	if (!pcb)
		return;
	pcb->ttl = o->ttl;
	pcb->tos = o->tos;
	pcb->so_options =
	    (u8_t)((o->reuse_address ? SOF_REUSEADDR : 0) | (o->broadcast ? SOF_BROADCAST : 0));
	udp_set_multicast_ttl(pcb, o->multicast_ttl);
	udp_set_multicast_netif_index(pcb, o->multicast_if);
	if (o->multicast_loop)
		udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
	else
		udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
}

static int need_pcb(struct sock *s)
{
	if (s->udp)
		return 0;
	s->udp = udp_new_ip_type(sock_any(s)->type);
	if (!s->udp)
		return -ENOBUFS;
	udp_recv(s->udp, on_datagram, s);
	udp_apply_options(s);
	return 0;
}

static int udp_sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	int r = need_pcb(s);

	return r < 0 ? r : net_errno(udp_bind(s->udp, ip, port));
}

/* --- Sending --------------------------------------------------------------------------------- */

static void room_again(struct sock *s)
{
	list_remove(&s->waiting_for_room);
	s->ready |= EPOLLOUT;
	ready_notify(&s->file.ready, EPOLLOUT);
}

void udp_room(void)
{
	while (!list_empty(&refused))
		room_again(container_of(refused.next, struct sock, waiting_for_room));
}

/* Returns 0; -EACCES a broadcast without SO_BROADCAST */
static int may_send_to(const struct sock *s, const ip_addr_t *ip)
{
	struct netif *netif;

	if (IP_IS_V6(ip) || s->options.broadcast)
		return 0;
	NETIF_FOREACH(netif)
	{
		if (ip4_addr_isbroadcast_u32(ip_2_ip4(ip)->addr, netif))
			return -EACCES;
	}
	return 0;
}

struct name udp_sock_peer(const struct sock *s)
{
	return s->state == SOCK_CONNECTED ? (struct name){&s->udp->remote_ip, s->udp->remote_port}
	                                  : (struct name){0};
}

static int send_pbuf(struct sock *s, struct pbuf *p, struct name to)
{
	err_t err = udp_sendto(s->udp, p, to.ip, to.port);

	if (err != ERR_MEM || ports_writable())
		return net_errno(err);
	list_remove(&s->waiting_for_room);
	list_add_tail(&refused, &s->waiting_for_room);
	s->ready &= ~EPOLLOUT;
	return -EAGAIN;
}

static ssize_t udp_socket_send(struct sock *s, struct transfer *t)
{
	struct name to;
	struct pbuf *p;
	int r;

	if (s->error)
		return sock_take_error(s);
	if (s->shut_write)
		return -EPIPE;
	if (t->bytes > DATAGRAM_MAX)
		return -EMSGSIZE;
	to = t->peer ? (struct name){&t->peer->ip, t->peer->port} : udp_sock_peer(s);
	if (!to.ip)
		return -EDESTADDRREQ;
	if (!to.port)
		return -EINVAL;
	r = may_send_to(s, to.ip);
	if (r == 0)
		r = sock_bind_anywhere(s);
	if (r < 0)
		return r;
	p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)t->bytes, PBUF_RAM);
	if (!p)
		return -ENOBUFS;
	iov_get(t->iov, t->iov_count, 0, p->payload, t->bytes);
	r = send_pbuf(s, p, to);
	pbuf_free(p);
	return r < 0 ? r : (ssize_t)t->bytes;
}

/* --- The rest -------------------------------------------------------------------------------- */

int udp_sock_connect(struct sock *s, const struct endpoint *e)
{
	int r = sock_bind_anywhere(s);

	if (r < 0)
		return r;
	if (!ip_route(&s->udp->local_ip, &e->ip))
		return -ENETUNREACH;
	r = may_send_to(s, &e->ip);
	if (r == 0)
		r = net_errno(udp_connect(s->udp, &e->ip, e->port));
	if (r == 0)
		s->state = SOCK_CONNECTED;
	return r;
}

void udp_sock_disconnect(struct sock *s)
{
	if (s->udp)
		udp_disconnect(s->udp);
	s->state = SOCK_NEW;
}

int udp_sock_shutdown(struct sock *s, int how)
{
	if (s->state != SOCK_CONNECTED)
		return -ENOTCONN;
	if (how != SHUT_WR) {
		s->shut_read = true;
		s->ready |= EPOLLIN | EPOLLRDHUP;
	}
	if (how != SHUT_RD)
		s->shut_write = true;
	if (s->shut_read && s->shut_write)
		s->ready |= EPOLLHUP;
	ready_notify(&s->file.ready, s->ready);
	return 0;
}

/* A connected socket's address is the one it would send from. */
struct name udp_sock_local(const struct sock *s)
{
	const ip_addr_t *source = NULL;
	struct netif *netif;
	struct name n;

	if (!s->udp)
		return (struct name){0};
	n = (struct name){&s->udp->local_ip, s->udp->local_port};
	if (s->state != SOCK_CONNECTED || !ip_addr_isany(n.ip))
		return n;
	netif = ip_route(&s->udp->local_ip, &s->udp->remote_ip);
	if (netif)
		source = ip_netif_get_local_ip(netif, &s->udp->remote_ip);
	if (source)
		n.ip = source;
	return n;
}

static void udp_sock_closed(struct sock *s)
{
	list_remove(&s->waiting_for_room);
	while (s->head)
		drop_first(s);
	if (s->udp)
		udp_remove(s->udp);
	s->udp = NULL;
	s->state = SOCK_DEAD;
	s->shut_read = s->shut_write = true;
}

const struct sock_ops udp_ops = {
    .type = SOCK_DGRAM,
    .protocol = IPPROTO_UDP,
    .bind = udp_sock_bind,
    .receive = udp_receive,
    .send = udp_socket_send,
    .apply_options = udp_apply_options,
    .closed = udp_sock_closed,
};
