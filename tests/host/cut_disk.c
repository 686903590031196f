/* SPDX-License-Identifier: Apache-2.0 */
/* A disk of which the power can be cut (cut_disk.h). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cut_disk.h"

struct cut_disk *cut_disk;
void (*cut_hook)(bool flushed);

static const struct extent {
	uint64_t lba;
	uint32_t count, at;
} extents[] = {
    {0, 1, 0},
    {CUT_SLOT_LBA(0), CUT_SLOT_SECTORS, 1},
    {CUT_SLOT_LBA(1), CUT_SLOT_SECTORS, 1 + CUT_SLOT_SECTORS},
#define UNIT(i)                                                                                    \
	{                                                                                          \
		CUT_UNIT_LBA(i), CUT_UNIT_SECTORS, 1 + 2 * CUT_SLOT_SECTORS + (i)*CUT_UNIT_SECTORS \
	}
    UNIT(0),
    UNIT(1),
    UNIT(2),
    UNIT(3),
    UNIT(4),
    UNIT(5),
};
#define EXTENTS (sizeof(extents) / sizeof(extents[0]))

static uint8_t arena[96u << 20];
static size_t arena_used;
static const uint8_t zeros[SECTOR_BYTES];

uint64_t cut_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

size_t cut_disk_mark(void)
{
	return arena_used;
}

void cut_disk_release(size_t mark)
{
	arena_used = mark;
}

static uint8_t *keep(const void *data, uint32_t count)
{
	size_t bytes = (size_t)count * SECTOR_BYTES;
	uint8_t *copy = arena + arena_used;

	assert(bytes <= sizeof(arena) - arena_used);
	arena_used += bytes;
	return memcpy(copy, data, bytes);
}

static const struct extent *find(uint64_t lba)
{
	for (unsigned int i = 0; i < EXTENTS; i++) {
		if (lba >= extents[i].lba && lba < extents[i].lba + extents[i].count)
			return &extents[i];
	}
	return NULL;
}

const uint8_t *cut_disk_sector(const struct cut_disk *disk, uint64_t lba)
{
	const struct extent *e = find(lba);

	return e ? disk->seen[e->at + (lba - e->lba)] : zeros;
}

uint32_t cut_disk_unit(uint32_t at, uint32_t *count)
{
	unsigned int i = 0;

	while (at >= extents[i].at + extents[i].count)
		i++;
	*count = extents[i].count;
	return extents[i].at;
}

static void put(const uint8_t **sectors, const struct cut_write *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		sectors[w->at + i] = w->data + (size_t)i * SECTOR_BYTES;
}

static struct cut_write take(uint64_t lba, uint32_t count, const void *data)
{
	const struct extent *e = find(lba);

	if (!e || lba + count > e->lba + e->count)
		abort(); /* nothing else on the disk is ever written */
	return (struct cut_write){
	    .at = e->at + (uint32_t)(lba - e->lba), .count = count, .data = keep(data, count)};
}

void cut_disk_put(struct cut_disk *disk, uint64_t lba, uint32_t count, const void *data)
{
	struct cut_write w = take(lba, count, data);

	put(disk->medium, &w, count);
	put(disk->seen, &w, count);
}

/* As tools/disk.py has it. */
static void partition(uint8_t *entry, uint8_t type, uint32_t lba, uint32_t blocks)
{
	entry[4] = type;
	memcpy(entry + 8, &lba, 4);
	memcpy(entry + 12, &blocks, 4);
}

void cut_disk_init(struct cut_disk *disk)
{
	uint8_t mbr[SECTOR_BYTES] = {[510] = 0x55, [511] = 0xaa};

	memset(disk, 0, sizeof(*disk));
	for (uint32_t i = 0; i < CUT_SECTORS; i++)
		disk->medium[i] = disk->seen[i] = zeros;
	partition(mbr + 446, 0x0c, (4u << 20) / SECTOR_BYTES, (60u << 20) / SECTOR_BYTES);
	partition(mbr + 462, 0xda, CUT_SLOT_LBA(0), CUT_PART_BLOCKS);
	partition(mbr + 478, 0xda, CUT_SLOT_LBA(1), CUT_PART_BLOCKS);
	partition(mbr + 494, 0xda, CUT_UNIT_LBA(0), CUT_PART_BLOCKS);
	cut_disk_put(disk, 0, 1, mbr);
}

static void put_some(const uint8_t **sectors, const struct cut_write *w, uint32_t count,
                     uint64_t *seed)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < count; i++, bits >>= 1) {
		if (i % 64 == 0)
			bits = cut_random(seed);
		if (bits & 1)
			sectors[w->at + i] = w->data + (size_t)i * SECTOR_BYTES;
	}
}

void cut_disk_cut(struct cut_disk *to, const struct cut_disk *from, uint64_t subset,
                  uint32_t sectors, uint64_t scatter)
{
	memcpy(to->medium, from->medium, sizeof(to->medium));
	for (unsigned int i = 0; i < from->outstanding; i++) {
		const struct cut_write *w = &from->writes[i];
		uint32_t count = i + 1 == from->outstanding ? sectors : w->count;

		if (i + 1 < from->outstanding && !(subset >> i & 1))
			continue;
		if (scatter)
			put_some(to->medium, w, count, &scatter);
		else
			put(to->medium, w, count);
	}
	memcpy(to->seen, to->medium, sizeof(to->seen));
	to->outstanding = 0;
	to->ignores_flush = from->ignores_flush;
	to->read_only = from->read_only;
}

void cut_disk_damage(struct cut_disk *disk, uint32_t at, uint64_t seed)
{
	uint64_t garbage[SECTOR_BYTES / 8];

	if (!seed) {
		disk->medium[at] = disk->seen[at] = NULL;
		return;
	}
	for (unsigned int i = 0; i < SECTOR_BYTES / 8; i++)
		garbage[i] = cut_random(&seed);
	disk->medium[at] = disk->seen[at] = keep(garbage, 1);
}

/* --- The block device ------------------------------------------------------------------------- */

static int disk_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	(void)dev;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *sector = cut_disk_sector(cut_disk, lba + i);

		if (!sector)
			return -EIO;
		memcpy((uint8_t *)buf + (size_t)i * SECTOR_BYTES, sector, SECTOR_BYTES);
	}
	return 0;
}

/* Everything outstanding is on the medium. */
static void settle(struct cut_disk *disk)
{
	for (unsigned int i = 0; i < disk->outstanding; i++)
		put(disk->medium, &disk->writes[i], disk->writes[i].count);
	disk->outstanding = 0;
}

static int disk_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf)
{
	struct cut_disk *disk = cut_disk;
	struct cut_write w;

	(void)dev;
	if (disk->read_only)
		return -EIO;
	w = take(lba, count, buf);
	if (disk->outstanding == CUT_WRITES) /* only where flushes are ignored */
		settle(disk);
	disk->writes[disk->outstanding++] = w;
	put(disk->seen, &w, count);
	if (cut_hook)
		cut_hook(false);
	return 0;
}

static int disk_flush(struct block_device *dev)
{
	struct cut_disk *disk = cut_disk;

	(void)dev;
	if (disk->ignores_flush || !disk->outstanding)
		return 0;
	settle(disk);
	if (cut_hook)
		cut_hook(true);
	return 0;
}

struct block_device cut_block = {
    .name = "vda",
    .block_bytes = SECTOR_BYTES,
    .block_count = (256u << 20) / SECTOR_BYTES,
    .read = disk_read,
    .write = disk_write,
    .flush = disk_flush,
};
