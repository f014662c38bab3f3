import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { AnswerError, Client, UnreachableError } from "../dist/index.mjs";
import { fakeServer, problem } from "./helpers.mjs";

const client = (server, options) => new Client({ baseURL: server.url, apiKey: "prv_key", ...options });

test("options that cannot be", () => {
  for (const o of [{}, { baseURL: "https://prova.example.com/below/" }, { baseURL: "http://[::1]:7788", apiKey: "prv_a_b" }]) new Client(o);
  for (const o of [{ baseURL: "prova.example.com" }, { baseURL: "ftp://x" }, { baseURL: "https://" }, { baseURL: "https://u:p@x" }, { baseURL: "https://x?y=1" }, { apiKey: "prv_a\n" }, { apiKey: "prv a" }]) {
    assert.throws(() => new Client(o), (err) => !err.message.includes("u:p"), JSON.stringify(o));
  }
});

test("each call asks for what it says", async (t) => {
  const server = await fakeServer(t, (_, __, request) => ({ status: request.url === "/below/api/v1/rollouts" ? 201 : 200, body: { id: "rol_1" } }));
  const c = client(server, { baseURL: `${server.url}/below/` });
  const created = await c.createRollout({ app_id: "a", baseline_release: "v1", candidate_release: "v2", gates: ["success"] });
  assert.deepEqual([created.rollout.id, created.created], ["rol_1", true]);
  await c.rollouts({ app_id: "a&b", state: "active", limit: 5 });
  await c.rollout("rol_1");
  await c.awaitRollout("rol_1", 3, 1500);
  await c.evaluate("rol_1");
  await c.evaluateAll();
  for (const action of ["pause", "resume", "promote", "abort"]) await c[action]("rol_1", "because");
  await c.decisions("rol_1", { cursor: "x" });
  await c.gate("rol_1", 5);
  await c.compare({ app_id: "a", baseline: "v1", candidate: "v2" });
  await c.runs({ app_id: "a" });
  assert.equal((await c.receipt("evt_1")).toString(), '{"id":"rol_1"}');
  assert.equal(await c.signingKeys(), '{"id":"rol_1"}');
  assert.deepEqual(server.requests.map((q) => `${q.method} ${q.url} ${q.lines[0] ?? ""}`.trim().replace("/below/api/v1/", "")), [
    'POST rollouts {"app_id":"a","baseline_release":"v1","candidate_release":"v2","gates":["success"]}', "GET rollouts?app_id=a%26b&state=active&limit=5", "GET rollouts/rol_1",
    "GET rollouts/rol_1?since=3&wait=1500ms", "POST rollouts/rol_1/evaluate", "POST rollouts/evaluate", 'POST rollouts/rol_1/pause {"reason":"because"}',
    'POST rollouts/rol_1/resume {"reason":"because"}', 'POST rollouts/rol_1/promote {"reason":"because"}', 'POST rollouts/rol_1/abort {"reason":"because"}',
    "GET rollouts/rol_1/decisions?cursor=x", "GET rollouts/rol_1/gate?weight=5", 'POST compare {"app_id":"a","baseline":"v1","candidate":"v2"}', "GET runs?app_id=a&after=-1",
    "GET audit/receipts/evt_1", "GET keys",
  ]);
  assert.equal(server.requests[0].headers.authorization, "Bearer prv_key");
});

test("an id reaches no other route than the one that is meant", async (t) => {
  const server = await fakeServer(t, () => ({ status: 200, body: {} }));
  for (const [id, want] of Object.entries({ "a/b": "a%2Fb", "../orgs": "..%2Forgs", "..": "%00", ".": "%00", "": "%00", "a?b#c%2F ": "a%3Fb%23c%252F%20" })) {
    await client(server).evaluate(id);
    assert.equal(server.requests.at(-1).url, `/api/v1/rollouts/${want}/evaluate`);
  }
});

test("a rollback is an answer, and a problem of the same status is none", async (t) => {
  const server = await fakeServer(t, () => ({ status: 422, body: { decision: { decision: "rollback" }, ticked: true } }));
  assert.equal((await client(server).evaluate("rol_1")).decision.decision, "rollback");
  server.answer = () => problem(422, "invalid");
  await assert.rejects(client(server).evaluate("rol_1"), AnswerError);
});

test("what the server refuses is told apart from what it did not write", async (t) => {
  const server = await fakeServer(t);
  for (const [answer, code, says] of [
    [{ ...problem(429, "rate_limited", { errors: [{ pointer: "/x", detail: "y" }] }), headers: { "Retry-After": "7" } }, "rate_limited", /no: rate_limited\n {2}\/x: y/],
    [{ status: 200, body: "<html>welcome</html>" }, "foreign_answer", /<html>welcome/], [{ status: 502, body: "bad gateway" }, "foreign_answer", /PROVA_BASE_URL/],
    [{ status: 301, headers: { Location: "/elsewhere" } }, "foreign_answer", /redirects to \/elsewhere/], [{ status: 200, body: '{"items":[' }, "foreign_answer", /JSON/],
    [{ status: 400, body: { type: "" }, headers: { "Content-Type": "application/problem+json" } }, "foreign_answer", /400/],
  ]) {
    server.answer = () => answer;
    await assert.rejects(client(server).rollouts(), (err) => {
      assert.ok(err instanceof AnswerError);
      assert.deepEqual([err.code, err.status, err.retryAfter], [code, answer.status, answer.headers?.["Retry-After"] ? 7000 : 0]);
      assert.match(err.message, says);
      return true;
    });
  }
});

test("no answer is no refusal, and giving up is the caller's", async (t) => {
  const server = await fakeServer(t, () => "reset");
  await assert.rejects(client(server).rollouts(), UnreachableError);
  server.answer = () => "never";
  await assert.rejects(client(server, { timeout: 50 }).rollouts(), (err) => err instanceof UnreachableError && /no answer in time/.test(err.message));
  const given = new AbortController();
  setTimeout(() => given.abort(new Error("the caller gave up")), 50);
  await assert.rejects(client(server).rollouts({}, { signal: given.signal }), /the caller gave up/);
  const port = new URL(server.url).port;
  server.stop();
  await assert.rejects(client(server).rollouts(), (err) => err instanceof UnreachableError && err.message.includes(port));
  // An answer that drips.
  const drips = http.createServer((_, response) => {
    const drip = setInterval(() => response.write(" "), 10);
    response.on("close", () => clearInterval(drip));
  }).listen(0, "127.0.0.1");
  t.after(() => drips.close());
  await new Promise((resolve) => drips.once("listening", resolve));
  await assert.rejects(client({ url: `http://127.0.0.1:${drips.address().port}` }, { timeout: 100 }).rollouts(), /no answer in time/);
  // Broken off in the middle.
  const half = http.createServer((_, response) => response.writeHead(200, { "Content-Length": 100 }).write('{"items"', () => response.destroy())).listen(0, "127.0.0.1");
  t.after(() => half.close());
  await new Promise((resolve) => half.once("listening", resolve));
  await assert.rejects(client({ url: `http://127.0.0.1:${half.address().port}` }).rollouts(), UnreachableError);
});
