/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over MMIO, modern (version 2) and legacy (version 1): finds the device behind a
 * "virtio,mmio" node and hands it to the driver for its device id.
 *
 * QEMU's virt machine has 32 such nodes, most of them empty: an empty one must cost nothing.
 *
 * Source: virtio 1.2, sections 3.1 (initialization), 4.2 (virtio over MMIO).
 */
#include <errno.h>
#include <string.h>
#include <pith/boot_alloc.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include <pith/time.h>
#include "virtio.h"

/* Registers: section 4.2.2, table 4.1; for version 1 section 4.2.4, table 4.2. */
#define MAGIC               0x000 /* r  "virt" */
#define VERSION             0x004 /* r  2; 1: legacy */
#define DEVICE_ID           0x008 /* r  0: nothing here */
#define DEVICE_FEATURES     0x010 /* r  32 feature bits, as selected */
#define DEVICE_FEATURES_SEL 0x014 /* w */
#define DRIVER_FEATURES     0x020 /* w  32 feature bits, as selected */
#define DRIVER_FEATURES_SEL 0x024 /* w */
#define GUEST_PAGE_SIZE     0x028 /* w  version 1: bytes, unit of QUEUE_PFN */
#define QUEUE_SEL           0x030 /* w  which queue the QUEUE_ registers are about */
#define QUEUE_NUM_MAX       0x034 /* r  entries; 0: no such queue */
#define QUEUE_NUM           0x038 /* w  entries */
#define QUEUE_ALIGN         0x03c /* w  version 1: bytes, of the used ring */
#define QUEUE_PFN           0x040 /* rw version 1: the rings' page number */
#define QUEUE_READY         0x044 /* rw */
#define QUEUE_NOTIFY        0x050 /* w  queue index */
#define INTERRUPT_STATUS    0x060 /* r */
#define INTERRUPT_ACK       0x064 /* w */
#define STATUS              0x070 /* rw 0: reset */
#define QUEUE_DESC          0x080 /* w  64 bits in two registers, low one first */
#define QUEUE_DRIVER        0x090 /* w  the same */
#define QUEUE_DEVICE        0x0a0 /* w  the same */
#define CONFIG_GENERATION   0x0fc /* r */
#define CONFIG              0x100 /* rw the device's own */
#define REG_BYTES           0x140 /* no configuration that we read is longer */

#define MAGIC_VALUE 0x74726976u
#define IRQ_QUEUE   1u /* INTERRUPT_STATUS: a used ring was written */
#define IRQ_CONFIG  2u

/* STATUS: section 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED      128u

#define LEGACY_PAGE_BYTES 4096u

/* The specification names no bounds. QEMU resets at once; a generation changes when a user acts. */
#define RESET_TIMEOUT_NS (100 * NS_PER_MS)
#define CONFIG_TRIES     16

/* The drivers, gathered by the linker script. */
extern const struct virtio_driver *const __virtio_drivers_start[];
extern const struct virtio_driver *const __virtio_drivers_end[];

static void write_address(uint8_t *reg, const void *p)
{
	uint64_t address = vq_dma(p);

	write32(reg, (uint32_t)address);
	write32(reg + 4, (uint32_t)(address >> 32));
}

static void status_add(struct virtio_device *dev, uint32_t bits)
{
	write32(dev->regs + STATUS, read32(dev->regs + STATUS) | bits);
}

static void complain(struct virtio_device *dev, const char *what, const char *more)
{
	klog("%s (%s): %s%s", dev->driver->name, dt_name(dev->node), what, more);
}

/* Returns 0 or -ETIMEDOUT: the device may still be writing to our memory. */
static int reset(struct virtio_device *dev)
{
	write32(dev->regs + STATUS, 0);
	return io_wait32(dev->regs + STATUS, UINT32_MAX, 0, time_now_ns() + RESET_TIMEOUT_NS);
}

