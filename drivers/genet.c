/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcom GENET v5, the Ethernet controller of the BCM2711 (Raspberry Pi 4), with its MDIO bus.
 *
 * Both rings are the controller's default ones (number 16), of 256 descriptors at most, which lie
 * in the controller's registers. Each ring has two indices that count to 2^16: one side fills, the
 * other empties.
 *  - Receive: the controller fills descriptors from PROD_INDEX on, up to a ring's length after
 *    CONS_INDEX. A buffer that the stack keeps leaves its descriptor empty; CONS_INDEX follows as
 *    refill puts other buffers there, in order.
 *  - Transmit: a descriptor a fragment. Finished frames cause no interrupts, as in virtio_net.c:
 *    they are collected when the network thread runs anyway, or by a timer, or, with the ring full,
 *    by interrupts.
 *
 * What the controller says is checked: an index that it cannot have, or frames that do not leave
 * for TX_STUCK_NS, make it be reset, and too many resets make it broken.
 *
 * A second timer has the network thread look at the PHY, whose interrupt a Raspberry Pi does not
 * wire.
 *
 * There is no public manual. Register facts are those of Linux
 * (drivers/net/ethernet/broadcom/genet, drivers/net/mdio/mdio-bcm-unimac.c) and of U-Boot
 * (drivers/net/bcmgenet.c); "as Linux does" and "as U-Boot does" below mean these. docs/hardware.md
 * says what this driver has been tested against.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/netdev.h>
#include <pith/page.h>
#include <pith/time.h>
#include "phy.h"

/* --- Registers: offset, meaning ---------------------------------------------------------------- */

#define SYS_REV_CTRL        0x0000 /* 27:24 major version: 6 is v5 */
#define SYS_PORT_CTRL       0x0004 /* which PHY */
#define PORT_MODE_EXT_GPHY  3
#define SYS_RBUF_FLUSH_CTRL 0x0008
#define RBUF_FLUSH_RX       (1u << 0)
#define RBUF_FLUSH_UMAC     (1u << 1) /* resets the MAC while set */

#define EXT_RGMII_OOB_CTRL 0x008c
#define RGMII_LINK         (1u << 4)
#define OOB_DISABLE        (1u << 5)
#define RGMII_MODE_EN      (1u << 6)
#define ID_MODE_DIS        (1u << 16) /* the MAC does not delay the transmit clock */

/* Interrupts: block 0 has ours, block 1 those of the other rings. */
#define INTRL2_0           0x0200
#define INTRL2_1           0x0240
#define INTRL2_STAT        0x00
#define INTRL2_CLEAR       0x08 /* write 1: acknowledge */
#define INTRL2_MASK_STATUS 0x0c /* 1: masked */
#define INTRL2_MASK_SET    0x10
#define INTRL2_MASK_CLEAR  0x14
#define IRQ_LINK           (1u << 4 | 1u << 5) /* up, down */
#define IRQ_RX             (1u << 13) /* as many buffers as DMA_MBUF_DONE_THRESH are full */
#define IRQ_TX             (1u << 16) /* the same, sent */

#define RBUF_CTRL           0x0300
#define RBUF_64B_EN         (1u << 0) /* a status block before each frame */
#define RBUF_ALIGN_2B       (1u << 1) /* two bytes before it, so that IP is aligned */
#define RBUF_CHK_CTRL       0x0314
#define RBUF_TBUF_SIZE_CTRL 0x03b4
#define TBUF_CTRL           0x0600
#define TBUF_64B_EN         (1u << 0)

#define UMAC_CMD            0x0808
#define CMD_TX_EN           (1u << 0)
#define CMD_RX_EN           (1u << 1)
#define CMD_SPEED_SHIFT     2 /* 0: 10, 1: 100, 2: 1000 Mbit/s */
#define CMD_PROMISC         (1u << 4)
#define CMD_RX_PAUSE_IGNORE (1u << 8)
#define CMD_HD_EN           (1u << 10) /* half duplex */
#define CMD_SW_RESET        (1u << 13)
#define CMD_LCL_LOOP_EN     (1u << 15)
#define CMD_TX_PAUSE_IGNORE (1u << 28)
#define UMAC_MAC0           0x080c /* address, bytes 0 to 3 */
#define UMAC_MAC1           0x0810 /* bytes 4 and 5 */
#define UMAC_MAX_FRAME_LEN  0x0814
#define UMAC_TX_FLUSH       0x0b34
#define UMAC_MIB_CTRL       0x0d80
#define MIB_RESET           7      /* receive, runt, transmit counters */
#define UMAC_MDF_CTRL       0x0e50 /* address filters in use */

#define MDIO_CMD          0x0e14 /* 15:0 data, 20:16 register, 25:21 PHY */
#define MDIO_WRITE        (1u << 26)
#define MDIO_READ         (2u << 26)
#define MDIO_READ_FAIL    (1u << 28)
#define MDIO_START_BUSY   (1u << 29)
#define MDIO_CFG          0x0e18
#define MDIO_CLK_DIV      (0x3fu << 4) /* MDC is the reference / (2 * (this + 1)) */
#define MDIO_REFERENCE_HZ 250000000u

