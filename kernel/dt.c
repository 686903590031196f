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
#include <string.h>
#include <pith/compiler.h>
#include <pith/dt.h>

/* DTSpec 5.2 and 5.4.1. */
#define FDT_MAGIC      0xd00dfeedu
#define FDT_VERSION    17u
#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE   2u
#define FDT_PROP       3u
#define FDT_NOP        4u
#define FDT_END        9u

/* Linux Documentation/arm64/booting.rst, section 2: "must not exceed 2 megabytes in size". */
#define BLOB_MAX_BYTES (2u << 20)
/* Half as many again as the largest of the trees in Linux 6.1 (997 nodes, a laptop). */
#define NODES_MAX 1536u

typedef uint32_t __attribute__((may_alias)) be32_t;

/* This file is compiled for size; not so what runs for every property of every node. */
#define HOT  static inline __attribute__((always_inline))
#define FAST __attribute__((optimize("O2")))

struct header {
	be32_t magic, totalsize, off_struct, off_strings, off_memreserve;
	be32_t version, last_comp_version, boot_cpu, strings_bytes, struct_bytes;
};

/* What follows FDT_PROP, the token included. */
struct prop {
	be32_t token, bytes, name;
	be32_t value[];
};

/* #address-cells and #size-cells as indexed: the value, or one of these. */
#define CELLS_ODD    14u /* not one cell, or too great for us to store */
#define CELLS_ABSENT 15u

/* Places in the blob are in cells from its start: 2 MiB need 19 bits. */
struct node {
	uint32_t props : 19;      /* first token after the name */
	uint32_t name_cells : 13; /* the name lies this far before */
	uint32_t compatible : 19; /* value of the property, 0: none, or not terminated */
	uint32_t has_compatible : 1;
	uint32_t has_status : 1;
	uint32_t disabled : 1;   /* here or in a parent */
	uint32_t dma_ranges : 1; /* has the property, and not empty */
	uint32_t address_cells : 4;
	uint32_t size_cells : 4;
	uint32_t phandle; /* 0: none; UINT32_MAX: not a valid one */
	dt_node parent;
	dt_node end; /* the node that follows this one and all below it */
};
#define NAME_CELLS_MAX ((1u << 13) - 1)

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
	/* Children of the root that are asked for by name. */
	dt_node aliases, chosen, reserved;
	dt_node memory, memory_end; /* no later than the first such; behind the last */
	dt_node dma_bus;            /* the first with dma_ranges */
	char error[96];
	struct node nodes[NODES_MAX];
} dt __attribute__((section(".handover")));

HOT uint32_t be32(const be32_t *p)
{
	return __builtin_bswap32(*p);
}

static inline uint64_t be64(const be32_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 1);
}

/*
 * Are two strings equal? They are short and lie at odd addresses, and mostly differ at once: libc's
 * strcmp takes three times as long to begin.
 */
FAST static bool same_rest(const char *a, const char *b)
{
	for (; *a == *b; a++, b++) {
		if (!*a)
			return true;
	}
	return false;
}

HOT bool same(const char *a, const char *b)
{
	return *a == *b && same_rest(a, b);
}

HOT const be32_t *cell_at(uint32_t cell)
{
	return (const be32_t *)dt.blob + cell;
}

/* ---- Checking and indexing ---- */

/* Note what is wrong and where (a place in the blob, or NULL); returns the error. */
static int fail(int error, const char *what, const void *where)
{
	static const char digits[16] = "0123456789abcdef", at[] = " at offset 0x";
	size_t n = MIN(strlen(what), sizeof(dt.error) - sizeof(at) - 8);

	memcpy(dt.error, what, n);
	if (where) {
		uint32_t offset = (uint32_t)((const uint8_t *)where - dt.blob);

		memcpy(dt.error + n, at, sizeof(at) - 1);
		n += sizeof(at) - 1;
		for (int shift = 28; shift >= 0; shift -= 4)
			dt.error[n++] = digits[offset >> shift & 15];
	}
	dt.error[n] = '\0';
	return error;
}

/* Where the pass over the structure block is. */
struct walk {
	const be32_t *blob;
	const be32_t *at;
	const be32_t *last_cell; /* the last whole cell, */
	const uint8_t *end;      /* and the end of the structure block */
	const char *strings;
	uint32_t strings_bytes;   /* up to and including the last terminator */
	uint32_t compatible_name; /* where the strings block has "compatible", once seen */
	uint32_t not_dma_ranges; /* and another name that begins like "dma-ranges", the last seen */
	unsigned int count;      /* nodes so far */
	dt_node open;            /* the node that we are in, or DT_NONE */
	struct node *node;       /* the same while it may have properties, else NULL */
};

/* A path's component names a node with its unit address or, if only one is meant, without. */
static bool name_matches(const char *name, const char *component, size_t length)
{
	size_t i = 0;

	while (i < length && name[i] == component[i])
		i++;
	if (i < length)
		return false;
	return name[i] == '\0' || (name[i] == '@' && !memchr(component, '@', length));
}

