/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: which UART it is, who may write to it when, and its file.
 *
 * Output goes out by polling, so that what was written is out when the machine dies. A thread's
 * write to the file may be long: it holds `writers` against other threads and `busy` against the
 * log, and masks interrupts only for pieces that the UART's FIFO takes at once. The log's lines,
 * which come from any context, are short: they go out in one piece, or after the write.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <pith/console.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>
#include "line.h"

#define PIECE_BYTES 16u /* the smallest FIFO among our UARTs */

static struct console *registered; /* those not (yet) chosen, the first last */
static struct console *active;
static struct mutex writers = MUTEX_INIT(writers);
static bool busy; /* a thread is writing to the file */
static bool at_line_start = true;
static struct line_input input;
static struct file file;

static void activate(struct console *c)
{
	active = c;
	klog_flush();
}

void console_register(struct console *c)
{
	const char *options;
	dt_node wanted = dt_stdout(&options);

	c->next = registered;
	registered = c;
	if (!active && (wanted == DT_NONE || wanted == c->node))
		activate(c);
}

bool console_choose(void)
{
	struct console *first = registered;

	while (first && first->next)
		first = first->next;
	if (!active && first)
		activate(first);
	return active;
}

void console_write(const char *bytes, size_t count)
{
	unsigned long flags = irq_save();

	while (active && count > 0) {
		const char *newline = memchr(bytes, '\n', count);
		size_t text = newline ? (size_t)(newline - bytes) : count;

		at_line_start = false; /* a panic amid the line begins a new one */
		if (text > 0)
			active->write(active, bytes, text);
		if (newline)
			active->write(active, "\r\n", 2);
		at_line_start = newline;
		text += newline ? 1 : 0;
		bytes += text;
		count -= text;
	}
	irq_restore(flags);
}

bool console_log_begin(void)
{
	if (!active || busy)
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

void console_input(const char *bytes, size_t count)
{
	unsigned long flags = irq_save();
	bool was_ready = line_ready(&input);
	char echo[3];

	for (size_t i = 0; i < count; i++)
		console_write(echo, line_key(&input, bytes[i], echo));
	if (!was_ready && line_ready(&input))
		ready_notify(&file.ready, EPOLLIN);
	irq_restore(flags);
}

/* One line goes into the first buffer that is not full, and the next, until it ends. */
static ssize_t read_line(const struct iovec *iov, int iov_count)
{
	ssize_t total = 0;

	for (int i = 0; i < iov_count; i++) {
		char *buf = iov[i].iov_base;
		size_t count = line_read(&input, buf, iov[i].iov_len);

		total += count;
		if (count < iov[i].iov_len || (count > 0 && buf[count - 1] == '\n'))
			break;
	}
	return total;
}

static ssize_t console_file_read(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t result = iov_bytes(iov, iov_count);
	unsigned long flags;

	if (result <= 0)
		return result;
	flags = irq_save();
	result = 0;
	while (result == 0 && !line_ready(&input))
		result = f->flags & O_NONBLOCK ? -EAGAIN : file_wait(f, TIME_FOREVER);
	if (result == 0)
		result = read_line(iov, iov_count);
	irq_restore(flags);
	return result;
}

static void set_busy(bool now)
{
	unsigned long flags = irq_save();

	busy = now;
	if (!busy)
		klog_flush();
	irq_restore(flags);
}

static ssize_t console_file_write(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t total = iov_bytes(iov, iov_count);

	(void)f;
	if (total <= 0)
		return total;
	mutex_lock(&writers);
	set_busy(true);
	for (int i = 0; i < iov_count; i++) {
		const char *bytes = iov[i].iov_base;

		for (size_t done = 0; done < iov[i].iov_len; done += PIECE_BYTES)
			console_write(bytes + done, MIN(iov[i].iov_len - done, PIECE_BYTES));
	}
	set_busy(false);
	mutex_unlock(&writers);
	return total;
}

static uint32_t console_file_poll(struct file *f)
{
	(void)f;
	return EPOLLOUT | (line_ready(&input) ? EPOLLIN : 0);
}

static int console_file_stat(struct file *f, struct stat *st)
{
	(void)f;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFCHR | 0620;
	return 0;
}

static void console_file_release(struct file *f)
{
	(void)f; /* static; the UART stays for the log */
}

static const struct file_ops console_file_ops = {
    .read = console_file_read,
    .write = console_file_write,
    .poll = console_file_poll,
    .stat = console_file_stat,
    .closed = console_file_release,
    .release = console_file_release,
};

struct file *console_file(void)
{
	if (!file.ops) {
		file_init(&file, &console_file_ops, O_RDWR);
		if (active)
			active->enable_input(active);
	}
	return &file;
}
