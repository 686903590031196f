# SPDX-License-Identifier: Apache-2.0
"""Many connections, slow and greedy ones, and floods: everything comes back, nobody is starved."""
import contextlib
import errno
import select
import socket
import time

import peer
import pytest
import segments
from netns import Namespace
from qemu import Qemu

REQUEST = b"GET / HTTP/1.1\r\nHost: pith\r\n\r\n"
# What must be as before when all peers have gone. (Pages may stay with the heap, addresses may come.)
POOLS = ["heap_bytes", "descriptors", "sockets", "threads", "tcp_pcbs", "tcp_listeners",
         "tcp_segments", "udp_pcbs", "pbufs", "reassemblies", "reassemblies6", "rx_buffers_held",
         "net_bytes", "net_reserve"]


def held(ns):
    """A connection of its own each time: what it finds free to live in is up to the moment."""
    with peer.control(ns) as c:
        counters = c.counters()
    return {name: counters[name] for name in POOLS}


def settled(ns, m):
    """What is held once the link-local address has been found to be ours alone."""
    m.expect(f"eth0: address {peer.LINK_LOCAL}")
    before, now = None, held(ns)
    while now != before:
        time.sleep(0.3)
        before, now = now, held(ns)
    return now


def wait_until_back(ns, baseline, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while (now := held(ns)) != baseline:
        assert time.monotonic() < deadline, {k: (baseline[k], now[k]) for k in now
                                             if now[k] != baseline[k]}
        time.sleep(0.2)


def ask(connection):
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"Hello\n"):
        chunk = connection.recv(4096)
        assert chunk, answer
        answer += chunk


def one_after_another(ns, count, address=peer.MACHINE4):
    for _ in range(count):
        connection = ns.new_socket(socket.AF_INET)
        connection.settimeout(60)
        connection.connect((address, 80))
        ask(connection)
        connection.close()


def from_port(ns, port):
    """A connection from this port, as soon as the host has let go of the one before."""
    while True:
        connection = ns.new_socket(socket.AF_INET)
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((peer.HOST4, port))
        try:
            connection.connect((peer.MACHINE4, 80))
            return connection
        except OSError as error:
            connection.close()
            if error.errno != errno.EADDRNOTAVAIL:
                raise


def test_ten_thousand_in_sequence():
    with peer.network(memory="64M") as (ns, m):
        baseline = settled(ns, m)
        one_after_another(ns, 10_000)
        wait_until_back(ns, baseline)


def test_a_peer_that_takes_the_same_port_again_is_served_at_once():
    """As behind an address translator: the connection before it is in TIME-WAIT here (RFC 6191)."""
    with Namespace() as ns, Qemu("web", within=ns.enter, append=peer.STATIC,
                                 devices=ns.tap(f"{peer.HOST4}/24")) as m:
        m.expect(r"^web: listening on port 80$")
        for _ in range(20):
            connection = from_port(ns, 40000)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: pith\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):
                pass
            connection.close()


def test_five_hundred_at_once():
    with peer.network(memory="64M") as (ns, m):
        baseline = settled(ns, m)
        connections = [ns.connect(peer.MACHINE4, 80) for _ in range(500)]
        for round in range(3):
            for c in connections:
                c.sendall(REQUEST)
            for c in connections:
                assert c.recv(4096).endswith(b"Hello\n")
        with peer.control(ns) as control:
            assert control.counters()["tcp_pcbs"] > 500
        for c in connections:
            c.close()
        wait_until_back(ns, baseline)


@pytest.mark.parametrize("memory", ["8M", "16M"])
def test_more_than_there_is_room_for(memory):
    """Refused or closed, cleanly; who came earlier goes on; afterwards all is as before."""
    with peer.network(memory=memory) as (ns, m):
        baseline = settled(ns, m)
        with peer.control(ns) as control:
            room = control.counters()["connections_max"]
        connections = []
        for _ in range(room + 100):
            c = ns.new_socket(socket.AF_INET)
            c.setblocking(False)
            c.connect_ex((peer.MACHINE4, 80))
            connections.append(c)
        time.sleep(1)
        outcomes = [ask_or_be_refused(c) for c in connections]
        assert outcomes.count("answered") >= room // 2
        assert outcomes.count("refused") >= 50
        for c in connections:
            c.close()
        wait_until_back(ns, baseline)
        one_after_another(ns, 20)


def ask_or_be_refused(connection):
    """Not let in by now is refused too: a SYN that there is no room for is dropped, for the peer to
    try again."""
    if not select.select([], [connection], [], 0)[1]:
        return "refused"
    connection.settimeout(60)
    try:
        connection.sendall(REQUEST)
        return "answered" if connection.recv(4096).endswith(b"Hello\n") else "refused"
    except (ConnectionError, TimeoutError):
        return "refused"


