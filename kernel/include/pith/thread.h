/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: preemptive, fixed priorities, round robin among equals, tickless; and what they wait on.
 */
#ifndef PITH_THREAD_H
#define PITH_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/list.h>
#include <pith/time.h>

/* Greater runs first. */
enum {
	PRIO_IDLE = 0,
	PRIO_LOW = 4,
	PRIO_APP = 8,  /* main() and pthreads by default */
	PRIO_NET = 16, /* the network thread */
	PRIO_WATCHDOG = 24,
	PRIO_MAX = 31,
};
#define THREAD_SLICE_NS (10 * NS_PER_MS) /* round robin among equals, only while there are equals */

struct thread;
struct mutex;

/* Threads waiting for something, highest priority first, in order of arrival among equals. */
struct waitq {
	struct list waiters;
};
#define WAITQ_INIT(name)                  \
	{                                 \
		LIST_INIT((name).waiters) \
	}
void waitq_init(struct waitq *q);

/*
 * Sleep on q until woken or until deadline_ns.
 *
 * Interrupts must be masked (irq_save) from the check of the condition to this call, and are masked
 * again on return: no wake-up can be lost between. The condition must be checked again after.
 * Blocks   yes (thread only)
 * Returns  0 woken; -ETIMEDOUT
 */
int waitq_wait(struct waitq *q, uint64_t deadline_ns);
/* Make the first waiter, or all, runnable. Any context. Returns how many were woken. */
int waitq_wake_one(struct waitq *q);
int waitq_wake_all(struct waitq *q);

/*
 * Start a thread.
 *
 * name         copied, 15 bytes kept
 * stack_bytes  rounded up to pages; a guard page is added below; 0: the default (16 KiB)
 * Returns      the thread (one reference, to be given up by thread_join or thread_detach);
 *              NULL with no memory
 */
struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *arg), void *arg);
/* The value that entry returned or thread_exit was given. Blocks. 0, -EDEADLK, -EINVAL. */
int thread_join(struct thread *t, void **value);
int thread_detach(struct thread *t);
void thread_exit(void *value) __attribute__((noreturn));
struct thread *thread_current(void);
void thread_yield(void);
/* Sleep until an absolute time. */
void thread_sleep_until(uint64_t deadline_ns);
void thread_set_priority(struct thread *t, int priority);
int thread_priority(const struct thread *t); /* its own, without what it inherits */
const char *thread_name(const struct thread *t);
/* One pointer that the pthread layer keeps per thread. */
void **thread_pthread_slot(struct thread *t);

/* For the status page: walk all threads. */
struct thread_info {
	char name[16];
	const char *state; /* "running", "ready", "waiting", "sleeping", "exited" */
	int priority;
	size_t stack_bytes, stack_used_max_bytes;
	uint64_t run_ns;
};
/* Fill up to max entries, most recent first; return how many threads there are. */
size_t thread_list(struct thread_info *info, size_t max);

/* True where blocking is allowed: in a thread, not in an interrupt handler, not before threads. */
bool thread_may_block(void);

/*
 * Mutex with priority inheritance: the owner runs at the priority of its most urgent waiter, through
 * chains of mutexes. Not recursive: locking twice is a bug and asserts.
 */
struct mutex {
	struct thread *owner;
	struct waitq waiters;
	struct list owned; /* in the owner's list of held mutexes */
};
#define MUTEX_INIT(name)                                                                \
	{                                                                               \
		.waiters = WAITQ_INIT((name).waiters), .owned = LIST_INIT((name).owned) \
	}
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
int mutex_trylock(struct mutex *m);                          /* 0 or -EBUSY */
int mutex_lock_until(struct mutex *m, uint64_t deadline_ns); /* 0 or -ETIMEDOUT */
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by the current thread */

/* Condition variable. */
struct cond {
	struct waitq waiters;
};
#define COND_INIT(name)                    \
	{                                  \
		WAITQ_INIT((name).waiters) \
	}
void cond_init(struct cond *c);
/* Give up m, wait, take m again. 0 or -ETIMEDOUT (m is held either way). */
int cond_wait(struct cond *c, struct mutex *m, uint64_t deadline_ns);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/* Counting semaphore; sem_up from any context. */
struct ksem {
	unsigned int count;
	struct waitq waiters;
};
void ksem_init(struct ksem *s, unsigned int count);
int ksem_down(struct ksem *s, uint64_t deadline_ns); /* 0 or -ETIMEDOUT; deadline 0 = try */
void ksem_up(struct ksem *s);

#endif
