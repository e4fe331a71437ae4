"""``trio-tcp proxy``: a network where things go wrong, before a real server."""

from trio_tcp.cli._proxy._command import command

__all__ = ["command"]
