#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what Pith costs, in instructions and bytes.

Boots the images that `make bench` has built, under QEMU with a counter of instructions (count.c),
in a network namespace of its own with a tap device between host (10.0.0.1) and guest (10.0.0.2).
The namespace lives as long as this process, so nothing is left behind.

Then does the same with the same programs on a minimal Linux, if `make bench-linux` has built it.

Prints a table beside the figures kept in docs/performance.md, red where a figure that repeats
exactly has become worse by more than 3 %; writes build/bench.json, and build/bench/<figure>.txt,
where the instructions of a figure went, by function.

    tests/bench/bench.py                    measure and compare
    tests/bench/bench.py --keep             and write the figures into docs/performance.md
    tests/bench/bench.py connection udp     measure only these of Pith's figures. Nothing is built.

The names are those of the profiles in build/bench:

    hello boot-web boot-server request request-wrk connection tcp-in tcp-out udp idle
    request-raw request-raw-wrk forward

and memory-server, memory-web, images, latency.
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
MEMORIES = range(5, 65)    # MiB; QEMU refuses less
NAMES = {"hello", "boot-web", "boot-server", "request", "request-wrk", "connection", "tcp-in",
         "tcp-out", "udp", "idle", "request-raw", "request-raw-wrk", "forward", "memory-server",
         "memory-web", "images", "latency"}
CHOSEN = {name for name in sys.argv[1:] if name != "--keep"} or NAMES
SETTLED_S = 12    # after boot: IPv6 has given up on routers, receive buffers have been made

# The seed fixes the random place.
SEED = ["-seed", "1"]
NET = ["-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no",
       "-device", f"virtio-net-device,netdev=net0,mac={MAC}", "-device", "virtio-rng-device"]
ADDRESS = f"ip={GUEST}::{HOST}:255.255.255.0"

LINUX = OUT / "linux"
LINUX_IMAGE = LINUX / "arch/arm64/boot/Image"
LINUX_ARGS = "quiet panic=-1"
# The router's other side. The last card on QEMU's command line is the guest's first.
FAR_GUEST, FAR_HOST, FAR_MAC = "10.0.1.2", "10.0.1.1", "52:54:00:12:34:57"
FAR_NET = ["-netdev", "tap,id=net1,ifname=tap1,script=no,downscript=no",
           "-device", f"virtio-net-device,netdev=net1,mac={FAR_MAC}"]
ROUTER = f'lan="eth0 {GUEST}/24" wan="eth1 {FAR_GUEST}/24 via {FAR_HOST}"'
FRAMES_FLOWS = 64    # connections that the forwarded frames belong to


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


