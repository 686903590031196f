/* SPDX-License-Identifier: Apache-2.0 */
/* What system this is (POSIX.1-2008): version is the image's build id. */
#ifndef PITH_POSIX_SYS_UTSNAME_H
#define PITH_POSIX_SYS_UTSNAME_H

#include <sys/cdefs.h>

struct utsname {
	char sysname[65];
	char nodename[65];
	char release[65];
	char version[65];
	char machine[65];
};

__BEGIN_DECLS
int uname(struct utsname *name);
__END_DECLS

#endif
