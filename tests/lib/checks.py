# SPDX-License-Identifier: Apache-2.0
"""Programs that print "ok name" and "FAIL name" (tests/target/check.h)."""
import re

from qemu import Qemu


def run_checks(app, at_least=1, **machine):
    """Run the program to its end; every check must be ok, and there must be some. The names."""
    with Qemu(app, **machine) as m:
        m.expect(r"exit status \d+", timeout_s=240)
        m.wait()
        failed = re.findall(r"^FAIL .*$", m.output, re.M)
        passed = re.findall(r"^ok (.*)$", m.output, re.M)
        assert not failed, "\n".join(failed)
        assert "exit status 0" in m.output, m.output
        assert len(passed) >= at_least, m.output
        return passed
