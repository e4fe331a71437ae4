"""TLS with peers that are not ours: openssl, asyncio, plain sockets, Trio's own."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import socket
import ssl
import subprocess
import sys
import termios
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, final

import pytest
import trio
import trio.testing

import trio_tcp
from tests.certificates import (
    ADDRESS,
    HOST,
    certificate,
    client_context,
    der,
    each_version,
    server_context,
    strange_certificate,
    write_files,
)
from tests.integration.loopback import LOOPBACK, Record, echo, receive_reset, until
from tests.tls.peer import Peer
from trio_tcp import CloseReason, codecs

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the program openssl is not installed"
)

In = TypeVar("In")
Out = TypeVar("Out")
Text: TypeAlias = trio_tcp.Connection[str, str]
Context: TypeAlias = ssl.SSLContext | trio_tcp.Tls

SECONDS = 40
"""How long a program may take on a slow machine. Nothing waits for it to pass."""

LINES = codecs.Lines(max_bytes=4 << 20)
SIZES = [1, 1000, 16_384, 100_000, 1_000_000]
MESSAGES = [b"one", b"", b"\0\xff" * 50_000, b"four"]


async def start(
    nursery: trio.Nursery,
    handler: trio_tcp.Handler[In, Out],
    codec: codecs.Codec[In, Out],
    record: Record,
    *,
    tls: Context | None = None,
    proxy_protocol: trio_tcp.ProxyProtocol | None = None,
    limits: trio_tcp.Limits | None = None,
) -> trio_tcp.Server:
    """Start a server on a free port."""
    server: trio_tcp.Server = await nursery.start(
        partial(
            trio_tcp.serve_tcp,
            handler,
            0,
            host=LOOPBACK,
            codec=codec,
            observer=record,
            tls=tls,
            proxy_protocol=proxy_protocol,
            limits=limits or trio_tcp.Limits(),
        )
    )
    return server


def connect(
    port: int,
    codec: codecs.Codec[In, Out],
    *,
    host: str = HOST,
    context: Context | None = None,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AbstractAsyncContextManager[trio_tcp.Connection[In, Out]]:
    """Connect a client of ours, which expects a name."""
    return trio_tcp.connect_tcp(
        LOOPBACK,
        port,
        codec=codec,
        tls=context or client_context(),
        server_hostname=host,
        timeouts=timeouts or trio_tcp.Timeouts(),
    )


def tls_of(connection: trio_tcp.Connection[Any, Any]) -> trio_tcp.TlsInfo:
    """Return what TLS has agreed on: there is TLS."""
    assert connection.tls is not None
    return connection.tls


def name_of(version: ssl.TLSVersion) -> str:
    return version.name.replace("_", ".")


def option_for(version: ssl.TLSVersion) -> str:
    """Return openssl's option for one version of TLS alone."""
    return {"TLSv1_2": "-tls1_2", "TLSv1_3": "-tls1_3"}[version.name]


def frame(message: bytes) -> bytes:
    """Do what `LengthPrefixed` does, in somebody else's place."""
    return len(message).to_bytes(4, "big") + message


# openssl -----------------------------------------------------------------------------