void virtio_break(struct virtio_device *dev, const char *why)
{
	if (dev->broken)
		return;
	dev->broken = true;
	complain(dev, "device disabled: ", why);
	if (reset(dev) < 0)
		complain(dev, "and it does not reset", "");
	dev->driver->broke(dev);
}

uint64_t virtio_offered(struct virtio_device *dev)
{
	uint8_t *regs = dev->regs;
	uint64_t low;

	write32(regs + DEVICE_FEATURES_SEL, 0);
	low = read32(regs + DEVICE_FEATURES);
	if (dev->legacy) /* has 32 bits of them only */
		return low;
	write32(regs + DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)read32(regs + DEVICE_FEATURES) << 32;
}

/* Section 3.1.1, steps 4 to 6; a legacy device knows no FEATURES_OK (3.1.2). */
int virtio_negotiate(struct virtio_device *dev, uint64_t wanted)
{
	uint64_t features = virtio_offered(dev) & (wanted | VIRTIO_F_VERSION_1);
	const char *problem = "neither legacy nor version 1";
	uint8_t *regs = dev->regs;

	dev->features = features;
	write32(regs + DRIVER_FEATURES_SEL, 0);
	write32(regs + DRIVER_FEATURES, (uint32_t)features);
	if (dev->legacy)
		return 0;
	write32(regs + DRIVER_FEATURES_SEL, 1);
	write32(regs + DRIVER_FEATURES, (uint32_t)(features >> 32));
	if (features & VIRTIO_F_VERSION_1) {
		status_add(dev, STATUS_FEATURES_OK);
		if (read32(regs + STATUS) & STATUS_FEATURES_OK)
			return 0;
		problem = "wants a feature that we do not have";
	}
	complain(dev, problem, "");
	return -ENOTSUP;
}

/* Accesses as wide as the field: section 4.2.2.2. */
static void config_read_field(const uint8_t *at, unsigned int width, uint8_t *out)
{
	if (width == 1) {
		*out = read8(at);
	} else if (width == 2) {
		uint16_t v = read16(at);

		memcpy(out, &v, sizeof(v));
	} else {
		uint32_t v = read32(at);

		memcpy(out, &v, sizeof(v));
	}
}

static uint32_t config_generation(struct virtio_device *dev)
{
	return dev->legacy ? 0 : read32(dev->regs + CONFIG_GENERATION);
}

int virtio_config(struct virtio_device *dev, unsigned int offset, unsigned int width,
                  unsigned int count, void *buf)
{
	for (unsigned int tries = 0; tries < CONFIG_TRIES; tries++) {
		uint32_t generation = config_generation(dev);

		for (unsigned int i = 0; i < count; i++)
			config_read_field(dev->regs + CONFIG + offset + i * width, width,
			                  (uint8_t *)buf + i * width);
		if (generation == config_generation(dev))
			return 0;
	}
	return -EIO;
}

static void queue_publish(struct virtio_device *dev, struct virtqueue *q)
{
	uint8_t *regs = dev->regs;

	write32(regs + QUEUE_NUM, q->size);
	io_wmb(); /* the cleared indices before the device may look */
	if (dev->legacy) {
		write32(regs + QUEUE_ALIGN, LEGACY_PAGE_BYTES);
		write32(regs + QUEUE_PFN, (uint32_t)(vq_dma(q->desc) / LEGACY_PAGE_BYTES));
		return;
	}
	write_address(regs + QUEUE_DESC, q->desc);
	write_address(regs + QUEUE_DRIVER, q->avail);
	write_address(regs + QUEUE_DEVICE, q->used);
	write32(regs + QUEUE_READY, 1);
}

/* Sections 4.2.3.2 and, legacy, 4.2.4. */
unsigned int virtio_queue_max(struct virtio_device *dev, unsigned int index)
{
	uint32_t max;

	write32(dev->regs + QUEUE_SEL, index);
	max = read32(dev->regs + QUEUE_NUM_MAX);
	return MIN(max, QUEUE_SIZE_MAX);
}

