"""Which faults a proxy can bring about, and why not the others."""

from __future__ import annotations

from typing import Final

from trio_tcp.testing import faults

__all__ = ["UNSUITABLE", "check_suitable"]

UNSUITABLE: Final[dict[type[faults.Fault], str]] = {
    faults.Crash: (
        "Crash ends the programs of a virtual host, and those behind a proxy are real: "
        "kill the process, or use BlackHole"
    ),
    faults.DnsFailure: (
        "DnsFailure is about the lookup of names, and a proxy sees connections only: "
        "Refuse fails them"
    ),
    faults.ShortWrites: (
        "ShortWrites is about what the kernel takes of a program's write, and the "
        "kernel of a real program is real: Slice is what the other side sees"
    ),
}
"""What means nothing to real programs, with a sentence that says so."""


def check_suitable(fault: object) -> None:
    """Refuse what a proxy cannot do.

    Raises:
        ValueError: it is one of `UNSUITABLE`.
    """
    for kind, why in UNSUITABLE.items():
        if isinstance(fault, kind):
            raise ValueError(why)  # noqa: TRY004 - it is a fault, of the wrong kind
