# SPDX-License-Identifier: Apache-2.0
"""The image boots wherever and however it is loaded (promise 1), and says what it did."""
import re

import pytest
from build import build
from qemu import Qemu

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
    assert re.search(r"^\[ +\d+\.\d{6}\] Pith: hello 0\.1\.0, build [0-9a-f]{12}", output, re.M)
    assert f"EL{el}" in output


@pytest.mark.parametrize("machine", ["secure=on", "highmem=off", "its=off"])
def test_other_machine_options(machine):
    gic = 3 if machine == "its=off" else 2
    assert "PSCI" not in boots(machine=machine, gic=gic)


def test_secondary_cpus_stay_parked():
    with Qemu("tests/target/threads", smp=4, devices=ICOUNT, qmp=True) as m:
        m.expect(r"ok ")
        cpus = m.qmp("query-cpus-fast")
        assert len(cpus) == 4
        m.expect(r"exit status 0", timeout_s=240)


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
        with Qemu("tests/target/attack", append=f"panic=halt {append} read-null") as m:
            found.add(int(m.expect(r"image at 0x([0-9a-f]+)")[1], 16))
    return found


def test_the_image_moves_to_a_random_place():
    found = places("")
    assert len(found) == 4
    assert all(p % 4096 == 0 for p in found)


def test_nokaslr_keeps_it_where_it_was_loaded():
    assert places("nokaslr") == {0x40200000}


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
        assert m.expect(r"argv: (.*)")[1] == "args|one|two words|three=3|NAME2"
        assert m.expect(r"NAME: (.*)")[1] == "value"


@pytest.mark.parametrize("how,status", [("return", 3), ("exit", 4), ("_exit", 5)])
def test_the_exit_status_is_visible_and_the_machine_off(how, status):
    with Qemu("tests/target/args", append=f"-- {how}") as m:
        assert int(m.expect(r"exit status (\d+)")[1]) == status
        assert m.wait() == 0
