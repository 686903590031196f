/* SPDX-License-Identifier: Apache-2.0 */
/* General purpose lines and LEDs: from names in the device tree to a controller's line. */
#include <errno.h>
#include <string.h>
#include <pith/gpio.h>

#define FLAG_ACTIVE_LOW 1u /* dt-bindings/gpio/gpio.h */

static struct gpio_chip *chips;

void gpio_chip_register(struct gpio_chip *chip)
{
	chip->next = chips;
	chips = chip;
}

int gpio_find(const char *name, struct gpio *g)
{
	for (struct gpio_chip *c = chips; c; c = c->next) {
		for (unsigned int i = 0; i < c->lines; i++) {
			const char *s = dt_string(c->node, "gpio-line-names", i);

			if (!s)
				break;
			if (strcmp(s, name) != 0)
				continue;
			*g = (struct gpio){.chip = c, .line = i};
			return 0;
		}
	}
	return -ENOENT;
}

/* Every controller of ours takes two cells, line and flags, as nearly all do. */
int gpio_of(dt_node node, const char *property, unsigned int index, struct gpio *g)
{
	int64_t cells[3];
	dt_node controller;

	for (unsigned int i = 0; i < 3; i++) {
		cells[i] = dt_u32(node, property, index * 3 + i);
		if (cells[i] < 0)
			return i ? -EINVAL : -ENOENT;
	}
	controller = dt_by_phandle((uint32_t)cells[0]);
	if (dt_u32(controller, "#gpio-cells", 0) != 2)
		return -EINVAL;
	for (struct gpio_chip *c = chips; c; c = c->next) {
		if (c->node != controller)
			continue;
		*g = (struct gpio){c, cells[1], cells[2] & FLAG_ACTIVE_LOW};
		return cells[1] < c->lines ? 0 : -EINVAL;
	}
	return -ENODEV;
}

int gpio_input(const struct gpio *g)
{
	return g->chip->input(g->chip, g->line);
}

int gpio_output(const struct gpio *g, bool active)
{
	return g->chip->output(g->chip, g->line, active != g->active_low);
}

int gpio_get(const struct gpio *g)
{
	int high = g->chip->get(g->chip, g->line);

	return high < 0 ? high : (high != 0) != g->active_low;
}

int gpio_set(const struct gpio *g, bool active)
{
	return g->chip->set(g->chip, g->line, active != g->active_low);
}

int led_set(const char *label, bool on)
{
	dt_node leds = DT_NONE;

	while ((leds = dt_find_compatible(leds, "gpio-leds")) != DT_NONE) {
		dt_for_each_child(led, leds) {
			const char *name = dt_string(led, "label", 0);
			struct gpio g;
			int error;

			if (!name || strcmp(name, label) != 0)
				continue;
			error = gpio_of(led, "gpios", 0, &g);
			return error ? error : gpio_output(&g, on);
		}
	}
	return -ENOENT;
}
