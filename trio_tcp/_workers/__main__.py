"""``python -m trio_tcp._workers MODULE:OBJECT FOLDER``: a worker of `run_workers`.

The folder is where the supervisor's program finds its own modules: ``sys.path[0]``.
"""

import sys
from typing import TYPE_CHECKING, cast

import trio

from trio_tcp._workers._harness import work
from trio_tcp._workers._target import load

if TYPE_CHECKING:
    from trio_tcp._workers._harness import ServeListeners

if __name__ == "__main__":
    target, folder = sys.argv[1:]
    sys.path.insert(0, folder)
    trio.run(work, cast("ServeListeners", load(target)))
