"""The SDK against a real server, whose address and owner's key PROVA_BASE_URL and PROVA_API_KEY hold."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import threading
import time
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Dict, List

from support import Talk, free_port, until

from prova_sdk import (
    Client, Conflict, ForeignAnswer, Invalid, Keys, NotAllowed, NotFound, Problem, ReceiptError, Recorder, Unreachable, WebhookReceiver,
    verify_receipt,
)  # fmt: skip


def request(method: str, path: str, body: Any = None) -> Any:
    """What this SDK has no call for."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + os.environ["PROVA_API_KEY"], "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(os.environ["PROVA_BASE_URL"] + path, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


@unittest.skipUnless(os.environ.get("PROVA_BASE_URL"), "PROVA_BASE_URL names no server")
class RealServer(unittest.TestCase):
    def setUp(self) -> None:
        self.client = Client()
        # Each test has an app of its own.
        self.app = f"{self.id().rpartition('.')[2]}-{secrets.token_hex(4)}"
        self.talk = Talk()

    def recorder(self, **options: Any) -> Recorder:
        return Recorder(app_id=self.app, logger=self.talk, **options)

    def receipts(self, **query: str) -> List[Dict[str, Any]]:
        text = "&".join(f"{k}={v}" for k, v in {"app_id": self.app, **query}.items())
        return [item["receipt"]["body"] for item in request("GET", "/api/v1/audit/receipts?" + text)["items"]]

    def test_a_run_becomes_a_receipt(self) -> None:
        with self.recorder(release="v1") as r:
            with r.run(probe_id="p1", unit_id="u1", model={"provider": "acme", "name": "m", "version": "1"}) as run:
                run.metric("cost_usd", 0.1 + 0.2)
                run.metric("bad", float("nan"))
                run.input({"text": "naïve \u2028 🚀", "n": [1, 1.5e-7, -0.0, 2**53 - 1, 1e300]})
                run.attribute("region", None)
            self.assertIsNone(r.flush(60))
            r.outcome(run.id, {"reopened": False})
        self.assertEqual((r.stats().sent, r.stats().refused), (2, 0))
        outcome, body = self.receipts()
        self.assertEqual((body["run_id"], body["probe_id"], body["source"]["release"]), (run.id, "p1", "v1"))
        self.assertEqual(body["metrics"]["cost_usd"], 0.1 + 0.2)
        self.assertEqual(set(body["metrics"]), {"cost_usd", "success", "latency_ms"})
        self.assertEqual((outcome["kind"], outcome["run_id"], outcome["metrics"]), ("outcome", run.id, {"reopened": False}))

    def test_what_a_recorder_lets_through_the_server_takes(self) -> None:
        """The checks before sending are as strict as the server: one refused value must not cost a run."""
        deep: Any = 1
        for _ in range(30):
            deep = [deep]
        values: List[Any] = [
            deep, "\x7f\u0085\u2028\uffff\U0010ffff", 5e-324, 1.7976931348623157e308, -0.0, 1e21, 123456789012345680.0, 0.1 + 0.2, {"": ""}, {"é": {}},
            [[], {}], 2**53 - 1, "", None, {1: "x", True: "y"}, {"a": 1e16}, 1e23, 9007199254740993.0, "\\u0000", "x" * 200_000,
        ]  # fmt: skip
        with self.recorder(release="v1") as r:
            for i, value in enumerate(values):
                r.record({"success": True, "most": 2**53 - 1, "tiny": 5e-324}, run_id=f"r{i}", payload={"value": value}, attributes={"value": value})
            r.record({f"m{i}": i for i in range(70)}, run_id="many" + "é" * 98, probe_id="\u00a0é\u200b")
            self.assertIsNone(r.flush(60))
            self.assertEqual((r.stats().sent, r.stats().refused), (len(values) + 1, 0), self.talk.lines)

    def test_a_run_without_a_release_is_kept(self) -> None:
        with self.recorder() as r:
            r.record({"success": True})
        self.assertEqual((r.stats().sent, self.talk.said), (1, ["no_release"]))
        self.assertNotIn("release", self.receipts()[0]["source"])

    def test_a_key_that_counts_twice_is_refused_and_one_that_is_repeated_is_not(self) -> None:
        with self.recorder(release="v1") as r:
            at = datetime.datetime.now()
            for success in (True, True, False):
                r.record({"success": success}, run_id="r", idempotency_key="k", occurred_at=at)
        self.assertEqual((r.stats().sent, r.stats().refused, self.talk.said), (2, 1, ["event_refused"]))
        self.assertEqual(len(self.receipts()), 1)

    def test_a_key_that_may_not(self) -> None:
        r = self.recorder(release="v1", api_key="prv_none_secret", flush_interval=0.01)
        r.record({"success": True})
        self.assertTrue(until(lambda: self.talk.said))
        left = r.close(0.1)
        assert left is not None
        self.assertIsInstance(left.error, NotAllowed)
        self.assertEqual((left.lost, self.talk.said[0]), (1, "key"))

    def test_a_rollout(self) -> None:
        c = self.client
        declared: Dict[str, Any] = {
            "app_id": self.app, "baseline_release": "v1", "candidate_release": "v2", "mode": "canary", "steps": [5, 50, 100], "min_runs": 10,
            "gates": [{"metric": "success"}, "latency_ms:p95:margin=10%:on=hold"], "error_budget": 0.05,
        }  # fmt: skip
        rollout, new = c.create_rollout(**declared)
        again, new_again = c.create_rollout(**declared)
        self.assertEqual((new, new_again, again["id"], rollout["weight"], rollout["state"]), (True, False, rollout["id"], 5, "active"))
        id = rollout["id"]
        self.assertEqual(c.gate(id, 5)["decision"], "hold")
        tick = c.evaluate(id)
        self.assertEqual((tick["decision"]["decision"], tick["ticked"]), ("hold", True))
        self.assertEqual(c.pause(id, "lunch")["state"], "paused")
        self.assertEqual(c.resume(id, "coffee")["state"], "active")
        self.assertEqual(c.promote(id, "I know better")["weight"], 50)
        self.assertEqual(c.gate(id, 5)["decision"], "promote")
        self.assertIn(id, [r["id"] for r in c.rollouts(app_id=self.app, state="active")["items"]])
        self.assertIn(id, [r["rollout_id"] for r in c.evaluate_all()])
        # The candidate fails: the answer of the tick is 422, and no error.
        with self.recorder(release="v1") as r:
            for i in range(200):
                r.record({"success": True})
                r.record({"success": False}, release="v2")
        tick = c.evaluate(id)
        self.assertEqual((tick["decision"]["decision"], tick["rollout"]["state"], tick["rollout"]["weight"]), ("rollback", "rolled_back", 0))
        self.assertEqual(c.rollout(id)["sequence"], tick["rollout"]["sequence"])
        self.assertEqual(c.await_rollout(id, 0, 5)["state"], "rolled_back")
        began = time.monotonic()
        c.await_rollout(id, tick["rollout"]["sequence"], 0.2)
        self.assertLess(time.monotonic() - began, 30)
        page = c.decisions(id, limit=2)
        rest = c.decisions(id, cursor=page["next_cursor"])
        decisions = page["items"] + rest["items"]
        self.assertEqual((len(page["items"]), decisions[-1]["decision"], decisions[-1]["terminal"]), (2, "rollback", True))
        self.assertEqual([d["action"] for d in decisions if d.get("action")], ["pause", "resume", "promote"])
        comparison = c.compare(app_id=self.app, baseline="v1", candidate="v2")
        self.assertEqual(comparison["verdict"]["verdict"], "regressed")
        with self.assertRaises(Conflict) as e:
            c.create_rollout(**declared)
        self.assertIn("attempt_reason", str(e.exception))
        another, new = c.create_rollout(**declared, attempt_reason="the tool was down")
        self.assertEqual((new, c.abort(another["id"], "enough")["state"], c.gate(another["id"], 5)["decision"]), (True, "aborted", "rollback"))

    def test_errors_have_types(self) -> None:
        for id in ("ro_none", "..", "", "a/b?c=d"):
            with self.assertRaises(NotFound) as missing:
                self.client.rollout(id)
            self.assertEqual((missing.exception.status, missing.exception.code), (404, "not_found"))
        with self.assertRaises(Invalid) as bad:
            self.client.create_rollout(app_id=self.app, baseline_release="v1", candidate_release="v2", steps=[50, 5], oops=1)
        self.assertEqual(([e.pointer for e in bad.exception.errors], bad.exception.code), (["/oops"], "invalid"))
        with self.assertRaises(NotAllowed):
            Client(api_key="prv_none_secret").rollouts()
        with self.assertRaises(Unreachable) as gone:
            Client(base_url=f"http://127.0.0.1:{free_port()}").rollouts()
        self.assertIn("connection refused", str(gone.exception))
        with self.assertRaises(Problem) as page:
            Client(base_url=self.client.base_url + "/verify").rollouts()
        self.assertIsInstance(page.exception, (ForeignAnswer, NotFound))

    def test_receipts(self) -> None:
        with self.recorder(release="v1") as r:
            r.record({"success": True}, run_id="r1", payload={"input": "é"})
        raw = self.client.receipt(self.receipts()[0]["event_id"])
        keys = Keys(self.client.signing_keys())
        receipt = verify_receipt(raw, keys)
        self.assertEqual((receipt.kind, receipt.body["run_id"], receipt.body["metrics"]), ("agent_run", "r1", {"success": True}))
        self.assertEqual(verify_receipt("\n" + raw.decode() + " ", self.client.signing_keys().decode()), receipt)
        for i in range(0, len(raw), 7):
            changed = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
            with self.assertRaises(ReceiptError):
                verify_receipt(changed, keys)
        with self.assertRaises(ReceiptError) as other:
            verify_receipt(raw, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        self.assertEqual(other.exception.check, "known_key")
        self.assertRaises(ReceiptError, Keys, "")
        with self.assertRaises(ReceiptError) as none:
            verify_receipt(b"hello", keys)
        self.assertTrue(none.exception.malformed)

    def test_webhooks(self) -> None:
        acted: List[Any] = []
        statuses: List[int] = []
        holder: Dict[str, WebhookReceiver] = {}

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = holder["receiver"].answer(self.headers, body)  # type: ignore[arg-type]
                statuses.append(status)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            hook = request(
                "POST", "/api/v1/webhooks",
                {"url": f"http://127.0.0.1:{server.server_port}/", "events": ["rollout.promote", "rollout.rollback"], "app_id": self.app},
            )  # fmt: skip
            holder["receiver"] = WebhookReceiver(acted.append, hook["secret"])
            request("POST", f"/api/v1/webhooks/{hook['id']}/test", {})
            self.assertTrue(until(lambda: statuses))
            rollout, _ = self.client.create_rollout(app_id=self.app, baseline_release="v1", candidate_release="v2", mode="canary")
            self.client.promote(rollout["id"], "to see the hook")
            self.client.abort(rollout["id"], "seen")
            self.assertTrue(until(lambda: len(acted) == 3 or len(acted) == 2 and acted[-1]["event"] == "rollout.rollback"), (acted, statuses))
            self.assertEqual((acted[0]["data"]["test"], acted[-1]["event"], acted[-1]["data"]["weight"]), (True, "rollout.rollback", 0))
            self.assertEqual(set(statuses), {204})
        finally:
            server.shutdown()
            server.server_close()


if __name__ == "__main__":
    unittest.main()
