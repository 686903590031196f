/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server on lwIP's raw API (docs/net.md, "The raw API"): it answers each request on TCP port
 * 80 with the same 128 bytes as tests/bench/server, keeping the connection, without a socket, a
 * copy on the way in, or a thread's waking up. `make bench` measures it.
 *
 * Everything happens in lwIP's callbacks, which come with the network's lock held.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/net.h>
#include "lwip/tcp.h"

#define ANSWER_BYTES 128
#define BACKLOG      128
#define RETRY_TICKS  1 /* of lwIP's slow timer */

static char answer[ANSWER_BYTES + 1];

/* All that is to be known of a connection: it takes the place of lwIP's pointer to it. */
struct connection {
	uint32_t owed; /* requests that are not answered yet */
	uint8_t seen; /* how many bytes of the blank line that ends a request have come, in a row */
	bool ended;   /* the peer has said all it will */
};
_Static_assert(sizeof(struct connection) <= sizeof(void *), "fits into lwIP's argument");

static struct connection connection_of(const void *arg)
{
	struct connection c;

	memcpy(&c, &arg, sizeof(c));
	return c;
}

static void remember(struct tcp_pcb *pcb, const struct connection *c)
{
	void *arg = NULL;

	memcpy(&arg, c, sizeof(*c));
	tcp_arg(pcb, arg);
}

/*
 * How many requests end in these bytes. A blank line may come in pieces. One that has not begun does
 * not end within four bytes of which the last is no part of any.
 */
static uint32_t requests_ended(struct connection *connection, const uint8_t *bytes, size_t count)
{
	unsigned int seen = connection->seen;
	uint32_t requests = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t c;

		while (seen == 0 && i + 4 < count && bytes[i + 3] > '\r')
			i += 4;
		c = bytes[i];
		if (c == (seen & 1 ? '\n' : '\r'))
			seen++;
		else
			seen = c == '\r';
		if (seen == 4) {
			requests++;
			seen = 0;
		}
	}
	connection->seen = (uint8_t)seen;
	return requests;
}

static err_t on_room(void *arg, struct tcp_pcb *pcb);

/*
 * Answer what the send queue has room for; lwIP sends it after the callback. The rest is answered when
 * the peer has acknowledged some (on_sent) or, should memory be short, later (on_room).
 */
static err_t answer_owed(struct tcp_pcb *pcb, struct connection *c)
{
	while (c->owed && tcp_sndbuf(pcb) >= ANSWER_BYTES &&
	       tcp_write(pcb, answer, ANSWER_BYTES, TCP_WRITE_FLAG_COPY) == ERR_OK)
		c->owed--;
	remember(pcb, c);
	if (c->owed) {
		tcp_poll(pcb, on_room, RETRY_TICKS);
		return ERR_OK;
	}
	if (!c->ended || tcp_close(pcb) == ERR_OK)
		return ERR_OK;
	tcp_abort(pcb); /* not even memory for a FIN */
	return ERR_ABRT;
}

static err_t on_room(void *arg, struct tcp_pcb *pcb)
{
	struct connection c = connection_of(arg);

	tcp_poll(pcb, NULL, 0);
	return answer_owed(pcb, &c);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	struct connection c = connection_of(arg);

	(void)bytes;
	return c.owed ? answer_owed(pcb, &c) : ERR_OK;
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct connection c = connection_of(arg);

	(void)err;
	if (p) {
		for (const struct pbuf *q = p; q; q = q->next)
			c.owed += requests_ended(&c, q->payload, q->len);
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
	} else {
		c.ended = true;
	}
	return answer_owed(pcb, &c);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL; /* no memory for a connection: the peer will ask again */
	remember(pcb, &(struct connection){0});
	tcp_recv(pcb, on_receive);
	tcp_sent(pcb, on_sent);
	tcp_nagle_disable(pcb);
	return ERR_OK;
}

static void prepare_answer(void)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nServer: b\r\nContent-Type: text/plain\r\n"
	                           "Content-Length: %d\r\nConnection: keep-alive\r\n\r\n";
	int head_bytes = (int)sizeof(head) - 1; /* "%d" is as long as the number */

	snprintf(answer, sizeof(answer), head, ANSWER_BYTES - head_bytes);
	memset(answer + head_bytes, 'x', ANSWER_BYTES - head_bytes - 1);
	answer[ANSWER_BYTES - 1] = '\n';
}

static bool listen_at(u16_t port)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *listener = NULL;

	if (pcb && tcp_bind(pcb, IP_ANY_TYPE, port) == ERR_OK)
		listener = tcp_listen_with_backlog(pcb, BACKLOG);
	if (listener)
		tcp_accept(listener, on_accept);
	return listener;
}

int main(void)
{
	bool listening;

	prepare_answer();
	net_lock();
	listening = listen_at(80);
	net_unlock();
	if (!listening) {
		printf("no memory to listen\n");
		return 1;
	}
	printf("serving\n");
	poll(NULL, 0, -1);
	return 1;
}
