"""HAProxy in front of our servers: the real program, with clients behind it.

It listens on a socket that the test has opened, so that no port has to be guessed and
clients can connect before it is up. What it has to say is waited for in its log.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import socket
import ssl
import struct
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, final

import attrs
import pytest
import trio

import trio_tcp
from tests.certificates import (
    HOST,
    authority,
    certificate,
    client_context,
    each_version,
    server_context,
)
from tests.integration.loopback import (
    LOOPBACK,
    Program,
    Record,
    echo,
    receive_all,
    receive_exactly,
    until,
)
from trio_tcp import (
    CloseReason,
    Limits,
    ProxyHeader,
    ProxyProtocol,
    TcpAddress,
    codecs,
)

# Debian has it where only root looks for programs.
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

pytestmark = pytest.mark.skipif(
    HAPROXY is None, reason="the program haproxy is not installed"
)

Text: TypeAlias = trio_tcp.Connection[str, str]

LOCAL_PROXIES = ProxyProtocol(trusted=[LOOPBACK])

# One thread is enough here. What is not retried at once waits for a second.
CONFIGURATION = """
global
    log stdout format raw local0 info
    nbthread 1
    maxconn 500

defaults
    mode tcp
    log global
    log-format "session with %s: %ts, %B bytes"
    option log-health-checks
    option redispatch 1
    retries 3
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout check 10s

listen front
    bind fd@{descriptor} {bind}
"""


@final
class Proxy:
    """A running haproxy.

    Attributes:
        address: where it listens for clients.
        log: what it has said, line by line.
    """

    def __init__(self, address: TcpAddress, process: trio.Process) -> None:
        self.address = address
        self.log: list[str] = []
        self._process = process
        self._news = trio.Event()
        self._killed = False

    async def listen(self) -> None:
        """Take down what it says, to its end, which must not come by itself."""
        assert self._process.stdout is not None
        program = Program(self._process, self._process.stdout)
        while line := await program.line():
            self.log.append(line)
            self._news.set()
            self._news = trio.Event()
        assert self._killed, f"haproxy ended with {await self._process.wait()}"

    def kill(self) -> None:
        """End it, and all connections through it, at once."""
        self._killed = True
        self._process.kill()

    async def says(self, text: str) -> None:
        """Wait until a line of its log has this text."""
        while not any(text in line for line in self.log):
            await self._news.wait()

    def ends_of_use(self, name: str) -> list[str]:
        """Return how haproxy's sessions with a server have ended, if it sent anything.

        The first letter says who broke it off, and the second in what state it was.
        """
        pattern = rf"session with {name}: (..), [1-9][0-9]* bytes"
        return [found[1] for line in self.log if (found := re.match(pattern, line))]

    async def connect(self, source: str | None = None) -> trio.SocketStream:
        """Connect a client, which may have one of this machine's other addresses."""
        return await trio.open_tcp_stream(*self.address, local_address=source)


@asynccontextmanager
async def haproxy(
    folder: Path, *lines: str, bind: str = "", host: str = LOOPBACK
) -> AsyncGenerator[Proxy, None]:
    """Run haproxy; kill it at the end of the block if it still runs.

    Args:
        folder: for its configuration.
        lines: of the proxy, such as ``server ours 127.0.0.1:80 send-proxy``.
        bind: options of its listener.
        host: where it listens.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only haproxy has it open in the end: when that is gone, nobody listens.
    with socket.create_server((host, 0), family=family) as listener:
        address = TcpAddress(*listener.getsockname()[:2])
        descriptor = listener.fileno()
        text = CONFIGURATION.format(descriptor=descriptor, bind=bind)
        text += "".join(f"    {line}\n" for line in lines)
        (folder / "haproxy.cfg").write_text(text)
        assert HAPROXY is not None
        process = await trio.lowlevel.open_process(
            [HAPROXY, "-db", "-f", folder / "haproxy.cfg"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor],
        )
    assert process.stdout is not None
    try:
        async with trio.open_nursery() as nursery:
            proxy = Proxy(address, process)
            nursery.start_soon(proxy.listen)
            yield proxy
            proxy.kill()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await trio.aclose_forcefully(process.stdout)


async def tell_who(connection: Text) -> None:
    """Answer each message with the peer's address, as the server knows it."""
    async for text in connection:
        await connection.send(f"{text} from {connection.peer}")


