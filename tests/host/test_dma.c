/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/dma.h on the memory maps of Raspberry Pis (1, 2, 4 and 8 GB, early and late
 * steppings) and on odder ones: bus addresses, what is out of reach, from where memory comes, which
 * cache operation is done when, and how far up the image may be placed.
 *
 * Trees are compiled by dtc; addresses are those of the Pi, so nothing here is ever dereferenced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arch/cache.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/page.h>
#include "death.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* --- The tree ---------------------------------------------------------------------------------- */

static uint64_t blob[1 << 14];

static void load(const char *source)
{
	char name[] = "/tmp/pith-dma-XXXXXX", command[100];
	int fd = mkstemp(name);
	size_t bytes;
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, source, strlen(source)), strlen(source));
	close(fd);
	snprintf(command, sizeof(command), "dtc -q -I dts -O dtb %s", name);
	f = popen(command, "r");
	assert_non_null(f);
	bytes = fread(blob, 1, sizeof(blob), f);
	assert_int_equal(pclose(f), 0);
	unlink(name);
	if (dt_init(blob, bytes))
		fail_msg("refused: %s", dt_error());
}

/* As the firmware fills /memory in. 76 MiB below 1 GiB are the GPU's, 64 MiB below 4 GiB registers. */
static const char *const pi4_memory[] = {
    [1] = "<0 0 0x3b400000>",
    [2] = "<0 0 0x3b400000>, <0 0x40000000 0x40000000>",
    [4] = "<0 0 0x3b400000>, <0 0x40000000 0xbc000000>",
    [8] =
        "<0 0 0x3b400000>, <0 0x40000000 0xbc000000>, <1 0 0x80000000>, <1 0x80000000 0x80000000>",
};

#define EMMC2_EARLY "<0 0xc0000000 0 0 0x40000000>"
#define EMMC2_LATE  "<0 0 0 0 0xfc000000>"

static void load_pi4(int gb, const char *emmc2_dma_ranges, const char *soc_status)
{
	char source[4096];

	snprintf(source, sizeof(source),
	         "/dts-v1/; / { #address-cells = <2>; #size-cells = <1>;"
	         "memory@0 { device_type = \"memory\"; reg = %s; };"
	         "soc { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0xc0000000 0 0 "
	         "0x40000000>;"
	         "	status = \"%s\"; mailbox { }; firmware { dma-ranges; }; };"
	         "emmc2bus { #address-cells = <2>; #size-cells = <1>; dma-ranges = %s; mmc { }; };"
	         "scb { #address-cells = <2>; #size-cells = <1>; ethernet { };"
	         "	pcie { device_type = \"pci\"; #address-cells = <3>; #size-cells = <2>;"
	         "		dma-ranges = <0x2000000 0 0 0 0 0 0xc0000000>; pci { }; }; }; };",
	         pi4_memory[gb], soc_status, emmc2_dma_ranges);
	load(source);
}

static struct dma_bus bus_of(const char *path, uint64_t mask)
{
	struct dma_bus bus;

	assert_int_not_equal(dt_find(path), DT_NONE);
	assert_int_equal(dma_bus_init(&bus, dt_find(path), mask), 0);
	return bus;
}

/* --- Caches and pages -------------------------------------------------------------------------- */

static struct {
	int op;
	uint64_t start;
	size_t bytes;
} cache_log[8];
static unsigned int cache_ops;

void model_dcache(int op, const void *start, size_t bytes)
{
	assert_true(cache_ops < ARRAY_LEN(cache_log));
	cache_log[cache_ops].op = op;
	cache_log[cache_ops].start = (uintptr_t)start;
	cache_log[cache_ops++].bytes = bytes;
}

static void expect_op(int op, uint64_t start, size_t bytes)
{
	assert_int_equal(cache_ops, 1);
	assert_int_equal(cache_log[0].op, op);
	assert_int_equal(cache_log[0].start, start);
	assert_int_equal(cache_log[0].bytes, bytes);
	cache_ops = 0;
}

/* Free pages, one run, given from its end. */
static uint64_t free_start, free_end;
static unsigned int pages_out;

void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	uint64_t start = ALIGN_DOWN(MIN(free_end, below_pa), align) - count * PAGE_BYTES;

	if (free_end <= free_start || MIN(free_end, below_pa) < count * PAGE_BYTES ||
	    start < free_start)
		return NULL;
	pages_out += count;
	return (void *)start;
}

void page_free(void *pages, size_t count)
{
	assert_int_equal((uintptr_t)pages % PAGE_BYTES, 0);
	pages_out -= count;
}

