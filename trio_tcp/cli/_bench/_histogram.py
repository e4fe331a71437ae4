"""A log-linear histogram: how often which latency was measured.

A bucket is what a 32-bit IEEE 754 number keeps in its upper half: the exponent, and 7
bits of the mantissa. So there are 128 buckets from each power of two to the next, as
in HdrHistogram, whose idea this is; there is no range to choose; and no more buckets
than were hit. A value is given back as the middle of its bucket, and so is wrong by at
most `RELATIVE_ERROR` of itself. The least and the greatest are kept exactly, as is
the sum.

To find the bucket of one value takes several steps of Python, but that of many takes
three calls. So who measures appends to a list, and now and then adds the list.

The package ``hdrhistogram`` is kept well, and would do. It takes a microsecond for a
value alone; with values counted before they are recorded, twice as long as this. But at
run time it needs ``pbr`` and a recent ``setuptools``, which the users of this command
would have to install for what is done below in a page.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

__all__ = ["RELATIVE_ERROR", "Histogram"]

RELATIVE_ERROR: Final = 1 / 256 + 2**-23
"""Half of the width of a bucket, and what rounding to 32 bits may add to that."""

SHORTEST: Final = 1e-9
"""Seconds: where the scale of `Histogram.spread` begins, if it could begin at 0."""

UPPER_HALF: Final = slice(sys.byteorder == "little", None, 2)
"""Of numbers of 32 bits that are seen as numbers of 16."""


@final
class Histogram:
    """How often which number of seconds was measured; none is negative.

    Attributes:
        buckets: how many values are in each.
        count: of all values.
        total: their sum, in seconds.
        least: of them, in seconds; infinite if there are none.
        greatest: of them, in seconds; 0 if there are none.
    """

    __slots__ = ("buckets", "count", "greatest", "least", "total")

    def __init__(self, values: Sequence[float] = ()) -> None:
        self.buckets: Counter[int] = Counter()
        self.count: int = 0
        self.total: float = 0.0
        self.least: float = math.inf
        self.greatest: float = 0.0
        self.add(values)

    def add(self, values: Sequence[float]) -> None:
        """Add values, in seconds; many at once cost the least."""
        if not values:
            return
        halves = memoryview(array("f", values)).cast("B").cast("H")
        self.buckets.update(halves[UPPER_HALF])
        self.count += len(values)
        self.total += sum(values)
        self.least = min(self.least, *values)
        self.greatest = max(self.greatest, *values)

    def merge(self, other: Histogram) -> None:
        """Add what another has, as if its values had been added here."""
        self.buckets.update(other.buckets)
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    @property
    def mean(self) -> float:
        """The sum over the count; not a number if there are no values."""
        return self.total / self.count if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """Return the least value that so many percent of all do not exceed.

        Args:
            percent: from 0, the least value, to 100, the greatest.

        Returns:
            Seconds, within `RELATIVE_ERROR`; not a number if there are no values.
        """
        [value] = self.percentiles([percent])
        return value

    def percentiles(self, percents: Iterable[float]) -> list[float]:
        """Return several percentiles, which are in rising order, with one look."""
        if not self.count:
            return [math.nan for _ in percents]
        found: list[float] = []
        buckets = iter(sorted(self.buckets.items()))
        bucket, seen = next(buckets)
        for percent in percents:
            rank = max(1, math.ceil(self.count * percent / 100))
            while seen < rank:
                bucket, more = next(buckets)
                seen += more
            found.append(self._within(bucket_middle(bucket), rank))
        return found

    def _within(self, value: float, rank: int) -> float:
        if rank == 1:
            return self.least
        if rank >= self.count:
            return self.greatest
        return min(max(value, self.least), self.greatest)

    def spread(self, columns: int) -> list[tuple[float, float, int]]:
        """Count the values in columns that are equally wide on a logarithmic scale.

        Args:
            columns: how many, from the least value to the greatest.

        Returns:
            For each the seconds where it begins and ends, and how many are in it.
        """
        if not self.count:
            return []
        low = max(self.least, SHORTEST)
        ratio = max(self.greatest / low, 1 + RELATIVE_ERROR) ** (1 / columns)
        counts = [0] * columns
        for bucket, count in self.buckets.items():
            place = max(bucket_middle(bucket), low) / low
            counts[min(int(math.log(place, ratio)), columns - 1)] += count
        return [
            (low * ratio**number, low * ratio ** (number + 1), count)
            for number, count in enumerate(counts)
        ]

    @classmethod
    def of_buckets(
        cls, buckets: Mapping[int, int], total: float, least: float, greatest: float
    ) -> Histogram:
        """Make one of what another had: its buckets, and what is exact of it."""
        histogram = cls()
        histogram.buckets.update(buckets)
        histogram.count = sum(buckets.values())
        histogram.total, histogram.least = total, least
        histogram.greatest = greatest
        return histogram


def bucket_middle(bucket: int) -> float:
    """Return the middle of a bucket, in seconds."""
    middle: float
    [middle] = struct.unpack(">f", struct.pack(">HH", bucket, 1 << 15))
    return middle
