/* SPDX-License-Identifier: Apache-2.0 */
/* Context switch (switch.S). */
#ifndef ARCH_SWITCH_H
#define ARCH_SWITCH_H

#include <stdint.h>

/* Bytes that a thread which is not running has on its stack. */
#define SWITCH_FRAME_BYTES 176

/*
 * Stop the running thread, go on with another; returns when switched back to.
 *
 * save_sp  receives the stack pointer of the running one
 * sp       of the other, from save_sp or thread_stack_init
 * tls      the other's TPIDR_EL0, thread: its TPIDR_EL1
 * Interrupts are masked.
 */
void thread_context_switch(uint64_t *save_sp, uint64_t sp, uint64_t tls, void *thread);

/* Serve the interrupt that is pending, if any, on the interrupt stack. Interrupts are masked. */
void irq_take(void);

void thread_first_entry(void);

/* Lay out a new thread's stack so that a switch to it calls entry(arg). Returns its sp. */
static inline uint64_t thread_stack_init(uint64_t top, void (*entry)(void *), void *arg)
{
	uint64_t *frame = (uint64_t *)(top - SWITCH_FRAME_BYTES);

	for (unsigned int i = 0; i < SWITCH_FRAME_BYTES / 8; i++)
		frame[i] = 0;
	frame[1] = (uint64_t)thread_first_entry; /* x30 */
	frame[2] = (uint64_t)entry;              /* x19 */
	frame[3] = (uint64_t)arg;                /* x20 */
	return (uint64_t)frame;
}

#endif
