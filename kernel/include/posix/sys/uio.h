/* SPDX-License-Identifier: Apache-2.0 */
/* Scatter and gather (POSIX.1-2008). */
#ifndef PITH_POSIX_SYS_UIO_H
#define PITH_POSIX_SYS_UIO_H

#include <stddef.h>
#include <sys/cdefs.h>
#include <sys/types.h>

#define UIO_MAXIOV 1024

struct iovec {
	void *iov_base;
	size_t iov_len;
};

__BEGIN_DECLS
ssize_t readv(int fd, const struct iovec *iov, int count);
ssize_t writev(int fd, const struct iovec *iov, int count);
__END_DECLS

#endif
