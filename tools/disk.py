# SPDX-License-Identifier: Apache-2.0
"""The disk's layout and what is in its data partition, for tools/sdcard, tools/config, tools/flash.

It cannot change in the field: U-Boot's script (boards/boot.env) and the image know it, too.

    partition  type   where            what
    1          0x0c   4 to 64 MiB      FAT32: firmware, U-Boot, device trees; never written again
    2          0xda   64 to 128 MiB    slot A: an update file, from its first byte on
    3          0xda   128 to 192 MiB   slot B
    4          0xda   192 to 256 MiB   data: everything that is written

Partition 4 is divided into units of 4 MiB, since a write that is interrupted can damage the whole
allocation unit of a card: state copy 0, state copy 1, configuration copy 0, configuration copy 1,
crash record, the rest is the app's.
"""
import os
import re
import secrets
import struct
import zlib

SECTOR = 512
UNIT = 4 << 20
PARTITIONS = [  # type, start, bytes
    (0x0c, 4 << 20, 60 << 20),
    (0xda, 64 << 20, 64 << 20),
    (0xda, 128 << 20, 64 << 20),
    (0xda, 192 << 20, 64 << 20),
]
DISK_BYTES = 256 << 20
BOOT, SLOT_A, SLOT_B, DATA = (start for _, start, _ in PARTITIONS)
SLOT_BYTES = PARTITIONS[1][2]
STATE = (DATA, DATA + UNIT)
CONFIG = (DATA + 2 * UNIT, DATA + 3 * UNIT)
CRASH = DATA + 4 * UNIT

STATE_NAMES = ("act", "bad", "faults", "left", "minver", "prev", "retry", "seq", "try", "why")
CONFIG_BYTES = 4096
TOKEN_MIN = 16    # kernel/include/pith/push.h


class Failure(Exception):
    """What went wrong and what to do about it, in words for the user."""


def version_cell(version):
    """MAJOR.MINOR.PATCH as one number of 10, 10 and 12 bits, greater for a later version.

    A development build has the commits since its tag appended (git describe): they count as PATCH.
    """
    m = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:-(\d+)-g[0-9a-f]+)?", version)
    if not m:
        raise Failure(f"the version {version!r} is not MAJOR.MINOR.PATCH")
    major, minor, patch = int(m[1]), int(m[2]), int(m[3]) + int(m[4] or 0)
    if major > 1023 or minor > 1023 or patch > 4095:
        raise Failure(f"the version {version} is out of range: at most 1023.1023.4095")
    if not (major or minor or patch):
        raise Failure("the version 0.0.0 is taken: it means none")
    return major << 22 | minor << 12 | patch


def with_crc(data):
    """CRC-32 (zlib's), little endian, over everything after it."""
    return struct.pack("<I", zlib.crc32(data)) + data


def check_crc(block):
    return struct.unpack("<I", block[:4])[0] == zlib.crc32(block[4:])


# --- State: a sector as U-Boot's `env export -c -s 200` writes it --------------------------------

def pack_state(**values):
    """Numbers are in hexadecimal. The names are sorted, as U-Boot does."""
    text = "".join(f"{n}={values[n]}\0" for n in STATE_NAMES) + "\0"
    return with_crc(text.encode().ljust(SECTOR - 4, b"\0"))


def unpack_state(sector):
    """The state as a dictionary of strings, or None if the CRC is wrong."""
    if not check_crc(sector):
        return None
    words = sector[4:].split(b"\0\0")[0].decode().split("\0")
    return dict(w.split("=", 1) for w in words if "=" in w)


def first_state(version_cell):
    """What a new card starts with: both slots have the same image, known to work."""
    return dict(act="A", bad="0", faults="0", left="0", minver=f"{version_cell:x}", prev="none",
                retry="0", seq="1", why="none", **{"try": "none"})


# --- Update file: the signed image, zeros up to a sector, a trailer (kernel/include/pith/update.h) -

TRAILER_BYTES = 1024
TRAILER = struct.Struct("<8s32sII8sII")    # up to the signature
TRAILER_MAGIC = b"PITHUPD1"
PRODUCT_BYTES = 32


