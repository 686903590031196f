/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio network device.
 *
 * Receive: the ring holds buffers of 2 KiB, cut from one run of pages; the netbufs that describe them
 * lie elsewhere, where the device has no business. A frame goes up as the chain of buffers it arrived
 * in; freed ones come back over the free list, and only refill touches the ring. Buffers enter the
 * ring in small lots, so that a machine that hears little never touches most of them.
 *
 * Transmit: the device gathers header and fragments from where they lie. Finished frames cause no
 * interrupts. They are collected whenever the network thread runs anyway, which is at the latest when
 * a peer answers. Nothing is held for long even so:
 *  - a flush arms a timer for TX_HOLD_NS; when it fires the network thread is signalled, and reaps;
 *  - what the device still has then is waited for by interrupts, each when half of it is done;
 *  - so is a full ring.
 *
 * Source: virtio 1.2, section 5.1; legacy interface 5.1.5.1, 5.1.6.1.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/netdev.h>
#include <pith/page.h>
#include <pith/time.h>
#include <pith/io.h>
#include "virtio.h"

/* Features: section 5.1.3. */
#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_TSO6  (1ull << 12)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)
#define F_HOST_TSO   (F_HOST_TSO4 | F_HOST_TSO6)
#define F_GUEST_TSO  (F_GUEST_TSO4 | F_GUEST_TSO6)
#define F_WANTED                                                                          \
	(F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_HOST_TSO | F_GUEST_TSO | F_MRG_RXBUF | \
	 F_STATUS | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* Configuration: section 5.1.4. */
#define CONFIG_MAC     0  /* 6 bytes */
#define CONFIG_STATUS  6  /* 16 bits */
#define CONFIG_MTU     10 /* 16 bits */
#define STATUS_LINK_UP 1u

#define QUEUE_RX 0 /* section 5.1.2 */
#define QUEUE_TX 1

/* Before every frame, either way: section 5.1.6. */
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t header_bytes;
	uint16_t gso_bytes;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers; /* absent in legacy devices without MRG_RXBUF */
};
#define HEADER_NEEDS_CSUM 1u
#define HEADER_DATA_VALID 2u
#define GSO_NONE          0
#define GSO_TCPV4         1
#define GSO_TCPV6         4

#define ETHERNET_HEADER_BYTES 14
#define VLAN_TAG_BYTES        4

#define RX_BUFFER_BYTES 2048
/* Header, then Ethernet's 14 bytes, then IP at a multiple of 32: what is copied out is aligned. */
#define RX_IP_OFFSET   32
#define RX_BUFFERS_MIN 16
/* A ring with fewer buffers than this may be short of one jumbo frame (9216 bytes). */
#define RX_RING_LOW 8

/*
 * Large receive: the device hands up as one frame what is many of a TCP connection. It takes so many
 * buffers, and the device waits until they are there; so the ring must always have them.
 */
#define RX_LARGE_BYTES   (ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + UINT16_MAX)
#define RX_LARGE_BUFFERS (RX_LARGE_BYTES / (RX_BUFFER_BYTES - RX_IP_OFFSET) + 1)
/* Buffers that enter the ring for the first time together. */
#define RX_LOT RX_LARGE_BUFFERS
/* Worth it with at least so many: two of them, and as many again to spare. */
#define RX_LARGE_BUFFERS_MIN (3 * RX_LARGE_BUFFERS)

#define MTU_MIN          68 /* RFC 791 */
#define MTU_ETHERNET     1500
#define MTU_MAX          9216
#define MTU_MAX_UNMERGED (RX_BUFFER_BYTES - RX_IP_OFFSET - VLAN_TAG_BYTES)

#define TX_RING_MAX 256
#define TX_PIECES   (NETDEV_MAX_FRAGS + 1)
#define TX_HOLD_NS  (10 * NS_PER_MS)

struct rx_buffer {
	struct netbuf nb;
	uint8_t *start; /* where the device writes */
};

struct virtio_net {
	struct virtio_device vdev;
	struct netdev dev;
	unsigned int header_bytes;
	uint16_t status; /* STATUS_*, when last looked at */

