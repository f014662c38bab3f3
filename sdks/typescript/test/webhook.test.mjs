import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";

import { WebhookError, WebhookReceiver, verifyWebhook } from "../dist/index.mjs";

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const other = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

const sign = (body, at = Date.now(), ...secrets) => {
  const t = Math.floor(at / 1000);
  return [`t=${t}`, ...(secrets.length ? secrets : [secret]).map((s) => `v1=${createHmac("sha256", s).update(`${t}.${body}`).digest("hex")}`)].join(",");
};
const delivery = (sequence = 1, more = {}, event = "rollout.promote") => JSON.stringify({ event, data: { rollout_id: "rol_1", weight: 25, sequence, ...more } });
const code = (want) => (err) => err instanceof WebhookError && err.code === want;

test("the signature of the contract's example", (t) => {
  t.mock.method(Date, "now", () => 1_760_000_000_000);
  const body = '{"event":"rollout.promote","data":{"weight":25}}';
  const headers = { "x-prova-signature": "t=1760000000,v1=fe6d486a069483249382599b3bf68be3b83298f31a9589f9478c1e7f419a3ca2" };
  // It is signed; only its body is too short for an event.
  assert.throws(() => verifyWebhook(headers, body, "whsec_c2VjcmV0"), code("body"));
  assert.throws(() => verifyWebhook(headers, body, "whsec_b3RoZXI="), code("signature"));
});

test("a delivery is read if one of the live secrets signed it", () => {
  const body = delivery();
  for (const headers of [
    { "x-prova-signature": sign(body) }, { "X-Prova-Signature": sign(body) }, new Headers({ "X-Prova-Signature": sign(body) }),
    { "x-prova-signature": sign(body, Date.now(), other, secret) }, { "x-prova-signature": `${sign(body)},v2=abc` },
    { "x-prova-signature": sign(body).replaceAll(",", ", ") }, { "x-prova-signature": sign(body).replace(",", `,v1=${"0".repeat(64)},`) },
  ]) {
    for (const form of [body, Buffer.from(body), new TextEncoder().encode(body)]) assert.equal(verifyWebhook(headers, form, secret).data.weight, 25);
  }
  assert.equal(verifyWebhook({ "x-prova-signature": sign(body) }, body, [other, secret]).event, "rollout.promote");
});

test("a delivery that is not as it should be", () => {
  const body = delivery();
  const check = (header, want, secrets = secret, text = body) => assert.throws(() => verifyWebhook(header === undefined ? {} : { "x-prova-signature": header }, text, secrets), code(want), header);
  for (const none of ["", [], [""], "whsec_", undefined, [secret, ""]]) assert.throws(() => verifyWebhook({ "x-prova-signature": sign(body) }, body, none), code("secret"));
  const good = sign(body), t = good.split(",")[0], sum = good.split("v1=")[1];
  for (const malformed of [undefined, "", ",", "=", "t", "t=", `v1=${sum}`, t, `${t},`, `${t},v1`, `t=,v1=${sum}`, `t=now,v1=${sum}`, `t=1.5,v1=${sum}`, `t=0x1,v1=${sum}`,
    `${t},v0=${sum}`, `${t},v1=${sum.slice(1)}`, `${t},v1=zz${sum.slice(2)}`, `${t};v1=${sum}`, `${good},`]) check(malformed, "format");
  for (const wrong of [`${t},v1=`, `${t},v1=00`, `${t},v1=${sum.slice(2)}`, `${t},v1=${sum}00`, sign(body, Date.now() - 1000).replace(/^t=\d+/, t), sign(body, Date.now(), other), sign(delivery(2))]) check(wrong, "signature");
  for (const off of [-301_500, 302_000, -1e12]) check(sign(body, Date.now() + off), "time");
  for (const t of ["9223372036854775807", "-9223372036854775808", "0", "-1"]) check(`t=${t},v1=${sum}`, "time");
  for (const off of [-298_000, 298_000]) verifyWebhook({ "x-prova-signature": sign(body, Date.now() + off) }, body, secret);
  for (const text of ["{", "[]", "null", "5", '{"event":"rollout.pause","data":{}}', '{"event":"rollout.promote"}', `${body}{}`]) check(sign(text), "body", secret, text);
});

const deliver = (receiver, id, body) => receiver.receive({ "x-prova-signature": sign(body), "webhook-id": id }, body);

test("each delivery is acted on once, and never an older one after a newer", async () => {
  const acted = [];
  const receiver = new WebhookReceiver((event) => { acted.push(event.data.sequence); }, other, secret);
  await deliver(receiver, "a", delivery(1));
  await assert.rejects(deliver(receiver, "a", delivery(1)), code("repeated"));
  await assert.rejects(deliver(receiver, "b", delivery(1)), code("repeated")); // under another id
  await deliver(receiver, "c", delivery(3, {}, "rollout.rollback"));
  await assert.rejects(deliver(receiver, "d", delivery(2)), code("repeated"));
  await deliver(receiver, "e", delivery(2, { rollout_id: "rol_2" }));
  await deliver(receiver, "f", delivery(0, { test: true }));
  await assert.rejects(deliver(receiver, "", delivery(9)), code("body"));
  assert.deepEqual(acted, [1, 3, 2, 0]);
  assert.throws(() => new WebhookReceiver(() => undefined), code("secret"));
});

test("a delivery whose action failed, or is under way, comes again", async () => {
  let fail = true, release;
  const receiver = new WebhookReceiver(async () => {
    if (fail) throw new Error("the router is away");
    await new Promise((resolve) => (release = resolve));
  }, secret);
  await assert.rejects(deliver(receiver, "a", delivery(1)), /router/);
  fail = false;
  const first = deliver(receiver, "a", delivery(1));
  await assert.rejects(deliver(receiver, "b", delivery(2)), code("busy"));
  release();
  await first;
  await assert.rejects(deliver(receiver, "a", delivery(1)), code("repeated"));
});

test("the memory is bounded, and never shorter than a signature counts", async (t) => {
  const receiver = new WebhookReceiver(() => undefined, secret);
  for (let i = 0; i < 10_000; i++) await deliver(receiver, `id-${i}`, delivery(i + 1));
  await assert.rejects(deliver(receiver, "more", delivery(20_000)), code("busy"));
  const now = performance.now();
  t.mock.method(performance, "now", () => now + 11 * 60_000);
  await deliver(receiver, "more", delivery(20_000));
});

test("as a handler of node:http", async (t) => {
  const acted = [];
  const receiver = new WebhookReceiver((event) => {
    if (event.data.sequence === 5) throw new Error("secret of the action");
    acted.push(event.data.sequence);
  }, secret);
  const server = http.createServer(receiver.handle).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const post = async (id, body, header = sign(body)) => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}`, { method: "POST", body, headers: { "X-Prova-Signature": header, "webhook-id": id } });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await post("a", delivery(1)), [204, ""]);
  assert.deepEqual(await post("a", delivery(1)), [204, ""]);
  assert.equal((await post("b", delivery(2), sign(delivery(3))))[0], 401);
  assert.equal((await post("b", delivery(2), "t=1"))[0], 401);
  assert.equal((await post("b", "{}"))[0], 400);
  const failed = await post("c", delivery(5));
  assert.equal(failed[0], 500);
  assert.doesNotMatch(failed[1], /secret of/);
  assert.deepEqual(acted, [1]);
});
