/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets on lwIP's raw TCP.
 *
 * lwIP's callbacks queue what arrives as pbufs; receive() copies out of them. send() copies into
 * lwIP's send queue, the only copy on the way out. Of what was read lwIP is told in lumps, so that most
 * reads do not touch the connection at all.
 *
 * A connection outlives its socket: close() detaches and lwIP does the rest. The socket outlives its
 * connection: after a reset, or when both directions are closed, what was received can still be read.
 */
#include <errno.h>
#include <string.h>
#include <pith/irq.h>
#include <pith/time.h>
#include "socket.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

/* Beyond so many pbufs queued, small segments are packed into buffers of this size. */
#define PIECES_LOOSE 64
#define PACK_BYTES   2000
#define PACKED_MAX   512

/* --- Readiness ------------------------------------------------------------------------------- */

/* Bytes that may be queued for sending now. */
static uint32_t send_room(const struct sock *s)
{
	uint32_t used = net_tcp_send_buffer - s->tcp->snd_buf;

	return used < s->send_limit && tcp_sndqueuelen(s->tcp) < net_tcp_send_queue
	           ? s->send_limit - used
	           : 0;
}

/* As on Linux, writable from a third on: worth waking somebody up for. */
static bool is_writable(const struct sock *s)
{
	return !s->short_of_memory && send_room(s) >= s->send_limit / 3;
}

static uint32_t connected_readiness(const struct sock *s)
{
	uint32_t ready = 0;

	if (s->head || s->eof || s->shut_read)
		ready |= EPOLLIN;
	if (s->eof || s->shut_read)
		ready |= EPOLLRDHUP;
	if (s->shut_write || is_writable(s))
		ready |= EPOLLOUT;
	if (s->shut_write && (ready & EPOLLRDHUP))
		ready |= EPOLLHUP;
	return ready;
}

static uint32_t readiness(const struct sock *s)
{
	uint32_t error = s->error ? EPOLLERR : 0;

	switch (s->state) {
	case SOCK_NEW: /* with eof: a connection could not be made */
		return error | EPOLLOUT | EPOLLHUP | (s->eof ? EPOLLIN | EPOLLRDHUP : 0);
	case SOCK_LISTENING:
		return list_empty(&s->accepted) ? 0 : EPOLLIN;
	case SOCK_CONNECTING:
		return error;
	case SOCK_CONNECTED:
		return error | connected_readiness(s);
	case SOCK_DEAD:
		break;
	}
	return error | EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP;
}

/* After a change: tell whoever waits for what is new. */
static void update(struct sock *s)
{
	uint32_t before = s->ready;

	s->ready = readiness(s);
	if (s->ready & ~before)
		ready_notify(&s->file.ready, s->ready & ~before);
}

/* --- lwIP's control block ------------------------------------------------------------------------ */

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes);
static void on_error(void *arg, err_t err);

static void tcp_apply_options(struct sock *s)
{
	const struct sock_options *o = &s->options;
	struct tcp_pcb *pcb = s->tcp;

	s->send_limit = net_tcp_send_buffer;
	if (o->send_buffer)
		s->send_limit = LWIP_MIN(o->send_buffer, s->send_limit);
	if (!pcb)
		return;
	pcb->ttl = o->ttl;
	pcb->tos = o->tos;
	pcb->so_options &= (u8_t) ~(SOF_REUSEADDR | SOF_KEEPALIVE);
	pcb->so_options |=
	    (u8_t)((o->reuse_address ? SOF_REUSEADDR : 0) | (o->keep_alive ? SOF_KEEPALIVE : 0));
	if (s->state == SOCK_LISTENING) /* a smaller control block: the rest is for connections */
		return;
	pcb->keep_idle = o->keep_idle_s * 1000;
	pcb->keep_intvl = o->keep_interval_s * 1000;
	pcb->keep_cnt = o->keep_count;
	if (o->no_delay)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
	if (o->no_delay && s->state == SOCK_CONNECTED)
		tcp_output(pcb);
}

static void attach(struct sock *s, struct tcp_pcb *pcb)
{
	s->tcp = pcb;
	pcb->callback_arg = s;
	pcb->recv = on_receive;
	pcb->sent = on_sent;
	pcb->errf = on_error;
	tcp_apply_options(s);
}

