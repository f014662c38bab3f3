"""The ramp: the state of a rollout and what a tick saw in, a decision and the next state out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .blocks import Arrived, Block
from .cohort import Cohort, History, Stratum, beside, strata_of
from .compare import INSUFFICIENT, REGRESSED, CLEAN, Json, Question, Reason, Result, check
from .exact import Refused, alpha_star
from .floats import log, normal_quantile
from .intervals import Arms, Arrivals, Share, newcombe, sample_ratio, stratified_newcombe
from .judged import MOST_JUDGMENTS, Judgment, ReadBefore
from .judgments import Calibration
from .ledger import Ledger, opened
from .pairwise import JudgedResult, JudgesGate, overall
from .policy import ENGINE, MEAN, QUANTILES, RATE, Gate, Policy
from .sentences import about, percentage, shown_value

ACTIVE, PAUSED, PROMOTED, ROLLED_BACK, ABORTED = "active", "paused", "promoted", "rolled_back", "aborted"
FINISHED = (PROMOTED, ROLLED_BACK, ABORTED)
_STRATA = 32  # that a receipt lists
_LOOKS = 60  # of one tick


class CannotTick(ValueError):
    """The state and the evidence do not go together."""


class Promotion(NamedTuple):
    """What the non-inferiority test of the last step has spent."""

    block: int = 0
    spent: float = 0.0
    shown: bool = False
    detail: str = ""


class Seen(NamedTuple):
    """What a tick saw."""

    log_size: int
    seconds: int  # how long the step had lasted
    cohorts: Sequence[Cohort]  # of both releases, since the evidence began
    closed: Sequence[Block]
    open: Optional[Block]  # none of a shadow that has reached its paper ending
    now: int  # when it was made, in nanoseconds
    judgments: Sequence[Judgment] = ()  # that were not read yet, with one more than a tick reads where there are more
    calibration: Optional[Calibration] = None  # the newest of the judge whose judgments count
    processes: int = 1  # that may work on it


@dataclass
class Rollout:
    """The state of a ramp. It is never changed: a decision makes a new one."""

    id: str
    baseline: str
    candidate: str
    policy: Policy
    history: History
    ledger: Ledger
    state: str = ACTIVE
    step: int = 1
    step_from: int = 0
    fresh: List[int] = field(default_factory=list)  # for each gate, candidate runs of this step in closed blocks
    attempt: int = 1
    promotion: Promotion = Promotion()

    def weight(self) -> int:
        """The authorised weight in percent."""
        if self.state in (ROLLED_BACK, ABORTED):
            return 0
        return 100 if self.state == PROMOTED else self.policy.steps[self.step - 1]

    def fresh_runs(self) -> int:
        return min(n for n, g in zip(self.fresh, self.policy.gates) if g.decides)

    @property
    def ended(self) -> bool:
        """Whether ticks are over. A shadow goes on after its paper ending."""
        return self.state in FINISHED and (self.policy.mode == "canary" or self.state == ABORTED)

    def after(self, decision: str) -> "Rollout":
        if decision == "rollback":
            return replace(self, state=ROLLED_BACK)
        if decision != "promote":
            return self
        step = self.step + 1
        state = PROMOTED if step == len(self.policy.steps) else self.state
        return replace(self, step=step, state=state, fresh=[0] * len(self.fresh))


def begun(id_: str, baseline: str, candidate: str, p: Policy, h: History, index: int) -> Rollout:
    """A rollout at its first step, which begins at a log index."""
    return Rollout(id_, baseline, candidate, p, h, opened(p, h, index), step_from=index, fresh=[0] * len(p.gates))


def continued(id_: str, before: Rollout) -> Rollout:
    """Goes on with the evidence and the ledger of a rollout that was aborted."""
    return replace(before, id=id_, state=ACTIVE, step=1, fresh=[0] * len(before.fresh), promotion=Promotion())


def unsupported(p: Optional[Policy]) -> str:
    """What of a policy this verifier does not recompute, if anything."""
    means = [g.id for g in p.gates if g.decides and g.statistic == MEAN] if p else []
    return f"the test of {', '.join(means)}, a mean" if means and p and p.guarantee == "rollout" else ""


class Decision(NamedTuple):
    decision: str
    reason: Reason
    fresh_runs: int
    action: str = ""
    verdict: Optional[Json] = None
    looks: Sequence[Json] = ()
    blocks: Sequence[Block] = ()


# Ticks.


def tick(r: Rollout, seen: Seen) -> Tuple[Rollout, Decision]:
    """Looks at the blocks that are due and decides one thing."""
    if r.ended:
        raise CannotTick(f"rollout {r.id} is {r.state}: it cannot be ticked")
    if r.state in FINISHED:
        return _rescore(r, seen)
    limit = max(_LOOKS // len(r.policy.gates), 1)
    after, looks, blocks = r, [], []
    for b in seen.closed[:limit]:
        after, new = _look(after, b)
        looks += new
        blocks.append(b)
        if any(t.regressed and t.gate.on == "rollback" for t in after.ledger.gates):
            break
    after, new, more = _hear(after, seen)
    looks += new
    ramp = Ramp(after, seen, more or len(seen.closed) > limit)
    decision, reason = ramp.decide()
    after = replace(after, promotion=ramp.promotion)
    return after.after(decision), Decision(decision, reason, after.fresh_runs(), "", ramp.verdict(reason), looks, blocks)


def _look(r: Rollout, b: Block) -> Tuple[Rollout, List[Json]]:
    if b.number != r.ledger.block + 1:
        raise CannotTick(f"block {b.number} does not follow block {r.ledger.block}")
    try:
        ledger, looks = r.ledger.look(b)
    except Refused as e:
        raise CannotTick(f"block {b.number}: {e}") from None
    fresh = list(r.fresh)
    for i, g in enumerate(r.policy.gates):
        if b.first >= r.step_from:
            fresh[i] += sum(part.tally.fresh for part in b.parts(g) if part.answered())
    return replace(r, ledger=ledger, fresh=fresh), looks


def _hear(r: Rollout, seen: Seen) -> Tuple[Rollout, List[Json], bool]:
    """Takes the judgments that were not read yet, and says whether some were left."""
    try:
        ledger, looks, more = r.ledger.hear(r.policy, seen.judgments[:MOST_JUDGMENTS])
    except (ReadBefore, Refused) as e:
        raise CannotTick(str(e)) from None
    return replace(r, ledger=ledger), looks, more or len(seen.judgments) > MOST_JUDGMENTS


def _rescore(r: Rollout, seen: Seen) -> Tuple[Rollout, Decision]:
    """Fresh figures of a shadow after its paper ending."""
    ramp = Ramp(r, seen, False)
    text = f"the shadow has reached its paper ending ({r.state}) and goes on watching; {ramp.gate_texts()}"
    reason = Reason("paper_ended", text, {"state": r.state})
    return r, Decision("hold", reason, r.fresh_runs(), "", ramp.verdict(reason))


class Ramp:
    """One tick of a rollout after its looks."""

    def __init__(self, r: Rollout, seen: Seen, more: bool) -> None:
        self.r, self.p, self.seen, self.more = r, r.policy, seen, more
        self.promotion = r.promotion
        strata = strata_of(seen.cohorts, r.baseline, r.candidate)
        if seen.open is not None and seen.open.before.against_history:
            strata = beside(r.history, strata)
        self.strata = [strata[span] for span in sorted(strata)]
        tallies = seen.open.tallies if seen.open is not None and self.strata else []
        pairs = {t.gate.metric: t.pairs for t in tallies if t.gate.pair}
        question = Question(self.p, self.strata, pairs, r.id, r.ledger.block, seen.processes)
        self.gates: List[Result] = []
        self.signals: List[Result] = []
        shown: List[Result] = []
        for t in r.ledger.gates:
            f = question.figures(t.gate)
            result = question.result(t.gate, f, t if t.test else None)
            if t.gate.decides:
                self.gates.append(result)
            elif f.baseline.n > 0 or f.candidate.n > 0:
                self.signals.append(result)
            else:
                continue
            shown.append(result)
        checks = question.checks(shown)
        self.checks = [c for c in checks if self.p.unit != "unit" or c["check"] != "clustered"]
        self.checks += [c for c in (self._sample_ratio(), self._baseline_health(), self._history()) if c]
        judged = r.ledger.judged
        self.judge: Optional[JudgedResult] = None
        if judged is not None:
            self.judge = JudgesGate(r.id, self.p, judged, seen.now, seen.calibration).result()

    def verdict(self, reason: Reason) -> Json:
        """The verdict as the API shows it."""
        outcomes = [result.verdict for result in self.gates]
        outcome = REGRESSED if REGRESSED in outcomes else INSUFFICIENT if INSUFFICIENT in outcomes else CLEAN
        return {
            "verdict": overall(outcome, self.judge),
            "engine": ENGINE, "guarantee": self.p.guarantee, "look": self.r.ledger.block, "gates": [g.json() for g in self.gates],
            "signals": [g.json() for g in self.signals], "pairwise": self.judge.json() if self.judge else None, "checks": self.checks,
            "attempt": self.r.attempt, "reason": reason.json(),
        }  # fmt: skip

    def gate_texts(self) -> str:
        return "; ".join(g.reason.text for g in self.gates)

    # What is watched beside the gates.

    def _arrivals(self) -> List[Arrived]:
        return self.seen.open.arrivals if self.seen.open is not None else []

    def _sample_ratio(self) -> Optional[Json]:
        """Whether the traffic obeys the weight. A shadow declares none."""
        if self.p.srm == "off" or self.p.mode != "canary":
            return None
        steps = [Arrivals(a.candidate, a.candidate + a.baseline, float(a.weight) / 100) for a in self._arrivals()]
        weights = [a.weight for a in self._arrivals()]
        at = max((i for i, s in enumerate(steps) if s.total > 0), default=-1)
        if at < 0:
            return None
        accused = -log(0.001)
        if sample_ratio(steps) < accused:
            return check("sample_ratio", "ok", _share_text(steps[at], weights[at]))
        at = next((i for i, s in enumerate(steps) if sample_ratio([s]) >= accused), at)
        detail = _share_text(steps[at], weights[at])
        detail += ": the traffic does not follow the weight; check that the router reads it, and that both releases report all their runs"
        return check("sample_ratio", "hold" if self.p.srm == "hold" else "warn", detail)

    def _baseline_health(self) -> Optional[Json]:
        """Warns of a baseline that has gone silent, or whose own rate moved sharply."""
        name, detail = "baseline_health", ""
        b = self.seen.open
        if b is not None and b.candidate >= self.p.first_look and b.baseline == 0:
            return check(name, "warn", f"the baseline has no run beside the last {b.candidate} of the candidate")
        for g in self.p.gates:
            rates = self._baseline_rates(g) if g.decides and g.statistic == RATE and not g.pair else None
            if rates is None:
                continue
            before, now = rates
            d = newcombe(now, before, 3.2905267314918945)
            old, new = shown_value(g, before.value()), shown_value(g, now.value())
            if d.lo > 0 or d.hi < 0:
                text = f"the baseline's own {g.metric} moved from {old} to {new} between the epochs: something beside the candidate has changed"
                return check(name, "warn", text)
            detail = f"the baseline's {g.metric} is {new}, {old} before"
        return check(name, "ok", detail) if detail else None

    def _baseline_rates(self, g: Gate) -> Optional[Tuple[Share, Share]]:
        """The baseline's rates in the strata before the newest one, and in that."""
        before, now = Share(0, 0), Share(0, 0)
        for s in self.strata:
            m = s.baseline.summary(g.metric)
            if m.count >= 30 and m.boolean():
                before, now = Share(before.x + now.x, before.n + now.n), Share(m.ones, m.count)
        return (before, now) if before.n > 0 and now.n > 0 else None

    def _history(self) -> Optional[Json]:
        n = self.seen.open.before.against_history if self.seen.open is not None else 0
        if n <= 0:
            return None
        detail = f"{n} candidate runs had no baseline runs beside them and are compared with {self.r.history.runs} that the baseline reported "
        return check("history", "warn", detail + "before the rollout: the promise then assumes that its rate has not moved since")

    # The decision. The order is the promise.

    def decide(self) -> Tuple[str, Reason]:
        g = self._worst(REGRESSED, "rollback")
        if g:
            return "rollback", Reason("regressed", f"rolling back at {self.r.weight()}%, {g.reason.text}", g.reason.params)
        j = self.judge
        if j and j.verdict == REGRESSED and j.on == "rollback":
            return "rollback", j.reason._replace(text=f"rolling back at {self.r.weight()}%, {j.reason.text}")
        reason = self._holds()
        if reason:
            return "hold", reason
        if self.p.promote_on == "non_inferior" and self.r.step + 1 == len(self.p.steps):
            self.promotion = p = self._non_inferior()
            self.checks.append(check("non_inferiority", "ok" if p.shown else "hold", p.detail))
            if not p.shown:
                text = f"not yet shown to be no worse: {p.detail}; more runs at this weight narrow it, or an operator can promote"
                return "hold", Reason("non_inferiority_not_shown", self._holding() + text, {"promote_margin": self.p.promote_margin})
        return "promote", self._promotes()

    def _worst(self, outcome: str, *on: str) -> Optional[Result]:
        """The first gate with this outcome among those that do one of these things."""
        return next((g for what in on for g in self.gates if g.verdict == outcome and g.gate.on == what), None)

    def _holding(self) -> str:
        return f"Holding at {self.r.weight()}%: "

    def _holds(self) -> Optional[Reason]:
        """What keeps a rollout that need not be rolled back from advancing."""
        if self.more:
            return Reason("catching_up", self._holding() + "more of the evidence waits to be looked at; tick again", {})
        if self.r.state == PAUSED:
            return Reason("paused", self._holding() + "paused by an operator; resume it to let it advance", {})
        g = self._worst(REGRESSED, "hold")
        if g:
            return Reason("hold_gate_regressed", self._holding() + g.reason.text + "; an operator can abort or promote", g.reason.params)
        j = self.judge
        if j and j.verdict == REGRESSED:
            return j.reason._replace(text=self._holding() + j.reason.text + "; an operator can abort or promote")
        for c in self.checks:
            if c["status"] == "hold":
                return Reason("check", self._holding() + c["detail"], {"check": c["check"]})
        g = self._worst(INSUFFICIENT, "rollback", "hold")
        if g:
            return self._insufficient(g)
        if j and j.verdict != CLEAN:
            return j.reason._replace(text=self._holding() + j.reason.text)
        fresh, need = self.r.fresh_runs(), self.p.min_runs
        if fresh < need:
            params: Json = {"have": fresh, "need": need}
            text = f"{fresh} of {need} fresh runs; {self.gate_texts()}{self._expected(params)}"
            return Reason("fresh_runs", self._holding() + text, params)
        return None

    def _insufficient(self, g: Result) -> Reason:
        """What is missing: fresh runs if they are, else what the gate says."""
        fresh, need = self.r.fresh_runs(), self.p.min_runs
        params: Json = {"fresh_runs": fresh, "min_runs": need, **g.reason.params}
        text = g.reason.text
        if g.reason.code in ("no_look", "too_few_runs") and fresh < need:
            text = f"not enough data yet, {fresh} of {need} fresh runs; {text}{self._expected(params)}"
        return Reason(g.reason.code, self._holding() + text, params)

    def _expected(self, params: Json) -> str:
        """When the fresh runs that are missing will be in, at the pace of this step."""
        missing = self.p.min_runs - self.r.fresh_runs()
        arrivals = self._arrivals()
        if not arrivals or missing <= 0 or self.seen.seconds < 1:
            return ""
        arrived = arrivals[-1].candidate
        if arrived == 0:
            return "; no candidate run has come at this weight yet"
        seconds = params["expected_seconds"] = self.seen.seconds * missing // arrived
        return f"; at this pace the rest is in after {about(seconds)}"

    def _promotes(self) -> Reason:
        weight = self.r.weight()
        params: Json = {"weight": weight, "fresh_runs": self.r.fresh_runs(), "min_runs": self.p.min_runs}
        if self.r.step + 1 == len(self.p.steps):
            return Reason("fully_promoted", f"clean verdict at {weight}%, fully promoting the candidate to 100%", params)
        params["next_weight"] = self.p.steps[self.r.step]
        return Reason("clean_verdict", f"clean verdict at {weight}%, advancing canary to {params['next_weight']}%", params)

    def _non_inferior(self) -> Promotion:
        """Whether the stratified upper limit of the harm is below promote_margin. The first look has 95 % of the budget, all later
        ones share the rest."""
        p, ledger = self.promotion, self.r.ledger
        if p.shown or p.block == ledger.block and p.detail:
            return p
        v = self.p.planned
        strata: Dict[str, List[Arms]] = {}
        for t in ledger.gates:
            if t.gate.decides and t.gate.statistic == RATE and not t.gate.pair and t.test is not None:
                strata[t.gate.metric] = t.test.arms()
                v = max(v, t.last.information if t.last else 0.0)
        level = alpha_star(self.p.error_budget, self.p.planned, v) - p.spent
        if not level > 0:
            return p
        z, margin = -normal_quantile(level), self.p.promote_margin or 0.0
        shown, detail, worst = True, p.detail, -inf
        for g in self.p.gates:
            if g.metric in strata:
                d = stratified_newcombe(strata[g.metric], z)
                shown = shown and d.hi < margin
                if d.hi > worst:
                    worst = d.hi
                    detail = f"{g.metric} could be worse by up to {100 * d.hi:.1f} points, promote_margin is {100 * margin:.1f} points"
        return Promotion(ledger.block, p.spent + level, shown, detail)


