"""Tags the runs of an AI agent with their release, drives rollouts, and verifies what comes back.

    from prova_sdk import Recorder

    recorder = Recorder(app_id="claims-agent", release="v37")
    with recorder.run(probe_id="claim-0017") as run:
        run.metric("cost_usd", 0.0123)

Recorder records runs in the background and never breaks or slows the agent. Client
creates, ticks and reads rollouts. WebhookReceiver acts on decisions, each once,
and verify_receipt checks a receipt without a network.

What goes wrong with recording is told to the logger "prova_sdk"; all else raises a
ProvaError.
"""

from .client import Client
from .errors import Conflict, FieldError, ForeignAnswer, Invalid, NotAllowed, NotFound, Problem, ProvaError, TryLater, Unreachable
from .models import (
    FINISHED, Comparison, Decision, DecisionPage, EvaluateResult, GateAnswer, Rollout, RolloutPage, Tick, Verdict, WebhookData, WebhookEvent,
)  # fmt: skip
from .receipts import Keys, Receipt, ReceiptError, verify_receipt
from .recorder import Recorder, Unsent
from ._queue import Stats
from .run import Run, current_run
from .webhook import BadBody, BadSignature, BadTime, WebhookBusy, WebhookError, WebhookReceiver, WebhookRepeated, verify_webhook

__version__ = "0.1.0"

__all__ = [
    "BadBody", "BadSignature", "BadTime", "Client", "Comparison", "Conflict", "Decision", "DecisionPage", "EvaluateResult", "FINISHED",
    "FieldError", "ForeignAnswer", "GateAnswer", "Invalid", "Keys", "NotAllowed", "NotFound", "Problem", "ProvaError", "Receipt",
    "ReceiptError", "Recorder", "Rollout", "RolloutPage", "Run", "Stats", "Tick", "TryLater", "Unreachable", "Unsent",
    "Verdict", "WebhookBusy", "WebhookData", "WebhookError", "WebhookEvent", "WebhookReceiver", "WebhookRepeated", "current_run",
    "verify_receipt", "verify_webhook",
]  # fmt: skip
