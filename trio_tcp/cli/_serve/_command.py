"""``trio-tcp serve``: a handler as a service."""

from __future__ import annotations

import functools

import click
import trio

from trio_tcp import WorkersFailedError
from trio_tcp._events import LOGGER
from trio_tcp._workers import is_worker
from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._descriptors import make_room_for
from trio_tcp.cli._serve._log import start_log
from trio_tcp.cli._serve._options import given_options, service_options
from trio_tcp.cli._serve._reloading import Reloading
from trio_tcp.cli._serve._service import be_worker, serve_here
from trio_tcp.cli._serve._settings import Given, read_settings
from trio_tcp.cli._serve._structure import configure
from trio_tcp.cli._serve._supervised import supervise

__all__ = ["command"]


@click.command("serve", short_help="Serve a handler of yours.")
@click.argument("handler", metavar="[MODULE:HANDLER]", required=False)
@service_options
@click.option("--config", metavar="FILE", help="Read the rest from this file (TOML).")
@click.option("--check", is_flag=True, help="Only say whether all is well.")
def command(
    handler: str | None, config: str | None, check: bool, **options: object
) -> int:
    """Serve MODULE:HANDLER, an async function of one connection.

    Everything can be set in a file as well; what the command line says comes first.
    SIGTERM and SIGINT let connections finish, a second one does not; SIGHUP loads
    certificates and limits anew, or, with workers, everything.
    """
    given = given_options(options)
    if handler is not None:
        given.append(Given(("handler",), handler, "handler"))
    read = functools.partial(read_settings, config, given)
    settings = read()
    configuration = configure(settings)
    if check:
        for warning in warnings_about(configuration):
            click.echo(f"warning: {warning}", err=True)
        where = ", ".join(map(str, configuration.listen))
        click.echo(f"All is well: {settings.tree['handler']} would listen on {where}.")
        return 0
    start_log(configuration.log)
    if not is_worker():
        few = make_room_for(configuration.limits.max_connections)
        for warning in [*warnings_about(configuration), *filter(None, [few])]:
            LOGGER.warning("%s", warning)
    run(configuration, Reloading(settings, read))
    return 0


def run(configuration: Configuration, reloading: Reloading) -> None:
    """Serve until a signal, and drain.

    Raises:
        click.ClickException: it cannot listen, or its workers do not live.
    """
    if is_worker():
        trio.run(be_worker, configuration)
    elif configuration.workers == 0:
        trio.run(serve_here, configuration, reloading)
    else:
        try:
            trio.run(supervise, configuration, reloading)
        except WorkersFailedError as error:
            raise click.ClickException(f"{error}.") from error


def warnings_about(configuration: Configuration) -> list[str]:
    """Say what is dangerous, though it works."""
    return [] if configuration.tls is None else configuration.tls.warnings()
