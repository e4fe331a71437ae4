"""A pool held to a model that knows nothing of tasks, streams and closing."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal, TypeAlias, final, get_args

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend, number_of
from trio_tcp import Backoff

SIZE: Final = 2
MAX_IDLE: Final = 40.0
STEP: Final = 2.0
"""Seconds after each move: longer than the backoff, so that all that can happen has."""


@final
class Customer:
    """A task that wants a connection, and does with it what it is told.

    Attributes:
        got: the number of its connection.
        scope: to cancel it.
        dismissed: what it waits for, with a connection.
        raises: how it ends its block.
    """

    def __init__(self) -> None:
        self.got: int | None = None
        self.scope = trio.CancelScope()
        self.dismissed = trio.Event()
        self.raises = False

    async def run(self, pool: trio_tcp.Pool[str, str]) -> None:
        with self.scope, suppress(ZeroDivisionError):
            async with pool.connection() as connection:
                self.got = number_of(connection)
                await self.dismissed.wait()
                if self.raises:
                    raise ZeroDivisionError


@final
class Model:
    """Who has what, if all is right.

    Attributes:
        idle: connections, each with when it became so, the most recently used last.
        in_use: whose, and which; None is one that was not there before.
        line: those who wait, in order.
        unfit: connections that nobody may get any more.
        is_up: new connections can be made.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.idle: list[tuple[int, float]] = []
        self.in_use: dict[Customer, int | None] = {}
        self.line: list[Customer] = []
        self.unfit: set[int] = set()
        self.is_up = True

    def ask(self, customer: Customer) -> None:
        self.line.append(customer)
        self.serve()

    def serve(self) -> None:
        while self.line and self.idle:
            number, _ = self.idle.pop()
            if number not in self.unfit:
                self.in_use[self.line.pop(0)] = number
        while self.line and self.is_up and len(self.in_use) < SIZE:
            self.in_use[self.line.pop(0)] = None

    def end(self, customer: Customer, *, badly: bool) -> None:
        number = self.in_use.pop(customer)
        assert number is not None
        if not (badly or number in self.unfit):
            self.idle.append((number, self.now))
        self.serve()

    def lose(self, number: int) -> None:
        self.idle = [each for each in self.idle if each[0] != number]
        self.unfit.add(number)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.idle = [each for each in self.idle if self.now - each[1] < MAX_IDLE]
        self.serve()


Move: TypeAlias = Literal[
    "ask",
    "give back",
    "raise",
    "cancel",
    "leave the line",
    "say",
    "say a part",
    "end",
    "reset",
    "go down",
    "come up",
    "pass time",
]
MOVES: Final[tuple[Move, ...]] = (*get_args(Move), "ask", "ask", "ask", "give back")


@final
class Game:
    """A pool and its model, move by move."""

    def __init__(
        self,
        backend: Backend,
        pool: trio_tcp.Pool[str, str],
        nursery: trio.Nursery,
        clock: MockClock,
    ) -> None:
        self._model = Model()
        self._backend = backend
        self._pool = pool
        self._nursery = nursery
        self._clock = clock

    async def play(self, move: Move, choice: int) -> None:
        """Make a move, if it can be made, and see what has become of it."""
        match move:
            case "ask" | "give back" | "raise" | "cancel" | "leave the line":
                self._let_customer(move, choice)
            case "say" | "say a part" | "end" | "reset":
                await self._let_peer(move, choice)
            case "go down" | "come up":
                self._let_server(move)
            case _:
                await self._pass_time(float(choice % 30))
        await wait_all_tasks_blocked()
        await self._pass_time(STEP)
        self.check()

    def _let_customer(self, move: Move, choice: int) -> None:
        model = self._model
        if move == "ask":
            customer = Customer()
            self._nursery.start_soon(customer.run, self._pool)
            model.ask(customer)
        elif move == "leave the line" and model.line:
            customer = model.line.pop(choice % len(model.line))
            customer.scope.cancel()
        elif move != "leave the line" and model.in_use:
            customer = list(model.in_use)[choice % len(model.in_use)]
            customer.raises = move == "raise"
            if move == "cancel":
                customer.scope.cancel()
            customer.dismissed.set()
            model.end(customer, badly=move != "give back")

    def _let_server(self, move: Move) -> None:
        self._model.is_up = move == "come up"
        refusal = ConnectionRefusedError("down")
        self._backend.refuse_with = None if self._model.is_up else refusal
        self._model.serve()

    async def _let_peer(self, move: Move, choice: int) -> None:
        model = self._model
        numbers = [number for number, _ in model.idle]
        numbers += [number for number in model.in_use.values() if number is not None]
        if not numbers:
            return
        number = numbers[choice % len(numbers)]
        peer = self._backend.peers[number]
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            match move:
                case "say":
                    await peer.send_all(b"unasked\n")
                case "say a part":
                    await peer.send_all(b"un")
                case "end":
                    await peer.send_eof()
                case _:
                    peer.reset()
        if move == "say a part":  # is noticed when it is to be handed out
            model.unfit.add(number)
        else:
            model.lose(number)

    async def _pass_time(self, seconds: float) -> None:
        self._clock.jump(seconds)
        await wait_all_tasks_blocked()
        self._model.pass_time(seconds)

    def check(self) -> None:
        """Compare the two."""
        model = self._model
        known = {number for number in model.in_use.values() if number is not None}
        known |= {number for number, _ in model.idle}
        for customer, number in model.in_use.items():
            assert customer.got is not None
            if number is None:
                assert customer.got not in known | model.unfit
                model.in_use[customer] = customer.got
            else:
                assert customer.got == number
        assert len(set(model.in_use.values())) == len(model.in_use)
        assert all(customer.got is None for customer in model.line)
        statistics = self._pool.statistics()
        assert statistics.in_use == len(model.in_use)
        assert statistics.idle == len(model.idle)
        assert statistics.waiting == len(model.line)
        assert statistics.open == statistics.in_use + statistics.idle
        assert statistics.open == self._backend.open
        assert self._backend.most_open <= SIZE
        assert statistics.made == len(self._backend.peers)
        assert statistics.made == sum(statistics.discarded.values()) + statistics.open


@given(
    st.lists(
        st.tuples(st.sampled_from(MOVES), st.integers(0, 1000)),
        min_size=20,
        max_size=60,
    )
)
def test_a_pool_does_what_its_model_does(moves: list[tuple[Move, int]]) -> None:
    clock = MockClock()

    async def main() -> None:
        backend = Backend()
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.open_pool(
                backend.connect,
                size=SIZE,
                max_idle=MAX_IDLE,
                backoff=Backoff(initial=1, factor=1, jitter="none"),
            ) as pool,
        ):
            game = Game(backend, pool, nursery, clock)
            for move, choice in moves:
                await game.play(move, choice)
            nursery.cancel_scope.cancel()
        assert backend.open == 0

    trio.run(main, clock=clock)
