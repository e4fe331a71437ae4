"""A proxy with the faults of the virtual network, for real programs in any language."""

from trio_tcp.testing.proxy._fault_proxy import FaultProxy
from trio_tcp.testing.proxy._open_fault_proxy import open_fault_proxy, relaying
from trio_tcp.testing.proxy._proxied_connection import ProxiedConnection
from trio_tcp.testing.proxy._suitability import UNSUITABLE, check_suitable

__all__ = [
    "UNSUITABLE",
    "FaultProxy",
    "ProxiedConnection",
    "check_suitable",
    "open_fault_proxy",
    "relaying",
]
