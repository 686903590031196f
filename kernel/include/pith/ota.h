/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates (feature `ota`): a whole new image, streamed into the slot that is not running, verified as
 * read back from the medium, put on trial by one write of the state. docs/ota.md has the states.
 *
 *	ota_begin(file_bytes); ota_write(...); ...; ota_finish(); ota_activate(); machine_restart();
 *
 * After the restart U-Boot boots the new image on trial. Its app calls ota_confirm() once it knows that
 * it works; if it does not within OTA_TRIAL_MS, or dies, the machine goes back by itself.
 *
 * All functions: thread context only, any thread; they block for the disk, and take turns.
 * Memory: 65 KiB from begin to finish, independent of the image's size; 64 KiB within confirm.
 */
#ifndef PITH_OTA_H
#define PITH_OTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/update.h>
#include <pith/version.h>

#define OTA_TRIAL_MS 30000u /* after boot, to confirm in */
#define OTA_TRIES    3u     /* boots that a trial has, should power fail during it */

/*
 * Begin an update. First puts the state in order (the running slot active), then destroys the target's
 * trailer and first sector.
 *
 * file_bytes  of the update file
 * Returns     0; -ENODEV not booted from a slot; -EBUSY another update is under way;
 *             -EAGAIN this image is itself not confirmed yet; -EFBIG larger than the slot;
 *             -EBADMSG too short to be an update; -EIO; -ENOMEM
 */
int ota_begin(uint64_t file_bytes);

/*
 * The next bytes, in order, as many as there are.
 *
 * Returns  0; -EFBIG more than announced; -EIO the disk failed; -EBADMSG this cannot become an update;
 *          -EINVAL none is under way. After an error the update is over, as by ota_abort().
 */
int ota_write(const void *bytes, size_t count);

/*
 * Everything was written: read it back from the medium, verify, and only then write its first sector.
 *
 * Returns  0; -EBADMSG truncated or damaged; -ENOKEY, -EKEYREJECTED wrong signature;
 *          -EPERM another product's; -EALREADY the same or an older version than what runs;
 *          -ESTALE below the least version; -EIO; -EINVAL none is under way. After an error the update
 *          is over.
 */
int ota_finish(void);

/* Put what was finished on trial from the next restart on. 0; -EINVAL nothing is; -EIO: try again. */
int ota_activate(void);

/*
 * This image works: keep it. Outside of a trial: nothing to do.
 *
 * Returns  0; -EIO the state could not be written (the trial goes on; try again)
 */
int ota_confirm(void);

/* Give an update up; the target slot stays without an image. Does nothing once it is activated. */
void ota_abort(void);

/*
 * The last error of begin, write, finish or activate as a sentence for people: never empty. It changes
 * with the next one.
 */
const char *ota_error(void);

enum ota_phase { OTA_IDLE, OTA_WRITING, OTA_VERIFYING, OTA_READY, OTA_ACTIVATED };

struct ota_slot {
	uint32_t version; /* by its trailer; 0: no whole image */
	bool confirmed;
};

struct ota_status {
	char running;            /* 'A', 'B'; 0: not booted from a slot */
	char active;             /* the slot that is known to work */
	bool trial;              /* the running image is not confirmed */
	uint32_t trial_left_ms;  /* until the deadline */
	struct ota_slot slot[2]; /* A, B */
	uint32_t min_version;
	uint32_t bad_version; /* that failed last, or 0 */
	char why[16]; /* "none", "damaged", "unconfirmed", "panic", "watchdog", "exit", "network" */
	unsigned int faults;  /* abnormal resets in a row since the last healthy day */
	unsigned int retries; /* failures of bad_version for lack of a network only */
	enum ota_phase phase;
	uint64_t file_bytes, done_bytes; /* of the update under way */
};
void ota_status(struct ota_status *s);

#endif
