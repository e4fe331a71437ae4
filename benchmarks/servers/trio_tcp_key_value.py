# lab: trio_tcp for=key_value
"""The small Redis of the examples, as it is."""

from __future__ import annotations

import sys

import trio

from examples.key_value.server import serve

trio.run(serve, int(sys.argv[1]))