def test_reset_connections_leave_nothing_behind():
    """Peers that vanish by RST, before and after they asked for something."""
    with peer.network(memory="64M") as (ns, m):
        baseline = settled(ns, m)
        for i in range(500):
            c = ns.connect(peer.MACHINE4, 80) if i % 2 else ns.connect(peer.MACHINE4, 5002)
            if i % 4 > 1:
                c.sendall(REQUEST if i % 2 else b"100000000\n")
            # Close by RST (SO_LINGER of no time).
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.close()
        wait_until_back(ns, baseline)


@contextlib.contextmanager
def slow_readers(ns, count, size):
    """Connections to what does not read, filled in pieces of that size until nothing more goes."""
    connections = [ns.connect(peer.MACHINE4, 5004) for _ in range(count)]
    sent = []
    for c in connections:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.setblocking(False)
        total = 0
        with contextlib.suppress(BlockingIOError):
            while total < 3_000_000:
                total += c.send(b"s" * size)
        sent.append(total)
    yield connections, sent
    for c in connections:
        c.close()


@pytest.mark.parametrize("memory", ["8M", "64M"])
def test_slow_readers_starve_nobody(memory):
    with peer.network(memory=memory) as (ns, m):
        baseline = settled(ns, m)
        with slow_readers(ns, 8, 65536) as (connections, sent):
            peer.transfer_both(ns, 1_000_000)
            one_after_another(ns, 20)
            with peer.control(ns) as control:
                control.lines("drain")
            for c, total in zip(connections, sent):
                c.setblocking(True)
                c.shutdown(socket.SHUT_WR)
                assert c.makefile().readline().startswith(f"{total} ")
        wait_until_back(ns, baseline)


def test_one_byte_segments_starve_nobody():
    """Each is a frame, none of which may hold a device's buffer."""
    with peer.network(memory="16M") as (ns, m):
        baseline = settled(ns, m)
        connections = [ns.connect(peer.MACHINE4, 5004) for _ in range(4)]
        for c in connections:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2000):
            for c in connections:
                c.send(b"1")
        with peer.control(ns) as control:
            counters = control.counters()
            assert counters["rx_buffers_held"] < counters["rx_buffers"] // 4
            peer.transfer_both(ns, 1_000_000)
            control.lines("drain")
        for c in connections:
            c.shutdown(socket.SHUT_WR)
            assert c.makefile().readline().startswith("2000 ")
            c.close()
        wait_until_back(ns, baseline)


def test_floods_are_dropped_counted_and_survived():
    """More datagrams and pings than can be answered."""
    with peer.network(memory="16M") as (ns, m):
        baseline = settled(ns, m)
        s = ns.connect(peer.MACHINE4, 7, kind=socket.SOCK_DGRAM)
        for _ in range(20_000):
            with contextlib.suppress(OSError):
                s.send(bytes(1400))
        s.close()
        with peer.control(ns) as control:
            assert control.counters()["udp_overflows"] > 0
        ns.run("ping", "-q", "-f", "-c2000", "-s1400", peer.MACHINE4)
        peer.transfer_both(ns, 100_000)
        one_after_another(ns, 20)
        wait_until_back(ns, baseline)


def test_a_group_that_is_joined_is_reported_asked_for_and_left():
    """IGMPv2 (RFC 2236) on the wire."""
    group, everybody, routers = (socket.inet_aton(a) for a in ("239.1.2.3", "224.0.0.1", "224.0.0.2"))
    with peer.network() as (ns, _), ns.packet_socket("tap0", protocol=3) as wire:
        wire.settimeout(20)

        def said():
            """The next message of the machine's: (type, group, to)"""
            while True:
                frame = wire.recv(2000)
                if (frame[12:14], frame[23:24], frame[26:30]) == (
                        b"\x08\0", b"\x02", socket.inet_aton(peer.MACHINE4)):
                    message = frame[14 + 4 * (frame[14] & 15):][:8]
                    assert segments.total(message) == 0xFFFF
                    return message[0], message[4:], frame[30:34]

        def ask():
            message = bytearray((0x11, 5, 0, 0, 0, 0, 0, 0))
            segments.put_checksum(message, 0, 2)
            ip = bytearray(bytes.fromhex("45c0001c0000000001020000")
                           + socket.inet_aton(peer.HOST4) + everybody)
            segments.put_checksum(ip, 0, 10)
            wire.send(bytes.fromhex("01005e000001 020000000001 0800") + ip + message)

        with peer.control(ns) as control:
            ask()    # nothing is joined, nothing answered
            assert control.lines("join 239.1.2.3") == []
            assert said() == said() == (0x16, group, group)
            for _ in range(2):
                ask()
                assert said() == (0x16, group, group)
            assert control.lines("leave") == []
            assert said() == (0x17, group, routers)


def test_a_crowd_with_wrk():
    with peer.network(memory="64M") as (ns, m):
        baseline = settled(ns, m)
        out = ns.run("wrk", "-t1", "-c200", "-d3", f"http://{peer.MACHINE4}/")
        assert "Socket errors" not in out and "Non-2xx" not in out, out
        wait_until_back(ns, baseline)
