/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices: what a NIC driver offers to net/.
 *
 * One network thread per machine sleeps in netdev_wait() and drives the devices; the driver's
 * interrupt handler only calls netdev_signal(). Other threads may call a device's operations too:
 * net/ serializes them all by its lock.
 */
#ifndef PITH_NETDEV_H
#define PITH_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/dt.h>

struct netdev;

/* Received bytes: a whole frame, or one fragment of it. */
struct netbuf {
	struct netbuf *next; /* next fragment of this frame; free list */
	struct netdev *dev;
	uint8_t *data;
	uint32_t bytes;
	uint32_t flags; /* NETBUF_*, in the first fragment */
	/* With NETBUF_CSUM_UNFINISHED: as in struct netdev_tx, in the frame. As the device says. */
	uint16_t csum_start, csum_offset;
	uint8_t
	    headroom_bytes; /* in front of a frame's first fragment, of no use to anybody any more */
	uint64_t stack_priv[10]; /* net/'s, for the life of the buffer (a pbuf_custom) */
};
/* Checksums known good (virtio DATA_VALID, or NEEDS_CSUM: never crossed a wire). */
#define NETBUF_CSUM_OK 1u
/* One of them is not there yet, but only the pseudo header's sum (virtio NEEDS_CSUM). */
#define NETBUF_CSUM_UNFINISHED 2u

/* A transmitted frame, scatter-gather; the bytes stay untouched until transmit_done. */
struct netdev_frag {
	const void *data;
	uint32_t bytes;
};
#define NETDEV_MAX_FRAGS 18
struct netdev_tx {
	const struct netdev_frag *frags;
	unsigned int frag_count;
	/*
	 * csum_offset != 0: the device fills in the checksum: sum from csum_start to the end of the
	 * frame, stored at csum_start + csum_offset, which holds the pseudo-header's sum. Only with
	 * NETDEV_TX_CSUM.
	 */
	uint16_t csum_start, csum_offset;
	/*
	 * gso_bytes != 0: the device cuts the TCP segment into pieces of that many payload bytes
	 * (NETDEV_TX_TSO4/6); header_bytes: Ethernet + IP + TCP headers.
	 */
	uint16_t gso_bytes, header_bytes;
	bool gso_ipv6;
	/* So many bytes in front of the first fragment may be overwritten, by a header of the device's. */
	uint8_t headroom_bytes;
	void *cookie; /* comes back in transmit_done */
};

#define NETDEV_TX_CSUM 1u
#define NETDEV_RX_CSUM 2u
#define NETDEV_TX_TSO4 4u
#define NETDEV_TX_TSO6 8u

struct netdev_stats {
	uint64_t rx_frames, rx_bytes, rx_dropped, rx_errors;
	uint64_t tx_frames, tx_bytes, tx_dropped, tx_errors;
	uint64_t interrupts, rx_copied, rx_no_buffer, tx_ring_full;
	uint64_t resets; /* of a device that was stuck, or broke its rules, by its driver */
};

struct netdev_ops {
	/*
	 * Queue a frame. Does not notify the device: flush does. With the ring full it reaps first,
	 * so transmit_done may be called from within, for frames before this one.
	 * Returns 0; -ENOBUFS still full (when there is room again the network thread is signalled,
	 * and reap calls transmit_done); -ENETDOWN; -EMSGSIZE
	 */
	int (*transmit)(struct netdev *dev, const struct netdev_tx *tx);
	/* Tell the device about everything queued since the last flush. */
	void (*flush)(struct netdev *dev);
	/*
	 * Collect finished transmissions: calls dev->transmit_done for each. The network thread does
	 * it whenever it runs; it is signalled for the sake of this alone only when the ring was
	 * full, or frames have been waiting for some milliseconds. After the device broke: all of
	 * them.
	 */
	void (*reap)(struct netdev *dev);
	/* The next received frame as a chain of netbufs, or NULL. */
	struct netbuf *(*receive)(struct netdev *dev);
	/* Give freed buffers back to the ring and notify the device if it needs it. */
	void (*refill)(struct netdev *dev);
	/*
	 * Interrupts wanted from now on. Returns true if something arrived meanwhile: poll again
	 * instead of sleeping. Until the next call, interrupts are suppressed as well as may be.
	 */
	bool (*arm)(struct netdev *dev);
};

/*
 * Who forwards frames past the stack. Called in the network thread, under net_lock(); what it queued at
 * any device, which true says, is flushed after the batch.
 */
struct netdev_forwarder {
	/* Before each batch: transmit_done has been called for what is done. */
	bool (*resume)(struct netdev *dev);
	/*
	 * Each received frame, before the stack sees it. True: it is the forwarder's, stack_priv too, and
	 * goes back by netbuf_free(), each fragment of it.
	 */
	bool (*claim)(struct netdev *dev, struct netbuf *frame);
};

struct netdev {
	char name[8]; /* netdev_name() */
	const struct netdev_ops *ops;
	dt_node node;
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t features; /* NETDEV_* that were negotiated */
	bool link_up;      /* changes are signalled */
	bool broken;       /* the device broke its rules: every call says -ENETDOWN */
	unsigned int rx_buffers, rx_buffer_bytes;
	unsigned int rx_free_low; /* fewer free+posted than this: net/ copies instead of keeping */
	unsigned int rx_ring_low; /* fewer posted than this: the largest frame may not fit */
	struct netdev_stats stats;
	/* Set by net/ when it takes the device over. */
	void (*transmit_done)(struct netdev *dev, void *cookie);
	void *stack;
	/* Set by who forwards, under net_lock(). */
	const struct netdev_forwarder *forwarder;
	void *forwarder_priv;
	struct netdev *next;
	/* Freed buffers waiting for refill, by netbuf_free. */
	struct netbuf *free_list;
	unsigned int free_count;
	/* Buffers that the stack holds now (neither in ring nor on the free list). */
	unsigned int held_count;
};

/*
 * From probe, before anything else: the name of the device to be, "eth" and how many there are. It is
 * the next one's again if the probe fails.
 */
void netdev_name(struct netdev *dev);
/*
 * From probe: hand the device to net/ (which may not be up yet: it finds it by netdev_first).
 * rx_buffers scale from RAM: netdev_rx_buffers_wanted().
 */
void netdev_register(struct netdev *dev);
struct netdev *netdev_first(void);
/*
 * A device that brings no usable address (none, or a group's) gets a locally administered one
 * (IEEE Std 802, U/L bit). It has to be unlike its neighbours', not secret. Thread or boot.
 */
void netdev_ensure_mac(struct netdev *dev);
unsigned int netdev_rx_buffers_wanted(void);
/*
 * Whether devices may hand up frames larger than the MTU. True, but in a program that has a definition
 * of its own: who forwards frames could not send those.
 */
extern const bool netdev_large_receive;
/* The network thread's side: sleep until signalled or deadline. Returns true if signalled. */
bool netdev_wait(uint64_t deadline_ns);
/* Wake netdev_wait: work queued by other threads. Any context. */
void netdev_kick(void);
/*
 * From the interrupt handler (or on link change): the network thread has work. It serves all devices,
 * and asks each: which one it was does not matter to it. Any context.
 */
static inline void netdev_signal(struct netdev *dev)
{
	(void)dev;
	netdev_kick();
}
/* Any thread or interrupt: the buffer (one fragment) goes back; only puts it on a list. */
void netbuf_free(struct netbuf *nb);
/* The same for all fragments of a frame; NULL: none. */
void netbuf_free_chain(struct netbuf *nb);

#endif
