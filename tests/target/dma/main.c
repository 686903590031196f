/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pith/dma.h on the machine: allocation within a bus's reach, map and unmap. On virt every bus address
 * is a physical one, so this program can write as a device would. With the argument "forget" it reads
 * what the device wrote without taking the buffer back; with "write" it writes into a buffer that the
 * device reads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/dma.h>
#include "check.h"

static _Alignas(DMA_ALIGN) uint8_t buf[4096];

static uint8_t *device(dma_addr_t address)
{
	return (uint8_t *)(uintptr_t)address;
}

static void check_buses(void)
{
	struct dma_bus bus;
	int nodes = 0, good = 0;
	uint8_t *memory;

	dt_for_each(n) {
		if (n == 0)
			continue;
		nodes++;
		good += dma_bus_init(&bus, n, UINT64_MAX) == 0 && bus.limit_pa >= dma_reach();
	}
	CHECK("every node of the tree has a bus", nodes > 0 && good == nodes);
	memory = dma_alloc(&bus, 10000);
	CHECK("memory is within reach", memory && dma_address(&bus, memory, 10000) != DMA_NONE);
	dma_free(memory, 10000);
}

static void check_transfers(struct dma_bus *bus)
{
	uint8_t *d;

	memset(buf, 0x11, sizeof(buf));
	d = device(dma_map(bus, buf, sizeof(buf), DMA_TO_DEVICE));
	CHECK("the device reads what the CPU wrote", !memcmp(d, buf, sizeof(buf)));
	dma_unmap(bus, buf, sizeof(buf), DMA_TO_DEVICE);

	d = device(dma_map(bus, buf, sizeof(buf), DMA_FROM_DEVICE));
	memset(d, 0x22, sizeof(buf));
	dma_unmap(bus, buf, 100, DMA_FROM_DEVICE);
	CHECK("the CPU reads what the device wrote", buf[0] == 0x22 && buf[99] == 0x22);

	memset(buf, 0x33, sizeof(buf));
	d = device(dma_map(bus, buf, 64, DMA_BOTH));
	d[1] = d[0] + 1;
	dma_unmap(bus, buf, 64, DMA_BOTH);
	CHECK("and both at once", buf[0] == 0x33 && buf[1] == 0x34 && buf[63] == 0x33);
}

int main(int argc, char **argv)
{
	struct dma_bus bus;

	if (dma_bus_init(&bus, dt_first_child(0), UINT64_MAX) < 0)
		return 1;
	if (argc > 1 && !strcmp(argv[1], "forget")) {
		memset(device(dma_map(&bus, buf, 64, DMA_FROM_DEVICE)), 0x22, 64);
		printf("read %02x\n", buf[7]);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "write")) {
		dma_map(&bus, buf, 64, DMA_TO_DEVICE);
		buf[7]++;
		dma_unmap(&bus, buf, 64, DMA_TO_DEVICE);
		printf("nobody noticed\n");
		return 0;
	}
	check_buses();
	check_transfers(&bus);
	return checks_failed != 0;
}
