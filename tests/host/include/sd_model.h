/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SD card for host tests, and the tree, time and threads around a host controller's driver.
 * Written from the Physical Layer Simplified Specification 6.00; what it forbids is complained
 * about: a command in a state that does not know it, a clock too fast for the card, data on lines
 * that the card does not use, a block that nobody should touch.
 */
#ifndef TESTS_HOST_SD_MODEL_H
#define TESTS_HOST_SD_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/block.h>
#include <pith/compiler.h>
#include <pith/dt.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>
#include <pith/time.h>

/* --- Log, time, threads --- */

static unsigned int log_lines;
static char log_text[16384];

void klog(const char *fmt, ...)
{
	size_t at = strlen(log_text);
	va_list args;

	va_start(args, fmt);
	if (at + 200 < sizeof(log_text)) {
		vsnprintf(log_text + at, 198, fmt, args);
		strcat(log_text, "\n");
	}
	va_end(args);
	log_lines++;
}

static void log_clear(void)
{
	log_lines = 0;
	log_text[0] = '\0';
}

static bool logged(const char *text)
{
	return strstr(log_text, text) != NULL;
}

static uint64_t now_ns = 1000;
/* The controller's next step, or TIME_FOREVER; set by the model. */
static uint64_t due_ns = TIME_FOREVER;
static void (*due_step)(void);
/* Whether the controller's interrupt line is up. */
static bool (*line_is_up)(void);
static irq_handler handler;
static void *handler_arg;
static bool woken;
bool thread_switch_pending;

void thread_switch_restore(unsigned long daif)
{
	(void)daif;
}

static void later(uint64_t delay_ns, void (*step)(void))
{
	due_ns = now_ns + delay_ns;
	due_step = step;
}

static void run_due(void)
{
	while (now_ns >= due_ns) {
		due_ns = TIME_FOREVER;
		due_step();
	}
}

/* Interrupts come while somebody sleeps, or where the model says. */
static void deliver(void)
{
	for (int i = 0; handler && line_is_up(); i++) {
		assert_true(i < 100); /* else it would storm for ever */
		handler(handler_arg);
	}
}

uint64_t time_now_ns(void)
{
	now_ns += 100;
	run_due();
	return now_ns;
}

static void pass_time(uint64_t until_ns)
{
	while (due_ns <= until_ns) {
		now_ns = MAX(now_ns, due_ns);
		run_due();
		deliver();
	}
	now_ns = MAX(now_ns, until_ns);
	deliver();
}

void thread_sleep_until(uint64_t deadline_ns)
{
	assert_true(deadline_ns != TIME_FOREVER);
	pass_time(deadline_ns);
}

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	woken = true;
	return 1;
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	(void)q;
	assert_true(deadline_ns != TIME_FOREVER);
	woken = false;
	deliver();
	while (!woken && due_ns <= deadline_ns) {
		now_ns = MAX(now_ns, due_ns);
		run_due();
		deliver();
	}
	if (woken)
		return 0;
	now_ns = MAX(now_ns, deadline_ns);
	return -ETIMEDOUT;
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