int virtio_queue(struct virtio_device *dev, unsigned int index, struct virtqueue *q,
                 unsigned int wanted, unsigned int indirect_max)
{
	unsigned int size, max;
	int err;

	max = virtio_queue_max(dev, index);
	if (max == 0)
		return -ENOENT;
	for (size = 1; size < wanted && size * 2 <= max;)
		size *= 2;
	/* No chain may be longer than the ring, not even in a table: section 2.7.5.3.1. */
	if (!(dev->features & VIRTIO_F_INDIRECT_DESC) || size < 2)
		indirect_max = 0;
	q->dev = dev;
	q->notify = dev->regs + QUEUE_NOTIFY;
	q->index = (uint16_t)index;
	q->event_idx = (dev->features & VIRTIO_F_EVENT_IDX) != 0;
	err = vq_init(q, size, dev->legacy ? LEGACY_PAGE_BYTES : 4,
	              indirect_max < size ? indirect_max : size);
	if (err == 0)
		queue_publish(dev, q);
	return err;
}

static void virtio_mmio_interrupt(void *arg)
{
	struct virtio_device *dev = arg;
	uint32_t cause = read32(dev->regs + INTERRUPT_STATUS);

	write32(dev->regs + INTERRUPT_ACK, cause);
	if (dev->broken)
		return;
	if (cause & IRQ_CONFIG) {
		if (read32(dev->regs + STATUS) & STATUS_NEEDS_RESET)
			virtio_break(dev, "it says that it needs a reset");
		else if (dev->driver->config_interrupt)
			dev->driver->config_interrupt(dev);
	}
	if (cause & IRQ_QUEUE)
		dev->driver->queue_interrupt(dev);
}

int virtio_start(struct virtio_device *dev)
{
	int err = irq_attach(dev->node, 0, virtio_mmio_interrupt, dev);

	if (err == 0)
		status_add(dev, STATUS_DRIVER_OK);
	return err;
}

static const struct virtio_driver *find_driver(uint32_t device_id)
{
	for (const struct virtio_driver *const *d = __virtio_drivers_start;
	     d < __virtio_drivers_end; d++) {
		if ((*d)->device_id == device_id)
			return *d;
	}
	return NULL;
}

/* Section 3.1.1, steps 1 to 3; the rest is the driver's, through the functions above. */
static int bring_up(struct virtio_device *dev)
{
	int err = reset(dev);

	if (err < 0)
		return err;
	status_add(dev, STATUS_ACKNOWLEDGE);
	status_add(dev, STATUS_DRIVER);
	if (dev->legacy)
		write32(dev->regs + GUEST_PAGE_SIZE, LEGACY_PAGE_BYTES);
	err = dev->driver->probe(dev);
	if (err < 0) {
		status_add(dev, STATUS_FAILED);
		reset(dev);
	}
	return err;
}

static int virtio_mmio_probe(const struct device *d)
{
	const struct virtio_driver *driver;
	struct virtio_device *dev;
	uint8_t *regs = d->regs;
	uint32_t version;

	if (read32(regs + MAGIC) != MAGIC_VALUE)
		return -ENODEV;
	driver = find_driver(read32(regs + DEVICE_ID)); /* none has id 0 */
	if (!driver)
		return -ENODEV;
	version = read32(regs + VERSION);
	if (version != 1 && version != 2)
		return -ENOTSUP;
	dev = boot_alloc(driver->state_bytes);
	if (!dev)
		return -ENOMEM;
	dev->driver = driver;
	dev->regs = regs;
	dev->node = d->node;
	dev->legacy = version == 1;
	return bring_up(dev);
}

DRIVER(virtio_mmio) = {
    .name = "virtio-mmio",
    .compatible = "virtio,mmio\0",
    .stage = DRV_DEVICE,
    .reg_bytes = REG_BYTES,
    .probe = virtio_mmio_probe,
};
