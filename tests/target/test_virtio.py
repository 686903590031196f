# SPDX-License-Identifier: Apache-2.0
"""Disks and random bytes over virtio: modern and legacy, whatever rings and features are offered."""
import json

import pytest
from checks import run_checks
from qemu import Qemu

APP = "tests/target/virtio"

NO_RINGS = ",event_idx=off,indirect_desc=off"


def disk(path, options="", size=8 << 20, drive=""):
    """QEMU options for a disk of that many bytes."""
    with open(path / "disk.img", "wb") as f:
        f.truncate(size)
    return ["-drive", f"if=none,id=d,format=raw,file={path}/disk.img{drive}",
            "-device", f"virtio-blk-device,drive=d{options}"]


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
@pytest.mark.parametrize("options", ["", NO_RINGS, ",event_idx=off", ",indirect_desc=off",
                                     ",queue-size=4", ",queue-size=16,seg-max-adjust=off",
                                     ",queue-size=1024", ",packed=on", ",write-cache=off",
                                     ",logical_block_size=4096,physical_block_size=4096"])
def test_disk_whatever_is_offered(modern, options, tmp_path):
    run_checks(APP, at_least=10, append="disk threads", modern=modern,
               devices=disk(tmp_path, options))


def test_what_was_written_is_in_the_file(tmp_path):
    run_checks(APP, at_least=6, append="disk", devices=disk(tmp_path))
    assert any((tmp_path / "disk.img").read_bytes())


def test_smallest_disk(tmp_path):
    run_checks(APP, at_least=6, append="disk", devices=disk(tmp_path, size=1024))


def test_read_only_disk(tmp_path):
    run_checks(APP, at_least=2, append="read-only", devices=disk(tmp_path, drive=",readonly=on"))


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
def test_errors_of_the_medium_are_reported_and_survived(modern, tmp_path):
    disk(tmp_path)
    errors = [{"event": event, "errno": 5, "sector": 0} for event in ("read_aio", "write_aio")]
    node = {"driver": "raw", "node-name": "d",
            "file": {"driver": "blkdebug", "inject-error": errors,
                     "image": {"driver": "file", "filename": f"{tmp_path}/disk.img"}}}
    run_checks(APP, at_least=3, append="errors", modern=modern, devices=[
        "-blockdev", json.dumps(node),
        "-device", "virtio-blk-device,drive=d,werror=report,rerror=report"])


def test_no_disk():
    run_checks(APP, append="no-disk")


def test_device_that_demands_an_iommu_is_refused(tmp_path):
    with Qemu(APP, append="no-disk", devices=disk(tmp_path, ",iommu_platform=on")) as m:
        m.expect("virtio-blk .*: wants a feature that we do not have")
        m.expect("ok no disk")
        assert m.wait() == 0


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
@pytest.mark.parametrize("options", ["", NO_RINGS, ",packed=on"])
def test_random_from_the_device_alone(modern, options):
    run_checks(APP, at_least=4, append="random", modern=modern, machine="dtb-randomness=off",
               devices=["-device", f"virtio-rng-device{options}"])


def test_random_from_the_tree_alone_differs_from_boot_to_boot():
    first = set()
    for _ in range(3):
        with Qemu(APP, append="random") as m:
            first.add(m.expect("first bytes ([0-9a-f]{16})")[1])
            m.expect("exit status 0")
    assert len(first) == 3


def test_no_source_at_all():
    run_checks(APP, at_least=4, append="no-random", machine="dtb-randomness=off")
