import { AsyncLocalStorage } from "node:async_hooks";

import { Event, Metric, Model, maxMetrics } from "./event.js";

// The metrics that a recorder measures itself.
const success = "success";
const latency = "latency_ms";

/** What may be said of a run besides what it measured. */
export interface RunOptions {
  /** The run's id, such as that of a trace, for outcomes; empty is a random one. */
  runId?: string | undefined;
  /** The release that ran, in a program that runs several; empty is the recorder's. */
  release?: string | undefined;
  /** The name of the fixed input that the run replays, so that releases are compared on the same inputs. */
  probeId?: string | undefined;
  /** What runs share that are not independent, such as a user or a session. */
  unitId?: string | undefined;
  /** The model that ran. */
  model?: Model | undefined;
  /** What the run is judged by: booleans and finite numbers. Name them as the policy does: success, latency_ms, cost_usd, tokens, score. */
  metrics?: Readonly<Record<string, Metric>> | undefined;
  /** What can be erased later, such as input and output; the receipt holds a commitment to each field. */
  payload?: Readonly<Record<string, unknown>> | undefined;
  /** What stands in the signed receipt for good: no personal data. */
  attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** A run that was measured elsewhere. */
export interface RunRecord extends RunOptions {
  /** Tells the server that it has the run already; empty is a random one. */
  idempotencyKey?: string | undefined;
  /** When the run began; by default now. */
  occurredAt?: Date | undefined;
}

/** What a run needs of its recorder. */
export interface Values {
  metric(metrics: Map<string, Metric>, name: string, value: unknown, room: number): void;
  value(values: Map<string, string>, group: string, name: string, value: unknown): void;
  name(event: Event, field: NameField, what: string, value: unknown): void;
  model(event: Event, model: unknown): void;
  late(): void;
  add(event: Event): void;
}

/** The names that an event carries. */
export type NameField = "runId" | "idempotencyKey" | "release" | "probeId" | "unitId";

/**
 * One execution of the agent that is under way. Its methods never throw: what
 * cannot be sent is left out, said and counted.
 */
export class Run {
  readonly #values: Values | undefined; // without it nothing is recorded
  readonly #event: Event;
  readonly #started: number;
  #ended = false;

  /** @internal */
  constructor(event: Event, values: Values | undefined) {
    this.#event = event;
    this.#values = values;
    this.#started = performance.now();
  }

  /** The run's id, for outcomes that become known later. */
  get id(): string {
    return this.#event.runId;
  }

  #change(change: (values: Values, event: Event) => void): this {
    if (this.#values && this.#ended) this.#values.late();
    else if (this.#values) change(this.#values, this.#event);
    return this;
  }

  /** Sets a metric: a boolean, or a finite number up to 2^53-1. Anything else is left out, said and counted. */
  metric(name: string, value: Metric): this {
    // What the recorder measures always finds room.
    const room = name === success || name === latency ? maxMetrics : maxMetrics - 2;
    return this.#change((values, event) => values.metric(event.metrics, name, value, room));
  }

  /** Sets what the agent was given, as anything that JSON holds. It is written at once. */
  input(value: unknown): this {
    return this.payload("input", value);
  }

  /** Sets what the agent answered, as anything that JSON holds. It is written at once. */
  output(value: unknown): this {
    return this.payload("output", value);
  }

  /** Sets a payload field. Payloads can be erased later; the receipt holds a commitment to them. */
  payload(name: string, value: unknown): this {
    return this.#change((values, event) => values.value(event.payload, "payload", name, value));
  }

  /** Sets what stands in the signed receipt for good: no personal data. */
  attribute(name: string, value: unknown): this {
    return this.#change((values, event) => values.value(event.attributes, "attributes", name, value));
  }

  /** Says that the run replays the fixed input of this name, so that releases are compared on the same inputs. */
  probe(id: string): this {
    return this.#name("probeId", "probe_id", id);
  }

  /** Names what runs share that are not independent, such as a user or a session. */
  unit(id: string): this {
    return this.#name("unitId", "unit_id", id);
  }

  /** Replaces the run's random id, such as by the id of a trace. */
  setId(id: string): this {
    return this.#name("runId", "run_id", id);
  }

  /** Says which release ran, in a program that runs several. */
  release(release: string): this {
    return this.#name("release", "release", release);
  }

  #name(field: NameField, what: string, value: string): this {
    return this.#change((values, event) => values.name(event, field, what, value));
  }

  /** Names the model that ran. */
  model(model: Model): this {
    return this.#change((values, event) => values.model(event, model));
  }

  /** Records the run, as a success unless an error is given. A metric `success` that was set counts instead. Only the first call counts. */
  end(error?: unknown): void {
    if (!this.#values || this.#ended) return;
    this.#ended = true;
    const took = performance.now() - this.#started;
    const { metrics } = this.#event;
    if (!metrics.has(success)) metrics.set(success, error === undefined || error === null);
    if (!metrics.has(latency)) metrics.set(latency, Math.round(took * 1000) / 1000);
    this.#values.add(this.#event);
  }

  /** @internal Records a run that threw: it is a failure, whatever it threw and said before. */
  fail(): void {
    if (!this.#ended) this.#event.metrics.set(success, false);
    this.end();
  }
}

const under = new AsyncLocalStorage<Run>();

/** The run that this code belongs to, however deep in the agent it is: that of the innermost {@link Recorder.run}. */
export function currentRun(): Run | undefined {
  return under.getStore();
}

/** Calls a function so that it finds the run. */
export function within<T>(run: Run, fn: () => T): T {
  return under.run(run, fn);
}
