/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SD cards as block devices: SDSC, SDHC and SDXC, at 3.3 V up to 50 MHz, behind any host controller
 * (sd.h).
 *
 * A request that fails is tried again; a card that does not come back by itself is identified anew,
 * and used only if it is still the same one: nothing is ever written to a card that somebody put in
 * its place.
 *
 * Source: SD Specifications, Part 1, Physical Layer Simplified Specification, version 6.00 ("PLS").
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <pith/boot_alloc.h>
#include <pith/block.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "sd.h"

/* Commands: PLS 4.7.4. */
#define GO_IDLE_STATE       0
#define ALL_SEND_CID        2
#define SEND_RELATIVE_ADDR  3
#define SWITCH_FUNC         6
#define SELECT_CARD         7
#define SEND_IF_COND        8
#define SEND_CSD            9
#define STOP_TRANSMISSION   12
#define SEND_STATUS         13
#define SET_BLOCKLEN        16
#define READ_SINGLE_BLOCK   17
#define READ_MULTIPLE_BLOCK 18
#define SET_BLOCK_COUNT     23
#define WRITE_BLOCK         24
#define WRITE_MULTIPLE      25
#define APP_CMD             55
/* After APP_CMD. */
#define APP_SET_BUS_WIDTH   6
#define APP_SD_SEND_OP_COND 41
#define APP_SEND_SCR        51

/* SEND_IF_COND, PLS 4.3.13: 2.7 to 3.6 V, and a pattern to be echoed. */
#define IF_COND 0x1aau
/* OCR, PLS 5.1. */
#define OCR_READY         (1u << 31) /* "card power up status": 0 while busy */
#define OCR_HIGH_CAPACITY (1u << 30)
#define OCR_3V3           0x00300000u /* 3.2 to 3.4 V */

/* Card status, PLS 4.10.1. The bits about the command before are not among the errors. */
#define STATUS_OUT_OF_RANGE  (1u << 31)
#define STATUS_ADDRESS_ERROR (1u << 30)
#define STATUS_BLOCK_LEN     (1u << 29)
#define STATUS_WP_VIOLATION  (1u << 26)
#define STATUS_LOCKED        (1u << 25)
#define STATUS_ECC_FAILED    (1u << 21)
#define STATUS_CC_ERROR      (1u << 20)
#define STATUS_ERROR         (1u << 19)
#define STATUS_READY         (1u << 8)
#define STATUS_APP_CMD       (1u << 5)
#define STATUS_BEYOND_END    (STATUS_OUT_OF_RANGE | STATUS_ADDRESS_ERROR)
#define STATUS_ERRORS                                                                 \
	(STATUS_BEYOND_END | STATUS_BLOCK_LEN | STATUS_WP_VIOLATION | STATUS_LOCKED | \
	 STATUS_ECC_FAILED | STATUS_CC_ERROR | STATUS_ERROR)
#define STATUS_STATE(status) ((status) >> 9 & 0xf)
enum { STATE_TRAN = 4, STATE_DATA = 5, STATE_RCV = 6 };

/* SWITCH_FUNC, PLS 4.3.10: set access mode 1 (high speed), leave the other groups as they are. */
#define SWITCH_HIGH_SPEED   0x80fffff1u
#define SWITCH_STATUS_BYTES 64
#define SWITCH_RESULT_BYTE  16 /* low half: the access mode that holds now */

#define DEFAULT_SPEED_HZ 25000000u
#define HIGH_SPEED_HZ    50000000u

/* PLS 4.2.3: a card is ready within a second of the first ACMD41. */
#define POWER_UP_NS (1 * NS_PER_S)
/* PLS 4.6.2.2: 500 ms at most for SDXC; real cards have been seen to take longer. */
#define BUSY_NS (3 * NS_PER_S)
#define POLL_NS NS_PER_MS
#define TRIES   3

struct sd_card {
	struct block_device block;
	struct sd_host *host;
	char name[8];
	const char *kind; /* "SDHC" */
	uint32_t cid[4], csd[4];
	uint64_t scr;
	uint32_t address; /* RCA, in the place where arguments have it */
	uint32_t status;  /* the last one that it told */
	uint32_t clock_hz;
	unsigned int lines;
	bool high_capacity; /* addressed by blocks, not bytes */
	bool lost;          /* has to be identified before it can be used */
};

/* Returns the negative errno that it was given. */
static int complain(const struct sd_card *card, const char *what, int error)
{
	klog("%s: %s", dt_name(card->host->node), what);
	return error;
}

