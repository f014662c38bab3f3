"""The error budget of a rollout: a sequential test of each gate that decides, and a digest that chains every look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .blocks import Block, history_counts, Tally, Pairs
from .canonical import dump
from .cohort import History
from .exact import Test
from .gatetest import GateTest
from .intervals import weight
from .judged import Judged, Judgment, judging
from .policy import MEAN, Gate, Policy


@dataclass
class Ledger:
    block: int  # the number of the last block that was looked at
    digest: str
    gates: List[GateTest]
    judged: Optional[Judged] = None  # the judge's gate, where the policy requires it

    def look(self, b: Block) -> Tuple["Ledger", List[Dict[str, Any]]]:
        """Tests one closed block on every gate: a look for each stratum that it holds."""
        digest, gates, looks = self.digest, list(self.gates), []
        for i, t in enumerate(gates):
            for part in b.parts(t.gate):
                if gates[i].test is None or gates[i].regressed or not part.comparable():
                    continue
                gates[i], look = gates[i].look(b.number, part)
                digest = _chained(digest, look)
                looks.append(look)
        return Ledger(b.number, digest, gates, self.judged), looks

    def hear(self, p: Policy, judgments: Sequence[Judgment]) -> Tuple["Ledger", List[Dict[str, Any]], bool]:
        """Takes judgments in order, to the most looks that a tick takes; and whether some were left."""
        if self.judged is None or p.pairwise is None:
            return self, [], False
        judged, looks, more = self.judged.take(p.pairwise, judgments)
        digest = self.digest
        for look in looks:
            digest = _chained(digest, look)
        return Ledger(self.block, digest, self.gates, judged), looks, more

    def state_digest(self) -> str:
        """Of the test of each gate, in the order of the policy, the judge's last."""
        tests = self.gates + ([self.judged.test] if self.judged else [])
        states = (t.test.state() if t.test else b"" for t in tests)
        return hashlib.sha256(b"".join(hashlib.sha256(s).digest() for s in states)).hexdigest()


def _chained(digest: str, look: Dict[str, Any]) -> str:
    return hashlib.sha256(digest.encode() + dump(look)).hexdigest()


def opened(p: Policy, h: History, index: int) -> Ledger:
    """The ledger of a policy before the first look. No evidence lies below a log index."""
    gates: List[GateTest] = []
    for g in p.gates:
        if not g.decides or p.guarantee != "rollout":
            gates.append(GateTest(g))
            continue
        budget = p.error_budget / _sharing(p, g.on)
        test = _test(g, p, h, budget)
        gates.append(GateTest(g, budget, test.planned() if test else 0.0, test))
    return Ledger(0, "", gates, judging(p, p.error_budget / _sharing(p, p.pairwise.on), index) if p.pairwise else None)


def _sharing(p: Policy, on: str) -> float:
    """How many gates share the error budget of a consequence; the judge's is one of them."""
    return float(sum(g.on == on for g in p.gates) + (p.pairwise is not None and p.pairwise.on == on))


def _test(g: Gate, p: Policy, h: History, budget: float) -> Optional[Test]:
    if g.statistic == MEAN:
        return None
    if g.pair:
        return Test(budget, p.planned_pairs, p.first_look)
    past = history_counts(g, h)
    x = Tally(g, None, past, Pairs()).failures(past)
    return Test(budget, p.planned, p.first_look, x, weight(p.min_runs * (len(p.steps) - 1), past.n))
