/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX as an ordinary program sees it. It runs on Linux, too, in its own folder, and must say the
 * same (test_posix.py). What Linux does otherwise is under #ifndef __linux__.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
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

static struct timespec in_ms(clockid_t clock, int ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_nsec += ms * MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void close_pipe(int p[2])
{
	close(p[0]);
	close(p[1]);
}

#define FAILS(call, error) (errno = 0, (call) == -1 && errno == (error))

/* --- Descriptors --- */

static void test_dup(void)
{
	int p[2], a, b;

	pipe(p);
	a = dup(p[0]);
	CHECK("dup: the lowest free number", a > p[1]);
	b = fcntl(p[0], F_DUPFD, 100);
	CHECK("dup: F_DUPFD from a number on", b == 100);
	CHECK("dup: dup2 onto an open one", dup2(p[1], a) == a && write(a, "x", 1) == 1);
	CHECK("dup: dup2 onto itself", dup2(a, a) == a);
	CHECK("dup: dup2 of nothing", FAILS(dup2(999, a), EBADF) && write(a, "x", 1) == 1);
	CHECK("dup: dup3 onto itself", FAILS(dup3(a, a, 0), EINVAL));
	CHECK("dup: dup3 sets close-on-exec",
	      dup3(p[0], 200, O_CLOEXEC) == 200 && fcntl(200, F_GETFD) == FD_CLOEXEC);
	CHECK("dup: dup does not", fcntl(a, F_GETFD) == 0);
	CHECK("dup: F_SETFD",
	      fcntl(a, F_SETFD, FD_CLOEXEC) == 0 && fcntl(a, F_GETFD) == FD_CLOEXEC);
	CHECK("dup: status flags are shared", fcntl(p[0], F_SETFL, O_NONBLOCK) == 0 &&
	                                          (fcntl(b, F_GETFL) & O_NONBLOCK) &&
	                                          (fcntl(b, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CHECK("dup: the highest number", dup2(p[0], FD_SETSIZE - 1) == FD_SETSIZE - 1);
	close(FD_SETSIZE - 1);
	close(200);
	close(b);
	close(a);
	close_pipe(p);
	CHECK("dup: closed", FAILS(close(a), EBADF) && FAILS(fcntl(a, F_GETFL), EBADF));
	CHECK("dup: negative", FAILS(close(-1), EBADF) && FAILS(dup(-1), EBADF));
	CHECK("dup: the lowest again", dup(0) == p[0]);
	close(p[0]);
}

#ifndef __linux__
static void test_exhaustion(void)
{
	int fd, count = 0, first = dup(0);

	close(first);
	while ((fd = dup(0)) >= 0)
		count++;
	CHECK("exhaustion: FD_SETSIZE descriptors, then EMFILE",
	      errno == EMFILE && first + count == FD_SETSIZE);
	CHECK("exhaustion: of a pipe, too", FAILS(pipe((int[2]){0}), EMFILE));
	close(FD_SETSIZE - 1);
	CHECK("exhaustion: one is not enough for a pipe", FAILS(pipe((int[2]){0}), EMFILE));
	CHECK("exhaustion: and it is free still", dup(0) == FD_SETSIZE - 1);
	for (int i = first; i < FD_SETSIZE; i++)
		close(i);
}
#endif

static void test_pipe(void)
{
	char buf[64] = "";
	struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
	struct iovec in[IOV_MAX + 1] = {{buf, 1}, {buf + 10, 20}};
	struct stat st;
	int p[2], n = 0, on = 1;

	pipe2(p, O_CLOEXEC);
	CHECK("pipe: close-on-exec", fcntl(p[0], F_GETFD) == FD_CLOEXEC);
	CHECK("pipe: writev gathers", writev(p[1], out, 3) == 5);
	CHECK("pipe: FIONREAD", ioctl(p[0], FIONREAD, &n) == 0 && n == 5);
	CHECK("pipe: readv scatters",
	      readv(p[0], in, 2) == 5 && buf[0] == 'a' && !memcmp(buf + 10, "bcde", 4));
	CHECK("pipe: wrong ends",
	      FAILS(read(p[1], buf, 1), EBADF) && FAILS(write(p[0], buf, 1), EBADF));
	CHECK("pipe: nothing to seek in",
	      FAILS(lseek(p[0], 0, SEEK_CUR), ESPIPE) && FAILS(pread(p[0], buf, 1, 0), ESPIPE));
	CHECK("pipe: fstat", fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK("pipe: is no terminal", isatty(p[0]) == 0 && errno == ENOTTY);
	CHECK("pipe: FIONBIO", ioctl(p[0], FIONBIO, &on) == 0);
	CHECK("pipe: empty", FAILS(read(p[0], buf, 1), EAGAIN) && read(p[0], buf, 0) == 0);
	CHECK("pipe: too many pieces", FAILS(readv(p[0], in, IOV_MAX + 1), EINVAL));
	write(p[1], "last", 4);
	close(p[1]);
	CHECK("pipe: what is left, then the end",
	      read(p[0], buf, 64) == 4 && read(p[0], buf, 64) == 0);
	close(p[0]);
	pipe2(p, O_NONBLOCK);
	for (n = 0; write(p[1], buf, 64) == 64; n++)
		;
	CHECK("pipe: full", errno == EAGAIN && n >= 64);
	read(p[0], buf, 32);
	CHECK("pipe: small writes are whole or nothing", FAILS(write(p[1], buf, 64), EAGAIN));
	close(p[0]);
	CHECK("pipe: nobody reads", FAILS(write(p[1], buf, 1), EPIPE));
	close(p[1]);
}

static void *write_much(void *arg)
{
	static unsigned char block[10000];

	for (int i = 0; i < 10000; i++)
		block[i] = (unsigned char)(i % 251);
	for (int i = 0; i < 30; i++)
		if (write(*(int *)arg, block, sizeof(block)) != sizeof(block))
			return NULL;
	close(*(int *)arg);
	return arg;
}

static void test_pipe_stream(void)
{
	unsigned char buf[777];
	size_t total = 0;
	bool right = true;
	pthread_t thread;
	void *result;
	ssize_t n;
	int p[2];

	pipe(p);
	pthread_create(&thread, NULL, write_much, &p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			right &= buf[i] == total % 10000 % 251;
	pthread_join(thread, &result);
	CHECK("pipe: 300 kB come through in order", right && total == 300000 && result);
	close(p[0]);
}

/* --- poll and select --- */

static void *put_later(void *arg)
{
	sleep_ms(30);
	write(*(int *)arg, "x", 1);
	return NULL;
}

static void test_poll(void)
{
	long long start = now_ns();
	pthread_t thread;
	int p[2], q[2];

	pipe(p);
	pipe(q);
	struct pollfd fds[] = {
	    {p[0], POLLIN, -1}, {p[1], POLLOUT, 0}, {-1, POLLIN, -1}, {999, POLLIN, 0}};
	CHECK("poll: what is ready", poll(fds, 4, -1) == 2 && fds[0].revents == 0 &&
	                                 fds[1].revents == POLLOUT && fds[2].revents == 0 &&
	                                 fds[3].revents == POLLNVAL);
	CHECK("poll: nothing", poll(fds, 1, 0) == 0 && poll(NULL, 0, 0) == 0);
	CHECK("poll: ends at the time-out", poll(fds, 1, 30) == 0 && now_ns() - start >= 30 * MS);
	pthread_create(&thread, NULL, put_later, &p[1]);
	CHECK("poll: woken by a write", poll(fds, 1, 5000) == 1 && fds[0].revents == POLLIN);
	pthread_join(thread, NULL);
	close(p[1]);
	fds[0].events = 0;
	CHECK("poll: the end, unasked", poll(fds, 1, -1) == 1 && fds[0].revents == POLLHUP);
	CHECK("poll: with a time", ppoll(fds, 1, &(struct timespec){0}, NULL) == 1);
	struct pollfd many[20];
	for (int i = 0; i < 20; i++)
		many[i] = (struct pollfd){q[0], POLLIN | POLLRDNORM, 0};
	pthread_create(&thread, NULL, put_later, &q[1]);
	CHECK("poll: twenty at once",
	      poll(many, 20, 5000) == 20 && many[19].revents == (POLLIN | POLLRDNORM));
	pthread_join(thread, NULL);
	close(p[0]);
	close_pipe(q);
}

static void test_select(void)
{
	struct timeval tv = {.tv_usec = 30000};
	long long start = now_ns();
	fd_set in, out, except;
	pthread_t thread;
	int p[2];

	pipe(p);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(p[0], &in);
	CHECK("select: ends at the time-out", select(p[1] + 1, &in, &out, &except, &tv) == 0 &&
	                                          now_ns() - start >= 30 * MS &&
	                                          !FD_ISSET(p[0], &in));
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	CHECK("select: what is ready", select(p[1] + 1, &in, &out, NULL, NULL) == 1 &&
	                                   !FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
	FD_SET(p[0], &in);
	pthread_create(&thread, NULL, put_later, &p[1]);
	CHECK("select: woken by a write",
	      select(p[0] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &in));
	pthread_join(thread, NULL);
	CHECK("select: the highest descriptor", dup2(p[0], FD_SETSIZE - 1) == FD_SETSIZE - 1);
	FD_ZERO(&in);
	FD_SET(FD_SETSIZE - 1, &in);
	CHECK("select: is waited for, too",
	      select(FD_SETSIZE, &in, NULL, NULL, NULL) == 1 && FD_ISSET(FD_SETSIZE - 1, &in));
	close(FD_SETSIZE - 1);
	CHECK("select: closed is EBADF", FAILS(select(FD_SETSIZE, &in, NULL, NULL, NULL), EBADF));
	CHECK("select: only sleeps",
	      pselect(0, NULL, NULL, NULL, &(struct timespec){.tv_nsec = MS}, NULL) == 0);
	close_pipe(p);
}

#ifndef __linux__
static void *read_one(void *arg)
{
	char c;

	return (void *)(intptr_t)(read(*(int *)arg, &c, 1) == -1 ? errno : 0);
}

static void *poll_one(void *arg)
{
	struct pollfd fd = {*(int *)arg, POLLIN, 0};

	return (void *)(intptr_t)(poll(&fd, 1, -1) == 1 ? fd.revents : 0);
}

static void *write_full(void *arg)
{
	static char block[100000];

	return (void *)(intptr_t)write(*(int *)arg, block, sizeof(block));
}

static intptr_t closed_under(void *(*wait)(void *), int *fd)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, wait, fd);
	sleep_ms(20);
	close(*fd);
	pthread_join(thread, &result);
	return (intptr_t)result;
}

static void test_close_wakes(void)
{
	int p[2];

	pipe(p);
	CHECK("close() wakes a reader: EBADF", closed_under(read_one, &p[0]) == EBADF);
	close(p[1]);
	pipe(p);
	CHECK("close() wakes a poller: POLLNVAL", closed_under(poll_one, &p[0]) == POLLNVAL);
	close(p[1]);
	pipe(p);
	intptr_t written = closed_under(write_full, &p[1]);
	CHECK("close() wakes a writer, which says what it wrote", written > 0 && written < 100000);
	close(p[0]);
}
#endif

/* --- Threads --- */

static void *twice(void *arg)
{
	return (void *)(2 * (intptr_t)arg);
}

static void *exit_deep(void *arg)
{
	pthread_exit(arg);
}

static sem_t done;

static void *post_done(void *arg)
{
	sem_post(&done);
	return arg;
}

static void *self(void *arg)
{
	(void)arg;
	return (void *)pthread_self();
}

static void *use_stack(void *arg)
{
	volatile char big[150000];

	big[0] = 1;
	big[sizeof(big) - 1] = 2;
	return (void *)((intptr_t)arg + big[0] + big[sizeof(big) - 1]);
}

static void *set_errno(void *arg)
{
	errno = EBUSY;
	sched_yield();
	return (void *)(intptr_t)(errno == EBUSY ? 0 : (intptr_t)arg);
}

static void test_threads(void)
{
	pthread_attr_t attr;
	pthread_t t, threads[50];
	size_t bytes;
	void *value;
	bool right = true;
	int state;

	pthread_create(&t, NULL, twice, (void *)21);
	CHECK("threads: join gives what it returned",
	      pthread_join(t, &value) == 0 && (intptr_t)value == 42);
	pthread_create(&t, NULL, exit_deep, (void *)7);
	CHECK("threads: or gave to pthread_exit()",
	      pthread_join(t, &value) == 0 && (intptr_t)value == 7);
	CHECK("threads: joining oneself", pthread_join(pthread_self(), NULL) == EDEADLK);
	pthread_create(&t, NULL, self, NULL);
	pthread_t same = t;
	CHECK("threads: know themselves",
	      pthread_join(t, &value) == 0 && pthread_equal((pthread_t)value, same));
	sem_init(&done, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	CHECK("threads: attributes",
	      pthread_attr_getdetachstate(&attr, &state) == 0 && state == PTHREAD_CREATE_DETACHED);
	pthread_create(&t, &attr, post_done, NULL);
	CHECK("threads: detached", sem_wait(&done) == 0);
	pthread_create(&t, NULL, post_done, NULL);
	CHECK("threads: detach", pthread_detach(t) == 0 && sem_wait(&done) == 0);
	pthread_attr_init(&attr);
	CHECK("threads: small stacks are refused",
	      pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN - 1) == EINVAL);
	CHECK("threads: stack size", pthread_attr_setstacksize(&attr, 200000) == 0 &&
	                                 pthread_attr_getstacksize(&attr, &bytes) == 0 &&
	                                 bytes == 200000);
	pthread_create(&t, &attr, use_stack, (void *)1);
	CHECK("threads: a large stack can be used",
	      pthread_join(t, &value) == 0 && (intptr_t)value == 4);
	errno = ENOENT;
	for (int i = 0; i < 50; i++)
		right &= pthread_create(&threads[i], NULL, set_errno, (void *)1) == 0;
	for (int i = 0; i < 50; i++) {
		pthread_join(threads[i], &value);
		right &= value == NULL;
	}
	CHECK("threads: errno is each one's own", right && errno == ENOENT);
	CHECK("threads: names",
	      pthread_setname_np(pthread_self(), "mine") == 0 &&
	          pthread_setname_np(pthread_self(), "much too long a name") == ERANGE);
	sem_destroy(&done);
}

static pthread_key_t key;
static int destroyed, cleaned;

static void destroy(void *value)
{
	destroyed += (int)(intptr_t)value;
	if ((intptr_t)value > 1)
		pthread_setspecific(key, (void *)((intptr_t)value - 1));
}

static void clean(void *arg)
{
	cleaned = cleaned * 10 + (int)(intptr_t)arg;
}

static void *use_keys(void *arg)
{
	pthread_setspecific(key, arg);
	pthread_cleanup_push(clean, (void *)1);
	pthread_cleanup_push(clean, (void *)2);
	pthread_cleanup_push(clean, (void *)3);
	pthread_cleanup_pop(0);
	pthread_exit(pthread_getspecific(key));
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void test_keys(void)
{
	pthread_key_t keys[PTHREAD_KEYS_MAX];
	pthread_t t;
	void *value;
	int n = 0;

	pthread_key_create(&key, destroy);
	pthread_setspecific(key, (void *)100);
	pthread_create(&t, NULL, use_keys, (void *)3);
	pthread_join(t, &value);
	CHECK("keys: each thread has its value",
	      (intptr_t)value == 3 && pthread_getspecific(key) == (void *)100);
	CHECK("keys: destroyed at its end, again while set", destroyed == 3 + 2 + 1);
	CHECK("keys: after the clean-up handlers, last pushed first", cleaned == 21);
	pthread_key_delete(key);
	pthread_key_create(&key, NULL);
	CHECK("keys: a new one is empty", pthread_getspecific(key) == NULL);
	while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], NULL) == 0)
		n++;
	CHECK("keys: there are many", n >= 100 && pthread_setspecific(keys[n - 1], &n) == 0 &&
	                                  pthread_getspecific(keys[n - 1]) == &n);
	while (n > 0)
		pthread_key_delete(keys[--n]);
	pthread_key_delete(key);
	CHECK("keys: gone", pthread_setspecific(key, &n) == EINVAL);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int inits, after_init;

static void init(void)
{
	sleep_ms(20);
	inits++;
}

static void *use_once(void *arg)
{
	pthread_once(&once, init);
	__atomic_add_fetch(&after_init, inits, __ATOMIC_RELAXED);
	return arg;
}

static void test_once(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, use_once, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK("once: once, and all wait for it", inits == 1 && after_init == 4);
}

/* --- Locks --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int shared;

static void *count_up(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&mutex);
		int now = shared;

		if (i % 50 == 0)
			sched_yield();
		shared = now + 1;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *try_lock(void *arg)
{
	int error = pthread_mutex_trylock(arg);

	if (error == 0)
		pthread_mutex_unlock(arg);
	return (void *)(intptr_t)error;
}

static void *unlock(void *arg)
{
	return (void *)(intptr_t)pthread_mutex_unlock(arg);
}

static int in_thread(void *(*run)(void *), void *arg)
{
	pthread_t t;
	void *value;

	pthread_create(&t, NULL, run, arg);
	pthread_join(t, &value);
	return (int)(intptr_t)value;
}

static void *timed_lock(void *arg)
{
	struct timespec ts = in_ms(CLOCK_REALTIME, 30);

	return (void *)(intptr_t)pthread_mutex_timedlock(arg, &ts);
}

static void test_mutex(void)
{
	pthread_mutex_t recursive, checked;
	pthread_mutexattr_t attr;
	long long start;
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count_up, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK("mutex: excludes", shared == 4000);
	pthread_mutex_lock(&mutex);
	CHECK("mutex: busy", in_thread(try_lock, &mutex) == EBUSY &&
	                         pthread_mutex_trylock(&mutex) == EBUSY &&
	                         pthread_mutex_destroy(&mutex) == EBUSY);
	start = now_ns();
	CHECK("mutex: a timed wait ends",
	      in_thread(timed_lock, &mutex) == ETIMEDOUT && now_ns() - start >= 30 * MS);
	pthread_mutex_unlock(&mutex);
	CHECK("mutex: free", in_thread(try_lock, &mutex) == 0);

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&recursive, &attr);
	pthread_mutex_lock(&recursive);
	CHECK("mutex, recursive: again",
	      pthread_mutex_lock(&recursive) == 0 && pthread_mutex_trylock(&recursive) == 0);
	pthread_mutex_unlock(&recursive);
	pthread_mutex_unlock(&recursive);
	CHECK("mutex, recursive: held still", in_thread(try_lock, &recursive) == EBUSY);
	pthread_mutex_unlock(&recursive);
	CHECK("mutex, recursive: free",
	      in_thread(try_lock, &recursive) == 0 && pthread_mutex_unlock(&recursive) == EPERM);

	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&checked, &attr);
	pthread_mutex_lock(&checked);
	CHECK("mutex, checked: again", pthread_mutex_lock(&checked) == EDEADLK);
	CHECK("mutex, checked: by another", in_thread(unlock, &checked) == EPERM);
	CHECK("mutex, checked: unlock",
	      pthread_mutex_unlock(&checked) == 0 && pthread_mutex_unlock(&checked) == EPERM);
	pthread_mutex_destroy(&recursive);
	pthread_mutex_destroy(&checked);
	pthread_mutexattr_destroy(&attr);
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int tickets, served;

static void *take_ticket(void *arg)
{
	pthread_mutex_lock(&mutex);
	while (tickets == 0)
		pthread_cond_wait(&cond, &mutex);
	tickets--;
	served++;
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void test_cond(void)
{
	pthread_condattr_t attr;
	pthread_cond_t monotonic;
	struct timespec ts;
	long long start = now_ns();
	pthread_t t[4];
	int after_signal;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, take_ticket, NULL);
	sleep_ms(20);
	pthread_mutex_lock(&mutex);
	tickets = 1;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	sleep_ms(20);
	after_signal = served;
	pthread_mutex_lock(&mutex);
	tickets = 3;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK("cond: a signal wakes one, a broadcast all", after_signal == 1 && served == 4);

	pthread_mutex_lock(&mutex);
	start = now_ns();
	ts = in_ms(CLOCK_REALTIME, 30);
	CHECK("cond: a timed wait ends, the mutex is held",
	      pthread_cond_timedwait(&cond, &mutex, &ts) == ETIMEDOUT &&
	          now_ns() - start >= 30 * MS && in_thread(try_lock, &mutex) == EBUSY);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&monotonic, &attr);
	start = now_ns();
	ts = in_ms(CLOCK_MONOTONIC, 30);
	CHECK("cond: by the monotonic clock",
	      pthread_cond_timedwait(&monotonic, &mutex, &ts) == ETIMEDOUT &&
	          now_ns() - start >= 30 * MS);
	ts.tv_nsec = -1;
	CHECK("cond: no such time", pthread_cond_timedwait(&cond, &mutex, &ts) == EINVAL);
	pthread_mutex_unlock(&mutex);
	CHECK("cond: destroy", pthread_cond_destroy(&monotonic) == 0);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *try_read(void *arg)
{
	int error = pthread_rwlock_tryrdlock(arg);

	if (error == 0)
		pthread_rwlock_unlock(arg);
	return (void *)(intptr_t)error;
}

static void *try_write(void *arg)
{
	int error = pthread_rwlock_trywrlock(arg);

	if (error == 0)
		pthread_rwlock_unlock(arg);
	return (void *)(intptr_t)error;
}

static void *timed_write(void *arg)
{
	struct timespec ts = in_ms(CLOCK_REALTIME, 30);

	return (void *)(intptr_t)pthread_rwlock_timedwrlock(arg, &ts);
}

static void *write_locked(void *arg)
{
	for (int i = 0; i < 500; i++) {
		pthread_rwlock_wrlock(arg);
		shared++;
		if (i % 50 == 0)
			sched_yield();
		shared++;
		pthread_rwlock_unlock(arg);
	}
	return NULL;
}

static void *read_locked(void *arg)
{
	intptr_t odd = 0;

	for (int i = 0; i < 500; i++) {
		pthread_rwlock_rdlock(arg);
		odd += shared & 1;
		pthread_rwlock_unlock(arg);
	}
	return (void *)odd;
}

static void test_rwlock(void)
{
	pthread_t t[4];
	void *odd;
	bool right = true;

	pthread_rwlock_rdlock(&rwlock);
	CHECK("rwlock: readers share",
	      pthread_rwlock_rdlock(&rwlock) == 0 && in_thread(try_read, &rwlock) == 0);
	CHECK("rwlock: and keep writers out", in_thread(try_write, &rwlock) == EBUSY &&
	                                          in_thread(timed_write, &rwlock) == ETIMEDOUT);
	pthread_rwlock_unlock(&rwlock);
	CHECK("rwlock: until the last is gone", in_thread(try_write, &rwlock) == EBUSY &&
	                                            pthread_rwlock_unlock(&rwlock) == 0 &&
	                                            in_thread(try_write, &rwlock) == 0);
	pthread_rwlock_wrlock(&rwlock);
	CHECK("rwlock: a writer is alone",
	      in_thread(try_read, &rwlock) == EBUSY && in_thread(try_write, &rwlock) == EBUSY);
	CHECK("rwlock: and knows it", pthread_rwlock_wrlock(&rwlock) == EDEADLK);
	pthread_rwlock_unlock(&rwlock);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? write_locked : read_locked, &rwlock);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &odd);
		right &= odd == NULL;
	}
	CHECK("rwlock: readers never see half a change", right);
}

static pthread_barrier_t barrier;
static pthread_spinlock_t spin;

static void *meet(void *arg)
{
	intptr_t serial = 0;

	for (int i = 0; i < 20; i++) {
		pthread_spin_lock(&spin);
		shared++;
		pthread_spin_unlock(&spin);
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
		if (shared < 3 * (i + 1))
			return (void *)1000;
		pthread_barrier_wait(&barrier);
	}
	(void)arg;
	return (void *)serial;
}

static void test_barrier(void)
{
	pthread_t t[3];
	intptr_t serial = 0;
	void *value;

	shared = 0;
	pthread_barrier_init(&barrier, NULL, 3);
	pthread_spin_init(&spin, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, meet, NULL);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &value);
		serial += (intptr_t)value;
	}
	CHECK("barrier: nobody passes early, one is the serial one", serial == 20 && shared == 60);
	CHECK("spin lock: try", pthread_spin_trylock(&spin) == 0 &&
	                            pthread_spin_trylock(&spin) == EBUSY &&
	                            pthread_spin_unlock(&spin) == 0);
	pthread_barrier_destroy(&barrier);
	pthread_spin_destroy(&spin);
}

static void *post_later(void *arg)
{
	sleep_ms(30);
	sem_post(arg);
	return NULL;
}

static void test_semaphore(void)
{
	struct timespec ts;
	long long start;
	pthread_t t;
	sem_t s;
	int value;

	sem_init(&s, 0, 2);
	CHECK("semaphore: counts down", sem_wait(&s) == 0 && sem_trywait(&s) == 0);
	CHECK("semaphore: to zero", FAILS(sem_trywait(&s), EAGAIN));
	start = now_ns();
	ts = in_ms(CLOCK_REALTIME, 30);
	CHECK("semaphore: a timed wait ends",
	      FAILS(sem_timedwait(&s, &ts), ETIMEDOUT) && now_ns() - start >= 30 * MS);
	pthread_create(&t, NULL, post_later, &s);
	ts = in_ms(CLOCK_REALTIME, 5000);
	CHECK("semaphore: a post ends it", sem_timedwait(&s, &ts) == 0);
	pthread_join(t, NULL);
	sem_post(&s);
	sem_post(&s);
	CHECK("semaphore: tells its value", sem_getvalue(&s, &value) == 0 && value == 2);
	CHECK("semaphore: an impossible value",
	      FAILS(sem_init(&s, 0, (unsigned int)SEM_VALUE_MAX + 1), EINVAL));
	sem_destroy(&s);
}

/* --- C11's threads --- */

static mtx_t c11_mutex;
static cnd_t c11_cond;
static tss_t c11_key;
static once_flag c11_once = ONCE_FLAG_INIT;
static int c11_state, c11_inits;

static void c11_init(void)
{
	c11_inits++;
}

static int c11_thread(void *arg)
{
	call_once(&c11_once, c11_init);
	tss_set(c11_key, arg);
	mtx_lock(&c11_mutex);
	while (c11_state == 0)
		cnd_wait(&c11_cond, &c11_mutex);
	c11_state++;
	mtx_unlock(&c11_mutex);
	return *(int *)tss_get(c11_key);
}

static void test_c11(void)
{
	int number = 42, value = 0;
	struct timespec ts;
	thrd_t t[2];

	CHECK("c11: mutex, condition, storage",
	      mtx_init(&c11_mutex, mtx_timed | mtx_recursive) == thrd_success &&
	          cnd_init(&c11_cond) == thrd_success &&
	          tss_create(&c11_key, NULL) == thrd_success);
	for (int i = 0; i < 2; i++)
		thrd_create(&t[i], c11_thread, &number);
	sleep_ms(20);
	mtx_lock(&c11_mutex);
	CHECK("c11: recursive", mtx_trylock(&c11_mutex) == thrd_success);
	mtx_unlock(&c11_mutex);
	CHECK("c11: the date", timespec_get(&ts, TIME_UTC) == TIME_UTC);
	CHECK("c11: a timed wait ends", cnd_timedwait(&c11_cond, &c11_mutex, &ts) == thrd_timedout);
	c11_state = 1;
	cnd_broadcast(&c11_cond);
	mtx_unlock(&c11_mutex);
	thrd_join(t[0], &value);
	CHECK("c11: join gives what it returned",
	      thrd_join(t[1], NULL) == thrd_success && value == 42);
	CHECK("c11: all of it ran", c11_state == 3 && c11_inits == 1);
	mtx_destroy(&c11_mutex);
	cnd_destroy(&c11_cond);
	tss_delete(c11_key);
}

/* --- libc from many threads --- */

struct job {
	FILE *f;
	char c;
};

static void *print_lines(void *arg)
{
	struct job *job = arg;
	char word[40];

	memset(word, job->c, sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	for (int i = 0; i < 300; i++) {
		if (i % 3 == 0)
			fprintf(job->f, "%s %05d %s\n", word, i, word);
		else if (i % 3 == 1)
			fputs("a whole line at once, from nobody\n", job->f);
		else
			fwrite("another line, of another length, from nobody\n", 1, 45, job->f);
	}
	return NULL;
}

static bool whole(const char *line)
{
	char c = line[0];

	if (!strcmp(line, "a whole line at once, from nobody\n") ||
	    !strcmp(line, "another line, of another length, from nobody\n"))
		return true;
	if (strlen(line) != 39 + 7 + 39 + 1)
		return false;
	for (int i = 0; i < 39; i++)
		if (line[i] != c || line[46 + i] != c)
			return false;
	return true;
}

/* Reads to the end. How many lines there were; -1 if one was not whole. */
static void *check_lines(void *in)
{
	intptr_t lines = 0;
	char line[200];

	while (fgets(line, sizeof(line), in)) {
		if (!whole(line))
			lines = INT_MIN;
		lines++;
	}
	return (void *)lines;
}

static void test_lines(void)
{
	struct job job[3];
	pthread_t t[3], reader;
	FILE *in, *out;
	void *lines;
	int p[2];

	pipe(p);
	in = fdopen(p[0], "r");
	out = fdopen(p[1], "w");
	pthread_create(&reader, NULL, check_lines, in);
	for (int i = 0; i < 3; i++) {
		job[i] = (struct job){out, (char)('A' + i)};
		pthread_create(&t[i], NULL, print_lines, &job[i]);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	fclose(out);
	pthread_join(reader, &lines);
	CHECK("streams: lines of three threads never mix", (intptr_t)lines == 900);
	fclose(in);
}

static void test_stream_calls(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *in;
	int p[2];

	pipe(p);
	CHECK("streams: dprintf", dprintf(p[1], "%0300d\n%s;rest", 7, "to here") == 300 + 1 + 12);
	close(p[1]);
	in = fdopen(p[0], "r");
	CHECK("streams: getline", getline(&line, &size, in) == 301 && size > 301 &&
	                              line[299] == '7' && line[300] == '\n' && !line[301]);
	CHECK("streams: getdelim",
	      getdelim(&line, &size, ';', in) == 8 && !strcmp(line, "to here;"));
	CHECK("streams: the last, without its end",
	      getline(&line, &size, in) == 4 && !strcmp(line, "rest") && feof(in));
	CHECK("streams: no more", getline(&line, &size, in) == -1);
	free(line);
	fclose(in);
}

/* The test looks for these lines in the output: stdout and stderr never mix, either. */
static void *print_to_both(void *arg)
{
	for (int i = 0; i < 40; i++) {
		printf("stdout %d %d abcdefghijklmnopqrstuvwxyz 0123456789 end\n", *(int *)arg, i);
		fprintf(stderr, "stderr %d %d ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 end\n",
		        *(int *)arg, i);
	}
	return NULL;
}

static void test_stdout(void)
{
	int numbers[3] = {0, 1, 2};
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, print_to_both, &numbers[i]);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	flockfile(stdout);
	printf("a line\n");
	CHECK("streams: locked by hand, and again", ftrylockfile(stdout) == 0);
	funlockfile(stdout);
	funlockfile(stdout);
}

/* What comes out of fd just now. */
static const char *arrived(int fd)
{
	static char text[100];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t count = poll(&p, 1, 0) == 1 ? read(fd, text, sizeof(text) - 1) : 0;

	text[count > 0 ? count : 0] = '\0';
	return text;
}

static void test_redirected(void)
{
	char early[100], all[100];
	int p[2], console;

	fflush(stdout);
	pipe(p);
	console = dup(STDOUT_FILENO);
	dup2(p[1], STDOUT_FILENO);
	printf("to the %s", "pipe");
	fflush(stdout);
	strcpy(all, arrived(p[0]));
	setvbuf(stdout, NULL, _IOFBF, 64);
	puts("a line");
	strcpy(early, arrived(p[0]));
	setvbuf(stdout, NULL, _IONBF, 0);
	strcat(all, arrived(p[0]));
	putchar('!');
	strcat(all, arrived(p[0]));
	dup2(console, STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK("streams: stdout goes where its descriptor does, as buffered as was asked for",
	      !strcmp(early, "") && !strcmp(all, "to the pipea line\n!"));
	close(console);
	close(p[0]);
	close(p[1]);
}

#ifndef __linux__
static void *change_environment(void *arg)
{
	char name[16], value[16];
	intptr_t wrong = 0;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "TEST_%d", (int)(intptr_t)arg);
		snprintf(value, sizeof(value), "%d", i);
		setenv(name, value, 1);
		wrong += !getenv(name) || strcmp(getenv(name), value);
		if (i % 20 == 19)
			unsetenv(name);
	}
	return (void *)wrong;
}
#endif

static void *hammer(void *arg)
{
	unsigned int seed = (unsigned int)(intptr_t)arg * 7919 + 1;
	unsigned char *blocks[40] = {NULL};
	size_t bytes[40] = {0};
	intptr_t wrong = 0;

	for (int i = 0; i < 3000; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned int n = seed >> 16 & 0x7fff, slot = n % 40;

		for (size_t j = 0; j < bytes[slot]; j++)
			wrong += blocks[slot][j] != (unsigned char)(bytes[slot] + (uintptr_t)arg);
		bytes[slot] = n % 700;
		blocks[slot] = realloc(blocks[slot], bytes[slot] + 1);
		memset(blocks[slot], (int)(bytes[slot] + (uintptr_t)arg), bytes[slot]);
	}
	for (int i = 0; i < 40; i++)
		free(blocks[i]);
	return (void *)wrong;
}

static intptr_t in_four_threads(void *(*run)(void *))
{
	intptr_t sum = 0;
	pthread_t t[4];
	void *value;

	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, run, (void *)i);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &value);
		sum += (intptr_t)value;
	}
	return sum;
}

static void at_exit(void)
{
	CHECK("atexit: runs when main() is left", true);
}

static void test_libc(void)
{
#ifndef __linux__ /* glibc: getenv beside setenv is a race */
	CHECK("libc: the environment changed by four threads",
	      in_four_threads(change_environment) == 0);
#endif
	CHECK("libc: the heap used by four threads", in_four_threads(hammer) == 0);
	CHECK("libc: atexit", atexit(at_exit) == 0);
}

/* --- Time, identity, signals --- */

static void test_time(void)
{
	struct timespec ts = {.tv_nsec = 1000000000}, later;
	long long before = now_ns();
	struct timeval tv;

	CHECK("time: nanosleep sleeps long enough",
	      nanosleep(&(struct timespec){.tv_nsec = 10 * MS}, NULL) == 0 &&
	          now_ns() - before >= 10 * MS);
	CHECK("time: no such time", FAILS(nanosleep(&ts, NULL), EINVAL));
	later = in_ms(CLOCK_MONOTONIC, 20);
	CHECK("time: sleeps until",
	      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &later, NULL) == 0 &&
	          now_ns() >= later.tv_sec * 1000000000ll + later.tv_nsec);
	CHECK("time: usleep", (before = now_ns(), usleep(1000) == 0 && now_ns() - before >= MS));
	gettimeofday(&tv, NULL);
	clock_gettime(CLOCK_REALTIME, &ts);
	CHECK("time: all agree on the date",
	      ts.tv_sec - tv.tv_sec <= 1 && time(NULL) - tv.tv_sec <= 1);
	CHECK("time: fine enough", clock_getres(CLOCK_MONOTONIC, &ts) == 0 && ts.tv_sec == 0);
	CHECK("time: no such clock", FAILS(clock_gettime((clockid_t)77, &ts), EINVAL));
	before = clock();
	while (clock() - before < CLOCKS_PER_SEC / 100)
		;
	CHECK("time: clock() counts work", true);
}

