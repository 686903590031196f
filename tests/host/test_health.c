/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises about what follows from how a boot ended: a trial that died is over, and its version bad; a
 * restart that was asked for counts as nothing, though a Pi does it by its watchdog; a confirmed image
 * that dies is counted, at five the one before it gets a trial if it may, else the delay grows; who
 * died is told apart from who runs.
 *
 * And about health while an image runs: the watchdog is fed for a main loop that lives; a trial ends at
 * its deadline, or with its program, and what is confirmed does not; a healthy day forgets the faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/ota.h>
#include "../../kernel/health.c"

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

static uint32_t rows_other(void *ctx)
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
	    .other_version = rows_other,
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

/* ---- Health, on a machine of its own ---- */

static struct {
	uint64_t now_ns;
	const char *slot, *try; /* of the bootargs */
	const char *reason;     /* why the machine was reset */
	bool disk_fails, other_verifies, no_watchdog;
	bool trial;  /* not confirmed */
	bool thread; /* who asks may block */
	struct boot_state state;
	struct last_boot last;
	/* What came of it. */
	jmp_buf end;
	bool (*policy)(void);
	uint32_t watchdog_ms;
	void *(*entry)(void *);
	struct timer *timer;
	uint64_t timer_ns, slept_until_ns;
	const char *failed_why, *kept_cause;
	bool kept_trial;
	enum boot_end how;
	void (*while_asleep)(void);
} m;

enum { WENT_ON, RESET, PANICKED };

uint64_t time_now_ns(void)
{
	return m.now_ns;
}
const char *bootarg(const char *key)
{
	return strcmp(key, "pith.slot") == 0 ? m.slot : strcmp(key, "pith.try") == 0 ? m.
	try : NULL
		;
}
void klog(const char *fmt, ...)
{
	(void)fmt;
}
void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(m.end, PANICKED);
}
void machine_reset(void)
{
	longjmp(m.end, RESET);
}
const char *machine_reset_reason(void)
{
	return m.reason;
}
void watchdog_policy(bool (*healthy)(void))
{
	m.policy = healthy;
}
int watchdog_start(uint32_t timeout_ms)
{
	m.watchdog_ms = timeout_ms;
	return m.no_watchdog ? -ENODEV : 0;
}
bool thread_may_block(void)
{
	return m.thread;
}
void thread_sleep_until(uint64_t deadline_ns)
{
	m.slept_until_ns = m.now_ns = MAX(m.now_ns, deadline_ns);
	if (m.while_asleep)
		m.while_asleep();
}
struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *), void *arg)
{
	assert_non_null(name);
	assert_true(priority > PRIO_NET);
	assert_int_equal(stack_bytes, 0);
	assert_null(arg);
	m.entry = entry;
	return (struct thread *)&m;
}
int thread_detach(struct thread *t)
{
	assert_ptr_equal(t, &m);
	return 0;
}
void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	m.timer = t;
	m.timer_ns = deadline_ns;
}
void slots_start(void)
{
}
const struct boot_disk *slots_disk(void)
{
	return NULL;
}
char slots_running(void)
{
	return m.state.act ? m.slot[0] : 0;
}
uint32_t slots_running_version(void)
{
	return slots_running() ? V1 : 0;
}
bool slots_on_trial(void)
{
	return m.trial;
}
uint64_t slots_trial_deadline_ns(void)
{
	return m.trial ? OTA_TRIAL_MS * NS_PER_MS : TIME_FOREVER;
}
bool slots_state(struct boot_state *s)
{
	*s = m.state;
	return m.state.act;
}
int slots_change(bool (*change)(struct boot_state *s, void *ctx), void *ctx)
{
	struct boot_state next = m.state;

	if (!change(&next, ctx))
		return 0;
	if (m.disk_fails)
		return -EIO;
	m.state = next;
	return 0;
}
int slots_fail_trial(const char *why)
{
	m.failed_why = why;
	return m.disk_fails ? -EIO : 0;
}
int slot_verify(const struct boot_disk *disk, char slot, uint32_t *version)
{
	assert_null(disk);
	assert_int_equal(slot, 'B');
	*version = V2;
	return m.other_verifies ? 0 : -EBADMSG;
}
const struct last_boot *crash_last_boot(void)
{
	return &m.last;
}
void crash_identify(uint32_t version, bool trial)
{
	assert_int_equal(version, V1);
	assert_int_equal(trial, m.trial);
}
void crash_end(enum boot_end end)
{
	m.how = end;
}
void crash_keep(const char *cause, bool trial)
{
	m.kept_cause = cause;
	m.kept_trial = trial;
}

/* A: active, or on trial. Good until something else is said. */
static int new_machine(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.slot = "A";
	m.try = "none";
	m.reason = "unknown";
	m.thread = true;
	m.state = (struct boot_state){.act = 'A', .prev = 'B', .why = "none"};
	network_is_up = NULL;
	alive = false;
	return 0;
}

static void on_a_trial(void)
{
	m.try = "A";
	m.trial = true;
	m.state = (struct boot_state){.act = 'B', .try = 'A', .left = 2, .why = "none"};
}

