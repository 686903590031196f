/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/dt.h on trees made for the purpose, where the right answer is plain to see: what
 * the index answers, how addresses, DMA windows and interrupts are translated, what is refused and
 * with which words. test_dt_trees.c does the same on real trees, with libfdt as the judge.
 *
 * Each tree is written down where it is used, compiled by dtc, and put at the end of an allocation
 * of exactly its size, so that AddressSanitizer sees every byte read past it.
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
#include <pith/dt.h>

/* ---- Making trees ---- */

static uint8_t *blob;
static size_t blob_bytes;

static int forget(void **state)
{
	(void)state;
	free(blob);
	blob = NULL;
	return 0;
}

static void take(const void *bytes, size_t count)
{
	free(blob);
	blob = malloc(count ? count : 1);
	assert_non_null(blob);
	memcpy(blob, bytes, count);
	blob_bytes = count;
}

/* Compile source into the blob. */
static void compile(const char *source)
{
	char name[] = "/tmp/pith-dt-XXXXXX", command[100];
	static uint8_t bytes[1 << 20];
	int fd = mkstemp(name);
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, source, strlen(source)), strlen(source));
	close(fd);
	snprintf(command, sizeof(command), "dtc -q -I dts -O dtb %s", name);
	f = popen(command, "r");
	assert_non_null(f);
	take(bytes, fread(bytes, 1, sizeof(bytes), f));
	assert_int_equal(pclose(f), 0);
	unlink(name);
}

static void load(const char *source)
{
	compile(source);
	if (dt_init(blob, blob_bytes))
		fail_msg("refused: %s", dt_error());
	assert_string_equal(dt_error(), "");
}

static dt_node at(const char *path)
{
	dt_node n = dt_find(path);

	if (n == DT_NONE)
		fail_msg("no %s", path);
	return n;
}

/* Change the bytes of `from`, which are somewhere in the blob, and load it again. */
static void change(const char *from, const char *to)
{
	uint8_t *place = memmem(blob, blob_bytes, from, strlen(from));

	assert_non_null(place);
	memcpy(place, to, strlen(from));
	assert_int_equal(dt_init(blob, blob_bytes), 0);
}

/* The header's fields, by the names of DTSpec 5.2. */
enum {
	MAGIC,
	TOTALSIZE,
	OFF_STRUCT,
	OFF_STRINGS,
	OFF_MEMRSV,
	VERSION,
	LAST_COMP,
	BOOT_CPU,
	STRINGS_BYTES,
	STRUCT_BYTES
};

static void put(size_t offset, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		blob[offset + i] = (uint8_t)(value >> (24 - 8 * i));
}

/* ---- Structure ---- */

static const char zoo[] =
    "/dts-v1/;"
    "/ { compatible = \"zoo\"; #address-cells = <1>; #size-cells = <1>;"
    "	aliases { lion = \"/cats/lion@1000\"; cat = \"/cats\"; loop = \"loop\"; odd = <1>; };"
    "	cats { #address-cells = <1>; #size-cells = <0>;"
    "		lion@1000 { reg = <0x1000>; phandle = <7>; compatible = \"big,cat\", \"cat\"; };"
    "		lion@2000 { reg = <0x2000>; status = \"disabled\"; compatible = \"cat\";"
    "			cub { compatible = \"cat\"; status = \"okay\"; }; };"
    "		lynx { status = \"ok\"; compatible = \"cat\"; };"
    "		puma { status = \"fail\"; }; };"
    "	fish { }; };";

static void nodes_are_in_the_trees_order_with_parents_children_and_siblings(void **state)
{
	static const char *const names[] = {"",    "aliases", "cats", "lion@1000", "lion@2000",
	                                    "cub", "lynx",    "puma", "fish"};
	unsigned int count = 0;

	(void)state;
	load(zoo);
	dt_for_each(n) {
		assert_in_range(count, 0, 8);
		assert_string_equal(dt_name(n), names[count++]);
	}
	assert_int_equal(count, 9);
	assert_int_equal(dt_parent(0), DT_NONE);
	assert_int_equal(dt_next_sibling(0), DT_NONE);
	assert_string_equal(dt_name(dt_first_child(0)), "aliases");
	assert_string_equal(dt_name(dt_next_sibling(at("/cats"))), "fish");
	assert_int_equal(dt_next_sibling(at("/fish")), DT_NONE);
	assert_int_equal(dt_first_child(at("/fish")), DT_NONE);
	assert_int_equal(dt_parent(at("/cats/lion@2000/cub")), at("/cats/lion@2000"));
	assert_int_equal(dt_next_sibling(at("/cats/lion@2000/cub")), DT_NONE);
	assert_int_equal(dt_next(at("/fish")), DT_NONE);
	count = 0;
	dt_for_each_child(n, at("/cats"))
		count++;
	assert_int_equal(count, 4);
}

static void a_node_is_found_by_path_alias_and_phandle(void **state)
{
	(void)state;
	load(zoo);
	assert_int_equal(dt_find("/"), 0);
	assert_int_equal(dt_find("/cats/lion@2000/cub/"), 5);
	assert_int_equal(dt_find("//cats//lynx"), 6);
	assert_int_equal(dt_find("lion"), 3);
	assert_int_equal(dt_find("cat/lion@2000/cub"), 5);
	/* Without its unit address the first of that name, with it only that one. */
	assert_int_equal(dt_find("/cats/lion"), 3);
	assert_int_equal(dt_find("/cats/lion@20"), DT_NONE);
	assert_int_equal(dt_find("/cats/lio"), DT_NONE);
	assert_int_equal(dt_find("/cats/lynx@1"), DT_NONE);
	assert_int_equal(dt_find("/dogs"), DT_NONE);
	assert_int_equal(dt_find(""), DT_NONE);
	assert_int_equal(dt_find("tiger"), DT_NONE);
	assert_int_equal(dt_find("loop"), DT_NONE);
	assert_int_equal(dt_find("odd"), DT_NONE);
	assert_int_equal(dt_by_phandle(7), 3);
	assert_int_equal(dt_by_phandle(8), DT_NONE);
	assert_int_equal(dt_by_phandle(0), DT_NONE);
	assert_int_equal(dt_by_phandle(UINT32_MAX), DT_NONE);
}

static void a_path_is_cut_to_the_buffer_and_always_terminated(void **state)
{
	static const char whole[] = "/cats/lion@2000/cub";
	dt_node cub;

	(void)state;
	load(zoo);
	cub = at(whole);
	for (size_t room = 1; room <= sizeof(whole) + 2; room++) {
		char *buf = malloc(room), expected[sizeof(whole)];

		snprintf(expected, room < sizeof(whole) ? room : sizeof(whole), "%s", whole);
		assert_string_equal(dt_path(cub, buf, room), expected);
		free(buf);
	}
	assert_string_equal(dt_path(0, (char[2]){"x"}, 2), "/");
	assert_string_equal(dt_path(0, (char[1]){'x'}, 1), "");
	assert_string_equal(dt_path(DT_NONE, (char[4]){"xxx"}, 4), "");
}

