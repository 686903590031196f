/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises about what follows from how a boot ended: a trial that died is over, and its version bad; a
 * restart that was asked for counts as nothing, though a Pi does it by its watchdog; a confirmed image
 * that dies is counted, at five the one before it gets a trial if it may, else the delay grows; who
 * died is told apart from who runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/ota.h>
#include "../../kernel/recovery.h"

#define V1 0x00400000u /* what runs in A, mostly */
#define V2 0x00401000u

/* How the last boot ended. */
#define UNKNOWN                          \
	{                                \
		END_UNKNOWN, 0, 0, false \
	}
#define ASKED(slot, version)                    \
	{                                       \
		END_ASKED, slot, version, false \
	}
#define PANIC(slot, version)                    \
	{                                       \
		END_PANIC, slot, version, false \
	}
#define HUNG(slot, version)                         \
	{                                           \
		END_UNNOTICED, slot, version, false \
	}
#define TRIAL_PANIC(s, v)             \
	{                             \
		END_PANIC, s, v, true \
	}
#define TRIAL_HUNG(s, v)                  \
	{                                 \
		END_UNNOTICED, s, v, true \
	}
#define TRIAL_ASKED(s, v)             \
	{                             \
		END_ASKED, s, v, true \
	}

#define STABLE                                                       \
	{                                                            \
		.act = 'A', .prev = 'B', .why = "none", .minver = V1 \
	}
#define FAULTS(n)                                                                 \
	{                                                                         \
		.act = 'A', .prev = 'B', .why = "none", .minver = V1, .faults = n \
	}
#define TRYING(n)                                                              \
	{                                                                      \
		.act = 'A', .try = 'B', .left = n, .why = "none", .minver = V1 \
	}
#define FAILED(v, w)                                         \
	{                                                    \
		.act = 'A', .bad = v, .why = w, .minver = V1 \
	}
#define COUNTED(n, v)                                                         \
	{                                                                     \
		.act = 'A', .prev = 'B', .bad = v, .why = "exit", .faults = n \
	}

struct row {
	const char *name;
	char slot;
	uint32_t version, other; /* of the running and the other slot; 0: it does not verify */
	bool by_watchdog;
	struct last_boot last;
	struct boot_state before, after;
	bool restart;
	uint32_t delay_ms;
};

