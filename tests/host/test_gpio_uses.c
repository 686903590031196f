/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, with Raspberry Pis' trees: LEDs begin as the tree says, and are left alone where it says
 * so; a line that switches the machine off is made active, inactive and active again, for as long as
 * the binding says, and a machine that is still there afterwards is not the end.
 */
#include <errno.h>
#include "pi_model.h"
#include <pith/machine.h>
#include "../../kernel/leds.c"
#include "../../drivers/gpio_poweroff.c"

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	fail_msg("unexpected read of %u bytes at 0x%lx", bytes, pa(addr));
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	fail_msg("unexpected write of 0x%lx, %u bytes, at 0x%lx", value, bytes, pa(addr));
}

/* ---- Two controllers that note what they are told ---- */

static struct {
	struct gpio_chip *chip;
	unsigned int line;
	bool high;
	uint64_t at_ns;
} changes[8];
static unsigned int change_count;

static int change(struct gpio_chip *chip, unsigned int line, bool high)
{
	assert_true(change_count < 8);
	changes[change_count].chip = chip;
	changes[change_count].line = line;
	changes[change_count].high = high;
	changes[change_count++].at_ns = model_ns;
	return 0;
}

static int broken(struct gpio_chip *chip, unsigned int line, bool high)
{
	(void)chip;
	(void)line;
	(void)high;
	return -EIO;
}

static struct gpio_chip pins, expander;

static void plug(const char *tree)
{
	use_tree(tree);
	change_count = 0;
	logged[0] = '\0';
	pins.node = dt_find("/soc/gpio@7e200000");
	expander.node = dt_find_compatible(DT_NONE, "raspberrypi,firmware-gpio");
	expander.output = change;
}

static void expect(unsigned int i, struct gpio_chip *chip, unsigned int line, bool high)
{
	assert_true(i < change_count);
	assert_ptr_equal(changes[i].chip, chip);
	assert_int_equal(changes[i].line, line);
	assert_int_equal(changes[i].high, high);
}

/* ACT is kept (its trigger is none of ours), PWR is on by default: active low, so the line is low. */
static void leds_of_a_pi_4(void **state)
{
	(void)state;
	plug(PI4);
	assert_int_equal(leds_init(), 0);
	assert_int_equal(change_count, 1);
	expect(0, &expander, 2, false);
}

static void nothing_to_do_on_a_pi_3(void **state)
{
	(void)state;
	plug(PI3);
	assert_int_equal(leds_init(), 0);
	assert_int_equal(change_count, 0);
}

/* The Pi 4's tree with another word for ACT's default-state, "keep"; of its own length. */
static void begin_as(const char *word)
{
	struct dt_value value;
	char *state;

	plug(PI4);
	value = dt_prop(dt_find("/leds/led-act"), "default-state");
	assert_int_equal(value.bytes, 5);
	state = (char *)(uintptr_t)value.data;
	memset(state, 0, value.bytes);
	memcpy(state, word, strlen(word));
	assert_int_equal(leds_init(), 0);
}

static void on_and_off(void **state)
{
	(void)state;
	begin_as("on");
	expect(0, &pins, 42, true);
	begin_as("off");
	expect(0, &pins, 42, false);
	begin_as(""); /* off is the default */
	expect(0, &pins, 42, false);
}

static void an_led_that_fails_is_said_so(void **state)
{
	(void)state;
	plug(PI4);
	expander.output = broken;
	assert_int_equal(leds_init(), 0);
	assert_non_null(strstr(logged, "led-pwr: error 5"));
}

/* ---- Power off ---- */

static const struct machine_power *power;

void machine_power_register(const struct machine_power *p)
{
	power = p;
}

static void a_pi_400_is_switched_off(void **state)
{
	(void)state;
	plug("bcm2711-rpi-400");
	expander.set = change;
	assert_int_equal(device_probe(&driver_gpio_poweroff,
	                              dt_find_compatible(DT_NONE, driver_gpio_poweroff.compatible)),
	                 0);
	assert_null(power->reset);
	assert_int_equal(change_count, 0);
	power->off();
	assert_int_equal(change_count, 3);
	for (unsigned int i = 0; i < 3; i++)
		expect(i, &expander, 5, i != 1);
	assert_in_range(changes[1].at_ns - changes[0].at_ns, 100 * NS_PER_MS, 101 * NS_PER_MS);
	assert_in_range(changes[2].at_ns - changes[1].at_ns, 100 * NS_PER_MS, 101 * NS_PER_MS);
	assert_in_range(model_ns - changes[2].at_ns, 3000 * NS_PER_MS, 3001 * NS_PER_MS);
}

static void without_its_controller_others_are_asked(void **state)
{
	(void)state;
	plug("bcm2711-rpi-400");
	expander.node = DT_NONE;
	power->off();
	assert_int_equal(change_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(leds_of_a_pi_4),
	    cmocka_unit_test(nothing_to_do_on_a_pi_3),
	    cmocka_unit_test(on_and_off),
	    cmocka_unit_test(an_led_that_fails_is_said_so),
	    cmocka_unit_test(a_pi_400_is_switched_off),
	    cmocka_unit_test(without_its_controller_others_are_asked),
	};

	pins = (struct gpio_chip){.lines = 58, .output = change, .set = change};
	expander = (struct gpio_chip){.lines = 8, .output = change, .set = change};
	gpio_chip_register(&pins);
	gpio_chip_register(&expander);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
