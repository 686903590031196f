/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: preemptive threads, fixed priorities, round robin among equals, no periodic tick;
 * and mutexes with priority inheritance, condition variables, semaphores on top of wait queues.
 *
 * All state is guarded by irq_save(). A thread stops in exactly one place, thread_switch(), always with
 * interrupts masked; its own mask comes back with its own irq_restore() or exception return. So a
 * wake-up inside a masked section never takes the CPU away there: it sets thread_switch_pending,
 * and the switch comes with the irq_restore() that ends the section, or at the end of the
 * interrupt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arch/boot.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <arch/switch.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include <pith/thread.h>
#include "sched.h"

#define STACK_BYTES_DEFAULT (16 * 1024)
/* Stacks are painted at one word in 128 bytes, to see how far they were used. */
#define PAINT_STEP 128
#define PAINT      UINT64_C(0x5061696e74656421)

static struct list run_queue[PRIO_MAX + 1];
static uint32_t run_mask; /* bit p: run_queue[p] is not empty */
static struct list all_threads = LIST_INIT(all_threads);
static struct list dead_threads = LIST_INIT(dead_threads); /* detached, stack still to be freed */
static struct thread boot_thread;                          /* kernel_main's context, later idle */
static struct timer slice_timer;
static uint64_t switched_ns;
static bool idle_on_loan; /* a waiting thread's stack is where we wait for interrupts */
bool thread_switch_pending;

/*
 * What it takes a second thread to need. The first thread_create() sets it, so that an app without is
 * linked without.
 */
struct company {
	int (*wait_for_owner)(struct mutex *m, uint64_t deadline_ns);
	void (*hand_over)(struct mutex *m, unsigned long flags);
	void (*give_up)(struct thread *t);
	void (*bury)(void);
};
static const struct company *company;

extern inline void irq_restore(unsigned long daif);

struct thread *thread_current(void)
{
	return (struct thread *)sysreg_read(tpidr_el1);
}

/* --- Run queues -------------------------------------------------------------------------- */

static inline void enqueue(struct thread *t, bool at_head)
{
	int priority = t->priority;
	struct list *q = &run_queue[priority];

	t->state = THREAD_READY;
	if (at_head)
		list_add_head(q, &t->link);
	else
		list_add_tail(q, &t->link);
	run_mask |= 1u << priority;
}

static inline void dequeue(struct thread *t)
{
	int priority = t->priority;

	list_unlink(&t->link);
	if (list_empty(&run_queue[priority]))
		run_mask &= ~(1u << priority);
}

static inline int top_priority(void)
{
	return 31 - __builtin_clz(run_mask | 1);
}

/* An equal waits: the slice of the running thread t, from switched_ns, must end. */
static inline void start_slice(struct thread *t)
{
	if (!slice_timer.armed)
		timer_arm(&slice_timer, switched_ns + t->slice_left_ns);
}

static void slice_expired(struct timer *timer)
{
	(void)timer;
	thread_switch_pending = true;
}

/* The running thread stops, for whatever reason: charge it what it ran. */
static inline struct thread *charge_current(void)
{
	struct thread *t = thread_current();
	uint64_t now_ns = time_now_ns(), ran_ns = now_ns - switched_ns;

	t->run_ns += ran_ns;
	t->slice_left_ns -= MIN(ran_ns, t->slice_left_ns);
	switched_ns = now_ns;
	return t;
}

/* Does the best ready thread, of priority top, deserve the CPU more than the running one? Then soon. */
static inline void check_switch(int top)
{
	struct thread *now = thread_current();

	if (idle_on_loan)
		return; /* idle_here() looks itself */
	if (top > now->priority)
		thread_switch_pending = true;
	else if (top == now->priority && now != &boot_thread)
		start_slice(now);
}

/* From where it waits, if it does. */
static FAST NOINLINE void make_ready(struct thread *t)
{
	list_unlink(&t->link);
	t->slice_left_ns = THREAD_SLICE_NS; /* it waited: a new turn */
	enqueue(t, false);
	check_switch(t->priority); /* those that are better have asked for a switch already */
}

/* Sleep until an interrupt is pending, which ends WFI masked, too. Interrupts masked. */
static void wait_for_interrupt(void)
{
	__asm__ volatile("dsb sy\n\twfi" ::: "memory");
}

/*
 * Nobody is ready: wait for somebody right here, on the stack of the thread t that waits. The way to
 * the idle thread and back would be two switches, often for t again. The interrupt that ends the wait
 * is a call, as there is nothing to be preserved.
 */
