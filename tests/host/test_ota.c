/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/ota.h: an update becomes an image only if it is whole, signed, ours and newer, and
 * every refusal says why in its own words; whatever is refused, fails or is given up, the running slot
 * and its state stay as they are and the other slot has no image; the order of what is written is the
 * one that an interruption at any moment survives; a trial ends by being confirmed, and by nothing else.
 *
 * Signatures and FITs are doubles here (tests/host/test_update.c has the real ones): a signature is
 * right if it is the digest, and a FIT has three words behind its header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <mbedtls/sha256.h>
#include <memory_disk.h>
#include <pith/bootargs.h>
#include <pith/crc32.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include "../../kernel/ota.c" /* to restart it */
#include "threads.h"

#define VERSION(major, minor, patch) ((uint32_t)(major) << 22 | (minor) << 12 | (patch))
#define V1_0                         VERSION(1, 0, 0)
#define V1_1                         VERSION(1, 1, 0)
#define V1_2                         VERSION(1, 2, 0)

/* --- What ota.c needs ----------------------------------------------------------------------------- */

const char image_name[] = "web";

static uint8_t build_id[BUILD_ID_BYTES];
#define BUILD_ID_OFFSET 600u

const uint8_t *image_build_id_bytes(uint32_t *offset)
{
	*offset = BUILD_ID_OFFSET;
	return build_id;
}

const char *bootarg(const char *key)
{
	(void)key;
	return NULL;
}

static char log_text[1024]; /* the last lines */

