# SPDX-License-Identifier: Apache-2.0
"""Frames with an offload header (virtio 1.2, 5.1.6): cutting TCP segments up, finishing checksums."""
import array
import struct

HEADER = struct.Struct("<BBHHHH")
HEADER_BYTES = HEADER.size
NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6 = 1, 4
FIN, PSH = 0x01, 0x08
ETHERNET_BYTES, IP6_BYTES = 14, 40


def total(data):
    """The sum of 16-bit words (RFC 1071), folded but not complemented, in memory order."""
    s = sum(array.array("H", bytes(data) + bytes(len(data) % 2)))
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def put_checksum(frame, start, offset):
    """Finish a checksum whose field holds the pseudo header's sum."""
    struct.pack_into("=H", frame, start + offset, (~total(frame[start:]) & 0xFFFF) or 0xFFFF)


class Segment:
    """A frame as it comes from a tap or packet socket, with its header."""

    def __init__(self, packet):
        self.header, self.frame = packet[:HEADER_BYTES], packet[HEADER_BYTES:]
        (self.flags, self.gso_type, self.header_bytes, self.gso_bytes, self.start,
         self.offset) = HEADER.unpack(self.header)

    @property
    def is_large(self):
        return self.gso_type != 0

    def pieces(self):
        """The frames that a wire would carry, their checksums finished."""
        if self.is_large:
            return self._cut()
        frame = bytearray(self.frame)
        if self.flags & NEEDS_CSUM:
            put_checksum(frame, self.start, self.offset)
        return [bytes(frame)]

    def _cut(self):
        assert self.gso_type in (GSO_TCPV4, GSO_TCPV6) and self.flags & NEEDS_CSUM, self.header
        headers = self.start + (self.frame[self.start + 12] >> 4) * 4
        assert self.offset == 16, self.header
        payload = self.frame[headers:]
        return [self._piece(headers, payload, at) for at in range(0, len(payload), self.gso_bytes)]

    def _piece(self, headers, payload, at):
        data = payload[at:at + self.gso_bytes]
        frame = bytearray(self.frame[:headers] + data)
        if self.gso_type == GSO_TCPV4:
            ident = struct.unpack_from(">H", frame, ETHERNET_BYTES + 4)[0] + at // self.gso_bytes
            struct.pack_into(">HH", frame, ETHERNET_BYTES + 2, len(frame) - ETHERNET_BYTES,
                             ident & 0xFFFF)
            frame[ETHERNET_BYTES + 10:ETHERNET_BYTES + 12] = bytes(2)
            ip = frame[ETHERNET_BYTES:self.start]
            struct.pack_into("=H", frame, ETHERNET_BYTES + 10, ~total(ip) & 0xFFFF)
            addresses = frame[ETHERNET_BYTES + 12:ETHERNET_BYTES + 20]
        else:
            struct.pack_into(">H", frame, ETHERNET_BYTES + 4,
                             len(frame) - ETHERNET_BYTES - IP6_BYTES)
            addresses = frame[ETHERNET_BYTES + 8:ETHERNET_BYTES + 40]
        seq = struct.unpack_from(">I", frame, self.start + 4)[0]
        struct.pack_into(">I", frame, self.start + 4, (seq + at) & 0xFFFFFFFF)
        if at + len(data) < len(payload):
            frame[self.start + 13] &= ~(FIN | PSH)
        pseudo = addresses + struct.pack(">HH", 6, len(frame) - self.start)
        struct.pack_into("=H", frame, self.start + self.offset, total(pseudo))
        put_checksum(frame, self.start, self.offset)
        return bytes(frame)
