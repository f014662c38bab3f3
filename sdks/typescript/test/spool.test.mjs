import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { adds, fakeServer, folder, problem, program, recorder, sdk, until } from "./helpers.mjs";

const files = (dir) => readdirSync(dir, { recursive: true }).map(String).filter((name) => name.endsWith(".ndjson"));
const numbers = (server) => server.events().map((e) => e.metrics.i);

test("what is left at close is sent by the next recorder, in order", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const options = { baseURL: server.url, spoolDir: join(dir, "a", "spool") };
  const first = recorder(t, options);
  for (let i = 0; i < 5; i++) first.r.record({ metrics: { i }, payload: { input: "é\n" } });
  const left = await first.r.close(50);
  assert.deepEqual([left.queued, left.spooled, left.lost], [0, 5, 0]);
  assert.equal(adds(first.r).spooled, 5);
  const [file] = files(options.spoolDir);
  assert.equal(statSync(join(options.spoolDir, file)).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(join(options.spoolDir, file), "utf8").split("\n")[0]).event.metrics.i, 0);

  server.answer = () => undefined;
  const other = recorder(t, { ...options, environment: "staging" });
  const second = recorder(t, options);
  second.r.record({ metrics: { i: 5 } });
  assert.equal(await second.r.close(), undefined);
  assert.deepEqual(numbers(server), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([adds(second.r).recovered, adds(second.r).sent], [5, 6]);
  await other.r.close();
  assert.equal(adds(other.r).recovered, 0);
  assert.deepEqual(readdirSync(options.spoolDir), []);
});

test("what memory cannot hold goes to the disk, and nothing is lost or out of order", async (t) => {
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const { r, warnings } = recorder(t, { baseURL: server.url, spoolDir: folder(t), queueEvents: 40, batchEvents: 10 });
  for (let i = 0; i < 200; i++) {
    r.record({ metrics: { i } });
    if (i % 5 === 0) await until("room", () => r.stats().queued < 30);
  }
  assert.ok(r.stats().spooled > 100);
  server.answer = () => undefined;
  assert.equal(await r.close(20_000), undefined);
  assert.deepEqual(numbers(server), [...Array(200).keys()]);
  assert.deepEqual([adds(r).sent, adds(r).dropped], [200, 0]);
  assert.deepEqual(warnings.filter((w) => w.kind !== "unavailable"), []);
});

test("what was being sent at the end is older than what lies on the disk, and goes first again", async (t) => {
  const server = await fakeServer(t, () => "never");
  const options = { baseURL: server.url, spoolDir: folder(t), queueEvents: 20, batchEvents: 5 };
  const first = recorder(t, options);
  for (let i = 0; i < 5; i++) first.r.record({ metrics: { i } });
  await until("five are under way", () => server.requests.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 5)); // the names of files tell milliseconds apart
  for (let i = 5; i < 18; i++) first.r.record({ metrics: { i }, payload: { input: "x".repeat(i < 12 ? 1 : 400) } });
  await until("some are on the disk", () => first.r.stats().spooled > 0);
  assert.equal((await first.r.close(20)).spooled, 18);
  server.answer = () => undefined;
  const second = recorder(t, { ...options, batchEvents: 2, batchBytes: 1000 });
  assert.equal(await second.r.close(), undefined);
  assert.deepEqual(numbers(server), [...Array(18).keys()]);
  const requests = server.requests.slice(1).map((q) => [q.events.length, q.lines.join("").length]);
  assert.ok(requests.every(([events, bytes]) => events <= 2 && bytes <= 1000) && requests.some(([events]) => events === 2), JSON.stringify(requests));
});

test("a file that cannot be read now is kept, and one that is gone is counted", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => "never");
  const { r, warnings } = recorder(t, { baseURL: server.url, spoolDir: dir, queueEvents: 10, batchEvents: 2, timeout: 200 });
  for (let i = 0; i < 2; i++) r.record({ metrics: { i } });
  await until("two are under way", () => server.requests.length === 1);
  for (let i = 2; i < 8; i++) r.record({ metrics: { i } });
  await until("some are on the disk", () => r.stats().spooled > 0 && r.stats().queued <= 5);
  const spooled = r.stats().spooled;
  const path = join(dir, files(dir)[0]);
  renameSync(path, `${path}.away`);
  mkdirSync(path); // reading a folder fails, whoever asks
  server.answer = () => undefined;
  await until("it is told", () => warnings.some((w) => /cannot be read, and is kept/.test(w.message)));
  assert.equal(adds(r).spooled, spooled);
  rmdirSync(path);
  assert.equal(await r.flush(), undefined);
  assert.deepEqual([adds(r).sent, adds(r).dropped], [8 - spooled, spooled]);
});

