/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices, as their drivers see them: identity, features, configuration, queues. Private to
 * drivers/.
 *
 * virtio_mmio.c finds the devices and matches them, by device id, with the drivers registered here.
 * A driver's probe is a straight line:
 *
 *	virtio_negotiate(dev, wanted)		features
 *	virtio_config(dev, ...)			what the device says of itself
 *	virtio_queue(dev, index, &q, ...)	rings
 *	virtio_start(dev)			interrupt on, DRIVER_OK; the last call that can fail
 *
 * The device is not trusted. Whoever sees it break a rule calls virtio_break(), once and for all.
 *
 * Source: virtio 1.2, OASIS committee specification 01, July 2022 ("virtio 1.2" below); the legacy
 * interface is in its sections named so.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/dt.h>
#include "virtqueue.h"

/* Device ids: virtio 1.2, section 5. */
#define VIRTIO_ID_NET   1
#define VIRTIO_ID_BLOCK 2
#define VIRTIO_ID_RNG   4

/* Feature bits that belong to no device type: virtio 1.2, section 6. */
#define VIRTIO_F_ANY_LAYOUT    (1ull << 27) /* legacy only; always so in modern devices */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

struct virtio_driver;

/* What a driver keeps about a device begins with this. */
struct virtio_device {
	const struct virtio_driver *driver;
	uint8_t *regs;
	dt_node node;
	bool legacy;       /* version 1 of the transport: virtio 1.2, section 4.2.4 */
	bool broken;       /* virtio_break was called: the device is reset and stays so */
	uint64_t features; /* negotiated */
};

struct virtio_driver {
	const char *name; /* "virtio-net" */
	uint32_t device_id;
	uint32_t state_bytes; /* of what it keeps about a device, zeroed before probe, for good */
	/* As struct driver's. On failure the transport resets the device and forgets it. */
	int (*probe)(struct virtio_device *dev);
	/* Some queue may have used buffers. Interrupt context. */
	void (*queue_interrupt)(struct virtio_device *dev);
	/* The configuration changed. Interrupt context. May be NULL. */
	void (*config_interrupt)(struct virtio_device *dev);
	/* The device was disabled by virtio_break: wake whoever waits for it. Any context. */
	void (*broke)(struct virtio_device *dev);
};

/* As DRIVER() in pith/driver.h. */
#define VIRTIO_DRIVER(ident)                                                            \
	static const struct virtio_driver virtio_driver_##ident;                        \
	static const struct virtio_driver *const virtio_driver_entry_##ident            \
	    __attribute__((used, section(".virtio_drivers"))) = &virtio_driver_##ident; \
	static const struct virtio_driver virtio_driver_##ident

/*
 * Accept those of the wanted features that the device offers (dev->features), and VERSION_1.
 * Returns 0; -ENOTSUP the device wants what we don't speak (logged)
 */
int virtio_negotiate(struct virtio_device *dev, uint64_t wanted);

/* What the device offers, before or after negotiation. */
uint64_t virtio_offered(struct virtio_device *dev);

/*
 * Read count fields of width bytes (1, 2 or 4) at offset in the device's configuration: all from
 * one generation of it. A 64-bit field is two of 4.
 * Returns 0; -EIO the configuration never stands still
 */
int virtio_config(struct virtio_device *dev, unsigned int offset, unsigned int width,
                  unsigned int count, void *buf);

/* How many entries queue index can have, before or after negotiation; 0: there is no such queue. */
unsigned int virtio_queue_max(struct virtio_device *dev, unsigned int index);

/*
 * Set queue index up in q.
 *
 * wanted        entries; rounded up to a power of two, as far as the device's maximum allows
 * indirect_max  longest chain that gets an indirect table (if that was negotiated); 0: none
 * Returns       0; -ENOENT the device has no such queue; -ENOMEM
 */
int virtio_queue(struct virtio_device *dev, unsigned int index, struct virtqueue *q,
                 unsigned int wanted, unsigned int indirect_max);

/* Attach the interrupt and let the device run. Returns 0 or what irq_attach says. */
int virtio_start(struct virtio_device *dev);

/*
 * The device broke a rule: reset it, for ever, with one message that says why. Its memory is ours
 * again afterwards. Any context.
 */
void virtio_break(struct virtio_device *dev, const char *why);

#endif
