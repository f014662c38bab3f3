"""Strict I-JSON (RFC 7493) and its canonical form (RFC 8785), on bytes.

Stricter than both: no U+0000, at most 32 levels and 1 MiB, and no number that a
double does not carry to the last digit or that leaves the safe integers.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, Dict, List, Tuple

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_SAFE = 2**53 - 1

Value = Any  # None, bool, int, float, str, list of values, dict from str to values


class BadJSON(ValueError):
    """A text that is no strict JSON. duplicate tells a second member of a name from all else."""

    def __init__(self, reason: str, duplicate: bool = False) -> None:
        super().__init__(reason)
        self.duplicate = duplicate


_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_STRING = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: List[Tuple[bytes, Value]] = [(b"true", True), (b"false", False), (b"null", None)]


class Reader:
    """Reads JSON values one after another, and finds the first fault of a text first.

    A strict reader also refuses what I-JSON allows and a signed text may not hold.
    """

    def __init__(self, src: bytes, strict: bool, depth: int) -> None:
        self.src, self.strict, self.depth = src, strict, depth
        self.pos = 0

    def peek(self) -> bytes:
        self.pos = _SPACE.match(self.src, self.pos).end()  # type: ignore[union-attr]
        return self.src[self.pos : self.pos + 1]

    def take(self, c: bytes) -> bool:
        if self.peek() != c:
            return False
        self.pos += 1
        return True

    def fault(self, reason: str) -> BadJSON:
        return BadJSON(f"{reason}, at byte {self.pos}")

    def value(self) -> Value:
        """One value. The containers that are open stand on a stack, so that no depth is too deep."""
        open_: List[Tuple[Value, str]] = []  # a container, and the name that its next value gets
        while True:
            c = self.peek()
            if c == b"{" or c == b"[":
                self.pos += 1
                if len(open_) >= self.depth:
                    raise self.fault(f"nested deeper than {self.depth} levels")
                done: Value = {} if c == b"{" else []
                if not self.take(b"}" if c == b"{" else b"]"):
                    open_.append((done, self.name(done) if c == b"{" else ""))
                    continue
            else:
                done = self.scalar(c)
            while True:  # hand the value up as far as containers end with it
                if not open_:
                    return done
                container, name = open_.pop()
                if isinstance(container, dict):
                    container[name] = done
                else:
                    container.append(done)
                if self.take(b","):
                    open_.append((container, self.name(container) if isinstance(container, dict) else ""))
                    break
                if not self.take(b"}" if isinstance(container, dict) else b"]"):
                    raise self.fault("a comma or the end of an object or array is missing")
                done = container

    def name(self, seen: Dict[str, Value]) -> str:
        """The name of a member, with its colon, which is not among those seen."""
        if self.peek() != b'"':
            raise self.fault("the name of a member is missing")
        name = self.text()
        if name in seen:
            raise BadJSON(f"the member {name!r} stands twice", duplicate=True)
        if not self.take(b":"):
            raise self.fault("a colon is missing")
        return name

    def scalar(self, c: bytes) -> Value:
        if c == b'"':
            return self.text()
        for text, value in _LITERALS:
            if self.src.startswith(text, self.pos):
                self.pos += len(text)
                return value
        return self.number()

    def text(self) -> str:
        m = _PLAIN.match(self.src, self.pos) or _STRING.match(self.src, self.pos)
        if m is None:
            raise self.fault("no string in its only grammar")
        try:
            text = m.group(1).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fault("invalid UTF-8") from None
        if "\\" in text:
            text = self.unescaped(text)
        self.pos = m.end()
        return text

    def unescaped(self, text: str) -> str:
        raw = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _SHORT[m[2]], text)
        if self.strict and "\0" in raw:
            raise self.fault("the character U+0000 is not allowed")
        try:  # pairs of surrogates become one character, and a lone one is refused
            return raw.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self.fault("a lone surrogate") from None

    def number(self) -> Value:
        m = _NUMBER.match(self.src, self.pos)
        if m is None:
            raise self.fault("no JSON value")
        text = m.group().decode()
        whole = m[1] is None and m[2] is None
        if self.strict and not (whole and len(text) <= 15):
            reason = number_fault(text)
            if reason:
                raise self.fault(reason)
        self.pos = m.end()
        if not whole:
            return float(text)
        return int(text) if len(text) <= 400 else float(text)  # what is longer is no count of anything


def number_fault(text: str) -> str:
    """Why the number may not stand in a canonical text, or nothing.

    It survives if the shortest decimal that reads back as the same double is the
    same decimal as text.
    """
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return f"the number {text[:40]} is beyond the range of a double"
    digits, exponent = _decimal(text)
    if not digits:
        return ""  # a zero, however it is written
    if value == 0:
        return f"the number {text[:40]} is not zero but a double makes it zero"
    if _decimal(repr(value)) != (digits, exponent):
        return f"the number {text[:40]} loses digits: a double makes it {value!r}; write it as a string"
    if abs(value) > MAX_SAFE and (abs(value) < 1e21 or not any(c in text for c in ".eE")):
        return f"the integer {text[:40]} is beyond ±(2^53-1); write it as a string"
    return ""


def _decimal(text: str) -> Tuple[str, int]:
    """The significant digits of a number and the power of ten of the first of them."""
    mantissa, _, power = text.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    trimmed = digits.lstrip("0")
    # An exponent too long to count is that of a zero or an infinity, which is never compared.
    exponent = int(power or "0") if len(power) < 20 else 0
    return trimmed.rstrip("0"), exponent + len(whole) - 1 - (len(digits) - len(trimmed))


def parse(src: bytes) -> Value:
    """The value of a strict text, which may be spaced and escaped in any way."""
    if len(src) > MAX_BYTES:
        raise BadJSON(f"{len(src)} bytes, over the limit of {MAX_BYTES}")
    reader = Reader(src, strict=True, depth=MAX_DEPTH)
    value = reader.value()
    if reader.peek() != b"":
        raise reader.fault("data behind the value")
    return value


def parse_line(src: bytes) -> Value:
    """The value of a text that is I-JSON and nothing stricter: what was not signed as a body."""
    reader = Reader(src, strict=False, depth=10_000)
    value = reader.value()
    if reader.peek() != b"":
        raise reader.fault("data behind the value")
    return value


def number_text(value: float) -> str:
    """A finite number as ECMAScript writes it."""
    if not isfinite(value):
        raise BadJSON(f"{value} has no text")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, exponent = _decimal(repr(abs(value)))
    n = exponent + 1  # where the point stands
    if len(digits) <= n <= 21:
        return sign + digits + "0" * (n - len(digits))
    if 0 < n <= 21:
        return sign + digits[:n] + "." + digits[n:]
    if -6 < n <= 0:
        return sign + "0." + "0" * -n + digits
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


_SPECIAL = re.compile(r'["\\\x00-\x1f]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_of(value: str) -> str:
    """A string with only those characters escaped that must be."""
    if _SPECIAL.search(value):
        value = _SPECIAL.sub(lambda m: _ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), value)
    return f'"{value}"'


def _code_units(name: str) -> bytes:
    """Orders names by UTF-16 code units, in which what needs surrogates comes before U+E000 to U+FFFF."""
    return name.encode("utf-16-be")


def _write(value: Value, out: List[str]) -> None:
    if isinstance(value, str):
        out.append(text_of(value))
    elif value is None or value is True or value is False:
        out.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, int):
        out.append(str(value) if abs(value) <= MAX_SAFE else number_text(float(value)))
    elif isinstance(value, float):
        out.append(number_text(value))
    elif isinstance(value, list):
        out.append("[")
        for i, each in enumerate(value):
            if i:
                out.append(",")
            _write(each, out)
        out.append("]")
    else:
        out.append("{")
        for i, name in enumerate(sorted(value, key=_code_units)):
            out.append("," if i else "")
            out.append(text_of(name))
            out.append(":")
            _write(value[name], out)
        out.append("}")


def dump(value: Value) -> bytes:
    """The canonical text of a value."""
    out: List[str] = []
    _write(value, out)
    return "".join(out).encode("utf-8")


def canonical(src: bytes) -> bytes:
    """The canonical form of a strict text."""
    return dump(parse(src))


def parse_canonical(src: bytes) -> Value:
    """The value of a text that is its own canonical form, byte for byte."""
    value = parse(src)
    written = dump(value)
    if written != src:
        at = next((i for i, (a, b) in enumerate(zip(src, written)) if a != b), min(len(src), len(written)))
        raise BadJSON(f"not in canonical form: byte {at} is {src[at:at + 12]!r} and should be {written[at:at + 12]!r}")
    return value
