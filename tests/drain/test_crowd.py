"""A drain of a big crowd, which does everything at once."""

from __future__ import annotations

import random
from typing import final

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.drain.draining import (
    ABORT_SECONDS,
    BEGINNINGS,
    LINES,
    End,
    Text,
    Wire,
    clean_up_for_ever,
    connect_wire,
    of_server,
    serving,
    to_the_end,
)
from trio_tcp import CloseReason, DrainReport, testing


@attrs.define
class Client:
    """One client of many, as its handler and it itself have seen it.

    Attributes:
        kind: what it does.
        accepted: what its handler has sent, as far as `send` returned.
        received: what it got.
        end: how that ended.
    """

    kind: str
    accepted: bytes = b""
    received: bytes = b""
    end: End | None = None


KINDS = {
    "busy, in time": 30,
    "busy, too long": 20,
    "idle": 50,
    "stuck in cleaning up": 3,
    "stuck, not reading": 2,
}
HANDSHAKES = 20
GRACE = 10.0


@final
class Crowd:
    """Clients of all kinds, and the handler that serves them."""

    def __init__(self, dice: random.Random) -> None:
        kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
        dice.shuffle(kinds)
        self.clients = [Client(kind) for kind in kinds]
        self._dice = dice

    async def serve(self, connection: Text) -> None:
        """Serve the client that says which it is."""
        async for line in connection:
            client = self.clients[int(line)]
            connection.label = line
            match client.kind:
                case "busy, in time":
                    await trio.sleep(self._dice.uniform(0.5, GRACE / 2))
                    await self._answer(connection, client, self._dice.randrange(1, 9))
                case "busy, too long":
                    await self._answer(connection, client, 1_000_000)
                case "idle":
                    await self._answer(connection, client, 1)
                case "stuck in cleaning up":
                    await self._answer(connection, client, 1)
                    await clean_up_for_ever(connection)
                case _:
                    await self._answer(connection, client, 1_000_000, pause=0)

    async def _answer(
        self, connection: Text, client: Client, count: int, pause: float = 0.3
    ) -> None:
        for number in range(count):
            answer = f"{number} ".ljust(self._dice.randrange(10, 10_000), "x")
            await connection.send(answer)
            client.accepted += LINES.encode(answer)
            if number:
                await trio.sleep(pause)

    async def be(self, number: int, wire: Wire) -> None:
        """Be a client, to the end."""
        client = self.clients[number]
        await wire.send(b"%d\n" % number)
        if client.kind == "stuck, not reading":
            await trio.sleep_forever()
        every = self._dice.choice([0, 0, 0.01, 0.1])
        client.received, client.end = await wire.receive_all(every=every)

    def of(self, *kinds: str) -> list[Client]:
        """Return the clients of these kinds."""
        return [client for client in self.clients if client.kind in kinds]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tls", [False, True])
async def test_of_a_big_crowd_each_sees_what_the_report_says(
    tls: bool, seed: int, autojump_clock: MockClock
) -> None:
    """No answer that was accepted is lost, and nobody is waited for too long."""
    crowd = Crowd(random.Random(seed))
    async with (
        serving(crowd.serve, capacity=4096, tls=of_server() if tls else None) as served,
        trio.open_nursery() as nursery,
    ):
        for number in range(len(crowd.clients)):
            stream = await served.listener.connect()
            wire = await connect_wire(stream, tls=tls)
            nursery.start_soon(crowd.be, number, wire)
        beginners: list[testing.MemoryStream] = []
        for number in range(HANDSHAKES if tls else 0):
            beginners.append(await served.listener.connect())
            await BEGINNINGS[number % 3](beginners[-1])
        await trio.sleep(0.1)
        assert served.server.statistics().open == len(crowd.clients)
        began_at = trio.current_time()
        report = await served.server.drain(GRACE)
        assert trio.current_time() - began_at == GRACE + ABORT_SECONDS
        for beginner in beginners:
            assert (await to_the_end(beginner))[1] == "FIN"
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert report == DrainReport(
        finished=80,
        cancelled=20,
        aborted=5,
        handshakes=HANDSHAKES if tls else 0,
        seconds=GRACE + ABORT_SECONDS,
    )
    assert served.agrees_with(report)
    for client in crowd.of("busy, in time", "busy, too long", "idle"):
        assert client.end == "FIN", client.kind
        assert client.received == client.accepted, client.kind
    for client in crowd.of("stuck in cleaning up"):
        assert client.end == "RST"
        assert client.received == client.accepted
    too_long = crowd.of("busy, too long")
    assert min(len(client.accepted) for client in too_long) > 20_000
    assert served.server.statistics().ended == {CloseReason.DRAINED: 105}
