/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of net/ share: the core lock, the network interfaces, timers, addresses.
 *
 * "Under the lock" means that the caller holds net_lock() (pith/net.h). Callbacks from lwIP always
 * run under it.
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <pith/net.h>
#include <pith/netdev.h>
#include <pith/thread.h>
#include "config.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

/* False for an app that omits IPv6: net/without_ipv6.c instead of net/ipv6.c. */
extern const bool net_has_ipv6;
/*
 * The interface with an address or, if or_prefix, with one given by hand that has the same prefix: only
 * this one or, if that is NULL, any that can send. NULL: none has.
 */
struct netif *net_ip6_netif_with(const ip6_addr_t *address, bool or_prefix,
                                 const struct netif *only);
static inline bool net_can_send(const struct netif *netif)
{
	return netif_is_up(netif) && netif_is_link_up(netif);
}

/* In probes_sent of a neighbour that did not answer, though it is a router: nothing is due. */
#define ND6_GAVE_UP UINT32_MAX

/* --- core.c ---------------------------------------------------------------------------------- */

/* Frames are queued at a device that has not been told. */
extern bool net_tx_pending;

/* Wake everyone in net_wait_up(): an address came or went. Under the lock. */
void net_changed(void);
/* lwIP's error as a negative errno. */
int net_errno(err_t err);
/* What a connection that lwIP aborts reports: -ETIMEDOUT, or -ENETDOWN while a device is going. */
extern int net_abort_error;

/* --- netif.c --------------------------------------------------------------------------------- */

/* One network interface: lwIP's side and the device's. */
struct port {
	struct netif netif;
	struct netdev *dev;
	uint8_t rx_checks; /* NETIF_CHECKSUM_CHECK_*: of the frame being received */
	bool tx_full;      /* the device's ring refused a frame */
	struct port *next;
};
extern struct port *ports;

/* Take all devices over. Under the lock. Returns 0 or -ENOMEM. */
int ports_init(void);
/*
 * Receive, at most a batch; collect what was sent; give buffers back. Under the lock, net thread.
 * Returns true if there may be more.
 */
bool port_service(struct port *p);
/* Interrupts on again. Returns true if something came meanwhile. */
bool port_arm(struct port *p);
/* Tell the devices about queued frames. Under the lock. */
void ports_flush(void);
/* No device has refused a frame since it last took one. Under the lock. */
bool ports_writable(void);
/* NULL: the loopback interface */
static inline struct port *port_of(const struct netif *netif)
{
	return netif->state;
}
/* Our name of an interface, "lo" or the device's. */
const char *netif_label(const struct netif *netif);
/* How many bytes there are in front of p's, where they are. */
static inline size_t pbuf_headroom(const struct pbuf *p)
{
	bool contiguous = p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS;

	return contiguous ? (size_t)((char *)p->payload - (char *)(p + 1)) : 0;
}
/* Deliver packets to ourselves. Under the lock. */
void ports_loop(void);
extern struct ip_config ip_config;

/* --- shortcut.c ------------------------------------------------------------------------------ */

/* A received frame: true if it was a usual packet and has been dealt with. Under the lock. */
bool shortcut_input(struct pbuf *p, struct netif *netif);
/* netif->output: an IPv4 packet, to whatever neighbour. Under the lock. */
err_t shortcut_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to);

/* --- predict.c ------------------------------------------------------------------------------- */

struct ip_hdr;
/* A TCP segment, from its header on: true if it was a usual one and has been dealt with. Under the lock. */
bool predicted_input(struct pbuf *p, struct netif *netif, const struct ip_hdr *ip);

/* --- socket_udp.c ------------------------------------------------------------------------------ */

/* A device takes frames again: wake who found it full. Under the lock. */
void udp_room(void);
extern unsigned int socket_count;
extern uint32_t udp_overflows;

/* --- timers.c -------------------------------------------------------------------------------- */

/* A module of lwIP's that wants to be called at intervals. */
struct timed {
	uint32_t interval_ms;
	void (*run)(void); /* lwIP's */
	/*
	 * Let so many intervals pass, in which nothing is due. Returns in how many from then on run() has
	 * something to do: at least 1; TIMER_NEVER.
	 */
	uint32_t (*pass)(uint32_t intervals);
};
#define TIMER_NEVER UINT32_MAX

/* Set while a look at all timers is due anyway; else net_lock() calls timers_activity(). */
extern bool timers_alert;
extern uint32_t timers_wakeups;
void timers_init(void);
/* One more module, if it is not known yet; at most TIMERS_LATER. Under the lock. */
void timers_add(const struct timed *module);
#define TIMERS_LATER 2
/*
 * What is left of a counter that runs down to 0, when something is due, after so many intervals in which
 * nothing is. One of 0 or infinite (IP6_ADDR_LIFE_INFINITE) stands still.
 */
uint32_t timer_run_down(uint32_t counter, uint32_t intervals);
/* The sooner of what is due and such a counter. */
static inline uint32_t timer_sooner(uint32_t due, uint32_t counter)
{
	return counter ? LWIP_MIN(due, counter) : due;
}
/* Something may happen in the stack now: catch up with the time, and look soon. Under the lock. */
void timers_activity(void);
/* Run what is due. Under the lock, net thread. */
void timers_run(void);

/* --- arp.c ----------------------------------------------------------------------------------- */

struct eth_addr;
/*
 * The Ethernet address of the next hop to an address, if it is the one that was last sent to and
 * nothing need be done about it; else NULL: ask etharp_output().
 */
const struct eth_addr *arp_neighbour(struct netif *netif, const ip4_addr_t *to);
uint32_t arp_pass(uint32_t intervals);

/* --- memory.c -------------------------------------------------------------------------------- */

/* Limits for this much RAM. Once, before lwIP's first allocation. */
void memory_init(size_t ram_bytes);
/* Datagrams of IPv4 and IPv6 that are being put together. */
bool memory_reassembling(bool ipv6);
void memory_status(struct net_status *status);

/* --- random.c -------------------------------------------------------------------------------- */

void random_init(void);

#endif
