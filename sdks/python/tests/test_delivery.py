"""What becomes of runs when the server, or what stands before it, does not do what it should."""

from __future__ import annotations

import base64
import email.utils
import glob
import io
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Any, Dict, List
from unittest import mock

from support import Handler, Server, Talk, created, free_port, hurried, raw, reset, status, until

from prova_sdk import _sender
from prova_sdk._http import Answer
from prova_sdk._spool import frame, unframe
from prova_sdk.errors import retry_after


def keys(requests: List[List[Dict[str, Any]]]) -> List[List[str]]:
    return [[e["idempotency_key"] for e in request] for request in requests]


def invalid(h: Handler, events: List[Dict[str, Any]]) -> None:
    """Refuses what is named bad, as the server does: each alone."""
    h.reply(200, {"results": [_invalid(i, e) for i, e in enumerate(events)]})


def _invalid(i: int, e: Dict[str, Any]) -> Dict[str, Any]:
    if e["run_id"] != "bad":
        return {"index": i, "status": "created"}
    return {"index": i, "status": "refused", "problem": {"type": "urn:prova:problem:invalid", "status": 409, "title": "t", "detail": "no"}}


class Faults(unittest.TestCase):
    def recorded(self, server: Server, n: int = 1, **options: Any) -> Any:
        """Records n runs, waits for them, and returns the counts and what was said."""
        talk = Talk()
        r = hurried(server.url, talk, **options)
        for i in range(n):
            r.record({"success": True}, run_id=f"r{i}")
        self.assertIsNone(r.close(60))
        return r.stats(), talk

    def test_what_fails_is_sent_again_under_the_same_key(self) -> None:
        wrong = b'{"results": [{"index": 0, "status": "created"}, {"index": 1, "status": "created"}]}'
        faults = {
            "unavailable": [status(500), status(503), status(429), status(408), raw(502, b"<html>Bad Gateway</html>")],
            "unreachable": [reset],
            "foreign_answer": [
                raw(200, b"<html>Sign in</html>"), raw(200, b"{}", "application/json"), raw(200, wrong, "application/json"), raw(200, b""),
                raw(302, b"", Location="http://127.0.0.1:1/"), raw(404, b"no such page"), raw(200, b"[" * 100_000),
            ],
            "key": [status(401, "unauthenticated"), status(403, "forbidden")],
            "request_refused": [status(404, "not_found"), status(422, "other")],
        }  # fmt: skip
        for kind, answers in faults.items():
            with self.subTest(kind), Server(*answers) as server:
                stats, talk = self.recorded(server)
                sent = keys(server.requests)
                self.assertEqual((len(sent), stats.sent, set(talk.said)), (len(answers) + 1, 1, {kind}))
                self.assertEqual(sent, [sent[0]] * len(sent))

    def test_an_answer_that_breaks_off_is_none(self) -> None:
        def short(h: Handler, events: List[Dict[str, Any]]) -> None:
            h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"results":[]}')
            h.close_connection = True

        with Server(short) as server:
            stats, talk = self.recorded(server)
            self.assertEqual((stats.sent, talk.said[0]), (1, "unreachable"))

    def test_a_drip_is_bounded_by_the_timeout(self) -> None:
        stop = threading.Event()

        def drip(h: Handler, events: List[Dict[str, Any]]) -> None:
            h.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.02):
                try:
                    h.wfile.write(b"X-Drip: 1\r\n")
                except OSError:
                    return

        try:
            with Server(drip) as server:
                stats, talk = self.recorded(server, timeout=0.3)
                self.assertEqual((stats.sent, len(server.requests)), (1, 2))
                self.assertIn("no answer in time", talk.lines[0])
        finally:
            stop.set()

    def test_retry_after_counts(self) -> None:
        with Server(status(429, Retry_After="1")) as server:
            r = hurried(server.url)
            r.record({"success": True})
            self.assertTrue(until(lambda: server.requests))
            # A flush ends a wait that the recorder chose, not one that the server asked for.
            self.assertIsNone(r.close(30))
            self.assertGreaterEqual(server.times[1] - server.times[0], 0.99)

    def test_retry_after_is_seconds_or_a_date(self) -> None:
        in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
        for value, least, most in (
            ("7", 7, 7), (in_a_minute, 57, 60), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("-1", 0, 0), ("soon", 0, 0), ("", 0, 0),
            ("9" * 400, 86400, 86400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86400, 86400),
        ):  # fmt: skip
            with self.subTest(value):
                got = retry_after({"retry-after": value})
                self.assertTrue(least <= got <= most, got)

    def test_a_flush_ends_a_wait_of_our_own(self) -> None:
        with Server(status(500)) as server:
            r = hurried(server.url, retry_min=3600, retry_max=3600)
            r.record({"success": True})
            self.assertTrue(until(lambda: r._sender.queue.failure))
            self.assertIsNone(r.flush(30))
            r.close()

    def test_too_large_is_sent_in_parts(self) -> None:
        def small(h: Handler, events: List[Dict[str, Any]]) -> None:
            if len(events) > 2 or any(e["run_id"] == "r3" for e in events):
                status(413, "too_large")(h, events)
            else:
                created(h, events)

        with Server(always=small) as server:
            stats, talk = self.recorded(server, 9)
            self.assertEqual((stats.sent, stats.refused, talk.said[0]), (8, 1, "too_large"))
            taken = [e["run_id"] for request in server.requests if len(request) <= 2 for e in request if e["run_id"] != "r3"]
            # In order, but for the first halves of pairs that were sent before they were split.
            self.assertEqual(list(dict.fromkeys(taken)), [f"r{i}" for i in range(9) if i != 3])

    def test_what_was_too_large_makes_later_batches_smaller(self) -> None:
        def small(h: Handler, events: List[Dict[str, Any]]) -> None:
            (status(413, "too_large") if len(events) > 5 else created)(h, events)

        with Server(always=small) as server:
            r = hurried(server.url)
            for _ in range(2):
                for i in range(8):
                    r.record({"success": True}, run_id=f"r{i}")
                self.assertIsNone(r.flush(30))
            r.close()
            self.assertEqual(len([batch for batch in server.requests if len(batch) > 5]), 1)

    def test_a_batch_that_cannot_be_read_is_split(self) -> None:
        def bad(h: Handler, events: List[Dict[str, Any]]) -> None:
            (status(400, "invalid") if any(e["run_id"] == "r2" for e in events) else created)(h, events)

        with Server(always=bad) as server:
            stats, talk = self.recorded(server, 5)
            self.assertEqual((stats.sent, stats.refused, talk.said), (4, 1, ["event_refused"]))

    def test_gzip_until_the_server_refuses_it(self) -> None:
        with Server(status(415, "unsupported")) as server:
            stats, talk = self.recorded(server, 20)
            self.assertEqual([h.get("Content-Encoding") for h in server.headers], ["gzip", None])
            self.assertEqual((keys(server.requests)[0], stats.sent, talk.said), (keys(server.requests)[1], 20, []))

    def test_one_event_is_refused_alone(self) -> None:
        with Server(always=invalid) as server:
            talk = Talk()
            r = hurried(server.url, talk)
            for run in ("a", "bad", "b"):
                r.record({"success": True}, run_id=run)
            self.assertIsNone(r.close(30))
            self.assertEqual((r.stats().sent, r.stats().refused, talk.said), (2, 1, ["event_refused"]))
            self.assertIn("bad", talk.lines[0])

    def test_what_the_server_cannot_take_now_is_sent_again(self) -> None:
        def half(h: Handler, events: List[Dict[str, Any]]) -> None:
            later = {"type": "urn:prova:problem:unavailable", "status": 503, "title": "t", "detail": "later"}
            results: List[Dict[str, Any]] = [{"index": i, "status": "created"} for i in range(len(events))]
            results[1] = {"index": 1, "status": "refused", "problem": later}
            h.reply(200, {"results": results})

        with Server(half) as server:
            stats, talk = self.recorded(server, 3)
            self.assertEqual((stats.sent, [[e["run_id"] for e in r] for r in server.requests][1:]), (3, [["r1"]]))

    def test_a_wrong_clock_costs_the_time_and_not_the_run(self) -> None:
        def clock(h: Handler, events: List[Dict[str, Any]]) -> None:
            why = {"type": "urn:prova:problem:invalid", "status": 400, "title": "t", "errors": [{"pointer": "/occurred_at", "detail": "future"}]}
            h.reply(200, {"results": [{"index": 0, "status": "refused", "problem": why}]})

        with Server(clock) as server:
            stats, talk = self.recorded(server)
            first, second = server.events
            self.assertEqual({**second, "occurred_at": first["occurred_at"]}, first)
            self.assertNotIn("occurred_at", second)
            self.assertEqual((stats.sent, stats.refused_values, talk.said), (1, 1, ["value_refused"]))

    def test_batches(self) -> None:
        with Server() as server:
            r = hurried(server.url, batch_events=4, flush_interval=3600)
            for i in range(10):
                r.record({"success": True})
            self.assertTrue(until(lambda: len(server.requests) == 2))
            self.assertEqual([len(b) for b in server.requests], [4, 4])
            r.close(30)
            self.assertEqual([len(b) for b in server.requests], [4, 4, 2])

    def test_a_full_queue_drops_the_newest_and_tells(self) -> None:
        gate = threading.Event()

        def wait(h: Handler, events: List[Dict[str, Any]]) -> None:
            gate.wait(30)
            created(h, events)

        with Server(wait) as server:
            talk = Talk()
            r = hurried(server.url, talk, queue_events=5)
            began = time.monotonic()
            for i in range(8):
                r.record({"success": True}, run_id=f"r{i}")
            took = time.monotonic() - began
            stats = r.stats()
            gate.set()
            self.assertEqual((stats.recorded, stats.queued, stats.dropped), (8, 5, 3))
            self.assertLess(took, 5)
            self.assertIsNone(r.close(30))
            self.assertEqual(sorted(e["run_id"] for e in server.events), [f"r{i}" for i in range(5)])
            self.assertEqual(talk.said, ["dropped", "dropped"])
            self.assertIn("2 times", talk.lines[1])
            r.record({"success": True})
            self.assertEqual((r.stats().dropped, talk.said[-1]), (4, "closed"))

    def test_bytes_bound_the_queue_too(self) -> None:
        with Server() as server:
            talk = Talk()
            r = hurried(server.url, talk, queue_bytes=5000, flush_interval=3600)
            r.record({"success": True}, payload={"x": "y" * 4400})
            r.record({"success": True})
            self.assertEqual((r.stats().queued, r.stats().dropped), (1, 1))
            r.close(30)

    def test_close_is_bounded_and_counts_what_is_lost(self) -> None:
        gate = threading.Event()
        with Server(always=lambda h, events: gate.wait(60) and None) as server:
            talk = Talk()
            r = hurried(server.url, talk)
            r.record({"success": True})
            self.assertTrue(until(lambda: server.requests))
            began = time.monotonic()
            left = r.flush(0.05)
            self.assertEqual((left.queued, left.lost), (1, 0))
            left = r.close(0.1)
            self.assertLess(time.monotonic() - began, 10)
            self.assertEqual((left.queued, left.spooled, left.lost), (0, 0, 1))
            self.assertEqual((r.stats().queued, r.stats().dropped, talk.said), (0, 1, ["dropped"]))
            self.assertIs(r.close(), left)
            self.assertIsNone(r.flush())  # nothing waits any more
            # What it was sending was broken off.
            self.assertTrue(until(lambda: not any(t.is_alive() for t in r._sender._threads)))
            gate.set()

    def test_what_a_thread_that_hangs_says_later_counts_no_more(self) -> None:
        gate = threading.Event()

        def hang(*_: Any, **__: Any) -> Answer:
            gate.wait(30)
            return Answer(200, {}, b'{"results":[{"index":0,"status":"created"}]}')

        r = hurried("http://127.0.0.1:1")
        with mock.patch.object(r._transport, "exchange", hang), mock.patch.object(_sender, "JOIN", 0.01):
            r.record({"success": True})
            self.assertTrue(until(lambda: r._sender.queue._taken))
            self.assertEqual(r.close(0.01).lost, 1)
            gate.set()
            self.assertTrue(until(lambda: not any(t.is_alive() for t in r._sender._threads)))
        self.assertEqual((r.stats().sent, r.stats().dropped, r.stats().queued), (0, 1, 0))


