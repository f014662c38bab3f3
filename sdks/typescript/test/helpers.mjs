// What the tests share: a server that answers as it is told, and a recorder
// whose warnings are kept.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { Recorder } from "../dist/index.mjs";

for (const name of Object.keys(process.env)) {
  if (/^PROVA_(API_KEY|BASE_URL|APP_ID|RELEASE|ENVIRONMENT|SPOOL_DIR)$/.test(name)) delete process.env[name];
}

export const until = async (what, holds, ms = 10_000) => {
  const end = Date.now() + ms;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

// fakeServer signs what it gets unless answer says otherwise: it is called with
// the events of a request and its number, and returns undefined to sign, or
// {status, headers, body}, or "reset" or "never".
export async function fakeServer(t, answer = () => undefined) {
  const server = { requests: [], signed: new Map(), answer };
  const listener = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    let body = Buffer.concat(parts);
    if (request.headers["content-encoding"] === "gzip") body = gunzipSync(body);
    const lines = body.toString().split("\n").filter((line) => line !== "");
    const events = lines.map((line) => JSON.parse(line));
    server.requests.push({ headers: request.headers, url: request.url, method: request.method, events, lines, at: Date.now() });
    const told = await server.answer(events, server.requests.length, request);
    if (told === "reset") return request.socket.resetAndDestroy();
    if (told === "never") return undefined;
    if (told) {
      const kind = told.body?.type ? "application/problem+json" : "application/json";
      return response.writeHead(told.status, { "Content-Type": kind, ...told.headers }).end(typeof told.body === "string" ? told.body : JSON.stringify(told.body ?? {}));
    }
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ results: events.map((event, index) => server.sign(event, lines[index], index)) }));
  });
  server.sign = (event, line, index) => {
    const first = server.signed.get(event.idempotency_key);
    if (first !== undefined) assert.equal(line, first, "another body under one idempotency key");
    server.signed.set(event.idempotency_key, line);
    return { index, status: first === undefined ? "created" : "duplicate" };
  };
  server.events = () => [...server.signed.values()].map((line) => JSON.parse(line));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  server.url = `http://127.0.0.1:${listener.address().port}`;
  server.stop = () => {
    listener.close();
    listener.closeAllConnections();
  };
  t.after(server.stop);
  return server;
}

export const problem = (status, code, more = {}) => ({ status, body: { type: `urn:prova:problem:${code}`, title: code, status, detail: `no: ${code}`, ...more } });

// recorder makes one that hurries, and keeps what it complains about in warnings.
export function recorder(t, options) {
  const warnings = [];
  const r = new Recorder({
    apiKey: "prv_a_b", appId: "agent", release: "v1", flushInterval: 5, retryMin: 5, retryMax: 20,
    logger: { warn: (message, details) => warnings.push({ message, ...details }) }, ...options,
  });
  t.after(() => r.close(0));
  return { r, warnings, kinds: () => [...new Set(warnings.map((w) => w.kind))].sort() };
}

// adds checks that each event is counted in one place.
export function adds(r) {
  const s = r.stats();
  assert.equal(s.recorded + s.recovered, s.sent + s.refused + s.dropped + s.queued + s.spooled, JSON.stringify(s));
  return s;
}

export function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), "prova-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// program runs a module in a process of its own and resolves to what it wrote and how it ended.
export async function program(source, env = {}, { ms = 20_000, signal } = {}) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (d) => {
    stdout += d;
    if (signal && stdout.includes("ready")) child.kill(signal);
  });
  child.stderr.on("data", (d) => (stderr += d));
  const late = setTimeout(() => child.kill("SIGKILL"), ms);
  const begun = Date.now();
  const [code, by] = await once(child, "close");
  clearTimeout(late);
  return { code, signal: by, stdout, stderr, took: Date.now() - begun };
}

export const sdk = new URL("../dist/index.mjs", import.meta.url).href;