void klog(const char *fmt, ...)
{
	size_t used = strlen(log_text);
	va_list ap;

	if (used > sizeof(log_text) / 2)
		used = 0;
	va_start(ap, fmt);
	vsnprintf(log_text + used, sizeof(log_text) / 2, fmt, ap);
	va_end(ap);
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

/* No memory for the size that is given. */
static size_t no_memory_for;
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return no_memory_for != 0 && bytes >= no_memory_for ? NULL : __real_malloc(bytes);
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

int update_trailer_parse(const uint8_t *bytes, uint64_t file_bytes, struct update_trailer *t)
{
	memcpy(t->product, bytes + 8, UPDATE_PRODUCT_BYTES);
	t->version = le32(bytes + 40);
	t->fit_bytes = le32(bytes + 44);
	memcpy(t->key_id, bytes + 48, UPDATE_KEY_ID_BYTES);
	t->signature = bytes + UPDATE_SIGNED_BYTES;
	t->signature_bytes = 256;
	if (memcmp(bytes, "PITHUPD1", 8) != 0 || bytes[39] != 0 || t->version == 0 ||
	    (t->fit_bytes + 511) / 512 * 512 + UPDATE_TRAILER_BYTES != file_bytes)
		return -EBADMSG;
	return 0;
}

int update_signature_check(const struct update_trailer *t, const uint8_t sha256[32])
{
	if (t->key_id[0] != 'K')
		return -ENOKEY;
	return memcmp(t->signature, sha256, 32) == 0 ? 0 : -EKEYREJECTED;
}

int fit_info(fit_read_fn read, void *ctx, uint32_t fit_bytes, struct fit_info *info)
{
	uint8_t header[52];
	int error = read(ctx, 0, header, sizeof(header));

	if (error)
		return error;
	info->version = le32(header + 40);
	info->kernel_offset = le32(header + 44);
	info->kernel_bytes = le32(header + 48);
	if (info->version == 0 || info->kernel_offset > fit_bytes ||
	    info->kernel_bytes > fit_bytes - info->kernel_offset)
		return -EBADMSG;
	return 0;
}

/* --- Update files --------------------------------------------------------------------------------- */

struct file {
	uint32_t bytes, fit_bytes;
	uint8_t data[SLOT_BLOCKS * SECTOR_BYTES + SECTOR_BYTES];
};

static uint8_t *trailer(struct file *f)
{
	return f->data + f->bytes - UPDATE_TRAILER_BYTES;
}

static void sign(struct file *f)
{
	mbedtls_sha256(f->data, f->bytes - UPDATE_TRAILER_BYTES + UPDATE_SIGNED_BYTES,
	               trailer(f) + UPDATE_SIGNED_BYTES, 0);
}

static void make_file(struct file *f, uint32_t version, uint32_t fit_bytes)
{
	static const uint8_t magic[4] = {0xd0, 0x0d, 0xfe, 0xed};
	uint32_t x = version + fit_bytes;

	memset(f, 0, sizeof(*f));
	f->fit_bytes = fit_bytes;
	f->bytes = (fit_bytes + 511) / 512 * 512 + UPDATE_TRAILER_BYTES;
	for (uint32_t i = 0; i < fit_bytes; i++) {
		x = x * 1664525 + 1013904223;
		f->data[i] = (uint8_t)(x >> 24);
	}
	memcpy(f->data, magic, 4);
	for (int i = 0; i < 4; i++)
		f->data[4 + i] = (uint8_t)(fit_bytes >> 8 * (3 - i));
	memory_put32(f->data + 40, version);
	memory_put32(f->data + 44, 100); /* the image in it */
	memory_put32(f->data + 48, fit_bytes - 100);
	memcpy(trailer(f), "PITHUPD1web", 11);
	memory_put32(trailer(f) + 40, version);
	memory_put32(trailer(f) + 44, fit_bytes);
	trailer(f)[48] = 'K';
	sign(f);
}

/* --- The machine ---------------------------------------------------------------------------------- */

static struct boot_disk disk;
static struct file running, update, other;
static struct ota_status status;

static uint8_t *slot_data(char slot)
{
	return memory + (slot == 'A' ? SLOT_A_LBA : SLOT_B_LBA) * SECTOR_BYTES;
}

static void put_state(const char *text)
{
	uint8_t *sector = memory + DATA_LBA * SECTOR_BYTES, *p = sector + 4;

	memset(sector, 0, SECTOR_BYTES);
	memset(sector + DISK_UNIT_BLOCKS * SECTOR_BYTES, 0, SECTOR_BYTES);
	for (; *text; text++)
		*p++ = *text == ' ' ? 0 : (uint8_t)*text;
	memory_put32(sector, crc32(0, sector + 4, SECTOR_BYTES - 4));
}

static struct boot_state get_state(void)
{
	struct boot_state s;

	assert_int_equal(state_read(&disk, &s), 0);
	return s;
}

static void expect_state(char act, char try, uint32_t left, char prev)
{
	struct boot_state s = get_state();

	assert_int_equal(s.act, act);
	assert_int_equal(s.try, try);
	assert_int_equal(s.left, left);
	assert_int_equal(s.prev, prev);
}

/* A new boot; what an update left in memory does not survive it. */
static void boot(const char *slot, const char *trial)
{
	end(OTA_IDLE);
	memory_fail_at = 0;
	memory_fail_on = false;
	memory_hook = NULL;
	no_memory_for = 0;
	log_text[0] = '\0';
	memory_device.protected = NULL;
	slots_restart(&disk, slot, trial);
	memory_op_count = 0;
}

/* 1.1 runs from A, confirmed; 1.0 was before it, in B. */
static int setup(void **state)
{
	(void)state;
	memory_format();
	assert_int_equal(disk_read_layout(&memory_device, &disk), 0);
	make_file(&running, V1_1, 100001);
	memcpy(build_id, running.data + 100 + BUILD_ID_OFFSET, BUILD_ID_BYTES);
	make_file(&other, V1_0, 150000);
	make_file(&update, V1_2, 200001);
	memcpy(slot_data('A'), running.data, running.bytes);
	memcpy(slot_data('B'), other.data, other.bytes);
	put_state("act=A minver=400000 prev=B seq=5 try=none why=none ");
	boot("A", "none");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ota_abort();
	free(memory);
	memory = NULL;
	return 0;
}

static int write_all(const struct file *f, uint32_t chunk)
{
	int error = 0;

	for (uint32_t at = 0; at < f->bytes && !error; at += chunk) {
		uint32_t count = f->bytes - at < chunk ? f->bytes - at : chunk;
		uint8_t *exact = malloc(count); /* so that reading beyond is noticed */

		memcpy(exact, f->data + at, count);
		error = ota_write(exact, count);
		free(exact);
	}
	return error;
}

static int install(const struct file *f, uint32_t chunk)
{
	int error = ota_begin(f->bytes);

	if (!error)
		error = write_all(f, chunk);
	return error ? error : ota_finish();
}

/* Whatever went wrong: what runs is untouched, and the other slot has no image that U-Boot could see. */
static void expect_harmless(void)
{
	static const uint8_t zeros[SECTOR_BYTES];

	assert_memory_equal(slot_data('A'), running.data, running.bytes);
	assert_memory_equal(slot_data('B'), zeros, SECTOR_BYTES);
	expect_state('A', 0, 0, 0);
	ota_status(&status);
	assert_int_equal(status.phase, OTA_IDLE);
	assert_int_equal(status.slot[0].version, V1_1);
	assert_int_equal(status.slot[1].version, 0);
	assert_int_equal(ota_activate(), -EINVAL);
	expect_state('A', 0, 0, 0);
}

static void expect_refused(const struct file *f, int error, const char *sentence)
{
	assert_int_equal(install(f, 4096), error);
	assert_string_equal(ota_error(), sentence);
	assert_non_null(strstr(log_text, sentence));
	expect_harmless();
}

/* --- An update ------------------------------------------------------------------------------------ */

static void an_update_is_installed_and_confirmed(void **state)
{
	(void)state;
	assert_int_equal(install(&update, 1460), 0);
	assert_memory_equal(slot_data('B'), update.data, update.bytes);
	ota_status(&status);
	assert_int_equal(status.phase, OTA_READY);
	assert_int_equal(status.slot[1].version, V1_2);
	assert_false(status.slot[1].confirmed);
	expect_state('A', 0, 0, 0);

	assert_int_equal(ota_activate(), 0);
	expect_state('A', 'B', OTA_TRIES, 0);
	ota_status(&status);
	assert_int_equal(status.phase, OTA_ACTIVATED);

	memcpy(build_id, update.data + 100 + BUILD_ID_OFFSET, BUILD_ID_BYTES);
	boot("B", "B");
	ota_status(&status);
	assert_int_equal(status.running, 'B');
	assert_int_equal(status.active, 'A');
	assert_true(status.trial);
	assert_int_equal(status.trial_left_ms, OTA_TRIAL_MS);
	assert_true(slots_on_trial());
	assert_int_equal(slots_running_version(), V1_2);
	assert_int_equal(slots_trial_deadline_ns(), now_ns + OTA_TRIAL_MS * NS_PER_MS);

	assert_int_equal(ota_confirm(), 0);
	expect_state('B', 0, 0, 'A');
	assert_int_equal(get_state().minver, V1_1);
	ota_status(&status);
	assert_false(status.trial);
	assert_int_equal(status.trial_left_ms, 0);
	assert_true(status.slot[0].confirmed && status.slot[1].confirmed);
	assert_int_equal(status.min_version, V1_1);
}

static void every_chunk_size_gives_the_same_bytes(void **state)
{
	static const uint32_t chunks[] = {1,    3,     511,   512,   513,    1024,
	                                  1460, 65535, 65536, 65537, 131073, 1 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		assert_int_equal(install(&update, chunks[i]), 0);
		assert_memory_equal(slot_data('B'), update.data, update.bytes);
	}
}

/* The buffer's edges, and the slot's. */
static void every_length_is_installed_whole(void **state)
{
	static const uint32_t lengths[] = {
	    1000,         1024,
	    65535 - 1024, 65536 - 1024,
	    65537 - 1024, 65536,
	    65537,        131072 - 512,
	    131072,       SLOT_BLOCKS * SECTOR_BYTES - UPDATE_TRAILER_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_file(&update, V1_2, lengths[i]);
		assert_int_equal(install(&update, 5000), 0);
		assert_memory_equal(slot_data('B'), update.data, update.bytes);
		assert_memory_equal(slot_data('A'), running.data, running.bytes);
	}
}

/* What is written, in which order, and what is on the medium before the next thing begins. */
static void the_order_survives_an_interruption_anywhere(void **state)
{
	uint32_t trailer_lba = SLOT_B_LBA + (other.bytes - UPDATE_TRAILER_BYTES) / SECTOR_BYTES;
	enum { STATE, TRAILER, FIRST_AWAY, REST, FIRST, TRIAL, DONE } step = STATE;
	bool flushed = true;
	uint64_t next = SLOT_B_LBA + 1;

	(void)state;
	assert_int_equal(install(&update, 3000), 0);
	assert_int_equal(ota_activate(), 0);
	assert_true(memory_op_count < 4096);
	for (unsigned int i = 0; i < memory_op_count; i++) {
		const struct memory_op *op = &memory_ops[i];

		if (op->what == DO_FLUSH)
			flushed = true;
		if (op->what != DO_WRITE)
			continue;
		switch (step) {
		case STATE: /* prev=none, in the older copy */
			assert_int_equal(op->lba, DATA_LBA + DISK_UNIT_BLOCKS);
			step = TRAILER;
			break;
		case TRAILER:
			assert_true(flushed);
			assert_int_equal(op->lba, trailer_lba);
			assert_int_equal(op->count, 2);
			step = FIRST_AWAY;
			break;
		case FIRST_AWAY:
			assert_int_equal(op->lba, SLOT_B_LBA);
			assert_int_equal(op->count, 1);
			step = REST;
			break;
		case REST:
			if (next == SLOT_B_LBA + 1)
				assert_true(flushed);
			if (next != SLOT_B_LBA + update.bytes / SECTOR_BYTES) {
				assert_int_equal(op->lba, next);
				next += op->count;
				break;
			}
			assert_true(flushed);
			assert_int_equal(op->lba, SLOT_B_LBA);
			assert_int_equal(op->count, 1);
			step = TRIAL;
			break;
		case TRIAL:
			assert_true(flushed);
			assert_int_equal(op->lba, DATA_LBA);
			step = DONE;
			break;
		default:
			fail_msg("a write too many, at %llu", (unsigned long long)op->lba);
		}
		flushed = false;
	}
	assert_int_equal(step, DONE);
	assert_true(flushed);
}

static bool rest_was_read_back;
static unsigned int flushes_before;

static void watch_read_back(int what, uint64_t lba, uint32_t count)
{
	static uint64_t next;

	if (what == DO_FLUSH)
		flushes_before++, next = SLOT_B_LBA;
	if (what == DO_READ && lba == next) {
		next += count;
		if (next >= SLOT_B_LBA + update.bytes / SECTOR_BYTES)
			rest_was_read_back = true;
	}
	if (what == DO_WRITE && lba == SLOT_B_LBA)
		assert_true(rest_was_read_back && flushes_before != 0);
}

static void all_of_it_is_read_back_before_the_first_sector_is_written(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(write_all(&update, 10000), 0);
	rest_was_read_back = false;
	flushes_before = 0;
	memory_hook = watch_read_back;
	assert_int_equal(ota_finish(), 0);
	assert_true(rest_was_read_back);
}

static uint64_t spoil_lba;

/* A card that takes a write and keeps something else. */
static void spoil(int what, uint64_t lba, uint32_t count)
{
	(void)count;
	if (what == DO_READ && lba <= spoil_lba && spoil_lba < lba + count)
		memory[spoil_lba * SECTOR_BYTES + 17] ^= 1;
}

static void a_card_that_changes_what_it_was_given_is_noticed(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < update.bytes / SECTOR_BYTES - 1; i += 13) {
		spoil_lba = SLOT_B_LBA + i;
		assert_int_equal(ota_begin(update.bytes), 0);
		assert_int_equal(write_all(&update, 10000), 0);
		memory_hook = spoil;
		assert_int_equal(ota_finish(), -EKEYREJECTED);
		memory_hook = NULL;
		expect_harmless();
	}
	spoil_lba = SLOT_B_LBA; /* the first sector, which is compared */
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(write_all(&update, 10000), 0);
	memory_hook = spoil;
	assert_int_equal(ota_finish(), -EIO);
	memory_hook = NULL;
	assert_int_equal(ota_activate(), -EINVAL);
}

