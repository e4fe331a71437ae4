"""Several processes on one port: one shared socket, or one each (``SO_REUSEPORT``).

    python benchmarks/workers.py

Who gets how many of the clients, how long they wait when one of the processes is busy,
and how many requests there are per second with one process and with two. Each process
answers every line with its number. What a deploy does to clients is measured with the
supervisor itself: ``python benchmarks/workers.py deploy``.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs
import trio

import trio_tcp
from trio_tcp import codecs

Way: TypeAlias = Literal["shared", "reuse_port"]

BUSY_SECONDS: Final = 0.05
"""How long a process computes that is asked something hard."""

SECONDS: Final = 3.0
"""How long throughput is measured, and clients come while a service is replaced."""


async def answer(connection: trio_tcp.Connection[str, str]) -> None:
    """Say which process this is; compute before that if asked something hard."""
    async for line in connection:
        if line == "hard":
            until = time.perf_counter() + BUSY_SECONDS
            while time.perf_counter() < until:
                pass
        await connection.send(str(os.getpid()))


serve = partial(trio_tcp.serve_listeners, answer, codec=codecs.Lines())


# The processes ----------------------------------------------------------------------


async def work(descriptor: int) -> None:
    """Serve on a socket of the parent's."""
    await serve([trio_tcp.listener_from_fd(descriptor)])


def listening(count: int) -> list[socket.socket]:
    """Open so many sockets on one port."""
    found: list[socket.socket] = []
    for _ in range(count):
        sock = socket.socket()
        if count > 1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", found[0].getsockname()[1] if found else 0))
        found.append(sock)
    for sock in found:
        sock.listen(4096)
    return found


@contextmanager
def processes(way: Way, count: int) -> Generator[int, None, None]:
    """Run so many processes; give their port."""
    sockets = listening(count if way == "reuse_port" else 1)
    with ExitStack() as stack:
        for sock in sockets:
            stack.enter_context(sock)
        for index in range(count):
            descriptor = sockets[index % len(sockets)].fileno()
            command = [sys.executable, __file__, "work", str(descriptor)]
            process = subprocess.Popen(command, pass_fds=[descriptor])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield sockets[0].getsockname()[1]


