# SPDX-License-Identifier: Apache-2.0
"""Cards: what `make sdcard` makes, changed as a test needs it, and machines that boot from them.

    card = Card(tmp_path / "card", "hello")
    card.slot("B", card.signed("1.1.0"))
    card.state(act="A", try_="B", left=3)
    with card.boot() as machine:
        machine.expect("slot B")
"""
import copy
import functools
import pathlib
import subprocess
import sys

from build import ROOT, VERSION, alone, build, make
from pi import Pi
from qemu import Qemu

sys.path.insert(0, str(ROOT / "tools"))
import disk  # noqa: E402  (tools/disk.py: the layout and the formats)

DEBIANS_U_BOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"    # of the package u-boot-qemu: with a prompt
BAD_SECTOR = b"\xa5" * disk.SECTOR


@functools.lru_cache(maxsize=None)
def sdcard(app, board="qemu-virt"):
    """Build a card; its image."""
    build(app)
    with alone():
        make("sdcard", f"APP={app}", f"BOARD={board}", f"VERSION={VERSION}", check=True)
    return build(app) / board / "sdcard.img"


def tool(name, *arguments):
    r = subprocess.run([ROOT / "tools" / name, *arguments], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout


def update(image, out, version, key="current", keys=ROOT / "keys", product="test"):
    """Sign an image, twice, as tools/fit and tools/update do; the bytes of a slot."""
    fit = pathlib.Path(out).with_suffix(".itb")
    signer = ["--keys", keys, "--sign", keys / f"{key}.pem"]
    tool("fit", image, fit, "--product", product, "--version", version, *signer)
    tool("update", fit, out, *signer)
    return pathlib.Path(out).read_bytes()


class Card:
    def __init__(self, path, app="hello", board="qemu-virt"):
        self.path, self.app, self.board = pathlib.Path(path), app, board
        built = sdcard(app, board)
        with alone():
            subprocess.run(["cp", "--sparse=always", built, self.path], check=True)

    def signed(self, version=VERSION, **key):
        """An update file of the app, as a slot has it."""
        return update(build(self.app) / "Image", self.path.with_suffix(".pith"), version,
                      product=pathlib.Path(self.app).name, **key)

    def put(self, at, data):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(data)

    def get(self, at, count):
        with open(self.path, "rb") as f:
            f.seek(at)
            return f.read(count)

    def slot(self, name, data):
        self.put({"A": disk.SLOT_A, "B": disk.SLOT_B}[name], data)

    def state(self, copy=None, try_="none", **values):
        """Write the state, into one copy or (with seq 1 and 2) into both."""
        for i in (0, 1) if copy is None else (copy,):
            whole = disk.first_state(0) | {"try": try_, "seq": f"{2 - i}", "minver": "0"}
            whole |= {k: f"{v:x}" if isinstance(v, int) else v for k, v in values.items()}
            self.put(disk.STATE[i], disk.pack_state(**whole))

    def copy(self, path):
        """Another card with the same on it."""
        other = copy.copy(self)
        other.path = pathlib.Path(path)
        subprocess.run(["cp", "--sparse=always", self.path, other.path], check=True)
        return other

    def stage(self, update, slot="B"):
        """An update in a slot and on trial, as Pith's ota_activate() leaves it."""
        self.slot(slot, update)
        self.change(**{"try": slot, "left": "3"})

    def change(self, **values):
        """One transition of the state: the older copy is written."""
        newest = self.newest_copy()
        whole = self.copies()[newest]
        whole |= values | {"seq": f"{int(whole['seq'], 16) + 1:x}"}
        self.put(disk.STATE[1 - newest], disk.pack_state(**whole))

    def copies(self):
        """Both copies, None where the CRC is wrong."""
        return [disk.unpack_state(self.get(at, disk.SECTOR)) for at in disk.STATE]

    def newest_copy(self):
        """The number of the copy that counts."""
        copies = self.copies()
        return max((i for i in (0, 1) if copies[i]), key=lambda i: int(copies[i]["seq"], 16))

    def newest(self):
        return self.copies()[self.newest_copy()]

    def file(self, name, folder):
        """A file of the boot partition, extracted."""
        subprocess.run(["mcopy", "-n", "-o", "-i", f"{self.path}@@{disk.BOOT}", f"::{name}", folder],
                       check=True)
        return pathlib.Path(folder) / name

    def boot(self, drive="", disk_options=None, devices=(), **options):
        """QEMU virt from this card, by the U-Boot that is on it, with a watchdog. disk_options: other
        words than the usual for a drive `card`."""
        uboot = self.file("u-boot.bin", self.path.parent)
        card = disk_options or ["-drive", f"if=none,id=card,format=raw,file={self.path}{drive}",
                                "-device", "virtio-blk-device,drive=card"]
        watchdog = ["-device", "i6300esb", "-action", "watchdog=reset"]
        return Qemu(devices=["-bios", uboot, *card, *watchdog, *devices], **options)

    def boot_pi(self, machine, **options):
        """QEMU's Raspberry Pi from this card (of that board), with the watchdog disabled: it would
        reset the machine as soon as U-Boot starts it."""
        uboot = self.file("u-boot.bin", self.path.parent)
        return Pi(machine, image=uboot, watchdog=False,
                  devices=["-drive", f"if=sd,format=raw,file={self.path}"], **options)
