/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, handed out from front to back (pith/boot_alloc.h). */
#include <stdint.h>
#include <string.h>
#include <pith/boot_alloc.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define GRAIN_BYTES 16 /* the alignment of max_align_t (AAPCS64, table 3) */

static char *next;
static size_t left_bytes;

void *boot_alloc(size_t bytes)
{
	void *p;

	bytes = ALIGN_UP(bytes, (size_t)GRAIN_BYTES);
	if (bytes > left_bytes) {
		size_t pages = ALIGN_UP(bytes, PAGE_BYTES) / PAGE_BYTES;
		char *more = page_alloc(pages, PAGE_BYTES, UINT64_MAX);

		if (!more)
			return NULL;
		next = more;
		left_bytes = pages * PAGE_BYTES;
	}
	p = next;
	next += bytes;
	left_bytes -= bytes;
	return memset(p, 0, bytes);
}
