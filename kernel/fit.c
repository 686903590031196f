/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Pith wants to know of a FIT (pith/update.h), which is a flattened device tree with the image in
 * a property: one walk over the tree's tokens, by reads of a few bytes, past the image.
 *
 * Nothing in it is trusted. Where libfdt, by which U-Boot reads it, would take the first of several or
 * a name for another, this refuses, so that both always mean the same bytes.
 *
 * Source: Devicetree Specification v0.4 ("DTSpec"), chapter 5.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/update.h>

/* DTSpec 5.2 and 5.4.1. */
#define FDT_MAGIC        0xd00dfeedu
#define FDT_VERSION      17u
#define FDT_HEADER_BYTES 40u
#define FDT_BEGIN_NODE   1u
#define FDT_END_NODE     2u
#define FDT_PROP         3u
#define FDT_NOP          4u
#define FDT_END          9u

#define CHUNK_BYTES 64u  /* a token with what is wanted of it: longer node names are refused */
#define NAME_BYTES  16u  /* of a property: more than those that are looked for */
#define TOKENS_MAX  512u /* tools/fit makes about 50 */
#define DEPTH_MAX   8u

enum place { ELSEWHERE, ROOT, IMAGES, KERNEL, CONFIGURATIONS, CONF };

/* What has been found: bits of `found`, from FOUND_NODE on one for each place. */
enum { FOUND_VERSION = 1, FOUND_CHOICE = 2, FOUND_DATA = 4, FOUND_NODE = 8 };
#define FOUND_ALL (FOUND_VERSION | FOUND_CHOICE | FOUND_DATA)

struct walk {
	fit_read_fn read;
	void *ctx;
	struct fit_info *info;
	uint32_t at, end;              /* in the structure block */
	uint32_t strings, strings_end; /* the strings block */
	uint32_t tokens, depth, found;
	bool props_over; /* a node's properties precede its children (DTSpec 5.4.2) */
	enum place place[DEPTH_MAX];
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool block_inside(uint32_t offset, uint32_t bytes, uint32_t fit_bytes)
{
	return offset >= FDT_HEADER_BYTES && (uint64_t)offset + bytes <= fit_bytes;
}

/* DTSpec 5.2; the reservation block is not ours, but libfdt wants it inside, too. */
static int read_header(struct walk *w, uint32_t fit_bytes)
{
	uint8_t h[FDT_HEADER_BYTES];
	int error = fit_bytes < sizeof(h) ? -EBADMSG : w->read(w->ctx, 0, h, sizeof(h));
	uint32_t off_struct, off_strings, off_reservations, strings_bytes, struct_bytes;

	if (error)
		return error;
	off_struct = be32(h + 8);
	off_strings = be32(h + 12);
	off_reservations = be32(h + 16);
	strings_bytes = be32(h + 32);
	struct_bytes = be32(h + 36);
	if (be32(h) != FDT_MAGIC || be32(h + 4) != fit_bytes || be32(h + 20) != FDT_VERSION ||
	    be32(h + 24) > FDT_VERSION || off_struct % 4 ||
	    !block_inside(off_struct, struct_bytes, fit_bytes) ||
	    !block_inside(off_strings, strings_bytes, fit_bytes) ||
	    !block_inside(off_reservations, 0, fit_bytes))
		return -EBADMSG;
	w->at = off_struct;
	w->end = off_struct + struct_bytes;
	w->strings = off_strings;
	w->strings_end = off_strings + strings_bytes;
	return 0;
}

static int advance(struct walk *w, uint64_t bytes)
{
	bytes = (bytes + 3) & ~3ull;
	if (bytes > w->end - w->at)
		return -EBADMSG;
	w->at += (uint32_t)bytes;
	return 0;
}

/* Note that something was found, which may be once. */
static int find(struct walk *w, uint32_t what)
{
	if (w->found & what)
		return -EBADMSG;
	w->found |= what;
	return 0;
}

static enum place child_place(enum place parent, const char *name)
{
	static const struct {
		enum place parent, place;
		const char *name;
	} known[] = {
	    {ROOT, IMAGES, "images"},
	    {IMAGES, KERNEL, "kernel"},
	    {ROOT, CONFIGURATIONS, "configurations"},
	    {CONFIGURATIONS, CONF, "conf"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].parent == parent && !strcmp(known[i].name, name))
			return known[i].place;
	}
	return ELSEWHERE;
}

