"""Checks that a webhook is the server's, before it is acted on."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections import OrderedDict
from typing import Any, Callable, List, Mapping, Optional, Sequence, Set, Tuple, Union, cast

from ._settings import MAX_NAME
from .errors import ProvaError
from .models import WebhookEvent

SIGNATURE_HEADER = "X-Prova-Signature"
ID_HEADER = "webhook-id"

# What begins every webhook secret.
SECRET_PREFIX = "whsec_"

#: How far a delivery's time may be from the receiver's clock, in seconds.
TOLERANCE = 300.0

# What a receiver remembers of deliveries and of rollouts.
REMEMBERED = 10_000


class WebhookError(ProvaError):
    """Why nothing was done about a delivery."""


class BadSignature(WebhookError):
    """The signature is missing, malformed, or not made with any of the secrets."""


class BadTime(WebhookError):
    """The time of the signature is outside the tolerance: it was kept back, or a clock is wrong."""


class BadBody(WebhookError):
    """The delivery is signed as it should be, and its body is not one that this version knows."""


class WebhookRepeated(WebhookError):
    """A delivery that was acted on, or something newer of its rollout was: answer it with 2xx."""


class WebhookBusy(WebhookError):
    """Its rollout is being acted on, or there is no memory left: answer it with 503, and it is sent again."""


def verify_webhook(
    headers: Mapping[str, Any],
    body: bytes,
    secrets: Union[str, Sequence[str]],
    *,
    tolerance: float = TOLERANCE,
    now: Optional[float] = None,
) -> WebhookEvent:
    """Checks that a delivery was signed with the hook's secret, or one of several, within the tolerance, and reads it.

    headers are the request's, in any case; body is the request's exactly as it came:
    to decode and encode it again breaks the signature. tolerance is in seconds, and
    now in seconds since 1970, the present if it is not given. Raises WebhookError,
    and ProvaError without a secret.

    A delivery is repeated until it is answered with 2xx, and an older promotion may
    arrive after a rollback. A WebhookReceiver sees to both.
    """
    keys = _keys(secrets)
    signature = _header(headers, SIGNATURE_HEADER)
    if signature is None:
        raise BadSignature(f"webhook signature: the header {SIGNATURE_HEADER} is missing")
    stamp, sums = _parse(signature)
    present = time.time() if now is None else now
    if abs(present - int(stamp)) > tolerance:
        raise BadTime("webhook signature: time is outside the tolerance")
    matched = False
    for key in keys:
        want = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
        for each in sums:
            matched = hmac.compare_digest(want, each) or matched
    if not matched:
        raise BadSignature("webhook signature: does not match")
    return _read(body)


def _keys(secrets: Union[str, Sequence[str]]) -> List[str]:
    keys = [secrets] if isinstance(secrets, str) else list(secrets)
    if not keys or any(key in ("", SECRET_PREFIX) for key in keys):
        # An empty key would verify against an empty key.
        raise ProvaError("webhook: no secret given; use the one that the webhook's creation showed")
    return keys


def _header(headers: Mapping[str, Any], name: str) -> Optional[str]:
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value if isinstance(value, str) else ",".join(value)
    return None


def _parse(header: str) -> Tuple[str, List[bytes]]:
    malformed = BadSignature("webhook signature: malformed header, want t=<unix seconds>,v1=<hex>")
    stamp, sums = "", []
    for part in header.split(","):
        key, found, value = part.strip().partition("=")
        if not found:
            raise malformed
        if key == "t":
            stamp = value
        elif key == "v1":
            try:
                sums.append(bytes.fromhex(value))
            except ValueError:
                raise malformed from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 18) or not sums:
        raise malformed
    return stamp, sums


def _read(body: bytes) -> WebhookEvent:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise BadBody(f"webhook body: {e}") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise BadBody("webhook body: not an event with data")
    if event.get("event") not in ("rollout.promote", "rollout.rollback"):
        raise BadBody(f"webhook body: unknown event {event.get('event')!r:.80}")
    for name, kind in (("rollout_id", str), ("weight", int), ("sequence", int)):
        if type(event["data"].get(name)) is not kind:
            raise BadBody(f"webhook body: data.{name} is missing or of the wrong type")
    return cast(WebhookEvent, event)


class WebhookReceiver:
    """Acts on each delivery once.

    Besides the header webhook-id, which is not signed, it remembers the decision in the
    signed body and the highest sequence of each rollout, so that neither a delivery that
    is sent again under another id nor a promotion that arrives after a rollback is acted on.

    It remembers 10,000 deliveries, in memory, and no less than those of the time in which
    a signature counts: a delivery that it has no room for is put off. After a restart it
    remembers nothing, so an action is to be one that is harmless to repeat, as setting a
    weight is. It is safe for concurrent use, and is one process's alone.

    act carries out an event; what it raises makes the sender try again. It runs for one
    event of a rollout at a time. A delivery of a test has data.test set. secrets are the
    live secrets of the hook, two during a rotation.
    """

    def __init__(self, act: Callable[[WebhookEvent], None], secrets: Union[str, Sequence[str]]) -> None:
        self._act, self._secrets = act, _keys(secrets)
        self._lock = threading.Lock()
        self._acted = _Lately()
        self._last = _Lately()
        self._busy: Set[str] = set()

    def receive(self, headers: Mapping[str, Any], body: bytes) -> None:
        """Verifies a delivery as verify_webhook does and acts on it, once.

        Raises WebhookError if it did nothing, and what the action raises; after that the
        delivery is not remembered.
        """
        event = verify_webhook(headers, body, self._secrets)
        id = _header(headers, ID_HEADER)
        if id is None or not 1 <= len(id.encode("utf-8", "replace")) <= MAX_NAME:
            raise BadBody(f"webhook body: the header {ID_HEADER} is missing or too long")
        rollout = event["data"]["rollout_id"]
        self._enter(event, id)
        done = False
        try:
            self._act(event)
            done = True
        finally:
            with self._lock:
                self._busy.discard(rollout)
                if done:
                    self._acted.put(id, 0)
                    if not event["data"].get("test"):
                        self._last.put(rollout, event["data"]["sequence"])

    def _enter(self, event: WebhookEvent, id: str) -> None:
        """Takes the rollout for a delivery that is to be acted on."""
        data = event["data"]
        rollout = data["rollout_id"]
        with self._lock:
            last = self._last.get(rollout)
            if rollout in self._busy:
                raise WebhookBusy(f"webhook: rollout {rollout} is being acted on, send it again")
            if self._acted.get(id) is not None or last is not None and not data.get("test") and data["sequence"] <= last:
                raise WebhookRepeated("webhook: acted on before")
            if not self._acted.room() or not self._last.room():
                raise WebhookBusy(f"webhook: {REMEMBERED} deliveries came within {TOLERANCE:.0f} seconds, send it again")
            self._busy.add(rollout)

    def answer(self, headers: Mapping[str, Any], body: bytes) -> int:
        """Receives a delivery and returns the status to answer it with.

        It is 204 if it was acted on, now or before, 401 for a signature that does not hold,
        400 for what no server of Prova sends, 500 if the action failed, which is logged,
        and 503 if it is to come again.
        """
        try:
            self.receive(headers, body)
        except WebhookRepeated:
            return 204
        except WebhookBusy:
            return 503
        except (BadSignature, BadTime):
            return 401
        except WebhookError:
            return 400
        except Exception:
            logging.getLogger("prova_sdk").exception("prova: a webhook could not be carried out, and is asked for again")
            return 500
        return 204


class _Lately:
    """Remembers numbers by key, the oldest first to go."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Tuple[int, float]] = OrderedDict()

    def get(self, key: str) -> Optional[int]:
        found = self._values.get(key)
        return None if found is None else found[0]

    def room(self) -> bool:
        """Forgets what is old enough and says whether there is room for one more."""
        while len(self._values) >= REMEMBERED:
            oldest = next(iter(self._values))
            # A signature counts for the tolerance in both directions.
            if time.monotonic() - self._values[oldest][1] <= 2 * TOLERANCE:
                return False
            del self._values[oldest]
        return True

    def put(self, key: str, value: int) -> None:
        self._values[key] = (value, time.monotonic())
        self._values.move_to_end(key)