/* --- Refusals ------------------------------------------------------------------------------------- */

static void a_wrong_signature_is_refused(void **state)
{
	(void)state;
	update.data[100000] ^= 1;
	expect_refused(&update, -EKEYREJECTED,
	               "the signature is wrong: the update is damaged or forged");
	update.data[100000] ^= 1;
	trailer(&update)[48] = 'X';
	sign(&update);
	expect_refused(&update, -ENOKEY,
	               "signed with a key that this image does not know (5800000000000000)");
}

static void another_product_is_refused(void **state)
{
	(void)state;
	memcpy(trailer(&update) + 8, "webcam", 6);
	sign(&update);
	expect_refused(&update, -EPERM, "the update is for product \"webcam\", this is \"web\"");
}

static void what_is_not_newer_is_refused(void **state)
{
	(void)state;
	make_file(&update, V1_1, 5000);
	expect_refused(&update, -EALREADY, "version 1.1.0 runs already");
	make_file(&update, V1_0, 5000);
	expect_refused(&update, -EALREADY, "version 1.0.0 is older than 1.1.0, which runs");
	make_file(&update, V1_1 - 1, 5000);
	expect_refused(&update, -EALREADY, "version 1.0.4095 is older than 1.1.0, which runs");
}

static void what_is_below_the_least_version_is_refused(void **state)
{
	(void)state;
	put_state("act=A minver=800000 prev=B seq=5 try=none why=none ");
	boot("A", "none");
	expect_refused(&update, -ESTALE,
	               "version 1.2.0 is below 2.0.0, the least that is accepted");
}

