/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of the crash record: what a panic said, and after a hang what was logged, is told by the next
 * boot though the reset emptied the caches, and by later ones from the disk; what was asked for or is
 * unexplained is no crash; memory that holds something else, or has lost a bit, tells nothing wrong; a
 * long log keeps its last whole lines, printable; where the place is somebody's there is no record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../kernel/crash.c"

#define LINE 64

/* ---- The machine: RAM behind a cache, a tree, a disk ---- */

/* What the CPU sees, at the place; and what is in memory, which is what a reset leaves. */
static uint8_t seen[CRASH_RAM_BYTES] __attribute__((aligned(4096))), memory[CRASH_RAM_BYTES];
static uint8_t image[8192] __attribute__((aligned(4096), used));
__asm__(".globl __image_start, __image_end\n"
        "__image_start = image\n"
        "__image_end = image + 8192\n");
struct boot_info boot_info;
static uint64_t initrd[2], reserved[2];
static uint8_t unit[DISK_BYTES];
static int disk_error;
static unsigned int disk_writes;
static struct block_device device;
static struct boot_disk the_disk = {.dev = &device,
                                    .part[PART_DATA] = {.lba = 1000, .blocks = 99999}};
static bool has_disk;
static const char *arg_slot, *arg_trial;
static char early_log[200];
const char image_version[] = "1.2.3";

void model_dcache(int op, const void *start, size_t bytes)
{
	size_t from = ((const uint8_t *)start - seen) / LINE * LINE;
	size_t to = ((const uint8_t *)start - seen + bytes + LINE - 1) / LINE * LINE;

	assert_int_equal(op, MODEL_CLEAN);
	if (bytes == 0)
		return;
	assert_true(to <= sizeof(memory));
	memcpy(memory + from, seen + from, to - from);
}

const char *image_build_id(void)
{
	return "0123456789abcdef0123456789abcdef01234567";
}

uint32_t version_parse(const char *text)
{
	assert_string_equal(text, "1.2.3");
	return 0x123;
}

uint64_t time_now_ns(void)
{
	return 5 * NS_PER_S;
}

const char *bootarg(const char *key)
{
	return strcmp(key, "pith.slot") == 0 ? arg_slot : arg_trial;
}

int dt_memory(unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	*pa = (uint64_t)seen - CRASH_RAM_OFFSET;
	*bytes = CRASH_RAM_OFFSET + sizeof(seen);
	return index == 0 ? 0 : -ENOENT;
}

int dt_reserved(unsigned int index, uint64_t *pa, uint64_t *bytes, bool *no_map)
{
	*pa = reserved[0];
	*bytes = reserved[1] - reserved[0];
	*no_map = false;
	return index == 0 && reserved[1] ? 0 : -ENOENT;
}

int dt_initrd(uint64_t *start_pa, uint64_t *end_pa)
{
	*start_pa = initrd[0];
	*end_pa = initrd[1];
	return initrd[1] ? 0 : -ENOENT;
}

size_t klog_read(char *buf, size_t buf_bytes)
{
	assert_true(strlen(early_log) < buf_bytes);
	strcpy(buf, early_log);
	return strlen(buf);
}

void klog(const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	strcpy(line, "[   1.000000] ");
	vsnprintf(line + 14, sizeof(line) - 15, fmt, args);
	va_end(args);
	strcat(line, "\n");
	crash_log(line, strlen(line));
}

const struct boot_disk *boot_disk(void)
{
	return has_disk ? &the_disk : NULL;
}

static void check_place(uint64_t lba, uint32_t count)
{
	assert_int_equal(lba, 1000 + UNIT_CRASH * DISK_UNIT_BLOCKS);
	assert_int_equal(count * SECTOR_BYTES, sizeof(unit));
}

int block_read(struct block_device *dev, uint64_t lba, uint32_t count, void *buf)
{
	assert_ptr_equal(dev, &device);
	check_place(lba, count);
	memcpy(buf, unit, sizeof(unit));
	return disk_error;
}

