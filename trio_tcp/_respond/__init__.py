"""Handlers out of functions: a request in, a reply out.

``_respond.py`` answers one request after another, ``_concurrently.py`` several of one
connection at once; ``_request_errors.py`` says which errors are replied to, and
``_functions.py`` which functions may wait.
"""

from trio_tcp._respond._functions import is_async
from trio_tcp._respond._respond import respond

__all__ = [
    "is_async",
    "respond",
]
