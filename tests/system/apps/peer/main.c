/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's end of the system tests. Over IPv4 and IPv6 alike:
 *
 *   TCP 80    HTTP: "/" answers a line
 *   TCP 5001  takes bytes until the peer shuts down; answers how many they were and their SHA-256
 *   TCP 5002  reads a line "<bytes>"; sends that many random-looking bytes, then their SHA-256
 *   TCP 5003  commands, a line each; each answer ends in a line "end"
 *   TCP 5004  accepts, and reads nothing until told to by the command "drain"
 *   UDP 7     echo
 *
 * What else it does, the bootargs say: "spin" has a thread that always computes; "hold" one that
 * holds the network's lock, and one between it and the network thread that computes; "pace" works
 * a little every few milliseconds, so that with a virtual clock that skips idle time, that clock
 * cannot run away from the peers'.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/http.h>
#include <pith/net.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "sha256.h"

#define CHUNK 16384

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(EXIT_FAILURE);
	}
}

static void spawn(void *(*entry)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, entry, arg) != 0)
		close((int)(intptr_t)arg); /* refused: no memory for a thread */
}

/* --- Bytes ----------------------------------------------------------------------------------- */

/* Returns what was written: all, unless the connection failed. */
static size_t write_all(int fd, const void *bytes, size_t count)
{
	size_t done = 0;

	while (done < count) {
		ssize_t n = write(fd, (const char *)bytes + done, count - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Returns the line's length without its newline, or -1. */
static int read_line(int fd, char *line, int size)
{
	int n = 0;

	while (n < size - 1 && read(fd, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return n;
		}
		n++;
	}
	return -1;
}

static void *take(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *buffer = malloc(CHUNK), hex[65], line[100];
	struct sha256 sum;
	ssize_t n = -1;

	sha256_init(&sum);
	while (buffer && (n = read(fd, buffer, CHUNK)) > 0)
		sha256_add(&sum, buffer, (size_t)n);
	if (n == 0) {
		unsigned long bytes = (unsigned long)sum.bytes;

		sha256_end(&sum, hex);
		write_all(fd, line, (size_t)sprintf(line, "%lu %s\n", bytes, hex));
		(void)!read(fd, line, 1); /* the peer closes first, and keeps the TIME_WAIT */
	}
	free(buffer);
	close(fd);
	return NULL;
}

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
static void fill(char *buffer, size_t bytes, uint64_t *state)
{
	for (size_t i = 0; i + 8 <= bytes; i += 8) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		memcpy(buffer + i, state, 8);
	}
}

static void *give(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *buffer = malloc(CHUNK), line[32];
	uint64_t state = 88172645463325252ull;
	struct sha256 sum;

	sha256_init(&sum);
	if (buffer && read_line(fd, line, sizeof(line)) > 0) {
		for (size_t left = strtoul(line, NULL, 10), n; left; left -= n) {
			n = left < CHUNK ? left : CHUNK;
			fill(buffer, CHUNK, &state);
			sha256_add(&sum, buffer, n);
			if (write_all(fd, buffer, n) != n)
				break;
		}
		sha256_end(&sum, buffer);
		write_all(fd, buffer, 64);
		(void)!read(fd, line, 1);
	}
	free(buffer);
	close(fd);
	return NULL;
}

/* --- The slow reader ------------------------------------------------------------------------- */

static pthread_mutex_t drain_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t drain_cond = PTHREAD_COND_INITIALIZER;
static bool draining;

static void *slow(void *arg)
{
	pthread_mutex_lock(&drain_lock);
	while (!draining)
		pthread_cond_wait(&drain_cond, &drain_lock);
	pthread_mutex_unlock(&drain_lock);
	return take(arg);
}

static void drain(void)
{
	pthread_mutex_lock(&drain_lock);
	draining = true;
	pthread_cond_broadcast(&drain_cond);
	pthread_mutex_unlock(&drain_lock);
}

/* --- Commands -------------------------------------------------------------------------------- */

/* The answer to one command. */
static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;
static char answer[8192];
static size_t answer_bytes;

static void say(const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(answer + answer_bytes, sizeof(answer) - answer_bytes, format, list);
	va_end(list);
	must(n >= 0 && (size_t)n < sizeof(answer) - answer_bytes, "answer");
	answer_bytes += (size_t)n;
}

static void pool(const char *name, const struct net_pool_status *p)
{
	say("%s %lu\n%s_refused %lu\n", name, (unsigned long)p->used, name,
	    (unsigned long)p->refused);
}

static void protocol(const char *name, const struct net_protocol_status *p)
{
	say("%s_received %lu\n%s_dropped %lu\n%s_bad_checksum %lu\n%s_no_memory %lu\n", name,
	    (unsigned long)p->received, name, (unsigned long)p->dropped, name,
	    (unsigned long)p->bad_checksum, name, (unsigned long)p->no_memory);
}

static void counters_interface(const struct net_interface_status *i)
{
	say("rx_buffers %u\nrx_buffers_held %u\n", i->rx_buffers, i->rx_buffers_held);
	say("rx_copied %llu\nrx_dropped %llu\nrx_errors %llu\nrx_no_buffer %llu\n",
	    (unsigned long long)i->device.rx_copied, (unsigned long long)i->device.rx_dropped,
	    (unsigned long long)i->device.rx_errors, (unsigned long long)i->device.rx_no_buffer);
}

static void counters(void)
{
	static struct net_status s;
	struct memory_info memory;

	memory_info(&memory);
	net_status(&s);
	say("heap_bytes %zu\npage_bytes %zu\ndescriptors %zu\nsockets %u\nthreads %zu\n",
	    memory.heap_used_bytes, memory.total_bytes - memory.free_bytes, fd_count(), s.sockets,
	    thread_list(NULL, 0));
	say("net_bytes %zu\nnet_refused %llu\nconnections_max %u\n", s.memory_used_bytes,
	    (unsigned long long)s.memory_refused, s.connections_max);
	say("net_reserve %u\n", s.memory_reserve_used);
	pool("tcp_pcbs", &s.tcp_pcbs);
	pool("tcp_listeners", &s.tcp_listeners);
	pool("tcp_segments", &s.tcp_segments);
	pool("udp_pcbs", &s.udp_pcbs);
	pool("pbufs", &s.pbufs);
	pool("reassemblies", &s.reassemblies);
	pool("reassemblies6", &s.reassemblies6);
	protocol("ip4", &s.ip4);
	protocol("ip6", &s.ip6);
	protocol("icmp4", &s.icmp4);
	protocol("icmp6", &s.icmp6);
	protocol("udp", &s.udp);
	protocol("tcp", &s.tcp);
	say("udp_overflows %lu\ntimer_wakeups %lu\n", (unsigned long)s.udp_overflows,
	    (unsigned long)s.timer_wakeups);
	if (s.interface_count)
		counters_interface(&s.interface[0]);
}

static void configuration(void)
{
	static struct net_status s;

	net_status(&s);
	for (unsigned int i = 0; i < s.interface_count; i++) {
		const struct net_interface_status *n = &s.interface[i];

		say("interface %s\ndhcp %s\nlease %lu\nlink %d\n", n->name, n->dhcp,
		    (unsigned long)n->dhcp_lease_s, n->link_up);
		for (unsigned int a = 0; a < n->address_count; a++)
			say("address %s/%u%s\n", n->address[a].text, n->address[a].prefix_bits,
			    n->address[a].tentative ? " tentative" : "");
		say("gateway %s\ngateway6 %s\n", n->gateway, n->gateway6);
	}
	for (unsigned int i = 0; i < s.dns_count; i++)
		say("dns %s\n", s.dns[i]);
	say("hostname %s\n", s.hostname);
}

static int family_of(const char *digit)
{
	return *digit == '4' ? AF_INET : *digit == '6' ? AF_INET6 : AF_UNSPEC;
}

static void lookup(char *arguments)
{
	char *save, *name = strtok_r(arguments, " ", &save), *family = strtok_r(NULL, " ", &save);
	struct addrinfo hints = {.ai_family = family_of(family), .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char text[64];
	int r = getaddrinfo(name, "80", &hints, &list);

	if (r != 0)
		say("error %s\n", gai_strerror(r));
	for (struct addrinfo *a = list; a && r == 0; a = a->ai_next) {
		getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
		say("address %s\n", text);
	}
	if (r == 0)
		freeaddrinfo(list);
}

/* "connect <address> <port>": what the peer says first, or the error. */
static void connect_out(char *arguments)
{
	char *save, *host = strtok_r(arguments, " ", &save), *port = strtok_r(NULL, " ", &save);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *a;
	char line[100];
	int fd;

	if (getaddrinfo(host, port, &hints, &a) != 0) {
		say("error address\n");
		return;
	}
	fd = socket(a->ai_family, a->ai_socktype, 0);
	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		say("error %s\n", strerror(errno));
	else if (read_line(fd, line, sizeof(line)) >= 0)
		say("said %s\n", line);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(a);
}

static int member = -1;

/* "join <group>": a socket becomes a member of the IPv4 group, until "leave". */
static void join(const char *group)
{
	struct ip_mreq m = {.imr_multiaddr.s_addr = inet_addr(group)};

	member = socket(AF_INET, SOCK_DGRAM, 0);
	if (member < 0 || setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) < 0)
		say("error %s\n", strerror(errno));
}

/* "send <address> <port>": a datagram of one byte. */
static void send_out(char *arguments)
{
	char *save, *host = strtok_r(arguments, " ", &save), *port = strtok_r(NULL, " ", &save);
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *a;
	int fd;

	if (getaddrinfo(host, port, &hints, &a) != 0) {
		say("error address\n");
		return;
	}
	fd = socket(a->ai_family, a->ai_socktype, 0);
	if (fd < 0 || sendto(fd, "x", 1, 0, a->ai_addr, a->ai_addrlen) != 1)
		say("error %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	freeaddrinfo(a);
}

static void obey(char *line)
{
	char *arguments = strchr(line, ' ');

	if (arguments)
		*arguments++ = '\0';
	if (strcmp(line, "counters") == 0)
		counters();
	else if (strcmp(line, "configuration") == 0)
		configuration();
	else if (strcmp(line, "lookup") == 0 && arguments)
		lookup(arguments);
	else if (strcmp(line, "connect") == 0 && arguments)
		connect_out(arguments);
	else if (strcmp(line, "send") == 0 && arguments)
		send_out(arguments);
	else if (strcmp(line, "join") == 0 && arguments)
		join(arguments);
	else if (strcmp(line, "leave") == 0)
		close(member);
	else if (strcmp(line, "drain") == 0)
		drain();
	else
		say("what is %s?\n", line);
	say("end\n");
}

static void *command(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char line[200];

	while (read_line(fd, line, sizeof(line)) >= 0) {
		pthread_mutex_lock(&answer_lock);
		answer_bytes = 0;
		obey(line);
		write_all(fd, answer, answer_bytes);
		pthread_mutex_unlock(&answer_lock);
	}
	close(fd);
	return NULL;
}

/* --- Services -------------------------------------------------------------------------------- */

static struct service {
	uint16_t port;
	void *(*entry)(void *fd);
	int listener;
} services[] = {{5001, take, -1}, {5002, give, -1}, {5003, command, -1}, {5004, slow, -1}};

static int bound(int type, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, type, 0), off = 0, on = 1;

	must(fd >= 0, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0, "IPV6_V6ONLY");
	must(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0, "bind");
	return fd;
}

static void *serve(void *arg)
{
	const struct service *s = arg;
	int on = 1;

	for (;;) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0) {
			usleep(1000);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		spawn(s->entry, (void *)(intptr_t)fd);
	}
	return NULL;
}

static void serve_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		services[i].listener = bound(SOCK_STREAM, services[i].port);
		must(listen(services[i].listener, 128) == 0, "listen");
		spawn(serve, &services[i]);
	}
}