static void a_node_that_does_not_exist_has_nothing(void **state)
{
	uint64_t a, b;
	size_t bytes;
	struct dt_irq irq;
	struct dt_dma_window w;

	(void)state;
	load(zoo);
	for (int i = 0; i < 2; i++) {
		dt_node n = i ? DT_NONE : 9;

		assert_int_equal(dt_parent(n), DT_NONE);
		assert_int_equal(dt_first_child(n), DT_NONE);
		assert_int_equal(dt_next_sibling(n), DT_NONE);
		assert_int_equal(dt_next(n), DT_NONE);
		assert_string_equal(dt_name(n), "");
		assert_null(dt_prop(n, "compatible").data);
		assert_null(dt_compatible_strings(n, &bytes));
		assert_int_equal(dt_u32(n, "reg", 0), -ENOENT);
		assert_int_equal(dt_u64(n, "reg", &a), -ENOENT);
		assert_null(dt_string(n, "compatible", 0));
		assert_false(dt_compatible(n, "zoo"));
		assert_false(dt_enabled(n));
		assert_false(dt_dma_coherent(n));
		assert_int_equal(dt_reg(n, 0, &a, &b), -ENOENT);
		assert_int_equal(dt_reg_by_name(n, "x", &a, &b), -ENOENT);
		assert_int_equal(dt_irq(n, 0, &irq), -ENOENT);
		assert_int_equal(dt_irq_count(n), 0);
		assert_int_equal(dt_string_index(n, "interrupt-names", "x"), -ENOENT);
		assert_int_equal(dt_dma_window(n, 0, &w), -ENOENT);
		dt_wipe(n, "compatible");
	}
}

static void a_disabled_node_disables_all_below_it(void **state)
{
	(void)state;
	load(zoo);
	assert_true(dt_enabled(0));
	assert_true(dt_enabled(at("/cats/lion@1000")));
	assert_true(dt_enabled(at("/cats/lynx")));
	assert_false(dt_enabled(at("/cats/lion@2000")));
	assert_false(dt_enabled(at("/cats/lion@2000/cub")));
	assert_false(dt_enabled(at("/cats/puma")));
	assert_true(dt_enabled(at("/fish")));
}

static void compatible_means_any_of_its_strings_whole(void **state)
{
	dt_node lion;
	size_t bytes;

	(void)state;
	load(zoo);
	lion = at("lion");
	assert_true(dt_compatible(lion, "big,cat"));
	assert_true(dt_compatible(lion, "cat"));
	assert_false(dt_compatible(lion, "big"));
	assert_false(dt_compatible(lion, ""));
	assert_false(dt_compatible(lion, "cat2"));
	assert_false(dt_compatible(at("/fish"), "cat"));
	assert_memory_equal(dt_compatible_strings(lion, &bytes), "big,cat\0cat", 12);
	assert_int_equal(bytes, 12);
	assert_null(dt_compatible_strings(at("/fish"), &bytes));
	/* In order, enabled ones only. */
	assert_int_equal(dt_find_compatible(DT_NONE, "zoo"), 0);
	assert_int_equal(dt_find_compatible(DT_NONE, "cat"), 3);
	assert_int_equal(dt_find_compatible(3, "cat"), 6);
	assert_int_equal(dt_find_compatible(6, "cat"), DT_NONE);
	assert_int_equal(dt_find_compatible(8, "zoo"), DT_NONE);
	/* What does not end in a terminator is no string. */
	load("/dts-v1/; / { compatible = \"a\", [62 63]; };");
	assert_true(dt_compatible(0, "a"));
	assert_false(dt_compatible(0, "bc"));
	assert_memory_equal(dt_compatible_strings(0, &bytes), "a\0bc", 4);
	assert_int_equal(bytes, 4);
	load("/dts-v1/; / { compatible; };");
	assert_false(dt_compatible(0, ""));
}

static void properties_are_read_as_cells_and_strings_but_never_past_their_end(void **state)
{
	uint64_t v64;

	(void)state;
	load("/dts-v1/; / { cells = <1 0xfffffffe>; one = <0x80000000>; odd = [01 02 03]; empty;"
	     "words = \"a\", \"\", \"bcd\"; open = \"ab\", [63]; abc = <3>; ab = <2>; };");
	assert_int_equal(dt_u32(0, "cells", 1), 0xfffffffe);
	assert_int_equal(dt_u32(0, "cells", 2), -EINVAL);
	assert_int_equal(dt_u32(0, "cells", UINT32_MAX), -EINVAL);
	assert_int_equal(dt_u32(0, "odd", 0), -EINVAL);
	assert_int_equal(dt_u32(0, "empty", 0), -EINVAL);
	assert_int_equal(dt_u32(0, "none", 0), -ENOENT);
	assert_int_equal(dt_u64(0, "cells", &v64), 0);
	assert_int_equal(v64, 0x1fffffffe);
	assert_int_equal(dt_u64(0, "one", &v64), 0);
	assert_int_equal(v64, 0x80000000);
	assert_int_equal(dt_u64(0, "odd", &v64), -EINVAL);
	assert_int_equal(dt_u64(0, "none", &v64), -ENOENT);
	assert_string_equal(dt_string(0, "words", 0), "a");
	assert_string_equal(dt_string(0, "words", 1), "");
	assert_string_equal(dt_string(0, "words", 2), "bcd");
	assert_null(dt_string(0, "words", 3));
	assert_string_equal(dt_string(0, "open", 0), "ab");
	assert_null(dt_string(0, "open", 1));
	assert_null(dt_string(0, "empty", 0));
	assert_null(dt_string(0, "none", 0));
	/* Whole names; an empty property is there, with 0 bytes. */
	assert_int_equal(dt_u32(0, "ab", 0), 2);
	assert_null(dt_prop(0, "a").data);
	assert_non_null(dt_prop(0, "empty").data);
	assert_int_equal(dt_prop(0, "empty").bytes, 0);
}

/* dtc allows none of this, but a blob may have it; libfdt takes the first as well. */
static void of_two_with_one_name_the_first_counts(void **state)
{
	uint64_t a, b;

	(void)state;
	load("/dts-v1/; / { #address-cells = <1>; #address-cellz = <2>; #size-cells = <1>;"
	     "#size-cellz = <2>; dev { reg = <0 1 2 3>; }; chosen { bootargs = \"a\"; };"
	     "chosen@1 { bootargs = \"b\"; };"
	     "on { status = \"okay\"; statuz = \"disabled\"; phandle = <1>; phandlz = <2>;"
	     "compatible = \"a\"; compatiblz = \"b\"; };"
	     "off { status = \"disabled\"; statuz = \"okay\"; phandlx = [00]; phandlz = <3>; };"
	     "x@1y { }; };");
	change("#address-cellz", "#address-cells");
	change("#size-cellz", "#size-cells");
	change("statuz", "status");
	change("phandlx", "phandle");
	change("phandlz", "phandle");
	change("compatiblz", "compatible");
	change("x@1y", "x@1@");
	assert_int_equal(dt_reg(at("/dev"), 1, &a, &b), 0);
	assert_true(a == 2 && b == 3);
	assert_true(dt_enabled(at("/on")));
	assert_false(dt_enabled(at("/off")));
	assert_int_equal(dt_by_phandle(1), at("/on"));
	assert_int_equal(dt_by_phandle(2), DT_NONE);
	assert_int_equal(dt_by_phandle(3), DT_NONE);
	assert_true(dt_compatible(at("/on"), "a"));
	assert_false(dt_compatible(at("/on"), "b"));
	assert_string_equal(dt_bootargs(), "a");
	assert_int_equal(dt_find("/x@1"), DT_NONE);
	assert_int_equal(dt_find("/x@1@"), at("/x"));
}

