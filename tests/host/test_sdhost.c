/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, for SD cards behind the BCM2835's SDHOST, against models of the card (sd_model.h) and
 * of the controller at register level: the same as for SDHCI (test_sdhci.c), and: its FIFO is
 * neither read when it is empty nor written when it is full; its state machine is brought to rest
 * before the next command, whatever went wrong before.
 */
#include "sd_model.h"
#include "../../drivers/bcm2835_sdhost.c"

enum { STATE_READ = 2, STATE_WRITE = 3 };

static struct {
	uint32_t cmd, argument, timeout, divider, response[4], status, power, config;
	uint32_t block_bytes, blocks_left, state, thresholds;
	uint32_t fifo[FIFO_WORDS];
	unsigned int level;
	uint8_t buffer[1024];
	size_t buffer_at; /* of it, what has gone from or to the FIFO */
	bool refused;     /* the card takes or gives no data */
	bool buffer_full; /* read: it holds a block */
	enum trouble trouble;
	unsigned int block_number;
} m;

static bool fifo_ready(void)
{
	return m.state == STATE_WRITE ? m.level < FIFO_WORDS : m.level > 0;
}

static bool model_line(void)
{
	return m.status & (HSTS_BUSY_END | HSTS_BLOCK_END) ||
	       (m.config & HCFG_DATA_IRQ && fifo_ready());
}

static void raise_if(uint32_t enabled, uint32_t status)
{
	if (m.config & enabled)
		m.status |= status;
}

static bool data_fails(void)
{
	enum trouble t = m.trouble;

	if (!card_lines_agree())
		t = DATA_DAMAGE;
	else if (t < DATA_SILENCE || t == CARD_ERROR || m.block_number != trouble_block)
		return false;
	if (t == DATA_SILENCE)
		m.status |= HSTS_DATA_TIME;
	else if (t == DATA_DAMAGE)
		m.status |= HSTS_DATA_CRC;
	else if (t == OWN_ERROR)
		m.status |= HSTS_FIFO_ERROR;
	return true;
}

/* --- Reading --- */

static void fill_fifo(void)
{
	if (!m.buffer_full) {
		if (data_fails()) {
			m.level = (unsigned int)rand() % FIFO_WORDS; /* a part of it came */
			return;
		}
		card_read(m.buffer, m.block_bytes);
		m.buffer_full = true;
		m.buffer_at = 0;
	}
	for (int words = 1 + rand() % 16;
	     words > 0 && m.level < FIFO_WORDS && m.buffer_at < m.block_bytes; words--) {
		memcpy(&m.fifo[m.level++], m.buffer + m.buffer_at, 4);
		m.buffer_at += 4;
	}
}

static uint32_t fifo_pop(void)
{
	uint32_t word = m.fifo[0];

	assert_true(m.level > 0);
	memmove(m.fifo, m.fifo + 1, --m.level * sizeof(word));
	if (m.level > 0 || m.state != STATE_READ)
		return word;
	if (m.buffer_at < m.block_bytes) {
		later((uint64_t)(rand() % 3) * NS_PER_US, fill_fifo);
		return word;
	}
	m.buffer_full = false;
	m.block_number++;
	if (--m.blocks_left > 0)
		later((uint64_t)(rand() % 400) * NS_PER_US, fill_fifo);
	else
		m.state = card.state == DATA ? STATE_READ_WAIT : STATE_DATA;
	return word;
}

/* --- Writing --- */

static void block_taken(void)
{
	if (data_fails())
		return;
	card_write(m.buffer, m.block_bytes);
	m.buffer_at = 0;
	m.block_number++;
	raise_if(HCFG_BLOCK_IRQ, HSTS_BLOCK_END);
	if (--m.blocks_left == 0)
		m.state = card.state == RCV ? STATE_WRITE_START : STATE_DATA;
}

static void drain_fifo(void)
{
	unsigned int some = 1 + (unsigned int)rand() % 16, words = MIN(some, m.level);

	for (unsigned int i = 0; i < words; i++, m.buffer_at += 4)
		memcpy(m.buffer + m.buffer_at, &m.fifo[i], 4);
	m.level -= words;
	memmove(m.fifo, m.fifo + words, m.level * sizeof(m.fifo[0]));
	if (m.buffer_at == m.block_bytes)
		later(100 * NS_PER_US, block_taken);
	else if (m.level > 0)
		later(2 * NS_PER_US, drain_fifo);
}

