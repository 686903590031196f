/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, for SD cards behind SDHCI, against models of the card (sd_model.h) and of the
 * controller at register level: each kind of card has the size that it should, every request of
 * any size and place is right up to the last block; trouble that passes is overcome, trouble that
 * stays is an error in reasonable time and the card is usable after it; another card is never
 * written to; ADMA2 tables say what the standard demands, and memory is the controller's or ours,
 * never both's; the early core gets two clocks between writes; a controller that is not there,
 * does not reset, has no stable clock or no interrupt is an error.
 */
#include "sd_model.h"
#include <pith/dma.h>
#include "../../drivers/sdhci.c"

/* --- Memory, and its copy as the controller sees it --- */

#define RAM_BYTES (24u << 20)
#define BUS_BASE  0xc0000000u

static _Alignas(4096) uint8_t ram[RAM_BYTES];
static uint8_t device_ram[RAM_BYTES];
static size_t allocated; /* from the end of ram */
static int dma_error;
static bool dma_memory_gone;

static struct given {
	const uint8_t *buf;
	size_t bytes;
	enum dma_direction direction;
} given[4];

int dma_bus_init(struct dma_bus *bus, dt_node node, uint64_t mask)
{
	(void)node;
	assert_int_equal(mask, UINT32_MAX);
	bus->coherent = false;
	return dma_error;
}

/* The last 64 KiB are beyond the bus's reach, as is all other memory. */
dma_addr_t dma_address(const struct dma_bus *bus, const void *buf, size_t bytes)
{
	uintptr_t offset = (uintptr_t)buf - (uintptr_t)ram;

	(void)bus;
	return offset < RAM_BYTES && bytes <= RAM_BYTES - offset ? BUS_BASE + offset : DMA_NONE;
}

dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes,
                   enum dma_direction direction)
{
	dma_addr_t address = dma_address(bus, buf, bytes);
	size_t i = 0;

	assert_true(bytes > 0 && address != DMA_NONE);
	assert_true(direction == DMA_TO_DEVICE || (((uintptr_t)buf | bytes) % DMA_ALIGN) == 0);
	while (given[i].buf)
		assert_true(++i < ARRAY_LEN(given));
	given[i] = (struct given){buf, bytes, direction};
	if (direction == DMA_TO_DEVICE)
		memcpy(device_ram + (address - BUS_BASE), buf, bytes);
	else
		memset((void *)buf, DMA_POISON, bytes);
	return address;
}

void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes,
               enum dma_direction direction)
{
	uint8_t *device = device_ram + (dma_address(bus, buf, bytes) - BUS_BASE);
	size_t i = 0;

	while (given[i].buf != buf || given[i].bytes != bytes || given[i].direction != direction)
		assert_true(++i < ARRAY_LEN(given));
	given[i].buf = NULL;
	if (direction == DMA_TO_DEVICE)
		assert_memory_equal(buf, device, bytes);
	else
		memcpy((void *)buf, device, bytes);
}

void *dma_alloc(const struct dma_bus *bus, size_t bytes)
{
	(void)bus;
	if (dma_memory_gone)
		return NULL;
	allocated += ALIGN_UP(bytes, 4096);
	return ram + RAM_BYTES - allocated;
}

void dma_free(void *buf, size_t bytes)
{
	(void)buf;
	(void)bytes;
}

static void nothing_is_given(void)
{
	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		assert_null(given[i].buf);
}

/* What the controller may touch. */
static uint8_t *device_memory(uint64_t address, size_t bytes, enum dma_direction direction)
{
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		uint64_t offset = address - BUS_BASE - (uint64_t)(given[i].buf - ram);

		if (given[i].buf && offset < given[i].bytes && bytes <= given[i].bytes - offset) {
			assert_int_equal(direction, given[i].direction);
			return device_ram + (address - BUS_BASE);
		}
	}
	fail_msg("the controller was told of memory that is not its own");
	return NULL;
}

/* --- The tree --- */

static const char *compatible;
static const char *properties; /* " broken-cd disable-wp " */

bool dt_compatible(dt_node n, const char *wanted)
{
	(void)n;
	return strcmp(compatible, wanted) == 0;
}