# The clients ------------------------------------------------------------------------


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[trio.SocketStream, None]:
    """Connect a plain socket."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield stream


async def ask(stream: trio.SocketStream, question: bytes = b"easy\n") -> int:
    """Ask one thing; return the number of the process that has answered."""
    await stream.send_all(question)
    reply = b""
    while not reply.endswith(b"\n"):
        chunk = await stream.receive_some()
        if not chunk:
            raise EOFError
        reply += chunk
    return int(reply)


async def wait_until_all_serve(port: int, count: int) -> None:
    """Come until every process has answered."""
    seen: set[int] = set()
    while len(seen) < count:
        async with connected(port) as stream:
            seen.add(await ask(stream))


async def stay(port: int, count: int) -> Counter[int]:
    """Connect so many clients at once, and count them by process."""
    found: Counter[int] = Counter()

    async def be_one() -> None:
        async with connected(port) as stream:
            found[await ask(stream)] += 1
            await everybody.wait()

    everybody = trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(be_one)
        while found.total() < count:  # noqa: ASYNC110 - nothing else is measured
            await trio.sleep(0.01)
        everybody.set()
    return found


async def come_and_go(
    port: int, count: int, *, at_once: int, hard_every: int = 0
) -> tuple[Counter[int], list[float]]:
    """Let clients come for one request each; return who served them, and their waits.

    With ``hard_every``, one in so many asks something hard; the waits are the others'.
    """
    found: Counter[int] = Counter()
    waits: list[float] = []
    numbers = iter(range(count))

    async def be_many() -> None:
        for number in numbers:
            is_hard = bool(hard_every) and number % hard_every == 0
            began = time.perf_counter()
            async with connected(port) as stream:
                found[await ask(stream, b"hard\n" if is_hard else b"easy\n")] += 1
            if not is_hard:
                waits.append(time.perf_counter() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(be_many)
    return found, waits


async def throughput(port: int, clients: int) -> float:
    """Return requests per second, of clients that stay and have one under way each."""
    answered = 0

    async def be_one() -> None:
        nonlocal answered
        async with connected(port) as stream:
            while True:
                await ask(stream)
                answered += 1

    with trio.move_on_after(SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(clients):
                nursery.start_soon(be_one)
    return answered / SECONDS


def share(found: Counter[int]) -> str:
    """Return the share of the busiest."""
    return f"{max(found.values()) / found.total():4.0%}"


async def compare(way: Way, rounds: int = 5) -> None:
    """Measure one way to listen, with two processes."""
    with processes(way, 2) as port:
        await wait_until_all_serve(port, 2)
        for count in (4, 16, 64, 1000):
            shares = [share(await stay(port, count)) for _ in range(rounds)]
            print(f"{way}: {count} clients that stay, the busiest has", *shares)
        found, waits = await come_and_go(port, 2000, at_once=16)
        print(f"{way}: 2000 that come and go, the busiest has {share(found)}")
        found, waits = await come_and_go(port, 1000, at_once=8, hard_every=20)
        _, *_, late = statistics.quantiles(waits, n=100)
        median = statistics.median(waits)
        print(
            f"{way}: beside a hard request, easy ones wait {median * 1000:.1f} ms,"
            f" 99%: {late * 1000:.1f} ms"
        )
    for count in (1, 2):
        with processes(way, count) as port:
            await wait_until_all_serve(port, count)
            rate = await throughput(port, 64)
            print(f"{way}: {count} processes, {rate:,.0f} requests/s")


# A deploy ---------------------------------------------------------------------------


@attrs.define
class Seen:
    """What clients have met with.

    Attributes:
        answered: requests.
        refused: clients that could not connect.
        reset: connections that ended with an error.
        unanswered: requests whose connection ended in order before a reply.
    """

    answered: int = 0
    refused: int = 0
    reset: int = 0
    unanswered: int = 0


async def be_client(port: int, requests: int, seen: Seen) -> None:
    """Connect for so many requests, again and again."""
    while True:
        try:
            async with connected(port) as stream:
                for _ in range(requests):
                    await ask(stream)
                    seen.answered += 1
        except trio.BrokenResourceError:
            seen.reset += 1
        except EOFError:
            seen.unanswered += 1
        except OSError:
            seen.refused += 1


async def replace(what: str) -> None:
    """Replace workers under load: by SIGHUP, or by killing one every second."""
    with socket.socket() as sock, tempfile.TemporaryDirectory() as folder:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        program = write_service(Path(folder), port)
        supervisor = await trio.lowlevel.open_process([sys.executable, program])
        try:
            seen = Seen()
            with trio.move_on_after(4 * SECONDS):
                await wait_for(port)
                async with trio.open_nursery() as nursery:
                    for requests in [1, 10, 1_000_000] * 5:
                        nursery.start_soon(be_client, port, requests, seen)
                    while True:
                        await trio.sleep(SECONDS / 3)
                        if what == "SIGHUP":
                            supervisor.send_signal(signal.SIGHUP)
                        else:
                            with suppress(trio.BrokenResourceError, EOFError):
                                async with connected(port) as stream:
                                    os.kill(await ask(stream), signal.SIGKILL)
        finally:
            supervisor.terminate()
            with trio.CancelScope(shield=True):
                await supervisor.wait()
        print(f"{what}:", seen)


async def wait_for(port: int) -> None:
    """Try until somebody listens."""
    while True:
        try:
            async with connected(port):
                return
        except OSError:
            await trio.sleep(0.05)


def write_service(folder: Path, port: int) -> str:
    """Write the program of a service; return its name."""
    program = folder / "service.py"
    program.write_text(SERVICE.format(folder=str(Path(__file__).parent), port=port))
    return str(program)


SERVICE: Final = """
import sys
sys.path.insert(0, {folder!r})
from workers import serve
if __name__ == "__main__":
    import trio_tcp
    trio_tcp.run_workers(
        "service:serve",
        {port},
        workers=2,
        host="127.0.0.1",
        supervision=trio_tcp.Supervision(restart=trio_tcp.Backoff(max_attempts=1000)),
    )
"""


def main(argv: list[str]) -> None:
    """Measure, or be one of the processes."""
    match argv:
        case ["work", descriptor]:
            trio.run(work, int(descriptor))
        case ["deploy"]:
            trio.run(replace, "SIGHUP")
            trio.run(replace, "SIGKILL")
        case _:
            trio.run(compare, "shared")
            trio.run(compare, "reuse_port")


if __name__ == "__main__":
    main(sys.argv[1:])
