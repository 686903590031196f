/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SD host controllers of the SD Association's standard, as they are in the BCM2711 ("EMMC2"), the
 * BCM2835 ("EMMC", an early Arasan core) and others with Arasan's.
 *
 * Registers are always accessed as words of 32 bits: the BCM2835 takes nothing else, and the
 * others do not mind. Data goes by ADMA2 where the controller has it, from and to the caller's
 * memory where the bus reaches it and its cache lines are its own, else through a buffer that is;
 * without ADMA2 the calling thread moves the words, block by block. Its interrupts only wake that
 * thread.
 *
 * Source: SD Specifications, Part A2, SD Host Controller Simplified Specification, version 3.00
 * ("HCS"); BCM2835 ARM Peripherals, section 5; bindings: Linux, mmc/mmc-controller.yaml,
 * mmc/brcm,iproc-sdhci.yaml, mmc/arasan,sdhci.yaml.
 */
#include <errno.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/supply.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "sd.h"

/* Registers, two or more of HCS 2.1 in one word: */
#define BLOCK          0x04 /* block size; from bit 16 block count */
#define ARGUMENT       0x08
#define COMMAND        0x0c /* transfer mode; from bit 16 command: sends it */
#define RESPONSE       0x10 /* four of them, [0] lowest, without the lowest 8 bits of 136 */
#define BUFFER         0x20 /* data, lowest byte first */
#define PRESENT        0x24
#define CONTROL        0x28 /* host control; from bit 8 power control */
#define CLOCK          0x2c /* clock control; from bit 16 timeout control; from 24 reset */
#define STATUS         0x30 /* interrupts, errors from bit 16: write 1 to clear */
#define STATUS_ENABLE  0x34 /* which of them are noticed */
#define SIGNAL_ENABLE  0x38 /* which of them interrupt */
#define CAPABILITIES   0x40
#define ADMA_ADDRESS   0x58
#define ADMA_ADDRESS_2 0x5c /* its high half */
#define VERSION        0xfc /* from bit 16: 0: 1.00, 1: 2.00, 2: 3.00 */
#define REGS_BYTES     0x100

#define MODE_DMA         (1u << 0)
#define MODE_COUNT       (1u << 1) /* the block count holds */
#define MODE_AUTO_STOP   (1u << 2) /* "Auto CMD12" */
#define MODE_READ        (1u << 4)
#define MODE_MULTIPLE    (1u << 5)
#define COMMAND_LONG     (1u << 16) /* response of 136 bits */
#define COMMAND_SHORT    (2u << 16) /* of 48 */
#define COMMAND_BUSY     (3u << 16) /* of 48, then busy */
#define COMMAND_CRC      (1u << 19) /* check the response's CRC */
#define COMMAND_CHECK    (1u << 20) /* and index */
#define COMMAND_DATA     (1u << 21)
#define COMMAND_ABORT    (3u << 22) /* goes out while data lines are busy */
#define COMMAND_INDEX(i) ((uint32_t)(i) << 24)
#define STOP_INDEX       12

#define PRESENT_COMMAND  (1u << 0)  /* the command line is in use */
#define PRESENT_DATA     (1u << 1)  /* the data lines are */
#define PRESENT_WRITE    (1u << 10) /* BUFFER takes a block */
#define PRESENT_READ     (1u << 11) /* BUFFER holds a block */
#define PRESENT_CARD     (1u << 16)
#define PRESENT_STABLE   (1u << 17) /* PRESENT_CARD is true */
#define PRESENT_WRITABLE (1u << 19) /* the write protect switch's pin */

#define CONTROL_FOUR_LINES (1u << 1)
#define CONTROL_HIGH_SPEED (1u << 2)
#define CONTROL_ADMA2      (2u << 3) /* with addresses of 32 bits */
#define CONTROL_POWER_3V3  (0xfu << 8)

#define CLOCK_ENABLE  (1u << 0)
#define CLOCK_STABLE  (1u << 1)
#define CLOCK_TO_CARD (1u << 2)
#define CLOCK_TIMEOUT (0xeu << 16) /* the longest: 2^27 clocks */
#define RESET_ALL     (1u << 24)
#define RESET_LINES   (6u << 24) /* command and data */