/* One block for each direction: descriptors, rings, control. */
#define RDMA        0x2000
#define TDMA        0x4000
#define DESCRIPTORS 256
/* A descriptor. */
#define DESC_BYTES      12
#define DESC_STATUS     0x00 /* length at 27:16, flags */
#define DESC_ADDRESS_LO 0x04
#define DESC_ADDRESS_HI 0x08
#define DESC_LENGTH(s)  ((s) >> 16 & 0xfff)
#define DESC_EOP        0x4000u /* last of a frame */
#define DESC_SOP        0x2000u /* first */
#define DESC_TX_QTAG    (0x3fu << 7)
#define DESC_TX_CRC     0x0040u /* append one; short frames are padded */
#define DESC_RX_ERRORS  0x001fu /* overflow, CRC, symbol, alignment, too long */
/* Ring 16. */
#define RING              (DESCRIPTORS * DESC_BYTES + 16 * 0x40)
#define RING_HW_PTR       (RING + 0x00) /* the controller's place, in words */
#define RING_HW_INDEX     (RING + 0x08) /* RX: PROD_INDEX, 31:16 frames dropped; TX: CONS_INDEX */
#define RING_SW_INDEX     (RING + 0x0c) /* RX: CONS_INDEX; TX: PROD_INDEX */
#define RING_BUF_SIZE     (RING + 0x10) /* descriptors at 31:16, bytes of a buffer */
#define RING_START        (RING + 0x14) /* first word of it, */
#define RING_END          (RING + 0x1c) /* and last */
#define RING_DONE_THRESH  (RING + 0x24) /* interrupt after as many */
#define RING_FLOW         (RING + 0x28) /* RX: XOFF at 31:16, XON; TX: flow period */
#define RING_SW_PTR       (RING + 0x2c)
#define RX_FLOW_THRESHOLD (5u << 16 | DESCRIPTORS / 16)
/* Control. */
#define DMA_CONTROL   (DESCRIPTORS * DESC_BYTES + 17 * 0x40)
#define DMA_RING_CFG  (DMA_CONTROL + 0x00) /* which rings there are, a bit each */
#define DMA_CTRL      (DMA_CONTROL + 0x04)
#define DMA_EN        (1u << 0)
#define DMA_RING_EN   (1u << (16 + 1))
#define DMA_STATUS    (DMA_CONTROL + 0x08)
#define DMA_DISABLED  (1u << 0)
#define DMA_BURST     (DMA_CONTROL + 0x0c)
#define DMA_BURST_MAX 8 /* on the BCM2711 */

/* --- State ------------------------------------------------------------------------------------- */

#define ADDRESS_BITS          40
#define ETHERNET_HEADER_BYTES 14
#define MTU                   1500
#define VLAN_TAG_BYTES        4
#define FRAME_BYTES_MAX       (ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + MTU) /* without CRC */
#define MAC_FRAME_BYTES_MAX   1536

#define RX_BUFFER_BYTES 2048
#define RX_RING_LOW     8
#define RX_PAD_BYTES    2 /* RBUF_ALIGN_2B */
#define RX_BUFFERS_MIN  16

#define TX_HOLD_NS  (10 * NS_PER_MS)
#define TX_STUCK_NS (2 * NS_PER_S)

#define MDIO_TIMEOUT_NS (10 * NS_PER_MS)
#define DMA_TIMEOUT_NS  (5 * NS_PER_MS)
#define LOOK_UP_NS      NS_PER_S          /* between looks at a PHY with a link, */
#define LOOK_DOWN_NS    (250 * NS_PER_MS) /* and without */

/* More resets than this in that time: it is broken. */
#define RESETS_MAX       8
#define RESETS_WINDOW_NS (10 * NS_PER_S)

struct rx_buffer {
	struct netbuf nb;
	uint8_t *start; /* RX_BUFFER_BYTES */
};

struct tx_slot {
	const void *data;
	uint32_t bytes;
	void *cookie; /* in the last of a frame, else NULL */
};

struct genet {
	struct netdev dev;
	uint8_t *regs;
	struct dma_bus bus;
	struct mdio_bus mdio;
	struct phy phy;
	bool phy_silent;   /* the last look at it failed */
	bool mac_tx_delay; /* the MAC shifts the transmit clock, not the PHY */
	bool look_due;     /* set by interrupt and timer */
	struct timer look_timer;
	uint64_t resets_since_ns;
	unsigned int resets; /* since then */

	struct rx_buffer *rx_buffers;
	uint8_t *rx_memory;
	struct netbuf *rx_spare; /* in no slot, nor on the free list */
	unsigned int rx_size;    /* descriptors in use, a power of two */
	unsigned int rx_ready;   /* frames from rx_next on, when last looked at */
	uint16_t rx_next;        /* index that we take next */
	uint16_t rx_given;       /* slots from here to rx_next are empty: CONS_INDEX */
	uint16_t rx_dropped;     /* the controller's count, when last looked at */

	uint16_t tx_next;    /* index that we fill next */
	uint16_t tx_told;    /* the controller knows of those before: PROD_INDEX */
	uint16_t tx_done;    /* those before are collected */
	uint16_t tx_seen;    /* tx_done, when last looked at for progress, */
	uint64_t tx_seen_ns; /* and since when */
	uint8_t *tx_bounce;  /* RX_BUFFER_BYTES a slot, where not all RAM can be reached */
	struct timer tx_timer;
	bool tx_overdue; /* the timer fired and frames were not sent, or the ring was full */

