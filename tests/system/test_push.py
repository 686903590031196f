# SPDX-License-Identifier: Apache-2.0
"""Updates that somebody pushes, from the tool or the page to the image that is confirmed or taken back:
the real U-Boot, card and app. What must not be taken is refused, and leaves nothing behind."""
import contextlib
import http.client
import json
import os
import random
import re
import socket
import struct
import subprocess
import time

import prometheus
import pytest
from browser import Browser
from build import ROOT, build, make, own
from card import Card, disk, tool, update
from qemu import Qemu

TOKEN = "0123456789abcdefghij"
FAILING = "tests/system/apps/failing"


# The address may come before main() or after.
READY = r"(?s)web: listening on port 80\r?\n.*address 10\.0\.2\.15/24|" \
        r"address 10\.0\.2\.15/24.*web: listening on port 80\r?\n"


# --- A device and what is pushed to it ---------------------------------------------------------------

class Device:
    """A machine that runs web from a card, as seen from the network."""

    def __init__(self, machine):
        self.machine, self.host = machine, f"127.0.0.1:{machine.port()}"

    def connect(self, timeout_s=60):
        return http.client.HTTPConnection(self.host, timeout=timeout_s)

    def get(self, path, token=None):
        connection = self.connect()
        connection.request("GET", path, headers=authorization(token))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def status(self):
        return json.loads(self.get("/status.json")[1])

    def post(self, data, token=TOKEN, announced=None, **headers):
        """(status, text) of an upload."""
        connection = self.connect()
        connection.putrequest("POST", "/update")
        for name, value in (authorization(token) | {
                "Content-Length": len(data) if announced is None else announced} | headers).items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):    # refused in the middle
            connection.send(data)
        answer = connection.getresponse()
        result = answer.status, answer.read().decode()
        connection.close()
        return result


