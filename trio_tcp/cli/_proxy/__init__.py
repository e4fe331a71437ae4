"""``trio-tcp proxy``: a network where things go wrong, before a real server.

The proxy itself is in `trio_tcp.testing.proxy`. Here, from the top::

    _command          the options
    _run              everything around the proxy, until it ends
    _screen _journal  what is shown: on a terminal, or line by line
    _commands         what people type
    _control          what programs ask for over HTTP
    _desk             what both of them can change
    _plan_file        faults with their times
    _notation         faults as text
    _typing _sockets  lines that are typed; the two sides of the proxy
"""

from trio_tcp.cli._proxy._command import command

__all__ = ["command"]
