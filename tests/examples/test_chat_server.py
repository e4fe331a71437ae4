from __future__ import annotations

import signal
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import trio

import trio_tcp
from trio_tcp import codecs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.examples.conftest import Programs

Guest: TypeAlias = trio_tcp.Connection[str, str]

SECONDS = 15


@asynccontextmanager
async def guest(port: int, name: str) -> AsyncGenerator[Guest]:
    """Somebody in the lobby of the chat."""
    async with trio_tcp.connect_tcp(
        "127.0.0.1", port, codec=codecs.Lines()
    ) as connection:
        await hears(connection, "* welcome! what is your name?")
        await connection.send(name)
        await hears(
            connection, f"* hello {name}, you are in lobby; /help lists the commands"
        )
        yield connection


async def hears(guest: Guest, *lines: str) -> None:
    """Check that these are the next lines for somebody."""
    for line in lines:
        with trio.fail_after(SECONDS):
            assert await guest.receive() == line


async def test_people_hear_each_other(programs: Programs) -> None:
    """What one says, the others in the room hear."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with guest(port, "ann") as ann, guest(port, "ben") as ben:
        await hears(ann, "* ben has joined")
        async with guest(port, "zoë") as zoe:
            await hears(ann, "* zoë has joined")
            await hears(ben, "* zoë has joined")
            await ann.send("hello!")
            await hears(ben, "<ann> hello!")
            await ben.send("hello ☃")
            await hears(zoe, "<ann> hello!", "<ben> hello ☃")
            await hears(ann, "<ben> hello ☃")
        await hears(ann, "* zoë has left")


async def test_a_name_is_one_persons(programs: Programs) -> None:
    """Nobody gets in, or on, under a name that is taken or is none."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with (
        guest(port, "ann") as ann,
        trio_tcp.connect_tcp("127.0.0.1", port, codec=codecs.Lines()) as ben,
    ):
        for name in ["ann", "", "two words", "x" * 17, "ben"]:
            await ben.send(name)
        await hears(
            ben,
            "* welcome! what is your name?",
            "* ann is taken; another name?",
            *["* a name has 1 to 16 letters, digits and underscores; another name?"]
            * 3,
            "* hello ben, you are in lobby; /help lists the commands",
        )
        await ben.send("/nick ann")
        await hears(ben, "* ann is taken")
        await ben.send("/nick benny")
        await hears(ben, "* you are now benny")
        await ann.send("hello benny")
        await hears(ann, "* ben has joined", "* ben is now benny")
        await hears(ben, "<ann> hello benny")


async def test_a_room_is_apart_from_the_others(programs: Programs) -> None:
    """Those in another room hear nothing, and /who shows who is where."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with (
        guest(port, "ann") as ann,
        guest(port, "ben") as ben,
        guest(port, "cat") as cat,
    ):
        await hears(ann, "* ben has joined", "* cat has joined")
        await hears(ben, "* cat has joined")
        await cat.send("/join kitchen")
        await hears(cat, "* you are in kitchen")
        await hears(ann, "* cat has gone to kitchen")
        await hears(ben, "* cat has gone to kitchen")
        await ann.send("is she gone?")
        await hears(ben, "<ann> is she gone?")
        await cat.send("/who")
        await hears(cat, "* kitchen: cat", "* lobby: ann, ben")
        await ben.send("/join kitchen")
        await hears(ben, "* you are in kitchen")
        await hears(cat, "* ben has joined")


async def test_commands_are_explained(programs: Programs) -> None:
    """/help lists them all; another one is refused."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with guest(port, "ann") as ann:
        await ann.send("/dance")
        await hears(ann, "* no such command; /help?")
        await ann.send("/help")
        text = [await ann.receive() for _ in range(5)]
        assert [line.split()[1] for line in text] == [
            *["/nick", "/join", "/who", "/quit"],
            "anything",
        ]


async def test_quitting_ends_the_connection(programs: Programs) -> None:
    """After /quit the server closes, and the name is free again."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with guest(port, "ann") as ann:
        await ann.send("/quit")
        with trio.fail_after(SECONDS):
            assert [line async for line in ann] == []
    async with guest(port, "ann"):
        pass


async def test_nobody_plays_tricks_on_terminals(programs: Programs) -> None:
    """Control characters, as of escape sequences, reach nobody."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with guest(port, "ann") as ann, guest(port, "ben") as ben:
        await hears(ann, "* ben has joined")
        await ben.send("\x1b[2Jboo\r\x07!")
        await hears(ann, "<ben> [2Jboo!")


async def test_a_slow_reader_does_not_slow_the_others(programs: Programs) -> None:
    """One who does not read is cut off; the others hear all, and are told."""
    port = await (await programs.start("chat_server.py", 0)).port()
    line = "x" * 900
    said = 0
    async with guest(port, "ann") as ann, guest(port, "ben") as ben:
        async with guest(port, "sid") as sid:
            await hears(ann, "* ben has joined", "* sid has joined")
            await hears(ben, "* sid has joined")
            while True:
                await ann.send(line)
                said += 1
                with trio.fail_after(SECONDS):
                    heard = await ben.receive()
                if heard != f"<ann> {line}":
                    break
            assert heard == "* sid was too slow, and has been cut off"
            await hears(ben, f"<ann> {line}")
            await hears(ann, "* sid was too slow, and has been cut off")
            assert said * len(line) > 64 << 10
            with suppress(trio_tcp.ConnectionBroken), trio.fail_after(SECONDS):
                async for _ in sid:  # what was on its way to him
                    pass
            assert sid.close_reason is trio_tcp.CloseReason.BROKEN


async def test_one_who_is_killed_has_left(programs: Programs) -> None:
    """A client that dies without a word leaves like any other."""
    port = await (await programs.start("chat_server.py", 0)).port()
    async with guest(port, "ann") as ann:
        ben = await programs.start("chat_client.py", "--port", port, "ben")
        await hears(ann, "* ben has joined")
        ben.process.send_signal(signal.SIGKILL)
        await hears(ann, "* ben has left")


async def test_one_whose_connection_is_reset_has_left(programs: Programs) -> None:
    """A reset ends one client's part and nobody else's."""
    server = await programs.start("chat_server.py", 0)
    port = await server.port()
    async with guest(port, "ann") as ann, guest(port, "ben") as ben:
        await hears(ann, "* ben has joined")
        ben.abort()
        await hears(ann, "* ben has left")
        await server.prints("'ben'.* ended, reset: .*Connection reset by peer\n")
        await ann.send("/who")
        await hears(ann, "* lobby: ann")


async def test_garbage_ends_the_connection_it_came_from(programs: Programs) -> None:
    """Bytes that are no text end one client's part and nobody else's."""
    server = await programs.start("chat_server.py", 0)
    port = await server.port()
    async with guest(port, "ann") as ann:
        with socket.create_connection(("127.0.0.1", port)) as garbage:
            garbage.sendall(b"\xff\xff\n")
            await server.prints("ended, protocol error: .*\n")
        await ann.send("/who")
        await hears(ann, "* lobby: ann")


async def test_ctrl_c_ends_the_server(programs: Programs) -> None:
    """It ends in order, though people are talking."""
    server = await programs.start("chat_server.py", 0)
    port = await server.port()
    async with guest(port, "ann") as ann, guest(port, "ben"):
        await hears(ann, "* ben has joined")
        server.process.send_signal(signal.SIGINT)
        with trio.fail_after(SECONDS):
            # If ben was told of the end first, she hears that he has left.
            assert {line async for line in ann} <= {"* ben has left"}
    # They have closed, so that it does not give them time to.
    await server.ends()
