"""Two servers behind HAProxy, as docs/how-to/deploy.md has it, and one of them goes.

The configuration is that of ``examples/deploy``, with other addresses and quicker
checks. Clients are plain sockets, and ask all the time: half of them over one
connection for as long as it lasts, half over a new one every few requests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import trio

from tests.integration.haproxies import Proxy, haproxy, needs_haproxy
from tests.integration.loopback import Program, run_program, until

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples/deploy/haproxy.cfg"

pytestmark = needs_haproxy

CLIENTS: Final = 20
"""Half of them stay, the others come and go."""

VISIT: Final = 5
"""Requests of those who come and go, each time."""

ROUNDS: Final = 20
"""Requests that each client has had answered, before and after."""


def configuration(ports: dict[str, list[str]]) -> str:
    """Return the example's, with these ports for traffic and for checks."""
    text = EXAMPLE.read_text(encoding="utf-8")
    replacements = {
        r"bind :8888": "bind fd@{descriptor}",
        r"    stats socket .*\n": "",
        r"    maxconn 18000": "    maxconn 500",  # it wants two descriptors for each
        r"inter 2s": "inter 200ms",
    }
    for name, (port, status) in ports.items():
        pattern = rf"server {name} 10\.0\.0\.1\d:8888"
        replacements[pattern] = f"server {name} 127.0.0.1:{port} port {status}"
    for pattern, replacement in replacements.items():
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, pattern
    return text


@attrs.define
class Client:
    """One that asks all the time.

    Attributes:
        stays: it keeps its connection for as long as it lasts.
        answers: how many it has got from each server.
        cut: the server of each connection that ended before the answer to a request;
            empty if that was the first one, so that nobody has said who it is.
        wrong: everything else that went wrong.
    """

    stays: bool
    answers: Counter[str] = attrs.field(factory=Counter[str])
    cut: list[str] = attrs.field(factory=list[str])
    wrong: list[str] = attrs.field(factory=list[str])

    async def ask(self, proxy: Proxy) -> None:
        """Connect, ask, and connect anew, until cancelled."""
        while True:
            try:
                stream = await proxy.connect()
            except OSError as error:
                self.wrong.append(f"connecting: {error}")
                continue
            async with stream:
                server = ""
                asked = 0
                while self.stays or asked < VISIT:
                    try:
                        answer = await self._ask(stream, asked)
                    except (trio.BrokenResourceError, EOFError):
                        self.cut.append(server)
                        break
                    server, _, number = answer.partition(" ")
                    if number != str(asked):
                        self.wrong.append(f"{answer!r} to {asked}")
                    asked += 1
                    self.answers[server] += 1

    async def _ask(self, stream: trio.SocketStream, number: int) -> str:
        await stream.send_all(b"%d\n" % number)
        answer = b""
        while not answer.endswith(b"\n"):
            chunk = await stream.receive_some(100)
            if not chunk:
                raise EOFError(answer)
            answer += chunk
        return answer.decode().rstrip("\n")


@attrs.frozen
class Scene:
    """What a test sees.

    Attributes:
        proxy: in front.
        programs: the servers, by name.
        clients: who ask.
    """

    proxy: Proxy
    programs: dict[str, Program]
    clients: list[Client]

    async def all_go_on(self) -> None:
        """Wait until each client has got so many answers more from the second one."""
        wanted = [client.answers["two"] + ROUNDS for client in self.clients]
        await until(
            lambda: all(
                client.answers["two"] >= count
                for client, count in zip(self.clients, wanted, strict=True)
            )
        )


@asynccontextmanager
async def under_load(folder: Path) -> AsyncGenerator[Scene, None]:
    """Run two servers, HAProxy in front of them, and clients that ask both."""
    async with (
        run_program("balanced_server.py", "one") as one,
        run_program("balanced_server.py", "two") as two,
    ):
        programs = {"one": one, "two": two}
        ports = {name: (await each.line()).split() for name, each in programs.items()}
        async with haproxy(folder, configuration=configuration(ports)) as proxy:
            clients = [Client(stays=number % 2 == 0) for number in range(CLIENTS)]
            scene = Scene(proxy, programs, clients)
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(client.ask, proxy)  # noqa: ASYNC113 - waits below
                await until(
                    lambda: all(each.answers.total() >= ROUNDS for each in clients)
                )
                yield scene
                nursery.cancel_scope.cancel()


async def test_a_killed_server_takes_the_requests_that_it_had_and_no_more(
    tmp_path: Path,
) -> None:
    """Who comes then is sent to the other one, also before a check has failed."""
    async with under_load(tmp_path) as scene:
        staying = [each for each in scene.clients if each.stays and each.answers["one"]]
        assert 0 < len(staying) < CLIENTS / 2  # and others are on the other
        scene.programs["one"].process.kill()
        await scene.proxy.says("Server echo/one is DOWN")
        await scene.all_go_on()
    assert [each.wrong for each in scene.clients] == [[]] * CLIENTS
    # The kernel may end the connections of who dies before it closes the listener: one
    # that connects anew in between is cut again, before anybody says who it is.
    assert {tuple(each.cut) for each in staying} <= {("one",), ("one", "")}
    for client in scene.clients:
        assert client.cut in ([], ["one"], [""], ["one", ""])


async def test_a_drained_server_takes_no_more_than_requests_that_cross_its_end(
    tmp_path: Path,
) -> None:
    """Nobody is sent there any more, and no connection is waited for and cancelled."""
    async with under_load(tmp_path) as scene:
        program = scene.programs["one"]
        program.process.terminate()
        assert (await program.line()).split()[2:] == ["0", "0"]
        assert await program.process.wait() == 0
        await scene.all_go_on()
    assert [each.wrong for each in scene.clients] == [[]] * CLIENTS
    for client in scene.clients:
        assert client.cut in ([], ["one"])
