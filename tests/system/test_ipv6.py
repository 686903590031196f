# SPDX-License-Identifier: Apache-2.0
"""IPv6 packet by packet: neighbours, routers, prefixes, groups (RFC 4861, 4862, 2710), extension
headers and fragments (RFC 8200), path MTU (RFC 8201). The other end is made by hand."""
import contextlib
import socket
import struct
import threading
import time

import peer
import pytest
from netns import Namespace, card
from qemu import Qemu
from scapy.layers.inet import TCP, UDP, Ether
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6MLQuery, ICMPv6MLReport, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo, ICMPv6NDOptRDNSS,
                                ICMPv6NDOptSrcLLAddr, ICMPv6NDOptUnknown, ICMPv6PacketTooBig,
                                ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, HBHOptUnknown, IPerror6, Pad1, PadN, RouterAlert, in6_chksum)

FAST_TIME = ["-icount", "shift=0,sleep=off"]    # as in test_addresses.py
SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3
MAC, OURS = "52:54:00:12:34:56", peer.LINK_LOCAL
ALL_NODES, ALL_ROUTERS, OUR_GROUP = "ff02::1", "ff02::2", "ff02::1:ff12:3456"
HOST, HOST_MAC, OTHER_MAC = "fe80::aa", "02:00:00:00:00:aa", "02:00:00:00:00:bb"
ROUTER, ROUTER_MAC = "fe80::1:1", "02:00:00:00:01:01"
ROUTER2, ROUTER2_MAC = "fe80::1:2", "02:00:00:00:01:02"
EUI = "5054:ff:fe12:3456"


class Wire:
    """Frames to the machine, made by hand; what it answers."""

    def __init__(self, ns, control):
        self._socket = ns.packet_socket("tap0", ETH_P_ALL)
        self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._socket.settimeout(20)
        self.control = control
        self._pings = 0

    def send(self, *packets, src=HOST_MAC, dst=MAC):
        for packet in packets:
            self._socket.send(bytes(10) + bytes(Ether(src=src, dst=dst) / packet))

    def next(self, wanted):
        """The next packet that the machine sends for which wanted(packet) is true."""
        while True:
            packet = Ether(self._socket.recv(70000)[10:])
            if packet.src != MAC or IPv6 not in packet:
                continue
            if ICMPv6ND_NS in packet and packet.tgt == HOST:
                self.send(na_for(HOST, HOST_MAC, S=1))
            if wanted(packet):
                return packet

    def until_answer(self, packet, **frame):
        """Send packet, then ask for an echo: all that comes before its answer (which comes last)."""
        self.send(packet, **frame)
        return self.until_echo()

    def until_echo(self):
        self._pings += 1
        self.send(IPv6(src=HOST, dst=OURS) / ICMPv6EchoRequest(id=99, seq=self._pings))
        got = []

        def is_it(p):
            got.append(p)
            return ICMPv6EchoReply in p and (p.id, p.seq) == (99, self._pings)
        self.next(is_it)
        return got

    def addresses(self):
        return self.control.all("configuration", "address")

    def routers(self):
        return self.control.all("configuration", "gateway6")

    def introduce(self, address=HOST, mac=HOST_MAC):
        """Until the machine knows address's MAC."""
        self.send(IPv6(src=address, dst=OUR_GROUP, hlim=255) / ICMPv6ND_NS(tgt=OURS) /
                  ICMPv6NDOptSrcLLAddr(lladdr=mac), src=mac)
        self.next(lambda p: ICMPv6ND_NA in p and p[IPv6].dst == address)


@pytest.fixture(name="wire", scope="module")
def module_wire():
    with machine() as w:
        yield w


@contextlib.contextmanager
def machine(**options):
    with peer.network(**options) as (ns, m), peer.control(ns) as c:
        m.expect(f"eth0: address {OURS}")
        w = Wire(ns, c)
        w.ns = ns
        yield w


def wait_until(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ns_for(target, src=HOST, dst=OUR_GROUP, mac=HOST_MAC, **fields):
    packet = IPv6(src=src, dst=dst, hlim=255) / ICMPv6ND_NS(tgt=target, **fields)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=mac) if mac else packet


def na_for(target, mac, dst=OURS, **flags):
    packet = IPv6(src=target, dst=dst, hlim=255) / ICMPv6ND_NA(
        tgt=target, R=flags.get("R", 0), S=flags.get("S", 0), O=flags.get("O", 0))
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if mac else packet


def cut(packet, count):
    """The first so many bytes of an ICMPv6 message, with a right checksum."""
    message = bytearray(bytes(packet.payload)[:count])
    message[2:4] = b"\0\0"
    message[2:4] = struct.pack(">H", in6_chksum(58, packet, bytes(message)))
    return bytes(message)


def echo(src, number, dst=OURS):
    return IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=7, seq=number)


def checked(packet):
    """Its ICMPv6 checksum is right."""
    ip = packet[IPv6]
    payload = bytes(ip.payload)
    return in6_chksum(58, ip, payload) == 0


# --- Neighbours -------------------------------------------------------------------------------------


