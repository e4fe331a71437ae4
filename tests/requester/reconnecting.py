"""What the tests of `open_requester` share: one over a server that can be down."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import Asked, Dial

Requester = trio_tcp.ReconnectingRequester[str, str]


@asynccontextmanager
async def asking(
    *failures: Exception,
    **options: Any,  # noqa: ANN401 - as of open_requester
) -> AsyncGenerator[tuple[Requester, Dial, trio.Nursery], None]:
    """Open a requester whose first attempts to connect fail like this."""
    dial = Dial()
    dial.failures.extend(failures)
    async with (
        dial.serving(),
        trio.open_nursery() as nursery,
        trio_tcp.open_requester(dial.connect, **options) as requester,
    ):
        yield requester, dial, nursery


def refused() -> OSError:
    """Make the error of an attempt that nobody takes."""
    return ConnectionRefusedError("nobody listens")


async def ask_repeatably(
    nursery: trio.Nursery, requester: Requester, *messages: str
) -> list[Asked]:
    """Have each requested by a task, as what may be sent again, until all wait."""
    asked = [Asked(requester, message) for message in messages]
    for each in asked:
        nursery.start_soon(each.run_repeatable)
        await wait_all_tasks_blocked()
    return asked
