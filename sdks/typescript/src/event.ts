// The limits of ingest.
export const maxBody = 16 << 20; // bytes of a request, also after decompression
export const maxEvent = 256 << 10; // bytes of one event
export const maxEvents = 10_000; // events of one request
export const maxMetrics = 64; // metrics of one run
const maxDepth = 32; // nesting of one event
const maxName = 200; // bytes of a name

/** What a value may be that a run is judged by: a boolean or a finite number up to 2^53-1. */
export type Metric = boolean | number;

/** The model that ran. */
export interface Model {
  provider?: string | undefined;
  name?: string | undefined;
  version?: string | undefined;
}

/** An event on its way. Payload and attributes hold the JSON text of each value. */
export interface Event {
  kind: "agent_run" | "outcome";
  occurredAt: string;
  idempotencyKey: string;
  appId: string;
  environment: string;
  release: string;
  framework: string;
  model: Model | undefined;
  runId: string;
  probeId: string;
  unitId: string;
  metrics: Map<string, Metric>;
  payload: Map<string, string>;
  attributes: Map<string, string>;
}

/** Says why a text cannot name anything, or "". `what` says which name it is. */
export function nameFault(what: string, name: unknown): string {
  if (typeof name !== "string") return `${what} is no string`;
  if (name === "") return `${what} is empty`;
  const bytes = Buffer.byteLength(name);
  if (bytes > maxName) return `${what} has ${bytes} bytes, the most is ${maxName}`;
  if (/\p{Surrogate}/u.test(name)) return `${what} holds half a character`;
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name)) return `${what} ${JSON.stringify(name)} holds a control character`;
  return "";
}

/** Says why a value is no metric, or "". */
export function metricFault(value: unknown): string {
  switch (typeof value) {
    case "boolean":
      return "";
    case "number":
      if (!Number.isFinite(value)) return `it is ${value}; a metric is true, false or a finite number; leave out what was not measured`;
      if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return `it is ${value}, and beyond ±(2^53-1) numbers lose digits; choose another unit`;
      return "";
    default:
      return `it is ${value === null ? "null" : `a ${typeof value}`}; a metric is true, false or a finite number; leave out what was not measured`;
  }
}

/**
 * Writes a value as JSON as it is now. Throws an Error for what JSON cannot
 * hold: cycles, BigInt, functions, and numbers that are not finite, of which
 * JSON.stringify makes null without a word.
 */
export function toJSON(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new Error(`it is ${value === undefined ? "undefined" : `a ${typeof value}`}, which JSON cannot hold`);
  if (text.includes("null")) {
    JSON.stringify(value, (_, v: unknown) => {
      if (typeof v === "number" && !Number.isFinite(v)) throw new Error(`it holds ${v}, which JSON cannot`);
      return v;
    });
  }
  return text;
}

/** Says why a value has no canonical form, which is what is signed, or "". */
export function canonicalFault(text: string): string {
  // The value stands two levels deep in the event.
  return valueFault(JSON.parse(text), maxDepth - 2);
}

function valueFault(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      return stringFault(value);
    case "number":
      // From 10^21 on it is not written as a whole number.
      return Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21 ? `the integer ${value} is beyond ±(2^53-1)` : "";
    case "object":
      return value === null ? "" : membersFault(value, depth);
    default:
      return "";
  }
}

function membersFault(value: object, depth: number): string {
  if (depth === 0) return `nested deeper than ${maxDepth} levels`;
  for (const [name, inside] of Object.entries(value)) {
    const fault = stringFault(name) || valueFault(inside, depth - 1);
    if (fault) return fault;
  }
  return "";
}

function stringFault(text: string): string {
  if (text.includes("\u0000")) return "the character U+0000 is not allowed";
  return /\p{Surrogate}/u.test(text) ? "a lone surrogate is no character" : "";
}

/** Writes the event's line. */
export function writeEvent(e: Event): Buffer {
  const source = { app_id: e.appId, environment: e.environment || undefined, release: e.release || undefined, framework: e.framework || undefined };
  const head = JSON.stringify({
    kind: e.kind, occurred_at: e.occurredAt || undefined, idempotency_key: e.idempotencyKey, source, model: e.model,
    run_id: e.runId || undefined, probe_id: e.probeId || undefined, unit_id: e.unitId || undefined,
  });
  const metrics = [...e.metrics].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  let line = `${head.slice(0, -1)},"metrics":{${metrics.join()}}`;
  for (const [group, values] of [["payload", e.payload], ["attributes", e.attributes]] as const) {
    if (values.size > 0) line += `,"${group}":{${[...values].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join()}}`;
  }
  return Buffer.from(line + "}");
}

/** Bytes that the values of an event take, roughly. */
export function eventSize(e: Event): number {
  let size = 512;
  for (const name of e.metrics.keys()) size += name.length + 24;
  for (const values of [e.payload, e.attributes]) {
    for (const [name, text] of values) size += name.length + Buffer.byteLength(text);
  }
  return size;
}

/** The name of the largest value, or undefined if there is none. */
export function largest(values: Map<string, string>): string | undefined {
  let found: string | undefined;
  let most = -1;
  for (const [name, text] of values) {
    const bytes = Buffer.byteLength(text);
    if (bytes < most || (bytes === most && name > found!)) continue;
    [found, most] = [name, bytes];
  }
  return found;
}

