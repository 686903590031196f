/* SPDX-License-Identifier: Apache-2.0 */
/* The bootarg ip= (internal.h). */
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include "config.h"

#define FIELDS 9 /* client server gateway netmask hostname device autoconf dns0 dns1 */

/* Split at colons, into copies of their own. Returns how many, or -EINVAL. */
static int split(const char *arg, char fields[FIELDS][64])
{
	int count = 0;

	for (;;) {
		size_t bytes = strcspn(arg, ":");

		if (count == FIELDS || bytes >= sizeof(fields[0]))
			return -EINVAL;
		memcpy(fields[count], arg, bytes);
		fields[count++][bytes] = '\0';
		if (!arg[bytes])
			return count;
		arg += bytes + 1;
	}
}

/* "" leaves the address as it is. */
static int parse_address(const char *text, uint32_t *address)
{
	if (!text[0])
		return 0;
	return inet_pton(AF_INET, text, address) == 1 ? 0 : -EINVAL;
}

/* The words for autoconf; "" says nothing. */
static int parse_mode(const char *word, struct ip_config *c)
{
	static const char *const dhcp[] = {"dhcp", "on", "any", "both", NULL};
	static const char *const off[] = {"off", "none", NULL};

	for (int i = 0; dhcp[i]; i++) {
		if (strcmp(word, dhcp[i]) == 0)
			return c->mode = IP_CONFIG_DHCP, 0;
	}
	for (int i = 0; off[i]; i++) {
		if (strcmp(word, off[i]) == 0)
			return c->mode = IP_CONFIG_OFF, 0;
	}
	return word[0] ? -EINVAL : 0;
}

/* The mask of the address's class, as Linux assumes if there is none. */
static uint32_t default_netmask(uint32_t address)
{
	uint32_t a = ntohl(address);

	return htonl(a >> 31 == 0 ? 0xff000000 : a >> 30 == 2 ? 0xffff0000 : 0xffffff00);
}

/* Ones, then zeros. */
static bool is_netmask(uint32_t mask)
{
	uint32_t zeros = ~ntohl(mask);

	return (zeros & (zeros + 1)) == 0;
}

static int parse_fields(char f[FIELDS][64], struct ip_config *c)
{
	uint32_t server = 0; /* of NFS: checked, not used */

	if (parse_address(f[0], &c->client) || parse_address(f[1], &server) ||
	    parse_address(f[2], &c->gateway) || parse_address(f[3], &c->netmask) ||
	    parse_mode(f[6], c) || parse_address(f[7], &c->dns[0]) ||
	    parse_address(f[8], &c->dns[1]) || strlen(f[5]) >= sizeof(c->device))
		return -EINVAL;
	strcpy(c->hostname, f[4]);
	strcpy(c->device, f[5]);
	if (!c->client)
		return 0;
	c->mode = IP_CONFIG_STATIC;
	if (!c->netmask)
		c->netmask = default_netmask(c->client);
	return is_netmask(c->netmask) ? 0 : -EINVAL;
}

int ip_config_parse(const char *arg, struct ip_config *config)
{
	char fields[FIELDS][64] = {""};
	int count, r;

	memset(config, 0, sizeof(*config));
	config->mode = IP_CONFIG_DHCP;
	if (!arg || !arg[0])
		return 0;
	count = split(arg, fields);
	if (count < 0)
		r = count;
	else if (count == 1 && parse_mode(fields[0], config) == 0)
		return 0;
	else
		r = parse_fields(fields, config);
	if (r < 0) {
		memset(config, 0, sizeof(*config));
		config->mode = IP_CONFIG_DHCP;
	}
	return r;
}
