/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc and its family, on pages (pith/page.h).
 *
 * Up to OBJECT_MAX bytes: slabs, pages cut into objects of one size behind a header that knows
 * which of them are free. The header is found by rounding an object's address down. Nothing is kept
 * in or between objects: what an app writes beyond its own breaks its other objects, or the magic
 * number of the next page, but no list here. A wrong pointer or a second free panics.
 *
 * Larger, or aligned to more than 64: whole pages, hence page-aligned, which no object of a slab
 * is. Their number is kept in a tree by address.
 *
 * The lock is one section with interrupts masked: shorter than taking a mutex, and of bounded
 * length.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include "runtree.h"

#define GRAIN_BYTES 16 /* the alignment of everything: of max_align_t (AAPCS64, table 3) */

struct slab {
	uint32_t magic; /* first: what overruns the page before, hits it */
	uint16_t object_bytes;
	uint8_t class_index;
	uint8_t objects;
	uint32_t available;       /* of these, free */
	struct slab *next, *prev; /* in heap.usable[class_index], while available > 0 */
	uint64_t free[4];         /* bit n: at grain n of the page, a free object starts */
};
#define SLAB_MAGIC  0x736c6162
#define SLAB_BYTES  (PAGE_BYTES - sizeof(struct slab)) /* for objects */
#define OBJECT_MAX  SLAB_BYTES
#define GRAINS_WORD 64
#define SPARE_MAX   8

/*
 * Sizes of objects: each multiple of GRAIN_BYTES up to EXACT_MAX (class 0 is for malloc(0) alone),
 * then the largest that go 14, 13, ... 1 times into a page. A header of 64 bytes leaves 4032, a
 * number with many divisors.
 */
#define EXACT_MAX     256
#define EXACT_CLASSES (1 + EXACT_MAX / GRAIN_BYTES)
#define CLASSES       (EXACT_CLASSES + 14)
_Static_assert(sizeof(struct slab) == 64 && SLAB_BYTES / (EXACT_MAX + GRAIN_BYTES) == 14,
               "CLASSES is counted by hand");

static struct {
	/* Slabs with room. The only one of a class stays when empty, so as not to come and go. */
	struct slab *usable[CLASSES];
	/* Pages that were slabs and may soon be again, of any class. */
	struct slab *spare;
	unsigned int spare_count;
	struct run *large;
	size_t used_max_bytes;
	ptrdiff_t headroom_bytes; /* used_max_bytes - used: the one counter that each call moves */
} heap;

static unsigned int class_of(size_t bytes)
{
	if (bytes <= EXACT_MAX)
		return ((unsigned int)bytes + GRAIN_BYTES - 1) / GRAIN_BYTES;
	return CLASSES - (unsigned int)SLAB_BYTES / ALIGN_UP((unsigned int)bytes, GRAIN_BYTES);
}

static unsigned int class_bytes(unsigned int c)
{
	if (c < EXACT_CLASSES)
		return MAX(c, 1) * GRAIN_BYTES;
	return ALIGN_DOWN((unsigned int)SLAB_BYTES / (CLASSES - c), GRAIN_BYTES);
}

static inline void count_used(size_t bytes)
{
	heap.headroom_bytes -= (ptrdiff_t)bytes;
	if (heap.headroom_bytes < 0) {
		heap.used_max_bytes -= (size_t)heap.headroom_bytes;
		heap.headroom_bytes = 0;
	}
}

static inline void count_unused(size_t bytes)
{
	heap.headroom_bytes += (ptrdiff_t)bytes;
}

/*
 * Slabs; interrupts are masked where a function does not do so itself
 */
static inline void link_slab(struct slab *s)
{
	struct slab *next = heap.usable[s->class_index];

	s->prev = NULL;
	s->next = next;
	if (next)
		next->prev = s;
	heap.usable[s->class_index] = s;
}

static inline void unlink_slab(struct slab *s)
{
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		heap.usable[s->class_index] = s->next;
}

static inline bool is_empty(const struct slab *s)
{
	return s->available == s->objects;
}

/* An empty slab becomes a spare page, or a free one. */
static void retire_slab(struct slab *s)
{
	unlink_slab(s);
	s->magic = 0;
	if (heap.spare_count == SPARE_MAX) {
		page_free(s, 1);
		return;
	}
	s->next = heap.spare;
	heap.spare = s;
	heap.spare_count++;
}

