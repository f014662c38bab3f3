"""A run that is under way."""

from __future__ import annotations

import contextvars
import secrets
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Type

from ._event import AGENT_RUN, Item, Refused, check_name, metric_of, value_of
from ._settings import MAX_METRICS

if TYPE_CHECKING:
    from .recorder import Recorder

# The metrics that a recorder measures itself.
SUCCESS, LATENCY = "success", "latency_ms"

_current: contextvars.ContextVar[Optional[Run]] = contextvars.ContextVar("prova_sdk.run", default=None)


def new_id() -> str:
    return secrets.token_hex(16)


def current_run() -> Run:
    """The run whose with block or tracked function the caller is in.

    Outside of any it is a run that takes everything and does nothing.
    """
    run = _current.get()
    return run if run is not None else Run(None, {})


class Run:
    """One execution of the agent that is under way. It is safe for concurrent use, and none of its methods raises.

    As a context manager it records itself at the end of the block: latency_ms is how
    long the block took, and success whether it ended without an exception, which goes
    on. Metrics of these names that the block sets itself count instead, unless it was
    cut off by what is no Exception, such as an interrupt or a cancellation.
    """

    def __init__(self, recorder: Optional[Recorder], head: Dict[str, Any]) -> None:
        self._recorder = recorder
        self._lock = threading.RLock()
        self._head = head
        self._payload: Dict[str, bytes] = {}
        self._attributes: Dict[str, bytes] = {}
        self._id: str = head.get("run_id") or new_id()
        self._ended = False
        self._token: Optional[contextvars.Token[Optional[Run]]] = None
        self._started = time.perf_counter()

    @property
    def id(self) -> str:
        """The run's id, for outcomes that become known later."""
        return self._id

    def metric(self, name: str, value: Any) -> None:
        """Sets a metric: a bool, or a finite number up to 2^53-1. Anything else is left out, said and counted."""
        # What the recorder measures always finds room.
        self._change(lambda r: set_metric(r, self._head["metrics"], name, value, MAX_METRICS - 2))

    def input(self, value: Any) -> None:
        """Sets what the agent was given, as anything that json writes. It is written at once."""
        self.payload("input", value)

    def output(self, value: Any) -> None:
        """Sets what the agent answered, as anything that json writes. It is written at once."""
        self.payload("output", value)

    def payload(self, name: str, value: Any) -> None:
        """Sets a payload field. Payloads can be erased later; the receipt holds a commitment to them."""
        self._change(lambda r: set_value(r, self._payload, "payload", name, value))

    def attribute(self, name: str, value: Any) -> None:
        """Sets what stands in the signed receipt for good: no personal data."""
        self._change(lambda r: set_value(r, self._attributes, "attributes", name, value))

    def probe(self, id: str) -> None:
        """Says that the run replays the fixed input of this name, so that releases are compared on the same inputs."""
        self._change(lambda r: set_name(r, self._head, "probe_id", id))

    def unit(self, id: str) -> None:
        """Names what runs share that are not independent, such as a user or a session."""
        self._change(lambda r: set_name(r, self._head, "unit_id", id))

    def set_id(self, id: str) -> None:
        """Replaces the run's random id, such as by the id of a trace."""

        def change(r: Recorder) -> None:
            set_name(r, self._head, "run_id", id)
            self._id = self._head["run_id"]

        self._change(change)

    def release(self, release: str) -> None:
        """Says which release ran, in a program that runs several."""
        self._change(lambda r: set_name(r, self._head["source"], "release", release))

    def model(self, provider: str = "", name: str = "", version: str = "") -> None:
        """Names the model that ran. Each part may be empty."""
        self._change(lambda r: set_model(r, self._head, {"provider": provider, "name": name, "version": version}))

    def end(self, error: Optional[BaseException] = None) -> None:
        """Records the run, with success if there is no error. Only the first call counts."""
        recorder = self._recorder
        if recorder is None:
            return
        took = time.perf_counter() - self._started
        with self._lock:
            if self._ended:
                return
            self._ended = True
            metrics = self._head["metrics"]
            if _is_cut_off(error):
                metrics[SUCCESS] = False
            metrics.setdefault(SUCCESS, not _is_failure(error))
            metrics.setdefault(LATENCY, round(took * 1000, 3))
            item = Item(AGENT_RUN, self._head, self._payload, self._attributes)
        recorder._add(item)

    def __enter__(self) -> Run:
        self._token = _current.set(self)
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.end(error)
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:  # a generator that was closed in another context than it began in
                pass

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.__exit__(kind, error, trace)

    def _change(self, do: Callable[[Recorder], None]) -> None:
        """Calls do unless nothing is recorded or the run was recorded already."""
        recorder = self._recorder
        if recorder is None:
            return
        with self._lock:
            if self._ended:
                recorder._refuse_value("after the end", "the run was recorded already; send what becomes known later with outcome")
                return
            do(recorder)


def _is_failure(error: Optional[BaseException]) -> bool:
    """Whether an exception says that the agent failed: to leave a program or a generator in order says nothing."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return error is not None and not isinstance(error, GeneratorExit)


def _is_cut_off(error: Optional[BaseException]) -> bool:
    """Whether the agent was stopped from outside: what it said of itself until then does not count."""
    return not isinstance(error, Exception) and _is_failure(error)


def set_metric(r: Recorder, metrics: Dict[str, Any], name: Any, value: Any, room: int = MAX_METRICS) -> None:
    """Adds a metric; room is how many others there may be with it."""
    try:
        metric = metric_of(value)
        check_name("the metric's name", name)
        if len(metrics) >= (MAX_METRICS if name in (SUCCESS, LATENCY) else room) and name not in metrics:
            raise Refused(f"a run holds at most {MAX_METRICS} metrics")
    except Exception as e:  # noqa: BLE001 - a value of a foreign type may raise anything
        r._refuse_value(f"metrics.{shown(name)}", why(e))
        return
    metrics[name] = metric


def set_value(r: Recorder, values: Dict[str, bytes], group: str, name: Any, value: Any) -> None:
    """Sets a payload field or an attribute; group is the member of the event that holds it."""
    try:
        data = value_of(value)
        values[check_name("the name", name)] = data
    except Exception as e:  # noqa: BLE001
        r._refuse_value(f"{group}.{shown(name)}", why(e))


def set_name(r: Recorder, into: Dict[str, Any], field: str, value: Any, what: str = "") -> None:
    """Sets a name of an event unless it can be none."""
    if value is None or isinstance(value, str) and not value:
        return
    try:
        into[field] = check_name(what or field, value)
    except Exception as e:  # noqa: BLE001
        r._refuse_value(what or field, why(e))


def set_model(r: Recorder, head: Dict[str, Any], given: Any) -> None:
    model: Dict[str, Any] = {}
    for part in ("provider", "name", "version"):
        set_name(r, model, part, given.get(part), "model." + part)
    if model:
        head["model"] = model


def shown(name: Any) -> str:
    """A name for the log, whatever was given as one."""
    text = name if isinstance(name, str) else f"({type(name).__name__})"
    return text if len(text) <= 80 else text[:80] + "…"


def why(e: Exception) -> str:
    """An exception for the log, whatever it is."""
    try:
        return str(e) if isinstance(e, Refused) else f"{type(e).__name__}: {e}"
    except Exception:  # noqa: BLE001
        return type(e).__name__
