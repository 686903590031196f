/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling. Policies are SCHED_OTHER (the default: the app's priority, sched_priority is 0) and
 * SCHED_RR (sched_priority from 1 to 31, as in pith/thread.h). Threads of one priority take turns.
 */
#ifndef PITH_POSIX_SCHED_H
#define PITH_POSIX_SCHED_H

#include_next <sched.h>

#endif
