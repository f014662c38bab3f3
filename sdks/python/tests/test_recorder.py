"""What a run holds, and what of it is refused."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import fractions
import json
import numbers
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, Dict, List, Tuple
from unittest import mock

from support import Server, Talk, hurried, until

from prova_sdk import Recorder, current_run


class Float32(float):
    pass


class Foreign:
    """A float of 32 bits as numpy has it: no float of Python's, and registered as a real number."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __str__(self) -> str:
        return self.shown


numbers.Real.register(Foreign)


class Level(enum.IntEnum):
    HIGH = 3


class Hostile(dict):  # type: ignore[type-arg]
    def __bool__(self) -> bool:
        return True

    def items(self) -> Any:
        raise RuntimeError("no")

    get = __getitem__ = __repr__ = __str__ = items  # type: ignore[assignment]


class Runs(unittest.TestCase):
    def sent(self, record: Any, **options: Any) -> Tuple[List[Dict[str, Any]], Talk, Any]:
        """What a server gets of what is recorded, what is said of it, and the counts."""
        talk = Talk()
        with Server() as server:
            recorder = hurried(server.url, talk, **options)
            record(recorder)
            self.assertIsNone(recorder.close(30))
            return server.events, talk, recorder.stats()

    def test_a_block_is_timed_and_recorded(self) -> None:
        def record(r: Recorder) -> None:
            with r.run(probe_id="p1", unit_id="u1", model={"provider": "acme", "name": "m"}, input={"q": "é"}) as run:
                run.metric("cost_usd", 0.0123)
                run.output(["a", None, True])
                run.attribute("region", "eu")
                self.assertIs(current_run(), run)
                time.sleep(0.002)
            self.assertIsNot(current_run(), run)

        events, talk, stats = self.sent(record, environment="staging", framework="none")
        (e,) = events
        self.assertEqual(e["kind"], "agent_run")
        self.assertEqual(e["source"], {"app_id": "claims-agent", "environment": "staging", "release": "v1", "framework": "none"})
        self.assertGreaterEqual(e["metrics"].pop("latency_ms"), 2)
        self.assertEqual(e["metrics"], {"success": True, "cost_usd": 0.0123})
        self.assertEqual(e["payload"], {"input": {"q": "é"}, "output": ["a", None, True]})
        self.assertEqual((e["attributes"], e["probe_id"], e["unit_id"]), ({"region": "eu"}, "p1", "u1"))
        self.assertEqual(e["model"], {"provider": "acme", "name": "m"})
        self.assertRegex(e["occurred_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual((stats.recorded, stats.sent, stats.queued, talk.said), (1, 1, 0, []))

    def test_an_exception_is_a_failure_and_goes_on(self) -> None:
        def record(r: Recorder) -> None:
            with self.assertRaises(KeyError):
                with r.run(run_id="failed"):
                    raise KeyError("k")
            with self.assertRaises(KeyboardInterrupt):
                with r.run(run_id="interrupted") as run:
                    run.metric("success", True)
                    raise KeyboardInterrupt
            with self.assertRaises(SystemExit):
                with r.run(run_id="left"):
                    sys.exit(0)
            with self.assertRaises(SystemExit):
                with r.run(run_id="left badly"):
                    sys.exit(3)
            with self.assertRaises(ValueError):
                with r.run(run_id="judged") as run:
                    run.metric("success", True)
                    run.metric("latency_ms", 7)
                    raise ValueError

        events, _, _ = self.sent(record)
        self.assertEqual(
            {e["run_id"]: e["metrics"]["success"] for e in events},
            {"failed": False, "interrupted": False, "left": True, "left badly": False, "judged": True},
        )
        self.assertEqual(events[-1]["metrics"]["latency_ms"], 7)

    def test_tracked_functions(self) -> None:
        def record(r: Recorder) -> None:
            @r.track
            def plain(x: int) -> int:
                """Doc."""
                current_run().metric("x", x)
                return x + 1

            @r.track(probe_id="p2")
            async def awaited(fail: bool) -> str:
                await asyncio.sleep(0)
                current_run().metric("fail", fail)
                if fail:
                    raise LookupError
                return "done"

            @r.track(unit_id="each")
            def each() -> Any:
                got = yield 1
                yield got
                return "end"

            closed = []

            @r.track(unit_id="async each")
            async def each_async(fail: bool = True) -> Any:
                try:
                    yield 1
                    if fail:
                        raise ArithmeticError
                    yield 2
                finally:
                    closed.append(fail)

            async def main() -> None:
                self.assertEqual(await awaited(False), "done")
                with self.assertRaises(LookupError):
                    await awaited(True)
                # Each task has a run of its own.
                await asyncio.gather(*(awaited(False) for _ in range(3)))
                with self.assertRaises(ArithmeticError):
                    async for _ in each_async():
                        self.assertIsNone(current_run()._recorder)
                left = each_async(False)
                async for _ in left:
                    break
                await left.aclose()
                self.assertEqual(closed, [True, False])

            self.assertEqual((plain(1), plain.__name__, plain.__doc__), (2, "plain", "Doc."))
            asyncio.run(main())
            g = each()
            self.assertEqual((next(g), g.send("sent")), (1, "sent"))
            with self.assertRaises(StopIteration) as end:
                next(g)
            self.assertEqual(end.exception.value, "end")
            g = each()
            next(g)
            g.close()

        events, talk, _ = self.sent(record)
        self.assertEqual(
            [(e.get("probe_id") or e.get("unit_id"), e["metrics"]["success"]) for e in events],
            [(None, True), ("p2", True), ("p2", False)] + [("p2", True)] * 3 + [("async each", False), ("async each", True)] + [("each", True)] * 2,
        )
        self.assertEqual(talk.said, [])

    def test_metrics(self) -> None:
        good = {
            "bool": True, "int": -3, "float": 0.1, "whole": 812.0, "most": 2**53 - 1, "least": -(2**53 - 1), "enum": Level.HIGH,
            "subclass": Float32(2.5), "foreign": Foreign("0.1"), "tiny": 5e-324,
        }  # fmt: skip
        bad = {
            "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "decimal": decimal.Decimal("0.1"), "big": 2**53, "huge": 10**400,
            "wide": 1e17, "text": "1", "none": None, "list": [1], "time": datetime.timedelta(seconds=1), "third": fractions.Fraction(1, 3),
            "foreign nan": Foreign("nan"), "hostile": Hostile(), "complex": 1j,
        }  # fmt: skip

        def record(r: Recorder) -> None:
            r.record({**good, **bad, "": 1, "x" * 201: 1, "line\n": 1, "\ud800": 1, 5: 1, "é": 1})  # type: ignore[dict-item]

        events, talk, stats = self.sent(record)
        self.assertEqual(events[0]["metrics"], {**good, "foreign": 0.1, "é": 1})
        self.assertIs(events[0]["metrics"]["bool"], True)
        self.assertEqual(stats.refused_values, len(bad) + 5)
        for name in bad:
            self.assertTrue(any(f"metrics.{name}: left out" in line for line in talk.lines), name)

    def test_payloads(self) -> None:
        deep: Any = 1
        for _ in range(31):
            deep = [deep]
        loop: List[Any] = []
        loop.append(loop)
        bad = {
            "set": {1}, "nan": [float("nan")], "surrogate": "\ud800", "twice": {1: 1, "1": 2}, "deep": deep, "loop": loop, "zero": "a\0b",
            "digits": 2**53, "object": object(), "bytes": b"x", "decimal": decimal.Decimal(1), "long": "x" * (1 << 18),
        }  # fmt: skip
        good = {"text": "<é\u2028\U0001f600>", "none": None, "nested": {"a": [1.5, -0.0, 1e300]}, "shallow": deep[0][0], "tuple": (1, 2)}
        events, talk, stats = self.sent(lambda r: r.record({"success": True}, payload={**bad, **good}, attributes={"ok": 1, "no": {1, 2}}))
        self.assertEqual(events[0]["payload"], {**good, "tuple": [1, 2]})
        self.assertEqual(events[0]["attributes"], {"ok": 1})
        self.assertEqual(stats.refused_values, len(bad) + 1)
        for name in bad:
            self.assertTrue(any(f"payload.{name}: left out" in line for line in talk.lines), name)

    def test_a_run_that_is_too_large_loses_its_largest_fields(self) -> None:
        payload = {name: "x" * n for name, n in (("a", 100_000), ("b", 150_000), ("c", 90_000))}
        events, talk, stats = self.sent(lambda r: r.record({"success": True}, payload=payload, attributes={"kept": 1}))
        self.assertEqual((sorted(events[0]["payload"]), events[0]["attributes"]), (["a", "c"], {"kept": 1}))
        self.assertEqual((stats.refused_values, stats.sent, talk.said), (1, 1, ["value_refused"]))

    def test_names(self) -> None:
        def record(r: Recorder) -> None:
            r.record({"success": True}, probe_id="a\nb", unit_id="x" * 201, run_id="ok", release="", model={"name": "m\x7f"})
            with r.run(probe_id=17) as run:  # type: ignore[arg-type]
                run.set_id("\x00")
                run.release("v9")

        events, talk, stats = self.sent(record)
        self.assertEqual([set(e) & {"probe_id", "unit_id", "model"} for e in events], [set(), set()])
        self.assertEqual((events[0]["run_id"], events[0]["source"]["release"], events[1]["source"]["release"]), ("ok", "v1", "v9"))
        self.assertEqual(stats.refused_values, 5)

    def test_what_is_measured_finds_room(self) -> None:
        def record(r: Recorder) -> None:
            with r.run() as run:
                for i in range(70):
                    run.metric(f"m{i}", i)

        events, talk, stats = self.sent(record)
        self.assertEqual((len(events[0]["metrics"]), stats.refused_values), (64, 8))
        self.assertIn("latency_ms", events[0]["metrics"])

    def test_the_end_counts_once(self) -> None:
        def record(r: Recorder) -> None:
            run = r.start()
            run.set_id("trace-1")
            self.assertEqual(run.id, "trace-1")
            run.end(ValueError())
            run.end()
            run.metric("late", 1)
            r.outcome(run.id, {"label": False})
            r.outcome("", {"label": True})
            r.outcome("x", {})

        events, talk, stats = self.sent(record)
        self.assertEqual([(e["kind"], e["run_id"]) for e in events], [("agent_run", "trace-1"), ("outcome", "trace-1")])
        self.assertEqual((events[0]["metrics"]["success"], events[1]["metrics"]), (False, {"label": False}))
        self.assertEqual(events[1]["source"], {"app_id": "claims-agent", "environment": "production"})
        self.assertEqual((stats.recorded, stats.sent, stats.refused, stats.refused_values), (4, 2, 2, 1))
        self.assertEqual(talk.said, ["value_refused", "event_refused", "event_refused"])

    def test_records_from_elsewhere(self) -> None:
        at = datetime.datetime(2026, 5, 15, 18, 42, 0, 123456, datetime.timezone(datetime.timedelta(hours=2)))

        def record(r: Recorder) -> None:
            self.assertEqual(r.record({"success": False}, run_id="r1", idempotency_key="k1", release="v2", occurred_at=at), "r1")
            self.assertEqual(len(r.record({}, occurred_at="yesterday")), 32)  # type: ignore[arg-type]

        events, talk, stats = self.sent(record)
        self.assertEqual(
            (events[0]["occurred_at"], events[0]["idempotency_key"], events[0]["source"]["release"]), ("2026-05-15T16:42:00.123456Z", "k1", "v2")
        )
        self.assertEqual((events[1]["metrics"], stats.refused_values), ({}, 1))

    def test_no_release_is_sent_and_said_once(self) -> None:
        events, talk, _ = self.sent(lambda r: [r.record({"success": True}) for _ in range(3)], release="")
        self.assertEqual([e["source"] for e in events], [{"app_id": "claims-agent", "environment": "production"}] * 3)
        self.assertEqual(talk.said, ["no_release"])

    def test_a_bad_release_is_refused_by_name(self) -> None:
        events, talk, _ = self.sent(lambda r: r.record({"success": True}), release="v\n1", framework="\x00")
        self.assertEqual(talk.said, ["value_refused", "value_refused", "no_release"])
        self.assertEqual(len(events), 1)

    def test_nothing_raises(self) -> None:
        def record(r: Recorder) -> None:
            hostile: Any = Hostile()
            for bad in (hostile, 5, "text", [1], None):
                r.record(bad, model=bad, payload=bad, attributes=bad, run_id=bad, occurred_at=bad)
                r.outcome(bad, bad)
                with r.run(probe_id=bad, run_id=bad, model=bad, input=bad) as run:
                    run.metric(bad, bad)
                    run.payload(bad, bad)
                    run.set_id(bad)

        events, _, stats = self.sent(record)
        self.assertEqual((len(events), stats.sent), (10, 10))

    def test_a_logger_that_fails_breaks_nothing(self) -> None:
        class Broken(Talk):
            def handle(self, record: Any) -> None:
                raise RuntimeError

        with Server() as server:
            r = hurried(server.url, Broken(), release="")
            r.record({"x": None})
            self.assertIsNone(r.close(30))
            self.assertEqual(r.stats().sent, 1)


class Settings(unittest.TestCase):
    def test_what_is_missing_is_said_once_and_nothing_is_recorded(self) -> None:
        cases: List[Tuple[Dict[str, Any], str]] = [
            ({"app_id": "a"}, "PROVA_API_KEY is not set"),
            ({"api_key": "k"}, "PROVA_APP_ID"),
            ({"api_key": "k y", "app_id": "a"}, "API key"),
            ({"api_key": "k", "app_id": "a\n"}, "app id"),
            ({"api_key": "k", "app_id": "a", "base_url": "prova.example.com"}, "base URL"),
            ({"api_key": "k", "app_id": "a", "base_url": "http://user:hidden@h"}, "no user"),
            ({"api_key": "k", "app_id": "a", "base_url": "http://h/?x=hidden"}, "no query"),
            ({"api_key": "k", "app_id": "a", "base_url": "http://[::1"}, "base URL"),
            ({"api_key": "k", "app_id": "a", "environment": "\x00"}, "environment"),
        ]
        for options, why in cases:
            with mock.patch.dict(os.environ, clear=True):
                talk = Talk()
                r = Recorder(logger=talk, **options)
                self.assertIn(why, str(r.err))
                self.assertNotIn("hidden", "".join(talk.lines))
                with r.run(probe_id="p") as run:
                    run.metric("x", float("nan"))
                    run.input("q")
                self.assertTrue(run.id)
                self.assertEqual(r.record({"success": True}, run_id="r"), "r")
                r.outcome("r", {"x": 1})
                self.assertIsNone(r.flush())
                self.assertIsNone(r.close())
                self.assertEqual((r.stats().recorded, talk.said), (0, ["disabled"]), why)

    def test_the_environment(self) -> None:
        with Server() as server:
            env = {
                "PROVA_API_KEY": " prv_env ", "PROVA_BASE_URL": server.url, "PROVA_APP_ID": "app", "PROVA_RELEASE": "sha\n",
                "PROVA_ENVIRONMENT": "canary",
            }  # fmt: skip
            with mock.patch.dict(os.environ, env, clear=True):
                with Recorder(logger=Talk()) as r:
                    r.record({"success": True})
            self.assertEqual(server.events[0]["source"], {"app_id": "app", "environment": "canary", "release": "sha"})
            self.assertEqual(server.headers[0]["Authorization"], "Bearer prv_env")
            self.assertEqual(r.stats().sent, 1)


class Processes(unittest.TestCase):
    def script(self, text: str, server: Server, **env: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PROVA_API_KEY": "k", "PROVA_APP_ID": "a", "PROVA_RELEASE": "v1", "PROVA_BASE_URL": server.url, **env}
        return subprocess.run([sys.executable, "-c", text], env=variables, capture_output=True, text=True, timeout=60)

    def test_the_end_of_a_program_sends(self) -> None:
        with Server() as server:
            done = self.script("from prova_sdk import Recorder\nwith Recorder().run(run_id='last'): raise SystemExit(4)", server)
            self.assertEqual((done.returncode, done.stderr), (4, ""))
            self.assertEqual([e["run_id"] for e in server.events], ["last"])

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_fork_sends_what_is_its_own(self) -> None:
        text = """
import multiprocessing, os, time
from prova_sdk import Recorder
r = Recorder(flush_interval=60)
r.record({"success": True}, run_id="parent before")
child = os.fork()
if child == 0:
    assert r.stats().recorded == 0
    r.record({"success": True}, run_id="child")
    raise SystemExit(r.close() is not None)
assert os.waitpid(child, 0)[1] == 0
def work():
    r.record({"success": True}, run_id="worker")
p = multiprocessing.get_context("fork").Process(target=work)
p.start()
p.join()
r.record({"success": True}, run_id="parent after")
"""
        with Server() as server:
            done = self.script(text, server, PYTHONWARNINGS="ignore::DeprecationWarning")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual([[e["run_id"] for e in request] for request in server.requests], [["child"], ["worker"], ["parent before", "parent after"]])

    def test_a_signal_handler_may_record(self) -> None:
        with Server() as server:
            r = hurried(server.url)
            handled = 0

            def handle(*_: Any) -> None:
                nonlocal handled
                handled += 1
                r.record({"success": True})
                r.record({"bad": None})

            before = signal.signal(signal.SIGALRM, handle)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            end = time.monotonic() + 0.3
            n = 0
            while time.monotonic() < end:
                r.record({"success": True, "bad": None})
                n += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.assertIsNone(r.close(30))
            self.assertGreater(handled, 0)
            stats = r.stats()
            self.assertEqual((stats.recorded, stats.sent + stats.dropped), (n + 2 * handled, n + 2 * handled))

    def test_many_threads(self) -> None:
        with Server() as server:
            r = hurried(server.url, batch_events=50)

            def work(n: int) -> None:
                for i in range(100):
                    r.record({"success": True}, run_id=f"{n}-{i}")

            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertIsNone(r.close(30))
            self.assertEqual(len({e["run_id"] for e in server.events}), 800)
            self.assertEqual(len(server.events), 800)


if __name__ == "__main__":
    unittest.main()
