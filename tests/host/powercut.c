/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine whose power is cut (powercut.h).
 *
 * One run of a scenario goes through all its cuts: after each write and flush the machine is put aside,
 * with all of its memory (powercut.lds), and for each content that a cut at this moment can leave on
 * the disk a machine with that disk is switched on and followed until it comes to rest. Then the first
 * goes on. The machines that are switched on after a cut can be cut in the same way.
 */
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <kernel/hooks.h>
#include <kernel/record.h>
#include <kernel/slotfile.h>
#include <kernel/slots.h>
#include <pith/bootargs.h>
#include <pith/health.h>
#include <pith/init.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/watchdog.h>
#include "cut_disk.h"
#include "powercut.h"
#include "uboot_model.h"

#define PANICS_MAX 8u  /* of an image that decays: enough to be given up for the one before it */
#define BOOTS_MAX  48u /* a machine that starts more often does not come to rest */
#define DEPTH_MAX  4u
#define RAM_MAX    131072u /* with the sanitizer: its data is among it */

struct image {
	uint32_t version, file_bytes, fit_bytes;
	uint32_t kernel_offset, kernel_bytes;
	uint8_t *file;
};

struct machine {
	struct cut_disk disk;
	struct uboot_boots boots;
	int runs;         /* the image */
	const int *wants; /* to install, one after the other, up to NONE */
	bool gave_up;
	unsigned int panics[IMAGES]; /* to come */
	unsigned int uboot_failures; /* to come */
	bool activates;              /* an update, so that it is meant to be tried */
	jmp_buf reset;
	/* What a reset leaves, and a cut does not. */
	struct last_boot record;
	bool by_watchdog;
	/* Of this boot. */
	struct last_boot last;
	bool last_by_watchdog;
	uint64_t time_ns;
	void *(*watch_trial)(void *arg); /* the thread of that name */
	/* What we know, who see everything. */
	int stable, stable_maybe; /* confirmed; being confirmed */
	int trial, trial_maybe;   /* activated; being activated */
	int trial_ended;          /* so U-Boot says, not durably */
	bool must_try;            /* activated, and not tried yet */
	unsigned int cuts;        /* since it was activated: each costs a try */
	bool state_lost;          /* so that no promise holds but that it boots */
	bool verified[IMAGES], confirmed[IMAGES];
	uint32_t floor; /* the highest minver that is known to be on the disk */
};

struct verdict verdict;
bool uboot_believes, disk_ignores_flush, powercut_quiet;

static const struct scenario *scenario;
static const struct sweep *sweep;
static struct image images[IMAGES];
static struct machine machines[DEPTH_MAX + 1];
static struct machine *now = machines;
static uint64_t randomness;
static struct block_device disk_pristine;

/* --- What the code under test needs -------------------------------------------------------------- */

const char image_name[] = "powercut";

static char word_slot[4], word_try[8];

const char *bootarg(const char *key)
{
	return !strcmp(key, "pith.slot") ? word_slot : !strcmp(key, "pith.try") ? word_try : NULL;
}

const uint8_t *image_build_id_bytes(uint32_t *offset)
{
	const struct image *image = &images[now->runs];

	*offset = 100;
	return image->file + image->kernel_offset + *offset;
}

void klog(const char *fmt, ...)
{
	(void)fmt;
}

uint64_t time_now_ns(void)
{
	return now->time_ns;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	now->time_ns = MAX(now->time_ns, deadline_ns);
}

bool thread_may_block(void)
{
	return true;
}

struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *arg), void *arg)
{
	(void)priority;
	(void)stack_bytes;
	(void)arg;
	if (!strcmp(name, "trial"))
		now->watch_trial = entry;
	return NULL;
}

int thread_detach(struct thread *t)
{
	(void)t;
	return 0;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	(void)t;
	(void)deadline_ns;
}

int watchdog_start(uint32_t timeout_ms)
{
	(void)timeout_ms;
	return 0;
}