static void wiping_leaves_zeros_and_the_rest_of_the_tree(void **state)
{

	(void)state;
	load("/dts-v1/; / { a = <1>; seed = [01 02 03 04 05]; b = <2>; };");
	dt_wipe(0, "seed");
	dt_wipe(0, "none");
	assert_memory_equal(dt_prop(0, "seed").data, "\0\0\0\0\0", 5);
	assert_int_equal(dt_prop(0, "seed").bytes, 5);
	assert_int_equal(dt_u32(0, "a", 0), 1);
	assert_int_equal(dt_u32(0, "b", 0), 2);
}

/* ---- Addresses ---- */

static void expect_reg(const char *path, unsigned int index, uint64_t pa, uint64_t bytes)
{
	uint64_t a = 1, b = 1;
	int error = dt_reg(at(path), index, &a, &b);

	if (error || a != pa || b != bytes)
		fail_msg("%s reg %u: %d, 0x%llx + 0x%llx", path, index, error,
		         (unsigned long long)a, (unsigned long long)b);
}

static int reg_error(const char *path, unsigned int index)
{
	uint64_t a, b;

	return dt_reg(at(path), index, &a, &b);
}

static void reg_is_translated_through_the_ranges_of_every_bus(void **state)
{
	uint64_t a, b;

	(void)state;
	load("/dts-v1/; / { #address-cells = <2>; #size-cells = <1>;"
	     "top@100000000 { reg = <1 0 0x1000>, <0 0x20 4>; };"
	     "soc { #address-cells = <1>; #size-cells = <1>;"
	     "	ranges = <0x7e000000 0x0 0xfe000000 0x01800000>,"
	     "		 <0x7c000000 0x4 0xfc000000 0x02000000>;"
	     "	uart@7e201000 { reg = <0x7e201000 0x200>, <0x7c000010 0x10>, <0x50000000 4>,"
	     "			      <0x7f7fffff 1>, <0x7f800000 1>; reg-names = \"a\", \"b\"; };"
	     "	same { ranges; #address-cells = <1>; #size-cells = <1>;"
	     "		dev@7e000004 { reg = <0x7e000004 4>; };"
	     "		inner { #address-cells = <2>; #size-cells = <2>;"
	     "			ranges = <9 0 0x7e000100 0 0x100>;"
	     "			dev@9 { reg = <9 0x10 0 0x20>; }; }; };"
	     "	shut { #address-cells = <1>; #size-cells = <1>; dev@0 { reg = <0 4>; }; };"
	     "	i2c { #address-cells = <1>; #size-cells = <0>; chip@50 { reg = <0x50>; }; };"
	     "	odd@1 { reg = <1 2 3>; }; };"
	     "cpus { #address-cells = <1>; #size-cells = <0>; cpu@0 { reg = <0>; }; };"
	     "default { ranges; dev { reg = <0 5 6>; }; };"
	     "wide { #address-cells = <4>; #size-cells = <1>; dev { reg = <1 2 3 4 5>; }; };"
	     "wrap { #address-cells = <2>; #size-cells = <2>; ranges;"
	     "	dev { reg = <0xffffffff 0xfffff000 0 0x1000>, <0xffffffff 0xfffff000 0 0x1001>; };"
	     "	bus { #address-cells = <1>; #size-cells = <2>;"
	     "		ranges = <0 0xffffffff 0xfffff000 0 0x1001>; dev { reg = <0 0 1>; }; }; };"
	     "none { #address-cells = <0>; #size-cells = <0>; dev { reg = <1>; }; };"
	     "nothing { }; };");
	expect_reg("/top@100000000", 0, 0x100000000, 0x1000);
	expect_reg("/top@100000000", 1, 0x20, 4);
	assert_int_equal(reg_error("/top@100000000", 2), -ENOENT);
	expect_reg("/soc/uart@7e201000", 0, 0xfe201000, 0x200);
	expect_reg("/soc/uart@7e201000", 1, 0x4fc000010, 0x10);
	assert_int_equal(reg_error("/soc/uart@7e201000", 2), -ENXIO);
	expect_reg("/soc/uart@7e201000", 3, 0xff7fffff, 1);
	assert_int_equal(reg_error("/soc/uart@7e201000", 4), -ENXIO);
	assert_int_equal(dt_reg_by_name(at("/soc/uart"), "b", &a, &b), 0);
	assert_int_equal(a, 0x4fc000010);
	assert_int_equal(dt_reg_by_name(at("/soc/uart"), "c", &a, &b), -ENOENT);
	expect_reg("/soc/same/dev@7e000004", 0, 0xfe000004, 4);
	expect_reg("/soc/same/inner/dev@9", 0, 0xfe000110, 0x20);
	assert_int_equal(reg_error("/soc/shut/dev@0", 0), -ENXIO);
	assert_int_equal(reg_error("/soc/i2c/chip@50", 0), -ENXIO);
	assert_int_equal(reg_error("/cpus/cpu@0", 0), -ENXIO);
	assert_int_equal(reg_error("/soc/odd@1", 0), -EINVAL);
	/* DTSpec 2.3.5: two cells and one where nothing is said. */
	expect_reg("/default/dev", 0, 5, 6);
	assert_int_equal(reg_error("/wide/dev", 0), -EINVAL);
	expect_reg("/wrap/dev", 0, 0xfffffffffffff000, 0x1000);
	assert_int_equal(reg_error("/wrap/dev", 1), -EINVAL);
	assert_int_equal(reg_error("/wrap/bus/dev", 0), -EINVAL);
	assert_int_equal(reg_error("/none/dev", 0), -EINVAL);
	assert_int_equal(reg_error("/nothing", 0), -ENOENT);
	assert_int_equal(reg_error("/", 0), -ENOENT);
}