static inline void idle_here(void)
{
	uint64_t now_ns;

	idle_on_loan = true;
	while (!run_mask) {
		wait_for_interrupt();
		irq_take();
	}
	idle_on_loan = false;
	now_ns = time_now_ns();
	boot_thread.run_ns += now_ns - switched_ns;
	switched_ns = now_ns;
}

/* Preempted by a better one, it keeps its turn among its equals; with its slice at an end, it does not. */
static inline void put_back(struct thread *t)
{
	bool slice_left = t->slice_left_ns > 0;

	t->state = THREAD_READY;
	if (t == &boot_thread)
		return; /* always ready, and in no queue */
	if (!slice_left)
		t->slice_left_ns = THREAD_SLICE_NS;
	enqueue(t, slice_left);
}

/*
 * Leave the CPU to the best ready thread. The running one has been put where it belongs, unless it is
 * still ready. The exception vectors call this, too.
 */
FAST NOINLINE void thread_switch(void)
{
	struct thread *old = charge_current();
	struct thread *t = &boot_thread;

	thread_switch_pending = false;
	if (slice_timer.armed)
		timer_cancel(&slice_timer);
	if (old->state == THREAD_RUNNING)
		put_back(old);
	/* Threads that have ended are for the idle thread to bury. */
	if (!run_mask && old->state == THREAD_WAITING && list_empty(&dead_threads))
		idle_here();
	if (run_mask) {
		t = container_of(run_queue[top_priority()].next, struct thread, link);
		dequeue(t);
	}
	t->state = THREAD_RUNNING;
	if (t != &boot_thread && (run_mask >> t->priority & 1))
		start_slice(t);
	if (t != old)
		thread_context_switch(&old->sp, t->sp, t->tls, t);
}

NOINLINE void thread_switch_restore(unsigned long daif)
{
	thread_switch();
	irq_restore_quiet(daif);
}

/* As if its slice had just ended. */
void thread_yield(void)
{
	unsigned long flags = irq_save();

	thread_current()->slice_left_ns = 0;
	thread_switch_restore(flags);
}

/* --- Wait queues ------------------------------------------------------------------------- */

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

static NOINLINE void insert_by_priority(struct waitq *q, struct thread *t)
{
	struct list *pos = q->waiters.prev;

	while (pos != &q->waiters && container_of(pos, struct thread, link)->priority < t->priority)
		pos = pos->prev;
	list_add_head(pos, &t->link); /* after pos */
}

static inline int highest_waiter(const struct waitq *q)
{
	return list_empty(&q->waiters)
	           ? PRIO_IDLE
	           : container_of(q->waiters.next, struct thread, link)->priority;
}

static NOINLINE void change_priority(struct thread *t, int priority)
{
	if (t->state == THREAD_READY) {
		dequeue(t);
		t->priority = priority;
		enqueue(t, false);
		return;
	}
	t->priority = priority;
	if (t->state == THREAD_WAITING) {
		list_unlink(&t->link);
		insert_by_priority(t->waiting_on, t);
	}
}

/*
 * Give t the priority that it should have, its own or that of the most urgent thread waiting for
 * one of its mutexes, and go on with the thread that t itself waits for. A cycle of owners is a
 * deadlock already: priorities in it only rise, so the walk ends.
 */
static NOINLINE void update_priority(struct thread *t)
{
	while (t) {
		int priority = t->base_priority;
		struct mutex *blocked_on = t->blocked_on;

		list_for_each(l, &t->held) {
			struct mutex *m = container_of(l, struct mutex, owned);

			priority = MAX(priority, highest_waiter(&m->waiters));
		}
		if (priority == t->priority)
			return;
		change_priority(t, priority);
		t = blocked_on ? blocked_on->owner : NULL;
	}
}

static void wait_expired(struct timer *timer)
{
	struct thread *t = container_of(timer, struct thread, timeout);

	/* Woken just before and not yet run: that stands (it may have been handed a mutex). */
	if (t->state != THREAD_WAITING)
		return;
	t->wait_result = -ETIMEDOUT;
	if (t->blocked_on) {
		list_remove(&t->link);
		company->give_up(t); /* first: the running thread may owe its priority to t */
	}
	make_ready(t);
}

bool thread_may_block(void)
{
	struct thread *t = thread_current();

	return t && t != &boot_thread && !in_irq();
}

FAST int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	struct thread *t = thread_current();

	assert(thread_may_block());
	if (deadline_ns != TIME_FOREVER && deadline_ns <= time_now_ns())
		return -ETIMEDOUT;
	insert_by_priority(q, t);
	t->state = THREAD_WAITING;
	t->waiting_on = q;
	t->wait_result = 0;
	if (t->blocked_on)
		update_priority(t->blocked_on->owner); /* it inherits */
	if (deadline_ns != TIME_FOREVER)
		timer_arm(&t->timeout, deadline_ns);
	thread_switch();
	t->waiting_on = NULL;
	if (deadline_ns != TIME_FOREVER)
		timer_cancel(&t->timeout);
	return t->wait_result;
}

