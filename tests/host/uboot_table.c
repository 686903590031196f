/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of U-Boot as a table, for tests/system/test_uboot_model.py: a case a line,
 *
 *	COPY0 COPY1 SLOT_A SLOT_B WRITABLE
 *
 * a copy of the state as "act=A,bad=0,..." or "bad"; a slot's version in hexadecimal or "bad"; 1 or 0.
 * Answers with the slot and words of bootargs that boot ("none": nothing does) and both copies after:
 *
 *	A pith.slot=A ... | COPY0 | COPY1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "uboot_model.h"

struct card {
	uint8_t copy[2][UBOOT_SECTOR];
	uint32_t slot[2];
	bool writable;
};

static bool read_state(void *ctx, int copy, uint8_t sector[UBOOT_SECTOR])
{
	memcpy(sector, ((struct card *)ctx)->copy[copy], UBOOT_SECTOR);
	return true;
}

static bool write_state(void *ctx, int copy, const uint8_t sector[UBOOT_SECTOR])
{
	struct card *card = ctx;

	if (card->writable)
		memcpy(card->copy[copy], sector, UBOOT_SECTOR);
	return card->writable;
}

static uint32_t image(void *ctx, char slot)
{
	return ((struct card *)ctx)->slot[slot - 'A'];
}

static void put_copy(uint8_t sector[UBOOT_SECTOR], const char *text)
{
	if (!strcmp(text, "bad"))
		memset(sector, 0xa5, UBOOT_SECTOR);
	else
		uboot_pack(text, sector);
}

static void answer(struct card *card)
{
	const struct uboot_card ops = {read_state, write_state, image, card};
	struct uboot_boots boots;
	char text[2][256] = {"bad", "bad"};

	uboot_model(&ops, &boots);
	for (int i = 0; i < 2; i++)
		uboot_unpack(card->copy[i], text[i], sizeof(text[i]));
	if (boots.slot)
		printf("%c %s | %s | %s\n", boots.slot, boots.words, text[0], text[1]);
	else
		printf("none | %s | %s\n", text[0], text[1]);
}

int main(void)
{
	char copy[2][256], slot[2][16];
	int writable;

	while (scanf("%255s %255s %15s %15s %d", copy[0], copy[1], slot[0], slot[1], &writable) ==
	       5) {
		struct card card = {.writable = writable};

		for (int i = 0; i < 2; i++) {
			put_copy(card.copy[i], copy[i]);
			card.slot[i] =
			    strcmp(slot[i], "bad") ? (uint32_t)strtoul(slot[i], NULL, 16) : 0;
		}
		answer(&card);
	}
	return 0;
}
