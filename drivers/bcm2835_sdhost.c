/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2835's own SD host controller ("SDHOST"), which drives the card of a Raspberry Pi 3.
 *
 * Data goes through a FIFO of 16 words that the calling thread fills or empties. It interrupts for
 * the first data of a read, for every block that the card has taken, and when a card stops being
 * busy; not for a command's response, which takes microseconds and is waited for.
 *
 * Source: there is no public manual; the registers are as Linux (drivers/mmc/host/bcm2835.c) and
 * U-Boot (drivers/mmc/bcm2835_sdhost.c) describe them. Binding: Linux,
 * mmc/brcm,bcm2835-sdhost.yaml.
 */
#include <errno.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/supply.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "sd.h"

#define SDCMD      0x00 /* RW: a command: sends it */
#define SDARG      0x04 /* RW: its argument */
#define SDTOUT     0x08 /* RW: clocks to wait for data */
#define SDCDIV     0x0c /* RW: clock = core / (SDCDIV + 2), 11 bits */
#define SDRSP      0x10 /* RO: four words, the lowest first */
#define SDHSTS     0x20 /* RW: what happened: write 1 to clear */
#define SDVDD      0x30 /* RW: 1: power */
#define SDEDM      0x34 /* RW: "emergency debug": state, FIFO's level, thresholds */
#define SDHCFG     0x38 /* RW: configuration */
#define SDHBCT     0x3c /* RW: bytes in a block */
#define SDDATA     0x40 /* RW: the FIFO */
#define SDHBLC     0x50 /* RW: blocks, 9 bits */
#define REGS_BYTES 0x54

#define CMD_NEW         (1u << 15) /* 0 when it is done */
#define CMD_FAILED      (1u << 14)
#define CMD_BUSY        (1u << 11) /* wait while the card is busy, then interrupt */
#define CMD_NO_RESPONSE (1u << 10)
#define CMD_LONG        (1u << 9)
#define CMD_WRITE       (1u << 7)
#define CMD_READ        (1u << 6)

#define HSTS_BUSY_END    (1u << 10) /* these three interrupt */
#define HSTS_BLOCK_END   (1u << 9)
#define HSTS_DATA_IRQ    (1u << 8)
#define HSTS_DATA_TIME   (1u << 7)
#define HSTS_CMD_TIME    (1u << 6)
#define HSTS_DATA_CRC    (1u << 5)
#define HSTS_CMD_CRC     (1u << 4)
#define HSTS_FIFO_ERROR  (1u << 3)
#define HSTS_DATA        (1u << 0)
#define HSTS_TIMEOUTS    (HSTS_DATA_TIME | HSTS_CMD_TIME)
#define HSTS_DATA_ERRORS (HSTS_DATA_TIME | HSTS_DATA_CRC | HSTS_FIFO_ERROR)
#define HSTS_ALL         0x7f9u

#define HCFG_BUSY_IRQ  (1u << 10)
#define HCFG_BLOCK_IRQ (1u << 8)
#define HCFG_DATA_IRQ  (1u << 4)
#define HCFG_SLOW_CARD (1u << 3) /* SDCDIV's 11 bits for data, too: core clocks above 250 MHz */
#define HCFG_WIDE_CARD (1u << 2) /* four data lines */
#define HCFG_WIDE_BUS  (1u << 1) /* words of 32 bits on our side */

#define EDM_STATE(edm)       ((edm)&0xf)
#define EDM_LEVEL(edm)       ((edm) >> 4 & 0x1f) /* words in the FIFO */
#define EDM_FORCE_DATA_MODE  (1u << 19)
#define EDM_THRESHOLDS       (0x1fu << 9 | 0x1fu << 14)
#define EDM_THRESHOLDS_OF(n) ((n) << 9 | (n) << 14)
enum {
	STATE_IDENTIFY = 0x0,
	STATE_DATA = 0x1,
	STATE_READ_WAIT = 0x4,
	STATE_WRITE_START = 0xa,
};
#define FIFO_WORDS 16u
#define THRESHOLD  4u /* "limit FIFO usage due to silicon bug" (Linux) */

