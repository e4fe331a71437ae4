"""The server of the chat: terminals on one port, browsers on another.

    python -m examples.chat.server [--port PORT] [--web-port PORT]

``--cert FILE --key FILE`` is for TLS on both; with ``--redis URL`` several servers are
one chat.

Join with ``python -m examples.chat.client NAME``, as often as you like, and with a
browser at the address that it prints. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import ssl
import sys
from functools import partial
from typing import Final

import trio

import trio_tcp
from examples.chat.community import Community
from examples.chat.conversation import Connection, converse
from examples.chat.hub import open_hub
from examples.chat.messages import SERVER
from examples.chat.web import serve_browser
from trio_tcp import codecs

__all__ = ["serve", "serve_terminal"]

GRACE: Final = 5  # seconds for what is under way, when it ends

# A host that is gone without a word is noticed in two minutes. One that is there may be
# quiet for as long as it likes.
KEEPALIVE: Final = trio_tcp.KeepAlive()
TERMINALS: Final = trio_tcp.Timeouts(first_message=10, idle=math.inf)
BROWSERS: Final = trio_tcp.Timeouts(first_message=10, idle=60)
LIMITS: Final = trio_tcp.Limits(max_connections=1000)


async def serve_terminal(community: Community, connection: Connection) -> None:
    """Serve one client that speaks JSON lines."""
    await converse(community, connection, connection.receive)


async def serve(
    port: int, web_port: int, host: str, tls: ssl.SSLContext | None, redis: str | None
) -> None:
    """Serve until a signal, and let those finish who are in the middle of something."""
    async with open_hub(redis) as hub, trio.open_nursery() as nursery:
        community = Community(hub)
        nursery.start_soon(community.presence.run)
        serve_terminals = partial(
            trio_tcp.serve_tcp,
            partial(serve_terminal, community),
            port,
            codec=SERVER,
            timeouts=TERMINALS,
            host=host,
            tls=tls,
            limits=LIMITS,
            keepalive=KEEPALIVE,
        )
        serve_browsers = partial(
            trio_tcp.serve_tcp,
            partial(serve_browser, community),
            web_port,
            codec=codecs.Chunks(),
            timeouts=BROWSERS,
            host=host,
            tls=tls,
            limits=LIMITS,
            keepalive=KEEPALIVE,
        )
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            terminals: trio_tcp.Server = await nursery.start(serve_terminals)
            browsers: trio_tcp.Server = await nursery.start(serve_browsers)
            scheme = "http" if tls is None else "https"
            print(f"the page: {scheme}://{host}:{browsers.port}/", flush=True)
            await anext(aiter(signals))
        # A second signal does not wait for it.
        async with trio.open_nursery() as draining:
            draining.start_soon(terminals.drain, GRACE)
            draining.start_soon(browsers.drain, GRACE)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Let people talk.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8888, help="for terminals; 0: any")
    parser.add_argument("--web-port", type=int, default=8080, help="for browsers")
    parser.add_argument("--cert", help="a certificate, with those above it, as PEM")
    parser.add_argument("--key", help="its key, as PEM")
    parser.add_argument("--redis", metavar="URL", help="what joins several servers")
    args = parser.parse_args()
    tls = None
    if args.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.cert, args.key)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio.run(serve, args.port, args.web_port, args.host, tls, args.redis)


if __name__ == "__main__":
    main()
