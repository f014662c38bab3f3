"""Ordinary intervals of rates and of their differences, of a single look."""

from __future__ import annotations

from math import nan, sqrt
from typing import List, NamedTuple, Sequence, Tuple

from .floats import exp, log


class Share(NamedTuple):
    """x of n."""

    x: int
    n: int

    def value(self) -> float:
        return self.x / self.n if self.n > 0 else nan


class Interval(NamedTuple):
    lo: float
    hi: float


class Difference(NamedTuple):
    """Candidate minus baseline."""

    estimate: float
    lo: float
    hi: float


class Arms(NamedTuple):
    """The counts of both releases in one stratum."""

    candidate: Share
    baseline: Share


NO_DIFFERENCE = Difference(nan, -1.0, 1.0)


def weight(candidate: int, baseline: int) -> float:
    """The weight of a stratum and the information of a block: 0 where a release has nothing."""
    if candidate <= 0 or baseline <= 0:
        return 0.0
    c, b = float(candidate), float(baseline)
    return c * b / (c + b)


def wilson(x: float, n: float, z: float) -> Interval:
    """The score interval of x of n, where x need not be whole."""
    if not n > 0:
        return Interval(0.0, 1.0)
    return Interval(_wilson_lower(x, n, z), 1 - _wilson_lower(n - x, n, z))


def _wilson_lower(x: float, n: float, z: float) -> float:
    if x <= 0:
        return 0.0
    square = z * z
    root = sqrt(square + 4 * x * ((n - x) / n))
    return 2 * x * (x / n) / (2 * x + square + z * root)


def wilson_of(p: Share, z: float) -> Interval:
    return wilson(float(p.x), float(p.n), z)


def mover(candidate: float, baseline: float, c: Interval, b: Interval) -> Difference:
    """The difference of two independent estimates from their own intervals: Zou & Donner 2008."""
    d = candidate - baseline
    return Difference(d, d - _hypotenuse(candidate - c.lo, b.hi - baseline), d + _hypotenuse(c.hi - candidate, baseline - b.lo))


def _hypotenuse(a: float, b: float) -> float:
    return sqrt(a * a + b * b)


def newcombe(candidate: Share, baseline: Share, z: float) -> Difference:
    if candidate.n <= 0 or baseline.n <= 0:
        return NO_DIFFERENCE
    return mover(candidate.value(), baseline.value(), wilson_of(candidate, z), wilson_of(baseline, z))


def stratified_newcombe(strata: Sequence[Arms], z: float) -> Difference:
    """The weighted mean of the strata's differences: Yan & Su 2010."""
    used = [(weight(s.candidate.n, s.baseline.n), s) for s in strata]
    total = 0.0
    for w, _ in used:
        total += w
    if not total > 0:
        return NO_DIFFERENCE
    c = _arm([(w, s.candidate) for w, s in used if w != 0], total, z)
    b = _arm([(w, s.baseline) for w, s in used if w != 0], total, z)
    return mover(c.estimate, b.estimate, Interval(c.lo, c.hi), Interval(b.lo, b.hi))


def _arm(parts: List[Tuple[float, Share]], total: float, z: float) -> Difference:
    variance = deviations = 0.0
    for w, p in parts:
        n = float(p.n)
        rate = (float(p.x) + 0.5) / (n + 1)
        v = rate * (1 - rate) / n
        variance += w * w * v
        deviations += w * sqrt(v)
    relaxed = z * sqrt(variance) / deviations
    estimate = lo = hi = 0.0
    for w, p in parts:
        limits = wilson_of(p, relaxed)
        estimate += w * p.value()
        lo += w * limits.lo
        hi += w * limits.hi
    return Difference(estimate / total, lo / total, hi / total)


def newcombe_paired(both: int, candidate_only: int, baseline_only: int, neither: int, z: float) -> Difference:
    """The difference of two rates on the same units: Newcombe 1998, method 10 for pairs."""
    n = both + candidate_only + baseline_only + neither
    if n <= 0:
        return NO_DIFFERENCE
    candidate, baseline = Share(both + candidate_only, n), Share(both + baseline_only, n)
    c, b = wilson_of(candidate, z), wilson_of(baseline, z)
    pc, pb = candidate.value(), baseline.value()
    phi = _correlation(float(both), float(candidate_only), float(baseline_only), float(neither))
    d = float(candidate_only - baseline_only) / float(n)
    return Difference(d, d - _correlated(pc - c.lo, b.hi - pb, phi), d + _correlated(c.hi - pc, pb - b.lo, phi))


def _correlation(a: float, b: float, c: float, d: float) -> float:
    if a + b == 0 or c + d == 0 or a + c == 0 or b + d == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        cross = max(cross - (a + b + c + d) / 2, 0.0)
    return cross / (sqrt((a + b) * (c + d)) * sqrt((a + c) * (b + d)))


def _correlated(a: float, b: float, phi: float) -> float:
    square = a * a - 2 * phi * a * b + b * b
    return sqrt(square) if square > 0 else 0.0


class Arrivals(NamedTuple):
    """The runs of one step, and the share of them that the candidate was to get."""

    candidate: int
    total: int
    share: float


def sample_ratio(steps: Sequence[Arrivals]) -> float:
    """The logarithm of the evidence that the candidate's share of the runs is not the declared one: Lindon & Malek 2022."""
    factors = [0.0, 0.0, 0.0]
    for s in steps:
        if s.total <= 0 or not 0 <= s.candidate <= s.total or not 0 < s.share < 1:
            continue
        x, rest = float(s.candidate), float(s.total - s.candidate)
        declared = x * log(s.share) + rest * log(1 - s.share)
        for i, strength in enumerate((10.0, 500.0, 10000.0)):
            a, b = strength * s.share, strength * (1 - s.share)
            factors[i] += _log_beta(a + x, b + rest) - _log_beta(a, b) - declared
    most = max(factors)
    total = 0.0
    for f in factors:
        total += exp(f - most)
    return most + log(total / 3)


def _log_beta(a: float, b: float) -> float:
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _log_gamma(x: float) -> float:
    """The logarithm of the gamma function: Stirling's series from 10 on, the recurrence below."""
    shift = 1.0
    while x < 10:
        shift *= x
        x += 1
    inverse = 1 / x
    square = inverse * inverse
    series = 0.0
    for c in (1.0 / 156, -691.0 / 360360, 1.0 / 1188, -1.0 / 1680, 1.0 / 1260, -1.0 / 360, 1.0 / 12):
        series = series * square + c
    return (x - 0.5) * log(x) - x + 0.9189385332046727 + series * inverse - log(shift)
