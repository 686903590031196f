/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do about how the boot before this one ended. Nothing here touches memory but its arguments:
 * host tests drive it as a table, kernel/health.c with what it found.
 */
#ifndef KERNEL_RECOVERY_H
#define KERNEL_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>
#include "state.h"

#define RECOVERY_FAULTS       5u    /* abnormal resets in a row, before something is done */
#define RECOVERY_FAULTS_MAX   14u   /* counted no further: the delay grows no more */
#define RECOVERY_DELAY_MS     1000u /* before the app starts, at RECOVERY_FAULTS; then doubling */
#define RECOVERY_DELAY_MAX_MS 300000u
#define RECOVERY_HEALTHY_MS   86400000u /* of running: what was counted is forgotten */
#define RECOVERY_CLEAN_MS     600000u   /* the same, if then it ends because it was asked to */

/* How a boot ended, as its record in RAM has it (kernel/crash.c). */
enum boot_end {
	END_UNKNOWN,   /* no record: the power was off, or the image keeps none */
	END_UNNOTICED, /* it was running: a watchdog, or somebody's hand */
	END_ASKED,     /* machine_restart() */
	END_PANIC,
};

/* The boot before this one. With END_UNKNOWN nothing else is known. */
struct last_boot {
	enum boot_end end;
	char slot; /* of the image that ran: 'A', 'B', or 0 */
	uint32_t version;
	bool trial;
};

struct recovery_facts {
	char slot;        /* the running image's: 'A' or 'B' */
	uint32_t version; /* and its version */
	bool by_watchdog; /* the machine says that the watchdog was the reason of the last reset */
	struct last_boot last;
	/*
	 * The version of the other slot if all of it verifies, else 0. Asked at most once, and only if
	 * it matters.
	 */
	uint32_t (*other_version)(void *ctx);
	void *ctx;
};

/* What ended the last boot abnormally: "panic" or "watchdog"; NULL: nothing did. */
const char *recovery_cause(const struct recovery_facts *f);

/*
 * Decide.
 *
 * s         the state as U-Boot left it, which made it `f->slot` that runs; changed to what is to be
 *           written (or not changed)
 * delay_ms  set to how long to wait before the app starts
 * Returns   true: restart the machine once the state is written
 */
bool recovery_decide(struct boot_state *s, const struct recovery_facts *f, uint32_t *delay_ms);

#endif
