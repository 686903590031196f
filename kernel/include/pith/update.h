/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update file, the same bytes as in a slot: the FIT that U-Boot boots, zeros up to a multiple of
 * 512 bytes, and a trailer of 1024 bytes:
 *
 *	  0  magic "PITHUPD1"
 *	  8  product, 32 bytes, padded with NULs
 *	 40  LE32 version (pith/version.h)
 *	 44  LE32 bytes of the FIT
 *	 48  key id: the first 8 bytes of the SHA-256 of the public key (DER, SubjectPublicKeyInfo)
 *	 56  LE32 bytes of the signature: 256, 384 or 512
 *	 60  LE32 zero
 *	 64  signature: RSA PKCS#1 v1.5 with SHA-256 over every byte of the file before it
 *	     zeros
 *
 * U-Boot verifies the FIT's own signature when it boots; this one covers every byte, and is ours.
 */
#ifndef PITH_UPDATE_H
#define PITH_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#define UPDATE_MAGIC         "PITHUPD1"
#define UPDATE_TRAILER_BYTES 1024u
#define UPDATE_SIGNED_BYTES  64u /* of the trailer: what the signature covers, too */
#define UPDATE_PRODUCT_BYTES 32u
#define UPDATE_SIGNATURE_MAX 512u
#define UPDATE_KEY_ID_BYTES  8u

struct update_trailer {
	char product[UPDATE_PRODUCT_BYTES]; /* terminated */
	uint32_t version;
	uint32_t fit_bytes;
	uint8_t key_id[UPDATE_KEY_ID_BYTES];
	uint32_t signature_bytes;
	const uint8_t *signature; /* in the bytes that were parsed */
};

/*
 * Parse a trailer. What it says is only true once the signature is checked.
 *
 * bytes       UPDATE_TRAILER_BYTES of them
 * file_bytes  of the whole file
 * Returns     0; -EBADMSG it is not one, or does not fit file_bytes
 */
int update_trailer_parse(const uint8_t *bytes, uint64_t file_bytes, struct update_trailer *t);

/* One of the two public keys that this image trusts: obj/keys.c, which the build makes of KEYS=. */
struct update_key {
	uint8_t id[UPDATE_KEY_ID_BYTES];
	uint32_t exponent;
	uint32_t modulus_bytes;
	const uint8_t *modulus; /* the most significant byte first */
};

#define UPDATE_KEYS 2
extern const struct update_key update_keys[UPDATE_KEYS];

/*
 * Is this a signature by one of the image's keys?
 *
 * sha256   of every byte of the file before the signature
 * Blocks   no; takes about 1 ms on a board
 * Returns  0; -ENOKEY no such key; -EKEYREJECTED it is wrong; -ENOMEM
 */
int update_signature_check(const struct update_trailer *t, const uint8_t sha256[32]);

/*
 * The same for a given key: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2).
 *
 * Returns  0; -EKEYREJECTED; -ENOMEM
 */
int update_signature_by(const struct update_key *key, const uint8_t *signature,
                        uint32_t signature_bytes, const uint8_t sha256[32]);

/*
 * Bytes of a FIT, wherever they are.
 *
 * Returns  0 or a negative errno, which ends what asked for it
 */
typedef int (*fit_read_fn)(void *ctx, uint32_t offset, void *buf, uint32_t bytes);

struct fit_info {
	uint32_t version;                     /* of the signed configuration */
	uint32_t kernel_offset, kernel_bytes; /* where the Image is in the FIT */
};

/*
 * Find in a FIT what Pith wants to know, walking its structure once without reading the image. Takes
 * only what tools/fit makes: configuration "conf" with kernel "kernel", no name twice or with an @.
 *
 * fit_bytes  how long it must be
 * Blocks     if read does, which is asked for at most 64 bytes at once, a few hundred times
 * Returns    0; -EBADMSG broken, or something is missing; what read returned
 */
int fit_info(fit_read_fn read, void *ctx, uint32_t fit_bytes, struct fit_info *info);

#endif
