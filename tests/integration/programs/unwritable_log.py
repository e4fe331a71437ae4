"""Serve echo with a log that cannot be written; print how many failures it lost.

Arguments: what is wrong with stderr (``full``, ``broken`` or ``closed``), and the
format of the log (``text`` or ``json``).
"""

from __future__ import annotations

import logging
import os
import sys

import trio_tcp
from trio_tcp import codecs, monitoring

lost: list[logging.LogRecord] = []


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def spoil_stderr(how: str) -> None:
    """Let nothing arrive that is written there."""
    match how:
        case "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        case "broken":
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, 2)
        case _:
            sys.stderr.close()


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # it has none
    """Counts what could not be written."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name
        """Count it, then do what every handler does: try to say so on stderr."""
        lost.append(record)
        super().handleError(record)


async def echo_or_fail(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every line, but for one that makes it fail."""
    async for line in connection:
        if line == "fail":
            raise ValueError(line)
        await connection.send(line)


def observe(event: trio_tcp.Event) -> None:
    """Print the port; then as by default."""
    match event:
        case trio_tcp.ServerStarted(addresses=(trio_tcp.TcpAddress(port=port),)):
            say(port)
        case _:
            pass
    trio_tcp.log_events(event)


spoil_stderr(sys.argv[1])
handler = CountingHandler()
if sys.argv[2] == "json":
    handler.setFormatter(monitoring.JsonFormatter())
logging.basicConfig(level=logging.DEBUG, handlers=[handler])
trio_tcp.run_server(
    echo_or_fail, 0, host="127.0.0.1", codec=codecs.Lines(), observer=observe
)
say(sum(record.getMessage().endswith(": handler failed") for record in lost))
os._exit(0)  # stderr cannot be flushed, and Python would call that a failure
