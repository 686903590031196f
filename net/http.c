/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 server (pith/http.h): POSIX sockets, epoll, one thread; parsing by http-parser.
 *
 * A connection's phases, each with its timeout:
 *
 *	IDLE    no byte of the next request yet         -- first byte       -> HEAD
 *	HEAD    request line and headers arrive         -- head complete    -> BODY, or answer
 *	BODY    the request's body arrives              -- last byte        -> answer
 *	answer  sent at once if the socket takes it     -- all sent         -> IDLE, or next HEAD
 *	SEND    the rest of the answer waits for room   -- all sent         -> IDLE, or next HEAD
 *	LINGER  refused amid a request, or http_last(): the answer is sent, and what still comes is
 *		thrown away for a moment, as closing with unread bytes resets the connection and may
 *		destroy the answer (RFC 9112, 9.6)
 *
 * Buffers: the server has one for what comes in (struct head) and one for generated answers. A
 * connection gets its own copy only of what must outlive the event that brought it: an incomplete
 * head, the head of a request whose body is coming, pipelined requests behind an answer that waits
 * for room, the rest of that answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <http_parser.h>
#include <pith/assert.h>
#include <pith/http.h>
#include <pith/list.h>

#define OUT_BYTES       8192 /* the generated answer's buffer at first; files go in such pieces */
#define PROGRESS_BYTES  4096 /* a body timeout starts again after so many bytes */
#define LINGER_MS       2000
#define ACCEPT_AGAIN_MS 1000 /* after accept failed for lack of descriptors or memory */
#define EVENTS_MAX      32

enum phase { IDLE, HEAD, BODY, SEND, LINGER, PHASES };

/* Where a header lies in head.bytes; both strings end in NUL once the head is complete. */
struct header {
	uint16_t name, name_bytes, value, value_bytes;
};

/* What came in: [0, used); the parser has seen [0, parsed). */
struct head {
	size_t used, parsed;
	size_t target, target_bytes; /* the request line's target */
	unsigned int header_count;
	struct header headers[HTTP_HEADERS_MAX];
	char bytes[HTTP_HEAD_BYTES]; /* last: copies take only what is used */
};

/* An answer on its way: head, then body or file. */
struct out {
	struct iovec head, body;
	bool body_lasts; /* the body need not be copied when it has to wait */
	void *owned;     /* the copy of what had to wait */
	int file;        /* or -1 */
	off_t file_at;
	uint64_t file_left;
};

struct conn {
	struct list link; /* in its phase's list, soonest deadline first; or in the free list */
	struct http_server *server;
	uint64_t deadline_ms;
	enum phase phase;
	int fd;
	uint32_t events;       /* asked of epoll */
	unsigned int progress; /* bytes since the deadline was set */
	struct http_parser parser;
	struct head *head; /* NULL; the server's, during an event; or its own */
	struct http_request request;
	struct out out;
	int refuse_status; /* found by a parser callback; 0: none */
	bool in_value;     /* the last header's value has begun */
	bool head_complete;
	bool begun; /* route->begin succeeded: route->ended is owed */
	bool keep_alive;
	bool linger;
	bool answered;
	void (*gone)(void); /* http_last() */
};

struct text {
	size_t used;
	char bytes[1024];
};

struct http_server {
	struct http_config config;
	int epoll;
	int listeners[2]; /* IPv4, IPv6; -1: none */
	uint16_t port;
	bool accepting;
	uint64_t accept_again_ms;
	uint64_t now_ms;
	unsigned int timeout_ms[PHASES];
	struct list
	    phases[PHASES]; /* sorted by deadline, as all of a phase have the same timeout */
	struct list unused;
	struct head in;
	struct text answer_head, extra_headers;
	char *body; /* generated answer, or piece of a file */
	size_t body_used, body_capacity;
	int body_error; /* the status that it turns the answer into */
	time_t date_of;
	char date[40];
	struct http_stats stats;
	struct conn conns[];
};

