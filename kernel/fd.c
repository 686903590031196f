/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: the table, the life of an open file, and readiness.
 *
 * Life of a struct file: file_init() gives one use to its maker, fd_install() turns that into the
 * table's. Each call on a descriptor holds a use while it runs, so that close() never pulls a file
 * from under a thread: the last close() marks it closed and wakes everybody, they leave with EBADF,
 * and the last one out releases it.
 *
 * The table and the counts are guarded by masking interrupts, a few instructions at a time. The
 * table has its full size from the start (8 KiB of zeroed memory): opening a descriptor can then
 * fail for one reason only, and leaves nothing behind on the heap.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>
#include "libc.h"

#define WORD_BITS 64

struct file *fd_files[FD_MAX];
static uint64_t in_use[FD_MAX / WORD_BITS];
static uint64_t close_on_exec[FD_MAX / WORD_BITS];
static size_t open_count;

/* --- Readiness --- */

void ready_init(struct ready *r)
{
	list_init(&r->watchers);
	waitq_init(&r->blocked);
}

void ready_notify(struct ready *r, uint32_t events)
{
	unsigned long irq;
	bool taken = false;

	/* Whoever comes now looks at the file after that, and sees what this is about. */
	__asm__ volatile("" ::: "memory"); /* which the compiler has written before */
	if (list_empty(&r->watchers) && list_empty(&r->blocked.waiters))
		return;
	irq = irq_save();

	list_for_each_safe(l, &r->watchers) {
		struct watcher *w = container_of(l, struct watcher, link);

		if (w->exclusive && taken && events != READY_CLOSED)
			continue;
		taken |= w->notify(w, events) && w->exclusive;
	}
	if (!list_empty(&r->blocked.waiters))
		waitq_wake_all(&r->blocked);
	irq_restore(irq);
}

void ready_watch(struct ready *r, struct watcher *w)
{
	list_add_tail(&r->watchers, &w->link);
}

void ready_unwatch(struct watcher *w)
{
	list_remove(&w->link);
}

int file_wait(struct file *f, uint64_t deadline_ns)
{
	int err = f->closed ? 0 : waitq_wait(&f->ready.blocked, deadline_ns);

	return f->closed ? -EBADF : err;
}

/* --- The life of a file --- */

void file_init(struct file *f, const struct file_ops *ops, int flags)
{
	*f = (struct file){.ops = ops, .users = 1, .flags = flags};
	ready_init(&f->ready);
}

/* The next of the watchers that forgot themselves when the file was closed; NULL: none is left. */
static struct watcher *take_orphan(struct file *f)
{
	unsigned long irq = irq_save();
	struct list *l = f->ready.watchers.next;

	if (l != &f->ready.watchers)
		list_remove(l);
	irq_restore_quiet(irq);
	return l != &f->ready.watchers ? container_of(l, struct watcher, link) : NULL;
}

void file_release(struct file *f)
{
	struct watcher *w;

	while ((w = take_orphan(f)))
		w->notify(w, READY_RELEASED);
	f->ops->release(f);
}

/* The last descriptor is gone: f->closed is set. */
static void file_closed(struct file *f)
{
	ready_notify(&f->ready, READY_CLOSED);
	if (f->ops->closed)
		f->ops->closed(f);
	file_put(f);
}

/* --- The table; interrupts masked --- */

static bool bit(const uint64_t *bits, int fd)
{
	return bits[fd / WORD_BITS] >> (fd % WORD_BITS) & 1;
}

static void set_bit(uint64_t *bits, int fd, bool on)
{
	uint64_t mask = 1ull << (fd % WORD_BITS);

	if (on)
		bits[fd / WORD_BITS] |= mask;
	else
		bits[fd / WORD_BITS] &= ~mask;
}

static int lowest_free(int from)
{
	uint64_t mask = ~0ull << (from % WORD_BITS);

	for (unsigned int word = from / WORD_BITS; word < ARRAY_LEN(in_use); word++, mask = ~0ull) {
		uint64_t free_bits = ~in_use[word] & mask;

		if (free_bits)
			return (int)word * WORD_BITS + __builtin_ctzll(free_bits);
	}
	return -EMFILE;
}

/* f's use becomes the table's, or is dropped where the table has one already. */
static void enter(int fd, struct file *f, bool cloexec)
{
	if (f->descriptors++ > 0)
		f->users--;
	fd_files[fd] = f;
	set_bit(in_use, fd, true);
	set_bit(close_on_exec, fd, cloexec);
	open_count++;
}

