# SPDX-License-Identifier: Apache-2.0
"""TCP segments from a peer made by hand, who does what no kernel would."""
import contextlib
import time

import peer
from scapy.layers.inet import IP, TCP, Ether
from scapy.layers.l2 import ARP

ETH_P_ALL = 3
US, PORT, MAC = "10.0.0.77", 40000, "52:54:00:12:34:56"    # not the host's: its kernel keeps out


class Connection:
    """Our end of a connection to a port of the machine's. window: after a large one at first."""

    def __init__(self, ns, port, mss, window):
        self._socket = ns.packet_socket("tap0", ETH_P_ALL)
        self._socket.settimeout(30)
        self._ethernet = Ether(src="02:00:00:00:00:77", dst=MAC)
        self._port, self.next, self.ack, self._window = port, 1000, 0, window
        self._socket.send(bytes(self._ethernet / ARP(op=2, hwsrc=self._ethernet.src, psrc=US,
                                                     hwdst=MAC, pdst=peer.MACHINE4)))
        self.send("S", options=[("MSS", mss)], window=60000)
        answer = self.receive()
        assert answer.flags == "SA"
        self.next, self.ack = self.next + 1, answer.seq + 1
        self.send("A")

    def send(self, flags, data=b"", options=(), window=None):
        tcp = TCP(sport=PORT, dport=self._port, flags=flags, seq=self.next, ack=self.ack,
                  window=self._window if window is None else window, options=list(options))
        self._socket.send(bytes(self._ethernet / IP(src=US, dst=peer.MACHINE4) / tcp / data))
        self.next += len(data)

    def receive(self):
        """The next segment of the machine's."""
        while True:
            packet = Ether(self._socket.recv(65536))
            if packet.src == MAC and TCP in packet and packet[TCP].dport == PORT:
                return packet[TCP]

    def data(self):
        """The next segment that has any: where it begins, from what we acknowledged; its bytes."""
        while not (data := bytes((segment := self.receive()).payload)):
            pass
        return (segment.seq - self.ack) % 2**32, len(data)

    def take(self):
        """Acknowledge the data that comes next. How many bytes."""
        at, count = self.data()
        assert at == 0
        self.ack += count
        self.send("A")
        return count


@contextlib.contextmanager
def download(window):
    """A connection that sends more than it may; the machine must live on."""
    with peer.network() as (ns, m):
        c = Connection(ns, 5002, mss=1460, window=window)
        c.send("PA", b"1000000\n")
        yield c
        assert ns.run("curl", "-sS", f"http://{peer.MACHINE4}/") == "Hello\n"
        assert m.running(), m.output


def test_an_mss_in_the_middle_of_a_connection_counts_for_nothing():
    """RFC 9293, section 3.2: that option is for SYN only. What waits is longer than it would allow."""
    with download(window=1460) as c:
        total = 0
        for _ in range(50):
            at, count = c.data()
            total += count
            # The app computes between its writes of 16 KB: the end of one may have to go out alone.
            assert at == 0 and (count == 1460 or total % 16384 == 0)
            c.ack += count
            c.send("A", options=[("MSS", 100)])


def test_a_large_segment_is_no_larger_than_the_windows():
    """The peer's, by whole MSS; at first the congestion window (RFC 3390, RFC 3465)."""
    with download(window=3000) as c:
        assert max(c.take() for _ in range(50)) == 2920
    with download(window=60000) as c:
        assert c.take() == 3 * 1460
        assert c.data() == (0, 5 * 1460)


def test_what_is_lost_is_sent_again_by_the_mss():
    """Fast retransmission, then by timeout; from what was acknowledged on, inside a large segment."""
    with download(window=60000) as c:
        c.take()
        assert c.data() == (0, 5 * 1460)
        c.ack += 1000
        for _ in range(4):
            c.send("A")
        while (resent := c.data())[0] != 0:
            pass
        assert resent == (0, 1460)
        assert c.data() == (0, 1460)
        c.ack += 3000
        c.send("A")
        assert c.data()[0] == 0


def random_looking(count):
    """What port 5002 sends."""
    state, data = 88172645463325252, b""
    while len(data) < count:
        state ^= state << 13 & 2**64 - 1
        state ^= state >> 7
        state ^= state << 17 & 2**64 - 1
        data += state.to_bytes(8, "little")
    return data[:count]


