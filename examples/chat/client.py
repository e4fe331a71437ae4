"""The chat in a terminal.

    python -m examples.chat.client NAME [--host HOST] [--port PORT] [--tls]

What others say appears above the line that you are typing. When the connection breaks
it comes back by itself, and goes on where it was. Ctrl-D or /quit leaves.
"""

from __future__ import annotations

import argparse
import math
import secrets
import signal
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, TypeAlias, final

import trio
from msgspec.structs import replace

import trio_tcp
from examples.chat.messages import (
    CLIENT,
    Done,
    Entered,
    Event,
    Goodbye,
    Hello,
    Line,
    Reply,
    Request,
    Welcome,
    Whispered,
)
from examples.chat.terminal import Terminal, run_with_terminal
from examples.chat.view import lines_of, warning

__all__ = ["Client"]

Connection: TypeAlias = trio_tcp.Connection[Reply, Request]
Session: TypeAlias = trio_tcp.Session[Reply, Request]

BACKOFF: Final = trio_tcp.Backoff(initial=1, maximum=15)
LAST_WORDS_SECONDS: Final = 2


@final
class Client:
    """Somebody's side of the conversation, over one connection after another.

    Args:
        terminal: where it is typed and shown.
        nick: the name that is asked for.
    """

    def __init__(self, terminal: Terminal, nick: str) -> None:
        self._terminal = terminal
        # The token makes this the same person whenever it comes back.
        self._hello = Hello(nick, secrets.token_urlsafe())
        self._unsaid: deque[str] = deque()
        self._typed = trio.Event()

    async def greet(self, connection: Connection) -> None:
        """Say who this is, and how far it had come."""
        await connection.send(self._hello)

    async def run(self, session: Session) -> int:
        """Talk until somebody has had enough.

        Returns:
            The exit code: 1 if the server is not the one that is meant.
        """
        code = 0
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                scope = nursery.cancel_scope
                nursery.start_soon(_leave_on_signal, signals, scope)
                nursery.start_soon(self._tell_of_breaks, session)
                nursery.start_soon(self._type, session, scope)
                try:
                    await self._stay(session)
                except trio_tcp.ConnectError as error:
                    self._terminal.show(warning(str(error)))
                    code = 1
                scope.cancel()
        return code

    async def _type(self, session: Session, scope: trio.CancelScope) -> None:
        """Take what is typed, whether there is a connection or not."""
        async for text in self._terminal.lines:
            self._enqueue(text)
        self._enqueue("/quit")  # Ctrl-D
        if isinstance(session.state, trio_tcp.Ready):
            await trio.sleep(LAST_WORDS_SECONDS)  # the server's goodbye comes sooner
        scope.cancel()

    def _enqueue(self, text: str) -> None:
        if text.strip():
            self._unsaid.append(text)
            self._typed.set()

    async def _tell_of_breaks(self, session: Session) -> None:
        async for state in session.states():
            if isinstance(state, trio_tcp.Waiting):
                what = f"{state.error}; connecting again in {state.seconds:.0f} s"
                self._terminal.show(warning(what))

    async def _stay(self, session: Session) -> None:
        async for connection in session:
            if session.last_break is not None and session.last_break.unconfirmed:
                count = session.last_break.unconfirmed
                what = f"the last {count} that you said may not have arrived"
                self._terminal.show(warning(what))
            with session.until_broken():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._speak, connection)
                    is_over = await self._listen(session, connection)
                    nursery.cancel_scope.cancel()
                if is_over:
                    return

    async def _speak(self, connection: Connection) -> None:
        while True:
            while self._unsaid:
                # A send that is cancelled or fails has sent nothing.
                await connection.send(Line(self._unsaid[0]))
                self._unsaid.popleft()
            self._typed = trio.Event()
            await self._typed.wait()

    async def _listen(self, session: Session, connection: Connection) -> bool:
        """Show what comes; return whether it was the goodbye."""
        async for reply in connection:
            self._note(reply)
            for line in lines_of(reply):
                self._terminal.show(line)
            if isinstance(reply, Done):
                session.confirm()
            if isinstance(reply, Goodbye):
                return True
        return False

    def _note(self, reply: Reply) -> None:
        """Remember what to say when it comes back."""
        hello = self._hello
        match reply:
            case Welcome(nick):
                hello = replace(hello, nick=nick)
            case Entered(room) if room != hello.room:
                hello = replace(hello, room=room, after_room="")
            case Event(position=""):
                pass  # it has none: only those with the same server got it
            case Event(Whispered(), position=position):
                hello = replace(hello, after_private=position)
            case Event(position=position):
                hello = replace(hello, after_room=position)
            case _:
                pass
        self._hello = hello
        self._terminal.label = hello.room


async def _leave_on_signal(
    signals: AsyncIterator[int], scope: trio.CancelScope
) -> None:
    async for _ in signals:
        scope.cancel()


def is_permanent(error: Exception) -> bool:
    """Say if the server is not the one that is meant."""
    attempts = error.attempts if isinstance(error, trio_tcp.ConnectError) else ()
    return any(
        isinstance(attempt.__cause__, ssl.SSLCertVerificationError)
        for attempt in attempts
    )


async def chat(
    nick: str, host: str, port: int, tls: ssl.SSLContext | None, terminal: Terminal
) -> int:
    """Connect, and talk; return the exit code."""
    client = Client(terminal, nick)
    connect = partial(
        trio_tcp.connect_tcp,
        host,
        port,
        codec=CLIENT,
        tls=tls,
        keepalive=trio_tcp.KeepAlive(),
        # A room may be quiet; but a prompt that waits looks stuck.
        timeouts=trio_tcp.Timeouts(connect=10, idle=math.inf, linger=1),
    )
    async with trio_tcp.open_session(
        connect, backoff=BACKOFF, prepare=client.greet, is_permanent=is_permanent
    ) as session:
        return await client.run(session)


def main() -> None:
    """Join a chat."""
    parser = argparse.ArgumentParser(description="Chat from the terminal.")
    parser.add_argument("nick", metavar="NAME", help="how you are called")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--tls", action="store_true", help="the server speaks TLS")
    parser.add_argument(
        "--cafile", help="whom to trust, as PEM; by default, the system"
    )
    args = parser.parse_args()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.exit("chat: this needs a terminal")
    tls = ssl.create_default_context(cafile=args.cafile) if args.tls else None
    sys.exit(run_with_terminal(partial(chat, args.nick, args.host, args.port, tls)))


if __name__ == "__main__":
    main()
