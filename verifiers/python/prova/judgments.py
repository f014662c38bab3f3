"""Judgments and calibrations as their receipts have them."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from .fold import time_of
from .form import has_form, number, text, whole
from .judged import Answer, Judgment
from .policy import Judge, Unreadable, judge_of
from .receipt import Receipt

JUDGMENT, CALIBRATION = "pairwise_judgment", "judge_calibration"

_JUDGE = dict.fromkeys(Judge._fields, str)
_RUN = {"event_id": str, "output": str}
_JUDGMENT = {
    "subject": {"baseline_release": str, "candidate_release": str}, "probe_id": str, "judge": _JUDGE, "verdict": str,
    "answers": [{"first": str, "verdict": str, "cached": bool, "reason": str}], "runs": {"baseline": _RUN, "candidate": _RUN},
    "baseline_chars": int, "candidate_chars": int, "calls": int, "cost_usd": float, "latency_ms": float,
}  # fmt: skip
_SHARES = ("agreement", "consistent", "first_bias", "longer_wins", "labels_longer", "retest")
_CALIBRATION = {
    **dict.fromkeys(("event_id", "recorded_at", "app_id", "environment"), str), "judge": _JUDGE, "labels": int, "compared": int, "kappa": float,
    "confusion": [[int]], **dict.fromkeys(_SHARES, {"x": int, "n": int, "value": float, "lo": float, "hi": float}),
}  # fmt: skip


def judgment_of(index: int, r: Receipt) -> Judgment:
    body = r.body
    if not has_form({name: body.get(name) for name in _JUDGMENT}, _JUDGMENT):
        raise Unreadable("a member of the judgment has the wrong type")
    subject = body.get("subject") or {}
    answers = tuple(Answer(text(a or {}, "first"), text(a or {}, "verdict")) for a in body.get("answers") or ())
    return Judgment(
        index, time_of(r), text(subject, "baseline_release"), text(subject, "candidate_release"), text(body, "probe_id"),
        judge_of(body.get("judge")), text(body, "verdict"), answers, body.get("baseline_chars"), body.get("candidate_chars"),
    )  # fmt: skip


class Calibration(NamedTuple):
    """How well a judge agrees with people, as it is shown."""

    judge: Judge
    shown: Dict[str, Any]


def calibration_of(r: Receipt) -> Calibration:
    c = r.body.get("calibration")
    if not has_form(c, _CALIBRATION):
        raise Unreadable("a member of the calibration has the wrong type")
    c = c or {}
    judge = judge_of(c.get("judge"))
    shown: Dict[str, Any] = {
        "event_id": r.event_id, "recorded_at": r.recorded_at, "app_id": text(c, "app_id"), "judge": judge.json(), "labels": whole(c, "labels"),
        "compared": whole(c, "compared"), "kappa": number(c, "kappa"), "confusion": _confusion(c.get("confusion")),
    }  # fmt: skip
    if text(c, "environment"):
        shown["environment"] = c["environment"]
    for name in _SHARES:
        s = c.get(name) or {}
        shown[name] = {"x": whole(s, "x"), "n": whole(s, "n"), **{limit: number(s, limit) for limit in ("value", "lo", "hi")}}
    return Calibration(judge, shown)


def _confusion(rows: Any) -> Any:
    """Three rows of three."""
    filled = [[n or 0 for n in (row or [])][:3] for row in (rows or [])][:3]
    filled += [[] for _ in range(3 - len(filled))]
    return [row + [0] * (3 - len(row)) for row in filled]


def newest(calibrations: Any, judge: Optional[Judge]) -> Optional[Calibration]:
    """The newest calibration of a judge, of those in log order."""
    return next((c for c in reversed(calibrations) if c.judge == judge), None)
