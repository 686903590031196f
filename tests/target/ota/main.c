/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An update by pith/ota.h alone: from the disk that it was not booted from, which holds an update file
 * and nothing else, in chunks of an odd size. On trial it confirms itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/block.h>
#include <pith/disk.h>
#include <pith/machine.h>
#include <pith/ota.h>

#define CHUNK_BYTES 7777

static void print_status(void)
{
	char text[4][VERSION_TEXT_BYTES];
	struct ota_status s;

	ota_status(&s);
	printf("slot %c, active %c, %s; A %s%s, B %s%s; least %s; bad %s, %s\n",
	       s.running ? s.running : '-', s.active ? s.active : '-',
	       s.trial ? "on trial" : "no trial", version_format(s.slot[0].version, text[0]),
	       s.slot[0].confirmed ? " confirmed" : "", version_format(s.slot[1].version, text[1]),
	       s.slot[1].confirmed ? " confirmed" : "", version_format(s.min_version, text[2]),
	       version_format(s.bad_version, text[3]), s.why);
}

/* What must survive any mistake of ours. */
static void try_to_write(void)
{
	const struct boot_disk *disk = boot_disk();
	struct ota_status s;
	char sector[SECTOR_BYTES] = "overwritten";
	uint64_t running;

	ota_status(&s);
	running = disk->part[s.running == 'A' ? PART_SLOT_A : PART_SLOT_B].lba;
	printf("writes: MBR %s, boot %s, running slot %s\n",
	       block_write(disk->dev, 0, 1, sector) == -EPERM ? "refused" : "done",
	       block_write(disk->dev, disk->part[PART_BOOT].lba, 1, sector) == -EPERM ? "refused"
	                                                                              : "done",
	       block_write(disk->dev, running, 1, sector) == -EPERM ? "refused" : "done");
}

/* The whole disk as one piece of memory. */
static char *read_update(struct block_device *disk, size_t *bytes)
{
	char *file = malloc(disk->block_count * SECTOR_BYTES);

	*bytes = disk->block_count * SECTOR_BYTES;
	if (!file || block_read(disk, 0, (uint32_t)disk->block_count, file)) {
		printf("the update cannot be read\n");
		exit(1);
	}
	return file;
}

static int update(const char *file, size_t bytes)
{
	int error = ota_begin(bytes);

	for (size_t at = 0; at < bytes && !error; at += CHUNK_BYTES)
		error = ota_write(file + at, bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
	if (!error)
		error = ota_finish();
	return error ? error : ota_activate();
}

int main(void)
{
	struct block_device *disk = block_find(NULL);
	size_t bytes;
	char *file;

	print_status();
	if (ota_confirm())
		printf("not confirmed\n");
	print_status();
	if (disk == boot_disk()->dev)
		disk = disk->next;
	if (!disk)
		return 0;
	try_to_write();
	file = read_update(disk, &bytes);
	if (update(file, bytes)) {
		printf("refused: %s\n", ota_error());
		print_status();
		return 0;
	}
	print_status();
	machine_restart();
}