test("a full spool is told, and then memory fills up", async (t) => {
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const { r, kinds } = recorder(t, { baseURL: server.url, spoolDir: folder(t), spoolBytes: 4000, queueEvents: 10 });
  let i = 0;
  await until("the spool is full", () => {
    r.record({ metrics: { i: i++ } });
    return kinds().includes("spool");
  });
  while (r.stats().queued < 10) r.record({ metrics: { i: i++ } });
  r.record({ metrics: { i: i++ } });
  const left = await r.close(20);
  assert.ok(left.spooled > 5 && left.spooled < 20 && left.lost > 5, left.message);
  assert.equal(adds(r).recorded, i);
  assert.deepEqual(kinds(), ["dropped", "spool", "unavailable"]);
});

test("what was sent makes room in the spool again", async (t) => {
  const server = await fakeServer(t);
  const { r, kinds } = recorder(t, { baseURL: server.url, spoolDir: folder(t), spoolBytes: 2000, queueEvents: 10 });
  for (let round = 0; round < 4; round++) {
    server.answer = () => problem(503, "unavailable");
    for (let i = 0; i < 8; i++) r.record({ metrics: { i } });
    await until("some are on the disk", () => r.stats().spooled > 0 && r.stats().queued <= 5);
    server.answer = () => undefined;
    assert.equal(await r.flush(), undefined);
  }
  assert.equal(adds(r).sent, 32);
  assert.ok(!kinds().includes("spool"));
});

test("a process lives until close is done, whatever it has to wait for", async (t) => {
  const server = await fakeServer(t, () => "never");
  const ended = await program(`
    import { Recorder } from ${JSON.stringify(sdk)};
    const recorder = new Recorder({ apiKey: "k", appId: "agent", release: "v", baseURL: ${JSON.stringify(server.url)}, spoolDir: ${JSON.stringify(folder(t))}, spoolBytes: 1000, queueEvents: 10, logger: { warn() {} } });
    for (let i = 0; i < 10; i++) recorder.record({ metrics: { i } });
    while (recorder.stats().spooled === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    recorder.record({ metrics: {} });
    const { lost, spooled } = await recorder.close(50);
    console.log("closed", lost > 0 && spooled > 0);`);
  assert.deepEqual([ended.code, ended.stdout], [0, "closed true\n"], ended.stderr);
});

test("of a damaged file what can be read is sent, and the rest is told", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const first = recorder(t, { baseURL: server.url, spoolDir: dir });
  for (let i = 0; i < 4; i++) first.r.record({ metrics: { i } });
  await first.r.close(20);
  const path = join(dir, files(dir)[0]);
  const lines = readFileSync(path, "utf8").split("\n");
  lines[1] = lines[1].replace('"i":1', '"i":7'); // another event than was written
  writeFileSync(path, lines.slice(0, 3).join("\n") + "\n" + lines[3].slice(0, 50)); // and a torn tail
  server.answer = () => undefined;
  const second = recorder(t, { baseURL: server.url, spoolDir: dir });
  assert.equal(await second.r.close(), undefined);
  assert.deepEqual(numbers(server), [0, 2]);
  assert.deepEqual([adds(second.r).recovered, adds(second.r).dropped], [4, 2]);
  assert.equal(second.warnings.find((w) => w.kind === "spool").lost_lines, 2);
});

test("a spool that cannot be used leaves the memory", async (t) => {
  const server = await fakeServer(t);
  const file = join(folder(t), "file");
  writeFileSync(file, "");
  const { r, kinds } = recorder(t, { baseURL: server.url, spoolDir: file });
  r.record({ metrics: { i: 0 } });
  assert.equal(await r.close(), undefined);
  assert.deepEqual([numbers(server), kinds()], [[0], ["spool"]]);
});

test("a process that ends without close leaves its runs to the next", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => "never");
  const ended = await program(`
    import { Recorder } from ${JSON.stringify(sdk)};
    const recorder = new Recorder({ apiKey: "k", appId: "agent", release: "v", baseURL: ${JSON.stringify(server.url)}, flushInterval: 1, spoolDir: ${JSON.stringify(dir)} });
    recorder.record({ metrics: { i: 0 } });
    await new Promise((resolve) => setTimeout(resolve, 200));
    recorder.record({ metrics: { i: 1 } });
    process.exit(7);`);
  assert.deepEqual([ended.code, ended.stderr], [7, ""]);
  server.answer = () => undefined;
  const { r } = recorder(t, { baseURL: server.url, spoolDir: dir });
  assert.equal(await r.close(), undefined);
  assert.deepEqual(numbers(server), [0, 1]);
});

