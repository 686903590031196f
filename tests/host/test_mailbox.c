/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of a Raspberry Pi's firmware behind its mailbox, with its trees: a message
 * goes out by its bus address while it is the device's; answers of earlier calls are dropped; an error,
 * an unknown tag and a firmware that is silent end a call with an error in bounded time; a clock of the
 * tree has the rate that the firmware says; lines behind the firmware work.
 */
#include <errno.h>
#include "pi_model.h"
#include "../../drivers/bcm2835_cprman.c"
#include "../../drivers/bcm2835_mailbox.c"
#include "../../drivers/raspberrypi_gpio.c"

#define MBOX (PI4_BASE + 0xb880)
#define BUS  0xc0345000u

static bool device_owns;
static uint32_t letters[8]; /* to the CPU */
static unsigned int letter_count, calls;
static bool silent, refusing, full, unknown;
static uint32_t expander[8], expander_output_lines;

int dma_bus_init(struct dma_bus *bus, dt_node node, uint64_t mask)
{
	assert_string_equal(dt_name(node), "mailbox@7e00b880");
	assert_int_equal(mask, UINT32_MAX);
	memset(bus, 0, sizeof(*bus));
	return 0;
}

dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	(void)bus;
	assert_ptr_equal(buf, &mailbox.message);
	assert_int_equal(bytes % DMA_ALIGN, 0);
	assert_int_equal(dir, DMA_BOTH);
	assert_false(device_owns);
	device_owns = true;
	return BUS;
}

void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	(void)bus;
	(void)bytes;
	assert_ptr_equal(buf, &mailbox.message);
	assert_int_equal(dir, DMA_BOTH);
	assert_true(device_owns);
	device_owns = false;
}

/* One tag: number, room, length, values. Answers in place; false: not a tag of ours. */
static bool answer_tag(uint32_t tag, uint32_t *values)
{
	switch (tag) {
	case 0x00010003:
		memcpy(values, "\xdc\xa6\x32\x01\x02\x03\0\0", 8);
		return true;
	case 0x00010004:
		values[0] = 0x89abcdef;
		values[1] = 0x01234567;
		return true;
	case 0x00010002:
		values[0] = 0xc03114;
		return true;
	case 0x00010005:
		values[0] = 0;
		values[1] = 0x3b400000;
		return true;
	case 0x00030002:
		values[1] = values[0] * 1000000;
		return true;
	case 0x00030006:
		assert_int_equal(values[0], 0);
		values[1] = 48312;
		return true;
	case 0x00030041:
		values[1] = expander[values[0] - 128];
		values[0] = 0;
		return true;
	case 0x00038041:
		assert_true(expander_output_lines >> (values[0] - 128) & 1);
		expander[values[0] - 128] = values[1];
		values[0] = 0;
		return true;
	case 0x00030043:
		values[2] = 1; /* polarity */
		values[0] = 0;
		return true;
	case 0x00038043:
		assert_int_equal(values[2], 1); /* stays */
		expander_output_lines = (expander_output_lines & ~(1u << (values[0] - 128))) |
		                        values[1] << (values[0] - 128);
		expander[values[0] - 128] = values[5];
		values[0] = 0;
		return true;
	}
	return false;
}

static void firmware_reads(uint32_t letter)
{
	uint32_t *m = (uint32_t *)&mailbox.message;

	calls++;
	assert_true(device_owns);
	assert_int_equal(letter, BUS | 8);
	assert_int_equal(m[1], 0);
	assert_in_range(m[0], 24 + m[3], sizeof(mailbox.message));
	assert_int_equal(m[4] & 0x80000000, 0);
	assert_int_equal(m[5 + m[3] / 4], 0); /* the end */
	if (silent)
		return;
	m[1] = refusing ? 0x80000001 : 0x80000000;
	if (!unknown && answer_tag(m[2], m + 5))
		m[4] = 0x80000000 | m[3];
	letters[letter_count++] = letter;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	uint32_t letter;

	assert_int_equal(bytes, 4);
	switch (pa(addr) - MBOX) {
	case MAIL0_STATUS:
		return letter_count ? 0 : STATUS_EMPTY;
	case MAIL1_STATUS:
		return full ? STATUS_FULL : 0;
	case MAIL0_READ:
		assert_true(letter_count > 0);
		letter = letters[0];
		memmove(letters, letters + 1, --letter_count * sizeof(letters[0]));
		return letter;
	}
	fail_msg("unexpected read");
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_int_equal(bytes, 4);
	assert_int_equal(pa(addr) - MBOX, MAIL1_WRITE);
	assert_false(full);
	firmware_reads(value);
}

static void without_firmware_calls_say_so(void **state)
{
	uint8_t mac[6];

	(void)state;
	assert_int_equal(firmware_mac(mac), -ENODEV);
}

static void what_was_left_is_dropped(void **state)
{
	uint32_t freq_hz;

	(void)state;
	use_tree(PI4);
	letters[0] = 0x12345678;
	letters[1] = BUS | 8;
	letter_count = 2;
	assert_int_equal(device_probe(&driver_bcm2835_mailbox, dt_find("/soc/mailbox@7e00b880")),
	                 0);
	assert_int_equal(letter_count, 0);
	letters[letter_count++] = 0x800 | 3; /* another channel's, meanwhile */
	assert_int_equal(firmware_clock_hz(4, &freq_hz), 0);
	assert_int_equal(freq_hz, 4000000);
}

