/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's resolver, whose table is private to its file: that is included here instead of being compiled
 * on its own. Its timer comes with the first question, so that an app that asks none does not link it.
 */
#include "internal.h"
#include "lwip/dns.h"
#include "lwip/udp.h"

static const struct timed dns_timed;

/* lwIP's first step with each question. */
#define udp_new_ip_type(type) (timers_add(&dns_timed), udp_new_ip_type(type))
/* Addresses in digits do not come this far (find_targets() in net/dns.c). */
#undef ipaddr_aton
#define ipaddr_aton(text, address) ((void)(text), (void)(address), 0)
#include "core/dns.c"

/* Answers that are known grow old here, which is in time before each question. */
static uint32_t dns_pass(uint32_t intervals)
{
	uint32_t due = TIMER_NEVER;

	for (struct dns_table_entry *e = dns_table; e < dns_table + DNS_TABLE_SIZE; e++) {
		if (e->state == DNS_STATE_NEW || e->state == DNS_STATE_ASKING)
			due = 1;
		else if (e->state == DNS_STATE_DONE && e->ttl <= intervals)
			e->state = DNS_STATE_UNUSED;
		else if (e->state == DNS_STATE_DONE)
			e->ttl -= intervals;
	}
	return due;
}

static const struct timed dns_timed = {DNS_TMR_INTERVAL, dns_tmr, dns_pass};