NOINLINE int waitq_wake_one(struct waitq *q)
{
	unsigned long flags = irq_save();
	bool any = !list_empty(&q->waiters);

	if (any)
		make_ready(container_of(q->waiters.next, struct thread, link));
	irq_restore(flags);
	return any;
}

int waitq_wake_all(struct waitq *q)
{
	unsigned long flags = irq_save();
	int n = 0;

	for (; !list_empty(&q->waiters); n++)
		make_ready(container_of(q->waiters.next, struct thread, link));
	irq_restore(flags);
	return n;
}

/* --- Priorities --------------------------------------------------------------------------- */

void thread_set_priority(struct thread *t, int priority)
{
	unsigned long flags = irq_save();

	assert(priority > PRIO_IDLE && priority <= PRIO_MAX);
	t->base_priority = priority;
	update_priority(t);
	check_switch(top_priority());
	irq_restore(flags);
}

int thread_priority(const struct thread *t)
{
	return t->base_priority;
}

/* --- Mutexes ----------------------------------------------------------------------------- */

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
	waitq_init(&m->waiters);
	list_init(&m->owned);
}

bool mutex_held(const struct mutex *m)
{
	return m->owner == thread_current();
}

/*
 * The mutex that t waited for was not handed over in time: its owner has one waiter less from now on,
 * whenever t runs again. Interrupts masked.
 */
static void give_up(struct thread *t)
{
	struct mutex *m = t->blocked_on;

	t->blocked_on = NULL;
	if (list_empty(&m->waiters.waiters))
		list_remove(&m->owned);
	update_priority(m->owner);
}

/* Wait for m's owner to hand it over. Interrupts masked. */
static int wait_for_owner(struct mutex *m, uint64_t deadline_ns)
{
	struct thread *t = thread_current();
	int result;

	if (list_empty(&m->waiters.waiters))
		list_add_tail(&m->owner->held, &m->owned);
	t->blocked_on = m;
	result = waitq_wait(&m->waiters, deadline_ns);
	if (result && t->blocked_on)
		give_up(t); /* too late to wait at all */
	t->blocked_on = NULL;
	return result;
}

int mutex_trylock(struct mutex *m)
{
	unsigned long flags = irq_save();
	bool taken = !m->owner;

	if (taken)
		m->owner = thread_current();
	irq_restore_quiet(flags);
	return taken ? 0 : -EBUSY;
}

NOINLINE int mutex_lock_until(struct mutex *m, uint64_t deadline_ns)
{
	unsigned long flags = irq_save();
	int result = 0;

	if (m->owner) {
		assert(company && m->owner != thread_current());
		result = company->wait_for_owner(m, deadline_ns);
	} else {
		m->owner = thread_current();
	}
	irq_restore(flags);
	return result;
}

FAST void mutex_lock(struct mutex *m)
{
	if (mutex_trylock(m) != 0)
		mutex_lock_until(m, TIME_FOREVER);
}

/* Hand m over to its first waiter, so that nobody less urgent can slip in before. */
static void hand_over(struct mutex *m, unsigned long flags)
{
	struct thread *next = container_of(m->waiters.waiters.next, struct thread, link);
	struct thread *now = thread_current();

	list_remove(&m->owned);
	if (now->priority > now->base_priority)
		update_priority(now); /* what it had inherited by m */
	m->owner = next;
	make_ready(next);
	if (!list_empty(&m->waiters.waiters))
		list_add_tail(&next->held, &m->owned);
	irq_restore(flags);
}

FAST NOINLINE void mutex_unlock(struct mutex *m)
{
	unsigned long flags = irq_save();

	assert(m->owner == thread_current());
	if (!list_empty(&m->waiters.waiters)) {
		company->hand_over(m, flags);
		return;
	}
	m->owner = NULL;
	irq_restore_quiet(flags);
}

/* --- Condition variables, semaphores ------------------------------------------------------- */

void cond_init(struct cond *c)
{
	waitq_init(&c->waiters);
}

int cond_wait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
	unsigned long flags = irq_save();
	int result;

	mutex_unlock(m); /* masked: no switch before waitq_wait, so no signal is lost */
	result = waitq_wait(&c->waiters, deadline_ns);
	irq_restore(flags);
	mutex_lock(m);
	return result;
}

