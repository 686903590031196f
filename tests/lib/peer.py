# SPDX-License-Identifier: Apache-2.0
"""What tests/system/apps/peer offers, from the other end."""
import contextlib
import hashlib
import random
import re
import socket

from netns import Namespace
from qemu import Qemu

APP = "tests/system/apps/peer"
HOST4, MACHINE4 = "10.0.0.1", "10.0.0.2"
HOST6, LINK_LOCAL = "fd00::1", "fe80::5054:ff:fe12:3456"
STATIC = f"ip={MACHINE4}::{HOST4}:255.255.255.0::eth0:off"


@contextlib.contextmanager
def network(append=STATIC, card=None, devices=(), image=None, **machine):
    """A namespace with the host at HOST4 and HOST6, and in it a machine that runs peer."""
    with Namespace() as ns:
        tap = ns.tap(f"{HOST4}/24", f"{HOST6}/64")
        with Qemu(None if image else APP, image=image, within=ns.enter, append=append,
                  devices=[*(card or tap), *devices], **machine) as m:
            m.expect("peer: ready")
            yield ns, m
            assert m.running(), m.output


class Control:
    """The machine's answers to commands, over one connection."""

    def __init__(self, connection):
        self._socket = connection
        self._file = connection.makefile("rw")

    def close(self):
        self._file.close()
        self._socket.close()

    def lines(self, command):
        """[(first word, the rest)]"""
        self._file.write(command + "\n")
        self._file.flush()
        answer = []
        while (line := self._file.readline()) != "end\n":
            assert line, "the machine hung up"
            word, _, rest = line.rstrip("\n").partition(" ")
            answer.append((word, rest))
        return answer

    def counters(self):
        return {name: int(value) for name, value in self.lines("counters")}

    def all(self, command, word):
        """Every answer to command that starts with word."""
        return [rest for first, rest in self.lines(command) if first == word]


@contextlib.contextmanager
def control(ns, address=MACHINE4):
    c = Control(ns.connect(address, 5003))
    try:
        yield c
    finally:
        c.close()


def host_checksum_errors(ns):
    """Bad checksums that the host has seen: TCP, UDP, ICMP, over IPv4 and IPv6."""
    total = 0
    four = ns.run("cat", "/proc/net/snmp")
    for titles, values in re.findall(r"(?m)^(\w+: [A-Z].*)\n(\w+: [-\d].*)$", four):
        total += int(dict(zip(titles.split(), values.split())).get("InCsumErrors", 0))
    six = ns.run("cat", "/proc/net/snmp6")
    return total + sum(map(int, re.findall(r"\w+InCsumErrors\s+(\d+)", six)))


def upload(connection, count, seed=1):
    """Send bytes; what arrived must be them."""
    data = random.Random(seed).randbytes(count)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    answer = connection.makefile().readline()
    connection.close()
    assert answer == f"{count} {hashlib.sha256(data).hexdigest()}\n"


def download(connection, count):
    """Have bytes sent; they must be what the machine says they were."""
    connection.sendall(f"{count}\n".encode())
    data = bytearray()
    while len(data) < count + 64:
        chunk = connection.recv(1 << 18)
        assert chunk, f"{len(data)} of {count} bytes came"
        data += chunk
    connection.close()
    assert hashlib.sha256(data[:count]).hexdigest() == data[count:].decode()


def transfer_both(ns, count, address=MACHINE4, timeout_s=60):
    upload(ns.connect(address, 5001, timeout_s), count)
    download(ns.connect(address, 5002, timeout_s), count)