#define EVENT_COMMAND  (1u << 0)             /* the response is here */
#define EVENT_TRANSFER (1u << 1)             /* all data is, or the card is not busy any more */
#define EVENT_WRITE    (1u << 4)             /* PRESENT_WRITE has come */
#define EVENT_READ     (1u << 5)             /* PRESENT_READ has */
#define EVENT_TIMEOUTS (1u << 16 | 1u << 20) /* of a response, of data */
#define EVENT_OTHER    (1u << 23 | 1u << 25) /* current limit, ADMA */
#define EVENT_ERRORS   0x03ff0000u
#define EVENTS         (EVENT_COMMAND | EVENT_TRANSFER | EVENT_WRITE | EVENT_READ | EVENT_ERRORS)

#define CAP_BASE_MHZ(caps, version) ((caps) >> 8 & ((version) < 2 ? 0x3f : 0xff))
#define CAP_ADMA2                   (1u << 19)
#define CAP_HIGH_SPEED              (1u << 21)
#define CAP_3V3                     (1u << 24)

/* ADMA2 descriptors, HCS 1.13.4: attributes, length, address. */
struct descriptor {
	uint16_t attributes, bytes;
	uint32_t address;
};
#define DESCRIPTOR_VALID    (1u << 0)
#define DESCRIPTOR_END      (1u << 1)
#define DESCRIPTOR_TRANSFER (4u << 3)
/* One could do 64 KiB, said as 0; some controllers have taken that for nothing. */
#define DESCRIPTOR_BYTES 0x8000u
#define DESCRIPTOR_ALIGN 4u
#define TRANSFER_BYTES   (4u << 20) /* of one command */
#define DESCRIPTORS      (TRANSFER_BYTES / DESCRIPTOR_BYTES)
#define BOUNCE_BYTES     0x10000u
/* Without DMA a command moves no more than this: the count register has 16 bits. */
#define PIO_BYTES (1u << 20)

/* Between two writes while the clock changes: the early core's two clocks, and more. */
#define SETTLE_NS (10 * NS_PER_US)
/* HCS 2.2.14 and 2.2.16 name 150 ms for a clock, none for a reset. */
#define REGISTER_NS (150 * NS_PER_MS)
/* The controller itself gives up on a response after 64 clocks. */
#define COMMAND_NS (1 * NS_PER_S)
/* And on data after 2^27 clocks at the latest, of a card that may be busy after every block. */
#define DATA_NS         (5 * NS_PER_S)
#define DATA_NS_PER_MIB (1 * NS_PER_S)

struct sdhci {
	struct sd_host sd;
	uint8_t *regs;
	uint32_t base_hz;
	unsigned int version;
	/* BCM2835: see reg_write; has no capabilities to read, nor a high speed bit. */
	bool early;
	bool detects_card;
	bool dead;              /* did not reset */
	uint64_t write_gap_ns;  /* early: two clocks */
	uint64_t write_next_ns; /* early: not before this */
	/* From the interrupt to the thread. */
	struct waitq wake;
	uint32_t events;
	/* ADMA2, if table is there. */
	struct dma_bus bus;
	struct descriptor *table;
	uint8_t *bounce;
};

static struct sdhci *to_sdhci(struct sd_host *host)
{
	return container_of(host, struct sdhci, sd);
}

/* --- Registers --- */

static uint32_t reg_read(struct sdhci *h, unsigned int reg)
{
	return read32(h->regs + reg);
}

/*
 * The early core can lose a write that comes within two clocks of the card after another one:
 * values cross into the card's clock domain. The interrupt handler writes, too.
 */
static void reg_write(struct sdhci *h, unsigned int reg, uint32_t value)
{
	unsigned long daif;

	if (!h->early) {
		write32(h->regs + reg, value);
		return;
	}
	daif = irq_save();
	while (time_now_ns() < h->write_next_ns)
		;
	write32(h->regs + reg, value);
	h->write_next_ns = time_now_ns() + h->write_gap_ns;
	irq_restore(daif);
}

/* Until the bits under mask have the value: for what takes long, so it sleeps between. */
static int reg_wait(struct sdhci *h, unsigned int reg, uint32_t mask, uint32_t value,
                    uint64_t timeout_ns)
{
	uint64_t deadline_ns = time_now_ns() + timeout_ns;

	while ((reg_read(h, reg) & mask) != value) {
		uint64_t now_ns = time_now_ns();

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		thread_sleep_until(now_ns + 50 * NS_PER_US);
	}
	return 0;
}

