"""The commands that the store is for: GET, SET and their kin.

Each is a plain function, which is never interrupted: none needs a lock, and INCR from
many clients loses no count. What arguments it has are what the command has.
"""

from __future__ import annotations

from typing import Final

from examples.key_value.caller import Caller, CommandError, number
from examples.key_value.resp_replies import NIL, SIGNED_64, Nil, Reply

MILLISECONDS: Final = 1000  # of a second
NEVER: Final = -1
MISSING: Final = -2
SYNTAX_ERROR: Final = "ERR syntax error"


def get(caller: Caller, key: bytes) -> bytes | Nil:
    """GET key."""
    value = caller.store.get(key)
    return NIL if value is None else value


def put(caller: Caller, key: bytes, value: bytes, *options: bytes) -> str | Nil:
    """SET key value [EX seconds | PX milliseconds] [NX | XX]."""
    store = caller.store
    if not options:
        store.put(key, value)
        store.persist(key)
        return "OK"
    seconds, condition = _options_of_set(options)
    exists = store.get(key) is not None
    if condition is not None and exists != (condition == b"XX"):
        return NIL
    store.put(key, value)
    if seconds is None:
        store.persist(key)
    else:
        store.expire(key, seconds)
    return "OK"


def _options_of_set(options: tuple[bytes, ...]) -> tuple[float | None, bytes | None]:
    """Return after how many seconds it expires, and whether it must exist or not."""
    unit = time = condition = None
    left = iter(options)
    for option in left:
        match option.upper():
            case b"EX" | b"PX" as said if unit in (None, said):
                unit, time = said, next(left, None)
                if time is None:
                    raise CommandError(SYNTAX_ERROR)
            case b"NX" | b"XX" as said if condition in (None, said):
                condition = said
            case _:
                raise CommandError(SYNTAX_ERROR)
    if time is None:
        return None, condition
    if (count := number(time)) <= 0:
        raise CommandError("ERR invalid expire time in 'set' command")
    return count / (1 if unit == b"EX" else MILLISECONDS), condition


def delete(caller: Caller, key: bytes, *keys: bytes) -> int:
    """DEL key [key ...]."""
    return sum(map(caller.store.delete, (key, *keys)))


def exists(caller: Caller, key: bytes, *keys: bytes) -> int:
    """EXISTS key [key ...]."""
    return sum(caller.store.get(each) is not None for each in (key, *keys))


def increment(caller: Caller, key: bytes) -> int:
    """INCR key."""
    return increment_by(caller, key, b"1")


def increment_by(caller: Caller, key: bytes, step: bytes) -> int:
    """INCRBY key step."""
    before = caller.store.get(key)
    value = number(step) + (0 if before is None else number(before))
    if value not in SIGNED_64:
        raise CommandError("ERR increment or decrement would overflow")
    caller.store.put(key, b"%d" % value)
    return value


def expire(caller: Caller, key: bytes, seconds: bytes) -> int:
    """EXPIRE key seconds."""
    delay = number(seconds)
    if caller.store.get(key) is None:
        return 0
    if delay > 0:
        caller.store.expire(key, delay)
    else:
        caller.store.delete(key)
    return 1


def time_to_live(caller: Caller, key: bytes) -> int:
    """TTL key."""
    if caller.store.get(key) is None:
        return MISSING
    seconds = caller.store.expires_in(key)
    return NEVER if seconds is None else round(seconds)


def get_many(caller: Caller, key: bytes, *keys: bytes) -> list[Reply]:
    """MGET key [key ...]."""
    return [get(caller, each) for each in (key, *keys)]


def put_many(caller: Caller, key: bytes, value: bytes, *more: bytes) -> str:
    """MSET key value [key value ...]."""
    if len(more) % 2:
        raise CommandError("ERR wrong number of arguments for 'mset' command")
    put(caller, key, value)
    for another, its_value in zip(more[::2], more[1::2], strict=True):
        put(caller, another, its_value)
    return "OK"


def size(caller: Caller) -> int:
    """DBSIZE."""
    return len(caller.store)


def clear(caller: Caller, *_how: bytes) -> str:
    """FLUSHALL [ASYNC | SYNC]."""
    caller.store.clear()
    return "OK"
