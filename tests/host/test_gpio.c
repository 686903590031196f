/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of the BCM2835's and BCM2711's pins, with a Raspberry Pi's trees: a state's
 * pins get function and pull in each chip's own way, and pins that are so already and others are not
 * written; malformed states are refused; lines and LEDs are found by name, active low ones inverted,
 * and an output has its level before it drives.
 */
#include <errno.h>
#include "pi_model.h"
#include "../../drivers/bcm2835_gpio.c"

static uint64_t base;
static uint32_t fsel[6], levels[2], pulls_2711[4];
static uint8_t pulls_2835[54];
static uint32_t pull_to_clock, clocked[2], outputs[2]; /* what outputs drive */
static unsigned int writes;
static uint64_t pull_since_ns;

static unsigned int function_of(unsigned int pin)
{
	return fsel[pin / 10] >> pin % 10 * 3 & 7;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	uint64_t at = pa(addr) - base - 0x200000;

	assert_int_equal(bytes, 4);
	if (at < 0x18)
		return fsel[at / 4];
	if (at == GPLEV || at == GPLEV + 4) {
		uint32_t value = levels[(at - GPLEV) / 4];

		for (unsigned int i = 0; i < 32 && (at - GPLEV) * 8 + i < 60; i++)
			if (function_of((at - GPLEV) * 8 + i) == 1)
				value =
				    (value & ~(1u << i)) | (outputs[(at - GPLEV) / 4] & 1u << i);
		return value;
	}
	if (at >= GPPULL && at < GPPULL + 16) {
		assert_int_equal(base, PI4_BASE);
		return pulls_2711[(at - GPPULL) / 4];
	}
	fail_msg("unexpected read at 0x%lx", at);
	return 0;
}

/* The pull is taken over by the pins that are clocked, if both were stable for 150 cycles. */
static void clock_pins(unsigned int word, uint32_t value)
{
	assert_int_equal(base, PI3_BASE);
	if (value)
		assert_true(model_ns - pull_since_ns >= 1500);
	for (unsigned int i = 0; i < 32; i++)
		if (clocked[word] >> i & 1 && !(value >> i & 1)) {
			assert_true(word * 32 + i < 54);
			pulls_2835[word * 32 + i] = pull_to_clock;
		}
	clocked[word] = value;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	uint64_t at = pa(addr) - base - 0x200000;

	assert_int_equal(bytes, 4);
	writes++;
	if (at < 0x18) {
		fsel[at / 4] = value;
	} else if (at == GPSET || at == GPSET + 4) {
		outputs[(at - GPSET) / 4] |= value;
	} else if (at == GPCLR || at == GPCLR + 4) {
		outputs[(at - GPCLR) / 4] &= ~value;
	} else if (at == GPPUD) {
		assert_int_equal(base, PI3_BASE);
		if (value) {
			pull_to_clock = value;
			pull_since_ns = model_ns;
		} else if (!clocked[0] && !clocked[1]) {
			pull_to_clock = 0;
			pull_since_ns = model_ns;
		}
	} else if (at == GPPUDCLK || at == GPPUDCLK + 4) {
		clock_pins((at - GPPUDCLK) / 4, value);
	} else if (at >= GPPULL && at < GPPULL + 16) {
		assert_int_equal(base, PI4_BASE);
		pulls_2711[(at - GPPULL) / 4] = value;
	} else {
		fail_msg("unexpected write at 0x%lx", at);
	}
}

static unsigned int pull_2711(unsigned int pin)
{
	return pulls_2711[pin / 16] >> pin % 16 * 2 & 3;
}

static void plug(const char *tree, uint64_t where)
{
	use_tree(tree);
	base = where;
	memset(fsel, 0, sizeof(fsel));
	memset(pulls_2711, 0xff, sizeof(pulls_2711));
	memset(pulls_2835, 9, sizeof(pulls_2835));
	assert_int_equal(device_probe(&driver_bcm2835_gpio, dt_find("/soc/gpio@7e200000")), 0);
	writes = 0;
}

static void pins_of_a_pi_3(void **state)
{
	(void)state;
	plug(PI3, PI3_BASE);
	assert_int_equal(pins_default(dt_find("serial1")), 0); /* uart1_gpio14: ALT5 */
	assert_int_equal(function_of(14), 2);
	assert_int_equal(function_of(15), 2);
	assert_int_equal(writes, 2);
	assert_int_equal(pulls_2835[14], 9); /* says nothing of pulls */
	assert_int_equal(pins_default(dt_find("serial0")), 0);
	/* uart0_gpio32: ALT3, pulls none and up; gpclk2_gpio43: ALT0, none */
	assert_int_equal(function_of(32), 7);
	assert_int_equal(function_of(33), 7);
	assert_int_equal(function_of(43), 4);
	assert_int_equal(pulls_2835[32], 0);
	assert_int_equal(pulls_2835[33], 2);
	assert_int_equal(pulls_2835[43], 0);
	assert_int_equal(function_of(31) + function_of(34) + function_of(42) + function_of(44), 0);
	assert_int_equal(pulls_2835[31], 9);
	assert_int_equal(clocked[0] | clocked[1], 0);
}