def bound_socket() -> socket.socket:
    """Make a socket that has a port, but does not listen yet."""
    sock = socket.socket()
    sock.bind((LOOPBACK, 0))
    return sock


async def start(
    nursery: trio.Nursery,
    record: Record,
    handler: trio_tcp.Handler[Any, Any] = tell_who,
    *,
    codec: codecs.Codec[Any, Any] | None = None,
    sock: socket.socket | None = None,
    proxy_protocol: ProxyProtocol | None = LOCAL_PROXIES,
    **options: Any,  # noqa: ANN401 - of `serve_listeners`
) -> trio_tcp.Server:
    """Start a server that is behind proxies on this machine, unless told otherwise."""
    sock = sock or bound_socket()
    sock.listen()

    def observe(event: trio_tcp.Event) -> None:
        record(event)
        trio_tcp.log_events(event)

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [trio.SocketListener(trio.socket.from_stdlib_socket(sock))],
        codec=codecs.Lines() if codec is None else codec,
        proxy_protocol=proxy_protocol,
        observer=observe,
        **options,
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return server


def ours(server: trio_tcp.Server, options: str, name: str = "ours") -> str:
    """Write a line of haproxy's configuration: where to pass connections on to."""
    return f"server {name} {LOOPBACK}:{server.port} {options}"


def address_of(stream: trio.SocketStream) -> TcpAddress:
    """Return where this end is."""
    host, port, *_ = stream.socket.getsockname()
    return TcpAddress(host, port)


