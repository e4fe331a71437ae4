"""Connecting again and again: what sessions, requesters and pools share.

From the bottom: how long to wait (``_backoff.py``), what is known about the server
(``_states.py``), what users give to connect with (``_attempts.py``), and the engine
over all three (``_reconnector.py``); and how all of them raise what it has stopped with
(``_copied.py``).
"""

from trio_tcp._reconnecting._attempts import (
    OUR_DOING,
    Connect,
    Prepare,
    check_connect,
    is_failure,
    never,
    seeded,
)
from trio_tcp._reconnecting._backoff import DEFAULT_BACKOFF, Backoff
from trio_tcp._reconnecting._copied import copied
from trio_tcp._reconnecting._reconnector import Reconnector
from trio_tcp._reconnecting._states import (
    Connecting,
    Ready,
    SessionState,
    StateT,
    Stopped,
    Waiting,
)

__all__ = [
    "DEFAULT_BACKOFF",
    "OUR_DOING",
    "Backoff",
    "Connect",
    "Connecting",
    "Prepare",
    "Ready",
    "Reconnector",
    "SessionState",
    "StateT",
    "Stopped",
    "Waiting",
    "check_connect",
    "copied",
    "is_failure",
    "never",
    "seeded",
]