class Ways(unittest.TestCase):
    """How a server is reached."""

    def sent(self, url: str) -> Any:
        r = hurried(url, Talk(), timeout=20)
        r.record({"success": True})
        until(lambda: r.stats().sent or r._sender.queue.failure)
        r.close(0.1)
        return r._sender.queue.failure or r.stats().sent

    def test_a_proxy(self) -> None:
        with Server() as proxy, mock.patch.dict(os.environ, {"http_proxy": proxy.url.replace("//", "//me:p%40ss@"), "no_proxy": "kept.invalid"}):
            self.assertEqual(self.sent("http://prova.invalid/prefix/"), 1)
            self.assertEqual(proxy.paths, ["http://prova.invalid/prefix/api/v1/audit/ingest"])
            self.assertEqual(proxy.headers[0]["Proxy-Authorization"], "Basic " + base64.b64encode(b"me:p@ss").decode())
            self.assertIn("no address is known", str(self.sent("http://kept.invalid")))
            with Server() as server:
                self.assertEqual(self.sent(server.url), 1)  # this machine is not asked through a proxy
                self.assertEqual(server.paths, ["/api/v1/audit/ingest"])
            os.environ["http_proxy"] = "http://[nonsense"
            self.assertIn("cannot reach", str(self.sent("http://prova.invalid")))

    def test_tls_with_a_certificate_that_is_trusted_and_with_one_that_is_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Server() as server:
            key, cert = folder + "/key", folder + "/cert"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                check=True, capture_output=True,
            )  # fmt: skip
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            url = f"https://localhost:{server.server_port}"
            self.assertIn("certificate", str(self.sent(url)))
            with mock.patch.dict(os.environ, {"SSL_CERT_FILE": cert}):
                self.assertEqual(self.sent(url), 1)


