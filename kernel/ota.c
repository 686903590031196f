/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates (pith/ota.h). What makes an interruption at any moment harmless:
 *
 * - Before anything is destroyed, the state says that the running slot is the one that works, and
 *   says nothing of the other.
 * - The target's trailer and first sector go first, and its first sector comes last: until all of it
 *   was verified as read back from the medium there is no image in it, nor a mixed one.
 * - It goes on trial by one write of one sector (state.c), and is confirmed by another.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/ota.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "slotfile.h"
#include "slots.h"

/* A card wants large writes; what is got at any time is small. Writes end at multiples of it. */
#define BUFFER_BYTES 65536u

struct work {
	uint8_t
	    buffer[BUFFER_BYTES]; /* what came and is not written yet; later, what is read back */
	uint8_t first[SECTOR_BYTES]; /* the first sector, until the rest is verified */
	uint32_t fill;               /* bytes in buffer */
};

/* What takes long is done by one at a time; what it has reached can be seen meanwhile. */
static struct mutex turn = MUTEX_INIT(turn);
static _Atomic(enum ota_phase) phase;
static _Atomic uint64_t file_bytes, done_bytes;
static struct work *work;            /* in OTA_WRITING and OTA_VERIFYING */
static char why[SLOTFILE_WHY_BYTES]; /* written in turn */
static const char *_Atomic last_error = "nothing has failed";
static const char busy[] = "another update is under way";

/* The slot that is not running, and where it starts. */
static char target(void)
{
	return other_slot(slots_running());
}

static uint64_t target_lba(void)
{
	return slots_disk()->part[slot_part(target())].lba;
}

static bool under_way(void)
{
	return phase == OTA_WRITING || phase == OTA_VERIFYING;
}

/* The end of a turn. */
static int done(int error)
{
	if (error)
		last_error = why;
	mutex_unlock(&turn);
	return error;
}

static void end(enum ota_phase next)
{
	free(work);
	work = NULL;
	phase = next;
}

/* An update that was begun, and failed by error. */
static int give_up(int error)
{
	end(OTA_IDLE);
	klog("ota: slot %c: %s", target(), why);
	return error;
}

static int disk_failed(const char *doing, uint64_t at)
{
	return explain(why, -EIO, "the disk failed %s slot %c at byte %llu", doing, target(),
	               (unsigned long long)at);
}

/* --- Begin --------------------------------------------------------------------------------------- */

static int refuse_now(void)
{
	char text[VERSION_TEXT_BYTES];
	const char *reason;
	int error = slots_error(&reason);

	if (under_way())
		return explain(why, -EBUSY, "%s", busy);
	if (error)
		return explain(why, error, "%s", reason);
	if (slots_on_trial())
		return explain(why, -EAGAIN, "version %s, which runs, is not confirmed itself yet",
		               version_format(slots_running_version(), text));
	return 0;
}

static int refuse_size(uint64_t bytes)
{
	uint32_t room = slot_bytes(slots_disk(), target());

	if (bytes > room)
		return explain(why, -EFBIG, "the update has %llu bytes, slot %c only %u",
		               (unsigned long long)bytes, target(), (unsigned int)room);
	if (bytes <= SECTOR_BYTES + UPDATE_TRAILER_BYTES || bytes % SECTOR_BYTES != 0)
		return explain(why, -EBADMSG, "%llu bytes: this is not an update file",
		               (unsigned long long)bytes);
	return 0;
}

/* What runs is what works, and what is in the other slot does not matter any more. */
static bool settle(struct boot_state *s, void *ctx)
{
	(void)ctx;
	if (s->act == slots_running() && s->try == 0 && s->prev == 0)
		return false;
	s->act = slots_running();
	s->try = 0;
	s->left = 0;
	s->prev = 0;
	return true;
}

/*
 * No image is in the target from here on, nor is one on power-on in the middle of this: either what
 * was there is still whole for U-Boot, or its first sector is gone.
 *
 * What cannot be read is no reason to stop. A write that was interrupted can leave such sectors on a
 * card, and writing them is what makes them readable.
 */
static int destroy(uint8_t *buffer)
{
	struct block_device *dev = slots_disk()->dev;
	char no_matter[SLOTFILE_WHY_BYTES];
	uint32_t old_bytes, fit_bytes;
	struct slotfile old;

	slots_set_version(target(), 0);
	slotfile_open(&old, slots_disk(), target(), buffer, SECTOR_BYTES, no_matter);
	if (slotfile_measure(&old, &old_bytes, &fit_bytes))
		old_bytes = 0;
	memset(buffer, 0, UPDATE_TRAILER_BYTES);
	if (old_bytes != 0 &&
	    block_write(dev, target_lba() + (old_bytes - UPDATE_TRAILER_BYTES) / SECTOR_BYTES,
	                UPDATE_TRAILER_BYTES / SECTOR_BYTES, buffer))
		return disk_failed("writing", old_bytes - UPDATE_TRAILER_BYTES);
	if (block_write(dev, target_lba(), 1, buffer) || block_flush(dev))
		return disk_failed("writing", 0);
	return 0;
}

