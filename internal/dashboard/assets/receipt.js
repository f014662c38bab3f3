// Verification of one receipt, on its own reading of the format: nothing of it
// is taken from the server's code. No page is needed: give it bytes and keys.

import { JSONError, clip, decode, difference, encode, latin1, maxBytes, member, parse } from "./json.js";
import { base64, hex, sha256, toBase64, verify as verifySignature } from "./ed25519.js";
import { concat, keyID } from "./keys.js";
import { included, leafHash, openCheckpoint, parseProof } from "./log.js";

const payloadType = "application/vnd.prova.receipt+json";
const schema = "prova.receipt/1";
const clockSkew = 5n * 60n * 1_000_000_000n; // nanoseconds

// names of the checks, in the order in which they are shown.
export const names = [
  "envelope", "canonical_form", "schema", "event_id", "kind", "times", "key_id",
  "trust", "known_key", "signature", "proof", "checkpoint", "inclusion",
];

// Report collects what became of each check: ok, failed, undetermined (it could
// not be made) or none (it was not reached, or nobody asked for it). Of several
// failures of one check the first stays; first names the first of all.
class Report {
  checks = new Map(names.map((name) => [name, { name, status: "none", expected: "", found: "", detail: "" }]));
  first = "";
  malformed = false;

  set(name, status, parts) {
    const check = this.checks.get(name);
    if (check.status !== "failed") Object.assign(check, { status }, parts);
  }

  ok(name, found, detail = "") {
    this.set(name, "ok", { found, detail });
  }

  fail(name, detail, expected = "", found = "") {
    this.set(name, "failed", { detail, expected, found });
    this.first ||= name;
  }

  has(name, status = "ok") {
    return this.checks.get(name).status === status;
  }

  // settle decides the result: verified takes every check of the receipt, with keys that were pinned.
  settle() {
    const checks = [...this.checks.values()];
    if (this.malformed) this.result = "malformed";
    else if (checks.some((c) => c.status === "failed")) this.result = "failed";
    else if (checks.some((c) => c.status === "undetermined") || names.slice(0, 10).some((name) => !this.has(name))) this.result = "undetermined";
    else this.result = "verified";
    return this;
  }
}

// verify checks raw bytes. trust is {keys, source, reason}: source is pasted,
// pinned, server or sample, and without keys reason says why there are none. proof is
// the text of a tlog-proof, or "".
export async function verify(raw, trust, proof = "") {
  const report = new Report();
  const parts = split(raw, report);
  if (parts) {
    report.ok("envelope", "three members in their one spelling");
    await verifyParts(parts, trust, report);
  }
  if (proof !== "") await verifyProof(proof, trust, report);
  return report.settle();
}

async function verifyParts(parts, trust, report) {
  const tree = readBody(parts.body, report);
  const header = tree && readHeader(tree, report);
  if (header) checkKeyID(header, parts, report);
  const signature = readSignature(parts.signature, report);
  const pae = concat(encode(`DSSEv1 ${payloadType.length} ${payloadType} ${parts.body.length} `), parts.body);
  report.integrityHash = hex(await sha256(pae));
  if (header) {
    report.eventID = header.event_id;
    report.leaf = await leafHash(header.event_id, report.integrityHash);
  }
  reportTrust(trust, report);
  if (signature && trust.keys) await checkSignature(latin1(parts.keyID), pae, signature, trust.keys, report);
  report.parts = parts;
  report.tree = tree;
  // A reader is shown what was signed, and nothing before that is known.
  if (report.has("signature") && report.first === "") report.signed = { header, tree };
}

