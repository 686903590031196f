/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state (state.h). Of two copies with a right CRC the one with the higher `seq` counts, copy 0 if
 * they are equal, as in boards/boot.env.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/crc32.h>
#include "state.h"

#define TEXT      4 /* what follows the CRC */
#define TEXT_ROOM (SECTOR_BYTES - TEXT)

static uint32_t little_endian32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_little_endian32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* --- Words --------------------------------------------------------------------------------------- */

static bool take_slot(const char *value, char *slot)
{
	*slot = strcmp(value, "none") == 0 ? 0 : value[0];
	return *slot == 0 || ((*slot == 'A' || *slot == 'B') && value[1] == '\0');
}

static bool take_number(const char *value, uint32_t *number)
{
	size_t digits = strspn(value, "0123456789abcdefABCDEF");

	*number = (uint32_t)strtoul(value, NULL, 16);
	return digits >= 1 && digits <= 8 && value[digits] == '\0';
}

static bool take_word(const char *value, char *word)
{
	size_t letters = strspn(value, "abcdefghijklmnopqrstuvwxyz");

	if (letters == 0 || letters >= STATE_WHY_BYTES || value[letters] != '\0')
		return false;
	memcpy(word, value, letters + 1);
	return true;
}

/* A name that we do not know is of a later version: it does not matter to us. */
static bool take(struct boot_state *s, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint32_t *number;
	} numbers[] = {
	    {"bad", &s->bad},       {"faults", &s->faults}, {"left", &s->left},
	    {"minver", &s->minver}, {"retry", &s->retry},   {"seq", &s->seq},
	};

	if (strcmp(name, "act") == 0)
		return take_slot(value, &s->act);
	if (strcmp(name, "try") == 0)
		return take_slot(value, &s->try);
	if (strcmp(name, "prev") == 0)
		return take_slot(value, &s->prev);
	if (strcmp(name, "why") == 0)
		return take_word(value, s->why);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strcmp(name, numbers[i].name) == 0)
			return take_number(value, numbers[i].number);
	}
	return true;
}

/* A copy as it is on the disk; its last byte is overwritten. */
static bool unpack(uint8_t *sector, struct boot_state *s)
{
	char *word = (char *)sector + TEXT;

	*s = (struct boot_state){.why = "none"};
	if (little_endian32(sector) != crc32(0, sector + TEXT, TEXT_ROOM))
		return false;
	sector[SECTOR_BYTES - 1] = '\0';
	while (*word != '\0') {
		char *next = word + strlen(word) + 1, *equals = strchr(word, '=');

		if (!equals)
			return false;
		*equals = '\0';
		if (!take(s, word, equals + 1))
			return false;
		if (next >= (char *)sector + SECTOR_BYTES)
			break;
		word = next;
	}
	return s->act != 0;
}

/* "none" or the letter. */
static const char *slot_word(char slot)
{
	return slot == 'A' ? "A" : slot == 'B' ? "B" : "none";
}

/* All of it fits, with room to spare: 9 numbers and words of at most 15 characters. */
static void pack(const struct boot_state *s, uint32_t seq, uint8_t *sector)
{
	char *text = (char *)sector + TEXT;

	memset(sector, 0, SECTOR_BYTES);
	snprintf(text, TEXT_ROOM,
	         "act=%s\nbad=%x\nfaults=%x\nleft=%x\nminver=%x\nprev=%s\nretry=%x\nseq=%x\n"
	         "try=%s\nwhy=%s\n",
	         slot_word(s->act), (unsigned int)s->bad, (unsigned int)s->faults,
	         (unsigned int)s->left, (unsigned int)s->minver, slot_word(s->prev),
	         (unsigned int)s->retry, (unsigned int)seq, slot_word(s->try), s->why);
	for (char *c = text; *c != '\0'; c++) {
		if (*c == '\n')
			*c = '\0';
	}
	put_little_endian32(sector, crc32(0, text, TEXT_ROOM));
}

/* --- The disk ------------------------------------------------------------------------------------ */

static uint64_t copy_lba(const struct boot_disk *disk, int copy)
{
	return disk_unit_lba(disk, copy == 0 ? UNIT_STATE_0 : UNIT_STATE_1);
}

int state_read(const struct boot_disk *disk, struct boot_state *s)
{
	uint8_t sector[SECTOR_BYTES];
	struct boot_state found;
	bool unreadable = false;

	*s = (struct boot_state){.copy = -1};
	for (int copy = 0; copy < 2; copy++) {
		if (block_read(disk->dev, copy_lba(disk, copy), 1, sector)) {
			unreadable = true;
			continue;
		}
		if (!unpack(sector, &found) || (s->copy >= 0 && found.seq <= s->seq))
			continue;
		*s = found;
		s->copy = copy;
	}
	if (s->copy >= 0)
		return 0;
	return unreadable ? -EIO : -ENOENT;
}

int state_write(const struct boot_disk *disk, struct boot_state *s)
{
	uint8_t sector[SECTOR_BYTES], check[SECTOR_BYTES];
	int copy = s->copy == 0 ? 1 : 0;
	uint64_t lba = copy_lba(disk, copy);

	pack(s, s->seq + 1, sector);
	if (block_write(disk->dev, lba, 1, sector) || block_flush(disk->dev) ||
	    block_read(disk->dev, lba, 1, check) || memcmp(sector, check, sizeof(sector)) != 0)
		return -EIO;
	s->copy = copy;
	s->seq++;
	return 0;
}
