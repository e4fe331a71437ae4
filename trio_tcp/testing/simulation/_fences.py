"""What a simulation has no control over is refused, with a word on what to do instead.

Threads, processes and real sockets run in real time: no seed repeats them. Each can be
let through by its name.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

import outcome  # what Trio's worker threads deliver; Trio itself needs it
import trio

from trio_tcp.testing.simulation._errors import SimulationError, SimulationFenceError
from trio_tcp.testing.simulation._replaced import replaced

__all__ = ["Allowed", "fences", "is_allowed", "refuse"]

Allowed: TypeAlias = Literal["threads", "processes", "sockets"]

_T = TypeVar("_T")

_ADVICE: Final[dict[Allowed, str]] = {
    "threads": (
        'allow=["threads"] runs what is given to trio.to_thread (trio.Path and '
        "trio.open_file too) at once, in the thread of the simulation; a thread that "
        "the program starts by itself is then a real one"
    ),
    "processes": (
        'allow=["processes"] lets it through; the virtual clock stands still while '
        "the simulation waits for it"
    ),
    "sockets": (
        "The virtual network has the sockets that come from trio.socket.socket(), as "
        "those of trio.open_tcp_stream, trio.open_tcp_listeners and trio.serve_tcp do. "
        "Who makes Python's own and wraps them (anyio.create_tcp_listener, hypercorn) "
        "goes around it: listen with trio.open_tcp_listeners. "
        'allow=["sockets"] lets real ones through, to the real network'
    ),
}
_EVENTS: Final[dict[str, tuple[Allowed, str]]] = {
    "socket.__new__": ("sockets", "a real socket (socket.socket) is made"),
    "subprocess.Popen": ("processes", "a process (subprocess.Popen) is started"),
    "os.fork": ("processes", "a process (os.fork) is started"),
    "os.forkpty": ("processes", "a process (os.forkpty) is started"),
    "os.posix_spawn": ("processes", "a process (os.posix_spawn) is started"),
    "os.system": ("processes", "a process (os.system) is started"),
    "_thread.start_new_thread": ("threads", "a thread is started"),
}
"""Python's audit events (PEP 578) that are refused, and what they mean."""


@final
class _Fence:
    def __init__(
        self, allow: Collection[Allowed], on_refusal: Callable[[Exception], None]
    ) -> None:
        self.allow: Collection[Allowed] = allow
        self.on_refusal: Callable[[Exception], None] = on_refusal
        self.thread: int = threading.get_ident()


_OURS: Final = ("trio_tcp.testing.simulation.", "trio_tcp.testing.network.")
_OUTERMOST: Final = "trio_tcp.testing.simulation._run_simulation"
_START: Final = "start_thread_soon"
_LIBRARIES: Final = ("site-packages", "dist-packages")

_up: list[_Fence] = []
"""The fence of the simulation that runs in this process, if one does."""


@contextmanager
def fences(
    allow: Collection[Allowed], on_refusal: Callable[[Exception], None]
) -> Generator[None, None, None]:
    """Refuse what is not allowed, in this thread and until the end of the block.

    Args:
        allow: What is let through.
        on_refusal: Is told each refusal, since the program may well catch the error.
    """
    unknown = sorted(set(allow) - _ADVICE.keys())
    if unknown:
        raise ValueError(f"allow={unknown}: there are {', '.join(_ADVICE)}")
    _watch_this_process()
    # Trio keeps idle threads, and starting work in one of them is no event. By the
    # module of run_sync, those who took run_sync by name (trio.Path) are reached too.
    worker_threads = sys.modules[trio.to_thread.run_sync.__globals__["__name__"]]
    has_name = hasattr(worker_threads, _START)
    if not has_name and "threads" in allow:
        raise SimulationError(
            f"Trio {trio.__version__} does not let its threads be run in place (there "
            f'is no {_START} in {worker_threads.__name__}): allow=["threads"] has no '
            "effect with it"
        )
    fence = _Fence(allow, on_refusal)
    start_thread = threading.Thread.start

    def start(self: threading.Thread) -> None:
        refuse("threads", "a thread (threading.Thread) is started")
        start_thread(self)

    with (
        # Without the name, the threads that Trio starts are refused, by their start.
        replaced(worker_threads, **({_START: _run_at_once} if has_name else {})),
        replaced(trio.lowlevel, **{_START: _run_at_once}),
        replaced(threading.Thread, start=start),  # no audit event before Python 3.12
    ):
        _up.append(fence)
        try:
            yield
        finally:
            _up.remove(fence)


def is_allowed(name: Allowed) -> bool:
    """Say whether the program that asks may do this."""
    return not _up or name in _up[0].allow or threading.get_ident() != _up[0].thread


def refuse(name: Allowed, what: str) -> None:
    """Raise the error of a fence, unless this is allowed or no simulation runs.

    Raises:
        SimulationFenceError: It is not allowed.
    """
    if is_allowed(name):
        return
    error = SimulationFenceError(what, _where(), f"{_ADVICE[name]}.")
    _up[0].on_refusal(error)
    raise error


def _run_at_once(
    fn: Callable[[], _T],
    deliver: Callable[[outcome.Outcome[_T]], object],
    name: str | None = None,
) -> None:
    """Do what Trio's ``start_thread_soon`` does, without the thread."""
    del name
    if any(module == "trio._subprocess" for module in map(_module, _callers())):
        refuse("processes", "a process (trio.run_process) is started")
    else:
        refuse("threads", "a thread (trio.to_thread.run_sync) is used")
    deliver(outcome.capture(fn))


@cache
def _watch_this_process() -> None:
    # An audit hook is for ever; this one looks at a list when nothing is simulated.
    sys.addaudithook(_audit)


def _audit(event: str, _arguments: tuple[Any, ...]) -> None:
    if _up and event in _EVENTS:
        refuse(*_EVENTS[event])


def _callers() -> Iterator[FrameType]:
    frame = sys._getframe(1)  # noqa: SLF001 - documented, and as cheap as it gets
    while frame := frame.f_back:  # type: ignore[assignment] # the outermost has none
        yield frame


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _where() -> str:
    """Find the innermost line that is neither Python's, nor Trio's, nor ours.

    If it is a library's, also the innermost one that is not.
    """
    innermost = ""
    for frame in _callers():
        if innermost and _module(frame) == _OUTERMOST:
            break  # who runs the simulation has not called the library
        if _is_machinery(frame):
            continue
        line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if not _is_library(frame):
            return f"{innermost}, from {line}" if innermost else line
        innermost = innermost or line
    return innermost or "an unknown place"


def _is_machinery(frame: FrameType) -> bool:
    path, module = frame.f_code.co_filename, _module(frame)
    standard = sysconfig.get_path("stdlib") + os.sep
    is_standard = path.startswith(("<", standard)) and not _is_library(frame)
    is_trio = module.split(".", maxsplit=1)[0] == "trio"
    return is_standard or is_trio or module.startswith(_OURS)


def _is_library(frame: FrameType) -> bool:
    return any(folder in frame.f_code.co_filename for folder in _LIBRARIES)
