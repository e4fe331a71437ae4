"""The options of ``trio-tcp bench``, and what a run of it does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final, final

import attrs
import click
from rich.console import Console

import trio_tcp
from trio_tcp.cli._bench._descriptors import allow_descriptors
from trio_tcp.cli._bench._load import Load
from trio_tcp.cli._bench._messages import encode_all, expectation, read_messages
from trio_tcp.cli._bench._picture import picture
from trio_tcp.cli._bench._plan import Arrivals, Mode, Plan, expect_anything
from trio_tcp.cli._bench._processes import (
    ChildError,
    Children,
    report,
    report_failure,
    share_of,
)
from trio_tcp.cli._bench._progress import progress_bar
from trio_tcp.cli._bench._result import Result, to_json
from trio_tcp.cli._bench._show import show
from trio_tcp.cli._bench._signals import run_until_signalled
from trio_tcp.cli._bench._target import Target
from trio_tcp.cli._bench._timer import open_timer
from trio_tcp.cli._bench._words import headline, warnings_about
from trio_tcp.cli._parameters import (
    CODEC,
    CODEC_HELP,
    CONNECT_ADDRESS,
    NOTATIONS,
    ClientTls,
    ConnectAddress,
    client_tls_options,
    notation_for,
)

__all__ = ["command"]

ARGUMENTS: Final = "trio_tcp.bench.arguments"
"""Where click's context keeps what the command was called with."""

DEFAULT_SECONDS: Final = 10.0
DEFAULT_WARM_UP: Final = 1.0

COUNT: Final = click.IntRange(min=1)
READABLE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
WRITABLE: Final = click.Path(dir_okay=False, writable=True, path_type=Path)


@final
class _Positive(click.FloatRange):
    """A number of seconds, or of things per second."""

    def __init__(self, *, or_zero: bool = False) -> None:
        super().__init__(min=0, min_open=not or_zero)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


