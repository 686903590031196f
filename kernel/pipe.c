/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes: a ring of bytes between two files.
 *
 * The ring is small enough to be copied with interrupts masked, which makes every write of at most
 * PIPE_BUF bytes atomic, as POSIX wants. Each end tells the other when there is more to read or more
 * room, on every transfer: edge-triggered epoll relies on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>

#define PIPE_BYTES 4096

struct pipe {
	struct file reader, writer;
	unsigned int ends; /* not yet released */
	unsigned int start, used;
	char ring[PIPE_BYTES];
};

static struct pipe *of_reader(struct file *f)
{
	return container_of(f, struct pipe, reader);
}

static struct pipe *of_writer(struct file *f)
{
	return container_of(f, struct pipe, writer);
}

/* --- The ring; interrupts masked --- */

static size_t take(struct pipe *p, const struct iovec *iov, int iov_count)
{
	size_t total = 0, n;

	do {
		n = MIN(p->used, PIPE_BYTES - p->start);
		n = iov_put(iov, iov_count, total, p->ring + p->start, n);
		p->start = (p->start + n) % PIPE_BYTES;
		p->used -= n;
		total += n;
	} while (n > 0);
	return total;
}

/* From skip on, as much as fits. */
static size_t give(struct pipe *p, const struct iovec *iov, int iov_count, size_t skip)
{
	size_t total = 0, n;

	do {
		unsigned int end = (p->start + p->used) % PIPE_BYTES;

		n = MIN(PIPE_BYTES - p->used, PIPE_BYTES - end);
		n = iov_get(iov, iov_count, skip + total, p->ring + end, n);
		p->used += n;
		total += n;
	} while (n > 0);
	return total;
}

/* --- Reading end --- */

static ssize_t pipe_read(struct file *f, const struct iovec *iov, int iov_count)
{
	struct pipe *p = of_reader(f);
	ssize_t n = iov_bytes(iov, iov_count);
	unsigned long irq;

	if (n == 0)
		return 0;
	irq = irq_save();
	while (p->used == 0) {
		n = 0;
		if (!p->writer.closed)
			n = f->flags & O_NONBLOCK ? -EAGAIN : file_wait(f, TIME_FOREVER);
		if (n < 0 || p->writer.closed)
			break;
	}
	if (p->used > 0 && n >= 0) {
		n = (ssize_t)take(p, iov, iov_count);
		ready_notify(&p->writer.ready, POLLOUT);
	}
	irq_restore(irq);
	return n;
}

static uint32_t reader_poll(struct file *f)
{
	struct pipe *p = of_reader(f);

	return (p->used > 0 ? POLLIN : 0) | (p->writer.closed ? POLLHUP : 0);
}

static int reader_ioctl(struct file *f, unsigned long request, void *arg)
{
	if (request != FIONREAD)
		return -ENOTTY;
	*(int *)arg = (int)of_reader(f)->used;
	return 0;
}

static void reader_closed(struct file *f)
{
	ready_notify(&of_reader(f)->writer.ready, POLLERR | POLLOUT);
}

/* --- Writing end --- */

/* Wait until at least `room` bytes fit. 0 or a negative errno. */
static int wait_room(struct pipe *p, size_t room)
{
	for (;;) {
		int err;

		if (p->reader.closed)
			return -EPIPE;
		if (PIPE_BYTES - p->used >= room)
			return 0;
		if (p->writer.flags & O_NONBLOCK)
			return -EAGAIN;
		err = file_wait(&p->writer, TIME_FOREVER);
		if (err)
			return err;
	}
}

static ssize_t pipe_write(struct file *f, const struct iovec *iov, int iov_count)
{
	struct pipe *p = of_writer(f);
	size_t count = (size_t)iov_bytes(iov, iov_count), done = 0;
	int err = 0;

	while (done < count && !err) {
		unsigned long irq = irq_save();

		err = wait_room(p, count <= PIPE_BUF ? count : 1);
		if (!err) {
			done += give(p, iov, iov_count, done);
			ready_notify(&p->reader.ready, POLLIN);
		}
		irq_restore(irq);
	}
	return done > 0 ? (ssize_t)done : err;
}

static uint32_t writer_poll(struct file *f)
{
	struct pipe *p = of_writer(f);

	if (p->reader.closed)
		return POLLOUT | POLLERR;
	return PIPE_BYTES - p->used >= PIPE_BUF ? POLLOUT : 0;
}

static void writer_closed(struct file *f)
{
	ready_notify(&of_writer(f)->reader.ready, POLLHUP);
}

/* --- Both --- */

static int pipe_stat(struct file *f, struct stat *st)
{
	(void)f;
	st->st_mode |= S_IFIFO;
	st->st_blksize = PIPE_BYTES;
	return 0;
}

static void pipe_release(struct pipe *p)
{
	unsigned long irq = irq_save();
	unsigned int left = --p->ends;

	irq_restore(irq);
	if (left == 0)
		free(p);
}

static void reader_release(struct file *f)
{
	pipe_release(of_reader(f));
}

static void writer_release(struct file *f)
{
	pipe_release(of_writer(f));
}

static const struct file_ops reader_ops = {
    .read = pipe_read,
    .poll = reader_poll,
    .stat = pipe_stat,
    .ioctl = reader_ioctl,
    .closed = reader_closed,
    .release = reader_release,
};

static const struct file_ops writer_ops = {
    .write = pipe_write,
    .poll = writer_poll,
    .stat = pipe_stat,
    .closed = writer_closed,
    .release = writer_release,
};

static int pipe_open(int fds[2], int flags)
{
	struct pipe *p;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->ends = 2;
	p->start = p->used = 0;
	file_init(&p->reader, &reader_ops, O_RDONLY | (flags & O_NONBLOCK));
	file_init(&p->writer, &writer_ops, O_WRONLY | (flags & O_NONBLOCK));
	fds[0] = fd_install(&p->reader, 0, flags & O_CLOEXEC);
	if (fds[0] < 0) {
		free(p);
		return -EMFILE;
	}
	fds[1] = fd_install(&p->writer, 0, flags & O_CLOEXEC);
	if (fds[1] < 0) {
		file_put(&p->writer);
		close(fds[0]);
		return -EMFILE;
	}
	return 0;
}

int pipe2(int fds[2], int flags)
{
	return (int)libc_result(pipe_open(fds, flags));
}

int pipe(int fds[2])
{
	return pipe2(fds, 0);
}
