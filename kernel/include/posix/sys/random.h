/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes: getrandom(2) of Linux. It waits until the generator has been seeded, or gives EAGAIN
 * with GRND_NONBLOCK; it is never weak.
 */
#ifndef PITH_POSIX_SYS_RANDOM_H
#define PITH_POSIX_SYS_RANDOM_H

#include <stddef.h>
#include <sys/cdefs.h>
#include <sys/types.h>

#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u

__BEGIN_DECLS
ssize_t getrandom(void *buf, size_t count, unsigned int flags);
int getentropy(void *buf, size_t count);
__END_DECLS

#endif
