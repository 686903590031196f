/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Semaphores (POSIX.1-2008), unnamed ones only: a call to sem_open() fails at link time. All threads
 * share one address space, so pshared changes nothing.
 */
#ifndef PITH_POSIX_SEMAPHORE_H
#define PITH_POSIX_SEMAPHORE_H

#include <sys/cdefs.h>
#include <time.h>

typedef struct {
	unsigned long __sem[3]; /* struct ksem */
} sem_t;

__BEGIN_DECLS
int sem_init(sem_t *sem, int pshared, unsigned int value);
int sem_destroy(sem_t *sem);
int sem_wait(sem_t *sem);
int sem_trywait(sem_t *sem);
int sem_timedwait(sem_t *__restrict sem, const struct timespec *__restrict abstime);
int sem_post(sem_t *sem); /* also from interrupt handlers */
int sem_getvalue(sem_t *__restrict sem, int *__restrict value);
__END_DECLS

#endif