test("a process that ends while memory moves to the disk loses nothing either", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => "never");
  for (const wait of ["", "await null; ".repeat(5), "await new Promise(setImmediate);", "await new Promise((resolve) => setTimeout(resolve, 3));"]) {
    const ended = await program(`
      import { Recorder } from ${JSON.stringify(sdk)};
      const recorder = new Recorder({ apiKey: "k", appId: "agent", release: "v", baseURL: ${JSON.stringify(server.url)}, queueEvents: 10, spoolDir: ${JSON.stringify(dir)} });
      await recorder.flush(100);
      for (let i = 0; i < 10; i++) recorder.record({ metrics: { i } });
      ${wait}
      process.exit(0);`);
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
  }
  server.answer = () => undefined;
  const { r } = recorder(t, { baseURL: server.url, spoolDir: dir });
  assert.equal(await r.close(), undefined);
  assert.equal(server.events().length, 40);
});

test("recorders share a spool: nobody takes what another still writes, or twice", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const options = { baseURL: server.url, spoolDir: dir, queueEvents: 10, batchEvents: 2 };
  const alive = recorder(t, options);
  for (let i = 0; i < 9; i++) alive.r.record({ metrics: { i } });
  await until("something on disk", () => alive.r.stats().spooled > 0);
  // Another process that lives, and one that is killed.
  const source = (i, end) => `
    import { Recorder } from ${JSON.stringify(sdk)};
    const recorder = new Recorder({ apiKey: "k", appId: "agent", release: "v", baseURL: ${JSON.stringify(server.url)}, spoolDir: ${JSON.stringify(dir)}, queueEvents: 4, logger: { warn() {} } });
    for (let i = ${i}; i < ${i + 3}; i++) recorder.record({ metrics: { i } });
    while (recorder.stats().spooled === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log("ready", recorder.stats().recovered);
    ${end}`;
  const killed = await program(source(100, "setInterval(() => 0, 1000);"), {}, { signal: "SIGKILL" });
  assert.equal(killed.signal, "SIGKILL");
  assert.equal(killed.stdout, "ready 0\n");
  const [own] = readdirSync(dir).filter((name) => JSON.parse(readFileSync(join(dir, name, "lock"), "utf8")).pid === process.pid);
  utimesSync(join(dir, own, "lock"), new Date(0), new Date(0)); // this process stood still
  const next = recorder(t, options);
  await until("the killed one's are taken over", () => next.r.stats().recovered > 0);
  const also = recorder(t, options);
  server.answer = () => undefined;
  for (const { r } of [also, next, alive]) assert.equal(await r.close(), undefined);
  assert.equal(adds(also.r).recovered, 0);
  assert.equal(adds(alive.r).sent, 9);
  assert.equal(new Set(numbers(server).filter((i) => i < 100)).size, 9);
  assert.ok(numbers(server).includes(100));
  assert.deepEqual(readdirSync(dir), []);
});

test("a recorder whose directory was taken, because its process stood still, goes on in another", async (t) => {
  const dir = folder(t), elsewhere = folder(t);
  const server = await fakeServer(t, () => "never");
  const { r } = recorder(t, { baseURL: server.url, spoolDir: dir, queueEvents: 10, batchEvents: 2, timeout: 300 });
  for (let i = 0; i < 2; i++) r.record({ metrics: { i } });
  await until("two are under way", () => server.requests.length === 1);
  for (let i = 2; i < 8; i++) r.record({ metrics: { i } });
  await until("some are on the disk", () => r.stats().spooled > 0 && r.stats().queued <= 5);
  const taken = r.stats().spooled;
  renameSync(join(dir, readdirSync(dir)[0]), join(elsewhere, "taken"));
  for (let i = 8; i < 12; i++) r.record({ metrics: { i } });
  await until("more are on the disk", () => r.stats().spooled > taken);
  server.answer = () => undefined;
  assert.equal(await r.close(20_000), undefined);
  assert.deepEqual([adds(r).sent, adds(r).dropped], [12 - taken, taken]); // it cannot know that they are not lost
  assert.deepEqual(readdirSync(dir), []);
});

test("the lock of another machine counts as long as it is fresh", async (t) => {
  const dir = folder(t);
  const server = await fakeServer(t, () => problem(503, "unavailable"));
  const first = recorder(t, { baseURL: server.url, spoolDir: dir });
  first.r.record({ metrics: { i: 0 } });
  await first.r.close(20);
  const lock = join(dir, readdirSync(dir)[0], "lock");
  writeFileSync(lock, JSON.stringify({ place: "elsewhere", pid: 1, began: 0, token: "x" }));
  server.answer = () => undefined;
  const second = recorder(t, { baseURL: server.url, spoolDir: dir });
  await second.r.close();
  assert.equal(adds(second.r).recovered, 0);
  utimesSync(lock, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000));
  const third = recorder(t, { baseURL: server.url, spoolDir: dir });
  await third.r.close();
  assert.deepEqual([adds(third.r).recovered, numbers(server)], [1, [0]]);
});
