/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree: one checked pass over the blob, a compact index, and the rules for reading it.
 *
 * The blob comes from a boot loader or from QEMU and is not trusted: dt_init() follows every token
 * once and refuses what does not hold together, so that nothing after it needs to check a bound
 * again, apart from the lengths of values. Nothing here recurses; loops over phandles, which a tree
 * may tie into a circle, are bounded by the number of nodes.
 *
 * Only nodes are indexed. The properties of a node lie side by side in the blob (DTSpec 5.4.2) and
 * are walked on demand; what is asked of every node at boot (is it enabled, what is it compatible
 * with, how wide are its children's addresses, who has this phandle) is in the index.
 *
 * Sources: Devicetree Specification v0.4 ("DTSpec"); PCI Bus Binding to IEEE Std 1275-1994, rev 2.1
 * ("PCI binding"); reserved-memory binding, dt-schema.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/dt.h>

/* DTSpec 5.2 and 5.4.1. */
#define FDT_MAGIC   0xd00dfeedu
#define FDT_VERSION 17u
/* Tokens, as they stand there. */
#define FDT_BEGIN_NODE __builtin_bswap32(1)
#define FDT_END_NODE   __builtin_bswap32(2)
#define FDT_PROP       __builtin_bswap32(3)
#define FDT_NOP        __builtin_bswap32(4)
#define FDT_END        __builtin_bswap32(9)

/* Linux Documentation/arm64/booting.rst, section 2: "must not exceed 2 megabytes in size". */
#define BLOB_MAX_BYTES (2u << 20)
/* Half as many again as the largest of the trees in Linux 6.1 (997 nodes, a laptop). */
#define NODES_MAX 1536u

typedef uint32_t __attribute__((may_alias)) be32_t;

struct header {
	be32_t magic, totalsize, off_struct, off_strings, off_memreserve;
	be32_t version, last_comp_version, boot_cpu, strings_bytes, struct_bytes;
};

/* What follows FDT_PROP, the token included. */
struct prop {
	be32_t token, bytes, name;
	be32_t value[];
};

/* Properties that the index answers for. */
enum noted { COMPATIBLE, DMA_RANGES, PHANDLE, STATUS, ADDRESS_CELLS, SIZE_CELLS, NOT_NOTED };

/* #address-cells and #size-cells as indexed: what we can store, or this. */
#define CELLS_ODD 7u

/* Places in the blob are in cells from its start: 2 MiB need 19 bits. */
struct node {
	uint32_t props : 19;      /* first token after the name */
	uint32_t name_cells : 13; /* the name lies this far before */
	uint32_t compatible : 19; /* value of the property; 0: none */
	uint32_t address_cells : 3;
	uint32_t size_cells : 3;
	uint32_t disabled : 1; /* by its own status */
	uint32_t has : 6;      /* which of the noted properties */
	uint32_t phandle;      /* 0: none, or not a valid one */
	uint16_t parent;
	uint16_t end; /* the node that follows this one and all below it */
};
#define NAME_CELLS_MAX ((1u << 13) - 1)

/* What can be wrong with a tree; in words: dt_error(). */
enum fault {
	NO_FAULT,
	NO_TREE,
	TREE_UNALIGNED,
	WRONG_MAGIC,
	WRONG_VERSION,
	WRONG_SIZE,
	BLOCK_UNALIGNED,
	STRUCTURE_OUTSIDE,
	STRINGS_OUTSIDE,
	RESERVATIONS_OUTSIDE,
	RESERVATIONS_ENDLESS,
	STRUCTURE_ENDLESS,
	UNKNOWN_TOKEN,
	NAME_ENDLESS,
	NAME_TOO_LONG,
	ROOT_NAMED,
	SECOND_ROOT,
	TOO_MANY_NODES,
	END_OUTSIDE_NODE,
	PROPERTY_TOO_LONG,
	PROPERTY_NAME_OUTSIDE,
	PROPERTY_OUTSIDE_NODE,
	END_INSIDE_NODE,
	NO_ROOT,
};

/*
 * All state: not zeroed at boot, and copied when the image moves itself, after which the tree is
 * still where it was. So: no pointers but blob, and nothing is valid until dt_init wrote it.
 */
static struct {
	const uint8_t *blob; /* NULL: no valid tree */
	uint32_t blob_bytes;
	uint32_t strings;    /* offset of the strings block */
	uint32_t memreserve; /* offset of the first /memreserve/ entry */
	uint16_t node_count;
	/* Children of the root that are asked for often. */
	uint16_t chosen, reserved;
	uint16_t memory, memory_end; /* no later than the first such; behind the last */
	enum fault fault;
	uint32_t fault_at; /* offset in the blob; 0: none */
	/* The last names whose first letters had these low bits: trees repeat themselves. */
	struct recent {
		uint32_t name_at; /* + 1 */
		enum noted noted;
	} recent[8];
	struct node nodes[NODES_MAX];
} dt __attribute__((section(".handover")));

static inline uint32_t be32(const be32_t *p)
{
	return __builtin_bswap32(*p);
}

/* The number in so many cells; of more than two, in the last two. */
static uint64_t read_number(const be32_t *p, unsigned int cells)
{
	uint64_t number = 0;

	while (cells--)
		number = number << 32 | be32(p++);
	return number;
}

/*
 * Where a goes on after b, or NULL if it begins otherwise. b ends in a NUL, or as part of a path at
 * '/' or ':'. Words here are short and mostly differ at once: libc's functions take longer to begin.
 */
static FAST const char *after(const char *a, const char *b)
{
	char c;

	while ((c = *a++) == *b++)
		if (!c)
			return a - 1;
	c = b[-1];
	return !c || c == '/' || c == ':' ? a - 1 : NULL;
}

static inline __attribute__((always_inline)) bool same(const char *a, const char *b)
{
	const char *rest = *a == *b ? after(a, b) : NULL;

	return rest && !*rest;
}

static inline const be32_t *cell_at(uint32_t cell)
{
	return (const be32_t *)dt.blob + cell;
}

static inline const char *name_of(dt_node n)
{
	return (const char *)cell_at(dt.nodes[n].props - dt.nodes[n].name_cells);
}

static inline bool exists(dt_node n)
{
	return n < dt.node_count;
}

/* ---- Checking and indexing ---- */

/* Where the pass over the structure block is. */
struct walk {
	const be32_t *at;
	const be32_t *last; /* a cell starts no later than here */
	const char *strings;
	uint32_t strings_bytes; /* up to and including the last terminator */
	unsigned int count;     /* nodes so far */
	dt_node open;           /* the node that we are in, or DT_NONE */
	struct node *node;      /* the same while it may have properties, else NULL */
};

/* A component of a path names a node with its unit address or, if only one is meant, without. */
static bool name_matches(const char *name, const char *component)
{
	const char *rest = after(name, component);

	return rest && (!*rest || (*rest == '@' && !memchr(name, '@', (size_t)(rest - name))));
}

/* Past the name at `at`, whose terminator is its first zero byte; NULL if it does not end. */
static inline const be32_t *past_name(const struct walk *w, const be32_t *at)
{
	while (at <= w->last) {
		uint32_t cell = *at++;

		if ((cell - 0x01010101u) & ~cell & 0x80808080u) /* not 0 if there is one */
			return at;
	}
	return NULL;
}

/* As everything that is called for a token: moves on, or says what is wrong at w->at. */
static enum fault begin_node(struct walk *w)
{
	const be32_t *name = ++w->at, *at = past_name(w, name);

	if (!at)
		return NAME_ENDLESS;
	if (at - name > NAME_CELLS_MAX)
		return NAME_TOO_LONG;
	if (w->open == DT_NONE && w->count)
		return SECOND_ROOT;
	if (w->open == DT_NONE && *(const char *)name)
		return ROOT_NAMED;
	if (w->count == NODES_MAX)
		return TOO_MANY_NODES;
	w->node = &dt.nodes[w->count];
	*w->node = (struct node){
	    .props = (uint32_t)(at - cell_at(0)),
	    .name_cells = (uint32_t)(at - name),
	    .address_cells = 2, /* unless it says otherwise (DTSpec 2.3.5) */
	    .size_cells = 1,
	    .parent = w->open,
	};
	w->open = (dt_node)w->count++;
	w->at = at;
	return NO_FAULT;
}

static enum fault end_node(struct walk *w)
{
	if (w->open == DT_NONE)
		return END_OUTSIDE_NODE;
	dt.nodes[w->open].end = (dt_node)w->count;
	w->open = dt.nodes[w->open].parent;
	w->node = NULL; /* DTSpec 5.4.2: properties come before children */
	w->at++;
	return NO_FAULT;
}

static enum noted noted_as(const char *name)
{
	static const char names[NOT_NOTED][sizeof("#address-cells")] = {
	    [COMPATIBLE] = "compatible",
	    [DMA_RANGES] = "dma-ranges",
	    [PHANDLE] = "phandle",
	    [STATUS] = "status",
	    [ADDRESS_CELLS] = "#address-cells",
	    [SIZE_CELLS] = "#size-cells",
	};
	enum noted i = 0;

	while (i < NOT_NOTED && !same(name, names[i]))
		i++;
	return i;
}

/* A quick look at the first letter. */
static inline bool may_be_noted(char first)
{
	const uint64_t letters = 1ull << ('#' % 64) | 1ull << ('c' % 64) | 1ull << ('d' % 64) |
	                         1ull << ('p' % 64) | 1ull << ('s' % 64);

	return letters >> ((uint8_t)first % 64) & 1;
}

/* Keep what the index answers by itself. The first of properties with one name counts. */
static void note(struct node *node, enum noted which, const be32_t *value, uint32_t bytes)
{
	uint32_t number = bytes == 4 ? be32(value) : 0;
	unsigned int cells = bytes == 4 ? MIN(number, CELLS_ODD) : CELLS_ODD;

	if (node->has & 1u << which)
		return;
	node->has |= 1u << which;
	if (which == COMPATIBLE)
		node->compatible = (uint32_t)(value - cell_at(0));
	else if (which == ADDRESS_CELLS)
		node->address_cells = cells;
	else if (which == SIZE_CELLS)
		node->size_cells = cells;
	else if (which == PHANDLE)
		node->phandle = number;
	else if (which == STATUS)
		node->disabled =
		    !(bytes == 5 || bytes == 3) || memcmp(value, bytes == 5 ? "okay" : "ok", bytes);
}

static enum fault property(struct walk *w)
{
	const struct prop *p = (const struct prop *)w->at;
	ptrdiff_t room = (const uint8_t *)w->last - (const uint8_t *)&p->name; /* for the value */
	uint32_t bytes, name_at;
	struct recent *r;
	const char *name;

	if (room < 0 || room < (ptrdiff_t)(bytes = be32(&p->bytes)))
		return PROPERTY_TOO_LONG;
	name_at = be32(&p->name);
	if (name_at >= w->strings_bytes)
		return PROPERTY_NAME_OUTSIDE;
	if (!w->node)
		return PROPERTY_OUTSIDE_NODE;
	name = w->strings + name_at;
	if (may_be_noted(*name)) {
		r = &dt.recent[(uint8_t)*name % ARRAY_LEN(dt.recent)];
		if (r->name_at != name_at + 1)
			*r = (struct recent){name_at + 1, noted_as(name)};
		if (r->noted != NOT_NOTED)
			note(w->node, r->noted, p->value, bytes);
	}
	w->at = p->value + ((uint64_t)bytes + 3) / 4;
	return NO_FAULT;
}

/* Follow every token of the structure block to its FDT_END. */
static enum fault walk_structure(struct walk *w)
{
	enum fault fault = NO_FAULT;

	while (!fault) {
		if (w->at > w->last)
			return STRUCTURE_ENDLESS;
		switch (*w->at) {
		case FDT_PROP:
			fault = property(w);
			break;
		case FDT_BEGIN_NODE:
			fault = begin_node(w);
			break;
		case FDT_END_NODE:
			fault = end_node(w);
			break;
		case FDT_NOP: /* QEMU erases nodes with them */
			w->at++;
			break;
		case FDT_END:
			if (w->open != DT_NONE)
				return END_INSIDE_NODE;
			return w->count ? NO_FAULT : NO_ROOT;
		default:
			return UNKNOWN_TOKEN;
		}
	}
	return fault;
}

/* Does the block lie in the blob, behind the header? */
static bool inside(const be32_t *offset, uint32_t bytes, uint32_t total)
{
	uint64_t start = be32(offset);

	return start >= sizeof(struct header) && start + bytes <= total;
}

/* The header (DTSpec 5.2): everything it points at is inside the blob and aligned. */
static enum fault check_header(const struct header *h, size_t blob_max)
{
	uint32_t total = be32(&h->totalsize);

	if (be32(&h->magic) != FDT_MAGIC)
		return WRONG_MAGIC;
	if (be32(&h->version) < FDT_VERSION || be32(&h->last_comp_version) > FDT_VERSION)
		return WRONG_VERSION;
	if (total < sizeof(*h) || total > MIN(blob_max, BLOB_MAX_BYTES))
		return WRONG_SIZE;
	if (be32(&h->off_struct) % 4 || be32(&h->off_memreserve) % 8)
		return BLOCK_UNALIGNED;
	if (!inside(&h->off_struct, be32(&h->struct_bytes), total))
		return STRUCTURE_OUTSIDE;
	if (!inside(&h->off_strings, be32(&h->strings_bytes), total))
		return STRINGS_OUTSIDE;
	if (!inside(&h->off_memreserve, 0, total))
		return RESERVATIONS_OUTSIDE;
	return NO_FAULT;
}

/* /memreserve/ entries, to the one with size 0 (DTSpec 5.3.2). */
static enum fault check_reservations(struct walk *w)
{
	const be32_t *last = (const be32_t *)(dt.blob + dt.blob_bytes - 16);

	for (w->at = (const be32_t *)(dt.blob + dt.memreserve); w->at <= last; w->at += 4)
		if (!w->at[2] && !w->at[3])
			return NO_FAULT;
	return RESERVATIONS_ENDLESS;
}

/* All of a blob that has a header. */
static enum fault check(struct walk *w, size_t blob_max)
{
	const struct header *h = (const struct header *)dt.blob;
	enum fault fault = check_header(h, blob_max);

	if (fault)
		return fault;
	dt.blob_bytes = be32(&h->totalsize);
	dt.memreserve = be32(&h->off_memreserve);
	dt.strings = be32(&h->off_strings);
	fault = check_reservations(w);
	if (fault)
		return fault;
	w->at = cell_at(be32(&h->off_struct) / 4);
	w->last = (const be32_t *)((const uint8_t *)w->at + be32(&h->struct_bytes) - 4);
	w->strings = (const char *)dt.blob + dt.strings;
	w->strings_bytes = be32(&h->strings_bytes);
	/* Whatever starts at or before the last terminator is terminated. */
	while (w->strings_bytes && w->strings[w->strings_bytes - 1])
		w->strings_bytes--;
	return walk_structure(w);
}

/* The children of the root that this file asks for by name. */
static void note_root_children(void)
{
	for (dt_node n = 1; n < dt.node_count; n = dt.nodes[n].end) {
		const char *name = name_of(n);

		switch (*name) {
		case 'c':
			if (dt.chosen == DT_NONE && name_matches(name, "chosen"))
				dt.chosen = n;
			break;
		case 'm':
			if (dt.memory == DT_NONE)
				dt.memory = n;
			dt.memory_end = n + 1;
			break;
		case 'r':
			if (dt.reserved == DT_NONE && name_matches(name, "reserved-memory"))
				dt.reserved = n;
			break;
		}
	}
}

int dt_init(const void *blob, size_t blob_max)
{
	struct walk w = {.open = DT_NONE};

	dt.blob = blob;
	dt.node_count = dt.memory_end = 0;
	dt.chosen = dt.memory = dt.reserved = DT_NONE;
	dt.fault_at = 0;
	memset(dt.recent, 0, sizeof(dt.recent));
	if (!blob || blob_max < sizeof(struct header))
		dt.fault = NO_TREE;
	else if ((uintptr_t)blob % 8)
		dt.fault = TREE_UNALIGNED;
	else
		dt.fault = check(&w, blob_max);
	if (dt.fault) {
		if (w.at)
			dt.fault_at = (uint32_t)((const uint8_t *)w.at - dt.blob);
		dt.blob = NULL;
		return dt.fault == TOO_MANY_NODES ? -E2BIG : -EINVAL;
	}
	dt.node_count = (uint16_t)w.count;
	note_root_children();
	return 0;
}

const char *dt_error(void)
{
	static const char *const words[] = {
	    [NO_FAULT] = "",
	    [NO_TREE] = "no device tree was passed",
	    [TREE_UNALIGNED] = "the tree is not 8-byte aligned",
	    [WRONG_MAGIC] = "no device tree here (wrong magic)",
	    [WRONG_VERSION] = "the tree's format is not version 17",
	    [WRONG_SIZE] = "the tree's size is above 2 MiB, or above what is there",
	    [BLOCK_UNALIGNED] = "a block of the tree is not aligned",
	    [STRUCTURE_OUTSIDE] = "the structure block is outside the tree",
	    [STRINGS_OUTSIDE] = "the strings block is outside the tree",
	    [RESERVATIONS_OUTSIDE] = "the memory reservation block is outside the tree",
	    [RESERVATIONS_ENDLESS] = "the memory reservation block has no end",
	    [STRUCTURE_ENDLESS] = "the structure block has no end",
	    [UNKNOWN_TOKEN] = "an unknown token",
	    [NAME_ENDLESS] = "the name of a node does not end",
	    [NAME_TOO_LONG] = "the name of a node is longer than 32 KiB",
	    [ROOT_NAMED] = "the root node has a name",
	    [SECOND_ROOT] = "a second root node",
	    [TOO_MANY_NODES] = "more nodes than the index holds",
	    [END_OUTSIDE_NODE] = "the end of a node outside any",
	    [PROPERTY_TOO_LONG] = "a property runs past the structure block",
	    [PROPERTY_NAME_OUTSIDE] = "a property's name is outside the strings block",
	    [PROPERTY_OUTSIDE_NODE] = "a property outside a node or after a node's children",
	    [END_INSIDE_NODE] = "the tree ends inside a node",
	    [NO_ROOT] = "the tree has no root",
	};
	static char sentence[96];

	if (!dt.fault_at)
		return words[dt.fault];
	snprintf(sentence, sizeof(sentence), "%s at offset 0x%08x", words[dt.fault], dt.fault_at);
	return sentence;
}

const void *dt_blob(size_t *bytes)
{
	*bytes = dt.blob ? dt.blob_bytes : 0;
	return dt.blob;
}

void *dt_index_start(size_t *bytes)
{
	*bytes = (size_t)((uint8_t *)&dt.nodes[dt.node_count] - (uint8_t *)&dt);
	return &dt;
}

/* ---- Structure ---- */

dt_node dt_parent(dt_node n)
{
	return exists(n) ? dt.nodes[n].parent : DT_NONE;
}

dt_node dt_next(dt_node n)
{
	return n + 1u < dt.node_count ? n + 1u : DT_NONE;
}

dt_node dt_first_child(dt_node n)
{
	return exists(n) && n + 1u < dt.nodes[n].end ? n + 1u : DT_NONE;
}

dt_node dt_next_sibling(dt_node n)
{
	dt_node next = exists(n) ? dt.nodes[n].end : DT_NONE;

	return exists(next) && dt.nodes[next].parent == dt.nodes[n].parent ? next : DT_NONE;
}

const char *dt_name(dt_node n)
{
	return exists(n) ? name_of(n) : "";
}

/* The node at path, from n on: to its end, or to the ':' before what is no part of it. */
static dt_node find_below(dt_node n, const char *path)
{
	while (exists(n)) {
		dt_node child = dt_first_child(n);

		while (*path == '/')
			path++;
		if (!*path || *path == ':')
			return n;
		while (child != DT_NONE && !name_matches(dt_name(child), path))
			child = dt_next_sibling(child);
		n = child;
		path += strcspn(path, "/:");
	}
	return DT_NONE;
}

dt_node dt_find(const char *path)
{
	const char *target;

	if (*path == '/')
		return find_below(0, path);
	/* An alias (DTSpec 3.3), and what may follow. */
	target = dt_string(find_below(0, "/aliases"), path, 0);
	if (!target || *target != '/')
		return DT_NONE;
	return find_below(find_below(0, target), path + strcspn(path, "/:"));
}

dt_node dt_chosen(void)
{
	return dt.chosen;
}

dt_node dt_by_phandle(uint32_t phandle)
{
	if (phandle == 0 || phandle == UINT32_MAX)
		return DT_NONE;
	for (unsigned int n = 0; n < dt.node_count; n++) {
		if (dt.nodes[n].phandle == phandle)
			return (dt_node)n;
	}
	return DT_NONE;
}

char *dt_path(dt_node n, char *buf, size_t buf_bytes)
{
	size_t length = 0;

	if (!buf_bytes)
		return buf;
	for (dt_node up = n; exists(up) && up != 0; up = dt_parent(up))
		length += 1 + strlen(dt_name(up));
	/* From the last component to the first, leaving out what does not fit. */
	buf[MIN(length, buf_bytes - 1)] = '\0';
	for (dt_node up = n; exists(up) && up != 0; up = dt_parent(up)) {
		const char *name = dt_name(up);
		size_t name_bytes = strlen(name);

		length -= 1 + name_bytes;
		if (length < buf_bytes - 1)
			buf[length] = '/';
		if (length + 1 < buf_bytes - 1)
			memcpy(buf + length + 1, name, MIN(name_bytes, buf_bytes - length - 2));
	}
	if (n == 0 && exists(n) && buf_bytes > 1)
		memcpy(buf, "/", 2);
	return buf;
}

/* ---- Properties ---- */

/* As struct dt_value. */
struct value {
	const be32_t *cells; /* NULL: no such property */
	size_t bytes;        /* then 0 */
};

static struct value value_of(dt_node n, const char *name)
{
	const char *strings = (const char *)dt.blob + dt.strings;
	const be32_t *at;

	if (!exists(n))
		return (struct value){NULL, 0};
	for (at = cell_at(dt.nodes[n].props); *at == FDT_PROP || *at == FDT_NOP;) {
		const struct prop *p = (const struct prop *)at;

		if (*at == FDT_NOP) {
			at++;
			continue;
		}
		if (same(strings + be32(&p->name), name))
			return (struct value){p->value, be32(&p->bytes)};
		at = p->value + (be32(&p->bytes) + 3) / 4;
	}
	return (struct value){NULL, 0};
}

static const void *has(dt_node n, const char *name)
{
	return value_of(n, name).cells;
}

struct dt_value dt_prop(dt_node n, const char *name)
{
	struct value v = value_of(n, name);

	return (struct dt_value){v.cells, v.bytes};
}

int64_t dt_u32(dt_node n, const char *name, unsigned int index)
{
	struct value v = value_of(n, name);

	if (!v.cells)
		return -ENOENT;
	if (index >= v.bytes / 4)
		return -EINVAL;
	return be32(v.cells + index);
}

int dt_u64(dt_node n, const char *name, uint64_t *value)
{
	struct value v = value_of(n, name);

	if (!v.cells)
		return -ENOENT;
	if (v.bytes != 4 && v.bytes != 8)
		return -EINVAL;
	*value = read_number(v.cells, (unsigned int)(v.bytes / 4));
	return 0;
}

/* Is there a string at s, in a list that ends there? */
static bool is_string(const char *s, const char *end)
{
	return s < end && memchr(s, '\0', (size_t)(end - s));
}

const char *dt_string(dt_node n, const char *name, unsigned int index)
{
	struct value list = value_of(n, name);
	const char *s = (const char *)list.cells, *end = s + list.bytes;

	for (; is_string(s, end); s += strlen(s) + 1)
		if (index-- == 0)
			return s;
	return NULL;
}

int dt_string_index(dt_node n, const char *name, const char *wanted)
{
	struct value list = value_of(n, name);
	const char *s = (const char *)list.cells, *end = s + list.bytes;

	for (int index = 0; is_string(s, end); s += strlen(s) + 1, index++)
		if (same(s, wanted))
			return index;
	return -ENOENT;
}

const char *dt_compatible_strings(dt_node n, size_t *bytes)
{
	const be32_t *strings;

	*bytes = 0;
	if (!exists(n) || !dt.nodes[n].compatible)
		return NULL;
	strings = cell_at(dt.nodes[n].compatible);
	*bytes = be32(strings - 2);
	return (const char *)strings;
}

bool dt_compatible(dt_node n, const char *compatible)
{
	return dt_string_index(n, "compatible", compatible) >= 0;
}

dt_node dt_find_compatible(dt_node after, const char *compatible)
{
	unsigned int n = after == DT_NONE ? 0 : after + 1u;

	for (; n < dt.node_count; n++) {
		if (dt_enabled((dt_node)n) && dt_compatible((dt_node)n, compatible))
			return (dt_node)n;
	}
	return DT_NONE;
}

bool dt_enabled(dt_node n)
{
	if (!exists(n))
		return false;
	while (n != DT_NONE && !dt.nodes[n].disabled)
		n = dt.nodes[n].parent;
	return n == DT_NONE;
}

void dt_wipe(dt_node n, const char *name)
{
	struct value v = value_of(n, name);

	if (v.cells)
		memset((void *)(uintptr_t)v.cells, 0, v.bytes);
}

/* ---- Addresses ---- */

/*
 * An address on a bus is a number and, where it has three cells, the first of them, which says in
 * which space it is: here 0 where there are less.
 */
static uint32_t space_of(const be32_t *address, unsigned int cells)
{
	return cells == 3 ? be32(address) : 0;
}

/*
 * Cells of a property's entries, in which stand an address of bus and a length, and more_cells; 0 if
 * the property is not made of such, or they are more than we can hold: three are two and a space.
 */
static unsigned int entry_cells(dt_node bus, unsigned int more_cells, size_t bytes)
{
	const struct node *b = &dt.nodes[bus];
	unsigned int cells = b->address_cells + b->size_cells + more_cells;

	if (b->address_cells > 3 || b->size_cells > 2 || more_cells > 3 || !cells ||
	    bytes % (4 * cells))
		return 0;
	return cells;
}

/* Which space: 32- and 64-bit memory are one (PCI binding, 2.2.1.1). */
static unsigned int pci_space(uint32_t first_cell)
{
	return MIN(first_cell >> 24 & 3, 2u);
}
#define PCI_MEMORY 2u

/*
 * Translate an address on a bus to one on its parent, through ranges or dma-ranges (DTSpec 2.3.8,
 * 2.3.9). Of three cells the first must agree as a whole, on PCI as far as it says in which space
 * the address is; DMA is to memory. For DMA narrows *more, the number of bytes after the address of
 * which the same would be said. Returns the new address's space; -ENXIO not mapped; -EINVAL
 */
static int64_t through(dt_node bus, bool dma, int64_t space, uint64_t *at, uint64_t *more)
{
	const struct node *b = &dt.nodes[bus];
	unsigned int child_cells = b->address_cells;
	unsigned int parent_cells = dt.nodes[b->parent].address_cells;
	struct value v = value_of(bus, dma ? "dma-ranges" : "ranges");
	unsigned int cells = entry_cells(bus, parent_cells, v.bytes);
	bool pci = child_cells == 3 && !dt_string_index(bus, "device_type", "pci");
	uint64_t from = *at;
	int64_t result = -ENXIO;

	if (!v.bytes)
		return dma || v.cells ? space : -ENXIO;
	if (!cells)
		return -EINVAL;
	for (size_t left = v.bytes / 4; left; left -= cells, v.cells += cells) {
		const be32_t *parent = v.cells + child_cells;
		uint32_t child_space = space_of(v.cells, child_cells);
		uint64_t child_at = read_number(v.cells, child_cells);
		uint64_t parent_at = read_number(parent, parent_cells);
		uint64_t bytes = read_number(parent + parent_cells, b->size_cells);
		uint64_t last = bytes - 1;

		if (!bytes)
			continue;
		if (child_at + last < child_at || parent_at + last < parent_at)
			return -EINVAL;
		if (result >= 0) /* the first that maps it counts */
			continue;
		if (pci ? pci_space(child_space) != (dma ? PCI_MEMORY : pci_space((uint32_t)space))
		        : !dma && child_space != space)
			continue;
		if (from < child_at)
			last = child_at - 1;
		else if (from - child_at <= last) {
			last += child_at;
			*at = parent_at + (from - child_at);
			result = space_of(parent, parent_cells);
		} else
			continue;
		if (dma)
			*more = MIN(*more, last - from);
	}
	return result;
}

/* The same through all buses from n to the root. 0 or an error. */
static int to_root(dt_node n, bool dma, int64_t space, uint64_t *at, uint64_t *more)
{
	while (space >= 0 && (n = dt.nodes[n].parent) != 0)
		space = through(n, dma, space, at, more);
	return space < 0 ? (int)space : 0;
}

/* The index-th entry of reg, as it stands there. Returns the address's space, -ENOENT or -EINVAL. */
static int64_t read_reg(dt_node n, unsigned int index, uint64_t *at, uint64_t *bytes)
{
	struct value reg = value_of(n, "reg");
	const struct node *bus;
	unsigned int cells;

	if (!reg.cells || n == 0)
		return -ENOENT;
	bus = &dt.nodes[dt.nodes[n].parent];
	cells = entry_cells(dt.nodes[n].parent, 0, reg.bytes);
	if (!cells)
		return -EINVAL;
	if (index >= reg.bytes / 4 / cells)
		return -ENOENT;
	reg.cells += index * cells;
	*at = read_number(reg.cells, bus->address_cells);
	*bytes = read_number(reg.cells + bus->address_cells, bus->size_cells);
	if (*bytes && *at + (*bytes - 1) < *at)
		return -EINVAL;
	return space_of(reg.cells, bus->address_cells);
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	int64_t space = read_reg(n, index, pa, bytes);

	return space < 0 ? (int)space : to_root(n, false, space, pa, NULL);
}

int dt_reg_by_name(dt_node n, const char *reg_name, uint64_t *pa, uint64_t *bytes)
{
	int index = dt_string_index(n, "reg-names", reg_name);

	return index < 0 ? index : dt_reg(n, (unsigned int)index, pa, bytes);
}

/* ---- DMA ---- */

int dt_dma_window(dt_node n, unsigned int index, struct dt_dma_window *w)
{
	if (!exists(n) || n == 0)
		return -ENOENT;
	/* From one end of the bus to the other, by stretches that are mapped alike. */
	w->bus = 0;
	do {
		int error;

		w->pa = w->bus;
		w->bytes = UINT64_MAX - w->bus; /* after the first */
		error = to_root(n, true, 0, &w->pa, &w->bytes);
		if (error == -EINVAL)
			return error;
		if (!error && index-- == 0) {
			if (w->bytes != UINT64_MAX)
				w->bytes++;
			return 0;
		}
		w->bus += w->bytes + 1;
	} while (w->bus);
	return -ENOENT;
}

dt_node dt_dma_bus(dt_node after)
{
	for (dt_node n = after == DT_NONE ? 0 : after + 1; n < dt.node_count; n++)
		if (dt.nodes[n].has & 1u << DMA_RANGES && dt_enabled(n) &&
		    value_of(n, "dma-ranges").bytes)
			return n;
	return DT_NONE;
}

bool dt_dma_coherent(dt_node n)
{
	for (; exists(n); n = dt_parent(n)) {
		if (has(n, "dma-coherent"))
			return true;
		if (has(n, "dma-noncoherent"))
			return false;
	}
	return false;
}

/* ---- Interrupts (DTSpec 2.4) ---- */

/* Cells of a unit address that interrupt maps are told by. */
#define UNIT_CELLS_MAX 3u

/* An interrupt's next place on its way to a controller, and its specifier there. */
static void set_irq(struct dt_irq *irq, dt_node controller, const be32_t *cells, unsigned int count)
{
	irq->controller = controller;
	irq->cell_count = count;
	for (unsigned int i = 0; i < ARRAY_LEN(irq->cells); i++)
		irq->cells[i] = i < count ? be32(cells + i) : 0;
}

/* The node's #interrupt-cells, or -EINVAL when it has none or more than we can hold. */
static int interrupt_cells(dt_node n)
{
	struct value v = value_of(n, "#interrupt-cells");

	if (v.bytes != 4 || be32(v.cells) > ARRAY_LEN(((struct dt_irq *)0)->cells))
		return -EINVAL;
	return (int)be32(v.cells);
}

/*
 * The node that n's `interrupts` are for: the nearest one with #interrupt-cells, going along
 * interrupt-parent where there is one, else up.
 */
static dt_node interrupt_parent(dt_node n)
{
	for (unsigned int steps = 0; steps < dt.node_count; steps++) {
		struct value v = value_of(n, "interrupt-parent");

		n = v.bytes == 4 ? dt_by_phandle(be32(v.cells)) : dt_parent(n);
		if (n == DT_NONE || has(n, "#interrupt-cells"))
			return n;
	}
	return DT_NONE;
}

/*
 * Cells of a unit address that an interrupt map writes for its parent. A controller that is no bus
 * often has no #address-cells: then none are written (as Linux reads it; DTSpec is silent).
 */
static unsigned int parent_unit_cells(dt_node n)
{
	return dt.nodes[n].has & 1u << ADDRESS_CELLS ? dt.nodes[n].address_cells : 0;
}

/*
 * How many cells of a list are one <phandle specifier>, in a map <phandle unit-address specifier>? 0:
 * it is broken. A phandle of 0 alone holds the place of an interrupt that is not there.
 */
static unsigned int parent_cells(const be32_t *at, size_t left, bool in_map)
{
	dt_node n;
	unsigned int units;
	int cells;

	if (!left)
		return 0;
	if (!*at)
		return !in_map;
	n = dt_by_phandle(be32(at));
	cells = interrupt_cells(n);
	if (cells < 0)
		return 0;
	units = in_map ? parent_unit_cells(n) : 0;
	cells += 1 + units;
	return units > UNIT_CELLS_MAX || (size_t)cells > left ? 0 : (unsigned int)cells;
}

/* The index-th interrupt as n itself states it; interrupts-extended wins (DTSpec 2.4.1.3). */
static int own_interrupt(dt_node n, unsigned int index, struct dt_irq *irq)
{
	struct value v = value_of(n, "interrupts-extended");
	const be32_t *at = v.cells;
	size_t left = v.bytes / 4;
	dt_node controller;
	int count;

	for (unsigned int cells; left; left -= cells, at += cells) {
		cells = parent_cells(at, left, false);
		if (!cells)
			return -EINVAL;
		if (index-- == 0) {
			set_irq(irq, dt_by_phandle(be32(at)), at + 1, cells - 1);
			return *at ? 0 : -ENOENT;
		}
	}
	v = v.cells ? (struct value){NULL, 0} : value_of(n, "interrupts");
	if (!v.cells)
		return -ENOENT;
	controller = interrupt_parent(n);
	count = interrupt_cells(controller);
	if (count <= 0)
		return -EINVAL;
	if (index >= v.bytes / 4 / (unsigned int)count)
		return -ENOENT;
	set_irq(irq, controller, v.cells + index * (unsigned int)count, (unsigned int)count);
	return 0;
}

/*
 * Does a map's entry, unit address then specifier, match under the mask (NULL: all ones)? A unit
 * address that is too short is one with zeros.
 */
static bool entry_matches(const struct dt_irq *irq, struct value unit, unsigned int unit_cells,
                          const be32_t *entry, const be32_t *mask)
{
	for (unsigned int i = 0; i < unit_cells + irq->cell_count; i++) {
		uint32_t mine = i >= unit_cells      ? irq->cells[i - unit_cells]
		                : i < unit.bytes / 4 ? be32(unit.cells + i)
		                                     : 0;

		if ((mine ^ be32(entry + i)) & (mask ? be32(mask + i) : UINT32_MAX))
			return false;
	}
	return true;
}

/*
 * One step through the nexus where irq is (DTSpec 2.4.3), by its unit address there, which becomes
 * the one at the parent. 0; -ENXIO no entry matches; -EINVAL
 */
static inline int through_interrupt_map(struct dt_irq *irq, struct value *unit, struct value map)
{
	const be32_t *at = map.cells;
	size_t left = map.bytes / 4;
	struct value mask = value_of(irq->controller, "interrupt-map-mask");
	unsigned int unit_cells = dt.nodes[irq->controller].address_cells;
	unsigned int child_cells = unit_cells + irq->cell_count, cells;

	if (unit_cells > UNIT_CELLS_MAX || (mask.cells && mask.bytes / 4 < child_cells))
		return -EINVAL;
	for (; left > child_cells; left -= child_cells + cells, at += child_cells + cells) {
		const be32_t *parent = at + child_cells;
		unsigned int units;
		dt_node n;

		cells = parent_cells(parent, left - child_cells, true);
		if (!cells)
			return -EINVAL;
		if (!entry_matches(irq, *unit, unit_cells, at, mask.cells))
			continue;
		n = dt_by_phandle(be32(parent));
		units = parent_unit_cells(n);
		*unit = (struct value){parent + 1, 4 * units};
		set_irq(irq, n, parent + 1 + units, cells - 1 - units);
		return 0;
	}
	return left ? -EINVAL : -ENXIO;
}

int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq)
{
	struct value unit = value_of(n, "reg"), map;
	int error = own_interrupt(n, index, irq);

	for (unsigned int steps = 0; !error; steps++) {
		map = value_of(irq->controller, "interrupt-map");
		if (!map.cells || has(irq->controller, "interrupt-controller"))
			break;
		error = -EINVAL;
		if (steps < dt.node_count) /* else it is a circle of maps */
			error = through_interrupt_map(irq, &unit, map);
	}
	return error;
}