/* --- Small helpers --------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct conn *conn_of(struct http_request *rq)
{
	return container_of(rq, struct conn, request);
}

static void add_bytes(struct text *t, const char *bytes, size_t count)
{
	assert(count <= sizeof(t->bytes) - t->used);
	memcpy(t->bytes + t->used, bytes, count);
	t->used += count;
}

static void add(struct text *t, const char *string)
{
	add_bytes(t, string, strlen(string));
}

static void add_number(struct text *t, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	add_bytes(t, digits + at, sizeof(digits) - at);
}

/* May be empty: RFC 9112, 4. */
static const char *reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
	    {200, "OK"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {304, "Not Modified"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {411, "Length Required"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {503, "Service Unavailable"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* --- Connections ----------------------------------------------------------------------------- */

static void enter(struct conn *c, enum phase phase)
{
	struct http_server *s = c->server;

	list_remove(&c->link);
	list_add_tail(&s->phases[phase], &c->link);
	c->phase = phase;
	c->progress = 0;
	c->deadline_ms = s->now_ms + s->timeout_ms[phase];
}

/* Bytes moved; a peer that only dribbles runs into the timeout all the same. */
static void note_progress(struct conn *c, size_t bytes)
{
	c->progress += bytes;
	if (c->progress >= PROGRESS_BYTES && (c->phase == BODY || c->phase == SEND))
		enter(c, c->phase);
}

static void drop_head(struct conn *c)
{
	if (c->head != &c->server->in)
		free(c->head);
	c->head = NULL;
}

static void drop_out(struct conn *c)
{
	free(c->out.owned);
	if (c->out.file >= 0)
		close(c->out.file);
	c->out = (struct out){.file = -1};
}

static void end_request(struct conn *c)
{
	bool owed = c->begun && c->request.route->ended;

	c->begun = false;
	if (owed)
		c->request.route->ended(&c->request);
}

static void conn_close(struct conn *c)
{
	struct http_server *s = c->server;

	end_request(c);
	drop_head(c);
	drop_out(c);
	close(c->fd);
	list_remove(&c->link);
	list_add_head(&s->unused, &c->link);
	s->stats.connections_now--;
	s->accept_again_ms = s->now_ms;
	if (c->gone)
		c->gone();
}

static void conn_lost_for_memory(struct conn *c)
{
	c->server->stats.out_of_memory++;
	conn_close(c);
}

/* Have epoll report events. Returns false if the connection had to be closed. */
static bool watch(struct conn *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (c->events == events)
		return true;
	c->events = events;
	if (epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->fd, &e) == 0)
		return true;
	conn_lost_for_memory(c);
	return false;
}

/* A new request begins, in the server's buffer. */
static void start_request(struct conn *c)
{
	c->head = &c->server->in;
	c->head->header_count = 0;
	c->head->target_bytes = 0;
	c->request = (struct http_request){0};
	c->refuse_status = 0;
	c->head_complete = c->in_value = c->answered = false;
	c->keep_alive = true;
	enter(c, HEAD);
}

/* The head must outlive this event: a copy of its own. Returns false with no memory. */
static bool keep_head(struct conn *c)
{
	struct head *in = &c->server->in, *own;

	if (c->head != in)
		return true;
	own = malloc(sizeof(*own));
	if (!own) {
		c->server->stats.out_of_memory++;
		return false;
	}
	memcpy(own, in, offsetof(struct head, bytes) + in->used);
	c->head = own;
	return true;
}

/* --- The answer ------------------------------------------------------------------------------ */

/* Nothing is left of what an earlier request's callbacks wrote. */
static void fresh_answer(struct http_server *s)
{
	s->body_used = 0;
	s->body_error = 0;
	s->extra_headers.used = 0;
}

/* "Date: ...\r\n", made once a second; "" without a clock, which must not send one (RFC
 * 9110, 6.6.1). */
static const char *date_header(struct http_server *s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	if (now == s->date_of)
		return s->date;
	s->date_of = now;
	s->date[0] = '\0';
	if (now < 1000000000 || !gmtime_r(&now, &tm))
		return s->date;
	snprintf(s->date, sizeof(s->date), "Date: %.3s, %02u %.3s %u %02u:%02u:%02u GMT\r\n",
	         days + 3 * tm.tm_wday, (unsigned int)tm.tm_mday % 100, months + 3 * tm.tm_mon,
	         (unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)tm.tm_hour % 100,
	         (unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100);
	return s->date;
}

/* Status line and headers of an answer of count bytes. */
static void make_head(struct conn *c, int status, const char *type, uint64_t count)
{
	struct http_server *s = c->server;
	struct text *t = &s->answer_head;

	assert(status >= 200 && status <= 599 && !c->answered);
	c->answered = true;
	s->stats.responses[status / 100 - 1]++;
	t->used = 0;
	add(t, "HTTP/1.1 ");
	add_number(t, (unsigned int)status);
	add(t, " ");
	add(t, reason(status));
	add(t, "\r\n");
	add(t, date_header(s));
	if (type) {
		add(t, "Content-Type: ");
		add(t, type);
		add(t, "\r\n");
	}
	if (status != 204 && status != 304) {
		add(t, "Content-Length: ");
		add_number(t, count);
		add(t, "\r\n");
	}
	if (!c->keep_alive)
		add(t, "Connection: close\r\n");
	else if (c->parser.http_minor == 0)
		add(t, "Connection: keep-alive\r\n");
	add_bytes(t, s->extra_headers.bytes, s->extra_headers.used);
	add(t, "\r\n");
	c->out.head = (struct iovec){t->bytes, t->used};
}

static bool wants_body(const struct conn *c, int status)
{
	const char *method = c->request.method; /* NULL: not known yet */

	return status != 204 && status != 304 && !(method && method[0] == 'H');
}

static void answer_bytes(struct conn *c, int status, const char *type, const void *bytes,
                         size_t count, bool lasts)
{
	make_head(c, status, type, count);
	if (!wants_body(c, status))
		return;
	c->out.body = (struct iovec){(void *)bytes, count};
	c->out.body_lasts = lasts;
}

static void answer_error(struct conn *c, int status)
{
	struct http_server *s = c->server;

	if (status == 405)
		http_add_header(&c->request, "Allow",
		                c->parser.method == HTTP_POST ? "GET, HEAD" : "POST");
	if (s->body_error || s->body_used == 0)
		s->body_used =
		    (size_t)snprintf(s->body, s->body_capacity, "%d %s\n", status, reason(status));
	answer_bytes(c, status, "text/plain", s->body, s->body_used, false);
}

/* Answer amid a request: what still comes of it cannot be told from the next one. */
static void refuse(struct conn *c, int status)
{
	end_request(c);
	c->keep_alive = false;
	c->linger = true;
	answer_error(c, status);
}

static bool grow_body(struct http_server *s, size_t needed)
{
	size_t capacity = s->body_capacity;
	char *body;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > HTTP_BODY_BYTES) {
		s->body_error = 500;
		return false;
	}
	body = realloc(s->body, capacity);
	if (!body) {
		s->stats.out_of_memory++;
		s->body_error = 503;
		return false;
	}
	s->body = body;
	s->body_capacity = capacity;
	return true;
}

void http_write(struct http_request *rq, const void *bytes, size_t count)
{
	struct http_server *s = conn_of(rq)->server;
	size_t room = s->body_capacity - s->body_used;

	if (s->body_error || (count > room && !grow_body(s, s->body_used + count)))
		return;
	memcpy(s->body + s->body_used, bytes, count);
	s->body_used += count;
}

void http_printf(struct http_request *rq, const char *fmt, ...)
{
	struct http_server *s = conn_of(rq)->server;
	int count;

	while (!s->body_error) {
		size_t room = s->body_capacity - s->body_used;
		va_list args;

		va_start(args, fmt);
		count = vsnprintf(s->body + s->body_used, room, fmt, args);
		va_end(args);
		if (count >= 0 && (size_t)count < room) {
			s->body_used += (size_t)count;
			return;
		}
		if (count < 0)
			s->body_error = 500;
		else
			grow_body(s, s->body_used + (size_t)count + 1);
	}
}

int http_add_header(struct http_request *rq, const char *name, const char *value)
{
	struct text *t = &conn_of(rq)->server->extra_headers;

	if (strpbrk(name, "\r\n") || strpbrk(value, "\r\n")) {
		errno = EINVAL;
		return -1;
	}
	/* Half of it: the head has as much room again for its own. */
	if (t->used + strlen(name) + strlen(value) + 4 > sizeof(t->bytes) / 2) {
		errno = ENOBUFS;
		return -1;
	}
	add(t, name);
	add(t, ": ");
	add(t, value);
	add(t, "\r\n");
	return 0;
}

int http_reply(struct http_request *rq, int status, const char *type)
{
	struct http_server *s = conn_of(rq)->server;

	if (s->body_error)
		return s->body_error;
	add(&s->extra_headers, "Cache-Control: no-store\r\n");
	answer_bytes(conn_of(rq), status, type, s->body, s->body_used, false);
	return 0;
}

int http_reply_static(struct http_request *rq, int status, const char *type, const void *bytes,
                      size_t count)
{
	answer_bytes(conn_of(rq), status, type, bytes, count, true);
	return 0;
}

const char *http_header(const struct http_request *rq, const char *name)
{
	const struct conn *c = container_of(rq, const struct conn, request);
	const struct head *h = c->head;
	size_t count = strlen(name);

	for (unsigned int i = 0; i < h->header_count; i++)
		if (h->headers[i].name_bytes == count &&
		    strncasecmp(h->bytes + h->headers[i].name, name, count) == 0)
			return h->bytes + h->headers[i].value;
	return NULL;
}

void http_last(struct http_request *rq, void (*gone)(void))
{
	struct conn *c = conn_of(rq);

	c->keep_alive = false;
	c->linger = true;
	c->gone = gone;
}

/* --- Files ----------------------------------------------------------------------------------- */

static const char *media_type(const char *name)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
	    {".html", "text/html; charset=utf-8"},
	    {".css", "text/css; charset=utf-8"},
	    {".js", "text/javascript; charset=utf-8"},
	    {".json", "application/json"},
	    {".svg", "image/svg+xml"},
	    {".png", "image/png"},
	    {".jpg", "image/jpeg"},
	    {".ico", "image/x-icon"},
	    {".txt", "text/plain; charset=utf-8"},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
		if (strcmp(dot, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* Whether Accept-Encoding lists gzip, and not with q=0 (RFC 9110, 12.5.3). */
static bool accepts_gzip(const char *accept)
{
	while (accept && *accept) {
		size_t count;

		accept += strspn(accept, ", \t");
		count = strcspn(accept, ",");
		if (strncasecmp(accept, "gzip", 4) == 0 && strchr(";, \t", accept[4])) {
			const char *q = strstr(accept, "q=");

			return !q || q > accept + count ||
			       strspn(q + 2, "0.") != strcspn(q + 2, ",; \t");
		}
		accept += count;
	}
	return false;
}

/* Whether If-None-Match names etag, which is quoted; weak comparison (RFC 9110, 13.1.2). */
static bool etag_matches(const char *list, const char *etag)
{
	size_t count = strlen(etag);

	if (!list)
		return false;
	if (strcmp(list, "*") == 0)
		return true;
	while ((list = strchr(list, '"'))) {
		const char *end = strchr(list + 1, '"');

		if (!end)
			return false;
		if ((size_t)(end + 1 - list) == count && memcmp(list, etag, count) == 0)
			return true;
		list = end + 1;
	}
	return false;
}

/* An open regular file and its length, or a negative status. */
static int open_file(const char *name, off_t *bytes)
{
	struct stat st;
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -503 : -404;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*bytes = st.st_size;
		return fd;
	}
	close(fd);
	return -404;
}

/* Open the file that answers rq: plain, or packed if there is such a one and the client takes it.
 */
static int open_for(const struct http_request *rq, off_t *bytes, const char **type, bool *packed)
{
	const char *path = rq->path;
	bool folder = path[strlen(path) - 1] == '/';
	char name[256];
	int count, fd;

	count = snprintf(name, sizeof(name) - 3, "%s%s%s", rq->route->directory, path,
	                 folder ? "index.html" : "");
	if (count >= (int)sizeof(name) - 3)
		return -404;
	*type = media_type(name);
	*packed = accepts_gzip(http_header(rq, "Accept-Encoding"));
	if (*packed) {
		strcpy(name + count, ".gz");
		fd = open_file(name, bytes);
		if (fd != -404)
			return fd;
		name[count] = '\0';
		*packed = false;
	}
	return open_file(name, bytes);
}

static int answer_file(struct conn *c)
{
	struct http_request *rq = &c->request;
	const char *version = c->server->config.etag, *type;
	char etag[64];
	bool packed;
	off_t bytes;
	int fd = open_for(rq, &bytes, &type, &packed);

	if (fd < 0)
		return -fd;
	http_add_header(rq, "Vary", "Accept-Encoding");
	http_add_header(rq, "X-Content-Type-Options", "nosniff");
	if (version) {
		snprintf(etag, sizeof(etag), "\"%.40s%s\"", version, packed ? "-gzip" : "");
		http_add_header(rq, "ETag", etag);
		http_add_header(rq, "Cache-Control", "no-cache");
		if (etag_matches(http_header(rq, "If-None-Match"), etag)) {
			close(fd);
			make_head(c, 304, NULL, 0);
			return 0;
		}
	}
	if (packed)
		http_add_header(rq, "Content-Encoding", "gzip");
	make_head(c, 200, type, (uint64_t)bytes);
	if (!wants_body(c, 200) || bytes == 0) {
		close(fd);
		return 0;
	}
	c->out.file = fd;
	c->out.file_left = (uint64_t)bytes;
	return 0;
}

/* The whole request is here. */
static void answer(struct conn *c)
{
	struct http_server *s = c->server;
	const struct http_route *route = c->request.route;
	int status = c->refuse_status;

	if (status == 0) {
		fresh_answer(s);
		status = route->directory ? answer_file(c) : route->respond(&c->request);
	}
	end_request(c);
	assert(c->answered == (status == 0));
	if (status)
		answer_error(c, status);
}

/* --- The request's head ---------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode %XX in place. Returns false: broken, or a control character (NUL, CR, LF, ...) behind it.
 */
static bool percent_decode(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		int value = (unsigned char)*from++;

		if (value == '%') {
			int high = hex_digit(from[0]);
			int low = high < 0 ? -1 : hex_digit(from[1]);

			if (low < 0)
				return false;
			value = high * 16 + low;
			from += 2;
		}
		if (value < 0x20 || value == 0x7f)
			return false;
		*to = (char)value;
	}
	*to = '\0';
	return true;
}

/* Segments "." and "..": clients resolve them before they ask (RFC 3986, 5.2.4), attackers do not.
 */
static bool has_dot_segment(const char *path)
{
	for (const char *p = path; *p;) {
		size_t count = strcspn(++p, "/");

		if ((count == 1 || count == 2) && strncmp(p, "..", count) == 0)
			return true;
		p += count;
	}
	return false;
}

/* Path and query of a target in origin form, or in absolute form as to a proxy (RFC 9112, 3.2). */
static bool parse_target(struct http_request *rq, char *target)
{
	char *query;

	if (target[0] != '/') {
		char *authority = strstr(target, "://");

		if (!authority)
			return false;
		authority += 3;
		target = authority + strcspn(authority, "/?");
		if (*target != '/') /* "http://host?query": over the authority, done with */
			*--target = '/';
	}
	query = strchr(target, '?');
	rq->query = "";
	if (query) {
		*query = '\0';
		rq->query = query + 1;
	}
	rq->path = target;
	return percent_decode(target) && !has_dot_segment(target);
}

/* Header names and values as strings, trailing blanks cut off; every end is a byte already parsed.
 */
static void end_strings(struct head *h)
{
	h->bytes[h->target + h->target_bytes] = '\0';
	for (unsigned int i = 0; i < h->header_count; i++) {
		struct header *f = &h->headers[i];
		const char *value = h->bytes + f->value;

		while (f->value_bytes && strchr(" \t", value[f->value_bytes - 1]))
			f->value_bytes--;
		h->bytes[f->name + f->name_bytes] = '\0';
		if (f->value_bytes)
			h->bytes[f->value + f->value_bytes] = '\0';
		else
			f->value = f->name + f->name_bytes;
	}
}

static unsigned int count_headers(const struct head *h, const char *name)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < h->header_count; i++)
		count += strcasecmp(h->bytes + h->headers[i].name, name) == 0;
	return count;
}

/*
 * Transfer codings other than exactly "chunked": what http-parser lets pass is where requests are
 * smuggled (CVE-2020-8287).
 */
static bool foreign_coding(const struct conn *c)
{
	unsigned int count = count_headers(c->head, "Transfer-Encoding");

	return count > 1 ||
	       (count && strcasecmp(http_header(&c->request, "Transfer-Encoding"), "chunked") != 0);
}

/* The route of a request: 0, 404, or 405 if there is one for the other method only. */
static int find_route(struct conn *c)
{
	const char *path = c->request.path;
	bool post = c->parser.method == HTTP_POST;
	int status = 404;

	for (const struct http_route *r = c->server->config.routes; r->path; r++) {
		bool fits = r->prefix ? strncmp(path, r->path, strlen(r->path)) == 0
		                      : strcmp(path, r->path) == 0;

		if (fits && r->post == post) {
			c->request.route = r;
			return 0;
		}
		if (fits)
			status = 405;
	}
	return status;
}

/* What HTTP itself demands of a head: 0, or the status that refuses the request. */
static int check_head(struct conn *c)
{
	const char *expect = http_header(&c->request, "Expect");
	unsigned int hosts = count_headers(c->head, "Host");

	if (c->parser.http_major != 1)
		return 505;
	switch (c->parser.method) {
	case HTTP_GET:
		c->request.method = "GET";
		break;
	case HTTP_HEAD:
		c->request.method = "HEAD";
		break;
	case HTTP_POST:
		c->request.method = "POST";
		break;
	default:
		return 501;
	}
	if (foreign_coding(c))
		return 501;
	if (hosts > 1 || (hosts == 0 && c->parser.http_minor > 0))
		return 400; /* RFC 9112, 3.2 */
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return 417;
	return parse_target(&c->request, c->head->bytes + c->head->target) ? 0 : 400;
}

/*
 * The client would like to hear this before it sends the body. With no room in the socket it is
 * left out: the client does not wait for ever (RFC 9110, 10.1.1). Returns 0, or the status to
 * refuse with.
 */
static int send_continue(struct conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t n = send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL);

	if (n > 0 && n < (ssize_t)sizeof(text) - 1)
		return 503;
	c->server->stats.responses[0]++;
	return 0;
}

