"""The runs of one release in one span, and the strata in which two releases are compared."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from .intervals import Arms
from .summary import NOTHING, Epochs, Mix, Summary, by_epoch

NO_EPOCHS = Epochs()


class Cohort:
    __slots__ = ("span", "release", "runs", "first", "last", "metrics", "metric_epochs", "epochs", "probes", "models")

    def __init__(self, span: int = 0, release: str = "", index: int = 0) -> None:
        self.span, self.release = span, release
        self.runs, self.first, self.last = 0, index, index
        self.metrics: Dict[str, Summary] = {}
        self.metric_epochs: Dict[str, Epochs] = {}
        self.epochs = Epochs()
        self.probes, self.models = Mix(), Mix()

    def add_run(self, index: int, epoch: int, probe: str, model: str) -> None:
        self.epochs.add(self.span, (self.runs, 0), epoch, 0)
        self.runs += 1
        self.probes.add(probe)
        self.models.add(model)
        self.last = index

    def add_metric(self, name: str, value: float, epoch: int, unit: int) -> None:
        if name not in self.metrics:
            self.metrics[name], self.metric_epochs[name] = Summary(), Epochs()
        s = self.metrics[name]
        before = (s.count, s.ones)
        s.add(value, unit)
        self.metric_epochs[name].add(self.span, before, epoch, s.ones - before[1])

    def summary(self, metric: str) -> Summary:
        return self.metrics.get(metric, NOTHING)

    def ones(self, metric: str) -> Dict[int, Tuple[int, int]]:
        """The values of a metric, and the ones among them, by epoch."""
        s = self.summary(metric)
        return self.metric_epochs.get(metric, NO_EPOCHS).of(self.span, s.count, s.ones)

    def lacking(self, metric: str) -> Dict[int, Tuple[int, int]]:
        """The runs, and those that lack a metric, by epoch."""
        have = self.ones(metric)
        runs = self.epochs.of(self.span, self.runs, 0)
        return {epoch: (n, max(n - have.get(epoch, (0, 0))[0], 0)) for epoch, (n, _) in runs.items()}

    def ref(self, metrics: Sequence[str]) -> Dict[str, Any]:
        """The cohort as a receipt names it: its digest is that of the mixes and of the metrics, each with its counts by epoch."""
        total = hashlib.sha256()

        def part(name: str, data: bytes, epochs: Epochs) -> None:
            data += epochs.binary() if epochs.counts else b""
            total.update(name.encode() + b"\0" + hashlib.sha256(data).digest())

        part("", self.probes.binary() + self.models.binary(), self.epochs)
        for name in metrics:
            if name in self.metrics:
                part(name, self.metrics[name].binary(), self.metric_epochs[name])
        return {"runs": self.runs, "first_index": self.first, "last_index": self.last, "digest": total.hexdigest()}


NOBODY = Cohort()


class Stratum(NamedTuple):
    """The cohorts of one span. They are compared within it, and their rates within each of its epochs."""

    candidate: Cohort
    baseline: Cohort

    def ones(self, metric: str) -> List[Arms]:
        return by_epoch(self.candidate.ones(metric), self.baseline.ones(metric))

    def lacking(self, metric: str) -> List[Arms]:
        return by_epoch(self.candidate.lacking(metric), self.baseline.lacking(metric))


class History(NamedTuple):
    """What a baseline reported before a rollout, frozen when it began."""

    runs: int
    first: int
    last: int
    metrics: Dict[str, Summary]

    def summary(self, metric: str) -> Summary:
        return self.metrics.get(metric, NOTHING)

    def cohort(self, span: int) -> Cohort:
        """The history as one side of a stratum."""
        c = Cohort(span)
        c.runs, c.metrics = self.runs, self.metrics
        return c


NO_HISTORY = History(0, 0, 0, {})


def strata_of(cohorts: Sequence[Cohort], baseline: str, candidate: str) -> Dict[int, Stratum]:
    """The strata by span, of cohorts in rising order of spans."""
    out: Dict[int, Stratum] = {}
    for c in cohorts:
        s = out.get(c.span, Stratum(NOBODY, NOBODY))
        out[c.span] = s._replace(candidate=c) if c.release == candidate else s._replace(baseline=c)
    return out


def beside(history: History, strata: Dict[int, Stratum]) -> Dict[int, Stratum]:
    """Puts the history in the place of a baseline that has too few runs beside the candidate's."""

    def with_history(span: int, s: Stratum) -> Stratum:
        return s._replace(baseline=history.cohort(span)) if s.candidate.runs > 0 and s.baseline.runs < 5 else s

    return {span: with_history(span, s) for span, s in strata.items()}