unsigned int dt_irq_count(dt_node n)
{
	struct value v = value_of(n, "interrupts-extended");
	struct dt_irq irq;
	unsigned int count = 0, cells;

	if (v.cells) {
		size_t left = v.bytes / 4;

		/* A place held by phandle 0 counts; what follows a broken entry does not. */
		for (; (cells = parent_cells(v.cells, left, false));
		     v.cells += cells, left -= cells)
			count++;
		return count;
	}
	v = value_of(n, "interrupts");
	if (!v.cells || own_interrupt(n, 0, &irq))
		return 0;
	return (unsigned int)(v.bytes / 4 / irq.cell_count);
}

/* ---- RAM ---- */

/*
 * Pass the regions of reg as they stand there, the empty ones aside, until it is the index-th. Returns
 * how many of index are left, negative if this is the one.
 */
static int pass_regions(dt_node n, int index, uint64_t *pa, uint64_t *bytes)
{
	for (unsigned int i = 0; index >= 0 && read_reg(n, i, pa, bytes) >= 0; i++)
		index -= *bytes != 0;
	return index;
}

/* The children of the root that are called "memory" (DTSpec 3.4). */
int dt_memory(unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	int left = (int)index;

	for (dt_node n = dt.memory; n < dt.memory_end; n = dt_next_sibling(n)) {
		if (name_matches(dt_name(n), "memory") && dt_enabled(n))
			left = pass_regions(n, left, pa, bytes);
		if (left < 0)
			return 0;
	}
	return -ENOENT;
}

