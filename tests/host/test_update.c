/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of pith/update.h: what tools/update made is taken, with either of the image's keys; no
 * trailer with any other bit is; no signature passes that was not made with the key for those bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <mbedtls/sha256.h>
#include <pith/update.h>
#include "update_files.h"

static uint8_t *file[2]; /* signed by current, by spare */
static size_t file_bytes;

static uint8_t *trailer_of(uint8_t *bytes)
{
	return bytes + file_bytes - UPDATE_TRAILER_BYTES;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void digest_of(const uint8_t *bytes, uint8_t digest[32])
{
	mbedtls_sha256(bytes, file_bytes - UPDATE_TRAILER_BYTES + UPDATE_SIGNED_BYTES, digest, 0);
}

/* All that is checked of a trailer. */
static int check(const uint8_t *trailer, const uint8_t digest[32])
{
	struct update_trailer t;
	int error = update_trailer_parse(trailer, file_bytes, &t);

	return error ? error : update_signature_check(&t, digest);
}

static void test_what_the_tools_make_is_taken(void **state)
{
	struct update_trailer t;
	uint8_t digest[32];

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint8_t *trailer = trailer_of(file[i]);

		assert_int_equal(update_trailer_parse(trailer, file_bytes, &t), 0);
		assert_string_equal(t.product, EXAMPLE_PRODUCT);
		assert_int_equal(t.version, EXAMPLE_VERSION);
		assert_int_equal((t.fit_bytes + 511) / 512 * 512 + 1024, file_bytes);
		assert_memory_equal(t.key_id, update_keys[i].id, sizeof(t.key_id));
		assert_int_equal(t.signature_bytes, 256);
		assert_ptr_equal(t.signature, trailer + 64);
		digest_of(file[i], digest);
		assert_int_equal(update_signature_check(&t, digest), 0);
	}
}

/* The digest as it was: a bit of the signed part is refused even where nobody hashed it again. */
static void test_no_bit_of_the_trailer_may_change(void **state)
{
	uint8_t trailer[UPDATE_TRAILER_BYTES], digest[32];
	struct update_trailer t;

	(void)state;
	memcpy(trailer, trailer_of(file[0]), sizeof(trailer));
	for (unsigned int bit = 0; bit < 8 * sizeof(trailer); bit++) {
		trailer[bit / 8] ^= 1 << bit % 8;
		memcpy(trailer_of(file[0]), trailer, sizeof(trailer));
		digest_of(file[0], digest);
		assert_int_not_equal(check(trailer, digest), 0);
		if (bit / 8 >= 64 + 256)
			assert_int_equal(update_trailer_parse(trailer, file_bytes, &t), -EBADMSG);
		trailer[bit / 8] ^= 1 << bit % 8;
	}
	memcpy(trailer_of(file[0]), trailer, sizeof(trailer));
	digest_of(file[0], digest);
	assert_int_equal(check(trailer, digest), 0);
}

/* A trailer that is the good one but for some bytes is none, whoever signed it. */
static void assert_no_trailer(unsigned int at, const void *bytes, size_t count)
{
	uint8_t trailer[UPDATE_TRAILER_BYTES];
	struct update_trailer t;

	memcpy(trailer, trailer_of(file[0]), sizeof(trailer));
	memcpy(trailer + at, bytes, count);
	assert_int_equal(update_trailer_parse(trailer, file_bytes, &t), -EBADMSG);
}

static void test_every_field_has_its_rules(void **state)
{
	static const uint32_t lengths[] = {0, 1, 128, 255, 257, 320, 513, 1024, UINT32_MAX};
	static const uint8_t zeros[32];
	uint8_t number[4];
	char product[32];

	(void)state;
	assert_no_trailer(0, "PITHUPD2", 8);
	assert_no_trailer(8, zeros, sizeof(zeros));
	memset(product, 'x', sizeof(product));
	assert_no_trailer(8, product, sizeof(product));
	memset(product + 4, 0, sizeof(product) - 4);
	product[31] = 'x';
	assert_no_trailer(8, product, sizeof(product));
	assert_no_trailer(40, zeros, 4);
	assert_no_trailer(44, zeros, 4);
	assert_no_trailer(60, "\0\0\0\1", 4);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put32(number, lengths[i]);
		assert_no_trailer(56, number, 4);
	}
}

static void test_the_length_is_the_file_s(void **state)
{
	uint8_t trailer[UPDATE_TRAILER_BYTES];
	struct update_trailer t;

	(void)state;
	memcpy(trailer, trailer_of(file[0]), sizeof(trailer));
	for (int64_t delta = -2048; delta <= 2048; delta++) {
		int expected = delta ? -EBADMSG : 0;

		assert_int_equal(update_trailer_parse(trailer, file_bytes + delta, &t), expected);
	}
	assert_int_equal(update_trailer_parse(trailer, 0, &t), -EBADMSG);
	assert_int_equal(update_trailer_parse(trailer, file_bytes + (1ull << 32), &t), -EBADMSG);
	/* Rounded up to sectors in 32 bits this would be 0. */
	put32(trailer + 44, UINT32_MAX);
	assert_int_equal(update_trailer_parse(trailer, 1024, &t), -EBADMSG);
	assert_int_equal(update_trailer_parse(trailer, (1ull << 32) + 1024, &t), 0);
}