static void fifo_push(uint32_t word)
{
	assert_true(m.level < FIFO_WORDS);
	assert_int_equal(m.state, STATE_WRITE);
	assert_true(m.buffer_at + 4 * m.level < m.block_bytes); /* one block at a time */
	m.fifo[m.level++] = word;
	if (m.level == 1 && !m.refused)
		later(2 * NS_PER_US, drain_fifo);
}

/* --- Commands --- */

static void busy_end(void)
{
	if (card_busy())
		later(card.busy_until_ns - now_ns + 1, busy_end);
	else
		raise_if(HCFG_BUSY_IRQ, HSTS_BUSY_END);
}

static void time_is_up(void)
{
	m.status |= HSTS_DATA_TIME;
}

static void start_data(void)
{
	bool write = m.cmd & CMD_WRITE;

	assert_true(m.blocks_left > 0 && m.blocks_left < 512);
	m.level = 0;
	m.buffer_at = m.block_number = 0;
	m.buffer_full = false;
	m.state = write ? STATE_WRITE : STATE_READ;
	m.refused = card.state != (write ? RCV : DATA);
	if (m.refused)
		later(500 * NS_PER_MS, time_is_up);
	else if (write)
		raise_if(HCFG_BLOCK_IRQ, HSTS_BLOCK_END); /* as QEMU's does: it means nothing */
	else
		later(300 * NS_PER_US, fill_fifo);
}

static void fail_command(uint32_t status)
{
	m.cmd = (m.cmd & ~CMD_NEW) | CMD_FAILED;
	m.status |= status;
}

static void respond(void)
{
	uint8_t index = m.cmd & 0x3f;
	uint32_t r[4] = {0};
	unsigned int bits = 0;
	bool app = card.app;

	m.trouble = trouble_now(index);
	if (m.trouble == HANG)
		return;
	if (m.trouble == CARD_ERROR)
		card.status |= trouble_bits;
	if (m.trouble != SILENCE)
		bits = card_command(index, m.argument, r);
	if (!(m.cmd & CMD_NO_RESPONSE) && bits == 0) {
		fail_command(HSTS_CMD_TIME);
		return;
	}
	assert_int_equal(bits, m.cmd & CMD_NO_RESPONSE ? 0 : m.cmd & CMD_LONG ? 136 : 48);
	for (unsigned int i = 0; i < 4; i++)
		m.response[i] = bits == 136 ? r[3 - i] : i == 0 ? r[0] : 0;
	if (m.trouble == DAMAGE || (app && index == 41)) { /* that one has no CRC */
		fail_command(HSTS_CMD_CRC);
		return;
	}
	m.cmd &= ~CMD_NEW;
	if (m.cmd & (CMD_READ | CMD_WRITE))
		start_data();
	else if (m.cmd & CMD_BUSY)
		busy_end();
}

static void send_command(uint32_t value)
{
	assert_int_equal(m.power, 1);
	assert_false(m.cmd & CMD_NEW);
	assert_true(m.state == STATE_IDENTIFY || m.state == STATE_DATA);
	assert_int_equal(m.level, 0);
	assert_int_equal(m.status, 0);
	assert_int_equal(m.config & (HCFG_SLOW_CARD | HCFG_WIDE_BUS),
	                 HCFG_SLOW_CARD | HCFG_WIDE_BUS);
	assert_int_equal(m.thresholds, EDM_THRESHOLDS_OF(4));
	m.cmd = value;
	card.bus_hz = tree_clock_hz / (m.divider + 2);
	card.bus_lines = m.config & HCFG_WIDE_CARD ? 4 : 1;
	later(5 * NS_PER_US, respond);
}

static void set_power(uint32_t value)
{
	m.power = value;
	if (value)
		return;
	due_ns = TIME_FOREVER;
	m.state = STATE_IDENTIFY;
	m.level = 0;
	plain_command(0, 0, (uint32_t[4]){0});
}

static void set_edm(uint32_t value)
{
	m.thresholds = value & EDM_THRESHOLDS;
	if (value & EDM_FORCE_DATA_MODE) {
		due_ns = TIME_FOREVER;
		m.state = STATE_DATA;
	}
}

