/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What picolibc asks of the system that is neither files nor time: its locks, the ways a program
 * ends, signals, and its choice of atomic instructions.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/lock.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/result.h>
#include <pith/thread.h>
#include "libc.h"

/*
 * --- Locks ---
 *
 * All of them, in place of picolibc's empty ones. Recursive locks and plain ones are the same:
 * stdio.c holds a stream's plain lock while picolibc takes it for each character.
 */

/* Of the environment, atexit(), arc4random() and the time zone. */
struct __lock __lock___libc_recursive_mutex = {MUTEX_INIT(__lock___libc_recursive_mutex.mutex), 0};

/* The caller cannot be told that there is no memory: it gets the common lock, which is slower. */
void __retarget_lock_init_recursive(_LOCK_T *lock)
{
	*lock = malloc(sizeof(**lock));
	if (!*lock) {
		*lock = &__lock___libc_recursive_mutex;
		return;
	}
	mutex_init(&(*lock)->mutex);
	(*lock)->depth = 0;
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
	if (lock != &__lock___libc_recursive_mutex)
		free(lock);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
	if (lock->mutex.owner == thread_current())
		lock->depth++;
	else
		mutex_lock(&lock->mutex);
}

int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
{
	if (lock->mutex.owner == thread_current())
		lock->depth++;
	else if (mutex_trylock(&lock->mutex))
		return 0;
	return 1;
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
	if (lock->depth > 0)
		lock->depth--;
	else
		mutex_unlock(&lock->mutex);
}

void __retarget_lock_init(_LOCK_T *lock) __attribute__((alias("__retarget_lock_init_recursive")));
void __retarget_lock_close(_LOCK_T lock) __attribute__((alias("__retarget_lock_close_recursive")));
void __retarget_lock_acquire(_LOCK_T lock)
    __attribute__((alias("__retarget_lock_acquire_recursive")));
int __retarget_lock_try_acquire(_LOCK_T lock)
    __attribute__((alias("__retarget_lock_try_acquire_recursive")));
void __retarget_lock_release(_LOCK_T lock)
    __attribute__((alias("__retarget_lock_release_recursive")));

/* --- The end of the program --- */

void _exit(int status)
{
	machine_exit(status);
}

void abort(void)
{
	panic("abort()");
}

void __assert_func(const char *file, int line, const char *function, const char *expression)
{
	panic("%s:%d: %s: assertion failed: %s", file, line, function, expression);
}

/*
 * --- Signals ---
 *
 * Nothing ever sends one; a write to a closed connection gives EPIPE and no SIGPIPE. So ignoring
 * SIGPIPE, or asking for the default, is honest; everything else is not there.
 */
static _sig_func_ptr sigpipe = SIG_DFL; /* what signal() and sigaction() say it was */

/* handler NULL only asks. */
static int set_signal(int sig, const _sig_func_ptr *handler, _sig_func_ptr *old)
{
	if (sig <= 0 || sig >= NSIG)
		return -EINVAL;
	if (handler && *handler != SIG_DFL && !(sig == SIGPIPE && *handler == SIG_IGN))
		return -ENOSYS;
	*old = sig == SIGPIPE ? sigpipe : SIG_DFL;
	if (handler && sig == SIGPIPE)
		sigpipe = *handler;
	return 0;
}

_sig_func_ptr signal(int sig, _sig_func_ptr handler)
{
	_sig_func_ptr old;

	return libc_result(set_signal(sig, &handler, &old)) ? SIG_ERR : old;
}

int sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
	_sig_func_ptr was;
	int err = set_signal(sig, action ? &action->sa_handler : NULL, &was);

	if (!err && old)
		*old = (struct sigaction){.sa_handler = was};
	return (int)libc_result(err);
}

/* With no handlers, what is left is the default: to end the program, or nothing. */
int raise(int sig)
{
	switch (sig) {
	case SIGABRT:
		abort();
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
		return 0;
	default:
		if (sig <= 0 || sig >= NSIG)
			return (int)libc_result(-EINVAL);
		if (sig == SIGPIPE && sigpipe == SIG_IGN)
			return 0;
		machine_exit(128 + sig);
	}
}

/*
 * --- Atomics ---
 *
 * picolibc was compiled to ask, at run time, whether the processor has the atomics of Armv8.1
 * (libgcc, lse-init.c). On one processor the older exclusive pairs are as good.
 */
bool __aarch64_have_lse_atomics = false;
