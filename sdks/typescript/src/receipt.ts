import { parseKeys } from "./evidence/keys.js";
import { unwrap, verify } from "./evidence/receipt.js";

/** What became of a check of a receipt. */
export interface ReceiptCheck {
  name:
    | "envelope" | "canonical_form" | "schema" | "event_id" | "kind" | "times" | "key_id"
    | "trust" | "known_key" | "signature" | "proof" | "checkpoint" | "inclusion";
  /** `undetermined` could not be made, `none` was not reached or not asked for. */
  status: "ok" | "failed" | "undetermined" | "none";
  expected: string;
  found: string;
  detail: string;
}

/** What a verification found. */
export interface VerifiedReceipt {
  /** `malformed` is no receipt at all; `undetermined` could not be checked to the end. Act on `verified` alone. */
  result: "verified" | "failed" | "undetermined" | "malformed";
  /** Every check, in order. */
  checks: ReceiptCheck[];
  /** The check that failed first, or empty. */
  failed: string;
  eventId: string;
  /** The digest of the signed bytes, in hex: it names the receipt by what was signed. */
  integrityHash: string;
  /** What was signed; undefined unless the receipt is verified. */
  body: Record<string, unknown> | undefined;
}

/** What the shared modules report. */
interface Report {
  result: VerifiedReceipt["result"];
  checks: Map<string, ReceiptCheck>;
  first: string;
  eventID?: string;
  integrityHash?: string;
  parts?: { body: Uint8Array };
}

/** The public keys that are believed, read once. */
export type PinnedKeys = Awaited<ReturnType<typeof parseKeys>>;

/**
 * Reads public keys, as `GET /api/v1/keys` answers with or as lines with a key
 * in hex or base64. Get them once, over a channel that you trust, and keep
 * them. Throws an Error that says which is refused and why.
 */
export function pinKeys(text: string): Promise<PinnedKeys> {
  return parseKeys(text);
}

/**
 * Verifies a receipt without a network, against keys that were pinned: its one
 * spelling, its RFC 8785 form, its members, and the Ed25519 signature over the
 * DSSE encoding of its body. `receipt` is its exact bytes, or the answer of
 * {@link Client.receipt}; decoding and encoding it again breaks the signature.
 * With `proof`, the text of a C2SP tlog-proof, the receipt's place in the log
 * is verified too. Throws only for keys that cannot be read; all else is in the result.
 */
export async function verifyReceipt(receipt: Uint8Array | string, keys: PinnedKeys | string, proof = ""): Promise<VerifiedReceipt> {
  const pinned = typeof keys === "string" ? await pinKeys(keys) : keys;
  const found = unwrap(typeof receipt === "string" ? new TextEncoder().encode(receipt) : new Uint8Array(receipt));
  const report = (await verify(found.raw, { keys: pinned, source: "pinned" }, proof || found.proof)) as Report;
  return {
    result: report.result,
    checks: [...report.checks.values()],
    failed: report.first,
    eventId: report.eventID ?? "",
    integrityHash: report.integrityHash ?? "",
    body: report.result === "verified" ? (JSON.parse(new TextDecoder().decode(report.parts!.body)) as Record<string, unknown>) : undefined,
  };
}
