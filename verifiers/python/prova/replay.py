"""Recomputes the decisions of rollouts from the runs of a log, and compares what comes out with what was signed.

It believes of a decision's receipt which part of the log its tick had seen, how
long the step had lasted, and what an operator did. What it cannot recompute is
said, and never counts as verified.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .blocks import BASELINE, CANDIDATE, chained, first_block
from .canonical import dump, text_of
from .cohort import NO_HISTORY, History
from .fold import DAY, Event, Filling, Fold, Known, time_of
from .form import has_form
from .judged import MOST_JUDGMENTS, Judgment
from .judgments import CALIBRATION, JUDGMENT, Calibration, calibration_of, judgment_of, newest
from .merkle import MAX_INT64
from .policy import ENGINE, Impossible, Judge, Policy, Unreadable, policy_of
from .receipt import Receipt, quoted
from .report import FAILED, OK, UNDETERMINED, VERIFIED, Report
from .rollout import ABORTED, FINISHED, PROMOTED, CannotTick, Decision, Json, Rollout, Seen, begun, continued, operate, printed, tick, unsupported
from .summary import Summary

CHECK = "replay"
_FINDINGS = 100  # of one app and environment that a report lists
_HISTORY_RUNS, _HISTORY_AGE = 1000, 30 * DAY
_SEARCH = 1 << 14  # log indexes among which a missing run is searched for
_HEADER = (
    "schema", "event_id", "org", "kind", "occurred_at", "recorded_at", "actor", "key_id", "idempotency_key", "source", "subject", "stream",
)  # fmt: skip
_DECISIONS = ("rollout_decision", "rollout_action")

Place = Tuple[str, str]  # app and environment


class Item(NamedTuple):
    """A receipt of a rollout, or a run, an outcome, a judgment or a calibration, at its place in the log."""

    index: int
    receipt: Optional[Receipt]
    event: Optional[Event] = None
    judgment: Optional[Judgment] = None
    calibration: Optional[Calibration] = None
    fault: str = ""  # of what cannot be read


class Replay:
    """Takes the receipts of a log as they are verified, and replays them at the end."""

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self.items: Dict[Place, List[Item]] = {}
        self.read = 0
        self.whole_to = 0  # indexes below which no receipt is missing

    def seen(self, index: int, r: Receipt) -> None:
        if index == self.read == self.whole_to:
            self.whole_to = index + 1
        self.read += 1
        place = (r.source["app_id"], r.source["environment"])
        if r.kind in ("agent_run", "outcome", JUDGMENT, CALIBRATION):
            self.items.setdefault(place, []).append(_read(index, r))
        elif r.kind == "rollout_created" or r.kind in _DECISIONS:
            self.items.setdefault(place, []).append(Item(index, r))

    def finish(self, report: Report) -> Report:
        """Adds to a report what came of it. Only evidence that holds is recomputed."""
        if report.result not in (VERIFIED, UNDETERMINED):
            report.checks.append(_check(UNDETERMINED, "the evidence does not hold, so nothing was recomputed from it"))
            return report
        try:
            checks = self._checks()
        except Unreadable as e:
            checks = [_check(UNDETERMINED, str(e))]
        except Exception as e:  # whatever signed evidence may bring about, it was not recomputed then, and is not verified
            checks = [_check(UNDETERMINED, f"the replay failed: {type(e).__name__}: {e}")]
        statuses = [c["status"] for c in checks]
        if FAILED in statuses:
            report.result = FAILED
        elif UNDETERMINED in statuses:
            report.result = UNDETERMINED
        report.checks += checks
        return report

    def _checks(self) -> List[Json]:
        players = [Player(place, items, self.whole_to, self.processes) for place, items in sorted(self.items.items()) if any(i.receipt for i in items)]
        for p in players:
            p.play()
        out = [f for p in players for f in p.findings]
        skipped, decisions = sum(p.skipped for p in players), sum(p.decisions for p in players)
        if skipped:
            detail = f"{skipped} decisions could not be recomputed: their rollouts began before the evidence, another engine than {ENGINE} decided, "
            out.append(_check(UNDETERMINED, detail + "an earlier decision does not agree, or no rollout can have their policy"))
        beyond: Dict[str, int] = {}
        for p in players:
            for what, n in p.beyond.items():
                beyond[what] = beyond.get(what, 0) + n
        for what, n in sorted(beyond.items()):
            out.append(_check(UNDETERMINED, f"{n} decisions could not be recomputed: this verifier does not make {what}"))
        if not out and not decisions:
            out.append(_check(UNDETERMINED, "there is no decision of a rollout to recompute"))
        elif not out:
            out.append(_check(OK, f"{decisions} decisions recomputed from the runs, by engine {ENGINE}: the bytes are those that were signed"))
        return out


def _check(status: str, detail: str) -> Json:
    return {"check": CHECK, "status": status, "detail": detail}


def _read(index: int, r: Receipt) -> Item:
    try:
        if r.kind == JUDGMENT:
            return Item(index, None, judgment=judgment_of(index, r))
        if r.kind == CALIBRATION:
            return Item(index, None, calibration=calibration_of(r))
        return Item(index, None, Event(index, r))
    except Unreadable as e:
        return Item(index, None, fault=f"receipt {r.event_id}: {e}")


# What is read of receipts.


def _member(members: Json, name: str, kind: type, r: Receipt) -> Any:
    """A member, or its zero where there is none."""
    value = members.get(name)
    if value is None:
        return kind()
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or kind is int and not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise Unreadable(f"receipt {r.event_id}: member {name} has the wrong type")
    return value


_COHORT = {"runs": int, "first_index": int, "last_index": int, "digest": str}
_FAILURES = {"failures": int, "runs": int}
_LOOK = {
    **dict.fromkeys(("allowed", "critical", "information", "level", "statistic", "used"), float), "baseline": _FAILURES, "candidate": _FAILURES,
    **dict.fromkeys(("block", "boundary", "number", "score", "strata", "stratum"), int), "gate": str,
    **dict.fromkeys(("historical", "regressed", "tested"), bool),
}  # fmt: skip
_BLOCK = {**dict.fromkeys(("number", "stratum", "first_index", "last_index"), int), "runs_digest": str}
_FORM = {
    "reason": {"code": str, "params": dict, "text": str},
    "evidence": {
        **dict.fromkeys(("log_size", "step_seconds", "strata_omitted"), int), **dict.fromkeys(("ledger_digest", "state_digest", "seed"), str),
        "strata": [{"span": int, "candidate": _COHORT, "baseline": _COHORT}], "blocks": [_BLOCK], "looks": [_LOOK],
        "judgments": {"since": int, "next": int, "digest": str},
    },
}  # fmt: skip


class Subject(NamedTuple):
    rollout: str
    baseline: str
    candidate: str


def _subject(r: Receipt) -> Subject:
    s = _member(r.body, "subject", dict, r)
    return Subject(*(_member(s, name, str, r) for name in ("rollout_id", "baseline_release", "candidate_release")))


class HistoryRef(NamedTuple):
    """What a receipt says of a history."""

    runs: int
    first: int
    last: int
    digest: str


class Created:
    """What the receipt of a rollout's beginning says."""

    def __init__(self, r: Receipt) -> None:
        body = r.body
        self.subject = _subject(r)
        self.policy_digest, self.engine, self.continues = (_member(body, name, str, r) for name in ("policy_digest", "engine", "continues"))
        self.attempt, self.first_epoch, self.epoch = (_member(body, name, int, r) for name in ("attempt", "first_epoch", "epoch"))
        self.spent_before = _member(body, "spent_before", float, r)
        h = _member(body, "history", dict, r)
        self.history = HistoryRef(*(_member(h, name, int, r) for name in ("runs", "first_index", "last_index")), _member(h, "digest", str, r))
        self.policy_value = body.get("policy")
        self.policy: Optional[Policy] = None
        self.fault = ""  # of the policy
        try:
            self.policy = policy_of(self.policy_value)
        except Impossible as e:
            self.fault = str(e)
        except Unreadable as e:
            raise Unreadable(f"receipt {r.event_id}: {e}") from None
        mode = self.policy_value.get("mode") if isinstance(self.policy_value, dict) else None
        self.mode = mode if isinstance(mode, str) else ""

    @property
    def metrics(self) -> List[str]:
        return self.policy.metrics if self.policy else []


