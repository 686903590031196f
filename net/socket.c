/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BSD sockets as descriptors: the calls, and addresses between libc's form and lwIP's.
 *
 * Semantics and error numbers are Linux's (socket(7), ip(7), ipv6(7), tcp(7), udp(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <pith/irq.h>
#include <pith/result.h>
#include <pith/time.h>
#include "socket.h"
#include "lwip/ip.h"

unsigned int socket_count;

static void count_socket(int by)
{
	unsigned long flags = irq_save();

	socket_count += (unsigned int)by;
	irq_restore_quiet(flags);
}

/* --- The file -------------------------------------------------------------------------------- */

static struct sock *of_file(struct file *f)
{
	return container_of(f, struct sock, file);
}

/* When to give up: after an option's timeout from now. */
static uint64_t sock_deadline(uint64_t timeout_ns)
{
	return timeout_ns ? time_now_ns() + timeout_ns : TIME_FOREVER;
}

/*
 * Wait until one of events is ready. Under the lock, which is given back meanwhile.
 * Returns 0; -EAGAIN deadline, or the call is not to wait; -EBADF closed
 */
static int sock_wait(struct sock *s, int flags, uint32_t events, uint64_t deadline_ns)
{
	unsigned long irq;
	int r = 0;

	if ((flags & MSG_DONTWAIT) || (s->file.flags & O_NONBLOCK))
		return -EAGAIN;
	net_unlock();
	irq = irq_save();
	while (r == 0 && !(s->ready & events))
		r = file_wait(&s->file, deadline_ns);
	irq_restore_quiet(irq);
	net_lock();
	if (s->file.closed)
		return -EBADF;
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

static inline ssize_t attempt(struct sock *s, struct transfer *t, bool sending)
{
	return (sending ? s->ops->send : s->ops->receive)(s, t);
}

/* When nothing can be done at once. */
static ssize_t wait_and_try(struct sock *s, struct transfer *t, bool sending)
{
	const struct sock_options *o = &s->options;
	uint64_t deadline = sock_deadline(sending ? o->send_timeout_ns : o->receive_timeout_ns);
	uint32_t events = EPOLLERR | EPOLLHUP | (sending ? EPOLLOUT : EPOLLIN);
	ssize_t r;

	do
		r = sock_wait(s, t->flags, events, deadline);
	while (r == 0 && (r = attempt(s, t, sending)) == -EAGAIN);
	return r;
}

/* Receive or send, blocking as the descriptor and flags say. */
static ssize_t transfer(struct sock *s, struct transfer *t, bool sending)
{
	ssize_t r;

	net_lock();
	r = attempt(s, t, sending);
	if (r == -EAGAIN)
		r = wait_and_try(s, t, sending);
	net_unlock();
	return t->done ? (ssize_t)t->done : r;
}

static ssize_t transfer_iov(struct file *f, const struct iovec *iov, int iov_count, bool sending)
{
	struct transfer t = {.iov = iov, .iov_count = iov_count};

	t.bytes = iov_count == 1 ? iov->iov_len : (size_t)iov_bytes(iov, iov_count);
	return transfer(of_file(f), &t, sending);
}

static ssize_t socket_read(struct file *f, const struct iovec *iov, int iov_count)
{
	return transfer_iov(f, iov, iov_count, false);
}

static ssize_t socket_write(struct file *f, const struct iovec *iov, int iov_count)
{
	return transfer_iov(f, iov, iov_count, true);
}

static uint32_t socket_poll(struct file *f)
{
	return of_file(f)->ready;
}

static int socket_stat(struct file *f, struct stat *st)
{
	(void)f;
	st->st_mode = S_IFSOCK | 0777;
	return 0;
}

static int socket_ioctl(struct file *f, unsigned long request, void *arg)
{
	struct sock *s = of_file(f);

	if (request != FIONREAD)
		return -ENOTTY;
	net_lock();
	/* Of datagrams: in the next one. */
	*(int *)arg = (int)(sock_is_stream(s) ? s->queued_bytes : s->head ? s->head->tot_len : 0);
	net_unlock();
	return 0;
}

static void socket_closed(struct file *f)
{
	struct sock *s = of_file(f);

	net_lock();
	if (s->leave_groups)
		s->leave_groups(s);
	s->ops->closed(s);
	net_unlock();
}

static void socket_release(struct file *f)
{
	count_socket(-1);
	free(of_file(f));
}

static const struct file_ops socket_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .stat = socket_stat,
    .ioctl = socket_ioctl,
    .closed = socket_closed,
    .release = socket_release,
};

