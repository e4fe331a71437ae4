"""Messages on their way out: accepted whole, in order, and bounded.

A message is *committed* when its bytes are in this queue; from then on it is the
connection's to deliver, whatever becomes of the task that sent it. Before that it can
be cancelled without a trace. There is nothing between the two, and so no torn frame.

Where the stream can take bytes without waiting, they are given to it at once: either by
`commit` itself, or, while the handler still has received messages before it, gathered
and given together when it has seen to them (`give`), in one system call. A handler that
awaits something in between does not hold them up: one of the `Writers` gives them in
the next pass of the scheduler. What the stream does not take at once is written by a
task of the `Writers`.

``bytes_queued`` counts what is committed but not yet taken by the stream. At
`HIGH_WATER_BYTES` the queue is full: `wait_to_commit` waits in line, and the writer
that makes room commits for those who wait, in the order in which they came. So no
message overtakes another, and one that was cancelled in line was never accepted. The
queue is full, too, when all connections together hold too much; but one that has
nothing queued may always queue something, so that each makes progress.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, final

import trio

from trio_tcp._budget import counted
from trio_tcp._errors import ConnectionClosedError, PeerTooSlowError
from trio_tcp._group import Group
from trio_tcp._journal import Journal
from trio_tcp._patience import Patience
from trio_tcp._stall import Stall
from trio_tcp._transport import Transport
from trio_tcp._writers import Writer
from trio_tcp.codecs import LARGE_BYTES

__all__ = ["HIGH_WATER_BYTES", "Outgoing"]

HIGH_WATER_BYTES: Final = 64 << 10
"""Full at 64 KiB, as with asyncio and Netty. One message may exceed it: a full queue
refuses the next message, never a part of one."""

MAX_LOOSE_FRAMES: Final = 256
"""More frames than this are put together: many small ones would take several times
their size in memory, and the high-water mark counts only the bytes in them."""


MAX_PARTS: Final = 16
"""So many frames at most are given to the stream as they lie, where they are much. (The
kernel takes 1024, IOV_MAX; but many small ones are put together for less.)"""


@final
class _Waiter:
    """A sender in line, and the bytes that it wants to commit."""

    __slots__ = ("committed", "data", "task")

    def __init__(self, data: bytes) -> None:
        self.task = trio.lowlevel.current_task()
        self.data = data
        self.committed = False


@final
class _Progress:
    """The next time that the stream takes something, and who is to hear of it."""

    __slots__ = ("calls", "event")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.calls: list[Callable[[], None]] = []


@final
class Outgoing:
    """The sending half of a connection.

    Attributes:
        bytes_queued: committed, and not yet taken by the stream.
        bytes_held: of those, how many are counted in the budget of the group: while
            they go out in the same pass of the scheduler, none.
        bytes_sent: taken by the stream.
        messages_sent: accepted from the user. The connection counts them.
        closed: nothing more is accepted.
        ended: the end is sent.
    """

    __slots__ = (
        "_eof_sent",
        "_excused",
        "_frames",
        "_gave_up",
        "_group",
        "_is_dropped",
        "_is_due",
        "_journal",
        "_packed",
        "_patience",
        "_progress",
        "_stall",
        "_transport",
        "_waiting",
        "_writer",
        "bytes_held",
        "bytes_queued",
        "bytes_sent",
        "closed",
        "ended",
        "messages_sent",
    )

    def __init__(
        self,
        transport: Transport,
        journal: Journal,
        group: Group,
        patience: Patience,
        gave_up: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._journal = journal
        self._group = group
        self._patience = patience
        self._gave_up = gave_up  # called when the peer takes nothing for too long
        self._frames: list[bytes | memoryview] = []
        self._packed: list[bytes] = []  # frames that came before those
        self._is_due = False  # one of the writers has been asked to `give`
        # Made when first needed: most connections never have a sender in line.
        self._waiting: deque[_Waiter] | None = None
        self._progress: _Progress | None = None
        self._eof_sent: trio.Event | None = None
        self._is_dropped = False
        self._excused = False  # the peer cannot be late
        self._writer: Writer | None = None  # while a task writes
        self._stall: Stall | None = None  # once a task has written
        self.bytes_held = 0
        self.bytes_queued = 0
        self.bytes_sent = 0
        self.messages_sent = 0
        self.closed = False
        self.ended = False

    def write_to(self, transport: Transport, *, excused: bool) -> None:
        """Write to this transport from now on; as long as excused, it takes nothing."""
        self._transport = transport
        self._excused = excused
        if self._writer is not None:
            self._start_to_wait()

    # Accepting

    def commit(self, data: bytes, *, gather: bool) -> bool:
        """Accept the bytes of whole messages, if there is room for them right now.

        Args:
            data: one or more frames.
            gather: more will follow soon: the answers to what is received already.

        Returns:
            False if there was no room, or others wait in line: nothing is accepted.

        Raises:
            ConnectionBroken: the stream is, or turns out to be, broken.
            ConnectionClosedError: closed on this side.
            TypeError: these are no bytes: the codec is wrong.
        """
        if type(data) is not bytes:
            _check_bytes(data)
        if self._writer is None and not self.closed:
            if not (gather or self._frames):
                return self._commit_at_once(data)
            queued = self.bytes_queued + len(data)
            if gather and queued < HIGH_WATER_BYTES:
                self._frames.append(data)
                self.bytes_queued = queued
                if not self._is_due:
                    self._is_due = True
                    self._group.writers.call_soon(self._give_what_is_due)
                return True
        if not self.gather(data):
            return False
        self.give()
        if self.closed:
            raise self.refusal()
        return True

    def _commit_at_once(self, data: bytes) -> bool:
        """Commit where nothing is queued: the usual case, as `gather` and `give`."""
        try:
            taken = self._transport.send_now(data)
        except Exception as error:  # noqa: BLE001 - as in _write
            self._fail(error)
        else:
            if taken == len(data):
                self.bytes_sent += taken
                self._patience.note_sent()
                return True
            self.bytes_queued = len(data)
            self._leave_rest([memoryview(data)[taken:]], taken)
        if self.closed:
            raise self.refusal()
        return True

    def gather(self, data: bytes) -> bool:
        """Accept as `commit` does, for one who calls `give` himself, and soon."""
        if type(data) is not bytes:
            _check_bytes(data)
        if self.closed:
            raise self.refusal()
        queued = self.bytes_queued
        size = len(data)
        if self._writer is None:
            if queued >= HIGH_WATER_BYTES:
                return False
            self._frames.append(data)
            self.bytes_queued = queued + size
            return True
        if queued >= HIGH_WATER_BYTES or self._is_full(size):
            return False
        self._frames.append(data)
        self.bytes_queued = queued + size
        self._pack()
        self._hold()
        self._group.budget.relieve()
        if self.closed:
            raise self.refusal()
        return True

    @property
    def is_stuck(self) -> bool:
        """Whether the stream has not taken at once what is queued."""
        return self._writer is not None and self.bytes_queued > 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for anything."""
        return self.bytes_queued >= HIGH_WATER_BYTES or (
            self._writer is not None and self._is_full(0)
        )

    def _is_full(self, size: int) -> bool:
        """Say whether a message has to wait, where others are waiting to be sent."""
        return bool(self._waiting) or not self._has_room(size)

    def _hold(self) -> None:
        """Tell the budget how many bytes this holds now."""
        count = counted(self.bytes_queued)
        self._group.budget.held += count - self.bytes_held
        self.bytes_held = count

    def _pack(self) -> None:
        """Put frames together when there are too many."""
        if len(self._frames) > MAX_LOOSE_FRAMES:
            # The last one stays: where something is queued, there is a loose frame.
            self._packed.append(b"".join(self._frames[:-1]))
            del self._frames[:-1]

    async def wait_to_commit(self, data: bytes) -> None:
        """Wait in line for room, then commit.

        Raises:
            ConnectionBroken: the connection broke first.
            ConnectionClosedError: it was closed first.

        Cancellation:
            `trio.Cancelled` means that nothing was accepted.
        """
        waiter = _Waiter(data)
        line = self._waiting
        if line is None:
            line = self._waiting = deque()

        def leave_the_line(_: object) -> trio.lowlevel.Abort:
            line.remove(waiter)
            return trio.lowlevel.Abort.SUCCEEDED

        self._journal.report_congested(self.bytes_queued)
        if self.closed:  # by the observer
            raise self.refusal()
        line.append(waiter)
        await trio.lowlevel.wait_task_rescheduled(leave_the_line)
        if not waiter.committed:
            raise self.refusal()

    def refusal(self) -> Exception:
        """Return why nothing is accepted any more."""
        if self._journal.is_broken:
            return self._journal.broken_error()
        if self._eof_sent is not None:
            message = "nothing can be sent after send_eof"
            return self._journal.mine(ConnectionClosedError(message))
        return self._journal.closed_error()

    # Delivering

    def commit_parts(self, parts: tuple[bytes, bytes]) -> bool:
        """Accept one large message in two parts, which are sent as they are.

        Returns:
            False if it would have to wait: nothing is accepted, and `commit` to be
            asked.

        Raises:
            ConnectionBroken: the stream turns out to be broken.
        """
        if self._writer is not None or self.closed:
            return False
        if self.bytes_queued >= HIGH_WATER_BYTES:
            return False
        # Not gathered with others: it is as much as one call should take.
        self._frames.extend(parts)
        self.bytes_queued += len(parts[0]) + len(parts[1])
        self.give()
        if self.closed:
            raise self.refusal()
        return True

    def give(self) -> None:
        """Give the stream what it takes at once, and leave the rest to a task."""
        if self._writer is not None or not self._frames:
            return
        if len(self._frames) == 1 and not self._packed:
            data = self._frames.pop()
        elif (
            self.bytes_queued >= LARGE_BYTES
            and len(self._frames) <= MAX_PARTS
            and not self._packed
        ):
            self._give_parts()
            return
        else:
            data = self._take()
        try:
            taken = self._transport.send_now(data)
        except Exception as error:  # noqa: BLE001 - as in _write
            self._fail(error)
            return
        if taken == self.bytes_queued:
            self._all_taken(taken)
        else:
            self._leave_rest([memoryview(data)[taken:]], taken)

    def _give_parts(self) -> None:
        """Give the stream what is queued as it is: to put much together costs more."""
        frames, self._frames = self._frames, []
        try:
            taken = self._transport.send_parts_now(frames)
        except Exception as error:  # noqa: BLE001 - as in _write
            self._fail(error)
            return
        if taken == self.bytes_queued:
            self._all_taken(taken)
        else:
            self._leave_rest(_behind(frames, taken), taken)

    def _all_taken(self, taken: int) -> None:
        """Note that all is sent that was queued: nobody can be waiting for room."""
        self.bytes_sent += taken
        self.bytes_queued = 0
        self._patience.note_sent()
        if self._progress is not None:
            self._wake_progress()

    def _leave_rest(self, rest: list[bytes | memoryview], taken: int) -> None:
        """Leave what the stream has not taken to a task."""
        self._frames = rest
        if taken:
            self._sent(taken)
        self._writer = self._group.writers.start(self._write)
        self._hold()
        self._group.budget.relieve()

    def _give_what_is_due(self) -> None:
        self._is_due = False
        self.give()

    def _take(self) -> bytes | memoryview:
        """Take all that is queued, as one piece."""
        frames, self._frames = self._frames, []
        if self._packed:
            frames = [*self._packed, *frames]
            self._packed.clear()
        return frames[0] if len(frames) == 1 else b"".join(frames)

    async def _write(self) -> None:
        """Write what is queued, and the stream's end if that is due; in a task."""
        try:
            while self._frames:
                data = memoryview(self._take())
                while data:
                    self._start_to_wait()
                    taken = await self._transport.send_some(data)
                    data = data[taken:]
                    self._sent(taken)
                    self._hold()
                    self._group.budget.relieve()  # others may have been let in
            if self._eof_sent is not None and not self._eof_sent.is_set():
                self._start_to_wait()
                await self._transport.send_eof()
                self.ended = True
        except Exception as error:  # noqa: BLE001 - a user's stream may raise any
            self._fail(error)
        finally:
            if self._stall is not None:
                self._stall.stop()
            self._writer = None
            if self._eof_sent is not None:
                self._eof_sent.set()
            self._journal.report_relieved()

    def _start_to_wait(self) -> None:
        """Start the clock: the stream is to take something."""
        if self._stall is None:
            self._stall = Stall(self._group.timers, self._patience, self._stalled)
        if self._excused:
            self._stall.stop()
        else:
            self._stall.start()

    def rearm(self) -> None:
        """Notice that the timeouts have been replaced."""
        if self._stall is not None:
            self._stall.rearm()

    def _stalled(self) -> None:
        """The peer took nothing for too long."""
        if self._writer is not None:
            self._writer.cancel()
        self._fail(PeerTooSlowError("write", self._patience.timeouts.write))
        self._gave_up()

    def release(self) -> None:
        """Let go of what the group has of this; nobody writes any more."""
        if self._stall is not None:
            self._stall.close()
            self._stall = None

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, trio.ClosedResourceError):
            self._journal.break_with(error)
        self.drop()

    def _sent(self, count: int) -> None:
        self.bytes_sent += count
        self._patience.note_sent()
        # A queue that was dropped meanwhile has nothing left to subtract from.
        self.bytes_queued = max(0, self.bytes_queued - count)
        while self._waiting and self._has_room(len(self._waiting[0].data)):
            waiter = self._waiting.popleft()
            waiter.committed = True
            self._frames.append(waiter.data)
            self.bytes_queued += len(waiter.data)
            self._pack()
            trio.lowlevel.reschedule(waiter.task)
        self._wake_progress()

    def _has_room(self, size: int) -> bool:
        if not self.bytes_queued:
            return True
        budget = self._group.budget
        more = counted(self.bytes_queued + size) - self.bytes_held
        return (
            self.bytes_queued < HIGH_WATER_BYTES and budget.held + more <= budget.limit
        )

    async def flush(self) -> None:
        """Wait until the stream has all that is accepted now.

        Raises:
            ConnectionBroken: it cannot have it any more.
            ConnectionClosedError: closed on this side meanwhile.
        """
        self.give()
        total = self.bytes_sent + self.bytes_queued
        while self.bytes_sent < total:
            if not self.bytes_queued:  # dropped
                raise self.refusal()
            await self.wait_for_progress()
        self._journal.check_whole()

    async def wait_for_progress(self) -> None:
        """Wait until the stream has taken something more, or never will."""
        await self.next_progress().wait()

    def next_progress(self) -> trio.Event:
        """Return what is set when the stream has taken more, or never will."""
        return self._awaited_progress().event

    def call_at_progress(self, call: Callable[[], None]) -> None:
        """Have this called once, when the stream has taken more, or never will."""
        self._awaited_progress().calls.append(call)

    def _awaited_progress(self) -> _Progress:
        if self._progress is None:
            self._progress = _Progress()
        return self._progress

    def _wake_progress(self) -> None:
        if self._progress is not None:
            progress, self._progress = self._progress, None
            progress.event.set()
            for call in progress.calls:
                call()

    # Ending

    def send_eof(self) -> trio.Event:
        """Accept nothing more, and send the end after what is queued.

        Returns:
            An event that is set when the end is sent, or when it never will be.
        """
        self.close()
        if self._eof_sent is None:
            self._eof_sent = trio.Event()
            if self._is_dropped:
                self._eof_sent.set()
            elif self._writer is None:
                self._writer = self._group.writers.start(self._write)
        return self._eof_sent

    async def wait_for_end(self) -> None:
        """Wait until the end is sent, or never will be, where it was to be sent."""
        if self._eof_sent is not None:
            await self._eof_sent.wait()

    def close(self) -> None:
        """Accept nothing more, and send those away who wait in line, or for room."""
        self.closed = True
        while self._waiting:
            trio.lowlevel.reschedule(self._waiting.popleft().task)
        self._wake_progress()
        if self._waiting is not None:
            self._journal.report_relieved()

    def drop(self) -> None:
        """Close, and forget what is queued: it cannot be delivered any more.

        Nor can the end. A writer that has not begun with it must not, as nobody may be
        left who stops the clock that it would start.
        """
        self.close()
        self._is_dropped = True
        if self._eof_sent is not None:
            self._eof_sent.set()
        self._packed.clear()
        self._frames.clear()
        self.bytes_queued = 0
        self._hold()
        self._wake_progress()

    def abort(self) -> None:
        """Drop, and leave a write that is under way as it is."""
        self.drop()
        if self._writer is not None:
            self._writer.cancel()


def _check_bytes(data: object) -> None:
    """Refuse what a codec should not have made, while it concerns nobody else."""
    if not isinstance(data, bytes):
        kind = type(data).__name__
        raise TypeError(f"encode of a codec must return bytes, not {kind}")


def _behind(frames: list[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """Return what is behind the first ``count`` bytes, of which there are more."""
    for index, frame in enumerate(frames):
        if count < len(frame):
            return [memoryview(frame)[count:], *frames[index + 1 :]]
        count -= len(frame)
    return []
