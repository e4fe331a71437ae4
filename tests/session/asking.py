"""What the tests of sessions share: a question and its answer, waits without jitter."""

from __future__ import annotations

from tests.doors import Text
from trio_tcp import Backoff

STEADY = Backoff(initial=1, maximum=8, jitter="none")


async def ask(connection: Text, question: str) -> str:
    await connection.send(question)
    return await connection.receive()
