/* SPDX-License-Identifier: Apache-2.0 */
/* The crash record (pith/crash.h) for those who feed it: kernel/health.c. */
#ifndef KERNEL_RECORD_H
#define KERNEL_RECORD_H

#include "recovery.h"

/* How the boot before this one ended, as far as its record in RAM tells. */
const struct last_boot *crash_last_boot(void);

/* What the slots say about the running image, which at crash_begin() only the bootargs did. */
void crash_identify(uint32_t version, bool trial);

/*
 * Note how this boot ends: END_ASKED, or END_PANIC with its report in the log. Any context.
 */
void crash_end(enum boot_end end);

/*
 * The boot before ended by `cause` (recovery_cause()): keep its record, in memory and on the disk. With
 * NULL it did not end badly, and its record is dropped. Once, from a thread; blocks for the disk.
 *
 * trial  it was on trial; its record may not know that it was confirmed since it started
 */
void crash_keep(const char *cause, bool trial);

#endif