/* Returns the file if this was its last descriptor (file_closed() is the caller's), else NULL. */
static struct file *leave(int fd)
{
	struct file *f = fd_files[fd];

	fd_files[fd] = NULL;
	set_bit(in_use, fd, false);
	open_count--;
	if (--f->descriptors > 0)
		return NULL;
	f->closed = true;
	return f;
}

static struct file *lookup(int fd)
{
	NEEDS(fd_init);
	return (unsigned int)fd < FD_MAX ? fd_files[fd] : NULL;
}

/* --- For the rest of the kernel --- */

int fd_install(struct file *f, int from, bool cloexec)
{
	unsigned long irq = irq_save();
	int fd = f->closed ? -EBADF : lowest_free(from);

	NEEDS(fd_init);
	if (fd >= 0)
		enter(fd, f, cloexec);
	irq_restore_quiet(irq);
	return fd;
}

/* Before any other descriptor: the console as 0, 1 and 2. From here on stdout is what 1 stands for. */
static int fd_init(void)
{
	struct file *console = console_file();

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fd > STDIN_FILENO)
			file_use(console);
		fd_install(console, fd, false);
	}
	stdio_use_descriptors();
	return 0;
}
INIT_IF_NEEDED(fd_init);

size_t fd_count(void)
{
	return open_count;
}

/* --- POSIX: close, dup, fcntl --- */

int close(int fd)
{
	unsigned long irq = irq_save();
	bool open = lookup(fd) != NULL;
	struct file *last = open ? leave(fd) : NULL;

	irq_restore_quiet(irq);
	if (last)
		file_closed(last);
	return (int)libc_result(open ? 0 : -EBADF);
}

static int dup_from(int old, int from, bool cloexec)
{
	struct file *f = fd_get(old);
	int fd;

	if (!f)
		return -EBADF;
	fd = (unsigned int)from < FD_MAX ? fd_install(f, from, cloexec) : -EINVAL;
	if (fd < 0)
		file_put(f);
	return fd;
}

/* Exactly at fd, closing what is there in the same breath. */
static int dup_at(int old, int fd, bool cloexec)
{
	struct file *f = (unsigned int)fd < FD_MAX ? fd_get(old) : NULL;
	struct file *last = NULL;
	unsigned long irq;

	if (!f)
		return -EBADF;
	irq = irq_save();
	if (f->closed) {
		irq_restore_quiet(irq);
		file_put(f);
		return -EBADF;
	}
	if (fd_files[fd])
		last = leave(fd);
	enter(fd, f, cloexec);
	irq_restore_quiet(irq);
	if (last)
		file_closed(last);
	return fd;
}

int dup(int old)
{
	return (int)libc_result(dup_from(old, 0, false));
}

int dup2(int old, int fd)
{
	struct file *f;

	if (old != fd)
		return (int)libc_result(dup_at(old, fd, false));
	f = fd_get(old);
	if (!f)
		return (int)libc_result(-EBADF);
	file_put(f);
	return fd;
}

int dup3(int old, int fd, int flags)
{
	if (old == fd || (flags & ~O_CLOEXEC))
		return (int)libc_result(-EINVAL);
	return (int)libc_result(dup_at(old, fd, flags & O_CLOEXEC));
}

/* What F_SETFL may change. */
#define SETTABLE (O_NONBLOCK | O_APPEND)

static int fd_flags(int fd, bool set, int flags)
{
	unsigned long irq = irq_save();
	int result = -EBADF;

	if (lookup(fd)) {
		if (set)
			set_bit(close_on_exec, fd, flags & FD_CLOEXEC);
		result = set ? 0 : bit(close_on_exec, fd) * FD_CLOEXEC;
	}
	irq_restore_quiet(irq);
	return result;
}

static int file_flags(int fd, bool set, int flags)
{
	struct file *f = fd_get(fd);
	int result;

	if (!f)
		return -EBADF;
	if (set)
		f->flags = (f->flags & ~SETTABLE) | (flags & SETTABLE);
	result = set ? 0 : f->flags;
	file_put(f);
	return result;
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	int arg;

	va_start(ap, cmd);
	arg = va_arg(ap, int);
	va_end(ap);
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return (int)libc_result(dup_from(fd, arg, cmd == F_DUPFD_CLOEXEC));
	case F_GETFD:
	case F_SETFD:
		return (int)libc_result(fd_flags(fd, cmd == F_SETFD, arg));
	case F_GETFL:
	case F_SETFL:
		return (int)libc_result(file_flags(fd, cmd == F_SETFL, arg));
	default:
		return (int)libc_result(-EINVAL);
	}
}
