/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of kernel/state.h: the bytes are those of U-Boot's `env export -c` (and of tools/disk.py);
 * the newer whole copy counts, and no damage is believed; a transition writes one sector, of the older
 * copy, then flushes, and is believed only when it was read back; whatever fails, what is found
 * afterwards is the state from before or the one after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <memory_disk.h>
#include <pith/crc32.h>
#include "../../kernel/state.h"
#include "threads.h"

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

static struct boot_disk disk;

static int setup(void **state)
{
	(void)state;
	memory_format();
	assert_int_equal(disk_read_layout(&memory_device, &disk), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

static uint8_t *copy(int i)
{
	return memory + (DATA_LBA + (uint32_t)i * DISK_UNIT_BLOCKS) * SECTOR_BYTES;
}

static void seal(uint8_t *sector)
{
	memory_put32(sector, crc32(0, sector + 4, SECTOR_BYTES - 4));
}

/* A copy from text, with '|' for NUL. */
static void put(int i, const char *text)
{
	uint8_t *p = copy(i) + 4;

	memset(copy(i), 0, SECTOR_BYTES);
	for (; *text; text++)
		*p++ = *text == '|' ? 0 : (uint8_t)*text;
	seal(copy(i));
}

static struct boot_state read_state(int expected)
{
	struct boot_state s;

	memset(&s, 0xee, sizeof(s));
	assert_int_equal(state_read(&disk, &s), expected);
	return s;
}

static bool same(const struct boot_state *a, const struct boot_state *b)
{
	return a->act == b->act && a->try == b->try && a->prev == b->prev && a->left == b->left &&
	       a->minver == b->minver && a->bad == b->bad && strcmp(a->why, b->why) == 0 &&
	       a->faults == b->faults && a->retry == b->retry && a->seq == b->seq &&
	       a->copy == b->copy;
}

/* Made by tools/disk.py: pack_state(act="B", bad="c00042", faults="3", left="2", minver="400000",
 * prev="A", retry="1", seq="1f", try="A", why="panic"). */
static const char known[] =
    "act=B|bad=c00042|faults=3|left=2|minver=400000|prev=A|retry=1|seq=1f|try=A|why=panic||";
#define KNOWN_CRC 0xeae42313

static void the_bytes_are_those_of_uboot(void **state)
{
	struct boot_state s;
	uint8_t expected[SECTOR_BYTES];

	(void)state;
	put(1, known);
	memory_put32(copy(1), KNOWN_CRC);
	memcpy(expected, copy(1), SECTOR_BYTES);
	s = read_state(0);
	assert_int_equal(s.act, 'B');
	assert_int_equal(s.try, 'A');
	assert_int_equal(s.prev, 'A');
	assert_int_equal(s.left, 2);
	assert_int_equal(s.minver, 0x400000);
	assert_int_equal(s.bad, 0xc00042);
	assert_string_equal(s.why, "panic");
	assert_int_equal(s.faults, 3);
	assert_int_equal(s.retry, 1);
	assert_int_equal(s.seq, 0x1f);
	assert_int_equal(s.copy, 1);

	s.seq--; /* the same again is the same bytes */
	assert_int_equal(state_write(&disk, &s), 0);
	assert_memory_equal(copy(0), expected, SECTOR_BYTES);
}

static void the_newer_whole_copy_counts(void **state)
{
	(void)state;
	put(0, "act=A|seq=9||");
	put(1, "act=B|seq=a||");
	assert_int_equal(read_state(0).act, 'B');
	put(0, "act=A|seq=b||");
	assert_int_equal(read_state(0).act, 'A');
	put(0, "act=A|seq=a||"); /* equal: the first, as boot.env has it */
	assert_int_equal(read_state(0).act, 'A');
	copy(0)[7] ^= 1;
	assert_int_equal(read_state(0).act, 'B');
	copy(1)[400] ^= 0x40;
	assert_int_equal(read_state(-ENOENT).copy, -1);
}

static void an_unreadable_copy_is_none(void **state)
{
	(void)state;
	put(0, "act=A|seq=1||");
	put(1, "act=B|seq=2||");
	memory_fail_at = memory_op_count + 2; /* copy 1 */
	assert_int_equal(read_state(0).act, 'A');
	memory_fail_at = memory_op_count + 1;
	assert_int_equal(read_state(0).act, 'B');
	memory_fail_at = memory_op_count + 1;
	memory_fail_on = true;
	assert_int_equal(read_state(-EIO).copy, -1);
	memory_fail_on = false;
	copy(0)[4] ^= 1; /* and nobody knows what the other holds */
	memory_fail_at = memory_op_count + 2;
	assert_int_equal(read_state(-EIO).copy, -1);
}

/* Every bit of a lone copy. */
static void no_damage_is_believed(void **state)
{
	(void)state;
	put(0, known);
	for (unsigned int bit = 0; bit < 8 * SECTOR_BYTES; bit++) {
		copy(0)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		read_state(-ENOENT);
		copy(0)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	read_state(0);
	memset(copy(0), 0xff, SECTOR_BYTES); /* an erased card */
	memset(copy(1), 0, SECTOR_BYTES);
	read_state(-ENOENT);
}

static void nonsense_with_a_right_crc_is_none(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "|",
	    "seq=5||",
	    "act=C|seq=5||",
	    "act=AB|seq=5||",
	    "act=|seq=5||",
	    "act=none|seq=5||",
	    "act=A|seq||",
	    "act=A|seq=||",
	    "act=A|seq=g||",
	    "act=A|seq=-1||",
	    "act=A|seq= 1||",
	    "act=A|seq=123456789||",
	    "act=A|try=X|seq=5||",
	    "act=A|why=|seq=5||",
	    "act=A|why=Panic|seq=5||",
	    "act=A|why=abcdefghijklmnop|seq=5||",
	};
	uint8_t *sector = copy(0);

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put(0, wrong[i]);
		read_state(-ENOENT);
	}
	memset(sector, 'x', SECTOR_BYTES); /* no end */
	seal(sector);
	read_state(-ENOENT);
	memset(sector, 'x', SECTOR_BYTES); /* a name and no end of its value */
	memcpy(sector + 4, "act=A\0x=", 8);
	seal(sector);
	assert_int_equal(read_state(0).act, 'A');
}

static void later_and_earlier_names_do_not_matter(void **state)
{
	struct boot_state s;

	(void)state;
	put(0,
	    "act=A|colour=red|seq=7||"); /* of a later version; and without prev, faults, retry */
	s = read_state(0);
	assert_int_equal(s.seq, 7);
	assert_int_equal(s.prev, 0);
	assert_int_equal(s.faults, 0);
	assert_string_equal(s.why, "none");
}

static void a_transition_is_one_sector_of_the_older_copy(void **state)
{
	struct boot_state s;

	(void)state;
	put(0, "act=A|seq=1||");
	put(1, "act=A|seq=2||");
	s = read_state(0);
	s.act = 'B';
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t lba = DATA_LBA + i % 2 * DISK_UNIT_BLOCKS;
		struct boot_state found;

		memory_op_count = 0;
		assert_int_equal(state_write(&disk, &s), 0);
		assert_int_equal(s.seq, 3 + i);
		assert_int_equal(memory_op_count, 3);
		assert_int_equal(memory_ops[0].what, DO_WRITE);
		assert_int_equal(memory_ops[0].lba, lba);
		assert_int_equal(memory_ops[0].count, 1);
		assert_int_equal(memory_ops[1].what, DO_FLUSH);
		assert_int_equal(memory_ops[2].what, DO_READ);
		assert_int_equal(memory_ops[2].lba, lba);
		found = read_state(0);
		assert_true(same(&found, &s));
	}
}

