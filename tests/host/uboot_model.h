/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What U-Boot does, by boards/boot.env, procedure for procedure. tests/system/test_uboot_model.py runs
 * the real one on the same cards and compares.
 */
#ifndef TESTS_HOST_UBOOT_MODEL_H
#define TESTS_HOST_UBOOT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define UBOOT_SECTOR 512u

/* Its card. */
struct uboot_card {
	bool (*read_state)(void *ctx, int copy, uint8_t sector[UBOOT_SECTOR]);
	bool (*write_state)(void *ctx, int copy, const uint8_t sector[UBOOT_SECTOR]);
	/* The version of what is in slot 'A' or 'B', if its signature is right; 0: it is not. */
	uint32_t (*image)(void *ctx, char slot);
	void *ctx;
};

struct uboot_boots {
	char slot; /* 0: nothing boots */
	uint32_t version;
	char words[128]; /* of bootargs */
};

/* One boot, from the reset to the image, or to "nothing to boot". */
void uboot_model(const struct uboot_card *card, struct uboot_boots *boots);

/* A copy of the state as text, "act=A,bad=0,...", in a sector and back; false: wrong CRC. */
void uboot_pack(const char *text, uint8_t sector[UBOOT_SECTOR]);
bool uboot_unpack(const uint8_t sector[UBOOT_SECTOR], char *text, unsigned int text_bytes);

#endif
