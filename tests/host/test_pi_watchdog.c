/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of a Raspberry Pi's power management with its trees: a watchdog that runs
 * is taken over and never ends, one that does not is not started; a policy that says no lets it end;
 * reset boots from the first partition, power off halts the firmware; the reset reason is what the
 * firmware left in the tree, else the register's.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pith/compiler.h>
#include "pi_model.h"
#include "../../drivers/bcm2835_pm.c"

#define PM (PI4_BASE + 0x100000)

static uint32_t rstc, rsts, wdog;
static uint64_t ends_ns;      /* of the countdown, while it runs */
static const char *how_ended; /* "reset", "halt", or NULL */
static struct timer *armed;
static const struct machine_power *power;
static const char *reason;

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
	armed = t;
}

void machine_power_register(const struct machine_power *p)
{
	power = p;
}

void machine_set_reset_reason(const char *why)
{
	reason = why;
}

static void count(void)
{
	bool running = (rstc & 0x30) == 0x20;

	ends_ns = running ? model_ns + (uint64_t)wdog * NS_PER_S / 65536 : UINT64_MAX;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	assert_int_equal(bytes, 4);
	switch (pa(addr) - PM) {
	case 0x1c:
		return rstc;
	case 0x20:
		return rsts;
	}
	fail_msg("unexpected read");
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_int_equal(bytes, 4);
	assert_int_equal(value >> 24, 0x5a);
	value &= 0xffffff;
	switch (pa(addr) - PM) {
	case 0x1c:
		rstc = value;
		count(); /* starts, or starts again, with what is in WDOG */
		return;
	case 0x20:
		rsts = value;
		return;
	case 0x24:
		assert_int_equal(value & ~0xfffffu, 0);
		wdog = value;
		return;
	}
	fail_msg("unexpected write");
}

/* Let time pass, and what is due in it happen. */
static void pass(uint64_t ns)
{
	uint64_t end_ns = model_ns + ns;

	while (!how_ended) {
		uint64_t next_ns =
		    MIN(end_ns, MIN(ends_ns, armed ? armed->deadline_ns : UINT64_MAX));

		model_ns = MAX(model_ns, next_ns);
		if (model_ns >= ends_ns) {
			how_ended = (rsts & 0x555) == 0x555 ? "halt" : "reset";
		} else if (armed && model_ns >= armed->deadline_ns) {
			struct timer *t = armed;

			armed = NULL;
			t->expired(t);
		} else {
			return;
		}
	}
}

static void plug(const char *tree, bool running)
{
	use_tree(tree);
	rstc = running ? 0x122 : 0x102;
	rsts = 0x1000;
	wdog = 0xf0000; /* 15 s, as U-Boot's */
	count();
	assert_int_equal(device_probe(&driver_bcm2835_pm, dt_find("/soc/watchdog@7e100000")), 0);
}

static void without_a_watchdog_starting_it_says_so(void **state)
{
	(void)state;
	assert_int_equal(watchdog_start(1000), -ENODEV);
	assert_false(watchdog_running());
}

static void one_that_does_not_run_is_not_started(void **state)
{
	(void)state;
	plug(PI4, false);
	assert_false(watchdog_running());
	assert_null(armed);
	pass(100 * NS_PER_S);
	assert_null(how_ended);
}

/* Each in a process of its own: a machine has one watchdog. */
static void in_a_child(void (*test)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		test();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool sick(void)
{
	return false;
}

static void taken_over(void)
{
	plug(PI4, true);
	assert_true(watchdog_running());
	assert_string_equal(logged, "bcm2835-pm watchdog: running, fed from now on");
	pass(3600 * NS_PER_S);
	assert_null(how_ended);
	watchdog_policy(sick);
	pass(12 * NS_PER_S);
	assert_null(how_ended);
	pass(4 * NS_PER_S);
	assert_string_equal(how_ended, "reset");
}

static void a_running_one_is_taken_over(void **state)
{
	(void)state;
	in_a_child(taken_over);
}

static void started(void)
{
	plug(PI4, false);
	assert_int_equal(watchdog_start(2000), 0);
	pass(3600 * NS_PER_S);
	assert_null(how_ended);
	assert_int_equal(watchdog_start(UINT32_MAX), 0); /* as long as the hardware can */
	pass(3600 * NS_PER_S);
	assert_null(how_ended);
	assert_int_equal(watchdog_start(2000), 0);
	watchdog_policy(sick);
	pass(2 * NS_PER_S);
	assert_string_equal(how_ended, "reset");
}

static void one_that_was_started_is_fed(void **state)
{
	(void)state;
	in_a_child(started);
}

static void reset_and_off(void)
{
	plug(PI4, false);
	rsts = 0x1554;
	power->reset();
	assert_int_equal(rsts, 0x1000); /* partition 0; the rest is as it was */
	pass(NS_PER_MS);
	assert_string_equal(how_ended, "reset");
	how_ended = NULL;
	rstc = 0x102;
	count();
	power->off();
	pass(NS_PER_MS);
	assert_string_equal(how_ended, "halt");
}

static void reset_and_off_go_through_it(void **state)
{
	(void)state;
	in_a_child(reset_and_off);
}

static void reset_reasons(void **state)
{
	(void)state;
	plug(PI4, false);
	assert_string_equal(reason, "power-on");
	use_tree(PI4);
	rsts = 0x20;
	assert_string_equal(reset_reason(), "watchdog");
	rsts = 0;
	assert_string_equal(reset_reason(), "unknown");
}

static void where_nobody_answers_the_probe_fails(void **state)
{
	(void)state;
	model_absent = true;
	assert_int_equal(device_probe(&driver_bcm2835_pm, dt_find("/soc/watchdog@7e100000")),
	                 -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_watchdog_starting_it_says_so),
	    cmocka_unit_test(a_running_one_is_taken_over),
	    cmocka_unit_test(one_that_was_started_is_fed),
	    cmocka_unit_test(reset_and_off_go_through_it),
	    cmocka_unit_test(one_that_does_not_run_is_not_started),
	    cmocka_unit_test(reset_reasons),
	    cmocka_unit_test(where_nobody_answers_the_probe_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
