/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack's core: its lock, its thread, its start, its sizes.
 *
 * All of lwIP runs under one mutex with priority inheritance. Apps' calls run in their own threads;
 * the net thread brings what the devices received and what the timers have due, without a message
 * passed between threads anywhere.
 */
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include <pith/bootargs.h>
#include <pith/init.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include "internal.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/ip6_addr.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/udp.h"
#include "lwip/mld6.h"
#include "lwip/igmp.h"

/* --- The lock -------------------------------------------------------------------------------- */

struct mutex net_core = MUTEX_INIT(net_core);
bool net_tx_pending;
int net_abort_error = -ETIMEDOUT;

static void finish(void)
{
	ports_loop();
	if (net_tx_pending) {
		net_tx_pending = false;
		ports_flush();
	}
}

void net_lock(void)
{
	mutex_lock(&net_core);
	if (!timers_alert)
		timers_activity();
}

void net_unlock(void)
{
	finish();
	mutex_unlock(&net_core);
}

/* --- The thread ------------------------------------------------------------------------------ */

/* Returns true if there may be more to do at once. */
static bool serve(void)
{
	bool more = false;

	mutex_lock(
	    &net_core); /* not net_lock(): waking up for a timer must not order another look */
	timers_run();
	for (struct port *p = ports; p; p = p->next)
		more |= port_service(p);
	finish();
	for (struct port *p = ports; p && !more; p = p->next)
		more |= port_arm(p);
	mutex_unlock(&net_core);
	return more;
}

static void *net_thread(void *arg)
{
	for (;;) {
		netdev_wait(TIME_FOREVER);
		while (serve())
			;
	}
	return arg;
}

/* --- Is there an address? ------------------------------------------------------------------------ */

static struct waitq up_waiters = WAITQ_INIT(up_waiters);

void net_changed(void)
{
	waitq_wake_all(&up_waiters);
}

static bool netif_has_address(const struct netif *netif)
{
	if (!ip4_addr_isany_val(*netif_ip4_addr(netif)))
		return true;
	for (int i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
			return true;
	}
	return false;
}

static bool is_up(void)
{
	for (struct port *p = ports; p; p = p->next) {
		if (netif_is_link_up(&p->netif) && netif_has_address(&p->netif))
			return true;
	}
	return false;
}

int net_wait_up(uint64_t deadline_ns)
{
	unsigned long flags;
	int r = 0;

	if (!ports)
		return -ENODEV;
	flags = irq_save();
	while (r == 0 && !is_up())
		r = waitq_wait(&up_waiters, deadline_ns);
	irq_restore_quiet(flags);
	return r;
}

static const char *address_origin(const struct netif *netif)
{
	return dhcp_supplied_address(netif)         ? "DHCP"
	       : ip_config.mode == IP_CONFIG_STATIC ? "bootargs"
	                                            : "the app";
}

static void log_ip4(const struct port *port)
{
	const struct netif *netif = &port->netif;
	char address[16], gateway[16];
	unsigned int bits = (unsigned int)__builtin_popcount(netif_ip4_netmask(netif)->addr);

	if (ip4_addr_isany_val(*netif_ip4_addr(netif))) {
		klog("%s: no IPv4 address", port->dev->name);
		return;
	}
	inet_ntop(AF_INET, netif_ip4_addr(netif), address, sizeof(address));
	inet_ntop(AF_INET, netif_ip4_gw(netif), gateway, sizeof(gateway));
	klog("%s: address %s/%u by %s, gateway %s", port->dev->name, address, bits,
	     address_origin(netif), gateway);
}

static void log_ip6(const struct port *port, int index)
{
	char address[46];

	if (!ip6_addr_ispreferred(netif_ip6_addr_state(&port->netif, index)))
		return;
	inet_ntop(AF_INET6, netif_ip6_addr(&port->netif, index)->addr, address, sizeof(address));
	klog("%s: address %s", port->dev->name, address);
}

static void netif_changed(struct netif *netif, netif_nsc_reason_t reason,
                          const netif_ext_callback_args_t *args)
{
	const struct port *port = port_of(netif);

	if (!port)
		return;
	if (reason & LWIP_NSC_IPV4_ADDRESS_CHANGED)
		log_ip4(port);
	if (reason & LWIP_NSC_IPV6_ADDR_STATE_CHANGED)
		log_ip6(port, args->ipv6_addr_state_changed.addr_index);
	net_changed();
}

/* --- Sizes ----------------------------------------------------------------------------------- */

uint32_t net_tcp_window, net_tcp_send_buffer;
uint16_t net_tcp_send_queue;

