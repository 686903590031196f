# SPDX-License-Identifier: Apache-2.0
"""Raspberry Pi 3 and 4, booted directly by QEMU: the same images as on virt, with trees of Debian's
kernel package."""
import re

import pytest
from build import ROOT
from checks import check_output
from pi import BOARDS, Pi

ICOUNT = ["-icount", "shift=0"]  # 1 ns of virtual time is one instruction
MODEL = {"raspi3b": "Raspberry Pi 3 Model B", "raspi4b": "Raspberry Pi 4 Model B"}
every_board = pytest.mark.parametrize("board", BOARDS)
every_console = pytest.mark.parametrize("console", ["mini-uart", "pl011"])


def run_checks(board, app, at_least, **machine):
    with Pi(board, app, **machine) as m:
        return check_output(m, at_least)


@every_board
@every_console
def test_hello_boots_and_powers_off(board, console):
    with Pi(board, "hello", console=console) as m:
        m.expect(rf"{MODEL[board]}, EL2, 960 MiB")
        m.expect(r"^Hello from Pith$")
        m.expect(r"exit status 0")
        assert m.wait() == 0
        assert not m.other_serial.read_bytes()
        assert "stays where it was loaded" not in m.output
        assert not re.search(r"error|PANIC|nobody", m.output)


@every_board
def test_without_seeds(board):
    with Pi(board, "hello", seeds=False) as m:
        m.expect(r"stays where it was loaded, 0x200000: no seed")
        m.expect(r"no rng-seed in the device tree")
        m.expect(r"exit status 0")


@every_board
def test_tables(board):
    run_checks(board, "tests/target/tables", 16)


@every_board
def test_threads(board):
    run_checks(board, "tests/target/threads", 20, devices=[*ICOUNT[:1], "shift=0,sleep=off"])


@every_board
@pytest.mark.parametrize("app,checks", [("epoll", 80), ("posix", 80), ("sockets", 80),
                                        ("seeds", 2)])
def test_programs_that_need_no_more_than_a_kernel(board, app, checks):
    run_checks(board, f"tests/target/{app}", checks)


@every_board
@pytest.mark.parametrize("attack", ["write-text", "run-data", "read-null", "overflow-main-stack",
                                    "overflow-interrupt-stack", "smash-canary"])
def test_attacks_end_in_a_panic(board, attack):
    with Pi(board, "tests/target/attack", append=f"panic=halt {attack}") as m:
        m.expect(f"attack {attack}")
        m.expect(r"PANIC: ")
        m.expect(r"(by|at|lr) image\+0x[0-9a-f]+")
        m.expect(r"halted")
        assert "succeeded" not in m.output


@every_board
def test_timers_are_exact(board):
    assert "timers run within 5 us" in run_checks(board, "tests/target/devices", 6, devices=ICOUNT)


@every_board
@every_console
def test_lines_typed_arrive_edited(board, console):
    with Pi(board, "tests/target/devices", append="echo", console=console) as m:
        m.expect("type now")
        m.send("hello wrold\x7f\x7f\x7f\x7forld\r")
        m.expect("line <hello world> of 11")
        m.send("x" * 200 + "\r")
        m.expect("line <x{200}> of 200")
        m.send("\x04")
        m.expect("end of file")
        m.expect("exit status 0")
        assert m.wait() == 0


@every_board
def test_reset_boots_again(board):
    with Pi(board, "tests/target/devices", append="reset") as m:
        for _ in range(3):
            m.expect("build id [0-9a-f]{40}, reset reason power-on")


@every_board
def test_the_other_cpus_stay_parked(board):
    """In QEMU's stand-in for the firmware, below 4 KiB, where the tree's spin table is."""
    with Pi(board, "tests/target/attack", append="panic=halt read-null", qmp=True) as m:
        m.expect(r"halted")
        registers = m.qmp("human-monitor-command", **{"command-line": "info registers -a"})
        first, *others = [int(pc, 16) for pc in re.findall(r"PC=(\w+)", registers)]
        assert first >= 0x1000 and len(others) == 3 and all(pc < 0x1000 for pc in others)


@every_board
def test_a_panic_resets(board):
    with Pi(board, "tests/target/attack", append="read-null", devices=["-no-reboot"]) as m:
        m.expect(r"PANIC")
        m.expect(r"reset")
        assert m.wait() == 0     # -no-reboot: a reset ends QEMU


