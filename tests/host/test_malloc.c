/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises of malloc and its family: 16-byte alignment or what was asked; blocks never overlap, and
 * keep their bytes through everything; exhaustion gives NULL and ENOMEM, and everything goes on after
 * it; every byte and page comes back; little waste; misuse stops the machine.
 *
 * Ours are compiled under other names (malloc_CFLAGS in host.mk), in this file too: malloc here is
 * pith_malloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <death.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>

#define HEAP_BYTES (8ul << 20)

/* The compiler must not reason about what is deliberately wrong here. */
static void *hide(void *p)
{
	__asm__("" : "+r"(p));
	return p;
}

void klog(const char *fmt, ...)
{
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	abort();
}

bool in_irq(void)
{
	return false;
}

static int add_ram(void **state)
{
	/* Of 16 MiB of addresses 8 are RAM: an overrun faults. Not at 2 MiB, not in one piece. */
	char *p = mmap(NULL, 2 * HEAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	p = (char *)ALIGN_UP((uintptr_t)p, 2ul << 20) + PAGE_BYTES;
	assert_int_equal(mprotect(p, HEAP_BYTES / 4, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(mprotect(p + HEAP_BYTES / 2, HEAP_BYTES * 3 / 4, PROT_READ | PROT_WRITE),
	                 0);
	page_add((uintptr_t)p, HEAP_BYTES / 4);
	page_add((uintptr_t)p + HEAP_BYTES / 2, HEAP_BYTES * 3 / 4);
	return 0;
}

static struct memory_info info(void)
{
	struct memory_info i;

	memory_info(&i);
	return i;
}

/* Each test begins and ends with all memory free. */
static int all_is_free(void **state)
{
	(void)state;
	srandom(1);
	malloc_trim(0);
	assert_int_equal(info().heap_used_bytes, 0);
	assert_int_equal(info().free_bytes, HEAP_BYTES);
	return 0;
}

static size_t random_below(size_t n)
{
	return (size_t)random() % n;
}

static size_t pages_used(void)
{
	return (HEAP_BYTES - info().free_bytes) / PAGE_BYTES;
}

static void every_size_gets_what_it_asked_for(void **state)
{
	size_t last = 0;

	(void)state;
	for (size_t bytes = 0; bytes < 20000; bytes++) {
		char *p = malloc(bytes);
		size_t usable = malloc_usable_size(p);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(usable >= bytes && usable >= last);
		/* At most 16 bytes and a fifth are lost; thirds and halves of a page more. */
		if (bytes <= 800)
			assert_true(usable - bytes <= 16 + bytes / 5);
		if (bytes > 4032)
			assert_int_equal(usable, ALIGN_UP(bytes, PAGE_BYTES));
		memset(p, 0xff, usable);
		last = usable;
		free(p);
	}
}

/* The room of a block is a size of its own: asking for it gives no more. */
static void sizes_are_their_own_class(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < 9000; bytes += 16) {
		void *p = malloc(bytes), *q = malloc(malloc_usable_size(p));

		assert_int_equal(malloc_usable_size(p), malloc_usable_size(q));
		free(p);
		free(q);
	}
}

static void statistics_count_what_is_handed_out(void **state)
{
	void *p = malloc(1000), *q;
	size_t max;

	(void)state;
	assert_int_equal(info().heap_used_bytes, 1008);
	q = malloc(100000);
	/* 32 bytes say where whole pages are. */
	assert_int_equal(info().heap_used_bytes, 1008 + 32 + 25 * PAGE_BYTES);
	free(p);
	free(q);
	assert_int_equal(info().heap_used_bytes, 0);
	max = info().heap_used_max_bytes;
	assert_true(max >= 1008 + 32 + 25 * PAGE_BYTES);
	p = malloc(max);
	assert_int_equal(info().heap_used_max_bytes, ALIGN_UP(max, PAGE_BYTES) + 32);
	free(p);
	p = malloc(max / 2);
	assert_int_equal(info().heap_used_max_bytes, ALIGN_UP(max, PAGE_BYTES) + 32);
	free(p);
}

static void zero_bytes_are_a_block_of_its_own(void **state)
{
	void *p = malloc(0), *q = malloc(0), *r = calloc(0, 5);

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	assert_non_null(r);
	assert_ptr_not_equal(p, q);
	free(p);
	free(q);
	free(r);
	free(NULL);
	assert_int_equal(malloc_usable_size(NULL), 0);
}

static void memory_goes_where_it_is_used(void **state)
{
	static const struct {
		size_t bytes, count, pages;
	} cases[] = {
	    {16, 252, 1},      {32, 126, 1},     {64, 63, 1},      {100, 36 * 3, 3},
	    {256, 15, 1},      {400, 100, 10},   {1344, 300, 100}, {2016, 2, 1},
	    {4032, 1, 1},      {4096, 126, 127}, /* and a page for what is known of them */
	    {16384, 100, 401},
	};
	static void *blocks[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t j = 0; j < cases[i].count; j++)
			assert_non_null(blocks[j] = malloc(cases[i].bytes));
		assert_int_equal(pages_used(), cases[i].pages);
		for (size_t j = 0; j < cases[i].count; j++)
			free(blocks[j]);
		/* One page of a size and some spare ones stay, so as not to come and go. */
		assert_in_range(pages_used(), 1, 9);
		malloc_trim(0);
		assert_int_equal(pages_used(), 0);
	}
}

/* A burst of blocks, as a window of TCP segments, again and again: the same pages serve it. */
static void a_burst_that_comes_back_takes_no_new_pages(void **state)
{
	void *burst[16];
	size_t pages = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_LEN(burst); i++)
			burst[i] = malloc(1500);
		assert_true(round == 0 || pages_used() == pages);
		pages = pages_used();
		for (size_t i = 0; i < ARRAY_LEN(burst); i++)
			free(burst[i]);
		assert_int_equal(pages_used(), pages);
	}
}