	struct virtqueue rx;
	struct rx_buffer *rx_buffers;
	uint8_t *rx_memory;
	unsigned int rx_fresh;     /* buffers from here on were never in the ring */
	struct netbuf *rx_spare;   /* freed, and the ring is full: there are more than it holds */
	unsigned int rx_pad;       /* bytes left free at the start of a buffer */
	unsigned int rx_bytes;     /* bytes of a buffer that the device may write */
	unsigned int rx_frame_max; /* bytes, Ethernet header included */
	unsigned int rx_header_split; /* bytes of header with a descriptor of its own, or 0 */

	struct virtqueue tx;
	struct net_header *tx_headers; /* by first descriptor */
	uint8_t *tx_bounce; /* the same, RX_BUFFER_BYTES each: rings too short to gather */
	bool tx_in_place;   /* the device takes header and frame in one piece */
	struct timer tx_timer;
	bool tx_overdue; /* the timer fired and the device still had frames */
};

static struct virtio_net *to_net(struct netdev *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static struct virtio_net *to_net_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_net, vdev);
}

/* --- Receive ----------------------------------------------------------------------------------- */

/* Header and frame apart, for the legacy devices that insist. */
static NOINLINE int rx_post_split(struct virtio_net *n, struct rx_buffer *b)
{
	unsigned int split = n->rx_header_split;
	const struct vq_piece pieces[2] = {{b->start, split},
	                                   {b->start + split, n->rx_bytes - split}};

	return vq_add(&n->rx, pieces, 0, 2, b);
}

/* Returns 0 or -ENOBUFS. */
static int rx_post(struct virtio_net *n, struct rx_buffer *b)
{
	if (n->rx_header_split != 0)
		return rx_post_split(n, b);
	return vq_add_one(&n->rx, b->start, n->rx_bytes, true, b);
}

/* Post from a list until that or the room is used up. Returns how many. */
static unsigned int rx_post_list(struct virtio_net *n, struct netbuf **list)
{
	unsigned int posted = 0;

	while (*list) {
		struct netbuf *next = (*list)->next;

		if (rx_post(n, container_of(*list, struct rx_buffer, nb)) < 0)
			break;
		*list = next;
		posted++;
	}
	return posted;
}

/* The same for a lot of those that never were in the ring. */
static unsigned int rx_post_fresh(struct virtio_net *n)
{
	unsigned int lot = MIN(RX_LOT, n->dev.rx_buffers - n->rx_fresh), posted = 0;

	while (posted < lot) {
		struct rx_buffer *b = &n->rx_buffers[n->rx_fresh];

		b->nb.dev = &n->dev;
		b->nb.headroom_bytes = (uint8_t)n->header_bytes;
		b->start = n->rx_memory + (size_t)n->rx_fresh * RX_BUFFER_BYTES + n->rx_pad;
		if (rx_post(n, b) < 0)
			break;
		n->rx_fresh++;
		posted++;
	}
	return posted;
}

static struct netbuf *take_free_list(struct netdev *dev)
{
	unsigned long daif = irq_save();
	struct netbuf *list = dev->free_list;

	dev->free_list = NULL;
	irq_restore_quiet(daif);
	return list;
}

static void keep_spare(struct virtio_net *n, struct netbuf *list)
{
	while (list) {
		struct netbuf *next = list->next;

		list->next = n->rx_spare;
		n->rx_spare = list;
		list = next;
	}
}

/* Few at a time are not worth it, as long as the ring has enough. */
static bool is_refill_due(const struct virtio_net *n)
{
	return MIN(n->rx.free_count, n->dev.free_count) >= n->rx.size / 8 ||
	       n->rx.in_flight < n->dev.rx_ring_low;
}

static FAST void virtio_net_refill(struct netdev *dev)
{
	struct virtio_net *n = to_net(dev);
	struct netbuf *list;
	unsigned int posted;
	unsigned long daif;

	if (!is_refill_due(n))
		return;
	list = take_free_list(dev);
	posted = rx_post_list(n, &list);
	keep_spare(n, list);
	posted += rx_post_list(n, &n->rx_spare);
	if (!n->rx_spare)
		posted += rx_post_fresh(n);
	daif = irq_save();
	dev->free_count -= posted;
	irq_restore_quiet(daif);
	vq_kick(&n->rx);
}

