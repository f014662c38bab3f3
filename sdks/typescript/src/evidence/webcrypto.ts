import { createHash, createPublicKey, verify } from "node:crypto";

// What Node computes, for the modules that are shared with the page that
// verifies receipts in a browser: there a module of this name asks WebCrypto.

/** What stands before a raw Ed25519 key in its DER form (RFC 8410). */
const derHead = Buffer.from("302a300506032b6570032100", "hex");

export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

export async function verifyEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const imported = createPublicKey({ key: Buffer.concat([derHead, key]), format: "der", type: "spki" });
  return verify(null, message, imported, signature);
}
