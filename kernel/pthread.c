/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX threads on the kernel's own: a pthread_t is a struct thread, and mutexes, condition
 * variables and the rest are the kernel's inside storage that <pthread.h> declares opaquely.
 *
 * The kernel's objects contain lists, so they cannot be initialised by a constant as POSIX wants:
 * a static initialiser leaves __ready 0, and the first use sets the object up.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/thread.h>
#include "deadline.h"
#include "sched.h"

#define MUTEX(m)   ((struct mutex *)(m)->__mutex)
#define COND(c)    ((struct cond *)(c)->__cond)
#define WAITERS(x) ((struct waitq *)(x)->__waiters)

static_assert(sizeof(struct mutex) == sizeof(((pthread_mutex_t *)0)->__mutex), "<pthread.h>");
static_assert(sizeof(struct mutex) == sizeof(((pthread_spinlock_t *)0)->__mutex), "<pthread.h>");
static_assert(sizeof(struct cond) == sizeof(((pthread_cond_t *)0)->__cond), "<pthread.h>");
static_assert(sizeof(struct waitq) == sizeof(((pthread_rwlock_t *)0)->__waiters), "<pthread.h>");

#define REALTIME ((unsigned char)CLOCK_REALTIME)

/* --- Thread-specific data --- */

/*
 * A key's sequence number is odd while the key exists and goes up with its end, so that no value
 * outlives its key. A thread has values for the keys it set, in a block that its slot points to.
 */
static struct {
	unsigned long sequence;
	void (*destructor)(void *);
} keys[PTHREAD_KEYS_MAX];

struct value {
	unsigned long sequence;
	void *value;
};

struct values {
	unsigned int count;
	struct value v[];
};

static struct values **my_values(void)
{
	return (struct values **)thread_pthread_slot(thread_current());
}

static bool key_exists(pthread_key_t key)
{
	return key < PTHREAD_KEYS_MAX && (keys[key].sequence & 1);
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	unsigned long irq = irq_save();
	pthread_key_t k = 0;

	while (k < PTHREAD_KEYS_MAX && (keys[k].sequence & 1))
		k++;
	if (k < PTHREAD_KEYS_MAX) {
		keys[k].sequence++;
		keys[k].destructor = destructor;
		*key = k;
	}
	irq_restore(irq);
	return k < PTHREAD_KEYS_MAX ? 0 : EAGAIN;
}

int pthread_key_delete(pthread_key_t key)
{
	unsigned long irq = irq_save();
	int err = EINVAL;

	if (key_exists(key)) {
		keys[key].sequence++;
		err = 0;
	}
	irq_restore(irq);
	return err;
}

void *pthread_getspecific(pthread_key_t key)
{
	const struct values *mine = *my_values();

	if (!mine || key >= mine->count || mine->v[key].sequence != keys[key].sequence)
		return NULL;
	return mine->v[key].value;
}

/* The block made large enough for key. */
static struct values *grow(struct values *old, pthread_key_t key)
{
	unsigned int had = old ? old->count : 0, count = ALIGN_UP(key + 1, 8u);
	struct values *new = realloc(old, sizeof(*new) + count * sizeof(new->v[0]));

	if (!new)
		return NULL;
	memset(&new->v[had], 0, (count - had) * sizeof(new->v[0]));
	new->count = count;
	return new;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	struct values **mine = my_values(), *block = *mine;

	if (!key_exists(key))
		return EINVAL;
	if (!block || key >= block->count) {
		block = grow(block, key);
		if (!block)
			return ENOMEM;
		*mine = block;
	}
	block->v[key] = (struct value){keys[key].sequence, (void *)value};
	return 0;
}

/* One round over all values. Returns whether a destructor ran, and may have set new ones. */
static bool destroy_values(struct values **mine)
{
	bool again = false;

	for (pthread_key_t key = 0; *mine && key < (*mine)->count; key++) {
		void *value = pthread_getspecific(key);

		(*mine)->v[key].value = NULL;
		if (value && keys[key].destructor) {
			keys[key].destructor(value);
			again = true;
		}
	}
	return again;
}

static void free_values(void)
{
	struct values **mine = my_values();

	for (int i = 0; i < PTHREAD_DESTRUCTOR_ITERATIONS && destroy_values(mine); i++)
		;
	free(*mine);
	*mine = NULL;
}

/* --- Threads --- */

struct start {
	void *(*start)(void *);
	void *arg;
	struct ksem go; /* up when the creator has said who the thread is */
};

static unsigned int running = 1; /* main() */
static _Thread_local struct __pthread_cleanup *cleanup;