void watchdog_policy(bool (*healthy)(void))
{
	(void)healthy;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

const char *machine_reset_reason(void)
{
	return now->last_by_watchdog ? "watchdog" : "unknown";
}

void machine_reset(void)
{
	longjmp(now->reset, 1);
}

/* The record in RAM, as kernel/crash.c keeps it; nothing of it matters on the disk. */
const struct last_boot *crash_last_boot(void)
{
	return &now->last;
}

void crash_identify(uint32_t version, bool trial)
{
	now->record.version = version;
	now->record.trial = trial;
}

void crash_end(enum boot_end end)
{
	now->record.end = end;
}

void crash_keep(const char *cause, bool trial)
{
	(void)cause;
	(void)trial;
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

void mutex_lock(struct mutex *m)
{
	assert(!m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	assert(m->owner);
	m->owner = NULL;
}

/* --- Verdicts ------------------------------------------------------------------------------------ */

/* Where we are, for the report of what is wrong. */
static struct {
	unsigned int depth;
	unsigned int operation[DEPTH_MAX + 1];
	char variant[DEPTH_MAX + 1][64];
} place;

static void wrong(uint64_t *counter, const char *what)
{
	if ((*counter)++ >= 3 || powercut_quiet)
		return;
	fprintf(stderr, "%s: %s", scenario->name, what);
	for (unsigned int i = 0; i < place.depth; i++)
		fprintf(stderr, "; cut %u after operation %u, %s", i + 1, place.operation[i],
		        place.variant[i]);
	fprintf(stderr, "; it runs %d in %s, stable %d, trial %d\n", now->runs, now->boots.words,
	        now->stable, now->trial);
}

static int image_of(uint32_t version)
{
	for (int i = 0; i < IMAGES; i++) {
		if (images[i].version == version)
			return i;
	}
	return NONE;
}

/* Real verification, watched: what of the slot was whole as it was read. */
int __real_slotfile_verify(struct slotfile *f, uint32_t file_bytes, uint32_t *version);
int __wrap_slotfile_verify(struct slotfile *f, uint32_t file_bytes, uint32_t *version)
{
	int error = __real_slotfile_verify(f, file_bytes, version);

	if (!error)
		now->verified[image_of(*version)] = true;
	return error;
}

/* Real signatures, each checked once: RSA is slow. */
int __real_update_signature_check(const struct update_trailer *t, const uint8_t sha256[32]);
int __wrap_update_signature_check(const struct update_trailer *t, const uint8_t sha256[32])
{
	static struct {
		uint8_t sha256[32], signature[UPDATE_SIGNATURE_MAX], id[UPDATE_KEY_ID_BYTES];
		uint32_t bytes;
	} good[IMAGES];
	static unsigned int count;
	int error;

	for (unsigned int i = 0; i < count; i++) {
		if (good[i].bytes == t->signature_bytes && !memcmp(good[i].sha256, sha256, 32) &&
		    !memcmp(good[i].signature, t->signature, t->signature_bytes) &&
		    !memcmp(good[i].id, t->key_id, sizeof(good[i].id)))
			return 0;
	}
	error = __real_update_signature_check(t, sha256);
	if (!error) {
		assert(count < IMAGES);
		good[count].bytes = t->signature_bytes;
		memcpy(good[count].sha256, sha256, 32);
		memcpy(good[count].signature, t->signature, t->signature_bytes);
		memcpy(good[count++].id, t->key_id, sizeof(good[0].id));
	}
	return error;
}

/* --- U-Boot -------------------------------------------------------------------------------------- */

static bool read_state(void *ctx, int copy, uint8_t *sector)
{
	(void)ctx;
	return !cut_block.read(&cut_block, CUT_UNIT_LBA((uint32_t)copy), 1, sector);
}

/* On its way to the card, which is not told to hurry. */
static bool write_state(void *ctx, int copy, const uint8_t *sector)
{
	(void)ctx;
	if (now->uboot_failures) {
		now->uboot_failures--;
		return false;
	}
	return !cut_block.write(&cut_block, CUT_UNIT_LBA((uint32_t)copy), 1, sector);
}

/* Is a piece of an image where it belongs? */
static bool is_there(char slot, const struct image *image, uint32_t offset, uint32_t bytes)
{
	uint64_t lba = CUT_SLOT_LBA(slot == 'B');

	while (bytes) {
		uint32_t in = offset % SECTOR_BYTES, part = MIN(bytes, SECTOR_BYTES - in);

		const uint8_t *sector = cut_disk_sector(&now->disk, lba + offset / SECTOR_BYTES);

		if (!sector || memcmp(sector + in, image->file + offset, part))
			return false;
		offset += part;
		bytes -= part;
	}
	return true;
}

/* What the first sector of a slot says that there is: an image, or NONE. */
static int announced(char slot)
{
	for (int i = 0; i < IMAGES; i++) {
		if (is_there(slot, &images[i], 0, SECTOR_BYTES))
			return i;
	}
	return NONE;
}

/*
 * A signature is right over the image that was signed: all of the FIT, since a sector of garbage
 * anywhere in one of these breaks its structure, a signed property or the kernel's hash.
 */
static uint32_t signed_version(void *ctx, char slot)
{
	int i = announced(slot);

	(void)ctx;
	if (i == NONE || (!uboot_believes && !is_there(slot, &images[i], 0, images[i].fit_bytes)))
		return 0;
	return images[i].version;
}

static const struct uboot_card card = {read_state, write_state, signed_version, NULL};

/* --- What we know -------------------------------------------------------------------------------- */

/* May it run, and did what was promised happen? */
static void check_promises(const struct machine *m, bool on_trial)
{
	if (m->runs != m->stable && m->runs != m->stable_maybe && m->runs != m->trial &&
	    m->runs != m->trial_maybe && m->runs != m->trial_ended)
		wrong(&verdict.broken, "runs what was not meant to");
	if (m->must_try && m->cuts < OTA_TRIES && m->runs != m->trial)
		wrong(&verdict.broken, "what was activated is not tried");
	if (!on_trial && m->runs != m->stable && m->runs != m->stable_maybe)
		wrong(&verdict.unconfirmed, "an image is active that was not confirmed");
	if (images[m->runs].version < m->floor)
		wrong(&verdict.old, "an image below the least version runs");
}

/* It has started: what may have been is now certain. */
static void learn(struct machine *m, bool on_trial)
{
	if (on_trial) {
		m->trial = m->runs;
	} else {
		m->stable = m->runs;
		m->trial_ended = m->trial;
		m->trial = NONE;
	}
	m->stable_maybe = m->trial_maybe = NONE;
	m->must_try = false;
}

static void check_what_runs(struct machine *m)
{
	const struct image *image = &images[m->runs];
	bool on_trial = strstr(m->boots.words, m->boots.slot == 'A' ? "try=A" : "try=B");

	if (!is_there(m->boots.slot, image, image->kernel_offset, image->kernel_bytes))
		wrong(&verdict.mixed, "a mixed image runs");
	if (!m->verified[m->runs])
		wrong(&verdict.unverified, "an image runs that was not verified");
	if (!m->state_lost)
		check_promises(m, on_trial);
	learn(m, on_trial);
}

/* --- The image ----------------------------------------------------------------------------------- */

enum outcome { RESETS, RESTS };

/* A change of the state, real, watched: a trial that begins or ends by it. */
int __real_slots_change(bool (*change)(struct boot_state *s, void *ctx), void *ctx);
int __wrap_slots_change(bool (*change)(struct boot_state *s, void *ctx), void *ctx)
{
	struct boot_state before, next;
	bool begins;
	int error;

	slots_state(&before);
	next = before;
	begins = change(&next, ctx) && next.try && next.try != before.try;
	now->must_try = false;
	if (begins) {
		now->trial_maybe = announced(next.try);
		if (!now->activates &&
		    (now->trial_maybe == NONE || !now->confirmed[now->trial_maybe]))
			wrong(&verdict.broken, "it goes back to what never worked");
	}
	error = __real_slots_change(change, ctx);
	if (error)
		return error;
	if (begins) {
		now->trial = now->trial_maybe;
		now->must_try = true;
		now->cuts = 0;
	} else if (!next.try) {
		now->trial = NONE;
	}
	now->trial_maybe = NONE;
	return 0;
}

/* Ends as kernel/machine.c does, unless it ends otherwise. */
static enum outcome ends(enum machine_end how)
{
	health_end(how);
	return RESETS;
}

static enum outcome hangs(struct machine *m)
{
	m->by_watchdog = true;
	return RESETS;
}

/* Until the deadline, which resets. */
static enum outcome does_nothing(struct machine *m)
{
	if (!m->watch_trial)
		return RESTS;
	m->watch_trial(NULL);
	return RESETS;
}

static bool no_network(void)
{
	return false;
}

static void confirm(struct machine *m)
{
	struct boot_state s;

	if (!slots_on_trial())
		return;
	m->confirmed[m->runs] = true;
	m->stable_maybe = m->runs;
	if (ota_confirm())
		return;
	m->stable = m->runs;
	m->stable_maybe = m->trial = NONE;
	if (slots_state(&s))
		m->floor = MAX(m->floor, s.minver);
}

static int write_up_to(const struct image *image, uint32_t bytes)
{
	int error = 0;

	for (uint32_t at = 0, part; at < bytes && !error; at += part) {
		part = MIN(bytes - at, image->file_bytes > 65536 ? 10000u : 1000u);
		error = ota_write(image->file + at, part);
	}
	return error;
}

/* 0, or what kept it. */
static int install(struct machine *m, int which)
{
	const struct image *image = &images[which];
	int error = ota_begin(image->file_bytes);

	if (!error && scenario->gives_up && !m->gave_up) {
		error = write_up_to(image, image->file_bytes / 2);
		ota_abort();
		m->gave_up = true;
		if (!error)
			error = ota_begin(image->file_bytes);
	}
	if (!error)
		error = write_up_to(image, image->file_bytes);
	if (!error)
		error = ota_finish();
	if (!error && scenario->not_activated && m->panics[m->runs])
		return 0;
	if (error)
		return error;
	m->activates = true;
	error = ota_activate();
	m->activates = false;
	return error;
}

static enum outcome rests_or_installs(struct machine *m)
{
	int which = *m->wants;

	if (slots_on_trial())
		return does_nothing(m); /* it could not confirm */
	if (which == NONE)
		return RESTS;
	m->wants++;
	if (install(m, which)) {
		wrong(&verdict.bricks, ota_error());
		return RESTS;
	}
	if (scenario->damaged_later && which != LAST) {
		m->must_try = false;
		cut_disk_damage(&m->disk, 1 + CUT_SLOT_SECTORS * (slots_running() == 'A') + 1, 1);
	}
	return ends(MACHINE_RESTART);
}

/* Works for as long as it is on trial, and panics often from then on. */
static enum outcome decays(struct machine *m)
{
	if (slots_on_trial())
		m->panics[m->runs] = PANICS_MAX;
	confirm(m);
	if (m->panics[m->runs] == 0)
		return rests_or_installs(m);
	if (scenario->not_activated)
		rests_or_installs(m);
	m->panics[m->runs]--;
	return ends(MACHINE_PANIC);
}

static enum outcome run_app(struct machine *m)
{
	switch (scenario->character[m->runs]) {
	case PANICS:
		return ends(MACHINE_PANIC);
	case HANGS:
		return hangs(m);
	case MUTE:
		return does_nothing(m);
	case EXITS:
		return ends(MACHINE_EXIT);
	case OFFLINE:
		health_network(no_network);
		return does_nothing(m);
	case DECAYS:
		return decays(m);
	case GOOD:
		break;
	}
	confirm(m);
	return rests_or_installs(m);
}

/* --- The machine --------------------------------------------------------------------------------- */

/* The memory of the code under test (powercut.lds). */
extern uint64_t powercut_ram[], powercut_ram_end[];
static uint64_t ram_pristine[RAM_MAX / 8], ram_saved[DEPTH_MAX][RAM_MAX / 8];

/* By words and without the sanitizer, which guards the space between variables. */
__attribute__((no_sanitize("address"), optimize("no-tree-loop-distribute-patterns"))) static void
copy_ram(uint64_t *to, const uint64_t *from)
{
	size_t words = (size_t)(powercut_ram_end - powercut_ram);

	assert(words <= RAM_MAX / 8);
	for (size_t i = 0; i < words; i++)
		to[i] = from[i];
}

/* What kernel/main.c does before main(): kernel/slots.c and health.c. */
static enum outcome boot(struct machine *m)
{
	block_register(&cut_block);
	for (const init_fn *init = __inits_start; init < __inits_end; init++)
		(*init)();
	return run_app(m);
}

/* From the reset to where it rests, or is reset again. False: nothing boots. */
static bool start(struct machine *m, enum outcome *outcome)
{
	copy_ram(powercut_ram, ram_pristine);
	cut_block = disk_pristine;
	m->runs = NONE;
	uboot_model(&card, &m->boots);
	if (!m->boots.slot)
		return false;
	m->runs = image_of(m->boots.version);
	check_what_runs(m);
	word_slot[0] = m->boots.slot;
	snprintf(word_try, sizeof(word_try), "%.*s",
	         (int)strcspn(strstr(m->boots.words, "try=") + 4, " "),
	         strstr(m->boots.words, "try=") + 4);
	m->last = m->record;
	m->last_by_watchdog = m->by_watchdog;
	m->record = (struct last_boot){.end = END_UNNOTICED, .slot = m->boots.slot};
	m->by_watchdog = false;
	m->time_ns = 0;
	m->watch_trial = NULL;
	if (setjmp(m->reset))
		*outcome = RESETS;
	else
		*outcome = boot(m);
	return true;
}

/* Switch on, and follow it until it rests. */
static void run(struct machine *m)
{
	enum outcome outcome = RESETS;
	unsigned int boots = 0;

	while (outcome == RESETS) {
		if (++boots > BOOTS_MAX) {
			wrong(&verdict.bricks, "never comes to rest");
			return;
		}
		if (!start(m, &outcome)) {
			wrong(&verdict.bricks, "nothing boots");
			return;
		}
	}
	if (!m->confirmed[m->runs])
		wrong(&verdict.unconfirmed, "an image stays that was never confirmed");
}

/* What must be after any cut, too: it rests, and another update succeeds. */
static void run_on(struct machine *m)
{
	static const int nothing[] = {NONE}, last[] = {LAST, NONE};
	uint64_t bricks = verdict.bricks;

	m->wants = nothing;
	run(m);
	if (verdict.bricks != bricks || m->runs == LAST)
		return;
	m->wants = last;
	run(m);
	if (verdict.bricks == bricks && m->runs != LAST)
		wrong(&verdict.bricks, "the next update does not stay");
}

/* --- Cuts ---------------------------------------------------------------------------------------- */

/* One content that a cut may leave. */
struct variant {
	uint64_t subset;
	uint32_t sectors;
	uint64_t scatter;
	uint32_t damaged; /* sector index */
	enum harm harm;
};

static void lose_power(struct machine *m, const struct machine *from, const struct variant *v)
{
	cut_disk_cut(&m->disk, &from->disk, v->subset, v->sectors, v->scatter);
	memcpy((char *)m + sizeof(m->disk), (const char *)from + sizeof(m->disk),
	       sizeof(*m) - sizeof(m->disk));
	memset(&m->record, 0, sizeof(m->record));
	m->by_watchdog = m->activates = false;
	m->cuts++;
	if (v->harm == HARM_UNIT || v->harm == HARM_UNREADABLE)
		cut_disk_damage(&m->disk, v->damaged, v->harm == HARM_UNIT ? verdict.cuts + 1 : 0);
	if (v->harm == HARM_STATE) {
		for (uint32_t i = 0; i < 2; i++)
			cut_disk_damage(&m->disk, 1 + 2 * CUT_SLOT_SECTORS + i * CUT_UNIT_SECTORS,
			                verdict.cuts + 1 + i);
		m->state_lost = true;
		m->floor = 0;
	}
}

/* Cut here, see what comes of it, and go on as if nothing had been. */
static void cut(const struct variant *v)
{
	struct machine *before = now;
	struct block_device device = cut_block;
	unsigned int depth = place.depth;
	size_t mark = cut_disk_mark();
	char try[sizeof(word_try)], slot = word_slot[0];

	memcpy(try, word_try, sizeof(try));
	copy_ram(ram_saved[depth], powercut_ram);
	snprintf(place.variant[depth], sizeof(place.variant[0]),
	         "subset %llx, %u sectors, harm %d at %u", (unsigned long long)v->subset,
	         v->sectors, v->harm, v->damaged);
	now = before + 1;
	lose_power(now, before, v);
	cut_disk = &now->disk;
	verdict.cuts++;
	place.depth++;
	place.operation[place.depth] = 0;
	run_on(now);
	place.depth--;
	now = before;
	cut_disk = &now->disk;
	cut_disk_release(mark);
	copy_ram(powercut_ram, ram_saved[depth]);
	cut_block = device;
	word_slot[0] = slot;
	memcpy(word_try, try, sizeof(try));
}

static uint32_t below(uint32_t bound)
{
	return (uint32_t)(cut_random(&randomness) % bound);
}

/* The last write, and how many are outstanding before it. A flush left none: as good as an empty one. */
static struct cut_write last_write(unsigned int *before)
{
	const struct cut_disk *disk = &now->disk;

	*before = disk->outstanding ? disk->outstanding - 1 : 0;
	return disk->outstanding ? disk->writes[disk->outstanding - 1] : (struct cut_write){0};
}

/*
 * The sectors of the unit being written of which the damage may matter: those of all small images, and
 * somewhat more; those of the big one where it is.
 */
static uint32_t unit_of(const struct cut_write *w, uint32_t *count)
{
	uint32_t first = cut_disk_unit(w->at, count);

	if (*count > 64 && w->at + w->count < first + 24)
		*count = 64;
	return first;
}

static void cut_randomly(enum harm harm)
{
	unsigned int before;
	struct cut_write w = last_write(&before);
	struct variant v = {.subset = cut_random(&randomness), .harm = harm};
	uint32_t count, first = unit_of(&w, &count);

	v.sectors = w.count ? 1 + below(w.count) : 0;
	v.scatter = below(2) ? cut_random(&randomness) : 0;
	v.damaged = below(2) ? w.at + below(w.count + 4) : first + below(count);
	if (!w.count && (harm == HARM_UNIT || harm == HARM_UNREADABLE))
		v.harm = HARM_NONE; /* nothing is being written */
	cut(&v);
}

/* Every sector of the unit that is written, for every point at which the write may be torn. */
static void cut_with_damage(const struct cut_write *w)
{
	uint32_t count, first = unit_of(w, &count);
	uint32_t step = w->count > 16 ? w->count / 2 : 1;

	for (uint32_t at = first; at < first + count; at++) {
		for (uint32_t sectors = step; sectors <= w->count; sectors += step)
			cut(&(struct variant){.subset = cut_random(&randomness),
			                      .sectors = sectors,
			                      .damaged = at,
			                      .harm = sweep->harm});
	}
}

/* Every point at which the write may be torn, with every subset of those before it. */
static void cut_everywhere(const struct cut_write *w, unsigned int before)
{
	bool all = before <= CUT_EXHAUSTIVE;
	uint64_t subsets = 1ull << MIN(before, CUT_EXHAUSTIVE);

	for (uint32_t sectors = w->count ? 1 : 0; sectors <= w->count; sectors++) {
		for (uint64_t i = 0; i < subsets; i++)
			cut(&(struct variant){.subset = all ? i : cut_random(&randomness),
			                      .sectors = sectors,
			                      .harm = sweep->harm});
	}
}

/* An operation of the disk is done. */
static void operation_done(bool flushed)
{
	unsigned int before;
	struct cut_write w = last_write(&before);

	place.operation[place.depth]++;
	if (flushed)
		now->trial_ended = NONE;
	if (place.depth >= sweep->depth)
		return;
	if (place.depth > 0) { /* one in some: recovery is shorter than an update */
		if (below(8) == 0)
			cut_randomly(below(2) ? HARM_NONE : sweep->harm);
	} else if (sweep->samples) {
		for (unsigned int i = 0; i < sweep->samples; i++)
			cut_randomly(sweep->harm);
	} else if (sweep->harm == HARM_UNIT || sweep->harm == HARM_UNREADABLE) {
		if (!flushed)
			cut_with_damage(&w);
	} else {
		cut_everywhere(&w, before);
	}
}

/* --- Scenarios ----------------------------------------------------------------------------------- */

static void load(struct image *image, const char *folder, const char *version)
{
	struct update_trailer t;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pith", folder, version);
	f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END)) {
		perror(path);
		exit(1);
	}
	image->file_bytes = (uint32_t)ftell(f);
	image->file = malloc(image->file_bytes);
	rewind(f);
	if (!image->file || fread(image->file, 1, image->file_bytes, f) != image->file_bytes)
		exit(1);
	fclose(f);
	if (update_trailer_parse(image->file + image->file_bytes - UPDATE_TRAILER_BYTES,
	                         image->file_bytes, &t))
		exit(1);
	image->version = t.version;
	image->fit_bytes = t.fit_bytes;
}

static int read_file(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	memcpy(buf, ((const struct image *)ctx)->file + offset, bytes);
	return 0;
}

void powercut_load(const char *folder)
{
	static const char *const versions[IMAGES] = {"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"};

	for (int i = 0; i < IMAGES; i++) {
		struct image *image = &images[i];
		struct fit_info info;

		load(image, folder, versions[i]);
		assert(!fit_info(read_file, image, image->fit_bytes, &info));
		image->kernel_offset = info.kernel_offset;
		image->kernel_bytes = info.kernel_bytes;
	}
	copy_ram(ram_pristine, powercut_ram);
	disk_pristine = cut_block;
}

/* A card as tools/sdcard makes it, but for what the scenario says. */
static void make_card(struct machine *m)
{
	uint8_t sector[SECTOR_BYTES];
	char text[160];

	cut_disk_init(&m->disk);
	m->disk.ignores_flush = disk_ignores_flush;
	for (uint32_t i = 0; i < 2; i++) {
		const struct image *image =
		    &images[scenario->slot[i] == NONE ? 0 : scenario->slot[i]];

		if (scenario->slot[i] != NONE)
			cut_disk_put(&m->disk, CUT_SLOT_LBA(i), image->file_bytes / SECTOR_BYTES,
			             image->file);
	}
	snprintf(text, sizeof(text),
	         "act=A,bad=0,faults=0,left=0,minver=%x,prev=none,retry=0,seq=1,try=none,why=none",
	         images[V1_0].version);
	uboot_pack(text, sector);
	if (!scenario->state_lost)
		cut_disk_put(&m->disk, CUT_UNIT_LBA(0), 1, sector);
}

void powercut_run(const struct scenario *s, const struct sweep *how)
{
	struct machine *m = now = &machines[0];
	size_t mark = cut_disk_mark();

	scenario = s;
	sweep = how;
	randomness = how->seed;
	memset(m, 0, sizeof(*m));
	memset(&place, 0, sizeof(place));
	make_card(m);
	cut_disk = &m->disk;
	m->stable =
	    MIN((unsigned int)s->slot[0], (unsigned int)s->slot[1]); /* the older; not NONE */
	m->stable_maybe = m->trial = m->trial_maybe = m->trial_ended = NONE;
	m->confirmed[m->stable] = true;
	for (int i = 0; i < 2; i++) {
		if (s->slot[i] != NONE)
			m->verified[s->slot[i]] = true;
	}
	m->state_lost = s->state_lost;
	m->floor = s->state_lost ? 0 : images[V1_0].version;
	m->uboot_failures = s->uboot_fails;
	cut_hook = operation_done;
	m->wants = s->updates;
	run(m);
	run_on(m);
	cut_hook = NULL;
	cut_disk_release(mark);
}
