# SPDX-License-Identifier: Apache-2.0
"""The commands of the README, as a user types them."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest
from build import ROOT, VERSION, alone, build, make, own
from qemu import Qemu, free_port

DEADLINE_S = 120


def run(*arguments, typed=b"", until=None):
    """Run make in a session of its own; what it printed until it ended or printed `until`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.Popen(["make", "--no-print-directory", *arguments], cwd=ROOT, env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         start_new_session=True)
    try:
        if until is None:
            return p.communicate(typed, DEADLINE_S)[0].decode(errors="replace")
        out, deadline = "", time.monotonic() + DEADLINE_S
        os.set_blocking(p.stdout.fileno(), False)
        while not re.search(until, out) and p.poll() is None and time.monotonic() < deadline:
            out += (p.stdout.read() or b"").decode(errors="replace")
            time.sleep(0.05)
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            p.stdin.write(typed)
            p.stdin.flush()
        p.wait(DEADLINE_S)
        return out + (p.stdout.read() or b"").decode(errors="replace")
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    with own("hello", tmp_path_factory.mktemp("commands")) as app:
        with alone():   # all that is not the app's own, too
            make("image", "uboot", f"APP={app}", check=True)
        yield app


def test_make_run_prints_the_line_of_hello(hello):
    out = run("run", f"APP={hello}")
    assert "To leave, press Ctrl-A, then X." in out and "Hello from Pith" in out


def test_ctrl_a_x_leaves_make_run():
    build("web")
    out = run("run", "APP=web", f"VERSION={VERSION}", f"PORT={free_port()}", typed=b"\x01x",
              until=r"press Ctrl-A")
    assert "press Ctrl-A" in out    # and wait() has returned


MODELS = {"qemu-virt": "linux,dummy-virt", "rpi3": "Raspberry Pi 3 Model B",
          "rpi4": "Raspberry Pi 4 Model B"}


@pytest.mark.parametrize("how,verified", [("direct", "unverified"), ("uboot", "slot A")])
@pytest.mark.parametrize("board", MODELS)
def test_make_run_boots_every_board(hello, board, how, verified):
    """A Pi gets seeds, as its firmware adds them. By U-Boot its watchdog is hidden: no power off."""
    out = run("run", f"APP={hello}", f"BOARD={board}", f"BOOT={how}", typed=b"\x01x",
              until=r"exit status 0\r?\n").replace("\r", "")
    assert re.search(rf"(?m)^\[.*\] {MODELS[board]}, EL[12], \d+ MiB, {verified}$", out)
    assert "Hello from Pith" in out and "no seed" not in out


def test_make_debug_stops_at_main_with_symbols():
    build("hello")
    out = run("debug", "APP=hello", f"VERSION={VERSION}", typed=b"bt\nquit\n")
    assert re.search(r"Temporary breakpoint 1, main \(.*\) at apps/hello/main.c:\d+", out)
    assert re.search(r"#0 +main \(", out)


def test_web_answers_on_the_forwarded_port():
    with Qemu("web", net=True) as machine:
        machine.expect(r"web: listening")   # the address may come before it or behind it
        with urllib.request.urlopen(f"http://127.0.0.1:{machine.port(80)}/", timeout=60) as r:
            assert r.status == 200 and b"<html" in r.read().lower()


def test_an_app_from_the_template_runs(tmp_path):
    folder = tmp_path / f"fresh-{os.getpid()}"
    try:
        make("new", f"APP={folder}", check=True)
        with Qemu(str(folder)) as machine:
            machine.expect(r"Replace main.c by your program")
            machine.wait()
    finally:
        shutil.rmtree(ROOT / "build" / folder.name, ignore_errors=True)


def test_symbolize_turns_a_panic_into_functions_and_lines(tmp_path):
    folder = tmp_path / f"crashes-{os.getpid()}"
    folder.mkdir()
    (folder / "app.mk").write_text("FEATURES :=\n")
    (folder / "main.c").write_text(
        "__attribute__((noipa)) static void break_it(volatile int *p)\n{\n\t*p = 1;\n}\n\n"
        "int main(void)\n{\n\tbreak_it((int *)16);\n\treturn 0;\n}\n")
    try:
        with Qemu(str(folder), append="panic=halt") as machine:
            machine.expect(r"halted")
            log = machine.output
        assert "app/main.c" not in log
        told = subprocess.run([ROOT / "tools/symbolize"], input=log, text=True, check=True,
                              capture_output=True).stdout
        assert re.search(r"at image\+0x[0-9a-f]+ break_it \(app/main.c:3\)", told)
        assert re.search(r"image\+0x[0-9a-f]+ main \(app/main.c:[89]\)", told)
    finally:
        shutil.rmtree(ROOT / "build" / folder.name, ignore_errors=True)


def test_size_names_folders_and_symbols():
    build("web")
    out = run("size", "APP=web", f"VERSION={VERSION}")
    for folder in ("kernel", "net", "lwip", "picolibc", "app"):
        assert re.search(rf"(?m)^{folder}\S* +\d+ +\d+ +\d+$", out)
    assert re.search(r"(?m)^ +\d+  code    \w+$", out)
