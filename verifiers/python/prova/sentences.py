"""Numbers as sentences show them."""

from __future__ import annotations

from .policy import RATE, Gate


def shown_value(g: Gate, v: float) -> str:
    """A value of the gate's metric: 90.4 %, 812 ms."""
    return percentage(v) if g.statistic == RATE else (amount(v) + " " + _unit(g.metric)).rstrip()


def percentage(v: float) -> str:
    return f"{v * 100:.1f} %"


def shown_change(g: Gate, v: float) -> str:
    """A signed amount with its unit."""
    if g.statistic == RATE:
        return _signed(g, v) + " points"
    return (_signed(g, v) + " " + _unit(g.metric)).rstrip()


def shown_difference(g: Gate, estimate: float, lo: float, hi: float, open_: str = "") -> str:
    """A difference with its interval: −13.7 points (−31.0 … +1.2). A limit that so few runs do not have is marked."""
    low, high = _signed(g, lo), _signed(g, hi)
    if open_ in ("lo", "both"):
        low = "<" + low
    if open_ in ("hi", "both"):
        high = ">" + high
    return f"{shown_change(g, estimate)} ({low} … {high})"


def shown_margin(g: Gate, margin: float) -> str:
    """How far a gate may go."""
    if g.margin == 0:
        return "zero"
    if g.relative:
        return "the margin of " + g.margin_text()
    text = shown_change(g, margin)
    return "the margin of " + (text[1:] if text.startswith("+") else text)


def _signed(g: Gate, v: float) -> str:
    text = f"{abs(v) * 100:.1f}" if g.statistic == RATE else amount(abs(v))
    if not text.strip("0."):
        return text
    return ("−" if v < 0 else "+") + text


def amount(v: float) -> str:
    """Three significant digits of a small number, and the whole part of a large one."""
    a = abs(v)
    if a >= 100 or a == 0:
        return f"{v:.0f}"
    if a >= 10:
        return f"{v:.1f}"
    if a >= 1:
        return f"{v:.2f}"
    decimals = 2
    while a < 1 and decimals < 12:
        a *= 10
        decimals += 1
    return f"{v:.{decimals}f}"


def _unit(metric: str) -> str:
    if metric.endswith("_ms"):
        return "ms"
    if metric.endswith("_usd"):
        return "USD"
    return "tokens" if metric == "tokens" or metric.endswith("_tokens") else ""


def about(seconds: int) -> str:
    """A span of time in one unit."""
    if seconds < 90:
        return f"{max(seconds, 1)} s"
    if seconds < 90 * 60:
        return f"{(seconds + 30) // 60} min"
    if seconds < 48 * 3600:
        return f"{(seconds + 1800) // 3600} h"
    return f"{(seconds + 43200) // 86400} days"
