import assert from "node:assert/strict";
import { test } from "node:test";

import { AnswerError, Recorder, UnreachableError, UnsentError, currentRun } from "../dist/index.mjs";
import { adds, fakeServer, problem, program, recorder, sdk, until } from "./helpers.mjs";

test("a run is timed, judged and tagged", async (t) => {
  const server = await fakeServer(t);
  const { r, warnings } = recorder(t, { baseURL: server.url, framework: "f", environment: "staging" });
  const question = { q: "why" };
  const answer = await r.run(
    async (run) => {
      assert.equal(currentRun(), run);
      run.input(question).metric("cost_usd", 0.5).attribute("tier", "gold").unit("u1").model({ provider: "p", name: "m" });
      question.q = "changed later";
      await new Promise((resolve) => setTimeout(resolve, 20));
      currentRun().output("because");
      return 42;
    },
    { probeId: "claim-1", metrics: { tokens: 7 } },
  );
  assert.equal(answer, 42);
  assert.equal(currentRun(), undefined);
  assert.equal(await r.flush(), undefined);
  const [event] = server.events();
  assert.deepEqual({ ...event, occurred_at: "", idempotency_key: "", run_id: "", metrics: { ...event.metrics, latency_ms: 0 } }, {
    kind: "agent_run", occurred_at: "", idempotency_key: "", run_id: "", probe_id: "claim-1", unit_id: "u1",
    source: { app_id: "agent", environment: "staging", release: "v1", framework: "f" }, model: { provider: "p", name: "m" },
    metrics: { tokens: 7, cost_usd: 0.5, success: true, latency_ms: 0 }, payload: { input: { q: "why" }, output: "because" }, attributes: { tier: "gold" },
  });
  assert.ok(event.metrics.latency_ms >= 15 && event.metrics.latency_ms < 5000, `${event.metrics.latency_ms} ms`);
  const { headers } = server.requests[0];
  assert.equal(headers.authorization, "Bearer prv_a_b");
  assert.equal(headers["content-type"], "application/x-ndjson");
  assert.deepEqual(warnings, []);
  assert.equal(adds(r).sent, 1);
});

test("what the agent throws comes back as it is, and is a failure", async (t) => {
  const server = await fakeServer(t);
  const { r } = recorder(t, { baseURL: server.url });
  for (const thrown of [new TypeError("no"), undefined, null, "text"]) {
    await assert.rejects(r.run(() => { throw thrown; }).catch((err) => { assert.equal(err, thrown); throw new Error("thrown"); }), /thrown/);
  }
  await r.run((run) => run.metric("success", false).metric("latency_ms", 1)).catch(() => assert.fail());
  const run = r.start();
  run.end(new Error("failed"));
  run.end();
  run.metric("late", 1);
  await r.close();
  assert.deepEqual(server.events().map((e) => e.metrics.success), [false, false, false, false, false, false]);
  assert.equal(server.events()[4].metrics.latency_ms, 1);
  assert.deepEqual(adds(r).refusedValues, 1);
});

test("runs within runs, at the same time, are not mixed up", async (t) => {
  const server = await fakeServer(t);
  const { r } = recorder(t, { baseURL: server.url });
  await Promise.all([1, 2, 3].map((n) => r.run(async () => {
    currentRun().metric("n", n);
    await r.run(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5 * n));
      currentRun().metric("inner", n);
    });
    currentRun().metric("after", n);
  })));
  await r.close();
  const metrics = server.events().map((e) => [e.metrics.n, e.metrics.inner, e.metrics.after]);
  assert.deepEqual(metrics.sort(), [[1, undefined, 1], [2, undefined, 2], [3, undefined, 3], [undefined, 1, undefined], [undefined, 2, undefined], [undefined, 3, undefined]].sort());
});

