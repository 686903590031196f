# SPDX-License-Identifier: Apache-2.0
"""A card boots what was signed, from the slot that its state says, whatever happens to either."""
import os
import random
import re
import subprocess
import threading
import urllib.request

import pytest
from build import ROOT, alone, make
from card import BAD_SECTOR, DEBIANS_U_BOOT, Card, disk
from pi import BOARDS, TREES, Pi
from qemu import Qemu


@pytest.fixture
def card(tmp_path):
    return Card(tmp_path / "card.img")


def boots(card, slot, **options):
    """Boot once, to the end of hello; what the console said."""
    with card.boot(**options) as m:
        m.expect(rf"MiB, slot {slot}$")
        m.expect("Hello from Pith")
        assert m.wait() == 0
        assert "=> " not in m.output
        return m.output


def cell(version):
    return f"{disk.version_cell(version):x}"


# --- The image runs --------------------------------------------------------------------------------

def test_hello_boots_from_a_card(card):
    before = card.copies()
    said = boots(card, "A")
    assert "pith.slot=A pith.act=A pith.try=none pith.left=0 pith.seq=1" in said
    assert card.copies() == before, "a boot with nothing on trial writes nothing"


@pytest.mark.parametrize("machine", [dict(gic=3), dict(el=2), dict(gic=3, el=2, cpu="max"),
                                     dict(memory="1G"), dict(modern=False)])
def test_every_kind_of_virt(card, machine):
    boots(card, "A", **machine)


def test_web_answers_from_a_card(tmp_path):
    card = Card(tmp_path / "card.img", "web")
    with card.boot(net=True) as m:
        m.expect(r"MiB, slot A$")
        m.expect(r"(?i)listening|http://|port 80")
        with urllib.request.urlopen(f"http://127.0.0.1:{m.port()}/status.json", timeout=30) as r:
            assert r.status == 200 and b'"network"' in r.read()


@pytest.mark.parametrize("board", BOARDS)
def test_a_pi_boots_from_its_card_whatever_is_typed(tmp_path, board):
    card = Card(tmp_path / "card.img", "hello", board={"raspi3b": "rpi3", "raspi4b": "rpi4"}[board])
    uboot = card.file("u-boot.bin", tmp_path)
    tree = card.file(TREES[board] + ".dtb", tmp_path)
    assert tree.read_bytes() == (ROOT / "build/deps/dtbs/broadcom" / tree.name).read_bytes()
    with Pi(board, image=uboot, watchdog=False, append="hello=pi",
            devices=["-drive", f"if=sd,format=raw,file={card.path}"]) as m, \
            Typing(m, NOISE["Ctrl-C"]):
        m.expect(r"Raspberry Pi \d Model B, EL2, \d+ MiB, slot A$", timeout_s=180)
        m.expect("Hello from Pith")
        m.expect("exit status 0")


# --- Only what was signed --------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["current", "spare"])
def test_either_key_boots(card, key):
    card.slot("A", card.signed("1.0.0", key=key))
    assert f"rsa2048:{key}+ OK" in boots(card, "A")


def third_key(card):
    other = card.path.parent / "keys"
    subprocess.run([ROOT / "tools/keys.py", "new", other], check=True, stderr=subprocess.DEVNULL)
    return card.signed("1.0.0", keys=other)


def edited(*fdtput):
    """A signed image that fdtput changed."""
    def change(card):
        path = card.path.with_name("edited.itb")
        path.write_bytes(card.signed("1.0.0"))
        at = next(i for i, word in enumerate(fdtput) if word.startswith("/"))
        subprocess.run(["fdtput", *fdtput[:at], path, *fdtput[at:]], check=True)
        return path.read_bytes()
    return change


def flipped(fraction):
    """A signed image of which one bit is wrong, at a fraction of the program's length."""
    def change(card):
        data = bytearray(card.signed("1.0.0"))
        start = data.index(b"ARM\x64") - 56    # of the Image in it, by its header
        image_bytes = (ROOT / "build/hello/Image").stat().st_size
        data[start + int((image_bytes - 1) * fraction)] ^= 0x10
        return bytes(data)
    return change


