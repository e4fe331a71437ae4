"""Hubs of several machines, joined by Redis.

`_redis_backplane` is what users open. `_link` is one connection, through coredis, which
is loaded only then; `_scripts` is what Redis does in one step, `_names` what things are
called there, and `_envelope` what goes around a payload.
"""

from trio_tcp._redis._redis_backplane import RedisBackplane

__all__ = ["RedisBackplane"]
