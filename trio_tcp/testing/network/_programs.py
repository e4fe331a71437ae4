"""The programs that run on virtual hosts: started, stopped and started again."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import trio

from trio_tcp._kinds import check_function
from trio_tcp.testing.network._current_host import current_host
from trio_tcp.testing.network._errors import HostCrashedError

if TYPE_CHECKING:
    from trio_tcp.testing.network._host import Host

__all__ = ["Programs"]

T = TypeVar("T")
_Program = tuple[Callable[..., Awaitable[object]], tuple[object, ...]]


@final
class Programs:
    """What runs on which host.

    Attributes:
        nursery: Where programs run in the background; None while the network is
            not open.
    """

    def __init__(self) -> None:
        self.nursery: trio.Nursery | None = None
        self._started: dict[str, list[_Program]] = {}
        self._scopes: dict[str, dict[trio.CancelScope, None]] = {}

    def start(
        self,
        host: Host,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        """Start a program in the background."""
        check_function("function", function)
        self._started.setdefault(host.name, []).append((function, args))
        self._spawn(host, function, args)

    def start_again(self, host: Host) -> None:
        """Start everything again that was started on a host."""
        for function, args in self._started.get(host.name, ()):
            self._spawn(host, function, args)

    def _spawn(
        self,
        host: Host,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        if self.nursery is None:
            raise RuntimeError("the network is not open: async with network: ...")
        name = f"{_name_of(function)} on {host.name}"
        self.nursery.start_soon(self._in_background, host, function, args, name=name)

    async def _in_background(
        self,
        host: Host,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        try:
            await self.run(host, function, args, None)
        except HostCrashedError as error:
            if error.host != host.name:
                raise
            # It died with its host, which is nobody's error.

    async def run(  # noqa: ASYNC114 - a name that many functions have
        self,
        host: Host,
        function: Callable[..., Awaitable[T]],
        args: tuple[object, ...],
        task_status: trio.TaskStatus[Any] | None,
    ) -> T:
        """Run a function on a host, until the host crashes."""
        if not host.is_up:
            await trio.lowlevel.checkpoint()
            raise HostCrashedError(host.name)
        status = {} if task_status is None else {"task_status": task_status}
        token = current_host.set(host)
        scopes = self._scopes.setdefault(host.name, {})
        crash = trio.CancelScope()
        scopes[crash] = None
        try:
            with crash:
                return await function(*args, **status)
        except Exception as error:
            if not crash.cancel_called:
                raise
            raise HostCrashedError(host.name) from error
        finally:
            del scopes[crash]
            current_host.reset(token)
        raise HostCrashedError(host.name)

    def stop(self, host: Host) -> None:
        """Cancel everything that runs on a host."""
        for scope in list(self._scopes.get(host.name, ())):
            scope.cancel()


def _name_of(function: object) -> str:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return str(getattr(function, "__qualname__", function))
