"""Runs an attack: three processes, and what is seen of them.

The server and the honest clients are programs of their own; the attackers are tasks of
this process. Everything is bounded in time, and both programs end with the run.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import trio
import trustme

from tests.integration.attacks._attack import (
    HONEST_HOST,
    Attack,
    Service,
    Visit,
    from_proxy,
)

__all__ = ["Honest", "Result", "Scale", "run"]

IP_BIND_ADDRESS_NO_PORT: Final = 24
"""ip(7): the port is chosen by connect(2), so that one port serves several times. The
socket module of Python 3.11 lacks it."""

PATIENCE: Final = 20.0
"""Seconds after an attack in which its last connections must have ended. The timeouts
of the attacks are far shorter, but many processes may want the same core."""

FIRST_GUESTS: Final = 12
"""How many clients come to a new server, all at once, before its descriptors are
counted. For that many it opens a descriptor that it keeps: it waits with it for all of
its sockets."""

HONEST_PATIENCE: Final = 40.0
"""Seconds in which honest clients have finished. They give up a request after 30."""


@attrs.frozen(kw_only=True)
class Scale:
    """How large everything is. The attacks say how large they are at 1.

    Attributes:
        seconds: a factor: how long an attack goes on.
        crowd: a factor: how many attackers there are, and connections in all.
        honest: how many honest clients.
        quiet: seconds before the attack, and after it.
    """

    seconds: float = 1.0
    crowd: float = 1.0
    honest: int = 50
    quiet: float = 0.7


@attrs.frozen(kw_only=True)
class Honest:
    """The latencies of some honest clients in one phase, in seconds."""

    requests: int = 0
    p50: float = 0.0
    p99: float = 0.0
    most: float = 0.0


@attrs.frozen(kw_only=True)
class Result:
    """What came of an attack.

    Attributes:
        visits: how often attackers connected, or tried to.
        ends: how they ended, as the server says, and how many each way.
        phases: of the honest clients: ``quiet regulars``, ``attack newcomers``, ...
        errors: of the honest clients.
        rss: of the server, in MiB: before the attack, at its peak, and after it.
        stuck: attackers' connections that did not end in time.
        descriptors: of the server, before the honest clients and the attackers came,
            and after all have gone.
        serves: a client that comes after all that is served.
    """

    attack: Attack
    visits: int
    ends: dict[str, int]
    phases: dict[str, Honest]
    errors: list[str]
    rss: tuple[float, float, float]
    stuck: int
    descriptors: tuple[int, int]
    serves: bool

    @property
    def problems(self) -> list[str]:
        """What should not have been."""
        found = self.errors[:3]
        before, peak, _ = self.rss
        if peak - before > self.attack.growth:
            found.append(
                f"the server grew by {peak - before:.0f} MiB, "
                f"and not by {self.attack.growth:g} at most"
            )
        if self.stuck:
            found.append(f"{self.stuck} connections of attackers did not end")
        unexpected = self.ends.keys() - set(self.attack.ends)
        if unexpected or self.attack.ends[0] not in self.ends:
            found.append(f"connections ended like this: {self.ends}")
        first, last = self.descriptors
        if first != last:
            found.append(f"the server had {first} descriptors, and has {last}")
        if not self.serves:
            found.append("the server serves no more")
        return found


class Program:
    """A process that speaks JSON, line by line."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._input, self._output = process.stdin, process.stdout
        self._unread = b""

    async def hear(self, *, within: float = PATIENCE) -> Any:  # noqa: ANN401
        """Wait for the next line.

        Raises:
            RuntimeError: the program has ended, or it hangs.
        """
        while b"\n" not in self._unread:
            chunk: bytes | bytearray = b""
            with trio.move_on_after(within) as waiting:
                chunk = await self._output.receive_some()
            if not chunk:
                what = "hangs" if waiting.cancelled_caught else "has ended"
                raise RuntimeError(f"{self.process.args!r} {what}")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    async def tell(self, line: str) -> None:
        """Write a line to it."""
        await self._input.send_all(line.encode() + b"\n")

    async def tell_the_end(self) -> None:
        """Close its input."""
        await self._input.aclose()

    def memory(self, field: str) -> float:
        """Return how many MiB it has, or has had at most: VmRSS or VmHWM."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        [line] = [line for line in status.splitlines() if line.startswith(field)]
        return int(line.split()[1]) / 1024

    def forget_the_peak(self) -> None:
        """Let VmHWM start anew, from VmRSS (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def descriptors(self) -> int:
        """Count its descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@asynccontextmanager
async def _program(*args: str) -> AsyncGenerator[Program, None]:
    process = await trio.lowlevel.open_process(
        [sys.executable, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in process.stdin, process.stdout:
                assert pipe is not None
                await pipe.aclose()


class Arena:
    """One attack, and those who take part in it."""

    def __init__(self, attack: Attack, scale: Scale) -> None:
        self.attack = attack
        self.scale = scale
        self.ports: list[int] = []
        self.visits = 0
        self._attacking = 0
        self._all_have_left = trio.Event()
        self._over = trio.Event()
        self._numbers = itertools.count()

    # The attackers

    async def attack_now(self) -> int:
        """Attack, wait for the last visit to end, and return how many did not."""
        crowd = max(2, int(self.attack.crowd * self.scale.crowd))
        async with trio.open_nursery() as nursery:
            for number in range(crowd):
                nursery.start_soon(self._be_an_attacker, number)
            with trio.move_on_after(self._seconds):
                await self._all_have_left.wait()
            self._over.set()
            with trio.move_on_after(PATIENCE):
                await self._all_have_left.wait()
            stuck = self._attacking
            nursery.cancel_scope.cancel()
        return stuck

    @property
    def _seconds(self) -> float:
        return self.attack.seconds * self.scale.seconds

    async def _be_an_attacker(self, number: int) -> None:
        dice = random.Random(number)
        at_most = self.attack.at_most * self.scale.crowd
        self._attacking += 1
        while not self._over.is_set() and self.visits < at_most:
            await trio.lowlevel.checkpoint()
            service = next(self._numbers) % len(self.ports)
            # Whoever cannot connect, or is thrown out, comes back.
            with suppress(OSError, trio.BrokenResourceError):
                self.visits += 1
                async with await self._connect(service, number) as stream:
                    visit = Visit(stream, service, number, dice, self._over)
                    await self.attack.misbehave(visit)
        self._attacking -= 1
        if not self._attacking:
            self._all_have_left.set()

    async def _connect(self, service: int, number: int) -> trio.SocketStream:
        sock = trio.socket.socket()
        try:
            sock.setsockopt(trio.socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            await sock.bind((f"127.0.0.{2 + number % self.attack.hosts}", 0))
            await sock.connect((HONEST_HOST, self.ports[service]))
        except BaseException:
            sock.close()
            raise
        return trio.SocketStream(sock)

    # The honest clients

    @property
    def honest_crowd(self) -> str:
        """The argument of their program."""
        places = [
            {
                "port": port,
                "hello": service.hello.hex(),
                "preamble": _preamble(service).hex(),
                "tls": service.tls,
            }
            for port, service in zip(self.ports, self.attack.services, strict=True)
        ]
        newcomers = min(self.attack.newcomers, self.scale.honest // 2)
        regulars = self.scale.honest - newcomers
        return json.dumps(
            {"places": places, "regulars": regulars, "newcomers": newcomers}
        )

    async def warm_up(self) -> None:
        """Be the first guests of each port, all at once, and leave."""
        async with AsyncExitStack() as stack:
            for port, service in zip(self.ports, self.attack.services, strict=True):
                for _ in range(FIRST_GUESTS):
                    stream = await stack.enter_async_context(
                        await _reach(port, service)
                    )
                    assert await _is_answered(stream, service)

    async def is_served(self) -> bool:
        """Come as a new client to each of the ports, and be answered."""
        with trio.move_on_after(PATIENCE), suppress(OSError, trio.BrokenResourceError):
            for port, service in zip(self.ports, self.attack.services, strict=True):
                async with await _reach(port, service) as stream:
                    if not await _is_answered(stream, service):
                        return False
            return True
        return False


def _preamble(service: Service) -> bytes:
    return from_proxy(HONEST_HOST) if service.proxy else b""


async def _reach(port: int, service: Service) -> trio.abc.Stream:
    stream: trio.abc.Stream = await trio.open_tcp_stream(HONEST_HOST, port)
    if service.proxy:
        await stream.send_all(_preamble(service))
    if service.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        stream = trio.SSLStream(stream, context, https_compatible=True)
    return stream


async def _is_answered(stream: trio.abc.Stream, service: Service) -> bool:
    await stream.send_all(service.hello)
    answer = b""
    while len(answer) < len(service.hello):
        chunk = await stream.receive_some()
        if not chunk:
            return False
        answer += chunk
    return answer == service.hello


async def run(family: str, attack: Attack, scale: Scale) -> Result:
    """Run an attack, and return what came of it."""
    arena = Arena(attack, scale)
    with TemporaryDirectory() as folder:
        certificate = os.path.join(folder, "certificate.pem")
        issued = trustme.CA().issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(certificate)
        module = f"{__package__}._server"
        async with _program("-m", module, family, attack.name, certificate) as server:
            arena.ports = await server.hear()
            return await _run(arena, server)


async def _run(arena: Arena, server: Program) -> Result:
    # The one that the server opens for its first guests, and keeps.
    first = server.descriptors() + 1
    await arena.warm_up()
    await _descriptors(server, first)
    clients = str(Path(__file__).with_name("_honest.py"))
    async with _program(clients, arena.honest_crowd) as honest:
        await honest.hear()
        await honest.tell("quiet")
        await trio.sleep(arena.scale.quiet)
        before = server.memory("VmRSS")
        server.forget_the_peak()
        await honest.tell("attack")
        stuck = await arena.attack_now()
        ends, left = await _outcome(server)
        peak = server.memory("VmHWM")
        await honest.tell("aftermath")
        await trio.sleep(arena.scale.quiet)
        after = server.memory("VmRSS")
        await honest.tell_the_end()
        heard = await honest.hear(within=HONEST_PATIENCE)
    serves = await arena.is_served()
    return Result(
        attack=arena.attack,
        visits=arena.visits,
        ends=ends,
        phases={name: Honest(**each) for name, each in heard["phases"].items()},
        errors=heard["errors"],
        rss=(before, peak, after),
        stuck=max(stuck, left),
        descriptors=(first, await _descriptors(server, first)),
        serves=serves,
    )


async def _outcome(server: Program) -> tuple[dict[str, int], int]:
    """Wait until the server has no attackers any more; return how all have ended."""
    deadline = trio.current_time() + PATIENCE
    before: object = None
    while True:
        await server.tell("report")
        report = await server.hear()
        # Some may still wait to be accepted, until nothing changes any more.
        if (before == report and not report["attackers"]) or (
            trio.current_time() > deadline
        ):
            return report["ends"], report["attackers"]
        before = report
        await trio.sleep(0.1)


async def _descriptors(server: Program, expected: int) -> int:
    """Wait until the server has so many descriptors again; return how many it has."""
    deadline = trio.current_time() + PATIENCE
    while (count := server.descriptors()) != expected:  # noqa: ASYNC110
        if trio.current_time() > deadline:
            break
        await trio.sleep(0.05)
    return count
