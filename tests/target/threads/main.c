/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: preemption, priority inheritance, timers, registers across switches, memory exhaustion.
 *
 * Times are virtual under -icount, where the test runs them strictly; without it they are bounds that
 * a busy host still keeps.
 */
#include <errno.h>
#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "check.h"

static volatile bool stop;

static void busy_for(uint64_t ns)
{
	uint64_t end = time_now_ns() + ns;

	while (time_now_ns() < end)
		;
}

/* --- Preemption -------------------------------------------------------------------------- */

static void *wake_up(void *arg)
{
	thread_sleep_until(time_now_ns() + 5 * NS_PER_MS);
	*(volatile uint64_t *)arg = time_now_ns();
	return NULL;
}

static void test_preemption(void)
{
	volatile uint64_t woken_ns = 0;
	uint64_t start = time_now_ns();
	struct thread *t = thread_create("urgent", PRIO_NET, 0, wake_up, (void *)&woken_ns);

	busy_for(20 * NS_PER_MS);
	CHECK("a more urgent thread preempts a busy one", woken_ns != 0);
	CHECK("at the time it asked for",
	      woken_ns - start >= 5 * NS_PER_MS && woken_ns - start < 10 * NS_PER_MS);
	thread_join(t, NULL);
}

static void *count_up(void *arg)
{
	volatile uint64_t *n = arg;

	while (!stop)
		(*n)++;
	return NULL;
}

static void test_round_robin(void)
{
	volatile uint64_t n[3] = {0, 0, 0};
	struct thread *t[3];

	stop = false;
	for (int i = 0; i < 3; i++)
		t[i] = thread_create("equal", PRIO_LOW, 0, count_up, (void *)&n[i]);
	thread_sleep_until(time_now_ns() + 200 * NS_PER_MS);
	stop = true;
	for (int i = 0; i < 3; i++)
		thread_join(t[i], NULL);
	CHECK("equals share the CPU", n[0] > 0 && n[1] > 0 && n[2] > 0);
	CHECK("and share it fairly", n[0] < 3 * n[1] && n[1] < 3 * n[2] && n[2] < 3 * n[0]);
}

/* --- Priority inheritance ------------------------------------------------------------------ */

static struct mutex outer = MUTEX_INIT(outer), inner = MUTEX_INIT(inner);
static volatile bool low_has_it;

/* Holds inner for 2 ms of its own time. */
static void *low(void *arg)
{
	(void)arg;
	mutex_lock(&inner);
	low_has_it = true;
	for (int i = 0; i < 20; i++)
		busy_for(100 * NS_PER_US);
	mutex_unlock(&inner);
	return NULL;
}

/* Holds outer and waits for inner: the chain's middle link. */
static void *chained(void *arg)
{
	(void)arg;
	mutex_lock(&outer);
	mutex_lock(&inner);
	mutex_unlock(&inner);
	mutex_unlock(&outer);
	return NULL;
}

static void *middle(void *arg)
{
	(void)arg;
	while (!stop)
		;
	return NULL;
}

static uint64_t time_to_lock(struct mutex *m)
{
	uint64_t start = time_now_ns();
	int result = mutex_lock_until(m, start + NS_PER_S);

	if (!result)
		mutex_unlock(m);
	return time_now_ns() - start;
}

static void test_priority_inheritance(void)
{
	struct thread *threads[3];
	uint64_t waited_ns;

	/* main is the urgent one; low starts at once when main sleeps. */
	thread_set_priority(thread_current(), PRIO_NET);
	stop = low_has_it = false;
	threads[0] = thread_create("low", PRIO_LOW, 0, low, NULL);
	while (!low_has_it)
		thread_sleep_until(time_now_ns() + 100 * NS_PER_US);
	threads[1] = thread_create("chained", PRIO_LOW + 1, 0, chained, NULL);
	thread_sleep_until(time_now_ns() + 100 * NS_PER_US);
	threads[2] = thread_create("middle", PRIO_APP, 0, middle, NULL);
	thread_sleep_until(time_now_ns() + NS_PER_MS); /* middle has the CPU now */
	waited_ns = time_to_lock(&outer);
	CHECK("a mutex's owner inherits through a chain", waited_ns < 10 * NS_PER_MS);
	CHECK("and gives it back", thread_priority(threads[0]) == PRIO_LOW);
	stop = true;
	for (int i = 0; i < 3; i++)
		thread_join(threads[i], NULL);
	thread_set_priority(thread_current(), PRIO_APP);
}