def pack_trailer(product, version, fit_bytes, key_id, signature_bytes):
    name = product.encode()
    if not 0 < len(name) < PRODUCT_BYTES:
        raise Failure(f"the product's name {product!r} has {len(name)} bytes of 1 to "
                      f"{PRODUCT_BYTES - 1}")
    return TRAILER.pack(TRAILER_MAGIC, name, version, fit_bytes, key_id, signature_bytes, 0)


def unpack_trailer(data):
    """(product, version, bytes of the image) of an update file; who signed it is not looked at."""
    magic, name, version, fit_bytes, *_ = TRAILER.unpack_from(data, len(data) - TRAILER_BYTES) \
        if len(data) > TRAILER_BYTES else (b"", b"", 0, 0)
    if magic != TRAILER_MAGIC:
        raise Failure("this is not an update file of tools/update")
    return name.rstrip(b"\0").decode(), version, fit_bytes


# --- Configuration: CRC, sequence number, text ---------------------------------------------------
# 4096 bytes: LE32 CRC-32 of the rest, LE32 sequence number, then lines key=value, padded with zeros.
# The copy with the right CRC and the higher sequence number counts.

def pack_config(text, sequence):
    data = text.encode()
    if len(data) > CONFIG_BYTES - 9:
        raise Failure(f"the configuration is too long: {len(data)} bytes of {CONFIG_BYTES - 9}")
    return with_crc(struct.pack("<I", sequence) + data.ljust(CONFIG_BYTES - 8, b"\0"))


def unpack_config(block):
    """(sequence, text), or None if the CRC is wrong."""
    if len(block) < CONFIG_BYTES or not check_crc(block):
        return None
    return struct.unpack("<I", block[4:8])[0], block[8:].rstrip(b"\0").decode(errors="replace")


def config_copies(disk):
    """What both copies on a disk (a file object) hold: (sequence, text) or None."""
    copies = []
    for at in CONFIG:
        disk.seek(at)
        copies.append(unpack_config(disk.read(CONFIG_BYTES)))
    return copies


def read_config(disk):
    """The text that counts; None if there is none."""
    copies = [c for c in config_copies(disk) if c]
    return max(copies)[1] if copies else None


def write_config(disk, text):
    """Replace the older copy, so that an interruption leaves the newer one; where there was none,
    both."""
    sequences = [c[0] if c else 0 for c in config_copies(disk)]
    older = 0 if sequences[0] <= sequences[1] else 1
    for i in [older] if sequences[1 - older] else [older, 1 - older]:
        disk.seek(CONFIG[i])
        disk.write(pack_config(text, max(sequences) + 1))
        disk.flush()
        os.fsync(disk.fileno())


def parse_config(text, notice=print):
    """Check the lines of a configuration; the text to store. Blank lines and # comments go."""
    lines = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        m = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_.]*)=([\x20-\x7e]*)", line)
        if not m:
            raise Failure(f"configuration, line {number}: {line!r} is not key=value in plain ASCII")
        lines[m[1]] = m[2]
    if lines.get("token") == "random":
        lines["token"] = secrets.token_hex(16)
        notice(f"  TOKEN    {lines['token']}   (for `make ota`; it is not shown again)")
    if 0 < len(lines.get("token", "")) < TOKEN_MIN:
        raise Failure(f"a token has at least {TOKEN_MIN} characters; token=random makes one up")
    return "".join(f"{k}={v}\n" for k, v in lines.items())


# --- Partition table ------------------------------------------------------------------------------

def is_ours(disk):
    """Whether a disk's partition table is exactly the one above."""
    disk.seek(0)
    mbr = disk.read(SECTOR)
    if len(mbr) != SECTOR or mbr[510:] != b"\x55\xaa":
        return False
    found = []
    for i in range(4):
        entry = mbr[446 + 16 * i:462 + 16 * i]
        start, sectors = struct.unpack("<II", entry[8:])
        found.append((entry[4], start * SECTOR, sectors * SECTOR))
    return found == PARTITIONS
