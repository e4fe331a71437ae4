"""Small scripts over `trio.socket`, played on the kernel and on a virtual network.

A new script is a function with a sentence for a name, in the file that it is about.
"""

from __future__ import annotations

from typing import Final

from tests.testing.network.kernel_scripts import (
    after_the_peer,
    binding,
    both_ends,
    connecting,
    connecting_again,
    ipv6,
    listening,
    options,
    reading,
    writing,
)
from tests.testing.network.kernel_scripts._any_calls import (
    CALLS,
    Call,
    on_a_connection,
    on_sockets,
)
from tests.testing.network.kernel_scripts._kernel import play_on_the_kernel
from tests.testing.network.kernel_scripts._script import Script
from tests.testing.network.kernel_scripts._steps import STEPS

__all__ = [
    "CALLS",
    "SCRIPTS",
    "STEPS",
    "Call",
    "Script",
    "on_a_connection",
    "on_sockets",
    "play_on_the_kernel",
]

SCRIPTS: Final = (
    *connecting.SCRIPTS,
    *connecting_again.SCRIPTS,
    *listening.SCRIPTS,
    *binding.SCRIPTS,
    *ipv6.SCRIPTS,
    *options.SCRIPTS,
    *reading.SCRIPTS,
    *writing.SCRIPTS,
    *after_the_peer.SCRIPTS,
    *both_ends.SCRIPTS,
)
