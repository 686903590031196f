/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP wants to know about compiler and CPU. */
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <limits.h> /* SSIZE_MAX: without it lwIP would define ssize_t */
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <pith/irq.h>

#define LWIP_ERRNO_STDINCLUDE 1

/* Byte order by the compiler, one instruction: lwIP's own are calls. */
#ifndef BYTE_ORDER
#define BYTE_ORDER __BYTE_ORDER__
#endif
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

/* A failed assertion is a trap: the panic's backtrace names the line, no text is kept for it. */
#ifndef LWIP_PLATFORM_ASSERT /* a host test has its own, which says which */
#define LWIP_PLATFORM_ASSERT(message) __builtin_trap()
#endif
#define LWIP_PLATFORM_DIAG(message) ((void)0)

/* Reference counts of pbufs, for those who free one without the core lock. */
#define SYS_ARCH_DECL_PROTECT(level) unsigned long level
#define SYS_ARCH_PROTECT(level)      level = irq_save()
#define SYS_ARCH_UNPROTECT(level)    irq_restore_quiet(level)

uint32_t net_random(void);
#define LWIP_RAND() net_random()

#endif
