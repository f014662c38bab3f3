// What the platform computes. The modules of the evidence (json, ed25519, keys,
// log, receipt) ask for it here alone: the TypeScript SDK shares them and has
// a module of this name for Node.

export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

export async function verifyEd25519(key, message, signature) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}
