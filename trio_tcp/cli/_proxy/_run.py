"""The proxy as a program: everything around it, until a signal or ``quit``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, final

import attrs
import trio
from rich.console import Console

from trio_tcp._nursery import ungrouped
from trio_tcp.cli._parameters import ConnectAddress, HostAddress, ListenAddress
from trio_tcp.cli._proxy._commands import obey
from trio_tcp.cli._proxy._control import serve_control
from trio_tcp.cli._proxy._desk import Desk
from trio_tcp.cli._proxy._journal import Journal
from trio_tcp.cli._proxy._notation import FaultText
from trio_tcp.cli._proxy._plan_file import PlannedFault, make_plan
from trio_tcp.cli._proxy._screen import Screen
from trio_tcp.cli._proxy._sockets import open_proxy
from trio_tcp.cli._proxy._typing import TypedLine, is_in_foreground, read_stdin
from trio_tcp.testing import FaultProxy, faults

__all__ = ["Order", "run"]

REFRESH_SECONDS: Final = 0.25

UNSUITABLE_DRAWS: Final = {faults.DnsFailure.draw, faults.ShortWrites.draw}
"""What `faults.Chaos` draws by default, and means nothing to real programs."""


@final
@attrs.frozen(kw_only=True)
class Order:
    """What the command line asks for.

    Attributes:
        listen: where clients come to.
        target: where they are connected to.
        faults: what goes wrong from the beginning on.
        plan: what goes wrong when.
        chaos_seconds: for how long faults are drawn; 0 for none.
        seed: from which everything is drawn.
        trace: where to write what was sent, by its suffix as a capture or as a page.
        trace_bytes: how much memory it may take.
        control: where HTTP is answered.
        is_plain: whether lines are written, also on a terminal.
    """

    listen: ListenAddress
    target: ConnectAddress
    faults: tuple[FaultText, ...]
    plan: tuple[PlannedFault, ...]
    chaos_seconds: float
    seed: str
    trace: Path | None
    trace_bytes: int
    control: HostAddress | None
    is_plain: bool


class View(AbstractContextManager["View"], Protocol):
    """Shows a proxy, for the time of a block."""

    def tell(self, text: str) -> None: ...
    def refresh(self) -> None: ...


async def run(order: Order) -> None:
    """Run a proxy until SIGINT, SIGTERM or ``quit``.

    Raises:
        click.ClickException: it cannot listen.
        OSError: nor for control, or it cannot write the trace.
    """
    trace_bytes = 0 if order.trace is None else order.trace_bytes
    with ungrouped():
        async with (
            open_proxy(
                order.listen, order.target, seed=order.seed, trace_bytes=trace_bytes
            ) as proxy,
            trio.open_nursery() as nursery,
        ):
            await nursery.start(_stop_at_a_signal, nursery.cancel_scope)
            await _attend(order, proxy, nursery.cancel_scope.cancel)
    if order.trace is not None:
        _write_trace(proxy, order.trace)


async def _stop_at_a_signal(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    """Wait for the first signal; a second one then ends the process."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            break
    scope.cancel()


def _write_trace(proxy: FaultProxy, path: Path) -> None:
    if path.suffix == ".html":
        proxy.trace.to_html(path, title=str(path))
    else:
        proxy.trace.to_pcap(path)


async def _attend(order: Order, proxy: FaultProxy, stop: Callable[[], None]) -> None:
    """Show it, let things go wrong in it, and do what is asked, until stopped."""
    where = " and ".join(map(str, proxy.addresses))
    title = f"{where}, before {order.target}; seed {order.seed}"
    line = TypedLine()
    desk = Desk(proxy)
    view = _view(order, title, desk, line)

    def type_in(typed: bytes) -> None:
        for command in line.feed(typed):
            if command.strip() == "quit":
                stop()
            elif command.strip():
                view.tell(_obey(desk, command))
        view.refresh()

    with view:
        desk.tell = view.tell
        async with trio.open_nursery() as nursery:
            if order.control is not None:
                server = await nursery.start(
                    serve_control,
                    desk,
                    order.control.port,
                    order.control.host or "127.0.0.1",
                )
                view.tell(f"control on {server.addresses[0]}")
            for text in order.faults:
                desk.add(text)
            nursery.start_soon(_let_go_wrong, order, proxy)
            nursery.start_soon(read_stdin, type_in)
            while True:
                await trio.sleep(REFRESH_SECONDS)
                view.refresh()


def _view(order: Order, title: str, desk: Desk, line: TypedLine) -> View:
    console = Console()
    is_terminal = console.is_terminal and sys.stdin.isatty() and is_in_foreground()
    if is_terminal and not order.is_plain:
        return Screen(title, desk, line, console)
    return Journal(title, desk)


def _obey(desk: Desk, command: str) -> str:
    try:
        return obey(desk, command)
    except ValueError as error:
        return f"{error}"


async def _let_go_wrong(order: Order, proxy: FaultProxy) -> None:
    """Run the plan, then the chaos, as far as they are asked for."""
    if order.plan:
        await make_plan(proxy, order.plan).run(proxy.network)
    if order.chaos_seconds:
        await _chaos(order.chaos_seconds, proxy).draw(proxy.network).run(proxy.network)


def _chaos(seconds: float, proxy: FaultProxy) -> faults.Chaos:
    kinds = [d for d in faults.DELAYING + faults.BREAKING if d not in UNSUITABLE_DRAWS]
    default = faults.Chaos()
    return faults.Chaos(
        faults=kinds,
        on=[
            proxy.to_server,
            proxy.to_client,
            proxy.client,
            proxy.server,
            proxy.network.path("client", "server"),
        ],
        seconds=seconds,
        shortest=min(default.shortest, seconds),
        longest=min(default.longest, seconds),
    )
