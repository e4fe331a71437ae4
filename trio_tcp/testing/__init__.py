"""To test a protocol without sockets, sleeps and luck.

`connection_pair` makes two connected connections, `serve_in_memory` runs a handler
under all of a server's policies; both over `memory_stream_pair`, whose buffer is
bounded as a socket's is. With the clock of pytest-trio's ``autojump_clock`` fixture,
timeouts take no time. `check_codec` holds a codec to what all codecs promise.
"""

from trio_tcp.testing._check_codec import check_codec
from trio_tcp.testing._memory import MemoryListener, MemoryStream, memory_stream_pair
from trio_tcp.testing._pair import MemoryServer, connection_pair, serve_in_memory

__all__ = [
    "MemoryListener",
    "MemoryServer",
    "MemoryStream",
    "check_codec",
    "connection_pair",
    "memory_stream_pair",
    "serve_in_memory",
]