void mutex_lock(struct mutex *m)
{
	assert_null(m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	m->owner = NULL;
}

const char *dt_name(dt_node n)
{
	(void)n;
	return "mmc@0";
}

/* --- The tree, and where the registers are --- */

#define REGS_PA 0xfe340000u

static uint8_t model_regs[0x100];
static uint32_t tree_clock_hz, bus_width;
static uint64_t regs_bytes;
static int probe_error, irq_error;

int64_t dt_u32(dt_node n, const char *name, unsigned int index)
{
	(void)n;
	(void)index;
	if (strcmp(name, "bus-width") != 0 || bus_width == 0)
		return -ENOENT;
	return bus_width;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	(void)n;
	(void)index;
	*pa = REGS_PA;
	*bytes = regs_bytes;
	return 0;
}

uint32_t clock_rate_hz(dt_node node, unsigned int index)
{
	(void)node;
	(void)index;
	return tree_clock_hz;
}

int pins_default(dt_node node)
{
	(void)node;
	return 0;
}

/* Those that stay attached to a controller without a card. */
static void *attached[4096];
static size_t attached_count;

int irq_attach(dt_node node, unsigned int index, irq_handler h, void *arg)
{
	(void)node;
	(void)index;
	if (irq_error)
		return irq_error;
	handler = h;
	handler_arg = arg;
	attached[attached_count++ % ARRAY_LEN(attached)] = arg;
	return 0;
}

void *io_map(uint64_t pa, size_t bytes)
{
	assert_int_equal(pa, REGS_PA);
	assert_true(bytes <= sizeof(model_regs));
	return model_regs;
}

int64_t io_probe_read32(const volatile void *reg)
{
	return probe_error ? probe_error : (int64_t)read32(reg);
}

/* --- The card --- */

enum card_state { IDLE, READY, IDENT, STBY, TRAN, DATA, RCV, PRG };

#define CARD_BLOCKS 20000u /* that have memory */
#define BAD_ADDRESS (1u << 30)
#define BAD_RANGE   (1u << 31)
#define BAD_WP      (1u << 26)
#define BAD_ECC     (1u << 21)
#define BAD_ERROR   (1u << 19)

static struct card {
	/* What it is. */
	bool absent, version1, high_capacity, knows_count, four_lines, fast, knows_switch;
	bool never_ready, wrong_echo, wrong_voltage, zero_address, hides_app, shy_of_lines;
	uint64_t blocks, first; /* of all, and of those with memory */
	uint32_t cid[4], csd[4];
	uint64_t busy_ns; /* after a write */
	/* How it stands. */
	enum card_state state;
	uint32_t address, status, count;
	uint64_t busy_until_ns, lba;
	unsigned int lines, polls;
	bool app, high_speed, open, multiple;
	uint8_t special[64]; /* a register that is read as data */
	size_t special_bytes;
	/* How it is driven. */
	unsigned int bus_lines;
	uint32_t bus_hz;
	/* What happened. */
	unsigned int commands[64], stops, resets, bad_commands;
} card;
static uint8_t card_memory[CARD_BLOCKS * 512];

/* One kind of trouble, at some time, for a while. */
enum trouble {
	NO_TROUBLE,
	SILENCE,      /* no response */
	DAMAGE,       /* a response with a wrong CRC */
	HANG,         /* the controller never tells that there was one */
	DATA_SILENCE, /* no data, or nobody takes it */
	DATA_DAMAGE,  /* a wrong CRC */
	DATA_HANG,    /* the controller never tells */
	CARD_ERROR,   /* status bits of the card (trouble_bits) */
	OWN_ERROR,    /* the controller's: ADMA */
};
static enum trouble trouble;
static uint8_t trouble_index;      /* at this command */
static unsigned int trouble_after; /* not the first so many */
static unsigned int trouble_times;
static unsigned int trouble_block; /* of data: in this block */
static uint32_t trouble_bits;

static void make_trouble(enum trouble what, uint8_t index, unsigned int times)
{
	trouble = what;
	trouble_index = index;
	trouble_after = 0;
	trouble_times = times;
	trouble_block = 0;
	trouble_bits = BAD_ECC;
}

/* For each command once. */
static enum trouble trouble_now(uint8_t index)
{
	if (trouble == NO_TROUBLE || index != trouble_index || trouble_times == 0)
		return NO_TROUBLE;
	if (trouble_after > 0) {
		trouble_after--;
		return NO_TROUBLE;
	}
	trouble_times--;
	return trouble;
}

/* Bits high..low of a register. */
static void put_bits(uint32_t r[4], unsigned int high, unsigned int low, uint32_t value)
{
	for (unsigned int i = low; i <= high; i++) {
		uint32_t bit = 1u << i % 32;

		r[3 - i / 32] &= ~bit;
		if (value >> (i - low) & 1)
			r[3 - i / 32] |= bit;
	}
}

static void card_csd1(uint32_t c_size, uint32_t mult, uint32_t length)
{
	memset(card.csd, 0, sizeof(card.csd));
	put_bits(card.csd, 95, 84, 0x5b5);
	put_bits(card.csd, 83, 80, length);
	put_bits(card.csd, 73, 62, c_size);
	put_bits(card.csd, 49, 47, mult);
	put_bits(card.csd, 7, 0, 0x55);
	card.high_capacity = false;
	card.blocks = ((uint64_t)c_size + 1) << (mult + 2 + length - 9);
}

static void card_csd2(uint32_t c_size)
{
	memset(card.csd, 0, sizeof(card.csd));
	put_bits(card.csd, 127, 126, 1);
	put_bits(card.csd, 95, 84, 0x5b5);
	put_bits(card.csd, 83, 80, 9);
	put_bits(card.csd, 69, 48, c_size);
	card.high_capacity = true;
	card.blocks = ((uint64_t)c_size + 1) * 1024;
}

/* A card as they are sold; not the same one as before. */
static void card_begin(void)
{
	static uint32_t serial = 0x1234;

	card = (struct card){
	    .knows_count = true,
	    .four_lines = true,
	    .fast = true,
	    .knows_switch = true,
	    .cid = {0x03534453, 0x55303847, 0x80000000 | serial++, 0x0000ab01},
	    .busy_ns = 2 * NS_PER_MS,
	    .bus_lines = 1,
	};
	card_csd2(0x3b37);
	for (size_t i = 0; i < sizeof(card_memory) && serial == 0x1235; i++)
		card_memory[i] = (uint8_t)rand();
	make_trouble(NO_TROUBLE, 0, 0);
	log_clear();
}

static uint8_t *card_block(uint64_t lba)
{
	assert_true(lba >= card.first && lba - card.first < CARD_BLOCKS);
	return card_memory + (lba - card.first) * 512;
}

static void card_settle(void)
{
	if (card.state == PRG && now_ns >= card.busy_until_ns)
		card.state = TRAN;
}

static bool card_busy(void)
{
	card_settle();
	return card.state == PRG;
}

static void card_program(void)
{
	card.state = PRG;
	card.busy_until_ns = now_ns + card.busy_ns;
}

/* R1: the errors are told once. */
static unsigned int answer(uint32_t r[4])
{
	r[0] = card.status | (uint32_t)card.state << 9 | (card.state != PRG) << 8 |
	       (uint32_t)card.app << 5;
	card.status = 0;
	return 48;
}

static unsigned int answer_long(uint32_t r[4], const uint32_t value[4])
{
	memcpy(r, value, sizeof(card.cid));
	return 136;
}

static unsigned int start_blocks(uint32_t argument, bool multiple, bool write, uint32_t r[4])
{
	uint64_t lba = card.high_capacity ? argument : argument / 512;
	unsigned int bits;

	if (!card.high_capacity && argument % 512)
		card.status |= BAD_ADDRESS;
	else if (lba >= card.blocks)
		card.status |= BAD_RANGE;
	bits = answer(r);
	if (r[0] & (BAD_ADDRESS | BAD_RANGE))
		return bits;
	card.lba = lba;
	card.multiple = multiple;
	card.open = multiple && card.count == 0;
	card.state = write ? RCV : DATA;
	card.special_bytes = 0;
	return bits;
}

static unsigned int start_special(size_t bytes, uint32_t r[4])
{
	unsigned int bits = answer(r);

	card.special_bytes = bytes;
	card.state = DATA;
	return bits;
}

static unsigned int app_command(uint8_t index, uint32_t argument, uint32_t r[4])
{
	if (index == 41 && card.state == IDLE) {
		bool ready = ++card.polls > 3 && !card.never_ready &&
		             (!card.high_capacity || (argument & 1u << 30));

		r[0] = card.wrong_voltage ? 0x00008000 : 0x00ff8000;
		if (ready) {
			card.state = READY;
			r[0] |= 1u << 31 | (uint32_t)card.high_capacity << 30;
		}
		return 48;
	}
	if (index == 6 && card.state == TRAN) {
		assert_int_equal(argument, 2);
		assert_true(card.four_lines);
		card.lines = 4;
		return answer(r);
	}
	if (index == 51 && card.state == TRAN) {
		memset(card.special, 0, sizeof(card.special));
		card.special[0] = card.knows_switch ? 2 : 0;
		card.special[1] = card.four_lines ? 0x35 : 0x31;
		card.special[3] = card.knows_count ? 2 : 0;
		return start_special(8, r);
	}
	card.bad_commands++;
	return 0;
}

static unsigned int plain_command(uint8_t index, uint32_t argument, uint32_t r[4])
{
	bool mine = argument >> 16 == card.address;

	switch (index) {
	case 0:
		card.state = IDLE;
		card.address = card.status = card.polls = card.count = 0;
		card.lines = 1;
		card.high_speed = false;
		card.resets++;
		return 0;
	case 2:
		if (card.state != READY)
			break;
		card.state = IDENT;
		return answer_long(r, card.cid);
	case 3:
		if (card.state != IDENT && card.state != STBY)
			break;
		card.address = card.zero_address ? 0 : 0xb368 + card.resets;
		card.zero_address = false;
		r[0] = card.address << 16 | (uint32_t)card.state << 9 | 1u << 8;
		card.state = STBY;
		return 48;
	case 6:
		if (card.state != TRAN || !card.knows_switch)
			break;
		memset(card.special, 0, sizeof(card.special));
		if (argument >> 31 && (argument & 0xf) == 1)
			card.high_speed = card.fast;
		card.special[16] = card.fast ? 1 : 0xf;
		return start_special(64, r);
	case 7:
		if (card.state != STBY || !mine)
			break;
		answer(r);
		card.state = TRAN;
		return 48;
	case 8:
		if (card.version1)
			return 0;
		if (card.state != IDLE)
			break;
		r[0] = card.wrong_echo ? 0x155 : argument & 0xfff;
		return 48;
	case 9:
		return card.state == STBY && mine ? answer_long(r, card.csd) : 0;
	case 12:
		if (card.state != DATA && card.state != RCV)
			break;
		card.stops++;
		answer(r);
		if (card.state == RCV)
			card_program();
		else
			card.state = TRAN;
		return 48;
	case 13:
		return card.state >= STBY && mine ? answer(r) : 0;
	case 16:
		assert_false(card.high_capacity);
		assert_int_equal(argument, 512);
		return answer(r);
	case 17:
	case 18:
	case 24:
	case 25:
		if (card.state != TRAN)
			break;
		return start_blocks(argument, index == 18 || index == 25, index >= 24, r);
	case 23:
		if (card.state != TRAN || !card.knows_count)
			break;
		card.count = argument;
		return answer(r);
	case 55:
		if (!mine)
			break;
		card.app = !card.hides_app;
		return answer(r);
	}
	card.bad_commands++;
	return 0;
}

static uint32_t clock_max(void)
{
	return card.state < STBY ? 400000 : card.high_speed ? 50000000 : 25000000;
}

/* Returns the bits of its response in r, 0 if it stays silent. */
static unsigned int card_command(uint8_t index, uint32_t argument, uint32_t r[4])
{
	bool app = card.app;
	unsigned int bits;

	card.commands[index]++;
	if (card.absent)
		return 0;
	card_settle();
	if (card.bus_hz < 100000 || card.bus_hz > clock_max()) {
		card.bad_commands++; /* it cannot make sense of it */
		return 0;
	}
	card.app = false;
	bits = app ? app_command(index, argument, r) : plain_command(index, argument, r);
	if (index != 18 && index != 23 && index != 25) /* a count is for the next command only */
		card.count = 0;
	return bits;
}

/* Data on the bus, if card and controller use the same lines. */
static bool card_lines_agree(void)
{
	return card.lines == card.bus_lines && !card.shy_of_lines;
}

/* A block of its own, or the bytes of a register. */
static void card_read(uint8_t *buf, size_t bytes)
{
	assert_int_equal(card.state, DATA);
	if (card.special_bytes) {
		assert_int_equal(bytes, card.special_bytes);
		memcpy(buf, card.special, bytes);
		card.state = TRAN;
		return;
	}
	assert_int_equal(bytes, 512);
	memcpy(buf, card_block(card.lba++), 512);
	if (!card.multiple || (!card.open && --card.count == 0))
		card.state = TRAN;
	else if (card.lba >= card.blocks)
		card.status |= BAD_RANGE; /* it reads ahead */
}

static void card_write(const uint8_t *buf, size_t bytes)
{
	assert_int_equal(card.state, RCV);
	assert_int_equal(bytes, 512);
	assert_true(card.lba < card.blocks);
	memcpy(card_block(card.lba++), buf, 512);
	if (!card.multiple || (!card.open && --card.count == 0))
		card_program();
}

/* --- What every host must do --- */

/* The host's model: as after power-up, and the driver's probe. */
static void host_begin(void);
static int host_probe(void);
/* Memory for data: more than card_memory has. */
static uint8_t *host_buffer(void);

#define REASONABLE_NS (60 * NS_PER_S)

static struct block_device *last_device(void)
{
	struct block_device *d = block_find(NULL);

	while (d && d->next)
		d = d->next;
	return d;
}

static void begin(void)
{
	card_begin();
	bus_width = 4;
	regs_bytes = 0x100;
	probe_error = irq_error = 0;
	due_ns = TIME_FOREVER;
	handler = NULL;
	host_begin();
}

static struct block_device *attach(void)
{
	struct block_device *d;

	if (host_probe() != 0)
		fail_msg("%s", log_text);
	d = last_device();
	assert_int_equal(d->block_bytes, 512);
	assert_int_equal(d->block_count, card.blocks);
	return d;
}

static struct block_device *attach_quietly(void)
{
	struct block_device *d = attach();

	assert_int_equal(log_lines, 1);
	log_clear();
	return d;
}

static void fill(uint8_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)rand();
}