static void a_block_that_comes_and_goes_keeps_its_page(void **state)
{
	void *other = malloc(100), *p = malloc(100);
	size_t pages = pages_used();

	(void)state;
	free(p);
	free(other);
	for (int i = 0; i < 100; i++) {
		p = malloc(100);
		assert_int_equal(pages_used(), pages);
		free(p);
		assert_int_equal(pages_used(), pages);
	}
}

/*
 * Against a model: random calls; each block is full of a pattern of its own.
 */
#define BLOCKS 1500
static struct block {
	uint8_t *p;
	size_t bytes, usable;
	uint8_t pattern;
} blocks[BLOCKS];
static size_t model_used, model_used_max;

static void check_bytes(const uint8_t *p, size_t bytes, uint8_t pattern)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i] != pattern)
			fail_msg("byte %zu of %zu is %02x, not %02x", i, bytes, p[i], pattern);
}

static void own(struct block *b, void *p, size_t bytes)
{
	b->p = p;
	b->bytes = bytes;
	b->usable = p ? malloc_usable_size(p) : 0;
	b->pattern = (uint8_t)random();
	assert_true(!p || b->usable >= bytes);
	if (p)
		memset(p, b->pattern, b->usable);
	model_used += b->usable;
	model_used_max = MAX(model_used_max, model_used);
}

static void disown(struct block *b)
{
	model_used -= b->usable;
	b->p = NULL;
	b->usable = 0;
}

static size_t random_size(void)
{
	static const size_t limits[] = {16, 64, 64, 256, 1600, 1600, 5000, 40000};

	return random_below(limits[random_below(ARRAY_LEN(limits))] + 1);
}

static void random_alloc(struct block *b)
{
	size_t bytes = random_size(), align = 16;
	void *p = NULL;

	switch (random_below(6)) {
	case 0:
		p = calloc(bytes, 1);
		if (p)
			check_bytes(p, bytes, 0);
		break;
	case 1:
		align = (size_t)1 << random_below(14);
		p = memalign(align, bytes);
		break;
	case 2:
		align = 8ul << random_below(8);
		p = hide(p);
		if (posix_memalign(&p, align, bytes))
			p = NULL;
		break;
	default:
		p = malloc(bytes);
	}
	assert_int_equal((uintptr_t)p % MAX(align, 16ul), 0);
	own(b, p, bytes);
}

static void random_realloc(struct block *b)
{
	size_t bytes = 1 + random_size(), kept = MIN(bytes, b->usable);
	struct block old = *b;
	uint8_t *p = realloc(b->p, bytes);

	if (!p) { /* the old one stays whole */
		check_bytes(old.p, old.usable, old.pattern);
		assert_true(bytes > old.usable);
		return;
	}
	check_bytes(p, kept, old.pattern);
	disown(b);
	own(b, p, bytes);
}

static void random_free(struct block *b)
{
	check_bytes(b->p, b->usable, b->pattern);
	free(b->p);
	disown(b);
}

static void random_use_keeps_every_byte(void **state)
{
	size_t failures = 0;

	(void)state;
	model_used = 0;
	model_used_max = info().heap_used_max_bytes;
	for (int i = 0; i < 200000; i++) {
		struct block *b = &blocks[random_below(BLOCKS)];

		if (!b->p)
			random_alloc(b);
		else if (random_below(4) == 0)
			random_realloc(b);
		else
			random_free(b);
		failures += !b->p;
		/* Above what blocks hold come the nodes of the large ones: 32 bytes each. */
		assert_in_range(info().heap_used_bytes, model_used, model_used + 32 * BLOCKS);
	}
	assert_true(info().heap_used_max_bytes >= model_used_max);
	for (size_t i = 0; i < BLOCKS; i++)
		if (blocks[i].p)
			random_free(&blocks[i]);
}

