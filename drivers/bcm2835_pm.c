/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog of the BCM2835's power management, which is also how a Raspberry Pi is reset and
 * halted: the firmware boots from the partition that PM_RSTS names, and partition 63 means halt.
 *
 * Source: Linux, drivers/watchdog/bcm2835_wdt.c (Broadcom has not published these registers);
 * raspberrypi.com/documentation, "config.txt", partition number in PM_RSTS, and /chosen/bootloader;
 * binding: soc/bcm/brcm,bcm2835-pm.yaml.
 */
#include <errno.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/machine.h>
#include <pith/time.h>
#include <pith/watchdog.h>

#define PM_RSTC  0x1c /* RW: what happens when the countdown ends */
#define PM_RSTS  0x20 /* RW: why the last reset was, and the partition to boot from */
#define PM_WDOG  0x24 /* RW: countdown, 20 bits, 16 us a tick */
#define PM_BYTES 0x28

#define PM_PASSWORD           0x5a000000u /* in every write, else it is ignored */
#define RSTC_WRCFG            0x30u
#define RSTC_WRCFG_FULL_RESET 0x20u
#define RSTS_PARTITION        0x555u     /* its 6 bits are every other one: all set is 63 */
#define RSTS_HADWRF           (1u << 5)  /* had a full reset by the watchdog */
#define RSTS_HADPOR           (1u << 12) /* had a power-on reset */
#define WDOG_MASK             0xfffffu
#define WDOG_TICKS_PER_S      65536u
#define RESET_TICKS           10 /* 150 us */

static uint8_t *regs;
static struct watchdog watchdog;

static void write_pm(unsigned int reg, uint32_t value)
{
	write32(regs + reg, PM_PASSWORD | value);
}

static void count_down(uint32_t ticks)
{
	write_pm(PM_WDOG, ticks);
	write_pm(PM_RSTC,
	         (read32(regs + PM_RSTC) & 0xffffff & ~RSTC_WRCFG) | RSTC_WRCFG_FULL_RESET);
}

static void pm_feed(struct watchdog *w, uint32_t timeout_ms)
{
	(void)w;
	count_down((uint64_t)timeout_ms * WDOG_TICKS_PER_S / 1000);
}

/* Returns only if the machine is still there after some time. */
static void reset_to(uint32_t partition_bits)
{
	uint64_t deadline_ns = time_now_ns() + 100 * NS_PER_MS;

	write_pm(PM_RSTS, (read32(regs + PM_RSTS) & 0xffffff & ~RSTS_PARTITION) | partition_bits);
	count_down(RESET_TICKS);
	while (time_now_ns() < deadline_ns)
		;
}

static void pm_reset(void)
{
	reset_to(0);
}

static void pm_off(void)
{
	reset_to(RSTS_PARTITION);
}

static struct machine_power pm_power = {
    .name = "bcm2835-pm",
    .off = pm_off,
    .reset = pm_reset,
};

/* The firmware clears PM_RSTS and leaves in the tree what it was. */
static const char *reset_reason(void)
{
	int64_t rsts = dt_u32(dt_find("/chosen/bootloader"), "rsts", 0);

	if (rsts < 0)
		rsts = read32(regs + PM_RSTS);
	return rsts & RSTS_HADPOR ? "power-on" : rsts & RSTS_HADWRF ? "watchdog" : "unknown";
}

static int pm_probe(const struct device *dev)
{
	regs = dev->regs;
	machine_set_reset_reason(reset_reason());
	if (!dt_prop(dev->node, "system-power-controller").data)
		pm_power.off = NULL;
	machine_power_register(&pm_power);
	watchdog = (struct watchdog){
	    .name = "bcm2835-pm watchdog",
	    .max_ms = (uint64_t)WDOG_MASK * 1000 / WDOG_TICKS_PER_S,
	    .running = (read32(regs + PM_RSTC) & RSTC_WRCFG) == RSTC_WRCFG_FULL_RESET,
	    .feed = pm_feed,
	};
	watchdog_register(&watchdog);
	return 0;
}

DRIVER(bcm2835_pm) = {
    .name = "bcm2835-pm",
    .compatible = "brcm,bcm2835-pm-wdt\0",
    .stage = DRV_POWER,
    .first_read = FIRST_READ(PM_RSTC),
    .reg_bytes = PM_BYTES,
    .probe = pm_probe,
};