static void *echo(void *arg)
{
	static char buffer[65536];
	int fd = (int)(intptr_t)arg;

	for (;;) {
		struct sockaddr_in6 from;
		socklen_t bytes = sizeof(from);
		ssize_t n =
		    recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &bytes);

		if (n >= 0)
			sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, bytes);
	}
	return NULL;
}

static int greet(struct http_request *rq)
{
	http_printf(rq, "Hello\n");
	return http_reply(rq, 200, "text/plain");
}

static struct http_server *http(void)
{
	static const struct http_route routes[] = {{.path = "/", .respond = greet}, {}};
	struct http_server *server;
	struct memory_info memory;

	memory_info(&memory);
	server = http_open(&(struct http_config){
	    .port = 80,
	    .routes = routes,
	    .connections_max = net_connections_max(memory.total_bytes),
	});
	must(server, "http_open");
	return server;
}

/* --- Trouble --------------------------------------------------------------------------------- */

static void busy(uint64_t ns)
{
	uint64_t end = time_now_ns() + ns;

	while (time_now_ns() < end)
		;
}

static void *spin(void *arg)
{
	for (;;)
		busy(NS_PER_S);
	return arg;
}

static void *pace(void *arg)
{
	for (;;) {
		busy(20 * 1000);
		thread_sleep_until(time_now_ns() + 5 * NS_PER_MS);
	}
	return arg;
}

