/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel/ itself needs of the scheduler, beyond pith/thread.h. */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/list.h>
#include <pith/thread.h>
#include <pith/time.h>

/* The largest alignment that a _Thread_local object may have. */
#define TLS_ALIGN 64

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_EXITED };

struct thread {
	uint64_t sp; /* while it does not run */
	uint64_t tls;
	struct list link; /* in a run queue, a wait queue, or the dead */
	uint8_t state;    /* enum thread_state */
	bool detached, joined;
	int base_priority;        /* its own */
	int priority;             /* with what it inherits */
	struct waitq *waiting_on; /* while THREAD_WAITING */
	struct mutex *blocked_on; /* the mutex, if that is what it waits for */
	struct list held;         /* mutexes that it owns and others wait for */
	int wait_result;
	struct timer timeout;
	uint64_t run_ns;
	uint64_t slice_left_ns; /* of THREAD_SLICE_NS */
	char *stack_low, *stack_top;
	size_t stack_pages; /* with the guard page; 0: not allocated */
	void *(*entry)(void *arg);
	void *arg, *value;
	struct waitq exited;
	void *pthread_slot;
	char name[16];
	struct list all;
};

extern char __tdata_start[], __tdata_end[], __tbss_end[];

/* Make the boot context a thread (idle, later); before anything takes a mutex. */
void threads_init(void);
/* Thread "main", on the stack that is part of the image. Its entry does not return. */
void thread_create_main(void (*entry)(void *arg));
/* Leave the CPU to the best ready thread, if only for its turn; interrupts masked. */
void thread_switch(void);
/* What the boot context does for the rest of its life: wait for interrupts. */
void thread_idle(void) __attribute__((noreturn));
/* Whose guard page is this? For the report of a stack overflow; interrupts masked. */
bool thread_guard_owner(uint64_t address, char name[16]);

#endif
