/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts how often each word of a page is read, for promises of the kind "is read once": the page is
 * made inaccessible, each access faults, is noted, and runs alone with the page open (x86's trap
 * flag). Elsewhere than on x86-64 a test that needs it is skipped.
 */
#ifndef READ_COUNTER_H
#define READ_COUNTER_H

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define COUNTED_BYTES 4096

static uint8_t *counted_page;
static unsigned int access_count[COUNTED_BYTES]; /* by the offset that was addressed */

#ifdef __x86_64__
#define TRAP_FLAG 0x100

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	size_t offset = (size_t)((uint8_t *)info->si_addr - counted_page);

	if (offset >= COUNTED_BYTES) { /* a fault of its own: let it end the test */
		signal(signal_number, SIG_DFL);
		return;
	}
	access_count[offset]++;
	mprotect(counted_page, COUNTED_BYTES, PROT_READ | PROT_WRITE);
	c->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	(void)signal_number, (void)info;
	c->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	mprotect(counted_page, COUNTED_BYTES, PROT_NONE);
}

/* page: COUNTED_BYTES, aligned to as many. */
static inline void count_reads(void *page)
{
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	counted_page = page;
	memset(access_count, 0, sizeof(access_count));
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGTRAP, &step, NULL);
	mprotect(page, COUNTED_BYTES, PROT_NONE);
}
#else
static inline void count_reads(void *page)
{
	(void)page;
	skip();
}
#endif

static inline void count_reads_end(void)
{
	mprotect(counted_page, COUNTED_BYTES, PROT_READ | PROT_WRITE);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
}

#endif