static void versions_that_differ_are_refused(void **state)
{
	(void)state;
	memory_put32(update.data + 40, V1_1);
	sign(&update);
	expect_refused(&update, -EBADMSG,
	               "the update says that it is version 1.2.0, its image 1.1.0");
	memory_put32(update.data + 40, 0);
	sign(&update);
	expect_refused(&update, -EBADMSG, "the image in the update is damaged");
}

static void a_damaged_trailer_is_refused(void **state)
{
	(void)state;
	trailer(&update)[0] ^= 1;
	expect_refused(&update, -EBADMSG, "the end of the update is damaged");
}

static void what_is_no_update_is_refused_early(void **state)
{
	char sentence[100];

	(void)state;
	assert_int_equal(ota_begin(100), -EBADMSG);
	assert_string_equal(ota_error(), "100 bytes: this is not an update file");
	assert_int_equal(ota_begin(1536), -EBADMSG);
	assert_int_equal(ota_begin(2049), -EBADMSG);
	assert_int_equal(ota_begin(0), -EBADMSG);
	assert_int_equal(memory_op_count, 0); /* and nothing was destroyed */

	update.data[0] ^= 1;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(ota_write(update.data, 511), 0);
	assert_int_equal(ota_write(update.data + 511, 1), -EBADMSG);
	assert_string_equal(ota_error(), "this is not an update file");
	expect_harmless();
	assert_int_equal(ota_write(update.data, 1), -EINVAL);
	assert_string_equal(ota_error(), "no update is under way");
	update.data[0] ^= 1;

	assert_int_equal(ota_begin(update.bytes + 512), 0);
	assert_int_equal(ota_write(update.data, 1000), -EBADMSG);
	snprintf(sentence, sizeof(sentence),
	         "the update must have %u bytes by its header, and has %u", update.bytes,
	         update.bytes + 512);
	assert_string_equal(ota_error(), sentence);
	expect_harmless();
}

static void what_is_too_large_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(SLOT_BLOCKS * SECTOR_BYTES + SECTOR_BYTES), -EFBIG);
	assert_string_equal(ota_error(), "the update has 1049088 bytes, slot B only 1048576");
	assert_int_equal(ota_begin(UINT64_MAX), -EFBIG);
	assert_int_equal(memory_op_count, 0);
}

static void more_than_announced_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(write_all(&update, 65536), 0);
	assert_int_equal(ota_write("", 0), 0);
	assert_int_equal(ota_write("x", 1), -EFBIG);
	assert_string_equal(ota_error(), "more came than the 201216 bytes that were announced");
	expect_harmless();
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(ota_write(update.data, SIZE_MAX), -EFBIG); /* nothing of it is read */
	expect_harmless();
}

