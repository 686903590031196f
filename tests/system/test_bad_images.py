# SPDX-License-Identifier: Apache-2.0
"""Damaged images in a slot, through the real U-Boot: where its signature covers what is damaged, the
other slot boots; elsewhere it may boot, and then the same code runs. (That Pith takes none of them is
shown in tests/host/test_bad_images.py.) BAD_IMAGES=n in the environment boots about n of them."""
import os
import random
import struct

import pytest
from card import Card, disk
from build import build

COUNT = int(os.environ.get("BAD_IMAGES", "14"))
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9


class Fit:
    """Where what is in a FIT: `signed`, `unsigned` (of its header and tree), `image`, `behind`: lists
    of ranges (Devicetree Specification 0.4, chapter 5; U-Boot doc/usage/fit/signature.rst)."""

    def __init__(self, data):
        (_, self.total, self.at, self.strings, _, _, _, _, strings_bytes,
         _) = struct.unpack(">10I", data[:40])
        self.data, self.props, self.tokens = data, {}, []
        self._walk()
        nodes = self.props["/configurations/conf/signature-1", "hashed-nodes"].split(b"\0")[:-1]
        nodes = {n.decode() for n in nodes}
        hashed = self.props["/configurations/conf/signature-1", "hashed-strings"]
        hashed_end = self.strings + struct.unpack(">II", hashed)[1]
        self.signed = [r for node, r in self.tokens if node in nodes] + [(self.strings, hashed_end)]
        self.unsigned = [(0, 40)] + [r for node, r in self.tokens if node not in nodes] + \
            [(hashed_end, self.strings + strings_bytes)]
        self.behind = [(self.total, len(data))]

    def _walk(self):
        path, at = [], self.at
        while (token := self._u32(at)) != END:
            start = at
            if token == BEGIN_NODE:
                name = self._text(at + 4)
                path.append(name)
                at += 4 + len(name) + 4 & ~3
            elif token == END_NODE:
                at += 4
            elif token == PROP:
                count, name = self._u32(at + 4), self._text(self.strings + self._u32(at + 8))
                at += 12 + count + 3 & ~3
                self.props[self._node(path), name] = self.data[start + 12:start + 12 + count]
                if name == "data":    # its value is hashed, the rest of it is not
                    self.image = [(start + 12, start + 12 + count)]
                    self.tokens.append((None, (start, start + 12)))
                    continue
            self.tokens.append((self._node(path), (start, at)))
            if token == END_NODE:
                path.pop()

    def _node(self, path):
        return "/".join(path) or "/"

    def _u32(self, at):
        return struct.unpack(">I", self.data[at:at + 4])[0]

    def _text(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()


def pick(ranges, rng):
    """A place in one of the ranges, each byte as likely."""
    at = rng.randrange(sum(b - a for a, b in ranges))
    for a, b in ranges:
        if at < b - a:
            return a + at
        at -= b - a


def flipped(data, at, rng):
    changed = bytearray(data)
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged(data, at, rng):
    changed = bytearray(data)
    for i in range(at, min(at + rng.randrange(2, 64), len(data))):
        changed[i] ^= rng.randrange(1, 256)
    return bytes(changed)


def slot_that_boots(card, image):
    """'A' if the image in slot A runs, 'B' if the good one behind it does."""
    card.slot("A", image)
    card.state(act="A")
    with card.boot() as m:
        slot = m.expect(r"MiB, slot ([AB])$")[1]
        m.expect("Hello from Pith")
        assert m.wait() == 0
        return slot, m.output


def test_only_damage_outside_of_what_is_signed_boots(tmp_path):
    card = Card(tmp_path / "card.img")
    good = card.signed("1.0.0")
    fit = Fit(good)
    assert fit.image and good[slice(*fit.image[0])] == (build("hello") / "Image").read_bytes()
    rng = random.Random(4)
    kinds = [("signed", flipped), ("image", flipped), ("unsigned", flipped), ("signed", damaged),
             ("unsigned", flipped), ("image", damaged), ("behind", damaged)]
    booted = {}
    for i in range(COUNT):
        kind, how = kinds[i % len(kinds)]
        at = pick(getattr(fit, kind), rng)
        bad = how(good, at, rng)
        slot, said = slot_that_boots(card, bad)
        booted.setdefault(kind, []).append(slot)
        if slot == "A":
            assert kind in ("unsigned", "behind"), f"{kind} at byte {at} of {how.__name__}"
            assert bad[slice(*fit.image[0])] == good[slice(*fit.image[0])]
            assert "PITH: version 400000" in said
    print(booted)
    assert set(booted["behind"]) == {"A"}, "U-Boot does not look at the trailer"
