/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generators that give a word when they have one, polled: what bcm2835_rng.c and iproc_rng200.c share.
 */
#ifndef DRIVERS_WORD_RNG_H
#define DRIVERS_WORD_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/driver.h>
#include <pith/entropy.h>

struct word_rng_type {
	const char *name;
	uint32_t data_register;
	uint32_t
	    enable_mask; /* of the first register, which is safe to read, and says whether it is on */
	void (*enable)(uint8_t *regs);
	bool (*has_word)(uint8_t *regs); /* may restart one that has failed */
};

/* A driver's state. */
struct word_rng {
	struct entropy_source source;
	const struct word_rng_type *type;
	uint8_t *regs;
};

/* Switch it on if it is off, register it as a source of entropy. */
int word_rng_probe(const struct device *dev, const struct word_rng_type *type);

#endif
