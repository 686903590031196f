/* SPDX-License-Identifier: Apache-2.0 */
/* What U-Boot does (uboot_model.h): each function is the procedure of boards/boot.env of that name. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/crc32.h>
#include "uboot_model.h"

#define VALUE_BYTES 32u

/* The names in a state, sorted, and the variables of the same names. */
enum { ACT, BAD, FAULTS, LEFT, MINVER, PREV, RETRY, SEQ, TRY, WHY, NAMES };
static const char *const names[NAMES] = {"act",  "bad",   "faults", "left", "minver",
                                         "prev", "retry", "seq",    "try",  "why"};

struct variables {
	const struct uboot_card *card;
	char state[NAMES][VALUE_BYTES]; /* "": not set */
	int cur;                        /* -1: not set */
	char slot;
	uint32_t version;
};

static uint32_t number(const struct variables *v, int name)
{
	return (uint32_t)strtoul(v->state[name], NULL, 16);
}

static void set(struct variables *v, int name, const char *value)
{
	snprintf(v->state[name], VALUE_BYTES, "%s", value);
}

static void set_number(struct variables *v, int name, uint32_t value)
{
	snprintf(v->state[name], VALUE_BYTES, "%x", value);
}

static bool is(const struct variables *v, int name, const char *value)
{
	return strcmp(v->state[name], value) == 0;
}

/* env import -c: the variables that are listed, deleted if they are not there. */
static bool import(const uint8_t sector[UBOOT_SECTOR], char state[NAMES][VALUE_BYTES])
{
	const char *text = (const char *)sector + 4, *end = (const char *)sector + UBOOT_SECTOR;
	uint32_t crc;

	memcpy(&crc, sector, 4);
	if (crc != crc32(0, text, UBOOT_SECTOR - 4))
		return false;
	memset(state, 0, NAMES * VALUE_BYTES);
	while (text < end && *text) {
		size_t length = strnlen(text, (size_t)(end - text));

		for (int i = 0; i < NAMES; i++) {
			size_t n = strlen(names[i]);

			if (!strncmp(text, names[i], n) && text[n] == '=')
				snprintf(state[i], VALUE_BYTES, "%.*s", (int)(length - n - 1),
				         text + n + 1);
		}
		text += length + 1;
	}
	return true;
}

/* env export -c -s 200 */
static void export(char state[NAMES][VALUE_BYTES], uint8_t sector[UBOOT_SECTOR])
{
	uint32_t crc;
	size_t at = 4;

	memset(sector, 0, UBOOT_SECTOR);
	for (int i = 0; i < NAMES; i++) {
		if (*state[i])
			at += 1 + (size_t)snprintf((char *)sector + at, UBOOT_SECTOR - at, "%s=%s",
			                           names[i], state[i]);
	}
	assert(at < UBOOT_SECTOR);
	crc = crc32(0, sector + 4, UBOOT_SECTOR - 4);
	memcpy(sector, &crc, 4);
}

static bool read_state(struct variables *v)
{
	uint8_t sector[2][UBOOT_SECTOR];
	char state[2][NAMES][VALUE_BYTES];
	bool good[2];

	v->cur = -1;
	for (int i = 0; i < 2; i++) {
		good[i] = v->card->read_state(v->card->ctx, i, sector[i]) &&
		          import(sector[i], state[i]) && *state[i][SEQ];
	}
	if (good[0])
		v->cur = 0;
	if (good[1] &&
	    (!good[0] || strtoul(state[1][SEQ], NULL, 16) > strtoul(state[0][SEQ], NULL, 16)))
		v->cur = 1;
	if (v->cur >= 0)
		memcpy(v->state, state[v->cur], sizeof(v->state));
	return is(v, ACT, "A") || is(v, ACT, "B");
}

static bool write_state(struct variables *v)
{
	uint8_t sector[UBOOT_SECTOR], check[UBOOT_SECTOR];
	int next = v->cur == 0 ? 1 : 0;

	set_number(v, SEQ, number(v, SEQ) + 1);
	export(v->state, sector);
	if (!v->card->write_state(v->card->ctx, next, sector) ||
	    !v->card->read_state(v->card->ctx, next, check) || memcmp(sector, check, UBOOT_SECTOR))
		return false;
	v->cur = next;
	return true;
}

