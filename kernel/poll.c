/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll() and select(): ask every file; if none is ready, put a watcher on each, and sleep.
 *
 * Every file is in use meanwhile, so a close() by another thread cannot take it away: it wakes the
 * poller, which reports POLLNVAL.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>
#include "deadline.h"

struct poller {
	struct waitq waiting;
	bool woken;
};

struct entry {
	struct watcher watcher;
	struct poller *poller;
	struct file *file;
};

/* More than this many descriptors need memory from the heap rather than the stack. */
#define ON_STACK 8

static bool entry_notify(struct watcher *w, uint32_t events)
{
	struct poller *poller = container_of(w, struct entry, watcher)->poller;

	(void)events;
	poller->woken = true;
	waitq_wake_one(&poller->waiting);
	return false;
}

static short entry_events(const struct entry *e, const struct pollfd *fd)
{
	uint32_t (*poll)(struct file * f);
	uint32_t events;

	if (fd->fd < 0)
		return 0;
	if (!e->file || e->file->closed)
		return POLLNVAL;
	poll = e->file->ops->poll;
	events = with_synonyms(poll ? poll(e->file) : POLLIN | POLLOUT);
	return (short)(events & ((unsigned short)fd->events | POLLERR | POLLHUP));
}

/* Fill in revents. Returns how many are not 0. */
static int scan(struct pollfd *fds, struct entry *entries, nfds_t count)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents = entry_events(&entries[i], &fds[i]);
		ready += fds[i].revents != 0;
	}
	return ready;
}

static void watch(struct entry *e, struct poller *poller)
{
	unsigned long irq;

	if (!e->file)
		return;
	*e = (struct entry){{.notify = entry_notify}, poller, e->file};
	irq = irq_save();
	ready_watch(&e->file->ready, &e->watcher);
	irq_restore(irq);
}

static void unwatch(struct entry *e)
{
	unsigned long irq = irq_save();

	if (e->file)
		ready_unwatch(&e->watcher);
	irq_restore(irq);
}

/* Returns false at the deadline. */
static bool sleep_until_woken(struct poller *poller, uint64_t deadline_ns)
{
	unsigned long irq = irq_save();
	bool woken;

	if (!poller->woken)
		waitq_wait(&poller->waiting, deadline_ns);
	woken = poller->woken;
	poller->woken = false;
	irq_restore(irq);
	return woken;
}

static int wait_for_events(struct pollfd *fds, struct entry *entries, nfds_t count,
                           uint64_t deadline_ns)
{
	struct poller poller = {.woken = false};
	int ready;

	waitq_init(&poller.waiting);
	for (nfds_t i = 0; i < count; i++)
		watch(&entries[i], &poller);
	do
		ready = scan(fds, entries, count);
	while (ready == 0 && sleep_until_woken(&poller, deadline_ns));
	for (nfds_t i = 0; i < count; i++)
		unwatch(&entries[i]);
	return ready;
}

/* block: false asks once. Returns how many are ready, or a negative errno. */
static int poll_until(struct pollfd *fds, nfds_t count, bool block, uint64_t deadline_ns)
{
	struct entry few[ON_STACK], *entries = few;
	int ready;

	if (count > FD_MAX)
		return -EINVAL;
	if (count > ON_STACK) {
		entries = malloc(count * sizeof(*entries));
		if (!entries)
			return -ENOMEM;
	}
	for (nfds_t i = 0; i < count; i++)
		entries[i].file = fds[i].fd < 0 ? NULL : fd_get(fds[i].fd);
	ready = scan(fds, entries, count);
	if (ready == 0 && block)
		ready = wait_for_events(fds, entries, count, deadline_ns);
	for (nfds_t i = 0; i < count; i++)
		if (entries[i].file)
			file_put(entries[i].file);
	if (entries != few)
		free(entries);
	return ready;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	uint64_t deadline_ns = timeout_ms == 0 ? 0 : deadline_in_ms(timeout_ms);

	return (int)libc_result(poll_until(fds, count, timeout_ms != 0, deadline_ns));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	uint64_t deadline_ns = TIME_FOREVER;

	(void)mask;
	if (timeout) {
		if (!timespec_valid(timeout))
			return (int)libc_result(-EINVAL);
		deadline_ns = deadline_in(timespec_ns(timeout));
	}
	return (int)libc_result(poll_until(fds, count, true, deadline_ns));
}

/* --- select, in terms of poll --- */

/* What each set asks of poll, and what in its answer puts a descriptor into the set (as on Linux).
 */
enum { READ, WRITE, EXCEPT, SETS };
static const short asks[SETS] = {POLLIN, POLLOUT, POLLPRI};
static const short answers[SETS] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI};

static short asked(fd_set *const sets[SETS], int fd)
{
	short events = 0;

	for (int i = 0; i < SETS; i++)
		if (sets[i] && FD_ISSET(fd, sets[i]))
			events |= asks[i];
	return events;
}

static nfds_t count_asked(fd_set *const sets[SETS], int fd_count)
{
	nfds_t count = 0;

	for (int fd = 0; fd < fd_count; fd++)
		count += asked(sets, fd) != 0;
	return count;
}

static void ask(fd_set *const sets[SETS], int fd_count, struct pollfd *fds)
{
	for (int fd = 0; fd < fd_count; fd++) {
		short events = asked(sets, fd);

		if (events)
			*fds++ = (struct pollfd){.fd = fd, .events = events};
	}
}

/* Returns how many bits are set now. */
static int answer(fd_set *const sets[SETS], const struct pollfd *fds, nfds_t count)
{
	int bits = 0;

	for (nfds_t n = 0; n < count; n++)
		for (int i = 0; i < SETS; i++) {
			if (!(fds[n].events & asks[i]))
				continue;
			if (fds[n].revents & answers[i])
				bits++;
			else
				FD_CLR(fds[n].fd, sets[i]);
		}
	return bits;
}

static bool any_closed(const struct pollfd *fds, nfds_t count)
{
	for (nfds_t n = 0; n < count; n++)
		if (fds[n].revents & POLLNVAL)
			return true;
	return false;
}

static int select_until(int fd_count, fd_set *const sets[SETS], uint64_t deadline_ns)
{
	struct pollfd few[ON_STACK], *fds = few;
	nfds_t count;
	int result;

	if (fd_count < 0 || fd_count > FD_SETSIZE)
		return -EINVAL;
	count = count_asked(sets, fd_count);
	if (count > ON_STACK) {
		fds = malloc(count * sizeof(*fds));
		if (!fds)
			return -ENOMEM;
	}
	ask(sets, fd_count, fds);
	result = poll_until(fds, count, true, deadline_ns);
	if (result >= 0)
		result = any_closed(fds, count) ? -EBADF : answer(sets, fds, count);
	if (fds != few)
		free(fds);
	return result;
}

int pselect(int fd_count, fd_set *read, fd_set *write, fd_set *except,
            const struct timespec *timeout, const sigset_t *mask)
{
	fd_set *const sets[SETS] = {read, write, except};
	uint64_t deadline_ns = TIME_FOREVER;

	(void)mask;
	if (timeout) {
		if (!timespec_valid(timeout))
			return (int)libc_result(-EINVAL);
		deadline_ns = deadline_in(timespec_ns(timeout));
	}
	return (int)libc_result(select_until(fd_count, sets, deadline_ns));
}

int select(int fd_count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout)
{
	struct timespec ts;

	if (!timeout)
		return pselect(fd_count, read, write, except, NULL, NULL);
	/* Microseconds of more than a second are carried over, as on Linux. */
	ts.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
	ts.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	return pselect(fd_count, read, write, except, &ts, NULL);
}
