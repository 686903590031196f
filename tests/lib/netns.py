# SPDX-License-Identifier: Apache-2.0
"""A network of a test's own: a network namespace, with taps for machines in it.

    with Namespace() as ns:
        tap = ns.tap("10.0.0.1/24", "fd00::1/64")
        with Qemu("web", within=ns.enter, devices=tap) as machine:
            ns.run("curl", "http://10.0.0.2/")

As root, or by an unprivileged user namespace; where neither is to be had the test is skipped. The
namespace lives as long as a helper process in it (this file, run as a program), which ends with the
test however that ends. Nothing leads out of it.
"""
import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

TUN = "/dev/net/tun"
# linux/if_tun.h
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 1, 2, 4


class Namespace:
    """
    enter    words that put a command into the namespace
    beside   another namespace, to which interfaces can then be moved: give()
    """

    def __init__(self, beside=None):
        self._beside = beside

    def __enter__(self):
        flags = self._rights()
        first = ["unshare", *flags]
        if self._beside:
            first = [*self._beside.enter, "unshare"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._helper = subprocess.Popen(
            [*first, "--net", sys.executable, "-B", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()])
        theirs.close()
        self._channel = ours
        assert ours.recv(100), "no namespace"
        user = ["--user", "--preserve-credentials"] if flags else []
        self.enter = ["nsenter", "--target", str(self._helper.pid), *user, "--net", "--"]
        self.run("ip", "link", "set", "lo", "up")
        # Addresses of ours are right: no second of checking for duplicates (RFC 4862).
        self.write("/proc/sys/net/ipv6/conf/default/accept_dad", 0)
        return self

    def __exit__(self, *exception):
        self._channel.close()
        self._helper.wait()

    @staticmethod
    def _rights():
        """What unshare needs to be told, or the test is skipped."""
        import pytest
        if not os.access(TUN, os.R_OK | os.W_OK):
            pytest.skip(f"no access to {TUN}, needed for a virtual network")
        for flags in ([], ["--user", "--map-root-user"]):
            if subprocess.run(["unshare", *flags, "--net", "true"],
                              stderr=subprocess.DEVNULL).returncode == 0:
                return flags
        pytest.skip("neither root nor an unprivileged user namespace for a virtual network")

    # --- commands ---

    def popen(self, *command, **options):
        return subprocess.Popen([*self.enter, *map(str, command)], **options)

    def run(self, *command, check=True, **options):
        """Run a command to its end; what it said."""
        r = subprocess.run([*self.enter, *map(str, command)], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, **options)
        assert not check or r.returncode == 0, f"{' '.join(map(str, command))}:\n{r.stdout}"
        return r.stdout

    def write(self, path, value):
        self.run("sh", "-c", f"echo {value} > {path}")

    # --- descriptors made in the namespace ---

    def _ask(self, *request):
        self._channel.send(json.dumps(request).encode())
        answer, rights, _, _ = self._channel.recvmsg(4096, socket.CMSG_SPACE(4))
        assert rights, f"{request}: {answer.decode()}"
        return array.array("i", rights[0][2])[0]

    def new_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket whose network is the namespace's."""
        return socket.socket(fileno=self._ask("socket", int(family), int(kind), protocol))

    def connect(self, address, port, timeout_s=60, kind=socket.SOCK_STREAM):
        """Connected to an IPv4 or IPv6 address ("fe80::1%tap0" too)."""
        host, _, scope = address.partition("%")
        s = self.new_socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        s.settimeout(timeout_s)
        index = self.interface(scope)["ifindex"] if scope else 0
        s.connect((host, port, 0, index) if ":" in host else (host, port))
        return s

    def interface(self, name):
        """What ip(8) knows of an interface: ifindex, address (its MAC), addr_info, ..."""
        return json.loads(self.run("ip", "-j", "address", "show", "dev", name))[0]

    def link_local(self, name):
        return next(a["local"] for a in self.interface(name)["addr_info"] if a["scope"] == "link")

    def packet_socket(self, interface, protocol=0):
        """An AF_PACKET socket bound to an interface; protocol 3 (ETH_P_ALL) receives."""
        s = self.new_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.bind((interface, protocol))
        return s

    # --- interfaces ---

    def tap(self, *addresses, name="tap0"):
        """A tap with addresses; QEMU's options for a card at its other end (card() for more)."""
        self.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", name)
        self.run("ip", "link", "set", name, "up")
        return card(name)

    def give(self, name, other, *addresses):
        """Move an interface to a namespace beside this one, and give it addresses there."""
        self.run("ip", "link", "set", name, "netns", other._helper.pid)
        for address in addresses:
            other.run("ip", "address", "add", address, "dev", name)
        other.run("ip", "link", "set", name, "up")

    def tap_fd(self, name, large=False):
        """
        A tap whose other end is a descriptor: read and write whole frames. large: each behind a
        header (virtio 1.2, 5.1.6), TCP segments of up to 64 KiB and unfinished checksums among them.
        """
        return self._ask("tap", name, large)


def card(name="tap0", options="", number=0):
    """QEMU's options: a virtio network card at a tap."""
    return ["-netdev", f"tap,id=net{number},ifname={name},script=no,downscript=no",
            "-device", f"virtio-net-device,netdev=net{number}{',' if options else ''}{options}"]


# --- in the namespace ---


def open_tap(name, large):
    fd = os.open(TUN, os.O_RDWR)
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if large else 0)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    if large:
        fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
    return fd


def answer(channel, request):
    kind, *arguments = json.loads(request)
    try:
        fd = socket.socket(*arguments).detach() if kind == "socket" else open_tap(*arguments)
    except OSError as e:
        channel.send(str(e).encode())
        return
    channel.sendmsg([b"ok"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)


def serve(channel):
    channel.send(b"ready")
    while request := channel.recv(4096):
        answer(channel, request)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
