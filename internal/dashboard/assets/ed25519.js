// Ed25519. WebCrypto verifies; what it leaves open is done here: which public
// keys are admitted, and which points a signature may hold. Everything is
// public, so nothing need take the same time for every input.

import { equal } from "./json.js";
import { sha256, verifyEd25519 } from "./webcrypto.js";

export { sha256 };

const p = 2n ** 255n - 19n;
const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a) => ((a % p) + p) % p;

function power(base, exponent) {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % p;
    base = (base * base) % p;
  }
  return result;
}

const d = mod(-121665n * power(121666n, p - 2n));
const rootOfMinusOne = power(2n, (p - 1n) / 4n);
const identity = [0n, 1n, 1n, 0n]; // X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z

// add is complete on this curve: it also doubles (RFC 8032, 5.1.4).
function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * d * t2);
  const e = mod(2n * z1 * z2);
  return [mod((b - a) * (e - c)), mod((e + c) * (b + a)), mod((e - c) * (e + c)), mod((b - a) * (b + a))];
}

function multiply(n, point) {
  let result = identity;
  for (; n > 0n; n >>= 1n) {
    if (n & 1n) result = add(result, point);
    point = add(point, point);
  }
  return result;
}

const isIdentity = ([x, y, z]) => x === 0n && y === z;

// point decodes 32 bytes, or says why they are no canonical encoding.
function point(bytes) {
  let y = 0n;
  for (const byte of [...bytes].reverse()) y = (y << 8n) | BigInt(byte);
  const sign = y >> 255n;
  y &= 2n ** 255n - 1n;
  if (y >= p) return { reason: "the public key is not canonically encoded" };
  const u = mod(y * y - 1n);
  const v = mod(d * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n) % p, (p - 5n) / 8n)); // RFC 8032, 5.1.3
  if (mod(v * x * x) === mod(-u)) x = mod(x * rootOfMinusOne);
  if (mod(v * x * x) !== u) return { reason: "the public key is no point of the curve" };
  if (x === 0n && sign === 1n) return { reason: "the public key is not canonically encoded" };
  if ((x & 1n) !== sign) x = p - x;
  return { point: [x, y, 1n, mod(x * y)] };
}

// refuse says why a public key is not admitted, or "". Whoever signs with such
// a key can make signatures that one verifier takes and the next does not.
export function refuse(key) {
  if (key.length !== 32) return "a public key has 32 bytes";
  const a = point(key);
  if (a.reason) return a.reason;
  if (isIdentity(multiply(8n, a.point))) return "the public key has small order";
  if (!isIdentity(multiply(order, a.point))) return "the public key is outside the prime-order subgroup";
  return "";
}

// verify returns "" for a good signature, or why it is bad. key was admitted.
export async function verify(key, message, signature) {
  if (signature.length !== 64) return "a signature has 64 bytes";
  const r = point(signature.subarray(0, 32));
  if (r.point && isIdentity(multiply(8n, r.point))) return "the signature's point R has small order";
  const s = signature.subarray(32).reduceRight((n, byte) => (n << 8n) | BigInt(byte), 0n);
  if (s >= order) return "the signature's number S is not below the group order";
  return (await verifyEd25519(key, message, signature)) ? "" : "the signature does not match";
}

export const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

// base64 returns the bytes of standard base64 in its one spelling, or undefined.
export function base64(text) {
  try {
    const binary = atob(text);
    return btoa(binary) === text ? Uint8Array.from(binary, (c) => c.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));

// missing says what the browser lacks, or "". It asks for a known answer, since
// a name that is there need not do what it says: RFC 8032, 7.1, TEST 2.
export async function missing() {
  if (!globalThis.crypto?.subtle) {
    return "This browser offers WebCrypto to secure pages only: open this page over https, or on the machine itself as http://127.0.0.1 or http://localhost.";
  }
  const key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const good = unhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  const other = good.slice();
  other[5] ^= 4;
  try {
    const answers = [await verify(key, Uint8Array.of(0x72), good), await verify(key, Uint8Array.of(0x72), other)];
    if (answers[0] === "" && answers[1] !== "" && equal(base64(toBase64(good)), good)) return "";
    return "This browser's WebCrypto gives a wrong answer to a known Ed25519 signature.";
  } catch {
    // The versions are those of the browsers' own announcements (2023 to 2025); this page's tests run in Chromium.
    return "This browser's WebCrypto has no Ed25519. Chrome and Edge have it from version 137, Firefox from 129, Safari from 17.";
  }
}
