"""A drain on real sockets, under load, by a call and by signals.

The clients are none of ours: asyncio's streams, plain sockets, the standard library's
`ssl`.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import signal
import socket
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import (
    HOST,
    certificate,
    client_context,
    server_context,
    write_files,
)
from tests.integration.loopback import (
    LOOPBACK,
    SMALL_BUFFER,
    Program,
    Record,
    connect,
    connect_socket,
    receive_all,
    receive_exactly,
    run_program,
    until,
)
from tests.tls.peer import Peer
from trio_tcp import CloseReason, codecs

Text: TypeAlias = trio_tcp.Connection[str, str]
End: TypeAlias = Literal["FIN", "RST"]
Result = TypeVar("Result")

LINES = codecs.Lines(max_bytes=1 << 20)
ABORT_SECONDS = 5

of_client = functools.cache(client_context)
of_server = functools.cache(server_context)

with_and_without_tls = pytest.mark.parametrize("tls", [False, True], ids=["TCP", "TLS"])


async def start(
    nursery: trio.Nursery,
    handler: trio_tcp.Handler[str, str],
    record: Record,
    *,
    tls: bool = False,
    proxy_protocol: trio_tcp.ProxyProtocol | None = None,
) -> tuple[trio_tcp.Server, trio.Event]:
    """Start a server; return it, and an event that is set when it has returned.

    The kernel holds next to nothing of what it sends, so that the rest is the
    connections' to keep, for as long as it takes.
    """
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    await sock.bind((LOOPBACK, 0))
    sock.listen(1000)
    returned = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[trio_tcp.Server]) -> None:
        await trio_tcp.serve_listeners(
            handler,
            [trio.SocketListener(sock)],
            codec=LINES,
            tls=of_server() if tls else None,
            proxy_protocol=proxy_protocol,
            timeouts=trio_tcp.Timeouts(write=math.inf),
            observer=record,
            task_status=task_status,
        )
        returned.set()

    server: trio_tcp.Server = await nursery.start(serve)
    return server, returned


# A big crowd ------------------------------------------------------------------------

KINDS = {
    "busy, in time": 30,
    "busy, too long": 20,
    "idle": 50,
    "stuck in cleaning up": 3,
    "stuck, not reading": 2,
}
HANDSHAKES = 20
GRACE = 30.0


@attrs.define
class Client:
    """One client of many, as its handler and it itself have seen it.

    Attributes:
        kind: what it does.
        begun: its handler is where it is to be when the drain begins.
        accepted: what its handler has sent, as far as `send` returned.
        received: what it got.
        end: how that ended.
    """

    kind: str
    begun: bool = False
    accepted: bytes = b""
    received: bytes = b""
    end: End | None = None


class Crowd:
    """Clients of all kinds, and the handler that serves them.

    Attributes:
        drained: to be set when the drain is over.
    """

    def __init__(self, dice: random.Random) -> None:
        kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
        dice.shuffle(kinds)
        self.clients = [Client(kind) for kind in kinds]
        self.drained = trio.Event()
        self._dice = dice

    def all_begun(self) -> bool:
        """Say whether each has been served as far as it is to be before the drain."""
        return all(client.begun for client in self.clients)

    def of(self, *kinds: str) -> list[Client]:
        """Return the clients of these kinds."""
        return [client for client in self.clients if client.kind in kinds]

    # The server's side

    async def serve(self, connection: Text) -> None:
        """Serve the client that says which it is."""
        async for line in connection:
            client = self.clients[int(line)]
            match client.kind:
                case "busy, in time":
                    client.begun = True
                    await connection.draining.wait()
                    await self._answer(connection, client, self._dice.randrange(1, 30))
                case "busy, too long":
                    await self._answer(connection, client, 30)
                    client.begun = True
                    while True:
                        await self._answer(connection, client, 1)
                        await trio.sleep(0.1)
                case "idle":
                    await self._answer(connection, client, 1)
                    client.begun = True
                case "stuck in cleaning up":
                    await self._answer(connection, client, 1)
                    client.begun = True
                    with trio.CancelScope(shield=True):
                        await self.drained.wait()
                case _:
                    with trio.move_on_after(0.5):
                        await self._answer(connection, client, 1_000_000)
                    client.begun = True
                    await self._answer(connection, client, 1_000_000)

    async def _answer(self, connection: Text, client: Client, count: int) -> None:
        for number in range(count):
            answer = f"{number} ".ljust(self._dice.randrange(10, 10_000), "x")
            await connection.send(answer)
            client.accepted += LINES.encode(answer)

    # The clients' side, in asyncio

    async def be_all(self, port: int, *, tls: bool) -> list[End]:
        """Be all clients, and return how those have ended that began a handshake."""
        context = of_client() if tls else None
        drained = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(begin_a_handshake(port, number))
                for number in range(HANDSHAKES if tls else 0)
            ]
            readers = {
                group.create_task(self._be(client, number, port, context, drained))
                for number, client in enumerate(self.clients)
                if client.kind != "stuck, not reading"
            }
            for number, client in enumerate(self.clients):
                if client.kind == "stuck, not reading":
                    group.create_task(self._be(client, number, port, context, drained))
            await asyncio.wait(readers)
            drained.set()
        return [other.result() for other in others]

    async def _be(
        self,
        client: Client,
        number: int,
        port: int,
        context: ssl.SSLContext | None,
        drained: asyncio.Event,
    ) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK, port))
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=HOST if context else None, limit=100
        )
        writer.write(b"%d\n" % number)
        if client.kind == "stuck, not reading":
            await drained.wait()
        pause = random.Random(number).choice([0, 0, 0.001])
        client.received, client.end = await read_to_the_end(reader, writer, pause)


async def read_to_the_end(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float = 0
) -> tuple[bytes, End]:
    """Read until the server ends it, and close; return what came, and which end."""
    received = b""
    end: End = "FIN"
    try:
        while chunk := await reader.read(1 << 16):
            received += chunk
            await asyncio.sleep(pause)
    except ConnectionResetError:
        end = "RST"
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return received, end


async def begin_a_handshake(port: int, number: int) -> End:
    """Say nothing, or begin to speak TLS; and see how the server takes it."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = of_client().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    writer.write([b"", hello[:20], hello][number % 3])
    _, end = await read_to_the_end(reader, writer)
    return end