static void rx_hold(struct netdev *dev, unsigned int count)
{
	unsigned long daif = irq_save();

	dev->held_count += count;
	irq_restore_quiet(daif);
}

/* A buffer from the ring as a netbuf of the bytes from skip on, or NULL. */
static inline struct netbuf *rx_take(struct virtio_net *n, unsigned int skip)
{
	struct rx_buffer *b = vq_is_empty(&n->rx) ? NULL : vq_pop(&n->rx);
	uint32_t bytes = n->rx.popped_bytes;

	if (!b)
		return NULL;
	if (bytes < skip || bytes == 0) {
		/* Lost to the ring, which is no more. */
		virtio_break(&n->vdev, "it received less than a header");
		return NULL;
	}
	b->nb.next = NULL;
	b->nb.data = b->start + skip;
	b->nb.bytes = bytes - skip;
	b->nb.flags = 0;
	return &b->nb;
}

/* The other buffers of a merged frame. All of them are used by the time the first is: 5.1.6.3.2. */
static bool rx_take_rest(struct virtio_net *n, struct netbuf *first, unsigned int count)
{
	struct netbuf *last = first;

	if (count == 0) {
		virtio_break(&n->vdev, "it received a frame of no buffers");
		return false;
	}
	for (unsigned int i = 1; i < count; i++) {
		last->next = rx_take(n, 0);
		if (!last->next) {
			virtio_break(&n->vdev, "it received less than it said");
			return false;
		}
		last = last->next;
	}
	return true;
}

static uint32_t chain_bytes(const struct netbuf *nb)
{
	uint32_t bytes = 0;

	for (; nb; nb = nb->next)
		bytes += nb->bytes;
	return bytes;
}

/* A large frame's checksum is never finished: section 5.1.6.4.1. */
static inline bool is_frame(const struct virtio_net *n, uint32_t bytes, unsigned int flags,
                            unsigned int gso_type)
{
	uint64_t allowed = gso_type == GSO_TCPV4 ? F_GUEST_TSO4 : F_GUEST_TSO6;

	if (bytes < ETHERNET_HEADER_BYTES)
		return false;
	if (gso_type == GSO_NONE)
		return bytes <= n->rx_frame_max;
	return (gso_type == GSO_TCPV4 || gso_type == GSO_TCPV6) && (n->vdev.features & allowed) &&
	       (flags & HEADER_NEEDS_CSUM) && bytes <= RX_LARGE_BYTES;
}

/* NETBUF_*: section 5.1.6.4.1. */
static uint32_t checksum_flags(struct netbuf *frame, struct net_header *header, unsigned int flags)
{
	if (flags & HEADER_NEEDS_CSUM) {
		frame->csum_start = SHARED(header->csum_start);
		frame->csum_offset = SHARED(header->csum_offset);
		return NETBUF_CSUM_OK | NETBUF_CSUM_UNFINISHED;
	}
	return flags & HEADER_DATA_VALID ? NETBUF_CSUM_OK : 0;
}

static FAST struct netbuf *virtio_net_receive(struct netdev *dev)
{
	struct virtio_net *n = to_net(dev);

	for (;;) {
		struct netbuf *frame = rx_take(n, n->header_bytes);
		unsigned int count = 1, flags, gso_type;
		struct net_header *header;
		uint32_t bytes;

		if (!frame)
			return NULL;
		header = (struct net_header *)(frame->data - n->header_bytes);
		flags = SHARED(header->flags);
		gso_type = SHARED(header->gso_type);
		if (n->vdev.features & F_MRG_RXBUF)
			count = SHARED(header->num_buffers);
		if (count != 1 && !rx_take_rest(n, frame, count))
			return NULL;
		rx_hold(dev, count);
		bytes = count == 1 ? frame->bytes : chain_bytes(frame);
		if (!is_frame(n, bytes, flags, gso_type)) {
			dev->stats.rx_errors++;
			netbuf_free_chain(frame);
			continue;
		}
		if (dev->features & NETDEV_RX_CSUM)
			frame->flags = checksum_flags(frame, header, flags);
		dev->stats.rx_frames++;
		dev->stats.rx_bytes += bytes;
		return frame;
	}
}

