/* SPDX-License-Identifier: Apache-2.0 */
/* Pins of the BCM2835 and BCM2711: what their general purpose lines (bcm2835_lines.c) take of them. */
#ifndef DRIVERS_GPIO_H
#define DRIVERS_GPIO_H

#include <pith/gpio.h>
#include <pith/supply.h>

#define GPSET 0x1c /* WO: 1 drives high; 32 pins a register from here on */
#define GPCLR 0x28 /* WO: 1 drives low */
#define GPLEV 0x34 /* RO: level */

struct bcm2835_gpio {
	struct gpio_chip chip;
	struct pin_controller pins;
	uint8_t *regs;
	bool bcm2711;
};

/* Give a pin to a function of the chip; brcm,function's values. */
void bcm2835_set_function(struct bcm2835_gpio *g, unsigned int pin, uint32_t function);

/* Register the lines. Without feature `gpio` an empty function, beside its caller. */
void bcm2835_lines(struct bcm2835_gpio *g);

#endif
