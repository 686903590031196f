# SPDX-License-Identifier: Apache-2.0
"""Networks that lose, double, reorder and damage frames, both ways: three ways to get one.

Relay: this process carries the frames between QEMU and a tap. It works everywhere, and the same seed
decides the same. LargeRelay: the same with segmentation offload at both ends. Netem: the kernel's own
(tc-netem(8)), where it has it.

All: before() gives QEMU's options, start(faults) begins, counters() tells what was done.
"""
import heapq
import os
import random
import re
import select
import socket
import tempfile
import threading
import time

import pytest
from segments import HEADER_BYTES, Segment

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3
KINDS = ("lost", "doubled", "reordered", "damaged")
# A reordered frame waits for this many others, or that long.
REORDER_FRAMES, REORDER_S = 6, 0.01
ETHERNET_BYTES = 14
NO_OFFLOAD = bytes(HEADER_BYTES)
# Only what has checksums of its own is damaged: ARP relies on Ethernet's.
IP_PACKETS = (b"\x08\x00", b"\x86\xdd")


class Faults:
    """Probabilities of each."""

    def __init__(self, lost=0.0, doubled=0.0, reordered=0.0, damaged=0.0):
        self.lost, self.doubled, self.reordered, self.damaged = lost, doubled, reordered, damaged


class Direction:
    """Frames that go one way; done: how many met which fault."""

    def __init__(self, send, seed):
        self._send, self._random = send, random.Random(seed)
        self._held, self._count = [], 0     # (frame number after which, time at which, number, frame)
        self.faults, self.done = Faults(), dict.fromkeys(KINDS, 0)

    def _hit(self, kind):
        hit = self._random.random() < getattr(self.faults, kind)
        self.done[kind] += hit
        return hit

    def carry(self, frame):
        self._count += 1
        if self._hit("lost"):
            return self.release()
        if frame[12:14] in IP_PACKETS and not isinstance(frame, LargeFrame) and self._hit("damaged"):
            frame = self._damage(frame)
        if self._hit("reordered"):
            after = self._count + self._random.randint(1, REORDER_FRAMES)
            heapq.heappush(self._held, (after, time.monotonic() + REORDER_S, self._count, frame))
        else:
            self._send(frame)
        if self._hit("doubled"):
            self._send(frame)
        return self.release()

    def _damage(self, frame):
        at = self._random.randrange(ETHERNET_BYTES, len(frame))
        return frame[:at] + bytes([frame[at] ^ 1 << self._random.randrange(8)]) + frame[at + 1:]

    def release(self):
        """Send what has waited enough."""
        while self._held and (self._held[0][0] <= self._count or
                              self._held[0][1] <= time.monotonic()):
            self._send(heapq.heappop(self._held)[3])

    def waiting(self):
        return bool(self._held)


class Relay:
    """Between a stream of frames from and to QEMU, and a tap."""

    def __init__(self, seed=1):
        self._folder = tempfile.TemporaryDirectory(prefix="pith-relay-")
        self._seed, self._end, self._buffer = seed, False, bytearray()

    def before(self, ns, *addresses):
        devices = self._open(ns)
        os.set_blocking(self._tap, False)
        for address in addresses:
            ns.run("ip", "address", "add", address, "dev", "tap0")
        ns.run("ip", "link", "set", "tap0", "up")
        self._in = Direction(self._to_machine, self._seed)
        self._out = Direction(self._to_host, -self._seed)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return devices

    def _open(self, ns):
        self._tap = ns.tap_fd("tap0")
        self._listener = socket.socket(socket.AF_UNIX)
        path = f"{self._folder.name}/link"
        self._listener.bind(path)
        self._listener.listen()
        return ["-netdev", f"stream,id=net0,server=off,addr.type=unix,addr.path={path}",
                "-device", "virtio-net-device,netdev=net0"]

    def _accept(self):
        self._machine, _ = self._listener.accept()
        self._listener.close()

    # A frame on the way from or to QEMU: 4 bytes of length, big endian, and the frame.

    def _to_machine(self, frame):
        try:
            self._machine.sendall(len(frame).to_bytes(4, "big") + frame)
        except BrokenPipeError:
            self._end = True

    def _frames_from_machine(self):
        try:
            chunk = self._machine.recv(1 << 18)
        except ConnectionResetError:    # QEMU was stopped with something unread
            chunk = b""
        self._buffer += chunk
        at = 0
        while len(self._buffer) >= (start := at + 4):
            end = start + int.from_bytes(self._buffer[at:start], "big")
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start:end])
            at = end
        del self._buffer[:at]
        self._end |= not chunk

    def _to_host(self, frame):
        try:
            os.write(self._tap, frame)
        except OSError:     # a damaged frame may be nothing that a tap takes
            pass

    def _frames_from_host(self):
        yield os.read(self._tap, 65536)

    def _run(self):
        self._accept()
        while not self._end:
            wait = REORDER_S / 2 if self._in.waiting() or self._out.waiting() else 0.2
            ready, _, _ = select.select([self._tap, self._machine], [], [], wait)
            if self._machine in ready:
                for frame in self._frames_from_machine():
                    self._out.carry(frame)
            if self._tap in ready:
                for frame in self._frames_from_host():
                    self._in.carry(frame)
            self._in.release()
            self._out.release()

    def start(self, faults):
        self._in.faults = self._out.faults = faults

    def counters(self):
        """({kind: frames towards the machine}, {kind: frames from it})"""
        return self._in.done, self._out.done

    def close(self):
        self._end = True
        self._thread.join()
        os.close(self._tap)
        self._machine.close()
        self._folder.cleanup()


