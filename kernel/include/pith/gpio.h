/* SPDX-License-Identifier: Apache-2.0 */
/*
 * General purpose lines and LEDs, by their names in the device tree.
 *
 *	struct gpio button;
 *	if (gpio_find("GPIO17", &button) == 0 && gpio_input(&button) == 0)
 *		printf("%d\n", gpio_get(&button));
 *	led_set("ACT", true);
 *
 * Values are logical: 1 is active, whether the line is active high or (GPIO_ACTIVE_LOW in the tree)
 * low. Lines behind a firmware's expander take a call that may block: thread only.
 *
 * Source: Devicetree bindings gpio/gpio.txt and leds/leds-gpio.yaml (Linux).
 */
#ifndef PITH_GPIO_H
#define PITH_GPIO_H

#include <stdbool.h>
#include <pith/dt.h>

struct gpio_chip;
struct gpio {
	struct gpio_chip *chip;
	unsigned int line;
	bool active_low;
};

/* A line by its entry in a controller's gpio-line-names ("GPIO17"). 0 or -ENOENT. */
int gpio_find(const char *name, struct gpio *g);
/*
 * The index-th line that a node's property ("gpios", "reset-gpios") names.
 * Returns 0; -ENOENT no such entry; -ENODEV no driver for its controller; -EINVAL malformed
 */
int gpio_of(dt_node node, const char *property, unsigned int index, struct gpio *g);

/* Make it an input, or an output with a first value. 0 or a negative errno. */
int gpio_input(const struct gpio *g);
int gpio_output(const struct gpio *g, bool active);
/* 0 or 1, or a negative errno. */
int gpio_get(const struct gpio *g);
/* Of an output. 0 or a negative errno. */
int gpio_set(const struct gpio *g, bool active);

/* Switch an LED, by its label in the tree ("ACT"). 0; -ENOENT no such LED; gpio_of's and gpio_output's. */
int led_set(const char *label, bool on);

/* A controller, as its driver registers it from probe. Levels are electrical here. */
struct gpio_chip {
	dt_node node;
	unsigned int lines;
	int (*input)(struct gpio_chip *chip, unsigned int line);
	int (*output)(struct gpio_chip *chip, unsigned int line, bool high);
	int (*get)(struct gpio_chip *chip, unsigned int line);
	int (*set)(struct gpio_chip *chip, unsigned int line, bool high);
	struct gpio_chip *next;
};
void gpio_chip_register(struct gpio_chip *chip);

#endif
