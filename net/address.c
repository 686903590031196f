/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as text: inet_pton() and its family. Nothing here needs the stack.
 *
 * Text forms: RFC 4291, section 2.2; written as RFC 5952 recommends.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

/* --- IPv4 ------------------------------------------------------------------------------------ */

/* A decimal number of up to three digits without leading zeros, at most 255. */
static const char *parse_octet(const char *t, uint8_t *octet)
{
	unsigned int v = 0, digits = 0;

	for (; *t >= '0' && *t <= '9'; t++, digits++) {
		if (digits == 3 || (digits && v == 0))
			return NULL;
		v = v * 10 + (unsigned int)(*t - '0');
	}
	if (!digits || v > 255)
		return NULL;
	*octet = (uint8_t)v;
	return t;
}

static int parse4(const char *t, uint8_t a[4])
{
	for (int i = 0; i < 4; i++) {
		if (i && *t++ != '.')
			return 0;
		t = parse_octet(t, &a[i]);
		if (!t)
			return 0;
	}
	return *t == '\0';
}

static void format4(const uint8_t *a, char out[INET_ADDRSTRLEN])
{
	snprintf(out, INET_ADDRSTRLEN, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
}

/* --- IPv6 ------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to four hexadecimal digits. Returns where they end; t if there are none, NULL if too many. */
static const char *parse_group(const char *t, unsigned int *group)
{
	int digits = 0;

	*group = 0;
	for (; hex_digit(*t) >= 0; t++, digits++) {
		if (digits == 4)
			return NULL;
		*group = *group << 4 | (unsigned int)hex_digit(*t);
	}
	return t;
}

struct parse6 {
	uint8_t bytes[16];
	int count; /* bytes read */
	int gap;   /* where "::" was, or -1 */
};

/*
 * One group with the colon after it, or the IPv4 address at the end. Returns where to go on; NULL: not
 * an address.
 */
static const char *parse6_step(const char *t, struct parse6 *p)
{
	unsigned int group;
	const char *end = parse_group(t, &group);

	if (!end || end == t)
		return NULL;
	if (*end == '.') {
		if (p->count > 12 || !parse4(t, &p->bytes[p->count]))
			return NULL;
		p->count += 4;
		return t + strlen(t);
	}
	if (p->count > 14 || (*end && *end != ':'))
		return NULL;
	p->bytes[p->count++] = (uint8_t)(group >> 8);
	p->bytes[p->count++] = (uint8_t)group;
	if (*end == ':' && end[1] == '\0')
		return NULL;
	return *end ? end + 1 : end;
}

static int parse6(const char *t, uint8_t a[16])
{
	struct parse6 p = {.gap = -1};

	if (t[0] == ':' && *++t != ':')
		return 0;
	while (*t) {
		if (*t == ':') { /* the second of two: the first went with the group before it */
			if (p.gap >= 0)
				return 0;
			p.gap = p.count;
			t++;
			continue;
		}
		t = parse6_step(t, &p);
		if (!t)
			return 0;
	}
	if (p.gap < 0 ? p.count != 16 : p.count > 14)
		return 0;
	memset(a, 0, 16);
	if (p.gap < 0)
		p.gap = p.count;
	memcpy(a, p.bytes, (size_t)p.gap);
	memcpy(a + 16 - (p.count - p.gap), p.bytes + p.gap, (size_t)(p.count - p.gap));
	return 1;
}

static unsigned int group_of(const uint8_t *a, int i)
{
	return (unsigned int)a[2 * i] << 8 | a[2 * i + 1];
}

/* Addresses with an IPv4 address in them are written so, as by others' inet_ntop(). */
static bool has_ipv4(const uint8_t *a, int gap_start, int gap_length)
{
	return gap_start == 0 && (gap_length == 6 || (gap_length == 5 && group_of(a, 5) == 0xffff));
}

static void format6(const uint8_t *a, char out[INET6_ADDRSTRLEN])
{
	/* The longest run of two or more zero groups, the first of them if equal (RFC 5952, section 4.2). */
	int start = -1, length = 1, groups;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && group_of(a, i + n) == 0)
			n++;
		if (n > length) {
			start = i;
			length = n;
		}
		i += n;
	}
	groups = has_ipv4(a, start, length) ? 6 : 8;
	for (int i = 0; i < groups; i++) {
		if (i == start) {
			if (i == 0)
				*out++ = ':';
			*out++ = ':';
			i += length - 1;
			continue;
		}
		out += snprintf(out, sizeof("ffff:"), i < 7 ? "%x:" : "%x", group_of(a, i));
	}
	*out = '\0';
	if (groups == 6)
		format4(a + 12, out);
}

/* --- The functions --------------------------------------------------------------------------- */

const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT;
const struct in6_addr in6addr_loopback = IN6ADDR_LOOPBACK_INIT;

int inet_pton(int family, const char *text, void *address)
{
	uint8_t a[16];
	int ok;

	if (family != AF_INET && family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	ok = family == AF_INET ? parse4(text, a) : parse6(text, a);
	if (ok)
		memcpy(address, a, family == AF_INET ? 4 : 16);
	return ok;
}

const char *inet_ntop(int family, const void *address, char *text, socklen_t bytes)
{
	char out[INET6_ADDRSTRLEN];
	size_t length;

	if (family == AF_INET) {
		format4(address, out);
	} else if (family == AF_INET6) {
		format6(address, out);
	} else {
		errno = EAFNOSUPPORT;
		return NULL;
	}
	length = strlen(out);
	if (length >= bytes) {
		errno = ENOSPC;
		return NULL;
	}
	return memcpy(text, out, length + 1);
}

/* A number in C's notation, at most max. Returns where it ends, or NULL. */
static const char *parse_number(const char *t, uint32_t max, uint32_t *number)
{
	uint64_t v = 0;
	int base = 10, digits = 0;

	if (*t == '0') {
		base = 8;
		digits = 1;
		if ((*++t | 0x20) == 'x') {
			base = 16;
			digits = 0;
			t++;
		}
	}
	for (; hex_digit(*t) >= 0 && hex_digit(*t) < base; t++, digits++) {
		v = v * (uint64_t)base + (uint64_t)hex_digit(*t);
		if (v > max)
			return NULL;
	}
	*number = (uint32_t)v;
	return digits ? t : NULL;
}

/* a, a.b, a.b.c or a.b.c.d, of which the last number fills what bytes are left. */
int inet_aton(const char *text, struct in_addr *address)
{
	uint32_t parts[4], value = 0;
	int count = 0;

	do {
		text = parse_number(text, UINT32_MAX, &parts[count++]);
		if (!text)
			return 0;
	} while (*text == '.' && count < 4 && text++);
	if (*text && !strchr(" \t\n\v\f\r", *text))
		return 0;
	for (int i = 0; i < count - 1; i++) {
		if (parts[i] > 255)
			return 0;
		value |= parts[i] << (24 - 8 * i);
	}
	if (count > 1 && parts[count - 1] >> (8 * (5 - count)))
		return 0;
	value |= parts[count - 1];
	if (address)
		address->s_addr = htonl(value);
	return 1;
}

in_addr_t inet_addr(const char *text)
{
	struct in_addr address;

	return inet_aton(text, &address) ? address.s_addr : INADDR_NONE;
}

char *inet_ntoa(struct in_addr address)
{
	static _Thread_local char out[INET_ADDRSTRLEN];

	format4((const uint8_t *)&address, out);
	return out;
}
