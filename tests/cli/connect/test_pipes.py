from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trio_tcp.cli._connect import _pipes
from trio_tcp.cli._connect._pipes import LineReader, write_all


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe; a test may close its ends itself."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with suppress(OSError):
                os.close(end)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=8)))
def test_lines_do_not_depend_on_how_they_were_cut(chunks: list[bytes]) -> None:
    """They are what splitting all of it at line feeds gives."""
    reader = LineReader(0)
    for chunk in [*filter(None, chunks), b""]:
        reader._take(chunk)
    text = b"".join(chunks)
    expected = text.split(b"\n")
    if not expected[-1]:
        del expected[-1]
    assert list(reader._whole) == expected


async def test_a_pipe_is_read_line_by_line(pipe: tuple[int, int]) -> None:
    """As each comes; the last may have no end. A carriage return is a part of one."""
    reader, writer = pipe
    lines = LineReader(reader)
    os.write(writer, b"one\r\ntw")
    assert await anext(lines) == "one"
    os.write(writer, "o\ngrüße".encode())
    assert await anext(lines) == "two"
    os.close(writer)
    assert [line async for line in lines] == ["grüße"]


async def test_waiting_for_a_line_can_be_cancelled(pipe: tuple[int, int]) -> None:
    """What has come of it is not lost."""
    reader, writer = pipe
    lines = LineReader(reader)
    os.write(writer, b"hel")
    with trio.move_on_after(0):
        await anext(lines)
    os.write(writer, b"lo\n")
    assert await anext(lines) == "hello"
    assert os.get_blocking(reader)


async def test_a_file_is_read_though_it_cannot_be_waited_for(tmp_path: Path) -> None:
    """Linux refuses to watch files with epoll."""
    path = tmp_path / "lines"
    path.write_text("one\ntwo\n")
    with path.open() as file:
        lines = [line async for line in LineReader(file.fileno())]
    assert lines == ["one", "two"]


async def test_what_is_no_text_is_refused(pipe: tuple[int, int]) -> None:
    """It would not arrive as it was."""
    reader, writer = pipe
    os.write(writer, b"\xff\n")
    with pytest.raises(ValueError, match="no UTF-8"):
        await anext(LineReader(reader))


async def test_a_line_without_an_end_has_a_limit(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever pipes /dev/zero does not fill the memory."""
    monkeypatch.setattr(_pipes, "MAX_LINE", 10)
    reader, writer = pipe
    os.write(writer, b"x" * 11)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        await anext(LineReader(reader))


async def test_writing_waits_for_a_reader(pipe: tuple[int, int]) -> None:
    """More than fits into a pipe; meanwhile others run, and it can be cancelled."""
    reader, writer = pipe
    data = os.urandom(300_000)
    received = b""

    async def read() -> None:
        nonlocal received
        while len(received) < len(data):
            await trio.lowlevel.wait_readable(reader)
            received += os.read(reader, 100_000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await write_all(writer, data)
    assert received == data
    with trio.move_on_after(0.01) as scope:
        await write_all(writer, data)
    assert scope.cancelled_caught
    assert os.get_blocking(writer)


async def test_a_reader_that_is_gone_is_an_error(pipe: tuple[int, int]) -> None:
    """EPIPE, as Python has it."""
    reader, writer = pipe
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        await write_all(writer, b"hello")
