"""What the server answers, as far as a program acts on it. Members that stand here are there; others may be, too."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict

State = Literal["active", "paused", "promoted", "rolled_back", "aborted"]
Action = Literal["promote", "rollback", "hold"]
Outcome = Literal["regressed", "clean", "insufficient"]
Mode = Literal["shadow", "canary"]

#: The states that no tick can change any more.
FINISHED = ("promoted", "rolled_back", "aborted")


class Reason(TypedDict):
    """Says why: a code for machines, and the sentence rendered from it."""

    code: str
    text: str


class Decision(TypedDict, total=False):
    """One entry of a rollout's time line."""

    event_id: str
    sequence: int
    decision: Action
    #: An operator's action: promote, abort, pause or resume; absent for a tick.
    action: str
    reason: Reason
    mode: Mode
    state_before: State
    state: State
    step: int
    weight_before: int
    weight: int
    terminal: bool
    advisory: bool
    actor: str
    recorded_at: str
    log_index: int
    verdict: Outcome
    gates: List[Dict[str, Any]]


class Rollout(TypedDict):
    """A candidate release being ramped against a baseline release."""

    id: str
    app_id: str
    environment: str
    baseline_release: str
    candidate_release: str
    mode: Mode
    state: State
    #: True in shadow mode: the state is what canary mode would have reached.
    advisory: bool
    #: The present step, from 1.
    step: int
    #: The authorised weight in percent; None in shadow mode.
    weight: Optional[int]
    #: The weight that shadow mode would have authorised; None in canary mode.
    paper_weight: Optional[int]
    fresh_runs: int
    policy: Dict[str, Any]
    policy_digest: str
    ledger: Dict[str, Any]
    last_decision: Optional[Decision]
    sequence: int
    attempt: int
    created_at: str
    updated_at: str
    plan: Dict[str, Any]


class Verdict(TypedDict):
    """The result of comparing two cohorts on all gates."""

    verdict: Outcome
    gates: List[Dict[str, Any]]
    signals: List[Dict[str, Any]]
    checks: List[Dict[str, Any]]
    reason: Reason


class Tick(TypedDict):
    """The answer to an evaluation of one rollout."""

    rollout: Rollout
    decision: Decision
    verdict: Optional[Verdict]
    #: False when the rollout had ended before: nothing was looked at or written.
    ticked: bool


class GateAnswer(TypedDict):
    """The answer for a controller that polls."""

    rollout_id: str
    decision: Action
    state: State
    weight: Optional[int]
    reason: str


class _EvaluateResult(TypedDict):
    rollout_id: str


class EvaluateResult(_EvaluateResult, total=False):
    """One rollout's part of the answer to evaluating all: a tick, or the problem that kept it from one."""

    tick: Tick
    problem: Dict[str, Any]


class Comparison(TypedDict):
    """The answer to a comparison on demand."""

    app_id: str
    baseline: str
    candidate: str
    verdict: Verdict


class _Page(TypedDict, total=False):
    #: Asks for the next part of the list; absent on the last.
    next_cursor: str


class RolloutPage(_Page):
    """A part of the list of rollouts."""

    items: List[Rollout]


class DecisionPage(_Page):
    """A part of a time line."""

    items: List[Decision]


class WebhookData(TypedDict, total=False):
    """What to do. weight is the weight to set, in percent: 0 on a rollback."""

    rollout_id: str
    app_id: str
    environment: str
    candidate_release: str
    baseline_release: str
    weight: int
    #: True on full promotion and on rollback.
    terminal: bool
    decision_event_id: str
    #: Rises with each decision of a rollout.
    sequence: int
    reason: str
    #: True for a delivery that somebody asked for to try the receiver.
    test: bool


class WebhookEvent(TypedDict):
    """The body of a delivery."""

    event: Literal["rollout.promote", "rollout.rollback"]
    data: WebhookData
