/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies of threads and interrupts, one line each, in nanoseconds of the machine's time:
 *
 *   <what>: median <ns>, worst <ns>
 *
 * `make bench` runs it where a nanosecond is an instruction and a tick of the counter (QEMU's
 * -icount shift=0 and cntfrq=1000000000). The thread that measures is more urgent than the network's;
 * from the moment asked for to the moment seen, everything counts: sections with interrupts masked,
 * the handlers of other interrupts, the two readings of the clock (20 instructions together).
 *
 * The argument `load` adds what a busy machine does: threads that compute, allocate and contend for a
 * lock, timers of other periods, and an echo of the datagrams that come to UDP port 7 meanwhile.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <pith/compiler.h>
#include <pith/thread.h>
#include <pith/time.h>

#define SAMPLES     5000
#define PRIO_URGENT (PRIO_NET + 4)

static uint64_t samples[SAMPLES];

/* A time to come that falls together with nothing; always the same ones. */
static uint64_t next_moment(void)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	return time_now_ns() + 50 * NS_PER_US + (x >> 16);
}

static void start(const char *name, int priority, void *(*entry)(void *))
{
	struct thread *t = thread_create(name, priority, 0, entry, NULL);

	if (!t || thread_detach(t)) {
		printf("no thread %s\n", name);
		exit(1);
	}
}

/* --- What is measured ---------------------------------------------------------------------- */

static struct ksem interrupted, switch_wanted, lock_wanted;
static struct mutex handed_over = MUTEX_INIT(handed_over);
static volatile uint64_t seen_at;

static void interrupt(struct timer *t)
{
	(void)t;
	ksem_up(&interrupted);
}

static uint64_t interrupt_to_thread(void)
{
	static struct timer timer = {.expired = interrupt};
	uint64_t due = next_moment();

	timer_arm(&timer, due);
	ksem_down(&interrupted, TIME_FOREVER);
	return time_now_ns() - due;
}

static uint64_t sleep_until_due(void)
{
	uint64_t due = next_moment();

	thread_sleep_until(due);
	return time_now_ns() - due;
}

/* Equally urgent, so it runs when the other one yields; and is within a yield itself by then. */
static void *switch_partner(void *arg)
{
	for (;;) {
		ksem_down(&switch_wanted, TIME_FOREVER);
		thread_yield();
		seen_at = time_now_ns();
	}
	return arg;
}

static uint64_t context_switch(void)
{
	uint64_t from;

	thread_sleep_until(next_moment());
	ksem_up(&switch_wanted);
	thread_yield();
	from = time_now_ns();
	thread_yield();
	return seen_at - from;
}

/* More urgent, so it waits for the lock at once when told to want it. */
static void *lock_partner(void *arg)
{
	for (;;) {
		ksem_down(&lock_wanted, TIME_FOREVER);
		mutex_lock(&handed_over);
		seen_at = time_now_ns();
		mutex_unlock(&handed_over);
	}
	return arg;
}

static uint64_t mutex_hand_over(void)
{
	uint64_t from;

	thread_sleep_until(next_moment());
	mutex_lock(&handed_over);
	ksem_up(&lock_wanted);
	from = time_now_ns();
	mutex_unlock(&handed_over);
	return seen_at - from;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *what, uint64_t (*once)(void))
{
	for (int i = 0; i < SAMPLES; i++)
		samples[i] = once();
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	printf("%s: median %lu, worst %lu\n", what, (unsigned long)samples[SAMPLES / 2],
	       (unsigned long)samples[SAMPLES - 1]);
}

/* --- Load ---------------------------------------------------------------------------------- */

static struct mutex contended = MUTEX_INIT(contended);
static unsigned long echoed, rounds, expired;

static void *compute(void *arg)
{
	for (;;) {
		unsigned char *bytes = malloc(3000);

		if (bytes)
			memset(bytes, 0x55, 3000);
		mutex_lock(&contended);
		rounds++;
		mutex_unlock(&contended);
		free(bytes);
	}
	return arg;
}

static void again(struct timer *t)
{
	expired++;
	timer_arm(t, t->deadline_ns + 37 * NS_PER_US + (expired % 8) * NS_PER_US);
}

static void *sleep_often(void *arg)
{
	for (;;) {
		thread_sleep_until(time_now_ns() + 83 * NS_PER_US);
		mutex_lock(&contended);
		rounds++;
		mutex_unlock(&contended);
	}
	return arg;
}

static void *echo(void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char bytes[2048];

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror("echo");
		exit(1);
	}
	printf("echoing\n");
	for (;;) {
		socklen_t n = sizeof(address);
		ssize_t got =
		    recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, &n);

		if (got >= 0 && sendto(fd, bytes, got, 0, (struct sockaddr *)&address, n) == got)
			echoed++;
	}
	return arg;
}

static void start_load(void)
{
	static struct timer timers[4];

	start("compute1", PRIO_APP, compute);
	start("compute2", PRIO_APP, compute);
	start("sleeper", PRIO_NET, sleep_often);
	start("echo", PRIO_APP + 1, echo);
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		timers[i].expired = again;
		timer_arm(&timers[i], time_now_ns() + i * NS_PER_US);
	}
	while (!*(volatile unsigned long *)&echoed)
		thread_sleep_until(time_now_ns() + NS_PER_MS);
}

int main(int argc, char **argv)
{
	bool load = argc > 1 && !strcmp(argv[1], "load");

	if (load)
		start_load();
	ksem_init(&interrupted, 0);
	ksem_init(&switch_wanted, 0);
	ksem_init(&lock_wanted, 0);
	thread_set_priority(thread_current(), PRIO_URGENT);
	start("switch", PRIO_URGENT, switch_partner);
	start("lock", PRIO_URGENT + 1, lock_partner);
	measure("interrupt to waiting thread", interrupt_to_thread);
	measure("context switch", context_switch);
	measure("mutex hand-over", mutex_hand_over);
	measure("timer jitter", sleep_until_due);
	if (load)
		printf("meanwhile: %lu echoes, %lu timers, %lu rounds\n", echoed, expired, rounds);
	return 0;
}
