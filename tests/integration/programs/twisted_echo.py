# mypy: allow-untyped-calls, disable-error-code="misc"
# pyright: reportUnknownMemberType=false
# ruff: noqa: N802 - the names of methods are Twisted's
"""Echo lines with Twisted, and say on which port."""

from __future__ import annotations

import sys

from twisted.internet.protocol import Factory
from twisted.internet.selectreactor import SelectReactor
from twisted.protocols.basic import LineReceiver


class Echo(LineReceiver):
    """Send back every line."""

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        """Take a line."""
        self.sendLine(line)


reactor = SelectReactor()
factory = Factory.forProtocol(Echo)
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
sys.stdout.write(f"{port.getHost().port}\n")
sys.stdout.flush()
reactor.run()
