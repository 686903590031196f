/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log: one line a call, prefixed with the time since reset, to the console and into a
 * ring in memory. Lines from different contexts never mix. Any context.
 */
#ifndef PITH_LOG_H
#define PITH_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <pith/compiler.h>

/*
 * fmt without newline. Of printf it may have %s %c %d %u %x %p %%, in this order between % and the letter:
 * # or 0, a width, a point and a precision for %s, and l, ll or z. What the line has beyond 256 bytes
 * is cut.
 */
void klog(const char *fmt, ...) PRINTF_LIKE(1, 2) NO_FLOATS;
/* The same, after the text `before`. */
void klog_with(const char *before, const char *fmt, va_list *args);
/* Print what has not been printed yet, if the console can take it now. Any context. */
void klog_flush(void);
/* The last lines, oldest first, into buf; returns bytes written (terminated). */
size_t klog_read(char *buf, size_t buf_bytes);

/*
 * Stop the machine with a report: message, registers, backtrace, thread, build id; then reset or halt
 * as bootargs say (panic=reset|halt). Any context.
 */
void panic(const char *fmt, ...) PRINTF_LIKE(1, 2) NO_FLOATS __attribute__((noreturn));

#endif
