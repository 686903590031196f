/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll, as epoll(7) of Linux describes it (numbers too): level and edge triggered, one-shot,
 * exclusive; sets within sets up to five deep.
 */
#ifndef PITH_POSIX_SYS_EPOLL_H
#define PITH_POSIX_SYS_EPOLL_H

#include <stdint.h>
#include <sys/cdefs.h>
#include <sys/select.h>
#include <fcntl.h>

#define EPOLL_CLOEXEC O_CLOEXEC

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3

#define EPOLLIN        0x0001u
#define EPOLLPRI       0x0002u
#define EPOLLOUT       0x0004u
#define EPOLLERR       0x0008u /* always reported, as is EPOLLHUP */
#define EPOLLHUP       0x0010u
#define EPOLLRDNORM    0x0040u
#define EPOLLRDBAND    0x0080u
#define EPOLLWRNORM    0x0100u
#define EPOLLWRBAND    0x0200u
#define EPOLLRDHUP     0x2000u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29) /* nothing here sleeps: no effect */
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)

typedef union epoll_data {
	void *ptr;
	int fd;
	uint32_t u32;
	uint64_t u64;
} epoll_data_t;

struct epoll_event {
	uint32_t events;
	epoll_data_t data;
};

__BEGIN_DECLS
int epoll_create(int size);
int epoll_create1(int flags);
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int epoll_wait(int epfd, struct epoll_event *events, int max_events, int timeout_ms);
/* There are no signals, so the mask changes nothing. */
int epoll_pwait(int epfd, struct epoll_event *events, int max_events, int timeout_ms,
                const sigset_t *mask);
__END_DECLS

#endif
