/* SPDX-License-Identifier: Apache-2.0 */
/* At the app's edge: what the kernel returns as a negative errno, libc says with errno and -1. */
#ifndef PITH_RESULT_H
#define PITH_RESULT_H

#include <errno.h>

static inline long libc_result(long result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

#endif
