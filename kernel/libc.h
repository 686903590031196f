/* SPDX-License-Identifier: Apache-2.0 */
/* What libc.c, stdio.c and fd.c have with picolibc and each other. */
#ifndef KERNEL_LIBC_H
#define KERNEL_LIBC_H

#include <sys/types.h>
#include <pith/thread.h>

/* picolibc's locks (the name is its own; libc.c has the functions). */
struct __lock {
	struct mutex mutex;
	unsigned int depth; /* times taken beyond the first */
};

/*
 * From here on stdout and stderr write to their descriptors, and close them; before, and in images that
 * have no file descriptors, they write to the console.
 */
void stdio_use_descriptors(void);

#endif