/* Find who answers and ask whether it will. Returns 0, or the status to refuse with. */
static int begin_request(struct conn *c, bool has_body)
{
	struct http_request *rq = &c->request;
	int status = find_route(c);

	if (status)
		return status;
	if (has_body && (!rq->route->body ||
	                 (rq->body_total != -1 && c->parser.content_length > rq->route->body_max)))
		return 413;
	if (rq->route->begin) {
		status = rq->route->begin(rq);
		if (status)
			return status;
		c->begun = true;
	}
	if (!has_body)
		return 0;
	enter(c, BODY);
	return http_header(rq, "Expect") && c->parser.http_minor > 0 ? send_continue(c) : 0;
}

/* --- Parser callbacks: 0, or -1 to stop, with c->refuse_status -------------------------------- */

static int refuse_with(struct conn *c, int status)
{
	c->refuse_status = status;
	return -1;
}

static int on_target(http_parser *p, const char *at, size_t count)
{
	struct conn *c = p->data;

	if (c->head->target_bytes == 0)
		c->head->target = (size_t)(at - c->head->bytes);
	c->head->target_bytes += count;
	return 0;
}

static int on_header_name(http_parser *p, const char *at, size_t count)
{
	struct conn *c = p->data;
	struct head *h = c->head;

	if (c->head_complete) /* a trailer: nobody asks for it */
		return 0;
	if (h->header_count == 0 || c->in_value) {
		if (h->header_count == HTTP_HEADERS_MAX)
			return refuse_with(c, 431);
		h->headers[h->header_count++] = (struct header){.name = at - h->bytes};
		c->in_value = false;
	}
	h->headers[h->header_count - 1].name_bytes += count;
	return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t count)
{
	struct conn *c = p->data;
	struct head *h = c->head;
	struct header *f = &h->headers[h->header_count - 1];

	if (c->head_complete)
		return 0;
	if (!c->in_value)
		f->value = at - h->bytes;
	else if (count && h->bytes + f->value + f->value_bytes != at)
		return refuse_with(c, 400); /* folded over lines: RFC 9112, 5.2 */
	c->in_value = true;
	f->value_bytes += count;
	return 0;
}

