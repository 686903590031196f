/* SPDX-License-Identifier: Apache-2.0 */
/*
 * General purpose lines of the BCM2835 and BCM2711: pins whose function is input or output.
 *
 * Source: BCM2835 ARM Peripherals, section 6; BCM2711 ARM Peripherals, section 5.
 */
#include <pith/compiler.h>
#include <pith/io.h>
#include "bcm2835_gpio.h"

#define FUNCTION_INPUT  0u
#define FUNCTION_OUTPUT 1u

static struct bcm2835_gpio *gpio_of_chip(struct gpio_chip *chip)
{
	return container_of(chip, struct bcm2835_gpio, chip);
}

static int line_set(struct gpio_chip *chip, unsigned int line, bool high)
{
	write32(gpio_of_chip(chip)->regs + (high ? GPSET : GPCLR) + line / 32 * 4, 1u << line % 32);
	return 0;
}

static int line_get(struct gpio_chip *chip, unsigned int line)
{
	return read32(gpio_of_chip(chip)->regs + GPLEV + line / 32 * 4) >> line % 32 & 1;
}

static int line_input(struct gpio_chip *chip, unsigned int line)
{
	bcm2835_set_function(gpio_of_chip(chip), line, FUNCTION_INPUT);
	return 0;
}

/* The level first: the pin must not glitch. */
static int line_output(struct gpio_chip *chip, unsigned int line, bool high)
{
	line_set(chip, line, high);
	bcm2835_set_function(gpio_of_chip(chip), line, FUNCTION_OUTPUT);
	return 0;
}

void bcm2835_lines(struct bcm2835_gpio *g)
{
	g->chip.input = line_input;
	g->chip.output = line_output;
	g->chip.get = line_get;
	g->chip.set = line_set;
	gpio_chip_register(&g->chip);
}