/* The connection goes on, or not, without us. */
static struct tcp_pcb *detach(struct sock *s)
{
	struct tcp_pcb *pcb = s->tcp;

	s->tcp = NULL;
	pcb->callback_arg = NULL;
	pcb->recv = NULL;
	pcb->sent = NULL;
	pcb->errf = NULL;
	pcb->poll = NULL;
	return pcb;
}

static int need_pcb(struct sock *s)
{
	struct tcp_pcb *pcb;

	if (s->tcp)
		return 0;
	pcb = tcp_new_ip_type(sock_any(s)->type);
	if (!pcb)
		return -ENOBUFS;
	attach(s, pcb);
	return 0;
}

/* Both directions are closed: nothing more can come of the connection that concerns us. */
static void finish_if_closed(struct sock *s)
{
	if (!s->eof || !s->shut_write)
		return;
	detach(s);
	s->state = SOCK_DEAD;
}

/* --- Callbacks: what arrives ---------------------------------------------------------------------- */

/* Append to the last buffer of the queue, or a fresh one. Returns whether there was one. */
static bool pack(struct sock *s, struct pbuf *p)
{
	struct pbuf *q;

	if (s->tail_room < p->tot_len) {
		q = pbuf_alloc(PBUF_RAW, PACK_BYTES, PBUF_RAM);
		if (!q)
			return false;
		q->len = q->tot_len = 0;
		s->tail->next = q;
		s->tail = q;
		s->tail_room = PACK_BYTES;
		s->pieces++;
	}
	q = s->tail;
	pbuf_copy_partial(p, (char *)q->payload + q->len, p->tot_len, 0);
	q->len += p->tot_len;
	s->tail_room -= p->tot_len;
	s->queued_bytes += p->tot_len;
	pbuf_free(p);
	return true;
}

static void enqueue(struct sock *s, struct pbuf *p)
{
	if (s->pieces >= PIECES_LOOSE && p->tot_len <= PACKED_MAX && pack(s, p))
		return;
	s->queued_bytes += p->tot_len;
	if (s->head)
		s->tail->next = p;
	else
		s->head = p;
	for (; p; p = p->next) {
		s->tail = p;
		s->pieces++;
	}
	s->tail_room = 0;
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct sock *s = arg;

	(void)err;
	if (!p) {
		s->eof = true;
		finish_if_closed(s);
		update(s);
		return ERR_OK;
	}
	if (s->shut_read) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	s->last_bytes = p->tot_len;
	enqueue(s, p);
	s->ready |= EPOLLIN;
	ready_notify(&s->file.ready, EPOLLIN);
	return ERR_OK;
}

static void lingering_done(struct sock *s)
{
	s->options.linger = false;
	waitq_wake_all(&s->lingering);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	struct sock *s = arg;

	(void)bytes;
	s->short_of_memory = false;
	if (s->file.closed && pcb->snd_buf == net_tcp_send_buffer)
		lingering_done(s);
	if (!(s->ready & EPOLLOUT))
		update(s);
	return ERR_OK;
}

/* Memory was short when something was to be sent; half a second later there may be some. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct sock *s = arg;

	tcp_poll(pcb, NULL, 0);
	s->short_of_memory = false;
	update(s);
	return ERR_OK;
}

/* lwIP has freed the control block. */
static void on_error(void *arg, err_t err)
{
	struct sock *s = arg;
	bool connecting = s->state == SOCK_CONNECTING;

	s->tcp = NULL;
	if (err == ERR_RST)
		s->error = connecting ? -ECONNREFUSED : s->eof ? -EPIPE : -ECONNRESET;
	else if (err != ERR_CLSD)
		s->error = net_abort_error;
	s->state = connecting ? SOCK_NEW : SOCK_DEAD;
	s->eof = true;
	if (s->file.closed)
		lingering_done(s);
	update(s);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct sock *s = arg;

	(void)pcb, (void)err;
	s->state = SOCK_CONNECTED;
	update(s);
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct sock *s = arg, *c;

	if (err != ERR_OK || !pcb)
		return ERR_VAL; /* no memory for a connection: the peer will ask again */
	c = sock_new(s->family, &tcp_ops);
	if (!c)
		return ERR_MEM;
	c->options = s->options;
	c->state = SOCK_CONNECTED;
	c->bound = true;
	attach(c, pcb);
	c->ready = readiness(c);
	c->listener = s;
	tcp_backlog_delayed(pcb);
	list_add_tail(&s->accepted, &c->accepted);
	s->ready |= EPOLLIN;
	ready_notify(&s->file.ready, EPOLLIN);
	return ERR_OK;
}

