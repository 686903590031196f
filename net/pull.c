/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that the device fetches itself (pith/pull.h): a look at the channel, a download that
 * survives its connections, and a thread that looks again and again. The server is not trusted with
 * more than its own bytes: what is fetched is verified like everything else (pith/ota.h).
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/pull.h>
#include "fetch.h"

#define CHANNEL_BYTES   4096u
#define CHANNEL_TOKENS  64
#define STRING_BYTES    256u
#define DAY_S           86400u
#define INTERVAL_MAX_S  (7 * DAY_S)
#define FIRST_LOOK_S    60u   /* at the latest, after the start */
#define FIRST_RETRY_S   60u   /* after one failure; doubling */
#define NETWORK_RETRY_S 3600u /* of a version that found no network; doubling */
/* Connections in a row that brought nothing, 1, 2, 4, ... 64 s apart, before a download is given up. */
#define PATIENCE    12
#define PAUSE_MAX_S 64u

/* --- What is going on, for pull_status() --------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pull_status status;
static int64_t next_look_ms;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How a look ended, said in the log when it is not what the one before said. */
static int ended(int result, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int ended(int result, const char *fmt, ...)
{
	char text[sizeof(status.outcome)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pthread_mutex_lock(&lock);
	if (strcmp(text, status.outcome) != 0)
		klog("pull: %s", text);
	strcpy(status.outcome, text);
	pthread_mutex_unlock(&lock);
	return result;
}

void pull_status(struct pull_status *s)
{
	int64_t left_ms;

	pthread_mutex_lock(&lock);
	*s = status;
	left_ms = next_look_ms - now_ms();
	s->next_look_s = left_ms > 0 ? (uint32_t)((left_ms + 999) / 1000) : 0;
	pthread_mutex_unlock(&lock);
}

/* --- The channel --------------------------------------------------------------------------------- */

struct channel {
	char product[STRING_BYTES], version_text[STRING_BYTES], url[STRING_BYTES];
	uint32_t version;
};

struct text {
	char bytes[CHANNEL_BYTES];
	size_t count;
};

static int take_text(struct fetch *f, const void *bytes, size_t count)
{
	struct text *t = f->ctx;

	if (count > sizeof(t->bytes) - t->count) {
		snprintf(f->why, sizeof(f->why), "it is larger than %u bytes", CHANNEL_BYTES);
		return -EFBIG;
	}
	memcpy(t->bytes + t->count, bytes, count);
	t->count += count;
	return 0;
}

/* Of escapes only \/ makes sense in what we look for. */
static bool copy_string(const char *json, const jsmntok_t *t, char *out)
{
	size_t n = 0;

	if (t->type != JSMN_STRING)
		return false;
	for (int i = t->start; i < t->end; i++) {
		if (json[i] == '\\' && json[i + 1] == '/')
			i++;
		if (json[i] == '\\' || (unsigned char)json[i] < ' ' || n + 1 == STRING_BYTES)
			return false;
		out[n++] = json[i];
	}
	out[n] = '\0';
	return true;
}

static bool is_key(const char *json, const jsmntok_t *t, const char *name)
{
	size_t bytes = (size_t)(t->end - t->start);

	return t->type == JSMN_STRING && t->size == 1 && bytes == strlen(name) &&
	       !memcmp(json + t->start, name, bytes);
}

/* How many tokens the value at t takes, itself included: those that start inside of it. */
static int span(const jsmntok_t *t, int count)
{
	int n = 1;

	while (n < count && t[n].start < t[0].end)
		n++;
	return n;
}

/* The string of a key of the outermost object. */
static bool find_string(const char *json, const jsmntok_t *t, int count, const char *name,
                        char *out)
{
	for (int i = 1; i + 1 < count; i += 1 + span(t + i + 1, count - i - 1)) {
		if (is_key(json, t + i, name))
			return copy_string(json, t + i + 1, out);
	}
	return false;
}

static bool parse_channel(const char *json, size_t bytes, struct channel *c)
{
	jsmntok_t tokens[CHANNEL_TOKENS];
	jsmn_parser parser;
	int count;

	jsmn_init(&parser);
	count = jsmn_parse(&parser, json, bytes, tokens, CHANNEL_TOKENS);
	if (count < 1 || tokens[0].type != JSMN_OBJECT ||
	    !find_string(json, tokens, count, "product", c->product) ||
	    !find_string(json, tokens, count, "version", c->version_text) ||
	    !find_string(json, tokens, count, "url", c->url))
		return false;
	c->version = version_parse(c->version_text);
	return c->version != 0;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return MAX(a, b);
}

/* An answer that is not the file. */
static int refused(const struct fetch *f, const char *what, uint32_t *wait_s)
{
	*wait_s = max_u32(*wait_s, f->retry_after_s);
	return ended(-EIO, "%s: the server says %d", what, f->status);
}

static int get_channel(const char *url, struct channel *c, char *from, uint32_t *wait_s)
{
	struct text *t = calloc(1, sizeof(*t));
	struct fetch f = {.body = take_text, .ctx = t};
	int error;

	if (!t)
		return ended(-ENOMEM, "no memory for the channel");
	error = fetch(url, &f);
	if (error)
		ended(error, "%.80s: %.100s", url, f.why);
	else if (f.status != 200)
		error = refused(&f, "channel", wait_s);
	else if (!parse_channel(t->bytes, t->count, c))
		error = ended(-EINVAL,
		              "%.80s: not a channel: it must be a JSON object with product, "
		              "version and url",
		              url);
	else if (strcmp(c->product, image_name) != 0)
		error = ended(-EPERM, "the channel is for \"%.40s\", this is %s", c->product,
		              image_name);
	strcpy(from, f.url);
	free(t);
	return error;
}

/* --- Is it wanted? ------------------------------------------------------------------------------- */

/* Seconds from boot until a version that found no network may be tried again. */
static uint32_t network_retry_s(unsigned int retries)
{
	return retries > 5 ? DAY_S : MIN(NETWORK_RETRY_S << (retries ? retries - 1 : 0), DAY_S);
}

/* 1: yes; otherwise what the look ends with. */
static int wanted(const struct channel *c)
{
	struct ota_status s;
	int64_t wait_s;

	ota_status(&s);
	if (!s.running)
		return ended(-ENODEV, "not booted from a slot: nothing to update");
	if (c->version == s.slot[s.running - 'A'].version)
		return ended(0, "version %s runs already", c->version_text);
	if (c->version < s.slot[s.running - 'A'].version)
		return ended(0, "version %s is older than what runs", c->version_text);
	if (c->version < s.min_version)
		return ended(0, "version %s is below the least that is accepted", c->version_text);
	if (c->version != s.bad_version)
		return 1;
	if (strcmp(s.why, "network") != 0)
		return ended(0, "version %s failed on this device (%s)", c->version_text, s.why);
	wait_s = (int64_t)network_retry_s(s.retries) - now_ms() / 1000;
	if (wait_s > 0)
		return ended(0, "version %s found no network; it is tried again later",
		             c->version_text);
	return 1;
}

/* --- The download -------------------------------------------------------------------------------- */

struct download {
	bool begun,
	    over; /* ota_begin() succeeded; ota_*() failed, so that going on makes no sense */
	uint64_t file_bytes, done;
	uint64_t skip; /* bytes of the answer that are here already */
	char etag[FETCH_ETAG_BYTES];
};

static int ota_failed(struct fetch *f, struct download *d, int error)
{
	d->over = true;
	snprintf(f->why, sizeof(f->why), "%s", ota_error());
	return error;
}

static int nonsense(struct fetch *f, struct download *d, const char *why)
{
	d->over = true;
	snprintf(f->why, sizeof(f->why), "%s", why);
	return -EPROTO;
}

static int begin(struct fetch *f, struct download *d)
{
	int error;

	if (d->begun)
		ota_abort();
	d->begun = false;
	if (f->length < 0)
		return nonsense(f, d, "the server does not say how long the update is");
	error = ota_begin((uint64_t)f->length);
	if (error)
		return ota_failed(f, d, error);
	d->begun = true;
	d->file_bytes = (uint64_t)f->length;
	d->done = d->skip = 0;
	strcpy(d->etag, f->etag);
	return 0;
}

/* The rest; or all of it again, by a server that knows no ranges; or another file by now. */
static int take_head(struct fetch *f)
{
	struct download *d = f->ctx;

	if (f->status == 206) {
		if (!f->from || f->first_byte != d->done ||
		    (f->length >= 0 && (uint64_t)f->length != d->file_bytes - d->done))
			return nonsense(f, d,
			                "the server sent another range than it was asked for");
		d->skip = 0;
		return 0;
	}
	if (d->begun && d->etag[0] && !strcmp(d->etag, f->etag) && f->length >= 0 &&
	    (uint64_t)f->length == d->file_bytes) {
		d->skip = d->done;
		return 0;
	}
	return begin(f, d);
}

static int take_body(struct fetch *f, const void *bytes, size_t count)
{
	struct download *d = f->ctx;
	size_t skip = (size_t)MIN(d->skip, count);
	int error;

	d->skip -= skip;
	error = ota_write((const uint8_t *)bytes + skip, count - skip);
	if (error)
		return ota_failed(f, d, error);
	d->done += count - skip;
	return 0;
}

/* Worth another connection? */
static bool is_unwell(int http_status)
{
	return http_status >= 500 || http_status == 429 || http_status == 408;
}

static bool is_complete(const struct download *d)
{
	return d->begun && d->done == d->file_bytes;
}

/* A number of seconds, a quarter more or less. */
static uint64_t jittered_ms(uint32_t seconds)
{
	uint32_t random;
	uint64_t quarter_ms = (uint64_t)seconds * 250;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = UINT32_MAX / 2;
	return quarter_ms * 3 + quarter_ms * 2 * random / UINT32_MAX;
}

static void pause_ms(uint64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

/* One connection. 0: the server answered, with whatever. */
static int connect_once(const char *url, struct fetch *f, struct download *d)
{
	bool resumes = d->begun && d->etag[0];

	f->from = resumes ? d->done : 0;
	f->if_etag = d->etag;
	return fetch(url, f);
}

/*
 * All of the file into the other slot, by as many connections as it takes. Between two that brought
 * nothing the pauses double.
 */
static int download(const char *url, struct download *d, uint32_t *wait_s)
{
	struct fetch f = {.head = take_head, .body = take_body, .ctx = d};
	uint32_t pause_s = 1;
	int error = 0;

	for (unsigned int patience = PATIENCE; patience > 0; patience--) {
		uint64_t before = d->done;

		error = connect_once(url, &f, d);
		if (is_complete(d))
			return 0;
		if (d->over)
			return ended(error, "update: %s", f.why);
		if (!error && !is_unwell(f.status))
			return refused(&f, "update", wait_s);
		if (error == -EINVAL || error == -ELOOP || error == -ENOMEM)
			return ended(error, "update: %s", f.why);
		if (d->done > before) {
			patience = PATIENCE + 1;
			pause_s = 1;
		}
		pause_ms(jittered_ms(MAX(pause_s, MIN(f.retry_after_s, PAUSE_MAX_S))));
		pause_s = MIN(2 * pause_s, PAUSE_MAX_S);
	}
	return error ? ended(error, "update: given up at byte %llu: %s",
	                     (unsigned long long)d->done, f.why)
	             : refused(&f, "update", wait_s);
}

/* The file may be another than the channel says: one that failed here before, say. */
static int check_announced(const struct channel *c)
{
	char text[VERSION_TEXT_BYTES];
	struct ota_status s;
	uint32_t version;

	ota_status(&s);
	version = s.slot[s.running == 'A'].version;
	if (version == c->version)
		return 0;
	return ended(-EPROTO, "the channel announces %s, and the file is %s", c->version_text,
	             version_format(version, text));
}

static int install(const char *url, const struct channel *c, uint32_t *wait_s)
{
	struct download d = {.begun = false};
	int error = download(url, &d, wait_s);

	if (!error && ota_finish())
		return ended(-EBADMSG, "update: %s", ota_error());
	if (!error)
		error = check_announced(c);
	if (!error && ota_activate())
		error = ended(-EIO, "update: %s", ota_error());
	if (error && d.begun)
		ota_abort();
	return error ? error : ended(1, "version %s is there, to be tried", c->version_text);
}

/* A look; wait_s is raised to what the server asks for. */
static int look(const char *channel_url, uint32_t *wait_s)
{
	char from[FETCH_URL_BYTES], url[FETCH_URL_BYTES];
	struct channel c;
	int result = get_channel(channel_url, &c, from, wait_s);

	if (!result)
		result = wanted(&c);
	if (result <= 0)
		return result;
	if (fetch_resolve(from, c.url, url))
		return ended(-EINVAL, "the channel's url is not one: %.100s", c.url);
	return install(url, &c, wait_s);
}

int pull_look(const char *channel)
{
	uint32_t wait_s = 0;

	return look(channel, &wait_s);
}

/* --- Again and again ----------------------------------------------------------------------------- */

static const char *channel_url;
static uint32_t interval_s;

static void wait_ms(uint64_t ms)
{
	pthread_mutex_lock(&lock);
	next_look_ms = now_ms() + (int64_t)ms;
	pthread_mutex_unlock(&lock);
	pause_ms(ms);
}

static uint32_t after_failures(unsigned int failures)
{
	uint64_t doubled = (uint64_t)MIN(FIRST_RETRY_S, interval_s) << MIN(failures - 1, 20u);

	return (uint32_t)MIN(doubled, 4ull * interval_s);
}

/* One look, and how long to wait after it. */
static uint32_t look_and_count(void)
{
	uint32_t wait_s = interval_s;
	int result = look(channel_url, &wait_s);

	if (result > 0)
		machine_restart();
	pthread_mutex_lock(&lock);
	status.failures = result < 0 ? status.failures + 1 : 0;
	if (result < 0)
		wait_s = MAX(after_failures(status.failures), wait_s > interval_s ? wait_s : 0);
	pthread_mutex_unlock(&lock);
	return wait_s;
}

static bool on_trial(void)
{
	struct ota_status s;

	ota_status(&s);
	return s.trial;
}

static void *pull_thread(void *unused)
{
	(void)unused;
	wait_ms(jittered_ms(MIN(FIRST_LOOK_S, interval_s) / 2));
	for (;;) {
		while (on_trial())
			wait_ms(1000);
		wait_ms(jittered_ms(look_and_count()));
	}
	return NULL;
}

int pull_start(void)
{
	const char *every = getenv("update.interval_s");
	char *end = "";
	unsigned long seconds = every ? strtoul(every, &end, 10) : PULL_INTERVAL_S;
	pthread_t thread;

	channel_url = getenv("update");
	if (!channel_url)
		return -ENOENT;
	if (*end || seconds < 1 || seconds > INTERVAL_MAX_S)
		return -EINVAL;
	interval_s = (uint32_t)seconds;
	if (pthread_create(&thread, NULL, pull_thread, NULL))
		return -ENOMEM;
	pthread_detach(thread);
	status.on = true;
	return 0;
}