	/* Last, so that the others are near the start. */
	struct netbuf *rx_slot[DESCRIPTORS]; /* what each descriptor points at, or NULL */
	struct tx_slot tx_slot[DESCRIPTORS];
};

static struct genet *to_genet(struct netdev *dev)
{
	return container_of(dev, struct genet, dev);
}

static uint32_t get(struct genet *n, unsigned int offset)
{
	return read32(n->regs + offset);
}

static void put(struct genet *n, unsigned int offset, uint32_t value)
{
	write32(n->regs + offset, value);
}

/* Change the bits of mask. */
static void change_bits(uint8_t *reg, uint32_t mask, uint32_t value)
{
	write32(reg, (read32(reg) & ~mask) | value);
}

static void reset_engine(struct genet *n, const char *why);

/* --- MDIO -------------------------------------------------------------------------------------- */

/* About 30 us. */
static int mdio_transfer(struct mdio_bus *bus, unsigned int address, unsigned int reg, int value)
{
	struct genet *n = container_of(bus, struct genet, mdio);
	uint32_t action = value < 0 ? MDIO_READ : MDIO_WRITE | (uint32_t)value;
	uint8_t *command = n->regs + MDIO_CMD;
	uint32_t result;

	action |= address << 21 | reg << 16;
	write32(command, action);
	write32(command, action | MDIO_START_BUSY);
	if (io_wait32(command, MDIO_START_BUSY, 0, time_now_ns() + MDIO_TIMEOUT_NS) < 0)
		return -ETIMEDOUT;
	result = read32(command);
	if (value >= 0)
		return 0;
	return result & MDIO_READ_FAIL ? -EIO : (int)(result & 0xffff);
}

/* --- Receive ----------------------------------------------------------------------------------- */

static uint8_t *desc_at(uint8_t *block, size_t slot)
{
	return block + slot * DESC_BYTES;
}

static void put_address(uint8_t *desc, dma_addr_t address)
{
	write32(desc + DESC_ADDRESS_LO, (uint32_t)address);
	write32(desc + DESC_ADDRESS_HI, (uint32_t)(address >> 32));
}

static struct rx_buffer *to_buffer(struct netbuf *nb)
{
	return container_of(nb, struct rx_buffer, nb);
}

/* Put a buffer into the next empty slot. False: it cannot be mapped now (debug builds copy). */
static bool rx_give(struct genet *n, struct netbuf *nb)
{
	unsigned int slot = n->rx_given & (n->rx_size - 1);
	dma_addr_t address =
	    dma_map(&n->bus, to_buffer(nb)->start, RX_BUFFER_BYTES, DMA_FROM_DEVICE);

	if (address == DMA_NONE)
		return false;
	put_address(desc_at(n->regs + RDMA, slot), address);
	n->rx_slot[slot] = nb;
	n->rx_given++;
	return true;
}

static void add_free_count(struct netdev *dev, unsigned int count)
{
	unsigned long daif = irq_save();

	dev->free_count += count;
	irq_restore_quiet(daif);
}

static struct netbuf *take_free_list(struct netdev *dev)
{
	unsigned long daif = irq_save();
	struct netbuf *list = dev->free_list;

	dev->free_list = NULL;
	irq_restore_quiet(daif);
	return list;
}

static void push_spare(struct genet *n, struct netbuf *nb)
{
	nb->next = n->rx_spare;
	n->rx_spare = nb;
}

static void genet_refill(struct netdev *dev)
{
	struct genet *n = to_genet(dev);
	struct netbuf *list = take_free_list(dev), *nb;
	unsigned int given = 0;

	while ((nb = list)) {
		list = nb->next;
		push_spare(n, nb);
	}
	if (dev->broken)
		return;
	while (n->rx_given != n->rx_next && (nb = n->rx_spare) && rx_give(n, nb)) {
		n->rx_spare = nb->next;
		given++;
	}
	if (given == 0)
		return;
	add_free_count(dev, -given);
	io_wmb();
	put(n, RDMA + RING_SW_INDEX, n->rx_given);
}

/* Look how many frames there are. Returns false if none. */
static bool rx_look(struct genet *n)
{
	uint32_t index = get(n, RDMA + RING_HW_INDEX);
	uint16_t dropped = (uint16_t)(index >> 16), ready = (uint16_t)(index - n->rx_next);
	uint16_t empty = (uint16_t)(n->rx_next - n->rx_given);

	n->dev.stats.rx_dropped += (uint16_t)(dropped - n->rx_dropped);
	n->rx_dropped = dropped;
	if (ready > n->rx_size - empty) {
		reset_engine(n, "it filled more buffers than it was given");
		return false;
	}
	n->rx_ready = ready;
	return ready != 0;
}

/* Is it a whole frame without errors, of a length that can be? */
static bool rx_good(uint32_t status)
{
	uint32_t length = DESC_LENGTH(status);

	return (status & (DESC_SOP | DESC_EOP)) == (DESC_SOP | DESC_EOP) &&
	       !(status & DESC_RX_ERRORS) && length >= RX_PAD_BYTES + ETHERNET_HEADER_BYTES &&
	       length <= RX_PAD_BYTES + FRAME_BYTES_MAX;
}

