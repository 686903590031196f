/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that Pith boots from: its layout, which cannot change in the field (tools/disk.py makes
 * it, boards/boot.env reads it, docs/ota.md shows it byte by byte).
 */
#ifndef PITH_DISK_H
#define PITH_DISK_H

#include <stdint.h>
#include <pith/block.h>

#define SECTOR_BYTES 512u
/* What an interrupted write to a card can damage: each record of the data partition has its own. */
#define DISK_UNIT_BLOCKS ((4u << 20) / SECTOR_BYTES)

enum disk_part { PART_BOOT, PART_SLOT_A, PART_SLOT_B, PART_DATA, PART_COUNT };

/* Units of the data partition. */
enum disk_unit { UNIT_STATE_0, UNIT_STATE_1, UNIT_CONFIG_0, UNIT_CONFIG_1, UNIT_CRASH, UNIT_APP };

struct boot_disk {
	struct block_device *dev; /* blocks of SECTOR_BYTES */
	struct {
		uint64_t lba;
		uint32_t blocks;
	} part[PART_COUNT];
};

/*
 * The partition table of a disk laid out as Pith's.
 *
 * Blocks   yes
 * Returns  0; -ENODEV it is not one; -EIO
 */
int disk_read_layout(struct block_device *dev, struct boot_disk *disk);

/*
 * The machine's: the first whose layout is right, looked for once, in thread context. NULL: none.
 * Its MBR and boot partition are write-protected from then on (block_protect).
 */
const struct boot_disk *boot_disk(void);

static inline uint64_t disk_unit_lba(const struct boot_disk *disk, enum disk_unit unit)
{
	return disk->part[PART_DATA].lba + (uint64_t)unit * DISK_UNIT_BLOCKS;
}

#endif
