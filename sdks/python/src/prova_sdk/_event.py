"""An event on its way to the server, and what of it can be sent."""

from __future__ import annotations

import datetime
import json
import numbers
import time
import unicodedata
from typing import Any, Dict, Optional, Union

from ._receipt.canonical import BadJSON, Reader
from ._settings import MAX_DEPTH, MAX_EVENT, MAX_NAME

AGENT_RUN, OUTCOME = "agent_run", "outcome"

# What an event without its values takes, in bytes, roughly.
EVENT_SIZE = 512

# The largest whole number that every reader of JSON understands alike.
MAX_WHOLE = 2**53 - 1

Metric = Union[bool, int, float]

_METRIC = "a metric is true, false or a finite number; leave out what was not measured"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Refused(ValueError):
    """Why a value cannot be sent."""


def metric_of(value: Any) -> Metric:
    """A value as a metric: a boolean, or a number up to 2^53-1 in either direction. Raises Refused."""
    kind = type(value)
    if kind is bool:
        return value  # type: ignore[no-any-return]
    number: Metric
    if kind is float or kind is int:
        number = value
    elif isinstance(value, int):
        number = int(value)
    elif isinstance(value, float):
        number = float(value)
    elif kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
        return bool(value)
    elif isinstance(value, datetime.timedelta):
        raise Refused("a timedelta has no unit of its own; give a number, such as milliseconds for latency_ms")
    elif isinstance(value, numbers.Integral):
        number = int(value)
    elif isinstance(value, numbers.Real):
        number = _shortest(value)
    else:
        raise Refused(f"it is a {kind.__name__}; {_METRIC}")
    if not -MAX_WHOLE <= number <= MAX_WHOLE:
        if isinstance(number, int):
            raise Refused("it is beyond ±(2^53-1), where numbers lose digits; choose another unit")
        if number != number or number in (float("inf"), float("-inf")):
            raise Refused(f"it is {number!r}; {_METRIC}")
        raise Refused(f"it is {number!r}, and beyond ±(2^53-1) numbers lose digits; choose another unit")
    return number


def _shortest(value: Any) -> float:
    """The number that a foreign float shows: 0.1 in 32 bits is to stay 0.1."""
    try:
        return float(str(value))
    except ValueError:
        raise Refused(f"it is a {type(value).__name__}; {_METRIC}") from None


def check_name(what: str, name: Any) -> str:
    """Refuses what cannot name anything: an empty or over-long text, a control character or line separator, a lone surrogate."""
    if not isinstance(name, str):
        raise Refused(f"{what} is a {type(name).__name__}; want a str")
    if not name:
        raise Refused(f"{what} is empty")
    if len(name) <= MAX_NAME and name.isascii() and name.isprintable():
        return name
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Refused(f"{what} is not valid Unicode") from None
    if size > MAX_NAME:
        raise Refused(f"{what} has {size} bytes, the most is {MAX_NAME}")
    if any(unicodedata.category(c) == "Cc" or c in "\u2028\u2029" for c in name):
        raise Refused(f"{what} {name!a} holds a control character")
    return name


def value_of(value: Any) -> bytes:
    """A payload field or an attribute as JSON, as it is now. Raises Refused."""
    try:
        data = _encode(value).encode()
    except UnicodeEncodeError:
        raise Refused("it holds a lone surrogate, which is no Unicode text") from None
    except Exception as e:  # noqa: BLE001 - a method of the value may raise anything
        raise Refused(f"it cannot be written as JSON: {_text(e)}") from None
    if len(data) > MAX_EVENT:
        raise Refused(f"it has {len(data)} bytes, and a run at most {MAX_EVENT}")
    return data


def _text(e: Exception) -> str:
    try:
        return str(e)
    except Exception:  # noqa: BLE001
        return type(e).__name__


def check_value(data: bytes) -> None:
    """Refuses what has no canonical form, which is what is signed: numbers that lose digits, one name twice."""
    reader = Reader(data, strict=True, depth=MAX_DEPTH - 2)  # the value stands two levels deep in the event
    try:
        reader.value()
    except BadJSON as e:
        raise Refused(str(e)) from None


class Item:
    """One event. Whoever took it out of the queue owns it; the queue still counts it until it is settled."""

    __slots__ = ("kind", "head", "payload", "attributes", "line", "size", "at", "since_1970")

    def __init__(self, kind: str, head: Dict[str, Any], payload: Dict[str, bytes], attributes: Dict[str, bytes]) -> None:
        self.kind, self.head, self.payload, self.attributes = kind, head, payload, attributes
        #: The event as it is sent, once it was written: the same bytes each time.
        self.line: Optional[bytes] = None
        #: When it came in: by the clock that only goes on, and in nanoseconds since 1970.
        self.at, self.since_1970 = time.monotonic(), time.time_ns()
        size = EVENT_SIZE
        for name in head["metrics"]:
            size += len(name) + 24
        for values in (payload, attributes):
            for name, value in values.items():
                size += len(name) + len(value)
        #: What the queue counts for it, in bytes.
        self.size = size

    def written(self) -> bytes:
        """The event's line, of what it holds now."""
        out = [_encode(self.head)[:-1].encode()]
        for group, values in ((b',"payload":{', self.payload), (b',"attributes":{', self.attributes)):
            if values:
                out += [group, b",".join(_encode(name).encode() + b":" + value for name, value in values.items()), b"}"]
        out.append(b"}")
        return b"".join(out)


def item_of_line(line: bytes) -> Item:
    """An event that was written before."""
    item = Item("", {"metrics": {}}, {}, {})
    item.line, item.size = line, len(line)
    return item


def time_of(nanoseconds: int) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