async def in_asyncio(main: Callable[[], Coroutine[object, object, Result]]) -> Result:
    """Run an asyncio program, in a thread."""
    return await trio.to_thread.run_sync(
        lambda: asyncio.run(main()), abandon_on_cancel=True
    )


@with_and_without_tls
async def test_of_a_big_crowd_each_sees_what_the_report_says(
    clock: MockClock, record: Record, tls: bool
) -> None:
    """No answer that was accepted is lost, and nobody is waited for too long."""
    crowd = Crowd(random.Random(1))
    handshakes: list[End] = []
    async with trio.open_nursery() as nursery:
        server, returned = await start(nursery, crowd.serve, record, tls=tls)

        async def be_all() -> None:
            ends = await in_asyncio(partial(crowd.be_all, server.port, tls=tls))
            handshakes.extend(ends)

        nursery.start_soon(be_all)
        await record.wait(trio_tcp.ConnectionOpened, len(crowd.clients))
        await until(crowd.all_begun)
        await until(
            lambda: server.statistics().handshaking == (HANDSHAKES if tls else 0)
        )
        reports: list[trio_tcp.DrainReport] = []

        async def drain() -> None:
            reports.append(await server.drain(GRACE))

        async with trio.open_nursery() as draining:
            draining.start_soon(drain)
            await record.wait(trio_tcp.ConnectionEnded, 80)
            clock.rate = 0
            clock.jump(GRACE)
            await record.wait(trio_tcp.ConnectionEnded, 100)
            clock.jump(ABORT_SECONDS)
        clock.rate = 1
        [report] = reports
        crowd.drained.set()
        with pytest.raises(ConnectionRefusedError):
            connect_socket(server.port)
        assert report.seconds >= GRACE + ABORT_SECONDS
        assert attrs.evolve(report, seconds=0) == trio_tcp.DrainReport(
            finished=80,
            cancelled=20,
            aborted=5,
            handshakes=HANDSHAKES if tls else 0,
            seconds=0,
        )
        await returned.wait()
    assert record.all(trio_tcp.DrainReport) == [report]
    assert len(record.all(trio_tcp.ConnectionEnded)) == 105
    assert server.statistics().ended == {CloseReason.DRAINED: 105}
    assert handshakes == ["FIN"] * report.handshakes
    for client in crowd.of("busy, in time", "busy, too long", "idle"):
        assert client.end == "FIN", client.kind
        assert client.received == client.accepted, client.kind
    for client in crowd.of("stuck in cleaning up", "stuck, not reading"):
        assert client.end == "RST", client.kind
        assert client.accepted.startswith(client.received)


