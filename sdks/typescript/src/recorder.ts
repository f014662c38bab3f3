import { randomUUID } from "node:crypto";

import { Complaints } from "./complaints.js";
import { UnsentError, reason } from "./errors.js";
import {
  Event, Metric, Model, canonicalFault, eventSize, largest, maxEvent, maxMetrics, metricFault, nameFault, toJSON, writeEvent,
} from "./event.js";
import { Item, Queue, Stats } from "./queue.js";
import { NameField, Run, RunOptions, RunRecord, Values, within } from "./run.js";
import { Sender } from "./sender.js";
import { RecorderOptions, Settings, complete } from "./settings.js";
import { Transport } from "./transport.js";

/** Bounds a flush or a close that is given no time, in milliseconds: an agent that ends must end. */
const patience = 5000;

/**
 * Records runs in the background. It never throws, never waits and never keeps
 * the process alive: what cannot be recorded is counted and told to the logger.
 *
 * ```ts
 * const recorder = new Recorder(); // PROVA_API_KEY, PROVA_BASE_URL, PROVA_APP_ID, PROVA_RELEASE
 * const answer = await recorder.run(async (run) => {
 *   run.metric("cost_usd", 0.0123);
 *   return agent(question);
 * });
 * await recorder.close();
 * ```
 */
export class Recorder {
  /** Why nothing is recorded, or undefined. */
  readonly error: Error | undefined;

  readonly #settings: Settings;
  readonly #talk: Complaints;
  readonly #queue: Queue;
  readonly #sender: Sender | undefined;
  readonly #values: Values;
  #closing: Promise<UnsentError | undefined> | undefined;

  /**
   * Makes a recorder and starts its background. It never fails: a recorder that
   * lacks a setting, or was given one that cannot be, records nothing, says so
   * once to the logger, and {@link Recorder.error} says why. Call
   * {@link Recorder.close} before the program ends.
   */
  constructor(options?: RecorderOptions) {
    this.#settings = complete(options ?? {});
    this.#talk = new Complaints(this.#settings.logger);
    this.#queue = new Queue(this.#settings);
    this.#values = this.#collect();
    try {
      this.#sender = this.#begin();
    } catch (err) {
      this.error = err as Error;
      this.#talk.once("disabled", `nothing is recorded: ${reason(err)}`);
    }
  }

  // Checks the settings and starts the background.
  #begin(): Sender {
    const s = this.#settings;
    if (s.apiKey === "") throw new Error("PROVA_API_KEY is not set");
    if (s.appId === "") throw new Error("no app id: give the option appId or set PROVA_APP_ID to the name of the agent");
    const fault = nameFault("the app id", s.appId) || nameFault("the environment", s.environment);
    if (fault) throw new Error(fault);
    const transport = new Transport({ ...s, userAgent: "prova-typescript-recorder", background: true });
    for (const field of ["release", "framework"] as const) {
      const wrong = s[field] === "" ? "" : nameFault(`the ${field}`, s[field]);
      if (!wrong) continue;
      this.#refuseValue(field, wrong);
      s[field] = "";
    }
    return new Sender(s, transport, this.#queue, this.#talk, (item) => this.#write(item), (name, why) => this.#refuseValue(name, why));
  }

  /**
   * Runs a function as one execution of the agent and records it: `latency_ms`
   * is how long it took, `success` whether it returned. Metrics of these names
   * that it sets itself count instead; a run that throws is a failure all the
   * same. What it returns or throws comes back as it is. Deeper in the agent, {@link currentRun} finds the run.
   */
  async run<T>(fn: (run: Run) => T | PromiseLike<T>, options?: RunOptions): Promise<T> {
    const run = this.start(options);
    try {
      const result = await within(run, () => fn(run));
      run.end();
      return result;
    } catch (err) {
      run.fail();
      throw err;
    }
  }

