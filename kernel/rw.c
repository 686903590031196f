/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX calls on one descriptor: read, write and their kin, lseek, fstat, ioctl, isatty.
 *
 * The way to an operation is kept short: a use of the file taken and given back, and the access
 * mode, are all that comes between a call and the file's own operation.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/file.h>
#include <pith/irq.h>
#include <pith/result.h>

/* POSIX: no two reads or writes of one open file see the same position. */
static struct mutex position_lock = MUTEX_INIT(position_lock);

/* --- iovec --- */

ssize_t iov_bytes(const struct iovec *iov, int iov_count)
{
	size_t total = 0;

	if (iov_count < 0 || iov_count > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < iov_count; i++) {
		if (iov[i].iov_len > SSIZE_MAX - total)
			return -EINVAL;
		total += iov[i].iov_len;
	}
	return (ssize_t)total;
}

/* The next piece of an iovec after skip bytes, at most max long; NULL at its end. */
static void *iov_piece(const struct iovec *iov, int iov_count, size_t skip, size_t max,
                       size_t *bytes)
{
	for (int i = 0; i < iov_count; i++) {
		if (skip < iov[i].iov_len) {
			*bytes = MIN(iov[i].iov_len - skip, max);
			return (char *)iov[i].iov_base + skip;
		}
		skip -= iov[i].iov_len;
	}
	return NULL;
}

size_t iov_put(const struct iovec *iov, int iov_count, size_t skip, const void *from, size_t count)
{
	size_t done = 0, bytes;
	void *piece;

	if (iov_count == 1 && skip == 0) { /* read() into one buffer */
		count = MIN(count, iov->iov_len);
		memcpy(iov->iov_base, from, count);
		return count;
	}
	while (done < count &&
	       (piece = iov_piece(iov, iov_count, skip + done, count - done, &bytes))) {
		memcpy(piece, (const char *)from + done, bytes);
		done += bytes;
	}
	return done;
}

size_t iov_get(const struct iovec *iov, int iov_count, size_t skip, void *to, size_t count)
{
	size_t done = 0, bytes;
	void *piece;

	if (iov_count == 1 && skip == 0) { /* write() from one buffer */
		count = MIN(count, iov->iov_len);
		memcpy(to, iov->iov_base, count);
		return count;
	}
	while (done < count &&
	       (piece = iov_piece(iov, iov_count, skip + done, count - done, &bytes))) {
		memcpy((char *)to + done, piece, bytes);
		done += bytes;
	}
	return done;
}

/* --- Transfers --- */

