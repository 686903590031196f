/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between network devices (pith/netdev.h) and lwIP's network interfaces.
 *
 * Receiving: a device's buffer becomes a pbuf without copying (its struct pbuf_custom lies in the
 * netbuf), and goes back to the device's free list wherever that pbuf is freed. Small frames while many
 * buffers are held, and all frames while the device is short of them, are copied, so that neither a
 * slow reader nor a peer that sends one-byte segments can keep the device's buffers.
 *
 * Sending: a pbuf chain becomes a scatter-gather list; a reference keeps the bytes until the device is
 * done. (lwIP sees the reference and does not retransmit a segment that is still in the ring.) A
 * full ring makes lwIP try again when the device has room.
 *
 * Checksums: lwIP verifies every frame in software but for those whose sum the device vouches for.
 * Sums that the device is to fill in are prepared by net_tx_checksum().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/log.h>
#include "internal.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/ip6.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "lwip/priv/tcp_priv.h"
#include "netif/ethernet.h"

#define RX_BATCH        64  /* frames between two chances for others to take the lock */
#define RX_COPY_BYTES   256 /* up to here, a copy is cheaper than a buffer that is missing */
#define WIRE_BYTES_MIN  60
#define CHECK_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)
#define CHECK_ANY                                                                \
	(CHECK_TRANSPORT | NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_ICMP | \
	 NETIF_CHECKSUM_CHECK_ICMP6)

_Static_assert(sizeof(struct pbuf_custom) <= sizeof(((struct netbuf *)NULL)->stack_priv),
               "a netbuf has room for its pbuf");

struct port *ports;

const char *netif_label(const struct netif *netif)
{
	return port_of(netif) ? port_of(netif)->dev->name : "lo";
}

/* --- Receiving ------------------------------------------------------------------------------- */

/* A pbuf around a device's buffer is freed, in any context that may free memory. */
static void rx_pbuf_freed(struct pbuf *p)
{
	netbuf_free(container_of((uint64_t *)p, struct netbuf, stack_priv[0]));
}

static struct pbuf *wrap(struct netbuf *nb)
{
	struct pbuf_custom *c = (struct pbuf_custom *)nb->stack_priv;

	c->custom_free_function = rx_pbuf_freed;
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)nb->bytes, PBUF_REF, c, nb->data,
	                           (u16_t)nb->bytes);
}

/* The frame's fragments as a chain of pbufs. */
static struct pbuf *wrap_all(struct netbuf *nb, size_t bytes)
{
	struct pbuf *first = NULL, **end = &first;

	while (nb) {
		struct netbuf *next = nb->next;

		*end = wrap(nb);
		(*end)->tot_len = (u16_t)bytes;
		bytes -= nb->bytes;
		end = &(*end)->next;
		nb = next;
	}
	return first;
}

/*
 * In memory for at least the smallest frame that a wire can carry, as lwIP looks at some headers
 * before it checks that they are there.
 */
static struct pbuf *copy_all(struct netdev *dev, struct netbuf *nb, size_t bytes)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)LWIP_MAX(bytes, WIRE_BYTES_MIN), PBUF_RAM);
	uint8_t *to = p ? p->payload : NULL;

	if (p)
		p->len = p->tot_len = (u16_t)bytes;
	else
		dev->stats.rx_dropped++;
	for (struct netbuf *n = nb; n && p; n = n->next, dev->stats.rx_copied++) {
		memcpy(to, n->data, n->bytes);
		to += n->bytes;
	}
	netbuf_free_chain(nb);
	return p;
}

static bool short_of_buffers(const struct netdev *dev)
{
	return dev->rx_buffers - dev->held_count < dev->rx_free_low;
}

/* So many that small frames must not take even more of them. */
static bool many_are_held(const struct netdev *dev)
{
	return dev->held_count > dev->rx_buffers / 8;
}

/*
 * The device vouches for a frame's TCP or UDP checksum. Not believed for a fragment: the sum would be
 * that of the datagram it is a part of.
 */
static bool is_whole_datagram(const struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	const struct ip_hdr *ip = (const void *)(eth + 1);
	const struct ip6_hdr *ip6 = (const void *)(eth + 1);

	if (eth->type == PP_HTONS(ETHTYPE_IP))
		return p->len >= SIZEOF_ETH_HDR + IP_HLEN &&
		       !(IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF));
	return p->len >= SIZEOF_ETH_HDR + IP6_HLEN && eth->type == PP_HTONS(ETHTYPE_IPV6) &&
	       (IP6H_NEXTH(ip6) == IP6_NEXTH_TCP || IP6H_NEXTH(ip6) == IP6_NEXTH_UDP);
}

