/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel/update.c's verdict on each of Wycheproof's signatures. "acceptable" are those without the NULL
 * in the DigestInfo, which some old software made: RFC 8017 does not allow them, so neither do we.
 */
#include <errno.h>
#include <stdbool.h>
#include <mbedtls/sha256.h>
#include <pith/compiler.h>
#include <pith/update.h>
#include "check.h"

enum result { VALID, INVALID, ACCEPTABLE, RESULTS };

struct vector {
	int bits, id;
	const char *comment;
	enum result result;
	const struct update_key *key;
	const char *message;
	size_t message_bytes;
	const char *signature;
	size_t signature_bytes;
};

#include "vectors.h"

static bool right(const struct vector *v)
{
	uint8_t sha256[32];
	int error;

	mbedtls_sha256((const uint8_t *)v->message, v->message_bytes, sha256, 0);
	error = update_signature_by(v->key, (const uint8_t *)v->signature,
	                            (uint32_t)v->signature_bytes, sha256);
	return v->result == VALID ? error == 0 : error == -EKEYREJECTED;
}

static void verify_all(int bits)
{
	unsigned int counts[RESULTS] = {0}, wrong = 0;

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];

		if (v->bits != bits)
			continue;
		counts[v->result]++;
		if (!right(v)) {
			printf("wrong verdict: %d bits, test %d: %s\n", bits, v->id, v->comment);
			wrong++;
		}
	}
	printf("RSA-%d: %u valid, %u invalid, %u acceptable, %u wrong verdicts\n", bits,
	       counts[VALID], counts[INVALID], counts[ACCEPTABLE], wrong);
	CHECK("no wrong verdict", counts[VALID] > 0 && counts[INVALID] > 0 && wrong == 0);
}

int main(void)
{
	verify_all(2048);
	verify_all(3072);
	verify_all(4096);
	return checks_failed != 0;
}