static int reset(struct sdhci *h, uint32_t what)
{
	uint32_t rest = what == RESET_ALL ? 0 : reg_read(h, CLOCK) & 0x00ffffff;

	reg_write(h, CLOCK, rest | what);
	return reg_wait(h, CLOCK, what, 0, REGISTER_NS);
}

/* --- The bus --- */

/*
 * HCS 2.2.14: base / (2 * divider): from version 3 on any divider of 10 bits, before powers of two
 * up to 128. 0, the base clock itself, is left alone: Arasan's cores have had trouble with it.
 */
static uint32_t clock_divider(const struct sdhci *h, uint32_t clock_hz)
{
	uint64_t divider = ((uint64_t)h->base_hz + 2 * clock_hz - 1) / (2 * clock_hz);
	uint32_t power = 1;

	if (h->version >= 2)
		return (uint32_t)MIN(divider, 1023u);
	while (power < divider && power < 128)
		power *= 2;
	return power;
}

static int sdhci_set_bus(struct sd_host *host, unsigned int lines, uint32_t clock_hz)
{
	struct sdhci *h = to_sdhci(host);
	uint32_t divider = clock_divider(h, clock_hz), control = CONTROL_POWER_3V3;
	uint32_t clock = (divider & 0xff) << 8 | (divider >> 8) << 6 | CLOCK_TIMEOUT | CLOCK_ENABLE;

	if (lines == 4)
		control |= CONTROL_FOUR_LINES;
	if (clock_hz > 25000000 && !h->early)
		control |= CONTROL_HIGH_SPEED;
	if (h->table)
		control |= CONTROL_ADMA2;
	h->write_gap_ns = SETTLE_NS;
	reg_write(h, CLOCK, CLOCK_TIMEOUT); /* HCS 3.2.3: it stops before it changes */
	reg_write(h, CONTROL, control);
	reg_write(h, CLOCK, clock);
	if (reg_wait(h, CLOCK, CLOCK_STABLE, CLOCK_STABLE, REGISTER_NS) < 0)
		return -ETIMEDOUT;
	reg_write(h, CLOCK, clock | CLOCK_TO_CARD);
	host->clock_hz = h->base_hz / (2 * divider);
	h->write_gap_ns = 2 * NS_PER_S / MAX(host->clock_hz, 1u) + 1;
	return 0;
}

static bool slot_empty(struct sdhci *h)
{
	return h->detects_card && !(reg_read(h, PRESENT) & PRESENT_CARD);
}

static bool sdhci_write_protected(struct sd_host *host)
{
	struct sdhci *h = to_sdhci(host);
	bool low = !(reg_read(h, PRESENT) & PRESENT_WRITABLE);

	return !dt_prop(host->node, "disable-wp").data &&
	       low != (dt_prop(host->node, "wp-inverted").data != NULL);
}

/* PLS 6.4.1: a millisecond of power and 74 clocks before the first command. */
static int sdhci_reset(struct sd_host *host)
{
	struct sdhci *h = to_sdhci(host);
	int error;

	h->write_gap_ns = SETTLE_NS;
	error = reset(h, RESET_ALL);
	h->dead = error != 0;
	if (error)
		return error;
	reg_write(h, STATUS_ENABLE, EVENTS);
	reg_write(h, SIGNAL_ENABLE, EVENTS);
	if (h->detects_card) /* if it never gets stable, what it says is as good as any */
		reg_wait(h, PRESENT, PRESENT_STABLE, PRESENT_STABLE, REGISTER_NS);
	if (slot_empty(h))
		return -ENODEV;
	error = sdhci_set_bus(host, 1, SD_IDENTIFY_HZ);
	thread_sleep_until(time_now_ns() + 2 * NS_PER_MS);
	return error;
}

/* --- Events --- */

/* The line may be shared: then STATUS has nothing for us. */
static void sdhci_interrupt(void *arg)
{
	struct sdhci *h = arg;
	uint32_t events = reg_read(h, STATUS) & EVENTS;

	if (events == 0)
		return;
	reg_write(h, STATUS, events);
	h->events |= events;
	waitq_wake_all(&h->wake);
}

static int event_error(uint32_t events)
{
	if (events & EVENT_TIMEOUTS)
		return -ETIMEDOUT;
	return events & EVENT_OTHER ? -EIO : -EILSEQ;
}