static void receive(struct port *port, struct netbuf *nb)
{
	struct netdev *dev = port->dev;
	bool vouched = nb->flags & NETBUF_CSUM_OK;
	size_t bytes = 0;
	struct pbuf *p;

	for (const struct netbuf *n = nb; n; n = n->next)
		bytes += n->bytes;
	if (bytes > UINT16_MAX) {
		dev->stats.rx_errors++;
		netbuf_free_chain(nb);
		return;
	}
	if ((bytes <= RX_COPY_BYTES && many_are_held(dev)) || short_of_buffers(dev))
		p = copy_all(dev, nb, bytes);
	else
		p = wrap_all(nb, bytes);
	if (!p)
		return;
	vouched = vouched && is_whole_datagram(p);
	NETIF_SET_CHECKSUM_CTRL(&port->netif, vouched ? NETIF_CHECKSUM_ENABLE_ALL & ~CHECK_TRANSPORT
	                                              : NETIF_CHECKSUM_ENABLE_ALL);
	if (!shortcut_input(p, &port->netif) && port->netif.input(p, &port->netif) != ERR_OK)
		pbuf_free(p);
}

bool net_loop_pending;

/* Packets to ourselves never crossed a wire, and may carry an unfinished checksum. */
static void loop(struct netif *netif)
{
	NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~CHECK_ANY);
	netif_poll(netif);
}

void ports_loop(void)
{
	struct netif *netif = netif_list;

	if (!net_loop_pending)
		return;
	net_loop_pending = false;
	while (netif) {
		if (netif->loop_first) {
			loop(netif);
			netif = netif_list; /* which may have queued more anywhere */
		} else {
			netif = netif->next;
		}
	}
}

/* --- Sending --------------------------------------------------------------------------------- */

/* For the device: where the checksum it must finish starts and belongs. */
static void describe_checksum(const struct pbuf *p, struct netdev_tx *tx)
{
	const struct eth_hdr *eth = p->payload;
	const void *ip = eth + 1;
	uint8_t proto;

	if (eth->type == PP_HTONS(ETHTYPE_IP)) {
		tx->csum_start =
		    (uint16_t)(SIZEOF_ETH_HDR + IPH_HL_BYTES((const struct ip_hdr *)ip));
		proto = IPH_PROTO((const struct ip_hdr *)ip);
	} else {
		tx->csum_start = SIZEOF_ETH_HDR + IP6_HLEN;
		proto = IP6H_NEXTH((const struct ip6_hdr *)ip);
	}
	tx->csum_offset = proto == IP_PROTO_TCP ? offsetof(struct tcp_hdr, chksum)
	                                        : offsetof(struct udp_hdr, chksum);
}

/* For the device: into which pieces it must cut the segment. After describe_checksum(). */
static void describe_pieces(const struct pbuf *p, struct netdev_tx *tx)
{
	const struct eth_hdr *eth = p->payload;
	const struct tcp_hdr *tcp = (const void *)((const char *)eth + tx->csum_start);

	tx->gso_bytes = p->piece_bytes;
	tx->gso_ipv6 = eth->type == PP_HTONS(ETHTYPE_IPV6);
	tx->header_bytes = tx->csum_start + TCPH_HDRLEN_BYTES(tcp);
}

/* p's pieces, for the device. False: there are too many. */
static bool gather(const struct pbuf *p, struct netdev_frag frags[NETDEV_MAX_FRAGS],
                   struct netdev_tx *tx)
{
	for (; p; p = p->next) {
		if (!p->len)
			continue;
		if (tx->frag_count == NETDEV_MAX_FRAGS)
			return false;
		frags[tx->frag_count++] = (struct netdev_frag){p->payload, p->len};
	}
	return true;
}

/* In one piece. */
static err_t transmit_copy(struct netif *netif, struct pbuf *p)
{
	struct pbuf *flat = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	err_t err;

	if (!flat)
		return ERR_MEM;
	err = netif->linkoutput(netif, flat);
	pbuf_free(flat);
	return err;
}

/* In front of what is nobody else's, no other device's either. */
static uint8_t headroom(const struct pbuf *p)
{
	return (uint8_t)(p->ref == 1 ? LWIP_MIN(pbuf_headroom(p), UINT8_MAX) : 0);
}

/* netif->linkoutput: a whole Ethernet frame. */
static err_t transmit(struct netif *netif, struct pbuf *p)
{
	struct netdev_frag frags[NETDEV_MAX_FRAGS];
	struct netdev_tx tx = {.frags = frags, .cookie = p, .headroom_bytes = headroom(p)};
	struct port *port = port_of(netif);
	int r;

	if (!gather(p, frags, &tx))
		return transmit_copy(netif, p);
	if (p->flags & PBUF_FLAG_TX_CHECKSUM)
		describe_checksum(p, &tx);
	if (p->piece_bytes)
		describe_pieces(p, &tx);
	pbuf_ref(p);
	r = port->dev->ops->transmit(port->dev, &tx);
	if (r == 0) {
		net_tx_pending = true;
		return ERR_OK;
	}
	pbuf_free(p);
	if (r == -ENOBUFS)
		port->tx_full = true;
	return r == -ENOBUFS ? ERR_MEM : r == -EMSGSIZE ? ERR_VAL : ERR_IF;
}

static void transmit_done(struct netdev *dev, void *cookie)
{
	(void)dev;
	pbuf_free(cookie);
}

