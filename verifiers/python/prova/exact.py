"""The exact conditional group-sequential test of a gate that counts failures, and the interval that belongs to its last look."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from math import inf, isnan, nan, nextafter, sqrt
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from .binary import NAN, counts, floats, uvarint, varint
from .floats import MOST, exp, log, quotient
from .intervals import Arms, Difference, Share, weight
from .laws import (
    CERTAIN, NODES, Joint, Law, Node, binomial, bottom, by_node, convolved, cropped, cut, each, extended, flat, halved, hypergeometric,
    nodes_of, posteriors, predictions, shares, size, tail, top, trimmed, without_small,
)  # fmt: skip

CONCURRENT, HISTORICAL, PAIRED = 0, 1, 2  # designs: what the runs of a block are compared with

_COARSE, _COARSE_SCORES, _WIDTH = 4096, 8192, 65536  # scores beyond which the lattice is made coarser
_MOST_RUNS, _MOST_HISTORICAL = 1 << 31, 1 << 20


class Refused(ValueError):
    """A block or a margin that the test cannot take."""


class NoInterval(ValueError):
    """There is no look yet, or nothing varied."""


class Block(NamedTuple):
    """The failures of one look. Of pairs n is their number on both sides, and x those in which only this side failed."""

    stratum: int
    design: int
    candidate: Share
    baseline: Share


class Margin(NamedTuple):
    """How much worse is still harmless: in units of the rate, or as an odds ratio."""

    absolute: float = 0.0
    ratio: float = 1.0

    def odds(self, s: "Stratum") -> float:
        """The odds ratio that the margin is at the baseline of a stratum."""
        if self.absolute == 0:
            return self.ratio
        rate = (float(s.baseline.x) + 0.25) / (float(s.baseline.n) + 1)
        if s.design == PAIRED:
            return self.ratio * ((rate + self.absolute) / rate)
        rate = min(rate, 1 - self.absolute - 1e-6)
        worse = rate + self.absolute
        return self.ratio * (worse * (1 - rate) / ((1 - worse) * rate))


@dataclass
class Stratum:
    """What the blocks of one stratum and design add up to."""

    design: int
    candidate: Share
    baseline: Share
    odds: float = 1.0  # under the margin, at the last block

    def information(self) -> float:
        return weight(self.candidate.n, self.baseline.n)

    def difference(self, odds: float) -> float:
        """Candidate minus baseline at odds of failure: of the rates, or of pairs that only the one failed."""
        c, b = float(self.candidate.n), float(self.baseline.n)
        failures = float(self.candidate.x + self.baseline.x)
        if self.design == PAIRED:
            share = (1 - 1 / odds) / (1 + 1 / odds) if odds > 1 else (odds - 1) / (odds + 1)
            return failures * share / c
        if failures == 0:
            return 0.0
        if odds >= 1:
            p = _higher_rate(c, b, failures, 1 / odds)
            return p - _other_rate(c, b, failures, p)
        p = _higher_rate(b, c, failures, odds)
        return _other_rate(b, c, failures, p) - p


def _higher_rate(n: float, m: float, failures: float, odds: float) -> float:
    """Solves n·p + m·q = failures for p, where the odds of q are those of p times odds, at most 1."""
    linear = n + m * odds + failures * (1 - odds)
    square = linear * linear - 4 * n * failures * (1 - odds)
    return min(2 * failures / (linear + sqrt(max(square, 0.0))), 1.0)


def _other_rate(n: float, m: float, failures: float, p: float) -> float:
    return max(0.0, min((failures - n * p) / m, 1.0))


class Look(NamedTuple):
    block: Block
    number: int
    information: float
    allowed: float
    used: float
    score: int
    boundary: int
    level: float
    tested: bool
    reachable: bool
    regressed: bool


def alpha_star(budget: float, planned: float, v: float) -> float:
    """The error that may be spent at information v: Hwang, Shih & DeCani 1990 within the plan, and a rest for all time behind it."""
    if not v > 0 or not planned > 0:
        return 0.0
    inside = budget * 0.95
    u = v / planned
    if u <= 1:
        return inside * (exp(3 * u) - 1) / (exp(3.0) - 1)
    return inside + budget * 0.05 * (1 - 1 / (1 + log(u)))


def _look_weight(looks: int, halvings: int) -> int:
    return max(1, (16 - looks % 4) >> min(halvings, 8))


def _mean_weight(halvings: int) -> float:
    return float(sum(_look_weight(i, halvings) for i in range(4))) / 4


@dataclass
class Test:
    """A test between two looks. look returns another one and leaves this as it was."""

    budget: float
    planned_concurrent: float
    first_look: int
    history: Share = Share(0, 0)
    planned_history: float = 0.0
    looks: int = 0
    score: int = 0
    top: int = 0  # highest score that the totals of the blocks allow
    halvings: int = 0
    mean_step: float = _mean_weight(0)
    used: float = 0.0
    level: float = 0.0
    threshold: float = 0.0  # the difference of rates that the last look tested, NaN of a margin in odds
    tested: bool = False
    reachable: bool = False
    regressed: bool = False
    varied: bool = False  # some block had both outcomes
    by_node: bool = False  # each row is a node, not a number of failures
    nodes: Optional[List[Node]] = None
    margin: Margin = Margin()  # of the last block against the history

    def __post_init__(self) -> None:
        self.strata: Dict[Tuple[int, int], Stratum] = {}
        self.paths: Joint = (0, [CERTAIN])  # the score of the paths that have not crossed
        self.scores: Joint = (0, [CERTAIN])  # the score of all paths

    def look(self, b: Block, m: Margin) -> Tuple["Test", Look]:
        self._check(b)
        t = copy.copy(self)
        t.strata = dict(self.strata)
        return t, t._take(b, m)

    def _check(self, b: Block) -> None:
        if any(not 0 <= p.x <= p.n <= _MOST_RUNS for p in (b.candidate, b.baseline)):
            raise Refused("a block has failures that cannot be")
        if b.candidate.n == 0 or b.baseline.n == 0 and b.design != HISTORICAL:
            raise Refused("a block needs runs of both releases")
        if b.design == HISTORICAL and (self.history.n == 0 or b.candidate.n > _MOST_HISTORICAL):
            raise Refused("a block against the history has too many runs, or there is no history")
        if b.design == PAIRED and b.candidate.x > b.candidate.n - b.baseline.x:
            raise Refused("more pairs failed on one side only than there are")

    def _take(self, b: Block, m: Margin) -> Look:
        before = self.information()
        s = self._add_to_stratum(b)
        s.odds = m.odds(s)
        if b.design == HISTORICAL:
            self._add_historical(b, m)
        else:
            self._add_conditional(b, s.odds)
        self.threshold = m.absolute if m.ratio == 1 else nan
        information = self.information()
        if self.halvings > 0:
            gain = information - before if b.design == HISTORICAL else weight(b.candidate.n, b.baseline.n)
            self.mean_step += min(gain / information, 1.0) * (_mean_weight(self.halvings) - self.mean_step)
        return self._decide(b, information)

    def _add_to_stratum(self, b: Block) -> Stratum:
        key = (b.stratum, b.design)
        old = self.strata.get(key) or Stratum(b.design, Share(0, 0), Share(0, 0))
        baseline = self.history if b.design == HISTORICAL else _plus(old.baseline, b.baseline)
        self.strata[key] = Stratum(b.design, _plus(old.candidate, b.candidate), baseline, old.odds)
        return self.strata[key]

    def ordered(self) -> List[Stratum]:
        return [self.strata[key] for key in sorted(self.strata)]

    def arms(self) -> List[Arms]:
        return [Arms(s.candidate, s.baseline) for s in self.ordered()]

    def information(self) -> float:
        total = 0.0
        for s in self.ordered():
            total += s.information()
        return total

    def candidates(self) -> int:
        return sum(s.candidate.n for s in self.strata.values())

    def planned(self) -> float:
        """The information that the budget is spread over."""
        historical = bool(self.strata) and all(design == HISTORICAL for _, design in self.strata)
        return self.planned_history if historical and self.planned_history > 0 else self.planned_concurrent

    def _historical_runs(self) -> int:
        return sum(s.candidate.n for s in self.strata.values() if s.design == HISTORICAL)

    def _add_conditional(self, b: Block, odds: float) -> None:
        """Adds a block whose failures have, given their total, a law that no base rate changes."""
        failures = b.candidate.x + b.baseline.x
        if b.design == PAIRED:
            law = binomial(failures, odds)
            self.varied = self.varied or failures > 0
        else:
            law = hypergeometric(b.candidate.n, b.baseline.n, failures, odds)
            self.varied = self.varied or 0 < failures < b.candidate.n + b.baseline.n
        self._split_if_large(self._historical_runs(), len(law[1]), 0)
        step = self._step(law[0] + len(law[1]) - 1, b.candidate.x, min(failures, b.candidate.n))
        self.paths, self.scores = (each(j, lambda row: convolved(row, law, step)) for j in (self.paths, self.scores))
        self._trim()

    def _add_historical(self, b: Block, m: Margin) -> None:
        """Adds runs that are compared with the history: their failures are binomial in each node."""
        n = b.candidate.n
        runs = self._historical_runs() - n
        changed = self.nodes is not None and m != self.margin
        if self.nodes is None:
            self.nodes, self.margin = nodes_of(self.history, *m), m
        if changed or n > 512:
            self._split(runs)
        self._split_if_large(runs, n, n)
        if changed:
            self.nodes, self.margin = nodes_of(self.history, *m), m
        self.varied = self.varied or 0 < b.candidate.x + self.history.x < n + self.history.n
        step = self._step(n, b.candidate.x, n)
        if self.by_node:
            laws = [binomial(n, node.odds) for node in self.nodes]
            self.paths, self.scores = (
                (0, [convolved(row, law, step) if row[1] else row for row, law in zip(j[1], laws)]) for j in (self.paths, self.scores)
            )
        else:
            first = min(self.paths[0], self.scores[0])
            count = max(j[0] + len(j[1]) for j in (self.paths, self.scores)) - first
            predicted = predictions(self.nodes, first, runs, count, n)
            self.paths, self.scores = (extended(j, predicted, first, n, step) for j in (self.paths, self.scores))
        self._trim()

    def _split(self, runs: int) -> None:
        if not self.by_node and self.nodes is not None:
            self.paths, self.scores = by_node(self.paths, self.nodes, runs), by_node(self.scores, self.nodes, runs)
            self.by_node = True

    def _split_if_large(self, runs: int, failures: int, rows: int) -> None:
        """Gives each node a row before a block that adds failures and rows, if that is smaller."""
        if self.nodes is None or self.by_node:
            return
        spread = top(self.scores) - bottom(self.scores) + _look_weight(self.looks, self.halvings) * failures
        if size(self.scores) > NODES * spread or len(self.scores[1]) + rows > (1 << 24) // (spread + 1):
            self._split(runs)

    def _step(self, hi: int, failures: int, most: int) -> int:
        """Counts a look, makes the lattice coarse enough for it and returns the weight of a failure."""
        while (top(self.paths) > _COARSE or self.nodes is not None and top(self.scores) > _COARSE_SCORES
               or _look_weight(self.looks, self.halvings) > 1
               and top(self.paths) + _look_weight(self.looks, self.halvings) * hi > _WIDTH):  # fmt: skip
            self.paths, self.scores = each(self.paths, halved), each(self.scores, halved)
            self.score, self.top = self.score >> 1, self.top >> 1
            self.mean_step /= 2
            self.halvings += 1
        step = _look_weight(self.looks, self.halvings)
        self.looks += 1
        self.score += step * failures
        self.top += step * most
        return step

    def _trim(self) -> None:
        """Leaves out cells that cannot matter. What the paths lose against a history counts as used."""
        if self.nodes is None:
            self.paths = 0, [trimmed(self.paths[1][0], 1e-18)]
            self.scores = 0, [trimmed(self.scores[1][0], 1e-100, 1e-100)]
            return
        self.paths, lost = without_small(self.paths, 1e-20, not self.by_node)
        self.used += lost
        self.scores = cropped(self.scores, 1e-30) if self.by_node else without_small(self.scores, 1e-30, True)[0]

    def _decide(self, b: Block, information: float) -> Look:
        """Cuts the law of the undecided paths at this look's boundary."""
        allowed = alpha_star(self.budget, self.planned(), information)
        boundary, level, reachable = 0, 0.0, False
        self.regressed = False
        decides = self.candidates() >= self.first_look
        if decides:
            lo, cells = flat(self.paths)
            n, taken = len(cells), 0.0
            while n > 1 and self.used + taken + cells[n - 1] <= allowed:
                taken += cells[n - 1]
                n -= 1
            boundary = lo + n
            self.paths = cut(self.paths, boundary)
            for row in self.scores[1]:
                level += tail(row, boundary)
            if level == 0:
                level = allowed - self.used
            self.used += taken
            self.level, self.tested = level, True
            reachable = boundary <= self.top
            self.reachable = self.reachable or reachable
            self.regressed = self.score >= boundary
        return Look(b, self.looks, information, allowed, self.used, self.score, boundary, level, decides, reachable, self.regressed)

    def state(self) -> bytes:
        """The binary form."""
        out = [b"\x02", floats(self.budget, self.planned_concurrent, self.planned_history)]
        out.append(counts(self.first_look, *self.history, self.looks, self.score, self.top, self.halvings))
        out += (floats(self.mean_step, self.used, self.level), NAN if isnan(self.threshold) else floats(self.threshold))
        flags = (self.tested, self.reachable, self.regressed, self.varied, self.by_node)
        out.append(counts(sum(1 << i for i, flag in enumerate(flags) if flag), len(self.strata)))
        for (stratum, design), s in sorted(self.strata.items()):
            out += (varint(stratum), counts(design, *s.candidate, *s.baseline), floats(s.odds))
        if self.nodes is not None:
            out.append(floats(*self.margin))
        for first, rows in (self.paths, self.scores):
            out.append(counts(first, len(rows)))
            for lo, cells in rows:
                out += (uvarint(lo), uvarint(len(cells)), floats(*cells))
        return b"".join(out)

    def interval(self) -> Difference:
        """The difference of failure rates, whose lower limit is at the level of the last look and its upper one at 0.025."""
        if not self.tested or not self.varied:
            raise NoInterval
        law = Tilting(self)
        end = 60 / self.mean_step
        level = self.level
        low = law.limit(law.y, level, end, lambda above: above < level)
        high = law.limit(law.y + 1, 1 - 0.025, end, lambda above: 1 - above > 0.025)
        lo, hi = self._difference(exp(self.mean_step * low)), self._difference(exp(self.mean_step * high))
        if self.regressed and lo < self.threshold:
            lo, hi = self.threshold, max(hi, self.threshold)
        if not self.regressed and lo >= self.threshold:
            lo = nextafter(self.threshold, -1.0)
        return Difference(self._estimate(), lo, hi)

    def _estimate(self) -> float:
        return self._weighted(lambda s: s.candidate.value() - s.baseline.value())

    def _difference(self, ratio: float) -> float:
        return self._weighted(lambda s: s.difference(ratio * s.odds))

    def _weighted(self, of: Callable[[Stratum], float]) -> float:
        total = weights = 0.0
        for s in self.ordered():
            w = s.information()
            total += w * of(s)
            weights += w
        return total / weights