/* Sleep until the event, which is then taken, or an error. */
static int wait_event(struct sdhci *h, uint32_t event, uint64_t deadline_ns)
{
	unsigned long daif = irq_save();
	uint32_t got;
	int error = 0;

	while (!(h->events & (event | EVENT_ERRORS)) && !error)
		error = waitq_wait(&h->wake, deadline_ns);
	got = h->events;
	h->events &= ~event;
	irq_restore(daif);
	if (got & EVENT_ERRORS)
		return event_error(got);
	return got & event ? 0 : -ETIMEDOUT;
}

/* --- Data by ADMA2 --- */

static size_t data_bytes(const struct sd_command *c)
{
	return (size_t)c->block_bytes * c->block_count;
}

/* Whether so many bytes of the command's memory can be the controller's as they are. */
static bool is_direct(const struct sdhci *h, const struct sd_command *c, size_t bytes)
{
	size_t align = c->write ? DESCRIPTOR_ALIGN : DMA_ALIGN;

	return (((uintptr_t)c->data | bytes) & (align - 1)) == 0 &&
	       dma_address(&h->bus, c->data, bytes) != DMA_NONE;
}

static uint32_t sdhci_blocks_max(struct sd_host *host, const struct sd_command *c)
{
	struct sdhci *h = to_sdhci(host);
	size_t bytes = MIN(data_bytes(c), TRANSFER_BYTES);

	if (!h->table)
		bytes = MIN(bytes, PIO_BYTES);
	else if (!is_direct(h, c, bytes))
		bytes = MIN(bytes, BOUNCE_BYTES);
	return (uint32_t)(bytes / c->block_bytes);
}

/* Returns the bytes of the table in use. */
static size_t fill_table(struct sdhci *h, dma_addr_t address, size_t bytes)
{
	struct descriptor *d = h->table;

	for (; bytes > 0; d++) {
		size_t piece = MIN(bytes, DESCRIPTOR_BYTES);

		*d = (struct descriptor){
		    .attributes = DESCRIPTOR_VALID | DESCRIPTOR_TRANSFER,
		    .bytes = (uint16_t)piece,
		    .address = (uint32_t)address,
		};
		address += piece;
		bytes -= piece;
	}
	d[-1].attributes |= DESCRIPTOR_END;
	return (size_t)((uint8_t *)d - (uint8_t *)h->table);
}

/* What the controller has while it works. */
struct mapping {
	uint8_t *buf;
	size_t bytes, table_bytes;
	enum dma_direction direction;
};

static int map_data(struct sdhci *h, const struct sd_command *c, struct mapping *m)
{
	size_t bytes = data_bytes(c);
	dma_addr_t data, table;

	m->direction = c->write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	m->buf = is_direct(h, c, bytes) ? c->data : h->bounce;
	m->bytes = m->buf == c->data ? bytes : ALIGN_UP(bytes, DMA_ALIGN);
	if (c->write && m->buf != c->data)
		memcpy(m->buf, c->data, bytes);
	data = dma_map(&h->bus, m->buf, m->bytes, m->direction);
	if (data == DMA_NONE)
		return -EIO;
	m->table_bytes = fill_table(h, data, bytes);
	table = dma_map(&h->bus, h->table, m->table_bytes, DMA_TO_DEVICE);
	if (table == DMA_NONE) {
		dma_unmap(&h->bus, m->buf, m->bytes, m->direction);
		return -EIO;
	}
	reg_write(h, ADMA_ADDRESS, (uint32_t)table);
	reg_write(h, ADMA_ADDRESS_2, 0);
	io_wmb(); /* on a coherent bus: data and table before the command */
	return 0;
}

static void unmap_data(struct sdhci *h, const struct sd_command *c, const struct mapping *m)
{
	dma_unmap(&h->bus, h->table, m->table_bytes, DMA_TO_DEVICE);
	dma_unmap(&h->bus, m->buf, m->bytes, m->direction);
	if (!c->write && m->buf != c->data)
		memcpy(c->data, m->buf, data_bytes(c));
}

/* --- Data by the thread --- */

static void read_block(struct sdhci *h, uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t word = reg_read(h, BUFFER);

		memcpy(data + i, &word, sizeof(word));
	}
}

/* This register alone keeps up with writes side by side (reg_write). */
static void write_block(struct sdhci *h, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t word;

		memcpy(&word, data + i, sizeof(word));
		write32(h->regs + BUFFER, word);
	}
}

/*
 * Block by block as the buffer allows (HCS 3.7.2.1). The event may be that of a block which has
 * been moved already: PRESENT decides, and the event says when to look again.
 */