struct dt_value dt_prop(dt_node n, const char *name)
{
	char spaced[40];

	(void)n;
	snprintf(spaced, sizeof(spaced), " %s ", name);
	return (struct dt_value){strstr(properties, spaced), 0};
}

/* --- The controller --- */

static struct {
	/* How it is. */
	uint32_t caps, version;
	bool early, adma, never_resets, unstable_clock, protected, never_stable;
	/* How it stands. */
	uint32_t block, argument, command, response[4], present, control, clock, status, enable,
	    signal;
	uint32_t adma_address, index, blocks_left;
	enum trouble trouble;
	unsigned int block_number;
	uint8_t buffer[1024];
	size_t buffer_at;
	uint64_t written_ns;
	/* What happened. */
	unsigned int descriptors_max;
} m;

static bool model_line(void)
{
	return (m.status & m.signal) != 0;
}

static void raise(uint32_t events)
{
	m.status |= events & m.enable;
}

static size_t block_bytes(void)
{
	return m.block & 0xfff;
}

static bool card_there(void)
{
	return !card.absent;
}

static uint32_t present(void)
{
	uint32_t value = m.present;

	if (card_there())
		value |= PRESENT_CARD;
	if (!m.never_stable)
		value |= PRESENT_STABLE;
	if (!m.protected)
		value |= PRESENT_WRITABLE;
	return value;
}

static uint32_t model_clock_hz(void)
{
	uint32_t divider = (m.clock >> 8 & 0xff) | (m.clock >> 6 & 3) << 8;

	if (!(m.clock & CLOCK_TO_CARD))
		return 0;
	assert_true(divider > 0);
	if (m.version < 2)
		assert_true(divider <= 128 && (divider & (divider - 1)) == 0);
	return tree_clock_hz / (2 * divider);
}

static void finish(void)
{
	m.present &= ~(PRESENT_DATA | PRESENT_READ | PRESENT_WRITE);
	raise(EVENT_TRANSFER);
}

static void finish_when_idle(void)
{
	if (!card_busy())
		finish();
	else if (card.busy_until_ns - now_ns > 2700 * NS_PER_MS) /* 2^27 clocks */
		later(2700 * NS_PER_MS, NULL), due_step = finish_when_idle, raise(1u << 20);
	else
		later(card.busy_until_ns - now_ns + 1, finish_when_idle);
}

/* After the last block. */
static void end_of_data(void)
{
	if (m.command & MODE_AUTO_STOP) {
		uint32_t r[4] = {0};
		enum trouble t = trouble_now(12);

		if (t == CARD_ERROR)
			card.status |= trouble_bits;
		if (t == HANG)
			return;
		if (t != NO_TROUBLE && t != CARD_ERROR) {
			if (t == DAMAGE)
				card_command(12, 0, r);
			raise(1u << 24);
			return;
		}
		assert_int_equal(card_command(12, 0, r), 48);
		m.response[3] = r[0];
	}
	finish_when_idle();
}

/* True if the block that is due does not come through. */
static bool data_fails(void)
{
	enum trouble t = m.trouble;

	if (!card_lines_agree())
		t = DATA_DAMAGE;
	else if (t < DATA_SILENCE || t == CARD_ERROR || m.block_number != trouble_block)
		return false;
	if (t == DATA_SILENCE)
		raise(1u << 20);
	else if (t == DATA_DAMAGE)
		raise(rand() % 2 ? 1u << 21 : 1u << 22);
	else if (t == OWN_ERROR)
		raise(1u << 25);
	return true;
}

static void offer_block(void)
{
	if (data_fails())
		return;
	card_read(m.buffer, block_bytes());
	m.buffer_at = 0;
	m.block_number++;
	m.present |= PRESENT_READ;
	raise(EVENT_READ);
}

static void want_block(void)
{
	m.buffer_at = 0;
	m.present |= PRESENT_WRITE;
	raise(EVENT_WRITE);
}

static void take_block(void)
{
	if (data_fails())
		return;
	card_write(m.buffer, block_bytes());
	m.block_number++;
	if (--m.blocks_left == 0)
		end_of_data();
	else
		want_block();
}

