/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on the memory rules: each must end in a panic that names its cause (tests/target/
 * test_attack.py). What returns from an attack has succeeded, and says so.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/irq.h>
#include <pith/thread.h>
#include <pith/time.h>

typedef void (*function)(void);

static const char constant[] = "constant";
int (*const relocated_constant)(const char *) = puts; /* not static: must be in memory */
static uint32_t data_code[] = {0xd65f03c0};           /* ret */
extern uintptr_t __stack_chk_guard;

static void write_text(void)
{
	*(volatile uint32_t *)(uintptr_t)write_text = 0xd503201f;
}

static void write_constant(void)
{
	*(volatile char *)(uintptr_t)constant = 'C';
}

static void write_relocated_constant(void)
{
	volatile uint8_t *volatile p = (uint8_t *)(uintptr_t)&relocated_constant;

	*p = 0;
}

static void make_visible(void *code)
{
	__builtin___clear_cache(code, (char *)code + 4);
}

static void run_data(void)
{
	((function)(uintptr_t)data_code)();
}

static void run_heap(void)
{
	uint32_t *code = malloc(sizeof(data_code));

	memcpy(code, data_code, sizeof(data_code));
	((function)(uintptr_t)code)();
}

static void run_stack(void)
{
	uint32_t code[1];

	memcpy(code, data_code, sizeof(code));
	((function)(uintptr_t)code)();
}

static void run_constant(void)
{
	((function)(uintptr_t)constant)();
}

static void read_null(void)
{
	volatile int *volatile p = NULL;

	printf("%d\n", *p);
}

static void write_null_page(void)
{
	volatile char *volatile p = (char *)0xfff;

	*p = 1;
}

static void call_null(void)
{
	function volatile f = NULL;

	f();
}

static volatile int levels = 1 << 30;

static int deep(int depth)
{
	volatile char use[512];

	use[0] = (char)depth;
	if (depth == levels)
		return 0;
	return deep(depth + 1) + use[0];
}

static void overflow_main_stack(void)
{
	deep(0);
}

static void *overflow(void *arg)
{
	deep(0);
	return arg;
}

static void overflow_thread_stack(void)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, overflow, NULL))
		pthread_join(t, NULL);
}

static void in_interrupt(struct timer *t)
{
	(void)t;
	deep(0);
}

static void overflow_interrupt_stack(void)
{
	struct timer t = {.expired = in_interrupt};

	timer_arm(&t, 0);
	thread_sleep_until(time_now_ns() + NS_PER_S);
}

static void __attribute__((noinline)) fill(char *p, size_t bytes)
{
	memset(p, 'A', bytes);
}

static void smash_canary(void)
{
	char small[8];
	void (*volatile f)(char *, size_t) = fill;

	f(small, 64);
}

static void fail_assert(void)
{
	void assert_something(void);

	assert_something();
}

static void undefined_instruction(void)
{
	__asm__ volatile("udf #0");
}

static void do_abort(void)
{
	abort();
}

static const struct {
	const char *name;
	function attack;
} attacks[] = {
    {"write-text", write_text},
    {"write-constant", write_constant},
    {"write-relocated-constant", write_relocated_constant},
    {"run-data", run_data},
    {"run-heap", run_heap},
    {"run-stack", run_stack},
    {"run-constant", run_constant},
    {"read-null", read_null},
    {"write-null-page", write_null_page},
    {"call-null", call_null},
    {"overflow-main-stack", overflow_main_stack},
    {"overflow-thread-stack", overflow_thread_stack},
    {"overflow-interrupt-stack", overflow_interrupt_stack},
    {"smash-canary", smash_canary},
    {"fail-assert", fail_assert},
    {"undefined-instruction", undefined_instruction},
    {"abort", do_abort},
};

int main(int argc, char **argv)
{
	printf("canary %016lx\n", (unsigned long)__stack_chk_guard);
	make_visible(data_code);
	for (size_t i = 0; argc > 1 && i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (!strcmp(argv[1], attacks[i].name)) {
			printf("attack %s\n", attacks[i].name);
			fflush(stdout);
			attacks[i].attack();
			printf("the attack succeeded\n");
		}
	}
	return 0;
}
