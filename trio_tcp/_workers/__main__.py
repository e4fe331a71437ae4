"""``python -m trio_tcp._workers MODULE:OBJECT PATH…``: a worker of `run_workers`.

It looks for modules where the supervisor's program does: the rest is its ``sys.path``.
"""

import pkgutil
import sys
from typing import TYPE_CHECKING, cast

import trio

from trio_tcp._workers._harness import work

if TYPE_CHECKING:
    from trio_tcp._workers._harness import ServeListeners

if __name__ == "__main__":
    target, *sys.path[:] = sys.argv[1:]
    trio.run(work, cast("ServeListeners", pkgutil.resolve_name(target)))