/* Empty slabs and spare pages go back. */
static COLD int give_pages_back(void)
{
	unsigned long flags = irq_save();
	int released = 0;

	for (unsigned int c = 0; c < CLASSES; c++)
		while (heap.usable[c] && is_empty(heap.usable[c])) {
			retire_slab(heap.usable[c]);
			released = 1;
		}
	for (; heap.spare; heap.spare_count--, released = 1) {
		struct slab *s = heap.spare;

		heap.spare = s->next;
		page_free(s, 1);
	}
	irq_restore_quiet(flags);
	return released;
}

int malloc_trim(size_t pad)
{
	(void)pad;
	return give_pages_back();
}

static struct slab *get_page(void)
{
	unsigned long flags = irq_save();
	struct slab *s = heap.spare;

	if (s) {
		heap.spare = s->next;
		heap.spare_count--;
	}
	irq_restore_quiet(flags);
	if (s)
		return s;
	page_reclaim = give_pages_back;
	return page_alloc(1, PAGE_BYTES, UINT64_MAX);
}

/*
 * A bit at every stride-th grain behind the header, for each object. There may be one too many, for
 * the rest of the page: as the last, it is never reached, since available ends before.
 */
static void mark_all_free(struct slab *s, unsigned int stride)
{
	unsigned int grain = sizeof(*s) / GRAIN_BYTES, end = grain + s->objects * stride;
	uint64_t every = 1;

	for (unsigned int n = stride; n < GRAINS_WORD; n *= 2)
		every |= every << n;
	while (grain < end) {
		s->free[grain / GRAINS_WORD] = every << grain % GRAINS_WORD;
		/* To the first one in another word. */
		grain += ((GRAINS_WORD - 1 - grain % GRAINS_WORD) / stride + 1) * stride;
	}
}

static bool new_slab(unsigned int c)
{
	unsigned int bytes = class_bytes(c);
	struct slab *s = get_page();
	unsigned long flags;

	if (!s) {
		errno = ENOMEM;
		return false;
	}
	*s = (struct slab){
	    .magic = SLAB_MAGIC,
	    .object_bytes = (uint16_t)bytes,
	    .class_index = (uint8_t)c,
	    .objects = (uint8_t)(SLAB_BYTES / bytes),
	};
	s->available = s->objects;
	mark_all_free(s, bytes / GRAIN_BYTES);
	flags = irq_save();
	link_slab(s);
	irq_restore_quiet(flags);
	return true;
}

/* The lowest free object of a slab that has one and stands first among the usable. */
static inline void *take_object(struct slab *s)
{
	unsigned int word = 0, grain;

	while (!s->free[word])
		word++;
	grain = word * GRAINS_WORD + (unsigned int)__builtin_ctzll(s->free[word]);
	s->free[word] &= s->free[word] - 1;
	if (--s->available == 0)
		unlink_slab(s);
	count_used(s->object_bytes);
	return (char *)s + grain * GRAIN_BYTES;
}

static struct slab *slab_of(const void *object)
{
	return (struct slab *)ALIGN_DOWN((uintptr_t)object, PAGE_BYTES);
}

/* Panic unless object is where s has one, and it is handed out. */
static inline void check_object(const struct slab *s, const void *object)
{
	uint32_t offset = (uint32_t)((uintptr_t)object - (uintptr_t)(s + 1));
	unsigned int grain = (uintptr_t)object % PAGE_BYTES / GRAIN_BYTES;

	if (s->magic != SLAB_MAGIC || offset % s->object_bytes ||
	    offset / s->object_bytes >= s->objects)
		panic("malloc: %p is not an object of ours, or what precedes it is overwritten",
		      object);
	if (s->free[grain / GRAINS_WORD] >> grain % GRAINS_WORD & 1)
		panic("malloc: %p is used after it was freed", object);
}

static inline void put_object(struct slab *s, const void *object)
{
	unsigned int grain = (uintptr_t)object % PAGE_BYTES / GRAIN_BYTES;

	s->free[grain / GRAINS_WORD] |= UINT64_C(1) << grain % GRAINS_WORD;
	count_unused(s->object_bytes);
	if (s->available++ == 0)
		link_slab(s);
}

/*
 * Whole pages
 */
static void *alloc_large(size_t bytes, size_t align)
{
	size_t count = bytes / PAGE_BYTES + (bytes % PAGE_BYTES || !bytes);
	struct run *r = malloc(sizeof(*r));
	unsigned long flags;
	void *pages;

	if (!r)
		return NULL;
	pages = page_alloc(count, align, UINT64_MAX);
	if (!pages) {
		free(r);
		errno = ENOMEM;
		return NULL;
	}
	r->start = (uintptr_t)pages;
	r->pages = count;
	flags = irq_save();
	run_insert(&heap.large, r);
	count_used(count * PAGE_BYTES);
	irq_restore_quiet(flags);
	return pages;
}

