"""A service of several processes: what supervises them, and what runs in each.

From the bottom: what happens (``_events.py``), how patient the supervisor is
(``_supervision.py``) and when it replaces a worker (``_restarts.py``); what a worker is
told when it starts (``_place.py``), what both say to each other later
(``_control.py``), and the sockets that one has for itself (``_own_sockets.py``). Then
the supervisor's side: one worker (``_process.py``), all that began together
(``_generation.py``), and the whole (``_supervisor.py``); and the worker's:
``_harness.py``, which ``python -m trio_tcp._workers`` runs.
"""

from trio_tcp._workers._events import (
    ReloadFailed,
    ReloadFinished,
    ReloadStarted,
    SupervisorStarted,
    SupervisorStopped,
    SupervisorStopping,
    WorkerEnded,
    WorkerEvent,
    WorkerKilled,
    WorkerReady,
    WorkersEvent,
    WorkersFailed,
    WorkerStarted,
)
from trio_tcp._workers._harness import Answers, ServeListeners, work
from trio_tcp._workers._own_sockets import SPREADS, open_own_listeners
from trio_tcp._workers._place import is_worker
from trio_tcp._workers._run_workers import run_workers, serve_with_workers
from trio_tcp._workers._supervision import Supervision
from trio_tcp._workers._supervisor import Supervisor

__all__ = [
    "SPREADS",
    "Answers",
    "ReloadFailed",
    "ReloadFinished",
    "ReloadStarted",
    "ServeListeners",
    "Supervision",
    "Supervisor",
    "SupervisorStarted",
    "SupervisorStopped",
    "SupervisorStopping",
    "WorkerEnded",
    "WorkerEvent",
    "WorkerKilled",
    "WorkerReady",
    "WorkerStarted",
    "WorkersEvent",
    "WorkersFailed",
    "is_worker",
    "open_own_listeners",
    "run_workers",
    "serve_with_workers",
    "work",
]