/* The children of the root that this file asks for by name. */
static void note_root_child(dt_node n, const char *name)
{
	switch (name[0]) {
	case 'a':
		if (dt.aliases == DT_NONE && name_matches(name, "aliases", 7))
			dt.aliases = n;
		break;
	case 'c':
		if (dt.chosen == DT_NONE && name_matches(name, "chosen", 6))
			dt.chosen = n;
		break;
	case 'm':
		if (dt.memory == DT_NONE)
			dt.memory = n;
		dt.memory_end = n + 1;
		break;
	case 'r':
		if (dt.reserved == DT_NONE && name_matches(name, "reserved-memory", 15))
			dt.reserved = n;
		break;
	}
}

HOT bool cell_left(const struct walk *w)
{
	return w->at <= w->last_cell;
}

/*
 * Past the name that begins at w->at, a cell at a time: its terminator is the first zero byte. (The
 * expression is not 0 exactly if one of the cell's bytes is.) False if it does not end.
 */
HOT bool skip_name(struct walk *w)
{
	while (cell_left(w)) {
		uint32_t cell = *w->at++;

		if ((cell - 0x01010101u) & ~cell & 0x80808080u)
			return true;
	}
	return false;
}

HOT int begin_node(struct walk *w)
{
	const be32_t *name = ++w->at;
	bool is_root = w->count == 0;

	if (!skip_name(w))
		return fail(-EINVAL, "the name of a node does not end", name);
	if (w->at - name > NAME_CELLS_MAX)
		return fail(-EINVAL, "the name of a node is longer than 32 KiB", name);
	if (is_root && *(const char *)name)
		return fail(-EINVAL, "the root node has a name", name);
	if (!is_root && w->open == DT_NONE)
		return fail(-EINVAL, "a second root node", name);
	if (w->count == NODES_MAX)
		return fail(-E2BIG, "more nodes than the index holds", name);
	if (w->open == 0)
		note_root_child((dt_node)w->count, (const char *)name);
	w->node = &dt.nodes[w->count];
	*w->node = (struct node){
	    .props = (uint32_t)(w->at - w->blob),
	    .name_cells = (uint32_t)(w->at - name),
	    .disabled = !is_root && dt.nodes[w->open].disabled,
	    .address_cells = CELLS_ABSENT,
	    .size_cells = CELLS_ABSENT,
	    .parent = w->open,
	};
	w->open = (dt_node)w->count++;
	return 0;
}

HOT int end_node(struct walk *w)
{
	if (w->open == DT_NONE)
		return fail(-EINVAL, "the end of a node outside any", w->at);
	dt.nodes[w->open].end = (dt_node)w->count;
	w->open = dt.nodes[w->open].parent;
	w->node = NULL; /* DTSpec 5.4.2: properties come before children */
	w->at++;
	return 0;
}

/* "okay", and "ok" as many trees have it. */
static bool status_okay(const char *status, uint32_t bytes)
{
	return (bytes == 5 && !memcmp(status, "okay", 5)) ||
	       (bytes == 3 && !memcmp(status, "ok", 3));
}

static uint32_t cells_value(const be32_t *value, uint32_t bytes)
{
	return bytes == 4 && be32(value) < CELLS_ODD ? be32(value) : CELLS_ODD;
}

/* Keep what the index answers by itself. The first of properties with one name counts. */
static void note_property(struct node *node, const char *name, const be32_t *value, uint32_t bytes)
{
	if (same(name, "#address-cells")) {
		if (node->address_cells == CELLS_ABSENT)
			node->address_cells = cells_value(value, bytes);
	} else if (same(name, "#size-cells")) {
		if (node->size_cells == CELLS_ABSENT)
			node->size_cells = cells_value(value, bytes);
	} else if (same(name, "phandle")) {
		if (!node->phandle)
			node->phandle = bytes == 4 && be32(value) ? be32(value) : UINT32_MAX;
	} else if (same(name, "status") && !node->has_status) {
		node->has_status = 1;
		node->disabled |= !status_okay((const char *)value, bytes);
	}
}

HOT void note_compatible(struct walk *w, const be32_t *value, uint32_t bytes)
{
	if (w->node->has_compatible)
		return;
	w->node->has_compatible = 1;
	if (bytes && ((const char *)value)[bytes - 1] == '\0')
		w->node->compatible = (uint32_t)(value - w->blob);
}

/* Most trees have many of dma-coherent and device_type, and none of these. */
HOT void note_dma_ranges(struct walk *w, uint32_t name_at, uint32_t bytes)
{
	if (name_at == w->not_dma_ranges)
		return;
	if (!same(w->strings + name_at, "dma-ranges")) {
		w->not_dma_ranges = name_at;
	} else if (bytes) {
		w->node->dma_ranges = 1;
		if (dt.dma_bus == DT_NONE)
			dt.dma_bus = w->open;
	}
}

