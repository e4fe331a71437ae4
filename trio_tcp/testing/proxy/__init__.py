"""A proxy with the faults of the virtual network, for real programs in any language.

``_open_fault_proxy`` opens a ``_fault_proxy``, in which a ``_relay`` joins each real
socket (``_real_socket``, ``_unread``) to an end of a virtual connection; the faults are
on the virtual network in between, as far as they mean something there
(``_suitability``). ``_proxied_connection`` and ``_recording`` are what a user sees.
"""

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
