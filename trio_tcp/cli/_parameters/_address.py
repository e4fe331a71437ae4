"""Where to connect to, or to listen, as people write it."""

from __future__ import annotations

import re
from typing import Final, TypeAlias, final

import attrs
import click

__all__ = [
    "CONNECT_ADDRESS",
    "LISTEN_ADDRESS",
    "ConnectAddress",
    "DescriptorAddress",
    "HostAddress",
    "ListenAddress",
    "PathAddress",
    "SystemdAddress",
    "parse_listen_address",
]

HOST_AND_PORT: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:]*)):(?P<port>[0-9]{1,5})"
)

PATH_AND_MODE: Final = re.compile(r"(?P<path>.*?)(?:,mode=(?P<mode>.*))?", re.DOTALL)

OCTAL: Final = re.compile(r"0?[0-7]{3}")

MAX_PORT: Final = 0xFFFF


@attrs.frozen
class HostAddress:
    """A host and a port of TCP. A host of None is every address of this machine."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@attrs.frozen
class PathAddress:
    """A Unix socket. Its mode is what to give its file; None leaves it to the umask."""

    path: str
    mode: int | None = None

    def __str__(self) -> str:
        mode = "" if self.mode is None else f",mode={self.mode:o}"
        return f"unix:{self.path}{mode}"


@attrs.frozen
class DescriptorAddress:
    """A listening socket that this process has inherited under a number."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


@attrs.frozen
class SystemdAddress:
    """The listening sockets that systemd hands down."""

    def __str__(self) -> str:
        return "systemd"


ConnectAddress: TypeAlias = HostAddress | PathAddress
ListenAddress: TypeAlias = (
    HostAddress | PathAddress | DescriptorAddress | SystemdAddress
)


def _host_address(text: str) -> HostAddress:
    found = HOST_AND_PORT.fullmatch(text)
    if found is None:
        hint = ""
        if text.count(":") > 1:
            hint = "; an IPv6 address stands in brackets, as in [::1]:8888"
        elif ":" not in text:
            hint = f"; did you mean {text or 'localhost'}:8888?"
        raise ValueError(f"{text!r} is not HOST:PORT{hint}")
    port = int(found["port"])
    if port > MAX_PORT:
        raise ValueError(f"port {port} is above {MAX_PORT}")
    return HostAddress(found["bracketed"] or found["plain"] or None, port)


def _path_address(path: str) -> PathAddress:
    if not path:
        raise ValueError("unix: needs a path, as in unix:/run/echo.sock")
    return PathAddress(path)


def _path_and_mode(text: str) -> PathAddress:
    found = PATH_AND_MODE.fullmatch(text)
    assert found is not None
    address = _path_address(found["path"])
    if found["mode"] is None:
        return address
    if not OCTAL.fullmatch(found["mode"]):
        raise ValueError(f"mode is octal, as in {address},mode=660")
    return attrs.evolve(address, mode=int(found["mode"], 8))


@final
class _ConnectAddress(click.ParamType[ConnectAddress]):
    name = "address"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> ConnectAddress:
        if isinstance(value, HostAddress | PathAddress):
            return value
        text = str(value)
        try:
            if text.startswith("unix:"):
                return _path_address(text.removeprefix("unix:"))
            address = _host_address(text)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if address.port == 0:
            self.fail("Port 0 is nobody's; it only makes sense to listen.", param, ctx)
        return attrs.evolve(address, host=address.host or "localhost")


@final
class _ListenAddress(click.ParamType[ListenAddress]):
    name = "address"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> ListenAddress:
        if not isinstance(value, str):
            return value  # type: ignore[return-value] # click converts defaults again
        try:
            return parse_listen_address(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def parse_listen_address(text: str) -> ListenAddress:
    """Read where to listen.

    Raises:
        ValueError: it is nothing of the kind; the text says what would be.
    """
    if text == "systemd":
        return SystemdAddress()
    if text.startswith("unix:"):
        return _path_and_mode(text.removeprefix("unix:"))
    if text.startswith("fd:"):
        number = text.removeprefix("fd:")
        if not (number.isascii() and number.isdecimal()):
            raise ValueError(f"{text!r} has no number of a descriptor, as in fd:3")
        return DescriptorAddress(int(number))
    return _host_address(text)


CONNECT_ADDRESS: Final = _ConnectAddress()
"""``HOST:PORT``, ``[::1]:PORT``, ``:PORT`` (of this machine) or ``unix:PATH``."""

LISTEN_ADDRESS: Final = _ListenAddress()
"""The same (``:PORT`` is every address of this machine), ``unix:PATH,mode=660``,
``fd:NUMBER``, ``systemd``."""
