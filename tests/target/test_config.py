# SPDX-License-Identifier: Apache-2.0
"""A device's own configuration, in the data partition of its card: written by tools/config, read
before main(), before the bootargs (docs/boards.md)."""
import struct
import subprocess
import sys

import pytest
from build import ROOT
from qemu import Qemu

sys.path.insert(0, str(ROOT / "tools"))
import disk  # noqa: E402


@pytest.fixture
def card(tmp_path):
    """A disk with Pith's partitions and nothing in them."""
    path = tmp_path / "card.img"
    table = b"".join(struct.pack("<B3sB3sII", 0, b"", kind, b"", start // 512, count // 512)
                     for kind, start, count in disk.PARTITIONS)
    with open(path, "wb") as f:
        f.write(bytes(446) + table + b"\x55\xaa")
        f.truncate(disk.DISK_BYTES)
    return path


def config(*arguments):
    subprocess.run([ROOT / "tools/config", *map(str, arguments)], check=True)


def boot(card, append=""):
    return Qemu("tests/target/config", append=append, devices=[
        "-drive", f"if=none,id=card,format=raw,file={card}", "-device",
        "virtio-blk-device,drive=card"])


def test_configuration_goes_before_the_bootargs(card):
    config("set", card, "hostname=kitchen", "token=0123456789abcdef", "ip=10.1.2.3::10.1.2.1:255.255.255.0")
    with boot(card, "token=from-the-bootargs COLOUR=red hostname=other") as m:
        m.expect(r"vda: configuration read")
        m.expect(r"hostname: kitchen")
        m.expect(r"token: 0123456789abcdef")
        m.expect(r"update: \(unset\)")
        m.expect(r"COLOUR: red")
        m.expect(r"name: kitchen")
        m.expect(r"exit status 0")


def test_the_older_copy_survives_a_damaged_newer_one(card):
    config("set", card, "COLOUR=blue")
    config("set", card, "COLOUR=green")
    with boot(card) as m:
        m.expect(r"COLOUR: green")
    with open(card, "r+b") as f:
        copies = disk.config_copies(f)
        f.seek(disk.CONFIG[copies.index(max(copies))] + 100)
        f.write(b"damage")
    with boot(card) as m:
        m.expect(r"COLOUR: blue")


def test_a_card_without_configuration_says_so(card):
    with boot(card) as m:
        m.expect(r"vda: no configuration: both copies damaged")
        m.expect(r"exit status 0")


def test_a_disk_of_somebody_else_is_left_alone(tmp_path):
    other = tmp_path / "other.img"
    other.write_bytes(bytes(1 << 20))
    with boot(other, "COLOUR=red") as m:
        m.expect(r"COLOUR: red")
        m.expect(r"exit status 0")
        assert "configuration" not in m.output
