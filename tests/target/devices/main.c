/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every machine has: interrupt controller, timer, console, clock, power. The first word of the
 * command line says what to try: tests/target/test_devices.py has the other half.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/dt.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "check.h"

/* --- Timer ------------------------------------------------------------------------------- */

#define SHOTS 200

static struct shot {
	struct timer timer;
	uint64_t late_ns;
	bool in_irq, early;
} shots[SHOTS];
static unsigned int shots_done;

static void shot_expired(struct timer *t)
{
	struct shot *s = container_of(t, struct shot, timer);
	uint64_t now_ns = time_now_ns();

	s->early = now_ns < t->deadline_ns;
	s->late_ns = now_ns - t->deadline_ns;
	s->in_irq = in_irq();
	shots_done++;
}

static void test_timer(void)
{
	uint64_t start_ns = time_now_ns() + NS_PER_MS, worst_ns = 0;
	bool early = false, all_in_irq = true;

	for (int i = 0; i < SHOTS; i++) {
		shots[i].timer.expired = shot_expired;
		/* In a mixed order, from 100 us to 20 ms apart. */
		timer_arm(&shots[i].timer, start_ns + (i * 37 % SHOTS) * 100 * NS_PER_US);
	}
	/* Not asleep: then QEMU's virtual time waits for the host's, and wakes up late. */
	while (time_now_ns() < start_ns + 30 * NS_PER_MS)
		;
	for (int i = 0; i < SHOTS; i++) {
		early |= shots[i].early;
		all_in_irq &= shots[i].in_irq;
		worst_ns = MAX(worst_ns, shots[i].late_ns);
	}
	CHECK("every timer ran once", shots_done == SHOTS);
	CHECK("no timer ran early", !early);
	CHECK("timers run on the interrupt stack", all_in_irq && !in_irq());
	/* With -icount shift=0, one instruction is one nanosecond. */
	CHECK("timers run within 5 us", worst_ns < 5 * NS_PER_US);
	printf("worst timer: %lu ns late\n", (unsigned long)worst_ns);
}

static void test_clock(void)
{
	struct timespec a, b;
	uint64_t start_ns = time_now_ns();

	clock_gettime(CLOCK_MONOTONIC, &a);
	delay_us(50);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK("delay_us waits", time_now_ns() - start_ns >= 50 * NS_PER_US);
	CHECK("CLOCK_MONOTONIC moves", b.tv_nsec != a.tv_nsec || b.tv_sec != a.tv_sec);
	if (dt_find_compatible(DT_NONE, "arm,pl031") != DT_NONE)
		CHECK("the real time clock was read", time_realtime_valid());
	printf("wall clock %lld\n", (long long)time(NULL));
}

/* --- Console ----------------------------------------------------------------------------- */

/* Read lines until end of file, and say what came. */
static int echo_lines(void)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char line[600];

	CHECK("nothing typed, nothing to read", poll(&in, 1, 0) == 0);
	fcntl(0, F_SETFL, O_RDWR | O_NONBLOCK);
	CHECK("a non-blocking read says so", read(0, line, 1) < 0 && errno == EAGAIN);
	fcntl(0, F_SETFL, O_RDWR);
	printf("type now\n");
	CHECK("poll wakes when a line is typed", poll(&in, 1, -1) == 1 && in.revents == POLLIN);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		printf("line <%s> of %zu\n", line, strlen(line));
	}
	printf("end of file\n");
	return checks_failed;
}

/* Something else runs all the time: input must come through. */
static void *spin(void *arg)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return arg;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "time";

	printf("build id %s, reset reason %s\n", image_build_id(), machine_reset_reason());
	if (!strcmp(what, "time")) {
		test_timer();
		test_clock();
	} else if (!strcmp(what, "echo")) {
		return echo_lines();
	} else if (!strcmp(what, "busy-echo")) {
		thread_create("spin", PRIO_APP, 0, spin, NULL);
		return echo_lines();
	} else if (!strcmp(what, "reset")) {
		machine_reset();
	} else if (!strcmp(what, "sleep")) {
		thread_sleep_until(TIME_FOREVER);
	} else {
		printf("FAIL no such test\n");
	}
	return checks_failed != 0;
}