@final
class _Bench(click.Command):
    """Remembers its arguments: other processes are to get them, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


@attrs.frozen(kw_only=True)
class _Options:
    """What the options say, as click has read it."""

    address: ConnectAddress
    codec: Any
    notation: str | None
    messages: tuple[str, ...]
    messages_file: Path | None
    size: str | None
    expect: str | None
    connections: int
    in_flight: int
    rate: float | None
    arrivals: Arrivals
    churn: bool
    one_way: bool
    duration: float | None
    requests: int | None
    warm_up: float | None
    connect_rate: float | None
    timeout: float
    processes: int
    json_file: str | None
    svg_file: Path | None
    share: str | None

    @property
    def mode(self) -> Mode:
        """What becomes of a request."""
        if self.churn and self.one_way:
            raise click.UsageError("--churn waits for replies; --one-way has none.")
        if self.in_flight > 1 and (self.churn or self.one_way):
            raise click.UsageError("--in-flight is for connections that have replies.")
        if self.one_way and self.expect is not None:
            raise click.UsageError("--expect is for replies; --one-way has none.")
        if self.churn:
            return "churn"
        return "one-way" if self.one_way else "request-reply"


@click.command("bench", cls=_Bench, short_help="Put a server under load.")
@click.argument("address", type=CONNECT_ADDRESS)
@click.option("--codec", type=CODEC, required=True, help=CODEC_HELP)
@click.option(
    "--as",
    "notation",
    type=click.Choice(NOTATIONS),
    help="How messages are written here; by default as is usual for the codec.",
)
@click.option(
    "--message", "messages", multiple=True, help="Send this. May be repeated."
)
@click.option(
    "--messages",
    "messages_file",
    type=READABLE,
    help="Send these, a line each, in turn.",
)
@click.option("--size", help="Send so many random letters, as in 64KiB.")
@click.option(
    "--expect", help="What replies must be: same, /REGEX/, or @FILE, in turn."
)
@click.option("-c", "--connections", type=COUNT, default=50, show_default=True)
@click.option(
    "--in-flight",
    type=COUNT,
    default=1,
    show_default=True,
    help="Requests that wait for replies on each connection, at most.",
)
@click.option(
    "-r",
    "--rate",
    type=_Positive(),
    help="Requests per second in all: an open loop. Without it, each reply is "
    "followed by a request: a closed loop.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "uniform"]),
    default="poisson",
    show_default=True,
    help="How those are spread over time.",
)
@click.option("--churn", is_flag=True, help="Open a connection for each request.")
@click.option("--one-way", is_flag=True, help="Wait for no replies: there are none.")
@click.option(
    "-d",
    "--duration",
    type=_Positive(),
    help="Measure for so many seconds.  [default: 10]",
)
@click.option("-n", "--requests", type=COUNT, help="Measure so many requests.")
@click.option(
    "--warm-up",
    type=_Positive(or_zero=True),
    help="Seconds before that do not count.  [default: 1, or 0 with --requests]",
)
@click.option("--connect-rate", type=_Positive(), help="Connect so often in a second.")
@click.option(
    "--timeout",
    type=_Positive(),
    default=10.0,
    show_default=True,
    help="Seconds to wait for a reply, or a connection.",
)
@click.option(
    "--processes",
    type=COUNT,
    default=1,
    show_default=True,
    help="Share the load among so many, each on a core of its own.",
)
@click.option("--json", "json_file", help="Write all figures there; - is the output.")
@click.option("--svg", "svg_file", type=WRITABLE, help="Draw a picture of them there.")
@click.option("--share", hidden=True)
@client_tls_options
def command(tls: ClientTls, /, **options: Any) -> int:  # noqa: ANN401 - as click passes them
    """Put a server under load, and measure how long its replies take.

    Ctrl-C ends the run early, and shows what was measured so far.
    """
    arguments: tuple[str, ...] = click.get_current_context().meta[ARGUMENTS]
    return _run(_Options(**options), tls, arguments)


def _plan(options: _Options) -> Plan:
    """Say what is to be done.

    Raises:
        click.UsageError: that makes no sense.
    """
    mode = options.mode
    if options.connections < options.processes:
        raise click.UsageError(
            "Each of the --processes needs one of the --connections."
        )
    try:
        notation = notation_for(options.codec, options.notation)
    except ValueError as error:
        raise click.UsageError(f"--as: {error}.") from error
    messages = read_messages(
        notation, options.messages, options.messages_file, options.size
    )
    is_counted = options.requests is not None
    duration = math.inf if is_counted else DEFAULT_SECONDS
    warm_up = 0.0 if is_counted else DEFAULT_WARM_UP
    return Plan(
        frames=encode_all(options.codec, messages),
        mode=mode,
        connections=options.connections,
        in_flight=options.in_flight,
        rate=options.rate,
        arrivals=options.arrivals,
        connect_rate=options.connect_rate or math.inf,
        warm_up=warm_up if options.warm_up is None else options.warm_up,
        duration=options.duration or duration,
        requests=options.requests or math.inf,
        timeout=options.timeout,
        is_expected=expect_anything
        if options.expect is None
        else expectation(options.expect, notation, messages),
    )


def _run(options: _Options, tls: ClientTls, arguments: tuple[str, ...]) -> int:
    plan = _plan(options)
    target = Target(options.address, options.codec, tls, options.timeout)
    if options.share is not None:
        number, _, count = options.share.partition("/")
        return _run_share(target, share_of(plan, int(number), int(count)))
    allow_descriptors(math.ceil(options.connections / options.processes))
    errors = Console(stderr=True)
    try:
        with (
            open_timer() as sleep_until,
            progress_bar(errors, plan.duration, plan.requests) as on_progress,
        ):
            runner = (
                Load(target, plan, sleep_until=sleep_until)
                if options.processes == 1
                else Children(arguments, options.processes)
            )
            result = run_until_signalled(runner, on_progress)
    except (trio_tcp.ConnectError, ChildError) as error:
        raise click.ClickException(f"{error}.") from error
    _write(result, options)
    return 0 if result.is_good else 1


def _run_share(target: Target, plan: Plan) -> int:
    """Do what a child does; see ``_processes.py``."""
    allow_descriptors(plan.connections)
    try:
        with open_timer() as sleep_until:
            load = Load(target, plan, sleep_until=sleep_until)
            result = run_until_signalled(load, report)
    except trio_tcp.ConnectError as error:
        report_failure(error)
        return 1
    report(result)
    return 0


def _write(result: Result, options: _Options) -> None:
    """Show the result, and write it wherever it is to be.

    Raises:
        click.FileError: that cannot be written.
    """
    title = f"{options.address}: {headline(result)}"
    if options.json_file != "-":
        show(result, title, Console(highlight=False))
    if options.json_file is not None:
        found = {"target": str(options.address), **to_json(result)}
        text = json.dumps({**found, "warnings": warnings_about(result)}, indent=1)
        if options.json_file == "-":
            print(text)
        else:
            _write_file(Path(options.json_file), text + "\n")
    if options.svg_file is not None:
        _write_file(options.svg_file, picture(result, title))


def _write_file(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