static dma_addr_t address(const struct dma_bus *bus, uint64_t pa, size_t bytes)
{
	return dma_address(bus, (void *)pa, bytes);
}

/* --- Tests ------------------------------------------------------------------------------------- */

static void pi4_soc_bus(int gb, const char *path)
{
	struct dma_bus bus = bus_of(path, UINT32_MAX);

	assert_false(bus.coherent);
	assert_int_equal(bus.limit_pa, gb == 1 ? UINT64_MAX : GIB);
	assert_int_equal(address(&bus, 0, 1), 0xc0000000);
	assert_int_equal(address(&bus, 0x3b3ff000, 0x1000), 0xfb3ff000);
	assert_int_equal(address(&bus, GIB - 1, 1), 0xffffffff);
	assert_int_equal(address(&bus, GIB - 1, 2), DMA_NONE);
	assert_int_equal(address(&bus, GIB, 1), DMA_NONE);
	assert_int_equal(address(&bus, 0xfbfff000, 1), DMA_NONE);
	assert_int_equal(address(&bus, 4 * GIB, 1), DMA_NONE);
}

static void pi4_early(void **state)
{
	(void)state;
	for (int gb = 1; gb <= 8; gb *= 2) {
		load_pi4(gb, EMMC2_EARLY, "okay");
		pi4_soc_bus(gb, "/soc/mailbox");
		pi4_soc_bus(gb, "/emmc2bus/mmc");
		assert_int_equal(dma_reach(), gb == 1 ? UINT64_MAX : GIB);
	}
}

static void pi4_late(void **state)
{
	static const uint64_t limit[] = {
	    [1] = UINT64_MAX, [2] = UINT64_MAX, [4] = UINT64_MAX, [8] = 4 * GIB};

	(void)state;
	for (int gb = 1; gb <= 8; gb *= 2) {
		struct dma_bus bus;

		load_pi4(gb, EMMC2_LATE, "okay");
		pi4_soc_bus(gb, "/soc/mailbox");
		bus = bus_of("/emmc2bus/mmc", UINT32_MAX);
		assert_int_equal(bus.limit_pa, limit[gb]);
		assert_int_equal(address(&bus, 0xfbfff000, 0x1000), 0xfbfff000);
		assert_int_equal(address(&bus, 0xfbfff000, 0x1001), DMA_NONE);
		assert_int_equal(dma_reach(), gb == 1 ? UINT64_MAX : GIB);
		/* With the SoC's bus out of use the next narrower one counts: PCIe's 3 GiB. */
		load_pi4(gb, EMMC2_LATE, "disabled");
		assert_int_equal(dma_reach(), gb <= 2 ? UINT64_MAX : 3 * GIB);
	}
}

static void pi4_scb_is_one_to_one(void **state)
{
	(void)state;
	for (int gb = 1; gb <= 8; gb *= 2) {
		struct dma_bus bus;

		load_pi4(gb, EMMC2_EARLY, "okay");
		bus = bus_of("/scb/ethernet", (UINT64_C(1) << 40) - 1);
		assert_int_equal(bus.limit_pa, UINT64_MAX);
		assert_int_equal(address(&bus, 0x1fffff000, 0x1000), 0x1fffff000);
		assert_int_equal(address(&bus, (UINT64_C(1) << 40) - 1, 1),
		                 (UINT64_C(1) << 40) - 1);
		assert_int_equal(address(&bus, (UINT64_C(1) << 40) - 1, 2), DMA_NONE);
		bus = bus_of("/scb/ethernet", UINT32_MAX);
		assert_int_equal(bus.limit_pa, gb == 8 ? 4 * GIB : UINT64_MAX);
		bus = bus_of("/scb/ethernet", UINT64_MAX);
		assert_int_equal(bus.limit_pa, UINT64_MAX);
		bus = bus_of("/scb/pcie/pci", UINT64_MAX);
		assert_int_equal(bus.limit_pa, gb <= 2 ? UINT64_MAX : 3 * GIB);
	}
}

static void pi3(void **state)
{
	struct dma_bus bus;

	(void)state;
	load("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
	     "memory@0 { device_type = \"memory\"; reg = <0 0x3b400000>; };"
	     "soc { #address-cells = <1>; #size-cells = <1>;"
	     "	dma-ranges = <0xc0000000 0 0x3f000000>; mmc { }; }; };");
	bus = bus_of("/soc/mmc", UINT32_MAX);
	assert_int_equal(bus.limit_pa, UINT64_MAX);
	assert_int_equal(address(&bus, 0x3b3fffff, 1), 0xfb3fffff);
	assert_int_equal(address(&bus, 0x3efff000, 0x1000), 0xfefff000);
	assert_int_equal(address(&bus, 0x3efff000, 0x1001), DMA_NONE);
	assert_int_equal(dma_reach(), UINT64_MAX);
}

