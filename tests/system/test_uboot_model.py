# SPDX-License-Identifier: Apache-2.0
"""The model of U-Boot that the power cuts on the host rely on (tests/host/uboot_model.c) decides as the
real script does, on the same cards."""
import concurrent.futures
import os
import random
import re
import subprocess

from build import ROOT, build, make
from card import BAD_SECTOR, Card, disk, update

CASES = int(os.environ.get("MODEL_CASES", 40))
WORKERS = 2
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
WORDS = re.compile(r"^PITH: (?:version \w+, (pith\.slot=(\w) .*)|nothing to boot)\n", re.M)


def cell(version):
    return f"{disk.version_cell(version):x}"


def some_state(r):
    """Any state that could be on a card, and some that should not."""
    values = dict(act=r.choice("AB"), bad=r.choice(["0", cell("1.1.0")]), faults=f"{r.randrange(6):x}",
                  left=f"{r.randrange(4):x}", minver=r.choice(["0", *map(cell, VERSIONS)]),
                  prev=r.choice(["A", "B", "none"]), retry=f"{r.randrange(3):x}",
                  seq=f"{r.choice([r.randrange(1, 20), r.randrange(1 << 31)]):x}",
                  why=r.choice(["none", "damaged", "panic", "network"]),
                  **{"try": r.choice(["A", "B", "none", "none"])})
    return ",".join(f"{n}={values[n]}" for n in disk.STATE_NAMES)


def some_case(r):
    """COPY0 COPY1 SLOT_A SLOT_B WRITABLE, as tests/host/uboot_table.c reads it."""
    copies = [r.choices([some_state(r), "bad"], [3, 1])[0] for _ in range(2)]
    slots = [r.choice([*map(cell, VERSIONS), "bad"]) for _ in range(2)]
    return " ".join([*copies, *slots, r.choices("10", [4, 1])[0]])


def model(cases):
    make("build/host/uboot_table", check=True)
    r = subprocess.run([ROOT / "build/host/uboot_table"], input="\n".join(cases), text=True,
                       stdout=subprocess.PIPE, check=True)
    return r.stdout.splitlines()


def put_case(card, case, images):
    *copies, slot_a, slot_b, _ = case.split()
    for at, copy in zip(disk.STATE, copies):
        card.put(at, BAD_SECTOR if copy == "bad" else
                 disk.pack_state(**dict(word.split("=") for word in copy.split(","))))
    for name, slot in zip("AB", (slot_a, slot_b)):
        card.slot(name, BAD_SECTOR if slot == "bad" else images[slot])


def copy_text(state):
    return ",".join(f"{k}={v}" for k, v in state.items()) if state else "bad"


def boot(card, case, images):
    """The same answer of the real one."""
    put_case(card, case, images)
    with card.boot(drive="" if case.endswith("1") else ",readonly=on") as m:
        found = m.expect(WORDS.pattern)
    what = f"{found[2]} {found[1]}" if found[2] else "none"
    return " | ".join([what, *map(copy_text, card.copies())])


def run_part(folder, cases, images):
    folder.mkdir()
    card = Card(folder / "card.img")
    return [boot(card, case, images) for case in cases]


def test_the_model_decides_as_u_boot_does(tmp_path):
    r = random.Random(4)
    cases = [some_case(r) for _ in range(CASES)]
    expected = model(cases)
    assert len(expected) == CASES and len(set(e[0] for e in expected)) == 3, "A, B and none"
    images = {cell(v): update(build("hello") / "Image", tmp_path / f"{v}.pith", v) for v in VERSIONS}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        parts = [pool.submit(run_part, tmp_path / str(i), cases[i::WORKERS], images)
                 for i in range(WORKERS)]
        found = [None] * CASES
        for i, part in enumerate(parts):
            found[i::WORKERS] = part.result()
    different = [f"{c}\n  model: {e}\n  real:  {f}"
                 for c, e, f in zip(cases, expected, found) if e != f]
    assert not different, "\n".join(different)
