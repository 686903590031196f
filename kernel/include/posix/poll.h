/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for descriptors (POSIX.1-2008; numbers as on Linux). A descriptor that is closed while
 * being waited for gives POLLNVAL.
 */
#ifndef PITH_POSIX_POLL_H
#define PITH_POSIX_POLL_H

#include <sys/cdefs.h>
#include <sys/select.h>

#define POLLIN     0x0001
#define POLLPRI    0x0002
#define POLLOUT    0x0004
#define POLLERR    0x0008
#define POLLHUP    0x0010
#define POLLNVAL   0x0020
#define POLLRDNORM 0x0040
#define POLLRDBAND 0x0080
#define POLLWRNORM 0x0100
#define POLLWRBAND 0x0200
#if __GNU_VISIBLE
#define POLLRDHUP 0x2000
#endif

typedef unsigned long nfds_t;

struct pollfd {
	int fd; /* negative: skipped */
	short events;
	short revents;
};

__BEGIN_DECLS
int poll(struct pollfd *fds, nfds_t count, int timeout_ms);
#if __GNU_VISIBLE
/* There are no signals, so the mask changes nothing. */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
#endif
__END_DECLS

#endif