/* The MAC passes all frames on: it has no other way to hear all multicast. */
static bool for_us(const struct netdev *dev, const uint8_t *frame)
{
	return (frame[0] & 1) || !memcmp(frame, dev->mac, sizeof(dev->mac));
}

/* The buffer of the next slot, ours again, with as much of it as the frame takes. */
static struct netbuf *rx_take(struct genet *n, uint32_t bytes)
{
	struct netbuf **slot = &n->rx_slot[n->rx_next & (n->rx_size - 1)], *nb = *slot;

	*slot = NULL;
	n->rx_next++;
	n->rx_ready--;
	dma_unmap(&n->bus, to_buffer(nb)->start, bytes, DMA_FROM_DEVICE);
	return nb;
}

static void rx_hold(struct netdev *dev)
{
	unsigned long daif = irq_save();

	dev->held_count++;
	irq_restore_quiet(daif);
}

static struct netbuf *genet_receive(struct netdev *dev)
{
	struct genet *n = to_genet(dev);

	while (!dev->broken && (n->rx_ready != 0 || rx_look(n))) {
		uint32_t status =
		    read32(desc_at(n->regs + RDMA, n->rx_next & (n->rx_size - 1)) + DESC_STATUS);
		bool good = rx_good(status);
		struct netbuf *nb = rx_take(n, good ? DESC_LENGTH(status) : 0);

		nb->data = to_buffer(nb)->start + RX_PAD_BYTES;
		if (good && for_us(dev, nb->data)) {
			nb->next = NULL;
			nb->bytes = DESC_LENGTH(status) - RX_PAD_BYTES;
			nb->flags = 0;
			rx_hold(dev);
			dev->stats.rx_frames++;
			dev->stats.rx_bytes += nb->bytes;
			return nb;
		}
		dev->stats.rx_errors += !good;
		add_free_count(dev, 1);
		push_spare(n, nb);
	}
	return NULL;
}

/* The controller has stopped: take back the buffers that it has. */
static void rx_take_all(struct genet *n)
{
	for (unsigned int i = 0; i < n->rx_size; i++) {
		struct netbuf *nb = n->rx_slot[i];

		if (!nb)
			continue;
		n->rx_slot[i] = NULL;
		dma_unmap(&n->bus, to_buffer(nb)->start, 0, DMA_FROM_DEVICE);
		add_free_count(&n->dev, 1);
		push_spare(n, nb);
	}
	n->rx_ready = 0;
	n->rx_given = (uint16_t)(n->rx_next - n->rx_size);
}

/* --- Transmit ---------------------------------------------------------------------------------- */

static struct tx_slot *tx_slot_at(struct genet *n, uint16_t index)
{
	return &n->tx_slot[index % DESCRIPTORS];
}

/* Collect the next count slots. */
static void tx_finish(struct genet *n, unsigned int count)
{
	while (count-- > 0) {
		struct tx_slot *slot = tx_slot_at(n, n->tx_done++);

		dma_unmap(&n->bus, slot->data, slot->bytes, DMA_TO_DEVICE);
		if (slot->cookie)
			n->dev.transmit_done(&n->dev, slot->cookie);
	}
}

/* All that the controller will never send. */
static void tx_lose(struct genet *n)
{
	for (uint16_t i = n->tx_done; i != n->tx_next; i++)
		n->dev.stats.tx_errors += tx_slot_at(n, i)->cookie != NULL;
	n->tx_told = n->tx_next;
	tx_finish(n, (uint16_t)(n->tx_next - n->tx_done));
}

static void genet_reap(struct netdev *dev)
{
	struct genet *n = to_genet(dev);
	uint16_t done;

	if (dev->broken)
		tx_lose(n);
	if (n->tx_done == n->tx_told)
		return;
	done = (uint16_t)(get(n, TDMA + RING_HW_INDEX) - n->tx_done);
	if (done > (uint16_t)(n->tx_told - n->tx_done))
		reset_engine(n, "it sent more than it was given");
	else
		tx_finish(n, done);
}

static bool tx_has_room(const struct genet *n, unsigned int count)
{
	return (uint16_t)(n->tx_next - n->tx_done) + count < DESCRIPTORS;
}

static void genet_flush(struct netdev *dev)
{
	struct genet *n = to_genet(dev);

	if (n->tx_told == n->tx_next || dev->broken)
		return;
	n->tx_told = n->tx_next;
	io_wmb();
	put(n, TDMA + RING_SW_INDEX, n->tx_told);
	if (!n->tx_timer.armed && !n->tx_overdue)
		timer_arm(&n->tx_timer, time_now_ns() + TX_HOLD_NS);
}

/* True when there is room now; else an interrupt will tell. */
static bool tx_make_room(struct genet *n, unsigned int count)
{
	genet_reap(&n->dev);
	if (tx_has_room(n, count))
		return true;
	n->dev.stats.tx_ring_full++;
	genet_flush(&n->dev); /* what was never flushed would never be done */
	n->tx_overdue = true;
	put(n, INTRL2_0 + INTRL2_CLEAR, IRQ_TX);
	put(n, INTRL2_0 + INTRL2_MASK_CLEAR, IRQ_TX);
	genet_reap(&n->dev);
	return tx_has_room(n, count);
}

