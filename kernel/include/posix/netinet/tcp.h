/* SPDX-License-Identifier: Apache-2.0 */
/* Options of TCP sockets (level IPPROTO_TCP), with Linux's numbers. */
#ifndef PITH_POSIX_NETINET_TCP_H
#define PITH_POSIX_NETINET_TCP_H

#include <netinet/in.h>

#define TCP_NODELAY   1
#define TCP_MAXSEG    2 /* read only */
#define TCP_KEEPIDLE  4 /* seconds */
#define TCP_KEEPINTVL 5 /* seconds */
#define TCP_KEEPCNT   6
#define SOL_TCP       IPPROTO_TCP

#endif
