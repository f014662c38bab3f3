"""The blocks of a rollout: what its runs say about each gate that decides, until enough are in to be tested."""

from __future__ import annotations

import copy
import hashlib
from typing import Dict, List, NamedTuple, Optional, Tuple

from .cohort import History
from .exact import Margin
from .floats import MOST
from .intervals import Share, weight
from .policy import QUANTILES, RATE, Gate, Policy
from .summary import BILLION, MOST as MOST_VALUE, Summary, bin_of, fixed, seed

CANDIDATE, BASELINE = "c", "b"
_MASK = (1 << 64) - 1
_SEEN_BITS = 1 << 17


class Counts:
    """The values of a metric, and the zeros and ones among them."""

    __slots__ = ("n", "zeros", "ones")

    def __init__(self, n: int = 0, zeros: int = 0, ones: int = 0) -> None:
        self.n, self.zeros, self.ones = n, zeros, ones

    def add(self, v: float) -> None:
        self.n += 1
        self.zeros += v == 0
        self.ones += v == 1

    def boolean(self) -> bool:
        return self.zeros + self.ones == self.n

    def share(self) -> Share:
        return Share(self.ones, self.n)


class Pairs:
    """All pairs of a rollout on one metric, for the figures shown."""

    def __init__(self) -> None:
        self.both = self.candidate_only = self.baseline_only = self.neither = 0
        self.differences, self.candidate, self.baseline = Summary(), Summary(), Summary()
        self.beyond = False  # a difference was too large to be summed up

    def add(self, candidate: float, baseline: float, unit: int) -> None:
        candidate, baseline = fixed(candidate) / BILLION, fixed(baseline) / BILLION
        d = candidate - baseline
        if abs(d) > MOST_VALUE:
            self.beyond = True
        else:
            self.differences.add(d, unit)
        self.candidate.add(candidate, unit)
        self.baseline.add(baseline, unit)
        if candidate in (0, 1) and baseline in (0, 1):
            self.both += candidate == baseline == 1
            self.candidate_only += candidate > baseline
            self.baseline_only += candidate < baseline
            self.neither += candidate == baseline == 0

    def table(self) -> bool:
        """Whether the four counts describe all pairs."""
        return self.both + self.candidate_only + self.baseline_only + self.neither == self.differences.count and not self.differences.clustered()


class Tally:
    """What the runs of a block say about one gate."""

    __slots__ = ("gate", "candidate", "baseline", "fresh", "threshold", "history", "pairs")

    def __init__(self, gate: Gate, threshold: Optional[int], history: Counts, pairs: Pairs) -> None:
        self.gate, self.threshold, self.history, self.pairs = gate, threshold, history, pairs
        self.candidate, self.baseline = Counts(), Counts()
        self.fresh = 0

    def emptied(self) -> "Tally":
        return Tally(self.gate, self.threshold, self.history, self.pairs)

    def add(self, side: str, v: float, fresh: bool) -> None:
        if self.gate.pair:
            return
        if self.gate.statistic in QUANTILES:
            v = float(self._beyond(side, v))
        (self.candidate if side == CANDIDATE else self.baseline).add(v)
        self.fresh += side == CANDIDATE and fresh

    def _beyond(self, side: str, v: float) -> bool:
        """Whether a value lies on the harmful side of the threshold. The margin is taken off a candidate's first."""
        if self.threshold is None:
            return False
        b = bin_of(self._relieved(v) if side == CANDIDATE else v)
        return b < self.threshold if self.gate.higher else b > self.threshold

    def _relieved(self, v: float) -> float:
        g = self.gate
        sign = -1.0 if g.higher else 1.0
        if not g.relative:
            return v - sign * g.margin
        scale = 1 + sign * g.margin
        return v / scale if scale > 0 else MOST

    def pair(self, probe: str, fresh: bool, candidate: Dict[str, float], baseline: Dict[str, float]) -> None:
        c, b = candidate.get(self.gate.metric), baseline.get(self.gate.metric)
        if not self.gate.pair or c is None or b is None:
            return
        self.candidate.n += 1
        self.baseline.n += 1
        self.fresh += fresh
        self.pairs.add(c, b, seed("probe", probe))
        if self.gate.statistic != RATE or c not in (0, 1) or b not in (0, 1):
            return
        failure = 0 if self.gate.higher else 1
        for mine, other, counts in ((c, b, self.candidate), (b, c, self.baseline)):
            only = mine == failure and other != failure
            counts.ones += only
            counts.zeros += not only

    def failures(self, counts: Counts) -> Share:
        """The values on the harmful side."""
        zeros = self.gate.statistic == RATE and self.gate.higher and not self.gate.pair
        return Share(counts.zeros if zeros else counts.ones, counts.n)

    def empty(self) -> bool:
        return self.candidate.n == 0 and self.baseline.n == 0


