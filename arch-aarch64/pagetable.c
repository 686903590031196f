/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables as data (arch/pagetable.h).
 *
 * Mapping fills holes on its own walk, in a tight loop since it is most of what boot does here.
 * Everything else is one walk, visit(), that passes each leaf and each hole of a range to a function,
 * which may put a table there, whose entries are then visited too. A change first checks the whole
 * range, then makes the tables it needs, which changes no translation, and only then changes leaves.
 */
#include <errno.h>
#include <string.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define ENTRIES    512
#define ROOT_LEVEL 1
#define PAGE_LEVEL 3
#define PA_END     (UINT64_C(1) << 48)

#define DATA   (PTE_VALID | PTE_AF | PTE_PXN | PTE_UXN)
#define NORMAL (PTE_ATTRINDX(1) | PTE_SH_INNER)
#define DEVICE PTE_ATTRINDX(0)

/* The only leaves there are: each lacks writing or lacks execution, and nothing is EL0's. */
static const uint64_t leaf_bits[] = {
    [PT_NORMAL_RX] = (DATA & ~PTE_PXN) | NORMAL | PTE_AP_READ_ONLY,
    [PT_NORMAL_RO] = DATA | NORMAL | PTE_AP_READ_ONLY,
    [PT_NORMAL_RW] = DATA | NORMAL,
    [PT_DEVICE] = DATA | DEVICE,
};

struct visitor {
	/* entry is a leaf or a hole; va is the first address that it covers. Nonzero stops. */
	int (*fn)(const struct visitor *v, uint64_t *entry, int level, uint64_t va);
	struct pagetable *pt;
	uint64_t va, end;
	uint64_t bits; /* of leaves, when changing them */
};

/* Bytes that one entry of a table of this level covers: 1 GiB, 2 MiB, 4 KiB. */
static uint64_t entry_bytes(int level)
{
	return UINT64_C(1) << (PAGETABLE_VA_BITS - 9 * level);
}

static bool is_table(uint64_t entry, int level)
{
	return level < PAGE_LEVEL && (entry & PTE_VALID) && (entry & PTE_TABLE);
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & PTE_ADDRESS);
}

static uint64_t leaf(uint64_t pa, uint64_t bits, int level)
{
	return pa | bits | (level == PAGE_LEVEL ? PTE_TABLE : 0);
}

/* The entry does not reach beyond the range. */
static bool is_inside(const struct visitor *v, int level, uint64_t va)
{
	return va >= v->va && va + entry_bytes(level) <= v->end;
}

static int visit_table(const struct visitor *v, uint64_t *table, int level, uint64_t va,
                       uint64_t end)
{
	uint64_t size = entry_bytes(level), next;
	int error = 0;

	for (; va < end && !error; va = next) {
		uint64_t *entry = &table[va / size % ENTRIES];

		next = MIN(ALIGN_DOWN(va, size) + size, end);
		if (!is_table(*entry, level))
			error = v->fn(v, entry, level, ALIGN_DOWN(va, size));
		if (!error && is_table(*entry, level))
			error = visit_table(v, table_of(*entry), level + 1, va, next);
	}
	return error;
}

static int visit(struct visitor *v, int (*fn)(const struct visitor *, uint64_t *, int, uint64_t))
{
	v->fn = fn;
	return visit_table(v, v->pt->root, ROOT_LEVEL, v->va, v->end);
}

/*
 * Changing one entry. A single 64-bit store: the table walker never sees half of it.
 */
static void set(struct pagetable *pt, uint64_t *entry, uint64_t value, uint64_t va)
{
	if ((*entry & PTE_VALID) && pt->replace_live)
		pt->replace_live(pt->ctx, entry, value, va);
	else
		__atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

/*
 * Put a table in place of a hole or block. The walker may follow it at once, so its contents must be
 * visible before: the walker's reads are ordered by the address they depend on, our stores by the
 * fence.
 */
static void set_table(struct pagetable *pt, uint64_t *entry, uint64_t *table, uint64_t va)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set(pt, entry, (uint64_t)(uintptr_t)table | PTE_VALID | PTE_TABLE, va);
}

/*
 * What visit() applies
 */
static int must_be_leaf(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	(void)v, (void)level, (void)va;
	return *entry & PTE_VALID ? 0 : -ENOENT;
}

static int clear_leaf(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	(void)level;
	if (*entry & PTE_VALID)
		set(v->pt, entry, 0, va);
	return 0;
}

static int change_leaf(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	uint64_t value = leaf(pagetable_pa(*entry), v->bits, level);

	if (*entry != value)
		set(v->pt, entry, value, va);
	return 0;
}

/* Put a table with the same translations in place of a block. */
static int split_block(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	uint64_t pa = pagetable_pa(*entry), bits = *entry & ~PTE_ADDRESS, *table;

	table = v->pt->alloc_table(v->pt->ctx);
	if (!table)
		return -ENOMEM;
	for (unsigned int i = 0; i < ENTRIES; i++)
		table[i] = leaf(pa + i * entry_bytes(level + 1), bits, level + 1);
	set_table(v->pt, entry, table, va);
	return 0;
}

/* Split where the range cuts a block, unless the block is already what it is to become. */
static int split_at_edge(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	if (is_inside(v, level, va) || *entry == leaf(pagetable_pa(*entry), v->bits, level))
		return 0;
	return split_block(v, entry, level, va);
}

static int split_to_pages(const struct visitor *v, uint64_t *entry, int level, uint64_t va)
{
	if (level == PAGE_LEVEL || !(*entry & PTE_VALID))
		return 0;
	return split_block(v, entry, level, va);
}

/*
 * Mapping
 */
