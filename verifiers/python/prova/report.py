"""What a verification found, check by check."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .receipt import CheckFailed

# Results, and how the program exits with them.
VERIFIED = "verified"  # 0: every check was made and holds
FAILED = "failed"  # 1: the evidence is bad
MALFORMED = "malformed"  # 2: the input is not what it should be
UNDETERMINED = "undetermined"  # 3: nothing failed, and something could not be checked
OK = "ok"  # the status of a check that holds

MAX_FAILURES = 100


class Report:
    """A report never says verified when nothing was checked."""

    def __init__(self, pinned: bool) -> None:
        self.result = ""
        self.keys_pinned = pinned
        self.org = ""
        self.scope = ""  # of a bundle: what it is about
        self.from_ = 0
        self.receipts = 0
        self.size = 0
        self.witnessed = False  # a policy asks for cosignatures
        self.checks: List[Dict[str, Any]] = []
        self.omitted = 0
        self.status: Dict[str, str] = {}  # the worst of each check
        self._failed = False
        self._malformed = False

    def add(self, check: str, status: str, detail: str = "", expected: str = "", found: str = "",
            index: Optional[int] = None, event_id: str = "") -> None:  # fmt: skip
        self._failed = self._failed or status == FAILED
        self._list(check, status, detail, expected, found, index, event_id)

    def _list(self, check: str, status: str, detail: str, expected: str, found: str, index: Optional[int], event_id: str) -> None:
        old = self.status.get(check, "")
        if old in ("", OK) or old == UNDETERMINED and status == FAILED:
            self.status[check] = status
        if status != OK and len(self.checks) >= MAX_FAILURES:
            self.omitted += 1
            return
        entry: Dict[str, Any] = {"check": check, "status": status}
        entry.update({k: v for k, v in (("expected", expected), ("found", found), ("detail", detail)) if v})
        if index is not None:
            entry["log_index"] = index
        if event_id:
            entry["event_id"] = event_id
        self.checks.append(entry)

    def settle(self, check: str, detail: str) -> None:
        """Adds a success for a check of which nothing else was said."""
        if check not in self.status:
            self.add(check, OK, detail)

    def fail(self, e: CheckFailed, status: str = FAILED, index: Optional[int] = None, event_id: str = "") -> None:
        self._malformed = self._malformed or e.malformed
        self._failed = self._failed or status == FAILED and not e.malformed
        self._list(e.check, FAILED if e.malformed else status, e.detail, e.expected, e.found, index, event_id)

    def broken(self, check: str, detail: str, index: Optional[int] = None) -> None:
        """Adds a failure of form, which makes the result malformed unless some evidence turns out bad."""
        self._malformed = True
        self._list(check, FAILED, detail, "", "", index, "")

    def finish(self, *required: str) -> "Report":
        """Decides the result. Verified takes a success of every required check: that none failed is not enough."""
        required += ("witnesses",) if self.witnessed else ()
        if self._failed:
            self.result = FAILED
        elif self._malformed:
            self.result = MALFORMED
        elif any(s != OK for s in self.status.values()) or any(self.status.get(name) != OK for name in required):
            self.result = UNDETERMINED
        else:
            self.result = VERIFIED
        return self

    def json(self) -> Dict[str, Any]:
        out: Dict[str, Any] = {"result": self.result, "keys_pinned": self.keys_pinned}
        if self.org:
            out["org"] = self.org
        if self.scope:
            out["scope"] = self.scope
        out.update({"from": self.from_, "receipts": self.receipts, "size": self.size, "checks": self.checks})
        if self.omitted:
            out["omitted"] = self.omitted
        return out
