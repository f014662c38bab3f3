"""The settings of a recorder: what is given, then the environment, then the standard."""

from __future__ import annotations

import os
from dataclasses import dataclass

MAX_BODY = 16 << 20  # bytes of a request, also after decompression
MAX_EVENT = 256 << 10  # bytes of one event
MAX_DEPTH = 32  # nesting of one event
MAX_EVENTS = 10_000  # events of one request
MAX_METRICS = 64  # metrics of one run
MAX_NAME = 200  # bytes of a name


@dataclass
class Settings:
    """What Recorder documents; sizes in bytes, times in seconds."""

    api_key: str
    base_url: str
    app_id: str
    release: str
    environment: str
    framework: str
    queue_events: int
    queue_bytes: int
    batch_events: int
    batch_bytes: int
    flush_interval: float
    timeout: float
    retry_min: float
    retry_max: float
    spool_dir: str
    spool_bytes: int

    def complete(self) -> Settings:
        """Fills in what is not given. Nothing that is given is an error here: a recorder never raises."""
        self.api_key = _text(self.api_key, "PROVA_API_KEY")
        self.base_url = _text(self.base_url, "PROVA_BASE_URL")
        self.app_id = _text(self.app_id, "PROVA_APP_ID")
        self.release = _text(self.release, "PROVA_RELEASE")
        self.environment = _text(self.environment, "PROVA_ENVIRONMENT") or "production"
        self.framework = _text(self.framework, "")
        self.spool_dir = _text(self.spool_dir, "PROVA_SPOOL_DIR")
        self.queue_events = int(_positive(self.queue_events, 10_000))
        self.queue_bytes = int(_positive(self.queue_bytes, 16 << 20))
        # The server's own limits leave room for what is added here.
        self.batch_events = int(min(_positive(self.batch_events, 1000), MAX_EVENTS))
        self.batch_bytes = int(min(_positive(self.batch_bytes, 1 << 20), MAX_BODY - MAX_EVENT))
        self.flush_interval = _positive(self.flush_interval, 1)
        # Beyond some days a time is more than a lock can wait.
        self.timeout = min(_positive(self.timeout, 30), 86_400)
        self.retry_min = min(_positive(self.retry_min, 0.5), 86_400)
        self.retry_max = max(self.retry_min, min(_positive(self.retry_max, 30), 86_400))
        self.spool_bytes = int(_positive(self.spool_bytes, 256 << 20))
        return self


def _text(given: object, variable: str) -> str:
    """What is given, as text: a path or a str; nothing, and what cannot be text, is the variable's."""
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if isinstance(text, str) and text:
        return text
    return os.environ.get(variable, "").strip() if variable else ""


def _positive(given: object, standard: float) -> float:
    """A number above zero and finite, or the standard."""
    if isinstance(given, (int, float)) and 0 < given < float("inf"):
        return given
    return standard