/* --- Transmit ---------------------------------------------------------------------------------- */

static void virtio_net_reap(struct netdev *dev)
{
	struct virtio_net *n = to_net(dev);
	void *cookie;

	while (!vq_is_empty(&n->tx) && (cookie = vq_pop(&n->tx)))
		dev->transmit_done(dev, cookie);
	while (dev->broken && (cookie = vq_drain(&n->tx)))
		dev->transmit_done(dev, cookie);
}

static NOINLINE bool tx_has_room(const struct virtio_net *n, unsigned int pieces)
{
	return vq_has_room(&n->tx, pieces);
}

/* True when there is room now; else an interrupt will tell. */
static bool tx_make_room(struct virtio_net *n, unsigned int pieces)
{
	virtio_net_reap(&n->dev);
	if (tx_has_room(n, pieces))
		return true;
	n->dev.stats.tx_ring_full++;
	vq_kick(&n->tx); /* what was never flushed would never be done */
	if (vq_arm(&n->tx, n->tx.in_flight / 2))
		virtio_net_reap(&n->dev);
	return tx_has_room(n, pieces);
}

static void fill_header(struct net_header *h, const struct netdev_tx *tx)
{
	*h = (struct net_header){0};
	if (tx->csum_offset != 0) {
		h->flags = HEADER_NEEDS_CSUM;
		h->csum_start = tx->csum_start;
		h->csum_offset = tx->csum_offset;
	}
	if (tx->gso_bytes != 0) {
		h->gso_type = tx->gso_ipv6 ? GSO_TCPV6 : GSO_TCPV4;
		h->gso_bytes = tx->gso_bytes;
		h->header_bytes = tx->header_bytes;
	}
}

/* The fragments as pieces. Returns their bytes. */
static uint32_t gather(struct vq_piece *pieces, const struct netdev_tx *tx)
{
	uint32_t bytes = 0;

	for (unsigned int i = 0; i < tx->frag_count; i++) {
		pieces[i] = (struct vq_piece){tx->frags[i].data, tx->frags[i].bytes};
		bytes += tx->frags[i].bytes;
	}
	return bytes;
}

/* The pieces as one, copied together for a ring that could not hold a long chain even when empty. */
static void copy_together(struct virtio_net *n, struct vq_piece *pieces, unsigned int count,
                          uint32_t bytes)
{
	uint8_t *start = n->tx_bounce + (size_t)vq_next_id(&n->tx) * RX_BUFFER_BYTES, *to = start;

	for (unsigned int i = 0; i < count; i++) {
		memcpy(to, pieces[i].data, pieces[i].bytes);
		to += pieces[i].bytes;
	}
	pieces[0] = (struct vq_piece){start, bytes};
}

static __attribute__((noinline)) int transmit_gathered(struct virtio_net *n,
                                                       const struct netdev_tx *tx)
{
	struct netdev *dev = &n->dev;
	struct vq_piece pieces[TX_PIECES];
	unsigned int count = n->tx_bounce ? 2 : tx->frag_count + 1;
	struct net_header *header;
	uint32_t bytes;

	if (dev->broken)
		return -ENETDOWN;
	if (tx->frag_count > NETDEV_MAX_FRAGS)
		return -EMSGSIZE;
	if (!tx_has_room(n, count) && !tx_make_room(n, count))
		return dev->broken ? -ENETDOWN : -ENOBUFS;
	bytes = gather(&pieces[1], tx);
	if (n->tx_bounce) {
		if (bytes > RX_BUFFER_BYTES)
			return -EMSGSIZE;
		copy_together(n, &pieces[1], tx->frag_count, bytes);
	}
	header = &n->tx_headers[vq_next_id(&n->tx)];
	fill_header(header, tx);
	pieces[0] = (struct vq_piece){header, n->header_bytes};
	vq_add(&n->tx, pieces, count, 0, tx->cookie);
	dev->stats.tx_frames++;
	dev->stats.tx_bytes += bytes;
	return 0;
}

