/* SPDX-License-Identifier: Apache-2.0 */
/* The filter's rules (rules.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include "internet.h"
#include "rules.h"

#define WORD_BYTES 32

const char *const side_names[] = {"lan", "wan", "router", "any"};

/* A rule being read. The first error stays. */
struct reader {
	const char *at, *end;
	char word[WORD_BYTES]; /* the next one; "" at the end */
	char *complaint;
	size_t complaint_bytes;
	bool failed;
};

static void next(struct reader *r)
{
	size_t bytes = 0;

	while (r->at < r->end && strchr(" \t", *r->at))
		r->at++;
	while (r->at < r->end && !strchr(" \t", *r->at)) {
		if (bytes < WORD_BYTES - 1)
			r->word[bytes++] = *r->at;
		r->at++;
	}
	r->word[bytes] = '\0';
}

static void expected(struct reader *r, const char *what)
{
	if (!r->failed)
		snprintf(r->complaint, r->complaint_bytes, "%s where %s belongs",
		         r->word[0] ? r->word : "its end", what);
	r->failed = true;
}

static bool take(struct reader *r, const char *word)
{
	if (strcmp(r->word, word) != 0)
		return false;
	next(r);
	return true;
}

static bool read_action(struct reader *r)
{
	if (take(r, "allow"))
		return true;
	if (!take(r, "deny"))
		expected(r, "allow or deny");
	return false;
}

static uint8_t read_proto(struct reader *r)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} known[] = {{"any", 0}, {"tcp", PROTO_TCP}, {"udp", PROTO_UDP}, {"icmp", PROTO_ICMP}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (take(r, known[i].word))
			return known[i].proto;
	}
	expected(r, "tcp, udp, icmp or any");
	return 0;
}

/* lan, wan, router or any; then perhaps an address. */
static struct rule_end read_end(struct reader *r, bool to)
{
	struct rule_end end = {.side = ANYWHERE};
	int side = ANYWHERE;

	while (side >= 0 && strcmp(r->word, side_names[side]) != 0)
		side--;
	if (side < 0 || (side == ROUTER && !to)) {
		expected(r, to ? "lan, wan, router or any" : "lan, wan or any");
		return end;
	}
	end.side = (enum side)side;
	next(r);
	if (r->word[0] >= '0' && r->word[0] <= '9') {
		if (network_parse(r->word, &end.address, &end.mask) < 0)
			expected(r, "an address such as 10.0.0.7 or 10.0.0.0/24");
		end.address &= end.mask;
		next(r);
	}
	return end;
}

static void read_ports(struct reader *r, struct rule *rule)
{
	rule->port_min = 0;
	rule->port_max = UINT16_MAX;
	if (!take(r, "port"))
		return;
	if (ports_parse(r->word, &rule->port_min, &rule->port_max) < 0)
		expected(r, "a port such as 80 or 8000-8080");
	else if (rule->proto != PROTO_TCP && rule->proto != PROTO_UDP)
		expected(r, "no port, as only tcp and udp have some,");
	else
		next(r);
}

static void read_rule(struct reader *r, struct rule *rule)
{
	next(r);
	rule->allow = read_action(r);
	rule->proto = read_proto(r);
	if (!take(r, "from"))
		expected(r, "from");
	rule->from = read_end(r, false);
	if (!take(r, "to"))
		expected(r, "to");
	rule->to = read_end(r, true);
	read_ports(r, rule);
	if (r->word[0])
		expected(r, "the end of the rule");
}

static bool is_blank(const char *text, size_t bytes)
{
	return strspn(text, " \t") >= bytes;
}

int rules_parse(const char *text, struct rules *rules, char *complaint, size_t complaint_bytes)
{
	char why[96];

	rules->count = 0;
	while (*text) {
		size_t bytes = strcspn(text, ";");
		struct reader r = {.at = text,
		                   .end = text + bytes,
		                   .complaint = why,
		                   .complaint_bytes = sizeof(why)};

		if (!is_blank(text, bytes)) {
			if (rules->count == RULES_MAX) {
				snprintf(complaint, complaint_bytes, "more than %d rules",
				         RULES_MAX);
				return -E2BIG;
			}
			read_rule(&r, &rules->rule[rules->count++]);
		}
		if (r.failed) {
			snprintf(complaint, complaint_bytes, "rule %u, \"%.*s\": %s", rules->count,
			         (int)bytes, text, why);
			return -EINVAL;
		}
		text += bytes;
		text += *text == ';';
	}
	return 0;
}

static bool end_fits(const struct rule_end *end, enum side side, uint32_t address)
{
	/* "any" means both networks and the router. */
	return (end->side == ANYWHERE || end->side == side) &&
	       (address & end->mask) == end->address;
}

bool rules_allow(const struct rules *rules, const struct opening *o)
{
	for (unsigned int i = 0; i < rules->count; i++) {
		const struct rule *r = &rules->rule[i];
		uint16_t port = host16(o->port);

		if ((r->proto == 0 || r->proto == o->proto) && port >= r->port_min &&
		    port <= r->port_max && end_fits(&r->from, o->from, o->src) &&
		    end_fits(&r->to, o->to, o->dst))
			return r->allow;
	}
	return false;
}

/* A decimal number and nothing behind it. Returns it or -1. */
static long number(const char *text, long max)
{
	char *end;
	long n;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	n = strtol(text, &end, 10);
	return *end || n > max ? -1 : n;
}

int network_parse(const char *text, uint32_t *address, uint32_t *mask)
{
	char copy[WORD_BYTES];
	char *slash;
	long bits = 32;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash) {
		*slash = '\0';
		bits = number(slash + 1, 32);
	}
	if (bits < 0 || inet_pton(AF_INET, copy, address) != 1)
		return -EINVAL;
	*mask = bits ? host32(UINT32_MAX << (32 - bits)) : 0;
	return 0;
}

int ports_parse(const char *text, uint16_t *min, uint16_t *max)
{
	char first[8];
	size_t bytes = strcspn(text, "-");
	long from, to;

	if (bytes >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, bytes);
	first[bytes] = '\0';
	from = number(first, UINT16_MAX);
	to = text[bytes] ? number(text + bytes + 1, UINT16_MAX) : from;
	if (from < 1 || to < from)
		return -EINVAL;
	*min = (uint16_t)from;
	*max = (uint16_t)to;
	return 0;
}