// split takes the envelope apart at fixed texts, which every reader finds alike.
export function split(raw, report) {
  const head = '{"body":', key = ',"key_id":"', sig = '","signature":"', tail = '"}';
  const expected = '{"body":{…},"key_id":"…","signature":"…"}';
  if (raw.length > maxBytes) {
    report.malformed = true;
    return report.fail("envelope", "", `at most ${maxBytes} bytes`, `${raw.length} bytes`);
  }
  const text = latin1(raw); // one character for each byte
  const inner = text.startsWith(head) && text.endsWith(tail) ? text.slice(head.length, -tail.length) : "";
  const at = inner.lastIndexOf(key);
  const rest = inner.slice(at + key.length);
  const cut = rest.indexOf(sig);
  const [id, signature] = [rest.slice(0, cut), rest.slice(cut + sig.length)];
  if (at < 1 || cut < 0 || /["\\]/.test(id + signature) || inner[0] !== "{") {
    return report.fail("envelope", envelopeFault(raw, report), expected);
  }
  const start = head.length, keyStart = start + at + key.length, sigStart = keyStart + cut + sig.length;
  return {
    bodyStart: start, keyStart, sigStart,
    body: raw.subarray(start, start + at),
    keyID: raw.subarray(keyStart, keyStart + cut),
    signature: raw.subarray(sigStart, raw.length - tail.length),
  };
}

// envelopeFault finds out what is wrong with an envelope that is not in its one spelling.
function envelopeFault(raw, report) {
  let tree;
  try {
    tree = parse(raw);
  } catch (err) {
    report.malformed = !err.duplicate;
    return `not strict JSON: ${err.message}, at byte ${err.offset}`;
  }
  const unknown = tree.members?.find((m) => !["body", "key_id", "signature"].includes(m.name));
  if (unknown) return `unknown member ${JSON.stringify(clip(unknown.name))}`;
  for (const [name, type] of [["body", "object"], ["key_id", "string"], ["signature", "string"]]) {
    if (member(tree, name)?.type !== type) {
      report.malformed = true;
      return `member "${name}" is missing or of the wrong type`;
    }
  }
  return "members out of order, or space or escapes between them, or data behind them";
}

function readBody(body, report) {
  try {
    const tree = parse(body);
    const fault = difference(body, tree);
    if (!fault) {
      report.ok("canonical_form", `the body is its own canonical form, ${body.length} bytes`);
      return tree;
    }
    report.fail("canonical_form", `byte ${fault.offset} of the body is where it leaves the canonical form`, fault.expected, fault.found);
  } catch (err) {
    if (!(err instanceof JSONError)) throw err;
    const where = err.pointer ? `at ${err.pointer}: ` : "";
    report.fail("canonical_form", `${where}${err.message}, at byte ${err.offset} of the body`, "strict I-JSON in RFC 8785 form");
  }
  return undefined;
}

const texts = ["schema", "event_id", "org", "kind", "occurred_at", "recorded_at", "actor", "key_id", "idempotency_key", "run_id", "probe_id"];
const sourceTexts = ["app_id", "environment", "release", "framework"];

// readHeader checks the members that all kinds share. It returns them, or
// undefined if one has another type, whatever else is wrong.
function readHeader(tree, report) {
  const header = {};
  for (const m of tree.members) {
    if (m.name === "source" && m.value.type !== "object") return report.fail("schema", "member source has the wrong type");
    const inner = m.name === "source" ? m.value.members.find((s) => sourceTexts.includes(s.name) && s.value.type !== "string") : undefined;
    if (inner) return report.fail("schema", `member ${inner.name} has the wrong type`);
    if (!texts.includes(m.name)) continue;
    if (m.value.type !== "string") return report.fail("schema", `member ${m.name} has the wrong type`);
    header[m.name] = m.value.value;
  }
  const check = (name, field, shape, expected) => {
    const value = header[field] ?? "";
    if (shape(value)) report.ok(name, value);
    else report.fail(name, `member ${field}`, expected, JSON.stringify(clip(value, 80)));
  };
  const short = (value) => value !== "" && encode(value).length <= 128;
  check("schema", "schema", (v) => v === schema, schema);
  check("event_id", "event_id", (v) => /^evt_[0-9a-z]{1,60}$/.test(v), '"evt_" and 1 to 60 of 0-9 and a-z');
  check("kind", "kind", (v) => /^[a-z][a-z0-9_]{0,63}$/.test(v), "a lower-case letter, then at most 63 of a-z, 0-9 and _");
  for (const field of ["org", "actor"]) {
    if (!short(header[field] ?? "")) check("schema", field, short, "1 to 128 bytes");
  }
  check("key_id", "key_id", (v) => /^[0-9a-f]{64}$/.test(v), "64 lower-case hex digits");
  checkTimes(header, report);
  return header;
}

// time returns nanoseconds since 1970, or undefined: RFC 3339, UTC, "Z" only.
function time(text) {
  const [, whole, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const ms = Date.parse(whole + "Z");
  // Date.parse takes 30 February and 24:00; what is written back tells.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== whole) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

function checkTimes(header, report) {
  const expected = "RFC 3339 in UTC, ending in Z";
  const { recorded_at: recorded = "", occurred_at: occurred = "" } = header;
  const at = time(recorded);
  if (at === undefined) return report.fail("times", "member recorded_at", expected, JSON.stringify(clip(recorded, 80)));
  if (occurred === "") return report.ok("times", `recorded ${recorded}`);
  const of = time(occurred);
  if (of === undefined) return report.fail("times", "member occurred_at", expected, JSON.stringify(clip(occurred, 80)));
  if (of - at > clockSkew) return report.fail("times", "occurred_at is after recorded_at", `at most 5m after ${recorded}`, occurred);
  return report.ok("times", `occurred ${occurred}, recorded ${recorded}`);
}

function checkKeyID(header, parts, report) {
  const outside = latin1(parts.keyID);
  if (outside === header.key_id) return report.ok("key_id", outside);
  return report.fail("key_id", "the envelope names another key than the body", header.key_id ?? "", clip(outside, 80));
}

function readSignature(encoded, report) {
  const text = latin1(encoded);
  const bytes = base64(text);
  if (!bytes) return report.fail("signature", "", "standard base64 with no spare bits", JSON.stringify(clip(text, 100)));
  if (bytes.length !== 64) return report.fail("signature", "", "64 bytes", `${bytes.length} bytes`);
  return bytes;
}

function reportTrust(trust, report) {
  if (!trust.keys) return report.set("trust", "undetermined", { detail: trust.reason });
  const count = `${trust.keys.receipt.size} for receipts, ${trust.keys.checkpoint.length} for checkpoints`;
  const [whose, limit] = {
    pasted: ["keys that you pasted", ""],
    pinned: ["keys that you pinned", ""],
    server: ["keys from this server", "they only show that the server agrees with itself; paste keys that you got over a channel you trust"],
    sample: ["keys of the sample", "everybody can sign with them, so they prove nothing"],
  }[trust.source];
  return report.set("trust", limit ? "undetermined" : "ok", { found: `${whose}: ${count}`, detail: limit });
}

async function checkSignature(id, pae, signature, keys, report) {
  const key = keys.receipt.get(id);
  if (!key) return report.fail("known_key", "the signing key is not among the keys given, so nothing is proved", "one of the keys given", clip(id, 80));
  if ((await keyID(key)) !== id) return report.fail("key_id", "the key on file has another id");
  report.ok("known_key", "among the keys for receipts");
  const reason = await verifySignature(key, pae, signature);
  if (reason) return report.fail("signature", reason, "Ed25519 over the DSSE encoding of the body", clip(toBase64(signature), 60));
  return report.ok("signature", `matches, over ${pae.length} bytes`);
}

// verifyProof shows that the receipt's leaf, hashed here, stands under a signed root.
async function verifyProof(text, trust, report) {
  let proof;
  try {
    proof = parseProof(text);
  } catch (err) {
    return report.fail("proof", err.message, "the text of a C2SP tlog-proof");
  }
  const { checkpoint } = proof;
  report.ok("proof", `index ${proof.index}, ${proof.hashes.length} hashes`);
  report.log = { origin: checkpoint.origin, size: checkpoint.size, index: proof.index };
  if (trust.keys) {
    const reason = await openCheckpoint(checkpoint, trust.keys);
    if (reason) report.fail("checkpoint", reason, "a signature by a key that is trusted for checkpoints");
    else report.ok("checkpoint", `${checkpoint.origin}, size ${checkpoint.size}`);
  }
  if (!report.leaf) return undefined;
  const reason = await included(proof, report.leaf);
  if (reason) return report.fail("inclusion", reason, `the root ${toBase64(checkpoint.root)}`);
  return report.ok("inclusion", `leaf ${toBase64(report.leaf)} at index ${proof.index} of ${checkpoint.size}`);
}

// unwrap finds a receipt in what was pasted: alone, with white space around it,
// with its proof behind it, or within the answer of the API. Nothing is re-encoded.
export function unwrap(bytes) {
  let [start, end] = [0, bytes.length];
  const blank = (c) => c === 0x20 || c === 0x09 || c === 0x0a || c === 0x0d;
  let proof = "";
  const text = latin1(bytes);
  const at = text.indexOf("\nc2sp.org/tlog-proof@v1\n");
  if (at >= 0) {
    proof = decode(bytes.subarray(at + 1)) ?? "";
    end = at;
  }
  while (start < end && blank(bytes[start])) start++;
  while (end > start && blank(bytes[end - 1])) end--;
  const raw = bytes.subarray(start, end);
  if (text.slice(start, start + 8) === '{"body":') return { raw, proof };
  try {
    const inside = member(parse(raw), "receipt");
    if (inside?.type === "object") return { raw: raw.subarray(inside.start, inside.end), proof, within: true };
  } catch {
    // Verification says what is wrong with it.
  }
  return { raw, proof };
}