static uint32_t buffer_read(void)
{
	uint32_t word;

	assert_true(m.present & PRESENT_READ);
	memcpy(&word, m.buffer + m.buffer_at, 4);
	m.buffer_at += 4;
	if (m.buffer_at < block_bytes())
		return word;
	m.present &= ~PRESENT_READ;
	if (--m.blocks_left == 0)
		end_of_data();
	else
		later(20 * NS_PER_US, offer_block);
	return word;
}

static void buffer_write(uint32_t word)
{
	assert_true(m.present & PRESENT_WRITE);
	memcpy(m.buffer + m.buffer_at, &word, 4);
	m.buffer_at += 4;
	if (m.buffer_at < block_bytes())
		return;
	m.present &= ~PRESENT_WRITE;
	later(20 * NS_PER_US, take_block);
}

/* HCS 1.13: the whole table, checked, then all that it says. */
static void adma(void)
{
	bool write = !(m.command & MODE_READ), end = false;
	enum dma_direction direction = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	uint32_t at = m.adma_address;
	size_t total = 0;
	unsigned int count = 0;

	assert_int_equal(at % 4, 0);
	assert_int_equal(m.control & 0x18, CONTROL_ADMA2);
	for (; !end; at += 8, count++) {
		const struct descriptor *d =
		    (const void *)device_memory(at, sizeof(*d), DMA_TO_DEVICE);
		size_t left = d->bytes ? d->bytes : 65536;
		uint8_t *data;

		assert_int_equal(d->attributes & ~DESCRIPTOR_END, 0x21);
		assert_int_equal(d->address % 4, 0);
		assert_int_equal(left % 4, 0);
		end = d->attributes & DESCRIPTOR_END;
		data = device_memory(d->address, left, direction);
		total += left;
		while (left > 0) {
			size_t piece = MIN(left, block_bytes() - m.buffer_at);

			if (m.buffer_at == 0 && !write) {
				if (data_fails())
					return;
				card_read(m.buffer, block_bytes());
			}
			if (write)
				memcpy(m.buffer + m.buffer_at, data, piece);
			else
				memcpy(data, m.buffer + m.buffer_at, piece);
			m.buffer_at += piece;
			data += piece;
			left -= piece;
			if (m.buffer_at < block_bytes())
				continue;
			if (write) {
				if (data_fails())
					return;
				card_write(m.buffer, block_bytes());
			}
			m.buffer_at = 0;
			m.block_number++;
			m.blocks_left--;
		}
	}
	m.descriptors_max = MAX(m.descriptors_max, count);
	assert_int_equal(m.blocks_left, 0);
	assert_int_equal(m.buffer_at, 0);
	end_of_data();
}

static void start_data(void)
{
	bool write = !(m.command & MODE_READ);

	if (card.state != (write ? RCV : DATA)) { /* it refused */
		raise(1u << 20);
		return;
	}
	m.block_number = 0;
	m.buffer_at = 0;
	m.blocks_left = m.command & MODE_MULTIPLE ? m.block >> 16 : 1;
	if (m.command & MODE_MULTIPLE)
		assert_true(m.command & MODE_COUNT);
	assert_int_equal((m.command & MODE_DMA) != 0, m.adma);
	if (m.adma)
		later(50 * NS_PER_US, adma);
	else if (write)
		want_block();
	else
		later(30 * NS_PER_US, offer_block);
}

static void store_response(const uint32_t r[4], unsigned int bits)
{
	if (bits == 136)
		for (unsigned int i = 0; i < 4; i++)
			m.response[3 - i] = r[i] >> 8 | (i > 0 ? r[i - 1] << 24 : 0);
	else
		m.response[0] = r[0];
}