def test_who_asks_for_us_is_answered(wire):
    w = wire
    w.introduce()
    for question in (ns_for(OURS), ns_for(OURS, dst=OURS), ns_for(OURS, dst=OURS, mac=None)):
        w.send(question)
        answer = w.next(lambda p: ICMPv6ND_NA in p)
        assert (answer.dst, answer[IPv6].src, answer[IPv6].dst) == (HOST_MAC, OURS, HOST)
        assert (answer[IPv6].hlim, answer.tgt, answer.S, answer.O, answer.R) == (255, OURS, 1, 1, 0)
        assert answer[ICMPv6NDOptDstLLAddr].lladdr == MAC
        assert len(answer[IPv6].payload) == 32 and checked(answer)


def test_what_is_no_valid_solicitation_is_not_answered(wire):
    w = wire
    w.introduce()
    hops = ns_for(OURS)
    hops.hlim = 254
    empty = ICMPv6NDOptUnknown(type=200, len=0, data=bytes(6))
    for bad in (hops, ns_for(OURS, code=1), ns_for("ff02::1"), ns_for("fe80::1234"),
                ns_for(OURS) / empty, ns_for(OURS, mac=None) / b"\1\1\2",
                ns_for(OURS, src="::"),     # who has no address does not tell his MAC
                IPv6(src=HOST, dst=OUR_GROUP, hlim=255, nh=58) / cut(ns_for(OURS), 20)):
        got = w.until_answer(bad)
        assert not any(ICMPv6ND_NA in p for p in got), bad.summary()


