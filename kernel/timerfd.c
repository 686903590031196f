/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd: a timer as a file. A read gives how often it expired since the last one.
 *
 * A periodic timer is armed for one expiry at a time; those that passed while nobody could count are
 * added when it runs next, so a short period costs no more interrupts than there is time for.
 *
 * Source: timerfd_create(2) of the Linux man-pages
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>
#include "deadline.h"

struct timer_file {
	struct file file;
	struct timer timer;
	bool realtime;
	uint64_t next_ns; /* 0: not set */
	uint64_t period_ns;
	uint64_t expired;
};

/* --- Interrupts masked --- */

static void timer_expired(struct timer *timer)
{
	struct timer_file *t = container_of(timer, struct timer_file, timer);

	t->expired++;
	if (t->period_ns == 0) {
		t->next_ns = 0;
	} else {
		uint64_t missed = (time_now_ns() - t->next_ns) / t->period_ns;

		t->expired += missed;
		t->next_ns += (missed + 1) * t->period_ns;
		timer_arm(&t->timer, t->next_ns);
	}
	ready_notify(&t->file.ready, POLLIN);
}

static struct itimerspec setting(const struct timer_file *t)
{
	uint64_t now = time_now_ns();
	uint64_t left = t->next_ns > now ? t->next_ns - now : 1;

	return (struct itimerspec){.it_interval = ns_timespec(t->period_ns),
	                           .it_value = ns_timespec(t->next_ns ? left : 0)};
}

static void set(struct timer_file *t, int flags, const struct itimerspec *value)
{
	timer_cancel(&t->timer);
	t->expired = 0;
	t->period_ns = timespec_ns(&value->it_interval);
	t->next_ns = timespec_ns(&value->it_value);
	if (t->next_ns == 0)
		return;
	if (flags & TFD_TIMER_ABSTIME)
		t->next_ns = deadline_at(t->realtime, &value->it_value);
	else
		t->next_ns = deadline_in(t->next_ns);
	timer_arm(&t->timer, t->next_ns);
}

/* --- The file --- */

static ssize_t timer_read(struct file *f, const struct iovec *iov, int iov_count)
{
	struct timer_file *t = container_of(f, struct timer_file, file);
	unsigned long irq;
	uint64_t value;
	int err = 0;

	if (iov_bytes(iov, iov_count) < (ssize_t)sizeof(value))
		return -EINVAL;
	irq = irq_save();
	while (t->expired == 0 && !err)
		err = f->flags & O_NONBLOCK ? -EAGAIN : file_wait(f, TIME_FOREVER);
	value = t->expired;
	if (!err)
		t->expired = 0;
	irq_restore(irq);
	return err ? err : (ssize_t)iov_put(iov, iov_count, 0, &value, sizeof(value));
}

static uint32_t timer_poll(struct file *f)
{
	return container_of(f, struct timer_file, file)->expired > 0 ? POLLIN : 0;
}

static void timer_closed(struct file *f)
{
	struct timer_file *t = container_of(f, struct timer_file, file);
	unsigned long irq = irq_save();

	timer_cancel(&t->timer);
	t->next_ns = 0;
	irq_restore(irq);
}

static void timer_release(struct file *f)
{
	free(container_of(f, struct timer_file, file));
}

static const struct file_ops timer_ops = {
    .read = timer_read,
    .poll = timer_poll,
    .closed = timer_closed,
    .release = timer_release,
};

int timerfd_create(int clock_id, int flags)
{
	struct timer_file *t;
	int fd;

	if (((clockid_t)clock_id != CLOCK_REALTIME && (clockid_t)clock_id != CLOCK_MONOTONIC) ||
	    (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)))
		return (int)libc_result(-EINVAL);
	t = calloc(1, sizeof(*t));
	if (!t)
		return (int)libc_result(-ENOMEM);
	file_init(&t->file, &timer_ops, O_RDWR | (flags & TFD_NONBLOCK));
	t->timer.expired = timer_expired;
	t->realtime = (clockid_t)clock_id == CLOCK_REALTIME;
	fd = fd_install(&t->file, 0, flags & TFD_CLOEXEC);
	if (fd < 0)
		free(t);
	return (int)libc_result(fd);
}

/* Do what is asked of fd's timer; value NULL leaves it alone. */
static int control(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	struct file *f = fd_get(fd);
	struct timer_file *t;
	unsigned long irq;

	if (!f)
		return -EBADF;
	if (f->ops != &timer_ops) {
		file_put(f);
		return -EINVAL;
	}
	t = container_of(f, struct timer_file, file);
	irq = irq_save();
	if (old)
		*old = setting(t);
	if (value && !f->closed)
		set(t, flags, value);
	irq_restore(irq);
	file_put(f);
	return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	if ((flags & ~TFD_TIMER_ABSTIME) || !timespec_valid(&value->it_value) ||
	    !timespec_valid(&value->it_interval))
		return (int)libc_result(-EINVAL);
	return (int)libc_result(control(fd, flags, value, old));
}

int timerfd_gettime(int fd, struct itimerspec *value)
{
	return (int)libc_result(control(fd, 0, NULL, value));
}