class LargeFrame(bytes):
    """With an offload header. Nobody can tell whether it is damaged: it has no checksum yet."""


class LargeRelay(Relay):
    """
    Between two taps, both of which know large segments. The machine's are cut up here, so that the
    network's faults meet one piece and not the other; the host's half of the time, else they reach
    the machine as they are, or not at all. large_in: how many did. large_out: of the machine's,
    (bytes of a piece, pieces). pieces_out: all frames that they and others made.
    """

    def _open(self, ns):
        devices = ns.tap(name="tap1")
        # The host's own stack is at the other tap only.
        ns.run("ip", "link", "set", "tap1", "arp", "off")
        ns.write("/proc/sys/net/ipv6/conf/tap1/disable_ipv6", 1)
        self._machine = ns.packet_socket("tap1", ETH_P_ALL)
        self._machine.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._tap = ns.tap_fd("tap0", large=True)
        self._random = random.Random(self._seed)
        self.large_in, self.large_out, self.pieces_out = 0, [], 0
        return devices

    def _accept(self):
        pass

    def _to_machine(self, frame):
        try:
            self._machine.send(frame if isinstance(frame, LargeFrame) else NO_OFFLOAD + frame)
        except OSError:     # a damaged frame, or QEMU is gone
            pass

    def _frames_from_machine(self):
        try:
            segment = Segment(self._machine.recv(1 << 17))
        except OSError:     # QEMU is gone
            return
        pieces = segment.pieces()
        if segment.is_large:
            self.large_out.append((segment.gso_bytes, len(pieces)))
        self.pieces_out += len(pieces)
        yield from pieces

    def _to_host(self, frame):
        super()._to_host(NO_OFFLOAD + frame)

    def _frames_from_host(self):
        packet = os.read(self._tap, 1 << 17)
        segment = Segment(packet)
        if segment.is_large and self._random.random() < 0.5:
            self.large_in += 1
            yield LargeFrame(packet)
        else:
            yield from segment.pieces()


class Netem:
    """On the tap's way out, and by ifb0 on its way in."""

    def before(self, ns, *addresses):
        self._ns = ns
        devices = ns.tap(*addresses)
        if "unknown" in ns.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", check=False):
            pytest.skip("this kernel has no netem")
        ns.run("ip", "link", "add", "ifb0", "type", "ifb")
        ns.run("ip", "link", "set", "ifb0", "up")
        ns.run("tc", "qdisc", "add", "dev", "tap0", "ingress")
        ns.run("tc", "filter", "add", "dev", "tap0", "parent", "ffff:", "protocol", "all", "u32",
               "match", "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", "ifb0")
        return devices

    def start(self, faults):
        def percent(p):
            return f"{100 * p:g}%"
        for device in ("tap0", "ifb0"):
            self._ns.run("tc", "qdisc", "replace", "dev", device, "root", "netem", "limit", 10000,
                         "delay", "1ms", "loss", percent(faults.lost),
                         "duplicate", percent(faults.doubled), "reorder", percent(faults.reordered),
                         "corrupt", percent(faults.damaged))

    def counters(self):
        """What tc -s tells: lost frames only; the others show in the machine's and host's counters."""
        def lost(device):
            text = self._ns.run("tc", "-s", "qdisc", "show", "dev", device, "root")
            return {"lost": int(re.search(r"dropped (\d+)", text)[1])}
        return lost("tap0"), lost("ifb0")

    def close(self):
        pass
