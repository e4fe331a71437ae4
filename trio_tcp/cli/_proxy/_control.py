"""What programs in any language ask of a proxy, over HTTP, in JSON.

::

    GET    /faults                    {"faults": [{"id": 1, "fault": "latency:…", …}]}
    POST   /faults                    {"fault": "latency:seconds=0.2@to-client"}
    DELETE /faults                    end all of them
    DELETE /faults/ID                 end one
    GET    /connections               {"connections": [{"id": 1, …}]}
    POST   /connections/ID/reset      reset both sides of one

A page in somebody's browser must not be able to do any of it: browsers say where a page
comes from that sends (``Origin``), and such requests are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, TypeAlias, cast

import trio

import trio_tcp
from trio_tcp import codecs
from trio_tcp._http import Reply, Request, converse
from trio_tcp.cli._proxy._desk import Desk
from trio_tcp.cli._proxy._notation import NUMBER, parse_fault

__all__ = ["answer", "serve_control"]

LIMITS: Final = trio_tcp.Limits(max_connections=64)
TIMEOUTS: Final = trio_tcp.Timeouts(idle=60.0)


async def serve_control(
    desk: Desk,
    port: int,
    host: str,
    *,
    task_status: trio.TaskStatus[trio_tcp.Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control address until it is cancelled.

    Args:
        desk: what it is about.
        port: to listen on.
        host: the address.
        task_status: reports the server once it listens.

    Raises:
        OSError: it cannot listen there.
    """
    await trio_tcp.serve_tcp(
        partial(converse, partial(answer, desk), trio_tcp.log_events),
        port,
        host=host,
        codec=codecs.Chunks(),
        limits=LIMITS,
        timeouts=TIMEOUTS,
        task_status=task_status,
    )


async def answer(desk: Desk, request: Request) -> Reply:
    """Answer one request."""
    if "origin" in request.headers:
        return Reply.error(HTTPStatus.FORBIDDEN, "this is not for pages in browsers")
    parts = request.path.strip("/").split("/")
    number = 0
    for place, part in enumerate(parts):
        if NUMBER.fullmatch(part):
            number, parts[place] = int(part), "ID"
    methods = ROUTES.get("/".join(parts))
    if methods is None:
        known = ", ".join(f"/{route}" for route in ROUTES)
        return Reply.error(HTTPStatus.NOT_FOUND, f"there are {known}")
    act = methods.get(request.method)
    if act is None:
        allowed = {"Allow": ", ".join(methods)}
        return Reply.error(HTTPStatus.METHOD_NOT_ALLOWED, headers=allowed)
    body = await request.read_body()
    try:
        return act(desk, body, number)
    except LookupError as error:
        return Reply.error(HTTPStatus.NOT_FOUND, str(error.args[0]))
    except (ValueError, TypeError) as error:
        return Reply.error(HTTPStatus.BAD_REQUEST, str(error))


def _get_faults(desk: Desk, _: bytes, __: int) -> Reply:
    found = [_fault(desk, number) for number in desk.faults]
    return Reply.json(HTTPStatus.OK, {"faults": found})


def _fault(desk: Desk, number: int) -> dict[str, object]:
    what, _, place = desk.describe(number).partition("@")
    return {"id": number, "fault": what, "place": place}


def _post_fault(desk: Desk, body: bytes, _: int) -> Reply:
    try:
        content: object = json.loads(body)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8; too deep
        raise ValueError(f"the body is no JSON: {error}") from error
    fields = cast("dict[str, object]", content) if isinstance(content, dict) else {}
    text = fields.pop("fault", None)
    if not isinstance(text, str) or fields:
        raise ValueError('it takes {"fault": "latency:seconds=0.2"}, and no more')
    parsed = parse_fault(text)
    number = desk.add(parsed)
    headers = {"Location": f"/faults/{number}"}
    if number not in desk.faults:  # a reset, which is over
        return Reply.json(
            HTTPStatus.OK, {"id": None, "fault": text, "place": parsed.place}
        )
    return Reply.json(HTTPStatus.CREATED, _fault(desk, number), headers)


def _delete_faults(desk: Desk, _: bytes, __: int) -> Reply:
    desk.end_all()
    return Reply(HTTPStatus.NO_CONTENT)


def _delete_fault(desk: Desk, _: bytes, number: int) -> Reply:
    desk.end(number)
    return Reply(HTTPStatus.NO_CONTENT)


def _get_connections(desk: Desk, _: bytes, __: int) -> Reply:
    found = [
        {
            "id": number,
            "client": str(each.client),
            "upstream": None if each.upstream is None else str(each.upstream),
            "from_client": each.from_client,
            "to_server": each.to_server,
            "from_server": each.from_server,
            "to_client": each.to_client,
        }
        for number, each in desk.proxy.connections.items()
    ]
    return Reply.json(HTTPStatus.OK, {"connections": found})


def _reset_connection(desk: Desk, _: bytes, number: int) -> Reply:
    desk.reset(number)
    return Reply(HTTPStatus.NO_CONTENT)


_Act: TypeAlias = Callable[[Desk, bytes, int], Reply]

ROUTES: Final[dict[str, dict[str, _Act]]] = {
    "faults": {"GET": _get_faults, "POST": _post_fault, "DELETE": _delete_faults},
    "faults/ID": {"DELETE": _delete_fault},
    "connections": {"GET": _get_connections},
    "connections/ID/reset": {"POST": _reset_connection},
}
"""What there is, by path and by method; each takes the body, and the ID of the path."""