def test_in_fragments_it_is_not_valid(wire):
    """RFC 6980: else a switch could not look at it."""
    w = wire
    w.introduce()
    asked = ns_for(OURS)
    message = bytes(asked.payload)
    for start, end in ((0, 24), (24, 32), (0, 32)):     # the header in one piece; one that is all
        w.send(IPv6(src=HOST, dst=OUR_GROUP, hlim=255) /
               IPv6ExtHdrFragment(nh=58, offset=start // 8, m=int(end < 32), id=9) /
               message[start:end])
    assert not any(ICMPv6ND_NA in p for p in w.until_echo())


def test_who_wants_our_address_is_told(wire):
    """Duplicate address detection by somebody else: the answer is for all."""
    w = wire
    w.send(ns_for(OURS, src="::", mac=None))
    answer = w.next(lambda p: ICMPv6ND_NA in p)
    assert (answer.dst, answer[IPv6].src, answer[IPv6].dst) == ("33:33:00:00:00:01", OURS, ALL_NODES)
    assert (answer.tgt, answer.S, answer.O) == (OURS, 0, 1)
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == MAC and checked(answer)
    assert OURS + "/64" in w.addresses()


def test_an_unknown_neighbour_is_asked_for_and_several_packets_wait(wire):
    w = wire
    who, mac = "fe80::c:1", "02:00:00:00:0c:01"
    w.send(*(echo(who, n) for n in range(3)), src=mac)
    question = w.next(lambda p: ICMPv6ND_NS in p and p.tgt == who)
    assert (question.dst, question[IPv6].dst) == ("33:33:ff:0c:00:01", "ff02::1:ff0c:1")
    assert (question[IPv6].src, question[IPv6].hlim) == (OURS, 255)
    assert question[ICMPv6NDOptSrcLLAddr].lladdr == MAC and checked(question)
    w.send(na_for(who, mac, S=1, O=1))
    for number in range(3):
        answer = w.next(lambda p: ICMPv6EchoReply in p)
        assert (answer.dst, answer.seq) == (mac, number)
    # Nobody answers: three questions in all, a second apart.
    w.send(echo("fe80::c:2", 1))
    times = []
    for _ in range(3):
        w.next(lambda p: ICMPv6ND_NS in p and p.tgt == "fe80::c:2")
        times.append(time.monotonic())
    assert times[2] - times[0] > 1
    time.sleep(3)
    assert not any(ICMPv6ND_NS in p and p.tgt == "fe80::c:2" for p in w.until_echo())


def test_a_neighbour_that_moves(wire):
    w = wire
    who, mac = "fe80::c:3", "02:00:00:00:0c:03"

    def reaches():
        w.send(echo(who, 1))
        return w.next(lambda p: ICMPv6EchoReply in p and p[IPv6].dst == who).dst
    w.introduce(who, mac)
    assert reaches() == mac
    w.send(na_for(who, OTHER_MAC, dst=ALL_NODES))
    assert reaches() == mac                     # it does not say that it overrides
    w.send(na_for(who, OTHER_MAC, dst=ALL_NODES, O=1))
    assert reaches() == OTHER_MAC
    w.send(na_for(who, mac, S=1))
    assert reaches() == OTHER_MAC
    w.send(na_for(who, mac, S=1, O=1))
    assert reaches() == mac


def test_a_silent_neighbour_is_asked_again(wire):
    """Heard of, not known to be reachable: after five seconds it is asked itself."""
    w = wire
    who, mac = "fe80::c:4", "02:00:00:00:0c:04"
    w.introduce(who, mac)
    question = w.next(lambda p: ICMPv6ND_NS in p and p.tgt == who)
    assert (question.dst, question[IPv6].dst) == (mac, who)
    w.send(na_for(who, mac, S=1))
    w.until_echo()
    time.sleep(3)
    assert not any(ICMPv6ND_NS in p and p.tgt == who for p in w.until_echo())


def test_more_neighbours_than_the_table_holds(wire):
    w = wire
    for number in range(40):
        who, mac = f"fe80::d:{number:x}", f"02:00:00:00:0d:{number:02x}"
        w.introduce(who, mac)
        w.send(echo(who, number), src=mac)
        assert w.next(lambda p: ICMPv6EchoReply in p and p[IPv6].dst == who).dst == mac
    for number in range(40):        # and than may wait for an answer
        w.send(echo(f"fe80::e:{number:x}", number))
    w.introduce()
    assert w.until_echo()


def test_nobody_is_no_neighbour():
    """::, whose places in the tables are the empty ones. RFC 4443, section 2.4: no errors to it."""
    with machine() as w:
        w.send(*(IPv6(src="::", dst=OUR_GROUP) / kind(options=[option(0x9e)]) / ICMPv6EchoRequest()
                 for kind in KINDS))
        w.introduce()
        for dst, solicited in ((OURS, 1), (OUR_GROUP, 0)):
            w.send(IPv6(src=HOST, dst=dst, hlim=255) / ICMPv6ND_NA(tgt="::", S=solicited, O=1) /
                   ICMPv6NDOptDstLLAddr(lladdr=HOST_MAC))
        w.send(IPv6(src="::", dst=OUR_GROUP) / UDP(sport=40000, dport=7) / b"hello",
               IPv6(src="::", dst=OUR_GROUP) / IPv6ExtHdrDestOpt(options=[option(0x9e)]) /
               ICMPv6EchoRequest())
        got = w.until_echo()
        assert not any(p[IPv6].dst == "::" or ICMPv6ParamProblem in p for p in got)


@pytest.mark.parametrize("dst, solicited", [(OURS, 1), (ALL_NODES, 0)])
def test_an_answer_does_not_take_our_address(dst, solicited, wire):
    """It is known to be ours: whoever claims it later is wrong (RFC 4862, section 5.4.4)."""
    w = wire
    w.introduce()
    w.send(IPv6(src=HOST, dst=dst, hlim=255) / ICMPv6ND_NA(tgt=OURS, S=solicited, O=1) /
           ICMPv6NDOptDstLLAddr(lladdr=HOST_MAC))
    w.until_echo()
    assert OURS + "/64" in w.addresses()


def test_our_own_question(wire):
    """From our address, by somebody else: our answer comes back to ourselves."""
    w = wire
    w.introduce()
    w.send(ns_for(OURS, src=OURS, dst=OURS))
    w.until_echo()
    assert OURS + "/64" in w.addresses()


# --- Routers and prefixes ------------------------------------------------------------------------------


def prefix_info(prefix, valid=3600, preferred=1800, on_link=1, autonomous=1, length=64):
    return ICMPv6NDOptPrefixInfo(prefix=prefix, prefixlen=length, L=on_link, A=autonomous,
                                 validlifetime=valid, preferredlifetime=preferred)


def ra(*options, src=ROUTER, mac=ROUTER_MAC, lifetime=1800, hlim=255, **fields):
    packet = IPv6(src=src, dst=ALL_NODES, hlim=hlim) / ICMPv6ND_RA(routerlifetime=lifetime, **fields)
    if mac:
        packet /= ICMPv6NDOptSrcLLAddr(lladdr=mac)
    for option in options:
        packet /= option
    return packet


def test_the_machine_asks_for_routers():
    with peer.network() as (ns, m):
        m.expect(f"eth0: address {OURS}")
        w = Wire(ns, None)
        question = w.next(lambda p: ICMPv6ND_RS in p)
        assert (question[IPv6].dst, question[IPv6].hlim) == (ALL_ROUTERS, 255)
        assert question.dst == "33:33:00:00:00:02" and checked(question)
        assert question[IPv6].src == OURS
        assert question[ICMPv6NDOptSrcLLAddr].lladdr == MAC


def test_router_advertisements():
    with machine() as w:
        w.introduce()
        # What is not valid has no effect.
        for bad in (ra(prefix_info("fd01::"), hlim=254), ra(prefix_info("fd01::"), code=1),
                    ra(prefix_info("fd01::"), src="fd01::1"),
                    ra(prefix_info("fe80::")), ra(prefix_info("fd01::", length=63)),
                    ra(prefix_info("fd01::", valid=0, preferred=0)),
                    ra(prefix_info("fd01::", valid=10, preferred=20)),
                    ra(prefix_info("fd01::", autonomous=0)),
                    ra(ICMPv6NDOptUnknown(type=200, len=0, data=bytes(6)), prefix_info("fd01::")),
                    IPv6(src=ROUTER, dst=ALL_NODES, hlim=255, nh=58) /
                    cut(ra(prefix_info("fd01::")), 40)):
            w.send(bad)
        w.until_echo()
        time.sleep(0.2)
        assert not any(a.startswith("fd01") for a in w.addresses())
        # Unknown options are passed over.
        w.send(ra(ICMPv6NDOptUnknown(type=200, len=2, data=bytes(14)), prefix_info("fd02::"),
                  prefix_info("fd03::", on_link=0),
                  ICMPv6NDOptRDNSS(lifetime=600, dns=["fd02::53", "fd02::54", "fd02::55"])))
        question = w.next(lambda p: ICMPv6ND_NS in p and p.tgt == f"fd02::{EUI}")
        assert (question[IPv6].src, question[IPv6].dst) == ("::", OUR_GROUP)
        assert len(question[IPv6].payload) == 24 and checked(question)
        wait_until(lambda: f"fd02::{EUI}/64" in w.addresses())
        assert f"fd03::{EUI}/64" in w.addresses()
        assert w.routers() == [ROUTER]
        assert w.control.all("configuration", "dns") == ["fd02::53", "fd02::54", "fd02::55"]
        # On link: asked for itself. Not on link: by way of the router, whose MAC is in the option.
        w.send(echo("fd02::99", 1, dst=f"fd02::{EUI}"))
        assert w.next(lambda p: ICMPv6ND_NS in p and p.tgt == "fd02::99")[IPv6].src.startswith("fd02")
        for far in ("fd03::99", "2001:db8::1"):
            w.send(echo(far, 1, dst=f"fd02::{EUI}"))
            assert w.next(lambda p: ICMPv6EchoReply in p and p[IPv6].dst == far).dst == ROUTER_MAC
        # A second router takes over when the first goes.
        w.introduce(ROUTER2, ROUTER2_MAC)
        w.send(ra(src=ROUTER2, mac=ROUTER2_MAC))
        w.send(ra(lifetime=0))

        def by_router():
            w.send(echo("2001:db8::1", 2, dst=f"fd02::{EUI}"))
            return w.next(lambda p: ICMPv6EchoReply in p and p.seq == 2).dst
        wait_until(lambda: by_router() == ROUTER2_MAC)
        assert w.routers() == [ROUTER2]
        # Deprecated, then gone; but not sooner than in two hours if it was for longer.
        w.send(ra(prefix_info("fd02::", valid=1, preferred=0), src=ROUTER2, mac=ROUTER2_MAC))
        w.send(ra(prefix_info("fd04::", valid=5, preferred=5), src=ROUTER2, mac=ROUTER2_MAC))
        wait_until(lambda: f"fd04::{EUI}/64" in w.addresses())
        wait_until(lambda: not any(a.startswith("fd04") for a in w.addresses()))
        assert any(a.startswith(f"fd02::{EUI}") for a in w.addresses())


@pytest.mark.parametrize("by", ["question", "answer"])
def test_an_address_that_somebody_has(by):
    """Not used, and answered for to who asks for another."""
    with machine() as w:
        w.introduce()
        w.send(ra(prefix_info("fd02::")))
        target = w.next(lambda p: ICMPv6ND_NS in p and p[IPv6].src == "::").tgt
        assert target == f"fd02::{EUI}"
        w.send(ns_for(target, src="::", mac=None) if by == "question" else
               na_for(target, OTHER_MAC, dst=ALL_NODES, O=1))
        w.until_echo()
        time.sleep(2)
        assert not any(a.startswith("fd02") for a in w.addresses())
        assert f"{OURS}/64" in w.addresses()


def test_advertised_mtu():
    with machine() as w:
        w.introduce()
        w.send(ra(ICMPv6NDOptMTU(mtu=1000)), ra(ICMPv6NDOptMTU(mtu=9000)))
        w.send(IPv6(src=HOST, dst=OURS) / UDP(sport=40000, dport=7) / bytes(1450))
        assert IPv6ExtHdrFragment not in w.next(lambda p: p[IPv6].plen > 1200)
        w.send(ra(ICMPv6NDOptMTU(mtu=1400)))
        w.send(IPv6(src=HOST, dst=OURS) / UDP(sport=40000, dport=7) / bytes(1450))
        answer = w.next(lambda p: p[IPv6].plen > 1200)
        assert IPv6ExtHdrFragment in answer and answer[IPv6].plen + 40 <= 1400


def test_a_connection_to_where_no_way_leads():
    """To an address whose interface's link is down, by another one that knows no router."""
    with Namespace() as ns:
        ns.tap(name="tap1")
        cards = [*ns.tap(name="tap0"), *card("tap1", number=1)]
        with Qemu(peer.APP, within=ns.enter, append="ip=off", devices=cards, qmp=True) as m:
            m.expect("peer: ready")
            taps = []
            for name in ("tap0", "tap1"):
                taps.append(ns.packet_socket(name, ETH_P_ALL))
                taps[-1].setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            for _ in taps:
                m.expect("address fe80::")
            taps[1].send(bytes(10) + bytes(Ether(src=ROUTER_MAC, dst="33:33:00:00:00:01") /
                                           ra(prefix_info("fd02::"))))
            ours = m.expect(r"address (fd02::\S+)")[1]
            m.qmp("set_link", name="net1", up=False)
            m.expect("link down")
            mac = MAC if ours != f"fd02::{EUI}" else "52:54:00:12:34:57"
            syn = IPv6(src="2001:db8::1", dst=ours) / TCP(sport=1234, dport=5003, flags="S")
            taps[0].send(bytes(10) + bytes(Ether(src=HOST_MAC, dst=mac) / syn))
            m.qmp("set_link", name="net1", up=True)
            m.expect("link up")
            assert m.running()


def test_a_router_that_falls_silent():
    """Asked three times, and another one is used (RFC 4861, section 7.3.3); then nobody is asked any more."""
    with machine() as w:
        w.introduce()
        w.send(ra(prefix_info("fd02::")))
        wait_until(lambda: f"fd02::{EUI}/64" in w.addresses())

        def by_router(seq):
            w.send(echo("2001:db8::1", seq, dst=f"fd02::{EUI}"))
            return w.next(lambda p: ICMPv6EchoReply in p and p.seq == seq).dst

        def asked(p):
            return ICMPv6ND_NS in p and p.tgt == ROUTER
        assert by_router(1) == ROUTER_MAC
        w.send(ra(src=ROUTER2, mac=ROUTER2_MAC))
        for _ in range(3):
            w.next(asked)
        time.sleep(2)
        assert by_router(2) == ROUTER2_MAC
        w.send(na_for(ROUTER2, ROUTER2_MAC, S=1, R=1))
        time.sleep(2)
        assert not any(asked(p) for p in w.until_echo())
        # It is still known to be one: when there is no other, it is asked again.
        w.send(ra(src=ROUTER2, mac=ROUTER2_MAC, lifetime=0))
        wait_until(lambda: w.routers() == [ROUTER])
        w.send(echo("2001:db8::1", 3, dst=f"fd02::{EUI}"))
        w.next(asked)
        w.send(na_for(ROUTER, ROUTER_MAC, S=1, R=1))
        assert w.next(lambda p: ICMPv6EchoReply in p and p.seq == 3).dst == ROUTER_MAC


def test_who_is_a_router():
    with machine() as w:
        w.introduce()
        w.send(ra(lifetime=0))
        w.until_echo()
        assert w.routers() == [""]          # he never was one
        for number in range(1, 6):
            w.send(ra(src=f"fe80::1:{number}", mac=f"02:00:00:00:01:{number:02x}"))
        w.until_echo()
        assert w.routers() == ["fe80::1:3"] # the last one of as many as are kept
        # One that says that it is none: RFC 4861, section 7.2.5.
        w.send(na_for(ROUTER2, ROUTER2_MAC, S=1, R=1), na_for("fe80::1:3", "02:00:00:00:01:03", S=1))
        wait_until(lambda: w.routers() == [ROUTER2])


def test_lifetimes():
    forever = 0xFFFFFFFF
    with machine() as w, peer.control(w.ns) as other:
        w.introduce()
        w.send(ra(prefix_info("ff0e::"), prefix_info("fd02::", forever, forever), prefix_info("fd03::"),
                  ICMPv6NDOptRDNSS(lifetime=forever, dns=["fd02::53", "fd02::54"])))
        wait_until(lambda: {f"fd02::{EUI}/64", f"fd03::{EUI}/64"} <= set(w.addresses()))
        assert len(w.addresses()) == 4      # with the link-local and the IPv4 address
        assert w.control.all("configuration", "dns") == ["fd02::53", "fd02::54"]

        def source(port):
            ask = threading.Thread(target=other.lines, args=(f"connect 2001:db8::1 {port}",))
            ask.start()
            syn = w.next(lambda p: TCP in p and p[TCP].dport == port)
            w.send(IPv6(src="2001:db8::1", dst=syn[IPv6].src) /
                   TCP(sport=port, dport=syn.sport, flags="RA", ack=syn[TCP].seq + 1))
            ask.join()
            return syn[IPv6].src
        assert source(99) == f"fd03::{EUI}"
        w.next(lambda p: ICMPv6ND_NS in p and p.tgt == ROUTER)
        w.send(na_for(ROUTER, ROUTER_MAC, S=1, R=1))
        time.sleep(2)
        # Nothing else is due now: it is no more preferred all the same.
        w.send(ra(prefix_info("fd03::", preferred=0), ICMPv6NDOptRDNSS(lifetime=0, dns=["fd02::53"])))
        time.sleep(3)
        assert w.control.all("configuration", "dns") == ["fd02::54"]
        assert source(100) == f"fd02::{EUI}"
        assert {f"fd02::{EUI}/64", f"fd03::{EUI}/64"} <= set(w.addresses())


def redirect(to, what, src=ROUTER, mac=None, **fields):
    packet = IPv6(src=src, dst=fields.pop("dst"), hlim=fields.pop("hlim", 255)) / \
        ICMPv6ND_Redirect(tgt=to, dst=what, **fields)
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if mac else packet


def test_redirects():
    far, near = "2001:db8::1", "2001:db8::2"
    with machine() as w:
        w.introduce()
        w.send(ra(prefix_info("fd02::")))
        ours = f"fd02::{EUI}"
        wait_until(lambda: f"{ours}/64" in w.addresses())

        def reaches(address):
            w.send(echo(address, 1, dst=ours))
            return w.next(lambda p: ICMPv6EchoReply in p and p[IPv6].dst == address).dst
        assert reaches(far) == ROUTER_MAC and reaches(near) == ROUTER_MAC
        for bad in (redirect(ROUTER2, far, mac=ROUTER2_MAC, dst=ours, hlim=64),
                    redirect(ROUTER2, far, mac=ROUTER2_MAC, dst=ours, code=1),
                    redirect(ROUTER2, far, mac=ROUTER2_MAC, dst=ours, src="fd02::7"),
                    redirect(ROUTER2, far, mac=ROUTER2_MAC, dst=ours, src=ROUTER2),
                    redirect("2001:db8::5", far, mac=ROUTER2_MAC, dst=ours),
                    redirect(ROUTER2, "2001:db8::7", mac=ROUTER2_MAC, dst=ours)):
            w.send(bad)
        assert reaches(far) == ROUTER_MAC
        w.send(redirect(ROUTER2, far, mac=ROUTER2_MAC, dst=ours))
        assert reaches(far) == ROUTER2_MAC and reaches(near) == ROUTER_MAC
        # On link after all, and without its MAC: it is asked for.
        w.send(redirect(near, near, dst=ours))
        w.send(echo(near, 1, dst=ours))
        question = w.next(lambda p: ICMPv6ND_NS in p and p.tgt == near)
        assert question[IPv6].src in (ours, OURS)


# --- Groups ----------------------------------------------------------------------------------------


def test_groups_are_reported(wire):
    w = wire
    for dst, group in ((ALL_NODES, "::"), (OUR_GROUP, OUR_GROUP)):
        w.send(IPv6(src=ROUTER, dst=dst, hlim=1) / ICMPv6MLQuery(mladdr=group, mrd=300),
               src=ROUTER_MAC)
        report = w.next(lambda p: ICMPv6MLReport in p)
        assert report[ICMPv6MLReport].mladdr == report[IPv6].dst == OUR_GROUP
        assert (report[IPv6].src, report[IPv6].hlim) == (OURS, 1)
        options = report[IPv6ExtHdrHopByHop].options
        assert options[0].otype == 5 and options[0].value == 0
        assert in6_chksum(58, report[IPv6], bytes(report[ICMPv6MLReport])) == 0
    # Somebody else's report is enough.
    w.send(IPv6(src=ROUTER, dst=OUR_GROUP, hlim=1) / ICMPv6MLQuery(mladdr=OUR_GROUP, mrd=500),
           IPv6(src=HOST, dst=OUR_GROUP, hlim=1) / ICMPv6MLReport(mladdr=OUR_GROUP))
    report = IPv6(src=ROUTER, dst=OUR_GROUP, hlim=1, nh=58) / ICMPv6MLReport(mladdr=OUR_GROUP)
    w.send(IPv6(src=ROUTER, dst=OUR_GROUP, hlim=1, nh=58) / cut(report, 10))
    time.sleep(1)
    assert not any(ICMPv6MLReport in p for p in w.until_echo())


# --- Extension headers -------------------------------------------------------------------------------


def headers(*between, next_header=None):
    packet = IPv6(src=HOST, dst=OURS)
    for header in between:
        packet /= header
    return packet / ICMPv6EchoRequest(id=5, seq=5)


def option(kind):
    return HBHOptUnknown(otype=kind, optdata=b"abcd")


KINDS = [IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt]


@pytest.mark.parametrize("kind", KINDS)
def test_options(kind, wire):
    w = wire
    w.introduce()

    def answers(*options):
        got = w.until_answer(headers(kind(options=list(options))))
        return [p for p in got if ICMPv6EchoReply in p and p.id == 5], \
            [p for p in got if ICMPv6ParamProblem in p]
    for fine in ([PadN(optdata=bytes(4))], [Pad1(), Pad1(), Pad1(), PadN(optdata=bytes(1))],
                 [RouterAlert()], [option(0x1e)], [option(0x3e), PadN(optdata=bytes(6))]):
        assert list(map(len, answers(*fine))) == [1, 0], fine
    assert list(map(len, answers(option(0x5e)))) == [0, 0]
    for bad in (0x9e, 0xde, 0xc2, 0xc9):    # the last two are jumbograms and home addresses
        echoes, problems = answers(PadN(optdata=bytes(2)), option(bad))
        assert (len(echoes), len(problems)) == (0, 1)
        problem = problems[0]
        assert (problem.code, problem.ptr) == (2, 40 + 2 + 4)
        assert (problem[IPv6].src, problem[IPv6].dst) == (OURS, HOST) and checked(problem)
        assert (problem[IPerror6].src, problem[IPerror6].dst) == (HOST, OURS)


def test_option_to_all(wire):
    """To a group, only one of the kinds of options is answered."""
    w = wire
    w.introduce()
    for kind in KINDS:
        for number, answered in ((0x9e, 1), (0xde, 0)):
            packet = IPv6(src=HOST, dst=ALL_NODES) / kind(options=[option(number)]) / \
                ICMPv6EchoRequest()
            got = w.until_answer(packet, dst="33:33:00:00:00:01")
            assert sum(ICMPv6ParamProblem in p for p in got) == answered


def test_header_chains(wire):
    w = wire
    w.introduce()
    hop, dest = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]), \
        IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
    atomic = IPv6ExtHdrFragment(offset=0, m=0, id=3)
    used_up = IPv6ExtHdrRouting(type=0, addresses=["fe80::1", "fe80::2"], segleft=0)
    for fine in ([hop, dest, dest], [dest, atomic, dest], [used_up], [hop, used_up, atomic]):
        got = w.until_answer(headers(*fine))
        assert sum(ICMPv6EchoReply in p and p.id == 5 for p in got) == 1, fine

    def problem(packet):
        got = w.until_answer(packet)
        assert not any(ICMPv6EchoReply in p and p.id == 5 for p in got)
        found = [p for p in got if ICMPv6ParamProblem in p]
        return [(p.code, p.ptr) for p in found]
    assert problem(headers(dest, hop)) == [(1, 40)]
    assert problem(headers(IPv6ExtHdrRouting(type=0, addresses=["fe80::1"], segleft=1))) == [(0, 42)]
    assert problem(headers(IPv6ExtHdrRouting(type=2, addresses=["fe80::1"], segleft=1))) == [(0, 42)]
    odd = IPv6ExtHdrRouting(type=0, len=1, segleft=1, reserved=0, addresses=[])
    assert problem(IPv6(src=HOST, dst=OURS) / bytes(odd)[:8].ljust(16, b"\0")) in ([], [(0, 41)])
    assert problem(IPv6(src=HOST, dst=OURS, nh=253) / bytes(8)) == [(1, 6)]
    assert problem(headers(IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))], nh=253))) == [(1, 40)]
    assert problem(IPv6(src=HOST, dst=ALL_NODES, nh=253) / bytes(8)) == []
    # Headers that are not all there.
    for nh in (0, 43, 60, 44):
        assert problem(IPv6(src=HOST, dst=OURS, nh=nh) / b"\x3a\xff\0\0\0\0\0\0") in ([], [(0, 42)])
        assert problem(IPv6(src=HOST, dst=OURS, nh=nh) / b"\x3a\0\0") == []
    assert problem(IPv6(src=HOST, dst=OURS, nh=59) / b"\x3a\0\0") == []


