"""A client that stays in touch: one connection after another.

`Session` is what users have, and a `Keeper` the task that holds one connection for it.
"""

from trio_tcp._session._keeper import Break
from trio_tcp._session._session import Session, open_session

__all__ = [
    "Break",
    "Session",
    "open_session",
]
