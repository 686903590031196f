# SPDX-License-Identifier: Apache-2.0
"""What every machine has: interrupt controllers, timer, console input, clock, power."""
import re
import subprocess

import pytest
from build import build
from checks import run_checks
from qemu import Qemu
from trees import boot_with_tree

APP = "tests/target/devices"
ICOUNT = ["-icount", "shift=0"]  # 1 ns of virtual time is one instruction

# {GICv2, GICv3} x {EL1: PSCI by hvc, EL2: PSCI by smc}
MACHINES = [dict(gic=2, el=1), dict(gic=2, el=2), dict(gic=3, el=1), dict(gic=3, el=2)]


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_timers_are_exact_and_the_machine_powers_off(machine):
    passed = run_checks(APP, at_least=7, devices=ICOUNT, **machine)
    assert "timers run within 5 us" in passed


@pytest.mark.parametrize("cpu", ["cortex-a53", "max"])
@pytest.mark.parametrize("version", [None, 10])
def test_timers_with_another_frequency(cpu, version):
    """The frequency comes from the machine: these two have different ones from QEMU 10 on."""
    run_checks(APP, at_least=7, devices=ICOUNT, cpu=cpu, gic=3, version=version)


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_lines_typed_arrive_edited(machine):
    with Qemu(APP, append="echo", **machine) as m:
        m.expect("type now")
        m.send("hello wrold\x7f\x7f\x7f\x7forld\r")
        m.expect("line <hello world> of 11")
        m.send("not this\x15but this\rand more\r")
        m.expect("line <but this> of 8")
        m.expect("line <and more> of 8")
        m.send("x" * 200 + "\r")
        m.expect("line <x{200}> of 200")
        m.send("\x04")
        m.expect("end of file")
        m.expect("exit status 0")
        assert m.wait() == 0
        # Echo: what was typed, with the erased characters wiped out.
        assert "hello wrold\b \b\b \b\b \b\b \borld\n" in m.output
        assert "not this^U\nbut this\n" in m.output


def test_input_comes_through_while_the_cpu_is_busy():
    with Qemu(APP, append="busy-echo") as m:
        m.expect("type now")
        for i in range(5):
            m.send(f"line {i}\r")
            m.expect(f"line <line {i}> of 6")
        m.send("\x04")
        m.expect("exit status 0")


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_reset_boots_again(machine):
    with Qemu(APP, append="reset", **machine) as m:
        for _ in range(3):
            m.expect("build id [0-9a-f]{40}")


@pytest.mark.parametrize("gic", [2, 3])
@pytest.mark.parametrize("el", [1, 2])
def test_two_security_states(gic, el):
    run_checks(APP, at_least=7, gic=gic, el=el, machine="secure=on", devices=ICOUNT)


@pytest.mark.parametrize("how", ["time", "reset"])
def test_without_psci_the_machine_stops_and_says_so(how, tmp_path):
    tree = tmp_path / "tree.dtb"
    with Qemu(APP, append=how, machine=f"dumpdtb={tree}") as m:
        m.wait()
    subprocess.check_call(["fdtput", "-t", "s", tree, "/psci", "status", "disabled"])
    with boot_with_tree(build(APP) / "Image", tree, tmp_path) as m:
        m.expect("this machine cannot (power|reset) itself( off)?; stopped")
        assert m.running()


def test_clock_is_the_pl031s():
    with Qemu(APP, devices=["-rtc", "base=2024-02-29T12:00:00,clock=vm"]) as m:
        seconds = int(m.expect(r"wall clock (\d+)\n")[1]) - 1709208000
        assert 0 <= seconds < 600


def test_build_id_is_the_linkers():
    with Qemu(APP, append="echo") as m:
        shown = m.expect("build id ([0-9a-f]{40})")[1]
        notes = subprocess.check_output(["aarch64-linux-gnu-readelf", "-n",
                                         "build/devices/image.elf"], text=True)
        assert re.search(r"Build ID: (\w+)", notes)[1] == shown
