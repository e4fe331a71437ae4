"""A handler for the command: it does what each line says."""

from __future__ import annotations

import os

import trio

import trio_tcp


async def obey(connection: trio_tcp.Connection[str, str]) -> None:
    """Do what each line says; what it does not know, it sends back."""
    async for line in connection:
        match line:
            case "work":
                # For as long as it takes until the signal has come, and no longer.
                await connection.send("working")
                await connection.draining.wait()
                await connection.send("done")
            case "stay":
                with trio.CancelScope(shield=True):
                    await connection.send("staying")
                    await trio.sleep_forever()
            case "pid":
                await connection.send(str(os.getpid()))
            case _:
                await connection.send(line)
