/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines behind a Raspberry Pi's firmware (an I2C expander, on boards that have one): LEDs, resets.
 *
 * Source: binding: Linux, gpio/raspberrypi,firmware-gpio.txt; property tags: Linux,
 * include/soc/bcm2835/raspberrypi-firmware.h.
 */
#include <errno.h>
#include <pith/driver.h>
#include <pith/firmware.h>
#include <pith/gpio.h>

#define TAG_GET_STATE  0x00030041u /* line, level */
#define TAG_SET_STATE  0x00038041u
#define TAG_GET_CONFIG 0x00030043u /* line, direction, polarity, termination, pull up */
#define TAG_SET_CONFIG 0x00038043u /* the same, and level */

#define FIRST_LINE 128u /* the firmware's number of the first */
#define LINES      8u

/* The firmware answers with 0 in the place of the line if it did it. */
static int call(uint32_t tag, uint32_t *values, size_t bytes)
{
	int error = firmware_call(tag, values, bytes);

	return error ? error : values[0] ? -EIO : 0;
}

static int line_get(struct gpio_chip *chip, unsigned int line)
{
	uint32_t values[2] = {FIRST_LINE + line, 0};
	int error = call(TAG_GET_STATE, values, sizeof(values));

	(void)chip;
	return error ? error : values[1] != 0;
}

static int line_set(struct gpio_chip *chip, unsigned int line, bool high)
{
	uint32_t values[2] = {FIRST_LINE + line, high};

	(void)chip;
	return call(TAG_SET_STATE, values, sizeof(values));
}

/* Polarity is the board's, and stays. */
static int configure(unsigned int line, bool output, bool high)
{
	uint32_t now[5] = {FIRST_LINE + line};
	int error = call(TAG_GET_CONFIG, now, sizeof(now));
	uint32_t values[6] = {FIRST_LINE + line, output, now[2], 0, 0, high};

	return error ? error : call(TAG_SET_CONFIG, values, sizeof(values));
}

static int line_input(struct gpio_chip *chip, unsigned int line)
{
	(void)chip;
	return configure(line, false, false);
}

static int line_output(struct gpio_chip *chip, unsigned int line, bool high)
{
	(void)chip;
	return configure(line, true, high);
}

static int raspberrypi_gpio_probe(const struct device *dev)
{
	struct gpio_chip *chip = dev->state;

	*chip = (struct gpio_chip){
	    .node = dev->node,
	    .lines = LINES,
	    .input = line_input,
	    .output = line_output,
	    .get = line_get,
	    .set = line_set,
	};
	gpio_chip_register(chip);
	return 0;
}

DRIVER(raspberrypi_gpio) = {
    .name = "raspberrypi-gpio",
    .compatible = "raspberrypi,firmware-gpio\0",
    .stage = DRV_DEVICE,
    .state_bytes = sizeof(struct gpio_chip),
    .probe = raspberrypi_gpio_probe,
};
