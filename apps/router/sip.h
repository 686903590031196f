/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash of 15 bytes, in two words, whose last byte says 15 as the paper wants it. With a secret key
 * nobody outside can choose connections that meet in one chain of a table; 1 and 3 rounds are enough
 * for that, where the hash itself is never seen.
 *
 * Source: Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012, section 2.
 */
#ifndef ROUTER_SIP_H
#define ROUTER_SIP_H

#include <stdint.h>

#define SIP_LENGTH 15

static inline uint64_t sip_rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline __attribute__((always_inline)) void sip_rounds(uint64_t v[4], int rounds)
{
#pragma GCC unroll 4
	while (rounds--) {
		v[0] += v[1];
		v[1] = sip_rotl(v[1], 13) ^ v[0];
		v[0] = sip_rotl(v[0], 32);
		v[2] += v[3];
		v[3] = sip_rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = sip_rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = sip_rotl(v[1], 17) ^ v[2];
		v[2] = sip_rotl(v[2], 32);
	}
}

/* The state that a key begins with. */
static inline void sip_start(uint64_t start[4], const uint64_t key[2])
{
	start[0] = key[0] ^ 0x736f6d6570736575;
	start[1] = key[1] ^ 0x646f72616e646f6d;
	start[2] = key[0] ^ 0x6c7967656e657261;
	start[3] = key[1] ^ 0x7465646279746573;
}

/* SipHash-c-d. */
static inline __attribute__((always_inline)) uint64_t sip15(const uint64_t start[4], uint64_t word0,
                                                            uint64_t word1, int c, int d)
{
	uint64_t v[4] = {start[0], start[1], start[2], start[3] ^ word0};

	sip_rounds(v, c);
	v[0] ^= word0;
	v[3] ^= word1;
	sip_rounds(v, c);
	v[0] ^= word1;
	v[2] ^= 0xff;
	sip_rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
