# SPDX-License-Identifier: Apache-2.0
"""The power fails while an update is written, tried, confirmed or taken back: the device that is
switched on again, by the real U-Boot and the real image, runs one of the two images, whole, and ends
where it would have ended without. POWER_CUTS says how many cuts to make."""
import concurrent.futures
import os
import random
import re
import time

import pytest
import updates
import writelog
from card import Card, disk
from updates import expect_status, machine, patch, tray, update_file

CUTS = int(os.environ.get("POWER_CUTS", 30))
WORKERS = 2
BASE, NEXT, BAD = "1.0.0", "1.1.0", patch("1.2", "EXITS")


class Story:
    """What happens to a card, and where it ends."""

    def __init__(self, folder, update, **end):
        self.start = Card(folder / "start.img", updates.APP)
        self.tray, self.end = tray(folder, update), end
        self.versions = {BASE, update}

    def to_its_end(self, m):
        expect_status(m, trial=0, timeout_s=120, **self.end)
        m.expect("^nothing to install\n", timeout_s=120)
        found = set(re.findall(r"^version (.*)\n", m.output, re.M))
        assert found <= self.versions, found
        for bad in ("nothing to boot", "PITH: the state cannot be written", "panic"):
            assert bad not in m.output, m.output

    def record(self, folder):
        """All that is written to the card from the start to the end."""
        card = self.start.copy(folder / "recorded.img")
        with machine(card, self.tray, disk_options=writelog.drive(card.path, folder / "log")) as m:
            self.to_its_end(m)
        return writelog.read(folder / "log")


STORIES = {
    "confirmed": (NEXT, dict(running="B", active="B", B=NEXT, bad="none")),
    "taken back": (BAD, dict(running="A", active="A", A=BASE, bad=BAD)),
}


@pytest.fixture(params=STORIES)
def story(request, tmp_path):
    update, end = STORIES[request.param]
    return Story(tmp_path, update, **end)


def choose(pieces, count):
    """After which pieces to cut: all of the state and the slot's first sector, then any."""
    special = [i for i, (at, _) in enumerate(pieces) if at in (*disk.STATE, disk.SLOT_A, disk.SLOT_B)]
    special = {j for i in special for j in (i, i + 1)}
    others = sorted(set(range(len(pieces) + 1)) - special)
    r = random.Random(7)
    more = r.sample(others, min(len(others), max(0, count - len(special))))
    return sorted(special | set(more))


def replay(story, pieces, cuts, folder):
    """The story from each of these cuts to its end. The card keeps what was written before the cut,
    and nothing of what a machine does after it."""
    folder.mkdir()
    card = story.start.copy(folder / "card.img")
    done = 0
    for cut in cuts:
        for at, data in pieces[done:cut]:
            card.put(at, data)
        done = cut
        with machine(card, story.tray, drive=",snapshot=on") as m:
            story.to_its_end(m)


def test_the_power_fails_after_any_write(story, tmp_path):
    writes = story.record(tmp_path)
    assert writes[-1][0] is not None or writes[-1] == (None, b"")
    pieces = list(writelog.cuts(writes))
    image = sum(len(data) for at, data in pieces if disk.SLOT_B <= at < disk.DATA)
    assert image >= len(update_file(story.tray.name.split("-")[1])), "all of the update was recorded"
    cuts = choose(pieces, -(-CUTS // len(STORIES)))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for part in [pool.submit(replay, story, pieces, cuts[i::WORKERS], tmp_path / str(i))
                     for i in range(WORKERS)]:
            part.result()
    print(f"{len(cuts)} cuts among {len(pieces)} sectors")


def test_qemu_is_killed_at_any_moment(story, tmp_path):
    """Twice at most: three cuts in its trial would use up its three boots."""
    r = random.Random(os.urandom(8))
    card = story.start
    started = time.monotonic()
    with machine(card.copy(tmp_path / "whole.img"), story.tray) as m:
        story.to_its_end(m)
    whole_s = time.monotonic() - started
    for _ in range(-(-CUTS // 5)):
        card = story.start.copy(tmp_path / "killed.img")
        for _ in range(r.randrange(1, 3)):
            with machine(card, story.tray) as m:
                time.sleep(r.uniform(0, whole_s))
        with machine(card, story.tray) as m:
            story.to_its_end(m)