/* May this be the name of a property that note_property keeps? A quick look at the first letter. */
HOT bool may_be_noted(char first)
{
	const uint64_t letters =
	    1ull << ('#' % 64) | 1ull << ('c' % 64) | 1ull << ('p' % 64) | 1ull << ('s' % 64);

	return letters >> ((uint8_t)first % 64) & 1;
}

HOT int property(struct walk *w)
{
	const struct prop *p = (const struct prop *)w->at;
	ptrdiff_t room = w->end - (const uint8_t *)p->value;
	uint32_t bytes, name_at;
	const char *name;

	if (room < 0 || room < (ptrdiff_t)(bytes = be32(&p->bytes)))
		return fail(-EINVAL, "a property runs past the structure block", p);
	name_at = be32(&p->name);
	if (name_at >= w->strings_bytes)
		return fail(-EINVAL, "a property's name is outside the strings block", p);
	if (!w->node)
		return fail(-EINVAL, "a property outside a node or after a node's children", p);
	name = w->strings + name_at;
	if (name_at == w->compatible_name) {
		note_compatible(w, p->value, bytes);
	} else if (may_be_noted(name[0])) {
		if (same(name, "compatible")) {
			w->compatible_name = name_at;
			note_compatible(w, p->value, bytes);
		}
		note_property(w->node, name, p->value, bytes);
	} else if (name[0] == 'd') {
		note_dma_ranges(w, name_at, bytes);
	}
	w->at = p->value + ((uint64_t)bytes + 3) / 4;
	return 0;
}

/* Follow every token of the structure block to its FDT_END. */
HOT int walk_structure(struct walk *w)
{
	int error = 0;

	while (!error) {
		if (!cell_left(w))
			return fail(-EINVAL, "the structure block has no end", w->at);
		switch (be32(w->at)) {
		case FDT_PROP:
			error = property(w);
			break;
		case FDT_BEGIN_NODE:
			error = begin_node(w);
			break;
		case FDT_END_NODE:
			error = end_node(w);
			break;
		case FDT_NOP: /* QEMU erases nodes with them */
			w->at++;
			break;
		case FDT_END:
			if (w->open != DT_NONE)
				return fail(-EINVAL, "the tree ends inside a node", w->at);
			return w->count ? 0 : fail(-EINVAL, "the tree has no root", w->at);
		default:
			return fail(-EINVAL, "an unknown token", w->at);
		}
	}
	return error;
}

/* /memreserve/ entries, to the one with size 0 (DTSpec 5.3.2). */
static int check_memreserve(uint32_t offset, uint32_t total)
{
	for (; offset <= total - 16; offset += 16) {
		if (be64((const be32_t *)(dt.blob + offset) + 2) == 0)
			return 0;
	}
	return fail(-EINVAL, "the memory reservation block has no end", dt.blob + offset);
}

static bool inside(const be32_t *offset, uint32_t bytes, uint32_t total)
{
	return be32(offset) >= sizeof(struct header) && be32(offset) <= total &&
	       bytes <= total - be32(offset);
}

/* The header (DTSpec 5.2): everything it points at is inside the blob and aligned. */
static int check_header(const struct header *h, size_t blob_max)
{
	uint32_t total = be32(&h->totalsize);

	if (be32(&h->magic) != FDT_MAGIC)
		return fail(-EINVAL, "no device tree here (wrong magic)", NULL);
	if (be32(&h->version) < FDT_VERSION || be32(&h->last_comp_version) > FDT_VERSION)
		return fail(-EINVAL, "the tree's format is not version 17", NULL);
	if (total < sizeof(*h) || total > blob_max || total > BLOB_MAX_BYTES)
		return fail(-EINVAL, "the tree's size is above 2 MiB, or above what is there",
		            NULL);
	if (be32(&h->off_struct) % 4 || be32(&h->off_memreserve) % 8)
		return fail(-EINVAL, "a block of the tree is not aligned", NULL);
	if (!inside(&h->off_struct, be32(&h->struct_bytes), total))
		return fail(-EINVAL, "the structure block is outside the tree", NULL);
	if (!inside(&h->off_strings, be32(&h->strings_bytes), total))
		return fail(-EINVAL, "the strings block is outside the tree", NULL);
	if (!inside(&h->off_memreserve, 0, total))
		return fail(-EINVAL, "the memory reservation block is outside the tree", NULL);
	return check_memreserve(be32(&h->off_memreserve), total);
}

