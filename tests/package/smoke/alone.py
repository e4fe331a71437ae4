"""The package with what it depends on, and nothing else."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path

import trio

import trio_tcp
from trio_tcp import cli, codecs

EXTRAS = ("click", "coredis", "h11", "msgspec", "prometheus_client", "pytest", "rich")


async def answer(request: str) -> str:
    await trio.lowlevel.checkpoint()
    return request.upper()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        codec = codecs.Lines()
        handler = trio_tcp.respond(answer)
        serve = partial(trio_tcp.serve_tcp, host="127.0.0.1", codec=codec)
        server: trio_tcp.Server = await nursery.start(serve, handler, 0)
        async with trio_tcp.connect_tcp(
            "127.0.0.1", server.port, codec=codec
        ) as client:
            await client.send("hello")
            assert await client.receive() == "HELLO"
        await server.drain(grace=1)


folder = Path(trio_tcp.__path__[0])
assert folder.is_relative_to(sys.prefix), folder
assert (folder / "py.typed").is_file()
assert not [name for name in EXTRAS if importlib.util.find_spec(name)]
for name in ("monitoring", "testing", "testing.faults"):
    importlib.import_module(f"trio_tcp.{name}")
assert importlib.metadata.version("trio-tcp")
with redirect_stderr(StringIO()) as said:
    assert cli.main(["demo"]) == 1
assert "pip install 'trio-tcp[cli]'" in said.getvalue()
trio.run(main)