# --- Addresses -------------------------------------------------------------------------------------


def test_packets_that_are_not_for_us(wire):
    w = wire
    w.introduce()
    for src, dst in ((HOST, "fe80::77"), ("::ffff:1.2.3.4", OURS), (HOST, "::ffff:1.2.3.4"),
                     ("ff02::1", OURS), ("::", OURS), (HOST, "::1"), ("::1", OURS),
                     (HOST, "ff02::77"), (HOST, ALL_NODES)):
        got = w.until_answer(IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=6))
        assert not any(ICMPv6EchoReply in p and p.id == 6 for p in got), (src, dst)
    # To these no reply could leave: they are not even taken in.
    before = w.control.counters()
    for src in ("::ffff:1.2.3.4", "::"):
        w.send(IPv6(src=src, dst=OURS) / ICMPv6EchoRequest(id=6))
    w.until_echo()
    after = w.control.counters()
    assert after["ip6_dropped"] - before["ip6_dropped"] == 2
    before = after
    short = bytearray(bytes(IPv6(src=HOST, dst=OURS) / ICMPv6EchoRequest(id=6)))
    long = short[:]
    long[5] += 1
    wrong = short[:]
    wrong[0] = 0x50
    for bad in (wrong, long, short[:30]):
        w._socket.send(bytes(10) + bytes(Ether(src=HOST_MAC, dst=MAC, type=0x86DD)) + bytes(bad))
    w.until_echo()
    after = w.control.counters()
    assert after["ip6_dropped"] - before["ip6_dropped"] == 3


