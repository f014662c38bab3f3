"""The background of a recorder: one batch after another, the oldest first."""

from __future__ import annotations

import gzip
import json
import random
import threading
import time
from typing import Any, Callable, List, Optional, Sequence, Set

from . import _complaints as complaint
from ._complaints import Complaints
from ._event import Item, Refused, check_value, item_of_line
from ._http import Answer, Transport, _Watch
from ._queue import Queue, Stats
from ._settings import MAX_EVENT, Settings
from ._spool import Segment, Spool
from .errors import ForeignAnswer, Problem, ProvaError, Unreachable, foreign, problem, refusal

INGEST = "/api/v1/audit/ingest"

# What a server may ask for, in seconds.
MAX_RETRY_AFTER = 3600.0

# The least body, in bytes, that is worth compressing.
MIN_GZIP = 1 << 10

# How long a spool that failed is left alone, in seconds.
SPOOL_PAUSE = 1.0

# How long a thread that writes to the disk may take to end, in seconds.
JOIN = 2.0


class _Verdict:
    """What follows from an answer."""

    def __init__(
        self, again: Sequence[Item] = (), error: Optional[ProvaError] = None, split: bool = False, after: float = 0, slow: bool = False
    ) -> None:
        self.again = list(again)  # the items to send again, in order
        self.error = error  # why; None sends again without a wait
        self.split = split  # send them in two halves, at once
        self.after = after  # what the server asks to wait
        self.slow = slow  # only a person can help


