/* SPDX-License-Identifier: Apache-2.0 */
/* The report that a panic prints (kernel/panic.c), in parts, for exception.c. */
#ifndef ARCH_REPORT_H
#define ARCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mask interrupts, take the console; a fault inside the report ends it here. */
void report_begin(void);
/* Which thread (or an interrupt handler on top of it), which image. */
void report_context(bool in_handler);
/*
 * pc, then the caller (lr, unless the frame record at fp says the same), then the chain of frame
 * records from fp (AAPCS64 6.4.6), as offsets into the image: tools/symbolize names them.
 */
void report_backtrace(uint64_t pc, uint64_t lr, uint64_t fp);
/* Reset or halt, as bootargs say. */
void report_end(void) __attribute__((noreturn));
/* Is address in a thread's guard page? Then thread is its name. */
bool report_stack_guard(uint64_t address, char thread[16]);

#endif
