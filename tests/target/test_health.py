# SPDX-License-Identifier: Apache-2.0
"""A device that goes wrong: it is reset, says afterwards why, and comes to a good end by itself
(tests/target/health does what its environment says; docs/ota.md has the rules).

Time is made of instructions here (128 ns each), so that half a minute of a busy program takes a
second, however loaded the machine is that runs the test."""
import re
import socket
import subprocess

import pytest
from build import ROOT
from card import Card, disk
from pi import BOARDS, Pi
from qemu import Qemu, connect_when_there

APP = "tests/target/health"
FAST = ["-icount", "shift=7"]
WATCHDOG = ["-device", "i6300esb", "-action", "watchdog=reset"]
V1, V2 = "1.0.0", "1.1.0"
NULL_POINTER = r"data abort: write to 0x0, translation fault: NULL pointer"


def state_line(slot, version, trial, **said):
    said = dict(active=slot, bad="none", why="none", faults=0, retries=0) | said
    return (rf"^slot {slot} version {version} trial {trial} "
            + " ".join(f"{k} {v}" for k, v in said.items()) + "$")


# --- The crash record ------------------------------------------------------------------------------

def survives_a_reset(m):
    m.expect(r"^crash none$")
    m.expect(r"last words before crash")
    at = m.expect(r"backtrace, image at (?:.*\n)+?.* at (image\+0x[0-9a-f]+)$")[1]
    m.expect(rf"the boot before this one ended by: {NULL_POINTER}$")
    m.expect(rf"^crash of \d+\.\d+\.\d+ in slot -, trial 0, build this: {NULL_POINTER}$")
    m.expect(rf"^at {re.escape(at)}$")
    m.expect(r"^its log has its last words$")


@pytest.mark.parametrize("version", [None, 10])
def test_a_crash_is_told_after_the_reset(version):
    with Qemu(APP, append="do=crash", version=version) as m:
        survives_a_reset(m)


@pytest.mark.parametrize("board", BOARDS)
def test_a_crash_of_a_pi_is_told_after_the_reset(board):
    with Pi(board, APP, append="do=crash") as m:
        survives_a_reset(m)


def test_a_restart_that_was_asked_for_is_no_crash():
    with Qemu(APP, append="do=restart") as m:
        for _ in range(3):
            m.expect(r"^crash none$")
            m.expect(r"last words before restart")


# --- The watchdog of QEMU virt ---------------------------------------------------------------------

@pytest.mark.parametrize("version", [None, 10])
def test_a_hang_with_interrupts_off_is_reset(version):
    with Qemu(APP, append="do=watch,5,hang", devices=WATCHDOG + FAST, version=version) as m:
        for reason, crash in (("unknown", r"none"), ("watchdog", r"of .*: watchdog")):
            m.expect(rf"^reset reason {reason}, watchdog 0$")
            m.expect(rf"^crash {crash}$")
            if reason == "watchdog":
                m.expect(r"^its log has its last words$")
            m.expect(r"^watchdog 0$")
            m.expect(r"last words before hang")


def test_one_that_is_fed_does_not_reset():
    with Qemu(APP, append="do=watch,100", devices=WATCHDOG + FAST) as m:
        m.expect(r"exit status 0")
        assert m.output.count("reset reason") == 1


def test_the_reason_is_read_once():
    with Qemu(APP, append="do=watch,hang", devices=WATCHDOG + FAST, qmp=True) as m:
        m.expect(r"^reset reason unknown")
        m.expect(r"^reset reason watchdog")
        m.qmp("system_reset")
        m.expect(r"^reset reason (?!watchdog)")


def test_without_one_starting_it_says_so():
    with Qemu(APP, append="do=watch") as m:
        m.expect(r"^watchdog -19$")
        m.expect(r"exit status 0")


