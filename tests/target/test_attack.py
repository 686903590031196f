# SPDX-License-Identifier: Apache-2.0
"""Promise 5, "nothing runs that was not meant to": each memory rule is attacked, on the target, and
must end in a panic that names the cause and where it happened."""
import re

import pytest
from qemu import Qemu

APP = "tests/target/attack"
ATTACKS = {
    "write-text": r"data abort: write to 0x\w+, permission fault: the image's code",
    "write-constant": r"data abort: write to 0x\w+, permission fault: the image's constants",
    "write-relocated-constant": r"data abort: write to 0x\w+, permission fault: the image's const",
    "run-data": r"instruction abort: execution at 0x\w+, permission fault: data is not executable",
    "run-heap": r"instruction abort: execution at 0x\w+, permission fault: data is not executable",
    "run-stack": r"instruction abort: execution at 0x\w+, permission fault: data is not executable",
    "run-constant": r"(instruction abort: execution at 0x\w+, permission fault|misaligned program)",
    "read-null": r"data abort: read from 0x0, translation fault: NULL pointer",
    "write-null-page": r"data abort: write to 0xfff, translation fault: NULL pointer",
    "call-null": r"instruction abort: execution at 0x0, translation fault: NULL pointer",
    "overflow-main-stack": r"data abort: .*: stack overflow in thread main",
    "overflow-thread-stack": r"data abort: .*: stack overflow in thread (?!main)\w+",
    "overflow-interrupt-stack": r"data abort: .*: overflow of the interrupt stack",
    "smash-canary": r"stack canary overwritten",
    "fail-assert": r"assert.*two == 3",
    "undefined-instruction": r"undefined instruction",
    "abort": r"abort",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_ends_in_a_panic_that_says_why(attack):
    with Qemu(APP, append=f"panic=halt {attack}") as machine:
        machine.expect(f"attack {attack}")
        machine.expect(r"PANIC: .*" + ATTACKS[attack])
        machine.expect(r"thread \S+, attack \d+\.\d+\.\d+, build [0-9a-f]{40}")
        machine.expect(r"(by|at|lr) image\+0x[0-9a-f]+")
        machine.expect(r"halted")
        assert "succeeded" not in machine.output


@pytest.mark.parametrize("gic,el,cpu", [(3, 2, "max"), (2, 1, "cortex-a53")])
def test_a_fault_is_reported_on_every_kind_of_cpu(gic, el, cpu):
    with Qemu(APP, gic=gic, el=el, cpu=cpu, append="panic=halt overflow-interrupt-stack") as machine:
        machine.expect(r"PANIC: .*overflow of the interrupt stack")
        machine.expect(r"halted")


def test_without_panic_halt_the_machine_resets():
    with Qemu(APP, append="read-null", devices=["-no-reboot"]) as machine:
        machine.expect(r"PANIC")
        machine.expect(r"reset")
        assert machine.wait() == 0     # -no-reboot: a reset ends QEMU


def test_the_canary_is_different_from_boot_to_boot():
    canaries = set()
    for _ in range(3):
        with Qemu(APP) as machine:
            canaries.add(machine.expect(r"canary ([0-9a-f]{16})")[1])
            machine.wait()
    assert len(canaries) == 3
    assert not any(re.fullmatch("0+", c) for c in canaries)
