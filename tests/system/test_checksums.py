# SPDX-License-Identifier: Apache-2.0
"""Checksums: verified in software, but for what the device vouches for (virtio 1.2, 5.1.6.4)."""
import contextlib
import socket
import struct

import peer
import pytest
from netns import card
from scapy.layers.inet import ICMP, IP, TCP, UDP, Ether
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3
NEEDS_CSUM = 1
MAC = "52:54:00:12:34:56"
PORT = 40000                # nobody's on this side: the answers are read off the wire
OFFLOAD = ["", "guest_csum=off"]


class Wire:
    """Frames to the machine, made by hand; what it answers."""

    def __init__(self, ns, control):
        self._socket = ns.packet_socket("tap0", ETH_P_ALL)
        self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._socket.settimeout(30)
        self.control = control
        self._mac = Ether(src=ns.interface("tap0")["address"], dst=MAC)

    def send(self, packet, marked_at=None):
        """marked_at: (csum_start, csum_offset) for the device to say that it need not be checked."""
        start, offset = marked_at or (0, 0)
        header = struct.pack("<BBHHHH", NEEDS_CSUM if marked_at else 0, 0, 0, 0, start, offset)
        self._socket.send(header + bytes(self._mac / packet))

    def answers_until(self, is_last):
        """What the machine sends, until is_last(packet)."""
        packets = []
        while not packets or not is_last(packets[-1]):
            frame = self._socket.recv(65536)[10:]
            packet = Ether(frame)
            if packet.src == MAC:
                packets.append(packet)
        return packets


@contextlib.contextmanager
def wire(options):
    with peer.network(card=card(options=options)) as (ns, m), peer.control(ns) as c:
        m.expect(f"eth0: address {peer.LINK_LOCAL}")    # IPv6 is in use
        ns.run("ping", "-c1", peer.MACHINE4)
        ns.run("ping", "-c1", f"{peer.LINK_LOCAL}%tap0")
        yield Wire(ns, c), ns


def packets(version, host6):
    """{protocol: (packet with a right checksum, offset of the checksum in its header)}"""
    ip = IP(src=peer.HOST4, dst=peer.MACHINE4) if version == 4 else IPv6(src=host6,
                                                                        dst=peer.LINK_LOCAL)
    echo = ICMP(id=7) if version == 4 else ICMPv6EchoRequest(id=7)
    return {"udp": (ip / UDP(sport=PORT, dport=7) / b"datagram", 6),
            "tcp": (ip / TCP(sport=PORT, dport=80, flags="S", seq=1000), 16),
            "icmp": (ip / echo / b"echo this", 2)}


def finished(packet):
    """With its checksums computed."""
    return packet.__class__(bytes(packet))


def spoilt(packet):
    """One bit of the checksum of what IP carries is wrong."""
    packet = finished(packet)
    field = "cksum" if "ICMPv6" in packet.payload.name else "chksum"
    setattr(packet.payload, field, getattr(packet.payload, field) ^ 0x0100)
    return packet


def unfinished(packet):
    """As from a sender on the same host: the pseudo-header's sum where the checksum would be."""
    packet = finished(packet)
    protocol = 17 if UDP in packet else 6
    family = socket.AF_INET if packet.version == 4 else socket.AF_INET6
    pseudo = (socket.inet_pton(family, packet.src) + socket.inet_pton(family, packet.dst) +
              struct.pack(">II", len(packet.payload), protocol))
    total = sum(struct.unpack(f">{len(pseudo) // 2}H", pseudo))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    packet.payload.chksum = total
    return packet


def is_answer(packet, protocol):
    """What the machine says to the packets above."""
    if protocol == "udp":
        return UDP in packet and packet[UDP].dport == PORT
    if protocol == "tcp":
        return TCP in packet and packet[TCP].dport == PORT and "A" in packet[TCP].flags
    return (ICMP in packet and packet[ICMP].type == 0) or "Echo Reply" in packet.summary()


def counted(counters, protocol, version):
    name = f"icmp{version}" if protocol == "icmp" else protocol
    return counters[f"{name}_bad_checksum"]


