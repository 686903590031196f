/* SPDX-License-Identifier: Apache-2.0 */
/* What picolibc's locks are (struct __lock is its name; libc.c has the functions). */
#ifndef KERNEL_LIBC_LOCK_H
#define KERNEL_LIBC_LOCK_H

#include <pith/thread.h>

struct __lock {
	struct mutex mutex;
	unsigned int depth; /* times taken beyond the first */
};

#endif
