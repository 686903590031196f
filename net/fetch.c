/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP client (fetch.h). */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <http_parser.h>
#include <pith/compiler.h>
#include "fetch.h"

#define BUFFER_BYTES 4096
#define NAME_BYTES   24 /* of header fields that matter; longer ones do not */
#define VALUE_BYTES  FETCH_URL_BYTES
#define HOST_BYTES   128

struct exchange {
	struct fetch *f;
	http_parser parser;
	int fd;
	int error; /* of a callback */
	bool complete;
	bool in_value; /* the parser is in a header's value */
	char name[NAME_BYTES + 1], value[VALUE_BYTES + 1];
	size_t name_bytes, value_bytes; /* may be more than there is room for */
	char location[FETCH_URL_BYTES];
	uint64_t window_bytes;
	int64_t window_start_ms;
	char buffer[BUFFER_BYTES];
};

static int fail(struct fetch *f, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fail(struct fetch *f, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, args);
	va_end(args);
	return error;
}

/* --- URLs ---------------------------------------------------------------------------------------- */

struct url {
	char host[HOST_BYTES], port[6];
	char authority[HOST_BYTES + 8]; /* as in Host: */
	const char *path;               /* with its query; "" means "/" */
	size_t path_bytes;
};

static int parse_url(const char *text, struct url *u)
{
	struct http_parser_url parsed;
	const char *authority = text + strlen("http://");
	size_t bytes = strlen(text), host_bytes, authority_bytes;

	http_parser_url_init(&parsed);
	if (strncasecmp(text, "http://", strlen("http://")) != 0 ||
	    http_parser_parse_url(text, bytes, 0, &parsed) ||
	    parsed.field_set & (1 << UF_USERINFO) || strpbrk(text, " \r\n\t"))
		return -EINVAL;
	host_bytes = parsed.field_data[UF_HOST].len;
	authority_bytes = strcspn(authority, "/?#");
	if (host_bytes >= sizeof(u->host) || authority_bytes >= sizeof(u->authority))
		return -EINVAL;
	snprintf(u->host, sizeof(u->host), "%.*s", (int)host_bytes,
	         text + parsed.field_data[UF_HOST].off);
	snprintf(u->port, sizeof(u->port), "%u",
	         parsed.field_set & (1 << UF_PORT) ? parsed.port : 80u);
	snprintf(u->authority, sizeof(u->authority), "%.*s", (int)authority_bytes, authority);
	u->path = authority + authority_bytes;
	u->path_bytes = strcspn(u->path, "#");
	return 0;
}

int fetch_resolve(const char *base, const char *reference, char *out)
{
	const char *path = base + strlen("http://");
	struct url checked;
	size_t keep;
	int bytes;

	if (strncasecmp(base, "http://", strlen("http://")) != 0)
		return -EINVAL;
	path += strcspn(path, "/?#");
	if (strstr(reference, "://")) {
		keep = 0;
	} else if (!strncmp(reference, "//", 2)) {
		keep = strlen("http:");
	} else if (reference[0] == '/') {
		keep = (size_t)(path - base);
	} else {
		keep = (size_t)(path - base) + strcspn(path, "?#");
		while (keep > (size_t)(path - base) && base[keep - 1] != '/')
			keep--;
	}
	bytes =
	    snprintf(out, FETCH_URL_BYTES, "%.*s%s%s", (int)keep, base,
	             keep == (size_t)(path - base) && reference[0] != '/' ? "/" : "", reference);
	if (bytes < 0 || (unsigned int)bytes >= FETCH_URL_BYTES)
		return -EINVAL;
	return parse_url(out, &checked);
}

/* --- The connection ------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_for(struct exchange *x, short events)
{
	struct pollfd p = {.fd = x->fd, .events = events};
	int n = poll(&p, 1, FETCH_SILENT_MS);

	if (n > 0)
		return 0;
	return n ? fail(x->f, -errno, "poll: %s", strerror(errno))
	         : fail(x->f, -ETIMEDOUT, "nothing came for %d s", FETCH_SILENT_MS / 1000);
}

/* One address. The descriptor is open in any case. */
static int connect_to(struct exchange *x, const struct addrinfo *a)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	x->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (x->fd < 0)
		return fail(x->f, -errno, "no socket: %s", strerror(errno));
	if (!connect(x->fd, a->ai_addr, a->ai_addrlen))
		return 0;
	if (errno != EINPROGRESS)
		return fail(x->f, -errno, "cannot connect: %s", strerror(errno));
	if (wait_for(x, POLLOUT))
		return fail(x->f, -ETIMEDOUT, "cannot connect: no answer");
	if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		error = errno;
	return error ? fail(x->f, -error, "cannot connect: %s", strerror(error)) : 0;
}

