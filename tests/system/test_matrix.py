# SPDX-License-Identifier: Apache-2.0
"""The web app answers on every machine; data goes through whatever virtio network card it has."""
import json
import re
import subprocess

import peer
import pytest
from netns import card
from qemu import Qemu


def curl(url):
    return subprocess.run(["curl", "-sS", "--max-time", "60", url], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def serves(**machine):
    """Boot apps/web with user networking: address by DHCP, page and status by HTTP. The status."""
    with Qemu("web", net=True, **machine) as m:
        m.expect("web: listening")
        url = f"http://127.0.0.1:{m.port()}"
        assert "<html" in curl(url)
        status = json.loads(curl(f"{url}/status.json"))
        assert status["image"]["name"] == "web"
        assert m.running(), m.output
        assert "eth0: address 10.0.2.15/24 by DHCP" in m.output
        return status


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
@pytest.mark.parametrize("memory", ["64M", "256M", "4G"])
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72", "max"])
@pytest.mark.parametrize("el", [1, 2], ids=["el1", "el2"])
@pytest.mark.parametrize("gic", [2, 3], ids=["gicv2", "gicv3"])
def test_web_answers(gic, el, cpu, memory, modern):
    status = serves(gic=gic, el=el, cpu=cpu, memory=memory, modern=modern)
    megabytes = {"64M": 64, "256M": 256, "4G": 4096}[memory]
    assert 0.9 * megabytes < status["memory"]["total_bytes"] / (1 << 20) <= megabytes


@pytest.mark.parametrize("memory", ["5M", "8M"])
def test_web_answers_with_little_memory(memory):
    serves(memory=memory)


@pytest.mark.parametrize("machine", [dict(smp=4), dict(smp=4, gic=3, el=2), dict(machine="secure=on"),
                                     dict(machine="secure=on", gic=3),
                                     dict(machine="dtb-randomness=off",
                                          devices=["-device", "virtio-rng-device"])], ids=str)
def test_web_answers_on_other_machines(machine):
    serves(**machine)


# What a card may lack or bring beyond the usual. Queue sizes: what QEMU's properties take.
OPTIONS = ["packed=on", "event_idx=off", "indirect_desc=off", "event_idx=off,indirect_desc=off",
           "mrg_rxbuf=off", "mrg_rxbuf=off,any_layout=off", "csum=off", "guest_csum=off",
           "csum=off,guest_csum=off", "host_tso4=off,host_tso6=off",
           "guest_tso4=off,guest_tso6=off", "host_tso4=off,guest_tso6=off", "ctrl_vq=off", "status=off",
           "rx_queue_size=1024", "host_mtu=1280", "host_mtu=9000", "mq=on",
           "event_idx=off,indirect_desc=off,mrg_rxbuf=off,csum=off,guest_csum=off,ctrl_vq=off"]


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
@pytest.mark.parametrize("options", OPTIONS)
def test_data_through_any_card(options, modern):
    with peer.network(card=card(options=options), modern=modern) as (ns, _):
        if mtu := re.search(r"host_mtu=(\d+)", options):
            ns.run("ip", "link", "set", "tap0", "mtu", mtu[1])
        assert ns.run("curl", "-sS", f"http://{peer.MACHINE4}/") == "Hello\n"
        peer.transfer_both(ns, 300_000)
        ns.run("ping", "-c1", "-s", "4000", peer.MACHINE4)


@pytest.mark.parametrize("memory", ["5M", "8M", "16M"])
def test_data_with_little_memory(memory):
    with peer.network(memory=memory) as (ns, _):
        peer.transfer_both(ns, 1_000_000)


# With what the card offers, and all that it rests on, and enough memory for the frames.
@pytest.mark.parametrize("options, memory, out, in_", [
    ("", "64M", True, True), ("csum=off", "64M", False, True), ("guest_csum=off", "64M", True, False),
    ("mrg_rxbuf=off", "64M", True, False), ("host_tso4=off,host_tso6=off", "64M", False, True),
    ("guest_tso4=off,guest_tso6=off", "64M", True, False), ("", "8M", True, False)])
def test_large_segments_when_they_can_be(options, memory, out, in_):
    with peer.network(card=card(options=options), memory=memory) as (ns, m):
        assert ("tx large" in m.output, "rx large" in m.output) == (out, in_)
        for address in (peer.MACHINE4, f"{peer.LINK_LOCAL}%tap0"):
            peer.transfer_both(ns, 1_000_000, address)


def test_a_card_that_cannot_be_used_is_refused():
    with Qemu("web", append=peer.STATIC, devices=[
            "-netdev", "user,id=net0",
            "-device", "virtio-net-device,netdev=net0,iommu_platform=on"]) as m:
        m.expect("wants a feature that we do not have")
        m.expect("web: listening")
