/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL031 real time clock: sets the wall clock at boot.
 *
 * Source: PrimeCell Real Time Clock (PL031) Technical Reference Manual, Arm DDI 0224.
 */
#include <errno.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/time.h>

#define RTCDR       0x000 /* RO: seconds since 1970 */
#define RTCCR       0x00c /* RW */
#define RTCCR_START (1u << 0)
#define RTC_BYTES   0x010

static int pl031_probe(const struct device *dev)
{
	if (!(read32(dev->regs + RTCCR) & RTCCR_START))
		return -ENODEV; /* never set, does not run */
	time_set_realtime_ns(read32(dev->regs + RTCDR) * NS_PER_S);
	return 0;
}

DRIVER(pl031) = {
    .name = "pl031",
    .compatible = "arm,pl031\0",
    .stage = DRV_DEVICE,
    .reg_bytes = RTC_BYTES,
    .probe = pl031_probe,
};
