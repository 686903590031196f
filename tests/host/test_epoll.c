/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: whatever is added, modified, deleted, notified, closed and reused in whatever order,
 * epoll_wait() reports what a model of epoll(7) says, level, edge and one-shot; it and poll() wake
 * for what happens meanwhile, even the closing of what they wait for; nothing is left on the heap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/file.h>
#include "threads.h"

void stdio_use_descriptors(void)
{
}

struct file *console_file(void)
{
	return NULL;
}

/* --- A file that is as ready as the test says --- */

struct fake {
	struct file file;
	uint32_t ready;
};

static uint32_t fake_poll(struct file *f)
{
	return container_of(f, struct fake, file)->ready;
}

static void fake_release(struct file *f)
{
	free(container_of(f, struct fake, file));
}

static const struct file_ops fake_ops = {.poll = fake_poll, .release = fake_release};

static int fake_open(struct fake **out)
{
	struct fake *f = calloc(1, sizeof(*f));

	file_init(&f->file, &fake_ops, O_RDWR);
	*out = f;
	return fd_install(&f->file, 0, false);
}

/* --- The model --- */

#define SETS  3
#define FILES 8
#define BITS  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

static struct fake *files[FILES]; /* NULL: closed */
static int fds[FILES], sets[SETS];

static struct {
	bool there, pending, deaf;
	uint32_t asked, mode;
	uint64_t data;
} items[SETS][FILES];

static uint32_t reportable(int set, int file)
{
	if (items[set][file].deaf)
		return 0;
	return files[file]->ready & (items[set][file].asked | EPOLLERR | EPOLLHUP);
}

static void model_ask(int set, int file, uint32_t events, uint64_t data)
{
	items[set][file].there = true;
	items[set][file].deaf = false;
	items[set][file].asked = events & BITS;
	items[set][file].mode = events & (EPOLLET | EPOLLONESHOT);
	items[set][file].data = data;
	items[set][file].pending = reportable(set, file) != 0;
}

static void try_control(int op)
{
	static const uint32_t modes[] = {0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT};
	int set = rand() % SETS, file = rand() % FILES;
	uint32_t events = ((uint32_t)rand() & BITS) | modes[rand() % 4];
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)rand() << 32 | file};
	int error = 0;

	if (!files[file])
		error = EBADF;
	else if (items[set][file].there != (op != EPOLL_CTL_ADD))
		error = op == EPOLL_CTL_ADD ? EEXIST : ENOENT;
	assert_int_equal(epoll_ctl(sets[set], op, fds[file], &e), error ? -1 : 0);
	if (error)
		assert_int_equal(errno, error);
	else if (op == EPOLL_CTL_DEL)
		items[set][file].there = false;
	else
		model_ask(set, file, events, e.data.u64);
}

/* As drivers do: what becomes ready is notified; a notification may also be for nothing. */
static void try_notify(void)
{
	int file = rand() % FILES;
	uint32_t now = (uint32_t)rand() & (BITS | EPOLLERR | EPOLLHUP);
	uint32_t events;

	if (!files[file])
		return;
	if (rand() % 2)
		now &= files[file]->ready; /* some was read, or nothing is new */
	events = (now & ~files[file]->ready) | ((uint32_t)rand() & now);
	files[file]->ready = now;
	for (int set = 0; set < SETS; set++)
		if (items[set][file].there && !items[set][file].deaf &&
		    (events & (items[set][file].asked | EPOLLERR | EPOLLHUP)))
			items[set][file].pending = true;
	ready_notify(&files[file]->file.ready, events);
}

static void try_close(void)
{
	int file = rand() % FILES;

	if (!files[file])
		return;
	assert_int_equal(close(fds[file]), 0);
	files[file] = NULL;
	fds[file] = -1;
	for (int set = 0; set < SETS; set++)
		items[set][file].there = false;
}

/* The number that was closed comes again, and must not bring back an old event. */
static void try_open(void)
{
	int file = rand() % FILES;

	if (!files[file])
		fds[file] = fake_open(&files[file]);
}

static void try_replace_set(void)
{
	int set = rand() % SETS;

	assert_int_equal(close(sets[set]), 0);
	sets[set] = epoll_create1(0);
	memset(items[set], 0, sizeof(items[set]));
}

static void try_wait(void)
{
	int set = rand() % SETS, n, want = 0;
	struct epoll_event got[FILES + 1];

	n = epoll_wait(sets[set], got, FILES + 1, 0);
	for (int file = 0; file < FILES; file++) {
		uint32_t events;
		bool found = false;

		if (!items[set][file].there)
			continue;
		events = reportable(set, file);
		if ((items[set][file].mode & EPOLLET) && !items[set][file].pending)
			events = 0;
		items[set][file].pending = false;
		if (!events)
			continue;
		want++;
		items[set][file].deaf = items[set][file].mode & EPOLLONESHOT;
		for (int i = 0; i < n; i++)
			found |=
			    got[i].data.u64 == items[set][file].data && got[i].events == events;
		assert_true(found);
	}
	assert_int_equal(n, want);
}