static void write_and_compare(struct block_device *d, uint64_t lba, uint32_t count, uint8_t *p)
{
	uint8_t *copy = malloc((size_t)count * 512);

	fill(p, (size_t)count * 512);
	memcpy(copy, p, (size_t)count * 512);
	assert_int_equal(block_write(d, lba, count, p), 0);
	assert_memory_equal(p, copy, (size_t)count * 512); /* a write changes nothing of ours */
	assert_memory_equal(card_block(lba), copy, (size_t)count * 512);
	free(copy);
}

static void read_and_compare(struct block_device *d, uint64_t lba, uint32_t count, uint8_t *p)
{
	memset(p, 0x5a, (size_t)count * 512);
	assert_int_equal(block_read(d, lba, count, p), 0);
	assert_memory_equal(p, card_block(lba), (size_t)count * 512);
}

static void some_requests(struct block_device *d, int requests, uint32_t count_max)
{
	for (int i = 0; i < requests; i++) {
		uint32_t count = rand() % 3 ? 1 + (uint32_t)rand() % count_max : 1;
		uint64_t lba = card.first + (uint64_t)rand() % (CARD_BLOCKS - count + 1);
		static const uint8_t offsets[] = {0, 0, 64, 4, 1, 3, 16};
		uint8_t *p = host_buffer() + offsets[(size_t)rand() % sizeof(offsets)];

		if (rand() % 2)
			write_and_compare(d, lba, count, p);
		else
			read_and_compare(d, lba, count, p);
	}
	assert_int_equal(block_flush(d), 0);
}

