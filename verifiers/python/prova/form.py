"""The form of what is read of receipts. What is null is as if it were not there."""

from __future__ import annotations

from typing import Any, Dict, Optional

from .merkle import MAX_INT64


def has_form(value: Any, form: Any) -> bool:
    """Whether a value, and what is named of it, is of the types of a form."""
    if value is None:
        return True
    if isinstance(form, dict):
        return isinstance(value, dict) and all(has_form(value.get(name), each) for name, each in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(has_form(each, form[0]) for each in value)
    if form is float:
        return type(value) in (int, float)
    return type(value) is form and (form is not int or -MAX_INT64 - 1 <= value <= MAX_INT64)


# Members of an object that has its form.


def text(members: Dict[str, Any], name: str) -> str:
    return members.get(name) or ""


def whole(members: Dict[str, Any], name: str) -> int:
    return members.get(name) or 0


def number(members: Dict[str, Any], name: str) -> Optional[float]:
    value = members.get(name)
    return None if value is None else float(value)