/* Until then the data lines stay in use. */
static void respond(void)
{
	uint32_t type = m.command & COMMAND_BUSY, r[4] = {0};
	unsigned int bits = 0;

	m.trouble = trouble_now((uint8_t)m.index);
	if (m.trouble == HANG)
		return;
	if (m.trouble == CARD_ERROR)
		card.status |= trouble_bits;
	if (m.trouble != SILENCE)
		bits = card_command((uint8_t)m.index, m.argument, r);
	if (type && bits == 0) {
		raise(1u << 16);
		return;
	}
	if (type && m.trouble == DAMAGE) {
		raise(rand() % 2 ? 1u << 17 : 1u << 19);
		return;
	}
	assert_int_equal(bits, type == 0 ? 0 : type == COMMAND_LONG ? 136 : 48);
	store_response(r, bits);
	m.present &= ~PRESENT_COMMAND;
	raise(EVENT_COMMAND);
	if (m.command & COMMAND_DATA)
		start_data();
	else if (type == COMMAND_BUSY)
		finish_when_idle();
}

static void send_command(uint32_t value)
{
	bool data = value & COMMAND_DATA || (value & COMMAND_BUSY) == COMMAND_BUSY;
	bool abort = (value & COMMAND_ABORT) == COMMAND_ABORT;

	assert_false(m.present & PRESENT_COMMAND);
	assert_true(!data || abort || !(m.present & PRESENT_DATA));
	assert_int_equal(m.control & 0xff00, CONTROL_POWER_3V3);
	assert_true(m.clock & CLOCK_TO_CARD);
	assert_int_equal(m.status, 0); /* nothing of before is left */
	m.command = value;
	m.index = value >> 24 & 0x3f;
	m.present |= PRESENT_COMMAND | (data ? PRESENT_DATA : 0);
	card.bus_hz = model_clock_hz();
	card.bus_lines = m.control & CONTROL_FOUR_LINES ? 4 : 1;
	if (!m.early) /* HCS 2.2.11 */
		assert_int_equal((m.control & CONTROL_HIGH_SPEED) != 0, card.bus_hz > 25000000);
	else
		assert_false(m.control & CONTROL_HIGH_SPEED);
	later(5 * NS_PER_US, respond);
}

static void write_clock(uint32_t value)
{
	m.clock = value;
	if (value & (RESET_ALL | RESET_LINES)) {
		if (m.never_resets)
			return;
		due_ns = TIME_FOREVER;
		m.present = 0;
		m.status = 0;
		m.clock &= 0xffffff;
	}
	if (value & RESET_ALL)
		m.clock = m.control = m.enable = m.signal = 0;
	if (m.clock & CLOCK_ENABLE && !m.unstable_clock)
		m.clock |= CLOCK_STABLE;
	else
		assert_false(m.clock & CLOCK_TO_CARD);
}

uint64_t model_read(const volatile void *address, unsigned int bytes)
{
	uint64_t reg = (uint64_t)((const volatile uint8_t *)address - model_regs);

	assert_int_equal(bytes, 4);
	if (reg == PRESENT && rand() % 4 == 0)
		deliver();
	switch (reg) {
	case RESPONSE:
	case RESPONSE + 4:
	case RESPONSE + 8:
	case RESPONSE + 12:
		return m.response[(reg - RESPONSE) / 4];
	case BUFFER:
		return buffer_read();
	case PRESENT:
		return present();
	case CLOCK:
		return m.clock;
	case STATUS:
		return m.status | (m.status >> 16 ? 1u << 15 : 0);
	case CAPABILITIES:
		return m.early ? (uint32_t)rand() : m.caps;
	case VERSION:
		return m.version << 16;
	}
	fail_msg("read of 0x%x", (unsigned int)reg);
	return 0;
}

