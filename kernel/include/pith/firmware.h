/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Raspberry Pi's firmware knows and does: property calls, through a driver that registers.
 * Everything here returns -ENODEV on a machine without such firmware.
 *
 * Source: github.com/raspberrypi/firmware, wiki "Mailbox property interface".
 */
#ifndef PITH_FIRMWARE_H
#define PITH_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_VALUES_MAX 64 /* bytes */

/*
 * One property call: values go out and are replaced by the answer.
 *
 * bytes    of values, a multiple of 4, at most FIRMWARE_VALUES_MAX
 * Blocks   for some 100 us, by polling; thread or boot
 * Returns  0; -ENODEV no firmware; -ENOTSUP it does not know the tag; -ETIMEDOUT; -EIO it refused
 */
int firmware_call(uint32_t tag, void *values, size_t bytes);

/* Clock ids of the firmware. */
enum {
	FIRMWARE_CLOCK_EMMC = 1,
	FIRMWARE_CLOCK_UART = 2,
	FIRMWARE_CLOCK_CORE = 4,
	FIRMWARE_CLOCK_EMMC2 = 12,
};
/* 0 or a negative errno, as firmware_call; -EIO also for an answer that makes no sense. */
int firmware_clock_hz(uint32_t clock, uint32_t *freq_hz);
int firmware_mac(uint8_t mac[6]);
int firmware_serial(uint64_t *serial);
int firmware_board_revision(uint32_t *revision);
int firmware_arm_memory(uint32_t *start_pa, uint32_t *bytes); /* below 1 GiB only */
int firmware_temperature(int32_t *millidegrees_celsius);

/* The driver's side: what firmware_call calls, with its arguments checked, one call at a time. */
void firmware_register(int (*call)(uint32_t tag, void *values, size_t bytes));

#endif
