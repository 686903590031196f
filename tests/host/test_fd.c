/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: descriptors are given out, shared and taken back as POSIX says, the lowest first, and a
 * full table says EMFILE; a file is told of its last close once, and released once, when the last
 * call inside it has ended; scatter and gather miss no byte, whatever the pieces; positions move as
 * they should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/file.h>
#include "threads.h"

struct counted {
	struct file file;
	int closed;
	bool *released;
};

static void on_closed(struct file *f)
{
	assert_true(f->closed);
	container_of(f, struct counted, file)->closed++;
}

static void on_release(struct file *f)
{
	struct counted *c = container_of(f, struct counted, file);

	assert_int_equal(c->closed, 1);
	assert_int_equal(f->descriptors, 0);
	if (c->released)
		*c->released = true;
	free(c);
}

static const struct file_ops counted_ops = {.closed = on_closed, .release = on_release};

static struct counted *new_file(void)
{
	struct counted *c = calloc(1, sizeof(*c));

	file_init(&c->file, &counted_ops, O_RDWR);
	return c;
}

static struct file console = {.ops = &counted_ops};

void stdio_use_descriptors(void)
{
}

struct file *console_file(void)
{
	return &console;
}

/* --- Against a model --- */

static struct {
	struct file *file;
	bool cloexec;
} model[FD_MAX];

static int model_lowest(int from)
{
	while (from < FD_MAX && model[from].file)
		from++;
	return from < FD_MAX ? from : -1;
}

static void model_set(int fd, struct file *f, bool cloexec)
{
	model[fd].file = f;
	model[fd].cloexec = cloexec;
}

static size_t model_count(void)
{
	size_t n = 0;

	for (int fd = 0; fd < FD_MAX; fd++)
		n += model[fd].file != NULL;
	return n;
}

static unsigned int model_descriptors(const struct file *f)
{
	unsigned int n = 0;

	for (int fd = 0; fd < FD_MAX; fd++)
		n += model[fd].file == f;
	return n;
}

/* Mostly open ones, sometimes none, sometimes no descriptor at all. */
static int random_fd(int span)
{
	return rand() % 20 ? rand() % span : rand() % (FD_MAX + 200) - 100;
}

static bool is_open(int fd)
{
	return fd >= 0 && fd < FD_MAX && model[fd].file;
}

static void try_install(void)
{
	bool cloexec = rand() % 2;
	struct counted *c = new_file();
	int want = model_lowest(0), fd = fd_install(&c->file, 0, cloexec);

	if (want < 0) {
		assert_int_equal(fd, -EMFILE);
		free(c);
		return;
	}
	assert_int_equal(fd, want);
	model_set(fd, &c->file, cloexec);
}

static void try_close(int fd)
{
	int result = close(fd);

	assert_int_equal(result, is_open(fd) ? 0 : -1);
	if (result == 0)
		model_set(fd, NULL, false);
	else
		assert_int_equal(errno, EBADF);
}

static void try_dup(int old, int from)
{
	bool cloexec = rand() % 2;
	int want = from < 0 || from >= FD_MAX ? -1 : model_lowest(from);
	int fd = fcntl(old, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, from);

	if (!is_open(old) || want < 0) {
		assert_int_equal(fd, -1);
		return;
	}
	assert_int_equal(fd, want);
	model_set(fd, model[old].file, cloexec);
}

static void try_dup_at(int old, int new, bool three)
{
	bool cloexec = three && rand() % 2;
	bool fits = is_open(old) && new >= 0 && new < FD_MAX && !(three && old == new);
	int fd = three ? dup3(old, new, cloexec ? O_CLOEXEC : 0) : dup2(old, new);

	assert_int_equal(fd, fits ? new : -1);
	if (fits && old != new)
		model_set(new, model[old].file, cloexec);
}

static void try_flags(int fd)
{
	if (rand() % 2) {
		int flag = rand() % 2 ? FD_CLOEXEC : 0;

		assert_int_equal(fcntl(fd, F_SETFD, flag), is_open(fd) ? 0 : -1);
		if (is_open(fd))
			model[fd].cloexec = flag;
	}
	assert_int_equal(fcntl(fd, F_GETFD), is_open(fd) ? model[fd].cloexec * FD_CLOEXEC : -1);
}

static void check_all(void)
{
	assert_int_equal(fd_count(), model_count());
	for (int fd = -2; fd < FD_MAX + 2; fd++) {
		struct file *f = fd_get(fd);

		assert_ptr_equal(f, is_open(fd) ? model[fd].file : NULL);
		if (!f)
			continue;
		assert_int_equal(f->descriptors, model_descriptors(f));
		assert_int_equal(f->users, 2);
		file_put(f);
	}
}

