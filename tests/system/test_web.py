# SPDX-License-Identifier: Apache-2.0
"""apps/web over HTTP, by real clients: the same program on Linux and on Pith passes the same test."""
import contextlib
import json
import os
import re
import socket
import subprocess
import time

import prometheus
import pytest
from build import ROOT, alone, make
from qemu import Qemu, free_port

NASTY = 'a "b" \\ <c> & \n\t\x01 \xe9'


@contextlib.contextmanager
def on_linux(**environment):
    with alone():
        make("build/host/web", check=True)
    port = free_port()
    server = subprocess.Popen([ROOT / "build/host/web"], cwd=ROOT / "apps/web", text=True,
                              env=os.environ | {"PORT": str(port)} | environment,
                              stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        curl("--retry", 50, "--retry-connrefused", "--retry-delay", 1, url)
        yield url
        assert server.poll() is None, "the server ended"
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def on_pith():
    with Qemu("web", net=True) as machine:
        url = f"http://127.0.0.1:{machine.port()}"
        machine.expect("web: listening")
        curl("--retry", 50, "--retry-all-errors", "--retry-delay", 1, url)
        yield url
        assert machine.running(), machine.output


@pytest.fixture(scope="module", params=[on_linux, on_pith])
def url(request):
    with request.param() as url:
        yield url


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "60", *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def status(url):
    return json.loads(curl(f"{url}/status.json"))


def test_the_page_comes_whole_and_only_once(url):
    page = (ROOT / "apps/web/www/index.html").read_text()
    assert curl(url) == page
    head = curl("-I", url)
    assert f"Content-Length: {len(page.encode())}\n" in head.replace("\r", "")
    etag = re.search(r'ETag: (".+")', head)[1]
    answer = curl("-i", "-H", f"If-None-Match: {etag}", url)
    assert answer.startswith("HTTP/1.1 304 ") and answer.endswith("\r\n\r\n")


def test_one_connection_serves_many_requests(url):
    before = status(url)["http"]["connections"]
    out = curl("-w", "connects=%{num_connects}\n", *[f"{url}/status.json"] * 3)
    assert re.findall(r"connects=(\d)", out) == ["1", "0", "0"]
    assert status(url)["http"]["connections"] == before + 2


@pytest.mark.parametrize("code, arguments", [
    (404, ["/none"]), (400, ["--path-as-is", "/../main.c"]), (400, ["/%2e%2e/main.c"]),
    (405, ["-d", "x", "/status.json"]), (501, ["-X", "DELETE", "/"]),
    (431, ["-H", "X: " + "y" * 9000, "/"]), (400, ["-H", "Host:", "/"])])
def test_refusals(url, code, arguments):
    *options, path = arguments
    assert curl("-o", "/dev/null", "-w", "%{http_code}", *options, url + path) == str(code)


def test_status_is_true_json_and_moves(url):
    first = status(url)
    assert first["image"]["name"] == "web" and re.fullmatch("[0-9a-f]{40}", first["image"]["build_id"])
    assert first["machine"] == "linux,dummy-virt"
    memory = first["memory"]
    assert 0 < memory["used_bytes"] <= memory["used_max_bytes"] <= memory["total_bytes"]
    assert 0 < memory["heap_used_bytes"] <= memory["heap_used_max_bytes"]
    assert {"idle", "main", "net"} <= {t["name"] for t in first["threads"]}
    for thread in first["threads"]:
        assert 0 < thread["stack_used_max_bytes"] <= thread["stack_bytes"], thread
    interface, = first["network"]["interfaces"]
    assert interface["link_up"] and "10.0.2.15/24" in interface["addresses"]
    assert first["reset_reason"] and first["descriptors"] > 2
    assert abs(first["unix_time_s"] - time.time()) < 120
    second = status(url)
    assert second["uptime_s"] > first["uptime_s"]
    assert second["http"]["requests"] == first["http"]["requests"] + 1
    assert sum(t["run_s"] for t in second["threads"]) > sum(t["run_s"] for t in first["threads"])
    for counter in ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"):
        assert second["network"]["interfaces"][0][counter] >= interface[counter]


def test_metrics_are_true_prometheus(url):
    assert "text/plain; version=0.0.4" in curl("-I", f"{url}/metrics")
    samples, types = prometheus.parse(curl(f"{url}/metrics"))
    later, _ = prometheus.parse(curl(f"{url}/metrics"))
    assert samples.keys() == later.keys()
    for key, value in samples.items():
        assert types[key[0]] == "gauge" or later[key] >= value, key
    assert later["pith_http_requests_total", ()] == samples["pith_http_requests_total", ()] + 1
    assert later["pith_uptime_seconds", ()] > samples["pith_uptime_seconds", ()]


def test_strings_are_escaped_whatever_the_machine_is_called():
    with on_linux(MODEL=NASTY) as url:
        # Bytes beyond ASCII are shown one by one, as nothing vouches for their encoding.
        assert status(url)["machine"] == NASTY.encode().decode("latin-1")
        samples, _ = prometheus.parse(curl(f"{url}/metrics"))
        info, = [dict(labels) for name, labels in samples if name == "pith_info"]
        assert info["machine"] == NASTY


def held(s):
    """What connections hold. The stack's memory is not theirs alone: a router may appear."""
    return (s["http"]["connections_now"], s["descriptors"],
            s["memory"]["heap_used_bytes"] - s["network"]["memory_bytes"])


def test_half_requests_hold_nobody_up_and_leave_nothing_behind(url):
    before, host, port = status(url), *url[len("http://"):].split(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(20)]
    for i, client in enumerate(clients):
        client.sendall((b"GET / HT", b"POST / HTTP/1.1\r\nContent-Le", b"\x16\x03\x01")[i % 3])
    assert status(url)["http"]["connections_now"] > 10
    for client in clients:
        client.close()
    deadline = time.monotonic() + 60
    while held(after := status(url)) != held(before):
        assert time.monotonic() < deadline, f"{before}\n{after}"
        time.sleep(0.2)


def test_a_crowd_gets_no_error(url):
    out = subprocess.run(["wrk", "-t1", "-c32", "-d3", f"{url}/status.json"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    assert int(re.search(r"(\d+) requests in", out)[1]) > 100, out
    assert "Socket errors" not in out and "Non-2xx" not in out, out
