"""The options of ``trio-tcp proxy``."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import click
import trio

from trio_tcp.cli._parameters import (
    CONNECT_ADDRESS,
    LISTEN_ADDRESS,
    ConnectAddress,
    HostAddress,
    ListenAddress,
    parse_size,
)
from trio_tcp.cli._proxy._notation import FAULT, KINDS, FaultText
from trio_tcp.cli._proxy._plan_file import PLAN, PlannedFault
from trio_tcp.cli._proxy._run import Order, run
from trio_tcp.testing.proxy import UNSUITABLE

__all__ = ["command"]

FAULT_HELP: Final = (
    "Something that goes wrong from the beginning on, as in latency:seconds=0.2 or "
    "slice:1@to-client (or @to-server, @client, @server). May be given several times. "
    f"There are {', '.join(n for n, kind in KINDS.items() if kind not in UNSUITABLE)}."
)
SUFFIXES: Final = (".pcap", ".html")


@click.command("proxy", short_help="Put a bad network between clients and a server.")
@click.argument("listen", type=LISTEN_ADDRESS)
@click.argument("target", type=CONNECT_ADDRESS)
@click.option(
    "--fault", "faults", metavar="FAULT", type=FAULT, multiple=True, help=FAULT_HELP
)
@click.option("--plan", type=PLAN, default=(), help="Faults with their times, in TOML.")
@click.option(
    "--chaos",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Draw faults from the seed for so long, after the plan if there is one.",
)
@click.option("--seed", help="What faults draw from; by default one that is told.")
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was sent at the end: .pcap for Wireshark, .html as a page.",
)
@click.option(
    "--trace-size",
    default="64MiB",
    show_default=True,
    help="How much memory it may take; then the oldest segments are dropped.",
)
@click.option(
    "--control",
    metavar="ADDRESS",
    type=LISTEN_ADDRESS,
    help="Answer HTTP here, as in :8474, which is on this machine only.",
)
@click.option("--plain", is_flag=True, help="Write lines, on a terminal too.")
def command(
    *,
    listen: ListenAddress,
    target: ConnectAddress,
    faults: tuple[FaultText, ...],
    plan: tuple[PlannedFault, ...],
    chaos: float | None,
    seed: str | None,
    trace: Path | None,
    trace_size: str,
    control: ListenAddress | None,
    plain: bool,
) -> int:
    """Relay TCP from LISTEN to TARGET, over a network where things go wrong.

    Faults can be changed while it runs: by commands that are typed (see: help), and
    over HTTP (--control).
    """
    for text in faults:
        if text.place.isdecimal():
            raise click.BadParameter(f"{text}: no connection has a number yet.")
    if trace is not None and trace.suffix not in SUFFIXES:
        raise click.BadParameter(f"{trace} is neither .pcap nor .html.")
    if control is not None and not isinstance(control, HostAddress):
        raise click.BadParameter("--control is HOST:PORT.")
    try:
        trace_bytes = parse_size(trace_size)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error
    order = Order(
        listen=listen,
        target=target,
        faults=faults,
        plan=plan,
        chaos_seconds=chaos or 0.0,
        seed=seed or str(random.SystemRandom().randrange(1_000_000)),
        trace=trace,
        trace_bytes=trace_bytes,
        control=control,
        is_plain=plain,
    )
    try:
        trio.run(run, order)
    except OSError as error:
        raise click.ClickException(f"{error}") from error
    return 0