static bool load(struct variables *v)
{
	v->version = v->card->image(v->card->ctx, v->slot);
	return v->version && v->version >= number(v, MINVER);
}

static bool load_slot(struct variables *v, char slot)
{
	v->slot = slot;
	return load(v);
}

static void end_trial(struct variables *v)
{
	set(v, TRY, "none");
	set(v, LEFT, "0");
	set(v, BAD, "0");
	set(v, RETRY, "0");
	if (!write_state(v))
		return;
	load(v);
	if (v->version) {
		set_number(v, BAD, v->version);
		write_state(v);
	}
}

/* True: it boots. */
static bool trial(struct variables *v)
{
	v->slot = v->state[TRY][0];
	if (number(v, LEFT) > 0) {
		set_number(v, LEFT, number(v, LEFT) - 1);
		if (!write_state(v))
			return false;
		if (load(v))
			return true;
		set(v, WHY, "damaged");
	} else {
		set(v, WHY, "unconfirmed");
	}
	end_trial(v);
	return false;
}

static void new_state(struct variables *v)
{
	uint32_t a, b;

	v->cur = -1;
	for (int i = 0; i < NAMES; i++)
		set(v, i, "0");
	set(v, TRY, "none");
	set(v, PREV, "none");
	set(v, WHY, "none");
	a = load_slot(v, 'A') ? v->version : 0;
	b = load_slot(v, 'B') ? v->version : 0;
	set(v, ACT, !b || (a && b > a) || a == b ? "A" : "B");
	if (a && b && a != b) {
		set(v, TRY, b > a ? "B" : "A");
		set(v, LEFT, "3");
	}
	set_number(v, MINVER, !a || (b && b < a) ? b : a);
	if (a || b)
		write_state(v);
}

static bool boot(struct variables *v)
{
	if (!read_state(v))
		new_state(v);
	if ((is(v, TRY, "A") || is(v, TRY, "B")) && trial(v))
		return true;
	if (load_slot(v, v->state[ACT][0]))
		return true;
	if (!load_slot(v, is(v, ACT, "A") ? 'B' : 'A'))
		return false;
	set(v, PREV, v->state[ACT]);
	set(v, ACT, v->slot == 'A' ? "A" : "B");
	set(v, TRY, "none");
	set(v, LEFT, "0");
	set(v, BAD, "0");
	set(v, WHY, "damaged");
	set(v, FAULTS, "0");
	set(v, RETRY, "0");
	write_state(v);
	return true;
}

void uboot_model(const struct uboot_card *card, struct uboot_boots *boots)
{
	struct variables v = {.card = card};

	memset(boots, 0, sizeof(*boots));
	if (!boot(&v))
		return;
	boots->slot = v.slot;
	boots->version = v.version;
	snprintf(boots->words, sizeof(boots->words),
	         "pith.slot=%c pith.act=%.8s pith.try=%.8s pith.left=%.8s pith.seq=%.8s", v.slot,
	         v.state[ACT], v.state[TRY], v.state[LEFT], v.state[SEQ]);
}

void uboot_pack(const char *text, uint8_t sector[UBOOT_SECTOR])
{
	char state[NAMES][VALUE_BYTES] = {0};

	for (int i = 0; i < NAMES; i++) {
		size_t n = strlen(names[i]);
		const char *at = text;

		while (at && (strncmp(at, names[i], n) || at[n] != '='))
			at = (at = strchr(at, ',')) ? at + 1 : NULL;
		if (at)
			snprintf(state[i], VALUE_BYTES, "%.*s", (int)strcspn(at + n + 1, ","),
			         at + n + 1);
	}
	export(state, sector);
}

bool uboot_unpack(const uint8_t sector[UBOOT_SECTOR], char *text, unsigned int text_bytes)
{
	char state[NAMES][VALUE_BYTES];
	size_t at = 0;

	if (!import(sector, state))
		return false;
	for (int i = 0; i < NAMES; i++) {
		if (*state[i])
			at += (size_t)snprintf(text + at, text_bytes - at, "%s%s=%s", at ? "," : "",
			                       names[i], state[i]);
	}
	return true;
}
