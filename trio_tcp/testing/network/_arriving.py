"""What an end does when a segment arrives: RFC 9293, 3.10.7, as Linux does it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.network._stage import Stage
from trio_tcp.testing.traces import Segment
from trio_tcp.testing.traces._flags import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["arrive"]


def arrive(end: TcpEnd, segment: Segment) -> None:
    """Handle a segment that arrived at an end."""
    flags = segment.flags
    if end.keepalive.settings.is_on:
        end.keepalive.hear()
    if flags & RST:
        _on_reset(end)
    elif flags & SYN:
        _on_syn(end, segment)
    elif _is_open(end, segment):
        _on_acknowledgment(end, segment)
        _on_bytes(end, segment)


def _is_open(end: TcpEnd, segment: Segment) -> bool:
    if end.stage is Stage.SYN_RECEIVED:
        return _is_complete(end, segment)
    return end.stage is Stage.OPEN or end.stage is Stage.TIME_WAIT


def _on_reset(end: TcpEnd) -> None:
    if end.stage is Stage.SYN_SENT:
        end.fail(errno.ECONNREFUSED)
    elif end.receiving.fin_received and not end.sending.fin_sent:
        end.fail(errno.EPIPE)
    else:
        end.fail(errno.ECONNRESET)


def _on_syn(end: TcpEnd, segment: Segment) -> None:
    if end.stage is not Stage.SYN_SENT:
        end.send_ack()  # it was sent again: our answer was lost
        return
    end.take_syn(segment)
    if segment.flags & ACK:
        end.sending.take_acknowledgment(segment.ack, segment.window)
        end.retransmission.recover()
        end.stage = Stage.OPEN
        end.send_ack()
        end.sending.room.wake()
    else:
        end.answer_at_once()


def _is_complete(end: TcpEnd, segment: Segment) -> bool:
    """Finish the handshake on the side that answered, if there is room for it."""
    listening = end.listening
    if listening is None:
        end.stage = Stage.OPEN
        end.sending.room.wake()
        return True
    if listening.is_full:
        end.host.wire.lose(segment, "the accept queue is full")
        return False
    end.stage = Stage.OPEN
    listening.add(end)
    return True


def _on_acknowledgment(end: TcpEnd, segment: Segment) -> None:
    sending = end.sending
    if sending.take_acknowledgment(segment.ack, segment.window):
        if not sending.in_flight:
            end.retransmission.recover()
        if sending.unsent or sending.fin_queued:
            end.push()
        if sending.room and sending.has_room:
            sending.room.wake()
    elif end.retransmission.is_recovering and not sending.in_flight:
        end.retransmission.hear()
        end.push()
    if sending.is_acknowledged and end.stage is Stage.OPEN:
        end.on_all_acknowledged()


def _on_bytes(end: TcpEnd, segment: Segment) -> None:
    receiving = end.receiving
    payload = segment.payload
    is_fin = segment.flags & FIN
    seen = (receiving.expected - segment.seq) & MASK
    if seen and seen >= len(payload):
        if payload or is_fin or segment.seq == receiving.expected - 1 & MASK:
            end.send_ack()  # sent again, or a probe
    elif payload and receiving.is_shut and end.sending.fin_queued:
        end.send_reset()  # nobody will ever read it
        end.error = errno.ECONNRESET
    elif payload or is_fin:
        receiving.take(payload[seen:])  # of what is sent again, a part may be new
        if is_fin:
            _on_fin(end)
        else:
            end.acknowledging.take(len(payload))
        receiving.readable.wake()


def _on_fin(end: TcpEnd) -> None:
    receiving = end.receiving
    end.peer_ended_first = not end.sending.fin_sent
    receiving.expected = receiving.expected + 1 & MASK
    receiving.fin_received = True
    end.send_ack()
    if end.sending.is_acknowledged:
        end.finish()
