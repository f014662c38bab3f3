"""What every SDK does when the server misbehaves: the scenarios of sdks/scenarios, with their server and its judge.

PROVA_FAULTSERVER names the program. With PROVA_BASE_URL and PROVA_API_KEY each
scenario runs before that server, which must be new, because the runs of a scenario have
fixed ids; alone run those that have no faults. Without, all run alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from support import Talk

from prova_sdk import Recorder

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
PROGRAM = os.environ.get("PROVA_FAULTSERVER", "")
REAL = bool(os.environ.get("PROVA_BASE_URL"))
SPECIAL = {"nan": float("nan"), "infinity": float("inf"), "2^53": 2**53, "unserialisable": object()}
TIMES = ("flush_interval", "timeout", "retry_min", "retry_max")


class Panic(BaseException):
    """What no agent catches."""


def value(given: Any) -> Any:
    """What stands in a scenario, as a program would give it."""
    return SPECIAL[given["$"]] if isinstance(given, dict) and "$" in given else given


def values(given: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value(each) for name, each in given.items()}


class FaultServer:
    def __init__(self, *args: str) -> None:
        self._process = subprocess.Popen([PROGRAM, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def end(self) -> None:
        self._process.communicate(timeout=60)


class Player:
    """Carries out the calls of a scenario."""

    def __init__(self, test: unittest.TestCase, server: FaultServer, scenario: Dict[str, Any], spool: str) -> None:
        self.test, self.server, self.talk = test, server, Talk()
        given = dict(scenario["options"])
        self.options: Dict[str, Any] = {"logger": self.talk}
        if given.pop("spool", False):
            self.options["spool_dir"] = spool
        for name in TIMES:
            if name + "_ms" in given:
                self.options[name] = given.pop(name + "_ms") / 1000
        self.options.update(given)
        self.recorder = Recorder(**self.options)

    def call(self, do: str, repeat: int = 1, **c: Any) -> None:
        for _ in range(repeat):
            began = time.monotonic()
            getattr(self, do)(**c)
            if "timeout_ms" not in c:
                self.test.assertLess(time.monotonic() - began, 1, do)

    def run(self, end: str = "return", run_id: str = "", release: str = "", probe_id: str = "", unit_id: str = "", metrics: Any = {},
            payload: Any = {}, attributes: Any = {}) -> None:  # fmt: skip
        error = {"return": None, "error": ValueError("the agent failed"), "panic": Panic("the agent broke")}[end]
        with self.test.assertRaises(type(error)) if error is not None else contextlib.nullcontext():
            with self.recorder.run(run_id=run_id, release=release, probe_id=probe_id, unit_id=unit_id) as run:
                for name, each in values(metrics).items():
                    run.metric(name, each)
                for name, each in values(payload).items():
                    run.payload(name, each)
                for name, each in values(attributes).items():
                    run.attribute(name, each)
                if error is not None:
                    raise error

    def record(self, metrics: Any = {}, payload: Any = {}, attributes: Any = {}, **c: Any) -> None:
        self.recorder.record(values(metrics), payload=values(payload), attributes=values(attributes), **c)

    def outcome(self, run_id: str, metrics: Any) -> None:
        self.recorder.outcome(run_id, values(metrics))

    def flush(self, timeout_ms: int, left: int = 0) -> None:
        self._left(self.recorder.flush(timeout_ms / 1000), left)

    def close(self, timeout_ms: int, left: int = 0) -> None:
        self._left(self.recorder.close(timeout_ms / 1000), left)

    def _left(self, unsent: Any, want: int) -> None:
        self.test.assertEqual(0 if unsent is None else unsent.queued + unsent.spooled + unsent.lost, want)

    def restart(self) -> None:
        self.recorder = Recorder(**self.options)

    def faults(self, faults: Any) -> None:
        self.server.post("/_faults", faults)

    def judged(self, expect: Any) -> List[str]:
        warnings = [{"kind": kind, "name": name} for kind, name in self.talk.warnings]
        report = {"expect": expect, "counts": dataclasses.asdict(self.recorder.stats()), "warnings": warnings}
        return self.server.post("/_judge", report)["failures"]  # type: ignore[no-any-return]


@unittest.skipUnless(PROGRAM, "PROVA_FAULTSERVER names no program")
class Scenarios(unittest.TestCase):
    def play(self, server: FaultServer, key: str, faultless: bool = False) -> None:
        paths = sorted(SCENARIOS.glob("*.json"))
        self.assertGreater(len(paths), 14)
        for path in paths:
            with self.subTest(path.stem), tempfile.TemporaryDirectory() as spool:
                scenario = json.loads(path.read_text("utf-8"))
                if faultless and scenario.get("faults"):
                    continue
                variables = {"PROVA_BASE_URL": server.url, "PROVA_API_KEY": key, **scenario.get("environment", {})}
                kept = {name: text for name, text in os.environ.items() if not name.startswith("PROVA_")}
                with mock.patch.dict(os.environ, {**kept, **{n: t for n, t in variables.items() if t is not None}}, clear=True):
                    server.post("/_reset", scenario.get("faults", []))
                    player = Player(self, server, scenario, spool)
                    for call in scenario["calls"]:
                        player.call(**call)
                    failures = player.judged(scenario["expect"])
                self.assertEqual(failures, [], f"{player.recorder.stats()}\n" + "\n".join(player.talk.lines))

    def test_alone(self) -> None:
        server = FaultServer()
        self.addCleanup(server.end)
        self.play(server, "prv_id_secret", faultless=REAL)

    @unittest.skipUnless(REAL, "PROVA_BASE_URL names no server")
    def test_before_a_real_server(self) -> None:
        server = FaultServer("--upstream", os.environ["PROVA_BASE_URL"])
        self.addCleanup(server.end)
        self.play(server, os.environ["PROVA_API_KEY"])


if __name__ == "__main__":
    unittest.main()
