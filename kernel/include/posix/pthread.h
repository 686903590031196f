/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads (POSIX.1-2008).
 *
 * Every mutex lets its owner inherit the priority of whoever waits for it, whatever protocol its
 * attributes ask for. All threads share one address space, so the process-shared attributes change
 * nothing. Not there, and failing at link time: cancellation, robust mutexes, pthread_kill(),
 * stacks that the caller supplies.
 */
#ifndef PITH_POSIX_PTHREAD_H
#define PITH_POSIX_PTHREAD_H

#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>
#include <sys/cdefs.h>
#include <sys/types.h>

/* Opaque: a thread of pith/thread.h. */
typedef struct thread *pthread_t;

typedef struct {
	size_t __stack_bytes;
	struct sched_param __param;
	unsigned char __detached, __policy, __explicit_sched;
} pthread_attr_t;

/* The kernel's objects need pointers to themselves: set up at first use when __ready is 0. */
typedef struct {
	unsigned long __mutex[5]; /* struct mutex */
	unsigned int __depth;     /* recursive: how often more than once */
	unsigned char __type, __ready;
} pthread_mutex_t;

typedef struct {
	unsigned char __type, __protocol, __pshared;
} pthread_mutexattr_t;

typedef struct {
	unsigned long __cond[2]; /* struct cond */
	unsigned char __clock, __ready;
} pthread_cond_t;

typedef struct {
	unsigned char __clock, __pshared;
} pthread_condattr_t;

typedef struct {
	unsigned long __waiters[2]; /* struct waitq */
	pthread_t __writer;
	unsigned int __readers;
	unsigned char __ready;
} pthread_rwlock_t;

typedef struct {
	unsigned char __pshared;
} pthread_rwlockattr_t;

typedef struct {
	unsigned long __waiters[2]; /* struct waitq */
	unsigned int __count, __here;
} pthread_barrier_t;

typedef struct {
	unsigned char __pshared;
} pthread_barrierattr_t;

/* On one processor a spinning thread would only keep the owner from running: a mutex, too. */
typedef struct {
	unsigned long __mutex[5];
} pthread_spinlock_t;

typedef struct {
	int __state;
} pthread_once_t;

typedef unsigned int pthread_key_t;

#define PTHREAD_CREATE_JOINABLE 0
#define PTHREAD_CREATE_DETACHED 1

#define PTHREAD_INHERIT_SCHED  0
#define PTHREAD_EXPLICIT_SCHED 1

#define PTHREAD_MUTEX_NORMAL     0
#define PTHREAD_MUTEX_RECURSIVE  1
#define PTHREAD_MUTEX_ERRORCHECK 2
#define PTHREAD_MUTEX_DEFAULT    PTHREAD_MUTEX_NORMAL

#define PTHREAD_PRIO_NONE    0
#define PTHREAD_PRIO_INHERIT 1

#define PTHREAD_PROCESS_PRIVATE 0
#define PTHREAD_PROCESS_SHARED  1

#define PTHREAD_BARRIER_SERIAL_THREAD (-1)

#define PTHREAD_ONCE_INIT \
	{                 \
		0         \
	}
#define PTHREAD_MUTEX_INITIALIZER               \
	{                                       \
		{0}, 0, PTHREAD_MUTEX_NORMAL, 0 \
	}
#if __GNU_VISIBLE
#define PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP     \
	{                                          \
		{0}, 0, PTHREAD_MUTEX_RECURSIVE, 0 \
	}
#define PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP     \
	{                                           \
		{0}, 0, PTHREAD_MUTEX_ERRORCHECK, 0 \
	}
#endif
#define PTHREAD_COND_INITIALIZER                              \
	{                                                     \
		{0}, (unsigned char)1 /* CLOCK_REALTIME */, 0 \
	}
#define PTHREAD_RWLOCK_INITIALIZER \
	{                          \
		{0}, NULL, 0, 0    \
	}

__BEGIN_DECLS

/* Threads. */
int pthread_create(pthread_t *__restrict thread, const pthread_attr_t *__restrict attr,
                   void *(*start)(void *), void *__restrict arg);
void pthread_exit(void *value) __attribute__((noreturn));
int pthread_join(pthread_t thread, void **value);
int pthread_detach(pthread_t thread);
pthread_t pthread_self(void);
int pthread_equal(pthread_t a, pthread_t b);
int pthread_getschedparam(pthread_t thread, int *__restrict policy,
                          struct sched_param *__restrict param);
int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param);
int pthread_setschedprio(pthread_t thread, int priority);
#if __GNU_VISIBLE
int pthread_getname_np(pthread_t thread, char *name, size_t bytes);
int pthread_setname_np(pthread_t thread, const char *name);
int pthread_yield(void);
#endif

int pthread_attr_init(pthread_attr_t *attr);
int pthread_attr_destroy(pthread_attr_t *attr);
int pthread_attr_getdetachstate(const pthread_attr_t *attr, int *state);
int pthread_attr_setdetachstate(pthread_attr_t *attr, int state);
int pthread_attr_getstacksize(const pthread_attr_t *__restrict attr, size_t *__restrict bytes);
int pthread_attr_setstacksize(pthread_attr_t *attr, size_t bytes);
int pthread_attr_getinheritsched(const pthread_attr_t *__restrict attr, int *__restrict inherit);
int pthread_attr_setinheritsched(pthread_attr_t *attr, int inherit);
int pthread_attr_getschedpolicy(const pthread_attr_t *__restrict attr, int *__restrict policy);
int pthread_attr_setschedpolicy(pthread_attr_t *attr, int policy);
int pthread_attr_getschedparam(const pthread_attr_t *__restrict attr,
                               struct sched_param *__restrict param);