def make_taps():
    # No address of the host's own in IPv6, or it would talk; a fixed neighbour, or it would ask.
    commands = ["ip link set lo up"]
    for tap, host, guest, mac in (("tap0", HOST, GUEST, MAC), ("tap1", FAR_HOST, FAR_GUEST, FAR_MAC)):
        commands += [f"ip tuntap add dev {tap} mode tap", f"ip link set {tap} addrgenmode none",
                     f"ip address add {host}/24 dev {tap}", f"ip link set {tap} up",
                     f"ip neigh replace {guest} lladdr {mac} dev {tap} nud permanent"]
    for command in commands:
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

    def count(self, name, counts):
        """How often a function was called."""
        return counts.at[self.offset(name) // 4]

    def name(self, offset):
        return self._names[max(0, bisect.bisect(self._starts, offset) - 1)]


class Counts:
    """What count.c's struct counters held at one moment, and the frames that tap0 had handed over."""

    def __init__(self, values, frames):
        self.instructions, self.waits = values[0], values[1]
        self.entered_at, self.at = values[2:16], values[16:]
        self.frames = frames

    def __sub__(self, earlier):
        difference = [self.instructions - earlier.instructions, self.waits - earlier.waits]
        return Counts(difference + [0] * 14 + [a - b for a, b in zip(self.at, earlier.at)],
                      self.frames - earlier.frames)

    def by_function(self, symbols):
        functions = collections.Counter()
        for i, n in enumerate(self.at):
            if n:
                functions[symbols.name(4 * i)] += n
        functions["(outside the image)"] = self.instructions - sum(self.at)
        return functions


def frames_to_guest():
    said = subprocess.check_output(["ip", "-json", "-stats", "link", "show", "dev", "tap0"])
    return json.loads(said)[0]["stats64"]["tx"]["packets"]


class Machine(Qemu):
    """A booted image and its counters."""

    system = "Pith"
    watched = ("_start", "kernel_main", "main")
    cards = NET

    def __init__(self, app, memory="128M", net=True, counted=True):
        self._path = OUT / f"counters.{os.getpid()}"
        kernel, elf, options = self.files(app)
        self.symbols = Symbols(elf)
        if counted:
            # Linux's programs are counted at their offsets in the ELF file, which are their addresses.
            image = kernel if self.system == "Pith" else elf
            options += ["-plugin", f"{OUT}/count.so,counters={self._path},image={image}" + "".join(
                f",watch={self.symbols.offset(name)}" for name in self.watched)]
        super().__init__(image=kernel, memory=memory, append=self.bootargs(net),
                         devices=[*options, "-no-reboot", *SEED, *(self.cards if net else [])])

    def files(self, app):
        """What to boot, the program in it, and more options."""
        folder = ROOT / "build" / app
        return folder / "Image", folder / "image.elf", []

    def bootargs(self, net):
        return ADDRESS if net else ""

    @staticmethod
    def image_bytes(app):
        return (ROOT / f"build/{app}/Image").stat().st_size

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._path.unlink(missing_ok=True)

    def counts(self):
        with open(self._path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            return Counts(array.array("Q", m[:]).tolist(), frames_to_guest())

    def reached_main(self, counts):
        return counts.entered_at[self.watched.index("main")]

    def serve(self):
        """Wait until it serves."""
        self.expect(r"^(serving|web: listening)")


class LinuxMachine(Machine):
    """The minimal Linux with one program, its /init."""

    system = "Linux"
    watched = ("main",)

    def files(self, app):
        return LINUX_IMAGE, LINUX / app, ["-initrd", f"{LINUX}/{app}.cpio"]

    def bootargs(self, net):
        return f"{LINUX_ARGS} {ADDRESS}:::off" if net else LINUX_ARGS

    @staticmethod
    def image_bytes(app):
        return sum(f.stat().st_size for f in (LINUX_IMAGE, LINUX / f"{app}.cpio"))


# --- What clients do --------------------------------------------------------------------------

def connect(port=80):
    s = socket.create_connection((GUEST, port), 30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def request(s):
    """One request; its answer, read to the end."""
    s.sendall(REQUEST)
    answer = b""
    while not (m := re.search(rb"(?i)content-length: (\d+)\r\n(?s:.*?)\r\n\r\n", answer)) or \
            len(answer) < m.end() + int(m[1]):
        more = s.recv(65536)
        assert more, f"connection closed after {answer!r}"
        answer += more
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return answer


def requests(count):
    with connect() as s:
        request(s)
        yield
        for _ in range(count):
            request(s)
    return count


def run_wrk(seconds):
    """Requests, and requests a second."""
    said = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://{GUEST}/"],
                          capture_output=True, text=True, check=True).stdout
    assert "Socket errors" not in said and "Non-2xx" not in said, said
    return int(re.search(r"(\d+) requests in", said)[1]), \
        float(re.search(r"Requests/sec: +([\d.]+)", said)[1])


def wrk(seconds):
    yield
    return run_wrk(seconds)[0]


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


def udp_frame(source_port):
    """The shortest frame, 64 bytes on a wire with its checksum: from tap0's host to tap1's."""
    def checksum(data):
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        return ~(total % 0xffff) & 0xffff

    addresses = socket.inet_aton(HOST) + socket.inet_aton(FAR_HOST)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 46, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    udp = struct.pack(">HHHH", source_port, 7, 26, 0) + bytes(18)
    pseudo = addresses + struct.pack(">HH", socket.IPPROTO_UDP, 26)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp)) + udp[8:]
    return bytes.fromhex(MAC.replace(":", "")) + bytes.fromhex("020000000001") + b"\x08\0" + ip + udp


