/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of all network interfaces: getifaddrs(3) of Linux and the BSDs. */
#ifndef PITH_POSIX_IFADDRS_H
#define PITH_POSIX_IFADDRS_H

#include <sys/socket.h>

struct ifaddrs {
	struct ifaddrs *ifa_next;
	char *ifa_name;
	unsigned int ifa_flags; /* IFF_* (net/if.h) */
	struct sockaddr *ifa_addr, *ifa_netmask;
	union {
		struct sockaddr *ifu_broadaddr, *ifu_dstaddr;
	} ifa_ifu;
	void *ifa_data; /* NULL */
};
#define ifa_broadaddr ifa_ifu.ifu_broadaddr
#define ifa_dstaddr   ifa_ifu.ifu_dstaddr

__BEGIN_DECLS
int getifaddrs(struct ifaddrs **list);
void freeifaddrs(struct ifaddrs *list);
__END_DECLS

#endif
