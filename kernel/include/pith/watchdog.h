/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: resets the machine when nobody feeds it in time.
 *
 * A boot loader may have started it. Every image takes a running one over and feeds it, from the
 * timer's interrupt, as long as the machine is healthy: unless somebody says what that means, as long
 * as interrupts and timers work.
 */
#ifndef PITH_WATCHDOG_H
#define PITH_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Start it, or go on with another timeout. Once started it is never stopped.
 *
 * timeout_ms  how long after the last feeding it resets; shortened to what the hardware can do
 * Returns     0; -ENODEV this machine has none
 */
int watchdog_start(uint32_t timeout_ms);
bool watchdog_running(void);

/*
 * Asked before each feeding, in interrupt context: false withholds it. NULL: always healthy. There is
 * one; the last one set counts.
 */
void watchdog_policy(bool (*healthy)(void));

/* A watchdog, as its driver registers it from probe. */
struct watchdog {
	const char *name;
	uint32_t max_ms;
	bool running; /* found so by the driver, then kept by what follows */
	/* Start or restart the countdown. Any context. */
	void (*feed)(struct watchdog *w, uint32_t timeout_ms);
};
/* A running one is fed from now on. The first to register is the machine's. */
void watchdog_register(struct watchdog *w);

#endif
