"""What waits in memory, oldest first, and the count of everything."""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Callable, Deque, Dict, List, Optional, Sequence, Tuple

from ._event import Item
from ._settings import Settings


@dataclass
class Stats:
    """Counts runs and outcomes.

    recorded and recovered are what came in; each of them is in one of the other
    places: sent, refused, dropped, queued or spooled.
    """

    #: What the program recorded.
    recorded: int = 0
    #: What an earlier process left in the spool.
    recovered: int = 0
    #: What the server has signed.
    sent: int = 0
    #: What the server, or a check before it, will never take.
    refused: int = 0
    #: What was lost because nothing could hold it.
    dropped: int = 0
    #: What waits in memory, with what is being sent.
    queued: int = 0
    #: What waits on disk.
    spooled: int = 0
    #: The metrics, payload fields and names that were left out of runs that went on without them.
    refused_values: int = 0


class Pushed(enum.Enum):
    ACCEPTED = 1
    FULL = 2
    CLOSED = 3


# How long the sender waits where nothing is due: until it is told.
IDLE = 3600.0


class Queue:
    """Everything is under one lock. It is reentrant, because a signal handler may record while its thread does."""

    def __init__(self, s: Settings) -> None:
        self._max_events, self._max_bytes = s.queue_events, s.queue_bytes
        # What makes a batch that does not wait for more.
        self._full_events, self._full_bytes = s.batch_events, s.batch_bytes
        self._lock = threading.RLock()
        self._more = threading.Condition(self._lock)  # the sender has something to look at
        self._kick = threading.Condition(self._lock)  # a wait that the recorder chose itself ends
        self._high = threading.Condition(self._lock)  # memory fills up
        self._settled = threading.Condition(self._lock)  # something needs nothing more
        self._items: Deque[Item] = deque()
        self._taken: Dict[int, Item] = {}  # from memory, not settled yet
        self._held = 0  # items that wait or are being sent
        self._bytes = 0  # of those
        self._count = Stats()
        self._settled_count = 0
        self._flushing = 0
        self._kicks = 0
        self._closed = False
        self._seizer: Optional[int] = None  # the thread that took everything
        #: The recorder gives up what it is sending.
        self.given_up = False
        #: Why the last request failed, None after one that did not.
        self.failure: Optional[BaseException] = None

    def push(self, item: Item) -> Pushed:
        """Adds an event; it never waits for anything but the lock."""
        with self._lock:
            self._count.recorded += 1
            if self._closed:
                self._count.dropped += 1
                return Pushed.CLOSED
            if self._held >= self._max_events or self._bytes + item.size > self._max_bytes:
                self._count.dropped += 1
                self._high.notify()
                return Pushed.FULL
            self._items.append(item)
            self._held += 1
            self._bytes += item.size
            if self._crowded():
                self._high.notify()
            if len(self._items) == 1 or self._full():
                self._more.notify()
            return Pushed.ACCEPTED

    def _full(self) -> bool:
        return len(self._items) >= self._full_events or self._bytes >= self._full_bytes or self._flushing > 0

    def _crowded(self) -> bool:
        return self._held > self._max_events // 2 or self._bytes > self._max_bytes // 2

    def due(self, interval: float) -> float:
        """How long the sender may wait for more, in seconds; 0 is not at all."""
        with self._lock:
            if not self._items:
                return IDLE
            if self._full():
                return 0
            return max(0.0, interval - (time.monotonic() - self._items[0].at))

    def wait_for_more(self, interval: float) -> None:
        """Waits until something is due, or the recorder gives up."""
        with self._lock:
            seen = self._kicks
            while not self.given_up and self._kicks == seen:
                wait = self.due(interval)
                if wait <= 0:
                    return
                self._more.wait(wait)

    def pause(self, seconds: float, may_be_kicked: bool) -> None:
        end = time.monotonic() + seconds
        with self._lock:
            seen = self._kicks
            while not self.given_up and not (may_be_kicked and self._kicks != seen):
                left = end - time.monotonic()
                if left <= 0:
                    return
                self._kick.wait(left)

    def kick(self) -> None:
        with self._lock:
            self._kicks += 1
            self._kick.notify_all()
            self._more.notify_all()

    def give_up(self) -> None:
        with self._lock:
            self.given_up = True
            for condition in (self._kick, self._more, self._high):
                condition.notify_all()

    def take(self, events: int, size: int) -> List[Item]:
        """Hands out the oldest items, at least one if there is one."""
        with self._lock:
            taken: List[Item] = []
            total = 0
            while self._items and len(taken) < events and self._seizer is None:
                total += self._items[0].size
                if taken and total > size:
                    break
                item = self._items.popleft()
                self._taken[id(item)] = item
                taken.append(item)
            return taken

    def wait_for_crowd(self) -> None:
        """Waits until memory is more than half full and some of it can be taken, or the recorder gives up."""
        with self._lock:
            while not self.given_up and not (self._crowded() and self._items):
                self._high.wait()

    def take_crowd(self) -> List[Item]:
        """Hands out the oldest items if memory is more than half full."""
        with self._lock:
            if not self._crowded():
                return []
            return self.take(max(1, self._max_events // 4), max(1, self._max_bytes // 4))

    def give_back(self, items: Sequence[Item]) -> None:
        """Puts items that were taken, and not settled since, at the front again."""
        with self._lock:
            back = [item for item in items if self._taken.pop(id(item), None) is not None]
            self._items.extendleft(reversed(back))
            if back and self._crowded():
                self._high.notify()

    def seize(self) -> Tuple[List[Item], List[Item]]:
        """Takes everything, from whoever has it: what other threads still say of it counts no more.

        What was being sent comes first: it may be older than what lies in the spool.
        """
        with self._lock:
            rest = list(self._taken.values()), list(self._items)
            self._taken.clear()
            self._items.clear()
            self._seizer = threading.get_ident()
            return rest

    def change(self, update: Callable[[Stats], None], memory: Sequence[Item] = ()) -> None:
        """Applies what became of items that were taken from memory, and of what is in the spool."""
        with self._lock:
            if self._seizer not in (None, threading.get_ident()):
                return
            c = self._count
            before = c.sent + c.refused + c.dropped
            update(c)
            self._held -= len(memory)
            for item in memory:
                self._bytes -= item.size
                self._taken.pop(id(item), None)
            done = c.sent + c.refused + c.dropped - before
            if done > 0:
                self._settled_count += done
                self._settled.notify_all()

    def settle(self, seconds: float) -> bool:
        """Waits until everything that is there now needs nothing more; False if the time ends first. The oldest goes first."""
        end = time.monotonic() + seconds
        with self._lock:
            goal = self._settled_count + self._held + self._count.spooled
            while self._settled_count < goal:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._settled.wait(left)
            return True

    def flushing(self, more: int) -> None:
        with self._lock:
            self._flushing += more

    def stats(self) -> Stats:
        with self._lock:
            return replace(self._count, queued=self._held)

    def close(self) -> None:
        with self._lock:
            self._closed = True