def test_a_window_of_less_than_a_segment_is_filled_in_the_end():
    """The first segment is cut: of several that are one as yet, and an ordinary one."""
    def take(c, until):
        data = b""
        while not until(data):
            segment = c.receive()
            if piece := bytes(segment.payload):
                assert segment.seq == c.ack and len(piece) <= window
                data += piece
                c.ack += len(piece)
                c.send("A")
        return data

    window = 700
    with download(window) as c:
        assert take(c, lambda data: len(data) >= 4000).startswith(random_looking(4000))
    window = 40
    with peer.network() as (ns, _):
        c = Connection(ns, 80, 1460, window)
        c.send("PA", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert take(c, lambda data: data.endswith(b"Hello\n")).startswith(b"HTTP/1.1 200 OK")


def test_a_fin_is_acknowledged():
    """With the machine's own where the app closes, too; soon where it does not (5004 reads nothing)."""
    with peer.network() as (ns, _):
        c = Connection(ns, 80, mss=1460, window=60000)
        c.send("FA")
        answer = c.receive()
        assert answer.flags == "FA" and answer.ack == c.next + 1
        c = Connection(ns, 5004, mss=1460, window=60000)
        c.send("FA")
        answer = c.receive()
        assert answer.flags == "A" and answer.ack == c.next + 1


def test_what_is_beyond_the_window_is_cut_off_out_of_order_too():
    """Its first byte is the window's last one. What is missing comes later, and nobody reads it (5004)."""
    with peer.network() as (ns, m):
        c = Connection(ns, 5004, mss=1460, window=60000)
        c.send("PA", b"x")
        answer = c.receive()
        start, end = c.next, c.next + answer.window
        c.next = end - 1
        c.send("PA", b"xy")
        while (sent := end - 1 - start) > 0:
            c.next = start
            c.send("PA", b"x" * min(sent, 1460))
            start = c.next
        while (answer := c.receive()).ack != end:
            assert answer.ack < end
        assert answer.window == 0
        assert m.running(), m.output


def test_what_begins_where_or_in_what_came_out_of_order():
    """Neither the longer one of two nor what follows one in the middle is needed again."""
    for (first, first_bytes), (second, second_bytes) in [((100, 50), (100, 300)),
                                                         ((100, 300), (150, 50))]:
        with peer.network() as (ns, m):
            c = Connection(ns, 5001, mss=1460, window=60000)
            start = c.next
            for at, count in ((first, first_bytes), (second, second_bytes), (0, 100)):
                c.next = start + at
                c.send("PA", b"x" * count)
            answers = [c.receive().ack for _ in range(3)]
            assert answers == [start, start, start + 400]


def test_a_fin_at_the_end_of_the_window_and_data_up_to_it():
    """5004 reads nothing. The FIN comes first, alone; there is no room for it any more."""
    with peer.network() as (ns, m):
        c = Connection(ns, 5004, mss=1460, window=60000)
        c.send("PA", b"x")
        end = c.next + c.receive().window
        while c.next < end - 1000:
            c.send("PA", b"x" * min(end - 1000 - c.next, 1460))
        while (answer := c.receive()).ack != c.next:
            pass
        assert answer.window == 1000
        start, c.next = c.next, end - 1
        c.send("FA")
        c.next = start
        c.send("PA", b"x" * 1000)
        while (answer := c.receive()).ack != end:
            assert answer.ack < end
        assert m.running(), m.output


def test_a_closed_window_of_which_a_probe_takes_the_last_byte():
    with peer.network() as (ns, m):
        c = Connection(ns, 5002, mss=1460, window=100)
        c.send("PA", b"100\n")     # and then 64 of the hash
        for count, window in (100, 63), (63, 0), (1, 0):
            assert c.data() == (0, count)
            c.ack += count
            c.send("A", window=window)
        with peer.control(ns) as other:     # keeps the timers ticking that would probe again
            for _ in range(20):
                other.counters()
                time.sleep(0.05)
        c.send("FA", window=1000)
        while "F" not in (segment := c.receive()).flags:
            pass
        assert segment.seq == c.ack
