from __future__ import annotations

import binascii
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

import trio_tcp
from trio_tcp import codecs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.examples.conftest import Program, Programs

SECONDS: Final = 40
FAN_ON: Final = bytes.fromhex("aa55 02 0007 03 0000 01")
FAN_OFF: Final = bytes.fromhex("aa55 02 0007 03 0000 00")


def with_checksum(covered: bytes) -> bytes:
    """Put a CRC-16 behind the rest of a frame."""
    return covered + struct.pack("!H", binascii.crc_hqx(covered, 0))


def reading(celsius: float) -> bytes:
    """Return a frame of device 7, as its protocol describes it."""
    covered = struct.pack("!2sBHBh", b"\xaa\x55", 1, 7, 2, round(celsius * 100))
    return with_checksum(covered)


def done(number: int) -> bytes:
    """Return what device 7 says when it has obeyed."""
    return with_checksum(struct.pack("!2sBHBH", b"\xaa\x55", 3, 7, 2, number))


async def start(programs: Programs) -> tuple[Program, int, int]:
    """Start a gateway; return its ports for devices and for operators too."""
    gateway = await programs.start("gateway", "serve", "--port", 0, "--console", 0)
    return gateway, await gateway.port(), await gateway.port()


@asynccontextmanager
async def operator(
    port: int, *commands: str
) -> AsyncGenerator[trio_tcp.Connection[str, str]]:
    """Be an operator who has said this."""
    lines = codecs.Lines()
    with trio.fail_after(SECONDS):
        async with trio_tcp.connect_tcp("127.0.0.1", port, codec=lines) as console:
            for command in commands:
                await console.send(command)
            yield console


async def waits_for(console: trio_tcp.Connection[str, str], wanted: str) -> None:
    """Read lines until this one."""
    async for line in console:
        if line == wanted:
            return
    raise AssertionError(wanted)


async def receive_exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    """Read so many bytes."""
    data = b""
    with trio.fail_after(SECONDS):
        while len(data) < count:
            chunk = await stream.receive_some(count - len(data))
            assert chunk, f"the end, after {data!r}"
            data += chunk
    return data


async def test_a_warm_device_is_cooled_and_a_cold_one_is_not(
    programs: Programs,
) -> None:
    """Others are told nothing."""
    _, port, _ = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(reading(24.99) + reading(-5.25) + reading(25))
        assert await receive_exactly(device, 11) == with_checksum(FAN_OFF)
        assert await receive_exactly(device, 11) == with_checksum(FAN_ON)


async def test_an_operator_sees_the_last_reading_and_all_later_ones(
    programs: Programs,
) -> None:
    """Of the devices that were asked for."""
    _, port, console_port = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(reading(22.5) + reading(30))
        await receive_exactly(device, 11)  # so it is known to have come
        async with operator(console_port, "watch device.7 other") as console:
            assert await console.receive() == "device.7 30.0 °C"
            await device.send_all(reading(23) + reading(24))
            assert await console.receive() == "device.7 23.0 °C"
            assert await console.receive() == "device.7 24.0 °C"
            await console.send("watch other")
            await console.send("devices")
            assert await console.receive() == "1 devices"
            await device.send_all(reading(23) + reading(30))
            await receive_exactly(device, 11)
            await console.send("devices")
            assert await console.receive() == "1 devices"


async def test_a_command_is_acknowledged_by_the_device(programs: Programs) -> None:
    """It is sent again where either got lost; another number is no answer."""
    _, port, console_port = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(reading(23))
        async with operator(console_port, "watch device.7") as console:
            assert await console.receive() == "device.7 23.0 °C"
            await console.send("fan 7 on")
            first = await receive_exactly(device, 11)
            assert first == with_checksum(FAN_ON[:-3] + b"\0\1\1")
            await device.send_all(done(0))  # of what the gateway does by itself
            assert await receive_exactly(device, 11) == first
            await device.send_all(done(1))
            assert await console.receive() == "device 7 has switched its fan on"


async def test_a_device_that_does_not_answer_is_told(programs: Programs) -> None:
    """Likewise one that is not there, and what makes no sense."""
    _, port, console_port = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(reading(23))
        async with operator(console_port, "watch device.7", "fan 8 on") as console:
            await waits_for(console, "there is no device 8")
            await console.send("fan 7 off")
            await waits_for(console, "device 7 does not answer")
            await console.send("watch")
            assert (await console.receive()).startswith("error: ")
            await console.send("what?")
            assert (await console.receive()).startswith("watch TOPIC ...")


async def test_it_finds_the_next_frame_after_garbage(programs: Programs) -> None:
    """Bytes between the frames are skipped and counted, also half a magic."""
    gateway, port, _ = await start(programs)
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(b"garbage\xaa" + reading(23) + b"\xaa\xaa" + reading(30))
        assert await receive_exactly(device, 11) == with_checksum(FAN_ON)
        await gateway.prints("skipped 10 bytes of garbage\n")


async def test_a_wrong_checksum_costs_one_frame(programs: Programs) -> None:
    """A damaged frame is reported, and the next one counts."""
    gateway, port, _ = await start(programs)
    damaged = reading(10)[:-1] + b"!"
    async with await trio.open_tcp_stream("127.0.0.1", port) as device:
        await device.send_all(damaged + reading(30))
        await gateway.prints(r"^connection \d+ .*: malformed .*: wrong checksum\n")
        assert await receive_exactly(device, 11) == with_checksum(FAN_ON)


async def test_endless_garbage_ends_its_connection_alone(programs: Programs) -> None:
    """One who never sends a frame is sent away; other devices notice nothing."""
    gateway, port, _ = await start(programs)
    async with (
        await trio.open_tcp_stream("127.0.0.1", port) as device,
        await trio.open_tcp_stream("127.0.0.1", port) as garbage,
    ):
        await garbage.send_all(b"?" * 5000)
        await gateway.prints("ended, protocol error: no frame begins within .*\n")
        await device.send_all(reading(30))
        assert await receive_exactly(device, 11) == with_checksum(FAN_ON)


async def test_simulated_devices_are_kept_cool(programs: Programs) -> None:
    """One on a bad line too: they get warm, are cooled, and get warm again."""
    gateway, port, _ = await start(programs)
    options = ["--port", port, "--every", 0.01]
    good = await programs.start("gateway", "devices", *options)
    noisy = await programs.start(
        "gateway", "devices", *options, "--number", 8, "--noise"
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


async def test_an_operator_commands_devices_on_bad_lines(programs: Programs) -> None:
    """As many as there are."""
    _, port, console_port = await start(programs)
    await programs.start(
        "gateway",
        "devices",
        *("--port", port, "--every", 0.5, "--count", 200, "--noise"),
    )
    async with operator(console_port, "watch device.206") as console:
        assert (await console.receive()).startswith("device.206 ")  # the last of them
        await console.send("watch device.*")
        seen: set[str] = set()
        while len(seen) < 150:
            seen.add((await console.receive()).split()[0])
        await console.send("watch device.none")
        await console.send("fan 7 on")
        await waits_for(console, "device 7 has switched its fan on")