FAST int dt_init(const void *blob, size_t blob_max)
{
	const struct header *h = blob;
	struct walk w = {
	    .open = DT_NONE,
	    .compatible_name = UINT32_MAX,
	    .not_dma_ranges = UINT32_MAX,
	};
	int error;

	dt.blob = NULL;
	dt.node_count = 0;
	dt.aliases = dt.chosen = dt.memory = dt.reserved = dt.dma_bus = DT_NONE;
	dt.memory_end = 0;
	dt.error[0] = '\0';
	if (!blob || blob_max < sizeof(*h))
		return fail(-EINVAL, "no device tree was passed", NULL);
	if ((uintptr_t)blob % 8)
		return fail(-EINVAL, "the tree is not 8-byte aligned", NULL);

	dt.blob = blob;
	error = check_header(h, blob_max);
	if (!error) {
		dt.blob_bytes = be32(&h->totalsize);
		dt.memreserve = be32(&h->off_memreserve);
		dt.strings = be32(&h->off_strings);
		w.blob = blob;
		w.at = w.blob + be32(&h->off_struct) / 4;
		w.end = (const uint8_t *)w.at + be32(&h->struct_bytes);
		w.last_cell = w.at + (ptrdiff_t)(be32(&h->struct_bytes) / 4) - 1;
		w.strings = (const char *)dt.blob + dt.strings;
		w.strings_bytes = be32(&h->strings_bytes);
		/* Whatever starts at or before the last terminator is terminated. */
		while (w.strings_bytes && w.strings[w.strings_bytes - 1])
			w.strings_bytes--;
		error = walk_structure(&w);
	}
	if (error)
		dt.blob = NULL;
	else
		dt.node_count = (uint16_t)w.count;
	return error;
}

const char *dt_error(void)
{
	return dt.error;
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

HOT bool exists(dt_node n)
{
	return n < dt.node_count;
}

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
	if (!exists(n))
		return "";
	return (const char *)cell_at(dt.nodes[n].props - dt.nodes[n].name_cells);
}

/* The node at path, which starts with '/' and ends after length bytes, below n. */
static dt_node find_below(dt_node n, const char *path, const char *path_end)
{
	while (n != DT_NONE) {
		const char *end;
		dt_node child;

		while (path < path_end && *path == '/')
			path++;
		if (path == path_end)
			return n;
		end = memchr(path, '/', (size_t)(path_end - path));
		end = end ? end : path_end;
		child = dt_first_child(n);
		while (child != DT_NONE &&
		       !name_matches(dt_name(child), path, (size_t)(end - path)))
			child = dt_next_sibling(child);
		n = child;
		path = end;
	}
	return DT_NONE;
}

/* The value of the alias that is called like the bytes from name to end (DTSpec 3.3). */
static const char *alias(const char *name, const char *end)
{
	char key[64];
	size_t length = (size_t)(end - name);

	if (length >= sizeof(key))
		return NULL;
	memcpy(key, name, length);
	key[length] = '\0';
	return dt_string(dt.aliases, key, 0);
}

static dt_node find(const char *path, const char *path_end)
{
	const char *end, *target;
	dt_node n;

	if (path == path_end || !dt.blob)
		return DT_NONE;
	if (*path == '/')
		return find_below(0, path, path_end);
	end = memchr(path, '/', (size_t)(path_end - path));
	end = end ? end : path_end;
	target = alias(path, end);
	if (!target || *target != '/')
		return DT_NONE;
	n = find_below(0, target, target + strlen(target));
	return find_below(n, end, path_end);
}

dt_node dt_find(const char *path_or_alias)
{
	return find(path_or_alias, path_or_alias + strlen(path_or_alias));
}

dt_node dt_chosen(void)
{
	return dt.chosen;
}

FAST dt_node dt_by_phandle(uint32_t phandle)
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

/* A property's value: in registers, which out parameters would not be. */
struct value {
	const be32_t *cells; /* NULL: no such property */
	size_t bytes;        /* then 0 */
};

FAST static struct value value_of(dt_node n, const char *name)
{
	const char *strings = (const char *)dt.blob + dt.strings;
	const be32_t *at;

	if (!exists(n))
		return (struct value){NULL, 0};
	for (at = cell_at(dt.nodes[n].props); be32(at) == FDT_PROP || be32(at) == FDT_NOP;) {
		const struct prop *p = (const struct prop *)at;

		if (be32(at) == FDT_NOP) {
			at++;
			continue;
		}
		if (same(strings + be32(&p->name), name))
			return (struct value){p->value, be32(&p->bytes)};
		at = p->value + (be32(&p->bytes) + 3) / 4;
	}
	return (struct value){NULL, 0};
}

static bool has(dt_node n, const char *name)
{
	return value_of(n, name).cells;
}

const void *dt_prop(dt_node n, const char *name, size_t *bytes)
{
	struct value v = value_of(n, name);

	if (v.cells && bytes)
		*bytes = v.bytes;
	return v.cells;
}

int dt_u32(dt_node n, const char *name, unsigned int index, uint32_t *value)
{
	struct value v = value_of(n, name);

	if (!v.cells)
		return -ENOENT;
	if (index >= v.bytes / 4)
		return -EINVAL;
	*value = be32(v.cells + index);
	return 0;
}

