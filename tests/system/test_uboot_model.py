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

CASES = int(os.environ.get("MODEL_CASES", 40))    # random ones
WORKERS = 2
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
WORDS = re.compile(r"^PITH: (?:version \w+, (pith\.slot=(\w) .*)|nothing to boot)\n", re.M)


def cell(version):
    return f"{disk.version_cell(version):x}"


def state(seq, act, try_="none", left=0, minver="1.0.0", **more):
    values = dict(act=act, bad="0", faults="0", left=left, minver=cell(minver), prev="none", retry="0",
                  seq=f"{seq:x}", why="none") | {"try": try_} | more
    return ",".join(f"{n}={values[n]}" for n in disk.STATE_NAMES)


# COPY0, COPY1, what is in slots A and B, whether the card takes writes.
CHOSEN = [
    # Nothing on trial.
    (state(1, "A"), "bad", "1.0.0", "1.0.0", 1),
    (state(1, "A"), state(2, "B"), "1.0.0", "1.1.0", 1),
    (state(2, "B", prev="A"), state(1, "A"), "1.0.0", "1.1.0", 1),
    (state(5, "A"), state(5, "B"), "1.0.0", "1.1.0", 1),
    (state(0xf, "A"), state(0x10, "B"), "1.0.0", "1.1.0", 1),
    (state(0xffffffff, "A"), state(1, "B"), "1.0.0", "1.1.0", 1),
    # The active slot does not boot.
    (state(3, "A"), state(2, "A"), "bad", "1.1.0", 1),
    (state(3, "A", "B", 3), state(2, "A"), "bad", "1.1.0", 1),
    (state(3, "A", "B", 0), state(2, "A"), "bad", "1.1.0", 1),
    (state(3, "A", minver="1.1.0"), "bad", "1.0.0", "1.1.0", 1),
    (state(3, "A"), "bad", "bad", "1.1.0", 0),
    (state(3, "B"), "bad", "1.0.0", "bad", 1),
    (state(3, "B", minver="1.2.0"), "bad", "1.0.0", "1.1.0", 1),
    # A trial: it goes on, ends, or cannot be counted.
    (state(3, "A", "B", 3), state(2, "A"), "1.0.0", "1.1.0", 1),
    (state(2, "A"), state(3, "A", "B", 1), "1.0.0", "1.1.0", 1),
    (state(3, "A", "B", 0), state(2, "A"), "1.0.0", "1.1.0", 1),
    (state(3, "A", "B", 0), state(2, "A"), "1.0.0", "bad", 1),
    (state(3, "A", "B", 2), state(2, "A"), "1.0.0", "bad", 1),
    (state(3, "A", "B", 2, minver="1.1.0"), state(2, "A"), "1.1.0", "1.0.0", 1),
    (state(3, "A", "B", 3), state(2, "A"), "1.0.0", "1.1.0", 0),
    (state(3, "A", "B", 0), state(2, "A"), "1.0.0", "1.1.0", 0),
    (state(3, "A", "A", 2), state(2, "A"), "1.0.0", "1.1.0", 1),
    (state(9, "B", "A", 3, bad=cell("1.1.0"), why="panic", faults="5", prev="A"), "bad",
     "1.0.0", "1.1.0", 1),
    (state(9, "A", "B", 0, bad=cell("1.2.0"), why="network", retry="3"), "bad", "1.0.0", "1.2.0", 1),
    # No state, or one that means nothing.
    ("bad", "bad", "1.0.0", "1.0.0", 1),
    ("bad", "bad", "1.0.0", "1.1.0", 1),
    ("bad", "bad", "1.1.0", "1.0.0", 1),
    ("bad", "bad", "1.1.0", "bad", 1),
    ("bad", "bad", "bad", "1.1.0", 1),
    ("bad", "bad", "bad", "bad", 1),
    ("bad", "bad", "1.0.0", "1.1.0", 0),
    (state(4, "C"), state(3, "B"), "1.0.0", "1.1.0", 1),
]


def chosen_case(copy0, copy1, slot_a, slot_b, writable):
    slots = [slot if slot == "bad" else cell(slot) for slot in (slot_a, slot_b)]
    return " ".join([copy0, copy1, *slots, str(writable)])


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
    cases = [chosen_case(*c) for c in CHOSEN] + [some_case(r) for _ in range(CASES)]
    expected = model(cases)
    assert len(expected) == len(cases) and len(set(e[0] for e in expected)) == 3, "A, B and none"
    images = {cell(v): update(build("hello") / "Image", tmp_path / f"{v}.pith", v) for v in VERSIONS}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        parts = [pool.submit(run_part, tmp_path / str(i), cases[i::WORKERS], images)
                 for i in range(WORKERS)]
        found = [None] * len(cases)
        for i, part in enumerate(parts):
            found[i::WORKERS] = part.result()
    different = [f"{c}\n  model: {e}\n  real:  {f}"
                 for c, e, f in zip(cases, expected, found) if e != f]
    assert not different, "\n".join(different)
