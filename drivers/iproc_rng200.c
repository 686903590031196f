/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcom's RNG200, the BCM2711's random number generator. It tests itself: when it fails its own
 * tests it is reset, and when it locks up it gives nothing until then.
 *
 * Source: Linux, drivers/char/hw_random/iproc-rng200.c (Broadcom has not published its registers);
 * binding: rng/brcm,iproc-rng200.yaml.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/entropy.h>
#include <pith/io.h>
#include <pith/thread.h>

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

#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)

struct rng200 {
	struct entropy_source source;
	uint8_t *regs;
};

static void enable(struct rng200 *r)
{
	write32(r->regs + RNG_BIT_THRESHOLD, WARM_UP_BITS);
	write32(r->regs + RNG_CTRL, CTRL_DIVISOR | CTRL_ENABLE_MASK);
}

static void restart(struct rng200 *r)
{
	write32(r->regs + RNG_CTRL, 0);
	write32(r->regs + RNG_INT_STATUS, UINT32_MAX);
	write32(r->regs + RBG_SOFT_RESET, 1);
	write32(r->regs + RNG_SOFT_RESET, 1);
	write32(r->regs + RNG_SOFT_RESET, 0);
	write32(r->regs + RBG_SOFT_RESET, 0);
	enable(r);
}

/* Is there a word, of a generator that passes its tests? */
static bool has_word(struct rng200 *r)
{
	if (read32(r->regs + RNG_INT_STATUS) & (STATUS_LOCKOUT | STATUS_NIST_FAIL)) {
		restart(r);
		return false;
	}
	return FIFO_COUNT(read32(r->regs + RNG_FIFO_COUNT)) != 0;
}

static bool wait_word(struct rng200 *r, bool nonblock)
{
	uint64_t deadline_ns = time_now_ns() + ANSWER_TIMEOUT_NS;

	while (!has_word(r)) {
		if (nonblock || time_now_ns() > deadline_ns)
			return false;
		thread_sleep_until(time_now_ns() + 10 * NS_PER_MS);
	}
	return true;
}

static int rng200_read(struct entropy_source *s, void *buf, size_t count, bool nonblock)
{
	struct rng200 *r = container_of(s, struct rng200, source);
	uint8_t *to = buf;
	size_t got = 0;

	while (got < count && wait_word(r, nonblock || got)) {
		uint32_t word = read32(r->regs + RNG_FIFO_DATA);
		size_t bytes = MIN(count - got, sizeof(word));

		memcpy(to + got, &word, bytes);
		got += bytes;
	}
	return got ? (int)got : nonblock ? -EAGAIN : -ETIMEDOUT;
}

static int rng200_probe(dt_node node)
{
	struct rng200 *r;
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
	if (!(ctrl & CTRL_ENABLE_MASK))
		enable(r);
	r->source = (struct entropy_source){.name = "rng200", .read = rng200_read};
	entropy_source_register(&r->source);
	return 0;
}

static const char *const rng200_compatible[] = {"brcm,bcm2711-rng200", "brcm,iproc-rng200", NULL};

DRIVER(iproc_rng200) = {
    .name = "iproc-rng200",
    .compatible = rng200_compatible,
    .stage = DRV_DEVICE,
    .probe = rng200_probe,
};