static void random_requests_are_what_they_should_be(void **state)
{
	struct block_device *d;

	(void)state;
	begin();
	d = attach_quietly();
	some_requests(d, 200, 40);
	some_requests(d, 20, 700);
	assert_int_equal(log_lines, 0);
	assert_int_equal(card.bad_commands, 0);
}

static void megabytes_at_once(void **state)
{
	static const uint32_t counts[] = {8191, 8192, 8193, 16384, 16385, CARD_BLOCKS};
	struct block_device *d;

	(void)state;
	begin();
	d = attach_quietly();
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		write_and_compare(d, 0, counts[i], host_buffer() + (i % 2 ? 64 : 1));
		read_and_compare(d, 0, counts[i], host_buffer() + (i % 2 ? 3 : 64));
	}
	assert_int_equal(log_lines, 0);
}

static void the_end_of_the_card(void **state)
{
	(void)state;
	for (int counted = 0; counted < 2; counted++) {
		struct block_device *d;

		begin();
		card.knows_count = counted;
		card.first = card.blocks - CARD_BLOCKS;
		d = attach_quietly();
		for (uint32_t count = 1; count < 300; count += 37) {
			write_and_compare(d, card.blocks - count, count, host_buffer());
			read_and_compare(d, card.blocks - count, count, host_buffer() + 1);
		}
		assert_int_equal(block_read(d, card.blocks, 1, host_buffer()), -EINVAL);
		assert_int_equal(log_lines, 0); /* that a card reads ahead is not an error */
	}
}