def _share_text(s: Arrivals, weight: int) -> str:
    return f"the candidate got {100 * float(s.candidate) / float(s.total):.1f} % of the {s.total} runs at {weight}%"


# Operators.


def operate(r: Rollout, action: str, why: str) -> Tuple[Rollout, Decision]:
    """Carries out an operator's action."""
    if r.state in FINISHED:
        raise CannotTick(f"the rollout is {r.state}; nothing can be done to it any more")
    decision, after, at = "hold", r, f"{r.weight()}%"
    if action == "pause" and r.state != PAUSED:
        after, text = replace(r, state=PAUSED), f"paused at {at}"
    elif action == "resume" and r.state == PAUSED:
        after, text = replace(r, state=ACTIVE), f"resumed at {at}"
    elif action == "abort":
        decision, after, text = "rollback", replace(r, state=ABORTED), f"aborted at {at}"
    elif action == "promote":
        decision, after = "promote", r.after("promote")
        text = f"promoted by an operator, overriding the verdict, from {at} to {after.weight()}%"
    else:
        raise CannotTick(f"a rollout that is {r.state} has no action {action[:40]!a}")
    return after, Decision(decision, Reason("operator", f"{text}: {why}", {"operator_reason": why}), r.fresh_runs(), action)


# Receipts.