static int on_head_complete(http_parser *p)
{
	struct conn *c = p->data;
	bool chunked = p->flags & F_CHUNKED;
	bool sized = p->content_length != 0 && p->content_length != UINT64_MAX;
	bool has_body = chunked || sized;

	c->head_complete = true;
	c->keep_alive = http_should_keep_alive(p);
	p->upgrade = 0; /* we never do; the parser would take what follows for another protocol */
	if (has_body && !keep_head(c))
		return refuse_with(c, 503);
	end_strings(c->head);
	c->refuse_status = check_head(c);
	if (c->refuse_status)
		return -1;
	c->request.body_total = chunked ? -1 : sized ? (int64_t)p->content_length : 0;
	c->refuse_status = begin_request(c, has_body);
	return c->refuse_status && has_body ? -1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t count)
{
	struct conn *c = p->data;
	struct http_request *rq = &c->request;
	int status;

	rq->body_bytes += count;
	c->server->stats.body_in_bytes += count;
	if (rq->body_bytes > rq->route->body_max)
		return refuse_with(c, 413);
	status = rq->route->body(rq, at, count);
	return status ? refuse_with(c, status) : 0;
}

static int on_message_complete(http_parser *p)
{
	http_parser_pause(p, 1); /* one at a time: what follows waits for the answer */
	return 0;
}