int dt_u64(dt_node n, const char *name, uint64_t *value)
{
	struct value v = value_of(n, name);

	if (!v.cells)
		return -ENOENT;
	if (v.bytes != 4 && v.bytes != 8)
		return -EINVAL;
	*value = v.bytes == 4 ? be32(v.cells) : be64(v.cells);
	return 0;
}

/* The string at `at` in a list, or NULL if it begins or ends past the list's end. */
static const char *string_at(struct value list, size_t at)
{
	const char *s = (const char *)list.cells + at;

	return at < list.bytes && memchr(s, 0, list.bytes - at) ? s : NULL;
}

const char *dt_string(dt_node n, const char *name, unsigned int index)
{
	struct value list = value_of(n, name);
	const char *s = string_at(list, 0);

	while (s && index--)
		s = string_at(list, (size_t)(s - (const char *)list.cells) + strlen(s) + 1);
	return s;
}

/* The place of a string in a list, or -ENOENT. */
static int string_index(dt_node n, const char *name, const char *wanted)
{
	struct value list = value_of(n, name);
	size_t at = 0;
	const char *s;

	for (int index = 0; (s = string_at(list, at)); index++) {
		if (same(s, wanted))
			return index;
		at += strlen(s) + 1;
	}
	return -ENOENT;
}

/* A node's list of compatible strings, which dt_init found terminated. */
HOT struct value compatible_of(dt_node n)
{
	const be32_t *cells = cell_at(dt.nodes[n].compatible);

	return dt.nodes[n].compatible ? (struct value){cells, be32(cells - 2)}
	                              : (struct value){NULL, 0};
}

FAST const char *dt_compatible_strings(dt_node n, size_t *bytes)
{
	struct value list = exists(n) ? compatible_of(n) : (struct value){NULL, 0};

	*bytes = list.bytes;
	return (const char *)list.cells;
}

bool dt_compatible(dt_node n, const char *compatible)
{
	struct value list = exists(n) ? compatible_of(n) : (struct value){NULL, 0};
	const char *s = (const char *)list.cells, *end = s + list.bytes;

	for (; s < end; s += strlen(s) + 1) {
		if (same(s, compatible))
			return true;
	}
	return false;
}

dt_node dt_find_compatible(dt_node after, const char *compatible)
{
	unsigned int n = after == DT_NONE ? 0 : after + 1u;

	for (; n < dt.node_count; n++) {
		if (!dt.nodes[n].disabled && dt_compatible((dt_node)n, compatible))
			return (dt_node)n;
	}
	return DT_NONE;
}

bool dt_enabled(dt_node n)
{
	return exists(n) && !dt.nodes[n].disabled;
}

void dt_wipe(dt_node n, const char *name)
{
	struct value v = value_of(n, name);

	if (v.cells)
		memset((void *)(uintptr_t)v.cells, 0, v.bytes);
}

/* ---- Addresses ---- */

/* An address on a bus; space is the first of three cells, which says which space it is in. */
struct address {
	uint32_t space;
	uint64_t at;
};

/* How a bus writes an address: cells for it and for a length (DTSpec 2.3.5). */
static unsigned int address_cells(dt_node bus)
{
	unsigned int cells = dt.nodes[bus].address_cells;

	return cells == CELLS_ABSENT ? 2 : cells;
}

static unsigned int size_cells(dt_node bus)
{
	unsigned int cells = dt.nodes[bus].size_cells;

	return cells == CELLS_ABSENT ? 1 : cells;
}

/* A number of up to two cells; of more, the last two. */
static uint64_t read_number(const be32_t *p, unsigned int cells)
{
	uint64_t low = cells ? be32(p + cells - 1) : 0;

	return cells > 1 ? (uint64_t)be32(p + cells - 2) << 32 | low : low;
}

static struct address read_address(const be32_t *p, unsigned int cells)
{
	return (struct address){cells == 3 ? be32(p) : 0, read_number(p, cells)};
}

/* Can we hold addresses and lengths that are written so? Three cells are two and a space. */
static bool widths_fit(unsigned int address_cells, unsigned int size_cells)
{
	return address_cells <= 3 && size_cells <= 2;
}

/* The entries of a ranges or dma-ranges property. */
struct ranges {
	const be32_t *cells;
	unsigned int count, entry_cells;
	unsigned int child_cells, parent_cells, size_cells;
	bool pci;
};

struct range {
	struct address child, parent;
	uint64_t bytes;
};

static struct range range_at(const struct ranges *r, unsigned int index)
{
	const be32_t *entry = r->cells + index * r->entry_cells;
	const be32_t *parent = entry + r->child_cells;

	return (struct range){
	    .child = read_address(entry, r->child_cells),
	    .parent = read_address(parent, r->parent_cells),
	    .bytes = read_number(parent + r->parent_cells, r->size_cells),
	};
}