/* A PCI host with I/O, 32-bit and prefetchable 64-bit windows, as Linux's trees have them. */
static void on_pci_an_address_belongs_to_a_space(void **state)
{
	(void)state;
	load("/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
	     "pcie { device_type = \"pci\"; #address-cells = <3>; #size-cells = <2>;"
	     "	ranges = <0x01000000 0 0x00000000 0 0x3eff0000 0 0x00010000>,"
	     "		 <0x02000000 0 0x00000000 0 0x10000000 0 0x2eff0000>,"
	     "		 <0x43000000 0x80 0 0x80 0 0x80 0>;"
	     "	dev@0 { reg = <0x0800 0 0 0 0>, <0x01000810 0 0x10 0 4>,"
	     "		      <0x02000814 0 0x2000 0 0x100>, <0x42000818 0x80 0x10 0 0x10>,"
	     "		      <0x0300081c 0 0x3000 0 0x100>; };"
	     "	bridge@1 { device_type = \"pci\"; #address-cells = <3>; #size-cells = <2>; ranges;"
	     "		reg = <0x1000 0 0 0 0>;"
	     "		dev@0 { reg = <0x10000 0 0 0 0>, <0x02010010 0 0x4000 0 0x10>; }; }; };"
	     "mc { #address-cells = <3>; #size-cells = <1>;"
	     "	ranges = <0 0 0 8 0x1000 0x100>, <3 0 0 8 0x2000 0x100>;"
	     "	dev { reg = <3 0 4 1>, <2 0 4 1>; }; }; };");
	assert_int_equal(reg_error("/pcie/dev", 0), -ENXIO); /* configuration space */
	expect_reg("/pcie/dev", 1, 0x3eff0010, 4);
	expect_reg("/pcie/dev", 2, 0x10002000, 0x100);
	expect_reg("/pcie/dev", 3, 0x8000000010, 0x10);
	expect_reg("/pcie/dev", 4, 0x10003000, 0x100);
	assert_int_equal(reg_error("/pcie/bridge/dev", 0), -ENXIO);
	expect_reg("/pcie/bridge/dev", 1, 0x10004000, 0x10);
	/* Another bus of three cells: the first is part of the address. */
	expect_reg("/mc/dev", 0, 0x800002004, 1);
	assert_int_equal(reg_error("/mc/dev", 1), -ENXIO);
}

/* ---- DMA ---- */

static void expect_window(const char *path, unsigned int index, uint64_t bus, uint64_t pa,
                          uint64_t bytes)
{
	struct dt_dma_window w = {0};
	int error = dt_dma_window(at(path), index, &w);

	if (error || w.bus != bus || w.pa != pa || w.bytes != bytes)
		fail_msg("%s window %u: %d, 0x%llx -> 0x%llx + 0x%llx", path, index, error,
		         (unsigned long long)w.bus, (unsigned long long)w.pa,
		         (unsigned long long)w.bytes);
}

static int window_error(const char *path, unsigned int index)
{
	struct dt_dma_window w;

	return dt_dma_window(at(path), index, &w);
}

static void dma_windows_are_composed_through_all_buses(void **state)
{
	(void)state;
	load("/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; dev { };"
	     "plain { #address-cells = <1>; #size-cells = <1>; dma-ranges; dev { }; };"
	     "soc { #address-cells = <1>; #size-cells = <1>;"
	     "	dma-ranges = <0xc0000000 0 0 0x40000000>, <0x80000000 4 0 0x10000000>; dev { };"
	     "	sub { #address-cells = <1>; #size-cells = <1>; dma-ranges; dev { }; };"
	     "	inner { #address-cells = <1>; #size-cells = <1>;"
	     "		dma-ranges = <0 0x80000000 0x80000000>; dev { };"
	     "		deaf { #address-cells = <1>; #size-cells = <1>;"
	     "			dma-ranges = <0x1000 0x10000000 0x1000>; dev { }; }; }; };"
	     "overlap { #address-cells = <1>; #size-cells = <1>;"
	     "	dma-ranges = <0x2000 0 0xa000 0x1000>, <0x1000 0 0 0x3000>, <0 1 0 0>; dev { }; };"
	     "whole { #address-cells = <2>; #size-cells = <2>;"
	     "	dma-ranges = <0 0 0 0 0xffffffff 0xffffffff>; dev { }; };"
	     "pcie { device_type = \"pci\"; #address-cells = <3>; #size-cells = <2>;"
	     "	dma-ranges = <0x01000000 0 0 9 0 0 0x100>, <0x02000000 0 0 1 0 0 0xc0000000>;"
	     "	dev { }; };"
	     "odd { #address-cells = <1>; #size-cells = <1>; dma-ranges = <1 2>; dev { }; };"
	     "wrap { #address-cells = <2>; #size-cells = <2>;"
	     "	dma-ranges = <0xffffffff 0xfffff000 0 0 0 0x2000>; dev { }; }; };");
	/* No restriction is one window over everything. */
	expect_window("/dev", 0, 0, 0, UINT64_MAX);
	assert_int_equal(window_error("/dev", 1), -ENOENT);
	expect_window("/plain/dev", 0, 0, 0, UINT64_MAX);
	/* By bus address. */
	expect_window("/soc/dev", 0, 0x80000000, 0x400000000, 0x10000000);
	expect_window("/soc/dev", 1, 0xc0000000, 0, 0x40000000);
	assert_int_equal(window_error("/soc/dev", 2), -ENOENT);
	expect_window("/soc/sub/dev", 1, 0xc0000000, 0, 0x40000000);
	/* inner's [0, 2 GiB) is soc's [2 GiB, 4 GiB), of which two pieces are mapped. */
	expect_window("/soc/inner/dev", 0, 0, 0x400000000, 0x10000000);
	expect_window("/soc/inner/dev", 1, 0x40000000, 0, 0x40000000);
	assert_int_equal(window_error("/soc/inner/dev", 2), -ENOENT);
	assert_int_equal(window_error("/soc/inner/deaf/dev", 0), -ENOENT);
	/* Where ranges overlap the first counts. */
	expect_window("/overlap/dev", 0, 0x1000, 0, 0x1000);
	expect_window("/overlap/dev", 1, 0x2000, 0xa000, 0x1000);
	expect_window("/overlap/dev", 2, 0x3000, 0x2000, 0x1000);
	assert_int_equal(window_error("/overlap/dev", 3), -ENOENT);
	expect_window("/whole/dev", 0, 0, 0, UINT64_MAX);
	expect_window("/pcie/dev", 0, 0, 0x100000000, 0xc0000000);
	assert_int_equal(window_error("/pcie/dev", 1), -ENOENT);
	assert_int_equal(window_error("/odd/dev", 0), -EINVAL);
	assert_int_equal(window_error("/wrap/dev", 0), -EINVAL);
}

static void the_nearest_word_on_coherence_counts(void **state)
{
	(void)state;
	load("/dts-v1/; / { a { dma-coherent; b { c { dma-noncoherent; d { }; }; }; }; e { }; };");
	assert_true(dt_dma_coherent(at("/a/b")));
	assert_false(dt_dma_coherent(at("/a/b/c")));
	assert_false(dt_dma_coherent(at("/a/b/c/d")));
	assert_false(dt_dma_coherent(at("/e")));
}

/* ---- Interrupts ---- */

