"""One client of the chat, from its hello to its end; over whatever connection.

The client is attached to the hub: what others say comes to it right where they say it,
and needs no task here. This one only listens to the client.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypedDict

import msgspec
import trio

import trio_tcp
from examples.chat.commands import Leave, Move, Outcome, obey, told
from examples.chat.community import Community, Member, Refused, clean
from examples.chat.hub import Person, identify, private_topic, room_topic
from examples.chat.messages import (
    Done,
    Entered,
    Event,
    Goodbye,
    Hello,
    Line,
    Missed,
    Problem,
    Reply,
    Request,
    Welcome,
)

__all__ = ["Connection", "Receive", "converse"]

Connection: TypeAlias = trio_tcp.Connection[Any, Reply]
Receive: TypeAlias = Callable[[], Awaitable[Request]]

ON_JOIN: Final = 50
"""Events that greet whoever comes and has no position, of those that are kept."""

LEAVE_SECONDS: Final = 5
"""To tell that somebody has left, at most."""

MIN_TOKEN: Final = 16  # characters


def render(item: trio_tcp.Publication[Any] | trio_tcp.Lagged) -> Reply:
    """Write what comes from the hub, with the position that a client keeps."""
    if isinstance(item, trio_tcp.Lagged):
        return Missed(item.missed)
    event: Event = item.message
    return msgspec.structs.replace(event, position=str(item.position or ""))


class Start(TypedDict, total=False):
    """Where an attachment begins: arguments of `trio_tcp.Hub.attach`."""

    last: int
    after: dict[str, trio_tcp.Position]


FRESH: Final[Start] = {"last": ON_JOIN}


def start_after(topic: str, position: str) -> Start:
    """Go on after a position, or with the last of what is kept if there is none.

    Raises:
        Refused: it is no position.
    """
    if not position:
        return FRESH
    try:
        return {"after": {topic: trio_tcp.Position.parse(position)}}
    except ValueError as error:
        raise Refused(str(error)) from error


async def converse(
    community: Community, connection: Connection, receive: Receive
) -> None:
    """Serve one client.

    Args:
        community: that it comes into.
        connection: where it is answered.
        receive: returns what it says; raises what `trio_tcp.Connection.receive` does.
    """
    try:
        hello = _check_hello(await receive())
        with trio.CancelScope() as scope:
            await _attend(community, connection, receive, hello, scope)
        if scope.cancelled_caught:
            await connection.send(Goodbye("you have come again, from elsewhere"))
    except trio.EndOfChannel:
        pass  # the client has left, or the server is about to: both know
    except (Refused, trio_tcp.MalformedMessageError) as error:
        await connection.send(Goodbye(str(error)))


def _check_hello(request: Request) -> Hello:
    if not isinstance(request, Hello) or len(request.token) < MIN_TOKEN:
        raise Refused("say hello first, with a token of 16 characters")
    return request


async def _attend(
    community: Community,
    connection: Connection,
    receive: Receive,
    hello: Hello,
    scope: trio.CancelScope,
) -> None:
    identity = identify(hello.token)
    topic = private_topic(identity)
    private = start_after(topic, hello.after_private)
    start = start_after(room_topic(hello.room), hello.after_room)
    me = community.admit(Person(identity, hello.nick, hello.room), scope)
    connection.label = me.person.nick  # for the log
    try:
        await connection.send(Welcome(me.person.nick))
        with community.hub.attach(connection, topic, render=render, **private):
            room: str | None = hello.room
            while room is not None:
                room = await _visit(community, connection, receive, me, start)
                start = FRESH
    finally:
        # However this ends: /quit, a reset, the end of the server. But if the same
        # person has come back meanwhile, that is for the other conversation to do.
        if me.scope is scope:
            with trio.move_on_after(LEAVE_SECONDS, shield=True):
                await community.leave(me)


async def _visit(
    community: Community,
    connection: Connection,
    receive: Receive,
    me: Member,
    start: Start,
) -> str | None:
    """Be in a room; return the next one, or None if there is none."""
    room = me.person.room
    others = {*community.presence.in_room(room), me.person.nick}
    await connection.send(Entered(room, sorted(others), time.time()))
    with community.hub.attach(connection, room_topic(room), render=render, **start):
        await community.enter(me)
        while True:
            line = await _next_line(connection, receive, me)
            try:
                outcome = await _act(community, me, line)
            except Refused as error:
                outcome = Problem(str(error))
            match outcome:
                case Leave():
                    await connection.send(Goodbye("you have left"))
                    return None
                case Move(next_room):
                    await connection.send(Done())
                    community.move(me, next_room)
                    return next_room
                case None:
                    await connection.send(Done())
                case answer:
                    await connection.send_many([answer, Done()])
            connection.label = me.person.nick


async def _next_line(connection: Connection, receive: Receive, me: Member) -> str:
    """Wait for a line that may be said now; refuse those that may not."""
    while True:
        problem = ""
        try:
            request = await receive()
        except trio_tcp.MalformedMessageError as error:
            request, problem = Line(""), str(error)
        if seconds := me.bucket.take():
            problem = f"too fast: wait {seconds:.1f} s; this was not said"
        elif isinstance(request, Hello):
            problem = "you have said hello already"
        if not problem and isinstance(request, Line):
            return clean(request.text)
        await connection.send_many([Problem(problem), Done()])


async def _act(community: Community, me: Member, line: str) -> Outcome:
    if line.startswith("/"):
        return await obey(community, me, line)
    return told(await community.say(me, line)) if line else None
