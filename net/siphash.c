/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 (siphash.h). Names and sections are the paper's. */
#include <string.h>
#include "siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Section 2.3, figure 2.1: two rounds in a loop, as we want size more than speed. */
static inline void sip_rounds(struct state *s, int rounds)
{
	while (rounds--) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

static void compress(struct state *s, uint64_t m)
{
	s->v3 ^= m;
	sip_rounds(s, 2);
	s->v0 ^= m;
}

/* A word of count (at most 8) bytes, little-endian, as we are. */
static inline uint64_t load(const uint8_t *p, size_t count)
{
	uint64_t m = 0;

	memcpy(&m, p, count);
	return m;
}

uint64_t siphash24(const uint64_t key[2], const void *bytes, size_t count)
{
	struct state s = {
	    key[0] ^ 0x736f6d6570736575,
	    key[1] ^ 0x646f72616e646f6d,
	    key[0] ^ 0x6c7967656e657261,
	    key[1] ^ 0x7465646279746573,
	};
	const uint8_t *p = bytes;
	size_t left = count;

	for (; left >= 8; left -= 8, p += 8)
		compress(&s, load(p, 8));
	compress(&s, load(p, left) | (uint64_t)count << 56);
	s.v2 ^= 0xff;
	sip_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
