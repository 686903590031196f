# SPDX-License-Identifier: Apache-2.0
"""apps/router between two networks, with Linux on both sides."""
import contextlib
import errno
import hashlib
import random
import re
import socket
import threading

import peer
import pytest
from netns import Namespace, card
from qemu import Qemu

LAN_HOST, LAN_ROUTER = "10.0.0.2", "10.0.0.1"
WAN_HOST, WAN_ROUTER = "10.0.1.1", "10.0.1.2"
LAN_MAC, WAN_MAC = "52:54:00:00:00:10", "52:54:00:00:00:11"
ADDRESSES = f'lan="eth0 {LAN_ROUTER}/24" wan="eth1 {WAN_ROUTER}/24 via {WAN_HOST}"'
OFF = "csum=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,guest_tso6=off," \
      "host_ecn=off,guest_ecn=off,host_ufo=off,guest_ufo=off,gso=off"
SETUP_S = 60
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0    # linux/in.h


def cards(lan="", wan=""):
    """The last one on QEMU's command line is the guest's first."""
    return [*card("tap1", f"mac={WAN_MAC}{wan and ','}{wan}", 1),
            *card("tap0", f"mac={LAN_MAC}{lan and ','}{lan}", 0), "-device", "virtio-rng-device"]


@contextlib.contextmanager
def network(options="", lan_card="", wan_card="", **machine):
    """(namespace inside, namespace outside, the router between them)"""
    with Namespace() as lan, Namespace(beside=lan) as wan:
        lan.tap(f"{LAN_HOST}/24", name="tap0")
        lan.tap(name="tap1")
        with Qemu("router", within=lan.enter, append=f"{ADDRESSES} {options}",
                  devices=cards(lan_card, wan_card), **machine) as m:
            m.expect("^router: forwarding")
            lan.give("tap1", wan, f"{WAN_HOST}/24")
            lan.run("ip", "route", "add", "default", "via", LAN_ROUTER)
            yield lan, wan, m
            assert m.running(), m.output


@pytest.fixture(scope="module")
def plain():
    with network("rules='allow any from lan to any'".replace("'", '"')) as n:
        yield n


def counters(lan):
    """What http://the router/ says."""
    page = lan.run("curl", "-s", f"http://{LAN_ROUTER}/")
    return {name: int(value) for value, name in re.findall(r"(?m)^ *(\d+)  (.+)$", page)}


def listen(ns, address, kind=socket.SOCK_STREAM, port=0):
    s = ns.new_socket(kind=kind)
    s.settimeout(SETUP_S)
    s.bind((address, port))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def transfer(lan, wan, count, from_lan):
    """Bytes over one connection that lan opens; both ends must have hashed the same."""
    data = random.Random(count).randbytes(count)
    with listen(wan, WAN_HOST) as server:
        client = lan.connect(WAN_HOST, server.getsockname()[1])
        outside, sender = server.accept()
        assert sender[0] == WAN_ROUTER    # masqueraded
        source, sink = (client, outside) if from_lan else (outside, client)
        got = hashlib.sha256()

        def receive():
            while chunk := sink.recv(1 << 18):
                got.update(chunk)

        receiver = threading.Thread(target=receive)
        receiver.start()
        source.sendall(data)
        source.shutdown(socket.SHUT_WR)
        receiver.join(SETUP_S)
        client.close()
        outside.close()
    assert got.digest() == hashlib.sha256(data).digest()


def echo(lan, wan, sizes):
    """Datagrams there and back."""
    with listen(wan, WAN_HOST, socket.SOCK_DGRAM) as server, \
            lan.connect(WAN_HOST, server.getsockname()[1], kind=socket.SOCK_DGRAM) as client:
        for size in sizes:
            message = random.Random(size).randbytes(size)
            client.send(message)
            got, sender = server.recvfrom(65536)
            assert got == message and sender[0] == WAN_ROUTER
            server.sendto(got, sender)
            assert client.recv(65536) == message


@pytest.mark.parametrize("lan_card, wan_card", [("", ""), (OFF, ""), ("", OFF), (OFF, OFF),
                                                ("mrg_rxbuf=off", ""), ("", "event_idx=off")])
