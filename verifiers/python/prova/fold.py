"""Folds the runs and outcomes of one app and environment, in log order, into epochs, cohorts and blocks."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .blocks import BASELINE, CANDIDATE, Block
from .cohort import Cohort
from .policy import QUANTILES, Unreadable
from .receipt import Receipt, parse_time
from .summary import MOST, Summary, seed

HOUR = 3600 * 10**9  # nanoseconds
DAY = 24 * HOUR
_EPOCH_RUNS, _SPAN_EPOCHS = 100_000, 1000
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


class Event:
    """A run or an outcome."""

    __slots__ = ("index", "event_id", "run_kind", "release", "run_id", "probe", "unit_id", "model", "recorded", "metrics", "epoch")

    def __init__(self, index: int, r: Receipt) -> None:
        body = r.body
        self.index, self.event_id, self.run_kind = index, r.event_id, r.kind == "agent_run"
        self.release = r.source["release"]
        self.run_id, self.probe, self.unit_id = _text(body, "run_id"), _text(body, "probe_id"), _text(body, "unit_id")
        self.model = _model(body.get("model"))
        self.recorded = time_of(r)
        self.metrics = _metrics(body.get("metrics"))
        self.epoch = 0  # where it counts; 0: nowhere

    def unit(self) -> int:
        """A hash of what was sampled independently."""
        if self.unit_id:
            return seed("unit", self.unit_id)
        return seed("probe", self.probe) if self.probe else seed("run", self.event_id)


def time_of(r: Receipt) -> int:
    return parse_time(r.recorded_at) or 0


def _text(members: Dict[str, Any], name: str) -> str:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"member {name} has the wrong type")
    return value or ""


def _model(value: Any) -> str:
    """A model by its name and version, in at most 200 bytes."""
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise Unreadable("member model has the wrong type")
    _text(value, "provider")
    name = f"{_text(value, 'name')} {_text(value, 'version')}".strip(_SPACE)
    return name.encode()[:200].decode("utf-8", "ignore")


def _metrics(value: Any) -> Dict[str, float]:
    if value is not None and not isinstance(value, dict):
        raise Unreadable("member metrics has the wrong type")
    out: Dict[str, float] = {}
    for name, v in (value or {}).items():
        if not isinstance(v, (bool, int, float)) or abs(v) > MOST:
            raise Unreadable("a metric is no number, or beyond 10^18")
        out[name] = float(v)
    return out


class Known(ValueError):
    """An outcome brings a metric that its run has already."""


@dataclass
class Epoch:
    number: int
    span: int  # the number of the span's first epoch
    began: int  # nanoseconds
    runs: int = 0


@dataclass
class Filling:
    """An unfinished rollout, the block that it is filling, and the closed ones that were not looked at."""

    rollout: str
    baseline: str
    candidate: str
    block: Block
    closed: List[Block]

    def side(self, release: str) -> Optional[str]:
        if release and release in (self.candidate, self.baseline):
            return CANDIDATE if release == self.candidate else BASELINE
        return None


class Fold:
    """The past of one app and environment."""

    def __init__(self, metrics: Set[str]) -> None:
        self.kept = metrics  # those of which cohorts are asked
        self.open: Optional[Epoch] = None
        self.epochs: Dict[int, Epoch] = {}
        self.cohorts: Dict[Tuple[int, str], Cohort] = {}
        self.runs: Dict[str, Event] = {}  # the first one of each run id
        self.known: Dict[str, Set[str]] = {}  # the metrics of runs that outcomes added to, by run id
        self.probes: Dict[Tuple[str, str], Tuple[List[int], List[Event]]] = {}  # runs by release and probe, with their indexes
        self.fillings: List[Filling] = []

    def add(self, e: Event) -> None:
        if not e.run_kind:
            self._add_outcome(e)
            return
        self._add_run(e)
        if e.probe:
            indexes, runs = self.probes.setdefault((e.release, e.probe), ([], []))
            indexes.append(e.index)
            runs.append(e)
        if e.run_id:
            self.runs.setdefault(e.run_id, e)

    def run_of(self, e: Event) -> Optional[Event]:
        """The run that an event is, or that an outcome adds to."""
        return e if e.run_kind else self.runs.get(e.run_id)

    def _add_run(self, e: Event) -> None:
        epoch = self.opened(e.recorded)
        if epoch.runs >= _EPOCH_RUNS or e.recorded - epoch.began >= DAY:
            epoch = self._cut_long(epoch, e.index, e.recorded)
        epoch.runs += 1
        e.epoch = epoch.number
        cohort = self._cohort(e.epoch, e.release, e.index)
        unit = e.unit()
        cohort.add_run(e.index, e.epoch, e.probe, e.model)
        self._add_metrics(cohort, e.metrics, e.epoch, unit)
        for f in self.fillings:
            side = f.side(e.release)
            if side is None:
                continue
            f.block.add_run(side, e.index, unit, e.metrics)
            self._pair(f, side, e)
            if f.block.full():
                self.end(f, e.epoch, e.index + 1)

    def _add_outcome(self, e: Event) -> None:
        run = self.run_of(e)
        if run is None:
            return
        known = self.known.setdefault(e.run_id, set(run.metrics))
        if not known.isdisjoint(e.metrics):
            raise Known(f"the run {e.run_id[:80]!a} has a metric already that the outcome brings")
        known.update(e.metrics)
        e.epoch, e.release = run.epoch, run.release
        self.opened(e.recorded)
        unit = run.unit()
        self._add_metrics(self._cohort(run.epoch, run.release, e.index), e.metrics, run.epoch, unit)
        for f in self.fillings:
            side = f.side(run.release)
            if side is not None:
                f.block.add_outcome(side, e.index, (run.index, run.epoch), unit, e.metrics)

    def _add_metrics(self, cohort: Cohort, metrics: Dict[str, float], epoch: int, unit: int) -> None:
        for name, value in metrics.items():
            if name in self.kept:
                cohort.add_metric(name, value, epoch, unit)

    def _pair(self, f: Filling, side: str, e: Event) -> None:
        """Adds the pair that a run completes: the first run of each release on a probe since the evidence began."""
        if not e.probe or not f.block.wants_pairs() or self._first_run(e.release, e.probe, f.block.since):
            return
        partner = self._first_run(f.baseline if side == CANDIDATE else f.candidate, e.probe, f.block.since)
        if partner is None:
            return
        c, b = (e, partner) if side == CANDIDATE else (partner, e)
        f.block.add_pair(e.probe, c.index >= f.block.step_from, c.metrics, b.metrics)

    def _first_run(self, release: str, probe: str, since: int) -> Optional[Event]:
        indexes, runs = self.probes.get((release, probe), ([], []))
        at = bisect_left(indexes, since)
        return runs[at] if at < len(runs) else None

    # Epochs and spans.

    def opened(self, now: int) -> Epoch:
        """The open epoch; the first one begins when it is asked for. No epoch has the number 0."""
        if self.open is None or self.open.number == 0:
            self.open = self.epochs[1] = Epoch(1, 1, now)
        return self.open

    def rebase(self, number: int, now: int) -> None:
        """Takes an epoch for the open one, in a log that begins after it did."""
        self.open = Epoch(number, number, now)

    def begin(self, now: int) -> int:
        """Ends the open epoch and begins a span, whose number is returned. Blocks go on."""
        before = self.opened(now)
        self.epochs[before.number] = before
        number = before.number + 1
        self.open = self.epochs[number] = Epoch(number, number, now)
        return number

    def cut(self, index: int, now: int) -> int:
        """Ends the open epoch before index, with every block that is being filled, and begins a span."""
        number = self.begin(now)
        for f in self.fillings:
            self.end(f, number, index)
        return number

    def _cut_long(self, epoch: Epoch, index: int, now: int) -> Epoch:
        """Ends a long epoch. Nothing else began, so the next one stays in its span unless that is full, or old."""
        span, first = epoch.span, epoch if epoch.number == epoch.span else self._epoch(epoch.span)
        self.cut(index, now)
        new = self.opened(now)
        if new.number - span < _SPAN_EPOCHS and now - first.began < 7 * DAY:
            new.span = span
        return new

    def _epoch(self, number: int) -> Epoch:
        if number not in self.epochs:
            raise Unreadable(f"epoch {number} began before the evidence")
        return self.epochs[number]

    def end(self, f: Filling, epoch: int, index: int) -> None:
        """Closes the block that a rollout is filling, or drops it if it cannot be compared, and begins the next one."""
        closed = f.block.comparable()
        if closed:
            f.closed.append(f.block)
        f.block = f.block.next(closed, epoch, index)
        self._aim(f)

    def end_step(self, rollout: str, shadow: bool, weight: int, index: int, now: int) -> None:
        """Ends what a transition of a rollout ends: of a canary the epoch, of a shadow only its own block."""
        self.opened(now)
        if not shadow:
            self.cut(index, now)
        for f in self.fillings:
            if f.rollout == rollout:
                if shadow:
                    self.end(f, self.opened(now).number, index)
                f.block.begin_step(weight, index)

    def _aim(self, f: Filling) -> None:
        """Fixes what the next block's quantiles are held against, from all that the baseline has reported so far."""
        for t in f.block.tallies:
            if t.gate.statistic in QUANTILES and t.history.n == 0:
                so_far = Summary()
                for c in self.cohorts_of(f.block.since_epoch, [f.baseline]):
                    so_far.merge_values(c.summary(t.gate.metric))
                if so_far.count > 0:
                    t.threshold = so_far.quantile_bin(QUANTILES[t.gate.statistic])

    # Cohorts.

    def _cohort(self, epoch: int, release: str, index: int) -> Cohort:
        opened = self.open
        span = opened.span if opened and epoch >= opened.span else self._epoch(epoch).span
        key = (span, release)
        if key not in self.cohorts:
            self.cohorts[key] = Cohort(span, release, index)
        return self.cohorts[key]

    def cohorts_of(self, from_span: int, releases: Sequence[str]) -> List[Cohort]:
        """Cohorts by span, then release."""
        return [self.cohorts[key] for key in sorted(self.cohorts) if key[0] >= from_span and key[1] in releases]

    # Rollouts.

    def filling(self, rollout: str) -> Optional[Filling]:
        return next((f for f in self.fillings if f.rollout == rollout), None)

    def forget(self, rollout: str) -> None:
        self.fillings = [f for f in self.fillings if f.rollout != rollout]