void cond_signal(struct cond *c)
{
	waitq_wake_one(&c->waiters);
}

void cond_broadcast(struct cond *c)
{
	waitq_wake_all(&c->waiters);
}

void ksem_init(struct ksem *s, unsigned int count)
{
	s->count = count;
	waitq_init(&s->waiters);
}

int ksem_down(struct ksem *s, uint64_t deadline_ns)
{
	unsigned long flags = irq_save();
	int result = 0;

	while (!s->count && !result)
		result = waitq_wait(&s->waiters, deadline_ns);
	if (s->count) {
		s->count--;
		result = 0;
	}
	irq_restore(flags);
	return result;
}

void ksem_up(struct ksem *s)
{
	unsigned long flags = irq_save();

	s->count++;
	waitq_wake_one(&s->waiters);
	irq_restore(flags);
}

/* --- Threads ----------------------------------------------------------------------------- */

/* Thread-local storage, variant 1: two words, then .tdata and .tbss (ELF TLS ABI, AArch64). */
static size_t tls_header_bytes(void)
{
	return MAX((size_t)16, (size_t)TLS_ALIGN);
}

static size_t tls_bytes(void)
{
	return tls_header_bytes() + (size_t)(__tbss_end - __tdata_start);
}

static void tls_init(char *tls)
{
	size_t data_bytes = (size_t)(__tdata_end - __tdata_start);

	memset(tls, 0, tls_bytes());
	memcpy(tls + tls_header_bytes(), __tdata_start, data_bytes);
}

static NOINLINE void paint(struct thread *t, char *low, char *top)
{
	uint64_t paint = PAINT;

	__asm__("" : "+r"(paint)); /* else it is made anew for each word */
	t->stack_low = low;
	t->stack_top = top;
	for (char *p = low; p < top - 2 * PAINT_STEP; p += PAINT_STEP)
		*(uint64_t *)p = paint;
}

static size_t stack_used_max(const struct thread *t)
{
	const char *p = t->stack_low;

	while (p < t->stack_top && *(const uint64_t *)p == PAINT)
		p += PAINT_STEP;
	return (size_t)(t->stack_top - p);
}

static void init_thread(struct thread *t, const char *name, int priority)
{
	memcpy(t->name, name, MIN(strlen(name), sizeof(t->name) - 1));
	t->base_priority = t->priority = priority;
	t->timeout.expired = wait_expired;
	list_init(&t->link);
	list_init(&t->held);
	waitq_init(&t->exited);
	list_add_head(&all_threads, &t->all);
}

void threads_init(void)
{
	char *here = __builtin_frame_address(0);

	for (unsigned int i = 0; i < ARRAY_LEN(run_queue); i++)
		list_init(&run_queue[i]);
	slice_timer.expired = slice_expired;
	init_thread(&boot_thread, "idle", PRIO_IDLE);
	boot_thread.state = THREAD_RUNNING;
	paint(&boot_thread, __boot_stack_guard + PAGE_BYTES, here);
	boot_thread.stack_top = __boot_stack_top;
	sysreg_write(tpidr_el1, &boot_thread);
}

static void thread_main(void *arg)
{
	struct thread *t = arg;

	thread_exit(t->entry(t->arg));
}

/* Top of the stack downwards: TLS, struct thread, then the stack itself. */
static struct thread *build(char *low, char *top)
{
	char *tls = (char *)ALIGN_DOWN((uintptr_t)top - tls_bytes(), (uintptr_t)TLS_ALIGN);
	struct thread *t = (struct thread *)ALIGN_DOWN((uintptr_t)tls - sizeof(*t), (uintptr_t)64);

	memset(t, 0, sizeof(*t));
	tls_init(tls);
	t->tls = (uint64_t)tls;
	paint(t, low, (char *)t);
	return t;
}

static void start(struct thread *t, const char *name, int priority, void (*first)(void *))
{
	unsigned long flags;

	t->sp = thread_stack_init((uint64_t)t, first, t);
	flags = irq_save();
	init_thread(t, name, priority);
	make_ready(t);
	irq_restore(flags);
}

static void free_stack(struct thread *t)
{
	char *guard = t->stack_low - PAGE_BYTES;
	size_t pages = t->stack_pages;

	if (!pages)
		return; /* main's, part of the image */
	mmu_unguard(guard);
	page_free(guard, pages);
}

/* Free the stacks of detached threads that have ended: they could not do it themselves. */
static void bury(void)
{
	for (;;) {
		unsigned long flags = irq_save();
		struct list *l = dead_threads.next;

		if (l != &dead_threads)
			list_remove(l);
		irq_restore(flags);
		if (l == &dead_threads)
			return;
		free_stack(container_of(l, struct thread, link));
	}
}

