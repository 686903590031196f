# SPDX-License-Identifier: Apache-2.0
"""A boot loader's mistakes get a clear answer: on the console where the tree names one, else in
boot_stop_reason and x0 at boot_stopped, which a debugger can read (docs/boot.md). The image starts
with x0 and the tree as the test wants them; QEMU's own -kernel would mend them."""
import contextlib
import re
import struct
import subprocess
import tempfile
import time

import pytest
from build import build
from gdb import Gdb
from qemu import Qemu

LOAD, TREE = 0x40200000, 0x44000000
NO_TREE, TREE_TOO_BIG, TREE_BROKEN, NO_ROOM, NO_CONSOLE = 1, 2, 3, 4, 5
X0, PC = 0, 32


def symbols(app="hello"):
    lines = subprocess.check_output(["aarch64-linux-gnu-nm", build(app) / "image.elf"], text=True)
    return {f[2]: int(f[0], 16) for f in map(str.split, lines.splitlines()) if len(f) == 3}


@pytest.fixture(scope="module")
def virt_dts(tmp_path_factory):
    """QEMU virt's own tree, as source; without seeds, so that the image stays at LOAD."""
    dtb = tmp_path_factory.mktemp("trees") / "virt.dtb"
    subprocess.run(["qemu-system-aarch64", "-M", f"virt,dumpdtb={dtb}", "-nic", "none", "-m", "128M",
                    "-display", "none"], check=True, stderr=subprocess.DEVNULL)
    dts = subprocess.check_output(["dtc", "-q", "-I", "dtb", "-O", "dts", dtb], text=True)
    return re.sub(r"(?m)^.*(kaslr-seed|rng-seed) = .*\n", "", dts)


def compile_tree(dts):
    return subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb"], input=dts.encode(), check=True,
                          stdout=subprocess.PIPE).stdout


def without(dts, node):
    """The source without a node that is one brace deep."""
    result, count = re.subn(r"(?ms)^\t" + node + r"[^\n]*\{\n.*?^\t\};\n", "", dts)
    assert count >= 1, node
    return result


@contextlib.contextmanager
def started(tree, x0=TREE, **options):
    """The image at LOAD with x0, and tree (bytes, or None) at TREE. Yields machine and debugger."""
    with tempfile.TemporaryDirectory(prefix="pith-test-") as folder:
        image = build("hello") / "Image"
        devices = ["-S", "-gdb", f"unix:{folder}/gdb,server=on,wait=off",
                   "-device", f"loader,file={image},addr={LOAD:#x},cpu-num=0,force-raw=on"]
        if tree is not None:
            with open(f"{folder}/tree.dtb", "wb") as f:
                f.write(tree)
            devices += ["-device", f"loader,file={folder}/tree.dtb,addr={TREE:#x},force-raw=on"]
        with Qemu(devices=devices, **options) as machine:
            gdb = Gdb(f"{folder}/gdb")
            gdb.set_register(X0, x0)
            gdb.set_register(PC, LOAD)
            yield machine, gdb
            gdb.close()


def stop_reason(tree, x0=TREE, **options):
    """Boot, wait for boot_stopped; the reason, which x0 and boot_stop_reason must both say."""
    names = symbols()
    with started(tree, x0, **options) as (machine, gdb):
        deadline = time.monotonic() + 30
        while True:
            gdb.go_on()
            time.sleep(0.2)
            gdb.stop()
            registers = gdb.registers()
            if 0 <= registers[PC] - LOAD - names["boot_stopped"] <= 4:
                break
            assert time.monotonic() < deadline, f"pc {registers[PC]:#x}: {machine.output}"
        in_memory = struct.unpack("<I", gdb.memory(LOAD + names["boot_stop_reason"], 4))[0]
        assert in_memory == registers[X0]
        assert machine.output == ""            # nothing was written to a device that was guessed
        return registers[X0]


def said(tree, pattern, **options):
    with started(tree, **options) as (machine, gdb):
        gdb.go_on()
        machine.expect(pattern)


