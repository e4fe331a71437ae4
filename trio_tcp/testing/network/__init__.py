"""A TCP network in memory: hosts, links, sockets and names, for programs of Trio.

It knows no server, no simulation and no fault: it carries what programs send, and lets
rules change that.
"""

from trio_tcp.testing.network._errors import HostCrashedError
from trio_tcp.testing.network._host import Host
from trio_tcp.testing.network._injection import Fault, Injection
from trio_tcp.testing.network._link import Link, LinkOptions
from trio_tcp.testing.network._rules import HeldBack, Passage, Rules, Target
from trio_tcp.testing.network._targets import Everything, Path, Port, VirtualConnection
from trio_tcp.testing.network._tcp_end import TcpEnd
from trio_tcp.testing.network._virtual_network import VirtualNetwork

__all__ = [
    "Everything",
    "Fault",
    "HeldBack",
    "Host",
    "HostCrashedError",
    "Injection",
    "Link",
    "LinkOptions",
    "Passage",
    "Path",
    "Port",
    "Rules",
    "Target",
    "TcpEnd",
    "VirtualConnection",
    "VirtualNetwork",
]
