/* SPDX-License-Identifier: Apache-2.0 */
/* picolibc's, and what it lacks of Linux's. */
#ifndef PITH_POSIX_ERRNO_H
#define PITH_POSIX_ERRNO_H

#include_next <errno.h>

/* Its headers leave the numbers from __ELASTERROR on to others. */
#define ENOKEY       (__ELASTERROR + 0)
#define EKEYREJECTED (__ELASTERROR + 1)

#endif
