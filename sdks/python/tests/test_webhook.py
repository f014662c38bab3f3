"""What a receiver of webhooks believes, and what it does once."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import unittest
from typing import Any, Dict, List
from unittest import mock

from prova_sdk import (
    BadBody, BadSignature, BadTime, ProvaError, WebhookBusy, WebhookReceiver, WebhookRepeated, verify_webhook, webhook,
)  # fmt: skip

SECRET, OTHER = "whsec_c2VjcmV0", "whsec_b3RoZXI="

# Made with openssl: printf '%s' '1747334520.{"event":…}' | openssl dgst -sha256 -hmac whsec_c2VjcmV0
BODY = b'{"event":"rollout.promote","data":{"rollout_id":"ro_1","weight":25,"sequence":3}}'
STAMP = 1747334520
SIGNATURE = "t=1747334520,v1=5d59e7bc0286e95ffba8199aff2178b58505cf6cda52670f6bf5937eea94a8d5"


def sign(body: bytes, at: float, *secrets: str) -> str:
    t = str(int(at))
    return ",".join([f"t={t}"] + ["v1=" + hmac.new(s.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest() for s in secrets])


def delivery(sequence: int, id: str = "", rollout: str = "ro_1", **data: Any) -> Any:
    body = json.dumps({"event": "rollout.promote", "data": {"rollout_id": rollout, "weight": 25, "sequence": sequence, **data}}).encode()
    return {"X-Prova-Signature": sign(body, time.time(), SECRET), "Webhook-Id": id or f"msg_{sequence}"}, body


class Verifying(unittest.TestCase):
    def test_a_signature_of_openssl(self) -> None:
        event = verify_webhook({"x-prova-signature": SIGNATURE}, BODY, SECRET, now=STAMP)
        self.assertEqual((event["event"], event["data"]["weight"]), ("rollout.promote", 25))

    def test_the_time(self) -> None:
        for off, holds in ((300, True), (-300, True), (301, False), (-301, False)):
            with self.subTest(off):
                if holds:
                    verify_webhook({"X-Prova-Signature": SIGNATURE}, BODY, SECRET, now=STAMP + off)
                else:
                    self.assertRaises(BadTime, verify_webhook, {"X-Prova-Signature": SIGNATURE}, BODY, SECRET, now=STAMP + off)
        self.assertRaises(BadTime, verify_webhook, {"X-Prova-Signature": SIGNATURE}, BODY, SECRET)

    def test_several_signatures_and_several_secrets(self) -> None:
        headers = {"X-Prova-Signature": sign(BODY, STAMP, OTHER, SECRET)}
        for secrets in (SECRET, OTHER, [SECRET], ["whsec_none", OTHER]):
            verify_webhook(headers, BODY, secrets, now=STAMP)
        self.assertRaises(BadSignature, verify_webhook, headers, BODY, "whsec_none", now=STAMP)

    def test_every_changed_byte_is_seen(self) -> None:
        for i in range(len(BODY)):
            changed = BODY[:i] + bytes([BODY[i] ^ 1]) + BODY[i + 1 :]
            self.assertRaises(BadSignature, verify_webhook, {"X-Prova-Signature": SIGNATURE}, changed, SECRET, now=STAMP)
        later = SIGNATURE.replace("1747334520", "1747334521")
        self.assertRaises(BadSignature, verify_webhook, {"X-Prova-Signature": later}, BODY, SECRET, now=STAMP)

    def test_malformed_headers(self) -> None:
        for header in ("", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=zz", "t=-1,v1=00", "nonsense", "t=" + "9" * 40 + ",v1=00", "t=١,v1=00"):
            self.assertRaises(BadSignature, verify_webhook, {"X-Prova-Signature": header}, BODY, SECRET, now=1)
        self.assertRaises(BadSignature, verify_webhook, {}, BODY, SECRET)

    def test_no_secret_is_no_secret(self) -> None:
        for secrets in ("", [], [SECRET, ""], "whsec_"):
            headers = {"X-Prova-Signature": sign(BODY, STAMP, "")}
            self.assertRaises(ProvaError, verify_webhook, headers, BODY, secrets, now=STAMP)
            self.assertRaises(ProvaError, WebhookReceiver, print, secrets)

    def test_bodies(self) -> None:
        for body in (b"", b"[]", b"{} {}", b'{"event":"rollout.promote"}', b'{"event":"other","data":{}}', b"\xff", b"[" * 10**5,
                     BODY.replace(b"25", b'"25"'), BODY.replace(b"25", b"true"), BODY.replace(b'"sequence":3', b'"n":3')):  # fmt: skip
            with self.subTest(body[:40]):
                self.assertRaises(BadBody, verify_webhook, {"X-Prova-Signature": sign(body, STAMP, SECRET)}, body, SECRET, now=STAMP)


class Receiving(unittest.TestCase):
    def setUp(self) -> None:
        self.acted: List[Dict[str, Any]] = []
        self.receiver = WebhookReceiver(lambda event: self.acted.append(event["data"]), SECRET)

    def test_each_is_acted_on_once(self) -> None:
        headers, body = delivery(3)
        self.receiver.receive(headers, body)
        self.assertRaises(WebhookRepeated, self.receiver.receive, headers, body)
        # The id is not signed: under another one it is the same decision.
        self.assertRaises(WebhookRepeated, self.receiver.receive, *delivery(3, id="msg_other"))
        self.assertRaises(WebhookRepeated, self.receiver.receive, *delivery(2))
        self.receiver.receive(*delivery(4))
        self.receiver.receive(*delivery(1, id="msg_x", rollout="ro_2"))
        self.assertEqual([d["sequence"] for d in self.acted], [3, 4, 1])

    def test_a_test_hides_nothing(self) -> None:
        self.receiver.receive(*delivery(9, id="msg_test", test=True))
        self.assertRaises(WebhookRepeated, self.receiver.receive, *delivery(9, id="msg_test", test=True))
        self.receiver.receive(*delivery(1))
        self.receiver.receive(*delivery(0, id="msg_another_test", test=True))
        self.assertEqual(len(self.acted), 3)

    def test_what_failed_comes_again(self) -> None:
        fail = [True, False]

        def act(event: Any) -> None:
            if fail.pop(0):
                raise OSError("the router is away")

        receiver = WebhookReceiver(act, SECRET)
        with self.assertLogs("prova_sdk", logging.ERROR):
            self.assertEqual(receiver.answer(*delivery(1)), 500)
        self.assertEqual([receiver.answer(*delivery(1)), receiver.answer(*delivery(1))], [204, 204])
        self.assertEqual(fail, [])

    def test_one_at_a_time_of_a_rollout(self) -> None:
        entered, leave = threading.Event(), threading.Event()

        def act(event: Any) -> None:
            entered.set()
            leave.wait(30)

        receiver = WebhookReceiver(act, SECRET)
        first = threading.Thread(target=receiver.receive, args=delivery(1))
        first.start()
        self.assertTrue(entered.wait(30))
        self.assertRaises(WebhookBusy, receiver.receive, *delivery(2))
        self.assertEqual(receiver.answer(*delivery(2)), 503)
        leave.set()
        first.join()
        self.assertEqual(receiver.answer(*delivery(2)), 204)

    def test_statuses(self) -> None:
        headers, body = delivery(1)
        self.assertEqual(self.receiver.answer(headers, body + b" "), 401)
        self.assertEqual(self.receiver.answer({**headers, "Webhook-Id": ""}, body), 400)
        self.assertEqual(self.receiver.answer({**headers, "Webhook-Id": "x" * 201}, body), 400)
        old = {**headers, "X-Prova-Signature": sign(body, time.time() - 400, SECRET)}
        self.assertEqual(self.receiver.answer(old, body), 401)
        self.assertEqual(self.acted, [])

    def test_nothing_is_forgotten_while_its_signature_counts(self) -> None:
        now = time.monotonic()
        with mock.patch.object(webhook, "REMEMBERED", 3), mock.patch.object(webhook.time, "monotonic", lambda: now):
            for i in range(3):
                self.receiver.receive(*delivery(i))
            self.assertRaises(WebhookBusy, self.receiver.receive, *delivery(3))
            now += 601
            self.receiver.receive(*delivery(3))


if __name__ == "__main__":
    unittest.main()
