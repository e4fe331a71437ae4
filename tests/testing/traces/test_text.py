from __future__ import annotations

from pathlib import Path

from tests.testing.traces.conversations import clean_trace, troubled_trace
from trio_tcp.testing.traces import Note, Trace


def test_a_trace_is_a_line_for_each_segment() -> None:
    lines = clean_trace().to_text().splitlines()
    alice, bob = "alice:49152 > bob:80", "bob:80 > alice:49152"
    assert lines[:5] == [
        "host alice at 192.0.2.1",
        "host bob at 192.0.2.2",
        "    0.000000  " + alice + " [SYN] seq 0 win 65535 mss 1460 scale 7 "
        "(arrived 0.010000)",
        "    0.010000  " + bob + " [SYN ACK] seq 0 ack 1 win 65535 mss 1460 scale 7 "
        "(arrived 0.020000)",
        "    0.020000  " + alice + " [ACK] seq 1 ack 1 win 65535 (arrived 0.030000)",
    ]
    assert lines[5].endswith("length 7: 6 * 7?\\n (arrived 0.040000)")
    assert len(lines) == 2 + 11


def test_faults_stand_where_they_began_and_ended() -> None:
    lines = troubled_trace().to_text().splitlines()
    begin = lines.index("    0.050000  -- Partition() on alice - bob begins")
    end = lines.index("   60.060000  -- Partition() on alice - bob ends")
    assert [line.endswith("(cut)") for line in lines[begin + 1 : end]] == [True]
    assert not any("carol ends" in line for line in lines)


def test_who_is_nobody_has_an_address() -> None:
    assert "alice:49152 > 192.0.2.99:1 [SYN]" in troubled_trace().to_text()


def test_what_cannot_be_printed_is_spelled() -> None:
    text = troubled_trace().to_text()
    assert r"\x00\x01\xffbinary" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_the_text_is_written_to_a_file_too(tmp_path: Path) -> None:
    text = clean_trace().to_text(tmp_path / "trace.txt")
    assert (tmp_path / "trace.txt").read_text("utf-8") == text


def test_a_trace_of_nothing_is_no_text() -> None:
    assert Trace().to_text() == ""


def test_a_note_stands_before_the_segments_that_it_causes() -> None:
    trace = clean_trace()
    trace.notes.append(Note(0.03, "alice", "send", 3))
    lines = trace.to_text().splitlines()
    place = lines.index("    0.030000  -- alice: send")
    assert "[ACK]" in lines[place - 1]
    assert "[PSH ACK]" in lines[place + 1]