static void test_system(void)
{
	unsigned char bytes[257] = {0};
	struct utsname u;
	char name[65];
	int set = 0;

	CHECK("system: page size", sysconf(_SC_PAGESIZE) == 4096);
	CHECK("system: a processor at least", sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK("system: no such limit", FAILS(sysconf(12345), EINVAL));
	CHECK("system: names",
	      uname(&u) == 0 && gethostname(name, 65) == 0 && !strcmp(u.nodename, name));
	CHECK("system: random bytes",
	      getrandom(bytes, 32, 0) == 32 && getentropy(bytes + 32, 32) == 0);
	for (unsigned int i = 0; i < 64; i++)
		set += bytes[i] != 0;
	CHECK("system: that look it", set > 50);
	CHECK("system: not too many", FAILS(getentropy(bytes, 257), EIO));
	CHECK("signals: SIGPIPE can be ignored",
	      signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGPIPE, SIG_IGN) == SIG_IGN);
#ifndef __linux__
	CHECK("signals: nothing else",
	      (errno = 0, signal(SIGTERM, SIG_IGN) == SIG_ERR && errno == ENOSYS));
#endif
}

/* --- Files --- */

static void test_files(void)
{
	int fd = open("data/lines.txt", O_RDONLY), copy = dup(fd);
	char line[64] = "";
	struct stat st;
	FILE *f;

	CHECK("files: open and read",
	      fd >= 0 && read(fd, line, 5) == 5 && !memcmp(line, "first", 5));
	CHECK("files: a dup shares the position",
	      read(copy, line, 5) == 5 && !memcmp(line, " line", 5));
	CHECK("files: lseek", lseek(fd, -5, SEEK_END) == 18 && read(fd, line, 64) == 5 &&
	                          !memcmp(line, "line\n", 5) && lseek(fd, 0, SEEK_CUR) == 23);
	CHECK("files: the end", read(fd, line, 64) == 0);
	CHECK("files: pread leaves the position", pread(fd, line, 6, 11) == 6 &&
	                                              !memcmp(line, "second", 6) &&
	                                              lseek(fd, 0, SEEK_CUR) == 23);
	CHECK("files: beyond the end", lseek(fd, 1000, SEEK_SET) == 1000 && read(fd, line, 1) == 0);
	CHECK("files: before the start", FAILS(lseek(fd, -1, SEEK_SET), EINVAL));
	CHECK("files: are not written", FAILS(write(fd, "x", 1), EBADF));
	CHECK("files: fstat", fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 23);
	CHECK("files: stat by other ways", stat("./data//deep/../lines.txt", &st) == 0 &&
	                                       st.st_size == 23 &&
	                                       access("data/lines.txt", R_OK) == 0);
	CHECK("files: what is not there", FAILS(open("data/none", O_RDONLY), ENOENT) &&
	                                      FAILS(stat("data/line", &st), ENOENT) &&
	                                      FAILS(access("", F_OK), ENOENT));
	CHECK("files: a file is no directory",
	      FAILS(open("data/lines.txt", O_RDONLY | O_DIRECTORY), ENOTDIR));
	close(fd);
	close(copy);
	CHECK("files: an empty one",
	      (fd = open("data/empty", O_RDONLY)) >= 0 && read(fd, line, 1) == 0);
	close(fd);
	f = fopen("data/lines.txt", "r");
	CHECK("files: as a stream",
	      f && fgets(line, sizeof(line), f) && !strcmp(line, "first line\n") &&
	          fgets(line, sizeof(line), f) && !strcmp(line, "second line\n") &&
	          !fgets(line, sizeof(line), f) && feof(f));
	fclose(f);
	fd = open("/dev/null", O_RDWR);
	CHECK("files: /dev/null", write(fd, "gone", 4) == 4 && read(fd, line, 4) == 0 &&
	                              fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && !isatty(fd));
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK("files: /dev/urandom", read(fd, line, 64) == 64);
	close(fd);
#ifndef __linux__
	CHECK("files: nothing is written", FAILS(open("data/lines.txt", O_RDWR), EROFS) &&
	                                       FAILS(open("new", O_CREAT | O_WRONLY), EROFS) &&
	                                       FAILS(access("data/lines.txt", W_OK), EROFS) &&
	                                       FAILS(unlink("data/lines.txt"), EROFS));
#endif
}