static void what_is_truncated_is_refused(void **state)
{
	static const uint32_t lengths[] = {0, 1, 511, 512, 513, 65536, 201215};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char sentence[100];

		assert_int_equal(ota_begin(update.bytes), 0);
		assert_int_equal(ota_write(update.data, lengths[i]), 0);
		assert_int_equal(ota_finish(), -EBADMSG);
		snprintf(sentence, sizeof(sentence),
		         "the update is truncated: %u of 201216 bytes came", lengths[i]);
		assert_string_equal(ota_error(), sentence);
		expect_harmless();
	}
}

static void a_second_one_is_refused_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(ota_write(update.data, 1000), 0);
	assert_int_equal(ota_begin(update.bytes), -EBUSY);
	assert_string_equal(ota_error(), "another update is under way");
	assert_int_equal(ota_write(update.data + 1000, update.bytes - 1000), 0);
	assert_int_equal(ota_finish(), 0);
	assert_memory_equal(slot_data('B'), update.data, update.bytes);
}

static void begin_while_verifying(int what, uint64_t lba, uint32_t count)
{
	(void)lba, (void)count;
	if (what != DO_READ)
		return;
	memory_hook = NULL;
	assert_int_equal(ota_begin(update.bytes), -EBUSY); /* threads.h would assert if it waited */
	assert_string_equal(ota_error(), "another update is under way");
	ota_status(&status);
	assert_int_equal(status.phase, OTA_VERIFYING);
	assert_int_equal(status.file_bytes, update.bytes);
}

static void neither_begin_nor_status_wait_for_one_that_is_verified(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(write_all(&update, 65536), 0);
	memory_hook = begin_while_verifying;
	assert_int_equal(ota_finish(), 0);
	assert_null(memory_hook);
}

static void an_unconfirmed_image_takes_no_update(void **state)
{
	(void)state;
	put_state("act=B left=2 seq=5 try=A why=none ");
	boot("A", "A");
	assert_int_equal(ota_begin(update.bytes), -EAGAIN);
	assert_string_equal(ota_error(), "version 1.1.0, which runs, is not confirmed itself yet");
	assert_memory_equal(slot_data('B'), other.data, other.bytes);
	assert_int_equal(memory_op_count, 0);
}

static void expect_no_updates(int error, const char *sentence)
{
	assert_int_equal(ota_begin(update.bytes), error);
	assert_string_equal(ota_error(), sentence);
	assert_memory_equal(slot_data('A'), running.data, running.bytes);
	assert_memory_equal(slot_data('B'), other.data, other.bytes);
	ota_status(&status);
	assert_int_equal(status.running, 0);
	assert_int_equal(slots_running(), 0);
	assert_int_equal(slots_running_version(), 0);
}

static void without_a_running_slot_there_are_no_updates(void **state)
{
	(void)state;
	boot(NULL, NULL);
	expect_no_updates(-ENODEV, "this machine was not booted from a slot");
	boot("C", "none");
	expect_no_updates(-ENODEV, "this machine was not booted from a slot");
	assert_int_equal(ota_confirm(), 0);
	slots_restart(NULL, "A", "none");
	expect_no_updates(-ENODEV, "the disk that this machine was booted from is not there");
}

/* Bootargs that lie, or a card that was changed. */
static void another_image_in_the_slot_than_the_one_that_runs_is_noticed(void **state)
{
	static const char mismatch[] = "the slot that was booted does not hold the image that runs";

	(void)state;
	boot("B", "none");
	expect_no_updates(-ENODEV, mismatch);
	assert_non_null(strstr(log_text, mismatch));
	build_id[19] ^= 1;
	boot("A", "none");
	expect_no_updates(-ENODEV, mismatch);
	build_id[19] ^= 1;
	memory_put32(slot_data('A') + 48, BUILD_ID_OFFSET + 19); /* an image too short for it */
	boot("A", "none");
	assert_int_equal(ota_begin(update.bytes), -ENODEV);
	memset(slot_data('A'), 0, SECTOR_BYTES);
	boot("A", "none");
	assert_int_equal(ota_begin(update.bytes), -ENODEV);
}

static void the_booted_slot_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(block_write(&memory_device, SLOT_A_LBA, 1, update.data), -EPERM);
	assert_int_equal(block_write(&memory_device, SLOT_B_LBA - 1, 1, update.data), -EPERM);
	assert_int_equal(block_write(&memory_device, SLOT_B_LBA, 1, update.data), 0);
	boot("B", "none"); /* whatever it holds */
	assert_int_equal(block_write(&memory_device, SLOT_B_LBA, 1, update.data), -EPERM);
	assert_int_equal(block_write(&memory_device, SLOT_A_LBA, 1, running.data), 0);
}

static void no_memory_is_an_error_like_others(void **state)
{
	(void)state;
	no_memory_for = 60000;
	assert_int_equal(ota_begin(update.bytes), -ENOMEM);
	assert_non_null(strstr(ota_error(), "no memory"));
	assert_memory_equal(slot_data('B'), other.data, other.bytes);
	assert_int_equal(memory_op_count, 0);
	no_memory_for = 0;
	assert_int_equal(install(&update, 4096), 0);
}