/*
 * A frame in one piece with room for the header in front of it: one descriptor, for a device that does
 * not insist on two (section 5.1.6.6).
 */
static bool tx_is_simple(const struct virtio_net *n, const struct netdev_tx *tx)
{
	return tx->frag_count == 1 && tx->headroom_bytes >= sizeof(struct net_header) &&
	       n->tx_in_place && vq_has_room(&n->tx, 1) && !n->dev.broken;
}

static FAST int virtio_net_transmit(struct netdev *dev, const struct netdev_tx *tx)
{
	struct virtio_net *n = to_net(dev);
	struct net_header *header = (struct net_header *)(uintptr_t)tx->frags[0].data - 1;

	if (!tx_is_simple(n, tx))
		return transmit_gathered(n, tx);
	fill_header(header, tx);
	vq_add_one(&n->tx, header, (uint32_t)sizeof(*header) + tx->frags[0].bytes, false,
	           tx->cookie);
	dev->stats.tx_frames++;
	dev->stats.tx_bytes += tx->frags[0].bytes;
	return 0;
}

static void virtio_net_flush(struct netdev *dev)
{
	struct virtio_net *n = to_net(dev);

	vq_kick(&n->tx);
	if (n->tx.in_flight != 0 && !n->tx_timer.armed && !n->tx_overdue)
		timer_arm(&n->tx_timer, time_now_ns() + TX_HOLD_NS);
}

static void tx_timer_expired(struct timer *t)
{
	struct virtio_net *n = container_of(t, struct virtio_net, tx_timer);

	if (n->tx.in_flight == 0) /* reaped since: the usual case */
		return;
	n->tx_overdue = true;
	netdev_signal(&n->dev);
}

/* --- Interrupts, link -------------------------------------------------------------------------- */

static FAST bool virtio_net_arm(struct netdev *dev)
{
	struct virtio_net *n = to_net(dev);
	bool more = vq_arm(&n->rx, 0);

	if (!n->tx_overdue)
		return more;
	if (n->tx.in_flight == 0) {
		n->tx_overdue = false;
		return more;
	}
	return vq_arm(&n->tx, n->tx.in_flight / 2) || more;
}

static void virtio_net_queue_interrupt(struct virtio_device *vdev)
{
	struct virtio_net *n = to_net_of(vdev);

	n->dev.stats.interrupts++;
	vq_hush(&n->rx);
	vq_hush(&n->tx);
	netdev_signal(&n->dev);
}

/* Without F_STATUS the link counts as up: section 5.1.4.2. */
static bool read_link(struct virtio_net *n)
{
	n->status = STATUS_LINK_UP;
	if (n->vdev.features & F_STATUS)
		virtio_config(&n->vdev, CONFIG_STATUS, sizeof(n->status), 1, &n->status);
	return n->status & STATUS_LINK_UP;
}

static void virtio_net_config_interrupt(struct virtio_device *vdev)
{
	struct virtio_net *n = to_net_of(vdev);

	n->dev.link_up = read_link(n);
	netdev_signal(&n->dev);
}

static void virtio_net_broke(struct virtio_device *vdev)
{
	struct virtio_net *n = to_net_of(vdev);

	n->dev.broken = true;
	n->dev.link_up = false;
	netdev_signal(&n->dev);
}

static const struct netdev_ops virtio_net_ops = {
    .transmit = virtio_net_transmit,
    .flush = virtio_net_flush,
    .reap = virtio_net_reap,
    .receive = virtio_net_receive,
    .refill = virtio_net_refill,
    .arm = virtio_net_arm,
};

/* --- Probe ------------------------------------------------------------------------------------- */

