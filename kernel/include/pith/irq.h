/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: masking, and connecting a device's line to a handler.
 *
 * Interrupt handlers run on the interrupt stack with interrupts masked; they may wake threads and
 * arm timers, and may not block.
 */
#ifndef PITH_IRQ_H
#define PITH_IRQ_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/dt.h>

/*
 * Mask interrupts on this CPU and return the previous state for irq_restore(). Nests. This is also
 * the kernel's lock for data shared with interrupt handlers and for short critical sections.
 */
static inline unsigned long irq_save(void)
{
	unsigned long daif;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(daif)::"memory");
	return daif;
}

/* A thread more urgent than the running one is ready: the scheduler's, for the inline below. */
extern bool thread_switch_pending;
/* Let it run, and set daif after; called with interrupts masked. The scheduler's. */
void thread_switch_restore(unsigned long daif);

/*
 * Back to what irq_save returned. Where that ends a masked section, a due switch happens here.
 * Inlined where the compiler is asked for speed, else a call.
 */
inline void irq_restore(unsigned long daif)
{
	if (thread_switch_pending && !(daif & 0x80))
		thread_switch_restore(daif);
	else
		__asm__ volatile("msr daif, %0" ::"r"(daif) : "memory");
}

/* The same where the section has made no thread ready, so that no switch can be due. */
static inline void irq_restore_quiet(unsigned long daif)
{
	__asm__ volatile("msr daif, %0" ::"r"(daif) : "memory");
}

typedef void (*irq_handler)(void *arg);

/*
 * Attach handler to the index-th interrupt of a device tree node and enable it. Lines may be shared:
 * every handler of the line is called.
 *
 * Returns  0; -ENOENT no such interrupt in the tree; -ENODEV its controller has no driver;
 *          -ENOMEM
 */
int irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg);

/*
 * An interrupt controller, as its driver registers it from probe. Numbers are the controller's own
 * (for a GIC: INTIDs).
 */
struct irqchip {
	const char *name;
	dt_node node;
	unsigned int lines; /* numbers are 0..lines-1 */
	/* Translate an interrupt specifier to a number. Returns a number, or -EINVAL. */
	int (*translate)(struct irqchip *chip, const uint32_t *cells, unsigned int cell_count);
	/* Set trigger from the specifier, route to this CPU, unmask. */
	int (*enable)(struct irqchip *chip, unsigned int line);
	void (*disable)(struct irqchip *chip, unsigned int line);
	/*
	 * Root controller only: acknowledge and dispatch everything pending by irq_dispatch().
	 * A cascaded controller attaches a handler to its parent line instead, and leaves this NULL.
	 */
	void (*handle)(struct irqchip *chip);
	struct irq_action **actions; /* filled by irqchip_register */
	struct irqchip *next;
};

/* Register a controller (from probe). Returns 0 or -ENOMEM. */
int irqchip_register(struct irqchip *chip);

/* Run the handlers of a line; a line without any is disabled with a message (in irq context). */
void irq_dispatch(struct irqchip *chip, unsigned int line);

/* Called by the exception vector, interrupts masked, on the interrupt stack. */
void irq_entry(void);

/* True while running on the interrupt stack. */
bool in_irq(void);

#endif
