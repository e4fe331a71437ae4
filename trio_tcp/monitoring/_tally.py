"""What happened, counted: an observer's part of the figures.

Events come once for a step in a client's way, never for a message, so that a dictionary
or two for each cost nothing that could be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, final

import attrs
from prometheus_client.metrics_core import Metric

from trio_tcp._events import (
    AcceptPaused,
    AcceptResumed,
    BackpressureEnded,
    BackpressureStarted,
    ConnectionEnded,
    DrainReport,
    Event,
    GarbageSkipped,
    HandlerFailed,
    HandshakeFailed,
    LimitReached,
    MessageMalformed,
    ProxyHeaderReceived,
    TimedOut,
    TlsEstablished,
)
from trio_tcp._options import Timeouts
from trio_tcp.monitoring._figure import Figure, Labels, Sheet
from trio_tcp.monitoring._histogram import LIFETIMES, WAITS, Histogram

__all__ = ["TALLY_FIGURES", "Tally"]

STAGES: Final = (("proxy_header",), ("tls",))

TIMEOUTS: Final = (
    *(field.name for field in attrs.fields(Timeouts) if field.name != "message_rate"),
    "proxy_protocol",
    "heartbeat",
    "reply",
)
"""As `TimedOut` has them."""

LIFETIME_SECONDS: Final = Figure(
    "connection_duration_seconds", "histogram", "How long connections lived."
)
HANDSHAKE_SECONDS: Final = Figure(
    "handshake_duration_seconds",
    "histogram",
    "How long handshakes took that went well.",
    labels=("stage",),
    known=STAGES,
)
HANDSHAKES_FAILED: Final = Figure(
    "handshakes_failed",
    "counter",
    "Clients that did not get as far as a connection.",
    labels=("stage",),
    known=STAGES,
)
TIMEOUTS_HIT: Final = Figure(
    "timeouts",
    "counter",
    "Peers that were too slow, by the field of Timeouts; or proxy_protocol, heartbeat, "
    "reply.",
    labels=("timeout",),
    known=tuple((timeout,) for timeout in TIMEOUTS),
)
LIMITS_REACHED: Final = Figure(
    "limits_reached",
    "counter",
    "How often a limit began to keep clients out or waiting, by the field of Limits.",
    labels=("limit",),
    known=(("max_connections",), ("max_per_address",), ("max_accept_rate",)),
)
MALFORMED: Final = Figure(
    "malformed_messages", "counter", "Whole messages with bad content."
)
SKIPPED: Final = Figure(
    "skipped_bytes", "counter", "Garbage that a resynchronising codec has skipped."
)
HANDLERS_FAILED: Final = Figure(
    "handlers_failed", "counter", "Exceptions that handlers have raised."
)
BACKPRESSURE: Final = Figure(
    "backpressure_episodes",
    "counter",
    "How often senders began to wait for a peer to read.",
)
BACKPRESSURE_NOW: Final = Figure(
    "backpressured_connections",
    "gauge",
    "Connections whose senders wait for the peer to read.",
)
BACKPRESSURE_SECONDS: Final = Figure(
    "backpressure_seconds",
    "counter",
    "Time for which senders waited, of episodes that are over.",
)
ACCEPT_PAUSES: Final = Figure(
    "accept_pauses", "counter", "How often the system was out of descriptors or memory."
)
ACCEPT_PAUSED_SECONDS: Final = Figure(
    "accept_paused_seconds",
    "counter",
    "Time for which nobody was accepted for that, where it is over.",
)
DRAINS: Final = Figure("drains", "counter", "Drains of servers that are over.")
DRAIN_SECONDS: Final = Figure(
    "drain_seconds", "counter", "Time that those drains took."
)
DRAINED: Final = Figure(
    "drained_connections",
    "counter",
    "Connections that drains met, by what became of them.",
    labels=("outcome",),
    known=(("finished",), ("cancelled",), ("aborted",), ("handshake",)),
)

HISTOGRAMS: Final = (LIFETIME_SECONDS, HANDSHAKE_SECONDS)
COUNTERS: Final = (
    HANDSHAKES_FAILED,
    TIMEOUTS_HIT,
    LIMITS_REACHED,
    MALFORMED,
    SKIPPED,
    HANDLERS_FAILED,
    BACKPRESSURE,
    BACKPRESSURE_NOW,
    BACKPRESSURE_SECONDS,
    ACCEPT_PAUSES,
    ACCEPT_PAUSED_SECONDS,
    DRAINS,
    DRAIN_SECONDS,
    DRAINED,
)
TALLY_FIGURES: Final = (*HISTOGRAMS, *COUNTERS)


@final
class Tally:
    """Counts events."""

    def __init__(self) -> None:
        self._sheet = Sheet(COUNTERS)
        self._lifetimes = Histogram(LIFETIMES)
        self._handshakes: dict[Labels, Histogram] = {
            stage: Histogram(WAITS) for stage in STAGES
        }
        # By the class, which is faster than to match one case after the other.
        self._notes: dict[type[Event], Callable[[Any], None]] = {
            ConnectionEnded: self._note_end,
            HandshakeFailed: self._note_failed_handshake,
            ProxyHeaderReceived: self._note_proxy_header,
            TlsEstablished: self._note_tls,
            TimedOut: self._note_timeout,
            LimitReached: self._note_limit,
            MessageMalformed: self._note_malformed,
            GarbageSkipped: self._note_garbage,
            HandlerFailed: self._note_failed_handler,
            BackpressureStarted: self._note_backpressure,
            BackpressureEnded: self._note_end_of_backpressure,
            AcceptPaused: self._note_pause,
            AcceptResumed: self._note_end_of_pause,
            DrainReport: self._note_drain,
        }

    def note(self, event: Event) -> None:
        """Count one."""
        note = self._notes.get(type(event))
        if note is not None:
            note(event)

    def collect(self) -> Iterator[Metric]:
        """Show them all."""
        yield LIFETIME_SECONDS.histograms({(): self._lifetimes})
        yield HANDSHAKE_SECONDS.histograms(self._handshakes)
        yield from self._sheet.collect()

    def _note_end(self, event: ConnectionEnded) -> None:
        self._lifetimes.observe(event.seconds)

    def _note_failed_handshake(self, event: HandshakeFailed) -> None:
        self._sheet.add(HANDSHAKES_FAILED, 1, event.stage.lower().replace(" ", "_"))

    def _note_proxy_header(self, event: ProxyHeaderReceived) -> None:
        self._handshakes["proxy_header",].observe(event.seconds)

    def _note_tls(self, event: TlsEstablished) -> None:
        self._handshakes["tls",].observe(event.seconds)

    def _note_timeout(self, event: TimedOut) -> None:
        self._sheet.add(TIMEOUTS_HIT, 1, event.timeout)

    def _note_limit(self, event: LimitReached) -> None:
        self._sheet.add(LIMITS_REACHED, 1, event.limit)

    def _note_malformed(self, _: MessageMalformed) -> None:
        self._sheet.add(MALFORMED, 1)

    def _note_garbage(self, event: GarbageSkipped) -> None:
        self._sheet.add(SKIPPED, event.count)

    def _note_failed_handler(self, _: HandlerFailed) -> None:
        self._sheet.add(HANDLERS_FAILED, 1)

    def _note_backpressure(self, _: BackpressureStarted) -> None:
        self._sheet.add(BACKPRESSURE, 1)
        self._sheet.add(BACKPRESSURE_NOW, 1)

    def _note_end_of_backpressure(self, event: BackpressureEnded) -> None:
        self._sheet.add(BACKPRESSURE_NOW, -1)
        self._sheet.add(BACKPRESSURE_SECONDS, event.seconds)

    def _note_pause(self, _: AcceptPaused) -> None:
        self._sheet.add(ACCEPT_PAUSES, 1)

    def _note_end_of_pause(self, event: AcceptResumed) -> None:
        self._sheet.add(ACCEPT_PAUSED_SECONDS, event.paused_seconds)

    def _note_drain(self, event: DrainReport) -> None:
        self._sheet.add(DRAINS, 1)
        self._sheet.add(DRAIN_SECONDS, event.seconds)
        self._sheet.add(DRAINED, event.finished, "finished")
        self._sheet.add(DRAINED, event.cancelled, "cancelled")
        self._sheet.add(DRAINED, event.aborted, "aborted")
        self._sheet.add(DRAINED, event.handshakes, "handshake")
