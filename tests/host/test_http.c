/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server against clients of every kind: honest ones whose bytes come in any pieces, slow
 * ones, broken ones, hostile ones; and without memory. Server and clients share one thread, so that
 * each test decides who moves when.
 *
 * malloc, calloc and realloc are wrapped (host.mk): they fail when a test says so.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <pith/http.h>

static int allocations_left = -1; /* until one fails; -1: none does */

static bool fails(void)
{
	return allocations_left >= 0 && allocations_left-- == 0;
}

/* The linker puts these before the real ones (--wrap). */
void *__real_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return fails() ? NULL : __real_realloc(old, bytes);
}

/* --- The server under test ------------------------------------------------------------------- */

static struct http_server *server;
static int begun, ended, gone;
static uint32_t body_sum;
static char folder[] = "/tmp/pith-http-XXXXXX";

static int echo(struct http_request *rq)
{
	const char *word = http_header(rq, "X-Word");

	http_printf(rq, "%s %s?%s word=%s", rq->method, rq->path, rq->query, word ? word : "-");
	return http_reply(rq, 200, "text/plain");
}

static int fixed(struct http_request *rq)
{
	return http_reply_static(rq, 200, "text/plain", "fixed", 5);
}

/* As many bytes as the query says. */
static int many(struct http_request *rq)
{
	for (int i = 0, n = atoi(rq->query); i < n; i++)
		http_write(rq, &"0123456789abcdef"[i % 16], 1);
	return http_reply(rq, 200, "application/octet-stream");
}

static int printed(struct http_request *rq)
{
	for (int i = 0, n = atoi(rq->query); i < n; i++)
		http_printf(rq, "%08d\n", i);
	return http_reply(rq, 200, "text/plain");
}

static int injected(struct http_request *rq)
{
	assert_int_equal(http_add_header(rq, "X-Good", "yes"), 0);
	assert_int_equal(http_add_header(rq, "X-Bad", "a\r\nSet-Cookie: b"), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(http_add_header(rq, "X\n", "a"), -1);
	while (http_add_header(rq, "X-Long", "0123456789012345678901234567890123456789") == 0)
		;
	assert_int_equal(errno, ENOBUFS);
	return http_reply(rq, 200, NULL);
}

static int teapot(struct http_request *rq)
{
	(void)rq;
	return 418;
}

static int upload_begin(struct http_request *rq)
{
	if (http_header(rq, "X-Refuse")) {
		http_add_header(rq, "WWW-Authenticate", "Bearer");
		http_printf(rq, "who are %s?\n", "you");
		return 401;
	}
	begun++;
	rq->user = &body_sum;
	body_sum = 0;
	return 0;
}

static int upload_body(struct http_request *rq, const void *bytes, size_t count)
{
	const unsigned char *b = bytes;

	assert_ptr_equal(rq->user, &body_sum);
	for (size_t i = 0; i < count; i++) {
		if (b[i] == '!') {
			http_printf(rq, "no shouting\n");
			return 422;
		}
		body_sum = body_sum * 31 + b[i];
	}
	return 0;
}

static int upload_done(struct http_request *rq)
{
	http_printf(rq, "%s %llu of %lld: %08x, %s", rq->path, (unsigned long long)rq->body_bytes,
	            (long long)rq->body_total, body_sum, http_header(rq, "Host"));
	return http_reply(rq, 200, "text/plain");
}

static void upload_ended(struct http_request *rq)
{
	assert_non_null(rq->path);
	ended++;
}

static void is_gone(void)
{
	gone++;
}

static int last(struct http_request *rq)
{
	http_last(rq, is_gone);
	http_printf(rq, "bye");
	return http_reply(rq, 200, "text/plain");
}

static struct http_route routes[] = {
    {.path = "/echo", .prefix = true, .respond = echo},
    {.path = "/fixed", .respond = fixed},
    {.path = "/many", .respond = many},
    {.path = "/printed", .respond = printed},
    {.path = "/injected", .respond = injected},
    {.path = "/teapot", .respond = teapot},
    {.path = "/upload",
     .post = true,
     .respond = upload_done,
     .body_max = 100000,
     .begin = upload_begin,
     .body = upload_body,
     .ended = upload_ended},
    {.path = "/last", .respond = last},
    {.path = "/both", .respond = fixed},
    {.path = "/both", .post = true, .respond = fixed},
    {.path = "/www/", .prefix = true, .directory = folder},
    {},
};

static void start(struct http_config config)
{
	config.routes = routes;
	server = http_open(&config);
	assert_non_null(server);
}

static int begin_plain(void **state)
{
	(void)state;
	begun = ended = gone = 0;
	start((struct http_config){.etag = "abc"});
	return 0;
}

/* Every test ends so: all that was begun has ended, and the sanitizer finds no leak at exit. */
static int end(void **state)
{
	(void)state;
	allocations_left = -1;
	http_close(server);
	assert_int_equal(begun, ended);
	return 0;
}

static struct http_stats stats(void)
{
	struct http_stats s;

	http_stats(server, &s);
	return s;
}

/* --- Clients --------------------------------------------------------------------------------- */

/* Everything the server can do now; a step reads once from each connection. */
static void step(void)
{
	for (int i = 0; i < 12; i++)
		assert_int_equal(http_step(server, 0), 0);
}

static int connect_client(int receive_bytes)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons(http_port(server)),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Send and let the server see it. It may have closed already. */
static void put(int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t n = send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);

		step();
		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0) {
			bytes += n;
			count -= (size_t)n;
		}
	}
	step();
}

