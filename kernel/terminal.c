/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console as a file, and what is typed on it. An image without file descriptors has neither:
 * its stdout is console_put().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <pith/console.h>
#include <pith/file.h>
#include <pith/irq.h>
#include "line.h"

static struct line_input input;
static struct file file;

void console_input(char byte)
{
	unsigned long flags = irq_save();
	bool was_ready = line_ready(&input);
	const char *echo = line_key(&input, byte);

	console_write(echo, strlen(echo));
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
	irq_restore_quiet(flags);
	return result;
}

static ssize_t console_file_write(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t total = iov_bytes(iov, iov_count);

	(void)f;
	if (total <= 0)
		return total;
	console_take();
	for (int i = 0; i < iov_count; i++)
		console_put(iov[i].iov_base, iov[i].iov_len);
	console_give();
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

static void enable_input(void)
{
	struct console *c = console_active;

	for (const struct console_input *i = __start_console_inputs; i < __stop_console_inputs; i++)
		if (c && c->write == i->write)
			i->enable(c);
}

struct file *console_file(void)
{
	if (!file.ops) {
		file_init(&file, &console_file_ops, O_RDWR);
		enable_input();
	}
	return &file;
}
