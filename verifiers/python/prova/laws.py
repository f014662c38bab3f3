"""Probability laws on the integers: what the exact test makes of the failures in a block.

A law is its lowest value and the probabilities from there on. A joint law is the
number of its first row and its rows, each a law or empty. No list is changed
once it is made.
"""

from __future__ import annotations

from math import sqrt
from typing import Callable, List, Tuple

from .floats import exp, log
from .intervals import Share

Law = Tuple[int, List[float]]
Joint = Tuple[int, List[Law]]

EMPTY: Law = (0, [])
CERTAIN: Law = (0, [1.0])
NEGLIGIBLE = 1e-120  # relative to the likeliest outcome
NODES = 41  # rates that a finished baseline may have had
_REFRESH = 16  # failures after which a posterior is computed anew


def _law(ratio: Callable[[int], float], lo: int, hi: int) -> Law:
    """The law on lo..hi whose neighbours stand in ratio(x) = P(x+1)/P(x)."""
    mode = _mode(ratio, lo, hi)
    below: List[float] = []
    r, x = 1.0, mode
    while x > lo:
        r /= ratio(x - 1)
        if r < NEGLIGIBLE:
            break
        below.append(r)
        x -= 1
    cells = below[::-1] + [1.0]
    first, r, x = x, 1.0, mode
    while x < hi:
        r *= ratio(x)
        if r < NEGLIGIBLE:
            break
        cells.append(r)
        x += 1
    return first, _normed(cells)


def _mode(ratio: Callable[[int], float], lo: int, hi: int) -> int:
    """The first value whose successor is no likelier."""
    while lo < hi:
        x = lo + (hi - lo) // 2
        if ratio(x) > 1:
            lo = x + 1
        else:
            hi = x
    return lo


def _normed(cells: List[float]) -> List[float]:
    total = 0.0
    for p in cells:
        total += p
    return [p / total for p in cells]


def hypergeometric(candidate: int, baseline: int, failures: int, odds: float) -> Law:
    """The candidate's failures among so many in a block, at odds that are so many times the baseline's."""
    rest = baseline - failures + 1

    def ratio(x: int) -> float:
        return float(candidate - x) * float(failures - x) / (float(x + 1) * float(rest + x)) * odds

    return _law(ratio, max(0, failures - baseline), min(failures, candidate))


def binomial(runs: int, odds: float) -> Law:
    return _law(lambda x: float(runs - x) / float(x + 1) * odds, 0, runs)


def whole_binomial(runs: int, odds: float) -> List[float]:
    """As binomial, on all of 0..runs."""

    def ratio(x: int) -> float:
        return float(runs - x) / float(x + 1) * odds

    mode = _mode(ratio, 0, runs)
    cells = [0.0] * (runs + 1)
    cells[mode] = r = 1.0
    for x in range(mode, 0, -1):
        r /= ratio(x - 1)
        cells[x - 1] = r
    r = 1.0
    for x in range(mode, runs):
        r *= ratio(x)
        cells[x + 1] = r
    return _normed(cells)


# Laws of a score.


def convolved(score: Law, block: Law, step: int) -> Law:
    """The law of Z + step·X: additions in rising order of X."""
    (lo, cells), (first, chances) = score, block
    size = len(cells) + (len(chances) - 1) * step
    return lo + step * first, _summed([(i * step, cells, p) for i, p in enumerate(chances)], size)


def _summed(parts: List[Tuple[int, List[float], float]], size: int) -> List[float]:
    """The sum, place by place and in the order of the parts, of cells that stand at a place, each times a factor.

    Four parts are added in one pass, which is what makes this bearable. Where a
    part has no cell 0 is added, and that changes no bit of a sum that is not negative.
    """
    out = [0.0] * size
    for i in range(0, len(parts), 4):
        four = parts[i : i + 4]
        lo = min(at for at, _, _ in four)
        hi = max(at + len(cells) for at, cells, _ in four)
        four += [(lo, [], 0.0)] * (4 - len(four))
        a, b, c, d = ([0.0] * (at - lo) + cells + [0.0] * (hi - at - len(cells)) for at, cells, _ in four)
        pa, pb, pc, pd = (p for _, _, p in four)
        out[lo:hi] = [o + pa * qa + pb * qb + pc * qc + pd * qd for o, qa, qb, qc, qd in zip(out[lo:hi], a, b, c, d)]
    return out


