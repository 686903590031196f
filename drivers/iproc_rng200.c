/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcom's RNG200, the BCM2711's random number generator. It tests itself: when it fails its own
 * tests it is reset, and when it locks up it gives nothing until then.
 *
 * Source: Linux, drivers/char/hw_random/iproc-rng200.c (Broadcom has not published its registers);
 * binding: rng/brcm,iproc-rng200.yaml.
 */
#include <pith/driver.h>
#include <pith/io.h>
#include "word_rng.h"

#define RNG_CTRL          0x00 /* RW: bits 0-12 enable; from 13: divisor of the sampling rate */
#define RNG_SOFT_RESET    0x04 /* RW */
#define RBG_SOFT_RESET    0x08 /* RW */
#define RNG_BIT_COUNT     0x0c /* RO: made so far */
#define RNG_BIT_THRESHOLD 0x10 /* RW: bits to make before the first is given out */
#define RNG_INT_STATUS    0x18 /* RW: 1 clears */
#define RNG_FIFO_DATA     0x20 /* RO */
#define RNG_FIFO_COUNT    0x24 /* RO: bits 0-7: words that can be read */
#define RNG_BYTES         0x28

#define CTRL_ENABLE_MASK  0x1fffu
#define CTRL_DIVISOR      (3u << 13) /* 1 MHz */
#define STATUS_LOCKOUT    (1u << 31)
#define STATUS_NIST_FAIL  (1u << 5)
#define FIFO_COUNT(value) ((value)&0xff)
#define WARM_UP_BITS      0x40000u /* the first ones are less random */

static void rng200_enable(uint8_t *regs)
{
	write32(regs + RNG_BIT_THRESHOLD, WARM_UP_BITS);
	write32(regs + RNG_CTRL, CTRL_DIVISOR | CTRL_ENABLE_MASK);
}

static void rng200_restart(uint8_t *regs)
{
	write32(regs + RNG_CTRL, 0);
	write32(regs + RNG_INT_STATUS, UINT32_MAX);
	write32(regs + RBG_SOFT_RESET, 1);
	write32(regs + RNG_SOFT_RESET, 1);
	write32(regs + RNG_SOFT_RESET, 0);
	write32(regs + RBG_SOFT_RESET, 0);
	rng200_enable(regs);
}

/* Is there a word, of a generator that passes its tests? */
static bool rng200_has_word(uint8_t *regs)
{
	if (read32(regs + RNG_INT_STATUS) & (STATUS_LOCKOUT | STATUS_NIST_FAIL)) {
		rng200_restart(regs);
		return false;
	}
	return FIFO_COUNT(read32(regs + RNG_FIFO_COUNT)) != 0;
}

static const struct word_rng_type rng200 = {
    .name = "rng200",
    .data_register = RNG_FIFO_DATA,
    .enable_mask = CTRL_ENABLE_MASK,
    .enable = rng200_enable,
    .has_word = rng200_has_word,
};

static int rng200_probe(const struct device *dev)
{
	return word_rng_probe(dev, &rng200);
}

DRIVER(iproc_rng200) = {
    .name = "iproc-rng200",
    .compatible = "brcm,bcm2711-rng200\0brcm,iproc-rng200\0",
    .stage = DRV_DEVICE,
    .first_read = FIRST_READ(RNG_CTRL),
    .state_bytes = sizeof(struct word_rng),
    .reg_bytes = RNG_BYTES,
    .probe = rng200_probe,
};
