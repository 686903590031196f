/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: POSIX.1-2017 sys/socket.h, and of Linux accept4 and MSG_, SO_ extras; Linux's numbers. */
#ifndef PITH_POSIX_SYS_SOCKET_H
#define PITH_POSIX_SYS_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef uint32_t socklen_t;
typedef uint16_t sa_family_t;

#define AF_UNSPEC 0
#define AF_UNIX   1 /* EAFNOSUPPORT */
#define AF_LOCAL  AF_UNIX
#define AF_INET   2
#define AF_INET6  10
#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX   AF_UNIX
#define PF_LOCAL  AF_LOCAL
#define PF_INET   AF_INET
#define PF_INET6  AF_INET6

#define SOCK_STREAM   1
#define SOCK_DGRAM    2
#define SOCK_RAW      3 /* EPROTONOSUPPORT */
#define SOCK_NONBLOCK 0x0800
#define SOCK_CLOEXEC  0x80000
#define SOL_SOCKET    1
#define SOMAXCONN     4096

#define SO_REUSEADDR  2
#define SO_TYPE       3
#define SO_ERROR      4
#define SO_BROADCAST  6
#define SO_SNDBUF     7
#define SO_RCVBUF     8
#define SO_KEEPALIVE  9
#define SO_LINGER     13
#define SO_RCVLOWAT   18
#define SO_SNDLOWAT   19
#define SO_RCVTIMEO   20
#define SO_SNDTIMEO   21
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL   38
#define SO_DOMAIN     39

#define MSG_PEEK     0x0002
#define MSG_CTRUNC   0x0008
#define MSG_TRUNC    0x0020
#define MSG_DONTWAIT 0x0040
#define MSG_WAITALL  0x0100
#define MSG_NOSIGNAL 0x4000 /* there are no signals */
#define MSG_MORE     0x8000

#define SHUT_RD   0
#define SHUT_WR   1
#define SHUT_RDWR 2

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

struct sockaddr_storage {
	sa_family_t ss_family;
	char __padding[118];
	uint64_t __align;
};

struct linger {
	int l_onoff;
	int l_linger; /* seconds */
};

struct msghdr {
	void *msg_name;
	socklen_t msg_namelen;
	struct iovec *msg_iov;
	size_t msg_iovlen;
	void *msg_control;
	size_t msg_controllen;
	int msg_flags;
};

struct cmsghdr {
	size_t cmsg_len;
	int cmsg_level;
	int cmsg_type;
};
#define CMSG_ALIGN(n) (((n) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define CMSG_LEN(n)   (CMSG_ALIGN(sizeof(struct cmsghdr)) + (n))
#define CMSG_SPACE(n) (CMSG_ALIGN(sizeof(struct cmsghdr)) + CMSG_ALIGN(n))
#define CMSG_DATA(c)  ((unsigned char *)((struct cmsghdr *)(c) + 1))
#define CMSG_FIRSTHDR(m) \
	((m)->msg_controllen >= sizeof(struct cmsghdr) ? (struct cmsghdr *)(m)->msg_control : NULL)
#define CMSG_NXTHDR(m, c)                                                           \
	((c)->cmsg_len < sizeof(struct cmsghdr) ||                                  \
	         (char *)(c) + CMSG_ALIGN((c)->cmsg_len) + sizeof(struct cmsghdr) > \
	             (char *)(m)->msg_control + (m)->msg_controllen                 \
	     ? NULL                                                                 \
	     : (struct cmsghdr *)((char *)(c) + CMSG_ALIGN((c)->cmsg_len)))

__BEGIN_DECLS
int socket(int family, int type, int protocol);
/* Always fails with EAFNOSUPPORT: there is no AF_UNIX. */
int socketpair(int family, int type, int protocol, int fds[2]);
int bind(int fd, const struct sockaddr *address, socklen_t bytes);
int listen(int fd, int backlog);
int accept(int fd, struct sockaddr *address, socklen_t *bytes);
/* flags: SOCK_NONBLOCK, SOCK_CLOEXEC. */
int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int connect(int fd, const struct sockaddr *address, socklen_t bytes);
ssize_t send(int fd, const void *buf, size_t count, int flags);
ssize_t sendto(int fd, const void *buf, size_t count, int flags, const struct sockaddr *address,
               socklen_t bytes);
/* Control messages are not sent: EINVAL. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t recv(int fd, void *buf, size_t count, int flags);
ssize_t recvfrom(int fd, void *buf, size_t count, int flags, struct sockaddr *address,
                 socklen_t *bytes);
ssize_t recvmsg(int fd, struct msghdr *msg, int flags);
int shutdown(int fd, int how);
int getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int getpeername(int fd, struct sockaddr *address, socklen_t *bytes);
int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int sockatmark(int fd);
/* setsockopt() for what __SOCKOPT_IS_NUMBER() says. */
int __setsockopt_number(int fd, int level, int option, const void *value, socklen_t bytes);
int __setsockopt_any(int fd, int level, int option, const void *value,
                     socklen_t bytes) __asm__("setsockopt");

/*
 * Who names only options that are numbers does not link the others: multicast groups, timeouts. These
 * are TCP's (level 6), the sockets' own but for three, and IPV6_V6ONLY (level 41, option 26).
 */
#define __SOCKOPT_IS_NUMBER(level, option)                                             \
	((level) == 6 || ((level) == 41 && (option) == 26) ||                          \
	 ((level) == SOL_SOCKET && (option) != SO_LINGER && (option) != SO_RCVTIMEO && \
	  (option) != SO_SNDTIMEO))

extern __inline __attribute__((__gnu_inline__, __always_inline__, __artificial__)) int setsockopt(
    int fd, int level, int option, const void *value, socklen_t bytes)
{
	return (__builtin_constant_p(level) && __builtin_constant_p(option) &&
	                __SOCKOPT_IS_NUMBER(level, option)
	            ? __setsockopt_number
	            : __setsockopt_any)(fd, level, option, value, bytes);
}
__END_DECLS

#endif
