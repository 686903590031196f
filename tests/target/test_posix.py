# SPDX-License-Identifier: Apache-2.0
"""POSIX for apps: the same programs, on Pith and on the Linux that builds it, say the same."""
import re
import subprocess

import pytest
from build import ROOT
from checks import run_checks
from qemu import Qemu

PROGRAMS = ["epoll", "posix", "sockets"]
# Checks under #ifndef __linux__: what Linux leaves open or does otherwise.
ONLY_PITH = re.compile(r"close\(\)|exhaustion|nothing is written|signals: nothing else"
                       r"|environment changed by four threads")
LINE = re.compile(r"stdout [012] \d+ abcdefghijklmnopqrstuvwxyz 0123456789 end"
                  r"|stderr [012] \d+ ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 end")


def on_linux(program, folder):
    """The names of the checks that passed, natively; none may fail."""
    binary = folder / program
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
                    "-Wno-unused-result", "-fsanitize=address,undefined", "-pthread",
                    "-I", ROOT / "tests/target", ROOT / f"tests/target/{program}/main.c",
                    "-o", binary], check=True)
    r = subprocess.run([binary], cwd=ROOT / f"tests/target/{program}", text=True,
                       capture_output=True)
    assert r.returncode == 0 and "FAIL" not in r.stdout, r.stdout + r.stderr
    return re.findall(r"^ok (.*)$", r.stdout, re.M)


@pytest.mark.parametrize("program", PROGRAMS)
def test_same_as_on_linux(program, tmp_path):
    pith = run_checks(f"tests/target/{program}", at_least=80)
    linux = on_linux(program, tmp_path)
    assert [name for name in pith if not ONLY_PITH.search(name)] == linux


@pytest.mark.parametrize("machine", [dict(gic=3, el=2, cpu="max"), dict(memory="8M"), dict(memory="1G")],
                         ids=str)
@pytest.mark.parametrize("program", PROGRAMS)
def test_on_other_machines(program, machine):
    run_checks(f"tests/target/{program}", at_least=80, **machine)


def test_lines_of_stdout_and_stderr_never_mix():
    with Qemu("tests/target/posix") as machine:
        machine.expect(r"exit status \d+", timeout_s=240)
        lines = [line for line in machine.output.splitlines() if "std" in line.split(" ")[0]]
        assert len(lines) == 3 * 40 * 2
        assert all(LINE.fullmatch(line) for line in lines)
