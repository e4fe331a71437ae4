"""A trace as a web page: what it shows, as data. How it looks is in page/."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from trio_tcp.testing.traces._conversation import conversation_of_each
from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._layout import host_names
from trio_tcp.testing.traces._segment import Segment
from trio_tcp.testing.traces._words import kind, label

__all__ = ["to_html"]

_PAYLOAD_SHOWN: Final = 2048
"""How many bytes of a payload are in the page: a long trace has to stay light."""


def to_html(
    segments: Sequence[Segment],
    faults: Sequence[FaultSpan],
    hosts: Mapping[str, str],
    *,
    title: str,
) -> str:
    """Return the page, with the trace inside."""
    names = host_names(segments, faults, hosts, ())
    addresses: dict[str, list[str]] = {name: [] for name in names}
    for address, name in hosts.items():
        if name in addresses:
            addresses[name].append(address)
    data = {
        "hosts": [{"name": name, "addresses": addresses[name]} for name in names],
        "faults": [
            {
                "name": fault.name,
                "where": fault.where,
                "hosts": [names.index(name) for name in fault.hosts if name in names],
                "begin": fault.begin,
                "end": fault.end,
            }
            for fault in faults
        ],
        **_segment_table(segments, names),
    }
    # A script element ends at the first "</script", wherever that stands.
    spelled = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    head, tail = _template().split("{{ trace }}")
    return f"{head.replace('{{ title }}', escape(title))}{spelled}{tail}"


def _template() -> str:
    """Return the page without a trace: one file, put together from its parts."""
    folder = resources.files("trio_tcp.testing.traces") / "page"
    names = sorted(entry.name for entry in folder.iterdir())
    scripts = [_read(folder, name) for name in names if name.endswith(".js")]
    page = _read(folder, "page.html").replace("{{ style }}", _read(folder, "style.css"))
    return page.replace("{{ script }}", "\n".join(scripts))


def _read(folder: Traversable, name: str) -> str:
    return (folder / name).read_text("utf-8")


def _segment_table(
    segments: Sequence[Segment], names: Sequence[str]
) -> dict[str, object]:
    owners = conversation_of_each(segments)
    connections = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    positions = {name: position for position, name in enumerate(names)}
    rows: list[dict[str, object]] = []
    for segment, owner in zip(segments, owners, strict=True):
        seq, ack = owner.relative(segment)
        row: dict[str, object] = {
            "time": segment.time,
            "arrived": segment.arrived,
            "from": positions[segment.sender],
            "to": positions.get(segment.receiver, -1),
            "source": str(segment.source),
            "destination": str(segment.destination),
            "connection": connections[owner],
            "flags": segment.flag_names,
            "kind": kind(segment),
            "label": label(segment),
            "seq": seq,
            "ack": ack,
            "window": segment.window,
            "length": len(segment.payload),
            "payload": b64encode(segment.payload[:_PAYLOAD_SHOWN]).decode("ascii"),
            "fate": segment.fate,
        }
        if segment.options is not None:
            row["options"] = segment.options._asdict()
        rows.append(row)
    return {
        "connections": [
            f"{owner.client} – {owner.server}"  # noqa: RUF001 - a dash, between two ends
            for owner in connections
        ],
        "segments": rows,
    }
