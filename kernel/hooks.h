/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where feature `ota` hooks into what every image has. Without it these are empty functions, weak ones
 * beside their callers, which cost a call each.
 */
#ifndef KERNEL_HOOKS_H
#define KERNEL_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

/* Memory and bootargs are there, nothing else: remember who runs (crash.c). */
void crash_begin(void);
/* A line of the log, with its newline. Interrupts masked, any context (crash.c). */
void crash_log(const char *line, size_t bytes);

enum machine_end {
	MACHINE_EXIT,    /* the program ended */
	MACHINE_OFF,     /* it wants the machine off */
	MACHINE_RESTART, /* it wants a restart */
	MACHINE_PANIC, /* the report is in the log; interrupts masked, any context, nothing may block */
};
/*
 * The machine is about to end, for the reason that is given (health.c). May not return, where that
 * is the end of a trial.
 *
 * Returns  true after a panic: reset, whatever the bootargs say
 */
bool health_end(enum machine_end how);

#endif