class Decided:
    """What the receipt of a decision says beside what is recomputed."""

    def __init__(self, r: Receipt) -> None:
        body = r.body
        if not has_form({name: body.get(name) for name in _FORM}, _FORM):
            raise Unreadable(f"receipt {r.event_id}: its reason or its evidence has a member of the wrong type")
        self.subject = _subject(r)
        self.engine, self.action, self.decision, self.mode = (
            _member(body, name, str, r) for name in ("engine", "action", "decision", "mode")
        )
        why = _member(_member(body, "reason", dict, r), "params", dict, r).get("operator_reason")
        self.why = why if isinstance(why, str) else ""
        self.ticked = body.get("evidence") is not None
        evidence = _member(body, "evidence", dict, r)
        self.log_size = _member(evidence, "log_size", int, r)
        self.seconds = _seconds(_member(evidence, "step_seconds", int, r))


def _seconds(n: int) -> int:
    """Seconds as a duration of 64 bits of nanoseconds holds them."""
    wrapped = (n * 10**9 + MAX_INT64 + 1) % (1 << 64) - MAX_INT64 - 1
    return wrapped // 10**9 if wrapped >= 0 else -(-wrapped // 10**9)


@dataclass
class Past:
    """The history of a rollout that is about to begin."""

    created: Created
    runs: int
    metrics: Dict[str, Summary]


