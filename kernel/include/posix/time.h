/* SPDX-License-Identifier: Apache-2.0 */
/* C11's timespec_get(), which picolibc does not declare. */
#ifndef PITH_POSIX_TIME_H
#define PITH_POSIX_TIME_H

#include_next <time.h>

#define TIME_UTC 1

__BEGIN_DECLS
int timespec_get(struct timespec *ts, int base);
__END_DECLS

#endif
