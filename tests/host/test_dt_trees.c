/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/dt.h on every arm64 tree of Debian's kernel package (build/deps/dtbs), with libfdt
 * as the judge: the same trees are good, and what libfdt reads in a good one we read too. The same on
 * truncated and damaged trees, where no byte outside the tree is ever read: each lies at the end of
 * an allocation of exactly its size, which AddressSanitizer watches. And fixed expectations, worked
 * out by hand from the source, for the Raspberry Pis.
 *
 * `test_dt_trees dump FILE...` prints what dt.c says about each tree; test_dt_trees.py compares that
 * with a model of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libfdt.h>
#include <pith/dt.h>

#define TREES "build/deps/dtbs"

/* ---- Trees ---- */

struct tree {
	void *blob;
	size_t bytes;
};

static struct tree copy_of(const void *blob, size_t bytes)
{
	struct tree t = {malloc(bytes ? bytes : 1), bytes};

	assert_non_null(t.blob);
	memcpy(t.blob, blob, bytes);
	return t;
}

static struct tree read_tree(const char *path)
{
	static uint8_t buf[2 << 20];
	FILE *f = fopen(path, "rb");
	size_t bytes;

	if (!f)
		fail_msg("cannot open %s", path);
	bytes = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return copy_of(buf, bytes);
}