/* PLS 5.3.2 and 5.3.3. */
static void every_capacity(void **state)
{
	static const struct {
		uint32_t c_size, mult, length; /* length 0: version 2 */
		uint64_t bytes;
		const char *kind;
	} cards[] = {
	    {0, 0, 9, 2048, "SDSC"},
	    {4095, 7, 9, 1ull << 30, "SDSC"},
	    {3843, 7, 10, 3844ull * 512 * 1024, "SDSC"}, /* sold as 2 GB */
	    {4095, 7, 11, 4ull << 30, "SDSC"},           /* the most there can be */
	    {0x3b37, 0, 0, 0x3b38ull << 19, "SDHC"},     /* 8 GB */
	    {0xfeff, 0, 0, 0xff00ull << 19, "SDHC"},     /* nearly 32 GiB */
	    {0xffff, 0, 0, 0x10000ull << 19, "SDXC"},    /* 32 GiB: SDXC from here on */
	    {0x3a3fff, 0, 0, 0x3a4000ull << 19, "SDXC"}, /* 2 TB */
	    {0x3fffff, 0, 0, 0x400000ull << 19, "SDXC"}, /* the field's end */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cards); i++) {
		struct block_device *d;

		begin();
		if (cards[i].length)
			card_csd1(cards[i].c_size, cards[i].mult, cards[i].length);
		else
			card_csd2(cards[i].c_size);
		card.first = card.blocks > CARD_BLOCKS ? card.blocks - CARD_BLOCKS : 0;
		d = attach();
		assert_true(logged(cards[i].kind));
		assert_int_equal(d->block_count * 512, cards[i].bytes);
		write_and_compare(d, card.blocks - 1, 1, host_buffer());
		write_and_compare(d, card.blocks - 3, 3, host_buffer());
		read_and_compare(d, card.blocks - 4, 4, host_buffer());
	}
}

