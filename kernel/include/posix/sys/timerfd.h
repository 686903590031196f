/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer as a descriptor: timerfd_create(2) of Linux. An absolute CLOCK_REALTIME time is turned
 * into a delay when it is set: setting the clock later does not move it, and TFD_TIMER_CANCEL_ON_SET
 * is not there.
 */
#ifndef PITH_POSIX_SYS_TIMERFD_H
#define PITH_POSIX_SYS_TIMERFD_H

#include <sys/cdefs.h>
#include <fcntl.h>
#include <time.h>

#define TFD_TIMER_ABSTIME 1
#define TFD_CLOEXEC       O_CLOEXEC
#define TFD_NONBLOCK      O_NONBLOCK

__BEGIN_DECLS
int timerfd_create(int clock_id, int flags);
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old);
int timerfd_gettime(int fd, struct itimerspec *value);
__END_DECLS

#endif
