/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses: POSIX.1-2017 netdb.h, and gethostbyname; Linux's numbers. */
#ifndef PITH_POSIX_NETDB_H
#define PITH_POSIX_NETDB_H

#include <netinet/in.h>

struct addrinfo {
	int ai_flags;
	int ai_family;
	int ai_socktype;
	int ai_protocol;
	socklen_t ai_addrlen;
	struct sockaddr *ai_addr;
	char *ai_canonname;
	struct addrinfo *ai_next;
};

struct hostent {
	char *h_name;
	char **h_aliases;
	int h_addrtype;
	int h_length;
	char **h_addr_list;
};
#define h_addr h_addr_list[0]

#define AI_PASSIVE     0x01
#define AI_CANONNAME   0x02
#define AI_NUMERICHOST 0x04
#define AI_V4MAPPED    0x08
#define AI_ALL         0x10
#define AI_ADDRCONFIG  0x20
#define AI_NUMERICSERV 0x400

#define NI_NUMERICHOST 1
#define NI_NUMERICSERV 2
#define NI_NOFQDN      4
#define NI_NAMEREQD    8
#define NI_DGRAM       16
#define NI_MAXHOST     1025
#define NI_MAXSERV     32

#define EAI_BADFLAGS (-1)
#define EAI_NONAME   (-2)
#define EAI_AGAIN    (-3)
#define EAI_FAIL     (-4)
#define EAI_NODATA   (-5)
#define EAI_FAMILY   (-6)
#define EAI_SOCKTYPE (-7)
#define EAI_SERVICE  (-8)
#define EAI_MEMORY   (-10)
#define EAI_SYSTEM   (-11)
#define EAI_OVERFLOW (-12)

#define HOST_NOT_FOUND 1
#define TRY_AGAIN      2
#define NO_RECOVERY    3
#define NO_DATA        4

__BEGIN_DECLS
/*
 * name      a host's name (by DNS, each family asked for; "localhost"), a numeric address, or NULL
 * service   a port number, or "http", "https", "domain", ...: a few well-known names; or NULL
 * Blocks    yes, for DNS: seconds when no server answers
 * Returns   0; EAI_*
 */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **list);
void freeaddrinfo(struct addrinfo *list);
const char *gai_strerror(int error);
/* Numeric only: NI_NAMEREQD gives EAI_NONAME. */
int getnameinfo(const struct sockaddr *address, socklen_t bytes, char *host, socklen_t host_bytes,
                char *service, socklen_t service_bytes, int flags);
/* IPv4 only; in memory of the calling thread's, until its next call. */
struct hostent *gethostbyname(const char *name);
extern _Thread_local int h_errno;
__END_DECLS

#endif
