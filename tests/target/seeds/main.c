/* SPDX-License-Identifier: Apache-2.0 */
/* The tree's seeds were used for the random place, the canary, the generator: nobody may read them. */
#include <stdbool.h>
#include <pith/dt.h>
#include "check.h"

static bool wiped(const char *name)
{
	struct dt_value seed = dt_prop(dt_find("/chosen"), name);

	for (size_t i = 0; i < seed.bytes; i++) {
		if (((const unsigned char *)seed.data)[i])
			return false;
	}
	return seed.bytes >= 8;
}

int main(void)
{
	CHECK("rng-seed is wiped", wiped("rng-seed"));
	CHECK("kaslr-seed is wiped", wiped("kaslr-seed"));
	return checks_failed != 0;
}
