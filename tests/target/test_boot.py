# SPDX-License-Identifier: Apache-2.0
"""The image boots wherever and however it is loaded (promise 1), and says what it did."""
import re
import subprocess

import pytest
from build import build
from checks import run_checks
from qemu import Qemu
from trees import boot_with_tree

# Virtual time: exact, and idle time takes none.
ICOUNT = ["-icount", "shift=0,sleep=off"]


def boots(app="hello", **machine):
    with Qemu(app, **machine) as m:
        m.expect(r"exit status 0")
        assert m.wait() == 0
        return m.output


@pytest.mark.parametrize("gic", [2, 3])
@pytest.mark.parametrize("el", [1, 2])
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72", "max"])
@pytest.mark.parametrize("memory", ["5M", "64M", "4G"])
def test_hello_boots(gic, el, cpu, memory):
    output = boots(gic=gic, el=el, cpu=cpu, memory=memory)
    assert re.search(r"^\[ +\d+\.\d{6}\] Pith: hello \d+\.\d+\.\d+, build [0-9a-f]{12}", output, re.M)
    assert f"EL{el}" in output


@pytest.mark.parametrize("machine", ["secure=on", "highmem=off", "its=off"])
def test_other_machine_options(machine):
    gic = 3 if machine == "its=off" else 2
    assert "PSCI" not in boots(machine=machine, gic=gic)


def test_secondary_cpus_stay_parked():
    """Off since reset: not one instruction of theirs has run."""
    with Qemu("tests/target/attack", append="panic=halt read-null", smp=4, qmp=True) as m:
        m.expect(r"halted")
        registers = m.qmp("human-monitor-command", **{"command-line": "info registers -a"})
        first, *others = [int(pc, 16) for pc in re.findall(r"PC=(\w+)", registers)]
        assert first > 0 and others == [0, 0, 0]


def test_four_cpus_are_as_good_as_one():
    boots("tests/target/threads", smp=4, devices=ICOUNT)


def test_ram_full_of_garbage(tmp_path):
    """Nothing relies on RAM being zero, as it is in QEMU and is not on a board."""
    ram = tmp_path / "ram"
    ram.write_bytes(bytes(range(1, 256)) * 4096 * 129)    # no zero byte
    with open(ram, "r+b") as f:
        f.truncate(128 << 20)
    backend = f"memory-backend-file,id=ram,size=128M,mem-path={ram},share=on"
    boots("tests/target/threads", memory="128M", machine="memory-backend=ram",
          devices=["-object", backend, *ICOUNT])


def places(append):
    found = set()
    for _ in range(4):
        with Qemu("tests/target/attack", append=f"panic=halt read-null {append}") as m:
            found.add(int(m.expect(r"image at 0x([0-9a-f]+):")[1], 16))
    return found


def test_the_image_moves_to_a_random_place():
    found = places("")
    assert len(found) == 4
    assert all(p % 4096 == 0 for p in found)


def test_nokaslr_keeps_it_where_it_was_loaded():
    assert places("nokaslr") == {0x40200000}
    assert places("a  nokaslr -- b") == {0x40200000}


def test_the_programs_own_words_are_not_for_the_kernel():
    assert 0x40200000 not in places("-- nokaslr")


@pytest.mark.parametrize("offset", [0, 0x600000, 0x7A00000 - 0x200000])
def test_any_2_mib_aligned_address(offset, tmp_path):
    """Loaded elsewhere than its header asks for: QEMU honours text_offset, so shift that."""
    image = bytearray((build("hello") / "Image").read_bytes())
    image[8:16] = (0x200000 + offset).to_bytes(8, "little")
    path = tmp_path / "Image"
    path.write_bytes(image)
    with Qemu(image=path, append="nokaslr") as m:
        m.expect(rf"stays where it was loaded, 0x{0x40200000 + offset:x}: nokaslr")
        m.expect(r"exit status 0")