void model_write(volatile void *address, unsigned int bytes, uint64_t value64)
{
	uint64_t reg = (uint64_t)((volatile uint8_t *)address - model_regs);
	uint32_t value = (uint32_t)value64;

	assert_int_equal(bytes, 4);
	if (m.early && reg != BUFFER) {
		uint32_t hz = model_clock_hz();

		assert_true(now_ns - m.written_ns >= (hz ? 2 * NS_PER_S / hz : 0));
		m.written_ns = now_ns;
	}
	switch (reg) {
	case BLOCK:
		assert_false(m.present & PRESENT_DATA);
		m.block = value;
		return;
	case ARGUMENT:
		m.argument = value;
		return;
	case COMMAND:
		send_command(value);
		return;
	case BUFFER:
		buffer_write(value);
		return;
	case CONTROL:
		assert_false(m.clock & CLOCK_TO_CARD);
		m.control = value;
		return;
	case CLOCK:
		write_clock(value);
		return;
	case STATUS:
		m.status &= ~value;
		return;
	case STATUS_ENABLE:
		m.enable = value;
		return;
	case SIGNAL_ENABLE:
		m.signal = value;
		return;
	case ADMA_ADDRESS:
		m.adma_address = value;
		return;
	case ADMA_ADDRESS_2:
		assert_int_equal(value, 0);
		return;
	}
	fail_msg("write of 0x%x", (unsigned int)reg);
}

/* --- The tests --- */

static enum { EMMC2, EARLY, OLD } kind;

static void host_begin(void)
{
	memset(&m, 0, sizeof(m));
	m.early = kind == EARLY;
	m.adma = kind == EMMC2;
	m.version = kind == OLD ? 1 : 2;
	m.caps = CAP_3V3 | CAP_HIGH_SPEED | (m.adma ? CAP_ADMA2 : 0);
	m.clock = CLOCK_ENABLE | CLOCK_STABLE; /* as somebody left it */
	compatible = kind == EMMC2   ? "brcm,bcm2711-emmc2"
	             : kind == EARLY ? "brcm,bcm2835-sdhci"
	                             : "";
	properties = " ";
	tree_clock_hz = kind == EMMC2 ? 100000000 : kind == EARLY ? 250000000 : 52000000;
	dma_error = 0;
	dma_memory_gone = false;
	allocated = 0;
	memset(given, 0, sizeof(given));
	line_is_up = model_line;
}

static int host_probe(void)
{
	int error = device_probe(&driver_sdhci, 1);

	nothing_is_given();
	if (error) /* it does not interrupt any more */
		assert_int_equal(m.signal, 0);
	return error;
}

static uint8_t *host_buffer(void)
{
	return ram;
}

static void choose_emmc2(void)
{
	kind = EMMC2;
}

/* Out of the bus's reach, at any alignment, with what is around it left alone. */
static void memory_that_the_bus_does_not_reach(void **state)
{
	static _Alignas(64) uint8_t far[300 * 512 + 256];
	struct block_device *d;

	(void)state;
	choose_emmc2();
	begin();
	bus_width = 0; /* does not say: four lines are the standard's */
	d = attach_quietly();
	assert_int_equal(card.lines, 4);
	for (size_t offset = 0; offset < 70; offset += 1 + offset / 5) {
		uint8_t *p = far + 64 + offset;

		memset(far, 0x77, sizeof(far));
		read_and_compare(d, 11, 300, p);
		for (size_t i = 0; i < 64 + offset; i++)
			assert_int_equal(far[i], 0x77);
		for (size_t i = 64 + offset + 300 * 512; i < sizeof(far); i++)
			assert_int_equal(far[i], 0x77);
		write_and_compare(d, 11, 300, p);
	}
	nothing_is_given();
}

/* At most what a table holds; nothing is bounced that needs not be. */
static void tables_of_every_length(void **state)
{
	struct block_device *d;

	(void)state;
	choose_emmc2();
	begin();
	d = attach_quietly();
	for (uint32_t count = 1; count <= 8192; count = count * 3 / 2 + 1) {
		m.descriptors_max = 0;
		read_and_compare(d, 1, count, ram + 64);
		assert_int_equal(m.descriptors_max, (count * 512 + 0x7fff) / 0x8000);
		write_and_compare(d, 1, count, ram + 4);
	}
	m.descriptors_max = 0;
	memset(card.commands, 0, sizeof(card.commands));
	read_and_compare(d, 0, 16384, ram);
	assert_int_equal(m.descriptors_max, 128);
	assert_int_equal(card.commands[18], 2);
}

static void no_memory_for_tables(void **state)
{
	(void)state;
	choose_emmc2();
	begin();
	dma_memory_gone = true;
	assert_int_equal(host_probe(), -ENOMEM);
	begin();
	dma_error = -ERANGE;
	assert_int_equal(host_probe(), -ERANGE);
}