@final
class Dialogue:
    """A program that is typed into, and all that it prints.

    Attributes:
        process: the program.
    """

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._keyboard = process.stdin
        self._output = process.stdout
        self._unread: bytes = b""

    async def types(self, text: str) -> None:
        """Type something, and see it read: openssl takes a first letter for a command.

        And only the first of all that it reads at once.
        """
        await self._keyboard.send_all(text.encode())
        await until(lambda: not self._unread_by_it())

    def _unread_by_it(self) -> int:
        assert isinstance(self._keyboard, trio.lowlevel.FdStream)
        count = fcntl.ioctl(self._keyboard.fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    async def types_end(self) -> None:
        """Type Ctrl-D."""
        await self._keyboard.aclose()

    async def prints(self, text: str) -> str:
        """Wait until it has printed this; return what came before."""
        wanted = text.encode()
        at = seen = 0
        with trio.move_on_after(SECONDS):
            while (at := self._unread.find(wanted, seen)) < 0:
                seen = max(0, len(self._unread) - len(wanted))
                chunk = bytes(await self._output.receive_some())
                if not chunk:
                    break
                self._unread += chunk
        printed = self._unread[-2000:]
        assert at >= 0, f"it printed {printed!r}, and not {text[:100]!r}"
        before, self._unread = self._unread[:at], self._unread[at + len(wanted) :]
        return before.decode(errors="replace")

    async def ends(self) -> str:
        """Wait until it has ended; return what it has printed last."""
        while chunk := await self._output.receive_some():
            self._unread += chunk
        await self.process.wait()
        return self._unread.decode(errors="replace")


@asynccontextmanager
async def openssl(*arguments: object) -> AsyncGenerator[Dialogue, None]:
    """Run openssl; kill it at the end of the block if it still runs."""
    process = await trio.lowlevel.open_process(
        ["openssl", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    dialogue = Dialogue(process)
    try:
        yield dialogue
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            await dialogue.types_end()
            assert process.stdout is not None
            await process.stdout.aclose()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Write the usual certificate, its key and the authority's."""
    return write_files(certificate(HOST, ADDRESS), tmp_path)


Files: TypeAlias = tuple[Path, Path, Path]


def s_client(
    port: int, files: Files, *arguments: object
) -> AbstractAsyncContextManager[Dialogue]:
    """Run the client of openssl, which ends when the server does."""
    where = ("-connect", f"{LOOPBACK}:{port}", "-servername", HOST)
    trust = ("-CAfile", files[2], "-verify_return_error", "-verify_hostname", HOST)
    return openssl("s_client", *where, *trust, *arguments)


COMMANDS = ("-quiet", "-no_ign_eof")
"""Options for a client that prints nothing but what it is sent, ends when it is told
to, and knows commands: Q to quit, K and k for new keys, R to renegotiate."""


@asynccontextmanager
async def s_server(
    files: Files, *arguments: object
) -> AsyncGenerator[tuple[Dialogue, int], None]:
    """Run the server of openssl for one client; tell its port."""
    where = ("-accept", f"{LOOPBACK}:0", "-naccept", 1)
    identity = ("-cert", files[0], "-key", files[1])
    async with openssl("s_server", *where, *identity, *arguments) as server:
        await server.prints(f"ACCEPT {LOOPBACK}:")
        yield server, int(await server.prints("\n"))


@needs_openssl
@each_version
async def test_openssl_talks_to_our_server(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """Lines of all sizes, and the end from its side."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        for size in SIZES:
            line = "x" * size + "\n"
            async with trio.open_nursery() as typing:
                typing.start_soon(client.types, line)
                await client.prints(line)
        await client.types_end()
        await client.ends()
        assert client.process.returncode == 0
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == len(SIZES)


@needs_openssl
@each_version
async def test_openssl_sees_our_servers_end(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    async def say(connection: Text) -> None:
        await connection.send("x" * 300_000)

    tls = server_context(version=version)
    server = await start(nursery, say, LINES, record, tls=tls)
    async with s_client(server.port, files, "-quiet") as client:
        output = await client.ends()
        assert client.process.returncode == 0
        assert "x" * 300_000 in output
        assert "rror" not in output
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
@each_version
async def test_our_client_talks_to_openssl(
    version: ssl.TLSVersion, files: Files
) -> None:
    """It sends each line back from its end to its beginning."""
    async with s_server(files, "-rev", option_for(version)) as (server, port):
        async with connect(port, LINES) as connection:
            assert tls_of(connection).version == name_of(version)
            for size in (1, 1000, 10_000):
                await connection.send("a" + "b" * size)
                assert await connection.receive() == "b" * size + "a"
        await server.ends()


@needs_openssl
@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
async def test_openssls_server_ends_without_close_notify(
    version: ssl.TLSVersion, allowed: bool, files: Files
) -> None:
    """What both have said arrives before."""
    tls = trio_tcp.Tls(client_context(), allow_ragged_eof=allowed)
    async with s_server(files, option_for(version)) as (server, port):
        async with connect(port, LINES, context=tls) as connection:
            await connection.send("hello from here")
            await server.prints("hello from here\n")
            await server.types("hello from there\n")
            assert await connection.receive() == "hello from there"
            await server.types("Q\n")
            if allowed:
                with pytest.raises(trio_tcp.PeerClosed):
                    await connection.receive()
            else:
                with pytest.raises(trio_tcp.CloseNotifyMissingError):
                    await connection.receive()


@needs_openssl
@each_version
async def test_openssl_shows_our_server_who_it_is(
    version: ssl.TLSVersion,
    files: Files,
    tmp_path: Path,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """With a certificate it is in; without one both sides say why it is not."""

    async def greet(connection: Text) -> None:
        identity = tls_of(connection).peer_certificate
        assert identity is not None
        ((_, name),) = identity["subjectAltName"]
        await connection.send(f"hello, {name}")

    tls = server_context(version=version, asks_clients=True)
    server = await start(nursery, greet, LINES, record, tls=tls)
    folder = tmp_path / "identity"
    folder.mkdir()
    chain, key, _ = write_files(certificate("device-7.example"), folder)
    shown = ("-cert", chain, "-key", key)
    async with s_client(server.port, files, "-quiet", *shown) as client:
        assert "hello, device-7.example\n" in await client.ends()
    async with s_client(server.port, files, "-quiet") as client:
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert {alert}" in await client.ends()
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert "the peer has sent no certificate" in str(failed.error)
    assert isinstance(failed.peer, trio_tcp.TcpAddress)


@needs_openssl
@each_version
async def test_our_client_shows_openssl_who_it_is(
    version: ssl.TLSVersion, files: Files
) -> None:
    ask = ("-Verify", 1, "-CAfile", files[2], "-verify_return_error")
    async with s_server(files, "-rev", option_for(version), *ask) as (server, port):
        context = client_context(identity=certificate("device-7.example"))
        async with connect(port, LINES, context=context) as connection:
            await connection.send("hello")
            assert await connection.receive() == "olleh"
        assert "verify return:1" in await server.ends()
    async with s_server(files, "-rev", option_for(version), *ask) as (_, port):
        # In TLS 1.3 this side is told only behind its handshake.
        with pytest.raises(
            (trio_tcp.ConnectError, trio_tcp.ConnectionBroken)
        ) as caught:
            async with connect(port, LINES) as connection:
                await connection.receive()
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert '{alert}" in str(caught.value)


@needs_openssl
async def test_openssl_and_we_agree_on_a_protocol(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    async def tell(connection: Text) -> None:
        await connection.send(f"we speak {tls_of(connection).alpn}")

    tls = server_context()
    tls.set_alpn_protocols(["chat/2", "chat/1"])
    server = await start(nursery, tell, LINES, record, tls=tls)
    async with s_client(server.port, files, "-alpn", "chat/1,chat/2") as client:
        await client.prints("ALPN protocol: chat/2\n")
        await client.prints("we speak chat/2\n")
    async with s_server(files, "-rev", "-alpn", "chat/1") as (_, port):
        context = client_context()
        context.set_alpn_protocols(["chat/2", "chat/1"])
        async with connect(port, LINES, context=context) as connection:
            assert tls_of(connection).alpn == "chat/1"


@needs_openssl
async def test_openssl_and_we_choose_a_certificate_by_name(
    files: Files, tmp_path: Path, nursery: trio.Nursery, record: Record
) -> None:
    def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str, _: object) -> None:
        tls.context = server_context(name)

    tls = server_context("none.example")
    tls.sni_callback = choose
    server = await start(nursery, echo, LINES, record, tls=tls)
    where = ("-connect", f"{LOOPBACK}:{server.port}", "-CAfile", files[2])
    for name in ("one.example", "two.example"):
        expect = ("-servername", name, "-verify_hostname", name, "-verify_return_error")
        async with openssl("s_client", *where, *expect, "-quiet") as client:
            await client.types(f"{name}\n")
            await client.prints(f"{name}\n")
    folder = tmp_path / "second"
    folder.mkdir()
    chain, key, _ = write_files(certificate("two.example"), folder)
    second = ("-servername", "two.example", "-cert2", chain, "-key2", key)
    for host, expected in [
        ("two.example", certificate("two.example")),
        (HOST, certificate(HOST, ADDRESS)),
    ]:
        async with s_server(files, "-rev", *second) as (_, port):
            async with connect(port, LINES, host=host) as connection:
                assert tls_of(connection).peer_certificate_der == der(expected)


@needs_openssl
@each_version
async def test_openssl_can_start_tls_by_smtp(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """As a mail server does it (RFC 3207)."""

    async def receive_mail(connection: Text) -> None:
        await connection.send("220 mail.example ESMTP")
        async for line in connection:
            match line.split()[0].upper():
                case "EHLO" if connection.tls is None:
                    await connection.send_many(["250-mail.example", "250 STARTTLS"])
                case "EHLO":
                    await connection.send("250 mail.example, over TLS")
                case "STARTTLS":
                    await connection.send("220 go ahead")
                    await connection.start_tls(server_context(version=version))
                case "QUIT":
                    await connection.send("221 goodbye")
                    return
                case _:
                    await connection.send("500 what?")

    codec = codecs.Lines(newline="\r\n")
    server = await start(nursery, receive_mail, codec, record)
    async with s_client(server.port, files, "-starttls", "smtp", "-quiet") as client:
        await client.prints("250 STARTTLS\r\n")
        await client.types("EHLO me.example\r\n")
        await client.prints("250 mail.example, over TLS\r\n")
        await client.types("quit\r\n")
        assert "221 goodbye\r\n" in await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
async def test_openssl_changes_its_keys_and_asks_for_ours(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """As often as it likes, from either side, while messages go to and fro."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        for number, command in enumerate("KkKkKKkk"):
            await client.types(f"{command}\n")
            await client.prints("KEYUPDATE")
            line = f"number {number}: " + "x" * 20_000 + "\n"
            await client.types(line)
            await client.prints(line)
        for _ in range(20):
            await client.types("K\n")
            await client.prints("KEYUPDATE")
        await client.types("last\n")
        await client.prints("last\n")
        await client.types("Q\n")
        await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == 9
    async with s_server(files) as (peer, port):
        async with connect(port, LINES) as connection:
            await connection.send("hello")
            await peer.prints("hello")
            for number, command in enumerate("KkKkKKkk"):
                await peer.types(f"{command}\n")
                await peer.types(f"number {number}\n")
                assert await connection.receive() == f"number {number}"
                # One record: it prints other things between two.
                await connection.send(f"answer {number} " + "x" * 10_000)
                await peer.prints(f"answer {number} " + "x" * 10_000)


@needs_openssl
async def test_keys_change_while_much_is_being_sent(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """The answer to a KeyUpdate finds its place between the records."""

    async def flood(connection: Text) -> None:
        for number in range(200):
            await connection.send(f"number {number} " + "x" * 20_000)
        assert await connection.receive() == "thank you"

    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    server = await start(nursery, flood, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        await client.prints("number 0 ")

        async def read() -> None:
            for number in range(1, 200):
                await client.prints(f"\nnumber {number} ")
            await client.prints("x" * 20_000 + "\n")

        async with trio.open_nursery() as reading:
            reading.start_soon(read)
            for _ in range(10):
                await client.types("K\n")
        await client.types("thank you\n")
        await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
@each_version
@pytest.mark.parametrize("asks", [False, True], ids=["", "with a certificate"])
async def test_openssl_resumes_a_session(
    version: ssl.TLSVersion,
    asks: bool,
    files: Files,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """With a ticket of ours; and who it is, is known again."""

    async def tell(connection: Text) -> None:
        known = tls_of(connection).peer_certificate is not None
        async for line in connection:
            await connection.send(f"{line}: {known}")

    tls = server_context(version=version, asks_clients=asks)
    server = await start(nursery, tell, LINES, record, tls=tls)
    session = files[0].with_name("session")
    identity = ("-cert", files[0], "-key", files[1])
    for options, seen in [("-sess_out", "New, "), ("-sess_in", "Reused, ")]:
        async with s_client(server.port, files, options, session, *identity) as client:
            await client.prints(seen + name_of(version))
            await client.types("hello\n")
            await client.prints(f"hello: {asks}\n")
            await client.types("Q\n")
            await client.ends()
    ends = await record.wait(trio_tcp.ConnectionEnded, 2)
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}


@needs_openssl
async def test_openssl_may_ask_for_small_records(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """Of 512 bytes each (RFC 6066, 4), which a message fills many of."""
    server = await start(nursery, echo, LINES, record, tls=server_context())
    small = ("-maxfraglen", 512)
    async with s_client(server.port, files, "-quiet", *small) as client:
        line = "x" * 200_000 + "\n"
        async with trio.open_nursery() as typing:
            typing.start_soon(client.types, line)
            await client.prints(line)


@needs_openssl
async def test_openssl_may_not_renegotiate_with_our_server(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """It gives up; the others are not concerned."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_2)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with connect(server.port, LINES) as other:
        async with s_client(server.port, files, *COMMANDS) as client:
            await client.types("hello\n")
            await client.prints("hello\n")
            await client.types("R\n")
            assert "no renegotiation" in await client.ends()
        await record.wait(trio_tcp.ConnectionEnded)
        await other.send("hello")
        assert await other.receive() == "hello"
    assert not record.all(trio_tcp.HandlerFailed)


@needs_openssl
async def test_plain_text_from_openssl_is_no_message(files: Files) -> None:
    """It can be told to send some past its own encryption."""
    async with s_server(files) as (server, port):
        async with connect(port, LINES) as connection:
            await server.types("hello\n")
            assert await connection.receive() == "hello"
            await server.types("P\n")
            with pytest.raises(trio_tcp.ConnectionBroken, match="no valid TLS"):
                await connection.receive()


@needs_openssl
@each_version
async def test_an_openssl_that_is_killed_has_not_closed(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """The kernel ends its stream; nobody says close_notify for it."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, "-quiet") as client:
        await client.types("hello\n")
        await client.prints("hello\n")
        client.process.kill()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TRUNCATED
    assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)


@needs_openssl
async def test_openssl_may_renegotiate_while_nothing_is_sent(files: Files) -> None:
    """TLS 1.2 lets a server do that, and it needs somebody who reads."""
    async with s_server(files, "-tls1_2", "-msg") as (server, port):
        async with connect(port, LINES) as connection:
            for _ in range(2):
                await server.prints(", Finished")  # theirs, and ours
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await server.types("r\n")
                for _ in range(2):
                    await server.prints(", Finished")
                nursery.cancel_scope.cancel()
            await connection.send("hello from here")
            await server.prints("hello from here")
            await server.types("hello from there\n")
            assert await connection.receive() == "hello from there"


# asyncio -----------------------------------------------------------------------------


async def asyncio_client(port: int, starts: bool) -> list[bytes]:
    """Send all messages, read the answers, and close."""
    context = client_context()
    reader, writer = await asyncio.open_connection(
        LOOPBACK,
        port,
        ssl=None if starts else context,
        server_hostname=None if starts else HOST,
    )
    if starts:
        writer.write(frame(b"STARTTLS"))
        assert await reader.readexactly(12) == frame(b"go ahead")
        await writer.start_tls(context, server_hostname=HOST)
    answers: list[bytes] = []
    for _ in range(2):
        writer.writelines(map(frame, MESSAGES))
        for _ in MESSAGES:
            size = int.from_bytes(await reader.readexactly(4), "big")
            answers.append(await reader.readexactly(size))
    writer.close()
    await writer.wait_closed()
    return answers


async def echo_over_tls(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Go over to TLS when the client wants to."""
    async for message in connection:
        if message == b"STARTTLS":
            await connection.send(b"go ahead")
            await connection.start_tls(server_context())
        else:
            await connection.send(message)


@pytest.mark.parametrize("starts", [False, True], ids=["", "in the middle"])
async def test_an_asyncio_client_talks_to_our_server(
    starts: bool, nursery: trio.Nursery, record: Record
) -> None:
    codec = codecs.LengthPrefixed()
    tls = None if starts else server_context()
    server = await start(nursery, echo_over_tls, codec, record, tls=tls)
    answers = await trio.to_thread.run_sync(
        lambda: asyncio.run(asyncio_client(server.port, starts))
    )
    assert answers == MESSAGES * 2
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.error is None


async def asyncio_server(report_port: Callable[[int], None], starts: bool) -> None:
    """Echo bytes, in pieces that are no frames, to one client."""
    done = asyncio.Event()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if starts:
            assert await reader.readexactly(12) == frame(b"STARTTLS")
            writer.write(frame(b"go ahead"))
            await writer.drain()
            await writer.start_tls(server_context())
        while chunk := await reader.read(777):
            writer.write(chunk)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    tls = None if starts else server_context()
    async with await asyncio.start_server(handle, LOOPBACK, 0, ssl=tls) as server:
        report_port(server.sockets[0].getsockname()[1])
        await done.wait()


@pytest.mark.parametrize("starts", [False, True], ids=["", "in the middle"])
async def test_our_client_talks_to_an_asyncio_server(
    starts: bool, nursery: trio.Nursery
) -> None:
    """It ends when it is told to; asyncio takes that for the end of both directions."""
    ports, port = trio.open_memory_channel[int](1)

    def report_port(number: int) -> None:
        trio.from_thread.run_sync(ports.send_nowait, number)

    nursery.start_soon(
        trio.to_thread.run_sync,
        lambda: asyncio.run(asyncio_server(report_port, starts)),
    )
    async with trio_tcp.connect_tcp(
        LOOPBACK,
        await port.receive(),
        codec=codecs.LengthPrefixed(),
        tls=None if starts else client_context(),
        server_hostname=HOST,
    ) as connection:
        if starts:
            await connection.send(b"STARTTLS")
            assert await connection.receive() == b"go ahead"
            await connection.start_tls(client_context(), server_hostname=HOST)
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


# Plain sockets -----------------------------------------------------------------------


def blocking_client(port: int, how: str, version: ssl.TLSVersion) -> bytes:
    """Send a message, and end in one of several ways; return what is read."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        context = client_context(version=version)
        with context.wrap_socket(sock, server_hostname=HOST) as tls:
            tls.sendall(frame(b"hello") + frame(b"x" * 100_000))
            received = b""
            while len(received) < 9 + 100_004:
                received += tls.recv(1 << 16)
            match how:
                case "closes":
                    pass  # with neither close_notify nor shutdown
                case "shuts down":
                    tls.shutdown(socket.SHUT_WR)  # of TCP alone; no TLS after that
                    with suppress(ConnectionResetError):
                        while tls.recv(1 << 16):
                            pass
                case "unwraps":
                    tls.unwrap()  # sends close_notify, and waits for ours
                case _:
                    raise AssertionError(how)
    return received


@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
@pytest.mark.parametrize("how", ["closes", "shuts down", "unwraps"])
async def test_a_blocking_socket_ends_in_its_way(
    version: ssl.TLSVersion,
    how: str,
    allowed: bool,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """Python's sockets leave out close_notify, unless they are unwrapped."""
    tls = trio_tcp.Tls(server_context(), allow_ragged_eof=allowed)
    server = await start(nursery, echo, codecs.LengthPrefixed(), record, tls=tls)
    received = await trio.to_thread.run_sync(blocking_client, server.port, how, version)
    assert received == frame(b"hello") + frame(b"x" * 100_000)
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    if how == "unwraps" or allowed:
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.error is None
    else:
        assert ended.reason is CloseReason.TRUNCATED
        assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)


@contextmanager
def blocking_server(
    serve: Callable[[ssl.SSLSocket], None], context: ssl.SSLContext
) -> Generator[int, None, None]:
    """Serve one client in a thread; tell the port."""

    def run() -> None:
        sock, _ = listener.accept()
        with sock, context.wrap_socket(sock, server_side=True) as tls:
            serve(tls)

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
async def test_a_blocking_server_leaves_out_close_notify(
    version: ssl.TLSVersion, allowed: bool
) -> None:
    def serve(tls: ssl.SSLSocket) -> None:
        while tls.recv(1 << 16) != b"last\n":
            pass
        tls.sendall(b"one\ntwo\n")

    tls = trio_tcp.Tls(client_context(), allow_ragged_eof=allowed)
    with blocking_server(serve, server_context(version=version)) as port:
        async with connect(port, LINES, context=tls) as connection:
            await connection.send("last")
            assert await connection.receive() == "one"
            assert await connection.receive() == "two"
            kind = trio_tcp.PeerClosed if allowed else trio_tcp.CloseNotifyMissingError
            with pytest.raises(kind):
                await connection.receive()


@each_version
async def test_a_client_that_half_closes_at_once_gets_its_answer(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """Request, close_notify and FIN in one: `printf ... | ncat --ssl`, and the like."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for size in SIZES:
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            line = b"x" * size + b"\n"
            async with trio.open_nursery() as sending:
                end = peer.encrypted(line) + peer.close_notify()

                async def send(data: bytes = end) -> None:
                    await stream.send_all(data)
                    await stream.send_eof()

                sending.start_soon(send)
                assert await peer.receive_all() == line
    ends = await record.wait(trio_tcp.ConnectionEnded, len(SIZES))
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}


@each_version
async def test_a_client_that_is_gone_after_its_close_notify_has_closed(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """Its kernel answers our close_notify with a reset. That is no fault of its."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for _ in range(20):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            await peer.send(b"hello\n")
            assert await peer.receive_exactly(6) == b"hello\n"
            await stream.send_all(peer.close_notify())
    ends = await record.wait(trio_tcp.ConnectionEnded, 20)
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}


async def test_unix_sockets_carry_tls_too(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    serve = partial(trio_tcp.serve_unix, echo, path, codec=LINES, observer=record)
    await nursery.start(partial(serve, tls=server_context()))
    async with trio_tcp.open_connection(
        await trio.open_unix_socket(path),
        codec=LINES,
        tls=client_context(),
        server_hostname=HOST,
    ) as connection:
        for size in SIZES:
            async with trio.open_nursery() as sending:
                sending.start_soon(connection.send, "x" * size)
                assert await connection.receive() == "x" * size
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED


async def test_a_reset_is_a_reset(nursery: trio.Nursery, record: Record) -> None:
    """Over TLS as without."""

    async def give_up(connection: Text) -> None:
        assert await connection.receive() == "abort"
        connection.abort()

    server = await start(nursery, give_up, LINES, record, tls=server_context())
    async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
        peer = Peer(stream, client_context(), server_hostname=HOST)
        await peer.shake_hands()
        await peer.send(b"abort\n")
        await receive_reset(stream)


async def test_a_proxys_header_comes_before_tls(
    nursery: trio.Nursery, record: Record
) -> None:
    """Also in one piece with the client's hello, or cut anywhere."""
    peers: list[str] = []

    async def tell(connection: Text) -> None:
        peers.append(str(connection.peer))
        await echo(connection)

    server = await start(
        nursery,
        tell,
        LINES,
        record,
        tls=server_context(),
        proxy_protocol=trio_tcp.ProxyProtocol(trusted=[LOOPBACK]),
    )
    header = b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 443\r\n"
    for cut in (0, 1, len(header) - 1, len(header) + 1, len(header) + 100, 10_000):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            first = header + peer.hello()
            await stream.send_all(first[:cut])
            await trio.testing.wait_all_tasks_blocked(0.01)
            await stream.send_all(first[cut:])
            await peer.shake_hands()
            await peer.send(b"hello\n")
            assert await peer.receive_exactly(6) == b"hello\n"
            await peer.end()
            assert await peer.receive_all() == b""
    assert peers == ["192.0.2.7:40000"] * 6
    async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
        await stream.send_all(header + b"EHLO plain\r\n")
        assert await receive_reset_or_end(stream) == b""
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert failed.stage == "TLS"
    assert str(failed.peer) == "192.0.2.7:40000"


async def receive_reset_or_end(stream: trio.SocketStream) -> bytes:
    """Read until the other end closes, in whichever way."""
    received = b""
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return received


# Clients that do not get in ----------------------------------------------------------


async def test_a_client_is_told_what_it_could_not_agree_on(
    nursery: trio.Nursery, record: Record
) -> None:
    """Among the attempts of its `ConnectError`."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    strange = server_context(certificate_from=strange_certificate(HOST))
    plain = await start(nursery, echo, LINES, Record())
    modern = await start(nursery, echo, LINES, record, tls=tls)
    unknown = await start(nursery, echo, LINES, record, tls=strange)
    for port, host, context, words in [
        (modern.port, "other.example", client_context(), "ostname mismatch"),
        (
            modern.port,
            HOST,
            client_context(version=ssl.TLSVersion.TLSv1_2),
            "alert 'protocol version'",
        ),
        (unknown.port, HOST, client_context(), "certificate was refused"),
    ]:
        with pytest.raises(trio_tcp.ConnectError) as caught:
            async with connect(port, LINES, host=host, context=context):
                pass
        (attempt,) = caught.value.attempts
        assert isinstance(attempt, trio_tcp.TlsHandshakeError)
        assert isinstance(attempt.__cause__, ssl.SSLError)
        assert words in str(attempt)
        assert words in str(caught.value)
        assert f"{LOOPBACK} port {port}" in str(caught.value)
        assert caught.value.errno is None
    events = await record.wait(trio_tcp.HandshakeFailed, 3)
    failures = [str(failed.error) for failed in events]
    assert "bad certificate" in failures[0]  # the alert for a wrong name
    assert "no TLS version or cipher is common" in failures[1]
    assert "unknown ca" in failures[2]
    with pytest.raises(trio_tcp.ConnectError) as caught:
        async with connect(
            plain.port, LINES, timeouts=trio_tcp.Timeouts(handshake=0.1)
        ):
            pass
    (attempt,) = caught.value.attempts
    assert isinstance(attempt, trio_tcp.PeerTooSlowError | trio_tcp.TlsHandshakeError)


async def test_a_handshake_that_fails_counts_for_its_address_no_more(
    nursery: trio.Nursery, record: Record
) -> None:
    limits = trio_tcp.Limits(max_per_address=1)
    server = await start(
        nursery, echo, LINES, record, tls=server_context(), limits=limits
    )
    for count in range(1, 4):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            await stream.send_all(b"EHLO plain\r\n")
            await record.wait(trio_tcp.HandshakeFailed, count)
    async with connect(server.port, LINES) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"
    assert not record.all(trio_tcp.ConnectionRejected)


async def test_the_name_to_expect_is_the_one_that_was_asked_for(
    nursery: trio.Nursery, record: Record
) -> None:
    """The host, or its address, which then must be in the certificate."""
    tls = server_context(HOST, ADDRESS)
    server = await start(nursery, echo, LINES, record, tls=tls)
    only_name = await start(nursery, echo, LINES, record, tls=server_context(HOST))
    for host, port in [
        ("localhost", server.port),
        ("127.0.0.1", server.port),
        ("localhost", only_name.port),
    ]:
        async with trio_tcp.connect_tcp(
            host, port, codec=LINES, tls=client_context()
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
    with pytest.raises(trio_tcp.ConnectError, match="IP address mismatch"):
        async with trio_tcp.connect_tcp(
            LOOPBACK, only_name.port, codec=LINES, tls=client_context()
        ):
            pass


@each_version
async def test_a_client_without_a_certificate_is_told_so(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """In TLS 1.3 behind its handshake, by the first call that meets the alert."""
    tls = server_context(version=version, asks_clients=True)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for _ in range(20):
        kinds = trio_tcp.ConnectError, trio_tcp.ConnectionBroken
        with pytest.raises(kinds) as caught:
            async with connect(server.port, LINES) as connection:
                await connection.receive()
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert '{alert}" in str(caught.value)
    failures = await record.wait(trio_tcp.HandshakeFailed, 20)
    for failed in failures:
        assert "the peer has sent no certificate" in str(failed.error)


# Trio's own --------------------------------------------------------------------------


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_trios_client_talks_to_our_server(
    https: bool, nursery: trio.Nursery, record: Record
) -> None:
    """Compatible with HTTPS, it leaves out close_notify, and expects none."""
    server = await start(nursery, echo, LINES, record, tls=server_context())
    stream = await trio.open_ssl_over_tcp_stream(
        HOST, server.port, ssl_context=client_context(), https_compatible=https
    )
    for size in SIZES:
        line = b"x" * size + b"\n"
        received = b""
        async with trio.open_nursery() as sending:
            sending.start_soon(stream.send_all, line)
            while len(received) < len(line):
                received += await stream.receive_some()
        assert received == line
    await stream.aclose()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is (CloseReason.TRUNCATED if https else CloseReason.PEER_CLOSED)


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_trios_client_sees_our_servers_end(
    https: bool, nursery: trio.Nursery, record: Record
) -> None:
    async def say(connection: Text) -> None:
        await connection.send("x" * 300_000)

    server = await start(nursery, say, LINES, record, tls=server_context())
    stream = await trio.open_ssl_over_tcp_stream(
        HOST, server.port, ssl_context=client_context(), https_compatible=https
    )
    received = b"".join([chunk async for chunk in stream])
    assert received == b"x" * 300_000 + b"\n"
    await stream.aclose()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


async def serve_ssl(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
    nursery: trio.Nursery,
    https: bool,
) -> int:
    """Serve with Trio's own TLS; return the port."""
    listeners = await nursery.start(
        partial(
            trio.serve_ssl_over_tcp,
            handler,
            0,
            server_context(),
            host=LOOPBACK,
            https_compatible=https,
        )
    )
    port: int = listeners[0].transport_listener.socket.getsockname()[1]
    return port


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_our_client_talks_to_trios_server(
    https: bool, nursery: trio.Nursery
) -> None:
    async def echo_bytes(stream: trio.abc.Stream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk)
        await stream.aclose()

    port = await serve_ssl(echo_bytes, nursery, https)
    async with connect(port, codecs.LengthPrefixed()) as connection:
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        kind = trio_tcp.CloseNotifyMissingError if https else trio_tcp.PeerClosed
        with pytest.raises(kind):
            await connection.receive()


async def test_our_handler_runs_on_trios_server(
    nursery: trio.Nursery, record: Record
) -> None:
    """`framed` has its policies there, too; TLS is Trio's."""
    serve = trio_tcp.framed(echo, codec=codecs.LengthPrefixed(), observer=record)
    port = await serve_ssl(serve, nursery, https=False)
    async with connect(port, codecs.LengthPrefixed()) as connection:
        assert tls_of(connection).version == "TLSv1.3"
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == len(MESSAGES)
