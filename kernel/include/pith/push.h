/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that somebody brings (features `ota` and `http`): POST /update with the update file as its
 * body and `Authorization: Bearer TOKEN`, where TOKEN is `token` of the device's configuration.
 *
 *	static const struct http_route routes[] = {
 *		PUSH_ROUTE,
 *		...
 *	};
 *
 * The file goes to the other slot as it arrives. When all of it is there and verified, the answer is
 * 200 and `{"version":"1.3.0","slot":"B"}`, and once the client has that the machine restarts to try
 * the new image. Every refusal is a sentence in plain text:
 *
 *	400  damaged or truncated           412  same or older version, or below the least
 *	401  no token, or a wrong one       413  larger than the slot
 *	403  the device has no token        415  another product's
 *	409  another update is under way    422  wrong signature
 *	411  no Content-Length              501  not booted from a slot
 *	500  the disk failed                503  this image is not confirmed yet; no memory
 *
 * 401 to 411, 413, 501 and 503 come before the body. A request that ends early, however it does, leaves
 * the other slot without an image, and nothing else behind.
 *
 * Guessing tokens is not slowed down, since whoever guesses would then lock the owner out: a token has
 * at least PUSH_TOKEN_MIN characters instead (token=random has 32). The token crosses the wire in
 * clear; what keeps a wrong image out is its signature.
 *
 * Source: RFC 9110 (status codes), RFC 6750, section 2.1 (Bearer).
 */
#ifndef PITH_PUSH_H
#define PITH_PUSH_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/http.h>

#define PUSH_TOKEN_MIN 16 /* with a shorter one push is off */

/* Whether the device has a token that push takes. */
bool push_enabled(void);
/* Whether the request has it. Takes the same time for every wrong one. */
bool push_authorized(const struct http_request *rq);

/* The callbacks of PUSH_ROUTE (pith/http.h). They block for the disk. */
int push_begin(struct http_request *rq);
int push_body(struct http_request *rq, const void *bytes, size_t count);
int push_respond(struct http_request *rq);
void push_ended(struct http_request *rq);

#define PUSH_ROUTE                                                                               \
	{                                                                                        \
		.path = "/update", .post = true, .respond = push_respond, .body_max = INT64_MAX, \
		.begin = push_begin, .body = push_body, .ended = push_ended,                     \
	}

#endif
