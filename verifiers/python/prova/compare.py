"""Did the candidate get worse? Gates and strata in, figures and a verdict of each gate out."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, nextafter, sqrt
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .blocks import Pairs
from .bootstrap import Means, bootstrap_means
from .cohort import Stratum
from .exact import NoInterval
from .floats import critical, normal_quantile
from .gatetest import GateTest
from .intervals import Arms, Difference, Interval, Share, mover, newcombe_paired, stratified_newcombe, weight, wilson_of
from .policy import MEAN, QUANTILES, RATE, Gate, Policy
from .sentences import amount, percentage, shown_difference, shown_margin
from .summary import Shift, Summary, quantile_limits, seed

Json = Dict[str, Any]
REGRESSED, CLEAN, INSUFFICIENT = "regressed", "clean", "insufficient"


class Reason(NamedTuple):
    code: str
    text: str
    params: Json

    def json(self) -> Json:
        out: Json = {"code": self.code, "text": self.text}
        return {**out, "params": self.params} if self.params else out


class Apart(NamedTuple):
    """A difference as it is shown: candidate minus baseline."""

    estimate: float
    lo: float
    hi: float
    method: str
    strata: int
    open: str = ""  # the limits that so few runs do not have
    confidence: float = 0.0  # 0: the level belongs to a look

    def json(self) -> Json:
        out: Json = {"estimate": self.estimate, "lo": self.lo, "hi": self.hi, "method": self.method, "strata": self.strata}
        out.update({name: v for name, v in (("open", self.open), ("confidence", self.confidence)) if v})
        return out

    def open_towards(self, higher: bool) -> bool:
        """Whether the limit is open that decides a gate of which higher values are better, or lower ones."""
        return self.open in ("hi" if higher else "lo", "both")


@dataclass
class Figure:
    """The statistic of one release."""

    n: int = 0
    missing: int = 0
    value: Optional[float] = None
    lo: Optional[float] = None
    hi: Optional[float] = None

    def set(self, value: float, i: Interval) -> None:
        if isfinite(value) and isfinite(i.lo) and isfinite(i.hi):
            self.value, self.lo, self.hi = value, i.lo, i.hi

    def json(self) -> Json:
        return {"n": self.n, "missing": self.missing, "value": self.value, "lo": self.lo, "hi": self.hi}


class Result(NamedTuple):
    """One gate with both releases, their difference and its verdict."""

    gate: Gate
    verdict: str
    reason: Reason
    figures: "Figures"
    difference: Optional[Apart]
    one_look: Optional[Apart]
    ledger: Optional[Json]
    null: str
    tolerated: Optional[float]

    def json(self) -> Json:
        g, f = self.gate, self.figures
        hides = _hides(g, f.one_look)
        out = {
            **g.json(), "baseline": f.baseline.json(), "candidate": f.candidate.json(),
            "difference": self.difference.json() if self.difference else None, "verdict": self.verdict,
            "hides": hides if hides is not None else _hides(g, self.difference), "reason": self.reason.json(),
        }  # fmt: skip
        if g.pair:
            out["pairs"] = _pairs_json(f.pairs)
        optional = (("null", self.null or None), ("one_look", self.one_look and self.one_look.json()), ("ledger", self.ledger), ("tolerated", self.tolerated))
        out.update({name: v for name, v in optional if v is not None})
        return out


def _pairs_json(p: Pairs) -> Json:
    out = {"n": p.differences.count, "unpaired_candidate": 0, "unpaired_baseline": 0}
    if p.table():
        out.update(both=p.both, candidate_only=p.candidate_only, baseline_only=p.baseline_only, neither=p.neither)
    return out


@dataclass
class Figures:
    """The numbers of one gate before anything is decided."""

    baseline: Figure
    candidate: Figure
    boolean: bool  # every value of both is 0 or 1
    pooled: Tuple[Summary, Summary]  # of the candidate and the baseline; with their units of a mean only
    missing: Optional[Difference] = None  # the candidate lacks the metric more often
    one_look: Optional[Apart] = None
    margin: float = 0.0  # in units of the metric
    reports: Tuple[int, int] = (0, 0)  # runs of the candidate and the baseline that carry the metric
    pairs: Pairs = field(default_factory=Pairs)


class Question(NamedTuple):
    """Everything that a verdict depends on."""

    policy: Policy
    strata: Sequence[Stratum]
    pairs: Dict[str, Pairs]  # of the gates on pairs, by metric
    seed: str  # names the comparison for the bootstrap
    look: int
    processes: int = 1

    # Figures.

    def figures(self, g: Gate) -> Figures:
        c = _pool([s.candidate.summary(g.metric) for s in self.strata], g.statistic == MEAN)
        b = _pool([s.baseline.summary(g.metric) for s in self.strata], g.statistic == MEAN)
        runs_c, runs_b = sum(s.candidate.runs for s in self.strata), sum(s.baseline.runs for s in self.strata)
        f = Figures(Figure(b.count, max(runs_b - b.count, 0)), Figure(c.count, max(runs_c - c.count, 0)), b.boolean() and c.boolean(), (c, b))
        z = critical(self.policy.confidence)
        f.missing = self._missing_more_often(g.metric, z)
        f.reports = (c.count, b.count)
        if g.pair:
            self._paired(g, z, f)
        elif g.statistic in QUANTILES:
            self._quantiles(g, z, f)
        elif g.statistic == MEAN:
            self._means(g, f)
        elif f.boolean:
            self._rates(g, z, f)
        if f.one_look is not None:
            f.one_look = _settled(f)._replace(confidence=self.policy.confidence)
            if not all(map(isfinite, f.one_look[:3])):
                f.one_look = None
        f.margin = self._margin(g, f)
        return f

    def _missing_more_often(self, metric: str, z: float) -> Optional[Difference]:
        """Whether the candidate lacks the metric more often: a release that stops reporting failures must not look better."""
        shares = [arms for s in self.strata for arms in s.lacking(metric)]
        d = stratified_newcombe(shares, z)
        return d if _comparable(shares) and d.lo > 0 else None

    def _rate_strata(self, g: Gate) -> List[Arms]:
        return [arms for s in self.strata for arms in s.ones(g.metric)]

    def _rates(self, g: Gate, z: float, f: Figures) -> None:
        for figure, s in ((f.candidate, f.pooled[0]), (f.baseline, f.pooled[1])):
            if s.count > 0:
                p = Share(s.ones, s.count)
                figure.set(p.value(), wilson_of(p, z))
        strata = self._rate_strata(g)
        n = _comparable(strata)
        if n:
            f.one_look = Apart(*stratified_newcombe(strata, z), "newcombe-stratified" if n > 1 else "newcombe", n)

    def _means(self, g: Gate, f: Figures) -> None:
        strata = [(s.candidate.summary(g.metric), s.baseline.summary(g.metric)) for s in self.strata]
        if not f.pooled[0].count and not f.pooled[1].count:
            return
        m = self._bootstrap(strata, g.id, str(self.look))
        f.baseline.set(f.pooled[1].mean(), m.baseline)
        f.candidate.set(f.pooled[0].mean(), m.candidate)
        n = sum(c.count > 0 and b.count > 0 for c, b in strata)
        if n:
            f.one_look = Apart(*m.difference, "bootstrap-percentile", n)

    def _bootstrap(self, strata: Sequence[Tuple[Summary, Summary]], *parts: str) -> Means:
        return bootstrap_means(strata, self.policy.confidence, seed(self.seed, *parts), self.processes)

    def _paired(self, g: Gate, z: float, f: Figures) -> None:
        p = f.pairs = self.pairs.get(g.metric) or Pairs()
        n = f.candidate.n = f.baseline.n = p.differences.count
        if n == 0 or p.beyond or g.statistic == RATE and not f.boolean:
            return
        rate = g.statistic == RATE
        for figure, s, part in ((f.baseline, p.baseline, "baseline"), (f.candidate, p.candidate, "candidate")):
            figure.set(s.mean(), wilson_of(Share(s.ones, s.count), z) if rate else self._bootstrap_one(s, g, part))
        if rate and p.table():
            d = newcombe_paired(p.both, p.candidate_only, p.baseline_only, p.neither, z)
            f.one_look = Apart(*d, "newcombe-paired", 1)
            return
        f.one_look = Apart(p.differences.mean(), *self._bootstrap_one(p.differences, g, "difference"), "bootstrap-paired", 1)

    def _bootstrap_one(self, s: Summary, g: Gate, part: str) -> Interval:
        return self._bootstrap([(s, Summary())], g.id, str(self.look), part).candidate

    def _quantiles(self, g: Gate, z: float, f: Figures) -> None:
        q = QUANTILES[g.statistic]
        for figure, s in ((f.candidate, f.pooled[0]), (f.baseline, f.pooled[1])):
            if s.count > 0:
                figure.set(s.quantile(q), s.quantile_interval(q, z))
                below, above = quantile_limits(s.count, q, self.policy.confidence)
                figure.lo, figure.hi = figure.lo if below else None, figure.hi if above else None
        f.one_look = self._quantile_difference(g, z, self.policy.confidence)

    def _quantile_difference(self, g: Gate, z: float, confidence: float) -> Optional[Apart]:
        """The strata's differences combined, with the method of variance estimates recovery."""
        q = QUANTILES[g.statistic]
        weights = estimate = below = above = 0.0
        n = runs_c = runs_b = 0
        for s in self.strata:
            c, b = s.candidate.summary(g.metric), s.baseline.summary(g.metric)
            w = weight(c.count, b.count)
            if w == 0:
                continue
            n, runs_c, runs_b = n + 1, runs_c + c.count, runs_b + b.count
            d = mover(c.quantile(q), b.quantile(q), c.quantile_interval(q, z), b.quantile_interval(q, z))
            lo, hi = w * (d.estimate - d.lo), w * (d.hi - d.estimate)
            weights += w
            estimate += w * d.estimate
            below += lo * lo
            above += hi * hi
        if n == 0:
            return None
        estimate /= weights
        (c_lo, c_hi), (b_lo, b_hi) = quantile_limits(runs_c, q, confidence), quantile_limits(runs_b, q, confidence)
        open_ = _open_of(not c_lo or not b_hi, not c_hi or not b_lo)
        return Apart(estimate, estimate - sqrt(below) / weights, estimate + sqrt(above) / weights, "order-statistics-mover-binned", n, open_)

    def _margin(self, g: Gate, f: Figures) -> float:
        """The gate's margin in units of the metric. A relative one is a share of the baseline that the difference was taken from."""
        if not g.relative:
            return g.margin
        if f.one_look is None:
            return 0.0
        total = weights = 0.0
        for s in self.strata:
            b = s.baseline.summary(g.metric)
            w = weight(s.candidate.summary(g.metric).count, b.count)
            if w == 0:
                continue
            weights += w
            total += w * (b.quantile(QUANTILES[g.statistic]) if g.statistic in QUANTILES else b.mean())
        m = g.margin * abs(total / weights)
        return m if isfinite(m) else 0.0

    # Verdicts.

    def result(self, g: Gate, f: Figures, t: Optional[GateTest]) -> Result:
        """The verdict of a gate: by its test, or by the ordinary interval if it has none."""
        tolerated = f.margin if g.relative and f.one_look is not None else None
        if t is None:
            verdict, reason = self._verdict(g, f, None, None)
            return Result(g, verdict, reason, f, f.one_look, None, None, null_of(g) if g.pair else "", tolerated)
        d = self._quantile_at_look(g, t, f.margin) if g.statistic in QUANTILES else _interval(g, t)
        verdict, reason = self._verdict(g, f, t, d)
        return Result(g, verdict, reason, f, d, f.one_look, t.json(), null_of(g), tolerated)

    def _verdict(self, g: Gate, f: Figures, t: Optional[GateTest], d: Optional[Apart]) -> Tuple[str, Reason]:
        if t is not None and t.regressed:  # a crossing stands, whatever comes to light later
            return REGRESSED, regressed_reason(g, f, d)
        if g.statistic == RATE and not f.boolean:
            text = f"{g.metric} has values other than true, false, 0 and 1: a rate needs a boolean metric; gate its mean instead"
            return INSUFFICIENT, Reason("not_boolean", text, {"metric": g.metric})
        for name, reports, figure in (("candidate", f.reports[0], f.candidate), ("baseline", f.reports[1], f.baseline)):
            if reports == 0 and figure.missing > 0:
                params = {"metric": g.metric, "cohort": name, "runs": figure.missing}
                return INSUFFICIENT, Reason("metric_missing", f"no run of the {name} reports {g.metric}: report it, or gate another metric", params)
        verdict, reason = _sequential(g, f, t, d, self.policy.first_look) if t is not None else self._one_look(g, f)
        if verdict != REGRESSED and f.missing is not None:
            shown = shown_difference(_SHARE, *f.missing)
            text = f"the candidate leaves out {g.metric} more often than the baseline does ({shown}): report it on every run"
            return INSUFFICIENT, Reason("missing_more_often", text, {"metric": g.metric, "difference": f.missing.estimate})
        return verdict, reason

    def _one_look(self, g: Gate, f: Figures) -> Tuple[str, Reason]:
        """By the ordinary interval."""
        need = self.policy.min_runs
        if g.pair and f.candidate.n < need:
            return INSUFFICIENT, _few_pairs(g, f.pairs, need)
        for name, n in (("candidate", f.candidate.n), ("baseline", f.baseline.n)):
            if n < max(need, 1):
                params = {"metric": g.metric, "cohort": name, "have": n, "need": need}
                return INSUFFICIENT, Reason("too_few_runs", f"the {name} has {n} of {need} runs with {g.metric}", params)
        few = _few_units(g, f) or self._few_for_quantile(g, f)
        if few:
            return INSUFFICIENT, few
        if f.one_look is None:
            text = f"no stratum has runs of both releases with {g.metric}, or its arithmetic is not finite"
            return INSUFFICIENT, Reason("not_finite", text, {"metric": g.metric})
        if _excludes(g, f.one_look, f.margin):
            return REGRESSED, regressed_reason(g, f, f.one_look)
        if g.statistic == RATE and not self._could_regress(g, f):
            text = "even a candidate that always failed would not be called regressed against this baseline"
            return INSUFFICIENT, Reason("cannot_regress", text, {"metric": g.metric})
        return CLEAN, _clean_reason(g, f, f.one_look)

    def _could_regress(self, g: Gate, f: Figures) -> bool:
        """Whether the worst possible candidate of the same size would have been called regressed."""
        z, p = critical(self.policy.confidence), f.pairs
        if g.pair:
            succeed, fail = p.both + p.baseline_only, p.candidate_only + p.neither
            worst = newcombe_paired(0, 0, succeed, fail, z) if g.higher else newcombe_paired(succeed, fail, 0, 0, z)
            return _excludes(g, Apart(0.0, worst.lo, worst.hi, "", 0), f.margin)
        strata = [a._replace(candidate=Share(0 if g.higher else a.candidate.n, a.candidate.n)) for a in self._rate_strata(g)]
        worst = stratified_newcombe(strata, z)
        return _excludes(g, Apart(0.0, worst.lo, worst.hi, "", 0), f.margin)

    def _few_for_quantile(self, g: Gate, f: Figures) -> Optional[Reason]:
        """What the decisive limit of a quantile's difference lacks."""
        if f.one_look is None or not f.one_look.open_towards(g.higher):
            return None
        q = QUANTILES[g.statistic]
        for name, have, above in (("baseline", f.reports[1], not g.higher), ("candidate", f.reports[0], g.higher)):
            need = have
            while not quantile_limits(need, q, self.policy.confidence)[above]:
                need += 1
            if need > have:
                params = {"metric": g.metric, "cohort": name, "have": have, "need": need}
                text = f"the {name} has {have} of the {need} runs with {g.metric} that its {g.statistic} needs to have an upper and a lower limit"
                return Reason("too_few_runs", text, params)
        return Reason("cannot_regress", f"the runs are too few to limit the {g.statistic} of {g.metric}", {"metric": g.metric})

    def _quantile_at_look(self, g: Gate, t: GateTest, margin: float) -> Optional[Apart]:
        """The interval that belongs to a look of a quantile: its harmful limit at the level of the look, put on the side of the
        margin that the test decided for. A limit that the runs do not have is open, or the margin where that was exceeded."""
        level = t.last.level if t.last is not None and t.last.tested else 0.0
        if not 0 < level < 1:
            return None
        harm = self._quantile_difference(g, max(-normal_quantile(level), 0.0), max(1 - 2 * level, 0.5))
        other = self._quantile_difference(g, -normal_quantile(0.025), 1 - 2 * 0.025)
        if harm is None or other is None or not all(map(isfinite, (*harm[:3], other.lo, other.hi))):
            return None
        side, limit, margin = (-1.0, harm.hi, -margin) if g.higher else (1.0, harm.lo, margin)
        open_, away = harm.open_towards(g.higher), other.open_towards(not g.higher)
        limit = _on_side(limit, margin, t.regressed, side)
        if open_ and t.regressed:
            limit, open_ = margin, False
        if g.higher:
            return harm._replace(lo=other.lo, hi=limit, open=_open_of(away, open_))
        return harm._replace(lo=limit, hi=other.hi, open=_open_of(open_, away))

    # What the gates take for granted.

    def checks(self, shown: Sequence[Result]) -> List[Json]:
        found = (self._mix(shown), self._clustered(shown), _spread(shown))
        return [c for c in found if c]

    def _mix(self, shown: Sequence[Result]) -> Optional[Json]:
        """Warns of inputs or models in other proportions."""
        differ, same = [], []
        for name, shift in (
            ("probes", Shift([(s.candidate.probes, s.baseline.probes) for s in self.strata])),
            ("models", Shift([(s.candidate.models, s.baseline.models) for s in self.strata])),
        ):
            if shift.freedom < 1:
                continue
            if not shift.differs():
                same.append(name + " are in the same proportions")
            elif name != "probes":
                differ.append(f"{name} differ in {_shift_text(shift)}")
            else:
                loose = [r.gate for r in shown if not r.gate.pair]
                if loose:
                    names = ", ".join(map(_name, loose))
                    pairable = any(g.statistic not in QUANTILES for g in loose)
                    advice = _PAIR if pairable else _MEAN
                    differ.append(f"probes differ in {_shift_text(shift)}, and a difference of {names} may come from the inputs alone: {advice}")
                else:
                    same.append(f"probes differ in {_shift_text(shift)}, and every gate is compared on pairs")
        return check("mix", "warn" if differ else "ok", "; ".join(differ or same)) if differ or same else None

    def _clustered(self, shown: Sequence[Result]) -> Optional[Json]:
        """Warns where units repeat under a rate or a quantile, whose intervals take runs for independent."""
        names, advice = [], _MEAN
        for r in shown:
            g = r.gate
            repeated = [s for s in self._summaries(g.metric) if s.clustered()]
            if g.pair or g.statistic == MEAN or not repeated:
                continue
            name = _name(g)
            if g.statistic == RATE:
                advice = _PAIR
                effect = max(v if isfinite(v) else 0.0 for v in [s.design_effect() for s in repeated])
                if r.figures.boolean and effect > 0:
                    name += f" (design effect {effect:.1f}: its interval should be about {sqrt(max(effect, 1.0)):.1f} times as wide)"
            names.append(name)
        if not names:
            return None
        return check("clustered", "warn", f"several runs of one unit or probe count as independent for {', '.join(names)}: {advice}")

    def _summaries(self, metric: str) -> List[Summary]:
        return [c.summary(metric) for s in self.strata for c in s]