@pytest.mark.parametrize("x0", [0, 0x100, TREE + 4, 0x7FFFFFFF8])
def test_without_a_tree_boot_stops_with_a_reason(x0):
    assert stop_reason(None, x0) in (NO_TREE, 7)   # 7: the address does not even answer


def test_a_tree_larger_than_the_protocol_allows(virt_dts):
    tree = bytearray(compile_tree(virt_dts))
    tree[4:8] = struct.pack(">I", 0x200001)
    assert stop_reason(bytes(tree)) == TREE_TOO_BIG


@pytest.mark.parametrize("offset,value", [(8, 0xFFFFFF00), (12, 0x100000), (36, 3), (24, 99)])
def test_a_damaged_tree_header(virt_dts, offset, value):
    tree = bytearray(compile_tree(virt_dts))
    tree[offset:offset + 4] = struct.pack(">I", value)
    assert stop_reason(bytes(tree)) == TREE_BROKEN


def test_a_damaged_tree_structure(virt_dts):
    tree = bytearray(compile_tree(virt_dts))
    structure = struct.unpack(">I", tree[8:12])[0]
    tree[structure + 64:structure + 68] = b"\xff\xff\xff\xff"
    assert stop_reason(bytes(tree)) == TREE_BROKEN


def test_a_tree_inside_the_image(virt_dts):
    tree = compile_tree(virt_dts)
    with started(tree) as (machine, gdb):     # something readable where the image's bss is
        bss = LOAD + symbols()["__boot_stack_guard"]
        for i in range(0, 8, 8):
            gdb.command(f"M{bss + i:x},8:" + tree[i:i + 8].hex())
        gdb.set_register(X0, bss)
        gdb.go_on()
        time.sleep(0.5)
        gdb.stop()
        assert gdb.registers()[X0] == NO_ROOM


def test_no_console_in_the_tree(virt_dts):
    assert stop_reason(compile_tree(without(virt_dts, "pl011@"))) == NO_CONSOLE


def test_no_memory_node(virt_dts):
    said(compile_tree(without(virt_dts, "memory@")), r"PANIC: .*no memory node")


def test_no_interrupt_controller(virt_dts):
    said(compile_tree(without(virt_dts, "intc@")), r"PANIC: no interrupt controller")


def test_no_timer(virt_dts):
    said(compile_tree(without(virt_dts, "timer")), r"PANIC: no timer")


@pytest.mark.parametrize("machine", ["secure=on", "secure=on,virtualization=on"])
def test_entered_at_el3(virt_dts, machine):
    said(compile_tree(virt_dts), r"PANIC: entered at EL3", machine=machine)


def test_shuffled_nodes(virt_dts):
    """The order of nodes means nothing: devices before their controllers, memory last."""
    head, body = virt_dts.split("{\n", 1)
    properties = "".join(re.findall(r"(?m)^\t[^\t{}\n]*;\n", body))
    nodes = re.findall(r"(?ms)^\t[^\t\n]*\{\n.*?^\t\};\n", body)
    assert len(nodes) > 10
    tree = compile_tree(head + "{\n" + properties + "".join(reversed(nodes)) + "};\n")
    said(tree, r"exit status 0")


def test_earlycon_build_names_the_reason():
    """A debug build may print, where its maker says that a PL011 is."""
    with tempfile.TemporaryDirectory(prefix="pith-test-") as folder:
        image = build("hello", "EARLYCON=0x09000000") / "Image"
        devices = ["-S", "-gdb", f"unix:{folder}/gdb,server=on,wait=off",
                   "-device", f"loader,file={image},addr={LOAD:#x},cpu-num=0,force-raw=on"]
        with Qemu(devices=devices) as machine:
            gdb = Gdb(f"{folder}/gdb")
            gdb.set_register(X0, 0)
            gdb.set_register(PC, LOAD)
            gdb.go_on()
            machine.expect(r"pith: boot stopped, reason 1")
            gdb.close()
