"""The seeded bootstrap behind the ordinary intervals of means. Its draws are a specification, so its bits are everybody's."""

from __future__ import annotations

import struct
from math import nan
from typing import List, NamedTuple, Sequence, Tuple

from .intervals import Difference, Interval, weight
from .parallel import spread
from .summary import BILLION, Summary, position

RESAMPLES = 10_000
_MOST_UNITS, _MOST_STRATA = 1024, 16  # of a release that are drawn singly, and in strata of their own
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_NOTHING = Interval(nan, nan)

Cells = List[Tuple[float, float]]  # sum and count of each unit


class Means(NamedTuple):
    candidate: Interval
    baseline: Interval
    difference: Difference


class Arm(NamedTuple):
    """The units of a release in one stratum."""

    cells: Cells
    runs: float
    mean: float
    weight: float  # of the stratum in the difference


def _arm(s: Summary, weight: float) -> Arm:
    units = [s.units[key] for key in sorted(s.units)]
    return Arm([(total / BILLION, float(count)) for count, total in units], float(s.count), s.mean(), weight)


class Side:
    """A release in all strata: its mean over runs, and its part in the difference, the mean of the strata's means by their weights."""

    def __init__(self, summaries: Sequence[Summary], weights: Sequence[float]) -> None:
        self.arms = [_arm(s, w) for s, w in zip(summaries, weights) if s.count > 0]
        runs = 0.0
        for a in self.arms:
            runs += a.runs
        self.shares = [a.runs / runs for a in self.arms]
        self.plain = self._of([a.mean for a in self.arms])
        units = sum(len(a.cells) for a in self.arms)
        self.groups: Cells = []  # of influences on the part and on the mean, where there are too many units
        if units > _MOST_UNITS or len(self.arms) > _MOST_STRATA:
            self.groups = self._influences(min(units, _MOST_UNITS))

    def _of(self, means: Sequence[float]) -> Tuple[float, float]:
        mean = part = 0.0
        for a, share, v in zip(self.arms, self.shares, means):
            mean += share * v
            part += a.weight * v
        return mean, part

    def _influences(self, n: int) -> Cells:
        """The influences of all units, dealt out in turn to n groups."""
        parts, means = [0.0] * n, [0.0] * n
        g = 0
        for a, share in zip(self.arms, self.shares):
            for total, count in a.cells:
                deviation = (total - a.mean * count) / a.runs
                parts[g] += a.weight * deviation
                means[g] += share * deviation
                g = g + 1 if g + 1 < n else 0
        return list(zip(parts, means))

    def resample(self, state: int) -> Tuple[Tuple[float, float], int]:
        """The mean and the part of one replicate, and the state of the generator after it."""
        if self.groups:
            part, mean, state = _draw(self.groups, state)
            return (self.plain[0] + mean, self.plain[1] + part), state
        means: List[float] = []
        for a in self.arms:
            total, count, state = _draw(a.cells, state)
            means.append(total / count)
        return self._of(means), state


def _mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def _draw(cells: Cells, state: int) -> Tuple[float, float, int]:
    """The sums of as many cells as there are, drawn with replacement: four of each number of 64 bits, into four partial sums."""
    n = len(cells)
    square = n * n
    all_ = square * square
    s = t = u = v = sc = tc = uc = vc = 0.0
    for left in range(n, 0, -4):
        state = state + _GOLDEN & _MASK
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        first, second = divmod((z ^ z >> 31) * all_ >> 64, square)  # the four indexes are its digits to the base n
        a, b = cells[first // n]
        s += a
        sc += b
        if left > 3:
            a, b = cells[first % n]
            t += a
            tc += b
            a, b = cells[second // n]
            u += a
            uc += b
            a, b = cells[second % n]
            v += a
            vc += b
            continue
        if left > 1:
            a, b = cells[first % n]
            t += a
            tc += b
        if left > 2:
            a, b = cells[second // n]
            u += a
            uc += b
    return (s + t) + (u + v), (sc + tc) + (uc + vc), state


def bootstrap_means(strata: Sequence[Tuple[Summary, Summary]], confidence: float, seed: int, processes: int) -> Means:
    """The intervals of the means of candidate and baseline, and of their difference within strata, all from the same replicates."""
    weights = [weight(c.count, b.count) for c, b in strata]
    total = 0.0
    for w in weights:
        total += w
    if total > 0:
        weights = [w / total for w in weights]
    candidate, baseline = (Side([pair[i] for pair in strata], weights) for i in (0, 1))
    begin = _mix(seed + _GOLDEN & _MASK)

    def replicates(first: int, last: int) -> bytes:
        out = []
        for r in range(first, last):
            c, state = candidate.resample(_mix(begin ^ _mix(r ^ 0xD1B54A32D192ED03)))
            b, _ = baseline.resample(state)
            out += (c[0], b[0], c[1] - b[1])
        return struct.pack(f"={len(out)}d", *out)

    data = b"".join(spread(replicates, RESAMPLES, processes))
    values = struct.unpack(f"={len(data) // 8}d", data)
    estimate = candidate.plain[1] - baseline.plain[1]
    limits = _interval(values[2::3], confidence) if total > 0 else _NOTHING
    return Means(
        _interval(values[0::3], confidence) if candidate.arms else _NOTHING,
        _interval(values[1::3], confidence) if baseline.arms else _NOTHING,
        Difference(estimate, *limits) if total > 0 else Difference(nan, nan, nan),
    )


def _interval(replicates: Sequence[float], confidence: float) -> Interval:
    ordered = sorted(replicates)
    return Interval(_quantile(ordered, (1 - confidence) / 2), _quantile(ordered, (1 + confidence) / 2))


def _quantile(ordered: Sequence[float], q: float) -> float:
    k, g = position(len(ordered), q)
    return ordered[k] if g == 0 else (1 - g) * ordered[k] + g * ordered[k + 1]