NOT_SIGNED = {
    "third key": third_key,
    "unsigned": edited("-r", "/configurations/conf/signature-1"),
    "no configuration": edited("-r", "/configurations/conf"),
    "version": edited("-t", "x", "/configurations/conf", "pith,version", "7fffffff"),
    "another property": edited("-t", "s", "/configurations/conf", "fdt", "kernel"),
    "entry": edited("-t", "x", "/images/kernel", "entry", "40"),
    "hash": edited("-t", "x", "/images/kernel/hash-1", "value", *["0"] * 8),
    "no hash": edited("-r", "/images/kernel/hash-1"),
    "product": edited("-t", "s", "/", "pith,product", "other"),
    "first data": flipped(0.01),
    "middle of the data": flipped(0.5),
    "end of the data": flipped(1),
    "truncated": lambda card: card.signed("1.0.0")[:-20000].ljust(100000, b"\0"),
    "empty": lambda card: bytes(4096),
    "not a FIT": lambda card: BAD_SECTOR * 200,
    "a raw image": lambda card: (ROOT / "build/hello/Image").read_bytes(),
    "longer than the slot": lambda card: card.signed()[:4] + b"\x7f\xff\xff\xff" + card.signed()[8:],
}


@pytest.mark.parametrize("what", NOT_SIGNED)
def test_what_was_not_signed_does_not_boot(card, what):
    card.slot("A", NOT_SIGNED[what](card))
    boots(card, "B")
    assert card.newest()["act"] == "B" and card.newest()["why"] == "damaged"


def test_with_nothing_signed_nothing_boots(card):
    for slot in "AB":
        card.slot(slot, NOT_SIGNED["unsigned"](card))
    before = card.copies()
    with card.boot() as m:
        for _ in range(3):    # resets, and tries again
            m.expect(r"^U-Boot 20")
            m.expect(r"PITH: nothing to boot")
        assert "Hello" not in m.output and "=> " not in m.output
    assert card.copies() == before


# --- Nobody can stop it ----------------------------------------------------------------------------

NOISE = {
    "Ctrl-C": lambda r: b"\x03" * 64,
    "random": lambda r: r.randbytes(64),
    "keys": lambda r: r.choice([b"\r\n", b" ", b"\x1b[A", b"reset\r", b"\x04", b"\x03\x03"]) * 8,
}


class Typing:
    """Types on the console of a machine, all the time."""

    def __init__(self, machine, noise):
        self._machine, self._noise, self._random = machine, noise, random.Random(1)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._type, daemon=True)

    def _type(self):
        pipe = self._machine._process.stdin.fileno()
        os.set_blocking(pipe, False)
        while not self._end.wait(0.002):
            try:
                os.write(pipe, self._noise(self._random))
            except BlockingIOError:
                pass    # the UART is full: nobody reads it
            except OSError:
                return  # the machine is off

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *exception):
        self._end.set()
        self._thread.join()


@pytest.mark.parametrize("noise", NOISE)
def test_typing_does_not_stop_the_boot(card, noise):
    for _ in range(4):
        with card.boot() as m, Typing(m, NOISE[noise]):
            m.expect(r"MiB, slot A$")
            m.expect("Hello from Pith")
            assert "=> " not in m.output and "Unknown command" not in m.output


@pytest.mark.parametrize("noise", NOISE)
def test_typing_finds_no_prompt_where_nothing_boots(card, noise):
    for slot in "AB":
        card.slot(slot, bytes(4096))
    with card.boot() as m, Typing(m, NOISE[noise]):
        for _ in range(3):
            m.expect(r"^U-Boot 20")
            m.expect(r"PITH: nothing to boot")
        assert "=> " not in m.output and "Unknown command" not in m.output


def test_ctrl_c_stops_a_u_boot_that_listens(card):
    """The control: without the script's first command the same typing keeps the image from booting."""
    uboot = card.file("u-boot.bin", card.path.parent)
    code = uboot.read_bytes()
    assert code.count(b"setenv stdin nulldev") == 1
    uboot.write_bytes(code.replace(b"setenv stdin nulldev", b"setenv other nulldev"))
    subprocess.run(["mcopy", "-o", "-i", f"{card.path}@@{disk.BOOT}", uboot, "::"], check=True)
    boots(card, "A")
    with card.boot() as m, Typing(m, NOISE["Ctrl-C"]):
        m.expect(r"^PITH: nothing to boot$")
        assert "Hello" not in m.output


@pytest.mark.parametrize("noise", NOISE)
def test_typing_finds_the_prompt_of_another_u_boot(noise):
    """The control: the same noise stops Debian's U-Boot, and is run as commands."""
    with Qemu(devices=["-bios", DEBIANS_U_BOOT]) as m, Typing(m, NOISE[noise]):
        m.expect(r"=> ")


def test_no_disk_no_prompt(tmp_path, card):
    with open(card.path, "r+b") as f:
        f.write(bytes(disk.SECTOR))
    with card.boot() as m:
        for _ in range(2):
            m.expect(r"PITH: nothing to boot")
        assert "=> " not in m.output


