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

struct header {
	be32_t magic, totalsize, off_struct, off_strings, off_memreserve;
	be32_t version, last_comp_version, boot_cpu, strings_bytes, struct_bytes;
};

/* What follows FDT_PROP, the token included. */
struct prop {
	be32_t token, bytes, name;
	be32_t value[];
};
#define PROP_BYTES ((ptrdiff_t)sizeof(struct prop))

/* #address-cells and #size-cells as indexed: the value, or one of these. */
#define CELLS_ODD    14u /* not one cell, or too great for us to store */
#define CELLS_ABSENT 15u

/* Places in the blob are in cells from its start: 2 MiB need 19 bits. */
struct node {
	uint32_t props : 19;      /* first token after the name */
	uint32_t name_cells : 13; /* the name lies this far before */
	uint32_t compatible : 19; /* value of the property, 0: none */
	uint32_t one_string : 1;  /* that value is one terminated string */
	uint32_t has_status : 1;
	uint32_t disabled : 1; /* here or in a parent */
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
	dt_node aliases, chosen, memory, reserved;
	char error[96];
	struct node nodes[NODES_MAX];
} dt __attribute__((section(".handover")));

static inline uint32_t be32(const be32_t *p)
{
	return __builtin_bswap32(*p);
}

static inline uint64_t be64(const be32_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 1);
}

static inline const be32_t *cell_at(uint32_t cell)
{
	return (const be32_t *)dt.blob + cell;
}

static inline uint32_t place_of(const be32_t *p)
{
	return (uint32_t)(p - (const be32_t *)dt.blob);
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
	const be32_t *at;
	const uint8_t *end;
	const char *strings;
	uint32_t strings_bytes; /* up to and including the last terminator */
	unsigned int open;      /* the node that we are in, or DT_NONE */
};

/* The children of the root that this file asks for by name. */
static void note_root_child(dt_node n, const char *name)
{
	switch (name[0]) {
	case 'a':
		if (dt.aliases == DT_NONE && !strcmp(name, "aliases"))
			dt.aliases = n;
		break;
	case 'c':
		if (dt.chosen == DT_NONE && !strcmp(name, "chosen"))
			dt.chosen = n;
		break;
	case 'm':
		if (dt.memory == DT_NONE && !strncmp(name, "memory", 6))
			dt.memory = n;
		break;
	case 'r':
		if (dt.reserved == DT_NONE && !strcmp(name, "reserved-memory"))
			dt.reserved = n;
		break;
	}
}

static inline int begin_node(struct walk *w)
{
	const char *name = (const char *)(w->at + 1);
	size_t left = (size_t)(w->end - (const uint8_t *)name);
	size_t length = strnlen(name, left);
	unsigned int n = dt.node_count;
	struct node *node = &dt.nodes[n];

	if (length == left)
		return fail(-EINVAL, "the name of a node does not end", name);
	if (length / 4 >= NAME_CELLS_MAX)
		return fail(-EINVAL, "the name of a node is longer than 32 KiB", name);
	if (n > 0 && w->open == DT_NONE)
		return fail(-EINVAL, "a second root node", w->at);
	if (n == NODES_MAX)
		return fail(-E2BIG, "more nodes than the index holds", w->at);
	*node = (struct node){
	    .name_cells = (length / 4 + 1) & NAME_CELLS_MAX,
	    .address_cells = CELLS_ABSENT,
	    .size_cells = CELLS_ABSENT,
	    .disabled = n > 0 && dt.nodes[w->open].disabled,
	    .parent = (dt_node)w->open,
	};
	w->at += 1 + node->name_cells;
	node->props = place_of(w->at);
	if (w->open == 0)
		note_root_child((dt_node)n, name);
	w->open = n;
	dt.node_count++;
	return 0;
}

static inline int end_node(struct walk *w)
{
	if (w->open == DT_NONE)
		return fail(-EINVAL, "the end of a node outside any", w->at);
	dt.nodes[w->open].end = dt.node_count;
	w->open = dt.nodes[w->open].parent;
	w->at++;
	return 0;
}