async def ask(stream: trio.SocketStream, text: str = "hello") -> str:
    """Send a line, and return the one that comes back."""
    await stream.send_all(f"{text}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        answer += await receive_exactly(stream, 1)
    return answer.decode().rstrip("\n")


async def header_of_the_first(
    server: trio_tcp.Server, record: Record
) -> trio_tcp.ProxyHeader:
    """Return what haproxy said of the first client, which is the only one."""
    await record.wait(trio_tcp.ConnectionOpened)
    [connection] = server.connections
    assert connection.proxy_header is not None
    return connection.proxy_header


# Whose connection it is


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
async def test_the_peer_is_the_client_in_front_of_haproxy(
    nursery: trio.Nursery, record: Record, tmp_path: Path, host: str, version: str
) -> None:
    """And the header says to what address of haproxy it has connected."""
    server = await start(nursery, record)
    async with haproxy(tmp_path, ours(server, version), host=host) as proxy:
        async with await proxy.connect() as stream:
            assert await ask(stream) == f"hello from {address_of(stream)}"
            assert await header_of_the_first(server, record) == ProxyHeader(
                source=address_of(stream), destination=proxy.address
            )
            await stream.send_eof()
            assert await receive_all(stream) == b""
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED


async def test_haproxys_extensions_are_read_and_its_checksum_fits(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """A checksum that does not fit would be the end of the connection."""
    server = await start(nursery, record)
    options = "send-proxy-v2 proxy-v2-options crc32c,unique-id"
    lines = ["unique-id-format %ci/%cp", ours(server, options)]
    async with haproxy(tmp_path, *lines) as proxy:
        async with await proxy.connect() as stream:
            here = address_of(stream)
            assert await ask(stream) == f"hello from {here}"
            header = await header_of_the_first(server, record)
            tlvs = dict(header.tlvs)
            assert tlvs.keys() == {0x03, 0x05}
            assert len(tlvs[0x03]) == 4
            assert tlvs[0x05] == f"{here.host}/{here.port}".encode()


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
async def test_a_client_on_a_unix_socket_of_haproxy_has_no_address(
    nursery: trio.Nursery, record: Record, tmp_path: Path, version: str
) -> None:
    """Haproxy says UNKNOWN or LOCAL of it: its own address is all that there is."""
    server = await start(nursery, record)
    path = tmp_path / "front"
    lines = [f"bind unix@{path}", ours(server, version)]
    async with haproxy(tmp_path, *lines) as proxy:
        async with await proxy.connect() as stream:
            await ask(stream)  # haproxy is up, and listens there too
        await record.wait(trio_tcp.ConnectionEnded)
        async with await trio.open_unix_socket(path) as stream:
            assert (await ask(stream)).startswith(f"hello from {LOOPBACK}:")
            assert await header_of_the_first(server, record) == ProxyHeader()


async def test_haproxy_reaches_a_server_on_a_unix_socket(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """Where it is trusted without being named."""
    path = tmp_path / "back"
    serve = partial(
        trio_tcp.serve_unix,
        tell_who,
        path,
        codec=codecs.Lines(),
        proxy_protocol=ProxyProtocol(trusted=["10.0.0.0/8"]),
        observer=record,
    )
    await nursery.start(serve)
    line = f"server ours unix@{path} send-proxy-v2"
    async with haproxy(tmp_path, line) as proxy:
        async with await proxy.connect() as stream:
            assert await ask(stream) == f"hello from {address_of(stream)}"


async def test_what_a_client_says_in_haproxys_way_is_a_message(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """Its address is what haproxy has said before."""
    server = await start(nursery, record)
    async with haproxy(tmp_path, ours(server, "send-proxy")) as proxy:
        async with await proxy.connect() as stream:
            spoofed = "PROXY TCP4 10.1.2.3 10.1.2.4 5 6"
            answer = await ask(stream, spoofed)
            assert answer == f"{spoofed} from {address_of(stream)}"


async def test_haproxy_is_trusted_and_not_who_goes_around_it(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """It has an address of its own."""
    trusted = ProxyProtocol(trusted=["127.0.0.9"])
    server = await start(nursery, record, proxy_protocol=trusted)
    line = ours(server, "send-proxy-v2 source 127.0.0.9")
    async with haproxy(tmp_path, line) as proxy:
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"PROXY TCP4 10.1.2.3 10.1.2.4 5 6\r\n")
                await stream.receive_some()
        async with await proxy.connect() as stream:
            assert await ask(stream) == f"hello from {address_of(stream)}"
    [rejected] = record.all(trio_tcp.ConnectionRejected)
    assert rejected.limit == "proxy_protocol"


async def send_and_receive(address: TcpAddress, data: bytes) -> bytes:
    """Send with asyncio, read at the same time, and half-close in the middle."""
    reader, writer = await asyncio.open_connection(*address)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    received = await reader.read(-1)
    await sending
    writer.close()
    await writer.wait_closed()
    return received


async def test_many_clients_send_much_through_haproxy(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """All of it comes back, to whom it belongs."""
    codec = codecs.LengthPrefixed()
    server = await start(nursery, record, echo, codec=codec)
    data = [codec.encode(bytes([n]) * 300_000) * 3 for n in range(10)]

    async def all_clients(address: TcpAddress) -> list[bytes]:
        clients = [send_and_receive(address, each) for each in data]
        return await asyncio.gather(*clients)

    async with haproxy(tmp_path, ours(server, "send-proxy-v2")) as proxy:
        received = await trio.to_thread.run_sync(
            lambda: asyncio.run(all_clients(proxy.address))
        )
    assert received == data
    ended = await record.wait(trio_tcp.ConnectionEnded, len(data))
    assert {each.reason for each in ended} == {CloseReason.PEER_CLOSED}


# TLS


@attrs.frozen
class Answered:
    """What a TLS client has got, and how it was reached."""

    here: TcpAddress
    text: str
    version: str | None
    certificate: object


def ask_over_tls(address: TcpAddress, context: ssl.SSLContext) -> Answered:
    """Ask one question with the standard library, and close as TLS wants it."""
    with socket.create_connection(address) as sock:
        here = TcpAddress(*sock.getsockname())
        with context.wrap_socket(sock, server_hostname=HOST) as tls:
            tls.sendall(b"hello\n")
            text = tls.makefile(encoding="utf-8").readline().rstrip("\n")
            shown = tls.getpeercert(binary_form=True)
            version = tls.version()
            tls.unwrap()
    return Answered(here, text, version, shown)


def keys_for_haproxy(folder: Path) -> tuple[Path, Path]:
    """Write a certificate with its key, and the authority, as haproxy wants them."""
    pem, trusted = folder / "haproxy.pem", folder / "authority.pem"
    certificate(HOST).private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority().cert_pem.write_to_path(str(trusted))
    return pem, trusted


@each_version
@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
async def test_tls_goes_through_haproxy_behind_the_header(
    nursery: trio.Nursery,
    record: Record,
    tmp_path: Path,
    header: str,
    version: ssl.TLSVersion,
) -> None:
    """It is our certificate that the client sees, and we who see its version."""
    server = await start(nursery, record, tls=server_context())
    async with haproxy(tmp_path, ours(server, header)) as proxy:
        answered = await trio.to_thread.run_sync(
            ask_over_tls, proxy.address, client_context(version=version)
        )
    assert answered.text == f"hello from {answered.here}"
    assert answered.version == version.name.replace("_", ".")
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.peer == answered.here
    assert ended.reason is CloseReason.PEER_CLOSED


def parts(tlvs: bytes) -> dict[int, bytes]:
    """Take apart what is inside a TLV."""
    found: dict[int, bytes] = {}
    while tlvs:
        kind, size = struct.unpack_from("!BH", tlvs)
        found[kind], tlvs = tlvs[3 : 3 + size], tlvs[3 + size :]
    return found


async def test_haproxy_ends_tls_and_says_who_the_client_was(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """The header has the name that was asked for, and that of the certificate."""
    headers: list[ProxyHeader | None] = []

    async def note(connection: Text) -> None:
        assert connection.tls is None
        headers.append(connection.proxy_header)
        await tell_who(connection)

    server = await start(nursery, record, note)
    pem, trusted = keys_for_haproxy(tmp_path)
    alice = authority().issue_cert("alice@example.org", common_name="alice")
    options = "send-proxy-v2-ssl-cn proxy-v2-options authority"
    bind = f"ssl crt {pem} ca-file {trusted} verify required"
    async with haproxy(tmp_path, ours(server, options), bind=bind) as proxy:
        context = client_context(version=ssl.TLSVersion.TLSv1_3, identity=alice)
        answered = await trio.to_thread.run_sync(ask_over_tls, proxy.address, context)
        assert answered.text == f"hello from {answered.here}"
    [header] = headers
    assert header is not None
    assert header.source == answered.here
    tlvs = dict(header.tlvs)
    assert tlvs[0x02] == HOST.encode()
    client, verify = struct.unpack_from("!BI", tlvs[0x20])
    assert client == 0x01 | 0x02 | 0x04  # TLS, and a certificate on this connection
    assert verify == 0  # which was verified
    described = parts(tlvs[0x20][5:])
    assert described[0x21] == b"TLSv1.3"
    assert described[0x22] == b"alice"


async def test_haproxy_ends_tls_and_speaks_tls_to_us_behind_its_header(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """Both halves of the way are encrypted; ours is verified by haproxy."""
    server = await start(nursery, record, tls=server_context())
    pem, trusted = keys_for_haproxy(tmp_path)
    options = (
        f"send-proxy-v2 ssl verify required ca-file {trusted} "
        f"verifyhost {HOST} sni str({HOST})"
    )
    async with haproxy(tmp_path, ours(server, options), bind=f"ssl crt {pem}") as proxy:
        answered = await trio.to_thread.run_sync(
            ask_over_tls, proxy.address, client_context()
        )
    assert answered.text == f"hello from {answered.here}"


# Health checks


@attrs.frozen
class Check:
    """How haproxy looks whether a server lives.

    Attributes:
        options: of the server, in haproxy's configuration.
        proxied: our server is behind proxies.
        tls: it speaks TLS.
        lines: what else there is in the configuration.
    """

    options: str
    proxied: bool = True
    tls: bool = False
    lines: tuple[str, ...] = ()


DIALOGUE = (
    "option tcp-check",
    r"tcp-check send ping\n",
    "tcp-check expect string ping",
)
CHECKS = {
    "connects": Check("check", proxied=False),
    "connects, in vain": Check("check port {port} send-proxy"),
    "says UNKNOWN": Check("check send-proxy"),
    "says LOCAL": Check("check send-proxy-v2"),
    "says LOCAL, then TLS": Check(
        "check check-ssl verify none send-proxy-v2", tls=True
    ),
    "says UNKNOWN, then talks": Check("check send-proxy", lines=DIALOGUE),
    "says LOCAL, then talks": Check("check send-proxy-v2", lines=DIALOGUE),
}
RISE = 10


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
async def test_health_checks_pass_without_noise(
    nursery: trio.Nursery,
    record: Record,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    check: Check,
) -> None:
    """Several in a row, until haproxy believes in the server and lets a client in."""
    caplog.set_level(logging.DEBUG, "trio_tcp")
    with bound_socket() as sock:
        port: int = sock.getsockname()[1]
        # Quick, until it is up; but no check has less time than the first number.
        times = f"inter 30s fastinter 10ms downinter 10ms fall 1 rise {RISE}"
        options = f"{check.options} {times}".format(port=port)
        line = f"server ours {LOOPBACK}:{port} {options}"
        async with haproxy(tmp_path, *check.lines, line) as proxy:
            await proxy.says("Server front/ours is DOWN")
            server = await start(
                nursery,
                record,
                sock=sock,
                proxy_protocol=LOCAL_PROXIES if check.proxied else None,
                tls=server_context() if check.tls else None,
                limits=Limits(max_connections=100),
            )
            await proxy.says("Server front/ours is UP")
            if check.tls:
                answered = await trio.to_thread.run_sync(
                    ask_over_tls, proxy.address, client_context()
                )
                assert answered.text == f"hello from {answered.here}"
            else:
                async with await proxy.connect() as stream:
                    assert (await ask(stream)).startswith("hello from ")
            if check.lines:
                ended = await record.wait(trio_tcp.ConnectionEnded, RISE)
                for each in ended[:RISE]:
                    assert isinstance(each.peer, TcpAddress)
                    assert each.peer.host == LOOPBACK
                    assert each.statistics.messages_received == 1
    assert "max_connections" not in server.statistics().rejected
    assert not record.all(trio_tcp.HandlerFailed)
    assert caplog.records
    assert all(each.levelno <= logging.INFO for each in caplog.records)


# Limits


async def test_a_limit_per_address_is_about_haproxys_clients(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """Haproxy has one address, and its clients have others."""
    server = await start(nursery, record, limits=Limits(max_per_address=2))
    async with haproxy(tmp_path, ours(server, "send-proxy-v2")) as proxy:
        many, one = "127.0.0.2", "127.0.0.3"
        async with await proxy.connect(many) as first:
            async with await proxy.connect(many) as second:
                for stream in (first, second):
                    assert (await ask(stream)).startswith(f"hello from {many}:")
                async with await proxy.connect(many) as third:
                    here = address_of(third)
                    assert await until_the_end(third) == b""
                [rejected] = await record.wait(trio_tcp.ConnectionRejected)
                assert (rejected.peer, rejected.limit) == (here, "max_per_address")
                async with await proxy.connect(one) as other:
                    assert (await ask(other)).startswith(f"hello from {one}:")
        await record.wait(trio_tcp.ConnectionEnded, 3)
        async with await proxy.connect(many) as again:
            assert (await ask(again)).startswith(f"hello from {many}:")


async def test_a_farewell_reaches_the_client_through_haproxy(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """The header is read before, and who is refused is known."""
    limits = Limits(max_connections=1, when_full="reject", farewell=b"full\n")
    server = await start(nursery, record, limits=limits)
    async with haproxy(tmp_path, ours(server, "send-proxy-v2")) as proxy:
        async with await proxy.connect() as first:
            await ask(first)
            async with await proxy.connect() as second:
                assert await receive_all(second) == b"full\n"
                here = address_of(second)
            [rejected] = await record.wait(trio_tcp.ConnectionRejected)
            assert (rejected.peer, rejected.limit) == (here, "max_connections")


# Its end, and ours


async def pour(connection: trio_tcp.Connection[str, str]) -> None:
    """Answer; and on the order to pour, do that without end."""
    async for text in connection:
        await connection.send(text)
        while text == "pour":
            await connection.send("x" * 10_000)


async def until_the_end(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end closes, or resets the connection."""
    received = b""
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return received


async def test_a_server_survives_the_death_of_its_haproxy(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """All connections end, whatever they were at, and the next haproxy is served."""
    server = await start(nursery, record, pour)
    line = ours(server, "send-proxy-v2")
    async with haproxy(tmp_path, line) as proxy, trio.open_nursery() as clients:
        idle, unfinished, not_reading = [await proxy.connect() for _ in range(3)]
        for stream in (idle, unfinished):
            assert await ask(stream) == "hello"
        await unfinished.send_all(b"half a li")
        assert await ask(not_reading, "pour") == "pour"
        await until(
            lambda: any(c.statistics().bytes_queued for c in server.connections)
        )
        proxy.kill()
        for stream in (idle, unfinished, not_reading):
            clients.start_soon(until_the_end, stream)
        ended = await record.wait(trio_tcp.ConnectionEnded, 3)
    for stream in (idle, unfinished, not_reading):
        await stream.aclose()
    assert {each.reason for each in ended} <= {
        CloseReason.PEER_CLOSED,
        CloseReason.TRUNCATED,
        CloseReason.BROKEN,
    }
    assert not record.all(trio_tcp.HandlerFailed)
    assert server.statistics().open == server.statistics().handshaking == 0
    async with haproxy(tmp_path, line) as proxy:
        async with await proxy.connect() as stream:
            assert await ask(stream) == "hello"


@final
class Servers:
    """Two servers that handle numbered requests, and who has handled which."""

    def __init__(self) -> None:
        self.handled: dict[str, list[str]] = {"a": [], "b": []}
        self.held: dict[str, int] = {"a": 0, "b": 0}
        self.release = trio.Event()

    def handler(self, name: str) -> trio_tcp.Handler[str, str]:
        """Make the handler of one of them."""

        async def handle(connection: Text) -> None:
            async for request in connection:
                self.handled[name].append(request)
                if request.startswith("hold"):
                    self.held[name] += 1
                    await self.release.wait()
                await connection.send(f"{request} by {name}")

        return handle


@final
class Crowd:
    """Clients behind haproxy that ask again and again, each question until answered.

    Attributes:
        answers: to each question.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.answers: dict[str, str] = {}
        self._proxy = proxy
        self._leaving = False

    async def talk(self, name: str) -> None:
        """Be one of them, and come again after ten questions, or when sent away."""
        number = 0
        while not self._leaving:
            async with await self._proxy.connect() as stream:
                end = number + 10
                with suppress(trio.BrokenResourceError):
                    while number < end and await self._ask(stream, f"{name}.{number}"):
                        number += 1

    async def ask_once(self, question: str) -> None:
        """Be one that asks only this, and has it answered at the first attempt."""
        async with await self._proxy.connect() as stream:
            assert await self._ask(stream, question)

    async def _ask(self, stream: trio.SocketStream, question: str) -> bool:
        """Ask; say if there is an answer, and not the end of the connection."""
        await stream.send_all(f"{question}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            if not (chunk := await stream.receive_some()):
                assert not answer
                return False
            answer += chunk
        assert question not in self.answers
        self.answers[question] = answer.decode().rstrip("\n")
        return True

    def leave(self) -> None:
        """Let them all go when they have their answers."""
        self._leaving = True


CROWD = 20


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
async def test_one_of_two_servers_drains_and_no_request_is_lost(
    nursery: trio.Nursery, tmp_path: Path, version: str
) -> None:
    """What it has taken it answers; all else is handled by the other, and once."""
    servers, records = Servers(), {"a": Record(), "b": Record()}
    started = {
        name: await start(nursery, records[name], servers.handler(name))
        for name in ("a", "b")
    }
    # Haproxy is not told; it finds out, by the first connection that is refused.
    health = "check inter 30s observe layer4 error-limit 1 on-error mark-down"
    options = f"{version} {health}"
    lines = [ours(server, options, name) for name, server in started.items()]
    async with haproxy(tmp_path, "balance roundrobin", *lines) as proxy:
        crowd = Crowd(proxy)
        async with trio.open_nursery() as clients:
            for number in range(CROWD):
                clients.start_soon(crowd.talk, f"client {number}")
            for number in range(CROWD):
                clients.start_soon(crowd.ask_once, f"hold {number}")
            await until(lambda: sum(servers.held.values()) == CROWD)
            assert servers.held["a"] > 0
            await until(lambda: len(servers.handled["a"]) > 20 * CROWD)
            async with trio.open_nursery() as draining:
                draining.start_soon(started["a"].drain)
                await records["a"].wait(trio_tcp.DrainStarted)
                servers.release.set()
            await proxy.says("Server front/a is DOWN")
            handled = len(servers.handled["b"])
            await until(lambda: len(servers.handled["b"]) > handled + 10 * CROWD)
            crowd.leave()
        useful = sum(
            bool(ended.statistics.messages_sent)
            for ended in records["a"].all(trio_tcp.ConnectionEnded)
        )
        await until(lambda: len(proxy.ends_of_use("a")) == useful)
    [report] = records["a"].all(trio_tcp.DrainReport)
    assert report.finished >= servers.held["a"]
    assert (report.cancelled, report.aborted) == (0, 0)
    by_whom = Counter(crowd.answers.values())
    assert by_whom == Counter(
        f"{request} by {name}"
        for name, requests in servers.handled.items()
        for request in requests
    )
    assert set(by_whom.values()) == {1}
    # In haproxy's eyes, each that was of use has ended in order on both sides.
    assert set(proxy.ends_of_use("a")) == {"--"}
