"""One end of a TCP connection, as the kernel of its host keeps it.

It does what an application can see of TCP as Linux does it: handshake, windows,
half-close, resets and their errors, retransmission and giving up. It does no
congestion control, and knows no urgent data. What it does when a segment arrives is a
module of its own.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, final

from trio_tcp.testing.network._acknowledging import Acknowledging
from trio_tcp.testing.network._direction import Direction
from trio_tcp.testing.network._keepalive import Keepalive
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._receiving import Receiving
from trio_tcp.testing.network._retransmission import Retransmission
from trio_tcp.testing.network._sending import MASK, Sending, Sent
from trio_tcp.testing.network._stage import Stage
from trio_tcp.testing.traces import Endpoint, Flow, Segment, SegmentOptions
from trio_tcp.testing.traces._flags import ACK, FIN, PSH, RST, SYN

if TYPE_CHECKING:
    from trio_tcp.testing.network._host import Host
    from trio_tcp.testing.network._link import Link
    from trio_tcp.testing.network._listening import Listening
    from trio_tcp.testing.network._ports import Binding
    from trio_tcp.testing.network._socket_options import SocketOptions

__all__ = ["TcpEnd"]

TIME_WAIT: Final = 60.0
"""Seconds that a closed connection keeps its ports (TCP_TIMEWAIT_LEN), and that one
whose program has gone waits for the peer's end (net.ipv4.tcp_fin_timeout)."""