/* Returns 0, or -EIO: some of it is out of the controller's reach, and nothing is queued. */
static int tx_queue(struct genet *n, const struct netdev_frag *frags, unsigned int count,
                    void *cookie)
{
	for (unsigned int i = 0; i < count; i++) {
		uint16_t index = (uint16_t)(n->tx_next + i);
		uint8_t *desc = desc_at(n->regs + TDMA, index % DESCRIPTORS);
		dma_addr_t address = dma_map(&n->bus, frags[i].data, frags[i].bytes, DMA_TO_DEVICE);

		if (address == DMA_NONE) {
			while (i-- > 0)
				dma_unmap(&n->bus, frags[i].data, frags[i].bytes, DMA_TO_DEVICE);
			return -EIO;
		}
		put_address(desc, address);
		write32(desc + DESC_STATUS, frags[i].bytes << 16 | DESC_TX_QTAG | DESC_TX_CRC |
		                                (i == 0 ? DESC_SOP : 0) |
		                                (i == count - 1 ? DESC_EOP : 0));
		*tx_slot_at(n, index) = (struct tx_slot){
		    .data = frags[i].data,
		    .bytes = frags[i].bytes,
		    .cookie = i == count - 1 ? cookie : NULL,
		};
	}
	n->tx_next = (uint16_t)(n->tx_next + count);
	return 0;
}

/* The same from memory that can be reached, of which each slot has some. */
static int tx_queue_copy(struct genet *n, const struct netdev_tx *tx)
{
	uint8_t *start = n->tx_bounce + (size_t)(n->tx_next % DESCRIPTORS) * RX_BUFFER_BYTES;
	struct netdev_frag whole = {start, 0};

	for (unsigned int i = 0; i < tx->frag_count; i++) {
		memcpy(start + whole.bytes, tx->frags[i].data, tx->frags[i].bytes);
		whole.bytes += tx->frags[i].bytes;
	}
	return tx_queue(n, &whole, 1, tx->cookie);
}

static int genet_transmit(struct netdev *dev, const struct netdev_tx *tx)
{
	struct genet *n = to_genet(dev);
	uint32_t bytes = 0;
	int err;

	assert(tx->frag_count != 0);
	if (dev->broken || !dev->link_up)
		return -ENETDOWN;
	for (unsigned int i = 0; i < tx->frag_count; i++)
		bytes += tx->frags[i].bytes;
	if (tx->frag_count > NETDEV_MAX_FRAGS || bytes > FRAME_BYTES_MAX)
		return -EMSGSIZE;
	if (!tx_has_room(n, tx->frag_count) && !tx_make_room(n, tx->frag_count))
		return dev->broken ? -ENETDOWN : -ENOBUFS;
	err = tx_queue(n, tx->frags, tx->frag_count, tx->cookie);
	if (err < 0 && n->tx_bounce)
		err = tx_queue_copy(n, tx);
	if (err < 0) {
		dev->stats.tx_dropped++;
		return err;
	}
	dev->stats.tx_frames++;
	dev->stats.tx_bytes += bytes;
	return 0;
}

static void tx_timer_expired(struct timer *t)
{
	struct genet *n = container_of(t, struct genet, tx_timer);

	if (n->tx_done == n->tx_told) /* collected since: the usual case */
		return;
	n->tx_overdue = true;
	netdev_signal(&n->dev);
}

/* --- The engine: stop, reset, start ------------------------------------------------------------ */

/* Of RDMA or TDMA. Returns 0 or -ETIMEDOUT: it still reads or writes memory. */
static int stop_dma(uint8_t *block)
{
	if (!(read32(block + DMA_CTRL) & DMA_EN))
		return 0;
	change_bits(block + DMA_CTRL, DMA_EN, 0);
	if (io_wait32(block + DMA_STATUS, DMA_DISABLED, DMA_DISABLED,
	              time_now_ns() + DMA_TIMEOUT_NS) < 0)
		return -ETIMEDOUT;
	write32(block + DMA_CTRL, 0);
	return 0;
}

/* The MAC first takes no more frames, then what is under way is thrown away. */
static int stop_engine(struct genet *n)
{
	uint8_t *regs = n->regs;
	int tx, rx;

	change_bits(regs + UMAC_CMD, CMD_RX_EN, 0);
	write32(regs + UMAC_TX_FLUSH, 1);
	tx = stop_dma(regs + TDMA);
	rx = stop_dma(regs + RDMA);
	delay_us(10);
	write32(regs + UMAC_TX_FLUSH, 0);
	change_bits(regs + UMAC_CMD, CMD_TX_EN, 0);
	return tx < 0 ? tx : rx;
}

static void hush(uint8_t *regs)
{
	write32(regs + INTRL2_0 + INTRL2_MASK_SET, UINT32_MAX);
	write32(regs + INTRL2_0 + INTRL2_CLEAR, UINT32_MAX);
	write32(regs + INTRL2_1 + INTRL2_MASK_SET, UINT32_MAX);
	write32(regs + INTRL2_1 + INTRL2_CLEAR, UINT32_MAX);
}

static void pulse_flush(uint8_t *regs, uint32_t bit)
{
	write32(regs + SYS_RBUF_FLUSH_CTRL, bit);
	delay_us(10);
	write32(regs + SYS_RBUF_FLUSH_CTRL, 0);
	delay_us(10);
}

