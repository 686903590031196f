/* SPDX-License-Identifier: Apache-2.0 */
/* The few devices that programs open by name: the console, nothing, random bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/entropy.h>
#include <pith/file.h>
#include "names.h"

static int device_stat(struct file *f, struct stat *st)
{
	(void)f;
	st->st_mode = S_IFCHR | 0666;
	return 0;
}

static ssize_t null_read(struct file *f, const struct iovec *iov, int iov_count)
{
	(void)f, (void)iov, (void)iov_count;
	return 0;
}

static ssize_t null_write(struct file *f, const struct iovec *iov, int iov_count)
{
	(void)f;
	return iov_bytes(iov, iov_count);
}

static ssize_t random_read(struct file *f, const struct iovec *iov, int iov_count)
{
	ssize_t total = 0;

	for (int i = 0; i < iov_count; i++) {
		int err = random_bytes(iov[i].iov_base, iov[i].iov_len, f->flags & O_NONBLOCK);

		if (err)
			return total > 0 ? total : err;
		total += (ssize_t)iov[i].iov_len;
	}
	return total;
}

static void device_release(struct file *f)
{
	free(f);
}

static const struct file_ops null_ops = {
    .read = null_read,
    .write = null_write,
    .stat = device_stat,
    .release = device_release,
};

static const struct file_ops random_ops = {
    .read = random_read,
    .stat = device_stat,
    .release = device_release,
};

static int device_open(const struct file_ops *ops, int flags)
{
	struct file *f = malloc(sizeof(*f));
	int fd;

	if (!f)
		return -ENOMEM;
	file_init(f, ops, flags & ~O_CLOEXEC);
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		free(f);
	return fd;
}

static int null_open(int flags)
{
	return device_open(&null_ops, flags);
}

static int random_open(int flags)
{
	return device_open(&random_ops, flags);
}

/* Another descriptor of the one console. */
static int console_open(int flags)
{
	struct file *f = console_file();
	int fd;

	file_use(f);
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

static const struct device_file devices[] = {
    {"/dev/console", console_open}, {"/dev/null", null_open},      {"/dev/random", random_open},
    {"/dev/tty", console_open},     {"/dev/urandom", random_open},
};

const struct device_file *device_file_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (!strcmp(devices[i].path, path))
			return &devices[i];
	return NULL;
}
