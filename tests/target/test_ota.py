# SPDX-License-Identifier: Apache-2.0
"""Updates as pith/ota.h has them, with the real signatures, card, U-Boot and state: a newer version is
installed, tried and confirmed; what is not sound, ours, signed and newer is refused, and says why."""
import pytest
from build import build
from card import Card, disk, update

APP = "tests/target/ota"


@pytest.fixture
def card(tmp_path):
    return Card(tmp_path / "card.img", APP)


def update_file(tmp_path, version="1.1.0", product="ota"):
    return update(build(APP) / "Image", tmp_path / "update.pith", version, product=product)


def boot(card, data):
    path = card.path.with_suffix(".second")
    path.write_bytes(data)
    return card.boot(devices=["-drive", f"if=none,id=update,format=raw,file={path},readonly=on",
                              "-device", "virtio-blk-device,drive=update"])


def test_an_update_is_installed_tried_and_confirmed(card, tmp_path):
    data = update_file(tmp_path)
    first_sectors = card.get(0, disk.SLOT_A)
    with boot(card, data) as m:
        m.expect(r"slot A, active A, no trial; A 1\.0\.0 confirmed, B 1\.0\.0; least 1\.0\.0; bad 0\.0\.0, none\r?\n")
        m.expect(r"writes: MBR refused, boot refused, running slot refused\r?\n")
        m.expect(r"slot A, active A, no trial; A 1\.0\.0 confirmed, B 1\.1\.0; least 1\.0\.0; bad 0\.0\.0, none\r?\n")
        m.expect(r"PITH: version 0?0?401000, pith\.slot=B pith\.act=A pith\.try=B pith\.left=2 ")
        m.expect(r"slot B, active A, on trial; A 1\.0\.0 confirmed, B 1\.1\.0; least 1\.0\.0; bad 0\.0\.0, none\r?\n")
        m.expect(r"slot B, active B, no trial; A 1\.0\.0 confirmed, B 1\.1\.0 confirmed; least 1\.0\.0; "
                 r"bad 0\.0\.0, none\r?\n")
        m.expect(r"refused: version 1\.1\.0 runs already\r?\n")
        m.expect(r"exit status 0\r?\n")
        assert m.wait() == 0
    assert card.get(disk.SLOT_B, len(data)) == data
    assert card.get(0, disk.SLOT_A) == first_sectors
    state = card.newest()
    assert (state["act"], state["try"], state["left"]) == ("B", "none", "0")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize("what, sentence", [
    ("damaged", "the signature is wrong: the update is damaged or forged"),
    ("truncated", r"the update must have \d+ bytes by its header, and has \d+"),
    ("another product", 'the update is for product "test", this is "ota"'),
    ("older", r"version 0\.9\.0 is older than 1\.0\.0, which runs"),
    ("nothing of ours", "this is not an update file"),
])
def test_what_is_refused_says_why_and_changes_nothing_that_runs(card, tmp_path, what, sentence):
    data = {
        "damaged": lambda: flipped(update_file(tmp_path), 100000),
        "truncated": lambda: update_file(tmp_path)[:-512],
        "another product": lambda: update_file(tmp_path, product="test"),
        "older": lambda: update_file(tmp_path, "0.9.0"),
        "nothing of ours": lambda: b"#!/bin/sh\n".ljust(65536, b"\0"),
    }[what]()
    before = card.get(disk.SLOT_A, disk.SLOT_BYTES)
    with boot(card, data) as m:
        m.expect(rf"refused: {sentence}\r?\n")
        m.expect(r"slot A, active A, no trial; A 1\.0\.0 confirmed, B 0\.0\.0; ")
        assert m.wait() == 0
    assert card.get(disk.SLOT_A, disk.SLOT_BYTES) == before
    assert card.get(disk.SLOT_B, disk.SECTOR) == bytes(disk.SECTOR)
    with card.boot() as m:
        m.expect(r"slot A, active A, no trial; A 1\.0\.0 confirmed, B 0\.0\.0; ")
        assert m.wait() == 0
