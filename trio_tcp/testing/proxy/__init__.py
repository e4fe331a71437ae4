"""A proxy with the faults of the virtual network, for real programs in any language."""

from trio_tcp.testing.proxy._fault_proxy import FaultProxy
from trio_tcp.testing.proxy._open_fault_proxy import open_fault_proxy
from trio_tcp.testing.proxy._proxied_connection import ProxiedConnection

__all__ = ["FaultProxy", "ProxiedConnection", "open_fault_proxy"]