/* --- The disk fails ------------------------------------------------------------------------------- */

static int whole_update(void)
{
	int error = install(&update, 20000);

	return error ? error : ota_activate();
}

/* Each operation once, alone and with all that follow: never a lie, never harm. */
static void every_failure_of_the_disk_is_survived(void **state)
{
	unsigned int operations;

	assert_int_equal(whole_update(), 0);
	operations = memory_op_count;
	for (unsigned int fail = 1; fail <= operations; fail++) {
		for (int all = 0; all < 2; all++) {
			struct boot_state s;
			int error;

			setup(state);
			memory_fail_at = fail;
			memory_fail_on = all;
			error = whole_update();
			memory_fail_at = 0;
			s = get_state();
			assert_memory_equal(slot_data('A'), running.data, running.bytes);
			assert_int_equal(s.act, 'A');
			if (error == 0) {
				/* only what is there to be destroyed may be unreadable */
				assert_false(all);
				assert_int_equal(memory_ops[fail - 1].what, DO_READ);
				assert_int_equal(memory_ops[fail - 1].lba, SLOT_B_LBA);
			} else {
				assert_int_equal(error, -EIO);
				assert_true(strlen(ota_error()) > 10);
			}
			if (s.try ==
			    'B') /* then it is all there, even if that was not to be known */
				assert_memory_equal(slot_data('B'), update.data, update.bytes);
			boot("A", "none");
			assert_int_equal(whole_update(), 0); /* and the next one works */
			expect_state('A', 'B', OTA_TRIES, 0);
		}
	}
}

static void a_state_that_cannot_be_written_leaves_the_update_ready(void **state)
{
	(void)state;
	assert_int_equal(install(&update, 20000), 0);
	memory_fail_at = memory_op_count + 1;
	assert_int_equal(ota_activate(), -EIO);
	assert_string_equal(ota_error(), "the state cannot be written");
	expect_state('A', 0, 0, 0);
	assert_int_equal(ota_activate(), 0);
	expect_state('A', 'B', OTA_TRIES, 0);
}

/* --- Given up ------------------------------------------------------------------------------------- */

static void an_update_can_be_given_up_anywhere(void **state)
{
	(void)state;
	ota_abort();
	assert_memory_equal(slot_data('B'), other.data, other.bytes);
	for (uint32_t at = 0; at <= update.bytes; at += 50304) {
		assert_int_equal(ota_begin(update.bytes), 0);
		assert_int_equal(ota_write(update.data, at), 0);
		ota_abort();
		ota_abort();
		expect_harmless();
		assert_int_equal(ota_finish(), -EINVAL);
	}
	assert_int_equal(install(&update, 65536), 0);
	ota_abort(); /* after it was finished, too */
	expect_harmless();
	assert_int_equal(install(&update, 65536), 0);
	assert_int_equal(ota_activate(), 0);
	ota_abort(); /* too late */
	expect_state('A', 'B', OTA_TRIES, 0);
	assert_memory_equal(slot_data('B'), update.data, update.bytes);
}

static void a_second_update_replaces_the_first(void **state)
{
	static struct file third;

	(void)state;
	make_file(&third, VERSION(1, 3, 0), 30000);
	assert_int_equal(whole_update(), 0);
	assert_int_equal(ota_begin(third.bytes), 0);
	expect_state('A', 0, 0, 0); /* what is destroyed is not on trial */
	assert_int_equal(write_all(&third, 999), 0);
	assert_int_equal(ota_finish(), 0);
	assert_int_equal(ota_activate(), 0);
	assert_int_equal(ota_activate(), -EINVAL);
	expect_state('A', 'B', OTA_TRIES, 0);
	assert_memory_equal(slot_data('B'), third.data, third.bytes);
}

/* --- The state ------------------------------------------------------------------------------------ */

/* U-Boot booted the other slot, since the active one did not verify, and could not write that. */
static void begin_first_makes_what_runs_active(void **state)
{
	(void)state;
	put_state("act=B left=0 minver=0 prev=A seq=5 try=none why=none ");
	boot("A", "none");
	assert_int_equal(ota_begin(update.bytes), 0);
	expect_state('A', 0, 0, 0);
	assert_int_equal(memory_ops[0].what, DO_WRITE);
	assert_int_equal(memory_ops[0].lba, DATA_LBA + DISK_UNIT_BLOCKS);
}

static void a_state_in_order_is_not_written_again(void **state)
{
	(void)state;
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(get_state().seq, 6);
	ota_abort();
	assert_int_equal(ota_begin(update.bytes), 0);
	assert_int_equal(get_state().seq, 6);
}

static void without_a_state_one_is_made(void **state)
{
	(void)state;
	memset(memory + DATA_LBA * SECTOR_BYTES, 0xff, SECTOR_BYTES);
	boot("A", "none");
	ota_status(&status);
	assert_int_equal(status.active, 'A');
	assert_int_equal(status.min_version, V1_0);
	assert_int_equal(whole_update(), 0);
	expect_state('A', 'B', OTA_TRIES, 0);
	assert_int_equal(get_state().minver, V1_0);
}

