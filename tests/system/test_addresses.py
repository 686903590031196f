# SPDX-License-Identifier: Apache-2.0
"""How the machine comes by its addresses: DHCP, bootargs, router advertisements; and names."""
import contextlib
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import peer
import pytest
from netns import Namespace
from qemu import Qemu

# A virtual clock that skips idle time, but no faster than the app "pace" lets it (apps/peer).
FAST_TIME = ["-icount", "shift=0,sleep=off"]
SLAAC = "fd00::5054:ff:fe12:3456"
RANGE4 = "--dhcp-range=10.0.0.50,10.0.0.60,255.255.255.0,2m"


@contextlib.contextmanager
def dnsmasq(ns, *options):
    """dnsmasq on tap0; a function that returns what it has logged."""
    with tempfile.NamedTemporaryFile("a+") as log:
        # --no-daemon also keeps it from changing groups, which an unprivileged namespace forbids.
        process = ns.popen("dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--log-dhcp",
                           "--log-queries", "--no-resolv", "--no-hosts", "--pid-file=",
                           "--leasefile-ro", "--interface=tap0", "--bind-interfaces", "--no-ping",
                           *options, stdout=log, stderr=subprocess.STDOUT)

        def said():
            text = pathlib.Path(log.name).read_text()
            assert process.poll() is None, text
            return text
        try:
            wait_for(said, "started")
            yield said
        finally:
            process.kill()
            process.wait()