class Qtest:
    """QEMU's test protocol: what a boot loader could have written to devices before the image."""

    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connect_when_there(connection, str(path))
        self._file = connection.makefile("rw")

    def __call__(self, *words):
        self._file.write(" ".join(f"{w:#x}" if isinstance(w, int) else w for w in words) + "\n")
        self._file.flush()
        answer = self._file.readline().split()
        assert answer[0] == "OK", answer
        return answer[1:]


def start_i6300esb(qtest, seconds):
    """On virt: it is the first device behind the bridge at 0x4010000000, whose window is at 0x10000000."""
    config, bar = 0x4010000000, 0x10000000
    while qtest("readl", config) != ["0x0000000025ab8086"]:
        config += 1 << 15
        assert config < 0x4010100000, "no i6300esb"
    qtest("writel", config + 0x10, bar)
    qtest("writew", config + 0x04, 2)
    for register in (0, 4):
        qtest("writew", bar + 12, 0x80)
        qtest("writew", bar + 12, 0x86)
        qtest("writel", bar + register, seconds * 500)
    qtest("writeb", config + 0x68, 2)


@pytest.mark.parametrize("version", [None, 10])
def test_a_running_one_is_taken_over(tmp_path, version):
    path = tmp_path / "qtest"
    with Qemu(APP, append="do=60", version=version, qmp=True, devices=[
            *WATCHDOG, *FAST, "-S", "-qtest", f"unix:{path},server=on,wait=off"]) as m:
        start_i6300esb(Qtest(path), 15)
        m.qmp("cont")
        m.expect(r"i6300esb watchdog: running, fed from now on")
        m.expect(r"^reset reason unknown, watchdog 1$")
        m.expect(r"exit status 0")
        assert m.wait() == 0
        assert m.output.count("reset reason") == 1


def test_that_test_would_notice(tmp_path):
    """The control: an image that does not know the device."""
    path = tmp_path / "qtest"
    with Qemu("tests/target/devices", append="echo", qmp=True, devices=[
            *WATCHDOG, "-no-reboot", "-S", "-qtest", f"unix:{path},server=on,wait=off"]) as m:
        start_i6300esb(Qtest(path), 2)
        m.qmp("cont")
        assert m.wait() == 0     # -no-reboot: a reset ends QEMU


# --- Booted from a slot ----------------------------------------------------------------------------

@pytest.fixture
def card(tmp_path):
    """1.0.0 in A, which is active; 1.1.0 in B."""
    card = Card(tmp_path / "card.img", APP)
    for slot, version in (("A", V1), ("B", V2)):
        card.slot(slot, card.signed(version))
    return card


def configure(card, **words):
    subprocess.run([ROOT / "tools/config", "set", card.path, *(f"{k}={v}" for k, v in words.items())],
                   check=True)


def boot(card, **options):
    return card.boot(devices=FAST, **options)


TRIALS = [
    ("crash", "panic"), ("5,hang", "watchdog"), ("20,spin", "unconfirmed"), ("no-network,100", "network"),
    ("exit", "exit"), ("off", "exit"),
]


@pytest.mark.parametrize("deed,why", TRIALS)
def test_a_trial_that_fails_goes_back_by_itself(card, deed, why):
    configure(card, do_A="1", do_B=deed, panic="halt")
    card.state(act="A", try_="B", left=3)
    with boot(card) as m:
        m.expect(state_line("B", V2, 1, active="A"))
        m.expect(state_line("A", V1, 0, bad=V2, why=why, retries=int(why == "network")))
        if why in ("panic", "watchdog"):
            m.expect(rf"^crash of {V2} in slot B, trial 1, build this: ")
            m.expect(r"^its log has its last words$")
        else:
            m.expect(r"^crash none$")
        m.expect(r"exit status 0")
        assert m.wait() == 0


def test_one_that_is_confirmed_stays(card):
    configure(card, do="confirm,60")
    card.state(act="A", try_="B", left=3)
    with boot(card) as m:
        m.expect(r"^confirm 0$")
        m.expect(r"exit status 0")
        assert m.wait() == 0
    assert card.newest()["act"] == "B" and card.newest()["prev"] == "A"