test("what cannot be sent is refused by name and touches nothing else", async (t) => {
  const server = await fakeServer(t);
  const { r, warnings } = recorder(t, { baseURL: server.url });
  const cycle = {};
  cycle.self = cycle;
  const nested = (n) => (n === 0 ? 1 : [nested(n - 1)]);
  const metrics = {
    good: 1, yes: true, max: 2 ** 53 - 1, tiny: 5e-324, nan: NaN, infinite: -Infinity, big: 10n, beyond: 2 ** 53, text: "1", nothing: null, list: [1], unmeasured: undefined,
    ["n".repeat(201)]: 1, "new\nline": 1, "": 1, __proto__: null, "half\ud800": 1,
  };
  Object.defineProperty(metrics, "throws", { enumerable: true, get: () => { throw new Error("a getter"); } });
  const payload = {
    deepest: nested(30), "too deep": nested(31), cycle, big: { n: 1n }, fn: () => 1, nan: [1, { x: NaN }], null: [null], nul: "a\0", surrogate: "\ud800", escaped: "\\u0000 \\ud800",
    integer: 2 ** 60, float: 1e300, date: new Date(0), broken: { toJSON: () => { throw new Error("no JSON"); } },
  };
  const id = r.record({ metrics, payload, attributes: { a: 1, b: Symbol("x") }, probeId: "p".repeat(201), unitId: 5, runId: "mine", model: { name: "m", version: "\u0001" }, occurredAt: new Date(NaN) });
  assert.equal(id, "mine");
  const run = r.start();
  run.metric("nan", NaN);
  for (let i = 0; i < 80; i++) run.metric(`m${i}`, i);
  run.end();
  for (const odd of [undefined, null, 5, { metrics: 5, payload: "x" }]) r.record(odd);
  await r.close();
  const [event, second] = server.events();
  assert.deepEqual(event.metrics, { good: 1, yes: true, max: 2 ** 53 - 1, tiny: 5e-324 });
  assert.deepEqual(Object.keys(event.payload).sort(), ["date", "deepest", "escaped", "float", "null"]);
  assert.deepEqual(event.attributes, { a: 1 });
  assert.deepEqual(event.model, { name: "m" });
  assert.equal(event.probe_id, undefined);
  assert.ok(Math.abs(Date.parse(event.occurred_at) - Date.now()) < 60_000);
  assert.equal(Object.keys(second.metrics).length, 64);
  assert.equal(second.metrics.success, true);
  const named = new Set(warnings.filter((w) => w.kind === "value_refused").map((w) => w.name));
  for (const name of ["nan", "infinite", "big", "beyond", "text", "nothing", "list", "throws", "new\nline", "", "half\ud800", "n".repeat(201), "m62"].map((n) => `metrics.${n}`)
    .concat(["too deep", "cycle", "big", "fn", "nan", "nul", "surrogate", "integer", "broken"].map((n) => `payload.${n}`), ["attributes.b", "probe_id", "unit_id", "model.version", "occurred_at", "metrics", "payload"])) {
    assert.ok(named.has(name), `${JSON.stringify(name)} is not named`);
  }
  const s = adds(r);
  assert.equal(s.sent, 6);
  assert.equal(s.refusedValues, warnings.filter((w) => w.kind === "value_refused").reduce((n, w) => n + 1 + (w.message.includes("the same again") ? w.since - 1 : 0), 0));
});

test("a run that is too large loses its largest payloads", async (t) => {
  const server = await fakeServer(t);
  const { r, warnings } = recorder(t, { baseURL: server.url });
  r.record({ metrics: { success: true }, payload: { a: "x".repeat(130 << 10), b: "é".repeat(70 << 10), c: "z" } });
  await r.close();
  assert.deepEqual(Object.keys(server.events()[0].payload), ["a", "c"]);
  assert.deepEqual(warnings.map((w) => w.name), ["payload.b"]);
});

test("without a key, an app or an address nothing is recorded and one line says so", async (t) => {
  for (const [options, says] of [
    [{ apiKey: "" }, /PROVA_API_KEY/], [{ appId: "" }, /appId/], [{ baseURL: "prova" }, /address/], [{ apiKey: "a b" }, /copied whole/],
    [{ baseURL: "http://u:secret@x" }, /no user/], [{ environment: "a\n" }, /environment/],
  ]) {
    const { r, warnings } = recorder(t, options);
    assert.equal(await r.run(async (run) => { run.metric("x", NaN).probe("p"); return run.id.length > 0; }), true);
    assert.equal(r.record({ metrics: {}, runId: "mine" }), "mine");
    r.outcome("x", { a: 1 });
    assert.equal(await r.flush(), undefined);
    assert.equal(await r.close(), undefined);
    assert.deepEqual(warnings.map((w) => w.kind), ["disabled"]);
    assert.match(warnings[0].message, says);
    assert.match(r.error.message, says);
    assert.doesNotMatch(warnings[0].message, /secret/);
    assert.equal(adds(r).recorded, 0);
  }
});

test("a run without a release is sent and warned about once", async (t) => {
  const server = await fakeServer(t);
  const { r, warnings } = recorder(t, { baseURL: server.url, release: "a\u0000b" });
  for (let i = 0; i < 3; i++) r.record({ metrics: {} });
  r.record({ metrics: {}, release: "v2" });
  await r.close();
  assert.deepEqual(server.events().map((e) => e.source.release), [undefined, undefined, undefined, "v2"]);
  assert.deepEqual(warnings.map((w) => w.kind), ["value_refused", "no_release"]);
});