static void count_running(int change)
{
	unsigned long irq = irq_save();

	running += (unsigned int)change;
	irq_restore(irq);
}

static void *run(void *arg)
{
	struct start s;

	ksem_down(&((struct start *)arg)->go, TIME_FOREVER);
	s = *(struct start *)arg;
	free(arg);
	pthread_exit(s.start(s.arg));
}

static bool sched_valid(int policy, const struct sched_param *param)
{
	int p = param->sched_priority;

	return policy == SCHED_RR ? p > PRIO_IDLE && p <= PRIO_MAX
	                          : policy == SCHED_OTHER && p == 0;
}

static int kernel_priority(int policy, const struct sched_param *param)
{
	return policy == SCHED_RR ? param->sched_priority : PRIO_APP;
}

int pthread_create(pthread_t *__restrict thread, const pthread_attr_t *__restrict attr,
                   void *(*start)(void *), void *__restrict arg)
{
	int priority = thread_priority(thread_current());
	struct start *s = malloc(sizeof(*s));

	if (!s)
		return EAGAIN;
	*s = (struct start){.start = start, .arg = arg};
	ksem_init(&s->go, 0);
	if (attr && attr->__explicit_sched)
		priority = kernel_priority(attr->__policy, &attr->__param);
	count_running(1);
	*thread = thread_create("pthread", priority, attr ? attr->__stack_bytes : 0, run, s);
	if (!*thread) {
		count_running(-1);
		free(s);
		return EAGAIN;
	}
	if (attr && attr->__detached)
		thread_detach(*thread);
	ksem_up(&s->go);
	return 0;
}

void __pthread_cleanup_push(struct __pthread_cleanup *c)
{
	c->next = cleanup;
	cleanup = c;
}

void __pthread_cleanup_pop(int execute)
{
	struct __pthread_cleanup *c = cleanup;

	cleanup = c->next;
	if (execute)
		c->run(c->arg);
}

/* The last thread's end is the program's, as if main() had returned 0. */
void pthread_exit(void *value)
{
	while (cleanup)
		__pthread_cleanup_pop(1);
	free_values();
	count_running(-1);
	if (running == 0)
		exit(0);
	thread_exit(value);
}

int pthread_join(pthread_t thread, void **value)
{
	return -thread_join(thread, value);
}

int pthread_detach(pthread_t thread)
{
	return -thread_detach(thread);
}

pthread_t pthread_self(void)
{
	return thread_current();
}

int pthread_equal(pthread_t a, pthread_t b)
{
	return a == b;
}

/* A thread at PRIO_APP is SCHED_OTHER, however it came to that priority. */
int pthread_getschedparam(pthread_t thread, int *__restrict policy,
                          struct sched_param *__restrict param)
{
	int priority = thread_priority(thread);

	*policy = priority == PRIO_APP ? SCHED_OTHER : SCHED_RR;
	param->sched_priority = priority == PRIO_APP ? 0 : priority;
	return 0;
}

int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param)
{
	if (!sched_valid(policy, param))
		return policy == SCHED_RR || policy == SCHED_OTHER ? EINVAL : ENOTSUP;
	thread_set_priority(thread, kernel_priority(policy, param));
	return 0;
}

int pthread_setschedprio(pthread_t thread, int priority)
{
	return pthread_setschedparam(thread, priority ? SCHED_RR : SCHED_OTHER,
	                             &(struct sched_param){.sched_priority = priority});
}

int pthread_setname_np(pthread_t thread, const char *name)
{
	if (strlen(name) >= sizeof(thread->name))
		return ERANGE;
	strcpy(thread->name, name);
	return 0;
}

int pthread_getname_np(pthread_t thread, char *name, size_t bytes)
{
	if (strlen(thread->name) >= bytes)
		return ERANGE;
	strcpy(name, thread->name);
	return 0;
}

int pthread_yield(void)
{
	return sched_yield();
}

int sched_yield(void)
{
	thread_yield();
	return 0;
}

int sched_get_priority_min(int policy)
{
	return policy == SCHED_RR ? PRIO_IDLE + 1 : 0;
}

int sched_get_priority_max(int policy)
{
	return policy == SCHED_RR ? PRIO_MAX : 0;
}

/* --- Thread attributes --- */

int pthread_attr_init(pthread_attr_t *attr)
{
	*attr = (pthread_attr_t){.__policy = SCHED_OTHER, .__stack_bytes = PTHREAD_STACK_MIN};
	return 0;
}

int pthread_attr_destroy(pthread_attr_t *attr)
{
	(void)attr;
	return 0;
}

