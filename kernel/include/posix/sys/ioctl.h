/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl() on descriptors (numbers as on Linux). What a descriptor does not know gives ENOTTY. */
#ifndef PITH_POSIX_SYS_IOCTL_H
#define PITH_POSIX_SYS_IOCTL_H

#include <sys/cdefs.h>

#define FIONREAD 0x541b /* int *: bytes that a read would not wait for */
#define FIONBIO  0x5421 /* int *: O_NONBLOCK on or off */
#define FIONCLEX 0x5450
#define FIOCLEX  0x5451

__BEGIN_DECLS
int ioctl(int fd, unsigned long request, ...);
__END_DECLS

#endif