#define CDIV_MAX   0x7ffu
#define BLOCKS_MAX 128u

/* Linux lets power settle for 20 ms. */
#define POWER_NS (20 * NS_PER_MS)
/* A response is awaited for 64 clocks, which is 160 us at 400 kHz. */
#define RESPONSE_NS (100 * NS_PER_MS)
/* The controller gives up on data after SDTOUT, half a second. */
#define DATA_NS (1 * NS_PER_S)
#define BUSY_NS (3 * NS_PER_S)
/* A FIFO at 1 MB/s is full or empty after 64 us: what takes longer sleeps. */
#define SPIN_NS (200 * NS_PER_US)
#define NAP_NS  (1 * NS_PER_MS)
/* Errors do not interrupt: while waiting for what does, look for them. */
#define LOOK_NS (10 * NS_PER_MS)

struct sdhost {
	struct sd_host sd;
	uint8_t *regs;
	uint32_t core_hz;
	/* Both for the interrupt handler and the thread. */
	uint32_t config; /* SDHCFG */
	uint32_t events; /* HSTS_ bits that interrupted */
	struct waitq wake;
};

static struct sdhost *to_sdhost(struct sd_host *host)
{
	return container_of(host, struct sdhost, sd);
}

static uint32_t reg_read(struct sdhost *h, unsigned int reg)
{
	return read32(h->regs + reg);
}

static void reg_write(struct sdhost *h, unsigned int reg, uint32_t value)
{
	write32(h->regs + reg, value);
}

static void configure(struct sdhost *h, uint32_t clear, uint32_t set)
{
	unsigned long daif = irq_save();

	h->config = (h->config & ~clear) | set;
	reg_write(h, SDHCFG, h->config);
	irq_restore(daif);
}

static int status_error(uint32_t status, uint32_t errors)
{
	status &= errors;
	return !status ? 0 : status & HSTS_TIMEOUTS ? -ETIMEDOUT : -EILSEQ;
}

/* --- Waiting --- */

/* Between two looks at a register: briefly at once, then asleep. False: the deadline has passed. */
static bool pause_until(uint64_t begin_ns, uint64_t timeout_ns)
{
	uint64_t now_ns = time_now_ns();

	if (now_ns - begin_ns >= timeout_ns)
		return false;
	if (now_ns - begin_ns > SPIN_NS)
		thread_sleep_until(now_ns + NAP_NS);
	return true;
}

/*
 * There is no status bit for data alone that could be cleared: its interrupt is switched off until
 * somebody waits for it again.
 */
static void sdhost_interrupt(void *arg)
{
	struct sdhost *h = arg;
	uint32_t status = reg_read(h, SDHSTS);
	uint32_t events = status & (HSTS_BUSY_END | HSTS_BLOCK_END);

	if (status & (HSTS_DATA | HSTS_DATA_IRQ) && h->config & HCFG_DATA_IRQ) {
		configure(h, HCFG_DATA_IRQ, 0);
		events |= HSTS_DATA_IRQ;
	}
	reg_write(h, SDHSTS, status & (HSTS_BUSY_END | HSTS_BLOCK_END | HSTS_DATA_IRQ | HSTS_DATA));
	h->events |= events;
	waitq_wake_all(&h->wake);
}

/* Forget an event of before. */
static void forget(struct sdhost *h, uint32_t event)
{
	unsigned long daif = irq_save();

	reg_write(h, SDHSTS, event);
	h->events &= ~event;
	irq_restore(daif);
}

