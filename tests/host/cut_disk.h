/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of which the power can be cut: it has a cache of writes that no flush has made durable yet,
 * and can tell every content that a cut at this moment may leave behind.
 *
 * A sector is whole, old or new; that is all that is promised. Of the writes since the last flush any
 * may be on the medium, in any order, and the one under way up to any of its sectors.
 */
#ifndef TESTS_HOST_CUT_DISK_H
#define TESTS_HOST_CUT_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/block.h>
#include <pith/disk.h>

/* The layout of tools/disk.py. Only the first sectors of what is in use are simulated. */
#define CUT_SLOT_SECTORS 1536u /* of each slot */
#define CUT_UNIT_SECTORS 64u   /* of each unit of the data partition */
#define CUT_UNITS        6u
#define CUT_SECTORS      (1 + 2 * CUT_SLOT_SECTORS + CUT_UNITS * CUT_UNIT_SECTORS)
#define CUT_WRITES       64u /* outstanding ones, at most */
#define CUT_EXHAUSTIVE   8u  /* up to so many, every subset of them */

#define CUT_SLOT_LBA(i) (((i) + 1u) * (64u << 20) / SECTOR_BYTES)
#define CUT_UNIT_LBA(i) ((192u << 20) / SECTOR_BYTES + (i)*DISK_UNIT_BLOCKS)
#define CUT_PART_BLOCKS ((64u << 20) / SECTOR_BYTES)

struct cut_write {
	uint32_t at, count; /* index of its first sector, and how many */
	const uint8_t *data;
};

struct cut_disk {
	const uint8_t *medium[CUT_SECTORS]; /* what is there without power */
	const uint8_t *seen[CUT_SECTORS];   /* what is read */
	struct cut_write writes[CUT_WRITES];
	unsigned int outstanding;
	bool ignores_flush; /* a disk that lies */
	bool read_only;     /* writes fail */
};

/* The disk that `cut_block` is at the moment. */
extern struct cut_disk *cut_disk;
extern struct block_device cut_block;

/* Called after each write, which is the last of the outstanding ones, and after each flush. */
extern void (*cut_hook)(bool flushed);

/* Partition table, and nothing else. */
void cut_disk_init(struct cut_disk *disk);

/* Contents without simulation: at once on the medium. */
void cut_disk_put(struct cut_disk *disk, uint64_t lba, uint32_t count, const void *data);

/* Sector lba as it is read; NULL: it cannot be. */
const uint8_t *cut_disk_sector(const struct cut_disk *disk, uint64_t lba);

/* All sectors of the 4 MiB unit in which sector index `at` is: the first, and in count how many. */
uint32_t cut_disk_unit(uint32_t at, uint32_t *count);

/*
 * What a cut leaves of a disk: to becomes it, with nothing outstanding.
 *
 * subset   bit i: outstanding write i is there, for all but the last
 * sectors  how many of the last write's are
 * scatter  not 0: of these writes each sector is there or not, differently for each seed
 */
void cut_disk_cut(struct cut_disk *to, const struct cut_disk *from, uint64_t subset,
                  uint32_t sectors, uint64_t scatter);

/* Sector index `at` is garbage, a different one for each seed; seed 0: it cannot be read. */
void cut_disk_damage(struct cut_disk *disk, uint32_t at, uint64_t seed);

/* Memory that sectors are in: give back all that was taken since. */
size_t cut_disk_mark(void);
void cut_disk_release(size_t mark);

/* Random numbers, the same for the same seed (splitmix64). */
uint64_t cut_random(uint64_t *seed);

#endif