test("options come from the environment", async (t) => {
  const server = await fakeServer(t);
  const env = { PROVA_API_KEY: " prv_env_key ", PROVA_BASE_URL: server.url, PROVA_APP_ID: "env-app", PROVA_RELEASE: "env-v", PROVA_ENVIRONMENT: "env-e" };
  const ended = await program(`
    import { Recorder } from ${JSON.stringify(sdk)};
    const recorder = new Recorder();
    await recorder.run(() => 1);
    console.log(JSON.stringify([await recorder.close() ?? "all", recorder.error ?? "on"]));`, env);
  assert.equal(ended.stdout, '["all","on"]\n', ended.stderr);
  assert.deepEqual(server.events()[0].source, { app_id: "env-app", environment: "env-e", release: "env-v" });
  assert.equal(server.requests[0].headers.authorization, "Bearer prv_env_key");
});

test("an outcome belongs to its run, and needs a metric", async (t) => {
  const server = await fakeServer(t);
  const { r, warnings } = recorder(t, { baseURL: server.url });
  const id = r.record({ metrics: {} });
  r.outcome(id, { label: true });
  r.outcome(id, { label: NaN });
  r.outcome("", { label: true });
  await r.close();
  const [run, outcome] = server.events();
  assert.equal(outcome.kind, "outcome");
  assert.equal(outcome.run_id, run.run_id);
  assert.equal(outcome.source.release, undefined);
  assert.notEqual(outcome.idempotency_key, run.idempotency_key);
  assert.equal(adds(r).refused, 2);
  assert.deepEqual(warnings.map((w) => w.kind), ["value_refused", "event_refused", "event_refused"]);
  assert.equal(warnings[2].since, 1);
});

test("every failure is repeated with the same bytes until the server has signed", async (t) => {
  const faults = [
    "reset", { status: 503, body: "<html>" }, problem(500, "internal"), problem(408, "slow"), { status: 200, body: "<html>" }, { status: 200, body: { results: [] } },
    { status: 200, body: { results: [{ index: 1, status: "created" }] } }, { status: 200, body: { results: [{ index: 0, status: "refused" }] } },
    { status: 302, headers: { Location: "/x" } }, problem(401, "unauthorized"), problem(404, "not_found"), problem(415, "encoding"),
    { status: 200, body: { results: [{ index: 0, status: "refused", problem: problem(503, "unavailable").body }] } },
    { status: 200, body: { results: [{ index: 0, status: "refused", problem: problem(429, "rate_limited").body }] } },
  ];
  const server = await fakeServer(t, (_, n) => faults[n - 1]);
  const { r, kinds } = recorder(t, { baseURL: server.url });
  r.record({ metrics: { success: true }, payload: { input: "x".repeat(2000) } });
  assert.equal(await r.flush(20_000), undefined);
  assert.equal(server.requests.length, faults.length + 1);
  assert.equal(new Set(server.requests.map((q) => q.lines[0])).size, 1);
  assert.equal(server.requests[0].headers["content-encoding"], "gzip");
  assert.equal(server.requests.at(-1).headers["content-encoding"], undefined);
  assert.deepEqual(kinds(), ["foreign_answer", "key", "request_refused", "unavailable", "unreachable"]);
  assert.equal(adds(r).sent, 1);
});

test("Retry-After is waited for, and a flush does not cut it short", async (t) => {
  const server = await fakeServer(t, (_, n) => (n === 1 ? { ...problem(429, "rate_limited"), headers: { "Retry-After": "1" } } : undefined));
  const { r } = recorder(t, { baseURL: server.url });
  r.record({ metrics: {} });
  assert.ok((await r.flush(300)) instanceof UnsentError);
  assert.equal(await r.flush(), undefined);
  assert.ok(server.requests[1].at - server.requests[0].at >= 995);
});

test("a batch that is too large is split, and the next ones are smaller", async (t) => {
  const server = await fakeServer(t, (events) => (events.length > 3 ? { status: 413, body: "<html>" } : undefined));
  const { r, kinds } = recorder(t, { baseURL: server.url });
  for (let i = 0; i < 20; i++) r.record({ metrics: { i } });
  await r.flush();
  const tries = server.requests.length;
  for (let i = 0; i < 20; i++) r.record({ metrics: { i } });
  await r.close();
  assert.deepEqual(server.events().map((e) => e.metrics.i), [...Array(20).keys(), ...Array(20).keys()]);
  assert.ok(server.requests.slice(tries).every((q) => q.events.length <= 3) || server.requests.length - tries < tries);
  assert.deepEqual(kinds(), ["too_large"]);
});

