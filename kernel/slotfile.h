/* SPDX-License-Identifier: Apache-2.0 */
/* An update file (pith/update.h) in a slot: read through a small window, measured, verified. */
#ifndef KERNEL_SLOTFILE_H
#define KERNEL_SLOTFILE_H

#include <stdint.h>
#include <pith/compiler.h>
#include <pith/disk.h>

#define SLOTFILE_WHY_BYTES 160 /* a sentence for people */

struct slotfile {
	struct block_device *dev;
	uint64_t lba;
	uint32_t bytes; /* of the slot; of the file once that is known: nothing more is read */
	const uint8_t *first; /* its first sector, where that is not on the medium yet; or NULL */
	uint8_t *window;
	uint32_t window_bytes;  /* a multiple of SECTOR_BYTES */
	uint32_t at, have;      /* what is in the window */
	char *why;              /* gets what is wrong with it, SLOTFILE_WHY_BYTES */
	_Atomic uint64_t *done; /* counts the bytes that were verified; or NULL */
};

static inline enum disk_part slot_part(char slot)
{
	return slot == 'A' ? PART_SLOT_A : PART_SLOT_B;
}

/* Bytes that an update file in this slot can have at most. */
uint32_t slot_bytes(const struct boot_disk *disk, char slot);

/* All of f but for the slot's place is zero. */
void slotfile_open(struct slotfile *f, const struct boot_disk *disk, char slot, uint8_t *window,
                   uint32_t window_bytes, char *why);

/* Bytes of it; a fit_read_fn (pith/update.h). 0; -EBADMSG beyond the slot; -EIO. */
int slotfile_read(void *f, uint32_t offset, void *buf, uint32_t bytes);

/* How long the file is that an image's first bytes announce, and its FIT; 0: they announce none. */
uint32_t update_file_bytes(const uint8_t header[8], uint32_t *fit_bytes);

/*
 * How long the file in a slot is, by its first bytes.
 *
 * Returns  0; -EBADMSG none that fits; -EIO
 */
int slotfile_measure(struct slotfile *f, uint32_t *file_bytes, uint32_t *fit_bytes);

/* The version that the trailer names, unverified; 0: there is no whole file. */
uint32_t slotfile_version(struct slotfile *f);

/* Verify all of it; see slot_verify() (slots.h). */
int slotfile_verify(struct slotfile *f, uint32_t file_bytes, uint32_t *version);

/* Say why, and hand on the error. */
int explain(char *why, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
