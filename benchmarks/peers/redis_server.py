# lab: redis_server for=key_value
"""The real Redis, written in C. It keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import sys

if shutil.which("redis-server") is None:
    sys.exit("the program redis-server is not installed")
options = ["--bind", "127.0.0.1", "--port", sys.argv[1]]
options += ["--save", "", "--appendonly", "no"]
os.execlp("redis-server", "redis-server", *options)
