"""``trio-tcp demo``: two servers, a dozen connections, and what becomes of each.

The clients play out a story over real sockets of this machine. Nothing in it waits for
time to pass: each step waits for what it has caused. And what the transcript says is
checked, not assumed: where something did not come out as promised, it says so, and the
exit code is 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click
import trio

import trio_tcp
from trio_tcp import CloseReason
from trio_tcp.cli._demo_stage import Chat, Connection, Stage, Story, echo

if TYPE_CHECKING:
    from trio_tcp import ConnectionStatistics, ServerStatistics

__all__ = ["command"]

LINES: Final = 1000
PAGE_BYTES: Final = 8 << 10
DEADLINE_SECONDS: Final = 30  # it takes less than one


@click.command("demo", short_help="See servers at work, with clients of all sorts.")
def command() -> int:
    """Run an echo and a chat server, and clients of all sorts."""
    return run()


def run() -> int:
    """Play the story; return 0 if all of it came true."""
    story = Story()
    try:
        trio.run(play, story)
    except* (trio_tcp.TrioTcpError, OSError, trio.TooSlowError) as errors:
        story.promise(f"the story reaches its end ({errors.exceptions[0]!r})", False)
    except* KeyboardInterrupt:
        story.promise("the story reaches its end (interrupted)", False)
    return story.conclude()


# The story ----------------------------------------------------------------------------


async def play(story: Story) -> None:
    """Open both servers, let the clients come and go, and show the figures."""
    echo_stage, chat_stage = stages = Stage("echo"), Stage("chat")
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:
            story.chapter("Two servers, on real sockets of this machine")
            await echo_stage.open(nursery, echo)
            await chat_stage.open(nursery, Chat().handle)
            for stage in stages:
                story.tell(stage.name, f"listens on {stage.server.addresses[0]}")
            async with echo_stage.client("ann") as ann:
                await many_at_once(story, echo_stage, ann)
                await misbehaviour(story, echo_stage, ann)
                await draining(story, echo_stage, ann)
            await stalling(story, chat_stage)
            await figures(story, stages)
            nursery.cancel_scope.cancel()


async def many_at_once(story: Story, stage: Stage, ann: Connection) -> None:
    """Several clients echo a lot, and two of them leave, each in its own way."""
    story.chapter("Many clients at once")
    answered: dict[str, bool] = {}

    async def have_lines_echoed(who: str, connection: Connection) -> None:
        lines = [f"line {number} of {who}" for number in range(LINES)]
        await connection.send_many(lines)
        answered[who] = [await connection.receive() for _ in lines] == lines

    async with stage.client("ben") as ben, stage.client("cat") as cat:
        async with trio.open_nursery() as nursery:
            for who, connection in {"ann": ann, "ben": ben, "cat": cat}.items():
                story.tell(who, f"sends {LINES:,} lines, and waits for none of them")
                nursery.start_soon(have_lines_echoed, who, connection)
        everybody = {"ann": True, "ben": True, "cat": True}
        story.promise("each gets its own lines back, in order", answered, everybody)
        story.tell("ben", "sends 'goodbye' and FIN at once: a half-close")
        await ben.send("goodbye")
        await ben.send_eof()
        rest = [line async for line in ben]
        story.promise(
            "the answer still arrives, then the server's FIN", rest, ["goodbye"]
        )
        story.tell("cat", "closes")
    for who in ("ben", "cat"):
        reason = await stage.reason(who)
        story.promise(f"the server saw {who} close", reason, CloseReason.PEER_CLOSED)


async def misbehaviour(story: Story, stage: Stage, ann: Connection) -> None:
    """Four clients go wrong, each in its own way, while ann is connected."""
    story.chapter("What one client does wrong ends its own connection; ann stays")

    async def check(who: str, reason: CloseReason) -> None:
        how = f"the server ends {who}'s connection: {reason.value}"
        story.promise(how, await stage.reason(who), reason)
        await ann.send(f"after {who}")
        story.promise("ann is answered as before", await ann.receive(), f"after {who}")

    async with stage.client("rob") as rob:
        story.tell("rob", "sends 'hello', is answered, and resets the connection (RST)")
        await rob.send("hello")
        await rob.receive()
        rob.abort()
        await check("rob", CloseReason.BROKEN)
    async with stage.bare_client("tom") as tom:
        story.tell("tom", "closes in the middle of a line")
        await tom.send_all(b"half a li")
    await check("tom", CloseReason.TRUNCATED)
    async with stage.bare_client("gus") as gus:
        story.tell("gus", "sends garbage: bytes that are no text")
        await gus.send_all(b"\xff\xfe\x00\n")
        await check("gus", CloseReason.PROTOCOL_ERROR)
    async with stage.bare_client("eve") as eve:
        story.tell("eve", "sends 1 MiB without a line end; a line may have 64 KiB")
        with suppress(trio.BrokenResourceError):  # cut off before she is through
            await eve.send_all(bytes(1 << 20))
        await check("eve", CloseReason.PROTOCOL_ERROR)


async def draining(story: Story, stage: Stage, ann: Connection) -> None:
    """The server stops while one client waits, and one is in the middle of a line."""
    story.chapter("The echo server stops, and nobody loses anything")
    async with stage.bare_client("dot") as dot:
        story.tell("dot", "sends a line, and half of another")
        await dot.send_all(b"one line\nhalf a l")
        await dot.receive_some()  # the answer: the server has the half, too
        report: list[trio_tcp.DrainReport] = []

        async def drain() -> None:
            report.append(await stage.server.drain())

        async with trio.open_nursery() as nursery:
            story.tell(stage.name, "drains")
            nursery.start_soon(drain)
            rest = [line async for line in ann]
            story.promise("ann, who waits, is told at once that this is all", rest, [])
            await ann.aclose()
            story.tell("dot", "sends the other half")
            await dot.send_all(b"ine\n")
            answer = b"".join([chunk async for chunk in dot])
            story.promise("and is answered", answer, b"half a line\n")
            await dot.aclose()
    [one] = report
    story.promise(
        "the report: two have finished, none was cancelled or aborted",
        (one.finished, one.cancelled, one.aborted),
        (2, 0, 0),
    )


async def stalling(story: Story, stage: Stage) -> None:
    """Four people chat, and one of them stops reading."""
    story.chapter("A chat, in which one does not listen")
    async with (
        stage.client("ann") as ann,
        stage.client("ben") as ben,
        stage.client("cat") as cat,
        stage.client("sid") as sid,
    ):
        here: list[Connection] = []
        for who, person in {"ann": ann, "ben": ben, "cat": cat, "sid": sid}.items():
            await person.send(who)
            here.append(person)
            heard = await hear(here, f"* {who} is here")
            story.promise(f"{who} joins, and all who are here hear of it", heard)
        story.tell("ann", "says 'hello'")
        await ann.send("hello")
        story.promise("everybody hears it", await hear(here, "<ann> hello"))
        story.tell("sid", "stops reading; ann reads a book to them")
        await read_a_book(story, stage, [ann, ben, cat])
        story.tell("sid", "reads again, at last")
        with suppress(trio_tcp.ConnectionBroken):
            async for _ in sid:  # what the kernels held of the book
                pass
        story.promise("and learns that he is out", sid.close_reason, CloseReason.BROKEN)
        story.tell("cat", "closes")
        await cat.aclose()
        story.promise("the others hear of it", await hear([ann, ben], "* cat has left"))
        story.tell("both", "that are left close, too")


async def hear(people: Sequence[Connection], line: str) -> bool:
    """Wait for the next line of each; return whether it is this one."""
    return [await person.receive() for person in people] == [line] * len(people)


async def read_a_book(story: Story, stage: Stage, readers: list[Connection]) -> None:
    """Let ann talk until the server has had enough of sid; the others read it all."""
    [slow] = (c for c in stage.server.connections if c.label == "sid")
    asides: list[list[str]] = [[] for _ in readers]
    page, most_held = 0, 0
    while slow.close_reason is None:
        page += 1
        text = f"page {page}".ljust(PAGE_BYTES, ".")
        await readers[0].send(text)
        for reader, aside in zip(readers, asides, strict=True):
            while (line := await reader.receive()) != f"<ann> {text}":
                aside.append(line)
        most_held = max(most_held, slow.statistics().bytes_queued)
    for reader, aside in zip(readers, asides, strict=True):
        if not aside:
            aside.append(await reader.receive())
    size = page * PAGE_BYTES
    story.tell(
        "ann", f"reads {page:,} pages ({size:,} bytes) until the server cuts sid off"
    )
    news = "* sid has left"
    story.promise("all others get every page in order", asides, [[news]] * len(readers))
    bound = (64 << 10) + PAGE_BYTES + 64
    story.promise(
        f"the server held no more than {bound:,} bytes for sid ({most_held:,})",
        most_held <= bound,
    )
    reason = await stage.reason("sid")
    story.promise("it was the server that ended it", reason, CloseReason.CLOSED)


# The figures --------------------------------------------------------------------------

ROW: Final = "  {:<4} {:<5} {:<15} {:>8,} {:>8,} {:>11,} {:>11,}"
HEAD: Final = ROW.replace(",", "")


async def figures(story: Story, stages: Sequence[Stage]) -> None:
    """Print who ended how, and hold the servers' own counters against that."""
    story.chapter("Who ended how, as the servers saw it")
    print(HEAD.format("", "", "", "messages", "messages", "bytes", "bytes"))
    print(HEAD.format("who", "where", "ended", "received", "sent", "received", "sent"))
    for stage in stages:
        for who in stage.visitors:
            event = await stage.ended(who)
            row = counters(event.statistics)
            print(ROW.format(who, stage.name, event.reason.value, *row))
        total = stage.server.statistics()
        people = f"{total.accepted} connections"
        print(ROW.format("all", stage.name, people, *counters(total)))
    print()
    for stage in stages:
        events = [await stage.ended(who) for who in stage.visitors]
        rows = [counters(event.statistics) for event in events]
        total = stage.server.statistics()
        story.promise(
            f"the {stage.name} server's own counters say the same",
            (*counters(total), total.ended),
            (*map(sum, zip(*rows, strict=True)), Counter(e.reason for e in events)),
        )
        story.promise("nobody is left there", total.open, 0)
        story.promise("no handler failed", stage.failures, [])


def counters(of: ConnectionStatistics | ServerStatistics) -> tuple[int, ...]:
    """Return what the table shows of one connection, or of one server."""
    return of.messages_received, of.messages_sent, of.bytes_received, of.bytes_sent