# Before there is a connection -------------------------------------------------------


async def test_clients_in_the_middle_of_a_proxys_header_are_closed_and_counted(
    nursery: trio.Nursery, record: Record
) -> None:
    async def handler(connection: Text) -> None:
        async for line in connection:
            await connection.send(line)

    proxies = trio_tcp.ProxyProtocol(trusted=[LOOPBACK])
    server, returned = await start(nursery, handler, record, proxy_protocol=proxies)
    async with connect(server.port) as silent, connect(server.port) as begun:
        async with connect(server.port) as whole:
            await begun.send_all(b"PROXY TCP4 192.0.2.1 ")
            await whole.send_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nhello\n")
            assert await receive_exactly(whole, 6) == b"hello\n"
            await until(lambda: server.statistics().handshaking == 2)
            nursery.start_soon(server.drain)
            for stream in (silent, begun, whole):
                assert await receive_all(stream) == b""
    await returned.wait()
    [report] = record.all(trio_tcp.DrainReport)
    assert (report.finished, report.handshakes) == (1, 2)
    assert not record.all(trio_tcp.HandshakeFailed)


# By a signal ------------------------------------------------------------------------

every_signal = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)


@asynccontextmanager
async def draining_server(
    folder: Path, *, grace: float = 30, tls: bool = False
) -> AsyncGenerator[tuple[Program, int], None]:
    """Run the server as a program of its own; give its port."""
    files: list[str] = []
    if tls:
        chain, key, _ = write_files(certificate(HOST, LOOPBACK), folder)
        files = [str(chain), str(key)]
    async with run_program("draining_server.py", str(grace), *files) as program:
        yield program, int(await program.line())


class Secure:
    """A client over TLS, as the plain streams are."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._peer = Peer(stream, of_client(), server_hostname=HOST)

    async def shake_hands(self) -> None:
        """Speak TLS."""
        await self._peer.shake_hands()

    async def send_all(self, data: bytes) -> None:
        """Encrypt and send."""
        await self._peer.send(data)

    async def receive_exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        return await self._peer.receive_exactly(size)

    async def receive_all(self) -> bytes:
        """Read to the end, which must be TLS's own, and end as well."""
        received = await self._peer.receive_all()
        await self._peer.end()
        return received


