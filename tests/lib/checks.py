# SPDX-License-Identifier: Apache-2.0
"""Programs that print "ok name" and "FAIL name" (tests/target/check.h)."""
import re

from qemu import Qemu


def run_checks(app, at_least=1, **machine):
    """Run the program to its end; every check must be ok, and there must be some. The names."""
    with Qemu(app, **machine) as m:
        return check_output(m, at_least)


def check_output(machine, at_least=1):
    """The same of a machine that was started: to the program's end."""
    machine.expect(r"exit status \d+", timeout_s=240)
    machine.wait()
    failed = re.findall(r"^FAIL .*$", machine.output, re.M)
    passed = re.findall(r"^ok (.*)$", machine.output, re.M)
    assert not failed, "\n".join(failed)
    assert "exit status 0" in machine.output, machine.output
    assert len(passed) >= at_least, machine.output
    return passed