/* Leaves the MAC off, with its registers set. The loop gives it a clock to reset by: as U-Boot does. */
static void reset_mac(struct genet *n)
{
	const uint8_t *mac = n->dev.mac;
	uint8_t *regs = n->regs;

	pulse_flush(regs, RBUF_FLUSH_UMAC);
	write32(regs + UMAC_CMD, 0);
	write32(regs + UMAC_CMD, CMD_SW_RESET | CMD_LCL_LOOP_EN);
	delay_us(2);
	write32(regs + UMAC_CMD, 0);
	write32(regs + UMAC_MIB_CTRL, MIB_RESET);
	write32(regs + UMAC_MIB_CTRL, 0);
	write32(regs + UMAC_MAX_FRAME_LEN, MAC_FRAME_BYTES_MAX);
	change_bits(regs + RBUF_CTRL, RBUF_64B_EN | RBUF_ALIGN_2B, RBUF_ALIGN_2B);
	write32(regs + RBUF_CHK_CTRL, 0);
	change_bits(regs + TBUF_CTRL, TBUF_64B_EN, 0);
	write32(regs + RBUF_TBUF_SIZE_CTRL, 1);
	write32(regs + UMAC_MAC0,
	        (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3]);
	write32(regs + UMAC_MAC1, (uint32_t)mac[4] << 8 | mac[5]);
	write32(regs + UMAC_MDF_CTRL, 0);
	write32(regs + SYS_PORT_CTRL, PORT_MODE_EXT_GPHY);
	change_bits(regs + EXT_RGMII_OOB_CTRL, OOB_DISABLE | ID_MODE_DIS | RGMII_LINK,
	            RGMII_MODE_EN | (n->mac_tx_delay ? 0 : ID_MODE_DIS));
	pulse_flush(regs, RBUF_FLUSH_RX);
	hush(regs);
}

/*
 * Set a ring up to go on at index, which is where the controller is: it cannot be told to begin at
 * 0 (as U-Boot found).
 */
static void start_ring(uint8_t *block, unsigned int size, unsigned int index, uint32_t flow)
{
	unsigned int place = index % size * (DESC_BYTES / 4);

	write32(block + DMA_BURST, DMA_BURST_MAX);
	write32(block + RING_START, 0);
	write32(block + RING_END, size * (DESC_BYTES / 4) - 1);
	write32(block + RING_HW_PTR, place);
	write32(block + RING_SW_PTR, place);
	write32(block + RING_BUF_SIZE, size << 16 | RX_BUFFER_BYTES);
	write32(block + RING_DONE_THRESH, 1);
	write32(block + DMA_RING_CFG, 1u << 16);
	write32(block + RING_FLOW, flow);
}

static void start_engine(struct genet *n)
{
	uint8_t *rdma = n->regs + RDMA, *tdma = n->regs + TDMA;
	uint32_t rx = read32(rdma + RING_HW_INDEX);

	n->rx_next = (uint16_t)rx;
	n->rx_dropped = (uint16_t)(rx >> 16);
	n->rx_given = (uint16_t)(rx - n->rx_size);
	n->rx_ready = 0;
	start_ring(rdma, n->rx_size, n->rx_next, RX_FLOW_THRESHOLD);
	write32(rdma + RING_SW_INDEX, n->rx_given);
	genet_refill(&n->dev);

	n->tx_next = (uint16_t)read32(tdma + RING_HW_INDEX);
	n->tx_told = n->tx_done = n->tx_seen = n->tx_next;
	n->tx_seen_ns = time_now_ns();
	start_ring(tdma, DESCRIPTORS, n->tx_next, 0);
	write32(tdma + RING_SW_INDEX, n->tx_next);

	write32(tdma + DMA_CTRL, DMA_RING_EN | DMA_EN);
	write32(rdma + DMA_CTRL, DMA_RING_EN | DMA_EN);
}

/* --- Link -------------------------------------------------------------------------------------- */

/* Tell the MAC what the PHY found. */
static void follow_phy(struct genet *n)
{
	const struct phy *phy = &n->phy;
	uint32_t speed = phy->speed_mbps == 1000 ? 2 : phy->speed_mbps == 100 ? 1 : 0;

	n->dev.link_up = phy->link_up;
	change_bits(n->regs + EXT_RGMII_OOB_CTRL, RGMII_LINK, phy->link_up ? RGMII_LINK : 0);
	if (!phy->link_up)
		return;
	put(n, UMAC_CMD,
	    CMD_TX_EN | CMD_RX_EN | CMD_PROMISC | speed << CMD_SPEED_SHIFT |
	        (phy->full_duplex ? 0 : CMD_HD_EN) |
	        (phy->pause ? 0 : CMD_RX_PAUSE_IGNORE | CMD_TX_PAUSE_IGNORE));
	n->tx_seen_ns = time_now_ns();
	klog("%s: %u Mbit/s, %s duplex%s", n->dev.name, phy->speed_mbps,
	     phy->full_duplex ? "full" : "half", phy->pause ? ", pause" : "");
}

/* Returns whether the link has changed. */
static bool look_at_phy(struct genet *n)
{
	int r = phy_poll(&n->phy);

	if (r < 0 && !n->phy_silent) {
		klog("%s: PHY %u does not answer: error %d", n->dev.name, n->phy.address, -r);
		r = n->phy.link_up;
		n->phy.link_up = false;
		n->phy_silent = true;
	} else if (r >= 0) {
		n->phy_silent = false;
	}
	if (r <= 0)
		return false;
	follow_phy(n);
	return true;
}