static void expect_irq(const char *path, unsigned int index, const char *controller,
                       unsigned int cell_count, const uint32_t *cells)
{
	struct dt_irq irq;
	int error = dt_irq(at(path), index, &irq);
	char name[100];

	if (error)
		fail_msg("%s interrupt %u: %d", path, index, error);
	assert_string_equal(dt_path(irq.controller, name, sizeof(name)), controller);
	assert_int_equal(irq.cell_count, cell_count);
	assert_memory_equal(irq.cells, cells, cell_count * sizeof(*cells));
}
#define EXPECT_IRQ(path, index, controller, ...)                                   \
	expect_irq(path, index, controller, sizeof((uint32_t[]){__VA_ARGS__}) / 4, \
	           (const uint32_t[]){__VA_ARGS__})

static int irq_error(const char *path, unsigned int index)
{
	struct dt_irq irq;

	return dt_irq(at(path), index, &irq);
}

static void an_interrupt_finds_its_controller(void **state)
{
	(void)state;
	load("/dts-v1/; / { interrupt-parent = <1>;"
	     "gic { phandle = <1>; interrupt-controller; #interrupt-cells = <3>; interrupts = <9 9 "
	     "9>;"
	     "	v2m { interrupts = <0 5 1>; }; };"
	     "bank { phandle = <2>; interrupt-controller; #interrupt-cells = <2>; interrupts = <0 "
	     "1 4>; };"
	     "dev { interrupts = <0 7 4 1 8 1>; interrupt-names = \"a\", \"b\";"
	     "	child { interrupts = <0 2 4>; }; };"
	     "other { interrupt-parent = <2>; dev { interrupts = <5 6 7 8 9>; }; };"
	     "both { interrupts = <1 2 3>;"
	     "	interrupts-extended = <2 10 11>, <0>, <1 12 13 14>; };"
	     "broken { interrupts-extended = <1 1 2 3>, <99 1>; };"
	     "cut { interrupts-extended = <1 1 2>; };"
	     "lost { interrupt-parent = <99>; dev { interrupts = <1>; }; };"
	     "round { phandle = <4>; interrupt-parent = <5>; interrupts = <1>; };"
	     "about { phandle = <5>; interrupt-parent = <4>; };"
	     "wide { phandle = <6>; interrupt-controller; #interrupt-cells = <9>; };"
	     "far { interrupt-parent = <6>; interrupts = <1 2 3 4 5 6 7 8 9>; };"
	     "mute { phandle = <7>; interrupt-controller; #interrupt-cells = <0>; };"
	     "dumb { interrupt-parent = <7>; interrupts = <1>; };"
	     "nop { }; };");
	EXPECT_IRQ("/dev", 0, "/gic", 0, 7, 4);
	EXPECT_IRQ("/dev", 1, "/gic", 1, 8, 1);
	assert_int_equal(irq_error("/dev", 2), -ENOENT);
	assert_int_equal(dt_irq_count(at("/dev")), 2);
	assert_int_equal(dt_string_index(at("/dev"), "interrupt-names", "b"), 1);
	assert_int_equal(dt_string_index(at("/dev"), "interrupt-names", "c"), -ENOENT);
	EXPECT_IRQ("/dev/child", 0, "/gic", 0, 2, 4);
	/* A parent with #interrupt-cells is the interrupt parent; the root's word is further away. */
	EXPECT_IRQ("/gic/v2m", 0, "/gic", 0, 5, 1);
	EXPECT_IRQ("/gic", 0, "/gic", 9, 9, 9);
	EXPECT_IRQ("/bank", 0, "/gic", 0, 1, 4);
	EXPECT_IRQ("/other/dev", 1, "/bank", 7, 8);
	assert_int_equal(dt_irq_count(at("/other/dev")), 2);
	/* interrupts-extended wins over interrupts, and 0 holds a place. */
	EXPECT_IRQ("/both", 0, "/bank", 10, 11);
	assert_int_equal(irq_error("/both", 1), -ENOENT);
	EXPECT_IRQ("/both", 2, "/gic", 12, 13, 14);
	assert_int_equal(irq_error("/both", 3), -ENOENT);
	assert_int_equal(dt_irq_count(at("/both")), 3);
	EXPECT_IRQ("/broken", 0, "/gic", 1, 2, 3);
	assert_int_equal(irq_error("/broken", 1), -EINVAL);
	assert_int_equal(dt_irq_count(at("/broken")), 1);
	assert_int_equal(irq_error("/cut", 0), -EINVAL);
	assert_int_equal(irq_error("/lost/dev", 0), -EINVAL);
	assert_int_equal(irq_error("/round", 0), -EINVAL);
	assert_int_equal(irq_error("/far", 0), -EINVAL);
	assert_int_equal(irq_error("/dumb", 0), -EINVAL);
	assert_int_equal(dt_irq_count(at("/dumb")), 0);
	assert_int_equal(irq_error("/nop", 0), -ENOENT);
	assert_int_equal(dt_irq_count(at("/nop")), 0);
}

/*
 * The example of DTSpec 2.4.4: PCI's INTA..INTD, numbered 1..4, of two slots, on an open-pic with
 * 2-cell specifiers.
 */
static void an_interrupt_map_leads_to_the_controller(void **state)
{
	(void)state;
	load("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
	     "open-pic { phandle = <1>; interrupt-controller; #address-cells = <0>; "
	     "#interrupt-cells = <2>; };"
	     "pci { phandle = <2>; #interrupt-cells = <1>; #size-cells = <2>; #address-cells = <3>;"
	     "	interrupt-map-mask = <0xf800 0 0 7>;"
	     "	interrupt-map = <0x8800 0 0 1 1 2 1>, <0x8800 0 0 2 1 3 1>,"
	     "			<0x8800 0 0 3 1 4 1>, <0x8800 0 0 4 1 1 1>,"
	     "			<0x9000 0 0 1 1 3 1>, <0x9000 0 0 2 1 4 1>,"
	     "			<0x9000 0 0 3 1 1 1>, <0x9000 0 0 4 1 2 1>;"
	     "	dev@11 { reg = <0x8800 0 0 0 0>; interrupts = <2>; };"
	     "	dev@12,1 { reg = <0x9100 0 0 0 0>; interrupts = <1 4>; };"
	     "	dev@13 { reg = <0x9800 0 0 0 0>; interrupts = <1>; }; }; };");
	EXPECT_IRQ("/pci/dev@11", 0, "/open-pic", 3, 1);
	EXPECT_IRQ("/pci/dev@12,1", 0, "/open-pic", 3, 1);
	EXPECT_IRQ("/pci/dev@12,1", 1, "/open-pic", 2, 1);
	assert_int_equal(irq_error("/pci/dev@13", 0), -ENXIO);
}