static int begin(uint64_t bytes)
{
	int error = refuse_now();

	if (!error)
		error = refuse_size(bytes);
	if (error)
		return error;
	work = malloc(sizeof(*work));
	if (!work)
		return explain(why, -ENOMEM, "no memory for an update: %zu bytes", sizeof(*work));
	if (slots_change(settle, NULL))
		error = explain(why, -EIO, "the state cannot be written");
	else
		error = destroy(work->buffer);
	if (error)
		return give_up(error);
	work->fill = 0;
	file_bytes = bytes;
	done_bytes = 0;
	phase = OTA_WRITING;
	klog("ota: an update of %llu bytes for slot %c", (unsigned long long)bytes, target());
	return 0;
}

int ota_begin(uint64_t bytes)
{
	/* Not behind another one that is being verified, which takes its time. */
	if (under_way()) {
		last_error = busy;
		return -EBUSY;
	}
	mutex_lock(&turn);
	return done(begin(bytes));
}

/* --- Write --------------------------------------------------------------------------------------- */

/* The image's own header says how long the file must be. */
static int check_header(void)
{
	uint32_t fit_bytes, must_be = update_file_bytes(work->first, &fit_bytes);

	if (must_be == 0)
		return explain(why, -EBADMSG, "this is not an update file");
	if (must_be != file_bytes)
		return explain(why, -EBADMSG,
		               "the update must have %u bytes by its header, and has %llu",
		               (unsigned int)must_be, (unsigned long long)file_bytes);
	return 0;
}

/* What is in the buffer to the disk, all but the first sector. */
static int write_buffer(void)
{
	uint64_t at = done_bytes - work->fill;
	uint32_t skip = at == 0 ? SECTOR_BYTES : 0;

	if (block_write(slots_disk()->dev, target_lba() + (at + skip) / SECTOR_BYTES,
	                (work->fill - skip) / SECTOR_BYTES, work->buffer + skip))
		return disk_failed("writing", at);
	work->fill = 0;
	return 0;
}

static int take(const uint8_t *bytes, uint32_t count)
{
	bool had_first = done_bytes >= SECTOR_BYTES;
	int error = 0;

	memcpy(work->buffer + work->fill, bytes, count);
	work->fill += count;
	done_bytes += count;
	if (!had_first && done_bytes >= SECTOR_BYTES) {
		memcpy(work->first, work->buffer, SECTOR_BYTES);
		error = check_header();
	}
	if (!error && (work->fill == BUFFER_BYTES || done_bytes == file_bytes))
		error = write_buffer();
	return error;
}

static int take_all(const uint8_t *bytes, size_t count)
{
	int error = 0;

	if (count > file_bytes - done_bytes)
		return explain(why, -EFBIG, "more came than the %llu bytes that were announced",
		               (unsigned long long)file_bytes);
	while (count != 0 && !error) {
		uint32_t part = (uint32_t)MIN(count, BUFFER_BYTES - work->fill);

		error = take(bytes, part);
		bytes += part;
		count -= part;
	}
	return error;
}

int ota_write(const void *bytes, size_t count)
{
	int error;

	mutex_lock(&turn);
	if (phase != OTA_WRITING)
		return done(explain(why, -EINVAL, "no update is under way"));
	error = take_all(bytes, count);
	return done(error ? give_up(error) : 0);
}

/* --- Finish -------------------------------------------------------------------------------------- */

/* The running image's word on the version of an update that is as its maker made it. */
static int check_version(uint32_t version)
{
	char its[VERSION_TEXT_BYTES], other[VERSION_TEXT_BYTES];
	struct boot_state state;

	slots_state(&state);
	version_format(version, its);
	if (version == slots_running_version())
		return explain(why, -EALREADY, "version %s runs already", its);
	if (version < slots_running_version())
		return explain(why, -EALREADY, "version %s is older than %s, which runs", its,
		               version_format(slots_running_version(), other));
	if (version < state.minver)
		return explain(why, -ESTALE, "version %s is below %s, the least that is accepted",
		               its, version_format(state.minver, other));
	return 0;
}

/* Now it becomes an image: one sector, written at once or not at all. */
static int write_first(void)
{
	struct block_device *dev = slots_disk()->dev;

	if (block_write(dev, target_lba(), 1, work->first) || block_flush(dev))
		return disk_failed("writing", 0);
	if (block_read(dev, target_lba(), 1, work->buffer) ||
	    memcmp(work->buffer, work->first, SECTOR_BYTES) != 0)
		return disk_failed("reading back", 0);
	return 0;
}

