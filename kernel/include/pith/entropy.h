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

/*
 * What boot has to seed the generator with: only kept, until the first use of what follows (an image
 * that uses nothing of it links none of the generator). Up to 64 bytes; all of it counts as entropy.
 * The caller wipes its own copy.
 */
void entropy_boot_seed(const void *bytes, size_t count);

/*
 * Mix in bytes; credit_bits: entropy to count, 0 for hopeful sources. 128 bits make the generator
 * ready: the strength that it promises, and what QEMU's 32-byte rng-seed leaves after the uses above.
 * Blocks: shortly (thread only)
 */
void entropy_add(const void *bytes, size_t count, unsigned int credit_bits);

/* Whether random_bytes will succeed at once. May ask the sources; does not wait. Thread only. */
bool entropy_ready(void);

/*
 * Fill buf with random bytes. Blocks until seeded unless nonblock. Thread only.
 * Returns 0; -EAGAIN not seeded and nonblock (or blocking not allowed here)
 */
int random_bytes(void *buf, size_t count, bool nonblock);

/*
 * A hardware source, asked when seed is wanted. Every bit of it counts as entropy.
 *
 * read     bytes got, at most count; with nonblock only what is there already, or -EAGAIN; else it
 *          may wait some seconds. -EIO: it is gone for good; other negative errno: nothing now
 */
struct entropy_source {
	const char *name;
	int (*read)(struct entropy_source *s, void *buf, size_t count, bool nonblock);
	struct entropy_source *next;
};
void entropy_source_register(struct entropy_source *s);

#endif