_SHARE = Gate("", RATE, "", 0.0, False, "", "")
_PAIR, _MEAN = "compare on pairs by probe", "a quantile has no pairs, a mean has"


def check(name: str, status: str, detail: str) -> Json:
    return {"check": name, "status": status, "detail": detail}


def _name(g: Gate) -> str:
    return f"{g.metric} {g.statistic}"


def _shift_text(s: Shift) -> str:
    text = f"proportion between the releases (distance {percentage(s.distance)}, chi-square {s.statistic:.0f} of {s.freedom})"
    if s.named and s.category:
        text += f", most of all {s.category}: {percentage(s.baseline)} of the baseline, {percentage(s.candidate)} of the candidate"
    return text


def _spread(shown: Sequence[Result]) -> Optional[Json]:
    """Warns where a difference of means may be one of tails."""
    names = []
    for r in shown:
        if r.gate.statistic != MEAN or r.gate.pair:
            continue
        c, b = r.figures.pooled[0].variance(), r.figures.pooled[1].variance()
        if not isfinite(c) or not isfinite(b) or not max(c, b) > 2 * min(c, b):
            continue
        larger = "baseline" if b > c else "candidate"
        times = f"{amount(max(c, b) / min(c, b))} times larger in the {larger}" if min(c, b) > 0 else f"only the {larger} varies"
        names.append(f"{r.gate.metric} ({times})")
    if not names:
        return None
    detail = f"the variance differs by more than a factor of two for {', '.join(names)}: a mean then follows a few large values; "
    return check("spread", "warn", detail + "gate a quantile such as p95, or the metric capped")


