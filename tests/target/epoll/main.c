/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll behaves as on Linux: this program runs there, too, and must say the same (test_posix.py).
 * What Linux leaves open, or does otherwise on purpose, is under #ifndef __linux__.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "check.h"

#define MS 1000000ll

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * MS}, NULL);
}

static int ctl(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	return epoll_ctl(ep, op, fd, &e);
}

/* The one event that is ready now; 0 if there is none; ~0 if there are several. */
static uint32_t ready(int ep)
{
	struct epoll_event e[4];
	int n = epoll_wait(ep, e, 4, 0);

	return n == 1 ? e[0].events : n == 0 ? 0 : ~0u;
}

static void put(int fd)
{
	if (write(fd, "x", 1) != 1)
		abort();
}

static void drain(int fd)
{
	char buf[256];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

static void fill(int fd)
{
	static const char zeros[256];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	while (write(fd, zeros, 1) > 0)
		;
}

static void close_pipe(int p[2])
{
	close(p[0]);
	close(p[1]);
}

/* --- Modes --- */

static void test_level(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	CHECK("level: an empty pipe is not ready", ready(ep) == 0);
	put(p[1]);
	CHECK("level: a byte makes it ready", ready(ep) == EPOLLIN);
	CHECK("level: and it stays ready", ready(ep) == EPOLLIN);
	drain(p[0]);
	CHECK("level: until it is read", ready(ep) == 0);
	put(p[1]);
	drain(p[0]);
	CHECK("level: what came and went is not reported", ready(ep) == 0);
	ctl(ep, EPOLL_CTL_DEL, p[0], 0);
	put(p[1]);
	CHECK("level: nothing after EPOLL_CTL_DEL", ready(ep) == 0);
	drain(p[0]);
	put(p[1]);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	CHECK("level: ready before EPOLL_CTL_ADD counts", ready(ep) == EPOLLIN);
}

static void test_edge(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET);
	put(p[1]);
	CHECK("edge: a byte is reported", ready(ep) == EPOLLIN);
	CHECK("edge: once", ready(ep) == 0);
	put(p[1]);
	CHECK("edge: a second byte is reported, the first unread", ready(ep) == EPOLLIN);
	CHECK("edge: once, too", ready(ep) == 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET);
	CHECK("edge: EPOLL_CTL_MOD asks again", ready(ep) == EPOLLIN);
	put(p[1]);
	put(p[1]);
	CHECK("edge: two bytes before the call are one event", ready(ep) == EPOLLIN);
	CHECK("edge: one", ready(ep) == 0);
	put(p[1]);
	drain(p[0]);
	CHECK("edge: what came and went is not reported", ready(ep) == 0);
}

static void test_one_shot(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLONESHOT);
	put(p[1]);
	CHECK("one-shot: a byte is reported", ready(ep) == EPOLLIN);
	CHECK("one-shot: once", ready(ep) == 0);
	put(p[1]);
	CHECK("one-shot: deaf to more", ready(ep) == 0);
	close(p[1]);
	CHECK("one-shot: and to the end", ready(ep) == 0);
	ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT);
	CHECK("one-shot: until EPOLL_CTL_MOD", ready(ep) == (EPOLLIN | EPOLLHUP));
	CHECK("one-shot: once again", ready(ep) == 0);
}

static void test_writing(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT);
	CHECK("writing: an empty pipe is ready", ready(ep) == EPOLLOUT);
	fill(p[1]);
	CHECK("writing: a full one is not", ready(ep) == 0);
	ctl(ep, EPOLL_CTL_MOD, p[1], EPOLLOUT | EPOLLET);
	drain(p[0]);
	CHECK("writing, edge: room is reported", ready(ep) == EPOLLOUT);
	CHECK("writing, edge: once", ready(ep) == 0);
	close(p[0]);
	CHECK("writing, edge: no reader is an error", ready(ep) == (EPOLLOUT | EPOLLERR));
}

static void test_hang_up(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[0], 0);
	put(p[1]);
	CHECK("hang-up: nothing asked, nothing reported", ready(ep) == 0);
	close(p[1]);
	CHECK("hang-up: but the end is", ready(ep) == EPOLLHUP);
	CHECK("hang-up: each time", ready(ep) == EPOLLHUP);
}

static void test_synonyms(int ep, int p[2])
{
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLRDNORM);
	put(p[1]);
	CHECK("synonyms: EPOLLRDNORM", ready(ep) == EPOLLRDNORM);
	ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLWRNORM);
	ctl(ep, EPOLL_CTL_DEL, p[0], 0);
	CHECK("synonyms: EPOLLWRNORM", ready(ep) == EPOLLWRNORM);
}

