/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of fit_info() (pith/update.h): of what tools/fit makes it finds version and image where
 * libfdt finds them, with U-Boot's and QEMU's way of crossing out (FDT_NOP), too. Whatever else it is
 * given, it reads nothing outside, does little work, and never finds anything that libfdt would not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <libfdt.h>
#include <pith/update.h>
#include "update_files.h"

static uint8_t *example; /* of tools/fit */
static size_t example_bytes;

/* What is read of, and how often. */
struct source {
	const uint8_t *data;
	uint32_t bytes;
	unsigned int reads;
	unsigned int fail_at; /* this read fails; 0: none */
};

static int read_source(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct source *s = ctx;

	assert_true(bytes > 0 && bytes <= 64);
	assert_true((uint64_t)offset + bytes <= s->bytes);
	if (++s->reads == s->fail_at)
		return -EIO;
	memcpy(buf, s->data + offset, bytes);
	return 0;
}

static int info_of(const uint8_t *data, uint32_t bytes, struct fit_info *info)
{
	struct source s = {.data = data, .bytes = bytes};

	return fit_info(read_source, &s, bytes, info);
}

/* What libfdt finds: in the words of boards/boot.env and U-Boot's boot/image-fit.c. */
static bool libfdt_info(const void *fit, size_t bytes, struct fit_info *info)
{
	int conf, kernel, version_bytes, choice_bytes, data_bytes;
	const fdt32_t *version;
	const char *choice, *data;

	if (fdt_check_header(fit) || fdt_totalsize(fit) != bytes)
		return false;
	conf = fdt_path_offset(fit, "/configurations/conf");
	kernel = fdt_path_offset(fit, "/images/kernel");
	if (conf < 0 || kernel < 0)
		return false;
	version = fdt_getprop(fit, conf, "pith,version", &version_bytes);
	choice = fdt_getprop(fit, conf, "kernel", &choice_bytes);
	data = fdt_getprop(fit, kernel, "data", &data_bytes);
	if (!version || version_bytes != 4 || !choice || choice_bytes != 7 ||
	    strcmp(choice, "kernel") != 0 || !data)
		return false;
	info->version = fdt32_ld(version);
	info->kernel_offset = (uint32_t)(data - (const char *)fit);
	info->kernel_bytes = (uint32_t)data_bytes;
	return true;
}

static void assert_same(const struct fit_info *a, const struct fit_info *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->kernel_offset, b->kernel_offset);
	assert_int_equal(a->kernel_bytes, b->kernel_bytes);
}

/* ---- What is right ---- */

static void test_what_tools_fit_makes(void **state)
{
	struct fit_info ours, theirs;
	size_t image_bytes;
	uint8_t *image = read_whole("LICENSE", &image_bytes);

	(void)state;
	assert_int_equal(info_of(example, (uint32_t)example_bytes, &ours), 0);
	assert_true(libfdt_info(example, example_bytes, &theirs));
	assert_same(&ours, &theirs);
	assert_int_equal(ours.version, EXAMPLE_VERSION);
	assert_int_equal(ours.kernel_bytes, image_bytes);
	assert_memory_equal(example + ours.kernel_offset, image, image_bytes);
	free(image);
}

/* Cross out a node or a property of a copy; what fit_info() says. */
static int without(const char *path, const char *name, struct fit_info *info)
{
	uint8_t *copy = malloc(example_bytes);
	struct fit_info theirs;
	int node, status;

	memcpy(copy, example, example_bytes);
	node = fdt_path_offset(copy, path);
	assert_true(node >= 0);
	assert_int_equal(name ? fdt_nop_property(copy, node, name) : fdt_nop_node(copy, node), 0);
	status = info_of(copy, (uint32_t)example_bytes, info);
	assert_int_equal(status == 0, libfdt_info(copy, example_bytes, &theirs));
	if (status == 0)
		assert_same(info, &theirs);
	free(copy);
	return status;
}