void tcp_taken(struct sock *c)
{
	struct sock *s = c->listener;

	list_remove(&c->accepted);
	c->listener = NULL;
	if (c->tcp)
		tcp_backlog_accepted(c->tcp);
	s->ready = readiness(s);
}

/* --- Receiving ------------------------------------------------------------------------------- */

/*
 * Does the peer wait for an ACK? Of every second segment at least (RFC 9293, section 3.8.6.3); lwIP
 * counts frames, and one of large receive may have been many segments. Such a one is acknowledged when
 * it is read, together with the window that opens thereby.
 */
static bool owes_ack(const struct sock *s)
{
	return (s->tcp->flags & TF_ACK_DELAY) && s->last_bytes >= 2 * s->tcp->mss;
}

/*
 * lwIP may open the window by so many bytes again. It tells the peer only in steps of
 * TCP_WND_UPDATE_THRESHOLD, so smaller numbers are saved up.
 */
static void confirm(struct sock *s, uint32_t bytes)
{
	s->unconfirmed += bytes;
	if (!s->tcp || (s->unconfirmed < TCP_WND_UPDATE_THRESHOLD && !owes_ack(s)))
		return;
	while (s->unconfirmed && s->tcp) {
		u16_t n = (u16_t)LWIP_MIN(s->unconfirmed, UINT16_MAX);

		s->unconfirmed -= n;
		tcp_recved(s->tcp, n);
	}
	if (s->tcp && owes_ack(s)) {
		tcp_ack_now(s->tcp);
		tcp_output(s->tcp);
	}
}

/* The first pbuf is read. */
static void drop_head(struct sock *s)
{
	struct pbuf *p = s->head;

	s->head = p->next;
	s->head_skip = 0;
	s->pieces--;
	if (!s->head)
		s->tail_room = 0;
	p->next = NULL;
	pbuf_free(p);
}

static size_t peek(const struct sock *s, const struct transfer *t)
{
	size_t done = 0;
	u16_t skip = s->head_skip;

	for (const struct pbuf *p = s->head; p && done < t->bytes; p = p->next, skip = 0)
		done += iov_put(t->iov, t->iov_count, done, (char *)p->payload + skip,
		                LWIP_MIN((size_t)(p->len - skip), t->bytes - done));
	return done;
}

/* What is here and t has room for. Returns how many bytes. */
static uint32_t take(struct sock *s, struct transfer *t)
{
	size_t start = t->done;

	while (s->head && t->done < t->bytes) {
		struct pbuf *p = s->head;
		u16_t left = p->len - s->head_skip;
		u16_t n = (u16_t)LWIP_MIN((size_t)left, t->bytes - t->done);

		iov_put(t->iov, t->iov_count, t->done, (char *)p->payload + s->head_skip, n);
		t->done += n;
		s->head_skip += n;
		if (n == left)
			drop_head(s);
	}
	s->queued_bytes -= (uint32_t)(t->done - start);
	return (uint32_t)(t->done - start);
}

/* With nothing to read, or no more. Returns 0 at the end; -errno, which stays if it is not told now */
static ssize_t nothing_read(struct sock *s, const struct transfer *t)
{
	if (s->error)
		return t->done ? s->error : sock_take_error(s);
	switch (s->state) {
	case SOCK_DEAD:
		return 0;
	case SOCK_CONNECTED:
		return s->eof || s->shut_read ? 0 : -EAGAIN;
	case SOCK_CONNECTING:
		return -EAGAIN;
	default:
		return -ENOTCONN;
	}
}

static ssize_t tcp_receive(struct sock *s, struct transfer *t)
{
	if (!t->bytes)
		return 0;
	if (!s->head)
		return nothing_read(s, t);
	if (t->flags & MSG_PEEK)
		return (ssize_t)peek(s, t);
	confirm(s, take(s, t));
	if (!s->head && s->state == SOCK_CONNECTED && !s->eof && !s->shut_read)
		s->ready &= ~EPOLLIN;
	return t->done < t->bytes && (t->flags & MSG_WAITALL) ? -EAGAIN : (ssize_t)t->done;
}

