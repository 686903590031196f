/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll: sets of descriptors, of which the ready ones are found without looking at the others.
 *
 * An item is a watcher on a file. A notification puts it on its set's ready list; epoll_wait()
 *takes it off, asks the file what is ready now, and what it reports depends on the item's mode:
 *
 *	level      back to the end of the list, so that the next call asks again; when the file says
 *	           that nothing is ready any more, it stays off
 *	edge       off the list until the next notification
 *	one-shot   deaf until EPOLL_CTL_MOD
 *
 * An item holds no use of its file: when the last descriptor is closed, the item leaves the set at
 * once (READY_CLOSED), so a descriptor that is reused never delivers an old event; its memory is
 * freed with the file.
 *
 * Everything is guarded by masking interrupts, one item at a time.
 *
 * Source: epoll(7), epoll_ctl(2), epoll_wait(2) of the Linux man-pages
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>
#include "deadline.h"

struct epoll {
	struct file file;
	struct list items;
	struct list ready;
	unsigned int ready_count;
};

struct item {
	struct watcher watcher;
	struct epoll *set; /* NULL: the file was closed */
	struct file *file;
	int fd;
	uint32_t events; /* asked for, with EPOLLERR and EPOLLHUP; 0: a one-shot that was shot */
	uint32_t mode;   /* EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE */
	epoll_data_t data;
	struct list in_set;
	struct list in_ready; /* empty: not ready */
};

#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)
/* How deep sets may be within sets: each level is a level of recursion in a notification. */
#define DEPTH_MAX 5

static const struct file_ops epoll_ops;

static bool is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

/* --- Items; interrupts masked --- */

static inline void item_ready(struct item *item)
{
	if (!list_empty(&item->in_ready))
		return;
	list_add_tail(&item->set->ready, &item->in_ready);
	item->set->ready_count++;
}

static inline void item_unready(struct item *item)
{
	if (list_empty(&item->in_ready))
		return;
	list_remove(&item->in_ready);
	item->set->ready_count--;
}

static void item_leave(struct item *item)
{
	item_unready(item);
	list_remove(&item->in_set);
	item->set = NULL;
}

static inline uint32_t item_events(const struct item *item)
{
	struct file *f = item->file;

	return item->events ? with_synonyms(f->ops->poll(f)) & item->events : 0;
}

/* One thread in epoll_wait() can take it; poll()ers of the set and sets around it hear of it. */
static inline void set_wake(struct epoll *set)
{
	if (!list_empty(&set->file.ready.blocked.waiters))
		waitq_wake_one(&set->file.ready.blocked);
	if (!list_empty(&set->file.ready.watchers))
		ready_notify(&set->file.ready, EPOLLIN);
}

static FAST bool item_notify(struct watcher *w, uint32_t events)
{
	struct item *item = container_of(w, struct item, watcher);

	if (!item->set) {
		if (events == READY_RELEASED)
			free(item);
		return false;
	}
	if (events == READY_CLOSED) {
		item_leave(item);
		return false;
	}
	if (!(with_synonyms(events) & item->events))
		return false;
	item_ready(item);
	set_wake(item->set);
	return true;
}

/* Asked anew: what is ready already counts as a notification. */
static NOINLINE void item_ask(struct item *item, const struct epoll_event *event)
{
	item->events = (event->events & ~MODES) | EPOLLERR | EPOLLHUP;
	item->mode = event->events & MODES;
	item->data = event->data;
	item->watcher.exclusive = item->mode & EPOLLEXCLUSIVE;
	if (item_events(item)) {
		item_ready(item);
		set_wake(item->set);
	}
}

/* A file is in few sets, mostly one: its watchers are the shortest list to search. */
static struct item *item_find(struct epoll *set, struct file *f, int fd)
{
	list_for_each(l, &f->ready.watchers) {
		struct item *item = container_of(l, struct item, watcher.link);

		if (item->watcher.notify == item_notify && item->set == set && item->fd == fd)
			return item;
	}
	return NULL;
}

/* --- The set as a file --- */

