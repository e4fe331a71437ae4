"""Reach the server, and speak TLS with it where that is asked for."""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import attrs

import trio_tcp
from trio_tcp import Event, Timeouts
from trio_tcp.cli._connect._conversation import FrameConnection
from trio_tcp.cli._connect._frames import Frames
from trio_tcp.cli._parameters import ClientTls, ConnectAddress, HostAddress, escape

__all__ = ["Disbelieved", "NamelessError", "dial", "encrypt", "find_belief"]

PATIENT: Final = Timeouts(idle=math.inf, message=math.inf, write=math.inf, linger=1)
"""A person at a keyboard waits as long as it takes, as for somebody at a debugger."""


class Disbelieved(trio_tcp.TrioTcpError):
    """The server's certificate is not to be believed.

    Attributes:
        whose: the name that was checked.
        doubt: why.
    """

    def __init__(self, whose: str, doubt: str) -> None:
        super().__init__(whose, doubt)
        self.whose = whose
        self.doubt = doubt

    def __str__(self) -> str:
        return (
            f"the certificate of {self.whose} is not to be believed: {self.doubt}. "
            "Believe who has signed it with --ca FILE, or anybody with --insecure"
        )


class NamelessError(trio_tcp.TrioTcpError):
    """There is no name that a certificate could be checked for."""


def _ignore(_event: Event, /) -> None:
    """What happens is shown by whoever talks."""


@asynccontextmanager
async def dial(
    address: ConnectAddress, frames: Frames
) -> AsyncGenerator[FrameConnection, None]:
    """Connect, without TLS so far. At the end of the block, close gracefully.

    Raises:
        trio_tcp.ConnectError: nobody could be reached.
        BaseException: what the block raises, as itself.

    Cancellation:
        Closes at once.
    """
    connecting: AbstractAsyncContextManager[FrameConnection]
    if isinstance(address, HostAddress):
        connecting = trio_tcp.connect_tcp(
            address.host or "localhost",
            address.port,
            codec=frames,
            timeouts=PATIENT,
            observer=_ignore,
        )
    else:
        connecting = trio_tcp.connect_unix(
            address.path, codec=frames, timeouts=PATIENT, observer=_ignore
        )
    async with connecting as connection:
        yield connection


async def encrypt(
    connection: FrameConnection, address: ConnectAddress, tls: ClientTls
) -> None:
    """Speak TLS from here on.

    Raises:
        Disbelieved: the server's certificate is nothing to believe.
        trio_tcp.TlsHandshakeError: TLS could not be agreed on.
        trio_tcp.PeerTooSlowError: nor in time.
        NamelessError: nothing was done, as this is a Unix socket.
    """
    context = tls.context or ssl.create_default_context()
    hostname = _hostname(address, tls)
    if context.check_hostname and hostname is None:
        raise NamelessError(
            "a Unix socket has no name to check a certificate for: give --server-name"
        )
    try:
        await connection.start_tls(context, server_hostname=hostname)
    except trio_tcp.TlsHandshakeError as error:
        if (doubt := _doubt(error)) is None:
            raise
        raise Disbelieved(hostname or str(address), doubt) from error


async def find_belief(
    address: ConnectAddress, frames: Frames, tls: ClientTls
) -> str | None:
    """Try whether a certificate is to be believed, over a connection for just that.

    OpenSSL checks certificates while it shakes hands, or not at all. So that those who
    believe anybody learn what they believe, it is checked first, and then not.

    Returns:
        "yes", or "no" and why; None if nothing is believed unchecked.

    Raises:
        trio_tcp.TrioTcpError: as `dial` and `encrypt`.
    """
    if tls.checking is None:
        return None
    if _hostname(address, tls) is None:
        return "not checked, as there is no name to check it for"
    async with dial(address, frames) as connection:
        checking = attrs.evolve(tls, context=tls.checking, checking=None)
        try:
            await encrypt(connection, address, checking)
        except Disbelieved as error:
            return f"no: {error.doubt}"
    return "yes"


def _hostname(address: ConnectAddress, tls: ClientTls) -> str | None:
    if tls.server_hostname or not isinstance(address, HostAddress):
        return tls.server_hostname
    return address.host


def _doubt(error: trio_tcp.TlsHandshakeError) -> str | None:
    """Return why a certificate was refused; None if that is not what went wrong."""
    cause = error.__cause__
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return None
    return escape(cause.verify_message.rstrip("."))
