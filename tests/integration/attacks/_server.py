"""The server that is attacked, as a program. It does what is written to it.

``python -m tests.integration.attacks._server FAMILY ATTACK CERTIFICATE`` prints a list
of its ports. Each line that it reads makes it print a report; the end of its input ends
it. All that it prints is JSON, one line each.

How the connections of attackers ended is counted in these words: ``refused`` with the
limit, ``TLS`` or ``PROXY header`` with the error that came out of it, or the reason of
a connection's end, with its error if it has one.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import ssl
import sys
from collections import Counter
from functools import partial

import trio

import trio_tcp
from tests.integration.attacks._attack import (
    HONEST_HOST,
    Attack,
    Service,
    find,
)


class Tally:
    """An observer that counts how attackers' connections ended. It logs, too."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()

    def __call__(self, event: trio_tcp.Event, /) -> None:
        """Take one record."""
        trio_tcp.log_events(event)
        match event:
            case trio_tcp.HandlerFailed():
                self.ends["handler failed"] += 1
            case trio_tcp.ConnectionRejected() if _is_attacker(event.peer):
                self.ends[f"refused ({event.limit})"] += 1
            case trio_tcp.HandshakeFailed() if _is_attacker(event.peer):
                self.ends[f"{event.stage} ({_word(event.error)})"] += 1
            case trio_tcp.ConnectionEnded() if _is_attacker(event.peer):
                word = f" ({_word(event.error)})" if event.error else ""
                self.ends[event.reason.value + word] += 1
            case _:
                pass


def _is_attacker(peer: trio_tcp.Address | None) -> bool:
    # One that was gone before it was accepted has no address any more.
    return not isinstance(peer, trio_tcp.TcpAddress) or peer.host != HONEST_HOST


def _word(error: BaseException) -> str:
    if isinstance(error, trio_tcp.PeerTooSlowError):
        return error.timeout
    return type(error).__name__


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _report(servers: list[trio_tcp.Server], tally: Tally) -> dict[str, object]:
    attackers = 0
    for server in servers:
        attackers += server.statistics().handshaking
        attackers += sum(_is_attacker(each.peer) for each in server.connections)
    return {"ends": tally.ends, "attackers": attackers}


async def _serve(attack: Attack, certificate: str) -> None:
    tally = Tally()
    servers: list[trio_tcp.Server] = []
    async with trio.open_nursery() as nursery:
        for service in attack.services:
            serve = partial(
                trio_tcp.serve_tcp,
                service.handler,
                0,
                host="127.0.0.1",
                codec=service.codec,
                tls=_tls(service, certificate),
                proxy_protocol=_proxies(service, attack.proxy_timeout),
                limits=attack.limits,
                timeouts=attack.timeouts,
                observer=tally,
            )
            servers.append(await nursery.start(serve))
        commands = trio.lowlevel.FdStream(os.dup(0))
        _leave_room(attack.room)
        _say([server.port for server in servers])
        while await commands.receive_some():
            _say(_report(servers, tally))
        nursery.cancel_scope.cancel()


def _tls(service: Service, certificate: str) -> ssl.SSLContext | None:
    if not service.tls:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def _proxies(service: Service, timeout: float) -> trio_tcp.ProxyProtocol | None:
    if not service.proxy:
        return None
    return trio_tcp.ProxyProtocol(trusted=["127.0.0.0/8"], timeout=timeout)


def _leave_room(connections: float) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections < most:
        highest = max(map(int, os.listdir("/dev/fd")))
        limit = highest + int(connections)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def main() -> None:
    """Serve what one of the attacks attacks."""
    family, name, certificate = sys.argv[1:]
    # As in production: what is logged is formatted and written.
    logging.basicConfig(level=logging.INFO, filename=os.devnull)
    [attack] = [each for each in find(family) if each.name == name]
    trio.run(_serve, attack, certificate)


if __name__ == "__main__":
    main()
