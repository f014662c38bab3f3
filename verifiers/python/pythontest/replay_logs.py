"""Replays logs of receipts whose signatures nobody checks, for tests: prints the checks of each file as a line of JSON."""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from prova.canonical import parse
from prova.parallel import INDEX, receipt_of_line
from prova.receipt import Receipt, check_header, split_envelope
from prova.replay import Replay
from prova.report import VERIFIED, Report


def unsigned(raw: bytes) -> Receipt:
    body_bytes, _, _ = split_envelope(raw)
    body = parse(body_bytes)
    h = check_header(body)
    names = ("key_id", "event_id", "org", "kind", "recorded_at", "source", "stream", "terminal", "advisory")
    return Receipt(body, body_bytes, b"", *(h[name] for name in names), "", b"")


def main() -> None:
    for path in sys.argv[1:]:
        replay, report = Replay(), Report(True)
        report.result = VERIFIED
        with open(path, "rb") as f:
            for line in f.read().splitlines():
                replay.seen(int(line[len(INDEX) :].partition(b",")[0]), unsigned(receipt_of_line(line)))
        print(json.dumps(replay.finish(report).checks))


if __name__ == "__main__":
    main()
