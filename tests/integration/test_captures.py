"""Captures in front of the real judge: tshark, which checks all sums itself."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.testing.traces.conversations import (
    clean_trace,
    long_trace,
    troubled_trace,
)

TSHARK = shutil.which("tshark")

pytestmark = pytest.mark.skipif(
    TSHARK is None, reason="the program tshark is not installed"
)

TROUBLE = (
    "_ws.malformed || _ws.expert.severity >= error || _ws.expert.group == checksum"
)


def tshark(path: Path, fields: Iterable[str], only: str = "") -> list[dict[str, str]]:
    """Return fields of the packets in a capture, of those that a filter lets pass.

    It reads twice (-2), so that each packet knows of those that came after it.
    """
    command = [
        str(TSHARK),
        "-2",
        "-r",
        str(path),
        "-n",
        "-T",
        "fields",
        "-E",
        "header=y",
    ]
    command += ["-E", "separator=,", "-E", "quote=d", "-Y", only]
    for name in ("tcp.check_checksum", "ip.check_checksum"):
        command += ["-o", f"{name}:TRUE"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(csv.DictReader(done.stdout.splitlines()))


def test_a_clean_conversation_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "clean.pcap"
    clean_trace().to_pcap(path)
    rows = tshark(path, ["tcp.flags.str", "tcp.completeness", "tcp.len"])
    assert [row["tcp.flags.str"].strip("·") for row in rows] == [
        *["S", "A··S", "A"],
        *["AP", "A", "AP", "A"],
        *["A···F", "A", "A···F", "A"],
    ]
    assert {row["tcp.completeness"] for row in rows} == {"31"}
    assert [row["tcp.len"] for row in rows] == [*"000", *"7030", *"0000"]
    assert tshark(path, ["frame.number"], TROUBLE) == []
    assert tshark(path, ["frame.number"], "tcp.analysis.flags") == []


def test_time_begins_with_the_year_2000(tmp_path: Path) -> None:
    path = tmp_path / "clean.pcap"
    clean_trace().to_pcap(path)
    rows = tshark(path, ["frame.time_epoch"])
    assert rows[0]["frame.time_epoch"] == "946684800.000000000"
    assert rows[3]["frame.time_epoch"] == "946684800.030000000"


def test_sums_are_right_for_both_families_and_odd_lengths(tmp_path: Path) -> None:
    path = tmp_path / "troubled.pcap"
    trace = troubled_trace()
    trace.to_pcap(path)
    rows = tshark(path, ["tcp.checksum.status", "ip.checksum.status", "ipv6.src"])
    assert [row["tcp.checksum.status"] for row in rows] == ["1"] * len(trace)
    assert {row["ip.checksum.status"] for row in rows} == {"1", ""}
    assert "2001:db8::3" in {row["ipv6.src"] for row in rows}
    assert tshark(path, ["frame.number"], TROUBLE) == []


def test_a_thousand_segments_hold_no_malformed_one(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    long_trace(1000).to_pcap(path)
    assert len(tshark(path, ["frame.number"])) == 1000
    assert tshark(path, ["frame.number"], TROUBLE) == []


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (24 + 16 + 8, "ip.checksum.status"),  # the hops of the first packet
        (24 + 16 + 20 + 4, "tcp.checksum.status"),  # its sequence number
    ],
)
def test_a_flipped_bit_is_caught(place: int, field: str, tmp_path: Path) -> None:
    path = tmp_path / "flipped.pcap"
    clean_trace().to_pcap(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    statuses = [row[field] for row in tshark(path, [field])]
    assert statuses == ["0"] + ["1"] * 10
    caught = tshark(path, ["frame.number"], TROUBLE)
    assert [row["frame.number"] for row in caught] == ["1"]


def test_windows_are_what_the_segments_said(tmp_path: Path) -> None:
    path = tmp_path / "windows.pcap"
    trace = clean_trace()
    for segment in trace.segments[2:]:
        segment.window = 100 << 7
    trace.to_pcap(path)
    rows = tshark(path, ["tcp.window_size", "tcp.options.mss_val"])
    assert [row["tcp.window_size"] for row in rows[2:]] == ["12800"] * 9
    assert [row["tcp.options.mss_val"] for row in rows[:3]] == ["1460", "1460", ""]
