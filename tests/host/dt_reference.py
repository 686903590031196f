# SPDX-License-Identifier: Apache-2.0
"""What a device tree means, from the specification: a model to compare kernel/dt.c with.

It reads dtc's source form, where libfdt and dt.c read the blob, and knows no index: it works by
recursion over dictionaries, with Python's own integers. Sections are those of the Devicetree
Specification v0.4; PCI addresses as in the PCI Bus Binding to IEEE Std 1275-1994.

What the specification leaves open is decided here as in dt.c, and as Linux does it:
- a node marked interrupt-controller ends an interrupt's way, even if it has an interrupt-map;
- in an interrupt-map, a parent without #address-cells has a unit address of 0 cells;
- of ranges that overlap, the first counts;
- 32- and 64-bit PCI memory is one space.
"""
import re
import subprocess

ALL = (1 << 64) - 1


class Malformed(Exception):
    """The tree breaks the specification here."""


class Unmapped(Exception):
    """A bus on the way does not let this through."""


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.children, self.properties = [], {}

    @property
    def path(self):
        above = self.parent.path.rstrip("/") + "/" if self.parent else ""
        return (above + self.name) or "/"

    def everything(self):
        yield self
        for child in self.children:
            yield from child.everything()

    def cells(self, name):
        value = self.properties.get(name)
        if value is None:
            return None
        return [int.from_bytes(value[i:i + 4], "big") for i in range(0, len(value) // 4 * 4, 4)]

    def cell(self, name, default=None):
        cells = self.cells(name)
        return cells[0] if cells else default

    def strings(self, name):
        value = self.properties.get(name, b"")
        return [s.decode("latin-1") for s in value.split(b"\0")[:-1]]


# --- Reading dtc's source form ----------------------------------------------------------------

VALUE = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|<([^>]*)>|\[([^\]]*)\])\s*,?')
ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


def unescape(text):
    """The bytes of a C string literal as dtc prints it."""
    def byte(m):
        code = m[1]
        if code[0] == "x":
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        return chr(ESCAPES.get(code, ord(code)))
    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", byte, text).encode("latin-1")


def parse_value(text):
    value = b""
    for string, cells, octets in VALUE.findall(text):
        if cells:
            value += b"".join(int(c, 0).to_bytes(4, "big") for c in cells.split())
        elif octets:
            value += bytes.fromhex(octets)
        else:
            value += unescape(string) + b"\0"
    return value


def parse(source):
    """The root, and the /memreserve/ entries."""
    root, node, reserved = None, None, []
    for line in source.splitlines():
        line = line.strip()
        if line.endswith("{"):
            name = line[:-1].strip()
            node = Node("" if node is None else name, node)
            if node.parent:
                node.parent.children.append(node)
            else:
                root = node
        elif line == "};":
            node = node.parent
        elif line.startswith("/memreserve/"):
            reserved.append(tuple(int(c, 0) for c in line[12:-1].split()))
        elif node is not None and line:
            name, _, value = line.rstrip(";").partition(" = ")
            node.properties.setdefault(name, parse_value(value))
    return root, reserved


# --- Addresses: 2.3.5 to 2.3.9 ----------------------------------------------------------------

def number(cells):
    value = 0
    for c in cells:
        value = value << 32 | c
    return value


def address_cells(bus):
    return bus.cell("#address-cells", 2)


def size_cells(bus):
    return bus.cell("#size-cells", 1)


def split_address(cells):
    """(space, address): the first of three cells is the space."""
    return (cells[0], number(cells[1:])) if len(cells) == 3 else (0, number(cells))


def entries(cells, *widths):
    if max(widths[:-1]) > 3 or widths[-1] > 2 or sum(widths) == 0 or len(cells) % sum(widths):
        raise Malformed
    for start in range(0, len(cells), sum(widths)):
        fields = []
        for width in widths:
            fields.append(cells[start:start + width])
            start += width
        yield fields


def ranges(bus, name):
    """[(space, child address, parent's space, parent's address, bytes)], or None without."""
    cells = bus.cells(name)
    if cells is None:
        return None
    if len(bus.properties[name]) % 4:
        raise Malformed
    found = []
    if cells:
        for child, parent, size in entries(cells, address_cells(bus), address_cells(bus.parent),
                                           size_cells(bus)):
            found.append((*split_address(child), *split_address(parent), number(size)))
    if any(size and max(child, parent) + size - 1 > ALL for _, child, _, parent, size in found):
        raise Malformed
    return found


def is_pci(bus):
    return address_cells(bus) == 3 and bus.strings("device_type")[:1] == ["pci"]