static void calloc_clears_what_was_used_before(void **state)
{
	static const size_t sizes[] = {1, 16, 100, 1000, 1344, 4032, 4096, 10000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (int round = 0; round < 10; round++) {
			uint8_t *p = calloc(1, sizes[i]), *q = calloc(sizes[i], 3);

			check_bytes(p, sizes[i], 0);
			check_bytes(q, sizes[i] * 3, 0);
			memset(p, 0xff, malloc_usable_size(p));
			memset(q, 0xff, malloc_usable_size(q));
			free(p);
			free(q);
		}
}

static void every_alignment_is_kept(void **state)
{
	(void)state;
	for (size_t align = 1; align <= 4ul << 20; align *= 2)
		for (size_t bytes = 0; bytes <= 6000; bytes = bytes * 2 + 1) {
			void *p = memalign(align, bytes), *q = aligned_alloc(align, bytes),
			     *r = NULL;
			int error = posix_memalign(&r, align, bytes);

			assert_int_equal((uintptr_t)p % MAX(align, 16ul), 0);
			assert_int_equal((uintptr_t)q % MAX(align, 16ul), 0);
			if (align <= 1ul << 20) {
				assert_non_null(p);
				assert_non_null(q);
			}
			assert_int_equal(error, align < sizeof(void *) ? EINVAL : r ? 0 : ENOMEM);
			assert_int_equal((uintptr_t)r % MAX(align, 16ul), 0);
			if (p)
				memset(p, 1, malloc_usable_size(p));
			free(p);
			free(q);
			free(r);
		}
}

static void bad_alignments_are_refused(void **state)
{
	static const size_t bad[] = {0, 3, 24, 100, 4097, SIZE_MAX};
	void *p = &p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		errno = 0;
		assert_null(memalign(bad[i], 10));
		assert_int_equal(errno, EINVAL);
		errno = 0;
		assert_null(aligned_alloc(bad[i], 10));
		assert_int_equal(errno, EINVAL);
		assert_int_equal(posix_memalign(&p, bad[i], 10), EINVAL);
		assert_ptr_equal(p, &p);
	}
}

static size_t opaque(size_t n)
{
	__asm__("" : "+r"(n));
	return n;
}

static void absurd_sizes_are_refused(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2, HEAP_BYTES + 1};
	void *p = malloc(10), *q = &q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		errno = 0;
		assert_null(malloc(opaque(sizes[i])));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(realloc(p, opaque(sizes[i])));
		assert_int_equal(errno, ENOMEM);
		assert_null(calloc(1, opaque(sizes[i])));
		assert_null(memalign(4096, opaque(sizes[i])));
		assert_int_equal(posix_memalign(&q, 64, opaque(sizes[i])), ENOMEM);
		assert_ptr_equal(q, &q);
	}
	errno = 0;
	assert_null(calloc(opaque(SIZE_MAX / 2), 3));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(calloc(opaque((size_t)1 << 32), (size_t)1 << 32));
	assert_int_equal(errno, ENOMEM);
	free(p);
}

/* Fill all memory with blocks of one size, linked through their first word. */
static size_t fill(void **chain, size_t bytes)
{
	size_t count = 0;
	void **p;

	for (*chain = NULL; (p = malloc(bytes)); *chain = p, count++)
		*p = *chain;
	return count;
}

static void drain(void *chain)
{
	while (chain) {
		void *next = *(void **)chain;

		free(chain);
		chain = next;
	}
}

static void exhaustion_is_enomem_and_passes(void **state)
{
	static const size_t sizes[] = {16, 100, 1500, 4032, 4096, 20000, 1 << 20};
	size_t counts[ARRAY_LEN(sizes)];
	void *chain, *held;

	(void)state;
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			size_t count;

			malloc_trim(0); /* spare pages would break large blocks' room */
			held = calloc(1, 1000);
			errno = 0;
			count = fill(&chain, sizes[i]);
			assert_int_equal(errno, ENOMEM);
			assert_null(malloc(sizes[i]));
			assert_true(count * sizes[i] > HEAP_BYTES * 7 / 10);
			/* Whatever sizes had their turn before, it is always as much. */
			assert_true(round == 0 || count == counts[i]);
			counts[i] = count;
			check_bytes(held, 1000, 0);
			free(held);
			held = realloc(NULL, 900);
			assert_non_null(held); /* what came back is to be had again */
			free(held);
			drain(chain);
		}
}