static int verify(uint32_t *version)
{
	struct slotfile f;
	int error;

	if (block_flush(slots_disk()->dev))
		return disk_failed("writing", file_bytes);
	slotfile_open(&f, slots_disk(), target(), work->buffer, BUFFER_BYTES, why);
	f.first = work->first;
	f.done = &done_bytes;
	error = slotfile_verify(&f, (uint32_t)file_bytes, version);
	return error ? error : check_version(*version);
}

static int finish(void)
{
	char text[VERSION_TEXT_BYTES];
	uint32_t version;
	int error;

	if (phase != OTA_WRITING)
		return explain(why, -EINVAL, "no update is under way");
	if (done_bytes != file_bytes)
		return give_up(
		    explain(why, -EBADMSG, "the update is truncated: %llu of %llu bytes came",
		            (unsigned long long)done_bytes, (unsigned long long)file_bytes));
	phase = OTA_VERIFYING;
	error = verify(&version);
	if (!error)
		error = write_first();
	if (error)
		return give_up(error);
	slots_set_version(target(), version);
	end(OTA_READY);
	klog("ota: slot %c: version %s, verified", target(), version_format(version, text));
	return 0;
}

int ota_finish(void)
{
	mutex_lock(&turn);
	return done(finish());
}

/* --- Then ---------------------------------------------------------------------------------------- */

static bool start_trial(struct boot_state *s, void *ctx)
{
	(void)ctx;
	s->try = target();
	s->left = OTA_TRIES;
	return true;
}

static int activate(void)
{
	if (phase != OTA_READY)
		return explain(why, -EINVAL, "there is no finished update");
	if (slots_change(start_trial, NULL))
		return explain(why, -EIO, "the state cannot be written");
	phase = OTA_ACTIVATED;
	klog("ota: slot %c is on trial from the next restart on", target());
	return 0;
}

int ota_activate(void)
{
	mutex_lock(&turn);
	return done(activate());
}

void ota_abort(void)
{
	uint8_t zeros[UPDATE_TRAILER_BYTES];

	mutex_lock(&turn);
	if (phase == OTA_READY && destroy(zeros))
		klog("ota: %s", why);
	if (under_way() || phase == OTA_READY) {
		end(OTA_IDLE);
		klog("ota: slot %c: the update was given up", target());
	}
	done(0);
}

/* The lowest version that either slot has, once both are whole: there is no way back below it. */
static uint32_t least_version(void)
{
	uint32_t a, b;

	if (slot_verify(slots_disk(), 'A', &a) || slot_verify(slots_disk(), 'B', &b))
		return 0;
	return MIN(a, b);
}

/*
 * A version that failed is forgotten once a later one works. If it is the later one it must not come
 * again, and the slot that has it is none to go back to.
 */
static bool confirm(struct boot_state *s, void *least)
{
	char running = slots_running();

	if (s->try != running)
		return false;
	if (s->act != running)
		s->prev = s->bad && s->bad == slots_version(s->act) ? 0 : s->act;
	s->act = running;
	s->try = 0;
	s->left = 0;
	s->faults = 0;
	s->minver = MAX(s->minver, *(uint32_t *)least);
	if (s->bad <= slots_running_version()) {
		s->bad = 0;
		s->retry = 0;
		strcpy(s->why, "none");
	}
	return true;
}

int ota_confirm(void)
{
	char text[VERSION_TEXT_BYTES];
	uint32_t least;

	if (!slots_on_trial())
		return 0;
	if (!slots_running())
		return -EIO;
	least = least_version();
	if (slots_change(confirm, &least) || slots_on_trial())
		return -EIO;
	klog("ota: version %s is confirmed", version_format(slots_running_version(), text));
	return 0;
}

const char *ota_error(void)
{
	return last_error;
}

/* --- Status -------------------------------------------------------------------------------------- */

static uint32_t trial_left_ms(void)
{
	uint64_t now_ns = time_now_ns(), deadline_ns = slots_trial_deadline_ns();

	if (!slots_on_trial() || deadline_ns <= now_ns)
		return 0;
	return (uint32_t)((deadline_ns - now_ns) / NS_PER_MS);
}

void ota_status(struct ota_status *s)
{
	struct boot_state state;

	memset(s, 0, sizeof(*s));
	s->trial = slots_on_trial();
	s->trial_left_ms = trial_left_ms();
	s->running = slots_running();
	if (!slots_state(&state)) {
		strcpy(s->why, "none");
		return;
	}
	s->active = state.act;
	for (int i = 0; i < 2; i++) {
		char slot = "AB"[i];

		s->slot[i].version = slots_version(slot);
		s->slot[i].confirmed = slot == state.act || slot == state.prev;
	}
	s->min_version = state.minver;
	s->bad_version = state.bad;
	memcpy(s->why, state.why, sizeof(s->why));
	s->faults = state.faults;
	s->retries = state.retry;
	s->phase = phase;
	s->file_bytes = file_bytes;
	s->done_bytes = done_bytes;
}