static void table_is_as_the_model_says(void **state)
{
	(void)state;
	srand(1);
	for (int n = 0; n < 60000; n++) {
		/* Small tables, where numbers meet; and from time to time a full one. */
		int span = n / 10000 % 3 == 2 ? FD_MAX : 20;

		switch (rand() % (span == FD_MAX ? 9 : 6)) {
		case 0:
			try_close(random_fd(span));
			break;
		case 1:
			try_dup(random_fd(span), random_fd(span));
			break;
		case 2:
			try_dup_at(random_fd(span), random_fd(span), rand() % 2);
			break;
		case 3:
			try_flags(random_fd(span));
			break;
		case 4:
			try_close(random_fd(span));
			break;
		default:
			try_install();
		}
		if (n % 500 == 0)
			check_all();
	}
	for (int fd = 0; fd < FD_MAX; fd++)
		try_close(fd);
	assert_int_equal(fd_count(), 0);
}

/* --- Close while in use --- */

static void a_call_inside_keeps_the_file(void **state)
{
	bool released = false;
	struct counted *c = new_file();
	struct file *f;
	int fd, copy;

	(void)state;
	c->released = &released;
	fd = fd_install(&c->file, 0, false);
	f = fd_get(fd);
	copy = dup(fd);
	assert_int_equal(close(fd), 0);
	assert_false(f->closed);
	assert_int_equal(close(copy), 0);
	assert_true(f->closed);
	assert_false(released);
	assert_int_equal(file_wait(f, TIME_FOREVER), -EBADF);
	assert_int_equal(fd_install(f, 0, false), -EBADF);
	assert_null(fd_get(fd));
	file_put(f);
	assert_true(released);
}

static int close_me;

static void close_it(void)
{
	close(close_me);
}

static void close_wakes_who_waits(void **state)
{
	struct counted *c = new_file();
	struct file *f;

	(void)state;
	close_me = fd_install(&c->file, 0, false);
	f = fd_get(close_me);
	meanwhile = close_it;
	assert_int_equal(file_wait(f, TIME_FOREVER), -EBADF);
	file_put(f);
}

static int notified, exclusive_notified;

static bool watcher_notify(struct watcher *w, uint32_t events)
{
	(void)events;
	notified++;
	exclusive_notified += w->exclusive;
	return true;
}

static void one_exclusive_watcher_is_told(void **state)
{
	struct watcher plain = {.notify = watcher_notify}, plain2 = plain;
	struct watcher exclusive = {.notify = watcher_notify, .exclusive = true},
	               second = exclusive;
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_watch(&r, &plain);
	ready_watch(&r, &exclusive);
	ready_watch(&r, &second);
	ready_watch(&r, &plain2);
	ready_notify(&r, EPOLLIN);
	assert_int_equal(notified, 3);
	assert_int_equal(exclusive_notified, 1);
	ready_notify(&r, READY_CLOSED);
	assert_int_equal(notified, 3 + 4);
	ready_unwatch(&plain);
	ready_unwatch(&exclusive);
	ready_unwatch(&second);
	ready_unwatch(&plain2);
	ready_notify(&r, EPOLLIN);
	assert_int_equal(notified, 3 + 4);
}

/* --- iovec --- */

/* Cut up to 60 bytes of memory into pieces, some of them empty. */
static int random_iov(struct iovec *iov, char *memory, size_t bytes)
{
	int count = 0;

	while (bytes > 0 && count < 9) {
		size_t n = (size_t)rand() % 3 ? (size_t)rand() % (bytes + 1) : 0;

		iov[count++] = (struct iovec){memory, n};
		memory += n;
		bytes -= n;
	}
	iov[count++] = (struct iovec){memory, bytes};
	return count;
}

static void scatter_and_gather_miss_no_byte(void **state)
{
	char memory[60], flat[60], from[60];
	struct iovec iov[10];

	(void)state;
	for (int n = 0; n < 20000; n++) {
		size_t total = (size_t)rand() % 61, skip = (size_t)rand() % 70;
		size_t count = (size_t)rand() % 61;
		size_t want = skip < total ? MIN(count, total - skip) : 0;
		int iov_count = random_iov(iov, memory, total);

		assert_int_equal(iov_bytes(iov, iov_count), total);
		for (size_t i = 0; i < sizeof(from); i++)
			from[i] = (char)rand();
		memset(memory, 0x55, sizeof(memory));
		memset(flat, 0x55, sizeof(flat));
		if (want)
			memcpy(flat + skip, from, want);
		assert_int_equal(iov_put(iov, iov_count, skip, from, count), want);
		assert_memory_equal(memory, flat, sizeof(flat));
		memset(flat, 0, sizeof(flat));
		assert_int_equal(iov_get(iov, iov_count, skip, flat, count), want);
		assert_memory_equal(flat, from, want);
	}
}

