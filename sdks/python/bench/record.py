#!/usr/bin/env python3
"""How long recording a run holds the agent up.

    python3 sdks/python/bench/record.py [--seconds 5] [--limit MICROSECONDS]

A run is all that the SDK does for a block, which itself only sets two metrics and an
input and an output of a kilobyte. There is one about each millisecond; the agent sleeps in
between, so that every run finds cold caches. The server is a process here that signs
nothing. The reference writes the same as JSON once, and does nothing else.

Beside the time by the clock, which on a busy machine is also that of others, stands the
processor time of the thread that records. With a limit it ends with 1 if a 99th
percentile by the clock is above it, or a run was dropped.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

TEXT = "What does the policy say about water damage? " * 23
INPUT, OUTPUT = TEXT[:1000], TEXT[-1000:]


class Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        time.sleep(float(self.path.split("/")[1]) / 1000)  # the address says how slow it is, in milliseconds
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        receipt = {"body": {"a": TEXT}, "key_id": "0" * 64, "signature": "0" * 88}  # as large as one of a server
        answer = {"results": [{"index": i, "status": "created", "receipt": receipt} for i in range(body.count(b"\n"))]}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


def sink() -> None:
    server = HTTPServer(("127.0.0.1", 0), Sink)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def record(recorder: Any) -> None:
    with recorder.run(probe_id="claim-0017") as run:
        run.metric("cost_usd", 0.0123)
        run.metric("tokens", 2210)
        run.input(INPUT)
        run.output(OUTPUT)


def reference(_: Any) -> None:
    source = {"app_id": "bench", "environment": "production", "release": "v1"}
    metrics = {"success": True, "latency_ms": 0.012, "cost_usd": 0.0123, "tokens": 2210}
    payload = {"input": INPUT, "output": OUTPUT}
    json.dumps({
        "kind": "agent_run", "occurred_at": "2026-05-15T18:42:00.123456Z", "idempotency_key": "0" * 32, "source": source, "run_id": "0" * 32,
        "probe_id": "claim-0017", "metrics": metrics, "payload": payload,
    })  # fmt: skip


def measure(work: Callable[[Any], None], recorder: Any, pause: float, seconds: float) -> Tuple[List[float], List[float]]:
    """Microseconds of each run by the clock and of the processor, sorted; pause is from one beginning to the next."""
    times: List[float] = []
    busy: List[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        processor, start = time.thread_time(), time.perf_counter()
        work(recorder)
        times.append((time.perf_counter() - start) * 1e6)
        busy.append((time.thread_time() - processor) * 1e6)
        if pause:
            time.sleep(max(0.0, start + pause - time.perf_counter()))
    return sorted(times), sorted(busy)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--limit", type=float, default=0)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sink:
        sink()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(__file__).resolve().parent
        sys.path[:0] = [str(here.parent), folder]
        import package

        package.lay_out(folder)
        process = subprocess.Popen([sys.executable, __file__, "--sink"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            return report(process.stdout.readline().strip(), folder, args.seconds, args.limit)
        finally:
            process.kill()
            process.communicate()


def report(url: str, folder: str, seconds: float, limit: float) -> int:
    from prova_sdk import Recorder

    logging.disable()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    print(f"{'':<44} {'runs':>7} {'p50 µs':>8} {'p99 µs':>8} {'p99.9 µs':>9} {'CPU p99':>8} {'dropped':>8}")
    down = "http://127.0.0.1:9"
    cases: List[Tuple[str, Callable[[Any], None], float, Dict[str, Any]]] = [
        ("reference: the JSON alone", reference, 0.001, {}),
        ("server up", record, 0.001, {"base_url": url + "/0"}),
        ("server slow (500 ms a request)", record, 0.001, {"base_url": url + "/500"}),
        ("server down", record, 0.001, {"base_url": down}),
        ("server down, memory for 1,000, rest in spool", record, 0.001, {"base_url": down, "queue_events": 1000, "spool_dir": folder + "/spool"}),
        ("server up, runs as fast as they go", record, 0, {"base_url": url + "/0"}),
    ]
    failed = False
    for name, work, pause, options in cases:
        recorder = Recorder(app_id="bench", release="v1", api_key="prv_bench", **options)
        times, busy = measure(work, recorder, pause, seconds)
        dropped = recorder.stats().dropped
        recorder.close(0.1)
        figures = f"{at(times, 0.5):>8.1f} {at(times, 0.99):>8.1f} {at(times, 0.999):>9.1f} {at(busy, 0.99):>8.1f}"
        print(f"{name:<44} {len(times):>7} {figures} {dropped:>8}", flush=True)
        failed = failed or pause > 0 and (dropped > 0 or at(times, 0.99) > limit)
    return 1 if limit and failed else 0


def at(times: List[float], quantile: float) -> float:
    return times[min(len(times) - 1, int(len(times) * quantile))]


if __name__ == "__main__":
    sys.exit(main())