def authorization(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def new_card(folder, token=TOKEN, app="web"):
    card = Card(folder / "card.img", app)
    if token:
        tool("config", "set", card.path, f"token={token}")
    return card


@contextlib.contextmanager
def booted(card, **options):
    with card.boot(net=True, qmp=True, **options) as machine:
        machine.expect(r"MiB, slot A\r?\n")
        machine.expect(READY)
        yield Device(machine)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with booted(new_card(tmp_path_factory.mktemp("push"))) as device:
        yield device


def signed(path, version, app="web", product="web", **how):
    """An update file; its bytes."""
    return update(build(app) / "Image", path / f"{app.split('/')[-1]}-{version}.pith", version,
                  product=product, **how)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return signed(tmp_path_factory.mktemp("good"), "1.1.0")


def push(device, path, token=TOKEN):
    """tools/ota; (exit status, what it said)."""
    r = subprocess.run([ROOT / "tools/ota", device.host, path], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env=os.environ | {"TOKEN": token})
    return r.returncode, r.stdout


# --- The whole way ---------------------------------------------------------------------------------

def test_the_tool_follows_an_update_to_its_end(tmp_path):
    signed(tmp_path, "1.1.0")
    signed(tmp_path, "1.2.1", FAILING)
    with booted(new_card(tmp_path)) as device:
        code, said = push(device, tmp_path / "web-1.1.0.pith")
        assert code == 0, said
        assert re.fullmatch(r"web-1\.1\.0\.pith -> 127\.0\.0\.1:\d+, which runs 1\.0\.0 \(linux,dummy-virt\)\n"
                            r"  UPLOAD   \[#{30}\] 100 %\n(  RESET\n)?(  TRIAL    1\.1\.0 runs\n)?"
                            r"1\.0\.0 -> 1\.1\.0 confirmed in \d+\.\d s\n", said), said
        device.machine.expect(r"version 1\.1\.0 is confirmed\r?\n")
        ota = device.status()["ota"]
        assert (ota["running"], ota["active"], ota["trial"], ota["why"]) == ("B", "B", False, "none")
        assert ota["slots"] == [{"name": "A", "confirmed": True, "version": "1.0.0"},
                                {"name": "B", "confirmed": True, "version": "1.1.0"}]
        assert ota["min_version"] == "1.0.0" and device.get("/crash")[0] == 404

        code, said = push(device, tmp_path / "failing-1.2.1.pith")
        assert code == 3, said
        assert re.search(r"\nrolled back to 1\.1\.0: the new image crashed: abort\(\)( \(reset reason: .+\))?\n$", said)
        assert_the_crash_is_told(device)


def assert_the_crash_is_told(device):
    ota = device.status()["ota"]
    assert (ota["running"], ota["failed_version"], ota["why"]) == ("B", "1.2.1", "panic")
    assert ota["crash"]
    _, samples = device.get("/metrics")
    samples, _ = prometheus.parse(samples)
    assert samples["pith_ota_failed_version", (("why", "panic"), ("version", "1.2.1"))] == \
        disk.version_cell("1.2.1")
    code, stranger = device.get("/crash")
    assert code == 200 and stranger.startswith(ota["crash"] + "\n")
    told = subprocess.run([ROOT / "tools/symbolize"], input=stranger, text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    assert "main" in told, told
    assert "failing 1." not in stranger and "version 1.2.1" not in stranger
    assert device.get("/crash", "wrong" * 5)[1] == stranger
    _, owner = device.get("/crash", TOKEN)
    assert owner.startswith(stranger) and "version 1.2.1, slot A, on trial" in owner
    assert "linux,dummy-virt, EL1, 128 MiB, slot A" in owner


def choose_file(browser, path):
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


def drop_file(browser, path):
    browser.value("$('drop').scrollIntoView({behavior: 'instant', block: 'center'})")
    x, y = browser.value("(r => [r.x + 9, r.y + 9])($('drop').getBoundingClientRect())")
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)


def push_by_page(browser, give, path, token=TOKEN):
    give(browser, path)
    browser.wait(f"$('file_name').innerText.startsWith({json.dumps(path.name)}) && !$('go').disabled")
    browser.value(f"$('token').value = {json.dumps(token)}; $('go').click()")
    return browser.wait(r"/confirmed in|rolled back|not get through|token/.test($('outcome').innerText)"
                        " && $('outcome').innerText")


def test_the_page_follows_an_update_to_its_end(tmp_path):
    signed(tmp_path, "1.1.0")
    signed(tmp_path, "1.2.1", FAILING)
    signed(tmp_path, "1.3.1", FAILING)
    with Browser() as browser, booted(new_card(tmp_path)) as device:
        browser.open(f"http://{device.host}/", width=1280)
        browser.wait("document.querySelector('#live.yes') !== null && last !== null")
        assert browser.text("ota_version") == "1.0.0" and browser.text("ota_state") == "slot A, confirmed"
        assert push_by_page(browser, choose_file, tmp_path / "web-1.1.0.pith", "wrong") == "the token is wrong"
        said = push_by_page(browser, choose_file, tmp_path / "web-1.1.0.pith")
        assert re.fullmatch(r"1\.0\.0 -> 1\.1\.0 confirmed in \d+\.\d s", said), said
        browser.wait("$('ota_version').innerText == '1.1.0' && $('ota_state').innerText == 'slot B, confirmed'")
        assert device.status()["image"]["build_id"] in browser.text("image")
        by_page = push_by_page(browser, drop_file, tmp_path / "failing-1.2.1.pith")
        assert by_page.startswith("rolled back to 1.1.0: the new image crashed: "), by_page
        assert "1.2.1 crashed" in browser.text("ota_note")
        _, by_tool = push(device, tmp_path / "failing-1.3.1.pith")
        assert by_tool.splitlines()[-1] == by_page
        choose_file(browser, ROOT / "README.md")
        browser.wait("$('outcome').innerText == 'README.md is not an update, or not all of one'")
        assert browser.value("$('go').disabled")


def test_an_image_that_does_not_confirm_is_taken_back(tmp_path):
    signed(tmp_path, "1.1.2", FAILING)
    with booted(new_card(tmp_path)) as device:
        tool_run = subprocess.Popen([ROOT / "tools/ota", device.host, tmp_path / "failing-1.1.2.pith"],
                                    text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    env=os.environ | {"TOKEN": TOKEN})
        device.machine.expect(READY.replace("web: listening on port 80", "failing: does not confirm"))
        assert device.post(b"x" * 2048) == (503, "version 1.1.2, which runs, is not confirmed itself yet\n")
        said, _ = tool_run.communicate(timeout=200)
        assert tool_run.returncode == 3, said
        assert re.search(r"\nrolled back to 1\.0\.0: the new image did not confirm within 30 s"
                         r"( \(reset reason: .+\))?\n$", said), said


def test_make_ota_works_twice_in_a_row(tmp_path):
    """Development builds: the second has a later version, though nothing was committed between."""
    with own("web", tmp_path) as app, booted(new_card(tmp_path, app=app)) as device:
        for old, new in (("1.0.0", "1.0.1"), ("1.0.1", "1.0.2")):
            said = make("ota", f"APP={app}", f"HOST={device.host}", f"TOKEN={TOKEN}", check=True).stdout
            assert f"\n{old} -> {new} confirmed in " in said
        said = make("ota", f"APP={app}", f"HOST={device.host}", f"TOKEN={TOKEN}", "VERSION=1.0.2").stdout
        assert f"refuses the update: version 1.0.2 runs already" in said


# --- Refusals --------------------------------------------------------------------------------------

def held(status):
    """What a connection may hold, without the network stack's own memory: a router may appear."""
    return (status["descriptors"], status["http"]["connections_now"],
            status["memory"]["heap_used_bytes"] - status["network"]["memory_bytes"])


@contextlib.contextmanager
def nothing_changes(device):
    """The same boot goes on, with no update under way, and in the end with the memory it had."""
    before = device.status()
    yield
    deadline = time.monotonic() + 60
    while held(after := device.status()) != held(before) or after["ota"]["phase"] != "idle":
        assert time.monotonic() < deadline, f"{before}\n{after}"
        time.sleep(0.2)
    assert after["uptime_s"] > before["uptime_s"]
    for name in ("running", "active", "trial", "failed_version"):
        assert after["ota"][name] == before["ota"][name]


def flip(data, at, bit=0):
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]