uint64_t model_read(const volatile void *address, unsigned int bytes)
{
	uint64_t reg = (uint64_t)((const volatile uint8_t *)address - model_regs);

	assert_int_equal(bytes, 4);
	now_ns += 100;
	run_due();
	if (reg == SDEDM && rand() % 4 == 0)
		deliver();
	switch (reg) {
	case SDCMD:
		return m.cmd;
	case SDRSP:
	case SDRSP + 4:
	case SDRSP + 8:
	case SDRSP + 12:
		return m.response[(reg - SDRSP) / 4];
	case SDHSTS:
		return m.status | (fifo_ready() ? HSTS_DATA : 0);
	case SDEDM:
		return m.thresholds | m.level << 4 | m.state;
	case SDDATA:
		return fifo_pop();
	}
	fail_msg("read of 0x%x", (unsigned int)reg);
	return 0;
}

void model_write(volatile void *address, unsigned int bytes, uint64_t value64)
{
	uint64_t reg = (uint64_t)((volatile uint8_t *)address - model_regs);
	uint32_t value = (uint32_t)value64;

	assert_int_equal(bytes, 4);
	switch (reg) {
	case SDCMD:
		if (value & CMD_NEW)
			send_command(value);
		else
			m.cmd = value;
		return;
	case SDARG:
		m.argument = value;
		return;
	case SDTOUT:
		m.timeout = value;
		return;
	case SDCDIV:
		assert_true(value <= 0x7ff);
		m.divider = value;
		return;
	case SDHSTS:
		m.status &= ~value;
		return;
	case SDVDD:
		set_power(value);
		return;
	case SDEDM:
		set_edm(value);
		return;
	case SDHCFG:
		m.config = value;
		return;
	case SDHBCT:
		m.block_bytes = value;
		return;
	case SDHBLC:
		m.blocks_left = value;
		return;
	case SDDATA:
		fifo_push(value);
		return;
	}
	fail_msg("write of 0x%x", (unsigned int)reg);
}

/* --- The tests --- */

static uint32_t clock_hz_of_core = 400000000;

static void host_begin(void)
{
	memset(&m, 0, sizeof(m));
	m.state = 0xf; /* powered down */
	tree_clock_hz = clock_hz_of_core;
	line_is_up = model_line;
}

static int host_probe(void)
{
	return device_probe(&driver_bcm2835_sdhost, 1);
}

static uint8_t *host_buffer(void)
{
	static uint8_t buffer[sizeof(card_memory) + 128];

	return buffer;
}

/*
 * Linux lets CMD12 end every transfer of several blocks here, since the end that CMD23 gives it is
 * lost on the controller's state machine.
 */
static void every_transfer_is_stopped(void **state)
{
	struct block_device *d;

	(void)state;
	begin();
	d = attach_quietly();
	read_and_compare(d, 0, 7, host_buffer());
	write_and_compare(d, 0, 7, host_buffer());
	read_and_compare(d, 0, 1, host_buffer());
	assert_int_equal(card.commands[23], 0);
	assert_int_equal(card.stops, 2);
}

static void clocks_are_never_too_fast(void **state)
{
	static const uint32_t cores[] = {250000000, 333333333, 350000000, 400000000, 500000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cores); i++) {
		clock_hz_of_core = cores[i];
		begin();
		some_requests(attach_quietly(), 5, 20);
		assert_int_equal(card.bad_commands, 0);
		assert_true(card.bus_hz > 40000000);
		assert_int_equal(m.timeout, card.bus_hz / 2); /* half a second */
	}
	clock_hz_of_core = 400000000;
}

static void lines_as_the_tree_says(void **state)
{
	(void)state;
	for (uint32_t width = 0; width < 2; width++) {
		begin();
		bus_width = width;
		some_requests(attach_quietly(), 5, 20);
		assert_int_equal(card.lines, 1);
	}
	begin();
	attach_quietly();
	assert_int_equal(card.lines, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SD_TESTS,
	    cmocka_unit_test(every_transfer_is_stopped),
	    cmocka_unit_test(clocks_are_never_too_fast),
	    cmocka_unit_test(lines_as_the_tree_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
