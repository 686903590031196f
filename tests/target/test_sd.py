# SPDX-License-Identifier: Apache-2.0
"""
SD cards behind every controller that QEMU has: SDHOST and the early SDHCI of the Pi 3, the early SDHCI
and EMMC2 of the Pi 4 (all by PIO, as QEMU's have no ADMA2), and the Arasan SDHCI of another machine,
by ADMA2.
"""
import pytest
from build import build
from checks import check_output
from pi import Pi
from versal import Versal

APP = "tests/target/sd"
MIB = 1 << 20
NO_SDHOST = ["-t", "s", "/soc/mmc@7e202000", "status", "disabled"]


# A machine, what its tree says in another way, the controller with the card, and where QEMU plugs it.
HOSTS = {
    "sdhost": (lambda app, **m: Pi("raspi3b", app, **m), "mmc@7e202000", None),
    "sdhci-pi3": (lambda app, **m: Pi("raspi3b", app, tree_edits=[NO_SDHOST], **m), "mmc@7e300000",
                  None),
    "sdhci-pi4": (lambda app, **m: Pi("raspi4b", app, **m), "mmc@7e300000", None),
    "emmc2": (lambda app, **m: Pi("raspi4b", app, **m), "mmc@7e340000", "/generic-sdhci/sd-bus"),
    "adma2": (Versal, "sdhci@f1040000", None),
}
every_host = pytest.mark.parametrize("host", HOSTS)


def drive(host, source):
    """QEMU options for a card with that -drive source, called "d"."""
    bus = HOSTS[host][2]
    if bus:
        return ["-drive", f"if=none,id=d,{source}", "-device", f"sd-card,drive=d,bus={bus}"]
    return ["-drive", f"if=sd,id=d,{source}"]


def card(path, size=64 * MIB):
    file = path / "card.img"
    with open(file, "wb") as f:
        f.truncate(size)
    return f"format=raw,file={file}"


def run(host, append, at_least, source, **machine):
    make, node, _ = HOSTS[host]
    with make(APP, append=append, devices=drive(host, source), **machine) as m:
        m.expect(rf"sd0: SD\w+ on {node}, ")
        return check_output(m, at_least), m.output


@every_host
def test_random_requests_against_a_reference(host, tmp_path):
    passed, output = run(host, "card end threads", 18, card(tmp_path))
    assert "131072 blocks of 512 bytes, 4 lines" in output
    assert "trying again" not in output
    assert any((tmp_path / "card.img").read_bytes())


def test_memory_is_never_the_controllers_and_ours(tmp_path):
    """DMA_DEBUG=1: where it is, one of the two would see the wrong bytes."""
    image = build(APP, "DMA_DEBUG=1") / "Image"
    with Versal(image=image, append="card end threads",
                devices=drive("adma2", card(tmp_path))) as m:
        check_output(m, 18)


@pytest.mark.parametrize("host,kind,size", [("emmc2", "SDHC", 4096 * MIB),
                                            *((host, "SDXC", 65536 * MIB) for host in HOSTS)])
def test_large_cards(host, kind, size, tmp_path):
    """Their last block is not where byte addresses of 32 bits reach."""
    source = card(tmp_path, size)
    passed, output = run(host, "end", 10, source)
    assert f"sd0: {kind} on " in output
    assert f"{size // 512} blocks" in output
    with open(tmp_path / "card.img", "rb") as f:
        f.seek(size - MIB)
        assert any(f.read())
        f.seek(0)
        assert not any(f.read(MIB))


@every_host
def test_no_card(host):
    make, node, _ = HOSTS[host]
    with make(APP, append="no-card") as m:
        m.expect(rf"{node}: no SD card")
        check_output(m, 1)


@every_host
def test_a_card_is_taken_away_and_put_back(host, tmp_path):
    make, node, _ = HOSTS[host]
    source = card(tmp_path)
    with make(APP, append="removal", devices=drive(host, source), qmp=True) as m:
        m.expect("take it")
        m.qmp("eject", device="d", force=True)
        m.expect(r"sd0: read of 3 blocks from 5: no (answer|card).*, given up")
        m.expect("put it back")
        m.qmp("blockdev-change-medium", device="d", filename=str(tmp_path / "card.img"),
              format="raw")
        check_output(m, 7)


@every_host
def test_errors_of_the_medium_are_survived(host, tmp_path):
    """QEMU's card tells its guest nothing of them (docs/hardware.md): the host tests prove that they
    are reported. If it comes to tell, they are -EIO."""
    card(tmp_path)
    errors = "".join(f",file.inject-error.{i}.event={event},file.inject-error.{i}.errno=5"
                     f",file.inject-error.{i}.sector=0"
                     for i, event in enumerate(["read_aio", "write_aio"]))
    source = ("format=raw,file.driver=blkdebug,file.image.driver=file,"
              f"file.image.filename={tmp_path}/card.img{errors}")
    make, _, _ = HOSTS[host]
    with make(APP, append="trouble", devices=drive(host, source)) as m:
        check_output(m, 4)
        assert "read error on host side" in m.errors and "write error on host side" in m.errors
