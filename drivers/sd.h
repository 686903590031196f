/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SD cards: between the card's protocol (sd.c) and the host controllers that carry it.
 *
 * Source: SD Specifications, Part 1, Physical Layer Simplified Specification, version 6.00 ("PLS").
 */
#ifndef SD_H
#define SD_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/dt.h>

#define SD_BLOCK_BYTES 512u
/* PLS 4.2.1: the clock while a card is identified. */
#define SD_IDENTIFY_HZ 400000u

/* Responses: PLS 4.9. */
enum sd_response {
	SD_NONE,
	SD_R1, /* also R6 and R7 */
	SD_R1B,
	SD_R2, /* 136 bits */
	SD_R3, /* no CRC, and no index of the command */
};

struct sd_command {
	uint8_t index;
	enum sd_response type;
	uint32_t argument;

	/* Data, if block_count > 0: multiples of 4 bytes, any alignment, not changed by a write. */
	uint8_t *data;
	uint32_t block_bytes, block_count;
	bool write;
	bool open_ended; /* CMD12 ends it (sd_host.auto_stop) */

	/* As in the command's frame: [0] alone, or a register of 128 bits, [0] its highest. */
	uint32_t response[4];
	uint32_t stop_response; /* to CMD12, where the host sent it */
};

struct sd_host {
	dt_node node;
	uint32_t clock_max_hz;
	uint32_t clock_hz; /* what set_bus made of it */
	bool wide;         /* has four data lines */
	bool high_speed;   /* keeps the timing above 25 MHz */
	/* Sends CMD12 by itself after the last block of an open-ended transfer. */
	bool auto_stop;
	/* Cannot tell the end of a transfer that CMD23 announced. */
	bool no_block_count;

	/*
	 * Everything below from a thread; may block.
	 *
	 * Begin anew: power, one data line, SD_IDENTIFY_HZ. 0; -ENODEV the slot is empty;
	 * -ETIMEDOUT
	 */
	int (*reset)(struct sd_host *host);
	/* 1 or 4 data lines, a clock of at most clock_hz. 0 or -ETIMEDOUT. */
	int (*set_bus)(struct sd_host *host, unsigned int lines, uint32_t clock_hz);
	/* The switch on the card's side says: do not write. */
	bool (*write_protected)(struct sd_host *host);
	/* How many of so many blocks, at least one, fit into one command. */
	uint32_t (*blocks_max)(struct sd_host *host, const struct sd_command *c);
	/*
	 * Send a command, and receive its response and data. After an error the host is ready for
	 * the next one. Returns 0; -ETIMEDOUT no answer; -EILSEQ damaged; -EIO the host's own
	 * trouble; -ENODEV the
	 *         slot is empty
	 */
	int (*command)(struct sd_host *host, struct sd_command *c);
};

/*
 * Find the host's card and make it a block device. A failure has been logged.
 * Returns 0; -ENODEV no card, or none that we can drive; -ENOMEM
 */
int sd_attach(struct sd_host *host);

#endif
