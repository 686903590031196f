/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that switches the machine off, as on a Raspberry Pi 400, where it is behind the firmware.
 *
 * Source: Devicetree binding power/reset/gpio-poweroff.yaml (Linux): active, inactive, active, as
 * some circuits want a level and others an edge.
 */
#include <pith/driver.h>
#include <pith/gpio.h>
#include <pith/machine.h>
#include <pith/time.h>

#define DELAY_MS   100 /* the binding's active-delay-ms and inactive-delay-ms, if it names none */
#define TIMEOUT_MS 3000

static dt_node line;

static void wait(const char *property, uint32_t default_ms)
{
	int64_t ms = dt_u32(line, property, 0);
	uint64_t deadline_ns = time_now_ns() + (ms < 0 ? default_ms : ms) * NS_PER_MS;

	while (time_now_ns() < deadline_ns)
		;
}

/* Looked up only now: its controller may have been probed later. */
static void off(void)
{
	struct gpio g;

	if (gpio_of(line, "gpios", 0, &g) || gpio_output(&g, true))
		return;
	wait("active-delay-ms", DELAY_MS);
	gpio_set(&g, false);
	wait("inactive-delay-ms", DELAY_MS);
	gpio_set(&g, true);
	wait("timeout-ms", TIMEOUT_MS);
}

static const struct machine_power gpio_power = {.name = "gpio-poweroff", .off = off};

static int gpio_poweroff_probe(const struct device *dev)
{
	line = dev->node;
	machine_power_register(&gpio_power);
	return 0;
}

DRIVER(gpio_poweroff) = {
    .name = "gpio-poweroff",
    .compatible = "gpio-poweroff\0",
    .stage = DRV_DEVICE,
    .probe = gpio_poweroff_probe,
};
