/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promise: an update cannot brick. Wherever power fails while an update is written, verified, tried,
 * confirmed or rolled back, and wherever it fails again after that, there is a whole, verified image
 * that boots; no other ever runs; none stays that did not confirm itself, none below the least version;
 * what had returned success has happened; and the next update works.
 *
 *	test_powercut                       a part of it, as a test
 *	powercut_sweep all|lean [believing] [lying]
 *	                                    all of it: `make test-powercut`; with a U-Boot that
 *	                                    verifies nothing, with a disk that ignores flushes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "powercut.h"

/* Both slots of a new card hold the same image. */
#define NEW_CARD         .slot = {V1_0, V1_0}
#define SCENARIO(n, ...) static const struct scenario n = {.name = #n, __VA_ARGS__}

SCENARIO(update, NEW_CARD, .updates = {V1_1, NONE});
SCENARIO(two_updates, NEW_CARD, .updates = {V1_1, V1_2, NONE});
SCENARIO(big_update, NEW_CARD, .updates = {V1_3_BIG, NONE});
SCENARIO(panics, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = PANICS);
SCENARIO(hangs, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = HANGS);
SCENARIO(mute, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = MUTE);
SCENARIO(exits, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = EXITS);
SCENARIO(offline, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = OFFLINE);
SCENARIO(decays, NEW_CARD, .updates = {V1_1, NONE}, .character[V1_1] = DECAYS);
SCENARIO(both_decay, NEW_CARD, .updates = {V1_1, NONE}, .character = {DECAYS, DECAYS});
SCENARIO(decays_in_between, NEW_CARD, .updates = {V1_1, V1_2, NONE}, .character[V1_1] = DECAYS,
         .not_activated = true);
SCENARIO(good_then_bad, NEW_CARD, .updates = {V1_1, V1_2, NONE}, .character[V1_2] = PANICS);
SCENARIO(bad_then_good, NEW_CARD, .updates = {V1_1, V1_2, NONE}, .character[V1_1] = MUTE);
SCENARIO(gives_up, NEW_CARD, .updates = {V1_1, NONE}, .gives_up = true);
SCENARIO(damaged_later, NEW_CARD, .updates = {V1_1, NONE}, .damaged_later = true);
SCENARIO(one_slot, .slot = {V1_0, NONE}, .updates = {V1_1, NONE});
SCENARIO(active_is_empty, .slot = {NONE, V1_0}, .updates = {V1_1, NONE});
SCENARIO(uboot_fails, .slot = {NONE, V1_0}, .updates = {V1_1, NONE}, .uboot_fails = true);
SCENARIO(no_state, NEW_CARD, .updates = {V1_1, NONE}, .state_lost = true);
SCENARIO(no_state_at_all, NEW_CARD, .updates = {V1_1, NONE}, .state_lost = true,
         .uboot_fails = true);
SCENARIO(no_state_and_two, .slot = {V1_0, V1_1}, .updates = {V1_2, NONE}, .state_lost = true);
SCENARIO(no_state_and_a_bad_one, .slot = {V1_1, V1_0}, .updates = {V1_2, NONE}, .state_lost = true,
         .character[V1_1] = MUTE);

