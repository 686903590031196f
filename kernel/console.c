/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: which UART it is, and who may write to it when. Its file, and its input: terminal.c.
 *
 * Output goes out by polling, so that what was written is out when the machine dies. A thread's
 * write may be long: it holds `writers` against other threads and `busy` against the log, and masks
 * interrupts only for pieces that the UART's FIFO takes at once. The log's lines, which come from
 * any context, are short: they go out in one piece, or after the write.
 */
#include <string.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>

#define PIECE_BYTES 16u /* the smallest FIFO among our UARTs */

static struct console *registered; /* those not (yet) chosen, the first last */
struct console *console_active;
static struct mutex writers = MUTEX_INIT(writers);
static bool busy; /* a thread is writing */
static bool at_line_start = true;

static void activate(struct console *c)
{
	console_active = c;
	klog_flush();
}

void console_register(struct console *c)
{
	const char *options;
	dt_node wanted = dt_stdout(&options);

	c->next = registered;
	registered = c;
	if (!console_active && (wanted == DT_NONE || wanted == c->node))
		activate(c);
}

bool console_choose(void)
{
	struct console *first = registered;

	while (first && first->next)
		first = first->next;
	if (!console_active && first)
		activate(first);
	return console_active;
}

void console_write(const char *bytes, size_t count)
{
	unsigned long flags = irq_save();

	while (console_active && count > 0) {
		const char *newline = memchr(bytes, '\n', count);
		size_t text = newline ? (size_t)(newline - bytes) : count;

		at_line_start = false; /* a panic amid the line begins a new one */
		if (text > 0)
			console_active->write(console_active, bytes, text);
		if (newline)
			console_active->write(console_active, "\r\n", 2);
		at_line_start = newline;
		text += newline ? 1 : 0;
		bytes += text;
		count -= text;
	}
	irq_restore_quiet(flags);
}

bool console_log_begin(void)
{
	if (!console_active || busy)
		return false;
	if (!at_line_start)
		console_write("\n", 1);
	return true;
}

void console_seize(void)
{
	busy = false;
	console_choose(); /* what there is, if the machine ends before all of them were found */
	klog_flush();
}

static void set_busy(bool now)
{
	unsigned long flags = irq_save();

	busy = now;
	if (!busy)
		klog_flush();
	irq_restore_quiet(flags);
}

void console_take(void)
{
	mutex_lock(&writers);
	set_busy(true);
}

void console_put(const char *bytes, size_t count)
{
	for (size_t done = 0; done < count; done += PIECE_BYTES)
		console_write(bytes + done, MIN(count - done, PIECE_BYTES));
}

void console_give(void)
{
	set_busy(false);
	mutex_unlock(&writers);
}