def test_a_port_that_nobody_has(wire):
    w = wire
    w.introduce()
    got = w.until_answer(IPv6(src=HOST, dst=OURS) / UDP(sport=5, dport=9999) / bytes(1400))
    answer = next(p for p in got if ICMPv6DestUnreach in p)
    assert answer.code == 4 and checked(answer)
    assert answer[IPv6].plen + 40 <= 1280 and answer[IPerror6].nh == 17
    assert (answer[IPv6].src, answer[IPv6].dst, answer.dst) == (OURS, HOST, HOST_MAC)


# --- Fragments, path MTU -------------------------------------------------------------------------------


def datagram(size, dst=OURS):
    data = bytes(i * 7 % 251 for i in range(size))
    packet = bytes(IPv6(src=HOST, dst=dst) / UDP(sport=40000, dport=7) / data)
    return data, packet[40:]


def pieces(payload, size, number, headers_before=None):
    """[(offset, packet)]"""
    result = []
    for offset in range(0, len(payload), size):
        more = offset + size < len(payload)
        packet = IPv6(src=HOST, dst=OURS)
        if headers_before:
            packet /= headers_before
        result.append(packet / IPv6ExtHdrFragment(nh=17, offset=offset // 8, m=int(more), id=number) /
                      payload[offset:offset + size])
    return result


def echoed(w, count):
    """The datagram that comes back, from its fragments."""
    parts = {}
    while sum(map(len, parts.values())) < count + 8:
        p = w.next(lambda p: p[IPv6].nh in (17, 44))
        if IPv6ExtHdrFragment not in p:
            return bytes(p[UDP].payload), p
        assert p[IPv6ExtHdrFragment].nh == 17
        raw = bytes(p[IPv6])[48:40 + p[IPv6].plen]
        parts[p[IPv6ExtHdrFragment].offset * 8] = raw
    payload = b"".join(parts[o] for o in sorted(parts))
    assert in6_chksum(17, IPv6(src=OURS, dst=HOST), payload) in (0, 0xFFFF)
    return payload[8:], parts


ORDERS = {"as sent": lambda l: l, "backwards": lambda l: l[::-1],
          "last first": lambda l: [l[-1], *l[:-1]], "middle last": lambda l: [l[0], *l[2:], l[1]],
          "twice": lambda l: [l[0], l[0], *l[1:-1], l[1], l[-1]]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [16, 1000, 1440])
def test_reassembly(order, size, wire):
    w = wire
    w.introduce()
    count = min(8000, size * 6) - 3
    data, payload = datagram(count)
    extra = {"backwards": IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]),
             "last first": IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])}.get(order)
    for p in ORDERS[order](pieces(payload, size, size, extra)):
        w.send(p)
    assert echoed(w, count)[0] == data


