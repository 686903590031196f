#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Update files for tests/host/test_powercut.c: as tools/fit and tools/update make them, of images that
are noise.

    tests/host/powercut_images.py KEYS OUT
"""
import pathlib
import random
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent.parent / "tools"
# Images of a few sectors, which are written at once, and one of many writes.
SIZES = {"1.0.0": 2600, "1.1.0": 3100, "1.2.0": 2900, "1.3.0": 600000, "1.4.0": 3700}


def run(*command):
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def main():
    keys, out = map(pathlib.Path, sys.argv[1:])
    for version, count in SIZES.items():
        image, fit = out / f"{version}.image", out / f"{version}.itb"
        image.write_bytes(random.Random(version).randbytes(count))
        run(TOOLS / "fit", image, fit, "--product", "powercut", "--version", version, "--keys", keys)
        run(TOOLS / "update", fit, out / f"{version}.pith", "--keys", keys)


if __name__ == "__main__":
    main()