/* --- Sets --- */

static void test_errors(int ep, int p[2])
{
	int null = open("/dev/null", O_RDONLY);
	struct epoll_event e;

	CHECK("errors: add", ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	CHECK("errors: twice is EEXIST",
	      ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == -1 && errno == EEXIST);
	CHECK("errors: delete what is not there is ENOENT",
	      ctl(ep, EPOLL_CTL_DEL, p[1], 0) == -1 && errno == ENOENT);
	CHECK("errors: modify what is not there is ENOENT",
	      ctl(ep, EPOLL_CTL_MOD, p[1], 0) == -1 && errno == ENOENT);
	CHECK("errors: no descriptor is EBADF",
	      ctl(ep, EPOLL_CTL_ADD, 1000, 0) == -1 && errno == EBADF);
	CHECK("errors: no set is EBADF", ctl(1000, EPOLL_CTL_ADD, p[0], 0) == -1 && errno == EBADF);
	CHECK("errors: not a set is EINVAL",
	      ctl(p[0], EPOLL_CTL_ADD, p[1], 0) == -1 && errno == EINVAL);
	CHECK("errors: into itself is EINVAL",
	      ctl(ep, EPOLL_CTL_ADD, ep, 0) == -1 && errno == EINVAL);
	CHECK("errors: no such operation is EINVAL", ctl(ep, 4, p[0], 0) == -1 && errno == EINVAL);
	CHECK("errors: what cannot wait is EPERM",
	      null >= 0 && ctl(ep, EPOLL_CTL_ADD, null, EPOLLIN) == -1 && errno == EPERM);
	CHECK("errors: room for no event is EINVAL",
	      epoll_wait(ep, &e, 0, 0) == -1 && errno == EINVAL);
	CHECK("errors: waiting for what is not a set is EINVAL",
	      epoll_wait(p[0], &e, 1, 0) == -1 && errno == EINVAL);
	CHECK("errors: flags", epoll_create1(1) == -1 && errno == EINVAL);
	close(null);
}

static void test_rotation(int ep, int unused[2])
{
	int fds[3], seen[3] = {0};

	(void)unused;
	for (int i = 0; i < 3; i++) {
		fds[i] = eventfd(1, 0);
		ctl(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN);
	}
	for (int i = 0; i < 6; i++) {
		struct epoll_event e = {0};

		epoll_wait(ep, &e, 1, 0);
		for (int j = 0; j < 3; j++)
			seen[j] += e.data.fd == fds[j];
	}
	CHECK("rotation: the ready take turns", seen[0] == 2 && seen[1] == 2 && seen[2] == 2);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	CHECK("rotation: closed ones are gone", ready(ep) == 0);
}

static void test_data(int ep, int p[2])
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0};

	epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
	put(p[1]);
	memset(&e, 0, sizeof(e));
	CHECK("data: comes back whole",
	      epoll_wait(ep, &e, 1, 0) == 1 && e.data.u64 == 0x123456789abcdef0);
	e = (struct epoll_event){.events = EPOLLIN, .data.u64 = 7};
	epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
	CHECK("data: EPOLL_CTL_MOD replaces it", epoll_wait(ep, &e, 1, 0) == 1 && e.data.u64 == 7);
}

/* --- Closing --- */

static void test_reuse(int ep, int unused[2])
{
	int p[2], q[2];

	(void)unused;
	pipe(p);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	put(p[1]);
	close_pipe(p);
	pipe(q);
	CHECK("reuse: the numbers come again", q[0] == p[0] && q[1] == p[1]);
	CHECK("reuse: the old event does not", ready(ep) == 0);
	put(q[1]);
	CHECK("reuse: nor a new one, unasked", ready(ep) == 0);
	CHECK("reuse: the number can be added",
	      ctl(ep, EPOLL_CTL_ADD, q[0], EPOLLIN) == 0 && ready(ep) == EPOLLIN);
	close_pipe(q);
}

static void test_reuse_of_collected(int ep, int unused[2])
{
	struct epoll_event e[2];
	int p[2], q[2], n;

	(void)unused;
	/* A level-triggered event was delivered and would be again, but for the close. */
	pipe(p);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	put(p[1]);
	n = epoll_wait(ep, e, 2, 0);
	close_pipe(p);
	pipe(q);
	put(q[1]);
	CHECK("reuse: nor one delivered before", n == 1 && ready(ep) == 0);
	close_pipe(q);
}

