/* SPDX-License-Identifier: Apache-2.0 */
/* C11's threads in terms of POSIX's: the same objects under other names. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static int result(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case EAGAIN:
	case ENOMEM:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

/* --- Threads --- */

struct start {
	thrd_start_t run;
	void *arg;
};

static void *run(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)s.run(s.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
	struct start *s = malloc(sizeof(*s));
	int error;

	if (!s)
		return thrd_nomem;
	*s = (struct start){start, arg};
	error = pthread_create(thread, NULL, run, s);
	if (error)
		free(s);
	return result(error);
}

thrd_t thrd_current(void)
{
	return pthread_self();
}

int thrd_detach(thrd_t thread)
{
	return result(pthread_detach(thread));
}

int thrd_equal(thrd_t a, thrd_t b)
{
	return pthread_equal(a, b);
}

void thrd_exit(int value)
{
	pthread_exit((void *)(intptr_t)value);
}

int thrd_join(thrd_t thread, int *value)
{
	void *pointer;
	int error = pthread_join(thread, &pointer);

	if (!error && value)
		*value = (int)(intptr_t)pointer;
	return result(error);
}

int thrd_sleep(const struct timespec *ts, struct timespec *left)
{
	return nanosleep(ts, left) ? -2 : 0;
}

void thrd_yield(void)
{
	sched_yield();
}

void call_once(once_flag *flag, void (*init)(void))
{
	pthread_once(flag, init);
}

/* --- Mutexes and condition variables --- */

int mtx_init(mtx_t *m, int type)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	return result(pthread_mutex_init(m, &attr));
}

void mtx_destroy(mtx_t *m)
{
	pthread_mutex_destroy(m);
}

int mtx_lock(mtx_t *m)
{
	return result(pthread_mutex_lock(m));
}

int mtx_timedlock(mtx_t *__restrict m, const struct timespec *__restrict ts)
{
	return result(pthread_mutex_timedlock(m, ts));
}

int mtx_trylock(mtx_t *m)
{
	return result(pthread_mutex_trylock(m));
}

int mtx_unlock(mtx_t *m)
{
	return result(pthread_mutex_unlock(m));
}

int cnd_init(cnd_t *c)
{
	return result(pthread_cond_init(c, NULL));
}

void cnd_destroy(cnd_t *c)
{
	pthread_cond_destroy(c);
}

int cnd_signal(cnd_t *c)
{
	return result(pthread_cond_signal(c));
}

int cnd_broadcast(cnd_t *c)
{
	return result(pthread_cond_broadcast(c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
	return result(pthread_cond_wait(c, m));
}

int cnd_timedwait(cnd_t *__restrict c, mtx_t *__restrict m, const struct timespec *__restrict ts)
{
	return result(pthread_cond_timedwait(c, m, ts));
}

/* --- Thread-specific storage --- */

int tss_create(tss_t *key, tss_dtor_t destructor)
{
	return result(pthread_key_create(key, destructor));
}

void tss_delete(tss_t key)
{
	pthread_key_delete(key);
}

void *tss_get(tss_t key)
{
	return pthread_getspecific(key);
}

int tss_set(tss_t key, void *value)
{
	return result(pthread_setspecific(key, value));
}
