"""One receipt, alone."""

from __future__ import annotations

from .receipt import CheckFailed, parse_receipt, verify_receipt
from .report import UNDETERMINED, Report
from .trust import Trust


def verify_single(raw: bytes, trust: Trust) -> Report:
    """Verifies a receipt, around which there may be white space. Alone it does not show that it stands in the log."""
    report = Report(bool(trust.receipt))
    report.receipts = 1
    report.witnessed = trust.policy is not None
    if report.witnessed:
        report.add("witnesses", UNDETERMINED, "a receipt alone has no checkpoint that witnesses could have cosigned")
    if not report.keys_pinned:
        report.add("trust", UNDETERMINED, "no receipt key was given to verify with")
    try:
        receipt, signed = parse_receipt(raw.strip(b" \t\r\n"))
    except CheckFailed as e:
        report.fail(e)
        return report.finish("signature")
    report.org = receipt.org
    report.settle("envelope", "three members in their one spelling")
    report.settle("canonical_form", f"the body is its own canonical form, {len(receipt.body_bytes)} bytes")
    report.settle("schema", f"{receipt.body['schema']}, kind {receipt.kind}")
    if report.keys_pinned:
        report.settle("trust", "keys given by the caller")
        try:
            verify_receipt(receipt, signed, trust.receipt)
        except CheckFailed as e:
            report.fail(e, event_id=receipt.event_id)
        report.settle("signature", f"signed by key {receipt.key_id}")
    return report.finish("envelope", "canonical_form", "schema", "trust", "signature")
