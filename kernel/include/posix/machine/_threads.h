/* SPDX-License-Identifier: Apache-2.0 */
/* The types of C11's <threads.h>, which picolibc leaves to the system: POSIX threads' own. */
#ifndef PITH_POSIX_MACHINE_THREADS_H
#define PITH_POSIX_MACHINE_THREADS_H

#include <pthread.h>
#include <sys/config.h>

typedef pthread_cond_t cnd_t;
typedef pthread_mutex_t mtx_t;
typedef pthread_once_t once_flag;
typedef pthread_t thrd_t;
typedef pthread_key_t tss_t;

#define ONCE_FLAG_INIT      PTHREAD_ONCE_INIT
#define TSS_DTOR_ITERATIONS PTHREAD_DESTRUCTOR_ITERATIONS

#endif