static void values(void **state)
{
	uint32_t revision, start, bytes;
	uint64_t serial;
	int32_t temperature;
	uint8_t mac[6];

	(void)state;
	assert_int_equal(firmware_mac(mac), 0);
	assert_memory_equal(mac, "\xdc\xa6\x32\x01\x02\x03", 6);
	assert_int_equal(firmware_serial(&serial), 0);
	assert_int_equal(serial, 0x0123456789abcdef);
	assert_int_equal(firmware_board_revision(&revision), 0);
	assert_int_equal(revision, 0xc03114);
	assert_int_equal(firmware_arm_memory(&start, &bytes), 0);
	assert_int_equal(start, 0);
	assert_int_equal(bytes, 0x3b400000);
	assert_int_equal(firmware_temperature(&temperature), 0);
	assert_int_equal(temperature, 48312);
}

static void clocks_of_the_tree(void **state)
{
	(void)state;
	assert_int_equal(device_probe(&driver_bcm2835_cprman, dt_find("/soc/cprman@7e101000")), 0);
	assert_int_equal(clock_rate_hz(dt_find("serial0"), 0), 2000000);           /* UART */
	assert_int_equal(clock_rate_hz(dt_find("serial0"), 1), 4000000);           /* core */
	assert_int_equal(clock_rate_hz(dt_find("serial0"), 2), 0);                 /* none */
	assert_int_equal(clock_rate_hz(dt_find("/soc/aux@7e215000"), 0), 4000000); /* core */
	assert_int_equal(clock_rate_hz(dt_find("/soc/mmc@7e300000"), 0), 1000000); /* EMMC */
	assert_int_equal(clock_rate_hz(dt_find("/emmc2bus/mmc@7e340000"), 0), 12000000);
	assert_int_equal(clock_rate_hz(dt_find("/soc/pwm@7e20c800"), 0), 0); /* unknown to us */
	assert_int_equal(clock_rate_hz(dt_find("/soc/usb@7e980000"), 0), 480000000); /* fixed */
	assert_int_equal(clock_rate_hz(dt_find("serial1"), 0), 0); /* no provider */
	assert_int_equal(clock_rate_hz(DT_NONE, 0), 0);
}

static void errors_are_errors(void **state)
{
	uint32_t freq_hz;

	(void)state;
	refusing = true;
	assert_int_equal(firmware_clock_hz(4, &freq_hz), -EIO);
	refusing = false;
	unknown = true;
	assert_int_equal(firmware_clock_hz(4, &freq_hz), -ENOTSUP);
	unknown = false;
	assert_int_equal(firmware_clock_hz(0, &freq_hz), -EIO); /* a rate of 0 */
	assert_int_equal(firmware_clock_hz(4, &freq_hz), 0);
}

static void silence_ends_in_a_timeout(void **state)
{
	uint64_t start_ns = model_ns;
	uint32_t freq_hz;

	(void)state;
	silent = true;
	assert_int_equal(firmware_clock_hz(4, &freq_hz), -ETIMEDOUT);
	assert_in_range(model_ns - start_ns, NS_PER_S, NS_PER_S + NS_PER_MS);
	/* The message is the firmware's until it answers. */
	silent = false;
	assert_true(device_owns);
	assert_int_equal(firmware_clock_hz(4, &freq_hz), -ETIMEDOUT);
	assert_true(device_owns);
	letters[letter_count++] = BUS | 8;
	assert_int_equal(firmware_clock_hz(5, &freq_hz), 0);
	assert_int_equal(freq_hz, 5000000);
	full = true;
	assert_int_equal(firmware_clock_hz(4, &freq_hz), -ETIMEDOUT);
	full = false;
	assert_int_equal(firmware_clock_hz(4, &freq_hz), 0);
	assert_false(device_owns);
}

static void lines_behind_the_firmware(void **state)
{
	struct gpio g;

	(void)state;
	assert_int_equal(device_probe(&driver_raspberrypi_gpio, dt_find("/soc/firmware/gpio")), 0);
	assert_int_equal(gpio_find("SD_PWR_ON", &g), 0);
	assert_int_equal(g.line, 6);
	assert_int_equal(gpio_output(&g, true), 0);
	assert_int_equal(expander[6], 1);
	assert_int_equal(gpio_set(&g, false), 0);
	assert_int_equal(gpio_get(&g), 0);
	assert_int_equal(gpio_input(&g), 0);
	assert_int_equal(expander_output_lines, 0);
	assert_int_equal(led_set("PWR", true), 0); /* active low */
	assert_int_equal(expander[2], 0);
	assert_int_equal(led_set("PWR", false), 0);
	assert_int_equal(expander[2], 1);
	silent = true;
	assert_int_equal(gpio_get(&g), -ETIMEDOUT);
}

static void where_nobody_answers_the_probe_fails(void **state)
{
	(void)state;
	model_absent = true;
	assert_int_equal(device_probe(&driver_bcm2835_mailbox, dt_find("/soc/mailbox@7e00b880")),
	                 -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_firmware_calls_say_so),
	    cmocka_unit_test(what_was_left_is_dropped),
	    cmocka_unit_test(values),
	    cmocka_unit_test(clocks_of_the_tree),
	    cmocka_unit_test(errors_are_errors),
	    cmocka_unit_test(silence_ends_in_a_timeout),
	    cmocka_unit_test(lines_behind_the_firmware),
	    cmocka_unit_test(where_nobody_answers_the_probe_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
