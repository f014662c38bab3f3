import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";

import type { Complaints } from "./complaints.js";
import { AnswerError, FieldError, Problem, UnreachableError, codeForeign, foreignProblem, problemText, reason } from "./errors.js";
import type { Counts, Item, Queue } from "./queue.js";
import type { Settings } from "./settings.js";
import { Segment, Spool, openSpool } from "./spool.js";
import type { Transport } from "./transport.js";

/** Bounds what a server may ask to wait, in milliseconds. */
const maxRetryAfter = 60 * 60 * 1000;
/** The least body, in bytes, that is worth compressing. */
const minGzip = 1024;
/** How long a spool that failed is left alone, in milliseconds. */
const spoolPause = 1000;
/** How long the sender computes before it lets the agent go on, in milliseconds. */
const slice = 2;
/** How often it looks for what recorders left that are gone, in milliseconds. */
const lookAgain = 60_000;

const compress = promisify(gzip);

/** What is sent together. */
interface Batch {
  items: Item[];
  /** Where the items were read from; undefined if they come from memory. */
  segment: Segment | undefined;
}

/** What follows from an answer. */
interface Next {
  /** To send again, in order. */
  again: Item[];
  /** To send in two halves, at once. */
  split?: boolean;
  /** Why; undefined sends again without a wait. */
  err?: Error | undefined;
  /** What the server asks to wait, in milliseconds. */
  after?: number;
  /** Only a person can help. */
  slow?: boolean;
}

type Outcome = "sent" | "refused";
type Call = "more" | "kick";

interface IngestResult {
  index: number;
  status: "created" | "duplicate" | "refused";
  problem?: Problem;
}

/** Sends one batch after another, the oldest first, until it is ended. */
export class Sender {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #queue: Queue;
  readonly #talk: Complaints;
  readonly #write: (item: Item) => string;
  readonly #refuseValue: (name: string, why: string) => void;

  readonly #giveUp = new AbortController();
  readonly #background: Promise<void>;
  readonly #ready: Promise<void>;
  #spool: Spool | undefined;
  #relieving: Promise<void> | undefined;
  /** Held while what is oldest moves, so that it stays first. */
  #taking: Promise<unknown> = Promise.resolve();
  /** What comes from memory and is being sent. */
  #inHand: Item[] = [];
  /** What is on its way from memory to the disk. */
  #moving: Item[] = [];
  /** What was being sent when the sender gave up; it is older than what lies in the spool. */
  #left: Item[] = [];

  /** A wait, and what ends it. */
  #waiter: { calls: readonly Call[]; wake: () => void } | undefined;
  readonly #calls = new Set<Call>();

  // What the server has shown that it takes.
  #noGzip = false;
  #batchBytes: number;
  readonly #atExit = () => this.#exit();

