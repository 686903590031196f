/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that a peer must not guess: TCP's initial sequence numbers, ports, transaction ids.
 *
 * They come from the kernel's generator. On a machine without any seed the network still has to work:
 * then they come from the time and the MAC address, which an observer can guess, and the log says so
 * once. From the moment a seed arrives they are good.
 */
#include <string.h>
#include <pith/entropy.h>
#include <pith/log.h>
#include <pith/time.h>
#include "internal.h"
#include "siphash.h"

static uint64_t secret[2];
static bool secret_is_good;

/* Keep the secret once it is good: sequence numbers of reused ports must go on from where they were. */
static const uint64_t *get_secret(void)
{
	if (!secret_is_good && random_bytes(secret, sizeof(secret), true) == 0)
		secret_is_good = true;
	return secret;
}

void random_init(void)
{
	const struct netdev *dev = netdev_first();

	if (get_secret() && secret_is_good)
		return;
	secret[0] = time_now_ns();
	if (dev)
		memcpy(&secret[1], dev->mac, sizeof(dev->mac));
	klog("net: no seed yet, ports and sequence numbers can be guessed");
}

uint32_t net_random(void)
{
	static uint64_t count;
	uint64_t weak[2];
	uint32_t v;

	if (random_bytes(&v, sizeof(v), true) == 0)
		return v;
	weak[0] = time_now_ns();
	weak[1] = count++;
	return (uint32_t)siphash24(get_secret(), weak, sizeof(weak));
}

/*
 * RFC 6528, section 3: a clock of 4 microseconds, plus a keyed hash of both ends of the connection.
 */
uint32_t net_tcp_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
                     uint16_t remote_port)
{
	const ip_addr_t *ends[] = {local_ip, remote_ip};
	uint32_t words[9] = {(uint32_t)local_port << 16 | remote_port}; /* with IPv4, the first 3 */
	size_t each = IP_IS_V4(ends[0]) ? sizeof(ip4_addr_t) : sizeof(ip_2_ip6(ends[0])->addr);

	memcpy(&words[1], ip_2_ip6(ends[0])->addr, each);
	memcpy((char *)&words[1] + each, ip_2_ip6(ends[1])->addr, each);
	return (uint32_t)(time_now_ns() >> 12) +
	       (uint32_t)siphash24(get_secret(), words, sizeof(words[0]) + 2 * each);
}