def _few_pairs(g: Gate, p: Pairs, need: int) -> Reason:
    n = p.differences.count
    params = {"metric": g.metric, "have": n, "need": need, "unpaired_candidate": 0, "unpaired_baseline": 0}
    if n == 0:
        text = f"no probe has runs of both releases with {g.metric}: replay the same inputs against both and report probe_id, or compare without pairs"
        return Reason("no_pairs", text, params)
    return Reason("too_few_pairs", f"{n} of {need} probes have runs of both releases with {g.metric}", params)


def _few_units(g: Gate, f: Figures) -> Optional[Reason]:
    """A mean of few units cannot be resampled."""
    if g.statistic != MEAN and (not g.pair or f.pairs.table()):
        return None
    pooled = (f.pairs.differences, f.pairs.differences) if f.pairs.differences.count > 0 else f.pooled
    for name, s in zip(("candidate", "baseline"), pooled):
        n = len(s.units)
        if n < 5:
            params = {"metric": g.metric, "cohort": name, "have": n, "need": 5}
            text = f"the runs of the {name} with {g.metric} are of {n} of 5 independent units: a mean of fewer has no interval"
            return Reason("too_few_units", text, params)
    return None


def null_of(g: Gate) -> str:
    """The hypothesis of a gate's test."""
    return "same_rate" if g.statistic == RATE else "same_tail" if g.statistic in QUANTILES else "same_distribution"