  constructor(
    settings: Settings, transport: Transport, queue: Queue, talk: Complaints,
    write: (item: Item) => string, refuseValue: (name: string, why: string) => void,
  ) {
    this.#settings = settings;
    this.#transport = transport;
    this.#queue = queue;
    this.#talk = talk;
    this.#write = write;
    this.#refuseValue = refuseValue;
    this.#batchBytes = settings.batchBytes;
    if (settings.spoolDir) this.#spool = this.#open();
    this.#ready = this.#recover();
    this.#background = this.#ready.then(() => this.#run());
    atExit.add(this.#atExit);
  }

  #open(): Spool | undefined {
    try {
      return openSpool(this.#settings, this.#transport.baseURL);
    } catch (err) {
      this.#talk.say("spool", "", `the spool cannot be used, so only memory holds what is not sent: ${reason(err)}`);
      return undefined;
    }
  }

  /** An event was pushed, or would have been. */
  pushed(): void {
    if (this.#queue.news) this.#call("more");
    if (this.#spool && this.#queue.crowded && !this.#relieving) {
      this.#relieving = this.#relieve()
        .catch((err) => this.#talk.say("spool", "", `the spool cannot be used: ${reason(err)}`))
        .finally(() => (this.#relieving = undefined));
    }
  }

  /** Sends what is there; false if the time, in milliseconds, was over first. */
  async flush(timeout: number): Promise<boolean> {
    this.#queue.flushing++;
    const end = performance.now() + timeout;
    try {
      if (!(await before(this.#ready, timeout))) return false;
      this.#call("kick");
      return await this.#queue.settle(Math.max(0, end - performance.now()));
    } finally {
      this.#queue.flushing--;
    }
  }

  /** Gives up what is being sent, keeps the rest on disk, and returns how much found no room there. */
  async end(): Promise<number> {
    const alive = setInterval(() => undefined, 1000); // to the end of this, which does not take long
    try {
      this.#giveUp.abort(new Error("closed"));
      this.#waiter?.wake();
      await this.#background;
      await this.#relieving;
      this.#transport.close();
      return await this.#keepRest();
    } finally {
      clearInterval(alive);
      atExit.delete(this.#atExit);
    }
  }

  // Moves what is left in memory to the spool, and returns how much found no room there.
  async #keepRest(): Promise<number> {
    let lost = 0;
    for (const items of [this.#left, this.#queue.takeAll()]) {
      await this.#spool?.endSegment();
      const rest = await this.#intoSpool(items);
      this.#queue.change({ dropped: rest.length }, rest);
      lost += rest.length;
    }
    if (lost > 0) this.#talk.say("dropped", "", "closed before everything was sent, and nothing can hold the rest", { lost });
    await this.#spool?.close().catch((err) => this.#talk.say("spool", "", `the spool could not be closed: ${reason(err)}`));
    return lost;
  }

  // The process ends without close: what is left goes to the disk, or is told.
  #exit(): void {
    let lost = 0;
    for (const items of [this.#inHand, this.#moving, this.#queue.takeAll()]) {
      const rest = items.filter((item) => this.#written({ items: [], segment: undefined }, item));
      lost += rest.length;
      try {
        if (this.#spool && rest.length > 0) lost -= this.#spool.leave(wallTime(rest[0]!), linesOf(rest));
      } catch (err) {
        this.#talk.say("spool", "", `the spool takes no more: ${reason(err)}`);
      }
    }
    this.#spool?.unlock();
    if (lost > 0) this.#talk.say("dropped", "", "the process ends before everything was sent, and nothing can hold the rest: await close() first", { lost });
    this.#talk.finish();
  }

  get #ended(): boolean {
    return this.#giveUp.signal.aborted;
  }

  #call(call: Call): void {
    if (this.#waiter?.calls.includes(call)) this.#waiter.wake();
    else this.#calls.add(call);
  }

  // Waits, in milliseconds, until it is called or ended. It keeps no process alive.
  #wait(ms: number, ...calls: Call[]): Promise<void> {
    if (this.#ended || calls.some((call) => this.#calls.delete(call))) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(due);
        this.#waiter = undefined;
        resolve();
      };
      const due = setTimeout(wake, ms).unref();
      this.#waiter = { calls, wake };
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#taking.then(work);
    this.#taking = turn.catch(() => undefined);
    return turn;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      try {
        await this.#step();
      } catch (err) {
        // What nobody has thought of is not to end the agent, nor what it records.
        this.#talk.say("unavailable", "", `sending failed here, and is tried again: ${reason(err)}`);
        this.#queue.giveBack(this.#inHand);
        this.#inHand = [];
        await this.#wait(this.#settings.retryMax, "kick");
      }
    }
  }

  async #step(): Promise<void> {
    const next = await this.#exclusively(() => this.#oldest());
    if (typeof next === "number") return this.#wait(next, "more", "kick");
    const left = await this.#deliver(next);
    this.#inHand = [];
    if (!next.segment) this.#left = left;
    else if (left.length === 0) await this.#remove(next.segment);
  }

  // The batch to send now, or how long to wait for one.
  async #oldest(): Promise<Batch | number> {
    const spooled = await this.#fromSpool();
    if (spooled) return spooled;
    const wait = this.#queue.due();
    if (wait > 0) return wait;
    this.#inHand = this.#queue.take(this.#settings.batchEvents, this.#batchBytes);
    return { items: this.#inHand, segment: undefined };
  }

  // Counts what became of items of the batch.
  #settle(b: Batch, items: Item[], outcome: Outcome): void {
    const counts: Partial<Counts> = { [outcome]: items.length };
    if (b.segment) counts.spooled = -items.length;
    this.#queue.change(counts, b.segment ? [] : items);
    if (!b.segment) {
      const done = new Set(items);
      this.#inHand = this.#inHand.filter((item) => !done.has(item));
    }
  }

  // Sends a batch until every event of it is settled, and returns what is left
  // when the recorder gives up. A part that is too large is split; nothing is
  // ever sent under another idempotency key.
  async #deliver(b: Batch): Promise<Item[]> {
    let parts = this.#parts(await this.#writeAll(b));
    for (let failures = 0; parts.length > 0; ) {
      const [part, ...others] = parts as [Item[], ...Item[][]];
      const answer = await this.#post(part);
      if (answer instanceof Error && this.#ended) return parts.flat();
      const next = answer instanceof Error ? this.#judge(b, part, answer) : this.#judgeEach(b, part, answer.value);
      this.#queue.failure = next.err;
      if (next.split) {
        const half = part.length >> 1;
        parts = [part.slice(0, half), part.slice(half), ...others];
      } else if (next.again.length > 0) {
        parts = [next.again, ...others];
        if (next.err) await this.#pause(failures++, next);
      } else {
        parts = others;
        failures = 0;
      }
    }
    return [];
  }

  // Keeps what is sent together within the limits: what comes from the spool was put together by others.
  #parts(items: Item[]): Item[][] {
    const parts: Item[][] = [];
    let bytes = 0;
    for (const item of items) {
      const part = parts[parts.length - 1];
      bytes += item.size;
      if (part && part.length < this.#settings.batchEvents && bytes <= this.#batchBytes) {
        part.push(item);
      } else {
        parts.push([item]);
        bytes = item.size;
      }
    }
    return parts;
  }

  async #writeAll(b: Batch): Promise<Item[]> {
    const written: Item[] = [];
    let until = performance.now() + slice;
    for (const item of b.items) {
      if (this.#written(b, item)) written.push(item);
      if (performance.now() < until) continue;
      await new Promise((resolve) => setImmediate(resolve));
      until = performance.now() + slice;
    }
    return written;
  }

  // Writes an event's line, or refuses the event.
  #written(b: Batch, item: Item): boolean {
    const fault = this.#write(item);
    if (fault) this.#refuseEvent(b, item, fault);
    return fault === "";
  }

  // It says it first: who waits for a flush is to find it in the log.
  #refuseEvent(b: Batch, item: Item, why: string): void {
    const { run_id, kind } = item.line ? fields(item.line) : { run_id: item.event?.runId, kind: item.event?.kind };
    this.#talk.say("event_refused", "", `a run or an outcome was refused: ${why}`, { run_id, event: kind });
    this.#settle(b, [item], "refused");
  }

  // Sends items in one request.
  async #post(items: Item[]): Promise<{ value: unknown } | Error> {
    const headers: Record<string, string> = { "Content-Type": "application/x-ndjson" };
    let body: Buffer = Buffer.concat(items.flatMap((item) => [item.line!, newline]));
    try {
      if (!this.#noGzip && body.length >= minGzip) {
        body = await compress(body, { level: constants.Z_BEST_SPEED });
        headers["Content-Encoding"] = "gzip";
      }
      return await this.#transport.json({ method: "POST", path: "/api/v1/audit/ingest", headers, body, signal: this.#giveUp.signal });
    } catch (err) {
      return err instanceof Error ? err : new UnreachableError(this.#transport.baseURL, err);
    }
  }

  // Settles what a failure settles, and says what to do with the rest.
  #judge(b: Batch, part: Item[], err: Error): Next {
    const next: Next = { again: part, err };
    if (!(err instanceof AnswerError)) {
      this.#talk.say("unreachable", "", `the server cannot be reached; what is recorded is kept and sent later: ${err.message}`);
      return next;
    }
    next.after = Math.min(err.retryAfter, maxRetryAfter);
    const { status } = err;
    if (status === 413) return this.#tooLarge(b, part, err);
    if (status === 415 && !this.#noGzip) {
      this.#noGzip = true;
      return { again: part };
    }
    if (status === 401 || status === 403) {
      this.#talk.say("key", "", `the server does not accept the API key; what is recorded is kept and tried again: ${err.message}`);
      return { ...next, slow: true };
    }
    if (status === 429 || status === 408 || status >= 500) {
      this.#talk.say("unavailable", "", `the server answers with status ${status}; what is recorded is kept and sent later: ${err.message}`);
      return next;
    }
    if (err.code === codeForeign) {
      this.#talk.say("foreign_answer", "", err.message);
      return next;
    }
    if (status === 400) {
      if (part.length > 1) return { again: part, split: true };
      this.#refuseEvent(b, part[0]!, err.message);
      return { again: [] };
    }
    this.#talk.say("request_refused", "", `the server refuses the request with status ${status}; what is recorded is kept and tried again: ${err.message}`);
    return { ...next, slow: true };
  }

  // Splits a part, and sends less at a time from now on. An event that is too large alone is refused.
  #tooLarge(b: Batch, part: Item[], err: Error): Next {
    if (part.length === 1) {
      this.#refuseEvent(b, part[0]!, `the server, or what stands before it, finds it too large: ${err.message}`);
      return { again: [] };
    }
    const bytes = part.reduce((n, item) => n + item.line!.length, 0);
    this.#batchBytes = Math.max(1, Math.min(this.#batchBytes, bytes / 2));
    this.#talk.say("too_large", "", "a request was too large and is sent in two", { events: part.length, bytes });
    return { again: part, split: true };
  }

  // Settles the events of an answer one by one.
  #judgeEach(b: Batch, part: Item[], answer: unknown): Next {
    const results = readResults(answer, part.length);
    if (!results) {
      const detail = `${this.#transport.baseURL} answered with something that is no answer to ${part.length} events`;
      this.#talk.say("foreign_answer", "", detail);
      return { again: part, err: new AnswerError(foreignProblem(200, detail), 0) };
    }
    const next: Next = { again: [] };
    const sent: Item[] = [];
    for (const [i, result] of results.entries()) {
      const item = part[i]!;
      const problem = result.status === "refused" ? result.problem! : undefined;
      if (!problem) {
        sent.push(item);
      } else if (problem.status >= 500 || problem.status === 429) {
        next.again.push(item);
        next.err = new AnswerError(problem, 0);
        this.#talk.say("unavailable", "", `the server could not take some events and gets them again: ${problemText(problem)}`);
      } else if (this.#withoutTime(item, problem)) {
        next.again.push(item);
      } else {
        this.#refuseEvent(b, item, problemText(problem));
      }
    }
    this.#settle(b, sent, "sent");
    return next;
  }