/* --- Sending --------------------------------------------------------------------------------- */

static void wait_for_memory(struct sock *s)
{
	s->short_of_memory = true;
	tcp_poll(s->tcp, on_poll, 500 / TCP_SLOW_INTERVAL);
}

/*
 * Queue count bytes. Returns how many of them there was room for. more: others follow at once, do not
 * ask the peer to hand this on.
 */
__attribute__((noinline)) static size_t queue_bytes(struct sock *s, const char *bytes, size_t count,
                                                    bool more)
{
	size_t done = 0;

	while (done < count) {
		uint32_t room = send_room(s);
		size_t n = LWIP_MIN(count - done, LWIP_MIN(room, UINT16_MAX));
		u8_t flags = TCP_WRITE_FLAG_COPY;

		if (more || done + n < count)
			flags |= TCP_WRITE_FLAG_MORE;
		if (n == 0)
			break;
		if (tcp_write(s->tcp, bytes + done, (u16_t)n, flags) != ERR_OK) {
			wait_for_memory(s);
			break;
		}
		done += n;
	}
	return done;
}

static size_t queue_iov(struct sock *s, const struct transfer *t, size_t skip)
{
	size_t done = 0;

	for (int i = 0; i < t->iov_count; i++) {
		const struct iovec *v = &t->iov[i];
		bool more = i + 1 < t->iov_count || (t->flags & MSG_MORE);
		size_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		n = queue_bytes(s, (const char *)v->iov_base + skip, v->iov_len - skip, more);
		done += n;
		if (n < v->iov_len - skip)
			break;
		skip = 0;
	}
	return done;
}

static ssize_t tcp_send(struct sock *s, struct transfer *t)
{
	size_t queued;

	if (s->error)
		return t->done ? s->error : sock_take_error(s);
	if (s->state == SOCK_CONNECTING)
		return -EAGAIN;
	if (s->state != SOCK_CONNECTED || s->shut_write)
		return -EPIPE;
	queued = queue_iov(s, t, t->done);
	t->done += queued;
	if (queued && !(t->flags & MSG_MORE))
		tcp_output(s->tcp);
	if (!is_writable(s))
		s->ready &= ~EPOLLOUT;
	return t->done == t->bytes ? (ssize_t)t->done : -EAGAIN;
}

/* --- Connections ----------------------------------------------------------------------------- */

static int tcp_sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	int r = need_pcb(s);

	return r < 0 ? r : net_errno(tcp_bind(s->tcp, ip, port));
}

/* lwIP counts in 8 bits, and counts connections whose handshake is under way too. */
static u8_t lwip_backlog(int backlog)
{
	return (u8_t)LWIP_MIN(LWIP_MAX(backlog, 0) + 1, UINT8_MAX);
}

int tcp_sock_listen(struct sock *s, int backlog)
{
	struct tcp_pcb *pcb;
	err_t err;
	int r;

	if (s->state == SOCK_LISTENING) {
		tcp_backlog_set(s->tcp, lwip_backlog(backlog));
		return 0;
	}
	if (s->state != SOCK_NEW)
		return -EINVAL;
	r = sock_bind_anywhere(s);
	if (r < 0)
		return r;
	pcb = tcp_listen_with_backlog_and_err(s->tcp, lwip_backlog(backlog), &err);
	if (!pcb)
		return net_errno(err);
	s->tcp = pcb;
	s->state = SOCK_LISTENING;
	s->eof = false;
	tcp_arg(pcb, s);
	tcp_accept(pcb, on_accept);
	update(s);
	return 0;
}

int tcp_sock_connect(struct sock *s, const struct endpoint *e)
{
	err_t err;
	int r;

	if (s->state == SOCK_CONNECTING)
		return -EALREADY;
	if (s->state != SOCK_NEW)
		return -EISCONN;
	r = need_pcb(s);
	if (r < 0)
		return r;
	s->eof = false;
	err = tcp_connect(s->tcp, &e->ip, e->port, on_connected);
	if (err == ERR_BUF || err == ERR_USE)
		return -EADDRNOTAVAIL;
	if (err != ERR_OK)
		return net_errno(err);
	s->bound = true;
	s->state = SOCK_CONNECTING;
	s->ready = readiness(s);
	return -EINPROGRESS;
}

