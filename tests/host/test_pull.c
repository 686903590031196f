/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that are fetched (net/pull.c, net/fetch.c) from servers of every kind: what is new is
 * installed byte for byte however often the connection breaks, what is not is not fetched, and whatever
 * a server does wrong ends in a sentence, with the update given up.
 *
 * The server is a thread that plays a script, one answer a connection. Clocks run 200 times as fast, and
 * poll() waits as much shorter (--wrap in host.mk); pauses are counted instead of slept.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/pull.h>
#include "net/fetch.h"

#define FASTER 200

static uint64_t slept_ms;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return __real_poll(fds, count, timeout_ms < 0 ? timeout_ms : timeout_ms / FASTER);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = __real_clock_gettime(clock, t);
	uint64_t ns = ((uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec) * FASTER;

	t->tv_sec = (time_t)(ns / 1000000000);
	t->tv_nsec = (long)(ns % 1000000000);
	return result;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)left;
	slept_ms += (uint64_t)wanted->tv_sec * 1000 + (uint64_t)wanted->tv_nsec / 1000000;
	return 0;
}

/* --- Updates, as a test wants them --------------------------------------------------------------- */

#define FILE_BYTES 20000u
static uint8_t file[FILE_BYTES];

static struct {
	struct ota_status status;
	uint8_t slot[FILE_BYTES];
	uint64_t begun_bytes, done;
	int begin, write, finish;
	uint32_t finished_version;
	unsigned int begins, aborts, activated;
	bool under_way;
} ota;

const char image_name[] = "web", image_version[] = "1.2.0";

int ota_begin(uint64_t file_bytes)
{
	assert_false(ota.under_way);
	ota.begins++;
	if (ota.begin)
		return ota.begin;
	ota.begun_bytes = file_bytes;
	ota.done = 0;
	ota.under_way = true;
	return 0;
}

int ota_write(const void *bytes, size_t count)
{
	assert_true(ota.under_way);
	if (ota.write && ota.done + count > 1000) {
		ota.under_way = false;
		return ota.write;
	}
	assert_true(ota.done + count <= ota.begun_bytes && ota.done + count <= FILE_BYTES);
	memcpy(ota.slot + ota.done, bytes, count);
	ota.done += count;
	return 0;
}

int ota_finish(void)
{
	assert_true(ota.under_way);
	ota.under_way = false;
	ota.status.slot[1].version = ota.finished_version;
	return ota.finish;
}

int ota_activate(void)
{
	ota.activated++;
	return 0;
}

void ota_abort(void)
{
	ota.under_way = false;
	ota.aborts++;
}

const char *ota_error(void)
{
	return "as the test says";
}

void ota_status(struct ota_status *s)
{
	*s = ota.status;
}

void machine_restart(void)
{
	pthread_exit(NULL);
}

void klog(const char *fmt, ...)
{
	(void)fmt;
}

/* --- The server ---------------------------------------------------------------------------------- */

enum then { CLOSE, STALL, TRICKLE, RESET };

struct answer {
	char bytes[2 * FILE_BYTES];
	size_t count;
	enum then then;
	const char *if_asked; /* what the request must contain */
};

static struct answer *script;
static unsigned int answers, played;
static int listener;
static uint16_t port;
static pthread_t server;
static volatile bool over;

static void play(int fd, const struct answer *a)
{
	char request[2048];
	size_t have = 0;
	ssize_t n;

	do {
		n = recv(fd, request + have, sizeof(request) - 1 - have, 0);
		have += n > 0 ? (size_t)n : 0;
		request[have] = '\0';
	} while (n > 0 && !strstr(request, "\r\n\r\n"));
	if (a->if_asked && !strstr(request, a->if_asked))
		fprintf(stderr, "asked: %s\nnot: %s\n", request, a->if_asked);
	if (a->if_asked && !strstr(request, a->if_asked))
		return; /* the script stops fitting, which the test sees */
	for (size_t at = 0; at < a->count; at += (size_t)n) {
		n = send(fd, a->bytes + at, a->count - at, MSG_NOSIGNAL);
		if (n < 0)
			return;
	}
	for (int i = 0; a->then == TRICKLE && i < 3000 && !over; i++) {
		struct pollfd p = {.fd = fd, .events = 0};

		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || __real_poll(&p, 1, 2) > 0)
			return;
	}
	if (a->then == STALL)
		recv(fd, request, 1, 0); /* until the client has enough of it */
	if (a->then == RESET) {
		struct linger now = {.l_onoff = 1};

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
}

