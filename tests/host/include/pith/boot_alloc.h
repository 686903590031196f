/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pith/boot_alloc.h for host tests: from the heap, so that the sanitizer sees where each block ends.
 * A list keeps them reachable: they are no leaks.
 */
#ifndef PITH_HOST_BOOT_ALLOC_H
#define PITH_HOST_BOOT_ALLOC_H

#define boot_alloc boot_alloc_arm
#include_next <pith/boot_alloc.h>
#undef boot_alloc

#include <stdlib.h>

static inline void *boot_alloc(size_t bytes)
{
	struct kept {
		struct kept *next;
		void *block;
	} *k = malloc(sizeof(*k));
	static struct kept *all;

	if (!k)
		return NULL;
	*k = (struct kept){all, calloc(1, bytes)};
	all = k;
	return k->block;
}

#endif
