/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's options for Pith. What is not set here keeps lwIP's default (lwip/opt.h explains each).
 *
 * How lwIP is built in: NO_SYS, raw API only, one lock around the core (net/core.c), our own timers
 * (timers.c), memory (memory.c) and sockets (socket*.c).
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include <stddef.h>
#include <stdint.h>
#include <pith/thread.h>

struct netif;
struct pbuf;

/* --- System ---------------------------------------------------------------------------------- */
#define NO_SYS               1 /* no tcpip thread, mailboxes or semaphores of lwIP's */
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_TIMERS_CUSTOM   1 /* timers.c: only while something is due */
#define SYS_LIGHTWEIGHT_PROT 1 /* pbufs may be freed without the core lock (arch/cc.h) */
/* That somebody holds it: who, would be a call each time, and this is asked 15 times a request. */
extern struct mutex net_core;
#define LWIP_ASSERT_CORE_LOCKED()         \
	do {                              \
		if (!net_core.owner)      \
			__builtin_trap(); \
	} while (0)

/* --- Memory: malloc, under a cap that scales with RAM (memory.c) ------------------------------- */
#define MEM_ALIGNMENT 8
#define MEM_LIBC_MALLOC \
	1 /* mem_malloc() and memp_malloc() are ours: mem.c and memp.c are not built */
#define MEMP_MEM_MALLOC          1
#define PBUF_POOL_SIZE           0 /* received frames are the drivers' buffers, or copies of the right size */
#define LWIP_SUPPORT_CUSTOM_PBUF 1

/* --- Link and IPv4 --------------------------------------------------------------------------- */
#define LWIP_ETHERNET                  1
#define LWIP_ARP                       1
#define ARP_TABLE_SIZE                 16
#define ARP_QUEUEING                   1
#define ARP_QUEUE_LEN                  8
#define ETHARP_TABLE_MATCH_NETIF       1
#define IP_FORWARD                     0
#define IP_REASS_MAX_PBUFS             96 /* two datagrams of 64 KiB in Ethernet frames */
#define IP_SOF_BROADCAST               1  /* SO_BROADCAST is asked for on sending, ... */
#define IP_SOF_BROADCAST_RECV          0  /* ... not on receiving, as on Linux */
#define LWIP_ICMP                      1
#define LWIP_BROADCAST_PING            0
#define LWIP_IGMP                      1
#define LWIP_RAW                       0
#define LWIP_DHCP                      1
#define LWIP_DHCP_DOES_ACD_CHECK       0 /* an address at once, not after six seconds of probing */
#define LWIP_DHCP_MAX_DNS_SERVERS      2
#define DHCP_OPTIONS_LEN               96 /* a request's, with a host name of 63 characters */
#define LWIP_NETIF_HOSTNAME            1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NUM_NETIF_CLIENT_DATA     0
#define LWIP_HAVE_LOOPIF               1
#define LWIP_NETIF_LOOPBACK            1
#define LWIP_LOOPBACK_MAX_PBUFS        0
#define LWIP_MULTICAST_TX_OPTIONS      1
/* ip4_output_if(), with a shortcut (shortcut.c). */
struct ip4_addr;
int8_t shortcut_ip4_output(struct pbuf *p, const struct ip4_addr *from, const struct ip4_addr *to,
                           uint8_t ttl, uint8_t tos, uint8_t proto, struct netif *netif);
extern _Bool net_loop_pending; /* there are packets to ourselves (netif.c) */

/* --- IPv6 ------------------------------------------------------------------------------------ */
#define LWIP_IPV6                       1
#define IPV6_FRAG_COPYHEADER            1 /* pointers are larger than a fragment header's fields */
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS   1
#define LWIP_IPV6_NUM_ADDRESSES         4 /* link-local, two prefixes, one to spare */
#define LWIP_ND6_NUM_NEIGHBORS          16
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS  2
#define MEMP_NUM_ND6_QUEUE              16 /* enforced by nd6.c itself, not by the pool */
#define LWIP_IPV6_FORWARD               0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0 /* asked for again each half minute instead */
/* Messages of ICMPv6 and about groups (nd.c). p is freed. Returns ERR_OK or why it was not sent. */
struct ip6_addr;
struct mld_group;
int8_t net_icmp6_send(struct pbuf *p, const struct ip6_addr *from, const struct ip6_addr *to,
                      uint8_t hops, struct netif *netif);
void net_mld_send(struct netif *netif, struct mld_group *group, uint8_t type);

/* --- UDP, DNS -------------------------------------------------------------------------------- */
#define LWIP_UDP             1
#define LWIP_NETBUF_RECVINFO 0
#define LWIP_DNS             1
#define DNS_MAX_SERVERS      4
#define DNS_MAX_NAME_LENGTH  256
#define DNS_MAX_TTL          600 /* what timers.c can catch up on after a long sleep */
#define LWIP_DNS_SECURE      7   /* random ids and ports, no two queries for one name at a time */
#define SO_REUSE             1
#define SO_REUSE_RXTOALL     1 /* multicast reaches every socket that is bound to it */

/* --- TCP ------------------------------------------------------------------------------------- */
/*
 * Window, send buffer and queue length are variables, set once at boot from the size of RAM (core.c)
 * before the first connection: lwIP uses these names in expressions only, but for preprocessor
 * checks in init.c, which is not built.
 */
extern uint32_t net_tcp_window, net_tcp_send_buffer;
extern uint16_t net_tcp_send_queue;
struct tcp_pcb;
uint16_t net_tcp_ooseq_max(const struct tcp_pcb *pcb);
uint32_t net_tcp_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
                     uint16_t remote_port);
