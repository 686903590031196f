/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log: a ring of whole lines in memory, printed to the console as soon as it can take
 * them. So lines from before the console appear when it does, and lines that are logged while a
 * thread writes to the console follow when that is done.
 *
 * The line is formatted on the caller's stack, outside the masked section.
 */
#include <string.h>
#include <pith/console.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>
#include "format.h"
#include "hooks.h"

#define LINE_BYTES 256u  /* a longer line is cut */
#define TIME_BYTES 24    /* at most: the seconds of 64 bits of nanoseconds have 11 digits */
#define RING_BYTES 8192u /* a power of two */

static char ring[RING_BYTES];
/* Bytes ever written, and of these printed: their low bits are places in the ring. */
static size_t written, printed;

/* "[   0.001234] ", ending before end. Returns where it starts, at most TIME_BYTES before that. */
static char *format_time(char *end, uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;
	char *at = end;

	*--at = ' ';
	*--at = ']';
	at = format_number(at, us % 1000000, 10, 6);
	*--at = '.';
	at = format_number(at, us / 1000000, 10, 1);
	while (end - at < 13)
		*--at = ' ';
	*--at = '[';
	return at;
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

	if (oldest > 0)
		from = MAX(from, oldest + 1); /* what is before that says whether a line begins */
	while (from > 0 && from != written && ring[(from - 1) % RING_BYTES] != '\n')
		from++;
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
	irq_restore_quiet(flags);
}

void __attribute__((weak)) crash_log(const char *line, size_t bytes)
{
	(void)line;
	(void)bytes;
}

void klog_with(const char *before, const char *fmt, va_list *args)
{
	char line[TIME_BYTES + LINE_BYTES], *at = line + TIME_BYTES;
	char *start = format_time(at, time_now_ns()), *end = start + LINE_BYTES - 1;
	unsigned long flags;

	while (*before)
		*at++ = *before++;
	at += format_text(at, (size_t)(end - at), fmt, args);
	*at++ = '\n';

	flags = irq_save();
	append(start, (size_t)(at - start));
	crash_log(start, (size_t)(at - start));
	klog_flush();
	irq_restore_quiet(flags);
}

void klog(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	klog_with("", fmt, &args);
	va_end(args);
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
	irq_restore_quiet(flags);
	buf[count] = '\0';
	return count;
}