static void impossible_sizes_are_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		begin();
		if (i < 2) {
			card_csd1(4095, 7, i ? 12 : 8);
		} else if (i == 2) {
			card.high_capacity = false; /* but a CSD of version 2 */
		} else if (i == 3) {
			card_csd1(4095, 7, 9);
			card.high_capacity = true;
		} else {
			put_bits(card.csd, 127, 126, (uint32_t)i - 2); /* later versions */
		}
		assert_int_equal(host_probe(), -ENODEV);
		assert_true(logged("cannot be used"));
	}
}

/* Each as much as it can. */
static void all_sorts_of_cards(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		struct block_device *d;

		begin();
		if (i & 1)
			card_csd1(4095, 7, 9);
		card.version1 = (i & 3) == 3;
		card.knows_count = i & 4;
		card.four_lines = i & 8;
		card.knows_switch = i & 16;
		card.fast = card.knows_switch && (i & 32);
		card.zero_address = i % 5 == 0;
		d = attach_quietly();
		some_requests(d, 10, 20);
		assert_int_equal(log_lines, 0);
		assert_int_equal(card.bad_commands, 0);
	}
}

static void write_protection_of_the_card(void **state)
{
	(void)state;
	for (unsigned int bit = 12; bit < 14; bit++) {
		struct block_device *d;

		begin();
		put_bits(card.csd, bit, bit, 1);
		d = attach_quietly();
		assert_true(d->read_only);
		assert_int_equal(block_write(d, 0, 1, host_buffer()), -EROFS);
		read_and_compare(d, 0, 5, host_buffer());
	}
}

/* --- What goes wrong --- */

static void no_controller(void **state)
{
	(void)state;
	begin();
	probe_error = -ENXIO;
	assert_int_equal(host_probe(), -ENXIO);
	begin();
	regs_bytes = 0x40;
	assert_int_equal(host_probe(), -EINVAL);
	begin();
	irq_error = -ENODEV;
	assert_int_equal(host_probe(), -ENODEV);
	begin();
	tree_clock_hz = 0;
	assert_int_equal(host_probe(), -ENOTSUP);
	assert_true(logged("its clock is unknown"));
}

static void nobody_there(void **state)
{
	uint64_t begin_ns;

	(void)state;
	begin();
	card.absent = true;
	begin_ns = now_ns;
	assert_int_equal(host_probe(), -ENODEV);
	assert_true(logged("no SD card"));
	assert_int_equal(log_lines, 1);
	assert_true(now_ns - begin_ns < 2 * NS_PER_S);
}

static void cards_that_are_not_for_us(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		uint64_t begin_ns = now_ns;

		begin();
		card.never_ready = i == 0;
		card.wrong_echo = i == 1;
		card.wrong_voltage = i == 2;
		card.hides_app = i == 3;
		assert_int_equal(host_probe(), -ENODEV);
		assert_true(logged("its card cannot be used"));
		assert_true(now_ns - begin_ns < REASONABLE_NS);
	}
}

