/* SPDX-License-Identifier: Apache-2.0 */
/* update.h: the self-test of an image on trial, updates that are fetched, and /crash. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/crash.h>
#include <pith/health.h>
#include <pith/net.h>
#include <pith/ota.h>
#include <pith/pull.h>
#include <pith/push.h>
#include <pith/time.h>
#include "update.h"

/* An address beyond link-local, and a link: what it takes to be found. */
static bool network_is_up(void)
{
	static struct net_status net; /* too large for a stack; asked once */

	net_status(&net);
	for (unsigned int i = 0; i < net.interface_count; i++)
		if (net.interface[i].link_up)
			return net_wait_up(0) == 0;
	return false;
}

static int connect_to_self(uint16_t port)
{
	struct sockaddr_in self = {.sin_family = AF_INET,
	                           .sin_port = htons(port),
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&self, sizeof(self)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Whether the page's values come, to the end. */
static bool server_answers(uint16_t port)
{
	static const char request[] = "GET /status.json HTTP/1.1\r\nHost: localhost\r\n"
	                              "Connection: close\r\n\r\n";
	static const char ok[] = "HTTP/1.1 200 ";
	char piece[512];
	int fd = connect_to_self(port);
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
	    recv(fd, piece, strlen(ok), MSG_WAITALL) == (ssize_t)strlen(ok) &&
	    memcmp(piece, ok, strlen(ok)) == 0) {
		do
			n = recv(fd, piece, sizeof(piece), 0);
		while (n > 0);
	}
	close(fd);
	return n == 0;
}

/* Ends with the trial, if not by success then by the reset at its deadline (pith/health.h). */
static void *prove(void *arg)
{
	uint16_t port = (uint16_t)(uintptr_t)arg;

	if (net_wait_up(TIME_FOREVER))
		return NULL;
	while (!server_answers(port) || ota_confirm())
		sleep(1);
	return NULL;
}

/* A device without `update` in its configuration fetches nothing. */
static void start_pull(void)
{
	int error = pull_start();

	if (error && error != -ENOENT)
		fprintf(stderr, "web: updates are not fetched: %s\n", strerror(-error));
}

void update_start(uint16_t port)
{
	struct ota_status s;
	pthread_t thread;
	int error;

	start_pull();
	health_network(network_is_up);
	ota_status(&s);
	if (!s.trial)
		return;
	error = pthread_create(&thread, NULL, prove, (void *)(uintptr_t)port);
	if (error)
		fprintf(stderr, "web: no self-test: %s\n", strerror(error));
	else
		pthread_detach(thread);
}

int update_crash(struct http_request *rq)
{
	const struct crash_record *crash = crash_last();

	if (!crash) {
		http_printf(rq, "no crash is known\n");
		return 404;
	}
	http_printf(rq, "%s\nbuild id %s\n%s", crash->cause, crash->build_id, crash->backtrace);
	if (push_authorized(rq)) {
		char version[VERSION_TEXT_BYTES];

		http_printf(rq, "version %s, slot %c, %s, %llu ms after boot\n%s",
		            version_format(crash->version, version),
		            crash->slot ? crash->slot : '-',
		            crash->trial ? "on trial" : "confirmed",
		            (unsigned long long)crash->uptime_ms, crash->log);
	}
	return http_reply(rq, 200, "text/plain; charset=utf-8");
}