static int move_data(struct sdhci *h, struct sd_command *c, uint64_t deadline_ns)
{
	uint32_t ready = c->write ? PRESENT_WRITE : PRESENT_READ;
	uint32_t event = c->write ? EVENT_WRITE : EVENT_READ;
	uint8_t *data = c->data;

	for (uint32_t left = c->block_count; left > 0;) {
		if (!(reg_read(h, PRESENT) & ready)) {
			int error = wait_event(h, event, deadline_ns);

			if (error)
				return error;
			continue;
		}
		if (c->write)
			write_block(h, data, c->block_bytes);
		else
			read_block(h, data, c->block_bytes);
		data += c->block_bytes;
		left--;
	}
	return 0;
}

/* --- Commands --- */

static uint32_t mode_word(const struct sdhci *h, const struct sd_command *c)
{
	uint32_t mode = 0;

	if (c->block_count == 0)
		return 0;
	if (h->table)
		mode |= MODE_DMA;
	if (!c->write)
		mode |= MODE_READ;
	if (c->block_count > 1)
		mode |= MODE_MULTIPLE | MODE_COUNT;
	if (c->open_ended)
		mode |= MODE_AUTO_STOP;
	return mode;
}

static uint32_t command_word(const struct sd_command *c)
{
	static const uint32_t types[] = {
	    [SD_NONE] = 0,
	    [SD_R1] = COMMAND_SHORT | COMMAND_CRC | COMMAND_CHECK,
	    [SD_R1B] = COMMAND_BUSY | COMMAND_CRC | COMMAND_CHECK,
	    [SD_R2] = COMMAND_LONG | COMMAND_CRC,
	    [SD_R3] = COMMAND_SHORT,
	};
	uint32_t word = types[c->type] | COMMAND_INDEX(c->index);

	if (c->block_count > 0)
		word |= COMMAND_DATA;
	if (c->index == STOP_INDEX)
		word |= COMMAND_ABORT;
	return word;
}

static bool uses_data_lines(const struct sd_command *c)
{
	return c->block_count > 0 || c->type == SD_R1B;
}

/* HCS 3.7.1.1. */
static int issue(struct sdhci *h, const struct sd_command *c)
{
	uint32_t busy = PRESENT_COMMAND;

	if (uses_data_lines(c) && c->index != STOP_INDEX)
		busy |= PRESENT_DATA;
	if (reg_wait(h, PRESENT, busy, 0, COMMAND_NS) < 0)
		return -ETIMEDOUT;
	h->events = 0; /* nothing is under way that could bring one */
	if (c->block_count > 0)
		reg_write(h, BLOCK, c->block_bytes | c->block_count << 16);
	reg_write(h, ARGUMENT, c->argument);
	reg_write(h, COMMAND, mode_word(h, c) | command_word(c));
	return 0;
}

/* HCS 2.2.7, table 2-12. */
static void read_response(struct sdhci *h, struct sd_command *c)
{
	uint32_t r[4];

	for (unsigned int i = 0; i < 4; i++)
		r[i] = reg_read(h, RESPONSE + 4 * i);
	if (c->type == SD_R2) {
		for (unsigned int i = 0; i < 4; i++)
			c->response[i] = r[3 - i] << 8 | (i < 3 ? r[2 - i] >> 24 : 0);
	} else {
		c->response[0] = r[0];
	}
}

/* From the command to the last of its data. */
static int carry_out(struct sdhci *h, struct sd_command *c)
{
	uint64_t now_ns = time_now_ns();
	uint64_t deadline_ns = now_ns + DATA_NS + (data_bytes(c) >> 20) * DATA_NS_PER_MIB;
	int error = issue(h, c);

	if (!error)
		error = wait_event(h, EVENT_COMMAND, now_ns + COMMAND_NS);
	if (error)
		return error;
	read_response(h, c);
	if (c->block_count > 0 && !h->table)
		error = move_data(h, c, deadline_ns);
	if (!error && uses_data_lines(c))
		error = wait_event(h, EVENT_TRANSFER, deadline_ns);
	if (!error && c->open_ended)
		c->stop_response = reg_read(h, RESPONSE + 12);
	return error;
}

/* HCS 3.10.1: also ends what the controller was doing with our memory. */
static void abandon(struct sdhci *h)
{
	if (reset(h, RESET_LINES) == 0)
		return;
	h->dead = true;
	klog("%s: does not reset", dt_name(h->sd.node));
}

