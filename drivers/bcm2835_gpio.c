/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins of the BCM2835 and BCM2711: functions and pulls. Their general purpose lines: bcm2835_lines.c.
 *
 * Source: BCM2835 ARM Peripherals, section 6; BCM2711 ARM Peripherals, section 5; binding: Linux,
 * pinctrl/brcm,bcm2835-gpio.txt.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include "bcm2835_gpio.h"

#define GPFSEL     0x00 /* RW: function, 3 bits a pin, 10 pins a register */
#define GPPUD      0x94 /* RW: BCM2835: the pull to clock into pins ... */
#define GPPUDCLK   0x98 /* RW: ... that have a 1 here */
#define GPPULL     0xe4 /* RW: BCM2711: 2 bits a pin, 16 pins a register */
#define GPIO_BYTES 0xb4 /* so trees say of the BCM2711, too; the page is the device's */

/* brcm,pull, and the BCM2835's register; the BCM2711's has up and down the other way around. */
enum { PULL_NONE, PULL_DOWN, PULL_UP };

/* Set a pin's field of bits, in its register of an array, if it is another. */
static NOINLINE void set_field(uint8_t *regs, unsigned int pin, unsigned int bits, uint32_t value)
{
	unsigned int per_register = 32 / bits, shift = pin % per_register * bits;
	uint8_t *reg = regs + pin / per_register * 4;
	unsigned long flags = irq_save();
	uint32_t old = read32(reg), field = ((1u << bits) - 1) << shift;

	if ((old & field) != value << shift)
		write32(reg, (old & ~field) | value << shift);
	irq_restore_quiet(flags);
}

void bcm2835_set_function(struct bcm2835_gpio *g, unsigned int pin, uint32_t function)
{
	set_field(g->regs + GPFSEL, pin, 3, function);
}

/* BCM2835, page 101: the pull is clocked into the pin, 150 cycles of at least 100 MHz apart. */
static void clock_pull(struct bcm2835_gpio *g, unsigned int pin, uint32_t pull)
{
	unsigned long flags = irq_save();

	write32(g->regs + GPPUD, pull);
	delay_us(2);
	write32(g->regs + GPPUDCLK + pin / 32 * 4, 1u << pin % 32);
	delay_us(2);
	write32(g->regs + GPPUD, PULL_NONE);
	write32(g->regs + GPPUDCLK + pin / 32 * 4, 0);
	irq_restore_quiet(flags);
}

static void set_pull(struct bcm2835_gpio *g, unsigned int pin, uint32_t pull)
{
	if (!g->bcm2711)
		clock_pull(g, pin, pull);
	else
		set_field(g->regs + GPPULL, pin, 2, pull == PULL_NONE ? pull : 3 - pull);
}

/* Of a property with a value for each pin, or one for all; or negative. */
static int64_t pin_value(dt_node state, const char *property, unsigned int index)
{
	int64_t value = dt_u32(state, property, index);

	return value < 0 ? dt_u32(state, property, 0) : value;
}

/* The first form of the binding (brcm,pins), which the trees use for all that boots a Pi. */
static int apply(struct pin_controller *p, dt_node state)
{
	struct bcm2835_gpio *g = container_of(p, struct bcm2835_gpio, pins);
	int64_t pin;
	unsigned int i;

	for (i = 0; (pin = dt_u32(state, "brcm,pins", i)) >= 0; i++) {
		int64_t function = pin_value(state, "brcm,function", i);
		int64_t pull = pin_value(state, "brcm,pull", i);

		if (pin >= g->chip.lines)
			return -EINVAL;
		if (function >= 0 && function < 8)
			bcm2835_set_function(g, pin, function);
		if (pull >= 0 && pull <= PULL_UP)
			set_pull(g, pin, pull);
	}
	return i ? 0 : -EINVAL;
}

void __attribute__((weak)) bcm2835_lines(struct bcm2835_gpio *g)
{
	(void)g;
}

static int bcm2835_gpio_probe(const struct device *dev)
{
	struct bcm2835_gpio *g = dev->state;

	g->regs = dev->regs;
	g->bcm2711 = dt_compatible(dev->node, "brcm,bcm2711-gpio");
	g->chip.node = g->pins.node = dev->node;
	g->chip.lines = g->bcm2711 ? 58 : 54;
	g->pins.apply = apply;
	pin_controller_register(&g->pins);
	bcm2835_lines(g);
	return 0;
}

DRIVER(bcm2835_gpio) = {
    .name = "bcm2835-gpio",
    .compatible = "brcm,bcm2835-gpio\0brcm,bcm2711-gpio\0",
    .stage = DRV_SUPPLY,
    .first_read = FIRST_READ(GPFSEL),
    .state_bytes = sizeof(struct bcm2835_gpio),
    .reg_bytes = GPIO_BYTES,
    .probe = bcm2835_gpio_probe,
};
