from __future__ import annotations

import pytest

from trio_tcp.cli._proxy._notation import KINDS, FaultText, parse_fault, parse_words
from trio_tcp.testing import Fault, faults
from trio_tcp.testing.proxy import UNSUITABLE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("latency:seconds=0.2,jitter=0.1", faults.Latency(0.2, jitter=0.1)),
        ("bandwidth:bytes_per_second=65536", faults.Bandwidth(65_536)),
        ("loss:share=0.25", faults.Loss(0.25)),
        ("slice", faults.Slice()),
        ("slice:smallest=2,largest=9", faults.Slice(2, 9)),
        ("slice:smallest=3", faults.Slice(3)),
        ("slice-at:offsets=3+7", faults.SliceAt([3, 7])),
        ("coalesce:seconds=0.5", faults.Coalesce(0.5)),
        ("cut:after_bytes=1024", faults.Cut(after_bytes=1024)),
        (
            "cut:after_seconds=1.5,silently=true",
            faults.Cut(after_seconds=1.5, silently=True),
        ),
        ("fail-next:count=2,error=reset", faults.FailNext(2, error="reset")),
        ("black-hole", faults.BlackHole()),
        ("full-backlog", faults.FullBacklog()),
        ("pause@server", faults.Pause()),
        ("partition", faults.Partition()),
        ("reset@to-client", faults.Reset()),
        ("hold@3", faults.Hold()),
    ],
)
def test_a_fault_is_written_as_it_is_read(text: str, fault: Fault) -> None:
    parsed = parse_fault(text)
    assert parsed.fault == fault
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("latency:0.2", faults.Latency(0.2)),
        ("latency:0.2,jitter=1", faults.Latency(0.2, jitter=1)),
        ("slice:2,9", faults.Slice(2, 9)),
        ("bandwidth:64KiB", faults.Bandwidth(65_536)),
        ("cut:after_bytes=1MB", faults.Cut(after_bytes=1_000_000)),
    ],
)
def test_there_are_shorter_ways_to_write_it(text: str, fault: Fault) -> None:
    assert parse_fault(text).fault == fault


@pytest.mark.parametrize(
    "text",
    [
        "latency seconds=0.2 jitter=0.1 @to-client",
        "latency 0.2 @to-client jitter=0.1",
        "latency:0.2,jitter=0.1@to-client",
    ],
)
def test_words_may_stand_apart(text: str) -> None:
    wanted = FaultText(faults.Latency(0.2, jitter=0.1), "to-client")
    assert parse_words(text.split()) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("latenzy:1", "did you mean latency"),
        ("xyz", "there are bandwidth, "),
        ("latency", "latency needs seconds"),
        ("latency:x=1", "no option 'x'; it has seconds, jitter"),
        ("latency:0.1,0.2", "no option '0.2'"),
        ("latency:seconds=1,seconds=2", "no option 'seconds' twice"),
        ("latency:seconds=soon", "'soon' is no number"),
        ("latency:seconds=-1", "zero or more"),
        ("latency:seconds=nan", "seconds must be"),
        ("slice:0", "1 or more"),
        ("slice-at:3+x", "'x' is no number"),
        ("cut", "must be given"),
        ("cut:after_bytes=1,silently=yes", "true or false, not 'yes'"),
        ("fail-next:error=gone", "'refused'"),
        ("partition:groups=a", "no option 'groups'"),
        ("pause", "pause@server"),
        ("hold@nowhere", "to-server, to-client, server, client"),
        ("hold@", "'' is no place"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_fault(text)


def test_every_fault_has_a_name_and_those_of_no_use_say_so() -> None:
    named = set(KINDS.values())
    assert named >= {faults.Latency, faults.Slice, faults.BlackHole, *UNSUITABLE}
    for name, kind in KINDS.items():
        if kind in UNSUITABLE:
            with pytest.raises(ValueError, match=kind.__name__):
                parse_fault(name)