static const uint8_t identify_indices[] = {0, 2, 3, 6, 7, 8, 9, 13, 41, 51, 55};

static void trouble_while_it_is_identified(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(identify_indices); i++) {
		for (enum trouble t = SILENCE; t <= HANG; t++) {
			uint64_t begin_ns = now_ns;
			int error;

			if (identify_indices[i] == 0 && t != HANG)
				continue; /* it has no response that could be missing */
			if (identify_indices[i] == 41 && t == DAMAGE)
				continue; /* nor this one a CRC */
			begin();
			make_trouble(t, identify_indices[i], 1);
			error = host_probe();
			if (error)
				fail_msg("CMD%d %d: %s", identify_indices[i], t, log_text);
			assert_int_equal(trouble_times, 0);
			some_requests(last_device(), 5, 20);
			/* And for ever. */
			begin();
			make_trouble(t, identify_indices[i], 1000000);
			assert_int_equal(host_probe(), -ENODEV);
			assert_true(logged("no SD card") || logged("cannot be used"));
			assert_true(now_ns - begin_ns < REASONABLE_NS);
		}
	}
}

static bool affects(enum trouble t, uint8_t index)
{
	bool data = index == 17 || index == 18 || index == 24 || index == 25;

	return data || t <= HANG || (t == CARD_ERROR && index != 23 && index != 13);
}

/* Read and write so that the command with this index comes. */
static int use(struct block_device *d, uint8_t index)
{
	uint32_t count = index == 17 || index == 24 ? 1 : 9;
	bool write = index == 24 || index == 25 || index == 13;

	return write ? block_write(d, 100, count, host_buffer() + 1)
	             : block_read(d, 100, count, host_buffer() + 1);
}

static const uint8_t use_indices[] = {12, 13, 17, 18, 23, 24, 25};

static void trouble_that_passes_is_overcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(use_indices); i++) {
		for (enum trouble t = SILENCE; t <= OWN_ERROR; t++) {
			uint8_t index = use_indices[i];
			struct block_device *d;

			if (!affects(t, index))
				continue;
			for (unsigned int block = 0; block < 9; block += 4) {
				begin();
				card.knows_count = index == 23;
				d = attach_quietly();
				fill(host_buffer(), 9 * 512 + 1);
				make_trouble(t, index, 1);
				trouble_block = block;
				if (use(d, index) != 0)
					fail_msg("CMD%d %d: %s", index, t, log_text);
				assert_memory_equal(host_buffer() + 1, card_block(100),
				                    index == 17 || index == 24 ? 512 : 9 * 512);
				/* Unless this host does not send it, or so many blocks. */
				if (trouble_times == 0 && block == 0)
					assert_true(logged("trying again"));
				some_requests(d, 3, 20);
			}
		}
	}
}

static void trouble_that_stays_is_an_error_and_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(use_indices); i++) {
		for (enum trouble t = SILENCE; t <= OWN_ERROR; t++) {
			uint8_t index = use_indices[i];
			struct block_device *d;
			uint64_t begin_ns;

			if (!affects(t, index) || index == 12)
				continue;
			begin();
			card.knows_count = index == 23;
			d = attach_quietly();
			make_trouble(t, index, 1000000);
			begin_ns = now_ns;
			if (use(d, index) != 0) {
				assert_true(logged("given up"));
				assert_true(now_ns - begin_ns < REASONABLE_NS);
			} else {
				assert_int_equal(trouble_times, 1000000); /* not for this host */
			}
			make_trouble(NO_TROUBLE, 0, 0);
			some_requests(d, 5, 20);
		}
	}
}

static void a_card_that_stays_busy_is_an_error(void **state)
{
	struct block_device *d;
	uint64_t begin_ns;

	(void)state;
	begin();
	d = attach_quietly();
	card.busy_ns = 3600 * NS_PER_S;
	begin_ns = now_ns;
	assert_int_equal(block_write(d, 3, 1, host_buffer()), -EIO);
	assert_true(now_ns - begin_ns < REASONABLE_NS);
	card.busy_ns = NS_PER_MS;
	card.busy_until_ns = 0;
	some_requests(d, 5, 20);
}

