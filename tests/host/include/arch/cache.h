/* SPDX-License-Identifier: Apache-2.0 */
/* arch/cache.h for host tests: what a data cache is like, and what to do with it, is the test's. */
#ifndef ARCH_HOST_CACHE_H
#define ARCH_HOST_CACHE_H

#include <stddef.h>

enum model_cache_op { MODEL_CLEAN = 1, MODEL_INVALIDATE = 2 };
/* On the lines that hold [start, start + bytes): an op, or both at once. */
void model_dcache(int op, const void *start, size_t bytes);

static inline void dcache_clean(const void *start, size_t bytes)
{
	model_dcache(MODEL_CLEAN, start, bytes);
}

static inline void dcache_invalidate(const void *start, size_t bytes)
{
	model_dcache(MODEL_INVALIDATE, start, bytes);
}

static inline void dcache_clean_invalidate(const void *start, size_t bytes)
{
	model_dcache(MODEL_CLEAN | MODEL_INVALIDATE, start, bytes);
}

#endif