static const http_parser_settings parser_settings = {
    .on_url = on_target,
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_headers_complete = on_head_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- Moving bytes ---------------------------------------------------------------------------- */

enum sent { SENT, BLOCKED, LOST };

/* The socket is full: copy what would not live until there is room. */
static enum sent keep_out(struct conn *c)
{
	struct out *o = &c->out;
	size_t body = o->body_lasts ? 0 : o->body.iov_len;
	char *copy;

	if (o->owned || o->head.iov_len + body == 0)
		return BLOCKED;
	copy = malloc(o->head.iov_len + body);
	if (!copy) {
		c->server->stats.out_of_memory++;
		return LOST;
	}
	memcpy(copy, o->head.iov_base, o->head.iov_len);
	if (body) {
		memcpy(copy + o->head.iov_len, o->body.iov_base, body);
		o->body.iov_len = 0;
	}
	o->head = (struct iovec){copy, o->head.iov_len + body};
	o->owned = copy;
	return BLOCKED;
}

static size_t take(struct iovec *v, size_t count)
{
	size_t n = MIN(count, v->iov_len);

	v->iov_base = (char *)v->iov_base + n;
	v->iov_len -= n;
	return count - n;
}

/* Send what the socket takes: head, then body or file, together if possible. */
static enum sent send_out(struct conn *c)
{
	struct http_server *s = c->server;
	struct out *o = &c->out;

	while (o->head.iov_len || o->body.iov_len || o->file_left) {
		struct iovec iov[2] = {o->head, o->body};
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
		ssize_t n, piece = 0;
		size_t rest;

		if (o->file_left) {
			piece = pread(o->file, s->body, MIN(s->body_capacity, o->file_left),
			              o->file_at);
			if (piece <= 0)
				return LOST; /* shorter than it was */
			iov[1] = (struct iovec){s->body, (size_t)piece};
		}
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? keep_out(c) : LOST;
		s->stats.out_bytes += (uint64_t)n;
		note_progress(c, (size_t)n);
		rest = take(&o->head, (size_t)n);
		if (o->file_left) {
			o->file_at += (off_t)rest;
			o->file_left -= rest;
		} else {
			take(&o->body, rest);
		}
		if ((size_t)n < iov[0].iov_len + iov[1].iov_len)
			return keep_out(c);
	}
	drop_out(c);
	return SENT;
}

/* While the answer waits, keep the requests behind it, or give them and the connection up. */
static void keep_rest(struct conn *c, struct head *rx)
{
	size_t rest = c->keep_alive ? rx->used - rx->parsed : 0;
	struct head *own = c->head == &c->server->in ? NULL : c->head;

	if (rest && !own) {
		own = malloc(sizeof(*own));
		if (!own) {
			c->server->stats.out_of_memory++;
			c->keep_alive = false;
		}
	}
	if (!own || !rest) {
		c->head = own;
		drop_head(c);
		return;
	}
	memmove(own->bytes, rx->bytes + rx->parsed, rest);
	own->used = rest;
	own->parsed = 0;
	c->head = own;
}

/* The answer is out. Returns true if bytes of a next request are in the server's buffer. */
static bool next_request(struct conn *c, struct head *rx)
{
	struct head *in = &c->server->in;
	size_t rest = rx ? rx->used - rx->parsed : 0;

	if (!c->keep_alive && c->linger) {
		drop_head(c);
		shutdown(c->fd, SHUT_WR);
		enter(c, LINGER);
		watch(c, EPOLLIN);
		return false;
	}
	if (!c->keep_alive) {
		conn_close(c);
		return false;
	}
	if (rest)
		memmove(in->bytes, rx->bytes + rx->parsed, rest);
	in->used = rest;
	in->parsed = 0;
	drop_head(c);
	if (rest)
		start_request(c);
	else
		enter(c, IDLE);
	return watch(c, EPOLLIN) && rest;
}

/*
 * Send the answer, as far as it goes now. rx: where the requests behind it are; NULL: none, or none
 * that will be answered. Returns as next_request.
 */
static bool deliver(struct conn *c, struct head *rx)
{
	switch (send_out(c)) {
	case SENT:
		return next_request(c, rx);
	case BLOCKED:
		if (c->phase != SEND) {
			keep_rest(c, rx);
			enter(c, SEND);
			watch(c, EPOLLOUT);
		}
		return false;
	default:
		conn_close(c);
		return false;
	}
}

static int parse_error(const struct conn *c, const struct head *rx)
{
	char offending = rx->bytes[rx->parsed] | 0x20;

	switch (HTTP_PARSER_ERRNO(&c->parser)) {
	case HPE_INVALID_METHOD:
		return offending >= 'a' && offending <= 'z' ? 501 : 400;
	case HPE_HEADER_OVERFLOW:
		return 431;
	default:
		return 400;
	}
}

/* All that came is parsed. Returns 0, or the status that refuses the request. */
static int wait_for_more(struct conn *c, const struct head *rx)
{
	if (c->phase == BODY)
		return 0;
	if (rx->used == sizeof(rx->bytes))
		return c->head->header_count ? 431 : 414;
	return keep_head(c) ? 0 : 503;
}

/* Parse and answer everything in rx. */
static void serve(struct conn *c, struct head *rx)
{
	int status;

	do {
		fresh_answer(c->server);
		rx->parsed += http_parser_execute(&c->parser, &parser_settings,
		                                  rx->bytes + rx->parsed, rx->used - rx->parsed);
		switch (HTTP_PARSER_ERRNO(&c->parser)) {
		case HPE_OK:
			status = wait_for_more(c, rx);
			if (status == 0)
				return;
			refuse(c, status);
			break;
		case HPE_PAUSED:
			http_parser_pause(&c->parser, 0);
			c->server->stats.requests++;
			answer(c);
			break;
		default:
			refuse(c, c->refuse_status ? c->refuse_status : parse_error(c, rx));
		}
	} while (deliver(c, rx) && (rx = &c->server->in));
}

static void on_readable(struct conn *c)
{
	struct head *in = &c->server->in;
	struct head *rx = c->phase == HEAD ? c->head : in;
	ssize_t n;

	if (rx == in)
		rx->used = rx->parsed = 0;
	n = recv(c->fd, rx->bytes + rx->used, sizeof(rx->bytes) - rx->used, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	note_progress(c, (size_t)n);
	rx->used += (size_t)n;
	if (c->phase == LINGER)
		return;
	if (c->phase == IDLE)
		start_request(c);
	serve(c, rx);
}

static void on_event(struct conn *c, uint32_t events)
{
	if (events & EPOLLERR)
		conn_close(c);
	else if (c->phase != SEND)
		on_readable(c);
	else if (deliver(c, c->head))
		serve(c, &c->server->in);
}

static void on_timeout(struct conn *c)
{
	struct http_server *s = c->server;

	if (c->phase != IDLE && c->phase != LINGER)
		s->stats.timeouts++;
	if (c->phase == HEAD || c->phase == BODY) {
		fresh_answer(s);
		refuse(c, 408);
		deliver(c, NULL);
	} else {
		conn_close(c);
	}
}

/* --- The server ------------------------------------------------------------------------------ */

static void listen_again(struct http_server *s, bool accepting)
{
	s->accepting = accepting;
	for (unsigned int i = 0; i < ARRAY_LEN(s->listeners); i++) {
		struct epoll_event e = {.events = accepting ? EPOLLIN : 0,
		                        .data.ptr = &s->listeners[i]};

		if (s->listeners[i] >= 0)
			epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listeners[i], &e);
	}
}

/* Too many connections: the one idle for longest makes room. Returns false if all are busy. */
static bool make_room(struct http_server *s)
{
	struct list *idle = &s->phases[IDLE];

	if (!list_empty(&s->unused))
		return true;
	if (list_empty(idle))
		return false;
	conn_close(container_of(idle->next, struct conn, link));
	return true;
}

static void refuse_connection(struct http_server *s, int fd)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
	                           "Content-Length: 0\r\nConnection: close\r\n\r\n";

	send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL); /* a courtesy */
	close(fd);
	s->stats.connections_refused++;
}