/* What sd_host.command's errors mean. */
static const char *reason(int error)
{
	return error == -ETIMEDOUT ? "no answer"
	       : error == -EILSEQ  ? "damaged on the way"
	       : error == -ENODEV  ? "no card"
	                           : "the card or its controller reports an error";
}

/* --- Commands --- */

/* What the card says of itself is an error of the command, too. */
static int check_status(struct sd_card *card, uint32_t status)
{
	card->status = status;
	return status & STATUS_ERRORS ? -EIO : 0;
}

/* One without data. *response: its first word, if anybody wants it. */
static int command(struct sd_card *card, uint8_t index, enum sd_response type, uint32_t argument,
                   uint32_t *response)
{
	struct sd_command c = {.index = index, .type = type, .argument = argument};
	int error = card->host->command(card->host, &c);

	if (!error && response)
		*response = c.response[0];
	return error;
}

/* One that is answered by the card's status. */
static int control(struct sd_card *card, uint8_t index, enum sd_response type, uint32_t argument)
{
	uint32_t status;
	int error = command(card, index, type, argument, &status);

	return error ? error : check_status(card, status);
}

/* One that is answered by a register of 128 bits. */
static int read_register(struct sd_card *card, uint8_t index, uint32_t argument, uint32_t value[4])
{
	struct sd_command c = {.index = index, .type = SD_R2, .argument = argument};
	int error = card->host->command(card->host, &c);

	memcpy(value, c.response, sizeof(c.response));
	return error;
}

/* One that is answered by the card's status and a few bytes. */
static int read_bytes(struct sd_card *card, uint8_t index, uint32_t argument, uint8_t *buf,
                      uint32_t bytes)
{
	struct sd_command c = {
	    .index = index,
	    .type = SD_R1,
	    .argument = argument,
	    .data = buf,
	    .block_bytes = bytes,
	    .block_count = 1,
	};
	int error = card->host->command(card->host, &c);

	return error ? error : check_status(card, c.response[0]);
}

/*
 * Until the card is idle and has programmed all that it received. The bits about the commands
 * before are cleared by being read (PLS 4.10.1), so they are gathered.
 */
