/* SPDX-License-Identifier: Apache-2.0 */
/* Text for the log: what klog() and panic() know of printf (pith/log.h). Pure. */
#ifndef KERNEL_FORMAT_H
#define KERNEL_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Write to out, at most bytes, without a terminating 0. What does not fit is cut.
 * Returns bytes written
 */
size_t format_text(char *out, size_t bytes, const char *fmt, va_list *args);

/*
 * Write a number so that it ends before end: at most FORMAT_NUMBER_BYTES, at least `least` digits.
 * Returns where it starts
 */
char *format_number(char *end, uint64_t value, unsigned int base, unsigned int least);
#define FORMAT_NUMBER_BYTES 20u

#endif
