// Public keys in the forms in which they are handed over: the JSON of
// /api/v1/keys, or lines with a receipt key in hex or base64 or a checkpoint
// key as verifier key (<origin>+<hash>+<base64>).

import { canonical, encode, member, parse } from "./json.js";
import { base64, hex, refuse, sha256, unhex } from "./ed25519.js";

// keyID names a key: SHA-256 of a fixed text and its bytes.
export async function keyID(key) {
  return hex(await sha256(concat(encode("prova-receipt-key\n"), key)));
}

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// noteHash is the four bytes by which a signed note names a key.
export async function noteHash(name, key) {
  return hex((await sha256(concat(encode(name + "\n"), Uint8Array.of(1), key))).subarray(0, 4));
}

const spaces = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const nameShape = new RegExp(`^[^+${spaces}]+$`, "u");

export const validName = (name) => nameShape.test(name);

// Trust is the keys that are believed. A key for receipts is never one for
// checkpoints: a signature for the one could be offered for the other.
export class Trust {
  receipt = new Map(); // key id to key
  checkpoint = []; // {name, key}; without a name the key signs any log's checkpoints

  // note returns the key by which a note is signed under a name, if it is known.
  async note(name, hash) {
    for (const c of this.checkpoint) {
      if ((c.name === undefined || c.name === name) && (await noteHash(name, c.key)) === hash) return c.key;
    }
    return undefined;
  }
}

// parseKeys reads keys and admits each. It throws an Error that says which is refused and why.
export async function parseKeys(text) {
  const trust = new Trust();
  text = text.trim();
  if (text.startsWith("{")) {
    await addJSON(trust, text);
  } else {
    for (const [i, line] of text.split("\n").entries()) {
      const key = line.split("#")[0].trim();
      if (key !== "") await named(`line ${i + 1}`, addLine(trust, key));
    }
  }
  if (trust.receipt.size + trust.checkpoint.length === 0) throw new Error("no public key found");
  for (const c of trust.checkpoint) {
    const id = await keyID(c.key);
    if (trust.receipt.has(id)) throw new Error(`the key ${id} is given for receipts and for checkpoints`);
  }
  return trust;
}

async function named(what, work) {
  try {
    await work;
  } catch (err) {
    throw new Error(`${what}: ${err.message}`);
  }
}

async function addLine(trust, line) {
  if (/^[0-9a-fA-F]{64}$/.test(line)) return addReceiptKey(trust, unhex(line));
  const key = base64(line);
  if (key?.length === 32) return addReceiptKey(trust, key);
  return addVerifierKey(trust, line);
}

async function addReceiptKey(trust, key) {
  const reason = refuse(key);
  if (reason) throw new Error(reason);
  trust.receipt.set(await keyID(key), key);
}

async function addVerifierKey(trust, line) {
  const [, name = "", hash, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(line) ?? [];
  const bytes = base64(encoded ?? "");
  if (!validName(name) || bytes?.length !== 33 || bytes[0] !== 1) {
    throw new Error("not a public key of 32 bytes in hex or base64, and not the verifier key of a checkpoint key");
  }
  const key = bytes.subarray(1);
  const reason = refuse(key);
  if (reason) throw new Error(reason);
  if ((await noteHash(name, key)) !== hash) throw new Error("the verifier key names another hash than its key has");
  trust.checkpoint.push({ name, key });
  return key;
}

async function addJSON(trust, text) {
  const list = parse(encode(text));
  const items = (member(list, "keys") ?? member(list, "items"))?.items ?? [list];
  for (const [i, item] of items.entries()) await named(`key ${i}`, addDescribed(trust, item));
}

// addDescribed takes a key if all that is said of it agrees.
async function addDescribed(trust, item) {
  const text = (name) => {
    const value = member(item, name)?.value ?? "";
    if (typeof value !== "string") throw new Error(`${name} is not a text`);
    return value;
  };
  if (!["", "ed25519"].includes(text("algorithm"))) throw new Error(`algorithm ${text("algorithm")}; only ed25519 is known`);
  const key = base64(text("public_key"));
  if (key?.length !== 32) throw new Error("public_key is not the base64 of 32 bytes");
  const id = await keyID(key);
  if (text("key_id") !== "" && text("key_id") !== id) throw new Error(`key_id is ${text("key_id")} and the key's is ${id}`);
  switch (text("purpose")) {
    case "receipt":
      return addReceiptKey(trust, key);
    case "checkpoint":
      break;
    default:
      throw new Error(`purpose ${canonical(member(item, "purpose") ?? { value: "" })}; known are receipt and checkpoint`);
  }
  if (text("vkey") !== "") {
    const inside = await addVerifierKey(trust, text("vkey"));
    if (hex(inside) !== hex(key)) throw new Error("vkey holds another key than public_key");
    return;
  }
  const reason = refuse(key);
  if (reason) throw new Error(reason);
  trust.checkpoint.push({ key });
}