static int wait_idle(struct sd_card *card)
{
	uint64_t deadline_ns = time_now_ns() + BUSY_NS;
	uint32_t status, errors = 0;

	for (;;) {
		int error = command(card, SEND_STATUS, SD_R1, card->address, &status);

		if (error)
			return error;
		errors |= status & STATUS_ERRORS;
		if ((status & STATUS_READY) && STATUS_STATE(status) == STATE_TRAN)
			return check_status(card, status | errors);
		if (STATUS_STATE(status) == STATE_DATA || STATUS_STATE(status) == STATE_RCV)
			return -EIO; /* waits for us: see recover() */
		if (time_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		thread_sleep_until(time_now_ns() + POLL_NS);
	}
}

/* The command that follows is one of the application's: else it would be taken for another. */
static int announce_app_command(struct sd_card *card)
{
	uint32_t status;
	int error = command(card, APP_CMD, SD_R1, card->address, &status);

	return error ? error : status & STATUS_APP_CMD ? 0 : -EIO;
}

/* --- Identification: PLS 4.2.3, figure 4-2 --- */

/*
 * Cards before version 2 do not know SEND_IF_COND and stay silent. Returns 1: knows it; 0; -EIO:
 * not at our voltage, or no SD card
 */
static int check_interface(struct sd_card *card)
{
	uint32_t echo;
	int error = command(card, SEND_IF_COND, SD_R1, IF_COND, &echo);

	if (error == -ETIMEDOUT)
		return 0;
	if (error)
		return error;
	return (echo & 0xfff) == IF_COND ? 1 : complain(card, "wrong answer to CMD8", -EIO);
}

static int app_command(struct sd_card *card, uint8_t index, enum sd_response type,
                       uint32_t argument, uint32_t *response)
{
	int error = announce_app_command(card);

	return error ? error : command(card, index, type, argument, response);
}

/* Silence at the first command is no card, or none that knows it: MMC, SDIO. */
static int power_up(struct sd_card *card, bool version2)
{
	uint64_t deadline_ns = time_now_ns() + POWER_UP_NS;
	uint32_t argument = OCR_3V3 | (version2 ? OCR_HIGH_CAPACITY : 0), ocr = 0;
	int error = app_command(card, APP_SD_SEND_OP_COND, SD_R3, argument, &ocr);

	if (error == -ETIMEDOUT)
		return -ENODEV;
	while (!error && !(ocr & OCR_READY)) {
		if (time_now_ns() >= deadline_ns)
			return complain(card, "the card does not become ready", -ETIMEDOUT);
		thread_sleep_until(time_now_ns() + POLL_NS);
		error = app_command(card, APP_SD_SEND_OP_COND, SD_R3, argument, &ocr);
	}
	if (error)
		return error;
	if (!(ocr & OCR_3V3))
		return complain(card, "the card does not work at 3.3 V", -ENOTSUP);
	card->high_capacity = (ocr & OCR_HIGH_CAPACITY) != 0;
	return 0;
}

/* PLS 4.2.2: address 0 is that of all cards: ask for another. */
static int take_address(struct sd_card *card)
{
	uint32_t response = 0;
	int error = read_register(card, ALL_SEND_CID, 0, card->cid);

	for (int tries = 0; !error && response >> 16 == 0; tries++)
		error =
		    tries < TRIES ? command(card, SEND_RELATIVE_ADDR, SD_R1, 0, &response) : -EIO;
	card->address = response & 0xffff0000;
	return error;
}

/* Bits high..low of a register; at most 32. */
static uint32_t bits(const uint32_t value[4], unsigned int high, unsigned int low)
{
	uint64_t pair = value[3 - low / 32];

	if (low / 32 < 3)
		pair |= (uint64_t)value[2 - low / 32] << 32;
	return (uint32_t)(pair >> low % 32) & (0xffffffffu >> (31 - (high - low)));
}

/* PLS 5.3.2: (C_SIZE + 1) * 2^(C_SIZE_MULT + 2) * 2^READ_BL_LEN bytes. */
static int size_version1(struct sd_card *card)
{
	uint32_t length = bits(card->csd, 83, 80);
	uint64_t units = bits(card->csd, 73, 62) + 1;

	if (length < 9 || length > 11 || card->high_capacity)
		return -EIO;
	card->block.block_count = units << (bits(card->csd, 49, 47) + 2 + length - 9);
	card->kind = "SDSC";
	return 0;
}

/* PLS 5.3.3: (C_SIZE + 1) * 512 KiB; from 32 GiB on it is called SDXC. */
static int size_version2(struct sd_card *card)
{
	uint64_t units = bits(card->csd, 69, 48) + 1;

	if (!card->high_capacity)
		return -EIO;
	card->block.block_count = units * 1024;
	card->kind = units >= 0x10000 ? "SDXC" : "SDHC";
	return 0;
}

static int read_size(struct sd_card *card)
{
	int error = read_register(card, SEND_CSD, card->address, card->csd);

	if (error)
		return error;
	switch (bits(card->csd, 127, 126)) {
	case 0:
		error = size_version1(card);
		break;
	case 1:
		error = size_version2(card);
		break;
	default:
		return complain(card, "a card of a later kind", -ENOTSUP);
	}
	return error ? complain(card, "the card contradicts itself about its size", error) : 0;
}

/* PLS 5.6. Its bytes come with the highest first. */
static int read_configuration(struct sd_card *card)
{
	uint8_t bytes[8];
	int error = announce_app_command(card);

	if (!error)
		error = read_bytes(card, APP_SEND_SCR, 0, bytes, sizeof(bytes));
	card->scr = 0;
	for (unsigned int i = 0; !error && i < sizeof(bytes); i++)
		card->scr = card->scr << 8 | bytes[i];
	return error;
}

static bool has_four_lines(const struct sd_card *card)
{
	return card->scr >> 50 & 1;
}

static bool has_block_count(const struct sd_card *card)
{
	return card->scr >> 33 & 1 && !card->host->no_block_count;
}

/* PLS 4.3.10: from version 1.10 on, if command class 10 is there. */
static bool has_switch(const struct sd_card *card)
{
	return card->scr >> 56 & 0xf && bits(card->csd, 84 + 10, 84 + 10);
}

static int widen_bus(struct sd_card *card)
{
	uint32_t status;
	int error;

	if (!card->host->wide || !has_four_lines(card))
		return 0;
	error = app_command(card, APP_SET_BUS_WIDTH, SD_R1, 2, &status);
	if (!error)
		error = check_status(card, status);
	if (!error)
		card->lines = 4;
	return error;
}

/* A card that knows no high speed answers with another mode, and stays as it is. */
static int speed_up(struct sd_card *card)
{
	uint8_t status[SWITCH_STATUS_BYTES];
	int error;

	if (!card->host->high_speed || !has_switch(card))
		return 0;
	error = read_bytes(card, SWITCH_FUNC, SWITCH_HIGH_SPEED, status, sizeof(status));
	if (!error && (status[SWITCH_RESULT_BYTE] & 0xf) == 1)
		card->clock_hz = HIGH_SPEED_HZ;
	return error;
}

static int set_bus(struct sd_card *card)
{
	return card->host->set_bus(card->host, card->lines,
	                           MIN(card->clock_hz, card->host->clock_max_hz));
}

/* From power-up to a card that has an address. -ENODEV: nobody there. */
static int find_card(struct sd_card *card)
{
	int error = card->host->reset(card->host), version2;

	card->address = 0;
	card->lines = 1;
	card->clock_hz = DEFAULT_SPEED_HZ;
	if (!error)
		error = command(card, GO_IDLE_STATE, SD_NONE, 0, NULL);
	if (error)
		return error;
	version2 = check_interface(card);
	if (version2 < 0)
		return version2;
	error = power_up(card, version2);
	return error ? error : take_address(card);
}

/* From there to one that is ready for data. */
static int set_up_card(struct sd_card *card)
{
	int error = read_size(card);

	if (!error)
		error = set_bus(card);
	if (!error)
		error = control(card, SELECT_CARD, SD_R1B, card->address);
	if (!error)
		error = wait_idle(card);
	if (!error && !card->high_capacity)
		error = control(card, SET_BLOCKLEN, SD_R1, SD_BLOCK_BYTES);
	if (!error)
		error = read_configuration(card);
	if (!error)
		error = widen_bus(card);
	if (!error)
		error = set_bus(card);
	if (!error)
		error = speed_up(card);
	return error ? error : set_bus(card);
}

static int identify(struct sd_card *card)
{
	int error = find_card(card);

	return error ? error : set_up_card(card);
}

/* After errors: only the card that was here may be here now. */
static int identify_again(struct sd_card *card)
{
	uint32_t cid[4];
	int error;

	memcpy(cid, card->cid, sizeof(cid));
	card->lost = true;
	error = find_card(card);
	if (!error && memcmp(card->cid, cid, sizeof(cid)) != 0)
		error = complain(card, "another card", -ENODEV);
	if (!error)
		error = set_up_card(card);
	memcpy(card->cid, cid, sizeof(cid));
	card->lost = error != 0;
	return error;
}

/* --- Blocks --- */

/*
 * The end of an open-ended transfer. A card that reads ahead may have met its end by then, which is
 * no error of what was asked for (PLS 4.3.3).
 */
static int stop(struct sd_card *card, const struct sd_command *c)
{
	uint32_t status = c->stop_response;
	int error = 0;

	if (!card->host->auto_stop)
		error = command(card, STOP_TRANSMISSION, SD_R1B, 0, &status);
	if (error)
		return error;
	return check_status(card, c->write ? status : status & ~STATUS_BEYOND_END);
}

static void complain_transfer(const struct sd_card *card, const struct sd_command *c, uint64_t lba,
                              int error, const char *then)
{
	klog("%s: %s of %u blocks from %llu: %s (status %08x)%s", card->name,
	     c->write ? "write" : "read", (unsigned int)c->block_count, (unsigned long long)lba,
	     reason(error), (unsigned int)card->status, then);
}

static int transfer_once(struct sd_card *card, struct sd_command *c)
{
	int error = 0;

	if (c->block_count > 1 && !c->open_ended)
		error = control(card, SET_BLOCK_COUNT, SD_R1, c->block_count);
	if (!error)
		error = card->host->command(card->host, c);
	if (!error)
		error = check_status(card, c->response[0]);
	if (!error && c->open_ended)
		error = stop(card, c);
	if (!error && c->write)
		error = wait_idle(card);
	return error;
}

/*
 * After an error: the card back to where it takes commands, as it was or from the beginning. What
 * it tells first are the errors that brought us here.
 */
static int recover(struct sd_card *card)
{
	uint32_t status;

	if (command(card, SEND_STATUS, SD_R1, card->address, &status) == 0 &&
	    (STATUS_STATE(status) == STATE_DATA || STATUS_STATE(status) == STATE_RCV))
		command(card, STOP_TRANSMISSION, SD_R1B, 0, NULL); /* the status tells if it did */
	return wait_idle(card) == 0 ? 0 : identify_again(card);
}

/* lba: of its first block, for messages. */
static int transfer_tries(struct sd_card *card, struct sd_command *c, uint64_t lba)
{
	int error = card->lost ? identify_again(card) : 0;

	for (int tries = 1; !error; tries++) {
		error = transfer_once(card, c);
		if (!error || tries == TRIES)
			break;
		complain_transfer(card, c, lba, error, ", trying again");
		error = recover(card);
	}
	if (error)
		complain_transfer(card, c, lba, error, ", given up");
	return error;
}

/* As many of the blocks as one command can do. */
static struct sd_command make_transfer(const struct sd_card *card, bool write, uint64_t lba,
                                       uint32_t count, uint8_t *data)
{
	struct sd_command c = {
	    .type = SD_R1,
	    .argument = (uint32_t)(card->high_capacity ? lba : lba * SD_BLOCK_BYTES),
	    .data = data,
	    .block_bytes = SD_BLOCK_BYTES,
	    .block_count = count,
	    .write = write,
	};

	c.block_count = card->host->blocks_max(card->host, &c);
	if (c.block_count == 1)
		c.index = write ? WRITE_BLOCK : READ_SINGLE_BLOCK;
	else
		c.index = write ? WRITE_MULTIPLE : READ_MULTIPLE_BLOCK;
	c.open_ended = c.block_count > 1 && !has_block_count(card);
	return c;
}

static int transfer(struct block_device *block, bool write, uint64_t lba, uint32_t count,
                    uint8_t *data)
{
	struct sd_card *card = container_of(block, struct sd_card, block);

	while (count > 0) {
		struct sd_command c = make_transfer(card, write, lba, count, data);

		if (transfer_tries(card, &c, lba) < 0)
			return -EIO;
		lba += c.block_count;
		count -= c.block_count;
		data += (size_t)c.block_count * SD_BLOCK_BYTES;
	}
	return 0;
}

static int sd_read(struct block_device *block, uint64_t lba, uint32_t count, void *buf)
{
	return transfer(block, false, lba, count, buf);
}

static int sd_write(struct block_device *block, uint64_t lba, uint32_t count, const void *buf)
{
	return transfer(block, true, lba, count, (uint8_t *)buf);
}

/* Every write has waited for the card already: it only has to be there still. */
static int sd_flush(struct block_device *block)
{
	struct sd_card *card = container_of(block, struct sd_card, block);
	int error = card->lost ? -ENODEV : wait_idle(card);

	if (!error)
		return 0;
	klog("%s: flush failed: %s", card->name, reason(error));
	return -EIO;
}

/* --- Coming up --- */

/* PLS 5.3.2: PERM_WRITE_PROTECT and TMP_WRITE_PROTECT. */
static bool read_only(struct sd_card *card)
{
	return bits(card->csd, 13, 12) != 0 || card->host->write_protected(card->host);
}

static void announce(const struct sd_card *card)
{
	const struct block_device *block = &card->block;

	klog("%s: %s on %s, %llu blocks of %u bytes%s, %u line%s at %u kHz", card->name, card->kind,
	     dt_name(block->node), (unsigned long long)block->block_count, SD_BLOCK_BYTES,
	     block->read_only ? ", read-only" : "", card->lines, card->lines > 1 ? "s" : "",
	     (unsigned int)(card->host->clock_hz / 1000));
}

int sd_attach(struct sd_host *host)
{
	static unsigned int count;
	struct sd_card *card = boot_alloc(sizeof(*card));
	int error;

	if (!card)
		return -ENOMEM;
	card->host = host;
	for (int tries = 1; tries <= TRIES; tries++) {
		error = identify(card);
		if (!error || error == -ENOTSUP)
			break;
	}
	if (error) {
		if (error == -ENODEV)
			klog("%s: no SD card", dt_name(host->node));
		else
			klog("%s: its card cannot be used: %s", dt_name(host->node), reason(error));
		return -ENODEV;
	}
	snprintf(card->name, sizeof(card->name), "sd%u", count++);
	card->block = (struct block_device){
	    .name = card->name,
	    .node = host->node,
	    .block_bytes = SD_BLOCK_BYTES,
	    .block_count = card->block.block_count,
	    .read_only = read_only(card),
	    .read = sd_read,
	    .write = sd_write,
	    .flush = sd_flush,
	};
	announce(card);
	block_register(&card->block);
	return 0;
}