static bool may_read(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

/* Read at the file's position, and move it on. */
static ssize_t read_on(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t n;

	mutex_lock(&position_lock);
	n = f->ops->read_at(f, iov, iov_count, f->position);
	if (n > 0)
		f->position += n;
	mutex_unlock(&position_lock);
	return n;
}

static ssize_t write_on(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t n;

	mutex_lock(&position_lock);
	if ((f->flags & O_APPEND) && f->ops->seek)
		f->position = f->ops->seek(f, 0, SEEK_END);
	n = f->ops->write_at(f, iov, iov_count, f->position);
	if (n > 0)
		f->position += n;
	mutex_unlock(&position_lock);
	return n;
}

static inline ssize_t fd_read(int fd, const struct iovec *iov, int iov_count)
{
	struct file *f = fd_get(fd);
	ssize_t n;

	if (!f)
		return libc_result(-EBADF);
	if (!may_read(f))
		n = -EBADF;
	else if (f->ops->read)
		n = f->ops->read(f, iov, iov_count);
	else
		n = f->ops->read_at ? read_on(f, iov, iov_count) : -EINVAL;
	file_put(f);
	return libc_result(n);
}

static inline ssize_t fd_write(int fd, const struct iovec *iov, int iov_count)
{
	struct file *f = fd_get(fd);
	ssize_t n;

	if (!f)
		return libc_result(-EBADF);
	if (!may_write(f))
		n = -EBADF;
	else if (f->ops->write)
		n = f->ops->write(f, iov, iov_count);
	else
		n = f->ops->write_at ? write_on(f, iov, iov_count) : -EINVAL;
	file_put(f);
	return libc_result(n);
}

ssize_t read(int fd, void *buf, size_t count)
{
	struct iovec iov = {buf, count};

	return count > SSIZE_MAX ? libc_result(-EINVAL) : fd_read(fd, &iov, 1);
}

ssize_t write(int fd, const void *buf, size_t count)
{
	struct iovec iov = {(void *)buf, count};

	return count > SSIZE_MAX ? libc_result(-EINVAL) : fd_write(fd, &iov, 1);
}

ssize_t readv(int fd, const struct iovec *iov, int iov_count)
{
	ssize_t bytes = iov_bytes(iov, iov_count);

	return bytes < 0 ? libc_result(bytes) : fd_read(fd, iov, iov_count);
}

ssize_t writev(int fd, const struct iovec *iov, int iov_count)
{
	ssize_t bytes = iov_bytes(iov, iov_count);

	return bytes < 0 ? libc_result(bytes) : fd_write(fd, iov, iov_count);
}

ssize_t pread(int fd, void *buf, size_t count, off_t offset)
{
	struct iovec iov = {buf, count};
	struct file *f;
	ssize_t n;

	if (offset < 0 || count > SSIZE_MAX)
		return libc_result(-EINVAL);
	f = fd_get(fd);
	if (!f)
		return libc_result(-EBADF);
	if (!may_read(f))
		n = -EBADF;
	else
		n = f->ops->read_at ? f->ops->read_at(f, &iov, 1, offset) : -ESPIPE;
	file_put(f);
	return libc_result(n);
}

ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset)
{
	struct iovec iov = {(void *)buf, count};
	struct file *f;
	ssize_t n;

	if (offset < 0 || count > SSIZE_MAX)
		return libc_result(-EINVAL);
	f = fd_get(fd);
	if (!f)
		return libc_result(-EBADF);
	if (!may_write(f))
		n = -EBADF;
	else
		n = f->ops->write_at ? f->ops->write_at(f, &iov, 1, offset) : -ESPIPE;
	file_put(f);
	return libc_result(n);
}

/* --- The rest --- */

off_t lseek(int fd, off_t offset, int whence)
{
	struct file *f = fd_get(fd);
	off_t position;

	if (!f)
		return libc_result(-EBADF);
	if (f->ops->seek) {
		mutex_lock(&position_lock);
		position = f->ops->seek(f, offset, whence);
		if (position >= 0)
			f->position = position;
		mutex_unlock(&position_lock);
	} else {
		position = -ESPIPE;
	}
	file_put(f);
	return libc_result(position);
}

int fstat(int fd, struct stat *st)
{
	struct file *f = fd_get(fd);
	int err = 0;

	if (!f)
		return (int)libc_result(-EBADF);
	*st = (struct stat){.st_nlink = 1, .st_mode = S_IRUSR | S_IWUSR};
	if (f->ops->stat)
		err = f->ops->stat(f, st);
	file_put(f);
	return (int)libc_result(err);
}

static int set_nonblock(struct file *f, bool on)
{
	if (on)
		f->flags |= O_NONBLOCK;
	else
		f->flags &= ~O_NONBLOCK;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct file *f;
	va_list ap;
	void *arg;
	int result;

	if (request == FIOCLEX || request == FIONCLEX)
		return fcntl(fd, F_SETFD, request == FIOCLEX ? FD_CLOEXEC : 0);
	f = fd_get(fd);
	if (!f)
		return (int)libc_result(-EBADF);
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == FIONBIO)
		result = set_nonblock(f, *(const int *)arg);
	else
		result = f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
	file_put(f);
	return (int)libc_result(result);
}

int isatty(int fd)
{
	struct file *f = fd_get(fd);
	bool terminal;

	if (!f)
		return (int)libc_result(-EBADF) == 0;
	terminal = f == console_file();
	file_put(f);
	if (!terminal)
		errno = ENOTTY;
	return terminal;
}
