/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state: which slot boots. Two copies, each a sector of its own unit, read and written identically
 * by U-Boot's script (boards/boot.env): LE32 CRC-32 of the rest, "name=value" each ended by a NUL,
 * sorted, a NUL, zeros; numbers in hexadecimal, without 0x.
 *
 * Only the older copy is ever written, with a higher `seq`: one transition is one atomic sector.
 */
#ifndef KERNEL_STATE_H
#define KERNEL_STATE_H

#include <stdint.h>
#include <pith/disk.h>

#define STATE_WHY_BYTES 16

struct boot_state {
	char act;        /* 'A' or 'B': the slot that is known to work */
	char try;        /* 'A', 'B' or 0: the slot on trial */
	char prev;       /* 'A', 'B' or 0: the other slot, if what is in it was once confirmed */
	uint32_t left;   /* boots that the trial has left */
	uint32_t minver; /* no image with a lower version is booted or accepted */
	uint32_t bad;    /* the version that failed last, or 0 */
	char why[STATE_WHY_BYTES]; /* how it failed: a word of a-z, or "none" */
	uint32_t faults;           /* abnormal resets of the confirmed image in a row */
	uint32_t retry;            /* how often `bad` failed for lack of a network only */
	uint32_t seq;              /* of the copy that was read */
	int copy;                  /* which copy that was, 0 or 1; -1: neither was valid */
};

/*
 * The newer of the copies with a right CRC and sensible values.
 *
 * Blocks   yes
 * Returns  0; -ENOENT neither copy is valid (s has copy = -1 and zeros); -EIO the same, but one of them
 *          could not be read
 */
int state_read(const struct boot_disk *disk, struct boot_state *s);

/*
 * Write s over the older copy with seq + 1, flush, read back, compare.
 *
 * s        its seq and copy are updated on success, untouched on failure
 * Blocks   yes
 * Returns  0; -EIO: the card did not take it, and what state_read() finds is one of the two
 */
int state_write(const struct boot_disk *disk, struct boot_state *s);

#endif
