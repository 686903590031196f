# SPDX-License-Identifier: Apache-2.0
"""The kernel's promises, checked by programs that run on it: translation tables, threads, memory."""
import pytest
from checks import run_checks

# 1 ns of virtual time is one instruction, idle time takes none: the host has no say in what is due.
ICOUNT = ["-icount", "shift=0,sleep=off"]

MACHINES = [dict(gic=2, el=1), dict(gic=3, el=2, cpu="max"), dict(gic=2, el=1, memory="8M"),
            dict(gic=3, el=1, memory="4G")]


@pytest.mark.parametrize("machine", MACHINES, ids=str)
@pytest.mark.parametrize("append", ["", "nokaslr"])
def test_live_tables_keep_w_xor_x(machine, append):
    run_checks("tests/target/tables", at_least=16, append=append, **machine)


def test_threads_in_virtual_time():
    """Preemption, inheritance, timers, registers, memory: with exact times."""
    run_checks("tests/target/threads", at_least=20, devices=ICOUNT)


@pytest.mark.parametrize("machine", [dict(gic=3, el=2, cpu="max"), dict(memory="8M")], ids=str)
def test_threads_on_other_machines(machine):
    run_checks("tests/target/threads", at_least=20, devices=ICOUNT, **machine)