def other_keys(tmp_path):
    subprocess.run([ROOT / "tools/keys.py", "new", tmp_path / "keys"], check=True, stderr=subprocess.DEVNULL)
    return signed(tmp_path, "1.1.0", keys=tmp_path / "keys")


REFUSALS = {    # what is pushed, of a good update and a folder; status; sentence
    "same version": (lambda u, f: signed(f, "1.0.0"), 412, r"version 1\.0\.0 runs already"),
    "older": (lambda u, f: signed(f, "0.9.0"), 412, r"version 0\.9\.0 is older than 1\.0\.0, which runs"),
    "other product": (lambda u, f: signed(f, "1.1.0", product="oven"), 415,
                      'the update is for product "oven", this is "web"'),
    "other keys": (lambda u, f: other_keys(f), 422, ".*key.*"),
    "wrong signature": (lambda u, f: flip(u, -1024 + 100), 422, "the signature is wrong: .*"),
    "damaged": (lambda u, f: flip(u, len(u) // 2), 422, "the signature is wrong: .*"),
    "truncated": (lambda u, f: u[:-512], 400, r"the update must have \d+ bytes by its header, and has \d+"),
    "truncated to its image": (lambda u, f: u[:-1024], 400, "the update must have .*"),
    "longer": (lambda u, f: u + bytes(512), 400, "the update must have .*"),
    "no trailer": (lambda u, f: u[:-1024] + bytes(1024), 400, ".*"),
    "not an update": (lambda u, f: b"\x7fELF".ljust(8192, b"\0"), 400, "this is not an update file"),
    "tiny": (lambda u, f: b"x", 400, "1 bytes: this is not an update file"),
    "nothing": (lambda u, f: b"", 411, "an update comes with its Content-Length"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_refused(device, good, tmp_path, what):
    make_it, status, sentence = REFUSALS[what]
    with nothing_changes(device):
        code, said = device.post(make_it(good, tmp_path))
        assert code == status and re.fullmatch(sentence + r"\n", said), (code, said)


@pytest.mark.parametrize("token, sentence", [(None, "a token is needed"), ("", "a token is needed"),
                                             (TOKEN[:-1], "the token is wrong"),
                                             (TOKEN + "x", "the token is wrong"),
                                             ("X" * len(TOKEN), "the token is wrong")])
def test_strangers_are_refused(device, good, token, sentence):
    with nothing_changes(device):
        assert device.post(good, token) == (401, sentence + "\n")
    assert device.status()["ota"]["slots"][0]["version"] == "1.0.0"


def test_too_large_is_refused_before_it_is_sent(device):
    with nothing_changes(device):
        code, said = device.post(b"", announced=disk.SLOT_BYTES + 512, Expect="100-continue")
        assert code == 413 and said == f"the update has {disk.SLOT_BYTES + 512} bytes, slot B only {disk.SLOT_BYTES}\n"


def test_push_is_off_without_a_token_and_without_a_slot():
    for word, status, sentence in (("", 403, "push is off: .* at least 16 characters"),
                                   ("token=short", 403, "push is off: .*"),
                                   (f"token={TOKEN}", 501, ".*not booted from.*")):
        with Qemu("web", net=True, append=word) as machine:
            machine.expect(READY)
            device = Device(machine)
            code, said = device.post(b"x" * 2048)
            assert code == status and re.fullmatch(sentence + r"\n", said), (code, said)
            assert device.status()["ota"]["push"] == (status == 501)


# --- Bad senders -----------------------------------------------------------------------------------

def half_upload(device, data, count):
    """A connection on which count bytes of an upload were sent."""
    host, port = device.host.split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(f"POST /update HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
                       f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:count])
    return connection


def wait_for(device, phase, done_bytes=0):
    deadline = time.monotonic() + 60
    while (ota := device.status()["ota"])["phase"] != phase or ota["done_bytes"] < done_bytes:
        assert time.monotonic() < deadline, ota
        time.sleep(0.05)


def test_only_one_upload_at_a_time(device, good):
    with nothing_changes(device), half_upload(device, good, 100_000) as first:
        wait_for(device, "writing", 100_000)
        for _ in range(2):
            assert device.post(good) == (409, "another update is under way\n")
        first.sendall(flip(good, -1)[100_000:])    # a padding byte of the trailer
        assert first.recv(1000).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("rude", [False, True], ids=["close", "reset"])
def test_a_connection_that_drops_anywhere_leaves_nothing(device, good, rude):
    n = len(good)
    with nothing_changes(device):
        for count in (0, 1, 511, 512, 513, 8192, 65535, 65536, 65537, n // 2, n - 1025, n - 1024, n - 512, n - 1):
            connection = half_upload(device, good, count)
            wait_for(device, "writing", count)
            if rude:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            wait_for(device, "idle")
    assert device.status()["ota"]["slots"][1]["version"] is None


def test_a_slow_sender_is_waited_for(device, tmp_path):
    data = signed(tmp_path, "1.0.0")
    with nothing_changes(device):
        connection = half_upload(device, data, 10)
        at = 10
        while at < len(data):
            count = 37 if at < 1000 else 5000
            connection.sendall(data[at:at + count])
            at += count
            time.sleep(0.02)
        assert b"version 1.0.0 runs already" in connection.recv(1000)
        connection.close()


def test_damaged_images_never_run(tmp_path, good):
    """A sample of single bits anywhere, through HTTP; then U-Boot goes on with the old image."""
    r = random.Random(4)
    places = [0, 4, 511, 512, len(good) - 1024, len(good) - 984, len(good) - 960, len(good) - 1] + \
        [r.randrange(len(good)) for _ in range(16)]
    with booted(new_card(tmp_path)) as device:
        with nothing_changes(device):
            for at in places:
                code, said = device.post(flip(good, at, r.randrange(8)))
                assert code in (400, 412, 415, 422), (at, code, said)
        device.machine.qmp("system_reset")
        device.machine.expect(r"PITH: version 0?0?400000, pith\.slot=A pith\.act=A pith\.try=none ")
        device.machine.expect(r"MiB, slot A\r?\n")
        device.machine.expect(READY)
        ota = device.status()["ota"]
        assert [s["version"] for s in ota["slots"]] == ["1.0.0", None]
