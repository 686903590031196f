/* SPDX-License-Identifier: Apache-2.0 */
/* The bootarg ip= (internal.h). */
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include "config.h"

#define FIELDS 9 /* client server gateway netmask hostname device autoconf dns0 dns1 */

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
	/* The first four ask for DHCP. */
	static const char words[][5] = {"dhcp", "on", "any", "both", "off", "none"};

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			c->mode = i < 4 ? IP_CONFIG_DHCP : IP_CONFIG_OFF;
			return 0;
		}
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

static int parse_field(int number, const char *text, size_t bytes, struct ip_config *c)
{
	switch (number) {
	case 4:
		memcpy(c->hostname, text, bytes + 1);
		return 0;
	case 5:
		if (bytes >= sizeof(c->device))
			return -EINVAL;
		memcpy(c->device, text, bytes + 1);
		return 0;
	case 6:
		return parse_mode(text, c);
	}
	return parse_address(text, &c->addresses[number]);
}

/* Field by field; one that is alone is the word for autoconf. */
static int parse(const char *arg, struct ip_config *c)
{
	char text[sizeof(c->hostname)];
	size_t bytes;
	int r = 0;

	for (int i = 0; r == 0; i++, arg += bytes + 1) {
		bytes = strcspn(arg, ":");
		if (i == FIELDS || bytes >= sizeof(text))
			return -EINVAL;
		memcpy(text, arg, bytes);
		text[bytes] = '\0';
		if (i == 0 && !arg[bytes] && parse_mode(text, c) == 0)
			return 0;
		r = parse_field(i, text, bytes, c);
		if (!arg[bytes])
			break;
	}
	if (r < 0 || !c->client)
		return r;
	c->mode = IP_CONFIG_STATIC;
	if (!c->netmask)
		c->netmask = default_netmask(c->client);
	return is_netmask(c->netmask) ? 0 : -EINVAL;
}

int ip_config_parse(const char *arg, struct ip_config *config)
{
	int r;

	*config = (struct ip_config){.mode = IP_CONFIG_DHCP};
	if (!arg || !arg[0])
		return 0;
	r = parse(arg, config);
	if (r < 0)
		*config = (struct ip_config){.mode = IP_CONFIG_DHCP};
	return r;
}