static void interrupt_maps_nest_and_end(void **state)
{
	(void)state;
	load("/dts-v1/; / {"
	     "old { phandle = <1>; interrupt-controller; #interrupt-cells = <2>; };"
	     "v3 { phandle = <2>; interrupt-controller; #interrupt-cells = <3>; #address-cells = "
	     "<2>;"
	     "	interrupt-map = <0 0 0 0 0 1 0 0>; };"
	     "outer { phandle = <3>; #interrupt-cells = <2>; #address-cells = <1>;"
	     "	interrupt-map = <5 1 2 2 7 8 0x21 0x22 0x23>, <6 1 2 1 0x31 0x32>; };"
	     "inner { phandle = <4>; #interrupt-cells = <1>; #address-cells = <0>;"
	     "	interrupt-map = <1 3 5 1 2>, <2 3 6 1 2>, <3 3 9 1 2>; };"
	     "dev { interrupt-parent = <4>; interrupts = <1>, <2>, <3>, <4>; };"
	     "bare { interrupts-extended = <3 1 2>; };"
	     "a { phandle = <5>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <1 "
	     "6 1>; };"
	     "b { phandle = <6>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <1 "
	     "5 1>; };"
	     "round { interrupts-extended = <5 1>; };"
	     "lost { interrupts-extended = <7 1>; };"
	     "c { phandle = <7>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <2 "
	     "99 1>; };"
	     "short { interrupts-extended = <8 1>; };"
	     "d { phandle = <8>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <2 "
	     "1 5 5 1>; };"
	     "blind { interrupts-extended = <9 1>; };"
	     "e { phandle = <9>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <1 "
	     "1 5 5>;"
	     "	interrupt-map-mask = []; };"
	     "same { interrupts-extended = <2 4 5 6>; }; };");
	EXPECT_IRQ("/dev", 0, "/v3", 0x21, 0x22, 0x23);
	EXPECT_IRQ("/dev", 1, "/old", 0x31, 0x32);
	assert_int_equal(irq_error("/dev", 2), -ENXIO);
	assert_int_equal(irq_error("/dev", 3), -ENXIO);
	assert_int_equal(irq_error("/bare", 0), -ENXIO);
	assert_int_equal(irq_error("/round", 0), -EINVAL);
	assert_int_equal(irq_error("/lost", 0), -EINVAL);
	assert_int_equal(irq_error("/short", 0), -EINVAL);
	assert_int_equal(irq_error("/blind", 0), -EINVAL);
	/* Where a controller has a map as well, that is the controller's own business. */
	EXPECT_IRQ("/same", 0, "/v3", 4, 5, 6);
}

/* ---- RAM and /chosen ---- */

static void memory_is_all_memory_nodes_without_the_empty(void **state)
{
	uint64_t a, b;

	(void)state;
	load("/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
	     "memory-controller@1 { reg = <0 1 0 1>; };"
	     "memory@0 { device_type = \"memory\"; reg = <0 0 0 0>, <0 0x1000 0 0x2000>; };"
	     "other { memory { reg = <0 1 0 1>; }; };"
	     "memory@5 { status = \"disabled\"; reg = <0 5 0 5>; };"
	     "memory@100000000 { reg = <1 0 1 0>, <3 0 0 0>, <4 0 0 7>; }; };");
	assert_int_equal(dt_memory(0, &a, &b), 0);
	assert_int_equal(a, 0x1000);
	assert_int_equal(b, 0x2000);
	assert_int_equal(dt_memory(1, &a, &b), 0);
	assert_int_equal(a, 0x100000000);
	assert_int_equal(b, 0x100000000);
	assert_int_equal(dt_memory(2, &a, &b), 0);
	assert_int_equal(a, 0x400000000);
	assert_int_equal(dt_memory(3, &a, &b), -ENOENT);
	load("/dts-v1/; / { };");
	assert_int_equal(dt_memory(0, &a, &b), -ENOENT);
}

static void reserved_is_memreserve_and_static_regions(void **state)
{
	static const struct {
		uint64_t pa, bytes;
		bool no_map;
	} expected[] = {{0, 0x1000, false},
	                {0x700000000, 0x2000, false},
	                {0x10000000, 0x1000, false},
	                {0x20000000, 0x1000, true},
	                {0x30000000, 0x1000, true}};
	uint64_t a, b;
	bool no_map;

	(void)state;
	load("/dts-v1/; /memreserve/ 0 0x1000; /memreserve/ 0x700000000 0x2000;"
	     "/ { #address-cells = <1>; #size-cells = <1>;"
	     "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
	     "	a@10000000 { reg = <0x10000000 0x1000>; };"
	     "	cma { size = <0x4000000>; reusable; };"
	     "	dynamic { size = <0x100000>; no-map; };"
	     "	pool@18000000 { reg = <0x18000000 0x1000>; reusable; };"
	     "	off@19000000 { reg = <0x19000000 0x1000>; status = \"disabled\"; };"
	     "	empty@0 { reg = <0 0>; };"
	     "	b@20000000 { reg = <0x20000000 0x1000 0x30000000 0x1000>; no-map; }; }; };");
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(dt_reserved(i, &a, &b, &no_map), 0);
		assert_int_equal(a, expected[i].pa);
		assert_int_equal(b, expected[i].bytes);
		assert_int_equal(no_map, expected[i].no_map);
	}
	assert_int_equal(dt_reserved(5, &a, &b, &no_map), -ENOENT);
	/* Without the `ranges` that the binding demands: reserved all the same. */
	load("/dts-v1/; / { reserved-memory { a { reg = <0 0x5000 0x1000>; }; }; };");
	assert_int_equal(dt_reserved(0, &a, &b, &no_map), 0);
	assert_int_equal(a, 0x5000);
}

static void chosen_names_console_arguments_and_initrd(void **state)
{
	const char *options;
	uint64_t a, b;

	(void)state;
	load("/dts-v1/; / { aliases { serial0 = \"/soc/uart@10\"; };"
	     "chosen { stdout-path = \"serial0:115200n8\"; bootargs = \"a b=c\";"
	     "	linux,initrd-start = <0x48000000>; linux,initrd-end = <1 0>; };"
	     "soc { uart@10 { }; }; };");
	assert_int_equal(dt_stdout(&options), at("/soc/uart@10"));
	assert_string_equal(options, "115200n8");
	assert_string_equal(dt_bootargs(), "a b=c");
	assert_int_equal(dt_initrd(&a, &b), 0);
	assert_int_equal(a, 0x48000000);
	assert_int_equal(b, 0x100000000);
	load("/dts-v1/; / { chosen { stdout-path = \"/uart\"; linux,initrd-start = <2>;"
	     "	linux,initrd-end = <2>; }; uart { }; };");
	assert_int_equal(dt_stdout(&options), at("/uart"));
	assert_null(options);
	assert_string_equal(dt_bootargs(), "");
	assert_int_equal(dt_initrd(&a, &b), -ENOENT);
	load("/dts-v1/; / { chosen { stdout-path = \"nobody:1\"; bootargs = [41 42];"
	     "	linux,initrd-start = <1 2 3>; linux,initrd-end = <9>; }; };");
	assert_int_equal(dt_stdout(&options), DT_NONE);
	assert_string_equal(dt_bootargs(), "");
	assert_int_equal(dt_initrd(&a, &b), -ENOENT);
	load("/dts-v1/; / { };");
	assert_int_equal(dt_stdout(&options), DT_NONE);
	assert_null(options);
	assert_string_equal(dt_bootargs(), "");
	assert_int_equal(dt_initrd(&a, &b), -ENOENT);
}

/* ---- The index ---- */