static void *serve(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		if (played < answers)
			play(fd, &script[played++]);
		close(fd);
	}
}

static int set_up(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);

	(void)state;
	for (unsigned int i = 0; i < FILE_BYTES; i++)
		file[i] = (uint8_t)(i * 7 + i / 251);
	memset(&ota, 0, sizeof(ota));
	ota.status = (struct ota_status){.running = 'A',
	                                 .active = 'A',
	                                 .slot = {{.version = version_parse("1.2.0")}},
	                                 .min_version = version_parse("1.1.0"),
	                                 .why = "none"};
	ota.finished_version = version_parse("1.3.0");
	script = calloc(64, sizeof(*script));
	answers = played = 0;
	slept_ms = 0;
	over = false;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (!script || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 16) || getsockname(listener, (struct sockaddr *)&address, &bytes))
		return -1;
	port = ntohs(address.sin_port);
	return pthread_create(&server, NULL, serve, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	over = true;
	shutdown(listener, SHUT_RDWR);
	pthread_join(server, NULL);
	close(listener);
	free(script);
	return 0;
}

static struct answer *answer(const char *fmt, ...) PRINTF_LIKE(1, 2);
static struct answer *answer(const char *fmt, ...)
{
	struct answer *a = &script[answers++];
	va_list args;

	a->then = CLOSE;
	a->if_asked = NULL;
	va_start(args, fmt);
	a->count = (size_t)vsnprintf(a->bytes, sizeof(a->bytes), fmt, args);
	va_end(args);
	return a;
}

static struct answer *with_bytes(struct answer *a, size_t from, size_t count)
{
	memcpy(a->bytes + a->count, file + from, count);
	a->count += count;
	return a;
}

static void channel(const char *text)
{
	answer("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);
}

#define NEWER "{\"product\": \"web\", \"version\": \"1.3.0\", \"url\": \"web-1.3.0.pith\"}"

/* The file's first `count` bytes of an answer that promises all of it. */
static struct answer *whole(size_t count)
{
	return with_bytes(
	    answer("HTTP/1.1 200 OK\r\nContent-Length: %u\r\nETag: \"v1\"\r\n\r\n", FILE_BYTES), 0,
	    count);
}

static struct answer *rest(size_t from, size_t count)
{
	return with_bytes(
	    answer("HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\nETag: \"v1\"\r\n"
	           "Content-Range: bytes %zu-%u/%u\r\n\r\n",
	           FILE_BYTES - from, from, FILE_BYTES - 1, FILE_BYTES),
	    from, count);
}

static int look(void)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/fleet/channel.json", port);
	return pull_look(url);
}

static const char *outcome(void)
{
	static struct pull_status s;

	pull_status(&s);
	return s.outcome;
}

static void assert_says(const char *text)
{
	if (!strstr(outcome(), text))
		fail_msg("\"%s\" does not say \"%s\"", outcome(), text);
}

static void assert_installed(void)
{
	assert_int_equal(ota.activated, 1);
	assert_int_equal(ota.done, FILE_BYTES);
	assert_memory_equal(ota.slot, file, FILE_BYTES);
	assert_int_equal(played, answers);
}

static void assert_given_up(const char *text)
{
	assert_says(text);
	assert_false(ota.under_way);
	assert_int_equal(ota.activated, 0);
	assert_int_equal(played, answers);
}

/* --- What is wanted ------------------------------------------------------------------------------ */

static void newer_is_installed(void **state)
{
	(void)state;
	channel(NEWER);
	whole(FILE_BYTES)->if_asked = "GET /fleet/web-1.3.0.pith HTTP/1.1\r\nHost: 127.0.0.1:";
	assert_int_equal(look(), 1);
	assert_installed();
	assert_int_equal(slept_ms, 0);
}

static void what_is_not_newer_is_not_fetched(void **state)
{
	static const struct {
		const char *version, *bad, *why, *says;
	} cases[] = {
	    {"1.2.0", "0.0.1", "panic", "runs already"},
	    {"1.1.9", "0.0.1", "panic", "older than what runs"},
	    {"1.3.0", "1.3.0", "panic", "failed on this device (panic)"},
	    {"1.3.0", "1.3.0", "unconfirmed", "failed on this device"},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		char text[128];

		answers = played = 0;
		ota.status.bad_version = version_parse(cases[i].bad);
		strcpy(ota.status.why, cases[i].why);
		snprintf(text, sizeof(text),
		         "{\"product\":\"web\",\"version\":\"%s\",\"url\":\"x\"}",
		         cases[i].version);
		channel(text);
		assert_int_equal(look(), 0);
		assert_given_up(cases[i].says);
		assert_int_equal(ota.begins, 0);
	}
}

