/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /update through the real server, over an ota.h that does what a test says: who may push, what
 * each refusal says and when, and that whatever ends early is given up, and nothing else is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/push.h>

#define TOKEN "correct horse battery"
#define AUTH  "Host: x\r\nAuthorization: Bearer " TOKEN "\r\n"

/* --- Updates, as a test wants them -------------------------------------------------------------- */

static struct {
	int begin, write, finish, activate; /* what they return */
	uint64_t begun_bytes, written_bytes;
	unsigned int aborted, restarted;
	bool under_way;
} fake;

int ota_begin(uint64_t file_bytes)
{
	if (fake.under_way)
		return -EBUSY;
	fake.begun_bytes = file_bytes;
	fake.written_bytes = 0;
	fake.under_way = !fake.begin;
	return fake.begin;
}

int ota_write(const void *bytes, size_t count)
{
	assert_true(fake.under_way);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(((const char *)bytes)[i], (char)(fake.written_bytes++ % 251));
	fake.under_way = !fake.write;
	return fake.write;
}

int ota_finish(void)
{
	assert_int_equal(fake.written_bytes, fake.begun_bytes);
	fake.under_way = !fake.finish;
	return fake.finish;
}

int ota_activate(void)
{
	return fake.activate;
}

void ota_abort(void)
{
	fake.aborted++;
	fake.under_way = false;
}

const char *ota_error(void)
{
	return "as the test says";
}

void ota_status(struct ota_status *s)
{
	*s = (struct ota_status){.running = 'A', .slot = {{.version = 1}, {.version = 0x00402003}}};
}

/* The real one does not return. */
static void restart(void)
{
	fake.restarted++;
}

#define machine_restart restart
#include "net/push.c"

/* --- Server and clients, in one thread ---------------------------------------------------------- */

static struct http_server *server;

static int start(void **state)
{
	static const struct http_route routes[] = {PUSH_ROUTE, {}};

	(void)state;
	memset(&fake, 0, sizeof(fake));
	restarting = false;
	setenv("token", TOKEN, 1);
	server = http_open(&(struct http_config){.routes = routes, .body_timeout_ms = 200});
	assert_non_null(server);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_close(server);
	assert_false(fake.under_way);
	return 0;
}

static void step(void)
{
	for (int i = 0; i < 12; i++)
		assert_int_equal(http_step(server, 0), 0);
}

static int client(const char *head)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons(http_port(server)),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	step();
	return fd;
}

/* The update's bytes [from, to). */
static void send_body(int fd, size_t from, size_t to)
{
	char piece[1000];

	while (from < to) {
		size_t n = MIN(sizeof(piece), to - from);

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)((from + i) % 251);
		if (send(fd, piece, n, MSG_NOSIGNAL) < 0)
			return; /* refused */
		from += n;
		step();
	}
}

/* All that the server said so far. */
static const char *said(int fd)
{
	static char text[2000];
	ssize_t n;

	step();
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[MAX(n, 0)] = '\0';
	return text;
}

static void expect(int fd, int status, const char *text)
{
	const char *answer = said(fd);
	const char *body = strstr(answer, "\r\n\r\n");

	assert_non_null(body);
	assert_int_equal(atoi(answer + strlen("HTTP/1.1 ")), status);
	assert_non_null(strstr(body, text));
	close(fd);
	step();
}

/* --- Tests --------------------------------------------------------------------------------------- */

/* A whole update is written, activated and answered; the restart comes when the client has the answer. */
static void whole_update(void **state)
{
	int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 100000\r\n\r\n"), other;

	(void)state;
	send_body(fd, 0, 100000);
	assert_int_equal(fake.written_bytes, 100000);
	assert_non_null(strstr(said(fd), "{\"version\":\"1.2.3\",\"slot\":\"B\"}\n"));
	assert_int_equal(fake.restarted, 0);
	other = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 10\r\n\r\n");
	expect(other, 409, "about to be started");
	close(fd);
	step();
	assert_int_equal(fake.restarted, 1);
	assert_int_equal(fake.aborted, 0);
	fake.under_way = false;
}

