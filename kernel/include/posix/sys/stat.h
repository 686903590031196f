/* SPDX-License-Identifier: Apache-2.0 */
/* There are no symbolic links, but what asks for one is not wrong. */
#ifndef PITH_POSIX_SYS_STAT_H
#define PITH_POSIX_SYS_STAT_H

#include_next <sys/stat.h>

__BEGIN_DECLS
int lstat(const char *__restrict path, struct stat *__restrict st);
__END_DECLS

#endif
