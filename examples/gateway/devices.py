"""Devices to try a gateway with: thermometers with a fan, as many as you like."""

import random
from collections.abc import Iterator

import trio

import trio_tcp
from examples.gateway.protocol import CODEC, Connection, Done, Fan, Message, Reading
from trio_tcp import codecs

__all__ = ["run_devices"]


class NoisyLine:
    """A codec that damages what is sent, as a bad serial line would."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def encode(self, message: Message) -> bytes:
        """Put garbage before each frame, and damage the checksum of one in five."""
        frame = CODEC.encode(message)
        if self._random.randrange(5) == 0:
            frame = frame[:-1] + bytes([frame[-1] ^ 1])
        return self._random.randbytes(self._random.randrange(8)) + frame

    def decode(self, buffer: codecs.Buffer) -> Iterator[Message | codecs.NeedMore]:
        """Receive as usual."""
        return CODEC.decode(buffer)


async def run_devices(
    host: str, port: int, numbers: range, every: float, *, noise: bool
) -> None:
    """Be so many devices, as long as there is a gateway."""
    async with trio.open_nursery() as nursery:
        for number in numbers:
            codec = NoisyLine(number) if noise else CODEC
            nursery.start_soon(run_device, host, port, number, every, codec)
            # Not all at once: so their readings are spread out, too.
            await trio.sleep(min(every, 1) / len(numbers))


async def run_device(
    host: str,
    port: int,
    number: int,
    every: float,
    codec: codecs.Codec[Message, Message],
) -> None:
    """Be one device, as long as there is a gateway."""
    try:
        async with trio_tcp.connect_tcp(host, port, codec=codec) as connection:
            await simulate(connection, number, every)
    except trio_tcp.TrioTcpError as error:
        print(f"device {number}: {error}", flush=True)


async def simulate(connection: Connection, number: int, every: float) -> None:
    """Send a reading every so many seconds, and obey commands in between."""
    celsius, change = 23.0, 0.5
    while True:
        await connection.send(Reading(number, celsius))
        # A receive that is cancelled loses nothing: the next one goes on.
        with trio.move_on_after(every):
            async for message in connection:
                if isinstance(message, Fan):
                    change = switch(number, change, on=message.on)
                    await connection.send(Done(number, message.number))
            return  # the gateway has closed
        celsius += change


def switch(number: int, change: float, *, on: bool) -> float:
    """Return how the temperature changes from now on."""
    wanted = -0.5 if on else 0.5
    if change != wanted:
        print(f"device {number}: fan {'on' if on else 'off'}", flush=True)
    return wanted
