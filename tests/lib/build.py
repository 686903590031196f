# SPDX-License-Identifier: Apache-2.0
"""Building images, and other uses of make, from tests."""
import fcntl
import functools
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = "1.0.0"    # of what tests build, so that none builds again what another has built


def make(*arguments, cwd=ROOT, env=None, check=False):
    """Run make; its CompletedProcess, output and errors together in stdout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    r = subprocess.run(["make", "--no-print-directory", "-j2", *map(str, arguments)], cwd=cwd, text=True,
                       env=clean | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert not check or r.returncode == 0, f"make {' '.join(map(str, arguments))}:\n{r.stdout}"
    return r


@functools.lru_cache(maxsize=None)
def build(app, *variables):
    """Build an app ("hello", "tests/target/wx", "/a/path"); the folder its image is in."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/.test-lock", "w") as lock:    # tests may run in parallel
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(f"APP={app}", f"VERSION={VERSION}", *variables, check=True)
    kinds = {"EARLYCON=": "-earlycon", "DMA_DEBUG=": "-dmadebug"}    # as the Makefile has them
    suffix = "".join(s for k, s in kinds.items() if any(v.startswith(k) for v in variables))
    return ROOT / "build" / (pathlib.Path(app).name + suffix)


def git_files(*patterns):
    """The repository's files that match, as paths relative to ROOT."""
    out = subprocess.check_output(["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, text=True)
    return [f for f in out.split("\0") if f and (ROOT / f).exists()]