static void test_only_these_bytes_were_signed(void **state)
{
	uint8_t digest[32];

	(void)state;
	digest_of(file[0], digest);
	for (unsigned int bit = 0; bit < 256; bit++) {
		digest[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(check(trailer_of(file[0]), digest), -EKEYREJECTED);
		digest[bit / 8] ^= 1 << bit % 8;
	}
}

static void test_the_key_is_the_one_that_is_named(void **state)
{
	struct update_trailer t;
	uint8_t digest[32];

	(void)state;
	digest_of(file[0], digest);
	assert_int_equal(update_trailer_parse(trailer_of(file[0]), file_bytes, &t), 0);
	memcpy(t.key_id, update_keys[1].id, sizeof(t.key_id));
	assert_int_equal(update_signature_check(&t, digest), -EKEYREJECTED);
	t.key_id[7] ^= 1;
	assert_int_equal(update_signature_check(&t, digest), -ENOKEY);
	memset(t.key_id, 0, sizeof(t.key_id));
	assert_int_equal(update_signature_check(&t, digest), -ENOKEY);
}

/* RFC 8017, 5.2.2: a signature is a number below the modulus. s and s + n would mean the same. */
static void test_a_signature_is_below_the_modulus(void **state)
{
	const struct update_key *key = &update_keys[0];
	uint8_t digest[32], signature[256];
	unsigned int carry = 0;

	(void)state;
	digest_of(file[0], digest);
	memcpy(signature, trailer_of(file[0]) + 64, 256);
	assert_int_equal(update_signature_by(key, signature, 256, digest), 0);
	for (int i = 255; i >= 0; i--) {
		carry += signature[i] + key->modulus[i];
		signature[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (!carry) /* else it takes 257 bytes */
		assert_int_equal(update_signature_by(key, signature, 256, digest), -EKEYREJECTED);
	assert_int_equal(update_signature_by(key, key->modulus, 256, digest), -EKEYREJECTED);
	memset(signature, 0xff, 256);
	assert_int_equal(update_signature_by(key, signature, 256, digest), -EKEYREJECTED);
	for (int small = 0; small < 3; small++) {
		memset(signature, 0, 256);
		signature[255] = (uint8_t)small;
		assert_int_equal(update_signature_by(key, signature, 256, digest), -EKEYREJECTED);
	}
}

static void test_a_signature_is_as_long_as_the_key(void **state)
{
	uint8_t digest[32], signature[512] = {0};

	(void)state;
	digest_of(file[0], digest);
	memcpy(signature, trailer_of(file[0]) + 64, 256);
	assert_int_equal(update_signature_by(&update_keys[0], signature, 255, digest),
	                 -EKEYREJECTED);
	assert_int_equal(update_signature_by(&update_keys[0], signature, 384, digest),
	                 -EKEYREJECTED);
	memmove(signature + 256, signature, 256);
	memset(signature, 0, 256);
	assert_int_equal(update_signature_by(&update_keys[0], signature, 512, digest),
	                 -EKEYREJECTED);
}

static int allocations_left = -1;
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left -= allocations_left > 0;
	return __real_calloc(count, bytes);
}

/* A good signature on a machine without memory: never wrong, never right, nothing lost. */
static void test_out_of_memory(void **state)
{
	const uint8_t *signature = trailer_of(file[0]) + 64;
	uint8_t digest[32];
	int failed = 0, error;

	(void)state;
	digest_of(file[0], digest);
	do {
		allocations_left = failed;
		error = update_signature_by(&update_keys[0], signature, 256, digest);
		allocations_left = -1;
		failed += error != 0;
		assert_true(error == 0 || error == -ENOMEM);
	} while (error);
	assert_true(failed >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_the_tools_make_is_taken),
	    cmocka_unit_test(test_no_bit_of_the_trailer_may_change),
	    cmocka_unit_test(test_every_field_has_its_rules),
	    cmocka_unit_test(test_the_length_is_the_file_s),
	    cmocka_unit_test(test_only_these_bytes_were_signed),
	    cmocka_unit_test(test_the_key_is_the_one_that_is_named),
	    cmocka_unit_test(test_a_signature_is_below_the_modulus),
	    cmocka_unit_test(test_a_signature_is_as_long_as_the_key),
	    cmocka_unit_test(test_out_of_memory),
	};
	int failed;

	file[0] = read_whole("build/host/updates/current.pith", &file_bytes);
	file[1] = read_whole("build/host/updates/spare.pith", &file_bytes);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(file[0]);
	free(file[1]);
	return failed;
}
