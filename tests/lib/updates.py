# SPDX-License-Identifier: Apache-2.0
"""Update files, and machines that install them from a second disk (tests/system/apps/updated).

    card = Card(tmp_path / "card.img", updates.APP)
    with updates.machine(card, updates.tray(tmp_path, "1.1.0")) as m:
        updates.expect_status(m, running="B", active="B", trial="0")

What an update of that app does is said by the last number of its version: patch("1.2", "CRASHES").
"""
import functools
import re
import struct

from build import ROOT, alone, make
from card import disk

APP = "tests/system/apps/updated"
SOURCE = (ROOT / APP / "main.c").read_text()
PATCHES = re.findall(r"\b([A-Z_]+),", re.search(r"enum patch \{(.*?)\};", SOURCE, re.S)[1])


def patch(major_minor, name):
    """The version of an update that does what `name` says."""
    return f"{major_minor}.{PATCHES.index(name)}"


@functools.lru_cache(maxsize=None)
def update_file(version, app=APP):
    """Build an app as a version; the bytes of its update file."""
    with alone():
        make("update", f"APP={app}", f"VERSION={version}", check=True)
        name = app.split("/")[-1]
        return (ROOT / f"build/{name}/{name}-{version}.pith").read_bytes()


def tray(folder, version):
    """A disk with an update on it, for tests/system/apps/updated; its path."""
    data = update_file(version)
    path = folder / f"tray-{version}"
    path.write_bytes(struct.pack("<Q", len(data)).ljust(disk.SECTOR, b"\0") + data)
    return path


def machine(card, tray=None, devices=(), **options):
    """QEMU virt from a card, with an update in the tray."""
    second = ["-drive", f"if=none,id=tray,format=raw,readonly=on,file={tray}", "-device",
              "virtio-blk-device,drive=tray"] if tray else []
    return card.boot(devices=[*second, *devices], **options)


def expect_status(m, timeout_s=60, **values):
    """Wait for a line of the app that says so; all of what it says."""
    wanted = "".join(rf"(?=.* {name}={value}(?: |$))" for name, value in values.items())
    line = m.expect(rf"^status(?:{wanted})( .*)\n", timeout_s)[1]
    return dict(word.split("=", 1) for word in line.split())