static void test_what_is_crossed_out_is_not_there(void **state)
{
	struct fit_info info;

	(void)state;
	assert_int_equal(without("/images/kernel/hash-1", NULL, &info), 0);
	assert_int_equal(without("/images/kernel", "description", &info), 0);
	assert_int_equal(without("/configurations/conf/signature-1", NULL, &info), 0);
	assert_int_equal(without("/configurations/conf", "description", &info), 0);
	assert_int_equal(without("/", "description", &info), 0);
	assert_int_equal(without("/images", NULL, &info), -EBADMSG);
	assert_int_equal(without("/images/kernel", NULL, &info), -EBADMSG);
	assert_int_equal(without("/images/kernel", "data", &info), -EBADMSG);
	assert_int_equal(without("/configurations", NULL, &info), -EBADMSG);
	assert_int_equal(without("/configurations/conf", NULL, &info), -EBADMSG);
	assert_int_equal(without("/configurations/conf", "kernel", &info), -EBADMSG);
	assert_int_equal(without("/configurations/conf", "pith,version", &info), -EBADMSG);
}

/* ---- What is built wrong: libfdt's sequential writer writes anything ---- */

static uint8_t built[4096];

static void start(void)
{
	memset(built, 0, sizeof(built));
	assert_int_equal(fdt_create(built, sizeof(built)), 0);
	assert_int_equal(fdt_finish_reservemap(built), 0);
	fdt_begin_node(built, "");
}

static void kernel_node(const char *name, const char *data)
{
	fdt_begin_node(built, name);
	if (data)
		fdt_property(built, "data", data, (int)strlen(data));
	fdt_end_node(built);
}

static void conf_node(const char *name, uint32_t version, const char *kernel)
{
	fdt_begin_node(built, name);
	fdt_property_u32(built, "pith,version", version);
	fdt_property_string(built, "kernel", kernel);
	fdt_end_node(built);
}

static int finished_info(struct fit_info *info)
{
	assert_int_equal(fdt_end_node(built), 0);
	assert_int_equal(fdt_finish(built), 0);
	return info_of(built, fdt_totalsize(built), info);
}

/* A sound tree with a hole at each place, filled by `extra`; what fit_info() says. */
enum hole {
	FIRST_IMAGE,
	LAST_IMAGE,
	FIRST_CONF,
	LAST_CONF,
	IN_CONF,
	AFTER_CONF_CHILD,
	LAST_OF_ROOT
};

static int with(enum hole hole, void (*extra)(void), struct fit_info *info)
{
#define HOLE(h)                   \
	if (extra && hole == (h)) \
	extra()
	start();
	fdt_begin_node(built, "images");
	HOLE(FIRST_IMAGE);
	kernel_node("kernel", "the image");
	HOLE(LAST_IMAGE);
	fdt_end_node(built);
	fdt_begin_node(built, "configurations");
	HOLE(FIRST_CONF);
	fdt_begin_node(built, "conf");
	fdt_property_u32(built, "pith,version", 7);
	fdt_property_string(built, "kernel", "kernel");
	HOLE(IN_CONF);
	fdt_begin_node(built, "signature-1");
	fdt_end_node(built);
	HOLE(AFTER_CONF_CHILD);
	fdt_end_node(built);
	HOLE(LAST_CONF);
	fdt_end_node(built);
	HOLE(LAST_OF_ROOT);
	return finished_info(info);
#undef HOLE
}

static void other_kernel(void)
{
	kernel_node("kernel", "another");
}

static void kernel_at_1(void)
{
	kernel_node("kernel@1", "another");
}

static void other_image(void)
{
	kernel_node("ramdisk", "another");
}

static void other_conf(void)
{
	conf_node("conf", 8, "kernel");
}

static void conf_at_1(void)
{
	conf_node("conf@1", 8, "kernel");
}

static void conf_2(void)
{
	conf_node("conf-2", 8, "ramdisk");
}

static void version_again(void)
{
	fdt_property_u32(built, "pith,version", 8);
}

static void long_version(void)
{
	fdt_property(built, "pith,version", "twelve bytes", 12);
}

static void kernel_again(void)
{
	fdt_property_string(built, "kernel", "kernel");
}

