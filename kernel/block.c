/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices: the list of them, and the checks that no driver should have to repeat. */
#include <errno.h>
#include <string.h>
#include <pith/block.h>

static struct block_device *devices, **devices_end = &devices;

void block_register(struct block_device *dev)
{
	mutex_init(&dev->lock);
	dev->protected = NULL;
	dev->next = NULL;
	*devices_end = dev;
	devices_end = &dev->next;
}

struct block_device *block_find(const char *name)
{
	struct block_device *dev = devices;

	while (dev && name && strcmp(dev->name, name) != 0)
		dev = dev->next;
	return dev;
}

/* Written so that no sum can wrap. */
static bool in_range(const struct block_device *dev, uint64_t lba, uint32_t count)
{
	return lba <= dev->block_count && count <= dev->block_count - lba;
}

int block_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	int err;

	if (!in_range(dev, lba, count))
		return -EINVAL;
	if (count == 0)
		return 0;
	mutex_lock(&dev->lock);
	err = dev->read(dev, lba, count, buf);
	mutex_unlock(&dev->lock);
	return err;
}

void block_protect(struct block_device *dev, struct block_range *r)
{
	mutex_lock(&dev->lock);
	r->next = dev->protected;
	dev->protected = r;
	mutex_unlock(&dev->lock);
}

/* Both are on the device, so that no sum wraps. */
static bool is_protected(const struct block_device *dev, uint64_t lba, uint32_t count)
{
	for (const struct block_range *r = dev->protected; r; r = r->next) {
		if (lba < r->lba + r->blocks && r->lba < lba + count)
			return true;
	}
	return false;
}

int block_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf)
{
	int err;

	if (dev->read_only)
		return -EROFS;
	if (!in_range(dev, lba, count))
		return -EINVAL;
	if (count == 0)
		return 0;
	mutex_lock(&dev->lock);
	err = is_protected(dev, lba, count) ? -EPERM : dev->write(dev, lba, count, buf);
	mutex_unlock(&dev->lock);
	return err;
}

int block_flush(struct block_device *dev)
{
	int err;

	mutex_lock(&dev->lock);
	err = dev->flush(dev);
	mutex_unlock(&dev->lock);
	return err;
}