static void *hold(void *arg)
{
	struct mutex *m = arg;

	mutex_lock(m);
	thread_sleep_until(time_now_ns() + 50 * NS_PER_MS);
	mutex_unlock(m);
	return NULL;
}

static void test_mutex(void)
{
	struct mutex m = MUTEX_INIT(m);
	struct thread *t = thread_create("holder", PRIO_NET, 0, hold, &m);

	CHECK("trylock of a held mutex is busy", mutex_trylock(&m) == -EBUSY);
	CHECK("a lock with a deadline gives up",
	      mutex_lock_until(&m, time_now_ns() + 5 * NS_PER_MS) == -ETIMEDOUT);
	mutex_lock(&m);
	CHECK("a mutex is handed over", mutex_held(&m));
	mutex_unlock(&m);
	thread_join(t, NULL);
	CHECK("a free mutex can be had", mutex_trylock(&m) == 0);
	mutex_unlock(&m);
}

static int gave_up;

static void *wait_briefly(void *arg)
{
	gave_up = mutex_lock_until(arg, time_now_ns() + 5 * NS_PER_MS);
	return NULL;
}

static void *lock_once(void *arg)
{
	mutex_lock(arg);
	mutex_unlock(arg);
	return NULL;
}

/* Between its deadline and its next turn, which here comes late, a waiter must be none any more. */
static void test_mutex_whose_waiter_is_late(void)
{
	struct mutex m = MUTEX_INIT(m);
	struct thread *late, *next;

	mutex_lock(&m);
	late = thread_create("late", PRIO_LOW, 0, wait_briefly, &m);
	thread_sleep_until(time_now_ns() + NS_PER_MS);
	busy_for(10 * NS_PER_MS);
	next = thread_create("next", PRIO_NET, 0, lock_once, &m);
	mutex_unlock(&m);
	thread_join(next, NULL);
	thread_join(late, NULL);
	CHECK("a mutex whose waiter gave up can be waited for", gave_up == -ETIMEDOUT);
	CHECK("and its owner has its own priority", thread_priority(thread_current()) == PRIO_APP);
}

static uint64_t gave_up_ns;

static void *wait_urgently(void *arg)
{
	mutex_lock_until(arg, time_now_ns() + 5 * NS_PER_MS);
	gave_up_ns = time_now_ns();
	return NULL;
}

/* Which has its own priority back at that moment: the waiter runs at once, and not a slice later. */
static void test_mutex_whose_waiter_gives_up_while_the_owner_runs(void)
{
	struct mutex m = MUTEX_INIT(m);
	uint64_t start_ns = time_now_ns();
	struct thread *t;

	mutex_lock(&m);
	t = thread_create("urgent", PRIO_NET, 0, wait_urgently, &m);
	thread_sleep_until(start_ns + NS_PER_MS); /* a new slice, of 10 ms */
	busy_for(20 * NS_PER_MS);
	CHECK("a waiter that gives up runs before the owner goes on",
	      gave_up_ns && gave_up_ns - start_ns < 8 * NS_PER_MS);
	mutex_unlock(&m);
	thread_join(t, NULL);
}

/* --- Time -------------------------------------------------------------------------------- */

static void test_timers(void)
{
	uint64_t worst_late_ns = 0, early = 0;

	for (int i = 0; i < 50; i++) {
		uint64_t deadline = time_now_ns() + (uint64_t)(i + 1) * 37 * NS_PER_US;
		uint64_t now;

		thread_sleep_until(deadline);
		now = time_now_ns();
		if (now < deadline)
			early++;
		else
			worst_late_ns = MAX(worst_late_ns, now - deadline);
	}
	CHECK("a timer is never early", early == 0);
	CHECK("a timer is hardly late", worst_late_ns < 5 * NS_PER_MS);
	printf("worst timer lateness %lu ns\n", (unsigned long)worst_late_ns);
}

