/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots and the state for the rest of the kernel (kernel/ota.c). What is read here was read from
 * the disk once, by slots_start(), and is kept in memory from then on: nobody else writes the state.
 *
 * Thread context, any thread. What changes the state blocks for the disk, and waits its turn behind an
 * ota_*() call that is under way; what only asks does not.
 */
#ifndef KERNEL_SLOTS_H
#define KERNEL_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include "state.h"

/*
 * Find out where this image runs, whether it is on trial, and what is in both slots. The first call
 * does it, the others return at once: every initialiser that asks anything below calls it first.
 */
void slots_start(void);

/*
 * The same for a disk and words of the bootargs that are given, forgetting everything from before: how
 * the host tests restart the machine.
 *
 * disk    NULL: none. Stays in use; its device is registered anew, too (block_register)
 * booted  the word `pith.slot`: "A", "B"; anything else, NULL too: not booted from a slot
 * trial   the word `pith.try`: counts where the state cannot be read
 */
void slots_restart(const struct boot_disk *disk, const char *booted, const char *trial);

/* The disk of slots_start(), or NULL. */
const struct boot_disk *slots_disk(void);
/* The slot that this image runs from, 'A' or 'B'; 0: not booted from one, or it is not what runs. */
char slots_running(void);
/* The running image's version, as its signed configuration says; 0 if slots_running() is. */
uint32_t slots_running_version(void);
/* This image runs, and is not confirmed. */
bool slots_on_trial(void);
/* When the trial must be confirmed; TIME_FOREVER outside of one. */
uint64_t slots_trial_deadline_ns(void);
/* The state as it is now. False (and zeros): not booted from a slot. */
bool slots_state(struct boot_state *s);
/* 0; or why there is no running slot: -ENODEV or -EIO, and a sentence. */
int slots_error(const char **why);
/* The version in a slot as its trailer names it; 0: no whole image. Read once, and told by ota.c. */
uint32_t slots_version(char slot);
void slots_set_version(char slot, uint32_t version);

static inline char other_slot(char slot)
{
	return slot == 'A' ? 'B' : 'A';
}

/*
 * Change the state by one write.
 *
 * change   makes of the state as it is what it shall be; false: it is that already
 * Returns  0; -ENODEV not booted from a slot; -EIO: the state is as before
 */
int slots_change(bool (*change)(struct boot_state *s, void *ctx), void *ctx);

/*
 * This image on trial has failed: one write of try=none, bad, why, retry. The caller then resets.
 *
 * why      a word of pith/ota.h: "panic", "watchdog", "exit", "unconfirmed", "network"
 * Returns  0, also outside of a trial, where it does nothing; -EIO: U-Boot will count the try
 */
int slots_fail_trial(const char *why);

/*
 * Verify all of a slot as it is on the medium: trailer, signature, and that trailer and FIT name the
 * same version.
 *
 * slot     'A' or 'B'
 * version  set on success
 * Blocks   yes, for about as long as reading the image takes; 64 KiB of memory meanwhile
 * Returns  0; -EBADMSG, -ENOKEY, -EKEYREJECTED, -EPERM as ota_finish(); -EIO; -ENOMEM
 */
int slot_verify(const struct boot_disk *disk, char slot, uint32_t *version);

#endif
