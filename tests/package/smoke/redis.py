"""A backplane that asks for its Redis, which is not there."""

from __future__ import annotations

import trio

import trio_tcp
from trio_tcp import codecs


async def main() -> None:
    lost = trio.Event()

    def observe(event: trio_tcp.Event) -> None:
        assert isinstance(event, trio_tcp.BackplaneLost)
        assert "attempts failed" in str(event.error), event
        lost.set()

    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    url = f"redis://127.0.0.1:{port}"
    async with trio_tcp.RedisBackplane(url, codec=codecs.Lines(), observer=observe):
        with trio.fail_after(10):
            await lost.wait()


trio.run(main)
