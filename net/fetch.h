/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 client: GET, one connection a request, redirects, a range. Plain POSIX sockets, so that
 * the same source also runs on Linux; parsing by http-parser.
 *
 * Source: RFC 9110 (semantics; section 14 for ranges), RFC 9112.
 */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include <stddef.h>
#include <stdint.h>

#define FETCH_URL_BYTES    512u
#define FETCH_ETAG_BYTES   96u
#define FETCH_WHY_BYTES    160u
#define FETCH_REDIRECTS    5u
#define FETCH_SILENT_MS    30000 /* to connect, or without a byte */
#define FETCH_WINDOW_MS    60000 /* in which at least so many bytes come: */
#define FETCH_WINDOW_BYTES 4096u

struct fetch {
	/* What is asked for: from this byte on, if the file is still the one with this ETag. */
	uint64_t from;
	const char *if_etag; /* NULL or "" with from = 0 */
	/*
	 * The bytes of an answer 200 or 206, in order; what head says is known before the first. Nonzero
	 * ends it, and fetch() returns that.
	 */
	int (*head)(struct fetch *f);
	int (*body)(struct fetch *f, const void *bytes, size_t count);
	void *ctx;

	/* The answer's head. */
	int status;
	int64_t length;              /* of the body; -1: not told */
	uint64_t first_byte;         /* of a 206, where the body starts */
	char etag[FETCH_ETAG_BYTES]; /* strong ones only, as sent; "" */
	uint32_t retry_after_s;      /* 0: not told */
	char url[FETCH_URL_BYTES];   /* where it came from, after redirects */
	char why[FETCH_WHY_BYTES];   /* a sentence, if fetch() fails */
};

/*
 * Get a URL (http only).
 *
 * Blocks   yes: until the answer is complete, or nothing comes in time
 * Returns  0: a whole answer, whatever its status; -EINVAL the URL; -EHOSTUNREACH no such host;
 *          -ETIMEDOUT silent or too slow; -ECONNRESET ended early; -EPROTO not HTTP;
 *          -ELOOP too many redirects; -ENOMEM; another negative errno of the connection; what head or
 *          body returned
 */
int fetch(const char *url, struct fetch *f);

/*
 * The URL that `reference` means in the document at base (RFC 3986, section 5.2, without "." segments):
 * absolute, or a path, or relative to base's folder.
 *
 * out      FETCH_URL_BYTES
 * Returns  0; -EINVAL
 */
int fetch_resolve(const char *base, const char *reference, char *out);

#endif
