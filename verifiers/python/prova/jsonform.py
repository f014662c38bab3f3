"""Reads members out of JSON that is not canonical: heads, manifests, lists of keys."""

from __future__ import annotations

from typing import Any, Dict, List

from .canonical import BadJSON, parse_line
from .merkle import MAX_INT64


def members(value: Any, types: Dict[str, type], closed: bool = True) -> Dict[str, Any]:
    """The named members of an object; None where one is missing or null. A closed object has no others."""
    if not isinstance(value, dict):
        raise BadJSON("not an object")
    for name, each in value.items():
        if name not in types:
            if closed:
                raise BadJSON(f"unknown member {name[:80]!a}")
            continue
        # A bool is an int in Python, and here it is not.
        if each is not None and type(each) is not types[name]:
            raise BadJSON(f"member {name} has the wrong type")
        if type(each) is int and not -MAX_INT64 - 1 <= each <= MAX_INT64:
            raise BadJSON(f"member {name} is out of range")
    return {name: value.get(name) for name in types}


def objects(value: Any, types: Dict[str, type]) -> List[Dict[str, Any]]:
    """The members of each object of a list, or of none."""
    return [members(each if each is not None else {}, types) for each in value or []]


def object_line(line: bytes) -> Any:
    """The object that a line holds, with nothing around it."""
    if not line.startswith(b"{") or not line.endswith(b"}"):
        raise BadJSON("not a JSON object")
    return parse_line(line)