static void reports_what_the_model_says(void **state)
{
	(void)state;
	srand(2);
	for (int i = 0; i < SETS; i++)
		sets[i] = epoll_create1(0);
	for (int i = 0; i < FILES; i++)
		fds[i] = -1;
	for (int i = 0; i < 400000; i++) {
		int what = rand() % 100;

		if (what < 35)
			try_notify();
		else if (what < 65)
			try_wait();
		else if (what < 75)
			try_control(EPOLL_CTL_ADD);
		else if (what < 85)
			try_control(EPOLL_CTL_MOD);
		else if (what < 90)
			try_control(EPOLL_CTL_DEL);
		else if (what < 94)
			try_close();
		else if (what < 99)
			try_open();
		else
			try_replace_set();
	}
	for (int i = 0; i < SETS; i++)
		close(sets[i]);
	for (int i = 0; i < FILES; i++)
		if (files[i])
			close(fds[i]);
	assert_int_equal(fd_count(), 0);
}

/* --- Closing while in use --- */

static void an_item_outlives_its_set_and_file(void **state)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct fake *f;
	int ep = epoll_create1(0), fd = fake_open(&f);
	struct file *held = fd_get(fd);

	(void)state;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	close(fd);
	/* A call is still inside the file, and its driver still speaks. */
	f->ready = EPOLLIN;
	ready_notify(&f->file.ready, EPOLLIN);
	assert_int_equal(epoll_wait(ep, &e, 1, 0), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), -1);
	close(ep);
	ready_notify(&f->file.ready, EPOLLIN);
	file_put(held);
}

/* --- Waiting --- */

static int meanwhile_fd;

static void meanwhile_write(void)
{
	assert_int_equal(eventfd_write(meanwhile_fd, 1), 0);
}

static void meanwhile_close(void)
{
	assert_int_equal(close(meanwhile_fd), 0);
}

static struct file *noisy;
static void meanwhile_noise(void)
{
	ready_notify(&noisy->ready, EPOLLIN);
}

static void epoll_wait_wakes(void **state)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 5};
	int ep = epoll_create1(0);
	struct fake *f;
	int fd = fake_open(&f);

	(void)state;
	meanwhile_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, meanwhile_fd, &e), 0);
	meanwhile = meanwhile_write;
	assert_int_equal(epoll_wait(ep, &e, 1, -1), 1);
	assert_true(e.events == EPOLLIN && e.data.u64 == 5);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}),
	                 0);
	close(meanwhile_fd);

	/* A notification for nothing wakes it, but it waits on, no longer than it was to. */
	noisy = &f->file;
	meanwhile = meanwhile_noise;
	now_ns = 1000;
	assert_int_equal(epoll_wait(ep, &e, 1, 7), 0);
	assert_int_equal(now_ns, 1000 + 7 * NS_PER_MS);

	meanwhile_fd = ep;
	meanwhile = meanwhile_close;
	assert_int_equal(epoll_wait(ep, &e, 1, -1), -1);
	assert_int_equal(errno, EBADF);
	close(fd);
}

static void poll_wakes(void **state)
{
	struct pollfd pfd[2];
	struct fake *f;
	int fd = fake_open(&f);

	(void)state;
	meanwhile_fd = eventfd(0, EFD_NONBLOCK);
	pfd[0] = (struct pollfd){fd, POLLIN, 0};
	pfd[1] = (struct pollfd){meanwhile_fd, POLLIN, 0};
	meanwhile = meanwhile_write;
	assert_int_equal(poll(pfd, 2, -1), 1);
	assert_int_equal(pfd[1].revents, POLLIN);

	noisy = &f->file;
	meanwhile = meanwhile_noise;
	now_ns = 1000;
	assert_int_equal(poll(pfd, 1, 7), 0);
	assert_int_equal(now_ns, 1000 + 7 * NS_PER_MS);

	assert_int_equal(eventfd_read(meanwhile_fd, &(eventfd_t){0}), 0);
	meanwhile = meanwhile_close;
	assert_int_equal(poll(pfd, 2, -1), 1);
	assert_int_equal(pfd[1].revents, POLLNVAL);
	close(fd);
	assert_int_equal(fd_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reports_what_the_model_says),
	    cmocka_unit_test(an_item_outlives_its_set_and_file),
	    cmocka_unit_test(epoll_wait_wakes),
	    cmocka_unit_test(poll_wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