static void impossible_lengths_are_refused(void **state)
{
	struct iovec iov[2] = {{NULL, SSIZE_MAX}, {NULL, 1}};
	volatile size_t too_many = (size_t)SSIZE_MAX + 1;
	char byte;

	(void)state;
	assert_int_equal(iov_bytes(iov, 1), SSIZE_MAX);
	assert_int_equal(iov_bytes(iov, 2), -EINVAL);
	assert_int_equal(iov_bytes(iov, -1), -EINVAL);
	assert_int_equal(iov_bytes(iov, IOV_MAX + 1), -EINVAL);
	assert_int_equal(read(0, &byte, too_many), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(writev(0, iov, 2), -1);
	assert_int_equal(errno, EINVAL);
}

/* --- Files with positions --- */

static char disk[64];

static ssize_t disk_read_at(struct file *f, const struct iovec *iov, int iov_count, off_t offset)
{
	(void)f;
	return offset < 64 ? (ssize_t)iov_put(iov, iov_count, 0, disk + offset, 64 - offset) : 0;
}

static ssize_t disk_write_at(struct file *f, const struct iovec *iov, int iov_count, off_t offset)
{
	(void)f;
	return offset < 64 ? (ssize_t)iov_get(iov, iov_count, 0, disk + offset, 64 - offset) : -EIO;
}

static off_t disk_seek(struct file *f, off_t offset, int whence)
{
	return whence == SEEK_SET   ? offset
	       : whence == SEEK_CUR ? f->position + offset
	                            : 40 + offset;
}

static void disk_release(struct file *f)
{
	free(f);
}

static const struct file_ops disk_ops = {
    .read_at = disk_read_at, .write_at = disk_write_at, .seek = disk_seek, .release = disk_release};

static void positions_move(void **state)
{
	struct file *f = calloc(1, sizeof(*f));
	char buf[8];
	int fd;

	(void)state;
	for (int i = 0; i < 64; i++)
		disk[i] = (char)i;
	file_init(f, &disk_ops, O_RDWR);
	fd = fd_install(f, 0, false);
	assert_int_equal(read(fd, buf, 8), 8);
	assert_int_equal(pread(fd, buf, 8, 30), 8);
	assert_int_equal(buf[0], 30);
	assert_int_equal(read(fd, buf, 8), 8);
	assert_int_equal(buf[0], 8);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_memory_equal(disk + 16, "abc", 3);
	assert_int_equal(pwrite(fd, "def", 3, 50), 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 19);
	assert_int_equal(lseek(fd, 60, SEEK_SET), 60);
	assert_int_equal(read(fd, buf, 8), 4);
	assert_int_equal(read(fd, buf, 8), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	assert_int_equal(write(fd, "end", 3), 3);
	assert_memory_equal(disk + 40, "end", 3);
	assert_int_equal(pread(fd, buf, 8, -1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(close(fd), 0);
}

static void what_a_file_lacks_is_an_error(void **state)
{
	struct counted *c = new_file();
	int fd = fd_install(&c->file, 0, false), on = 1;
	char byte;

	(void)state;
	assert_true(read(fd, &byte, 1) == -1 && errno == EINVAL);
	assert_true(write(fd, &byte, 1) == -1 && errno == EINVAL);
	assert_true(pread(fd, &byte, 1, 0) == -1 && errno == ESPIPE);
	assert_true(lseek(fd, 0, SEEK_SET) == -1 && errno == ESPIPE);
	assert_true(ioctl(fd, 12345, &on) == -1 && errno == ENOTTY);
	assert_int_equal(ioctl(fd, FIONBIO, &on), 0);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	assert_int_equal(ioctl(fd, FIOCLEX), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETFL, O_WRONLY), 0);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR); /* the access mode stays */
	assert_int_equal(isatty(fd), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_is_as_the_model_says),
	    cmocka_unit_test(a_call_inside_keeps_the_file),
	    cmocka_unit_test(close_wakes_who_waits),
	    cmocka_unit_test(one_exclusive_watcher_is_told),
	    cmocka_unit_test(scatter_and_gather_miss_no_byte),
	    cmocka_unit_test(impossible_lengths_are_refused),
	    cmocka_unit_test(positions_move),
	    cmocka_unit_test(what_a_file_lacks_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
