/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots and state while the image runs (slots.h).
 *
 * U-Boot says in the bootargs what it booted. That it is what runs is checked by the build id in that
 * slot's bytes: an image that was started in another way, with bootargs from anywhere, must not take
 * the slot that it would then destroy for the other one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/bootargs.h>
#include <pith/init.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/time.h>
#include <pith/update.h>
#include "slotfile.h"
#include "slots.h"

/* Small, since what is read at the start are some words here and there. */
#define START_WINDOW_BYTES  4096
#define VERIFY_WINDOW_BYTES 65536

static struct mutex lock =
    MUTEX_INIT(lock); /* for all of this, and held while the state is written */
static struct {
	const struct boot_disk *disk;
	char running;
	bool trial;
	uint64_t trial_deadline_ns;
	int error; /* why nothing is known to be running */
	const char *why;
	uint32_t version[2];
	struct boot_state state;
	struct block_range booted; /* never written while it runs */
} slots;

/* --- At the start -------------------------------------------------------------------------------- */

/* Is the running image the one in f? Then *version is what its signed configuration says. */
static int compare_build_id(struct slotfile *f, uint32_t *version)
{
	uint32_t file_bytes, fit_bytes, offset;
	const uint8_t *mine = image_build_id_bytes(&offset);
	uint8_t its[BUILD_ID_BYTES];
	struct fit_info info;
	int error = slotfile_measure(f, &file_bytes, &fit_bytes);

	if (!error)
		error = fit_info(slotfile_read, f, fit_bytes, &info);
	if (error)
		return error;
	if (info.kernel_bytes < sizeof(its) || offset > info.kernel_bytes - sizeof(its))
		return -EBADMSG;
	error = slotfile_read(f, info.kernel_offset + offset, its, sizeof(its));
	if (error)
		return error;
	*version = info.version;
	return memcmp(its, mine, sizeof(its)) == 0 ? 0 : -EBADMSG;
}

static int unknown(int error, const char *why)
{
	slots.error = error;
	slots.why = why;
	return error;
}

/* What is in the slots, and whether the booted one is what runs. */
static int look_at_slots(const struct boot_disk *disk, char booted)
{
	uint8_t window[START_WINDOW_BYTES];
	char why[SLOTFILE_WHY_BYTES];
	struct slotfile f;
	uint32_t version;
	int error;

	slotfile_open(&f, disk, other_slot(booted), window, sizeof(window), why);
	slots_set_version(other_slot(booted), slotfile_version(&f));
	slotfile_open(&f, disk, booted, window, sizeof(window), why);
	error = compare_build_id(&f, &version);
	if (error == -EIO)
		return unknown(-EIO, "the slot that was booted cannot be read");
	if (error)
		return unknown(-ENODEV,
		               "the slot that was booted does not hold the image that runs");
	slots_set_version(booted, version);
	return 0;
}

static void protect(const struct boot_disk *disk, char slot)
{
	slots.booted.lba = disk->part[slot_part(slot)].lba;
	slots.booted.blocks = disk->part[slot_part(slot)].blocks;
	block_protect(disk->dev, &slots.booted);
}

/*
 * The state of a disk that has none, as U-Boot makes it (new_state in boards/boot.env), which could not
 * write it or has not been asked since it was lost. The first transition writes it.
 */
static void make_state(char booted)
{
	uint32_t other = slots_version(other_slot(booted));

	klog("ota: no valid state");
	slots.state.act = booted;
	slots.state.minver = slots_version(booted);
	if (other != 0 && other < slots.state.minver)
		slots.state.minver = other;
	strcpy(slots.state.why, "none");
}

/* Sets slots.running if all is as it must be for updates. */
static int start(const struct boot_disk *disk, char booted, bool trial)
{
	int error;

	if (!booted)
		return unknown(-ENODEV, "this machine was not booted from a slot");
	if (!disk)
		return unknown(-ENODEV, "the disk that this machine was booted from is not there");
	protect(disk, booted);
	error = look_at_slots(disk, booted);
	if (error)
		return error;
	error = state_read(disk, &slots.state);
	if (error == -ENOENT && !trial)
		make_state(booted);
	else if (error)
		return unknown(-EIO, "the state on the disk cannot be read");
	slots.running = booted;
	return 0;
}