/* A bit that makes no sense alone is not accepted: section 5.1.3.1. */
static uint64_t wanted_features(struct virtio_net *n, unsigned int buffers)
{
	struct virtio_device *vdev = &n->vdev;
	struct netdev *dev = &n->dev;
	uint64_t offered = virtio_offered(vdev), wanted = F_WANTED;
	unsigned int mtu_max = offered & F_MRG_RXBUF ? MTU_MAX : MTU_MAX_UNMERGED;

	if (!(offered & F_CSUM))
		wanted &= ~F_HOST_TSO;
	if (!netdev_large_receive || !(offered & F_GUEST_CSUM) || !(offered & F_MRG_RXBUF) ||
	    buffers < RX_LARGE_BUFFERS_MIN ||
	    virtio_queue_max(vdev, QUEUE_RX) < RX_LARGE_BUFFERS_MIN)
		wanted &= ~F_GUEST_TSO;
	/* An MTU that IP or our buffers cannot live with is as good as none. */
	if (!(offered & F_MTU) ||
	    virtio_config(vdev, CONFIG_MTU, sizeof(dev->mtu), 1, &dev->mtu) < 0 ||
	    dev->mtu < MTU_MIN || dev->mtu > mtu_max) {
		wanted &= ~F_MTU;
		dev->mtu = MTU_ETHERNET;
	}
	return wanted;
}

/* Section 5.1.6: 12 bytes, but 10 in legacy devices without MRG_RXBUF. */
static void choose_layout(struct virtio_net *n)
{
	struct virtio_device *vdev = &n->vdev;
	bool merge = (vdev->features & F_MRG_RXBUF) != 0;

	n->header_bytes = sizeof(struct net_header);
	if (vdev->legacy && !merge)
		n->header_bytes = offsetof(struct net_header, num_buffers);
	/* Only what knows better than the legacy rules takes header and frame in one descriptor. */
	if (vdev->legacy && !merge && !(vdev->features & VIRTIO_F_ANY_LAYOUT))
		n->rx_header_split = n->header_bytes;
	n->tx_in_place = n->header_bytes == sizeof(struct net_header) &&
	                 (vdev->features & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT));
	n->rx_pad = RX_IP_OFFSET - ETHERNET_HEADER_BYTES - n->header_bytes;
	n->rx_bytes = RX_BUFFER_BYTES - n->rx_pad;
}

static int read_config(struct virtio_net *n)
{
	struct netdev *dev = &n->dev;

	n->rx_frame_max = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + dev->mtu;
	dev->link_up = read_link(n);
	if (n->vdev.features & F_MAC)
		return virtio_config(&n->vdev, CONFIG_MAC, 1, sizeof(dev->mac), dev->mac);
	return 0;
}

static void offer_offloads(struct virtio_net *n)
{
	uint64_t features = n->vdev.features;

	if (features & F_CSUM)
		n->dev.features |= NETDEV_TX_CSUM;
	if (features & F_GUEST_CSUM)
		n->dev.features |= NETDEV_RX_CSUM;
	if ((features & F_HOST_TSO4) && !n->tx_bounce)
		n->dev.features |= NETDEV_TX_TSO4;
	if ((features & F_HOST_TSO6) && !n->tx_bounce)
		n->dev.features |= NETDEV_TX_TSO6;
}

static int set_up_rx(struct virtio_net *n, unsigned int count)
{
	struct netdev *dev = &n->dev;
	unsigned int pieces = n->rx_header_split != 0 ? 2 : 1;
	bool large = n->vdev.features & F_GUEST_TSO;
	int err = virtio_queue(&n->vdev, QUEUE_RX, &n->rx, count * pieces, 0);

	if (err < 0)
		return err;
	/* Whatever is free in one run: half as many buffers are better than no network. */
	while (count >= (large ? RX_LARGE_BUFFERS_MIN : RX_BUFFERS_MIN) && !n->rx_memory) {
		dev->rx_buffers = count;
		n->rx_memory =
		    page_alloc(ALIGN_UP((size_t)count * RX_BUFFER_BYTES, PAGE_BYTES) / PAGE_BYTES,
		               PAGE_BYTES, UINT64_MAX);
		count /= 2;
	}
	n->rx_buffers = malloc(dev->rx_buffers * sizeof(*n->rx_buffers));
	if (!n->rx_memory || !n->rx_buffers)
		return -ENOMEM;
	dev->rx_buffer_bytes = RX_BUFFER_BYTES;
	dev->rx_free_low = MAX(dev->rx_buffers / 4, large ? 2 * RX_LARGE_BUFFERS : 0);
	dev->rx_ring_low = large ? RX_LARGE_BUFFERS : RX_RING_LOW;
	dev->free_count = dev->rx_buffers;
	return 0;
}

