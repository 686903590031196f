# SPDX-License-Identifier: Apache-2.0
"""Updates, whole: a device comes to the new image, or back to the old one by itself, whatever the new
one does and wherever the disk fails. tests/system/apps/updated is the app; time is virtual, so that an
hour takes seconds."""
import pytest
import updates
from card import BAD_SECTOR, Card, disk
from pi import BOARDS
from updates import expect_status, machine, patch, tray, update_file

# 64 ns an instruction, and idle time is skipped: minutes pass in seconds, and a loop for ever is short.
# A flush is not the host's, which may take virtual minutes.
VIRTUAL_TIME = dict(devices=["-icount", "shift=6,sleep=off"], drive=",cache=unsafe")
BASE = "1.0.0"


@pytest.fixture
def card(tmp_path):
    return Card(tmp_path / "card.img", updates.APP)


def cell(version):
    return f"{disk.version_cell(version):x}"


def state(card, **values):
    s = card.newest()
    return {name: s[name] for name in values} == values or s


# --- The way it should be --------------------------------------------------------------------------

def test_an_update_is_installed_tried_and_confirmed(card, tmp_path):
    with machine(card, tray(tmp_path, "1.1.0")) as m:
        expect_status(m, running="A", active="A", trial=0, A=BASE)
        m.expect("^installing\n")
        m.expect("^restarting\n")
        m.expect("^version 1.1.0\n")
        expect_status(m, running="B", active="A", trial=1)
        expect_status(m, running="B", active="B", trial=0, least=BASE, bad="none")
        m.expect("^nothing to install\n")
    assert state(card, act="B", prev="A", left="0", faults="0", **{"try": "none"}) is True
    with machine(card, tray(tmp_path, "1.2.0")) as m:
        m.expect("^version 1.1.0\n")
        m.expect("^installing\n")
        m.expect("^version 1.2.0\n")
        expect_status(m, running="A", active="A", trial=0, least="1.1.0", B="1.1.0")
    assert state(card, act="A", prev="B", minver=cell("1.1.0")) is True
    assert card.get(disk.SLOT_A, len(update_file("1.2.0"))) == update_file("1.2.0")


def test_what_is_older_is_not_installed(card, tmp_path):
    card.slot("A", update_file("1.1.0"))
    before = card.copies()
    with machine(card, tray(tmp_path, BASE)) as m:
        m.expect("^nothing to install\n")
    assert card.copies() == before


# --- Bad updates -----------------------------------------------------------------------------------

