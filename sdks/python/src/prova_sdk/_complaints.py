"""Complains in the log without flooding it."""

from __future__ import annotations

import logging
import threading
import time

# The kinds of complaints. Each is logged at once when it comes up, and then at most
# once a minute with the number of times since. They never change.
DISABLED = "disabled"  # nothing is recorded: a setting is missing or wrong; said once
CLOSED = "closed"  # a run came after close; said once
NO_RELEASE = "no_release"  # a run carries no release and will not be counted; said once
VALUE_REFUSED = "value_refused"  # a metric, a payload field or a name was left out of its run
EVENT_REFUSED = "event_refused"  # a whole run or outcome was refused
DROPPED = "dropped"  # the queue is full
KEY = "key"  # the server does not accept the API key
UNREACHABLE = "unreachable"  # no answer from the server
UNAVAILABLE = "unavailable"  # the server answers that it cannot now: 408, 429, 5xx
FOREIGN_ANSWER = "foreign_answer"  # an answer that is not Prova's
TOO_LARGE = "too_large"  # a request was too large for the server, or for what stands before it
REQUEST_REFUSED = "request_refused"  # the server refuses the request for another reason
SPOOL = "spool"  # the spool cannot be used, is full, or was damaged

# How long the same complaint is only counted, in seconds.
PAUSE = 60.0

# What is remembered of complaints: there are a few kinds, and as many names of metrics as an agent makes up.
MAX_REMEMBERED = 256


class _State:
    __slots__ = ("at", "since")

    def __init__(self) -> None:
        self.at = float("-inf")
        self.since = 0


class Complaints:
    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._made: dict[tuple[str, str], _State] = {}
        self.after_fork()

    def after_fork(self) -> None:
        # Reentrant: a signal handler may record while its thread complains.
        self._lock = threading.RLock()

    def once(self, kind: str, message: str) -> None:
        """Complains the first time and never again."""
        with self._lock:
            if (kind, "") in self._made:
                return
            self._made[kind, ""] = _State()
        self._write(kind, "", message)

    def say(self, kind: str, message: str, name: str = "") -> None:
        """Complains, unless the same was said within the last minute. Of some kinds each name is one of its own."""
        now = time.monotonic()
        with self._lock:
            key = (kind, name)
            if key not in self._made and len(self._made) >= MAX_REMEMBERED:
                key = (kind, "")  # too many names: they share one
            state = self._made.setdefault(key, _State())
            if now - state.at < PAUSE:
                state.since += 1
                return
            if state.since:
                message += f" ({state.since} times more since it was last said)"
            state.at, state.since = now, 0
        self._write(kind, name, message)

    def finish(self) -> None:
        """Says how often was complained that nothing was logged of."""
        with self._lock:
            rest = [(key, state.since) for key, state in self._made.items() if state.since]
            for _, state in self._made.items():
                state.since = 0
        for (kind, name), since in rest:
            self._write(kind, name, f"the same again, {since} times since it was last said")

    def _write(self, kind: str, name: str, message: str) -> None:
        """Hands a record to a logger that is the program's: its failure is not to end the agent."""
        try:
            self._log.warning("prova: %s [%s]", f"{name}: {message}" if name else message, kind, extra={"kind": kind, "subject": name})
        except Exception:  # noqa: BLE001
            pass