@dataclass
class Played:
    """A rollout as it stands."""

    created: Created
    core: Optional[Rollout] = None
    since: int = 0  # the first log index of its evidence
    step_at: int = 0  # when its present step began, in nanoseconds
    done: int = 0  # its decisions so far
    next: Optional[Tuple[Rollout, Json]] = None  # what was computed and waits for its receipt
    left: Optional[Filling] = None  # the blocks of a rollout that was aborted
    broken: bool = False  # a decision did not agree, so that what follows cannot either, or no rollout can have its policy
    beyond: str = ""  # what of it this verifier does not recompute

    @property
    def known(self) -> bool:
        return not self.broken and not self.beyond


class Player:
    """Replays one app and environment."""

    def __init__(self, place: Place, items: List[Item], whole_to: int, processes: int) -> None:
        self.place, self.items, self.whole_to, self.processes = place, items, whole_to, processes
        self.findings: List[Json] = []
        self.decisions = self.skipped = 0
        self.beyond: Dict[str, int] = {}  # decisions that are not recomputed, by what stands in the way
        self.rollouts: Dict[str, Played] = {}
        self.ticks: Dict[str, List[Decided]] = {}
        self.pasts: Dict[str, Past] = {}
        self.waiting: Dict[str, Past] = {}  # of rollouts that have not begun
        self.due = 0  # the log size that the next tick had seen
        self.recorded: Dict[int, int] = {}  # of runs, by log index
        self.links: List[Tuple[int, int, str]] = []  # of runs and outcomes: log index, that of the run, release
        self.judgments: List[Judgment] = []
        self.calibrations: List[Calibration] = []

    def play(self) -> None:
        self._prepare()
        metrics = {m for past in self.pasts.values() for m in past.created.metrics}
        self.fold = Fold(metrics)
        for item in self.items:
            if item.fault:
                raise Unreadable(item.fault)
            self._tick_at(item.index)
            if item.event is not None:
                self._event(item.event)
            elif item.judgment is not None:
                self.judgments.append(item.judgment)
            elif item.calibration is not None:
                self.calibrations.append(item.calibration)
            elif item.receipt is not None and item.receipt.kind == "rollout_created":
                self._create(item.index, item.receipt)
            elif item.receipt is not None:
                self._decide(item.index, item.receipt)

    def _prepare(self) -> None:
        """Reads what each decision's tick had seen, because the tick comes before its receipt, and which runs are histories."""
        for item in self.items:
            if item.receipt is not None and item.receipt.kind == "rollout_created":
                created = Created(item.receipt)
                self.pasts[created.subject.rollout] = self.waiting[created.subject.rollout] = Past(created, 0, {})
            elif item.receipt is not None:
                decided = Decided(item.receipt)
                self.ticks.setdefault(decided.subject.rollout, []).append(decided)

    def _find(self, what: str, detail: str, index: Optional[int] = None, event_id: str = "", expected: str = "", found: str = "") -> None:
        if len(self.findings) >= _FINDINGS:
            return
        out = _check(FAILED, f"{what}: {detail}")
        out.update({name: v for name, v in (("expected", expected), ("found", found), ("event_id", event_id)) if v})
        if index is not None:
            out["log_index"] = index
        self.findings.append(out)

    # Runs.

    def _event(self, e: Event) -> None:
        try:
            self.fold.add(e)
        except Known as bad:
            self._find("run", str(bad), e.index, e.event_id)
            return
        run = self.fold.run_of(e) or e
        self.links.append((e.index, run.index, e.release))
        if not run.run_kind:
            return
        if e is run:
            self.recorded[e.index] = e.recorded
        for past in self.waiting.values():
            h = past.created.history
            if run.release != past.created.subject.baseline or not h.first <= run.index <= h.last:
                continue
            past.runs += e is run
            for name in past.created.metrics:
                if name in e.metrics:
                    past.metrics.setdefault(name, Summary()).add(e.metrics[name], run.unit())

    # Beginnings.

    def _create(self, index: int, r: Receipt) -> None:
        created = Created(r)
        played = Played(created)

        def bad(what: str, detail: str, expected: str, found: str) -> None:
            self._find(what, detail, index, r.event_id, expected, found)
            played.broken = True

        digest = hashlib.sha256(dump(created.policy_value)).hexdigest()
        if digest != created.policy_digest:
            bad("policy_digest", "the policy has another digest", digest, created.policy_digest)
        played.broken = played.broken or created.fault != ""
        self._begin(index, r, played, bad)
        self.rollouts[created.subject.rollout] = played
        self.waiting.pop(created.subject.rollout, None)
        self.due = 0

    def _begin(self, index: int, r: Receipt, played: Played, bad: Any) -> None:
        created, now = played.created, time_of(r)
        before = self.rollouts.get(created.continues)
        played.beyond = unsupported(created.policy) or (before.beyond if before else "")
        if created.continues and not played.beyond and (before is None or before.broken):
            bad("continues", "the rollout that it continues is not in the log, or does not replay", created.continues, "")
            return
        self._check_attempt(played, bad)
        history = NO_HISTORY
        if before is None:
            history = self._recall(played, now, bad) if not created.fault else NO_HISTORY
        elif created.policy_digest != before.created.policy_digest:
            bad("policy_digest", f"it continues {created.continues}, and under another policy", before.created.policy_digest, created.policy_digest)
        elif created.history != before.created.history:
            bad("history", f"it continues {created.continues}, and from another history", before.created.history.digest, created.history.digest)
        epoch = self._begin_epoch(index + 1, now, created)
        played.step_at = now
        if played.beyond or created.fault:
            return
        if before is None:
            self._begin_new(played, history, epoch, index + 1)
        else:
            self._go_on(played, before, epoch, index + 1, r)

    def _begin_epoch(self, index: int, now: int, created: Created) -> int:
        """Begins the rollout's span."""
        fold = self.fold
        opened = fold.open.number if fold.open else 0
        if not self.rollouts and opened != created.epoch - 1:  # a log that begins later lacks epochs, whose number is signed
            fold.rebase(created.epoch - 1, now)
        return fold.begin(now) if created.mode == "shadow" else fold.cut(index, now)

    def _begin_new(self, played: Played, history: History, epoch: int, index: int) -> None:
        s, p = played.created.subject, played.created.policy
        assert p is not None
        core = begun(s.rollout, s.baseline, s.candidate, p, history, index)
        played.core, played.since = replace(core, attempt=played.created.attempt), index
        block = first_block(p, history, epoch, index)
        self.fold.fillings.insert(0, Filling(s.rollout, s.baseline, s.candidate, block, []))

    def _go_on(self, played: Played, before: Played, epoch: int, index: int, r: Receipt) -> None:
        s = played.created.subject
        if before.left is None or before.core is None:
            raise Unreadable(f"receipt {r.event_id}: the rollout that it continues was not aborted")
        core = continued(s.rollout, before.core)
        played.core, played.since = replace(core, attempt=played.created.attempt, step_from=index), before.since
        filling = replace(before.left, rollout=s.rollout, baseline=s.baseline, candidate=s.candidate, closed=list(before.left.closed))
        self.fold.end(filling, epoch, index)
        filling.block.begin_step(core.weight(), index)
        self.fold.fillings.insert(0, filling)

    def _check_attempt(self, played: Played, bad: Any) -> None:
        """Holds what is signed about earlier attempts against those that were replayed. Whether there were any before the
        evidence, only a log that is whole from its first receipt can show."""
        created = played.created
        last = self._last_finished(created.subject.candidate, created.mode)
        if created.engine != ENGINE or last is None and (not self._whole() or created.continues) or last is not None and not last.known:
            return
        want: Tuple[str, int, float, int] = ("", 1, 0.0, created.epoch)
        if last is not None and last.core is not None and last.core.state != PROMOTED:
            c = last.created
            same = c.subject.baseline == created.subject.baseline and c.policy_digest == created.policy_digest
            want = ("", c.attempt + 1, c.spent_before + last.core.policy.error_budget, created.epoch)
            if last.core.state == ABORTED and same:
                want = (last.core.id, c.attempt, c.spent_before, c.first_epoch)
        found = (created.continues, created.attempt, created.spent_before, created.first_epoch)
        for what, a, b in zip(("continues", "attempt", "spent_before", "first_epoch"), want, found):
            if a != b:
                bad(what, "the rollouts of this candidate that ended before say otherwise", str(a), str(b))

    def _last_finished(self, candidate: str, mode: str) -> Optional[Played]:
        """The newest rollout of a candidate in a mode that has ended, or of which it is not known."""
        for id_ in sorted(self.rollouts, reverse=True):
            r = self.rollouts[id_]
            ended = r.core is not None and r.core.policy.mode == mode and r.core.state in FINISHED
            if r.created.subject.candidate == candidate and (not r.known or ended):
                return r
        return None

    def _whole(self) -> bool:
        """Whether the log is whole from its first receipt up to here."""
        return self.at < self.whole_to

    def _recall(self, played: Played, now: int, bad: Any) -> History:
        """The history, rebuilt from its runs and held against the digest that was signed, and its choice of runs against the rule."""
        created = played.created
        history = NO_HISTORY
        if created.history.runs:
            past = self.pasts[created.subject.rollout]
            history = History(past.runs, created.history.first, created.history.last, past.metrics)
            ref = _ref(history)
            if ref != created.history:
                detail = f"the baseline's history, runs of {quoted(created.subject.baseline)} from index {created.history.first} to "
                detail += f"{created.history.last}, is not the one that was signed"
                bad("history", detail, f"{ref.runs} runs, digest {ref.digest}", f"{created.history.runs} runs, digest {created.history.digest}")
        if self._whole() and not played.broken and created.engine == ENGINE and created.policy is not None:
            want, found = self._rule(created, created.policy, now), created.history[:3] if created.history.runs else (0, 0, 0)
            if want != found:
                expected, shown = ("%d runs from index %d to %d" % each for each in (want, found))
                bad("history", "the baseline's history is not of the runs that the rule takes", expected, shown)
        return history

    def _rule(self, created: Created, policy: Policy, now: int) -> Tuple[int, int, int]:
        """The runs of the history that the rule takes: how many, the first and the last."""
        runs = first = last = 0
        if policy.baseline != "auto" or policy.only_pairs:
            return 0, 0, 0
        for c in reversed(self.fold.cohorts_of(1, [created.subject.baseline])):
            if runs >= _HISTORY_RUNS or now - self.recorded[c.last] > _HISTORY_AGE:
                break
            last = last or c.last
            runs, first = runs + c.runs, c.first
        return (runs, first, last) if runs else (0, 0, 0)

    # Decisions.

    def _tick_at(self, index: int) -> None:
        """Ticks the rollouts whose next decision had seen the log up to here."""
        self.at = index
        if index < self.due:
            return
        self.due = MAX_INT64
        for id_ in sorted(self.rollouts):
            r, list_ = self.rollouts[id_], self.ticks.get(id_, [])
            if not r.known or r.next is not None or r.done >= len(list_) or not list_[r.done].ticked:
                continue
            if list_[r.done].log_size <= index:
                self._tick(r, list_[r.done])
            else:
                self.due = min(self.due, list_[r.done].log_size)

    def _tick(self, r: Played, decided: Decided) -> None:
        assert r.core is not None
        s = r.created.subject
        filling = self.fold.filling(r.core.id)
        closed = [b for b in filling.closed if b.number > r.core.ledger.block] if filling else []
        cohorts = self.fold.cohorts_of(r.created.first_epoch, [s.baseline, s.candidate])
        now = r.step_at + decided.seconds * 10**9
        judgments, calibration = self._heard(r.core, decided.log_size)
        seen = Seen(decided.log_size, decided.seconds, cohorts, closed, filling.block if filling else None, now, judgments, calibration, self.processes)
        try:
            after, d = tick(r.core, seen)
        except CannotTick as e:
            self._find("tick", str(e), decided.log_size)
            r.broken = True
            return
        r.next = (after, self._printed(r, after, d, seen))

    def _heard(self, core: Rollout, log_size: int) -> Tuple[List[Judgment], Optional[Calibration]]:
        """The judgments of a rollout's releases that its next tick reads, and one more where there are more; and what is known of who judged."""
        judged, asked = core.ledger.judged, core.policy.pairwise
        if judged is None or asked is None:
            return [], None
        settled: Set[Tuple[Judge, str]] = set()
        out: List[Judgment] = []
        for j in self.judgments:
            if (j.baseline, j.candidate) != (core.baseline, core.candidate) or not judged.since <= j.index < log_size:
                continue
            key = (j.judge, j.probe)
            if j.index >= judged.next and len(out) <= MOST_JUDGMENTS:
                out.append(j._replace(repeat=key in settled))
            if j.verdict != "none":
                settled.add(key)
        judge = judged.whose(asked, out[:MOST_JUDGMENTS])
        return out, newest(self.calibrations, judge)

    def _printed(self, r: Played, after: Rollout, d: Decision, seen: Optional[Seen]) -> Json:
        assert r.core is not None
        return {
            **printed(r.core, after, d, seen), "policy_digest": r.created.policy_digest, "spent_before": r.created.spent_before,
        }  # fmt: skip

    def _decide(self, index: int, receipt: Receipt) -> None:
        """Holds a decision's receipt against what was recomputed, and lets it happen."""
        s = Decided(receipt)
        r = self.rollouts.get(s.subject.rollout)
        if r is not None and s.engine != ENGINE:  # what another engine decided, this one cannot recompute
            r.broken = True
        if r is None or r.broken:
            self.skipped += 1
        elif r.beyond:
            self.beyond[r.beyond] = self.beyond.get(r.beyond, 0) + 1
        else:
            self._compare_with(index, receipt, s, r)
        self._happens(index, receipt, s, r)
        self.due = 0

    def _compare_with(self, index: int, receipt: Receipt, s: Decided, r: Played) -> None:
        assert r.core is not None
        if s.action and not s.ticked:
            try:
                after, d = operate(r.core, s.action, s.why)
            except CannotTick as e:
                self._find("action", str(e), index, receipt.event_id, "", s.action)
                r.broken = True
                return
            r.next = (after, self._printed(r, after, d, None))
        if r.next is None:
            self._find("log_size", "the tick had seen a log that had not come so far", index, receipt.event_id)
            r.broken = True
            return
        after, expected = r.next
        r.broken = self._differs(index, receipt, r, expected)
        self.decisions += not r.broken
        r.core, r.next, r.done = after, None, r.done + 1
        filling = self.fold.filling(after.id)
        if filling:  # what was looked at is not needed any more
            filling.closed = [b for b in filling.closed if b.number > after.ledger.block]

    def _differs(self, index: int, receipt: Receipt, r: Played, expected: Json) -> bool:
        """Compares each member that was recomputed with the bytes that were signed."""
        found = {name: value for name, value in receipt.body.items() if name not in _HEADER}
        differs = False
        for name in sorted({*expected, *found}):
            a = dump(expected[name]) if name in expected else b""
            b = dump(found[name]) if name in found else b""
            if a == b:
                continue
            differs = True
            what, detail = name, "recomputed from the runs it comes out otherwise"
            if name == "evidence" and name in expected and isinstance(found.get(name), dict):
                what, detail, a, b = self._explain(r, expected[name], found[name])
            self._find(what, detail, index, receipt.event_id, _short(a), _short(b))
        return differs

    def _explain(self, r: Played, here: Json, signed: Json) -> Tuple[str, str, bytes, bytes]:
        """Says which evidence differs: the first block, else the first cohort, else the ledger."""
        for what, name in (("block", "blocks"), ("stratum", "strata")):
            list_ = signed.get(name)
            for i, b in enumerate(list_ if isinstance(list_, list) else []):
                a = here[name][i] if i < len(here[name]) else None
                if dump(a) == dump(b):
                    continue
                detail = "the runs of the span add up to something else than what was signed"
                if what == "block":
                    detail = self._missing(r, b) or "the runs of the block are not those that were signed"
                return what, detail, dump(a) if a else b"", dump(b)
        return "ledger", "the looks or the state of the tests come out otherwise", dump(here), dump(signed)

    def _missing(self, r: Played, block: Any) -> str:
        """Finds the one run whose absence explains the digest of a block."""
        first, last = (block.get(name) if isinstance(block, dict) else None for name in ("first_index", "last_index"))
        if type(first) is not int or type(last) is not int or not 0 <= first <= last < first + _SEARCH:
            return ""
        s = r.created.subject
        sides = {s.baseline: BASELINE, s.candidate: CANDIDATE}
        here = [(i, sides[release]) for i, run, release in self.links if first <= i <= last and run >= r.since and release in sides]
        if len(here) > 512:
            return ""
        taken = {i for i, _ in here}
        before, at = b"", 0
        for index in range(first, last + 1):
            if index in taken:
                before, at = chained(before, *here[at]), at + 1
                continue
            for side in (CANDIDATE, BASELINE):
                digest = chained(before, index, side)
                for link in here[at:]:
                    digest = chained(digest, *link)
                if digest.hex() == block.get("runs_digest"):
                    return f"the run at log index {index} is missing"
        return ""

    def _happens(self, index: int, receipt: Receipt, s: Decided, r: Optional[Played]) -> None:
        """Does to epochs and blocks what a decision does."""
        if s.decision == "hold":
            return
        weight = 0
        if r is not None and r.core is not None:
            r.core, r.step_at = replace(r.core, step_from=index + 1), time_of(receipt)
            weight = r.core.weight()
            if r.core.state == ABORTED:
                self._leave(r, r.core)
            elif r.core.state in FINISHED:
                self.fold.forget(r.core.id)
        self.fold.end_step(s.subject.rollout, s.mode == "shadow", weight, index + 1, time_of(receipt))

    def _leave(self, r: Played, core: Rollout) -> None:
        """Keeps the blocks of a rollout that was aborted, for one that continues it."""
        filling = self.fold.filling(core.id)
        if filling:
            r.left = replace(filling, closed=[b for b in filling.closed if b.number > core.ledger.block])
        self.fold.forget(core.id)


def _short(text: bytes) -> str:
    shown = text.decode()
    return shown[:300] + "…" if len(shown) > 300 else shown


def _ref(h: History) -> HistoryRef:
    """The name of a history."""
    if h.runs == 0:
        return HistoryRef(0, 0, 0, "")
    metrics = ",".join(f'{_html(text_of(name))}:"{base64.b64encode(s.binary()).decode()}"' for name, s in sorted(h.metrics.items()))
    text = f'{{"runs":{h.runs},"first_index":{h.first},"last_index":{h.last},"metrics":{{{metrics}}}}}'
    return HistoryRef(h.runs, h.first, h.last, hashlib.sha256(text.encode()).hexdigest())


def _html(text: str) -> str:
    """A string with what HTML gives a meaning escaped, as in the text of a history."""
    return "".join(f"\\u{ord(c):04x}" if c in "<>&\u2028\u2029" else c for c in text)
