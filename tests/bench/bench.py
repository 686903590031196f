#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what Pith costs, in instructions and bytes.

Boots the images that `make bench` has built, under QEMU with a counter of instructions (count.c),
in a network namespace of its own with a tap device between host (10.0.0.1) and guest (10.0.0.2).
The namespace lives as long as this process, so nothing is left behind.

Prints a table beside the figures kept in docs/performance.md, red where a figure that repeats
exactly has become worse by more than 3 %; writes build/bench/bench.json, and build/bench/<figure>.txt,
where the instructions of a figure went, by function.

    tests/bench/bench.py           measure and compare
    tests/bench/bench.py --keep    and write the figures into docs/performance.md
"""
import array
import bisect
import collections
import json
import mmap
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))
from qemu import Qemu  # noqa: E402

OUT = ROOT / "build/bench"
DOC = ROOT / "docs/performance.md"
GUEST, HOST, MAC = "10.0.0.2", "10.0.0.1", "52:54:00:12:34:56"
REQUEST = f"GET / HTTP/1.1\r\nHost: {GUEST}\r\n\r\n".encode()
WORSE = 1.03
SETTLED_S = 12    # after boot: IPv6 has given up on routers, receive buffers have been made

# The seed fixes the random place.
SEED = ["-seed", "1"]
NET = ["-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no",
       "-device", f"virtio-net-device,netdev=net0,mac={MAC}", "-device", "virtio-rng-device"]
ADDRESS = f"ip={GUEST}::{HOST}:255.255.255.0"


# --- The namespace ----------------------------------------------------------------------------

def enter_namespace():
    """Start again as root of an own network namespace, with the right to do so or without."""
    if os.environ.get("PITH_BENCH_NAMESPACE"):
        return
    os.environ["PITH_BENCH_NAMESPACE"] = "1"
    for unshare in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if not subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
            os.execvp("unshare", [*unshare, sys.executable, __file__, *sys.argv[1:]])
    sys.exit("bench: it takes root, or unprivileged user namespaces, to make a network namespace")


def make_tap():
    # No address of the host's own in IPv6, or it would talk; a fixed neighbour, or it would ask.
    for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap",
                    "ip link set tap0 addrgenmode none", f"ip address add {HOST}/24 dev tap0",
                    "ip link set tap0 up",
                    f"ip neigh replace {GUEST} lladdr {MAC} dev tap0 nud permanent"):
        r = subprocess.run(command.split(), stderr=subprocess.PIPE, text=True)
        if r.returncode:
            sys.exit(f"bench: {command}: {r.stderr.strip()}. Is /dev/net/tun there, and ours?")


# --- A machine that is counted ----------------------------------------------------------------

class Symbols:
    """The functions of an image, by offset."""

    def __init__(self, elf):
        lines = subprocess.check_output(["aarch64-linux-gnu-nm", "-n", elf], text=True).splitlines()
        functions = [l.split() for l in lines if re.match(r"[0-9a-f]+ [tTwW] ", l)]
        self._starts = [int(f[0], 16) for f in functions]
        self._names = [f[2] for f in functions]

    def offset(self, name):
        return self._starts[self._names.index(name)]

    def name(self, offset):
        return self._names[max(0, bisect.bisect(self._starts, offset) - 1)]


class Counts:
    """What count.c's struct counters held at one moment."""

    def __init__(self, values):
        self.instructions, self.waits = values[0], values[1]
        self.entered_at, self.at = values[2:16], values[16:]

    def __sub__(self, earlier):
        difference = [self.instructions - earlier.instructions, self.waits - earlier.waits]
        return Counts(difference + [0] * 14 + [a - b for a, b in zip(self.at, earlier.at)])

    def by_function(self, symbols):
        functions = collections.Counter()
        for i, n in enumerate(self.at):
            if n:
                functions[symbols.name(4 * i)] += n
        functions["(outside the image)"] = self.instructions - sum(self.at)
        return functions


