"""A server that answers as a test says, and a recorder that is in a hurry."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional

from prova_sdk import Recorder

Answer = Callable[["Handler", List[Dict[str, Any]]], None]


def created(h: "Handler", events: List[Dict[str, Any]]) -> None:
    h.reply(200, {"results": [{"index": i, "status": "created"} for i in range(len(events))]})


def status(code: int, kind: str = "unavailable", **headers: str) -> Answer:
    def answer(h: "Handler", events: List[Dict[str, Any]]) -> None:
        h.reply(code, {"type": f"urn:prova:problem:{kind}", "title": kind, "status": code, "detail": "as the test says"}, problem=True, **headers)

    return answer


def raw(code: int, body: bytes, content_type: str = "text/html", **headers: str) -> Answer:
    return lambda h, events: h.send(code, body, content_type, **headers)


def reset(h: "Handler", events: List[Dict[str, Any]]) -> None:
    h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    h.connection.close()
    h.close_connection = True


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        events = [json.loads(line) for line in body.splitlines() if line]
        with self.server.lock:
            self.server.requests.append(events)
            self.server.headers.append(dict(self.headers))
            self.server.paths.append(self.path)
            self.server.times.append(time.monotonic())
            answer = self.server.script.pop(0) if self.server.script else self.server.always
        answer(self, events)

    def reply(self, code: int, body: Any, problem: bool = False, **headers: str) -> None:
        self.send(code, json.dumps(body).encode(), "application/problem+json" if problem else "application/json", **headers)

    def send(self, code: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers with each of the script once, in order, and then always in the same way."""

    daemon_threads = True

    def __init__(self, *script: Answer, always: Answer = created) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.script, self.always = list(script), always
        self.requests: List[List[Dict[str, Any]]] = []
        self.headers: List[Dict[str, str]] = []
        self.paths: List[str] = []
        self.times: List[float] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *args: Any) -> None:
        pass

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *args: Any) -> None:
        self.shutdown()
        self.server_close()

    @property
    def events(self) -> List[Dict[str, Any]]:
        return [event for request in self.requests for event in request]


class Talk(logging.Logger):
    """Keeps what is said, by kind."""

    def __init__(self) -> None:
        super().__init__("test")
        self.said: List[Any] = []
        self.warnings: List[Any] = []
        self.lines: List[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.said.append(record.kind)  # type: ignore[attr-defined]
        self.warnings.append((record.kind, record.subject))  # type: ignore[attr-defined]
        self.lines.append(record.getMessage())


def hurried(url: str, talk: Optional[logging.Logger] = None, **options: Any) -> Recorder:
    standard: Dict[str, Any] = {
        "api_key": "prv_test", "app_id": "claims-agent", "release": "v1", "flush_interval": 0.01, "retry_min": 0.01, "retry_max": 0.03,
        "logger": talk or Talk(),
    }  # fmt: skip
    return Recorder(base_url=url, **{**standard, **options})


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.002)
