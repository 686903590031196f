/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health (pith/health.h): what follows from how the last boot ended, the trial's deadline, and what the
 * watchdog is fed for.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <pith/bootargs.h>
#include <pith/health.h>
#include <pith/init.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/thread.h>
#include <pith/time.h>
#include <pith/watchdog.h>
#include "hooks.h"
#include "record.h"
#include "recovery.h"
#include "slots.h"

#define WATCHDOG_MS    15000u /* as U-Boot starts it on a Pi, whose longest is just under 16 s */
#define TRIAL_GRACE_MS 35000u /* for what ends a trial: no disk is waited for longer */

static uint64_t started_ns; /* when this image was */
static bool (*network_is_up)(void);

/* --- The main loop ------------------------------------------------------------------------------- */

static atomic_bool alive; /* it said so since it was last looked at */
static uint64_t heard_ns, may_be_silent_ns;

void health_alive(void)
{
	atomic_store_explicit(&alive, true, memory_order_relaxed);
}

/* The watchdog's policy, asked four times in its timeout, in interrupt context. */
static bool main_loop_lives(void)
{
	static bool said;
	uint64_t now_ns = time_now_ns();

	if (atomic_exchange_explicit(&alive, false, memory_order_relaxed)) {
		heard_ns = now_ns;
		may_be_silent_ns = HEALTH_ALIVE_MS * NS_PER_MS;
	}
	if (now_ns - heard_ns <= may_be_silent_ns)
		return true;
	if (!said)
		klog("the main loop is silent: the watchdog is not fed any more");
	said = true;
	return false;
}

static void watch_main_loop(void)
{
	heard_ns = time_now_ns();
	may_be_silent_ns = HEALTH_START_MS * NS_PER_MS;
	watchdog_policy(main_loop_lives);
	if (watchdog_start(WATCHDOG_MS))
		klog("no watchdog: a hang will not be noticed");
}

/* --- The trial ----------------------------------------------------------------------------------- */

void health_network(bool (*is_up)(void))
{
	network_is_up = is_up;
}

/* Before the slots are read, only the bootargs tell. */
static bool on_trial(void)
{
	const char *slot = bootarg("pith.slot"), *trial = bootarg("pith.try");

	return slots_on_trial() || (!slots_running() && slot && trial && strcmp(slot, trial) == 0);
}

/* Where the state cannot be written, U-Boot counts the tries down. */
static void __attribute__((noreturn)) end_trial(const char *why, const char *sentence)
{
	klog("the trial has failed: %s", sentence);
	slots_fail_trial(why);
	crash_end(END_ASKED);
	machine_reset();
}

static void *watch_trial(void *arg)
{
	(void)arg;
	thread_sleep_until(slots_trial_deadline_ns());
	if (!slots_on_trial())
		return NULL;
	if (network_is_up && !network_is_up())
		end_trial("network", "no network until the deadline");
	end_trial("unconfirmed", "not confirmed until the deadline");
}

/* That thread does not run, or waits for the disk for ever. */
static void deadline_missed(struct timer *t)
{
	(void)t;
	if (slots_on_trial())
		panic("the trial's deadline has passed, and nothing has ended it");
}

static void start_thread(const char *name, void *(*entry)(void *arg))
{
	struct thread *t = thread_create(name, PRIO_WATCHDOG, 0, entry, NULL);

	if (t)
		thread_detach(t);
	else
		klog("no memory for thread %s", name);
}

/* --- After confirmation -------------------------------------------------------------------------- */

static bool no_faults(struct boot_state *s, void *ctx)
{
	(void)ctx;
	if (s->faults == 0)
		return false;
	s->faults = 0;
	return true;
}

static void *forget_faults(void *arg)
{
	(void)arg;
	thread_sleep_until(started_ns + RECOVERY_HEALTHY_MS * NS_PER_MS);
	if (slots_change(no_faults, NULL) == 0)
		klog("a healthy day: earlier faults are forgotten");
	return NULL;
}

/* --- Boot ---------------------------------------------------------------------------------------- */

static uint32_t other_version(void *ctx)
{
	const struct recovery_facts *f = ctx;
	uint32_t version;

	return slot_verify(slots_disk(), other_slot(f->slot), &version) ? 0 : version;
}

static bool replace(struct boot_state *s, void *decided)
{
	bool other = memcmp(s, decided, sizeof(*s)) != 0;

	*s = *(struct boot_state *)decided;
	return other;
}

static struct recovery_facts gather_facts(void)
{
	return (struct recovery_facts){
	    .slot = slots_running(),
	    .version = slots_running_version(),
	    .by_watchdog = strcmp(machine_reset_reason(), "watchdog") == 0,
	    .last = *crash_last_boot(),
	    .other_version = other_version,
	};
}

/* Its record says how it started. What it was confirmed in runs again, and on no trial. */
static bool was_trial(const struct last_boot *last)
{
	return last->trial && (slots_on_trial() || last->slot != slots_running());
}

/* What to do about the last boot's end; may restart the machine. Returns how long to wait. */
static uint32_t recover(struct recovery_facts *f)
{
	struct boot_state s;
	uint32_t delay_ms;
	bool restart;

	if (!slots_state(&s))
		return 0;
	f->ctx = f;
	restart = recovery_decide(&s, f, &delay_ms);
	if (slots_change(replace, &s) == 0 && restart) {
		klog("slot %c boots next: version %u.%u.%u is bad (%s)", s.try ? s.try : s.act,
		     (unsigned int)(s.bad >> 22), (unsigned int)(s.bad >> 12 & 1023),
		     (unsigned int)(s.bad & 4095), s.why);
		crash_end(END_ASKED);
		machine_reset();
	}
	return delay_ms;
}

static void wait_before_start(uint32_t delay_ms)
{
	klog("too many faults in a row: the app starts in %u s", (unsigned int)(delay_ms / 1000));
	thread_sleep_until(time_now_ns() + delay_ms * NS_PER_MS);
}

static int health_init(void)
{
	static struct timer missed = {.expired = deadline_missed};
	struct recovery_facts facts;
	struct boot_state s;
	uint32_t delay_ms;

	started_ns = time_now_ns();
	slots_start();
	facts = gather_facts();
	crash_keep(recovery_cause(&facts), was_trial(&facts.last));
	if (!bootarg("pith.slot"))
		return 0;
	if (slots_running())
		crash_identify(slots_running_version(), slots_on_trial());
	delay_ms = recover(&facts);
	if (delay_ms)
		wait_before_start(delay_ms);
	if (slots_on_trial()) {
		start_thread("trial", watch_trial);
		timer_arm(&missed, slots_trial_deadline_ns() + TRIAL_GRACE_MS * NS_PER_MS);
	} else if (slots_state(&s) && s.faults) {
		start_thread("faults", forget_faults);
	}
	watch_main_loop();
	return 0;
}
INIT_FIRST(health_init);

/* --- The end ------------------------------------------------------------------------------------- */

static void end_of_panic(void)
{
	if (slots_running())
		crash_identify(slots_running_version(), slots_on_trial());
	crash_end(END_PANIC);
}

bool health_end(enum machine_end how)
{
	if (how == MACHINE_PANIC) {
		end_of_panic();
		return on_trial();
	}
	if (thread_may_block()) {
		if (how != MACHINE_RESTART && slots_on_trial())
			end_trial("exit", how == MACHINE_EXIT ? "the program ended"
			                                      : "it switches the machine off");
		if (time_now_ns() - started_ns >= RECOVERY_CLEAN_MS * NS_PER_MS)
			slots_change(no_faults, NULL);
	}
	crash_end(END_ASKED);
	return false;
}
