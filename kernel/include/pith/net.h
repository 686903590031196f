/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network beyond sockets: is there an address, how is it doing, and the raw API.
 *
 * Apps use BSD sockets (sys/socket.h). main() starts at once, without waiting for an address: servers
 * that bind to any address simply start to be reachable; who needs an address first calls
 * net_wait_up().
 *
 * The raw API: an app that wants the last cycle includes lwip/tcp.h, lwip/udp.h, ... (which are in
 * its path with the feature `net`) and calls lwIP itself, in any thread, between net_lock() and
 * net_unlock(). lwIP's callbacks come with the lock held, in the network thread or in another app
 * thread that is in a socket call: they must not block, and must not call sockets or net_lock().
 */
#ifndef PITH_NET_H
#define PITH_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <pith/netdev.h>

/*
 * The lock around lwIP, a mutex with priority inheritance. net_unlock() also sends what was queued.
 * Threads only. Do not hold it for long: nothing is received meanwhile.
 */
void net_lock(void);
void net_unlock(void);

/*
 * Wait until an interface has an IPv4 address, or an IPv6 one beyond link-local.
 *
 * Blocks   yes (thread only), until deadline_ns
 * Returns  0; -ETIMEDOUT; -ENODEV there is no network device
 */
int net_wait_up(uint64_t deadline_ns);

/* How many connections this much RAM is good for: 500 from 64 MiB on (at most 1000), fewer below. */
unsigned int net_connections_max(size_t ram_bytes);

/* Elements of one kind: now, most ever, and how many times one was refused. */
struct net_pool_status {
	uint32_t used, used_max, refused;
};

#define NET_ADDRESSES_MAX 5
struct net_interface_status {
	char name[16]; /* "eth0" */
	uint8_t mac[6];
	uint16_t mtu;
	bool link_up, broken;
	/* "off", "static", "asking", "bound", "renewing", "rebinding", "none" (no device answers) */
	const char *dhcp;
	uint32_t dhcp_lease_s; /* of the lease held, 0 if none */
	unsigned int address_count;
	struct {
		char text[46]; /* "10.0.2.15", "fe80::5054:ff:fe12:3456" */
		uint8_t prefix_bits;
		bool tentative; /* not yet to be used (RFC 4862) */
	} address[NET_ADDRESSES_MAX];
	char gateway[46]; /* IPv4's; "" if none */
	char gateway6[46];
	unsigned int rx_buffers, rx_buffers_held, rx_buffers_free;
	struct netdev_stats device;
};

#define NET_INTERFACES_MAX 4
#define NET_DNS_MAX        4
struct net_status {
	unsigned int interface_count;
	struct net_interface_status interface[NET_INTERFACES_MAX];
	unsigned int dns_count;
	char dns[NET_DNS_MAX][46];
	char hostname[64];
	/* lwIP's memory: its cap, now, most ever (bytes); times it was refused. */
	size_t memory_cap_bytes, memory_used_bytes, memory_used_max_bytes;
	uint64_t memory_refused;
	unsigned int memory_reserve_used; /* small objects now in use beside those bytes */
	unsigned int connections_max;
	struct net_pool_status tcp_pcbs, tcp_listeners, tcp_segments, udp_pcbs, pbufs;
	struct net_pool_status reassemblies, reassemblies6;
	unsigned int sockets;
	/* Frames or packets: received, sent, dropped, bad checksum, bad otherwise, no memory. */
	struct net_protocol_status {
		uint32_t received, sent, dropped, bad_checksum, bad, no_memory;
	} ip4, ip6, icmp4, icmp6, udp, tcp;
	uint32_t udp_overflows; /* datagrams dropped as their socket's buffer was full */
	uint32_t timer_wakeups; /* of the stack, since boot */
};
void net_status(struct net_status *status);

#endif
