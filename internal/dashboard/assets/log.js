// The log: a C2SP tlog-proof, the signed checkpoint in it, and the RFC 6962
// path from a receipt's leaf to the checkpoint's root.

import { encode, equal } from "./json.js";
import { base64, hex, sha256, toBase64, verify } from "./ed25519.js";
import { concat, validName } from "./keys.js";

export const proofHeader = "c2sp.org/tlog-proof@v1";
const maxText = 64 << 10;
const maxSignatures = 100;
const maxSize = 1n << 60n;
const emptyRoot = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; // SHA-256 of nothing

// leafHash is SHA-256 of a zero byte and the leaf: event id, dot, integrity hash.
export function leafHash(eventID, integrityHash) {
  return sha256(concat(Uint8Array.of(0), encode(eventID + "." + integrityHash)));
}

const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

// size reads a decimal without sign or leading zero that fits in 63 bits.
function size(text) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) return undefined;
  const n = BigInt(text);
  return n < 1n << 63n ? n : undefined;
}

function hash(text) {
  const bytes = base64(text);
  return bytes?.length === 32 ? bytes : undefined;
}

// parseProof reads the text in its one spelling, and throws an Error if it is in another.
export function parseProof(text) {
  if (encode(text).length > maxText) throw new Error(`longer than ${maxText} bytes`);
  const cut = text.indexOf("\n\n");
  const lines = (cut < 0 ? text : text.slice(0, cut)).split("\n");
  if (cut < 0 || lines.shift() !== proofHeader) {
    throw new Error(`it begins with ${proofHeader} and holds a checkpoint behind a blank line`);
  }
  if (lines[0]?.startsWith("extra ")) {
    const extra = lines.shift().slice("extra ".length);
    if (!base64(extra)?.length) throw new Error("the line extra is not base64");
  }
  const line = lines.shift() ?? "";
  const index = line.startsWith("index ") ? size(line.slice("index ".length)) : undefined;
  if (index === undefined) throw new Error("no line with the index");
  const hashes = lines.map((text) => {
    const bytes = hash(text);
    if (!bytes) throw new Error(`the line ${JSON.stringify(text.slice(0, 80))} is not the base64 of 32 bytes`);
    return bytes;
  });
  return { index, hashes, checkpoint: parseCheckpoint(text.slice(cut + 2)) };
}

// parseCheckpoint reads a signed note: what is signed, and the lines of the signatures.
function parseCheckpoint(note) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n") || cut + 2 === note.length) throw new Error("the checkpoint is not a signed note");
  const signed = note.slice(0, cut + 1);
  if (/[\u0000-\u0009\u000b-\u001f\ufffd\p{Surrogate}]/u.test(signed)) {
    throw new Error("the checkpoint holds control characters or invalid UTF-8");
  }
  const lines = signed.slice(0, -1).split("\n");
  if (lines.length < 3) throw new Error("the checkpoint has not three lines");
  if (lines.slice(3).includes("")) throw new Error("the checkpoint holds an empty line");
  const [origin, count, root64] = lines;
  if (!validName(origin)) throw new Error("the checkpoint's origin is empty or holds a space or a plus");
  const checkpoint = { origin, size: size(count), root: hash(root64), signed, signatures: note.slice(cut + 2, -1).split("\n") };
  if (checkpoint.size === undefined) throw new Error("the checkpoint's size is no number");
  if (!checkpoint.root) throw new Error("the checkpoint's root is not the base64 of 32 bytes");
  if (checkpoint.size === 0n && root64 !== emptyRoot) throw new Error("the root of an empty log is the SHA-256 of nothing");
  return checkpoint;
}

// openCheckpoint returns "" if a known key named as the origin signed it, no
// signature by a known key fails and none signs twice; else why not.
export async function openCheckpoint(checkpoint, trust) {
  const seen = new Set();
  const signers = new Set();
  if (checkpoint.signatures.length > maxSignatures) return `more than ${maxSignatures} signatures`;
  for (const line of checkpoint.signatures) {
    const [, name = "", encoded = ""] = /^— ([^ ]*) (.*)$/su.exec(line) ?? [];
    const bytes = base64(encoded);
    if (!validName(name) || !bytes || bytes.length < 5) return "a signature line is not a name and strict base64";
    const keyHash = hex(bytes.subarray(0, 4));
    const key = await trust.note(name, keyHash);
    if (!key) continue;
    const id = `${name}+${keyHash}`;
    if (seen.has(id)) return `two signatures by the key ${id}`;
    seen.add(id);
    const reason = await verify(key, encode(checkpoint.signed), bytes.subarray(4));
    if (reason) return `the key ${id}: ${reason}`;
    signers.add(name);
  }
  return signers.has(checkpoint.origin) ? "" : `no known key named ${checkpoint.origin} signed it`;
}

// included returns "" if the leaf stands at the index under the root (RFC 9162, 2.1.3.2).
export async function included(proof, leaf) {
  const { index, hashes, checkpoint } = proof;
  if (index >= checkpoint.size || checkpoint.size > maxSize) return `no log of size ${checkpoint.size} has an index ${index}`;
  let node = index;
  let last = checkpoint.size - 1n;
  let root = leaf;
  for (const sibling of hashes) {
    if (last === 0n) return "the path is longer than the log is high";
    if (node & 1n || node === last) {
      root = await nodeHash(sibling, root);
      while (!(node & 1n) && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else {
      root = await nodeHash(root, sibling);
    }
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) return "the path is shorter than the log is high";
  return equal(root, checkpoint.root) ? "" : `the path leads to the root ${toBase64(root)}`;
}