def test_fragments_that_do_not_fit(wire):
    w = wire
    w.introduce()
    data, payload = datagram(3000)
    first, second, third = pieces(payload, 1024, 77)
    overlap = IPv6(src=HOST, dst=OURS) / IPv6ExtHdrFragment(nh=17, offset=120, m=1, id=77) / bytes(64)
    for offset in (120, 0, 250):        # of the first, whose beginning is the same, and of the third
        overlap[IPv6ExtHdrFragment].offset = offset
        w.send(first, third, overlap, second)
        assert len(w.until_echo()) == 1     # RFC 8200, section 4.5: all of them are dropped
        w.send(first, third)
        assert echoed(w, 3000)[0] == data
    # Not a multiple of eight, though more is to come; beyond 64 KiB.
    odd = IPv6(src=HOST, dst=OURS) / IPv6ExtHdrFragment(nh=17, offset=0, m=1, id=78) / bytes(61)
    got = w.until_answer(odd)
    problem = next(p for p in got if ICMPv6ParamProblem in p)
    assert (problem.code, problem.ptr) == (0, 4)
    far = IPv6(src=HOST, dst=OURS) / IPv6ExtHdrFragment(nh=17, offset=8191, m=0, id=79) / bytes(64)
    assert len(w.until_answer(far)) == 1
    empty = IPv6(src=HOST, dst=OURS) / IPv6ExtHdrFragment(nh=17, offset=0, m=1, id=80)
    assert len(w.until_answer(empty)) == 1
    # Behind the last one: never whole.
    beyond = pieces(payload, 1024, 81)
    beyond[2][IPv6ExtHdrFragment].m = 1
    beyond[1][IPv6ExtHdrFragment].m = 0
    w.send(*beyond)
    assert not any(p[IPv6].nh in (17, 44) for p in w.until_echo())
    # More fragments than are kept: the oldest datagrams go.
    for number in range(200):
        w.send(pieces(payload, 1024, 1000 + number)[0])
        if number % 20 == 0:
            w.until_echo()      # before what it answers fills our socket
    w.send(*pieces(payload, 1024, 2000))
    assert echoed(w, 3000)[0] == data
    counters = w.control.counters()
    assert counters["reassemblies6"] <= 16


