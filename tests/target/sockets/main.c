/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets as an ordinary program sees them, over the loopback interface. It runs on Linux, too, and
 * must say the same (test_posix.py). What Linux does otherwise is under #ifndef __linux__.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include "check.h"

#define MS                 1000000ll
#define FAILS(call, error) (errno = 0, (call) == -1 && errno == (error))
#define ANY                INADDR_ANY
#define LOCAL              INADDR_LOOPBACK

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * MS}, NULL);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* --- Addresses --- */

static struct sockaddr_in in4(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
}

static struct sockaddr_in6 in6(struct in6_addr address, uint16_t port)
{
	return (struct sockaddr_in6){
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = address};
}

static int bind4(int fd, uint32_t address, uint16_t port)
{
	struct sockaddr_in a = in4(address, port);

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect4(int fd, uint32_t address, uint16_t port)
{
	struct sockaddr_in a = in4(address, port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t bytes = sizeof(a);

	getsockname(fd, (struct sockaddr *)&a, &bytes);
	return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

static int get_option(int fd, int level, int option)
{
	int v = -12345;
	socklen_t bytes = sizeof(v);

	return getsockopt(fd, level, option, &v, &bytes) ? -12345 : v;
}

static int set_option(int fd, int level, int option, int v)
{
	return setsockopt(fd, level, option, &v, sizeof(v));
}

/* A listening socket at a free port of the loopback interface. */
static int listener(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	bind4(fd, LOCAL, 0);
	listen(fd, 16);
	*port = port_of(fd);
	return fd;
}

/* A port that nobody listens at. */
static uint16_t dead_port(void)
{
	uint16_t port;

	close(listener(&port));
	return port;
}

/* Two connected stream sockets: fds[0] connected, fds[1] was accepted. */
static void pair(int fds[2])
{
	uint16_t port;
	int l = listener(&port);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect4(fds[0], LOCAL, port))
		perror("connect");
	fds[1] = accept(l, NULL, NULL);
	if (fds[1] < 0)
		perror("accept");
	close(l);
}

static void close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* What poll() says within so many milliseconds; 0: nothing. */
static int polled(int fd, int events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = (short)events};

	return poll(&p, 1, timeout_ms) == 1 ? p.revents : 0;
}

#define EVERYTHING (POLLIN | POLLOUT | POLLRDHUP)

/* Wait until poll() says exactly this. */
static bool becomes(int fd, int revents)
{
	for (int i = 0; i < 200; i++, sleep_ms(5)) {
		if (polled(fd, EVERYTHING, 0) == revents)
			return true;
	}
	printf("# poll says %#x instead of %#x\n", polled(fd, EVERYTHING, 0), revents);
	return false;
}

static bool readable(int fd)
{
	return polled(fd, POLLIN, 2000) & POLLIN;
}

static void nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* --- socket() and what is no socket --- */

static void test_socket(void)
{
	struct sockaddr_in a = in4(LOCAL, 1);
	struct stat st;
	int fd, p[2];

	CHECK("socket: no such family", FAILS(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT));
	CHECK("socket: not this protocol",
	      FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	CHECK("socket: flags",
	      (fcntl(fd, F_GETFL) & O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK("socket: reads and writes", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK("socket: fstat", fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK("socket: no seeking", FAILS(lseek(fd, 0, SEEK_SET), ESPIPE));
	CHECK("socket: type", get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
	                          get_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET &&
	                          get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
	close(fd);
	CHECK("socket: closed", FAILS(listen(fd, 1), EBADF) && FAILS(send(fd, "x", 1, 0), EBADF));
	pipe(p);
	CHECK("not a socket",
	      FAILS(listen(p[0], 1), ENOTSOCK) &&
	          FAILS(connect(p[0], (struct sockaddr *)&a, sizeof(a)), ENOTSOCK) &&
	          FAILS(recv(p[0], &a, 1, 0), ENOTSOCK));
	close(p[0]);
	close(p[1]);
}

static void test_unconnected(void)
{
	struct sockaddr_storage a;
	socklen_t bytes = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char c;

	CHECK("unconnected: poll", polled(fd, EVERYTHING, 0) == (POLLOUT | POLLHUP));
	CHECK("unconnected: recv", FAILS(recv(fd, &c, 1, 0), ENOTCONN));
	CHECK("unconnected: send", FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE));
	CHECK("unconnected: shutdown", FAILS(shutdown(fd, SHUT_WR), ENOTCONN));
	CHECK("unconnected: accept", FAILS(accept(fd, NULL, NULL), EINVAL));
	CHECK("unconnected: getpeername",
	      FAILS(getpeername(fd, (struct sockaddr *)&a, &bytes), ENOTCONN));
	CHECK("unconnected: getsockname", getsockname(fd, (struct sockaddr *)&a, &bytes) == 0 &&
	                                      bytes == sizeof(struct sockaddr_in) &&
	                                      ((struct sockaddr_in *)&a)->sin_port == 0);
	close(fd);
}

/* --- bind() --- */

static void test_bind(void)
{
	struct sockaddr_in a = in4(LOCAL, 0);
	struct sockaddr_in6 b = in6(in6addr_any, 0);
	int l, fd, other;
	uint16_t port;

	l = listener(&port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("bind: in use", FAILS(bind4(fd, LOCAL, port), EADDRINUSE));
	CHECK("bind: in use by any", FAILS(bind4(fd, ANY, port), EADDRINUSE));
	CHECK("bind: not ours", FAILS(bind4(fd, 0x08080808, 0), EADDRNOTAVAIL));
	CHECK("bind: too short", FAILS(bind(fd, (struct sockaddr *)&a, 7), EINVAL));
	CHECK("bind: other family",
	      FAILS(bind(fd, (struct sockaddr *)&b, sizeof(b)), EAFNOSUPPORT));
	CHECK("bind: then it is", bind4(fd, LOCAL, 0) == 0 && port_of(fd) != 0);
	CHECK("bind: only once", FAILS(bind4(fd, LOCAL, 0), EINVAL));
	other = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK("bind: UDP has ports of its own", bind4(other, LOCAL, port) == 0);
	close(other);
	close(fd);
	close(l);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("bind: free after close", bind4(fd, LOCAL, port) == 0);
	close(fd);
}

static void test_reuse(void)
{
	int l, fd, fds[2];
	uint16_t port;

	l = listener(&port);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect4(fds[0], LOCAL, port);
	fds[1] = accept(l, NULL, NULL);
	close(l);
	close(fds[1]); /* this end closes first: it goes through TIME_WAIT */
	readable(fds[0]);
	close(fds[0]);
	sleep_ms(20);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("reuse: not without SO_REUSEADDR", FAILS(bind4(fd, LOCAL, port), EADDRINUSE));
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK("reuse: SO_REUSEADDR over TIME_WAIT",
	      bind4(fd, LOCAL, port) == 0 && listen(fd, 1) == 0);
	l = socket(AF_INET, SOCK_STREAM, 0);
	set_option(l, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK("reuse: but not of a listening port",
	      FAILS(bind4(l, LOCAL, port) ?: listen(l, 1), EADDRINUSE));
	close(l);
	close(fd);
}

/* --- Connections --- */

static void test_connection(void)
{
	struct sockaddr_in a = {0}, b = {0};
	socklen_t bytes = sizeof(a);
	char buf[16] = "";
	int l, fds[2];
	uint16_t port;

	l = listener(&port);
	CHECK("connection: listening",
	      get_option(l, SOL_SOCKET, SO_ACCEPTCONN) == 1 && polled(l, EVERYTHING, 0) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("connection: connect", connect4(fds[0], LOCAL, port) == 0);
	CHECK("connection: somebody waits", readable(l));
	fds[1] = accept(l, (struct sockaddr *)&a, &bytes);
	CHECK("connection: accept", fds[1] >= 0 && bytes == sizeof(a) &&
	                                a.sin_addr.s_addr == htonl(LOCAL) &&
	                                ntohs(a.sin_port) == port_of(fds[0]));
	CHECK("connection: names", getpeername(fds[0], (struct sockaddr *)&b, &bytes) == 0 &&
	                               ntohs(b.sin_port) == port && port_of(fds[1]) == port);
	CHECK("connection: nobody else waits", polled(l, POLLIN, 0) == 0);
	CHECK("connection: connect again", FAILS(connect4(fds[0], LOCAL, port), EISCONN));
	CHECK("connection: connect a listener", FAILS(connect4(l, LOCAL, port), EISCONN));
	CHECK("connection: poll",
	      polled(fds[0], EVERYTHING, 0) == POLLOUT && polled(fds[1], EVERYTHING, 0) == POLLOUT);
	CHECK("connection: there", write(fds[0], "hello", 5) == 5 && readable(fds[1]) &&
	                               read(fds[1], buf, sizeof(buf)) == 5 &&
	                               memcmp(buf, "hello", 5) == 0);
	CHECK("connection: and back", write(fds[1], "world!", 6) == 6 && readable(fds[0]) &&
	                                  read(fds[0], buf, sizeof(buf)) == 6 &&
	                                  memcmp(buf, "world!", 6) == 0);
	CHECK("connection: nothing is nothing",
	      write(fds[0], "", 0) == 0 && read(fds[0], buf, 0) == 0);
	close_pair(fds);
	close(l);
}

static void test_half_close(void)
{
	char buf[16];
	int fds[2];

	pair(fds);
	write(fds[0], "last", 4);
	CHECK("half close: shutdown", shutdown(fds[0], SHUT_WR) == 0);
	CHECK("half close: nothing more goes out",
	      FAILS(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE));
	CHECK("half close: poll", becomes(fds[1], POLLIN | POLLOUT | POLLRDHUP));
	CHECK("half close: what was sent comes", read(fds[1], buf, sizeof(buf)) == 4);
	CHECK("half close: then the end, again and again",
	      read(fds[1], buf, sizeof(buf)) == 0 && read(fds[1], buf, sizeof(buf)) == 0);
	CHECK("half close: the other way is open", write(fds[1], "back", 4) == 4 &&
	                                               readable(fds[0]) &&
	                                               read(fds[0], buf, sizeof(buf)) == 4);
	close(fds[1]);
	CHECK("half close: both ends", becomes(fds[0], POLLIN | POLLOUT | POLLRDHUP | POLLHUP) &&
	                                   read(fds[0], buf, sizeof(buf)) == 0);
	close(fds[0]);
	pair(fds);
	write(fds[1], "early", 5);
	readable(fds[0]);
	CHECK("half close: no more reading", shutdown(fds[0], SHUT_RD) == 0 &&
	                                         read(fds[0], buf, sizeof(buf)) == 5 &&
	                                         read(fds[0], buf, sizeof(buf)) == 0);
	CHECK("half close: nonsense", FAILS(shutdown(fds[0], 7), EINVAL));
	close_pair(fds);
}

static void test_refused(void)
{
	uint16_t port = dead_port();
	int fd = socket(AF_INET, SOCK_STREAM, 0), l;

	CHECK("refused: blocking", FAILS(connect4(fd, LOCAL, port), ECONNREFUSED));
	CHECK("refused: it was told", get_option(fd, SOL_SOCKET, SO_ERROR) == 0);
	l = listener(&port);
	CHECK("refused: the socket can try again", connect4(fd, LOCAL, port) == 0);
	close(l);
	close(fd);
	port = dead_port();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK("refused: in progress", FAILS(connect4(fd, LOCAL, port), EINPROGRESS));
	CHECK("refused: poll", becomes(fd, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK("refused: SO_ERROR", get_option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	CHECK("refused: told once", get_option(fd, SOL_SOCKET, SO_ERROR) == 0);
	close(fd);
}

static void test_nonblocking_connect(void)
{
	uint16_t port;
	int l = listener(&port), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), c;
	char buf[4];

	nonblocking(l);
	CHECK("nonblocking: accept", FAILS(accept(l, NULL, NULL), EAGAIN));
	CHECK("nonblocking: connect", FAILS(connect4(fd, LOCAL, port), EINPROGRESS));
	CHECK("nonblocking: connected", becomes(fd, POLLOUT));
	CHECK("nonblocking: SO_ERROR", get_option(fd, SOL_SOCKET, SO_ERROR) == 0);
	c = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK("nonblocking: accept4",
	      (fcntl(c, F_GETFL) & O_NONBLOCK) && fcntl(c, F_GETFD) == FD_CLOEXEC);
	CHECK("nonblocking: accept4 flags", FAILS(accept4(l, NULL, NULL, 1), EINVAL));
	CHECK("nonblocking: read",
	      FAILS(read(c, buf, 4), EAGAIN) && FAILS(read(fd, buf, 4), EAGAIN));
	close(c);
	c = accept(l, NULL, NULL);
	CHECK("nonblocking: not inherited", c == -1 && errno == EAGAIN);
	close(fd);
	close(l);
}

static void test_reset(void)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	char buf[16];
	int fds[2];

	pair(fds);
	write(fds[0], "data", 4);
	readable(fds[1]);
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fds[0]);
	CHECK("reset: poll", becomes(fds[1], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK("reset: SO_ERROR", get_option(fds[1], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	CHECK("reset: then EPIPE", FAILS(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE));
	close(fds[1]);
	pair(fds);
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fds[0]);
	becomes(fds[1], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK("reset: read", FAILS(read(fds[1], buf, sizeof(buf)), ECONNRESET));
	CHECK("reset: the end", read(fds[1], buf, sizeof(buf)) == 0);
	close(fds[1]);
	pair(fds);
	write(fds[0], "unread", 6);
	readable(fds[1]);
	close(fds[1]);
	becomes(fds[0], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK("reset: closing with data unread", FAILS(read(fds[0], buf, sizeof(buf)), ECONNRESET));
	close(fds[0]);
	pair(fds);
	close(fds[1]);
	becomes(fds[0], POLLIN | POLLOUT | POLLRDHUP);
	CHECK("reset: the first write after the end goes through", write(fds[0], "x", 1) == 1);
	becomes(fds[0], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK("reset: the second does not", FAILS(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE));
	close(fds[0]);
}

/* Everybody still in the queue is reset when the listener goes. */
static void test_abandoned(void)
{
	uint16_t port;
	int l = listener(&port), fd = socket(AF_INET, SOCK_STREAM, 0), c;
	char buf[4];

	connect4(fd, LOCAL, port);
	close(l);
	becomes(fd, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK("abandoned: reset", FAILS(read(fd, buf, 4), ECONNRESET));
	close(fd);
	l = listener(&port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	connect4(fd, LOCAL, port);
	write(fd, "hi", 2);
	close(fd);
	readable(l);
	c = accept(l, NULL, NULL);
	CHECK("abandoned: data of who came and went",
	      c >= 0 && readable(c) && read(c, buf, 4) == 2 && read(c, buf, 4) == 0);
	close(c);
	CHECK("abandoned: no more listening",
	      shutdown(l, SHUT_RD) == 0 && FAILS(accept(l, NULL, NULL), EINVAL));
	close(l);
}

/* --- Sending and receiving --- */

static void test_flags(void)
{
	char buf[32] = "";
	int fds[2], n = -1;

	pair(fds);
	CHECK("flags: MSG_DONTWAIT", FAILS(recv(fds[1], buf, 4, MSG_DONTWAIT), EAGAIN));
	write(fds[0], "abcdefgh", 8);
	readable(fds[1]);
	CHECK("flags: FIONREAD", ioctl(fds[1], FIONREAD, &n) == 0 && n == 8);
	CHECK("flags: MSG_PEEK",
	      recv(fds[1], buf, 4, MSG_PEEK) == 4 && memcmp(buf, "abcd", 4) == 0);
	CHECK("flags: as if nobody looked",
	      recv(fds[1], buf, 4, 0) == 4 && memcmp(buf, "abcd", 4) == 0);
	CHECK("flags: MSG_PEEK further on",
	      recv(fds[1], buf, 9, MSG_PEEK) == 4 && memcmp(buf, "efgh", 4) == 0);
	CHECK("flags: and the rest", recv(fds[1], buf, 32, 0) == 4 && memcmp(buf, "efgh", 4) == 0);
	CHECK("flags: MSG_MORE",
	      send(fds[0], "one", 3, MSG_MORE) == 3 && send(fds[0], "two", 3, 0) == 3 &&
	          recv(fds[1], buf, 6, MSG_WAITALL) == 6 && memcmp(buf, "onetwo", 6) == 0);
	close_pair(fds);
}

static void *send_later(void *arg)
{
	int fd = *(int *)arg;

	sleep_ms(30);
	write(fd, "12", 2);
	sleep_ms(30);
	write(fd, "345", 3);
	return NULL;
}

static void test_waiting(void)
{
	struct timeval tv = {.tv_usec = 50000}, none = {0};
	pthread_t t;
	char buf[16];
	long long start;
	int fds[2];

	pair(fds);
	pthread_create(&t, NULL, send_later, &fds[0]);
	CHECK("waiting: recv", recv(fds[1], buf, sizeof(buf), 0) == 2);
	CHECK("waiting: recv of the rest", recv(fds[1], buf, sizeof(buf), 0) == 3);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, send_later, &fds[0]);
	CHECK("waiting: MSG_WAITALL",
	      recv(fds[1], buf, 5, MSG_WAITALL) == 5 && memcmp(buf, "12345", 5) == 0);
	pthread_join(t, NULL);
	CHECK("waiting: SO_RCVTIMEO",
	      setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	start = now_ms();
	CHECK("waiting: long enough",
	      FAILS(recv(fds[1], buf, 5, 0), EAGAIN) && now_ms() - start >= 45);
	tv.tv_usec = 1000000;
	CHECK("waiting: no such time",
	      FAILS(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM));
	setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	pthread_create(&t, NULL, send_later, &fds[0]);
	CHECK("waiting: for ever again", recv(fds[1], buf, 5, MSG_WAITALL) == 5);
	pthread_join(t, NULL);
	close_pair(fds);
}

/* A pattern that shows what is lost, doubled or out of order. */
static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

static void test_full(void)
{
	static char buf[65536];
	size_t sent = 0, got = 0;
	struct timeval tv = {.tv_usec = 50000};
	bool same = true;
	long long start;
	int fds[2];
	ssize_t n;

	pair(fds);
	nonblocking(fds[0]);
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (char)pattern(sent + i);
		n = write(fds[0], buf, sizeof(buf));
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	CHECK("full: write says so", n == -1 && errno == EAGAIN && sent > 10000);
	CHECK("full: not writable", !(polled(fds[0], POLLOUT, 0) & POLLOUT));
	fcntl(fds[0], F_SETFL, 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	start = now_ms();
	for (;;) { /* some more may fit while the receiver's buffer grows */
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (char)pattern(sent + i);
		n = write(fds[0], buf, sizeof(buf));
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	CHECK("full: SO_SNDTIMEO", n == -1 && errno == EAGAIN && now_ms() - start >= 45);
	nonblocking(fds[1]);
	while (got < sent && readable(fds[1])) {
		n = read(fds[1], buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			same = same && buf[i] == (char)pattern(got + (size_t)i);
		got += n > 0 ? (size_t)n : 0;
	}
	CHECK("full: all of it arrives", got == sent && same);
	CHECK("full: writable again", polled(fds[0], POLLOUT, 2000) & POLLOUT);
	close_pair(fds);
}

#define STREAM_BYTES (3 << 20)

static void *stream_out(void *arg)
{
	static _Thread_local char buf[10007];
	size_t sent = 0;

	while (sent < STREAM_BYTES) {
		size_t n = sizeof(buf);

		if (n > STREAM_BYTES - sent)
			n = STREAM_BYTES - sent;
		for (size_t i = 0; i < n; i++)
			buf[i] = (char)pattern(sent + i);
		if (write(*(int *)arg, buf, n) != (ssize_t)n)
			break;
		sent += n;
	}
	shutdown(*(int *)arg, SHUT_WR);
	return NULL;
}

static void *stream_in(void *arg)
{
	static _Thread_local char buf[5003];
	size_t got = 0, wrong = 0;
	ssize_t n;

	while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != (char)pattern(got + (size_t)i);
		got += (size_t)n;
	}
	return (void *)(intptr_t)(n == 0 && got == STREAM_BYTES && !wrong);
}

/* Both sockets are sent and received on by two threads at once. */
static void test_both_ways(void)
{
	pthread_t out[2], in[2];
	void *ok[2];
	int fds[2];

	pair(fds);
	for (int i = 0; i < 2; i++) {
		pthread_create(&out[i], NULL, stream_out, &fds[i]);
		pthread_create(&in[i], NULL, stream_in, &fds[i]);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(out[i], NULL);
		pthread_join(in[i], &ok[i]);
	}
	CHECK("both ways: whole", ok[0] && ok[1]);
	close_pair(fds);
}

/* Thousands of one-byte segments to a reader who takes his time. */
static void test_small_pieces(void)
{
	static char buf[8192];
	int fds[2], sent = 0, got = 0;
	bool same = true;
	ssize_t n;

	pair(fds);
	set_option(fds[0], IPPROTO_TCP, TCP_NODELAY, 1);
	for (int i = 0; i < 4000; i++) {
		char c = (char)pattern((size_t)i);

		if (send(fds[0], &c, 1, MSG_DONTWAIT) != 1)
			break;
		sent++;
	}
	shutdown(fds[0], SHUT_WR);
	while ((n = recv(fds[1], buf, 1000, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			same = same && buf[i] == (char)pattern((size_t)(got + i));
		got += (int)n;
	}
	CHECK("small pieces", sent > 100 && got == sent && same);
	close_pair(fds);
}

static void test_msg(void)
{
	char a[4] = "abc", b[4] = "def", c[5] = "", d[8] = "";
	struct iovec out[] = {{a, 3}, {NULL, 0}, {b, 3}}, in[] = {{c, 4}, {d, 8}};
	struct msghdr m = {.msg_iov = out, .msg_iovlen = 3}, r = {.msg_iov = in, .msg_iovlen = 2};
	int fds[2];

	pair(fds);
	CHECK("msg: sendmsg", sendmsg(fds[0], &m, 0) == 6);
	readable(fds[1]);
	CHECK("msg: recvmsg", recvmsg(fds[1], &r, 0) == 6 && memcmp(c, "abcd", 4) == 0 &&
	                          memcmp(d, "ef", 2) == 0 && r.msg_flags == 0);
	CHECK("msg: writev", writev(fds[1], out, 3) == 6 && readable(fds[0]) &&
	                         readv(fds[0], in, 2) == 6 && memcmp(d, "ef", 2) == 0);
	m.msg_iovlen = 1000000;
	CHECK("msg: too many pieces", FAILS(sendmsg(fds[0], &m, 0), EMSGSIZE));
	close_pair(fds);
}

/* --- Closing, with somebody inside --- */

#ifndef __linux__
static void *do_recv(void *arg)
{
	char c;
	ssize_t n = recv(*(int *)arg, &c, 1, 0);

	return (void *)(intptr_t)(n == -1 ? errno : 0);
}

static void *do_accept(void *arg)
{
	int n = accept(*(int *)arg, NULL, NULL);

	return (void *)(intptr_t)(n == -1 ? errno : 0);
}

static void *do_send(void *arg)
{
	static char buf[65536];

	while (write(*(int *)arg, buf, sizeof(buf)) > 0)
		;
	return (void *)(intptr_t)errno;
}

static bool close_wakes(void *(*call)(void *), int fd)
{
	int copy = fd;
	pthread_t t;
	void *error;

	pthread_create(&t, NULL, call, &copy);
	sleep_ms(30);
	close(fd);
	pthread_join(t, &error);
	return (intptr_t)error == EBADF;
}

static void test_close_wakes(void)
{
	uint16_t port;
	int fds[2];

	pair(fds);
	CHECK("close() wakes recv", close_wakes(do_recv, fds[0]));
	close(fds[1]);
	pair(fds);
	CHECK("close() wakes send", close_wakes(do_send, fds[0]));
	close(fds[1]);
	CHECK("close() wakes accept", close_wakes(do_accept, listener(&port)));
}
#endif

static void *shut_later(void *arg)
{
	sleep_ms(30);
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

static void test_shutdown_wakes(void)
{
	pthread_t t;
	char c;
	int fds[2];

	pair(fds);
	pthread_create(&t, NULL, shut_later, &fds[0]);
	CHECK("shutdown wakes recv", recv(fds[0], &c, 1, 0) == 0);
	pthread_join(t, NULL);
	CHECK("shutdown reaches the peer", recv(fds[1], &c, 1, 0) == 0);
	close_pair(fds);
}

/* All of it arrives although the sender has closed. */
static void test_close_sends(void)
{
	static char buf[40000];
	struct linger wait = {.l_onoff = 1, .l_linger = 5};
	ssize_t n, got = 0;
	int fds[2];

	pair(fds);
	n = send(fds[0], buf, sizeof(buf), MSG_DONTWAIT);
	close(fds[0]);
	for (ssize_t r; (r = read(fds[1], buf, sizeof(buf))) > 0; got += r)
		;
	CHECK("close: what is queued still goes out", n > 1000 && n == got);
	close(fds[1]);
	pair(fds);
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &wait, sizeof(wait));
	write(fds[0], buf, 1000);
	CHECK("close: SO_LINGER", close(fds[0]) == 0 &&
	                              recv(fds[1], buf, 1000, MSG_WAITALL) == 1000 &&
	                              recv(fds[1], buf, 1, 0) == 0);
	close(fds[1]);
}

/* --- Readiness --- */

static bool next_is(int ep, uint32_t events)
{
	struct epoll_event e = {0};

	return epoll_wait(ep, &e, 1, 1000) == 1 && e.events == events;
}

static bool none_next(int ep)
{
	struct epoll_event e;

	return epoll_wait(ep, &e, 1, 30) == 0;
}

static void test_epoll(void)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fds[2], ep = epoll_create1(0);
	char buf[16];

	pair(fds);
	epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &e);
	CHECK("epoll: edge, writable at once", next_is(ep, EPOLLOUT) && none_next(ep));
	write(fds[0], "one", 3);
	CHECK("epoll: edge, data", next_is(ep, EPOLLIN | EPOLLOUT) && none_next(ep));
	write(fds[0], "two", 3);
	CHECK("epoll: edge, more data", next_is(ep, EPOLLIN | EPOLLOUT) && none_next(ep));
	read(fds[1], buf, sizeof(buf));
	CHECK("epoll: edge, reading is none", none_next(ep));
	shutdown(fds[0], SHUT_WR);
	CHECK("epoll: edge, the end",
	      next_is(ep, EPOLLIN | EPOLLOUT | EPOLLRDHUP) && none_next(ep));
	e.events = EPOLLIN;
	epoll_ctl(ep, EPOLL_CTL_MOD, fds[1], &e);
	CHECK("epoll: level, the end stays", next_is(ep, EPOLLIN) && next_is(ep, EPOLLIN));
	close_pair(fds);
	close(ep);
}

/* --- Datagrams --- */

static int udp4(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	bind4(fd, LOCAL, 0);
	*port = port_of(fd);
	return fd;
}

static ssize_t send4(int fd, const void *buf, size_t count, uint16_t port)
{
	struct sockaddr_in a = in4(LOCAL, port);

	return sendto(fd, buf, count, 0, (struct sockaddr *)&a, sizeof(a));
}

static void test_udp(void)
{
	struct sockaddr_in from = {0};
	socklen_t bytes = sizeof(from);
	uint16_t pa, pb;
	int a = udp4(&pa), b = udp4(&pb), n = -1;
	char buf[32];

	CHECK("udp: poll", polled(a, EVERYTHING, 0) == POLLOUT);
	CHECK("udp: sendto", send4(a, "one", 3, pb) == 3 && send4(a, "", 0, pb) == 0 &&
	                         send4(a, "three", 5, pb) == 5 && readable(b));
	CHECK("udp: FIONREAD", ioctl(b, FIONREAD, &n) == 0 && n == 3);
	CHECK("udp: MSG_PEEK", recv(b, buf, 2, MSG_PEEK) == 2 && recv(b, buf, 32, MSG_PEEK) == 3);
	CHECK("udp: recvfrom", recvfrom(b, buf, 32, 0, (struct sockaddr *)&from, &bytes) == 3 &&
	                           memcmp(buf, "one", 3) == 0 && ntohs(from.sin_port) == pa &&
	                           from.sin_addr.s_addr == htonl(LOCAL) && bytes == sizeof(from));
	CHECK("udp: an empty one is one, too", recv(b, buf, 32, 0) == 0);
	CHECK("udp: MSG_TRUNC", recv(b, buf, 2, MSG_TRUNC) == 5 && memcmp(buf, "th", 2) == 0);
	CHECK("udp: the rest is gone",
	      FAILS(recv(b, buf, 32, MSG_DONTWAIT), EAGAIN) && polled(b, EVERYTHING, 0) == POLLOUT);
	CHECK("udp: nobody to send to", FAILS(send(a, "x", 1, 0), EDESTADDRREQ));
	CHECK("udp: no port 0", FAILS(send4(a, "x", 1, 0), EINVAL));
	CHECK("udp: no listening",
	      FAILS(listen(a, 1), EOPNOTSUPP) && FAILS(accept(a, NULL, NULL), EOPNOTSUPP));
	close(a);
	close(b);
}

static void test_udp_connected(void)
{
	struct sockaddr_in peer = {0};
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	uint16_t pa, pb, pc;
	int a = udp4(&pa), b = udp4(&pb), c = udp4(&pc);
	char buf[32];

	CHECK("udp: connect", connect4(a, LOCAL, pb) == 0 &&
	                          getpeername(a, (struct sockaddr *)&peer, &bytes) == 0 &&
	                          ntohs(peer.sin_port) == pb);
	CHECK("udp: send", send(a, "hi", 2, 0) == 2 && write(a, "ho", 2) == 2 && readable(b) &&
	                       recv(b, buf, 32, 0) == 2 && recv(b, buf, 32, 0) == 2);
	send4(c, "stranger", 8, pa);
	send4(b, "peer", 4, pa);
	CHECK("udp: only the peer's",
	      recv(a, buf, 32, 0) == 4 && FAILS(recv(a, buf, 32, MSG_DONTWAIT), EAGAIN));
	CHECK("udp: sendto somebody else", send4(a, "x", 1, pc) == 1 && readable(c));
	CHECK("udp: disconnect",
	      connect(a, &nobody, sizeof(nobody)) == 0 && FAILS(send(a, "x", 1, 0), EDESTADDRREQ) &&
	          FAILS(getpeername(a, (struct sockaddr *)&peer, &bytes), ENOTCONN));
	CHECK("udp: a local address on connecting", connect4(c, LOCAL, pa) == 0);
	close(a);
	close(b);
	close(c);
}

static void test_udp_sizes(void)
{
	static char big[70000], got[70000];
	struct iovec in = {got, 100};
	struct msghdr m = {.msg_iov = &in, .msg_iovlen = 1};
	struct sockaddr_in to = in4(INADDR_BROADCAST, 9);
	uint16_t pa, pb;
	int a = udp4(&pa), b = udp4(&pb);

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)pattern(i);
	CHECK("udp: largest", send4(a, big, 65507, pb) == 65507 && readable(b) &&
	                          recv(b, got, sizeof(got), 0) == 65507 &&
	                          memcmp(big, got, 65507) == 0);
	CHECK("udp: too large", FAILS(send4(a, big, 65508, pb), EMSGSIZE));
	send4(a, big, 200, pb);
	readable(b);
	CHECK("udp: recvmsg tells", recvmsg(b, &m, 0) == 100 && m.msg_flags == MSG_TRUNC);
	CHECK("udp: broadcast must be allowed",
	      FAILS(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), EACCES));
	close(a);
	close(b);
}

/* More than the socket's buffer: dropped, and the rest is in order. */
static void test_udp_overflow(void)
{
	static char buf[1000];
	uint16_t pa, pb;
	int a = udp4(&pa), b = udp4(&pb), count = 0, last = -1, n;
	bool ordered = true;

	set_option(b, SOL_SOCKET, SO_RCVBUF, 20000);
	for (int i = 0; i < 500; i++) {
		memcpy(buf, &i, sizeof(i));
		send4(a, buf, sizeof(buf), pb);
	}
	while (recv(b, &n, sizeof(n), MSG_DONTWAIT) == sizeof(n)) {
		ordered = ordered && n > last;
		last = n;
		count++;
	}
	CHECK("udp: overflow", count > 5 && count < 500 && ordered);
	send4(a, "again", 5, pb);
	CHECK("udp: goes on after", readable(b) && recv(b, buf, sizeof(buf), 0) == 5);
	close(a);
	close(b);
}

/* --- IPv6 --- */

static bool echo(int a, int b)
{
	char buf[8];

	return send(a, "ping6", 5, 0) == 5 && readable(b) && recv(b, buf, sizeof(buf), 0) == 5 &&
	       memcmp(buf, "ping6", 5) == 0;
}

static void test_ipv6(void)
{
	struct sockaddr_in6 a = in6(in6addr_loopback, 0), from = {0};
	socklen_t bytes = sizeof(a);
	int l = socket(AF_INET6, SOCK_STREAM, 0), fds[2];

	CHECK("ipv6: bind", bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 4) == 0);
	a.sin6_port = htons(port_of(l));
	fds[0] = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK("ipv6: connect", connect(fds[0], (struct sockaddr *)&a, sizeof(a)) == 0);
	fds[1] = accept(l, (struct sockaddr *)&from, &bytes);
	CHECK("ipv6: accept", fds[1] >= 0 && bytes == sizeof(from) &&
	                          from.sin6_family == AF_INET6 &&
	                          IN6_IS_ADDR_LOOPBACK(&from.sin6_addr) &&
	                          ntohs(from.sin6_port) == port_of(fds[0]));
	CHECK("ipv6: data", echo(fds[0], fds[1]) && echo(fds[1], fds[0]));
	close_pair(fds);
	close(l);
	fds[0] = socket(AF_INET6, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET6, SOCK_DGRAM, 0);
	a.sin6_port = 0;
	bind(fds[0], (struct sockaddr *)&a, sizeof(a));
	a.sin6_port = htons(port_of(fds[0]));
	CHECK("ipv6: udp",
	      connect(fds[1], (struct sockaddr *)&a, sizeof(a)) == 0 && echo(fds[1], fds[0]));
	close_pair(fds);
}

static void test_dual_stack(void)
{
	struct sockaddr_in6 any = in6(in6addr_any, 0), from = {0}, mapped;
	socklen_t bytes = sizeof(from);
	int l = socket(AF_INET6, SOCK_STREAM, 0), fds[2], fd;
	uint16_t port;

	CHECK("dual: not v6 only by default", get_option(l, IPPROTO_IPV6, IPV6_V6ONLY) == 0);
	bind(l, (struct sockaddr *)&any, sizeof(any));
	listen(l, 4);
	port = port_of(l);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("dual: connect by IPv4", connect4(fds[0], LOCAL, port) == 0);
	fds[1] = accept(l, (struct sockaddr *)&from, &bytes);
	CHECK("dual: a mapped address", fds[1] >= 0 && IN6_IS_ADDR_V4MAPPED(&from.sin6_addr) &&
	                                    from.sin6_addr.s6_addr32[3] == htonl(LOCAL) &&
	                                    echo(fds[0], fds[1]));
	close_pair(fds);
	mapped = from;
	mapped.sin6_port = htons(port);
	fds[0] = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK("dual: connect to a mapped address",
	      connect(fds[0], (struct sockaddr *)&mapped, sizeof(mapped)) == 0);
	fds[1] = accept(l, NULL, NULL);
	CHECK("dual: IPv4 underneath", echo(fds[0], fds[1]));
	close_pair(fds);
	fds[0] = socket(AF_INET6, SOCK_STREAM, 0);
	mapped = in6(in6addr_loopback, port);
	CHECK("dual: connect by IPv6",
	      connect(fds[0], (struct sockaddr *)&mapped, sizeof(mapped)) == 0);
	fds[1] = accept(l, NULL, NULL);
	close_pair(fds);
	close(l);

	l = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK("dual: v6 only", set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0 &&
	                           bind(l, (struct sockaddr *)&any, sizeof(any)) == 0 &&
	                           listen(l, 4) == 0);
	CHECK("dual: not once bound", FAILS(set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("dual: IPv4 stays out", FAILS(connect4(fd, LOCAL, port_of(l)), ECONNREFUSED));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK("dual: IPv4 has the port to itself", bind4(fd, ANY, port_of(l)) == 0);
	close(fd);
	close(l);
}

/* --- Options --- */

static bool round_trip(int fd, int level, int option, int v)
{
	return set_option(fd, level, option, v) == 0 && get_option(fd, level, option) == v;
}

static void test_options(void)
{
	int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
	struct linger l = {1, 3}, back = {0};
	struct timeval tv = {.tv_sec = 2}, tv_back = {0};
	socklen_t bytes = sizeof(back);
	char small;

	CHECK("options: SO_KEEPALIVE", round_trip(t, SOL_SOCKET, SO_KEEPALIVE, 1));
	CHECK("options: SO_REUSEADDR", round_trip(t, SOL_SOCKET, SO_REUSEADDR, 1));
	CHECK("options: SO_BROADCAST", round_trip(u, SOL_SOCKET, SO_BROADCAST, 1));
	CHECK("options: TCP_NODELAY", round_trip(t, IPPROTO_TCP, TCP_NODELAY, 1) &&
	                                  round_trip(t, IPPROTO_TCP, TCP_NODELAY, 0));
	CHECK("options: keep-alive times", get_option(t, IPPROTO_TCP, TCP_KEEPIDLE) == 7200 &&
	                                       round_trip(t, IPPROTO_TCP, TCP_KEEPIDLE, 10) &&
	                                       round_trip(t, IPPROTO_TCP, TCP_KEEPINTVL, 3) &&
	                                       round_trip(t, IPPROTO_TCP, TCP_KEEPCNT, 4));
	CHECK("options: not for nothing",
	      FAILS(set_option(t, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL));
	CHECK("options: of TCP only",
	      FAILS(set_option(u, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT));
	CHECK("options: IP_TTL", get_option(t, IPPROTO_IP, IP_TTL) == 64 &&
	                             round_trip(t, IPPROTO_IP, IP_TTL, 7) &&
	                             FAILS(set_option(t, IPPROTO_IP, IP_TTL, 256), EINVAL));
	CHECK("options: IP_TOS", round_trip(u, IPPROTO_IP, IP_TOS, 0x10));
	CHECK("options: multicast", get_option(u, IPPROTO_IP, IP_MULTICAST_TTL) == 1 &&
	                                get_option(u, IPPROTO_IP, IP_MULTICAST_LOOP) == 1 &&
	                                round_trip(u, IPPROTO_IP, IP_MULTICAST_TTL, 5) &&
	                                round_trip(u, IPPROTO_IP, IP_MULTICAST_LOOP, 0));
	CHECK("options: SO_LINGER", setsockopt(t, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 &&
	                                getsockopt(t, SOL_SOCKET, SO_LINGER, &back, &bytes) == 0 &&
	                                back.l_onoff == 1 && back.l_linger == 3);
	bytes = sizeof(tv_back);
	CHECK("options: SO_SNDTIMEO",
	      setsockopt(t, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0 &&
	          getsockopt(t, SOL_SOCKET, SO_SNDTIMEO, &tv_back, &bytes) == 0 &&
	          tv_back.tv_sec == 2 && tv_back.tv_usec == 0);
	bytes = 1;
	CHECK("options: cut to the room there is",
	      getsockopt(t, SOL_SOCKET, SO_TYPE, &small, &bytes) == 0 && bytes == 1 &&
	          small == SOCK_STREAM);
	CHECK("options: unknown", FAILS(set_option(t, SOL_SOCKET, 9999, 1), ENOPROTOOPT) &&
	                              FAILS(set_option(t, 4711, 1, 1), ENOPROTOOPT));
	CHECK("options: too short",
	      FAILS(setsockopt(t, SOL_SOCKET, SO_KEEPALIVE, &small, 1), EINVAL));
	CHECK("options: no such multicast group",
	      FAILS(setsockopt(u, IPPROTO_IP, IP_ADD_MEMBERSHIP,
	                       &(struct ip_mreq){.imr_multiaddr.s_addr = htonl(LOCAL)},
	                       sizeof(struct ip_mreq)),
	            EINVAL));
	close(t);
	close(u);
}

/* --- Names --- */

static void test_names(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
	struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
	struct sockaddr_in a = in4(0x01020304, 80);
	struct ifaddrs *all = NULL;
	char host[64], service[16], name[IF_NAMESIZE];
	bool lo = false;

	CHECK("names: numeric",
	      getaddrinfo("10.1.2.3", "80", &hints, &list) == 0 &&
	          ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(0x0a010203) &&
	          ((struct sockaddr_in *)list->ai_addr)->sin_port == htons(80) && !list->ai_next &&
	          list->ai_protocol == IPPROTO_TCP);
	freeaddrinfo(list);
	CHECK("names: localhost",
	      getaddrinfo("localhost", NULL, &hints, &list) == 0 &&
	          ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(LOCAL));
	freeaddrinfo(list);
	hints.ai_family = AF_INET6;
	CHECK("names: IPv6",
	      getaddrinfo("2001:db8::1", "443", &hints, &list) == 0 &&
	          ((struct sockaddr_in6 *)list->ai_addr)->sin6_addr.s6_addr[15] == 1);
	freeaddrinfo(list);
	CHECK("names: no name", getaddrinfo("no.such.name", NULL, &numeric, &list) == EAI_NONAME);
	CHECK("names: nothing asked", getaddrinfo(NULL, NULL, &hints, &list) == EAI_NONAME);
	hints = (struct addrinfo){
	    .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	CHECK("names: passive",
	      getaddrinfo(NULL, "8080", &hints, &list) == 0 &&
	          ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(ANY));
	freeaddrinfo(list);
	CHECK("names: getnameinfo",
	      getnameinfo((struct sockaddr *)&a, sizeof(a), host, sizeof(host), service,
	                  sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
	          strcmp(host, "1.2.3.4") == 0 && strcmp(service, "80") == 0);
	CHECK("names: too little room", getnameinfo((struct sockaddr *)&a, sizeof(a), host, 3, NULL,
	                                            0, NI_NUMERICHOST) == EAI_OVERFLOW);
	CHECK("names: interfaces", if_nametoindex("lo") == 1 && if_indextoname(1, name) &&
	                               strcmp(name, "lo") == 0 && if_nametoindex("nix0") == 0);
	CHECK("names: getifaddrs", getifaddrs(&all) == 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		lo = lo || (strcmp(i->ifa_name, "lo") == 0 && i->ifa_addr &&
		            i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_LOOPBACK) &&
		            ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr == htonl(LOCAL));
	CHECK("names: among them lo", lo);
	freeifaddrs(all);
}

/* --- Many --- */

static void test_many(void)
{
	static int fds[12][2];
	uint16_t port;
	int l = listener(&port), good = 0;

	for (int i = 0; i < 1000; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), s;

		if (connect4(c, LOCAL, port) == 0 && (s = accept(l, NULL, NULL)) >= 0) {
			good += echo(c, s);
			close(s);
		}
		close(c);
	}
	CHECK("many: one after the other", good == 1000);
	close(l);
	good = 0;
	for (int i = 0; i < 12; i++)
		pair(fds[i]);
	for (int i = 0; i < 12; i++)
		good += echo(fds[i][0], fds[i][1]) && echo(fds[i][1], fds[i][0]);
	CHECK("many: at once", good == 12);
	for (int i = 0; i < 12; i++)
		close_pair(fds[i]);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_socket();
	test_unconnected();
	test_bind();
	test_reuse();
	test_connection();
	test_half_close();
	test_refused();
	test_nonblocking_connect();
	test_reset();
	test_abandoned();
	test_flags();
	test_waiting();
	test_full();
	test_both_ways();
	test_small_pieces();
	test_msg();
#ifndef __linux__
	test_close_wakes();
#endif
	test_shutdown_wakes();
	test_close_sends();
	test_epoll();
	test_udp();
	test_udp_connected();
	test_udp_sizes();
	test_udp_overflow();
	test_ipv6();
	test_dual_stack();
	test_options();
	test_names();
	test_many();
	return checks_failed != 0;
}