/* Does no range pass the end of either address space? */
static bool none_wraps(const struct ranges *r)
{
	for (unsigned int i = 0; i < r->count; i++) {
		struct range e = range_at(r, i);

		if (e.bytes && (e.child.at + (e.bytes - 1) < e.child.at ||
		                e.parent.at + (e.bytes - 1) < e.parent.at))
			return false;
	}
	return true;
}

/* The ranges or dma-ranges of a bus. 0, with count 0 if empty; -ENOENT not there; -EINVAL */
static int open_ranges(dt_node bus, const char *name, struct ranges *r)
{
	struct value v = value_of(bus, name);
	const char *type;

	if (!v.cells)
		return -ENOENT;
	r->cells = v.cells;
	r->count = 0;
	if (v.bytes == 0)
		return 0;
	r->child_cells = address_cells(bus);
	r->parent_cells = address_cells(dt_parent(bus));
	r->size_cells = size_cells(bus);
	r->entry_cells = r->child_cells + r->parent_cells + r->size_cells;
	if (!widths_fit(r->child_cells, r->size_cells) || r->parent_cells > 3 || !r->entry_cells ||
	    v.bytes % (4 * r->entry_cells))
		return -EINVAL;
	r->count = (unsigned int)(v.bytes / (4 * r->entry_cells));
	type = r->child_cells == 3 ? dt_string(bus, "device_type", 0) : NULL;
	r->pci = type && same(type, "pci");
	return none_wraps(r) ? 0 : -EINVAL;
}

/*
 * What of the first of three cells must agree. On PCI: the space code, where 32- and 64-bit memory
 * are one space (PCI binding, 2.2.1.1); the rest is bus, device, function and flags. Elsewhere all.
 */
static uint32_t space_of(const struct ranges *r, uint32_t first_cell)
{
	uint32_t code = first_cell >> 24 & 3;

	if (!r->pci)
		return first_cell;
	return code == 3 ? 2 : code;
}

/* Translate an address on the bus to one on its parent: 0, -ENXIO or -EINVAL (DTSpec 2.3.8). */
static int through_ranges(dt_node bus, struct address *a)
{
	struct ranges r;
	int error = open_ranges(bus, "ranges", &r);

	if (error)
		return error == -ENOENT ? -ENXIO : error;
	if (r.count == 0)
		return 0;
	for (unsigned int i = 0; i < r.count; i++) {
		struct range e = range_at(&r, i);
		uint64_t offset = a->at - e.child.at;

		if (space_of(&r, e.child.space) == space_of(&r, a->space) && a->at >= e.child.at &&
		    offset < e.bytes) {
			*a = e.parent;
			a->at += offset;
			return 0;
		}
	}
	return -ENXIO;
}

/* The index-th entry of reg, as it stands there. */
static int read_reg(dt_node n, unsigned int index, struct address *a, uint64_t *bytes)
{
	struct value reg = value_of(n, "reg");
	unsigned int cells, size, entry_cells;
	const be32_t *entry;

	if (!reg.cells || n == 0)
		return -ENOENT;
	cells = address_cells(dt.nodes[n].parent);
	size = size_cells(dt.nodes[n].parent);
	entry_cells = cells + size;
	if (!widths_fit(cells, size) || !entry_cells || reg.bytes % (4 * entry_cells))
		return -EINVAL;
	if (index >= reg.bytes / 4 / entry_cells)
		return -ENOENT;
	entry = reg.cells + index * entry_cells;
	*a = read_address(entry, cells);
	*bytes = read_number(entry + cells, size);
	return *bytes && a->at + (*bytes - 1) < a->at ? -EINVAL : 0;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	struct address a;
	int error = read_reg(n, index, &a, bytes);

	if (error)
		return error;
	for (dt_node bus = dt.nodes[n].parent; bus != 0; bus = dt.nodes[bus].parent) {
		error = through_ranges(bus, &a);
		if (error)
			return error;
	}
	*pa = a.at;
	return 0;
}

int dt_reg_by_name(dt_node n, const char *reg_name, uint64_t *pa, uint64_t *bytes)
{
	int index = string_index(n, "reg-names", reg_name);

	return index < 0 ? index : dt_reg(n, (unsigned int)index, pa, bytes);
}

/* ---- DMA ---- */

/*
 * One bus up. Narrows *more, the number of bytes after *at for which the answer is the same.
 * 0 and *at translated; -ENXIO: not mapped.
 */
static int through_dma_ranges(const struct ranges *r, uint64_t *at, uint64_t *more)
{
	for (unsigned int i = 0; i < r->count; i++) {
		struct range e = range_at(r, i);
		uint64_t offset = *at - e.child.at;

		if (e.bytes == 0 || (r->pci && space_of(r, e.child.space) != 2)) /* memory */
			continue;
		if (*at >= e.child.at && offset < e.bytes) {
			*more = MIN(*more, e.bytes - 1 - offset);
			*at = e.parent.at + offset;
			return 0;
		}
		if (e.child.at > *at)
			*more = MIN(*more, e.child.at - *at - 1);
	}
	return -ENXIO;
}

