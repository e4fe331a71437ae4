"""How fast the codecs are, and that their time is linear. Run it, and read.

Usage: ``python benchmarks/codecs.py``, or with ``small``: only the costs of a small
message, in some seconds. Seconds are of the processor, the best of a few runs. A ratio
is the time for a frame divided by the time for one of half its size: about 2 where time
is linear, 4 where it is quadratic. (In milliseconds, one row may show more: from some
size on, the allocator gets its memory from the kernel.)
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from trio_tcp import codecs

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_tcp.codecs import Codec

MIB: Final = 1 << 20
FRAME_BYTES: Final = (2 * MIB, 4 * MIB, 8 * MIB)
CHUNK_BYTES: Final = (1024, 1)
CHUNK_MESSAGES: Final = (1, 32, 1000)
MESSAGES: Final = 10_000
LIMIT: Final = 16 * MIB


def same(message: Any) -> Any:  # noqa: ANN401
    """Do nothing, as a function for `codecs.Mapped`."""
    return message


def framings(size: int) -> dict[str, tuple[Codec[Any, Any], Any]]:
    """Return each codec, and a message of this size for it."""
    binary, text = b"x" * size, "x" * size
    prefixed = codecs.LengthPrefixed(max_bytes=LIMIT)
    lines = codecs.Delimited(b"\n", max_bytes=LIMIT)
    field = codecs.LengthField(
        offset=2, strip_header=6, magic=b"AB", max_garbage_bytes=9, max_bytes=LIMIT
    )
    return {
        "FixedLength": (codecs.FixedLength(size), binary),
        "LengthPrefixed": (prefixed, binary),
        "LengthField, magic": (field, binary),
        "VarintPrefixed": (codecs.VarintPrefixed(max_bytes=LIMIT), binary),
        "Netstrings": (codecs.Netstrings(max_bytes=LIMIT), binary),
        "Delimited, one": (lines, binary),
        "Delimited, two": (codecs.Delimited(b"\r\n", b"\n", max_bytes=LIMIT), binary),
        "Lines": (codecs.Lines(max_bytes=LIMIT), text),
        "Mapped": (codecs.Mapped(prefixed, decode=same, encode=same), binary),
        "Json": (codecs.Json(str, framing=lines), text),
        "MessagePack": (codecs.MessagePack(bytes, framing=prefixed), binary),
    }


def seconds_to_decode(codec: Codec[Any, Any], stream: bytes, chunk_bytes: int) -> float:
    """Decode a stream of whole messages, and time only that."""
    places = range(0, len(stream), chunk_bytes)
    chunks = [stream[at : at + chunk_bytes] for at in places]
    decoder = codecs.Decoder(codec)
    next_message = decoder.next_message
    begin = time.process_time()
    for chunk in chunks:
        decoder.feed(chunk)
        while next_message() is not codecs.NEED_MORE:
            pass
    return time.process_time() - begin


def best(function: Callable[[], float], runs: int) -> float:
    """Return the least of several runs: the others had other work beside them."""
    return min(function() for _ in range(runs))


def print_large_frames(chunk_bytes: int, runs: int) -> None:
    """Print how long one large frame takes, and how that grows with its size."""
    print(f"\nOne frame in chunks of {chunk_bytes} bytes: seconds, and ratios")
    print(f"{'':20}{'2 MiB':>8}{'4 MiB':>8}{'8 MiB':>8}{'4/2':>8}{'8/4':>8}")
    for name in framings(1):
        times: list[float] = []
        for size in FRAME_BYTES:
            codec, message = framings(size)[name]
            frame = codec.encode(message)
            times.append(
                best(lambda: seconds_to_decode(codec, frame, chunk_bytes), runs)  # noqa: B023
            )
        seconds = "".join(f"{time:8.3f}" for time in times)
        print(f"{name:20}{seconds}{times[1] / times[0]:8.1f}{times[2] / times[1]:8.1f}")


def seconds_to_encode(codec: Codec[Any, Any], message: object, count: int) -> float:
    """Encode a message many times."""
    encode = codec.encode
    begin = time.process_time()
    for _ in range(count):
        encode(message)
    return time.process_time() - begin


def print_small_messages() -> None:
    """Print what a message of 64 bytes costs, alone in a chunk and among others."""
    print("\nMessages of 64 bytes, so many in a chunk: nanoseconds for each")
    print(f"{'':20}", *(f"{f'decode {n}':>12}" for n in CHUNK_MESSAGES), "      encode")
    for name, (codec, message) in framings(64).items():
        frame = codec.encode(message)
        times = [
            best(lambda: seconds_to_decode(codec, frame * MESSAGES, len(frame) * n), 7)  # noqa: B023
            for n in CHUNK_MESSAGES
        ]
        times.append(best(lambda: seconds_to_encode(codec, message, MESSAGES), 7))  # noqa: B023
        print(f"{name:20}", *(f"{time / MESSAGES * 1e9:12.0f}" for time in times))


def main() -> None:
    """Print all tables."""
    print_small_messages()
    if sys.argv[1:] == ["small"]:
        return
    print_large_frames(CHUNK_BYTES[0], runs=5)
    print_large_frames(CHUNK_BYTES[1], runs=1)


if __name__ == "__main__":
    main()
