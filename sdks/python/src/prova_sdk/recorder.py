"""Records runs in the background."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import inspect
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Dict, Iterator, Mapping, Optional, Set, Type, TypeVar, Union, cast, overload

from . import _complaints as complaint
from ._complaints import Complaints
from ._event import AGENT_RUN, OUTCOME, Item, Refused, check_name, time_of
from ._http import Transport
from ._queue import Pushed, Stats
from ._sender import Sender
from ._settings import Settings
from .errors import ProvaError
from .run import Run, new_id, set_metric, set_model, set_name, set_value, shown, why

F = TypeVar("F", bound=Callable[..., Any])

# How long a flush or a close takes that is given no time, and the end of a program: an agent that ends must end.
PATIENCE = 5.0


@dataclass(frozen=True)
class Unsent:
    """What flush and close return when not everything was sent."""

    #: Waits in memory and is tried again; after close it is always 0.
    queued: int
    #: Waits on disk; the next recorder with this spool sends it.
    spooled: int
    #: Was given up by close.
    lost: int
    #: Why the last request failed, if one did.
    error: Optional[BaseException]

    def __str__(self) -> str:
        text = f"not everything was sent: {self.queued} in memory, {self.spooled} in the spool, {self.lost} lost"
        return f"{text}: {self.error}" if self.error is not None else text


class Recorder:
    """Records runs in the background. It is safe for concurrent use, and none of its methods raises.

    What is not given is taken from the environment. A recorder that lacks a
    setting, or was given one that cannot be, records nothing, says so once in the
    log, and err says why. The program's end closes it, for at most five seconds;
    so does leaving its with block.

    api_key needs the permission audit.ingest (PROVA_API_KEY); base_url is the
    server's address (PROVA_BASE_URL, or else http://127.0.0.1:7788); app_id names
    the agent (PROVA_APP_ID); release is the version of the agent, such as a commit
    SHA (PROVA_RELEASE): a run without one is recorded and not counted; environment
    is where the agent runs (PROVA_ENVIRONMENT, or else "production"); framework
    names what the agent is built with.

    queue_events and queue_bytes bound what waits in memory: what comes when either
    is reached is dropped, and what was accepted is kept. batch_events and
    batch_bytes bound one request, before compression. flush_interval is how long, in
    seconds, a run may wait for others to be sent with, timeout bounds one request,
    and retry_min and retry_max are the first and the longest wait before a request
    is repeated. A Retry-After of the server counts if it is longer, up to an hour.

    spool_dir is a directory for what memory cannot hold and for what is left at
    close (PROVA_SPOOL_DIR, or else there is none); it holds payloads in the clear.
    spool_bytes bounds it.

    logger is told what goes wrong, as warnings; it is logging.getLogger("prova_sdk")
    if none is given.
    """

    def __init__(
        self,
        *,
        api_key: str = "",
        base_url: str = "",
        app_id: str = "",
        release: str = "",
        environment: str = "",
        framework: str = "",
        queue_events: int = 10_000,
        queue_bytes: int = 16 << 20,
        batch_events: int = 1000,
        batch_bytes: int = 1 << 20,
        flush_interval: float = 1.0,
        timeout: float = 30.0,
        retry_min: float = 0.5,
        retry_max: float = 30.0,
        spool_dir: Union[str, "os.PathLike[str]"] = "",
        spool_bytes: int = 256 << 20,
        logger: Optional[logging.Logger] = None,
    ) -> None:
        s = self._settings = Settings(
            api_key, base_url, app_id, release, environment, framework, queue_events, queue_bytes, batch_events, batch_bytes,
            flush_interval, timeout, retry_min, retry_max, cast(str, spool_dir), spool_bytes,
        ).complete()  # fmt: skip
        self._talk = Complaints(logger if logger is not None else logging.getLogger("prova_sdk"))
        self._sender: Optional[Sender] = None
        self._closed = False
        self._closing = threading.RLock()
        self._left: Optional[Unsent] = None
        #: Why nothing is recorded, or None.
        self.err: Optional[ProvaError] = None
        try:
            self._transport = self._begin(s)
        except (ProvaError, Refused) as e:
            self.err = e if isinstance(e, ProvaError) else ProvaError(str(e))
            self._talk.once(complaint.DISABLED, f"nothing is recorded: {e}")
            return
        self._sender = Sender(s, self._transport, self._talk)
        for field in ("release", "framework"):
            self._check_setting(field)
        _live.add(self)
        if s.spool_dir:
            self._sender.start()  # what an earlier process left does not wait for the first run

    def _begin(self, s: Settings) -> Transport:
        """Checks the settings without which nothing can be sent."""
        if not s.api_key:
            raise ProvaError("PROVA_API_KEY is not set")
        if not s.app_id:
            raise ProvaError("no app id: give app_id or set PROVA_APP_ID to the name of the agent")
        check_name("the app id", s.app_id)
        check_name("the environment", s.environment)
        return Transport(s.base_url, s.api_key, "prova-python-recorder", s.timeout)

    def _check_setting(self, field: str) -> None:
        value = getattr(self._settings, field)
        try:
            if value:
                check_name("the " + field, value)
        except Refused as e:
            self._refuse_value(field, str(e))
            setattr(self._settings, field, "")

    # Recording.

    def run(
        self,
        *,
        probe_id: str = "",
        unit_id: str = "",
        run_id: str = "",
        release: str = "",
        model: Optional[Mapping[str, str]] = None,
        input: Any = None,
    ) -> Run:
        """One execution of the agent, as a context manager that times and records it.

        with recorder.run(probe_id="p1") as run:
            run.metric("cost_usd", 0.01)

        It may be given the id of a fixed input that is replayed, what the run shares with
        others that are not independent of it, its id, the release that ran, the model as
        {"provider": …, "name": …, "version": …}, and what the agent is given.
        """
        run = self.start()
        if self._sender is not None:
            run.set_id(run_id)
            run.probe(probe_id)
            run.unit(unit_id)
            run.release(release)
            if model is not None:
                self._guarded("model", lambda: set_model(self, run._head, model))
            if input is not None:
                run.input(input)
        return run

    def start(self) -> Run:
        """Begins a run that does not fit into one block. Run.end records it."""
        if self._sender is None:
            return Run(None, {})
        return Run(self, self._head(AGENT_RUN, time.time_ns(), new_id()))

    @overload
    def track(self, function: F, /) -> F: ...

    @overload
    def track(
        self, /, *, probe_id: str = "", unit_id: str = "", release: str = "", model: Optional[Mapping[str, str]] = None
    ) -> Callable[[F], F]: ...

    def track(self, function: Optional[Callable[..., Any]] = None, /, **options: Any) -> Any:
        """Makes each call of a function a run. It takes what run takes, but for the id and the input.

        @recorder.track
        def answer(claim): ...

        @recorder.track(probe_id="claim-0017")
        async def answer(claim): ...

        current_run() is the run inside of it. A generator's run lasts until it ends or is
        closed, and current_run() is not it, because a generator runs in its caller's context.
        """
        if function is None:
            return lambda f: self._tracked(f, options)
        return self._tracked(function, options)

    def _tracked(self, f: Callable[..., Any], options: Dict[str, Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(f):

            @functools.wraps(f)
            async def each_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                run = self.run(**options)
                try:
                    async with contextlib.aclosing(f(*args, **kwargs)) as values:
                        async for value in values:
                            yield value
                except BaseException as e:
                    run.end(e)
                    raise
                run.end()

            return each_async
        if inspect.isgeneratorfunction(f):

            @functools.wraps(f)
            def each(*args: Any, **kwargs: Any) -> Iterator[Any]:
                run = self.run(**options)
                try:
                    result = yield from f(*args, **kwargs)
                except BaseException as e:
                    run.end(e)
                    raise
                run.end()
                return result

            return each
        if inspect.iscoroutinefunction(f):

            @functools.wraps(f)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self.run(**options):
                    return await f(*args, **kwargs)

            return awaited

        @functools.wraps(f)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self.run(**options):
                return f(*args, **kwargs)

        return called

    def record(
        self,
        metrics: Mapping[str, Any],
        *,
        run_id: str = "",
        idempotency_key: str = "",
        release: str = "",
        probe_id: str = "",
        unit_id: str = "",
        occurred_at: Optional[datetime.datetime] = None,
        model: Optional[Mapping[str, str]] = None,
        payload: Optional[Mapping[str, Any]] = None,
        attributes: Optional[Mapping[str, Any]] = None,
    ) -> str:
        """Records a run that was measured elsewhere and returns its id. It never waits.

        metrics are what the run is judged by: booleans and finite numbers, named as the
        policy does (success, latency_ms, cost_usd, tokens, score). idempotency_key tells
        the server that it has the run already, and is random if none is given. occurred_at
        is when the run began, now if it is not given; without a time zone it is local time.
        payload holds what can be erased later, such as input and output, and attributes
        what stands in the signed receipt for good. What of it cannot be sent is left out,
        said and counted.
        """
        id = new_id()
        if self._sender is None:
            return run_id if isinstance(run_id, str) and run_id else id
        head = self._head(AGENT_RUN, self._time(occurred_at), id)
        values: Dict[str, Dict[str, bytes]] = {"payload": {}, "attributes": {}}
        set_name(self, head, "run_id", run_id)
        set_name(self, head, "idempotency_key", idempotency_key)
        set_name(self, head["source"], "release", release)
        set_name(self, head, "probe_id", probe_id)
        set_name(self, head, "unit_id", unit_id)
        if model is not None:
            self._guarded("model", lambda: set_model(self, head, model))
        self._guarded("metrics", lambda: self._set_metrics(head["metrics"], metrics))
        for group, given in (("payload", payload), ("attributes", attributes)):
            if given is not None:
                self._guarded(group, functools.partial(self._set_values, values[group], group, given))
        self._add(Item(AGENT_RUN, head, values["payload"], values["attributes"]))
        return cast(str, head["run_id"])

    def outcome(self, run_id: str, metrics: Mapping[str, Any]) -> None:
        """Adds metrics that became known after the run was recorded, such as a person's label.

        A metric that the run has already is refused by the server.
        """
        if self._sender is None:
            return
        head = self._head(OUTCOME, time.time_ns(), "")
        del head["source"]["release"]  # it belongs to the run's
        self._guarded("metrics", lambda: self._set_metrics(head["metrics"], metrics))
        try:
            head["run_id"] = check_name("the run id", run_id)
            if not head["metrics"]:
                raise Refused("it has no metric")
        except Refused as e:
            self._sender.queue.change(_count_refused)
            self._talk.say(complaint.EVENT_REFUSED, f"an outcome was refused: {e} (run_id {shown(run_id)})")
            return
        self._add(Item(OUTCOME, head, {}, {}))

    def _head(self, kind: str, at: int, run_id: str) -> Dict[str, Any]:
        """Begins an event. Its idempotency key is made here, once: however often the event is sent, it counts once."""
        s = self._settings
        source = {"app_id": s.app_id, "environment": s.environment, "release": s.release}
        if s.framework:
            source["framework"] = s.framework
        return {"kind": kind, "occurred_at": time_of(at), "idempotency_key": new_id(), "source": source, "run_id": run_id, "metrics": {}}

    def _time(self, at: Optional[datetime.datetime]) -> int:
        if at is None:
            return time.time_ns()
        try:
            nanoseconds = round(at.timestamp() * 10**6) * 1000
            time_of(nanoseconds)
            return nanoseconds
        except Exception as e:  # noqa: BLE001 - what is no datetime may raise anything
            self._refuse_value("occurred_at", why(e))
            return time.time_ns()

    def _set_metrics(self, metrics: Dict[str, Any], given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            set_metric(self, metrics, name, value)

    def _set_values(self, values: Dict[str, bytes], group: str, given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            set_value(self, values, group, name, value)

    def _guarded(self, what: str, do: Callable[[], None]) -> None:
        """What is no mapping, or one that fails, costs what it was to hold and not the run."""
        try:
            do()
        except Exception as e:  # noqa: BLE001
            self._refuse_value(what, f"it could not be read: {why(e)}")

    def _refuse_value(self, name: str, why: str) -> None:
        if self._sender is not None:
            self._sender.refuse_value(name, why)

    def _add(self, item: Item) -> None:
        """Queues an event."""
        sender = self._sender
        if sender is None:
            return
        source = item.head["source"]
        if item.kind == AGENT_RUN and not source.get("release"):
            source.pop("release", None)
            message = "a run carries no release, so no comparison will count it: set PROVA_RELEASE to a commit SHA or a version where you deploy"
            self._talk.once(complaint.NO_RELEASE, message)
        pushed = sender.queue.push(item)
        if pushed is Pushed.FULL:
            s = self._settings
            message = f"the queue is full, and what comes now is dropped (queue_events {s.queue_events}, queue_bytes {s.queue_bytes})"
            self._talk.say(complaint.DROPPED, message)
        elif pushed is Pushed.CLOSED:
            self._talk.once(complaint.CLOSED, "a run was recorded after the recorder was closed, and is dropped")
            return
        sender.start()

    # The end.

    def stats(self) -> Stats:
        """The counts as they are now. A forked process counts anew."""
        return self._sender.queue.stats() if self._sender is not None else Stats()

    def flush(self, timeout: float = PATIENCE) -> Optional[Unsent]:
        """Sends what was recorded before the call, without waiting for more of it.

        It returns None when the server has answered for all of it: it was signed, or
        refused for good. When the time, in seconds, ends first, what is left stays queued
        and is tried on.
        """
        if self._sender is None or self._sender.flush(_seconds(timeout)):
            return None
        return self._unsent(0)

    def close(self, timeout: float = PATIENCE) -> Optional[Unsent]:
        """Takes no more runs, sends what there is as flush does, and writes the rest to the spool.

        A second call returns what the first did.
        """
        with self._closing:
            if self._sender is None or self._closed:
                return self._left
            self._closed = True
            lost = self._sender.close(_seconds(timeout))
            self._left = self._unsent(lost)
            self._talk.finish()
            _live.discard(self)
            return self._left

    def _unsent(self, lost: int) -> Optional[Unsent]:
        if self._sender is None:
            return None
        stats = self._sender.queue.stats()
        if stats.queued + stats.spooled + lost == 0:
            return None
        return Unsent(stats.queued, stats.spooled, lost, self._sender.queue.failure)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def _after_fork(self) -> None:
        """In a forked process: what the parent recorded is the parent's, and here it begins anew."""
        self._talk.after_fork()
        self._closing = threading.RLock()
        if self._sender is not None:
            self._sender.after_fork()
            self._sender = Sender(self._settings, self._transport, self._talk)


def _count_refused(s: Stats) -> None:
    s.recorded += 1
    s.refused += 1


def _seconds(timeout: float) -> float:
    return min(max(0.0, timeout), 86_400) if timeout == timeout else 0.0


# The recorders that are not closed: the program's end closes them.
_live: Set[Recorder] = set()


def _at_exit() -> None:
    end = time.monotonic() + PATIENCE
    for recorder in list(_live):
        recorder.close(max(0.0, end - time.monotonic()))


def _after_fork() -> None:
    for recorder in list(_live):
        recorder._after_fork()
    # A process of multiprocessing that was forked ends without atexit, and clears its own list of what to do at the end first.
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None and _live:
        multiprocessing.register_after_fork(_at_exit, lambda _: multiprocessing.Finalize(None, _at_exit, exitpriority=0))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
