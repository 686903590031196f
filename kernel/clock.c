/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX clocks and sleeping. Without a clock that knows the date, CLOCK_REALTIME counts from 1970 at
 * reset. There are no signals, so no sleep ends early.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/times.h>
#include <pith/result.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "deadline.h"

#define TICKS_PER_S 100 /* sysconf(_SC_CLK_TCK) */

/*
 * The time that the processor worked, for whatever thread: what the idle thread did not have. It was
 * the first thread, and the list begins with the last. TIME_FOREVER if there is no memory for it.
 */
static uint64_t busy_ns(void)
{
	size_t count = thread_list(NULL, 0);
	struct thread_info *info = malloc(count * sizeof(*info));
	uint64_t ns = TIME_FOREVER;

	if (!info)
		return ns;
	/* Threads that ended meanwhile leave a shorter list, new ones stand at its start. */
	count = MIN(thread_list(info, count), count);
	for (size_t i = 0; i < count; i++)
		if (info[i].priority == PRIO_IDLE)
			ns = time_now_ns() - info[i].run_ns;
	free(info);
	return ns;
}

/* Returns false for a clock that is not there. */
static bool clock_read(clockid_t clock, uint64_t *ns)
{
	if (clock == CLOCK_REALTIME)
		*ns = time_realtime_ns();
	else if (clock == CLOCK_MONOTONIC)
		*ns = time_now_ns();
	else
		return false;
	return true;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	uint64_t ns;

	if (!clock_read(clock, &ns))
		return (int)libc_result(-EINVAL);
	*ts = ns_timespec(ns);
	return 0;
}

int clock_settime(clockid_t clock, const struct timespec *ts)
{
	if (clock != CLOCK_REALTIME || !timespec_valid(ts))
		return (int)libc_result(-EINVAL);
	time_set_realtime_ns(timespec_ns(ts));
	return 0;
}

int clock_getres(clockid_t clock, struct timespec *ts)
{
	uint64_t ns;

	if (!clock_read(clock, &ns))
		return (int)libc_result(-EINVAL);
	if (ts)
		*ts = ns_timespec(1);
	return 0;
}

int timespec_get(struct timespec *ts, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, ts) == 0 ? base : 0;
}

int gettimeofday(struct timeval *__restrict tv, void *__restrict tz)
{
	struct timespec ts = ns_timespec(time_realtime_ns());

	(void)tz;
	*tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
	return 0;
}

int settimeofday(const struct timeval *tv, const struct timezone *tz)
{
	struct timespec ts = {.tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * 1000};

	(void)tz;
	return clock_settime(CLOCK_REALTIME, &ts);
}

clock_t clock(void)
{
	uint64_t ns = busy_ns();

	return ns == TIME_FOREVER ? (clock_t)-1 : (clock_t)(ns / (NS_PER_S / CLOCKS_PER_SEC));
}

/* Processor time is the user's, whoever used it. */
clock_t times(struct tms *t)
{
	uint64_t ns = busy_ns();

	if (ns == TIME_FOREVER)
		return (clock_t)libc_result(-ENOMEM);
	*t = (struct tms){.tms_utime = (clock_t)(ns / (NS_PER_S / TICKS_PER_S))};
	return (clock_t)(time_now_ns() / (NS_PER_S / TICKS_PER_S));
}

/* --- Sleeping --- */

/* Returns the error, as POSIX has it for this call alone. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *ts, struct timespec *left)
{
	uint64_t now;

	(void)left;
	if (!clock_read(clock, &now) || !timespec_valid(ts))
		return EINVAL;
	if (flags & TIMER_ABSTIME)
		thread_sleep_until(deadline_at(clock == CLOCK_REALTIME, ts));
	else
		thread_sleep_until(deadline_in(timespec_ns(ts)));
	return 0;
}

int nanosleep(const struct timespec *ts, struct timespec *left)
{
	return (int)libc_result(-clock_nanosleep(CLOCK_MONOTONIC, 0, ts, left));
}

int usleep(useconds_t us)
{
	thread_sleep_until(deadline_in(us * NS_PER_US));
	return 0;
}

unsigned int sleep(unsigned int seconds)
{
	thread_sleep_until(deadline_in(seconds * NS_PER_S));
	return 0;
}