/* All buses up to the root. As through_dma_ranges, and -EINVAL. */
static int dma_to_cpu(dt_node n, uint64_t *at, uint64_t *more)
{
	for (dt_node bus = dt_parent(n); bus != 0; bus = dt_parent(bus)) {
		struct ranges r;
		int error = open_ranges(bus, "dma-ranges", &r);

		if (error == -ENOENT || (!error && r.count == 0))
			continue;
		if (!error)
			error = through_dma_ranges(&r, at, more);
		if (error)
			return error;
	}
	return 0;
}

int dt_dma_window(dt_node n, unsigned int index, struct dt_dma_window *w)
{
	uint64_t bus = 0;

	if (!exists(n) || n == 0)
		return -ENOENT;
	/* From one end of the bus to the other, by stretches that are mapped alike. */
	for (;;) {
		uint64_t pa = bus, more = UINT64_MAX - bus;
		int error = dma_to_cpu(n, &pa, &more);

		if (error == -EINVAL)
			return error;
		if (!error && index-- == 0) {
			*w = (struct dt_dma_window){bus, pa, more == UINT64_MAX ? more : more + 1};
			return 0;
		}
		if (more == UINT64_MAX - bus)
			return -ENOENT;
		bus += more + 1;
	}
}

dt_node dt_dma_bus(dt_node after)
{
	dt_node n = after == DT_NONE ? dt.dma_bus : dt_next(after);

	while (exists(n) && (!dt.nodes[n].dma_ranges || dt.nodes[n].disabled))
		n = dt_next(n);
	return exists(n) ? n : DT_NONE;
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

/* An interrupt on its way to a controller: where it is, with which unit address and specifier. */
struct route {
	dt_node node;
	uint32_t unit[3];
	unsigned int cell_count;
	uint32_t cells[8];
};

static void copy_cells(uint32_t *to, const be32_t *from, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		to[i] = be32(from + i);
}

/* The node's #interrupt-cells, or -EINVAL when it has none or more than we can hold. */
static int interrupt_cells(dt_node n)
{
	struct value v = value_of(n, "#interrupt-cells");

	if (v.bytes != 4 || be32(v.cells) > ARRAY_LEN(((struct route *)0)->cells))
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
	return dt.nodes[n].address_cells == CELLS_ABSENT ? 0 : address_cells(n);
}

/*
 * Take <phandle specifier>, in a map <phandle unit-address specifier>, at *p into r. A phandle of 0
 * holds the place of an interrupt that is not there: r->node is DT_NONE.
 * 0 and *p moved on; -ENOENT *p is the end; -EINVAL
 */
static int take_parent(const be32_t **p, const be32_t *end, bool in_map, struct route *r)
{
	const be32_t *at = *p;
	unsigned int units = 0;
	int cells = 0;

	if (at == end)
		return -ENOENT;
	memset(r, 0, sizeof(*r));
	r->node = dt_by_phandle(be32(at));
	if (be32(at++) != 0) {
		cells = interrupt_cells(r->node);
		if (cells < 0)
			return cells;
		units = in_map ? parent_unit_cells(r->node) : 0;
	}
	if (units > ARRAY_LEN(r->unit) || units + (unsigned int)cells > (size_t)(end - at))
		return -EINVAL;
	copy_cells(r->unit, at, units);
	copy_cells(r->cells, at + units, (unsigned int)cells);
	r->cell_count = (unsigned int)cells;
	*p = at + units + cells;
	return 0;
}

/* The index-th interrupt as n itself states it; interrupts-extended wins (DTSpec 2.4.1.3). */
static int own_interrupt(dt_node n, unsigned int index, struct route *r)
{
	struct value v = value_of(n, "interrupts-extended");
	int cells;

	if (v.cells) {
		const be32_t *p = v.cells, *end = p + v.bytes / 4;
		int error;

		do
			error = take_parent(&p, end, false, r);
		while (!error && index--);
		return !error && r->node == DT_NONE ? -ENOENT : error;
	}
	v = value_of(n, "interrupts");
	if (!v.cells)
		return -ENOENT;
	memset(r, 0, sizeof(*r));
	r->node = interrupt_parent(n);
	cells = interrupt_cells(r->node);
	if (cells <= 0)
		return -EINVAL;
	r->cell_count = (unsigned int)cells;
	if (index >= v.bytes / 4 / r->cell_count)
		return -ENOENT;
	copy_cells(r->cells, v.cells + index * r->cell_count, r->cell_count);
	return 0;
}

/* Does a map's entry, unit address then specifier, match under the mask (NULL: all ones)? */
static bool entry_matches(const struct route *r, unsigned int unit_cells, const be32_t *entry,
                          const be32_t *mask)
{
	for (unsigned int i = 0; i < unit_cells + r->cell_count; i++) {
		uint32_t mine = i < unit_cells ? r->unit[i] : r->cells[i - unit_cells];

		if ((mine ^ be32(entry + i)) & (mask ? be32(mask + i) : UINT32_MAX))
			return false;
	}
	return true;
}

/* One step through the nexus r->node (DTSpec 2.4.3). 0; -ENXIO no entry matches; -EINVAL */
static int through_interrupt_map(struct route *r, struct value map)
{
	const be32_t *p = map.cells, *end = p + map.bytes / 4;
	struct value mask = value_of(r->node, "interrupt-map-mask");
	unsigned int unit_cells = address_cells(r->node);
	unsigned int child_cells = unit_cells + r->cell_count;

	if (unit_cells > ARRAY_LEN(r->unit) || (mask.cells && mask.bytes / 4 < child_cells))
		return -EINVAL;
	while ((size_t)(end - p) > child_cells) {
		const be32_t *entry = p;
		struct route parent;

		p += child_cells;
		if (take_parent(&p, end, true, &parent) || parent.node == DT_NONE)
			return -EINVAL;
		if (entry_matches(r, unit_cells, entry, mask.cells)) {
			*r = parent;
			return 0;
		}
	}
	return p == end ? -ENXIO : -EINVAL;
}

int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq)
{
	struct value reg = value_of(n, "reg");
	struct route r;
	int error = own_interrupt(n, index, &r);

	if (error)
		return error;
	copy_cells(r.unit, reg.cells, (unsigned int)MIN(reg.bytes / 4, ARRAY_LEN(r.unit)));
	for (unsigned int steps = 0; !has(r.node, "interrupt-controller"); steps++) {
		struct value map = value_of(r.node, "interrupt-map");

		if (!map.cells)
			break;
		if (steps == dt.node_count) /* a circle of maps */
			return -EINVAL;
		error = through_interrupt_map(&r, map);
		if (error)
			return error;
	}
	irq->controller = r.node;
	irq->cell_count = r.cell_count;
	memcpy(irq->cells, r.cells, sizeof(irq->cells));
	return 0;
}