static void test_directories(void)
{
	struct dirent *e;
	struct stat st;
	int dirs = 0;
	DIR *d = opendir("data");
	const char *const expected[] = {"deep", "deep-not", "empty", "lines.txt"};
	int found = 0, others = 0;

	while (d && (e = readdir(d))) {
		bool known = false;

		for (int i = 0; i < 4; i++)
			known |= !strcmp(e->d_name, expected[i]);
		found += known;
		others += !known && e->d_name[0] != '.';
		dirs += known && e->d_type == DT_DIR;
	}
	CHECK("directories: each name once", found == 4 && others == 0 && dirs == 1);
	closedir(d);
	CHECK("directories: stat", stat("data/deep", &st) == 0 && S_ISDIR(st.st_mode) &&
	                               stat("/", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK("directories: what is none",
	      (errno = 0, !opendir("data/empty") && errno == ENOTDIR) &&
	          (errno = 0, !opendir("data/none") && errno == ENOENT));
	d = opendir("data/deep/deeper");
	CHECK("directories: deeper", d && (rewinddir(d), true));
	closedir(d);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_dup();
	test_pipe();
	test_pipe_stream();
	test_poll();
	test_select();
#ifndef __linux__
	test_exhaustion();
	test_close_wakes();
#endif
	test_threads();
	test_keys();
	test_once();
	test_mutex();
	test_cond();
	test_rwlock();
	test_barrier();
	test_semaphore();
	test_c11();
	test_lines();
	test_stream_calls();
	test_stdout();
	test_redirected();
	test_libc();
	test_time();
	test_system();
	test_files();
	test_directories();
	CHECK("terminal: stdin is one, or not", isatty(0) == 1 || errno == ENOTTY);
	CHECK("streams: stdin and stderr are closed", fclose(stdin) == 0 && fclose(stderr) == 0);
	CHECK("streams: and their descriptors with them",
	      close(STDIN_FILENO) < 0 && close(STDERR_FILENO) < 0 && errno == EBADF);
	return checks_failed > 0;
}
