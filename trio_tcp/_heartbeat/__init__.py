"""A dead peer, noticed in a known time.

``_heartbeat.py`` asks the peer, and ``_pump.py`` listens while the user does not.
"""

from trio_tcp._heartbeat._heartbeat import heartbeat

__all__ = [
    "heartbeat",
]
