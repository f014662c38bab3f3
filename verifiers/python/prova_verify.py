#!/usr/bin/env python3
"""Verifies Prova's evidence: receipts, exports and bundles, with nothing but this file, its folder and Python 3.9 or later.

Exit codes: 0 everything was verified, 1 evidence is bad, 2 a file is no evidence at
all, 3 something could not be determined. Of several files the worst counts: bad
before malformed before undetermined.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional

from prova.bundle import open_directory, open_tar, verify_bundle
from prova.canonical import MAX_BYTES
from prova.export import HEAD, verify_export
from prova.log import Options
from prova.notes import BadNote, parse_checkpoint
from prova.receipt import Receipt
from prova.replay import Replay
from prova.report import FAILED, MALFORMED, OK, UNDETERMINED, VERIFIED, Report
from prova.single import verify_single
from prova.tar import BLOCK, is_tar
from prova.trust import BadKeys, Trust, parse_keys
from prova.witness import BadPolicy, Policy

EXIT = {VERIFIED: 0, FAILED: 1, MALFORMED: 2, UNDETERMINED: 3}
USAGE, BAD_CONFIG = 64, 78


class Stop(Exception):
    """Ends the program with a code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:  # argparse exits with 2, which means malformed evidence here
        raise Stop(USAGE, message)


def arguments(args: List[str]) -> argparse.Namespace:
    p = Parser(prog="prova_verify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("file", nargs="+", help="receipts, exports and bundles (a directory or a tar); - is stdin")
    p.add_argument("--key", action="append", default=[], help="a public key that is trusted, or a file of them; may be repeated")
    p.add_argument("--head", action="append", default=[], help="a checkpoint that was saved earlier and that the log must continue")
    p.add_argument("--policy", help="which witnesses must have cosigned the checkpoint, and how many: a C2SP tlog-policy")
    p.add_argument("--replay", action="store_true", help="also recompute every decision of a rollout from the runs in the file, and compare the bytes")
    p.add_argument("--json", action="store_true", help="print the reports as JSON, one line for each file")
    p.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many processes verify a long export")
    return p.parse_args(args)


def trust_of(keys: List[str], heads: List[str], policy: Optional[str]) -> Trust:
    trust = Trust()
    for key in keys:
        data = os.fsencode(key)
        try:
            with open(key, "rb") as f:
                data = f.read()
        except (FileNotFoundError, ValueError):
            pass
        except OSError as e:
            if "name too long" not in str(e):
                raise Stop(BAD_CONFIG, f"--key {key}: {e}") from None
        try:
            trust.merge(parse_keys(data))
        except BadKeys as e:
            raise Stop(BAD_CONFIG, f"--key {key}: neither a file nor a public key: {e}") from None
    for name in heads:
        try:
            with open(name, "rb") as f:
                trust.heads.append(parse_checkpoint(f.read().decode("utf-8")))
        except (OSError, BadNote, UnicodeDecodeError) as e:
            raise Stop(BAD_CONFIG, f"--head {name}: {e}") from None
    if policy is not None:
        try:
            with open(policy, "rb") as f:
                trust.policy = Policy(f.read().decode("utf-8"))
        except (OSError, BadPolicy, UnicodeDecodeError) as e:
            raise Stop(BAD_CONFIG, f"--policy {policy}: {e}") from None
    return trust


def replayed(name: str, trust: Trust, processes: int) -> Report:
    """Verifies a file and recomputes its decisions from the runs that were verified."""
    replay = Replay(processes)
    return replay.finish(verify_file(name, trust, processes, replay.seen))


def verify_file(name: str, trust: Trust, processes: int, seen: Optional[Callable[[int, Receipt], None]] = None) -> Report:
    """Verifies a bundle if it is a directory or a tar, an export if the first line begins one, else a receipt."""
    options = Options(processes, lambda n: show(f"{n} receipts of {name}"), seen)
    if name != "-" and os.path.isdir(name):
        return shown(verify_bundle(open_directory(name), trust, options))
    try:
        source = sys.stdin.buffer if name == "-" else open(name, "rb")
    except OSError as e:
        raise Stop(USAGE, str(e)) from None
    with source:
        head = source.peek(BLOCK)
        if is_tar(head):
            return shown(verify_bundle(open_tar(source if source.seekable() else io.BytesIO(source.read())), trust, options))
        if head.startswith(HEAD):
            return shown(verify_export(source, trust, options))
        return verify_single(source.read(MAX_BYTES + 2), trust)


def show(text: str) -> None:
    """Says on a terminal how far the work has come."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + text)
        sys.stderr.flush()


def shown(report: Report) -> Report:
    """Clears what was said on the way."""
    show("")
    return report


def plain(text: str) -> str:
    """A text without what could steer a terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def text_of(name: str, report: Report) -> str:
    lines = [f"{plain(name)}  {report.result}"]
    if report.receipts > 1 or report.size > 0:
        lines[0] += f"  {report.receipts} receipts from index {report.from_}, org {plain(report.org)}"
    width = max([len(c["check"]) for c in report.checks], default=0)
    for c in report.checks:
        lines.append(_check(c, width))
    if report.omitted:
        lines.append(f"  … and {report.omitted} more that are not listed")
    if not report.keys_pinned:
        lines.append("  No trusted key was given: at best the file agrees with itself. Get the keys from somebody you trust and pass them with --key.")
    return "\n".join(lines)


def _check(c: Dict[str, Any], width: int) -> str:
    mark = {OK: "✓", FAILED: "✗"}.get(c["status"], "?")
    where = f"index {c['log_index']}  " if "log_index" in c else ""
    where += f"{plain(c['event_id'])}  " if "event_id" in c else ""
    line = f"  {mark} {c['check']:{width}}  {where}{plain(c.get('detail', ''))}"
    for what in ("expected", "found"):
        if what in c:
            line += f"\n{'':{width + 6}}{what:8} {plain(c[what])}"
    return line


def worse(a: int, b: int) -> int:
    """The code of two files: bad evidence, no evidence, not known, verified."""
    return min(a, b) if a and b else a or b


def main(args: Optional[List[str]] = None) -> int:
    try:
        options = arguments(sys.argv[1:] if args is None else args)
        trust = trust_of(options.key, options.head, options.policy)
        code = 0
        for name in options.file:
            report = (replayed if options.replay else verify_file)(name, trust, options.processes)
            if options.json:
                print(json.dumps({"file": name, **report.json()}, ensure_ascii=False, separators=(",", ":")), flush=True)
            else:
                print(text_of(name, report), flush=True)
            code = worse(code, EXIT[report.result])
        return code
    except Stop as e:
        print(f"prova_verify.py: {e}", file=sys.stderr)
        return e.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