def arrived(tap="tap1"):
    with open("/proc/net/dev") as f:
        return next(int(line.split()[2]) for line in f if line.strip().startswith(tap + ":"))


def frames(count):
    """Forwarded at once, as many as the machine takes; those that came out at the other side."""
    all_frames = [udp_frame(20000 + i) for i in range(FRAMES_FLOWS)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        s.bind(("tap0", 0))
        sink.bind((FAR_HOST, 7))    # nothing comes back
        for frame in all_frames:
            s.send(frame)
        time.sleep(0.2)
        before = arrived()
        yield
        for i in range(count):
            s.send(all_frames[i % FRAMES_FLOWS])
        time.sleep(0.5)
    return arrived() - before


# --- Figures ----------------------------------------------------------------------------------

figures = {"Pith": {}, "Linux": {}}


def wanted(*names):
    return not CHOSEN.isdisjoint(names)


def figure(system, name, value, digits=0):
    value = round(value, digits) if digits else round(value)
    figures[system][name] = value
    print(f"  {system}, {name}: {value}", flush=True)


def write_profile(system, key, counts, symbols, units):
    total = max(1, counts.instructions)
    lines = [f"{n / units:12.2f} {100 * n / total:5.1f} %  {function}"
             for function, n in counts.by_function(symbols).most_common() if n]
    name = key if system == "Pith" else f"linux-{key}"
    (OUT / f"{name}.txt").write_text("\n".join(lines) + "\n")


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
    """Instructions per unit of work: the median of three times, which is returned."""
    if not wanted(key):
        return None
    runs = [spent_on(machine, work(*arguments)) for _ in range(3)]
    spent, units = sorted(runs, key=lambda run: run[0].instructions / run[1])[1]
    write_profile(machine.system, key, spent, machine.symbols, units)
    figure(machine.system, name, spent.instructions / units, digits)
    return spent, units


def measure_sharing(machine, spent, units):
    """What explains wrk's figure: how much each interrupt and each wake-up found to do."""
    figure(machine.system, "requests per wake-up, wrk -c16",
           units / machine.symbols.count("epoll_wait", spent), 2)
    if machine.system == "Pith":    # Linux's kernel is not counted by function
        figure(machine.system, "frames per interrupt, wrk -c16",
               spent.frames / machine.symbols.count("irq_entry", spent), 2)


def measure_idle(machine, seconds):
    if not wanted("idle"):
        return
    with connect() as s:
        request(s)
        time.sleep(3)    # acknowledgements, and what else there was to do
        before = machine.counts()
        time.sleep(seconds)
        spent = machine.counts() - before
    write_profile(machine.system, "idle", spent, machine.symbols, seconds)
    figure(machine.system, "idle, a second", spent.instructions / seconds)


def measure_hello(kind):
    if not wanted("hello"):
        return
    with kind("hello", net=False) as machine:
        machine.wait()
        counts = machine.counts()
    write_profile(kind.system, "hello", counts, machine.symbols, 1)
    figure(kind.system, "reset to main(), hello", machine.reached_main(counts))


def measure_first_response(kind, app):
    """The median of five: when exactly the host's packets come makes a difference."""
    if not wanted(f"boot-{app}"):
        return
    boots = []
    for _ in range(5):
        with kind(app) as machine:
            machine.serve()
            with connect() as s:
                request(s)
            boots.append(machine.counts())
    counts = sorted(boots, key=lambda c: c.instructions)[2]
    write_profile(kind.system, f"boot-{app}", counts, machine.symbols, 1)
    figure(kind.system, f"reset to first HTTP response, {app}", counts.instructions)


def check_answer():
    """The answer that others' servers were measured with."""
    head = (b"HTTP/1.1 200 OK\r\nServer: b\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 28\r\nConnection: keep-alive\r\n\r\n")
    with connect() as s:
        answer = request(s)
    assert answer == head + b"x" * 27 + b"\n", answer


def measure_server(kind):
    if not wanted("request", "request-wrk", "connection", "tcp-in", "tcp-out", "udp", "idle"):
        return
    with kind("server") as machine:
        machine.serve()
        check_answer()
        time.sleep(SETTLED_S)
        measure(machine, "request", "keep-alive request, 1 connection", requests, 2000)
        if shared := measure(machine, "request-wrk", "keep-alive request, wrk -c16", wrk, 3):
            measure_sharing(machine, *shared)
        measure(machine, "connection", "new connection and request", connections, 300)
        measure(machine, "tcp-in", "TCP in, a byte", send, 16, digits=3)
        measure(machine, "tcp-out", "TCP out, a byte", receive, 16, digits=3)
        measure(machine, "udp", "UDP echo, 64 bytes", echoes, 2000)
        measure_idle(machine, 20)


def measure_raw_server():
    """The same answer by lwIP's raw API."""
    if not wanted("request-raw", "request-raw-wrk"):
        return
    with Machine("server_raw") as machine:
        machine.serve()
        check_answer()
        time.sleep(SETTLED_S)
        measure(machine, "request-raw", "keep-alive request, raw API, 1 connection", requests, 2000)
        measure(machine, "request-raw-wrk", "keep-alive request, raw API, wrk -c16", wrk, 3)


def measure_rates():
    """Requests a second by the clock, uncounted, in turns because others use this machine, too."""
    best = collections.Counter()
    for kind in [Machine, LinuxMachine] * 3:
        with kind("server", counted=False) as machine:
            machine.serve()
            best[kind] = max(best[kind], run_wrk(3)[1])
    figure("Pith", "requests/s, wrk -c16, relative to Linux", best[Machine] / best[LinuxMachine], 2)


class Router(Machine):
    cards = FAR_NET + NET

    def bootargs(self, net):
        return ROUTER


def measure_router():
    if not wanted("forward"):
        return
    with Router("router") as machine:
        machine.expect("^router: forwarding")
        time.sleep(SETTLED_S)
        measure(machine, "forward", "forwarded packet with NAT, 64 bytes", frames, 50000)


def serves(kind, app, mib):
    """Does it boot and serve with so much memory?"""
    try:
        with kind(app, memory=f"{mib}M") as machine:
            machine.serve()
            with connect() as s:
                request(s)
        return True
    except (AssertionError, OSError):
        return False


def measure_memory(kind, app):
    if not wanted(f"memory-{app}"):
        return
    enough = bisect.bisect_left(MEMORIES, True, key=lambda mib: serves(kind, app, mib))
    figure(kind.system, f"smallest -m that serves HTTP, MiB, {app}", MEMORIES[enough])


def measure_images(kind, apps):
    if not wanted("images"):
        return
    for app in apps:
        if (ROOT / f"build/{app}/Image").exists():    # with names given, not all need be built
            figure(kind.system, f"bytes of the image, {app}", kind.image_bytes(app))


# --- Latencies --------------------------------------------------------------------------------

# A nanosecond of the guest's time is an instruction, and a tick of its counter.
VIRTUAL_TIME = ["-icount", "shift=0,sleep=off"]
LATENCY_CPU = "cortex-a72,cntfrq=1000000000"


class LatencyMachine(Qemu):
    def __init__(self, load):
        super().__init__(image=ROOT / "build/latency/Image", cpu=LATENCY_CPU,
                         append=f"{ADDRESS} load" if load else "",
                         devices=[*VIRTUAL_TIME, "-no-reboot", *SEED, *(NET if load else [])])


def send_until_it_ends(machine):
    """Datagrams to echo, up to 16 on their way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.05)
        s.connect((GUEST, 7))
        while machine.running():
            try:
                for _ in range(16):
                    s.send(bytes(64))
                for _ in range(16):
                    s.recv(2048)
            except OSError:
                pass    # lost, or it has ended


def measure_latencies():
    if not wanted("latency"):
        return
    with LatencyMachine(load=False) as machine:
        assert machine.wait() == 0, machine.output
    for what, median in re.findall(r"(?m)^(.+): median (\d+), worst", machine.output):
        figure("Pith", what, int(median))
    with LatencyMachine(load=True) as machine:
        machine.expect("^echoing")
        send_until_it_ends(machine)
        assert machine.wait() == 0, machine.output
    for what, median, worst in re.findall(r"(?m)^(.+): median (\d+), worst (\d+)", machine.output):
        figure("Pith", f"{what}, loaded, median", int(median))
        figure("Pith", f"{what}, loaded, worst", int(worst))
    print("  " + machine.expect("^meanwhile.*")[0])


# --- The table --------------------------------------------------------------------------------

# What hangs on the host's timing, and so does not repeat within the limit.
VARIES = {"keep-alive request, wrk -c16", "keep-alive request, raw API, wrk -c16",
          "new connection and request", "idle, a second", "TCP in, a byte", "TCP out, a byte",
          "reset to first HTTP response, web", "requests per wake-up, wrk -c16",
          "frames per interrupt, wrk -c16", "requests/s, wrk -c16, relative to Linux"}


def repeats(name):
    return name not in VARIES and "loaded" not in name


def kept_rows():
    """{figure: [kept, must, aim, Linux's]} of the table in docs/performance.md."""
    number = r"\s*([\d.,]*)\s*\|"
    rows = re.findall(rf"(?m)^\| ([^|]+?) \|{number}{number}{number}{number}", DOC.read_text())
    return {row[0]: [cell.replace(",", "") for cell in row[1:]] for row in rows}


def print_table():
    rows, worse = kept_rows(), []
    print(f"\n{'':48}{'now':>9}{'kept':>9}{'change':>9}{'must':>9}{'aim':>9}{'Linux':>12}")
    for name, value in figures["Pith"].items():
        kept, must, aim, _ = rows.get(name, [""] * 4)
        change, red = "", False
        if kept:
            change = f"{100 * (value / float(kept) - 1):+.1f} %" if float(kept) else ""
            red = value > WORSE * float(kept) and repeats(name)
        linux = figures["Linux"].get(name, "")
        line = f"{name:48}{value:>9}{kept:>9}{change:>9}{must:>9}{aim:>9}{linux:>12}"
        print(f"\033[31m{line}\033[0m" if red else line)
        worse += [name] * red
    return worse


def keep_figures():
    text = DOC.read_text()
    for name, value in figures["Pith"].items():
        text = re.sub(rf"(?m)^(\| {re.escape(name)} \|)[^|]*", rf"\1 {value:,} ", text)
    for name, value in figures["Linux"].items():
        text = re.sub(rf"(?m)^(\| {re.escape(name)} \|(?:[^|]*\|){{3}})[^|]*", rf"\1 {value:,} ",
                      text)
    DOC.write_text(text)


def measure_linux():
    measure_hello(LinuxMachine)
    measure_first_response(LinuxMachine, "server")
    measure_server(LinuxMachine)
    measure_memory(LinuxMachine, "server")
    measure_images(LinuxMachine, ["hello", "server"])
    measure_rates()


def main():
    if unknown := CHOSEN - NAMES:
        sys.exit(f"bench: no such figure: {' '.join(sorted(unknown))}; there are "
                 f"{' '.join(sorted(NAMES))}")
    enter_namespace()
    OUT.mkdir(parents=True, exist_ok=True)
    make_taps()
    measure_hello(Machine)
    measure_first_response(Machine, "web")
    measure_first_response(Machine, "server")
    measure_server(Machine)
    measure_raw_server()
    measure_router()
    measure_memory(Machine, "server")
    measure_memory(Machine, "web")
    measure_images(Machine, ["hello", "server", "server_ipv4", "web", "router"])
    measure_latencies()
    if CHOSEN == NAMES:
        if LINUX_IMAGE.exists():
            measure_linux()
        else:
            print("No Linux to compare with: `make bench-linux` builds it, once")
        (ROOT / "build/bench.json").write_text(json.dumps(figures, indent=1) + "\n")
    worse = print_table()
    if "--keep" in sys.argv:
        keep_figures()
    elif worse:
        sys.exit(f"Worse by more than 3 %: {'; '.join(worse)}")


if __name__ == "__main__":
    main()