/* By the peer's port: the connection that was found last, or NULL (memory.c). */
#define NET_TCP_RECENT 64
extern struct tcp_pcb *net_tcp_recents[NET_TCP_RECENT];
/* Linux gives even ports to who connects. */
#define net_tcp_recent(port) net_tcp_recents[(port) / 2 % NET_TCP_RECENT]
/* Large segments (segment.c). */
struct tcp_seg;
/* The first of count bytes as a large segment's header and data; NULL: an ordinary one it must be. */
struct pbuf *net_segment_new(const struct tcp_pcb *pcb, struct netif *netif, const void *bytes,
                             uint16_t count);
/* Cut seg in two after its first count bytes. Returns ERR_OK or ERR_MEM. */
int8_t net_segment_cut(struct tcp_pcb *pcb, struct tcp_seg *seg, uint16_t count);
/* Cut the first unsent segment to what may be sent to netif and into the window now. The same. */
int8_t net_segment_fit(struct tcp_pcb *pcb, struct netif *netif, uint32_t window);
/* Cut the first unsent segment to a window that has been too small for it for long. The same. */
int8_t net_segment_probe(struct tcp_pcb *pcb);
/* Cut seg to one MSS from what the peer has not acknowledged on. The same. */
int8_t net_segment_first(struct tcp_pcb *pcb, struct tcp_seg *seg);
/* Shorten the segment that the peer has acknowledged in part. Returns by how many bytes. */
uint32_t net_segment_acked(struct tcp_pcb *pcb, uint32_t ackno);
/* Of a TCP segment that the device is to cut up: into pieces of so many bytes; else 0. */
#define LWIP_PBUF_CUSTOM_DATA         uint16_t piece_bytes;
#define LWIP_PBUF_CUSTOM_DATA_INIT(p) (p)->piece_bytes = 0
#define LWIP_TCP                      1
#undef TCP_MSS /* glibc has one, too (host tests) */
#define TCP_MSS                    1460
#define TCP_WND                    net_tcp_window
#define TCP_SND_BUF                net_tcp_send_buffer
#define TCP_SND_QUEUELEN           net_tcp_send_queue
#define TCP_WND_UPDATE_THRESHOLD   (TCP_WND / 4)
#define LWIP_WND_SCALE             1
#define TCP_RCV_SCALE              3 /* windows up to 512 KiB */
#define LWIP_TCP_SACK_OUT          1
#define TCP_QUEUE_OOSEQ            1
#define TCP_OOSEQ_PBUFS_LIMIT(pcb) net_tcp_ooseq_max(pcb)
#define TCP_LISTEN_BACKLOG         1
#define LWIP_TCP_KEEPALIVE         1
/*
 * One tick of the fast timer, two of the slow one: with lwIP's 250 the shortest retransmission timeout
 * would be 1.5 s. 50 gives a delayed ACK within 50 ms and a timeout from 300 ms (Linux: 40, 200).
 * It costs nothing when idle, as the ticks stop.
 */
#define TCP_TMR_INTERVAL  50
#define LWIP_TCP_RTO_TIME 1000  /* RFC 6298, section 2 */
#define NET_TCP_RTO_MAX   600   /* slow ticks: 60 s, the least maximum that it allows */
#define NET_TCP_OOSEQ_MAX 1200  /* slow ticks: 120 s, Linux's longest timeout (TCP_RTO_MAX) */
#define TCP_MSL           30000 /* TIME_WAIT lasts 60 s, as on Linux */
#define LWIP_HOOK_TCP_ISN net_tcp_isn

/* --- Checksums ------------------------------------------------------------------------------- */
/* Which of them, is a matter of each frame (input) and device (output): netif.c. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM                  net_checksum
uint16_t net_checksum(const void *bytes, int count);
uint16_t net_tx_checksum(struct netif *netif, struct pbuf *p, uint8_t proto, const void *src,
                         const void *dst);
/* A mark on a pbuf: the device has to finish the checksum. Unused by lwIP's own flags. */
#define PBUF_FLAG_TX_CHECKSUM                     0x40u
#define LWIP_TX_CHKSUM(netif, p, proto, src, dst) net_tx_checksum(netif, p, proto, src, dst)

/* --- Counters: those that net_status() tells ----------------------------------------------------- */
#define LWIP_STATS       1
#define LWIP_STATS_LARGE 1
#define MEM_STATS        0
#define MEMP_STATS       0
#define SYS_STATS        0
#define LINK_STATS       0
#define ETHARP_STATS     0
#define IPFRAG_STATS     0
#define IGMP_STATS       0
#define IP6_FRAG_STATS   0
#define MLD6_STATS       0
#define ND6_STATS        0
/*
 * What goes well is counted where it happens; what does not, by a call, which is shorter; and what lwIP
 * has besides, not at all: nobody is told.
 */
#define NET_STATS_AT(x)    (offsetof(struct stats_, x) % sizeof(struct stats_proto))
#define NET_STATS_IS(x, y) (NET_STATS_AT(x) == offsetof(struct stats_proto, y))
#define NET_STATS_INC(x)                                                              \
	(NET_STATS_IS(x, xmit) || NET_STATS_IS(x, recv) ? (void)++lwip_stats.x        \
	 : NET_STATS_IS(x, fw) || NET_STATS_IS(x, rterr) || NET_STATS_IS(x, cachehit) \
	     ? (void)0                                                                \
	     : net_count(&lwip_stats.x))
void net_count(uint32_t *counter);

#endif
