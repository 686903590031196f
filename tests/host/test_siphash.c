/* SPDX-License-Identifier: Apache-2.0 */
/* Promise: SipHash-2-4 is the one of the paper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "siphash.h"

/* Key 00..0f, input 00, 01, ...; appendix A, and vectors.h of the reference implementation. */
static void test_vectors(void **state)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const struct {
		size_t count;
		uint64_t hash;
	} vectors[] = {
	    {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
	    {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
	};
	uint8_t input[64];

	(void)state;
	for (unsigned int i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	for (unsigned int i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(siphash24(key, input, vectors[i].count) == vectors[i].hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