static void put_string(int fd, const char *s)
{
	put(fd, s, strlen(s));
}

/* What the server sends until it pauses (0) or closes (1); text ends in NUL. */
struct reply {
	char *text;
	size_t bytes;
	bool closed;
};

static void drop(struct reply *r)
{
	free(r->text);
	*r = (struct reply){0};
}

static void collect_some(int fd, struct reply *r)
{
	for (int quiet = 0; quiet < 3 && !r->closed;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		step();
		if (poll(&p, 1, 0) == 0) {
			quiet++;
			continue;
		}
		r->text = realloc(r->text, r->bytes + 65536 + 1);
		n = recv(fd, r->text + r->bytes, 65536, 0);
		if (n <= 0) {
			r->closed = true;
			n = 0;
		}
		r->bytes += (size_t)n;
		r->text[r->bytes] = '\0';
		quiet = 0;
	}
	if (!r->text)
		r->text = calloc(1, 1);
}

static struct reply collect(int fd)
{
	struct reply r = {0};

	collect_some(fd, &r);
	return r;
}

/* Wait as long as it takes, until it ends so; NULL: until the server closes. */
static void collect_until(int fd, struct reply *r, const char *end)
{
	size_t count = end ? strlen(end) : 0;

	while (!r->closed &&
	       (!end || r->bytes < count || strcmp(r->text + r->bytes - count, end) != 0)) {
		assert_int_equal(http_step(server, 20), 0);
		collect_some(fd, r);
	}
}

static struct reply ask_on(int fd, const char *request)
{
	put_string(fd, request);
	return collect(fd);
}

static struct reply ask(const char *request)
{
	int fd = connect_client(0);
	struct reply r = ask_on(fd, request);

	close(fd);
	step();
	return r;
}

static int status_of(const struct reply *r)
{
	return strncmp(r->text, "HTTP/1.1 ", 9) == 0 ? atoi(r->text + 9) : 0;
}

static const char *body_of(const struct reply *r)
{
	const char *body = strstr(r->text, "\r\n\r\n");

	return body ? body + 4 : "";
}

static bool has(const struct reply *r, const char *text)
{
	return strstr(r->text, text) != NULL;
}

static void expect_status(const char *request, int status)
{
	struct reply r = ask(request);

	if (status_of(&r) != status)
		fail_msg("%d expected for <<%s>>, came <<%s>>", status, request, r.text);
	drop(&r);
}

static void still_alive(void)
{
	expect_status("GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n", 200);
}

#define HOST "Host: x\r\n"

/* --- Promises -------------------------------------------------------------------------------- */