test("a refused event is refused alone, and a wrong clock costs the time only", async (t) => {
  const server = await fakeServer(t);
  server.answer = (events) => ({
    status: 200,
    body: {
      results: events.map((event, index) => {
        const refused = (code, pointer) => ({ index, status: "refused", problem: problem(400, code, { errors: [{ pointer, detail: "no" }] }).body });
        if (event.metrics.bad) return refused("invalid", "/metrics");
        if (event.metrics.future && event.occurred_at) return refused("invalid", "/occurred_at");
        return server.sign(event, JSON.stringify(event), index);
      }),
    },
  });
  const { r, warnings } = recorder(t, { baseURL: server.url });
  r.record({ metrics: { a: 1 } });
  r.record({ metrics: { bad: 1 }, runId: "the-bad-one" });
  r.record({ metrics: { future: 1 } });
  await r.close();
  assert.deepEqual(server.events().map((e) => Object.keys(e.metrics)[0]), ["a", "future"]);
  assert.equal(adds(r).refused, 1);
  assert.equal(warnings.find((w) => w.kind === "event_refused").run_id, "the-bad-one");
  assert.equal(warnings.find((w) => w.kind === "value_refused").name, "occurred_at");
});

test("what the queue cannot hold is dropped, counted and told, and what was accepted is kept", async (t) => {
  const server = await fakeServer(t, () => "never");
  const { r, warnings } = recorder(t, { baseURL: server.url, queueEvents: 10, timeout: 200 });
  for (let i = 0; i < 30; i++) r.record({ metrics: { i } });
  assert.deepEqual({ ...adds(r) }, { recorded: 30, recovered: 0, sent: 0, refused: 0, dropped: 20, spooled: 0, refusedValues: 0, queued: 10 });
  server.answer = () => undefined;
  assert.equal(await r.close(10_000), undefined);
  assert.deepEqual(server.events().map((e) => e.metrics.i), [...Array(10).keys()]);
  const dropped = warnings.filter((w) => w.kind === "dropped");
  assert.equal(dropped.length, 2);
  assert.equal(dropped[1].since, 19);

  const small = recorder(t, { baseURL: server.url, queueBytes: 5000 });
  const kilobytes = (n) => small.r.record({ metrics: {}, payload: { input: "x".repeat(1000 * n) } });
  for (let i = 0; i < 4; i++) kilobytes(2);
  assert.equal(adds(small.r).dropped, 3);
  await small.r.flush();
  kilobytes(2);
  assert.equal(adds(small.r).dropped, 3, "what was sent makes room");
});

test("close says what was lost, and later runs are dropped and told once", async (t) => {
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const { r, warnings } = recorder(t, { baseURL: server.url });
  r.record({ metrics: {} });
  const begun = Date.now();
  const left = await r.close(100);
  assert.ok(Date.now() - begun < 2000);
  assert.ok(left instanceof UnsentError && left.lost === 1 && left.queued === 0 && left.spooled === 0);
  assert.ok(left.cause instanceof AnswerError && left.cause.status === 503);
  assert.match(left.message, /1 lost/);
  assert.equal(await r.close(), left);
  r.record({ metrics: {} });
  r.record({ metrics: {} });
  assert.equal(adds(r).dropped, 3);
  assert.equal(warnings.filter((w) => w.kind === "closed").length, 1);
});

test("a server that is away, and comes back, costs nothing", async (t) => {
  const server = await fakeServer(t, () => "reset");
  const { r, warnings } = recorder(t, { baseURL: server.url, retryMin: 5000, retryMax: 5000 });
  for (let i = 0; i < 50; i++) {
    const begun = performance.now();
    await r.run(async () => undefined);
    assert.ok(performance.now() - begun < 1000); // far below the waits between attempts, on a busy machine too
  }
  await until("it is told", () => warnings.length > 0);
  const left = await r.flush(50);
  assert.ok(left.queued === 50 && left.cause instanceof UnreachableError);
  server.answer = () => undefined;
  assert.equal(await r.close(), undefined);
  assert.equal(server.events().length, 50);
  assert.ok(warnings.filter((w) => w.kind === "unreachable").length <= 2, "one complaint, and its count at the end");
});

test("a connection that the server closed while it waited is no outage", async (t) => {
  const server = await fakeServer(t, (_, n) => (n === 2 ? "reset" : undefined));
  const { r, warnings } = recorder(t, { baseURL: server.url, retryMin: 60_000, retryMax: 60_000 });
  for (let i = 0; i < 2; i++) {
    r.record({ metrics: { i } });
    assert.equal(await r.flush(), undefined);
  }
  assert.deepEqual([server.requests.length, warnings], [3, []]);
});