  /** Begins a run that does not fit into one function. {@link Run.end} records it. */
  start(options?: RunOptions): Run {
    if (this.error) return new Run(this.#event("agent_run", new Date()), undefined);
    const event = this.#event("agent_run", new Date());
    this.#describe(event, options ?? {});
    return new Run(event, this.#values);
  }

  /** Records a run that was measured elsewhere and returns its id. What of it cannot be sent is left out, said and counted. */
  record(run: RunRecord): string {
    const at = run?.occurredAt;
    const known = at instanceof Date && !Number.isNaN(at.getTime());
    const event = this.#event("agent_run", known ? at : new Date());
    if (this.error) return run?.runId || event.runId;
    if (at !== undefined && !known) this.#refuseValue("occurred_at", "it is no Date of a time");
    this.#describe(event, run ?? {});
    this.#add(event);
    return event.runId;
  }

  /**
   * Adds metrics that became known after the run was recorded, such as a
   * person's label. A metric that the run has already is refused by the server.
   */
  outcome(runId: string, metrics: Readonly<Record<string, Metric>>): void {
    if (this.error) return;
    const event = this.#event("outcome", new Date());
    event.release = ""; // it belongs to the run's
    this.#setMetrics(event.metrics, metrics);
    const fault = nameFault("the run id", runId) || (event.metrics.size === 0 ? "it has no metric" : "");
    if (fault) {
      this.#queue.change({ recorded: 1, refused: 1 });
      this.#talk.say("event_refused", "", `an outcome was refused: ${fault}`, { run_id: String(runId) });
      return;
    }
    event.runId = runId;
    this.#add(event);
  }

  /** The counts as they are now. */
  stats(): Stats {
    return this.#queue.stats();
  }

  /**
   * Sends what was recorded before the call, without waiting for more of it. It
   * resolves to undefined when the server has answered for all of it: it was
   * signed, or refused for good. When the time is over first, in milliseconds,
   * it resolves to what is left; that stays queued and is tried on. It never rejects.
   */
  async flush(timeout = patience): Promise<UnsentError | undefined> {
    if (!this.#sender) return undefined;
    return (await this.#sender.flush(timeout)) ? undefined : this.#unsent(0);
  }

  /**
   * Takes no more runs, sends what there is as {@link Recorder.flush} does, and
   * when the time is over first writes the rest to the spool. It resolves to
   * undefined, or to what was not sent: `spooled` of it is kept, `lost` is not.
   * It never rejects. A second call resolves to what the first did.
   */
  close(timeout = patience): Promise<UnsentError | undefined> {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  async #close(timeout: number): Promise<UnsentError | undefined> {
    if (!this.#sender) return undefined;
    this.#queue.closed = true;
    await this.#sender.flush(timeout);
    const lost = await this.#sender.end();
    this.#talk.finish();
    return this.#unsent(lost);
  }

  #unsent(lost: number): UnsentError | undefined {
    const { queued, spooled } = this.stats();
    return queued + spooled + lost === 0 ? undefined : new UnsentError(queued, spooled, lost, this.#queue.failure);
  }

  // Begins an event. Its idempotency key is made here, once: however often the event is sent, it counts once.
  #event(kind: Event["kind"], at: Date): Event {
    const { appId, environment, release, framework } = this.#settings;
    return {
      kind, occurredAt: at.toISOString(), idempotencyKey: randomUUID(), appId, environment, release, framework,
      model: undefined, runId: randomUUID(), probeId: "", unitId: "", metrics: new Map(), payload: new Map(), attributes: new Map(),
    };
  }

  #describe(event: Event, about: RunRecord): void {
    this.#setName(event, "runId", "run_id", about.runId);
    this.#setName(event, "idempotencyKey", "idempotency_key", about.idempotencyKey);
    this.#setName(event, "release", "release", about.release);
    this.#setName(event, "probeId", "probe_id", about.probeId);
    this.#setName(event, "unitId", "unit_id", about.unitId);
    this.#setModel(event, about.model);
    this.#setMetrics(event.metrics, about.metrics);
    this.#setValues(event.payload, "payload", about.payload);
    this.#setValues(event.attributes, "attributes", about.attributes);
  }

  #collect(): Values {
    return {
      metric: (metrics, name, value, room) => this.#setMetric(metrics, name, value, room),
      value: (values, group, name, value) => this.#setValue(values, group, name, value),
      name: (event, field, what, value) => this.#setName(event, field, what, value),
      model: (event, model) => this.#setModel(event, model),
      late: () => this.#refuseValue("after the end", "the run was recorded already; send what becomes known later with outcome"),
      add: (event) => this.#add(event),
    };
  }

  // Leaves a value out of its run: it is said by name and counted.
  #refuseValue(name: string, why: string): void {
    this.#queue.change({ refusedValues: 1 });
    this.#talk.say("value_refused", name, `left out of a run, which goes on without it: ${name}: ${why}`);
  }

  #setMetrics(metrics: Map<string, Metric>, given: unknown): void {
    this.#each(given, "metrics", (name, value) => this.#setMetric(metrics, name, value, maxMetrics));
  }