@every_board
def test_a_panic_before_there_are_devices_resets(board):
    nodes = ["/soc/local_intc@40000000", "/soc/interrupt-controller@7e00b200"]
    if board == "raspi4b":
        nodes = ["/soc/interrupt-controller@40041000"]
    edits = [["-t", "s", node, "status", "disabled"] for node in nodes]
    with Pi(board, "hello", tree_edits=edits, devices=["-no-reboot"]) as m:
        m.expect(r"PANIC: no interrupt controller")
        m.expect(r"reset$")
        assert m.wait() == 0     # -no-reboot: a reset ends QEMU


@every_board
def test_firmware_and_lines(board):
    with Pi(board, "tests/target/pi", append="firmware") as m:
        check_output(m, 14)
        # What QEMU's firmware says (hw/misc/bcm2835_property.c, include/hw/arm/raspi_platform.h).
        assert re.search(r"^mac 52:54:00:12:34:5[67]$", m.output, re.M)
        assert f"revision {'a02082' if board == 'raspi3b' else 'b03115'}, memory 0+3c000000" in m.output
        assert "temperature 25000" in m.output
        assert "core 350000000 Hz, uart 3000000 Hz" in m.output
        # The Pi 3's LED is behind the firmware, and QEMU's has none.
        assert f"led ACT: {'-5' if board == 'raspi3b' else '0'}" in m.output


@pytest.mark.parametrize("state,level", [("on", 1), ("off", 0)])
def test_an_led_begins_as_the_tree_says(state, level):
    edit = ["-t", "s", "/leds/led-act", "default-state", state]
    with Pi("raspi4b", "tests/target/pi", append="firmware", tree_edits=[edit]) as m:
        m.expect(rf"^led ACT begins {level}$")
        m.expect("exit status 0")


def test_a_line_that_should_switch_off_and_does_not():
    """The Pi 400's, behind the firmware, which QEMU's has not."""
    with Pi("raspi4b", "tests/target/pi", append="probe",
            tree=ROOT / "build/deps/dtbs/broadcom/bcm2711-rpi-400.dtb") as m:
        m.expect(r"^Raspberry Pi 400.*, reset reason")
        m.expect(r"exit status 0")
        m.expect(r"this machine cannot power itself off; stopped")


def test_random_bytes_of_the_hardware():
    """No seeds: what comes is the generator's."""
    run_checks("raspi3b", "tests/target/pi", 2, append="random", seeds=False)


def test_random_bytes_of_the_firmwares_seed():
    run_checks("raspi4b", "tests/target/pi", 2, append="random")


def test_a_probe_of_nothing_fails_and_nothing_else():
    """GENET's registers, which QEMU's Pi 4 does not have; then its USB controller, which it has."""
    with Pi("raspi4b", "tests/target/pi", append="probe fd580000 fe980000") as m:
        m.expect(r"^probe fd580000: 6, 0x0$")
        m.expect(r"^probe fe980000: 0, 0x[1-9a-f]\w+$")
        m.expect(r"exit status 0")


def test_any_other_read_of_nothing_is_a_panic():
    with Pi("raspi4b", "tests/target/pi", append="panic=halt read fd580000") as m:
        m.expect(r"PANIC: data abort: read from 0xfd580000, external abort")
        m.expect(r"halted")


def test_an_absent_device_is_a_failed_probe():
    """QEMU's Pi 4 has no rng200; it hides the node under its usual name only."""
    name = ["-t", "s", "/soc/rng@7e104000", "compatible", "brcm,iproc-rng200"]
    with Pi("raspi4b", "tests/target/pi", append="random", tree_edits=[name]) as m:
        m.expect(r"iproc-rng200: rng@7e104000: error 6")
        check_output(m, 2)


@every_board
def test_a_disabled_watchdog_is_left_alone(board):
    with Pi(board, "tests/target/pi", append="watchdog", watchdog=False) as m:
        m.expect(r"running 0")
        m.expect(r"watchdog -19")
        m.expect(r"this machine cannot power itself off; stopped")
        assert m.running()


@every_board
def test_the_watchdog_resets(board):
    """QEMU's has no countdown: it resets when it is started."""
    with Pi(board, "tests/target/pi", append="watchdog") as m:
        for _ in range(2):
            m.expect(r"running 0")
        assert "watchdog 0" not in m.output


@every_board
@pytest.mark.parametrize("rsts,reason", [("1000", "power-on"), ("20", "watchdog"), ("0", "unknown")])
def test_the_reset_reason_that_the_firmware_left(board, rsts, reason):
    edits = [["-cp", "/chosen/bootloader"], ["-t", "x", "/chosen/bootloader", "rsts", rsts]]
    with Pi(board, "tests/target/pi", append="probe", tree_edits=edits) as m:
        m.expect(rf"reset reason {reason}$")