test("batches wait for others, but not when they are full", async (t) => {
  const server = await fakeServer(t);
  const { r } = recorder(t, { baseURL: server.url, flushInterval: 60_000, batchEvents: 10 });
  for (let i = 0; i < 25; i++) r.record({ metrics: { i } });
  await until("two full batches", () => server.events().length === 20);
  assert.deepEqual(server.requests.map((q) => q.events.length), [10, 10]);
  await r.flush();
  assert.deepEqual(server.requests.map((q) => q.events.length), [10, 10, 5]);
  const quick = recorder(t, { baseURL: server.url });
  await new Promise((resolve) => setTimeout(resolve, 50)); // it waits, with nothing to send
  quick.r.record({ metrics: { i: 25 } });
  await until("one is sent by itself", () => server.events().length === 26);
});

test("a batch stays below its bytes, and what is larger goes alone", async (t) => {
  const server = await fakeServer(t);
  const { r } = recorder(t, { baseURL: server.url, batchBytes: 6000 });
  for (const n of [2, 2, 2, 9, 2]) r.record({ metrics: {}, payload: { input: "x".repeat(1000 * n) } });
  assert.equal(await r.flush(), undefined);
  assert.deepEqual(server.requests.map((q) => q.events.length), [2, 1, 1, 1]);
});

test("a logger that fails ends nothing", async (t) => {
  const server = await fakeServer(t);
  const { r } = recorder(t, { baseURL: server.url, release: "", logger: { warn: () => { throw new Error("full"); } } });
  process.once("warning", () => undefined);
  r.record({ metrics: { bad: NaN } });
  assert.equal(await r.close(), undefined);
  assert.equal(adds(r).sent, 1);
});

test("what nobody has thought of ends neither the agent nor the sending", async (t) => {
  const server = await fakeServer(t);
  const { r, kinds } = recorder(t, { baseURL: server.url });
  const broken = t.mock.method(Buffer, "concat", () => { throw new Error("no memory"); });
  r.record({ metrics: { i: 0 } });
  await until("it is told", () => kinds().length > 0);
  broken.mock.restore();
  assert.equal(await r.close(), undefined);
  assert.deepEqual([kinds(), server.events().length, adds(r).sent], [["unavailable"], 1, 1]);

  const agent = { addRequest: () => { throw new Error("a broken agent"); } };
  const other = recorder(t, { baseURL: server.url, agent });
  other.r.record({ metrics: {} });
  assert.equal((await other.r.close(100)).lost, 1);
  assert.deepEqual(other.kinds(), ["dropped", "unreachable"]);
});

test("nothing keeps a process alive", async (t) => {
  const server = await fakeServer(t, () => "never");
  const ended = await program(`
    import { Recorder } from ${JSON.stringify(sdk)};
    const recorder = new Recorder({ apiKey: "k", appId: "a", release: "v", baseURL: ${JSON.stringify(server.url)}, flushInterval: 1 });
    await recorder.run(() => 1);
    await new Promise((resolve) => setTimeout(resolve, 300));`);
  assert.equal(ended.code, 0);
  assert.ok(ended.took < 5000, `it took ${ended.took} ms`);
  assert.match(ended.stderr, /ends before everything was sent.*await close\(\)/);
  assert.equal(server.requests.length, 1);
});

test("a recorder that waits keeps no process alive either", async (t) => {
  const server = await fakeServer(t, (events) => (events[0].metrics.fail ? "reset" : undefined));
  for (const metrics of [{}, { fail: 1 }]) {
    const ended = await program(`
      import { Recorder } from ${JSON.stringify(sdk)};
      const recorder = new Recorder({ apiKey: "k", appId: "a", release: "v", baseURL: ${JSON.stringify(server.url)}, flushInterval: 1, retryMin: 60_000, logger: { warn() {} } });
      recorder.record({ metrics: ${JSON.stringify(metrics)} });
      await new Promise((resolve) => setTimeout(resolve, 300));`);
    assert.equal(ended.code, 0, "it had to be ended");
  }
  assert.equal(server.requests.length, 2);
});

test("a recorder takes any options without throwing", (t) => {
  t.mock.method(console, "warn", () => undefined);
  for (const options of [undefined, null, {}, { queueEvents: -1, batchEvents: NaN, timeout: "x" }]) {
    assert.ok(new Recorder(options && { ...options, logger: { warn: () => undefined } }).error);
  }
});
