/* SPDX-License-Identifier: Apache-2.0 */
/* A counter as a descriptor: eventfd(2) of Linux. */
#ifndef PITH_POSIX_SYS_EVENTFD_H
#define PITH_POSIX_SYS_EVENTFD_H

#include <stdint.h>
#include <sys/cdefs.h>
#include <fcntl.h>

#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC   O_CLOEXEC
#define EFD_NONBLOCK  O_NONBLOCK

typedef uint64_t eventfd_t;

__BEGIN_DECLS
int eventfd(unsigned int initial, int flags);
int eventfd_read(int fd, eventfd_t *value);
int eventfd_write(int fd, eventfd_t value);
__END_DECLS

#endif