static void what_is_so_already_is_not_written(void **state)
{
	(void)state;
	writes = 0;
	assert_int_equal(pins_default(dt_find("serial1")), 0);
	assert_int_equal(writes, 0);
}

static void pins_of_a_pi_4(void **state)
{
	(void)state;
	plug(PI4, PI4_BASE);
	assert_int_equal(pins_default(dt_find("serial0")), 0);
	/* uart0_ctsrts_gpio30: pulls up and none; uart0_gpio32: none and up. Here 1 is up. */
	assert_int_equal(pull_2711(30), 1);
	assert_int_equal(pull_2711(31), 0);
	assert_int_equal(pull_2711(32), 0);
	assert_int_equal(pull_2711(33), 1);
	assert_int_equal(pull_2711(29), 3);
	assert_int_equal(pull_2711(34), 3);
	assert_int_equal(function_of(33), 7);
}

static void nothing_asked_for_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(pins_default(dt_find("/soc/rng@7e104000")), 0);
	assert_int_equal(pins_default(DT_NONE), 0);
}

/* The last one plugged. */
static struct bcm2835_gpio *plugged(void)
{
	struct gpio g;

	assert_int_equal(gpio_find("GPIO17", &g), 0);
	return container_of(g.chip, struct bcm2835_gpio, chip);
}

static void states_in_another_form_are_refused(void **state)
{
	(void)state;
	/* uart2_gpio0 has the generic properties, in children. */
	assert_int_equal(apply(&plugged()->pins, dt_find("/soc/gpio@7e200000/uart2_gpio0")),
	                 -EINVAL);
	assert_int_equal(apply(&plugged()->pins, DT_NONE), -EINVAL);
}

static void lines_by_name(void **state)
{
	struct gpio g;

	(void)state;
	assert_int_equal(gpio_find("GPIO17", &g), 0);
	assert_int_equal(g.line, 17);
	assert_int_equal(gpio_find("RGMII_TXD3", &g), 0);
	assert_int_equal(g.line, 57);
	assert_int_equal(gpio_find("GPIO1", &g), -ENOENT);
	assert_int_equal(gpio_find("GPIO17", &g), 0);
	outputs[0] = 0;
	fsel[1] = 0;
	assert_int_equal(gpio_output(&g, true), 0);
	assert_int_equal(function_of(17), 1);
	assert_int_equal(outputs[0], 1u << 17);
	assert_int_equal(gpio_get(&g), 1);
	assert_int_equal(gpio_set(&g, false), 0);
	assert_int_equal(gpio_get(&g), 0);
	g.active_low = true;
	assert_int_equal(gpio_get(&g), 1);
	assert_int_equal(gpio_set(&g, true), 0);
	assert_int_equal(outputs[0], 0);
	assert_int_equal(gpio_input(&g), 0);
	assert_int_equal(function_of(17), 0);
	levels[0] = 1u << 17;
	assert_int_equal(gpio_get(&g), 0);
}

static void leds_by_label(void **state)
{
	(void)state;
	outputs[1] = 0;
	assert_int_equal(led_set("ACT", true), 0); /* the Pi 4's is on GPIO 42 */
	assert_int_equal(function_of(42), 1);
	assert_int_equal(outputs[1], 1u << 10);
	assert_int_equal(led_set("ACT", false), 0);
	assert_int_equal(outputs[1], 0);
	assert_int_equal(led_set("PWR", true), -ENODEV); /* behind the firmware: no driver here */
	assert_int_equal(led_set("AC", true), -ENOENT);
}

static void properties_with_lines(void **state)
{
	struct gpio g;

	(void)state;
	assert_int_equal(gpio_of(dt_find("/leds/led-act"), "gpios", 0, &g), 0);
	assert_int_equal(g.line, 42);
	assert_false(g.active_low);
	assert_int_equal(gpio_of(dt_find("/leds/led-act"), "gpios", 1, &g), -ENOENT);
	assert_int_equal(gpio_of(dt_find("/leds/led-act"), "reset-gpios", 0, &g), -ENOENT);
	/* Not a controller's phandle. */
	assert_int_equal(gpio_of(dt_find("serial1"), "interrupts", 0, &g), -EINVAL);
}

static void where_nobody_answers_the_probe_fails(void **state)
{
	(void)state;
	model_absent = true;
	assert_int_equal(device_probe(&driver_bcm2835_gpio, dt_find("/soc/gpio@7e200000")), -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pins_of_a_pi_3),
	    cmocka_unit_test(what_is_so_already_is_not_written),
	    cmocka_unit_test(pins_of_a_pi_4),
	    cmocka_unit_test(nothing_asked_for_is_no_error),
	    cmocka_unit_test(states_in_another_form_are_refused),
	    cmocka_unit_test(lines_by_name),
	    cmocka_unit_test(leds_by_label),
	    cmocka_unit_test(properties_with_lines),
	    cmocka_unit_test(where_nobody_answers_the_probe_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