@pytest.mark.parametrize("options", OFFLOAD, ids=["offload", "no offload"])
@pytest.mark.parametrize("version", [4, 6])
def test_unmarked_frames_are_verified(version, options):
    with wire(options) as (w, ns):
        for protocol, (packet, _) in packets(version, ns.link_local("tap0")).items():
            before = w.control.counters()
            for _ in range(3):
                w.send(spoilt(packet))
            w.send(finished(packet))
            answers = w.answers_until(lambda p: is_answer(p, protocol))
            after = w.control.counters()
            assert sum(is_answer(a, protocol) for a in answers) == 1
            assert counted(after, protocol, version) - counted(before, protocol, version) == 3


@pytest.mark.parametrize("options", OFFLOAD, ids=["offload", "no offload"])
@pytest.mark.parametrize("version", [4, 6])
def test_marked_frames_are_taken(version, options):
    """Unfinished sums, where the device takes them; where not, the host finishes them first."""
    with wire(options) as (w, ns):
        for protocol, (packet, offset) in packets(version, ns.link_local("tap0")).items():
            if protocol == "icmp":
                continue
            before = w.control.counters()
            start = 14 + (20 if version == 4 else 40)
            w.send(unfinished(packet), marked_at=(start, offset))
            w.answers_until(lambda p: is_answer(p, protocol))
            after = w.control.counters()
            assert counted(after, protocol, version) == counted(before, protocol, version)


@pytest.mark.parametrize("version", [4, 6])
def test_a_mark_vouches_for_tcp_and_udp_only(version):
    with wire("") as (w, ns):
        packet, offset = packets(version, ns.link_local("tap0"))["icmp"]
        before = w.control.counters()
        w.send(spoilt(packet), marked_at=(14 + (20 if version == 4 else 40), offset))
        w.send(finished(packet))
        w.answers_until(lambda p: is_answer(p, "icmp"))
        after = w.control.counters()
        assert counted(after, "icmp", version) - counted(before, "icmp", version) == 1


@pytest.mark.parametrize("options", OFFLOAD, ids=["offload", "no offload"])
def test_ipv4_header(options):
    """Never vouched for."""
    with wire(options) as (w, _):
        packet, offset = packets(4, None)["udp"]
        bad = finished(packet)
        bad.chksum ^= 0x0100
        before = w.control.counters()
        w.send(bad)
        w.send(bad, marked_at=(34, offset))
        w.send(finished(packet))
        w.answers_until(lambda p: is_answer(p, "udp"))
        after = w.control.counters()
        assert after["ip4_bad_checksum"] - before["ip4_bad_checksum"] == 2


def test_udp_without_a_checksum():
    """Allowed over IPv4 (RFC 768), not over IPv6 (RFC 8200, section 8.1)."""
    with wire("") as (w, ns):
        for version, answered in ((4, True), (6, False)):
            packet, _ = packets(version, ns.link_local("tap0"))["udp"]
            without = finished(packet)
            without[UDP].chksum = 0
            without[UDP].remove_payload()
            without[UDP].add_payload(b"unsigned")
            w.send(without)
            w.send(finished(packet))
            answers = w.answers_until(lambda p: UDP in p and b"datagram" in bytes(p[UDP]))
            assert any(b"unsigned" in bytes(a) for a in answers) == answered


def test_what_the_machine_sends_is_right():
    """With and without the device's help, over both versions: the host checks every frame."""
    for options in ("", "csum=off"):
        with peer.network(card=card(options=options)) as (ns, m):
            m.expect(f"eth0: address {peer.LINK_LOCAL}")
            for address in (peer.MACHINE4, f"{peer.LINK_LOCAL}%tap0"):
                peer.download(ns.connect(address, 5002), 200_000)
                s = ns.connect(address, 7, kind=socket.SOCK_DGRAM)
                for size in (0, 1, 1000, 1472, 9000):
                    s.send(bytes(size))
                    assert s.recv(65536) == bytes(size)
            assert peer.host_checksum_errors(ns) == 0
