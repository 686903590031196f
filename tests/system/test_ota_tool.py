# SPDX-License-Identifier: Apache-2.0
"""tools/ota tells in a sentence, and by its exit status, how it ended: every outcome of a trial, every
way in which a network or what answers there can be wrong. The devices here are web on Linux with slots
that are made up (tests/host/mock_ota.c), and worse; tests/system/test_push.py has the real ones."""
import contextlib
import http.server
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest
from build import ROOT, alone, make
from qemu import free_port

TOKEN = "0123456789abcdefghij"


def update_file(folder, version="0.2.0", product="web"):
    """What has a trailer; the made-up slots look no further."""
    major, minor, patch = map(int, version.split("."))
    trailer = b"PITHUPD1" + product.encode().ljust(32, b"\0")
    trailer += struct.pack("<II8sII", major << 22 | minor << 12 | patch, 300000, b"key", 256, 0)
    path = folder / f"{product}-{version}.pith"
    path.write_bytes(os.urandom(300032) + trailer.ljust(1024, b"\0"))
    return path


def ota(host, *arguments, token=TOKEN):
    r = subprocess.run([ROOT / "tools/ota", host, *arguments], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env=os.environ | {"TOKEN": token}, timeout=200)
    return r.returncode, r.stdout.splitlines()


@contextlib.contextmanager
def on_linux(**environment):
    with alone():
        make("build/host/web", check=True)
    port = free_port()
    server = subprocess.Popen([ROOT / "build/host/web"], cwd=ROOT / "apps/web", stdout=subprocess.DEVNULL,
                              env=os.environ | {"PORT": str(port), "token": TOKEN} | environment)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"localhost:{port}"
    finally:
        server.kill()
        server.wait()


# --- How a trial ends --------------------------------------------------------------------------------

@pytest.mark.parametrize("outcome, failure", [
    ("unconfirmed", "did not confirm within 30 s"), ("panic", "crashed"), ("watchdog", "hung"),
    ("exit", "ended its program"), ("network", "had no network"), ("damaged", "was damaged")])
def test_every_failure_has_its_words(tmp_path, outcome, failure):
    with on_linux(MOCK_OUTCOME=outcome, MOCK_TRIAL_MS="700") as host:
        code, said = ota(host, update_file(tmp_path))
    assert code == 3
    assert said[-1] == f"rolled back to 0.1.0: the new image {failure} (reset reason: power-on)"


def test_a_crash_is_named(tmp_path):
    with on_linux(MOCK_OUTCOME="panic", MOCK_TRIAL_MS="700", MOCK_CRASH="data abort at 0x10") as host:
        _, said = ota(host, update_file(tmp_path))
    assert said[-1] == "rolled back to 0.1.0: the new image crashed: data abort at 0x10 (reset reason: power-on)"


def test_a_refusal_is_the_devices_sentence(tmp_path):
    with on_linux() as host:
        for path, token, sentence in (
                (update_file(tmp_path, product="oven"), TOKEN, "the update is for another product"),
                (update_file(tmp_path, "0.1.0"), TOKEN, "the update is the same or an older version"),
                (update_file(tmp_path), "", "a token is needed"),
                (update_file(tmp_path), "wrong", "the token is wrong")):
            code, said = ota(host, path, token=token)
            assert (code, said[-1]) == (1, f"tools/ota: {host} refuses the update: {sentence}")


def test_the_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with on_linux() as host:
        assert ota(host, update_file(tmp_path), "--token-file", tmp_path / "token", token="")[0] == 0


@pytest.mark.parametrize("runs, built, called", [
    ("0.1.7", "0.1.9", "0.1.9"), ("0.1.7", "0.1.7", "0.1.8"), ("0.2.0", "0.1.9", "0.2.1"),
    ("1.0.4095", "0.1.9", None)])
def test_a_development_build_is_later_than_what_runs(runs, built, called):
    with on_linux(MOCK_A=runs) as host:
        code, said = ota(host, "--next", built)
    assert (code, said) == (0, [called]) if called else \
        (code == 1 and said[0].startswith("tools/ota: no PATCH is left"))


# --- What is wrong with the network, or answers there -----------------------------------------------

class Fake(http.server.ThreadingHTTPServer):
    """A device that answers GETs with the statuses of a list, the last one again and again; post(handler)
    is what it does with an update."""

    def __init__(self, statuses, post=None):
        self.statuses, self.post = list(statuses), post
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"    # with 100 Continue

    def do_GET(self):
        status = self.server.statuses[0]
        if len(self.server.statuses) > 1:
            self.server.statuses.pop(0)
        if status is None:
            self.close_connection = True
            return
        body = status if isinstance(status, bytes) else json.dumps(status).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.server.post(self)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


