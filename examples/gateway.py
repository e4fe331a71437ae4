"""A gateway to devices with a binary protocol: readings come up, commands go down.

    python examples/gateway.py serve [--port PORT]
    python examples/gateway.py device [--port PORT] [--number N] [--noise]

Start the gateway, then some devices (simulated: thermometers with a fan). Each gets
warmer until the gateway switches its fan on, and colder until it switches it off.
With ``--noise`` the line is bad: the gateway skips what is no frame, drops frames with
a wrong checksum, and goes on. Ctrl-C ends either.

The protocol is invented, but typical; numbers are in network byte order::

    byte  0 1     2      3 4      5        6 …       last two
          aa 55   kind   device   length   payload   CRC-16 of all before it
"""

import argparse
import binascii
import logging
import random
import struct
import sys
from collections.abc import Iterator
from typing import TypeAlias

import attrs
import trio

import trio_tcp
from trio_tcp import codecs

# The protocol -------------------------------------------------------------------------

MAGIC = b"\xaa\x55"
HEADER = struct.Struct("!2sBHB")  # magic, kind, device, length of the payload
CHECKSUM = struct.Struct("!H")
READING, FAN = 1, 2
ON_OFF = ["off", "on"]


@attrs.frozen
class Reading:
    """Up: a device reports a temperature."""

    device: int
    celsius: float


@attrs.frozen
class Fan:
    """Down: the gateway switches a device's fan."""

    device: int
    on: bool


Message: TypeAlias = Reading | Fan
Connection: TypeAlias = trio_tcp.Connection[Message, Message]


def encode(message: Message) -> bytes:
    """Make a whole frame."""
    if isinstance(message, Reading):
        kind, payload = READING, struct.pack("!h", round(message.celsius * 100))
    else:
        kind, payload = FAN, struct.pack("!?", message.on)
    covered = HEADER.pack(MAGIC, kind, message.device, len(payload)) + payload
    return covered + CHECKSUM.pack(binascii.crc_hqx(covered, 0))


def decode(frame: bytes) -> Message:
    """Read a whole frame; any exception means that its content is bad."""
    covered = frame[: -CHECKSUM.size]
    (checksum,) = CHECKSUM.unpack_from(frame, len(covered))
    if checksum != binascii.crc_hqx(covered, 0):
        raise ValueError("wrong checksum")
    _, kind, device, _ = HEADER.unpack_from(covered)
    if kind == READING:
        (centidegrees,) = struct.unpack_from("!h", covered, HEADER.size)
        return Reading(device, centidegrees / 100)
    if kind == FAN:
        return Fan(device, *struct.unpack_from("!?", covered, HEADER.size))
    raise ValueError(f"unknown kind {kind}")


CODEC: codecs.Codec[Message, Message] = codecs.Mapped(
    codecs.LengthField(
        offset=5,
        size=1,
        adjustment=CHECKSUM.size,  # the length counts the payload alone
        magic=MAGIC,
        max_garbage_bytes=4096,
    ),
    decode=decode,
    encode=encode,
)

# The gateway --------------------------------------------------------------------------

TOO_WARM, COOL_ENOUGH = 25.0, 22.0


async def control(connection: Connection) -> None:
    """Keep one device at a reasonable temperature."""
    while True:
        try:
            message = await connection.receive()
        except trio_tcp.MalformedMessageError:
            continue  # it is in the log; the next frame follows
        if isinstance(message, Reading):
            connection.label = f"device {message.device}"  # for the log
            print(f"{connection.label}: {message.celsius:.1f} °C", flush=True)
            if not COOL_ENOUGH < message.celsius < TOO_WARM:
                # Whatever the fan does now: commands get lost, and devices restart.
                fan = Fan(message.device, on=message.celsius >= TOO_WARM)
                await connection.send(fan)
                print(f"{connection.label}: fan {ON_OFF[fan.on]}", flush=True)


def serve(args: argparse.Namespace) -> None:
    """Serve devices until Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio_tcp.run_server(control, args.port, host=args.host, codec=CODEC)


# A device -----------------------------------------------------------------------------


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


async def simulate(connection: Connection, number: int, every: float) -> None:
    """Send a reading every so many seconds, and obey commands in between."""
    celsius, change = 23.0, 0.5
    while True:
        await connection.send(Reading(number, celsius))
        # A receive that is cancelled loses nothing: the next one goes on.
        with trio.move_on_after(every):
            async for message in connection:
                if isinstance(message, Fan):
                    print(f"fan {ON_OFF[message.on]}", flush=True)
                    change = -0.5 if message.on else 0.5
            return  # the gateway has closed
        celsius += change


async def connect(args: argparse.Namespace) -> None:
    """Be a device as long as there is a gateway."""
    codec = NoisyLine(args.number) if args.noise else CODEC
    try:
        async with trio_tcp.connect_tcp(
            args.host, args.port, codec=codec
        ) as connection:
            await simulate(connection, args.number, args.every)
    except trio_tcp.TrioTcpError as error:
        sys.exit(f"device: {error}")


def run_device(args: argparse.Namespace) -> None:
    """Be a device until Ctrl-C."""
    try:
        trio.run(connect, args)
    except* KeyboardInterrupt:
        print("switched off")


def main() -> None:
    """Be the gateway or a device."""
    parser = argparse.ArgumentParser(description="Talk to devices in frames.")
    parser.add_argument("--host", default="127.0.0.1")
    roles = parser.add_subparsers(required=True, metavar="ROLE")
    server = roles.add_parser("serve", help="be the gateway")
    server.set_defaults(run=serve)
    device = roles.add_parser("device", help="be a device")
    device.add_argument("--number", type=int, default=7, help="which one")
    device.add_argument("--every", type=float, default=1.0, help="seconds")
    device.add_argument("--noise", action="store_true", help="have a bad line")
    device.set_defaults(run=run_device)
    for role in server, device:
        role.add_argument("--port", type=int, default=8888)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