static void the_first_state_goes_to_copy_0(void **state)
{
	struct boot_state s = read_state(-ENOENT), found;

	(void)state;
	s.act = 'A';
	strcpy(s.why, "none");
	assert_int_equal(state_write(&disk, &s), 0);
	found = read_state(0);
	assert_true(same(&found, &s));
	assert_int_equal(found.copy, 0);
	assert_int_equal(found.seq, 1);
}

/* The largest values there are. */
static void everything_fits(void **state)
{
	struct boot_state s = {.act = 'A',
	                       .try = 'B',
	                       .prev = 'B',
	                       .left = UINT32_MAX,
	                       .minver = UINT32_MAX,
	                       .bad = UINT32_MAX,
	                       .why = "abcdefghijklmno",
	                       .faults = UINT32_MAX,
	                       .retry = UINT32_MAX,
	                       .seq = UINT32_MAX - 1,
	                       .copy = 1};
	struct boot_state found;

	(void)state;
	assert_int_equal(state_write(&disk, &s), 0);
	found = read_state(0);
	assert_true(same(&found, &s));
}

/* Each operation failing, alone or with all that follow; and a card that swallows the write. */
static void a_failure_leaves_one_of_the_two(void **state)
{
	struct boot_state before, s, found;

	(void)state;
	for (unsigned int fail = 1; fail <= 3; fail++) {
		for (int all = 0; all < 2; all++) {
			put(0, "act=A|seq=1||");
			put(1, "act=A|seq=2||");
			before = s = read_state(0);
			s.try = 'B';
			memory_op_count = 0;
			memory_fail_at = fail;
			memory_fail_on = all;
			assert_int_equal(state_write(&disk, &s), -EIO);
			assert_int_equal(s.seq, before.seq);
			assert_int_equal(s.copy, before.copy);
			memory_fail_at = 0;
			found = read_state(0);
			assert_true(found.try == (fail == 1 ? 0 : 'B'));
			assert_int_equal(state_write(&disk, &s), 0); /* and the next one works */
			found = read_state(0);
			assert_true(same(&found, &s));
		}
	}
}

static void swallow(int what, uint64_t lba, uint32_t count)
{
	(void)count;
	if (what == DO_READ) /* what was written is not there */
		memory[lba * SECTOR_BYTES + 20] ^= 1;
}

static void a_swallowed_write_is_noticed(void **state)
{
	struct boot_state s;

	(void)state;
	put(1, "act=A|seq=2||");
	s = read_state(0);
	memory_hook = swallow;
	assert_int_equal(state_write(&disk, &s), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_bytes_are_those_of_uboot, setup),
	    cmocka_unit_test_setup(the_newer_whole_copy_counts, setup),
	    cmocka_unit_test_setup(an_unreadable_copy_is_none, setup),
	    cmocka_unit_test_setup(no_damage_is_believed, setup),
	    cmocka_unit_test_setup(nonsense_with_a_right_crc_is_none, setup),
	    cmocka_unit_test_setup(later_and_earlier_names_do_not_matter, setup),
	    cmocka_unit_test_setup(a_transition_is_one_sector_of_the_older_copy, setup),
	    cmocka_unit_test_setup(the_first_state_goes_to_copy_0, setup),
	    cmocka_unit_test_setup(everything_fits, setup),
	    cmocka_unit_test_setup(a_failure_leaves_one_of_the_two, setup),
	    cmocka_unit_test_setup_teardown(a_swallowed_write_is_noticed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