# --- Which slot ------------------------------------------------------------------------------------

def test_a_trial_is_counted_and_rolled_back(card):
    card.slot("B", card.signed("1.1.0"))
    card.state(act="A", try_="B", left=3, bad="1", why="network", retry=2, faults=4)
    for left in (2, 1, 0):
        assert f"pith.act=A pith.try=B pith.left={left}" in boots(card, "B")
        assert card.newest()["left"] == str(left)
    boots(card, "A")
    s = card.newest()
    assert (s["act"], s["try"], s["bad"], s["why"]) == ("A", "none", cell("1.1.0"), "unconfirmed")
    assert (s["retry"], s["faults"]) == ("0", "4"), "the faults are those of the image in A"
    boots(card, "A")
    assert card.newest() == s


def test_each_write_goes_to_the_older_copy(card):
    card.state(act="A", try_="B", left=3)
    card.slot("B", card.signed("1.1.0"))
    for sequence in (3, 4):
        boots(card, "B")
        assert [int(c["seq"]) for c in card.copies()] == [sequence - 1, sequence][::1 if sequence == 3
                                                                                else -1]


def test_a_confirmed_image_stays(card):
    card.slot("B", card.signed("1.1.0"))
    card.state(act="B")
    before = card.copies()
    boots(card, "B")
    boots(card, "B")
    assert card.copies() == before


def test_a_damaged_trial_falls_back_at_once(card):
    card.slot("B", flipped(0.5)(card))
    card.state(act="A", try_="B", left=3)
    boots(card, "A")
    s = card.newest()
    assert (s["try"], s["left"], s["why"], s["bad"]) == ("none", "0", "damaged", "0")


def test_a_trial_below_the_least_version_falls_back_and_says_which(card):
    card.slot("B", card.signed("0.9.0"))
    card.state(act="A", try_="B", left=3, minver=disk.version_cell("1.0.0"))
    boots(card, "A")
    s = card.newest()
    assert (s["try"], s["why"], s["bad"]) == ("none", "damaged", cell("0.9.0"))


def test_where_the_active_slot_is_damaged_the_other_takes_its_place(card):
    """The old one is kept in mind as one that worked: perhaps it could only not be read this once."""
    card.slot("B", card.signed("1.1.0"))
    card.state(act="B", bad=7, why="panic", faults=2, retry=1, prev="none")
    card.slot("B", BAD_SECTOR)
    boots(card, "A")
    s = card.newest()
    del s["seq"]
    assert s == dict(act="A", bad="0", faults="0", left="0", minver="0", prev="B", retry="0",
                     why="damaged", **{"try": "none"})


def test_what_is_piths_is_kept(card):
    card.slot("B", card.signed("1.1.0"))
    card.state(act="A", try_="B", left=3, prev="B", faults=3, retry=4, bad=5, why="network")
    boots(card, "B")
    s = card.newest()
    assert (s["prev"], s["faults"], s["retry"], s["bad"], s["why"]) == ("B", "3", "4", "5", "network")


def test_below_the_least_version_nothing_boots(card):
    card.slot("A", card.signed("1.0.0"))
    card.slot("B", card.signed("1.2.0"))
    card.state(act="A", minver=disk.version_cell("1.1.0"))
    boots(card, "B")


@pytest.mark.parametrize("torn", [4, 100, 250, 511])
def test_a_torn_newest_copy_leaves_the_older(card, torn):
    card.state(1, act="B", seq=5)
    card.state(0, act="A", seq=6)
    newest = card.get(disk.STATE[0], torn) + BAD_SECTOR[torn:]
    card.put(disk.STATE[0], newest)
    boots(card, "B")


@pytest.mark.parametrize("only", [0, 1])
def test_one_copy_is_enough(card, only):
    card.state(only, act="B", seq=9)
    card.put(disk.STATE[1 - only], BAD_SECTOR)
    boots(card, "B")


def test_what_the_state_adds_is_ignored(card):
    """Only the names that U-Boot's script lists come in; values are never commands."""
    text = b"act=A\0bad=0;reset\0bootargs=evil\0bootcmd=reset\0left=0\0minver=0\0seq=9\0" \
           b"stdin=serial\0try=$(reset)\0watchdog=reset\0why=none\0\0"
    card.put(disk.STATE[0], disk.with_crc(text.ljust(disk.SECTOR - 4, b"\0")))
    boots(card, "A")