/* The clock is the machine's time since boot here: hours, since it runs 200 times as fast. */
static void what_found_no_network_is_tried_again_later(void **state)
{
	struct timespec t;

	(void)state;
	ota.status.bad_version = version_parse("1.3.0");
	strcpy(ota.status.why, "network");
	ota.status.retries = 1;
	clock_gettime(CLOCK_MONOTONIC, &t);
	if (t.tv_sec < 90000)
		skip();
	channel(NEWER);
	whole(FILE_BYTES);
	assert_int_equal(look(), 1);
	assert_installed();
}

static void broken_channels_are_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "[]",
	    "{}",
	    "nonsense",
	    "{\"product\":\"web\"",
	    "{\"product\":\"web\",\"version\":\"1.3.0\"}",
	    "{\"product\":\"web\",\"version\":\"1.3\",\"url\":\"x\"}",
	    "{\"product\":\"web\",\"version\":1.3,\"url\":\"x\"}",
	    "{\"product\":\"web\",\"version\":\"0.0.0\",\"url\":\"x\"}",
	    "{\"product\":{\"product\":\"web\"},\"version\":\"1.3.0\",\"url\":\"x\"}",
	    "{\"product\":\"web\",\"version\":\"1.3.0\",\"url\":\"\\u0000\"}",
	    "{\"other\":{\"url\":\"x\"},\"product\":\"web\",\"version\":\"1.3.0\"}",
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(texts); i++) {
		answers = played = 0;
		channel(texts[i]);
		assert_true(look() < 0);
		assert_given_up("not a channel");
	}
	answers = played = 0;
	answer("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n%5000s", "{}");
	assert_int_equal(look(), -EFBIG);
	answers = played = 0;
	channel("{\"product\":\"other\",\"version\":\"1.3.0\",\"url\":\"x\"}");
	assert_int_equal(look(), -EPERM);
	assert_given_up("for \"other\", this is web");
}

static void what_else_is_in_a_channel_does_not_matter(void **state)
{
	(void)state;
	channel(
	    "{\"notes\": [1, {\"url\": \"wrong\"}, \"version\"], \"product\": \"web\",\n\"by\": "
	    "{\"version\": \"9.9.9\"}, \"version\": \"1.3.0\", \"url\": \"\\/other\\/file\"}");
	whole(FILE_BYTES)->if_asked = "GET /other/file HTTP/1.1";
	assert_int_equal(look(), 1);
	assert_installed();
}

static void a_file_of_another_version_is_given_up(void **state)
{
	(void)state;
	ota.finished_version = version_parse("1.4.0");
	channel(NEWER);
	whole(FILE_BYTES);
	assert_int_equal(look(), -EPROTO);
	assert_given_up("announces 1.3.0, and the file is 1.4.0");
	assert_int_equal(ota.aborts, 1);
}

/* --- Broken connections -------------------------------------------------------------------------- */

static void an_interrupted_download_goes_on_where_it_stopped(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= FILE_BYTES; cut += 1 + FILE_BYTES / 37) {
		char range[64];

		answers = played = ota.activated = 0;
		snprintf(range, sizeof(range), "Range: bytes=%zu-\r\nIf-Range: \"v1\"\r\n", cut);
		channel(NEWER);
		whole(cut);
		if (cut == 0)
			whole(FILE_BYTES);
		else if (cut < FILE_BYTES)
			rest(cut, FILE_BYTES - cut)->if_asked = range;
		assert_int_equal(look(), 1);
		assert_installed();
	}
	assert_int_equal(ota.aborts, 0);
}

static void many_interruptions_do_not_matter_as_long_as_there_is_progress(void **state)
{
	(void)state;
	channel(NEWER);
	whole(500);
	for (size_t at = 500; at < FILE_BYTES; at += 500)
		rest(at, 500)->then = at % 1000 ? CLOSE : RESET;
	assert_int_equal(look(), 1);
	assert_int_equal(ota.activated, 1);
	assert_memory_equal(ota.slot, file, FILE_BYTES);
}

