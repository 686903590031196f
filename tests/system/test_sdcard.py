# SPDX-License-Identifier: Apache-2.0
"""`make sdcard`: a whole, sound card for each board, the same bytes each time."""
import hashlib
import subprocess

import pytest
from build import ROOT, alone, make, own
from card import Card, disk, sdcard

BOARDS = ["qemu-virt", "rpi3", "rpi4"]


@pytest.mark.parametrize("board", BOARDS)
def test_the_file_system_and_the_partitions_are_sound(tmp_path, board):
    card = Card(tmp_path / "card.img", board=board)
    (tmp_path / "fat").write_bytes(card.get(disk.BOOT, disk.PARTITIONS[0][2]))
    r = subprocess.run(["/usr/sbin/fsck.fat", "-n", tmp_path / "fat"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout
    r = subprocess.run(["/usr/sbin/sfdisk", "--verify", card.path], capture_output=True, text=True)
    assert r.returncode == 0 and "No errors detected" in r.stdout


@pytest.mark.parametrize("board", BOARDS)
def test_two_runs_make_the_same_bytes(board):
    image = sdcard("hello", board)

    def sha256():
        make("sdcard", "APP=hello", f"BOARD={board}", "VERSION=1.0.0", check=True)
        return hashlib.sha256(image.read_bytes()).hexdigest()
    with alone():
        assert sha256() == sha256()


@pytest.mark.parametrize("board", ["rpi3", "rpi4"])
def test_a_pi_finds_what_it_needs(tmp_path, board):
    """Firmware for 3 and 4, its licence, U-Boot, and a tree for every Pi that Debian has one of."""
    card = Card(tmp_path / "card.img", board=board)
    for name in ("bootcode.bin", "start_cd.elf", "fixup_cd.dat", "start4cd.elf", "fixup4cd.dat"):
        firmware = next((ROOT / "build/deps").glob(f"raspi-firmware-*/usr/lib/raspi-firmware/{name}"))
        assert card.file(name, tmp_path).read_bytes() == firmware.read_bytes()
    assert "Broadcom" in card.file("LICENCE.broadcom", tmp_path).read_text()
    assert card.file("u-boot.bin", tmp_path).read_bytes() == \
        (ROOT / "build/uboot/rpi/u-boot.bin").read_bytes()
    trees = list((ROOT / "build/deps/dtbs/broadcom").glob("*-rpi-*.dtb"))
    assert len(trees) >= 8
    for tree in trees:
        assert card.file(tree.name, tmp_path).read_bytes() == tree.read_bytes()


def test_both_slots_hold_the_same_signed_image(tmp_path):
    card = Card(tmp_path / "card.img")
    signed = (ROOT / "build/hello/hello-1.0.0.pith").read_bytes()
    assert card.get(disk.SLOT_A, len(signed)) == card.get(disk.SLOT_B, len(signed)) == signed
    a, b = card.copies()
    assert a == b == disk.first_state(disk.version_cell("1.0.0"))


def test_development_keys_make_no_release(tmp_path):
    with own("hello", tmp_path) as app, alone():
        r = make("sdcard", f"APP={app}", "BOARD=qemu-virt", "RELEASE=1")
    assert r.returncode and "a release is not made with development keys" in r.stdout


@pytest.mark.parametrize("device", ["/dev/null", "/dev/does-not-exist"])
def test_flash_refuses_what_is_no_disk(device, tmp_path):
    with own("hello", tmp_path) as app, alone():
        r = make("flash", f"APP={app}", "BOARD=qemu-virt", f"DEV={device}")
    assert r.returncode and "is not a disk" in r.stdout
