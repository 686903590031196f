/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2835's and BCM2711's clocks. The firmware owns them: rates are what it says; nothing is set
 * here.
 *
 * Source: binding: Linux, clock/brcm,bcm2835-cprman.txt and dt-bindings/clock/bcm2835.h; ids of the
 * firmware: its wiki, "Mailbox property interface", "Clocks".
 */
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/firmware.h>
#include <pith/supply.h>

static const struct {
	uint8_t tree, firmware;
} ids[] = {
    {19, FIRMWARE_CLOCK_UART},
    {20, FIRMWARE_CLOCK_CORE}, /* "VPU" */
    {28, FIRMWARE_CLOCK_EMMC},
    {51, FIRMWARE_CLOCK_EMMC2},
};

static uint32_t cprman_rate_hz(uint32_t id)
{
	uint32_t freq_hz;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (ids[i].tree == id)
			return firmware_clock_hz(ids[i].firmware, &freq_hz) ? 0 : freq_hz;
	return 0;
}

static int cprman_probe(const struct device *dev)
{
	struct clock_provider *p = dev->state;

	p->node = dev->node;
	p->rate_hz = cprman_rate_hz;
	clock_provider_register(p);
	return 0;
}

DRIVER(bcm2835_cprman) = {
    .name = "bcm2835-cprman",
    .compatible = "brcm,bcm2835-cprman\0brcm,bcm2711-cprman\0",
    .stage = DRV_SUPPLY,
    .state_bytes = sizeof(struct clock_provider),
    .probe = cprman_probe,
};
