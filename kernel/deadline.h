/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX's ways to name a time, as deadlines of pith/time.h. */
#ifndef KERNEL_DEADLINE_H
#define KERNEL_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <pith/time.h>

static inline bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NS_PER_S;
}

/* Beyond 584 years is for ever. */
static inline uint64_t timespec_ns(const struct timespec *ts)
{
	if ((uint64_t)ts->tv_sec >= TIME_FOREVER / NS_PER_S)
		return TIME_FOREVER;
	return (uint64_t)ts->tv_sec * NS_PER_S + (uint64_t)ts->tv_nsec;
}

static inline struct timespec ns_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
	                         .tv_nsec = (long)(ns % NS_PER_S)};
}

static inline uint64_t deadline_in(uint64_t ns)
{
	uint64_t now = time_now_ns();

	return ns < TIME_FOREVER - now ? now + ns : TIME_FOREVER;
}

/* Negative: never. */
static inline uint64_t deadline_in_ms(int ms)
{
	return ms < 0 ? TIME_FOREVER : deadline_in((uint64_t)ms * NS_PER_MS);
}

/* An absolute time of either clock; setting the clock later does not move it. */
static inline uint64_t deadline_at(bool realtime, const struct timespec *ts)
{
	uint64_t ns = timespec_ns(ts), now;

	if (!realtime || ns == TIME_FOREVER)
		return ns;
	now = time_realtime_ns();
	return deadline_in(ns > now ? ns - now : 0);
}

#endif
