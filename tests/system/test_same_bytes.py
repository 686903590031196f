# SPDX-License-Identifier: Apache-2.0
"""
The same bytes everywhere: one Image, one sha256, boots and proves itself on every machine and by every
boot loader (promise 1). U-Boot, device trees and the signed image are those on the cards.
"""
import hashlib
import re
import subprocess
import urllib.request

import pytest
from build import build
from card import DEBIANS_U_BOOT, Card, disk
from pi import Pi, TREES
from qemu import Qemu
from versal import Versal

APP = "tests/system/apps/same"
CARDS = {"virt": "qemu-virt", "raspi3b": "rpi3", "raspi4b": "rpi4"}


def image_on(card, slot, folder):
    """The image inside the signed image inside a slot of a card."""
    signed, image = folder / "slot.itb", folder / "Image"
    header = card.get(slot, 8)
    signed.write_bytes(card.get(slot, int.from_bytes(header[4:], "big")))
    subprocess.run(["dumpimage", "-T", "flat_dt", "-p", "0", "-o", image, signed], check=True,
                   stdout=subprocess.DEVNULL)
    return image.read_bytes()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The one Image: what was built, and what is in both slots of every card."""
    folder = tmp_path_factory.mktemp("image")
    found = set()
    for board in CARDS.values():
        card = Card(folder / "card.img", APP, board)
        found |= {image_on(card, slot, folder) for slot in (disk.SLOT_A, disk.SLOT_B)}
    found.add((build(APP) / "Image").read_bytes())
    assert len(found) == 1
    path = folder / "Image"
    path.write_bytes(found.pop())
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- The machines, and how the image gets there ----------------------------------------------------

def virt(image, folder, **machine):
    card = Card(folder / "card.img", APP)
    return Qemu(image=image, net=True, devices=[
        "-drive", f"if=none,id=card,format=raw,file={card.path}",
        "-device", "virtio-blk-device,drive=card"], **machine)


def virt_fit(image, folder):
    return Card(folder / "card.img", APP).boot(net=True)


class Booti(Qemu):
    """Debian's U-Boot, told to load the Image from the FAT partition and to start it."""

    def __enter__(self):
        super().__enter__()
        self.expect(r"Hit any key to stop autoboot")
        self.send(" ")
        for command in ("setenv bootargs", "load virtio 0:1 ${kernel_addr_r} Image",
                        "booti ${kernel_addr_r} - ${fdtcontroladdr}"):
            self.expect(r"^=> ")
            self.send(command + "\r")
        return self


def virt_booti(image, folder):
    card = Card(folder / "card.img", APP)
    subprocess.run(["mcopy", "-i", f"{card.path}@@{disk.BOOT}", image, "::Image"], check=True)
    assert sha256(card.file("Image", folder)) == sha256(image)
    return Booti(net=True, devices=[
        "-bios", DEBIANS_U_BOOT, "-drive", f"if=none,id=card,format=raw,file={card.path}",
        "-device", "virtio-blk-device,drive=card"])


def pi(image, folder, board, uboot):
    card = Card(folder / "card.img", APP, CARDS[board])
    return Pi(board, image=card.file("u-boot.bin", folder) if uboot else image,
              tree=card.file(f"{TREES[board]}.dtb", folder), watchdog=not uboot,
              devices=["-drive", f"if=sd,format=raw,file={card.path}"])


def versal(image, folder):
    card = Card(folder / "card.img", APP)
    return Versal(image=image, devices=["-drive", f"if=sd,format=raw,file={card.path}"])


# How to boot -> the machine; its model, the exception level, and how the image came, as logged.
MACHINES = {
    **{f"virt GICv{gic} EL{el}": (lambda i, f, gic=gic, el=el: virt(i, f, gic=gic, el=el),
                                  "linux,dummy-virt", el, "unverified")
       for gic in (2, 3) for el in (1, 2)},
    "virt booti": (virt_booti, "linux,dummy-virt", 1, "unverified"),
    "virt FIT": (virt_fit, "linux,dummy-virt", 1, "slot A"),
    **{f"{board} {how}": (lambda i, f, board=board, how=how: pi(i, f, board, how == "U-Boot"),
                          model, 2, "slot A" if how == "U-Boot" else "unverified")
       for board, model in (("raspi3b", "Raspberry Pi 3 Model B"),
                            ("raspi4b", "Raspberry Pi 4 Model B"))
       for how in ("direct", "U-Boot")},
    "versal": (versal, "Xilinx Versal Virtual development board", 2, "unverified"),
}


@pytest.mark.parametrize("how", MACHINES)
def test_one_image_boots_and_answers(how, image, tmp_path):
    make_machine, model, el, verified = MACHINES[how]
    with make_machine(image, tmp_path) as m:
        m.expect(rf"^\[.*\] {re.escape(model)}, EL{el}, \d+ MiB, {verified}$", timeout_s=180)
        m.expect(rf"^running on {re.escape(model)}, build \w+$")
        m.expect(r"^ready$", timeout_s=240)
        failed = re.findall(r"^FAIL .*$", m.output, re.M)
        assert not failed, "\n".join(failed)
        # The Versal's tree alone brings no seeds.
        assert ("no rng-seed in the device tree" in m.output) == (how == "versal")
        assert ("ok seeds" in m.output) != (how == "versal")
        m.send("who is there\r")
        m.expect(r"^line <who is there>$")
        if how.startswith("virt"):
            with urllib.request.urlopen(f"http://127.0.0.1:{m.port()}/", timeout=60) as r:
                assert r.read().decode().startswith(model)
        m.send("\x04")
        m.expect(r"^.*exit status 0$")