/* Pages that the heap keeps are there for everyone who runs out of memory. */
static void page_alloc_gets_what_the_heap_keeps(void **state)
{
	void *chain, **page, **pages = NULL;
	size_t count = 0;

	(void)state;
	fill(&chain, 100);
	drain(chain);
	assert_true(pages_used() > 0);
	for (; (page = page_alloc(1, PAGE_BYTES, UINT64_MAX)); pages = page, count++)
		*page = pages;
	assert_int_equal(count, HEAP_BYTES / PAGE_BYTES);
	for (; pages; pages = page) {
		page = *pages;
		page_free(pages, 1);
	}
}

static void realloc_keeps_moves_and_ends(void **state)
{
	char *p = realloc(NULL, 100), *q;

	(void)state;
	strcpy(p, "hello");
	assert_ptr_equal(realloc(p, malloc_usable_size(p)), p);
	assert_ptr_equal(q = realloc(p, 60), p);
	q = realloc(q, 3000);
	assert_string_equal(q, "hello");
	q = realloc(q, 300000);
	assert_string_equal(q, "hello");
	q = realloc(q, 10); /* memory that a block no longer needs goes back */
	assert_string_equal(q, "hello");
	assert_in_range(pages_used(), 1, 4);
	assert_null(realloc(q, 0)); /* frees, as on Linux */
}

static void a_block_shrinks_even_without_memory(void **state)
{
	void *chain, *p = malloc(4032), *q;

	(void)state;
	fill(&chain, 16);
	assert_ptr_equal(q = realloc(p, 100), p);
	free(q);
	drain(chain);
}

static void misuse_stops(void **state)
{
	char *p = hide(malloc(100)), *other = hide(malloc(100)), *large = hide(malloc(10000));
	char *one = hide(malloc(800)), *tiny = hide(malloc(16));
	static _Alignas(4096) char foreign[4096];

	(void)state;
	free(other);
	assert_dies(free(other)); /* twice */
	assert_dies(hide(realloc(other, 10)));
	assert_dies(malloc_usable_size(other));
	assert_dies((free(p), free(p)));
	assert_dies((free(large), free(large)));
	assert_dies(free(p + 1)); /* not the start */
	assert_dies(free(p + 16));
	assert_dies(free(large + 4096));
	assert_dies(hide(realloc(large + 8192, 10)));
	assert_dies(free((char *)ALIGN_DOWN((uintptr_t)p, PAGE_BYTES) + 16)); /* before the first */
	assert_dies(free((char *)ALIGN_DOWN((uintptr_t)p, PAGE_BYTES)));
	assert_dies(free((char *)ALIGN_DOWN((uintptr_t)tiny, PAGE_BYTES) + 48));
	assert_dies(free(one + 5 * 800)); /* behind the last */
	assert_dies(free(hide(foreign + 64)));
	assert_dies(free(large + 16)); /* within whole pages */
	free(p);
	free(large);
	free(one);
	free(tiny);
}

/* Two blocks in adjacent pages: the first overruns its page. */
static void an_overrun_into_the_next_page_stops(void **state)
{
	char *high = hide(malloc(4000)), *low = hide(malloc(4000)), *first = low, *second = high;

	(void)state;
	if (first > second)
		first = high, second = low;
	assert_int_equal(second - first, PAGE_BYTES);
	assert_dies((memset(first, 0x41, 4033), free(second)));
	free(first);
	free(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, all_is_free, all_is_free)
	const struct CMUnitTest tests[] = {
	    TEST(every_size_gets_what_it_asked_for),
	    TEST(sizes_are_their_own_class),
	    TEST(statistics_count_what_is_handed_out),
	    TEST(zero_bytes_are_a_block_of_its_own),
	    TEST(memory_goes_where_it_is_used),
	    TEST(a_burst_that_comes_back_takes_no_new_pages),
	    TEST(a_block_that_comes_and_goes_keeps_its_page),
	    TEST(random_use_keeps_every_byte),
	    TEST(calloc_clears_what_was_used_before),
	    TEST(every_alignment_is_kept),
	    TEST(bad_alignments_are_refused),
	    TEST(absurd_sizes_are_refused),
	    TEST(exhaustion_is_enomem_and_passes),
	    TEST(page_alloc_gets_what_the_heap_keeps),
	    TEST(realloc_keeps_moves_and_ends),
	    TEST(a_block_shrinks_even_without_memory),
	    TEST(misuse_stops),
	    TEST(an_overrun_into_the_next_page_stops),
	};

	return cmocka_run_group_tests(tests, add_ram, NULL);
}