static int open_connection(struct exchange *x, const struct url *u)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int error = getaddrinfo(u->host, u->port, &hints, &list);

	if (error)
		return fail(x->f, -EHOSTUNREACH, "%s: %s", u->host, gai_strerror(error));
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		error = connect_to(x, a);
		if (!error)
			break;
		if (x->fd >= 0)
			close(x->fd);
		x->fd = -1;
	}
	freeaddrinfo(list);
	return error;
}

static int send_all(struct exchange *x, const char *bytes, size_t count)
{
	while (count != 0) {
		ssize_t n = send(x->fd, bytes, count, MSG_NOSIGNAL);
		int error = 0;

		if (n < 0 && errno != EAGAIN)
			return fail(x->f, -errno, "cannot send: %s", strerror(errno));
		if (n < 0)
			error = wait_for(x, POLLOUT);
		if (error)
			return error;
		bytes += n < 0 ? 0 : n;
		count -= n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int send_request(struct exchange *x, const struct url *u)
{
	struct fetch *f = x->f;
	size_t at = 0;

	at += (size_t)snprintf(x->buffer, BUFFER_BYTES,
	                       "GET %s%.*s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
	                       "Accept-Encoding: identity\r\n",
	                       u->path[0] == '/' ? "" : "/", (int)u->path_bytes, u->path,
	                       u->authority);
	if (f->from)
		at += (size_t)snprintf(x->buffer + at, BUFFER_BYTES - at,
		                       "Range: bytes=%llu-\r\nIf-Range: %s\r\n",
		                       (unsigned long long)f->from, f->if_etag);
	at += (size_t)snprintf(x->buffer + at, BUFFER_BYTES - at, "\r\n");
	return send_all(x, x->buffer, at);
}

/* --- The answer ---------------------------------------------------------------------------------- */

static void append(char *to, size_t room, size_t *have, const char *bytes, size_t count)
{
	if (*have < room)
		memcpy(to + *have, bytes, MIN(count, room - *have));
	*have += count;
	to[MIN(*have, room)] = '\0';
}

/* A number of decimal digits; UINT64_MAX if it is none. */
static uint64_t number(const char *text, char **end)
{
	if (text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	return strtoull(text, end, 10);
}

/* "bytes 100-199/200" (RFC 9110, section 14.4) */
static uint64_t range_start(const char *value)
{
	char *end;

	if (strncasecmp(value, "bytes ", 6) != 0)
		return UINT64_MAX;
	return number(value + 6, &end);
}

static void take_header(struct exchange *x)
{
	struct fetch *f = x->f;
	uint64_t seconds;
	char *end;

	if (x->name_bytes > NAME_BYTES || x->value_bytes > VALUE_BYTES)
		return;
	if (!strcasecmp(x->name, "Location") && x->value_bytes < sizeof(x->location))
		strcpy(x->location, x->value);
	else if (!strcasecmp(x->name, "ETag") && x->value[0] == '"' &&
	         x->value_bytes < sizeof(f->etag))
		strcpy(f->etag, x->value);
	else if (!strcasecmp(x->name, "Content-Range"))
		f->first_byte = range_start(x->value);
	else if (!strcasecmp(x->name, "Retry-After")) {
		seconds = number(x->value, &end);
		f->retry_after_s = seconds < 86400 ? (uint32_t)seconds : 0;
	}
}

static void end_header(struct exchange *x)
{
	if (x->in_value)
		take_header(x);
	x->in_value = false;
	x->name_bytes = x->value_bytes = 0;
}

static int on_name(http_parser *p, const char *at, size_t count)
{
	struct exchange *x = p->data;

	if (x->in_value)
		end_header(x);
	append(x->name, NAME_BYTES, &x->name_bytes, at, count);
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t count)
{
	struct exchange *x = p->data;

	x->in_value = true;
	append(x->value, VALUE_BYTES, &x->value_bytes, at, count);
	return 0;
}

static bool has_bytes(int status)
{
	return status == 200 || status == 206;
}

/* Nobody wants the body of other answers. */
static int on_head(http_parser *p)
{
	struct exchange *x = p->data;
	struct fetch *f = x->f;

	end_header(x);
	if (p->status_code < 200)
		return 1; /* 100 Continue and the like: the answer is still to come */
	f->status = p->status_code;
	f->length = p->flags & F_CONTENTLENGTH ? (int64_t)p->content_length : -1;
	if (!has_bytes(f->status)) {
		x->complete = true;
		return 1;
	}
	x->error = f->head ? f->head(f) : 0;
	return x->error ? -1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t count)
{
	struct exchange *x = p->data;

	x->error = x->f->body(x->f, at, count);
	return x->error;
}

static int on_complete(http_parser *p)
{
	struct exchange *x = p->data;

	x->complete = p->status_code >= 200;
	return 0;
}

/* A server may be slow, but not so slow that it keeps us for days. */
static int check_speed(struct exchange *x, size_t count)
{
	int64_t now = now_ms();

	x->window_bytes += count;
	if (now - x->window_start_ms < FETCH_WINDOW_MS)
		return 0;
	if (x->window_bytes < FETCH_WINDOW_BYTES)
		return fail(x->f, -ETIMEDOUT, "only %llu bytes came in %d s",
		            (unsigned long long)x->window_bytes, FETCH_WINDOW_MS / 1000);
	x->window_start_ms = now;
	x->window_bytes = 0;
	return 0;
}

static int receive(struct exchange *x, const http_parser_settings *settings)
{
	ssize_t n = recv(x->fd, x->buffer, BUFFER_BYTES, 0);

	if (n < 0 && errno == EAGAIN)
		return wait_for(x, POLLIN);
	if (n < 0)
		return fail(x->f, -errno, "the connection was lost: %s", strerror(errno));
	http_parser_execute(&x->parser, settings, x->buffer, (size_t)n);
	if (x->error)
		return x->error;
	if (x->complete)
		return 0;
	if (n == 0)
		return fail(x->f, -ECONNRESET, "the connection ended early");
	if (HTTP_PARSER_ERRNO(&x->parser) != HPE_OK)
		return fail(x->f, -EPROTO, "the answer is not HTTP: %s",
		            http_errno_description(HTTP_PARSER_ERRNO(&x->parser)));
	return check_speed(x, (size_t)n);
}

static int receive_answer(struct exchange *x)
{
	http_parser_settings settings;
	int error = 0;

	http_parser_settings_init(&settings);
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_headers_complete = on_head;
	settings.on_body = on_body;
	settings.on_message_complete = on_complete;
	http_parser_init(&x->parser, HTTP_RESPONSE);
	x->parser.data = x;
	x->window_start_ms = now_ms();
	while (!error && !x->complete)
		error = receive(x, &settings);
	return error;
}

static int exchange(struct exchange *x)
{
	struct fetch *f = x->f;
	struct url u;
	int error = parse_url(f->url, &u);

	if (error)
		return fail(f, error, "%.100s: not an http:// URL", f->url);
	x->fd = -1;
	f->etag[0] = '\0';
	f->first_byte = UINT64_MAX;
	f->retry_after_s = 0;
	error = open_connection(x, &u);
	if (!error)
		error = send_request(x, &u);
	if (!error)
		error = receive_answer(x);
	if (x->fd >= 0)
		close(x->fd);
	return error;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect goes to, into f->url. */
static int redirect(struct exchange *x)
{
	char target[FETCH_URL_BYTES];

	if (!x->location[0] || fetch_resolve(x->f->url, x->location, target))
		return fail(x->f, -EINVAL, "redirected to \"%.100s\": not an http:// URL",
		            x->location);
	strcpy(x->f->url, target);
	return 0;
}

int fetch(const char *url, struct fetch *f)
{
	struct exchange *x;
	int error = 0;

	if (strlen(url) >= sizeof(f->url))
		return fail(f, -EINVAL, "the URL is longer than %u bytes", FETCH_URL_BYTES - 1);
	strcpy(f->url, url);
	x = malloc(sizeof(*x));
	if (!x)
		return fail(f, -ENOMEM, "no memory");
	for (unsigned int hops = 0; !error; hops++) {
		memset(x, 0, sizeof(*x));
		x->f = f;
		error = exchange(x);
		if (error || !is_redirect(f->status))
			break;
		error = hops == FETCH_REDIRECTS
		            ? fail(f, -ELOOP, "more than %u redirects", FETCH_REDIRECTS)
		            : redirect(x);
	}
	free(x);
	return error;
}
