"""What the runs of a release add up to: exact sums, units, histograms, mixes and counts by epoch, and their binary forms.

All of it is integers, so it depends on the runs alone and never on their order.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import insort
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from math import nan, sqrt
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from .binary import counts, table, uvarint
from .intervals import Arms, Interval, Share, weight, wilson

BILLION = 10**9  # sums are in billionths
MOST = 10**18  # the largest value of a metric
_UNITS, _SAMPLE = 1024, 256  # units kept singly, and groups beyond; the units whose repeats are counted then
_ORIGIN, _LAST, _OFFSET = 993 << 8, (90 << 8) - 1, 1 << 20  # of bins


def seed(*parts: str) -> int:
    """The first 8 bytes, big endian, of SHA-256 over each part with its length before it."""
    message = b""
    for part in parts:
        data = part.encode()
        message += len(data).to_bytes(8, "big") + data
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big")


@lru_cache(maxsize=1 << 14)
def fixed(v: float) -> int:
    """The shortest decimal of a double, rounded half to even to billionths."""
    if v == int(v) and abs(v) <= 2**53:
        return int(v) * BILLION
    return int(Decimal(repr(v)).scaleb(9).to_integral_value(ROUND_HALF_EVEN))


def bin_of(v: float) -> int:
    """The place of a value in the histogram: 256 bins to each doubling, read off the bits."""
    n = (int.from_bytes(struct.pack(">d", abs(v)), "big") >> 44) - _ORIGIN
    if n < 0:
        return 0
    n = min(n, _LAST) + 1
    return -n if v < 0 else n


def middle(b: int) -> float:
    """The middle of a bin, which stands for its values."""
    if b == 0:
        return 0.0
    if b < 0:
        return -middle(-b)
    lo, hi = (struct.unpack(">d", ((n + _ORIGIN) << 44).to_bytes(8, "big"))[0] for n in (b - 1, b))
    return (lo + hi) / 2


def _tally(count: int, total: int) -> bytes:
    whole = total % BILLION == 0
    magnitude = abs(total) // BILLION if whole else abs(total)
    return counts(count * 2 + whole, magnitude * 2 + (total < 0))


class Summary:
    """The values of one metric of one release."""

    __slots__ = ("count", "ones", "zeros", "total", "units", "grouped", "sample", "smallest", "bins")

    def __init__(self) -> None:
        self.count = self.ones = self.zeros = self.total = 0
        self.units: Dict[int, Tuple[int, int]] = {}  # count and sum, by hash or by its leading ten bits
        self.grouped = False
        self.sample: Dict[int, int] = {}  # counts of the units with the smallest hashes, once grouped
        self.smallest: List[int] = []  # these hashes, in order
        self.bins: Dict[int, int] = {}

    def add(self, v: float, unit: int) -> None:
        value = fixed(v)
        self.count += 1
        self.zeros += value == 0
        self.ones += value == BILLION
        self.total += value
        b = bin_of(value / BILLION)
        self.bins[b] = self.bins.get(b, 0) + 1
        self._add_unit(unit, 1, value)

    def merge(self, o: "Summary") -> None:
        self.merge_values(o)
        if o.grouped and not self.grouped:
            self._group()
        if not o.grouped:
            for unit, (count, total) in o.units.items():
                self._add_unit(unit, count, total)
            return
        for group, (count, total) in o.units.items():
            self._put(group, count, total)
        for unit, count in o.sample.items():
            self._add_sample(unit, count)

    def merge_values(self, o: "Summary") -> None:
        """Adds the values of another, without their units."""
        self.count += o.count
        self.ones += o.ones
        self.zeros += o.zeros
        self.total += o.total
        for b, n in o.bins.items():
            self.bins[b] = self.bins.get(b, 0) + n

    def _put(self, key: int, count: int, total: int) -> None:
        old = self.units.get(key, (0, 0))
        self.units[key] = (old[0] + count, old[1] + total)

    def _add_unit(self, unit: int, count: int, total: int) -> None:
        if self.grouped:
            self._put(unit >> 54, count, total)
            self._add_sample(unit, count)
            return
        self._put(unit, count, total)
        if len(self.units) > _UNITS:
            self._group()

    def _group(self) -> None:
        single, self.units, self.grouped = self.units, {}, True
        for unit, (count, total) in single.items():
            self._put(unit >> 54, count, total)
            self._add_sample(unit, count)

    def _add_sample(self, unit: int, count: int) -> None:
        if unit in self.sample:
            self.sample[unit] += count
        elif len(self.smallest) < _SAMPLE or unit < self.smallest[-1]:
            self.sample[unit] = count
            insort(self.smallest, unit)
            if len(self.smallest) > _SAMPLE:
                del self.sample[self.smallest.pop()]

    def boolean(self) -> bool:
        return self.ones + self.zeros == self.count

    def mean(self) -> float:
        return self.total / BILLION / self.count if self.count else nan

    def clustered(self) -> bool:
        """Whether some unit has more than one value."""
        if self.grouped:
            return any(n > 1 for n in self.sample.values())
        return any(n > 1 for n, _ in self.units.values())

    def design_effect(self) -> float:
        """By how much the variance of a rate is larger because the values of a unit are alike: Kish 1965."""
        n, m = float(self.count), float(len(self.units))
        p = self.mean()
        binomial = p * (1 - p) / n if n else 0.0
        if m < 2 or not binomial > 0:
            return nan
        squares = 0.0
        for key in sorted(self.units):
            count, total = self.units[key]
            d = total / BILLION - p * float(count)
            squares += d * d
        return m / (m - 1) * squares / (n * n) / binomial

    def variance(self) -> float:
        """The variance of the values, each taken at the middle of its bin."""
        if self.count < 2:
            return nan
        bins = [(float(n), middle(b)) for b, n in sorted(self.bins.items())]
        total = squares = 0.0
        for n, value in bins:
            total += n * value
        mean = total / float(self.count)
        if len(bins) == 1:
            return 0.0
        for n, value in bins:
            d = value - mean
            squares += n * (d * d)
        return squares / float(self.count - 1)

    def binary(self) -> bytes:
        units = table({key: _tally(*u) for key, u in self.units.items()})
        sample = table({unit: uvarint(n) for unit, n in self.sample.items()}) if self.grouped else b""
        bins = table({b + _OFFSET: uvarint(n) for b, n in self.bins.items()})
        head = counts(1, self.count, self.ones, self.zeros) + _tally(self.count, self.total)
        return head + uvarint(self.grouped) + units + sample + bins

    # Quantiles, of values at the middles of their bins.

    def _ranked(self, *ranks: int) -> List[int]:
        """The bins of the values of these ranks, from 0, in rising order."""
        out: List[int] = []
        seen, wanted = 0, list(ranks)
        for b, n in sorted(self.bins.items()):
            seen += n
            while wanted and wanted[0] < seen:
                out.append(b)
                wanted.pop(0)
        return out

    def quantile(self, q: float) -> float:
        k, g = position(self.count, q)
        if g == 0:
            return middle(self._ranked(k)[0])
        lo, hi = self._ranked(k, k + 1)
        return (1 - g) * middle(lo) + g * middle(hi)

    def quantile_interval(self, q: float, z: float) -> Interval:
        low, high = _rank_limits(self.count, q, z)
        return Interval(middle(self._ranked(low)[0]), middle(self._ranked(high)[0]))

    def quantile_bin(self, q: float) -> int:
        """The bin of the order statistic at or above the q-quantile."""
        k, g = position(self.count, q)
        return self._ranked(k + 1 if g > 0 else k)[0]

    def count_above(self, b: int) -> int:
        return sum(n for each, n in self.bins.items() if each > b)


NOTHING = Summary()


def position(n: int, q: float) -> Tuple[int, float]:
    """The rank from 0 and the fraction to the next one of the q-quantile of n values: Hyndman & Fan 1996, definition 7."""
    h = float(n - 1) * q
    k = int(h)
    g = h - float(k)
    if g < 1e-12:
        g = 0.0
    elif g > 1 - 1e-12:
        k, g = k + 1, 0.0
    return (n - 1, 0.0) if k >= n - 1 else (k, g)


def _rank_limits(n: int, q: float, z: float) -> Tuple[int, int]:
    size = float(n)
    share = wilson(q * size, size, z)
    low = min(int(share.lo * size), n - 1)
    upper = share.hi * size
    high = int(upper)
    if float(high) == upper and high > 0:
        high -= 1
    return low, min(high, n - 1)


def quantile_limits(n: int, q: float, confidence: float) -> Tuple[bool, bool]:
    """Whether n values can bound their q-quantile below and above."""
    level = (1 - confidence) / 2
    return _power(1 - q, n) <= level, _power(q, n) <= level


def _power(v: float, n: int) -> float:
    product = 1.0
    while n > 0:
        if n & 1:
            product *= v
        v *= v
        n >>= 1
    return product


class Epochs:
    """The counts of a rate by epoch: how many, and how many of them are 1. Empty while all are of the span's first epoch."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: Dict[int, Tuple[int, int]] = {}

    def add(self, span: int, before: Tuple[int, int], epoch: int, ones: int) -> None:
        """Adds one. before are the counts so far, all of the first epoch while this is empty."""
        if not self.counts:
            if epoch == span:
                return
            if before[0]:
                self.counts[span] = before
        old = self.counts.get(epoch, (0, 0))
        self.counts[epoch] = (old[0] + 1, old[1] + ones)

    def of(self, first: int, count: int, ones: int) -> Dict[int, Tuple[int, int]]:
        """The counts in full."""
        return self.counts if self.counts or count == 0 else {first: (count, ones)}

    def binary(self) -> bytes:
        out, before = [counts(1, len(self.counts))], 0
        for epoch, (count, ones) in sorted(self.counts.items()):
            out.append(counts(epoch - before, count, ones))
            before = epoch
        return b"".join(out)