/* The device has room again: connections with something to send, then everybody else. */
static void resume_output(struct port *port)
{
	struct tcp_pcb *next;

	port->tx_full = false;
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb && !port->tx_full; pcb = next) {
		next = pcb->next;
		if (pcb->unsent)
			tcp_output(pcb);
	}
	if (!port->tx_full)
		udp_room();
}

void ports_flush(void)
{
	for (struct port *p = ports; p; p = p->next)
		p->dev->ops->flush(p->dev);
}

bool ports_writable(void)
{
	for (struct port *p = ports; p; p = p->next) {
		if (p->tx_full)
			return false;
	}
	return true;
}

/* --- The net thread's turn ----------------------------------------------------------------------- */

/* The device broke its rules, and is lost: so are its addresses, and the connections from them. */
static void take_down(struct port *port)
{
	klog("%s: device failed, interface is down", port->dev->name);
	net_abort_error = -ENETDOWN;
	netif_set_link_down(&port->netif);
	netif_set_addr(&port->netif, NULL, NULL, NULL);
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		netif_ip6_addr_set_state(&port->netif, (s8_t)i, IP6_ADDR_INVALID);
	netif_set_down(&port->netif);
	net_abort_error = -ETIMEDOUT;
	port->dev->ops->reap(port->dev);
	port->tx_full = false;
	udp_room();
}

static void follow_link(struct port *port)
{
	bool up = port->dev->link_up && !port->dev->broken;

	if (port->dev->broken && netif_is_up(&port->netif))
		take_down(port);
	if (up == netif_is_link_up(&port->netif))
		return;
	klog("%s: link %s", port->dev->name, up ? "up" : "down");
	if (up)
		netif_set_link_up(&port->netif);
	else
		netif_set_link_down(&port->netif);
}

bool port_service(struct port *port)
{
	struct netdev *dev = port->dev;
	struct netbuf *nb;
	int count = 0;

	dev->ops->reap(dev); /* first: lwIP does not touch a segment that the device may have */
	if (dev->forwarder && dev->forwarder->resume(dev))
		net_tx_pending = true;
	while (count < RX_BATCH && (nb = dev->ops->receive(dev)) != NULL) {
		if (!timers_alert)
			timers_activity();
		if (dev->forwarder && dev->forwarder->claim(dev, nb))
			net_tx_pending = true;
		else
			receive(port, nb);
		count++;
	}
	if (dev->free_count)
		dev->ops->refill(dev);
	if (port->tx_full)
		resume_output(port);
	follow_link(port);
	return count == RX_BATCH;
}

bool port_arm(struct port *port)
{
	return port->dev->ops->arm(port->dev);
}

/* --- Setting up ------------------------------------------------------------------------------ */

static err_t port_netif_init(struct netif *netif)
{
	struct netdev *dev = port_of(netif)->dev;

	netif->name[0] = 'n';
	netif->name[1] = 't';
	netif->output = shortcut_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = transmit;
	netif->mtu = dev->mtu;
	netif->mtu6 = dev->mtu;
	netif->hwaddr_len = sizeof(dev->mac);
	memcpy(netif->hwaddr, dev->mac, sizeof(dev->mac));
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
	               NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	if (ip_config.hostname[0])
		netif_set_hostname(netif, ip_config.hostname);
	return ERR_OK;
}

static int port_add(struct netdev *dev, struct port **end)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	port->dev = dev;
	dev->transmit_done = transmit_done;
	dev->stack = port;
	if (!netif_add(&port->netif, NULL, NULL, NULL, port, port_netif_init, ethernet_input)) {
		free(port);
		return -ENOMEM;
	}
	*end = port;
	return 0;
}

/* IPv4 as bootarg ip= says; IPv6 link-local and by router advertisements. */
static void port_configure(struct port *port)
{
	const struct ip_config *c = &ip_config;
	struct netif *netif = &port->netif;

	if (net_has_ipv6) {
		netif_create_ip6_linklocal_address(netif, 1);
		netif_set_ip6_autoconfig_enabled(netif, 1);
	}
	netif_set_up(netif);
	if (port->dev->link_up)
		netif_set_link_up(netif);
	if (c->device[0] && strcmp(c->device, port->dev->name) != 0)
		return;
	if (c->mode == IP_CONFIG_DHCP)
		dhcp_start(netif);
	else if (c->mode == IP_CONFIG_STATIC && (c->device[0] || port == ports))
		netif_set_addr(netif, &(ip4_addr_t){c->client}, &(ip4_addr_t){c->netmask},
		               &(ip4_addr_t){c->gateway});
}

int ports_init(void)
{
	struct port **end = &ports;

	for (struct netdev *dev = netdev_first(); dev; dev = dev->next) {
		int r = port_add(dev, end);

		if (r < 0)
			return r;
		end = &(*end)->next;
	}
	if (ports)
		netif_set_default(&ports->netif);
	for (struct port *p = ports; p; p = p->next)
		port_configure(p);
	return 0;
}