struct sock *sock_new(int family, const struct sock_ops *ops)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	file_init(&s->file, &socket_file_ops, O_RDWR);
	s->ops = ops;
	s->family = (uint8_t)family;
	list_init(&s->accepted);
	list_init(&s->waiting_for_room);
	waitq_init(&s->lingering);
	options_init(&s->options);
	count_socket(1);
	return s;
}

/* The socket of a descriptor with a use taken; NULL: errno says why not. */
static struct sock *sock_get(int fd)
{
	struct file *f = fd_get(fd);

	if (f && f->ops == &socket_file_ops)
		return of_file(f);
	errno = f ? ENOTSOCK : EBADF;
	if (f)
		file_put(f);
	return NULL;
}

/* Give the use back. Returns what the call does. */
static long sock_put(struct sock *s, long result)
{
	file_put(&s->file);
	return libc_result(result);
}

/* A call under the lock ends, and begins, as with sock_get(). */
static int leave(struct sock *s, int result)
{
	net_unlock();
	return (int)sock_put(s, result);
}

static struct sock *enter(int fd)
{
	struct sock *s = sock_get(fd);

	if (!s)
		return NULL;
	net_lock();
	if (!s->file.closed)
		return s;
	leave(s, -EBADF); /* closed by another thread meanwhile */
	return NULL;
}

int sock_take_error(struct sock *s)
{
	int error = s->error;

	s->error = 0;
	s->ready &= ~EPOLLERR;
	return error;
}

/* --- Addresses ------------------------------------------------------------------------------- */

__attribute__((noinline)) const ip_addr_t *sock_any(const struct sock *s)
{
	if (s->family == AF_INET)
		return IP4_ADDR_ANY;
	return s->options.v6_only ? IP6_ADDR_ANY : IP_ANY_TYPE;
}

static bool is_own(const ip_addr_t *ip)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		if (IP_IS_V4(ip) && ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif)))
			return true;
		if (IP_IS_V6(ip) && netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0)
			return true;
	}
	return IP_IS_V4(ip) && ip4_addr_isloopback(ip_2_ip4(ip));
}

bool sock_may_bind(const struct sock *s, const ip_addr_t *ip)
{
	if (ip_addr_isany(ip) || is_own(ip))
		return true;
	return !sock_is_stream(s) &&
	       (ip_addr_ismulticast(ip) ||
	        (IP_IS_V4(ip) && ip4_addr_isbroadcast_u32(ip_2_ip4(ip)->addr, netif_default)));
}

/* Both families' addresses, at any alignment; family and port are at the same place. */
union address {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
} __attribute__((packed));

/* Link-local addresses mean one interface: the one named, or the only one there is. */
static void set_zone(ip6_addr_t *ip, uint32_t scope_id)
{
	if (!ip6_addr_has_scope(ip, IP6_UNKNOWN))
		return;
	if (scope_id)
		ip6_addr_set_zone(ip, (u8_t)scope_id);
	else if (netif_default)
		ip6_addr_assign_zone(ip, IP6_UNKNOWN, netif_default);
}

static int from_sockaddr(const struct sock *s, const struct sockaddr *address, socklen_t bytes,
                         struct endpoint *e)
{
	const union address *a = (const void *)address;
	bool v4 = s->family == AF_INET;