  #setMetric(metrics: Map<string, Metric>, name: string, value: unknown, room: number): void {
    let fault = metricFault(value) || nameFault("the metric's name", name);
    if (!fault && !metrics.has(name) && metrics.size >= room) fault = `a run holds at most ${maxMetrics} metrics`;
    if (fault) this.#refuseValue(`metrics.${String(name)}`, fault);
    else metrics.set(name, value as Metric);
  }

  #setValues(values: Map<string, string>, group: string, given: unknown): void {
    this.#each(given, group, (name, value) => this.#setValue(values, group, name, value));
  }

  // Goes through what the program gave, whatever it is: a getter that throws costs one value.
  #each(given: unknown, group: string, take: (name: string, value: unknown) => void): void {
    if (given === undefined || given === null) return;
    if (typeof given !== "object") return this.#refuseValue(group, `it is a ${typeof given} and no object`);
    for (const name of Object.keys(given)) {
      let value: unknown;
      try {
        value = (given as Record<string, unknown>)[name];
      } catch (err) {
        this.#refuseValue(`${group}.${name}`, `it cannot be read: ${reason(err)}`);
        continue;
      }
      if (value !== undefined) take(name, value); // as JSON leaves it out
    }
  }

  #setValue(values: Map<string, string>, group: string, name: string, value: unknown): void {
    let fault: string, text = "";
    try {
      text = toJSON(value);
      const bytes = Buffer.byteLength(text);
      fault = bytes > maxEvent ? `it has ${bytes} bytes, and a run at most ${maxEvent}` : nameFault("the name", name);
    } catch (err) {
      fault = reason(err).split("\n")[0]!;
    }
    if (fault) this.#refuseValue(`${group}.${String(name)}`, fault);
    else values.set(name, text);
  }

  #setName(event: Event, field: NameField, what: string, value: unknown): void {
    if (value === undefined || value === null || value === "") return;
    const fault = nameFault(what, value);
    if (fault) this.#refuseValue(what, fault);
    else event[field] = value as string;
  }

  #setModel(event: Event, given: unknown): void {
    if (given === undefined || given === null) return;
    const model: Model = {};
    for (const part of ["provider", "name", "version"] as const) {
      const value = (given as Record<string, unknown>)[part];
      if (value === undefined || value === null || value === "") continue;
      const fault = nameFault(`model.${part}`, value);
      if (fault) this.#refuseValue(`model.${part}`, fault);
      else model[part] = value as string;
    }
    if (Object.keys(model).length > 0) event.model = model;
  }

  #add(event: Event): void {
    if (event.kind === "agent_run" && event.release === "") {
      this.#talk.once("no_release", "a run carries no release, so no comparison will count it: set PROVA_RELEASE to a commit SHA or a version where you deploy");
    }
    const { queueEvents, queueBytes } = this.#settings;
    switch (this.#queue.push({ event, line: undefined, size: eventSize(event), at: performance.now() })) {
      case "full":
        this.#talk.say("dropped", "", "the queue is full, and what comes now is dropped", { queue_events: queueEvents, queue_bytes: queueBytes });
        break;
      case "closed":
        this.#talk.once("closed", "a run was recorded after the recorder was closed, and is dropped");
        break;
    }
    this.#sender?.pushed();
  }

  // Writes an event's line, the first time. What the server would refuse the
  // whole event for is left out. Returns why the event can never be sent, or "".
  #write(item: Item): string {
    const { event } = item;
    if (item.line || !event) return "";
    for (const [group, values] of [["payload", event.payload], ["attributes", event.attributes]] as const) {
      for (const [name, text] of values) {
        const fault = canonicalFault(text);
        if (!fault) continue;
        this.#refuseValue(`${group}.${name}`, fault);
        values.delete(name);
      }
    }
    for (;;) {
      const line = writeEvent(event);
      if (line.length <= maxEvent) {
        item.line = line;
        item.event = undefined;
        return "";
      }
      const [group, values] = event.payload.size > 0 ? ["payload", event.payload] as const : ["attributes", event.attributes] as const;
      const name = largest(values);
      if (name === undefined) return `the event has ${line.length} bytes, the most is ${maxEvent}`;
      this.#refuseValue(`${group}.${name}`, `with it the run has ${line.length} bytes, and the most is ${maxEvent}`);
      values.delete(name);
    }
  }
}