static void similar_properties(void)
{
	fdt_property_u32(built, "pith,versio", 9);
	fdt_property_u32(built, "pith,version2", 9);
	fdt_property_u32(built, "a-name-that-is-longer-than-any", 9);
	fdt_property(built, "empty", "", 0);
}

static void another_images(void)
{
	fdt_begin_node(built, "images");
	fdt_end_node(built);
}

static void long_name(void)
{
	fdt_begin_node(built, "123456789-123456789-123456789-123456789-123456789-123456789-");
	fdt_end_node(built);
}

static void deep(void)
{
	for (int i = 0; i < 7; i++)
		fdt_begin_node(built, "deeper");
	for (int i = 0; i < 7; i++)
		fdt_end_node(built);
}

static void test_names_and_properties_are_there_once(void **state)
{
	struct fit_info info;

	(void)state;
	assert_int_equal(with(FIRST_CONF, NULL, &info), 0);
	assert_int_equal(info.version, 7);
	assert_int_equal(info.kernel_bytes, strlen("the image"));
	assert_int_equal(with(FIRST_IMAGE, other_image, &info), 0);
	assert_int_equal(with(LAST_CONF, conf_2, &info), 0);
	assert_int_equal(with(IN_CONF, similar_properties, &info), 0);
	assert_int_equal(info.version, 7);

	assert_int_equal(with(FIRST_IMAGE, other_kernel, &info), -EBADMSG);
	assert_int_equal(with(LAST_IMAGE, other_kernel, &info), -EBADMSG);
	assert_int_equal(with(FIRST_IMAGE, kernel_at_1, &info), -EBADMSG);
	assert_int_equal(with(FIRST_CONF, other_conf, &info), -EBADMSG);
	assert_int_equal(with(FIRST_CONF, conf_at_1, &info), -EBADMSG);
	assert_int_equal(with(IN_CONF, version_again, &info), -EBADMSG);
	assert_int_equal(with(IN_CONF, long_version, &info), -EBADMSG);
	assert_int_equal(with(IN_CONF, kernel_again, &info), -EBADMSG);
	assert_int_equal(with(LAST_OF_ROOT, another_images, &info), -EBADMSG);
}

static void test_properties_come_before_children(void **state)
{
	struct fit_info info;

	(void)state;
	assert_int_equal(with(AFTER_CONF_CHILD, version_again, &info), -EBADMSG);
	assert_int_equal(with(AFTER_CONF_CHILD, similar_properties, &info), -EBADMSG);
}

static void test_names_and_depth_have_an_end(void **state)
{
	struct fit_info info;

	(void)state;
	assert_int_equal(with(LAST_OF_ROOT, long_name, &info), -EBADMSG);
	assert_int_equal(with(LAST_OF_ROOT, deep, &info), 0);
	assert_int_equal(with(FIRST_IMAGE, deep, &info), -EBADMSG);
}

static void test_only_the_one_kernel_is_meant(void **state)
{
	struct fit_info info;

	(void)state;
	for (int wrong = 0; wrong < 4; wrong++) {
		start();
		fdt_begin_node(built, "images");
		kernel_node("kernel", wrong == 1 ? "" : "the image");
		fdt_end_node(built);
		fdt_begin_node(built, "configurations");
		conf_node("conf", wrong == 2 ? 0 : 7, wrong == 3 ? "kernek" : "kernel");
		fdt_end_node(built);
		assert_int_equal(finished_info(&info), wrong ? -EBADMSG : 0);
	}
}

/* ---- Whatever it is given ---- */

static void test_the_length_is_the_file_s(void **state)
{
	struct fit_info info;

	(void)state;
	for (uint32_t bytes = 0; bytes < example_bytes; bytes++)
		assert_int_equal(info_of(example, bytes, &info), -EBADMSG);
}