def _pool(summaries: Sequence[Summary], units: bool) -> Summary:
    out = Summary()
    for s in summaries:
        if units:
            out.merge(s)
        else:
            out.merge_values(s)
    return out


def _comparable(strata: Sequence[Arms]) -> int:
    return sum(s.candidate.n > 0 and s.baseline.n > 0 for s in strata)


def _settled(f: Figures) -> Apart:
    """Takes out what rounding alone puts between equal numbers."""
    assert f.one_look is not None
    d = f.one_look
    if f.baseline.value is None or f.candidate.value is None:
        return d
    noise = 1e-12 * max(abs(f.baseline.value), abs(f.candidate.value))
    estimate = 0.0 if abs(d.estimate) <= noise else d.estimate
    lo, hi = (estimate if abs(v - estimate) <= noise else v for v in (d.lo, d.hi))
    return d._replace(estimate=estimate, lo=lo, hi=hi)


def _open_of(lo: bool, hi: bool) -> str:
    return "both" if lo and hi else "lo" if lo else "hi" if hi else ""


def _on_side(limit: float, margin: float, regressed: bool, side: float) -> float:
    """Moves a limit to the margin or just short of it if it contradicts the decision."""
    beyond = side * limit >= side * margin
    if regressed and not beyond:
        return margin
    return nextafter(margin, -side * inf) if not regressed and beyond else limit


