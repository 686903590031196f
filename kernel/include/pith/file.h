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
	/* Interrupts masked, any context: may wake threads, may not block. events: what may be new. */
	void (*notify)(struct watcher *w, uint32_t events);
};

void ready_init(struct ready *r);
/* events: EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP | EPOLLPRI. Any context. */
void ready_notify(struct ready *r, uint32_t events);
void ready_watch(struct ready *r, struct watcher *w);
void ready_unwatch(struct watcher *w);

struct file;

/* All return a count or 0, or a negative errno. Missing operations give -EINVAL (see fd.c). */
struct file_ops {
	/* iov as in readv. offset < 0: at the file's position; else pread. */
	ssize_t (*read)(struct file *f, const struct iovec *iov, int iov_count);
	ssize_t (*write)(struct file *f, const struct iovec *iov, int iov_count);
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
	unsigned int users;	  /* calls in progress, + 1 while descriptors > 0 */
	int flags;		  /* O_ACCMODE | O_NONBLOCK | O_APPEND; changed by fcntl */
	bool closed;
	struct ready ready;
	off_t position;
};

/* Prepare an embedded struct file; not in the table yet, one user (the caller). */
void file_init(struct file *f, const struct file_ops *ops, int flags);
/*
 * Enter into the table at the lowest free number >= from. Consumes the caller's use on success.
 * cloexec is accepted and remembered. Returns the fd, or -EMFILE.
 */
int fd_install(struct file *f, int from, bool cloexec);
/* The open file of fd with a use taken (file_put to give it back), or NULL. */
struct file *fd_get(int fd);
void file_use(struct file *f);
void file_put(struct file *f);

/*
 * Sleep until a ready_notify on f, its closing, or the deadline. Interrupts must be masked from the
 * check of the condition to this call, as with waitq_wait.
 * Returns 0 woken (check again), -ETIMEDOUT, -EBADF closed meanwhile
 */
int file_wait(struct file *f, uint64_t deadline_ns);

/* Total bytes of an iovec, or -EINVAL. */
ssize_t iov_bytes(const struct iovec *iov, int iov_count);

/* Set errno from a negative result and return -1, else the result: the edge to libc conventions. */
long errno_return(long result);

size_t fd_count(void); /* open descriptors, for the status page */

#endif
