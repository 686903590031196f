/* SPDX-License-Identifier: Apache-2.0 */
/* Generators that give a word when they have one (word_rng.h). */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/io.h>
#include <pith/thread.h>
#include "word_rng.h"

/* Warm-up takes about a second. */
#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)

static bool wait_word(struct word_rng *r, bool nonblock)
{
	uint64_t deadline_ns = time_now_ns() + ANSWER_TIMEOUT_NS;

	while (!r->type->has_word(r->regs)) {
		if (nonblock || time_now_ns() > deadline_ns)
			return false;
		thread_sleep_until(time_now_ns() + 10 * NS_PER_MS);
	}
	return true;
}

static int word_rng_read(struct entropy_source *s, void *buf, size_t count, bool nonblock)
{
	struct word_rng *r = container_of(s, struct word_rng, source);
	uint8_t *to = buf;
	size_t got = 0;

	while (got < count && wait_word(r, nonblock || got)) {
		uint32_t word = read32(r->regs + r->type->data_register);

		for (int i = 0; i < 4 && got < count; i++, word >>= 8)
			to[got++] = (uint8_t)word;
	}
	return got ? (int)got : nonblock ? -EAGAIN : -ETIMEDOUT;
}

int word_rng_probe(const struct device *dev, const struct word_rng_type *type)
{
	struct word_rng *r = dev->state;

	r->type = type;
	r->regs = dev->regs;
	if (!(read32(dev->regs) & type->enable_mask))
		type->enable(r->regs);
	r->source.name = type->name;
	r->source.read = word_rng_read;
	entropy_source_register(&r->source);
	return 0;
}
