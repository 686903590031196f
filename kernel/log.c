/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log: a ring of whole lines in memory, printed to the console as soon as it can take
 * them. So lines from before the console appear when it does, and lines that are logged while a
 * thread writes to the console follow when that is done.
 *
 * The line is formatted on the caller's stack, outside the masked section.
 */
#include <stdio.h>
#include <string.h>
#include <pith/console.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include "hooks.h"

#define LINE_BYTES 256u  /* a longer line is cut */
#define RING_BYTES 8192u /* a power of two */

static char ring[RING_BYTES];
/* Bytes ever written, and of these printed: their low bits are places in the ring. */
static size_t written, printed;

/* "[   0.001234] ": by hand, printf takes five times as long. Returns bytes written (at most 25).
 */
static size_t format_time(char *out, uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;
	char digits[20];
	size_t n = 0, count = 0;

	while (us || n < 7) {
		digits[n++] = '0' + us % 10;
		us /= 10;
	}
	out[count++] = '[';
	for (size_t i = n; i < 10; i++)
		out[count++] = ' ';
	while (n > 0) {
		out[count++] = digits[--n];
		if (n == 6)
			out[count++] = '.';
	}
	out[count++] = ']';
	out[count++] = ' ';
	return count;
}

static void append(const char *bytes, size_t count)
{
	size_t place = written % RING_BYTES;
	size_t first = MIN(count, RING_BYTES - place);

	memcpy(ring + place, bytes, first);
	memcpy(ring, bytes + first, count - first);
	written += count;
}

/* The start of the oldest line that begins at or after position `from` and is still there. */
static size_t line_start(size_t from)
{
	size_t oldest = written - MIN(written, RING_BYTES);

	from = MAX(from, oldest);
	if (from == 0 || (from > oldest && ring[(from - 1) % RING_BYTES] == '\n'))
		return from;
	while (from != written && ring[from++ % RING_BYTES] != '\n')
		;
	return from;
}

void klog_flush(void)
{
	unsigned long flags = irq_save();

	if (printed != written && console_log_begin()) {
		size_t from = line_start(printed) % RING_BYTES, to = written % RING_BYTES;

		if (to <= from) {
			console_write(ring + from, RING_BYTES - from);
			from = 0;
		}
		console_write(ring + from, to - from);
		printed = written;
	}
	irq_restore(flags);
}

void __attribute__((weak)) crash_log(const char *line, size_t bytes)
{
	(void)line;
	(void)bytes;
}

void klog(const char *fmt, ...)
{
	char line[LINE_BYTES];
	unsigned long flags;
	va_list args;
	size_t count = format_time(line, time_now_ns());
	int wanted;

	va_start(args, fmt);
	wanted = vsnprintf(line + count, sizeof(line) - count, fmt, args);
	va_end(args);
	count = MIN(count + (size_t)MAX(wanted, 0), sizeof(line) - 1);
	line[count++] = '\n';

	flags = irq_save();
	append(line, count);
	crash_log(line, count);
	klog_flush();
	irq_restore(flags);
}

size_t klog_read(char *buf, size_t buf_bytes)
{
	unsigned long flags;
	size_t count = 0;

	if (!buf_bytes)
		return 0;
	flags = irq_save();
	for (size_t from = line_start(written - MIN(written, buf_bytes - 1)); from != written;
	     from++)
		buf[count++] = ring[from % RING_BYTES];
	irq_restore(flags);
	buf[count] = '\0';
	return count;
}