/* "okay", and "ok" as many trees have it. */
static bool status_okay(const char *status, uint32_t bytes)
{
	return (bytes == 5 && !memcmp(status, "okay", 5)) ||
	       (bytes == 3 && !memcmp(status, "ok", 3));
}

static uint32_t cells_value(const struct prop *p)
{
	uint32_t cells = be32(p->value);

	return be32(&p->bytes) == 4 && cells < CELLS_ODD ? cells : CELLS_ODD;
}

/* Keep what the index answers by itself. The first of properties with one name counts. */
static inline void note_property(struct node *node, const char *name, const struct prop *p)
{
	const char *value = (const char *)p->value;
	uint32_t bytes = be32(&p->bytes);

	switch (name[0]) {
	case '#':
		if (!strcmp(name, "#address-cells") && node->address_cells == CELLS_ABSENT)
			node->address_cells = cells_value(p) & 15;
		else if (!strcmp(name, "#size-cells") && node->size_cells == CELLS_ABSENT)
			node->size_cells = cells_value(p) & 15;
		break;
	case 'c':
		if (!strcmp(name, "compatible") && !node->compatible) {
			node->compatible = place_of(p->value);
			node->one_string = bytes && memchr(value, 0, bytes) == value + bytes - 1;
		}
		break;
	case 'p':
		if (!strcmp(name, "phandle") && !node->phandle)
			node->phandle = bytes == 4 && be32(p->value) ? be32(p->value) : UINT32_MAX;
		break;
	case 's':
		if (!strcmp(name, "status") && !node->has_status) {
			node->has_status = 1;
			node->disabled |= !status_okay(value, bytes);
		}
		break;
	}
}

static inline int property(struct walk *w)
{
	const struct prop *p = (const struct prop *)w->at;
	ptrdiff_t left = w->end - (const uint8_t *)p;

	/* One comparison for header and value: the length is below 2^32, left is signed. */
	if (left - PROP_BYTES < 0 || left - PROP_BYTES < (ptrdiff_t)be32(&p->bytes))
		return fail(-EINVAL, "a property runs past the structure block", p);
	if (be32(&p->name) >= w->strings_bytes)
		return fail(-EINVAL, "a property's name is outside the strings block", p);
	/* True in the node that began last, until that ends: DTSpec 5.4.2, properties first. */
	if (w->open + 1 != dt.node_count)
		return fail(-EINVAL, "a property outside a node or after a node's children", p);
	note_property(&dt.nodes[w->open], w->strings + be32(&p->name), p);
	w->at += sizeof(*p) / 4 + ((uint64_t)be32(&p->bytes) + 3) / 4;
	return 0;
}