def wait_for(said, pattern, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not (match := re.search(pattern, said())):
        assert time.monotonic() < deadline, f"no {pattern!r} in:\n{said()}"
        time.sleep(0.02)
    return match


@contextlib.contextmanager
def namespace():
    with Namespace() as ns:
        yield ns, ns.tap("10.0.0.1/24", "fd00::1/64")


def test_dhcp_address_gateway_and_name_server():
    with namespace() as (ns, tap), dnsmasq(
            ns, RANGE4, "--dhcp-option=3,10.0.0.9", "--dhcp-option=6,10.0.0.1,10.0.0.8",
            "--host-record=printer.test,10.0.0.77") as said:
        with Qemu(peer.APP, within=ns.enter, devices=tap) as m:
            address = m.expect(r"eth0: address ([\d.]+)/24 by DHCP, gateway 10\.0\.0\.9")[1]
            wait_for(said, re.escape(f"DHCPACK(tap0) {address}"))   # its log may be late
            wait_for(lambda: m.output, "peer: ready")   # before the address, or after
            with peer.control(ns, address) as c:
                assert c.all("configuration", "dhcp") == ["bound"]
                assert c.all("configuration", "lease") == ["120"]
                assert c.all("configuration", "dns") == ["10.0.0.1", "10.0.0.8"]
                assert c.all("lookup printer.test 4", "address") == ["10.0.0.77"]


def test_dhcp_with_the_longest_host_name():
    name = "h" * 63    # RFC 1035, 2.3.4
    with namespace() as (ns, tap), dnsmasq(ns, RANGE4) as said:
        with Qemu(peer.APP, within=ns.enter, devices=tap, append=f"ip=::::{name}:eth0:dhcp") as m:
            m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")
            wait_for(said, rf"DHCPACK.* {name}")


def test_dhcp_renews_its_lease():
    """In virtual time: a lease of two minutes passes in seconds."""
    with namespace() as (ns, tap):
        with dnsmasq(ns, RANGE4) as said, Qemu(
                peer.APP, within=ns.enter, devices=[*tap, *FAST_TIME], append="pace") as m:
            m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")
            # First by request to the server itself, at half the lease; nothing is discovered anew.
            wait_for(said, r"(?s)DHCPACK.*DHCPREQUEST.*DHCPACK.*DHCPREQUEST.*DHCPACK")
            assert said().count("DHCPDISCOVER(") == said().count("DHCPOFFER(") == 1
            assert "no IPv4 address" not in m.output


def test_dhcp_lease_lost_and_regained():
    with namespace() as (ns, tap):
        with Qemu(peer.APP, within=ns.enter, devices=[*tap, *FAST_TIME], append="pace") as m:
            with dnsmasq(ns, RANGE4):
                m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")
            m.expect("eth0: no IPv4 address")
            with dnsmasq(ns, RANGE4):
                m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")


def test_dhcp_server_that_comes_late():
    with namespace() as (ns, tap):
        with Qemu(peer.APP, within=ns.enter, devices=[*tap, *FAST_TIME], append="pace") as m:
            m.expect("peer: ready")
            with dnsmasq(ns, RANGE4):
                m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")


def test_dhcp_refused_lease_is_given_up():
    """A server that has forgotten us says no (DHCPNAK): from the start again, with another range."""
    with namespace() as (ns, tap):
        with Qemu(peer.APP, within=ns.enter, devices=[*tap, *FAST_TIME], append="pace") as m:
            with dnsmasq(ns, RANGE4):
                m.expect(r"eth0: address 10\.0\.0\.\d+/24 by DHCP")
            with dnsmasq(ns, "--dhcp-range=10.0.0.70,10.0.0.80,2m", "--dhcp-authoritative") as said:
                m.expect("eth0: no IPv4 address")
                m.expect(r"eth0: address 10\.0\.0\.7\d/24 by DHCP")
                wait_for(said, "DHCPNAK")


@pytest.mark.parametrize("ip, address, gateway, dns, hostname", [
    ("10.0.0.2::10.0.0.1:255.255.255.0:box:eth0:off:10.0.0.1:10.0.0.8", "10.0.0.2/24", "10.0.0.1",
     ["10.0.0.1", "10.0.0.8"], "box"),
    ("10.0.0.2:::255.255.0.0", "10.0.0.2/16", "", [], ""),
    ("10.0.0.2", "10.0.0.2/8", "", [], ""),
])
def test_static_address(ip, address, gateway, dns, hostname):
    with peer.network(append=f"ip={ip}") as (ns, _), peer.control(ns) as c:
        assert c.all("configuration", "dhcp") == ["static"]
        assert c.all("configuration", "address")[0] == address
        assert c.all("configuration", "gateway") == [gateway]
        assert c.all("configuration", "dns") == dns
        assert c.all("configuration", "hostname") == [hostname]


def test_no_address_wanted():
    with namespace() as (ns, tap), dnsmasq(ns, RANGE4) as said:
        with Qemu(peer.APP, within=ns.enter, devices=tap, append="ip=off") as m:
            m.expect("peer: ready")
            ns.run("ping", "-c1", "-w30", f"{peer.LINK_LOCAL}%tap0")    # IPv6 is there all the same
            assert not re.search(r"by (DHCP|bootargs)", m.output)
            assert not re.search(r"DHCP[A-Z]+\(", said())


RECORDS = ["--host-record=both.test,10.1.2.3,fd00::77", "--host-record=four.test,10.1.2.4",
           "--host-record=six.test,fd00::78", "--cname=alias.test,both.test",
           *[f"--host-record=many.test,10.9.0.{i}" for i in range(1, 5)],
           "--server=/elsewhere.test/10.0.0.250"]


def test_names():
    dns = "ip=10.0.0.2::10.0.0.1:255.255.255.0::eth0:off:10.0.0.1"
    with peer.network(append=dns) as (ns, _), dnsmasq(ns, *RECORDS) as said, peer.control(ns) as c:
        def addresses(what):
            return sorted(c.all(f"lookup {what}", "address"))
        assert addresses("both.test 4") == ["10.1.2.3"]
        assert addresses("both.test 6") == ["fd00::77"]
        assert addresses("both.test 0") == ["10.1.2.3", "fd00::77"]
        assert addresses("four.test 0") == ["10.1.2.4"]
        assert addresses("six.test 0") == ["fd00::78"]
        assert addresses("alias.test 4") == ["10.1.2.3"]
        assert addresses("10.5.5.5 4") == ["10.5.5.5"]
        assert set(addresses("many.test 4")) <= {f"10.9.0.{i}" for i in range(1, 5)}
        assert addresses("many.test 4")
        assert c.all("lookup none.test 4", "error")
        assert c.all("lookup none.test 0", "error")
        wait_for(said, re.escape("query[AAAA] six.test"))


def test_no_name_server():
    with peer.network() as (ns, _), peer.control(ns) as c:
        assert c.all("lookup both.test 4", "error")


RA = ["--enable-ra", "--dhcp-range=fd00::,ra-only,64,2m", "--ra-param=tap0,4,120"]


def test_ipv6_by_router_advertisement():
    with peer.network() as (ns, m), dnsmasq(ns, *RA):
        m.expect(f"eth0: address {peer.LINK_LOCAL}")
        m.expect(f"eth0: address {SLAAC}")
        for address in (SLAAC, f"{peer.LINK_LOCAL}%tap0"):
            out = ns.run("ping", "-c3", "-i0.1", "-s", "3000", address)
            assert "3 received" in out
        assert ns.run("curl", "-sS", f"http://[{SLAAC}]/") == "Hello\n"
        assert ns.run("curl", "-sS", f"http://[{peer.LINK_LOCAL}%25tap0]/") == "Hello\n"
        peer.transfer_both(ns, 2_000_000, SLAAC)
        with peer.control(ns, SLAAC) as c:
            assert f"{SLAAC}/64" in c.all("configuration", "address")
            assert c.all("configuration", "gateway6")[0].startswith("fe80::")
            listener = ns.new_socket(socket.AF_INET6)
            listener.bind(("fd00::1", 4000))
            listener.listen()
            check_connect_out(c, listener, "connect fd00::1 4000")


def check_connect_out(c, listener, command):
    c._file.write(command + "\n")
    c._file.flush()
    connection, _ = listener.accept()
    connection.sendall(b"welcome\n")
    connection.close()
    assert c._file.readline() == "said welcome\n"
    assert c._file.readline() == "end\n"


def test_ipv6_and_no_ipv4():
    """The web app is reachable where there is nothing but a router."""
    with namespace() as (ns, tap), dnsmasq(ns, *RA):
        with Qemu("web", within=ns.enter, devices=tap, append="ip=off") as m:
            m.expect(f"eth0: address {SLAAC}")
            assert "<html" in ns.run("curl", "-sS", f"http://[{SLAAC}]/")


def test_duplicate_address_is_not_used():
    with namespace() as (ns, tap):
        ns.run("ip", "address", "add", f"{peer.LINK_LOCAL}/64", "dev", "tap0", "nodad")
        with Qemu(peer.APP, within=ns.enter, devices=tap, append=peer.STATIC) as m:
            m.expect("peer: ready")
            with peer.control(ns) as c:
                deadline = time.monotonic() + 60
                while any(a.startswith("fe80") for a in c.all("configuration", "address")):
                    assert time.monotonic() < deadline
                    time.sleep(0.1)


@pytest.mark.parametrize("group, mac", [
    ("224.0.0.251", "01:00:5e:00:00:fb"), ("239.129.1.2", "01:00:5e:01:01:02"),
    ("ff02::fb", "33:33:00:00:00:fb"), ("ff05::1:3", "33:33:00:01:00:03")])
def test_a_datagram_to_a_group_goes_to_its_members(group, mac):
    """By the group's own Ethernet address (RFC 1112, 6.4; RFC 2464, 7), although there is a gateway."""
    with peer.network() as (ns, m), peer.control(ns) as c:
        wait_for(lambda: m.output, f"address {peer.LINK_LOCAL}")
        frames = ns.packet_socket("tap0", 3)
        frames.settimeout(10)
        assert c.lines(f"send {group} 4321") == []
        while (4321).to_bytes(2, "big") not in (frame := frames.recv(2048))[36:58]:
            pass
        assert frame[:6].hex(":") == mac


def test_link_down_and_up():
    with namespace() as (ns, tap), dnsmasq(ns, RANGE4):
        with Qemu(peer.APP, within=ns.enter, devices=tap, qmp=True) as m:
            address = m.expect(r"eth0: address ([\d.]+)/24 by DHCP")[1]
            m.qmp("set_link", name="net0", up=False)
            m.expect("eth0: link down")
            m.qmp("set_link", name="net0", up=True)
            m.expect("eth0: link up")
            ns.run("ping", "-c1", "-w30", address)