def trimmed(law: Law, below: float, above: float = 0.0) -> Law:
    lo, cells = law
    a, b = 0, len(cells)
    while b - a > 1 and cells[a] < below:
        a += 1
    while b - a > 1 and cells[b - 1] < above:
        b -= 1
    return lo + a, cells[a:b]


def halved(law: Law) -> Law:
    """The law of Z div 2."""
    lo, cells = law
    if lo & 1:
        cells = [0.0] + cells
    if len(cells) & 1:
        cells = cells + [0.0]
    return lo >> 1, [a + b for a, b in zip(cells[::2], cells[1::2])]


def tail(law: Law, z: int) -> float:
    """P(Z >= z), summed from the top, where the terms are smallest."""
    lo, cells = law
    total = 0.0
    for p in reversed(cells[max(z - lo, 0) :]):
        total += p
    return total


# Joint laws.


def each(j: Joint, f: Callable[[Law], Law]) -> Joint:
    return j[0], [f(row) if row[1] else EMPTY for row in j[1]]


def top(j: Joint) -> int:
    return max([lo + len(cells) - 1 for lo, cells in j[1] if cells], default=0)


def bottom(j: Joint) -> int:
    return min([lo for lo, cells in j[1] if cells], default=0)


def size(j: Joint) -> int:
    return sum(len(cells) for _, cells in j[1])


def flat(j: Joint) -> Law:
    """The law of the score alone."""
    if len(j[1]) == 1:
        return j[1][0]
    lo = bottom(j)
    return lo, _summed([(first - lo, cells, 1.0) for first, cells in j[1] if cells], top(j) - lo + 1)


def cut(j: Joint, boundary: int) -> Joint:
    """Leaves out the scores from a boundary on."""
    rows = [(lo, cells[: max(boundary - lo, 0)]) for lo, cells in j[1]]
    return j[0], [row if row[1] else EMPTY for row in rows]


def extended(j: Joint, laws: List[List[float]], laws_first: int, m: int, step: int) -> Joint:
    """Adds m runs against the history: each failure leads on by a row. laws are those of the failures, for each row."""
    first, rows = j
    out: List[Law] = []
    for i in range(len(rows) + m):
        least = max(0, i - len(rows) + 1)
        parts = [(x, rows[i - x], laws[first + i - x - laws_first][x]) for x in range(least, min(m, i) + 1) if rows[i - x][1]]
        if not parts:
            out.append(EMPTY)
            continue
        lo = min(row[0] + step * x for x, row, _ in parts)
        size = max(row[0] + len(row[1]) + step * x for x, row, _ in parts) - lo
        out.append((lo, _summed([(row[0] + step * x - lo, row[1], p) for x, row, p in parts], size)))
    return first, out


def without_small(j: Joint, floor: float, numbered: bool) -> Tuple[Joint, float]:
    """Leaves out small cells at both ends of each row, and where rows are numbered the empty ones at both ends; what was lost."""
    first, rows, lost = j[0], [], 0.0
    for lo, cells in j[1]:
        a, b = 0, len(cells)
        while a < b and cells[a] < floor:
            lost += cells[a]
            a += 1
        while b > a and cells[b - 1] < floor:
            lost += cells[b - 1]
            b -= 1
        rows.append((lo + a, cells[a:b]) if a < b else EMPTY)
    a, b = 0, len(rows)
    while numbered and b - a > 1 and not rows[a][1]:
        a += 1
    while numbered and b - a > 1 and not rows[b - 1][1]:
        b -= 1
    return (first + a, rows[a:b]), lost