def _plus(a: Share, b: Share) -> Share:
    return Share(a.x + b.x, a.n + b.n)


class Tilting:
    """The law of the score of a test, proportional to P(Z = z)·e^(tilt·z), around the score."""

    def __init__(self, t: Test) -> None:
        self.scores, self.nodes = t.scores, t.nodes
        self.lo, self.hi = bottom(t.scores), top(t.scores)
        self.y = min(max(t.score, self.lo), self.hi)
        self.shares: List[List[float]] = []  # of the nodes, for each row
        if t.nodes is not None and t.by_node:
            self.shares = [[float(i == k) for k in range(NODES)] for i in range(NODES)]
        elif t.nodes is not None:
            runs = t._historical_runs()
            self.shares = [shares(p) for p in posteriors(t.nodes, t.scores[0], runs, len(t.scores[1]))]

    def limit(self, y: int, wanted: float, limit: float, below: Callable[[float], bool]) -> float:
        """The tilt at which P(Z >= y) is wanted, where below says that a probability is too low."""
        if y <= self.lo:
            return _bisect(limit, lambda _: below(1.0))
        if y > self.hi:
            return _bisect(limit, lambda _: below(0.0))

        def condition(tilt: float) -> bool:
            return below(_share_above(*self._odds(y, tilt)))

        root, found = self._root(y, log(quotient(wanted, 1 - wanted)), limit)
        if found and self.nodes is not None:
            return root
        near = 1e-13 * max(1e-3, abs(root))
        if not found or not condition(root - near) or condition(root + near):
            return _bisect(limit, condition)
        return _bisect(limit, lambda tilt: tilt < root if abs(tilt - root) > near else condition(tilt))

    def _root(self, y: int, wanted: float, limit: float) -> Tuple[float, bool]:
        """Finds the tilt by secants, from where a normal law would have it, kept between bounds."""
        mean, variance = self._moments()
        deviation = sqrt(max(variance, 1e-3))
        lo, hi = -limit, limit
        x = quotient(float(y) - 0.5 - mean, variance) + wanted / (1.7 * deviation)
        last, last_gap = lo, -inf
        for i in range(60):
            if not lo < x < hi:
                x = (lo + hi) / 2
            above, below = self._odds(y, x)
            gap = log(quotient(above, below)) - wanted
            if gap < 0:
                lo = x
            else:
                hi = x
            slope = 1.7 * deviation if i == 0 else quotient(gap - last_gap, x - last)
            last, last_gap = x, gap
            if not 0 < slope <= MOST:  # one side was 0 to the last digit
                x = (lo + hi) / 2
                continue
            next_ = x - gap / slope
            if abs(next_ - x) <= 1e-13 / 8 * max(1e-3, abs(x)):
                return next_, -limit < next_ < limit
            x = next_
        return x, False

    def _moments(self) -> Tuple[float, float]:
        origin = float(self.lo)
        total = first = second = 0.0
        for lo, cells in self.scores[1]:
            z = float(lo) - origin
            for p in cells:
                total += p
                pz = p * z
                first += pz
                second += pz * z
                z += 1
        first /= total
        return origin + first, second / total - first * first

    def _odds(self, y: int, tilt: float) -> Tuple[float, float]:
        """P(Z >= y) and P(Z < y), up to a common factor."""
        up, down = exp(tilt), exp(-tilt)
        if self.nodes is None:
            return _sides(self.scores[1][0], y, up, down)
        above, below = [0.0] * NODES, [0.0] * NODES
        for row, part in zip(self.scores[1], self.shares):
            if not row[1]:
                continue
            a, b = (min(v, 1e250) for v in _sides(row, y, up, down))
            gap = row[0] - y
            if gap > 0:
                a = min(a * exp(min(tilt * float(gap), 1e250)), 1e250)
            gap = y - 1 - (row[0] + len(row[1]) - 1)
            if gap > 0:
                b = min(b * exp(min(-(tilt * float(gap)), 1e250)), 1e250)
            if a > 0:
                above = [v + share * a for v, share in zip(above, part)]
            if b > 0:
                below = [v + share * b for v, share in zip(below, part)]
        over = under = 0.0
        for node, a, b in zip(self.nodes, above, below):
            if a > 0 or b > 0:
                over += node.weight * _share_above(a, b)
                under += node.weight * _share_above(b, a)
        return over, under


def _sides(law: Law, y: int, up: float, down: float) -> Tuple[float, float]:
    """The sums of P(Z = z)·e^(tilt·(z-y)) over z >= y and over z < y, by Horner's rule outwards from y."""
    lo, cells = law
    n = min(max(y - lo, 0), len(cells))
    above = below = 0.0
    for p in reversed(cells[n:]):
        above = above * up + p
    for p in cells[:n]:
        below = (below + p) * down
    return above, below


def _share_above(above: float, below: float) -> float:
    return 0.0 if above == 0 else 1 / (1 + below / above)


def _bisect(limit: float, condition: Callable[[float], bool]) -> float:
    """Where in [-limit, limit] the condition turns from true to false, to the last digits."""
    lo, hi = -limit, limit
    for _ in range(80):
        middle = (lo + hi) / 2
        if middle <= lo or middle >= hi:
            break
        if condition(middle):
            lo = middle
        else:
            hi = middle
    return (lo + hi) / 2