def _interval(g: Gate, t: GateTest) -> Optional[Apart]:
    """The interval of the exact test at its last look."""
    if g.statistic != RATE or t.test is None:
        return None
    try:
        d = t.test.interval()
    except NoInterval:
        return None
    if g.higher:
        d = Difference(-d.estimate, -d.hi, -d.lo)
    return Apart(*d, "exact-conditional", t.strata)


def _excludes(g: Gate, d: Apart, margin: float) -> bool:
    """Whether the interval leaves out the margin in the wrong direction."""
    if d.open_towards(g.higher):
        return False
    return d.hi < -margin if g.higher else d.lo > margin


def _hides(g: Gate, d: Optional[Apart]) -> Optional[float]:
    """The largest harm within the interval. An open end, or an interval without width, sets no limit."""
    if d is None or d.lo == d.hi or d.open_towards(not g.higher):
        return None
    return max(-d.lo if g.higher else d.hi, 0.0)


def _sequential(g: Gate, f: Figures, t: GateTest, d: Optional[Apart], first_look: int) -> Tuple[str, Reason]:
    """By the test of a gate that has not regressed."""
    if t.last is None or not t.last.tested:
        have = t.test.candidates() if t.test else 0
        text = f"{g.metric} has not been tested: {have} of {first_look} candidate runs in blocks of both releases"
        return INSUFFICIENT, Reason("no_look", text, {"metric": g.metric, "have": have, "need": first_look})
    if not t.reachable:
        text = f"no outcome of the runs so far could have shown a regression of {g.metric}: more runs, or a baseline that does not always fail, would"
        return INSUFFICIENT, Reason("cannot_regress", text, {"metric": g.metric})
    return CLEAN, _clean_reason(g, f, d)


def _params(g: Gate, f: Figures, d: Optional[Apart]) -> Json:
    out: Json = {"metric": g.metric, "margin": f.margin}
    return {**out, "estimate": d.estimate, "lo": d.lo, "hi": d.hi} if d else out


def regressed_reason(g: Gate, f: Figures, d: Optional[Apart]) -> Reason:
    text = g.metric + " regressed"
    if d:
        text += f": {shown_difference(g, d.estimate, d.lo, d.hi, d.open)} excludes {shown_margin(g, f.margin)}"
    return Reason("regressed", text, _params(g, f, d))


def _clean_reason(g: Gate, f: Figures, d: Optional[Apart]) -> Reason:
    params = _params(g, f, d)
    text = f"{g.metric} not regressed"
    if d:
        text = f"{g.metric} {shown_difference(g, d.estimate, d.lo, d.hi, d.open)}, not regressed"
    one = f.one_look
    if one is not None and d is not one and _excludes(g, one, f.margin):
        params["one_look_excludes"] = True
        text += f"; the ordinary interval of a single look would exclude {shown_margin(g, f.margin)} "
        text += f"({shown_difference(g, one.estimate, one.lo, one.hi, one.open)}), but looking again and again makes that happen by chance"
    return Reason("clean", text, params)