int dt_reserved(unsigned int index, uint64_t *pa, uint64_t *bytes, bool *no_map)
{
	const be32_t *entry = (const be32_t *)(dt.blob + dt.memreserve);
	int left = (int)index;

	*no_map = false;
	for (; dt.blob && (*bytes = read_number(entry + 2, 2)); entry += 4) {
		*pa = read_number(entry, 2);
		if (left-- == 0)
			return 0;
	}
	/* The binding demands an empty `ranges`: what reg says is physical. */
	dt_for_each_child(n, dt.reserved) {
		if (dt_enabled(n) && !has(n, "reusable"))
			left = pass_regions(n, left, pa, bytes);
		if (left < 0) {
			*no_map = has(n, "no-map");
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- /chosen (DTSpec 3.6) ---- */

dt_node dt_stdout(const char **options)
{
	const char *path = dt_string(dt.chosen, "stdout-path", 0);

	*options = NULL;
	if (!path)
		return DT_NONE;
	if (path[strcspn(path, ":")])
		*options = path + strcspn(path, ":") + 1;
	return dt_find(path);
}

const char *dt_bootargs(void)
{
	const char *args = dt_string(dt.chosen, "bootargs", 0);

	return args ? args : "";
}

int dt_initrd(uint64_t *start_pa, uint64_t *end_pa)
{
	if (dt_u64(dt.chosen, "linux,initrd-start", start_pa) ||
	    dt_u64(dt.chosen, "linux,initrd-end", end_pa) || *start_pa >= *end_pa)
		return -ENOENT;
	return 0;
}