/* The image moves itself: the used bytes go to another place, and the rest of the index is noise. */
static void the_used_bytes_are_all_there_is_to_carry_over(void **state)
{
	size_t bytes, big;
	void *start, *kept;

	(void)state;
	load(zoo);
	start = dt_index_start(&bytes);
	assert_in_range(bytes, 9 * 16, 9 * 16 + 256);
	kept = malloc(bytes);
	memcpy(kept, start, bytes);
	/* No pointer into itself among them. */
	for (size_t i = 0; i + 8 <= bytes; i += 8) {
		uintptr_t word;

		memcpy(&word, (char *)start + i, 8);
		assert_false(word - (uintptr_t)start < 32768);
	}
	{
		uint8_t *zoo_blob = blob;

		blob = NULL;
		load("/dts-v1/; / { chosen { bootargs = \"x\"; }; b { c { d { e { f { g { h { i {"
		     "j { k { l { }; }; }; }; }; }; }; }; }; }; }; };");
		dt_index_start(&big);
		assert_true(big > bytes);
		memset(start, 0xa5, big);
		memcpy(start, kept, bytes);
		free(blob);
		blob = zoo_blob;
	}
	free(kept);
	assert_string_equal(dt_name(at("lion")), "lion@1000");
	assert_int_equal(dt_by_phandle(7), at("lion"));
	assert_int_equal(dt_find_compatible(3, "cat"), at("/cats/lynx"));
	assert_string_equal(dt_error(), "");
	assert_string_equal(dt_bootargs(), "");
}

static void an_index_full_of_noise_is_no_tree_until_dt_init_says_so(void **state)
{
	size_t bytes;
	void *start;

	(void)state;
	load(zoo);
	start = dt_index_start(&bytes);
	memset(start, 0xa5, bytes);
	assert_int_equal(dt_init(blob, blob_bytes - 1), -EINVAL);
	assert_null(dt_blob(&bytes));
	assert_int_equal(bytes, 0);
	assert_int_equal(dt_find("/"), DT_NONE);
	assert_int_equal(dt_next(DT_NONE), DT_NONE);
	assert_false(dt_enabled(0));
	load(zoo);
	assert_ptr_equal(dt_blob(&bytes), blob);
	assert_int_equal(bytes, blob_bytes);
	assert_int_equal(dt_find("lion"), 3);
}

/* ---- What is refused ---- */

static void expect_refusal_of(const void *bytes, size_t count, const char *why)
{
	size_t n;

	assert_int_equal(dt_init(bytes, count), -EINVAL);
	if (strncmp(dt_error(), why, strlen(why)))
		fail_msg("said \"%s\", not \"%s\"", dt_error(), why);
	assert_null(dt_blob(&n));
	assert_int_equal(dt_find("/"), DT_NONE);
}

/* In the zoo, with one cell changed. */
static void expect_refusal(size_t offset, uint32_t value, const char *why)
{
	compile(zoo);
	put(offset, value);
	expect_refusal_of(blob, blob_bytes, why);
}

static void what_is_not_a_tree_is_refused_with_its_reason(void **state)
{
	uint8_t *shifted;

	(void)state;
	expect_refusal_of(NULL, 0, "no device tree was passed");
	compile(zoo);
	expect_refusal_of(blob, 39, "no device tree was passed");
	shifted = malloc(blob_bytes + 4);
	memcpy(shifted + 4, blob, blob_bytes);
	expect_refusal_of(shifted + 4, blob_bytes, "the tree is not 8-byte aligned");
	free(shifted);
	expect_refusal(4 * MAGIC, 0xd00dfeee, "no device tree here (wrong magic)");
	expect_refusal(4 * VERSION, 16, "the tree's format is not version 17");
	expect_refusal(4 * LAST_COMP, 18, "the tree's format is not version 17");
	expect_refusal(4 * TOTALSIZE, (uint32_t)blob_bytes + 1, "the tree's size");
	expect_refusal(4 * TOTALSIZE, 39, "the tree's size");
	expect_refusal(4 * OFF_STRUCT, 0x3a, "a block of the tree is not aligned");
	expect_refusal(4 * OFF_MEMRSV, 0x2c, "a block of the tree is not aligned");
	expect_refusal(4 * OFF_STRUCT, 36, "the structure block is outside the tree");
	expect_refusal(4 * OFF_STRUCT, 0x80000000, "the structure block is outside the tree");
	expect_refusal(4 * STRUCT_BYTES, 0xfffffff0, "the structure block is outside the tree");
	expect_refusal(4 * OFF_STRINGS, 0x7fffffff, "the strings block is outside the tree");
	expect_refusal(4 * STRINGS_BYTES, (uint32_t)blob_bytes,
	               "the strings block is outside the tree");
	expect_refusal(4 * OFF_MEMRSV, 32, "the memory reservation block is outside the tree");
	expect_refusal(4 * OFF_MEMRSV, 0xfffffff8,
	               "the memory reservation block is outside the tree");
	compile(zoo);
	put(4 * OFF_MEMRSV, ((uint32_t)blob_bytes - 8) & ~7u);
	expect_refusal_of(blob, blob_bytes, "the memory reservation block has no end at offset 0x");
}

/* A blob that ends in a structure block of the given cells; the strings are "x\0y". */
static void build(const uint32_t *cells, size_t count)
{
	size_t total = 60 + 4 * count;

	free(blob);
	blob = calloc(total, 1);
	blob_bytes = total;
	put(4 * MAGIC, 0xd00dfeed);
	put(4 * TOTALSIZE, (uint32_t)total);
	put(4 * OFF_STRUCT, 60);
	put(4 * OFF_STRINGS, 56);
	put(4 * OFF_MEMRSV, 40);
	put(4 * VERSION, 17);
	put(4 * LAST_COMP, 16);
	put(4 * STRINGS_BYTES, 3);
	put(4 * STRUCT_BYTES, (uint32_t)(4 * count));
	memcpy(blob + 56, "x\0y", 3);
	for (size_t i = 0; i < count; i++)
		put(60 + 4 * i, cells[i]);
}
#define BUILD(...) build((const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)

enum { BEGIN = 1, END_NODE, PROP, NOP, END = 9, ROOT = 0 /* an empty name */, A = 0x41000000 };

static void expect_refusal_here(const char *why, size_t cell)
{
	char sentence[120];

	snprintf(sentence, sizeof(sentence), "%s at offset 0x%08zx", why, 60 + 4 * cell);
	expect_refusal_of(blob, blob_bytes, sentence);
}

