/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces by name and number: POSIX.1-2017 net/if.h. */
#ifndef PITH_POSIX_NET_IF_H
#define PITH_POSIX_NET_IF_H

#include <sys/cdefs.h>

#define IF_NAMESIZE 16
#define IFNAMSIZ    IF_NAMESIZE

#define IFF_UP        0x1
#define IFF_BROADCAST 0x2
#define IFF_LOOPBACK  0x8
#define IFF_RUNNING   0x40
#define IFF_MULTICAST 0x1000

struct if_nameindex {
	unsigned int if_index;
	char *if_name;
};

__BEGIN_DECLS
unsigned int if_nametoindex(const char *name);        /* 0 with errno ENODEV */
char *if_indextoname(unsigned int index, char *name); /* NULL with errno ENXIO */
struct if_nameindex *if_nameindex(void);              /* ends with index 0; NULL with ENOBUFS */
void if_freenameindex(struct if_nameindex *list);
__END_DECLS

#endif
