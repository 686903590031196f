/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server that `make bench` measures: plain POSIX and epoll, one thread, nothing that is not
 * needed. The same source runs on Linux.
 *
 *   TCP 80     answers each HTTP request with the same 128 bytes, keeping the connection
 *   TCP 5001   reads and drops
 *   TCP 5002   writes as fast as it may
 *   UDP 7      sends back what it gets
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES 128
#define FDS_MAX      4096
#define EVENTS       64

enum kind { HTTP_LISTENER, SINK_LISTENER, SOURCE_LISTENER, HTTP, SINK, SOURCE, ECHO };

/* seen: how many bytes of the blank line that ends a request have come, in a row. */
static struct {
	uint8_t kind, seen;
} fds[FDS_MAX];

static char answer[ANSWER_BYTES + 1], buffer[256 * 1024];
static int epoll;

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(1);
}

static void add(int fd, enum kind kind, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	fds[fd].kind = kind;
	fds[fd].seen = 0;
	check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static int bound_socket(int type, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;

	check(fd, "socket");
	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
	check(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	return fd;
}

static void listen_at(uint16_t port, enum kind kind)
{
	int fd = bound_socket(SOCK_STREAM, port);

	check(listen(fd, 128), "listen");
	add(fd, kind, EPOLLIN);
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

static void accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;

	if (fd < 0)
		return;
	if (fd >= FDS_MAX) {
		close(fd);
		return;
	}
	switch (fds[listener].kind) {
	case HTTP_LISTENER:
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		add(fd, HTTP, EPOLLIN);
		break;
	case SINK_LISTENER:
		add(fd, SINK, EPOLLIN);
		break;
	default:
		add(fd, SOURCE, EPOLLOUT);
	}
}

/* How many requests end in these bytes. A blank line may come in pieces. */
static unsigned int requests_ended(int fd, const char *bytes, ssize_t count)
{
	unsigned int seen = fds[fd].seen, requests = 0;

	for (ssize_t i = 0; i < count; i++) {
		char c = bytes[i];

		if (c == (seen & 1 ? '\n' : '\r'))
			seen++;
		else
			seen = c == '\r';
		if (seen == 4) {
			requests++;
			seen = 0;
		}
	}
	fds[fd].seen = seen;
	return requests;
}

static void serve_http(int fd)
{
	ssize_t n = read(fd, buffer, 4096);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close(fd);
		return;
	}
	for (unsigned int requests = requests_ended(fd, buffer, n); requests; requests--) {
		if (write(fd, answer, ANSWER_BYTES) != ANSWER_BYTES) {
			close(fd);
			return;
		}
	}
}

static void serve_sink(int fd)
{
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n == 0 || (n < 0 && errno != EAGAIN))
		close(fd);
}

static void serve_source(int fd)
{
	if (write(fd, buffer, sizeof(buffer)) < 0 && errno != EAGAIN)
		close(fd);
}

static void serve_echo(int fd)
{
	struct sockaddr_in peer;
	socklen_t bytes = sizeof(peer);
	ssize_t n = recvfrom(fd, buffer, 2048, 0, (struct sockaddr *)&peer, &bytes);

	if (n >= 0)
		sendto(fd, buffer, n, 0, (struct sockaddr *)&peer, bytes);
}

static void serve(int fd)
{
	switch (fds[fd].kind) {
	case HTTP:
		serve_http(fd);
		break;
	case SINK:
		serve_sink(fd);
		break;
	case SOURCE:
		serve_source(fd);
		break;
	case ECHO:
		serve_echo(fd);
		break;
	default:
		accept_one(fd);
	}
}

int main(void)
{
	struct epoll_event events[EVENTS];

	prepare_answer();
	epoll = epoll_create1(0);
	check(epoll, "epoll_create1");
	listen_at(80, HTTP_LISTENER);
	listen_at(5001, SINK_LISTENER);
	listen_at(5002, SOURCE_LISTENER);
	add(bound_socket(SOCK_DGRAM, 7), ECHO, EPOLLIN);
	printf("serving\n");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			serve(events[i].data.fd);
	}
}