int block_write(struct block_device *dev, uint64_t lba, uint32_t count, const void *buf)
{
	assert_ptr_equal(dev, &device);
	check_place(lba, count);
	disk_writes++;
	if (!disk_error)
		memcpy(unit, buf, sizeof(unit));
	return disk_error;
}

int block_flush(struct block_device *dev)
{
	assert_ptr_equal(dev, &device);
	return disk_error;
}

void mutex_lock(struct mutex *m)
{
	(void)m;
}

void mutex_unlock(struct mutex *m)
{
	(void)m;
}

/* ---- Boots ---- */

/* From what is in memory, with nothing in the caches or in variables. */
static void boot(void)
{
	memcpy(seen, memory, sizeof(seen));
	free(before);
	free(kept);
	ram = before = NULL;
	kept = NULL;
	looked = false;
	last = (struct last_boot){0};
	crash_begin();
}

static void power_off(void)
{
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7919 >> 3);
}

static int new_machine(void **state)
{
	(void)state;
	power_off();
	boot_info = (struct boot_info){.dtb = 4096, .dtb_bytes = 4096};
	boot_info.mapped.count = 1;
	boot_info.mapped.extent[0].start = (uint64_t)seen;
	boot_info.mapped.extent[0].end = (uint64_t)seen + sizeof(seen);
	memset(initrd, 0, sizeof(initrd));
	memset(reserved, 0, sizeof(reserved));
	memset(unit, 0, sizeof(unit));
	disk_error = 0;
	disk_writes = 0;
	has_disk = true;
	arg_slot = arg_trial = NULL;
	strcpy(early_log, "[   0.000001] early\n");
	return 0;
}

static void die(void)
{
	klog("about to die");
	klog("PANIC: data abort: NULL pointer");
	klog("thread main, web 1.2.3");
	klog("backtrace, image at 0x40001000:");
	klog("  at image+0x340");
	klog("  by image+0x1c24");
	crash_end(END_PANIC);
	klog("reset");
}

#define REPORT                                            \
	"[   1.000000] about to die\n"                    \
	"[   1.000000] PANIC: data abort: NULL pointer\n" \
	"[   1.000000] thread main, web 1.2.3\n"          \
	"[   1.000000] backtrace, image at 0x40001000:\n" \
	"[   1.000000]   at image+0x340\n"                \
	"[   1.000000]   by image+0x1c24\n"

static void check_panic(const struct crash_record *c)
{
	assert_non_null(c);
	assert_string_equal(c->cause, "data abort: NULL pointer");
	assert_string_equal(c->backtrace, "at image+0x340\nby image+0x1c24\n");
	assert_string_equal(c->log, "[   0.000001] early\n" REPORT);
	assert_string_equal(c->build_id, image_build_id());
	assert_int_equal(c->version, 0x123);
	assert_int_equal(c->uptime_ms, 5000);
}

/* ---- The promises ---- */

static void what_memory_holds_at_power_on_is_no_record(void **state)
{
	(void)state;
	boot();
	assert_int_equal(crash_last_boot()->end, END_UNKNOWN);
	crash_keep("watchdog", crash_last_boot()->trial);
	assert_null(crash_last());
	assert_int_equal(disk_writes, 0);
}

static void a_panic_is_told(void **state)
{
	(void)state;
	arg_slot = arg_trial = "B";
	boot();
	die();
	boot();
	assert_int_equal(crash_last_boot()->end, END_PANIC);
	assert_int_equal(crash_last_boot()->slot, 'B');
	assert_int_equal(crash_last_boot()->version, 0x123);
	assert_true(crash_last_boot()->trial);
	crash_keep("panic", crash_last_boot()->trial);
	check_panic(crash_last());
	assert_int_equal(crash_last()->slot, 'B');
	assert_true(crash_last()->trial);
}

static void and_again_from_the_disk(void **state)
{
	a_panic_is_told(state);
	assert_int_equal(disk_writes, 1);
	for (int i = 0; i < 2; i++) {
		power_off();
		boot();
		assert_int_equal(crash_last_boot()->end, END_UNKNOWN);
		crash_keep(NULL, crash_last_boot()->trial);
		check_panic(crash_last());
	}
	assert_int_equal(disk_writes, 1);
	unit[offsetof(struct crash_ram, text)] ^= 1;
	boot();
	assert_string_equal(crash_last()->cause, "panic");
	assert_string_equal(crash_last()->log, "");
	unit[offsetof(struct crash_ram, version)] ^= 1;
	boot();
	assert_null(crash_last());
}