/* Sleep until the event, which is then taken, or one of the errors, or a failed command. */
static int wait_event(struct sdhost *h, uint32_t event, uint32_t errors, uint64_t timeout_ns)
{
	uint64_t deadline_ns = time_now_ns() + timeout_ns;

	for (;;) {
		unsigned long daif = irq_save();
		uint64_t look_ns = time_now_ns() + LOOK_NS;
		bool came;
		int error = 0;

		while (!(h->events & event) && !error)
			error = waitq_wait(&h->wake, MIN(look_ns, deadline_ns));
		came = h->events & event;
		h->events &= ~event;
		irq_restore(daif);
		error = status_error(reg_read(h, SDHSTS), errors);
		if (came || error)
			return error;
		if (reg_read(h, SDCMD) & CMD_FAILED)
			return -EILSEQ;
		if (time_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

/* --- Data --- */

/*
 * Words that can be moved now; 0 or an errno. Within a block they come fast; before its first word
 * of a read there is an interrupt, since that may take 100 ms.
 */
static int wait_words(struct sdhost *h, bool write, bool first, uint32_t *words)
{
	uint64_t begin_ns = time_now_ns();

	for (;;) {
		uint32_t level = EDM_LEVEL(reg_read(h, SDEDM));
		int error;

		*words = write ? FIFO_WORDS - MIN(level, FIFO_WORDS) : level;
		if (*words > 0)
			return 0;
		error = status_error(reg_read(h, SDHSTS), HSTS_DATA_ERRORS);
		if (!error && first && !write) {
			configure(h, 0, HCFG_DATA_IRQ);
			error = wait_event(h, HSTS_DATA_IRQ, HSTS_DATA_ERRORS, DATA_NS);
			first = false;
			begin_ns = time_now_ns();
		} else if (!error && !pause_until(begin_ns, DATA_NS)) {
			error = -ETIMEDOUT;
		}
		if (error)
			return error;
	}
}

static int read_block(struct sdhost *h, uint8_t *data, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		uint32_t words;
		int error = wait_words(h, false, done == 0, &words);

		if (error)
			return error;
		for (; words > 0 && done < bytes; words--, done += 4) {
			uint32_t word = reg_read(h, SDDATA);

			memcpy(data + done, &word, sizeof(word));
		}
	}
	return 0;
}

/* The block's end is that of this block from before its last word on. */
static int write_block(struct sdhost *h, const uint8_t *data, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		uint32_t words;
		int error = wait_words(h, true, done == 0, &words);

		if (error)
			return error;
		for (; words > 0 && done < bytes; words--, done += 4) {
			uint32_t word;

			if (done + 4 == bytes)
				forget(h, HSTS_BLOCK_END);
			memcpy(&word, data + done, sizeof(word));
			reg_write(h, SDDATA, word);
		}
	}
	return wait_event(h, HSTS_BLOCK_END, HSTS_DATA_ERRORS, BUSY_NS);
}

/* It waits for a next block that does not come until it is told to stop. */
static int end_data(struct sdhost *h, bool write)
{
	uint64_t begin_ns = time_now_ns();

	do {
		uint32_t edm = reg_read(h, SDEDM), state = EDM_STATE(edm);

		if (state == STATE_IDENTIFY || state == STATE_DATA)
			return status_error(reg_read(h, SDHSTS), HSTS_DATA_ERRORS);
		if (state == (write ? STATE_WRITE_START : STATE_READ_WAIT)) {
			reg_write(h, SDEDM, edm | EDM_FORCE_DATA_MODE);
			return status_error(reg_read(h, SDHSTS), HSTS_DATA_ERRORS);
		}
	} while (pause_until(begin_ns, DATA_NS));
	return -ETIMEDOUT;
}

static int move_data(struct sdhost *h, struct sd_command *c)
{
	int error = 0;

	for (uint32_t i = 0; i < c->block_count && !error; i++) {
		uint8_t *data = c->data + (size_t)i * c->block_bytes;

		error = c->write ? write_block(h, data, c->block_bytes)
		                 : read_block(h, data, c->block_bytes);
	}
	return error ? error : end_data(h, c->write);
}

/* --- Commands --- */

static uint32_t command_word(const struct sd_command *c)
{
	uint32_t word = CMD_NEW | c->index;

	if (c->type == SD_NONE)
		word |= CMD_NO_RESPONSE;
	if (c->type == SD_R1B)
		word |= CMD_BUSY;
	if (c->type == SD_R2)
		word |= CMD_LONG;
	if (c->block_count > 0)
		word |= c->write ? CMD_WRITE : CMD_READ;
	return word;
}

static int wait_command(struct sdhost *h)
{
	uint64_t begin_ns = time_now_ns();

	while (reg_read(h, SDCMD) & CMD_NEW) {
		if (!pause_until(begin_ns, RESPONSE_NS))
			return -ETIMEDOUT;
	}
	return 0;
}

static int issue(struct sdhost *h, const struct sd_command *c)
{
	int error = wait_command(h); /* of the one before */

	if (error)
		return error;
	forget(h, HSTS_ALL);
	configure(h, HCFG_DATA_IRQ | HCFG_BLOCK_IRQ, c->write ? HCFG_BLOCK_IRQ : 0);
	if (c->block_count > 0) {
		reg_write(h, SDHBCT, c->block_bytes);
		reg_write(h, SDHBLC, c->block_count);
	}
	reg_write(h, SDARG, c->argument);
	reg_write(h, SDCMD, command_word(c));
	return 0;
}

/* A response R3 has ones where others have their CRC: that it is wrong means nothing. */
static int finish_command(struct sdhost *h, const struct sd_command *c)
{
	uint32_t status;
	int error = 0;

	if (c->type == SD_R1B)
		error = wait_event(h, HSTS_BUSY_END, HSTS_CMD_TIME | HSTS_CMD_CRC | HSTS_DATA_TIME,
		                   BUSY_NS);
	if (!error)
		error = wait_command(h);
	if (error || !(reg_read(h, SDCMD) & CMD_FAILED))
		return error;
	status = reg_read(h, SDHSTS);
	if (status & HSTS_CMD_TIME)
		return -ETIMEDOUT;
	return c->type == SD_R3 && status & HSTS_CMD_CRC ? 0 : -EILSEQ;
}

static void read_response(struct sdhost *h, struct sd_command *c)
{
	if (c->type == SD_R2) {
		for (unsigned int i = 0; i < 4; i++)
			c->response[i] = reg_read(h, SDRSP + 4 * (3 - i));
	} else {
		c->response[0] = reg_read(h, SDRSP);
	}
}

static int carry_out(struct sdhost *h, struct sd_command *c)
{
	int error = issue(h, c);

	if (!error)
		error = finish_command(h, c);
	if (error)
		return error;
	read_response(h, c);
	return c->block_count > 0 ? move_data(h, c) : 0;
}

/* Power off and on, as the card's begin is. */
static void power_cycle(struct sdhost *h)
{
	reg_write(h, SDVDD, 0);
	reg_write(h, SDCMD, 0);
	reg_write(h, SDARG, 0);
	reg_write(h, SDTOUT, 0xf00000);
	reg_write(h, SDCDIV, 0);
	reg_write(h, SDHSTS, HSTS_ALL);
	reg_write(h, SDHBCT, 0);
	reg_write(h, SDHBLC, 0);
	reg_write(h, SDEDM, (reg_read(h, SDEDM) & ~EDM_THRESHOLDS) | EDM_THRESHOLDS_OF(THRESHOLD));
	thread_sleep_until(time_now_ns() + POWER_NS);
	reg_write(h, SDVDD, 1);
	thread_sleep_until(time_now_ns() + POWER_NS);
}

/*
 * After an error: nothing of it may be left in the FIFO or the state machine for the next command.
 */
static void abandon(struct sdhost *h)
{
	uint32_t edm = reg_read(h, SDEDM), state = EDM_STATE(edm);

	configure(h, HCFG_DATA_IRQ | HCFG_BLOCK_IRQ, 0);
	if (state != STATE_IDENTIFY && state != STATE_DATA)
		reg_write(h, SDEDM, edm | EDM_FORCE_DATA_MODE);
	for (uint32_t i = 0; i < FIFO_WORDS && EDM_LEVEL(reg_read(h, SDEDM)) > 0; i++)
		reg_read(h, SDDATA);
	reg_write(h, SDHBLC, 0);
	forget(h, HSTS_ALL);
}

static int sdhost_command(struct sd_host *host, struct sd_command *c)
{
	struct sdhost *h = to_sdhost(host);
	int error = carry_out(h, c);

	if (error)
		abandon(h);
	return error;
}

/* --- The bus --- */

static int sdhost_set_bus(struct sd_host *host, unsigned int lines, uint32_t clock_hz)
{
	struct sdhost *h = to_sdhost(host);
	uint32_t divider = (h->core_hz + clock_hz - 1) / clock_hz;

	divider = MIN(MAX(divider, 2u), CDIV_MAX + 2);
	host->clock_hz = h->core_hz / divider;
	reg_write(h, SDCDIV, divider - 2);
	reg_write(h, SDTOUT, host->clock_hz / 2);
	configure(h, HCFG_WIDE_CARD, lines == 4 ? HCFG_WIDE_CARD : 0);
	return 0;
}

static int sdhost_reset(struct sd_host *host)
{
	struct sdhost *h = to_sdhost(host);

	configure(h, ~0u, 0);
	power_cycle(h);
	configure(h, 0, HCFG_BUSY_IRQ | HCFG_SLOW_CARD | HCFG_WIDE_BUS);
	return sdhost_set_bus(host, 1, SD_IDENTIFY_HZ);
}

/* It has no pin for it. */
static bool sdhost_write_protected(struct sd_host *host)
{
	(void)host;
	return false;
}

static uint32_t sdhost_blocks_max(struct sd_host *host, const struct sd_command *c)
{
	(void)host;
	return MIN(c->block_count, BLOCKS_MAX);
}

/* --- Coming up --- */

/* Once its interrupt is attached, a controller stays, if only to have none. */
static int start(struct sdhost *h)
{
	int error = pins_default(h->sd.node);

	if (error)
		klog("%s: its pins are as they were found: error %d", dt_name(h->sd.node), -error);
	configure(h, ~0u, 0);
	error = irq_attach(h->sd.node, 0, sdhost_interrupt, h);
	if (error)
		return error;
	error = sd_attach(&h->sd);
	if (error)
		configure(h, ~0u, 0);
	return error;
}

static int sdhost_probe(const struct device *dev)
{
	struct sdhost *h = dev->state;

	h->regs = dev->regs;
	h->sd = (struct sd_host){
	    .node = dev->node,
	    .wide = dt_u32(dev->node, "bus-width", 0) >= 4,
	    .high_speed = true,
	    .no_block_count = true,
	    .clock_max_hz = UINT32_MAX,
	    .reset = sdhost_reset,
	    .set_bus = sdhost_set_bus,
	    .write_protected = sdhost_write_protected,
	    .blocks_max = sdhost_blocks_max,
	    .command = sdhost_command,
	};
	waitq_init(&h->wake);
	h->core_hz = clock_rate_hz(dev->node, 0);
	if (h->core_hz != 0)
		return start(h);
	klog("%s: its clock is unknown", dt_name(dev->node));
	return -ENOTSUP;
}

DRIVER(bcm2835_sdhost) = {
    .name = "bcm2835-sdhost",
    .compatible = "brcm,bcm2835-sdhost\0",
    .stage = DRV_DEVICE,
    .first_read = FIRST_READ(SDHSTS),
    .state_bytes = sizeof(struct sdhost),
    .reg_bytes = REGS_BYTES,
    .probe = sdhost_probe,
};