/* Readable when an item is: what was ready once but is no more goes off the list. */
static uint32_t epoll_poll(struct file *f)
{
	struct epoll *set = container_of(f, struct epoll, file);
	unsigned long irq = irq_save();
	uint32_t events = 0;

	while (!list_empty(&set->ready)) {
		struct item *item = container_of(set->ready.next, struct item, in_ready);

		if (item_events(item)) {
			events = EPOLLIN;
			break;
		}
		item_unready(item);
	}
	irq_restore_quiet(irq);
	return events;
}

static void epoll_closed(struct file *f)
{
	struct epoll *set = container_of(f, struct epoll, file);

	for (;;) {
		unsigned long irq = irq_save();
		struct item *item = NULL;

		if (!list_empty(&set->items)) {
			item = container_of(set->items.next, struct item, in_set);
			item_leave(item);
			ready_unwatch(&item->watcher);
		}
		irq_restore_quiet(irq);
		if (!item)
			return;
		free(item);
	}
}

static void epoll_release(struct file *f)
{
	free(container_of(f, struct epoll, file));
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .closed = epoll_closed,
    .release = epoll_release,
};

int epoll_create1(int flags)
{
	struct epoll *set;
	int fd;

	if (flags & ~EPOLL_CLOEXEC)
		return (int)libc_result(-EINVAL);
	set = malloc(sizeof(*set));
	if (!set)
		return (int)libc_result(-ENOMEM);
	file_init(&set->file, &epoll_ops, O_RDWR);
	list_init(&set->items);
	list_init(&set->ready);
	set->ready_count = 0;
	fd = fd_install(&set->file, 0, flags & EPOLL_CLOEXEC);
	if (fd < 0)
		free(set);
	return (int)libc_result(fd);
}

int epoll_create(int size)
{
	return size > 0 ? epoll_create1(0) : (int)libc_result(-EINVAL);
}

/* --- Sets within sets; interrupts masked --- */

/* How many levels of sets there are from f down, or DEPTH_MAX + 1: too deep, or `set` is there. */
static int depth_below(struct file *f, const struct epoll *set)
{
	int deepest = 0;

	if (!is_epoll(f))
		return 0;
	if (container_of(f, struct epoll, file) == set)
		return DEPTH_MAX + 1;
	list_for_each(l, &container_of(f, struct epoll, file)->items) {
		int depth = depth_below(container_of(l, struct item, in_set)->file, set);

		deepest = MAX(deepest, depth);
	}
	return MIN(deepest, DEPTH_MAX) + 1;
}

static int depth_above(struct epoll *set)
{
	int highest = 0;

	list_for_each(l, &set->file.ready.watchers) {
		struct item *item = container_of(l, struct item, watcher.link);

		if (item->watcher.notify == item_notify && item->set)
			highest = MAX(highest, depth_above(item->set));
	}
	return highest + 1;
}

/* --- epoll_ctl --- */

static int item_add(struct epoll *set, struct file *f, int fd, const struct epoll_event *event)
{
	struct item *item = malloc(sizeof(*item));
	unsigned long irq;
	int err = 0;

	if (!item)
		return -ENOMEM;
	*item = (struct item){.watcher.notify = item_notify, .set = set, .file = f, .fd = fd};
	list_init(&item->in_ready);
	irq = irq_save();
	if (f->closed || set->file.closed)
		err = -EBADF;
	else if (item_find(set, f, fd))
		err = -EEXIST;
	else if (is_epoll(f) && depth_above(set) + depth_below(f, set) > DEPTH_MAX)
		err = -ELOOP;
	if (!err) {
		list_add_tail(&set->items, &item->in_set);
		ready_watch(&f->ready, &item->watcher);
		item_ask(item, event);
	}
	irq_restore(irq);
	if (err)
		free(item);
	return err;
}

static int item_modify(struct epoll *set, struct file *f, int fd, const struct epoll_event *event)
{
	unsigned long irq = irq_save();
	struct item *item = item_find(set, f, fd);
	int err = item ? 0 : -ENOENT;

	if (item && ((item->mode | event->events) & EPOLLEXCLUSIVE))
		err = -EINVAL;
	if (!err) {
		item_unready(item);
		item_ask(item, event);
	}
	irq_restore(irq);
	return err;
}