class Machine(Qemu):
    """A booted image and its counters."""

    watched = ("_start", "kernel_main", "main")

    def __init__(self, app, memory="128M", net=True):
        folder = ROOT / "build" / app
        self.symbols = Symbols(folder / "image.elf")
        self._path = OUT / f"counters.{os.getpid()}"
        plugin = f"{OUT}/count.so,counters={self._path},image={folder}/Image" + "".join(
            f",watch={self.symbols.offset(name)}" for name in self.watched)
        super().__init__(image=folder / "Image", memory=memory, append=ADDRESS if net else "",
                         devices=["-plugin", plugin, "-no-reboot", *SEED, *(NET if net else [])])

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._path.unlink(missing_ok=True)

    def counts(self):
        with open(self._path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            return Counts(array.array("Q", m[:]).tolist())

    def serve(self):
        """Wait until it serves."""
        self.expect(r"^(serving|web: listening)")


# --- What clients do --------------------------------------------------------------------------

def connect(port=80):
    s = socket.create_connection((GUEST, port), 30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def request(s):
    """One request, its answer read to the end."""
    s.sendall(REQUEST)
    answer = b""
    while not (m := re.search(rb"(?i)content-length: (\d+)\r\n(?s:.*?)\r\n\r\n", answer)) or \
            len(answer) < m.end() + int(m[1]):
        more = s.recv(65536)
        assert more, f"connection closed after {answer!r}"
        answer += more
    assert answer.startswith(b"HTTP/1.1 200 "), answer


def requests(count):
    with connect() as s:
        request(s)
        yield
        for _ in range(count):
            request(s)
    return count


def wrk(seconds):
    yield
    said = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://{GUEST}/"],
                          capture_output=True, text=True, check=True).stdout
    assert "Socket errors" not in said and "Non-2xx" not in said, said
    return int(re.search(r"(\d+) requests in", said)[1])


def connections(count):
    yield
    for _ in range(count):
        with connect() as s:
            request(s)
    return count


def send(mib):
    with connect(5001) as s:
        yield
        for _ in range(mib * 16):
            s.sendall(bytes(65536))
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass
    return mib << 20


def receive(mib):
    with connect(5002) as s:
        yield
        left = mib << 20
        while left > 0:
            left -= len(s.recv(1 << 18))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return (mib << 20) - left


def echoes(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((GUEST, 7))
        yield
        for i in range(count):
            message = struct.pack("<I", i) + bytes(60)
            s.send(message)
            assert s.recv(2048) == message
    return count


# --- Figures ----------------------------------------------------------------------------------

figures = {}


def figure(name, value, digits=0):
    figures[name] = round(value, digits) if digits else round(value)
    print(f"  {name}: {figures[name]}", flush=True)


def write_profile(key, counts, symbols, units):
    total = max(1, counts.instructions)
    lines = [f"{n / units:12.2f} {100 * n / total:5.1f} %  {function}"
             for function, n in counts.by_function(symbols).most_common() if n]
    (OUT / f"{key}.txt").write_text("\n".join(lines) + "\n")


def spent_on(machine, work):
    """What a generator's work between its yield and its return costs; and how many units it did."""
    next(work)
    before = machine.counts()
    try:
        next(work)
    except StopIteration as end:
        units = end.value
    time.sleep(0.1)    # acknowledgements
    return machine.counts() - before, units


def measure(machine, key, name, work, *arguments, digits=0):
    """Instructions per unit of work: the median of three times."""
    runs = [spent_on(machine, work(*arguments)) for _ in range(3)]
    spent, units = sorted(runs, key=lambda run: run[0].instructions / run[1])[1]
    write_profile(key, spent, machine.symbols, units)
    figure(name, spent.instructions / units, digits)


def measure_idle(machine, seconds):
    with connect() as s:
        request(s)
        time.sleep(3)    # acknowledgements, and what else there was to do
        before = machine.counts()
        time.sleep(seconds)
        spent = machine.counts() - before
    write_profile("idle", spent, machine.symbols, seconds)
    figure("idle, a second", spent.instructions / seconds)


def measure_hello():
    with Machine("hello", net=False) as machine:
        machine.wait()
        counts = machine.counts()
        write_profile("hello", counts, machine.symbols, 1)
        figure("reset to main(), hello", counts.entered_at[2])


def measure_first_response(app):
    """The median of five: when exactly the host's packets come makes a difference."""
    boots = []
    for _ in range(5):
        with Machine(app) as machine:
            machine.serve()
            with connect() as s:
                request(s)
            boots.append(machine.counts())
    counts = sorted(boots, key=lambda c: c.instructions)[2]
    write_profile(f"boot-{app}", counts, machine.symbols, 1)
    figure(f"reset to first HTTP response, {app}", counts.instructions)


def measure_server():
    with Machine("server") as machine:
        machine.serve()
        time.sleep(SETTLED_S)
        measure(machine, "request", "keep-alive request, 1 connection", requests, 2000)
        measure(machine, "request-wrk", "keep-alive request, wrk -c16", wrk, 3)
        measure(machine, "connection", "new connection and request", connections, 300)
        measure(machine, "tcp-in", "TCP in, a byte", send, 16, digits=3)
        measure(machine, "tcp-out", "TCP out, a byte", receive, 16, digits=3)
        measure(machine, "udp", "UDP echo, 64 bytes", echoes, 2000)
        measure_idle(machine, 20)


def serves(app, mib):
    """Does it boot and serve with so much memory?"""
    try:
        with Machine(app, memory=f"{mib}M") as machine:
            machine.serve()
            with connect() as s:
                request(s)
        return True
    except (AssertionError, OSError):
        return False


def measure_memory(app):
    figure(f"smallest -m that serves HTTP, MiB, {app}",
           next(mib for mib in range(5, 65) if serves(app, mib)))


def measure_images():
    for app in ("hello", "server", "web"):
        figure(f"bytes of the image, {app}", (ROOT / f"build/{app}/Image").stat().st_size)


# --- The table --------------------------------------------------------------------------------

# What hangs on the host's timing, and so does not repeat within the limit.
VARIES = {"keep-alive request, wrk -c16", "new connection and request", "idle, a second",
          "TCP in, a byte", "TCP out, a byte", "reset to first HTTP response, web"}


def kept_rows():
    """{figure: [kept, must, aim]} of the table in docs/performance.md."""
    number = r"\s*([\d.,]*)\s*\|"
    rows = re.findall(rf"(?m)^\| ([^|]+?) \|{number}{number}{number}", DOC.read_text())
    return {row[0]: [cell.replace(",", "") for cell in row[1:]] for row in rows}


def print_table():
    rows, worse = kept_rows(), []
    print(f"\n{'':44}{'now':>11}{'kept':>11}{'change':>9}{'must':>9}{'aim':>9}")
    for name, value in figures.items():
        kept, must, aim = rows.get(name, ["", "", ""])
        change, red = "", False
        if kept:
            change = f"{100 * (value / float(kept) - 1):+.1f} %" if float(kept) else ""
            red = value > WORSE * float(kept) and name not in VARIES
        line = f"{name:44}{value:>11}{kept:>11}{change:>9}{must:>9}{aim:>9}"
        print(f"\033[31m{line}\033[0m" if red else line)
        worse += [name] * red
    return worse


def keep_figures():
    text = DOC.read_text()
    for name, value in figures.items():
        text = re.sub(rf"(?m)^(\| {re.escape(name)} \|)[^|]*", rf"\1 {value:,} ", text)
    DOC.write_text(text)


def main():
    enter_namespace()
    OUT.mkdir(parents=True, exist_ok=True)
    make_tap()
    measure_hello()
    measure_first_response("web")
    measure_first_response("server")
    measure_server()
    measure_memory("server")
    measure_memory("web")
    measure_images()
    (OUT / "bench.json").write_text(json.dumps(figures, indent=1) + "\n")
    worse = print_table()
    if "--keep" in sys.argv:
        keep_figures()
    elif worse:
        sys.exit(f"Worse by more than 3 %: {'; '.join(worse)}")


if __name__ == "__main__":
    main()
