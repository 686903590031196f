/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update file (pith/update.h): its trailer, and who signed it.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <mbedtls/rsa.h>
#include <pith/update.h>

/* Where in the trailer. */
#define T_PRODUCT         8u
#define T_VERSION         40u
#define T_FIT_BYTES       44u
#define T_KEY_ID          48u
#define T_SIGNATURE_BYTES 56u
#define T_ZERO            60u

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool all_zero(const uint8_t *p, const uint8_t *end)
{
	while (p < end && !*p)
		p++;
	return p == end;
}

/* At least one character, and after it nothing but NULs, one at least. */
static bool product_valid(const char *product)
{
	size_t length = strnlen(product, UPDATE_PRODUCT_BYTES);
	const uint8_t *p = (const uint8_t *)product;

	return length > 0 && length < UPDATE_PRODUCT_BYTES &&
	       all_zero(p + length, p + UPDATE_PRODUCT_BYTES);
}

static bool signature_bytes_valid(uint32_t bytes)
{
	return bytes == 256 || bytes == 384 || bytes == UPDATE_SIGNATURE_MAX;
}

static uint64_t file_bytes_of(uint32_t fit_bytes)
{
	return (((uint64_t)fit_bytes + 511) & ~511ull) + UPDATE_TRAILER_BYTES;
}

/* Strict to the last bit, since nothing signs what is behind the signature. */
int update_trailer_parse(const uint8_t *bytes, uint64_t file_bytes, struct update_trailer *t)
{
	memcpy(t->product, bytes + T_PRODUCT, UPDATE_PRODUCT_BYTES);
	memcpy(t->key_id, bytes + T_KEY_ID, UPDATE_KEY_ID_BYTES);
	t->version = le32(bytes + T_VERSION);
	t->fit_bytes = le32(bytes + T_FIT_BYTES);
	t->signature_bytes = le32(bytes + T_SIGNATURE_BYTES);
	t->signature = bytes + UPDATE_SIGNED_BYTES;
	if (memcmp(bytes, UPDATE_MAGIC, 8) || !product_valid(t->product) || !t->version ||
	    !t->fit_bytes || file_bytes != file_bytes_of(t->fit_bytes) || le32(bytes + T_ZERO) ||
	    !signature_bytes_valid(t->signature_bytes) ||
	    !all_zero(t->signature + t->signature_bytes, bytes + UPDATE_TRAILER_BYTES))
		return -EBADMSG;
	return 0;
}

int update_signature_by(const struct update_key *key, const uint8_t *signature,
                        uint32_t signature_bytes, const uint8_t sha256[32])
{
	const uint8_t exponent[] = {(uint8_t)(key->exponent >> 24), (uint8_t)(key->exponent >> 16),
	                            (uint8_t)(key->exponent >> 8), (uint8_t)key->exponent};
	mbedtls_rsa_context rsa;
	int error;

	if (signature_bytes != key->modulus_bytes)
		return -EKEYREJECTED;
	mbedtls_rsa_init(&rsa);
	error = mbedtls_rsa_import_raw(&rsa, key->modulus, key->modulus_bytes, NULL, 0, NULL, 0,
	                               NULL, 0, exponent, sizeof(exponent));
	if (!error)
		error = mbedtls_rsa_rsassa_pkcs1_v15_verify(&rsa, MBEDTLS_MD_SHA256, 32, sha256,
		                                            signature);
	mbedtls_rsa_free(&rsa);
	/* The lower seven bits are the cause's own code (mbedtls/error.h). */
	if ((-error & 0x7f) == -MBEDTLS_ERR_MPI_ALLOC_FAILED)
		return -ENOMEM;
	return error ? -EKEYREJECTED : 0;
}

int update_signature_check(const struct update_trailer *t, const uint8_t sha256[32])
{
	for (int i = 0; i < UPDATE_KEYS; i++) {
		const struct update_key *key = &update_keys[i];

		if (!memcmp(key->id, t->key_id, UPDATE_KEY_ID_BYTES))
			return update_signature_by(key, t->signature, t->signature_bytes, sha256);
	}
	return -ENOKEY;
}