struct mapping {
	struct pagetable *pt;
	uint64_t va, end; /* what is still to be mapped */
	uint64_t offset;  /* physical address - va */
	uint64_t bits;
};

/* Put an empty table into a hole. */
static int add_table(struct pagetable *pt, uint64_t *entry)
{
	uint64_t *table = pt->alloc_table(pt->ctx);

	if (!table)
		return -ENOMEM;
	memset(table, 0, PAGE_BYTES);
	set_table(pt, entry, table, 0);
	return 0;
}

/* Fill holes of a table with leaves as long as they fit. Returns how many. */
static uint64_t fill_holes(const struct mapping *m, uint64_t *entry, int level, uint64_t room)
{
	uint64_t size = entry_bytes(level), pa = m->va + m->offset, count = 0;
	uint64_t value = leaf(pa, m->bits, level);

	if ((m->va | pa) % size)
		return 0;
	room = MIN(room, (m->end - m->va) / size);
#pragma GCC unroll 4
	for (; count < room; count++, value += size) {
		if (entry[count] & PTE_VALID)
			break;
		__atomic_store_n(&entry[count], value, __ATOMIC_RELAXED);
	}
	return count;
}

static int map_table(struct mapping *m, uint64_t *table, int level, uint64_t end)
{
	uint64_t size = entry_bytes(level), count;
	int error = 0;

	while (m->va < end && !error) {
		uint64_t index = m->va / size % ENTRIES, *entry = &table[index];

		count = fill_holes(m, entry, level, ENTRIES - index);
		if (count) {
			m->va += count * size;
			continue;
		}
		if (!is_table(*entry, level))
			error = *entry & PTE_VALID ? -EEXIST : add_table(m->pt, entry);
		if (!error)
			error = map_table(m, table_of(*entry), level + 1,
			                  MIN(ALIGN_DOWN(m->va, size) + size, end));
	}
	return error;
}

/*
 * The interface
 */
static bool range_is_valid(uint64_t start, uint64_t bytes, uint64_t end)
{
	return (start | bytes) % PAGE_BYTES == 0 && start <= end && bytes <= end - start;
}

int pagetable_map(struct pagetable *pt, uint64_t va, uint64_t pa, uint64_t bytes,
                  enum pagetable_attrs attrs)
{
	struct mapping m = {.pt = pt, .va = va, .end = va + bytes, .offset = pa - va};
	struct visitor undo = {.pt = pt, .va = va};
	int error;

	if (!range_is_valid(va, bytes, PAGETABLE_VA_END) || !range_is_valid(pa, bytes, PA_END) ||
	    (unsigned int)attrs >= ARRAY_LEN(leaf_bits) || (va == 0 && bytes))
		return -EINVAL;
	m.bits = leaf_bits[attrs];
	error = map_table(&m, pt->root, ROOT_LEVEL, m.end);
	if (error) {
		undo.end = m.va;
		visit(&undo, clear_leaf);
	}
	return error;
}

int pagetable_unmap(struct pagetable *pt, uint64_t va, uint64_t bytes)
{
	struct visitor v = {.pt = pt, .va = va, .end = va + bytes};
	int error;

	if (!range_is_valid(va, bytes, PAGETABLE_VA_END))
		return -EINVAL;
	error = visit(&v, must_be_leaf);
	if (!error)
		error = visit(&v, split_at_edge);
	if (!error)
		visit(&v, clear_leaf);
	return error;
}

int pagetable_protect(struct pagetable *pt, uint64_t va, uint64_t bytes, enum pagetable_attrs attrs)
{
	struct visitor v = {.pt = pt, .va = va, .end = va + bytes};
	int error;

	if (!range_is_valid(va, bytes, PAGETABLE_VA_END) ||
	    (unsigned int)attrs >= ARRAY_LEN(leaf_bits))
		return -EINVAL;
	v.bits = leaf_bits[attrs];
	error = visit(&v, must_be_leaf);
	if (!error)
		error = visit(&v, split_at_edge);
	if (!error)
		visit(&v, change_leaf);
	return error;
}

int pagetable_split(struct pagetable *pt, uint64_t va, uint64_t bytes)
{
	struct visitor v = {.pt = pt, .va = va, .end = va + bytes};

	if (!range_is_valid(va, bytes, PAGETABLE_VA_END))
		return -EINVAL;
	return visit(&v, split_to_pages);
}

/*
 * Reading
 */
struct walk {
	int (*visit)(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor);
	void *ctx;
};

static int walk_table(const struct walk *w, const uint64_t *table, int level, uint64_t va)
{
	int result = 0;

	for (unsigned int i = 0; i < ENTRIES && !result; i++, va += entry_bytes(level)) {
		uint64_t entry = table[i];

		if (is_table(entry, level))
			result = walk_table(w, table_of(entry), level + 1, va);
		else if (entry & PTE_VALID)
			result = w->visit(w->ctx, va, entry_bytes(level), entry);
	}
	return result;
}

int pagetable_walk(const uint64_t *root,
                   int (*visit)(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor),
                   void *ctx)
{
	struct walk w = {visit, ctx};

	return walk_table(&w, root, ROOT_LEVEL, 0);
}

uint64_t pagetable_lookup(const uint64_t *root, uint64_t va, uint64_t *bytes)
{
	uint64_t entry = 0;
	int level = ROOT_LEVEL;

	for (; va < PAGETABLE_VA_END; level++) {
		entry = root[va / entry_bytes(level) % ENTRIES];
		if (!is_table(entry, level))
			break;
		root = table_of(entry);
	}
	if (bytes)
		*bytes = entry_bytes(level);
	return entry & PTE_VALID ? entry : 0;
}
