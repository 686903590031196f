/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pith/thread.h and pith/time.h on the host's threads, for tests that need several: truly parallel,
 * and without priorities.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <pith/irq.h>
#include <pith/thread.h>
#include <pith/time.h>

/* --- Interrupts masked: one lock, taken recursively --- */

static pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned int depth;

unsigned long irq_save(void)
{
	if (depth++ == 0)
		pthread_mutex_lock(&all);
	return 0;
}

void irq_restore(unsigned long flags)
{
	(void)flags;
	assert(depth);
	if (--depth == 0)
		pthread_mutex_unlock(&all);
}

void irq_restore_quiet(unsigned long flags)
{
	irq_restore(flags);
}

/* --- Time --- */

uint64_t time_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static pthread_once_t timer_once = PTHREAD_ONCE_INIT;
static pthread_cond_t timers_changed;
static struct timer *timers[8]; /* armed; NULL: free */

/* Wait on c with `all` given up whole. */
static void wait_until(pthread_cond_t *c, uint64_t deadline_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
	                      .tv_nsec = (long)(deadline_ns % NS_PER_S)};
	unsigned int mine = depth;

	depth = 0;
	if (deadline_ns == TIME_FOREVER)
		pthread_cond_wait(c, &all);
	else
		pthread_cond_timedwait(c, &all, &ts);
	depth = mine;
}

static void cond_create(pthread_cond_t *c)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
}

#define TIMERS (sizeof(timers) / sizeof(timers[0]))

/* Put t, or nothing, where was is. */
static void replace(const struct timer *was, struct timer *t)
{
	unsigned int i = 0;

	while (timers[i] != was)
		assert(++i < TIMERS);
	timers[i] = t;
}

static struct timer *first_timer(void)
{
	struct timer *first = NULL;

	for (unsigned int i = 0; i < TIMERS; i++) {
		if (timers[i] && (!first || timers[i]->deadline_ns < first->deadline_ns))
			first = timers[i];
	}
	return first;
}

static void disarm(struct timer *t)
{
	for (unsigned int i = 0; i < TIMERS; i++) {
		if (timers[i] == t)
			timers[i] = NULL;
	}
}

static void *run_timers(void *arg)
{
	irq_save();
	for (;;) {
		struct timer *t = first_timer();

		if (t && t->deadline_ns <= time_now_ns()) {
			disarm(t);
			t->expired(t);
		} else {
			wait_until(&timers_changed, t ? t->deadline_ns : TIME_FOREVER);
		}
	}
	return arg;
}

static void start_timers(void)
{
	pthread_t thread;

	cond_create(&timers_changed);
	pthread_create(&thread, NULL, run_timers, NULL);
	pthread_detach(thread);
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	pthread_once(&timer_once, start_timers);
	irq_save();
	disarm(t);
	t->deadline_ns = deadline_ns;
	replace(NULL, t);
	pthread_cond_signal(&timers_changed);
	irq_restore(0);
}

void timer_cancel(struct timer *t)
{
	irq_save();
	disarm(t);
	irq_restore(0);
}

/* --- Waiting --- */

struct waiter {
	struct list link;
	pthread_cond_t woken;
	bool done;
};

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	struct waiter w = {.done = false};

	assert(depth);
	cond_create(&w.woken);
	list_add_tail(&q->waiters, &w.link);
	while (!w.done && time_now_ns() < deadline_ns)
		wait_until(&w.woken, deadline_ns);
	if (!w.done)
		list_remove(&w.link);
	pthread_cond_destroy(&w.woken);
	return w.done ? 0 : -ETIMEDOUT;
}

int waitq_wake_one(struct waitq *q)
{
	int n = 0;

	irq_save();
	if (!list_empty(&q->waiters)) {
		struct waiter *w = container_of(q->waiters.next, struct waiter, link);

		list_remove(&w->link);
		w->done = true;
		pthread_cond_signal(&w->woken);
		n = 1;
	}
	irq_restore(0);
	return n;
}

int waitq_wake_all(struct waitq *q)
{
	int n = 0;

	irq_save();
	while (waitq_wake_one(q))
		n++;
	irq_restore(0);
	return n;
}

/* --- Threads --- */

struct thread {
	pthread_t pthread;
	void *(*entry)(void *arg);
	void *arg;
};
static _Thread_local struct thread me;

struct thread *thread_current(void)
{
	return &me;
}

static void *enter(void *arg)
{
	struct thread *t = arg;

	return t->entry(t->arg);
}

struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *arg), void *arg)
{
	struct thread *t = malloc(sizeof(*t));

	(void)name, (void)priority, (void)stack_bytes;
	*t = (struct thread){.entry = entry, .arg = arg};
	pthread_create(&t->pthread, NULL, enter, t);
	return t;
}

int thread_detach(struct thread *t)
{
	return -pthread_detach(t->pthread);
}

void mutex_lock(struct mutex *m)
{
	irq_save();
	assert(m->owner != &me);
	while (m->owner)
		waitq_wait(&m->waiters, TIME_FOREVER);
	m->owner = &me;
	irq_restore(0);
}

void mutex_unlock(struct mutex *m)
{
	irq_save();
	assert(m->owner == &me);
	m->owner = NULL;
	waitq_wake_one(&m->waiters);
	irq_restore(0);
}

bool mutex_held(const struct mutex *m)
{
	return m->owner == &me;
}

void ksem_init(struct ksem *s, unsigned int count)
{
	s->count = count;
	waitq_init(&s->waiters);
}

int ksem_down(struct ksem *s, uint64_t deadline_ns)
{
	int r = 0;

	irq_save();
	while (!s->count && r == 0)
		r = waitq_wait(&s->waiters, deadline_ns);
	if (s->count) {
		s->count--;
		r = 0;
	}
	irq_restore(0);
	return r;
}

void ksem_up(struct ksem *s)
{
	irq_save();
	s->count++;
	waitq_wake_one(&s->waiters);
	irq_restore(0);
}
