"""The control bits of a segment as plain numbers (RFC 9293, 3.1).

For where segments are handled one by one: an operation on members of `Flag` costs more
than all else that is done to a segment.
"""

from __future__ import annotations

from typing import Final

from trio_tcp.testing.traces._segment import Flag

__all__ = ["ACK", "FIN", "PSH", "RST", "SYN"]

FIN: Final = Flag.FIN.value
SYN: Final = Flag.SYN.value
RST: Final = Flag.RST.value
PSH: Final = Flag.PSH.value
ACK: Final = Flag.ACK.value