# What the update does, and what the device says of it when it is back on the image before.
BAD = {
    "CRASHES": "panic",
    "HANGS_MASKED": "watchdog",
    "HANGS": "unconfirmed",    # something else saw to it
    "NEVER_CONFIRMS": "unconfirmed",
    "NO_NETWORK": "network",
    "RETURNS": "exit",
    "EXITS": "exit",
    "POWERS_OFF": "exit",
    "ABORTS": "panic",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_update_is_taken_back(card, tmp_path, what):
    bad = patch("1.2", what)
    # QEMU's virtual clock jumps to the end of time where an interrupt waits while it resets.
    speed = {} if what == "HANGS_MASKED" else VIRTUAL_TIME
    with machine(card, tray(tmp_path, bad), **speed) as m:
        m.expect("^installing\n")
        m.expect(rf"^version {bad}\n")
        m.expect(rf"^version {BASE}\n")
        s = expect_status(m, running="A", active="A", trial=0, bad=bad, why=BAD[what])
        assert s["faults"] == "0", m.output
        assert s["retries"] == ("1" if what == "NO_NETWORK" else "0")
    assert state(card, act="A", bad=cell(bad), why=BAD[what], **{"try": "none"}) is True
    assert m.output.count(f"version {bad}\n") == 1, "one trial was enough"


def test_a_bad_update_is_not_installed_again(card, tmp_path):
    bad = patch("1.2", "EXITS")
    with machine(card, tray(tmp_path, bad), **VIRTUAL_TIME) as m:
        m.expect(rf"^version {bad}\n")
        m.expect(rf"^version {BASE}\n")
        m.expect("^nothing to install\n")
    with machine(card, tray(tmp_path, "1.3.0")) as m:
        m.expect("^installing\n")
        expect_status(m, running="B", active="B", trial=0, bad="none", why="none")


@pytest.mark.parametrize("what, reason", [("CRASHES_CONFIRMED", "panic"), ("CRASHES_LATER", "panic"),
                                          ("STOPS_CONFIRMED", "watchdog")])
def test_a_confirmed_image_that_fails_five_times_is_taken_back(card, tmp_path, what, reason):
    """CRASHES_LATER: an hour after each start."""
    bad = patch("1.2", what)
    with machine(card, tray(tmp_path, bad), **VIRTUAL_TIME) as m:
        m.expect("^installing\n")
        for faults in range(5):
            m.expect(rf"^version {bad}\n", timeout_s=300)
            expect_status(m, running="B", active="B", trial=0, faults=faults)
        m.expect(rf"^version {BASE}\n", timeout_s=300)
        expect_status(m, running="A", active="A", trial=0, bad=bad, why=reason, faults=0)
        m.expect("^nothing to install\n")
    assert m.output.count(f"version {bad}\n") == 5


def test_where_no_other_image_is_good_the_failing_one_goes_on(card, tmp_path):
    """Slower and slower, but for ever."""
    card.slot("A", update_file(patch("1.2", "CRASHES_CONFIRMED")))
    card.slot("B", BAD_SECTOR)
    with machine(card, **VIRTUAL_TIME) as m:
        for faults in range(8):
            expect_status(m, running="A", active="A", trial=0, faults=faults, timeout_s=300)
            m.expect(r"^version 1\.2\.", timeout_s=300)


# --- Disks that fail -------------------------------------------------------------------------------

def failing_disk(card, *rules):
    """The card behind QEMU's blkdebug. rules: of its inject-error."""
    errors = "".join(f",inject-error.{i}.{word}" for i, rule in enumerate(rules)
                     for word in rule.split(","))
    return ["-blockdev", f"driver=file,node-name=card-file,filename={card.path}",
            "-blockdev", "driver=raw,node-name=card-raw,file=card-file",
            "-blockdev", f"driver=blkdebug,node-name=card,image=card-raw{errors}",
            "-device", "virtio-blk-device,drive=card"]


def fails(iotype, byte):
    return f"event=none,iotype={iotype},errno=5,sector={byte // disk.SECTOR}"


DISKS = {
    "every write": "event=none,iotype=write,errno=5",
    "the slot's first sector": fails("write", disk.SLOT_B),
    "in the slot": fails("write", disk.SLOT_B + 65536),
    "reading the slot": fails("read", disk.SLOT_B + 65536),
    "the state": fails("write", disk.STATE[1]),
    "flushes": "event=none,iotype=flush,errno=5",
}


@pytest.mark.parametrize("what", DISKS)
def test_an_update_on_a_failing_disk_changes_nothing(card, tmp_path, what):
    options = failing_disk(card, DISKS[what])
    with machine(card, tray(tmp_path, "1.1.0"), disk_options=options, qmp=True) as m:
        m.expect("^installing\n")
        said = m.expect(r"^not installed: (.+)\n")[1]
        assert "disk" in said or "state" in said
        m.qmp("system_reset")
        m.expect(rf"^version {BASE}\n")
        expect_status(m, running="A", active="A", trial=0)
    assert state(card, act="A", **{"try": "none"}) is True


def test_a_trial_on_a_disk_that_takes_no_state_is_not_begun(card, tmp_path):
    card.stage(update_file("1.1.0"))
    older = disk.STATE[1 - card.newest_copy()]
    with machine(card, disk_options=failing_disk(card, fails("write", older))) as m:
        m.expect("PITH: the state cannot be written")
        expect_status(m, running="A", active="A", trial=0)


def test_a_trial_whose_disk_fails_ends_on_the_image_before(card):
    """U-Boot can still count it, and that is the last write that the disk takes."""
    card.stage(update_file("1.1.0"))
    options = ["-blockdev", f"driver=file,node-name=card-file,filename={card.path}",
               "-blockdev", "driver=blkdebug,node-name=card-debug,image=card-file,"
               "set-state.0.event=write_aio,set-state.0.state=1,set-state.0.new_state=2,"
               "inject-error.0.event=write_aio,inject-error.0.state=2,inject-error.0.iotype=write",
               "-blockdev", "driver=raw,node-name=card,file=card-debug,cache.no-flush=on",
               "-device", "virtio-blk-device,drive=card"]
    with machine(card, disk_options=options, **VIRTUAL_TIME) as m:
        expect_status(m, running="B", active="A", trial=1)
        m.expect("^not confirmed\n")
        m.expect("PITH: the state cannot be written\n")
        expect_status(m, running="A", active="A", trial=0)
    assert state(card, left="2", **{"try": "B"}) is True


# --- A state that is lost --------------------------------------------------------------------------

def lose_the_state(card):
    for at in disk.STATE:
        card.put(at, BAD_SECTOR)


EXITS = patch("1.2", "EXITS")
# What is in slot B and in the state, and what runs in the end when both copies are lost there.
LOST = {
    "a new card": (BASE, {}, "A"),
    "while an update is written": (None, dict(prev="none"), "A"),
    "an update is there": ("1.1.0", {}, "B"),
    "on trial": ("1.1.0", dict(left="2", **{"try": "B"}), "B"),
    "a bad one on trial": (EXITS, dict(left="3", **{"try": "B"}), "A"),
    "confirmed": ("1.1.0", dict(act="B", prev="A"), "B"),
    "taken back": (EXITS, dict(bad=cell(EXITS), why="exit"), "A"),
    "going back": ("1.1.0", dict(act="B", prev="A", left="3", bad=cell("1.1.0"), why="panic",
                                 **{"try": "A"}), "B"),
}


@pytest.mark.parametrize("where", LOST)
def test_both_copies_of_the_state_lost(card, where):
    version, values, slot = LOST[where]
    card.slot("B", update_file(version) if version else bytes(disk.SECTOR))
    card.change(**values)
    lose_the_state(card)
    with machine(card, **VIRTUAL_TIME) as m:
        m.expect("PITH: no valid state")
        expect_status(m, running=slot, active=slot, trial=0)
        m.expect("^nothing to install\n")
    assert state(card, act=slot, **{"try": "none"}) is True
    assert card.newest()["minver"] == cell(BASE)


# --- Raspberry Pi ----------------------------------------------------------------------------------
# QEMU has no network for them, so that the update is put on the card here, and resets the machine as
# soon as its watchdog is started, so that the watchdog is disabled and the test switches off and on.

CARDS = {"raspi3b": "rpi3", "raspi4b": "rpi4"}


@pytest.mark.parametrize("board", BOARDS)
def test_a_pi_tries_an_update_and_confirms_it(tmp_path, board):
    card = Card(tmp_path / "card.img", updates.APP, CARDS[board])
    card.stage(update_file("1.1.0"))
    with card.boot_pi(board) as m:
        expect_status(m, running="B", active="A", trial=1, timeout_s=180)
        expect_status(m, running="B", active="B", trial=0)
    assert state(card, act="B", prev="A", **{"try": "none"}) is True


@pytest.mark.parametrize("board", BOARDS)
def test_a_pi_takes_a_bad_update_back(tmp_path, board):
    card = Card(tmp_path / "card.img", updates.APP, CARDS[board])
    bad = patch("1.2", "EXITS")
    card.stage(update_file(bad))
    with card.boot_pi(board) as m:
        expect_status(m, running="B", active="A", trial=1, timeout_s=180)
        m.expect("this machine cannot reset itself; stopped\n")
    with card.boot_pi(board) as m:
        expect_status(m, running="A", active="A", trial=0, bad=bad, why="exit", timeout_s=180)


@pytest.mark.parametrize("board", BOARDS)
def test_a_pi_tries_three_times(tmp_path, board):
    """The power fails in each: nothing but U-Boot counts them."""
    card = Card(tmp_path / "card.img", updates.APP, CARDS[board])
    bad = patch("1.2", "NEVER_CONFIRMS")
    card.stage(update_file(bad))
    for left in (2, 1, 0):
        with card.boot_pi(board) as m:
            expect_status(m, running="B", active="A", trial=1, timeout_s=180)
        assert card.newest()["left"] == str(left)
    with card.boot_pi(board) as m:
        expect_status(m, running="A", active="A", trial=0, bad=bad, why="unconfirmed", timeout_s=180)