unsigned int dt_irq_count(dt_node n)
{
	struct value v = value_of(n, "interrupts-extended");
	struct route r;
	unsigned int count = 0;

	if (v.cells) {
		const be32_t *p = v.cells, *end = p + v.bytes / 4;

		/* A place held by phandle 0 counts; what follows a broken entry does not. */
		while (take_parent(&p, end, false, &r) == 0)
			count++;
		return count;
	}
	v = value_of(n, "interrupts");
	if (!v.cells || own_interrupt(n, 0, &r))
		return 0;
	return (unsigned int)(v.bytes / 4 / r.cell_count);
}

int dt_irq_index(dt_node n, const char *irq_name)
{
	return string_index(n, "interrupt-names", irq_name);
}

/* ---- RAM ---- */

/* The next child of the root from n on that is called "memory" (DTSpec 3.4). */
static dt_node memory_node(dt_node n)
{
	while (n < dt.memory_end && !(name_matches(dt_name(n), "memory", 6) && dt_enabled(n)))
		n = dt_next_sibling(n);
	return n < dt.memory_end ? n : DT_NONE;
}

int dt_memory(unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	dt_node n = memory_node(dt.memory);

	for (; n != DT_NONE; n = memory_node(dt_next_sibling(n))) {
		for (unsigned int i = 0; dt_reg(n, i, pa, bytes) == 0; i++) {
			if (*bytes && index-- == 0)
				return 0;
		}
	}
	return -ENOENT;
}

int dt_reserved(unsigned int index, uint64_t *pa, uint64_t *bytes, bool *no_map)
{
	const be32_t *entry;
	struct address a;

	if (!dt.blob)
		return -ENOENT;
	entry = (const be32_t *)(dt.blob + dt.memreserve);
	for (; be64(entry + 2); entry += 4) {
		if (index-- == 0) {
			*pa = be64(entry);
			*bytes = be64(entry + 2);
			*no_map = false;
			return 0;
		}
	}
	dt_for_each_child(n, dt.reserved) {
		if (!dt_enabled(n) || has(n, "reusable"))
			continue;
		/* The binding demands an empty `ranges`: what reg says is physical. */
		for (unsigned int i = 0; read_reg(n, i, &a, bytes) == 0; i++) {
			if (*bytes && index-- == 0) {
				*pa = a.at;
				*no_map = has(n, "no-map");
				return 0;
			}
		}
	}
	return -ENOENT;
}

/* ---- /chosen (DTSpec 3.6) ---- */

dt_node dt_stdout(const char **options)
{
	const char *path = dt_string(dt.chosen, "stdout-path", 0), *end;

	*options = NULL;
	if (!path)
		return DT_NONE;
	end = strchr(path, ':');
	if (!end)
		return dt_find(path);
	*options = end + 1;
	return find(path, end);
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
