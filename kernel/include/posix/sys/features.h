/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which options of POSIX.1-2008 Pith has (<unistd.h> defines them from here, and picolibc's own
 * headers show clock_gettime() and others only when asked to).
 */
#ifndef PITH_POSIX_SYS_FEATURES_H
#define PITH_POSIX_SYS_FEATURES_H

#include_next <sys/features.h>

#define _POSIX_VERSION                    200809L
#define _POSIX_BARRIERS                   200809L
#define _POSIX_CLOCK_SELECTION            200809L
#define _POSIX_MONOTONIC_CLOCK            200809L
#define _POSIX_PRIORITY_SCHEDULING        200809L
#define _POSIX_READER_WRITER_LOCKS        200809L
#define _POSIX_SEMAPHORES                 200809L
#define _POSIX_SPIN_LOCKS                 200809L
#define _POSIX_THREADS                    200809L
#define _POSIX_THREAD_ATTR_STACKSIZE      200809L
#define _POSIX_THREAD_PRIORITY_SCHEDULING 200809L
#define _POSIX_THREAD_PRIO_INHERIT        200809L
#define _POSIX_THREAD_SAFE_FUNCTIONS      200809L
#define _POSIX_TIMEOUTS                   200809L
#define _POSIX_TIMERS                     200809L

#endif
