/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server (feature `http`): plain POSIX sockets and epoll, one thread, so that the
 * same source also runs on Linux.
 *
 *	static int hello(struct http_request *rq)
 *	{
 *		http_printf(rq, "Hello, %s\n", http_header(rq, "User-Agent") ?: "stranger");
 *		return http_reply(rq, 200, "text/plain");
 *	}
 *
 *	static const struct http_route routes[] = {
 *		{ .path = "/hello", .respond = hello },
 *		{ .path = "/", .prefix = true, .directory = "/www" },
 *		{},
 *	};
 *
 *	struct http_server *server = http_open(&(struct http_config){ .port = 80, .routes = routes
 *}); while (http_step(server, -1) == 0)
 *		;
 *
 * Requests of one connection are answered in order (pipelining); connections stay open as the
 *client wishes. What a request needs is in one buffer of the server's while it arrives in one
 *piece, as it nearly always does: then nothing is allocated, and an idle connection holds no buffer
 *at all.
 *
 * Bad requests (400, 404, 405, 408, 413, 414, 417, 431, 501, 505) and missing memory (503) are
 * answered by the server. Nothing that a client sends ends the program.
 *
 * All functions belong to the thread that calls http_step().
 * Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1); parsing by http-parser.
 */
#ifndef PITH_HTTP_H
#define PITH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/compiler.h>

/* Bytes of a request's line and headers, and how many headers: beyond, 431. */
#define HTTP_HEAD_BYTES  8192
#define HTTP_HEADERS_MAX 64
/* Bytes of a generated answer: beyond, 500. */
#define HTTP_BODY_BYTES (256 * 1024)

struct http_server;

/* A request. Strings live until respond() returns; their bytes are free of CR, LF and NUL. */
struct http_request {
	const char *method;  /* "GET", "HEAD", "POST" */
	const char *path;    /* percent-decoded, starts with '/', has no "." or ".." segments */
	const char *query;   /* after '?', as sent; "" if none */
	uint64_t body_bytes; /* of the request's body, received so far */
	int64_t body_total;  /* Content-Length; -1: not known (chunked) */
	const struct http_route *route;
	void *user; /* the app's, for this request */
};

/*
 * What answers a path. The first route that fits wins: exact path, or with prefix everything that
 * starts with it.
 *
 * With directory, GET and HEAD are answered with the file directory + path ("index.html" appended
 * to a path ending in '/'; name.gz instead of name if it is there and the client takes gzip).
 *
 * Otherwise respond is called when the whole request is here. It answers by http_reply() or
 * http_reply_static() and returns their result, or returns a status to answer with (404, ...); its
 * text is then what was written, or else the status itself. HEAD goes the way of GET: the body is
 * counted but not sent.
 *
 * A body is accepted by routes with a body callback only, up to body_max bytes, and handed over as
 * it arrives, in pieces of at most HTTP_HEAD_BYTES. begin, if there, is called before the first
 * piece (and before 100 Continue), body for each; anything but 0 refuses the request with that
 * status, and the text that was written. ended, if there, is called exactly once for each begin
 * that returned 0: after respond, or when the request was refused or its connection lost on the way.
 *
 * Callbacks may block, but everybody waits meanwhile. They must not close the server.
 */
struct http_route {
	const char *path;
	bool prefix;
	bool post; /* POST instead of GET and HEAD */
	const char *directory;
	int (*respond)(struct http_request *rq);
	uint64_t body_max; /* bytes */
	int (*begin)(struct http_request *rq);
	int (*body)(struct http_request *rq, const void *bytes, size_t count);
	void (*ended)(struct http_request *rq);
};

struct http_config {
	uint16_t port;                   /* 0: any free one (http_port()) */
	const struct http_route *routes; /* ends with an empty one; must outlive the server */
	/*
	 * Names this version of all files, without quotes: their ETag, so that unchanged files are
	 * not sent again (304). NULL: none. An image's build id is a good one.
	 */
	const char *etag;
	/* Connections at a time. Beyond, the longest idle one makes room, or the new one gets 503.
	 */
	unsigned int connections_max; /* 0: 64 */
	/* Milliseconds; 0: the default in brackets. */
	unsigned int idle_timeout_ms; /* between requests [30 s] */
	unsigned int
	    head_timeout_ms; /* from a request's first byte to the end of its head [10 s] */
	unsigned int body_timeout_ms; /* for each 4 KiB of body in or answer out [20 s] */
};

/*
 * Listen on IPv4 and IPv6.
 *
 * Blocks   no
 * Returns  the server; NULL with errno (ENOMEM, EADDRINUSE, ...)
 */
struct http_server *http_open(const struct http_config *config);
/* Close all connections and free everything. */
void http_close(struct http_server *s);
uint16_t http_port(const struct http_server *s);

/*
 * Wait for something to do, do all that can be done without waiting, return.
 *
 * timeout_ms  to wait at most; -1: for ever; 0: not at all
 * Blocks      yes
 * Returns     0; -1 with errno (epoll itself failed)
 */
int http_step(struct http_server *s, int timeout_ms);

/* In a request: the value of a header (name in any case; the first if repeated), or NULL. */
const char *http_header(const struct http_request *rq, const char *name);

/*
 * Append to the answer's body. Errors (no memory, HTTP_BODY_BYTES exceeded) are remembered and turn
 * http_reply() into 503 or 500, so that they need not be checked.
 */
void http_write(struct http_request *rq, const void *bytes, size_t count);
void http_printf(struct http_request *rq, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Add a header to the answer. Returns 0; -1 with errno EINVAL (CR or LF in it), ENOBUFS. */
int http_add_header(struct http_request *rq, const char *name, const char *value);

/*
 * Answer with what was written. Sent with Cache-Control: no-store.
 *
 * type     media type of the body; NULL: no Content-Type
 * Returns  0, or the status that respond must return
 */
int http_reply(struct http_request *rq, int status, const char *type);
/* Answer with bytes that are never changed nor freed; they are not copied. */
int http_reply_static(struct http_request *rq, int status, const char *type, const void *bytes,
                      size_t count);
/*
 * In respond: this answer is the last of its connection. gone is called when the client has it: when
 * it has closed its end, or has not done so within 2 s, or the connection is lost.
 */
void http_last(struct http_request *rq, void (*gone)(void));

/* Since http_open. */
struct http_stats {
	uint64_t connections;         /* accepted */
	uint64_t connections_refused; /* answered with 503 as all were in use */
	uint64_t requests;
	uint64_t responses[5];  /* by class: 1xx (100 Continue) .. 5xx */
	uint64_t timeouts;      /* connections closed for slowness (idle ones do not count) */
	uint64_t out_of_memory; /* answers or connections lost for lack of memory */
	uint64_t body_in_bytes, out_bytes;
	unsigned int connections_now, connections_max;
};
void http_stats(const struct http_server *s, struct http_stats *stats);

#endif
