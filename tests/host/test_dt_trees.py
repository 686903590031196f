# SPDX-License-Identifier: Apache-2.0
"""What kernel/dt.c derives: addresses, DMA windows, interrupts, memory; over every arm64 tree of
Debian's kernel package and QEMU's own, against the model in dt_reference.py."""
import itertools
import multiprocessing
import pathlib
import subprocess

import pytest

from build import ROOT, make
from dt_reference import describe_file

DUMPER = ROOT / "build/host/test_dt_trees"


@pytest.fixture(scope="module")
def dumper():
    make(DUMPER.relative_to(ROOT), check=True)
    return DUMPER


def dump(dumper, files):
    """{file: lines} of what dt.c says."""
    out = subprocess.run([dumper, "dump", *files], check=True, stdout=subprocess.PIPE)
    trees, lines = {}, None
    for line in out.stdout.decode("latin-1").splitlines():
        if line.startswith("file "):
            lines = trees.setdefault(line[5:], [])
        else:
            lines.append(line)
    return trees


def first_difference(ours, reference):
    node = ""
    for a, b in itertools.zip_longest(ours, reference):
        if a != b:
            return f"at {node}: dt.c says {a!r}, the model {b!r}"
        node = a if a.startswith("/") else node
    return None


def compare(dumper, files):
    """Every file; the differences and how many lines agreed."""
    files = [str(f) for f in files]
    half = (len(files) + 1) // 2
    with multiprocessing.Pool(2) as pool:
        model = pool.map_async(describe_file, files, chunksize=8)
        ours = dump(dumper, files[:half]) | (dump(dumper, files[half:]) if files[half:] else {})
        model = dict(zip(files, model.get()))
    wrong = {f: first_difference(ours[f], model[f]) for f in files}
    return {f: w for f, w in wrong.items() if w}, model


def count(model, start):
    return sum(line.startswith(start) for lines in model.values() for line in lines)


def test_every_tree_of_debians_kernel_means_what_the_model_says(dumper):
    files = sorted((ROOT / "build/deps/dtbs").rglob("*.dtb"))
    assert len(files) > 500
    wrong, model = compare(dumper, files)
    assert not wrong
    # The comparison was about something: what these trees are known to have plenty of.
    assert count(model, " reg ") > 80_000 and count(model, " irq ") > 60_000
    assert count(model, " dma ") > 200_000 and count(model, "reserved ") > 2000


def with_pci_devices(source):
    """In slots 0 and 1 of every PCI host a device for each pin, with a BAR in each window."""
    out, hosts = [], []    # hosts: per open node, [is PCI with a map, windows]
    for line in source.splitlines():
        text = line.strip()
        if text.endswith("{") or text == "};":
            if hosts and hosts[-1][0]:
                out += pci_devices(hosts[-1][1])
                hosts[-1][0] = False
            if text == "};":
                hosts.pop()
            else:
                hosts.append([False, []])
        elif hosts and text.startswith("interrupt-map = "):
            hosts[-1][0] = True
        elif hosts and text.startswith("ranges = "):
            cells = [int(c, 0) for c in text[len("ranges = <"):-2].split()]
            hosts[-1][1] = [cells[i:i + 7] for i in range(0, len(cells) - 6, 7)]
        out.append(line)
    return "\n".join(out)


def with_nodes(lines):
    """(node, line) for each line about a node."""
    node = ""
    for line in lines:
        if line.startswith("/"):
            node = line
        elif line.startswith(" "):
            yield node, line


def pci_devices(windows):
    for slot, pin in itertools.product((0, 1), (1, 2, 3, 4)):
        function = slot << 11 | (pin - 1) << 8
        bars = " ".join(f"<{w[0] | function | 0x10:#x} {w[1]:#x} {w[2] + 0x10:#x} 0 0x10>,"
                        for w in windows)
        yield (f"added@{slot},{pin} {{ reg = <{function:#x} 0 0 0 0>, {bars}"
               f" <{0x02000000 | function:#x} 0xff 0xfffff000 0 1>; interrupts = <{pin}>; }};")


def test_pci_devices_find_their_addresses_and_pins(dumper, tmp_path):
    """Real trees have PCI hosts but few devices on them: put some there."""
    files = []
    for tree in sorted((ROOT / "build/deps/dtbs").rglob("*.dtb")):
        if b"interrupt-map\0" not in tree.read_bytes():
            continue
        source = subprocess.check_output(["dtc", "-q", "-I", "dtb", "-O", "dts", tree])
        files.append(tmp_path / tree.name)
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", files[-1]], check=True,
                       input=with_pci_devices(source.decode("latin-1")).encode("latin-1"))
    wrong, model = compare(dumper, files)
    assert not wrong
    added = [line for lines in model.values() for node, line in with_nodes(lines)
             if "/added@" in node]
    reached = sum(line.startswith(" irq ") and "unmapped" not in line for line in added)
    mapped = sum(line.startswith(" reg ") and "unmapped" not in line for line in added)
    assert reached > 500 and mapped > 2000, f"{reached}, {mapped} in {len(files)} trees"


@pytest.mark.parametrize("machine", [
    "virt", "virt,gic-version=3", "virt,gic-version=3,its=on,virtualization=on", "virt,secure=on",
    "virt,highmem=off -smp 8 -m 2G", "virt,acpi=off,iommu=smmuv3"])
def test_qemus_own_trees_mean_what_the_model_says(dumper, machine, tmp_path):
    tree = tmp_path / "virt.dtb"
    kind, *options = machine.split()
    subprocess.run(["qemu-system-aarch64", "-M", f"{kind},dumpdtb={tree}", "-cpu", "cortex-a72",
                    "-nic", "none", "-nographic", *options], check=True,
                   stderr=subprocess.DEVNULL)
    wrong, model = compare(dumper, [tree])
    assert not wrong
    assert count(model, "/virtio_mmio@") == 32


def test_the_comparison_sees_a_difference(dumper):
    """The control: one changed line is found."""
    tree = next((ROOT / "build/deps/dtbs").rglob("bcm2711-rpi-4-b.dtb"))
    ours = dump(dumper, [str(tree)])[str(tree)]
    changed = [line.replace("0xfe201000", "0xfe201001") for line in ours]
    assert first_difference(ours, ours) is None
    assert "serial@7e201000" in first_difference(changed, ours)
    assert first_difference(ours[:-1], ours)
