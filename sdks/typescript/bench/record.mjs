// How long recording a run takes the agent: node bench/record.mjs [runs]
//
// The runs carry metrics, an input and an output of 2 kB, a probe and a unit, and are sent
// to a server in another process meanwhile, as fast as it answers: where 5,000
// wait, the next one waits too, outside of what is measured. The first tenth is warm-up. What sending costs the agent's thread beside the calls
// shows in the delay of its event loop, with and without a recorder.
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { cpus, loadavg } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { Recorder } from "../dist/index.mjs";

if (process.argv[2] === "serve") serve();
else await measure(Number(process.argv[2] ?? 50_000));

function serve() {
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString();
    const results = text.trimEnd().split("\n").map((_, index) => ({ index, status: "created", log_index: index, receipt: { body: "x".repeat(900) } }));
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ results }));
  });
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
  process.on("disconnect", () => process.exit());
}

async function measure(runs) {
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), "serve"], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const [line] = await once(server.stdout, "data");
  const recorder = new Recorder({ apiKey: "prv_a_b", appId: "bench", release: "v1", baseURL: String(line).trim(), queueBytes: 1 << 28 });
  const room = async () => {
    while (recorder.stats().queued > 5000) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const idle = await loop(runs, async () => undefined, room);
  const text = "lorem ipsum ".repeat(170);
  const agent = async (run) => {
    run.metric("cost_usd", 0.0123).metric("tokens", 2210).input(text).output({ answer: text }).probe("claim-0017").unit("user-1");
  };
  const busy = await loop(runs, () => recorder.run(agent), room);
  const left = await recorder.close(60_000);
  const { recorded, sent, dropped } = recorder.stats();
  server.disconnect();
  const loads = loadavg().map((n) => n.toFixed(1)).join(" ");
  console.log(`node ${process.version}, ${cpus()[0].model}, ${cpus().length} cores, load ${loads}`);
  console.log(`${runs} runs, ${sent} sent, ${dropped} dropped, ${recorded - sent} left`);
  console.log(`recording a run      ${busy.calls}`);
  console.log(`event loop, with     ${busy.delay}`);
  console.log(`event loop, without  ${idle.delay}`);
  if (left || busy.p99 > 200) process.exitCode = 1;
}

async function loop(runs, call, room) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const took = [];
  for (let i = 0; i < runs; i++) {
    if (i === runs / 10) delay.enable();
    const begun = process.hrtime.bigint();
    await call();
    if (i >= runs / 10) took.push(Number(process.hrtime.bigint() - begun) / 1000);
    await new Promise((resolve) => setImmediate(resolve));
    await room();
  }
  delay.disable();
  took.sort((a, b) => a - b);
  const at = (share) => took[Math.floor(share * (took.length - 1))];
  const us = (n) => `${n.toFixed(1)} µs`;
  const ms = (n) => `${(n / 1e6).toFixed(1)} ms`;
  return {
    p99: at(0.99),
    calls: `p50 ${us(at(0.5))}  p99 ${us(at(0.99))}  p99.9 ${us(at(0.999))}  max ${us(at(1))}`,
    delay: `p50 ${ms(delay.percentile(50))}  p99 ${ms(delay.percentile(99))}  max ${ms(delay.max)}`,
  };
}
