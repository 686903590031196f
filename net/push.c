/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates by HTTP (pith/push.h). While the update that is under way is a request's, its `user` is not
 * NULL: what ends without it must not end another's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/push.h>

static bool restarting; /* an update is taken, and its answer on its way */

static const char *configured_token(void)
{
	const char *token = getenv("token");

	return token && strlen(token) >= PUSH_TOKEN_MIN ? token : NULL;
}

bool push_enabled(void)
{
	return configured_token() != NULL;
}

/* Every byte is compared, whatever the others were; how many there are is no secret. */
static bool same(const char *token, const char *sent)
{
	size_t bytes = strlen(token);
	volatile unsigned char different = strlen(sent) != bytes;

	if (different)
		return false;
	for (size_t i = 0; i < bytes; i++)
		different |= (unsigned char)(token[i] ^ sent[i]);
	return !different;
}

bool push_authorized(const struct http_request *rq)
{
	const char *token = configured_token();
	const char *sent = http_header(rq, "Authorization");

	if (!token || !sent || strncasecmp(sent, "Bearer ", 7) != 0)
		return false;
	return same(token, sent + 7 + strspn(sent + 7, " "));
}

static int status_of(int error)
{
	switch (error) {
	case -EBADMSG:
		return 400;
	case -EBUSY:
		return 409;
	case -EALREADY:
	case -ESTALE:
		return 412;
	case -EFBIG:
		return 413;
	case -EPERM:
		return 415;
	case -ENOKEY:
	case -EKEYREJECTED:
		return 422;
	case -ENODEV:
		return 501;
	case -EAGAIN:
	case -ENOMEM:
		return 503;
	default:
		return 500;
	}
}

static int refuse(struct http_request *rq, int error)
{
	http_printf(rq, "%s\n", ota_error());
	return status_of(error);
}

static int refuse_stranger(struct http_request *rq)
{
	if (!push_enabled()) {
		http_printf(rq,
		            "push is off: this device's configuration has no token of at least "
		            "%d characters\n",
		            PUSH_TOKEN_MIN);
		return 403;
	}
	http_add_header(rq, "WWW-Authenticate", "Bearer");
	http_printf(rq, "%s\n",
	            http_header(rq, "Authorization") ? "the token is wrong" : "a token is needed");
	return 401;
}

int push_begin(struct http_request *rq)
{
	int error;

	if (!push_authorized(rq))
		return refuse_stranger(rq);
	if (rq->body_total <= 0) {
		http_printf(rq, "an update comes with its Content-Length\n");
		return 411;
	}
	if (restarting) {
		http_printf(rq, "another update is taken already, and about to be started\n");
		return 409;
	}
	error = ota_begin((uint64_t)rq->body_total);
	if (error)
		return refuse(rq, error);
	rq->user = rq;
	return 0;
}

/* After an error of ota_write() or ota_finish() the update is over, and the next may be another's. */
int push_body(struct http_request *rq, const void *bytes, size_t count)
{
	int error = ota_write(bytes, count);

	if (!error)
		return 0;
	rq->user = NULL;
	return refuse(rq, error);
}

int push_respond(struct http_request *rq)
{
	char version[VERSION_TEXT_BYTES];
	struct ota_status s;
	int error = ota_finish(), other;

	if (error) {
		rq->user = NULL;
		return refuse(rq, error);
	}
	error = ota_activate();
	if (error)
		return refuse(rq, error);
	rq->user = NULL;
	restarting = true;
	ota_status(&s);
	other = s.running == 'A';
	http_printf(rq, "{\"version\":\"%s\",\"slot\":\"%c\"}\n",
	            version_format(s.slot[other].version, version), 'A' + other);
	http_last(rq, machine_restart);
	return http_reply(rq, 200, "application/json");
}

void push_ended(struct http_request *rq)
{
	if (rq->user)
		ota_abort();
}
