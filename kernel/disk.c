/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that Pith boots from (pith/disk.h): an MBR with exactly our four partitions, in order.
 *
 * MBR: UEFI specification 2.10, section 5.2.1. Four entries of 16 bytes; type at 4, first sector at 8,
 * sectors at 12.
 */
#include <errno.h>
#include <stddef.h>
#include <pith/disk.h>

#define MBR_ENTRIES     446
#define MBR_ENTRY_BYTES 16
#define MBR_SIGNATURE   510
#define TYPE_FAT        0x0c
#define TYPE_DATA       0xda

static uint32_t little_endian32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Partitions one after the other behind the MBR, all on the disk, and room for every unit. */
static int check_layout(const struct boot_disk *disk)
{
	uint64_t end = 1;

	for (int i = 0; i < PART_COUNT; i++) {
		if (disk->part[i].blocks == 0 || disk->part[i].lba < end)
			return -ENODEV;
		end = disk->part[i].lba + disk->part[i].blocks;
	}
	if (end > disk->dev->block_count ||
	    disk->part[PART_DATA].blocks < UNIT_APP * DISK_UNIT_BLOCKS)
		return -ENODEV;
	return 0;
}

int disk_read_layout(struct block_device *dev, struct boot_disk *disk)
{
	static const uint8_t types[PART_COUNT] = {TYPE_FAT, TYPE_DATA, TYPE_DATA, TYPE_DATA};
	uint8_t mbr[SECTOR_BYTES];

	if (dev->block_bytes != SECTOR_BYTES || dev->block_count == 0)
		return -ENODEV;
	if (block_read(dev, 0, 1, mbr))
		return -EIO;
	if (mbr[MBR_SIGNATURE] != 0x55 || mbr[MBR_SIGNATURE + 1] != 0xaa)
		return -ENODEV;
	disk->dev = dev;
	for (int i = 0; i < PART_COUNT; i++) {
		const uint8_t *entry = mbr + MBR_ENTRIES + i * MBR_ENTRY_BYTES;

		if (entry[4] != types[i])
			return -ENODEV;
		disk->part[i].lba = little_endian32(entry + 8);
		disk->part[i].blocks = little_endian32(entry + 12);
	}
	return check_layout(disk);
}

/* All but the slots and the data partition: the MBR, the boot partition, and what is between. */
static void protect(const struct boot_disk *disk)
{
	static struct block_range gaps[PART_COUNT];
	uint64_t end = 0;

	for (int i = 0; i < PART_COUNT; i++) {
		bool last = i == PART_COUNT - 1;
		uint64_t next = last ? disk->dev->block_count : disk->part[i + 1].lba;

		if (i != PART_BOOT)
			end = disk->part[i].lba + disk->part[i].blocks;
		gaps[i].lba = end;
		gaps[i].blocks = next - end;
		if (gaps[i].blocks != 0)
			block_protect(disk->dev, &gaps[i]);
	}
}

const struct boot_disk *boot_disk(void)
{
	static struct mutex lock = MUTEX_INIT(lock);
	static struct boot_disk disk;
	static bool looked, found;

	mutex_lock(&lock);
	if (!looked) {
		struct block_device *dev = block_find(NULL);

		while (dev && disk_read_layout(dev, &disk))
			dev = dev->next;
		found = dev != NULL;
		if (found)
			protect(&disk);
		looked = true;
	}
	mutex_unlock(&lock);
	return found ? &disk : NULL;
}
