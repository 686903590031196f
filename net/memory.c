/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's memory: mem_malloc() and its pools, on malloc(), in place of lwIP's mem.c and memp.c.
 *
 * Two limits keep the network from eating the machine: all of lwIP together has a cap that scales
 * with RAM, and pools whose elements stand for something a peer can ask for (connections, packets in
 * reassembly, queued ARP packets) have one each. Beyond, the allocation fails, which lwIP takes as
 * "drop it" or "try later".
 *
 * Freeing needs no core lock: received packets are freed from anywhere.
 */
#include <stdlib.h>
#include <string.h>
#include <pith/irq.h>
#include "internal.h"
#include "lwip/opt.h"
#include "lwip/altcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mem.h"
#include "lwip/memp.h"
#include "lwip/mld6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"

/* Before each allocation, so that freeing knows how much. Keeps the alignment of MEM_ALIGNMENT. */
struct head {
	size_t bytes;
};
_Static_assert(sizeof(struct head) == MEM_ALIGNMENT, "what follows is aligned");

static size_t used_bytes, used_max_bytes, cap_bytes;
static uint64_t refused;

/*
 * A few objects that are never given back: most packets find one here, for a tenth of what malloc()
 * and free() take. Of one size, that of a small segment sent or received.
 */
#define RESERVE_BYTES 384
#define RESERVE_COUNT 64
static struct reserved {
	union {
		struct reserved *next;
		char bytes[RESERVE_BYTES];
	};
} * reserve, *reserve_free;

static void reserve_init(void)
{
	reserve = malloc(RESERVE_COUNT * sizeof(*reserve));
	for (unsigned int i = 0; reserve && i < RESERVE_COUNT; i++) {
		reserve[i].next = reserve_free;
		reserve_free = &reserve[i];
	}
}

static inline void *reserve_take(size_t bytes)
{
	struct reserved *r = NULL;
	unsigned long flags;

	if (bytes > RESERVE_BYTES)
		return NULL;
	flags = irq_save();
	if (reserve_free) {
		r = reserve_free;
		reserve_free = r->next;
	}
	irq_restore_quiet(flags);
	return r;
}

/* Returns whether it is one of these. */
static inline bool reserve_give(void *m)
{
	struct reserved *r = m;
	unsigned long flags;

	if ((uintptr_t)m - (uintptr_t)reserve >= RESERVE_COUNT * sizeof(*reserve))
		return false;
	flags = irq_save();
	r->next = reserve_free;
	reserve_free = r;
	irq_restore_quiet(flags);
	return true;
}

static unsigned int reserve_used(void)
{
	unsigned int used = reserve ? RESERVE_COUNT : 0;
	unsigned long flags = irq_save();

	for (const struct reserved *r = reserve_free; r; r = r->next)
		used--;
	irq_restore_quiet(flags);
	return used;
}

/* Count bytes in, unless they are too many. */
static bool charge(size_t bytes)
{
	unsigned long flags = irq_save();
	bool fits = bytes <= cap_bytes - used_bytes;

	if (fits) {
		used_bytes += bytes;
		used_max_bytes = MAX(used_max_bytes, used_bytes);
	} else {
		refused++;
	}
	irq_restore_quiet(flags);
	return fits;
}

static void discharge(size_t bytes)
{
	unsigned long flags = irq_save();

	used_bytes -= bytes;
	irq_restore_quiet(flags);
}

void mem_init(void)
{
}

static void *allocate(size_t size)
{
	size_t bytes = size + sizeof(struct head);
	struct head *h;

	if (!charge(bytes))
		return NULL;
	h = malloc(bytes);
	if (!h) {
		discharge(bytes);
		refused++;
		return NULL;
	}
	h->bytes = bytes;
	return h + 1;
}

void *mem_malloc(mem_size_t size)
{
	void *m = reserve_take(size);

	return m ? m : allocate(size);
}

void *mem_calloc(mem_size_t count, mem_size_t size)
{
	void *m = mem_malloc(count * size); /* lwIP's own small numbers: no overflow */

	return m ? memset(m, 0, count * size) : NULL;
}

void mem_free(void *m)
{
	struct head *h;

	if (!m || reserve_give(m))
		return;
	h = (struct head *)m - 1;
	discharge(h->bytes);
	free(h);
}

/* lwIP trims by a few bytes what it allocated a moment ago: not worth a move. */
void *mem_trim(void *m, mem_size_t size)
{
	(void)size;
	return m;
}

/* --- Pools ----------------------------------------------------------------------------------- */

static const uint16_t element_bytes[MEMP_MAX] = {
#define LWIP_MEMPOOL(name, count, size, description) [MEMP_##name] = (size),
#include "lwip/priv/memp_std.h"
};

/* 0: no limit but the cap. */
static uint32_t limit[MEMP_MAX] = {
    [MEMP_REASSDATA] = 16, [MEMP_IP6_REASSDATA] = 16, [MEMP_ARP_QUEUE] = 64,
    [MEMP_ND6_QUEUE] = 64, [MEMP_IGMP_GROUP] = 32,    [MEMP_MLD6_GROUP] = 64,
};
static struct net_pool_status pools[MEMP_MAX];

void memp_init(void)
{
}

void *memp_malloc(memp_t type)
{
	struct net_pool_status *pool = &pools[type];
	void *m = NULL;

	if (!limit[type] || pool->used < limit[type])
		m = mem_malloc(element_bytes[type]);
	if (!m) {
		pool->refused++;
		return NULL;
	}
	unsigned long flags = irq_save();

	pool->used++;
	pool->used_max = MAX(pool->used_max, pool->used);
	irq_restore_quiet(flags);
	return m;
}

struct tcp_pcb *net_tcp_recents[NET_TCP_RECENT];

static void forget_recent(const struct tcp_pcb *pcb)
{
	if (net_tcp_recent(pcb->remote_port) == pcb)
		net_tcp_recent(pcb->remote_port) = NULL;
}

void memp_free(memp_t type, void *m)
{
	if (!m)
		return;
	if (type == MEMP_TCP_PCB)
		forget_recent(m);
	unsigned long flags = irq_save();

	pools[type].used--;
	irq_restore_quiet(flags);
	mem_free(m);
}

/* --- Limits and counters ----------------------------------------------------------------------- */

void memory_init(size_t ram_bytes)
{
	/* One connection may hold a window and a send buffer; core.c scales those the same way. */
	limit[MEMP_TCP_PCB] = net_connections_max(ram_bytes);
	cap_bytes = ram_bytes / 3;
	reserve_init();
}

bool memory_reassembling(bool ipv6)
{
	return pools[ipv6 ? MEMP_IP6_REASSDATA : MEMP_REASSDATA].used;
}

void memory_status(struct net_status *status)
{
	status->memory_cap_bytes = cap_bytes;
	status->memory_used_bytes = used_bytes;
	status->memory_used_max_bytes = used_max_bytes;
	status->memory_refused = refused;
	status->memory_reserve_used = reserve_used();
	status->tcp_pcbs = pools[MEMP_TCP_PCB];
	status->tcp_listeners = pools[MEMP_TCP_PCB_LISTEN];
	status->tcp_segments = pools[MEMP_TCP_SEG];
	status->udp_pcbs = pools[MEMP_UDP_PCB];
	status->reassemblies = pools[MEMP_REASSDATA];
	status->reassemblies6 = pools[MEMP_IP6_REASSDATA];
	status->pbufs = pools[MEMP_PBUF];
}
