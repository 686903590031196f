# SPDX-License-Identifier: Apache-2.0
"""HTTP over every kind of virtio network device: modern and legacy, whatever rings are offered."""
import json
import subprocess

import pytest
from build import ROOT
from qemu import Qemu

PAGE = ROOT / "apps/web/www/index.html"


def fetch(machine, path="/", times=1):
    url = f"http://127.0.0.1:{machine.port()}{path}"
    return subprocess.run(["curl", "-sS", "--max-time", "60", "--retry", "50", "--retry-all-errors",
                           "--retry-delay", "1", *[url] * times], check=True,
                          stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
@pytest.mark.parametrize("options", [
    "", "event_idx=off", "indirect_desc=off", "mrg_rxbuf=off", "packed=on", "host_mtu=1400",
    "csum=off,guest_csum=off", "rx_queue_size=1024", "ctrl_vq=off,status=off",
    "event_idx=off,indirect_desc=off,mrg_rxbuf=off,any_layout=off"], ids=str)
def test_page_whatever_is_offered(modern, options):
    with Qemu("web", net=True, net_options=options, modern=modern) as m:
        page = PAGE.read_bytes()
        assert fetch(m, times=40) == page * 40
        assert "disabled" not in m.output


def test_link_goes_down_and_comes_back():
    with Qemu("web", net=True, net_options="id=nic", qmp=True) as m:
        fetch(m)
        for _ in range(3):
            m.qmp("set_link", name="nic", up=False)
            m.expect("eth0: link down")
            m.qmp("set_link", name="nic", up=True)
            m.expect("eth0: link up")
        assert fetch(m) == PAGE.read_bytes()


def test_two_devices():
    """The second one is found, and named."""
    with Qemu("web", net=True, devices=["-netdev", "user,id=net1",
                                        "-device", "virtio-net-device,netdev=net1"]) as m:
        m.expect("eth1: virtio-net")
        assert json.loads(fetch(m, "/status.json"))
