# SPDX-License-Identifier: Apache-2.0
"""Updates that the device fetches: from nginx, by the channel in its configuration, through the real
U-Boot to the image that is confirmed. tests/host/test_pull.c has the servers that do things wrong."""
import json
import urllib.request

import pytest
from build import build
from card import Card, tool, update
from nginx import Nginx

HOST = "10.0.2.2"    # of QEMU's user network: this machine's loopback


@pytest.fixture
def server(tmp_path):
    with Nginx(tmp_path / "www") as server:
        yield server


def publish(server, version, file=None, image=None, channel="channel.json"):
    """A version of web on the server, and a channel that names it."""
    name = file or f"web-{version}.pith"
    if not file:
        update(image or build("web") / "Image", server.root / name, version, product="web")
    (server.root / channel).write_text(
        json.dumps({"product": "web", "version": version, "url": name}))


def new_card(folder, server, *more, channel="channel.json"):
    card = Card(folder / "card.img", "web")
    tool("config", "set", card.path, f"update={server.url(channel, HOST)}", "update.interval_s=1", *more)
    return card


def fetched(server):
    """What was fetched beside the channel: (path, status, bytes)."""
    return [(path, status, count) for _, path, status, count in server.requests()
            if not path.endswith(".json")]


def status(machine):
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.port()}/status.json", timeout=60) as answer:
        return json.load(answer)["ota"]


def test_a_newer_version_is_fetched_tried_and_confirmed(tmp_path, server):
    publish(server, "1.1.0")
    card = new_card(tmp_path, server)
    with card.boot(net=True) as machine:
        machine.expect(r"pull: version 1\.1\.0 is there, to be tried$")
        machine.expect(r"MiB, slot B$")
        machine.expect(r"ota: version 1\.1\.0 is confirmed$")
        machine.expect(r"pull: version 1\.1\.0 runs already$")
        assert status(machine)["pull"]["outcome"] == "version 1.1.0 runs already"
    size = (server.root / "web-1.1.0.pith").stat().st_size
    assert fetched(server) == [("/web-1.1.0.pith", 200, size)]
    assert card.newest()["act"] == "B"


def test_a_download_survives_its_server_and_goes_on_where_it_stopped(tmp_path, server):
    publish(server, "1.1.0")
    size = (server.root / "web-1.1.0.pith").stat().st_size
    server.stop()
    # What is slow can be interrupted: a tenth of the file a second.
    slow = f"sendfile off; output_buffers 1 4k; limit_rate {size // 10};"
    server.start(slow)
    card = new_card(tmp_path, server, "token=0123456789abcdefghij")
    with card.boot(net=True) as machine:
        machine.expect(r"ota: an update of \d+ bytes for slot B$")
        while status(machine)["done_bytes"] < size // 3:
            pass
        server.stop()
        done = status(machine)["done_bytes"]
        assert size // 3 <= done < size
        server.start("")
        machine.expect(r"pull: version 1\.1\.0 is there, to be tried$")
        machine.expect(r"ota: version 1\.1\.0 is confirmed$")
    (_, code, count), = fetched(server)    # nginx that was killed logged nothing
    assert (code, count) == (206, size - done)


def test_a_version_that_fails_is_not_fetched_again(tmp_path, server):
    """And the next one is."""
    publish(server, "1.1.0", image=build("tests/system/apps/failing") / "Image")
    card = new_card(tmp_path, server)
    with card.boot(net=True) as machine:
        machine.expect(r"MiB, slot B$")
        machine.expect(r"MiB, slot A$", timeout_s=180)
        machine.expect(r"pull: version 1\.1\.0 failed on this device \(\w+\)$")
        looks = len(server.requests())
        while len(server.requests()) < looks + 3:
            assert machine.running()
        assert len(fetched(server)) == 1
        publish(server, "1.2.0")
        machine.expect(r"ota: version 1\.2\.0 is confirmed$")
    assert [path for path, _, _ in fetched(server)] == ["/web-1.1.0.pith", "/web-1.2.0.pith"]


def test_a_device_follows_its_channel(tmp_path, server):
    """A staged roll-out: what only the first group's channel has does not concern the others."""
    publish(server, "1.1.0", channel="first.json")
    publish(server, "1.0.0", channel="all.json")
    card = new_card(tmp_path, server, channel="all.json")
    with card.boot(net=True) as machine:
        machine.expect(r"pull: version 1\.0\.0 runs already$")
        assert fetched(server) == []
        publish(server, "1.1.0", file="web-1.1.0.pith", channel="all.json")
        machine.expect(r"ota: version 1\.1\.0 is confirmed$")


def test_a_server_that_is_away_or_unwell_changes_nothing(tmp_path, server):
    """What failed is on the page; looks become rarer; when it is well again, all goes on."""
    server.stop()
    card = new_card(tmp_path, server)
    with card.boot(net=True) as machine:
        machine.expect(r"pull: \S+: cannot connect: .+$")
        server.start("return 500;")
        machine.expect(r"pull: channel: the server says 500$")
        while status(machine)["pull"]["failures"] < 4:
            assert machine.running()
        assert "500" in status(machine)["pull"]["outcome"]
        server.stop()
        publish(server, "1.1.0")
        server.start("")
        machine.expect(r"ota: version 1\.1\.0 is confirmed$")
    assert card.newest()["act"] == "B"


def test_without_a_channel_nothing_is_fetched(tmp_path):
    with Card(tmp_path / "card.img", "web").boot(net=True) as machine:
        machine.expect(r"web: listening on port 80$")
        assert status(machine)["pull"] == {"on": False, "outcome": "", "failures": 0, "next_look_s": 0}