static char slot_of_word(const char *word)
{
	return word && (strcmp(word, "A") == 0 || strcmp(word, "B") == 0) ? word[0] : 0;
}

void slots_restart(const struct boot_disk *disk, const char *booted, const char *trial)
{
	char slot = slot_of_word(booted);
	bool on_trial = slot && slot == slot_of_word(trial);
	char text[VERSION_TEXT_BYTES];

	memset(&slots, 0, sizeof(slots));
	slots.disk = disk;
	if (start(disk, slot, on_trial) == 0)
		slots.trial = slots.state.try == slot;
	else /* what cannot be confirmed must not stay */
		slots.trial = on_trial;
	slots.trial_deadline_ns =
	    slots.trial ? time_now_ns() + OTA_TRIAL_MS * NS_PER_MS : TIME_FOREVER;
	if (slots.running)
		klog("ota: version %s in slot %c%s", version_format(slots_version(slot), text),
		     slot, slots.trial ? ", on trial" : "");
	else if (slot)
		klog("ota: no updates: %s", slots.why);
}

void slots_start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	slots_restart(boot_disk(), bootarg("pith.slot"), bootarg("pith.try"));
}

static int slots_init(void)
{
	slots_start();
	return 0;
}
INIT_FIRST(slots_init);

/* --- What there is ------------------------------------------------------------------------------- */

const struct boot_disk *slots_disk(void)
{
	return slots.disk;
}

char slots_running(void)
{
	return slots.running;
}

uint32_t slots_running_version(void)
{
	return slots.running ? slots_version(slots.running) : 0;
}

bool slots_on_trial(void)
{
	return slots.trial;
}

uint64_t slots_trial_deadline_ns(void)
{
	return slots.trial_deadline_ns;
}

int slots_error(const char **why)
{
	*why = slots.why;
	return slots.error;
}

uint32_t slots_version(char slot)
{
	return slots.version[slot == 'B'];
}

void slots_set_version(char slot, uint32_t version)
{
	slots.version[slot == 'B'] = version;
}

bool slots_state(struct boot_state *s)
{
	mutex_lock(&lock);
	*s = slots.state;
	mutex_unlock(&lock);
	return slots.running != 0;
}

/* --- Transitions --------------------------------------------------------------------------------- */

int slots_change(bool (*change)(struct boot_state *s, void *ctx), void *ctx)
{
	struct boot_state next;
	int error = 0;

	if (!slots.running)
		return slots.error;
	mutex_lock(&lock);
	next = slots.state;
	if (change(&next, ctx))
		error = state_write(slots.disk, &next);
	if (!error) {
		slots.state = next;
		/* Only confirmation ends a trial: one that failed must never become active. */
		if (next.act == slots.running)
			slots.trial = false;
	}
	mutex_unlock(&lock);
	if (error)
		klog("ota: the state cannot be written");
	return error;
}

/* Only a network that was missing is counted: the same image may do better another time. */
static bool fail_trial(struct boot_state *s, void *why)
{
	uint32_t version = slots_running_version();
	bool network = strcmp(why, "network") == 0;
	bool again = s->bad == version && strcmp(s->why, "network") == 0;

	/* It was confirmed, or has failed already, while this waited. */
	if (s->try != slots.running)
		return false;
	s->retry = network ? (again ? s->retry : 0) + 1 : 0;
	s->bad = version;
	strncpy(s->why, why, sizeof(s->why) - 1);
	s->try = 0;
	s->left = 0;
	return true;
}

int slots_fail_trial(const char *why)
{
	return slots.trial ? slots_change(fail_trial, (void *)why) : 0;
}

int slot_verify(const struct boot_disk *disk, char slot, uint32_t *version)
{
	uint8_t *window = malloc(VERIFY_WINDOW_BYTES);
	char why[SLOTFILE_WHY_BYTES];
	uint32_t file_bytes, fit_bytes;
	struct slotfile f;
	int error;

	if (!window) {
		klog("ota: slot %c: no memory to verify it", slot);
		return -ENOMEM;
	}
	slotfile_open(&f, disk, slot, window, VERIFY_WINDOW_BYTES, why);
	error = slotfile_measure(&f, &file_bytes, &fit_bytes);
	if (!error)
		error = slotfile_verify(&f, file_bytes, version);
	if (error)
		klog("ota: slot %c: %s", slot, why);
	free(window);
	return error;
}