def printed(before: Rollout, after: Rollout, d: Decision, seen: Optional[Seen]) -> Json:
    """What the receipt of a decision says beside its header."""
    p = before.policy
    out: Json = {
        "decision": d.decision, "reason": d.reason.json(), "mode": p.mode, "advisory": p.mode == "shadow",
        "state_before": before.state, "state": after.state, "step_before": before.step, "step": after.step,
        "weight_before": before.weight(), "weight": after.weight(), "terminal": d.decision != "hold" and after.state in FINISHED,
        "fresh_runs": d.fresh_runs, "min_runs": p.min_runs, "engine": ENGINE, "attempt": before.attempt,
    }  # fmt: skip
    if d.action:
        out["action"] = d.action
    if d.action == "promote":
        out["override"] = True
    if seen is not None:
        out.update(evidence=_evidence(after, d, seen), conditions=_conditions(p), verdict=d.verdict)
    return out


def _evidence(after: Rollout, d: Decision, seen: Seen) -> Json:
    nobody = {"runs": 0, "first_index": 0, "last_index": 0, "digest": ""}
    spans: Dict[int, Json] = {}
    for c in seen.cohorts:
        s = spans.setdefault(c.span, {"span": c.span, "candidate": nobody, "baseline": nobody})
        s["candidate" if c.release == after.candidate else "baseline"] = c.ref(after.policy.metrics)
    strata = [spans[span] for span in sorted(spans)]
    out: Json = {
        "log_size": seen.log_size, "step_seconds": seen.seconds, "strata": strata[-_STRATA:], "blocks": [b.json() for b in d.blocks],
        "looks": list(d.looks), "ledger_digest": after.ledger.digest, "state_digest": after.ledger.state_digest(), "seed": after.id,
    }  # fmt: skip
    if after.ledger.judged is not None:
        out["judgments"] = after.ledger.judged.ref()
    if len(strata) > _STRATA:
        out["strata_omitted"] = len(strata) - _STRATA
    return out