  // Leaves occurred_at out of an event that was refused for it: a clock that goes wrong is to cost the time, not the run.
  #withoutTime(item: Item, problem: Problem): boolean {
    if (!problem.errors?.some((e: FieldError) => e.pointer === "/occurred_at")) return false;
    const { occurred_at, ...event } = fields(item.line!);
    if (!occurred_at) return false;
    this.#refuseValue("occurred_at", problemText(problem));
    item.line = Buffer.from(JSON.stringify(event));
    return true;
  }

  // Waits before a request is repeated: each time twice as long, and half of it
  // at random so that agents that lost their server do not come back together.
  // A flush ends a wait, unless the server asked for it.
  #pause(failures: number, next: Next): Promise<void> {
    const { retryMin, retryMax } = this.#settings;
    let wait = next.slow ? retryMax : Math.min(retryMin * 2 ** failures, retryMax);
    wait -= (Math.random() * wait) / 2;
    return next.after ? this.#wait(Math.max(wait, next.after)) : this.#wait(wait, "kick");
  }

  // Takes over what recorders left that are gone, now and from time to time.
  async #recover(): Promise<void> {
    const spool = this.#spool;
    if (!spool) return;
    const look = async () => {
      const { events, errors } = await spool.takeOver();
      if (errors.length > 0) {
        this.#talk.say("spool", "", `what an earlier process left in the spool cannot all be read; it stays there: ${errors.join("; ")}`);
      }
      this.#queue.change({ recovered: events, spooled: events });
      if (events > 0) this.#call("more");
    };
    await look();
    const again = setInterval(() => void this.#exclusively(look), lookAgain).unref();
    this.#giveUp.signal.addEventListener("abort", () => clearInterval(again));
  }

  // Moves the oldest of what waits to the spool when memory fills up.
  async #relieve(): Promise<void> {
    while (!this.#ended) {
      const full = await this.#exclusively(async () => {
        const items = this.#queue.takeCrowd();
        this.#moving = items;
        const rest = await this.#intoSpool(items);
        this.#queue.giveBack(rest);
        this.#moving = [];
        return items.length === 0 ? undefined : rest.length > 0;
      });
      if (full === undefined) return;
      // A full disk is not asked again for each run.
      if (full) return void (await sleep(spoolPause, undefined, { ref: false, signal: this.#giveUp.signal }).catch(() => undefined));
    }
  }

  // Writes items to the disk and returns those that memory has still to hold.
  async #intoSpool(items: Item[]): Promise<Item[]> {
    if (!this.#spool || items.length === 0) return items;
    const written = await this.#writeAll({ items, segment: undefined });
    if (written.length === 0) return [];
    const [n, err] = await this.#spool.append(wallTime(written[0]!), linesOf(written));
    this.#queue.change({ spooled: n }, written.slice(0, n));
    if (err) this.#talk.say("spool", "", `the spool takes no more: ${reason(err)}`, { dir: this.#settings.spoolDir, spool_bytes: this.#settings.spoolBytes });
    return written.slice(n);
  }

  // Reads the oldest segment; undefined if there is none, or none that can be read now: it stays and is tried again.
  async #fromSpool(): Promise<Batch | undefined> {
    for (;;) {
      const oldest = await this.#spool?.readOldest();
      if (!oldest) return undefined;
      const { segment, lines, err } = oldest;
      if (err !== undefined) {
        this.#talk.say("spool", "", `a file of the spool cannot be read, and is kept: ${reason(err)}`);
        return undefined;
      }
      const broken = oldest.broken;
      // A write that failed may have left more lines than were counted.
      this.#queue.change({ recovered: lines.length + broken - segment.events, spooled: lines.length - segment.events, dropped: broken });
      segment.events = lines.length;
      if (broken > 0) this.#talk.say("spool", "", "a file of the spool is damaged or gone: what of it is there is sent", { file: segment.path, lost_lines: broken });
      if (lines.length > 0) return { segment, items: lines.map((line) => ({ event: undefined, line, size: line.length, at: 0 })) };
      await this.#remove(segment);
    }
  }

  async #remove(segment: Segment): Promise<void> {
    try {
      await this.#spool!.remove(segment);
    } catch (err) {
      this.#talk.say("spool", "", `a file of the spool cannot be removed, so what is in it is sent again: ${reason(err)}`);
    }
  }
}

