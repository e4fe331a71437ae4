"""A supervisor, whose workers serve ``service:serve`` of a folder.

Its arguments: the folder, and a JSON object with the number of ``workers``, the
``grace``, fields of `trio_tcp.Supervision` and its backoff, and how many times as fast
as the real one its clock goes (``rate``). Everything that it is told it prints: the
name of the record, and its fields as JSON.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any
from unittest.mock import patch

import attrs
import trio
from trio.testing import MockClock

import trio_tcp


def say(event: trio_tcp.Event) -> None:
    """Print a record at once, as one line."""
    fields = json.dumps(attrs.asdict(event, recurse=False), default=attrs.asdict)
    sys.stdout.write(f"{type(event).__name__} {fields}\n")
    sys.stdout.flush()


folder = sys.argv[1]
options: dict[str, Any] = json.loads(sys.argv[2])
sys.path[0] = folder
if rate := options.get("rate"):
    patch.object(trio, "run", partial(trio.run, clock=MockClock(rate))).start()
try:
    trio_tcp.run_workers(
        "service:serve",
        options.get("port", 0),
        host="127.0.0.1",
        workers=options.get("workers", 2),
        reuse_port=options.get("reuse_port", False),
        grace=options.get("grace", 30),
        supervision=trio_tcp.Supervision(
            startup=options.get("startup", 60),
            heartbeat=options.get("heartbeat", 60),
            restart=trio_tcp.Backoff(
                initial=0.01,
                maximum=0.05,
                healthy=options.get("healthy", 0),
                max_attempts=3,
            ),
        ),
        observer=say,
    )
except trio_tcp.WorkersFailedError as error:
    sys.exit(f"failed: {error}")
sys.stdout.write("returned {}\n")
