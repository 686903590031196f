/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pith/io.h for host tests: device registers are whatever the test's model says.
 *
 * A test that links a driver supplies model_read() and model_write(); a test whose code touches no
 * register supplies nothing. Barriers stay compiler barriers: a host test is one thread.
 */
#ifndef PITH_HOST_IO_H
#define PITH_HOST_IO_H

#include <stddef.h>
#include <stdint.h>

/* addr is what io_map() returned plus the register's offset; bytes is 1, 2, 4 or 8. */
uint64_t model_read(const volatile void *addr, unsigned int bytes);
void model_write(volatile void *addr, unsigned int bytes, uint64_t value);

void *io_map(uint64_t pa, size_t bytes);
int64_t io_probe_read32(const volatile void *reg);
int io_wait32(const volatile void *reg, uint32_t mask, uint32_t value, uint64_t deadline_ns);

static inline uint8_t read8(const volatile void *a)
{
	return (uint8_t)model_read(a, 1);
}
static inline uint16_t read16(const volatile void *a)
{
	return (uint16_t)model_read(a, 2);
}
static inline uint32_t read32(const volatile void *a)
{
	return (uint32_t)model_read(a, 4);
}
static inline uint64_t read64(const volatile void *a)
{
	return model_read(a, 8);
}
static inline void write8(volatile void *a, uint8_t v)
{
	model_write(a, 1, v);
}
static inline void write16(volatile void *a, uint16_t v)
{
	model_write(a, 2, v);
}
static inline void write32(volatile void *a, uint32_t v)
{
	model_write(a, 4, v);
}
static inline void write64(volatile void *a, uint64_t v)
{
	model_write(a, 8, v);
}

static inline void io_mb(void)
{
	__asm__ volatile("" ::: "memory");
}
static inline void io_rmb(void)
{
	__asm__ volatile("" ::: "memory");
}
static inline void io_wmb(void)
{
	__asm__ volatile("" ::: "memory");
}
static inline void io_sync(void)
{
	__asm__ volatile("" ::: "memory");
}

/* System registers, by name, are the test's model too. */
uint64_t model_sysreg_read(const char *name);
void model_sysreg_write(const char *name, uint64_t value);

#define sysreg_read(reg)     model_sysreg_read(#reg)
#define sysreg_write(reg, v) model_sysreg_write(#reg, v)
static inline void isb(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif
