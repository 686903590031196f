/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4: a keyed hash for short inputs, fit to make numbers that cannot be guessed.
 * Source: Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012.
 */
#ifndef NET_SIPHASH_H
#define NET_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint64_t key[2], const void *bytes, size_t count);

#endif