static void a_broken_structure_is_refused_with_reason_and_place(void **state)
{
	(void)state;
	BUILD(BEGIN, ROOT, PROP, 1, 0, A, BEGIN, A, END_NODE, END_NODE, END);
	assert_int_equal(dt_init(blob, blob_bytes), 0);
	BUILD(NOP, BEGIN, ROOT, NOP, PROP, 0, 0, NOP, PROP, 0, 0, NOP, BEGIN, A, NOP, END_NODE, NOP,
	      END_NODE, NOP, END);
	assert_int_equal(dt_init(blob, blob_bytes), 0);
	assert_int_equal(dt_find("/A"), 1);
	assert_non_null(dt_prop(0, "x").data);
	BUILD(BEGIN, ROOT, END_NODE);
	expect_refusal_here("the structure block has no end", 3);
	BUILD(BEGIN, ROOT, END);
	expect_refusal_here("the tree ends inside a node", 2);
	BUILD(END);
	expect_refusal_here("the tree has no root", 0);
	BUILD(END_NODE, END);
	expect_refusal_here("the end of a node outside any", 0);
	BUILD(BEGIN, ROOT, END_NODE, END_NODE, END);
	expect_refusal_here("the end of a node outside any", 3);
	BUILD(BEGIN, ROOT, END_NODE, BEGIN, ROOT, END_NODE, END);
	expect_refusal_here("a second root node", 4);
	BUILD(BEGIN, A, END_NODE, END);
	expect_refusal_here("the root node has a name", 1);
	BUILD(BEGIN, ROOT, 5, END_NODE, END);
	expect_refusal_here("an unknown token", 2);
	BUILD(BEGIN, ROOT, BEGIN, 0x41414141, 0x41414141);
	expect_refusal_here("the name of a node does not end", 3);
	BUILD(PROP, 0, 0, BEGIN, ROOT, END_NODE, END);
	expect_refusal_here("a property outside a node or after a node's children", 0);
	BUILD(BEGIN, ROOT, BEGIN, A, END_NODE, PROP, 0, 0, END_NODE, END);
	expect_refusal_here("a property outside a node or after a node's children", 5);
	BUILD(BEGIN, ROOT, PROP);
	expect_refusal_here("a property runs past the structure block", 2);
	BUILD(BEGIN, ROOT, PROP, 0);
	expect_refusal_here("a property runs past the structure block", 2);
	BUILD(BEGIN, ROOT, PROP, 9, 0, END_NODE, END);
	expect_refusal_here("a property runs past the structure block", 2);
	BUILD(BEGIN, ROOT, PROP, 0xffffffff, 0, END_NODE, END);
	expect_refusal_here("a property runs past the structure block", 2);
	BUILD(BEGIN, ROOT, PROP, 5, 0, END_NODE, END);
	expect_refusal_here("the structure block has no end", 7);
	/* The strings block is "x\0y": y is not terminated. */
	BUILD(BEGIN, ROOT, PROP, 0, 1, END_NODE, END);
	assert_int_equal(dt_init(blob, blob_bytes), 0);
	BUILD(BEGIN, ROOT, PROP, 0, 2, END_NODE, END);
	expect_refusal_here("a property's name is outside the strings block", 2);
	BUILD(BEGIN, ROOT, PROP, 0, 0x80000000, END_NODE, END);
	expect_refusal_here("a property's name is outside the strings block", 2);
}

/* count nodes below the root, each in the one before or all side by side. */
static void build_many(size_t count, bool nested)
{
	uint32_t *cells = malloc((6 + 3 * count) * sizeof(*cells));
	size_t n = 0;

	cells[n++] = BEGIN;
	cells[n++] = ROOT;
	for (size_t i = 0; i < count; i++) {
		cells[n++] = BEGIN;
		cells[n++] = A;
		if (!nested)
			cells[n++] = END_NODE;
	}
	for (size_t i = 0; nested && i < count; i++)
		cells[n++] = END_NODE;
	cells[n++] = END_NODE;
	cells[n++] = END;
	build(cells, n);
	free(cells);
}

static void a_name_of_32_kib_is_refused(void **state)
{
	static uint32_t cells[8200];

	(void)state;
	cells[0] = BEGIN;
	cells[2] = BEGIN;
	for (size_t i = 3; i < 8193; i++)
		cells[i] = 0x41414141;
	/* The longest that fits is 8191 cells, the terminator included. */
	cells[8193] = 0;
	cells[8194] = cells[8195] = END_NODE;
	cells[8196] = END;
	build(cells, 8197);
	assert_int_equal(dt_init(blob, blob_bytes), 0);
	assert_int_equal(strlen(dt_name(1)), 4 * 8190);
	cells[8193] = 0x41414141;
	cells[8194] = 0;
	cells[8196] = END_NODE;
	cells[8197] = END;
	build(cells, 8198);
	expect_refusal_here("the name of a node is longer than 32 KiB", 3);
}

static void more_nodes_than_fit_are_refused_and_depth_is_no_matter(void **state)
{
	char path[4000];
	uint64_t a, b;
	struct dt_dma_window w;

	(void)state;
	for (int nested = 0; nested < 2; nested++) {
		build_many(1535, nested);
		assert_int_equal(dt_init(blob, blob_bytes), 0);
		assert_int_equal(strlen(dt_path(1535, path, sizeof(path))), nested ? 2 * 1535 : 2);
		assert_int_equal(dt_find(path), nested ? 1535 : 1);
		assert_int_equal(dt_reg(1535, 0, &a, &b), -ENOENT);
		assert_int_equal(dt_dma_window(1535, 0, &w), 0);
		build_many(1536, nested);
		assert_int_equal(dt_init(blob, blob_bytes), -E2BIG);
		assert_memory_equal(dt_error(), "more nodes than the index holds at offset", 41);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, forget)
	const struct CMUnitTest tests[] = {
	    TEST(nodes_are_in_the_trees_order_with_parents_children_and_siblings),
	    TEST(a_node_is_found_by_path_alias_and_phandle),
	    TEST(a_path_is_cut_to_the_buffer_and_always_terminated),
	    TEST(a_node_that_does_not_exist_has_nothing),
	    TEST(a_disabled_node_disables_all_below_it),
	    TEST(compatible_means_any_of_its_strings_whole),
	    TEST(properties_are_read_as_cells_and_strings_but_never_past_their_end),
	    TEST(of_two_with_one_name_the_first_counts),
	    TEST(wiping_leaves_zeros_and_the_rest_of_the_tree),
	    TEST(reg_is_translated_through_the_ranges_of_every_bus),
	    TEST(on_pci_an_address_belongs_to_a_space),
	    TEST(dma_windows_are_composed_through_all_buses),
	    TEST(the_nearest_word_on_coherence_counts),
	    TEST(an_interrupt_finds_its_controller),
	    TEST(an_interrupt_map_leads_to_the_controller),
	    TEST(interrupt_maps_nest_and_end),
	    TEST(memory_is_all_memory_nodes_without_the_empty),
	    TEST(reserved_is_memreserve_and_static_regions),
	    TEST(chosen_names_console_arguments_and_initrd),
	    TEST(the_used_bytes_are_all_there_is_to_carry_over),
	    TEST(an_index_full_of_noise_is_no_tree_until_dt_init_says_so),
	    TEST(what_is_not_a_tree_is_refused_with_its_reason),
	    TEST(a_broken_structure_is_refused_with_reason_and_place),
	    TEST(a_name_of_32_kib_is_refused),
	    TEST(more_nodes_than_fit_are_refused_and_depth_is_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
