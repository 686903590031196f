/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For host tests of a Raspberry Pi's drivers: a real tree of Debian's kernel package, read by the real
 * dt.c, and what is around a driver. Registers are at their physical addresses: a test's model_read()
 * and model_write() take them from pa().
 */
#ifndef TESTS_HOST_PI_MODEL_H
#define TESTS_HOST_PI_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pith/dt.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/thread.h>
#include <pith/time.h>

#define PI3 "bcm2837-rpi-3-b"
#define PI4 "bcm2711-rpi-4-b"

/* Where the peripherals at bus address 0x7e000000 are. */
#define PI3_BASE 0x3f000000ull
#define PI4_BASE 0xfe000000ull

static void use_tree(const char *name)
{
	static uint8_t blob[64 << 10] __attribute__((aligned(8)));
	char path[100];
	FILE *f;
	size_t bytes;

	snprintf(path, sizeof(path), "build/deps/dtbs/broadcom/%s.dtb", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot open %s", path);
	bytes = fread(blob, 1, sizeof(blob), f);
	fclose(f);
	assert_int_equal(dt_init(blob, bytes), 0);
}

static uint64_t pa(const volatile void *reg)
{
	return (uintptr_t)reg;
}

void *io_map(uint64_t address, size_t bytes)
{
	assert_true(bytes > 0);
	return (void *)(uintptr_t)address;
}

static bool model_absent; /* nobody answers */
int64_t io_probe_read32(const volatile void *reg)
{
	return model_absent ? -ENXIO : (int64_t)read32(reg);
}

/* Time passes by being looked at. */
static uint64_t model_ns, model_ns_step = NS_PER_US;
uint64_t time_now_ns(void)
{
	return model_ns += model_ns_step;
}
void delay_us(uint32_t us)
{
	model_ns += us * NS_PER_US;
}
void thread_sleep_until(uint64_t deadline_ns)
{
	model_ns = deadline_ns > model_ns ? deadline_ns : model_ns;
}

bool thread_switch_pending;
void thread_switch_restore(unsigned long daif)
{
	(void)daif;
}

static bool locked;
void mutex_lock(struct mutex *m)
{
	(void)m;
	assert_false(locked);
	locked = true;
}
void mutex_unlock(struct mutex *m)
{
	(void)m;
	assert_true(locked);
	locked = false;
}

static char logged[200]; /* the last line */
void klog(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(logged, sizeof(logged), fmt, args);
	va_end(args);
}

#endif
