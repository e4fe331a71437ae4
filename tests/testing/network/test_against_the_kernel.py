"""The virtual network does what the kernel does, as far as a program can see."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.network.kernel_scripts import (
    CALLS,
    SCRIPTS,
    STEPS,
    Call,
    Script,
    on_a_connection,
    on_sockets,
    play_on_the_kernel,
)
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import run_simulation

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="virtual sockets behave as those of Linux"
)


def play_on_a_virtual_network(script: Script) -> tuple[str, ...]:
    async def play(net: VirtualNetwork) -> tuple[str, ...]:
        return await script.perform(net.settle)

    return run_simulation(play).value


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_script_ends_as_on_the_kernel(script: Script) -> None:
    on_the_kernel = play_on_the_kernel(script)
    virtual = play_on_a_virtual_network(script)
    if script.allowed:
        assert on_the_kernel in script.allowed
        assert virtual in script.allowed
    else:
        assert virtual == on_the_kernel


@given(
    st.lists(
        st.tuples(st.sampled_from(["here", "peer"]), st.sampled_from(sorted(STEPS))),
        max_size=12,
    )
)
def test_any_steps_of_both_ends_end_as_on_the_kernel(
    steps: list[tuple[str, str]],
) -> None:
    script = on_a_connection(steps)
    assert play_on_a_virtual_network(script) == play_on_the_kernel(script)


@given(
    st.lists(
        st.builds(
            Call,
            st.sampled_from(CALLS),
            st.integers(0, 4),
            st.integers(0, 2),
            st.integers(0, 1),
        ),
        max_size=12,
    )
)
def test_any_calls_on_sockets_end_as_on_the_kernel(calls: list[Call]) -> None:
    script = on_sockets(calls)
    assert play_on_a_virtual_network(script) == play_on_the_kernel(script)
