/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: those of threads and names, which picolibc does not know. */

/* Not within the guard: GCC's <limits.h> comes back here on its way to picolibc's. */
#include_next <limits.h>

#ifndef PITH_POSIX_LIMITS_H
#define PITH_POSIX_LIMITS_H

#undef OPEN_MAX
#define OPEN_MAX                      1024 /* descriptors: pith/file.h's FD_MAX */
#define HOST_NAME_MAX                 64
#define SEM_VALUE_MAX                 0x7fffffff
#define SSIZE_MAX                     LONG_MAX
#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#define PTHREAD_KEYS_MAX              128
#define PTHREAD_STACK_MIN             16384

#endif
