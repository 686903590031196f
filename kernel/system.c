/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX calls about the system: limits, names, identity, random bytes. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/machine.h>
#include <pith/page.h>
#include <pith/result.h>

#define GETENTROPY_MAX 256 /* bytes; POSIX.1-2024 */

static char host_name[HOST_NAME_MAX + 1] = "pith";

long sysconf(int name)
{
	struct memory_info memory;

	memory_info(&memory);
	switch (name) {
	case _SC_PAGESIZE:
		return PAGE_BYTES;
	case _SC_NPROCESSORS_CONF:
	case _SC_NPROCESSORS_ONLN:
		return 1;
	case _SC_PHYS_PAGES:
		return (long)(memory.total_bytes / PAGE_BYTES);
	case _SC_AVPHYS_PAGES:
		return (long)(memory.free_bytes / PAGE_BYTES);
	case _SC_OPEN_MAX:
		return OPEN_MAX;
	case _SC_IOV_MAX:
		return IOV_MAX;
	case _SC_CLK_TCK:
		return 100;
	case _SC_HOST_NAME_MAX:
		return HOST_NAME_MAX;
	case _SC_SEM_VALUE_MAX:
		return SEM_VALUE_MAX;
	case _SC_THREAD_KEYS_MAX:
		return PTHREAD_KEYS_MAX;
	case _SC_THREAD_DESTRUCTOR_ITERATIONS:
		return PTHREAD_DESTRUCTOR_ITERATIONS;
	case _SC_THREAD_STACK_MIN:
		return PTHREAD_STACK_MIN;
	case _SC_VERSION:
	case _SC_THREADS:
	case _SC_TIMERS:
	case _SC_SEMAPHORES:
	case _SC_MONOTONIC_CLOCK:
	case _SC_BARRIERS:
	case _SC_READER_WRITER_LOCKS:
	case _SC_SPIN_LOCKS:
		return _POSIX_VERSION;
	default:
		return libc_result(-EINVAL);
	}
}

/* One process, run by nobody in particular. */
pid_t getpid(void)
{
	return 1;
}

/* --- Names --- */

int gethostname(char *name, size_t bytes)
{
	if (strlen(host_name) >= bytes)
		return (int)libc_result(-ENAMETOOLONG);
	strcpy(name, host_name);
	return 0;
}

int sethostname(const char *name, size_t bytes)
{
	if (bytes > HOST_NAME_MAX)
		return (int)libc_result(-EINVAL);
	memcpy(host_name, name, bytes);
	host_name[bytes] = '\0';
	return 0;
}

int uname(struct utsname *u)
{
	*u = (struct utsname){.sysname = "Pith", .machine = "aarch64"};
	strcpy(u->nodename, host_name);
	snprintf(u->release, sizeof(u->release), "%s", image_version);
	strcpy(u->version, image_build_id());
	return 0;
}

/* --- Random bytes --- */

int getentropy(void *buf, size_t bytes)
{
	return (int)libc_result(bytes > GETENTROPY_MAX ? -EIO : random_bytes(buf, bytes, false));
}

ssize_t getrandom(void *buf, size_t bytes, unsigned int flags)
{
	int err;

	if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM)) || bytes > SSIZE_MAX)
		return libc_result(-EINVAL);
	err = random_bytes(buf, bytes, flags & GRND_NONBLOCK);
	return libc_result(err ? err : (ssize_t)bytes);
}