/* With nothing to be confirmed in, a trial must not last for ever. */
static void a_trial_without_its_state_cannot_be_confirmed(void **state)
{
	(void)state;
	memset(memory + DATA_LBA * SECTOR_BYTES, 0xff, SECTOR_BYTES);
	boot("A", "A");
	assert_true(slots_on_trial());
	assert_int_equal(ota_confirm(), -EIO);
	assert_int_equal(ota_begin(update.bytes), -EIO);
	assert_string_equal(ota_error(), "the state on the disk cannot be read");
	assert_int_equal(slots_fail_trial("exit"), -EIO);
	assert_true(slots_trial_deadline_ns() != TIME_FOREVER);
}

static void a_confirmed_image_has_nothing_to_confirm(void **state)
{
	(void)state;
	assert_int_equal(ota_confirm(), 0);
	assert_int_equal(slots_fail_trial("exit"), 0);
	assert_int_equal(memory_op_count, 0);
	assert_int_equal(slots_trial_deadline_ns(), TIME_FOREVER);
}

static void confirmation_is_one_write_that_can_be_tried_again(void **state)
{
	(void)state;
	put_state("act=B bad=400fff faults=3 left=2 minver=0 retry=2 seq=5 try=A why=network ");
	boot("A", "A");
	memory_op_count = 0;
	assert_int_equal(ota_confirm(), 0);
	expect_state('A', 0, 0, 'B');
	assert_int_equal(get_state().seq, 6);
	assert_int_equal(get_state().bad, 0);
	assert_int_equal(get_state().faults, 0);
	assert_int_equal(get_state().retry, 0);
	assert_string_equal(get_state().why, "none");
	assert_int_equal(get_state().minver, V1_0);

	put_state("act=B left=2 minver=0 seq=5 try=A why=none ");
	boot("A", "A");
	memory_device.read_only = true;
	assert_int_equal(ota_confirm(), -EIO);
	assert_true(slots_on_trial());
	expect_state('B', 'A', 2, 0);
	memory_device.read_only = false;
	assert_int_equal(ota_confirm(), 0);
	expect_state('A', 0, 0, 'B');
}

/* The least version rises only to what both slots can still run. */
static void the_least_version_rises_when_both_slots_verify(void **state)
{
	(void)state;
	slot_data('B')[70000] ^= 1;
	put_state("act=B left=2 minver=1 seq=5 try=A why=none ");
	boot("A", "A");
	assert_int_equal(ota_confirm(), 0);
	assert_int_equal(get_state().minver, 1);
	slot_data('B')[70000] ^= 1;
	put_state("act=B left=2 minver=400800 seq=5 try=A why=none ");
	boot("A", "A");
	assert_int_equal(ota_confirm(), 0);
	assert_int_equal(get_state().minver, 0x400800); /* never lower */
	put_state("act=B left=2 minver=1 seq=5 try=A why=none ");
	boot("A", "A");
	no_memory_for = 60000;
	assert_int_equal(ota_confirm(), 0);
	assert_int_equal(get_state().minver, 1);
}

/* Back from a version that kept crashing: it stays bad, and is nothing to go back to. */
static void a_later_version_stays_bad(void **state)
{
	(void)state;
	memcpy(slot_data('B'), update.data, update.bytes);
	put_state("act=B bad=402000 faults=5 left=2 minver=0 prev=A seq=5 try=A why=panic ");
	boot("A", "A");
	assert_int_equal(ota_confirm(), 0);
	expect_state('A', 0, 0, 0);
	assert_int_equal(get_state().bad, V1_2);
	assert_string_equal(get_state().why, "panic");
	ota_status(&status);
	assert_int_equal(status.bad_version, V1_2);
	assert_string_equal(status.why, "panic");
	assert_false(status.slot[1].confirmed);
}

static void expect_failed(const char *why, uint32_t retry)
{
	assert_int_equal(slots_fail_trial(why), 0);
	expect_state('B', 0, 0, 'B');
	assert_int_equal(get_state().bad, V1_1);
	assert_string_equal(get_state().why, why);
	assert_int_equal(get_state().retry, retry);
}

static void a_failed_trial_is_written_down(void **state)
{
	(void)state;
	put_state("act=B bad=0 left=2 minver=0 prev=B seq=5 try=A why=none ");
	boot("A", "A");
	expect_failed("unconfirmed", 0);
	put_state("act=B bad=0 left=2 minver=0 prev=B seq=5 try=A why=none ");
	boot("A", "A");
	expect_failed("network", 1);
	put_state("act=B bad=401000 left=2 minver=0 prev=B retry=1 seq=5 try=A why=network ");
	boot("A", "A");
	expect_failed("network", 2);
	put_state("act=B bad=401000 left=2 minver=0 prev=B retry=2 seq=5 try=A why=network ");
	boot("A", "A");
	expect_failed("panic", 0);
	put_state("act=B bad=400fff left=2 minver=0 prev=B retry=2 seq=5 try=A why=network ");
	boot("A", "A");
	expect_failed("network", 1); /* another version's count is not this one's */
}