static void test_dup(int ep, int p[2])
{
	struct epoll_event e = {0};
	int copy = dup(p[0]), old = p[0];

	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	CHECK("dup: another number can be added", ctl(ep, EPOLL_CTL_ADD, copy, EPOLLIN) == 0);
	ctl(ep, EPOLL_CTL_DEL, copy, 0);
	close(p[0]);
	put(p[1]);
	CHECK("dup: the file is open still, and reports under the old number",
	      epoll_wait(ep, &e, 1, 0) == 1 && e.data.fd == old);
	close(copy);
	CHECK("dup: until the last close", ready(ep) == 0);
	p[0] = open("/dev/null", O_RDONLY); /* for the caller to close */
}

/* --- Sets within sets --- */

static void test_nesting(int ep, int p[2])
{
	int outer = epoll_create1(0);
	struct pollfd pfd = {.fd = ep, .events = POLLIN};

	CHECK("nesting: a set in a set", ctl(outer, EPOLL_CTL_ADD, ep, EPOLLIN) == 0);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	CHECK("nesting: not ready", ready(outer) == 0 && poll(&pfd, 1, 0) == 0);
	put(p[1]);
	CHECK("nesting: ready through both", ready(outer) == EPOLLIN);
	CHECK("nesting: poll() sees it", poll(&pfd, 1, 0) == 1 && pfd.revents == POLLIN);
	CHECK("nesting: the inner one reports", ready(ep) == EPOLLIN);
	drain(p[0]);
	CHECK("nesting: not ready after", ready(outer) == 0 && poll(&pfd, 1, 0) == 0);
	CHECK("nesting: no circle", ctl(ep, EPOLL_CTL_ADD, outer, 0) == -1 && errno == ELOOP);
	close(outer);
}

static void test_depth(int ep, int unused[2])
{
	int sets[8], n;

	(void)unused;
	sets[0] = ep;
	for (n = 1; n < 8; n++) {
		sets[n] = epoll_create1(0);
		if (ctl(sets[n], EPOLL_CTL_ADD, sets[n - 1], EPOLLIN))
			break;
	}
	CHECK("nesting: not without end", n == 5 && errno == ELOOP);
	for (; n > 0; n--)
		close(sets[n]);
}

/* --- What it waits for --- */

static void test_eventfd(int ep, int unused[2])
{
	int e = eventfd(0, EFD_NONBLOCK), s = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
	eventfd_t value = 0;
	uint32_t small;

	(void)unused;
	ctl(ep, EPOLL_CTL_ADD, e, EPOLLIN | EPOLLOUT);
	CHECK("eventfd: zero can be written", ready(ep) == EPOLLOUT);
	CHECK("eventfd: not read", eventfd_read(e, &value) == -1 && errno == EAGAIN);
	eventfd_write(e, 3);
	eventfd_write(e, 4);
	CHECK("eventfd: something can be read", ready(ep) == (EPOLLIN | EPOLLOUT));
	CHECK("eventfd: reads give the sum", eventfd_read(e, &value) == 0 && value == 7);
	eventfd_write(e, UINT64_MAX - 1);
	CHECK("eventfd: the maximum cannot be written to", ready(ep) == EPOLLIN);
	CHECK("eventfd: EAGAIN", eventfd_write(e, 1) == -1 && errno == EAGAIN);
	CHECK("eventfd: more than the maximum is EINVAL",
	      eventfd_write(e, UINT64_MAX) == -1 && errno == EINVAL);
	CHECK("eventfd: less than 8 bytes is EINVAL",
	      read(e, &small, sizeof(small)) == -1 && errno == EINVAL);
	CHECK("eventfd: a semaphore gives one at a time",
	      eventfd_read(s, &value) == 0 && value == 1 && eventfd_read(s, &value) == 0 &&
	          value == 1 && eventfd_read(s, &value) == -1 && errno == EAGAIN);
	close(e);
	close(s);
}

