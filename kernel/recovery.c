/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do about how the boot before this one ended (docs/ota.md has it as a table).
 *
 * A trial that died has failed, and its version is bad. A confirmed image that dies is counted; at
 * five times in a row the image before it gets a trial, if there is one that may; else this one goes on
 * with a growing delay, which keeps it from wearing out the card and the network.
 */
#include <string.h>
#include <pith/compiler.h>
#include <pith/ota.h>
#include "recovery.h"

const char *recovery_cause(const struct recovery_facts *f)
{
	switch (f->last.end) {
	case END_PANIC:
		return "panic";
	case END_UNKNOWN:
	case END_UNNOTICED:
		return f->by_watchdog ? "watchdog" : NULL;
	case END_ASKED: /* a Pi resets itself by its watchdog */
		break;
	}
	return NULL;
}

/* Was it the running image that ran last? Without a record somebody has to be blamed. */
static bool was_me(const struct recovery_facts *f)
{
	return f->last.end == END_UNKNOWN ||
	       (f->last.slot == f->slot && f->last.version == f->version);
}

/* Did the boot before belong to the trial that is on? U-Boot has counted this one already. */
static bool was_this_trial(const struct boot_state *s, const struct recovery_facts *f)
{
	if (f->last.end == END_UNKNOWN)
		return s->left + 1 < OTA_TRIES;
	return f->last.trial && was_me(f);
}

static void set_bad(struct boot_state *s, uint32_t version, const char *why)
{
	s->bad = version;
	s->retry = 0;
	memset(s->why, 0, sizeof(s->why));
	strcpy(s->why, why);
}

/* The slot to go back to, if it holds what once worked and still may run; or 0. */
static char slot_before(const struct boot_state *s, const struct recovery_facts *f)
{
	char other = f->slot == 'A' ? 'B' : 'A';
	uint32_t version;

	if (s->act != f->slot || s->try || s->prev != other)
		return 0;
	version = f->other_version(f->ctx);
	return version && version >= s->minver && version != s->bad ? other : 0;
}

static uint32_t delay_for(uint32_t faults)
{
	return MIN(RECOVERY_DELAY_MS << (faults - RECOVERY_FAULTS), RECOVERY_DELAY_MAX_MS);
}

/* The confirmed image died. */
static bool count(struct boot_state *s, const struct recovery_facts *f, const char *cause,
                  uint32_t *delay_ms)
{
	char before;

	s->faults = MIN(s->faults + 1, RECOVERY_FAULTS_MAX);
	if (s->faults < RECOVERY_FAULTS)
		return false;
	before = slot_before(s, f);
	if (!before) {
		*delay_ms = delay_for(s->faults);
		return false;
	}
	s->try = before;
	s->left = OTA_TRIES;
	set_bad(s, f->version, cause);
	return true;
}

bool recovery_decide(struct boot_state *s, const struct recovery_facts *f, uint32_t *delay_ms)
{
	const char *cause = recovery_cause(f);

	*delay_ms = 0;
	if (!cause)
		return false;
	if (s->try == f->slot) {
		if (!was_this_trial(s, f))
			return false; /* the image before it died, after the update */
		s->try = 0;
		s->left = 0;
		set_bad(s, f->version, cause);
		return true;
	}
	if (was_me(f))
		return count(s, f, cause, delay_ms);
	/* A trial that died each time before it could say so: U-Boot only knows that it ended. */
	if (f->last.trial && f->last.version == s->bad && !strcmp(s->why, "unconfirmed"))
		set_bad(s, s->bad, cause);
	return false;
}
