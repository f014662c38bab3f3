import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { pinKeys, verifyReceipt } from "../dist/index.mjs";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../receipt/testdata/vectors/${name}.json`, import.meta.url), "utf8"));
const { keys, cases } = vectors("receipts");
const pinned = JSON.stringify({ keys });

test("the receipts of the specification", async () => {
  for (const c of cases) {
    const found = await verifyReceipt(Buffer.from(c.receipt_base64, "base64"), pinned);
    assert.equal(found.result, c.result, c.name);
    assert.equal(found.failed, c.check ?? "", c.name);
    if (c.integrity_hash) assert.equal(found.integrityHash, c.integrity_hash, c.name);
    assert.equal(found.body !== undefined, c.result === "verified", c.name);
  }
  assert.ok(cases.length > 40);
});

test("what was signed is shown of a verified receipt, as text, bytes or the answer of the API", async () => {
  const text = Buffer.from(cases[0].receipt_base64, "base64").toString();
  const trust = await pinKeys(pinned);
  for (const form of [text, Buffer.from(text), `\n${text}\n`, `{"log_index":7,"receipt":${text}}`]) {
    const found = await verifyReceipt(form, trust);
    assert.equal(found.result, "verified");
    assert.equal(found.body.metrics.latency_ms, 812);
    assert.equal(found.eventId, found.body.event_id);
  }
});

test("every changed byte is found", async () => {
  const trust = await pinKeys(pinned);
  const good = Buffer.from(cases[0].receipt_base64, "base64");
  for (let i = 0; i < good.length; i += 7) {
    const changed = Buffer.from(good);
    changed[i] ^= 1;
    assert.notEqual((await verifyReceipt(changed, trust)).result, "verified", `byte ${i}`);
  }
});

test("keys are admitted one by one, and none is no trust", async () => {
  for (const c of vectors("keys").cases) {
    if (c.refused) await assert.rejects(pinKeys(JSON.stringify({ keys: [{ purpose: "receipt", public_key: Buffer.from(c.public_key, "hex").toString("base64") }] })), c.name);
    else assert.ok(await pinKeys(c.public_key), c.name);
  }
  for (const none of ["", "{}", '{"keys":[]}', "# nothing"]) await assert.rejects(verifyReceipt("{}", none));
});

test("the place in the log is verified with a proof", async () => {
  const log = vectors("log");
  // No receipt of the vectors stands in this log: its own leaf does not lead to the root.
  const found = await verifyReceipt(Buffer.from(cases[0].receipt_base64, "base64"), `${keys[0].public_key}\n${log.vkey}`, log.tlog_proof);
  const status = Object.fromEntries(found.checks.map((c) => [c.name, c.status]));
  assert.deepEqual([status.signature, status.proof, status.checkpoint, status.inclusion], ["ok", "ok", "ok", "failed"]);
  assert.deepEqual([found.result, found.body], ["failed", undefined]);
});
