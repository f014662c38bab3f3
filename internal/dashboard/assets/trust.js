// The public keys that a receipt is held against.

import { parseKeys } from "./keys.js";

let fromServer;

async function fetchKeys() {
  const answer = await fetch("/api/v1/keys", { credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return parseKeys(await answer.text());
}

// trustOf uses the keys that were pasted, or else this server's. Keys equal to
// those of the sample are nobody's.
export async function trustOf(pasted, sample) {
  if (pasted.trim() !== "") {
    try {
      return { keys: await parseKeys(pasted), source: pasted === sample ? "sample" : "pasted" };
    } catch (err) {
      return { reason: `the keys that you pasted cannot be used: ${err.message}` };
    }
  }
  fromServer ??= fetchKeys();
  try {
    return { keys: await fromServer, source: "server" };
  } catch (err) {
    fromServer = undefined; // the next attempt asks again
    return { reason: `the keys of this server could not be had: ${err.message}` };
  }
}
