# SPDX-License-Identifier: Apache-2.0
"""Building images, and other uses of make, from tests.

Files of tests run in parallel and share build/. So an app of the repository is built as VERSION only, and
alone(); a test that wants another version, card or make's own choice builds a copy of it (own()).
"""
import contextlib
import fcntl
import functools
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = "1.0.0"


def make(*arguments, cwd=ROOT, env=None, check=False):
    """Run make; its CompletedProcess, output and errors together in stdout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    r = subprocess.run(["make", "--no-print-directory", "-j2", *map(str, arguments)], cwd=cwd, text=True,
                       env=clean | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert not check or r.returncode == 0, f"make {' '.join(map(str, arguments))}:\n{r.stdout}"
    return r


@contextlib.contextmanager
def alone():
    """No other test replaces what is in build/ meanwhile."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/.test-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def own(app, folder):
    """A copy of apps/<app> in a folder, by a name that no other test builds; its path."""
    copy = folder / f"{app}-{os.getpid()}"
    shutil.copytree(ROOT / "apps" / app, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(ROOT / "build" / copy.name, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def build(app, *variables):
    """Build an app ("hello", "tests/target/wx", "/a/path"); the folder its image is in."""
    with alone():
        make(f"APP={app}", f"VERSION={VERSION}", *variables, check=True)
    kinds = {"EARLYCON=": "-earlycon", "DMA_DEBUG=": "-dmadebug"}    # as the Makefile has them
    suffix = "".join(s for k, s in kinds.items() if any(v.startswith(k) for v in variables))
    return ROOT / "build" / (pathlib.Path(app).name + suffix)


def git_files(*patterns):
    """The repository's files that match, as paths relative to ROOT."""
    out = subprocess.check_output(["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, text=True)
    return [f for f in out.split("\0") if f and (ROOT / f).exists()]