#define RAM_PER_CONNECTION (112 * 1024)
#define CONNECTIONS_MIN    16
#define CONNECTIONS_MAX    1000 /* there are no more descriptors: FD_SETSIZE is 1024 */
/* All connections' windows and send buffers together may take as much as the stack's cap allows. */
#define RAM_PER_WINDOW 2048
#define WINDOW_MIN     (4 * TCP_MSS)
#define WINDOW_MAX     (256 * 1024)

unsigned int net_connections_max(size_t ram_bytes)
{
	size_t count = ram_bytes / RAM_PER_CONNECTION;

	return (unsigned int)LWIP_MIN(LWIP_MAX(count, CONNECTIONS_MIN), CONNECTIONS_MAX);
}

static void set_sizes(size_t ram_bytes)
{
	size_t window = LWIP_MIN(LWIP_MAX(ram_bytes / RAM_PER_WINDOW, WINDOW_MIN), WINDOW_MAX);

	net_tcp_window = net_tcp_send_buffer = (uint32_t)window;
	net_tcp_send_queue = (uint16_t)(4 * window / TCP_MSS);
}

/* Segments after a lost one, each of which takes a buffer however short it is. */
uint16_t net_tcp_ooseq_max(const struct tcp_pcb *pcb)
{
	(void)pcb;
	return (uint16_t)(2 * net_tcp_window / TCP_MSS + 8);
}

__attribute__((noinline)) void net_count(uint32_t *counter)
{
	++*counter;
}

/* --- Start ----------------------------------------------------------------------------------- */

struct ip_config ip_config;

/* As lwIP's lwip_init(), which would also check sizes that are not constants here. */
static void stack_init(void)
{
	stats_init();
	netif_init();
	udp_init();
	tcp_init();
	igmp_init();
	dns_init();
}

static void set_dns_servers(void)
{
	u8_t count = 0;

	for (unsigned int i = 0; i < LWIP_ARRAYSIZE(ip_config.dns); i++) {
		ip_addr_t server = IPADDR4_INIT(ip_config.dns[i]);

		if (ip_config.dns[i])
			dns_setserver(count++, &server);
	}
}

/* The name to ask for addresses by: of ip=, or the device's own (pith/config.h). */
static void set_hostname(void)
{
	const char *name = bootarg("hostname");
	size_t bytes = name ? strlen(name) + 1 : 0;

	if (name && !ip_config.hostname[0] && bytes <= sizeof(ip_config.hostname))
		memcpy(ip_config.hostname, name, bytes);
}

static int net_init(void)
{
	static netif_ext_callback_t callback;
	struct memory_info memory;
	struct thread *thread;
	int r;

	memory_info(&memory);
	memory_init(memory.total_bytes);
	set_sizes(memory.total_bytes);
	if (ip_config_parse(bootarg("ip"), &ip_config) < 0)
		klog("net: bootarg ip=%s not understood, using DHCP", bootarg("ip"));
	set_hostname();
	random_init();

	mutex_lock(&net_core);
	timers_init();
	stack_init();
	netif_add_ext_callback(&callback, netif_changed);
	r = ports_init();
	set_dns_servers();
	net_unlock();
	if (r < 0)
		return r;

	thread = thread_create("net", PRIO_NET, 0, net_thread, NULL);
	if (!thread)
		return -ENOMEM;
	thread_detach(thread);
	netdev_kick(); /* a first turn, which also turns the devices' interrupts on */
	return 0;
}
INIT(net_init);

/* --- Errors ---------------------------------------------------------------------------------- */

int net_errno(err_t err)
{
	static const uint8_t numbers[] = {
	    [-ERR_OK] = 0,
	    [-ERR_MEM] = ENOBUFS,
	    [-ERR_BUF] = ENOBUFS,
	    [-ERR_TIMEOUT] = ETIMEDOUT,
	    [-ERR_RTE] = ENETUNREACH,
	    [-ERR_INPROGRESS] = EINPROGRESS,
	    [-ERR_VAL] = EINVAL,
	    [-ERR_WOULDBLOCK] = EAGAIN,
	    [-ERR_USE] = EADDRINUSE,
	    [-ERR_ALREADY] = EALREADY,
	    [-ERR_ISCONN] = EISCONN,
	    [-ERR_CONN] = ENOTCONN,
	    [-ERR_IF] = ENETDOWN,
	    [-ERR_ABRT] = ECONNABORTED,
	    [-ERR_RST] = ECONNRESET,
	    [-ERR_CLSD] = EPIPE,
	    [-ERR_ARG] = EINVAL,
	};

	return -(int)numbers[-err];
}
