# SPDX-License-Identifier: Apache-2.0
"""What an app computes does not keep the network from answering: latencies in virtual time."""
import re
import struct
import subprocess

import peer
import pytest
from build import build

# 1 ns of virtual time is one instruction.
ICOUNT = ["-icount", "shift=0,align=off,sleep=on"]
LIMIT_US = 10_000
RET = 0xD65F03C0


def latencies_us(path):
    """Virtual microseconds from each echo request at the card to its reply: QEMU's filter-dump stamps
    frames by the virtual clock, in pcap format."""
    data, at, asked, took = path.read_bytes(), 24, {}, []
    while at + 16 <= len(data):
        seconds, micros, count, _ = struct.unpack_from("<4I", data, at)
        frame, at = data[at + 16:at + 16 + count], at + 16 + count
        frame = frame.removeprefix(bytes(12))       # some versions of QEMU leave virtio's header there
        if frame[12:14] == b"\x08\x00" and frame[23] == 1:
            kind, sequence = frame[34], frame[40:42]
            now = seconds * 1_000_000 + micros
            if kind == 8:
                asked[sequence] = now
            elif sequence in asked:
                took.append(now - asked.pop(sequence))
    return took


def ping(trouble, tmp_path, image=None):
    """Latencies of 80 pings while peer makes trouble; with what HTTP says meanwhile."""
    dump = tmp_path / "dump"
    extra = [*ICOUNT, "-object", f"filter-dump,id=dump,netdev=net0,file={dump}"]
    with peer.network(append=f"{peer.STATIC} nokaslr {trouble}", devices=extra,
                      image=image) as (ns, _):
        ns.run("ping", "-c80", "-i0.02", peer.MACHINE4, check=False)
        http = ns.run("curl", "-sS", "--max-time", "60", f"http://{peer.MACHINE4}/")
    return latencies_us(dump), http


def without(function, tmp_path):
    """peer's image in which that function does nothing."""
    folder = build(peer.APP)
    symbols = subprocess.check_output(["aarch64-linux-gnu-nm", folder / "image.elf"], text=True)
    address = int(re.search(rf"(?m)^(\w+) t {function}$", symbols)[1], 16)
    image = bytearray((folder / "Image").read_bytes())
    struct.pack_into("<I", image, address, RET)
    path = tmp_path / "Image"
    path.write_bytes(image)
    return path


@pytest.mark.parametrize("trouble", ["spin", "hold"])
def test_ping_and_http_go_on(trouble, tmp_path):
    """A thread that always computes; one that holds the stack's lock, and is kept from the processor
    by one that computes, between it and the network thread."""
    took, http = ping(trouble, tmp_path)
    assert http == "Hello\n"
    assert len(took) == 80 and max(took) < LIMIT_US


def test_without_inheritance_it_would_not(tmp_path):
    """The control: mutexes whose owners inherit nothing."""
    took, _ = ping("hold", tmp_path, image=without("update_priority", tmp_path))
    assert max(took) > LIMIT_US