def test_what_hosts_send_arrives_whatever_the_cards_can_do(lan_card, wan_card):
    """The hosts leave checksums unfinished wherever their card may; none is wrong at the far side."""
    with network(lan_card=lan_card, wan_card=wan_card) as (lan, wan, m):
        lan.run("ping", "-c2", "-i0.2", WAN_HOST)
        transfer(lan, wan, 3_000_000, from_lan=True)
        transfer(lan, wan, 3_000_000, from_lan=False)
        echo(lan, wan, [0, 1, 18, 100, 1472, 1473, 4000, 20000])
        assert peer.host_checksum_errors(lan) == peer.host_checksum_errors(wan) == 0
        assert counters(lan)["malformed"] == 0


def test_iperf3_both_ways(plain):
    lan, wan, _ = plain
    for direction in ([], ["-R"], ["-u", "-b", "20M"]):
        with wan.popen("iperf3", "-s", "-1", "-B", WAN_HOST, stdout=-3) as server:
            while not wan.run("ss", "-Hltn", "sport", "=", ":5201"):
                assert server.poll() is None
            said = lan.run("iperf3", "-c", WAN_HOST, "-n", "10M", *direction)
            server.wait(SETUP_S)
        assert "iperf Done." in said
    assert peer.host_checksum_errors(lan) == peer.host_checksum_errors(wan) == 0


def test_an_error_finds_its_sender(plain):
    """Port unreachable, translated: the kernel inside believes it only for its own packet."""
    lan, wan, _ = plain
    with lan.connect(WAN_HOST, 9, kind=socket.SOCK_DGRAM) as s:
        s.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            s.recv(10)
    said = lan.run("ping", "-c1", "-t1", WAN_HOST, check=False)
    assert f"From {LAN_ROUTER} icmp_seq=1 Time to live exceeded" in said


def test_nobody_gets_in(plain):
    lan, wan, _ = plain
    before = counters(lan)["denied"]
    wan.run("ip", "route", "replace", "10.0.0.0/24", "via", WAN_ROUTER)
    for target, port in ((WAN_ROUTER, 80), (WAN_ROUTER, 5000), (LAN_HOST, 22)):
        with pytest.raises(TimeoutError):
            wan.connect(target, port, timeout_s=2)
    assert "0 received" in wan.run("ping", "-c1", "-W1", WAN_ROUTER, check=False)
    assert counters(lan)["denied"] >= before + 4


def test_nobody_gets_in_by_the_wrong_ethernet_address(plain):
    """Which the stack alone would not notice: frames to all, to somebody else, and IPv6."""
    from scapy.layers.inet import IP, TCP, Ether
    lan, wan, _ = plain
    wan.run("ip", "address", "replace", "10.0.1.9/24", "dev", "tap1")
    with wan.packet_socket("tap1", 3) as raw:    # ETH_P_ALL
        before = counters(lan)["martian"]
        for number, mac in enumerate(("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:77", "01:00:5e:00:00:01")):
            for src in ("10.0.1.9", "10.0.1.10"):
                raw.send(bytes(Ether(src="02:00:00:00:00:09", dst=mac) / IP(src=src, dst=WAN_ROUTER) /
                               TCP(sport=1000 + number, dport=80, flags="S")))
        assert counters(lan)["martian"] == before + 6
        lan.run("ping", "-c1", WAN_HOST)
        raw.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while frame := raw.recv(2000):
                packet = Ether(frame)
                assert packet.src != WAN_MAC or TCP not in packet or packet[TCP].sport != 80
    said = wan.run("ping", "-6", "-c1", "-W1", "fe80::5054:ff:fe00:11%tap1", check=False)
    assert "1 received" not in said


def test_rules_decide():
    rules = "allow tcp from lan to wan port 80; allow udp from lan to wan port 53-54; " \
            "allow tcp from lan to router port 80; allow icmp from wan to router"
    with network(f'rules="{rules}"') as (lan, wan, m):
        with listen(wan, WAN_HOST, port=80) as s:
            lan.connect(WAN_HOST, 80).close()
            s.accept()[0].close()
        for port in (81, 443):
            with pytest.raises(OSError) as e:
                lan.connect(WAN_HOST, port)
            assert e.value.errno == errno.EHOSTUNREACH
        wan.run("ping", "-c1", WAN_ROUTER)
        said = lan.run("ping", "-c1", "-W2", WAN_HOST, check=False)
        assert "Packet filtered" in said
        assert counters(lan)["denied"] >= 3