static void a_hang_leaves_its_log(void **state)
{
	(void)state;
	boot();
	klog("last words");
	boot();
	assert_int_equal(crash_last_boot()->end, END_UNNOTICED);
	crash_keep("watchdog", crash_last_boot()->trial);
	assert_string_equal(crash_last()->cause, "watchdog");
	assert_string_equal(crash_last()->backtrace, "");
	assert_string_equal(crash_last()->log, "[   0.000001] early\n[   1.000000] last words\n");
	assert_int_equal(disk_writes, 1);
}

static void what_was_asked_for_or_is_unexplained_is_no_crash(void **state)
{
	(void)state;
	boot();
	crash_end(END_ASKED);
	boot();
	assert_int_equal(crash_last_boot()->end, END_ASKED);
	crash_keep(NULL, crash_last_boot()->trial);
	assert_null(crash_last());
	boot(); /* the reset button */
	assert_int_equal(crash_last_boot()->end, END_UNNOTICED);
	crash_keep(NULL, crash_last_boot()->trial);
	assert_null(crash_last());
	assert_int_equal(disk_writes, 0);
}

static void the_slots_know_better_than_the_bootargs(void **state)
{
	(void)state;
	arg_slot = arg_trial = "A";
	boot();
	crash_identify(0x456, false);
	boot();
	assert_int_equal(crash_last_boot()->version, 0x456);
	assert_false(crash_last_boot()->trial);
}

static void a_long_log_keeps_its_last_whole_lines(void **state)
{
	(void)state;
	for (int lines = 700; lines < 760; lines++) {
		const char *log, *first;
		char expected[60];

		boot();
		for (int i = 0; i < lines; i++)
			klog("line %d%.*s", i, i % 9, "xxxxxxxxx");
		die();
		boot();
		crash_keep("panic", crash_last_boot()->trial);
		log = crash_last()->log;
		assert_true(strlen(log) <= CRASH_TEXT_BYTES);
		assert_true(strlen(log) > CRASH_TEXT_BYTES - 60);
		assert_string_equal(log + strlen(log) - strlen(REPORT), REPORT);
		first = strstr(log, "line ");
		assert_ptr_equal(first, log + 14);
		for (int i = atoi(first + 5); i < lines; i++) {
			snprintf(expected, sizeof(expected), "[   1.000000] line %d%.*s\n", i,
			         i % 9, "xxxxxxxxx");
			assert_memory_equal(log, expected, strlen(expected));
			log += strlen(expected);
		}
		assert_string_equal(log, REPORT);
		assert_string_equal(crash_last()->cause, "data abort: NULL pointer");
	}
}

static void only_printable_characters_are_told(void **state)
{
	(void)state;
	boot();
	klog("a\tb\x1b[31m\x80\xff<script>");
	boot();
	crash_keep("watchdog", crash_last_boot()->trial);
	assert_string_equal(crash_last()->log,
	                    "[   0.000001] early\n[   1.000000] a?b?[31m?\?<script>\n");
}

static void a_long_cause_is_cut(void **state)
{
	(void)state;
	boot();
	klog("PANIC: %0200d", 1);
	crash_end(END_PANIC);
	boot();
	crash_keep("panic", crash_last_boot()->trial);
	assert_int_equal(strlen(crash_last()->cause), sizeof(crash_last()->cause) - 1);
	assert_string_equal(crash_last()->backtrace, "");
}

static void a_report_of_many_lines_fits(void **state)
{
	(void)state;
	boot();
	klog("PANIC: deep");
	klog("backtrace, image at 0x40001000:");
	for (int i = 0; i < 200; i++)
		klog("  by 0xffffffffffffffff, not in the image");
	crash_end(END_PANIC);
	boot();
	crash_keep("panic", crash_last_boot()->trial);
	assert_true(strlen(crash_last()->backtrace) > BACKTRACE_BYTES - 100);
	assert_true(strlen(crash_last()->backtrace) < BACKTRACE_BYTES);
	assert_int_equal(crash_last()->backtrace[strlen(crash_last()->backtrace) - 1], '\n');
}

