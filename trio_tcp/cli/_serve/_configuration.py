"""What a service is made of, once everything that the user has set makes sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs

from trio_tcp import Handler, KeepAlive, Limits, ProxyProtocol, Timeouts
from trio_tcp._validators import duration, whole
from trio_tcp.cli._parameters import HostAddress, ListenAddress
from trio_tcp.cli._serve._server_tls import ServerTls
from trio_tcp.codecs import Codec

__all__ = ["AnyCodec", "AnyHandler", "Configuration", "Log"]

AnyCodec: TypeAlias = Codec[Any, Any]
AnyHandler: TypeAlias = Handler[Any, Any]
Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], Any]


@attrs.frozen(kw_only=True)
class Log:
    """How the log is written, on standard error.

    Attributes:
        format: ``"text"``: lines for people; ``"json"``: an object on each.
        level: the least that is written, as `logging` calls it.
    """

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


@attrs.frozen(kw_only=True)
class Configuration:
    """A service. Its fields are the keys of the file, and its classes the tables.

    Attributes:
        handler: called for each client; ``module:object``.
        codec: turns messages into bytes and back.
        listen: where; at least one address, and none twice.
        workers: processes to serve in; 0 is the one that was started.
        grace: seconds that a drain lets connections finish.
        drain_delay: seconds after a signal for which clients are accepted as before,
            while the status says already that nobody is to come.
        status: where to answer about the service over HTTP; None is nowhere.
        limits: how much to take on.
        timeouts: how long to wait for a peer.
        tls: None for plain TCP.
        keepalive: TCP's own; None is off.
        proxy_protocol: the proxies that all clients come through; None is none.
        log: how it is written.
    """

    handler: AnyHandler
    codec: AnyCodec
    listen: tuple[ListenAddress, ...]
    workers: int = attrs.field(default=0, validator=whole(0))
    grace: float = attrs.field(default=30.0, validator=duration)
    drain_delay: float = attrs.field(default=0.0, validator=duration)
    status: HostAddress | None = None
    limits: Limits = attrs.field(factory=Limits)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    tls: ServerTls | None = None
    keepalive: KeepAlive | None = None
    proxy_protocol: ProxyProtocol | None = None
    log: Log = attrs.field(factory=Log)
