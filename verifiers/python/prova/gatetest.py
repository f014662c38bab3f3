"""The sequential test of one gate with what its looks have spent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Optional, Tuple

from .blocks import Part
from .exact import HISTORICAL, PAIRED, CONCURRENT, Block as Counted, Look, Refused, Test
from .intervals import Share
from .policy import Gate


@dataclass
class GateTest:
    """The test of one gate between two looks. A new one is made at each."""

    gate: Gate
    budget: float = 0.0
    planned: float = 0.0
    test: Optional[Test] = None  # none of a gate that only warns
    last: Optional[Look] = None
    strata: int = 0  # epochs that were looked at, the history being one
    newest: int = 0
    past: bool = False  # the history was looked at
    regressed: bool = False
    reachable: bool = False  # some outcome of a look could have regressed

    def look(self, number: int, part: Part) -> Tuple["GateTest", Dict[str, Any]]:
        t = part.tally
        block = Counted(part.epoch, CONCURRENT, t.failures(t.candidate), t.failures(t.baseline))
        if self.gate.pair:  # a pair may reach over epochs
            block = block._replace(stratum=0, design=PAIRED)
        elif part.historical:  # one stratum: the history is shared
            block = Counted(0, HISTORICAL, block.candidate, Share(0, 0))
        assert self.test is not None
        test, look = self.test.look(block, part.margin())
        reachable = look.tested and (look.reachable or self._could_cross(block, part))
        new = self.last is None or block.stratum > self.newest or part.historical and not self.past
        after = replace(
            self, test=test, last=look, planned=test.planned(), strata=self.strata + new, newest=max(self.newest, block.stratum),
            past=self.past or part.historical, regressed=look.tested and look.regressed, reachable=self.reachable or reachable,
        )  # fmt: skip
        return after, after.printed(number)

    def _could_cross(self, block: Counted, part: Part) -> bool:
        """Whether the test would have crossed had every candidate run of the block failed. Of runs against the history the law does
        not depend on their failures, so that is the highest score, which was asked for."""
        assert self.test is not None
        if block.design == HISTORICAL:
            return False
        try:
            _, look = self.test.look(block._replace(candidate=Share(block.candidate.n, block.candidate.n)), part.margin())
        except Refused:
            return False
        return look.tested and look.regressed

    def printed(self, number: int) -> Dict[str, Any]:
        """The last look, of the block with this number, as it stands in a receipt."""
        assert self.last is not None
        look = self.last
        out = {
            "allowed": look.allowed, "baseline": _failures(look.block.baseline), "block": number, "boundary": look.boundary,
            "candidate": _failures(look.block.candidate), "gate": self.gate.id, "information": look.information, "level": look.level,
            "number": look.number, "regressed": look.tested and look.regressed, "score": look.score, "strata": self.strata,
            "stratum": look.block.stratum, "tested": look.tested, "used": look.used,
        }  # fmt: skip
        return {**out, "historical": True} if look.block.design == HISTORICAL else out

    def json(self) -> Dict[str, Any]:
        """How the gate's budget is shown."""
        look = self.last
        return {
            "budget": self.budget, "allowed": look.allowed if look else 0, "used": look.used if look else 0,
            "information": look.information if look else 0, "planned": self.planned, "score": look.score if look else 0,
            "boundary": look.boundary if look else 0, "looks": look.number if look else 0,
        }  # fmt: skip


def _failures(p: Share) -> Dict[str, int]:
    return {"failures": p.x, "runs": p.n}
