/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses: getaddrinfo() and its family, on lwIP's resolver.
 *
 * Each family asked for is one question, one address its answer. The thread that asks waits; lwIP
 * answers every question sooner or later, if only with a failure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <pith/thread.h>
#include "internal.h"
#include "lwip/dns.h"

/* --- Asking ---------------------------------------------------------------------------------- */

struct question {
	struct ksem answered;
	ip_addr_t address;
	bool found;
};

static void on_answer(const char *name, const ip_addr_t *address, void *arg)
{
	struct question *q = arg;

	(void)name;
	q->found = address;
	if (address)
		q->address = *address;
	ksem_up(&q->answered);
}

/* Returns 0; EAI_NONAME, EAI_AGAIN (no answer, or no server), EAI_MEMORY. */
static int ask(const char *name, uint8_t type, ip_addr_t *address)
{
	struct question q = {.found = false};
	err_t err;

	ksem_init(&q.answered, 0);
	net_lock();
	err = dns_gethostbyname_addrtype(name, &q.address, on_answer, &q, type);
	net_unlock();
	if (err == ERR_INPROGRESS) {
		ksem_down(&q.answered, TIME_FOREVER);
		err = q.found ? ERR_OK : ERR_VAL;
	} else if (err == ERR_VAL) {
		return EAI_AGAIN; /* no server is known */
	}
	if (err == ERR_MEM)
		return EAI_MEMORY;
	if (err != ERR_OK)
		return EAI_NONAME;
	*address = q.address;
	return 0;
}

/* --- getaddrinfo() ---------------------------------------------------------------------------- */

struct target {
	int family;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
	uint32_t scope_id;
};
#define TARGETS_MAX 2

/* "fe80::1%eth0" or "%2". */
static int parse_scope(const char *scope, uint32_t *scope_id)
{
	char *end;
	unsigned long index = strtoul(scope, &end, 10);

	if (end == scope || *end)
		index = if_nametoindex(scope);
	*scope_id = (uint32_t)index;
	return index ? 0 : EAI_NONAME;
}

/* A numeric address. Returns how many targets that makes: 1, 0 (it is none), or EAI_*. */
static int numeric_target(const char *name, int family, struct target *t)
{
	char host[INET6_ADDRSTRLEN];
	size_t bytes = strcspn(name, "%");

	memset(t, 0, sizeof(*t));
	if (inet_aton(name, &t->v4)) {
		t->family = AF_INET;
	} else {
		if (bytes >= sizeof(host))
			return 0;
		memcpy(host, name, bytes);
		host[bytes] = '\0';
		if (inet_pton(AF_INET6, host, &t->v6) != 1)
			return 0;
		t->family = AF_INET6;
		if (name[bytes] && parse_scope(name + bytes + 1, &t->scope_id))
			return EAI_NONAME;
	}
	return family == AF_UNSPEC || family == t->family ? 1 : EAI_FAMILY;
}

/* No name: this machine, or with AI_PASSIVE any of its addresses. */
static int own_targets(int family, bool passive, struct target t[TARGETS_MAX])
{
	int count = 0;

	memset(t, 0, TARGETS_MAX * sizeof(*t));
	if (family != AF_INET6) {
		t[count].family = AF_INET;
		t[count++].v4.s_addr = htonl(passive ? INADDR_ANY : INADDR_LOOPBACK);
	}
	if (family != AF_INET && net_has_ipv6) {
		t[count].family = AF_INET6;
		t[count++].v6 = passive ? in6addr_any : in6addr_loopback;
	}
	return count;
}

static int dns_targets(const char *name, int family, struct target t[TARGETS_MAX])
{
	int count = 0, error = EAI_NONAME;
	ip_addr_t address;

	if (family != AF_INET6) {
		error = ask(name, LWIP_DNS_ADDRTYPE_IPV4, &address);
		if (error == 0)
			t[count++] = (struct target){.family = AF_INET,
			                             .v4.s_addr = ip_2_ip4(&address)->addr};
	}
	if (family != AF_INET && net_has_ipv6 && error != EAI_AGAIN) {
		int error6 = ask(name, LWIP_DNS_ADDRTYPE_IPV6, &address);

		if (error6 == 0) {
			t[count] = (struct target){.family = AF_INET6};
			memcpy(&t[count++].v6, ip_2_ip6(&address)->addr, 16);
		}
		error = error == 0 ? 0 : error6;
	}
	return count ? count : error;
}

/* Where name leads to. Returns how many targets, or EAI_*. */
static int find_targets(const char *name, const struct addrinfo *hints, struct target *t)
{
	int count;

	if (!name)
		return own_targets(hints->ai_family, hints->ai_flags & AI_PASSIVE, t);
	count = numeric_target(name, hints->ai_family, t);
	if (count)
		return count;
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	if (strcmp(name, "localhost") == 0)
		return own_targets(hints->ai_family, false, t);
	return dns_targets(name, hints->ai_family, t);
}

static const struct {
	const char *name;
	uint16_t port;
} services[] = {
    {"ssh", 22},    {"domain", 53},  {"http", 80},   {"ntp", 123},
    {"https", 443}, {"syslog", 514}, {"mqtt", 1883},
};