class Part(NamedTuple):
    """What a block holds of a gate in one epoch."""

    epoch: int
    historical: bool  # compared with the history
    tally: Tally

    @property
    def against(self) -> Counts:
        return self.tally.history if self.historical else self.tally.baseline

    def boolean(self) -> bool:
        return self.tally.gate.statistic != RATE or self.tally.candidate.boolean() and self.against.boolean()

    def answered(self) -> bool:
        """There are values to compare, and of a rate they are 0 and 1."""
        return self.tally.candidate.n > 0 and self.against.n > 0 and self.boolean()

    def comparable(self) -> bool:
        return self.answered() and (self.tally.gate.statistic not in QUANTILES or self.tally.threshold is not None)

    def margin(self) -> Margin:
        """The gate's margin as the exact test takes it. That of a quantile was taken off the values."""
        g = self.tally.gate
        if g.margin == 0 or g.statistic != RATE:
            return Margin()
        if not g.relative:
            return Margin(g.margin)
        if not g.higher:
            return Margin(0.0, 1 + g.margin)
        return Margin(min(g.margin * self.against.share().value(), 0.999))


def history_counts(g: Gate, h: History) -> Counts:
    """The history's values of a gate's metric as a tally counts them."""
    s = h.summary(g.metric)
    b = threshold_of(g, h)
    if b is None:
        return Counts(s.count, s.zeros, s.ones)
    beyond = s.count - s.count_above(b - 1) if g.higher else s.count_above(b)
    return Counts(s.count, s.count - beyond, beyond)


def threshold_of(g: Gate, h: History) -> Optional[int]:
    """What a quantile's values are held against where there is a history."""
    s = h.summary(g.metric)
    return s.quantile_bin(QUANTILES[g.statistic]) if g.statistic in QUANTILES and s.count else None


class Rule(NamedTuple):
    """When a block closes. It counts runs, never their outcomes."""

    planned: float  # beyond it, a block closes once the information has grown by a hundredth
    pairs: int  # that close a block where every gate that decides is on pairs
    alone: int  # candidate runs that close a block against the history; 0 if there is none
    history_runs: int


def rule_of(p: Policy, history_runs: int) -> Rule:
    if p.only_pairs:
        return Rule(p.planned_pairs, 5, 0, 0)
    return Rule(p.planned, 0, p.first_look if history_runs > 0 else 0, history_runs)


class Totals(NamedTuple):
    """What closed blocks add up to: counts of the present epoch, the information of those before, and runs against the history."""

    candidate: int = 0
    baseline: int = 0
    earlier: float = 0.0
    against_history: int = 0

    def information(self, history_runs: int) -> float:
        return self.earlier + weight(self.candidate, self.baseline) + weight(self.against_history, history_runs)


class Arrived:
    """The runs of each release in one step."""

    __slots__ = ("weight", "candidate", "baseline")

    def __init__(self, weight: int) -> None:
        self.weight, self.candidate, self.baseline = weight, 0, 0