/* In the moments before the reset. */
static void a_failed_trial_can_become_active_by_nothing(void **state)
{
	(void)state;
	put_state("act=B left=2 minver=0 seq=5 try=A why=none ");
	boot("A", "A");
	assert_int_equal(slots_fail_trial("exit"), 0);
	assert_int_equal(ota_confirm(), -EIO);
	assert_int_equal(ota_begin(update.bytes), -EAGAIN);
	assert_int_equal(slots_fail_trial("unconfirmed"), 0); /* the first reason stays */
	expect_state('B', 0, 0, 0);
	assert_string_equal(get_state().why, "exit");
}

static void the_time_of_a_trial_runs_out(void **state)
{
	(void)state;
	put_state("act=B left=2 minver=0 seq=5 try=A why=none ");
	boot("A", "A");
	now_ns += 12345 * NS_PER_MS;
	ota_status(&status);
	assert_int_equal(status.trial_left_ms, OTA_TRIAL_MS - 12345);
	now_ns += OTA_TRIAL_MS * NS_PER_MS;
	ota_status(&status);
	assert_int_equal(status.trial_left_ms, 0);
	assert_true(status.trial);
}

static void status_reads_nothing_from_the_disk(void **state)
{
	(void)state;
	ota_status(&status);
	assert_int_equal(status.running, 'A');
	assert_int_equal(status.slot[0].version, V1_1);
	assert_int_equal(status.slot[1].version, V1_0);
	assert_true(status.slot[0].confirmed && status.slot[1].confirmed);
	assert_int_equal(status.phase, OTA_IDLE);
	assert_int_equal(memory_op_count, 0);
	assert_true(strlen(ota_error()) > 0);
}

static void a_slot_is_verified_as_a_whole(void **state)
{
	uint32_t version = 0;

	(void)state;
	assert_int_equal(slot_verify(&disk, 'B', &version), 0);
	assert_int_equal(version, V1_0);
	for (uint32_t at = 0; at < other.bytes - UPDATE_TRAILER_BYTES + UPDATE_SIGNED_BYTES + 32;
	     at += 97) {
		slot_data('B')[at] ^= 4;
		assert_true(slot_verify(&disk, 'B', &version) < 0);
		slot_data('B')[at] ^= 4;
	}
	memory_fail_at = memory_op_count + 2;
	assert_int_equal(slot_verify(&disk, 'B', &version), -EIO);
	no_memory_for = 60000;
	assert_int_equal(slot_verify(&disk, 'B', &version), -ENOMEM);
	no_memory_for = 0;
	slot_data('B')[4] = 0x10; /* far longer than the slot */
	assert_int_equal(slot_verify(&disk, 'B', &version), -EBADMSG);
	memset(slot_data('B') + 4, 0xff, 4);
	assert_int_equal(slot_verify(&disk, 'B', &version), -EBADMSG);
	memset(slot_data('B') + 4, 0, 4);
	assert_int_equal(slot_verify(&disk, 'B', &version), -EBADMSG);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(an_update_is_installed_and_confirmed),
	    T(every_chunk_size_gives_the_same_bytes),
	    T(every_length_is_installed_whole),
	    T(the_order_survives_an_interruption_anywhere),
	    T(all_of_it_is_read_back_before_the_first_sector_is_written),
	    T(a_card_that_changes_what_it_was_given_is_noticed),
	    T(a_wrong_signature_is_refused),
	    T(another_product_is_refused),
	    T(what_is_not_newer_is_refused),
	    T(what_is_below_the_least_version_is_refused),
	    T(versions_that_differ_are_refused),
	    T(a_damaged_trailer_is_refused),
	    T(what_is_no_update_is_refused_early),
	    T(what_is_too_large_is_refused),
	    T(more_than_announced_is_refused),
	    T(what_is_truncated_is_refused),
	    T(a_second_one_is_refused_meanwhile),
	    T(neither_begin_nor_status_wait_for_one_that_is_verified),
	    T(an_unconfirmed_image_takes_no_update),
	    T(without_a_running_slot_there_are_no_updates),
	    T(another_image_in_the_slot_than_the_one_that_runs_is_noticed),
	    T(the_booted_slot_cannot_be_written),
	    T(no_memory_is_an_error_like_others),
	    T(every_failure_of_the_disk_is_survived),
	    T(a_state_that_cannot_be_written_leaves_the_update_ready),
	    T(an_update_can_be_given_up_anywhere),
	    T(a_second_update_replaces_the_first),
	    T(begin_first_makes_what_runs_active),
	    T(a_state_in_order_is_not_written_again),
	    T(without_a_state_one_is_made),
	    T(a_trial_without_its_state_cannot_be_confirmed),
	    T(a_confirmed_image_has_nothing_to_confirm),
	    T(confirmation_is_one_write_that_can_be_tried_again),
	    T(the_least_version_rises_when_both_slots_verify),
	    T(a_later_version_stays_bad),
	    T(a_failed_trial_is_written_down),
	    T(a_failed_trial_can_become_active_by_nothing),
	    T(the_time_of_a_trial_runs_out),
	    T(status_reads_nothing_from_the_disk),
	    T(a_slot_is_verified_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