static const struct row rows[] = {
    /* Nothing to see. */
    {"power-on", 'A', V1, 0, false, UNKNOWN, STABLE, STABLE, false, 0},
    {"a restart", 'A', V1, 0, false, ASKED('A', V1), STABLE, STABLE, false, 0},
    {"a restart by the watchdog", 'A', V1, 0, true, ASKED('A', V1), STABLE, STABLE, false, 0},
    {"the reset button", 'A', V1, 0, false, HUNG('A', V1), STABLE, STABLE, false, 0},
    {"power-on after some faults", 'A', V1, 0, false, UNKNOWN, FAULTS(9), FAULTS(9), false, 0},

    /* Trials. */
    {"its first boot", 'B', V2, 0, true, ASKED('A', V1), TRYING(2), TRYING(2), false, 0},
    {"the power was cut in it", 'B', V2, 0, false, UNKNOWN, TRYING(1), TRYING(1), false, 0},
    {"the button in it", 'B', V2, 0, false, TRIAL_HUNG('B', V2), TRYING(1), TRYING(1), false, 0},
    {"it restarted itself", 'B', V2, 0, true, TRIAL_ASKED('B', V2), TRYING(1), TRYING(1), false, 0},
    {"it panicked", 'B', V2, 0, false, TRIAL_PANIC('B', V2), TRYING(1), FAILED(V2, "panic"), true,
     0},
    {"it hung", 'B', V2, 0, true, TRIAL_HUNG('B', V2), TRYING(1), FAILED(V2, "watchdog"), true, 0},
    {"it hung, no record", 'B', V2, 0, true, UNKNOWN, TRYING(1), FAILED(V2, "watchdog"), true, 0},
    {"it hung in its last try", 'B', V2, 0, true, UNKNOWN, TRYING(0), FAILED(V2, "watchdog"), true,
     0},
    {"the old one hung before it, no record", 'B', V2, 0, true, UNKNOWN, TRYING(2), TRYING(2),
     false, 0},
    {"the old one died before it", 'B', V2, 0, true, PANIC('A', V1), TRYING(2), TRYING(2), false,
     0},
    {"the trial before it in the same slot died", 'B', V2, 0, false, TRIAL_PANIC('B', V1),
     TRYING(2), TRYING(2), false, 0},
    {"it died before, confirmed, and lost its state since", 'B', V2, 0, false, PANIC('B', V2),
     TRYING(2), TRYING(2), false, 0},

    /* After a trial. */
    {"it told why", 'A', V1, 0, true, TRIAL_ASKED('B', V2), FAILED(V2, "exit"), FAILED(V2, "exit"),
     false, 0},
    {"it could never tell that it panicked", 'A', V1, 0, false, TRIAL_PANIC('B', V2),
     FAILED(V2, "unconfirmed"), FAILED(V2, "panic"), false, 0},
    {"or hung", 'A', V1, 0, true, TRIAL_HUNG('B', V2), FAILED(V2, "unconfirmed"),
     FAILED(V2, "watchdog"), false, 0},
    {"another one's panic", 'A', V1, 0, false, TRIAL_PANIC('B', V1), FAILED(V2, "unconfirmed"),
     FAILED(V2, "unconfirmed"), false, 0},
    {"confirmed, then it panicked", 'A', V1, 0, false, TRIAL_PANIC('A', V1), FAULTS(0), FAULTS(1),
     false, 0},

    /* Faults of the confirmed image. */
    {"a panic", 'A', V1, V2, false, PANIC('A', V1), FAULTS(0), FAULTS(1), false, 0},
    {"a hang", 'A', V1, V2, true, HUNG('A', V1), FAULTS(1), FAULTS(2), false, 0},
    {"a hang, no record", 'A', V1, V2, true, UNKNOWN, FAULTS(2), FAULTS(3), false, 0},
    {"the fourth", 'A', V1, V2, true, UNKNOWN, FAULTS(3), FAULTS(4), false, 0},
    {"not mine", 'A', V1, V2, true, PANIC('B', V2), FAULTS(4), FAULTS(4), false, 0},
    {"the fifth",
     'A',
     V1,
     V2,
     false,
     PANIC('A', V1),
     FAULTS(4),
     {.act = 'A',
      .try = 'B',
      .left = 3,
      .prev = 'B',
      .bad = V1,
      .why = "panic",
      .minver = V1,
      .faults = 5},
     true,
     0},
    {"the fifth, by hanging",
     'A',
     V2,
     V1,
     true,
     HUNG('A', V2),
     FAULTS(4),
     {.act = 'A',
      .try = 'B',
      .left = 3,
      .prev = 'B',
      .bad = V2,
      .why = "watchdog",
      .minver = V1,
      .faults = 5},
     true,
     0},
    {"the other is damaged", 'A', V1, 0, false, PANIC('A', V1), FAULTS(4), FAULTS(5), false, 1000},
    {"the other is below minver", 'A', V1, V1 - 1, false, PANIC('A', V1), FAULTS(4), FAULTS(5),
     false, 1000},
    {"the other is bad", 'A', V1, V2, false, PANIC('A', V1), COUNTED(4, V2), COUNTED(5, V2), false,
     1000},
    {"the other never worked",
     'A',
     V1,
     V2,
     false,
     PANIC('A', V1),
     {.act = 'A', .why = "none", .faults = 4},
     {.act = 'A', .why = "none", .faults = 5},
     false,
     1000},
    {"an update waits for its trial",
     'A',
     V1,
     V2,
     false,
     PANIC('A', V1),
     {.act = 'A', .try = 'B', .left = 3, .prev = 'B', .why = "none", .faults = 4},
     {.act = 'A', .try = 'B', .left = 3, .prev = 'B', .why = "none", .faults = 5},
     false,
     1000},
    {"what runs is not what the state says",
     'A',
     V1,
     V2,
     false,
     PANIC('A', V1),
     {.act = 'B', .prev = 'B', .why = "none", .faults = 4},
     {.act = 'B', .prev = 'B', .why = "none", .faults = 5},
     false,
     1000},
    {"the sixth", 'A', V1, 0, false, PANIC('A', V1), FAULTS(5), FAULTS(6), false, 2000},
    {"the twelfth", 'A', V1, 0, false, PANIC('A', V1), FAULTS(11), FAULTS(12), false, 128000},
    {"the fourteenth", 'A', V1, 0, false, PANIC('A', V1), FAULTS(13), FAULTS(14), false, 300000},
    {"and all after", 'A', V1, 0, false, PANIC('A', V1), FAULTS(14), FAULTS(14), false, 300000},
};

static unsigned int asked;

static uint32_t other_version(void *ctx)
{
	asked++;
	return ((const struct row *)ctx)->other;
}

static void check(const struct row *r)
{
	struct recovery_facts facts = {
	    .slot = r->slot,
	    .version = r->version,
	    .by_watchdog = r->by_watchdog,
	    .last = r->last,
	    .other_version = other_version,
	    .ctx = (void *)r,
	};
	struct boot_state s = r->before;
	uint32_t delay_ms = 77;
	bool restart;

	asked = 0;
	restart = recovery_decide(&s, &facts, &delay_ms);
	if (restart != r->restart || delay_ms != r->delay_ms || memcmp(&s, &r->after, sizeof(s)))
		fail_msg("%s: restart %d, delay %u, act %c try %c left %u bad %x why %s faults %u",
		         r->name, restart, delay_ms, s.act, s.try ? s.try : '-', s.left, s.bad,
		         s.why, s.faults);
	assert_true(asked <= (r->before.faults >= RECOVERY_FAULTS - 1));
}

static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&rows[i]);
}

/* Whatever happened: it ends. A restart is never decided twice with nothing new having happened. */
static void deciding_again_decides_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct row next = rows[i];

		if (!next.restart)
			continue;
		next.before = next.after;
		next.last.end = END_ASKED; /* the restart that was decided */
		next.restart = false;
		next.delay_ms = 0;
		check(&next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row),
	    cmocka_unit_test(deciding_again_decides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
