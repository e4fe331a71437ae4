"""Remote calls: typed requests and replies, each reply to its own request.

    python examples/rpc.py serve [--port PORT]
    python examples/rpc.py call [--host HOST] [--port PORT]

A call has a number, which its reply repeats. So the server works at several calls of a
client at once, and replies as each is done; the client's tasks share one connection,
and none waits for another's reply. A call also says how long its caller is going to
wait, and nobody works at it any longer. What arrives is checked against the types
below, on both sides. (It needs msgspec: pip install trio-tcp[msgspec].)
"""

import argparse
import logging
import math
import sys
from collections import Counter
from functools import partial
from itertools import count
from typing import TypeAlias, assert_never

import msgspec
import trio

import trio_tcp
from trio_tcp import codecs

BACKOFF = trio_tcp.Backoff(initial=0.1, max_attempts=3)
CONCURRENCY = trio_tcp.Concurrency(limit=20, queue=100, replies="as_ready")

# What there is to call ----------------------------------------------------------------


class Divide(msgspec.Struct, tag=True, frozen=True):
    """How much is this?"""

    dividend: float
    divisor: float


class Quotient(msgspec.Struct, tag=True, frozen=True):
    """The reply to `Divide`."""

    value: float


class CountWords(msgspec.Struct, tag=True, frozen=True):
    """How often does each word occur, looked at closely for so many seconds?"""

    text: str
    seconds: float = 0


class Words(msgspec.Struct, tag=True, frozen=True):
    """The reply to `CountWords`."""

    counts: dict[str, int]


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The reply to anything that cannot be done."""

    reason: str


Request: TypeAlias = Divide | CountWords
Reply: TypeAlias = Quotient | Words | Failed


class Call(msgspec.Struct, tag=True, frozen=True):
    """A request on its way."""

    id: int
    request: Request
    seconds: float | None  # for which a reply is wanted; None is for ever


class Return(msgspec.Struct, tag=True, frozen=True):
    """A reply on its way."""

    id: int
    reply: Reply


Message: TypeAlias = Call | Return
Connection: TypeAlias = trio_tcp.Connection[Message, Message]

CODEC: codecs.Codec[Message, Message] = codecs.MessagePack(Message)

# The server ---------------------------------------------------------------------------


async def fulfil(request: Request) -> Reply:
    """Do what a request asks for."""
    match request:
        case Divide(dividend, divisor):
            return Quotient(dividend / divisor)
        case CountWords(text, seconds):
            await trio.sleep(seconds)
            return Words(Counter(text.split()))
        case _:
            assert_never(request)


async def answer(message: Message) -> Message | None:
    """Answer one call."""
    if isinstance(message, Return):
        return None  # this server calls nobody
    return Return(message.id, await fulfil(message.request))


def explain(error: Exception, message: Message | None) -> Message:
    """Return what to reply instead."""
    if isinstance(error, ArithmeticError) and message is not None:
        return Return(message.id, Failed(str(error)))
    raise error  # it ends the connection, and is in the log


def shed(message: Message) -> Message:
    """Reply to what is too much, or takes too long."""
    return Return(message.id, Failed("the server has no time for this"))


def patience(message: Message) -> float | None:
    """Return how long a reply is wanted."""
    return message.seconds if isinstance(message, Call) else None


def serve(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    handler: trio_tcp.Handler[Message, Message] = trio_tcp.respond(
        answer, on_error=explain, concurrency=CONCURRENCY, shed=shed, deadline=patience
    )
    trio_tcp.run_server(handler, args.port, host="127.0.0.1", codec=CODEC)


# The client ---------------------------------------------------------------------------


class CallFailedError(Exception):
    """The server could not do it; the text says why."""


class Service:
    """The server, as if it were here. Any number of tasks may call it at once."""

    def __init__(
        self, requester: trio_tcp.ReconnectingRequester[Message, Message]
    ) -> None:
        self._requester = requester
        self._ids = count(1)

    async def divide(self, dividend: float, divisor: float) -> float:
        """Have a number divided."""
        match await self._call(Divide(dividend, divisor)):
            case Quotient(value):
                return value
            case other:
                raise TypeError(f"this is no reply to Divide: {other}")

    async def count_words(self, text: str, seconds: float = 0) -> dict[str, int]:
        """Have words counted."""
        match await self._call(CountWords(text, seconds)):
            case Words(counts):
                return counts
            case other:
                raise TypeError(f"this is no reply to CountWords: {other}")

    async def _call(self, request: Request) -> Reply:
        seconds = trio.current_effective_deadline() - trio.current_time()
        wanted = None if seconds == math.inf else seconds
        call = Call(next(self._ids), request, wanted)
        # It may be done twice, since it changes nothing.
        match await self._requester.request_repeatable(call):
            case Return(reply=Failed(reason)):
                raise CallFailedError(reason)
            case Return(reply=reply):
                return reply
            case Call():
                raise TypeError("the server calls, where a reply was expected")


def id_of(message: Message) -> int:
    """Say which request and reply belong together."""
    return message.id


async def try_out(service: Service) -> None:
    """Make some calls at once, and print what comes back, when it does."""

    async def count_words(text: str, seconds: float) -> None:
        try:
            counts = await service.count_words(text, seconds)
            print(f"{text}: {counts}", flush=True)
        except CallFailedError as error:
            print(f"{text}: {error}", flush=True)

    async def divide(dividend: float, divisor: float) -> None:
        try:
            quotient = await service.divide(dividend, divisor)
            print(f"{dividend:g} / {divisor:g} = {quotient:g}", flush=True)
        except CallFailedError as error:
            print(f"{dividend:g} / {divisor:g}: {error}", flush=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_words, "slow but thorough", 0.5)
        nursery.start_soon(count_words, "quick quick", 0)
        nursery.start_soon(divide, 1, 8)
        nursery.start_soon(divide, 1, 0)


async def call(args: argparse.Namespace) -> None:
    """Use the service."""
    connect = partial(trio_tcp.connect_tcp, args.host, args.port, codec=CODEC)
    async with trio_tcp.open_requester(
        connect, correlate=id_of, backoff=BACKOFF
    ) as requester:
        with trio.fail_after(args.patience):
            await try_out(Service(requester))


def run_client(args: argparse.Namespace) -> None:
    """Be the client once."""
    try:
        trio.run(call, args)
    except* trio.TooSlowError:
        sys.exit(f"rpc: not done in {args.patience:g} s")
    except* trio_tcp.TrioTcpError as errors:
        sys.exit(f"rpc: {errors.exceptions[0]}")


def main() -> None:
    """Be the server or the client."""
    parser = argparse.ArgumentParser(description="Call functions of another process.")
    roles = parser.add_subparsers(required=True, metavar="ROLE")
    server = roles.add_parser("serve", help="be the server")
    server.set_defaults(run=serve)
    client = roles.add_parser("call", help="be the client")
    client.add_argument("--host", default="127.0.0.1")
    client.add_argument("--patience", type=float, default=10, help="in seconds")
    client.set_defaults(run=run_client)
    for role in server, client:
        role.add_argument("--port", type=int, default=8888)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
