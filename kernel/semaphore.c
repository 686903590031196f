/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX semaphores: the kernel's, in storage that <semaphore.h> declares opaquely. */
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <pith/assert.h>
#include <pith/irq.h>
#include <pith/result.h>
#include <pith/thread.h>
#include "deadline.h"

#define KSEM(sem) ((struct ksem *)(sem)->__sem)
static_assert(sizeof(struct ksem) == sizeof(((sem_t *)0)->__sem), "<semaphore.h>");

int sem_init(sem_t *sem, int pshared, unsigned int value)
{
	(void)pshared;
	if (value > SEM_VALUE_MAX)
		return (int)libc_result(-EINVAL);
	ksem_init(KSEM(sem), value);
	return 0;
}

int sem_destroy(sem_t *sem)
{
	return (int)libc_result(list_empty(&KSEM(sem)->waiters.waiters) ? 0 : -EBUSY);
}

int sem_wait(sem_t *sem)
{
	return (int)libc_result(ksem_down(KSEM(sem), TIME_FOREVER));
}

int sem_trywait(sem_t *sem)
{
	return (int)libc_result(ksem_down(KSEM(sem), 0) ? -EAGAIN : 0);
}

int sem_timedwait(sem_t *__restrict sem, const struct timespec *__restrict abstime)
{
	if (!timespec_valid(abstime))
		return (int)libc_result(-EINVAL);
	return (int)libc_result(ksem_down(KSEM(sem), deadline_at(true, abstime)));
}

int sem_post(sem_t *sem)
{
	unsigned long irq = irq_save();
	int err = 0;

	if (KSEM(sem)->count == SEM_VALUE_MAX)
		err = -EOVERFLOW;
	else
		ksem_up(KSEM(sem));
	irq_restore(irq);
	return (int)libc_result(err);
}

int sem_getvalue(sem_t *__restrict sem, int *__restrict value)
{
	*value = (int)KSEM(sem)->count;
	return 0;
}
