# SPDX-License-Identifier: Apache-2.0
"""What libc is given, seen from the link: every lock is ours, and what is not there fails here."""
import os
import re
import shutil
import subprocess

import pytest
from build import ROOT, build, make

# (declaration, call) of what POSIX has and Pith does not.
MISSING = {
    "fork": ("#include <unistd.h>", "fork()"),
    "execve": ("#include <unistd.h>", 'execve("/a", 0, 0)'),
    "kill": ("#include <signal.h>", "kill(1, SIGTERM)"),
    "alarm": ("#include <unistd.h>", "alarm(1)"),
    "pthread_cancel": ("int pthread_cancel(void *);", "pthread_cancel(0)"),
    "pthread_kill": ("int pthread_kill(void *, int);", "pthread_kill(0, 0)"),
    "sem_open": ("void *sem_open(const char *, int, ...);", 'sem_open("/a", 0) != 0'),
    "mmap": ("void *mmap(void *, unsigned long, int, int, int, long);",
             "mmap(0, 4096, 0, 0, 0, 0) != 0"),
}


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    """link(declaration, call) builds an app of that one call; one folder, so the rest only once."""
    folder = tmp_path_factory.mktemp("links") / f"one-call-{os.getpid()}"
    folder.mkdir()
    (folder / "app.mk").write_text("FEATURES :=\n")

    def with_call(declaration, call):
        (folder / "main.c").write_text(f"{declaration}\nint main(void)\n{{\n\treturn {call};\n}}\n")
        return make(f"APP={folder}")
    yield with_call
    shutil.rmtree(ROOT / "build" / folder.name, ignore_errors=True)


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_fails_at_link_time(name, link):
    r = link(*MISSING[name])
    assert r.returncode != 0 and re.search(rf"undefined reference to .{name}'", r.stdout), r.stdout


def test_what_is_there_links(link):
    """The control: the same way of asking succeeds for what is there."""
    r = link("#include <unistd.h>", "dup(0)")
    assert r.returncode == 0, r.stdout


def test_all_of_libc_s_locks_are_ours():
    folder = build("tests/target/posix")    # streams, environ, atexit, malloc: every user of locks
    text = (folder / "image.map").read_text()
    libc = ROOT.joinpath("/usr/lib/picolibc/aarch64-linux-gnu/lib/release/libc.a")
    defined = subprocess.check_output(["aarch64-linux-gnu-nm", "-A", "--defined-only", libc],
                                      text=True, stderr=subprocess.DEVNULL)
    locks = set(re.findall(r"libc_misc_lock\.c\.o:\S+ \S (\S+)", defined))
    assert len(locks) >= 11
    symbols = subprocess.check_output(["aarch64-linux-gnu-gcc-nm", folder / "obj/kernel/libc.o"],
                                      text=True)    # with GCC's plugin for what is not yet optimized
    for name in locks:
        assert re.search(rf" [TD] {name}$", symbols, re.M), f"{name} is not in kernel/libc.c"
    assert "libc_misc_lock" not in text    # so the linker had no reason to take picolibc's
    assert "nano-malloc" not in text
    assert "__retarget_lock_acquire" in text