/* Windows in reverse, RAM from 2 GiB, a page of it that nobody maps. */
static const char odd_tree[] =
    "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
    "memory@80000000 { device_type = \"memory\"; reg = <0x80000000 0x10000000>; };"
    "a { #address-cells = <1>; #size-cells = <1>; dma-coherent;"
    "	dma-ranges = <0x2000000 0x80000000 0x1000000>, <0x1000000 0x81000000 0x800800>; dev { }; };"
    "far { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0 0x40000000 0x40000000>; dev { "
    "}; };"
    "high { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0 0x88000000 0x1000000>; dev { "
    "}; };"
    "bad { #address-cells = <1>; #size-cells = <1>; dma-ranges = <1 2>; dev { }; };"
    "many { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0x1000 0x80005000 0x1000>,"
    "	<0x2000 0x80004000 0x1000>, <0x3000 0x80003000 0x1000>, <0x4000 0x80002000 0x1000>,"
    "	<0x5000 0x80001000 0x1000>; dev { }; };"
    "none { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0 0 0x1000>; }; };";

static void windows_of_every_kind(void **state)
{
	struct dma_bus bus;

	(void)state;
	load(odd_tree);
	bus = bus_of("/a/dev", UINT64_MAX);
	assert_true(bus.coherent);
	assert_int_equal(bus.limit_pa, 0x81800000); /* whole pages */
	assert_int_equal(address(&bus, 0x80ffffff, 1), 0x2ffffff);
	assert_int_equal(address(&bus, 0x81000000, 1), 0x1000000);
	assert_int_equal(address(&bus, 0x80ffffff, 2), DMA_NONE); /* not contiguous on the bus */
	assert_int_equal(address(&bus, 0x7fffffff, 1), DMA_NONE);
	/* A device with 25 address lines loses the second half of it. */
	bus = bus_of("/a/dev", 0x1ffffff);
	assert_int_equal(address(&bus, 0x80000000, 1), DMA_NONE);
	assert_int_equal(bus.limit_pa, 0x80000000);
	bus = bus_of("/many/dev", UINT64_MAX);
	assert_int_equal(bus.window_count, DMA_WINDOWS);
	assert_int_equal(address(&bus, 0x80002000, 1), 0x4000);
	assert_int_equal(address(&bus, 0x80001000, 1), DMA_NONE);
	assert_int_equal(dma_bus_init(&bus, dt_find("/far/dev"), UINT64_MAX), -ERANGE);
	assert_int_equal(dma_bus_init(&bus, dt_find("/high/dev"), UINT64_MAX), 0);
	assert_int_equal(dma_bus_init(&bus, dt_find("/bad/dev"), UINT64_MAX), -EINVAL);
	/* Of these only "a", "high" and "many" can be used at all, and "high" reaches nothing below. */
	assert_int_equal(dma_reach(), 0x80000000);
}

static void no_restriction(void **state)
{
	(void)state;
	load("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
	     "memory@0 { device_type = \"memory\"; reg = <0 0x80000000>; };"
	     "a { dma-ranges; dev { }; }; b { dma-coherent; device_type = \"x\"; dev { }; };"
	     "off { status = \"disabled\"; #address-cells = <1>; #size-cells = <1>;"
	     "	dma-ranges = <0 0 0x1000>; dev { }; };"
	     "childless { #address-cells = <1>; #size-cells = <1>; dma-ranges = <0 0 0x1000>; }; "
	     "};");
	assert_int_equal(dma_reach(), UINT64_MAX);
	assert_int_equal(bus_of("/a/dev", UINT64_MAX).limit_pa, UINT64_MAX);
}

