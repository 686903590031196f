/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between NIC drivers and net/: the list of devices, the network thread's bell, and the free lists
 * of received buffers, which anybody may add to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/irq.h>
#include <pith/netdev.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>

/*
 * One 64th of RAM for receive buffers, about 2 KiB each: 64 of them at 8 MiB. From 64 MiB on there
 * are 512, a burst that no receiver of ours needs longer for than a ring takes to fill.
 */
#define RX_BUFFER_BYTES_TYPICAL 2048
#define RX_RAM_SHARE            64
#define RX_BUFFERS_MIN          32
#define RX_BUFFERS_MAX          512

__attribute__((weak)) const bool netdev_large_receive = true;

static struct netdev *devices, **devices_end = &devices;

static bool rung; /* somebody signalled since netdev_wait returned */
static struct waitq bell = WAITQ_INIT(bell);

void netdev_name(struct netdev *dev)
{
	unsigned int count = 0;

	for (const struct netdev *d = devices; d; d = d->next)
		count++;
	snprintf(dev->name, sizeof(dev->name), "eth%u", count % 1000);
}

void netdev_register(struct netdev *dev)
{
	dev->next = NULL;
	*devices_end = dev;
	devices_end = &dev->next;
}

struct netdev *netdev_first(void)
{
	return devices;
}

void netdev_ensure_mac(struct netdev *dev)
{
	static const uint8_t none[6];
	uint64_t unlike;

	if (!(dev->mac[0] & 1) && memcmp(dev->mac, none, sizeof(none)) != 0)
		return;
	if (random_bytes(dev->mac, sizeof(dev->mac), true) < 0) {
		unlike = time_now_ns();
		for (size_t i = 0; i < sizeof(dev->mac); i++, unlike >>= 8)
			dev->mac[i] = (uint8_t)unlike;
	}
	dev->mac[0] = (uint8_t)((dev->mac[0] & ~1u) | 2u);
}

unsigned int netdev_rx_buffers_wanted(void)
{
	struct memory_info info;
	size_t count;

	memory_info(&info);
	count = info.total_bytes / RX_RAM_SHARE / RX_BUFFER_BYTES_TYPICAL;
	return (unsigned int)MIN(MAX(count, RX_BUFFERS_MIN), RX_BUFFERS_MAX);
}

void netdev_kick(void)
{
	unsigned long daif = irq_save();

	rung = true;
	if (!list_empty(&bell.waiters))
		waitq_wake_one(&bell);
	irq_restore(daif);
}

bool netdev_wait(uint64_t deadline_ns)
{
	unsigned long daif = irq_save();
	bool signalled;

	while (!rung && waitq_wait(&bell, deadline_ns) == 0)
		;
	signalled = rung;
	rung = false;
	irq_restore_quiet(daif);
	return signalled;
}

/*
 * When the ring has run dry (or has too little for the largest frame) no interrupt will ever come
 * to make the network thread refill it, so then the buffer that comes back has to.
 */
static bool ring_is_dry(const struct netdev *dev)
{
	return dev->rx_buffers - dev->held_count - dev->free_count < dev->rx_ring_low;
}

NOINLINE void netbuf_free(struct netbuf *nb)
{
	struct netdev *dev = nb->dev;
	unsigned long daif = irq_save();
	bool dry = ring_is_dry(dev);

	nb->next = dev->free_list;
	dev->free_list = nb;
	dev->free_count++;
	dev->held_count--;
	irq_restore_quiet(daif);
	if (dry)
		netdev_kick();
}

void netbuf_free_chain(struct netbuf *nb)
{
	while (nb) {
		struct netbuf *next = nb->next;

		netbuf_free(nb);
		nb = next;
	}
}
