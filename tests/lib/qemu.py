# SPDX-License-Identifier: Apache-2.0
"""A machine: qemu-system-aarch64 -M virt with an image, and what its console says.

    with Qemu("hello", gic=3, el=2, memory="256M") as machine:
        machine.expect(r"Hello")
        assert machine.wait() == 0

Deadlines are generous (tests run on loaded machines); they only bound how long a failure takes.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from build import ROOT, build, make

DEADLINE_S = 60


class Qemu:
    """
    app        what to build and boot; or image=path of an Image; neither: no -kernel
    gic, el    2 or 3; entered at exception level 1 or 2
    cpu, memory, smp, append     as QEMU's options of these names; append is the bootargs
    machine    more -M options: "secure=on"
    modern     False: virtio-mmio devices offer the legacy interface only
    net        True: user networking; port(n) is the host's port for the machine's TCP port n,
               for the n in tcp. False: none. For anything else pass devices.
    devices    more QEMU options, a list
    within     words before the command: netns.Namespace.enter
    version    10: QEMU 10 (tools/deps); else the system's, but for -icount
    """

    def __init__(self, app=None, *, image=None, gic=2, el=1, cpu="cortex-a72", memory="128M",
                 smp=1, append="", machine="", modern=True, net=False, net_options="",
                 tcp=(80,), devices=(), qmp=False, within=(),
                 version=None):
        self._prepare(tcp if net else ())
        # QEMU 7.2 leaves out the guest's memory barriers where one thread runs all CPUs (its
        # tcg_gen_mb, until 8.1), though its devices run in another: then now and then a notification
        # or an interrupt of virtio is lost, for good. One thread is what -icount takes, or one CPU.
        version = version or ("-icount" in devices and 10)
        options = ["virt", f"gic-version={gic}", *(["virtualization=on"] if el == 2 else []),
                   *([machine] if machine else [])]
        self.command = [
            *within, program(version), "-M", ",".join(options), "-cpu", cpu, "-m", memory,
            "-smp", f"{smp},maxcpus={max(smp, 2)}", *self._kernel(app, image, append),
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-user-config",
            "-global", f"virtio-mmio.force-legacy={'false' if modern else 'true'}",
            *self._net(net, net_options), *map(str, devices)]
        self.command += self._qmp_options(qmp)

    def _prepare(self, tcp=()):
        self._folder = tempfile.mkdtemp(prefix="pith-test-")
        self._ports = {n: free_port() for n in tcp}
        self._text, self._closed, self._changed = "", False, threading.Condition()
        self._position, self._qmp = 0, None

    def _qmp_options(self, qmp):
        return ["-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"] if qmp else []

    def _kernel(self, app, image, append):
        if not (app or image):
            return []
        return ["-kernel", str(image or build(app) / "Image"), "-append", append]

    def _net(self, net, options):
        if not net:
            return ["-nic", "none"]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{h}-:{n}" for n, h in self._ports.items())
        return ["-netdev", "user,id=net0" + forwards,
                "-device", "virtio-net-device,netdev=net0" + (f",{options}" if options else "")]

    def __enter__(self):
        self._errors = open(f"{self._folder}/stderr", "w+")
        self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._errors)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *exception):
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- console ---

    def _read(self):
        while chunk := os.read(self._process.stdout.fileno(), 65536):
            with self._changed:
                self._text += chunk.decode(errors="replace").replace("\r", "")
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def output(self):
        """Everything that the console has said so far."""
        with self._changed:
            return self._text

    def expect(self, pattern, timeout_s=DEADLINE_S):
        """Wait until the console says pattern, after what the last expect matched; the match."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if match := re.compile(pattern, re.M).search(self._text, self._position):
                    self._position = match.end()
                    return match
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    why = "QEMU ended" if self._closed else f"{timeout_s} s passed"
                    raise AssertionError(f"{why} without {pattern!r}. {self._story()}")
                self._changed.wait(left)

    def send(self, text):
        """Type text on the console."""
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    # --- life ---

    def wait(self, timeout_s=DEADLINE_S):
        """Wait until the machine powers off; QEMU's exit status."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s. {self._story()}") from None
        self._reader.join(DEADLINE_S)
        return status

    def running(self):
        return self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        """End QEMU, if it has not ended."""
        if self._qmp:
            self._qmp.close()
        self._process.kill()
        self._process.wait()
        self._reader.join(DEADLINE_S)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    @property
    def errors(self):
        """Everything that QEMU itself has said so far."""
        self._errors.seek(0)
        return self._errors.read()

    def _story(self):
        return (f"\n$ {' '.join(self.command)}\n{self.errors}"
                f"--- console:\n{self._text[-6000:]}\n---")

    # --- the outside ---

    def port(self, guest_port=80):
        """The host's TCP port that leads to the machine's."""
        return self._ports[guest_port]

    def qmp(self, command, **arguments):
        """One QMP command (qmp=True): machine.qmp("set_link", name="net0", up=False)."""
        if not self._qmp:
            connection = socket.socket(socket.AF_UNIX)
            connect_when_there(connection, f"{self._folder}/qmp")
            self._qmp = connection.makefile("rw")
            self._qmp.readline()
            self.qmp("qmp_capabilities")
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while line := self._qmp.readline():
            answer = json.loads(line)
            if "event" not in answer:
                assert "return" in answer, f"{command}: {answer}"
                return answer["return"]
        raise AssertionError(f"QEMU ended during {command}. {self._story()}")


def program(version=None):
    """QEMU 10, or what the system has."""
    if not version:
        return "qemu-system-aarch64"
    assert version == 10
    make("build/deps/qemu10/.ready", check=True)
    return str(ROOT / "build/deps/qemu10/bin/qemu-system-aarch64")


def free_port():
    """A TCP port of this host that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect_when_there(connection, path, timeout_s=DEADLINE_S):
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