static void memory_comes_from_where_the_bus_reaches(void **state)
{
	struct dma_bus bus;

	(void)state;
	load_pi4(8, EMMC2_EARLY, "okay");
	bus = bus_of("/emmc2bus/mmc", UINT32_MAX);
	free_start = 0x100000;
	free_end = 8 * GIB;
	assert_int_equal((uintptr_t)dma_alloc(&bus, 5000), GIB - 2 * PAGE_BYTES);
	assert_int_equal(pages_out, 2);
	dma_free((void *)(GIB - 2 * PAGE_BYTES), 5000);
	assert_int_equal(pages_out, 0);
	free_start = GIB;
	assert_null(dma_alloc(&bus, 1));
	bus = bus_of("/scb/ethernet", UINT64_MAX);
	assert_int_equal((uintptr_t)dma_alloc(&bus, 1), 8 * GIB - PAGE_BYTES);
	pages_out = 0;

	load(odd_tree);
	bus = bus_of("/high/dev", UINT64_MAX);
	free_start = 0x80000000;
	free_end = 0x90000000;
	assert_int_equal((uintptr_t)dma_alloc(&bus, 1 * MIB), 0x88f00000);
	pages_out = 0;
	/* The run that ends in time begins too low: given back. */
	free_end = 0x88000000;
	assert_null(dma_alloc(&bus, 1 * MIB));
	assert_int_equal(pages_out, 0);
	/* The first window is full, the second is not. */
	bus = bus_of("/a/dev", UINT64_MAX);
	free_end = 0x81000000;
	assert_int_equal((uintptr_t)dma_alloc(&bus, 64 * KIB), 0x80ff0000);
	pages_out = 0;
}

static void caches_follow_the_direction(void **state)
{
	struct dma_bus bus;
	void *buf = (void *)0x10000;

	(void)state;
	load_pi4(4, EMMC2_EARLY, "okay");
	bus = bus_of("/soc/mailbox", UINT32_MAX);
	cache_ops = 0;
	assert_int_equal(dma_map(&bus, (void *)0x10003, 77, DMA_TO_DEVICE), 0xc0010003);
	expect_op(MODEL_CLEAN, 0x10003, 77);
	dma_unmap(&bus, (void *)0x10003, 77, DMA_TO_DEVICE);
	assert_int_equal(cache_ops, 0);
	assert_int_equal(dma_map(&bus, buf, 128, DMA_FROM_DEVICE), 0xc0010000);
	expect_op(MODEL_INVALIDATE, 0x10000, 128);
	dma_unmap(&bus, buf, 60, DMA_FROM_DEVICE);
	expect_op(MODEL_INVALIDATE, 0x10000, 60);
	dma_map(&bus, buf, 64, DMA_BOTH);
	expect_op(MODEL_CLEAN | MODEL_INVALIDATE, 0x10000, 64);
	dma_unmap(&bus, buf, 64, DMA_BOTH);
	expect_op(MODEL_INVALIDATE, 0x10000, 64);
	/* Out of reach: nothing happens to it. */
	assert_int_equal(dma_map(&bus, (void *)GIB, 64, DMA_TO_DEVICE), DMA_NONE);
	assert_int_equal(cache_ops, 0);
}

static void a_coherent_bus_needs_none(void **state)
{
	struct dma_bus bus;
	void *buf = (void *)0x80010000;

	(void)state;
	load(odd_tree);
	bus = bus_of("/a/dev", UINT64_MAX);
	cache_ops = 0;
	for (int dir = DMA_TO_DEVICE; dir <= DMA_BOTH; dir++) {
		assert_int_equal(dma_map(&bus, buf, 64, dir), 0x2010000);
		dma_unmap(&bus, buf, 64, dir);
	}
	assert_int_equal(cache_ops, 0);
}

static struct dma_bus whole = {
    .window_count = 1, .windows = {{0, 0, UINT64_MAX}}, .limit_pa = UINT64_MAX};

static void map_nothing(void)
{
	dma_map(&whole, (void *)64, 0, DMA_TO_DEVICE);
}

static void map_part_of_a_line(void)
{
	dma_map(&whole, (void *)64, 100, DMA_FROM_DEVICE);
}

static void map_from_within_a_line(void)
{
	dma_map(&whole, (void *)65, 64, DMA_BOTH);
}

/* On every machine, so that it is found on those without caches too. */
static void a_buffer_that_shares_a_line_is_a_bug(void **state)
{
	(void)state;
	assert_dies(map_nothing());
	assert_dies(map_part_of_a_line());
	assert_dies(map_from_within_a_line());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pi4_early),
	    cmocka_unit_test(pi4_late),
	    cmocka_unit_test(pi4_scb_is_one_to_one),
	    cmocka_unit_test(pi3),
	    cmocka_unit_test(windows_of_every_kind),
	    cmocka_unit_test(no_restriction),
	    cmocka_unit_test(memory_comes_from_where_the_bus_reaches),
	    cmocka_unit_test(caches_follow_the_direction),
	    cmocka_unit_test(a_coherent_bus_needs_none),
	    cmocka_unit_test(a_buffer_that_shares_a_line_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
