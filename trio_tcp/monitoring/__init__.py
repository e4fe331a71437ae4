"""What an operator looks at: figures for Prometheus, whether it is ready, and the log.

The figures and the status need the extra: ``pip install 'trio-tcp[monitoring]'``. The
package can be imported without; what needs the extra asks for it when it is used.

The log: ``_json_formatter.py``, whose values are made by ``_json_values.py``.

The figures: ``_figure.py`` is how one is described and shown, ``_histogram.py`` how
durations are counted. They come from events (``_tally.py``), from servers when they are
asked (``_servers.py``), from clients (``_clients.py``), and from functions that are
timed (``_timings.py``). ``_metrics.py`` puts them together.

How they get out: ``_exposition.py`` is the text that Prometheus reads, of one process
or of several; ``_status.py`` has the pages, and ``_source.py`` is what they ask.
"""

import importlib as _importlib
import typing as _typing

from trio_tcp.monitoring._json_formatter import JsonFormatter
from trio_tcp.monitoring._source import Exposition, Readiness, StatusSource

if _typing.TYPE_CHECKING:
    from trio_tcp.monitoring._exposition import exposition, merge
    from trio_tcp.monitoring._metrics import Metrics
    from trio_tcp.monitoring._status import serve_status

__all__ = [
    "Exposition",
    "JsonFormatter",
    "Metrics",
    "Readiness",
    "StatusSource",
    "exposition",
    "merge",
    "serve_status",
]

_NEEDING_THE_EXTRA = {
    "Metrics": "_metrics",
    "exposition": "_exposition",
    "merge": "_exposition",
    "serve_status": "_status",
}
"""Which module each is in: imported when it is asked for."""

_EXTRA = ("prometheus_client", "h11")


def __getattr__(name: str) -> object:
    if name not in _NEEDING_THE_EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = _importlib.import_module(f"{__name__}.{_NEEDING_THE_EXTRA[name]}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise ModuleNotFoundError(
            f"{__name__}.{name} needs {error.name}: pip install 'trio-tcp[monitoring]'",
            name=error.name,
        ) from None
    return getattr(home, name)
