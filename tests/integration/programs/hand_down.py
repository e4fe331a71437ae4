"""Run the server with the descriptors that are given, as systemd would."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

given = [int(word) for word in sys.argv[1:]]
# Away from where they go, so that none is overwritten before it is moved.
apart = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100) for descriptor in given]
for descriptor in given:
    os.close(descriptor)
for index, descriptor in enumerate(apart):
    os.dup2(descriptor, 3 + index)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(given))
os.environ["LISTEN_FDNAMES"] = ":".join(["echo"] * len(given))
# In this process, whose number LISTEN_PID is.
os.execv(
    sys.executable,
    [sys.executable, str(Path(__file__).with_name("inherited_server.py"))],
)