@final
class TcpEnd:
    """One end of a connection.

    Attributes:
        host: The host that it belongs to.
        local: Its address.
        remote: The address of the other end.
        receiver: The host of the other end; None if there was none at the beginning.
        link: The link to that host.
        stage: How far it is.
        sending: What it sends.
        receiving: What it receives.
        acknowledging: When it tells that.
        is_over: Whether nothing can be sent or received any more.
        error: The number of an error that nobody was told of yet (SO_ERROR).
        listening: The socket whose queue it belongs to, if it began with a SYN of the
            peer.
        retransmission: What is done about losses.
        keepalive: What is done about a silent peer.
        peer_ended_first: The peer's FIN came before ours was sent.
        is_orphan: The program has closed its socket.
        was_opened_here: It began with a SYN of this end.
        last_arrival: When the last segment that it sent arrives.
        outgoing: What it sends, as a flow.
        incoming: What it receives, as a flow.
    """

    __slots__ = (
        "_binding",
        "_rules",
        "acknowledging",
        "error",
        "host",
        "incoming",
        "is_orphan",
        "is_over",
        "keepalive",
        "last_arrival",
        "link",
        "listening",
        "local",
        "outgoing",
        "peer_ended_first",
        "receiver",
        "receiving",
        "remote",
        "retransmission",
        "sending",
        "stage",
        "was_opened_here",
    )

    def __init__(
        self,
        host: Host,
        local: Endpoint,
        remote: Endpoint,
        options: SocketOptions,
        binding: Binding,
    ) -> None:
        self.host: Host = host
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.stage: Stage = Stage.CLOSED
        self.is_over: bool = False
        self.error: int = 0
        self.is_orphan: bool = False
        self.was_opened_here: bool = True
        self.last_arrival: float = 0.0
        wire = host.wire
        self.receiver: Host | None = wire.find_receiver(host, remote.ip)
        name = "" if self.receiver is None else self.receiver.name
        self._rules = wire.rules
        self.link: Link = wire.find_link(host.name, name)
        self.outgoing: Flow = Direction(host.name, local, name, remote)
        self.incoming: Flow = Direction(name, remote, host.name, local)
        mss = self.link.options.mss
        first = host.draw_sequence_number()
        self.sending: Sending = Sending(
            first, options.send_buffer, mss, options.no_delay
        )
        self.receiving: Receiving = Receiving(options.receive_buffer)
        self.acknowledging: Acknowledging = Acknowledging(self)
        self._binding = binding
        self.retransmission: Retransmission = Retransmission(self)
        self.keepalive: Keepalive = Keepalive(self, options.keepalive)
        self.listening: Listening | None = None
        self.peer_ended_first: bool = False
        host.ends[local, remote] = self

    # --- the handshake

    def connect(self) -> None:
        """Begin a connection."""
        self.stage = Stage.SYN_SENT
        self._send_syn(SYN)

    def accept(self, listening: Listening, syn: Segment) -> None:
        """Answer a SYN that came to a socket which listens."""
        self.listening = listening
        self.was_opened_here = False
        self.stage = Stage.SYN_RECEIVED
        self.take_syn(syn)
        self._send_syn(SYN | ACK)

    def _send_syn(self, flags: int) -> None:
        self.emit(self.sending.put_in_flight(flags, b"", 1))

    def answer_at_once(self) -> None:
        """Answer a SYN that crossed our own (RFC 9293, figure 7)."""
        self.stage = Stage.SYN_RECEIVED
        self.sending.in_flight.clear()
        self.sending.next = self.sending.acknowledged
        self._send_syn(SYN | ACK)

    def take_syn(self, syn: Segment) -> None:
        """Learn what the peer's SYN says."""
        self.receiving.begin(syn.seq + 1 & MASK)
        if syn.options is not None:
            self.sending.mss = min(self.sending.mss, syn.options.mss)
        self.sending.edge = self.sending.acknowledged + syn.window & MASK

    # --- what the program does

    @property
    def is_connecting(self) -> bool:
        """Whether the handshake is not over."""
        return self.stage is Stage.SYN_SENT or self.stage is Stage.SYN_RECEIVED

    @property
    def is_usable(self) -> bool:
        """Whether it is connected, as far as getpeername and shutdown know."""
        return self.stage is Stage.OPEN

    def take_options(self, options: SocketOptions) -> None:
        """Do from now on as the options of its socket say."""
        self.receiving.capacity = options.receive_buffer
        self.sending.capacity = options.send_buffer
        self.sending.no_delay = options.no_delay
        self.keepalive.take(options.keepalive)
        self._binding.reuse_address = options.reuse_address
        self._binding.reuse_port = options.reuse_port
        self.push()

    def can_read(self) -> bool:
        """Say whether `read` has something to say."""
        receiving = self.receiving
        if receiving.buffer or receiving.fin_received:
            return not self._rules.read or self._rules.read_limit(self) != 0
        return receiving.is_shut or bool(self.error) or self.is_over

    def read(self, size: int, peek: bool = False) -> bytes:
        """Take received bytes; none at the end.

        Raises:
            OSError: the connection is broken.
        """
        receiving = self.receiving
        if receiving.buffer:
            if self._rules.read:
                size = min(size, self._rules.read_limit(self))
            if peek:
                return bytes(receiving.buffer[:size])
            data = receiving.read(size)
            if receiving.opens_window() and self.stage is Stage.OPEN:
                self.send_ack()
            return data
        if self.error and not receiving.fin_received:
            raise os_error(self.take_error())
        return b""

    def can_write(self) -> bool:
        """Say whether a task that waits to send should try again."""
        sending = self.sending
        if self.error or sending.is_shut or self.is_over:
            return True
        if self.is_connecting:
            return False
        if not sending.has_room:
            return False
        return not self._rules.write or self._rules.write_limit(self) != 0

    def write(self, data: memoryview) -> int:
        """Take bytes to send, and say how many; 0 if there is no room.

        Raises:
            OSError: the connection is broken, or its end was sent.
        """
        sending = self.sending
        if self.error:
            raise os_error(self.take_error())
        if sending.is_shut or self.is_over:
            raise os_error(errno.EPIPE)
        if self.stage is Stage.SYN_SENT:
            return 0
        size = min(len(data), sending.capacity - sending.buffered)
        if self._rules.write:
            size = min(size, self._rules.write_limit(self))
        if size <= 0:
            return 0
        sending.buffered += size
        if sending.may_go_at_once(size) and self._may_send:
            self.emit(sending.put_in_flight(ACK | PSH, bytes(data[:size]), size))
        else:
            sending.unsent += data[:size]
            self.push()
        return size

    @property
    def _may_send(self) -> bool:
        return self.stage is Stage.OPEN and not self.retransmission.is_recovering

    def take_error(self) -> int:
        """Give the number of the pending error, once."""
        error, self.error = self.error, 0
        return error

    def shut_write(self) -> None:
        """Send a FIN after the last byte."""
        self.sending.is_shut = True
        self.sending.fin_queued = True
        self.sending.room.wake()
        self.push()

    def shut_read(self) -> None:
        """Let reads end where the bytes end that are here."""
        self.receiving.is_shut = True
        self.receiving.readable.wake()

    def close(self, with_reset: bool) -> None:
        """Let the program's socket go; the connection ends by itself.

        With a reset if it was asked for, or if bytes were not read: the peer must not
        believe that they were.
        """
        self.is_orphan = True
        self.receiving.is_shut = True
        if self.stage is Stage.SYN_SENT:
            self._remove()
        elif self.is_over:
            return
        elif with_reset or self.receiving.buffer:
            self.send_reset()
        else:
            self.shut_write()
            if self.sending.is_acknowledged and not self.receiving.fin_received:
                self._wait_for_the_end()

    def send_reset(self) -> None:
        """Break the connection, and tell the peer."""
        self._send(RST | ACK, self.sending.next)
        self.fail(0)

    def fail(self, error: int) -> None:
        """Be broken: an error waits for the program, and nothing else works."""
        self.error = error
        self.sending.forget()
        self._remove()

    # --- what is sent

    def push(self) -> None:
        """Send as much as the peer has room for."""
        sending = self.sending
        if not self._may_send:
            return
        while sending.unsent:
            size = sending.next_size()
            if not size:
                if not sending.in_flight:
                    self.retransmission.expect_room()
                return
            flags = ACK | PSH if size == len(sending.unsent) else ACK
            self.emit(sending.take_segment(size, flags))
        if sending.fin_queued and not sending.fin_sent:
            sending.fin_sent = True
            self.emit(sending.put_in_flight(FIN | ACK, b"", 1))

    def emit(self, sent: Sent) -> None:
        """Send a segment, for the first time or again."""
        self._send(sent.flags, sent.seq, sent.payload)

    def send_ack(self, seq: int | None = None) -> None:
        """Acknowledge what was received; as if at another place, if one is given."""
        self._send(ACK, self.sending.next if seq is None else seq)

    def _send(self, flags: int, seq: int, payload: bytes = b"") -> None:
        receiving = self.receiving
        host = self.host
        wire = host.wire
        now = wire.now()
        window = 0 if flags & RST else receiving.window()
        options = None
        if flags & SYN:
            options = SegmentOptions(self.sending.mss, receiving.window_scale)
            window = min(window, 0xFFFF)
        ack = 0
        if flags & ACK:
            ack = receiving.expected
            self.acknowledging.on_sent(now, bool(payload))
        segment = Segment(
            now,
            self.local,
            self.remote,
            host.name,
            self.outgoing.receiver,
            flags,
            seq,
            ack,
            window,
            payload,
            options,
        )
        wire.send(segment, host, self)

    # --- the end

    def on_all_acknowledged(self) -> None:
        """Learn that the peer has everything, the end too."""
        if self.receiving.fin_received:
            self.finish()
        elif self.is_orphan:
            self._wait_for_the_end()

    def finish(self) -> None:
        """Both directions have ended."""
        if self.peer_ended_first:
            self._remove()
            return
        self.stage = Stage.TIME_WAIT
        self.is_over = True
        self._wake_all()
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        wire = self.host.wire
        wire.timeline.at(wire.now() + TIME_WAIT, self._expire)

    def _expire(self) -> None:
        if self.stage is not Stage.CLOSED:
            self._remove()
            self.host.wire.leave_peer(self)

    def _remove(self) -> None:
        self.stage = Stage.CLOSED
        self.is_over = True
        self.host.forget(self)
        self.host.ports.release(self._binding)
        self._wake_all()

    def vanish(self) -> None:
        """Be gone without a word, as with the power of the host."""
        self.stage = Stage.CLOSED
        self.is_over = True
        self.sending.forget()
        self._wake_all()
        self.host.wire.leave_peer(self)

    def _wake_all(self) -> None:
        self.receiving.readable.wake()
        self.sending.room.wake()