static void a_server_without_ranges_sends_it_all_again(void **state)
{
	(void)state;
	channel(NEWER);
	whole(7000);
	whole(9000)->if_asked = "Range: bytes=7000-";
	whole(FILE_BYTES);
	assert_int_equal(look(), 1);
	assert_installed();
	assert_int_equal(ota.begins, 1);
}

static void a_file_that_changes_on_the_way_is_begun_again(void **state)
{
	(void)state;
	channel(NEWER);
	with_bytes(answer("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nETag: \"old\"\r\n\r\n"), 300,
	           5000);
	whole(FILE_BYTES)->if_asked = "If-Range: \"old\"";
	assert_int_equal(look(), 1);
	assert_installed();
	assert_int_equal(ota.begins, 2);
}

static void without_an_etag_it_is_begun_again(void **state)
{
	(void)state;
	channel(NEWER);
	with_bytes(answer("HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", FILE_BYTES), 0, 5000);
	with_bytes(
	    answer("HTTP/1.1 200 OK\r\nContent-Length: %u\r\nETag: W/\"weak\"\r\n\r\n", FILE_BYTES),
	    0, 6000);
	whole(FILE_BYTES);
	assert_int_equal(look(), 1);
	assert_installed();
	assert_int_equal(ota.begins, 3);
}

static void a_server_that_never_gets_on_is_given_up(void **state)
{
	(void)state;
	channel(NEWER);
	whole(1000);
	for (int i = 0; i < 12; i++)
		rest(1000, 0);
	assert_int_equal(look(), -ECONNRESET);
	assert_given_up("given up at byte 1000");
	assert_in_range(slept_ms, 200000, 900000); /* the pauses grow */
	assert_int_equal(ota.aborts, 1);
}

static void a_silent_and_a_slow_server_are_left(void **state)
{
	(void)state;
	answer("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{")->then = STALL;
	assert_int_equal(look(), -ETIMEDOUT);
	assert_given_up("nothing came for 30 s");
	answers = played = 0;
	answer("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{")->then = TRICKLE;
	assert_int_equal(look(), -ETIMEDOUT);
	assert_given_up("bytes came in 60 s");
	answers = played = 0;
	channel(NEWER);
	whole(1000)->then = STALL;
	rest(1000, FILE_BYTES - 1000);
	assert_int_equal(look(), 1);
	assert_installed();
}

static void the_servers_bad_days_are_waited_for(void **state)
{
	(void)state;
	channel(NEWER);
	whole(1000);
	answer("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry");
	answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
	rest(1000, FILE_BYTES - 1000);
	assert_int_equal(look(), 1);
	assert_installed();
	assert_true(slept_ms >= 45000);
}

/* --- Lies ---------------------------------------------------------------------------------------- */

static void lies_are_given_up(void **state)
{
	static const struct {
		const char *head, *says;
	} cases[] = {
	    {"HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\nContent-Range: bytes "
	     "0-99/100\r\n",
	     "another range"},
	    {"HTTP/1.1 200 OK\r\n", "does not say how long"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "does not say how long"},
	    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", "the server says 404"},
	    {"HTTP/1.1 204 No Content\r\n", "the server says 204"},
	    {"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n", "redirected to \"\""},
	    {"HTTP/1.1 301 Moved\r\nLocation: https://secure/\r\n",
	     "redirected to \"https://secure/\""},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		answers = played = 0;
		channel(NEWER);
		answer("%s\r\n", cases[i].head);
		assert_true(look() < 0);
		assert_given_up(cases[i].says);
	}
}

static void a_wrong_range_on_the_way_is_given_up(void **state)
{
	(void)state;
	channel(NEWER);
	whole(1000);
	rest(999, 500);
	assert_int_equal(look(), -EPROTO);
	assert_given_up("another range");
	assert_int_equal(ota.aborts, 1);
}

static void what_ota_refuses_is_over(void **state)
{
	(void)state;
	ota.write = -EBADMSG;
	channel(NEWER);
	whole(FILE_BYTES);
	assert_int_equal(look(), -EBADMSG);
	assert_given_up("as the test says");
	answers = played = 0;
	ota.begin = -EBUSY;
	channel(NEWER);
	whole(FILE_BYTES);
	assert_int_equal(look(), -EBUSY);
	assert_given_up("as the test says");
	answers = played = 0;
	ota.begin = ota.write = 0;
	ota.finish = -EKEYREJECTED;
	channel(NEWER);
	whole(FILE_BYTES);
	assert_true(look() < 0);
	assert_given_up("as the test says");
}