	if (!a)
		return -EFAULT;
	if (bytes < (v4 ? sizeof(a->in) : sizeof(a->in6)))
		return -EINVAL;
	if (a->in.sin_family != s->family)
		return -EAFNOSUPPORT;
	e->port = ntohs(a->in.sin_port);
	if (v4) {
		ip_addr_set_ip4_u32_val(e->ip, a->in.sin_addr.s_addr);
		return 0;
	}
	ip_addr_set_zero_ip6(&e->ip);
	memcpy(ip_2_ip6(&e->ip)->addr, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	if (!ip6_addr_isipv4mappedipv6(ip_2_ip6(&e->ip))) {
		set_zone(ip_2_ip6(&e->ip), a->in6.sin6_scope_id);
		return 0;
	}
	if (s->options.v6_only)
		return -ENETUNREACH;
	ip_addr_set_ip4_u32_val(e->ip, ip_2_ip6(&e->ip)->addr[3]);
	return 0;
}

/* Cut to what there is room for, and its true length told. */
static void to_sockaddr(const struct sock *s, struct name n, struct sockaddr *address,
                        socklen_t *bytes)
{
	union address a = {.in6 = {.sin6_family = s->family, .sin6_port = htons(n.port)}};
	socklen_t size = s->family == AF_INET ? sizeof(a.in) : sizeof(a.in6);

	if (!address || !bytes)
		return;
	if (n.ip && s->family == AF_INET) {
		a.in.sin_addr.s_addr = ip_2_ip4(n.ip)->addr;
	} else if (n.ip && IP_IS_V4(n.ip)) {
		a.in6.sin6_addr.s6_addr32[2] = htonl(0xffff);
		a.in6.sin6_addr.s6_addr32[3] = ip_2_ip4(n.ip)->addr;
	} else if (n.ip) {
		memcpy(&a.in6.sin6_addr, ip_2_ip6(n.ip)->addr, sizeof(a.in6.sin6_addr));
		a.in6.sin6_scope_id = ip6_addr_zone(ip_2_ip6(n.ip));
	}
	memcpy(address, &a, LWIP_MIN(*bytes, size));
	*bytes = size;
}

/* --- socket(), bind(), listen(), accept(), connect(), shutdown() --------------------------------- */

static int install(struct sock *s, int flags)
{
	if (flags & SOCK_NONBLOCK)
		s->file.flags |= O_NONBLOCK;
	return fd_install(&s->file, 0, flags & SOCK_CLOEXEC);
}

static const struct sock_ops *ops_of(int type, int protocol)
{
	if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
		return &tcp_ops;
	if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
		return &udp_ops;
	return NULL;
}

static int do_socket(int family, int type, int protocol)
{
	int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC), fd;
	const struct sock_ops *ops = ops_of(type & ~flags, protocol);
	struct sock *s;

	if (family != AF_INET && !(family == AF_INET6 && net_has_ipv6))
		return -EAFNOSUPPORT;
	if (!ops)
		return -EPROTONOSUPPORT;
	s = sock_new(family, ops);
	if (!s)
		return -ENOMEM;
	s->ready = ops == &udp_ops ? EPOLLOUT : EPOLLOUT | EPOLLHUP;
	fd = install(s, flags);
	if (fd < 0)
		file_put(&s->file);
	return fd;
}

int socket(int family, int type, int protocol)
{
	return (int)libc_result(do_socket(family, type, protocol));
}

int socketpair(int family, int type, int protocol, int fds[2])
{
	(void)family, (void)type, (void)protocol, (void)fds;
	errno = EAFNOSUPPORT;
	return -1;
}

int sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	int r = s->ops->bind(s, ip, port);

	s->bound = r == 0;
	return r;
}

int sock_bind_anywhere(struct sock *s)
{
	return s->bound ? 0 : sock_bind(s, sock_any(s), 0);
}

static int do_bind(struct sock *s, const struct sockaddr *address, socklen_t bytes)
{
	struct endpoint e;
	int r = from_sockaddr(s, address, bytes, &e);

	if (r < 0)
		return r;
	if (s->bound)
		return -EINVAL;
	if (!sock_may_bind(s, &e.ip))
		return -EADDRNOTAVAIL;
	return sock_bind(s, ip_addr_isany(&e.ip) ? sock_any(s) : &e.ip, e.port);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	struct sock *s = enter(fd);

	return s ? leave(s, do_bind(s, address, bytes)) : -1;
}