class Plain:
    """A client without TLS."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes) -> None:
        """Send."""
        await self._stream.send_all(data)

    async def receive_exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        return await receive_exactly(self._stream, size)

    async def receive_all(self) -> bytes:
        """Read to the end, and end as well."""
        received = await receive_all(self._stream)
        await self._stream.send_eof()
        return received


@asynccontextmanager
async def client_of(port: int, *, tls: bool) -> AsyncGenerator[Plain | Secure, None]:
    """Connect a client."""
    async with connect(port) as stream:
        if tls:
            secure = Secure(stream)
            await secure.shake_hands()
            yield secure
        else:
            yield Plain(stream)


@with_and_without_tls
@every_signal
async def test_a_signal_lets_requests_finish_and_sends_the_idle_away(
    tmp_path: Path, number: signal.Signals, tls: bool
) -> None:
    async with draining_server(tmp_path, tls=tls) as (program, port):
        async with (
            client_of(port, tls=tls) as idle,
            client_of(port, tls=tls) as busy,
            client_of(port, tls=tls) as begun,
        ):
            for client in (idle, begun):
                await client.send_all(b"hello\n")
                assert await client.receive_exactly(6) == b"hello\n"
            await busy.send_all(b"work\nand this\n")
            assert await program.line() == "working"
            await begun.send_all(b"unfin")
            program.process.send_signal(number)
            assert await program.line() == "draining 3"
            assert await idle.receive_all() == b""
            assert await busy.receive_all() == b"done\nand this\n"
            with pytest.raises(ConnectionRefusedError):
                connect_socket(port)
            # The first half has arrived before the signal: the drain waits for more.
            await begun.send_all(b"ished\n")
            assert await begun.receive_all() == b"unfinished\n"
            assert await program.lines_until("returned") == [
                "drained 3 0 0",
                "stopped",
                "messages 5 5",
                "returned",
            ]
            assert await program.process.wait() == 0


@every_signal
async def test_what_works_on_is_cancelled_after_the_grace(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with draining_server(tmp_path, grace=0.5) as (program, port):
        async with client_of(port, tls=False) as busy:
            await busy.send_all(b"accepted\nwork for ever\n")
            assert await program.line() == "working"
            began_at = trio.current_time()
            program.process.send_signal(number)
            assert await program.line() == "draining 1"
            assert await busy.receive_all() == b"accepted\n"
            assert trio.current_time() - began_at >= 0.5
            assert await program.lines_until("returned") == [
                "drained 0 1 0",
                "stopped",
                "messages 2 1",
                "returned",
            ]
            assert await program.process.wait() == 0


@pytest.mark.parametrize(
    "second", [signal.SIGINT, signal.SIGTERM], ids=["then SIGINT", "then SIGTERM"]
)
@every_signal
async def test_a_second_signal_ends_the_program_at_once(
    tmp_path: Path, number: signal.Signals, second: signal.Signals
) -> None:
    async with draining_server(tmp_path) as (program, port):
        async with (
            client_of(port, tls=False) as idle,
            client_of(port, tls=False) as busy,
        ):
            await busy.send_all(b"stay\n")
            assert await program.line() == "staying"
            program.process.send_signal(number)
            assert await program.line() == "draining 2"
            assert await idle.receive_all() == b""
            program.process.send_signal(second)
            assert await program.process.wait() == -second


@every_signal
async def test_a_second_signal_ends_the_first_process_of_a_container_too(
    number: signal.Signals,
) -> None:
    """The kernel spares it what a signal does by default: it ends by itself."""
    async with run_program("first_process.py") as program:
        async with connect(int(await program.line())):
            program.process.send_signal(number)
            assert await program.line() == "draining"
            program.process.send_signal(number)
            assert await program.process.wait() == 128 + number


# Under load -------------------------------------------------------------------------

LOAD = 100
WARM = 10  # answers that each client has got when the signal comes


@attrs.define
class Tally:
    """What one client of the load has met with.

    Attributes:
        asked: requests that it has sent.
        answered: answers that it got.
        wrong: answers that were not the next.
        end: how it ended.
    """

    asked: int = 0
    answered: int = 0
    wrong: int = 0
    end: End | None = None


async def ask_all_the_time(
    tally: Tally,
    port: int,
    context: ssl.SSLContext | None,
    *,
    window: int,
    go: asyncio.Event,
    warm: asyncio.Semaphore,
) -> None:
    """Keep so many requests under way, to the end."""
    reader, writer = await asyncio.open_connection(
        LOOPBACK, port, ssl=context, server_hostname=HOST if context else None
    )
    await go.wait()
    try:
        while True:
            while tally.asked - tally.answered < window:
                writer.write(b"%d\n" % tally.asked)
                tally.asked += 1
            answer = await reader.readline()
            if not answer.endswith(b"\n"):
                tally.wrong += answer != b""
                tally.end = "FIN"
                break
            tally.wrong += answer != b"%d\n" % tally.answered
            tally.answered += 1
            if tally.answered == WARM:
                warm.release()
    except ConnectionError:
        tally.end = "RST"
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


@with_and_without_tls
@every_signal
async def test_under_load_every_request_is_answered_or_there_is_a_clean_end(
    tmp_path: Path, number: signal.Signals, tls: bool
) -> None:
    """What the server has read, it has answered; and nobody is reset."""
    tallies = [Tally() for _ in range(LOAD)]

    async def load(port: int, send_signal: Callable[[], None]) -> None:
        context = of_client() if tls else None
        go, warm = asyncio.Event(), asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as group:
            for index, tally in enumerate(tallies):
                window = [1, 1, 2, 20][index % 4]
                ask = ask_all_the_time(
                    tally, port, context, window=window, go=go, warm=warm
                )
                group.create_task(ask)
            go.set()
            for _ in tallies:
                await warm.acquire()
            send_signal()

    async with draining_server(tmp_path, tls=tls) as (program, port):

        def send_signal() -> None:
            program.process.send_signal(number)

        await in_asyncio(partial(load, port, send_signal))
        assert (await program.line()).startswith("draining")
        assert await program.line() == f"drained {LOAD} 0 0"
        assert await program.line() == "stopped"
        messages = await program.line()
        assert await program.lines_until("returned") == ["returned"]
        assert await program.process.wait() == 0
    assert Counter(tally.end for tally in tallies) == {"FIN": LOAD}
    assert not any(tally.wrong for tally in tallies)
    answered = sum(tally.answered for tally in tallies)
    assert messages == f"messages {answered} {answered}"
    # The signal came in the middle of it.
    assert sum(tally.asked for tally in tallies) > answered >= WARM * LOAD