/* --- Registers --------------------------------------------------------------------------- */

/* Fill v0-v31 with a pattern, wait a while in a loop without calls, compare. */
static bool registers_survive(uint64_t pattern)
{
	uint64_t bad;

	__asm__ volatile("mov x9, %1\n\t"
	                 ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
	                 "25,26,27,28,29,30,31\n\t"
	                 "add x10, x9, #\\n\n\t"
	                 "dup v\\n\\().2d, x10\n\t"
	                 ".endr\n\t"
	                 "mov x11, #20000\n"
	                 "1: subs x11, x11, #1\n\t"
	                 "b.ne 1b\n\t"
	                 "mov %0, xzr\n\t"
	                 ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
	                 "25,26,27,28,29,30,31\n\t"
	                 "add x10, x9, #\\n\n\t"
	                 "umov x12, v\\n\\().d[0]\n\t"
	                 "eor x12, x12, x10\n\t"
	                 "orr %0, %0, x12\n\t"
	                 "umov x12, v\\n\\().d[1]\n\t"
	                 "eor x12, x12, x10\n\t"
	                 "orr %0, %0, x12\n\t"
	                 ".endr"
	                 : "=&r"(bad)
	                 : "r"(pattern)
	                 : "x9", "x10", "x11", "x12", "cc", "memory", "v0", "v1", "v2", "v3", "v4",
	                   "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
	                   "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
	                   "v26", "v27", "v28", "v29", "v30", "v31");
	return !bad;
}

static void *use_registers(void *arg)
{
	uint64_t pattern = (uint64_t)arg * UINT64_C(0x1111111111111111);
	bool good = true;
	int rounds = 0;

	fesetround(pattern & 1 ? FE_UPWARD : FE_DOWNWARD);
	while (!stop) {
		good = good && registers_survive(pattern);
		good = good && fegetround() == (pattern & 1 ? FE_UPWARD : FE_DOWNWARD);
		rounds++;
	}
	return (void *)(uintptr_t)(good && rounds > 10);
}

static void *interrupt_often(void *arg)
{
	(void)arg;
	while (!stop) {
		thread_sleep_until(time_now_ns() + 50 * NS_PER_US);
		registers_survive(UINT64_C(0x5555555555555555));
	}
	return NULL;
}

static void test_registers(void)
{
	struct thread *t[3], *irq;
	bool good = true;

	stop = false;
	irq = thread_create("interrupts", PRIO_NET, 0, interrupt_often, NULL);
	for (uintptr_t i = 0; i < 3; i++)
		t[i] = thread_create("registers", PRIO_LOW, 0, use_registers, (void *)(i + 1));
	thread_sleep_until(time_now_ns() + 300 * NS_PER_MS);
	stop = true;
	for (int i = 0; i < 3; i++) {
		void *value;

		thread_join(t[i], &value);
		good = good && value;
	}
	thread_join(irq, NULL);
	CHECK("FP and SIMD registers, FPCR survive interrupts and switches", good);
}

/* --- Thread-local storage ------------------------------------------------------------------ */

static _Thread_local int initialised = 4711;
static _Thread_local _Alignas(64) char aligned[64];
static _Thread_local int zero;

static void *look_at_tls(void *arg)
{
	bool good = initialised == 4711 && zero == 0 && (uintptr_t)aligned % 64 == 0;

	(void)arg;
	initialised = 1;
	zero = 2;
	memset(aligned, 0xff, sizeof(aligned));
	thread_yield();
	return (void *)(uintptr_t)(good && initialised == 1 && zero == 2);
}

static void test_tls(void)
{
	struct thread *t[2];
	void *value[2];

	for (int i = 0; i < 2; i++)
		t[i] = thread_create("tls", PRIO_APP, 0, look_at_tls, NULL);
	for (int i = 0; i < 2; i++)
		thread_join(t[i], &value[i]);
	CHECK("each thread has its own thread-local storage",
	      value[0] && value[1] && look_at_tls(NULL));
}

/* --- Memory ------------------------------------------------------------------------------ */

static void *nothing(void *arg)
{
	return arg;
}

