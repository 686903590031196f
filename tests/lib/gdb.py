# SPDX-License-Identifier: Apache-2.0
"""The GDB remote protocol, as far as tests need it: registers and memory of a machine under QEMU
(GDB manual, appendix E). QEMU sends AArch64's registers as x0-x30, sp, pc, 8 bytes each."""
import socket
import struct
import time


class Gdb:
    """Connected to QEMU's stub at a Unix socket path; the machine is stopped while connected."""

    def __init__(self, path, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._socket.settimeout(timeout_s)
        self._buffer = b""
        self.command("?")
        # QEMU lets registers be written only by who has asked what they are called.
        self.command("qXfer:features:read:target.xml:0,ffb")

    def _byte(self):
        if not self._buffer:
            self._buffer = self._socket.recv(65536)
            assert self._buffer, "the GDB stub hung up"
        first, self._buffer = self._buffer[:1], self._buffer[1:]
        return first

    def _answer(self):
        while self._byte() != b"$":
            pass
        text = b""
        while (c := self._byte()) != b"#":
            text += c
        self._byte(), self._byte()
        self._socket.sendall(b"+")
        return text.decode()

    def _send(self, text):
        data = text.encode()
        self._socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def command(self, text):
        self._send(text)
        return self._answer()

    def registers(self):
        """x0 ... x30, sp, pc as a list."""
        raw = bytes.fromhex(self.command("g")[:33 * 16])
        return list(struct.unpack("<33Q", raw))

    def set_register(self, number, value):
        answer = self.command(f"P{number:x}={struct.pack('<Q', value).hex()}")
        assert answer == "OK", answer

    def memory(self, address, count):
        return bytes.fromhex(self.command(f"m{address:x},{count:x}"))

    def go_on(self):
        """Let the machine run, still connected; stop() to look again."""
        self._send("c")

    def stop(self):
        self._socket.sendall(b"\x03")
        self._answer()

    def close(self):
        self._socket.close()
