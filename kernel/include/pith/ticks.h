/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a counter's ticks and nanoseconds, by one multiplication each, exact enough and without
 * overflow for more than a century.
 *
 * Factors have 48 fraction bits and products 128 bits: at 62.5 MHz a tick is exactly 16 ns; at the
 * worst the clock is off by less than a microsecond in a year.
 */
#ifndef PITH_TICKS_H
#define PITH_TICKS_H

#include <stdint.h>
#include <pith/compiler.h>

/* Below it is no counter worth the name, above it the arithmetic would not fit. */
#define TICKS_MIN_HZ 100000ull
#define TICKS_MAX_HZ 2000000000ull

struct tick_scale {
	uint64_t ns_per_tick; /* both with 48 fraction bits */
	uint64_t ticks_per_ns;
};

#define TICKS_FRACTION_BITS 48

/* a / b with 48 fraction bits, in two steps of 64-bit division. a < 2^31, b from 2^16 to 2^31. */
static inline uint64_t ticks_ratio(uint64_t a, uint64_t b)
{
	uint64_t high = (a << 32) / b, rest = (a << 32) % b;

	return (high << (TICKS_FRACTION_BITS - 32)) + (rest << (TICKS_FRACTION_BITS - 32)) / b;
}

static inline uint64_t ticks_scale(uint64_t value, uint64_t factor)
{
	return (unsigned __int128)value * factor >> TICKS_FRACTION_BITS;
}

/* freq_hz from TICKS_MIN_HZ to TICKS_MAX_HZ. */
static inline struct tick_scale tick_scale(uint64_t freq_hz)
{
	return (struct tick_scale){
	    .ns_per_tick = ticks_ratio(1000000000, freq_hz),
	    .ticks_per_ns = ticks_ratio(freq_hz, 1000000000),
	};
}

static inline uint64_t ticks_to_ns(const struct tick_scale *s, uint64_t ticks)
{
	return ticks_scale(ticks, s->ns_per_tick);
}

/*
 * The first tick at which ticks_to_ns() has reached ns (never one before it: a timer that fires
 * early would have to be armed again). Beyond 146 years: those 146 years.
 */
static inline uint64_t ns_to_ticks(const struct tick_scale *s, uint64_t ns)
{
	uint64_t ticks, reached;

	ns = MIN(ns, 1ull << 62);
	ticks = ticks_scale(ns, s->ticks_per_ns);
	reached = ticks_to_ns(s, ticks);
	if (reached < ns)
		ticks += ticks_scale(ns - reached, s->ticks_per_ns);
	while (ticks_to_ns(s, ticks) < ns)
		ticks++;
	return ticks;
}

#endif