/* --- When it fails ----------------------------------------------------------------------------- */

static void give_up(struct genet *n)
{
	hush(n->regs);
	n->dev.broken = true;
	n->dev.link_up = false;
	n->rx_ready = 0;
	netdev_signal(&n->dev);
}

static bool too_many_resets(struct genet *n)
{
	uint64_t now = time_now_ns();

	if (now - n->resets_since_ns > RESETS_WINDOW_NS) {
		n->resets_since_ns = now;
		n->resets = 0;
	}
	return ++n->resets > RESETS_MAX;
}

/* Frames that were on their way are lost. Blocks for some milliseconds at worst. */
static void reset_engine(struct genet *n, const char *why)
{
	bool hopeless = too_many_resets(n);

	n->dev.stats.resets++;
	klog("%s: %s: %s", n->dev.name, why, hopeless ? "given up" : "reset");
	if (stop_engine(n) < 0) {
		klog("%s: its DMA does not stop: given up", n->dev.name);
		hopeless = true;
	}
	if (hopeless) {
		give_up(n); /* receive buffers stay the controller's, which may go on writing */
		return;
	}
	rx_take_all(n);
	tx_lose(n);
	reset_mac(n);
	start_engine(n);
	follow_phy(n);
	netdev_signal(&n->dev);
}

/* Frames that wait although there is a link, and none leaves. */
static void watch_tx(struct genet *n)
{
	uint64_t now = time_now_ns();

	genet_reap(&n->dev);
	if (n->tx_done == n->tx_told || n->tx_done != n->tx_seen || !n->dev.link_up) {
		n->tx_seen = n->tx_done;
		n->tx_seen_ns = now;
	} else if (now - n->tx_seen_ns >= TX_STUCK_NS) {
		reset_engine(n, "transmission is stuck");
	}
}

/* --- Interrupt, timer, and what the network thread does for them -------------------------------- */

static void look_timer_expired(struct timer *t)
{
	struct genet *n = container_of(t, struct genet, look_timer);

	n->look_due = true;
	netdev_signal(&n->dev);
}

/* Returns whether there is news for the network thread. */
static bool look(struct genet *n)
{
	bool news;

	n->look_due = false;
	watch_tx(n);
	news = look_at_phy(n) || n->dev.broken;
	if (!n->dev.broken)
		timer_arm(&n->look_timer,
		          time_now_ns() + (n->dev.link_up ? LOOK_UP_NS : LOOK_DOWN_NS));
	return news;
}

static bool genet_arm(struct netdev *dev)
{
	struct genet *n = to_genet(dev);
	bool news = false;

	if (dev->broken)
		return false;
	if (n->look_due)
		news = look(n);
	if (n->tx_done == n->tx_told)
		n->tx_overdue = false;
	put(n, INTRL2_0 + INTRL2_CLEAR, IRQ_RX | IRQ_TX);
	put(n, INTRL2_0 + INTRL2_MASK_CLEAR, IRQ_RX | IRQ_LINK | (n->tx_overdue ? IRQ_TX : 0));
	if (n->tx_overdue && (uint16_t)get(n, TDMA + RING_HW_INDEX) != n->tx_done)
		news = true;
	return (!dev->broken && rx_look(n)) || news;
}

static void genet_interrupt(void *arg)
{
	struct genet *n = arg;
	uint32_t status = get(n, INTRL2_0 + INTRL2_STAT) & ~get(n, INTRL2_0 + INTRL2_MASK_STATUS);

	if (status == 0)
		return;
	put(n, INTRL2_0 + INTRL2_CLEAR, status);
	put(n, INTRL2_0 + INTRL2_MASK_SET, IRQ_RX | IRQ_TX);
	if (status & IRQ_LINK)
		n->look_due = true;
	n->dev.stats.interrupts++;
	netdev_signal(&n->dev);
}

static const struct netdev_ops genet_ops = {
    .transmit = genet_transmit,
    .flush = genet_flush,
    .reap = genet_reap,
    .receive = genet_receive,
    .refill = genet_refill,
    .arm = genet_arm,
};

/* --- Probe ------------------------------------------------------------------------------------- */

static int check_version(struct genet *n)
{
	uint32_t revision = get(n, SYS_REV_CTRL);

	if ((revision >> 24 & 15) != 6) {
		klog("%s: version %#x is not GENET v5", n->dev.name, revision);
		return -ENOTSUP;
	}
	return 0;
}

/*
 * Who delays RGMII's clocks. In rgmii-txid and rgmii-rxid trees the MAC delays the transmit clock
 * and the PHY the receive clock: that is how Linux reads them for this MAC, and what trees are
 * written for. In the others the PHY does both.
 */
static int read_phy_mode(struct genet *n)
{
	const char *mode = dt_string(n->dev.node, "phy-mode", 0);

	if (!mode || strlen(mode) < 5 || memcmp(mode, "rgmii", 5) != 0) {
		klog("%s: not RGMII: phy-mode %s", n->dev.name, mode ? mode : "missing");
		return -ENOTSUP;
	}
	n->mac_tx_delay = strcmp(mode, "rgmii-rxid") == 0 || strcmp(mode, "rgmii-txid") == 0;
	return 0;
}