static void test_thread_memory(void)
{
	struct memory_info before, after;
	bool good = true;

	/* The first may split a block for its guard page: a table that stays. */
	thread_join(thread_create("first", PRIO_APP, 0, nothing, NULL), NULL);
	memory_info(&before);
	for (uintptr_t i = 0; i < 500; i++) {
		void *value;
		struct thread *t = thread_create("short", PRIO_APP, 0, nothing, (void *)i);

		good = good && t && !thread_join(t, &value) && value == (void *)i;
	}
	memory_info(&after);
	CHECK("500 threads run and return their value", good);
	CHECK("joined threads leave no memory behind", before.free_bytes == after.free_bytes);
	for (uintptr_t i = 0; i < 100; i++)
		thread_detach(thread_create("detached", PRIO_NET, 0, nothing, NULL));
	thread_sleep_until(time_now_ns() + NS_PER_MS); /* idle buries the last */
	memory_info(&after);
	CHECK("detached threads leave no memory behind", before.free_bytes == after.free_bytes);
}

/* Take all there is, in ever smaller pieces, give it back. Returns how many pieces it was. */
static size_t exhaust_malloc(void)
{
	void *list = NULL, *p;
	size_t count = 0;

	for (size_t bytes = 1 << 20; bytes >= 16; bytes /= 2) {
		while ((p = malloc(bytes))) {
			*(void **)p = list;
			list = p;
			count++;
		}
	}
	CHECK("malloc ends in ENOMEM", errno == ENOMEM);
	CHECK("no memory, no thread", !thread_create("none", PRIO_APP, 65536, nothing, NULL));
	while (list) {
		p = *(void **)list;
		free(list);
		list = p;
	}
	return count;
}

static void test_exhaustion(void)
{
	struct memory_info before, after;
	void *p;

	exhaust_malloc(); /* malloc keeps an empty slab of each class from here on */
	memory_info(&before);
	errno = 0;
	CHECK("memory is all given out", exhaust_malloc() > 100);
	memory_info(&after);
	CHECK("everything is there again after", after.heap_used_bytes == before.heap_used_bytes &&
	                                             after.free_bytes == before.free_bytes);
	p = malloc(1 << 20);
	CHECK("malloc works again", p);
	free(p);
}

static volatile bool malloc_broken;

static void *hammer_malloc(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned char *held[16] = {NULL};
	size_t bytes[16] = {0};

	for (int i = 0; i < 20000 && !malloc_broken; i++) {
		unsigned int k = (seed = seed * 1103515245 + 12345) >> 16 & 15;

		for (size_t j = 0; j < bytes[k]; j++)
			if (held[k][j] != (unsigned char)(seed ^ seed) + (unsigned char)k)
				malloc_broken = true;
		free(held[k]);
		bytes[k] = (seed >> 8) % 700;
		held[k] = malloc(bytes[k]);
		if (!held[k])
			malloc_broken = true;
		else
			memset(held[k], (int)k, bytes[k]);
	}
	for (int k = 0; k < 16; k++)
		free(held[k]);
	return NULL;
}

static void test_malloc_preempted(void)
{
	struct memory_info before, after;
	struct thread *t[4], *irq;

	stop = false;
	memory_info(&before);
	irq = thread_create("interrupts", PRIO_NET, 0, interrupt_often, NULL);
	for (uintptr_t i = 0; i < 4; i++)
		t[i] = thread_create("malloc", PRIO_LOW, 0, hammer_malloc, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		thread_join(t[i], NULL);
	stop = true;
	thread_join(irq, NULL);
	memory_info(&after);
	CHECK("malloc stays whole under preemption",
	      !malloc_broken && before.heap_used_bytes == after.heap_used_bytes);
}

int main(void)
{
	test_preemption();
	test_round_robin();
	test_priority_inheritance();
	test_mutex();
	test_mutex_whose_waiter_is_late();
	test_mutex_whose_waiter_gives_up_while_the_owner_runs();
	test_timers();
	test_registers();
	test_tls();
	test_thread_memory();
	test_exhaustion();
	test_malloc_preempted();
	return checks_failed != 0;
}