/* The file called name, wherever under TREES. */
static struct tree find_tree(const char *name)
{
	char *roots[] = {TREES, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	struct tree t = {NULL, 0};

	for (FTSENT *e; !t.blob && (e = fts_read(fts));) {
		if (e->fts_info == FTS_F && !strcmp(e->fts_name, name))
			t = read_tree(e->fts_path);
	}
	fts_close(fts);
	if (!t.blob)
		fail_msg("no %s in " TREES, name);
	return t;
}

/* ---- The judge ---- */

static const char *subject; /* what is compared, for messages */

#define CHECK(condition)                                                            \
	do {                                                                        \
		if (!(condition))                                                   \
			fail_msg("%s: line %d: %s", subject, __LINE__, #condition); \
	} while (0)

/*
 * Rules of ours that libfdt does not have: version 17, alignment, one root, properties in a node and
 * before its children, a limit of nodes.
 */
static bool within_our_rules(const void *blob)
{
	int offset, next = 0, depth = 0, nodes = 0;
	bool properties = false;

	if (fdt_version(blob) < 17)
		return false;
	do {
		offset = next;
		switch (fdt_next_tag(blob, offset, &next)) {
		case FDT_BEGIN_NODE:
			depth++;
			nodes++;
			properties = true;
			break;
		case FDT_END_NODE:
			depth--;
			properties = false;
			break;
		case FDT_PROP:
			if (!depth || !properties)
				return false;
			break;
		case FDT_END:
			return nodes > 0 && nodes <= 1536;
		}
	} while (next >= 0);
	return false;
}

static bool aligned(const void *blob, size_t bytes)
{
	return bytes < 40 ||
	       (fdt_off_dt_struct(blob) % 4 == 0 && fdt_off_mem_rsvmap(blob) % 8 == 0);
}

/* Take the tree in; the verdicts must be the same. Returns whether it is good. */
static bool judge(const struct tree *t)
{
	bool ours = dt_init(t->blob, t->bytes) == 0, theirs;

	CHECK(ours == !*dt_error());
	/* libfdt reads cells where the header says, aligned or not. */
	if (!aligned(t->blob, t->bytes)) {
		CHECK(!ours);
		return false;
	}
	theirs = fdt_check_full(t->blob, t->bytes) == 0 && within_our_rules(t->blob);
	if (ours != theirs)
		fail_msg("%s: libfdt says %s, we: %s", subject,
		         fdt_strerror(fdt_check_full(t->blob, t->bytes)), dt_error());
	return ours;
}

/* Are ours and libfdt's one node, or both none? */
static bool is_node(dt_node n, const void *blob, int node)
{
	if (n == DT_NONE || node < 0)
		return n == DT_NONE && node < 0;
	return dt_name(n) == fdt_get_name(blob, node, NULL);
}

static void compare_property(dt_node n, const void *blob, int node, int property)
{
	const char *name;
	const void *value, *first;
	int bytes, first_bytes;
	struct dt_value ours;

	value = fdt_getprop_by_offset(blob, property, &name, &bytes);
	CHECK(value);
	first = fdt_getprop(blob, node, name, &first_bytes);
	ours = dt_prop(n, name);
	CHECK(ours.data == first);
	CHECK(ours.bytes == (size_t)first_bytes);
	if (strcmp(name, "compatible") || value != first)
		return;
	for (int i = 0; i < fdt_stringlist_count(blob, node, name); i++) {
		const char *s = fdt_stringlist_get(blob, node, name, i, NULL);

		CHECK(dt_compatible(n, s));
		CHECK(dt_string(n, name, (unsigned int)i) == s);
	}
}

/* The phandles of the nodes so far: of several nodes with one phandle the first has it. */
static struct {
	uint32_t phandle;
	dt_node n;
} phandles[1536];
static size_t phandle_count;

static void compare_phandle(dt_node n, uint32_t phandle)
{
	size_t i = 0;

	if (phandle == 0 || phandle == UINT32_MAX)
		return;
	while (i < phandle_count && phandles[i].phandle != phandle)
		i++;
	if (i == phandle_count) {
		phandles[i].phandle = phandle;
		phandles[phandle_count++].n = n;
	}
	CHECK(dt_by_phandle(phandle) == phandles[i].n);
}

static void compare_node(dt_node n, dt_node parent, const void *blob, int node)
{
	int property;
	char path[4096];

	CHECK(dt_parent(n) == parent);
	CHECK(dt_name(n) == fdt_get_name(blob, node, NULL));
	for (property = fdt_first_property_offset(blob, node); property >= 0;
	     property = fdt_next_property_offset(blob, property))
		compare_property(n, blob, node, property);
	CHECK(!dt_prop(n, "never-there").data);
	CHECK(!dt_compatible(n, "never,there"));
	compare_phandle(n, fdt_get_phandle(blob, node));
	/* libfdt walks the tree for a path, so not every time. */
	if (n % 64 == 0) {
		CHECK(fdt_get_path(blob, node, path, sizeof(path)) == 0);
		CHECK(is_node(dt_find(path), blob, fdt_path_offset(blob, path)));
	}
}

static void compare_reservations(const void *blob)
{
	int count = fdt_num_mem_rsv(blob);

	for (int i = 0; i < count; i++) {
		uint64_t a, b, pa, bytes;
		bool no_map = true;

		CHECK(fdt_get_mem_rsv(blob, i, &a, &b) == 0);
		CHECK(dt_reserved((unsigned int)i, &pa, &bytes, &no_map) == 0);
		CHECK(a == pa && b == bytes && !no_map);
	}
}

static void compare_aliases(const void *blob)
{
	int aliases = fdt_path_offset(blob, "/aliases"), property;

	for (property = fdt_first_property_offset(blob, aliases); property >= 0;
	     property = fdt_next_property_offset(blob, property)) {
		const char *name, *path;
		int bytes;

		path = fdt_getprop_by_offset(blob, property, &name, &bytes);
		if (bytes == 0 || path[bytes - 1] || *path != '/' || strchr(name, '/') || !*name)
			continue;
		if (fdt_getprop(blob, aliases, name, NULL) != path) /* the second of that name */
			continue;
		CHECK(is_node(dt_find(name), blob, fdt_path_offset(blob, path)));
	}
}

/* Children and siblings follow from order and parents, which are libfdt's by now. */
static void check_links(dt_node n)
{
	dt_node child = dt_first_child(n), sibling = dt_next_sibling(n), after = dt_next(n);

	CHECK(child == (dt_parent(after) == n ? after : DT_NONE));
	while (after != DT_NONE && dt_parent(after) >= n)
		after = dt_next(after);
	CHECK(sibling == (after != DT_NONE && dt_parent(after) == dt_parent(n) ? after : DT_NONE));
}

/* Everything that libfdt reads in a good tree. */
static void compare(const void *blob)
{
	dt_node stack[1538] = {DT_NONE}, n = 0; /* by depth; the root's is 1 */
	int node, depth = 0;

	phandle_count = 0;
	for (node = fdt_next_node(blob, -1, &depth); node >= 0 && depth >= 0;
	     node = fdt_next_node(blob, node, &depth), n = dt_next(n)) {
		CHECK(n != DT_NONE);
		stack[depth] = n;
		compare_node(n, stack[depth - 1], blob, node);
		check_links(n);
	}
	CHECK(n == DT_NONE);
	compare_reservations(blob);
	compare_aliases(blob);
}

/* ---- Saying everything ---- */

static const char *outcome(int error)
{
	switch (error) {
	case -EINVAL:
		return "malformed";
	case -ENXIO:
		return "unmapped";
	case -ENOENT:
		return "none";
	default:
		return "?";
	}
}

static void dump_reg(FILE *to, dt_node n)
{
	uint64_t pa, bytes;
	int error;

	for (unsigned int i = 0; (error = dt_reg(n, i, &pa, &bytes)) != -ENOENT; i++) {
		if (error)
			fprintf(to, " reg %u %s\n", i, outcome(error));
		else
			fprintf(to, " reg %u 0x%llx 0x%llx\n", i, (unsigned long long)pa,
			        (unsigned long long)bytes);
		if (error == -EINVAL)
			return;
	}
}

static void dump_interrupts(FILE *to, dt_node n)
{
	unsigned int count = dt_irq_count(n);

	for (unsigned int i = 0; i < count; i++) {
		struct dt_irq irq;
		char path[4096];
		int error = dt_irq(n, i, &irq);

		if (error) {
			fprintf(to, " irq %u %s\n", i, outcome(error));
			continue;
		}
		fprintf(to, " irq %u %s", i, dt_path(irq.controller, path, sizeof(path)));
		for (unsigned int c = 0; c < irq.cell_count; c++)
			fprintf(to, " 0x%x", irq.cells[c]);
		fputc('\n', to);
	}
}

static void dump_windows(FILE *to, dt_node n)
{
	struct dt_dma_window w;
	int error;

	for (unsigned int i = 0; (error = dt_dma_window(n, i, &w)) == 0; i++)
		fprintf(to, " dma 0x%llx 0x%llx 0x%llx\n", (unsigned long long)w.bus,
		        (unsigned long long)w.pa, (unsigned long long)w.bytes);
	if (error != -ENOENT)
		fprintf(to, " dma %s\n", outcome(error));
}

/* All that dt.c knows by translation and inheritance, as test_dt_trees.py words it. */
static void dump(FILE *to)
{
	const char *options;
	char path[4096];
	uint64_t a, b;
	bool no_map;

	dt_for_each(n) {
		fprintf(to, "%s\n %s%s\n", dt_path(n, path, sizeof(path)),
		        dt_enabled(n) ? "enabled" : "disabled",
		        dt_dma_coherent(n) ? " coherent" : "");
		dump_reg(to, n);
		dump_interrupts(to, n);
		dump_windows(to, n);
	}
	for (unsigned int i = 0; dt_memory(i, &a, &b) == 0; i++)
		fprintf(to, "memory 0x%llx 0x%llx\n", (unsigned long long)a, (unsigned long long)b);
	for (unsigned int i = 0; dt_reserved(i, &a, &b, &no_map) == 0; i++)
		fprintf(to, "reserved 0x%llx 0x%llx%s\n", (unsigned long long)a,
		        (unsigned long long)b, no_map ? " no-map" : "");
	fprintf(to, "stdout %s", dt_path(dt_stdout(&options), path, sizeof(path)));
	fprintf(to, " %s\n", options ? options : "-");
	if (dt_initrd(&a, &b) == 0)
		fprintf(to, "initrd 0x%llx 0x%llx\n", (unsigned long long)a, (unsigned long long)b);
}

static int dump_files(char **paths)
{
	for (; *paths; paths++) {
		struct tree t = read_tree(*paths);

		printf("file %s\n", *paths);
		if (dt_init(t.blob, t.bytes))
			printf("refused: %s\n", dt_error());
		else
			dump(stdout);
		free(t.blob);
	}
	return 0;
}

/* ---- Every tree ---- */

static void every_tree_of_debians_kernel_reads_as_libfdt_reads_it(void **state)
{
	char *roots[] = {TREES, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned int count = 0;

	(void)state;
	for (FTSENT *e; (e = fts_read(fts));) {
		struct tree t;

		if (e->fts_info != FTS_F || !strstr(e->fts_name, ".dtb"))
			continue;
		subject = e->fts_name;
		t = read_tree(e->fts_path);
		CHECK(judge(&t));
		compare(t.blob);
		free(t.blob);
		count++;
	}
	fts_close(fts);
	print_message("%u trees\n", count);
	assert_true(count > 500);
}

/* ---- Damaged trees ---- */

/* The same generator every time: xorshift64, Marsaglia 2003. */
static uint64_t random_state;

static uint32_t random_below(size_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % (uint32_t)limit;
}

/* Judge, compare, and ask everything there is to ask. Returns whether the tree was good. */
static bool try(struct tree *t, FILE *nowhere)
{
	bool good = judge(t);

	if (good) {
		compare(t->blob);
		dump(nowhere);
	}
	free(t->blob);
	return good;
}

static void set_header(void *blob, unsigned int field, uint32_t value)
{
	fdt32_st((uint32_t *)blob + field, value);
}

/* Cut anywhere, with and without a header that agrees. */
static void a_truncated_tree_is_refused_as_libfdt_refuses_it(void **state)
{
	struct tree whole = find_tree("foundation-v8.dtb");
	FILE *nowhere = fopen("/dev/null", "w");
	uint32_t blocks[] = {fdt_size_dt_struct(whole.blob), fdt_size_dt_strings(whole.blob)};

	(void)state;
	subject = "truncated";
	for (size_t cut = 0; cut < whole.bytes; cut++) {
		struct tree t = copy_of(whole.blob, cut);

		assert_int_equal(dt_init(t.blob, cut), -EINVAL);
		if (cut >= 40) {
			set_header(t.blob, 1, (uint32_t)cut);
			judge(&t);
		}
		free(t.blob);
	}
	/* size_dt_struct is field 9, size_dt_strings field 8 (DTSpec 5.2). */
	for (unsigned int block = 0; block < 2; block++) {
		for (uint32_t bytes = 0; bytes < blocks[block]; bytes++) {
			struct tree t = copy_of(whole.blob, whole.bytes);

			set_header(t.blob, 9 - block, bytes);
			try(&t, nowhere);
		}
	}
	fclose(nowhere);
	free(whole.blob);
}

/* One damage: mostly where it hurts, in the header or in a cell of the structure block. */
static void damage(uint8_t *blob, size_t bytes, uint32_t structure, uint32_t structure_bytes)
{
	static const uint32_t cells[] = {0, 1, 2, 3, 4, 5, 9, 0x7fffffff, 0x80000000, 0xffffffff};
	uint32_t place;

	switch (random_below(5)) {
	case 0:
		blob[random_below(40)] ^= 1 << random_below(8);
		break;
	case 1:
		blob[random_below(bytes)] = (uint8_t)random_below(256);
		break;
	case 2:
		blob[random_below(bytes)] ^= 1 << random_below(8);
		break;
	default:
		place = structure + 4 * random_below(structure_bytes / 4);
		if (random_below(2))
			fdt32_st(blob + place, cells[random_below(10)]);
		else
			blob[place + 3] ^= 1 << random_below(8);
	}
}

static void mutate(const char *name, uint64_t seed, unsigned int times)
{
	struct tree whole = find_tree(name);
	FILE *nowhere = fopen("/dev/null", "w");
	uint32_t structure = fdt_off_dt_struct(whole.blob);
	uint32_t structure_bytes = fdt_size_dt_struct(whole.blob);
	unsigned int good = 0;

	random_state = seed;
	for (unsigned int i = 0; i < times; i++) {
		struct tree t = copy_of(whole.blob, whole.bytes);
		char label[100];

		snprintf(label, sizeof(label), "%s, mutant %u of seed %llu", name, i,
		         (unsigned long long)seed);
		subject = label;
		for (unsigned int hits = 1 + random_below(3); hits; hits--)
			damage(t.blob, t.bytes, structure, structure_bytes);
		good += try(&t, nowhere);
	}
	/* Neither all refused nor all harmless: the mutants tried something. */
	print_message("%s: %u of %u mutants are still trees\n", name, good, times);
	assert_in_range(good, times / 20, times - times / 20);
	fclose(nowhere);
	free(whole.blob);
}

static void a_damaged_tree_is_refused_or_read_as_libfdt_reads_it(void **state)
{
	(void)state;
	mutate("foundation-v8.dtb", 1, 4000);
	mutate("bcm2837-rpi-3-b.dtb", 2, 1500);
	mutate("bcm2711-rpi-4-b.dtb", 3, 500);
}

/* As QEMU does with devices that its raspi4b has not: NOPs over whole nodes. */
static void nodes_overwritten_with_nops_are_not_there(void **state)
{
	static const char *const paths[] = {"/scb/pcie@7d500000", "/scb/ethernet@7d580000",
	                                    "/soc/rng@7e104000",
	                                    "/soc/avs-monitor@7d5d2000/thermal"};
	struct tree t = find_tree("bcm2711-rpi-4-b.dtb");
	uint64_t pa, bytes;

	(void)state;
	subject = "raspi4b";
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(fdt_nop_node(t.blob, fdt_path_offset(t.blob, paths[i])), 0);
		assert_int_equal(fdt_nop_property(t.blob, 0, "model"), i ? -FDT_ERR_NOTFOUND : 0);
	}
	assert_true(judge(&t));
	compare(t.blob);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(dt_find(paths[i]), DT_NONE);
	assert_null(dt_string(0, "model", 0));
	assert_int_equal(dt_reg(dt_find("/scb/gpu@7ec00000"), 0, &pa, &bytes), 0);
	assert_int_equal(pa, 0xfec00000);
	free(t.blob);
}

/* ---- The Raspberry Pis, by hand ---- */

static void expect_reg(const char *path, uint64_t pa, uint64_t bytes)
{
	uint64_t a = 0, b = 0;

	if (dt_reg(dt_find(path), 0, &a, &b) || a != pa || b != bytes)
		fail_msg("%s: 0x%llx + 0x%llx", path, (unsigned long long)a, (unsigned long long)b);
}

static void expect_dma(const char *path, uint64_t bus, uint64_t pa, uint64_t bytes)
{
	struct dt_dma_window w = {0};

	if (dt_dma_window(dt_find(path), 0, &w) || w.bus != bus || w.pa != pa || w.bytes != bytes)
		fail_msg("%s: 0x%llx -> 0x%llx + 0x%llx", path, (unsigned long long)w.bus,
		         (unsigned long long)w.pa, (unsigned long long)w.bytes);
	assert_int_equal(dt_dma_window(dt_find(path), 1, &w), -ENOENT);
}

static void expect_irq(const char *path, unsigned int index, const char *controller,
                       unsigned int cell_count, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t cells[] = {a, b, c};
	struct dt_irq irq;
	char name[200];

	if (dt_irq(dt_find(path), index, &irq))
		fail_msg("%s: no interrupt %u", path, index);
	assert_string_equal(dt_path(irq.controller, name, sizeof(name)), controller);
	assert_int_equal(irq.cell_count, cell_count);
	assert_memory_equal(irq.cells, cells, 4 * cell_count);
}

/*
 * BCM2711 (ARM Peripherals, "Address map"): the legacy peripherals 7e... at fe..., the local ones
 * 40... at ff800000, legacy DMA masters see the first GiB at c0000000; the buses on /scb see it as
 * it is. Interrupts as <type number flags> of a GIC-400; VideoCore's number n is SPI 96 + n.
 */
static void pi_4_as_its_manual_has_it(void **state)
{
	static const char gic[] = "/soc/interrupt-controller@40041000";
	struct tree t = find_tree("bcm2711-rpi-4-b.dtb");
	const char *options;
	uint64_t pa, bytes;
	bool no_map;

	(void)state;
	assert_int_equal(dt_init(t.blob, t.bytes), 0);
	assert_string_equal(dt_string(0, "model", 0), "Raspberry Pi 4 Model B");
	expect_reg("/soc/serial@7e201000", 0xfe201000, 0x200);
	expect_reg("/soc/serial@7e215040", 0xfe215040, 0x40);
	expect_reg("/soc/mailbox@7e00b880", 0xfe00b880, 0x40);
	expect_reg("/soc/watchdog@7e100000", 0xfe100000, 0x114);
	expect_reg(gic, 0xff841000, 0x1000);
	expect_reg("/soc/local_intc@40000000", 0xff800000, 0x100);
	expect_reg("/emmc2bus/mmc@7e340000", 0xfe340000, 0x100);
	expect_reg("/scb/ethernet@7d580000", 0xfd580000, 0x10000);
	expect_reg("/scb/pcie@7d500000", 0xfd500000, 0x9310);
	expect_dma("/soc/mailbox@7e00b880", 0xc0000000, 0, 0x40000000);
	expect_dma("/emmc2bus/mmc@7e340000", 0xc0000000, 0, 0x40000000);
	expect_dma("/scb/ethernet@7d580000", 0, 0, UINT64_MAX);
	/* PCI's 0x02000000 0 0 -> 0 0, 3 GiB. */
	expect_dma("/scb/pcie@7d500000/pci@0,0", 0, 0, 0xc0000000);
	expect_irq("/soc/serial@7e201000", 0, gic, 3, 0, 121, 4);
	expect_irq("/emmc2bus/mmc@7e340000", 0, gic, 3, 0, 126, 4);
	expect_irq("/scb/ethernet@7d580000", 0, gic, 3, 0, 157, 4);
	expect_irq("/scb/ethernet@7d580000", 1, gic, 3, 0, 158, 4);
	expect_irq("/timer", 1, gic, 3, 1, 14, 0xf08);
	assert_int_equal(dt_reserved(0, &pa, &bytes, &no_map), 0);
	assert_true(pa == 0 && bytes == 0x1000);
	assert_int_equal(dt_reserved(1, &pa, &bytes, &no_map), -ENOENT);
	assert_int_equal(dt_memory(0, &pa, &bytes), -ENOENT); /* the firmware fills it in */
	assert_int_equal(dt_stdout(&options), dt_find("/soc/serial@7e215040"));
	assert_string_equal(options, "115200n8");
	free(t.blob);
}

/* BCM2837: 7e... at 3f..., the local peripherals where they are, <bank bit> interrupts. */
static void pi_3_as_its_manual_has_it(void **state)
{
	static const char legacy[] = "/soc/interrupt-controller@7e00b200";
	static const char local[] = "/soc/local_intc@40000000";
	struct tree t = find_tree("bcm2837-rpi-3-b.dtb");
	uint64_t pa, bytes;

	(void)state;
	assert_int_equal(dt_init(t.blob, t.bytes), 0);
	expect_reg("/soc/serial@7e201000", 0x3f201000, 0x200);
	expect_reg("/soc/serial@7e215040", 0x3f215040, 0x40);
	expect_reg(legacy, 0x3f00b200, 0x200);
	expect_reg(local, 0x40000000, 0x100);
	expect_reg("/soc/mmc@7e202000", 0x3f202000, 0x100);
	expect_dma("/soc/mmc@7e202000", 0xc0000000, 0, 0x3f000000);
	expect_irq("/soc/serial@7e201000", 0, legacy, 2, 2, 25, 0);
	expect_irq("/soc/serial@7e215040", 0, legacy, 2, 1, 29, 0);
	expect_irq("/soc/mmc@7e202000", 0, legacy, 2, 2, 24, 0);
	expect_irq(legacy, 0, local, 2, 8, 4, 0);
	expect_irq("/timer", 0, local, 2, 0, 4, 0);
	assert_true(dt_compatible(dt_find(legacy), "brcm,bcm2836-armctrl-ic"));
	assert_int_equal(dt_memory(0, &pa, &bytes), 0);
	assert_true(pa == 0 && bytes == 0x40000000);
	free(t.blob);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_tree_of_debians_kernel_reads_as_libfdt_reads_it),
	    cmocka_unit_test(a_truncated_tree_is_refused_as_libfdt_refuses_it),
	    cmocka_unit_test(a_damaged_tree_is_refused_or_read_as_libfdt_reads_it),
	    cmocka_unit_test(nodes_overwritten_with_nops_are_not_there),
	    cmocka_unit_test(pi_4_as_its_manual_has_it),
	    cmocka_unit_test(pi_3_as_its_manual_has_it),
	};

	if (argc > 2 && !strcmp(argv[1], "dump"))
		return dump_files(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
