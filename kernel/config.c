/* SPDX-License-Identifier: Apache-2.0 */
/* The device's own configuration (pith/config.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/bootargs.h>
#include <pith/config.h>
#include <pith/crc32.h>
#include <pith/disk.h>
#include <pith/init.h>
#include <pith/log.h>

static uint32_t little_endian32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
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

static int read_copies(const struct boot_disk *disk, uint8_t copies[2][CONFIG_BYTES])
{
	int error = 0;

	for (unsigned int i = 0; i < 2 && !error; i++)
		error = block_read(disk->dev, disk_unit_lba(disk, UNIT_CONFIG_0 + i),
		                   CONFIG_BYTES / SECTOR_BYTES, copies[i]);
	return error;
}

/* The disk's configuration into environment and bootargs. */
static void take_from(const struct boot_disk *disk, uint8_t copies[2][CONFIG_BYTES])
{
	const char *name;
	char *text;
	int error;

	error = read_copies(disk, copies);
	text = error ? NULL : config_choose(copies);
	if (!text) {
		klog("%s: no configuration: %s", disk->dev->name,
		     error ? "unreadable" : "both copies damaged");
		return;
	}
	text = strdup(text);
	if (!text || bootargs_override(text, lines_to_words(text))) {
		klog("%s: no memory for the configuration", disk->dev->name);
		return;
	}
	name = getenv("hostname");
	if (name && sethostname(name, strlen(name)))
		klog("%s: hostname \"%s\" is too long", disk->dev->name, name);
	klog("%s: configuration read", disk->dev->name);
}

static int config_init(void)
{
	const struct boot_disk *disk = boot_disk();
	uint8_t(*copies)[CONFIG_BYTES];

	if (!disk)
		return 0;
	copies = malloc(2 * CONFIG_BYTES);
	if (!copies)
		return -ENOMEM;
	take_from(disk, copies);
	free(copies);
	return 0;
}
INIT_FIRST(config_init);