def same_space(bus, a, b):
    if not is_pci(bus):
        return a == b
    kind = {0: "configuration", 1: "io", 2: "memory", 3: "memory"}
    return kind[a >> 24 & 3] == kind[b >> 24 & 3]


def to_cpu(bus, space, address):
    """An address on the bus, as the processor sees it."""
    if bus.parent is None:
        return address
    windows = ranges(bus, "ranges")
    if windows is None:
        raise Unmapped
    if not windows:
        return to_cpu(bus.parent, space, address)
    for child_space, child, parent_space, parent, size in windows:
        if child <= address < child + size and same_space(bus, space, child_space):
            return to_cpu(bus.parent, parent_space, parent + address - child)
    raise Unmapped


def reg(node):
    """[(space, address, bytes)] as written."""
    cells = node.cells("reg")
    if cells is None or node.parent is None:
        return []
    if len(node.properties["reg"]) % 4:
        raise Malformed
    bus = node.parent
    if not cells and address_cells(bus) + size_cells(bus) > 0:
        return []
    return [(*split_address(address), number(size))
            for address, size in entries(cells, address_cells(bus), size_cells(bus))]


# --- DMA: the other way ------------------------------------------------------------------------

def subtract(pieces, start, end):
    """What of the intervals is outside [start, end)."""
    return [(a, b) for low, high in pieces
            for a, b in ((low, min(high, start)), (max(low, end), high)) if a < b]


def dma_level(bus):
    """One bus: [(start, end, offset)], where earlier entries hide later ones. None: 1:1."""
    windows = ranges(bus, "dma-ranges")
    if not windows:
        return None
    level, taken = [], []
    for space, child, _, parent, size in windows:
        if not size or (is_pci(bus) and not same_space(bus, space, 2 << 24)):
            continue
        free = [(child, child + size)]
        for start, end in taken:
            free = subtract(free, start, end)
        level += [(start, end, parent - child) for start, end in free]
        taken.append((child, child + size))
    return level


def dma_windows(node):
    """[(bus address, CPU address, bytes)] by bus address; None if nothing restricts."""
    composed, bus = None, node.parent
    while bus.parent:
        level = dma_level(bus)
        if level is not None:
            if composed is None:
                composed = [(0, ALL + 1, 0)]
            # Each piece so far, cut along this level's windows where it arrives.
            composed = [(max(s, ls - o), min(e, le - o), o + lo) for s, e, o in composed
                        for ls, le, lo in level if max(s, ls - o) < min(e, le - o)]
        bus = bus.parent
    if composed is None:
        return None
    return [(s, s + o, e - s) for s, e, o in sorted(composed)]


# --- Interrupts: 2.4 ---------------------------------------------------------------------------

