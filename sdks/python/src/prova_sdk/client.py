"""Drives rollouts: a client of the server's HTTP API."""

from __future__ import annotations

import json
import os
import urllib.parse
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union, cast

from ._http import Answer, Transport, segment
from ._receipt.canonical import BadJSON, Reader
from .errors import foreign, is_problem, refusal
from .models import Comparison, DecisionPage, EvaluateResult, GateAnswer, Mode, Rollout, RolloutPage, State, Tick

_ROLLOUTS = "/api/v1/rollouts"

# A gate as an object, or in its text form: latency_ms:p95:margin=10%:on=hold.
Gate = Union[str, Mapping[str, Any]]


class Client:
    """Speaks to one server. It is safe for concurrent use.

    api_key is taken from PROVA_API_KEY and base_url from PROVA_BASE_URL, or else is
    http://127.0.0.1:7788; timeout bounds one call, in seconds, besides what a call
    asks the server to wait. No redirect is followed and nothing is repeated: only the
    caller knows what may be. Reads and evaluations may.

    Every call may raise Unreachable if no answer came and Problem, or one of its
    kinds, if the server refuses. What is answered is a dict as the server wrote it.
    """

    def __init__(self, *, api_key: str = "", base_url: str = "", timeout: float = 60.0) -> None:
        key = api_key or os.environ.get("PROVA_API_KEY", "").strip()
        self._transport = Transport(base_url or os.environ.get("PROVA_BASE_URL", "").strip(), key, "prova-python", timeout)

    @property
    def base_url(self) -> str:
        """The address that the client speaks to."""
        return self._transport.base_url

    def create_rollout(
        self,
        *,
        app_id: str,
        baseline_release: str,
        candidate_release: str,
        environment: Optional[str] = None,
        mode: Optional[Mode] = None,
        steps: Optional[Sequence[int]] = None,
        min_runs: Optional[int] = None,
        gates: Optional[Sequence[Gate]] = None,
        attempt_reason: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        **policy: Any,
    ) -> Tuple[Rollout, bool]:
        """Declares a rollout; the second value is False when an equal unfinished one was there already and is returned.

        What is not given the server fills in and shows. policy takes the other members of
        the request, such as guarantee, error_budget or promote_on. Permission: rollout.manage.
        """
        request = {
            "app_id": app_id, "baseline_release": baseline_release, "candidate_release": candidate_release, "environment": environment,
            "mode": mode, "steps": steps, "min_runs": min_runs, "gates": gates, "attempt_reason": attempt_reason, "labels": labels, **policy,
        }  # fmt: skip
        answer = self._send("POST", _ROLLOUTS, body=request)
        return cast(Rollout, self._object(answer)), answer.status == 201

    def rollouts(
        self, *, app_id: str = "", environment: str = "", state: Optional[State] = None, limit: int = 0, cursor: str = ""
    ) -> RolloutPage:
        """Lists rollouts, newest first. Permission: release.read."""
        query = {"app_id": app_id, "environment": environment, "state": state or "", "limit": limit or "", "cursor": cursor}
        return cast(RolloutPage, self._get(_ROLLOUTS, query))

    def rollout(self, id: str) -> Rollout:
        """Reads one rollout without a tick. Permission: release.read."""
        return cast(Rollout, self._get(_path(id)))

    def await_rollout(self, id: str, since: int, wait: float) -> Rollout:
        """Reads one rollout as soon as its sequence is above since, or as it is after wait seconds. It never ticks.

        Permission: release.read.
        """
        query = {"since": since, "wait": f"{round(wait * 1000)}ms"}
        return cast(Rollout, self._object(self._send("GET", _path(id), query, wait=wait)))

    def evaluate(self, id: str) -> Tick:
        """Ticks one rollout. A tick that rolled the candidate back is an answer like any other. Permission: rollout.manage."""
        return cast(Tick, self._object(self._send("POST", _path(id) + "/evaluate", also=422)))

    def evaluate_all(self) -> List[EvaluateResult]:
        """Ticks every active rollout of the org. One that could not be ticked carries its problem and stops no other.

        Permission: rollout.manage.
        """
        answer = self._send("POST", _ROLLOUTS + "/evaluate")
        results = self._object(answer).get("results")
        if not isinstance(results, list):
            raise self._foreign(answer, "it has no results")
        return results

    def pause(self, id: str, reason: str) -> Rollout:
        """Stops a rollout from advancing; it may still roll back. Permission: rollout.manage."""
        return self._operate(id, "pause", reason)

    def resume(self, id: str, reason: str) -> Rollout:
        """Lets a paused rollout advance again. Permission: rollout.manage."""
        return self._operate(id, "resume", reason)

    def promote(self, id: str, reason: str) -> Rollout:
        """Overrides the verdict for one step. Permission: rollout.manage."""
        return self._operate(id, "promote", reason)

    def abort(self, id: str, reason: str) -> Rollout:
        """Ends a rollout and takes the candidate out of traffic. Permission: rollout.manage."""
        return self._operate(id, "abort", reason)

    def _operate(self, id: str, action: str, reason: str) -> Rollout:
        return cast(Rollout, self._object(self._send("POST", f"{_path(id)}/{action}", body={"reason": reason})))

    def decisions(self, id: str, *, limit: int = 0, cursor: str = "") -> DecisionPage:
        """Lists the time line of a rollout, oldest first. Permission: release.read."""
        return cast(DecisionPage, self._get(_path(id) + "/decisions", {"limit": limit or "", "cursor": cursor}))

    def gate(self, id: str, weight: int) -> GateAnswer:
        """Answers a controller that stands at weight percent, without a tick.

        It is promote if more is authorised, rollback if the candidate is out, else hold.
        Permission: release.read.
        """
        return cast(GateAnswer, self._get(_path(id) + "/gate", {"weight": weight}))

    def compare(
        self,
        *,
        app_id: str,
        baseline: str,
        candidate: str,
        environment: Optional[str] = None,
        gates: Optional[Sequence[Gate]] = None,
        confidence: Optional[float] = None,
        min_runs: Optional[int] = None,
        pair: Optional[str] = None,
    ) -> Comparison:
        """Asks whether a candidate is worse than a baseline on what has been recorded: one look, no rollout needed.

        pair is auto, probe or none. Permission: release.read.
        """
        request = {
            "app_id": app_id, "baseline": baseline, "candidate": candidate, "environment": environment,
            "gates": gates, "confidence": confidence, "min_runs": min_runs, "pair": pair,
        }  # fmt: skip
        return cast(Comparison, self._object(self._send("POST", "/api/v1/compare", body=request)))

    def receipt(self, event_id: str) -> bytes:
        """Reads one receipt, as the bytes that verify_receipt takes. Permission: audit.read."""
        answer = self._send("GET", "/api/v1/audit/receipts/" + segment(event_id))
        try:
            return _member(answer.data, "receipt")
        except BadJSON as e:
            raise self._foreign(answer, str(e)) from None

    def signing_keys(self) -> bytes:
        """The server's public keys, as verify_receipt takes them. Who trusts them got them over a channel that is trusted."""
        return self._send("GET", "/api/v1/keys").data

    def _get(self, path: str, query: Optional[Mapping[str, object]] = None) -> Dict[str, Any]:
        return self._object(self._send("GET", path, query))

    def _send(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, object]] = None,
        body: Optional[Mapping[str, Any]] = None,
        wait: float = 0,
        also: int = 0,
    ) -> Answer:
        """Sends a request and returns the answer if it is one; also is a further status whose body is the answer."""
        # An empty parameter would be a filter of its own.
        set_ = {name: value for name, value in (query or {}).items() if value != ""}
        if set_:
            path += "?" + urllib.parse.urlencode(set_)
        headers, data = {}, None
        if body is not None:
            headers["Content-Type"] = "application/json"
            given = {name: value for name, value in body.items() if value is not None}
            data = json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
        elif method == "POST":
            data = b""
        answer = self._transport.exchange(method, path, headers, data, wait)
        if 200 <= answer.status < 300 or answer.status == also and not is_problem(answer.headers):
            return answer
        raise refusal(self.base_url, answer.status, answer.headers, answer.data)

    def _object(self, answer: Answer) -> Dict[str, Any]:
        try:
            body = json.loads(answer.data)
        except (ValueError, RecursionError) as e:
            raise self._foreign(answer, str(e)) from None
        if not isinstance(body, dict):
            raise self._foreign(answer, "it is no object")
        return body

    def _foreign(self, answer: Answer, why: str) -> Exception:
        return foreign(self.base_url, answer.status, answer.headers, answer.data, why)


def _path(id: str) -> str:
    return f"{_ROLLOUTS}/{segment(id)}"


def _member(data: bytes, wanted: str) -> bytes:
    """The bytes of a member of an object, as they stand there: a receipt is never written anew."""
    reader = Reader(data, strict=False, depth=100)
    seen: Dict[str, Any] = {}
    if not reader.take(b"{"):
        raise reader.fault("not an object")
    while True:
        name = reader.name(seen)
        reader.peek()
        start = reader.pos
        seen[name] = reader.value()
        if name == wanted:
            return data[start : reader.pos]
        if not reader.take(b","):
            raise reader.fault(f"no member {wanted}")