class Spools(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.port = free_port()
        self.down = f"http://127.0.0.1:{self.port}"
        self.talk = Talk()

    def recorder(self, **options: Any) -> Any:
        return hurried(self.down, self.talk, spool_dir=self.dir, **options)

    def left_by(self, *runs: str, **options: Any) -> None:
        r = self.recorder(**options)
        for run in runs:
            r.record({"success": True}, run_id=run, payload={"secret": "é"})
        left = r.close(0.01)
        self.assertEqual((left.spooled, left.lost), (len(runs) + r.stats().recovered, 0))

    def files(self) -> List[str]:
        return sorted(glob.glob(self.dir + "/*/*.ndjson"))

    def up(self) -> Server:
        """A server at the address at which there was none."""
        server = Server()
        self.down = server.url
        return server

    def test_the_next_process_sends_what_is_left(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            self.left_by("a", "b")
            self.left_by("c")  # which took over the first two
            mode = stat.S_IMODE(os.stat(self.files()[0]).st_mode), stat.S_IMODE(os.stat(os.path.dirname(self.files()[0])).st_mode)
            self.assertEqual(mode, (0o600, 0o700))
            seen = len(server.requests)
            server.always = created
            r = self.recorder()
            r.record({"success": True}, run_id="d")
            self.assertIsNone(r.close(30))
            # What was given up may still have been on its way.
            order = dict.fromkeys(e["run_id"] for request in server.requests[seen:] for e in request)
            self.assertEqual(list(order), ["a", "b", "c", "d"])
            stats = r.stats()
            self.assertEqual((stats.recorded, stats.recovered, stats.sent, stats.spooled, stats.dropped), (1, 3, 4, 0, 0))
            self.assertEqual(os.listdir(self.dir), [])

    def test_a_torn_line_is_lost_alone(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            self.left_by("a", "b", "c")
            (path,) = self.files()
            with open(path, "rb") as f:
                lines = f.readlines()
            self.assertEqual([json.loads(line)["event"]["run_id"] for line in lines], ["a", "b", "c"])
            with open(path, "wb") as f:
                f.write(lines[0] + lines[1].replace(b'"b"', b'"B"') + lines[2][:-9])
            server.always = created
            r = self.recorder()
            self.assertIsNone(r.close(30))
            self.assertEqual(server.events[-1]["run_id"], "a")
            stats = r.stats()
            self.assertEqual((stats.recovered, stats.sent, stats.dropped, stats.spooled), (3, 1, 2, 0))
            self.assertIn("spool", self.talk.said)

    def test_a_file_that_is_gone_is_counted(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            r = self.recorder(queue_events=4, batch_events=1, retry_min=60, retry_max=60)
            r.record({"success": True}, run_id="r0")
            self.assertTrue(until(lambda: r._sender.queue.failure))
            for i in range(1, 7):
                self.assertTrue(until(lambda: r.stats().queued < 4))
                r.record({"success": True}, run_id=f"r{i}")
            self.assertTrue(until(lambda: r.stats().queued <= 2))
            gone = r.stats().spooled
            self.assertGreater(gone, 2)
            for path in self.files():
                os.remove(path)
            server.always = created
            self.assertIsNone(r.close(30))
            stats = r.stats()
            self.assertEqual((stats.recorded, stats.sent, stats.dropped, stats.recovered, stats.spooled), (7, 7 - gone, gone, 0, 0))
            self.assertIn("spool", self.talk.said)

    def test_a_line_that_was_cut_off_or_changed_anywhere_is_no_event(self) -> None:
        events = [b'{"run_id":"a"}', b'{"run_id":"b","x":"\\n"}', b'{"run_id":"c"}']
        data = b"".join(frame(e) for e in events)
        for n in range(len(data) + 1):
            found = [unframe(line) for line in io.BytesIO(data[:n])]
            self.assertEqual([e for e in found if e is not None], events[: data[:n].count(b"\n")], n)
        for i in range(len(data)):
            for bit in range(8):
                changed = data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :]
                found = [unframe(line) for line in io.BytesIO(changed)]
                self.assertTrue({e for e in found if e is not None} < set(events), (i, bit))

    def test_what_was_spooled_survives_a_kill(self) -> None:
        text = """
import os, signal, sys, time
from prova_sdk import Recorder
r = Recorder(api_key="prv_test", app_id="claims-agent", base_url=sys.argv[1], spool_dir=sys.argv[2], queue_events=4, retry_min=60, retry_max=60)
for i in range(40):
    while r.stats().queued > 3:
        time.sleep(0.001)
    r.record({"success": True}, run_id=f"r{i}")
while r.stats().queued > 2:
    time.sleep(0.001)
print(r.stats().spooled, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
        with Server(always=status(500)) as server:
            self.down = server.url
            done = subprocess.run([sys.executable, "-c", text, server.url, self.dir], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
            spooled = int(done.stdout)
            self.assertGreater(spooled, 35)
            seen = len(server.requests)
            server.always = created
            r = self.recorder()
            self.assertIsNone(r.close(30))
            self.assertEqual((r.stats().recovered, r.stats().sent, r.stats().dropped), (spooled, spooled, 0))
            self.assertEqual(len({e["run_id"] for request in server.requests[seen:] for e in request}), spooled)

    def test_what_is_spooled_is_sent_within_the_limits(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            self.left_by(*"abcdefg")
            seen = len(server.requests)
            server.always = created
            self.assertIsNone(self.recorder(batch_events=3).close(30))
            self.assertEqual([len(batch) for batch in server.requests[seen:] if len(batch) <= 3], [3, 3, 1])

    def test_memory_is_relieved(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            r = self.recorder(queue_events=20, batch_events=3)
            for i in range(60):
                self.assertTrue(until(lambda: r.stats().queued < 15))
                r.record({"success": True}, run_id=f"r{i:02}")
            self.assertTrue(until(lambda: r.stats().spooled >= 40))
            self.assertEqual((r.stats().recorded, r.stats().dropped), (60, 0))
            server.always = created
            self.assertIsNone(r.close(60))
            self.assertEqual((r.stats().sent, r.stats().spooled), (60, 0))
            self.assertEqual({e["run_id"] for e in server.events}, {f"r{i:02}" for i in range(60)})

    def test_what_was_being_sent_is_older_than_what_was_spooled(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            r = self.recorder(queue_events=20, batch_events=3, retry_min=60, retry_max=60)
            r.record({"success": True}, run_id="r00")
            self.assertTrue(until(lambda: r._sender.queue.failure))
            for i in range(1, 30):
                self.assertTrue(until(lambda: r.stats().queued < 15))
                r.record({"success": True}, run_id=f"r{i:02}")
            self.assertTrue(until(lambda: r.stats().queued <= 10))
            with mock.patch.object(os, "fsync", wraps=os.fsync) as fsync:
                self.assertEqual(r.close(0).spooled, 30)
            self.assertGreaterEqual(fsync.call_count, 2)
            seen = len(server.requests)
            server.always = created
            self.assertIsNone(self.recorder().close(30))
            order = dict.fromkeys(e["run_id"] for request in server.requests[seen:] for e in request)
            self.assertEqual(list(order), [f"r{i:02}" for i in range(30)])

    def test_the_spool_is_bounded(self) -> None:
        r = self.recorder(spool_bytes=700)
        for i in range(4):
            r.record({"success": True})
        left = r.close(0.01)
        self.assertEqual((left.spooled, left.lost), (2, 2))
        self.assertLessEqual(os.path.getsize(self.files()[0]), 700)
        self.assertIn("spool", self.talk.said)

    def test_the_living_are_not_robbed_and_neither_are_others(self) -> None:
        with Server(always=status(500)) as server:
            self.down = server.url
            self.left_by("other app", app_id="other")
            living = self.recorder(queue_events=2)
            for i in range(3):
                self.assertTrue(until(lambda: living.stats().queued < 2))
                living.record({"success": True}, run_id=f"living {i}")
            self.assertTrue(until(lambda: living.stats().spooled))
            second = self.recorder()
            self.assertTrue(second._sender._ready.wait(30))
            self.assertEqual((second.stats().recovered, living.stats().recovered), (0, 0))
            second.close(0)
            living.close(0)

    def test_a_spool_that_cannot_be_is_told(self) -> None:
        path = os.path.join(self.dir, "file")
        with open(path, "w"):
            pass
        with self.up() as server:
            r = hurried(self.down, self.talk, spool_dir=path)
            r.record({"success": True})
            self.assertIsNone(r.close(30))
            self.assertEqual((len(server.events), self.talk.said), (1, ["spool"]))

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_fork_has_a_spool_of_its_own(self) -> None:
        r = self.recorder()
        r.record({"success": True}, run_id="parent")
        child = os.fork()
        if child == 0:
            r.record({"success": True}, run_id="child")
            left = r.close(0.01)
            os._exit(0 if left.spooled == 1 and r.stats().recovered == 0 else 1)  # the test is the parent's
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(r.close(0.01).spooled, 1)
        self.assertEqual(len(self.files()), 2)


if __name__ == "__main__":
    unittest.main()