static int item_delete(struct epoll *set, struct file *f, int fd)
{
	unsigned long irq = irq_save();
	struct item *item = item_find(set, f, fd);

	if (item) {
		item_leave(item);
		ready_unwatch(&item->watcher);
	}
	irq_restore_quiet(irq);
	free(item);
	return item ? 0 : -ENOENT;
}

/* What may stand beside EPOLLEXCLUSIVE. */
#define EXCLUSIVE_OK \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLET | EPOLLWAKEUP | EPOLLEXCLUSIVE)

static int control(struct file *set_file, int op, struct file *f, int fd,
                   const struct epoll_event *event)
{
	struct epoll *set = container_of(set_file, struct epoll, file);

	if (!f->ops->poll)
		return -EPERM;
	if (f == set_file || !is_epoll(set_file))
		return -EINVAL;
	switch (op) {
	case EPOLL_CTL_ADD:
		if ((event->events & EPOLLEXCLUSIVE) &&
		    ((event->events & ~EXCLUSIVE_OK) || is_epoll(f)))
			return -EINVAL;
		return item_add(set, f, fd, event);
	case EPOLL_CTL_MOD:
		return item_modify(set, f, fd, event);
	case EPOLL_CTL_DEL:
		return item_delete(set, f, fd);
	default:
		return -EINVAL;
	}
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct file *set_file = fd_get(epfd), *f = fd_get(fd);
	int result = set_file && f ? control(set_file, op, f, fd, event) : -EBADF;

	if (f)
		file_put(f);
	if (set_file)
		file_put(set_file);
	return (int)libc_result(result);
}

/* --- epoll_wait --- */

/*
 * Take what is ready, each item at most once: those that go back to the end of the list are beyond
 * the count it had at the start. Interrupts are let in after each.
 */
static FAST int collect(struct epoll *set, struct epoll_event *events, int max)
{
	int n = 0;

	for (unsigned int left = set->ready_count; left > 0 && n < max; left--) {
		unsigned long irq = irq_save();
		struct item *item;
		uint32_t got;

		if (list_empty(&set->ready)) {
			irq_restore_quiet(irq);
			break;
		}
		item = container_of(set->ready.next, struct item, in_ready);
		item_unready(item);
		got = item_events(item);
		if (got) {
			events[n++] = (struct epoll_event){got, item->data};
			if (item->mode & EPOLLONESHOT)
				item->events = 0;
			else if (!(item->mode & EPOLLET))
				item_ready(item);
		}
		irq_restore_quiet(irq);
	}
	return n;
}

/* Sleep until something may be ready. 0, -ETIMEDOUT or -EBADF. */
static NOINLINE int wait_ready(struct epoll *set, uint64_t deadline_ns)
{
	unsigned long irq = irq_save();
	int err = 0;

	while (list_empty(&set->ready) && !err)
		err = file_wait(&set->file, deadline_ns);
	irq_restore_quiet(irq);
	return err;
}

static FAST int wait_events(struct epoll *set, struct epoll_event *events, int max, int timeout_ms)
{
	uint64_t deadline_ns = 0;
	int n, err;

	while ((n = collect(set, events, max)) == 0 && timeout_ms != 0) {
		if (deadline_ns == 0)
			deadline_ns = deadline_in_ms(timeout_ms);
		err = wait_ready(set, deadline_ns);
		if (err)
			return err == -ETIMEDOUT ? 0 : err;
	}
	/* What is left may be for another thread, of which each notification woke only one. */
	if (set->ready_count > 0 && !list_empty(&set->file.ready.blocked.waiters))
		waitq_wake_one(&set->file.ready.blocked);
	return n;
}

FAST int epoll_wait(int epfd, struct epoll_event *events, int max_events, int timeout_ms)
{
	struct file *f = fd_get(epfd);
	int n = -EBADF;

	if (f) {
		n = -EINVAL;
		if (is_epoll(f) && max_events > 0)
			n = wait_events(container_of(f, struct epoll, file), events, max_events,
			                timeout_ms);
		file_put(f);
	}
	return (int)libc_result(n);
}

int epoll_pwait(int epfd, struct epoll_event *events, int max_events, int timeout_ms,
                const sigset_t *mask)
{
	(void)mask;
	return epoll_wait(epfd, events, max_events, timeout_ms);
}