/* A request gets its route's answer, with right length and type, and the connection stays open. */
static void answers_by_route(void **state)
{
	int fd = connect_client(0);
	struct reply r =
	    ask_on(fd, "GET /echo/a%20b?q=%20 HTTP/1.1\r\nhOsT: x\r\nx-word:  hi \t\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(&r), 200);
	assert_string_equal(body_of(&r), "GET /echo/a b?q=%20 word=hi");
	assert_true(has(&r, "Content-Length: 27\r\n") && has(&r, "Content-Type: text/plain\r\n"));
	assert_true(has(&r, "\r\nDate: ") && has(&r, " GMT\r\n") && !has(&r, "Connection"));
	assert_false(r.closed);
	drop(&r);
	r = ask_on(fd, "GET /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(body_of(&r), "fixed");
	drop(&r);
	r = ask_on(fd, "HEAD /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_true(has(&r, "Content-Length: 5\r\n"));
	assert_string_equal(body_of(&r), "");
	drop(&r);
	r = ask_on(fd, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 404);
	assert_false(r.closed);
	drop(&r);
	r = ask_on(fd, "POST /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 405);
	assert_true(has(&r, "Allow: GET, HEAD\r\n") && !r.closed);
	drop(&r);
	r = ask_on(fd, "GET /upload HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 405);
	assert_true(has(&r, "Allow: POST\r\n") && !r.closed);
	drop(&r);
	r = ask_on(fd, "GET /teapot HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 418);
	drop(&r);
	r = ask_on(fd, "GET http://other/fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 200);
	drop(&r);
	r = ask_on(fd, "GET http://other?/echo HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 404);
	drop(&r);
	r = ask_on(fd, "GET /both HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	assert_true(has(&r, "Connection: close\r\n") && r.closed);
	drop(&r);
	close(fd);
	r = ask("GET /fixed HTTP/1.0\r\n\r\n");
	assert_true(status_of(&r) == 200 && has(&r, "Connection: close\r\n") && r.closed);
	drop(&r);
	r = ask("GET /fixed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_true(status_of(&r) == 200 && has(&r, "Connection: keep-alive\r\n") && !r.closed);
	drop(&r);
	assert_int_equal(stats().requests, 12);
}

/* However the network cuts a request, the answer is the same. */
static void split_anywhere(void **state)
{
	static const char *const requests[] = {
	    "GET /echo?a HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Word: hello\r\n\r\n",
	    "\r\n\r\nGET /echo HTTP/1.1\nHost:x\n\n",
	    "POST /upload HTTP/1.1\r\nHost: there\r\nContent-Length: 11\r\n\r\nhello world",
	    "POST /upload HTTP/1.1\r\nHost: there\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "6;ext=1\r\nhello \r\n05\r\nworld\r\n0\r\nTrailer: x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct reply whole = ask(requests[i]), r;
		size_t count = strlen(requests[i]);
		int fd;

		assert_int_equal(status_of(&whole), 200);
		for (size_t at = 1; at < count; at++) {
			fd = connect_client(0);
			put(fd, requests[i], at);
			r = ask_on(fd, requests[i] + at);
			assert_string_equal(body_of(&r), body_of(&whole));
			drop(&r);
			close(fd);
		}
		fd = connect_client(0);
		for (int again = 0; again < 3; again++) {
			for (size_t at = 0; at < count; at++)
				put(fd, requests[i] + at, 1);
			r = collect(fd);
			assert_string_equal(body_of(&r), body_of(&whole));
			drop(&r);
		}
		close(fd);
		drop(&whole);
	}
}

/* A client that goes away at any byte leaves nothing behind: what was begun is ended (end()). */
static void leaves_anywhere(void **state)
{
	static const char request[] =
	    "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\nhello";

	(void)state;
	for (size_t at = 0; at < sizeof(request); at++) {
		int fd = connect_client(0);

		put(fd, request, at);
		close(fd);
		step();
		step();
		assert_int_equal(stats().connections_now, 0);
		assert_int_equal(begun, ended);
	}
	assert_true(begun > 0);
}

/* Requests sent without waiting are all answered, in order, whole, also when answers pile up. */
static void pipelined(void **state)
{
	enum { COUNT = 100 };
	char *all = calloc(COUNT, 128);
	struct reply r = {0};
	int fd = connect_client(16384);
	const char *at;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		sprintf(all + strlen(all),
		        i % 3 ? "GET /many?%d HTTP/1.1\r\n" HOST "\r\n"
		              : "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\n%06d",
		        i * 500);
	for (const char *p = all; *p;) {
		ssize_t n = send(fd, p, strlen(p), MSG_DONTWAIT);

		p += n > 0 ? n : 0;
		step();
		if (n < 0)
			collect_some(fd, &r);
	}
	put_string(fd, "GET /fixed HTTP/1.1\r\n" HOST "\r\n");
	collect_until(fd, &r, "\r\n\r\nfixed");
	at = r.text;
	for (int i = 0; i < COUNT; i++) {
		char length[64];

		at = strstr(at, "HTTP/1.1 200 OK\r\n");
		assert_non_null(at);
		sprintf(length, "Content-Length: %d\r\n", i * 500);
		if (i % 3)
			assert_ptr_equal(strstr(at, "Content-Length"), strstr(at, length));
		at = strstr(at, "\r\n\r\n") + 4;
		if (i % 3)
			at += i * 500;
	}
	assert_false(r.closed);
	assert_int_equal(stats().requests, COUNT + 1);
	drop(&r);
	close(fd);
	free(all);
}

/* What is not HTTP, or not allowed, gets the right refusal, and the next client is served. */
static void malformed(void **state)
{
	static const struct {
		int status;
		const char *request;
	} cases[] = {
	    {400, "\x16\x03\x01\x02\x00\x01\xfc\x03\x03"}, /* a TLS ClientHello */
	    {400, "GET /fixed HTTP/1.1\r\n\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\n" HOST HOST "\r\n"},
	    {400, "GET /fixed HTTP/1.0\r\n" HOST HOST "\r\n"},
	    {400, "GET fixed HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /fixed\x01 HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /fixed\xff HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo%00 HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo%0d%0aX:y HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo%7f HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo%2 HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo%zz HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /echo% HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /www/../etc/passwd HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /www/%2e%2e/secret HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /www/..%2fsecret HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /www/. HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /www/a/.. HTTP/1.1\r\n" HOST "\r\n"},
	    {404, "GET /www/...x HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\nHost : x\r\n\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\n" HOST "No colon\r\n\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\n" HOST "X: a\x01b\r\n\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\n" HOST "X: folded\r\n line\r\n\r\n"},
	    {400, "GET /fixed HTTP/1.1\r\n Host: x\r\n\r\n"},
	    {400, "GET /fixed HTTP/1,1\r\n" HOST "\r\n"},
	    {400, "GET /fixed FTP/1.1\r\n" HOST "\r\n"},
	    {505, "GET /fixed\r\n\r\n"},
	    {505, "GET /fixed HTTP/2.0\r\n" HOST "\r\n"},
	    {505, "GET /fixed HTTP/0.9\r\n" HOST "\r\n"},
	    {501, "BREW /fixed HTTP/1.1\r\n" HOST "\r\n"},
	    {501, "get /fixed HTTP/1.1\r\n" HOST "\r\n"},
	    {501, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	    {501, "DELETE /fixed HTTP/1.1\r\n" HOST "\r\n"},
	    {501, "CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n"},
	    {501, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n"},
	    {400,
	     "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
	          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	    {501,
	     "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	    {501, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n"},
	    {501, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
	          "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"},
	    {400,
	     "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n"},
	    {400, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	          "fffffffffffffffff\r\n"},
	    {413, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n"},
	    {413, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551\r\n\r\n"},
	    {413, "GET /fixed HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"},
	    {413, "GET /fixed HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	    {404, "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"},
	    {417, "POST /upload HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\n"},
	    {422, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nhe!lo"},
	    {401, "POST /upload HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nContent-Length: 9\r\n\r\n"},
	    {401, "POST /upload HTTP/1.1\r\n" HOST "X-Refuse: 1\r\n\r\n"},
	    {200, "GET /fixed HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"},
	    {200, "GET /fixed?../.. HTTP/1.1\r\n" HOST "\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_status(cases[i].request, cases[i].status);
	still_alive();
	assert_int_equal(stats().connections_now, 0);
}

/* Too much is too much at exactly the documented limit. */
static void limits(void **state)
{
	char *big = malloc(4 * HTTP_HEAD_BYTES);
	size_t line;

	(void)state;
	/* A head of exactly HTTP_HEAD_BYTES, and one more. */
	for (int over = 0; over < 2; over++) {
		line = (size_t)sprintf(big, "GET /fixed HTTP/1.1\r\n" HOST "X: ");
		memset(big + line, 'y', HTTP_HEAD_BYTES);
		strcpy(big + HTTP_HEAD_BYTES - 4 + over, "\r\n\r\n");
		expect_status(big, over ? 431 : 200);
	}
	line = (size_t)sprintf(big, "GET /");
	memset(big + line, 'y', 2 * HTTP_HEAD_BYTES);
	big[2 * HTTP_HEAD_BYTES] = '\0';
	expect_status(big, 414);
	for (int over = 0; over < 2; over++) {
		strcpy(big, "GET /fixed HTTP/1.1\r\n" HOST);
		for (int i = 1; i < HTTP_HEADERS_MAX + over; i++)
			strcat(big, "a:b\r\n");
		strcat(big, "\r\n");
		expect_status(big, over ? 431 : 200);
	}
	memset(big, '\r', 2 * HTTP_HEAD_BYTES);
	expect_status(big, 414); /* never any request */
	/* Endless trailers and chunk extensions. */
	line = (size_t)sprintf(big, "POST /upload HTTP/1.1\r\n" HOST
	                            "Transfer-Encoding: chunked\r\n\r\n0\r\nT: ");
	memset(big + line, 'y', 3 * HTTP_HEAD_BYTES);
	big[line + 3 * HTTP_HEAD_BYTES] = '\0';
	expect_status(big, 431);
	/* A chunked body that grows past body_max. */
	line = (size_t)sprintf(big, "POST /upload HTTP/1.1\r\n" HOST
	                            "Transfer-Encoding: chunked\r\n\r\nffffff\r\n");
	memset(big + line, 'y', 3 * HTTP_HEAD_BYTES);
	big[line + 3 * HTTP_HEAD_BYTES] = '\0';
	{
		int fd = connect_client(0);
		struct reply r;

		put_string(fd, big);
		for (int i = 0; i < 10; i++)
			put(fd, big + line, 2 * HTTP_HEAD_BYTES);
		r = collect(fd);
		assert_int_equal(status_of(&r), 413);
		drop(&r);
		close(fd);
	}
	free(big);
	still_alive();
}

/* Megabytes come in with little memory held, and 100 Continue is said when it is waited for. */
static void uploads(void **state)
{
	static char piece[50000];
	int fd = connect_client(0);
	uint32_t sum = 0;
	char expected[128];
	struct reply r;

	(void)state;
	for (size_t i = 0; i < sizeof(piece); i++)
		piece[i] = (char)(i * 7 % 26 + 'a');
	for (int again = 0; again < 3; again++) {
		r = ask_on(fd, "POST /upload HTTP/1.1\r\n" HOST
		               "Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n");
		assert_string_equal(r.text, "HTTP/1.1 100 Continue\r\n\r\n");
		drop(&r);
		put(fd, piece, sizeof(piece));
		r = collect(fd);
		assert_int_equal(r.bytes, 0);
		drop(&r);
		put(fd, piece, sizeof(piece));
		r = collect(fd);
		sum = 0;
		for (size_t i = 0; i < 2 * sizeof(piece); i++)
			sum = sum * 31 + (unsigned char)piece[i % sizeof(piece)];
		sprintf(expected, "/upload 100000 of 100000: %08x, x", sum);
		assert_string_equal(body_of(&r), expected);
		drop(&r);
	}
	close(fd);
	assert_int_equal(stats().responses[0], 3);
	assert_int_equal(stats().body_in_bytes, 300000);
	r = ask("POST /upload HTTP/1.1\r\n" HOST
	        "Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n");
	assert_int_equal(status_of(&r), 413);
	assert_true(has(&r, "Connection: close\r\n"));
	drop(&r);
}

/* A refused client that goes on sending still gets to read why. */
static void refusal_is_readable(void **state)
{
	int fd = connect_client(0);
	static char junk[60000];
	struct reply r;

	(void)state;
	put_string(fd,
	           "POST /upload HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nContent-Length: 99999\r\n\r\n");
	put(fd, junk, sizeof(junk));
	r = collect(fd);
	assert_int_equal(status_of(&r), 401);
	assert_true(has(&r, "WWW-Authenticate: Bearer\r\n") && r.closed);
	assert_string_equal(body_of(&r), "who are you?\n");
	drop(&r);
	close(fd);
	r = ask("POST /upload HTTP/1.1\r\n" HOST "X-Refuse: 1\r\nContent-Length: 0\r\n\r\n");
	assert_true(has(&r, "WWW-Authenticate: Bearer\r\n") && !r.closed);
	assert_string_equal(body_of(&r), "who are you?\n");
	drop(&r);
	r = ask("POST /upload HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc!");
	assert_int_equal(status_of(&r), 422);
	assert_string_equal(body_of(&r), "no shouting\n");
	drop(&r);
	expect_status("GET /teapot HTTP/1.1\r\n" HOST "\r\n", 418);
}

/* The last answer is whole, nothing behind it is answered, and that the client has it is told once. */
static void last_answer(void **state)
{
	int fd = connect_client(0);
	struct reply r;

	(void)state;
	put_string(fd, "GET /last HTTP/1.1\r\n" HOST "\r\nGET /fixed HTTP/1.1\r\n" HOST "\r\n");
	r = collect(fd);
	assert_true(has(&r, "Connection: close\r\n") && r.closed);
	assert_string_equal(body_of(&r), "bye");
	drop(&r);
	assert_int_equal(gone, 0);
	close(fd);
	step();
	assert_int_equal(gone, 1);
	assert_int_equal(stats().connections_now, 0);
	fd = connect_client(0); /* one that does not close */
	put_string(fd, "GET /last HTTP/1.1\r\n" HOST "\r\n");
	while (gone == 1)
		assert_int_equal(http_step(server, 100), 0);
	close(fd);
}

static void write_file(const char *name, const char *bytes, size_t count)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/www/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, count, f), count);
	fclose(f);
}

static void resize(const char *name, off_t bytes)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/www/%s", folder, name);
	assert_int_equal(truncate(path, bytes), 0);
}

static char big[3000000];

static void write_big(const char *name)
{
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * i % 251);
	write_file(name, big, sizeof(big));
}

/* Files: type, length, index, packed where taken, 304 for what the client has. */
static void files(void **state)
{
	struct reply r;

	(void)state;
	write_file("index.html", "<p>", 3);
	write_file("a.js", "plain", 5);
	write_file("a.js.gz", "packed", 6);
	write_file("empty.txt", "", 0);
	r = ask("GET /www/ HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(body_of(&r), "<p>");
	assert_true(has(&r, "Content-Type: text/html; charset=utf-8\r\n") &&
	            has(&r, "ETag: \"abc\"\r\n"));
	drop(&r);
	r = ask("GET /www/a.js HTTP/1.1\r\n" HOST "Accept-Encoding: br, GZIP;q=0.5\r\n\r\n");
	assert_string_equal(body_of(&r), "packed");
	assert_true(has(&r, "Content-Encoding: gzip\r\n") && has(&r, "ETag: \"abc-gzip\"\r\n") &&
	            has(&r, "Content-Type: text/javascript; charset=utf-8\r\n"));
	drop(&r);
	r = ask("GET /www/a.js HTTP/1.1\r\n" HOST
	        "Accept-Encoding: gzip;q=0.0, xgzip, gzipx\r\n\r\n");
	assert_string_equal(body_of(&r), "plain");
	drop(&r);
	r = ask("HEAD /www/a.js HTTP/1.1\r\n" HOST "\r\n");
	assert_string_equal(body_of(&r), "");
	assert_true(has(&r, "Content-Length: 5\r\n"));
	drop(&r);
	r = ask("GET /www/a.js HTTP/1.1\r\n" HOST "If-None-Match: \"x\", W/\"abc\"\r\n\r\n");
	assert_true(status_of(&r) == 304 && !has(&r, "Content-Length") && !r.closed);
	drop(&r);
	expect_status("GET /www/a.js HTTP/1.1\r\n" HOST "If-None-Match: \"abc-gzip\"\r\n\r\n", 200);
	expect_status("GET /www/a.js HTTP/1.1\r\n" HOST "If-None-Match: \"abc\r\n\r\n", 200);
	expect_status("GET /www/a.js HTTP/1.1\r\n" HOST "If-None-Match: *\r\n\r\n", 304);
	expect_status("GET /www/empty.txt HTTP/1.1\r\n" HOST "\r\n", 200);
	expect_status("GET /www/none HTTP/1.1\r\n" HOST "\r\n", 404);
	expect_status("GET /www/folder HTTP/1.1\r\n" HOST "\r\n", 404);
	expect_status("GET /www/folder/ HTTP/1.1\r\n" HOST "\r\n", 404);
	expect_status(
	    "GET /www/"
	    "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "9012345678901234567890123456789012345678901234567890123456789012345678901234567"
	    "8901234567890123456789012345678901234567890123456789012345678901234567890123456"
	    "789012345678901234567890 HTTP/1.1\r\n" HOST "\r\n",
	    404);
}

/* Large answers reach a client that reads slowly, whole, from file and from memory. */
static void slow_reader(void **state)
{
	struct reply r = {0};
	int fd = connect_client(16384);

	(void)state;
	write_big("big");
	put_string(fd, "GET /www/big HTTP/1.1\r\n" HOST "\r\nGET /printed?20000 HTTP/1.1\r\n" HOST
	               "\r\nGET /fixed HTTP/1.1\r\n" HOST "\r\n");
	collect_until(fd, &r, "\r\n\r\nfixed");
	assert_true(has(&r, "Content-Length: 3000000\r\n"));
	assert_memory_equal(body_of(&r), big, sizeof(big));
	assert_non_null(strstr(body_of(&r) + sizeof(big), "Content-Length: 180000\r\n"));
	assert_non_null(strstr(body_of(&r) + sizeof(big), "\r\n\r\n00000000\n00000001\n"));
	drop(&r);
	close(fd);
}

/* A file that becomes shorter on the way ends the connection, not the server. */
static void file_shrinks(void **state)
{
	struct reply r = {0};
	int fd = connect_client(65536);

	(void)state;
	write_file("shrinks", "", 0);
	resize("shrinks", 16 << 20); /* more than socket buffers hold */
	put_string(fd, "GET /www/shrinks HTTP/1.1\r\n" HOST "\r\n");
	resize("shrinks", 10);
	collect_until(fd, &r, NULL);
	assert_true(r.bytes < 16 << 20);
	drop(&r);
	close(fd);
	still_alive();
}

/* An answer beyond HTTP_BODY_BYTES becomes 500; nothing a handler adds can forge a header. */
static void handler_errors(void **state)
{
	struct reply r;

	(void)state;
	expect_status("GET /many?262144 HTTP/1.1\r\n" HOST "\r\n", 200);
	expect_status("GET /many?262145 HTTP/1.1\r\n" HOST "\r\n", 500);
	expect_status("GET /printed?30000 HTTP/1.1\r\n" HOST "\r\n", 500);
	r = ask("GET /injected HTTP/1.1\r\n" HOST "\r\n");
	assert_true(status_of(&r) == 200 && has(&r, "X-Good: yes\r\n") && !has(&r, "Set-Cookie"));
	assert_true(!has(&r, "Content-Type") && has(&r, "Cache-Control: no-store\r\n"));
	drop(&r);
}

static int begin_impatient(void **state)
{
	(void)state;
	begun = ended = 0;
	start((struct http_config){.idle_timeout_ms = 60,
	                           .head_timeout_ms = 60,
	                           .body_timeout_ms = 60,
	                           .connections_max = 4});
	return 0;
}

/* Slow clients are told 408 and let go in every phase; idle ones go silently. */
static void slow_clients(void **state)
{
	static const struct {
		const char *start, *dribble;
		int status;
	} cases[] = {
	    {"", "", 0},
	    {"GET /fixed HT", "", 408},
	    {"GET /fixed HTTP/1.1\r\n", "a:b\r\n", 408},
	    {"\r\n", "\r\n", 408},
	    {"POST /upload HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n", "", 408},
	    {"POST /upload HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n", "x", 408},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = connect_client(0);
		struct reply r = {0};

		put_string(fd, cases[i].start);
		while (!r.closed) {
			assert_int_equal(http_step(server, 10), 0);
			send(fd, cases[i].dribble, strlen(cases[i].dribble), MSG_NOSIGNAL);
			collect_some(fd, &r);
		}
		assert_int_equal(status_of(&r), cases[i].status);
		drop(&r);
		close(fd);
	}
	assert_int_equal(stats().timeouts, ARRAY_LEN(cases) - 1);
}

/* A client that does not read its answer is let go. */
static void never_reads(void **state)
{
	static const char request[] = "GET /many?200000 HTTP/1.1\r\n" HOST "\r\n";
	int fd = connect_client(2048);

	(void)state;
	for (int i = 0; i < 40; i++)
		put_string(fd, request);
	while (stats().connections_now)
		assert_int_equal(http_step(server, 10), 0);
	assert_int_equal(stats().timeouts, 1);
	close(fd);
}

/* At connections_max the longest idle one makes room; when all are busy the new one gets 503. */
static void full_house(void **state)
{
	int idle[5], busy[4];
	struct reply r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		idle[i] = connect_client(0);
		step();
	}
	r = ask_on(idle[0], "GET /fixed HTTP/1.1\r\n" HOST "\r\n"); /* now idle[1] is the oldest */
	drop(&r);
	idle[4] = connect_client(0);
	step();
	assert_int_equal(stats().connections_now, 4);
	r = collect(idle[1]);
	assert_true(r.closed && r.bytes == 0);
	drop(&r);
	r = ask_on(idle[0], "GET /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 200);
	drop(&r);
	for (int i = 0; i < 4; i++) {
		busy[i] = connect_client(0);
		put_string(busy[i], "GET /");
	}
	assert_int_equal(stats().connections_refused, 0);
	r = ask("GET /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 503);
	assert_true(has(&r, "Retry-After") && r.closed);
	drop(&r);
	assert_int_equal(stats().connections_refused, 1);
	r = ask_on(busy[0], "fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 200);
	drop(&r);
	for (int i = 0; i < 5; i++)
		close(idle[i]);
	for (int i = 0; i < 4; i++)
		close(busy[i]);
}

static int begin_nothing(void **state)
{
	(void)state;
	begun = ended = 0;
	return 0;
}

/*
 * Whichever allocation fails, the client hears 503 or loses its connection, it is counted, and the
 * next one is served.
 */
static void without_memory(void **state)
{
	static const char *const pieces[] = {
	    "GET /fi",
	    "xed HTTP/1.1\r\n" HOST "\r\nPOST /upload HTTP/1.1\r\n" HOST,
	    "Content-Length: 5\r\n\r\nhe",
	    "llo",
	    "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx",
	    "GET /printed?2000 HTTP/1.1\r\n" HOST "\r\n",
	    "GET /www/big HTTP/1.1\r\n" HOST "\r\nGET /www/big HTTP/1.1\r\n" HOST
	    "\r\nGET /fixed HTTP/1.1\r\n" HOST "\r\n",
	};
	struct http_config config = {.routes = routes};
	bool failed = true;
	int n;

	(void)state;
	write_big("big");
	for (n = 0; failed; n++) {
		struct reply r = {0};
		int fd;

		allocations_left = n;
		server = http_open(&config);
		if (!server) {
			assert_int_equal(allocations_left, -1);
			continue;
		}
		fd = connect_client(65536);
		for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
			put_string(fd, pieces[i]);
		failed = allocations_left < 0;
		allocations_left = -1;
		assert_int_equal(stats().out_of_memory, failed);
		if (!failed)
			collect_until(fd, &r, "\r\n\r\nfixed");
		drop(&r);
		close(fd);
		still_alive();
		http_close(server);
	}
	assert_in_range(n, 8, 20);
	start(config);
}

/* Mutated requests in random pieces: no crash, no leak, no stuck connection. */
static void mutants(void **state)
{
	static const char *const seeds[] = {
	    "GET /echo?a HTTP/1.1\r\nHost: x\r\nX-Word: a\r\n\r\nGET /fixed HTTP/1.1\r\nHost: "
	    "x\r\n\r\n",
	    "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	    "GET /www/index.html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=1, br\r\n"
	    "If-None-Match: \"a\", \"b\"\r\n\r\n",
	    "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: "
	    "100-continue\r\n\r\n"
	    "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\nHEAD http://a/%41?b HTTP/1.0\r\n\r\n",
	};
	char request[512];

	(void)state;
	srand(1);
	for (int n = 0; n < 2000; n++) {
		size_t count = strlen(seeds[n % 3]);
		int fd = connect_client(0);
		struct reply r;

		memcpy(request, seeds[n % 3], count);
		for (int m = rand() % 4; m >= 0; m--) {
			size_t at = (size_t)rand() % count, from = (size_t)rand() % count;

			switch (rand() % 4) {
			case 0:
				request[at] = (char)rand();
				break;
			case 1:
				request[at] ^= (char)(1 << rand() % 8);
				break;
			case 2:
				memmove(request + at, request + from, count - MAX(at, from));
				break;
			default:
				count = at + 1;
			}
		}
		for (size_t at = 0, piece; at < count; at += piece) {
			piece = MIN(1 + (size_t)rand() % 200, count - at);
			put(fd, request + at, piece);
		}
		if (rand() % 2)
			shutdown(fd, SHUT_WR);
		r = collect(fd);
		drop(&r);
		close(fd);
	}
	for (int i = 0; i < 3; i++)
		step();
	assert_int_equal(stats().connections_now, 0);
	still_alive();
}

/* IPv6 too, where the machine has it. */
static void over_ipv6(void **state)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6,
	                         .sin6_port = htons(http_port(server)),
	                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct reply r;

	(void)state;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (fd >= 0)
			close(fd);
		skip();
	}
	r = ask_on(fd, "GET /fixed HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(status_of(&r), 200);
	drop(&r);
	close(fd);
}

/* A port that is taken is an error, not a surprise. */
static void port_in_use(void **state)
{
	struct http_config config = {.port = http_port(server), .routes = routes};

	(void)state;
	assert_null(http_open(&config));
	assert_int_equal(errno, EADDRINUSE);
}

static int make_folder(void **state)
{
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/www", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/www/folder", folder);
	return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

#define PLAIN(test)     cmocka_unit_test_setup_teardown(test, begin_plain, end)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, begin_impatient, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAIN(answers_by_route),
	    PLAIN(split_anywhere),
	    PLAIN(leaves_anywhere),
	    PLAIN(pipelined),
	    PLAIN(malformed),
	    PLAIN(limits),
	    PLAIN(uploads),
	    PLAIN(refusal_is_readable),
	    PLAIN(last_answer),
	    PLAIN(files),
	    PLAIN(slow_reader),
	    PLAIN(file_shrinks),
	    PLAIN(handler_errors),
	    IMPATIENT(slow_clients),
	    IMPATIENT(never_reads),
	    cmocka_unit_test_setup_teardown(full_house, begin_impatient, end),
	    cmocka_unit_test_setup_teardown(without_memory, begin_nothing, end),
	    PLAIN(mutants),
	    PLAIN(over_ipv6),
	    PLAIN(port_in_use),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