/* How it ends, if it does. */
#define HOW_IT_ENDS(statement)            \
	({                                \
		int end_ = setjmp(m.end); \
		if (end_ == WENT_ON) {    \
			statement;        \
		}                         \
		end_;                     \
	})

static int boot(void)
{
	return HOW_IT_ENDS(assert_int_equal(health_init(), 0));
}

static int end(enum machine_end how)
{
	return HOW_IT_ENDS(health_end(how));
}

/* Asked every 4 s, as the watchdog does. Returns after how many seconds it was not fed; or 0. */
static uint64_t starved_within(uint64_t seconds)
{
	uint64_t start_ns = m.now_ns;

	while (m.now_ns - start_ns < seconds * NS_PER_S) {
		m.now_ns += 4 * NS_PER_S;
		if (!m.policy())
			return (m.now_ns - start_ns) / NS_PER_S;
	}
	return 0;
}

static void the_watchdog_is_fed_for_a_main_loop_that_lives(void **state)
{
	(void)state;
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(m.watchdog_ms, 15000);
	assert_int_equal(starved_within(60), 0);  /* it may take its time to start */
	assert_int_equal(starved_within(100), 4); /* but not for ever */
	for (int i = 0; i < 1000; i++) {
		health_alive();
		assert_int_equal(starved_within(16), 0);
	}
	assert_int_equal(starved_within(100), 4);
	health_alive(); /* in time, all the same */
	assert_int_equal(starved_within(16), 0);
}

static void outside_of_a_slot_there_is_no_policy(void **state)
{
	(void)state;
	m.slot = m.try = NULL;
	m.state = (struct boot_state){0};
	m.reason = "watchdog";
	assert_int_equal(boot(), WENT_ON);
	assert_string_equal(m.kept_cause, "watchdog");
	assert_null(m.policy);
	assert_int_equal(m.watchdog_ms, 0);
	assert_null(m.entry);
	assert_int_equal(end(MACHINE_EXIT), WENT_ON);
	assert_int_equal(m.how, END_ASKED);
}

static void without_a_watchdog_the_deadline_holds(void **state)
{
	(void)state;
	on_a_trial();
	m.no_watchdog = true;
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(HOW_IT_ENDS(m.entry(NULL)), RESET);
	assert_int_equal(m.slept_until_ns, 30 * NS_PER_S);
}

static void check_deadline(bool (*network)(void), const char *why)
{
	new_machine(NULL);
	on_a_trial();
	health_network(network);
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(HOW_IT_ENDS(m.entry(NULL)), RESET);
	assert_string_equal(m.failed_why, why);
	assert_int_equal(m.how, END_ASKED);
}

static bool is_up(void)
{
	return true;
}

static bool is_down(void)
{
	return false;
}

static void a_trial_ends_at_its_deadline(void **state)
{
	(void)state;
	check_deadline(NULL, "unconfirmed");
	check_deadline(is_up, "unconfirmed");
	check_deadline(is_down, "network");
}

static void a_state_that_cannot_be_written_does_not_keep_a_trial(void **state)
{
	(void)state;
	on_a_trial();
	m.disk_fails = true;
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(HOW_IT_ENDS(m.entry(NULL)), RESET);
	/* Nor does one that is gone: U-Boot called it a trial. */
	m.state = (struct boot_state){0};
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(HOW_IT_ENDS(m.entry(NULL)), RESET);
	assert_true(on_trial());
}

static void confirm_it(void)
{
	m.trial = false;
	m.state = (struct boot_state){.act = 'A', .prev = 'B', .why = "none"};
}

static void what_is_confirmed_does_not_end(void **state)
{
	(void)state;
	on_a_trial();
	assert_int_equal(boot(), WENT_ON);
	m.while_asleep = confirm_it;
	assert_int_equal(HOW_IT_ENDS(m.entry(NULL)), WENT_ON);
	assert_int_equal(HOW_IT_ENDS(m.timer->expired(m.timer)), WENT_ON);
	assert_null(m.failed_why);
	assert_int_equal(end(MACHINE_EXIT), WENT_ON);
	assert_false(health_end(MACHINE_PANIC));
}

static void a_deadline_that_nobody_keeps_is_kept_by_a_panic(void **state)
{
	(void)state;
	on_a_trial();
	assert_int_equal(boot(), WENT_ON);
	assert_true(m.timer_ns > 60 * NS_PER_S && m.timer_ns < 75 * NS_PER_S);
	assert_int_equal(HOW_IT_ENDS(m.timer->expired(m.timer)), PANICKED);
}

static void a_trial_ends_with_its_program(void **state)
{
	(void)state;
	for (enum machine_end how = MACHINE_EXIT; how <= MACHINE_PANIC; how++) {
		new_machine(state);
		on_a_trial();
		assert_int_equal(boot(), WENT_ON);
		if (how == MACHINE_PANIC) {
			assert_true(health_end(how)); /* reset, not halt */
			assert_int_equal(m.how, END_PANIC);
		} else if (how == MACHINE_RESTART) {
			assert_int_equal(end(how), WENT_ON); /* costs a try */
			assert_null(m.failed_why);
			assert_int_equal(m.how, END_ASKED);
		} else {
			assert_int_equal(end(how), RESET);
			assert_string_equal(m.failed_why, "exit");
			assert_int_equal(m.how, END_ASKED);
		}
	}
}

