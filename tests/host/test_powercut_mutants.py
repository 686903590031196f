# SPDX-License-Identifier: Apache-2.0
"""The simulated power cuts (test_powercut.c) can fail: what keeps updates safe is taken out of the code,
one thing at a time, and the sweep must notice each.

"believing" runs them under a U-Boot that verifies nothing, for what it would otherwise hide: the slots
alone must never hold what is mixed.
"""
import re
import subprocess

import pytest
from build import ROOT, make

MUTANTS = ROOT / "build/host/powercut_mutants/kernel"

# name: (file, what is taken out, what is put there, arguments of the sweep, what it must count)
CASES = {
    "the-target-is-the-running-slot": (
        "ota", "return other_slot(slots_running());\n", "return slots_running();\n", "", "bricks"),
    "the-first-sector-comes-first": (
        "ota", "uint32_t skip = at == 0 ? SECTOR_BYTES : 0;", "uint32_t skip = 0;", "", "unverified"),
    "the-old-image-is-not-destroyed": (
        "ota", "error = destroy(work->buffer);", "error = 0;", "believing", "mixed"),
    "destroyed-without-a-flush": (
        "ota", "if (block_write(dev, target_lba(), 1, buffer) || block_flush(dev))",
        "if (block_write(dev, target_lba(), 1, buffer))", "believing", "mixed"),
    "verified-without-a-flush": (
        "ota", "if (block_flush(slots_disk()->dev))\n\t\treturn disk_failed(\"writing\", file_bytes);",
        "", "believing", "mixed"),
    "nothing-is-flushed": (
        "block", "err = dev->flush(dev);", "err = 0;", "", "bricks"),
    "begun-with-prev": (
        "ota", "if (s->act == slots_running() && s->try == 0 && s->prev == 0)",
        "if (s->act == slots_running() && s->try == 0)", "", "broken"),
    "begun-without-being-active": (
        "ota", "\ts->act = slots_running();\n\ts->try = 0;\n\ts->left = 0;\n\ts->prev = 0;\n",
        "\ts->prev = 0;\n", "", "unconfirmed"),
    "confirmed-for-ever-on-trial": (
        "ota", "\ts->try = 0;\n\ts->left = 0;\n\ts->faults = 0;", "\ts->faults = 0;", "", "broken"),
    "the-state-in-place": (
        "state", "int copy = s->copy == 0 ? 1 : 0;", "int copy = s->copy < 0 ? 0 : s->copy;", "",
        "broken"),
    "the-state-without-a-flush": (
        "state", " || block_flush(disk->dev)", "", "", "broken"),
    "the-state-with-the-same-number": (
        "state", "pack(s, s->seq + 1, sector);", "pack(s, s->seq, sector);", "", "broken"),
    "more-is-read-than-the-file": (
        "slotfile", "\tf->bytes = *file_bytes;\n", "", "", "bricks"),
    "a-failed-trial-stays-active": (
        "slots", "if (next.act == slots.running)\n\t\t\tslots.trial = false;",
        "slots.trial = false;", "", "bricks"),
    "the-dead-are-tried-for-ever": (
        "recovery", "s->try = before;\n\ts->left = OTA_TRIES;", "s->try = before;\n\ts->left = 0;", "",
        "broken"),
}


def counted(program, *arguments):
    """{what: how often} the sweep saw it."""
    out = subprocess.run([program, "lean", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    return {word: int(n) for n, word in re.findall(r"(\d+) (?:promises )?(\w+)", out)}


@pytest.fixture(scope="module")
def sweep():
    program = ROOT / "build/host/powercut_sweep"
    make(program.relative_to(ROOT), check=True)
    return program


@pytest.mark.parametrize("name", CASES)
def test_what_keeps_updates_safe_is_missed(sweep, name):
    file, old, new, arguments, what = CASES[name]
    source = (ROOT / f"kernel/{file}.c").read_text()
    assert source.count(old) == 1, f"kernel/{file}.c has changed: this mutant must, too"
    MUTANTS.mkdir(parents=True, exist_ok=True)
    mutant = MUTANTS / f"{file}-{name}"
    mutant.with_suffix(".c").write_text(source.replace(old, new))
    make(mutant.relative_to(ROOT), check=True)
    counts = counted(mutant, *arguments.split())
    assert counts[what] > 0, counts


def test_without_them_nothing_is_missed(sweep):
    counts = counted(sweep)
    assert counts.pop("cuts") > 0 and not any(counts.values()), counts
