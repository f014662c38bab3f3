import type { Agent } from "node:http";

import type { Logger } from "./complaints.js";
import { maxBody, maxEvent, maxEvents } from "./event.js";
import { TransportOptions, defaultBaseURL } from "./transport.js";

/** Configures a {@link Recorder}. Without options everything comes from the environment. */
export interface RecorderOptions {
  /** Needs the permission audit.ingest; empty is PROVA_API_KEY. Without either nothing is recorded. */
  apiKey?: string | undefined;
  /** The server's address; empty is PROVA_BASE_URL, or else http://127.0.0.1:7788. */
  baseURL?: string | undefined;
  /** Names the agent; empty is PROVA_APP_ID. Without either nothing is recorded. */
  appId?: string | undefined;
  /** The version of the agent, such as a commit SHA; empty is PROVA_RELEASE. A run without one is recorded and not counted. */
  release?: string | undefined;
  /** Where the agent runs; empty is PROVA_ENVIRONMENT, or else "production". */
  environment?: string | undefined;
  /** What the agent is built with. */
  framework?: string | undefined;

  /** Bounds what waits in memory, in events; 10,000. What comes when it is reached is dropped: what was accepted is kept. */
  queueEvents?: number | undefined;
  /** Bounds what waits in memory, in bytes; 16 MiB. */
  queueBytes?: number | undefined;
  /** Bounds one request, in events; 1,000. */
  batchEvents?: number | undefined;
  /** Bounds one request, in bytes before compression; 1 MiB. A single larger event is sent alone. */
  batchBytes?: number | undefined;
  /** How long a run may wait for others to be sent with, in milliseconds; 1,000. */
  flushInterval?: number | undefined;
  /** Bounds one request, in milliseconds; 30,000. */
  timeout?: number | undefined;
  /** The first wait before a request is repeated, in milliseconds; 500. A Retry-After of the server counts if it is longer, up to an hour. */
  retryMin?: number | undefined;
  /** The longest wait before a request is repeated, in milliseconds; 30,000. */
  retryMax?: number | undefined;

  /**
   * A directory for what memory cannot hold and for what is left at the end;
   * empty is PROVA_SPOOL_DIR, or else there is no spool. It holds payloads in the clear.
   */
  spoolDir?: string | undefined;
  /** Bounds the spool, in bytes; 256 MiB. */
  spoolBytes?: number | undefined;

  /** Opens the connections, such as through a proxy. */
  agent?: Agent | undefined;
  /** Is told what goes wrong; `console` by default. */
  logger?: Logger | undefined;
}

/** The options with everything filled in. */
export type Settings = { [Option in keyof Omit<RecorderOptions, "agent">]-?: NonNullable<RecorderOptions[Option]> } & Pick<TransportOptions, "agent">;

/** A setting, or the environment variable in its place. */
export function fromEnvironment(value: string | undefined, name: string): string {
  return value || (process.env[name] ?? "").trim();
}

function positive(value: number | undefined, standard: number): number {
  return typeof value === "number" && value > 0 ? value : standard;
}

/** Fills in what is not given. */
export function complete(o: RecorderOptions): Settings {
  const retryMin = positive(o.retryMin, 500);
  return {
    apiKey: fromEnvironment(o.apiKey, "PROVA_API_KEY"),
    baseURL: fromEnvironment(o.baseURL, "PROVA_BASE_URL") || defaultBaseURL,
    appId: fromEnvironment(o.appId, "PROVA_APP_ID"),
    release: fromEnvironment(o.release, "PROVA_RELEASE"),
    environment: fromEnvironment(o.environment, "PROVA_ENVIRONMENT") || "production",
    framework: o.framework ?? "",
    queueEvents: positive(o.queueEvents, 10_000),
    queueBytes: positive(o.queueBytes, 16 << 20),
    // The server's own limits leave room for what is added here.
    batchEvents: Math.min(positive(o.batchEvents, 1000), maxEvents),
    batchBytes: Math.min(positive(o.batchBytes, 1 << 20), maxBody - maxEvent),
    flushInterval: positive(o.flushInterval, 1000),
    timeout: positive(o.timeout, 30_000),
    retryMin,
    retryMax: Math.max(retryMin, positive(o.retryMax, 30_000)),
    spoolDir: fromEnvironment(o.spoolDir, "PROVA_SPOOL_DIR"),
    spoolBytes: positive(o.spoolBytes, 256 << 20),
    agent: o.agent,
    logger: o.logger ?? console,
  };
}