/* Let go of the connection, rudely or not. */
static void leave(struct sock *s, bool reset)
{
	struct tcp_pcb *pcb;

	if (!s->tcp)
		return;
	/* What was read counts as read, else lwIP would reset for unread data. */
	if (s->unconfirmed)
		tcp_recved(s->tcp, (u16_t)s->unconfirmed);
	pcb = detach(s);
	if (reset)
		tcp_abort(pcb);
	else
		tcp_close(pcb);
}

static void drop_queue(struct sock *s)
{
	if (s->head)
		pbuf_free(s->head);
	s->head = NULL;
	s->head_skip = s->tail_room = 0;
	s->queued_bytes = s->pieces = 0;
}

/* The connections that nobody accepted are reset. */
static void stop_listening(struct sock *s)
{
	struct tcp_pcb *pcb = s->tcp;

	while (!list_empty(&s->accepted)) {
		struct sock *c = container_of(s->accepted.next, struct sock, accepted);

		tcp_taken(c);
		drop_queue(c);
		leave(c, true);
		file_put(&c->file);
	}
	s->tcp = NULL;
	s->state = SOCK_NEW;
	s->bound = false;
	tcp_accept(pcb, NULL);
	tcp_arg(pcb, NULL);
	tcp_close(pcb);
}

void tcp_sock_disconnect(struct sock *s)
{
	if (s->state == SOCK_LISTENING)
		stop_listening(s);
	drop_queue(s);
	leave(s, s->state == SOCK_CONNECTED);
	s->state = SOCK_NEW;
	s->bound = s->eof = s->shut_read = s->shut_write = false;
	s->unconfirmed = 0;
	s->error = 0;
	update(s);
}

int tcp_sock_shutdown(struct sock *s, int how)
{
	err_t err = ERR_OK;

	if (s->state == SOCK_LISTENING && how != SHUT_WR) {
		stop_listening(s);
		update(s);
		return 0;
	}
	if (s->state != SOCK_CONNECTED)
		return -ENOTCONN;
	if (how != SHUT_WR)
		s->shut_read = true;
	if (how != SHUT_RD && !s->shut_write) {
		s->shut_write = true;
		err = tcp_shutdown(s->tcp, 0, 1);
		finish_if_closed(s);
	}
	update(s);
	return net_errno(err);
}

/* --- Names, the end -------------------------------------------------------------------------- */

struct name tcp_sock_local(const struct sock *s)
{
	return s->tcp ? (struct name){&s->tcp->local_ip, s->tcp->local_port} : (struct name){0};
}

struct name tcp_sock_peer(const struct sock *s)
{
	return s->state == SOCK_CONNECTED ? (struct name){&s->tcp->remote_ip, s->tcp->remote_port}
	                                  : (struct name){0};
}

/* SO_LINGER: until the peer has acknowledged everything, or the time is over. */
static void wait_lingering(struct sock *s)
{
	uint64_t deadline = time_now_ns() + s->options.linger_s * NS_PER_S;
	unsigned long flags = irq_save();

	while (s->options.linger && waitq_wait(&s->lingering, deadline) == 0)
		;
	irq_restore_quiet(flags);
}

static bool must_linger(const struct sock *s)
{
	return s->options.linger && s->options.linger_s && s->state == SOCK_CONNECTED && !s->head &&
	       s->tcp->snd_buf != net_tcp_send_buffer;
}

static void tcp_sock_closed(struct sock *s)
{
	bool reset = s->head || (s->options.linger && !s->options.linger_s);

	if (must_linger(s)) {
		tcp_output(s->tcp);
		net_unlock();
		wait_lingering(s);
		net_lock();
	}
	if (s->state == SOCK_LISTENING)
		stop_listening(s);
	drop_queue(s);
	leave(s, reset && s->state == SOCK_CONNECTED);
	s->state = SOCK_DEAD;
}

const struct sock_ops tcp_ops = {
    .type = SOCK_STREAM,
    .protocol = IPPROTO_TCP,
    .bind = tcp_sock_bind,
    .receive = tcp_receive,
    .send = tcp_send,
    .apply_options = tcp_apply_options,
    .closed = tcp_sock_closed,
};
