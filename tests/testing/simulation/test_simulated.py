"""A test of many seeds, as pytest and its plugins see it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import SimulationDeadlock, simulated


@pytest.fixture
def word() -> str:
    return "a fixture"


@simulated(seeds=3)
async def test_fixtures_come_beside_the_network(
    net: VirtualNetwork, word: str, tmp_path: Path
) -> None:
    await trio.sleep(1)
    assert trio.current_time() == 1
    assert word == "a fixture"
    assert tmp_path.is_absolute()
    assert net.host("a").name == "a"


@pytest.mark.parametrize("number", [1, 2])
@simulated(seeds=2)
async def test_parameters_come_too(net: VirtualNetwork, number: int) -> None:
    assert number in (1, 2)


class TestMethods:
    @simulated(seeds=2)
    async def test_a_method_has_its_self_first(self, net: VirtualNetwork) -> None:
        assert type(self) is TestMethods
        assert type(net) is VirtualNetwork


@pytest.fixture
def seeds_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.delenv("TRIO_TCP_SEED", raising=False)
    return []


def test_each_seed_is_run_once_in_order(
    seeds_run: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @simulated(seeds=5)
    async def test(net: VirtualNetwork) -> None:
        seeds_run.append(int(str(net._seed)))

    test()
    assert seeds_run == [0, 1, 2, 3, 4]
    monkeypatch.setenv("TRIO_TCP_SEED", "77")
    test()
    assert seeds_run[5:] == [77]


@pytest.mark.parametrize(
    ("wanted", "expected"), [("7-9", [7, 8, 9]), ("4-4", [4]), ("-3", [-3])]
)
def test_a_range_of_seeds_may_be_asked_for(
    seeds_run: list[int], monkeypatch: pytest.MonkeyPatch, wanted: str, expected: object
) -> None:
    @simulated(seeds=5)
    async def test(net: VirtualNetwork) -> None:
        seeds_run.append(int(str(net._seed)))

    monkeypatch.setenv("TRIO_TCP_SEED", wanted)
    test()
    assert seeds_run == expected


def test_a_failure_in_a_range_is_replayed_by_its_own_seed(
    seeds_run: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @simulated()
    async def test(net: VirtualNetwork) -> None:
        assert net._seed != 12

    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("TRIO_TCP_SEED", "10-5000")
    with pytest.raises(AssertionError) as caught:
        test()
    assert "Replay it alone: TRIO_TCP_SEED=12" in caught.value.__notes__


def test_the_first_failure_ends_it_with_the_line_that_replays_it(
    seeds_run: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @simulated(seeds=100)
    async def test(net: VirtualNetwork) -> None:
        seeds_run.append(0)
        assert len(seeds_run) < 18, "too many"

    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_x.py::test_y[a (b)] (call)")
    with pytest.raises(AssertionError, match="too many") as caught:
        test()
    assert len(seeds_run) == 18
    assert (
        'Replay it alone: TRIO_TCP_SEED=17 python -m pytest "test_x.py::test_y[a (b)]"'
        in caught.value.__notes__
    )
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(AssertionError) as again:
        test()
    assert "Replay it alone: TRIO_TCP_SEED=0" in again.value.__notes__


def test_a_report_has_the_tests_own_name() -> None:
    @simulated()
    async def test_of_that_name(net: VirtualNetwork) -> None:
        await trio.sleep_forever()

    with pytest.raises(SimulationDeadlock, match="test_of_that_name on test"):
        test_of_that_name()


def test_a_skip_inside_is_a_skip() -> None:
    @simulated(seeds=5)
    async def test(net: VirtualNetwork) -> None:
        pytest.skip("not here")

    with pytest.raises(pytest.skip.Exception, match="not here"):
        test()


@pytest.mark.parametrize("wanted", ["all", "", "1-", "9-3", "1,2", "1.5"])
def test_what_is_neither_a_seed_nor_a_range_is_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    @simulated()
    async def test(net: VirtualNetwork) -> None:
        pass

    monkeypatch.setenv("TRIO_TCP_SEED", wanted)
    with pytest.raises(ValueError, match=f"TRIO_TCP_SEED='{wanted}' is neither"):
        test()


@pytest.mark.parametrize("seeds", [0, -1, True])
def test_a_test_of_no_seed_is_refused(seeds: int) -> None:
    """It would pass, whatever it says."""
    with pytest.raises(ValueError, match="seeds must be a whole number, 1 or more"):
        simulated(seeds=seeds)


def test_what_is_no_async_function_of_a_network_is_refused() -> None:
    def plain(net: VirtualNetwork) -> None:
        pass

    async def alone() -> None:
        pass

    for function in (plain, alone):
        with pytest.raises(TypeError, match="@simulated takes an async function"):
            simulated()(function)  # type: ignore[arg-type]
