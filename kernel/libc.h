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
 * Where stdout and stderr write to: the console; in images that have file descriptors, fd.c makes it
 * write().
 */
extern ssize_t (*stdio_write)(int fd, const void *bytes, size_t count);

#endif