class Sender:
    """What a recorder has in one process: a fork makes a new one."""

    def __init__(self, s: Settings, transport: Transport, talk: Complaints) -> None:
        self._s, self._transport, self._talk = s, transport, talk
        self.queue = Queue(s)
        self._spool: Optional[Spool] = None
        self._threads: List[threading.Thread] = []
        self._starting = threading.RLock()
        self._started = False
        self._ready = threading.Event()  # the spool was looked through
        self._taking = threading.Lock()  # held while what is oldest moves, so that it stays first
        self._watches: Set[_Watch] = set()
        # What the server has shown that it takes; the sender alone uses them.
        self._no_gzip = False
        self._batch_bytes = s.batch_bytes

    # Start and end.

    def start(self) -> None:
        """Starts the background, once. Where no thread can be started, what is recorded waits for the next try."""
        if self._started:
            return
        with self._starting:
            if self._started:
                return
            self._started = True
            if self._s.spool_dir:
                self._open_spool()
            try:
                self._run(self._send)
                if self._spool is not None:
                    self._run(self._relieve)
            except RuntimeError as e:
                self._started = bool(self._threads)
                self._talk.say(complaint.DISABLED, f"the background cannot be started, and is tried again with the next run: {e}")

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="prova_sdk", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _open_spool(self) -> None:
        if self._spool is not None:
            return
        try:
            self._spool = Spool(self._s, self._transport.base_url)
        except OSError as e:
            self._talk.say(complaint.SPOOL, f"the spool cannot be used, so only memory holds what is not sent: {e}")

    def flush(self, seconds: float) -> bool:
        """Whether everything that was recorded before is settled within the time."""
        end = time.monotonic() + seconds
        if self.queue.given_up:
            return False
        if not self._started and not self.queue.stats().queued:
            return True
        self.start()
        self.queue.flushing(+1)
        try:
            if not self._threads or not self._ready.wait(seconds):
                return False
            self.queue.kick()
            return self.queue.settle(end - time.monotonic())
        finally:
            self.queue.flushing(-1)

    def close(self, seconds: float) -> int:
        """Sends what there is, and keeps the rest in the spool; returns how much nothing could hold."""
        self.queue.close()
        self.flush(seconds)
        self.queue.give_up()
        for watch in list(self._watches):
            watch.end()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN)
        lost: List[Item] = []
        for rest in self.queue.seize():
            if self._spool is not None:
                self._spool.end_segment()
                rest = rest[self._into_spool(rest) :]
            lost += rest
        if self._spool is not None:
            self._spool.close()
        self.queue.change(lambda s: _add(s, dropped=len(lost)), lost)
        if lost:
            self._talk.say(complaint.DROPPED, f"closed before everything was sent, and nothing can hold the rest: {len(lost)} lost")
        return len(lost)

    def after_fork(self) -> None:
        """In the child: lets go of the files of the parent's spool."""
        if self._spool is not None:
            self._spool.after_fork()

    # Sending.

    def _send(self) -> None:
        try:
            self._recover()
        except Exception as e:  # noqa: BLE001 - what is there is left for the next recorder
            self._talk.say(complaint.SPOOL, f"what an earlier process left in the spool cannot be taken over: {type(e).__name__}: {e}")
        self._ready.set()
        while not self.queue.given_up:
            try:
                self._send_oldest()
            except Exception as e:  # noqa: BLE001 - the background must outlive a fault of its own
                self._talk.say(complaint.REQUEST_REFUSED, f"the background failed, and goes on: {type(e).__name__}: {e}")
                self.queue.pause(SPOOL_PAUSE, may_be_kicked=False)

    def _send_oldest(self) -> None:
        with self._taking:
            found = self._from_spool()
            items: List[Item] = []
            if found is None and self.queue.due(self._s.flush_interval) <= 0:
                items = self.queue.take(self._s.batch_events, self._batch_bytes)
        if found is not None:
            segment, spooled = found
            if not self._deliver(spooled, segment):
                self._remove(segment)
        elif items:
            try:
                self._deliver(items, None)
            finally:
                if not self.queue.given_up:  # else what is left is taken by who closes, before what waits
                    self.queue.give_back(items)
        else:
            self.queue.wait_for_more(self._s.flush_interval)

    def _deliver(self, items: List[Item], segment: Optional[Segment]) -> List[Item]:
        """Sends items until each is settled, and returns what is left when the recorder gives up.

        A part that is too large is split; nothing is ever sent under another idempotency key.
        """
        parts = self._parts([item for item in items if self._written(item, segment)])
        failures = 0
        while parts:
            part = parts[0]
            answer, error = (None, None) if self.queue.given_up else self._post(part)
            if self.queue.given_up:
                return self._left(parts, answer, segment)
            verdict = self._judge(part, segment, answer, error)
            self.queue.failure = verdict.error
            if verdict.split:
                half = len(part) // 2
                parts[:1] = [part[:half], part[half:]]
            elif verdict.again:
                parts[0] = verdict.again
                if verdict.error is not None:
                    self._pause(failures, verdict)
                    failures += 1
            else:
                parts.pop(0)
                failures = 0
        return []

    def _parts(self, items: List[Item]) -> List[List[Item]]:
        """Keeps what is sent together within the limits: what comes from the spool was put together by others."""
        parts: List[List[Item]] = []
        size = 0
        for item in items:
            size += item.size
            if not parts or len(parts[-1]) >= self._s.batch_events or size > self._batch_bytes:
                parts.append([])
                size = item.size
            parts[-1].append(item)
        return parts

    def _left(self, parts: List[List[Item]], answer: Any, segment: Optional[Segment]) -> List[Item]:
        """What is left when the recorder gave up; an answer that came in the last moment counts."""
        if answer is not None:
            parts[0] = self._judge_each(parts[0], segment, answer).again
        return [item for part in parts for item in part]

    def _written(self, item: Item, segment: Optional[Segment]) -> bool:
        """Writes an event's line, or refuses the event."""
        try:
            self._write(item)
        except Refused as e:
            self._refuse_event(item, segment, str(e))
            return False
        return True

    def _write(self, item: Item) -> None:
        """Writes the event's line, the first time; what the server would refuse the whole event for is left out.

        It is done in the background: to read large payloads again takes time.
        """
        if item.line is not None:
            return
        for group, values in (("payload", item.payload), ("attributes", item.attributes)):
            for name in list(values):
                try:
                    check_value(values[name])
                except Refused as e:
                    self.refuse_value(f"{group}.{name}", str(e))
                    del values[name]
        line = item.written()
        while len(line) > MAX_EVENT:
            group, values = ("payload", item.payload) if item.payload else ("attributes", item.attributes)
            if not values:
                raise Refused(f"the event has {len(line)} bytes, the most is {MAX_EVENT}")
            name = min(values, key=lambda n: (-len(values[n]), n))
            self.refuse_value(f"{group}.{name}", f"with it the run has {len(line)} bytes, and the most is {MAX_EVENT}")
            del values[name]
            line = item.written()
        item.line = line
        item.head, item.payload, item.attributes = {}, {}, {}

    def refuse_value(self, name: str, why: str) -> None:
        """Leaves a value out of its run: it is said by name and counted."""
        self.queue.change(lambda s: _add(s, refused_values=1))
        self._talk.say(complaint.VALUE_REFUSED, "left out of a run, which goes on without it: " + why, name)

    def _refuse_event(self, item: Item, segment: Optional[Segment], why: str) -> None:
        head = item.head
        if item.line is not None:
            head = json.loads(item.line)
        # It is said first: who waits for a flush is to find it in the log.
        self._talk.say(
            complaint.EVENT_REFUSED, f"a run or an outcome was refused: {why} (kind {head.get('kind')}, run_id {head.get('run_id')})"
        )
        self._settle([item], segment, refused=1)

    def _settle(self, items: Sequence[Item], segment: Optional[Segment], **counts: int) -> None:
        """Counts what became of items."""
        if segment is None:
            self.queue.change(lambda s: _add(s, **counts), items)
        else:
            self.queue.change(lambda s: _add(s, spooled=-len(items), **counts))

    def _post(self, items: Sequence[Item]) -> "tuple[Any, Optional[ProvaError]]":
        """Sends items in one request; returns the results for them, or why there are none."""
        headers = {"Content-Type": "application/x-ndjson"}
        body = b"".join(item.line + b"\n" for item in items if item.line is not None)
        if not self._no_gzip and len(body) >= MIN_GZIP:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        try:
            answer = self._transport.exchange("POST", INGEST, headers, body, watches=self._watches)
        except Unreachable as e:
            return None, e
        return self._read(answer, len(items))

    def _read(self, answer: Answer, n: int) -> "tuple[Any, Optional[ProvaError]]":
        base = self._transport.base_url
        if not 200 <= answer.status < 300:
            return None, refusal(base, answer.status, answer.headers, answer.data)
        try:
            results = json.loads(answer.data).get("results")
        except (ValueError, AttributeError, RecursionError) as e:
            return None, foreign(base, answer.status, answer.headers, answer.data, str(e))
        if not _answers(results, n):
            return None, foreign(base, answer.status, answer.headers, answer.data, f"it is no answer to {n} events")
        return results, None

    # Judging.

    def _judge(self, part: List[Item], segment: Optional[Segment], results: Any, error: Optional[ProvaError]) -> _Verdict:
        """Settles what an answer settles, and says what to do with the rest."""
        if error is None:
            return self._judge_each(part, segment, results)
        verdict = _Verdict(part, error)
        if not isinstance(error, Problem):
            self._talk.say(complaint.UNREACHABLE, f"the server cannot be reached; what is recorded is kept and sent later: {error}")
            return verdict
        verdict.after = min(error.retry_after, MAX_RETRY_AFTER)
        status = error.status
        if status == 413:
            return self._too_large(part, segment, error)
        if status == 415 and not self._no_gzip:
            self._no_gzip, verdict.error = True, None
        elif status in (401, 403):
            verdict.slow = True
            self._talk.say(complaint.KEY, f"the server does not accept the API key; what is recorded is kept and tried again: {error}")
        elif status in (408, 429) or status >= 500:
            message = f"the server answers with status {status}; what is recorded is kept and sent later: {error}"
            self._talk.say(complaint.UNAVAILABLE, message)
        elif isinstance(error, ForeignAnswer):
            self._talk.say(complaint.FOREIGN_ANSWER, str(error))
        elif status == 400 and len(part) > 1:
            verdict.split, verdict.error = True, None
        elif status == 400:
            self._refuse_event(part[0], segment, str(error))
            return _Verdict()
        else:
            verdict.slow = True
            message = f"the server refuses the request with status {status}; what is recorded is kept and tried again: {error}"
            self._talk.say(complaint.REQUEST_REFUSED, message)
        return verdict

    def _too_large(self, part: List[Item], segment: Optional[Segment], error: Problem) -> _Verdict:
        """Splits a part, and sends less at a time from now on. An event that is too large alone is refused."""
        if len(part) == 1:
            self._refuse_event(part[0], segment, f"the server, or what stands before it, finds it too large: {error}")
            return _Verdict()
        size = sum(len(item.line or b"") for item in part)
        self._batch_bytes = max(1, min(self._batch_bytes, size // 2))
        self._talk.say(complaint.TOO_LARGE, f"a request was too large and is sent in two: {len(part)} events, {size} bytes")
        return _Verdict(part, split=True)

    def _judge_each(self, part: List[Item], segment: Optional[Segment], results: Any) -> _Verdict:
        """Settles the events of an answer one by one."""
        verdict = _Verdict()
        sent: List[Item] = []
        for item, result in zip(part, results):
            if result["status"] != "refused":
                sent.append(item)
                continue
            why = problem(result["problem"])
            if why.status >= 500 or why.status == 429:
                verdict.again.append(item)
                verdict.error = why
                self._talk.say(complaint.UNAVAILABLE, f"the server could not take some events and gets them again: {why}")
            elif self._without_time(item, why):
                verdict.again.append(item)
            else:
                self._refuse_event(item, segment, str(why))
        self._settle(sent, segment, sent=len(sent))
        return verdict

    def _without_time(self, item: Item, why: Problem) -> bool:
        """Leaves occurred_at out of an event that was refused for it: a clock that goes wrong is to cost the time, not the run."""
        if item.line is None or not any(e.pointer == "/occurred_at" for e in why.errors):
            return False
        event = json.loads(item.line)
        if not event.pop("occurred_at", None):
            return False
        self.refuse_value("occurred_at", str(why))
        item.line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return True

    def _pause(self, failures: int, verdict: _Verdict) -> None:
        """Waits before a request is repeated.

        Each time it is twice as long, and half of it at random so that agents that lost their server
        do not come back together. A flush ends a wait, unless the server asked for it.
        """
        s = self._s
        wait = s.retry_max
        if not verdict.slow and failures < 20:
            wait = min(s.retry_min * 2**failures, s.retry_max)
        wait -= random.uniform(0, wait / 2)
        self.queue.pause(max(wait, verdict.after), may_be_kicked=not verdict.after)

    # The spool.

    def _recover(self) -> None:
        """Takes over what recorders left that are gone."""
        if self._spool is None:
            return
        try:
            events, faults = self._spool.take_over()
        except OSError as e:
            events, faults = 0, [e]
        for fault in faults:
            self._talk.say(complaint.SPOOL, f"what an earlier process left in the spool cannot all be read; it stays there: {fault}")
        self.queue.change(lambda s: _add(s, recovered=events, spooled=events))

    def _from_spool(self) -> "Optional[tuple[Segment, List[Item]]]":
        """The oldest segment and what is in it; None if there is none, or none that can be read now."""
        while self._spool is not None:
            try:
                found = self._spool.read_oldest()
            except OSError as e:
                self._talk.say(complaint.SPOOL, f"a file of the spool cannot be read, and is kept: {e}")
                return None
            if found is None:
                return None
            segment, lines, broken = found
            # A write that failed may have left more lines than were counted.
            more = len(lines) + broken - segment.events
            lost = len(lines) - segment.events
            if broken:
                self._talk.say(complaint.SPOOL, f"a file of the spool is damaged or gone: what of it is there is sent, {broken} are lost ({segment.path})")
            self.queue.change(lambda s: _add(s, recovered=more, spooled=lost, dropped=broken))
            segment.events = len(lines)
            if lines:
                return segment, [item_of_line(line) for line in lines]
            self._remove(segment)
        return None

    def _remove(self, segment: Segment) -> None:
        assert self._spool is not None
        self._spool.remove(segment, lambda message: self._talk.say(complaint.SPOOL, message))

    def _relieve(self) -> None:
        """Moves the oldest of what waits to the spool when memory fills up."""
        while not self.queue.given_up:
            try:
                self._relieve_once()
            except Exception as e:  # noqa: BLE001 - the background must outlive a fault of its own
                self._talk.say(complaint.SPOOL, f"the spool failed, and is tried again: {type(e).__name__}: {e}")
                self.queue.pause(SPOOL_PAUSE, may_be_kicked=False)

    def _relieve_once(self) -> None:
        self.queue.wait_for_crowd()
        if self.queue.given_up:
            return
        with self._taking:
            items = self.queue.take_crowd()
            done = 0
            try:
                done = self._into_spool(items)
            finally:
                self.queue.give_back(items[done:])
        if done < len(items):  # a full disk is not asked again for each run
            self.queue.pause(SPOOL_PAUSE, may_be_kicked=False)

    def _into_spool(self, items: List[Item]) -> int:
        """Writes items that were taken to the disk, and returns how many need no memory any more: they stand first then."""
        assert self._spool is not None
        kept = [item for item in items if self._written(item, None)]
        n, fault = self._spool.append(kept[0].since_1970 if kept else 0, [item.line for item in kept if item.line is not None])
        self.queue.change(lambda s: _add(s, spooled=n), kept[:n])
        if fault is not None:
            s = self._s
            self._talk.say(complaint.SPOOL, f"the spool takes no more: {fault} ({s.spool_dir}, at most {s.spool_bytes} bytes)")
        # Those that were refused are done; of the rest the first n are.
        left = kept[n:]
        items[len(items) - len(left) :] = left
        return len(items) - len(left)


def _add(s: Stats, **counts: int) -> None:
    for name, n in counts.items():
        setattr(s, name, getattr(s, name) + n)


def _answers(results: Any, n: int) -> bool:
    """Whether there is one result for each of n events."""
    if not isinstance(results, list) or len(results) != n:
        return False
    for i, result in enumerate(results):
        if not isinstance(result, dict) or result.get("index") != i:
            return False
        if result.get("status") == "refused":
            try:
                problem(result.get("problem"))
            except ValueError:
                return False
        elif result.get("status") not in ("created", "duplicate"):
            return False
    return True
