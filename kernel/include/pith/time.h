/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time since reset, and one-shot timers. Tickless: the hardware timer is armed for the nearest
 * deadline only, and not at all when there is none.
 */
#ifndef PITH_TIME_H
#define PITH_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S     1000000000ull
#define NS_PER_MS    1000000ull
#define NS_PER_US    1000ull
#define TIME_FOREVER UINT64_MAX /* a deadline that never comes */

/*
 * Nanoseconds since the counter's zero (reset, as far as the machine tells). Monotonic, any context.
 * Before the machine's timer is found, each call counts as a microsecond: a wait with a deadline ends
 * then too.
 */
uint64_t time_now_ns(void);

/* Wall clock: offset added to time_now_ns(), 0 until a clock (RTC, SNTP) sets it. */
void time_set_realtime_ns(uint64_t ns_since_1970);
uint64_t time_realtime_ns(void);
bool time_realtime_valid(void);

/* Zero but for `expired`, before its first use. */
struct timer {
	void (*expired)(
	    struct timer *t); /* in irq context, interrupts masked, timer already disarmed */
	uint64_t deadline_ns;
	bool armed;
	struct timer *child, *next, *prev; /* the queue's own (a pairing heap, kernel/time.c) */
};

/* Arm (or re-arm) for an absolute time; past ones fire at once. Any context. */
void timer_arm(struct timer *t, uint64_t deadline_ns);
/* After return the callback is not pending (it may have run). Any context. */
void timer_cancel(struct timer *t);

/* Busy-wait, for hardware that wants a short pause: at most a few microseconds. Any context. */
void delay_us(uint32_t us);

/* The hardware side, registered by the timer driver. */
struct clockevent {
	const char *name;
	uint64_t (*now_ns)(void);
	void (*arm)(uint64_t deadline_ns); /* TIME_FOREVER: stop */
};
void clockevent_register(const struct clockevent *ce);
/* Called by the timer driver's interrupt handler: runs what is due and re-arms. */
void timer_interrupt(void);

#endif
