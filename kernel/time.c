/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and timers.
 *
 * Timers are in a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): arming and looking at
 * the nearest take constant time, removal a logarithm's (amortized), and a timer brings its own
 * links.
 *
 * The hardware is written only when the nearest deadline moves forward. Cancelling a timer leaves
 * it armed: most timers are timeouts that are cancelled and armed again a little later, which then
 * costs nothing. The interrupt that may come finds nothing due, arms for what is next, or not at
 * all.
 */
#include <stddef.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/time.h>

/* The clock before there is one: it moves with each look at it. */
static uint64_t early_now_ns(void)
{
	static uint64_t now_ns;

	return now_ns += NS_PER_US;
}

static void arm_none(uint64_t deadline_ns)
{
	(void)deadline_ns;
}

static const struct clockevent early = {.now_ns = early_now_ns, .arm = arm_none};
static const struct clockevent *clockevent = &early;
static struct timer *nearest;               /* the heap's root */
static uint64_t hardware_ns = TIME_FOREVER; /* what the hardware is armed for */
static bool running;                        /* timer_interrupt will arm the hardware at its end */
static uint64_t realtime_offset_ns;
static bool realtime_valid;

uint64_t time_now_ns(void)
{
	return clockevent->now_ns();
}

/* Two heaps into one: the later root becomes the first child of the earlier. Either may be NULL. */
static inline struct timer *meld(struct timer *a, struct timer *b)
{
	struct timer *early = a, *late = b;

	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		early = b;
		late = a;
	}
	late->prev = early; /* a first child's prev is its parent */
	late->next = early->child;
	if (early->child)
		early->child->prev = late;
	early->child = late;
	return early;
}

/* A removed timer's children into the heap: in pairs from the front, then from the back. */
static NOINLINE struct timer *meld_children(struct timer *root, struct timer *child)
{
	struct timer *pairs = NULL;

	while (child) {
		struct timer *a = child, *b = child->next, *pair;

		child = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		pair = meld(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct timer *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		root = meld(root, pair);
	}
	return root;
}

/* Take t and what hangs below it out of its parent's list of children. */
static void cut(struct timer *t)
{
	if (t->prev->child == t)
		t->prev->child = t->next;
	else
		t->prev->next = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

static void queue_remove(struct timer *t)
{
	struct timer *child = t->child;

	t->child = NULL;
	t->armed = false;
	if (t == nearest)
		nearest = NULL;
	else
		cut(t);
	if (child)
		nearest = meld_children(nearest, child);
}

static void hardware_arm(uint64_t deadline_ns)
{
	hardware_ns = deadline_ns;
	clockevent->arm(deadline_ns);
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	unsigned long flags = irq_save();

	if (t->armed)
		queue_remove(t);
	if (deadline_ns != TIME_FOREVER) {
		t->deadline_ns = deadline_ns;
		t->armed = true;
		nearest = meld(nearest, t);
		if (!running && nearest->deadline_ns < hardware_ns)
			hardware_arm(nearest->deadline_ns);
	}
	irq_restore_quiet(flags);
}

void timer_cancel(struct timer *t)
{
	unsigned long flags = irq_save();

	if (t->armed)
		queue_remove(t);
	irq_restore_quiet(flags);
}

void timer_interrupt(void)
{
	uint64_t now_ns = time_now_ns();

	running = true;
	while (nearest && nearest->deadline_ns <= now_ns) {
		struct timer *t = nearest;

		queue_remove(t);
		t->expired(t);
	}
	running = false;
	hardware_arm(nearest ? nearest->deadline_ns : TIME_FOREVER);
}

COLD void clockevent_register(const struct clockevent *ce)
{
	unsigned long flags = irq_save();

	assert(clockevent == &early);
	clockevent = ce;
	if (nearest)
		hardware_arm(nearest->deadline_ns);
	irq_restore_quiet(flags);
}

COLD void delay_us(uint32_t us)
{
	uint64_t end_ns = time_now_ns() + us * NS_PER_US;

	while (time_now_ns() < end_ns)
		;
}

COLD void time_set_realtime_ns(uint64_t ns_since_1970)
{
	unsigned long flags = irq_save();

	realtime_offset_ns = ns_since_1970 - time_now_ns();
	realtime_valid = true;
	irq_restore_quiet(flags);
}

uint64_t time_realtime_ns(void)
{
	return realtime_offset_ns + time_now_ns();
}

bool time_realtime_valid(void)
{
	return realtime_valid;
}