int pthread_attr_getdetachstate(const pthread_attr_t *attr, int *state)
{
	*state = attr->__detached;
	return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attr, int state)
{
	if (state != PTHREAD_CREATE_JOINABLE && state != PTHREAD_CREATE_DETACHED)
		return EINVAL;
	attr->__detached = (unsigned char)state;
	return 0;
}

int pthread_attr_getstacksize(const pthread_attr_t *__restrict attr, size_t *__restrict bytes)
{
	*bytes = attr->__stack_bytes;
	return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attr, size_t bytes)
{
	if (bytes < PTHREAD_STACK_MIN)
		return EINVAL;
	attr->__stack_bytes = bytes;
	return 0;
}

int pthread_attr_getinheritsched(const pthread_attr_t *__restrict attr, int *__restrict inherit)
{
	*inherit = attr->__explicit_sched;
	return 0;
}

int pthread_attr_setinheritsched(pthread_attr_t *attr, int inherit)
{
	if (inherit != PTHREAD_INHERIT_SCHED && inherit != PTHREAD_EXPLICIT_SCHED)
		return EINVAL;
	attr->__explicit_sched = (unsigned char)inherit;
	return 0;
}

int pthread_attr_getschedpolicy(const pthread_attr_t *__restrict attr, int *__restrict policy)
{
	*policy = attr->__policy;
	return 0;
}

int pthread_attr_setschedpolicy(pthread_attr_t *attr, int policy)
{
	if (policy != SCHED_OTHER && policy != SCHED_RR)
		return ENOTSUP;
	attr->__policy = (unsigned char)policy;
	attr->__param.sched_priority = policy == SCHED_RR ? PRIO_APP : 0;
	return 0;
}

int pthread_attr_getschedparam(const pthread_attr_t *__restrict attr,
                               struct sched_param *__restrict param)
{
	*param = attr->__param;
	return 0;
}

int pthread_attr_setschedparam(pthread_attr_t *__restrict attr,
                               const struct sched_param *__restrict param)
{
	if (!sched_valid(attr->__policy, param))
		return EINVAL;
	attr->__param = *param;
	return 0;
}

/* --- Once --- */

enum { ONCE_NEVER, ONCE_RUNNING, ONCE_DONE };
static struct waitq once_waiters = WAITQ_INIT(once_waiters);

int pthread_once(pthread_once_t *once, void (*init)(void))
{
	unsigned long irq = irq_save();
	bool first = once->__state == ONCE_NEVER;

	if (first)
		once->__state = ONCE_RUNNING;
	while (!first && once->__state == ONCE_RUNNING)
		waitq_wait(&once_waiters, TIME_FOREVER);
	irq_restore(irq);
	if (first) {
		init();
		once->__state = ONCE_DONE;
		waitq_wake_all(&once_waiters);
	}
	return 0;
}

/* --- Mutexes --- */

int pthread_mutexattr_init(pthread_mutexattr_t *attr)
{
	*attr = (pthread_mutexattr_t){.__type = PTHREAD_MUTEX_DEFAULT,
	                              .__protocol = PTHREAD_PRIO_INHERIT};
	return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attr)
{
	(void)attr;
	return 0;
}

int pthread_mutexattr_gettype(const pthread_mutexattr_t *__restrict attr, int *__restrict type)
{
	*type = attr->__type;
	return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type)
{
	if (type < PTHREAD_MUTEX_NORMAL || type > PTHREAD_MUTEX_ERRORCHECK)
		return EINVAL;
	attr->__type = (unsigned char)type;
	return 0;
}

int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *__restrict attr,
                                  int *__restrict protocol)
{
	*protocol = attr->__protocol;
	return 0;
}

int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attr, int protocol)
{
	if (protocol != PTHREAD_PRIO_NONE && protocol != PTHREAD_PRIO_INHERIT)
		return ENOTSUP;
	attr->__protocol = (unsigned char)protocol;
	return 0;
}

static int set_pshared(unsigned char *to, int pshared)
{
	if (pshared != PTHREAD_PROCESS_PRIVATE && pshared != PTHREAD_PROCESS_SHARED)
		return EINVAL;
	*to = (unsigned char)pshared;
	return 0;
}

int pthread_mutexattr_getpshared(const pthread_mutexattr_t *__restrict attr,
                                 int *__restrict pshared)
{
	*pshared = attr->__pshared;
	return 0;
}

int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr, int pshared)
{
	return set_pshared(&attr->__pshared, pshared);
}

static struct mutex *mutex_of(pthread_mutex_t *m)
{
	unsigned long irq;

