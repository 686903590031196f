/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: a counter's ticks become nanoseconds exactly enough for a century, and no deadline is
 * programmed early; timers run in order, each once, never when cancelled, whatever is armed and
 * cancelled meanwhile, even by their own callbacks; the hardware is armed for the nearest deadline
 * and for none when there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <pith/compiler.h>
#include <pith/ticks.h>
#include <pith/time.h>

/* ---- Ticks ---- */

static const uint64_t frequencies[] = {TICKS_MIN_HZ, 1000000,    19200000,   24000000,
                                       31250000,     54000000,   62500000,   99999989,
                                       999999937,    1000000000, 1500000001, TICKS_MAX_HZ};
#define CENTURY_NS (100ull * 365 * 86400 * NS_PER_S)

static uint64_t random_64(void)
{
	uint64_t v = 0;

	for (int i = 0; i < 5; i++)
		v = v << 15 ^ (uint64_t)rand();
	return v;
}

/* A different number of bits each time. */
static uint64_t random_ns(void)
{
	return random_64() % CENTURY_NS >> (random_64() % 60);
}

static void ticks_are_exact_enough(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frequencies); i++) {
		uint64_t hz = frequencies[i];
		struct tick_scale s = tick_scale(hz);

		for (int n = 0; n < 2000; n++) {
			uint64_t seconds = random_64() % (100ull * 365 * 86400);
			uint64_t part = random_64() % hz;
			unsigned __int128 exact =
			    (unsigned __int128)(seconds * hz + part) * NS_PER_S / hz;
			uint64_t got = ticks_to_ns(&s, seconds * hz + part);
			/* The factor is off by less than 2^-48 ns a tick. */
			uint64_t bound = 1 + ((unsigned __int128)(seconds * hz + part) >> 48);

			assert_true(got <= exact && exact - got <= bound);
		}
	}
}

static void deadlines_are_never_early_and_hardly_late(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frequencies); i++) {
		struct tick_scale s = tick_scale(frequencies[i]);

		for (int n = 0; n < 2000; n++) {
			uint64_t ns = random_ns();
			uint64_t ticks = ns_to_ticks(&s, ns);

			assert_true(ticks_to_ns(&s, ticks) >= ns);
			assert_true(ticks < 2 || ticks_to_ns(&s, ticks - 2) < ns);
		}
		assert_int_equal(ns_to_ticks(&s, 0), 0);
		assert_int_equal(ns_to_ticks(&s, UINT64_MAX - 1), ns_to_ticks(&s, 1ull << 62));
	}
}

static void usual_frequencies_by_hand(void **state)
{
	struct tick_scale qemu = tick_scale(62500000), pi3 = tick_scale(19200000);

	(void)state;
	assert_int_equal(ticks_to_ns(&qemu, 1), 16);
	assert_int_equal(ticks_to_ns(&qemu, UINT64_C(1) << 59), UINT64_C(1) << 63);
	assert_int_equal(ns_to_ticks(&qemu, 17), 2);
	assert_int_equal(ns_to_ticks(&qemu, 32), 2);
	assert_int_equal(ticks_to_ns(&pi3, 19200000ull * 86400), 86399999999999);
}

/* ---- Timers ---- */

static uint64_t now, armed_for = TIME_FOREVER;
static unsigned int arm_count;

static uint64_t fake_now_ns(void)
{
	return now;
}

static void fake_arm(uint64_t deadline_ns)
{
	armed_for = deadline_ns;
	arm_count++;
}

static const struct clockevent fake = {.name = "fake", .now_ns = fake_now_ns, .arm = fake_arm};

#define TIMERS 1000

/* The reference: an array, searched. */
static struct mock_timer {
	struct timer timer;
	uint64_t expected_ns; /* TIME_FOREVER: not armed */
	uint64_t rearm_ns;    /* callback arms again so much later; 0: no */
	struct mock_timer *cancels;
	unsigned int runs;
} timers[TIMERS];

static void expired(struct timer *t)
{
	struct mock_timer *m = container_of(t, struct mock_timer, timer);

	assert_false(t->armed);
	assert_true(m->expected_ns <= now);
	assert_int_equal(t->deadline_ns, m->expected_ns);
	for (size_t i = 0; i < TIMERS; i++)
		assert_true(timers[i].expected_ns >= m->expected_ns);
	m->runs++;
	m->expected_ns = TIME_FOREVER;
	if (m->cancels) {
		timer_cancel(&m->cancels->timer);
		m->cancels->expected_ns = TIME_FOREVER;
	}
	if (m->rearm_ns) {
		m->expected_ns = now + m->rearm_ns;
		timer_arm(t, m->expected_ns);
	}
}