def test_an_address_by_dhcp():
    """Nothing leaves before the router has one; then it is what others see."""
    with Namespace() as lan, Namespace(beside=lan) as wan:
        lan.tap(f"{LAN_HOST}/24", name="tap0")
        lan.tap(name="tap1")
        with Qemu("router", within=lan.enter, devices=cards(),
                  append=f'lan="eth0 {LAN_ROUTER}/24" wan="eth1 dhcp"') as m:
            m.expect("^router: forwarding")
            lan.give("tap1", wan, f"{WAN_HOST}/24")
            lan.run("ip", "route", "add", "default", "via", LAN_ROUTER)
            said = lan.run("ping", "-c1", "-W2", WAN_HOST, check=False)
            assert "Destination Net Unreachable" in said
            server = wan.popen("dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--pid-file=",
                               "--port=0", "--leasefile-ro", "--interface=tap1", "--no-ping",
                               f"--dhcp-range={WAN_ROUTER},{WAN_ROUTER},2m", stderr=-3)
            try:
                m.expect(rf"eth1: address {WAN_ROUTER}/24 by DHCP, gateway {WAN_HOST}")
                transfer(lan, wan, 100_000, from_lan=True)
            finally:
                server.kill()
                server.wait()


def test_ports_run_out():
    """Ten ports: ten connections to one peer, and the eleventh has none; another peer has ten more."""
    with network("ports=40000-40009") as (lan, wan, m):
        with listen(wan, WAN_HOST, socket.SOCK_DGRAM, 53) as a, \
                listen(wan, WAN_HOST, socket.SOCK_DGRAM, 54) as b:
            clients = [lan.connect(WAN_HOST, 53, kind=socket.SOCK_DGRAM) for _ in range(11)]
            senders = set()
            for i, client in enumerate(clients):
                client.send(bytes([i]))
                if i < 10:
                    senders.add(a.recvfrom(10)[1])
            assert senders == {(WAN_ROUTER, port) for port in range(40000, 40010)}
            assert counters(lan)["no port left"] == 1
            other = lan.connect(WAN_HOST, 54, kind=socket.SOCK_DGRAM)
            other.send(b"x")
            assert b.recvfrom(10)[1][1] in range(40000, 40010)
            for s in [*clients, other]:
                s.close()


