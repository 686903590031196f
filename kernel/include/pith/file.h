/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: one table for console, sockets, pipes, bundled files; and readiness, the one
 * mechanism under poll, select, epoll and every blocking call.
 */
#ifndef PITH_FILE_H
#define PITH_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <pith/init.h>
#include <pith/irq.h>
#include <pith/list.h>
#include <pith/thread.h>

/*
 * A readiness source. Whoever waits puts a watcher on it; whoever makes the file ready notifies it.
 * What is ready is asked from the file (file_ops.poll), so a notification may be spurious but is
 * never lost.
 */
struct ready {
	struct list watchers;
	struct waitq blocked; /* threads in blocking calls on this very file */
};

struct watcher {
	struct list link;
	/* Of all exclusive watchers of a file, a notification goes only to the first that takes it. */
	bool exclusive;
	/*
	 * Interrupts masked, any context: may wake threads, may not block. events: what may be new, or
	 * READY_CLOSED: the file is going away. A watcher that does not keep the file from that (by
	 * file_use) stays linked until READY_RELEASED, the last it hears, in a context that may block:
	 * then it is nobody's any more, and frees itself.
	 * Returns  true if taken: somebody will look at the file
	 */
	bool (*notify)(struct watcher *w, uint32_t events);
};
#define READY_CLOSED   (1u << 27)
#define READY_RELEASED (1u << 26)

void ready_init(struct ready *r);
/* events: EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP | EPOLLPRI. Any context. */
void ready_notify(struct ready *r, uint32_t events);
/* Interrupts masked, so that the file can be asked in the same breath. */
void ready_watch(struct ready *r, struct watcher *w);
void ready_unwatch(struct watcher *w);

struct file;

/*
 * All return a count or 0, or a negative errno. Every operation but release may be missing: no read,
 * write or seek gives EINVAL or ESPIPE, no poll means always ready and nothing for epoll, no stat a
 * file of no type, no ioctl ENOTTY.
 */
struct file_ops {
	/* iov as in readv; the access mode and the byte count (at most SSIZE_MAX) have been checked. */
	ssize_t (*read)(struct file *f, const struct iovec *iov, int iov_count);
	ssize_t (*write)(struct file *f, const struct iovec *iov, int iov_count);
	/* What has positions has these instead; read() and write() keep f->position. */
	ssize_t (*read_at)(struct file *f, const struct iovec *iov, int iov_count, off_t offset);
	ssize_t (*write_at)(struct file *f, const struct iovec *iov, int iov_count, off_t offset);
	/* What is ready now, as EPOLL* bits; never blocks, any context with interrupts on or off. */
	uint32_t (*poll)(struct file *f);
	off_t (*seek)(struct file *f, off_t offset, int whence);
	int (*stat)(struct file *f, struct stat *st);
	int (*ioctl)(struct file *f, unsigned long request, void *arg);
	/*
	 * The last descriptor is gone (close() of the last dup). Threads may still be inside calls:
	 * they are woken (f->closed is set before this) and leave with -EBADF. May block.
	 */
	void (*closed)(struct file *f);
	/* Nobody is inside any more: free everything, f too. May block. */
	void (*release)(struct file *f);
};

struct file {
	const struct file_ops *ops;
	unsigned int descriptors; /* entries of the fd table */
	unsigned int users;       /* calls in progress, + 1 while descriptors > 0 */
	int flags;                /* O_ACCMODE | O_NONBLOCK | O_APPEND; changed by fcntl */
	bool closed;
	struct ready ready;
	off_t position;
};

/* Prepare an embedded struct file; not in the table yet, one user (the caller). */
void file_init(struct file *f, const struct file_ops *ops, int flags);
#define FD_MAX 1024 /* descriptors; FD_SETSIZE */
/*
 * Enter into the table at the lowest free number >= from. Consumes the caller's use on success.
 * cloexec is accepted and remembered. Returns the fd, -EMFILE, or -EBADF (closed meanwhile).
 */
int fd_install(struct file *f, int from, bool cloexec);
/* fd.c's, here for the inlines that every call on a descriptor begins and ends with. */
extern struct file *fd_files[FD_MAX];
void file_release(struct file *f);

/* The open file of fd with a use taken (file_put to give it back), or NULL. */
static inline struct file *fd_get(int fd)
{
	unsigned long irq = irq_save();
	struct file *f = (unsigned int)fd < FD_MAX ? fd_files[fd] : NULL;

	NEEDS(fd_init);
	if (f)
		f->users++;
	irq_restore_quiet(irq);
	return f;
}

static inline void file_use(struct file *f)
{
	unsigned long irq = irq_save();

	f->users++;
	irq_restore_quiet(irq);
}

static inline void file_put(struct file *f)
{
	unsigned long irq = irq_save();
	unsigned int users = --f->users;

	irq_restore_quiet(irq);
	if (users == 0)
		file_release(f);
}

/*
 * Sleep until a ready_notify on f, its closing, or the deadline. Interrupts must be masked from the
 * check of the condition to this call, as with waitq_wait.
 * Returns 0 woken (check again), -ETIMEDOUT, -EBADF closed meanwhile
 */
int file_wait(struct file *f, uint64_t deadline_ns);

/* Files speak of EPOLLIN and EPOLLOUT (1 and 4); their synonyms EPOLLRDNORM and EPOLLWRNORM are << 6. */
static inline uint32_t with_synonyms(uint32_t events)
{
	return events | (events & 5) << 6;
}

/* Total bytes of an iovec, or -EINVAL. */
ssize_t iov_bytes(const struct iovec *iov, int iov_count);
/*
 * Copy to or from an iovec, starting skip bytes into it, at most count bytes. Returns bytes copied:
 * fewer than count only at the iovec's end.
 */
size_t iov_put(const struct iovec *iov, int iov_count, size_t skip, const void *from, size_t count);
size_t iov_get(const struct iovec *iov, int iov_count, size_t skip, void *to, size_t count);

/* Set errno from a negative result and return -1, else the result: the edge to libc conventions. */
long errno_return(long result);

size_t fd_count(void); /* open descriptors, for the status page */

#endif
