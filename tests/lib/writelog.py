# SPDX-License-Identifier: Apache-2.0
"""What a machine wrote to its disk, write by write, as QEMU's blklogwrites records it, and the disk as
it was after any of them.

The format is that of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst),
little endian: a sector with magic, version, count of entries and bytes of a sector; then each entry, a
sector with first sector, count of sectors, flags and length of data, followed by what was written.
"""
import struct

MAGIC, VERSION = 0x6a736677736872, 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def drive(card, log):
    """QEMU's options for a drive `card` whose writes are recorded."""
    log.touch()
    return ["-blockdev", f"driver=file,node-name=card-file,filename={card}",
            "-blockdev", f"driver=file,node-name=log-file,filename={log}",
            "-blockdev", "driver=raw,node-name=card-raw,file=card-file",
            "-blockdev", "driver=blklogwrites,node-name=card,file=card-raw,log=log-file,"
            "log-sector-size=512,log-super-update-interval=1",
            "-device", "virtio-blk-device,drive=card"]


def read(path):
    """[(offset, data)] of each write, in the order of completion; (None, b"") is a flush."""
    log = path.read_bytes()
    magic, version, count, sector = struct.unpack_from("<QQQI", log)
    assert (magic, version) == (MAGIC, VERSION), "not a log of writes"
    writes, at = [], sector
    for _ in range(count):
        first, sectors, flags, _ = struct.unpack_from("<QQQQ", log, at)
        assert not flags & (DISCARD | MARK), f"an entry with flags {flags:#x}"
        at += sector
        if sectors:
            writes.append((first * sector, log[at:at + sectors * sector]))
            at += sectors * sector
        if flags & FLUSH:
            writes.append((None, b""))
    return writes


def cuts(writes, torn=512):
    """Each write in pieces: (offset, data) of each of `torn` bytes, in order; flushes are left out.

    The power may fail after any of them: a write of several sectors is not atomic."""
    for offset, data in writes:
        for i in range(0, len(data), torn):
            yield offset + i, data[i:i + torn]
