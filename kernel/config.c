/* SPDX-License-Identifier: Apache-2.0 */
/* The device's own configuration (pith/config.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/bootargs.h>
#include <pith/config.h>
#include <pith/crc32.h>
#include <pith/init.h>
#include <pith/log.h>

#define MBR_ENTRIES 446 /* four of 16 bytes; type at 4, first sector at 8, sectors at 12 */
#define TYPE_FAT    0x0c
#define TYPE_DATA   0xda
#define UNIT_BYTES  (4u << 20) /* what an interrupted write can damage on a card */
#define CONFIG_UNIT 2          /* of partition 4: units 2 and 3 */

static uint32_t little_endian32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t config_data_partition(struct block_device *disk, uint8_t *buf)
{
	static const uint8_t types[4] = {TYPE_FAT, TYPE_DATA, TYPE_DATA, TYPE_DATA};
	const uint8_t *entry = buf + MBR_ENTRIES;

	if (disk->block_bytes != 512 || block_read(disk, 0, 1, buf))
		return 0;
	if (buf[510] != 0x55 || buf[511] != 0xaa)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (entry[16 * i + 4] != types[i])
			return 0;
	}
	return little_endian32(entry + 16 * 3 + 8);
}

static bool is_whole(const uint8_t *copy)
{
	return little_endian32(copy) == crc32(0, copy + 4, CONFIG_BYTES - 4);
}

char *config_choose(uint8_t copies[2][CONFIG_BYTES])
{
	uint8_t *best = NULL;

	for (int i = 0; i < 2; i++) {
		if (is_whole(copies[i]) &&
		    (!best || little_endian32(copies[i] + 4) > little_endian32(best + 4)))
			best = copies[i];
	}
	if (!best)
		return NULL;
	best[CONFIG_BYTES - 1] = '\0';
	return (char *)best + 8;
}

/* Cut the text into words for bootargs, one a line. Returns its bytes. */
static size_t lines_to_words(char *text)
{
	size_t bytes = strlen(text);

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			text[i] = '\0';
	}
	return bytes;
}

static int read_copies(struct block_device *disk, uint64_t data_lba,
                       uint8_t copies[2][CONFIG_BYTES])
{
	int error = 0;

	for (unsigned int i = 0; i < 2 && !error; i++)
		error = block_read(disk, data_lba + (CONFIG_UNIT + i) * (UNIT_BYTES / 512),
		                   CONFIG_BYTES / 512, copies[i]);
	return error;
}

/* The disk's configuration into environment and bootargs. False if the disk is not ours. */
static bool take_from(struct block_device *disk, uint8_t copies[2][CONFIG_BYTES])
{
	uint64_t data_lba = config_data_partition(disk, copies[0]);
	const char *name;
	char *text;
	int error;

	if (!data_lba)
		return false;
	error = read_copies(disk, data_lba, copies);
	text = error ? NULL : config_choose(copies);
	if (!text) {
		klog("%s: no configuration: %s", disk->name,
		     error ? "unreadable" : "both copies damaged");
		return true;
	}
	text = strdup(text);
	if (!text || bootargs_override(text, lines_to_words(text))) {
		klog("%s: no memory for the configuration", disk->name);
		return true;
	}
	name = getenv("hostname");
	if (name && sethostname(name, strlen(name)))
		klog("%s: hostname \"%s\" is too long", disk->name, name);
	klog("%s: configuration read", disk->name);
	return true;
}

static int config_init(void)
{
	uint8_t(*copies)[CONFIG_BYTES] = malloc(2 * CONFIG_BYTES);

	if (!copies)
		return -ENOMEM;
	for (struct block_device *disk = block_find(NULL); disk; disk = disk->next) {
		if (take_from(disk, copies))
			break;
	}
	free(copies);
	return 0;
}
INIT_FIRST(config_init);
