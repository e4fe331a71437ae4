"""Captures of every fault, in front of tshark: its notes name what was injected."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio

from tests.integration.test_captures import TROUBLE, tshark
from tests.testing.faults.pairs import Pair, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import Fault, VirtualNetwork
from trio_tcp.testing.simulation import run_simulation

pytestmark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="the program tshark is not installed"
)

MESSAGE = bytes(range(256)) * 20
Scenario = Callable[[VirtualNetwork], Awaitable[None]]


async def exchange(pair: Pair) -> None:
    for one, other in ((pair.near, pair.far), (pair.far, pair.near)):
        await one.send_all(MESSAGE)
        assert await receive_exactly(other, len(MESSAGE)) == MESSAGE


async def close(pair: Pair) -> None:
    """Close from both sides, one after the other."""
    for one, other in ((pair.near, pair.far), (pair.far, pair.near)):
        await one.send_eof()
        assert await other.receive_some() == b""
        await trio.sleep(1)


async def clean(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await exchange(pair)
    await close(pair)


async def stall(net: VirtualNetwork) -> None:
    pair = await connect(net)
    message = bytes(200_000)
    async with trio.open_nursery() as nursery:
        fault = net.inject(faults.Stall(), on=net.link("a", "b"))
        nursery.start_soon(pair.near.send_all, message)
        await trio.sleep(5)
        fault.end()
        await receive_exactly(pair.far, len(message))
    await close(pair)


async def reset(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await exchange(pair)
    net.inject(faults.Reset())
    await net.settle()


async def cut(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Cut(after_bytes=2000), on=net.path("a", "b")):
        await pair.near.send_all(MESSAGE)
        await net.settle()


def fails(fault: Fault, error: type[OSError]) -> Scenario:
    """Make a scenario in which there is no connection under a fault."""

    async def scenario(net: VirtualNetwork) -> None:
        with net.inject(fault), pytest.raises(error):
            await connect(net)

    return scenario


async def full_backlog(net: VirtualNetwork) -> None:
    plan = faults.Plan([faults.Step(at=0, seconds=2, fault=faults.FullBacklog())])
    async with plan.running(net):
        pair = await connect(net)
    await close(pair)


async def partition(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await exchange(pair)
    await trio.sleep(1)
    step = faults.Step(at=0, seconds=2, fault=faults.Partition(), on=net.path("a", "b"))
    plan = faults.Plan([step])
    async with plan.running(net):
        await trio.sleep(1)
        await exchange(pair)
    await close(pair)


async def crash(net: VirtualNetwork) -> None:
    pair = await connect(net)
    await exchange(pair)
    with net.inject(faults.Crash(), on=net.host("b")):
        await trio.sleep(1)
    await pair.near.send_all(b"hello?")
    await net.settle()


def beside(fault: Fault) -> Scenario:
    """Make a scenario in which a connection goes on under a fault, if later."""

    async def scenario(net: VirtualNetwork) -> None:
        pair = await connect(net)
        step = faults.Step(at=0, seconds=1, fault=fault, on=net.host("b"))
        plan = faults.Plan([step])
        async with plan.running(net):
            await trio.sleep(0.5)
            await exchange(pair)
        await close(pair)

    return scenario


HARMLESS: dict[str, Scenario] = {
    "clean": clean,
    "latency": beside(faults.Latency(0.1, jitter=0.05)),
    "bandwidth": beside(faults.Bandwidth(10_000)),
    "loss": beside(faults.Loss(0.2)),
    "slice": beside(faults.Slice(1, 99)),
    "slice_at": beside(faults.SliceAt([100, 200])),
    "short_writes": beside(faults.ShortWrites(100)),
    "coalesce": beside(faults.Coalesce(0.1)),
    "hold": beside(faults.Hold()),
    "pause": beside(faults.Pause()),
    "refuse (others)": beside(faults.Refuse()),
    "dns_failure": beside(faults.DnsFailure()),
    "fail_next (others)": beside(faults.FailNext()),
}


NOTES = [
    f"tcp.analysis.{name}"
    for name in (
        "retransmission",
        "spurious_retransmission",
        "out_of_order",
        "lost_segment",
        "ack_lost_segment",
        "duplicate_ack",
        "window_full",
        "zero_window",
        "window_update",
        "keep_alive",
    )
]


@attrs.frozen
class Seen:
    """What tshark says of a capture.

    Attributes:
        rows: Fields of each segment, by their names.
    """

    rows: list[dict[str, str]]

    @property
    def notes(self) -> Counter[str]:
        """What it remarks, counted by the names of its fields."""
        remarked = [row for row in self.rows if row["tcp.analysis.flags"]]
        found = [[name for name in NOTES if row[name]] for row in remarked]
        assert all(found), "a remark that is none of these"
        return Counter(name.rpartition(".")[2] for names in found for name in names)

    @property
    def completeness(self) -> int:
        """What it has seen of the one conversation, as bits.

        SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32.
        """
        (bits,) = {row["tcp.completeness"] for row in self.rows}
        return int(bits)

    @property
    def resets(self) -> list[str]:
        """Who has sent resets."""
        ports = [r["tcp.srcport"] for r in self.rows if r["tcp.flags.reset"] == "1"]
        return ["server" if port == "80" else "client" for port in ports]


FIELDS = ["tcp.completeness", "tcp.flags.reset", "tcp.srcport", "tcp.len"]


def capture(scenario: Scenario, folder: Path) -> Seen:
    async def run(net: VirtualNetwork) -> None:
        await scenario(net)

    path = folder / "capture.pcap"
    run_simulation(run).trace.to_pcap(path)
    assert tshark(path, ["frame.number"], TROUBLE) == []
    return Seen(tshark(path, [*FIELDS, "tcp.analysis.flags", *NOTES]))


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_delays_leaves_no_note(name: str, tmp_path: Path) -> None:
    seen = capture(HARMLESS[name], tmp_path)
    assert seen.notes == {}
    assert seen.completeness == 31
    assert seen.resets == []


def test_a_stall_is_a_zero_window(tmp_path: Path) -> None:
    seen = capture(stall, tmp_path)
    found = seen.notes
    assert set(found) == {"window_full", "zero_window", "window_update"}
    assert found["zero_window"] == found["window_update"] == 1
    assert seen.completeness == 31


def test_a_reset_is_one_each_way(tmp_path: Path) -> None:
    seen = capture(reset, tmp_path)
    assert seen.notes == {}
    assert seen.completeness == 1 + 2 + 4 + 8 + 32
    assert sorted(seen.resets) == ["client", "server"]


def test_a_cut_is_a_reset_each_way_and_bytes_that_are_missing(tmp_path: Path) -> None:
    seen = capture(cut, tmp_path)
    assert seen.notes == {"lost_segment": 1}
    assert sorted(seen.resets) == ["client", "server"]


@pytest.mark.parametrize("fault", [faults.Refuse(), faults.FailNext()], ids=str)
def test_a_refusal_is_a_syn_and_a_reset(fault: Fault, tmp_path: Path) -> None:
    seen = capture(fails(fault, ConnectionRefusedError), tmp_path)
    assert seen.notes == {}
    assert seen.completeness == 1 + 4 + 32  # a reset acknowledges
    assert seen.resets == ["server"]


@pytest.mark.parametrize(
    "fault", [faults.BlackHole(), faults.FailNext(error="timeout")], ids=str
)
def test_a_black_hole_is_one_syn_again_and_again(fault: Fault, tmp_path: Path) -> None:
    seen = capture(fails(fault, TimeoutError), tmp_path)
    assert seen.notes == {"retransmission": 6}
    assert seen.completeness == 1


def test_a_full_backlog_is_a_syn_until_it_is_answered(tmp_path: Path) -> None:
    seen = capture(full_backlog, tmp_path)
    assert seen.notes == {"retransmission": 2}
    assert seen.completeness == 1 + 2 + 4 + 16


def test_a_partition_is_retransmissions_until_it_heals(tmp_path: Path) -> None:
    seen = capture(partition, tmp_path)
    found = seen.notes
    assert set(found) == {"retransmission"}
    assert seen.completeness == 31
    assert not any(row["tcp.analysis.retransmission"] for row in seen.rows[-10:])


def test_a_restarted_host_resets_what_it_does_not_know(tmp_path: Path) -> None:
    seen = capture(crash, tmp_path)
    assert seen.notes == {}
    assert seen.resets == ["server"]
    *_, asked, answer = seen.rows
    assert asked["tcp.len"] == "6"
    assert answer["tcp.flags.reset"] == "1"
