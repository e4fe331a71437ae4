"""A subscriber that is a connection: no task works for it.

While the connection has room, publications are committed to it right where they are
published. When it has none they wait in the backlog, and the task that writes for the
connection takes them from there as it makes room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, final

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, SlowSubscriberError
from trio_tcp._hub._backlog import Backlog
from trio_tcp._hub._format import Format
from trio_tcp._hub._line import Line
from trio_tcp._hub._publication import Lagged, Publication

__all__ = ["Attachment"]


@final
class Attachment:
    """A connection that is attached to a hub: `Hub.attach` makes it.

    A ``with`` block around it says for how long.

    Attributes:
        format: how publications are written for it; of no use to others than the hub.
        was_too_slow: it had no room left, with ``when_full="disconnect"``.
    """

    __slots__ = (
        "_backlog",
        "_connection",
        "_is_listening",
        "_is_over",
        "_keeps_latest",
        "_leave",
        "_line",
        "_may_wait",
        "_outgoing",
        "format",
        "was_too_slow",
    )

    def __init__(
        self,
        connection: Connection[Any, Any],
        format_: Format,
        backlog: Backlog[Any],
        *,
        may_wait: bool,
        keeps_latest: bool,
        leave: Callable[[Attachment], None],
    ) -> None:
        self._connection = connection
        self._outgoing = connection._outgoing  # noqa: SLF001 - as `broadcast`
        self.format: Format = format_
        self._backlog = backlog
        self._may_wait = may_wait
        self._keeps_latest = keeps_latest
        self._leave = leave
        self._line = Line()
        self._is_listening = True  # so that all waits in the backlog, until `begin`
        self._is_over = False
        self.was_too_slow: bool = False

    # What the user calls

    @property
    def missed(self) -> int:
        """How many publications it did not get, as it was too slow."""
        return self._backlog.left_out

    @property
    def waiting(self) -> int:
        """How many publications wait until the connection has room."""
        return len(self._backlog)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    # What the hub calls

    def begin(self, first: Iterable[Publication[Any] | Lagged], /) -> None:
        """Send these before all others; until then nothing is sent."""
        self._backlog.put_back(first)
        self._pump()

    def announce(self, lagged: Lagged, /) -> None:
        """Send what says that something is missing, after what waits."""
        if self._is_listening or not self._commit(lagged):
            self._backlog.put_lagged(lagged)
            self._listen()

    @property
    def holds_up(self) -> bool:
        """Whether it is full, and leaves nothing out."""
        return self._may_wait and (bool(self._line) or self._backlog.is_full)

    def offer(self, publication: Publication[Any], /) -> bool:
        """Commit it, or keep it until there is room, as the policy says."""
        outgoing = self._outgoing
        if not (self._is_listening or (self._keeps_latest and outgoing.is_stuck)):
            try:
                frame = self.format.encode(publication)
                if frame is None:
                    return True
                # Gathered: it may be one of several that are published together.
                if outgoing.commit(frame, gather=True):
                    outgoing.messages_sent += 1
                    return True
            except ConnectionFault:  # it has ended; its handler is about to notice
                return True
            except Exception as error:  # noqa: BLE001 - as `_commit`
                self._fail(error)
                return True
        return self._defer(publication)

    def _defer(self, publication: Publication[Any]) -> bool:
        if self._is_over or self._outgoing.closed:
            return True
        try:
            is_taken = not self._line and self._backlog.put(publication)
        except Exception as error:  # noqa: BLE001 - the key is the user's function
            self._fail(error)
            return True
        if is_taken:
            self._listen()
        elif self._may_wait:
            self._line.join(publication)
            return False
        else:
            self.was_too_slow = True
            self.end()
            self._connection._ending.evict(SlowSubscriberError())  # noqa: SLF001 - as above
        return True

    def _listen(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            self._outgoing.call_at_progress(self._pump)

    def _pump(self) -> None:
        """Commit what there is room for."""
        self._is_listening = False
        if self._is_over or self._outgoing.closed:
            self._let_all_in()
            return
        while self._backlog and not self._is_over:
            # Until there is room for it, a newer one may take its place.
            if not self._commit(self._backlog.first):
                self._listen()
                break
            self._backlog.take()
            while self._line and self._backlog.put(self._line.first):
                self._line.let_in()

    def _commit(self, item: Publication[Any] | Lagged) -> bool:
        if self._keeps_latest and self._outgoing.is_stuck:
            return False
        try:
            frame = self.format.encode(item)
            if frame is not None and not self._outgoing.commit(frame, gather=True):
                return False
        except ConnectionFault:
            return True
        except Exception as error:  # noqa: BLE001 - to render is a user's function
            self._fail(error)
            return True
        self._outgoing.messages_sent += frame is not None
        return True

    def _fail(self, error: Exception) -> None:
        """End the connection, whose handler's function has failed for it alone."""
        self.end()
        self._connection._ending.fail(error)  # noqa: SLF001 - as above

    async def wait_to_take(self, publication: Publication[Any], /) -> None:
        """Wait for room, in the line; nobody waits after the end."""
        await self._line.wait(publication)

    def _let_all_in(self) -> None:
        while self._line:
            self._line.let_in()

    def end(self) -> None:
        """Take nothing any more; what waits is not sent."""
        if not self._is_over:
            self._is_over = True
            self._leave(self)
            self._let_all_in()