static int set_up_tx(struct virtio_net *n, unsigned int count)
{
	int err = virtio_queue(&n->vdev, QUEUE_TX, &n->tx, MIN(count, TX_RING_MAX), TX_PIECES);

	if (err < 0)
		return err;
	if (n->tx.size < 2) /* header and frame */
		return -ENOTSUP;
	n->tx_headers = malloc(n->tx.size * sizeof(*n->tx_headers));
	if (!n->tx_headers)
		return -ENOMEM;
	if (n->tx.size >= TX_PIECES)
		return 0;
	n->tx_bounce = malloc((size_t)n->tx.size * RX_BUFFER_BYTES);
	return n->tx_bounce ? 0 : -ENOMEM;
}

static void report(const struct virtio_net *n)
{
	const struct netdev *dev = &n->dev;

	klog("%s: virtio-net%s %02x:%02x:%02x:%02x:%02x:%02x, mtu %u, rings %u/%u, %u "
	     "buffers%s%s%s%s",
	     dev->name, n->vdev.legacy ? " (legacy)" : "", dev->mac[0], dev->mac[1], dev->mac[2],
	     dev->mac[3], dev->mac[4], dev->mac[5], dev->mtu, n->rx.size, n->tx.size,
	     dev->rx_buffers, dev->features & NETDEV_TX_CSUM ? ", tx csum" : "",
	     dev->features & NETDEV_RX_CSUM ? ", rx csum" : "",
	     dev->features & NETDEV_TX_TSO4 ? ", tx large" : "",
	     n->vdev.features & F_GUEST_TSO ? ", rx large" : "");
}

static int set_up(struct virtio_net *n)
{
	/* Frames on their way out, too: both scale from RAM. */
	unsigned int buffers = netdev_rx_buffers_wanted();
	int err = virtio_negotiate(&n->vdev, wanted_features(n, buffers));

	if (err < 0)
		return err;
	choose_layout(n);
	err = read_config(n);
	if (err == 0)
		err = set_up_rx(n, buffers);
	if (err == 0)
		err = set_up_tx(n, buffers);
	if (err < 0)
		return err;
	netdev_ensure_mac(&n->dev);
	offer_offloads(n);
	return virtio_start(&n->vdev);
}

static void tear_down(struct virtio_net *n)
{
	vq_free(&n->rx);
	vq_free(&n->tx);
	if (n->rx_memory)
		page_free(n->rx_memory,
		          ALIGN_UP((size_t)n->dev.rx_buffers * RX_BUFFER_BYTES, PAGE_BYTES) /
		              PAGE_BYTES);
	free(n->rx_buffers);
	free(n->tx_headers);
	free(n->tx_bounce);
}

static int virtio_net_probe(struct virtio_device *vdev)
{
	struct virtio_net *n = to_net_of(vdev);
	int err;

	n->tx_timer.expired = tx_timer_expired;
	netdev_name(&n->dev);
	n->dev.node = vdev->node;
	n->dev.ops = &virtio_net_ops;
	err = set_up(n);
	if (err < 0) {
		tear_down(n);
		return err;
	}
	report(n);
	netdev_register(&n->dev);
	return 0;
}

VIRTIO_DRIVER(net) = {
    .name = "virtio-net",
    .device_id = VIRTIO_ID_NET,
    .state_bytes = sizeof(struct virtio_net),
    .probe = virtio_net_probe,
    .queue_interrupt = virtio_net_queue_interrupt,
    .config_interrupt = virtio_net_config_interrupt,
    .broke = virtio_net_broke,
};
