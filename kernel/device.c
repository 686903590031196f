/* SPDX-License-Identifier: Apache-2.0 */
/* What every driver does: map registers, get memory, wait for a register. */
#include <errno.h>
#include <pith/boot_alloc.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/time.h>

int device_map(dt_node node, unsigned int index, size_t bytes, uint8_t **regs)
{
	uint64_t pa, there;
	int error = dt_reg(node, index, &pa, &there);

	if (error)
		return error;
	if (there < bytes)
		return -EINVAL;
	*regs = io_map(pa, bytes);
	return *regs ? 0 : -ENXIO;
}

int device_probe(const struct driver *driver, dt_node node)
{
	struct device dev = {.node = node};
	int error = 0;

	if (driver->reg_bytes)
		error = device_map(node, 0, driver->reg_bytes, &dev.regs);
	if (!error && driver->first_read &&
	    io_probe_read32(dev.regs + driver->first_read - FIRST_READ(0)) < 0)
		error = -ENXIO;
	if (error)
		return error;
	if (driver->state_bytes) {
		dev.state = boot_alloc(driver->state_bytes);
		if (!dev.state)
			return -ENOMEM;
	}
	return driver->probe(&dev);
}

int io_wait32(const volatile void *reg, uint32_t mask, uint32_t value, uint64_t deadline_ns)
{
	for (bool late = false;; late = time_now_ns() > deadline_ns) {
		if ((read32(reg) & mask) == value)
			return 0;
		if (late)
			return -ETIMEDOUT;
	}
}