class Seen:
    """Of which units a value was counted. None are told apart where runs are counted."""

    def __init__(self, units: bool) -> None:
        self.bits = bytearray(_SEEN_BITS // 8 if units else 0)

    def first(self, unit: int, use: int) -> bool:
        """Whether a unit is new to one of several uses, and remembers it."""
        if not self.bits:
            return True
        z = unit + use * 0x9E3779B97F4A7C15 & _MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        at, bit = divmod((z ^ z >> 31) % _SEEN_BITS, 8)
        known = self.bits[at] & 1 << bit
        self.bits[at] |= 1 << bit
        return not known


class Block:
    """A range of log indexes of a rollout within an epoch."""

    def __init__(self, rule: Rule, epoch: int, index: int, tallies: List[Tally], arrivals: List[Arrived], seen: Seen) -> None:
        self.rule, self.epoch, self.tallies, self.arrivals, self.seen = rule, epoch, tallies, arrivals, seen
        self.number = 1
        self.first, self.last = index, index - 1
        self.candidate = self.baseline = self.paired = 0
        self.late: Dict[int, List[Tally]] = {}  # by epoch, what became known of runs of earlier epochs
        self.step_from = self.since = index
        self.since_epoch = epoch
        self.digest = b""
        self.before = Totals()

    def add_run(self, side: str, index: int, unit: int, metrics: Dict[str, float]) -> None:
        self._fold(self.tallies, side, unit, metrics, True)
        counted = self.seen.first(unit, 0)
        if side == CANDIDATE:
            self.arrivals[-1].candidate += 1
            self.candidate += counted
        else:
            self.arrivals[-1].baseline += 1
            self.baseline += counted
        self._chain(side, index)

    def add_outcome(self, side: str, index: int, run: Tuple[int, int], unit: int, metrics: Dict[str, float]) -> None:
        """Adds metrics that became known of a run, given by its log index and its epoch."""
        run_index, epoch = run
        if run_index < self.since:
            return
        into = self.tallies
        if epoch != self.epoch:
            into = self.late.setdefault(epoch, [])
            into += [t.emptied() for t in self.tallies] if not into else []
        self._fold(into, side, unit, metrics, run_index >= self.step_from)
        self._chain(side, index)

    def _fold(self, tallies: List[Tally], side: str, unit: int, metrics: Dict[str, float], fresh: bool) -> None:
        for i, t in enumerate(tallies):
            v = metrics.get(t.gate.metric)
            if v is not None and self.seen.first(unit, i + 1):
                t.add(side, v, fresh)

    def add_pair(self, probe: str, fresh: bool, candidate: Dict[str, float], baseline: Dict[str, float]) -> None:
        for t in self.tallies:
            t.pair(probe, fresh, candidate, baseline)
        self.paired += 1

    def _chain(self, side: str, index: int) -> None:
        self.last = index
        self.digest = chained(self.digest, index, side)

    def begin_step(self, weight: int, index: int) -> None:
        self.step_from = index
        self.arrivals.append(Arrived(weight))

    def wants_pairs(self) -> bool:
        return any(t.gate.pair for t in self.tallies)

    def parts(self, g: Gate) -> List[Part]:
        """What the block holds of a gate, by rising epoch."""
        out: List[Part] = []
        for epoch in sorted({*self.late, self.epoch}):
            for t in self.tallies if epoch == self.epoch else self.late[epoch]:
                if t.gate == g and not t.empty():
                    out.append(Part(epoch, self._against_history(epoch, t), t))
        return out

    def _against_history(self, epoch: int, t: Tally) -> bool:
        if t.gate.pair:
            return False
        return self.historical() if epoch == self.epoch else self.rule.alone > 0 and t.baseline.n == 0

    def historical(self) -> bool:
        """Whether the block, closed as it stands, is compared with the history."""
        return self.rule.alone > 0 and self.baseline < 5 and (self.baseline == 0 or self.candidate >= self.rule.alone)

    def full(self) -> bool:
        enough = self.candidate >= 5 and (self.baseline >= 5 or 0 < self.rule.alone <= self.candidate)
        if self.rule.pairs > 0:
            enough = self.paired >= self.rule.pairs
        if not enough:
            return False
        before = self.before.information(self.rule.history_runs)
        return before < self.rule.planned or self._after().information(self.rule.history_runs) >= 1.01 * before

    def comparable(self) -> bool:
        """Whether a block that ends early can be compared. One that cannot is dropped."""
        if self.rule.pairs > 0:
            return self.paired > 0
        return self.candidate > 0 and (self.baseline > 0 or self.rule.alone > 0)

    def _after(self) -> Totals:
        t = self.before
        if self.rule.pairs > 0:
            return t._replace(candidate=t.candidate + self.paired, baseline=t.baseline + self.paired)
        if self.historical():
            return t._replace(against_history=t.against_history + self.candidate)
        return t._replace(candidate=t.candidate + self.candidate, baseline=t.baseline + self.baseline)

    def next(self, closed: bool, epoch: int, index: int) -> "Block":
        """The empty block behind this one, closed or dropped."""
        n = copy.copy(self)
        n.epoch, n.first, n.last, n.digest = epoch, index, index - 1, b""
        n.candidate = n.baseline = n.paired = 0
        n.late, n.tallies = {}, [t.emptied() for t in self.tallies]
        if closed:
            n.number, n.before = self.number + 1, self._after()
        if epoch != self.epoch:
            t = n.before
            n.before = Totals(earlier=t.earlier + weight(t.candidate, t.baseline), against_history=t.against_history)
        return n

    def json(self) -> Dict[str, object]:
        return {
            "number": self.number, "stratum": self.epoch, "first_index": self.first, "last_index": self.last, "runs_digest": self.digest.hex(),
        }  # fmt: skip


def chained(digest: bytes, index: int, side: str) -> bytes:
    return hashlib.sha256(digest + index.to_bytes(8, "big") + side.encode()).digest()


def first_block(p: Policy, h: History, epoch: int, index: int) -> Block:
    """The empty block that a rollout begins with."""
    tallies = [Tally(g, threshold_of(g, h), history_counts(g, h), Pairs()) for g in p.gates if g.decides]
    return Block(rule_of(p, h.runs), epoch, index, tallies, [Arrived(p.steps[0])], Seen(p.unit == "unit"))
