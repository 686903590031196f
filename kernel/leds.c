/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LEDs begin as the tree says. Of the triggers only default-on is known: the others follow what an app
 * knows better, by led_set().
 *
 * Source: Devicetree bindings, leds/common.yaml (Linux).
 */
#include <string.h>
#include <pith/gpio.h>
#include <pith/init.h>
#include <pith/log.h>

static bool says(dt_node led, const char *property, const char *word)
{
	const char *s = dt_string(led, property, 0);

	return s && strcmp(s, word) == 0;
}

static void begin(dt_node led)
{
	bool on =
	    says(led, "linux,default-trigger", "default-on") || says(led, "default-state", "on");
	struct gpio g;
	int error;

	if (!on && says(led, "default-state", "keep"))
		return;
	error = gpio_of(led, "gpios", 0, &g);
	if (!error)
		error = gpio_output(&g, on);
	if (error)
		klog("%s: error %d", dt_name(led), -error);
}

static int leds_init(void)
{
	dt_node leds = DT_NONE;

	while ((leds = dt_find_compatible(leds, "gpio-leds")) != DT_NONE)
		dt_for_each_child(led, leds)
			begin(led);
	return 0;
}
INIT(leds_init);
