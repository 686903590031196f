/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces as an app may ask for them: by name, by number, with their addresses. */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <netinet/in.h>
#include "internal.h"

unsigned int if_nametoindex(const char *name)
{
	unsigned int index = 0;
	struct netif *netif;

	net_lock();
	NETIF_FOREACH(netif)
	{
		if (strcmp(netif_label(netif), name) == 0)
			index = netif_get_index(netif);
	}
	net_unlock();
	if (!index)
		errno = ENODEV;
	return index;
}

char *if_indextoname(unsigned int index, char *name)
{
	struct netif *netif;

	net_lock();
	netif = index <= UINT8_MAX ? netif_get_by_index((u8_t)index) : NULL;
	if (netif)
		strcpy(name, netif_label(netif));
	net_unlock();
	if (netif)
		return name;
	errno = ENXIO;
	return NULL;
}

struct if_nameindex *if_nameindex(void)
{
	struct named {
		struct if_nameindex entry[NET_INTERFACES_MAX + 2]; /* with lo and the end */
		char name[NET_INTERFACES_MAX + 1][IF_NAMESIZE];
	} *all = calloc(1, sizeof(*all));
	unsigned int count = 0;
	struct netif *netif;

	if (!all) {
		errno = ENOBUFS;
		return NULL;
	}
	net_lock();
	NETIF_FOREACH(netif)
	{
		if (count > NET_INTERFACES_MAX)
			break;
		strcpy(all->name[count], netif_label(netif));
		all->entry[count].if_index = netif_get_index(netif);
		all->entry[count].if_name = all->name[count];
		count++;
	}
	net_unlock();
	return all->entry;
}

void if_freenameindex(struct if_nameindex *list)
{
	free(list);
}

/* --- getifaddrs() ----------------------------------------------------------------------------- */

/* One entry, in one piece of memory. */
struct entry {
	struct ifaddrs head;
	union address {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address, netmask, broadcast;
	char name[IF_NAMESIZE];
};

static struct entry *make_entry(const struct netif *netif)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	strcpy(e->name, netif_label(netif));
	e->head.ifa_name = e->name;
	e->head.ifa_addr = &e->address.any;
	e->head.ifa_netmask = &e->netmask.any;
	e->head.ifa_flags = (netif_is_up(netif) ? IFF_UP : 0) |
	                    (netif_is_link_up(netif) ? IFF_RUNNING : 0) |
	                    (port_of(netif) ? IFF_BROADCAST | IFF_MULTICAST : IFF_LOOPBACK);
	return e;
}

static void set4(union address *to, uint32_t address)
{
	to->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = address};
}

static struct entry *entry4(const struct netif *netif)
{
	uint32_t address = netif_ip4_addr(netif)->addr, netmask = netif_ip4_netmask(netif)->addr;
	struct entry *e = make_entry(netif);

	if (!e)
		return NULL;
	set4(&e->address, address);
	set4(&e->netmask, netmask);
	if (e->head.ifa_flags & IFF_BROADCAST) {
		set4(&e->broadcast, address | ~netmask);
		e->head.ifa_broadaddr = &e->broadcast.any;
	}
	return e;
}

static struct entry *entry6(const struct netif *netif, int index)
{
	const ip6_addr_t *ip = netif_ip6_addr(netif, index);
	struct entry *e = make_entry(netif);

	if (!e)
		return NULL;
	e->address.in6 =
	    (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_scope_id = ip6_addr_zone(ip)};
	memcpy(&e->address.in6.sin6_addr, ip->addr, 16);
	e->netmask.in6.sin6_family = AF_INET6;
	memset(&e->netmask.in6.sin6_addr, 0xff, ip6_addr_isloopback(ip) ? 16 : 8);
	return e;
}

/* Append; NULL is remembered as a failure. */
static bool append(struct ifaddrs ***end, struct entry *e)
{
	if (!e)
		return false;
	**end = &e->head;
	*end = &e->head.ifa_next;
	return true;
}

static bool append_all(struct ifaddrs **end)
{
	struct netif *netif;
	bool ok = true;

	NETIF_FOREACH(netif)
	{
		if (!ip4_addr_isany(netif_ip4_addr(netif)))
			ok = ok && append(&end, entry4(netif));
		for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
			if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
				ok = ok && append(&end, entry6(netif, i));
		}
	}
	return ok;
}

int getifaddrs(struct ifaddrs **list)
{
	bool ok;

	*list = NULL;
	net_lock();
	ok = append_all(list);
	net_unlock();
	if (ok)
		return 0;
	freeifaddrs(*list);
	*list = NULL;
	errno = ENOMEM;
	return -1;
}

void freeifaddrs(struct ifaddrs *list)
{
	while (list) {
		struct ifaddrs *next = list->ifa_next;

		free(list);
		list = next;
	}
}
