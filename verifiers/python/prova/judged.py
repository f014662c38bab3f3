"""What the judge's gate has seen: judgments in log order, each pair once, tested in blocks that close by counts of pairs."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .exact import PAIRED, Block as Counted, Margin, Test
from .gatetest import GateTest
from .intervals import Share
from .policy import RATE, Gate, Judge, Pairwise, Policy

PAIRWISE = "pairwise"  # the judge's gate in a ledger
MOST_JUDGMENTS = 1000  # that a tick reads
_BLOCK = 5  # pairs with a verdict that close a block
_GROWTH = 1.05  # of the decided pairs, beyond the plan
_LOOKS = 20  # at judgments, of one tick
_MOST_FIRST_LOOK = 30


class ReadBefore(ValueError):
    """A judgment that was read already."""


class Answer(NamedTuple):
    """What a judge said of a pair in one order."""

    first: str  # whose answer was shown first
    verdict: str  # first, second, tie or none

    def preference(self) -> str:
        if self.verdict == "first":
            return self.first
        if self.verdict == "second":
            return "baseline" if self.first == "candidate" else "candidate"
        return "tie" if self.verdict == "tie" else "none"


class Judgment(NamedTuple):
    """A recorded judgment of two releases."""

    index: int
    recorded: int  # nanoseconds
    baseline: str
    candidate: str
    probe: str
    judge: Judge
    verdict: str
    answers: Tuple[Answer, ...]
    baseline_chars: Optional[int]  # the lengths of the two answers, if they are known
    candidate_chars: Optional[int]
    repeat: bool = False  # since the evidence began this judge had given a verdict on the pair before


@dataclass
class Figures:
    """What judgments add up to. A pair counts once, by its first verdict."""

    wins: int = 0
    losses: int = 0
    ties: int = 0
    no_verdict: int = 0
    repeats: int = 0
    both_orders: int = 0
    agreed: int = 0
    first_twice: int = 0
    second_twice: int = 0
    longer_wins: int = 0
    longer_known: int = 0

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    def add(self, j: Judgment) -> None:
        if j.repeat:
            self.repeats += 1
            return
        if j.verdict == "none":
            self.no_verdict += 1
            return
        self.wins += j.verdict == "candidate"
        self.losses += j.verdict == "baseline"
        self.ties += j.verdict == "tie"
        if len(j.answers) == 2:
            self._add_orders(*j.answers)
        b, c = j.baseline_chars, j.candidate_chars
        if j.verdict != "tie" and b is not None and c is not None and b != c:
            self.longer_known += 1
            self.longer_wins += (c > b) == (j.verdict == "candidate")

    def _add_orders(self, a: Answer, b: Answer) -> None:
        self.both_orders += 1
        if a.preference() == b.preference():
            self.agreed += 1
            return
        self.first_twice += a.verdict == b.verdict == "first"
        self.second_twice += a.verdict == b.verdict == "second"

    def json(self) -> Dict[str, int]:
        return asdict(self)


@dataclass
class Judged:
    """The judge's gate between two ticks. take makes another one and leaves this as it was."""

    since: int  # the first log index of the evidence
    next: int  # the first one that was not read yet
    test: GateTest
    judge: Optional[Judge] = None  # that of the first judgment that counted
    figures: Figures = field(default_factory=Figures)
    other: int = 0  # judgments of other judges
    newest: Optional[int] = None  # when the newest verdict was recorded, in nanoseconds
    digest: bytes = b""
    block: int = 0  # closed blocks
    closed: int = 0  # decided pairs in them
    pairs: int = 0  # with a verdict, in the block being filled
    wins: int = 0
    losses: int = 0

    def counts(self, p: Pairwise, judge: Judge) -> bool:
        """Whether a judge is the one that is asked for, and that was counted so far."""
        if self.judge is not None:
            return judge == self.judge
        return p.judge is None or all(wanted in ("", found) for wanted, found in zip(p.judge, judge))

    def whose(self, p: Pairwise, judgments: Sequence[Judgment]) -> Optional[Judge]:
        """The judge that counts once these judgments are read."""
        return self.judge or next((j.judge for j in judgments if self.counts(p, j.judge)), None)

    def take(self, p: Pairwise, judgments: Sequence[Judgment]) -> Tuple["Judged", List[Dict[str, Any]], bool]:
        """Reads judgments until so many looks were taken, and says whether some were left."""
        after = replace(self, figures=replace(self.figures))
        looks: List[Dict[str, Any]] = []
        for j in judgments:
            if len(looks) == _LOOKS:
                return after, looks, True
            if j.index < after.next:
                raise ReadBefore(f"the judgment at log index {j.index} was read before")
            after._add(p, j)
            look = after._close(p)
            looks += [look] if look else []
        return after, looks, False

    def _add(self, p: Pairwise, j: Judgment) -> None:
        self.next = j.index + 1
        self.digest = hashlib.sha256(self.digest + j.index.to_bytes(8, "big") + j.verdict.encode()).digest()
        if not self.counts(p, j.judge):
            self.other += 1
            return
        self.judge = self.judge or j.judge
        self.figures.add(j)
        if j.verdict == "none":
            return
        self.newest = j.recorded  # of a repeat too
        if j.repeat:
            return
        self.pairs += 1
        self.wins += j.verdict == "candidate"
        self.losses += j.verdict == "baseline"

    def _full(self, p: Pairwise) -> bool:
        """By the pairs, ties too, and past the plan only once there are enough more of them."""
        before, after = float(self.closed), float(self.closed + self.wins + self.losses)
        return self.pairs >= _BLOCK and (self.closed < p.min_pairs or after >= _GROWTH * before)

    def _close(self, p: Pairwise) -> Optional[Dict[str, Any]]:
        """Closes the block if it is full, and tests it unless it holds ties alone, which say nothing."""
        if not self._full(p):
            return None
        wins, losses = self.wins, self.losses
        self.block += 1
        self.closed += wins + losses
        self.pairs = self.wins = self.losses = 0
        if wins + losses == 0 or self.test.test is None or self.test.regressed:
            return None
        return self._look(wins, losses)

    def _look(self, wins: int, losses: int) -> Dict[str, Any]:
        """Given that one side won a pair, each is as likely to be it, unless the candidate is worse."""
        t = self.test
        assert t.test is not None
        pairs = wins + losses
        test, look = t.test.look(Counted(0, PAIRED, Share(losses, pairs), Share(wins, pairs)), Margin())
        self.test = replace(
            t, test=test, last=look, planned=test.planned(), strata=1, regressed=look.tested and look.regressed,
            reachable=t.reachable or look.tested and look.reachable,
        )  # fmt: skip
        return {**self.test.printed(self.block), "gate": PAIRWISE}

    def ref(self) -> Dict[str, Any]:
        """The name of the judgments that were read."""
        return {"since": self.since, "next": self.next, "digest": self.digest.hex()}


def judging(p: Policy, budget: float, index: int) -> Judged:
    """The judge's gate before the first judgment, from a log index on."""
    assert p.pairwise is not None
    test = GateTest(Gate(PAIRWISE, RATE, "higher", 0.0, False, "probe", p.pairwise.on))
    if p.guarantee == "rollout":
        pairs = p.pairwise.min_pairs
        t = Test(budget, float(pairs) / 2, min(pairs, _MOST_FIRST_LOOK))
        test = replace(test, budget=budget, planned=t.planned(), test=t)
    return Judged(index, index, test)
