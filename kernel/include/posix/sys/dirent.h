/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of bundled files: what picolibc's <dirent.h> leaves to the system. */
#ifndef PITH_POSIX_SYS_DIRENT_H
#define PITH_POSIX_SYS_DIRENT_H

#include <limits.h>
#include <sys/types.h>

#define DT_UNKNOWN 0
#define DT_CHR     2
#define DT_DIR     4
#define DT_REG     8

struct dirent {
	ino_t d_ino;
	unsigned char d_type; /* DT_DIR or DT_REG */
	char d_name[NAME_MAX + 1];
};

typedef struct __dir DIR;

#endif