class Tree:
    def __init__(self, source):
        self.root, self.memreserve = parse(source)
        self.nodes = list(self.root.everything())
        self.phandles = {}
        for node in self.nodes:
            phandle = node.cell("phandle", 0)
            if phandle not in (0, 0xffffffff):
                self.phandles.setdefault(phandle, node)

    def target(self, phandle):
        if phandle not in self.phandles:
            raise Malformed
        return self.phandles[phandle]

    def interrupt_parent(self, node, seen=()):
        """2.4.1.2: interrupt-parent, else the parent; until something takes interrupts."""
        phandle = node.cell("interrupt-parent")
        there = node.parent if phandle is None else self.target(phandle)
        if there is None or there in seen:
            raise Malformed
        if "#interrupt-cells" in there.properties:
            return there
        return self.interrupt_parent(there, (*seen, there))

    def own_interrupts(self, node):
        """[(controller or nexus, specifier)] as the node states them; None holds a place."""
        extended = node.cells("interrupts-extended")
        if extended is not None:
            found = []
            while extended:
                if extended[0] == 0:
                    found.append(None)
                    extended = extended[1:]
                    continue
                parent = self.target(extended[0])
                width = parent.cell("#interrupt-cells")
                if width is None or len(extended) < 1 + width:
                    raise Malformed
                found.append((parent, extended[1:1 + width]))
                extended = extended[1 + width:]
            return found
        cells = node.cells("interrupts")
        if cells is None:
            return []
        parent = self.interrupt_parent(node)
        width = parent.cell("#interrupt-cells")
        return [(parent, cells[i:i + width]) for i in range(0, len(cells) - width + 1, width)]

    def through_map(self, nexus, unit, specifier):
        """2.4.3: one step: (parent, its unit address, its specifier)."""
        units, width = address_cells(nexus), nexus.cell("#interrupt-cells")
        unit = (unit + [0] * units)[:units]
        cells = nexus.cells("interrupt-map")
        mask = nexus.cells("interrupt-map-mask") or [0xffffffff] * (units + width)
        wanted = [a & m for a, m in zip(unit + specifier, mask)]
        while cells:
            child, parent = cells[:units + width], self.target(cells[units + width])
            cells = cells[units + width + 1:]
            address = cells[:parent.cell("#address-cells", 0)]
            cells = cells[len(address):]
            spec = cells[:parent.cell("#interrupt-cells")]
            cells = cells[len(spec):]
            if wanted == [c & m for c, m in zip(child, mask)]:
                return parent, address, spec
        raise Unmapped

    def interrupt(self, node, parent, specifier):
        """The controller and its specifier, in the end."""
        unit = node.cells("reg") or []
        while ("interrupt-map" in parent.properties
               and "interrupt-controller" not in parent.properties):
            parent, unit, specifier = self.through_map(parent, unit, specifier)
        return parent, specifier

    # --- The rest ------------------------------------------------------------------------------

    def enabled(self, node):
        status = node.properties.get("status", b"okay\0")
        return status in (b"okay\0", b"ok\0") and (node.parent is None or self.enabled(node.parent))

    def coherent(self, node):
        while node:
            if "dma-coherent" in node.properties:
                return True
            if "dma-noncoherent" in node.properties:
                return False
            node = node.parent
        return False

    def find(self, path):
        if not path.startswith("/"):
            alias, _, rest = path.partition("/")
            aliases = self.find("/aliases")
            target = aliases.strings(alias)[:1] if aliases else []
            return self.find(target[0] + "/" + rest) if target else None
        node = self.root
        for component in filter(None, path.split("/")):
            node = next((c for c in node.children
                         if component in (c.name, c.name.partition("@")[0])), None)
            if node is None:
                return None
        return node

    def memory(self):
        for node in self.root.children:
            if node.name.partition("@")[0] == "memory" and self.enabled(node):
                for _, address, size in reg(node):
                    if size:
                        yield address, size

    def reserved(self):
        for address, size in self.memreserve:
            yield address, size, False
        for node in (self.find("/reserved-memory") or Node("", None)).children:
            if self.enabled(node) and "reusable" not in node.properties:
                for _, address, size in reg(node):
                    if size:
                        yield address, size, "no-map" in node.properties


# --- The same words as test_dt_trees.c's dump ----------------------------------------------------

def outcome(f, *arguments):
    try:
        return f(*arguments)
    except Malformed:
        return "malformed"
    except Unmapped:
        return "unmapped"


def describe_reg(node):
    entries_ = outcome(reg, node)
    if entries_ == "malformed":
        yield " reg 0 malformed"
        return
    for i, (space, address, size) in enumerate(entries_):
        pa = outcome(to_cpu, node.parent, space, address)
        yield f" reg {i} {pa if isinstance(pa, str) else f'{pa:#x} {size:#x}'}"


def describe_interrupts(tree, node):
    for i, own in enumerate(tree.own_interrupts(node)):
        if own is None:
            yield f" irq {i} none"
            continue
        result = outcome(tree.interrupt, node, *own)
        if isinstance(result, str):
            yield f" irq {i} {result}"
        else:
            yield " ".join([f" irq {i}", result[0].path, *(f"{c:#x}" for c in result[1])])


def describe_windows(node):
    if node.parent is None:
        return
    windows = dma_windows(node)
    for bus, pa, size in [(0, 0, ALL)] if windows is None else windows:
        yield f" dma {bus:#x} {pa:#x} {min(size, ALL):#x}"


def describe(source):
    """The lines that `test_dt_trees dump` should print for this tree."""
    tree = Tree(source)
    for node in tree.nodes:
        yield node.path
        yield (" enabled" if tree.enabled(node) else " disabled") + \
              (" coherent" if tree.coherent(node) else "")
        yield from describe_reg(node)
        yield from describe_interrupts(tree, node)
        yield from describe_windows(node)
    for address, size in tree.memory():
        yield f"memory {address:#x} {size:#x}"
    for address, size, no_map in tree.reserved():
        yield f"reserved {address:#x} {size:#x}" + (" no-map" if no_map else "")
    chosen = tree.find("/chosen")
    stdout = chosen.strings("stdout-path") if chosen else []
    path, _, options = (stdout or [""])[0].partition(":")
    console = tree.find(path) if path else None
    yield f"stdout {console.path if console else ''} {options or '-'}"
    if chosen and chosen.cells("linux,initrd-start"):
        yield (f"initrd {number(chosen.cells('linux,initrd-start')):#x} "
               f"{number(chosen.cells('linux,initrd-end')):#x}")


def describe_file(path):
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", path], check=True,
                            stdout=subprocess.PIPE).stdout.decode("latin-1")
    return list(describe(source))