	if (m->__ready)
		return MUTEX(m);
	irq = irq_save();
	if (!m->__ready)
		mutex_init(MUTEX(m));
	m->__ready = 1;
	irq_restore(irq);
	return MUTEX(m);
}

int pthread_mutex_init(pthread_mutex_t *__restrict m, const pthread_mutexattr_t *__restrict attr)
{
	*m = (pthread_mutex_t){.__type = attr ? attr->__type : PTHREAD_MUTEX_DEFAULT};
	mutex_of(m);
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *m)
{
	return mutex_of(m)->owner ? EBUSY : 0;
}

/*
 * The owner locks again. POSIX makes a normal mutex hang here; where the wait has no end, the
 * kernel's assertion says so instead.
 */
static int lock_again(pthread_mutex_t *m, uint64_t deadline_ns)
{
	switch (m->__type) {
	case PTHREAD_MUTEX_RECURSIVE:
		if (m->__depth == UINT32_MAX)
			return EAGAIN;
		m->__depth++;
		return 0;
	case PTHREAD_MUTEX_ERRORCHECK:
		return EDEADLK;
	default:
		assert(deadline_ns != TIME_FOREVER);
		thread_sleep_until(deadline_ns);
		return ETIMEDOUT;
	}
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	struct mutex *k = mutex_of(m);

	if (mutex_held(k))
		return lock_again(m, TIME_FOREVER);
	mutex_lock(k);
	return 0;
}

int pthread_mutex_trylock(pthread_mutex_t *m)
{
	struct mutex *k = mutex_of(m);

	if (m->__type == PTHREAD_MUTEX_RECURSIVE && mutex_held(k))
		return lock_again(m, 0);
	return -mutex_trylock(k);
}

int pthread_mutex_timedlock(pthread_mutex_t *__restrict m,
                            const struct timespec *__restrict abstime)
{
	struct mutex *k = mutex_of(m);
	uint64_t deadline_ns;

	if (!timespec_valid(abstime))
		return EINVAL;
	deadline_ns = deadline_at(true, abstime);
	if (mutex_held(k))
		return lock_again(m, deadline_ns);
	return -mutex_lock_until(k, deadline_ns);
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct mutex *k = mutex_of(m);

	if (m->__type != PTHREAD_MUTEX_NORMAL && !mutex_held(k))
		return EPERM;
	if (m->__depth > 0)
		m->__depth--;
	else
		mutex_unlock(k);
	return 0;
}

/* --- Condition variables --- */

int pthread_condattr_init(pthread_condattr_t *attr)
{
	*attr = (pthread_condattr_t){.__clock = REALTIME};
	return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attr)
{
	(void)attr;
	return 0;
}

int pthread_condattr_getclock(const pthread_condattr_t *__restrict attr,
                              clockid_t *__restrict clock)
{
	*clock = attr->__clock;
	return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	attr->__clock = (unsigned char)clock;
	return 0;
}

int pthread_condattr_getpshared(const pthread_condattr_t *__restrict attr, int *__restrict pshared)
{
	*pshared = attr->__pshared;
	return 0;
}

int pthread_condattr_setpshared(pthread_condattr_t *attr, int pshared)
{
	return set_pshared(&attr->__pshared, pshared);
}

static struct cond *cond_of(pthread_cond_t *c)
{
	unsigned long irq;

	if (c->__ready)
		return COND(c);
	irq = irq_save();
	if (!c->__ready)
		cond_init(COND(c));
	c->__ready = 1;
	irq_restore(irq);
	return COND(c);
}

int pthread_cond_init(pthread_cond_t *__restrict c, const pthread_condattr_t *__restrict attr)
{
	*c = (pthread_cond_t){.__clock = attr ? attr->__clock : REALTIME};
	cond_of(c);
	return 0;
}

int pthread_cond_destroy(pthread_cond_t *c)
{
	return list_empty(&cond_of(c)->waiters.waiters) ? 0 : EBUSY;
}

/* A recursive mutex is given up wholly, however deep, and comes back as deep. */
static int wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_ns)
{
	struct mutex *k = mutex_of(m);
	unsigned int depth = m->__depth;
	int err;

	if (!mutex_held(k))
		return EPERM;
	m->__depth = 0;
	err = cond_wait(cond_of(c), k, deadline_ns);
	m->__depth = depth;
	return -err;
}

int pthread_cond_wait(pthread_cond_t *__restrict c, pthread_mutex_t *__restrict m)
{
	return wait_until(c, m, TIME_FOREVER);
}