# Both copies gone: (version in A, in B) -> the slot that boots, and the state that was made.
LOST = {
    ("1.0.0", "1.0.0"): ("A", dict(act="A", minver="1.0.0", **{"try": "none"})),
    ("1.0.0", "1.1.0"): ("B", dict(act="A", minver="1.0.0", left="2", **{"try": "B"})),
    ("1.1.0", "1.0.0"): ("A", dict(act="B", minver="1.0.0", left="2", **{"try": "A"})),
    ("1.1.0", None): ("A", dict(act="A", minver="1.1.0", **{"try": "none"})),
    (None, "1.1.0"): ("B", dict(act="B", minver="1.1.0", **{"try": "none"})),
}


@pytest.mark.parametrize("versions", LOST)
def test_a_lost_state_is_made_again(card, versions):
    for slot, version in zip("AB", versions):
        card.slot(slot, card.signed(version) if version else bytes(4096))
    for copy in disk.STATE:
        card.put(copy, BAD_SECTOR)
    slot, expected = LOST[versions]
    boots(card, slot)
    s = card.newest()
    expected = dict(bad="0", faults="0", left="0", prev="none", retry="0", why="none") | expected
    assert {k: s[k] for k in expected} == expected | {"minver": cell(expected["minver"])}


def test_a_lost_state_does_not_make_a_trial_permanent(card):
    card.slot("B", card.signed("1.1.0"))
    for copy in disk.STATE:
        card.put(copy, BAD_SECTOR)
    for slot in "BBBAA":
        boots(card, slot)
    assert card.newest()["bad"] == cell("1.1.0")


def test_a_state_that_cannot_be_written_boots_what_works(card):
    card.slot("B", card.signed("1.1.0"))
    card.state(act="A", try_="B", left=3)
    for _ in range(2):
        said = boots(card, "A", drive=",readonly=on")
        assert "the state cannot be written" in said


# --- What the firmware says ------------------------------------------------------------------------

def test_the_firmwares_bootargs_are_kept_but_for_the_slot(tmp_path):
    card = Card(tmp_path / "card.img", "tests/target/args")
    tree = tmp_path / "virt.dtb"
    subprocess.run(["qemu-system-aarch64", "-M", f"virt,dumpdtb={tree}", "-cpu", "cortex-a72",
                    "-smp", "1,maxcpus=2", "-m", "128M", "-nic", "none"], check=True,
                   stderr=subprocess.DEVNULL)
    words = 'one pith.slot=B NAME=value;reset "a word" pith.slot=Z $try \\x ${bootcmd} -- last'
    subprocess.run(["fdtput", "-t", "s", tree, "/chosen", "bootargs", words], check=True)
    with card.boot(devices=["-dtb", tree]) as m:
        m.expect(r"MiB, slot A$")
        m.expect(r"^argv: \w+\|one\|a word\|\$try\|\\x\|\$\{bootcmd\}\|last$")
        m.expect(r"^NAME: value;reset$")


# --- What is in it ---------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["qemu-virt", "rpi"])
def test_u_boot_is_configured_as_the_fragments_say(name):
    """Kconfig drops without a word what it does not like."""
    with alone():
        make("uboot", check=True)

    def settings(text):
        return dict(re.findall(r"(?m)^(CONFIG_\w+)=(.*)$", text)) | \
            {n: "n" for n in re.findall(r"(?m)^# (CONFIG_\w+) is not set$", text)}
    have = settings((ROOT / f"build/uboot/{name}/.config").read_text())
    for part in ("boards/uboot.config", f"boards/{name}/uboot.config"):
        wanted = settings((ROOT / part).read_text())
        assert wanted == {n: have.get(n, "n") for n in wanted}


def test_u_boot_has_only_the_commands_that_its_script_uses():
    """A list to keep short: every command is code that an attacker may reach."""
    for name in ("qemu-virt", "rpi"):
        config = (ROOT / f"build/uboot/{name}/.config").read_text()
        commands = set(re.findall(r"(?m)^CONFIG_CMD_(\w+)=y$", config)) - {"WDT"}
        assert commands == {"BOOTI", "BOOTM", "ECHO", "EXPORTENV", "FDT", "IMPORTENV", "ITEST",
                            "MEMORY", "PART", "READ", "RUN", "SETEXPR", "SLEEP", "WRITE"}
        for what in ("NET", "USB", "PCI", "EFI_LOADER", "FS_FAT", "VIDEO", "MTD", "TPM", "BOOTSTD"):
            assert f"CONFIG_{what}=y" not in config, what
