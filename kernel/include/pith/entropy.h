/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness. Strong or not at all: random_bytes waits for a seed rather than being weak.
 *
 * Each byte of a seed is used for one purpose: /chosen/kaslr-seed places the image; of
 * /chosen/rng-seed the first 8 bytes are the stack canary, (the next 8 place the image if there was no
 * kaslr-seed,) the rest seeds the generator.
 */
#ifndef PITH_ENTROPY_H
#define PITH_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

/* Mix in bytes; credit_bits: entropy to count, 0 for hopeful sources. 256 bits make it ready. */
void entropy_add(const void *bytes, size_t count, unsigned int credit_bits);
bool entropy_ready(void);
/*
 * Fill buf with random bytes. Blocks until seeded unless nonblock.
 * Returns 0; -EAGAIN not seeded and nonblock (or blocking not allowed here)
 */
int random_bytes(void *buf, size_t count, bool nonblock);

/* A hardware source, asked when seed is wanted. read returns bytes got, or negative errno. May block. */
struct entropy_source {
	const char *name;
	int (*read)(struct entropy_source *s, void *buf, size_t count);
	struct entropy_source *next;
};
void entropy_source_register(struct entropy_source *s);

#endif
