/* SPDX-License-Identifier: Apache-2.0 */
/* The bootarg ip=. */
#ifndef NET_CONFIG_H
#define NET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct ip_config {
	enum { IP_CONFIG_OFF, IP_CONFIG_DHCP, IP_CONFIG_STATIC } mode;
	/* By the number of the field in ip=; network byte order; 0: not given. */
	union {
		uint32_t addresses[9];
		struct {
			uint32_t client, server, gateway, netmask, others[3], dns[2];
		};
	};
	char hostname[64];
	char device[16]; /* "": any */
};
/*
 * ip= in Linux's syntax (Documentation/admin-guide/nfs/nfsroot.rst):
 * <client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>:<dns0>:<dns1>, or one word of
 * off, none, on, any, dhcp. NULL or "": DHCP.
 * Returns 0; -EINVAL: cannot be understood (config is then DHCP)
 */
int ip_config_parse(const char *arg, struct ip_config *config);

#endif
