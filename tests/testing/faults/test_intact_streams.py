"""No sequence of faults that only delay skips a byte, or doubles one."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.faults.pairs import connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import Fault, Target, VirtualNetwork
from trio_tcp.testing.simulation import run_simulation

COUNTS = st.integers(1, 50)
FAULTS: st.SearchStrategy[Fault] = st.one_of(
    st.builds(faults.Slice, COUNTS),
    st.builds(faults.SliceAt, st.lists(st.integers(1, 500), max_size=5)),
    st.builds(faults.ShortWrites, COUNTS),
    st.sampled_from([faults.Hold(), faults.Partition(), faults.Stall()]),
    st.builds(faults.Cut, after_bytes=st.integers(0, 500), silently=st.just(True)),
    st.builds(faults.Latency, st.floats(0, 1), jitter=st.floats(0, 1)),
)
TARGETS: dict[str, Callable[[VirtualNetwork], Target]] = {
    "there": lambda net: net.link("a", "b"),
    "back": lambda net: net.link("b", "a"),
    "both": lambda net: net.path("a", "b"),
    "host": lambda net: net.host("b"),
    "port": lambda net: net.port("b", 80),
}
TIMES = st.floats(0, 3)
STEPS = st.lists(
    st.tuples(TIMES, TIMES, FAULTS, st.sampled_from(list(TARGETS))), max_size=8
)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), STEPS)
def test_an_echo_gives_back_what_was_sent(
    messages: list[bytes], steps: list[tuple[float, float, Fault, str]]
) -> None:
    async def converse(net: VirtualNetwork) -> None:
        plan = faults.Plan(
            faults.Step(at=at, seconds=seconds, fault=fault, on=TARGETS[name](net))
            for at, seconds, fault, name in steps
        )
        pair = await connect(net)

        async def echo() -> None:
            async for some in pair.far:
                await pair.far.send_all(some)
            await pair.far.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            async with plan.running(net):
                for message in messages:
                    await pair.near.send_all(message)
                    assert await receive_exactly(pair.near, len(message)) == message
                    await trio.sleep(0.5)
                await pair.near.send_eof()
                assert await pair.near.receive_some() == b""

    run_simulation(converse, time_limit=600)
