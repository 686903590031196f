/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets inside: what socket.c (descriptors, addresses), option.c, tcp.c and udp.c share.
 *
 * A socket's state is changed under the core lock only. `ready` is its summary, kept up to date by
 * whoever changes the state, so that poll() is one load and needs no lock.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <pith/file.h>
#include "internal.h"

struct tcp_pcb;
struct udp_pcb;
struct sock;

/* An address and a port; with .ip of type IPADDR_TYPE_ANY, any of both families. */
struct endpoint {
	ip_addr_t ip;
	uint16_t port;
};

/* The same, where the address is; NULL: there is none. */
struct name {
	const ip_addr_t *ip;
	uint16_t port;
};

/* What setsockopt() has set. Kept here, as lwIP's control block comes and goes. */
struct sock_options {
	bool reuse_address, keep_alive, broadcast, no_delay, v6_only, linger;
	uint8_t ttl, tos, multicast_ttl;
	bool multicast_loop;
	uint8_t multicast_if; /* interface index, 0: by routing */
	uint32_t keep_idle_s, keep_interval_s, keep_count;
	uint32_t linger_s;
	uint32_t send_buffer, receive_buffer;         /* bytes; 0: the default */
	uint64_t send_timeout_ns, receive_timeout_ns; /* 0: none */
};

/* A call to receive or send. */
struct transfer {
	const struct iovec *iov;
	int iov_count;
	size_t bytes;          /* in iov */
	int flags;             /* MSG_* */
	struct endpoint *peer; /* datagrams, if not NULL: whom to send to; filled in by receive */
	bool truncated;        /* receive: the datagram was longer */
	size_t done;           /* stream: bytes so far */
};

/* Per protocol, called under the lock; results are 0 or -errno. */
struct sock_ops {
	uint8_t type, protocol;
	int (*bind)(struct sock *s, const ip_addr_t *ip, uint16_t port);
	/* What can be done at once. Bytes; -EAGAIN: nothing or (see done) not enough; -errno */
	ssize_t (*receive)(struct sock *s, struct transfer *t);
	ssize_t (*send)(struct sock *s, struct transfer *t);
	/* Put s->options into effect. */
	void (*apply_options)(struct sock *s);
	/* The descriptor is gone: let go of lwIP's control block. May give the lock back meanwhile. */
	void (*closed)(struct sock *s);
};
extern const struct sock_ops tcp_ops, udp_ops;

enum sock_state {
	SOCK_NEW,
	SOCK_LISTENING,
	SOCK_CONNECTING,
	SOCK_CONNECTED,
	SOCK_DEAD, /* was connected; lwIP's control block is gone or no longer ours */
};

struct membership;

struct sock {
	struct file file; /* first */
	const struct sock_ops *ops;
	uint32_t ready; /* EPOLL*, what poll() says */
	int error;      /* -errno, to be told once (SO_ERROR) */
	uint8_t family; /* AF_INET, AF_INET6 */
	enum sock_state state;
	bool bound, shut_read, shut_write, eof;
	bool short_of_memory; /* tcp: lwIP had none for what we wanted to send */
	union {
		struct tcp_pcb *tcp;
		struct udp_pcb *udp;
	};
	/*
	 * Received and not yet read. tcp: one chain of pbufs, head_skip bytes of the first are read
	 * already. udp: datagrams, chained one after the other.
	 */
	struct pbuf *head, *tail;
	uint32_t queued_bytes;
	uint16_t head_skip;
	uint16_t tail_room;   /* tcp: bytes still free behind the last pbuf's, for small segments */
	uint32_t pieces;      /* pbufs queued */
	uint16_t last_bytes;  /* tcp: of the frame that came last */
	uint32_t unconfirmed; /* tcp: bytes read that lwIP has not been told of yet */
	uint32_t send_limit; /* tcp: bytes that may be queued, by SO_SNDBUF and the stack's limit */
	/* tcp: a listener's connections that wait for accept(), and the link of one of those */
	struct list accepted;
	struct sock *listener;
	struct waitq lingering;
	struct list waiting_for_room; /* udp: refused by a full device */
	struct membership *memberships;
	void (*leave_groups)(struct sock *s); /* set by who joins, so that others do not link it */
	struct sock_options options;
};

/* A new socket with one use and no descriptor; NULL: no memory. */
struct sock *sock_new(int family, const struct sock_ops *ops);

/* The pending error, which is thereby told; 0 if none. Under the lock. */
int sock_take_error(struct sock *s);

/* No address in particular, of the type that lwIP's control block must have for this socket. */
const ip_addr_t *sock_any(const struct sock *s);
/* Returns 0, or -errno. */
int sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port);
/* If it is not bound yet: to any address and a free port. The same. */
int sock_bind_anywhere(struct sock *s);
/* Is this an address of ours, or none in particular, or (datagrams) a group? */
bool sock_may_bind(const struct sock *s, const ip_addr_t *ip);

/*
 * What only one call needs, by name: an app that does not call it does not link it.
 */
/* Starts; -EINPROGRESS: EPOLLOUT will tell. */
int tcp_sock_connect(struct sock *s, const struct endpoint *e);
int udp_sock_connect(struct sock *s, const struct endpoint *e);
void tcp_sock_disconnect(struct sock *s);
void udp_sock_disconnect(struct sock *s);
int tcp_sock_listen(struct sock *s, int backlog);
/* accept() has given c a descriptor; take it from its listener. */
void tcp_taken(struct sock *c);
int tcp_sock_shutdown(struct sock *s, int how);
int udp_sock_shutdown(struct sock *s, int how);
struct name tcp_sock_local(const struct sock *s);
struct name udp_sock_local(const struct sock *s);
struct name tcp_sock_peer(const struct sock *s);
struct name udp_sock_peer(const struct sock *s);

static inline bool sock_is_stream(const struct sock *s)
{
	return s->ops == &tcp_ops;
}

/* option.c */
void options_init(struct sock_options *o);
int option_get(struct sock *s, int level, int option, void *value, socklen_t *bytes);
/* Of one option, by a key of option.c's; any, or one that is a number. */
typedef int option_setter(struct sock *s, int key, const void *value, socklen_t bytes);
option_setter option_set_any, option_set_number;
int option_set(struct sock *s, int level, int option, const void *value, socklen_t bytes,
               option_setter *set);

#endif
