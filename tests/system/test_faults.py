# SPDX-License-Identifier: Apache-2.0
"""Right bytes over bad networks: frames lost, doubled, reordered and damaged, both ways."""
import contextlib

import peer
import pytest
from faults import KINDS, Faults, LargeRelay, Netem, Relay
from netns import Namespace
from qemu import Qemu

MEGABYTE = 1_000_000
# Where much is lost, many segments wait for retransmission timeouts: virtual time that skips what is
# idle, no faster than the app's "pace" lets it (apps/peer).
FAST_TIME = ["-icount", "shift=0,sleep=off"]


@contextlib.contextmanager
def bad_network(link, faults):
    with Namespace() as ns:
        devices = link.before(ns, f"{peer.HOST4}/24", f"{peer.HOST6}/64")
        try:
            with Qemu(peer.APP, within=ns.enter, devices=[*devices, *FAST_TIME],
                      append=peer.STATIC + " pace") as m:
                m.expect("peer: ready")
                # Both ends know each other: nothing protects what ARP learns from damage.
                ns.run("ping", "-c1", peer.MACHINE4)
                link.start(faults)
                yield ns
                assert m.running(), m.output
        finally:
            link.close()


def run(link, faults, count):
    """Right bytes both ways, and counters that prove that the faults happened."""
    with bad_network(link, faults) as ns:
        peer.transfer_both(ns, count, timeout_s=300)
        link.start(Faults())
        for way in link.counters():
            for kind in way:
                assert (way[kind] > 0) == (getattr(faults, kind) > 0), (kind, way)
        if faults.damaged:
            assert peer.host_checksum_errors(ns) > 0
            with peer.control(ns) as c:
                assert c.counters()["tcp_bad_checksum"] > 0


@pytest.mark.parametrize("link", [Relay, Netem])
@pytest.mark.parametrize("percent, count", [(0, 20 * MEGABYTE), (1, 20 * MEGABYTE),
                                            (2, 20 * MEGABYTE), (5, MEGABYTE), (10, MEGABYTE)])
def test_everything_at_once(link, percent, count):
    """percent of each: with 10, only two frames of three arrive as they should."""
    p = percent / 100
    run(link(), Faults(lost=p, doubled=p, reordered=p, damaged=p), count)


@pytest.mark.parametrize("link", [Relay, Netem])
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_percent_of_one(link, kind):
    run(link(), Faults(**{kind: 0.2}), MEGABYTE)


@pytest.mark.parametrize("percent, count", [(0, 20 * MEGABYTE), (2, 5 * MEGABYTE), (10, MEGABYTE)])
def test_large_segments(percent, count):
    """Lost, doubled, ... in part, and so acknowledged in part: what is lost is sent again, no more."""
    link, p = LargeRelay(), percent / 100
    run(link, Faults(lost=p, doubled=p, reordered=p, damaged=p), count)
    assert min(link.large_in, len(link.large_out)) > 10
    assert link.pieces_out < 3 * count / 1460


def test_large_segments_are_cut_as_the_peer_wants():
    link = LargeRelay()
    with bad_network(link, Faults()) as ns:
        ns.run("ip", "route", "replace", f"{peer.MACHINE4}/32", "dev", "tap0",
               "advmss", "700")
        peer.download(ns.connect(peer.MACHINE4, 5002), 3 * MEGABYTE)
        assert {piece for piece, _ in link.large_out} == {700}
        assert max(count for _, count in link.large_out) > 10
        peer.download(ns.connect(f"{peer.LINK_LOCAL}%tap0", 5002), 3 * MEGABYTE)
        assert {piece for piece, _ in link.large_out} == {700, 1440}