def test_fragments_that_never_come():
    """After a minute the sender is told (of virtual time)."""
    with machine(append=f"{peer.STATIC} pace", devices=FAST_TIME) as w:
        w.introduce()
        _, payload = datagram(3000)
        w.send(pieces(payload, 1024, 5)[0], pieces(payload, 1024, 6)[1])
        told = w.next(lambda p: ICMPv6TimeExceeded in p)
        assert told.code == 1 and checked(told)
        assert (told[IPv6].src, told[IPv6].dst) == (OURS, HOST)
        inner = bytes(told[ICMPv6TimeExceeded].payload)
        sent = bytes(pieces(payload, 1024, 5)[0])
        assert inner == sent[:len(inner)] and len(inner) > 1000
        wait_until(lambda: w.control.counters()["reassemblies6"] == 0)


def test_packet_too_big():
    with machine() as w:
        w.introduce()

        def sizes():
            data, _ = datagram(3000)
            w.send(*pieces(datagram(3000)[1], 1024, int(time.monotonic() * 1000)))
            back, parts = echoed(w, 3000)
            assert back == data
            return sorted((len(p) for p in parts.values()), reverse=True)

        def too_big(mtu, **fields):
            inner = IPv6(src=OURS, dst=fields.get("dst", HOST)) / UDP(sport=7) / bytes(100)
            w.send(IPv6(src="fe80::c:9", dst=OURS) / ICMPv6PacketTooBig(mtu=mtu) / inner)
            w.until_echo()
        assert sizes()[0] == 1448
        too_big(1300, dst="fe80::c:8")
        too_big(50)             # which no link has
        too_big(1279)
        assert sizes()[0] == 1448
        too_big(1400)
        assert sizes()[0] == 1352
        too_big(1500)           # too late: it is known to be less
        assert sizes()[0] == 1352
        too_big(1280)
        assert sizes()[0] == 1232
