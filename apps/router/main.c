/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A router between two networks (docs/router.md): reads what is configured, starts forwarding, and
 * says at http://<its address>/ what it has done.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <pith/entropy.h>
#include <pith/http.h>
#include <pith/net.h>
#include <pith/page.h>
#include "forward.h"
#include "router.h"

/* One 32nd of RAM for connections: 19,000 of them at 128 MiB. */
#define RAM_SHARE 32
#define FLOWS_MIN 256
#define FLOWS_MAX 65536

#define RULES_DEFAULT "allow any from lan to any"
/* Below are servers' ports, above are those that the router's own connections take. */
#define PORTS_DEFAULT "1024-49151"

static struct router router;

_Noreturn static void PRINTF_LIKE(1, 2) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("router: ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	exit(EXIT_FAILURE);
}

/* --- Configuration ------------------------------------------------------------------------------- */

static const char *setting(const char *key, const char *otherwise)
{
	const char *value = getenv(key);

	return value && value[0] ? value : otherwise;
}

/* What follows the device: an address with its network's bits, perhaps "via" and a gateway. */
static void read_static(struct forward_port *port, const char *key, const char *address,
                        const char *via, const char *gateway)
{
	if (!strchr(address, '/') || network_parse(address, &port->address, &port->mask) < 0)
		fail("%s: %s is no address with its network's bits, as 10.0.0.1/24 is", key,
		     address);
	if (!via)
		return;
	if (strcmp(via, "via") != 0 || !gateway ||
	    inet_pton(AF_INET, gateway, &port->gateway) != 1 ||
	    ((port->gateway ^ port->address) & port->mask) != 0)
		fail("%s: \"via\" and a gateway in that network may follow the address", key);
}

/* "eth0 10.0.0.1/24", "eth1 dhcp", "eth1 10.0.1.2/24 via 10.0.1.1" */
static struct forward_port read_port(const char *key)
{
	const char *value = setting(key, "");
	char text[64], *words[5] = {NULL}, *rest;
	struct forward_port port = {0};

	if (strlen(value) >= sizeof(text))
		fail("%s=\"%s\" is too long", key, value);
	strcpy(text, value);
	words[0] = strtok_r(text, " ", &rest);
	for (size_t i = 1; i < ARRAY_LEN(words) && words[i - 1]; i++)
		words[i] = strtok_r(NULL, " ", &rest);
	if (!words[1] || words[4])
		fail("%s=\"%s\": a device and its address, as in \"eth0 10.0.0.1/24\" or \"eth0 "
		     "dhcp\"",
		     key, value);
	if (strlen(words[0]) >= sizeof(port.device))
		fail("there is no device %s", words[0]);
	strcpy(port.device, words[0]);
	port.dhcp = strcmp(words[1], "dhcp") == 0;
	if (!port.dhcp)
		read_static(&port, key, words[1], words[2], words[3]);
	else if (words[2])
		fail("%s: with dhcp the gateway is the server's affair", key);
	return port;
}

static void read_filter(struct router *r)
{
	const char *nat = setting("nat", "on"), *ports = setting("ports", PORTS_DEFAULT);
	char complaint[160];

	r->masquerade = strcmp(nat, "on") == 0;
	if (!r->masquerade && strcmp(nat, "off") != 0)
		fail("nat=%s: on or off", nat);
	if (ports_parse(ports, &r->port_min, &r->port_max) < 0)
		fail("ports=%s: two numbers from 1 to 65535, as in " PORTS_DEFAULT, ports);
	if (rules_parse(setting("rules", RULES_DEFAULT), &r->rules, complaint, sizeof(complaint)) <
	    0)
		fail("rules: %s", complaint);
}

static unsigned int flow_max(void)
{
	struct memory_info memory;

	memory_info(&memory);
	return (unsigned int)MIN(
	    MAX(memory.total_bytes / RAM_SHARE / sizeof(struct flow), FLOWS_MIN), FLOWS_MAX);
}

/* --- Status ---------------------------------------------------------------------------------------- */

static void print_place(struct http_request *rq, const char *name, const struct place *place)
{
	char address[16], gateway[16];

	inet_ntop(AF_INET, &place->address, address, sizeof(address));
	inet_ntop(AF_INET, &place->gateway, gateway, sizeof(gateway));
	http_printf(rq, "%s: %s/%d via %s\n", name, address, __builtin_popcount(place->mask),
	            gateway);
}

static int status(struct http_request *rq)
{
	struct flows *t = &router.flows;

	net_lock();
	for (int side = LAN; side < SIDES; side++)
		print_place(rq, side_names[side], &router.place[side]);
	http_printf(rq, "\nconnections of at most %u:\n", (unsigned int)t->flow_max);
	for (int c = 0; c < FLOW_CLASSES; c++)
		http_printf(rq, "%10u  %s\n", t->count[c], flow_class_names[c]);
	http_printf(rq, "%10llu  opened\n%10llu  silent too long\n%10llu  given up for others\n",
	            (unsigned long long)t->opened, (unsigned long long)t->expired,
	            (unsigned long long)t->evicted);
	http_printf(rq, "\npackets:\n");
	for (int i = 0; i < COUNTS; i++)
		http_printf(rq, "%10llu  %s\n", (unsigned long long)router.count[i],
		            count_names[i]);
	net_unlock();
	return http_reply(rq, 200, "text/plain");
}

static const struct http_route routes[] = {{.path = "/", .respond = status}, {}};

int main(void)
{
	const struct forward_port ports[SIDES] = {
	    [LAN] = read_port("lan"), [WAN] = read_port("wan")};
	struct http_server *server = http_open(&(struct http_config){.port = 80, .routes = routes});
	const char *complaint;
	uint64_t keys[4];

	if (!server)
		fail("no memory for the status page");
	read_filter(&router);
	if (random_bytes(keys, sizeof(keys), false) < 0 ||
	    flows_init(&router.flows, flow_max(), keys) < 0)
		fail("no memory for connections");
	if (forward_start(&router, ports, &complaint) < 0)
		fail("there is no device %s", complaint);
	printf(
	    "router: forwarding between %s (lan) and %s (wan), %u rules, room for %u connections\n",
	    ports[LAN].device, ports[WAN].device, router.rules.count,
	    (unsigned int)router.flows.flow_max);
	while (http_step(server, -1) == 0)
		;
	fail("cannot wait");
}