/* Returns the port, or EAI_*. */
static int find_port(const char *service, int flags)
{
	unsigned long port;
	char *end;

	if (!service)
		return 0;
	port = strtoul(service, &end, 10);
	if (*service && !*end)
		return port <= UINT16_MAX ? (int)port : EAI_SERVICE;
	if (flags & AI_NUMERICSERV)
		return EAI_NONAME;
	for (size_t i = 0; i < LWIP_ARRAYSIZE(services); i++) {
		if (strcmp(service, services[i].name) == 0)
			return services[i].port;
	}
	return EAI_SERVICE;
}

/* An entry with its address and the name behind it, in one piece of memory. */
static struct addrinfo *make_entry(const struct target *t, uint16_t port, int type,
                                   const char *canonical)
{
	size_t name_bytes = canonical ? strlen(canonical) + 1 : 0;
	struct {
		struct addrinfo info;
		union {
			struct sockaddr_in in;
			struct sockaddr_in6 in6;
		};
		char name[];
	} *e = calloc(1, sizeof(*e) + name_bytes);

	if (!e)
		return NULL;
	e->info.ai_family = t->family;
	e->info.ai_socktype = type;
	e->info.ai_protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	e->info.ai_addr = (struct sockaddr *)&e->in;
	if (canonical)
		e->info.ai_canonname = memcpy(e->name, canonical, name_bytes);
	if (t->family == AF_INET) {
		e->info.ai_addrlen = sizeof(e->in);
		e->in = (struct sockaddr_in){
		    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = t->v4};
	} else {
		e->info.ai_addrlen = sizeof(e->in6);
		e->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		                               .sin6_port = htons(port),
		                               .sin6_addr = t->v6,
		                               .sin6_scope_id = t->scope_id};
	}
	return &e->info;
}

static int check_hints(const struct addrinfo *h)
{
	const int known = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL |
	                  AI_ADDRCONFIG | AI_NUMERICSERV;

	if (h->ai_flags & ~known)
		return EAI_BADFLAGS;
	if (h->ai_family != AF_UNSPEC && h->ai_family != AF_INET &&
	    !(h->ai_family == AF_INET6 && net_has_ipv6))
		return EAI_FAMILY;
	if (h->ai_socktype && h->ai_socktype != SOCK_STREAM && h->ai_socktype != SOCK_DGRAM)
		return EAI_SOCKTYPE;
	return 0;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	static const struct addrinfo none = {0};
	const struct addrinfo *h = hints ? hints : &none;
	const char *canonical = h->ai_flags & AI_CANONNAME ? name : NULL;
	struct target targets[TARGETS_MAX];
	struct addrinfo **end = list;
	int port, count, error = check_hints(h);

	*list = NULL;
	if (error)
		return error;
	if (!name && !service)
		return EAI_NONAME;
	port = find_port(service, h->ai_flags);
	if (port < 0)
		return port;
	count = find_targets(name, h, targets);
	if (count < 0)
		return count;
	for (int i = 0; i < count * 2; i++) {
		if (h->ai_socktype && h->ai_socktype != types[i % 2])
			continue;
		*end = make_entry(&targets[i / 2], (uint16_t)port, types[i % 2], canonical);
		if (!*end) {
			freeaddrinfo(*list);
			*list = NULL;
			return EAI_MEMORY;
		}
		canonical = NULL; /* on the first entry only */
		end = &(*end)->ai_next;
	}
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

const char *gai_strerror(int error)
{
	switch (error) {
	case 0:
		return "Success";
	case EAI_BADFLAGS:
		return "Bad value for ai_flags";
	case EAI_NONAME:
		return "Name or service not known";
	case EAI_AGAIN:
		return "Temporary failure in name resolution";
	case EAI_FAMILY:
		return "ai_family not supported";
	case EAI_SOCKTYPE:
		return "ai_socktype not supported";
	case EAI_SERVICE:
		return "Service not supported for ai_socktype";
	case EAI_MEMORY:
		return "Memory allocation failure";
	case EAI_OVERFLOW:
		return "Result too large for supplied buffer";
	}
	return "Unknown error";
}

/* --- getnameinfo() --------------------------------------------------------------------------- */

/* host, with the interface's name behind a link-local address. */
static int print_host(const struct sockaddr *address, char *host, socklen_t bytes)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;
	char text[INET6_ADDRSTRLEN], label[IF_NAMESIZE];
	int n;

	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	if (address->sa_family == AF_INET6 && in6->sin6_scope_id &&
	    if_indextoname(in6->sin6_scope_id, label))
		n = snprintf(host, bytes, "%s%%%s", text, label);
	else
		n = snprintf(host, bytes, "%s", text);
	return (socklen_t)n < bytes ? 0 : EAI_OVERFLOW;
}

int getnameinfo(const struct sockaddr *address, socklen_t bytes, char *host, socklen_t host_bytes,
                char *service, socklen_t service_bytes, int flags)
{
	const struct sockaddr_in *in = (const void *)address; /* the port is at the same place */
	int error = 0;

	if (bytes < sizeof(sa_family_t) ||
	    !((address->sa_family == AF_INET && bytes >= sizeof(struct sockaddr_in)) ||
	      (address->sa_family == AF_INET6 && bytes >= sizeof(struct sockaddr_in6))))
		return EAI_FAMILY;
	if (flags & NI_NAMEREQD)
		return EAI_NONAME;
	if (host && host_bytes)
		error = print_host(address, host, host_bytes);
	if (!error && service && service_bytes &&
	    snprintf(service, service_bytes, "%u", ntohs(in->sin_port)) >= (int)service_bytes)
		error = EAI_OVERFLOW;
	return error;
}