static void test_timerfd(int ep, int unused[2])
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec set = {.it_value.tv_nsec = 20 * MS, .it_interval.tv_nsec = 10 * MS}, got;
	struct epoll_event e;
	long long start = now_ns();
	uint64_t count = 0;

	(void)unused;
	ctl(ep, EPOLL_CTL_ADD, t, EPOLLIN);
	timerfd_settime(t, 0, &set, NULL);
	CHECK("timerfd: not yet", read(t, &count, sizeof(count)) == -1 && errno == EAGAIN);
	CHECK("timerfd: expires", epoll_wait(ep, &e, 1, 5000) == 1 && e.events == EPOLLIN);
	CHECK("timerfd: not early", now_ns() - start >= 20 * MS);
	sleep_ms(50);
	CHECK("timerfd: counts what it missed", read(t, &count, sizeof(count)) == 8 && count >= 5);
	timerfd_gettime(t, &got);
	CHECK("timerfd: tells its interval", got.it_interval.tv_nsec == 10 * MS);
	CHECK("timerfd: and what is left",
	      got.it_value.tv_nsec > 0 && got.it_value.tv_nsec <= 10 * MS);
	set = (struct itimerspec){0};
	timerfd_settime(t, 0, &set, NULL);
	drain(t);
	sleep_ms(20);
	CHECK("timerfd: zero stops it", ready(ep) == 0);
	clock_gettime(CLOCK_MONOTONIC, &set.it_value);
	timerfd_settime(t, TFD_TIMER_ABSTIME, &set, NULL);
	CHECK("timerfd: an absolute time, past: at once, once",
	      epoll_wait(ep, &e, 1, 5000) == 1 && read(t, &count, sizeof(count)) == 8 &&
	          count == 1);
	close(t);
}

/* --- Threads --- */

static void *put_later(void *arg)
{
	sleep_ms(30);
	put(*(int *)arg);
	return NULL;
}

static void test_wake(int ep, int p[2])
{
	long long start = now_ns();
	struct epoll_event e;
	pthread_t thread;

	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN);
	CHECK("waiting: ends at the time-out", epoll_wait(ep, &e, 1, 30) == 0);
	CHECK("waiting: not before", now_ns() - start >= 30 * MS);
	pthread_create(&thread, NULL, put_later, &p[1]);
	CHECK("waiting: woken by a write", epoll_wait(ep, &e, 1, 5000) == 1 && e.events == EPOLLIN);
	pthread_join(thread, NULL);
}

struct waiter {
	pthread_t thread;
	int ep, result;
};

static void *wait_one(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event e;

	w->result = epoll_wait(w->ep, &e, 1, 300);
	return NULL;
}

/* How many of two waiters wake for one write. */
static int waken(int ep0, int ep1, int fd)
{
	struct waiter w[2] = {{.ep = ep0}, {.ep = ep1}};

	for (int i = 0; i < 2; i++)
		pthread_create(&w[i].thread, NULL, wait_one, &w[i]);
	sleep_ms(50);
	put(fd);
	for (int i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	return w[0].result + w[1].result;
}

static void test_waiters(int ep, int p[2])
{
	int other = epoll_create1(0);

	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET);
	CHECK("waiters: one edge wakes one of two threads", waken(ep, ep, p[1]) == 1);
	ctl(other, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET);
	ready(other);
	CHECK("waiters: and both of two sets", waken(ep, other, p[1]) == 2);
	drain(p[0]);
	ctl(ep, EPOLL_CTL_DEL, p[0], 0);
	ctl(other, EPOLL_CTL_DEL, p[0], 0);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE);
	ctl(other, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE);
	CHECK("waiters: of exclusive sets one", waken(ep, other, p[1]) == 1);
	CHECK("waiters: exclusive cannot be modified",
	      ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN) == -1 && errno == EINVAL);
	close(other);
}

#ifndef __linux__
static void *wait_for_ever(void *arg)
{
	struct epoll_event e;

	return (void *)(intptr_t)(epoll_wait(*(int *)arg, &e, 1, -1) == -1 ? errno : 0);
}

static void test_close_wakes(int ep, int unused[2])
{
	int mine = dup(ep); /* shares the file: the last close counts */
	pthread_t thread;
	void *error;

	(void)unused;
	close(mine);
	mine = epoll_create1(0);
	pthread_create(&thread, NULL, wait_for_ever, &mine);
	sleep_ms(20);
	close(mine);
	pthread_join(thread, &error);
	CHECK("close() of a set wakes who waits for it: EBADF", (intptr_t)error == EBADF);
}
#endif

/* Each test has a set and a pipe of its own. */
static void run(void (*test)(int ep, int p[2]))
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];

	pipe(p);
	test(ep, p);
	close_pipe(p);
	close(ep);
}

int main(void)
{
	int before = dup(0), after;

	close(before);
	run(test_level);
	run(test_edge);
	run(test_one_shot);
	run(test_writing);
	run(test_hang_up);
	run(test_synonyms);
	run(test_errors);
	run(test_rotation);
	run(test_data);
	run(test_reuse);
	run(test_reuse_of_collected);
	run(test_dup);
	run(test_nesting);
	run(test_depth);
	run(test_eventfd);
	run(test_timerfd);
	run(test_wake);
	run(test_waiters);
#ifndef __linux__
	run(test_close_wakes);
#endif
	after = dup(0);
	CHECK("no descriptor is left over", after == before);
	return checks_failed > 0;
}
