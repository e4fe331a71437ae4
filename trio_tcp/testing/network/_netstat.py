"""Every connection and listening port of some hosts, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from trio_tcp.testing.network._host import Host
from trio_tcp.testing.network._stage import Stage
from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["netstat"]

_STATES: Final = {
    Stage.SYN_SENT: "SYN_SENT",
    Stage.SYN_RECEIVED: "SYN_RECV",
    Stage.TIME_WAIT: "TIME_WAIT",
    Stage.CLOSED: "CLOSE",
}


def netstat(hosts: Iterable[Host]) -> str:
    """List what the command of this name lists on each host, one line for each."""
    return "\n".join(line for host in hosts for line in _lines(host))


def _lines(host: Host) -> Iterator[str]:
    for port, queues in host.listening.items():
        for queue in queues:
            waiting = len(queue.queue)
            yield f"{host.name}: LISTEN {queue.binding.ip}:{port}, {waiting} to accept"
    for end in host.ends.values():
        yield (
            f"{host.name}: {_state(end)} {end.local} -> {end.remote}, "
            f"{len(end.receiving.buffer)} bytes to read, {end.sending.buffered} to send"
        )


def _state(end: TcpEnd) -> str:
    """Name the state of an end as RFC 9293 does, in the spelling of the command."""
    if end.stage is not Stage.OPEN:
        return _STATES[end.stage]
    sending, receiving = end.sending, end.receiving
    if not sending.fin_sent:
        return "CLOSE_WAIT" if receiving.fin_received else "ESTABLISHED"
    if receiving.fin_received:
        return "LAST_ACK" if end.peer_ended_first else "CLOSING"
    return "FIN_WAIT_1" if sending.in_flight else "FIN_WAIT_2"