/* libfdt takes the name a@1 for a, too, so there is to be none. */
static int begin_node(struct walk *w, const char *name)
{
	size_t length = strnlen(name, CHUNK_BYTES - 4);
	enum place place = w->depth ? child_place(w->place[w->depth - 1], name) : ROOT;

	if (length == CHUNK_BYTES - 4 || strchr(name, '@') || w->depth == DEPTH_MAX ||
	    (place != ELSEWHERE && find(w, FOUND_NODE << place)))
		return -EBADMSG;
	w->place[w->depth++] = place;
	w->props_over = false;
	return advance(w, 4 + length + 1);
}

static int end_node(struct walk *w)
{
	if (!w->depth)
		return -EBADMSG;
	w->depth--;
	w->props_over = true;
	return advance(w, 4);
}

/* What a property of the configuration says. */
static int use_conf_prop(struct walk *w, const char *name, const uint8_t *value, uint32_t bytes)
{
	if (!strcmp(name, "pith,version")) {
		w->info->version = bytes == 4 ? be32(value) : 0;
		return w->info->version ? find(w, FOUND_VERSION) : -EBADMSG;
	}
	if (!strcmp(name, "kernel"))
		return bytes == 7 && !memcmp(value, "kernel", 7) ? find(w, FOUND_CHOICE) : -EBADMSG;
	return 0;
}

static int use_kernel_prop(struct walk *w, const char *name, uint32_t offset, uint32_t bytes)
{
	if (strcmp(name, "data"))
		return 0;
	w->info->kernel_offset = offset;
	w->info->kernel_bytes = bytes;
	return bytes ? find(w, FOUND_DATA) : -EBADMSG;
}

/* A name that is longer than any we look for is cut off, and is none of them. */
static int prop_name(struct walk *w, uint32_t offset, char name[NAME_BYTES + 1])
{
	uint32_t room = w->strings_end - w->strings;
	uint32_t bytes;
	int error;

	if (offset >= room)
		return -EBADMSG;
	bytes = MIN(room - offset, NAME_BYTES);
	error = w->read(w->ctx, w->strings + offset, name, bytes);
	name[bytes] = '\0';
	if (!error && strlen(name) == bytes && bytes < NAME_BYTES)
		return -EBADMSG;
	return error;
}

static int take_prop(struct walk *w, const uint8_t *chunk)
{
	enum place place = w->depth ? w->place[w->depth - 1] : ELSEWHERE;
	uint32_t value = w->at + 12;
	uint32_t bytes = be32(chunk + 4);
	char name[NAME_BYTES + 1];
	int error;

	if (!w->depth || w->props_over || advance(w, 12 + (uint64_t)bytes))
		return -EBADMSG;
	if (place != KERNEL && place != CONF)
		return 0;
	error = prop_name(w, be32(chunk + 8), name);
	if (error)
		return error;
	return place == KERNEL ? use_kernel_prop(w, name, value, bytes)
	                       : use_conf_prop(w, name, chunk + 12, bytes);
}

/* One token. Returns 1 at the end, 0 if there are more. */
static int take_token(struct walk *w)
{
	uint8_t chunk[CHUNK_BYTES + 1] = {0};
	uint32_t bytes = MIN(w->end - w->at, CHUNK_BYTES);
	int error = bytes < 4 ? -EBADMSG : w->read(w->ctx, w->at, chunk, bytes);

	if (error)
		return error;
	switch (be32(chunk)) {
	case FDT_BEGIN_NODE:
		return begin_node(w, (const char *)chunk + 4);
	case FDT_END_NODE:
		return end_node(w);
	case FDT_PROP:
		return take_prop(w, chunk);
	case FDT_NOP:
		return advance(w, 4);
	case FDT_END:
		return w->depth ? -EBADMSG : 1;
	default:
		return -EBADMSG;
	}
}

int fit_info(fit_read_fn read, void *ctx, uint32_t fit_bytes, struct fit_info *info)
{
	struct walk w = {.read = read, .ctx = ctx, .info = info};
	int status = read_header(&w, fit_bytes);

	while (!status)
		status = ++w.tokens > TOKENS_MAX ? -EBADMSG : take_token(&w);
	if (status < 0)
		return status;
	return (w.found & FOUND_ALL) == FOUND_ALL ? 0 : -EBADMSG;
}