int pthread_attr_setschedparam(pthread_attr_t *__restrict attr,
                               const struct sched_param *__restrict param);

/* Handlers that pthread_exit() runs, last pushed first. */
struct __pthread_cleanup {
	void (*run)(void *);
	void *arg;
	struct __pthread_cleanup *next;
};
void __pthread_cleanup_push(struct __pthread_cleanup *c);
void __pthread_cleanup_pop(int execute);
#define pthread_cleanup_push(run, arg)                                     \
	{                                                                  \
		struct __pthread_cleanup __cleanup = {(run), (arg), NULL}; \
		__pthread_cleanup_push(&__cleanup);                        \
		{
#define pthread_cleanup_pop(execute)    \
	}                               \
	__pthread_cleanup_pop(execute); \
	}

int pthread_once(pthread_once_t *once, void (*init)(void));
int pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int pthread_key_delete(pthread_key_t key);
void *pthread_getspecific(pthread_key_t key);
int pthread_setspecific(pthread_key_t key, const void *value);

/* Mutexes. */
int pthread_mutex_init(pthread_mutex_t *__restrict m, const pthread_mutexattr_t *__restrict attr);
int pthread_mutex_destroy(pthread_mutex_t *m);
int pthread_mutex_lock(pthread_mutex_t *m);
int pthread_mutex_trylock(pthread_mutex_t *m);
int pthread_mutex_timedlock(pthread_mutex_t *__restrict m,
                            const struct timespec *__restrict abstime);
int pthread_mutex_unlock(pthread_mutex_t *m);
int pthread_mutexattr_init(pthread_mutexattr_t *attr);
int pthread_mutexattr_destroy(pthread_mutexattr_t *attr);
int pthread_mutexattr_gettype(const pthread_mutexattr_t *__restrict attr, int *__restrict type);
int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type);
int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *__restrict attr,
                                  int *__restrict protocol);
int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attr, int protocol);
int pthread_mutexattr_getpshared(const pthread_mutexattr_t *__restrict attr,
                                 int *__restrict pshared);
int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr, int pshared);

/* Condition variables. */
int pthread_cond_init(pthread_cond_t *__restrict c, const pthread_condattr_t *__restrict attr);
int pthread_cond_destroy(pthread_cond_t *c);
int pthread_cond_wait(pthread_cond_t *__restrict c, pthread_mutex_t *__restrict m);
int pthread_cond_timedwait(pthread_cond_t *__restrict c, pthread_mutex_t *__restrict m,
                           const struct timespec *__restrict abstime);
int pthread_cond_signal(pthread_cond_t *c);
int pthread_cond_broadcast(pthread_cond_t *c);
int pthread_condattr_init(pthread_condattr_t *attr);
int pthread_condattr_destroy(pthread_condattr_t *attr);
int pthread_condattr_getclock(const pthread_condattr_t *__restrict attr,
                              clockid_t *__restrict clock);
int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int pthread_condattr_getpshared(const pthread_condattr_t *__restrict attr, int *__restrict pshared);
int pthread_condattr_setpshared(pthread_condattr_t *attr, int pshared);

/* Readers and writers; readers go first. */
int pthread_rwlock_init(pthread_rwlock_t *__restrict l,
                        const pthread_rwlockattr_t *__restrict attr);
int pthread_rwlock_destroy(pthread_rwlock_t *l);
int pthread_rwlock_rdlock(pthread_rwlock_t *l);
int pthread_rwlock_tryrdlock(pthread_rwlock_t *l);
int pthread_rwlock_timedrdlock(pthread_rwlock_t *__restrict l,
                               const struct timespec *__restrict abstime);
int pthread_rwlock_wrlock(pthread_rwlock_t *l);
int pthread_rwlock_trywrlock(pthread_rwlock_t *l);
int pthread_rwlock_timedwrlock(pthread_rwlock_t *__restrict l,
                               const struct timespec *__restrict abstime);
int pthread_rwlock_unlock(pthread_rwlock_t *l);
int pthread_rwlockattr_init(pthread_rwlockattr_t *attr);
int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attr);
int pthread_rwlockattr_getpshared(const pthread_rwlockattr_t *__restrict attr,
                                  int *__restrict pshared);
int pthread_rwlockattr_setpshared(pthread_rwlockattr_t *attr, int pshared);

/* Barriers and spin locks. */
int pthread_barrier_init(pthread_barrier_t *__restrict b,
                         const pthread_barrierattr_t *__restrict attr, unsigned int count);
int pthread_barrier_destroy(pthread_barrier_t *b);
int pthread_barrier_wait(pthread_barrier_t *b);
int pthread_spin_init(pthread_spinlock_t *l, int pshared);
int pthread_spin_destroy(pthread_spinlock_t *l);
int pthread_spin_lock(pthread_spinlock_t *l);
int pthread_spin_trylock(pthread_spinlock_t *l);
int pthread_spin_unlock(pthread_spinlock_t *l);

__END_DECLS

#endif