/* Follow every token of the structure block to its FDT_END. */
static int walk_structure(struct walk *w)
{
	int error = 0;

	while (!error) {
		if (w->end - (const uint8_t *)w->at < 4)
			return fail(-EINVAL, "the structure block has no end", w->end);
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
			return dt.node_count ? 0 : fail(-EINVAL, "the tree has no root", w->at);
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
	if (be32(&h->off_struct) < sizeof(*h) || be32(&h->off_struct) > total ||
	    be32(&h->struct_bytes) > total - be32(&h->off_struct))
		return fail(-EINVAL, "the structure block is outside the tree", NULL);
	if (be32(&h->off_strings) < sizeof(*h) || be32(&h->off_strings) > total ||
	    be32(&h->strings_bytes) > total - be32(&h->off_strings))
		return fail(-EINVAL, "the strings block is outside the tree", NULL);
	if (be32(&h->off_memreserve) < sizeof(*h) || be32(&h->off_memreserve) > total)
		return fail(-EINVAL, "the memory reservation block is outside the tree", NULL);
	return check_memreserve(be32(&h->off_memreserve), total);
}

int dt_init(const void *blob, size_t blob_max)
{
	const struct header *h = blob;
	struct walk w = {.open = DT_NONE};
	int error;

	dt.blob = NULL;
	dt.node_count = 0;
	dt.aliases = dt.chosen = dt.memory = dt.reserved = DT_NONE;
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
		w.at = (const be32_t *)(dt.blob + be32(&h->off_struct));
		w.end = (const uint8_t *)w.at + be32(&h->struct_bytes);
		w.strings = (const char *)dt.blob + dt.strings;
		w.strings_bytes = be32(&h->strings_bytes);
		/* Whatever starts at or before the last terminator is terminated. */
		while (w.strings_bytes && w.strings[w.strings_bytes - 1])
			w.strings_bytes--;
		error = walk_structure(&w);
	}
	if (error) {
		dt.blob = NULL;
		dt.node_count = 0;
	}
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

static inline bool exists(dt_node n)
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

/* A path's component names a node with its unit address or, if only one is meant, without. */
static bool name_matches(const char *name, const char *component, size_t length)
{
	if (strncmp(name, component, length))
		return false;
	return name[length] == '\0' || (name[length] == '@' && !memchr(component, '@', length));
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

const void *dt_prop(dt_node n, const char *name, size_t *bytes)
{
	const char *strings = (const char *)dt.blob + dt.strings;
	const be32_t *at;

	if (!exists(n))
		return NULL;
	for (at = cell_at(dt.nodes[n].props);;) {
		const struct prop *p = (const struct prop *)at;
		const char *s;

		if (be32(at) == FDT_NOP) {
			at++;
			continue;
		}
		if (be32(at) != FDT_PROP)
			return NULL;
		s = strings + be32(&p->name);
		if (s[0] == name[0] && !strcmp(s, name)) {
			if (bytes)
				*bytes = be32(&p->bytes);
			return p->value;
		}
		at = p->value + (be32(&p->bytes) + 3) / 4;
	}
}

int dt_u32(dt_node n, const char *name, unsigned int index, uint32_t *value)
{
	size_t bytes;
	const be32_t *p = dt_prop(n, name, &bytes);

	if (!p)
		return -ENOENT;
	if (index >= bytes / 4)
		return -EINVAL;
	*value = be32(p + index);
	return 0;
}

int dt_u64(dt_node n, const char *name, uint64_t *value)
{
	size_t bytes;
	const be32_t *p = dt_prop(n, name, &bytes);

	if (!p)
		return -ENOENT;
	if (bytes != 4 && bytes != 8)
		return -EINVAL;
	*value = bytes == 4 ? be32(p) : be64(p);
	return 0;
}

/* The string after s in a list that ends at end, or NULL; s NULL: the first. */
static const char *next_string(const char *list, const char *s, const char *end)
{
	s = s ? s + strlen(s) + 1 : list;
	return s < end && memchr(s, 0, (size_t)(end - s)) ? s : NULL;
}

const char *dt_string(dt_node n, const char *name, unsigned int index)
{
	size_t bytes;
	const char *list = dt_prop(n, name, &bytes), *s;

	if (!list)
		return NULL;
	s = next_string(list, NULL, list + bytes);
	while (s && index--)
		s = next_string(list, s, list + bytes);
	return s;
}

/* The place of a string in a list, or -ENOENT. */
static int string_index(dt_node n, const char *name, const char *wanted)
{
	size_t bytes;
	const char *list = dt_prop(n, name, &bytes), *s;
	int index = 0;

	if (!list)
		return -ENOENT;
	for (s = next_string(list, NULL, list + bytes); s; index++) {
		if (!strcmp(s, wanted))
			return index;
		s = next_string(list, s, list + bytes);
	}
	return -ENOENT;
}

/* Asked for every node and every driver: most nodes have one string, and most begin differently. */
static inline bool compatible_with(const struct node *node, const char *wanted)
{
	const be32_t *value = cell_at(node->compatible);
	const char *list = (const char *)value, *s, *end;

	if (!node->compatible)
		return false;
	if (node->one_string)
		return list[0] == wanted[0] && !strcmp(list, wanted);
	end = list + be32(value - 2);
	for (s = next_string(list, NULL, end); s; s = next_string(list, s, end)) {
		if (!strcmp(s, wanted))
			return true;
	}
	return false;
}

bool dt_compatible(dt_node n, const char *compatible)
{
	return exists(n) && compatible_with(&dt.nodes[n], compatible);
}

dt_node dt_find_compatible(dt_node after, const char *compatible)
{
	unsigned int n = after == DT_NONE ? 0 : after + 1u;

	for (; n < dt.node_count; n++) {
		const struct node *node = &dt.nodes[n];

		if (!node->disabled && compatible_with(node, compatible))
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
	size_t bytes;
	void *value = (void *)(uintptr_t)dt_prop(n, name, &bytes);

	if (value)
		memset(value, 0, bytes);
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

/* Up to three cells; a length has at most two. */
static struct address read_address(const be32_t *p, unsigned int cells)
{
	switch (cells) {
	case 0:
		return (struct address){0, 0};
	case 1:
		return (struct address){0, be32(p)};
	case 2:
		return (struct address){0, be64(p)};
	default:
		return (struct address){be32(p), be64(p + 1)};
	}
}

/* A property that is a list of entries of three fields: ranges, dma-ranges, and reg with two. */
struct list_of {
	const be32_t *cells;
	unsigned int count, entry_cells;
	unsigned int child_cells, parent_cells, size_cells;
	bool pci;
};

/* 0; -ENOENT not there; -EINVAL malformed. An empty property has count 0. */
static int open_list(dt_node n, const char *name, dt_node child_bus, dt_node parent_bus,
                     struct list_of *l)
{
	size_t bytes;

	l->cells = dt_prop(n, name, &bytes);
	if (!l->cells)
		return -ENOENT;
	l->child_cells = address_cells(child_bus);
	l->size_cells = size_cells(child_bus);
	l->parent_cells = parent_bus == DT_NONE ? 0 : address_cells(parent_bus);
	l->entry_cells = l->child_cells + l->parent_cells + l->size_cells;
	l->count = 0;
	l->pci = false;
	if (bytes == 0)
		return 0;
	if (l->child_cells > 3 || l->parent_cells > 3 || l->size_cells > 2 || !l->entry_cells ||
	    bytes % (4 * l->entry_cells))
		return -EINVAL;
	l->count = (unsigned int)(bytes / (4 * l->entry_cells));
	return 0;
}

static struct address child_address(const struct list_of *l, unsigned int index)
{
	return read_address(l->cells + index * l->entry_cells, l->child_cells);
}

static struct address parent_address(const struct list_of *l, unsigned int index)
{
	return read_address(l->cells + index * l->entry_cells + l->child_cells, l->parent_cells);
}

static uint64_t entry_bytes(const struct list_of *l, unsigned int index)
{
	const be32_t *p = l->cells + (index + 1) * l->entry_cells - l->size_cells;

	return read_address(p, l->size_cells).at;
}

/* The ranges or dma-ranges of a bus. As open_list; -EINVAL also where an entry wraps around. */
static int open_ranges(dt_node bus, const char *name, struct list_of *l)
{
	int error = open_list(bus, name, bus, dt_parent(bus), l);

	if (error)
		return error;
	for (unsigned int i = 0; i < l->count; i++) {
		uint64_t past_first = entry_bytes(l, i) - 1; /* 0 bytes match nothing */

		if (past_first != UINT64_MAX && (past_first > UINT64_MAX - child_address(l, i).at ||
		                                 past_first > UINT64_MAX - parent_address(l, i).at))
			return -EINVAL;
	}
	if (l->child_cells == 3) {
		const char *type = dt_string(bus, "device_type", 0);

		l->pci = type && !strcmp(type, "pci");
	}
	return 0;
}

/*
 * What of the first of three cells must agree. On PCI: the space code, where 32- and 64-bit memory
 * are one space (PCI binding, 2.2.1.1); the rest is bus, device, function and flags. Elsewhere all.
 */
static uint32_t space_of(const struct list_of *l, uint32_t first_cell)
{
	uint32_t code = first_cell >> 24 & 3;

	if (!l->pci)
		return first_cell;
	return code == 3 ? 2 : code;
}

/* Translate an address on the bus to one on its parent: 0, -ENXIO or -EINVAL (DTSpec 2.3.8). */
static int through_ranges(dt_node bus, struct address *a)
{
	struct list_of l;
	int error = open_ranges(bus, "ranges", &l);

	if (error)
		return error == -ENOENT ? -ENXIO : error;
	if (l.count == 0)
		return 0;
	for (unsigned int i = 0; i < l.count; i++) {
		struct address child = child_address(&l, i);

		if (space_of(&l, child.space) == space_of(&l, a->space) && a->at >= child.at &&
		    a->at - child.at < entry_bytes(&l, i)) {
			uint64_t offset = a->at - child.at;

			*a = parent_address(&l, i);
			a->at += offset;
			return 0;
		}
	}
	return -ENXIO;
}

/* The index-th entry of reg, as it stands there. */
static int read_reg(dt_node n, unsigned int index, struct address *a, uint64_t *bytes)
{
	struct list_of l;
	int error;

	if (!exists(n) || n == 0)
		return -ENOENT;
	error = open_list(n, "reg", dt_parent(n), DT_NONE, &l);
	if (error)
		return error;
	if (index >= l.count)
		return -ENOENT;
	*a = child_address(&l, index);
	*bytes = entry_bytes(&l, index);
	return *bytes && a->at + (*bytes - 1) < a->at ? -EINVAL : 0;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	struct address a;
	int error = read_reg(n, index, &a, bytes);

	for (dt_node bus = dt_parent(n); !error && bus != 0; bus = dt_parent(bus))
		error = through_ranges(bus, &a);
	if (!error)
		*pa = a.at;
	return error;
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
static int through_dma_ranges(const struct list_of *l, uint64_t *at, uint64_t *more)
{
	for (unsigned int i = 0; i < l->count; i++) {
		struct address child = child_address(l, i);
		uint64_t bytes = entry_bytes(l, i), offset = *at - child.at;

		if (bytes == 0 || (l->pci && space_of(l, child.space) != 2)) /* memory */
			continue;
		if (*at >= child.at && offset < bytes) {
			*more = MIN(*more, bytes - 1 - offset);
			*at = parent_address(l, i).at + offset;
			return 0;
		}
		if (child.at > *at)
			*more = MIN(*more, child.at - *at - 1);
	}
	return -ENXIO;
}

/* All buses up to the root. As through_dma_ranges, and -EINVAL. */
static int dma_to_cpu(dt_node n, uint64_t *at, uint64_t *more)
{
	for (dt_node bus = dt_parent(n); bus != 0; bus = dt_parent(bus)) {
		struct list_of l;
		int error = open_ranges(bus, "dma-ranges", &l);

		if (error == -ENOENT || (!error && l.count == 0))
			continue;
		if (!error)
			error = through_dma_ranges(&l, at, more);
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

bool dt_dma_coherent(dt_node n)
{
	for (; exists(n); n = dt_parent(n)) {
		if (dt_prop(n, "dma-coherent", NULL))
			return true;
		if (dt_prop(n, "dma-noncoherent", NULL))
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

/* The node's #interrupt-cells: 0, or -EINVAL when it has none or more than we can hold. */
static int interrupt_cells(dt_node n, unsigned int *cells)
{
	uint32_t value;

	if (dt_u32(n, "#interrupt-cells", 0, &value) ||
	    value > ARRAY_LEN(((struct route *)0)->cells))
		return -EINVAL;
	*cells = value;
	return 0;
}

/*
 * The node that n's `interrupts` are for: the nearest one with #interrupt-cells, going along
 * interrupt-parent where there is one, else up.
 */
static dt_node interrupt_parent(dt_node n)
{
	for (unsigned int steps = 0; steps < dt.node_count; steps++) {
		uint32_t phandle;

		if (dt_u32(n, "interrupt-parent", 0, &phandle) == 0)
			n = dt_by_phandle(phandle);
		else
			n = dt_parent(n);
		if (n == DT_NONE || dt_prop(n, "#interrupt-cells", NULL))
			return n;
	}
	return DT_NONE;
}

/*
 * Take the entry <phandle specifier> at *p off an interrupts-extended list. A phandle of 0 holds
 * the place of an interrupt that is not there: r->node is DT_NONE. 0; -ENOENT at the end; -EINVAL
 */
static int next_extended(const be32_t **p, const be32_t *end, struct route *r)
{
	uint32_t phandle;

	if (*p == end)
		return -ENOENT;
	phandle = be32((*p)++);
	r->node = dt_by_phandle(phandle);
	r->cell_count = 0;
	if (phandle && interrupt_cells(r->node, &r->cell_count))
		return -EINVAL;
	if (r->cell_count > (size_t)(end - *p))
		return -EINVAL;
	copy_cells(r->cells, *p, r->cell_count);
	*p += r->cell_count;
	return 0;
}

/* The index-th interrupt as n itself states it; interrupts-extended wins (DTSpec 2.4.1.3). */
static int own_interrupt(dt_node n, unsigned int index, struct route *r)
{
	size_t bytes;
	const be32_t *p = dt_prop(n, "interrupts-extended", &bytes);

	if (p) {
		const be32_t *end = p + bytes / 4;
		int error;

		do
			error = next_extended(&p, end, r);
		while (!error && index--);
		return !error && r->node == DT_NONE ? -ENOENT : error;
	}
	p = dt_prop(n, "interrupts", &bytes);
	if (!p)
		return -ENOENT;
	r->node = interrupt_parent(n);
	if (r->node == DT_NONE || interrupt_cells(r->node, &r->cell_count) || !r->cell_count)
		return -EINVAL;
	if (index >= bytes / 4 / r->cell_count)
		return -ENOENT;
	copy_cells(r->cells, p + index * r->cell_count, r->cell_count);
	return 0;
}

/*
 * Does the map entry's child part, unit address then specifier, match under the mask (all ones when
 * there is none)?
 */
static bool map_entry_matches(const struct route *r, unsigned int unit_cells, const be32_t *entry,
                              const be32_t *mask)
{
	for (unsigned int i = 0; i < unit_cells + r->cell_count; i++) {
		uint32_t mine = i < unit_cells ? r->unit[i] : r->cells[i - unit_cells];

		if ((mine ^ be32(entry + i)) & (mask ? be32(mask + i) : UINT32_MAX))
			return false;
	}
	return true;
}

/*
 * Cells of a unit address in an interrupt map. A controller that is no bus often has no
 * #address-cells: then none are written (as Linux reads it; DTSpec is silent).
 */
static unsigned int unit_address_cells(dt_node n, bool parent)
{
	return parent && dt.nodes[n].address_cells == CELLS_ABSENT ? 0 : address_cells(n);
}

/* One step through the nexus r->node (DTSpec 2.4.3). 0; -ENXIO no entry matches; -EINVAL */
static int through_interrupt_map(struct route *r, const be32_t *p, size_t map_bytes)
{
	const be32_t *end = p + map_bytes / 4, *mask;
	unsigned int unit_cells = unit_address_cells(r->node, false);
	unsigned int child_cells = unit_cells + r->cell_count;
	size_t mask_bytes;

	if (unit_cells > ARRAY_LEN(r->unit))
		return -EINVAL;
	mask = dt_prop(r->node, "interrupt-map-mask", &mask_bytes);
	if (mask && mask_bytes / 4 < child_cells)
		return -EINVAL;
	while (p < end) {
		unsigned int parent_units, parent_cells;
		const be32_t *child = p;
		dt_node parent;

		if ((size_t)(end - p) <= child_cells)
			return -EINVAL;
		p += child_cells;
		parent = dt_by_phandle(be32(p++));
		if (interrupt_cells(parent, &parent_cells))
			return -EINVAL;
		parent_units = unit_address_cells(parent, true);
		if (parent_units > ARRAY_LEN(r->unit) ||
		    parent_units + parent_cells > (size_t)(end - p))
			return -EINVAL;
		if (map_entry_matches(r, unit_cells, child, mask)) {
			r->node = parent;
			r->cell_count = parent_cells;
			memset(r->unit, 0, sizeof(r->unit));
			copy_cells(r->unit, p, parent_units);
			copy_cells(r->cells, p + parent_units, parent_cells);
			return 0;
		}
		p += parent_units + parent_cells;
	}
	return -ENXIO;
}

int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq)
{
	struct route r = {.node = DT_NONE};
	size_t bytes;
	const be32_t *reg = dt_prop(n, "reg", &bytes);
	int error = own_interrupt(n, index, &r);

	if (reg)
		copy_cells(r.unit, reg, (unsigned int)MIN(bytes / 4, ARRAY_LEN(r.unit)));
	for (unsigned int steps = 0; !error; steps++) {
		const be32_t *map = dt_prop(r.node, "interrupt-map", &bytes);

		if (!map || dt_prop(r.node, "interrupt-controller", NULL))
			break;
		if (steps == dt.node_count) /* a circle of maps */
			return -EINVAL;
		error = through_interrupt_map(&r, map, bytes);
	}
	if (error)
		return error;
	irq->controller = r.node;
	irq->cell_count = r.cell_count;
	memcpy(irq->cells, r.cells, sizeof(irq->cells));
	return 0;
}

unsigned int dt_irq_count(dt_node n)
{
	size_t bytes;
	const be32_t *p = dt_prop(n, "interrupts-extended", &bytes);
	struct route r;
	unsigned int count = 0;

	if (p) {
		const be32_t *end = p + bytes / 4;

		/* A place held by phandle 0 counts; what follows a broken entry does not. */
		while (next_extended(&p, end, &r) == 0)
			count++;
		return count;
	}
	if (!dt_prop(n, "interrupts", &bytes) || own_interrupt(n, 0, &r))
		return 0;
	return (unsigned int)(bytes / 4 / r.cell_count);
}

int dt_irq_index(dt_node n, const char *irq_name)
{
	return string_index(n, "interrupt-names", irq_name);
}

/* ---- RAM ---- */

/* The next child of the root from n on that is called "memory" (DTSpec 3.4). */
static dt_node memory_node(dt_node n)
{
	while (n != DT_NONE && !(name_matches(dt_name(n), "memory", 6) && dt_enabled(n)))
		n = dt_next_sibling(n);
	return n;
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
	const be32_t *entry = (const be32_t *)(dt.blob + dt.memreserve);
	struct address a;

	if (!dt.blob)
		return -ENOENT;
	for (; be64(entry + 2); entry += 4) {
		if (index-- == 0) {
			*pa = be64(entry);
			*bytes = be64(entry + 2);
			*no_map = false;
			return 0;
		}
	}
	dt_for_each_child(n, dt.reserved) {
		if (!dt_enabled(n) || dt_prop(n, "reusable", NULL))
			continue;
		/* The binding demands an empty `ranges`: what reg says is physical. */
		for (unsigned int i = 0; read_reg(n, i, &a, bytes) == 0; i++) {
			if (*bytes && index-- == 0) {
				*pa = a.at;
				*no_map = dt_prop(n, "no-map", NULL);
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
