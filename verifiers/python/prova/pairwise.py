"""The judge's gate at a tick: its figures, its verdict and what is said of it."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from .compare import CLEAN, INSUFFICIENT, REGRESSED, Apart, Json, Reason
from .exact import NoInterval
from .floats import critical
from .intervals import Share, wilson_of
from .judged import Figures, Judged
from .judgments import Calibration
from .merkle import MAX_INT64
from .policy import Policy
from .sentences import about, percentage


class JudgedResult(NamedTuple):
    on: str
    verdict: str
    reason: Reason
    shown: Json

    def json(self) -> Json:
        return {**self.shown, "on": self.on, "verdict": self.verdict, "reason": self.reason.json()}


class JudgesGate:
    """The judge's gate of a rollout as it stands at a time, in nanoseconds."""

    def __init__(self, rollout: str, policy: Policy, judged: Judged, now: int, calibration: Optional[Calibration]) -> None:
        assert policy.pairwise is not None
        self.rollout, self.policy, self.asked, self.judged = rollout, policy, policy.pairwise, judged
        self.calibration = calibration if calibration and calibration.judge == judged.judge else None
        self.age = None if judged.newest is None else min(max(now - judged.newest, 0), MAX_INT64) // 10**9
        self.rate = Share(judged.figures.wins, judged.figures.decided)
        self.limits = wilson_of(self.rate, critical(policy.confidence)) if self.rate.n else None
        self.at_look = self._at_look()

    def _at_look(self) -> Optional[Apart]:
        """The win rate with the interval of the last look."""
        test = self.judged.test.test
        if test is None:
            return None
        try:
            d = test.interval()  # of the share of losses minus that of wins
        except NoInterval:
            return None
        return Apart((1 - d.estimate) / 2, (1 - d.hi) / 2, (1 - d.lo) / 2, "exact-conditional", 1)

    def result(self) -> JudgedResult:
        verdict, reason = self._verdict()
        j = self.judged
        limits = self.limits
        shown: Json = {
            "required": True, "judge": j.judge.json() if j.judge else None, "figures": j.figures.json(), "other_judge": j.other,
            "min_pairs": self.asked.min_pairs, "win_rate_half_ties": half_ties(j.figures), "age_seconds": self.age,
            "calibration": self.calibration.shown if self.calibration else None,
            "win_rate": {
                "x": self.rate.x, "n": self.rate.n, "value": self.rate.value() if limits else None,
                "lo": limits.lo if limits else None, "hi": limits.hi if limits else None,
            },
        }  # fmt: skip
        if j.test.test is not None:
            shown["ledger"] = j.test.json()
        if self.at_look is not None:
            shown["at_look"] = self.at_look.json()
        return JudgedResult(self.asked.on, verdict, reason, shown)

    def _regressed(self) -> bool:
        """The test crossed its boundary, or, where each look stands for itself, the ordinary interval lies below one half."""
        if self.policy.guarantee == "rollout":
            return self.judged.test.regressed
        return self.rate.n >= self.asked.min_pairs and self.limits is not None and self.limits.hi < 0.5

    def _verdict(self) -> Tuple[str, Reason]:
        """What crossed its boundary stays regressed; all else that is missing makes it insufficient."""
        j, f, need = self.judged, self.judged.figures, self.asked.min_pairs
        params: Json = {"wins": f.wins, "losses": f.losses, "ties": f.ties, "no_verdict": f.no_verdict, "min_pairs": need}
        run = f"; run prova judge run --rollout {self.rollout}"
        if self._regressed():
            text = f"the judge prefers the baseline: {self._rate_text()} after {self._tested()}"
            return REGRESSED, Reason("pairwise_regressed", text, params)
        if j.judge is None:
            return INSUFFICIENT, self._nobody(params, run)
        if f.decided < need:
            text = f"the judge has decided {f.decided} of {need} pairs ({_counted(f)}){run}"
            if j.other > 0:
                text += f" with {j.judge.text()}: the {_judgments_are(j.other)} of another judge, which count for nothing here"
            return INSUFFICIENT, Reason("pairwise_too_few", text, params)
        if self.policy.guarantee == "rollout" and not j.test.reachable:
            text = f"the pairs that the judge decided ({_counted(f)}) could not have regressed yet{run}"
            return INSUFFICIENT, Reason("pairwise_too_few", text, params)
        age = MAX_INT64 if self.age is None else self.age
        if 0 < self.asked.max_age < age:
            params.update(age_seconds=age, max_age=self.asked.max_age)
            text = f"the judge's newest verdict is {about(age)} old and may be {about(self.asked.max_age)}{run} --again"
            return INSUFFICIENT, Reason("pairwise_stale", text, params)
        text = f"the candidate {_counted(f)}; {self._rate_text()} after {self._tested()}: the judge does not find it worse"
        return CLEAN, Reason("pairwise_clean", text, params)

    def _nobody(self, params: Json, run: str) -> Reason:
        """Why no judgment counts."""
        other, wanted = self.judged.other, self.asked.judge
        if not other or wanted is None:
            return Reason("pairwise_unavailable", f"the pairwise judge is required and has recorded no judgment since this rollout began{run}", params)
        params["other_judge"] = other
        text = f"the {_judgments_are(other)} of another judge than the policy's {wanted.text()}, which has given none{run}"
        return Reason("pairwise_other_judge", text, params)

    def _rate_text(self) -> str:
        """The win rate with the interval that decides."""
        if self.at_look is not None:
            value, lo, hi = self.at_look[:3]
        elif self.limits is not None:
            value, (lo, hi) = self.rate.value(), self.limits
        else:
            return "no win rate"
        return f"a win rate of {percentage(value)} ({percentage(lo)} … {percentage(hi)})"

    def _tested(self) -> str:
        """How many decided pairs the interval is about: a test that has crossed its boundary takes no more."""
        n = self.judged.figures.decided
        if self.at_look is not None and self.judged.test.test is not None:
            n = int(2 * self.judged.test.json()["information"])  # a pair has half a unit of it
        return f"{n} decided pair" + ("s" if n != 1 else "")


def half_ties(f: Figures) -> Optional[float]:
    """The win rate with each tie as half a win."""
    n = f.decided + f.ties
    return (float(f.wins) + float(f.ties) / 2) / float(n) if n else None


def overall(outcome: str, judge: Optional[JudgedResult]) -> str:
    """The judge's gate can make a verdict worse, never better."""
    if judge is None or outcome == REGRESSED or judge.verdict == CLEAN:
        return outcome
    return REGRESSED if judge.verdict == REGRESSED else INSUFFICIENT


def _counted(f: Figures) -> str:
    """What the judgments add up to."""
    text = f"won {f.wins} and lost {f.losses}"
    if f.ties:
        text += f", {f.ties} tie" + ("s" if f.ties != 1 else "")
    return text + (f", {f.no_verdict} without a verdict" if f.no_verdict else "")


def _judgments_are(n: int) -> str:
    return "1 judgment recorded is" if n == 1 else f"{n} judgments recorded are"
