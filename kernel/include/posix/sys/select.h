/* SPDX-License-Identifier: Apache-2.0 */
/* select() over all descriptors that there can be: picolibc's header stops at 64. */
#ifndef PITH_POSIX_SYS_SELECT_H
#define PITH_POSIX_SYS_SELECT_H

#ifndef FD_SETSIZE
#define FD_SETSIZE 1024
#endif
#include_next <sys/select.h>

#endif
