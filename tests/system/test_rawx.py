# SPDX-License-Identifier: Apache-2.0
"""An app may serve by lwIP's raw API under the net lock: the server that `make bench` measures."""
import contextlib
import socket

import peer
import pytest
from faults import Faults, Relay
from netns import Namespace
from qemu import Qemu

REQUEST = b"GET / HTTP/1.1\r\nHost: pith\r\n\r\n"
BODY = b"x" * 27 + b"\n"
ANSWER = (b"HTTP/1.1 200 OK\r\nServer: b\r\nContent-Type: text/plain\r\n"
          b"Content-Length: 28\r\nConnection: keep-alive\r\n\r\n") + BODY
URL = f"http://{peer.MACHINE4}/"


@contextlib.contextmanager
def server(devices, within):
    with Qemu("tests/bench/server_raw", within=within, devices=devices,
              append=peer.STATIC) as m:
        m.expect("^serving$")
        yield
        assert m.running(), m.output


@pytest.fixture(scope="module")
def ns():
    with Namespace() as ns, server(ns.tap(f"{peer.HOST4}/24", f"{peer.HOST6}/64"), ns.enter):
        yield ns


def read(connection, count):
    answer = b""
    while len(answer) < count:
        chunk = connection.recv(1 << 16)
        assert chunk, f"ended after {len(answer)} bytes"
        answer += chunk
    return answer


def ask_in_one_go(ns, count):
    """All requests, and the end of them, before the first answer is read."""
    with ns.connect(peer.MACHINE4, 80, timeout_s=30) as c:
        c.sendall(REQUEST * count)
        c.shutdown(socket.SHUT_WR)
        assert read(c, count * len(ANSWER)) == ANSWER * count
        assert c.recv(1) == b""


def test_curl(ns):
    assert ns.run("curl", "-s", URL, URL) == 2 * BODY.decode()


def test_wrk(ns):
    said = ns.run("wrk", "-t1", "-c100", "-d2", URL)
    assert "Socket errors" not in said and "Non-2xx" not in said, said


def test_over_ipv6(ns):
    with ns.connect(f"{peer.LINK_LOCAL}%tap0", 80) as c:
        c.sendall(REQUEST)
        assert read(c, len(ANSWER)) == ANSWER


def test_a_request_in_pieces(ns):
    with ns.connect(peer.MACHINE4, 80) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3):
            for i in range(len(REQUEST)):
                c.sendall(REQUEST[i:i + 1])
            assert read(c, len(ANSWER)) == ANSWER


def test_more_requests_than_the_send_queue_has_room_for_answers(ns):
    ask_in_one_go(ns, 20_000)


def test_what_is_reset_is_forgotten(ns):
    """More often than there is room for connections."""
    for _ in range(1200):
        c = ns.connect(peer.MACHINE4, 80)
        c.sendall(REQUEST)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        c.close()
    ask_in_one_go(ns, 1)


def test_over_a_bad_network():
    """Lost, doubled, reordered, damaged: each request has its answer, once."""
    link = Relay()
    with Namespace() as ns:
        devices = link.before(ns, f"{peer.HOST4}/24", f"{peer.HOST6}/64")
        with contextlib.closing(link), server(devices, ns.enter):
            ns.run("ping", "-c1", peer.MACHINE4)    # nothing protects what ARP learns from damage
            link.start(Faults(lost=0.03, doubled=0.03, reordered=0.03, damaged=0.03))
            ask_in_one_go(ns, 5000)
            for _ in range(20):
                ask_in_one_go(ns, 3)
            link.start(Faults())
            assert all(way["lost"] > 0 for way in link.counters())