static void redirects_are_followed_but_not_in_circles(void **state)
{
	(void)state;
	channel(NEWER);
	answer("HTTP/1.1 302 Found\r\nLocation: ../elsewhere?x=1\r\nContent-Length: 3\r\n\r\nabc");
	answer("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%u/there\r\n\r\n",
	       port);
	whole(FILE_BYTES)->if_asked = "GET /there HTTP/1.1";
	assert_int_equal(look(), 1);
	assert_installed();
	answers = played = ota.activated = 0;
	channel(NEWER);
	for (int i = 0; i < 6; i++)
		answer("HTTP/1.1 301 Moved\r\nLocation: /around\r\n\r\n");
	assert_int_equal(look(), -ELOOP);
	assert_given_up("redirects");
}

static void nonsense_is_not_http(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct answer *a;

		answers = played = 0;
		a = round % 2 ? whole(0) : answer("HTTP/1.1 200 OK\r\n");
		a->count += 300;
		for (size_t i = round % 2 ? 0 : 17; i < a->count; i++) {
			if (round % 2 == 0 || rand_r(&seed) % 16 == 0)
				a->bytes[i] = (char)rand_r(&seed);
		}
		assert_true(look() < 0);
		assert_int_equal(ota.activated, 0);
	}
}

static void nobody_there_is_said(void **state)
{
	(void)state;
	assert_int_equal(pull_look("http://127.0.0.1:1/channel.json"), -ECONNREFUSED);
	assert_says("cannot connect");
	assert_int_equal(pull_look("https://127.0.0.1/channel.json"), -EINVAL);
	assert_says("not an http:// URL");
	assert_int_equal(pull_look("http://name.invalid/channel.json"), -EHOSTUNREACH);
}

static void references_are_resolved(void **state)
{
	static const struct {
		const char *base, *reference, *result;
	} cases[] = {
	    {"http://a/b/c.json", "d", "http://a/b/d"},
	    {"http://a/b/c.json", "/d", "http://a/d"},
	    {"http://a/b/c.json", "//x/d", "http://x/d"},
	    {"http://a/b/c.json", "http://y:8080/d?e", "http://y:8080/d?e"},
	    {"http://a", "d", "http://a/d"},
	    {"http://a:81", "/d", "http://a:81/d"},
	    {"http://a/b?x=/y/z", "d", "http://a/d"},
	    {"http://[::1]:80/b/c", "d", "http://[::1]:80/b/d"},
	    {"http://a/b", "https://c/d", NULL},
	    {"http://a/b", "http://user@c/d", NULL},
	    {"http://a/b", "c d", NULL},
	    {"ftp://a/b", "c", NULL},
	};
	char out[FETCH_URL_BYTES], longest[FETCH_URL_BYTES];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		int error = fetch_resolve(cases[i].base, cases[i].reference, out);

		assert_int_equal(error, cases[i].result ? 0 : -EINVAL);
		if (cases[i].result)
			assert_string_equal(out, cases[i].result);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(fetch_resolve("http://a/b", longest, out), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(newer_is_installed),
	    TEST(what_is_not_newer_is_not_fetched),
	    TEST(what_found_no_network_is_tried_again_later),
	    TEST(broken_channels_are_refused),
	    TEST(what_else_is_in_a_channel_does_not_matter),
	    TEST(a_file_of_another_version_is_given_up),
	    TEST(an_interrupted_download_goes_on_where_it_stopped),
	    TEST(many_interruptions_do_not_matter_as_long_as_there_is_progress),
	    TEST(a_server_without_ranges_sends_it_all_again),
	    TEST(a_file_that_changes_on_the_way_is_begun_again),
	    TEST(without_an_etag_it_is_begun_again),
	    TEST(a_server_that_never_gets_on_is_given_up),
	    TEST(a_silent_and_a_slow_server_are_left),
	    TEST(the_servers_bad_days_are_waited_for),
	    TEST(lies_are_given_up),
	    TEST(a_wrong_range_on_the_way_is_given_up),
	    TEST(what_ota_refuses_is_over),
	    TEST(redirects_are_followed_but_not_in_circles),
	    TEST(nonsense_is_not_http),
	    TEST(nobody_there_is_said),
	    TEST(references_are_resolved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