def cropped(j: Joint, floor: float) -> Joint:
    """Leaves out the scores at both ends at which no row has so much."""
    large = [lo + i for lo, cells in j[1] for i, p in enumerate(cells) if p >= floor]
    lo, hi = min(large, default=0), max(large, default=-1)
    rows = [(max(l, lo), c[max(lo - l, 0) : max(hi - l + 1, 0)]) for l, c in j[1]]
    return 0, [row if row[1] else EMPTY for row in rows]


# A finished baseline.


class Node:
    """A rate that a finished baseline may have had, with the margin on top."""

    __slots__ = ("weight", "log_weight", "odds", "log_rate", "log_rest")

    def __init__(self, rate: float, rest: float, absolute: float, ratio: float) -> None:
        self.weight = self.log_weight = 0.0
        if absolute > 0:
            rate = min(rate + absolute, 1 - 1e-9)
            rest = 1 - rate
        self.odds = rate / rest
        if ratio != 1:
            self.odds *= ratio
            rate, rest = self.odds / (1 + self.odds), 1 / (1 + self.odds)
        self.log_rate, self.log_rest = log(rate), log(rest)


def nodes_of(history: Share, absolute: float, ratio: float) -> List[Node]:
    """The base rate after the history, as a mixture of rates: Beta(x+1, n-x), evenly spaced in the logarithm of the odds."""
    a, b = float(history.x) + 1, float(history.n - history.x) or 0.5
    centre, spread = log(a / b), sqrt(1 / a + 1 / b)
    nodes: List[Node] = []
    for j in range(NODES):
        theta = centre + spread * (-8 + 14 * float(j) / 40)
        down, up = 1 + exp(-theta), 1 + exp(theta)
        node = Node(1 / down, 1 / up, absolute, ratio)
        node.weight = -(a * log(down)) - b * log(up)
        nodes.append(node)
    greatest = max(n.weight for n in nodes)
    total = 0.0
    for n in nodes:
        n.weight = exp(n.weight - greatest)
        total += n.weight
    for n in nodes:
        n.weight /= total
        n.log_weight = log(n.weight)
    return nodes


def posteriors(nodes: List[Node], failures: int, runs: int, count: int) -> List[List[float]]:
    """What is believed of the nodes after failures, failures+1, … in so many runs, up to a factor."""
    out: List[List[float]] = []
    age = _REFRESH
    for x in range(failures, failures + count):
        if age == _REFRESH:
            logs = [n.log_weight + float(x) * n.log_rate + float(runs - x) * n.log_rest for n in nodes]
            greatest, age = max(logs), 0
            p = [exp(v - greatest) for v in logs]
        else:
            p = [v * n.odds for v, n in zip(p, nodes)]
        out.append(p)
        age += 1
    return out


def _dot(a: List[float], b: List[float]) -> float:
    s = [a[40] * b[40], 0.0, 0.0, 0.0]
    for i in range(4):
        total = s[i]
        for v, w in zip(a[i:40:4], b[i:40:4]):
            total += v * w
        s[i] = total
    return (s[0] + s[1]) + (s[2] + s[3])


def shares(p: List[float]) -> List[float]:
    """A posterior that adds up to 1."""
    scale = 1 / _dot(p, [1.0] * NODES)
    return [v * scale for v in p]


def by_node(j: Joint, nodes: List[Node], runs: int) -> Joint:
    """Turns a law with a row for each number of failures in runs against the history into one with a row for each node."""
    lo, hi = bottom(j), top(j)
    every = [shares(p) for p in posteriors(nodes, j[0], runs, len(j[1]))]
    rows = [(i, l - lo, cells) for i, (l, cells) in enumerate(j[1]) if cells]
    return 0, [(lo, _summed([(at, cells, every[i][k]) for i, at, cells in rows], hi - lo + 1)) for k in range(NODES)]


def predictions(nodes: List[Node], first: int, runs: int, count: int, m: int) -> List[List[float]]:
    """The laws of the failures in m more runs, after first, first+1, … failures in runs."""
    by_failures = [list(column) for column in zip(*(whole_binomial(m, n.odds) for n in nodes))]
    return [_normed([_dot(p, column) for column in by_failures]) for p in posteriors(nodes, first, runs, count)]