static int sdhci_command(struct sd_host *host, struct sd_command *c)
{
	struct sdhci *h = to_sdhci(host);
	bool dma = c->block_count > 0 && h->table;
	struct mapping m;
	int error;

	if (slot_empty(h))
		return -ENODEV;
	if (h->dead)
		return -EIO;
	error = dma ? map_data(h, c, &m) : 0;
	if (error)
		return error;
	error = carry_out(h, c);
	if (error)
		abandon(h);
	if (dma)
		unmap_data(h, c, &m);
	return error;
}

/* --- Coming up --- */

static void release(struct sdhci *h)
{
	if (h->table)
		dma_free(h->table, DESCRIPTORS * sizeof(*h->table));
	if (h->bounce)
		dma_free(h->bounce, BOUNCE_BYTES);
	h->table = NULL;
	h->bounce = NULL;
}

static int set_up_dma(struct sdhci *h)
{
	int error = dma_bus_init(&h->bus, h->sd.node, UINT32_MAX);

	if (error)
		return error;
	h->table = dma_alloc(&h->bus, DESCRIPTORS * sizeof(*h->table));
	h->bounce = dma_alloc(&h->bus, BOUNCE_BYTES);
	if (h->table && h->bounce)
		return 0;
	release(h);
	return -ENOMEM;
}

static bool has(dt_node node, const char *property)
{
	return dt_prop(node, property).data != NULL;
}

/* What the controller is, from the tree and from what it says of itself. */
static int find_out(struct sdhci *h)
{
	dt_node node = h->sd.node;
	uint32_t caps = reg_read(h, CAPABILITIES);
	int64_t width = dt_u32(node, "bus-width", 0);
	int64_t clock_max_hz = dt_u32(node, "max-frequency", 0);

	h->early = dt_compatible(node, "brcm,bcm2835-sdhci");
	h->version = reg_read(h, VERSION) >> 16 & 0xff;
	if (h->early)
		caps = CAP_3V3 | CAP_HIGH_SPEED;
	h->detects_card = !h->early && !has(node, "broken-cd") && !has(node, "non-removable") &&
	                  !has(node, "cd-gpios");
	h->base_hz = clock_rate_hz(node, 0);
	if (h->base_hz == 0)
		h->base_hz = CAP_BASE_MHZ(caps, h->version) * 1000000;
	if (h->base_hz == 0 || !(caps & CAP_3V3)) {
		klog("%s: %s", dt_name(node),
		     h->base_hz ? "not for 3.3 V" : "its clock is unknown");
		return -ENOTSUP;
	}
	h->sd.high_speed = (caps & CAP_HIGH_SPEED) != 0;
	h->sd.wide = width < 0 || width >= 4;
	h->sd.clock_max_hz = clock_max_hz > 0 ? (uint32_t)clock_max_hz : UINT32_MAX;
	return caps & CAP_ADMA2 ? set_up_dma(h) : 0;
}

/* Once its interrupt is attached, a controller stays, if only to have none. */
static int start(struct sdhci *h)
{
	int error = pins_default(h->sd.node);

	if (error)
		klog("%s: its pins are as they were found: error %d", dt_name(h->sd.node), -error);
	error = reset(h, RESET_ALL);
	if (!error)
		error = irq_attach(h->sd.node, 0, sdhci_interrupt, h);
	if (error) {
		release(h);
		return error;
	}
	error = sd_attach(&h->sd);
	if (error) {
		reg_write(h, SIGNAL_ENABLE, 0);
		release(h);
	}
	return error;
}

static int sdhci_probe(const struct device *dev)
{
	struct sdhci *h = dev->state;
	int error;

	h->regs = dev->regs;
	h->sd = (struct sd_host){
	    .node = dev->node,
	    .auto_stop = true,
	    .reset = sdhci_reset,
	    .set_bus = sdhci_set_bus,
	    .write_protected = sdhci_write_protected,
	    .blocks_max = sdhci_blocks_max,
	    .command = sdhci_command,
	};
	waitq_init(&h->wake);
	error = find_out(h);
	return error ? error : start(h);
}

DRIVER(sdhci) = {
    .name = "sdhci",
    .compatible = "brcm,bcm2711-emmc2\0brcm,bcm2835-sdhci\0arasan,sdhci-8.9a\0",
    .stage = DRV_DEVICE,
    .first_read = FIRST_READ(PRESENT),
    .state_bytes = sizeof(struct sdhci),
    .reg_bytes = REGS_BYTES,
    .probe = sdhci_probe,
};