static const struct company more_threads = {wait_for_owner, hand_over, give_up, bury};

struct thread *thread_create(const char *name, int priority, size_t stack_bytes,
                             void *(*entry)(void *arg), void *arg)
{
	size_t pages;
	struct thread *t;
	char *guard;

	assert(priority > PRIO_IDLE && priority <= PRIO_MAX);
	company = &more_threads;
	bury();
	if (!stack_bytes)
		stack_bytes = STACK_BYTES_DEFAULT;
	if (stack_bytes > SIZE_MAX / 2)
		return NULL;
	pages = ALIGN_UP(stack_bytes + sizeof(*t) + tls_bytes(), PAGE_BYTES) / PAGE_BYTES + 1;
	guard = page_alloc(pages, PAGE_BYTES, boot_info.block_limit);
	if (!guard)
		return NULL;
	if (mmu_guard(guard)) {
		page_free(guard, pages);
		return NULL;
	}
	t = build(guard + PAGE_BYTES, guard + pages * PAGE_BYTES);
	t->stack_pages = pages;
	t->entry = entry;
	t->arg = arg;
	start(t, name, priority, thread_main);
	return t;
}

void thread_create_main(void (*entry)(void *arg))
{
	start(build(__main_stack_guard + PAGE_BYTES, __main_stack_top), "main", PRIO_APP, entry);
}

void thread_exit(void *value)
{
	struct thread *t = thread_current();

	irq_save();
	assert(list_empty(&t->held));
	t->value = value;
	t->state = THREAD_EXITED;
	list_unlink(&t->all);
	if (t->detached)
		list_add_tail(&dead_threads, &t->link);
	waitq_wake_all(&t->exited);
	thread_switch();
	__builtin_unreachable();
}

int thread_join(struct thread *t, void **value)
{
	unsigned long flags = irq_save();

	if (t == thread_current() || t->detached || t->joined) {
		irq_restore(flags);
		return t == thread_current() ? -EDEADLK : -EINVAL;
	}
	t->joined = true;
	while (t->state != THREAD_EXITED)
		waitq_wait(&t->exited, TIME_FOREVER);
	irq_restore(flags);
	if (value)
		*value = t->value;
	free_stack(t);
	return 0;
}

int thread_detach(struct thread *t)
{
	unsigned long flags = irq_save();
	int error = t->detached || t->joined ? -EINVAL : 0;

	if (!error) {
		t->detached = true;
		if (t->state == THREAD_EXITED)
			list_add_tail(&dead_threads, &t->link);
	}
	irq_restore(flags);
	return error;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	struct waitq nobody;
	unsigned long flags = irq_save();

	waitq_init(&nobody);
	while (!waitq_wait(&nobody, deadline_ns))
		;
	irq_restore(flags);
}

const char *thread_name(const struct thread *t)
{
	return t->name;
}

void **thread_pthread_slot(struct thread *t)
{
	return &t->pthread_slot;
}

size_t thread_list(struct thread_info *info, size_t max)
{
	static const char *const state_names[] = {"ready", "running", "waiting", "exited"};
	unsigned long flags = irq_save();
	size_t n = 0;

	list_for_each(l, &all_threads) {
		struct thread *t = container_of(l, struct thread, all);

		if (n < max) {
			memcpy(info[n].name, t->name, sizeof(t->name));
			info[n].state = state_names[t->state];
			info[n].priority = t->base_priority;
			info[n].stack_bytes = (size_t)(t->stack_top - t->stack_low);
			info[n].stack_used_max_bytes = stack_used_max(t);
			info[n].run_ns = t->run_ns;
			if (t == thread_current())
				info[n].run_ns += time_now_ns() - switched_ns;
		}
		n++;
	}
	irq_restore(flags);
	return n;
}

bool thread_guard_owner(uint64_t address, char name[16])
{
	list_for_each(l, &all_threads) {
		struct thread *t = container_of(l, struct thread, all);

		if (address < (uint64_t)t->stack_low &&
		    address >= (uint64_t)t->stack_low - PAGE_BYTES) {
			memcpy(name, t->name, sizeof(t->name));
			return true;
		}
	}
	return false;
}

void thread_idle(void)
{
	__asm__ volatile("msr daifclr, #2" ::: "memory"); /* the first time since reset */
	for (;;) {
		unsigned long flags;

		if (company)
			company->bury();
		flags = irq_save();
		/* Masked: what came between these checks and WFI would be slept through. */
		if (!thread_switch_pending && list_empty(&dead_threads))
			wait_for_interrupt();
		irq_restore(flags);
	}
}
