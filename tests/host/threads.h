/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread layer for host tests, which are one thread: whoever waits calls what the test set up as
 * "meanwhile" (the other threads), and has timed out unless that woke it.
 */
#ifndef TESTS_HOST_THREADS_H
#define TESTS_HOST_THREADS_H

#include <assert.h>
#include <errno.h>
#include <pith/irq.h>
#include <pith/thread.h>
#include <pith/time.h>

static void (*meanwhile)(void);
static uint64_t now_ns = 1000;
bool thread_switch_pending;

void thread_switch_restore(unsigned long daif)
{
	(void)daif;
}

uint64_t time_now_ns(void)
{
	return now_ns;
}

uint64_t time_realtime_ns(void)
{
	return now_ns;
}

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	void (*others)(void) = meanwhile;
	struct list me;
	bool woken;

	meanwhile = NULL;
	list_add_tail(&q->waiters, &me);
	if (others)
		others();
	woken = list_empty(&me);
	list_remove(&me);
	if (woken)
		return 0;
	assert(deadline_ns != TIME_FOREVER); /* nobody would ever wake it */
	now_ns = deadline_ns > now_ns ? deadline_ns : now_ns;
	return -ETIMEDOUT;
}

int waitq_wake_one(struct waitq *q)
{
	if (list_empty(&q->waiters))
		return 0;
	list_remove(q->waiters.next);
	return 1;
}

int waitq_wake_all(struct waitq *q)
{
	int n = 0;

	while (waitq_wake_one(q))
		n++;
	return n;
}

void mutex_lock(struct mutex *m)
{
	assert(!m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	assert(m->owner);
	m->owner = NULL;
}

#endif
