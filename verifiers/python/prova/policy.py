"""The frozen policy of a rollout and its gates."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Dict, List, NamedTuple, Optional

ENGINE = "prova-engine/1"
RATE, MEAN = "rate", "mean"
QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


class Unreadable(ValueError):
    """Something that cannot be recomputed from, though it was signed."""


class Impossible(Unreadable):
    """A policy that can be read, and that no rollout can have."""


class Gate(NamedTuple):
    metric: str
    statistic: str
    better: str
    margin: float  # in units of the metric, or a share if relative
    relative: bool
    pair: str
    on: str

    @property
    def id(self) -> str:
        return f"{self.metric}:{self.statistic}" + (f":{self.pair}" if self.pair else "")

    @property
    def decides(self) -> bool:
        return self.on != "warn"

    @property
    def higher(self) -> bool:
        return self.better == "higher"

    def margin_text(self) -> str:
        """A relative margin as it stands in a gate."""
        return f"{self.margin * 100:.12g}%"

    def json(self) -> dict:
        out = {"metric": self.metric, "statistic": self.statistic, "better": self.better, "on": self.on}
        out["margin"] = self.margin_text() if self.relative else self.margin
        return {**out, "pair": self.pair} if self.pair else out


class Judge(NamedTuple):
    """Who judges. Two that differ in any member are two judges."""

    model: str = ""
    version: str = ""
    template: str = ""

    def text(self) -> str:
        """The judge in one line."""
        out = self.model + (f" {self.version}" if self.version else "")
        short = self.template.encode()[:12].decode("utf-8", "ignore")
        return out + (f" (template {short})" if self.template else "")

    def json(self) -> Dict[str, str]:
        out = {"model": self.model}
        out.update({name: v for name, v in (("version", self.version), ("template", self.template)) if v})
        return out


class Pairwise(NamedTuple):
    """What is asked of the judge."""

    min_pairs: int
    max_age: int  # seconds; 0 sets no limit
    judge: Optional[Judge]  # whose judgments count; what it leaves out matches any
    on: str


class Policy(NamedTuple):
    mode: str
    steps: List[int]
    min_runs: int
    first_look: int
    gates: List[Gate]
    confidence: float
    guarantee: str
    error_budget: float
    promote_on: str
    promote_margin: Optional[float]
    require_pairwise: bool
    baseline: str
    srm: str
    unit: str
    pairwise: Optional[Pairwise] = None

    @property
    def only_pairs(self) -> bool:
        """Every gate that decides is on pairs."""
        return all(g.pair for g in self.gates if g.decides)

    @property
    def planned(self) -> float:
        """The information of the declared ramp."""
        v = 0.0
        for w in self.steps:
            if w < 100:
                v += float(self.min_runs) * float(100 - w) / 100
        return v

    @property
    def planned_pairs(self) -> float:
        return float(self.min_runs * (len(self.steps) - 1)) / 2

    @property
    def metrics(self) -> List[str]:
        """Those that gates name, each once, in order."""
        return sorted({g.metric for g in self.gates})


_TYPES = {
    "mode": str, "steps": list, "min_runs": int, "first_look": int, "gates": list, "confidence": float, "guarantee": str, "error_budget": float,
    "promote_on": str, "promote_margin": float, "require_pairwise": bool, "baseline": str, "srm": str, "unit": str,
}  # fmt: skip


def policy_of(value: Any) -> Policy:
    """Reads a policy and wants it to be one that a rollout can have."""
    if not isinstance(value, dict):
        raise Unreadable("the policy is no object")

    def member(name: str, *kinds: type) -> Any:
        found = value.get(name)
        if type(found) in kinds:  # a bool is an int in Python, and here it is not
            return found
        if found is None or float in kinds and type(found) is int:
            raise Impossible(f"its {name} is missing or out of range")
        raise Unreadable(f"the policy's {name} has the wrong type")

    def one_of(name: str, *values: str) -> str:
        found = member(name, str)
        if found not in values:
            raise Impossible(f"its {name} is {found[:40]!a}")
        return str(found)

    def within(name: str, lo: float, hi: float, *kinds: type) -> Any:
        found = member(name, *kinds)
        if not lo <= found <= hi:
            raise Impossible(f"its {name} is out of range")
        return found

    for name, kind in _TYPES.items():  # what cannot be read is found before what cannot be
        if value.get(name) is not None and type(value[name]) not in (kind, int if kind is float else kind):
            raise Unreadable(f"the policy's {name} has the wrong type")
    steps = member("steps", list)
    if not all(type(w) is int for w in steps):
        raise Unreadable("the policy's steps are no whole numbers")
    gates = [_gate(g) for g in member("gates", list)]
    pairwise = _pairwise(value.get("pairwise"))
    if len(steps) < 2 or steps[0] < 1 or steps[-1] != 100 or any(a >= b for a, b in zip(steps, steps[1:])):
        raise Impossible("its steps do not rise to 100")
    if any(g.pair and (g.relative or not g.decides) for g in gates):
        raise Impossible("it has a gate on pairs with a relative margin, or one that warns")
    if not any(g.decides for g in gates) or len(gates) > 32 or len({g.id for g in gates}) < len(gates):
        raise Impossible("it has no gate that decides, too many gates, or one twice")
    if (pairwise is not None) != member("require_pairwise", bool):
        raise Impossible("it asks something of a judge that is not required, or nothing of one that is")
    min_runs = within("min_runs", 1, 1_000_000, int)
    inferior = one_of("promote_on", "not_regressed", "non_inferior") == "non_inferior"
    return Policy(
        one_of("mode", "shadow", "canary"), steps, min_runs, within("first_look", 1, min_runs, int), gates,
        float(within("confidence", 0.5, 0.9999, float)), one_of("guarantee", "rollout", "look"),
        float(within("error_budget", 1e-6, 0.5, float)), value["promote_on"],
        float(within("promote_margin", 1e-300, 1, float)) if inferior else None,
        member("require_pairwise", bool), one_of("baseline", "auto", "concurrent"), one_of("srm", "hold", "warn", "off"),
        one_of("unit", "run", "unit"), pairwise,
    )  # fmt: skip


def judge_of(value: Any) -> Judge:
    """Reads a judge. What is null is as if it were not there."""
    if value is not None and not isinstance(value, dict):
        raise Unreadable("a judge is no object")
    members = [(value or {}).get(name) for name in Judge._fields]
    if not all(m is None or isinstance(m, str) for m in members):
        raise Unreadable("a member of a judge has the wrong type")
    return Judge(*(m or "" for m in members))


_MOST_AGE = 100 * 366 * 24 * 3600


def _pairwise(value: Any) -> Optional[Pairwise]:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Unreadable("the policy's pairwise has the wrong type")
    judge = judge_of(value["judge"]) if value.get("judge") is not None else None
    for name, kind in (("min_pairs", int), ("max_age", int), ("on", str)):
        if value.get(name) is not None and type(value[name]) is not kind:
            raise Unreadable(f"the policy's pairwise.{name} has the wrong type")
    min_pairs, max_age, on = value.get("min_pairs") or 0, value.get("max_age") or 0, value.get("on")
    if not 1 <= min_pairs <= 1_000_000 or not 0 <= max_age <= _MOST_AGE or on not in ("rollback", "hold"):
        raise Impossible("what it asks of the judge is out of range")
    if judge == Judge() or judge is not None and not all(_is_name(m) for m in judge if m):
        raise Impossible("the judge that it asks for has no name, or none that can be")
    return Pairwise(min_pairs, max_age, judge, on)


def _is_name(text: str) -> bool:
    return len(text.encode()) <= 200 and not any(unicodedata.category(c) == "Cc" or c in "\u2028\u2029" for c in text)


_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def _gate(value: Any) -> Gate:
    if not isinstance(value, dict) or set(value) - {"metric", "statistic", "better", "margin", "pair", "on"}:
        raise Unreadable("a gate is not written as an object of its members")
    metric, statistic, better, pair, on = (value.get(name, "") for name in ("metric", "statistic", "better", "pair", "on"))
    if not isinstance(metric, str) or not 1 <= len(metric.encode()) <= 200:
        raise Unreadable("a gate names no metric")
    if statistic not in (RATE, MEAN, *QUANTILES) or better not in ("higher", "lower") or on not in ("rollback", "hold", "warn"):
        raise Unreadable(f"gate {metric[:40]!a}: its statistic, direction or consequence is unknown")
    if pair not in ("", "probe") or pair and statistic in QUANTILES:
        raise Unreadable(f"gate {metric[:40]!a}: its pairing is unknown")
    margin, relative = value.get("margin", 0), False
    if isinstance(margin, str):
        if not re.fullmatch(_NUMBER + "%", margin):
            raise Unreadable(f"gate {metric[:40]!a}: its margin is no number")
        margin, relative = float(margin[:-1]) / 100, True
    if type(margin) not in (int, float) or not 0 <= margin <= 1e300 or relative and margin > 100:
        raise Unreadable(f"gate {metric[:40]!a}: its margin is out of range")
    if statistic == RATE and not relative and margin > 0.99:
        raise Unreadable(f"gate {metric[:40]!a}: its margin is out of range")
    return Gate(metric, statistic, better, float(margin), relative, pair, on)
