/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text: POSIX.1-2017 arpa/inet.h, and inet_aton. */
#ifndef PITH_POSIX_ARPA_INET_H
#define PITH_POSIX_ARPA_INET_H

#include <netinet/in.h>

__BEGIN_DECLS
/* family AF_INET or AF_INET6. Returns 1; 0 not an address; -1 with errno EAFNOSUPPORT. */
int inet_pton(int family, const char *text, void *address);
/* Returns text; NULL with errno EAFNOSUPPORT, ENOSPC. */
const char *inet_ntop(int family, const void *address, char *text, socklen_t bytes);
/* One to four numbers, also octal and hexadecimal. Returns 1, or 0: not an address. */
int inet_aton(const char *text, struct in_addr *address);
in_addr_t inet_addr(const char *text);   /* INADDR_NONE: not an address */
char *inet_ntoa(struct in_addr address); /* in a buffer of the calling thread's */
__END_DECLS

#endif