static void take_connection(struct http_server *s, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct conn *c;
	int one = 1;

	if (!make_room(s)) {
		refuse_connection(s, fd);
		return;
	}
	c = container_of(s->unused.next, struct conn, link);
	*c = (struct conn){.link = c->link, .server = s, .fd = fd, .events = EPOLLIN};
	c->out.file = -1;
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->stats.connections++;
	s->stats.connections_now++;
	enter(c, IDLE);
	e.data.ptr = c;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		conn_lost_for_memory(c);
}

static void on_listener(struct http_server *s, int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0) {
			take_connection(s, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			/* No descriptors or no memory: look again when there may be some. */
			s->stats.out_of_memory++;
			listen_again(s, false);
			s->accept_again_ms = s->now_ms + ACCEPT_AGAIN_MS;
			return;
		}
	}
}

static struct conn *first_of(struct http_server *s, enum phase phase)
{
	struct list *l = &s->phases[phase];

	return list_empty(l) ? NULL : container_of(l->next, struct conn, link);
}

static void run_timeouts(struct http_server *s)
{
	for (enum phase phase = 0; phase < PHASES; phase++) {
		struct conn *c;

		while ((c = first_of(s, phase)) && c->deadline_ms <= s->now_ms)
			on_timeout(c);
	}
	if (!s->accepting && s->accept_again_ms <= s->now_ms)
		listen_again(s, true);
}