/* The link to a run, interrupts masked. */
static struct run **find_large(const void *pages)
{
	struct run **link = run_find(&heap.large, (uintptr_t)pages);

	if (!*link)
		panic("malloc: %p is not ours, or was freed", pages);
	return link;
}

static NOINLINE COLD void free_large(void *pages)
{
	unsigned long flags = irq_save();
	struct run **link = find_large(pages), *r = *link;

	run_remove(link);
	count_unused(r->pages * PAGE_BYTES);
	irq_restore_quiet(flags);
	page_free(pages, r->pages);
	free(r);
}

/*
 * The family. malloc and free end in calls of what is rare, so that their common way needs no
 * stack.
 */
static NOINLINE COLD void *alloc_from_new_slab(size_t bytes)
{
	return new_slab(class_of(bytes)) ? malloc(bytes) : NULL;
}

void *malloc(size_t bytes)
{
	unsigned int c;
	unsigned long flags;
	void *object;

	if (bytes > OBJECT_MAX)
		return alloc_large(bytes, PAGE_BYTES);
	c = class_of(bytes);
	flags = irq_save();
	if (!heap.usable[c]) {
		irq_restore_quiet(flags);
		return alloc_from_new_slab(bytes);
	}
	object = take_object(heap.usable[c]);
	irq_restore_quiet(flags);
	return object;
}

/* Unless s, now empty, is the only usable slab of its class. */
static NOINLINE COLD void retire_if_not_last(struct slab *s, unsigned long flags)
{
	if (s->next || s->prev)
		retire_slab(s);
	irq_restore_quiet(flags);
}

void free(void *p)
{
	struct slab *s = slab_of(p);
	unsigned long flags;

	if ((void *)s == p) {
		if (p)
			free_large(p);
		return;
	}
	flags = irq_save();
	check_object(s, p);
	put_object(s, p);
	if (is_empty(s))
		retire_if_not_last(s, flags);
	else
		irq_restore_quiet(flags);
}

COLD size_t malloc_usable_size(void *p)
{
	struct slab *s = slab_of(p);
	unsigned long flags;
	size_t bytes;

	if (!p)
		return 0;
	flags = irq_save();
	if ((void *)s == p) {
		bytes = (*find_large(p))->pages * PAGE_BYTES;
	} else {
		check_object(s, p);
		bytes = s->object_bytes;
	}
	irq_restore_quiet(flags);
	return bytes;
}

void *calloc(size_t count, size_t bytes)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(count, bytes, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(total);
	/* Hides where p is from: GCC would make a call of calloc of malloc and memset, this very one. */
	__asm__("" : "+r"(p));
	return p ? memset(p, 0, total) : NULL;
}

/* Stays in place unless it grows out of its room, or would leave half of it unused. */
COLD void *realloc(void *p, size_t bytes)
{
	size_t room = malloc_usable_size(p);
	void *moved;

	if (p && bytes == 0) {
		free(p);
		return NULL;
	}
	if (p && bytes <= room && bytes > room / 2)
		return p;
	moved = malloc(bytes);
	if (!moved)
		return bytes <= room ? p : NULL;
	if (p) {
		memcpy(moved, p, MIN(bytes, room));
		free(p);
	}
	return moved;
}

COLD void *memalign(size_t align, size_t bytes)
{
	unsigned int c;

	if (align == 0 || (align & (align - 1))) {
		errno = EINVAL;
		return NULL;
	}
	if (align <= GRAIN_BYTES)
		return malloc(bytes);
	/* Objects follow a header of 64 bytes: those of a class of that multiple are as aligned. */
	if (align > sizeof(struct slab) || bytes > OBJECT_MAX)
		return alloc_large(bytes, MAX(align, PAGE_BYTES));
	c = class_of(bytes);
	while (class_bytes(c) % align)
		c++;
	return malloc(class_bytes(c));
}

void *aligned_alloc(size_t align, size_t bytes)
{
	return memalign(align, bytes);
}

COLD int posix_memalign(void **p, size_t align, size_t bytes)
{
	void *aligned;

	if (align < sizeof(void *) || (align & (align - 1)))
		return EINVAL;
	aligned = memalign(align, bytes);
	if (!aligned)
		return ENOMEM;
	*p = aligned;
	return 0;
}

void memory_info(struct memory_info *info)
{
	unsigned long flags;

	page_info(info);
	flags = irq_save();
	info->heap_used_bytes = heap.used_max_bytes - (size_t)heap.headroom_bytes;
	info->heap_used_max_bytes = heap.used_max_bytes;
	irq_restore_quiet(flags);
}