/* Only the exact token is taken, in the header that is meant for it; strangers begin nothing. */
static void strangers(void **state)
{
	static const struct {
		const char *token, *header;
		int status;
		const char *text;
	} cases[] = {
	    {NULL, "", 403, "push is off"},
	    {NULL, "Authorization: Bearer \r\n", 403, "push is off"},
	    {"", "Authorization: Bearer \r\n", 403, "push is off"},
	    {"123456789012345", "Authorization: Bearer 123456789012345\r\n", 403, "push is off"},
	    {TOKEN, "", 401, "a token is needed"},
	    {TOKEN, "Authorization: \r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Bearer \r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Bearer correct horse batter\r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Bearer correct horse batterx\r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Bearer xorrect horse battery\r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Bearer correct horse batteryy\r\n", 401, "wrong"},
	    {TOKEN, "Authorization: Basic correct horse battery\r\n", 401, "wrong"},
	    {TOKEN, "Authorization: correct horse battery\r\n", 401, "wrong"},
	    {TOKEN, "X-Token: correct horse battery\r\n", 401, "a token is needed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char head[300];

		unsetenv("token");
		if (cases[i].token)
			setenv("token", cases[i].token, 1);
		snprintf(head, sizeof(head),
		         "POST /update HTTP/1.1\r\nHost: x\r\n%sContent-Length: 100000\r\n\r\n",
		         cases[i].header);
		expect(client(head), cases[i].status, cases[i].text);
	}
	assert_int_equal(fake.begun_bytes, 0);
	setenv("token", TOKEN, 1);
	fake.begin = -EFBIG; /* as far as this it comes with any number of blanks, and any case */
	expect(client("POST /update HTTP/1.1\r\nHost: x\r\nauthorization: bEARER   " TOKEN
	              " \r\nContent-Length: 9\r\n\r\n"),
	       413, "as the test says");
}

/* Why an update cannot begin is said before any of it is sent. */
static void refused_at_the_start(void **state)
{
	static const int refusals[][2] = {
	    {-EBUSY, 409},  {-EFBIG, 413}, {-EBADMSG, 400}, {-ENODEV, 501},
	    {-EAGAIN, 503}, {-EIO, 500},   {-ENOMEM, 503},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		fake.begin = refusals[i][0];
		expect(client("POST /update HTTP/1.1\r\n" AUTH
		              "Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n"),
		       refusals[i][1], "as the test says");
	}
	fake.begin = 0;
	expect(client("POST /update HTTP/1.1\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n"), 411,
	       "Content-Length");
	expect(client("POST /update HTTP/1.1\r\n" AUTH "\r\n"), 411, "Content-Length");
	expect(client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 0\r\n\r\n"), 411,
	       "Content-Length");
	expect(
	    client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 9223372036854775808\r\n\r\n"),
	    413, "");
	assert_int_equal(fake.aborted, 0);
}

/* An error in the middle ends the request at once; the update is over by itself (pith/ota.h). */
static void refused_in_the_middle(void **state)
{
	static const int refusals[][2] = {{-EBADMSG, 400}, {-EFBIG, 413}, {-EIO, 500}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 100000\r\n\r\n");

		fake.write = 0;
		send_body(fd, 0, 5000);
		fake.write = refusals[i][0];
		send_body(fd, 5000, 6000);
		expect(fd, refusals[i][1], "as the test says");
		assert_int_equal(fake.aborted, 0);
	}
}

/* What verification finds has a status of its own each. */
static void refused_at_the_end(void **state)
{
	static const int refusals[][2] = {
	    {-EBADMSG, 400},  {-ENOKEY, 422}, {-EKEYREJECTED, 422}, {-EPERM, 415},
	    {-EALREADY, 412}, {-ESTALE, 412}, {-EIO, 500},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 5000\r\n\r\n");

		fake.finish = refusals[i][0];
		send_body(fd, 0, 5000);
		expect(fd, refusals[i][1], "as the test says");
		assert_int_equal(fake.aborted, 0);
	}
	fake.finish = 0;
	fake.activate = -EIO; /* finished, and not wanted: then it must not stay */
	for (int again = 0; again < 2; again++) {
		int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 5000\r\n\r\n");

		send_body(fd, 0, 5000);
		expect(fd, 500, "as the test says");
	}
	assert_int_equal(fake.aborted, 2);
	assert_int_equal(fake.restarted, 0);
}

/* A connection that is lost, or falls silent, at any place gives the update up once. */
static void lost_anywhere(void **state)
{
	unsigned int times = 0;

	(void)state;
	for (size_t at = 0; at < 30000; at += 1 + at / 3) {
		int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 30000\r\n\r\n");

		assert_int_equal(fake.begun_bytes, 30000);
		send_body(fd, 0, at);
		close(fd);
		step();
		assert_int_equal(fake.aborted, ++times);
		assert_false(fake.under_way);
	}
	int fd = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 30000\r\n\r\n");

	send_body(fd, 0, 100);
	while (fake.under_way)
		assert_int_equal(http_step(server, 50), 0);
	expect(fd, 408, "408");
	assert_int_equal(fake.aborted, times + 1);
}

/* One at a time: the second is refused and changes nothing for the first. */
static void one_at_a_time(void **state)
{
	int first = client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 30000\r\n\r\n");

	(void)state;
	send_body(first, 0, 9000);
	for (int i = 0; i < 3; i++)
		expect(client("POST /update HTTP/1.1\r\n" AUTH "Content-Length: 30000\r\n\r\n"),
		       409, "as the test says");
	send_body(first, 9000, 30000);
	expect(first, 200, "1.2.3");
	assert_int_equal(fake.aborted, 0);
	assert_int_equal(fake.restarted, 1);
	fake.under_way = false;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(whole_update),          TEST(strangers),          TEST(refused_at_the_start),
	    TEST(refused_in_the_middle), TEST(refused_at_the_end), TEST(lost_anywhere),
	    TEST(one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