static void a_controller_that_does_not_come_up(void **state)
{
	(void)state;
	for (kind = EMMC2; kind <= OLD; kind++) {
		begin();
		m.never_resets = true;
		assert_int_equal(host_probe(), -ETIMEDOUT);
		begin();
		m.unstable_clock = true;
		assert_int_equal(host_probe(), -ENODEV);
		assert_true(logged("its card cannot be used"));
	}
	choose_emmc2();
	begin();
	m.caps &= ~CAP_3V3;
	assert_int_equal(host_probe(), -ENOTSUP);
	assert_true(logged("not for 3.3 V"));
}

/* Requests fail at once, and it is used again when it does reset. */
static void a_controller_that_stops_to_reset(void **state)
{
	struct block_device *d;

	(void)state;
	choose_emmc2();
	begin();
	d = attach_quietly();
	m.never_resets = true;
	make_trouble(DATA_HANG, 17, 1);
	assert_int_equal(block_read(d, 0, 1, ram), -EIO);
	assert_int_equal(block_read(d, 0, 1, ram), -EIO);
	assert_true(logged("does not reset"));
	nothing_is_given();
	m.never_resets = false;
	some_requests(d, 5, 20);
}

static void card_detection(void **state)
{
	static const char *const ignoring[] = {" broken-cd ", " non-removable ", " cd-gpios "};

	(void)state;
	choose_emmc2();
	begin();
	card.absent = true;
	assert_int_equal(host_probe(), -ENODEV);
	assert_int_equal(card.commands[0], 0); /* an empty slot is not even asked */
	assert_true(logged("no SD card"));
	for (size_t i = 0; i < ARRAY_LEN(ignoring); i++) {
		begin();
		properties = ignoring[i];
		card.absent = true;
		assert_int_equal(host_probe(), -ENODEV);
		assert_true(card.commands[0] > 0);
	}
	begin();
	m.never_stable = true;
	attach();
}

static void write_protect_switch(void **state)
{
	(void)state;
	choose_emmc2();
	begin();
	m.protected = true;
	assert_true(attach()->read_only);
	begin();
	m.protected = true;
	properties = " disable-wp ";
	assert_false(attach()->read_only);
	begin();
	properties = " wp-inverted ";
	assert_true(attach()->read_only);
}

static void one_data_line(void **state)
{
	(void)state;
	choose_emmc2();
	begin();
	bus_width = 1;
	some_requests(attach_quietly(), 10, 20);
	assert_int_equal(card.lines, 1);
}

/* Its line is another's, too. */
static void interrupts_of_others(void **state)
{
	struct block_device *d;

	(void)state;
	choose_emmc2();
	begin();
	d = attach_quietly();
	for (int i = 0; i < 3; i++)
		handler(handler_arg);
	some_requests(d, 5, 20);
}

static int for_emmc2(void **state)
{
	(void)state;
	kind = EMMC2;
	return 0;
}

static int for_early(void **state)
{
	(void)state;
	kind = EARLY;
	return 0;
}

static int for_old(void **state)
{
	(void)state;
	kind = OLD;
	return 0;
}

int main(void)
{
	const struct CMUnitTest every_kind[] = {SD_TESTS};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_that_the_bus_does_not_reach),
	    cmocka_unit_test(tables_of_every_length),
	    cmocka_unit_test(no_memory_for_tables),
	    cmocka_unit_test(a_controller_that_does_not_come_up),
	    cmocka_unit_test(a_controller_that_stops_to_reset),
	    cmocka_unit_test(card_detection),
	    cmocka_unit_test(write_protect_switch),
	    cmocka_unit_test(one_data_line),
	    cmocka_unit_test(interrupts_of_others),
	};

	return cmocka_run_group_tests_name("emmc2", every_kind, for_emmc2, NULL) |
	       cmocka_run_group_tests_name("early", every_kind, for_early, NULL) |
	       cmocka_run_group_tests_name("old", every_kind, for_old, NULL) |
	       cmocka_run_group_tests_name("sdhci", tests, NULL, NULL);
}