static void a_panic_before_the_slots_are_read_is_the_trials_all_the_same(void **state)
{
	(void)state;
	m.state = (struct boot_state){0};
	m.try = "A";
	assert_true(health_end(MACHINE_PANIC));
	m.try = "B";
	assert_false(health_end(MACHINE_PANIC));
	m.slot = m.try = NULL;
	assert_false(health_end(MACHINE_PANIC));
}

static void how_the_last_boot_ended_is_acted_upon(void **state)
{
	(void)state;
	m.last = (struct last_boot){END_PANIC, 'A', V1, false};
	m.state.faults = 2;
	assert_int_equal(boot(), WENT_ON);
	assert_string_equal(m.kept_cause, "panic");
	assert_int_equal(m.state.faults, 3);
	assert_int_equal(boot(), WENT_ON);
	m.other_verifies = true;
	assert_int_equal(boot(), RESET);
	assert_int_equal(m.state.try, 'B');
	assert_int_equal(m.how, END_ASKED);
}

static void what_crashed_after_its_confirmation_was_no_trial(void **state)
{
	(void)state;
	m.last = (struct last_boot){END_UNNOTICED, 'A', V1, true};
	m.reason = "watchdog";
	assert_int_equal(boot(), WENT_ON);
	assert_false(m.kept_trial);
	m.last.slot = 'B';
	assert_int_equal(boot(), WENT_ON);
	assert_true(m.kept_trial);
	on_a_trial();
	m.last.slot = 'A';
	assert_int_equal(boot(), RESET);
	assert_true(m.kept_trial);
}

static void the_delay_comes_before_the_policy(void **state)
{
	(void)state;
	m.last = (struct last_boot){END_PANIC, 'A', V1, false};
	m.state.faults = 8;
	assert_int_equal(boot(), WENT_ON);
	assert_int_equal(m.slept_until_ns, 16 * NS_PER_S);
	assert_int_equal(starved_within(60), 0);
}

static void a_disk_that_fails_does_not_make_it_restart_for_ever(void **state)
{
	(void)state;
	m.last = (struct last_boot){END_PANIC, 'A', V1, false};
	m.state.faults = 4;
	m.other_verifies = m.disk_fails = true;
	assert_int_equal(boot(), WENT_ON);
}

static void a_healthy_day_forgets_the_faults(void **state)
{
	(void)state;
	m.state.faults = 3;
	assert_int_equal(boot(), WENT_ON);
	assert_null(m.entry(NULL));
	assert_int_equal(m.slept_until_ns, 24 * 3600 * NS_PER_S);
	assert_int_equal(m.state.faults, 0);
	m.entry = NULL;
	assert_int_equal(boot(), WENT_ON);
	assert_null(m.entry); /* there is nothing to forget */
}

static void so_does_a_good_end_after_ten_minutes(void **state)
{
	(void)state;
	for (enum machine_end how = MACHINE_EXIT; how <= MACHINE_RESTART; how++) {
		new_machine(state);
		m.state.faults = 3;
		assert_int_equal(boot(), WENT_ON);
		m.now_ns += 599 * NS_PER_S;
		assert_int_equal(end(how), WENT_ON);
		assert_int_equal(m.state.faults, 3);
		m.now_ns += NS_PER_S;
		m.thread = false;
		assert_int_equal(end(how), WENT_ON);
		assert_int_equal(m.state.faults, 3);
		m.thread = true;
		assert_false(health_end(MACHINE_PANIC)); /* that is none */
		assert_int_equal(m.state.faults, 3);
		assert_int_equal(end(how), WENT_ON);
		assert_int_equal(m.state.faults, 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, new_machine)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row),
	    cmocka_unit_test(deciding_again_decides_nothing),
	    TEST(the_watchdog_is_fed_for_a_main_loop_that_lives),
	    TEST(outside_of_a_slot_there_is_no_policy),
	    TEST(without_a_watchdog_the_deadline_holds),
	    TEST(a_trial_ends_at_its_deadline),
	    TEST(a_state_that_cannot_be_written_does_not_keep_a_trial),
	    TEST(what_is_confirmed_does_not_end),
	    TEST(a_deadline_that_nobody_keeps_is_kept_by_a_panic),
	    TEST(a_trial_ends_with_its_program),
	    TEST(a_panic_before_the_slots_are_read_is_the_trials_all_the_same),
	    TEST(how_the_last_boot_ended_is_acted_upon),
	    TEST(what_crashed_after_its_confirmation_was_no_trial),
	    TEST(the_delay_comes_before_the_policy),
	    TEST(a_disk_that_fails_does_not_make_it_restart_for_ever),
	    TEST(a_healthy_day_forgets_the_faults),
	    TEST(so_does_a_good_end_after_ten_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
