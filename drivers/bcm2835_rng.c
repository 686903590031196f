/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2835's random number generator.
 *
 * Source: Linux, drivers/char/hw_random/bcm2835-rng.c (Broadcom has not published its registers);
 * binding: rng/brcm,bcm2835.yaml.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/entropy.h>
#include <pith/io.h>
#include <pith/thread.h>

#define RNG_CTRL   0x0 /* RW */
#define RNG_STATUS 0x4 /* RW: bits 24-31: words that can be read; bits 0-19: warm-up count */
#define RNG_DATA   0x8 /* RO */
#define RNG_BYTES  0xc

#define CTRL_ENABLE          1u
#define STATUS_WORDS(status) ((status) >> 24)
#define WARM_UP_COUNT        0x40000u /* the first numbers are less random: so many are discarded */

/* Warm-up takes about a second. */
#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)

struct bcm2835_rng {
	struct entropy_source source;
	uint8_t *regs;
};

static bool wait_word(struct bcm2835_rng *r, bool nonblock)
{
	uint64_t deadline_ns = time_now_ns() + ANSWER_TIMEOUT_NS;

	while (!STATUS_WORDS(read32(r->regs + RNG_STATUS))) {
		if (nonblock || time_now_ns() > deadline_ns)
			return false;
		thread_sleep_until(time_now_ns() + 10 * NS_PER_MS);
	}
	return true;
}

static int bcm2835_rng_read(struct entropy_source *s, void *buf, size_t count, bool nonblock)
{
	struct bcm2835_rng *r = container_of(s, struct bcm2835_rng, source);
	uint8_t *to = buf;
	size_t got = 0;

	while (got < count && wait_word(r, nonblock || got)) {
		uint32_t word = read32(r->regs + RNG_DATA);
		size_t bytes = MIN(count - got, sizeof(word));

		memcpy(to + got, &word, bytes);
		got += bytes;
	}
	return got ? (int)got : nonblock ? -EAGAIN : -ETIMEDOUT;
}

static int bcm2835_rng_probe(dt_node node)
{
	struct bcm2835_rng *r;
	uint64_t pa, bytes;
	uint32_t ctrl;
	int error = dt_reg(node, 0, &pa, &bytes);

	if (error)
		return error;
	if (bytes < RNG_BYTES)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->regs = io_map(pa, RNG_BYTES);
	error = r->regs ? io_probe_read32(r->regs + RNG_CTRL, &ctrl) : -EINVAL;
	if (error) {
		free(r);
		return error;
	}
	if (!(ctrl & CTRL_ENABLE)) {
		write32(r->regs + RNG_STATUS, WARM_UP_COUNT);
		write32(r->regs + RNG_CTRL, CTRL_ENABLE);
	}
	r->source = (struct entropy_source){.name = "bcm2835-rng", .read = bcm2835_rng_read};
	entropy_source_register(&r->source);
	return 0;
}

static const char *const bcm2835_rng_compatible[] = {"brcm,bcm2835-rng", NULL};

DRIVER(bcm2835_rng) = {
    .name = "bcm2835-rng",
    .compatible = bcm2835_rng_compatible,
    .stage = DRV_DEVICE,
    .probe = bcm2835_rng_probe,
};