int listen(int fd, int backlog)
{
	struct sock *s = enter(fd);

	if (!s)
		return -1;
	return leave(s, sock_is_stream(s) ? tcp_sock_listen(s, backlog) : -EOPNOTSUPP);
}

/* Take the first waiting connection and give it a descriptor. Returns it, or -errno. */
static int accept_one(struct sock *s, struct sockaddr *address, socklen_t *bytes, int flags)
{
	struct sock *c;
	int fd;

	if (s->state != SOCK_LISTENING)
		return sock_is_stream(s) ? -EINVAL : -EOPNOTSUPP;
	if (list_empty(&s->accepted))
		return -EAGAIN;
	c = container_of(s->accepted.next, struct sock, accepted);
	fd = install(c, flags);
	if (fd < 0)
		return fd; /* EMFILE: it goes on waiting */
	tcp_taken(c);
	to_sockaddr(c, tcp_sock_peer(c), address, bytes);
	return fd;
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	uint64_t deadline;
	struct sock *s;
	int r;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return (int)libc_result(-EINVAL);
	s = enter(fd);
	if (!s)
		return -1;
	deadline = sock_deadline(s->options.receive_timeout_ns);
	while ((r = accept_one(s, address, bytes, flags)) == -EAGAIN &&
	       (r = sock_wait(s, 0, EPOLLIN | EPOLLHUP, deadline)) == 0)
		;
	return leave(s, r);
}

int accept(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return accept4(fd, address, bytes, 0);
}

static int start_connect(struct sock *s, const struct sockaddr *address, socklen_t bytes)
{
	struct endpoint e;
	int r;

	if (address && bytes >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) {
		(sock_is_stream(s) ? tcp_sock_disconnect : udp_sock_disconnect)(s);
		return 0;
	}
	r = from_sockaddr(s, address, bytes, &e);
	if (r < 0)
		return r;
	/* Connecting to no address in particular means this machine, as on Linux. */
	if (ip_addr_isany(&e.ip)) {
		if (IP_IS_V4_VAL(e.ip))
			ip_addr_set_ip4_u32_val(e.ip, PP_HTONL(INADDR_LOOPBACK));
		else
			ip_addr_set_loopback(true, &e.ip);
	}
	return (sock_is_stream(s) ? tcp_sock_connect : udp_sock_connect)(s, &e);
}

/* Wait for what start_connect() has begun. */
static int finish_connect(struct sock *s)
{
	int r = sock_wait(s, 0, EPOLLOUT | EPOLLERR | EPOLLHUP,
	                  sock_deadline(s->options.send_timeout_ns));

	if (r == 0)
		return sock_take_error(s);
	return r == -EAGAIN ? -EINPROGRESS : r;
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	struct sock *s = enter(fd);
	int r;

	if (!s)
		return -1;
	r = start_connect(s, address, bytes);
	return leave(s, r == -EINPROGRESS ? finish_connect(s) : r);
}

int shutdown(int fd, int how)
{
	struct sock *s = enter(fd);

	if (!s)
		return -1;
	if (how < SHUT_RD || how > SHUT_RDWR)
		return leave(s, -EINVAL);
	return leave(s, (sock_is_stream(s) ? tcp_sock_shutdown : udp_sock_shutdown)(s, how));
}

/* --- Names ----------------------------------------------------------------------------------- */

static int get_name(int fd, struct sockaddr *address, socklen_t *bytes, bool peer)
{
	struct sock *s = enter(fd);
	struct name n;

	if (!s)
		return -1;
	if (peer)
		n = (sock_is_stream(s) ? tcp_sock_peer : udp_sock_peer)(s);
	else
		n = (sock_is_stream(s) ? tcp_sock_local : udp_sock_local)(s);
	if (peer && !n.ip)
		return leave(s, -ENOTCONN);
	to_sockaddr(s, n, address, bytes);
	return leave(s, 0);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return get_name(fd, address, bytes, false);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return get_name(fd, address, bytes, true);
}

/* --- Sending and receiving ------------------------------------------------------------------------ */