static void every_bit_that_is_lost_is_noticed(void **state)
{
	uint8_t record[sizeof(memory)];

	(void)state;
	boot();
	die();
	memcpy(record, memory, sizeof(record));
	for (size_t bit = 0; bit < 8 * offsetof(struct crash_ram, written); bit++) {
		memcpy(memory, record, sizeof(memory));
		memory[bit / 8] ^= 1 << bit % 8;
		boot();
		assert_int_equal(crash_last_boot()->end, END_UNKNOWN);
	}
	for (size_t i = 0; i < 200; i++) {
		memcpy(memory, record, sizeof(memory));
		memory[offsetof(struct crash_ram, text) + i] ^= 4;
		boot();
		assert_int_equal(crash_last_boot()->end, END_PANIC);
		crash_keep("panic", crash_last_boot()->trial);
		assert_string_equal(crash_last()->cause, "panic");
		assert_string_equal(crash_last()->log, "");
	}
	for (size_t bit = 0; bit < 64; bit++) { /* of how much there is: nothing is read beyond */
		memcpy(memory, record, sizeof(memory));
		memory[offsetof(struct crash_ram, written) + bit / 8] ^= 1 << bit % 8;
		boot();
		crash_keep("panic", crash_last_boot()->trial);
		assert_non_null(crash_last());
	}
}

static void what_belongs_to_somebody_is_left_alone(void **state)
{
	uint64_t place = (uint64_t)seen, end = place + sizeof(seen);
	uint8_t untouched[sizeof(memory)];

	memcpy(untouched, memory, sizeof(untouched));
	for (int i = 0; i < 5; i++) {
		new_machine(state);
		if (i == 0)
			initrd[0] = place - 1, initrd[1] = place + 1;
		else if (i == 1)
			reserved[0] = end - 1, reserved[1] = end + 1;
		else if (i == 2)
			boot_info.dtb = end - 1;
		else if (i == 3)
			boot_info.mapped.extent[0].end -= 4096;
		else
			boot_info.mapped.count = 0;
		boot();
		klog("a line");
		crash_identify(1, true);
		die();
		assert_memory_equal(memory, untouched, sizeof(memory));
		assert_memory_equal(seen, untouched, sizeof(seen));
		crash_keep(NULL, crash_last_boot()->trial);
		assert_null(crash_last());
	}
	assert_true(apart(place, place - 10, place) && apart(place, end, end + 1));
}

static void a_disk_that_fails_costs_no_more_than_the_disk(void **state)
{
	(void)state;
	boot();
	die();
	disk_error = -EIO;
	boot();
	crash_keep("panic", crash_last_boot()->trial);
	check_panic(crash_last());
	power_off();
	boot();
	crash_keep(NULL, crash_last_boot()->trial);
	assert_null(crash_last());
	disk_error = 0;
	has_disk = false;
	boot();
	die();
	boot();
	crash_keep("panic", crash_last_boot()->trial);
	check_panic(crash_last());
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, new_machine)
	const struct CMUnitTest tests[] = {
	    TEST(what_memory_holds_at_power_on_is_no_record),
	    TEST(a_panic_is_told),
	    TEST(and_again_from_the_disk),
	    TEST(a_hang_leaves_its_log),
	    TEST(what_was_asked_for_or_is_unexplained_is_no_crash),
	    TEST(the_slots_know_better_than_the_bootargs),
	    TEST(a_long_log_keeps_its_last_whole_lines),
	    TEST(only_printable_characters_are_told),
	    TEST(a_long_cause_is_cut),
	    TEST(a_report_of_many_lines_fits),
	    TEST(every_bit_that_is_lost_is_noticed),
	    TEST(what_belongs_to_somebody_is_left_alone),
	    TEST(a_disk_that_fails_costs_no_more_than_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