def test_one_that_hangs_after_confirmation_is_counted(card):
    configure(card, do_B="confirm,2,hang")
    card.state(act="A", try_="B", left=3)
    with boot(card) as m:
        m.expect(r"^confirm 0$")
        m.expect(state_line("B", V2, 0, faults=1))
        m.expect(rf"^crash of {V2} in slot B, trial 0, build this: watchdog$")


@pytest.mark.parametrize("deed,cause", [("crash", NULL_POINTER), ("2,hang", "watchdog"),
                                        ("2,spin", "watchdog")])
def test_five_faults_bring_back_the_image_before(card, deed, cause):
    configure(card, do_A="confirm,1", do_B=deed)
    card.state(act="B", prev="A", faults=3)
    why = "watchdog" if cause == "watchdog" else "panic"
    with boot(card) as m:
        m.expect(state_line("B", V2, 0, faults=3))
        m.expect(state_line("B", V2, 0, faults=4))
        m.expect(rf"slot A boots next: version {V2} is bad \({why}\)$")
        m.expect(state_line("A", V1, 1, active="B", bad=V2, why=why, faults=5))
        m.expect(rf"^crash of {V2} in slot B, trial 0, build this: {cause}$")
        m.expect(r"^confirm 0$")
        m.expect(r"exit status 0")
    left = card.newest()
    assert (left["act"], left["prev"], left["why"], left["faults"]) == ("A", "none", why, "0")
    assert int(left["bad"], 16) == disk.version_cell(V2)


def test_with_nothing_to_go_back_to_the_app_starts_later_and_later(card):
    configure(card, do="crash")
    card.state(act="A", prev="none", faults=4)
    with boot(card) as m:
        m.expect(state_line("A", V1, 0, faults=4))
        for faults, seconds in ((5, 1), (6, 2), (7, 4)):
            m.expect(rf"the app starts in {seconds} s$")
            m.expect(state_line("A", V1, 0, faults=faults))


def test_a_good_end_after_ten_minutes_forgets_the_faults(card):
    for seconds, faults in ((500, "4"), (700, "0")):
        configure(card, do=str(seconds))
        card.state(act="A", faults=4)
        with card.boot(devices=["-icount", "shift=10"]) as m:
            m.expect(r"exit status 0")
            assert m.wait() == 0
        assert card.newest()["faults"] == faults


def test_the_disk_remembers(card):
    configure(card, do="crash")
    card.state(act="A")
    with boot(card) as m:
        m.expect(state_line("A", V1, 0, faults=1))
    configure(card, do="")
    with boot(card) as m:     # the power was off
        m.expect(rf"^crash of {V1} in slot A, trial 0, build this: {NULL_POINTER}$")
        m.expect(r"^at image\+0x[0-9a-f]+$")
        m.expect(r"^its log has its last words$")
        m.expect(r"exit status 0")


@pytest.mark.parametrize("board", BOARDS)
def test_on_a_pi_u_boot_leaves_the_record_alone(tmp_path, board):
    """With the watchdog's node hidden (QEMU's resets when it is started) the reset comes from outside."""
    card = Card(tmp_path / "card.img", APP, board={"raspi3b": "rpi3", "raspi4b": "rpi4"}[board])
    configure(card, do="crash")
    with Pi(board, image=card.file("u-boot.bin", tmp_path), watchdog=False, qmp=True,
            devices=["-drive", f"if=sd,format=raw,file={card.path}"]) as m:
        m.expect(r"this machine cannot reset itself", timeout_s=180)
        m.qmp("system_reset")
        m.expect(state_line("A", V1, 0, faults=1), timeout_s=180)
        m.expect(rf"^crash of {V1} in slot A, trial 0, build this: {NULL_POINTER}$")
        m.expect(r"^its log has its last words$")