static ssize_t send_to(struct sock *s, struct transfer *t, const struct sockaddr *address,
                       socklen_t bytes)
{
	struct endpoint to;
	int r;

	if (address && !sock_is_stream(s)) {
		r = from_sockaddr(s, address, bytes, &to);
		if (r < 0)
			return r;
		t->peer = &to;
	}
	return transfer(s, t, true);
}

ssize_t sendto(int fd, const void *buf, size_t count, int flags, const struct sockaddr *address,
               socklen_t bytes)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = count};
	struct transfer t = {.iov = &iov, .iov_count = 1, .bytes = count, .flags = flags};
	struct sock *s = sock_get(fd);

	return s ? sock_put(s, send_to(s, &t, address, bytes)) : -1;
}

ssize_t send(int fd, const void *buf, size_t count, int flags)
{
	return sendto(fd, buf, count, flags, NULL, 0);
}

/* Of sendmsg() and recvmsg(). Returns 0, or -errno. */
static int from_msghdr(const struct msghdr *msg, int flags, struct transfer *t)
{
	ssize_t bytes =
	    msg->msg_iovlen > IOV_MAX ? -EMSGSIZE : iov_bytes(msg->msg_iov, (int)msg->msg_iovlen);

	*t = (struct transfer){.iov = msg->msg_iov,
	                       .iov_count = (int)msg->msg_iovlen,
	                       .bytes = (size_t)bytes,
	                       .flags = flags};
	return bytes < 0 ? (int)bytes : 0;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct transfer t;
	struct sock *s;
	ssize_t r = from_msghdr(msg, flags, &t);

	if (r == 0 && msg->msg_controllen)
		r = -EINVAL;
	if (r < 0)
		return libc_result(r);
	s = sock_get(fd);
	return s ? sock_put(s, send_to(s, &t, msg->msg_name, msg->msg_namelen)) : -1;
}

static ssize_t receive_from(struct sock *s, struct transfer *t, struct sockaddr *address,
                            socklen_t *bytes)
{
	struct endpoint from;
	ssize_t r;

	t->peer = address && !sock_is_stream(s) ? &from : NULL;
	r = transfer(s, t, false);
	if (r >= 0 && t->peer)
		to_sockaddr(s, (struct name){&from.ip, from.port}, address, bytes);
	else if (r >= 0 && bytes)
		*bytes = 0; /* a stream does not say from whom */
	return r;
}

ssize_t recvfrom(int fd, void *buf, size_t count, int flags, struct sockaddr *address,
                 socklen_t *bytes)
{
	struct iovec iov = {.iov_base = buf, .iov_len = count};
	struct transfer t = {.iov = &iov, .iov_count = 1, .bytes = count, .flags = flags};
	struct sock *s = sock_get(fd);

	return s ? sock_put(s, receive_from(s, &t, address, bytes)) : -1;
}

ssize_t recv(int fd, void *buf, size_t count, int flags)
{
	return recvfrom(fd, buf, count, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct transfer t;
	struct sock *s;
	ssize_t r = from_msghdr(msg, flags, &t);

	if (r < 0)
		return libc_result(r);
	s = sock_get(fd);
	if (!s)
		return -1;
	r = receive_from(s, &t, msg->msg_name, &msg->msg_namelen);
	if (r >= 0) {
		msg->msg_controllen = 0;
		msg->msg_flags = t.truncated ? MSG_TRUNC : 0;
	}
	return sock_put(s, r);
}

/* There is no urgent data. */
int sockatmark(int fd)
{
	struct sock *s = sock_get(fd);

	return s ? (int)sock_put(s, 0) : -1;
}

/* --- Options --------------------------------------------------------------------------------- */

int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	struct sock *s = enter(fd);

	return s ? leave(s, option_get(s, level, option, value, bytes)) : -1;
}

static int set_option(int fd, int level, int option, const void *value, socklen_t bytes,
                      option_setter *set)
{
	struct sock *s = enter(fd);

	return s ? leave(s, option_set(s, level, option, value, bytes, set)) : -1;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	return set_option(fd, level, option, value, bytes, option_set_any);
}

int __setsockopt_number(int fd, int level, int option, const void *value, socklen_t bytes)
{
	return set_option(fd, level, option, value, bytes, option_set_number);
}
