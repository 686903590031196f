/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need: alignment, array length, containers, attributes. */
#ifndef PITH_COMPILER_H
#define PITH_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))
/* align must be a power of two. */
#define ALIGN_UP(x, align)       (((x) + ((__typeof__(x))(align)-1)) & ~((__typeof__(x))(align)-1))
#define ALIGN_DOWN(x, align)     ((x) & ~((__typeof__(x))(align)-1))
#define container_of(p, type, m) ((type *)((char *)(p)-offsetof(type, m)))
/* Runs rarely: in a file that is compiled for speed (optimize := -O2), this is compiled for size. */
#define COLD __attribute__((cold))
/* The other way around: runs often, in a file that is compiled for size (cross.mk). */
#define FAST              __attribute__((optimize("O2", "shrink-wrap")))
#define NOINLINE          __attribute__((noinline))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
/* A variadic function that is never given floating point: it need not save those registers. */
#define NO_FLOATS __attribute__((target("general-regs-only")))

#endif
