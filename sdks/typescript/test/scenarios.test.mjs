// The scenarios of all SDKs, against a server that misbehaves: in front of the
// real one of PROVA_TEST_SERVER, or without that signing itself. go test ./e2e
// runs both.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Recorder, UnsentError } from "../dist/index.mjs";
import { folder } from "./helpers.mjs";

const scenarios = fileURLToPath(new URL("../../scenarios", import.meta.url));
const names = readdirSync(scenarios).filter((name) => name.endsWith(".json"));
const { PROVA_TEST_SERVER: upstream, PROVA_TEST_KEY: key = "prv_id_secret" } = process.env;

test(`${names.length} scenarios`, async (t) => {
  assert.ok(names.length >= 15);
  const program = process.env.PROVA_TEST_FAULTSERVER ?? build(t);
  const server = spawn(program, upstream ? ["--upstream", upstream] : [], { stdio: ["pipe", "pipe", "inherit"] });
  after(() => server.kill());
  const [line] = await once(server.stdout, "data");
  for (const name of names) {
    const scenario = JSON.parse(readFileSync(join(scenarios, name), "utf8"));
    await t.test(name, (t) => play(t, scenario, String(line).trim(), key));
  }
});

function build(t) {
  const program = join(folder(t), "faultserver");
  execFileSync("go", ["build", "-o", program, "./cmd/faultserver"], { cwd: scenarios });
  return program;
}

async function ask(url, body) {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  assert.ok(answer.ok, `${url}: ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
}

async function play(t, scenario, server, key) {
  await ask(`${server}/_reset`, scenario.faults ?? []);
  for (const name of Object.keys(process.env)) if (/^PROVA_(?!TEST_)/.test(name)) delete process.env[name];
  for (const [name, value] of Object.entries({ PROVA_BASE_URL: server, PROVA_API_KEY: key, ...scenario.environment })) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
  const warnings = [];
  const o = scenario.options;
  const options = {
    appId: o.app_id, queueEvents: o.queue_events, batchEvents: o.batch_events, flushInterval: o.flush_interval_ms, timeout: o.timeout_ms,
    retryMin: o.retry_min_ms, retryMax: o.retry_max_ms, spoolDir: o.spool ? folder(t) : undefined,
    logger: { warn: (message, { kind, name }) => warnings.push({ kind, name }) },
  };
  const player = { server, options, recorder: new Recorder(options) };
  for (const c of scenario.calls) {
    for (let i = 0; i < (c.repeat ?? 1); i++) {
      const begun = performance.now();
      await call(player, c);
      assert.ok(c.timeout_ms || performance.now() - begun < 1000, `${c.do} took ${performance.now() - begun} ms`);
    }
  }
  const { refusedValues, ...counts } = player.recorder.stats();
  const { failures } = await ask(`${server}/_judge`, { expect: scenario.expect, counts: { ...counts, refused_values: refusedValues }, warnings });
  await player.recorder.close(0);
  assert.deepEqual(failures, [], JSON.stringify({ counts, warnings }));
}

async function call(player, c) {
  const { recorder } = player;
  const given = { runId: c.run_id, release: c.release, probeId: c.probe_id, unitId: c.unit_id, metrics: values(c.metrics), payload: values(c.payload), attributes: values(c.attributes) };
  switch (c.do) {
    case "run":
      return run(recorder, c, given);
    case "record":
      return recorder.record(given);
    case "outcome":
      return recorder.outcome(c.run_id, given.metrics);
    case "flush":
    case "close": {
      const left = await recorder[c.do](c.timeout_ms);
      assert.ok(left === undefined || left instanceof UnsentError);
      return assert.equal(left ? left.queued + left.spooled + left.lost : 0, c.left ?? 0, `left by ${c.do}`);
    }
    case "restart":
      return (player.recorder = new Recorder(player.options));
    case "faults":
      return ask(`${player.server}/_faults`, c.faults);
    default:
      throw new Error(`there is no call ${c.do}`);
  }
}

// A run whose function throws, by itself or in a promise, which is all that a program in this language can do.
async function run(recorder, c, given) {
  const fn = (run) => {
    if (c.run_id) run.setId(c.run_id);
    if (c.release) run.release(c.release);
    if (c.probe_id) run.probe(c.probe_id);
    if (c.unit_id) run.unit(c.unit_id);
    for (const [name, value] of Object.entries(given.metrics)) run.metric(name, value);
    for (const [name, value] of Object.entries(given.payload)) run.payload(name, value);
    for (const [name, value] of Object.entries(given.attributes)) run.attribute(name, value);
    if (c.end === "panic") throw new Error("the agent broke");
    return c.end === "error" ? Promise.reject(new Error("the agent failed")) : "done";
  };
  const ended = await recorder.run(fn).catch((err) => err.message);
  assert.equal(ended, { error: "the agent failed", panic: "the agent broke" }[c.end] ?? "done");
}

function values(given = {}) {
  const special = { nan: NaN, infinity: Infinity, "2^53": 2 ** 53, unserialisable: 1n };
  return Object.fromEntries(Object.entries(given).map(([name, value]) => {
    if (value === null || typeof value !== "object" || !("$" in value)) return [name, value];
    assert.ok(value.$ in special, `there is no value ${value.$}`);
    return [name, special[value.$]];
  }));
}
