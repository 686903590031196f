/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog is everyone's: feeding it, from the timer, four times as often as it needs. */
#include <errno.h>
#include <stddef.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include <pith/watchdog.h>

static struct watchdog *watchdog;
static bool (*is_healthy)(void);
static uint32_t timeout_ms;

static void feed(struct timer *t)
{
	if (!is_healthy || is_healthy())
		watchdog->feed(watchdog, timeout_ms);
	timer_arm(t, time_now_ns() + timeout_ms * (NS_PER_MS / 4));
}

static struct timer feeding = {.expired = feed};

static void start(uint32_t wanted_ms)
{
	unsigned long flags = irq_save();

	timeout_ms = MIN(wanted_ms, watchdog->max_ms);
	watchdog->running = true;
	watchdog->feed(watchdog, timeout_ms);
	timer_arm(&feeding, time_now_ns() + timeout_ms * (NS_PER_MS / 4));
	irq_restore_quiet(flags);
}

void watchdog_register(struct watchdog *w)
{
	if (watchdog)
		return;
	watchdog = w;
	if (w->running) {
		klog("%s: running, fed from now on", w->name);
		start(w->max_ms);
	}
}

int watchdog_start(uint32_t wanted_ms)
{
	if (!watchdog)
		return -ENODEV;
	start(wanted_ms);
	return 0;
}

bool watchdog_running(void)
{
	return watchdog && watchdog->running;
}

void watchdog_policy(bool (*healthy)(void))
{
	is_healthy = healthy;
}
