"""What an auditor believes beforehand: public keys, and heads of the log that were saved earlier."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .canonical import BadJSON, parse_line
from .ed25519 import KeyRefused, PublicKey
from .merkle import parse_hash
from .notes import BadNote, Checkpoint, Verifiers, parse_vkey
from .receipt import key_id_of, quoted
from .witness import Policy


class BadKeys(ValueError):
    """Why public keys are not taken."""


class Trust:
    """The keys that count. With none the keys in the evidence count, which shows only that it agrees with itself."""

    def __init__(self) -> None:
        self.receipt: Dict[str, PublicKey] = {}
        self.checkpoint: List[str] = []  # verifier keys
        self.any_origin: List[PublicKey] = []  # checkpoint keys of any log: a server has one for the logs of all its orgs
        self.heads: List[Checkpoint] = []
        self.policy: Optional[Policy] = None  # the auditor's, never the evidence's

    def signs_checkpoints(self) -> bool:
        return bool(self.checkpoint or self.any_origin)

    def pinned(self) -> bool:
        return bool(self.receipt) or self.signs_checkpoints()

    def verifiers(self) -> Verifiers:
        """Refuses a checkpoint key that is also a receipt key: one signature could then be offered for the other."""
        for key in [parse_vkey(vkey)[1] for vkey in self.checkpoint] + self.any_origin:
            if key_id_of(key.data) in self.receipt:
                raise BadKeys(f"the key {key_id_of(key.data)} is given for receipts and for checkpoints")
        signers = {parse_vkey(vkey)[1].data for vkey in self.checkpoint} | {key.data for key in self.any_origin}
        for witness in self.policy.witnesses if self.policy else []:
            if key_id_of(witness.key.data) in self.receipt or witness.key.data in signers:
                raise BadKeys(f"the key of the witness {quoted(witness.name)} also signs receipts or checkpoints: a log is not its own witness")
        return Verifiers(self.checkpoint, self.any_origin)

    def merge(self, other: "Trust") -> None:
        self.receipt.update(other.receipt)
        self.checkpoint += other.checkpoint
        self.any_origin += other.any_origin

    def add_receipt_key(self, data: bytes) -> None:
        self.receipt[key_id_of(data)] = PublicKey(data)

    def add(self, described: Any) -> None:
        """Takes a key as it stands in an export or in the answer of the key endpoint, if all that is said of it agrees."""
        k = _texts(described)
        if k["algorithm"] not in ("", "ed25519"):
            raise BadKeys(f"algorithm {quoted(k['algorithm'])}; only ed25519 is known")
        data = parse_hash(k["public_key"])
        if data is None:
            raise BadKeys("public_key is not the base64 of 32 bytes")
        if k["key_id"] not in ("", key_id_of(data)):
            raise BadKeys(f"key_id is {quoted(k['key_id'])} and the key's is {key_id_of(data)}")
        if k["purpose"] == "receipt":
            self.add_receipt_key(data)
        elif k["purpose"] != "checkpoint":
            raise BadKeys(f"purpose {quoted(k['purpose'])}; known are receipt and checkpoint")
        elif not k["vkey"]:
            self.any_origin.append(PublicKey(data))
        elif parse_vkey(k["vkey"])[1].data != data:
            raise BadKeys("vkey holds another key than public_key")
        else:
            self.checkpoint.append(k["vkey"])


DESCRIBED = ("key_id", "purpose", "algorithm", "public_key", "vkey")


def _texts(described: Any) -> Dict[str, str]:
    if not isinstance(described, dict) or not all(isinstance(described.get(name) or "", str) for name in DESCRIBED):
        raise BadKeys("not the description of a key")
    return {name: described.get(name) or "" for name in DESCRIBED}


def parse_keys(data: bytes) -> Trust:
    """Public keys in any of the forms in which they are handed over.

    Lines that each hold a receipt key in hex or base64 or a verifier key, with
    blank lines and # comments; or the JSON of the key endpoint: one object,
    {"keys": […]} or {"items": […]}.
    """
    trust = Trust()
    data = data.strip()
    try:
        if data.startswith(b"{"):
            found = parse_line(data)
            keys = found.get("keys") if found.get("keys") is not None else found.get("items")
            for described in [found] if keys is None else keys:
                trust.add(described)
        else:
            for line in data.decode("utf-8").split("\n"):
                _add_line(trust, line.partition("#")[0].strip())
        trust.verifiers()
    except (BadJSON, BadNote, KeyRefused, UnicodeDecodeError, TypeError) as e:
        raise BadKeys(str(e)) from None
    if not trust.pinned():
        raise BadKeys("no public key found")
    return trust


def _add_line(trust: Trust, line: str) -> None:
    if not line:
        return
    data = parse_hash(line)
    if data is None and len(line) == 64:
        try:
            data = bytes.fromhex(line)
        except ValueError:
            pass
    if data is not None and len(data) == 32:
        trust.add_receipt_key(data)
        return
    try:
        parse_vkey(line)
    except BadNote as e:
        raise BadKeys(f"not a public key of 32 bytes in hex or base64, and not the verifier key of a checkpoint key: {e}") from None
    trust.checkpoint.append(line)
