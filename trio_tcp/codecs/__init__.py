"""Messages in bytes: one framing or payload per file, with no Trio and no sockets.

**Framings** say where a message begins and ends:

* by size: `FixedLength`; `LengthPrefixed`, `VarintPrefixed` and `Netstrings`, with the
  length before the message; `LengthField`, with the length anywhere in a header
* by what follows: `Lines` of text, `Delimited` bytes
* not at all: `Chunks`

**Payloads** say what a message is, over any framing: `Mapped` with two functions of
yours, `Json` and `MessagePack` with your types.

Read ``_codec.py`` to write one of your own: two methods, and a few more if it is to
decode many messages at once (``_batch_codec.py``), or to spare large ones from being
copied (``_large_codec.py``).
"""

from trio_tcp.codecs._batch_codec import BATCH_BYTES, BATCH_MESSAGES, BatchCodec
from trio_tcp.codecs._buffer import Buffer
from trio_tcp.codecs._chunks import Chunks
from trio_tcp.codecs._codec import NEED_MORE, Codec, Decoding, NeedMore
from trio_tcp.codecs._decoder import Decoder
from trio_tcp.codecs._delimited import Delimited
from trio_tcp.codecs._fixed_length import FixedLength
from trio_tcp.codecs._json import Json
from trio_tcp.codecs._large_codec import (
    LARGE_BYTES,
    Extent,
    LargeCodec,
    PartsCodec,
    encode_parts,
)
from trio_tcp.codecs._length_field import LengthField
from trio_tcp.codecs._length_prefixed import LengthPrefixed
from trio_tcp.codecs._lines import Lines
from trio_tcp.codecs._mapped import Mapped
from trio_tcp.codecs._message_pack import MessagePack
from trio_tcp.codecs._netstrings import Netstrings
from trio_tcp.codecs._varint_prefixed import VarintPrefixed

__all__ = [
    "BATCH_BYTES",
    "BATCH_MESSAGES",
    "LARGE_BYTES",
    "NEED_MORE",
    "BatchCodec",
    "Buffer",
    "Chunks",
    "Codec",
    "Decoder",
    "Decoding",
    "Delimited",
    "Extent",
    "FixedLength",
    "Json",
    "LargeCodec",
    "LengthField",
    "LengthPrefixed",
    "Lines",
    "Mapped",
    "MessagePack",
    "NeedMore",
    "Netstrings",
    "PartsCodec",
    "VarintPrefixed",
    "encode_parts",
]
