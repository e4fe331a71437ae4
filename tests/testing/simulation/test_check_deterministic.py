"""Is one seed one run? A program that reaches past the seed is found out."""

from __future__ import annotations

import itertools
import pickle

import pytest
import trio

from tests.testing.simulation.programs import chat
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import (
    NotDeterministicError,
    check_deterministic,
    run_simulation,
)


def test_a_program_that_owes_everything_to_the_seed_passes() -> None:
    result = check_deterministic(chat, seed=4, repeats=3)
    assert result.trace.digest() == run_simulation(chat, seed=4).trace.digest()


def test_a_program_that_sends_something_else_is_shown_where() -> None:
    numbers = itertools.count()

    async def program(net: VirtualNetwork) -> None:
        async def serve(stream: trio.SocketStream) -> None:
            await stream.receive_some()

        net.host("server").start(trio.serve_tcp, serve, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await stream.send_all(b"the same")
            await net.settle()
            await stream.send_all(str(next(numbers)).encode())

    with pytest.raises(NotDeterministicError) as caught:
        check_deterministic(program, seed=6)
    assert caught.value.seed == 6
    assert "payload" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_of_bytes_that_no_seed_decides_the_shape_is_compared() -> None:
    numbers = itertools.count()

    async def program(net: VirtualNetwork, longer: int) -> None:
        net.host("server").start(trio.serve_tcp, receive_all, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            number = next(numbers)
            await stream.send_all(bytes(1 + number * longer) + bytes([number]))

    async def receive_all(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    with pytest.raises(NotDeterministicError):
        check_deterministic(program, 0)
    check_deterministic(program, 0, payload=False)
    with pytest.raises(NotDeterministicError, match="length"):
        check_deterministic(program, 1, payload=False)


def test_a_program_that_only_takes_longer_is_found_too() -> None:
    numbers = itertools.count()

    async def program(net: VirtualNetwork) -> None:
        await trio.sleep(next(numbers))

    with pytest.raises(NotDeterministicError, match=r"took 0\.0 .* the other 1\.0"):
        check_deterministic(program)


def test_it_takes_two_runs() -> None:
    with pytest.raises(ValueError, match="repeats=1"):
        check_deterministic(chat, repeats=1)
