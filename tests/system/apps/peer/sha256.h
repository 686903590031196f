/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, FIPS 180-4. */
#ifndef PEER_SHA256_H
#define PEER_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[64];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t count);
/* As text: 64 hexadecimal digits and a NUL. */
void sha256_end(struct sha256 *s, char hex[65]);

#endif
