"""What a gateway and its devices say to each other, in frames.

The protocol is invented, but typical; numbers are in network byte order::

    byte  0 1     2      3 4      5        6 …       last two
          aa 55   kind   device   length   payload   CRC-16 of all before it

A command carries a number, and the device that has obeyed sends it back.
"""

import binascii
import struct
from typing import TypeAlias

import attrs

import trio_tcp
from trio_tcp import codecs

MAGIC = b"\xaa\x55"
HEADER = struct.Struct("!2sBHB")  # magic, kind, device, length of the payload
CHECKSUM = struct.Struct("!H")
CELSIUS = struct.Struct("!h")  # in hundredths
COMMAND = struct.Struct("!H?")  # its number, on
ANSWER = struct.Struct("!H")
READING, FAN, DONE = 1, 2, 3


@attrs.frozen
class Reading:
    """Up: a device reports a temperature."""

    device: int
    celsius: float


@attrs.frozen
class Fan:
    """Down: the gateway switches a device's fan."""

    device: int
    number: int
    on: bool


@attrs.frozen
class Done:
    """Up: a device has obeyed the command of this number."""

    device: int
    number: int


Message: TypeAlias = Reading | Fan | Done
Connection: TypeAlias = trio_tcp.Connection[Message, Message]


def encode(message: Message) -> bytes:
    """Make a whole frame."""
    match message:
        case Reading():
            kind, payload = READING, CELSIUS.pack(round(message.celsius * 100))
        case Fan():
            kind, payload = FAN, COMMAND.pack(message.number, message.on)
        case _:
            kind, payload = DONE, ANSWER.pack(message.number)
    covered = HEADER.pack(MAGIC, kind, message.device, len(payload)) + payload
    return covered + CHECKSUM.pack(binascii.crc_hqx(covered, 0))


def decode(frame: bytes) -> Message:
    """Read a whole frame; any exception means that its content is bad."""
    covered = frame[: -CHECKSUM.size]
    (checksum,) = CHECKSUM.unpack_from(frame, len(covered))
    if checksum != binascii.crc_hqx(covered, 0):
        raise ValueError("wrong checksum")
    _, kind, device, _ = HEADER.unpack_from(covered)
    payload = covered[HEADER.size :]
    if kind == READING:
        return Reading(device, CELSIUS.unpack(payload)[0] / 100)
    if kind == FAN:
        return Fan(device, *COMMAND.unpack(payload))
    if kind == DONE:
        return Done(device, *ANSWER.unpack(payload))
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