def by_epoch(candidate: Dict[int, Tuple[int, int]], baseline: Dict[int, Tuple[int, int]]) -> List[Arms]:
    """Joins the counts of both releases, one stratum for each epoch."""

    def share(of: Dict[int, Tuple[int, int]], epoch: int) -> Share:
        count, ones = of.get(epoch, (0, 0))
        return Share(ones, count)

    return [Arms(share(candidate, e), share(baseline, e)) for e in sorted({*candidate, *baseline})]


class Mix:
    """The runs by one attribute: by name up to 64 names, beyond that in 64 groups."""

    __slots__ = ("named", "groups")

    def __init__(self) -> None:
        self.named: Dict[str, int] = {}
        self.groups: List[int] = []  # once grouped

    def add(self, name: str) -> None:
        if self.groups:
            self.groups[_group_of(name)] += 1
            return
        self.named[name] = self.named.get(name, 0) + 1
        if len(self.named) > 64:
            self.groups, self.named = self.grouped(), {}

    def grouped(self) -> List[int]:
        groups = list(self.groups) or [0] * 64
        for name, n in self.named.items():
            groups[_group_of(name)] += n
        return groups

    def count(self) -> int:
        return sum(self.named.values()) + sum(self.groups)

    def binary(self) -> bytes:
        if self.groups:
            return b"\x01\x01" + counts(*self.groups)
        out = [b"\x01\x00", uvarint(len(self.named))]
        for name in sorted(self.named):  # by code point, which is the order of the bytes too
            data = name.encode()
            out += (uvarint(len(data)), data, uvarint(self.named[name]))
        return b"".join(out)