def test_a_smaller_mtu_outside_is_told():
    """The card's MTU is 1300: what may be cut is cut, of the rest the sender hears, and adapts."""
    with network(wan_card="host_mtu=1300") as (lan, wan, m):
        with listen(wan, WAN_HOST, socket.SOCK_DGRAM) as server, \
                lan.connect(WAN_HOST, server.getsockname()[1], kind=socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            for size in (1272, 1273, 1472, 4000):
                message = random.Random(size).randbytes(size)
                client.send(message)
                assert server.recv(65536) == message
        assert "mtu 1300" not in lan.run("ip", "route", "get", WAN_HOST)
        transfer(lan, wan, 500_000, from_lan=True)
        assert "mtu 1300" in lan.run("ip", "route", "get", WAN_HOST)
        assert counters(lan)["too big"] > 0


def test_a_next_hop_that_is_silent_is_told(plain):
    lan, _, _ = plain
    said = lan.run("ping", "-c6", "-i1", "-W1", "10.0.1.77", check=False)
    assert "Destination Host Unreachable" in said


def test_a_flood_of_syns_leaves_connections_alone():
    from scapy.layers.inet import IP, TCP, Ether
    with network(memory="16M") as (lan, wan, m):
        room = int(re.search(r"room for (\d+) connections", m.output)[1])
        with listen(wan, WAN_HOST) as server:
            client = lan.connect(WAN_HOST, server.getsockname()[1])
            outside = server.accept()[0]
            client.sendall(b"1")
            assert outside.recv(1) == b"1"
            raw = lan.packet_socket("tap0")
            frame = bytearray(bytes(Ether(src="02:00:00:00:00:09", dst=LAN_MAC) /
                                    IP(src=LAN_HOST, dst="10.0.1.200") /
                                    TCP(sport=1, dport=1, flags="S")))
            before = counters(lan)["opened"]
            while counters(lan)["opened"] < before + room + 1000:
                for _ in range(500):
                    frame[34:38] = random.randbytes(4)    # ports; the checksum is not looked at
                    raw.send(frame)
            client.sendall(b"2")
            assert outside.recv(1) == b"2"
            assert counters(lan)["given up for others"] > 0
            client.close()
            outside.close()


def damaged(frame, seed):
    """A frame with some bytes changed behind its Ethernet header, perhaps shortened."""
    r = random.Random(seed)
    frame = bytearray(frame)
    for _ in range(r.randrange(4)):
        frame[14 + r.randrange(min(50, len(frame) - 14))] = r.randrange(256)
    if r.random() < 0.2:
        del frame[14 + r.randrange(len(frame) - 14):]
    if r.random() < 0.7 and len(frame) >= 34:    # a header that is right leads further in
        frame[24:26] = b"\0\0"
        total = sum(int.from_bytes(frame[i:i + 2], "big") for i in range(14, 34, 2)) % 0xffff
        frame[24:26] = (0xffff - total).to_bytes(2, "big")
    return frame


def test_damaged_frames_from_both_sides(plain):
    from scapy.layers.inet import ICMP, IP, TCP, UDP, Ether
    lan, wan, _ = plain
    inner = IP(src=WAN_ROUTER, dst=WAN_HOST) / UDP(sport=40000, dport=53) / b"12345678"
    for ns, tap, mac, src, dst in ((lan, "tap0", LAN_MAC, LAN_HOST, WAN_HOST),
                                   (wan, "tap1", WAN_MAC, WAN_HOST, WAN_ROUTER)):
        data = b"x" * 20
        ip = Ether(src="02:00:00:00:00:09", dst=mac) / IP(src=src, dst=dst)
        frames = [bytes(ip / UDP(sport=40000, dport=53) / data),
                  bytes(ip / TCP(sport=40000, dport=80, flags="S")),
                  bytes(ip / ICMP(id=7) / data), bytes(ip / ICMP(type=3, code=3) / inner)]
        raw = ns.packet_socket(tap)
        for seed in range(4000):
            raw.send(damaged(frames[seed % 4], seed))
    lan.run("ping", "-c1", WAN_HOST)
    transfer(lan, wan, 200_000, from_lan=True)


@pytest.mark.parametrize("options, complaint", [
    ('lan="eth0 10.0.0.1/24"', 'router: wan="": a device and its address, as in "eth0 10.0.0.1/24" '
                               'or "eth0 dhcp"'),
    ('lan="eth0 10.0.0.1" wan="eth1 dhcp"',
     "router: lan: 10.0.0.1 is no address with its network's bits, as 10.0.0.1/24 is"),
    ('lan="eth0 10.0.0.1/24" wan="eth7 dhcp"', "router: there is no device eth7"),
    ('lan="eth0 10.0.0.1/24" wan="eth1 10.0.1.2/24 via 10.0.2.1"',
     'router: wan: "via" and a gateway in that network may follow the address'),
    (f"{ADDRESSES} nat=maybe", "router: nat=maybe: on or off"),
    (f"{ADDRESSES} ports=0-10", "router: ports=0-10: two numbers from 1 to 65535, as in 1024-49151"),
    (f'{ADDRESSES} rules="allow tcp form lan to wan"',
     'router: rules: rule 1, "allow tcp form lan to wan": form where from belongs'),
])
def test_mistakes_are_said(options, complaint):
    devices = ["-netdev", "hubport,id=h0,hubid=0", "-device", "virtio-net-device,netdev=h0",
               "-netdev", "hubport,id=h1,hubid=0", "-device", "virtio-net-device,netdev=h1",
               "-device", "virtio-rng-device"]
    with Qemu("router", append=options, devices=devices) as m:
        m.wait()
        assert complaint in m.output.splitlines()
