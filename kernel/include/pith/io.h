/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device registers and barriers.
 *
 * Device memory is mapped Device-nGnRE, so accesses to one device stay in order among themselves;
 * the barriers here order them against Normal memory (Arm ARM DDI 0487, B2.3.12).
 */
#ifndef PITH_IO_H
#define PITH_IO_H

#include <stddef.h>
#include <stdint.h>

/*
 * Map a device's registers (idempotent; identity-mapped, Device-nGnRE, never executable).
 * Returns the address to use, or NULL: overlaps RAM, or beyond the address space, or no memory.
 */
void *io_map(uint64_t pa, size_t bytes);

/*
 * Read a register of a device that may not be there: the first access of a probe. From a thread or
 * boot, not from an interrupt handler.
 *
 * Returns  its value, or -ENXIO: external abort, nobody answers at that address (where a bus answers
 *          for what is absent, the value is what it says: often 0 or all ones)
 * Source   Arm ARM DDI 0487, D24.2.41 (ESR_EL1, ISS of a data abort, DFSC 0x10)
 */
int64_t io_probe_read32(const volatile void *reg);

/*
 * Wait, polling, until the bits of mask are as in value. One look more after the deadline: who was
 * kept from running meanwhile has waited for nothing.
 * Returns 0 or -ETIMEDOUT
 */
int io_wait32(const volatile void *reg, uint32_t mask, uint32_t value, uint64_t deadline_ns);

/*
 * Plain loads and stores of one exact width; never merged, split or given write-back addressing, which a
 * hypervisor that emulates the device could not decode. Q is a base register alone, o adds a constant
 * offset.
 */
static inline uint8_t read8(const volatile void *a)
{
	uint8_t v;

	__asm__ volatile("ldrb %w0, %1" : "=r"(v) : "Qo"(*(const volatile uint8_t *)a));
	return v;
}
static inline uint16_t read16(const volatile void *a)
{
	uint16_t v;

	__asm__ volatile("ldrh %w0, %1" : "=r"(v) : "Qo"(*(const volatile uint16_t *)a));
	return v;
}
static inline uint32_t read32(const volatile void *a)
{
	uint32_t v;

	__asm__ volatile("ldr %w0, %1" : "=r"(v) : "Qo"(*(const volatile uint32_t *)a));
	return v;
}
static inline uint64_t read64(const volatile void *a)
{
	uint64_t v;

	__asm__ volatile("ldr %0, %1" : "=r"(v) : "Qo"(*(const volatile uint64_t *)a));
	return v;
}
static inline void write8(volatile void *a, uint8_t v)
{
	__asm__ volatile("strb %w1, %0" : "=Qo"(*(volatile uint8_t *)a) : "rZ"(v));
}
static inline void write16(volatile void *a, uint16_t v)
{
	__asm__ volatile("strh %w1, %0" : "=Qo"(*(volatile uint16_t *)a) : "rZ"(v));
}
static inline void write32(volatile void *a, uint32_t v)
{
	__asm__ volatile("str %w1, %0" : "=Qo"(*(volatile uint32_t *)a) : "rZ"(v));
}
static inline void write64(volatile void *a, uint64_t v)
{
	__asm__ volatile("str %x1, %0" : "=Qo"(*(volatile uint64_t *)a) : "rZ"(v));
}

/* Between CPU and device, both directions / loads / stores (outer shareable). */
static inline void io_mb(void)
{
	__asm__ volatile("dmb osh" ::: "memory");
}
static inline void io_rmb(void)
{
	__asm__ volatile("dmb oshld" ::: "memory");
}
static inline void io_wmb(void)
{
	__asm__ volatile("dmb oshst" ::: "memory");
}

/* Until everything before it is complete, for every observer (Arm ARM DDI 0487, DSB). */
static inline void io_sync(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

#define sysreg_read(reg)                                                \
	({                                                              \
		uint64_t v_;                                            \
		__asm__ volatile("mrs %0, " #reg : "=r"(v_)::"memory"); \
		v_;                                                     \
	})
#define sysreg_write(reg, v) __asm__ volatile("msr " #reg ", %x0" ::"rZ"((uint64_t)(v)) : "memory")
static inline void isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

#endif