/* Milliseconds until the next deadline, at most `most` (-1: no limit). */
static int next_timeout(struct http_server *s, int most)
{
	uint64_t next = s->accepting ? UINT64_MAX : s->accept_again_ms;
	uint64_t now = now_ms();

	for (enum phase phase = 0; phase < PHASES; phase++) {
		struct conn *c = first_of(s, phase);

		if (c)
			next = MIN(next, c->deadline_ms);
	}
	if (next == UINT64_MAX)
		return most;
	next = next > now ? MIN(next - now, 3600000) : 0;
	return most >= 0 && (uint64_t)most < next ? most : (int)next;
}

int http_step(struct http_server *s, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	bool ready[ARRAY_LEN(s->listeners)] = {false, false};
	int count = epoll_wait(s->epoll, events, EVENTS_MAX, next_timeout(s, timeout_ms));

	if (count < 0 && errno != EINTR)
		return -1;
	s->now_ms = now_ms();
	for (int i = 0; i < count; i++) {
		void *source = events[i].data.ptr;

		if (source == &s->listeners[0] || source == &s->listeners[1])
			ready[(int *)source - s->listeners] = true;
		else
			on_event(source, events[i].events);
	}
	run_timeouts(s);
	/* Last: making room closes connections, for which there may have been events. */
	for (unsigned int l = 0; l < ARRAY_LEN(s->listeners); l++)
		if (ready[l])
			on_listener(s, s->listeners[l]);
	return 0;
}