def status(version="0.1.0", phase="idle", **ota):
    slots = [{"name": "A", "version": version, "confirmed": True}]
    return {"image": {"version": version}, "machine": "fake", "reset_reason": "unknown",
            "ota": {"running": "A", "slots": slots, "phase": phase, "trial": False, "failure": "",
                    "crash": ""} | ota}


def test_nobody_is_there(tmp_path):
    path, host = update_file(tmp_path), f"localhost:{free_port()}"
    assert ota(host, path) == (1, [f"tools/ota: cannot reach {host}: nothing listens on that port"])
    assert ota("nobody.invalid", path) == (1, ["tools/ota: cannot reach nobody.invalid: there is no host of that name"])
    assert ota("a host", path) == (1, ["tools/ota: 'a host' is not a name or address, or one with :PORT"])


def test_somebody_else_is_there(tmp_path):
    path = update_file(tmp_path)
    for answer, sentence in (
            (b"<html>", "answers, but not like a Pith device: its /status.json is no status (200 OK)"),
            (b"[]", "answers, but not like a Pith device: its /status.json is no status (200 OK)")):
        with Fake([answer]) as fake:
            assert ota(fake.host, path) == (1, [f"tools/ota: {fake.host} {sentence}"])
    with Fake([{"image": {"version": "1.0.0"}}]) as fake:
        assert ota(fake.host, path)[1] == [f"tools/ota: the image on {fake.host} takes no updates: its app "
                                           "has no feature `ota`"]
    with Fake([None]) as fake:
        assert ota(fake.host, path)[1] == [f"tools/ota: cannot reach {fake.host}: the connection broke"]


@pytest.mark.parametrize("says, sentence", [
    (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers is no web server (BadStatusLine)"),
    (b"", "no answer within 10 s")])
def test_what_listens_is_no_web_server(tmp_path, says, sentence):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection, _ = listener.accept()
            connection.sendall(says)
            connection.recv(1 << 20)
            connection.settimeout(60)
            connection.recv(1)
        threading.Thread(target=serve, daemon=True).start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        assert ota(host, update_file(tmp_path)) == (1, [f"tools/ota: cannot reach {host}: {sentence}"])


def drops(handler):
    """Read a little, and reset the connection."""
    handler.rfile.read(50000)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def takes_it_silently(handler):
    """Take all of it, and lose the answer."""
    handler.rfile.read(int(handler.headers["Content-Length"]))


def test_a_broken_upload_changes_nothing(tmp_path):
    with Fake([status()], drops) as fake:
        code, said = ota(fake.host, update_file(tmp_path))
    assert (code, said[-1]) == (1, f"tools/ota: the update did not get through, {fake.host} goes on with "
                                   "0.1.0: the connection broke")


def test_an_update_whose_answer_was_lost_is_followed(tmp_path):
    with Fake([status(), status(phase="activated"), status(phase="activated"), None,
               status("0.2.0", trial=True, trial_left_s=29.9), status("0.2.0")], takes_it_silently) as fake:
        code, said = ota(fake.host, update_file(tmp_path))
    assert code == 0 and said[-1].startswith("0.1.0 -> 0.2.0 confirmed in "), said
    assert [line.split()[0] for line in said[2:-1]] == ["RESET", "TRIAL"]


def test_an_image_that_was_never_started_is_said_so(tmp_path):
    with Fake([status(), status(phase="activated"), status()], takes_it_silently) as fake:
        assert ota(fake.host, update_file(tmp_path))[1][-1] == "rolled back to 0.1.0: the new image was not started"


def test_a_device_that_stays_away_is_given_up(tmp_path):
    def dies(handler):
        takes_it_silently(handler)
        handler.server.socket.close()

    script = f"import runpy, sys; sys.argv = ['ota', sys.argv[1], {str(update_file(tmp_path))!r}]; " \
             f"sys.path.insert(0, {str(ROOT / 'tools')!r}); " \
             f"g = runpy.run_path({str(ROOT / 'tools/ota')!r}); g['update'].__globals__['SILENCE_S'] = 1; " \
             "sys.exit(g['main']())"
    with Fake([status()], dies) as fake:
        r = subprocess.run(["/usr/bin/python3", "-c", script, fake.host], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=100)
        host = fake.host
    assert r.returncode == 4 and r.stdout.splitlines()[-1] == \
        f"no answer from {host} for 1 s after the restart with 0.2.0", r.stdout


def test_what_is_no_update_is_not_sent(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 5000)
    assert ota("nobody.invalid", tmp_path / "x") == (1, [
        f"tools/ota: {tmp_path}/x is not an update, or not all of one: `make update` makes them"])
    assert ota("nobody.invalid", tmp_path / "y")[1] == [
        f"tools/ota: cannot read {tmp_path}/y: No such file or directory"]