/* A card may take its time. */
static void a_slow_card_is_waited_for(void **state)
{
	struct block_device *d;

	(void)state;
	begin();
	d = attach_quietly();
	card.busy_ns = 700 * NS_PER_MS;
	write_and_compare(d, 3, 1, host_buffer());
	write_and_compare(d, 30, 9, host_buffer());
	assert_int_equal(block_flush(d), 0);
	assert_false(card_busy());
	assert_int_equal(log_lines, 0);
}

static void a_card_that_is_taken_away(void **state)
{
	struct block_device *d;
	uint64_t begin_ns;

	(void)state;
	begin();
	d = attach_quietly();
	card.absent = true;
	begin_ns = now_ns;
	assert_int_equal(block_read(d, 0, 5, host_buffer()), -EIO);
	assert_int_equal(block_write(d, 0, 5, host_buffer()), -EIO);
	assert_int_equal(block_flush(d), -EIO);
	assert_true(now_ns - begin_ns < REASONABLE_NS);
	assert_true(logged("read of 5 blocks from 0: ") && logged(", given up"));
	assert_true(logged("flush failed"));
	card.absent = false; /* back, and as after power-up */
	plain_command(0, 0, (uint32_t[4]){0});
	some_requests(d, 10, 20);
}

static void another_card_is_not_touched(void **state)
{
	static uint8_t before[sizeof(card_memory)];
	struct block_device *d;
	uint32_t cid = card.cid[2];

	(void)state;
	begin();
	d = attach_quietly();
	cid = card.cid[2];
	card.cid[2]++;
	plain_command(0, 0, (uint32_t[4]){0});
	memcpy(before, card_memory, sizeof(before));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(block_write(d, 0, 5, host_buffer()), -EIO);
		assert_int_equal(block_read(d, 0, 5, host_buffer()), -EIO);
	}
	assert_true(logged("another card"));
	assert_memory_equal(before, card_memory, sizeof(before));
	card.cid[2] = cid;
	some_requests(d, 10, 20);
}

/* A card that answers anything at all: no hang, no memory touched that is not ours. */
static void random_trouble(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct block_device *d;
		uint64_t begin_ns;

		begin();
		card.knows_count = rand() % 2;
		d = attach();
		for (int i = 0; i < 4; i++) {
			make_trouble((enum trouble)(rand() % (OWN_ERROR + 1)),
			             (uint8_t)(rand() % 64), 1 + (unsigned int)rand() % 5);
			if (rand() % 2)
				trouble_index = use_indices[(size_t)rand() % sizeof(use_indices)];
			trouble_after = (unsigned int)rand() % 3;
			trouble_block = (unsigned int)rand() % 9;
			trouble_bits = (uint32_t)rand() << (rand() % 2 * 16);
			trouble_bits &= ~0x1f00u; /* the card's state is its own */
			begin_ns = now_ns;
			use(d, use_indices[(size_t)rand() % sizeof(use_indices)]);
			assert_true(now_ns - begin_ns < 2 * REASONABLE_NS);
		}
		make_trouble(NO_TROUBLE, 0, 0);
		some_requests(d, 3, 20);
	}
}

#define SD_TESTS                                                                                  \
	cmocka_unit_test(random_requests_are_what_they_should_be),                                \
	    cmocka_unit_test(megabytes_at_once), cmocka_unit_test(the_end_of_the_card),           \
	    cmocka_unit_test(every_capacity), cmocka_unit_test(impossible_sizes_are_refused),     \
	    cmocka_unit_test(all_sorts_of_cards), cmocka_unit_test(write_protection_of_the_card), \
	    cmocka_unit_test(no_controller), cmocka_unit_test(nobody_there),                      \
	    cmocka_unit_test(cards_that_are_not_for_us),                                          \
	    cmocka_unit_test(trouble_while_it_is_identified),                                     \
	    cmocka_unit_test(trouble_that_passes_is_overcome),                                    \
	    cmocka_unit_test(trouble_that_stays_is_an_error_and_survived),                        \
	    cmocka_unit_test(a_card_that_stays_busy_is_an_error),                                 \
	    cmocka_unit_test(a_slow_card_is_waited_for),                                          \
	    cmocka_unit_test(a_card_that_is_taken_away),                                          \
	    cmocka_unit_test(another_card_is_not_touched), cmocka_unit_test(random_trouble)

#endif