int pthread_cond_timedwait(pthread_cond_t *__restrict c, pthread_mutex_t *__restrict m,
                           const struct timespec *__restrict abstime)
{
	if (!timespec_valid(abstime))
		return EINVAL;
	return wait_until(c, m, deadline_at(c->__clock == REALTIME, abstime));
}

int pthread_cond_signal(pthread_cond_t *c)
{
	cond_signal(cond_of(c));
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
	cond_broadcast(cond_of(c));
	return 0;
}

/* --- Readers and writers --- */

int pthread_rwlockattr_init(pthread_rwlockattr_t *attr)
{
	*attr = (pthread_rwlockattr_t){0};
	return 0;
}

int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attr)
{
	(void)attr;
	return 0;
}

int pthread_rwlockattr_getpshared(const pthread_rwlockattr_t *__restrict attr,
                                  int *__restrict pshared)
{
	*pshared = attr->__pshared;
	return 0;
}

int pthread_rwlockattr_setpshared(pthread_rwlockattr_t *attr, int pshared)
{
	return set_pshared(&attr->__pshared, pshared);
}

int pthread_rwlock_init(pthread_rwlock_t *__restrict l, const pthread_rwlockattr_t *__restrict attr)
{
	(void)attr;
	*l = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
	return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *l)
{
	return l->__writer || l->__readers ? EBUSY : 0;
}

static bool rwlock_free(const pthread_rwlock_t *l, bool write)
{
	return !l->__writer && !(write && l->__readers);
}

/* block: false only tries. */
static int rwlock_lock(pthread_rwlock_t *l, bool write, bool block, uint64_t deadline_ns)
{
	unsigned long irq = irq_save();
	int err = 0;

	if (!l->__ready)
		waitq_init(WAITERS(l));
	l->__ready = 1;
	if (block && l->__writer == thread_current())
		err = EDEADLK;
	while (!err && !rwlock_free(l, write))
		err = block ? -waitq_wait(WAITERS(l), deadline_ns) : EBUSY;
	if (!err && write)
		l->__writer = thread_current();
	else if (!err)
		l->__readers++;
	irq_restore(irq);
	return err;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	return rwlock_lock(l, false, true, TIME_FOREVER);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
	return rwlock_lock(l, false, false, 0);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *__restrict l,
                               const struct timespec *__restrict abstime)
{
	return timespec_valid(abstime) ? rwlock_lock(l, false, true, deadline_at(true, abstime))
	                               : EINVAL;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	return rwlock_lock(l, true, true, TIME_FOREVER);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	return rwlock_lock(l, true, false, 0);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *__restrict l,
                               const struct timespec *__restrict abstime)
{
	return timespec_valid(abstime) ? rwlock_lock(l, true, true, deadline_at(true, abstime))
	                               : EINVAL;
}

int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	unsigned long irq = irq_save();
	int err = 0;

	if (l->__writer == thread_current())
		l->__writer = NULL;
	else if (l->__readers > 0)
		l->__readers--;
	else
		err = EPERM;
	if (!err && l->__readers == 0)
		waitq_wake_all(WAITERS(l));
	irq_restore(irq);
	return err;
}

/* --- Barriers --- */

int pthread_barrier_init(pthread_barrier_t *__restrict b,
                         const pthread_barrierattr_t *__restrict attr, unsigned int count)
{
	(void)attr;
	if (count == 0)
		return EINVAL;
	*b = (pthread_barrier_t){.__count = count};
	waitq_init(WAITERS(b));
	return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *b)
{
	return b->__here ? EBUSY : 0;
}

/*
 * Only the last to come wakes the others, so they need not look at the barrier again: it may be
 * gone by then.
 */
int pthread_barrier_wait(pthread_barrier_t *b)
{
	unsigned long irq = irq_save();
	bool last = ++b->__here == b->__count;

	if (last) {
		b->__here = 0;
		waitq_wake_all(WAITERS(b));
	} else {
		waitq_wait(WAITERS(b), TIME_FOREVER);
	}
	irq_restore(irq);
	return last ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

/* --- Spin locks --- */

int pthread_spin_init(pthread_spinlock_t *l, int pshared)
{
	(void)pshared;
	mutex_init(MUTEX(l));
	return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *l)
{
	return MUTEX(l)->owner ? EBUSY : 0;
}

int pthread_spin_lock(pthread_spinlock_t *l)
{
	mutex_lock(MUTEX(l));
	return 0;
}

int pthread_spin_trylock(pthread_spinlock_t *l)
{
	return -mutex_trylock(MUTEX(l));
}

int pthread_spin_unlock(pthread_spinlock_t *l)
{
	mutex_unlock(MUTEX(l));
	return 0;
}