/** What is to be done when the process ends, of all recorders that were not closed. */
const atExit = new Set<() => void>();
process.on("exit", () => atExit.forEach((leave) => leave()));

/** When an item came in, in milliseconds since 1970. */
const wallTime = (item: Item) => performance.timeOrigin + item.at;

const linesOf = (items: Item[]) => items.map((item) => item.line!);

const newline = Buffer.from("\n");

/** The members of a line that was written here. */
function fields(line: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(line.toString("utf8")) as Record<string, unknown>;
  } catch {
    return {}; // a line of the spool is checked for damage, not for what it says
  }
}

/** Resolves to false if the time, in milliseconds, is over before the work is done. */
function before(work: Promise<unknown>, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(false), timeout);
    void work.finally(() => {
      clearTimeout(late);
      resolve(true);
    });
  });
}

/** The results of an answer if it has one for each of n events. */
function readResults(answer: unknown, n: number): IngestResult[] | undefined {
  const results = (answer as { results?: IngestResult[] } | undefined)?.results;
  if (!Array.isArray(results) || results.length !== n) return undefined;
  const fits = results.every((r, i) => {
    if (r?.index !== i) return false;
    if (r.status === "refused") return typeof r.problem?.status === "number";
    return r.status === "created" || r.status === "duplicate";
  });
  return fits ? results : undefined;
}