static int set_up_phy(struct genet *n)
{
	int err = phy_find(&n->phy, &n->mdio, n->dev.node);

	if (err == 0)
		err = phy_start(&n->phy, !n->mac_tx_delay);
	if (err < 0)
		klog("%s: no PHY", n->dev.name);
	return err;
}

/* The MDIO bus, its clock slowed down where the tree says so. */
static void set_up_mdio(struct genet *n)
{

	n->mdio.transfer = mdio_transfer;
	dt_for_each_child(child, n->dev.node) {
		int64_t hz = dt_u32(child, "clock-frequency", 0);

		if (hz > 0 && dt_compatible(child, "brcm,genet-mdio-v5"))
			change_bits(n->regs + MDIO_CFG, MDIO_CLK_DIV,
			            MIN(MAX(MDIO_REFERENCE_HZ / 2 / hz, 1) - 1, 63) << 4);
	}
}

static void read_mac(struct netdev *dev)
{
	struct dt_value mac = dt_prop(dev->node, "local-mac-address");

	if (mac.bytes == sizeof(dev->mac))
		memcpy(dev->mac, mac.data, sizeof(dev->mac));
	netdev_ensure_mac(dev);
}

static int allocate(struct genet *n)
{
	struct netdev *dev = &n->dev;

	/* Whatever is free in one run: half as many buffers are better than no network. */
	for (dev->rx_buffers = netdev_rx_buffers_wanted();; dev->rx_buffers /= 2) {
		n->rx_memory = dma_alloc(&n->bus, (size_t)dev->rx_buffers * RX_BUFFER_BYTES);
		if (n->rx_memory)
			break;
		if (dev->rx_buffers / 2 < RX_BUFFERS_MIN)
			return -ENOMEM;
	}
	n->rx_buffers = calloc(dev->rx_buffers, sizeof(*n->rx_buffers));
	if (!n->rx_buffers)
		return -ENOMEM;
	if (n->bus.limit_pa != UINT64_MAX) {
		n->tx_bounce = dma_alloc(&n->bus, DESCRIPTORS * RX_BUFFER_BYTES);
		if (!n->tx_bounce)
			return -ENOMEM;
	}
	for (n->rx_size = DESCRIPTORS; n->rx_size > dev->rx_buffers;)
		n->rx_size /= 2;
	for (unsigned int i = dev->rx_buffers; i-- > 0;) {
		struct rx_buffer *b = &n->rx_buffers[i];

		b->nb.dev = dev;
		b->start = n->rx_memory + (size_t)i * RX_BUFFER_BYTES;
		push_spare(n, &b->nb);
	}
	dev->rx_buffer_bytes = RX_BUFFER_BYTES;
	dev->rx_free_low = dev->rx_buffers / 4;
	dev->rx_ring_low = RX_RING_LOW;
	dev->free_count = dev->rx_buffers;
	return 0;
}

static void release(struct genet *n)
{
	if (n->rx_memory)
		dma_free(n->rx_memory, (size_t)n->dev.rx_buffers * RX_BUFFER_BYTES);
	if (n->tx_bounce)
		dma_free(n->tx_bounce, DESCRIPTORS * RX_BUFFER_BYTES);
	free(n->rx_buffers);
}

/* The interrupt is the last that can fail: until then the controller has no buffers. */
static int set_up(struct genet *n, dt_node node)
{
	int err = check_version(n);

	if (err == 0)
		err = read_phy_mode(n);
	if (err == 0)
		err = dma_bus_init(&n->bus, node, (UINT64_C(1) << ADDRESS_BITS) - 1);
	if (err == 0)
		err = stop_engine(n); /* a boot loader may have left it running */
	if (err < 0)
		return err;
	read_mac(&n->dev);
	reset_mac(n);
	set_up_mdio(n);
	err = set_up_phy(n);
	if (err == 0)
		err = allocate(n);
	if (err == 0)
		err = irq_attach(node, 0, genet_interrupt, n);
	return err;
}

static int genet_probe(const struct device *d)
{
	struct genet *n = d->state;
	const uint8_t *mac;
	int err;

	n->regs = d->regs;
	netdev_name(&n->dev);
	n->dev.ops = &genet_ops;
	n->dev.node = d->node;
	n->dev.mtu = MTU;
	n->look_timer.expired = look_timer_expired;
	n->tx_timer.expired = tx_timer_expired;
	err = set_up(n, d->node);
	if (err < 0) {
		release(n);
		return err;
	}
	mac = n->dev.mac;
	klog("%s: GENET v5 %02x:%02x:%02x:%02x:%02x:%02x, PHY %u is %08x, rings %u/%u, %u buffers",
	     n->dev.name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], n->phy.address, n->phy.id,
	     n->rx_size, DESCRIPTORS, n->dev.rx_buffers);
	start_engine(n);
	netdev_register(&n->dev);
	look(n);
	return 0;
}

DRIVER(genet) = {
    .name = "genet",
    .compatible = "brcm,bcm2711-genet-v5\0",
    .stage = DRV_DEVICE,
    .first_read = FIRST_READ(SYS_REV_CTRL),
    .state_bytes = sizeof(struct genet),
    .reg_bytes = TDMA + DMA_BURST + 4,
    .probe = genet_probe,
};
