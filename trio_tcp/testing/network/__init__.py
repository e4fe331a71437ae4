"""A TCP network in memory: hosts, links, sockets and names, for programs of Trio.

It knows no server, no simulation and no fault: it carries what programs send, and lets
rules change that. From the top::

    _virtual_network    the whole; _open gives it to Trio, _netstat shows it
    _host               a host, its _programs, its _ports; _current_host
    _names              what a lookup answers
    _virtual_socket     what a program holds: its _addresses, its _socket_options,
                        and what it is _lacking
    _inet_socket        the same as its host keeps it; _listening, if it does
    _tcp_end            one end of a connection, made of parts:
                        _arriving, _receiving, _acknowledging, _sending,
                        _retransmission, _keepalive, _end_calls; its _stage
    _wire _link         how segments travel; _loss_delay, where some are lost
    _rules              what faults may change, on which _targets, in which
                        _direction; an _injection is one in force
    _timeline           all that will happen; a _waiter is a task that waits for it
    _errors _os_error   what goes wrong with the network, and on it
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
