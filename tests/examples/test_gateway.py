from __future__ import annotations

import binascii
import struct
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from tests.examples.conftest import Program, Programs

SECONDS = 15
FAN_ON = bytes.fromhex("aa55 02 0007 01 01")
FAN_OFF = bytes.fromhex("aa55 02 0007 01 00")


def with_checksum(covered: bytes) -> bytes:
    """Put a CRC-16 behind the rest of a frame."""
    return covered + struct.pack("!H", binascii.crc_hqx(covered, 0))


def reading(celsius: float) -> bytes:
    """Return a frame of device 7, as its protocol describes it."""
    covered = struct.pack("!2sBHBh", b"\xaa\x55", 1, 7, 2, round(celsius * 100))
    return with_checksum(covered)


async def start(programs: Programs) -> tuple[Program, int]:
    """Start a gateway."""
    gateway = await programs.start("gateway.py", "serve", "--port", 0)
    return gateway, await gateway.port()


async def receive_exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    """Read so many bytes."""
    data = b""
    with trio.fail_after(SECONDS):
        while len(data) < count:
            chunk = await stream.receive_some(count - len(data))
            assert chunk, f"the end, after {data!r}"
            data += chunk
    return data


async def test_readings_come_up_and_commands_go_down(programs: Programs) -> None:
    """A warm device is told to switch its fan on, a cold one off; others nothing."""
    gateway, port = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(reading(24.99) + reading(-5.25) + reading(25))
        await gateway.prints("device 7: 25.0 °C\ndevice 7: -5.2 °C\n")
        assert await receive_exactly(device, 9) == with_checksum(FAN_OFF)
        await gateway.prints("device 7: 25.0 °C\ndevice 7: fan on\n")
        assert await receive_exactly(device, 9) == with_checksum(FAN_ON)


async def test_it_finds_the_next_frame_after_garbage(programs: Programs) -> None:
    """Bytes between the frames are skipped and counted, also half a magic."""
    gateway, port = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(b"garbage\xaa" + reading(23) + b"\xaa\xaa" + reading(24))
        await gateway.prints("device 7: 23.0 °C\ndevice 7: 24.0 °C\n")
        await gateway.prints("skipped 10 bytes of garbage\n")


async def test_a_wrong_checksum_costs_one_frame(programs: Programs) -> None:
    """A damaged frame is reported, and the next one counts."""
    gateway, port = await start(programs)
    damaged = reading(23)[:-1] + b"!"
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(damaged + reading(24))
        await gateway.prints(r"^connection \d+ .*: malformed .*: wrong checksum\n")
        await gateway.prints("^device 7: 24.0 °C\n")


async def test_endless_garbage_ends_its_connection_alone(programs: Programs) -> None:
    """One who never sends a frame is sent away; other devices notice nothing."""
    gateway, port = await start(programs)
    async with (
        await trio.open_tcp_stream("127.0.0.1", port) as device,
        await trio.open_tcp_stream("127.0.0.1", port) as garbage,
    ):
        await garbage.send_all(b"?" * 5000)
        await gateway.prints("ended, protocol error: no frame begins within .*\n")
        await device.send_all(reading(23))
        await gateway.prints("device 7: 23.0 °C\n")


async def test_the_simulated_device_is_kept_cool(programs: Programs) -> None:
    """Two devices, one on a bad line, get warm, are cooled, and get warm again."""
    gateway, port = await start(programs)
    options = ["--port", port, "--every", 0.01]
    good = await programs.start("gateway.py", "device", *options)
    noisy = await programs.start(
        "gateway.py", "device", *options, "--number", 8, "--noise"
    )
    for device in good, noisy:
        await device.prints("fan on\n")
        await device.prints("fan off\n")
        await device.prints("fan on\n")
    assert (await good.interrupt()).endswith("switched off\n")
    assert (await noisy.interrupt()).endswith("switched off\n")
    log = await gateway.interrupt()
    assert "bytes of garbage" in log
    assert "'device 8'" in log
    assert "wrong checksum" in log