_LOOK_AGAIN = (
    "each tick reads the ordinary interval at the stated confidence again: the probability that a harmless release is ever rolled back "
    "is larger than one minus the confidence"
)
_PROMISE = (
    "the probability that a harmless release is ever rolled back, over the whole rollout and however often it is ticked, is at most error_budget"
)
_NULLS = {
    RATE: "both releases fail at the same rate within each block unless the candidate is worse (null: same_rate)",
    "": "both releases have the same share of values beyond the threshold within each block unless the candidate is worse (null: same_tail)",
    MEAN: "the values of both releases have the same distribution within each block unless the candidate is worse "
    "(null: same_distribution); a spread that differs may be taken for harm",
}

_EVEN_ODDS = (
    "pairs are judged independently of each other, and a judge prefers neither release for another reason than that its answers are better "
    "(null: even_odds)"
)


def _conditions(p: Policy) -> List[str]:
    """The promise and what it assumes."""
    if p.guarantee != "rollout":
        return [_LOOK_AGAIN]
    units = "units are independent of each other; of each its first value of a metric counts"
    out = [_PROMISE, units if p.unit == "unit" else "runs are independent of each other"]
    deciding = [g for g in p.gates if g.decides]
    for g in deciding:
        null = _NULLS["" if g.statistic in QUANTILES else g.statistic]
        if null not in out:
            out.append(null)
    if p.require_pairwise:
        out.append(_EVEN_ODDS)
    if p.baseline == "auto":
        out.append("a baseline taken from history has not moved since (blocks and looks that used it are marked historical)")
    if any(g.margin for g in deciding):
        out.append("margins other than zero are approximate")
    if p.promote_on == "non_inferior":
        out.append("the probability that a candidate worse by promote_margin is fully promoted is about error_budget at most")
    return out