static uint64_t nearest_expected(void)
{
	uint64_t nearest = TIME_FOREVER;

	for (size_t i = 0; i < TIMERS; i++)
		nearest = MIN(nearest, timers[i].expected_ns);
	return nearest;
}

/* The machine: time passes until `end`, interrupts come when the hardware says so. */
static void run_until(uint64_t end)
{
	while (armed_for <= end) {
		now = MAX(now, armed_for);
		timer_interrupt();
		assert_true(nearest_expected() > now);
		assert_int_equal(armed_for, nearest_expected());
	}
	now = end;
}

static void set(struct mock_timer *m, uint64_t deadline_ns)
{
	m->expected_ns = deadline_ns;
	timer_arm(&m->timer, deadline_ns);
	assert_int_equal(m->timer.armed, deadline_ns != TIME_FOREVER);
}

static void unset(struct mock_timer *m)
{
	m->expected_ns = TIME_FOREVER;
	timer_cancel(&m->timer);
	assert_false(m->timer.armed);
}

static void the_clock_moves_before_there_is_one(void **state)
{
	uint64_t first = time_now_ns();

	(void)state;
	assert_true(time_now_ns() > first);
	set(&timers[0], 50);
	clockevent_register(&fake);
	assert_int_equal(armed_for, 50);
	assert_int_equal(time_now_ns(), now);
	run_until(100);
	assert_int_equal(timers[0].runs, 1);
	assert_int_equal(armed_for, TIME_FOREVER);
}

static void random_arming_matches_the_reference(void **state)
{
	(void)state;
	for (int step = 0; step < 20000; step++) {
		struct mock_timer *m = &timers[rand() % TIMERS];

		m->rearm_ns = rand() % 4 ? 0 : 1 + rand() % 500;
		m->cancels = rand() % 8 ? NULL : &timers[rand() % TIMERS];
		switch (rand() % 8) {
		case 0:
			unset(m);
			break;
		case 1:
			set(m, now ? now - rand() % MIN(now, 100) : 0); /* past: at once */
			break;
		case 2:
			set(m, now + (rand() % 8) * 10); /* many at the same time */
			break;
		default:
			set(m, now + rand() % 10000);
		}
		assert_true(armed_for <= nearest_expected());
		if (rand() % 4 == 0)
			run_until(now + rand() % 200);
	}
	for (size_t i = 0; i < TIMERS; i++) {
		timers[i].rearm_ns = 0;
		timers[i].cancels = NULL;
	}
	run_until(now + 20000);
	assert_int_equal(nearest_expected(), TIME_FOREVER);
	assert_int_equal(armed_for, TIME_FOREVER);
}

static void a_callback_may_arm_what_is_due_at_once(void **state)
{
	struct mock_timer *m = &timers[1];
	unsigned int runs = m->runs;

	(void)state;
	m->rearm_ns = 5;
	set(m, now);
	run_until(now + 49);
	assert_int_equal(m->runs - runs, 10);
	m->rearm_ns = 0;
	unset(m);
	unset(m); /* twice is harmless */
	run_until(now + 100);
	assert_int_equal(m->runs - runs, 10);
}

/* A timeout that is put off again and again, the usual case, costs no access to the hardware. */
static void putting_off_a_timeout_costs_no_hardware_access(void **state)
{
	struct mock_timer *m = &timers[2];
	unsigned int before;

	(void)state;
	set(m, now + 1000);
	before = arm_count;
	for (int i = 1; i < 100; i++) {
		unset(m);
		set(m, now + 1000 + i);
	}
	assert_int_equal(arm_count, before);
	unset(m);
	run_until(now + 5000);
	assert_int_equal(armed_for, TIME_FOREVER);
	set(m, TIME_FOREVER);
	assert_int_equal(armed_for, TIME_FOREVER);
}

static void wall_clock_is_an_offset(void **state)
{
	(void)state;
	assert_false(time_realtime_valid());
	time_set_realtime_ns(1700000000 * NS_PER_S);
	assert_true(time_realtime_valid());
	now += 5;
	assert_int_equal(time_realtime_ns(), 1700000000 * NS_PER_S + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ticks_are_exact_enough),
	    cmocka_unit_test(deadlines_are_never_early_and_hardly_late),
	    cmocka_unit_test(usual_frequencies_by_hand),
	    cmocka_unit_test(the_clock_moves_before_there_is_one),
	    cmocka_unit_test(random_arming_matches_the_reference),
	    cmocka_unit_test(a_callback_may_arm_what_is_due_at_once),
	    cmocka_unit_test(putting_off_a_timeout_costs_no_hardware_access),
	    cmocka_unit_test(wall_clock_is_an_offset),
	};

	for (size_t i = 0; i < TIMERS; i++) {
		timers[i].timer.expired = expired;
		timers[i].expected_ns = TIME_FOREVER;
	}
	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