static const struct scenario *const scenarios[] = {
    &update,
    &two_updates,
    &panics,
    &hangs,
    &mute,
    &exits,
    &offline,
    &decays,
    &good_then_bad,
    &gives_up,
    &bad_then_good,
    &decays_in_between,
    &damaged_later,
    &one_slot,
    &both_decay,
    &no_state,
    &no_state_at_all,
    &no_state_and_two,
    &no_state_and_a_bad_one,
    &uboot_fails,
    &active_is_empty,
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static bool is_clean(void)
{
	return verdict.cuts && !verdict.bricks && !verdict.mixed && !verdict.unverified &&
	       !verdict.unconfirmed && !verdict.old && !verdict.broken;
}

static int print_verdict(void)
{
	printf("%" PRIu64 " unconfirmed images stay, %" PRIu64 " below the least version, %" PRIu64
	       " promises broken\n",
	       verdict.unconfirmed, verdict.old, verdict.broken);
	printf("%" PRIu64 " cuts, %" PRIu64 " bricks, %" PRIu64 " mixed images, %" PRIu64
	       " unverified images run\n",
	       verdict.cuts, verdict.bricks, verdict.mixed, verdict.unverified);
	return is_clean() ? 0 : 1;
}

/* Every scenario, cut with one kind of harm. */
static void run_harm(enum harm harm, unsigned int samples, unsigned int depth)
{
	for (unsigned int i = 0; i < SCENARIOS; i++)
		powercut_run(scenarios[i], &(struct sweep){harm, samples, depth, 1 + depth});
}

static void run_all(unsigned int samples, unsigned int depth)
{
	for (enum harm harm = HARM_NONE; harm < HARMS; harm++)
		run_harm(harm, samples, depth);
}

static void run_big(unsigned int samples, unsigned int depth)
{
	for (enum harm harm = HARM_NONE; harm < HARMS; harm++)
		powercut_run(&big_update, &(struct sweep){harm, samples, depth, 1 + depth});
}

/* --- The sweep ----------------------------------------------------------------------------------- */

/* One cut at every place, two and three in a row at random ones. */
static void sweep(void)
{
	run_all(0, 1);
	run_big(0, 1);
	run_all(60, 2);
	run_big(20, 2);
	run_all(60, 3);
	run_big(20, 3);
}

/* At every place, but not with each sector damaged. */
static void one_cut(void)
{
	run_harm(HARM_NONE, 0, 1);
	run_harm(HARM_STATE, 0, 1);
	run_harm(HARM_UNIT, 3, 1);
	run_harm(HARM_UNREADABLE, 3, 1);
}

/* The part of it that finds what is wrong at once, where something is. */
static void lean_sweep(void)
{
	one_cut();
	run_big(1, 1);
	run_all(1, 2);
}

static int main_of_sweep(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		uboot_believes |= !strcmp(argv[i], "believing");
		disk_ignores_flush |= !strcmp(argv[i], "lying");
	}
	if (!strcmp(argv[1], "all"))
		sweep();
	else
		lean_sweep();
	return print_verdict();
}

/* --- The tests ----------------------------------------------------------------------------------- */

/* A sweep's verdict must be clean. */
static void assert_clean(void)
{
	printf("# %" PRIu64 " cuts\n", verdict.cuts);
	assert_int_not_equal(verdict.cuts, 0);
	assert_int_equal(verdict.bricks, 0);
	assert_int_equal(verdict.mixed, 0);
	assert_int_equal(verdict.unverified, 0);
	assert_int_equal(verdict.unconfirmed, 0);
	assert_int_equal(verdict.old, 0);
	assert_int_equal(verdict.broken, 0);
}

static int begin(void **state)
{
	(void)state;
	memset(&verdict, 0, sizeof(verdict));
	uboot_believes = disk_ignores_flush = false;
	return 0;
}

static void test_one_cut_anywhere(void **state)
{
	(void)state;
	one_cut();
	assert_clean();
}

static void test_one_cut_among_many_writes(void **state)
{
	(void)state;
	run_big(2, 1);
	assert_clean();
}

static void test_several_cuts(void **state)
{
	(void)state;
	run_all(1, 3);
	assert_clean();
}

/* Until all of it was verified a slot has no image, not even one that nobody would verify. */
static void test_no_mixed_image_is_ever_there(void **state)
{
	(void)state;
	uboot_believes = true;
	for (unsigned int i = 0; i < SCENARIOS; i++) {
		if (scenarios[i] != &damaged_later)
			powercut_run(scenarios[i], &(struct sweep){HARM_NONE, 0, 1, 1});
	}
	powercut_run(&big_update, &(struct sweep){HARM_NONE, 20, 1, 1});
	assert_clean();
}

/* The simulation can fail. More of this: tests/host/test_powercut_mutants.py. */
static void test_a_disk_that_lies_is_noticed(void **state)
{
	(void)state;
	disk_ignores_flush = true;
	powercut_quiet = true;
	powercut_run(&update, &(struct sweep){HARM_NONE, 0, 1, 1});
	powercut_quiet = false;
	assert_int_not_equal(verdict.broken, 0);
	assert_int_not_equal(verdict.bricks, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_one_cut_anywhere, begin),
	    cmocka_unit_test_setup(test_one_cut_among_many_writes, begin),
	    cmocka_unit_test_setup(test_several_cuts, begin),
	    cmocka_unit_test_setup(test_no_mixed_image_is_ever_there, begin),
	    cmocka_unit_test_setup(test_a_disk_that_lies_is_noticed, begin),
	};

	powercut_load(IMAGES_FOLDER);
	if (argc > 1)
		return main_of_sweep(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
