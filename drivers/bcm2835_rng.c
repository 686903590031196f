/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2835's random number generator.
 *
 * Source: Linux, drivers/char/hw_random/bcm2835-rng.c (Broadcom has not published its registers);
 * binding: rng/brcm,bcm2835.yaml.
 */
#include <pith/driver.h>
#include <pith/io.h>
#include "word_rng.h"

#define RNG_CTRL   0x0 /* RW */
#define RNG_STATUS 0x4 /* RW: bits 24-31: words that can be read; bits 0-19: warm-up count */
#define RNG_DATA   0x8 /* RO */
#define RNG_BYTES  0xc

#define CTRL_ENABLE          1u
#define STATUS_WORDS(status) ((status) >> 24)
#define WARM_UP_COUNT        0x40000u /* the first numbers are less random: so many are discarded */

static void bcm2835_rng_enable(uint8_t *regs)
{
	write32(regs + RNG_STATUS, WARM_UP_COUNT);
	write32(regs + RNG_CTRL, CTRL_ENABLE);
}

static bool bcm2835_rng_has_word(uint8_t *regs)
{
	return STATUS_WORDS(read32(regs + RNG_STATUS)) != 0;
}

static const struct word_rng_type bcm2835_rng = {
    .name = "bcm2835-rng",
    .data_register = RNG_DATA,
    .enable_mask = CTRL_ENABLE,
    .enable = bcm2835_rng_enable,
    .has_word = bcm2835_rng_has_word,
};

static int bcm2835_rng_probe(const struct device *dev)
{
	return word_rng_probe(dev, &bcm2835_rng);
}

DRIVER(bcm2835_rng) = {
    .name = "bcm2835-rng",
    .compatible = "brcm,bcm2835-rng\0",
    .stage = DRV_DEVICE,
    .first_read = FIRST_READ(RNG_CTRL),
    .state_bytes = sizeof(struct word_rng),
    .reg_bytes = RNG_BYTES,
    .probe = bcm2835_rng_probe,
};
