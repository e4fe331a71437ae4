"""What Redis itself does, in one step each: scripts in Lua.

Everything is kept under names that begin with the user's prefix:

* ``<prefix>:memory``, a hash: the epoch of all that is kept, and the count of all
  publications with a history. An epoch is made when there is none.
* ``<prefix>:topics``, a sorted set: each topic, by the count at its last publication.
* ``<prefix>:history:<topic>``, a stream: the last publications. The ids are the
  sequence numbers, ``1-0``, ``2-0``, so that the last entry says what comes next:
  nothing beside the stream could be lost without it.
* ``<prefix>:topic:<topic>``, a channel.

The epoch of a topic is that of the memory, with the count at which the topic began. So
one that expires and begins again has another, and if Redis loses the hash, or begins
anew, all have. All keys expire together, some time after the last publication.

Scripts need all keys on one server: Redis Cluster is not supported.
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND", "MAX_TOPICS", "SYNC"]

MAX_TOPICS: Final = 10_000
"""With a history, as in a hub: names may come from peers. The one that was not
published to for the longest is forgotten."""

MEMORY: Final = """
local memory, topics = KEYS[1], KEYS[2]
local function epoch_or(new)
    if redis.call('HSETNX', memory, 'epoch', new) == 1 then
        redis.call('DEL', topics) -- counted by another epoch
    end
    return redis.call('HGET', memory, 'epoch')
end
"""

APPEND: Final = (
    MEMORY
    + """
local history, channel = KEYS[3], KEYS[4]
local topic, keep, expiry, new, key, payload = unpack(ARGV, 1, 6)
local epoch = epoch_or(new)
local count = string.format('%.0f', redis.call('HINCRBY', memory, 'count', 1))
local mine, sequence = epoch .. 'n' .. count, 0
local last = redis.call('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
if last then
    local its = last[2][2]
    if string.sub(its, 1, #epoch + 1) == epoch .. 'n' then
        mine, sequence = its, tonumber(string.match(last[1], '^%d+'))
    else
        redis.call('DEL', history)
    end
end
local number = string.format('%.0f', sequence + 1)
redis.call('XADD', history, 'MAXLEN', keep, number .. '-0',
    'epoch', mine, 'count', count, 'key', key, 'payload', payload)
redis.call('ZADD', topics, count, topic)
if redis.call('ZCARD', topics) > MAX_TOPICS then
    local oldest = redis.call('ZPOPMIN', topics)[1]
    redis.call('DEL', string.sub(history, 1, #history - #topic) .. oldest)
end
redis.call('PEXPIRE', history, expiry)
redis.call('PEXPIRE', memory, expiry)
redis.call('PEXPIRE', topics, expiry)
redis.call('PUBLISH', channel,
    table.concat({'h', mine, number, count, key}, ' ') .. '\\n' .. payload)
return {mine, number}
""".replace("MAX_TOPICS", str(MAX_TOPICS))
)
"""Number a publication, keep it, and publish it.

Keys: memory, topics, history, channel. Arguments: topic, how many to keep, milliseconds
until all expires, an epoch if there is none, key, payload. Returns epoch and number.
"""

SYNC: Final = (
    MEMORY
    + """
local new, seen, since, expiry = unpack(ARGV, 1, 4)
local count = tonumber(redis.call('HGET', memory, 'count') or '0')
if seen ~= '' and redis.call('HGET', memory, 'epoch') == seen
        and count < tonumber(since) then
    -- It has been restarted from an older copy: what was counted since is lost.
    redis.call('DEL', memory)
    count = 0
end
local epoch = epoch_or(new)
redis.call('HSETNX', memory, 'count', '0')
redis.call('PEXPIRE', memory, expiry)
if epoch ~= seen then
    since = '0'
end
local changed = redis.call('ZRANGEBYSCORE', topics, '(' .. since, '+inf')
return {epoch, string.format('%.0f', count), changed}
"""
)
"""Compare what is remembered with what a node has seen.

Keys: memory, topics. Arguments: an epoch if there is none, the epoch that the node has
seen or nothing, its count, milliseconds until all expires. Returns epoch, count, and
the topics that have changed since.
"""