/* Returns a listening socket in epoll, or -1 with errno. A port of 0 becomes the one chosen. */
static int listen_on(struct http_server *s, int *listener, int family)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(s->port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(s->port)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = listener};
	struct sockaddr *address = family == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t bytes = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int one = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	*listener = fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* A socket for each family: not every stack has both in one. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -1;
	if (bind(fd, address, bytes) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, address, &bytes) < 0)
		return -1;
	s->port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

static int start(struct http_server *s)
{
	s->body = malloc(OUT_BYTES);
	if (!s->body)
		return -1;
	s->body_capacity = OUT_BYTES;
	s->epoll = epoll_create1(0);
	if (s->epoll < 0)
		return -1;
	if (listen_on(s, &s->listeners[0], AF_INET) < 0)
		return -1;
	/* An IPv4-only stack is fine; anything else that is wrong is not. */
	if (listen_on(s, &s->listeners[1], AF_INET6) == 0)
		return 0;
	return s->listeners[1] < 0 && errno == EAFNOSUPPORT ? 0 : -1;
}

struct http_server *http_open(const struct http_config *config)
{
	unsigned int max = config->connections_max ? config->connections_max : 64;
	struct http_server *s = calloc(1, sizeof(*s) + max * sizeof(s->conns[0]));

	if (!s)
		return NULL;
	s->config = *config;
	s->port = config->port;
	s->epoll = s->listeners[0] = s->listeners[1] = -1;
	s->accepting = true;
	s->now_ms = now_ms();
	s->timeout_ms[IDLE] = config->idle_timeout_ms ? config->idle_timeout_ms : 30000;
	s->timeout_ms[HEAD] = config->head_timeout_ms ? config->head_timeout_ms : 10000;
	s->timeout_ms[BODY] = config->body_timeout_ms ? config->body_timeout_ms : 20000;
	s->timeout_ms[SEND] = s->timeout_ms[BODY];
	s->timeout_ms[LINGER] = LINGER_MS;
	s->stats.connections_max = max;
	for (enum phase phase = 0; phase < PHASES; phase++)
		list_init(&s->phases[phase]);
	list_init(&s->unused);
	for (unsigned int i = 0; i < max; i++)
		list_add_tail(&s->unused, &s->conns[i].link);
	http_parser_set_max_header_size(HTTP_HEAD_BYTES);
	if (start(s) == 0)
		return s;
	http_close(s);
	return NULL;
}

void http_close(struct http_server *s)
{
	int error = errno;

	for (enum phase phase = 0; phase < PHASES; phase++)
		while (!list_empty(&s->phases[phase]))
			conn_close(first_of(s, phase));
	for (unsigned int i = 0; i < ARRAY_LEN(s->listeners); i++)
		if (s->listeners[i] >= 0)
			close(s->listeners[i]);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s->body);
	free(s);
	errno = error;
}

uint16_t http_port(const struct http_server *s)
{
	return s->port;
}

void http_stats(const struct http_server *s, struct http_stats *stats)
{
	*stats = s->stats;
}