def test_seeds_are_wiped_after_use():
    """Whoever reads the tree later finds no seed."""
    with Qemu("tests/target/seeds") as m:
        m.expect(r"ok rng-seed is wiped")
        m.expect(r"ok kaslr-seed is wiped")
        m.expect(r"exit status 0")


def test_bootargs_become_arguments_and_environment():
    with Qemu("tests/target/args", append='one NAME=value "two words" a.b=c -- three=3 NAME2') as m:
        assert m.expect(r"argv: (.*)\n")[1] == "args|one|two words|three=3|NAME2"
        assert m.expect(r"NAME: (.*)\n")[1] == "value"


@pytest.mark.parametrize("how,status", [("return", 3), ("exit", 4), ("_exit", 5)])
def test_the_exit_status_is_visible_and_the_machine_off(how, status):
    with Qemu("tests/target/args", append=f"-- {how}") as m:
        assert int(m.expect(r"exit status (\d+)\n")[1]) == status
        assert m.wait() == 0


def test_the_initrd_is_left_alone(tmp_path):
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes((i * 7 + (i >> 8)) & 255 for i in range(700001)))
    for _ in range(3):    # three random places
        assert "initrd is whole" in run_checks("tests/target/reserved",
                                               devices=["-initrd", initrd])


def virt_tree(tmp_path):
    """QEMU virt's tree with 128 MiB, as source, and where to put it back."""
    dtb = tmp_path / "virt.dtb"
    subprocess.run(["qemu-system-aarch64", "-M", f"virt,dumpdtb={dtb}", "-nic", "none",
                    "-display", "none"], check=True, stderr=subprocess.DEVNULL)
    return subprocess.check_output(["dtc", "-q", "-I", "dtb", "-O", "dts", dtb], text=True), dtb


def test_reserved_memory_is_nobodys(tmp_path):
    """/memreserve/, static, no-map regions, the crash record's place: not given out. reusable, size
    only: ours to use."""
    dts, dtb = virt_tree(tmp_path)
    arguments = "40180000-40184000 41000000-41001000 43000000-43180000 44123000-44125000! 45000000-45100000+"
    dts = dts.replace("/dts-v1/;", "/dts-v1/;\n/memreserve/ 0x41000000 0x1000;", 1)
    dts = re.sub(r"(?m)^\tchosen \{", f"""\treserved-memory {{
\t\t#address-cells = <2>;
\t\t#size-cells = <2>;
\t\tranges;
\t\tkept@43000000 {{ reg = <0 0x43000000 0 0x180000>; }};
\t\tsecure@44123000 {{ reg = <0 0x44123000 0 0x2000>; no-map; }};
\t\tcma@45000000 {{ reg = <0 0x45000000 0 0x100000>; reusable; }};
\t\tpool {{ size = <0 0x400000>; }};
\t}};
\tchosen {{
\t\tbootargs = "{arguments}";""", dts)
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", dtb], input=dts.encode(),
                   check=True)
    with boot_with_tree(build("tests/target/reserved") / "Image", dtb, tmp_path) as m:
        m.expect(r"exit status 0")
        assert len(re.findall(r"^ok region", m.output, re.M)) == 10, m.output


def test_without_seeds():
    """No seed: it boots where it is, says so, and the log says that canaries are best effort."""
    with Qemu("tests/target/attack", machine="dtb-randomness=off") as m:
        m.expect(r"stays where it was loaded, 0x40200000: no seed")
        m.expect(r"no rng-seed in the device tree: stack canaries are best effort")
        m.expect(r"exit status 0")


def test_the_pl011_is_the_console_with_a_virtio_console_there():
    with Qemu("hello", devices=["-device", "virtio-serial-device", "-device",
                                "virtconsole,chardev=c", "-chardev", "null,id=c"]) as m:
        m.expect(r"Hello")
        m.expect(r"exit status 0")
