// With a real server, that of PROVA_TEST_SERVER: go test ./e2e starts one.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";

import { AnswerError, Client, WebhookReceiver, pinKeys, verifyReceipt } from "../dist/index.mjs";
import { adds, recorder, until } from "./helpers.mjs";

const { PROVA_TEST_SERVER: baseURL, PROVA_TEST_KEY: apiKey } = process.env;
const options = { skip: baseURL ? false : "NOT TESTED: PROVA_TEST_SERVER names no server" };
const server = { baseURL, apiKey };
const [limits, driven] = [`limits-${Date.now()}`, `driven-${Date.now()}`]; // new ones, on a server that was tested with before

test("values at the limits of what a recorder lets through", options, async (t) => {
  const { r, warnings } = recorder(t, { ...server, appId: limits });
  const nested = (n) => (n === 0 ? 1 : [nested(n - 1)]);
  const id = r.record({
    metrics: { success: true, edge: 2 ** 53 - 1, tiny: 5e-324, negative: -0 }, probeId: "p".repeat(200),
    payload: { deepest: nested(30), "too deep": nested(31), text: "<\u2028é\\\u{1F600}", "with space": 1e21 }, attributes: { deepest: nested(30), float: 0.1 },
  });
  r.record({ metrics: { success: true }, payload: { a: "x".repeat(130 << 10), b: "y".repeat(131 << 10) } });
  r.record({ metrics: {} });
  r.record({ metrics: { success: true }, occurredAt: new Date(Date.now() + 3_600_000) });
  r.outcome(id, { label: true });
  r.outcome(id, { success: false });
  assert.equal(await r.close(20_000), undefined);
  assert.deepEqual([adds(r).sent, adds(r).refused, adds(r).refusedValues], [5, 1, 3]);
  assert.deepEqual(warnings.map((w) => w.name ?? w.kind).sort(), ["event_refused", "occurred_at", "payload.b", "payload.too deep"]);
  const { items } = await new Client(server).runs({ app_id: limits });
  assert.deepEqual(items[0].receipt.body.metrics, { edge: 2 ** 53 - 1, negative: 0, success: true, tiny: 5e-324 });
  assert.equal(items.length, 4);
});

test("a rollout from its beginning to its end, and the proof of it", options, async (t) => {
  const client = new Client(server);
  const events = [];
  const listener = http.createServer((request, response) => receiver.handle(request, response)).listen(0, "127.0.0.1");
  t.after(() => listener.close());
  await once(listener, "listening");
  const hook = await fetch(`${baseURL}/api/v1/webhooks`, {
    method: "POST", headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ url: `http://127.0.0.1:${listener.address().port}/`, events: ["rollout.promote", "rollout.rollback"], app_id: driven }),
  }).then((answer) => answer.json());
  const receiver = new WebhookReceiver((event) => void events.push(event), hook.secret);

  const { rollout, created } = await client.createRollout({
    app_id: driven, baseline_release: "v1", candidate_release: "v2", mode: "canary", steps: [50, 100], min_runs: 10, gates: ["success", { metric: "latency_ms", on: "warn" }],
  });
  assert.deepEqual([created, rollout.state, rollout.weight], [true, "active", 50]);
  assert.equal((await client.createRollout({ app_id: driven, baseline_release: "v1", candidate_release: "v2", mode: "canary", steps: [50, 100], min_runs: 10, gates: ["success", { metric: "latency_ms", on: "warn" }] })).created, false);
  await assert.rejects(client.createRollout({ app_id: driven, baseline_release: "v1", candidate_release: "v3", mode: "canary" }), (err) => err instanceof AnswerError && err.status === 409);
  await assert.rejects(client.createRollout({ app_id: "", steps: [5, 5] }), (err) => err.status === 400 && err.problem.errors.length > 0);

  assert.equal((await client.pause(rollout.id, "lunch")).state, "paused");
  assert.equal((await client.resume(rollout.id, "back")).state, "active");
  const { r } = recorder(t, { ...server, appId: driven });
  for (let i = 0; i < 60; i++) {
    r.record({ release: "v1", metrics: { success: true, latency_ms: 700 + i } });
    r.record({ release: "v2", metrics: { success: i % 2 === 0, latency_ms: 700 + i } });
  }
  assert.equal(await r.close(20_000), undefined);
  const compared = await client.compare({ app_id: driven, baseline: "v1", candidate: "v2", gates: ["success"] });
  assert.equal(compared.verdict.verdict, "regressed");
  assert.equal((await client.gate(rollout.id, 50)).decision, "hold");
  const tick = await client.evaluate(rollout.id);
  assert.deepEqual([tick.decision.decision, tick.rollout.state, tick.ticked, tick.verdict.verdict], ["rollback", "rolled_back", true, "regressed"]);
  assert.equal((await client.gate(rollout.id, 50)).decision, "rollback");
  assert.equal((await client.evaluateAll()).results.filter((result) => result.rollout_id === rollout.id).length, 0);
  assert.equal((await client.awaitRollout(rollout.id, 0, 1000)).sequence, tick.rollout.sequence);
  assert.ok((await client.rollouts({ app_id: driven })).items.some((item) => item.id === rollout.id));
  const { items } = await client.decisions(rollout.id);
  assert.deepEqual(items.at(-1).event_id, tick.decision.event_id);

  await until("the webhook", () => events.length > 0);
  const { data } = events.find((event) => event.event === "rollout.rollback");
  assert.deepEqual([data.rollout_id, data.weight, data.terminal, data.decision_event_id], [rollout.id, 0, true, tick.decision.event_id]);
  const keys = await pinKeys(await client.signingKeys());
  const receipt = await client.receipt(data.decision_event_id);
  const { result, body } = await verifyReceipt(receipt, keys);
  assert.deepEqual([result, body.decision, body.subject.rollout_id], ["verified", "rollback", rollout.id]);
  const changed = receipt.toString().replace('"decision":"rollback"', '"decision":"promote"');
  assert.equal((await verifyReceipt(changed, keys)).failed, "signature");

  const canary = await client.createRollout({ app_id: driven, environment: "staging", baseline_release: "v1", candidate_release: "v2", mode: "canary" });
  assert.equal((await client.promote(canary.rollout.id, "a person says so")).weight, 25);
  assert.equal((await client.abort(canary.rollout.id, "enough")).state, "aborted");
});

test("a key that may not is told, and the runs are kept", options, async (t) => {
  const { r, kinds } = recorder(t, { ...server, apiKey: "prv_no_key" });
  r.record({ metrics: {} });
  await until("it is told", () => kinds().includes("key"));
  assert.equal((await r.close(50)).lost, 1);
});