/*
 * Most of the time one has the lock, for a few million instructions at a time, ...
 * (Not for a time: that would pass while it is kept from the processor.)
 */
static void *hold(void *arg)
{
	for (;;) {
		net_lock();
		for (volatile int i = 0; i < 500000; i++)
			;
		net_unlock();
	}
	return arg;
}

/* ... and the other keeps it from the processor. */
static void *hinder(void *arg)
{
	for (;;) {
		busy(30 * NS_PER_MS);
		thread_sleep_until(time_now_ns() + 4 * NS_PER_MS);
	}
	return arg;
}

static void start(const char *name, int priority, void *(*entry)(void *))
{
	must(thread_create(name, priority, 0, entry, NULL), name);
}

static void make_trouble(const char *kind)
{
	if (strcmp(kind, "spin") == 0)
		start("spin", PRIO_APP, spin);
	else if (strcmp(kind, "pace") == 0)
		start("pace", PRIO_APP, pace);
	else if (strcmp(kind, "hold") == 0) {
		start("hinder", PRIO_APP + 1, hinder);
		start("hold", PRIO_LOW, hold);
	}
}

int main(int argc, char **argv)
{
	struct http_server *server = http();

	serve_all();
	spawn(echo, (void *)(intptr_t)bound(SOCK_DGRAM, 7));
	printf("peer: ready\n");
	for (int i = 1; i < argc; i++)
		make_trouble(argv[i]);
	while (http_step(server, -1) == 0)
		;
	return EXIT_FAILURE;
}