static void test_a_failed_read_is_handed_on(void **state)
{
	struct source s = {.data = example, .bytes = (uint32_t)example_bytes};
	struct fit_info info;
	unsigned int reads;

	(void)state;
	assert_int_equal(fit_info(read_source, &s, s.bytes, &info), 0);
	reads = s.reads;
	assert_true(reads > 20);
	for (s.fail_at = 1; s.fail_at <= reads; s.fail_at++) {
		s.reads = 0;
		assert_int_equal(fit_info(read_source, &s, s.bytes, &info), -EIO);
		assert_int_equal(s.reads, s.fail_at);
	}
}

static void test_the_work_is_bounded(void **state)
{
	struct source s = {.bytes = 16u << 20};
	uint8_t *nops = calloc(1, s.bytes);
	struct fit_info info;

	(void)state;
	memcpy(nops, example, 40);
	fdt_set_totalsize(nops, s.bytes);
	fdt_set_off_dt_struct(nops, 40);
	fdt_set_size_dt_struct(nops, s.bytes - 40);
	fdt_set_off_dt_strings(nops, 40);
	fdt_set_size_dt_strings(nops, 0);
	for (uint32_t at = 40; at < s.bytes; at += 4)
		fdt32_st(nops + at, FDT_NOP);
	s.data = nops;
	assert_int_equal(fit_info(read_source, &s, s.bytes, &info), -EBADMSG);
	assert_true(s.reads < 1000);
	free(nops);
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)random_state * n >> 32);
}

/* A place outside of the image: damage in there is the signatures' business. */
static uint32_t random_place(uint32_t image, uint32_t image_end)
{
	uint32_t at = random_below((uint32_t)example_bytes - (image_end - image));

	return at < image ? at : at + (image_end - image);
}

/* A bit, a byte, or a token's worth: great, small, or what stands somewhere else. */
static void damage(uint8_t *fit, uint32_t at)
{
	uint32_t cell = (at < example_bytes - 4 ? at : (uint32_t)example_bytes - 4) & ~3u;

	switch (random_below(5)) {
	case 0:
		fit[at] ^= 1u << random_below(8);
		break;
	case 1:
		fit[at] = (uint8_t)random_below(256);
		break;
	case 2:
		fdt32_st(fit + cell, random_below(12));
		break;
	case 3:
		fdt32_st(fit + cell, 0u - random_below(70000));
		break;
	default:
		memcpy(fit + cell, example + (random_below((uint32_t)example_bytes - 4) & ~3u), 4);
	}
}

static void test_damage_is_refused_or_means_the_same_to_libfdt(void **state)
{
	uint8_t *fit = malloc(example_bytes);
	unsigned int taken = 0, refused = 0;
	struct fit_info good, ours, theirs;

	(void)state;
	assert_true(libfdt_info(example, example_bytes, &good));
	for (int round = 0; round < 300000; round++) {
		memcpy(fit, example, example_bytes);
		for (uint32_t n = 1 + random_below(3); n > 0; n--)
			damage(fit, random_place(good.kernel_offset,
			                         good.kernel_offset + good.kernel_bytes));
		if (info_of(fit, (uint32_t)example_bytes, &ours)) {
			refused++;
			continue;
		}
		taken++;
		assert_true(libfdt_info(fit, example_bytes, &theirs));
		assert_same(&ours, &theirs);
	}
	assert_true(taken > 10000 && refused > 10000);
	free(fit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_tools_fit_makes),
	    cmocka_unit_test(test_what_is_crossed_out_is_not_there),
	    cmocka_unit_test(test_names_and_properties_are_there_once),
	    cmocka_unit_test(test_properties_come_before_children),
	    cmocka_unit_test(test_names_and_depth_have_an_end),
	    cmocka_unit_test(test_only_the_one_kernel_is_meant),
	    cmocka_unit_test(test_the_length_is_the_file_s),
	    cmocka_unit_test(test_a_failed_read_is_handed_on),
	    cmocka_unit_test(test_the_work_is_bounded),
	    cmocka_unit_test(test_damage_is_refused_or_means_the_same_to_libfdt),
	};
	int failed;

	example = read_whole("build/host/updates/current.itb", &example_bytes);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(example);
	return failed;
}
