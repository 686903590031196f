/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd: a 64-bit counter as a file. A write adds, a read takes all (or one, as a semaphore).
 *
 * Source: eventfd(2) of the Linux man-pages
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>

#define COUNT_MAX (UINT64_MAX - 1)

struct event {
	struct file file;
	uint64_t count;
	bool semaphore;
};

static ssize_t event_read(struct file *f, const struct iovec *iov, int iov_count)
{
	struct event *e = container_of(f, struct event, file);
	unsigned long irq;
	uint64_t value;
	int err = 0;

	if (iov_bytes(iov, iov_count) < (ssize_t)sizeof(value))
		return -EINVAL;
	irq = irq_save();
	while (e->count == 0 && !err)
		err = f->flags & O_NONBLOCK ? -EAGAIN : file_wait(f, TIME_FOREVER);
	if (!err) {
		value = e->semaphore ? 1 : e->count;
		e->count -= value;
		ready_notify(&f->ready, POLLOUT);
	}
	irq_restore(irq);
	return err ? err : (ssize_t)iov_put(iov, iov_count, 0, &value, sizeof(value));
}

static ssize_t event_write(struct file *f, const struct iovec *iov, int iov_count)
{
	struct event *e = container_of(f, struct event, file);
	unsigned long irq;
	uint64_t value;
	int err = 0;

	if (iov_get(iov, iov_count, 0, &value, sizeof(value)) < sizeof(value) || value > COUNT_MAX)
		return -EINVAL;
	irq = irq_save();
	while (value > COUNT_MAX - e->count && !err)
		err = f->flags & O_NONBLOCK ? -EAGAIN : file_wait(f, TIME_FOREVER);
	if (!err) {
		e->count += value;
		ready_notify(&f->ready, POLLIN);
	}
	irq_restore(irq);
	return err ? err : (ssize_t)sizeof(value);
}

static uint32_t event_poll(struct file *f)
{
	uint64_t count = container_of(f, struct event, file)->count;

	return (count > 0 ? POLLIN : 0) | (count < COUNT_MAX ? POLLOUT : 0);
}

static void event_release(struct file *f)
{
	free(container_of(f, struct event, file));
}

static const struct file_ops event_ops = {
    .read = event_read,
    .write = event_write,
    .poll = event_poll,
    .release = event_release,
};

int eventfd(unsigned int initial, int flags)
{
	struct event *e;
	int fd;

	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return (int)libc_result(-EINVAL);
	e = malloc(sizeof(*e));
	if (!e)
		return (int)libc_result(-ENOMEM);
	file_init(&e->file, &event_ops, O_RDWR | (flags & EFD_NONBLOCK));
	e->count = initial;
	e->semaphore = flags & EFD_SEMAPHORE;
	fd = fd_install(&e->file, 0, flags & EFD_CLOEXEC);
	if (fd < 0)
		free(e);
	return (int)libc_result(fd);
}

int eventfd_read(int fd, eventfd_t *value)
{
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t value)
{
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}
