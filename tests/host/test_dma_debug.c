/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of the DMA_DEBUG=1 build: the device never sees a buffer that it was not given, nor the
 * CPU what the device wrote before it was taken back; every misuse that caches would punish is an
 * assertion; nothing is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arch/cache.h>
#include <pith/dma.h>
#include <pith/page.h>
#include "death.h"

static unsigned int pages_out, cache_ops;
static bool no_memory;

void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	(void)below_pa;
	if (no_memory)
		return NULL;
	pages_out += count;
	return aligned_alloc(align, count * PAGE_BYTES);
}

void page_free(void *pages, size_t count)
{
	pages_out -= count;
	free(pages);
}

void model_dcache(int op, const void *start, size_t bytes)
{
	(void)op;
	(void)start;
	(void)bytes;
	cache_ops++;
}

int dt_dma_window(dt_node n, unsigned int index, struct dt_dma_window *w)
{
	(void)n;
	(void)index;
	(void)w;
	return -ENOENT;
}

bool dt_dma_coherent(dt_node n)
{
	(void)n;
	return false;
}

int dt_memory(unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	(void)index;
	(void)pa;
	(void)bytes;
	return -ENOENT;
}

dt_node dt_first_child(dt_node n)
{
	return n;
}

dt_node dt_dma_bus(dt_node after)
{
	(void)after;
	return DT_NONE;
}

/* Bus addresses are the CPU's here: the device is whoever dereferences one. */
static struct dma_bus bus = {
    .window_count = 1, .windows = {{0, 0, UINT64_MAX}}, .limit_pa = UINT64_MAX};

static _Alignas(DMA_ALIGN) uint8_t buf[256];

static uint8_t *device(dma_addr_t address)
{
	return (uint8_t *)(uintptr_t)address;
}

static int begin(void **state)
{
	(void)state;
	pages_out = cache_ops = 0;
	no_memory = false;
	memset(buf, 0x11, sizeof(buf));
	return 0;
}

static void what_the_device_writes_comes_with_unmap(void **state)
{
	uint8_t *d = device(dma_map(&bus, buf, 128, DMA_FROM_DEVICE));

	(void)state;
	memset(d, 0x22, 128);
	for (int i = 0; i < 128; i++)
		assert_int_equal(buf[i], DMA_POISON);
	assert_int_equal(buf[128], 0x11);
	dma_unmap(&bus, buf, 60, DMA_FROM_DEVICE);
	for (int i = 0; i < 128; i++)
		assert_int_equal(buf[i], i < 60 ? 0x22 : DMA_POISON);
	assert_int_equal(pages_out, 0);
	assert_int_not_equal(cache_ops, 0); /* the copy's lines, on a bus that is not coherent */
}

static void what_the_cpu_wrote_goes_with_map(void **state)
{
	uint8_t *d = device(dma_map(&bus, buf + 3, 100, DMA_TO_DEVICE));

	(void)state;
	assert_memory_equal(d, buf + 3, 100);
	assert_int_equal((uintptr_t)d % DMA_ALIGN, 3);
	dma_unmap(&bus, buf + 3, 100, DMA_TO_DEVICE);
	d = device(dma_map(&bus, buf, 64, DMA_BOTH));
	assert_int_equal(d[63], 0x11);
	assert_int_equal(buf[63], DMA_POISON);
	d[0] = 5;
	dma_unmap(&bus, buf, 64, DMA_BOTH);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[63], 0x11);
	assert_int_equal(pages_out, 0);
}

/* Two frames may share a fragment. */
static void read_buffers_may_be_given_twice(void **state)
{
	(void)state;
	dma_map(&bus, buf, 64, DMA_TO_DEVICE);
	dma_map(&bus, buf, 64, DMA_TO_DEVICE);
	dma_map(&bus, buf + 32, 8, DMA_TO_DEVICE);
	dma_unmap(&bus, buf, 64, DMA_TO_DEVICE);
	dma_unmap(&bus, buf, 64, DMA_TO_DEVICE);
	dma_unmap(&bus, buf + 32, 8, DMA_TO_DEVICE);
	assert_int_equal(pages_out, 0);
}

static void without_memory_nothing_is_given(void **state)
{
	(void)state;
	no_memory = true;
	assert_int_equal(dma_map(&bus, buf, 64, DMA_FROM_DEVICE), DMA_NONE);
	assert_int_equal(buf[0], 0x11);
}

static void write_while_the_device_reads(void)
{
	dma_map(&bus, buf, 64, DMA_TO_DEVICE);
	buf[7]++;
	dma_unmap(&bus, buf, 64, DMA_TO_DEVICE);
}

static void take_what_was_not_given(void)
{
	dma_unmap(&bus, buf, 64, DMA_FROM_DEVICE);
}

static void take_more_than_was_given(void)
{
	dma_map(&bus, buf, 64, DMA_FROM_DEVICE);
	dma_unmap(&bus, buf, 65, DMA_FROM_DEVICE);
}

static void take_the_wrong_way(void)
{
	dma_map(&bus, buf, 64, DMA_FROM_DEVICE);
	dma_unmap(&bus, buf, 64, DMA_BOTH);
}

static void take_twice(void)
{
	dma_map(&bus, buf, 64, DMA_FROM_DEVICE);
	dma_unmap(&bus, buf, 64, DMA_FROM_DEVICE);
	dma_unmap(&bus, buf, 64, DMA_FROM_DEVICE);
}

static void give_twice(void)
{
	dma_map(&bus, buf, 128, DMA_FROM_DEVICE);
	dma_map(&bus, buf + 100, 1, DMA_TO_DEVICE);
}

static void give_part_of_a_line(void)
{
	dma_map(&bus, buf, 65, DMA_FROM_DEVICE);
}

static void misuse_is_an_assertion(void **state)
{
	(void)state;
	assert_dies(write_while_the_device_reads());
	assert_dies(take_what_was_not_given());
	assert_dies(take_more_than_was_given());
	assert_dies(take_the_wrong_way());
	assert_dies(take_twice());
	assert_dies(give_twice());
	assert_dies(give_part_of_a_line());
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_the_device_writes_comes_with_unmap),
	    TEST(what_the_cpu_wrote_goes_with_map),
	    TEST(read_buffers_may_be_given_twice),
	    TEST(without_memory_nothing_is_given),
	    TEST(misuse_is_an_assertion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