@lru_cache(maxsize=1 << 12)
def _group_of(name: str) -> int:
    return seed("category", name) >> 58


class Crossed(NamedTuple):
    """The count of one category in both releases."""

    name: str
    candidate: int
    baseline: int


class Shift:
    """How far the proportions of two releases are apart: chi-square over the strata, and the total variation distance."""

    def __init__(self, strata: Sequence[Tuple[Mix, Mix]]) -> None:
        self.statistic = self.distance = 0.0
        self.freedom = 0
        self.category, self.candidate, self.baseline, self.named = "", 0.0, 0.0, False
        total = 0.0
        for c, b in strata:
            w = weight(c.count(), b.count())
            if w != 0:
                total += w
                self._add(c, b, w, len(strata) == 1)
        if total > 0:
            self.distance /= total

    def _add(self, c: Mix, b: Mix, w: float, alone: bool) -> None:
        crossed, named = _cross(c, b)
        self.freedom += len(crossed) - 1
        nc, nb = float(c.count()), float(b.count())
        statistic = distance = 0.0
        largest = -1.0
        for each in crossed:
            pc, pb = float(each.candidate) / nc, float(each.baseline) / nb
            apart = abs(pc - pb)
            statistic += apart * apart * (nc * nb / float(each.candidate + each.baseline))
            distance += apart / 2
            if alone and apart > largest:
                largest = apart
                self.category, self.candidate, self.baseline, self.named = each.name, pc, pb, named
        self.statistic += statistic
        self.distance += w * distance

    def differs(self) -> bool:
        """By more than chance, after Wilson & Hilferty 1931, and enough to matter."""
        if self.freedom < 1:
            return False
        k = float(self.freedom)
        root = 1 - 2 / (9 * k) + 3.090232306167813 * sqrt(2 / (9 * k))
        return self.distance >= 0.1 and self.statistic > k * (root * root * root)


def _cross(c: Mix, b: Mix) -> Tuple[List[Crossed], bool]:
    """The categories of both, those with less than ten runs added up at the end."""
    named = not c.groups and not b.groups
    if named:
        every: Iterable[Crossed] = (Crossed(n, c.named.get(n, 0), b.named.get(n, 0)) for n in sorted({*c.named, *b.named}))
    else:
        every = (Crossed("", x, y) for x, y in zip(c.grouped(), b.grouped()))
    out: List[Crossed] = []
    rest = Crossed("", 0, 0)
    for each in every:
        if each.candidate + each.baseline >= 10:
            out.append(each)
        else:
            rest = Crossed("", rest.candidate + each.candidate, rest.baseline + each.baseline)
    if rest.candidate + rest.baseline > 0:
        out.append(rest)
    return out, named
