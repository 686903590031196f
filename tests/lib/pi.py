# SPDX-License-Identifier: Apache-2.0
"""A Raspberry Pi: QEMU 10's raspi3b or raspi4b with a tree of Debian's kernel package.

    with Pi("raspi4b", "hello") as machine:
        machine.expect(r"Hello")
        assert machine.wait() == 0

What the firmware would add to the tree, tree_edits and seeds add here.
"""
import os
import pathlib
import shutil
import subprocess

from build import ROOT, make
from qemu import Qemu, program

TREES = {"raspi3b": "bcm2837-rpi-3-b", "raspi4b": "bcm2711-rpi-4-b"}
BOARDS = list(TREES)


class Pi(Qemu):
    """
    board       "raspi3b" or "raspi4b"
    console     "mini-uart": as the tree's stdout-path says; "pl011": stdout-path names that
    tree        another than Debian's kernel package has: a file
    seeds       fresh rng-seed and kaslr-seed in the tree
    tree_edits  more arguments of fdtput, a list each: ["-t", "s", "/leds", "status", "disabled"]
    watchdog    False: its node is disabled, as where arming it resets at once (with U-Boot)
    """

    def __init__(self, board, app=None, *, image=None, append="", console="mini-uart", seeds=True,
                 tree=None, tree_edits=(), watchdog=True, devices=(), qmp=False):
        self._prepare()
        self.tree = pathlib.Path(self._folder) / "tree.dtb"
        shutil.copy(tree or self._debians(board), self.tree)
        for edit in self._edits(console, seeds, watchdog, tree_edits):
            path = next(i for i, word in enumerate(edit) if word.startswith("/"))
            subprocess.run(["fdtput", *edit[:path], self.tree, *edit[path:]], check=True)
        self.other_serial = pathlib.Path(self._folder) / "serial"
        serials = ["-serial", "stdio", "-serial", f"file:{self.other_serial}"]
        if console == "mini-uart":
            serials = serials[2:] + serials[:2]
        # The three parked CPUs look for work all the time: in threads of their own they take the
        # host's from the one that has some. (-icount does the same.)
        single = [] if "-icount" in devices else ["-accel", "tcg,thread=single"]
        self.command = [program(10), "-M", board, *single, *self._kernel(app, image, append),
                        "-dtb", str(self.tree), "-display", "none", "-monitor", "none",
                        "-no-user-config", *serials, *map(str, devices), *self._qmp_options(qmp)]

    def _debians(self, board):
        make("build/deps/dtbs/.ready", check=True)
        return ROOT / f"build/deps/dtbs/broadcom/{TREES[board]}.dtb"

    def _edits(self, console, seeds, watchdog, more):
        if console == "pl011":
            yield ["-t", "s", "/chosen", "stdout-path", "serial0:115200n8"]
        if not watchdog:
            yield ["-t", "s", "/soc/watchdog@7e100000", "status", "disabled"]
        for name, count in (("kaslr-seed", 8), ("rng-seed", 64)):
            if seeds:
                yield ["-t", "bx", "/chosen", name, *(f"{b:02x}" for b in os.urandom(count))]
        yield from more
